"""Constraints: from a weight after an update to the nearest value that is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat.utils.generic_utils import Registry, serialize_keras_object

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object

_known = Registry("constraint")


@_known.add
class Constraint:
    """Base class: everything is allowed. Override ``__call__(w)`` and ``get_config()``."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same constraint again."""
        return {}


def _norms(w: Any, axis: int | Sequence[int]) -> Any:
    return K.sqrt(K.sum(K.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Norms of at most ``max_value``; longer vectors are shortened. Srivastava et al., 2014.

    ``axis`` is along one vector: 0 for the incoming weights of a unit of Dense, ``(0, 1, 2)`` for a kernel of Conv2D.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (K.clip(norms, 0, self.max_value) / (norms + K.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """No negative weights: they become 0."""

    def __call__(self, w: Any) -> Any:
        return w * K.cast(K.greater_equal(w, 0.0), K.dtype(w))


class UnitNorm(Constraint):
    """Norms of 1. For ``axis`` see :class:`MaxNorm`."""

    def __init__(self, axis: int | Sequence[int] = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (_norms(w, self.axis) + K.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms between ``min_value`` and ``max_value``; ``rate`` below 1 goes only this share of the way each time."""

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        desired = K.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (desired / (norms + K.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm
_known.add(MaxNorm, "max_norm", "maxnorm")
_known.add(NonNeg, "non_neg", "nonneg")
_known.add(UnitNorm, "unit_norm", "unitnorm")
_known.add(MinMaxNorm, "min_max_norm")


def serialize(constraint: Any) -> Any:
    """Config of a constraint (the name of a function)."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Constraint from a config. Raises ValueError for an unknown name, with the nearest ones."""
    return _known.deserialize(config, custom_objects)


def get(identifier: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
    """Constraint from a name (made with ``kwargs``), a config, a callable (which comes back) or None."""
    return _known.instance(identifier, kwargs)
