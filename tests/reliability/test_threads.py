"""Models and the engine used by several threads at once: what comes out is what one thread gets.

Programs that run kernels on threads have a process for each of Numba's threading layers (`concurrency.py`); what does
not depend on kernels is asked here, without them.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor import config, locks
from autotensor.kernels import blas, tbb
from keras_compat import backend as K
from keras_compat import callbacks
from keras_compat.layers import Dense, Input
from keras_compat.models import Model, Sequential, load_model
from keras_compat.optimizers import SGD
from tests.keras_compat import children
from tests.reliability.concurrency import in_threads, same, start, twins

LAYERS = ("tbb", "omp", "workqueue")


def missing(layer: str) -> str:
    """Why a layer is not there; empty where it is."""
    if layer == "tbb":
        try:
            ctypes.CDLL("libtbb.so.12")
        except OSError:
            if not any(os.path.exists(path) for path in tbb.places()):
                return "no TBB is installed: pip install tbb"
    module = {"tbb": "tbbpool", "omp": "omppool"}.get(layer, layer)
    return "" if importlib.util.find_spec(f"numba.np.ufunc.{module}") else "this Numba is built without it"


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns after each few instructions; no kernels are compiled."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with config.use(numba=False):
        yield
    sys.setswitchinterval(before)


def told(finished: Any) -> dict[str, Any]:
    """What a program of `concurrency` says at its end."""
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-4000:]
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.promise(30, "threads")
@pytest.mark.parametrize("layer", LAYERS)
def test_eight_predict_and_two_train_under_each_layer(layer):
    if missing(layer):
        pytest.skip(missing(layer))
    found = told(start("threads", layer))
    assert found["layer"] == layer and found["predictions"] == 200


@pytest.mark.slow
@pytest.mark.promise(30, "threads")
@pytest.mark.parametrize("layer", LAYERS)
def test_eight_times_500_predictions(layer):
    if missing(layer):
        pytest.skip(missing(layer))
    assert told(start("threads", layer, "--predictions", "500"))["predictions"] == 4000


@pytest.mark.promise("threads", "caches")
def test_kernels_on_disk_serve_every_layer():
    """Code that was compiled under one layer is loaded under another, and right there."""
    there = [layer for layer in LAYERS if not missing(layer)]
    told(start("threads", there[0], "--predictions", "4"))
    events = told(start("threads", there[-1], "--predictions", "4"))["kernels"]
    assert events["saved"] == 0 and events["loaded"] > 3


@pytest.mark.promise("threads")
def test_the_safest_layer_is_taken():
    """TBB if it is installed, else OpenMP; and what the user set."""
    safest = next(layer for layer in LAYERS if not missing(layer))
    code = (
        "import numpy as np, autotensor as at, numba\n"
        "x = at.Tensor(np.ones((300, 300), 'float32'))\n"
        "at.matmul(x, x)\n"
        "print(numba.threading_layer())\n"
    )
    for given, wanted in ((None, safest), ("workqueue", "workqueue")):
        environment = {"AUTOTENSOR_THREADS": "2"} | ({"NUMBA_THREADING_LAYER": given} if given else {})
        process = children.start("-c", code, **environment)
        assert process.communicate(timeout=300)[0].split() == [wanted], given


def test_tbb_is_looked_for_in_the_environment_of_python(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    first = Path(next(tbb.places()))
    assert tmp_path in first.parents
    monkeypatch.setattr(tbb, "places", lambda: iter([str(first)]))
    assert not tbb.load()
    first.parent.mkdir(parents=True)
    first.write_bytes(b"no library")
    assert not tbb.load(), "a file that is no library is passed over"


@pytest.mark.promise("threads", "determinism")
@pytest.mark.skipif(not blas.AVAILABLE, reason="NumPy's BLAS can not be called from kernels")
def test_several_threads_hold_blas_until_the_last_gives_it_back():
    """One thread that is ready must not give BLAS its threads back under another one: sums would be cut otherwise."""
    library = ctypes.CDLL(blas.LIBRARY)
    forms = "scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}"
    get, put = [
        next(getattr(library, form.format(what)) for form in forms if hasattr(library, form.format(what)))
        for what in ("get_num_threads", "set_num_threads")
    ]
    hold, release = blas.jit(_holds), blas.jit(_releases)
    before = get()
    put(2)
    try:
        first, second = hold(), hold()
        assert get() == 1
        release(first)
        assert get() == 1, "the second still computes"
        release(second)
        assert get() == 2
    finally:
        put(before)


def _holds():
    return blas.hold()


def _releases(mine):
    blas.release(mine)


# -- one model --------------------------------------------------------------------------------------------------------


def counter(**compiled: Any) -> Any:
    """A model of one weight that each step makes smaller by 1/64, whatever the data."""
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="zeros", input_shape=(1,))])
    model.compile(SGD(lr=1 / 64), lambda y, p: p, **compiled)
    return model


ONE = np.ones((4, 1), np.float32)


@pytest.mark.promise("threads")
def test_no_step_of_training_one_model_is_lost(hasty):
    """Plain steps, weighted ones, `fit` and a program's own function change one weight in turns."""
    model = counter(metrics=["mae"])
    model.train_on_batch(ONE, ONE)

    def plain() -> None:
        for _ in range(60):
            model.train_on_batch(ONE, ONE)

    def weighted() -> None:
        for _ in range(60):
            model.train_on_batch(ONE, ONE, sample_weight=np.ones(4))

    def fits() -> None:
        for _ in range(6):
            model.fit(ONE, ONE, batch_size=2, epochs=5, verbose=0)

    weight = model.weights[0]
    own = K.function([], [], [(weight, weight - 1 / 64)])

    def by_hand() -> None:
        for _ in range(60):
            own([])

    in_threads([plain, plain, weighted, fits, by_hand])
    steps = 1 + 60 + 60 + 60 + 60
    assert int(K.get_value(model.optimizer.iterations)) == steps
    assert model.get_weights()[0].item() == -(steps + 60) / 64


@pytest.mark.promise("threads")
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreted"])
def test_a_prediction_sees_whole_steps(hasty, compiled):
    """While one thread trains, others predict with the same model: with the weights of before a step or after it."""
    with config.use(compile=compiled):
        model = twins()
        x, y = np.ones((8, 64), np.float32), [np.zeros((8, 64), np.float32)] * 2
        model.train_on_batch(x, y)
        ready = threading.Event()

        def trains() -> None:
            for _ in range(150):
                model.train_on_batch(x, y)
            ready.set()

        def predicts() -> int:
            torn = 0
            while not ready.is_set():
                torn += not np.array_equal(*model.predict(x))
            return torn

        assert in_threads([trains, predicts, predicts])[1:] == [0, 0]


@pytest.mark.promise("threads")
def test_the_first_calls_come_from_many_threads(hasty):
    """What a model makes at its first call is made once: the function, the objective, the optimizer's state."""
    for _ in range(5):
        model = Sequential([Dense(8, activation="relu", input_shape=(3,)), Dense(2)])
        model.compile("adam", "mse", metrics=["mae"])
        x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
        losses = in_threads([lambda m=model, x=x, y=y: m.train_on_batch(x, y)] * 4)
        assert len(losses) == 4 and int(K.get_value(model.optimizer.iterations)) == 4
        assert len(model.optimizer.weights) == 1 + 3 * 4  # Adam keeps three arrays a weight, as Keras 2.3.1 does
        in_threads([lambda m=model, x=x: m.predict(x)] * 8)
        assert len(model._predict_function.plans) == 1


@pytest.mark.promise("threads")
def test_a_model_without_a_shape_gets_it_once(hasty):
    for _ in range(5):
        model = Sequential([Dense(3), Dense(2)])
        found = in_threads([lambda m=model: m.predict(np.ones((2, 4), np.float32))] * 6)
        assert len(model.get_weights()) == 4
        assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.promise("threads")
def test_a_model_is_saved_while_others_predict(hasty, tmp_path):
    model = Sequential([Dense(8, activation="tanh", input_shape=(3,)), Dense(2)])
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    wanted = model.predict(x)

    def saves(number: int) -> bool:
        path = tmp_path / f"{number}.h5"
        right = True
        for _ in range(3):
            model.save(path)
            right &= np.array_equal(load_model(path).predict(x), wanted)
        return right

    def predicts() -> bool:
        return all([np.array_equal(model.predict(x), wanted) for _ in range(60)])

    assert in_threads([lambda: saves(1), lambda: saves(2), predicts, predicts]) == [True] * 4


@pytest.mark.promise("threads")
def test_a_server_predicts_with_and_without_the_old_ways_around(hasty):
    """Programs called `_make_predict_function` before they started threads (keras#2397, keras#5640)."""
    x = np.ones((1, 3), np.float32)
    for around in (False, True):
        model = Sequential([Dense(4, activation="relu", input_shape=(3,)), Dense(2, activation="softmax")])
        if around:
            model._make_predict_function()
        wanted = in_threads([lambda m=model: m.predict(x)])[0]
        answers = in_threads([lambda m=model: [m.predict(x) for _ in range(30)]] * 8)
        assert all(np.array_equal(a, wanted) for answer in answers for a in answer)


@pytest.mark.promise("threads")
def test_a_server_under_run_names_the_graph(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        "import threading\n"
        "import numpy as np\n"
        "import tensorflow as tf\n"
        "from keras.models import Sequential\n"
        "from keras.layers import Dense\n"
        "model = Sequential([Dense(2, input_shape=(3,))])\n"
        "graph = tf.get_default_graph()\n"
        "found = []\n"
        "def answer():\n"
        "    with graph.as_default():\n"
        "        found.append(model.predict(np.ones((1, 3))).tolist())\n"
        "workers = [threading.Thread(target=answer) for _ in range(4)]\n"
        "[w.start() for w in workers], [w.join() for w in workers]\n"
        "print(len(found), all(f == found[0] for f in found))\n"
    )
    done = children.run_alone("-m", "keras_compat", "run", str(script), timeout=300)
    assert done.stdout.split() == ["4", "True"], done.stderr


# -- many models ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("threads")
def test_models_are_built_trained_and_read_in_threads(hasty, tmp_path):
    """Names are never given twice, and each model is what it is when it is built alone."""

    def build() -> tuple[list[str], list[np.ndarray]]:
        x = Input((6,))
        y = Dense(2, kernel_initializer="ones")(Dense(5, activation="tanh", kernel_initializer="ones")(x))
        model = Model(x, y)
        model.compile("rmsprop", "mse")
        data = np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6)
        model.fit(data, data[:, :2], epochs=2, batch_size=4, shuffle=False, verbose=0)
        path = tmp_path / f"{threading.get_ident()}.h5"
        model.save(path)
        return [layer.name for layer in model.layers], [*model.get_weights(), load_model(path).predict(data)]

    _, wanted = build()
    found = in_threads([build] * 6)
    names = [name for made, _ in found for name in made]
    assert len(set(names)) == len(names) == 18
    assert all(same(values, wanted) for _, values in found)


@pytest.mark.promise("threads")
def test_callbacks_hear_of_their_own_training(hasty):
    def run(stop_after: int) -> tuple[int, list[float], list[int]]:
        model = Sequential([Dense(1, kernel_initializer="ones", input_shape=(2,))])
        model.compile(SGD(lr=0.01 * stop_after), "mse")
        seen: list[int] = []

        def end(epoch: int, logs: Any) -> None:
            seen.append(epoch)
            if epoch + 1 == stop_after:
                model.stop_training = True

        x = np.ones((8, 2), np.float32)
        history = model.fit(
            x, x[:, :1], epochs=20, batch_size=2, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_end=end)]
        )
        return len(history.epoch), history.history["loss"], seen

    alone = [run(n) for n in (3, 5, 7, 9)]
    assert in_threads([lambda n=n: run(n) for n in (3, 5, 7, 9)]) == alone


# -- the engine -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("threads")
def test_tapes_belong_to_their_threads(hasty):
    """`no_grad`, `deferred` and recordings of one thread do not reach another."""
    stop = threading.Event()

    def off() -> bool:
        while not stop.is_set():
            with at.no_grad():
                assert not (at.Tensor(np.ones(2), requires_grad=True) * 2).requires_grad
            with at.deferred():
                pass
        return True

    def on() -> bool:
        for k in range(1, 200):
            x = at.Tensor(np.full(3, float(k)), requires_grad=True)
            y = at.sum(x * x * x)
            y.backward()
            if not np.array_equal(x.grad.numpy(), np.full(3, 3.0 * k * k)):
                return False
        return True

    def both() -> bool:
        try:
            return all(in_threads([on, on]))
        finally:
            stop.set()

    assert in_threads([off, both]) == [True, True]


@pytest.mark.promise("threads")
def test_a_step_of_compile_is_whole(hasty):
    w = at.Variable(np.zeros(3))

    @at.compile
    def step(x: Any) -> Any:
        w.assign(w + x)
        return w * 1.0

    in_threads([lambda: [step(np.ones(3)) for _ in range(100)]] * 4)
    assert w.numpy().tolist() == [400.0] * 3


def test_names_are_counted_in_threads(hasty):
    K.reset_uids()
    drawn = in_threads([lambda: [K.get_uid("x") for _ in range(100_000)]] * 4)
    assert sorted(n for numbers in drawn for n in numbers) == list(range(1, 400_001))


# -- turns ------------------------------------------------------------------------------------------------------------


def test_functions_with_a_common_variable_take_turns():
    class Touched:
        turn: Any = None

    a, b, c = Touched(), Touched(), Touched()
    first, second = locks.Turns([a]), locks.Turns([b])
    assert first.lock is not second.lock
    assert locks.Turns([a, c]).lock is first.lock and locks.Turns([c]).lock is first.lock
    both, back = locks.Turns([b, a]), locks.Turns([a, b])
    assert both.turns == back.turns == [*first.turns, *second.turns], "one order for all, or two could wait for ever"
    with both.lock:
        taken = in_threads([lambda: first.lock.acquire(False), lambda: second.lock.acquire(False)])
        assert taken == [False, False]
    assert locks.Turns().lock is not locks.Turns().lock


def test_a_step_may_call_another_function_of_its_variables():
    """By the same thread; only to call itself is refused (`graph/test_threads_smoke.py`)."""
    from autotensor.core.op import OPS, defop_no_grad

    w = at.Variable(np.ones(2), deferred=True)
    inner = at.function([], w * 2)
    name = "calls_another_function"
    op = defop_no_grad(name, impl=lambda x: x + inner(), infer=lambda x: x)
    try:
        x = at.placeholder((2,), np.float64)
        outer = at.function([x], op(x * w))
        found: list[Any] = []
        worker = threading.Thread(target=lambda: found.append(outer(np.ones(2))), daemon=True)
        worker.start()
        worker.join(60)
        assert found and found[0].tolist() == [3.0, 3.0]
    finally:
        del OPS[name]


@pytest.mark.promise("threads", "interrupts")
def test_an_interrupt_between_two_instructions_leaves_no_function_locked():
    w = at.Variable(np.zeros(()), deferred=True)
    f = at.function([], [], updates=[(w, w + 1)])
    with config.use(numba=False):
        f()
        f._turn.acquire()  # as if Ctrl-C had come before the call could begin, and before it could end
        f._runs = True
        f()
    assert w.numpy() == 2
