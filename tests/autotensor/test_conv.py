"""Convolutions and windows: what the contract does not say. Oracles: loops, SciPy, inner products, closed forms."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import ShapeError
from autotensor.kernels import direct as direct_kernels
from autotensor.kernels import window as window_kernels
from autotensor.testing import check_grad
from tests.autotensor.samples import conv as loops
from tests.autotensor.samples.window import border, first, last

RNG = np.random.default_rng(5)


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def how(strides, padding="valid", dilation=None):
    return loops.how(strides, padding, dilation)


# -- values


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_conv_is_scipys_correlation(n, padding):
    signal = pytest.importorskip("scipy.signal")
    x, kernel = normal(2, *(7, 6, 5)[:n], 3), normal(*(3, 3, 3)[:n], 3, 2)
    want = np.stack(
        [
            [sum(signal.correlate(image[..., c], kernel[..., c, o], padding) for c in range(3)) for o in range(2)]
            for image in x
        ]
    )
    got = at.conv(x, kernel, padding=padding)
    np.testing.assert_allclose(got.numpy(), np.moveaxis(want, 1, -1), atol=1e-12)


def test_conv_does_not_turn_the_kernel():
    x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1)
    kernel = np.array([1.0, 10]).reshape(2, 1, 1)
    np.testing.assert_array_equal(at.conv(x, kernel).numpy().ravel(), [21, 32, 43])
    np.testing.assert_array_equal(at.conv(x, kernel, padding="same").numpy().ravel(), [21, 32, 43, 4])
    np.testing.assert_array_equal(at.conv(x, kernel, padding="causal").numpy().ravel(), [10, 21, 32, 43])


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_for_every_parity(n, k, stride):
    x, kernel = normal(1, n, 2), normal(k, 2, 2)
    for dilation in (1, 2):
        got = at.conv(x, kernel, stride, "same", dilation).numpy()
        assert got.shape == (1, -(-n // stride), 2)
        np.testing.assert_allclose(got, loops.conv(x, kernel, **how((stride,), "same", (dilation,))), atol=1e-12)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_causal_sees_nothing_later(layout):
    x, kernel = normal(1, 8, 2), normal(3, 2, 2)
    changed = x.copy()
    changed[:, 5:] += 1.0
    outs = []
    for given in (x, changed):
        given = given if layout == "channels_last" else first(given)
        out = at.conv(given, kernel, padding="causal", dilation=2, layout=layout).numpy()
        outs.append(out if layout == "channels_last" else np.moveaxis(out, 1, -1))
    np.testing.assert_array_equal(outs[0][:, :5], outs[1][:, :5])
    assert not np.allclose(outs[0][:, 5:], outs[1][:, 5:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("budget", [64, 2000])
def test_blocks_do_not_show(monkeypatch, dtype, budget):
    """A budget of few bytes cuts images into rows; the kernels must piece them together."""
    monkeypatch.setattr(window_kernels, "BLOCK_BYTES", budget)
    monkeypatch.setattr(direct_kernels, "TILE_BYTES", budget)
    tol = 1e-12 if dtype == "float64" else 1e-5
    for strides, padding, dilation in [
        ((1, 1), "valid", (1, 1)),
        ((1, 1), "same", (2, 1)),
        ((2, 3), "same", (1, 1)),
        ((2, 1), ((1, 2), (0, 1)), (1, 2)),
    ]:
        given = how(strides, padding, dilation)
        x, kernel = normal(3, 9, 8, 2, dtype=dtype), normal(3, 2, 2, 3, dtype=dtype)
        want = loops.conv(x, kernel, **given)
        g = normal(*want.shape, dtype=dtype)
        for numba in (True, False):
            with at.config.use(numba=numba):
                a, b = at.Tensor(x, requires_grad=True), at.Tensor(kernel, requires_grad=True)
                out = at.conv(a, b, **given)
                np.testing.assert_allclose(out.numpy(), want, atol=tol * 100)
                ga, gb = at.gradients(out, [a, b], [at.Tensor(g)])
                np.testing.assert_allclose(ga.numpy(), loops.conv_input(g, kernel, x, **given), atol=tol * 100)
                np.testing.assert_allclose(gb.numpy(), loops.conv_kernel(x, g, kernel, **given), atol=tol * 300)


def test_few_channels_and_wide_kernels_take_their_own_way_back():
    """The gradient of the input is a convolution or a sum of windows, by the number of channels: both are right."""
    for c_in, c_out, padding in [(1, 20, "same"), (3, 2, "same"), (2, 2, ((4, 4), (0, 3)))]:
        given = how((1, 1), padding)
        x, kernel = normal(2, 5, 6, c_in), normal(3, 2, c_in, c_out)
        a = at.Tensor(x, requires_grad=True)
        out = at.conv(a, kernel, **given)
        g = normal(*out.shape)
        (ga,) = at.gradients(out, [a], [at.Tensor(g)])
        np.testing.assert_allclose(ga.numpy(), loops.conv_input(g, kernel, x, **given), atol=1e-12)


def test_no_batch_of_windows_in_memory():
    x, kernel = normal(16, 32, 32, 8, dtype="float32"), normal(5, 5, 8, 8, dtype="float32")
    windows = x.nbytes * 25
    a, b = at.Tensor(x, requires_grad=True), at.Tensor(kernel, requires_grad=True)

    def step():
        out = at.conv(a, b, padding="same")
        at.gradients(out, [a, b], [out])

    step()  # the first brings the compiler and its memory
    tracemalloc.start()
    try:
        step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < windows / 2, f"{peak} bytes, where all windows are {windows}"


def test_half_precision_adds_up_in_single():
    """4096 products of 1: float16 alone would stop at 2048."""
    x, kernel = np.ones((1, 64, 64, 1), np.float16), np.ones((64, 64, 1, 1), np.float16)
    out = at.conv(x, kernel)
    assert out.dtype == np.float16 and out.numpy().ravel() == 4096
    out = at.depthwise_conv(x, kernel)
    assert out.dtype == np.float16 and out.numpy().ravel() == 4096


def test_mixed_dtypes_promote_and_gradients_keep_their_own():
    x = at.Tensor(normal(1, 4, 2, dtype="float32"), requires_grad=True)
    kernel = at.Tensor(normal(2, 2, 3), requires_grad=True)
    out = at.conv(x, kernel)
    assert out.dtype == np.float64
    gx, gk = at.gradients(out, [x, kernel])
    assert (gx.dtype, gk.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_bias_and_activation_in_one_pass(activation):
    """Layouts, dtypes, strided and read-only inputs: the values and gradients of the steps one by one."""
    for dtype, given in [("float32", {}), ("float64", {"strides": 2}), ("float16", {"padding": "same"})]:
        x, kernel, bias = normal(2, 6, 7, 18, dtype=dtype), normal(3, 3, 18, 20, dtype=dtype), normal(20, dtype=dtype)
        x.flags.writeable = False
        found = []
        for layout in ("channels_last", "channels_first"):
            leaves = [
                at.Tensor(v, requires_grad=True) for v in (x if layout == "channels_last" else first(x), kernel, bias)
            ]
            out = at.conv(*leaves[:2], **given, layout=layout, bias=leaves[2], activation=activation)
            assert out.dtype == dtype
            found.append((out, *at.gradients(at.sum(out * out), leaves)))
        leaves = [at.Tensor(v.astype("float64"), requires_grad=True) for v in (x, kernel, bias)]
        want = at.conv(*leaves[:2], **given) + leaves[2]
        want = at.relu(want) if activation == "relu" else want
        want = (want, *at.gradients(at.sum(want * want), leaves))
        tol = {"float16": 3e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
        for a, b, c in zip(*found, want):
            b = last(b.numpy()) if b.shape != c.shape else b.numpy()
            for got in (a.numpy(), b):
                assert np.abs(got - c.numpy()).max() < tol * np.abs(c.numpy()).max()


def test_bias_errors():
    x, kernel = normal(2, 5, 6, 3), normal(3, 2, 3, 4)
    with pytest.raises(ShapeError, match=r"\[conv\] expected a bias of one number a channel"):
        at.conv(x, kernel, bias=normal(3))
    with pytest.raises(ValueError, match="activation"):
        at.conv(x, kernel, bias=normal(4), activation="tanh")


def test_integers_convolve_as_floats():
    out = at.conv(np.arange(5).reshape(1, 5, 1), np.array([1, 1]).reshape(2, 1, 1))
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out.numpy().ravel(), [1, 3, 5, 7])


@pytest.mark.parametrize("op", ["conv", "conv_transpose", "depthwise_conv"])
def test_layouts_say_the_same(op):
    kernel = normal(3, 2, 3, 2) if op != "conv_transpose" else normal(3, 2, 2, 3)
    x = normal(2, 5, 6, 3)
    for given in ({}, {"strides": 2, "padding": "same"}):
        a = getattr(at, op)(x, kernel, **given).numpy()
        b = getattr(at, op)(first(x), kernel, layout="channels_first", **given).numpy()
        np.testing.assert_allclose(first(a), b, atol=1e-12)


def test_empty_batch():
    x = at.Tensor(np.zeros((0, 5, 6, 3), np.float32), requires_grad=True)
    kernel = at.Tensor(normal(3, 2, 3, 4, dtype="float32"), requires_grad=True)
    out = at.conv(x, kernel, strides=2, padding="same")
    assert out.shape == (0, 3, 3, 4)
    gx, gk = at.gradients(out, [x, kernel])
    assert gx.shape == x.shape and not gk.numpy().any() and gk.shape == kernel.shape


# -- transposed


@pytest.mark.parametrize("padding", ["valid", "same", ((1, 0), (2, 1))])
@pytest.mark.parametrize(("strides", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), ((2, 1), (1, 3))])
def test_transposed_is_the_adjoint(padding, strides, dilation):
    """sum(conv(x) * y) = sum(x * conv_transpose(y)) for every x and y."""
    y, kernel = normal(2, 4, 3, 4), normal(4, 3, 2, 4)
    back = at.conv_transpose(y, kernel, strides, padding, dilation)
    x = normal(*back.shape)
    there = at.conv(x, kernel, strides, padding, dilation)
    assert there.shape == y.shape
    np.testing.assert_allclose((there.numpy() * y).sum(), (x * back.numpy()).sum(), atol=1e-10)


# (size of x, kernel, stride, padding, dilation, output_padding) -> size of the result: Keras 2.3's deconv_length.
LENGTHS = [
    ((4, 3, 2, "valid", 1, None), 9),
    ((4, 2, 3, "valid", 1, None), 12),
    ((4, 3, 2, "same", 1, None), 8),
    ((4, 3, 1, "valid", 2, None), 8),
    ((4, 3, 2, "same", 1, 0), 7),
    ((4, 3, 2, "same", 1, 1), 8),
    ((4, 3, 2, "valid", 1, 1), 10),
    ((5, 4, 3, "same", 1, 2), 14),
    ((4, 3, 2, ((1, 1),), 1, None), 7),
]


@pytest.mark.parametrize(("given", "want"), LENGTHS)
def test_transposed_sizes(given, want):
    n, k, stride, padding, dilation, extra = given
    y, kernel = normal(1, n, 2), normal(k, 3, 2)
    out = at.conv_transpose(y, kernel, stride, padding, dilation, output_padding=extra)
    assert out.shape == (1, want, 3)
    symbolic = at.conv_transpose(at.placeholder((None, n, 2)), kernel, stride, padding, dilation, output_padding=extra)
    assert symbolic.shape == (None, want, 3)
    like = np.zeros((1, want, 3))
    np.testing.assert_allclose(
        out.numpy(), loops.conv_input(y, kernel, like, **how((stride,), padding, (dilation,))), atol=1e-12
    )


def test_transposed_into_each_size_that_leads_back():
    y, kernel = normal(1, 3, 3, 2), normal(2, 2, 1, 2)
    for size in [(5, 6), (6, 5)]:
        out = at.conv_transpose(y, kernel, 2, "same", output_size=size)
        assert out.shape == (1, *size, 1)
    with pytest.raises(ShapeError, match="whose convolution"):
        at.conv_transpose(y, kernel, 2, "same", output_size=(7, 6))
    with pytest.raises(ShapeError, match="whose convolution"):
        at.conv_transpose(at.placeholder((None, 3, 3, 2)), kernel, 2, "same", output_size=(6, 4))
    with pytest.raises(ValueError, match="got both"):
        at.conv_transpose(y, kernel, 2, "same", output_size=(5, 6), output_padding=1)


# -- depthwise


def test_depthwise_channels_are_in_tensorflows_order():
    x = np.array([[[1.0, 10.0]]])  # one position, two channels
    kernel = np.array([[[1.0, 2, 3], [4, 5, 6]]])
    np.testing.assert_array_equal(at.depthwise_conv(x, kernel).numpy().ravel(), [1, 2, 3, 40, 50, 60])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_loops_and_numpy_agree(dtype, multiplier):
    tol = 1e-12 if dtype == "float64" else 1e-5
    for shape, size, given in [
        ((3, 6, 5, 4), (3, 2), how((2, 1), "same", (1, 2))),
        ((2, 9, 4), (3,), how((2,), ((2, 0),), (2,))),
        ((1, 4, 3, 5, 4), (2, 3, 2), how((1, 1, 2), "same")),
    ]:
        x, kernel = normal(*shape, dtype=dtype), normal(*size, 4, multiplier, dtype=dtype)
        found = []
        for numba in (True, False):
            with at.config.use(numba=numba):
                a, b = at.Tensor(x, requires_grad=True), at.Tensor(kernel, requires_grad=True)
                out = at.depthwise_conv(a, b, **given)
                found.append([out, *at.gradients(out, [a, b], [out * 0.5])])
        np.testing.assert_allclose(found[0][0].numpy(), loops.depthwise(x, kernel, **given), atol=tol * 100)
        for a, b in zip(*found):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tol * 10, atol=tol * 100)


def test_depthwise_is_conv_with_a_diagonal_kernel():
    x, kernel = normal(2, 5, 6, 3), normal(2, 3, 3, 2)
    full = np.zeros((2, 3, 3, 6))
    for c in range(3):
        full[:, :, c, 2 * c : 2 * c + 2] = kernel[:, :, c]
    np.testing.assert_allclose(
        at.depthwise_conv(x, kernel, 2, "same").numpy(), at.conv(x, full, 2, "same").numpy(), atol=1e-12
    )


# -- windows


def test_unfold_shows_windows():
    x = np.arange(8.0).reshape(1, 4, 2)
    rows = at.unfold(x, 2, strides=2).numpy()
    np.testing.assert_array_equal(rows, [[[0, 1, 2, 3], [4, 5, 6, 7]]])
    rows = at.unfold(first(x), (2,), strides=2, layout="channels_first").numpy()
    np.testing.assert_array_equal(rows[0].T, [[0, 2, 1, 3], [4, 6, 5, 7]])


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_fold_counts_overlaps(layout):
    x = normal(2, 5, 6, 3)
    x = x if layout == "channels_last" else first(x)
    rows = at.unfold(x, 3, padding="same", layout=layout)
    back = at.fold(rows, (5, 6), 3, padding="same", layout=layout).numpy()
    ones = np.ones_like(x)
    counts = at.fold(at.unfold(ones, 3, padding="same", layout=layout), (5, 6), 3, padding="same", layout=layout)
    np.testing.assert_allclose(back, x * counts.numpy(), atol=1e-12)
    assert counts.numpy().max() == 9 and counts.numpy().min() == 4


# -- sizes that are not known yet


def test_unknown_sizes_stay_unknown():
    x = at.placeholder((None, None, 6, 3))
    kernel = normal(3, 2, 3, 4)
    assert at.conv(x, kernel).shape == (None, None, 5, 4)
    assert at.conv(x, kernel, strides=2, padding="same").shape == (None, None, 3, 4)
    assert at.conv_transpose(at.placeholder((None, None, 6, 4)), kernel, strides=2).shape == (None, None, 12, 3)
    assert at.depthwise_conv(x, normal(3, 2, 3, 2)).shape == (None, None, 5, 6)
    assert at.unfold(x, 2).shape == (None, None, 5, 12)
    assert at.unfold(at.placeholder((None, 3, None, 6)), 2, layout="channels_first").shape == (None, 12, None, 5)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_one_graph_for_many_sizes(layout):
    """Gradients of a stack of all three convolutions, built without a size, are right for each size."""

    def stack(x, k1, k2, k3):
        h = at.conv(x, k1, strides=2, padding="same", layout=layout)
        h = at.depthwise_conv(h, k2, padding="same", layout=layout)
        return at.sum(at.conv_transpose(h, k3, strides=2, padding="same", layout=layout) ** 2)

    kernels = [normal(3, 2, 2, 3), normal(2, 2, 3, 2), normal(3, 3, 2, 6)]
    x = at.placeholder((None, None, None, 2) if layout == "channels_last" else (None, 2, None, None), "float64")
    weights = [at.placeholder([None] * 4, "float64") for _ in kernels]
    step = at.function([x, *weights], at.gradients(stack(x, *weights), [x, *weights]))
    for shape in [(2, 5, 6), (1, 8, 3), (3, 1, 1)]:
        given = normal(*shape, 2)
        given = given if layout == "channels_last" else first(given)
        leaves = [at.Tensor(v, requires_grad=True) for v in (given, *kernels)]
        want = at.gradients(stack(*leaves), leaves)
        for a, b in zip(step(given, *kernels), want):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-9)


def test_gradients_through_a_chain():
    def f(x, kernel, turn):
        h = at.tanh(at.conv(x, kernel, padding="same", dilation=2))
        return at.conv_transpose(h, turn, strides=2)

    check_grad(f, normal(1, 3, 4, 2), normal(2, 2, 2, 2), normal(2, 1, 2, 2), order=2)


# -- errors


def test_errors_say_what_and_where():
    x, kernel = normal(2, 5, 6, 3), normal(3, 2, 3, 4)
    with pytest.raises(ShapeError, match=r"\[conv\].*as many channels.*channels_first"):
        at.conv(normal(2, 3, 6, 5), kernel)
    with pytest.raises(ShapeError, match=r"\[conv\].*windows that fit.*size 7"):
        at.conv(x, normal(7, 2, 3, 4))
    with pytest.raises(ShapeError, match="size 3, dilation 3"):
        at.conv(at.placeholder((None, 5, 6, 3)), kernel, dilation=3)
    with pytest.raises(ShapeError, match="1, 2 or 3 axes of space|2 axes of space"):
        at.conv(x[0], kernel)
    with pytest.raises(ShapeError, match="strides to be a whole number"):
        at.conv(x, kernel, strides=(1, 2, 3))
    with pytest.raises(ShapeError, match="strides to be a whole number"):
        at.conv(x, kernel, strides=0)
    with pytest.raises(ShapeError, match="expected padding"):
        at.conv(x, kernel, padding="full")
    with pytest.raises(ShapeError, match="expected padding"):
        at.conv(x, kernel, padding="causal")
    with pytest.raises(ValueError, match="layout"):
        at.conv(x, kernel, layout="NHWC")
    with pytest.raises(ShapeError, match=r"\[conv_transpose\].*\(out, in\)"):
        at.conv_transpose(x, kernel)
    with pytest.raises(ShapeError, match=r"\[fold\]"):
        at.fold(normal(1, 3, 8), (9,), 2)


def test_a_kernel_too_large_is_found_when_the_size_comes():
    x = at.placeholder((None, None, 3), "float64")
    step = at.function([x], at.conv(x, normal(4, 3, 2)))
    assert np.shape(step(normal(2, 6, 3))) == (2, 3, 2)
    with pytest.raises(ShapeError, match="windows that fit"):
        step(normal(2, 3, 3))


def test_the_oracle_knows_tensorflows_borders():
    """The tables of the TensorFlow guide on padding: in 13, kernel 6, stride 5 -> one before, two after."""
    assert border(13, 6, 5, 1, "same") == (1, 2, 3)
    assert border(4, 2, 1, 1, "same") == (0, 1, 4)
