"""NumPy's numerical functions that are made of other operations: quantiles, covariance, interpolation, differences.

Signatures are NumPy's, less ``out``; gradients of any order follow from the parts. Statistics that leave NaN out are
in ``nan_numeric``, joining and splitting in ``joining``, convolution and polynomials in ``convolution``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import normalize_axis, shown
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops import elementwise as ew
from autotensor.ops import index, linalg, reduce, running, shape, sorting
from autotensor.ops.creation import ones_like, operand, zeros_like

__all__ = [
    "average",
    "corrcoef",
    "cov",
    "ediff1d",
    "interp",
    "median",
    "nan_to_num",
    "percentile",
    "piecewise",
    "ptp",
    "quantile",
    "select",
    "trapezoid",
    "unwrap",
    "vdot",
]


def floating_operand(x: Any) -> Tensor:
    """The tensor behind an argument, integers and bools as float64."""
    x = operand(x)
    return x if x.dtype.kind in "fc" else ew.astype(x, np.float64)


def known_size(op: str, x: Tensor, axis: int) -> int:
    """Size of an axis, which must be known."""
    n = x.shape[axis]
    if n is None:
        raise ShapeError(
            f"[{op}] needs a known size in axis {axis}; got shape {shape.text(x.shape)}. "
            "Give the placeholder that size."
        )
    return n


def slices(x: Tensor, axis: int, start: int | None, stop: int | None, step: int | None = None) -> Tensor:
    """``x[..., start:stop:step, ...]`` along one axis."""
    return x[(*(slice(None),) * axis, slice(start, stop, step))]


# -- statistics


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Largest less smallest element over axes."""
    x = operand(x)
    return reduce.max(x, axis=axis, keepdims=keepdims) - reduce.min(x, axis=axis, keepdims=keepdims)


def average(x: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Weighted mean: ``sum(x * weights) / sum(weights)``. Weights have the shape of x, or of the one axis.

    ``returned=True`` gives the pair (average, sum of the weights).

    Raises ShapeError for weights of another shape.
    """
    x = floating_operand(x)
    if weights is None:
        mean = reduce.mean(x, axis=axis, keepdims=keepdims)
        if not returned:
            return mean
        return mean, reduce.sum(ones_like(x), axis=axis, keepdims=keepdims)
    w = operand(weights)
    if w.ndim != x.ndim:
        if not isinstance(axis, (int, np.integer)) or w.ndim != 1:
            raise ShapeError(
                f"[average] expected weights of the shape of x {shape.text(x.shape)}, or a vector and one axis; "
                f"got {shape.text(w.shape)} and axis {axis}."
            )
        place = normalize_axis("average", operator.index(axis), x.ndim)
        w = w.reshape(tuple([-1 if k == place else 1 for k in range(x.ndim)]))
    w = w * ones_like(x) if w.shape != x.shape else w
    total = reduce.sum(w, axis=axis, keepdims=keepdims)
    mean = reduce.sum(x * w, axis=axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


# Position of the quantile q among n sorted numbers: n q + a + q (1 - a - b) - 1. R. J. Hyndman and Y. Fan, Sample
# quantiles in statistical packages, The American Statistician 50 (1996), 361-365.
_PLOTTING = {
    "linear": (1.0, 1.0),
    "lower": (1.0, 1.0),
    "higher": (1.0, 1.0),
    "midpoint": (1.0, 1.0),
    "nearest": (1.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0.0, 1.0),
}


def _places(n: int, q: float, method: str) -> tuple[int, int, float]:
    """The two sorted elements that a quantile lies between, and how far from the first to the second."""
    a, b = _PLOTTING[method]
    place = min(max(n * q + (a + q * (1 - a - b)) - 1, 0.0), n - 1.0)
    low = math.floor(place)
    high = min(low + 1, n - 1)
    part = place - low
    if method == "lower":
        part = 0.0
    elif method == "higher":
        part = 1.0 if part > 0 else 0.0
    elif method == "midpoint":
        part = 0.5 if part > 0 else 0.0
    elif method == "nearest":
        part = 1.0 if part > 0.5 or (part == 0.5 and low % 2) else 0.0
    return low, high, part


def rows_to_reduce(op: str, x: Tensor, axis: Any) -> tuple[Tensor, tuple[int, ...]]:
    """x with the axes to reduce joined into one last axis, and these axes."""
    axes = reduce._axes(op, axis, x.ndim)
    rest = [k for k in range(x.ndim) if k not in axes]
    moved = shape.permute_dims(x, (*rest, *axes)) if x.ndim > 1 else x
    if len(axes) != 1:
        n = math.prod([known_size(op, x, a) for a in axes])
        unknown = sum([x.shape[k] is None for k in rest])
        if unknown > 1 or (unknown and n == 0):
            raise ShapeError(f"[{op}] over {len(axes)} axes needs known sizes; got {shape.text(x.shape)}.")
        moved = moved.reshape(tuple([-1 if x.shape[k] is None else x.shape[k] for k in rest]) + (n,))
    return moved, axes


def kept(result: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The reduced axes put back with size 1 where that is asked for."""
    return shape.expand_dims_op(result, axis=axes) if keepdims and axes else result


def quantile_values(op: str, q: Any) -> np.ndarray:
    """Quantiles or percentiles as an array, whatever they are given as."""
    try:
        return q._value(op) if isinstance(q, Tensor) else np.asarray(q, np.float64)
    except (TypeError, ValueError):
        raise DTypeError(f"[{op}] expected quantiles as numbers; got {shown(q)}.") from None


def check_quantile(op: str, q: Any, method: str) -> np.ndarray:
    """Quantiles as an array of numbers from 0 to 1."""
    if method not in _PLOTTING:
        raise ValueError(f"[{op}] expected method to be one of {', '.join(_PLOTTING)}; got {method!r}.")
    values = quantile_values(op, q)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"[{op}] expected quantiles from 0 to 1 (percentiles from 0 to 100); got {values.tolist()}.")
    return values


def stacked(parts: list[Tensor], places: tuple[int, ...]) -> Tensor:
    """The parts along new first axes of these sizes."""
    if not places:
        return parts[0]
    joined = shape.stack(parts, axis=0)
    return (
        joined
        if len(places) == 1
        else joined.reshape(places + tuple([-1 if d is None else d for d in joined.shape[1:]]))
    )


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles of the elements over axes; the gradient goes to the one or two elements each lies between.

    ``q``: a number from 0 to 1, or an array of them, whose axes come first in the result. NaN where there is a NaN.

    Raises ShapeError for axes of unknown size.
    """
    x = floating_operand(x)
    values = check_quantile("quantile", q, method)
    rows, axes = rows_to_reduce("quantile", x, axis)
    n = known_size("quantile", rows, rows.ndim - 1)
    if n == 0:
        raise ShapeError(f"[quantile] of no elements is not defined; got shape {shape.text(x.shape)}.")
    ordered = sorting.sort(rows, axis=-1)
    last = ordered[..., -1]
    parts = []
    for value in values.ravel().tolist():
        low, high, part = _places(n, value, method)
        a = ordered[..., low]
        out = a if part == 0 else ordered[..., high] if part == 1 else a + (ordered[..., high] - a) * part
        parts.append(kept(ew.where(ew.isnan(last), last, out), axes, keepdims))
    return stacked(parts, values.shape)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles with ``q`` from 0 to 100; see ``quantile``."""
    return quantile(x, quantile_values("percentile", q) / 100, axis, method, keepdims)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle element over axes, the mean of two where their number is even; NaN where there is a NaN."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


def cov(
    x: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Tensor:
    """Covariance matrix of variables in the rows of x (and y), observations in the columns.

    Divided by n - 1; by n with ``bias``, by n - ddof if that is given. ``fweights`` counts observations repeatedly,
    ``aweights`` weighs them.

    Raises ShapeError for more than two axes.
    """
    x = floating_operand(x)
    if not 1 <= x.ndim <= 2:
        raise ShapeError(f"[cov] expected rank 1 or 2; got shape {shape.text(x.shape)}.")
    rows = x[None, :] if x.ndim == 1 else x if rowvar else x.T
    if y is not None:
        y = floating_operand(y)
        rows = shape.concat([rows, y[None, :] if y.ndim == 1 else y if rowvar else y.T], axis=0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = None if fweights is None else floating_operand(fweights)
    if aweights is not None:
        a = floating_operand(aweights)
        w = a if w is None else w * a
    if w is None:
        n: Any = reduce._count(rows, (1,))
        total: Any = n
        centred = rows - reduce.mean(rows, axis=1, keepdims=True)
        weighed = centred
    else:
        total = reduce.sum(w)
        centred = rows - reduce.sum(rows * w, axis=1, keepdims=True) / total
        weighed = centred * w
    if w is None or ddof == 0 or aweights is None:
        freedom = total - ddof
    else:
        freedom = total - ddof * reduce.sum(w * floating_operand(aweights)) / total
    other = weighed.T if weighed.dtype.kind != "c" else ew.conj(weighed.T)
    if not isinstance(freedom, Tensor) and freedom <= 0:
        freedom = math.nan
    out = linalg.matmul(centred, other) / freedom
    return out[0, 0] if out.shape == (1, 1) else out


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Tensor:
    """Correlation matrix of variables in the rows of x (and y), observations in the columns."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    spread = ew.sqrt(shape.diagonal(c) if c.dtype.kind != "c" else ew.real(shape.diagonal(c)))
    return c / spread[:, None] / spread[None, :]


# -- calculus on samples


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """Integral of samples along an axis by the trapezoidal rule, at the places x or at distance dx."""
    y = floating_operand(y)
    axis = normalize_axis("trapezoid", axis, y.ndim)
    width: Any = dx
    if x is not None:
        x = operand(x)
        if x.ndim == 1:
            width = (x[1:] - x[:-1]).reshape(tuple([-1 if k == axis else 1 for k in range(y.ndim)]))
        else:
            width = slices(x, axis, 1, None) - slices(x, axis, None, -1)
    elif not isinstance(dx, (int, float)):
        width = operand(dx)
    return reduce.sum((slices(y, axis, 1, None) + slices(y, axis, None, -1)) * width / 2.0, axis=axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Differences of samples of a function (``numpy.gradient``): central within, one-sided at the edges.

    ``varargs``: one distance for all axes, or for each axis a distance or the coordinates. A list of tensors for
    several axes. For derivatives of functions see ``grad``.
    """
    f = floating_operand(f)
    single = isinstance(axis, (int, np.integer))
    axes = [
        normalize_axis("gradient", a, f.ndim) for a in ([axis] if single else range(f.ndim) if axis is None else axis)
    ]
    spacings: list[Any] = list(varargs) or [1.0]
    if len(spacings) == 1 and (len(axes) > 1 or not spacings):
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"[gradient] expected a distance for each of {len(axes)} axes; got {len(spacings)}.")
    found = [_differences(f, a, h, edge_order) for a, h in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _differences(f: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    n = f.shape[axis]
    if n is not None and n < edge_order + 1:
        raise ShapeError(f"[gradient] axis {axis} of size {n} is too short; expected {edge_order + 1} samples.")
    y = shape.moveaxis(f, axis, -1)
    h = spacing if isinstance(spacing, (int, float)) else operand(spacing)
    if isinstance(h, Tensor) and h.ndim == 1:
        d = h[1:] - h[:-1]
        a, b = d[:-1], d[1:]
        inner_ = -b / (a * (a + b)) * y[..., :-2] + (b - a) / (a * b) * y[..., 1:-1] + a / (b * (a + b)) * y[..., 2:]
        first, last = d[:1], d[-1:]
        second, before = (d[1:2], d[-2:-1]) if edge_order == 2 else (None, None)
    else:
        inner_ = (y[..., 2:] - y[..., :-2]) / (2.0 * h)
        first = last = second = before = operand(h)
    if edge_order == 1:
        start = (y[..., 1:2] - y[..., :1]) / first
        end = (y[..., -1:] - y[..., -2:-1]) / last
    else:
        start = (
            -(2.0 * first + second) / (first * (first + second)) * y[..., :1]
            + (first + second) / (first * second) * y[..., 1:2]
            - first / (second * (first + second)) * y[..., 2:3]
        )
        end = (
            last / (before * (before + last)) * y[..., -3:-2]
            - (last + before) / (before * last) * y[..., -2:-1]
            + (2.0 * last + before) / (last * (before + last)) * y[..., -1:]
        )
    return shape.moveaxis(shape.concat([start, inner_, end], axis=-1), -1, axis)


def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> Tensor:
    """Differences of neighbours in flat order, with what is to stand before and after them."""
    x = shape.flatten(operand(x))
    parts = [x[1:] - x[:-1]]
    if to_begin is not None:
        parts.insert(0, shape.flatten(operand(to_begin)))
    if to_end is not None:
        parts.append(shape.flatten(operand(to_end)))
    return shape.concat(parts) if len(parts) > 1 else parts[0]


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None) -> Tensor:
    """Values at x of the line through the points (xp, fp), xp increasing; gradients by x, xp and fp.

    Outside, the first and the last value, or ``left`` and ``right``. ``period`` repeats the line. At a point of xp the
    slope by x is the one to its right.

    Raises ShapeError for vectors of different or unknown sizes, ValueError for a period of 0.
    """
    x, xp, fp = floating_operand(x), floating_operand(xp), floating_operand(fp)
    if xp.ndim != 1 or fp.ndim != 1 or None in xp.shape or xp.shape != fp.shape or 0 in xp.shape:
        raise ShapeError(
            f"[interp] expected two vectors of one known size; got {shape.text(xp.shape)} and {shape.text(fp.shape)}."
        )
    if period is not None:
        if period == 0:
            raise ValueError("[interp] expected a period other than 0.")
        period = abs(period)
        x, xp = ew.remainder(x, period), ew.remainder(xp, period)
        order = sorting.argsort(xp)
        xp, fp = index.take(xp, order, axis=0), index.take(fp, order, axis=0)
        xp = shape.concat([xp[-1:] - period, xp, xp[:1] + period])
        fp = shape.concat([fp[-1:], fp, fp[:1]])
    n = xp.shape[0]
    assert n is not None
    low: Any = fp[0] if left is None or period is not None else left
    high: Any = fp[-1] if right is None or period is not None else right
    if n == 1:
        within = zeros_like(x) + fp[0]
    else:
        i = ew.clip(sorting.searchsorted(xp, x, side="right") - 1, 0, n - 2)
        x0, y0 = index.take(xp, i, axis=0), index.take(fp, i, axis=0)
        slope = (index.take(fp, i + 1, axis=0) - y0) / (index.take(xp, i + 1, axis=0) - x0)
        within = slope * (x - x0) + y0
    return ew.where(x < xp[0], low, ew.where(x > xp[-1], high, within))


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Tensor:
    """Angles along an axis without jumps of more than half a period; the gradient is that of p."""
    p = floating_operand(p)
    axis = normalize_axis("unwrap", axis, p.ndim)
    d = slices(p, axis, 1, None) - slices(p, axis, None, -1)
    half = period / 2
    moved = ew.remainder(d + half, period) - half
    moved = ew.where(ew.logical_and(ew.equal(moved, -half), d > 0), half, moved)
    step = ew.where(ew.abs(d) < (half if discont is None else discont), 0, moved - d)
    return shape.concat(
        [slices(p, axis, None, 1), slices(p, axis, 1, None) + running.cumulative_sum(step, axis=axis)], axis=axis
    )


# -- products


def vdot(a: Any, b: Any) -> Tensor:
    """Dot product in flat order, the first conjugated."""
    a, b = operand(a), operand(b)
    return linalg.dot(shape.flatten(ew.conj(a) if a.dtype.kind == "c" else a), shape.flatten(b))


# -- choosing


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """For each element the choice of the first condition that holds, else ``default``.

    Raises ValueError where there are not as many choices as conditions.
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"[select] expected as many conditions as choices; got {len(condlist)} and {len(choicelist)}.")
    out: Any = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        out = ew.where(condition, choice, out)
    return out


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Tensor:
    """Functions (or constants) each applied to the elements of x where its condition holds; the last one counts.

    One function more than conditions is for where none holds; without it these are 0.

    Raises ValueError for another number of functions.
    """
    x = operand(x)
    single = not isinstance(condlist, (list, tuple)) or (
        len(condlist) > 0 and not isinstance(condlist[0], (list, tuple, np.ndarray, Tensor)) and x.ndim > 0
    )
    conditions = [condlist] if single else list(condlist)
    masks = [operand(c) if c is not True and c is not False else operand(np.full(x.shape, c)) for c in conditions]
    if len(funclist) == len(masks) + 1:
        covered = masks[0]
        for mask in masks[1:]:
            covered = ew.logical_or(covered, mask)
        masks.append(ew.logical_not(covered))
    elif len(funclist) != len(masks):
        raise ValueError(f"[piecewise] expected {len(masks)} or {len(masks) + 1} functions; got {len(funclist)}.")
    out = zeros_like(x)
    for mask, function in zip(masks, funclist, strict=True):
        part = function(x[mask], *args, **kw) if callable(function) else function
        out = index.index_update(out, part, mask)
    return out


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities replaced by numbers, by default 0 and the largest finite ones; gradients pass elsewhere."""
    x = operand(x)
    if x.dtype.kind == "c":
        real, imag = (nan_to_num(part, copy, nan, posinf, neginf) for part in (ew.real(x), ew.imag(x)))
        return real + imag * 1j
    if x.dtype.kind != "f":
        return ew.copy(x)
    limits = np.finfo(x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    finite = ew.where(ew.isfinite(x), x, 0)
    replaced = ew.where(ew.isnan(x), nan, ew.where(x > 0, high, low))
    return ew.where(ew.isfinite(x), finite, replaced)
