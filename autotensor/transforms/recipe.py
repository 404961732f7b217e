"""A function as the graph of operations it records on placeholders, to be carried out again on other values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autotensor.core.op import apply
from autotensor.core.state import Trace, recording, state, tracing
from autotensor.core.tensor import Node, Tensor, Variable, wrap
from autotensor.errors import GraphError


class _Inside:
    """The trace in which a function is recorded: Variables are read, but not assigned.

    That there is a trace at all makes arrays promote as in an eager run, and compiled functions run in line.
    """

    def __init__(self, around: Trace | None, op: str):
        self.around = around
        self.op = op

    def resolve(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return inputs if self.around is None else self.around.resolve(inputs)

    def assign(self, variable: Variable, value: Tensor) -> None:
        raise GraphError(
            f"[{self.op}] expected no assignment in the function; got one to {variable.name or variable.aval!r}. "
            "Return the new value, and assign it outside."
        )


class Recording(NamedTuple):
    """The operations a function recorded, in their order, and the leaves of derivatives that it took for itself."""

    nodes: list[Node]
    leaves: list[Tensor]

    def constants(self) -> dict[int, Tensor]:
        """Those leaves by their ids, as the constants that they are once the derivatives are taken."""
        return {id(x): wrap(x.data) for x in self.leaves if x.data is not None}


class _UnderWay(threading.local):
    def __init__(self) -> None:
        self.leaves: list[list[Tensor]] = []  # of the recordings under way in this thread


_under_way = _UnderWay()


def note_leaf(x: Tensor) -> None:
    """A derivative is taken by this leaf, perhaps in a function that is being recorded."""
    if _under_way.leaves:
        _under_way.leaves[-1].append(x)


def record(f: Callable[[], Any], op: str) -> tuple[Any, Recording]:
    """What ``f()`` returns, and what it recorded; random operations are not drawn."""
    leaves: list[Tensor] = []
    _under_way.leaves.append(leaves)
    try:
        with recording() as made, tracing(_Inside(state.trace, op)):
            result = f()
    finally:
        _under_way.leaves.pop()
    return result, Recording(made, leaves)


def needed(outputs: Sequence[Tensor], made: Sequence[Node], given: set[int]) -> list[Node]:
    """The recorded operations that outputs depend on, in their order. Tensors with an id in ``given`` are known."""
    inside = {id(node) for node in made}
    found: set[int] = set()
    stack = [x for x in outputs if isinstance(x, Tensor)]
    while stack:
        x = stack.pop()
        node = x.node
        if id(x) in given or node is None or id(node) not in inside or id(node) in found:
            continue
        found.add(id(node))
        stack += [i for i in node.inputs if isinstance(i, Tensor)]
    return [node for node in made if id(node) in found]


def read(x: Any, values: dict[int, Any], done: dict[tuple[int, int], Any]) -> Any:
    """What stands for a tensor of the recording: its new value, or itself if it comes from outside."""
    if not isinstance(x, Tensor):
        return x
    if id(x) in values:
        return values[id(x)]
    if x.node is not None:
        return done.get((id(x.node), x.index), x)
    return x


def repeat(
    outputs: Sequence[Tensor],
    nodes: Sequence[Node],
    values: dict[int, Any],
    results: dict[tuple[int, int], Any] | None = None,
) -> list[Any]:
    """The outputs, computed again with other tensors in the place of those with the ids of ``values``.

    ``results``: tensors in the place of outputs of nodes, by the id of the node and the number of the output.
    """
    done = dict(results or {})
    before = state.origin
    try:
        for node in nodes:
            if (id(node), 0) in done:
                continue
            state.origin = node.where or before  # errors and profiles name the line that was recorded
            result = apply(node.op, *[read(x, values, done) for x in node.inputs], **node.params)
            for i, out in enumerate(result if node.op.n_out > 1 else (result,)):
                done[id(node), i] = out
    finally:
        state.origin = before
    return [read(x, values, done) for x in outputs]
