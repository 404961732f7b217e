"""More of NumPy's functions on tensors: on single elements, picking, sorting, products, writing, and what is constant.

See ``numpy_functions``, which begins the list.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import ShapeError
from autotensor.ops import convolution, index, linalg, numeric, running, shape, sorting
from autotensor.ops import elementwise as ew
from autotensor.ops.creation import operand
from autotensor.ops.numpy_values import (
    CONSTANT,
    FUNCTIONS,
    check_plain,
    given,
    implements,
    store,
    values_of,
)

# NumPy's stubs know some arguments as literals only.
plain: Any = np


# -- elements


@implements(np.clip)
def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **kwargs: Any
) -> Any:
    low = a_min if given(a_min) else min if given(min) else None
    high = a_max if given(a_max) else max if given(max) else None
    return store(out, ew.clip(operand(a), low, high), "clip")


@implements(np.round, np.around)
def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    return store(out, ew.round(operand(a), decimals), "round")


@implements(np.fix)
def _fix(x: Any, out: Any = None) -> Any:
    return store(out, ew.trunc(x), "fix")


@implements(np.real)
def _real(val: Any) -> Any:
    return operand(val).real


@implements(np.imag)
def _imag(val: Any) -> Any:
    return operand(val).imag


@implements(np.angle)
def _angle(z: Any, deg: bool = False) -> Any:
    return ew.angle(operand(z), deg)


@implements(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    x = operand(a)
    if x.dtype.kind != "c":
        return x
    limit = np.finfo(x.dtype).eps * tol if tol > 1 else tol
    return x.real if bool((np.abs(x._value("np.real_if_close").imag) < limit).all()) else x


@implements(np.where)
def _where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None and y is None:
        return sorting.nonzero(condition)
    return ew.where(condition, x, y)


# -- picking


@implements(np.take)
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    return store(out, operand(a).take(indices, axis, mode=mode), "take")


@implements(np.take_along_axis)
def _take_along(arr: Any, indices: Any, axis: Any = -1) -> Any:
    x = operand(arr)
    return index.take_along_axis(shape.flatten(x) if axis is None else x, indices, axis=0 if axis is None else axis)


@implements(np.compress)
def _compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    return store(out, operand(a).compress(condition, axis), "compress")


@implements(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    places = np.flatnonzero(values_of("extract", condition))
    return index.take(shape.flatten(operand(arr)), places, axis=0)


@implements(np.choose)
def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    return store(out, operand(a).choose(choices, mode=mode), "choose")


@implements(np.sort)
def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    x = operand(a)
    return sorting.sort(shape.flatten(x) if axis is None else x, axis=-1 if axis is None else axis)


@implements(np.partition)
def _partition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    x = operand(a)
    x, axis = (shape.flatten(x), 0) if axis is None else (x, axis)
    order = np.argpartition(x._value("np.partition"), values_of("partition", kth), axis)
    return index.take_along_axis(x, order, axis=axis)


@implements(np.argsort)
def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    x = operand(a)
    return sorting.argsort(shape.flatten(x) if axis is None else x, axis=-1 if axis is None else axis)


@implements(np.searchsorted)
def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    x = operand(a)
    x = index.take(x, values_of("searchsorted", sorter), axis=0) if sorter is not None else x
    return sorting.searchsorted(x, operand(v), side=side)


@implements(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    before, after = (value if given(value) else None for value in (prepend, append))
    return running.diff(operand(a), n=n, axis=axis, prepend=before, append=after)


@implements(np.unique)
def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None,
    **options: Any,
) -> Any:  # fmt: skip
    """The distinct elements; gradients go to the first of those that are equal."""
    x = operand(ar)
    found = plain.unique(x._value("np.unique"), True, return_inverse, return_counts, axis, **options)
    values = index.take(shape.flatten(x) if axis is None else x, found[1], axis=0 if axis is None else axis)
    rest = [wrap(part) for part in (found[1:] if return_index else found[2:])]
    return (values, *rest) if rest else values


def _uniques(name: str, function: Any) -> None:
    def unique(x: Any, /) -> Any:
        x = operand(x)
        found = function(x._value(f"np.{name}"))
        if name == "unique_values":
            return _unique(x)
        return type(found)(_unique(x), *[wrap(part) for part in found[1:]])

    implements(function)(unique)


for _name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    if hasattr(np, _name):
        _uniques(_name, getattr(np, _name))


@implements(np.trim_zeros)
def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    x = operand(filt)
    if x.ndim != 1:
        check_plain("trim_zeros", [x])
        return wrap(plain.trim_zeros(x._value("np.trim_zeros"), trim, axis))
    places = np.flatnonzero(x._value("np.trim_zeros"))
    n = x.size or 0
    first = places[0] if places.size else n
    last = places[-1] + 1 if places.size else n
    trim = trim.lower()
    return x[int(first) if "f" in trim else 0 : int(last) if "b" in trim else n]


@implements(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    x = operand(arr)
    axis = axis % x.ndim
    rest = tuple([numeric.known_size("apply_along_axis", x, k) for k in range(x.ndim) if k != axis])
    rows = shape.moveaxis(x, axis, -1).reshape((math.prod(rest), -1))
    if not math.prod(rest):
        raise ShapeError("[np.apply_along_axis] of no rows is not defined.")
    found = [operand(func1d(rows[i], *args, **kwargs)) for i in range(math.prod(rest))]
    joined = shape.stack(found, axis=0)
    each = found[0].shape
    joined = joined.reshape(rest + each)
    for k in range(len(each)):  # the axes of the result take the place of the axis
        joined = shape.moveaxis(joined, len(rest) + k, axis + k)
    return joined


@implements(np.apply_over_axes)
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    x = operand(a)
    for axis in np.atleast_1d(axes).tolist():
        found = func(x, axis % x.ndim)
        x = found if found.ndim == x.ndim else shape.expand_dims(found, axis % x.ndim)
    return x


# -- products


@implements(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    return store(out, linalg.dot(a, b), "dot")


@implements(np.outer)
def _outer(a: Any, b: Any, out: Any = None) -> Any:
    return store(out, linalg.outer(shape.flatten(operand(a)), shape.flatten(operand(b))), "outer")


@implements(np.cross)
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = shape.moveaxis(operand(a), axisa, -1), shape.moveaxis(operand(b), axisb, -1)
    found = linalg.cross(x, y, axis=-1)
    return shape.moveaxis(found, -1, axisc)


@implements(np.einsum)
def _einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    if not isinstance(operands[0], str):  # einsum(x, [0, 1], y, [1, 2], [0, 2])
        *pairs, last = operands if len(operands) % 2 else (*operands, None)
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

        def text(labels: Any) -> str:
            return "".join(["..." if k is Ellipsis else letters[k] for k in labels])

        subscripts = ",".join([text(labels) for labels in pairs[1::2]])
        operands = (subscripts if last is None else f"{subscripts}->{text(last)}", *pairs[::2])
    return store(out, linalg.einsum(*operands), "einsum")


@implements(np.poly)
def _poly(seq_of_zeros: Any) -> Any:
    zeros = shape.atleast_1d(operand(seq_of_zeros))
    if zeros.ndim == 2:
        check_plain("poly", [zeros])
        return wrap(np.asarray(np.poly(zeros._value("np.poly"))))
    out = wrap(np.ones(1, zeros.dtype))
    for k in range(numeric.known_size("poly", zeros, 0)):
        out = convolution.convolve(out, shape.stack([wrap(np.ones((), zeros.dtype)), -zeros[k]], axis=0))
    return out


# -- writing


@implements(np.copyto)
def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    _write("copyto", dst, src, ... if where is True else values_of("copyto", where), casting)


def _write(name: str, dst: Any, src: Any, key: Any, casting: str = "unsafe") -> None:
    """dst[key] = src (of a mask: its elements there), into a tensor or, plain values, an array."""
    value: Any = operand(src)
    if not plain.can_cast(value.dtype, dst.dtype, casting):
        raise TypeError(f"[np.{name}] cannot write {value.dtype} into {dst.dtype}. Use astype()?")
    if key is not ...:
        key = np.broadcast_to(key, dst.shape)
        value = shape.broadcast_to(value, dst.shape)[key]
    if not isinstance(dst, Tensor):
        check_plain(name, [value])
        value = value.numpy()
    dst[key] = value


@implements(np.put)
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if not isinstance(a, Tensor):
        check_plain("put", [v])
        plain.put(a, values_of("put", ind), values_of("put", v), mode)
        return
    a.put(ind, v, mode)


def _spread_values(name: str, arr: Any, mask: Any, vals: Any, by_place: bool) -> None:
    held = np.broadcast_to(np.asarray(values_of(name, mask), bool), np.shape(arr))
    v = shape.flatten(operand(vals))
    places = np.arange(held.size).reshape(held.shape)[held]
    n = numeric.known_size(name, v, 0)
    taken = index.take(v, (places if by_place else np.arange(places.size)) % n, axis=0)
    if not isinstance(arr, Tensor):
        check_plain(name, [taken])
        arr[held] = taken.numpy()
        return
    arr[held] = taken


@implements(np.putmask)
def _putmask(a: Any, /, mask: Any = None, values: Any = None) -> None:
    _spread_values("putmask", a, mask, values, True)


@implements(np.place)
def _place(arr: Any, mask: Any, vals: Any) -> None:
    _spread_values("place", arr, mask, vals, False)


@implements(np.put_along_axis)
def _put_along(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    if not isinstance(arr, Tensor):
        check_plain("put_along_axis", [values])
        np.put_along_axis(arr, values_of("put_along_axis", indices), values_of("put_along_axis", values), axis)
        return
    if axis is None:
        flat = index.put_along_axis(shape.flatten(arr), indices, values, axis=0)
        arr[...] = flat.reshape(arr.shape)
    else:
        arr[...] = index.put_along_axis(arr, indices, values, axis=axis)


@implements(np.fill_diagonal)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if not isinstance(a, Tensor):
        check_plain("fill_diagonal", [val])
        plain.fill_diagonal(a, values_of("fill_diagonal", val), wrap)
        return
    places = plain.zeros(a.shape, bool)
    plain.fill_diagonal(places, True, wrap)
    _spread_values("fill_diagonal", a, places, val, False)


# -- what is constant by pieces, or no number at all

CONSTANT.update(
    [
        getattr(np, name)
        for name in (
            "allclose argpartition argwhere array2string array_equal array_equiv array_repr array_str bincount "
            "busday_count busday_offset datetime_as_string diag_indices_from digitize einsum_path flatnonzero "
            "is_busday isclose isin isneginf isposinf iscomplex isreal ix_ lexsort may_share_memory nonzero "
            "packbits ravel_multi_index save savetxt savez savez_compressed shares_memory tril_indices_from "
            "triu_indices_from unpackbits unravel_index histogram_bin_edges"
        ).split()
        if hasattr(np, name)
    ]
)
CONSTANT.discard(np.histogram_bin_edges)  # its edges move with the data


@implements(np.shape)
def _shape_of(a: Any) -> Any:
    return operand(a).shape


@implements(np.ndim)
def _ndim(a: Any) -> int:
    return operand(a).ndim


@implements(np.size)
def _size(a: Any, axis: Any = None) -> Any:
    x = operand(a)
    if axis is None:
        return x.size
    return math.prod([x.shape[k] or 0 for k in ([axis] if isinstance(axis, int) else axis)])


@implements(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return operand(x).dtype.kind == "c"


@implements(np.isrealobj)
def _isrealobj(x: Any) -> bool:
    return operand(x).dtype.kind != "c"


def _dtypes(args: Any) -> list[Any]:
    return [x.dtype if isinstance(x, Tensor) else x for x in args]


@implements(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*_dtypes(arrays_and_dtypes))


@implements(np.can_cast)
def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return plain.can_cast(*_dtypes([from_, to]), casting)


@implements(np.min_scalar_type)
def _min_scalar_type(a: Any, /) -> np.dtype:
    return np.min_scalar_type(values_of("min_scalar_type", a))


@implements(np.common_type)
def _common_type(*arrays: Any) -> Any:
    return np.common_type(*[np.empty(0, operand(x).dtype) for x in arrays])


assert not CONSTANT & set(FUNCTIONS), "a function is either ours or run on values"
