"""What is special about cross-entropies: huge logits, bad labels, kernels on float32, unknown dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from autotensor import config
from autotensor.core.tensor import Tensor, placeholder
from autotensor.errors import DTypeError, ShapeError
from autotensor.graph.compile import function
from autotensor.ops import activation, losses
from autotensor.ops.autodiff import grad


def longdouble_loss(x, t):
    """Cross-entropy in extended precision, with the maximum taken out."""
    z = x.astype(np.longdouble)
    z = z - z.max(axis=-1, keepdims=True)
    return (np.log(np.exp(z).sum(-1, keepdims=True)) - z) * t


@pytest.mark.promise(27)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_any_size(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [0, 1e4, 9999], [1e4, 1e4, 1e4]], dtype)
    t = np.array([[0, 1, 0], [1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]], dtype)
    want = np.array([2e4, np.log(3), 0.5 + np.log1p(np.exp(-1)), np.log(3)])
    tol = 1e-6 if dtype == "float32" else 1e-12
    for numba in (False, True):
        with config.use(numba=numba):
            loss = losses.softmax_cross_entropy.impl(x, t)
            np.testing.assert_allclose(loss, want, rtol=tol)
            gx = losses.softmax_cross_entropy_grad.impl(np.ones(4, dtype), x, t)
            e = np.exp((x - x.max(-1, keepdims=True)).astype(np.float64))
            np.testing.assert_allclose(gx, e / e.sum(-1, keepdims=True) - t, atol=tol)
    labels = np.array([1, 0, 2, 2])
    np.testing.assert_allclose(
        losses.sparse_softmax_cross_entropy(x, labels).numpy(),
        [2e4, np.log(3), 1 + np.log1p(np.exp(-1)), np.log(3)],
        tol,
    )


@pytest.mark.promise(27)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_any_size(dtype):
    x = np.array([1e4, 1e4, -1e4, -1e4, 0, 20, -20], dtype)
    t = np.array([1, 0, 1, 0, 0.5, 1, 0], dtype)
    small = np.log1p(np.exp(-20.0))
    want = [0, 1e4, 1e4, 0, np.log(2), small, small]
    tol = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(losses.sigmoid_cross_entropy(x, t).numpy(), want, rtol=tol)
    a, b = placeholder((None,), dtype), placeholder((None,), dtype)
    np.testing.assert_allclose(function([a, b], losses.sigmoid_cross_entropy(a, b))(x, t), want, rtol=1e-5)
    y = Tensor(x, requires_grad=True)
    losses.sigmoid_cross_entropy(y, t).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), [0, 1, -1, 0, 0, -np.exp(-20.0), np.exp(-20.0)], atol=2e-7)


@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (128, 10), (17, 1000), (2, 3, 5)])
def test_float32_kernels_have_float32_precision(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 5, shape).astype(np.float32)
    t = rng.random(shape).astype(np.float32)
    labels = rng.integers(0, shape[-1], shape[:-1])
    g = rng.normal(size=shape[:-1]).astype(np.float32)
    parts = longdouble_loss(x, t)
    np.testing.assert_allclose(losses.softmax_cross_entropy.impl(x, t), parts.sum(-1), rtol=1e-5)
    hot = (np.arange(shape[-1]) == labels[..., None]).astype(np.float32)
    np.testing.assert_allclose(
        losses.sparse_softmax_cross_entropy.impl(x, labels), longdouble_loss(x, hot).sum(-1), rtol=1e-5, atol=1e-6
    )
    e = np.exp(x.astype(np.longdouble) - x.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    np.testing.assert_allclose(activation.softmax_op.impl(x, axis=x.ndim - 1), p, rtol=4e-6)  # x - max rounds
    np.testing.assert_allclose(activation.log_softmax_op.impl(x, axis=x.ndim - 1), np.log(p), rtol=2e-6, atol=5e-6)
    wide = g[..., None]
    total = t.sum(-1, keepdims=True)
    np.testing.assert_allclose(
        losses.softmax_cross_entropy_grad.impl(g, x, t),
        wide * (p * total - t),
        rtol=1e-5,
        atol=1e-5 * float(total.max()),
    )
    np.testing.assert_allclose(
        losses.sparse_softmax_cross_entropy_grad.impl(g, x, labels), wide * (p - hot), rtol=1e-5, atol=1e-6
    )


@pytest.mark.promise(20)
@pytest.mark.parametrize("numba", [False, True])
def test_nan_and_infinity_go_through_softmax(numba):
    x = np.array([[0, np.nan, 1], [np.nan, 0, 1], [0, 1, np.inf], [0, 1, -np.inf], [0, 1, 2]], np.float32)
    with config.use(numba=numba), np.errstate(invalid="ignore"):
        for op in (activation.softmax_op, activation.log_softmax_op):
            for y in (op.impl(x, axis=1), compiled(lambda a, op=op: op(a, axis=1), x)):
                assert np.isnan(y[:2]).all() and np.isnan(y[2, 2])
                assert np.isfinite(y[4]).all()
    e = np.exp([-1.0, 0.0])
    np.testing.assert_allclose(activation.softmax_op.impl(x, axis=1)[3], [*(e / e.sum()), 0], rtol=1e-6)


BAD = [
    (np.array([0, 12, 3]), "labels must be in 0..9; got 12"),
    (
        np.array([0, 10, 3], np.uint8),
        "labels must be in 0..9; got 10. Count classes from 0, or make the last layer 11 wide?",
    ),
    (np.array([0, -1, 3]), "labels must be in 0..9; got -1"),
    (np.array([0, np.iinfo(np.int64).min, 3]), "NaN"),
    (np.array([0, np.iinfo(np.int32).min, 3], np.int32), "NaN"),
]


def compiled(op, *arrays):
    """The op alone as a plan runs it."""
    given = [placeholder(a.shape, a.dtype) for a in arrays]
    return function(given, op(*given))(*arrays)


@pytest.mark.promise(23)
@pytest.mark.parametrize(("labels", "words"), BAD)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("numba", [False, True])
def test_labels_out_of_range_are_refused(labels, words, dtype, numba):
    x = np.zeros((3, 10), dtype)
    g = np.ones(3, dtype)
    loss, slope = losses.sparse_softmax_cross_entropy, losses.sparse_softmax_cross_entropy_grad
    with config.use(numba=numba):
        for run in (
            lambda: loss(x, labels),
            lambda: compiled(loss, x, labels),
            lambda: slope(g, x, labels),
            lambda: compiled(slope, g, x, labels),
        ):
            with pytest.raises(ShapeError) as caught:
                run()
            assert str(caught.value).startswith("[sparse_softmax_cross_entropy]")
            assert words in str(caught.value)


@pytest.mark.promise(23)
def test_a_compiled_loss_refuses_bad_labels_too():
    x, labels = placeholder((None, 10)), placeholder((None,), "int64")
    f = function([x, labels], losses.sparse_softmax_cross_entropy(x, labels))
    assert f(np.zeros((2, 10), np.float32), np.array([0, 9])).tolist() == pytest.approx([np.log(10)] * 2)
    with pytest.raises(ValueError, match="labels must be in 0..9; got 12"):
        f(np.zeros((2, 10), np.float32), np.array([0, 12]))


@pytest.mark.promise(23)
def test_labels_of_nan_become_a_clear_error():
    with np.errstate(invalid="ignore"):
        labels = np.array([0.0, np.nan]).astype(np.int64)
    with pytest.raises(ShapeError, match="NaN"):
        losses.sparse_softmax_cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (
            lambda x: losses.sparse_softmax_cross_entropy(x, np.zeros(3)),
            DTypeError,
            "labels must be integers; got float64",
        ),
        (lambda x: losses.sparse_softmax_cross_entropy(x, np.zeros((3, 1), int)), ShapeError, "Squeeze the last axis"),
        (lambda x: losses.sparse_softmax_cross_entropy(x, np.zeros(4, int)), ShapeError, "got (3, 5) and (4,)"),
        (lambda x: losses.softmax_cross_entropy(x, np.zeros(3)), ShapeError, "sparse_softmax_cross_entropy()"),
        (lambda x: losses.softmax_cross_entropy(x, np.zeros((3, 4))), ShapeError, "got (3, 5) and (3, 4)"),
        (lambda x: losses.sigmoid_cross_entropy(x, np.zeros((3, 4))), ShapeError, "do not broadcast"),
    ],
)
def test_errors_in_eager_and_in_graphs(call, kind, words):
    for x in (Tensor(np.zeros((3, 5))), placeholder((3, 5), "float64")):
        with pytest.raises(kind) as caught:
            call(x)
        assert words in str(caught.value)


def test_unknown_dimensions_and_a_training_step():
    x, labels = placeholder((None, None)), placeholder((None,), "int64")
    loss = losses.sparse_softmax_cross_entropy(x, labels).mean()
    step = function([x, labels], [loss, grad(loss, x)])
    for n, k in ((4, 3), (5, 7)):
        given = np.random.default_rng(n).normal(size=(n, k)).astype(np.float32)
        hot = np.eye(k)[np.arange(n) % k]
        value, slope = step(given, np.arange(n) % k)
        e = np.exp(given.astype(np.float64))
        p = e / e.sum(1, keepdims=True)
        assert value == pytest.approx(-np.log((p * hot).sum(1)).mean(), rel=1e-5)
        np.testing.assert_allclose(slope, (p - hot) / n, atol=1e-6)


def test_float16_is_computed_in_float32():
    x = np.array([[8.0, -8.0, 3.0]], np.float16)
    loss = losses.sparse_softmax_cross_entropy(x, np.array([1]))
    assert loss.dtype == np.float16
    assert loss.item() == pytest.approx(16.0 + np.log1p(np.exp(-5)), rel=1e-3)
    assert activation.softmax(x).dtype == np.float16


@pytest.mark.promise(33)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit_in_deterministic_mode(threads):
    """Rows many enough for several parts."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(0, 5, (300, 257)).astype("f4"), rng.random((300, 257), "f4")
    g, rows = rng.random(300, "f4"), rng.normal(size=(300, 257)).astype("f4")
    labels = rng.integers(0, 257, 300)

    def run():
        yield losses.softmax_cross_entropy.impl(x, t)
        yield losses.softmax_cross_entropy_grad.impl(g, x, t)
        yield losses.sparse_softmax_cross_entropy.impl(x, labels)
        yield losses.sparse_softmax_cross_entropy_grad.impl(g, x, labels)
        for op, slope in (
            (activation.softmax_op, activation.softmax_grad),
            (activation.log_softmax_op, activation.log_softmax_grad),
        ):
            y = op.impl(x, axis=1)
            yield y
            yield slope.impl(rows, y, axis=1)

    with config.use(threads=1, deterministic=True):
        want = list(run())
    with config.use(numba=False):
        plain = list(run())
    with config.use(threads=threads, deterministic=True):
        for got, one, other in zip(run(), want, plain, strict=True):
            np.testing.assert_array_equal(got, one)
            np.testing.assert_allclose(got, other, rtol=2e-5, atol=1e-5)
