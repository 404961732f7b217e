"""Reductions that leave NaN out: nansum, nanmean, nanquantile... NaN get the gradient 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import index, reduce, running, shape, sorting
from autotensor.ops.creation import operand
from autotensor.ops.numeric import check_quantile, floating_operand, kept, quantile_values, rows_to_reduce, stacked

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile",
    "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip


def _filled(x: Any, value: float) -> Tensor:
    """x with NaN replaced; integers have none."""
    x = operand(x)
    return ew.where(ew.isnan(x), value, x) if x.dtype.kind in "fc" else x


def _valid(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    """How many elements are not NaN, in the dtype of x."""
    return reduce.sum(ew.astype(ew.logical_not(ew.isnan(x)), np.float64), axis=axis, keepdims=keepdims)


def _flat(x: Tensor, axis: int | None) -> Tensor:
    return shape.flatten(x) if axis is None else x


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over axes, NaN as 0."""
    return reduce.sum(_filled(x, 0.0), axis=axis, keepdims=keepdims)


def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Product over axes, NaN as 1."""
    return reduce.prod(_filled(x, 1.0), axis=axis, keepdims=keepdims)


def nancumsum(x: Any, axis: int | None = None) -> Tensor:
    """Running sum, NaN as 0."""
    return running.cumulative_sum(_flat(_filled(x, 0.0), axis), axis=axis or 0)


def nancumprod(x: Any, axis: int | None = None) -> Tensor:
    """Running product, NaN as 1."""
    return running.cumulative_prod(_flat(_filled(x, 1.0), axis), axis=axis or 0)


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes that is not NaN; NaN of NaN only."""
    x = operand(x)
    if x.dtype.kind != "f":
        return reduce.max(x, axis=axis, keepdims=keepdims)
    found = reduce.max(_filled(x, -math.inf), axis=axis, keepdims=keepdims)
    return ew.where(reduce.all(ew.isnan(x), axis=axis, keepdims=keepdims), math.nan, found)


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes that is not NaN; NaN of NaN only."""
    x = operand(x)
    if x.dtype.kind != "f":
        return reduce.min(x, axis=axis, keepdims=keepdims)
    found = reduce.min(_filled(x, math.inf), axis=axis, keepdims=keepdims)
    return ew.where(reduce.all(ew.isnan(x), axis=axis, keepdims=keepdims), math.nan, found)


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element that is not NaN."""
    return reduce.argmax(_filled(x, -math.inf), axis=axis, keepdims=keepdims)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element that is not NaN."""
    return reduce.argmin(_filled(x, math.inf), axis=axis, keepdims=keepdims)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over axes of the elements that are not NaN."""
    x = floating_operand(x)
    total = nansum(x, axis, keepdims)
    return total / ew.astype(_valid(x, axis, keepdims), x.dtype if x.dtype.kind == "f" else np.float64)


def nanvar(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """Variance over axes of the elements that are not NaN; NaN where there are not more than ``ddof``."""
    x = floating_operand(x)
    missing = ew.isnan(x)
    n = ew.astype(_valid(x, axis, True), x.dtype)
    mean = nansum(x, axis, True) / n
    d = ew.where(missing, 0, ew.where(missing, 0, x) - mean)
    freedom = ew.astype(_valid(x, axis, keepdims), x.dtype) - ddof
    return reduce.sum(ew.square(d), axis=axis, keepdims=keepdims) / ew.where(freedom > 0, freedom, math.nan)


def nanstd(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes of the elements that are not NaN; its gradient is 0 where all are equal."""
    v = nanvar(x, axis, ddof, keepdims)
    nothing = ew.equal(v, 0)
    return ew.where(nothing, 0, ew.sqrt(ew.where(nothing, 1, v)))


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles over axes of the elements that are not NaN, interpolated between two of them.

    Raises ValueError for another method than "linear".
    """
    x = floating_operand(x)
    values = check_quantile("nanquantile", q, method)
    if method != "linear":
        raise ValueError(f"[nanquantile] expected method 'linear'; got {method!r}.")
    rows, axes = rows_to_reduce("nanquantile", x, axis)
    ordered = sorting.sort(rows, axis=-1)
    n = reduce.sum(ew.astype(ew.logical_not(ew.isnan(rows)), np.int64), axis=-1, keepdims=True)
    parts = []
    for value in values.ravel().tolist():
        place = ew.astype(ew.maximum(n - 1, 0), np.float64) * value
        low = ew.floor(place)
        part = ew.astype(place - low, x.dtype)
        i = ew.astype(low, np.int64)
        a = index.take_along_axis(ordered, i, axis=-1)
        b = index.take_along_axis(ordered, ew.minimum(i + 1, ew.maximum(n - 1, 0)), axis=-1)
        parts.append(kept((a + (b - a) * part)[..., 0], axes, keepdims))
    return stacked(parts, values.shape)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles with ``q`` from 0 to 100; see ``nanquantile``."""
    return nanquantile(x, quantile_values("nanpercentile", q) / 100, axis, method, keepdims)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle over axes of the elements that are not NaN."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)
