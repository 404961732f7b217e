"""Core layers: dense, activation, dropout, and those that only move numbers around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.engine.byte_code import function_in, is_byte_code
from keras_compat.engine.functions import function_of, text_of
from keras_compat.engine.layer import InputSpec, Layer, alias, shape_of
from keras_compat.engine.loading import code_allowed_if, is_code_allowed
from keras_compat.engine.registry import register
from keras_compat.utils.generic_utils import has_arg, known_objects, warn

Shape = Sequence[int | None]


@register
class Dense(Layer):
    """``activation(x @ kernel + bias)`` on the last axis: (..., n) -> (..., units).

    Weights: kernel (n, units), bias (units,). Inputs of higher rank keep their leading axes.
    """

    def __init__(
        self,
        units: int,
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
        if "input_shape" not in kwargs and "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        super().__init__(**kwargs)
        self.units = _whole("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(n, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: n})
        self.built = True

    def call(self, inputs: Any) -> Any:
        output = K.dot(inputs, self.kernel)
        if self.use_bias:
            output = output + self.bias
        return self.activation(output) if self.activation is not None else output

    W = alias("kernel", "The kernel, by Keras 1's name.")
    b = alias("bias", "The bias, by Keras 1's name.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
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
class Activation(Layer):
    """Applies an activation function, given by name or as a function of tensors."""

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": activations.serialize(self.activation)}


@register
class Dropout(Layer):
    """Sets a share ``rate`` of the inputs to 0 in training and scales the rest by ``1 / (1 - rate)``.

    Args:
        rate: from 0 to 1.
        noise_shape: shape of the mask; axes of length 1 drop together. None entries stand for the input's.
        seed: of the random mask.

    Raises ValueError for a rate outside of 0 to 1.
    """

    def __init__(self, rate: float, noise_shape: Shape | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)):
            raise ValueError(f"[Dropout] rate is the share to drop, from 0 to 1; got {rate!r}. For a half write 0.5.")
        self.rate = min(1.0, max(0.0, float(rate)))
        if self.rate != rate:
            warn(
                f"[Dropout] rate is the share to drop, from 0 to 1; got {rate!r}, read as {self.rate}, which drops "
                "nothing, as in Keras. For a half write 0.5."
            )
        self.noise_shape = noise_shape
        self.seed = seed
        self.supports_masking = True

    def _get_noise_shape(self, inputs: Any) -> Any:
        if self.noise_shape is None:
            return None
        shape = K.shape(inputs)
        return tuple([shape[i] if dim is None else dim for i, dim in enumerate(self.noise_shape)])

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not 0.0 < self.rate < 1.0:
            return inputs
        noise_shape = self._get_noise_shape(inputs)
        return K.in_train_phase(
            lambda: K.dropout(inputs, self.rate, noise_shape, seed=self.seed), inputs, training=training
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}


@register
class SpatialDropout1D(Dropout):
    """Dropout of whole features of sequences: (batch, steps, features) with a mask (batch, 1, features).

    Tompson et al., arXiv:1411.4280.
    """

    def __init__(self, rate: float, **kwargs: Any):
        super().__init__(rate, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _get_noise_shape(self, inputs: Any) -> Any:
        shape = K.shape(inputs)
        return (shape[0], 1, shape[2])


class _SpatialDropout(Dropout):
    """Dropout of whole channels of images or volumes: one decision for all positions of a channel."""

    _axes = 2

    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any):
        super().__init__(rate, **kwargs)
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._axes + 2)

    def _get_noise_shape(self, inputs: Any) -> Any:
        shape, ones = K.shape(inputs), (1,) * self._axes
        if self.data_format == "channels_first":
            return (shape[0], shape[1], *ones)
        return (shape[0], *ones, shape[self._axes + 1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": self.data_format}


@register
class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images (Tompson et al., arXiv:1411.4280).

    Args:
        rate: share of the channels that are set to 0 in training.
        data_format: ``'channels_last'`` or ``'channels_first'``; the global setting if None.
    """

    _axes = 2


@register
class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes; see :class:`SpatialDropout2D`."""

    _axes = 3


@register
class Flatten(Layer):
    """(n, a, b, ...) -> (n, a * b * ...).

    Args:
        data_format: ``'channels_first'`` puts the channels last before, so that weights after it do not depend on the
            layout. By default the layout of images from Keras 2.2 on (API levels 2.2 and 2.3), unless it was set in
            Keras 1's word; else ``'channels_last'``: in the order of the input.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = InputSpec(min_ndim=2)
        self.data_format = K.normalize_data_format(data_format or K.layout_to_flatten())

    @classmethod
    def _arguments_of(cls, config: dict[str, Any]) -> dict[str, Any]:
        # A config without a layout is of Keras before 2.2, which flattened in order.
        before = {"data_format": "channels_last"} if cls is Flatten else {}
        return before | super()._arguments_of(config)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if None in input_shape[1:]:
            raise ValueError(
                f'[{self.name}] The shape of the input to "Flatten" is not fully defined (got {input_shape[1:]}). '
                'Make sure to pass a complete "input_shape" or "batch_input_shape" argument to the first layer in '
                "your model."
            )
        return (input_shape[0], int(np.prod(input_shape[1:], dtype=np.int64)))

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(shape_of(inputs))  # the error for an open shape
        if self.data_format == "channels_first" and K.ndim(inputs) > 2:
            inputs = K.permute_dimensions(inputs, (0, *range(2, K.ndim(inputs)), 1))
        return K.batch_flatten(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"data_format": self.data_format}


@register
class Reshape(Layer):
    """(n, ...) -> (n, *target_shape); one dimension may be -1."""

    def __init__(self, target_shape: Shape, **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest = tuple(input_shape[1:])
        if None in rest:
            return (input_shape[0], *[dim if dim != -1 else None for dim in self.target_shape])
        size = int(np.prod(rest, dtype=np.int64))
        known = int(np.prod([d for d in self.target_shape if d is not None and d != -1], dtype=np.int64))
        open_dims = sum(d == -1 for d in self.target_shape)
        if open_dims > 1 or (open_dims and (known == 0 or size % known)) or (not open_dims and known != size):
            raise ValueError(
                f"[{self.name}] total size of new array must be unchanged: input {rest} has {size} elements a sample, "
                f"target_shape={self.target_shape}. Use one -1 for the dimension to be worked out."
            )
        return (input_shape[0], *[d if d != -1 else size // known for d in self.target_shape])

    def call(self, inputs: Any) -> Any:
        shape = self.compute_output_shape(shape_of(inputs))[1:]
        batch = K.shape(inputs)[0] if None in shape else -1
        return K.reshape(inputs, (batch, *[d if d is not None else -1 for d in shape]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"target_shape": self.target_shape}


@register
class Permute(Layer):
    """Reorders the axes of each sample; ``dims`` counts them from 1: ``Permute((2, 1))`` swaps two.

    Raises ValueError where an axis is missing or named twice.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"[Permute] dims must hold each axis from 1 to {len(self.dims)} once; got {self.dims}. "
                "The batch axis, 0, is not counted."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *[input_shape[d] for d in self.dims])

    def call(self, inputs: Any) -> Any:
        return K.permute_dimensions(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dims": self.dims}


@register
class RepeatVector(Layer):
    """(batch, features) -> (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = _whole("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])

    def call(self, inputs: Any) -> Any:
        return K.repeat(inputs, self.n)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n": self.n}


@register
class Lambda(Layer):
    """Wraps a function of tensors as a layer.

    Args:
        function: called with the input tensor(s) and ``arguments``.
        output_shape: shape without batch, or function of the input shape; found by itself where left out.
        mask: mask of the output, or function of (inputs, mask).
        arguments: further keyword arguments.

    A config holds the function's name only. It is found again among ``custom_objects`` and what this process has
    written. Files of Keras hold Python byte code, which is run only where ``allow_code=True`` says so; a function of
    the layer's name among the ``custom_objects`` takes its place.

    Raises TypeError for what is no function, and another kind of ``output_shape``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(
                f"[Lambda] expected a function of tensors; got {type(function).__name__}. Write Lambda(lambda x: x ** "
                "2)."
            )
        self.function = function
        self.arguments = arguments or {}
        if mask is not None:
            self.supports_masking = True
        self.mask = mask
        self._output_shape = output_shape
        if output_shape is not None and not callable(output_shape) and not isinstance(output_shape, (tuple, list)):
            raise TypeError(
                f"[Lambda] In Lambda, `output_shape` must be a list, a tuple, or a function; got {output_shape!r}. "
                "Give the shape without the batch axis."
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        arguments = dict(self.arguments)
        if "mask" not in arguments and has_arg(self.function, "mask"):
            arguments["mask"] = mask
        return self.function(inputs, **arguments)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        many = isinstance(input_shape, list)
        if self._output_shape is None:
            return self._probed_shape(input_shape)
        return (input_shape[0][0] if many else input_shape[0], *tuple(self._output_shape))

    def _probed_shape(self, input_shape: Any) -> Any:
        """Shape of what the function makes of placeholders of that shape."""
        if isinstance(input_shape, list):
            out = self.call([K.placeholder(shape=s) for s in input_shape])
        else:
            out = self.call(K.placeholder(shape=input_shape))
        return [shape_of(y) for y in out] if isinstance(out, (list, tuple)) else shape_of(out)

    def _declare_shapes(self, input_shape: Any, outputs: list[Any]) -> None:
        if self._output_shape is None:
            for y in outputs:  # the function was just run: the tensors know their shapes
                y._keras_shape = tuple(y.shape)
        else:
            super()._declare_shapes(input_shape, outputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "function": text_of(self.function),
            "function_type": "function",
            "output_shape": text_of(self._output_shape) if callable(self._output_shape) else self._output_shape,
            "output_shape_type": "function" if callable(self._output_shape) else "raw",
            "arguments": self.arguments,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None, *, allow_code: bool = False
    ) -> Any:
        """The layer that a config describes; its functions come from ``custom_objects`` or this process.

        Raises:
            UnsafeModelError: the function is Python byte code, and ``allow_code`` is not True.
        """
        config = dict(config)
        name = config.get("name", "lambda")
        known = known_objects(custom_objects)
        for part in ("function", "output_shape", "mask"):
            kind = config.pop(f"{part}_type", None)
            config.pop("module", None)
            config.pop(f"{part}_module", None)
            value = config.get(part)
            if (kind == "lambda" and value is not None) or (is_byte_code(value) and part != "output_shape"):
                # Files of Keras hold Python byte code here; a function of the layer's name may stand in for it.
                with code_allowed_if(allow_code):
                    if part == "function" and callable(known.get(name)):
                        config[part] = known[name]
                    elif part == "output_shape" and not is_code_allowed():
                        config[part] = None  # found by itself
                    else:
                        config[part] = function_in(value, name, part, known)
                continue
            if kind == "function" and isinstance(value, str):
                config[part] = function_of(value, custom_objects)
                if config[part] is None:
                    raise ValueError(
                        f"[Lambda] the {part} {value!r} of layer {name!r} is not known. Pass it: "
                        f"custom_objects={{{value!r}: {value if value.isidentifier() else 'function'}}}."
                    )
        arguments = config.get("arguments") or {}
        for key, value in arguments.items():  # arrays were written as {"type": "ndarray", "value": [...]}
            if isinstance(value, dict) and value.get("type") == "ndarray":
                arguments[key] = np.array(value["value"])
        return cls(**config)


@register
class ActivityRegularization(Layer):
    """Passes its input on and adds ``l1 * sum(|x|) + l2 * sum(x ** 2)`` to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self.activity_regularizer = regularizers.L1L2(l1=l1, l2=l2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l1": self.l1, "l2": self.l2}


@register
class Masking(Layer):
    """Masks the steps of a sequence whose features all equal ``mask_value``: layers after it skip them."""

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return K.any(K.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = K.any(K.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * K.cast(kept, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mask_value": self.mask_value}


def _whole(layer: str, name: str, value: Any) -> int:
    """A count of at least 1, from a Python or NumPy number."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer, float, np.floating)) or int(value) != value:
        raise ValueError(f"[{layer}] {name} must be a whole number; got {value!r}. Write {layer}(10).")
    if value < 1:
        raise ValueError(f"[{layer}] {name} must be at least 1; got {value!r}.")
    return int(value)
