"""Running sums, differences, order, sets and the other functions of the array API standard around their operations."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import Tensor, placeholder
from autotensor.errors import ShapeError, TraceError
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array, bools, complexes, integers


def same(got, want, tol=1e-12):
    want = np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got.numpy(), want, rtol=tol, atol=tol)


# -- running sums and differences


@pytest.mark.parametrize("x", [array(2, 3), complexes(2, 3), integers(2, 3, dtype=np.int8), np.zeros((2, 0))], ids=repr)
def test_cumulative_functions_with_their_initial_value(x):
    for axis in (0, 1, -1):
        for initial in (False, True):
            for name in ("cumulative_sum", "cumulative_prod"):
                same(
                    getattr(at, name)(x, axis=axis, include_initial=initial),
                    getattr(np, name)(x, axis=axis, include_initial=initial),
                )
    same(at.cumulative_sum(x[0], include_initial=True), np.cumulative_sum(x[0], include_initial=True))


def test_cumulative_functions_backwards():
    x = array(2, 3)
    same(at.cumulative_sum(x, axis=1, reverse=True, include_initial=True), [[*np.cumsum(r[::-1])[::-1], 0] for r in x])
    same(at.cumprod(x, axis=1, reverse=True), np.cumprod(x[:, ::-1], 1)[:, ::-1])
    same(at.cumsum(x), np.cumsum(x))
    check_grad(lambda t: at.cumulative_prod(t, axis=1, include_initial=True), array(2, 3), order=2)
    check_grad(lambda t: at.cumulative_sum(t, axis=0, include_initial=True) ** 2, complexes(3, 2), order=2)


def test_sums_come_in_the_dtype_asked_for():
    x = np.array([100, 100, 100], np.int8)
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        for dtype in ("int8", "int64", "float32", "uint8"):
            same(getattr(at, name)(x, dtype=dtype), getattr(np, name)(x, dtype=dtype))
    assert at.sum(x).dtype == at.cumulative_sum(x).dtype == np.int64
    assert at.linalg.trace(np.eye(2, dtype=np.int8), dtype="int8").dtype == np.int8


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_diff_is_numpys(axis, n):
    for x in (array(3, 4), complexes(3, 4), integers(3, 4, low=0, dtype=np.uint8), bools(3, 4)):
        same(at.diff(x, n=n, axis=axis), np.diff(x, n=n, axis=axis))
    x, front, back = array(3, 4), array(3, 4, seed=1), array(3, 4, seed=2)
    same(at.diff(x, n, axis, front, back), np.diff(x, n, axis, front, back))
    same(at.diff(x, n, axis, prepend=1.5), np.diff(x, n, axis, prepend=1.5))
    same(at.diff(x, n, axis, append=0), np.diff(x, n, axis, append=0))


@at.config.use(numba=False)
def test_diff_has_gradients_and_unknown_sizes():
    check_grad(lambda x, a: at.diff(x, n=2, axis=0, prepend=a) ** 2, array(3, 2), array(1, 2, seed=1), order=2)
    x = placeholder((None, None), "float64")
    y = at.diff(x, axis=1, prepend=0.0)
    f = at.function([x], [y, at.gradients((y**2).sum(), [x])[0]])
    value, g = f(array(2, 4))
    np.testing.assert_allclose(value, np.diff(array(2, 4), axis=1, prepend=0.0), atol=1e-12)
    t = Tensor(array(2, 4), requires_grad=True)
    np.testing.assert_allclose(g, at.gradients((at.diff(t, prepend=0.0) ** 2).sum(), [t])[0].numpy(), atol=1e-12)
    with pytest.raises(ShapeError, match=r"\[diff\] differences can be taken 0 or more times"):
        at.diff(array(3), n=-1)


# -- order


def test_sort_takes_the_words_of_the_standard():
    x = np.array([[3, 1, 3, 2], [0, 0, 5, 5]])
    same(at.argsort(x, descending=True, stable=False), [[0, 2, 3, 1], [2, 3, 0, 1]])
    same(at.sort(x, axis=0, descending=True, stable=True), np.sort(x, 0)[::-1])
    same(at.sort(complexes(5)), np.sort(complexes(5)))
    check_grad(lambda t: at.sort(t, descending=True) ** 2, array(5), order=2)
    values, places = at.topk(x, 2)
    same(values, [[3, 3], [5, 5]])
    same(places, [[0, 2], [2, 3]])


def test_searchsorted_by_a_sorter():
    x = array(6)
    values = np.array([-1.0, x[2], 3.0])
    order = np.argsort(x)
    for side in ("left", "right"):
        same(at.searchsorted(x, values, side=side, sorter=order), np.searchsorted(x, values, side=side, sorter=order))
        same(at.searchsorted(np.sort(x), values, side=side), np.searchsorted(np.sort(x), values, side=side))
    with pytest.raises(ValueError, match="side must be 'left' or 'right'"):
        at.searchsorted(x, values, side="middle")


def test_nonzero_needs_axes_and_a_value():
    same(at.nonzero(np.array([[0, 2], [3, 0]]))[1], [1, 0])
    with pytest.raises(ShapeError, match=r"\[nonzero\] a scalar has no axes"):
        at.nonzero(np.array(1))
    with pytest.raises(TraceError, match="nonzero"):
        at.nonzero(placeholder((3,)))


# -- sets


@pytest.mark.parametrize(
    "x",
    [
        np.array([[2, 1], [1, 3]]),
        np.array([1.0, np.nan, 0.0, -0.0, np.nan, 1.0]),
        np.array([1 + 1j, 1 - 1j, 1 + 1j]),
        np.array([True, False, True]),
        np.array(5.0),
        np.zeros((0, 2)),
    ],
    ids=repr,
)
def test_unique_functions(x):
    values, indices, inverse, counts = at.unique_all(x)
    flat = x.ravel()
    distinct = [v for k, v in enumerate(flat) if not any(v == w for w in flat[:k])]  # NaN equals nothing
    np.testing.assert_array_equal(values.numpy(), np.sort(np.array(distinct, x.dtype)))
    np.testing.assert_array_equal(flat[indices.numpy()], values.numpy())
    assert inverse.shape == x.shape and inverse.dtype == counts.dtype == indices.dtype == np.int64
    np.testing.assert_array_equal(values.numpy()[inverse.numpy()], x)
    np.testing.assert_array_equal(counts.numpy(), [max(1, np.sum(flat == v)) for v in values.numpy()])
    for first, k in zip(values.numpy(), indices.numpy()):
        assert not np.any(flat[:k] == first)
    np.testing.assert_array_equal(at.unique_values(x).numpy(), values.numpy())
    assert [t.tolist() for t in at.unique_counts(x)[1:]] == [counts.tolist()]
    assert at.unique_inverse(x).inverse_indices.tolist() == inverse.tolist()


def test_fields_of_unique_functions():
    assert at.unique_all([1])._fields == ("values", "indices", "inverse_indices", "counts")
    assert at.unique_counts([1])._fields == ("values", "counts")
    assert at.unique_inverse([1])._fields == ("values", "inverse_indices")
    with pytest.raises(TraceError, match="unique_values"):
        at.unique_values(placeholder((None,)))


def test_distinct_values_with_gradients():
    t = Tensor([3.0, 1.0, 3.0], requires_grad=True)
    distinct = at.take(t.reshape(-1), at.unique_all(t).indices)
    same(distinct.detach(), [1.0, 3.0])
    assert not at.unique_values(t).requires_grad
    (g,) = at.gradients((distinct**2).sum(), [t])
    same(g, [6.0, 2.0, 0.0])


def test_isin():
    x = np.array([[1, 2], [3, np.nan]])
    same(at.isin(x, [2.0, np.nan]), [[False, True], [False, False]])
    same(at.isin(x, Tensor([1.0, 3.0]), invert=True), [[False, True], [False, True]])
    same(at.isin(3, [1, 3]), True)


# -- arrangement


def test_unstack_gives_a_tuple():
    parts = at.unstack(array(2, 3), axis=1)
    assert isinstance(parts, tuple) and len(parts) == 3
    same(parts[1], array(2, 3)[:, 1])


@pytest.mark.parametrize("make", [np.array, Tensor, list, tuple])
def test_repeats_may_be_arrays(make):
    x = array(2, 3)
    same(at.repeat(x, make([1, 0, 2]), axis=1), np.repeat(x, [1, 0, 2], axis=1))
    same(at.repeat(x, make([2]), axis=0), np.repeat(x, [2], axis=0))
    same(at.repeat(x, make([3])), np.repeat(x, 3))
    check_grad(lambda t: at.repeat(t, make([2, 1]), axis=0) ** 2, x, order=2)


@at.config.use(numba=False)
def test_broadcast_arrays_of_real_and_complex():
    x, y = array(2, 1), complexes(3)
    for got, want in zip(at.broadcast_arrays(x, y), np.broadcast_arrays(x, y)):
        same(got, want)
    a, b = placeholder((None, 1), "float64"), placeholder((None,), "complex128")
    for got, want in zip(at.function([a, b], at.broadcast_arrays(a, b))(x, y), np.broadcast_arrays(x, y)):
        np.testing.assert_array_equal(got, want)


def test_moveaxis_names_each_axis_once():
    same(at.moveaxis(array(2, 3, 4), (0, -1), (1, 0)), np.moveaxis(array(2, 3, 4), (0, -1), (1, 0)))
    with pytest.raises(ShapeError, match=r"\[moveaxis\] axes must differ"):
        at.moveaxis(array(2, 3), (0, -2), (0, 1))


def test_variance_of_complex_numbers_is_real():
    x = complexes(3, 4)
    for name in ("var", "std"):
        for correction in (0, 1, 0.5):
            same(getattr(at, name)(x, axis=1, correction=correction), getattr(np, name)(x, axis=1, ddof=correction))
    assert at.std(x.astype(np.complex64)).dtype == np.float32


@at.config.use(fuse=True)
def test_compiled_complex_reductions_are_numpys():
    """Sums of complex numbers stand beside real ones that are fused."""
    x, z = placeholder((3, 4), "float64"), placeholder((3, 4), "complex128")
    out = [at.sum(at.exp(x) * 2.0, axis=1) * z[:, 0], at.mean(z * x, axis=0), at.prod(z), at.std(z), at.norm(z * 1j)]
    a, c = array(3, 4), complexes(3, 4)
    want = [
        np.sum(np.exp(a) * 2.0, axis=1) * c[:, 0], np.mean(c * a, axis=0), np.prod(c), np.std(c), np.linalg.norm(c),
    ]  # fmt: skip
    for got, expected in zip(at.function([x, z], out)(a, c), want):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
