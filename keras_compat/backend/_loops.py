"""Loops over time and over elements: ``K.rnn``, ``K.map_fn``, ``K.foldl``, ``K.foldr``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import autotensor as at

Step = Callable[[Any, list[Any]], tuple[Any, Sequence[Any]]]


def rnn(
    step_function: Step,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: int | None = None,
) -> tuple[Any, Any, list[Any]]:
    """Run a step function over the time of a sequence.

    Args:
        step_function: gets the input of one step, ``(samples, ...)``, and the list of states followed by the
            constants; returns the output of the step, ``(samples, ...)``, and the list of new states. States may have
            another shape than the output, and there may be none.
        inputs: tensor ``(samples, time, ...)``; without ``unroll`` time may be unknown.
        initial_states: the states before the first step.
        go_backwards: run from the last step to the first; outputs come in the order in which they are made.
        mask: tensor ``(samples, time)``. Where it is 0 the states stay as they are and the output is that of the step
            before (zeros before the first).
        constants: tensors that every step gets.
        unroll: write the steps out one after the other (time must be known) in place of a loop. The result is the
            same.
        input_length: ignored, as in Keras 2; time follows from the inputs.

    Returns:
        The last output, all outputs ``(samples, time, ...)`` and the list of the last states.

    Raises:
        ValueError: inputs without a time axis, a mask of another rank, or ``unroll`` over an unknown time.
    """
    if inputs.ndim < 3:
        raise ValueError(
            f"[rnn] Input should be at least 3D: (samples, time, ...); got {inputs.shape}. Add an axis with "
            "K.expand_dims?"
        )
    states = [x if isinstance(x, at.Tensor) else at.asarray(x) for x in initial_states]
    constants = list(constants or [])
    mask = _mask(mask)
    run = _unrolled if unroll else _looped
    last, outputs, new_states, uses_phase = run(step_function, inputs, states, go_backwards, mask, constants)
    last._uses_learning_phase = uses_phase
    outputs._uses_learning_phase = uses_phase
    return last, outputs, new_states


def _mask(mask: Any) -> Any:
    if mask is None:
        return None
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = at.squeeze(mask, 2)
    if mask.ndim != 2:
        raise ValueError(f"[rnn] mask should have shape=(samples, time); got {mask.shape}. Reduce its last axes?")
    return mask if mask.dtype.kind == "b" else at.not_equal(mask, 0)


def _where(mask: Any, new: Any, old: Any) -> Any:
    """``new`` for the samples of the mask, ``old`` for the others."""
    if new.ndim == 0:
        return new
    for _ in range(new.ndim - 1):
        mask = at.expand_dims(mask, -1)
    return at.where(mask, new, old)


def _step(step_function: Step, x: Any, states: Sequence[Any], constants: Sequence[Any]) -> tuple[Any, list[Any], bool]:
    given = [*states, *constants]
    output, new_states = step_function(x, given)
    new_states = list(new_states)
    if len(new_states) != len(states):
        raise ValueError(
            f"[rnn] the step function must return as many states as it got, {len(states)}; got {len(new_states)}. "
            "Return (output, [states])."
        )
    return output, new_states, _uses_phase([output, *new_states], [x, *given])


def _uses_phase(outputs: Iterable[Any], inputs: Iterable[Any]) -> bool:
    """Does a graph between inputs and outputs ask for the learning phase?"""
    seen = {id(x) for x in inputs}
    stack = [x for x in outputs if isinstance(x, at.Tensor)]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if getattr(x, "_uses_learning_phase", False):
            return True
        if x.node is not None:
            stack.extend([y for y in x.node.inputs if isinstance(y, at.Tensor)])
    return False


def _unrolled(
    step_function: Step, inputs: Any, states: list[Any], go_backwards: bool, mask: Any, constants: list[Any]
) -> tuple[Any, Any, list[Any], bool]:
    length = inputs.shape[1]
    if not length:
        raise ValueError(
            f"[rnn] Unrolling requires a fixed number of timesteps; got inputs of shape {inputs.shape}. Give the time "
            "in input_shape or batch_input_shape, or set unroll=False."
        )
    outputs: list[Any] = []
    uses_phase = False
    for t in reversed(range(length)) if go_backwards else range(length):
        output, new_states, used = _step(step_function, inputs[:, t], states, constants)
        uses_phase = uses_phase or used
        if mask is not None:
            valid = mask[:, t]
            output = _where(valid, output, outputs[-1] if outputs else at.zeros_like(output))
            new_states = [_where(valid, new, old) for new, old in zip(new_states, states)]
        outputs.append(output)
        states = new_states
    return at.copy(outputs[-1]), at.stack(outputs, axis=1), states, uses_phase


def _looped(
    step_function: Step, inputs: Any, states: list[Any], go_backwards: bool, mask: Any, constants: list[Any]
) -> tuple[Any, Any, list[Any], bool]:
    found: dict[str, Any] = {}
    init = list(states)
    sequences = [_time_first(inputs)]
    # One step outside of the loop, as in Keras 2.3: what it makes once and keeps, such as a dropout mask, is for all.
    output, new_states, _ = _step(step_function, inputs[:, 0], states, constants)
    if mask is not None:
        # The output before the first step: zeros in the shape of one, which only a step can tell.
        like = next((old for new, old in zip(new_states, states) if new is output), output)
        init.append(at.zeros_like(like))
        sequences.append(_time_first(mask))

    def step(before: Sequence[Any], parts: Sequence[Any], _: Any) -> tuple[Any, Any]:
        old = before[: len(states)]
        output, new_states, used = _step(step_function, parts[0], old, constants)
        found["phase"] = used
        found["last"] = next((k for k, new in enumerate(new_states) if new is output), None)
        if mask is None:
            return new_states, [output]
        output = _where(parts[1], output, before[-1])
        return [*[_where(parts[1], new, kept) for new, kept in zip(new_states, old)], output], [output]

    last_states, (stacked,) = at.scan(step, init, sequences, reverse=go_backwards)
    if mask is not None:
        last = last_states[-1]
    elif found["last"] is not None:
        last = at.copy(last_states[found["last"]])  # layers mark each tensor that they return
    else:
        last = stacked[0 if go_backwards else -1]
    outputs = _time_first(at.flip(stacked, axis=0) if go_backwards else stacked)
    return last, outputs, list(last_states[: len(states)]), found["phase"]


def _time_first(x: Any) -> Any:
    """Swap the axes of samples and time."""
    return at.permute_dims(x, (1, 0, *range(2, x.ndim)))


def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Apply a function to each part of ``elems`` along axis 0 and stack what it returns.

    Args:
        fn: gets one part; returns a tensor, or a list or tuple of them.
        elems: tensor, or a list or tuple of equally long ones: then ``fn`` gets one of their parts.
        dtype: dtype of the result (a list or tuple for several); by default what the function gives.

    Returns:
        The stacked results, in the structure that ``fn`` returns.
    """
    sequences = _parts(elems)
    found: dict[str, Any] = {}

    def step(_: Any, parts: Sequence[Any], __: Any) -> tuple[Any, Any]:
        result = fn(_like(elems, parts))
        outputs = _parts(result)
        if dtype is not None:
            kinds = dtype if isinstance(dtype, (tuple, list)) else [dtype] * len(outputs)
            outputs = [x if x.dtype == kind else at.astype(x, kind) for x, kind in zip(outputs, kinds)]
        found.update(result=result, phase=_uses_phase(outputs, parts))
        return (), outputs

    _, outputs = at.scan(step, (), sequences)
    return _marked(_like(found["result"], outputs), found["phase"])


def foldl(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Combine the parts of ``elems`` along axis 0, from the first to the last: ``fn(fn(initializer, a), b)``...

    Args:
        fn: gets what came out so far and the next part; returns a tensor of the shape and dtype of the former.
        elems: tensor, or a list or tuple of equally long ones: then ``fn`` gets one of their parts.
        initializer: where to start; by default at the first part.
    """
    return _fold(fn, elems, initializer, False)


def foldr(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """As :func:`foldl`, from the last part to the first."""
    return _fold(fn, elems, initializer, True)


def _fold(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any, reverse: bool) -> Any:
    sequences = _parts(elems)
    if initializer is None:
        init = [x[-1 if reverse else 0] for x in sequences]
        sequences = [x[:-1] if reverse else x[1:] for x in sequences]
        start = elems
    else:
        init = _parts(initializer)
        start = initializer
    found: dict[str, Any] = {}

    def step(states: Sequence[Any], parts: Sequence[Any], _: Any) -> tuple[Any, Any]:
        new = _parts(fn(_like(start, states), _like(elems, parts)))
        found["phase"] = _uses_phase(new, [*states, *parts])
        return new, ()

    last, _ = at.scan(step, init, sequences, reverse=reverse)
    return _marked(_like(start, last), found["phase"])


def _parts(x: Any) -> list[Any]:
    return [v if isinstance(v, at.Tensor) else at.asarray(v) for v in (x if isinstance(x, (tuple, list)) else [x])]


def _like(structure: Any, parts: Sequence[Any]) -> Any:
    """A single tensor, a list or a tuple, as ``structure`` is."""
    return type(structure)(parts) if isinstance(structure, (tuple, list)) else parts[0]


def _marked(result: Any, uses_phase: bool) -> Any:
    for x in result if isinstance(result, (tuple, list)) else [result]:
        x._uses_learning_phase = uses_phase
    return result
