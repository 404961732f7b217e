"""A process whose kernels have run on threads forks, spawns, or asks a fork server: children compute, parents go on.

What needs kernels runs in processes of its own, one for each of Numba's threading layers (`concurrency.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor import config, locks
from autotensor.kernels import blas, jit, threads
from keras_compat.engine import layer
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from tests.keras_compat import children
from tests.reliability.concurrency import forked, start
from tests.reliability.test_threads import LAYERS, missing, told

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.promise(31, "forks")
@pytest.mark.parametrize("name", LAYERS)
def test_children_of_a_warm_parent_compute(name):
    """Forked while the parent is idle, and while its threads train, predict and compute eagerly."""
    if missing(name):
        pytest.skip(missing(name))
    found = told(start("forks", name))
    assert found["idle: right"] == 1 and found["busy: right"] == 3


@pytest.mark.slow
@pytest.mark.promise(31, "forks")
@pytest.mark.parametrize("name", LAYERS)
def test_many_children_of_a_busy_parent(name):
    if missing(name):
        pytest.skip(missing(name))
    assert told(start("forks", name, "--times", "10", "--forks", "10"))["busy: right"] == 100


@pytest.mark.promise(31, "forks")
def test_pools_of_processes_predict_with_the_model_of_a_warm_parent():
    """`multiprocessing.Pool` and `ProcessPoolExecutor`, under fork and forkserver."""
    told(start("pools", "default", "--methods", "fork", "forkserver"))


@pytest.mark.slow
@pytest.mark.promise(31, "forks")
def test_pools_that_spawn():
    told(start("pools", "default", "--methods", "spawn"))


# -- locks ------------------------------------------------------------------------------------------------------------


def held_elsewhere(lock: Any) -> threading.Event:
    """Have another thread hold a lock until the event that comes back is set."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(300)

    threading.Thread(target=hold, daemon=True).start()
    assert held.wait(60)
    return done


@pytest.fixture
def impatient(monkeypatch):
    """Forks wait a moment only for turns that nobody gives up."""
    monkeypatch.setattr(locks, "PATIENCE", 0.05)


@pytest.mark.promise("forks")
def test_a_child_is_not_locked_out(impatient):
    """Whatever lock another thread holds while the process forks, the child builds, trains, predicts and draws."""
    with config.use(numba=False):
        model = Sequential([Dense(3, input_shape=(2,))])
        model.compile("sgd", "mse")
        x, y = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32)
        model.train_on_batch(x, y)
        wanted = model.predict(x)

        def child() -> bool:
            at.random.normal((3,))
            right = np.array_equal(model.predict(x), wanted)
            model.train_on_batch(x, y)
            fresh = Sequential([Dense(3, input_shape=(2,))])
            fresh.compile("sgd", "mse")
            fresh.fit(x, y, verbose=0)
            return right

        train = model._steps.get(True, False, True)
        all_locks = [
            at.random.default_generator._lock, layer.building, model._predict_function._making, train._turn,
            threads._turn, jit._starting, locks._registering,
        ]  # fmt: skip
        for lock in all_locks:
            # The last is taken for each fork, so the fork waits for it: it is held for instants only.
            done = held_elsewhere(lock) if lock is not locks._registering else threading.Event()
            try:
                assert forked(child) == "right", lock
            finally:
                done.set()
        assert np.array_equal(model.predict(x), wanted)


@pytest.mark.promise("forks")
def test_a_fork_waits_for_the_step_of_another_thread():
    """The child's weights are those of before a step or after it."""
    with config.use(numba=False):
        w = [at.Variable(np.zeros(1000), deferred=True) for _ in range(40)]
        step = at.function([], [], updates=[(v, v + 1) for v in w])
        step()
        stop = threading.Event()

        def steps() -> None:
            while not stop.is_set():
                step()

        worker = threading.Thread(target=steps)
        worker.start()
        try:
            found = [forked(lambda: len({n for v in w for n in v.numpy()}) == 1) for _ in range(20)]
        finally:
            stop.set()
            worker.join()
    assert found == ["right"] * 20


@pytest.mark.promise("forks")
def test_a_fork_inside_of_a_turn():
    """By a callback or an operation of the thread that has the turn: both processes go on in it."""
    turns = locks.Turns()
    with turns.lock:
        child = os.fork()
        if child == 0:
            code = 5
            try:
                turns.lock.release()
                turns.lock.acquire()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not turns.lock._is_owned()


@pytest.mark.promise("forks")
def test_threads_that_fork_at_once(impatient):
    """Each takes all turns before it forks, and gives back its own ones."""
    turns = [locks.Turns() for _ in range(5)]
    found: list[str] = []
    done = held_elsewhere(turns[2].lock)  # so that all of them wait at the same time
    workers = [threading.Thread(target=lambda: found.append(forked(lambda: True))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    done.set()
    assert found == ["right"] * 4
    free = []
    other = threading.Thread(target=lambda: free.extend([t.lock.acquire(timeout=60) for t in turns]))
    other.start()
    other.join()
    assert free == [True] * 5 and not locks._taken


@pytest.mark.skipif(not blas.AVAILABLE, reason="NumPy's BLAS can not be called from kernels")
def test_blas_is_not_held_in_a_child():
    """A thread that held it while the process forked is not there to give it back."""
    before = list(blas._held)
    try:
        blas._held[:] = [1, 1, 0]
        assert forked(lambda: list(blas._held) == [0, 0, 0]) == "right"
    finally:
        blas._held[:] = before


# -- what a child leaves behind ---------------------------------------------------------------------------------------


@pytest.mark.promise("forks")
def test_a_child_that_ends_takes_nothing_of_its_parent(tmp_path):
    """Neither the data workers nor their files, whether it ends by `_exit` or by `exit`."""
    program = textwrap.dedent(
        """
        import os, sys
        import numpy as np
        from keras_compat.utils import OrderedEnqueuer, Sequence

        class Rows(Sequence):
            def __len__(self):
                return 40
            def __getitem__(self, i):
                return np.full(3, i)

        if __name__ == "__main__":
            queue = OrderedEnqueuer(Rows(), use_multiprocessing=True)
            queue.start(workers=2, max_queue_size=4)
            rows = queue.get()
            seen = [int(next(rows)[0]) for _ in range(5)]
            for leave in (os._exit, sys.exit):
                child = os.fork()
                if child == 0:
                    leave(0)
                assert os.waitpid(child, 0)[1] == 0
                seen += [int(next(rows)[0]) for _ in range(5)]
            queue.stop()
            print(seen == list(range(15)))
        """
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    done = children.run_alone(str(path), timeout=300)
    assert done.stdout.split() == ["True"], done.stdout + done.stderr


@pytest.mark.promise("forks")
def test_a_fork_while_another_thread_compiles_kernels(tmp_path):
    """Numba and LLVM have locks, too; the fork waits for the kernel that is being compiled, and the child compiles."""
    program = textwrap.dedent(
        """
        import itertools, threading, time
        import numpy as np
        import autotensor as at
        from tests.reliability.concurrency import forked

        def compiles(k):
            x = at.placeholder((None,), np.float64)
            return at.function([x], at.exp(x * (k + 0.5)) - 1)(np.zeros(3)).tolist() == [0, 0, 0]

        def goes_on():
            for k in itertools.count(1):
                right.append(compiles(k))
                if stop.is_set():
                    break

        right, stop = [], threading.Event()
        compiles(0)
        worker = threading.Thread(target=goes_on)
        worker.start()
        time.sleep(0.05)
        print(forked(lambda: compiles(-3)))
        stop.set()
        worker.join()
        print(all(right))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=children.environment(AUTOTENSOR_CACHE_DIR=str(tmp_path), AUTOTENSOR_THREADS="1"),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.stdout.split() == ["right", "True"], done.stdout + done.stderr


def test_forks_do_not_wait_where_nobody_computes():
    before = time.monotonic()
    assert forked(lambda: True) == "right"
    assert time.monotonic() - before < locks.PATIENCE
