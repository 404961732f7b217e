"""Batch normalization."""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K
from keras_compat import constraints, initializers, regularizers
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine.layer import InputSpec, Layer
from keras_compat.engine.registry import register


def scale_and_center(layer: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Add the weights ``gamma`` and ``beta`` to a layer, by its own rules for them; None for one that it leaves out."""
    gamma = beta = None
    if layer.scale:
        gamma = layer.add_weight(
            name="gamma",
            shape=shape,
            initializer=layer.gamma_initializer,
            regularizer=layer.gamma_regularizer,
            constraint=layer.gamma_constraint,
        )
    if layer.center:
        beta = layer.add_weight(
            name="beta",
            shape=shape,
            initializer=layer.beta_initializer,
            regularizer=layer.beta_regularizer,
            constraint=layer.beta_constraint,
        )
    return gamma, beta


@register
class BatchNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` for each feature (Ioffe and Szegedy, arXiv:1502.03167).

    Training takes mean and variance of the batch, testing moving averages of them:
    ``moving = momentum * moving + (1 - momentum) * batch``, updated by training on any input of the layer. What
    enters the average of the variance follows the API level: at 1.2 the mean squared distance of the batch, later
    that times ``n / (n - 1 - epsilon)`` for n numbers per feature, and for channels-last images once more times
    ``n / (n - 1)``, which TensorFlow's fused kernel does under Keras 2. At 2.2 the averages start at the first batch
    instead of at the initial weights, see :func:`keras_compat.backend.moving_average_update`.

    Weights: gamma, beta, moving_mean, moving_variance, each (features,); the last two are not trainable.

    Args:
        axis: the axis of the features, batch counted: 1 for channels-first images.
        momentum, epsilon: see above.
        center: False for no beta.
        scale: False for no gamma.
        mode: of Keras 1. 1 normalizes each sample along ``axis`` by itself:
            ``gamma * (x - mean) / (sqrt(variance + epsilon) + epsilon) + beta``. 2 takes mean and variance of the
            batch in testing, too. 0 is all of the above.
        line: 'tfkeras' or 'keras3' for a layer out of their files. Their average of the variance is that of the batch
            as it is (of images in tf.keras times ``n / (n - 1)``), and a layer that is frozen when it is called takes
            the moving averages in training as well.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        mode: int = 0,
        line: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if line not in (None, "tfkeras", "keras3"):
            raise ValueError(
                f"[BatchNormalization] line is 'tfkeras' or 'keras3'; got {line!r}. Leave it out for Keras 1 and 2."
            )
        self.line = line
        if mode not in (0, 1, 2):
            raise ValueError(
                f"[BatchNormalization] mode is 0 (by feature), 1 (by sample) or 2 (by feature, of the batch always); "
                f"got {mode!r}. Leave it out for 0."
            )
        self.supports_masking = True
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.mode = mode
        self._averages_deviations = mode == 0 and is_keras_0()

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                f"[{self.name}] axis must name an axis of the input other than the batch; got {self.axis} for shape "
                f"{input_shape}. -1 is the last, 1 the channels of channels-first images."
            )
        features = input_shape[self.axis]
        if features is None:
            raise ValueError(
                f"[{self.name}] Axis {self.axis} of input tensor should have a defined dimension but the layer "
                f"received an input with shape {input_shape}. Give its length in input_shape."
            )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: features})
        self.gamma, self.beta = scale_and_center(self, (features,))
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=(features,), initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", shape=(features,), initializer=self.moving_variance_initializer, trainable=False
        )
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        if self.mode == 1:
            return self._by_sample(inputs)
        if self._averages_deviations:
            return self._as_keras_0(inputs, training)
        if self.line and not self.trainable:
            return self._by_averages(inputs)
        if self.mode == 0 and not K.is_tensor(training) and training in (0, False):
            return self._by_averages(inputs)
        axes = [k for k in range(K.ndim(inputs)) if k != self.axis % K.ndim(inputs)]
        normed, mean, variance = K.normalize_batch_in_training(
            inputs, self.gamma, self.beta, axes, epsilon=self.epsilon
        )
        if self.mode == 2:
            return normed
        if get_api_level() != "1.2" or self.line:
            variance = variance * self._correction(inputs)
        self.add_update(
            [
                K.moving_average_update(self.moving_mean, mean, self.momentum),
                K.moving_average_update(self.moving_variance, variance, self.momentum),
            ],
            inputs,
        )
        return K.in_train_phase(normed, lambda: self._by_averages(inputs), training=training)

    def _correction(self, inputs: Any) -> Any:
        """Factor of the variance that enters the moving average, see the class."""
        n = K.cast(K.size(inputs), K.dtype(inputs)) / inputs.shape[self.axis]
        if self.line:
            fused = self.line == "tfkeras" and K.ndim(inputs) in (4, 5)
            return n / K.maximum(n - 1.0, 1.0) if fused else 1.0
        factor = n / (n - (1.0 + self.epsilon))
        if K.ndim(inputs) == 4 and self.axis % 4 == 3:
            factor = factor * (n / K.maximum(n - 1.0, 1.0))
        return factor

    def _by_averages(self, inputs: Any) -> Any:
        return K.batch_normalization(
            inputs,
            self.moving_mean,
            self.moving_variance,
            self.beta,
            self.gamma,
            axis=self.axis,
            epsilon=self.epsilon,
        )

    def _by_sample(self, inputs: Any) -> Any:
        mean = K.mean(inputs, axis=self.axis, keepdims=True)
        spread = K.sqrt(K.var(inputs, axis=self.axis, keepdims=True) + self.epsilon)
        shape = [1] * K.ndim(inputs)
        shape[self.axis] = -1
        out = (inputs - mean) / (spread + self.epsilon)
        if self.gamma is not None:
            out = out * K.reshape(self.gamma, shape)
        return out if self.beta is None else out + K.reshape(self.beta, shape)

    def _as_keras_0(self, inputs: Any, training: Any) -> Any:
        """Keras 0.x: the second moving average is one of standard deviations, and epsilon counts twice."""
        axes = [k for k in range(K.ndim(inputs)) if k != self.axis % K.ndim(inputs)]
        shape = [1] * K.ndim(inputs)
        shape[self.axis] = -1

        def normed(mean: Any, deviation: Any) -> Any:
            out = (inputs - K.reshape(mean, shape)) / (K.reshape(deviation, shape) + self.epsilon)
            if self.gamma is not None:
                out = out * K.reshape(self.gamma, shape)
            return out if self.beta is None else out + K.reshape(self.beta, shape)

        mean = K.mean(inputs, axis=axes)
        deviation = K.sqrt(K.var(inputs, axis=axes) + self.epsilon)
        self.add_update(
            [
                K.update(average, self.momentum * average + (1 - self.momentum) * now)
                for average, now in ((self.moving_mean, mean), (self.moving_variance, deviation))
            ],
            inputs,
        )
        by_averages = normed(self.moving_mean, self.moving_variance)
        return K.in_train_phase(normed(mean, deviation), by_averages, training=training)

    @property
    def running_mean(self) -> Any:
        """The average of the means, by Keras 1's name."""
        return self.moving_mean

    @property
    def running_std(self) -> Any:
        """The average of the variances, by Keras 1's name, which is wrong."""
        return self.moving_variance

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
        # Keras 2 knows no modes and could not read the file.
        return config | ({"mode": self.mode} if self.mode else {}) | ({"line": self.line} if self.line else {})
