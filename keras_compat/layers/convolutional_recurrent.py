"""Recurrence over images: ConvLSTM2D, its cell, RNN over convolutional cells, and Keras 1's ConvRecurrent2D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.engine.layer import InputSpec, shape_of
from keras_compat.engine.registry import register
from keras_compat.layers.recurrent import (
    RNN,
    CellLayer,
    Recurrent,
    SequenceCell,
    _tensors,
    dropout_masks,
    forget_bias,
    of_cell,
    state_sizes,
    zeros_for,
)
from keras_compat.layers.wrappers import flatten_steps, split_steps
from keras_compat.utils.conv_utils import conv_output_length, normalize_padding, normalize_tuple
from keras_compat.utils.generic_utils import has_arg, transpose_shape

Shape = Sequence[int | None]


def _image_size(shape: Shape, data_format: str) -> tuple[Any, ...]:
    """Rows and columns of (batch, *image)."""
    return tuple(shape[2:4]) if data_format == "channels_first" else tuple(shape[1:3])


def _output_size(cell: Any, shape: Shape) -> tuple[Any, ...]:
    """Rows and columns of a convolutional cell's output for the shape of a step's input."""
    sizes = zip(_image_size(shape, cell.data_format), cell.kernel_size, cell.strides, cell.dilation_rate)
    return tuple([conv_output_length(n, k, cell.padding, s, d) for n, k, s, d in sizes])


class _OverImages(RNN):
    """RNN whose inputs and states are images: shapes of states and outputs."""

    def _images(self) -> Any:
        """What holds filters, kernel_size, strides, padding, data_format and dilation_rate."""
        return self.cell

    def _filters(self) -> list[int]:
        return state_sizes(self.cell)

    def _state_shapes(self, input_shape: Any) -> list[tuple[Any, ...]]:
        return [self._state_shape(input_shape, n) for n in self._filters()]

    def _state_shape(self, input_shape: Any, filters: int) -> tuple[Any, ...]:
        cell = self._images()
        size = _output_size(cell, (input_shape[0], *input_shape[2:]))
        return transpose_shape((None, *size, filters), cell.data_format, spatial_axes=(1, 2))[1:]

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, list):
            input_shape = input_shape[0]
        image = self._state_shape(input_shape, self._images().filters)
        output = (*input_shape[:2], *image) if self.return_sequences else (input_shape[0], *image)
        if not self.return_state:
            return output
        return [output, *[(input_shape[0], *s) for s in self._state_shapes(input_shape)]]

    def _spec(self, shape: Any) -> InputSpec:
        """Channels must stay; the size of the images must, too, where states are kept."""
        if self.stateful:
            return InputSpec(shape=(shape[0], None, *shape[2:]))
        channels = 2 if self._images().data_format == "channels_first" else 4
        return InputSpec(shape=tuple([shape[a] if a == channels else None for a in range(5)]))

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """Zeros, one image for each state."""
        shapes = self._state_shapes(shape_of(inputs))
        if all(None not in shape for shape in shapes):
            return [zeros_for(inputs, *shape) for shape in shapes]
        # The size of the images is known when they come: a convolution with a kernel of zeros makes them.
        cell, first = self._images(), K.zeros_like(inputs[:, 0])
        axis = 1 if cell.data_format == "channels_first" else -1
        channels = shape_of(inputs)[2:][axis - 1 if axis == 1 else axis]
        return [
            K.conv2d(
                first,
                K.constant(0.0, shape=(*cell.kernel_size, channels, filters), dtype=first.dtype),
                strides=cell.strides,
                padding=cell.padding,
                data_format=cell.data_format,
                dilation_rate=cell.dilation_rate,
            )
            for filters in self._filters()
        ]


@register
class ConvRNN2D(_OverImages):
    """Runs a convolutional cell over time: (batch, time, rows, cols, channels) -> (batch, rows', cols', filters).

    ``cell`` has ``call(inputs, states)``, ``state_size`` (numbers of filters) and what a convolution has: ``filters``,
    ``kernel_size``, ``strides``, ``padding``, ``data_format`` and ``dilation_rate``. The other arguments are those of
    :class:`RNN`; ``unroll`` is not possible.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ):
        if unroll:
            raise TypeError(
                "[ConvRNN2D] Unrolling isn't possible with convolutional RNNs; got unroll=True. Leave it out."
            )
        if isinstance(cell, (list, tuple)):
            raise TypeError(
                "[ConvRNN2D] It is not possible at the moment to stack convolutional cells; got a list. Stack layers."
            )
        RNN.__init__(self, cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.input_spec = [InputSpec(ndim=5)]
        self.state_spec = [InputSpec(ndim=4) for _ in state_sizes(cell)]

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.input_spec = [self._spec(shape)]


@register
class ConvLSTM2DCell(SequenceCell):
    """One step of :class:`ConvLSTM2D`.

    Weights: kernel (*kernel_size, in, 4 * filters), recurrent_kernel (*kernel_size, filters, 4 * filters), bias
    (4 * filters,), gates in the order i, f, c, o.
    """

    gates = ("i", "f", "c", "o")
    old_order = ("i", "c", "f", "o")
    kernel: Any
    recurrent_kernel: Any
    bias: Any

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        super().__init__(**kwargs)
        self.filters = int(filters)
        self.kernel_size = normalize_tuple(kernel_size, 2, "kernel_size")
        self.strides = normalize_tuple(strides, 2, "strides")
        self.padding = normalize_padding(padding)
        if kernel_format is None and data_format is None and get_api_level() == "1.2":
            kernel_format = K.image_data_format()
        self.kernel_format = kernel_format
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, 2, "dilation_rate")
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self._init_weights(arguments)

    @property
    def units(self) -> int:  # type: ignore[override]
        """Number of filters."""
        return self.filters

    @property
    def state_size(self) -> tuple[int, int]:
        """Filters of output and memory."""
        return (self.filters, self.filters)

    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def _weight(self, part: str, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        """A weight as it is used; its variable may have Keras 1's layout."""
        turned = self.kernel_format == "channels_first" and len(shape) == 4
        if turned:
            shape, initializer = (shape[3], shape[2], *shape[:2]), _turned(shape, initializer)
        weight = self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=getattr(self, f"{part}_regularizer"),
            constraint=getattr(self, f"{part}_constraint"),
        )
        return K.permute_dimensions(weight, (2, 3, 1, 0)) if turned else weight

    def build(self, input_shape: Any = None) -> None:
        n, u = input_shape[self._channel_axis()], self.filters
        if n is None:
            raise ValueError(
                f"[{self.name}] The channel dimension of the inputs should be defined. Found `None` in {input_shape} "
                f"({self.data_format}). Give it in input_shape."
            )
        if get_api_level() == "1.2":
            self._build_gates(n)
        else:
            size = self.kernel_size
            self.kernel = self._weight("kernel", "kernel", (*size, n, 4 * u), self.kernel_initializer)
            self.recurrent_kernel = self._weight(
                "recurrent", "recurrent_kernel", (*size, u, 4 * u), self.recurrent_initializer
            )
            start = forget_bias(self.bias_initializer, u, 1) if self.unit_forget_bias else self.bias_initializer
            self.bias = self._weight("bias", "bias", (4 * u,), start) if self.use_bias else None
        self.built = True

    def _build_gates(self, n: int) -> None:
        size, u = self.kernel_size, self.filters
        made: dict[str, Any] = {}
        for gate in self.old_order:
            made["W" + gate] = self._weight("kernel", f"W_{gate}", (*size, n, u), self.kernel_initializer)
            made["U" + gate] = self._weight("recurrent", f"U_{gate}", (*size, u, u), self.recurrent_initializer)
            setattr(self, "W_" + gate, made["W" + gate])
            setattr(self, "U_" + gate, made["U" + gate])
            if self.use_bias:
                ones = gate == "f" and self.unit_forget_bias
                start = initializers.get("ones") if ones else self.bias_initializer
                made["b" + gate] = self._weight("bias", f"b_{gate}", (u,), start)
                setattr(self, "b_" + gate, made["b" + gate])
        self.kernel = K.concatenate([made["W" + g] for g in self.gates])
        self.recurrent_kernel = K.concatenate([made["U" + g] for g in self.gates])
        self.bias = K.concatenate([made["b" + g] for g in self.gates]) if self.use_bias else None

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    def input_conv(self, x: Any, w: Any, b: Any = None, padding: str = "valid") -> Any:
        """Convolve the inputs of a step with a kernel, and add a bias."""
        out = K.conv2d(
            x,
            w,
            strides=self.strides,
            padding=padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return out if b is None else K.bias_add(out, b, data_format=self.data_format)

    def recurrent_conv(self, x: Any, w: Any) -> Any:
        """Convolve a state with a kernel: strides 1, and the size stays."""
        return K.conv2d(x, w, strides=(1, 1), padding="same", data_format=self.data_format)

    def _mask_count(self) -> int:
        return len(self.gates)

    def make_recurrent_masks(self, inputs: Any, training: Any = None) -> list[Any] | None:
        if not 0.0 < self.recurrent_dropout < 1.0:
            return None
        # The size of the output: ones where a convolution of zeros gives 0.
        kernel = K.constant(0.0, shape=(*self.kernel_size, shape_of(inputs)[self._channel_axis()], self.filters))
        ones = self.input_conv(K.zeros_like(inputs), K.cast(kernel, inputs.dtype), padding=self.padding) + 1.0
        return dropout_masks(ones, self.recurrent_dropout, training, self._mask_count())

    def _parts(self, x: Any, axis: int) -> list[Any]:
        u = self.filters
        before = (slice(None),) * (axis % K.ndim(x))
        return [x[(*before, slice(i * u, (i + 1) * u))] for i in range(4)]

    def project(self, inputs: Any, masks: Any = None) -> Any:
        masks = _tensors(masks if masks is not None else self._input_masks)
        sequence = K.ndim(inputs) == 5
        if masks is None:
            x = flatten_steps(inputs, shape_of(inputs)) if sequence else inputs
            out = self.input_conv(x, self.kernel, self.bias, self.padding)
            return split_steps(out, inputs, shape_of(out)) if sequence else out
        made = []
        biases = self._parts(self.bias, -1) if self.use_bias else [None] * 4
        for mask, kernel, bias in zip(masks, self._parts(self.kernel, -1), biases):
            x = inputs * (K.expand_dims(mask, 1) if sequence else mask)
            x = flatten_steps(x, shape_of(inputs)) if sequence else x
            out = self.input_conv(x, kernel, bias, self.padding)
            made.append(split_steps(out, inputs, shape_of(out)) if sequence else out)
        return K.concatenate(made, axis=2 if sequence and self._channel_axis() == 1 else self._channel_axis())

    def step(self, projected: Any, states: list[Any], masks: Any = None) -> tuple[Any, list[Any]]:
        h, c = states[0], states[1]
        masks = _tensors(masks if masks is not None else self._recurrent_masks)
        axis = self._channel_axis()
        if masks is None:
            of_state = self.recurrent_conv(h, self.recurrent_kernel)
        else:
            parts = zip(masks, self._parts(self.recurrent_kernel, -1))
            of_state = K.concatenate([self.recurrent_conv(h * m, kernel) for m, kernel in parts], axis=axis)
        i, f, new, o = self._parts(projected + of_state, axis)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(new)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
        }
        for part in ("kernel", "recurrent", "bias"):
            config[f"{part}_initializer"] = initializers.serialize(getattr(self, f"{part}_initializer"))
            config[f"{part}_regularizer"] = regularizers.serialize(getattr(self, f"{part}_regularizer"))
            config[f"{part}_constraint"] = constraints.serialize(getattr(self, f"{part}_constraint"))
        if self.kernel_format == "channels_first":
            config["kernel_format"] = self.kernel_format
        return config | {"dropout": self.dropout, "recurrent_dropout": self.recurrent_dropout}


def _turned(shape: tuple[int, ...], initializer: Any) -> Any:
    """Initializer of Keras 1's layout (filters, in, rows, cols) that counts inputs and outputs as for ``shape``."""

    def start(wanted: Shape, dtype: Any = None) -> Any:
        made = initializer(shape, dtype=dtype) if has_arg(initializer, "dtype") else initializer(shape)
        return np.ascontiguousarray(np.transpose(K.get_value(made), (3, 2, 0, 1)))

    return start


@register
class ConvRecurrent2D(_OverImages, Recurrent):
    """Base of Keras 1's recurrent layers over images: a subclass defines ``build`` and ``step(x, states)``.

    What :class:`Recurrent` says of hooks and states holds here. Arguments are those of a convolution; the states have
    the shape of the output.
    """

    def __init__(
        self,
        filters: Any = None,
        kernel_size: Any = None,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        return_sequences: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ):
        Recurrent.__init__(
            self, return_sequences=return_sequences, go_backwards=go_backwards, stateful=stateful, **kwargs
        )
        self.filters = filters
        self.kernel_size = None if kernel_size is None else normalize_tuple(kernel_size, 2, "kernel_size")
        self.strides = normalize_tuple(strides, 2, "strides")
        self.padding = normalize_padding(padding)
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, 2, "dilation_rate")
        self.input_spec = [InputSpec(ndim=5)]

    def _images(self) -> Any:
        return self

    def _filters(self) -> list[int]:
        return [self.filters] * len(self.states)

    def _size(self) -> int:
        return self.filters

    def build(self, input_shape: Any = None) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.input_spec = [self._spec(shape)]
        if self.stateful:
            self.reset_states()
        self.built = True

    def get_constants(self, X: Any, train: Any = False) -> list[Any]:  # type: ignore[override]
        """What ``step`` finds behind the states, the same at every step."""
        return []

    def get_initial_states(self, X: Any) -> list[Any]:
        """States before the first step: images of zeros."""
        return self.get_initial_state(X)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }


@register
class ConvLSTM2D(ConvRNN2D, CellLayer):
    """LSTM whose products with the weights are convolutions (Shi et al., 2015).

    (batch, time, rows, cols, channels) -> (batch, rows', cols', filters), or, with ``return_sequences``, the images of
    all steps; with ``data_format='channels_first'`` channels stand before rows. The formula is that of :class:`LSTM`;
    the convolution of the inputs has ``strides``, ``padding`` and ``dilation_rate``, that of the state keeps the size.

    Args:
        filters: channels of the output.
        kernel_size: rows and columns of both kernels.

    The other arguments are explained in :class:`LSTM` and :class:`RNN`.
    """

    filters = of_cell("filters")
    kernel_size = of_cell("kernel_size")
    strides = of_cell("strides")
    padding = of_cell("padding")
    data_format = of_cell("data_format")
    dilation_rate = of_cell("dilation_rate")
    kernel_format = of_cell("kernel_format")
    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        *,
        kernel_format: str | None = None,
        **kwargs: Any,
    ):
        cell = ConvLSTM2DCell(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            kernel_format=kernel_format,
            dtype=kwargs.get("dtype"),
        )
        # Convolutions of all steps at once whatever it says; some configs of Keras 2 have it.
        kwargs.pop("implementation", None)
        ConvRNN2D.__init__(
            self, cell, return_sequences=return_sequences, go_backwards=go_backwards, stateful=stateful, **kwargs
        )
        self.activity_regularizer = regularizers.get(activity_regularizer)

    def _state_shapes(self, input_shape: Any) -> list[tuple[Any, ...]]:
        return _OverImages._state_shapes(self, input_shape)

    def build(self, input_shape: Any = None) -> None:
        RNN.build(self, input_shape)
        self.input_spec = [self._spec(input_shape[0] if isinstance(input_shape, list) else input_shape)]

    def _projects_before(self) -> bool:
        return False

    def conv_step(self, x: Any, W: Any, b: Any = None, border_mode: str = "valid") -> Any:
        """Convolve the inputs of a step, as Keras 1's ``step`` does."""
        return self.cell.input_conv(x, W, b, padding=border_mode)

    def conv_step_hidden(self, x: Any, W: Any, border_mode: str = "valid") -> Any:
        """Convolve a state, as Keras 1's ``step`` does: with strides 1."""
        return K.conv2d(x, W, strides=(1, 1), padding=border_mode, data_format=self.data_format)
