"""Layers that Keras 2.3.1 does not have and files of tf.keras and Keras 3 often hold; they compute as there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat import constraints, initializers, regularizers
from keras_compat.engine.layer import Layer
from keras_compat.engine.registry import register
from keras_compat.layers.normalization import scale_and_center


@register
class Rescaling(Layer):
    """``scale * x + offset``: pixels from 0 to 255, say, to numbers from 0 to 1 by ``scale=1 / 255``.

    Args:
        scale, offset: numbers, or one for each element along the last axis.
    """

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        x = inputs if inputs.dtype.kind == "f" else K.cast(inputs, K.floatx())
        return x * _numbers(self.scale, x) + _numbers(self.offset, x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale, "offset": self.offset}


def _numbers(value: Any, x: Any) -> Any:
    return K.constant(list(value), dtype=K.dtype(x)) if isinstance(value, (list, tuple)) else value


@register
class LayerNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` for each sample, along ``axis`` (Ba et al., 2016).

    Weights: gamma, beta, each of the shape of these axes.

    Args:
        axis: the axis, or axes, along which mean and variance are taken; the last by default.
        epsilon: see above.
        center: False for no beta.
        scale: False for no gamma.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis: Any = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def _axes(self, rank: int) -> list[int]:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        return sorted({axis % rank for axis in axes})

    def build(self, input_shape: Any) -> None:
        shape = tuple([input_shape[axis] for axis in self._axes(len(input_shape))])
        if None in shape:
            raise ValueError(
                f"[{self.name}] expected an input whose axes {self.axis} have a length; got shape {input_shape}. Give "
                "it in input_shape."
            )
        self.gamma, self.beta = scale_and_center(self, shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        rank = K.ndim(inputs)
        axes = self._axes(rank)
        mean = K.mean(inputs, axis=axes, keepdims=True)
        spread = K.sqrt(K.mean(K.square(inputs - mean), axis=axes, keepdims=True) + self.epsilon)
        out = (inputs - mean) / spread
        shape = [inputs.shape[axis] if axis in axes else 1 for axis in range(rank)]
        if self.gamma is not None:
            out = out * K.reshape(self.gamma, shape)
        return out if self.beta is None else out + K.reshape(self.beta, shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
