"""Activation functions: tensor in, tensor of the same shape out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import autotensor as at
from keras_compat import backend as K
from keras_compat.utils.generic_utils import Registry, registries, serialize_keras_object, warn

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object

_known = Registry("activation function")


@_known.add
def softmax(x: Any, axis: int = -1) -> Any:
    """e**x / sum(e**x) along ``axis``: positive numbers with sum 1. Needs rank 2 or more.

    Raises ValueError for fewer than two axes.
    """
    if x.ndim < 2:
        raise ValueError(
            f"[softmax] Cannot apply softmax to a tensor that is 1D: expected rank 2 or more; got shape {x.shape}. "
            "Use sigmoid?"
        )
    return K.softmax(x, axis=axis)


@_known.add
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else ``alpha * (e**x - 1)``. Clevert et al., 2015."""
    return K.elu(x, alpha)


@_known.add
def selu(x: Any) -> Any:
    """``1.0507 * elu(x, 1.6733)``. Klambauer et al., 2017; goes with ``lecun_normal``."""
    return at.selu(K.cast(x, K.floatx()) if x.dtype.kind != "f" else x)


@_known.add
def softplus(x: Any) -> Any:
    """log(1 + e**x)."""
    return K.softplus(x)


@_known.add
def softsign(x: Any) -> Any:
    """x / (1 + abs(x))."""
    return K.softsign(x)


@_known.add
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x from ``threshold`` up, at most ``max_value``; below the threshold ``alpha * (x - threshold)``."""
    return K.relu(x, alpha=alpha, max_value=max_value, threshold=threshold)


@_known.add
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return K.tanh(x)


@_known.add
def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    return K.sigmoid(x)


@_known.add
def hard_sigmoid(x: Any) -> Any:
    """0.2 * x + 0.5, cut to 0..1."""
    return K.hard_sigmoid(x)


@_known.add
def hard_sigmoid_keras3(x: Any) -> Any:
    """x / 6 + 0.5, cut to 0..1: what Keras 3 calls ``hard_sigmoid``; its files are read with this name."""
    return K.clip(x / 6.0 + 0.5, 0.0, 1.0)


@_known.add
def exponential(x: Any) -> Any:
    """e**x."""
    return K.exp(x)


# -- of tf.keras and Keras 3, whose files name them --------------------------------------------------------------------


def swish(x: Any) -> Any:
    """x * sigmoid(x), which Keras 3 calls ``silu`` (Ramachandran et al., 2017)."""
    return x * K.sigmoid(x)


_known.add(swish, "silu")


@_known.add
def gelu(x: Any) -> Any:
    """x * P(a normal number is less than x), exactly: x / 2 * (1 + erf(x / sqrt(2))) (Hendrycks and Gimpel, 2016)."""
    return 0.5 * x * (1.0 + at.erf(x * 0.7071067811865476))


@_known.add
def relu6(x: Any) -> Any:
    """x, cut to 0..6."""
    return K.relu(x, max_value=6.0)


@_known.add
def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (Misra, 2019)."""
    return x * K.tanh(K.softplus(x))


@_known.add
def leaky_relu(x: Any) -> Any:
    """x where it is positive, else 0.2 * x, as the function of that name has it there."""
    return K.relu(x, alpha=0.2)


@_known.add
def linear(x: Any) -> Any:
    """x itself."""
    return x


def serialize(activation: Any) -> Any:
    """Name of an activation function, or the config of an activation object."""
    return serialize_keras_object(activation)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Activation from a name or the config of a layer. Raises ValueError for an unknown one, naming the nearest."""
    if isinstance(name, Mapping):  # LeakyReLU and the like; layers stand above this module
        for family in registries():
            if family.kind == "layer" and name.get("class_name") in family:
                return family.deserialize(name, custom_objects)
    return _known.deserialize(name, custom_objects)


def get(identifier: Any) -> Any:
    """Activation from a name, a config, a function (which comes back) or None (``linear``)."""
    if hasattr(identifier, "add_weight"):
        warn(
            f"Do not pass a layer instance (such as {identifier.name}) as the activation argument of another layer. "
            "Instead, advanced activation layers should be used just like any other layer in a model."
        )
    return linear if identifier is None else deserialize(identifier)
