"""Recurrent layers and their cells: SimpleRNN, GRU, LSTM, RNN over cells of one's own, and Keras 1's Recurrent.

A cell computes one step: ``output, new_states = cell.call(inputs, states)``. A layer runs it over the time axis of
``(batch, time, features)`` with ``K.rnn``. What a cell does to its inputs alone (``project``) is done for all steps
at once; ``step`` is the rest, the only place where the arithmetic of a gate stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import activations, constraints, initializers, regularizers
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine.layer import InputSpec, Layer, alias, is_keras_tensor, name_scope, shape_of
from keras_compat.engine.loading import claim
from keras_compat.engine.registry import deserialize, register, serialize
from keras_compat.utils.generic_utils import has_arg, to_list

Shape = Sequence[int | None]

# What Keras 1 called the weights.
_OLD_NAMES = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}
_CONSUME_LESS = ("cpu", "mem", "gpu")


def state_sizes(cell: Any) -> list[int]:
    """Sizes of a cell's states as a list."""
    size = cell.state_size
    return list(size) if isinstance(size, (list, tuple)) else [size]


def zeros_for(inputs: Any, *dims: int) -> Any:
    """Zeros of shape (batch, *dims) for inputs with the batch on their first axis."""
    start = inputs[(slice(None), *[0] * (K.ndim(inputs) - 1))]
    start = K.zeros_like(start, dtype=inputs.dtype if inputs.dtype.kind == "f" else K.floatx())
    for _ in dims:
        start = K.expand_dims(start, -1)
    return start + K.constant(np.zeros((1, *dims)), dtype=start.dtype)


def time_distributed_dense(
    x: Any,
    w: Any,
    b: Any = None,
    dropout: float | None = None,
    input_dim: int | None = None,
    output_dim: int | None = None,
    timesteps: int | None = None,
    training: Any = None,
) -> Any:
    """``x @ w + b`` at each step of (batch, time, features); one dropout mask serves all steps.

    The three sizes are Keras 1's; they follow from the tensors.
    """
    if dropout is not None and 0.0 < dropout < 1.0:
        x = x * K.expand_dims(dropout_masks(K.ones_like(x[:, 0]), dropout, training)[0], 1)
    out = K.dot(x, w)
    return out if b is None else out + b


def dropout_masks(ones: Any, rate: float, training: Any = None, count: int = 1) -> list[Any]:
    """``count`` independent dropout masks in the shape of ``ones``: 0 or ``1 / (1 - rate)`` in training, else 1."""
    return [K.in_train_phase(lambda: K.dropout(ones, rate), ones, training=training) for _ in range(count)]


# Under these names cells of other packages take them from Keras 2.

_time_distributed_dense = time_distributed_dense


def _generate_dropout_mask(ones: Any, rate: float, training: Any = None, count: int = 1) -> Any:
    masks = dropout_masks(ones, rate, training, count)
    return masks if count > 1 else masks[0]


def _standardize_args(inputs: Any, initial_state: Any, constants: Any, num_constants: int | None) -> tuple[Any, ...]:
    if isinstance(inputs, (list, tuple)):
        inputs = list(inputs)
        if num_constants is not None:
            constants = inputs[-num_constants:]
            inputs = inputs[:-num_constants]
        initial_state = inputs[1:] or initial_state
        inputs = inputs[0]
    states, fixed = [None if x is None else to_list(x, allow_tuple=True) for x in (initial_state, constants)]
    return inputs, states, fixed


@register
class StackedRNNCells(Layer):
    """Several cells as one: the output of each is the input of the next.

    The states are those of all cells; Keras 2.3's order is that of the cells (``reverse_state_order=True`` turns the
    cells' order around, as Keras 2.1.3 to 2.2.2 had it).
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        self.reverse_state_order = kwargs.pop("reverse_state_order", False)
        for cell in cells:
            _check_cell(cell)
        super().__init__(**kwargs)
        self.cells = list(cells)
        for cell in self.cells:
            if isinstance(cell, Layer):
                self._track_layer(cell)

    def _state_order(self) -> list[Any]:
        return self.cells[::-1] if self.reverse_state_order else self.cells

    @property
    def state_size(self) -> tuple[int, ...]:
        """Sizes of all states."""
        return tuple([size for cell in self._state_order() for size in state_sizes(cell)])

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        return output_size(self.cells[-1])

    def _split_states(self, states: Sequence[Any]) -> list[list[Any]]:
        """States by cell, in the order of the cells."""
        out, start = [], 0
        for cell in self._state_order():
            n = len(state_sizes(cell))
            out.append(list(states[start : start + n]))
            start += n
        return out[::-1] if self.reverse_state_order else out

    def call(self, inputs: Any, states: Any, constants: Any = None, **kwargs: Any) -> Any:
        new_states = []
        for cell, own in zip(self.cells, self._split_states(states)):
            arguments = {k: v for k, v in kwargs.items() if has_arg(cell.call, k)}
            if constants is not None and has_arg(cell.call, "constants"):
                arguments["constants"] = constants
            inputs, new = cell.call(inputs, own, **arguments)
            new_states.append(list(new))
        if self.reverse_state_order:
            new_states = new_states[::-1]
        return inputs, [s for new in new_states for s in new]

    def begin_sequence(self) -> None:
        """Let each cell's first call draw its dropout masks for one sequence."""
        for cell in self.cells:
            if hasattr(cell, "begin_sequence"):
                cell.begin_sequence()

    def end_sequence(self) -> None:
        """Forget the masks."""
        for cell in self.cells:
            if hasattr(cell, "end_sequence"):
                cell.end_sequence()

    def build(self, input_shape: Any = None) -> None:
        rest = []
        if isinstance(input_shape, list):
            input_shape, rest = input_shape[0], input_shape[1:]
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                takes = has_arg(cell.call, "constants") and rest
                cell.build([input_shape, *rest] if takes else input_shape)
                cell.built = True
            input_shape = (input_shape[0], output_size(cell))
        self._number_names()
        self.built = True

    def _number_names(self) -> None:
        # Variables of one name are numbered, as TensorFlow does: "rnn_1/kernel:0", "rnn_1/kernel_1:0".
        count: dict[str, int] = {}
        for weight in self.weights:
            stem = weight.name.removesuffix(":0")
            n = count.get(stem, 0)
            count[stem] = n + 1
            if n:
                weight.name = f"{stem}_{n}:0"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"cells": [serialize(cell) for cell in self.cells]}
        return config | {"reverse_state_order": True} if self.reverse_state_order else config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        cells = [deserialize(c, custom_objects=custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)


def output_size(cell: Any) -> int:
    """Size of a cell's output: its ``output_size``, else that of its first state."""
    size = getattr(cell, "output_size", None)
    return size if size is not None else state_sizes(cell)[0]


def _check_cell(cell: Any) -> None:
    if not hasattr(cell, "call"):
        raise ValueError(
            f"[RNN] `cell` should have a `call` method. The RNN was passed: {cell!r}. Give it "
            "call(self, inputs, states) that returns (output, new_states)."
        )
    if not hasattr(cell, "state_size"):
        raise ValueError(
            f"[RNN] The RNN cell should have an attribute `state_size` (tuple of integers, one integer per RNN "
            f"state); {cell!r} has none. Set self.state_size = units."
        )


@register
class RNN(Layer):
    """Runs a cell over the time axis: (batch, time, ...) -> (batch, units), or all steps' outputs.

    Args:
        cell: an object with ``call(inputs, states) -> (output, new_states)`` and ``state_size``, or a list of them.
        return_sequences: give the outputs of all steps, (batch, time, units), instead of the last one.
        return_state: give the last states, too: ``[output, *states]``.
        go_backwards: read the sequence from its end; outputs come in the order of reading.
        stateful: start each batch with the last states of the one before; needs a fixed batch size.
        unroll: write the steps out instead of looping: the same numbers.

    Call arguments: ``mask`` (batch, time): masked steps repeat the output before them (zeros at the start) and keep
    the states; ``initial_state``: one tensor or a list, one for each state; ``constants``: tensors handed to every
    step, for cells whose ``call`` takes ``constants``.
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
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        _check_cell(cell)
        self._init_sequence(return_sequences, return_state, go_backwards, stateful, unroll, kwargs)
        self.cell = cell
        if isinstance(cell, Layer):
            self._track_layer(cell)
        if not (stateful and isinstance(self, Recurrent)):  # Keras 1's reset_states asks hasattr(self, "states")
            self.states: list[Any] = [None] * len(state_sizes(cell))
        self.state_spec: Any = [InputSpec(shape=(None, size)) for size in state_sizes(cell)]

    def _init_sequence(
        self,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        stateful: bool,
        unroll: bool,
        kwargs: dict[str, Any],
    ) -> None:
        """The part of ``__init__`` that does not speak of a cell."""
        shape = (kwargs.pop("input_length", None), kwargs.pop("input_dim", None))
        if shape != (None, None) and "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = shape
        Layer.__init__(self, **kwargs)
        self.input_length: int | None
        self.input_dim: int | None
        declared = getattr(self, "batch_input_shape", None) or (None, *shape)
        self.input_length, self.input_dim = declared[1:3] if len(declared) == 3 else (None, None)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.input_spec = [InputSpec(ndim=3)]
        self._num_constants: int | None = None
        # What was expected of states and constants; layers derived from Keras 2's set and read them.
        self.state_spec = None
        self.constants_spec: Any = None

    # -- shapes -------------------------------------------------------------------------------------------------------

    def _state_shapes(self, input_shape: Any) -> list[tuple[Any, ...]]:
        """Shapes of the states without batch."""
        return [(size,) for size in state_sizes(self.cell)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, list):
            input_shape = input_shape[0]
        size = output_size(self.cell)
        output = (*input_shape[:2], size) if self.return_sequences else (input_shape[0], size)
        if not self.return_state:
            return output
        return [output, *[(input_shape[0], *shape) for shape in self._state_shapes(input_shape)]]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if isinstance(mask, list):
            mask = mask[0]
        mask = mask if self.return_sequences else None
        return [mask] + [None] * len(self.states) if self.return_state else mask

    def build(self, input_shape: Any = None) -> None:
        rest = []
        if isinstance(input_shape, list):
            rest = input_shape[-self._num_constants :] if self._num_constants else []
            input_shape = input_shape[0]
        batch = input_shape[0] if self.stateful else None
        self.input_spec = [InputSpec(shape=(batch, None, *input_shape[2:]))]
        step_shape = (input_shape[0], *input_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build([step_shape, *rest] if rest else step_shape)
            self.cell.built = True
        if self.stateful:
            self.reset_states()
        self.built = True

    # -- states -------------------------------------------------------------------------------------------------------

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """Zeros, one tensor for each state."""
        return [zeros_for(inputs, *shape) for shape in self._state_shapes(shape_of(inputs))]

    def _state_values_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the states of a stateful layer, with batch."""
        if not self.stateful:
            raise AttributeError(f"[reset_states] Layer {self.name} must be stateful. Pass stateful=True.")
        shape = self.input_spec[0].shape if self.input_spec else None
        if shape is None or shape[0] is None:
            raise ValueError(
                f"[{self.name}] If a RNN is stateful, it needs to know its batch size; it was given the input shape "
                f"{shape}. Specify the batch size of your input tensors: if using a Sequential model, specify the "
                "batch size by passing a `batch_input_shape` argument to your first layer; if using the functional "
                "API, by passing a `batch_shape` argument to your Input layer."
            )
        return [(shape[0], *s) for s in self._state_shapes(shape)]

    def reset_states(self, states: Any = None) -> None:
        """Set the states of a stateful layer to zero, or to the arrays of a list (an array for a single state).

        Raises:
            AttributeError: the layer is not stateful.
            ValueError: the batch size is not known, or number or shape of the arrays is wrong.
        """
        shapes = self._state_values_shapes()
        if not hasattr(self, "states") or self.states[0] is None:
            for s in shapes:
                claim(s, f"the state of layer {self.name!r}", weight=False)
            self.states = [K.variable(np.zeros(s), dtype=self.dtype) for s in shapes]
            for state, number in zip(self.states, range(len(shapes))):
                state.name = f"{self.name}/state_{number}:0"
                state.trainable = False
        if states is None:
            values: list[Any] = [np.zeros(s, dtype=v.dtype) for s, v in zip(shapes, self.states)]
        else:
            values = [np.asarray(K.get_value(s) if isinstance(s, at.Tensor) else s) for s in to_list(states, True)]
        if len(values) != len(shapes):
            raise ValueError(
                f"[reset_states] Layer {self.name} expects {len(shapes)} states, but it received {len(values)} state "
                f"values. Give one array for each state: {shapes}."
            )
        for number, (value, shape) in enumerate(zip(values, shapes)):
            if value.shape != shape:
                raise ValueError(
                    f"[reset_states] State {number} is incompatible with layer {self.name}: expected shape={shape}, "
                    f"found shape={value.shape}. The first axis is the batch."
                )
        K.batch_set_value(list(zip(self.states, values)))

    # -- calling ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        inputs, initial_state, constants = self._standardize_args(inputs, initial_state, constants)
        if initial_state is not None:
            self.state_spec = [InputSpec(shape=K.int_shape(s)) for s in map(_as_tensor, initial_state)]
        if constants is not None:
            self._check_constants()
            self._num_constants = len(constants)
            self.constants_spec = [InputSpec(shape=K.int_shape(c)) for c in map(_as_tensor, constants)]
        return self._call_with_spec(*call_arguments(self, inputs, initial_state, constants, kwargs))

    def _check_constants(self) -> None:
        cell = getattr(self, "cell", None)
        if cell is None or not has_arg(cell.call, "constants"):
            raise ValueError(
                f"[{self.name}] RNN cell {type(cell or self).__name__} does not support constants: its call() takes no "
                "argument of that name. Write call(self, inputs, states, constants)."
            )

    def _call_with_spec(self, inputs: list[Any], kwargs: dict[str, Any]) -> Any:
        if len(inputs) == 1:
            return super().__call__(inputs[0], **kwargs)
        first = to_list(self.input_spec)[:1]
        self.input_spec = [*first, *[None] * (len(inputs) - 1)]
        built = self.built
        try:
            if not built:
                # Built here: build() sets the spec of the first input alone, which would not fit the call.
                self._build_first(inputs)
                first = to_list(self.input_spec)[:1]
                self.input_spec = [*first, *[None] * (len(inputs) - 1)]
            return super().__call__(inputs, **kwargs)
        finally:
            self.input_spec = first

    def _build_first(self, inputs: list[Any]) -> None:
        with name_scope(self.name):
            self.assert_input_compatibility(inputs)
            self._build_as_defined([shape_of(x) for x in inputs])
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def _standardize_args(self, inputs: Any, initial_state: Any, constants: Any) -> tuple[Any, Any, Any]:
        """Inputs, list of initial states or None, list of constants or None, from what a call gave."""
        if isinstance(inputs, (list, tuple)):
            if initial_state is not None or constants is not None:
                raise ValueError(
                    f"[{self.name}] expected one input tensor beside initial_state= or constants=; got a list of "
                    f"{len(inputs)}. Give the states one way only."
                )
            inputs = list(inputs)
            if self._num_constants:
                constants = inputs[-self._num_constants :]
                inputs = inputs[: -self._num_constants]
            initial_state = inputs[1:] or None
            inputs = inputs[0]
        states = None if initial_state is None else to_list(initial_state, allow_tuple=True)
        fixed = None if constants is None else to_list(constants, allow_tuple=True)
        return inputs, states, fixed

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        key = inputs
        inputs, initial_state, constants = self._unpack(inputs, initial_state, constants)
        if isinstance(mask, list):
            mask = mask[0]
        try:
            if not constants and self._runs_whole(inputs, initial_state, mask):
                last, outputs, states = self._run_whole(inputs, training, initial_state, mask)
            else:
                step, sequence = self._step_function(inputs, training, bool(constants))
                last, outputs, states = self._run(step, sequence, inputs, initial_state, constants or None, mask)
        finally:
            if hasattr(self.cell, "end_sequence"):
                self.cell.end_sequence()
        return self._finish(key, last, outputs, states, training is None and self._drops_in_training())

    def _unpack(self, inputs: Any, initial_state: Any, constants: Any) -> tuple[Any, Any, Any]:
        """Tensor, states to start with (a list) and constants, from the arguments of ``call``."""
        if isinstance(inputs, list):
            constants = inputs[-self._num_constants :] if self._num_constants else constants
            states = inputs[1 : -self._num_constants] if self._num_constants else inputs[1:]
            initial_state = states or initial_state
            inputs = inputs[0]
        if initial_state is not None:
            initial_state = to_list(initial_state, allow_tuple=True)
            if len(initial_state) != len(self.states):
                raise ValueError(
                    f"[{self.name}] Layer has {len(self.states)} states but was passed {len(initial_state)} initial "
                    "states. Give one tensor for each state."
                )
        elif self.stateful:
            initial_state = list(self.states)
        return inputs, initial_state, constants

    def _step_function(self, inputs: Any, training: Any, has_constants: bool) -> tuple[Callable[..., Any], Any]:
        """The function of one step for ``K.rnn``, and the sequence it is to run over."""
        cell = self.cell
        if isinstance(cell, SequenceCell) and cell.projects():
            cell.begin_sequence(inputs[:, 0], training)
            return (lambda x, states: cell.step(x, list(states))), cell.project(inputs)
        if hasattr(cell, "begin_sequence"):
            cell.begin_sequence()
        arguments = {"training": training} if has_arg(cell.call, "training") or _is_stack(cell) else {}
        n = len(self.states)
        if not has_constants:
            return (lambda x, states: cell.call(x, list(states), **arguments)), inputs
        return (lambda x, states: cell.call(x, list(states[:n]), constants=list(states[n:]), **arguments)), inputs

    def _run(
        self, step: Callable[..., Any], sequence: Any, inputs: Any, initial_state: Any, constants: Any, mask: Any
    ) -> Any:
        steps = shape_of(inputs)[1]
        if self.unroll and steps is None:
            raise ValueError(
                f"[{self.name}] Cannot unroll a RNN if the time dimension is undefined; the input shape is "
                f"{shape_of(inputs)}. If using a Sequential model, pass `input_shape` or `batch_input_shape` with the "
                "number of steps to your first layer; if using the functional API, pass `shape` to your Input layer. "
                "Or leave unroll out."
            )
        return K.rnn(
            step,
            sequence,
            self.get_initial_state(inputs) if initial_state is None else initial_state,
            go_backwards=self.go_backwards,
            mask=mask,
            constants=constants,
            unroll=self.unroll,
            input_length=steps,
        )

    def _runs_whole(self, inputs: Any, initial_state: Any, mask: Any) -> bool:
        """Is there one operation for what the cell does at all steps?"""
        cell = self.cell
        if not isinstance(cell, SequenceCell) or not cell.runs_whole() or inputs.ndim != 3:
            return False
        if self.unroll and not shape_of(inputs)[1]:
            return False
        tensors = [inputs, *(initial_state or ())]
        return all(x.dtype == cell.recurrent_kernel.dtype for x in tensors) and (mask is None or mask.ndim == 2)

    def _run_whole(self, inputs: Any, training: Any, initial_state: Any, mask: Any) -> Any:
        """As :meth:`_run`, by one operation for all steps."""
        cell, weights = self.cell, True
        if initial_state is None and type(self).get_initial_state is not RNN.get_initial_state:
            initial_state = self.get_initial_state(inputs)
        states = [None] * len(self.states) if initial_state is None else list(initial_state)
        if 0.0 < cell.dropout < 1.0:
            cell.begin_sequence(inputs[:, 0], training)
            inputs, weights = cell.project(inputs), False
        if mask is not None:
            mask = K.permute_dimensions(mask, (1, 0))
        sequence = K.permute_dimensions(inputs, (1, 0, 2))
        outputs, states = cell.whole(sequence, weights, states, mask, self.go_backwards)
        last = at.copy(states[0])  # layers mark each tensor that they return
        if mask is not None and initial_state is not None:
            # Before a row's first step that counts, its output is 0 whatever its state.
            seen = at.flip(mask, axis=0) if self.go_backwards else mask
            seen = at.cumulative_sum(at.astype(at.not_equal(seen, 0), "int32"), axis=0) > 0
            seen = at.flip(seen, axis=0) if self.go_backwards else seen
            outputs = at.where(at.expand_dims(seen, -1), outputs, 0.0)
            last = at.where(at.any(at.not_equal(mask, 0), axis=0)[:, None], last, 0.0)
        if self.go_backwards:
            outputs = at.flip(outputs, axis=0)
        return last, K.permute_dimensions(outputs, (1, 0, 2)), states

    def _finish(self, key: Any, last: Any, outputs: Any, states: Any, uses_phase: bool) -> Any:
        """Record the state updates and choose what to return."""
        if self.stateful:
            self.add_update([(old, new) for old, new in zip(self.states, states)], key)
        output = outputs if self.return_sequences else last
        made = [output, *states] if self.return_state else [output]
        if uses_phase:
            for y in made:
                y._uses_learning_phase = True
        return made if self.return_state else output

    def _drops_in_training(self) -> bool:
        cells = self.cell.cells if _is_stack(self.cell) else [self.cell]
        return any(getattr(c, "dropout", 0) or getattr(c, "recurrent_dropout", 0) for c in cells)

    # -- description --------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = self._sequence_config()
        if self._num_constants is not None:
            config["num_constants"] = self._num_constants
        config["cell"] = serialize(self.cell)
        return config

    def _sequence_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        num_constants = config.pop("num_constants", None)
        if "cell" not in config:
            return cls(**cls._arguments_of(config))
        cell = deserialize(config.pop("cell"), custom_objects=custom_objects)
        layer = cls(cell, **config)
        layer._num_constants = num_constants
        return layer


def _is_stack(cell: Any) -> bool:
    return isinstance(cell, StackedRNNCells)


def call_arguments(
    layer: Any, inputs: Any, initial_state: Sequence[Any] | None, constants: Sequence[Any] | None, kwargs: dict
) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and keyword arguments of a recurrent layer's call.

    States and constants that are Keras tensors are inputs behind the first, others are arguments.
    """
    extra = [*(initial_state or ()), *(constants or ())]
    if all(is_keras_tensor(x) for x in extra):
        return [inputs, *extra], kwargs
    if any(is_keras_tensor(x) for x in extra):
        raise ValueError(
            f"[{layer.name}] The initial state or constants of an RNN layer cannot be specified with a mix of Keras "
            "tensors and non-Keras tensors (a 'Keras tensor' is a tensor that was returned by a Keras layer, or by "
            "`Input`). Wrap the others: Input(tensor=x)."
        )
    given = {"initial_state": initial_state, "constants": constants}
    return [inputs], kwargs | {word: [_as_tensor(x) for x in xs] for word, xs in given.items() if xs is not None}


def _as_tensor(x: Any) -> Any:
    return x if isinstance(x, at.Tensor) else at.asarray(np.asarray(x, dtype=K.floatx()))


# -- cells ------------------------------------------------------------------------------------------------------------


class SequenceCell(Layer):
    """A cell of this package: its step falls into ``project`` (of the inputs alone) and ``step``.

    ``call`` is the two together. Between ``begin_sequence`` and ``end_sequence`` the same dropout masks hold.
    """

    units: int
    dropout: float
    recurrent_dropout: float
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    recurrent_kernel: Any
    # Parts of the fused weights, in their order along the last axis.
    gates: tuple[str, ...] = ("",)
    # The order in which Keras 1 listed them.
    old_order: tuple[str, ...] = ("",)

    _input_masks: list[Any] | None = None
    _recurrent_masks: list[Any] | None = None
    _in_sequence = False
    _masks_drawn = False

    def _init_weights(self, arguments: dict[str, Any]) -> None:
        """Set the attributes that all cells share from the arguments of ``__init__``."""
        self.use_bias = arguments["use_bias"]
        for part in ("kernel", "recurrent", "bias"):
            setattr(self, f"{part}_initializer", initializers.get(arguments[f"{part}_initializer"]))
            setattr(self, f"{part}_regularizer", regularizers.get(arguments[f"{part}_regularizer"]))
            setattr(self, f"{part}_constraint", constraints.get(arguments[f"{part}_constraint"]))
        self.dropout = min(1.0, max(0.0, arguments["dropout"] or 0.0))
        self.recurrent_dropout = min(1.0, max(0.0, arguments["recurrent_dropout"] or 0.0))

    def projects(self) -> bool:
        """False for a subclass with a ``call`` of its own: it wants each step's inputs as they are."""
        owner = next(c for c in type(self).__mro__ if "call" in c.__dict__)
        return owner is SequenceCell

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        alone = not self._in_sequence
        if not self._masks_drawn:
            self._draw_masks(inputs, training)
        try:
            output, new_states = self.step(self.project(inputs), list(states))
        finally:
            if alone:
                self.end_sequence()
        if alone and training is None and (self.dropout or self.recurrent_dropout):
            output._uses_learning_phase = True
        return output, new_states

    def project(self, inputs: Any, masks: Any = None) -> Any:
        """What the gates get from the inputs: of one step, or of all steps at once."""
        raise NotImplementedError

    def step(self, projected: Any, states: list[Any], masks: Any = None) -> tuple[Any, list[Any]]:
        """Output and new states from projected inputs and the states before."""
        raise NotImplementedError

    def runs_whole(self) -> bool:
        """Whether :meth:`whole` computes what ``project`` and ``step`` do; not with dropped states."""
        return False

    def whole(self, sequence: Any, weights: bool, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, list[Any]]:
        """Outputs of all steps of a sequence (time, batch, ...) and the last states, by one operation.

        The sequence is projected already where ``weights`` is False. A state that is None is zeros.
        """
        raise NotImplementedError

    # -- dropout ------------------------------------------------------------------------------------------------------

    def _mask_count(self) -> int:
        """Independent masks: one for each gate, one for all where the gates are one product (implementation 2)."""
        return 1 if getattr(self, "implementation", 2) == 2 else len(self.gates)

    def begin_sequence(self, inputs: Any = None, training: Any = None) -> None:
        """Draw the masks for one sequence; ``inputs`` are those of its first step.

        Without them the first ``call`` draws the masks: a subclass may hand over other inputs than the layer's.
        """
        self._in_sequence = True
        if inputs is not None:
            self._draw_masks(inputs, training)

    def _draw_masks(self, inputs: Any, training: Any) -> None:
        self._input_masks = self.make_input_masks(inputs, training)
        self._recurrent_masks = self.make_recurrent_masks(inputs, training)
        self._masks_drawn = True

    def end_sequence(self) -> None:
        """Forget the masks: the next sequence has others."""
        self._input_masks = self._recurrent_masks = None
        self._in_sequence = self._masks_drawn = False

    def make_input_masks(self, inputs: Any, training: Any = None) -> list[Any] | None:
        """Masks of the inputs of a step, or None without dropout."""
        if not 0.0 < self.dropout < 1.0:
            return None
        return dropout_masks(K.ones_like(inputs), self.dropout, training, self._mask_count())

    def make_recurrent_masks(self, inputs: Any, training: Any = None) -> list[Any] | None:
        """Masks of the output before a step, or None without recurrent dropout."""
        if not 0.0 < self.recurrent_dropout < 1.0:
            return None
        ones = zeros_for(inputs, self.units) + 1.0
        return dropout_masks(ones, self.recurrent_dropout, training, self._mask_count())


class DenseCell(SequenceCell):
    """A cell whose inputs and states are vectors: weights kernel (n, k), recurrent_kernel (units, k), bias (k,).

    ``k`` is ``units`` times the number of gates. At API level 1.2 each gate has weights of its own, as in Keras 1
    (unless ``implementation=2``, its ``consume_less='gpu'``), and the fused ones are put together from them.
    """

    kernel: Any
    recurrent_kernel: Any
    bias: Any

    @property
    def state_size(self) -> Any:
        """Size of the state, or of each state."""
        return self.units

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.units

    def _bias_start(self, gate: str) -> Any:
        """Initializer of a gate's part of the bias."""
        return self.bias_initializer

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def _bias_shape(self) -> tuple[int, ...]:
        return (len(self.gates) * self.units,)

    def _weight(self, part: str, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=getattr(self, f"{part}_regularizer"),
            constraint=getattr(self, f"{part}_constraint"),
        )

    def build(self, input_shape: Any = None) -> None:
        n, k = input_shape[-1], len(self.gates) * self.units
        if len(self.gates) > 1 and self._has_gate_weights():
            self._build_gates(n)
        else:
            self.kernel = self._weight("kernel", "kernel", (n, k), self.kernel_initializer)
            self.recurrent_kernel = self._weight(
                "recurrent", "recurrent_kernel", (self.units, k), self.recurrent_initializer
            )
            self.bias = (
                self._weight("bias", "bias", self._bias_shape(), self._bias_initializer()) if self.use_bias else None
            )
        self.built = True

    def _has_gate_weights(self) -> bool:
        return get_api_level() == "1.2" and getattr(self, "implementation", 2) != 2 and len(self._bias_shape()) == 1

    def _build_gates(self, n: int) -> None:
        made: dict[str, Any] = {}
        # 1.2.2 takes `init` and `W_regularizer` for U here; `inner_init` and `U_regularizer` in SimpleRNN and 'gpu'.
        part = "recurrent" if is_keras_0() else "kernel"
        start = getattr(self, f"{part}_initializer")
        for gate in self.old_order:
            made["W" + gate] = self._weight("kernel", f"W_{gate}", (n, self.units), self.kernel_initializer)
            made["U" + gate] = self._weight(part, f"U_{gate}", (self.units, self.units), start)
            if self.use_bias:
                made["b" + gate] = self._weight("bias", f"b_{gate}", (self.units,), self._bias_start(gate))
        self.kernel = K.concatenate([made["W" + g] for g in self.gates])
        self.recurrent_kernel = K.concatenate([made["U" + g] for g in self.gates])
        self.bias = K.concatenate([made["b" + g] for g in self.gates]) if self.use_bias else None
        self._gate_weights = made

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there otherwise: Keras 1's names, and the parts of the weights by gate.
        own = self.__dict__
        if name in _OLD_NAMES and _OLD_NAMES[name] in own:
            return own[_OLD_NAMES[name]]
        stem, _, gate = name.rpartition("_")
        if gate and gate in self.gates and "kernel" in own:
            if stem in ("W", "U", "b") and stem + gate in own.get("_gate_weights", ()):
                return own["_gate_weights"][stem + gate]
            whole = own.get(_OLD_NAMES.get(stem, stem)) if stem != "recurrent" else None
            if whole is not None and not isinstance(whole, (int, float, str)) and hasattr(whole, "ndim"):
                start = self.gates.index(gate) * self.units
                return whole[..., start : start + self.units]
        return object.__getattribute__(self, name)  # says what is missing, also within a property

    def _is_stock(self, kind: type[DenseCell]) -> bool:
        """Is the arithmetic of this cell that of ``kind``, with activations that the whole operations know?"""
        own = type(self).step is kind.step and type(self).project is DenseCell.project and self.projects()
        known = all(_name_of(f) for f in (self.activation, getattr(self, "recurrent_activation", self.activation)))
        return own and known and not 0.0 < self.recurrent_dropout < 1.0

    def _parts(self, x: Any) -> list[Any]:
        """The gates' shares of the last axis."""
        return [x[..., i * self.units : (i + 1) * self.units] for i in range(len(self.gates))]

    def project(self, inputs: Any, masks: Any = None) -> Any:
        masks = _tensors(masks if masks is not None else self._input_masks)
        if masks is not None and K.ndim(inputs) == 3:
            masks = [K.expand_dims(m, 1) for m in masks]
        out = _masked_product(inputs, masks, self.kernel, self._parts)
        return out + self._input_bias() if self.use_bias else out

    def _input_bias(self) -> Any:
        return self.bias

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
        for part in ("kernel", "recurrent", "bias"):
            config[f"{part}_initializer"] = initializers.serialize(getattr(self, f"{part}_initializer"))
            config[f"{part}_regularizer"] = regularizers.serialize(getattr(self, f"{part}_regularizer"))
            config[f"{part}_constraint"] = constraints.serialize(getattr(self, f"{part}_constraint"))
        return config | {"dropout": self.dropout, "recurrent_dropout": self.recurrent_dropout}


_KNOWN = {name: getattr(activations, name) for name in at.recurrent_activations}


def _name_of(activation: Any) -> str:
    """The name of an activation function that the whole operations know; empty for others."""
    return next((name for name, function in _KNOWN.items() if function is activation), "")


def _tensors(masks: Any) -> list[Any] | None:
    """Masks that do something: Keras 1 passes ones, as numbers, where there is no dropout."""
    return None if masks is None or not all(isinstance(m, at.Tensor) for m in masks) else list(masks)


def _masked_product(x: Any, masks: list[Any] | None, kernel: Any, parts: Callable[[Any], list[Any]]) -> Any:
    """``x @ kernel`` with x dropped by one mask, or by one for each part of the kernel."""
    if masks is None:
        return K.dot(x, kernel)
    if len(masks) == 1:
        return K.dot(x * masks[0], kernel)
    return K.concatenate([K.dot(x * m, part) for m, part in zip(masks, parts(kernel))])


@register
class SimpleRNNCell(DenseCell):
    """``h = activation(x @ kernel + h @ recurrent_kernel + bias)``; see :class:`SimpleRNN` for the arguments."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        super().__init__(**kwargs)
        self.units = _units(self, units)
        self.activation = activations.get(activation)
        self._init_weights(arguments)

    def step(self, projected: Any, states: list[Any], masks: Any = None) -> tuple[Any, list[Any]]:
        h = states[0]
        masks = _tensors(masks if masks is not None else self._recurrent_masks)
        h = self.activation(projected + _masked_product(h, masks, self.recurrent_kernel, self._parts))
        return h, [h]

    def runs_whole(self) -> bool:
        return self._is_stock(SimpleRNNCell)

    def whole(self, sequence: Any, weights: bool, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, list[Any]]:
        outputs, h = at.simple_rnn(
            sequence,
            self.kernel if weights else None,
            self.recurrent_kernel,
            self.bias if weights and self.use_bias else None,
            states[0],
            mask,
            activation=_name_of(self.activation),
            reverse=reverse,
        )
        return outputs, [h]


@register
class GRUCell(DenseCell):
    """Gated recurrent unit; see :class:`GRU` for the formula and the arguments."""

    gates = ("z", "r", "h")
    old_order = ("z", "r", "h")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        reset_after: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        super().__init__(**kwargs)
        self.units = _units(self, units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self._init_weights(arguments)
        self.implementation = implementation
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        # The reset gate multiplies h @ recurrent_kernel + bias: that bias is another than the inputs'.
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_bias(self) -> Any:
        return self.bias[0] if self.reset_after else self.bias

    def step(self, projected: Any, states: list[Any], masks: Any = None) -> tuple[Any, list[Any]]:
        h, u, kernel = states[0], self.units, self.recurrent_kernel
        masks = _tensors(masks if masks is not None else self._recurrent_masks)
        if masks is not None and len(masks) == 1:
            h, masks = h * masks[0], None  # Keras 2's implementation 2 carries on the dropped state
        x_gates, x_h = projected[..., : 2 * u], projected[..., 2 * u :]
        if self.reset_after:
            inner = _masked_product(h, masks, kernel, self._parts)
            if self.use_bias:
                inner = inner + self.bias[1]
            gates = self.recurrent_activation(x_gates + inner[..., : 2 * u])
            candidate = x_h + gates[..., u:] * inner[..., 2 * u :]
        else:
            first = masks[:2] if masks is not None else None
            inner = _masked_product(h, first, kernel[:, : 2 * u], lambda k: [k[:, :u], k[:, u:]])
            gates = self.recurrent_activation(x_gates + inner)
            kept = h if masks is None else h * masks[2]
            candidate = x_h + K.dot(gates[..., u:] * kept, kernel[:, 2 * u :])
        z = gates[..., :u]
        h = z * h + (1.0 - z) * self.activation(candidate)
        return h, [h]

    def runs_whole(self) -> bool:
        return self._is_stock(GRUCell) and type(self)._input_bias is GRUCell._input_bias

    def whole(self, sequence: Any, weights: bool, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, list[Any]]:
        bias = self.bias if self.use_bias else None
        if not weights and bias is not None:
            bias = at.stack([at.zeros_like(bias[1]), bias[1]]) if self.reset_after else None
        outputs, h = at.gru(
            sequence,
            self.kernel if weights else None,
            self.recurrent_kernel,
            bias,
            states[0],
            mask,
            activation=_name_of(self.activation),
            recurrent_activation=_name_of(self.recurrent_activation),
            reset_after=self.reset_after,
            reverse=reverse,
        )
        return outputs, [h]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "implementation": self.implementation,
            "reset_after": self.reset_after,
        }


@register
class LSTMCell(DenseCell):
    """Long short-term memory; see :class:`LSTM` for the formula and the arguments."""

    gates = ("i", "f", "c", "o")
    old_order = ("i", "c", "f", "o")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        implementation: int = 2,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        super().__init__(**kwargs)
        self.units = _units(self, units)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self._init_weights(arguments)
        self.unit_forget_bias = unit_forget_bias
        self.implementation = implementation

    @property
    def state_size(self) -> Any:
        """Sizes of output and memory."""
        return (self.units, self.units)

    def _bias_start(self, gate: str) -> Any:
        return initializers.get("ones") if gate == "f" and self.unit_forget_bias else self.bias_initializer

    def _bias_initializer(self) -> Any:
        return forget_bias(self.bias_initializer, self.units, 1) if self.unit_forget_bias else self.bias_initializer

    def step(self, projected: Any, states: list[Any], masks: Any = None) -> tuple[Any, list[Any]]:
        h, c = states[0], states[1]
        masks = _tensors(masks if masks is not None else self._recurrent_masks)
        gates = projected + _masked_product(h, masks, self.recurrent_kernel, self._parts)
        i, f, new, o = self._parts(gates)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(new)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def runs_whole(self) -> bool:
        return self._is_stock(LSTMCell)

    def whole(self, sequence: Any, weights: bool, states: list[Any], mask: Any, reverse: bool) -> tuple[Any, list[Any]]:
        outputs, h, c = at.lstm(
            sequence,
            self.kernel if weights else None,
            self.recurrent_kernel,
            self.bias if weights and self.use_bias else None,
            states[0],
            states[1],
            mask,
            activation=_name_of(self.activation),
            recurrent_activation=_name_of(self.recurrent_activation),
            reverse=reverse,
        )
        return outputs, [h, c]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
            "implementation": self.implementation,
        }


def forget_bias(initializer: Any, units: int, before: int) -> Callable[..., Any]:
    """Initializer of a bias with ones in one part of length ``units``, which ``before`` other parts precede."""

    def make(shape: Sequence[int], dtype: Any = None) -> Any:
        total = int(shape[0])

        def value(n: int) -> Any:
            made = initializer((n,), dtype=dtype) if has_arg(initializer, "dtype") else initializer((n,))
            return K.get_value(made) if isinstance(made, at.Tensor) else np.asarray(made)

        return np.concatenate([value(before * units), np.ones(units), value(total - (before + 1) * units)])

    return make


def _units(cell: Layer, units: Any) -> int:
    if isinstance(units, bool) or not isinstance(units, (int, np.integer, float, np.floating)) or int(units) != units:
        raise ValueError(
            f"[{type(cell).__name__}] units must be a whole number; got {units!r}. Write {type(cell).__name__}(10)."
        )
    if units < 1:
        raise ValueError(f"[{type(cell).__name__}] units must be at least 1; got {units!r}.")
    return int(units)


# -- layers -----------------------------------------------------------------------------------------------------------


@register
class Recurrent(RNN):
    """Base of recurrent layers as Keras 1 had it: a subclass defines one step, this class runs it over time.

    A subclass defines ``build`` (and in it ``self.states = [None]``, one entry for each state), ``step(x, states)``
    that returns ``(output, new_states)``, and has ``output_dim`` (or ``units``). It may define ``get_constants(x)``,
    tensors that ``step`` finds behind the states, ``preprocess_input(x)``, done to all steps at once, and
    ``get_initial_states(x)``.
    """

    # Set by the base class of Keras 1, asked for in the build of many programs; weights= are set without it.
    initial_weights: Any = None

    def __init__(
        self,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        implementation: int = 0,
        **kwargs: Any,
    ):
        self._init_sequence(return_sequences, return_state, go_backwards, stateful, unroll, kwargs)
        self.implementation = implementation

    @property
    def consume_less(self) -> str:
        """Keras 1's word for ``implementation``: 'cpu', 'mem' or 'gpu'."""
        return _CONSUME_LESS[self.implementation]

    @consume_less.setter
    def consume_less(self, value: str) -> None:
        self.implementation = _CONSUME_LESS.index(value)

    def _size(self) -> int:
        size = self.__dict__.get("output_dim", self.__dict__.get("units"))
        if size is None:
            raise ValueError(
                f"[{self.name}] expected the attribute output_dim (or units), the size of the output; "
                f"{type(self).__name__} has none. Set it in __init__."
            )
        return size

    def _state_shapes(self, input_shape: Any) -> list[tuple[Any, ...]]:
        return [(self._size(),)] * len(getattr(self, "states", [None]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, list):
            input_shape = input_shape[0]
        output = (*input_shape[:2], self._size()) if self.return_sequences else (input_shape[0], self._size())
        if not self.return_state:
            return output
        return [output, *[(input_shape[0], *shape) for shape in self._state_shapes(input_shape)]]

    def build(self, input_shape: Any = None) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.input_spec = [InputSpec(shape=(shape[0] if self.stateful else None, None, *shape[2:]))]
        if self.stateful:
            self.reset_states()
        self.built = True

    def step(self, x: Any, states: Any) -> Any:
        """Output and new states of one step."""
        raise NotImplementedError(f"[{self.name}] step(x, states) of {type(self).__name__} is not there. Define it.")

    def get_constants(self, x: Any, training: Any = None, train: Any = False) -> list[Any]:
        """What ``step`` finds behind the states, the same at every step."""
        return []

    def preprocess_input(self, x: Any, training: Any = None, train: Any = False) -> Any:
        """The sequence that ``step`` runs over, made from the inputs."""
        return x

    def get_initial_states(self, x: Any) -> list[Any]:
        """States before the first step: zeros."""
        return self.get_initial_state(x)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        key = inputs
        if not hasattr(self, "states"):
            self.states = [None]
        inputs, initial_state, _ = self._unpack(inputs, initial_state, None)
        if isinstance(mask, list):
            mask = mask[0]
        by_name = {"training": training}
        fixed = list(self.get_constants(inputs, **(by_name if has_arg(self.get_constants, "training") else {})))
        sequence = self.preprocess_input(inputs, **(by_name if has_arg(self.preprocess_input, "training") else {}))
        if initial_state is None:
            initial_state = list(self.get_initial_states(inputs))

        def step(x: Any, states: Any) -> Any:
            # A list: programs write states[-1] for a constant, and Keras 1 nests lists of masks there.
            return self.step(x, [*states, *fixed])

        last, outputs, states = self._run(step, sequence, inputs, initial_state, None, mask)
        drops = any(self.__dict__.get(n) for n in ("dropout_W", "dropout_U", "dropout", "recurrent_dropout"))
        return self._finish(key, last, outputs, states, drops or getattr(last, "_uses_learning_phase", False))

    def get_config(self) -> dict[str, Any]:
        return self._sequence_config() | {"implementation": self.implementation}


def of_cell(name: str) -> Any:
    """Property of a layer that is an attribute of its cell."""
    return alias(f"cell.{name}", f"The cell's ``{name}``.")


_HOOKS = ("step", "get_constants", "preprocess_input", "get_initial_states")


class CellLayer(Recurrent):
    """A layer around one of this package's cells. Subclasses may override Keras 1's hooks: ``step`` and the others."""

    cell: Any
    units = of_cell("units")
    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")

    _overrides_hooks = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Taken from the class statement, as those of this module have none.
        cls._overrides_hooks = cls._overrides_hooks or any(hook in cls.__dict__ for hook in _HOOKS)

    def _init_layer(self, cell: Any, arguments: dict[str, Any]) -> None:
        """Set up the layer from the arguments of its ``__init__``."""
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
        RNN.__init__(self, cell, **{n: arguments.get(n, False) for n in names}, **arguments["kwargs"])
        self.activity_regularizer = regularizers.get(arguments.get("activity_regularizer"))

    def __getattr__(self, name: str) -> Any:
        # Keras 1's names and the weights are the cell's; asked for only where the layer has no such attribute.
        own = self.__dict__
        if name.startswith("__") or "cell" not in own or name in ("states", "cell", "input_spec"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        known = name in _OLD_NAMES or name in ("kernel", "recurrent_kernel", "bias")
        if known or name.rpartition("_")[2] in own["cell"].gates:
            return getattr(own["cell"], name)
        return object.__getattribute__(self, name)  # says what is missing, also within a property

    def _state_shapes(self, input_shape: Any) -> list[tuple[Any, ...]]:
        return RNN._state_shapes(self, input_shape)

    def _size(self) -> int:
        return self.cell.units

    def build(self, input_shape: Any = None) -> None:
        RNN.build(self, input_shape)
        self.input_dim = self.input_spec[0].shape[-1]

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        kind = Recurrent if self._overrides_hooks else RNN
        return kind.call(self, inputs, mask, training, initial_state, constants)

    def step(self, x: Any, states: Any = None, h: Any = None) -> Any:
        """Output and new states of one step; ``h`` is the word of Keras 0.x for the states."""
        states = h if states is None else states
        n = len(self.states)
        recurrent, of_inputs = (*states[n:], None, None)[:2]
        if self._projects_before():
            return self.cell.step(x, list(states[:n]), recurrent)
        return self.cell.step(self.cell.project(x, of_inputs), list(states[:n]), recurrent)

    def _projects_before(self) -> bool:
        return getattr(self.cell, "implementation", 0) == 0

    def get_constants(self, x: Any, training: Any = None, train: Any = False) -> list[Any]:
        """Masks of the states and of the inputs for each gate; ones where there is no dropout."""
        ones = [1.0] * len(self.cell.gates)
        recurrent = self.cell.make_recurrent_masks(x[:, 0], training) or ones
        of_inputs = (None if self._projects_before() else self.cell.make_input_masks(x[:, 0], training)) or ones
        return [recurrent, of_inputs]

    def preprocess_input(self, x: Any, training: Any = None, train: Any = False) -> Any:
        """What the steps get of the inputs (samples, steps, features): all products with W at once, if made before."""
        if not self._projects_before():
            return x
        return self.cell.project(x, self.cell.make_input_masks(x[:, 0], training))

    def get_config(self) -> dict[str, Any]:
        config = self.cell.get_config()
        del config["name"], config["trainable"], config["dtype"]
        return (
            config
            | {"activity_regularizer": regularizers.serialize(self.activity_regularizer)}
            | self._sequence_config()
        )


@register
class SimpleRNN(CellLayer):
    """Fully connected recurrence: ``h = activation(x @ kernel + h @ recurrent_kernel + bias)``.

    Args:
        units: size of the output.
        dropout: share of the inputs to drop in training, the same ones at every step of a sequence.
        recurrent_dropout: the same for the output before.

    The arguments that every recurrent layer takes are explained in :class:`RNN`.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        # One product a step whatever it says; configs of Keras 2.0 and 2.1 have it.
        self.implementation = kwargs.pop("implementation", 0)
        cell = SimpleRNNCell(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            dtype=kwargs.get("dtype"),
        )
        self._init_layer(cell, arguments)

    def _projects_before(self) -> bool:
        return self.implementation == 0


@register
class GRU(CellLayer):
    """Gated recurrent unit (Cho et al., 2014).

    With x the inputs of a step, h the output before, W, U and b the parts of the weights:

        z = recurrent_activation(x W_z + h U_z + b_z)
        r = recurrent_activation(x W_r + h U_r + b_r)
        new = activation(x W_h + (r * h) U_h + b_h)
        h = z * h + (1 - z) * new

    ``reset_after=True`` takes ``r * (h U_h + b2_h)`` instead, as cuDNN does; its bias is (2, 3 * units). The weights
    hold z, r, h side by side: kernel (n, 3 * units), recurrent_kernel (units, 3 * units), bias (3 * units,). At API
    level 1.2 they are W_z, U_z, b_z, W_r, ..., b_h, unless ``consume_less='gpu'``.

    Args:
        units: size of the output.
        recurrent_activation: sigmoid (Keras 2.3); hard_sigmoid up to 2.2, see the API level.
        implementation: 0, 1 or 2 give the same numbers. Keras 2 draws one dropout mask for each gate with 1, one for
            all with 2.

    The other arguments are explained in :class:`SimpleRNN` and :class:`RNN`.
    """

    recurrent_activation = of_cell("recurrent_activation")
    implementation = of_cell("implementation")
    reset_after = of_cell("reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        cell = GRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            implementation=_checked_implementation("GRU", implementation),
            reset_after=reset_after,
            dtype=kwargs.get("dtype"),
        )
        self._init_layer(cell, arguments)


@register
class LSTM(CellLayer):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; with forget gates, Gers et al., 2000).

    With x the inputs of a step, h and c output and memory before, W, U and b the parts of the weights:

        i = recurrent_activation(x W_i + h U_i + b_i)      f and o alike
        c = f * c + i * activation(x W_c + h U_c + b_c)
        h = o * activation(c)

    The weights hold i, f, c, o side by side: kernel (n, 4 * units), recurrent_kernel (units, 4 * units), bias
    (4 * units,). At API level 1.2 they are W_i, U_i, b_i, W_c, ..., W_f, ..., W_o, ..., unless ``consume_less='gpu'``.

    Args:
        units: size of the output.
        recurrent_activation: sigmoid (Keras 2.3); hard_sigmoid up to 2.2, see the API level.
        unit_forget_bias: start with b_f = 1 (Jozefowicz et al., 2015).
        implementation: 0, 1 or 2 give the same numbers. Keras 2 draws one dropout mask for each gate with 1, one for
            all with 2.

    The other arguments are explained in :class:`SimpleRNN` and :class:`RNN`.
    """

    recurrent_activation = of_cell("recurrent_activation")
    implementation = of_cell("implementation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ):
        arguments = dict(locals())
        cell = LSTMCell(
            units,
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
            implementation=_checked_implementation("LSTM", implementation),
            dtype=kwargs.get("dtype"),
        )
        self._init_layer(cell, arguments)


def _checked_implementation(layer: str, implementation: Any) -> int:
    if implementation not in (0, 1, 2):
        raise ValueError(f"[{layer}] implementation is 0, 1 or 2; got {implementation!r}. All give the same numbers.")
    return int(implementation)
