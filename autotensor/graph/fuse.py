"""Fusion: which operations run together in one generated kernel.

A group is a set of elementwise operations and reductions over one iteration space, its ``domain``. A value in it is

- ``FULL``: one element for each point of the domain;
- ``ROW``: one element for each row (all axes but the last): the result of a reduction over the last axis and what is
  computed from it; it may be used by FULL values of the same kernel (softmax, normalisation, a loss by rows);
- ``TERMINAL``: any other reduction, an output only.

What is known of an operation are its properties: ``expr``, ``reduces``, ``view``, ``reshapes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.op import operand_aval
from autotensor.core.tensor import Node, Tensor, Variable
from autotensor.graph.codegen import FULL, ROW, TERMINAL, Member, emit, expression, reduced_axes
from autotensor.kernels.tasks import Task

Shape = tuple[int, ...]

# Numba takes these; float16 is storage only.
_DTYPES = {np.dtype(t) for t in "? i1 i2 i4 i8 u1 u2 u4 u8 f4 f8".split()}
# Bounds on compile time and on the number of arguments of one kernel.
_MAX_NODES = 120
_MAX_ARRAYS = 40
# How many units the search for a cycle looks at before a merge is refused.
_FAR = 400
_ROW_REDUCTIONS = {"sum", "max", "min", "prod", "argmax", "argmin"}
_TERMINAL_REDUCTIONS = {"sum", "max", "min", "prod"}


class Group:
    """Operations that run as one kernel."""

    def __init__(self, domain: Shape):
        self.domain = domain
        self.members: dict[int, Member] = {}  # by id of node, in order
        self.outside: dict[Any, Tensor] = {}  # what they read from other places, each once
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.out_avals: list[Aval] = []

    def copy(self) -> Group:
        other = Group(self.domain)
        other.members, other.outside = dict(self.members), dict(self.outside)
        return other

    @property
    def nodes(self) -> list[Node]:
        return [m.node for m in self.members.values()]

    @property
    def label(self) -> str:
        names = [m.node.op.name for m in self.members.values()]
        return "+".join(names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"])

    @property
    def has_rows(self) -> bool:
        return any(m.level == ROW for m in self.members.values())

    def level_of(self, x: Any) -> str | None:
        """Level of a value computed here; None if it comes from outside."""
        if isinstance(x, Tensor) and x.node is not None:
            member = self.members.get(id(x.node))
            return member.level if member else None
        return None

    def admits(self, node: Node) -> str | None:
        """Level that the node would have as a member, or None when it does not fit."""
        level = self._level(node)
        if level is None or len(self.members) >= _MAX_NODES or len(self.outside) + len(node.inputs) > _MAX_ARRAYS:
            return None
        return level if all(self._readable(node, x, level) for x in node.inputs) else None

    def _level(self, node: Node) -> str | None:
        assert node.avals is not None
        shape = node.avals[0].shape
        if _reduction(node):
            source = node.inputs[0]
            axes = reduced_axes(node)
            inner = self.level_of(source)
            if inner == TERMINAL:
                return None
            if inner == ROW:
                # Only a total over all rows: row values have lost the place of their axes.
                total = len(axes) == len(source.shape) and node.op.reduces in _TERMINAL_REDUCTIONS
                return TERMINAL if total else None
            if source.shape != self.domain:
                return None
            if axes == (len(self.domain) - 1,) and node.op.reduces in _ROW_REDUCTIONS:
                return ROW
            return TERMINAL if node.op.reduces in _TERMINAL_REDUCTIONS else None
        if node.op.reshapes:  # a reshape of a row value, which stays the same value
            is_row = self.level_of(node.inputs[0]) == ROW and self._row_shaped(shape)
            return ROW if is_row else None
        if shape == self.domain:
            return FULL
        if self._row_shaped(shape) and any(self.level_of(x) == ROW for x in node.inputs):
            return ROW
        return None

    def _row_shaped(self, shape: Any) -> bool:
        return len(self.domain) > 0 and shape in (self.domain[:-1], (*self.domain[:-1], 1))

    def _readable(self, node: Node, x: Any, level: str) -> bool:
        """May a member of ``level`` read ``x`` in this kernel?"""
        inner = self.level_of(x)
        if inner is None:
            return True
        if inner == TERMINAL:
            return False
        if _reduction(node) or node.op.reshapes:
            return True
        if level == FULL:
            if inner == FULL:
                return x.shape == self.domain
            return x.shape == (*self.domain[:-1], 1)
        return inner == ROW and x.shape == node.avals[0].shape  # type: ignore[index]

    def add(self, node: Node, level: str) -> None:
        for x in node.inputs:
            if isinstance(x, Tensor) and not (x.node is not None and id(x.node) in self.members):
                self.outside.setdefault(_identity(x), x)
        self.members[id(node)] = Member(node, level)

    def close(self, users: dict[tuple[int, int], set[int]], kept: set[tuple[int, int]]) -> None:
        """Settle inputs and outputs once membership is final."""
        self.inputs = list(self.outside.values())
        inside = set(self.members)
        rows = [m for m in self.members.values() if m.level == ROW]
        read = {id(x.node) for m in self.members.values() for x in m.node.inputs if self.level_of(x) == ROW}
        if len(self.domain) == 1 and all(m.node.op.reduces in _TERMINAL_REDUCTIONS for m in rows) and not read:
            for member in rows:  # a vector that is only reduced is not one row, but a range that threads can share
                member.level = TERMINAL
        for member in self.members.values():
            key = id(member.node), 0
            if key in kept or users.get(key, set()) - inside:
                member.stored = True
                assert member.node.avals is not None
                self.outputs.append(_output(member.node))
                self.out_avals.append(member.node.avals[0])

    def may_overwrite(self, variable: Variable, new: Tensor) -> bool:
        """Can the kernel write ``new`` over the Variable it reads? Yes if each element is read where it is written."""
        if all(x is not variable for x in self.inputs):
            return True
        if self.has_rows or self.level_of(new) != FULL:
            return False
        readers = [m for m in self.members.values() if any(x is variable for x in m.node.inputs)]
        return variable.shape == self.domain and all(m.level == FULL for m in readers)

    def task(
        self,
        arrays: Sequence[np.ndarray],
        outs: Sequence[np.ndarray],
        contiguous: Callable[[np.ndarray], np.ndarray],
        scratch: Callable[..., np.ndarray],
    ) -> Task:
        """The kernel for these buffers. An output that is an input's own buffer is written in place."""
        same = {
            k: j
            for k, out in enumerate(outs)
            for j, array in enumerate(arrays)
            if array.ctypes.data == out.ctypes.data and array.shape == out.shape and array.flags.c_contiguous
        }
        flat = [contiguous(a) for a in arrays]
        return emit(self, flat, [out.reshape(-1) for out in outs], same, scratch)


def _identity(x: Tensor) -> Any:
    return (id(x.node), x.index) if x.node is not None else id(x)


def _output(node: Node) -> Tensor:
    assert node.avals is not None
    out = Tensor.__new__(Tensor)
    out._aval = node.avals[0]
    out.node = node
    out.tracked = True
    return out


def _reduction(node: Node) -> bool:
    return node.op.reduces is not None


def _domain(node: Node) -> Shape:
    """Iteration space of an operation: what it reduces, or what it computes."""
    assert node.avals is not None
    return node.inputs[0].shape if _reduction(node) else tuple([n or 0 for n in node.avals[0].shape])


def _fusible(node: Node) -> bool:
    op = node.op
    if op.n_out != 1 or not op.pure or node.avals is None:
        return False
    avals = [operand_aval(x) for x in node.inputs if isinstance(x, Tensor)] + [node.avals[0]]
    if any(a.dtype not in _DTYPES or 0 in a.shape for a in avals):
        return False
    if op.reduces is not None:
        if op.reduces not in _ROW_REDUCTIONS:
            return False
        arg = op.reduces in ("argmax", "argmin")
        return arg or avals[0].dtype == avals[-1].dtype or avals[-1].dtype.kind == "f"
    return expression(node) is not None


class _Units:
    """The units and who needs whom: a graph without cycles, and kept so while units merge.

    Each unit has a level above the levels of all it depends on. Two units may become one if levels can be found for
    the result and all that follow from it: on a cycle there are none. The search is cut off after ``_FAR`` steps, and
    the merge refused; so the cost of fusion grows with the size of the graph and not with its square.
    """

    def __init__(self) -> None:
        self.level: dict[int, int] = {}
        self.deps: dict[int, set[int]] = {}
        self.users: dict[int, set[int]] = {}

    def start(self, unit: int, deps: set[int]) -> None:
        self.level[unit] = 1 + max([self.level[d] for d in deps], default=-1)
        self.deps[unit] = set(deps)
        self.users[unit] = set()
        for d in deps:
            self.users[d].add(unit)

    def join(self, unit: int, deps: set[int]) -> bool:
        """Let a new operation with these dependencies into a unit, unless that makes a cycle."""
        new = deps - self.deps[unit] - {unit}
        if not self._settle((unit,), new):
            return False
        self.deps[unit] |= new
        for d in new:
            self.users[d].add(unit)
        return True

    def merge(self, a: int, b: int) -> bool:
        """Make unit b part of a, unless that makes a cycle."""
        deps = (self.deps[a] | self.deps[b]) - {a, b}
        if not self._settle((a, b), deps):
            return False
        users = (self.users[a] | self.users[b]) - {a, b}
        for unit in users:
            self.deps[unit].discard(b)
            self.deps[unit].add(a)
        for unit in deps:
            self.users[unit].discard(b)
            self.users[unit].add(a)
        self.deps[a], self.users[a] = deps, users
        del self.level[b], self.deps[b], self.users[b]
        return True

    def _settle(self, merged: tuple[int, ...], deps: set[int]) -> bool:
        """Raise the levels for ``merged`` as one unit with ``deps``; False, and nothing changed, on a cycle."""
        top = max([*[self.level[u] for u in merged], *[self.level[d] + 1 for d in deps]])
        raised: dict[int, int] = {}
        todo = [(v, top + 1) for u in merged for v in self.users[u] if v not in merged]
        steps = 0
        while todo:
            unit, least = todo.pop()
            if raised.get(unit, self.level[unit]) >= least:
                continue
            steps += 1
            if unit in deps or unit in merged or steps > _FAR:
                return False
            raised[unit] = least
            todo += [(v, least + 1) for v in self.users[unit]]
        self.level.update(raised)
        for u in merged:
            self.level[u] = top
        return True


def fuse(nodes: Sequence[Node], roots: Sequence[Tensor]) -> list[Node | Group]:
    """Units of execution: groups, and the nodes that stay alone."""
    graph = _Units()
    owner: dict[int, int] = {}
    groups: dict[int, Group] = {}
    units: dict[int, Node] = {}

    for number, node in enumerate(nodes):
        deps = {owner[id(x.node)] for x in node.inputs if isinstance(x, Tensor) and x.node is not None}
        fusible = _fusible(node)
        home = None
        if fusible or node.op.reshapes:
            for u in sorted((d for d in deps if d in groups), reverse=True):
                level = groups[u].admits(node)
                if level and graph.join(u, deps):
                    groups[u].add(node, level)
                    owner[id(node)] = home = u
                    break
        if home is None and fusible:
            group = Group(_domain(node))
            level = group.admits(node)
            if level:
                group.add(node, level)
                groups[number] = group
                owner[id(node)] = home = number
                graph.start(number, deps)
        if home is None:
            units[number] = node
            owner[id(node)] = number
            graph.start(number, deps)
            continue
        for other in sorted((d for d in deps if d in groups), reverse=True):
            if other != home and other in groups:
                home = _try_merge(groups, graph, owner, other, home)

    _merge_siblings(groups, graph, owner)
    users: dict[tuple[int, int], set[int]] = {}
    for node in nodes:
        for x in node.inputs:
            if isinstance(x, Tensor) and x.node is not None:
                users.setdefault((id(x.node), x.index), set()).add(id(node))
    kept = {(id(x.node), x.index) for x in roots if x.node is not None}
    for group in groups.values():
        group.close(users, kept)
    return [*units.values(), *groups.values()]


def _try_merge(groups: dict[int, Group], graph: _Units, owner: dict[int, int], a: int, b: int) -> int:
    """Merge two groups if that is legal; returns the group in which b's members are now."""
    if groups[a].domain != groups[b].domain or len(groups[a].members) + len(groups[b].members) > _MAX_NODES:
        return b
    first, second = (b, a) if b in graph.deps[a] else (a, b)
    merged = groups[first].copy()
    for node in groups[second].nodes:
        level = merged.admits(node)
        if level is None:
            return b
        merged.add(node, level)
    if not graph.merge(first, second):
        return b
    groups[first] = merged
    for node in groups.pop(second).nodes:
        owner[id(node)] = first
    return first


def _merge_siblings(groups: dict[int, Group], graph: _Units, owner: dict[int, int]) -> None:
    """Merge groups over one domain that read the same array, and all groups of scalars: fewer passes over memory."""
    by_input: dict[Any, list[int]] = {}
    for u, group in groups.items():
        if group.domain == ():
            by_input.setdefault("scalars", []).append(u)
        for key, x in group.outside.items():
            if x.shape == group.domain and x.shape != ():
                by_input.setdefault(key, []).append(u)
    moved: dict[int, int] = {}

    def now(u: int) -> int:
        while u in moved:
            u = moved[u]
        return u

    for members in by_input.values():
        for u, v in zip(members, members[1:], strict=False):
            a, b = now(u), now(v)
            if a == b or groups[a].domain != groups[b].domain:
                continue
            home = _try_merge(groups, graph, owner, a, b)
            if b not in groups:
                moved[b] = home
            elif a not in groups:
                moved[a] = home
