"""Graphs, tapes and plans as text, for people; pictures are in ``graph.dot``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from autotensor.core.grad import topological
from autotensor.core.loop import Body
from autotensor.core.tensor import Node, Tensor, Variable
from autotensor.graph.fuse import Group
from autotensor.graph.plan import Plan
from autotensor.graph.specialise import sized

Recorded = list[tuple[Node, dict[int, Tensor]]]  # operations, each with those of its outputs that are in use


def graph_text(
    roots: Sequence[Tensor], depth: int | None = None, max_nodes: int | None = None, lines: bool = False
) -> str:
    """The graph or tape under ``roots``: one operation a line, inputs first."""
    names: dict[Any, str] = {}
    numbers = count()

    def label(x: Any) -> str:
        if not isinstance(x, Tensor):
            return repr(x)
        if x.node is not None:
            return names[id(x.node), x.index]
        if id(x) not in names:
            names[id(x)] = f"{leaf_name(x, next(numbers))}: {x.aval}"
            return names[id(x)]
        return names[id(x)].split(":")[0]

    order = topological(roots)
    kept = near(order, roots, depth)
    said: list[tuple[str, str, str]] = []
    left = 0
    total = 0
    seen: set[int] = set()
    for k, (node, outs) in enumerate(order):
        for i in range(node.op.n_out):
            names[id(node), i] = f"%{k}" if node.op.n_out == 1 else f"%{k}.{i}"
        held = kept_bytes(node, outs, seen)
        total += held
        if id(node) not in kept:
            left += 1
            continue
        args = [label(x) for x in node.inputs] + [f"{key}={value!r}" for key, value in sorted(node.params.items())]
        right = " ".join(map(repr, result_avals(node, outs)))
        if held:
            right += f"  keeps {size(held)}"
        where = f"  # {node.where}" if lines and node.where is not None else ""
        said.append((f"%{k} = {node.op.name}({', '.join(args)})", right, where))
    texts = [f"{a:<60} -> {b}{c}" if b else a + c for a, b, c in said]
    if max_nodes is not None and len(texts) > max_nodes:
        head = max_nodes // 2
        tail = max_nodes - head
        texts[head : len(texts) - tail] = [f"... {len(texts) - max_nodes} more"]
    if left:
        texts.insert(0, f"... {left} further away")
    if total:
        texts.append(f"# the tape keeps {size(total)} for gradients")
    return "\n".join([*texts, "return " + ", ".join(label(x) for x in roots)])


def near(order: Recorded, roots: Sequence[Tensor], depth: int | None, most: int | None = None) -> set[int]:
    """Ids of the operations less than ``depth`` steps above ``roots``; of these the ``most`` nearest."""
    distance: dict[int, int] = {id(x.node): 0 for x in roots if x.node is not None}
    for node, _ in reversed(order):
        here = distance.get(id(node), 0)
        for x in node.inputs:
            if isinstance(x, Tensor) and x.node is not None:
                key = id(x.node)
                distance[key] = min(distance.get(key, here + 1), here + 1)
    found = [id(node) for node, _ in order if depth is None or distance.get(id(node), 0) < depth]
    if most is not None and len(found) > most:
        found = sorted(found, key=lambda key: distance.get(key, 0))[:most]
    return set(found)


def leaf_name(x: Tensor, number: int) -> str:
    """What a tensor without a recipe is called."""
    if x.name:
        return x.name
    kind = "var" if isinstance(x, Variable) else "in" if x.data is None else "x" if x.tracked else "const"
    small = x.data is not None and x.data.size == 1 and not isinstance(x, Variable)
    return f"{x.data.item()}" if small and x.data is not None and not x.tracked else f"{kind}{number}"


def result_avals(node: Node, outs: dict[int, Tensor]) -> list[Any]:
    """Shapes of what an operation gives, as far as they are known: of a tape, those that somebody holds."""
    return list(node.avals) if node.avals else [outs[i].aval for i in sorted(outs)]


def kept_bytes(node: Node, outs: dict[int, Tensor], seen: set[int]) -> int:
    """Memory of the operands and results that the tape holds for this operation and none before it."""
    total = 0
    arrays = [x.data for x in [*node.inputs, *outs.values()] if isinstance(x, Tensor)]
    for array in [*arrays, *(node.values or ())] if node.avals is None else ():
        while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
            array = array.base
        if array is not None and id(array) not in seen:
            seen.add(id(array))
            total += array.nbytes
    return total


def size(nbytes: float) -> str:
    """A number of bytes for people: ``"1.5 MB"``."""
    for unit in ("B", "kB", "MB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} GB"


# -- plans ------------------------------------------------------------------------------------------------------------


def plan_text(plan: Plan, max_nodes: int | None = None, lines: bool = False) -> str:
    """The steps of a plan: what runs, what it reads and where the results go. Memory has the names ``m0``, ``m1``...

    A memory that is written by several steps serves values that are not needed at the same time.
    """
    return "\n".join(_PlanText(plan).written(max_nodes, lines))


class _PlanText:
    def __init__(self, plan: Plan):
        self.plan = plan
        self.memory: dict[int, str] = {}  # name of the memory at an address
        self.writers: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        for number, x in enumerate(plan.inputs):
            self.memory[plan.buffers[x].ctypes.data] = x.name or f"in{number}"
        for x, array in plan.buffers.items():
            if isinstance(x, Tensor):
                self.memory.setdefault(array.ctypes.data, leaf_name(x, len(self.memory)))
        for variable, _ in plan.updates:
            if variable.data is not None:
                self.memory.setdefault(variable.data.ctypes.data, leaf_name(variable, len(self.memory)))
        self.planned = 0

    def name(self, x: Any) -> str:
        """Memory of a value or leaf."""
        if isinstance(x, (bool, int, float, complex)):
            return repr(x)
        array = self.plan.buffers.get(x)
        if array is None:
            return leaf_name(x, 0) if isinstance(x, Tensor) else "?"
        while isinstance(array.base, np.ndarray) and array.base.nbytes == array.nbytes:
            array = array.base
        address = array.ctypes.data
        if address not in self.memory:
            self.memory[address] = f"m{self.planned}"
            self.planned += 1
        return self.memory[address]

    def written(self, max_nodes: int | None, lines: bool) -> list[str]:
        plan = self.plan
        call_of = {id(node): number for number, call in enumerate(plan.calls) for node in call.nodes}
        texts = []
        previous = -1
        loops = iter(plan.loops)
        for step in plan.steps:
            nodes = step.unit.nodes if isinstance(step.unit, Group) else [step.unit]
            number = call_of.get(id(nodes[-1]))
            reads = ", ".join(self.name(x) for x in step.reads)
            writes = []
            for key in step.writes:
                if key in plan.buffers:
                    name, array = self.name(key), plan.buffers[key]
                    if number is not None:
                        self.writers[name] = self.writers.get(name, 0) + 1
                        self.sizes[name] = max(self.sizes.get(name, 0), array.nbytes)
                    writes.append(f"{name}: {array.dtype}{list(array.shape)}")
            label = f"kernel {step.unit.label}" if isinstance(step.unit, Group) else nodes[0].op.name
            mark = "view" if number is None else "  +" if number == previous else f"{number:>3}"
            previous = previous if number is None else number
            text = f"{mark:<4} {label}({reads}) -> {', '.join(writes)}"
            where = nodes[-1].where
            texts.append(f"{text}  # {where}" if lines and where is not None else text)
            body = None if isinstance(step.unit, Group) else step.unit.params.get("body")
            if isinstance(body, Body) and sized(body.outputs):
                texts += [f"       {line}" for line in plan_text(next(loops), max_nodes, lines).splitlines()]
        if max_nodes is not None and len(texts) > max_nodes:
            head = max_nodes // 2
            texts[head : len(texts) - (max_nodes - head)] = [f"... {len(texts) - max_nodes} more"]
        reused = sorted([(n, name) for name, n in self.writers.items() if n > 1 and name[:1] == "m"], reverse=True)
        if plan.outputs:
            texts.append("return " + ", ".join(self.name(plan._name(x)) for x in plan.outputs))
        for variable, array in plan.copies:
            texts.append(f"update {leaf_name(variable, 0)}: copied, {size(array.nbytes)}")
        if reused:
            shown = ", ".join(f"{name} by {n} steps ({size(self.sizes[name])})" for n, name in reused[:8])
            texts.append(f"memory used again: {shown}")
        return texts
