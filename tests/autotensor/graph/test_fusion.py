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


@pytest.mark.promise("soak")
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


@pytest.mark.promise(34)
def test_an_unwritable_cache_folder_is_no_obstacle(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with config.use(cache_dir=str(blocked)):
        x = at.placeholder((None,), np.float32)
        out = at.function([x], at.exp(x) * 2.2345 + 6.4321)(np.zeros(3))
    np.testing.assert_allclose(out, 2.2345 + 6.4321, rtol=1e-6)


def agree(f, *arrays):
    """The kernel, the single steps and the interpreter give the same bits."""
    with np.errstate(all="ignore"):
        fused = f(*arrays)
        for switches in ({"fuse": False}, {"compile": False}):
            with config.use(**switches):
                for a, b in zip(fused, f(*arrays), strict=True):
                    assert a.dtype == b.dtype and a.shape == b.shape
                    np.testing.assert_array_equal(a, b)
    return fused


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_kernels_round_after_each_operation_as_numpy_does(dtype):
    x = at.placeholder((None,), dtype)
    s = at.placeholder((), dtype)
    big = 1e8 if dtype == "f4" else 1e17
    total = x + s
    lost = (x - (total - (total - x))) + (s - (total - x))  # Knuth's exact error of a sum
    f = at.function([x, s], [(x + big) - big, at.floor(x / 49.0), at.floor(x / s), at.sqrt(x * x - x * x), lost])
    values = agree(f, np.arange(1, 1000, dtype=dtype) * 49, np.array(49, dtype))
    np.testing.assert_array_equal(values[1], np.arange(1, 1000))
    y = at.placeholder((None,), dtype)
    g = at.function([x, y], [at.sqrt(x * x - y * y)])
    a = np.random.default_rng(0).normal(size=500).astype(dtype)
    np.testing.assert_array_equal(agree(g, a, a.copy())[0], np.zeros(500))


INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_operations_at_the_ends_of_their_range(dtype):
    a, b = at.placeholder((None,), dtype), at.placeholder((None,), dtype)
    f = at.function(
        [a, b],
        [
            -a, at.abs(a), at.sign(a), at.square(a), a * b - 3, at.maximum(a, b), at.minimum(a, b), at.clip(a, 2, 5),
            at.sum(a * b), at.max(a + b), at.min(a * 2), at.prod(a), at.argmax(a * 1), a < b, at.equal(a, b),
            at.where(a > b, a, b), (a * b).astype("f4"), a.astype(bool), at.logical_and(a > 1, b > 1),
        ],
    )  # fmt: skip
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    agree(f, np.array([0, 1, high, low, 3], dtype), np.array([5, 1, high, high, 2], dtype))


def test_numbers_beyond_the_dtype_compare_exactly():
    a, u = at.placeholder((None,), np.int64), at.placeholder((None,), np.uint64)
    small = at.placeholder((None,), np.uint8)
    f = at.function(
        [a, u, small],
        [a + (2**62 + 1), at.equal(a, 2**53 + 1), a < 2**70, u > 2**63, u + (2**63 + 1), a < u, at.equal(a, u),
         small < 300, small > -1, at.clip(u, 1, 2**63 + 1)],
    )  # fmt: skip
    found = agree(f, np.array([0, 2**53 + 1, -7]), np.array([2**63 + 1, 2**53, 7], "u8"), np.array([0, 5, 255], "u1"))
    assert found[1].tolist() == [False, True, False] and found[7].all() and found[2].all()
    assert found[5].tolist() == [True, False, True]


def test_booleans():
    a, b = at.placeholder((None, 3), bool), at.placeholder((None, 3), bool)
    c = at.placeholder((None, 3), np.float64)
    f = at.function(
        [a, b, c],
        [at.sum(a, axis=1), at.max(a, axis=1), at.min(a), at.argmax(a, axis=1), at.any(a, axis=0), at.all(a), a < b,
         at.equal(a, b), at.where(a, 1.0, b), at.prod(a), at.logical_xor(a, b), a * b, a + b, a & b, a.astype("f4") * 2,
         at.maximum(a, b), at.where(c, a, b), at.logical_not(at.where(c, a, b))],
    )  # fmt: skip
    r = np.random.default_rng(0)
    agree(f, r.random((4, 3)) < 0.5, r.random((4, 3)) < 0.5, np.array([[0, 0.5, np.nan], [-2, -0.0, np.inf]] * 2))


@pytest.mark.parametrize("dtype", ["f4", pytest.param("f8", marks=pytest.mark.slow)])
def test_special_values(dtype):
    x = at.placeholder((None,), dtype)
    f = at.function(
        [x],
        [at.where(x, 1.0, 2.0), at.argmax(x), at.argmin(x), x.astype(bool), at.round(x * 0.5), at.floor(x), at.ceil(x),
         at.trunc(x), x**2, x**3, x**1, x**0, x**0.5, at.clip(x, None, 1), at.clip(x, 0, 1), at.clip(x, -1, None),
         at.sign(x),
         1 / x, x / 0, x % 2, x // 2, at.maximum(x, 0.5), at.minimum(x, 0.5), at.max(x), at.min(x), at.isnan(x),
         at.isinf(x), at.isfinite(x), x < 1, at.not_equal(x, x), at.sqrt(x), at.abs(x), at.reciprocal(x)],
    )  # fmt: skip
    agree(f, np.array([np.nan, np.inf, -np.inf, -0.0, 0, 1, -3, 0.5, 1.5, 2.5, -0.5], dtype))
    agree(f, np.array([-0.0, 0, 1, -3, 5, 5], dtype))
    agree(f, np.array([np.nan], dtype))


def test_a_kernel_has_a_bounded_number_of_arrays():
    xs = [at.placeholder((2,), np.float64) for _ in range(150)]
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    f = at.function(xs, total)
    assert f(*[np.full(2, k) for k in range(150)]).tolist() == [11175, 11175]
    assert max(len(call.args) for call in f.plans[-1].calls) < 60


@pytest.mark.parametrize("dtype", INTEGERS)
def test_floats_beyond_the_range_of_an_integer_become_what_numpy_makes_of_them(dtype):
    x = at.placeholder((None,), np.float64)
    agree(at.function([x], [(x * 1).astype(dtype)]), np.array([-1.5, -129, 255, 256, 300, -40000, 70000, -3e9, 0.99]))
