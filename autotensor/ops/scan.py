"""Loops over time: one operation whose parameter is the graph of a step.

The gradient of a loop is a loop in the other direction. What it needs of the forward steps it gets from a forward loop
over the same step that gives away more; the compiler makes one loop of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.grad import backpropagate
from autotensor.core.loop import Body, checked_state
from autotensor.core.op import Op, apply, register
from autotensor.core.state import Trace, recording, state, tracing
from autotensor.core.tensor import Node, Tensor, Variable, as_tensor, symbol
from autotensor.errors import GraphError, ShapeError
from autotensor.ops.elementwise import add, bitwise_or
from autotensor.ops.like import zeros_like
from autotensor.ops.linalg import matmul
from autotensor.ops.random import next_key, next_key_op, random_bits_like
from autotensor.ops.shape import permute_dims, permute_dims_op, reshape, stack

__all__ = ["scan"]

# -- the operation


def _impl(*arrays: Any, body: Body) -> Any:
    outs = body.run(arrays)
    return tuple(outs) if len(outs) > 1 else outs[0]


def _infer(*avals: Any, body: Body) -> Any:
    outs = body.infer([a if isinstance(a, Aval) else Aval((), np.result_type(a)) for a in avals])
    return outs if len(outs) > 1 else outs[0]


def _vjp(needs: tuple[bool, ...], g: Any, out: Any, *inputs: Any, body: Body) -> list[Any]:
    gs = g if isinstance(g, tuple) else (g,)
    outs = out if isinstance(out, tuple) else (out,)
    states, n = body.n_states, body.n_states + body.n_sequences
    given = tuple([x is not None for x in gs[states:]])
    key = tuple(needs[states:]), given
    found = body.gradients.get(key)
    if found is None:
        found = body.gradients[key] = _gradient(body, key[0], given)
    forward = outs
    if found.more is not None:
        forward = _outputs(found.more, inputs)
    init = [zeros_like(outs[i]) if gs[i] is None else gs[i] for i in found.float_states]
    init += [zeros_like(inputs[n + k]) for k in found.wanted_constants]
    sequences = [forward[states + k] for k in found.saved]
    sequences += [inputs[states + k] for k in found.sequences]
    sequences += [x for x, there in zip(gs[states:], found.given, strict=True) if there]
    constants = [inputs[n + k] for k in found.constants]
    back = _outputs(found.body, [*init, *sequences, *constants]) if found.body.outputs else ()
    grads: list[Any] = [None] * len(inputs)
    for k, i in enumerate(found.float_states):
        grads[i] = back[k] if needs[i] else None
    for k, i in enumerate(found.wanted_constants):
        grads[n + i] = back[len(found.float_states) + k]
    for k, i in enumerate(found.wanted_sequences):
        grads[states + i] = back[found.body.n_states + k]
    for i, factors in found.products:
        terms = [[sequences[k] if first else back[k] for first, k in pair] for pair in factors]
        grads[n + i] = reduce(add, [matmul(permute_dims(_flat(a), (1, 0)), _flat(b)) for a, b in terms])
    return grads


def _flat(x: Tensor) -> Tensor:
    """Rows of all steps as one matrix."""
    columns = x.shape[2]
    assert columns is not None
    return reshape(x, (-1, columns))


@cache
def _op(n_out: int) -> Op:
    """The operation for bodies with that many outputs; all of them have one name."""
    return Op("scan", impl=_impl, infer=_infer, vjp=_vjp, repeats=_op_of, n_out=n_out, doc=_DOC)


def _op_of(body: Body) -> Op:
    return _op(len(body.outputs))


_DOC = "The last states, then the stacked outputs, of a graph that is run for each step of its sequences."
register(_op(2))


def _outputs(body: Body, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    outs = apply(_op_of(body), *inputs, body=body)
    return outs if isinstance(outs, tuple) else (outs,)


# -- its gradient


class _Gradient(NamedTuple):
    """The loop backward, and where its inputs come from: positions in the inputs and outputs of the loop forward."""

    body: Body
    more: Body | None  # the step forward, giving away what the step backward reads; None if it does already
    float_states: list[int]  # states backward: gradients of these ...
    wanted_constants: list[int]  # ... then sums of the gradients of these
    saved: list[int]  # sequences backward: outputs of the loop forward ...
    sequences: list[int]  # ... its sequences ...
    given: list[bool]  # ... and the gradients of the outputs that have one
    constants: list[int]
    wanted_sequences: list[int]  # outputs backward: gradients of these
    # Constants whose gradient is a sum of transpose(a) @ b over all steps, made after the loop by one large product:
    # for each of them pairs of factors, (True, sequence backward) or (False, output backward).
    products: list[tuple[int, list[list[tuple[bool, int]]]]]


def _key(x: Tensor) -> Any:
    return (id(x.node), x.index) if x.node is not None else id(x)


def _gradient(body: Body, needs: tuple[bool, ...], given: tuple[bool, ...]) -> _Gradient:
    """Differentiate a step: the body of the loop backward.

    ``needs`` tells which sequences and constants, ``given`` which outputs have a gradient.
    """
    states, sequences, constants = body.split(body.inputs)
    new, outs = body.outputs[: len(states)], body.outputs[len(states) :]
    float_states = [i for i, x in enumerate(states) if x.dtype.kind in "fc"]
    wanted_sequences = [i for i, x in enumerate(sequences) if needs[i] and x.dtype.kind in "fc"]
    wanted_constants = [i for i, x in enumerate(constants) if needs[len(sequences) + i] and x.dtype.kind in "fc"]
    used = [there and x.dtype.kind in "fc" for x, there in zip(outs, given, strict=True)]
    seeds = [symbol(checked_state(i, states[i].aval, new[i].aval)) for i in float_states]
    seeds_out = [symbol(x.aval) for x, there in zip(outs, used, strict=True) if there]
    tops = [new[i] for i in float_states] + [x for x, there in zip(outs, used, strict=True) if there]
    wanted = [states[i] for i in float_states]
    wanted += [sequences[i] for i in wanted_sequences] + [constants[i] for i in wanted_constants]
    forward = {id(node) for node in body.nodes()}
    varying = body.varying()

    def varies(x: Tensor) -> bool:
        """Is this another tensor in each step?"""
        if x.node is None:
            return any([x is y for y in (*states, *sequences)])
        return id(x.node) in varying or id(x.node) not in forward

    with recording():
        grads = backpropagate(tops, [*seeds, *seeds_out], wanted)
        a, b = len(float_states), len(float_states) + len(wanted_sequences)
        factored = {i: _factors(g, varies) for i, g in zip(wanted_constants, grads[b:], strict=True)}
        grads[b:] = [g for i, g in zip(wanted_constants, grads[b:], strict=True) if not factored[i]]
        wanted_constants = [i for i in wanted_constants if not factored[i]]
        sums = [symbol(constants[i].aval) for i in wanted_constants]
        back = [zeros_like(states[i]) if g is None else g for i, g in zip(float_states, grads[:a], strict=True)]
        back += [total if g is None else total + g for total, g in zip(sums, grads[b:], strict=True)]
        found = [(i, g) for i, g in zip(wanted_sequences, grads[a:b], strict=True) if g is not None]
        back += [g for _, g in found]

    # What the step backward reads of the step forward becomes an input of it, or is computed again if it is the same in
    # all steps.
    place = {_key(x): k for k, x in reversed(list(enumerate(outs)))}
    inputs = {id(x): k for k, x in enumerate(body.inputs)}
    more: list[Tensor] = []
    saved: dict[int, Tensor] = {}  # number of an output forward -> input backward
    read_inputs: dict[int, Tensor] = {}

    def outside(x: Any) -> Any:
        """The input backward that stands for a tensor of the step forward; None for one of the step backward."""
        k = inputs.get(id(x))
        if k is not None and k >= len(states):
            read_inputs[k] = x
            return x
        if k is None and (x.node is None or id(x.node) not in varying):
            return None
        number = place.setdefault(_key(x), len(outs) + len(more))
        if number == len(outs) + len(more):
            more.append(x)
        if number not in saved:
            saved[number] = symbol(x.aval)
        return saved[number]

    pairs = [(i, factors) for i, factors in factored.items() if factors]
    count = len(back)
    back = _relinked([*back, *[x for _, factors in pairs for pair in factors for x in pair]], outside)
    operands = iter(back[count:])
    back = back[:count]
    used_sequences = [k for k in range(len(sequences)) if len(states) + k in read_inputs]
    used_constants = [k for k in range(len(constants)) if len(states) + len(sequences) + k in read_inputs]
    if not saved and not used_sequences and not seeds_out:
        used_sequences = [0]  # a loop needs to know its length
    numbers = sorted(saved)
    parts = [*[saved[k] for k in numbers], *[sequences[k] for k in used_sequences], *seeds_out]
    read = {id(x): k for k, x in enumerate(parts)}
    given_away = {_key(x): k for k, x in reversed(list(enumerate(back))) if k >= len(seeds) + len(sums)}

    def source(x: Tensor) -> tuple[bool, int]:
        if id(x) in read:
            return True, read[id(x)]
        k = given_away.setdefault(_key(x), len(back))
        if k == len(back):
            back.append(x)
        return False, k

    products = [(i, [[source(next(operands)) for _ in pair] for pair in factors]) for i, factors in pairs]
    body_inputs = (
        *seeds,
        *sums,
        *parts,
        *[constants[k] for k in used_constants],
    )
    return _Gradient(
        Body(
            body_inputs,
            back,
            len(seeds) + len(sums),
            len(parts),
            not body.reverse,
        ),
        Body(body.inputs, (*body.outputs, *more), len(states), len(sequences), body.reverse) if more else None,
        float_states,
        wanted_constants,
        numbers,
        used_sequences,
        used,
        used_constants,
        [i for i, _ in found],
        products,
    )


def _factors(g: Tensor | None, varies: Callable[[Tensor], bool]) -> list[tuple[Tensor, Tensor]]:
    """Matrices a, b that vary with g = sum of transpose(a) @ b; empty if g is nothing like that."""
    found = []
    terms: list[Any] = [g]
    while terms:
        term = terms.pop()
        node = term.node if isinstance(term, Tensor) else None
        if node is not None and node.op is add:
            terms += node.inputs
            continue
        if node is None or node.op is not matmul:
            return []
        left, b = node.inputs
        if left.ndim != 2 or b.ndim != 2 or left.node is None or left.node.op is not permute_dims_op:
            return []
        a = left.node.inputs[0]
        if left.node.params["axes"] != (1, 0) or not (varies(a) and varies(b)):
            return []
        if not a.shape[1] or not b.shape[1] or a.dtype != b.dtype or a.dtype.itemsize < 4:
            return []
        found.append((a, b))
    return found


def _relinked(tensors: Sequence[Tensor], outside: Callable[[Tensor], Tensor | None]) -> list[Tensor]:
    """Cut recipes off where ``outside`` names another tensor to stand there.

    The recipes down to the cuts were made for this purpose and are seen by nobody else (or keep their inputs): they are
    changed in place.
    """

    def link(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        other = outside(x)
        return x if other is None else other

    tops = [link(x) for x in tensors]
    stack = [x.node for x in tops if x.node is not None]
    seen = {id(node) for node in stack}
    while stack:
        node = stack.pop()
        node.inputs = tuple([link(x) for x in node.inputs])
        for x in node.inputs:
            if isinstance(x, Tensor) and x.node is not None and id(x.node) not in seen:
                seen.add(id(x.node))
                stack.append(x.node)
    return tops


# -- the function


def scan(
    f: Callable[[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Any, Any]],
    init: Any,
    sequences: Any = (),
    constants: Any = (),
    reverse: bool = False,
    unroll: bool = False,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run a step for each element of sequences: a loop over time as one operation.

    Args:
        f: ``f(states, xs, constants) -> (new_states, outputs)``, tuples of tensors each. It is called once, with
            symbolic tensors (once per step with ``unroll``). What else it uses (Variables, tensors from outside)
            is found and counts as constants.
        init: states before the first step. They keep shape and dtype.
        sequences: tensors with time on axis 0, equally long; ``xs`` are their parts at one time. At least one.
        constants: tensors that are the same in all steps.
        reverse: from the last time to the first. Outputs stand where their ``xs`` stood.
        unroll: record the steps one after the other; time must be known.

    Returns:
        (states after the last step, outputs stacked along a new axis 0). Without any steps the states are ``init``.

    Raises:
        ShapeError: sequences of different lengths, a state that changes its shape or dtype.

    One tensor may stand for a tuple of one. Random operations in ``f`` are drawn anew for each step.

    Raises GraphError for a step with neither states nor outputs.

        >>> import autotensor as at
        >>> (total,), (sums,) = at.scan(lambda s, x, c: (s[0] + x[0], s[0] + x[0]), 0.0, at.asarray([1.0, 2.0, 3.0]))
        >>> total, sums
        (Tensor(6., dtype=float64), Tensor([1., 3., 6.], dtype=float64))
    """
    given = [_tensors(x) for x in (init, sequences, constants)]
    if not given[1]:
        raise ShapeError("[scan] expected at least one sequence; got none. To count steps, scan over at.arange(n).")
    for x in given[1]:
        if not x.shape:
            raise ShapeError("[scan] sequences need a time axis, axis 0; got a scalar. Use expand_dims()?")
    if unroll:
        return _unrolled(f, given[0], given[1], given[2], reverse)
    with recording() as made:
        # The names are for the error that a step's tensor raises when it is used outside.
        states = [symbol(x.aval, name=f"state {k} of a scan") for k, x in enumerate(given[0])]
        parts = [symbol(Aval(x.shape[1:], x.dtype), name=f"part {k} of a scan") for k, x in enumerate(given[1])]
        fixed = [symbol(x.aval, name=f"constant {k} of a scan") for k, x in enumerate(given[2])]
        with tracing(_Inside(state.trace)) if state.trace is not None else nullcontext():
            new, outs = _result(f(tuple(states), tuple(parts), tuple(fixed)), len(states))
    placeholders = {id(x) for x in [*states, *parts, *fixed]}
    inside = {id(node) for node in made}
    closed: dict[Any, tuple[Tensor, Tensor]] = {}
    keys: list[tuple[Node, Tensor]] = []
    by_node: dict[int, Tensor] = {}

    def outside(x: Tensor) -> Tensor | None:
        if id(x) in placeholders:
            return None
        if x.node is not None and id(x.node) in inside:
            if x.node.op is next_key_op:
                if id(x.node) not in by_node:
                    by_node[id(x.node)] = symbol(x.aval)
                    keys.append((x.node, by_node[id(x.node)]))
                return by_node[id(x.node)]
            return None
        if x.data is not None and not x.tracked and not isinstance(x, Variable):
            return None
        if _key(x) not in closed:
            closed[_key(x)] = x, symbol(x.aval)
            placeholders.add(id(closed[_key(x)][1]))
        return closed[_key(x)][1]

    tops = _relinked([*new, *outs], outside)
    for i, (first, after) in enumerate(zip(states, tops, strict=False)):
        checked_state(i, first.aval, after.aval)
    wholes = [*given[0], *given[1], *given[2], *[x for x, _ in closed.values()]]
    waiting = next((x for x in wholes if x.waits), None)
    drawn = [_step_keys(next_key(**node.params, like=waiting), given[1][0]) for node, _ in keys]
    body = Body(
        (*states, *parts, *[x for _, x in keys], *fixed, *[x for _, x in closed.values()]),
        tops,
        len(states),
        len(parts) + len(keys),
        reverse,
    )
    if not tops:
        raise GraphError("[scan] expected a step with states or outputs; got neither. Return (new_states, outputs).")
    found = _outputs(body, [*given[0], *given[1], *drawn, *given[2], *[x for x, _ in closed.values()]])
    return found[: len(states)], found[len(states) :]


class _Inside:
    """The trace of a compiled step, seen from within a loop: Variables are read, but not assigned."""

    def __init__(self, around: Trace):
        self.around = around

    def resolve(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.around.resolve(inputs)

    def assign(self, variable: Variable, value: Tensor) -> None:
        raise GraphError(
            f"[scan] expected no assignment in a step; got one to {variable.name or variable.aval!r}. "
            "Make it a state, and assign what comes out."
        )


def _step_keys(key: Tensor, like: Tensor) -> Tensor:
    """A random key for each step, as many as ``like`` is long, all from one draw."""
    bits = random_bits_like(key, like, dtype=np.dtype(np.uint64), ones=tuple(range(1, like.ndim)))
    return bitwise_or(reshape(bits, (-1,)), as_tensor(np.uint64(1)))  # the generator asks for odd keys


def _tensors(x: Any) -> list[Tensor]:
    return [as_tensor(v) for v in x] if isinstance(x, (tuple, list)) else [as_tensor(x)]


def _result(result: Any, n_states: int) -> tuple[list[Tensor], list[Tensor]]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise GraphError(
            f"[scan] expected the step to return (new_states, outputs); got {type(result).__name__}. Use () for none."
        )
    new, outs = _tensors(result[0]), _tensors(result[1])
    if len(new) != n_states:
        raise GraphError(
            f"[scan] expected {n_states} new states, as many as init has; got {len(new)}. Return them all."
        )
    return new, outs


def _unrolled(f: Any, states: Sequence[Tensor], sequences: Any, constants: Any, reverse: bool) -> Any:
    n = Body((), (), 0, len(sequences)).length([x.aval for x in sequences])
    if not n:
        raise ShapeError(f"[scan] unroll expects a known number of steps, 1 or more; got {n}. Leave unroll out?")
    made = []
    states = tuple(states)
    for t in reversed(range(n)) if reverse else range(n):
        new, outs = _result(f(states, tuple([x[t] for x in sequences]), tuple(constants)), len(states))
        for i, (old, after) in enumerate(zip(states, new, strict=True)):
            checked_state(i, old.aval, after.aval)
        states = tuple(new)
        made.append(outs)
    if reverse:
        made.reverse()
    return states, tuple([stack(list(parts)) for parts in zip(*made, strict=True)])
