"""From a graph of known shapes to straight-line code over preallocated buffers.

A plan is made for one signature. Every array it touches is allocated once; a step is a call with arrays bound
beforehand, and the steps are generated as one Python function without look-ups, checks or allocations.
"""

from __future__ import annotations

import heapq
import math
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autotensor import config
from autotensor.core.grad import topological
from autotensor.core.tensor import Node, Tensor, Variable
from autotensor.graph.fuse import Group, fuse

_ALIGN = 64
# A freed buffer serves again for a value at most this much smaller.
_WASTE = 2.0

Key = tuple[int, int]  # (id of node, index of output)
Free = list[tuple[int, int, np.ndarray]]  # memory to use again: size, address, bytes; in order

_FILE = "<autotensor plan>"


class Step:
    """One unit in the order of execution. ``reads`` and ``writes`` are keys of values."""

    __slots__ = ("reads", "unit", "writes")

    def __init__(self, unit: Node | Group, reads: list[Any], writes: list[Key]):
        self.unit = unit
        self.reads = reads
        self.writes = writes


def _key(x: Tensor) -> Key:
    return id(x.node), x.index


class Call(NamedTuple):
    """One line of the generated function."""

    label: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    params: dict[str, Any]
    where: str | None = None


class Plan:
    """The compiled form of ``outputs`` and ``updates`` for concrete ``inputs``.

    ``run(*arrays)`` gives the list of output arrays, each a fresh copy. ``source`` is the generated function.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], updates: Sequence[tuple[Variable, Tensor]]):
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates)
        self.shapes = tuple([x.shape for x in inputs])
        self.buffers: dict[Any, np.ndarray] = {}  # array of each value and leaf
        self.root: dict[Any, Any] = {}  # value whose memory a view shares
        self.allocated = 0
        self.seconds: dict[str, float] = {}
        self._order()
        self._bind()
        self._write()

    # -- what runs, and when ------------------------------------------------------------------------------------------

    def _order(self) -> None:
        roots = [*self.outputs, *[new for _, new in self.updates]]
        nodes = [node for node, _ in topological(roots)]
        units: list[Node | Group] = list(fuse(nodes, roots)) if config.fuse and config.numba else list(nodes)
        owner: dict[int, int] = {}
        for u, unit in enumerate(units):
            for node in unit.nodes if isinstance(unit, Group) else [unit]:
                owner[id(node)] = u
        place = {id(node): k for k, node in enumerate(nodes)}
        self.steps = [self._step(unit) for unit in _sorted_units(units, owner, place)]

    def _step(self, unit: Node | Group) -> Step:
        if isinstance(unit, Group):
            return Step(unit, [self._name(x) for x in unit.inputs], [_key(x) for x in unit.outputs])
        return Step(unit, [self._name(x) for x in unit.inputs], [(id(unit), i) for i in range(unit.op.n_out)])

    def _name(self, x: Any) -> Any:
        """Key of a value or leaf, or the Python number itself."""
        if not isinstance(x, Tensor):
            return x
        return _key(x) if x.node is not None else x

    # -- where each value lives ---------------------------------------------------------------------------------------

    def _bind(self) -> None:
        for x in self.inputs:
            self._leaf(x, np.empty([n or 0 for n in x.shape], x.dtype))
        last = self._last_uses()
        in_place = self._in_place_updates(last)
        self.calls: list[Call] = []
        free: Free = []
        held: dict[Any, np.ndarray] = {}  # raw memory of each root
        for k, step in enumerate(self.steps):
            unit = step.unit
            avals = unit.avals if isinstance(unit, Node) else unit.out_avals
            assert avals is not None
            arrays = [self._array(x) for x in step.reads]
            if isinstance(unit, Node) and unit.op.view and self._bind_view(unit, step, arrays):
                continue
            outs = []
            for key, aval in zip(step.writes, avals, strict=True):
                target = in_place.get(key)
                if target is not None:
                    array = target.data
                    assert array is not None
                else:
                    array, held[key] = self._allocate(aval, free)
                self.buffers[key] = array
                self.root[key] = key
                outs.append(array)
            self._emit(unit, arrays, outs)
            for key in {self._root(x) for x in [*step.reads, *step.writes] if not _is_number(x)}:
                if last.get(key, -1) <= k and key in held:
                    raw = held.pop(key)
                    insort(free, (raw.nbytes, raw.ctypes.data, raw))
        self.copies = [
            (variable, self._array(self._name(new)))
            for variable, new in self.updates
            if in_place.get(self._name(new)) is not variable
        ]

    def _leaf(self, x: Tensor, array: np.ndarray) -> None:
        self.buffers[x] = array
        self.root[x] = x

    def _array(self, x: Any) -> Any:
        if _is_number(x):
            return x
        if x not in self.buffers:
            assert isinstance(x, Tensor) and x.data is not None
            # Constants are put in order once; a Variable's buffer is in order already, and must stay the buffer.
            self._leaf(x, np.ascontiguousarray(x.data) if x.shape else x.data)
        return self.buffers[x]

    def _root(self, x: Any) -> Any:
        return self.root.get(x, x)

    def _bind_view(self, node: Node, step: Step, arrays: list[Any]) -> bool:
        """Make the views of a reshape or transpose now, once, if they do share memory."""
        if len(arrays) != 1 or not isinstance(arrays[0], np.ndarray):
            return False  # what a second input holds is not known yet
        with np.errstate(all="ignore"):  # the buffer holds no values yet
            result = node.op.impl(*arrays, **node.params)
        parts = result if node.op.n_out > 1 else (result,)
        if not all(isinstance(p, np.ndarray) and (p.size == 0 or np.may_share_memory(p, arrays[0])) for p in parts):
            return False
        for key, part in zip(step.writes, parts, strict=True):
            self.buffers[key] = part
            self.root[key] = self._root(step.reads[0])
        return True

    def _allocate(self, aval: Any, free: Free) -> tuple[np.ndarray, np.ndarray]:
        need = math.prod(aval.shape) * aval.dtype.itemsize
        smallest = bisect_left(free, need, key=lambda block: block[0])
        if smallest < len(free) and free[smallest][0] <= max(need * _WASTE, 256):
            best = free.pop(smallest)[2]
        else:
            size = max(_ALIGN, -(-need // _ALIGN) * _ALIGN)
            block = np.empty(size + _ALIGN, np.uint8)
            start = -block.ctypes.data % _ALIGN
            best = block[start : start + size]
            self.allocated += size
        return best[:need].view(aval.dtype).reshape(aval.shape), best

    def _last_uses(self) -> dict[Any, int]:
        """Last step that touches the memory of each value; views count for what they share."""
        source: dict[Any, Any] = {}
        for step in self.steps:
            if isinstance(step.unit, Node) and step.unit.op.view:
                for key in step.writes:
                    source[key] = step.reads[0]
        last: dict[Any, int] = {}

        def touch(x: Any, k: int) -> None:
            while not _is_number(x):
                last[x] = max(last.get(x, -1), k)
                if x not in source:
                    return
                x = source[x]

        for k, step in enumerate(self.steps):
            for x in [*step.reads, *step.writes]:
                touch(x, k)
        end = len(self.steps)
        for x in [*self.outputs, *[new for _, new in self.updates]]:
            touch(self._name(x), end)
        self._source = source
        return last

    def _in_place_updates(self, last: dict[Any, int]) -> dict[Key, Variable]:
        """Updates whose kernel may write the Variable's own buffer: nothing reads the old value afterwards."""
        result: dict[Key, Variable] = {}
        writer = {key: k for k, step in enumerate(self.steps) for key in step.writes}
        # A step that may raise must not leave half of the Variables updated behind.
        safe = max([k for k, step in enumerate(self.steps) if _may_raise(step.unit)], default=-1)
        for variable, new in self.updates:
            name = self._name(new)
            if name not in writer or name in result:
                continue
            k = writer[name]
            step = self.steps[k]
            unit = step.unit
            if k <= safe or last.get(variable, -1) > k or new.aval != variable.aval:
                continue
            if isinstance(unit, Node) and (unit.op.view or self._reads_memory(step, variable)):
                continue
            if self._reads_memory(step, variable, through_views=True):
                continue
            if isinstance(unit, Node) or unit.may_overwrite(variable, new):
                result[name] = variable
        return result

    def _reads_memory(self, step: Step, variable: Variable, through_views: bool = False) -> bool:
        """Does the step read the Variable's buffer, directly or (only) through a view of it?"""
        for x in step.reads:
            if _is_number(x) or (through_views and x is variable):
                continue
            while x in self._source:
                x = self._source[x]
            if x is variable:
                return True
        return False

    # -- the code ---------------------------------------------------------------------------------------------------

    def _emit(self, unit: Node | Group, arrays: list[Any], outs: list[np.ndarray]) -> None:
        if isinstance(unit, Group):
            for label, call, args in unit.calls(arrays, outs, self._contiguous):
                self.calls.append(Call(label, call, args, {}))
            return
        op, params = unit.op, unit.params
        out = outs[0]
        if op.into is not None:
            self.calls.append(Call(op.name, op.into, (out, *arrays), params, unit.where))
        elif isinstance(op.impl, np.ufunc) and not params and op.n_out == 1:
            self.calls.append(Call(op.name, op.impl, (*arrays, out), {}, unit.where))
        else:
            copied = _Copied(op.impl, outs) if op.n_out == 1 else _CopiedMany(op.impl, outs)
            self.calls.append(Call(op.name, copied, tuple(arrays), params, unit.where))

    def _contiguous(self, array: np.ndarray) -> np.ndarray:
        """The array flat and contiguous; a copy is refreshed by a step of its own when memory is not in order."""
        if array.flags.c_contiguous:
            return array.reshape(-1)
        flat = np.empty(array.shape, array.dtype)
        self.calls.append(Call("contiguous", np.copyto, (flat, array), {}))
        return flat.reshape(-1)

    def _write(self) -> None:
        names: dict[str, Any] = {"copyto": np.copyto}
        lines: list[str] = []
        self._places: dict[int, str] = {}  # line of the generated function -> operation and where it was written
        timed = config.debug >= 2
        if timed:
            names.update(clock=time.perf_counter, seconds=self.seconds)

        def bound(prefix: str, value: Any) -> str:
            name = f"{prefix}{len(names)}"
            names[name] = value
            return name

        arguments = [f"x{i}" for i in range(len(self.inputs))]
        for argument, x in zip(arguments, self.inputs, strict=True):
            lines.append(f"copyto({bound('in', self.buffers[x])}, {argument})")
        for label, call, args, params, where in self.calls:
            parts = [_literal(a) if _is_number(a) else bound("v", a) for a in args]
            text = ", ".join(parts + [f"{key}={bound('p', value)}" for key, value in params.items()])
            line = f"{bound('k', call)}({text})  # {label}"
            if timed:
                self.seconds.setdefault(label, 0.0)
                lines.append("t = clock()")
            lines.append(line)
            self._places[len(lines) + 1] = f"{label}, written at {where}" if where else label
            if timed:
                lines.append(f"seconds[{label!r}] += clock() - t")
        results = [f"{bound('out', self._array(self._name(x)))}.copy()" for x in self.outputs]
        lines.append(f"result = [{', '.join(results)}]")
        # A value that is itself a Variable being overwritten must be saved before the first of these copies.
        saved = []
        overwritten = {_owner(variable.data) for variable, _ in self.copies}
        for variable, array in self.copies:
            held = bound("v", array)
            saved.append((variable, f"{held}.copy()" if _owner(array) in overwritten else held))
        for k, (_, text) in enumerate(saved):
            lines.append(f"u{k} = {text}")
        for k, (variable, _) in enumerate(saved):
            lines.append(f'copyto({bound("w", variable.data)}, u{k}, "unsafe")')
        for variable, _ in self.updates:
            lines.append(f"{bound('var', variable)}.version += 1")
        lines.append("return result")
        body = "\n    ".join(lines)
        self.source = f"def run({', '.join(arguments)}):\n    {body}\n"
        exec(compile(self.source, _FILE, "exec"), names)
        # Out of its own globals, so that the buffers go when the plan goes and do not wait for the garbage collector.
        self.run: Callable[..., list[np.ndarray]] = names.pop("run")

    def place_of(self, error: BaseException) -> str | None:
        """The operation that raised an error in ``run``, and the user's line that built it."""
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code is self.run.__code__:
                return self._places.get(trace.tb_lineno)
            trace = trace.tb_next
        return None


class _Copied:
    """An implementation without an output argument: its result is copied into the planned buffer."""

    __slots__ = ("call", "outs")

    def __init__(self, call: Callable[..., Any], outs: list[np.ndarray]):
        self.call = call
        self.outs = outs

    def __call__(self, *arrays: Any, **params: Any) -> None:
        np.copyto(self.outs[0], self.call(*arrays, **params))


class _CopiedMany(_Copied):
    __slots__ = ()

    def __call__(self, *arrays: Any, **params: Any) -> None:
        for out, value in zip(self.outs, self.call(*arrays, **params), strict=True):
            np.copyto(out, value)


def _owner(array: Any) -> int:
    """Identity of the object whose memory an array shows."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return id(array)


def _may_raise(unit: Node | Group) -> bool:
    """Of an operation that is neither arithmetic nor written into its place nothing is known."""
    if isinstance(unit, Group):
        return False
    op = unit.op
    return op.into is None and op.expr is None and not op.view and not isinstance(op.impl, np.ufunc)


def _is_number(x: Any) -> bool:
    return isinstance(x, (bool, int, float))


def _literal(x: Any) -> str:
    return repr(x) if x == x and abs(x) != float("inf") else f"float('{x}')"


def _sorted_units(units: list[Any], owner: dict[int, int], place: dict[int, int]) -> list[Any]:
    """Units in an order of execution, as close to the recorded order as dependencies allow."""
    needs: list[set[int]] = []
    rank: list[int] = []
    for u, unit in enumerate(units):
        nodes = unit.nodes if isinstance(unit, Group) else [unit]
        deps = {owner[id(x.node)] for n in nodes for x in n.inputs if isinstance(x, Tensor) and x.node is not None}
        needs.append(deps - {u})
        rank.append(max(place[id(n)] for n in nodes))
    users: list[list[int]] = [[] for _ in units]
    for u, deps in enumerate(needs):
        for d in deps:
            users[d].append(u)
    waiting = [len(d) for d in needs]
    ready = [(rank[u], u) for u, n in enumerate(waiting) if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, u = heapq.heappop(ready)
        order.append(units[u])
        for v in users[u]:
            waiting[v] -= 1
            if waiting[v] == 0:
                heapq.heappush(ready, (rank[v], v))
    assert len(order) == len(units), "fusion made a cycle"
    return order
