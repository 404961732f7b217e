"""NumPy's functions, with NumPy's signatures, on tensors: what ``np.sum(t)``, ``np.concatenate([t, a])`` arrive at.

Each entry translates the call into the functions of this package. See ``numpy_values`` for the table itself,
``numpy_protocol`` for how calls get here, ``numpy_linalg`` for ``np.linalg`` and ``np.fft``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, wrap
from autotensor.ops import convolution, joining, linalg, nan_numeric, numeric, reduce, running, shape, sorting, special
from autotensor.ops import elementwise as ew
from autotensor.ops.creation import asarray, full_like, meshgrid, operand, zeros_like
from autotensor.ops.numpy_values import broadcast_sizes, cast, check_plain, given, implements, store, values_of


def _masked(x: Tensor, where: Any, identity: Any) -> Tensor:
    """x with ``identity`` where a mask of the call leaves elements out."""
    return x if where is True or not given(where) else ew.where(operand(where), x, identity)


def _keep(keepdims: Any) -> bool:
    return bool(keepdims) if given(keepdims) else False


# -- sums, products, extremes


def _accumulation(name: str, identity: float, join: Any) -> Any:
    function = getattr(reduce, name)

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = None, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        result = function(_masked(cast(a, dtype), where, identity), axis=axis, keepdims=_keep(keepdims))
        return store(out, join(result, initial) if given(initial) else result, name)

    return reduction


implements(np.sum)(_accumulation("sum", 0, ew.add))
implements(np.prod)(_accumulation("prod", 1, ew.multiply))


def _extreme(name: str, join: Any) -> Any:
    function = getattr(reduce, name)

    def reduction(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = None, initial: Any = None, where: Any = True
    ) -> Any:
        if given(where) and where is not True and not given(initial):
            raise ValueError(f"[np.{name}] a mask in where= needs initial=, the value of nothing.")
        x = operand(a)
        result = function(_masked(x, where, initial), axis=axis, keepdims=_keep(keepdims))
        return store(out, join(result, initial) if given(initial) else result, name)

    return reduction


implements(np.max, np.amax)(_extreme("max", ew.maximum))
implements(np.min, np.amin)(_extreme("min", ew.minimum))


def _logic(name: str, identity: bool) -> Any:
    function = getattr(reduce, name)

    def reduction(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None, *, where: Any = True) -> Any:
        result = function(_masked(cast(a, bool), where, identity), axis=axis, keepdims=_keep(keepdims))
        return store(out, result, name)

    return reduction


implements(np.any)(_logic("any", False))
implements(np.all)(_logic("all", True))


def _count(x: Tensor, where: Any, axis: Any, keepdims: bool) -> Tensor:
    """How many elements a mask leaves in."""
    ones = ew.where(operand(where), zeros_like(x) + 1, 0)
    return reduce.sum(ones, axis=axis, keepdims=keepdims)


@implements(np.mean)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = None, *, where: Any = True
) -> Any:
    x, keep = cast(a, dtype), _keep(keepdims)
    if where is True or not given(where):
        return store(out, reduce.mean(x, axis=axis, keepdims=keep), "mean")
    total = reduce.sum(_masked(x, where, 0), axis=axis, keepdims=keep)
    return store(out, total / _count(numeric.floating_operand(x), where, axis, keep), "mean")


def _variance(name: str, root: bool) -> Any:
    def spread(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = None, *,
        where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        x, keep = cast(a, dtype), _keep(keepdims)
        ddof = correction if given(correction) else ddof
        masked = given(where) and where is not True
        if not masked and not given(mean):
            return store(out, getattr(reduce, name)(x, axis=axis, keepdims=keep, correction=ddof), name)
        x = numeric.floating_operand(x)
        centre = mean if given(mean) else _mean(x, axis, keepdims=True, where=where)
        d = _masked(ew.square(x - centre), where, 0)
        n = _count(x, where, axis, keep) if masked else reduce.sum(zeros_like(x) + 1, axis=axis, keepdims=keep)
        result = reduce.sum(d, axis=axis, keepdims=keep) / (n - ddof)
        return store(out, ew.sqrt(result) if root else result, name)

    return spread


implements(np.var)(_variance("var", False))
implements(np.std)(_variance("std", True))


def _position(name: str) -> Any:
    function = getattr(reduce, name)

    def found(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = None) -> Any:
        return store(out, function(operand(a), axis=axis, keepdims=_keep(keepdims)), name)

    return found


implements(np.argmax)(_position("argmax"))
implements(np.argmin)(_position("argmin"))


@implements(np.cumsum)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return store(out, _running(running.cumulative_sum, cast(a, dtype), axis), "cumsum")


@implements(np.cumprod)
def _cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return store(out, _running(running.cumulative_prod, cast(a, dtype), axis), "cumprod")


def _running(function: Any, x: Tensor, axis: Any) -> Tensor:
    if axis is None:
        x, axis = shape.flatten(x), 0
    return function(x, axis=axis)


def _cumulative(name: str, function: Any, start: float) -> Any:
    def running(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        x = operand(x)
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"[np.{name}] expected an axis for a tensor of rank {x.ndim}.")
            axis = 0
        axis = int(axis) % x.ndim
        result = function(cast(x, dtype), axis=axis)
        if include_initial:
            first = full_like(numeric.slices(result, axis, 0, 1), start)
            result = shape.concat([first, result], axis=axis)
        return store(out, result, name)

    return running


implements(getattr(np, "cumulative_sum", None))(_cumulative("cumulative_sum", running.cumulative_sum, 0))
implements(getattr(np, "cumulative_prod", None))(_cumulative("cumulative_prod", running.cumulative_prod, 1))


@implements(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return reduce.count_nonzero(operand(a), axis=axis, keepdims=keepdims)


@implements(np.ptp)
def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    return store(out, numeric.ptp(a, axis, _keep(keepdims)), "ptp")


# -- statistics


@implements(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = None) -> Any:
    return numeric.average(a, axis, weights, returned, keepdims=_keep(keepdims))


def _quantiles(name: str, function: Any) -> Any:
    def found(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None, interpolation: Any = None,
    ) -> Any:  # fmt: skip
        if weights is not None:
            raise NotImplementedError(f"[np.{name}] weights have no gradient here. Use x.numpy() for the value.")
        return store(out, function(a, q, axis, method, _keep(keepdims)), name)

    return found


implements(np.quantile)(_quantiles("quantile", numeric.quantile))
implements(np.percentile)(_quantiles("percentile", numeric.percentile))
implements(np.nanquantile)(_quantiles("nanquantile", nan_numeric.nanquantile))
implements(np.nanpercentile)(_quantiles("nanpercentile", nan_numeric.nanpercentile))


def _middle(name: str, function: Any) -> Any:
    def found(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
        return store(out, function(a, axis, keepdims=_keep(keepdims)), name)

    return found


implements(np.median)(_middle("median", numeric.median))
implements(np.nanmedian)(_middle("nanmedian", nan_numeric.nanmedian))


def _without_nan(name: str, with_dtype: bool) -> Any:
    function = getattr(nan_numeric, name)

    def with_type(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = None, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        _no_mask(name, initial, where)
        return store(out, function(cast(a, dtype), axis, keepdims=_keep(keepdims)), name)

    def without(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = None, initial: Any = None, where: Any = True
    ) -> Any:
        _no_mask(name, initial, where)
        return store(out, function(a, axis, keepdims=_keep(keepdims)), name)

    return with_type if with_dtype else without


def _no_mask(name: str, initial: Any, where: Any) -> None:
    if given(initial) or (given(where) and where is not True):
        raise NotImplementedError(f"[np.{name}] takes no initial= and where= here. Put NaN where the mask is False.")


for _name in ("nansum", "nanprod", "nanmean"):
    implements(getattr(np, _name))(_without_nan(_name, True))
for _name in ("nanmax", "nanmin", "nanargmax", "nanargmin"):
    implements(getattr(np, _name))(_without_nan(_name, False))


def _nan_spread(name: str) -> Any:
    function = getattr(nan_numeric, name)

    def found(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = None, *,
        where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        _no_mask(name, mean, where)
        ddof = correction if given(correction) else ddof
        return store(out, function(cast(a, dtype), axis, ddof, _keep(keepdims)), name)

    return found


implements(np.nanvar)(_nan_spread("nanvar"))
implements(np.nanstd)(_nan_spread("nanstd"))


@implements(np.nancumsum)
def _nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return store(out, _running(running.cumulative_sum, nan_numeric._filled(cast(a, dtype), 0.0), axis), "nancumsum")


@implements(np.nancumprod)
def _nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return store(out, _running(running.cumulative_prod, nan_numeric._filled(cast(a, dtype), 1.0), axis), "nancumprod")


@implements(np.cov)
def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    return numeric.cov(cast(m, dtype), y, rowvar, bias, ddof, fweights, aweights)


@implements(np.corrcoef)
def _corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = None, ddof: Any = None, *, dtype: Any = None
) -> Any:
    return numeric.corrcoef(cast(x, dtype), y, rowvar)


# -- shapes

_TABLE: list[tuple[Any, Any]] = [
    (np.broadcast_arrays, lambda *xs, subok=False: tuple(shape.broadcast_arrays(*xs))),
    (np.broadcast_to, lambda x, shape, subok=False: broadcast_sizes(x, shape)),
    (np.swapaxes, lambda a, axis1, axis2: shape.swapaxes(operand(a), axis1, axis2)),
    (np.moveaxis, lambda a, source, destination: shape.moveaxis(operand(a), source, destination)),
    (np.expand_dims, lambda a, axis: shape.expand_dims(operand(a), axis)),
    (np.rollaxis, joining.rollaxis),
    (np.atleast_1d, lambda *xs: joining._each(shape.atleast_1d, xs)),
    (np.atleast_2d, joining.atleast_2d),
    (np.atleast_3d, joining.atleast_3d),
    (np.flip, lambda m, axis=None: shape.flip(operand(m), axis=axis)),
    (np.fliplr, joining.fliplr),
    (np.flipud, joining.flipud),
    (np.rot90, lambda m, k=1, axes=(0, 1): joining.rot90(m, k, axes)),
    (np.roll, lambda a, shift, axis=None: shape.roll(operand(a), shift, axis=axis)),
    (np.tile, lambda A, reps: shape.tile(A, reps)),
    (np.repeat, lambda a, repeats, axis=None: shape.repeat(a, values_of("repeat", repeats), axis=axis)),
    (np.append, lambda arr, values, axis=None: joining.append(arr, values, axis)),
    (np.insert, lambda arr, obj, values, axis=None: joining.insert(arr, values_of("insert", obj), values, axis)),
    (np.delete, lambda arr, obj, axis=None: joining.delete(arr, obj, axis)),
    (np.resize, lambda a, new_shape: joining.resize(a, new_shape)),
    (np.block, lambda arrays: joining.block(arrays)),
    (np.column_stack, lambda tup: joining.column_stack(tup)),
    (np.dstack, lambda tup: joining.dstack(tup)),
    (np.split, lambda ary, indices_or_sections, axis=0: shape.split(ary, indices_or_sections, axis=axis)),
    (np.array_split, lambda ary, indices_or_sections, axis=0: joining.array_split(ary, indices_or_sections, axis)),
    (np.vsplit, lambda ary, indices_or_sections: joining.vsplit(ary, indices_or_sections)),
    (np.hsplit, lambda ary, indices_or_sections: joining.hsplit(ary, indices_or_sections)),
    (np.dsplit, lambda ary, indices_or_sections: joining.dsplit(ary, indices_or_sections)),
    (getattr(np, "unstack", None), lambda x, /, *, axis=0: tuple(shape.unstack(x, axis=axis))),
    (getattr(np, "matrix_transpose", None), lambda x, /: shape.matrix_transpose(operand(x))),
    (np.tril, lambda m, k=0: shape.tril(m, k=k)),
    (np.triu, lambda m, k=0: shape.triu(m, k=k)),
    (np.diag, lambda v, k=0: shape.diag(v, k)),
    (np.diagflat, lambda v, k=0: shape.diag(shape.flatten(operand(v)), k)),
    (np.diagonal, lambda a, offset=0, axis1=0, axis2=1: shape.diagonal(operand(a), offset, axis1, axis2)),
    (np.vander, convolution.vander),
    (np.kron, lambda a, b: linalg.kron(a, b)),
    (np.inner, lambda a, b, /: linalg.inner(a, b)),
    (np.vdot, lambda a, b, /: numeric.vdot(a, b)),
    (np.tensordot, lambda a, b, axes=2: linalg.tensordot(a, b, axes=axes)),
    (getattr(np, "trapezoid" if hasattr(np, "trapezoid") else "trapz"), numeric.trapezoid),
    (np.gradient, numeric.gradient),
    (np.ediff1d, lambda ary, to_end=None, to_begin=None: numeric.ediff1d(ary, to_end, to_begin)),
    (np.interp, numeric.interp),
    (np.unwrap, numeric.unwrap),
    (np.convolve, convolution.convolve),
    (np.correlate, convolution.correlate),
    (np.polyval, convolution.polyval),
    (np.polyadd, lambda a1, a2: convolution.polyadd(a1, a2)),
    (np.polysub, lambda a1, a2: convolution.polysub(a1, a2)),
    (np.polymul, lambda a1, a2: convolution.polymul(a1, a2)),
    (np.polyder, convolution.polyder),
    (np.polyint, convolution.polyint),
    (np.nan_to_num, numeric.nan_to_num),
    (np.select, lambda condlist, choicelist, default=0: numeric.select(condlist, choicelist, default)),
    (np.piecewise, numeric.piecewise),
    (np.sinc, lambda x: special.sinc(x)),
    (np.i0, lambda x: special.i0(x)),
    (np.sort_complex, lambda a: sorting.sort(cast(a, np.complex128) if operand(a).dtype.kind != "c" else operand(a))),
]
for _function, _ours in _TABLE:
    implements(_function)(_ours)


@implements(np.reshape)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    return operand(a).reshape(shape if shape is not None else newshape, order=order)


@implements(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return operand(a).ravel(order)


@implements(np.transpose, getattr(np, "permute_dims", None))
def _transpose(a: Any, axes: Any = None) -> Any:
    return operand(a).transpose(axes)


@implements(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    return shape.squeeze(operand(a), axis) if axis is not None else shape.squeeze(operand(a))


@implements(np.concatenate, getattr(np, "concat", None))
def _concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    return store(out, cast(shape.concat(list(arrays), axis=axis), dtype), "concatenate")


@implements(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return store(out, cast(shape.stack(list(arrays), axis=axis), dtype), "stack")


@implements(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return cast(joining.vstack(list(tup)), dtype)


@implements(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return cast(joining.hstack(list(tup)), dtype)


@implements(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    x = operand(array)
    if type(pad_width) is dict:
        widths = [(0, 0)] * x.ndim
        for axis, width in pad_width.items():
            widths[axis] = (width, width) if isinstance(width, int) else tuple(width)
        pad_width = widths
    if set(kwargs) - {"constant_values"} or np.ndim(kwargs.get("constant_values", 0)):
        check_plain("pad", [x])
        return wrap(np.pad(x._value("np.pad"), pad_width, mode, **kwargs))
    return shape.pad(x, pad_width, mode, **kwargs)


@implements(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    return store(out, shape.trace(cast(a, dtype), offset, axis1, axis2), "trace")


@implements(np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return ew.copy(operand(a))


@implements(getattr(np, "astype", None))
def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return ew.astype(x, dtype)


# -- like another


def _filled(value: Any) -> Any:
    def like(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        return _full_like(a, value, dtype, order, subok, shape)

    return like


@implements(np.full_like)
def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    x = operand(a)
    if shape is not None:
        sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        return broadcast_sizes(asarray(fill_value, x.dtype if dtype is None else dtype), sizes)
    return full_like(x, fill_value, dtype=dtype)


implements(np.zeros_like, np.empty_like)(_filled(0))
implements(np.ones_like)(_filled(1))


def _fractions(num: int, endpoint: bool) -> np.ndarray:
    return np.arange(num) / max(num - 1 if endpoint else num, 1)


@implements(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    a, b = numeric.floating_operand(start), numeric.floating_operand(stop)
    d = b - a
    parts = _fractions(num, endpoint).astype(d.dtype if d.dtype.kind == "f" else np.float64)
    points = shape.moveaxis(d[..., None] * parts + a[..., None], -1, axis)
    if endpoint and num > 1:  # exactly
        last = shape.expand_dims(b + zeros_like(d), axis)
        points = shape.concat([numeric.slices(points, axis % points.ndim, 0, num - 1), last], axis=axis)
    return (cast(points, dtype), d / max(num - 1 if endpoint else num, 1)) if retstep else cast(points, dtype)


@implements(np.logspace)
def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    exponents = _linspace(start, stop, num, endpoint, axis=axis)
    if not isinstance(base, (int, float)):
        base = shape.expand_dims(operand(base), axis) if operand(base).ndim else operand(base)
    return cast(ew.pow(base, exponents), dtype)


@implements(np.geomspace)
def _geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    a, b = numeric.floating_operand(start), numeric.floating_operand(stop)
    sign = ew.sign(a)
    return cast(_logspace(ew.log10(a * sign), ew.log10(b * sign), num, endpoint, axis=axis) * sign, dtype)


@implements(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if not sparse:
        return tuple(meshgrid(*[shape.atleast_1d(operand(x)) for x in xi], indexing=indexing))
    n = len(xi)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    return tuple([operand(x).reshape(tuple([-1 if k == order[i] else 1 for k in range(n)])) for i, x in enumerate(xi)])
