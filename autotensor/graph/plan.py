"""From a graph of known shapes to straight-line code over preallocated buffers.

A plan is made for one signature. Every array it touches is allocated once; a step is a call with arrays bound
beforehand, and the steps are generated as one Python function without look-ups, checks or allocations.
"""

from __future__ import annotations

import heapq
import math
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval
from autotensor.core.grad import topological
from autotensor.core.loop import Body
from autotensor.core.state import state
from autotensor.core.tensor import Node, Place, Tensor, Variable
from autotensor.graph.fuse import Group, fuse
from autotensor.graph.rooms import ALIGN, SMALL, Room, aligned, share
from autotensor.graph.specialise import sized
from autotensor.kernels.ahead import Ahead
from autotensor.kernels.tasks import Task, program

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
    where: Place | None = None
    nodes: tuple[Node, ...] = ()  # the operations in it
    nbytes: int = 0  # of its results


class Plan:
    """The compiled form of ``outputs`` and ``updates`` for concrete ``inputs``.

    ``run(*arrays)`` gives the list of output arrays, each a fresh copy. It is ``step()``, that reads the arrays ``fed``
    and leaves its results in the arrays ``results``, with copies around it. ``source`` is what was generated.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        updates: Sequence[tuple[Variable, Tensor]],
        name: str = "function",
    ):
        self.name = name
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates)
        self.shapes = tuple([x.shape for x in inputs])
        self.buffers: dict[Any, np.ndarray] = {}  # array of each value and leaf
        self.root: dict[Any, Any] = {}  # value whose memory a view shares
        self.allocated = 0  # bytes of all arrays made here, but for those of the inputs
        self.lent: dict[int, int] = {}  # bytes of scratch memory of the steps that need some
        self.seconds: dict[str, float] = {}
        self._ahead = Ahead()
        self._order()
        self._bind()
        self._ahead.finish()
        self.source: str = "".join([loop.source + "\n" for loop in self.loops])
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
        self.loops: list[_Loop] = []
        free: Free = []
        held: dict[Any, np.ndarray] = {}  # raw memory of each root that has no room
        rooms, idle = share(self._values(last, in_place))
        self.allocated += sum([room.nbytes for room in idle])
        for k, step in enumerate(self.steps):
            unit = step.unit
            avals = unit.avals if isinstance(unit, Node) else unit.out_avals
            assert avals is not None
            arrays = [self._array(x) for x in step.reads]
            if isinstance(unit, Node) and unit.op.view and self._bind_view(unit, step, arrays):
                continue
            outs: list[Any] = []
            for i, (key, aval) in enumerate(zip(step.writes, avals, strict=True)):
                if self._unasked(step, i, k, last):
                    outs.append(None)  # kept for a gradient that nobody asked for
                    continue
                target = in_place.get(key)
                if target is not None:
                    array = target.data
                    assert array is not None
                elif key in rooms:
                    array = _within(rooms[key].raw, aval)
                else:
                    array, held[key] = self._allocate(aval, free)
                self.buffers[key] = array
                self.root[key] = key
                outs.append(array)
            lent: list[np.ndarray] = []
            first = len(self.calls)
            self._emit(unit, arrays, outs, self._scratch(free, lent, idle, k))
            self._explain_calls(first, unit, outs)
            for raw in lent:
                insort(free, (raw.nbytes, raw.ctypes.data, raw))
            for key in {self._root(x) for x in [*step.reads, *step.writes] if not _is_number(x)}:
                if last.get(key, -1) <= k and key in held:
                    raw = held.pop(key)
                    insort(free, (raw.nbytes, raw.ctypes.data, raw))
        self.calls = _joined(self.calls)
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

    def _unasked(self, step: Step, i: int, k: int, last: dict[Any, int]) -> bool:
        """Is output ``i`` of a step one that is only kept for gradients, and nobody reads it?"""
        unit = step.unit
        if not (isinstance(unit, Node) and unit.op.saves and unit.op.bind is not None and config.numba):
            return False
        return i >= len(step.writes) - unit.op.saves and last[step.writes[i]] <= k

    def _values(self, last: dict[Any, int], in_place: dict[Key, Variable]) -> Iterator[tuple[Key, int, int, int]]:
        """What will need memory: key, bytes, and the steps from which and to which it is needed."""
        for k, step in enumerate(self.steps):
            unit = step.unit
            if isinstance(unit, Node) and unit.op.view:
                continue
            avals = unit.avals if isinstance(unit, Node) else unit.out_avals
            for i, (key, aval) in enumerate(zip(step.writes, avals or (), strict=True)):
                if key not in in_place and not self._unasked(step, i, k, last):
                    yield key, _bytes_of(aval), k, max(last[key], k)

    def _allocate(self, aval: Any, free: Free) -> tuple[np.ndarray, np.ndarray]:
        need = _bytes_of(aval)
        smallest = bisect_left(free, need, key=lambda block: block[0])
        if smallest < len(free) and free[smallest][0] <= max(need * _WASTE, 256):
            best = free.pop(smallest)[2]
        else:
            best = aligned(max(ALIGN, -(-need // ALIGN) * ALIGN))
            self.allocated += best.nbytes
        return _within(best, aval), best

    def _scratch(self, free: Free, lent: list[np.ndarray], idle: list[Room], k: int) -> Callable[..., np.ndarray]:
        """Memory for the time of step ``k``; ``lent`` gets what is to be given back after it, but for rooms."""
        taken: set[int] = set()

        def scratch(shape: Any, dtype: Any) -> np.ndarray:
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            aval = Aval(shape, np.dtype(dtype))
            need = _bytes_of(aval)
            self.lent[k] = self.lent.get(k, 0) + need
            for number in range(len(idle) - 1, -1, -1) if need >= SMALL else ():
                room = idle[number]
                if room.nbytes >= need and number not in taken and not room.steps >> k & 1:
                    taken.add(number)
                    return _within(room.raw, aval)
            array, raw = self._allocate(aval, free)
            lent.append(raw)
            return array

        return scratch

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

    def _emit(
        self, unit: Node | Group, arrays: list[Any], outs: list[np.ndarray], scratch: Callable[..., np.ndarray]
    ) -> None:
        if isinstance(unit, Group):
            task = unit.task(arrays, outs, self._contiguous, scratch)
            self.calls.append(Call(unit.label, task, (), {}))
            return
        op, params = unit.op, unit.params
        out = outs[0]
        body = params["body"] if op.repeats is not None else None
        if body is not None and sized(body.outputs):
            loop = _Loop(body, arrays, outs, op.name, self.seconds)
            self.allocated += loop.allocated + sum([part.nbytes for part in loop.fed])
            self.loops.append(loop)
            self.calls.append(Call(op.name, loop.run, (), {}, unit.where))
            return
        bound = op.bind(outs, arrays, scratch, **params) if op.bind is not None and config.numba else None
        if bound is not None:
            call, args = bound
            self._ahead.want(call, args)
            self.calls.append(Call(op.name, call, args, {}, unit.where))
        elif op.into is not None:
            self.calls.append(Call(op.name, op.into, (out, *arrays), params, unit.where))
        elif isinstance(op.impl, np.ufunc) and not params and op.n_out == 1:
            self.calls.append(Call(op.name, op.impl, (*arrays, out), {}, unit.where))
        else:
            copied = _Copied(op.impl, outs) if op.n_out == 1 else _CopiedMany(op.impl, outs)
            self.calls.append(Call(op.name, copied, tuple(arrays), params, unit.where))

    def _explain_calls(self, first: int, unit: Node | Group, outs: Sequence[Any]) -> None:
        """Note which operations the calls from ``first`` on are; the last of them makes the results."""
        nodes = tuple(unit.nodes) if isinstance(unit, Group) else (unit,)
        self.calls[first:] = [call._replace(nodes=nodes) for call in self.calls[first:]]
        if len(self.calls) > first:
            nbytes = sum([out.nbytes for out in outs if out is not None])
            self.calls[-1] = self.calls[-1]._replace(nbytes=nbytes)

    def _contiguous(self, array: np.ndarray) -> np.ndarray:
        """The array flat and contiguous; a copy is refreshed by a step of its own when memory is not in order."""
        if array.flags.c_contiguous:
            return array.reshape(-1)
        flat = np.empty(array.shape, array.dtype)
        self.allocated += flat.nbytes
        self.calls.append(Call("contiguous", np.copyto, (flat, array), {}))
        return flat.reshape(-1)

    def _write(self) -> None:
        names = self._names()
        lines: list[str] = []
        self._places: dict[int, str] = {}  # line of the generated function -> operation and where it was written
        self._write_calls(names, lines)
        changing = {_owner(variable.data) for variable, _ in self.updates}
        self.results: list[np.ndarray] = []
        for x in self.outputs:
            result = self._array(self._name(x))
            if _owner(result) in changing:  # it shows a Variable, and is to be its value before the update
                kept = np.empty_like(result)
                self.allocated += kept.nbytes
                lines.append(f"copyto({_bound(names, 'out', kept)}, {_bound(names, 'v', result)})")
                result = kept
            self.results.append(result)
        self._write_updates(names, lines)
        for variable, _ in self.updates:
            lines.append(f"{_bound(names, 'var', variable)}.version += 1")
        lines = self._told_as_a_whole(names, lines)
        self.step: Callable[[], None] = self._compile("step", "", lines or ["pass"], names)
        self.source += "\n"
        self._write_run()

    def _write_run(self) -> None:
        """``run``, which is ``step`` on the caller's arrays."""
        self.fed = [self.buffers[x] for x in self.inputs]
        names: dict[str, Any] = {"copyto": np.copyto, "step": self.step}
        arguments = [f"x{i}" for i in range(len(self.inputs))]
        lines = [f"copyto({_bound(names, 'in', a)}, {x})" for x, a in zip(arguments, self.fed, strict=True)]
        copies = [f"{_bound(names, 'out', result)}.copy()" for result in self.results]
        lines += ["step()", f"return [{', '.join(copies)}]"]
        self.run: Callable[..., list[np.ndarray]] = self._compile("run", ", ".join(arguments), lines, names)

    def _names(self) -> dict[str, Any]:
        """What the generated function knows from the start; with clocks from debug level 2 on."""
        names: dict[str, Any] = {"copyto": np.copyto}
        if config.debug >= 2:
            names.update(clock=time.perf_counter, seconds=self.seconds)
        if config.profiling:
            told = _Told(self)
            names.update(begins=told.call_begins, ended=told.call_ended, began=told.began, end=told.end)
        return names

    def _told_as_a_whole(self, names: dict[str, Any], lines: list[str]) -> list[str]:
        """The lines of a step, with a profiler told of its beginning and end, if the plan is made for that."""
        if "began" not in names:
            return lines
        self._places = {number + 2: place for number, place in self._places.items()}
        return ["whole = began()", "try:", *["    " + line for line in lines or ["pass"]], "finally:", "    end(whole)"]

    def _write_calls(self, names: dict[str, Any], lines: list[str], indent: str = "") -> None:
        timed = "clock" in names
        told = "began" in names
        for number, (label, call, args, params, where, _, _) in enumerate(self.calls):
            parts = [_literal(a) if _is_number(a) else _bound(names, "v", a) for a in args]
            text = ", ".join(parts + [f"{key}={_bound(names, 'p', value)}" for key, value in params.items()])
            line = f"{_bound(names, 'k', call)}({text})  # {label}"
            if timed:
                self.seconds.setdefault(label, 0.0)
                lines.append(f"{indent}t = clock()")
            if told:
                lines.append(f"{indent}s = begins()")
            lines.append(indent + line)
            self._places[len(lines) + 1] = f"{label}, written at {where}" if where else label
            if told:
                lines.append(f"{indent}ended({number}, s)")
            if timed:
                lines.append(f"{indent}seconds[{label!r}] += clock() - t")

    def _write_updates(self, names: dict[str, Any], lines: list[str], indent: str = "") -> None:
        # A value that is itself a Variable being overwritten must be saved before the first of these copies.
        saved = []
        overwritten = {_owner(variable.data) for variable, _ in self.copies}
        for variable, array in self.copies:
            held = _bound(names, "v", array)
            saved.append((variable, f"{held}.copy()" if _owner(array) in overwritten else held))
        for k, (_, text) in enumerate(saved):
            lines.append(f"{indent}u{k} = {text}")
        for k, (variable, _) in enumerate(saved):
            lines.append(f'{indent}copyto({_bound(names, "w", variable.data)}, u{k}, "unsafe")')

    def _compile(self, name: str, arguments: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
        body = "\n    ".join(lines)
        source = f"def {name}({arguments}):\n    {body}\n"
        self.source += source
        exec(compile(source, _FILE, "exec"), names)
        # Out of its own globals, so that the buffers go when the plan goes and do not wait for the garbage collector.
        return names.pop(name)

    def place_of(self, error: BaseException) -> str | None:
        """The operation that raised an error in ``step``, and the user's line that built it."""
        for loop in self.loops:
            place = loop.place_of(error)
            if place is not None:
                return place
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code is self.step.__code__:
                return self._places.get(trace.tb_lineno)
            trace = trace.tb_next
        return None


class _Told:
    """What a plan made for profiling tells, to whoever profiles now; it outlives neither plan nor profile.

    It knows what the calls are, and not the plan: buffers go when the plan goes.
    """

    def __init__(self, plan: Plan):
        self.name = plan.name
        self.calls = [call._replace(call=id, args=(), params={}) for call in plan.calls]
        self.allocated = plan.allocated

    def began(self) -> Any:
        watch = state.watch
        profiler = watch.profiler if watch is not None else None
        return (profiler, profiler.plan_began(self)) if profiler is not None else None

    def end(self, token: Any) -> None:
        if token is not None:
            token[0].end(token[1])

    def call_begins(self) -> Any:
        watch = state.watch
        profiler = watch.profiler if watch is not None else None
        return (profiler, profiler.call_begins()) if profiler is not None else None

    def call_ended(self, number: int, token: Any) -> None:
        if token is not None:
            token[0].plan_call(self, number, token[1])


class _Loop(Plan):
    """The plan of a loop: its steps run on buffers of their own, between the arrays of the plan around it.

    ``run()`` reads the arrays of the loop's inputs and writes those of its outputs.
    """

    def __init__(
        self,
        body: Body,
        arrays: Sequence[np.ndarray],
        outs: Sequence[np.ndarray],
        label: str,
        seconds: dict[str, float],
    ):
        self._label, self._seconds = label, seconds
        n = body.n_states
        states, sequences, constants = body.split(body.inputs)
        self._outer = body.split(arrays)
        self._outs = outs[:n], outs[n:]
        self._reverse = body.reverse
        self._constants = constants
        self._fixed = {_owner(a) for a in self._outer[2]}
        self._once: list[tuple[np.ndarray, np.ndarray]] = []  # copies of constants, made before the first step
        variables = [x for x in states if isinstance(x, Variable)]
        assert len(variables) == n
        super().__init__(sequences, body.outputs[n:], list(zip(variables, body.outputs[:n], strict=True)))

    def _bind(self) -> None:
        self.seconds = self._seconds
        for x, array in zip(self._constants, self._outer[2], strict=True):
            self._leaf(x, array)
        super()._bind()
        self.calls = [call._replace(label=f"{self._label}/{call.label}") for call in self.calls]
        self.copies = [(variable, array) for variable, array in self.copies if array is not variable.data]

    def _contiguous(self, array: np.ndarray) -> np.ndarray:
        if array.flags.c_contiguous or _owner(array) not in self._fixed:
            return super()._contiguous(array)
        flat = np.empty(array.shape, array.dtype)
        self.allocated += flat.nbytes
        self._once.append((flat, array))
        return flat.reshape(-1)

    def _write(self) -> None:
        names = self._names()
        lines: list[str] = []
        self._places = {}
        for flat, array in self._once:
            lines.append(f"copyto({_bound(names, 'flat', flat)}, {_bound(names, 'constant', array)})")
        self.fed = [self.buffers[x] for x in self.inputs]
        states = [variable for variable, _ in self.updates]
        for variable, first in zip(states, self._outer[0], strict=True):
            lines.append(f"copyto({_bound(names, 'w', variable.data)}, {_bound(names, 'first', first)})")
        rows = [(array, self.buffers[x], True) for x, array in zip(self.inputs, self._outer[1], strict=True)]
        rows += [(out, self._array(self._name(x)), False) for x, out in zip(self.outputs, self._outs[1], strict=True)]
        walks, before, after = [], [], []
        for k, (whole, part, reads) in enumerate(rows):
            if whole.ndim == 1:  # a row of it would be a number, not an array
                whole, part = whole[:, None], part[None]
            walks.append(_bound(names, "all", whole[::-1] if self._reverse else whole))
            held = _bound(names, "part", part)
            if reads:
                before.append(f"    copyto({held}, a{k})")
            else:
                after.append(f"    copyto(a{k}, {held})")
        targets = ", ".join([f"a{k}" for k in range(len(rows))])
        lines.append(f"for {targets}, in zip({', '.join(walks)}):")
        lines += before
        self._write_calls(names, lines, "    ")
        lines += after
        self._write_updates(names, lines, "    ")
        for variable, last in zip(states, self._outs[0], strict=True):
            lines.append(f"copyto({_bound(names, 'last', last)}, {_bound(names, 'w', variable.data)})")
        self.run = self.step = self._compile("run", "", lines, names)


def _joined(calls: Sequence[Call]) -> list[Call]:
    """One call for kernels that follow each other; one for each where their time is taken."""
    joined: list[Call] = []
    kernels: list[Call] = []
    tasks: list[Task] = []

    def flush() -> None:
        if tasks:
            label = "; ".join([call.label for call in kernels])
            nodes = tuple([node for call in kernels for node in call.nodes])
            joined.append(Call(label, *program(tasks), {}, None, nodes, sum([call.nbytes for call in kernels])))
            kernels.clear()
            tasks.clear()

    for call in calls:
        if isinstance(call.call, Task):
            kernels.append(call)
            tasks.append(call.call)
            if config.debug >= 2 or config.profiling:
                flush()
        else:
            flush()
            joined.append(call)
    flush()
    return joined


def _bytes_of(aval: Any) -> int:
    return math.prod(aval.shape) * aval.dtype.itemsize


def _within(raw: np.ndarray, aval: Any) -> np.ndarray:
    """An array of that shape at the beginning of some memory."""
    return raw[: _bytes_of(aval)].view(aval.dtype).reshape(aval.shape)


def _bound(names: dict[str, Any], prefix: str, value: Any) -> str:
    name = f"{prefix}{len(names)}"
    names[name] = value
    return name


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
    return op.into is None and op.bind is None and op.expr is None and not op.view and not isinstance(op.impl, np.ufunc)


def _is_number(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex))


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
