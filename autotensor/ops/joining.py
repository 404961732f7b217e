"""NumPy's ways of joining, splitting and turning, made of others: hstack, block, array_split, rot90, insert..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import normalize_axis, shown, wholes
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops import index, shape
from autotensor.ops.creation import operand, operands, zeros_like
from autotensor.ops.numeric import known_size

__all__ = [
    "append", "array_split", "atleast_2d", "atleast_3d", "block", "column_stack", "delete", "dsplit", "dstack",
    "fliplr", "flipud", "hsplit", "hstack", "insert", "rollaxis", "rot90", "vsplit", "vstack",
]  # fmt: skip


def _each(function: Any, xs: tuple[Any, ...]) -> Any:
    out = [function(operand(x)) for x in xs]
    return out[0] if len(out) == 1 else tuple(out)


def _two(x: Tensor) -> Tensor:
    return x.reshape((1, 1)) if x.ndim == 0 else x[None, :] if x.ndim == 1 else x


def _three(x: Tensor) -> Tensor:
    if x.ndim == 0:
        return x.reshape((1, 1, 1))
    return x[None, :, None] if x.ndim == 1 else x[:, :, None] if x.ndim == 2 else x


def atleast_2d(*xs: Any) -> Any:
    """Tensors with axes of size 1 put in front until there are two."""
    return _each(_two, xs)


def atleast_3d(*xs: Any) -> Any:
    """Tensors with three axes at least; a vector becomes (1, n, 1), a matrix (m, n, 1)."""
    return _each(_three, xs)


def vstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the first axis; vectors are rows."""
    return shape.concat([_two(x) for x in operands("vstack", xs)], axis=0)


def hstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the second axis; vectors along their only one."""
    parts = [shape.atleast_1d(x) for x in operands("hstack", xs)]
    return shape.concat(parts, axis=0 if parts and parts[0].ndim == 1 else 1)


def dstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the third axis."""
    return shape.concat([_three(x) for x in operands("dstack", xs)], axis=2)


def column_stack(xs: Sequence[Any]) -> Tensor:
    """Vectors as the columns of a matrix; matrices are joined as they are."""
    parts = operands("column_stack", xs)
    return shape.concat([x if x.ndim > 1 else x.reshape((-1, 1)) for x in parts], axis=1)


def block(xs: Any) -> Tensor:
    """A tensor from nested lists of blocks: the innermost lists along the last axis, the next along the one before."""

    def depth_of(x: Any) -> int:
        return 1 + max([depth_of(part) for part in x], default=0) if isinstance(x, list) else 0

    def leaves(x: Any) -> list[Tensor]:
        return [leaf for part in x for leaf in leaves(part)] if isinstance(x, list) else [operand(x)]

    depth = depth_of(xs)
    rank = max([depth, *[leaf.ndim for leaf in leaves(xs)]])

    def joined(x: Any, level: int) -> Tensor:
        if not isinstance(x, list):
            x = operand(x)
            return x[(None,) * (rank - x.ndim)] if x.ndim < rank else x
        return shape.concat([joined(part, level - 1) for part in x], axis=rank - level)

    return joined(xs, depth)


def append(x: Any, values: Any, axis: int | None = None) -> Tensor:
    """Values after x along an axis; both flat without one."""
    return shape.concat([operand(x), operand(values)], axis=axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of x along an axis; where the number does not divide, the first ones are longer by one.

    Raises ShapeError for no part at all.
    """
    x = operand(x)
    axis = normalize_axis("array_split", axis, x.ndim)
    if not isinstance(indices_or_sections, (int, np.integer)):
        return shape.split(x, wholes("array_split", "indices_or_sections", indices_or_sections), axis)
    n, k = known_size("array_split", x, axis), int(indices_or_sections)
    if k < 1:
        raise ShapeError(f"[array_split] expected one part at least; got {k}.")
    each, longer = divmod(n, k)
    return shape.split(x, sizes=[each + 1] * longer + [each] * (k - longer), axis=axis)


def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the first axis."""
    return shape.split(x, indices_or_sections, 0)


def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the second axis; of a vector along its only one."""
    x = operand(x)
    return shape.split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts along the third axis."""
    return shape.split(x, indices_or_sections, 2)


def fliplr(x: Any) -> Tensor:
    """Columns in reverse order."""
    return shape.flip(operand(x), axis=1)


def flipud(x: Any) -> Tensor:
    """Rows in reverse order."""
    return shape.flip(operand(x), axis=0)


def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees in the plane of two axes, from the first towards the second.

    Raises ShapeError for one axis twice.
    """
    x = operand(x)
    a, b = (normalize_axis("rot90", int(i), x.ndim) for i in axes)
    if a == b:
        raise ShapeError(f"[rot90] expected two different axes; got {tuple(axes)}.")
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return shape.flip(x, axis=(a, b))
    if k == 1:
        return shape.swapaxes(shape.flip(x, axis=b), a, b)
    return shape.flip(shape.swapaxes(x, a, b), axis=b)


def rollaxis(x: Any, axis: int, start: int = 0) -> Tensor:
    """An axis moved to stand before ``start``; see ``moveaxis``."""
    x = operand(x)
    axis = normalize_axis("rollaxis", axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return shape.moveaxis(x, axis, start - 1 if axis < start else start)


def resize(x: Any, new_shape: Any) -> Tensor:
    """The elements in flat order, repeated as often as needed, in a new shape."""
    x = shape.flatten(operand(x))
    new = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    n, want = known_size("resize", x, 0), int(np.prod(new, dtype=int))
    if n == 0:
        return operand(np.zeros(new, x.dtype))
    return shape.tile(x, -(-want // n))[:want].reshape(new)


def _positions(op: str, obj: Any, n: int) -> np.ndarray:
    """Places in an axis of size n that an int, a slice, a list or a mask names."""
    if isinstance(obj, Tensor):
        obj = obj._value(op)
    if isinstance(obj, slice):
        return np.arange(*obj.indices(n))
    try:
        places = np.asarray(obj)
    except ValueError:
        places = np.asarray(None)
    if places.size == 0:
        return np.zeros(0, int)
    if places.dtype.kind not in "biu":
        raise DTypeError(f"[{op}] expected places as whole numbers, a slice or a mask; got {shown(obj)}.")
    return np.flatnonzero(places) if places.dtype == bool else places.ravel()


def delete(x: Any, obj: Any, axis: int | None = None) -> Tensor:
    """x without the slices at these places of an axis, or of the flat order."""
    x = operand(x)
    if axis is None:
        x, axis = shape.flatten(x), 0
    axis = normalize_axis("delete", axis, x.ndim)
    n = known_size("delete", x, axis)
    keep = np.ones(n, bool)
    keep[_positions("delete", obj, n)] = False
    return index.take(x, np.flatnonzero(keep), axis=axis)


def insert(x: Any, obj: Any, values: Any, axis: int | None = None) -> Tensor:
    """x with values put in before these places of an axis, or of the flat order."""
    x = operand(x)
    if axis is None:
        x, axis = shape.flatten(x), 0
    axis = normalize_axis("insert", axis, x.ndim)
    n = known_size("insert", x, axis)
    places = _positions("insert", obj, n)
    single = not isinstance(obj, slice) and np.ndim(obj) == 0
    places = np.where(places < 0, places + n, places)
    v = operand(values)
    v = v[(None,) * (x.ndim - v.ndim)] if v.ndim < x.ndim else v
    if single:  # one place takes all values along the axis, as in NumPy
        v = shape.moveaxis(v, 0, axis)
        places = np.repeat(places, known_size("insert", v, axis))
    x = shape.moveaxis(x, axis, 0)
    rest = x.shape[1:]
    v = shape.moveaxis(v, axis, 0)
    if None in rest:
        v = v + zeros_like(index.take(x, np.zeros(len(places), int), axis=0))
    else:
        v = shape.broadcast_to(v, (len(places), *rest))
    order = np.argsort(places, kind="stable")
    at = np.empty(len(places), int)
    at[order] = places[order] + np.arange(len(places))
    old = np.ones(n + len(places), bool)
    old[at] = False
    source = np.empty(n + len(places), int)
    source[old] = np.arange(n)
    source[at] = n + np.arange(len(places))
    joined = shape.concat([x, v.astype(x.dtype)], axis=0)
    return shape.moveaxis(index.take(joined, source, axis=0), 0, axis)
