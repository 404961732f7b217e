"""Pooling: the largest or mean element of each window, or of the whole image.

Shapes are (samples, *spatial, channels), or (samples, channels, *spatial) for ``data_format='channels_first'``; spatial
lengths may be unknown.
"""

from __future__ import annotations

from typing import Any

import autotensor as at
from keras_compat import backend as K
from keras_compat.engine.layer import InputSpec, Layer
from keras_compat.engine.registry import register
from keras_compat.utils import conv_utils
from keras_compat.utils.conv_utils import conv_output_length, each_axis, normalize_tuple, spatial_of, with_spatial


class _Pooling(Layer):
    """One number for each window of ``pool_size``; the windows are ``strides`` (their size by default) apart."""

    def __init__(self, rank: int, pool_size: Any, strides: Any, padding: str, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = normalize_tuple(pool_size, rank, "pool_size")
        self.strides = normalize_tuple(pool_size if strides is None else strides, rank, "strides")
        self.padding = conv_utils.normalize_padding(padding)
        if self.padding == "causal":
            raise ValueError(f'[{self.name}] padding is "valid" or "same" for pooling; got "causal". Use one of them.')
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        def rule(length: int | None, size: int, stride: int) -> int | None:
            return conv_output_length(length, size, self.padding, stride)

        lengths = each_axis(rule, spatial_of(input_shape, self.data_format), self.pool_size, self.strides)
        return with_spatial(input_shape, self.data_format, lengths)

    def call(self, inputs: Any) -> Any:
        # By position: a program of Keras 1 calls the last two border_mode and dim_ordering.
        return self._pooling_function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def _pooling_function(
        self, inputs: Any, pool_size: tuple[int, ...], strides: tuple[int, ...], padding: str, data_format: str
    ) -> Any:
        raise NotImplementedError(f"[{type(self).__name__}] a pooling layer needs _pooling_function. Add one.")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "strides": self.strides,
            "padding": self.padding,
            "pool_size": self.pool_size,
            "data_format": self.data_format,
        }


class _Pooling1D(_Pooling):
    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        **kwargs: Any,
    ):
        super().__init__(1, pool_size, strides, padding, data_format, **kwargs)


class _Pooling2D(_Pooling):
    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(2, pool_size, strides, padding, data_format, **kwargs)


class _Pooling3D(_Pooling):
    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(3, pool_size, strides, padding, data_format, **kwargs)


def _largest(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    return at.max_pool(inputs, pool_size, strides, padding, data_format)


def _mean(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    return at.average_pool(inputs, pool_size, strides, padding, data_format)


@register
class MaxPooling1D(_Pooling1D):
    """The largest element of each window of ``pool_size`` steps."""

    _pooling_function = staticmethod(_largest)


@register
class AveragePooling1D(_Pooling1D):
    """The mean of each window of ``pool_size`` steps; under 'same' of what lies inside only."""

    _pooling_function = staticmethod(_mean)


@register
class MaxPooling2D(_Pooling2D):
    """The largest element of each window of ``pool_size`` (rows, cols)."""

    _pooling_function = staticmethod(_largest)


@register
class AveragePooling2D(_Pooling2D):
    """The mean of each window of ``pool_size`` (rows, cols); under 'same' of what lies inside only."""

    _pooling_function = staticmethod(_mean)


@register
class MaxPooling3D(_Pooling3D):
    """The largest element of each window of ``pool_size`` (d, h, w)."""

    _pooling_function = staticmethod(_largest)


@register
class AveragePooling3D(_Pooling3D):
    """The mean of each window of ``pool_size`` (d, h, w); under 'same' of what lies inside only."""

    _pooling_function = staticmethod(_mean)


class _GlobalPooling(Layer):
    """One number for each channel: (n, *spatial, channels) -> (n, channels).

    With ``keepdims``, of tf.keras and Keras 3, the spatial axes stay, with length 1.
    """

    def __init__(self, rank: int, data_format: str | None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.keepdims = keepdims
        self.rank = rank
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = input_shape[1 if self.data_format == "channels_first" else -1]
        if not self.keepdims:
            return (input_shape[0], channels)
        kept = (channels, *(1,) * self.rank)
        return (input_shape[0], *(kept if self.data_format == "channels_first" else kept[::-1]))

    def _spatial_axes(self) -> list[int]:
        first = 2 if self.data_format == "channels_first" else 1
        return list(range(first, first + self.rank))

    def get_config(self) -> dict[str, Any]:
        kept = {"keepdims": True} if self.keepdims else {}  # 2.3.1 does not know the word
        return super().get_config() | {"data_format": self.data_format} | kept


class _GlobalPooling1D(_GlobalPooling):
    def __init__(self, data_format: str | None = "channels_last", *, keepdims: bool = False, **kwargs: Any):
        super().__init__(1, data_format, keepdims, **kwargs)


class _GlobalPooling2D(_GlobalPooling):
    def __init__(self, data_format: str | None = None, *, keepdims: bool = False, **kwargs: Any):
        super().__init__(2, data_format, keepdims, **kwargs)


class _GlobalPooling3D(_GlobalPooling):
    def __init__(self, data_format: str | None = None, *, keepdims: bool = False, **kwargs: Any):
        super().__init__(3, data_format, keepdims, **kwargs)


@register
class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean of all steps, of those that a mask keeps where there is one: (n, steps, channels) -> (n, channels).

    A sample all of whose steps are masked gives NaN, as in Keras 2.3.
    """

    def __init__(self, data_format: str | None = "channels_last", *, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims=keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axis = self._spatial_axes()[0]
        if mask is None:
            return K.mean(inputs, axis=axis, keepdims=self.keepdims)
        kept = K.expand_dims(K.cast(mask, inputs.dtype), -1 if axis == 1 else 1)
        total = K.sum(inputs * kept, axis=axis, keepdims=self.keepdims)
        return total / K.sum(kept, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


@register
class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest of all steps: (n, steps, channels) -> (n, channels)."""

    def call(self, inputs: Any) -> Any:
        return K.max(inputs, axis=self._spatial_axes(), keepdims=self.keepdims)


@register
class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel of an image: (n, rows, cols, channels) -> (n, channels)."""

    def call(self, inputs: Any) -> Any:
        return K.mean(inputs, axis=self._spatial_axes(), keepdims=self.keepdims)


@register
class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest element of each channel of an image: (n, rows, cols, channels) -> (n, channels)."""

    def call(self, inputs: Any) -> Any:
        return K.max(inputs, axis=self._spatial_axes(), keepdims=self.keepdims)


@register
class GlobalAveragePooling3D(_GlobalPooling3D):
    """The mean of each channel of a volume: (n, d, h, w, channels) -> (n, channels)."""

    def call(self, inputs: Any) -> Any:
        return K.mean(inputs, axis=self._spatial_axes(), keepdims=self.keepdims)


@register
class GlobalMaxPooling3D(_GlobalPooling3D):
    """The largest element of each channel of a volume: (n, d, h, w, channels) -> (n, channels)."""

    def call(self, inputs: Any) -> Any:
        return K.max(inputs, axis=self._spatial_axes(), keepdims=self.keepdims)
