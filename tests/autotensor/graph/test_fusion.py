"""Fused kernels against the interpreter, on graphs drawn at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autotensor as at
from autotensor import config

# Smooth, bounded functions: chains of them stay finite, so that every difference is a fault of the kernel.
_UNARY = [at.tanh, lambda x: x * 0.5, lambda x: at.exp(-at.square(x)), at.sigmoid, lambda x: at.maximum(x, 0.1), at.abs]
_BINARY = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - b,
    at.minimum,
    lambda a, b: at.where(a > b, a, b * 0.5),
]
_REDUCE = [at.sum, at.max, at.mean, at.min]


@st.composite
def programs(draw):
    rank = draw(st.integers(0, 3))
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 17]), min_size=rank, max_size=rank)))
    step = st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 30), st.integers(0, 7))
    steps = draw(st.lists(step, min_size=1, max_size=14))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return shape, steps, dtype


def build(program):
    """Tensors of a random program: chains, broadcasting, reductions over drawn axes."""
    shape, steps, dtype = program
    x = at.placeholder(shape, dtype, name="x")
    row = at.placeholder(shape[-1:], dtype, name="row")
    values = [x, row]
    for kind, i, j, k in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        if kind <= 1:
            values.append(_UNARY[k % len(_UNARY)](a))
        elif kind <= 3:
            try:
                np.broadcast_shapes(a.shape, b.shape)
            except ValueError:
                continue
            values.append(_BINARY[k % len(_BINARY)](a, b))
        elif a.ndim:
            axis = [a.ndim - 1, 0, None, a.ndim - 1][k % 4]
            values.append(_REDUCE[j % len(_REDUCE)](a, axis=axis, keepdims=bool(i % 2)))
    outputs = values[-4:]
    return [x, row], outputs


@settings(max_examples=25, deadline=None)
@given(programs(), st.integers(0, 1000))
def test_fused_equals_interpreted(program, seed):
    inputs, outputs = build(program)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=x.shape).astype(x.dtype) for x in inputs]
    f = at.function(inputs, outputs)
    fused = f(*arrays)
    with config.use(compile=False):
        plain = f(*arrays)
    tolerance = 2e-5 if program[2] is np.float32 else 1e-11
    for a, b in zip(fused, plain, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 10), (1, 10), (6, 1), (2, 3, 4), (40, 5000)])
def test_row_kernels(shape, dtype):
    """Softmax with temperature, its entropy and the gradient of it: several stages over each row."""
    x = at.placeholder(shape, dtype)
    scale = at.placeholder(shape[-1:], dtype)
    z = x * scale
    e = at.exp(z - at.max(z, axis=-1, keepdims=True))
    p = e / at.sum(e, axis=-1, keepdims=True)
    entropy = -at.sum(p * at.log(p + 1e-6), axis=-1)
    loss = at.mean(entropy)
    grads = at.grad(loss, [x, scale])
    f = at.function([x, scale], [loss, entropy, p, *grads])
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype), rng.uniform(0.5, 2, size=shape[-1:]).astype(dtype)]
    fused = f(*arrays)
    with config.use(compile=False):
        plain = f(*arrays)
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1e-3, float(np.abs(b).max())))


def test_argmax_in_a_row_kernel_takes_the_first_and_prefers_nan():
    x = at.placeholder((None, 4), np.float64)
    f = at.function([x], [at.argmax(x * 1.0, axis=-1), at.argmin(x * 1.0, axis=-1), at.max(x, axis=-1)])
    a = np.array([[1, 3, 3, 2], [5, 5, 5, 5], [np.nan, 1, 2, 3], [1, np.nan, np.nan, 0], [-np.inf] * 4])
    biggest, smallest, value = f(a)
    np.testing.assert_array_equal(biggest, a.argmax(1))
    np.testing.assert_array_equal(smallest, a.argmin(1))
    np.testing.assert_array_equal(value, a.max(1))


def test_nan_and_infinity_pass_through_kernels():
    x = at.placeholder((None,), np.float32)
    f = at.function([x], [at.maximum(x, 0) + 1, at.minimum(x, 0) * 2, at.sum(x), at.isnan(x), at.sign(x)])
    a = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1], "f4")
    with np.errstate(all="ignore"):
        expected = [np.maximum(a, 0) + 1, np.minimum(a, 0) * 2, a.sum(), np.isnan(a), np.sign(a)]
    for got, want in zip(f(a), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_integers_wrap_and_promote_as_in_numpy():
    a = at.placeholder((None,), np.int32)
    b = at.placeholder((None,), np.uint8)
    f = at.function([a, b], [a + b * 2, b + 250, a * a - 1, (b > 3) & (a < 2), a / 2])
    x, y = np.array([2**31 - 1, -5, 0], "i4"), np.array([200, 4, 3], "u1")
    with np.errstate(all="ignore"):
        expected = [x + y * np.uint8(2), y + np.uint8(250), x * x - 1, (y > 3) & (x < 2), x / 2]
    for got, want in zip(f(x, y), expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_long_float32_sums_keep_their_digits():
    x = at.placeholder((None,), np.float32)
    f = at.function([x], [at.sum(x * 1.0), at.mean(at.square(x))])
    a = np.random.default_rng(0).uniform(size=3_000_000).astype("f4")
    total, mean = f(a)
    np.testing.assert_allclose(total, a.sum(dtype="f8"), rtol=1e-6)
    np.testing.assert_allclose(mean, np.square(a, dtype="f8").mean(), rtol=1e-6)


def test_channel_bias_and_its_gradient_in_the_middle_of_the_shape():
    x = at.placeholder((2, 3, 4, 5), np.float64)
    b = at.Variable(np.arange(3.0).reshape(3, 1, 1))
    y = at.tanh(x + b)
    f = at.function([x], [y, at.grad(at.sum(y), b)])
    a = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    value, g = f(a)
    t = np.tanh(a + b.numpy())
    np.testing.assert_allclose(value, t)
    np.testing.assert_allclose(g, (1 - t**2).sum((0, 2, 3)).reshape(3, 1, 1))


def test_half_precision_is_left_to_numpy():
    x = at.placeholder((3,), np.float16)
    out = at.function([x], at.tanh(x) * 2)(np.array([0, 1, 2], "f2"))
    assert out.dtype == np.float16


def test_generated_kernels_are_readable_files_found_again(tmp_path):
    with config.use(cache_dir=str(tmp_path)):
        x = at.placeholder((None,), np.float32)
        at.function([x], at.exp(x) * 1.2345 + 5.4321)(np.zeros(3))
    (file,) = (tmp_path / "kernels").glob("*.py")
    text = file.read_text()
    assert "# v0 = exp(x0:float32)" in text and "def kernel(" in text


def test_an_unwritable_cache_folder_is_no_obstacle(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with config.use(cache_dir=str(blocked)):
        x = at.placeholder((None,), np.float32)
        out = at.function([x], at.exp(x) * 2.2345 + 6.4321)(np.zeros(3))
    np.testing.assert_allclose(out, 2.2345 + 6.4321, rtol=1e-6)
