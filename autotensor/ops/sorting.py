"""Order: sort, argsort, topk, searchsorted; and where elements are not 0.

NaN counts as the largest; complex numbers are ordered by their real part, then by their imaginary part, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, normalize_axis, shape_of, whole
from autotensor.core.op import defop, defop_no_grad
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.index import take, take_along_adjoint, take_along_op
from autotensor.ops.shape import flatten, like_first, text

__all__ = ["argsort", "nonzero", "searchsorted", "sort", "topk"]


def _argsort_impl(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(x, axis, kind="stable").astype(np.int64, copy=False)
    # Reversed on both sides, so that of equal elements the first stays first.
    order = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return (x.shape[axis] - 1 - order).astype(np.int64, copy=False)


argsort_op = defop_no_grad("argsort", impl=_argsort_impl, infer=lambda x, axis, descending: Aval(shape_of(x), np.int64))


def argsort(x: Any, axis: int | None = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """Indices that sort x along an axis; equal elements keep their order, NaN is largest.

    The sort is stable, whatever ``stable`` says.
    """
    x = operand(x)
    if axis is None:
        x, axis = flatten(x), 0
    return argsort_op(x, axis=normalize_axis("argsort", axis, x.ndim), descending=bool(descending))


@defop("sort", impl=lambda x, axis: np.sort(x, axis), infer=like_first)
def sort_op(needs, g, out, x, axis):
    return (take_along_adjoint(g, x, argsort_op(x, axis=axis, descending=False), axis=axis),)


def sort(x: Any, axis: int | None = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """x sorted along an axis, NaN as the largest; the gradient follows each element to where it came from.

    Equal elements keep their order, whatever ``stable`` says.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(lambda x: at.sum(at.sort(x) * np.array([1.0, 10.0, 100.0])))(np.array([3.0, 1.0, 2.0]))
        Tensor([100.,   1.,  10.], dtype=float64)
    """
    x = operand(x)
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalize_axis("sort", axis, x.ndim)
    if descending:
        return take_along_op(x, argsort_op(x, axis=axis, descending=True), axis=axis)
    return sort_op(x, axis=axis)


def _top_impl(x: np.ndarray, k: int, axis: int) -> np.ndarray:
    order = _argsort_impl(x, axis, True)
    return np.ascontiguousarray(order[(*(slice(None),) * axis, slice(None, k))])


def _infer_top(x: Operand, k: int, axis: int) -> Aval:
    shape = list(shape_of(x))
    n = shape[axis]
    if k < 0 or (n is not None and k > n):
        raise ShapeError(f"[topk] expected k from 0 to {n}, the size of axis {axis}; got {k}.")
    shape[axis] = k
    return Aval(shape, np.int64)


topk_op = defop_no_grad("topk", impl=_top_impl, infer=_infer_top)


def topk(x: Any, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The k largest elements along an axis, largest first, and their indices; of equal ones the first comes first."""
    x = operand(x)
    axis, k = normalize_axis("topk", axis, x.ndim), whole("topk", "k", k)
    _infer_top(x.aval, k, axis)
    indices = topk_op(x, k=int(k), axis=axis)
    return take_along_op(x, indices, axis=axis), indices


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Indices of the elements that are not 0, one vector for each axis. Needs a value: the size depends on it.

    Raises ShapeError for a tensor of rank 0.
    """
    x = operand(x)
    if not x.ndim:
        raise ShapeError("[nonzero] a scalar has no axes to give indices for; expected rank 1 or more. Use x != 0?")
    return tuple([wrap(part) for part in np.nonzero(x._value("nonzero"))])


searchsorted_op = defop_no_grad(
    "searchsorted",
    impl=lambda x, v, side: np.asarray(np.searchsorted(x, v, side), np.int64),
    infer=lambda x, v, side: Aval(shape_of(v), np.int64),
)


def searchsorted(x: Any, values: Any, side: str = "left", sorter: Any = None) -> Tensor:
    """Where values would go in a sorted vector to keep it sorted; ``side`` decides among equal elements.

    ``sorter``: indices that sort x (from ``argsort``), where x is not sorted itself.

    Raises ShapeError where the first is no vector, ValueError for another ``side``.
    """
    x = operand(x)
    if x.ndim != 1:
        raise ShapeError(f"[searchsorted] expected a sorted vector; got shape {text(x.shape)}. Flatten it first?")
    if side not in ("left", "right"):
        raise ValueError(f"[searchsorted] side must be 'left' or 'right'; got {side!r}. 'left' is the default.")
    return searchsorted_op(x if sorter is None else take(x, sorter), values, side=side)
