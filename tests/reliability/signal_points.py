"""Signals at every point of a program: what ``test_interrupts`` uses, and by hand goes through all points.

    python -m tests.reliability.signal_points [SCENARIO ...] [--every 1] [--signal SIGINT] [--twice 0]

A scenario is run once and the functions it enters and leaves are counted, Python's and C's. Then it is run anew for
each of these points, and there a signal arrives, as from outside: Python hears of it at its next instruction. After
each the scenario says whether all is as promised.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import gc
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import callbacks as C
from keras_compat.engine import generators
from keras_compat.layers import BatchNormalization, Dense
from keras_compat.models import Sequential, load_model
from keras_compat.utils import interrupts
from tests.keras_compat import event_files
from tests.keras_compat.data_sequences import Batches

# -- signals at a point -----------------------------------------------------------------------------------------------

_set_interrupt = ctypes.pythonapi.PyErr_SetInterruptEx
_set_interrupt.argtypes = [ctypes.c_int, ctypes.py_object]  # the second is for the property, and not looked at


def arriving(number: int) -> Any:
    """An object whose attribute ``now`` sends a signal when it is read; after a call Python raises in the caller."""
    return type("Arriving", (), {"now": property(functools.partial(_set_interrupt, int(number)))})()


def events_of(call: Callable[[], Any], points: Sequence[int] = (), number: int = signal.SIGINT) -> int:
    """How many functions a call enters and leaves; a signal arrives at each of some of these, in ascending order."""
    arrives, count, waiting = arriving(number), 0, list(points)

    def hook(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += 1
        if waiting and count == waiting[0]:
            del waiting[0]
            if not waiting:
                sys.setprofile(None)
            arrives.now

    interrupts._HELPERS.add(__name__)  # the hook is nobody's function
    sys.setprofile(hook)
    try:
        call()
    finally:
        sys.setprofile(None)
        interrupts._HELPERS.discard(__name__)
    return count


# -- what is looked at ------------------------------------------------------------------------------------------------


class Told(C.Callback):
    """Counts how often it was told of beginning and end."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.ended = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.begun += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.ended += 1


X = np.random.RandomState(0).standard_normal((12, 5)).astype("float32")
Y = X[:, :2] * 2 + 1


def network() -> Any:
    np.random.seed(0)
    K.clear_session()
    made = Sequential([Dense(4, input_dim=5), BatchNormalization(), Dense(2)])
    made.compile("adam", "mse", metrics=["mae"])
    return made


def state(model: Any) -> bytes:
    """Weights and all that the optimizer knows."""
    return b"".join(w.tobytes() for w in [*model.get_weights(), *model.optimizer.get_weights()])


class States(C.Callback):
    """Notes the state after each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[bytes] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.found.append(state(self.model))

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.found.append(state(self.model))


class Scenario:
    """A program to interrupt: ``act`` in a folder of its own, and what has to be true afterwards."""

    twice = False  # a second signal came, which does not wait for the end of a step

    def __init__(self, folder: Path):
        self.folder = folder

    def act(self) -> Any:
        raise NotImplementedError

    def check(self, error: BaseException | None) -> None:
        """What has to be true after an interruption, or (None) without one."""


class Fit(Scenario):
    """Training on arrays, with validation and all callbacks that hold something, of a model that was trained before."""

    model: Any = None
    first: Any
    reference: list[bytes]
    later: dict[bytes, bytes]
    result: bytes

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.model = self.fresh()
        self.told = [Told(), Told()]
        self.logger = C.CSVLogger(folder / "log.csv", append=True)
        self.board = C.TensorBoard(folder / "logs", write_graph=False)
        self.checkpoint = C.ModelCheckpoint(folder / "model.h5", save_best_only=True)
        self.early = C.EarlyStopping("loss", patience=5, restore_best_weights=True)
        self.backup = C.BackupAndRestore(folder / "backup")

    @classmethod
    def fresh(cls) -> Any:
        """The model as it was at first, its graphs ready."""
        if Fit.model is None:
            Fit.model = made = network()
            made.train_on_batch(X[:4], Y[:4])
            made.evaluate(X[:4], Y[:4], verbose=0)
            Fit.first = network().get_weights(), [np.zeros_like(w) for w in made.optimizer.get_weights()]
        Fit.model.set_weights(Fit.first[0])
        Fit.model.optimizer.set_weights(Fit.first[1])
        return Fit.model

    def callbacks(self) -> list[Any]:
        first, last = self.told
        return [first, self.logger, self.board, self.checkpoint, self.early, C.ProgbarLogger(), self.backup, last]

    def fit(self, more: Sequence[Any] = ()) -> Any:
        return self.model.fit(
            X[:8], Y[:8], 4, 2, callbacks=[*self.callbacks(), *more], validation_data=(X[8:], Y[8:]), shuffle=False
        )

    def act(self) -> None:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            self.fit()

    @classmethod
    def prepare(cls, folder: Path) -> None:
        """The state after each batch of a whole run, and after one more batch."""
        states, whole = States(), cls(folder)
        cls.reference, cls.later = [state(whole.model)], {}
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            whole.fit([states])
        cls.reference, cls.result = [*cls.reference, *states.found], state(whole.model)

    def check(self, error: BaseException | None) -> None:
        now, torn = state(self.model), False
        if error is not None:
            trace = traceback.extract_tb(error.__traceback__)
            frames = {frame.name for frame in trace}
            begins, ends = "on_train_begin" in frames, "on_train_end" in frames
            torn = self.twice and any(frame.filename == "<autotensor plan>" for frame in trace)
            assert torn or now in self.reference, "a part of a step is in the weights"
        else:
            begins = ends = False
        assert all(told.ended <= told.begun <= 1 for told in self.told)
        not_told = sum(told.begun - told.ended for told in self.told)
        # The second signal may have ended the very callback that was being told.
        assert not_told <= (1 if self.twice or begins or ends else 0), "somebody was not told of the end"
        if not begins and not self.twice:
            assert self.logger.csv_file is None or self.logger.csv_file.closed, "the log is open"
            assert self.board._writer is None, "the events are open"
        self.check_files()
        # The same model can train on, and comes to where it would have come.
        if error is not None and not torn:
            weights, known = self.model.get_weights(), self.model.optimizer.get_weights()
            self.model.train_on_batch(X, Y)
            later = state(self.model)
            if now not in self.later:
                other = network()
                other.train_on_batch(X, Y)  # so that the optimizer has its weights
                other.set_weights(weights)
                other.optimizer.set_weights(known or [np.zeros_like(w) for w in other.optimizer.get_weights()])
                other.train_on_batch(X, Y)
                self.later[now] = state(other)
            assert later == self.later[now], "what comes later is something else"

    def check_files(self) -> None:
        for path in self.folder.rglob("*"):
            assert not path.name.endswith(".tmp"), f"{path} was left"
            if path.name == "log.csv":
                rows = path.read_bytes().decode().split("\r\n")
                assert rows[-1] == "" and len({row.count(",") for row in rows[:-1]}) <= 1, rows
            elif path.name == "model.h5":
                load_model(path)
            elif "tfevents" in path.name:
                event_files.read(path)


class First(Fit):
    """The same with a model that was never trained: its graphs are made meanwhile."""

    @classmethod
    def fresh(cls) -> Any:
        return network()


class GoesOn(Fit):
    """Training with a backup: the same program again brings it to the end of a training without interruption."""

    def check(self, error: BaseException | None) -> None:
        super().check(error)
        if error is not None:
            again = type(self)(self.folder)
            again.act()
            assert state(again.model) == self.result, "the training that went on came to something else"
            again.check_files()
            assert not (self.folder / "backup").exists()


class Ahead(Fit):
    """Training on a sequence whose batches a thread makes ahead."""

    given: dict[str, Any] = {"workers": 1}

    def callbacks(self) -> list[Any]:
        first, last = self.told
        return [first, self.logger, self.board, self.checkpoint, C.ProgbarLogger(), last]

    def fit(self, more: Sequence[Any] = ()) -> Any:
        np.random.seed(3)  # for the order of the second pass
        data, validation = Batches(4, noise=0.0), Batches(2, noise=0.0)
        always, generators.WORTH_A_THREAD = generators.WORTH_A_THREAD, -1.0
        try:
            return self.model.fit_generator(
                data,
                epochs=2,
                validation_data=validation,
                shuffle=False,
                max_queue_size=2,
                callbacks=[*self.callbacks(), *more],
                **self.given,
            )
        finally:
            generators.WORTH_A_THREAD = always


class Processes(Ahead):
    """The same with two processes that make them."""

    given = {"workers": 2, "use_multiprocessing": True}


class Looks(Scenario):
    """Evaluation and prediction."""

    wanted: Any

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.model = Fit.fresh()

    def act(self) -> tuple[list[float], bytes]:
        return self.model.evaluate(X, Y, batch_size=5, verbose=0), self.model.predict(X, batch_size=5).tobytes()

    def check(self, error: BaseException | None) -> None:
        assert state(self.model) == state(Fit.fresh())
        assert self.act() == type(self).wanted

    @classmethod
    def prepare(cls, folder: Path) -> None:
        cls.wanted = cls(folder).act()


class Saves(Scenario):
    """A model takes the place of another one in a file."""

    name = "model.h5"

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.path = folder / self.name
        self.model = Fit.fresh()
        self.old, self.new = self.model.get_weights(), [w + 1 for w in self.model.get_weights()]
        self.model.save(self.path)
        self.model.set_weights(self.new)

    def act(self) -> None:
        self.model.save(self.path)

    def check(self, error: BaseException | None) -> None:
        assert os.listdir(self.folder) == [self.name], os.listdir(self.folder)
        held = [w.tobytes() for w in load_model(self.path).get_weights()]
        assert held in ([w.tobytes() for w in self.old], [w.tobytes() for w in self.new])
        assert error is not None or held == [w.tobytes() for w in self.new]
        self.model.save(self.path)
        assert os.listdir(self.folder) == [self.name]


class SavesLater(Saves):
    """The same in Keras 3's format."""

    name = "model.keras"


# -- all points -------------------------------------------------------------------------------------------------------

SCENARIOS: dict[str, type[Scenario]] = {
    "fit": Fit,
    "first": First,
    "goes-on": GoesOn,
    "ahead": Ahead,
    "processes": Processes,
    "evaluate-and-predict": Looks,
    "save": Saves,
    "save-keras": SavesLater,
}


@contextlib.contextmanager
def a_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="signal_points_")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


def handlers() -> tuple[Any, Any]:
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


def one(kind: type[Scenario], points: Sequence[int], number: int = signal.SIGINT) -> str:
    """Run a scenario with signals at points; how it came out, in a word. Raises AssertionError for a broken promise."""
    before = handlers(), threading.active_count(), gc.isenabled()
    error: BaseException | None = None
    # A second signal may keep the scenario from giving standard output back.
    with a_folder() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(sys.stdout):
        warnings.simplefilter("ignore")
        scenario = kind(folder)
        scenario.twice = len(points) > 1
        try:
            events_of(scenario.act, points, number)
        except (KeyboardInterrupt, SystemExit) as came:
            error = came
        assert handlers() == before[0], "the handlers are not what they were"
        assert gc.isenabled() == before[2], "the garbage collector is off"
        assert threading.active_count() <= before[1], "a thread is left"
        assert not multiprocessing.active_children(), "a process is left"
        if error is not None:
            wanted = KeyboardInterrupt if number == signal.SIGINT else SystemExit
            assert type(error) is wanted and error.args == (() if number == signal.SIGINT else (143,)), error
        scenario.check(error)
    return "went through" if error is None else "interrupted"


def spread(total: int, count: int) -> list[int]:
    """So many points, evenly from the first to the last."""
    return sorted({round(1 + i * (total - 1) / max(count - 1, 1)) for i in range(count)})


_measured: dict[str, int] = {}


def measure(kind: type[Scenario]) -> int:
    """The number of points of a scenario."""
    if kind.__name__ not in _measured:
        _measured[kind.__name__] = _measure(kind)
    return _measured[kind.__name__]


def _measure(kind: type[Scenario]) -> int:
    with a_folder() as folder:
        if hasattr(kind, "prepare"):
            kind.prepare(folder)
    with a_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one(kind, ())  # what is made once has been made
        return events_of(kind(folder).act)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--every", type=int, default=1, help="try only one of so many points")
    parser.add_argument("--first", type=int, default=1, help="point to begin with")
    parser.add_argument("--signal", choices=["SIGINT", "SIGTERM"], default="SIGINT")
    parser.add_argument("--twice", type=int, default=0, help="a second signal so many points after the first")
    options = parser.parse_args()
    number, failures = signal.Signals[options.signal], 0
    with at.config.use(numba=False):
        for name in options.scenario or SCENARIOS:
            total, begun = measure(SCENARIOS[name]), time.time()
            found: Counter[str] = Counter()
            for point in range(options.first, total + 1, options.every):
                try:
                    points = [point, point + options.twice] if options.twice else [point]
                    found[one(SCENARIOS[name], points, number)] += 1
                except Exception:
                    failures += 1
                    found["broken"] += 1
                    if found["broken"] <= 5:
                        print(f"{name}, point {point} of {total}:\n{traceback.format_exc()}", flush=True)
            tried, spent = sum(found.values()), time.time() - begun
            print(f"{name}: {options.signal} at {tried} of {total} points: {dict(found)}, {spent:.0f} s")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
