"""Programs that use models from several threads, and fork; by hand also the long forms.

    python -m tests.reliability.concurrency threads --layer tbb --predictions 500 --times 20
    python -m tests.reliability.concurrency forks --layer omp --times 20

Each says what it did as a line of JSON, and ends with an error if a result differs from the serial one. Parts are small
here, so that small models run on Numba's threads too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np

import autotensor as at
from autotensor.kernels import cache, jit, threads
from keras_compat.layers import Dense, Input
from keras_compat.models import Model, Sequential
from keras_compat.optimizers import SGD

ROOT = Path(__file__).resolve().parent.parent.parent
# Seconds after which a child counts as hanging.
LONG = 120.0


def start(what: str, layer: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this module in a process of its own, on two threads of that layer."""
    given = {"AUTOTENSOR_THREADS": "2", "NUMBA_NUM_THREADS": "2", "NUMBA_THREADING_LAYER": layer}
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", __name__, what, *arguments],
        env=os.environ | {"PYTHONPATH": paths} | given | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )


def regressor(seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """A small model that takes both kinds of threads: those of products and those of generated kernels."""
    rng = np.random.default_rng(seed)
    model = Sequential([Dense(40, activation="tanh", input_shape=(24,)), Dense(7)])
    model.compile(SGD(lr=0.05), "mse")
    model.set_weights([rng.normal(size=w.shape).astype(w.dtype) * 0.3 for w in model.get_weights()])
    return model, rng.normal(size=(64, 24)).astype(np.float32), rng.normal(size=(64, 7)).astype(np.float32)


def twins() -> Any:
    """A model with two outputs that every step moves alike: they differ only if a step is seen half done."""
    x = Input((64,))
    outputs = [Dense(64, use_bias=False, kernel_initializer="zeros")(x) for _ in range(2)]
    model = Model(x, outputs)
    model.compile(SGD(lr=0.5), lambda y, p: p)
    return model


def in_threads(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results of functions, each run by a thread of its own, begun together."""
    together = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        together.wait(LONG)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=LONG * 10) for future in [pool.submit(run, work) for work in works]]


def train(model: Any, x: np.ndarray, y: np.ndarray, steps: int) -> list[np.ndarray]:
    """Losses and weights of some steps of training."""
    history = model.fit(x, y, batch_size=16, epochs=steps, shuffle=False, verbose=0, validation_data=(x[:20], y[:20]))
    return [np.array([history.history[k] for k in sorted(history.history)]), *model.get_weights()]


def same(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> bool:
    """Are they equal, bit by bit?"""
    return len(found) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


# -- threads ----------------------------------------------------------------------------------------------------------


def eight_predict(predictions: int, readers: int = 8) -> int:
    """Eight threads predict with one model, rows in several numbers, while a ninth trains another; how many differ."""
    model, x, _ = regressor(0)
    other, u, v = regressor(1)
    sizes = (1, 3, 32, 64)
    wanted = {n: model.predict(x[:n]) for n in sizes}
    start_weights = other.get_weights()
    serial = train(other, u, v, 2)

    def reader(number: int) -> int:
        wrong = 0
        for i in range(predictions):
            n = sizes[(i + number) % len(sizes)]
            found = model.predict(x[:n]) if i % 2 else model.predict_on_batch(x[:n])
            wrong += not np.array_equal(found, wanted[n])
        return wrong

    def trainer() -> int:
        fresh, _, _ = regressor(1)
        fresh.set_weights(start_weights)
        return not same(train(fresh, u, v, 2), serial)

    return sum(in_threads([*[lambda k=k: reader(k) for k in range(readers)], trainer]))


def two_train(epochs: int) -> int:
    """Two models train in two threads; how many differ from what they are when they train one after the other."""
    serial = [train(*regressor(seed), epochs) for seed in (0, 1)]
    models = [regressor(seed) for seed in (0, 1)]
    found = in_threads([lambda m=m: train(*m, epochs) for m in models])
    return sum(not same(a, b) for a, b in zip(found, serial, strict=True))


def threads_program(arguments: argparse.Namespace) -> dict[str, Any]:
    sys.setswitchinterval(1e-6)
    wrong = trained = 0
    for _ in range(arguments.times):
        wrong += eight_predict(arguments.predictions)
        trained += two_train(max(2, arguments.predictions // 25))
    assert not wrong and not trained, f"{wrong} predictions and {trained} trainings differ from the serial ones"
    return {"predictions": 8 * arguments.predictions * arguments.times, "trainings": 2 * arguments.times}


# -- forks ------------------------------------------------------------------------------------------------------------


def forked(work: Callable[[], bool]) -> str:
    """What becomes of a forked child that runs ``work``: "right", "wrong", "died by ...", "hangs"."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 3)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(4)
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return {0: "right", 3: "wrong", 4: "raised"}.get(code, f"died by {-code}")
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


def near(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> bool:
    """Are they equal up to rounding? A child may run on one thread, where sums are added up in another order."""
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(found, wanted, strict=True))


def forks_program(arguments: argparse.Namespace) -> dict[str, Any]:
    """A warm parent forks; once it is idle, then while its threads train, predict, compute eagerly."""
    outcomes: Counter[str] = Counter()
    for _ in range(arguments.times):
        _fork_warm(arguments.forks, outcomes)
    assert set(outcomes) == {"idle: right", "busy: right"}, outcomes
    return dict(outcomes)


def _fork_warm(forks: int, outcomes: Counter[str]) -> None:
    model, x, y = regressor(0)
    prediction = model.predict(x)
    trained = train(regressor(0)[0], x, y, 2)

    def child() -> bool:
        return near([model.predict(x)], [prediction]) and near(train(regressor(0)[0], x, y, 2), trained)

    outcomes["idle: " + forked(child)] += 1
    pair, stop, begun = twins(), threading.Event(), threading.Event()
    ones, zeros = np.ones((8, 64), np.float32), [np.zeros((8, 64), np.float32)] * 2
    big = at.Tensor(np.ones((300, 300), np.float32))

    def trains() -> None:
        while not stop.is_set():
            pair.train_on_batch(ones, zeros)
            begun.set()

    def predicts() -> None:
        while not stop.is_set():
            model.predict(x)

    def computes() -> None:
        while not stop.is_set():
            at.matmul(big, big)
            at.random.normal((100,))

    def whole() -> bool:
        a, b = pair.predict(ones)
        before = a[0, 0]
        pair.train_on_batch(ones, zeros)
        after, other = pair.predict(ones)
        at.random.normal((100,))
        right = np.array_equal(a, b) and np.array_equal(after, other) and after[0, 0] < before
        return bool(right) and child()

    workers = [threading.Thread(target=work, daemon=True) for work in (trains, predicts, computes)]
    for worker in workers:
        worker.start()
    assert begun.wait(LONG)
    for _ in range(forks):
        time.sleep(0.003)
        outcomes["busy: " + forked(whole)] += 1
    stop.set()
    for worker in workers:
        worker.join(LONG)
        assert not worker.is_alive(), "the parent hangs"
    a, b = pair.predict(ones)
    assert np.array_equal(a, b) and near([model.predict(x)], [prediction]), "the parent is wrong after its forks"


_task: Any = None


def _begin(model: Any) -> None:
    global _task
    _task = model


def _predict(x: np.ndarray) -> np.ndarray:
    return _task.predict(x)


def pools_program(arguments: argparse.Namespace) -> dict[str, Any]:
    """A warm parent hands a model and data to pools of processes."""
    model, x, y = regressor(0)
    model.fit(x, y, epochs=1, verbose=0, shuffle=False)
    wanted = model.predict(x)
    pieces = [x[i::4] for i in range(4)]
    os.environ["AUTOTENSOR_NUMBA"] = "0"  # of those that begin anew, which would load the same kernels
    for method in arguments.methods:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(
            2 if method == "fork" else 1, mp_context=context, initializer=_begin, initargs=(model,)
        ) as pool:
            found = list(pool.map(_predict, pieces, timeout=LONG * 4))
        assert all(near([p], [wanted[i::4]]) for i, p in enumerate(found)), method
    if "fork" in arguments.methods:
        with multiprocessing.get_context("fork").Pool(2, initializer=_begin, initargs=(model,)) as pool:
            found = pool.map_async(_predict, pieces).get(timeout=LONG * 4)
        assert all(near([p], [wanted[i::4]]) for i, p in enumerate(found)), "Pool"
    assert same([model.predict(x)], [wanted]), "the parent is wrong after its pools"
    return {"methods": arguments.methods}


# -- the command ------------------------------------------------------------------------------------------------------

PROGRAMS = {"threads": threads_program, "forks": forks_program, "pools": pools_program}


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}")
    parser.add_argument("what", choices=sorted(PROGRAMS))
    parser.add_argument("--layer", help="in place of NUMBA_THREADING_LAYER")
    parser.add_argument("--predictions", type=int, default=25, help="of each thread")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--forks", type=int, default=3, help="of a busy parent, each time")
    parser.add_argument("--methods", nargs="+", default=["fork", "spawn", "forkserver"])
    arguments = parser.parse_args()
    if arguments.layer:
        numba.config.THREADING_LAYER = arguments.layer
    threads.GRAIN = 100
    at.set_num_threads(2)
    began = time.monotonic()
    counts = PROGRAMS[arguments.what](arguments)
    events = {"loaded": cache.EVENTS["loaded"], "saved": cache.EVENTS["saved"]}
    print(json.dumps({"layer": jit.pool(), **counts, "kernels": events, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
