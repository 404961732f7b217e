"""Processes and threads that make batches, where something goes wrong around them.

What goes wrong in them is in ``tests/keras_compat/test_workers.py``: an error, a death, a class that can not be sent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import workers
from tests.keras_compat import children
from tests.keras_compat.data_sequences import Batches, Printing, Writing

pytestmark = [pytest.mark.usefixtures("without_kernels"), pytest.mark.promise(31)]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def model() -> Any:
    np.random.seed(7)
    network = Sequential([Dense(2, input_dim=5)])
    network.compile("sgd", "mse")
    return network


def train(data: Any, **given: Any) -> list[np.ndarray]:
    network = model()
    network.fit(data, verbose=0, **given)
    return network.get_weights()


def later(ready: Callable[[], bool], act: Callable[[], Any]) -> threading.Thread:
    """A thread that acts once something is ready."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@posix
def test_ctrl_c_ends_a_training_whose_workers_are_stuck(tmp_path: Path) -> None:
    """They sleep for ten minutes; nobody waits for them."""
    thread = later(lambda: len(os.listdir(tmp_path)) >= 2, interrupt)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train(Writing(20, folder=str(tmp_path)), workers=2, use_multiprocessing=True)
    assert time.monotonic() - begun < 120 and not multiprocessing.active_children()
    thread.join()
    made = [int(name.partition("-")[2]) for name in os.listdir(tmp_path)]
    assert made and os.getpid() not in made
    for pid in made:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@posix
@pytest.mark.promise(32)
@pytest.mark.parametrize("who", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_from_outside(who: signal.Signals, tmp_path: Path) -> None:
    """In the middle of an epoch, by somebody else: what a system without memory does."""

    def kill() -> None:
        os.kill(int(os.listdir(tmp_path)[0].partition("-")[2]), who)
        killed.append(time.monotonic())

    killed: list[float] = []
    thread = later(lambda: len(os.listdir(tmp_path)) >= 2, kill)
    with pytest.raises(workers.WorkerError, match=rf"worker \d of 2 \(process \d+\) ended.*killed by {who.name}"):
        train(Writing(20, folder=str(tmp_path)), workers=2, use_multiprocessing=True)
    thread.join()
    print(f"\nan error {time.monotonic() - killed[0]:.2f} s after the kill")
    assert not multiprocessing.active_children()


def test_workers_that_print_disturb_nobody() -> None:
    quiet = train(Batches(4, noise=0.0), workers=0, shuffle=False)
    loud = train(Printing(4, noise=0.0), workers=1, use_multiprocessing=True, shuffle=False)
    assert all(np.array_equal(a, b) for a, b in zip(quiet, loud))


def test_training_with_processes_in_a_thread() -> None:
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(train(Batches(3, noise=0.0), workers=1, use_multiprocessing=True, shuffle=False))
    )
    thread.start()
    thread.join(120)
    assert not thread.is_alive() and not multiprocessing.active_children()
    assert all(np.array_equal(a, b) for a, b in zip(found[0], train(Batches(3, noise=0.0), workers=0, shuffle=False)))


@posix
def test_ctrl_c_while_a_generator_in_a_thread_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread can not be ended; it is left behind, and ends when the generator goes on."""
    monkeypatch.setattr("keras_compat.engine.generators.WORTH_A_THREAD", -1.0)
    stuck, go_on = threading.Event(), threading.Event()

    def batches() -> Any:
        for _ in range(3):
            yield np.ones((2, 5)), np.ones((2, 2))
        stuck.set()
        go_on.wait(60)
        yield np.ones((2, 5)), np.ones((2, 2))

    ended: list[bool] = []
    told = C.LambdaCallback(on_train_end=lambda logs: ended.append(True))
    before = set(threading.enumerate())
    thread = later(stuck.is_set, interrupt)
    releasing = threading.Timer(8, go_on.set)
    releasing.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model().fit_generator(batches(), 9, verbose=0, workers=1, callbacks=[told])
    finally:
        go_on.set()
        releasing.cancel()
    thread.join()
    assert ended == [True]
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - before - {releasing} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before - {releasing}


CHILD = """
import multiprocessing, sys, warnings
import numpy as np
from tests.keras_compat.data_sequences import Batches


def train(count):
    from keras_compat.layers import Dense
    from keras_compat.models import Sequential

    np.random.seed(7)
    model = Sequential([Dense(2, input_dim=5)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        model.fit(Batches(3, noise=0.0), verbose=0, workers=count, use_multiprocessing=bool(count), shuffle=False)
    return [w.tolist() for w in model.get_weights()], [str(one.message) for one in met]


if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:  # its processes may have none of their own
        found = pool.map(train, [0, 2])
    assert found[0][0] == found[1][0] and not found[0][1]
    print(found[1][1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_training_with_processes_in_a_process_of_a_pool(method: str, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    done = children.run_alone(str(tmp_path / "child.py"), method, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "is itself a helper of another, and may not have any. They are made here" in done.stdout


@posix
@pytest.mark.slow
def test_an_error_comes_soon_after_a_kill() -> None:
    """The promise is ten seconds; measured here, of five kills."""
    spent = []
    for _ in range(5):
        made: list[float] = []

        def note(batch: int, logs: Any, made: list[float] = made) -> None:
            if not made:
                for child in multiprocessing.active_children():
                    os.kill(child.pid or 0, signal.SIGKILL)
                made.append(time.monotonic())

        with pytest.raises(workers.WorkerError):
            train(
                Batches(9),
                workers=2,
                use_multiprocessing=True,
                callbacks=[C.LambdaCallback(on_batch_end=note)],
                epochs=99,
            )
        spent.append(time.monotonic() - made[0])
    print(f"\nan error {min(spent):.2f} to {max(spent):.2f} s after a kill")
    assert max(spent) < 60
