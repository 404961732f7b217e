"""Graphs, tapes and plans as pictures: text in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autotensor.core.grad import topological
from autotensor.core.tensor import Node, Tensor, Variable
from autotensor.graph.show import leaf_name, near, result_avals

_FILL = {"forward": "#dfeaf7", "backward": "#f7e3df", "variable": "#e3f2dc", "input": "#ffffff", "constant": "#eeeeee"}


def graph_dot(
    roots: Sequence[Tensor],
    depth: int | None = None,
    max_nodes: int | None = None,
    kernels: Iterable[tuple[str, Iterable[Node]]] = (),
    name: str = "graph",
) -> str:
    """The graph under ``roots`` in DOT: operations as boxes, with name scopes (or ``kernels``) as clusters.

    depth, max_nodes: only what is near ``roots``; the rest is one node ``...``.
    """
    order = topological(roots)
    kept = near(order, roots, depth, max_nodes)
    ids: dict[Any, str] = {}
    leaves: list[str] = []
    edges: list[str] = []
    tree = _Cluster()
    kernel_of = {id(node): (k, label) for k, (label, nodes) in enumerate(kernels) for node in nodes}
    cut = False
    for k, (node, outs) in enumerate(order):
        if id(node) not in kept:
            continue
        me = ids[id(node)] = f"n{k}"
        shapes = ", ".join(map(repr, result_avals(node, outs)))
        where = node.where
        fill = _FILL["backward" if where is not None and where.rule is not None else "forward"]
        tip = f", tooltip={quoted(str(where))}" if where is not None else ""
        text = f"{me} [label={quoted(node.op.name, shapes)}, shape=box, style=filled, fillcolor={quoted(fill)}{tip}];"
        found = kernel_of.get(id(node))
        if found is not None:
            tree.inner(f"kernel {found[0]}: {found[1]}").texts.append(text)
        else:
            tree.at(where.scope if where is not None else None).texts.append(text)
        for x in node.inputs:
            if not isinstance(x, Tensor):
                continue
            if x.node is not None:
                source = ids.get(id(x.node))
                if source is None:
                    source, cut = "cut", True
            else:
                source = ids.get(id(x))
                if source is None:
                    source = ids[id(x)] = f"x{len(leaves)}"
                    leaves.append(_leaf(source, x, len(leaves)))
            edges.append(f"{source} -> {me};")
    for k, x in enumerate(roots):
        source = ids.get(id(x.node) if x.node is not None else id(x))
        if source is not None:
            leaves.append(f"out{k} [label={quoted(x.name or f'output {k}')}, shape=plaintext];")
            edges.append(f"{source} -> out{k};")
    if cut:
        leaves.append('cut [label="...", shape=plaintext];')
    lines = [f"digraph {quoted(name)} {{", "  rankdir=TB;", '  node [fontname="Helvetica", fontsize=10];']
    lines += [f"  {text}" for text in leaves]
    lines += tree.lines("  ")
    lines += [f"  {text}" for text in edges]
    return "\n".join([*lines, "}"])


def _leaf(me: str, x: Tensor, number: int) -> str:
    kind = "variable" if isinstance(x, Variable) else "input" if x.data is None or x.tracked else "constant"
    label = quoted(leaf_name(x, number), repr(x.aval))
    return f'{me} [label={label}, shape=ellipse, style=filled, fillcolor="{_FILL[kind]}"];'


class _Cluster:
    """What is drawn in one frame, and the frames in it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.inside: dict[str, _Cluster] = {}

    def inner(self, name: str) -> _Cluster:
        return self.inside.setdefault(name, _Cluster())

    def at(self, scope: str | None) -> _Cluster:
        found = self
        for name in scope.split("/") if scope else ():
            found = found.inner(name)
        return found

    def lines(self, indent: str, path: str = "") -> list[str]:
        found = [indent + text for text in self.texts]
        for name, inner in self.inside.items():
            whole = f"{path}/{name}"
            found += [f"{indent}subgraph {quoted('cluster' + whole)} {{", f"{indent}  label={quoted(name)};"]
            found += [*inner.lines(indent + "  ", whole), f"{indent}}}"]
        return found


def quoted(*lines: str) -> str:
    """Text in quotes, on several lines."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines) + '"'
