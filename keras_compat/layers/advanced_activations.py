"""Activations that are layers, because they have weights or settings of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.engine.layer import InputSpec, Layer
from keras_compat.engine.registry import register


class _Elementwise(Layer):
    """A layer without weights that maps each element by itself, so masks pass."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@register
class LeakyReLU(_Elementwise):
    """x where x >= 0, else ``alpha * x``."""

    def __init__(self, alpha: float = 0.3, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = float(K.cast_to_floatx(alpha))

    def call(self, inputs: Any) -> Any:
        return K.relu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha}


@register
class PReLU(Layer):
    """x where x >= 0, else ``alpha * x`` with a weight ``alpha`` for each feature (He et al., arXiv:1502.01852).

    Args:
        shared_axes: axes along which one weight serves all, counted with the batch: ``[1, 2]`` for one weight per
            channel of channels-last images.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = listed_axes(shared_axes)

    def build(self, input_shape: Any) -> None:
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape_per_feature(input_shape, self.shared_axes),
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = per_feature_spec(input_shape, self.shared_axes)
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return K.relu(inputs) - self.alpha * K.relu(-inputs)

    @property
    def alphas(self) -> Any:
        """The weight, by Keras 1's name."""
        return self.alpha

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


def listed_axes(axes: int | Sequence[int] | None) -> list[int] | None:
    """Shared axes as a list; None where nothing is shared."""
    if axes is None:
        return None
    return [int(a) for a in axes] if isinstance(axes, (list, tuple)) else [int(axes)]  # type: ignore[arg-type]


def shape_per_feature(input_shape: Any, shared_axes: Sequence[int] | None) -> tuple[Any, ...]:
    """Shape of a weight with an element for each feature: the input's without batch, 1 along shared axes."""
    shape = list(input_shape[1:])
    for axis in shared_axes or ():
        shape[axis - 1] = 1
    return tuple(shape)


def per_feature_spec(input_shape: Any, shared_axes: Sequence[int] | None) -> InputSpec:
    """What later inputs must look like: the lengths that the weight was made for."""
    shared = [axis % len(input_shape) for axis in shared_axes or ()]
    axes = {k: input_shape[k] for k in range(1, len(input_shape)) if k not in shared}
    return InputSpec(ndim=len(input_shape), axes=axes)


@register
class ELU(_Elementwise):
    """x where x >= 0, else ``alpha * (e**x - 1)`` (Clevert et al., arXiv:1511.07289)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = float(K.cast_to_floatx(alpha))

    def call(self, inputs: Any) -> Any:
        return K.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha}


@register
class ThresholdedReLU(_Elementwise):
    """x where x > ``theta``, else 0 (Konda et al., arXiv:1402.3337)."""

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.theta = float(K.cast_to_floatx(theta))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return inputs * K.cast(K.greater(inputs, self.theta), K.dtype(inputs))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"theta": self.theta}


@register
class Softmax(_Elementwise):
    """``e**x / sum(e**x)`` along ``axis``."""

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return activations.softmax(inputs, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}


@register
class ReLU(_Elementwise):
    """``max_value`` at most, x from ``threshold`` up, below it ``negative_slope * (x - threshold)``.

    Raises ValueError for a negative ``max_value`` or ``negative_slope``.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ValueError(f"[ReLU] max_value of Relu layer cannot be negative value: {max_value}. None is no limit.")
        if negative_slope < 0.0:
            raise ValueError(
                f"[ReLU] negative_slope of Relu layer cannot be negative value: {negative_slope}. It is the slope of "
                "the left part; 0 for a flat one."
            )
        self.max_value = None if max_value is None else float(K.cast_to_floatx(max_value))
        self.negative_slope = float(K.cast_to_floatx(negative_slope))
        self.threshold = float(K.cast_to_floatx(threshold))

    def call(self, inputs: Any) -> Any:
        return K.relu(inputs, alpha=self.negative_slope, max_value=self.max_value, threshold=self.threshold)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
