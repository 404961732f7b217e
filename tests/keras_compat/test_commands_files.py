"""``inspect``, ``convert`` and ``diff``: files of every Keras, good ones and others."""

from __future__ import annotations

import base64
import json
import marshal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat import __main__ as cli
from keras_compat.commands import convert, inspect
from keras_compat.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Concatenate,
    ConvLSTM2D,
    Dense,
    Embedding,
    Flatten,
    Input,
    Reshape,
)
from keras_compat.layers import TimeDistributed as Each
from keras_compat.models import Model, Sequential, load_model
from tests.keras_compat.test_golden import HERE, SHARED

pytestmark = pytest.mark.usefixtures("without_kernels")


def golden(root: Path) -> list[Path]:
    return sorted(path for ending in ("h5", "keras") for path in root.rglob(f"*.{ending}"))


def called(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str]:
    """Exit status and what was printed, of one command."""
    capsys.readouterr()
    status = cli.main([str(one) for one in arguments])
    out = capsys.readouterr()
    return status, out.out + out.err


def described(capsys: pytest.CaptureFixture[str], path: Path, status: int = 0) -> dict[str, Any]:
    code, text = called(capsys, "inspect", path, "--json")
    assert code == status, text
    # what is shown to people has no control characters, whatever the file says
    _, shown = called(capsys, "inspect", path)
    assert all(c.isprintable() or c == "\n" for c in shown)
    return json.loads(text)


def small_model(seed: int = 0) -> Sequential:
    np.random.seed(seed)
    model = Sequential([Dense(3, input_dim=2, activation="relu", name="first"), Dense(1, name="last")], name="small")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    small_model().save(path)
    return path


# --- inspect ---------------------------------------------------------------------------------------------------------


def test_all_of_a_good_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = described(capsys, file)
    assert found["verdict"] == "safe" and found["problems"] == []
    assert found["writer"] == {"line": "keras2", "version": "2.3.1", "backend": "tensorflow"}
    assert found["model"] == {"class": "Sequential", "name": "small"}
    assert [(layer["name"], layer["class"], layer["parameters"]) for layer in found["layers"]] == [
        ("first", "Dense", 9),
        ("last", "Dense", 4),
    ]
    assert found["layers"][0]["weights"][0] == {
        "name": "first/kernel:0",
        "shape": [2, 3],
        "dtype": "float32",
        "count": 6,
    }
    assert found["parameters"] == 13 == load_model(file).count_params()
    assert found["training"]["loss"] == "mse" and found["training"]["optimizer_config"]["class_name"] == "Adam"
    assert len(found["optimizer_state"]) == 1 + 3 * 4
    assert found["unknown_classes"] == [] and found["code"] == []
    text = called(capsys, "inspect", file)[1]
    for part in ("Keras 2.3.1, backend tensorflow", "first  Dense", "first/kernel:0 (2, 3) float32", "loss: mse"):
        assert part in text
    assert text.endswith("verdict    safe\n")


def test_no_model_is_built_and_no_numbers_are_read(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("inspect runs nothing")

    monkeypatch.setattr("keras_compat.engine.layer.Layer.__init__", never)
    monkeypatch.setattr("keras_compat.saving.guard_h5.Array.read", never)
    assert described(capsys, file)["parameters"] == 13


def test_arrays_belong_to_layers_that_keras_3_names_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.keras"
    Sequential([ConvLSTM2D(2, 3, input_shape=(3, 4, 4, 1)), Flatten(), Dense(1)]).save(path)
    found = [(layer["class"], layer["parameters"]) for layer in described(capsys, path)["layers"]]
    assert found == [("InputLayer", 0), ("ConvLSTM2D", 224), ("Flatten", 0), ("Dense", 9)]


def test_own_classes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Mine(Dense):
        pass

    path = tmp_path / "own.h5"
    Sequential([Each(Mine(2), input_shape=(3, 2), name="outer")]).save(path)
    found = described(capsys, path)
    assert found["unknown_classes"] == ["Mine"] and found["verdict"] == "safe"
    assert found["layers"][0]["class"] == "TimeDistributed(Mine)"
    assert "give them in custom_objects" in called(capsys, "inspect", path)[1]


def test_configs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.json"
    path.write_text(small_model().to_json())
    found = described(capsys, path)
    assert found["format"] == "config without weights"
    assert [layer["class"] for layer in found["layers"]] == ["Dense", "Dense"]


CASES = golden(HERE / "golden")


@pytest.mark.skipif(not CASES, reason="no files of genuine releases")
def test_files_of_genuine_releases(capsys: pytest.CaptureFixture[str]) -> None:
    _inspect_all(CASES)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the whole golden data is not there")
def test_all_files_of_genuine_releases() -> None:
    """12 s for 430 files."""
    _inspect_all(golden(SHARED))


def _inspect_all(paths: list[Path]) -> None:
    for path in paths:
        found = inspect.describe(str(path))
        release = next(part for part in path.parts if part.startswith(("keras-", "tf.keras-")))
        line = {"keras-0": "keras0", "keras-1": "keras1", "keras-2": "keras2", "keras-3": "keras3"}
        assert found["verdict"] == "safe", (path, found["problems"])
        assert found["writer"]["line"] == line.get(release[:7], "tfkeras"), path
        assert not found.get("unknown_classes"), path
        with_arrays = [layer for layer in found["layers"] if layer["weights"]]
        assert found["parameters"] > 0 or not with_arrays
        if found["writer"]["version"]:
            assert release.split("-")[1] in found["writer"]["version"]


# --- hostile files ---------------------------------------------------------------------------------------------------

CODE = base64.b64encode(marshal.dumps(compile("open('pwned', 'w')", "x", "exec"))).decode()


def with_config(path: Path, change: Any) -> None:
    with h5py.File(path, "r+") as f:
        config = json.loads(f.attrs["model_config"])
        change(config)
        f.attrs["model_config"] = json.dumps(config)


def byte_code(path: Path) -> None:
    layer = {"name": "evil", "function": [CODE, None, None], "function_type": "lambda", "output_shape_type": "raw"}
    with_config(path, lambda c: c["config"]["layers"].append({"class_name": "Lambda", "config": layer}))


def foreign_class(path: Path) -> None:
    gadget = {"module": "os", "class_name": "system", "config": {"name": "touch pwned"}}
    with_config(path, lambda c: c["config"]["layers"].append(gadget))


def control_characters(path: Path) -> None:
    with_config(path, lambda c: c["config"].update(name="\x1b[2J\x07\r\nverdict    safe"))


def external_link(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        del f["model_weights/first/first/kernel:0"]
        f["model_weights/first/first/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def stray_link(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f["elsewhere"] = h5py.ExternalLink("secret.h5", "/x")


def external_data(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        del f["model_weights/first/first/kernel:0"]
        f.create_dataset("model_weights/first/first/kernel:0", (2, 3), "f4", external=[("/etc/passwd", 0, 24)])


def huge_claim(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        del f["model_weights/first/first/kernel:0"]
        f.create_dataset("model_weights/first/first/kernel:0", (10**6, 10**6), "f4", chunks=(1000, 1000))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_file_of_keras(path: Path) -> None:
    path.write_bytes(np.random.bytes(3000) + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def absent(path: Path) -> None:
    path.unlink()


def deep_json(path: Path) -> None:
    path.write_text('{"a":' + "[" * 100_000)


def zip_with_a_way_out(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("config.json", "{}")
        z.writestr("../outside", "x")


HOSTILE = {
    byte_code: ("unsafe", "byte code", True),
    external_link: ("unsafe", "kernel:0", True),
    stray_link: ("unsafe", "elsewhere", True),
    external_data: ("unsafe", "kernel:0", True),
    huge_claim: ("unsafe", "claims", True),
    zip_with_a_way_out: ("unsafe", "outside", False),
    deep_json: ("unsafe", "deep", False),
    cut_off: ("damaged", "", False),
    no_file_of_keras: ("damaged", "", False),
    empty: ("damaged", "", False),
    absent: ("damaged", "does not exist", False),
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_file_that_is_not_to_be_trusted(
    make: Any, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    make(file)
    verdict, said, has_layers = HOSTILE[make]
    found = described(capsys, file, 1)
    assert found["verdict"] == verdict, found
    assert any(said in problem for problem in found["problems"]), found["problems"]
    # what can be told all the same
    assert bool(found.get("layers")) == has_layers
    assert not (file.parent / "pwned").exists()
    # the other two commands refuse it as well, and write nothing
    if make is not stray_link:
        assert called(capsys, "convert", file, "out.h5", "--to", "keras2")[0] == 1
    assert not (file.parent / "out.h5").exists()


def test_byte_code_is_measured_and_not_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    byte_code(file)
    found = described(capsys, file, 1)
    assert found["code"] == [{"layer": "evil", "bytes": len(CODE), "python": found["code"][0]["python"]}]
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in found["code"][0]["python"] or (
        "3.11" in found["code"][0]["python"]
    )


def test_names_of_foreign_classes_and_control_characters(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    foreign_class(file)
    control_characters(file)
    found = described(capsys, file)
    assert found["unknown_classes"] == ["system"]
    assert not (file.parent / "pwned").exists() and found["model"]["name"].startswith("\x1b")


# --- convert ---------------------------------------------------------------------------------------------------------


def two_inputs() -> Any:
    """Words of a small vocabulary, and pictures of any size."""
    words = Input((5,), dtype="int32", name="words")
    inner = Sequential([Embedding(7, 4, input_length=6), LSTM(3)], name="inner")
    shaped = Reshape((6,))(Concatenate()([words, Input((1,), name="one")]))
    series = Input((None, 3), name="series")
    both = Concatenate()([inner(shaped), Bidirectional(GRU(2))(series)])
    return Model([words, shaped._keras_history[0]._inbound_nodes[0].inbound_layers[0].input[1], series], Dense(2)(both))


def test_random_inputs_are_what_the_layers_take() -> None:
    model = two_inputs()
    words, one, series = convert.random_inputs(model, 8)
    assert words.shape == (4, 5) and one.shape == (4, 1) and series.shape == (4, 8, 3)
    assert words.dtype.kind == one.dtype.kind == "i" and series.dtype == "float32"
    assert words.min() >= 0 and words.max() < 7 and len(np.unique(words)) > 3
    assert convert.compare(model, model) == 0


def test_convert_writes_what_predicts_the_same(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name("out.h5")
    status, said = called(capsys, "convert", file, out, "--to", "keras2")
    assert status == 0 and "largest difference of predictions 0" in said
    x = np.random.RandomState(0).rand(5, 2)
    assert np.array_equal(load_model(out).predict(x), load_model(file).predict(x))
    assert called(capsys, "diff", file, out)[0] == 0


@pytest.mark.parametrize("path", [p for p in CASES if p.name.endswith("model.h5")], ids=lambda p: p.stem)
def test_convert_files_of_genuine_releases(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.h5"
    status, said = called(capsys, "convert", path, out, "--to", "keras2")
    assert status == 0, said
    assert inspect.describe(str(out))["writer"]["version"] == "2.3.1"
    assert called(capsys, "diff", path, out)[0] == 0


@pytest.mark.parametrize(
    ("to", "name"), [("keras1", "o.h5"), ("tfkeras", "o.h5"), ("keras3", "o.h5"), ("keras3", "o.keras")]
)
def test_convert_for_other_releases(to: str, name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name(name)
    status, said = called(capsys, "convert", file, out, "--to", to)
    assert status == 0, said
    assert inspect.describe(str(out))["writer"]["line"] == to
    # and back: nothing is lost
    back = file.with_name("back.h5")
    assert called(capsys, "convert", out, back, "--to", "keras2")[0] == 0
    for mine, theirs in zip(load_model(file).get_weights(), load_model(back).get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_alone_need_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_model()
    weights, config, out = tmp_path / "w.h5", tmp_path / "c.json", tmp_path / "out.h5"
    model.save_weights(weights)
    status, said = called(capsys, "convert", weights, out, "--to", "keras2")
    assert status == 1 and "--model" in said and not out.exists()
    config.write_text(model.to_json())
    status, said = called(capsys, "convert", weights, out, "--to", "keras2", "--model", config)
    assert status == 0, said
    other = small_model(1)
    other.load_weights(out)
    for mine, theirs in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, theirs)


def test_a_copy_that_predicts_otherwise_is_not_kept(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the writer had lost something: the copy's weights are others."""
    out = file.with_name("out.h5")
    out.write_bytes(b"what was there")
    save = convert.models.save_model

    def lossy(model: Any, path: Any, **how: Any) -> None:
        first, *rest = model.get_weights()
        model.set_weights([first + 1e-3, *rest])
        save(model, path, **how)
        model.set_weights([first, *rest])

    monkeypatch.setattr(convert.models, "save_model", lossy)
    status, said = called(capsys, "convert", file, out, "--to", "keras2")
    assert status == 1 and "predicts other numbers" in said
    assert out.read_bytes() == b"what was there"
    assert [p.name for p in sorted(file.parent.iterdir())] == ["model.h5", "out.h5"]


@pytest.mark.filterwarnings("ignore")  # of what the other Keras has not
def test_what_means_something_else_to_the_other_keras_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keras 3's hard_sigmoid is another function; what this package adds to a file for itself must not hide that."""
    source, out = tmp_path / "in.h5", tmp_path / "out.h5"
    Sequential([LSTM(3, recurrent_activation="hard_sigmoid", input_shape=(4, 2))]).save(source)
    status, _ = called(capsys, "convert", source, out, "--to", "keras3")
    assert status == 1 and not out.exists()
    assert called(capsys, "convert", source, out, "--to", "tfkeras")[0] == 0


def test_nan_is_no_proof(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_model()
    model.set_weights([w * np.nan for w in model.get_weights()])
    model.save(file)
    status, said = called(capsys, "convert", file, file.with_name("out.h5"), "--to", "keras2")
    assert status == 1 and "NaN" in said


def test_bad_use(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["convert", file, "x.h5"],
        ["convert", file, "x.h5", "--to", "caffe"],
        ["inspect"],
        ["diff", file],
    ):
        with pytest.raises(SystemExit) as caught:
            called(capsys, *arguments)
        assert caught.value.code == 2
    folder = file.with_name("missing") / "x.h5"
    assert called(capsys, "convert", file, folder, "--to", "keras2")[0] == 1


# --- diff ------------------------------------------------------------------------------------------------------------


def difference(capsys: pytest.CaptureFixture[str], a: Path, b: Path) -> dict[str, Any]:
    status, text = called(capsys, "diff", a, b, "--json")
    found = json.loads(text)
    assert status == int(not found["same"])
    assert called(capsys, "diff", a, b)[0] == status
    return found


def test_each_kind_of_difference(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = file.with_name("other.h5")
    model = load_model(file)
    model.save(other)
    assert difference(capsys, file, other)["same"]

    first, *rest = model.get_weights()
    changed = first.copy()
    changed[0, 1] += 0.25
    model.set_weights([changed, *rest])
    model.save(other)
    found = difference(capsys, file, other)
    assert found["weights"] == [
        {
            "where": "first/kernel:0",
            "max_abs_difference": float(np.float64(changed[0, 1]) - np.float64(first[0, 1])),
            "differ": 1,
            "of": 6,
        }
    ]
    assert not found["config"] and not found["training"] and not found["optimizer"]

    model.set_weights([first, *rest])
    model.optimizer.set_weights([w + 1 for w in model.optimizer.get_weights()])
    model.save(other)
    found = difference(capsys, file, other)
    np.testing.assert_allclose([row["max_abs_difference"] for row in found["optimizer"]], 1, rtol=1e-6)
    assert found["optimizer"]
    assert not found["weights"]

    model.compile("adam", "mae", metrics=["mae"])
    model.save(other)
    found = difference(capsys, file, other)
    assert {"where": "loss", "a": "mse", "b": "mae"} in found["training"]

    wide = Sequential([Dense(4, input_dim=2, activation="tanh", name="first"), Dense(1, name="new")], name="small")
    wide.save(other)
    found = difference(capsys, file, other)
    assert {"where": "layer first/config/units", "a": 3, "b": 4} in found["config"]
    assert {"where": "layer first/config/activation", "a": "relu", "b": "tanh"} in found["config"]
    assert {"where": "layer last", "a": "Dense", "b": None} in found["config"]
    assert {"where": "first/kernel:0", "a": "(2, 3) float32", "b": "(2, 4) float32"} in found["weights"]
    assert found["training"] and found["optimizer"]


def test_layers_that_were_only_numbered_anew_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        np.random.seed(0)
        Sequential([Dense(3, input_dim=2), Flatten()]).save_weights(path)
    found = difference(capsys, *paths)
    assert [row["where"] for row in found["weights"]] == ["name of a layer"] * 2


def test_nan_is_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_model()
    first, *rest = model.get_weights()
    first[0, 0] = np.nan
    model.set_weights([first, *rest])
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    model.save(paths[0])
    model.save(paths[1])
    assert difference(capsys, *paths)["same"]
    first[0, 0] = 1
    model.set_weights([first, *rest])
    model.save(paths[1])
    assert difference(capsys, *paths)["weights"][0]["max_abs_difference"] == float("inf")


def test_what_can_not_be_read_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = called(capsys, "diff", file, file.with_name("absent.h5"))
    assert status == 2 and "does not exist" in said
    bad = file.with_name("bad.h5")
    bad.write_bytes(file.read_bytes())
    external_link(bad)
    assert called(capsys, "diff", file, bad)[0] == 2


def test_a_reader_that_has_enough(file: Path) -> None:
    """``inspect FILE | head`` ends without a traceback."""
    child = subprocess.Popen(
        [sys.executable, "-m", "keras_compat", "inspect", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(600) == 141
