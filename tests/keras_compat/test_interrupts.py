"""Training that ends by an exception or by Ctrl-C: every callback is told, files are whole, the model can be used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model
from tests.keras_compat import event_files
from tests.keras_compat.children import environment

pytestmark = pytest.mark.usefixtures("without_kernels")

X, Y = np.random.RandomState(0).standard_normal((12, 3)), np.ones(12)


def model() -> Any:
    np.random.seed(0)
    network = Sequential([Dense(2, input_dim=3), Dense(1)])
    network.compile("adam", "mse")
    return network


class Told(C.Callback):
    """Notes how training began and ended."""

    def __init__(self, name: str, notes: list[str]):
        super().__init__()
        self.name, self.notes = name, notes

    def on_train_begin(self, logs: Any = None) -> None:
        self.notes.append(f"{self.name} begins")

    def on_train_end(self, logs: Any = None) -> None:
        self.notes.append(f"{self.name} ends{' interrupted' * bool(self.params.get('interrupted'))}")


class Own(Exception):
    pass


HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_train_batch_begin",
    "on_batch_end",
    "on_test_batch_end",
    "on_epoch_end",
    "on_train_end",
]


def fails(hook: str, error: BaseException, after: int = 1) -> C.Callback:
    """Return a callback that raises in a hook when it is called for that time."""
    calls = []

    def fail(*args: Any) -> None:
        calls.append(args)
        if len(calls) == after:
            raise error

    callback = C.Callback()
    setattr(callback, hook, fail)
    return callback


@pytest.mark.promise(35, 36)
@pytest.mark.parametrize("kind", [Own, KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit, MemoryError])
@pytest.mark.parametrize("hook", HOOKS)
def test_whatever_raises_comes_out_and_all_are_told(hook: str, kind: type[BaseException], tmp_path: Path) -> None:
    error, notes = kind("as it was"), []  # type: ignore[var-annotated]
    logger = C.CSVLogger(tmp_path / "log.csv")
    network = model()
    with pytest.raises(kind) as raised:
        network.fit(
            X,
            Y,
            verbose=0,
            validation_split=0.25,
            callbacks=[Told("first", notes), logger, fails(hook, error), Told("last", notes)],
        )
    assert raised.value is error and raised.value.__cause__ is None
    if hook == "on_train_begin":
        assert notes == ["first begins", "first ends interrupted"]  # the last one had not begun
    elif hook == "on_train_end":
        assert notes == ["first begins", "last begins", "first ends", "last ends interrupted"]
    else:
        assert notes == ["first begins", "last begins", "first ends interrupted", "last ends interrupted"]
    assert logger.csv_file is not None and logger.csv_file.closed
    again = network.fit(X, Y, epochs=2, verbose=0)
    assert np.isfinite(again.history["loss"]).all()


@pytest.mark.promise(35)
def test_training_after_an_interruption_is_as_if_there_had_been_none() -> None:
    expected, interrupted = model(), model()
    expected.fit(X, Y, epochs=1, shuffle=False, verbose=0)
    expected.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        stop = fails("on_epoch_end", KeyboardInterrupt())
        interrupted.fit(X, Y, epochs=5, shuffle=False, verbose=0, callbacks=[stop])
    assert interrupted.history.epoch == []  # the callback came before History
    interrupted.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(expected.get_weights(), interrupted.get_weights()):
        assert np.array_equal(a, b)


@pytest.mark.promise(36)
def test_what_on_train_end_raises_then_is_a_warning() -> None:
    notes: list[str] = []
    callbacks = [fails("on_train_end", Own("second")), fails("on_epoch_end", Own("first")), Told("last", notes)]
    with pytest.raises(Own, match="first"), pytest.warns(UserWarning, match="on_train_end raised Own: second"):
        model().fit(X, Y, verbose=0, callbacks=callbacks)
    assert notes[-1] == "last ends interrupted"


@pytest.mark.promise(36)
def test_a_generator_that_fails(tmp_path: Path) -> None:
    def batches() -> Any:
        yield X, Y
        raise Own("no more")

    notes: list[str] = []
    with pytest.raises(Own, match="no more"):
        model().fit_generator(batches(), 5, verbose=0, callbacks=[Told("one", notes), C.CSVLogger(tmp_path / "log")])
    assert notes == ["one begins", "one ends interrupted"]


@pytest.mark.promise(36, 37)
def test_a_bar_that_is_left_ends_its_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(Own):
        model().fit(X, Y, batch_size=1, callbacks=[fails("on_batch_end", Own(), after=5)])
    text = capsys.readouterr().out
    assert " 1/12 [=>....." in text and text.endswith("\n")


def test_callbacks_of_a_list_called_by_hand() -> None:
    notes: list[str] = []
    listed = C.CallbackList([Told("one", notes)])
    listed.set_params({})
    with listed.training():
        pass
    listed.on_train_begin()
    listed.on_train_end()
    assert notes == ["one begins", "one ends"] * 2


# -- processes --------------------------------------------------------------------------------------------------------

PROGRAM = """
import json, signal, sys, time
import numpy as np
from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential

folder, how = sys.argv[1:]
if how == "polite":
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(143))

np.random.seed(0)
model = Sequential([Dense(2, input_dim=3), Dense(1)])
model.compile("adam", "mse")
x, y = np.random.standard_normal((12, 3)), np.ones(12)


class Slow(C.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2 and how != "through":  # the row is written, the backup of the epoch is not
            print("ready", flush=True)
            time.sleep(100)

    def on_train_end(self, logs=None):
        with open(folder + "/ended.json", "w") as file:
            json.dump({"interrupted": bool(self.params.get("interrupted")), "epochs": len(model.history.epoch)}, file)


callbacks = [
    C.CSVLogger(folder + "/log.csv"),
    C.TensorBoard(folder + "/logs"),
    C.ModelCheckpoint(folder + "/model.h5"),
    Slow(),
    C.BackupAndRestore(folder + "/backup"),
]
history = model.fit(x, y, epochs=5, batch_size=4, verbose=0, callbacks=callbacks)
print(json.dumps(history.history["loss"]))
"""


def interrupted(folder: Path, how: str, number: int) -> int:
    """Run the program until its third epoch, send it a signal, and return how it ended."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(AUTOTENSOR_NUMBA="0", OPENBLAS_NUM_THREADS="1"),
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            process.send_signal(number)
            _, told = process.communicate(timeout=120)
        finally:
            process.kill()
        assert "Warning" not in told
        return process.returncode


def check_files(folder: Path) -> None:
    """All files are whole."""
    rows = (folder / "log.csv").read_bytes().decode().split("\r\n")
    assert rows[0] == "epoch,loss" and rows[-1] == "" and all(row.count(",") == 1 for row in rows[1:-1])
    assert load_model(folder / "model.h5").predict(X).shape == (12, 1)
    (events,) = (folder / "logs").glob("events*")
    assert event_files.read(events)
    assert (folder / "backup" / "training_state.h5").exists()
    assert len(rows) == 1 + 3 + 1


def go_on(folder: Path) -> None:
    """The next run goes to the end and leaves no backup."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), "through"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(AUTOTENSOR_NUMBA="0", OPENBLAS_NUM_THREADS="1"),
        check=True,
    )
    losses = json.loads(ended.stdout)
    assert len(losses) == 5 and not (folder / "backup").exists()
    rows = (folder / "log.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(i) for i in range(len(losses))]
    assert [row.split(",")[1] for row in rows] == [str(loss) for loss in losses]


@pytest.mark.promise(35)
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c(tmp_path: Path) -> None:
    assert interrupted(tmp_path, "", signal.SIGINT) == -signal.SIGINT  # 130 in a shell
    ended = json.loads((tmp_path / "ended.json").read_text())
    assert ended == {"interrupted": True, "epochs": 2}
    check_files(tmp_path)
    go_on(tmp_path)


@pytest.mark.promise("interrupts")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["polite", ""])
def test_a_process_that_is_ended(tmp_path: Path, how: str) -> None:
    """SIGTERM is an exit with callbacks told, by a handler of the program or by ours."""
    assert interrupted(tmp_path, how, signal.SIGTERM) == 143
    assert json.loads((tmp_path / "ended.json").read_text())["interrupted"]
    check_files(tmp_path)
    go_on(tmp_path)


WORKERS = """
import os, sys
import numpy as np
from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import Sequence


class Batches(Sequence):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
        return np.ones((4, 3)), np.ones((4, 1))


if __name__ == "__main__":
    model = Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    say = C.LambdaCallback(
        on_epoch_end=lambda epoch, logs: print("ready", flush=True) if epoch == 2 else None,
        on_train_end=lambda logs: print("ended", flush=True),
    )
    model.fit_generator(Batches(), epochs=10**6, workers=2, use_multiprocessing=True, verbose=0, callbacks=[say])
"""


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.promise(31, 35)
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_processes_that_make_batches(tmp_path: Path) -> None:
    """The terminal sends it to all of them."""
    (tmp_path / "program.py").write_text(WORKERS)
    (tmp_path / "made").mkdir()
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "made")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(AUTOTENSOR_NUMBA="0", OPENBLAS_NUM_THREADS="1"),
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            os.killpg(process.pid, signal.SIGINT)
            printed, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT and printed.splitlines()[-1] == "ended"
    made = [int(path.name) for path in (tmp_path / "made").iterdir()]
    assert made and process.pid not in made
    deadline = time.monotonic() + 60
    while any(map(is_there, made)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_there, made))


# -- numbers that are none --------------------------------------------------------------------------------------------

BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "x": lambda: {"x": with_bad(X), "y": Y},
    "y": lambda: {"x": X, "y": with_bad(Y)},
    "sample_weight": lambda: {"x": X, "y": Y, "sample_weight": with_bad(np.ones(12))},
}


def with_bad(array: np.ndarray, value: float = np.nan) -> np.ndarray:
    copied = array.copy()
    copied[7] = value
    return copied


@pytest.mark.parametrize("where", BAD)
def test_nan_in_the_data_makes_the_loss_nan_and_training_goes_on(where: str) -> None:
    """As in Keras: nobody asked for a stop."""
    history = model().fit(**BAD[where](), batch_size=4, shuffle=False, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2 and np.isnan(history["loss"]).all()


@pytest.mark.promise(20)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", BAD)
def test_terminate_on_nan_stops_after_the_bad_batch(where: str, value: float) -> None:
    """The weights have the bad batch's update in them, as Keras's have."""
    data = BAD[where]()
    key = {"x": "x", "y": "y"}.get(where, where)
    data[key] = with_bad(X if key == "x" else Y, value)
    batches: list[int] = []
    network = model()
    spy = C.LambdaCallback(on_batch_end=lambda batch, logs: batches.append(batch))
    with np.errstate(all="ignore"):
        network.fit(**data, batch_size=4, shuffle=False, epochs=3, verbose=0, callbacks=[C.TerminateOnNaN(), spy])
    assert batches == [0, 1] and network.history.epoch == [0]
    assert not all(np.isfinite(w).all() for w in network.get_weights())


@pytest.mark.promise(20)
@pytest.mark.parametrize("where", BAD)
def test_terminate_on_nan_goes_back_if_told(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = model()
    expected.fit(X[:4], Y[:4], batch_size=4, shuffle=False, verbose=0)
    network = model()
    network.fit(
        **BAD[where](),
        batch_size=4,
        shuffle=False,
        epochs=3,
        verbose=0,
        callbacks=[C.TerminateOnNaN(restore_finite_weights=True)],
    )
    for a, b in zip(expected.get_weights(), network.get_weights()):
        assert np.array_equal(a, b)
    assert capsys.readouterr().out == "Batch 1: Invalid loss, terminating training\n"


@pytest.mark.promise(20)
def test_weights_that_are_not_finite_from_the_start() -> None:
    network = model()
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    network.fit(X, Y, verbose=0, callbacks=[C.TerminateOnNaN(restore_finite_weights=True)])
    assert network.history.epoch == [0]
