"""Signals and exceptions at every point: callbacks are told, files whole, weights those of whole steps, all released.

``signal_points`` says what is looked at after each; by hand it goes through all points.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import interrupts
from tests.keras_compat.children import environment
from tests.reliability import signal_points as P

pytestmark = [
    pytest.mark.usefixtures("without_kernels"),
    pytest.mark.promise(35, "interrupts"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

X, Y = np.random.RandomState(0).standard_normal((12, 3)), np.ones(12)


# (scenario, signal, points in the default run, points of the slow one, points to a second signal)
COURSES = [
    ("fit", signal.SIGINT, 14, 300, 0),
    ("fit", signal.SIGTERM, 5, 150, 0),
    ("fit", signal.SIGINT, 0, 150, 25),
    ("first", signal.SIGINT, 1, 60, 0),
    ("goes-on", signal.SIGINT, 3, 100, 0),
    ("ahead", signal.SIGINT, 5, 150, 0),
    ("ahead", signal.SIGINT, 0, 100, 25),
    ("processes", signal.SIGINT, 0, 60, 0),
    ("evaluate-and-predict", signal.SIGINT, 12, 300, 0),
    ("save", signal.SIGINT, 4, 150, 0),
    ("save-keras", signal.SIGINT, 2, 100, 0),
]


def course(name: str, number: signal.Signals, count: int, after: int) -> None:
    kind = P.SCENARIOS[name]
    points = P.spread(P.measure(kind), count)
    found = [P.one(kind, [point, point + after] if after else [point], number) for point in points]
    print(f"\n{name}: {number.name} at {len(points)} points, {found.count('interrupted')} interrupted")
    assert found.count("interrupted") >= len(points) * 0.5  # some are before the beginning, or after the end


@pytest.mark.parametrize(("name", "number", "count", "more", "after"), [one for one in COURSES if one[2]])
def test_a_signal_at_some_points(name: str, number: signal.Signals, count: int, more: int, after: int) -> None:
    course(name, number, count, after)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number", "count", "more", "after"), COURSES)
def test_a_signal_at_many_points(name: str, number: signal.Signals, count: int, more: int, after: int) -> None:
    course(name, number, more, after)


def test_what_is_done_whole_is_there() -> None:
    """The names of functions that no signal leaves in the middle are those of functions."""
    for table in (interrupts._IN, interrupts._WHOLE):
        for module, names in table.items():
            found = importlib.import_module(module)
            for name in names or ():
                thing: Any = found
                for part in name.split("."):
                    thing = getattr(thing, part)
                thing = inspect.unwrap(thing)
                assert thing.__code__.co_qualname == name and thing.__globals__["__name__"] == module


# -- one thing at a time ----------------------------------------------------------------------------------------------


def model() -> Any:
    np.random.seed(0)
    network = Sequential([Dense(2, input_dim=3), Dense(1)])
    network.compile("adam", "mse")
    return network


class Sends(C.Callback):
    """Sends signals to this process in a hook, and notes whether what came after them was reached."""

    def __init__(self, hook: str, *numbers: int):
        super().__init__()
        self.numbers, self.reached, self.ended = numbers, 0, 0
        setattr(self, hook, self.send)

    def send(self, *args: Any) -> None:
        for number in self.numbers:
            signal.raise_signal(number)
            self.reached += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.ended += 1


def test_sigterm_is_an_exit_with_callbacks_told() -> None:
    sends = Sends("on_batch_end", signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        model().fit(X, Y, verbose=0, callbacks=[sends])
    assert caught.value.code == 143 and (sends.reached, sends.ended) == (0, 1)
    assert sends.params["interrupted"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_of_the_program_is_respected(number: int) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda came, frame: heard.append(came))
    try:
        ours = signal.getsignal(number)
        sends = Sends("on_epoch_end", number)
        model().fit(X, Y, epochs=2, verbose=0, callbacks=[sends])
        assert heard == [number] * 2 and sends.reached == 2
        assert signal.getsignal(number) is ours
    finally:
        signal.signal(number, before)


def test_a_handler_that_is_set_meanwhile_stays() -> None:
    mine = lambda *_: None
    setting = C.LambdaCallback(on_epoch_end=lambda epoch, logs: signal.signal(signal.SIGTERM, mine))
    try:
        model().fit(X, Y, verbose=0, callbacks=[setting])
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.parametrize("name", ["mpi4py", "ipykernel"])
def test_sigterm_is_left_to_mpi_and_to_notebooks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    found: list[Any] = []
    look = C.LambdaCallback(
        on_epoch_end=lambda epoch, logs: found.extend(
            [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
        )
    )
    model().fit(X, Y, verbose=0, callbacks=[look])
    assert found[0] == signal.SIG_DFL and found[1] is not signal.default_int_handler


def test_signals_wait_for_the_end_of_what_is_done_whole() -> None:
    seen: list[str] = []

    def setting(twice: bool) -> None:
        with interrupts.Held():
            weights = network.get_weights()

            class Array:
                def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
                    signal.raise_signal(signal.SIGINT)
                    seen.append("once")
                    if twice:
                        signal.raise_signal(signal.SIGINT)
                    seen.append("on")
                    return weights[0] + 1

            from keras_compat import backend as K

            K.batch_set_value([(network.weights[0], Array()), (network.weights[1], weights[1] + 1)])
            seen.append("set")

    network = model()
    before = network.get_weights()
    with pytest.raises(KeyboardInterrupt):
        setting(twice=False)
    assert seen == ["once", "on", "set"]
    assert all(np.array_equal(a + 1, b) for a, b in zip(before[:2], network.get_weights()[:2]))
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        setting(twice=True)
    assert seen == ["once"]
    interrupts.deliver()  # nothing waits any more


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_where_python_would_drop_it(number: int) -> None:
    """In ``__del__``; it is raised soon after, wherever the program is by then."""

    class Collected:
        def __del__(self) -> None:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit), interrupts.Held(ends=True):
        Collected()
        assert interrupts.waiting == number
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pass
        pytest.fail("it was not raised")
    assert interrupts.waiting == 0 and not interrupts._reminded


def test_what_waits_at_the_end_is_forgotten_where_another_one_has_ended_the_block() -> None:
    """Nothing comes later, out of nowhere."""

    class Collected:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="first"), interrupts.Held():
        Collected()
        raise KeyboardInterrupt("first")
    assert interrupts.waiting == 0
    with pytest.raises(KeyboardInterrupt), interrupts.Held():
        Collected()
    time.sleep(3 * interrupts.WAIT)  # for who reminds of it


def test_fit_in_a_thread_leaves_signals_alone() -> None:
    found: list[Any] = []
    look = C.LambdaCallback(on_epoch_end=lambda epoch, logs: found.append(signal.getsignal(signal.SIGTERM)))
    thread = threading.Thread(target=lambda: model().fit(X, Y, verbose=0, callbacks=[look]))
    thread.start()
    thread.join(60)
    assert found == [signal.SIG_DFL]


def test_a_second_ctrl_c_ends_one_callback_and_not_the_telling_of_others() -> None:
    first, second = Sends("on_epoch_end", signal.SIGINT), Sends("on_train_end", signal.SIGINT)
    ended: list[str] = []
    last = C.LambdaCallback(on_train_end=lambda logs: ended.append("last"))
    with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="on_train_end raised KeyboardInterrupt"):
        model().fit(X, Y, verbose=0, callbacks=[first, second, last])
    assert (first.ended, second.reached, ended) == (1, 0, ["last"])


# -- exceptions of data -----------------------------------------------------------------------------------------------


class Own(Exception):
    pass


class Iterates:
    """An iterator that raises at its third batch."""

    def __init__(self, error: BaseException):
        self.error, self.count = error, 0

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        self.count += 1
        if self.count == 3:
            raise self.error
        return X[:4], Y[:4]


@pytest.mark.promise(36)
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("kind", [Own, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_what_data_raise_comes_out_with_its_line(
    kind: type[BaseException], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_compat.engine.generators.WORTH_A_THREAD", -1.0)
    error, sends, threads = kind("as it was"), Sends("on_train_begin"), threading.active_count()
    with pytest.raises(kind) as caught:
        model().fit_generator(Iterates(error), 5, verbose=0, workers=workers, callbacks=[sends])
    assert caught.value is error and caught.value.__cause__ is None and sends.ended == 1
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.filename, last.line) == (__file__, "raise self.error")
    assert threading.active_count() == threads


@pytest.mark.promise(36)
def test_an_iterator_that_ends_is_a_warning() -> None:
    """StopIteration is how an iterator says that it has no more."""
    with pytest.warns(UserWarning, match="ran out of data after 2 batches"):
        history = model().fit_generator(Iterates(StopIteration()), 5, epochs=3, verbose=0)
    assert history.epoch == [0]


# -- processes --------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys
import numpy as np
from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential

how = sys.argv[1]
model = Sequential([Dense(1, input_dim=3)])
model.compile("sgd", "mse")
x, y = np.ones((8, 3)), np.ones((8, 1))


class Ends(C.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if how == "SIGTERM":  # first to a copy of this process, which has the handlers, too
            child = os.fork()
            if child == 0:
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(0)
            print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
        os.kill(os.getpid(), signal.SIGINT if how == "SIGINT" else signal.SIGTERM)

    def on_train_end(self, logs=None):
        print("told", flush=True)
        if how == "twice":
            os.kill(os.getpid(), signal.SIGTERM)
        print("through", flush=True)


try:
    model.fit(x, y, verbose=0, callbacks=[Ends()])
finally:
    print("finally", flush=True)
"""


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        pytest.param("SIGINT", -signal.SIGINT, "told through finally", marks=pytest.mark.slow),  # 130 in a shell
        ("SIGTERM", 143, "15 told through finally"),
        pytest.param("twice", -signal.SIGTERM, "told", marks=pytest.mark.slow),
    ],
)
def test_status_of_a_program(how: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(AUTOTENSOR_NUMBA="0", OPENBLAS_NUM_THREADS="1"),
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (code, said.split()), done.stderr
    assert ("KeyboardInterrupt" in done.stderr) == (how == "SIGINT")
    assert "Traceback" not in done.stderr or how == "SIGINT"


COMPILES = """
import numpy as np
from keras_compat import callbacks as C
from keras_compat.layers import *
from keras_compat.models import Sequential

model = Sequential([Conv2D(8, 3, activation="relu", input_shape=(16, 16, 3)), MaxPooling2D(), Flatten(), Dense(10)])
model.compile("adam", "mse")
told = C.LambdaCallback(on_train_end=lambda logs: print("told", flush=True))
print("ready", flush=True)
model.fit(np.ones((64, 16, 16, 3)), np.ones((64, 10)), verbose=0, callbacks=[told])
print("through", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_kernels_are_compiled(number: signal.Signals, tmp_path: Path) -> None:
    """For the first time on this machine, with processes that help: all end, whatever has been compiled by then."""
    with subprocess.Popen(
        [sys.executable, "-c", COMPILES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(NUMBA_CACHE_DIR=str(tmp_path), HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)),
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(3)
            os.killpg(process.pid, number)
            said, errors = process.communicate(timeout=240)
        finally:
            process.kill()
    if "through" not in said:
        assert process.returncode == (-signal.SIGINT if number == signal.SIGINT else 143), errors
        assert said == "told\n"
    deadline = time.monotonic() + 120
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def test_the_signals_of_this_run_are_as_a_shell_sets_them() -> None:
    assert os.getpid() and P.handlers() == (signal.default_int_handler, signal.SIG_DFL)
