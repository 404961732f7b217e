"""Convolutions of one, two and three dimensions, and the layers that pad, crop and enlarge their images.

Shapes are (samples, *spatial, channels), or (samples, channels, *spatial) for ``data_format='channels_first'``; spatial
lengths may be unknown (None), channels not. Kernels are (*size, in, filters) in either image order, as in Keras 2.

``kernel_format`` says that a kernel is Keras 1's instead. It is not given by hand: Keras 1's word ``dim_ordering``
stands for it, and at API level 1.2 it is the order of the images where nothing else was said. Keras 1 lays kernels out
as (filters, in, *size) under 'th', the kernel of a Convolution1D as (size, 1, in, filters) (Keras 0.x as (filters, in,
size, 1)), and that of a Deconvolution2D with the channels of the input before its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine.layer import InputSpec, Layer, alias
from keras_compat.engine.registry import register

# Programs import these from here, too.
from keras_compat.layers.pooling import AveragePooling1D as AveragePooling1D
from keras_compat.layers.pooling import AveragePooling2D as AveragePooling2D
from keras_compat.layers.pooling import AveragePooling3D as AveragePooling3D
from keras_compat.layers.pooling import MaxPooling1D as MaxPooling1D
from keras_compat.layers.pooling import MaxPooling2D as MaxPooling2D
from keras_compat.layers.pooling import MaxPooling3D as MaxPooling3D
from keras_compat.utils import conv_utils
from keras_compat.utils.conv_utils import (
    conv_output_length,
    deconv_length,
    each_axis,
    normalize_tuple,
    spatial_of,
    with_spatial,
)
from keras_compat.utils.generic_utils import transpose_shape as transpose_shape
from keras_compat.utils.generic_utils import warn

Shape = Sequence[int | None]


class _Convolution(Layer):
    """What all convolutions share: size, strides, padding, activation, bias, and how kernels are laid out."""

    # Keras 1 with Theano had border_mode='full': as many zeros on both sides as still touch the kernel.
    _knows_full = False

    def __init__(
        self,
        rank: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        bias_constraint: Any,
        kernel_format: str | None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.kernel_size = normalize_tuple(kernel_size, rank, "kernel_size")
        self.strides = normalize_tuple(strides, rank, "strides")
        full = padding == "full" and self._knows_full
        self.padding = "full" if full else conv_utils.normalize_padding(padding)
        if self.padding == "causal" and rank != 1:
            raise ValueError(
                f'[{self.name}] padding="causal" is for sequences, Conv1D and SeparableConv1D; got it for {rank}D. '
                'Use "valid" or "same".'
            )
        self.kernel_format = _kernel_format(kernel_format, rank, data_format)
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, rank, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.bias: Any = None

    def _channels(self, input_shape: Shape) -> int:
        """The channels of the input, which from now on is held to them."""
        axis = 1 if self.data_format == "channels_first" else -1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"[{self.name}] The channel dimension of the inputs should be defined. Found `None` in {input_shape} "
                f"({self.data_format}). Give it in input_shape."
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _add_kernel(self, name: str, shape: Shape, initializer: Any, regularizer: Any, constraint: Any) -> Any:
        """A weight of ``shape`` (*size, a, b); Keras 1's 'th' keeps it as (b, a, *size)."""
        size = tuple([int(d) for d in shape if d is not None])
        if self.kernel_format == "channels_first":
            size, initializer = _turned(size, initializer)
        return self.add_weight(
            name=name, shape=size, initializer=initializer, regularizer=regularizer, constraint=constraint
        )

    def _as_used(self, kernel: Any) -> Any:
        """A weight of ``_add_kernel`` as (*size, a, b)."""
        if self.kernel_format != "channels_first":
            return kernel
        return K.permute_dimensions(kernel, (*range(2, K.ndim(kernel)), 1, 0))

    def _add_bias(self, channels: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _finished(self, outputs: Any) -> Any:
        """With bias and activation."""
        if self.use_bias:
            outputs = K.bias_add(outputs, self.bias, data_format=self.data_format)
        return self.activation(outputs) if self.activation is not None else outputs

    def _output_lengths(self, input_shape: Shape) -> tuple[int | None, ...]:
        def rule(length: int | None, size: int, stride: int, dilation: int) -> int | None:
            return conv_output_length(length, size, self.padding, stride, dilation)

        lengths = spatial_of(input_shape, self.data_format)
        return each_axis(rule, lengths, self.kernel_size, self.strides, self.dilation_rate)

    b = alias("bias", "The bias, by Keras 1's name.")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
        if self._kernel_is_keras_1s():
            config["kernel_format"] = self.kernel_format
        return config

    def _kernel_is_keras_1s(self) -> bool:
        return self.kernel_format == "channels_first"


def _kernel_format(given: str | None, rank: int, data_format: str | None) -> str | None:
    if given is not None:
        return K.normalize_data_format(given)
    if get_api_level() != "1.2":
        return None
    if rank == 1:
        return "channels_first" if is_keras_0() else "channels_last"
    # Keras 2's word for the order of images says that its kernels are meant, too.
    return K.image_data_format() if data_format is None else None


def _turned(shape: Sequence[int], initializer: Any) -> tuple[tuple[int, ...], Any]:
    """Shape (*size, a, b) as (b, a, *size), and an initializer that counts inputs and outputs as for the former."""
    n = len(shape)
    order = (n - 1, n - 2, *range(n - 2))
    turned = tuple([shape[axis] for axis in order])
    make = initializers.get(initializer)
    # A function of the user gets the shape that the weight has.
    if not isinstance(make, initializers.Initializer):
        return turned, make

    def start(wanted: Sequence[int], dtype: Any = None) -> Any:
        values = K.get_value(make(tuple(shape), dtype=dtype))
        return K.constant(np.ascontiguousarray(values.transpose(order)), dtype=dtype)

    return turned, start


class _Conv(_Convolution):
    """Convolutions with one kernel, (*size, in, filters)."""

    _knows_full = True

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=rank,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )
        self.filters = normalize_tuple(filters, 1, "filters")[0]
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, channels, self.filters)

    def build(self, input_shape: Any) -> None:
        self.kernel = self._add_kernel(
            "kernel",
            self._kernel_shape(self._channels(input_shape)),
            self.kernel_initializer,
            self.kernel_regularizer,
            self.kernel_constraint,
        )
        self._add_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        convolve: Callable[..., Any] = {1: K.conv1d, 2: K.conv2d, 3: K.conv3d}[self.rank]
        outputs = convolve(
            inputs,
            self._as_used(self.kernel),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            bias=self.bias if self.use_bias else None,
            activation="relu" if self.activation is activations.relu else "linear",
        )
        done = self.activation is None or self.activation is activations.relu
        return outputs if done else self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return with_spatial(input_shape, self.data_format, self._output_lengths(input_shape), self.filters)

    W = alias("kernel", "The kernel, by Keras 1's name.")

    @property
    def W_shape(self) -> Any:
        """The shape of the kernel, by Keras 1's name."""
        return K.int_shape(self.kernel)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
        }


@register
class Conv1D(_Conv):
    """Convolution over time: (n, steps, in) -> (n, steps', filters).

    Weights: kernel (size, in, filters), bias (filters,); at API level 1.2 the kernel is (size, 1, in, filters), at 0.3
    (filters, in, size, 1).
    ``padding='causal'`` keeps the number of steps and looks back only.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=1,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )

    def _add_kernel(self, name: str, shape: Shape, initializer: Any, regularizer: Any, constraint: Any) -> Any:
        if self.kernel_format is None:
            return super()._add_kernel(name, shape, initializer, regularizer, constraint)
        size, channels, filters = [int(d) for d in shape if d is not None]
        if self.kernel_format == "channels_first":
            turned, start = _turned((size, 1, channels, filters), initializer)
        else:  # 1.2.2 counts the inputs and outputs of this shape as those of a 'th' kernel.
            turned, start = _turned((channels, filters, 1, size), initializer)
        return self.add_weight(
            name=name, shape=turned, initializer=start, regularizer=regularizer, constraint=constraint
        )

    def _as_used(self, kernel: Any) -> Any:
        if self.kernel_format is None:
            return kernel
        if self.kernel_format == "channels_first":
            return K.permute_dimensions(K.squeeze(kernel, 3), (2, 1, 0))
        return K.squeeze(kernel, 1)

    def _kernel_is_keras_1s(self) -> bool:
        return self.kernel_format is not None


@register
class Conv2D(_Conv):
    """Convolution over images: (n, rows, cols, in) -> (n, rows', cols', filters).

    Weights: kernel (rows, cols, in, filters), bias (filters,).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=2,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )


@register
class Conv3D(_Conv):
    """Convolution over volumes: (n, d, h, w, in) -> (n, d', h', w', filters).

    Weights: kernel (d, h, w, in, filters), bias (filters,).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=3,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )


class _Transposed(_Conv):
    """The parts of a transposed convolution; mixed into Conv2D and Conv3D.

    With stride s, dilated size d and no ``output_padding`` a length n becomes ``n * s`` ('same') or ``n * s +
    max(d - s, 0)`` ('valid').
    """

    _knows_full = False
    output_padding: tuple[int, ...] | None
    # The shape asked for by Keras 1's output_shape, samples and channels included.
    _wanted: tuple[int | None, ...] | None

    def _set_output(self, output_padding: Any, output_shape: Any) -> None:
        self.output_padding = None
        self._wanted = None
        if output_padding is not None:
            self.output_padding = _from_zero(output_padding, self.rank, "output_padding")
            for stride, more in zip(self.strides, self.output_padding):
                if more >= stride:
                    raise ValueError(
                        f"[{self.name}] Strides {self.strides} must be greater than output padding "
                        f"{self.output_padding}. Lower output_padding."
                    )
        if output_shape is not None:
            self._wanted = tuple([None if d is None else int(d) for d in output_shape])
            if len(self._wanted) != self.rank + 2 or None in self._wanted[1:]:
                message = (
                    f"[{self.name}] output_shape has {self.rank + 2} dimensions, samples and channels included; got "
                    f"{tuple(output_shape)}. Only the samples may be None."
                )
                if get_api_level() == "1.2":
                    raise ValueError(message)
                warn(message + " It is left out, as Keras 2 does with every output_shape.")
                self._wanted = None

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        if self.kernel_format is not None:  # Keras 1's is that of a Convolution2D
            return (*self.kernel_size, channels, self.filters)
        return (*self.kernel_size, self.filters, channels)

    def _as_used(self, kernel: Any) -> Any:
        kernel = super()._as_used(kernel)
        if self.kernel_format is None:
            return kernel
        n = self.rank
        return K.permute_dimensions(kernel, (*range(n), n + 1, n))

    def _kernel_is_keras_1s(self) -> bool:
        return self.kernel_format is not None

    def call(self, inputs: Any) -> Any:
        lengths = None if self._wanted is None else spatial_of(self._wanted, self.data_format)
        outputs = at.conv_transpose(
            inputs,
            self._as_used(self.kernel),
            self.strides,
            self.padding,
            self.dilation_rate,
            self.data_format,
            output_size=lengths,
            output_padding=None if lengths else self.output_padding,
        )
        return self._finished(outputs)

    def _output_lengths(self, input_shape: Shape) -> tuple[int | None, ...]:
        if self._wanted is not None:
            return spatial_of(self._wanted, self.data_format)

        def rule(length: int | None, stride: int, size: int, more: int | None, dilation: int) -> int | None:
            return deconv_length(length, stride, size, self.padding, more, dilation)

        lengths = spatial_of(input_shape, self.data_format)
        padding = self.output_padding or (None,) * self.rank
        return each_axis(rule, lengths, self.strides, self.kernel_size, padding, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"output_padding": self.output_padding}
        return config if self._wanted is None else config | {"output_shape": self._wanted}


def _from_zero(value: Any, n: int, name: str) -> tuple[int, ...]:
    """``n`` whole numbers of at least 0."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    try:
        return tuple([v - 1 for v in normalize_tuple(tuple([v + 1 for v in given]), n, name)])
    except (TypeError, ValueError):
        raise ValueError(
            f"[{name}] The `{name}` argument must be {n} whole numbers of at least 0; got {value!r}. "
            f"Write {name}={(1,) * n}."
        ) from None


@register
class Conv2DTranspose(_Transposed, Conv2D):
    """The transpose of a convolution, (n, rows, cols, in) -> (n, rows', cols', filters): Keras 1's Deconvolution2D.

    Weights: kernel (rows, cols, filters, in), bias (filters,).

    Args:
        output_padding: longer results by that many, one number an axis; less than the strides.
        output_shape: Keras 1's way to say the lengths of the result: its whole shape; the samples may be None.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        output_shape: Any = None,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        Conv2D.__init__(
            self,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )
        self._set_output(output_padding, output_shape)


@register
class Conv3DTranspose(_Transposed, Conv3D):
    """The transpose of a convolution of volumes, (n, d, h, w, in) -> (n, d', h', w', filters).

    Weights: kernel (d, h, w, filters, in), bias (filters,). ``output_padding`` as in Conv2DTranspose.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        Conv3D.__init__(
            self,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )
        self._set_output(output_padding, None)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dilation_rate"]
        return config


class _SeparableConv(_Conv):
    """Each channel convolved on its own, then all mixed by a convolution of size 1."""

    _knows_full = False

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=rank,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )
        self.depth_multiplier = normalize_tuple(depth_multiplier, 1, "depth_multiplier")[0]
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self._add_kernel(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
            self.depthwise_constraint,
        )
        self.pointwise_kernel = self._add_kernel(
            "pointwise_kernel",
            ((1,) * self.rank) + (channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            self.pointwise_regularizer,
            self.pointwise_constraint,
        )
        self._add_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        convolve: Callable[..., Any] = {1: K.separable_conv1d, 2: K.separable_conv2d}[self.rank]
        outputs = convolve(
            inputs,
            self._as_used(self.depthwise_kernel),
            self._as_used(self.pointwise_kernel),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finished(outputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for word in ("kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            del config[word]
        return config | {
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "pointwise_regularizer": regularizers.serialize(self.pointwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
            "pointwise_constraint": constraints.serialize(self.pointwise_constraint),
        }


@register
class SeparableConv1D(_SeparableConv):
    """Depthwise, then pointwise convolution over time: (n, steps, in) -> (n, steps', filters).

    Weights: depthwise_kernel (size, in, depth_multiplier), pointwise_kernel (1, in * depth_multiplier, filters), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=1,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
            kernel_format="channels_last",  # Keras 1 has no such layer
            **kwargs,
        )


@register
class SeparableConv2D(_SeparableConv):
    """Depthwise, then pointwise convolution over images: (n, rows, cols, in) -> (n, rows', cols', filters).

    Weights: depthwise_kernel (rows, cols, in, depth_multiplier), pointwise_kernel (1, 1, in * depth_multiplier,
    filters), bias (filters,).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=2,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
            kernel_format=kernel_format,
            **kwargs,
        )


@register
class DepthwiseConv2D(_Convolution):
    """Each channel convolved on its own: (n, rows, cols, in) -> (n, rows', cols', in * depth_multiplier).

    Weights: depthwise_kernel (rows, cols, in, depth_multiplier), bias (in * depth_multiplier,).
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=2,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            kernel_format="channels_last",  # Keras 1 has no such layer
            **kwargs,
        )
        self.depth_multiplier = normalize_tuple(depth_multiplier, 1, "depth_multiplier")[0]
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self._add_kernel(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
            self.depthwise_constraint,
        )
        self._add_bias(channels * self.depth_multiplier)
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        outputs = K.depthwise_conv2d(
            inputs,
            self._as_used(self.depthwise_kernel),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finished(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = input_shape[1 if self.data_format == "channels_first" else -1] * self.depth_multiplier
        return with_spatial(input_shape, self.data_format, self._output_lengths(input_shape), channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
        }


# -- layers without weights -------------------------------------------------------------------------------------------


class _UpSampling(Layer):
    """Repeats each element ``size`` times along the spatial axes."""

    def __init__(self, rank: int, size: Any, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rank = rank
        self.size = normalize_tuple(size, rank, "size")
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = spatial_of(input_shape, self.data_format)
        longer = [None if n is None else n * k for n, k in zip(lengths, self.size)]
        return with_spatial(input_shape, self.data_format, longer)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "data_format": self.data_format}


@register
class UpSampling1D(_UpSampling):
    """Repeats each step ``size`` times: (n, steps, channels) -> (n, steps * size, channels)."""

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(1, size, "channels_last", **kwargs)

    def call(self, inputs: Any) -> Any:
        return K.repeat_elements(inputs, self.size[0], axis=1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"size": self.size[0]}
        del config["data_format"]
        return config


@register
class UpSampling2D(_UpSampling):
    """Images larger by whole factors ``size`` (rows, cols).

    ``interpolation`` is 'nearest' (each element repeated) or 'bilinear'. ``line`` is 'tfkeras' or 'keras3' for a layer
    out of their files: they interpolate between the centres of the pixels.
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        *,
        line: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(2, size, data_format, **kwargs)
        self.line = line
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f'[{self.name}] interpolation should be one of "nearest" or "bilinear"; got {interpolation!r}. '
                "Check the spelling."
            )
        self.interpolation = interpolation

    def call(self, inputs: Any) -> Any:
        rows, cols = self.size
        if self.line and self.interpolation == "bilinear":
            return at.resize(inputs, factor=self.size, method="bilinear_half_pixel", layout=self.data_format)
        return K.resize_images(inputs, rows, cols, self.data_format, self.interpolation)

    def get_config(self) -> dict[str, Any]:
        line = {"line": self.line} if self.line else {}
        return super().get_config() | {"interpolation": self.interpolation} | line


@register
class UpSampling3D(_UpSampling):
    """Volumes larger by whole factors ``size``: each element repeated."""

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(3, size, data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        depth, rows, cols = self.size
        return K.resize_volumes(inputs, depth, rows, cols, self.data_format)


def pairs_of(value: Any, n: int, name: str) -> tuple[tuple[int, int], ...]:
    """(before, after) for each of ``n`` axes, from one number, one number an axis, or a pair an axis."""
    given = (value,) * n if isinstance(value, (int, np.integer)) else value
    if not isinstance(given, (tuple, list)) or len(given) != n:
        raise ValueError(
            f"[{name}] `{name}` should be an int, a tuple of {n} ints, or {n} pairs of ints (before, after); got "
            f"{value!r}. Write {name}={((1, 1),) * n if n > 1 else (1, 1)}."
        )
    return tuple([_from_zero(part, 2, name) for part in given])  # type: ignore[misc]


class _ZeroPadding(Layer):
    def __init__(self, padding: tuple[tuple[int, int], ...], data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rank = len(padding)
        self.padding: Any = padding
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        return self.padding

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = spatial_of(input_shape, self.data_format)
        longer = [None if n is None else n + before + after for n, (before, after) in zip(lengths, self._pairs())]
        return with_spatial(input_shape, self.data_format, longer)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"padding": self.padding, "data_format": self.data_format}


@register
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the steps. ``padding``: (before, after), or one number for both."""

    def __init__(self, padding: Any = 1, **kwargs: Any):
        super().__init__((_pair(padding, "padding"),), "channels_last", **kwargs)
        self.padding = self.padding[0]

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        return (self.padding,)

    def call(self, inputs: Any) -> Any:
        return K.temporal_padding(inputs, padding=self.padding)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


def _pair(value: Any, name: str) -> tuple[int, int]:
    return _from_zero(value, 2, name)  # type: ignore[return-value]


@register
class ZeroPadding2D(_ZeroPadding):
    """Zeros around images. ``padding``: ((top, bottom), (left, right)), (rows, cols) for both sides, or one number."""

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(pairs_of(padding, 2, "padding"), data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        return K.spatial_2d_padding(inputs, padding=self.padding, data_format=self.data_format)


@register
class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes. ``padding``: a pair an axis, one number an axis for both sides, or one number."""

    def __init__(self, padding: Any = (1, 1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(pairs_of(padding, 3, "padding"), data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        return K.spatial_3d_padding(inputs, padding=self.padding, data_format=self.data_format)


class _Cropping(Layer):
    def __init__(self, cropping: tuple[tuple[int, int], ...], data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rank = len(cropping)
        self.cropping: Any = cropping
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        return self.cropping

    def call(self, inputs: Any) -> Any:
        kept = [slice(before, -after if after else None) for before, after in self._pairs()]
        return inputs[
            (slice(None), slice(None), *kept) if self.data_format == "channels_first" else (slice(None), *kept)
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = spatial_of(input_shape, self.data_format)
        left = [None if n is None else n - before - after for n, (before, after) in zip(lengths, self._pairs())]
        return with_spatial(input_shape, self.data_format, left)

    def build(self, input_shape: Any) -> None:
        lengths = spatial_of(input_shape, self.data_format)
        if any(n is not None and n <= before + after for n, (before, after) in zip(lengths, self._pairs())):
            raise ValueError(
                f"[{self.name}] cropping {self.cropping} leaves nothing of an input of shape {tuple(input_shape)}. "
                "Crop less."
            )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"cropping": self.cropping, "data_format": self.data_format}


@register
class Cropping1D(_Cropping):
    """Leaves out the first and last steps. ``cropping``: (before, after), or one number for both."""

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__((_pair(cropping, "cropping"),), "channels_last", **kwargs)
        self.cropping = self.cropping[0]

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        return (self.cropping,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


@register
class Cropping2D(_Cropping):
    """Leaves out the borders of images. ``cropping``: ((top, bottom), (left, right)), or as in ZeroPadding2D."""

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(pairs_of(cropping, 2, "cropping"), data_format, **kwargs)


@register
class Cropping3D(_Cropping):
    """Leaves out the borders of volumes. ``cropping``: a pair an axis, or as in ZeroPadding3D."""

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(pairs_of(cropping, 3, "cropping"), data_format, **kwargs)
