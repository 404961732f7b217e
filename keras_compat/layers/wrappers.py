"""Layers around a layer: TimeDistributed applies it to each step, Bidirectional reads a sequence both ways."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.engine.layer import (
    InputSpec,
    Layer,
    name_scope,
    on_values,
    output_shapes_of,
    shape_of,
    tensor_key,
    unique,
)
from keras_compat.engine.own_objects import own_objects
from keras_compat.engine.registry import deserialize, register, serialize
from keras_compat.layers.core import Lambda
from keras_compat.layers.recurrent import call_arguments
from keras_compat.utils.generic_utils import has_arg, object_list_uid, to_list

MERGE_MODES = ("sum", "mul", "concat", "ave", None)


@register
class Wrapper(Layer):
    """Base of layers that hold another one, ``layer``; its weights, losses and updates count as the wrapper's.

    Raises ValueError for what is no layer.
    """

    layer: Any

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"[{type(self).__name__}] expected a layer to wrap; got {type(layer).__name__}. Write "
                f"{type(self).__name__}(Dense(10))."
            )
        self._hold(layer)
        trainable = kwargs.get("trainable", layer.trainable)
        super().__init__(**kwargs)
        self.trainable = trainable
        # Tensors that a call of the inner layer got, by those that the wrapper got; programs look into it.
        self._input_map: dict[str, Any] = {}

    def _hold(self, layer: Any) -> None:
        object.__setattr__(self, "layer", layer)
        self._layers = [layer]

    @property
    def trainable(self) -> bool:
        """The inner layer's ``trainable``."""
        return self.layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.layer.trainable = value

    @property
    def activity_regularizer(self) -> Any:
        """The inner layer's penalty, applied to the wrapper's output."""
        return getattr(self.layer, "activity_regularizer", None)

    def build(self, input_shape: Any = None) -> None:
        self.built = True

    def _build_inner(self, layer: Any, input_shape: Any) -> None:
        if not layer.built:
            layer.build(input_shape)
            layer.built = True
            if layer._initial_weights is not None:
                layer.set_weights(layer._initial_weights)
                layer._initial_weights = None

    @property
    def trainable_weights(self) -> list[Any]:
        """The inner layer's."""
        return unique(self._trainable_weights + self.layer.trainable_weights)

    @trainable_weights.setter
    def trainable_weights(self, weights: Iterable[Any]) -> None:
        self._trainable_weights = list(weights)

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The inner layer's."""
        return unique(self._non_trainable_weights + self.layer.non_trainable_weights)

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: Iterable[Any]) -> None:
        self._non_trainable_weights = list(weights)

    def get_weights(self) -> list[np.ndarray]:
        """The inner layer's weights."""
        return self.layer.get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the inner layer's weights."""
        self.layer.set_weights(weights)

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        found = list(self._per_input_updates.get(tensor_key(inputs), ()))
        return found + self.layer.get_updates_for(self._of_inner(inputs))

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        found = list(self._per_input_losses.get(tensor_key(inputs), ()))
        return found + self.layer.get_losses_for(self._of_inner(inputs))

    def _of_inner(self, inputs: Any) -> Any:
        return inputs if inputs is None else self._input_map.get(object_list_uid(inputs), inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        layer = deserialize(config.pop("layer"), custom_objects=custom_objects)
        return cls(layer, **config)


@register
class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence: (batch, time, ...) -> (batch, time, ...).

        model.add(TimeDistributed(Dense(8), input_shape=(10, 16)))    # (None, 10, 16) -> (None, 10, 8)

    The steps of all samples go through the layer as one large batch, so that a batch normalization inside takes its
    statistics over samples and steps. Only where the batch size is fixed and the layer is, or holds, one of the user's
    own or a Lambda, it is called for one step after the other, as Keras does: such a layer may count on that size.
    """

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        if len(input_shape) < 3:
            raise ValueError(
                f"[{self.name}] `TimeDistributed` expects inputs of rank 3 or more, (batch, time, ...); got the shape "
                f"{tuple(input_shape)}. Is the time axis missing?"
            )
        self.input_spec = InputSpec(min_ndim=3, axes={a: d for a, d in enumerate(input_shape) if a > 1})
        self._build_inner(self.layer, (input_shape[0], *input_shape[2:]))
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (inner[0], input_shape[1], *inner[1:])

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        arguments: dict[str, Any] = {}
        if has_arg(self.layer.call, "training"):
            arguments["training"] = training
        shape = shape_of(inputs)
        if shape[0] is not None and _has_user_code(self.layer):
            _, out, _ = K.rnn(lambda x, _: (self.layer.call(x, **arguments), []), inputs, [])
            inner = output_shapes_of(self.layer.compute_output_shape((shape[0], *shape[2:])), 1)[0]
            out._keras_shape = (*shape[:2], *inner[1:])
            return out
        flat = flatten_steps(inputs, shape)
        if not on_values():
            self._input_map[object_list_uid(inputs)] = flat
            self._keep += [inputs, flat]
        if mask is not None and K.ndim(mask) > 2 and has_arg(self.layer.call, "mask"):
            arguments["mask"] = flatten_steps(mask, shape_of(mask))
        y = self.layer.call(flat, **arguments)
        if y is flat:
            y = K.identity(y)
        inner = output_shapes_of(self.layer.compute_output_shape(flat._keras_shape), 1)[0]
        known = tuple([a if a is not None else b for a, b in zip(y.shape, inner)]) if len(inner) == y.ndim else y.shape
        out = split_steps(y, inputs, known)
        out._uses_learning_phase = getattr(y, "_uses_learning_phase", False) or getattr(
            self.layer, "uses_learning_phase", False
        )
        return out

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if shape_of(inputs)[0] is not None or get_api_level() == "1.2":
            return mask  # Keras asks the inner layer for a mask from 2.2 on, and only in batches of any size
        flat = self._input_map.get(object_list_uid(inputs))
        if flat is None:
            flat = flatten_steps(inputs, shape_of(inputs))
        inner = None
        if mask is not None:
            if not self.layer.supports_masking and type(self.layer).compute_mask is Layer.compute_mask:
                return _over_steps(mask)
            inner = K.flatten(mask) if K.ndim(mask) == 2 else flatten_steps(mask, shape_of(mask))
        out = self.layer.compute_mask(flat, inner)
        if out is None:
            return None if mask is None else _over_steps(mask)
        return split_steps(out, inputs, tuple(out.shape))


def _has_user_code(layer: Any) -> bool:
    """Whether a layer is, or holds, a Lambda or one of a class that is not of this package."""
    ours = type(layer).__module__.partition(".")[0] == __name__.partition(".")[0]
    parts = [*getattr(layer, "_layers", ()), *[c for c in (getattr(layer, "cell", None),) if c is not None]]
    return not ours or isinstance(layer, Lambda) or any(_has_user_code(part) for part in parts)


def _over_steps(mask: Any) -> Any:
    """A mask of (batch, time): a step counts if anything in it does."""
    for _ in range(2, K.ndim(mask)):
        mask = K.any(mask, axis=-1)
    return mask


def flatten_steps(x: Any, shape: Any) -> Any:
    """(batch, time, ...) -> (batch * time, ...); ``shape`` is what is known of the shape of x."""
    out = K.reshape(x, (-1, *[_size(x, shape, axis) for axis in range(2, len(shape))]))
    rows = shape[0] * shape[1] if shape[0] is not None and shape[1] is not None else None
    out._keras_shape = (rows, *shape[2:])
    return out


def split_steps(y: Any, inputs: Any, shape: Any) -> Any:
    """(batch * time, ...) -> (batch, time, ...), batch and time being those of ``inputs``.

    ``shape`` is what is known of the shape of y.
    """
    outer = shape_of(inputs)
    sizes = [_size(inputs, outer, 0), _size(inputs, outer, 1), *[_size(y, shape, a) for a in range(1, len(shape))]]
    out = K.reshape(y, sizes)
    out._keras_shape = (*outer[:2], *shape[1:])
    return out


def _size(x: Any, shape: Any, axis: int) -> Any:
    return shape[axis] if shape[axis] is not None else K.shape(x)[axis]


@register
class Bidirectional(Wrapper):
    """Runs a recurrent layer over a sequence from both ends and joins the outputs.

    Args:
        layer: a recurrent layer; a copy of it reads forwards, another, made from its config, backwards.
        merge_mode: ``'concat'``, ``'sum'``, ``'mul'``, ``'ave'``, or None for a list of the two outputs.
        weights: initial weights, those of the forward layer first.

    With ``return_sequences`` the backward outputs are put in the order of time. With ``return_state`` the result is
    ``[output, *forward states, *backward states]``; ``initial_state`` takes the states in that order.

    Raises ValueError for a layer that is not recurrent, and another ``merge_mode``.
    """

    _pair: tuple[Any, Any]

    def __init__(self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, **kwargs: Any):
        if merge_mode not in MERGE_MODES:
            raise ValueError(
                f"[Bidirectional] Invalid merge mode: {merge_mode!r}. Merge mode should be one of "
                "{'sum', 'mul', 'ave', 'concat', None}."
            )
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise ValueError(
                f"[Bidirectional] expected a recurrent layer; got {type(layer).__name__}. Write "
                "Bidirectional(LSTM(10))."
            )
        forward: Any = copy.copy(layer)
        config = layer.get_config()
        config["go_backwards"] = not config["go_backwards"]
        backward: Any = deserialize({"class_name": type(layer).__name__, "config": config}, own_objects(layer))
        forward.name, backward.name = "forward_" + layer.name, "backward_" + layer.name
        if weights is not None:
            half = len(weights) // 2
            forward._initial_weights, backward._initial_weights = weights[:half], weights[half:]
        self._pair = (forward, backward)
        self.merge_mode = merge_mode
        self.return_sequences = forward.return_sequences
        self.return_state = forward.return_state
        self._num_constants: int | None = None
        super().__init__(layer, **kwargs)
        self.stateful = layer.stateful
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _hold(self, layer: Any) -> None:
        object.__setattr__(self, "layer", layer)
        self._layers = list(self._pair)

    @property
    def forward_layer(self) -> Any:
        """The layer that reads from the start."""
        return self._pair[0]

    @property
    def backward_layer(self) -> Any:
        """The layer that reads from the end."""
        return self._pair[1]

    @property
    def trainable(self) -> bool:
        """Whether the two layers learn."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self._pair:
            layer.trainable = value

    @property
    def trainable_weights(self) -> list[Any]:
        """Those of the forward layer, then those of the backward layer."""
        return unique([w for layer in self._pair for w in layer.trainable_weights])

    @trainable_weights.setter
    def trainable_weights(self, weights: Iterable[Any]) -> None:
        self._trainable_weights = list(weights)

    @property
    def non_trainable_weights(self) -> list[Any]:
        """Those of the forward layer, then those of the backward layer."""
        return unique([w for layer in self._pair for w in layer.non_trainable_weights])

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: Iterable[Any]) -> None:
        self._non_trainable_weights = list(weights)

    def get_weights(self) -> list[np.ndarray]:
        """Weights of the forward layer, then those of the backward layer."""
        return self.forward_layer.get_weights() + self.backward_layer.get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights of both layers; the first half is the forward layer's."""
        half = len(weights) // 2
        self.forward_layer.set_weights(weights[:half])
        self.backward_layer.set_weights(weights[half:])

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        found = list(self._per_input_updates.get(tensor_key(inputs), ()))
        return found + [u for layer in self._pair for u in layer.get_updates_for(inputs)]

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        found = list(self._per_input_losses.get(tensor_key(inputs), ()))
        return found + [u for layer in self._pair for u in layer.get_losses_for(inputs)]

    def reset_states(self) -> None:
        """Set the states of both layers back to zero."""
        for layer in self._pair:
            layer.reset_states()

    def build(self, input_shape: Any = None) -> None:
        for layer in self._pair:
            with name_scope(layer.name):
                self._build_inner(layer, input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = output_shapes_of(self.forward_layer.compute_output_shape(input_shape), 1)
        output, states = shapes[0], shapes[1:]
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        outputs = [output, output] if self.merge_mode is None else [output]
        if self.return_state:
            return [*outputs, *states, *states]
        return outputs if self.merge_mode is None else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if isinstance(mask, list):
            mask = mask[0]
        mask = mask if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            return masks + [None] * (2 * len(self.forward_layer.states))
        return masks if self.merge_mode is None else mask

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        if isinstance(inputs, (list, tuple)):
            inputs = list(inputs)
            if self._num_constants:
                constants = inputs[-self._num_constants :]
                inputs = inputs[: -self._num_constants]
            if len(inputs) > 1:
                initial_state = inputs[1:]
            inputs = inputs[0]
        if initial_state is not None:
            initial_state = to_list(initial_state, allow_tuple=True)
            if len(initial_state) % 2:
                raise ValueError(
                    f"[{self.name}] When passing `initial_state` to a Bidirectional RNN, the state should be a list "
                    f"containing the states of the underlying RNNs; got {len(initial_state)} tensors. Give the "
                    "forward states, then the backward ones."
                )
        if constants is not None:
            constants = to_list(constants, allow_tuple=True)
            self._num_constants = len(constants)
            for layer in self._pair:
                layer._num_constants = len(constants)
        return self._call_with_spec(*call_arguments(self, inputs, initial_state, constants, kwargs))

    def _call_with_spec(self, inputs: list[Any], kwargs: dict[str, Any]) -> Any:
        if len(inputs) == 1:
            return super().__call__(inputs[0], **kwargs)
        first = to_list(self.input_spec)[:1]
        self.input_spec = [*first, *[None] * (len(inputs) - 1)]
        try:
            return super().__call__(inputs, **kwargs)
        finally:
            self.input_spec = first

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        if isinstance(inputs, list):
            constants = inputs[-self._num_constants :] if self._num_constants else constants
            states = inputs[1 : -self._num_constants] if self._num_constants else inputs[1:]
            initial_state = states or initial_state
        else:
            inputs = [inputs]
        if isinstance(mask, list):
            mask = mask[0]
        half = len(initial_state) // 2 if initial_state is not None else 0
        made = []
        for k, layer in enumerate(self._pair):
            arguments: dict[str, Any] = {}
            for name, value in (("mask", mask), ("training", training)):
                if has_arg(layer.call, name):
                    arguments[name] = value
            if initial_state is not None:
                arguments["initial_state"] = initial_state[k * half : (k + 1) * half]
            if constants is not None:
                arguments["constants"] = constants
            # A layer of the user's may know nothing of states and constants.
            with name_scope(layer.name):
                made.append(to_list(layer.call(inputs[0], **arguments)))
        forward, backward = made[0][0], made[1][0]
        states = [*made[0][1:], *made[1][1:]]
        if self.return_sequences:
            backward = K.reverse(backward, 1)
        outputs = _merged(forward, backward, self.merge_mode)
        if any(getattr(y, "_uses_learning_phase", False) for y in (made[0][0], made[1][0])):
            for y in outputs + states:
                y._uses_learning_phase = True
        self._file_states(inputs)
        if self.return_state:
            return outputs + states
        return outputs if self.merge_mode is None else outputs[0]

    def _file_states(self, inputs: list[Any]) -> None:
        # State updates hang on the first input alone; a call with initial states has more.
        if self.stateful and len(inputs) > 1:
            for layer in self._pair:
                self._file(self._per_input_updates, layer.get_updates_for(inputs[:1]), inputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"merge_mode": self.merge_mode}
        if self._num_constants is not None:
            config["num_constants"] = self._num_constants
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        num_constants = config.pop("num_constants", None)
        layer = deserialize(config.pop("layer"), custom_objects=custom_objects)
        made = cls(layer, **config)
        made._num_constants = num_constants
        return made


def _merged(forward: Any, backward: Any, mode: str | None) -> list[Any]:
    if mode == "concat":
        return [K.concatenate([forward, backward])]
    if mode == "sum":
        return [forward + backward]
    if mode == "ave":
        return [(forward + backward) / 2]
    if mode == "mul":
        return [forward * backward]
    return [forward, backward]
