"""Regularizers: from a tensor (weights or activations) to a scalar that is added to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import autotensor as at
from keras_compat import backend as K
from keras_compat.utils.generic_utils import Registry, serialize_keras_object

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object

_known = Registry("regularizer", factories=True)


@_known.add
class Regularizer:
    """Base class: no penalty. Override ``__call__(x)`` and ``get_config()``."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    # 1.2.2 calls the only argument of these two `_`.
    def set_param(self, p: Any = None, _: Any = None) -> None:
        """Say which weight it is for: a layer of Keras 0.x or 1.0 then enters it in ``self.regularizers``."""
        self.p = _ if p is None else p

    def set_layer(self, layer: Any = None, _: Any = None) -> None:
        """Say which layer's activity it is for (Keras 0.x and 1.0)."""
        self.layer = _ if layer is None else layer

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same regularizer again."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a regularizer from what ``get_config`` returned."""
        return cls(**config)


class L1L2(Regularizer):
    """``l1 * sum(abs(x)) + l2 * sum(x**2)``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = float(l1)
        self.l2 = float(l2)

    def __call__(self, x: Any) -> Any:
        penalty: Any = 0.0
        if self.l1:
            penalty = penalty + K.sum(K.abs(x)) * self.l1
        if self.l2:
            penalty = penalty + K.sum(K.square(x)) * self.l2
        return penalty if K.is_tensor(penalty) else K.constant(penalty)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


_known.add(L1L2, "L1L2Regularizer", "WeightRegularizer", "ActivityRegularizer")


@_known.add
class PerSample(Regularizer):
    """Another penalty divided by the number of samples: how tf.keras and Keras 3 penalise activities."""

    def __init__(self, regularizer: Any):
        self.regularizer = get(regularizer)

    def __call__(self, x: Any) -> Any:
        return self.regularizer(x) / K.cast(K.shape(x)[0], K.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"regularizer": serialize(self.regularizer)}


@_known.add
class EigenvalueRegularizer(Regularizer):
    """``k * sqrt(largest eigenvalue of x^T x)``, by nine steps of the power method, for matrices (Keras 1)."""

    steps = 9

    def __init__(self, k: float):
        self.k = float(k)

    def __call__(self, x: Any) -> Any:
        if K.ndim(x) != 2:
            raise ValueError(
                f"[EigenvalueRegularizer] expected a matrix; got shape {K.int_shape(x)}. Regularize a Dense kernel."
            )
        gram = K.dot(K.transpose(x), x)
        vector = at.ones_like(gram[:, :1])
        for _ in range(self.steps):
            vector = K.dot(gram, vector)
        stretched = K.dot(gram, vector)
        eigenvalue = K.sum(stretched * vector) / K.sum(K.square(vector))
        return at.sqrt(eigenvalue) * self.k

    def get_config(self) -> dict[str, Any]:
        return {"k": self.k}


@_known.add
def l1(l: float = 0.01) -> L1L2:
    """``l * sum(abs(x))``."""
    return L1L2(l1=l)


@_known.add
def l2(l: float = 0.01) -> L1L2:
    """``l * sum(x**2)``."""
    return L1L2(l2=l)


@_known.add
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """``l1 * sum(abs(x)) + l2 * sum(x**2)``."""
    return L1L2(l1=l1, l2=l2)


# The names of Keras 0.x and 1.x. A penalty of activities is the same function of another tensor.
L1L2Regularizer = WeightRegularizer = ActivityRegularizer = L1L2
activity_l1 = l1
activity_l2 = l2
l1l2 = activity_l1l2 = l1_l2
_known.update(activity_l1=l1, activity_l2=l2, l1l2=l1_l2, activity_l1l2=l1_l2)


def serialize(regularizer: Any) -> Any:
    """Config of a regularizer (the name of a function)."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Regularizer from a config. Raises ValueError for an unknown name, with the nearest ones."""
    return _known.deserialize(config, custom_objects)


def get(identifier: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
    """Regularizer from a name (made with ``kwargs``), a config, a callable (which comes back) or None."""
    return _known.instance(identifier, kwargs)
