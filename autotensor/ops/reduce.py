"""Reductions: sum, mean, var, max, argmax, any, logsumexp, norm...

Sums of float16 are accumulated in float32. Where several elements share the maximum, the gradient is split evenly.
Axes are static: a sorted tuple (the code generator reads ``axis`` and ``keepdims``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, float_dtype, normalize_axes, normalize_axis
from autotensor.core.op import defop, defop_no_grad, either
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.kernels.sums import add_reduce
from autotensor.ops import elementwise as ew
from autotensor.ops.conversion import astype, astype_op
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import equal, exp, log, sqrt, square, where
from autotensor.ops.like import broadcast_like
from autotensor.ops.running import (
    converted,
    cumprod_op,
    cumulative_prod,  # noqa: F401 (for those who look for it here)
    cumulative_sum,  # noqa: F401
    in_dtype,
    shifted,
    sum_dtype,
)
from autotensor.ops.shape import expand_dims_op, squeeze_op

__all__ = [
    "sum", "mean", "prod", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin", "any", "all",
    "count_nonzero", "logsumexp", "norm",
]  # fmt: skip

Axis = int | Sequence[int] | None

_ALL_AXES = [tuple(range(n)) for n in range(8)]
_HALF = np.dtype(np.float16)

# NumPy's stubs know keepdims as a literal only.
multiply_reduce: Any = np.multiply.reduce


def _axes(op: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    if axis is None and ndim < 8:
        return _ALL_AXES[ndim]
    return normalize_axes(op, axis, ndim)


def _reduced(x: Aval, axis: tuple[int, ...], keepdims: bool) -> tuple[Dim, ...]:
    if keepdims:
        return tuple([1 if k in axis else d for k, d in enumerate(x.shape)])
    return tuple([d for k, d in enumerate(x.shape) if k not in axis])


def _reducing(dtype: Any = None, *, nonempty: str = "", op: str = "") -> Any:
    """Shape rule of a reduction; ``dtype(aval)`` where it is not that of the operand."""

    def infer(x: Operand, axis: tuple[int, ...], keepdims: bool, **params: Any) -> Aval:
        assert isinstance(x, Aval)
        if nonempty and 0 in [x.shape[a] for a in axis]:
            raise ShapeError(f"[{op}] of no elements is not defined; got shape {x.shape}, axes {axis}. {nonempty}")
        return Aval(_reduced(x, axis, keepdims), dtype(x) if dtype is not None else x.dtype)

    return infer


def _restore(g: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The reduced axes put back with size 1."""
    return g if keepdims or not axis else either(expand_dims_op, g, axis=axis)


def _count(x: Tensor, axis: tuple[int, ...]) -> Any:
    """Number of elements along axes: an int if the sizes are known, else a 0-d tensor."""
    sizes = [x.shape[a] for a in axis]
    if None in sizes:
        return size_along(x, axis=axis)
    return math.prod(sizes)


def _size_impl(x: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    return np.array(math.prod([x.shape[a] for a in axis]), _real_dtype(x))


def _lower_size(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    sizes = [inputs[0].shape[a] for a in params["axis"]]
    return None if None in sizes else Tensor(np.array(math.prod(sizes), out.dtype))


size_along = defop_no_grad(
    "size_along", impl=_size_impl, infer=lambda x, axis: Aval((), _real_dtype(x)), lower=_lower_size
)


# -- sum, mean, product


def _sum_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    if x.dtype == _HALF:
        return add_reduce(x, axis=axis, dtype=np.float32, keepdims=keepdims).astype(_HALF)
    return add_reduce(x, axis=axis, keepdims=keepdims)


def _sum_into(out: np.ndarray, x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> None:
    if x.dtype == _HALF:
        out[...] = add_reduce(x, axis=axis, dtype=np.float32, keepdims=keepdims)
    else:
        add_reduce(x, axis=axis, keepdims=keepdims, out=out)


@defop("sum", impl=_sum_impl, infer=_reducing(sum_dtype), into=_sum_into, reduces="sum", vjp_takes_arrays=True)
def sum_op(needs, g, out, x, axis, keepdims):
    return (either(broadcast_like, _restore(g, axis, keepdims), x),)


def sum(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Sum over axes, by default over all. ``dtype`` converts x first, and is that of the result."""
    if dtype is None:
        x = operand(x)
        return sum_op(x, axis=_axes("sum", axis, x.ndim), keepdims=keepdims)
    x, wanted = converted("sum", x, dtype)
    return in_dtype(sum_op(x, axis=_axes("sum", axis, x.ndim), keepdims=keepdims), wanted)


def _mean_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    n = math.prod([x.shape[a] for a in axis])
    if not n:
        return np.full(_reduced(Aval(x.shape, x.dtype), axis, keepdims), np.nan, _mean_dtype(Aval((), x.dtype)))
    if x.dtype == _HALF:
        return (add_reduce(x, axis=axis, dtype=np.float32, keepdims=keepdims) / n).astype(_HALF)
    return add_reduce(x, axis=axis, dtype=None if x.dtype.kind in "fc" else np.float64, keepdims=keepdims) / n


def _mean_into(out: np.ndarray, x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> None:
    n = math.prod([x.shape[a] for a in axis])
    if x.dtype.kind not in "fc" or x.dtype == _HALF or not n:
        out[...] = _mean_impl(x, axis, keepdims)
    else:
        add_reduce(x, axis=axis, keepdims=keepdims, out=out)
        out /= n


def _mean_dtype(x: Aval) -> np.dtype:
    return x.dtype if x.dtype.kind in "fc" else np.dtype(np.float64)


def _real_dtype(x: Aval | np.ndarray) -> np.dtype:
    """The dtype of sizes: that of the real part."""
    if x.dtype.kind == "c":
        return np.dtype(np.float32 if x.dtype.char == "F" else np.float64)
    return x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)


def conjugate(x: Any) -> Any:
    """The complex conjugate; real tensors as they are."""
    return ew.conj(x) if x.dtype.kind == "c" else x


def _lower_mean(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x = inputs[0]
    n = _count(x, params["axis"])
    if isinstance(n, Tensor) or not n or x.dtype.kind != "f" or x.dtype == _HALF:
        return None
    return sum_op(x, **params) / n


@defop("mean", impl=_mean_impl, infer=_reducing(_mean_dtype), into=_mean_into, lower=_lower_mean, vjp_takes_arrays=True)
def mean_op(needs, g, out, x, axis, keepdims):
    return (either(broadcast_like, _restore(g / _freedom(x, axis, 0), axis, keepdims), x),)


def mean(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Arithmetic mean over axes, by default over all; floating also for integers, NaN of nothing."""
    x = operand(x)
    if dtype is not None:
        x = astype(x, dtype)
    return mean_op(x, axis=_axes("mean", axis, x.ndim), keepdims=keepdims)


@defop(
    "prod",
    impl=lambda x, axis, keepdims: multiply_reduce(x, axis=axis, keepdims=keepdims),
    infer=_reducing(sum_dtype),
    into=lambda out, x, axis, keepdims: multiply_reduce(x, axis=axis, keepdims=keepdims, out=out),
    reduces="prod",
)
def prod_op(needs, g, out, x, axis, keepdims):
    return (_prod_gradient(_restore(g, axis, keepdims), x, axis),)


def _prod_gradient(g: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """g times the product of all other elements, right to any order where elements are 0. ``g`` keeps the axes."""
    if not axis:
        return g
    if len(axis) > 1:
        inner = prod_op(x, axis=axis[-1:], keepdims=True)
        g = _prod_gradient(g, inner, axis[:-1])
    a = axis[-1]
    before = shifted(cumprod_op(x, axis=a, reverse=False), axis=a, by=1, value=1.0)
    after = shifted(cumprod_op(x, axis=a, reverse=True), axis=a, by=-1, value=1.0)
    return g * (before * after)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product over axes, by default over all. Its gradient is right where elements are 0.

    ``dtype`` converts x first, and is that of the result.
    """
    x, wanted = converted("prod", x, dtype)
    return in_dtype(prod_op(x, axis=_axes("prod", axis, x.ndim), keepdims=keepdims), wanted)


# -- variance


def _var_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    if x.dtype.kind not in "fc":
        x = x.astype(np.float64)
    wide = x.astype(np.float32) if x.dtype == _HALF else x
    n = math.prod([x.shape[a] for a in axis])
    if n - ddof <= 0:
        return np.full(_reduced(Aval(x.shape, x.dtype), axis, keepdims), np.nan, _real_dtype(x))
    d = wide - add_reduce(wide, axis=axis, keepdims=True) / n
    squares = d * d if d.dtype.kind == "f" else d.real**2 + d.imag**2
    out = add_reduce(squares, axis=axis, keepdims=keepdims) / (n - ddof)
    return out.astype(_real_dtype(x), copy=False)


def _std_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool, ddof: float) -> Any:
    return np.sqrt(_var_impl(x, axis, keepdims, ddof))


def _deviation(x: Any, axis: tuple[int, ...]) -> Any:
    return x - mean_op(x, axis=axis, keepdims=True)


def _freedom(x: Tensor, axis: tuple[int, ...], ddof: float) -> Any:
    """Number of elements less ddof, NaN if that is not positive."""
    n = _count(x, axis)
    if isinstance(n, Tensor):
        return n - ddof if ddof else n
    return n - ddof if n > ddof else math.nan


def _lower_var(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x, axis, ddof = inputs[0], params["axis"], params["ddof"]
    n = _count(x, axis)
    if isinstance(n, Tensor) or n <= ddof or x.dtype.kind != "f" or x.dtype == _HALF:
        return None
    return sum_op(square(_deviation(x, axis)), axis=axis, keepdims=params["keepdims"]) / (n - ddof)


def _lower_std(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    lowered = _lower_var(out, inputs, params)
    return None if lowered is None else sqrt(lowered)


@defop("var", impl=_var_impl, infer=_reducing(_real_dtype), lower=_lower_var)
def var_op(needs, g, out, x, axis, keepdims, ddof):
    scaled = _restore(g * 2 / _freedom(x, axis, ddof), axis, keepdims)
    return (scaled * conjugate(_deviation(x, axis)),)


@defop("std", impl=_std_impl, infer=_reducing(_real_dtype), lower=_lower_std)
def std_op(needs, g, out, x, axis, keepdims, ddof):
    # All elements equal: the slope is taken as 0, since 0 / 0 would spread as NaN.
    scaled = _restore(g / (where(equal(out, 0), 1, out) * _freedom(x, axis, ddof)), axis, keepdims)
    return (scaled * conjugate(_deviation(x, axis)),)


def var(
    x: Any, axis: Axis = None, keepdims: bool = False, *, correction: float = 0, ddof: float | None = None
) -> Tensor:
    """Variance over axes: mean squared deviation, divided by n - correction (NumPy calls it ddof).

    Real for complex tensors, too: the mean of |x - mean|^2.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(at.var)(np.array([1.0, 2.0, 6.0]))
        Tensor([-1.33333333, -0.66666667,  2.        ], dtype=float64)
    """
    x = operand(x)
    return var_op(x, axis=_axes("var", axis, x.ndim), keepdims=keepdims, ddof=correction if ddof is None else ddof)


def std(
    x: Any, axis: Axis = None, keepdims: bool = False, *, correction: float = 0, ddof: float | None = None
) -> Tensor:
    """Standard deviation over axes, the root of ``var``. Its gradient is 0 where all elements are equal."""
    x = operand(x)
    return std_op(x, axis=_axes("std", axis, x.ndim), keepdims=keepdims, ddof=correction if ddof is None else ddof)


# -- extremes


def _extreme_gradient(g: Any, out: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    hits = either(equal, x, _restore(out, axis, keepdims))
    if type(hits) is np.ndarray and hits.size >= _SPARSE:
        return _shared(np.asarray(_restore(g, axis, keepdims)), hits)
    count = either(astype_op, either(sum_op, hits, axis=axis, keepdims=True), dtype=x.dtype)
    return either(where, hits, _restore(g, axis, keepdims) / count, 0)


# From this size on the places of extremes are looked up and written one by one: there are few of them.
_SPARSE = 2048


def _shared(g: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """``g``, which keeps the reduced axes, spread evenly over its hits."""
    out = np.zeros(hits.shape, g.dtype)
    places = np.flatnonzero(hits)
    if g.size == 1:
        out.reshape(-1)[places] = g.reshape(()) / (places.size or 1)
        return out
    index = np.unravel_index(places, hits.shape)
    cells = np.ravel_multi_index(tuple([i if n > 1 else i * 0 for i, n in zip(index, g.shape, strict=True)]), g.shape)
    count = np.bincount(cells, minlength=g.size).astype(g.dtype)
    out.reshape(-1)[places] = (g.reshape(-1) / np.maximum(count, 1))[cells]
    return out


def _extreme(name: str, ufunc: np.ufunc) -> dict[str, Any]:
    return {
        "impl": lambda x, axis, keepdims: ufunc.reduce(x, axis=axis, keepdims=keepdims),
        "infer": _reducing(nonempty="Check for an empty batch?", op=name),
        "into": lambda out, x, axis, keepdims: ufunc.reduce(x, axis=axis, keepdims=keepdims, out=out),
        "reduces": name,
    }


@defop("max", **_extreme("max", np.maximum), vjp_takes_arrays=True)
def max_op(needs, g, out, x, axis, keepdims):
    return (_extreme_gradient(g, out, x, axis, keepdims),)


@defop("min", **_extreme("min", np.minimum), vjp_takes_arrays=True)
def min_op(needs, g, out, x, axis, keepdims):
    return (_extreme_gradient(g, out, x, axis, keepdims),)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes, by default over all; NaN if there is one. Ties share the gradient.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(at.max)(np.array([1.0, 3.0, 3.0]))  # equal ones share
    Tensor([0. , 0.5, 0.5], dtype=float64)
    """
    x = operand(x)
    return max_op(x, axis=_axes("max", axis, x.ndim), keepdims=keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes, by default over all; NaN if there is one. Ties share the gradient."""
    x = operand(x)
    return min_op(x, axis=_axes("min", axis, x.ndim), keepdims=keepdims)


amax, amin = max, min


def _infer_arg(name: str) -> Any:
    def infer(x: Operand, axis: int | None, keepdims: bool) -> Aval:
        assert isinstance(x, Aval)
        axes = tuple(range(x.ndim)) if axis is None else (axis,)
        if 0 in [x.shape[a] for a in axes]:
            raise ShapeError(f"[{name}] of no elements is not defined; got shape {x.shape}. Check for an empty batch?")
        return Aval(_reduced(x, axes, keepdims), np.int64)

    return infer


argmax_op = defop_no_grad(
    "argmax",
    impl=lambda x, axis, keepdims: x.argmax(axis, keepdims=keepdims),
    infer=_infer_arg("argmax"),
    reduces="argmax",
)
argmin_op = defop_no_grad(
    "argmin",
    impl=lambda x, axis, keepdims: x.argmin(axis, keepdims=keepdims),
    infer=_infer_arg("argmin"),
    reduces="argmin",
)


def _one_axis(op: str, axis: int | None, ndim: int) -> int | None:
    return None if axis is None else normalize_axis(op, axis, ndim)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the (first) largest element along an axis, or in flat order."""
    x = operand(x)
    return argmax_op(x, axis=_one_axis("argmax", axis, x.ndim), keepdims=keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the (first) smallest element along an axis, or in flat order."""
    x = operand(x)
    return argmin_op(x, axis=_one_axis("argmin", axis, x.ndim), keepdims=keepdims)


# -- logic


def _bool_dtype(x: Aval) -> np.dtype:
    return np.dtype(bool)


any_op = defop_no_grad(
    "any",
    impl=lambda x, axis, keepdims: np.any(x, axis=axis, keepdims=keepdims),
    infer=_reducing(_bool_dtype),
)
all_op = defop_no_grad(
    "all",
    impl=lambda x, axis, keepdims: np.all(x, axis=axis, keepdims=keepdims),
    infer=_reducing(_bool_dtype),
)
count_nonzero_op = defop_no_grad(
    "count_nonzero",
    impl=lambda x, axis, keepdims: np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims), np.int64),
    infer=_reducing(lambda x: np.dtype(np.int64)),
)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where any element along axes is not 0."""
    x = operand(x)
    return any_op(x, axis=_axes("any", axis, x.ndim), keepdims=keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """True where no element along axes is 0."""
    x = operand(x)
    return all_op(x, axis=_axes("all", axis, x.ndim), keepdims=keepdims)


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Number of elements along axes that are not 0."""
    x = operand(x)
    return count_nonzero_op(x, axis=_axes("count_nonzero", axis, x.ndim), keepdims=keepdims)


# -- logsumexp, norm


def _logsumexp_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    dtype = float_dtype(Aval((), x.dtype))
    wide = x.astype(np.float32 if dtype == _HALF else dtype, copy=False)
    top = np.maximum.reduce(wide, axis=axis, keepdims=True, initial=-np.inf)
    base = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # log(0) is -inf: all probabilities are 0
        out = np.log(add_reduce(np.exp(wide - base), axis=axis, keepdims=True)) + base
    out = out.astype(dtype, copy=False)
    return out if keepdims else out.reshape(_reduced(Aval(x.shape, x.dtype), axis, False))


def _lower_logsumexp(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x, axis = inputs[0], params["axis"]
    if not _plain(x):
        return None
    base = peak(x, axis)
    total = log(sum_op(exp(x - base), axis=axis, keepdims=True)) + base
    return total if params["keepdims"] or not axis else squeeze_op(total, axis=axis)


def _plain(x: Tensor) -> bool:
    """Can a generated kernel say it?"""
    return x.dtype.kind == "f" and x.dtype != _HALF and x.aval.known and 0 not in x.shape


def peak(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """The maximum over axes, kept as axes of 1; 0 where it is not finite. What softmax and its kin subtract.

    All of them say it in the same words, so that a compiled step computes exp(x - peak) once for all.
    """
    top = max_op(x, axis=axis, keepdims=True)
    return where(ew.isfinite(top), top, 0)


def _share_impl(x: np.ndarray, axis: tuple[int, ...]) -> Any:
    dtype = float_dtype(Aval((), x.dtype))
    wide = x.astype(np.float32 if dtype == _HALF else dtype, copy=False)
    top = np.maximum.reduce(wide, axis=axis, keepdims=True, initial=-np.inf)
    e = np.exp(wide - np.where(np.isfinite(top), top, 0))
    total = add_reduce(e, axis=axis, keepdims=True)
    return (e / np.where(total == 0, 1, total)).astype(dtype, copy=False)


def _lower_share(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x, axis = inputs[0], params["axis"]
    if not _plain(x):
        return None
    e = exp(x - peak(x, axis))
    total = sum_op(e, axis=axis, keepdims=True)
    return e / where(equal(total, 0), 1, total)


@defop("share", impl=_share_impl, infer=lambda x, axis: Aval(x.shape, float_dtype(x)), lower=_lower_share)
def share_op(needs, g, out, x, axis):
    """exp(x) / sum(exp(x)) over axes, the gradient of logsumexp; 0 where all elements are -inf."""
    return ((g - sum_op(g * out, axis=axis, keepdims=True)) * out,)


@defop("logsumexp", impl=_logsumexp_impl, infer=_reducing(lambda x: float_dtype(x)), lower=_lower_logsumexp)
def logsumexp_op(needs, g, out, x, axis, keepdims):
    return (_restore(g, axis, keepdims) * share_op(x, axis=axis),)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over axes without overflow; -inf stands for a probability of 0.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(at.logsumexp)(np.array([1000.0, 1000.0]))
    Tensor([0.5, 0.5], dtype=float64)
    """
    x = operand(x)
    return logsumexp_op(x, axis=_axes("logsumexp", axis, x.ndim), keepdims=keepdims)


def _norm_impl(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    wide = x.astype(np.float32) if x.dtype == _HALF else x if x.dtype.kind in "fc" else x.astype(np.float64)
    squares = wide * wide if wide.dtype.kind == "f" else wide.real**2 + wide.imag**2
    out = np.sqrt(add_reduce(squares, axis=axis, keepdims=keepdims))
    return out.astype(_HALF) if x.dtype == _HALF else out


def _lower_norm(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x = inputs[0]
    return None if x.dtype.kind != "f" or x.dtype == _HALF else sqrt(sum_op(square(x), **params))


@defop("norm", impl=_norm_impl, infer=_reducing(_real_dtype), lower=_lower_norm)
def norm_op(needs, g, out, x, axis, keepdims):
    scaled = _restore(g / where(equal(out, 0), 1, out), axis, keepdims)
    return (scaled * conjugate(x),)


def norm(x: Any, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Vector norm of the elements along axes, by default of all; its gradient at 0 is taken as 0.

    ``ord``: 2 (also None, "fro"; the root of the sum of squares), 1, inf, -inf, 0 (number of elements not 0), or any
    other p for sum(abs(x)**p)**(1/p). Norms of matrices as operators are in ``linalg``.

    Raises ValueError for another ``ord``.
    """
    x = operand(x)
    axes = _axes("norm", axis, x.ndim)
    if ord is None or ord == 2 or ord == "fro":
        return norm_op(x, axis=axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"[norm] expected a number, None or 'fro' as ord; got {ord!r}. inf is at.inf.")
    if x.dtype.kind not in "fc":
        x = astype(x, np.float64)
    if ord == 0:
        return astype(count_nonzero_op(x, axis=axes, keepdims=keepdims), _real_dtype(x.aval))
    size = ew.abs(x)
    if ord == 1:
        return sum_op(size, axis=axes, keepdims=keepdims)
    if ord == math.inf:
        return max_op(size, axis=axes, keepdims=keepdims)
    if ord == -math.inf:
        return min_op(size, axis=axes, keepdims=keepdims)
    total = sum_op(ew.pow(size, ord), axis=axes, keepdims=keepdims)
    nothing = equal(total, 0)
    return where(nothing, 0, ew.pow(where(nothing, 1, total), 1 / ord))
