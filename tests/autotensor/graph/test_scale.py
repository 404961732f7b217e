"""Large graphs: the compiler's work grows with their size, not with its square, and depth is never recursion."""

import numpy as np
import pytest

import autotensor as at
from autotensor.graph import codegen
from tests.autotensor.graph.plain_kernels import plain_load
from tests.work import lines_run


def mlp(layers, width=4):
    """Forward, backward and momentum updates of a deep network, as a function."""
    rng = np.random.default_rng(0)
    x, y = at.placeholder((None, width)), at.placeholder((None, width))
    h = x
    params = []
    for _ in range(layers):
        w = at.Variable((rng.normal(size=(width, width)) / 2).astype("f4"), deferred=True)
        b = at.Variable(np.zeros(width, "f4"), deferred=True)
        h = at.tanh(at.matmul(h, w) + b)
        params += [w, b]
    loss = at.mean(at.square(h - y))
    updates = []
    for p, g in zip(params, at.grad(loss, params), strict=True):
        m = at.Variable(np.zeros(p.shape, "f4"), deferred=True)
        new = m * 0.9 + g
        updates += [(m, new), (p, p - 0.01 * new)]
    return at.function([x, y], loss, updates=updates)


@pytest.fixture
def without_numba(monkeypatch):
    """Generated kernels as plain Python: what is counted is the compiler's own work."""
    monkeypatch.setattr(codegen, "load", plain_load)


def compiling(f, *arrays):
    """Lines of the engine that the first call of a function runs: its compilation, and one step."""
    return lines_run(lambda: f(*arrays), within="autotensor")


def test_the_cost_of_compiling_grows_linearly_with_depth(without_numba):
    a = np.ones((8, 4), "f4")
    small = compiling(mlp(12), a, a)
    f = mlp(96)
    large = compiling(f, a, a)
    assert large < 8 * small * 1.3, f"8 times the layers took {large / small:.1f} times the work"
    assert len(f.plans[-1].calls) < 8 * 96
    assert np.isfinite(f(a, a))


def heads(number):
    """Many readers of one value, and the slope of one of them."""
    x = at.placeholder((4,), np.float64)
    h = at.tanh(x)
    return at.function([x], [h * float(k) for k in range(number)])


def test_many_readers_of_one_value(without_numba):
    """Hundreds of heads on one body: merging siblings must not look at each pair."""
    small = compiling(heads(50), np.ones(4))
    f = heads(400)
    large = compiling(f, np.ones(4))
    assert large < 8 * small * 1.3, f"8 times the heads took {large / small:.1f} times the work"
    np.testing.assert_allclose(f(np.ones(4))[-1], np.tanh(1) * 399)


@pytest.mark.slow
@pytest.mark.promise(28)
def test_a_chain_far_deeper_than_the_recursion_limit():
    x = at.placeholder((3,), np.float64)
    h = x
    for _ in range(30_000):
        h = h + 1e-3
    f = at.function([x], h)
    np.testing.assert_allclose(f(np.zeros(3)), 30, rtol=1e-9)
    g = x
    for _ in range(3000):
        g = at.matmul(at.Tensor(np.eye(3) * 1.001), g)
    (slope,) = at.function([x], [at.grad(at.sum(g), x)])(np.ones(3))
    np.testing.assert_allclose(slope, 1.001**3000, rtol=1e-9)


@pytest.mark.promise(28)
def test_a_deep_eager_chain_to_the_second_order():
    w = at.Tensor(np.ones(2), requires_grad=True)
    y = w
    n = 5000
    for _ in range(n):
        y = y * 1.0001
    g = at.grad(at.sum(y * w), w)
    second = at.grad(at.sum(g * g), w)
    c = 1.0001**n
    np.testing.assert_allclose(g.numpy(), 2 * c, rtol=1e-9)
    np.testing.assert_allclose(second.numpy(), 8 * c * c, rtol=1e-9)
