"""Layers that Keras 2 does not have: real classes that speak Keras 1's words, in their arguments and configs.

``Merge`` and ``merge``, ``MaxoutDense``, ``Highway``, ``TimeDistributedDense``, ``ParametricSoftplus``, ``SReLU`` of
1.2.2 and ``ThresholdedLinear`` of 0.3.3. :func:`place` puts them where programs import them from. What is only another
mode of a layer (Keras 1's modes of BatchNormalization, dropout of Embedding) is in that layer.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine import registry
from keras_compat.engine.byte_code import function_in
from keras_compat.engine.functions import function_of, text_of
from keras_compat.engine.input_layer import Input
from keras_compat.engine.layer import InputSpec, Layer, shape_of
from keras_compat.engine.loading import is_code_allowed
from keras_compat.layers.advanced_activations import listed_axes, per_feature_spec, shape_per_feature
from keras_compat.layers.core import Dense
from keras_compat.layers.merge import concatenated_mask, dot_shape
from keras_compat.utils.generic_utils import known_objects, to_list, warn

# -- merging ----------------------------------------------------------------------------------------------------------

_SAME_SHAPE = ("sum", "mul", "ave", "max")
_MODES = (*_SAME_SHAPE, "concat", "dot", "cos")


@registry.register
class Merge(Layer):
    """Makes one tensor of several, which it takes from layers or models right away, or when it is called.

        merged = Merge([left_branch, right_branch], mode='concat')   # sequential models
        model = Sequential([merged, Dense(10)])
        z = Merge(mode='sum')([x, y])                                # tensors

    Args:
        layers: layers or models (at least two) whose outputs are merged; None to call the layer on tensors.
        mode: ``'sum'``, ``'mul'``, ``'ave'``, ``'max'`` (tensors of one shape), ``'concat'``, ``'dot'``, ``'cos'``
            (of two), or a function of the list of tensors, or of as many tensors as there are.
        concat_axis: axis of ``'concat'``, batch counted.
        dot_axes: axis or pair of axes of ``'dot'`` and ``'cos'``, batch counted.
        output_shape: with a function as mode: shape without batch, or function of the list of input shapes. Found by
            itself where left out.
        output_mask: with a function as mode: mask, or function of the list of masks.
        arguments: with a function as mode: its further keyword arguments.
        node_indices, tensor_indices: which call of each layer, and which of its outputs, is meant (0 by default).

    ``'cos'`` declares (batch, 1) for vectors; at API level 1.2 it gives (batch, 1, 1), as Keras 1 did.
    """

    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        mode: Any = "sum",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        output_shape: Any = None,
        output_mask: Any = None,
        arguments: dict[str, Any] | None = None,
        node_indices: Sequence[int] | None = None,
        tensor_indices: Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        self.layers: list[Any] = []
        super().__init__(**({"name": name} if name else {}), **kwargs)
        if not callable(mode) and mode not in _MODES:
            raise ValueError(
                f"[Merge] Invalid merge mode: expected one of {', '.join(map(repr, _MODES))} or a function; got "
                f"{mode!r}. Check the spelling."
            )
        if output_shape is not None and not callable(output_shape) and not isinstance(output_shape, (tuple, list)):
            raise TypeError(
                f"[Merge] output_shape must be a tuple or list (without batch), or a function of the input shapes; got "
                f"{output_shape!r}. For 5 features write (5,)."
            )
        self.mode = mode
        self.concat_axis = concat_axis
        self.dot_axes = dot_axes
        self.arguments = arguments or {}
        self._output_shape = output_shape
        self._output_mask = output_mask
        self.node_indices = None if node_indices is None else list(node_indices)
        self.tensor_indices = None if tensor_indices is None else list(tensor_indices)
        self.supports_masking = True
        if layers:
            self._take(list(layers))

    def _take(self, layers: list[Any]) -> None:
        """Call the layer on the outputs of layers or models."""
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"[Merge] expected a list of layers or models; got {layer!r} in it. Merge tensors with "
                    "merge([x, y]), or with Merge()([x, y])."
                )
        for what, indices in (("node_indices", self.node_indices), ("tensor_indices", self.tensor_indices)):
            if indices is not None and len(indices) != len(layers):
                raise ValueError(f"[Merge] {what} needs one number for each of {len(layers)} layers; got {indices}.")
        calls = self.node_indices or [0] * len(layers)
        outputs = self.tensor_indices or [0] * len(layers)
        tensors = []
        for layer, call, output in zip(layers, calls, outputs):
            called(layer)
            made = to_list(layer.get_output_at(call))
            tensors.append(made[output])
            self.layers.append(layer)
            self._track_layer(layer)
        self(tensors)

    def build(self, input_shape: Any) -> None:
        self._checked(input_shape)
        self.built = True

    def _checked(self, input_shape: Any) -> list[tuple[Any, ...]]:
        if not isinstance(input_shape, list) or len(input_shape) < 2:
            raise ValueError(
                f"[{self.name}] Merge should be called on a list of at least two inputs; got {input_shape}. Write "
                "merge([x, y])."
            )
        shapes = [tuple(s) for s in input_shape]
        if self.mode in _SAME_SHAPE and not _alike(shapes):
            raise ValueError(
                f"[{self.name}] Only layers of same output shape can be merged using {self.mode} mode. Layer shapes: "
                f"{shapes}. Put a Dense or Reshape before one?"
            )
        if self.mode in ("dot", "cos"):
            axes = self._axes(shapes)
            if isinstance(self.dot_axes, (int, np.integer)):
                self.dot_axes = list(axes)  # as 1.2.2 shows it in configs
        if self.mode == "concat":
            axis = self.concat_axis
            rest = [s[: axis % len(s)] + s[axis % len(s) + 1 :] for s in shapes if -len(s) <= axis < len(s)]
            if len(rest) != len(shapes) or not _alike(rest):
                raise ValueError(
                    f'[{self.name}] "concat" mode can only merge layers with matching output shapes except for the '
                    f"concat axis ({axis}). Layer shapes: {shapes}. Choose another concat_axis?"
                )
        return shapes

    def _axes(self, shapes: list[tuple[Any, ...]]) -> tuple[int, int]:
        if len(shapes) != 2:
            raise ValueError(f"[{self.name}] {self.mode} merge takes exactly 2 layers; got {len(shapes)}: {shapes}.")
        axes = [self.dot_axes] * 2 if isinstance(self.dot_axes, (int, np.integer)) else self.dot_axes
        if isinstance(axes, (list, tuple)):  # Keras 0.x: ([1], [1])
            axes = [a[0] if isinstance(a, (list, tuple)) and len(a) == 1 else a for a in axes]
        if (
            not isinstance(axes, (list, tuple))
            or len(axes) != 2
            or not all(isinstance(a, (int, np.integer)) for a in axes)
        ):
            raise TypeError(
                f"[{self.name}] dot_axes is an axis or a pair of axes; got {self.dot_axes!r}. Write (1, 2)."
            )
        for axis, shape in zip(axes, shapes):
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"[{self.name}] dot_axes {axes} do not exist in {shapes}. The batch is axis 0.")
        a, b = [int(axis) % len(shape) for axis, shape in zip(axes, shapes)]
        left, right = shapes[0][a], shapes[1][b]
        if left is not None and right is not None and left != right:
            raise ValueError(
                f"[{self.name}] Dimension incompatibility using dot mode: {left} != {right}. Layer shapes: {shapes}, "
                f"dot_axes: {self.dot_axes}. Choose others?"
            )
        return a, b

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if not isinstance(inputs, list) or len(inputs) < 2:
            raise TypeError(
                f"[{self.name}] Merge must be called on a list of tensors (at least 2). Got: {inputs}. Write "
                "merge([x, y])."
            )
        if callable(self.mode):
            arguments = dict(self.arguments)
            if "mask" not in arguments and "mask" in _named(self.mode):
                arguments["mask"] = mask
            if _takes_each(self.mode, arguments, len(inputs)):
                return self.mode(*inputs, **arguments)
            return self.mode(inputs, **arguments)
        if self.mode == "concat":
            return K.concatenate(inputs, axis=self.concat_axis)
        if self.mode in ("dot", "cos"):
            return self._dot(*inputs)
        output = inputs[0]
        for x in inputs[1:]:
            output = output * x if self.mode == "mul" else K.maximum(output, x) if self.mode == "max" else output + x
        return output / len(inputs) if self.mode == "ave" else output

    def _dot(self, x: Any, y: Any) -> Any:
        a, b = self._axes([shape_of(x), shape_of(y)])
        product = K.batch_dot(x, y, (a, b))
        if self.mode == "dot":
            return product
        norms = K.sqrt(K.batch_dot(x, x, (a, a)) * K.batch_dot(y, y, (b, b)))
        cosine = product / K.maximum(norms, K.epsilon())
        return K.expand_dims(cosine, 1) if get_api_level() == "1.2" else cosine

    def _declare_shapes(self, input_shape: Any, outputs: list[Any]) -> None:
        super()._declare_shapes(input_shape, outputs)
        if self.mode == "cos":
            outputs[0]._keras_shape = self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._checked(input_shape)
        if callable(self.mode):
            if callable(self._output_shape):
                return tuple(self._output_shape(input_shape))
            if self._output_shape is not None:
                return (shapes[0][0], *self._output_shape)
            return shape_of(self.call([K.placeholder(shape=s) for s in shapes]))
        if self.mode == "concat":
            axis = self.concat_axis % len(shapes[0])
            lengths = [s[axis] for s in shapes]
            total = None if None in lengths else sum(n for n in lengths if n is not None)
            out = _common(shapes)
            return (*out[:axis], total, *out[axis + 1 :])
        if self.mode in ("dot", "cos"):
            return dot_shape(shapes[0], shapes[1], self._axes(shapes))
        return _common(shapes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        masks = to_list(mask)
        if callable(self.mode):
            return self._output_mask(mask) if callable(self._output_mask) else self._output_mask
        if all(m is None for m in masks) or self.mode in ("dot", "cos"):
            return None
        if self.mode == "concat":
            return concatenated_mask(inputs, masks, self.concat_axis)
        given = [m for m in masks if m is not None]
        return given[0] if len(given) == 1 else K.all(K.stack(given, axis=0), axis=0)

    def get_config(self) -> dict[str, Any]:
        """As 1.2.2 writes it: functions by name, with the kind of each beside it.

        A Sequential that begins with the layer adds the branches; in a functional model they are layers themselves.
        """
        config: dict[str, Any] = {
            "name": self.name,
            "concat_axis": self.concat_axis,
            "dot_axes": self.dot_axes,
            "arguments": self.arguments,
        }
        for key, value in (
            ("mode", self.mode),
            ("output_shape", self._output_shape),
            ("output_mask", self._output_mask),
        ):
            config[key] = text_of(value) if callable(value) else value
            config[f"{key}_type"] = "function" if callable(value) else "raw"
        return config if self.trainable else config | {"trainable": False}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The layer that ``get_config`` described; its branches are made anew. Functions come from custom_objects."""
        config = dict(config)
        known = known_objects(custom_objects)
        name = config.get("name", "merge")
        for key in ("mode", "output_shape", "output_mask"):
            kind, value = config.pop(f"{key}_type", "raw"), config.get(key)
            if kind == "raw":
                continue
            wanted = str(value if kind == "function" else name)
            found = function_of(wanted, custom_objects) if kind == "function" else known.get(name)
            if callable(found):
                config[key] = found
            elif kind == "lambda" and key != "mode" and not is_code_allowed():
                config[key] = None
            elif kind == "lambda":
                config[key] = function_in(value, name, key, known)
            else:
                raise ValueError(
                    f"[Merge] the {key} of layer {name!r} is a function that is not known ({value!r}). Pass it: "
                    f"custom_objects={{{wanted!r}: function}}."
                )
        layers = config.pop("layers", None)
        if layers:
            made: list[Any] = []
            for k, layer in enumerate(layers):
                # A branch that is listed twice is one branch: its layers have the same names.
                first = next((i for i in range(k) if _equal(layers[i], layer)), None)
                made.append(
                    registry.deserialize(layer, custom_objects=custom_objects) if first is None else made[first]
                )
            config["layers"] = made
        return cls(**config)


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except ValueError:  # arrays among the arguments of a Lambda
        return False


def called(layer: Any) -> None:
    """Call a layer that was not called yet on an Input of the shape that it names."""
    if layer._inbound_nodes:
        return
    shape = getattr(layer, "batch_input_shape", None)
    if shape is None:
        raise ValueError(
            f"[merge] layer {layer.name} has no output yet, and no input shape to make one. Give it input_shape=(...), "
            "or call it on an Input first."
        )
    layer(Input(batch_shape=shape, dtype=layer.dtype, name=layer.name + "_input"))


def _alike(shapes: list[tuple[Any, ...]]) -> bool:
    """Tell whether shapes can be the same; None is any length."""
    if len({len(s) for s in shapes}) > 1:
        return False
    return all(len({n for n in lengths if n is not None}) <= 1 for lengths in zip(*shapes))


def _common(shapes: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """What is known of each length."""
    return tuple([next((n for n in lengths if n is not None), None) for lengths in zip(*shapes)])


def _named(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def _takes_each(function: Callable[..., Any], arguments: dict[str, Any], count: int) -> bool:
    """Tell whether a user's function wants the tensors one by one instead of one list."""
    parameters = [p for name, p in _named(function).items() if name not in arguments]
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(needed) == count or (len(needed) < count and any(p.kind is p.VAR_POSITIONAL for p in parameters))


def merge(
    inputs: list[Any],
    mode: Any = "sum",
    concat_axis: int = -1,
    dot_axes: Any = -1,
    output_shape: Any = None,
    output_mask: Any = None,
    arguments: dict[str, Any] | None = None,
    name: str | None = None,
) -> Any:
    """One tensor of several, ``merge([x, y], mode='sum')``; for the arguments see :class:`Merge`.

    A list of layers or models is merged by their outputs.
    """
    layer = Merge(
        mode=mode,
        concat_axis=concat_axis,
        dot_axes=dot_axes,
        output_shape=output_shape,
        output_mask=output_mask,
        arguments=arguments,
        name=name,
    )
    if all(isinstance(x, Layer) for x in inputs):
        layer._take(list(inputs))
        return layer
    return layer(list(inputs))


# -- weights ----------------------------------------------------------------------------------------------------------


def _first_shape(kwargs: dict[str, Any], input_dim: int | None, *lead: int | None) -> dict[str, Any]:
    """Arguments of the base class with ``input_dim`` (and ``input_length``) as ``input_shape``."""
    if input_dim is not None and "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
        kwargs["input_shape"] = (*lead, input_dim)
    return kwargs


class _Linear(Layer):
    """What MaxoutDense and Highway share: the arguments of a linear map in Keras 1's words."""

    def _set_rules(
        self,
        init: Any,
        W_regularizer: Any,
        b_regularizer: Any,
        activity_regularizer: Any,
        W_constraint: Any,
        b_constraint: Any,
        bias: bool,
        input_dim: int | None,
    ) -> None:
        self.init = initializers.get(init)
        self.W_regularizer = regularizers.get(W_regularizer)
        self.b_regularizer = regularizers.get(b_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.W_constraint = constraints.get(W_constraint)
        self.b_constraint = constraints.get(b_constraint)
        self.bias = bias
        self.input_dim = input_dim
        self.input_spec = InputSpec(ndim=2)

    def _matrix(self, name: str, shape: tuple[int, ...], rules: bool = True) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=self.init,
            regularizer=self.W_regularizer if rules else None,
            constraint=self.W_constraint if rules else None,
        )

    def _vector(self, name: str, shape: tuple[int, ...], start: str, rules: bool = True) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=start,
            regularizer=self.b_regularizer if rules else None,
            constraint=self.b_constraint if rules else None,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "init": initializers.serialize(self.init),
            "W_regularizer": regularizers.serialize(self.W_regularizer),
            "b_regularizer": regularizers.serialize(self.b_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "W_constraint": constraints.serialize(self.W_constraint),
            "b_constraint": constraints.serialize(self.b_constraint),
            "bias": self.bias,
            "input_dim": self.input_dim,
        }


@registry.register
class MaxoutDense(_Linear):
    """The largest of ``nb_feature`` linear maps: ``max over k of x @ W[k] + b[k]``, (batch, n) -> (batch, output_dim).

    Goodfellow et al., arXiv:1302.4389. Weights: W (nb_feature, n, output_dim), b (nb_feature, output_dim).
    """

    def __init__(
        self,
        output_dim: int,
        nb_feature: int = 4,
        init: Any = "glorot_uniform",
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(weights=weights, **_first_shape(kwargs, input_dim))
        self.output_dim = output_dim
        self.nb_feature = nb_feature
        self._set_rules(
            init, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint, bias, input_dim
        )

    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        self.W = self._matrix("W", (self.nb_feature, n, self.output_dim))
        self.b = self._vector("b", (self.nb_feature, self.output_dim), "zeros") if self.bias else None
        self.input_spec = InputSpec(ndim=2, axes={-1: n})
        self.built = True

    def call(self, inputs: Any) -> Any:
        maps = K.dot(inputs, self.W)
        return K.max(maps + self.b if self.bias else maps, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"output_dim": self.output_dim, "nb_feature": self.nb_feature}


@registry.register
class Highway(_Linear):
    """``t * activation(x @ W + b) + (1 - t) * x`` with the gate ``t = sigmoid(x @ W_carry + b_carry)``.

    Srivastava et al., arXiv:1505.00387. Weights: W, W_carry (n, n), b, b_carry (n,); b_carry starts as ones. At API
    level 0.3 their order is W, b, W_carry, b_carry, and b_carry starts as -2.

    Args:
        transform_bias: what b_carry starts as at API level 0.3; ignored, with a warning, at others, as in 1.2.2.
    """

    def __init__(
        self,
        init: Any = "glorot_uniform",
        activation: Any = None,
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        *,
        transform_bias: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(weights=weights, **_first_shape(kwargs, input_dim))
        self.activation = activations.get(activation)
        self.transform_bias = None
        if is_keras_0():
            self.transform_bias = -2 if transform_bias is None else transform_bias
        elif transform_bias is not None:
            warn("[Highway] transform_bias is of Keras 0.x; it is ignored since 1.0, as here. Leave it out.")
        self._set_rules(
            init, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint, bias, input_dim
        )

    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        self.W = self._matrix("W", (n, n))
        self.W_carry = self._matrix("W_carry", (n, n), rules=False)
        self.b: Any = None
        self.b_carry: Any = None
        if self.bias:
            self.b = self._vector("b", (n,), "zeros")
            self.b_carry = self._vector("b_carry", (n,), self._gate_start(), rules=False)
            if is_keras_0():
                self._trainable_weights = [self.W, self.b, self.W_carry, self.b_carry]
        self.input_spec = InputSpec(ndim=2, axes={-1: n})
        self.built = True

    def _gate_start(self) -> Any:
        return "ones" if self.transform_bias is None else initializers.Constant(self.transform_bias)

    def call(self, inputs: Any) -> Any:
        gate, new = K.dot(inputs, self.W_carry), K.dot(inputs, self.W)
        if self.bias:
            gate, new = gate + self.b_carry, new + self.b
        gate = K.sigmoid(gate)
        if self.activation is not None:
            new = self.activation(new)
        return new * gate + (1.0 - gate) * inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"activation": activations.serialize(self.activation)}
        return config if self.transform_bias is None else config | {"transform_bias": self.transform_bias}


@registry.register
class TimeDistributedDense(Dense):
    """A Dense at each step of a sequence, (batch, steps, n) -> (batch, steps, output_dim), in Keras 1's words."""

    def __init__(
        self,
        output_dim: int,
        init: Any = "glorot_uniform",
        activation: Any = None,
        weights: Any = None,
        W_regularizer: Any = None,
        b_regularizer: Any = None,
        activity_regularizer: Any = None,
        W_constraint: Any = None,
        b_constraint: Any = None,
        bias: bool = True,
        input_dim: int | None = None,
        input_length: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            output_dim,
            activation=activation,
            use_bias=bias,
            kernel_initializer=init,
            kernel_regularizer=W_regularizer,
            bias_regularizer=b_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=W_constraint,
            bias_constraint=b_constraint,
            weights=weights,
            **_first_shape(kwargs, input_dim, input_length),
        )
        self.output_dim = output_dim
        self.input_dim = input_dim
        self.input_length = input_length
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def get_config(self) -> dict[str, Any]:
        return Layer.get_config(self) | {
            "output_dim": self.output_dim,
            "init": initializers.serialize(self.kernel_initializer),
            "activation": activations.serialize(self.activation),
            "W_regularizer": regularizers.serialize(self.kernel_regularizer),
            "b_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "W_constraint": constraints.serialize(self.kernel_constraint),
            "b_constraint": constraints.serialize(self.bias_constraint),
            "bias": self.use_bias,
            "input_dim": self.input_dim,
            "input_length": self.input_length,
        }


# -- activations ------------------------------------------------------------------------------------------------------


@registry.register
class ParametricSoftplus(Layer):
    """``alpha * log(1 + e ** (beta * x))`` with weights alpha and beta for each feature.

    Args:
        alpha_init, beta_init: their values at the start.
        shared_axes: axes along which one weight serves all, batch counted.
    """

    def __init__(
        self,
        alpha_init: float = 0.2,
        beta_init: float = 5.0,
        weights: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(weights=weights, **kwargs)
        self.supports_masking = True
        self.alpha_init = float(K.cast_to_floatx(alpha_init))
        self.beta_init = float(K.cast_to_floatx(beta_init))
        self.shared_axes = listed_axes(shared_axes)

    def build(self, input_shape: Any) -> None:
        shape = shape_per_feature(input_shape, self.shared_axes)
        self.alphas = self.add_weight(name="alphas", shape=shape, initializer=initializers.Constant(self.alpha_init))
        self.betas = self.add_weight(name="betas", shape=shape, initializer=initializers.Constant(self.beta_init))
        self.input_spec = per_feature_spec(input_shape, self.shared_axes)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return K.softplus(self.betas * inputs) * self.alphas

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "alpha_init": self.alpha_init,
            "beta_init": self.beta_init,
            "shared_axes": self.shared_axes,
        }


@registry.register
class SReLU(Layer):
    """Three straight pieces: slope ``a_left`` below ``t_left``, 1 between, ``a_right`` above the right threshold.

    The right threshold is ``t_left + abs(t_right)``. Jin et al., arXiv:1512.07030. Weights for each feature: t_left,
    a_left, t_right, a_right.

    Args:
        shared_axes: axes along which one weight serves all, batch counted.
    """

    def __init__(
        self,
        t_left_init: Any = "zeros",
        a_left_init: Any = "glorot_uniform",
        t_right_init: Any = "glorot_uniform",
        a_right_init: Any = "ones",
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.t_left_init = initializers.get(t_left_init)
        self.a_left_init = initializers.get(a_left_init)
        self.t_right_init = initializers.get(t_right_init)
        self.a_right_init = initializers.get(a_right_init)
        self.shared_axes = listed_axes(shared_axes)

    def build(self, input_shape: Any) -> None:
        shape = shape_per_feature(input_shape, self.shared_axes)
        self.t_left = self.add_weight(name="t_left", shape=shape, initializer=self.t_left_init)
        self.a_left = self.add_weight(name="a_left", shape=shape, initializer=self.a_left_init)
        self.t_right = self.add_weight(name="t_right", shape=shape, initializer=self.t_right_init)
        self.a_right = self.add_weight(name="a_right", shape=shape, initializer=self.a_right_init)
        self.input_spec = per_feature_spec(input_shape, self.shared_axes)
        self.built = True

    def call(self, inputs: Any) -> Any:
        width = K.abs(self.t_right)
        above = inputs - self.t_left
        center = K.minimum(K.relu(above), width) - self.a_left * K.relu(-above)
        return self.t_left + center + self.a_right * K.relu(above - width)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "t_left_init": initializers.serialize(self.t_left_init),
            "a_left_init": initializers.serialize(self.a_left_init),
            "t_right_init": initializers.serialize(self.t_right_init),
            "a_right_init": initializers.serialize(self.a_right_init),
            "shared_axes": self.shared_axes,
        }


@registry.register
class ThresholdedLinear(Layer):
    """x where ``abs(x) >= theta``, else 0 (Keras 0.x; Konda et al., arXiv:1402.3337)."""

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.theta = float(K.cast_to_floatx(theta))

    def call(self, inputs: Any) -> Any:
        return inputs * K.cast(K.greater_equal(K.abs(inputs), self.theta), K.dtype(inputs))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"theta": self.theta}


# -- where programs look for them -------------------------------------------------------------------------------------

# Module of the package -> classes and functions that it offers beside its own.
_OFFERED: dict[str, tuple[Any, ...]] = {
    "layers": (Merge, MaxoutDense, Highway, TimeDistributedDense, ParametricSoftplus, SReLU, ThresholdedLinear),
    "layers.core": (Merge, MaxoutDense, Highway, TimeDistributedDense),
    "layers.advanced_activations": (ParametricSoftplus, SReLU, ThresholdedLinear),
    "layers.merge": (Merge,),
    "engine": (Merge, merge),
    "models": (Merge,),
}


class _CallableModule(ModuleType):
    """The module ``layers.merge``, which is a function of Keras 1 as well."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return merge(*args, **kwargs)

    __signature__ = inspect.signature(merge)


def place(package: str) -> None:
    """Put the layers into the modules that programs import them from, and make ``layers.merge`` callable."""
    for name, objects in _OFFERED.items():
        module = sys.modules[f"{package}.{name}"]
        for thing in objects:
            setattr(module, thing.__name__, thing)
    sys.modules[f"{package}.layers.merge"].__class__ = _CallableModule
