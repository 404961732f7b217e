"""The same elements in other shapes, orders and numbers; parts of tensors."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._functions import get_value
from keras_compat.backend._lengths import ShapeTensor, as_shape, dims_of, shape, template, unknown_length, zeros_along
from keras_compat.backend._reductions import as_axes
from keras_compat.backend._tensors import as_tensor, cast, is_sparse, mark_sparse
from keras_compat.backend.common import floatx


def reshape(x: Any, shape: Any) -> Any:
    """The elements in another shape; -1 for at most one dimension, others may be items of :func:`shape`.

    A dimension that is computed from such items counts as -1: it follows from the number of elements. So does None,
    as in ``(x.shape[0], 8)`` of a program for Theano; beside another -1 it is the dimension of x in that place.

    Raises ValueError for more than one unknown dimension.
    """
    x = as_tensor(x)
    asked = tuple([-1 if isinstance(d, at.Tensor) else d for d in dims_of(shape)])
    if asked.count(-1) > 1 and isinstance(shape, (tuple, list)):
        pairs = enumerate(zip(shape, asked))
        asked = tuple([x.shape[i] or (x, i) if d is None and i < x.ndim else given for i, (d, given) in pairs])
    dims = tuple([d if isinstance(d, int) else -1 for d in asked])
    if asked.count(-1) <= 1 < dims.count(-1):
        refs = [d[0] for d in asked if not isinstance(d, int)]
        places = iter(range(len(refs)))
        links = tuple([d if isinstance(d, int) else (next(places), d[1]) for d in asked])
        return at.reshape_to(x, *refs, dims=links)
    if dims.count(-1) > 1:
        raise ValueError(
            f"[reshape] expected at most one unknown dimension; got {dims} for a tensor of shape {x.shape}. Give the "
            "others as numbers."
        )
    return at.reshape(x, dims)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """The axes in the order of ``pattern``."""
    return at.permute_dims(as_tensor(x), tuple(pattern))


def transpose(x: Any) -> Any:
    """The axes in reverse order."""
    x = as_tensor(x)
    return at.permute_dims(x, tuple(reversed(range(x.ndim))))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """A new axis of length 1 at ``axis``."""
    return at.expand_dims(as_tensor(x), axis)


def squeeze(x: Any, axis: int) -> Any:
    """Without the axis, which has length 1."""
    return at.squeeze(as_tensor(x), axis)


def flatten(x: Any) -> Any:
    """All elements in one axis."""
    return at.reshape(as_tensor(x), (-1,))


def batch_flatten(x: Any) -> Any:
    """All axes but the first in one."""
    x = as_tensor(x)
    rest = x.shape[1:]
    if None not in rest:
        return at.reshape(x, (-1, int(np.prod(rest, dtype=np.int64))))
    return at.reshape_to(x, x, dims=((0, 0), -1))


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """The tensors one behind another along an axis."""
    listed = [as_tensor(x) for x in tensors]
    out = at.concat(listed, axis=axis)
    if listed and all(is_sparse(x) for x in listed):
        mark_sparse(out)
    if any(isinstance(x, ShapeTensor) for x in listed):
        return as_shape(out, [d for x in listed for d in dims_of(x)])
    return out


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """The tensors side by side along a new axis."""
    listed = [as_tensor(y) for y in x]
    out = at.stack(listed, axis=axis)
    lengths = all(y.ndim == 0 and y.dtype.kind == "i" for y in listed)
    if lengths and any(y.is_symbolic for y in listed):
        return as_shape(out, dims_of(listed))
    return out


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element ``rep`` times in a row along an axis."""
    return at.repeat(as_tensor(x), int(rep), axis=axis)


def repeat(x: Any, n: int) -> Any:
    """A 2D tensor (samples, features) as (samples, n, features); ``n`` may be an item of :func:`shape`.

    Raises ValueError for another rank.
    """
    x = as_tensor(x)
    if x.ndim != 2:
        raise ValueError(f"[repeat] expected a tensor of rank 2; got shape {x.shape}. Use repeat_elements or tile?")
    return tile(at.expand_dims(x, 1), (1, n, 1))


def tile(x: Any, n: Any) -> Any:
    """The tensor ``n`` times along each axis; ``n`` is a number or one for each axis, or items of :func:`shape`."""
    x, reps = as_tensor(x), dims_of(n)
    known = [k if isinstance(k, int) else 1 for k in reps]
    out = x if all(k == 1 for k in known) and len(known) <= x.ndim else at.tile(x, tuple(known))
    for axis, k in enumerate(reps):
        if not isinstance(k, int):
            out = _tile_along(out, axis + out.ndim - len(reps), k)
    return out


def _tile_along(x: Any, axis: int, times: tuple[Any, int]) -> Any:
    """x repeated along one axis, as often as an axis of another tensor is long."""
    ones: Any = [1] * x.ndim
    copies = at.expand_dims(x, axis) + template([*ones[:axis], times, *ones[axis:]], x.dtype)
    refs = [x] * x.ndim
    dims = tuple([-1 if k == axis else (k, k) if d is None else d for k, d in enumerate(x.shape)])
    return at.reshape_to(copies, *refs, dims=dims)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """A constant vector of numbers from ``start`` to ``stop`` (excluded); with one bound from 0 to it.

    The end may be an item of :func:`shape` that is unknown: ``K.arange(K.shape(x)[1])``; start and step then count
    from 0 upwards.

    Raises ValueError for an unknown end and a negative start or step.
    """
    end = start if stop is None else stop
    length = unknown_length(end)
    if length is not None:
        first = 0 if stop is None else int(get_value(start))
        stride = int(get_value(step))
        if first < 0 or stride < 1:
            raise ValueError(
                f"[arange] expected start >= 0 and step >= 1 for an end that is unknown; got {first} and {stride}. "
                "Reverse or shift the result?"
            )
        count = at.cumulative_sum(at.ones_like(cast(zeros_along(*length), "int64")), axis=0) - 1
        return cast(count[first::stride], dtype)
    bounds = [int(get_value(v)) if isinstance(v, at.Tensor) else v for v in (start, stop)]
    if bounds[1] is None:
        bounds = [0, max(bounds[0], 0)]
    return at.asarray(np.arange(bounds[0], bounds[1], step, dtype=dtype))


def slice(x: Any, start: Any, size: Any) -> Any:
    """A part: from ``start`` on, ``size`` long, each a number per axis; size -1 goes to the end.

    A start may be computed (the step in a loop), the size then must be a number.

    Raises ValueError where there is not a number for each axis.
    """
    x = as_tensor(x)
    first, length = dims_of(start), dims_of(size)
    if len(first) != x.ndim or len(length) != x.ndim:
        raise ValueError(
            f"[slice] expected one number per axis of {x.shape}; got start {start} and size {size}. Use -1 for 'all'."
        )
    parts = []
    for axis, (begin, n) in enumerate(zip(first, length)):
        whole = isinstance(n, tuple) and n[0] is x and n[1] == axis
        if not (isinstance(n, int) or whole) or not (isinstance(begin, int) or (isinstance(n, int) and n >= 0)):
            raise ValueError(
                f"[slice] expected numbers, or K.shape(x)[{axis}] as the size of axis {axis}; got start {start} and "
                f"size {size}. Use -1 for 'to the end'."
            )
        if isinstance(begin, int):
            parts.append(builtins.slice(begin, None if whole or n == -1 else begin + n))
            continue
        parts.append(builtins.slice(None))
        origin = begin if isinstance(begin, at.Tensor) else shape(begin[0])[begin[1]]
        x = at.take(x, origin + at.asarray(np.arange(n, dtype=origin.dtype)), axis=axis)
    return x[tuple(parts)]


def reverse(x: Any, axes: Any) -> Any:
    """The elements in reverse order along axes."""
    return at.flip(as_tensor(x), axis=as_axes(axes))


def gather(reference: Any, indices: Any) -> Any:
    """Rows of ``reference`` at integer ``indices``: shape of the indices, then the rest of the shape."""
    indices = as_tensor(indices)
    if indices.dtype.kind not in "iu":
        indices = at.astype(indices, "int32")
    return at.take(as_tensor(reference), indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Any:
    """1 at the index along a new last axis, 0 elsewhere (0 everywhere for an index out of range)."""
    positions = at.asarray(np.arange(num_classes, dtype="int32"))
    hit = at.equal(at.expand_dims(as_tensor(indices), -1), positions)
    return at.astype(hit, floatx())
