"""Properties that hold for all shapes, axes, dtypes and indices: drawn by Hypothesis, compared with NumPy.

How many examples are drawn is said by the profile (``HYPOTHESIS_PROFILE``, see ``tests/conftest.py``).
"""

from __future__ import annotations

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autotensor as at
from autotensor.core.aval import Aval, broadcast_shapes
from autotensor.core.grad import backpropagate
from autotensor.core.op import OPS
from autotensor.errors import ShapeError

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int8", "uint8", "bool"]
ANY_DTYPE = st.sampled_from(DTYPES)
ARITHMETIC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum}
COMPARISON = {
    "less": np.less,
    "equal": np.equal,
    "greater_equal": np.greater_equal,
    "not_equal": np.not_equal,
}
REDUCTIONS = ["sum", "prod", "max", "min", "mean", "var", "any", "all"]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def elements(dtype):
    kind = np.dtype(dtype).kind
    if kind == "f":  # eighths: sums and products of a few are exact, so that results can be compared bit by bit
        return st.integers(-16, 16).map(lambda n: n / 8)
    return st.booleans() if kind == "b" else st.integers(0 if kind == "u" else -8, 8)


def arrays(shape, dtypes=ANY_DTYPE):
    return dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shape, elements=elements(dtype)))


@st.composite
def broadcasting_arrays(draw, dtypes=ANY_DTYPE):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4)).input_shapes
    return [draw(arrays(shape, dtypes)) for shape in shapes]


@st.composite
def array_and_axes(draw, dtypes=ANY_DTYPE, min_side=0):
    x = draw(arrays(hnp.array_shapes(min_dims=0, max_dims=4, min_side=min_side, max_side=4), dtypes))
    if x.ndim == 0 or draw(st.booleans()):
        return x, draw(st.sampled_from([None, ()])) if x.ndim == 0 else None
    axes = draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, max_size=x.ndim, unique=True))
    axes = tuple(a - x.ndim if draw(st.booleans()) else a for a in axes)
    return x, axes[0] if len(axes) == 1 and draw(st.booleans()) else axes


def assert_equal(got, want):
    got, want = got.numpy(), np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want, strict=True)


@given(broadcasting_arrays(), st.sampled_from(sorted(ARITHMETIC)))
def test_arithmetic_broadcasts_and_promotes_as_numpy(xs, name):
    try:
        want = ARITHMETIC[name](*xs)
    except TypeError:  # bool - bool
        with pytest.raises(TypeError):
            getattr(at, name)(*map(at.Tensor, xs))
        return
    assert_equal(getattr(at, name)(*map(at.Tensor, xs)), want)


@given(broadcasting_arrays(), st.sampled_from(sorted(COMPARISON)))
def test_comparisons_broadcast_as_numpy(xs, name):
    assert_equal(getattr(at, name)(*map(at.Tensor, xs)), COMPARISON[name](*xs))


@given(arrays(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)), st.sampled_from([2, -1, 0, 0.5, True]))
def test_python_numbers_are_weak_on_both_sides(x, number):
    try:
        want = x + number, number * x
    except OverflowError:  # a negative number in an unsigned array
        with pytest.raises(OverflowError):
            at.Tensor(x) + number
        return
    assert_equal(at.Tensor(x) + number, want[0])
    assert_equal(number * at.Tensor(x), want[1])


@given(broadcasting_arrays(dtypes=st.just("float64")))
def test_gradients_of_broadcast_operands_have_their_shape_and_sum(xs):
    leaves = [at.Tensor(x, requires_grad=True) for x in xs]
    out = leaves[0] * leaves[1]
    found = backpropagate([out], [at.Tensor(np.ones(out.shape))], leaves)
    for i, (x, g) in enumerate(zip(xs, found)):
        other = np.broadcast_to(xs[1 - i], out.shape)
        # The derivative of sum(x * y) in the direction e of one element, summed the slow way.
        want = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            e = np.zeros(x.shape)
            e[index] = 1
            want[index] = (np.broadcast_to(e, out.shape) * other).sum()
        assert_equal(g, want)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, min_side=0, max_side=4), st.data())
def test_unknown_dimensions_never_say_anything_wrong(drawn, data):
    shapes = drawn.input_shapes
    assert broadcast_shapes("op", *shapes) == drawn.result_shape
    blurred = [tuple(None if data.draw(st.booleans()) else d for d in shape) for shape in shapes]
    said = broadcast_shapes("op", *blurred)
    assert len(said) == len(drawn.result_shape)
    assert all(a is None or a == b for a, b in zip(said, drawn.result_shape))


@given(st.lists(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), min_size=2, max_size=3))
def test_shapes_that_numpy_refuses_are_refused(shapes):
    try:
        want = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError):
            broadcast_shapes("op", *shapes)
    else:
        assert broadcast_shapes("op", *shapes) == want


@given(array_and_axes(), st.booleans(), st.sampled_from(REDUCTIONS))
def test_reductions_are_numpys(case, keepdims, name):
    x, axis = case
    try:
        want = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    except ValueError:  # max of nothing
        with pytest.raises(ValueError, match=rf"\[{name}\]"):
            getattr(at, name)(at.Tensor(x), axis=axis, keepdims=keepdims)
        return
    got = getattr(at, name)(at.Tensor(x), axis=axis, keepdims=keepdims).numpy()
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    tol = {"float16": 2e-3, "float32": 1e-5}.get(str(want.dtype), 1e-12)
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol)


@given(array_and_axes(dtypes=st.just("float64"), min_side=1), st.booleans())
def test_gradient_of_a_sum_is_ones_and_of_a_mean_its_share(case, keepdims):
    x, axis = case
    leaf = at.Tensor(x, requires_grad=True)
    for name, share in (("sum", 1.0), ("mean", np.sum(np.ones(x.shape), axis=axis).size / x.size)):
        out = getattr(at, name)(leaf, axis=axis, keepdims=keepdims)
        (g,) = backpropagate([out], [at.Tensor(np.ones(out.shape))], [leaf])
        np.testing.assert_allclose(g.numpy(), np.full(x.shape, share), rtol=1e-15, strict=True)


@st.composite
def array_and_index(draw):
    x = draw(arrays(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), st.just("float64")))
    basic = hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True)
    integers = hnp.integer_array_indices(x.shape, result_shape=hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    mask = hnp.arrays(bool, x.shape)
    return x, draw(st.one_of(basic, integers, mask))


@given(array_and_index())
def test_indexing_is_numpys_and_its_gradient_adds_up(case):
    x, index = case
    leaf = at.Tensor(x, requires_grad=True)
    out = leaf[index]
    assert_equal(out, x[index])
    seed = np.arange(1.0, out.numpy().size + 1).reshape(out.shape)
    (g,) = backpropagate([out], [at.Tensor(seed)], [leaf])
    want = np.zeros(x.shape)
    np.add.at(want, index, seed)
    assert_equal(g, want)


@given(array_and_index())
def test_writing_is_numpys_and_shows_nowhere_else(case):
    x, index = case
    tensor = at.Tensor(x)
    other = at.reshape(tensor, (-1,))
    want = x.copy()
    want[index] = 77.0
    tensor[index] = 77.0
    assert_equal(tensor, want)
    assert_equal(other, x.reshape(-1))


@given(array_and_axes(min_side=1), st.data())
def test_shapes_move_as_numpys(case, data):
    x, _ = case
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    assert_equal(at.permute_dims(at.Tensor(x), order), np.transpose(x, order))
    assert_equal(at.reshape(at.Tensor(x), (-1,)), x.reshape(-1))
    if x.ndim:
        axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
        assert_equal(at.flip(at.Tensor(x), axis=axis), np.flip(x, axis))
        assert_equal(at.concat([at.Tensor(x), at.Tensor(x)], axis=axis), np.concatenate([x, x], axis))
        assert_equal(at.stack([at.Tensor(x), at.Tensor(x)], axis=axis), np.stack([x, x], axis))
        shift = data.draw(st.integers(-5, 5))
        assert_equal(at.roll(at.Tensor(x), shift, axis=axis), np.roll(x, shift, axis))


@given(broadcasting_arrays(), st.sampled_from(["add", "multiply", "maximum", "less", "divide", "pow", "arctan2"]))
def test_shape_rules_agree_with_results(xs, name):
    op = OPS[name]
    try:
        want = op.impl(*xs)
    except (TypeError, ValueError):  # integers to negative powers, and the like
        return
    assert op.infer(*[Aval(x.shape, x.dtype) for x in xs]) == Aval(want.shape, want.dtype)


@given(
    st.integers(0, 3).flatmap(
        lambda n: st.tuples(*[hnp.array_shapes(min_dims=n, max_dims=n, max_side=3) if n else st.just(())])
    ),
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
)
def test_matmul_of_stacks(batch, sizes):
    (stack,) = batch
    n, k, m = sizes
    rng = np.random.default_rng(0)
    x, y = rng.integers(-4, 5, (*stack, n, k)).astype(float), rng.integers(-4, 5, (k, m)).astype(float)
    assert_equal(at.matmul(at.Tensor(x), at.Tensor(y)), x @ y)
