"""What is saved is never lost: killed writers, full disks, closed folders, files that do not fit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model

MODEL = """
import sys
import numpy as np
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model

model = Sequential([Dense(200, input_dim=200), Dense(200)])
model.compile('adam', 'mse')

def fill(value):
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
"""


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", MODEL + textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def values(path: Path) -> set[float]:
    """The different numbers among the weights in a file; a whole file has one."""
    return {float(v) for w in load_model(path).get_weights() for v in np.unique(w)}


WRITER = """
    value = 0
    while True:
        value += 1
        fill(value)
        model.save(sys.argv[1])
        print(value, flush=True)
"""


def kill_while_saving(path: Path, seed: int) -> None:
    writer = python(WRITER, str(path))
    try:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first, writer.stderr.read() if writer.stderr else ""
        time.sleep(random.Random(seed).uniform(0.0, 0.06))
    finally:
        writer.send_signal(signal.SIGKILL)
    said, _ = writer.communicate()
    done = int(([first, *said.split()])[-1])
    found = values(path)
    assert len(found) == 1 and found <= {float(done), float(done + 1)}


def test_a_killed_writer_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    for seed in range(2):
        kill_while_saving(tmp_path / "model.h5", seed)


@pytest.mark.slow
def test_twenty_killed_writers(tmp_path: Path) -> None:
    for seed in range(20):
        kill_while_saving(tmp_path / "model.h5", seed)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files here")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    writer = python(
        """
        import resource
        fill(1)
        model.save(sys.argv[1])
        fill(2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for save in (model.save, model.save_weights):
            try:
                save(sys.argv[1])
            except OSError as error:
                print('refused')
        print(model.get_weights()[0][0, 0], model.predict(np.ones((1, 200))).shape)
        """,
        str(path),
    )
    said, complaints = writer.communicate()
    assert writer.returncode == 0, complaints
    assert said.split("\n")[:3] == ["refused", "refused", "2.0 (1, 200)"]
    assert values(path) == {1.0}
    assert os.listdir(tmp_path) == ["model.h5"]


def make(units: int = 3) -> Sequential:
    model = Sequential([Dense(units, input_dim=2), Dense(2)])
    model.compile("adam", "mse")
    return model


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_closed_folder_keeps_its_file(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "model.h5")
    before = (tmp_path / "model.h5").read_bytes()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError):
            make().save(tmp_path / "model.h5")
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "model.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["model.h5"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.h5"
    model = make()
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("keras_compat.saving.h5.write_weights", lambda *_: 1 / 0)
    for save in (model.save, model.save_weights):
        with pytest.raises(ZeroDivisionError):
            save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.h5"]


def test_bad_targets_of_save(tmp_path: Path) -> None:
    model = make()
    with pytest.raises(IsADirectoryError, match="is a folder. Add a name"):
        model.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist. Create it first"):
        model.save(tmp_path / "no" / "model.h5")
    for target in (None, 3, ""):
        with pytest.raises(TypeError, match=r"\[save\] expected a path, a binary stream or an open h5py.File"):
            model.save(target)
    assert os.listdir(tmp_path) == []


def refused_load(model: Any, path: Any, error: type[Exception], match: str, **kwargs: Any) -> None:
    """The load fails, and the model is as it was: weights, optimizer and use."""
    before = model.get_weights()
    with pytest.raises(error, match=match):
        model.load_weights(path, **kwargs)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 2)))


def test_files_that_are_cut_off_or_something_else(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    for size in (0, 7, 100, 2000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        refused_load(model, tmp_path / "cut.h5", OSError, "no HDF5 file, or not all of one")
        with pytest.raises(OSError, match="no HDF5 file, or not all of one"):
            load_model(tmp_path / "cut.h5")
    (tmp_path / "text.h5").write_text("loss: 0.1\n" * 100)
    refused_load(model, tmp_path / "text.h5", OSError, "Was it written by save")
    refused_load(model, tmp_path, OSError, "is a folder")
    refused_load(model, tmp_path / "none.h5", OSError, "does not exist. Check the path")
    refused_load(model, None, TypeError, "expected a path, a binary stream or an open h5py.File; got None")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = np.zeros(3)
    refused_load(model, tmp_path / "other.h5", ValueError, "no `layer_names`")


def test_bytes_changed_within_a_file_never_change_part_of_a_model(tmp_path: Path) -> None:
    model = make()
    model.save_weights(tmp_path / "w.h5")
    whole = bytearray((tmp_path / "w.h5").read_bytes())
    wanted = [w.copy() for w in model.get_weights()]
    rng = random.Random(5)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(8):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "d.h5").write_bytes(damaged)
        other = make()
        before = [w.copy() for w in other.get_weights()]
        try:
            other.load_weights(tmp_path / "d.h5")
        except Exception:
            assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights()))
        else:
            assert [w.shape for w in other.get_weights()] == [w.shape for w in wanted]


def test_all_mismatches_in_one_error(tmp_path: Path) -> None:
    make(3).save_weights(tmp_path / "w.h5")
    model = make(5)
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        model.load_weights(tmp_path / "w.h5")
    text = str(caught.value)
    assert (
        "3 places" in text
        and "(2, 5)" in text
        and "(5,)" in text
        and "(5, 2)" in text
        and "Nothing was changed" in text
    )
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_weights_beside_their_layers_are_counted(tmp_path: Path) -> None:
    Sequential([Dense(3, input_dim=2)]).save_weights(tmp_path / "w.h5")
    refused_load(make(), tmp_path / "w.h5", ValueError, "containing 1 layers into a model with 2 layers")
    refused_load(make(), tmp_path / "w.h5", ValueError, "skip_mismatch can only", skip_mismatch=True)
