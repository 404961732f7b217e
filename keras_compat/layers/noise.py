"""Layers that add or multiply noise in training and do nothing in testing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat.engine.layer import Layer
from keras_compat.engine.registry import register


@register
class GaussianNoise(Layer):
    """Adds normal numbers with mean 0 and standard deviation ``stddev`` in training."""

    def __init__(self, stddev: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.stddev = stddev

    def call(self, inputs: Any, training: Any = None) -> Any:
        def noised() -> Any:
            return inputs + K.random_normal(K.shape(inputs), mean=0.0, stddev=self.stddev, dtype=K.dtype(inputs))

        return K.in_train_phase(noised, inputs, training=training)

    @property
    def sigma(self) -> float:
        """``stddev``, by Keras 1's name."""
        return self.stddev

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stddev": self.stddev}


@register
class GaussianDropout(Layer):
    """Multiplies by normal numbers with mean 1 and standard deviation ``sqrt(rate / (1 - rate))`` in training.

    Srivastava et al., 2014. A rate outside (0, 1) changes nothing.
    """

    def __init__(self, rate: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.rate = rate

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not 0 < self.rate < 1:
            return inputs

        def noised() -> Any:
            stddev = (self.rate / (1.0 - self.rate)) ** 0.5
            return inputs * K.random_normal(K.shape(inputs), mean=1.0, stddev=stddev, dtype=K.dtype(inputs))

        return K.in_train_phase(noised, inputs, training=training)

    @property
    def p(self) -> float:
        """``rate``, by Keras 1's name."""
        return self.rate

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate}


# Where SELU saturates for inputs far below 0: -scale * alpha (Klambauer et al., arXiv:1706.02515).
_SELU_FLOOR = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


@register
class AlphaDropout(Layer):
    """Dropout that keeps mean and variance of standardised inputs, for networks of SELUs.

    A share ``rate`` of the inputs is set to ``floor = -1.758...``, SELU's lower bound; then all are mapped by
    ``a * x + b`` with ``a = ((1 - rate) * (1 + rate * floor**2)) ** -0.5`` and ``b = -a * floor * rate``.
    Klambauer et al., arXiv:1706.02515. A rate outside (0, 1) changes nothing.

    Args:
        noise_shape: shape of the mask; axes of length 1 drop together.
        seed: of the random mask.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.rate = rate
        self.noise_shape = noise_shape
        self.seed = seed
        self.supports_masking = True

    def _get_noise_shape(self, inputs: Any) -> Any:
        if self.noise_shape is None:
            return K.shape(inputs)
        shape = K.shape(inputs)
        return tuple([shape[k] if n is None else n for k, n in enumerate(self.noise_shape)])

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not 0.0 < self.rate < 1.0:
            return inputs

        def dropped() -> Any:
            drawn = K.random_uniform(self._get_noise_shape(inputs), seed=self.seed)
            kept = K.cast(K.greater_equal(drawn, self.rate), K.dtype(inputs))
            a = ((1 - self.rate) * (1 + self.rate * _SELU_FLOOR**2)) ** -0.5
            b = -a * _SELU_FLOOR * self.rate
            return (inputs * kept + (1 - kept) * _SELU_FLOOR) * a + b

        return K.in_train_phase(dropped, inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        # Keras writes the rate only; without the others a file would bring back another layer.
        extra = {k: getattr(self, k) for k in ("noise_shape", "seed") if getattr(self, k) is not None}
        return super().get_config() | {"rate": self.rate} | extra
