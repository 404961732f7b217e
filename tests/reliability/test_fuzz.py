"""Whatever reads a file loads a damaged one or refuses it: some hundred drawn damages, and what they found once.

``python -m tests.reliability.fuzz_readers`` goes on for as long as one likes, with coverage if one has atheris.
"""

from __future__ import annotations

import io
import json
import os
import random
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import autotensor as at
from keras_compat.layers import Dense, Layer
from keras_compat.models import Sequential, load_model, model_from_json, model_from_yaml, restore_state, save_state
from keras_compat.saving import guard
from keras_compat.saving.errors import CorruptFileError
from tests.reliability import fuzz_readers, mutations
from tests.reliability.mutations import Choices

pytestmark = pytest.mark.promise("fuzz")


@pytest.fixture(autouse=True)
def numpy_only() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def recipes(seed: int, count: int) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(fuzz_readers.LENGTH) for _ in range(count)]


def fuzz(seed: int, count: int) -> None:
    pytest.importorskip("resource")
    counts = fuzz_readers.run(minutes=60, seed=seed, each=min(count, fuzz_readers.EACH), most=count)
    print(f"\n{counts}")
    assert not counts.found, str(counts)
    assert counts.done == count
    read = sum(n for (_, outcome), n in counts.outcomes.items() if outcome == "read")
    assert count / 10 < read < count * 0.9, "the files are not damaged, or nothing is left of them"
    assert {reader for reader, _ in counts.outcomes} == {
        *("load_model", "load_weights", "model_from_json", "model_from_yaml", "inspect", "restore_state"),
        *("load_npz", "extract_archive"),
    }


def test_damaged_files_are_read_or_refused() -> None:
    fuzz(seed=1, count=200)


@pytest.mark.slow
def test_many_damaged_files_are_read_or_refused() -> None:
    fuzz(seed=2, count=10_000)


# -- the judge can tell ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.reliability.readers import Readers

    with at.config.use(numba=False):
        return Readers(tmp_path_factory.mktemp("readers"))


def broken(do: Callable[[Path], Any]) -> Any:
    from tests.reliability.readers import Subject

    return Subject("broken.bin", b"", (mutations.change_bytes,), do)


def network(path: Path) -> None:
    with socket.socket() as s:
        s.connect_ex(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda path: {}["a"], "KeyError"),
        (lambda path: [][1], "IndexError"),
        (lambda path: None.x, "AttributeError"),  # type: ignore[attr-defined]
        (lambda path: b"\xff".decode(), "UnicodeDecodeError"),
        (lambda path: json.loads("{"), "JSONDecodeError"),
        (lambda path: open("/etc/hostname").close(), "opened /etc/hostname"),
        (lambda path: subprocess.run(["true"]), "subprocess"),
        (network, "socket"),
    ],
)
def test_what_no_reader_may_do_is_noticed(readers: Any, do: Callable[[Path], Any], says: str) -> None:
    result = readers.read(broken(do), b"x")
    assert says in result.wrong, result


def test_a_clean_error_is_one(readers: Any) -> None:
    def refuse(path: Path) -> None:
        raise CorruptFileError("[load] cut off")

    assert readers.read(broken(refuse), b"x") == ("CorruptFileError", "", "")


def test_a_model_that_a_failed_load_changed_is_noticed() -> None:
    from tests.reliability.readers import keep_weights

    model = Sequential([Dense(1, input_dim=1)])

    def load() -> None:
        model.set_weights([np.ones((1, 1)) * 7, np.ones(1)])
        raise ValueError

    with pytest.raises(AssertionError, match="the model changed"):
        keep_weights(model, load)


def test_a_child_that_dies_is_counted(tmp_path: Path) -> None:
    counts = fuzz_readers.Counts()
    log = tmp_path / "1.json"
    log.with_suffix(".at").write_bytes(b"\x01\x02")
    counts.add(log, subprocess.CompletedProcess([], -11, "", "cov: 7 ft: 9 corp\nSegmentation fault"))
    assert counts.found["a child ended with -11"]["recipe"] == "0102" and counts.coverage == (7, 9)


def test_a_recipe_says_the_damage(readers: Any) -> None:
    """The same bytes, the same file; most differ from the whole one."""
    changed = 0
    for recipe in recipes(3, 40):
        reader, subject, data = readers.make(recipe)
        again = readers.make(recipe)
        assert (reader, subject.name) == (again[0], again[1].name)
        if subject.data[:2] != b"PK" and subject.data[:4] != b"\x89HDF":  # archives hold the time, HDF5 files may
            assert data == again[2]
        changed += data != subject.data
    assert changed > 30
    assert [Choices(b"\x05\x01").below(4), Choices(b"").of("abc")] == [1, "a"]


# -- what was found ---------------------------------------------------------------------------------------------------


def test_an_array_whose_header_never_ends() -> None:
    """NumPy's reader of headers lets an error of ``tokenize`` through."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (((("
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", data)
    with pytest.raises(CorruptFileError, match="is no array"):
        guard.load_npz(stream.getvalue())


@pytest.mark.parametrize("scalar", ["!!timestamp soon", "!!bool perhaps", "!!int ''", "!!float ''", "!!int _"])
def test_yaml_of_a_scalar_that_is_not_what_its_tag_says(scalar: str) -> None:
    """PyYAML raises AttributeError, KeyError or IndexError then."""
    with pytest.raises(CorruptFileError, match="no YAML"):
        model_from_yaml(f"class_name: Sequential\nconfig: {scalar}\n")


def test_a_checkpoint_whose_optimizer_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    """The weights were set before anybody looked at the shapes of the optimizer's state."""
    path = tmp_path / "state.h5"
    model = Sequential([Dense(2, input_dim=3)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    save_state(model, path)
    with h5py.File(path, "r+") as f:
        group = f["optimizer_weights"]
        name = next(n for n in group.attrs["weight_names"] if group[n].ndim == 2)
        values = group[name][()]
        del group[name]
        group[name] = values[None]
    fresh = Sequential([Dense(2, input_dim=3)])
    fresh.compile("adam", "mse")
    before = fresh.get_weights()
    with pytest.raises(ValueError, match="the optimizer's state.*Nothing was changed"):
        restore_state(fresh, path)
    for a, b in zip(before, fresh.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert os.path.exists(path)


def test_compile_settings_with_the_name_of_an_optimizer_alone(tmp_path: Path) -> None:
    """The class was taken for an optimizer, and the load ended in the middle of building the training step."""
    path = tmp_path / "m.h5"
    model = Sequential([Dense(2, input_dim=3)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    model.save(path, include_optimizer=True)
    with h5py.File(path, "r+") as f:
        settings = json.loads(f.attrs["training_config"])
        settings["optimizer_config"] = "Adam"
        f.attrs["training_config"] = json.dumps(settings).encode()
    loaded = load_model(path)
    assert type(loaded.optimizer).__name__ == "Adam"
    loaded.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))


BIG = 10**400


@pytest.mark.parametrize(
    "layer",
    [
        {"kernel_regularizer": {"class_name": "L1L2", "config": {"l1": BIG, "l2": 0}}},
        {"kernel_initializer": {"class_name": "Constant", "config": {"value": BIG}}},
        {"kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": BIG}}},
        {"units": float("inf")},
        ("Dropout", {"rate": BIG}),
        ("LeakyReLU", {"alpha": BIG}),
        ("BatchNormalization", {"epsilon": BIG}),
        ("Reshape", {"target_shape": [BIG]}),
    ],
    ids=lambda layer: str(layer)[:40],
)
def test_numbers_beyond_all_in_a_config(layer: Any) -> None:
    """Whole numbers of JSON have no end, and 'int too large to convert to float' is an OverflowError."""
    more = layer if isinstance(layer, dict) else {}
    layers = [{"class_name": "Dense", "config": {"units": 2, "batch_input_shape": [None, 3], **more}}]
    if not isinstance(layer, dict):
        layers.append({"class_name": layer[0], "config": layer[1]})
    with pytest.raises((CorruptFileError, ValueError, TypeError)):
        model_from_json(json.dumps({"class_name": "Sequential", "config": layers}))


def test_compile_settings_with_a_number_beyond_all(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    model = Sequential([Dense(2, input_dim=3)])
    model.compile("sgd", "mse")
    model.save(path)
    with h5py.File(path, "r+") as f:
        settings = json.loads(f.attrs["training_config"])
        settings["optimizer_config"]["config"]["momentum"] = BIG
        f.attrs["training_config"] = json.dumps(settings).encode()
    with pytest.raises(CorruptFileError, match="OverflowError"):
        load_model(path)


def test_an_error_of_the_users_own_layer_stays_what_it_is() -> None:
    class Mine(Layer):
        def call(self, inputs: Any) -> Any:
            return float(BIG)

    config = {"class_name": "Mine", "config": {"batch_input_shape": [None, 3]}}
    text = json.dumps({"class_name": "Sequential", "config": [config]})
    with pytest.raises(OverflowError):
        model_from_json(text, custom_objects={"Mine": Mine})
