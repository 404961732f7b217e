"""What tensors of Keras's backends answer to, besides what NumPy's arrays do: programs of Keras 1 and 2 ask for it.

``_keras_shape`` is Keras's own; ``eval`` is Theano's and TensorFlow's, ``dimshuffle`` Theano's, ``get_shape``
TensorFlow's. Variables of :func:`keras_compat.backend.variable` have ``get_value`` and ``set_value``, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autotensor as at


class _StaticShape:
    """The shape of a tensor until a layer declares another: an attribute of the tensor itself comes first."""

    def __get__(self, tensor: Any, owner: Any = None) -> Any:
        return self if tensor is None else tuple(tensor.shape)


class Length(int):
    """A known dimension: a number that has TensorFlow's ``value``."""

    @property
    def value(self) -> int:
        """The number."""
        return int(self)


class StaticShape(tuple):
    """A shape as TensorFlow gives it: a tuple with ``as_list`` and ``ndims``."""

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        """The dimensions, None where one is unknown."""
        return [None if d is None else int(d) for d in self]

    @property
    def ndims(self) -> int:
        """Number of axes."""
        return len(self)


def get_shape(x: Any) -> StaticShape:
    """Static shape of a tensor, as ``K.int_shape`` gives it, in TensorFlow's words."""
    return StaticShape([None if d is None else Length(d) for d in x._keras_shape])


def dimshuffle(x: Any, *pattern: Any) -> Any:
    """The axes in another order, as in Theano: 'x' is a new axis of length 1; axes left out must have length 1."""
    order = pattern[0] if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)) else pattern
    kept = [int(axis) for axis in order if axis != "x"]
    dropped = [axis for axis in range(x.ndim) if axis not in kept]
    out = at.permute_dims(x, (*kept, *dropped))
    if dropped:
        out = at.squeeze(out, tuple(range(len(kept), x.ndim)))
    for place, axis in enumerate(order):
        if axis == "x":
            out = at.expand_dims(out, place)
    return out


def attach(value_of: Callable[[Any], Any]) -> None:
    """Give the names to every tensor; ``value_of`` is ``K.eval``."""

    def evaluate(x: Any, *_: Any, **__: Any) -> Any:
        """Value of the tensor now, as ``K.eval`` gives it. Arguments, meant for other backends, are ignored."""
        return value_of(x)

    for name, value in {
        "_keras_shape": _StaticShape(),
        "get_shape": get_shape,
        "dimshuffle": dimshuffle,
        "eval": evaluate,
    }.items():
        setattr(at.Tensor, name, value)
