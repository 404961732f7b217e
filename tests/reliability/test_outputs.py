"""Disks without room, folders that go, too few descriptors, too little memory: what the system really says then.

Errors of writing that are made up are in ``tests/keras_compat/test_streams.py`` and ``test_tensorboard.py``; models on
a full disk are in ``test_never_lost.py``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model
from tests.keras_compat import children, event_files

pytestmark = [pytest.mark.usefixtures("without_kernels"), pytest.mark.promise(38)]

LIMITS = """
import json, os, resource, sys, warnings
import numpy as np
from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from tests.keras_compat.data_sequences import Batches

folder = sys.argv[1]
x, y = np.random.RandomState(0).standard_normal((8, 5)), np.ones((8, 2))
told = []
tells = C.LambdaCallback(
    on_train_begin=lambda logs: told.append(1), on_train_end=lambda logs: told.append(-1)
)
said = {}


def model():
    np.random.seed(0)
    made = Sequential([Dense(40, input_dim=5), Dense(2)])
    made.compile("adam", "mse")
    return made


def under(name, kind, limit, call):
    before = resource.getrlimit(kind)
    told.clear()
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        resource.setrlimit(kind, (limit, before[1]))
        try:
            call()
            error = None
        except Exception as came:
            error = came
        finally:
            resource.setrlimit(kind, before)
    said[name] = {
        "error": error and [type(error).__name__, str(error)],
        "warnings": [str(one.message) for one in met],
        "told": sum(told) == 0,
    }


def fit(*callbacks, epochs=3, network=None, **given):
    (network or model()).fit(x, y, epochs=epochs, verbose=0, callbacks=[*callbacks, tells], **given)


def in_memory():
    for line in open("/proc/self/status"):
        if line.startswith("VmSize"):
            return int(line.split()[1]) * 1024


model().save(folder + "/model.h5")
fit(C.BackupAndRestore(folder + "/none"))
size = resource.RLIMIT_FSIZE
under("CSVLogger", size, 500, lambda: fit(C.CSVLogger(folder + "/log.csv"), epochs=50))
under("TensorBoard", size, 900, lambda: fit(C.TensorBoard(folder + "/logs", write_graph=False), epochs=50))
under("ModelCheckpoint", size, 9000, lambda: fit(C.ModelCheckpoint(folder + "/model.h5")))
under("BackupAndRestore", size, 9000, lambda: fit(C.BackupAndRestore(folder + "/backup")))

network = model()
fit(network=network)
files = resource.RLIMIT_NOFILE
few = len(os.listdir("/proc/self/fd")) - 1
under("no file for a log", files, few, lambda: fit(C.CSVLogger(folder + "/other.csv"), network=network))
under("no file for a model", files, few, lambda: network.save(folder + "/model.h5"))
under(
    "no socket for a worker",
    files,
    few,
    lambda: network.fit(Batches(3), verbose=0, workers=2, use_multiprocessing=True, callbacks=[tells]),
)

network = model()
network.predict(x)
fit(network=network, shuffle=False)
memory, little = resource.RLIMIT_AS, in_memory() + 100_000_000
many = np.broadcast_to(np.float32(1), (10**8, 5))
weights = network.get_weights()
under("no memory to predict", memory, little, lambda: network.predict(many))
under(
    "no memory to train",
    memory,
    little,
    lambda: network.fit(many, np.broadcast_to(np.float32(1), (10**8, 2)), verbose=0, callbacks=[tells]),
)
said["weights are the same"] = all(map(np.array_equal, weights, network.get_weights()))
other = model()
fit(network=other, shuffle=False)
for one in (network, other):
    one.train_on_batch(x, y)
said["goes on as it would"] = bool(np.array_equal(network.predict(x), other.predict(x)))
print(json.dumps(said))
"""


@pytest.mark.promise(36)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_limits_of_the_system(tmp_path: Path) -> None:
    """Logs end with a warning and training goes on; models, backups and memory are errors, and old files stay."""
    done = children.run_alone("-c", LIMITS, str(tmp_path), timeout=240)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for name in ("CSVLogger", "TensorBoard"):
        assert said[name]["error"] is None and said[name]["told"]
        (warning,) = said[name]["warnings"]
        assert warning.startswith(f"[{name}] could not write to") and "File too large. Training goes on" in warning
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert 10 < len(rows) < 50 and {row.count(",") for row in rows} == {1}
    (events,) = (tmp_path / "logs").iterdir()
    assert 1 < len(event_files.read(events)) < 50
    for name, file in (("ModelCheckpoint", "model.h5"), ("BackupAndRestore", "training_state.h5")):
        kind, text = said[name]["error"]
        assert kind == "OSError" and f"{file} could not be written: File too large" in text and said[name]["told"]
    assert load_model(tmp_path / "model.h5").predict(np.ones((1, 5))).shape == (1, 2)
    assert list((tmp_path / "backup").iterdir()) == []
    kind, text = said["no file for a log"]["error"]
    assert kind == "OSError" and "Too many open files" in text and "other.csv" in text
    kind, text = said["no file for a model"]["error"]
    assert kind == "OSError" and "model.h5 could not be written: Too many open files" in text
    kind, text = said["no socket for a worker"]["error"]
    assert kind == "OSError" and "Too many open files" in text and said["no socket for a worker"]["told"]
    for name in ("no memory to predict", "no memory to train"):
        assert said[name]["error"][0] in ("MemoryError", "_ArrayMemoryError"), said[name]
    assert said["no memory to train"]["told"]
    assert said["weights are the same"] and said["goes on as it would"]


def model() -> Any:
    network = Sequential([Dense(2, input_dim=3)])
    network.compile("sgd", "mse")
    return network


X, Y = np.random.RandomState(0).standard_normal((12, 3)), np.ones((12, 2))


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder with open files stays")
def test_a_folder_of_logs_that_is_removed_meanwhile(tmp_path: Path) -> None:
    """Nobody can read the logs any more; that ends no training. A model has no place to go: an error that names it."""
    folder = tmp_path / "run"
    folder.mkdir()
    remove = C.LambdaCallback(on_epoch_end=lambda epoch, logs: shutil.rmtree(folder, ignore_errors=True))
    history = model().fit(
        X, Y, epochs=3, verbose=0, callbacks=[remove, C.CSVLogger(folder / "log.csv"), C.TensorBoard(folder / "logs")]
    )
    assert history.epoch == [0, 1, 2] and not folder.exists()
    folder.mkdir()
    ended: list[bool] = []
    told = C.LambdaCallback(on_train_end=lambda logs: ended.append(True))
    network = model()
    with pytest.raises(FileNotFoundError, match=r"the folder .*run does not exist. Create it first"):
        network.fit(X, Y, verbose=0, callbacks=[remove, C.ModelCheckpoint(folder / "model.h5"), told])
    assert ended == [True]
    network.fit(X, Y, verbose=0)


def test_a_folder_of_backups_that_is_removed_is_made_again(tmp_path: Path) -> None:
    remove = C.LambdaCallback(on_epoch_begin=lambda epoch, logs: shutil.rmtree(tmp_path / "b", ignore_errors=True))

    class Stops(C.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        model().fit(X, Y, epochs=5, verbose=0, callbacks=[remove, C.BackupAndRestore(tmp_path / "b", 1), Stops()])
    again = model()
    history = again.fit(X, Y, epochs=5, verbose=0, callbacks=[C.BackupAndRestore(tmp_path / "b", 1)])
    assert history.epoch == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.promise(37)
def test_an_output_that_is_closed_while_training(verbose: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the second epoch on there is nobody to write to."""
    with open(tmp_path / "out", "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        close = C.LambdaCallback(on_epoch_begin=lambda epoch, logs: out.close() if epoch else None)
        history = model().fit(X, Y, batch_size=4, epochs=4, verbose=verbose, callbacks=[close])
        monkeypatch.undo()
    assert history.epoch == [0, 1, 2, 3]
    assert "Epoch 1/4" in (tmp_path / "out").read_text()
