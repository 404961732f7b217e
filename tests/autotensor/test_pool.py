"""Pooling and resizing: what the contract does not say."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import ShapeError
from tests.autotensor.samples import pool as loops
from tests.autotensor.samples.window import first

RNG = np.random.default_rng(6)


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


# -- pooling


def test_max_and_average_of_blocks():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(at.max_pool(x, 2).numpy().ravel(), [5, 7, 13, 15])
    np.testing.assert_array_equal(at.average_pool(x, 2).numpy().ravel(), [2.5, 4.5, 10.5, 12.5])


def test_the_border_counts_nowhere():
    x = -np.ones((1, 3, 3, 1))
    np.testing.assert_array_equal(at.max_pool(x, 2, 1, "same").numpy(), x)
    np.testing.assert_array_equal(at.average_pool(x, 2, 1, "same").numpy(), x)
    np.testing.assert_array_equal(at.average_pool(x, 3, 1, ((2, 2), (1, 1))).numpy(), -np.ones((1, 5, 3, 1)))


@pytest.mark.parametrize("numba", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((3, 7, 5), loops.LINE),
        ((2, 6, 5, 3), loops.SAME),
        ((2, 5, 7, 3), loops.how((3, 3), (2, 1), ((1, 2), (0, 1)))),
        ((1, 4, 3, 5, 2), loops.ROOM),
    ],
)
def test_values_and_gradients(shape, given, dtype, numba):
    tol = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2}[dtype]
    x = normal(*shape, dtype=dtype)
    x[0, 0] = 0.5  # ties
    with at.config.use(numba=numba):
        for op, forward, backward in [
            (at.max_pool, loops.maxima, loops.max_input),
            (at.average_pool, loops.averages, loops.average_input),
        ]:
            a = at.Tensor(x, requires_grad=True)
            out = op(a, given["size"], given["strides"], given["padding"])
            g = normal(*out.shape, dtype=dtype)
            (ga,) = at.gradients(out, [a], [at.Tensor(g)])
            assert out.dtype == ga.dtype == dtype
            wide = x.astype("float64")
            np.testing.assert_allclose(out.numpy(), forward(wide, **given), atol=tol)
            np.testing.assert_allclose(ga.numpy(), backward(g.astype("float64"), wide, **given), atol=tol)


@pytest.mark.parametrize("numba", [True, False])
def test_first_of_equal_maxima_takes_the_gradient(numba):
    with at.config.use(numba=numba):
        x = at.Tensor(np.ones((1, 2, 4, 1)), requires_grad=True)
        (g,) = at.gradients(at.max_pool(x, 2), [x])
    np.testing.assert_array_equal(g.numpy()[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("numba", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinities(numba, dtype):
    """NaN wins in any place of the window, as in np.max; windows of -inf alone have a maximum and a gradient."""
    x = np.full((1, 12, 1), -np.inf, dtype)
    x[0, 0] = x[0, 4] = x[0, 8] = np.nan
    x[0, 1] = x[0, 5] = 1.0
    with at.config.use(numba=numba):
        for turned in (x, x[:, ::-1].copy()):
            a = at.Tensor(turned, requires_grad=True)
            out = at.max_pool(a, 3)
            np.testing.assert_array_equal(out.numpy().ravel(), turned.reshape(4, 3).max(1))
            (g,) = at.gradients(out, [a])
            want = np.zeros((4, 3))
            want[np.arange(4), turned.reshape(4, 3).argmax(1)] = 1
            np.testing.assert_array_equal(g.numpy().reshape(4, 3), want)


def test_integers():
    x = RNG.integers(-9, 9, (1, 4, 4, 2))
    out = at.max_pool(x, 2)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out.numpy(), loops.maxima(x, **loops.how((2, 2), (2, 2))))
    assert at.average_pool(x, 2).dtype == np.float64


@pytest.mark.parametrize("op", [at.max_pool, at.average_pool])
def test_layouts_and_unknown_sizes(op):
    x = normal(2, 5, 6, 3)
    want = op(x, (2, 3), (2, 1), "same").numpy()
    np.testing.assert_allclose(op(first(x), (2, 3), (2, 1), "same", "channels_first").numpy(), first(want))
    t = at.placeholder((None, None, 6, 3), "float64")
    out = op(t, (2, 3), (2, 1), "same")
    assert out.shape == (None, None, 6, 3)
    step = at.function([t], [out, at.gradients(at.sum(out * out), t)[0]])
    for shape in [(2, 5, 6, 3), (1, 2, 6, 3), (0, 4, 6, 3)]:
        given = normal(*shape)
        a = at.Tensor(given, requires_grad=True)
        eager = op(a, (2, 3), (2, 1), "same")
        (g,) = at.gradients(at.sum(eager * eager), [a])
        got = step(given)
        np.testing.assert_allclose(got[0], eager.numpy(), atol=1e-12)
        np.testing.assert_allclose(got[1], g.numpy(), atol=1e-12)


def test_pool_errors():
    x = normal(2, 5, 6, 3)
    with pytest.raises(ShapeError, match=r"\[max_pool\].*windows that fit"):
        at.max_pool(x, (6, 2))
    with pytest.raises(ShapeError, match="smaller than the windows"):
        at.average_pool(x, 2, 1, ((2, 0), (0, 0)))
    with pytest.raises(ShapeError, match="smaller than the windows"):
        at.max_pool(x, 2, 1, ((0, 2), (0, 0)))
    with pytest.raises(ShapeError, match="pool_size"):
        at.max_pool(x, 0)
    with pytest.raises(ShapeError, match=r"3 axes of space between them; got shape \(2, 5, 6, 3\)"):
        at.max_pool(x, (2, 2, 2))


# -- resizing


def test_nearest_repeats():
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    want = np.kron(x[0, :, :, 0], np.ones((2, 3)))
    np.testing.assert_array_equal(at.resize(x, factor=(2, 3)).numpy()[0, :, :, 0], want)
    np.testing.assert_array_equal(at.resize(x, size=(4, 6)).numpy()[0, :, :, 0], want)


def test_bilinear_as_tensorflow_1():
    """Rows of 2 made 4 wide: position i reads at i / 2, and beyond the last element there is only that one."""
    x = np.array([[0.0, 4], [8, 12]]).reshape(1, 2, 2, 1)
    got = at.resize(x, factor=2, method="bilinear").numpy()[0, :, :, 0]
    np.testing.assert_allclose(got, [[0, 2, 4, 4], [4, 6, 8, 8], [8, 10, 12, 12], [8, 10, 12, 12]])
    smaller = at.resize(np.arange(6.0).reshape(1, 6, 1), size=4, method="bilinear")
    np.testing.assert_allclose(smaller.numpy().ravel(), [0, 1.5, 3, 4.5])


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_resize_layouts_dtypes_and_unknown_sizes(method):
    x = normal(2, 3, 4, 2)
    want = at.resize(x, factor=(2, 3), method=method).numpy()
    got = at.resize(first(x), factor=(2, 3), method=method, layout="channels_first").numpy()
    np.testing.assert_allclose(got, first(want))
    for dtype in ("float32", "float16"):
        assert at.resize(x.astype(dtype), factor=2, method=method).dtype == dtype
    t = at.placeholder((None, None, 4, 2), "float64")
    out = at.resize(t, factor=(2, 3), method=method)
    assert out.shape == (None, None, 12, 2)
    fixed = at.resize(t, size=(5, 7), method=method)
    assert fixed.shape == (None, 5, 7, 2)
    step = at.function([t], [out, fixed, at.gradients(at.sum(out**2) + at.sum(fixed**2), t)[0]])
    a = at.Tensor(x, requires_grad=True)
    eager = [at.resize(a, factor=(2, 3), method=method), at.resize(a, size=(5, 7), method=method)]
    eager.append(at.gradients(at.sum(eager[0] ** 2) + at.sum(eager[1] ** 2), a)[0])
    for got, wanted in zip(step(x), eager):
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-12)


def test_nearest_gradient_counts_copies():
    x = at.Tensor(normal(1, 5, 1), requires_grad=True)
    (g,) = at.gradients(at.resize(x, size=7), [x])
    np.testing.assert_array_equal(g.numpy().ravel(), np.bincount([int(i * 5 / 7) for i in range(7)], minlength=5))


def test_resize_errors():
    x = normal(2, 3, 4, 2)
    with pytest.raises(ValueError, match="size or factor"):
        at.resize(x)
    with pytest.raises(ValueError, match="method"):
        at.resize(x, factor=2, method="cubic")
    with pytest.raises(ShapeError, match="factor"):
        at.resize(x, factor=0)
    with pytest.raises(ShapeError, match="elements to read"):
        at.resize(np.zeros((1, 0, 2)), size=3)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [
        ((2, 2), (2, 2), "valid"),
        ((3, 3), (2, 2), ((1, 1), (0, 2))),
        ((3, 2), (3, 2), "same"),
        ((1, 3), (2, 5), "valid"),
    ],
)
def test_threads_and_places(size, strides, padding, threads):
    """Arrays large enough for several parts: windows that touch, overlap, hang over the border, and leave gaps."""
    x = normal(3, 25, 26, 33, dtype="float32")
    given = loops.how(size, strides, padding)
    t, seed = at.placeholder(x.shape), None
    with at.config.use(threads=threads):
        for op, forward, backward in [
            (at.max_pool, loops.maxima, loops.max_input),
            (at.average_pool, loops.averages, loops.average_input),
        ]:
            t.requires_grad = True
            out = op(t, size, strides, padding)
            g = normal(*out.shape, dtype="float32")
            seed = at.placeholder(out.shape)
            alone = at.function([t], out)
            step = at.function([t, seed], [out, at.gradients(out, [t], [seed])[0]])
            np.testing.assert_allclose(alone(x), forward(x, **given), rtol=1e-6, atol=1e-6)
            for _ in range(2):
                y, gx = step(x, g)
                np.testing.assert_array_equal(y, alone(x))
                np.testing.assert_allclose(gx, backward(g, x, **given), rtol=1e-5, atol=1e-5)


def test_windows_of_more_than_a_byte_counts():
    x = normal(2, 40, 20, 2)
    a = at.Tensor(x, requires_grad=True)
    out = at.max_pool(a, (20, 20))
    (g,) = at.gradients(out, [a], [at.Tensor(np.full(out.shape, 2.0))])
    want = np.where(x.reshape(2, 2, 400, 2) == x.reshape(2, 2, 400, 2).max(2, keepdims=True), 2.0, 0.0)
    np.testing.assert_array_equal(g.numpy(), want.reshape(x.shape))


def test_places_are_not_kept_without_a_gradient():
    t = at.placeholder((2, 8, 8, 3))
    alone = at.function([t], at.max_pool(t, 2))
    alone(normal(2, 8, 8, 3, dtype="float32"))
    assert alone.plans[-1].allocated == 2 * 4 * 4 * 3 * 4
