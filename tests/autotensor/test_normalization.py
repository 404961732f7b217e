"""Batch normalization: digits, threads, dtypes, graphs of unknown sizes."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.normalization import moments
from tests.autotensor.samples import normalization as loops

RNG = np.random.default_rng(3)


def normal(*shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("shape", "axis"), [((700, 5, 31), 2), ((40, 13, 9, 50), 1), ((3, 2, 20000), 1), ((9000, 3), 1)]
)
def test_moments_keep_their_digits_beside_a_large_mean(shape, axis, threads):
    """Mean 1000, deviation 1: a sum of squares in float32 would have no digit of the variance left."""
    x = normal(*shape) + 1000
    want = loops.moments(x.astype("float64"), axis)
    with at.config.use(threads=threads):
        mean, var = moments(at.Tensor(x), axis=axis)
    np.testing.assert_allclose(mean.numpy(), want[0], rtol=1e-6)
    np.testing.assert_allclose(var.numpy(), want[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "numba"),
    [
        ("float32", True),
        pytest.param("float16", True, marks=pytest.mark.slow),  # kernels of their own, 8 s to compile
        pytest.param("float64", True, marks=pytest.mark.slow),
        ("float16", False),
        ("float32", False),
        ("float64", False),
    ],
)
@pytest.mark.parametrize(("shape", "axis"), [((300, 4, 33), -1), ((20, 13, 9, 30), 1), ((6, 3), 1)])
def test_values_and_gradients(shape, axis, dtype, numba):
    tol = {"float64": 1e-11, "float32": 2e-5, "float16": 2e-2}[dtype]
    n = shape[axis]
    x, g = normal(*shape, dtype=dtype), normal(*shape, dtype=dtype)
    gamma, beta = normal(n, dtype=dtype) + dtype_one(dtype), normal(n, dtype=dtype)
    wide = [a.astype("float64") for a in (x, gamma, beta, g)]
    want = loops.batch_norm(*wide[:3], axis % x.ndim, 0.01)
    with at.config.use(numba=numba, threads=2):
        leaves = [at.Tensor(a, requires_grad=True) for a in (x, gamma, beta)]
        outs = at.batch_norm(*leaves, axis, 0.01)
        found = at.gradients(outs[0], leaves, at.Tensor(g))
        marks = [at.placeholder(a.shape, dtype) for a in (x, gamma, beta)]
        for mark in marks:
            mark.requires_grad = True
        seed = at.placeholder(x.shape, dtype)
        made = at.batch_norm(*marks, axis, 0.01)
        step = at.function([*marks, seed], [*made, *at.gradients(made[0], marks, seed)])
        compiled = step(x, gamma, beta, g)
    for got in (outs, compiled[:3]):
        for a, b in zip(got, want):
            assert a.dtype == dtype
            np.testing.assert_allclose(np.asarray(a), b, atol=tol * max(1, np.abs(b).max()))
    # The gradient by closed forms: that of a feature of n numbers is a projection, see the samples.
    mean, var = want[1:]
    r = 1 / np.sqrt(var + 0.01)
    rest = tuple([k for k in range(x.ndim) if k != axis % x.ndim])
    row = [-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]
    y = (wide[0] - mean.reshape(row)) * r.reshape(row)
    gbeta, ggamma = wide[3].sum(rest), (wide[3] * y).sum(rest)
    count = x.size / n
    inner = wide[3] - (gbeta / count).reshape(row) - y * (ggamma / count).reshape(row)
    wanted = (wide[1] * r).reshape(row) * inner, ggamma, gbeta
    for got in (found, compiled[3:]):
        for a, b in zip(got, wanted):
            np.testing.assert_allclose(np.asarray(a), b, atol=tol * max(1, np.abs(b).max()))


def dtype_one(dtype):
    return np.ones((), dtype)


def test_gradients_flow_through_mean_and_variance():
    x = at.Tensor(normal(4, 3, 2, dtype="float64"), requires_grad=True)
    gamma = at.Tensor(normal(3, dtype="float64"), requires_grad=True)

    def loss(make):
        out, mean, var = make()
        return at.sum(out * out * 0.5) + at.sum(mean * 3.0) + at.sum(var * var)

    def plain():
        mean, var = at.mean(x, (0, 2)), at.var(x, (0, 2))
        out = (x - mean.reshape(3, 1)) / at.sqrt(var + 0.1).reshape(3, 1) * gamma.reshape(3, 1)
        return out, mean, var

    got = at.gradients(loss(lambda: at.batch_norm(x, gamma, None, 1, 0.1)), [x, gamma])
    want = at.gradients(loss(plain), [x, gamma])
    for a, b in zip(got, want):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


def test_unknown_sizes():
    x = at.placeholder((None, None, 3))
    x.requires_grad = True
    out, mean, var = at.batch_norm(x, None, None)
    assert out.shape == (None, None, 3) and mean.shape == var.shape == (3,)
    step = at.function([x], [out, mean, at.gradients(at.sum(out * out * out), x)[0]])
    for shape in [(5, 2, 3), (2, 7, 3)]:
        given = normal(*shape)
        a = at.Tensor(given, requires_grad=True)
        eager = at.batch_norm(a)
        (g,) = at.gradients(at.sum(eager[0] * eager[0] * eager[0]), [a])
        for got, want in zip(step(given), [eager[0], eager[1], g]):
            np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


def test_nan_stays_in_its_feature():
    x = normal(64, 8)
    x[3, 2] = np.nan
    out, mean, var = at.batch_norm(x)
    for values in (out.numpy(), mean.numpy(), var.numpy()):
        bad = np.isnan(values).reshape(-1, 8).any(0)
        np.testing.assert_array_equal(bad, np.arange(8) == 2)


def test_errors():
    x = normal(4, 3)
    with pytest.raises(ShapeError, match=r"\[batch_norm\] expected a number for each of 3 features.*got shape \(4,\)"):
        at.batch_norm(x, np.ones(4, "f4"))
    with pytest.raises(DTypeError, match="floating tensors of one dtype; got float32, float64"):
        at.batch_norm(x, np.ones(3))
    with pytest.raises(DTypeError, match="floating"):
        at.batch_norm(np.ones((2, 3), int))
    with pytest.raises(ShapeError, match="known number of features"):
        at.batch_norm(at.placeholder((4, None)))
