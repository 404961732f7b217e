"""Depth costs memory, never a RecursionError or the C stack: long tapes, long sequences, many layers."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.layers import LSTM, Dense, Input, SimpleRNN
from keras_compat.models import Model, Sequential
from tests.keras_compat.children import run_alone
from tests.work import lines_run

pytestmark = [pytest.mark.promise(28), pytest.mark.usefixtures("interpreted_kernels")]

NODES = 100_000
STEPS = 50_000


@pytest.fixture
def interpreted_kernels() -> Iterator[None]:
    """No generated kernels: depth is the affair of graphs, and compiling takes time."""
    with at.config.use(numba=False):
        yield


def chain(x: at.Tensor, n: int) -> at.Tensor:
    """``n`` operations, each on the result of the one before."""
    for k in range(n):
        x = x * 1.0001 if k % 2 else x + 1e-4
    return x


def slope(n: int) -> float:
    """The derivative of the chain."""
    return 1.0001 ** (n // 2)


IN_A_SMALL_STACK = """
import gc, sys, threading
import numpy as np
import autotensor as at
from tests.reliability.test_depth import chain, slope

def work():
    n = {nodes}
    x = at.Tensor(np.ones(2), requires_grad=True)
    y = chain(x, n)
    at.sum(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(n), rtol=1e-9)
    del y  # links n tensors and n nodes
    ring = [chain(x, n // 4)]
    ring.append(ring)
    del ring
    gc.collect()
    print("done")

threading.stack_size(256 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_a_long_tape_goes_forward_backward_and_away_on_a_small_stack() -> None:
    done = run_alone("-c", IN_A_SMALL_STACK.format(nodes=NODES), timeout=300)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.slow
def test_a_tape_of_a_million() -> None:
    done = run_alone("-c", IN_A_SMALL_STACK.format(nodes=1_000_000), timeout=600)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_long_tape_is_shown_copied_and_pickled_by_its_value() -> None:
    x = at.Tensor(np.ones(2), requires_grad=True)
    y = chain(x, 5_000)
    assert repr(y).startswith("Tensor([") and repr(y.node) == "<Node multiply>"
    assert len(at.show(y, max_nodes=20).splitlines()) < 30
    for one in (copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        np.testing.assert_array_equal(one.numpy(), y.numpy())
        assert one.node is None


def test_second_derivatives_of_a_long_tape() -> None:
    x = at.Tensor(np.full(2, 0.5), requires_grad=True)
    n = 10_000
    y = at.sum(chain(x, n) ** 2)
    first = at.grad(y, x, create_graph=True)
    second = at.grad(at.sum(first), x)
    np.testing.assert_allclose(second.numpy(), 2 * slope(n) ** 2, rtol=1e-9)


def test_forward_derivatives_of_a_long_tape() -> None:
    value, tangent = at.jvp(lambda x: chain(x, 10_000), (np.ones(2),), (np.ones(2),))
    np.testing.assert_allclose(tangent, slope(10_000), rtol=1e-9)


def test_a_deep_graph_is_interpreted_and_planned() -> None:
    n = 3000
    x = at.placeholder((2,), dtype="float64")
    y = at.sum(chain(x, n))
    f = at.function([x], [y, at.grad(y, x)])
    found = f(np.ones(2))
    np.testing.assert_allclose(found[1], slope(n), rtol=1e-9)
    assert f.memory((2,)).peak_bytes < 1000, "memory of a chain does not grow with its length"
    with at.config.use(compile=False):
        np.testing.assert_array_equal(f(np.ones(2))[0], found[0])


# -- long sequences ----------------------------------------------------------------------------------------------------


def test_a_scan_of_many_steps_and_its_gradient() -> None:
    x = at.placeholder((None, 1), dtype="float64")
    start = at.placeholder((1,), dtype="float64")
    (last,), _ = at.scan(lambda states, parts, constants: ((states[0] * 0.9999 + parts[0],), ()), [start], [x])
    f = at.function([start, x], [last, *at.grad(at.sum(last), [start, x])])
    value, by_start, by_x = f(np.ones(1), np.full((STEPS, 1), 1e-4))
    powers = 0.9999 ** np.arange(STEPS - 1, -1, -1.0)
    np.testing.assert_allclose(value, 0.9999**STEPS + 1e-4 * powers.sum(), rtol=1e-9)
    np.testing.assert_allclose(by_start, 0.9999**STEPS, rtol=1e-9)
    np.testing.assert_allclose(by_x[:, 0], powers, rtol=1e-9)


def test_an_rnn_of_the_backend_over_many_steps() -> None:
    x = K.placeholder((None, None, 1))
    last = K.rnn(lambda inputs, states: (states[0] + inputs, [states[0] + inputs]), x, [K.zeros((1, 1))])[0]
    found = K.function([x], [last, K.gradients(last, x)[0]])([np.full((1, STEPS, 1), 0.5, "float32")])
    np.testing.assert_allclose(found[0], STEPS / 2)
    np.testing.assert_array_equal(found[1], np.ones((1, STEPS, 1)))


@pytest.mark.parametrize("layer", [SimpleRNN, pytest.param(LSTM, marks=pytest.mark.slow)])
def test_a_recurrent_layer_learns_from_many_steps(layer: Callable[..., Any]) -> None:
    model = Sequential([layer(2, input_shape=(None, 1)), Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    loss = model.train_on_batch(np.ones((1, STEPS, 1)), np.ones((1, 1)))
    assert np.isfinite(loss)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed[:3])


# -- many layers -------------------------------------------------------------------------------------------------------


def deep(depth: int, functional: bool) -> Model:
    """A model of so many layers, compiled."""
    if functional:
        x = y = Input((4,))
        for _ in range(depth):
            y = Dense(4)(y)
        model = Model(x, y)
    else:
        model = Sequential([Dense(4, input_dim=4)] + [Dense(4) for _ in range(depth - 1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("functional", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_model_deeper_than_the_recursion_limit_lives_a_whole_life(functional: bool) -> None:
    depth = 130
    used = len(list(_frames()))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(used + 120)
    try:
        model = deep(depth, functional)
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 4)))
        model.predict(np.ones((2, 4)))
        same = Model.from_config(model.get_config()) if functional else Sequential.from_config(model.get_config())
        same.set_weights(model.get_weights())
        del model, same
        gc.collect()
    finally:
        sys.setrecursionlimit(limit)


def _frames() -> Iterator[Any]:
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


@pytest.mark.parametrize("functional", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_work_of_building_grows_with_the_number_of_layers(functional: bool) -> None:
    def work(depth: int) -> int:
        def build_and_train() -> None:
            deep(depth, functional).train_on_batch(np.ones((2, 4)), np.ones((2, 4)))

        return lines_run(build_and_train, "keras_compat") + lines_run(build_and_train, "autotensor")

    work(4)
    small, large = work(8), work(32)
    assert large < 4 * small * 1.2, f"4 times the layers took {large / small:.1f} times the work"
