"""Graphs as text, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotensor.core.grad import topological
from autotensor.core.tensor import Tensor, Variable


def show(tensors: Tensor | Sequence[Tensor], file: Any = None) -> str:
    """Print the graph under one or more tensors, one operation a line, inputs first; returns the text.

    >>> import autotensor as at
    >>> x = at.placeholder((None, 3), name="x")
    >>> text = at.show(at.tanh(x) * 2)  # doctest: +SKIP
    %0 = tanh(x: float32[?, 3])          -> float32[?, 3]
    %1 = multiply(%0, 2)                 -> float32[?, 3]
    """
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    names: dict[Any, str] = {}
    lines: list[str] = []

    def label(x: Any) -> str:
        if not isinstance(x, Tensor):
            return repr(x)
        if x.node is not None:
            return names[id(x.node), x.index]
        if id(x) not in names:
            kind = "var" if isinstance(x, Variable) else "in" if x.data is None else "const"
            small = x.data is not None and x.data.size == 1 and not isinstance(x, Variable)
            name = x.name or (f"{x.data.item()}" if small and x.data is not None else f"{kind}{len(names)}")
            names[id(x)] = f"{name}: {x.aval}"
            return names[id(x)]
        return names[id(x)].split(":")[0]

    for k, (node, _) in enumerate(topological(roots)):
        shapes = node.avals
        for i in range(node.op.n_out):
            names[id(node), i] = f"%{k}" if node.op.n_out == 1 else f"%{k}.{i}"
        args = [label(x) for x in node.inputs] + [f"{key}={value!r}" for key, value in sorted(node.params.items())]
        left = f"%{k} = {node.op.name}({', '.join(args)})"
        right = " ".join(map(repr, shapes)) if shapes else ""
        lines.append(f"{left:<60} -> {right}" if right else left)
    lines.append("return " + ", ".join(label(x) for x in roots))
    text = "\n".join(lines)
    print(text, file=file)
    return text
