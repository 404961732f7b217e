"""Running sums and products along an axis, differences of neighbours, and the linear recurrence behind their rules.

Running sums of float16 are accumulated in float32; of small integers and bools in 64 bits, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, normalize_axis
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.conversion import astype, astype_op, dtype_of
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import not_equal, subtract
from autotensor.ops.like import broadcast_like
from autotensor.ops.shape import broadcast_to, concat, flatten, like_first, pad_op

__all__ = ["cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff"]

_HALF = np.dtype(np.float16)


def sum_dtype(x: Aval) -> np.dtype:
    """Sums and products of small integers and bools are made in 64 bits, as in NumPy."""
    if x.dtype.kind in "fc":
        return x.dtype
    return np.dtype(np.uint64 if x.dtype.kind == "u" else np.int64)


def converted(op: str, x: Any, dtype: Any) -> tuple[Tensor, np.dtype | None]:
    """x in the dtype asked for, and that dtype, in which the result has to come back."""
    x = operand(x)
    if dtype is None:
        return x, None
    wanted = dtype_of(op, dtype)
    return astype(x, wanted), wanted


def in_dtype(y: Tensor, dtype: np.dtype | None) -> Tensor:
    """A sum in the dtype asked for, where small integers were summed in 64 bits."""
    return y if dtype is None or y.dtype == dtype else astype_op(y, dtype=dtype)


def _running(dtype: Any) -> Any:
    def infer(x: Operand, axis: int, reverse: bool) -> Aval:
        assert isinstance(x, Aval)
        return Aval(x.shape, dtype(x))

    return infer


def _cumulate(ufunc: np.ufunc) -> Any:
    def impl(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        if reverse:
            x = np.flip(x, axis)
        out = ufunc.accumulate(x, axis, dtype=_running_dtype(x.dtype))
        return np.ascontiguousarray(np.flip(out, axis) if reverse else out, sum_dtype(Aval((), x.dtype)))

    return impl


def _running_dtype(dtype: np.dtype) -> Any:
    return np.float32 if dtype == _HALF else sum_dtype(Aval((), dtype))


def _cumulated(op: Any, x: Any, axis: int | None, dtype: Any, reverse: bool, initial: float | None) -> Tensor:
    x, wanted = converted(op.name, x, dtype)
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalize_axis(op.name, axis, x.ndim)
    y = in_dtype(op(x, axis=axis, reverse=reverse), wanted)
    if initial is None:
        return y
    width = [(0, 0)] * y.ndim
    width[axis] = (0, 1) if reverse else (1, 0)
    return pad_op(y, pad_width=tuple(width), mode="constant", value=initial)


@defop("cumulative_sum", impl=_cumulate(np.add), infer=_running(sum_dtype))
def cumsum_op(needs, g, out, x, axis, reverse):
    return (cumsum_op(g, axis=axis, reverse=not reverse),)


def cumulative_sum(
    x: Any, axis: int | None = None, dtype: Any = None, reverse: bool = False, *, include_initial: bool = False
) -> Tensor:
    """Running sum along an axis, by default in flat order; ``reverse`` starts at the end.

    ``include_initial`` puts the 0 before the first element in front, so the axis gets one longer. ``dtype`` converts
    x first.

        >>> import autotensor as at
        >>> at.cumulative_sum([1.0, 2.0, 3.0], include_initial=True)
        Tensor([0., 1., 3., 6.], dtype=float64)
    """
    return _cumulated(cumsum_op, x, axis, dtype, reverse, 0.0 if include_initial else None)


@defop("cumulative_prod", impl=_cumulate(np.multiply), infer=_running(sum_dtype))
def cumprod_op(needs, g, out, x, axis, reverse):
    # Element i is a factor of all results from i on: what lies before it, times the sum over k >= i of g[k] times
    # the elements between; that sum obeys s[i] = g[i] + x[i+1] s[i+1]. No division, so zeros are no trouble.
    step = -1 if reverse else 1
    before = shifted(out, axis=axis, by=step, value=1.0)
    factors = shifted(x, axis=axis, by=-step, value=0.0)
    return (before * linear_recurrence(factors, g, axis=axis, reverse=not reverse),)


def cumulative_prod(
    x: Any, axis: int | None = None, dtype: Any = None, reverse: bool = False, *, include_initial: bool = False
) -> Tensor:
    """Running product along an axis, by default in flat order; ``reverse`` starts at the end.

    ``include_initial`` puts the 1 before the first element in front, so the axis gets one longer. ``dtype`` converts
    x first. The gradient is right where elements are 0.
    """
    return _cumulated(cumprod_op, x, axis, dtype, reverse, 1.0 if include_initial else None)


cumsum, cumprod = cumulative_sum, cumulative_prod


def _shifted_impl(x: np.ndarray, axis: int, by: int, value: float) -> np.ndarray:
    out = np.full(x.shape, value, x.dtype)
    before = (slice(None),) * axis
    if by > 0:
        out[(*before, slice(by, None))] = x[(*before, slice(None, -by))]
    else:
        out[(*before, slice(None, by))] = x[(*before, slice(-by, None))]
    return out


@defop("shifted", impl=_shifted_impl, infer=like_first)
def shifted(needs, g, out, x, axis, by, value):
    """x moved by some places along an axis; what enters is ``value``, what leaves is lost."""
    return (shifted(g, axis=axis, by=-by, value=0.0),)


def _recurrence_impl(a: np.ndarray, b: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out = np.array(b, order="C")
    n = out.shape[0]
    steps = range(n - 2, -1, -1) if reverse else range(1, n)
    last = 1 if reverse else -1
    for i in steps:
        out[i] += a[i] * out[i + last]
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))


def _infer_recurrence(a: Operand, b: Operand, axis: int, reverse: bool) -> Aval:
    assert isinstance(a, Aval) and isinstance(b, Aval)
    if len(a.shape) != len(b.shape):
        raise ShapeError(f"[linear_recurrence] expected two tensors of one shape; got {a.shape} and {b.shape}.")
    if a.dtype != b.dtype:
        raise DTypeError(f"[linear_recurrence] expected one dtype; got {a.dtype} and {b.dtype}. Use astype()?")
    return b


@defop("linear_recurrence", impl=_recurrence_impl, infer=_infer_recurrence)
def linear_recurrence(needs, g, out, a, b, axis, reverse):
    """y[i] = b[i] + a[i] * y[i-1] along an axis, with y[-1] = 0; ``reverse`` runs from the end."""
    step = -1 if reverse else 1
    gb = linear_recurrence(shifted(a, axis=axis, by=-step, value=0.0), g, axis=axis, reverse=not reverse)
    ga = gb * shifted(out, axis=axis, by=step, value=0.0) if needs[0] else None
    return ga, gb if needs[1] else None


# -- differences


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, x[i+1] - x[i], taken ``n`` times; the axis gets n shorter.

    ``prepend`` and ``append`` are joined to x before; numbers fill one slice. Bools differ where they are not equal.

        >>> import autotensor as at
        >>> at.diff([1.0, 4.0, 9.0])
        Tensor([3., 5.], dtype=float64)

    Raises ShapeError for a negative ``n`` and for a scalar x.
    """
    x = operand(x)
    axis = normalize_axis("diff", axis, x.ndim)
    if n < 0:
        raise ShapeError(f"[diff] differences can be taken 0 or more times; got n={n}. Use cumulative_sum()?")
    if n == 0:
        return x
    parts = [x]
    if prepend is not None:
        parts.insert(0, _slice_of("diff", prepend, x, axis))
    if append is not None:
        parts.append(_slice_of("diff", append, x, axis))
    y = concat(parts, axis=axis) if len(parts) > 1 else x
    before = (slice(None),) * axis
    for _ in range(n):
        step = not_equal if y.dtype.kind == "b" else subtract
        y = step(y[(*before, slice(1, None))], y[(*before, slice(None, -1))])
    return y


def _slice_of(op: str, value: Any, x: Tensor, axis: int) -> Tensor:
    """What is joined to x: a tensor as it is, a number as one slice of x."""
    value = operand(value)
    if value.ndim:
        return value
    if None in x.shape:
        value = astype(value, np.result_type(value.dtype, x.dtype))
        return broadcast_like(value, x[(*(slice(None),) * axis, slice(None, 1))])
    return broadcast_to(value, tuple([1 if k == axis else d for k, d in enumerate(x.shape)]))  # type: ignore[misc]
