"""Shapes as tensors: dimensions that are known only when the data comes, in arithmetic and in other shapes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._functions import get_value
from keras_compat.backend._graph import below
from keras_compat.backend._tensors import as_tensor, is_placeholder


class ShapeTensor(at.Tensor):
    """What :func:`shape` gives where dimensions are unknown: a tensor that remembers whose dimensions it holds.

    Times, plus, minus or ``//`` whole numbers, or another of its kind, it is a shape again.
    """

    _dims: tuple[Any, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        out: Any = super().__getitem__(key)
        if isinstance(key, slice):
            return as_shape(out, self._dims[key])
        if isinstance(key, (int, np.integer)):
            chosen = self._dims[key]
            if isinstance(chosen, int):
                return at.asarray(np.asarray(chosen, dtype="int32"))
            return chosen if isinstance(chosen, at.Tensor) else _as_length(out, chosen)
        return out

    def __len__(self) -> int:
        return len(self._dims)

    def lengths(self) -> list[Any]:
        """The dimensions: numbers, and tensors where unknown."""
        return [d if isinstance(d, int) else self[i] for i, d in enumerate(self._dims)]

    def _itemwise(self, op: Callable[[Any, Any], Any], value: Any, other: Any) -> Any:
        if isinstance(other, ShapeTensor):
            others = other.lengths()
        elif isinstance(other, at.Tensor) or np.asarray(other).dtype.kind not in "iu":
            return value  # numbers, no shape
        else:
            others = np.broadcast_to(other, len(self)).tolist()
        return as_shape(value, dims_of([op(a, b) for a, b in zip(self.lengths(), others)]))

    def __mul__(self, other: Any) -> Any:
        return self._itemwise(operator.mul, super().__mul__(other), other)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._itemwise(operator.add, super().__add__(other), other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._itemwise(operator.sub, super().__sub__(other), other)

    def __floordiv__(self, other: Any) -> Any:
        return self._itemwise(operator.floordiv, super().__floordiv__(other), other)


class _Length(at.Tensor):
    """An unknown dimension as an integer tensor, with the tensor and the axis whose length it is.

    Multiples, sums, differences and whole parts of it are lengths again, each that of a vector made for the purpose:
    ``K.reshape(x, (K.shape(x)[0], K.shape(x)[1] * 2, -1))``.
    """

    _dim: tuple[Any, int]

    def _computed(self, value: Any, other: Any, vector: Callable[[Any, Any], Any]) -> Any:
        known = isinstance(other, (int, np.integer)) and other >= 0
        if not known and not isinstance(other, _Length):
            return value
        return _as_length(value, (vector(zeros_along(*self._dim), other), 0))

    def __mul__(self, other: Any) -> Any:
        return self._computed(super().__mul__(other), other, lambda v, n: _flat_sum(v, _vector(n)))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._computed(super().__add__(other), other, lambda v, n: at.concat([v, _vector(n)]))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        value = super().__sub__(other)
        return value if isinstance(other, at.Tensor) else self._computed(value, other, lambda v, n: v[n:])

    def __floordiv__(self, other: Any) -> Any:
        value = super().__floordiv__(other)
        return value if isinstance(other, at.Tensor) else self._computed(value, other, lambda v, n: v[n - 1 :: n])


def _as_length(tensor: Any, dim: tuple[Any, int]) -> Any:
    tensor.__class__ = _Length
    tensor._dim = dim
    return tensor


def _vector(length: Any) -> Any:
    """Zeros, as many as a number or a :class:`_Length` says."""
    return zeros_along(*length._dim) if isinstance(length, _Length) else at.zeros(int(length), "int32")


def _flat_sum(a: Any, b: Any) -> Any:
    return at.reshape(at.expand_dims(a, 1) + b, (-1,))


def as_shape(tensor: Any, dims: Sequence[Any]) -> Any:
    """A tensor of lengths as a shape: a constant if all of ``dims`` are known, else one that remembers them."""
    if all(isinstance(d, int) for d in dims):
        return at.asarray(np.asarray(dims, dtype="int32"))
    tensor.__class__ = ShapeTensor
    tensor._dims = tuple(dims)
    return tensor


def zeros_along(x: Any, axis: int) -> Any:
    """A vector of zeros (int32) as long as one axis of ``x``."""
    index = tuple([slice(None) if a == axis % x.ndim else 0 for a in range(x.ndim)])
    return at.astype(at.zeros_like(x[index]), "int32")


def shape(x: Any) -> Any:
    """Shape of a tensor as an integer tensor; its items may stand in other shapes: ``K.zeros((K.shape(x)[0], 3))``."""
    x = as_tensor(x)
    known = x.shape
    if None not in known:
        return at.asarray(np.asarray(known, dtype="int32"))
    dims = [(x, axis) if d is None else d for axis, d in enumerate(known)]
    return as_shape(at.astype(at.shape_tensor(x), "int32"), dims)


def size(x: Any, name: str | None = None) -> Any:
    """Number of elements, as an integer tensor."""
    x = as_tensor(x)
    total = x.size
    if total is not None:
        return at.asarray(np.asarray(total, dtype="int32"))
    return at.astype(at.prod(at.shape_tensor(x)), "int32")


def unknown_length(x: Any) -> tuple[Any, int] | None:
    """The tensor and the axis whose length ``x``, an item of a shape, stands for; None for anything else."""
    return getattr(x, "_dim", None)


def dims_of(shape: Any) -> tuple[Any, ...]:
    """Dimensions asked for: each an int, or (tensor, axis) where it is unknown, or what computes it from such."""
    if isinstance(shape, ShapeTensor):
        return shape._dims
    if isinstance(shape, at.Tensor):
        shape = get_value(shape).tolist() if shape.ndim else [shape]
    elif isinstance(shape, (int, np.integer)):
        shape = (shape,)
    dims: list[Any] = []
    for d in shape:
        link = unknown_length(d)
        if link is not None:
            dims.append(link)
        elif isinstance(d, at.Tensor):
            dims.append(d if any(is_placeholder(y) for y in below([d])) else int(get_value(d)))
        else:
            dims.append(-1 if d is None else int(d))
    return tuple(dims)


def template(dims: Sequence[Any], dtype: Any) -> Any:
    """Zeros in a shape of which some dimensions are known only by another tensor's."""
    known = [d if isinstance(d, int) else 1 for d in dims]
    out: Any = at.asarray(np.zeros(known, dtype=dtype))
    for axis, d in enumerate(dims):
        if isinstance(d, at.Tensor):
            raise ValueError(
                f"[shape] expected numbers or items of K.shape(x); dimension {axis} is computed from such. Reshape a "
                "tensor that has all the elements?"
            )
        if not isinstance(d, int):
            vector = at.astype(zeros_along(*d), dtype)
            out = out + at.reshape(vector, (1,) * axis + (-1,) + (1,) * (len(dims) - axis - 1))
    return out
