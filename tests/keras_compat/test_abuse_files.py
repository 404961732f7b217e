"""Abuse tests 4 to 7, 9, 10, 12 and 13: files that claim, point or nest more than a model has, or less.

All of them go through ``load_model``, ``load_weights``, ``model_from_json``, ``model_from_yaml`` and ``load_npz``;
those without end in one process that may grow by 150 MB only: see ``bombs.py``.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat.layers import LSTM, Dense
from keras_compat.models import Sequential, load_model, model_from_json, model_from_yaml
from keras_compat.saving import CorruptFileError, UnsafeModelError, guard
from keras_compat.saving.guard import load_npz
from tests.keras_compat.children import run_alone

HERE = Path(__file__).parent
REFUSED = (UnsafeModelError, CorruptFileError)

pytestmark = pytest.mark.usefixtures("without_kernels")


def make(units: int = 3, **how: Any) -> Sequential:
    model = Sequential([Dense(units, input_dim=2, name="one"), Dense(2, name="two")], **how)
    model.compile("sgd", "mse")
    return model


def refused(call: Callable[[], Any], model: Any, match: str | None = None) -> str:
    """The call is refused, and the model is as it was; returns what the error says."""
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(REFUSED, match=match) as caught:
        call()
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    return str(caught.value)


def test_4_5_10_12_13_bombs_in_a_process_without_memory(tmp_path: Path) -> None:
    """Counts are printed; ``-s`` shows them."""
    pytest.importorskip("resource")
    done = run_alone(str(HERE / "bombs.py"), str(tmp_path), timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [one for one in said if one["came"] not in ("UnsafeModelError", "CorruptFileError")]
    assert not wrong, wrong
    assert len(said) >= 70
    print(f"\nbombs: {len(said)} refused, the process grew by {said[-1]['grown']} MB at most")


# -- 6: other files ---------------------------------------------------------------------------------------------------


def external(f: h5py.File, name: str, secret: Path) -> None:
    f.create_dataset(name, (2, 3), "f4", external=[(str(secret), 0, 24)])


def virtual(f: h5py.File, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "secret", shape=(2, 3))
    f.create_virtual_dataset(name, layout)


def external_link(f: h5py.File, name: str, secret: Path) -> None:
    f[name] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "/secret")


def soft_link(f: h5py.File, name: str, secret: Path) -> None:
    f["elsewhere"] = np.full((2, 3), 7, "float32")
    f[name] = h5py.SoftLink("/elsewhere")


def soft_loop(f: h5py.File, name: str, secret: Path) -> None:
    f[name] = h5py.SoftLink("/" + name)


def pipe(f: h5py.File, name: str, secret: Path) -> None:
    """A virtual data set of unlimited length, whose source is opened to find its length: a pipe would never open."""
    path = secret.with_name("pipe")
    if not path.exists():
        os.mkfifo(path)
    layout = h5py.VirtualLayout((2, 3), "f4", maxshape=(None, 3))
    source = h5py.VirtualSource(str(path), "secret", shape=(2, 3), maxshape=(None, 3))
    layout[: h5py.h5s.UNLIMITED, :] = source[: h5py.h5s.UNLIMITED, :]
    f.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("way", [external, virtual, external_link, soft_link, soft_loop, pipe])
@pytest.mark.parametrize("place", ["one/one/kernel:0", "two/two/bias:0"])
def test_6_nothing_comes_from_outside_the_file(way: Callable[..., None], place: str, tmp_path: Path) -> None:
    if way is pipe and not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    secret = tmp_path / "secret.bin"
    np.full(6, 1234.5, "float32").tofile(secret)
    with h5py.File(secret.with_suffix(".h5"), "w") as f:
        f["secret"] = np.full((2, 3), 1234.5, "float32")
    model = make()
    for save, inside in ((model.save_weights, ""), (model.save, "model_weights/")):
        path = tmp_path / "m.h5"
        save(path)
        with h5py.File(path, "r+") as f:
            del f[inside + place]
            way(f, inside + place, secret)
        other = make()
        refused(lambda: other.load_weights(path), other)  # noqa: B023 (called at once)
        refused(lambda: other.load_weights(path, by_name=True), other)  # noqa: B023
        if inside:
            refused(lambda: load_model(path), other)  # noqa: B023


@pytest.mark.parametrize("name", ["model_weights", "model_weights/one"])
def test_6_groups_are_not_links_either(name: str, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "other.h5")
    for link in (h5py.ExternalLink(str(tmp_path / "other.h5"), "/" + name), h5py.SoftLink("/elsewhere")):
        model.save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "r+") as f:
            f.move(name, "elsewhere")
            f[name] = link
        refused(lambda: load_model(tmp_path / "m.h5"), model)
        refused(lambda: model.load_weights(tmp_path / "m.h5"), model)


def test_6_a_report_of_all_that_is_not_to_be_trusted(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "m.h5")
    with guard.open_h5(tmp_path / "m.h5") as f:
        assert guard.survey(f) == []
        assert len(list(guard.walk(f))) == 9
    with h5py.File(tmp_path / "m.h5", "r+") as f:
        soft_loop(f, "a", tmp_path)
        external(f, "b", tmp_path / "x")
        f["c/c"] = f["model_weights"]
        f["c/round"] = f["c"]
        f["objects"] = np.array([f.ref], dtype=h5py.ref_dtype)
    with guard.open_h5(tmp_path / "m.h5") as f:
        assert len(guard.survey(f)) == 3
        with pytest.raises(UnsafeModelError):
            list(guard.walk(f))


def test_filters_that_hdf5_has_are_read_and_others_are_not(tmp_path: Path) -> None:
    data = np.arange(3000, dtype="float32")
    with h5py.File(tmp_path / "f.h5", "w") as f:
        for name, how in {
            "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
            "lzf": {"compression": "lzf", "shuffle": True},
            "plain": {},
            "chunks": {"chunks": (7,)},
            "growing": {"maxshape": (None,)},
            "big": {"dtype": ">f8"},
        }.items():
            f.create_dataset(name, data=data, **how)
        f.create_dataset("scaled", data=data.astype(int), scaleoffset=True)
    with guard.open_h5(tmp_path / "f.h5") as f:
        for name in ("gzip", "lzf", "plain", "chunks", "growing", "big"):
            np.testing.assert_array_equal(guard.array(f, name).read((3000,)), data)
        with pytest.raises(UnsafeModelError, match="filters number 6; known are gzip"):
            guard.array(f, "scaled")
        with pytest.raises(CorruptFileError, match=r"expected 'plain' of shape \(7,\); the file has \(3000,\)"):
            guard.array(f, "plain").read((7,))


# -- 7: not all of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("to", [None, "keras3"])
def test_7_a_file_that_is_cut_off(share: float, to: str | None, tmp_path: Path) -> None:
    model = make()
    endings = (".h5",) if to is None else (".keras", ".weights.h5")
    for ending in endings:
        whole = tmp_path / f"whole{ending}"
        (model.save if ending != ".weights.h5" else model.save_weights)(whole)
        data = whole.read_bytes()
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(data[: int(len(data) * share)])
        other = make()
        assert cut.name in refused(lambda: other.load_weights(cut), other)  # noqa: B023 (called at once)
        if ending != ".weights.h5":
            with pytest.raises(CorruptFileError, match=cut.name):
                load_model(cut)
        with pytest.raises(CorruptFileError):
            other.load_weights(io.BytesIO(cut.read_bytes()))


# -- 9: another model's -----------------------------------------------------------------------------------------------


def test_9_every_difference_is_named_and_nothing_assigned(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    Sequential([Dense(3, input_dim=2, name="one"), Dense(2, name="two")]).save_weights(path)
    wider = Sequential([Dense(4, input_dim=2, name="one"), Dense(2, name="two")])
    fewer = Sequential([Dense(3, input_dim=2, name="one")])
    more = Sequential([Dense(3, input_dim=2, name="one"), Dense(2, name="two"), Dense(1, name="three")])
    other = Sequential([LSTM(3, input_shape=(4, 2), name="one"), Dense(2, name="two")])
    for model, parts in (
        (wider, ("(2, 4)", "(2, 3)", "(4,)", "(3,)", "(4, 2)", "(3, 2)")),
        (fewer, ("two",)),
        (more, ("three",)),
        (other, ("one",)),
    ):
        before = [w.copy() for w in model.get_weights()]
        with pytest.raises(ValueError) as caught:
            model.load_weights(path)
        assert all(part in str(caught.value) for part in parts), str(caught.value)
        for a, b in zip(before, model.get_weights()):
            np.testing.assert_array_equal(a, b)


def test_9_names_that_are_listed_twice(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    make().save_weights(path)
    for change in (
        lambda f: f.attrs.__setitem__("layer_names", np.array([b"one", b"one"])),
        lambda f: f.attrs.__setitem__("layer_names", np.array([b"one", b"two", b"three"])),
        lambda f: f["one"].attrs.__setitem__("weight_names", np.array([b"one/kernel:0", b"one/kernel:0"])),
        lambda f: f["one"].attrs.__setitem__("weight_names", np.array([b"one/kernel:0"])),
    ):
        make().save_weights(path)
        with h5py.File(path, "r+") as f:
            change(f)
        model = make()
        before = [w.copy() for w in model.get_weights()]
        with pytest.raises(ValueError):
            model.load_weights(path)
        for a, b in zip(before, model.get_weights()):
            np.testing.assert_array_equal(a, b)


# -- 12: pickles ------------------------------------------------------------------------------------------------------


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def objects(*values: Any) -> np.ndarray:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def test_12_arrays_of_plain_objects_are_read_as_numpy_wrote_them(tmp_path: Path) -> None:
    arrays = {
        "reviews": objects([1, 2, 3], [4], []),
        "words": objects("one", b"two", None, 3.5, True, (1, 2)),
        "nested": objects(np.arange(3), [np.ones((2, 2)), {"a": np.float32(3)}], objects([1], np.int64(2))),
        "fortran": np.array([["a", 1], [None, 2.5]], dtype=object, order="F"),
        "plain": np.arange(6.0).reshape(2, 3),
        "text": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 3)),
        "big": np.arange(3, dtype=">i4"),
        "scalar": np.array(5),
    }
    found = load_npz(npz(tmp_path / "o.npz", **arrays))
    genuine = np.load(tmp_path / "o.npz", allow_pickle=True)
    assert set(found) == set(arrays)
    for name in arrays:
        assert found[name].dtype == genuine[name].dtype and found[name].shape == genuine[name].shape
        np.testing.assert_equal(found[name].tolist(), genuine[name].tolist())
    with pytest.raises(UnsafeModelError, match="is a pickle of objects"):
        load_npz(tmp_path / "o.npz", objects=False)


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def hostile_pickles(canary: str) -> dict[str, bytes]:
    proto = b"\x80\x02"
    numpy_word = b"cnumpy.core.multiarray\n_reconstruct\n"
    return {
        "os.system": pickle.dumps(Calls(os.system, f"touch {canary}")),
        "eval": pickle.dumps(Calls(eval, f"open({canary!r}, 'w')")),
        "getattr": pickle.dumps(Calls(getattr, "x", "upper")),
        "np.load": proto + b"cnumpy\nload\nX" + len(canary).to_bytes(4, "little") + canary.encode() + b"\x85R.",
        "np.fromfile": proto + b"cnumpy\nfromfile\nX\x01\x00\x00\x00a\x85R.",
        "word with a state": proto + numpy_word + b"}X\x01\x00\x00\x00aK\x01sb.",
        "word with slots": proto + numpy_word + b"N}X\x0c\x00\x00\x00__defaults__K\x01s\x86b.",
        "word of words": proto + b"cnumpy.core.multiarray\n_reconstruct.__class__\n.",
        "dtype of objects": pickle.dumps(np.dtype([("a", object)])),
        "only a dtype": pickle.dumps(np.dtype("f4")),
        "persistent": proto + b"X\x01\x00\x00\x00aQ.",
        "extension": proto + b"\x82\x01.",
        "long claim": proto + b"\x8e" + (1 << 60).to_bytes(8, "little") + b"abc.",
        "cut off": pickle.dumps([1, 2, 3])[:-3],
        "deep": proto + b"]" * 200_000 + b"a" * 199_999 + b".",
        "nothing": b"",
    }


@pytest.mark.parametrize("case", list(hostile_pickles("")))
def test_12_a_pickle_that_does_anything_is_refused(case: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("x.npy", head.getvalue() + hostile_pickles(str(canary))[case])
    with pytest.raises(REFUSED):
        load_npz(path)
    assert not canary.exists()
    np.savez(path, x=objects([Calls(os.system, f"touch {canary}")]))
    with pytest.raises(UnsafeModelError, match="system, which is never called"):
        load_npz(path)
    assert not canary.exists()


# -- 13: texts --------------------------------------------------------------------------------------------------------


def test_13_yaml_that_calls_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    canary = tmp_path / "canary"
    for text in (
        f"!!python/object/apply:os.system ['touch {canary}']",
        f"class_name: Sequential\nconfig: !!python/object/apply:subprocess.call [[touch, {canary}]]",
        f"!!python/object/new:os.system [touch {canary}]",
        "!!python/name:os.system",
        "!!python/module:antigravity",
        "class_name: !!python/object:collections.OrderedDict {}",
        "!unknown {a: 1}",
        "!<tag:yaml.org,2002:python/object/apply:os.getcwd> []",
    ):
        with pytest.raises(UnsafeModelError, match="asks for .*Nothing was called"):
            model_from_yaml(text)
    assert not canary.exists() and "antigravity" not in sys.modules


def test_13_yaml_of_old_keras_is_read() -> None:
    yaml = pytest.importorskip("yaml")
    text = """
        class_name: !!python/unicode 'Sequential'
        config:
        - class_name: !!python/str Dense
          config: &a {name: d, units: !!python/long 3, activation: !!python/unicode relu,
                      batch_input_shape: !!python/tuple [null, 2], trainable: !!python/bool true}
        - class_name: Activation
          config: {name: b, activation: tanh, again: *a}
    """.replace(", again: *a", "")
    model = model_from_yaml(text)
    assert model.get_weights()[0].shape == (2, 3)
    assert model_from_yaml(yaml.dump(json.loads(model.to_json()))).to_json() == model.to_json()
    assert model_from_yaml(model.to_yaml()).to_json() == model.to_json()
    shared = [1, 2]
    text = yaml.dump({"a": shared, "b": shared})
    assert "&" in text and guard.parse_yaml(text, "text") == {"a": shared, "b": shared}


def test_13_texts_that_are_no_configs() -> None:
    for text in ("", "{", "[1,", '{"a": 1, "a": 2}', "nul", "\x00", '"\\ud800', "{" * 50, "1" * 5000, "[1e999"):
        with pytest.raises(ValueError):
            model_from_json(text)
    for text in ("a: [", "a: &x [*x]", "<<: {a: 1}", "a: *nowhere", "\t- a", "a: b: c", "\x00", "? [a]: b"):
        with pytest.raises(ValueError):
            guard.parse_yaml(text, "text")
    for other in (None, 3, ["a"], {"class_name": "Sequential"}):
        for read in (model_from_json, model_from_yaml):
            with pytest.raises(TypeError, match="Read the file first"):
                read(other)


def test_13_nan_is_read_where_a_number_stands_only() -> None:
    config = json.loads(make().to_json())
    first = config["config"]["layers"][0]["config"]
    first["kernel_initializer"] = {"class_name": "Constant", "config": {"value": float("nan")}}
    assert np.isnan(model_from_json(json.dumps(config)).get_weights()[0]).all()  # as Python writes it, and Keras
    first["units"] = float("nan")
    with pytest.raises(ValueError):
        model_from_json(json.dumps(config))
