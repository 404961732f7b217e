"""What a plan needs of memory, said before anything runs."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from autotensor.core.loop import Body
from autotensor.core.tensor import Place
from autotensor.graph.fuse import Group
from autotensor.graph.plan import Plan
from autotensor.graph.show import size
from autotensor.graph.specialise import sized


class Held(NamedTuple):
    """A value that a plan holds for some of its steps.

    op: the operation that makes it.
    kind: ``"forward"``, ``"backward"`` for what belongs to a gradient, ``"scratch"`` for what an operation needs while
        it runs, ``"loop"`` for all that the steps of a loop need.
    layer, line: the ``name_scope`` and the line of the program that it comes from, ``""`` where unknown.
    first, last: the steps that make it and that need it last.
    """

    op: str
    kind: str
    layer: str
    line: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    first: int
    last: int


class Memory:
    """The memory of a compiled function for inputs of given shapes, in bytes. ``str()`` is a table.

    A plan allocates all of it once; nothing is allocated while it runs, but by operations that only NumPy has.

    name, shapes: of the function and its inputs.
    input_bytes: the arrays that the inputs are copied into. Variables belong to the program and are not counted.
    buffer_bytes: the arrays for all other values, shared by values that are not needed at the same time.
    unshared_bytes: what these would be if nothing were shared.
    peak_bytes: the most that is needed at once, the least that ``buffer_bytes`` could be with these steps.
    values: what is held; ``live(step)`` what of it is held in a step, ``peak_step`` the one that needs most.
    """

    def __init__(self, name: str, shapes: tuple[Any, ...], input_bytes: int, buffer_bytes: int, values: list[Held]):
        self.name = name
        self.shapes = shapes
        self.input_bytes = input_bytes
        self.buffer_bytes = buffer_bytes
        self.values = values
        self.unshared_bytes = sum([value.nbytes for value in values])
        change = [0] * (max([value.last for value in values], default=0) + 2)
        for value in values:
            change[value.first] += value.nbytes
            change[value.last + 1] -= value.nbytes
        held = list(accumulate(change))
        self.peak_bytes = max(held)
        self.peak_step = held.index(self.peak_bytes)

    @property
    def total_bytes(self) -> int:
        """All that the plan allocates."""
        return self.input_bytes + self.buffer_bytes

    def live(self, step: int) -> list[Held]:
        """What is held in a step, the largest first."""
        found = [value for value in self.values if value.first <= step <= value.last]
        return sorted(found, key=lambda value: -value.nbytes)

    def largest(self, number: int = 5) -> list[Held]:
        """The largest of what is held where most is held."""
        return self.live(self.peak_step)[:number]

    def __str__(self) -> str:
        shapes = ", ".join(map(str, self.shapes)) or "no arrays"
        lines = [
            f"memory of {self.name} for {shapes}",
            f"{size(self.input_bytes):>10}  inputs",
            f"{size(self.buffer_bytes):>10}  buffers; {size(self.peak_bytes)} are needed at once, "
            f"{size(self.unshared_bytes)} if none served twice",
        ]
        largest = self.largest()
        if largest:
            lines.append("largest where most is needed:")
        for value in largest:
            where = f" in {value.layer}" if value.layer else ""
            shape = f"{value.dtype}{list(value.shape)}" if value.shape or value.kind not in ("scratch", "loop") else ""
            line = f"  # {value.line}" if value.line else ""
            lines.append(f"{size(value.nbytes):>10}  {value.op} {shape}{where} ({value.kind}){line}")
        return "\n".join(lines)


def memory_of(plan: Plan) -> Memory:
    """What a plan needs."""
    last = plan._last_uses()
    variables = {id(variable.data) for variable, _ in plan.updates}
    scratch = plan.lent
    loops = iter(plan.loops)
    values: list[Held] = []
    for k, step in enumerate(plan.steps):
        nodes = step.unit.nodes if isinstance(step.unit, Group) else [step.unit]
        made_by = {id(node): node for node in nodes}
        for key in step.writes:
            array = plan.buffers.get(key)
            if array is None or plan.root[key] is not key or id(array) in variables:
                continue  # never asked for; a view; written into the Variable itself
            node = made_by[key[0]]
            values.append(_held(node.op.name, node.where, array, k, max(last.get(key, k), k)))
        label = step.unit.label if isinstance(step.unit, Group) else nodes[0].op.name
        where = nodes[-1].where
        if k in scratch:
            values.append(_passing(label, "scratch", where, scratch[k], k))
        body = None if isinstance(step.unit, Group) else step.unit.params.get("body")
        if isinstance(body, Body) and sized(body.outputs):
            loop = next(loops)
            inner = memory_of(loop)
            values.append(_passing(label, "loop", where, inner.input_bytes + inner.peak_bytes, k))
    inputs = sum([array.nbytes for array in plan.fed])
    return Memory(plan.name, plan.shapes, inputs, plan.allocated, values)


def _held(op: str, where: Place | None, array: np.ndarray, first: int, last: int) -> Held:
    kind = "backward" if where is not None and where.rule is not None else "forward"
    layer, line = _source(where)
    return Held(op, kind, layer, line, array.shape, array.dtype.name, array.nbytes, first, last)


def _passing(op: str, kind: str, where: Place | None, nbytes: int, k: int) -> Held:
    layer, line = _source(where)
    return Held(op, kind, layer, line, (), "uint8", nbytes, k, k)


def _source(where: Place | None) -> tuple[str, str]:
    """Layer and line; of a gradient those of the operation that it is the gradient of."""
    if where is None:
        return "", ""
    rule = where.rule
    return where.scope or "", rule.where.line if rule is not None and rule.where is not None else where.line
