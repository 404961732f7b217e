"""The graph of one step of a loop over time, and its evaluation node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.grad import topological
from autotensor.core.state import state
from autotensor.core.tensor import Node, Tensor
from autotensor.errors import GraphError, NanError, ShapeError


class Body:
    """One step: a graph cut off at ``inputs``, which are states, then parts of sequences, then constants.

    ``outputs`` are the new states, then what each step gives away. ``reverse``: from the last step to the first; a
    step's outputs stand where its parts of the sequences stood. Bodies made from one another share the tuple of
    inputs, by which the compiler knows them. A Body never changes.
    """

    __slots__ = ("_known", "_program", "gradients", "inputs", "n_sequences", "n_states", "outputs", "reverse")

    def __init__(
        self,
        inputs: tuple[Tensor, ...],
        outputs: Sequence[Tensor],
        n_states: int,
        n_sequences: int,
        reverse: bool = False,
    ):
        self.inputs = inputs
        self.outputs = tuple(outputs)
        self.n_states = n_states
        self.n_sequences = n_sequences
        self.reverse = reverse
        self.gradients: dict[Any, Any] = {}  # what the operation's gradient rule keeps of its work
        self._program: tuple[list[Any], list[Any], list[int]] | None = None
        self._known: tuple[Any, tuple[Aval, ...]] | None = None

    def __repr__(self) -> str:
        return f"<Body of {len(self.nodes())} operations>"

    def nodes(self) -> list[Node]:
        """Operations of a step, inputs first."""
        return [node for node, _ in topological(self.outputs, {id(x) for x in self.inputs})]

    def varying(self) -> set[int]:
        """Ids of the operations whose results may differ from step to step."""
        found: set[int] = set()
        changing = {id(x) for x in self.inputs[: self.n_states + self.n_sequences]}
        for node in self.nodes():
            if not node.op.pure or any(
                [isinstance(x, Tensor) and (id(x) in changing or id(x.node) in found) for x in node.inputs]
            ):
                found.add(id(node))
        return found

    def split(self, values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Inputs as states, sequences and constants."""
        a, b = self.n_states, self.n_states + self.n_sequences
        return values[:a], values[a:b], values[b:]

    # -- shapes -----------------------------------------------------------------------------------------------------

    def step_avals(self, avals: Sequence[Any]) -> list[Aval]:
        """Shapes within a step, from those of the whole inputs."""
        states, sequences, constants = self.split(avals)
        return [*states, *[Aval(x.shape[1:], x.dtype) for x in sequences], *constants]

    def length(self, avals: Sequence[Any]) -> int | None:
        """Number of steps; None if unknown. Raises ShapeError if the sequences differ."""
        found: int | None = None
        for x in self.split(avals)[1]:
            if not x.shape:
                raise ShapeError("[scan] sequences need a time axis, axis 0; got a scalar. Use expand_dims?")
            n = x.shape[0]
            if found is not None and n is not None and n != found:
                raise ShapeError(
                    f"[scan] all sequences must be equally long; got {found} and {n} steps. Cut the longer one?"
                )
            found = n if found is None else found
        return found

    def infer(self, avals: Sequence[Any]) -> tuple[Aval, ...]:
        """Shapes of the last states, then of the stacked outputs, from those of the inputs."""
        n = self.length(avals)
        given = self.step_avals(avals)
        key = tuple(given)
        if self._known is None or self._known[0] != key:
            self._known = key, self._step_outputs(given)
        found = self._known[1]
        states = [
            checked_state(i, old, new) for i, (old, new) in enumerate(zip(given, found[: self.n_states], strict=False))
        ]
        return (*states, *[Aval((n, *out.shape), out.dtype) for out in found[self.n_states :]])

    def _step_outputs(self, given: Sequence[Aval]) -> tuple[Aval, ...]:
        known: dict[Any, Aval] = {id(x): aval for x, aval in zip(self.inputs, given, strict=True)}

        def read(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            aval = known.get(id(x))
            if aval is None:
                aval = known[id(x.node), x.index] if x.node is not None else x.aval
            return aval

        for node in self.nodes():
            avals = node.op.infer(*[read(x) for x in node.inputs], **node.params)
            for i, aval in enumerate(avals if node.op.n_out > 1 else (avals,)):
                known[id(node), i] = aval
        return tuple([read(x) for x in self.outputs])

    # -- values -----------------------------------------------------------------------------------------------------

    def _compiled(self) -> tuple[list[Any], list[Any], list[int]]:
        """Places for all values of a step, what is written where by which operation, and the places of the outputs."""
        if self._program is not None:
            return self._program
        place: dict[Any, int] = {}
        values: list[Any] = []

        def put(key: Any, value: Any = None) -> int:
            place[key] = len(values)
            values.append(value)
            return place[key]

        for k, x in enumerate(self.inputs):
            put(id(x))
            assert place[id(x)] == k

        def read(x: Any) -> int:
            if not isinstance(x, Tensor):
                return put(object(), x)
            found = place.get(id(x))
            if found is None:
                if x.node is not None:
                    found = place[id(x.node), x.index]
                elif x.data is not None:
                    found = put(id(x), x.data)
                else:
                    raise GraphError(f"[scan] placeholder {x.name or x.aval!r} has no value. Add it to inputs.")
            return found

        lines = []
        for node in self.nodes():
            inputs = [read(x) for x in node.inputs]
            lines.append((node, node.op.impl, inputs, node.params, [put((id(node), i)) for i in range(node.op.n_out)]))
        self._program = values, lines, [read(x) for x in self.outputs]
        return self._program

    def run(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """The last states, then the stacked outputs, all of them fresh arrays."""
        start, lines, results = self._compiled()
        values = list(start)
        states, sequences, constants = self.split(arrays)
        states = [np.asarray(x) for x in states]
        avals = [Aval(np.shape(x), np.asarray(x).dtype) for x in arrays]
        n = self.length(avals) or 0
        first = self.n_states
        after = first + self.n_sequences
        values[after : after + len(constants)] = constants
        stacks: list[np.ndarray] | None = None
        watch = state.watch
        for t in reversed(range(n)) if self.reverse else range(n):
            values[:first] = states
            values[first:after] = [x[t, ...] for x in sequences]
            for node, impl, inputs, params, outs in lines:
                try:
                    given = [values[k] for k in inputs]
                    result = impl(*given, **params) if watch is None else watch.run(node.op, (), given, params, node, t)
                except Exception as error:
                    if not isinstance(error, NanError):  # which says so itself
                        error.add_note(f"raised by {node.op.name} in step {t} of a scan, written at {node.where}")
                    raise
                if len(outs) == 1:
                    values[outs[0]] = result if type(result) is np.ndarray else np.asarray(result)
                else:
                    for k, part in zip(outs, result, strict=True):
                        values[k] = np.asarray(part)
            found = [values[k] for k in results]
            for i, (old, new) in enumerate(zip(states, found, strict=False)):
                if old.shape != new.shape or old.dtype != new.dtype:
                    checked_state(i, Aval(old.shape, old.dtype), Aval(new.shape, new.dtype))
            states = found[:first]
            if stacks is None:
                stacks = [np.empty((n, *x.shape), x.dtype) for x in found[first:]]
            for stack, x in zip(stacks, found[first:], strict=True):
                if x.shape != stack.shape[1:]:
                    raise ShapeError(
                        f"[scan] expected values of one shape from all steps; got {x.shape} in step {t} and "
                        f"{stack.shape[1:]} before. Use where() in place of a selection by x[x > 0]? (A gradient keeps "
                        "values from inside of the steps too.)"
                    )
                stack[t] = x
        if stacks is None:
            stacks = [np.empty([d or 0 for d in a.shape], a.dtype) for a in self.infer(avals)[first:]]
        return [*[np.array(x) for x in states], *stacks]


def checked_state(i: int, old: Aval, new: Aval) -> Aval:
    """What is known of a state after any number of steps. Raises ShapeError if a step changes its shape or dtype."""
    if old.dtype != new.dtype:
        raise ShapeError(
            f"[scan] a state must keep its dtype; state {i} is {old.dtype} at first and {new.dtype} after a step. "
            "Use astype() on one of them?"
        )
    if old.ndim != new.ndim or any([a != b and None not in (a, b) for a, b in zip(old.shape, new.shape)]):
        texts = [str(x.shape).replace("None", "?") for x in (old, new)]
        raise ShapeError(
            f"[scan] a state must keep its shape; state {i} is {texts[0]} at first and {texts[1]} after a step. "
            "Broadcast the first one to its full shape?"
        )
    return Aval([b if a is None else a for a, b in zip(old.shape, new.shape)], old.dtype)
