"""Locally connected layers: convolutions with weights of their own at every place.

The weights make the lengths of the input part of the layer: they must be known when it is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.engine.layer import InputSpec, Layer, alias
from keras_compat.engine.registry import register
from keras_compat.utils import conv_utils
from keras_compat.utils.conv_utils import conv_output_length, each_axis, normalize_tuple, spatial_of, with_spatial

Shape = Sequence[int | None]


class _LocallyConnected(Layer):
    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = normalize_tuple(filters, 1, "filters")[0]
        self.kernel_size = normalize_tuple(kernel_size, rank, "kernel_size")
        self.strides = normalize_tuple(strides, rank, "strides")
        self.padding = conv_utils.normalize_padding(padding)
        if self.padding != "valid":
            raise ValueError(
                f'[{self.name}] Invalid border mode: only "valid" is supported by locally connected layers; got '
                f"{padding!r}. Put a ZeroPadding layer in front."
            )
        self.data_format = K.normalize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.bias: Any = None

    def _lengths(self, input_shape: Shape) -> tuple[int | None, ...]:
        def rule(length: int | None, size: int, stride: int) -> int | None:
            return conv_output_length(length, size, "valid", stride)

        return each_axis(rule, spatial_of(input_shape, self.data_format), self.kernel_size, self.strides)

    def build(self, input_shape: Any) -> None:
        if None in input_shape[1:]:
            raise ValueError(
                f"[{self.name}] The spatial dimensions and the channels of the inputs to a locally connected layer "
                f"should be fully-defined; got {tuple(input_shape)}. Give them in input_shape."
            )
        self.output_lengths = tuple([int(n) for n in self._lengths(input_shape) if n is not None])
        if min(self.output_lengths) < 1:
            raise ValueError(
                f"[{self.name}] kernel_size {self.kernel_size} does not fit into an input of shape "
                f"{tuple(input_shape)}. Take a smaller kernel."
            )
        items = input_shape[1 if self.data_format == "channels_first" else -1]
        for n in self.kernel_size:
            items *= n
        places = 1
        for n in self.output_lengths:
            places *= n
        self.kernel = self.add_weight(
            name="kernel",
            shape=(places, items, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*self.output_lengths, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        # The weights are those of these lengths.
        self.input_spec = InputSpec(shape=(None, *input_shape[1:]))
        self.built = True

    def _connected(self, inputs: Any) -> Any:
        raise NotImplementedError(f"[{type(self).__name__}] a locally connected layer needs _connected. Add one.")

    def call(self, inputs: Any) -> Any:
        outputs = self._connected(inputs)
        if self.use_bias:
            outputs = K.bias_add(outputs, self.bias, data_format=self.data_format)
        return self.activation(outputs) if self.activation is not None else outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return with_spatial(input_shape, self.data_format, self._lengths(input_shape), self.filters)

    W = alias("kernel", "The kernel, by Keras 1's name.")
    b = alias("bias", "The bias, by Keras 1's name.")

    @property
    def W_shape(self) -> Any:
        """The shape of the kernel, by Keras 1's name."""
        return K.int_shape(self.kernel)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


@register
class LocallyConnected1D(_LocallyConnected):
    """Conv1D with weights of its own at every step: (n, steps, in) -> (n, steps', filters).

    Weights: kernel (steps', size * in, filters), bias (steps', filters). ``data_format`` is taken as by Keras 2.3.1:
    steps come before channels whatever it says.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
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
        **kwargs: Any,
    ):
        K.normalize_data_format(data_format)
        super().__init__(
            rank=1,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format="channels_last",
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )

    def _connected(self, inputs: Any) -> Any:
        return K.local_conv1d(inputs, self.kernel, self.kernel_size, self.strides)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


@register
class LocallyConnected2D(_LocallyConnected):
    """Conv2D with weights of its own at every place: (n, rows, cols, in) -> (n, rows', cols', filters).

    Weights: kernel (rows' * cols', rows * cols * in, filters), bias (rows', cols', filters), in either image order.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
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
        **kwargs: Any,
    ):
        super().__init__(
            rank=2,
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
            **kwargs,
        )

    def _connected(self, inputs: Any) -> Any:
        return K.local_conv2d(
            inputs, self.kernel, self.kernel_size, self.strides, self.output_lengths, self.data_format
        )
