"""Where time and memory go: a table by operation, layer or line, and a trace for Chrome and Perfetto.

    with at.profile() as p:
        model.fit(x, y, epochs=1)
    print(p.table(by="layer"))
    p.chrome_trace("trace.json")

Eager operations, graphs that are interpreted and the steps of compiled functions are events. The clock is read here,
and in the plans that are made for this: a compiled function gets a plan of its own while it is profiled, in which each
kernel is a call of its own. See ``Profile`` for what that costs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from autotensor import locks
from autotensor.core.op import Op
from autotensor.core.state import state
from autotensor.core.tensor import Node, Place, is_library, user_line
from autotensor.core.watch import set_profiler
from autotensor.graph.show import size

FORWARD, BACKWARD = "forward", "backward"


class Event(NamedTuple):
    """Something that took time. ``start`` counts from the beginning of the profile; all times are in seconds.

    kind: ``"op"`` (eager), ``"node"`` (of a graph, interpreted), ``"step"`` (of a plan: one operation, or a kernel of
        several, whose names are joined by ``+``), ``"function"`` (a whole compiled call) or ``"span"``.
    phase: ``"forward"``, or ``"backward"`` for what belongs to a gradient.
    layer: name of the ``name_scope`` it belongs to, ``""`` outside. line: of the program; in the backward phase that
        of the operation whose gradient it is. For a kernel of several operations those of most of them.
    self_seconds: without the events within it. nbytes: of the results, where they are memory of their own.
    depth: how many events it is in. thread: a number; ``Profile.threads`` has the names.
    """

    name: str
    kind: str
    phase: str
    layer: str
    line: str
    start: float
    seconds: float
    self_seconds: float
    nbytes: int
    thread: int
    depth: int


class _Site:
    """What runs again and again: an operation on a line, or a call of a plan; counts its events."""

    __slots__ = ("calls", "group", "kind", "name", "nbytes", "owners", "seconds", "self_seconds")

    def __init__(self, name: str, kind: str, owners: Sequence[tuple[_Owner, float]], group: str | None = None):
        self.name = name
        self.kind = kind
        self.group = group or name
        self.owners = owners  # whose it is, and which part of it
        self.calls = 0
        self.seconds = self.self_seconds = 0.0
        self.nbytes = 0


class _Owner(NamedTuple):
    layer: str
    line: str
    phase: str


class Row(NamedTuple):
    """A row of a table: times in seconds. ``calls`` and ``nbytes`` of a kernel of several layers are shared, too."""

    name: str
    phase: str
    calls: float
    seconds: float
    self_seconds: float
    nbytes: float


class Profile:
    """The events of a ``with at.profile() as p:`` block, of all threads.

    ``events`` are kept up to ``max_events`` (``dropped`` counts those beyond); tables count all. ``threads`` are the
    names of the threads, in the order in which they came. ``peak_bytes`` is the most memory that was held at once by
    results of operations made in the block, and by the buffers of plans. ``seconds`` is the time of the whole block.

    What profiling costs: about 10 microseconds for an eager operation and 3 for a step of a plan. These are not in the
    event itself, but in that around it. Kernels of a plan that else share one call, or run beside each other on
    threads, run one after the other, and a compiled function makes a new plan at its first call in the block (kernels
    are not compiled again). Outside of the block nothing is left of it.
    """

    def __init__(self, max_events: int = 200_000):
        self.max_events = max_events
        self.dropped = 0
        self.live_bytes = self.peak_bytes = 0
        self.seconds = 0.0
        self.threads: list[str] = []
        self._records: list[tuple[_Site, float, float, float, int, int, int]] = []
        self._memory: list[tuple[float, int]] = []
        self._sites: dict[Any, _Site] = {}
        self._plans: weakref.WeakKeyDictionary[Any, list[_Site]] = weakref.WeakKeyDictionary()
        self._library: dict[Any, bool] = {}
        self._held: dict[int, tuple[Any, int]] = {}
        self._lock = locks.rlock()  # a freed array may call back at any time
        self._local = threading.local()
        self._before: Any = None
        self._running = False
        self._start = 0.0

    def __enter__(self) -> Profile:
        if self._running or self._start:
            raise ValueError(
                "[profile] a profile is entered once; this one has been. Make a new one with at.profile()."
            )
        self._running = True
        self._before = set_profiler(self)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self._running = False
        set_profiler(self._before)
        self._held.clear()
        self._plans.clear()

    # -- what the engine tells ----------------------------------------------------------------------------------------

    def run(self, op: Op, arrays: Sequence[Any], params: dict[str, Any], node: Node | None) -> Any:
        """Compute an operation, eager or of a graph that is interpreted."""
        site = self._eager_site(op) if node is None else self._node_site(op, node)
        _, depth, start = self._open(site)
        try:
            result = op.impl(*arrays, **params)
        except BaseException:
            self._close(site, depth, start, time.perf_counter(), 0)
            raise
        end = time.perf_counter()
        self._close(site, depth, start, end, self._hold(result if op.n_out > 1 else (result,), arrays))
        return result

    def begin(self, name: str, kind: str) -> Any:
        """Something begins that holds other events."""
        key = kind, name
        site = self._sites.get(key)
        if site is None:
            told = "function" if kind == "function" else "span"
            group = name if kind == "function" else kind
            site = self._site(key, name, told, [(_Owner("", "", FORWARD), 1.0)], group)
        return self._open(site)

    def end(self, token: Any) -> None:
        """It has ended."""
        end = time.perf_counter()
        site, depth, start = token
        self._close(site, depth, start, end, 0)

    def plan_began(self, plan: Any) -> Any:
        """A compiled step begins; ``plan`` says what its calls are."""
        if plan not in self._plans:
            with self._lock:
                self._plans[plan] = [self._plan_site(call) for call in plan.calls]
                self._grow(plan.allocated, plan)
        return self.begin(plan.name, "function")

    def call_begins(self) -> float:
        """A call of a compiled step begins now."""
        self._stack().append(0.0)
        return time.perf_counter()

    def plan_call(self, plan: Any, number: int, start: float) -> None:
        """It has ended."""
        end = time.perf_counter()
        sites = self._plans.get(plan)
        if sites is None:  # the body of a loop
            with self._lock:
                sites = self._plans[plan] = [self._plan_site(call) for call in plan.calls]
        self._close(sites[number], len(self._stack()) - 1, start, end, plan.calls[number].nbytes)

    def _node_site(self, op: Op, node: Node) -> _Site:
        """The site of an operation of a graph that is interpreted."""
        owner = _owner(node.where)
        key = op.name, owner
        return self._sites.get(key) or self._site(key, op.name, "node", [(owner, 1.0)])

    def _eager_site(self, op: Op) -> _Site:
        """The site of an operation that is computed now."""
        pulled, origin = state.pulling, state.origin
        if origin is not None or pulled is not None:
            if origin is not None:
                owner = _owner(origin)
            else:
                where = pulled.where if pulled is not None else None
                line = where.line if where is not None else user_line()
                owner = _Owner((where.scope if where is not None else state.scope) or "", line, BACKWARD)
            key: Any = op.name, True, owner
            return self._sites.get(key) or self._site(key, op.name, "op", [(owner, 1.0)])
        frame: Any = sys._getframe(2)
        while frame.f_back is not None and self._is_library(frame):
            frame = frame.f_back
        key = op, state.scope, frame.f_code, frame.f_lineno
        site = self._sites.get(key)
        if site is None:
            site = self._site(key, op.name, "op", [(_Owner(state.scope or "", user_line(), FORWARD), 1.0)])
        return site

    def _is_library(self, frame: Any) -> bool:
        """Whether a frame is none of the user's; remembered, since ``user_line`` takes time."""
        found = self._library.get(frame.f_code)
        if found is None:
            found = self._library[frame.f_code] = is_library(frame)
        return found

    # -- keeping count ------------------------------------------------------------------------------------------------

    def _site(
        self, key: Any, name: str, kind: str, owners: Sequence[tuple[_Owner, float]], group: str | None = None
    ) -> _Site:
        with self._lock:
            return self._sites.setdefault(key, _Site(name, kind, owners, group))

    def _plan_site(self, call: Any) -> _Site:
        owners = Counter([_owner(node.where) for node in call.nodes])
        n = sum(owners.values())
        shares = [(owner, k / n) for owner, k in owners.most_common()] or [(_Owner("", "", FORWARD), 1.0)]
        site = _Site(call.label, "step", shares)
        self._sites[id(site)] = site
        return site

    def _stack(self) -> list[float]:
        """Of each event under way in this thread, the seconds spent in events within it."""
        try:
            return self._local.stack
        except AttributeError:
            self._local.stack = []
            with self._lock:  # idents are used again by threads that come later
                self._local.number = len(self.threads)
                self.threads.append(threading.current_thread().name)
            return self._local.stack

    def _open(self, site: _Site) -> tuple[_Site, int, float]:
        stack = self._stack()
        stack.append(0.0)
        return site, len(stack) - 1, time.perf_counter()

    def _close(self, site: _Site, depth: int, start: float, end: float, nbytes: int) -> None:
        stack = self._stack()
        inner = stack[depth]
        del stack[depth:]  # with what an error left open
        seconds = end - start
        if stack:
            stack[-1] += seconds
        with self._lock:
            site.calls += 1
            site.seconds += seconds
            site.self_seconds += seconds - inner
            site.nbytes += nbytes
            if len(self._records) < self.max_events:
                thread = self._local.number
                self._records.append((site, start - self._start, seconds, seconds - inner, nbytes, thread, depth))
            else:
                self.dropped += 1

    def _hold(self, results: Iterable[Any], arrays: Sequence[Any]) -> int:
        """Count the memory of results until it is freed; returns its bytes. Views of the operands count nothing."""
        total = 0
        for result in results:
            if isinstance(result, np.ndarray):
                base = _base(result)
                if not any([isinstance(a, np.ndarray) and _base(a) is base for a in arrays]):
                    total += result.nbytes
                    self._grow(result.nbytes, base)
        return total

    def _grow(self, nbytes: int, holder: Any) -> None:
        reference = weakref.ref(holder, self._gone)
        self._held[id(reference)] = reference, nbytes
        self._count(nbytes)

    def _gone(self, reference: Any) -> None:
        held = self._held.pop(id(reference), None)
        if held is not None:
            self._count(-held[1])

    def _count(self, nbytes: int) -> None:
        with self._lock:
            self.live_bytes += nbytes
            if self.live_bytes > self.peak_bytes:
                self.peak_bytes = self.live_bytes
            if len(self._memory) < self.max_events:
                self._memory.append((time.perf_counter() - self._start, self.live_bytes))

    # -- what came out ------------------------------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """All events, in the order in which they began."""
        found = []
        for site, start, seconds, alone, nbytes, thread, depth in sorted(
            self._records, key=lambda r: (r[5], r[1], r[6])
        ):
            first = site.owners[0][0]
            found.append(
                Event(
                    site.name, site.kind, first.phase, first.layer, first.line,
                    start, seconds, alone, nbytes, thread, depth,
                )
            )  # fmt: skip
        return sorted(found, key=lambda e: e.start)

    def rows(self, by: str = "op", sort: str = "time") -> list[Row]:
        """What ``table`` shows, as numbers. Raises ValueError for an unknown ``by`` or ``sort``."""
        if by not in _COLUMNS:
            raise ValueError(f"[profile] by must be one of {', '.join(_COLUMNS)}; got {by!r}. Try by='layer'.")
        if sort not in _SORTS:
            raise ValueError(f"[profile] sort must be one of {', '.join(_SORTS)}; got {sort!r}. Try sort='time'.")
        total: dict[tuple[str, str], list[float]] = {}
        for site in list(self._sites.values()):
            if not site.calls or (by == "span" and site.kind not in ("span", "function")):
                continue
            for owner, share in site.owners if by in ("layer", "line") else site.owners[:1]:
                if by not in ("layer", "line"):
                    share = 1.0
                phase = "" if site.kind in ("span", "function") else owner.phase
                row = total.setdefault((self._name(site, owner, by), phase), [0.0] * 4)
                for i, value in enumerate((site.calls, site.seconds, site.self_seconds, site.nbytes)):
                    row[i] += share * value
        rows = [Row(name, phase, *values) for (name, phase), values in total.items()]
        return sorted(rows, key=_SORTS[sort])

    def _name(self, site: _Site, owner: _Owner, by: str) -> str:
        if by == "op":
            return site.group if site.kind != "function" else f"function {site.name}"
        if by == "span":
            return site.name
        if site.kind in ("span", "function"):
            return _BETWEEN
        return (owner.layer if by == "layer" else owner.line) or "-"

    def table(self, sort: str = "time", by: str = "op", limit: int | None = None) -> str:
        """The events in rows, as text.

        by: ``"op"``, ``"layer"`` (name scopes; layers of Keras models), ``"line"`` (of the program) or ``"span"``
            (batches, epochs, compiled functions). ``sort``: ``"time"`` and ``"self"`` (the time without what is within,
            which adds up to the whole), ``"total"``, ``"mean"``, ``"calls"``, ``"memory"`` or ``"name"``. ``limit``:
            so many rows.

        Phases are told apart. A kernel of several operations belongs to each of their layers and lines by its share
        of operations. ``memory`` is that of the results, all calls together.
        """
        rows = self.rows(by, sort)
        whole = sum(row.self_seconds for row in rows) or 1.0
        head = (_COLUMNS[by], "phase", "calls", "total ms", "self ms", "mean us", "memory", "share")
        lines = [head]
        for row in rows[:limit]:
            mean = row.seconds / row.calls * 1e6 if row.calls else 0.0
            calls = f"{row.calls:.0f}" if row.calls == int(row.calls) else f"{row.calls:.1f}"
            lines.append(
                (
                    _short(row.name) if by == "line" else row.name, row.phase, calls, f"{row.seconds * 1e3:.3f}",
                    f"{row.self_seconds * 1e3:.3f}", f"{mean:.1f}", size(row.nbytes),
                    f"{row.self_seconds / whole:.1%}",
                )
            )  # fmt: skip
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        texts = [
            "  ".join([cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))])
            for line in lines
        ]
        if limit is not None and len(rows) > limit:
            texts.append(f"... {len(rows) - limit} more")
        return "\n".join([text.rstrip() for text in texts])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Profile of {sum(site.calls for site in self._sites.values())} events in {self.seconds:.3f} s>"

    def chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the events as JSON for ``chrome://tracing`` and https://ui.perfetto.dev.

        Trace Event Format: complete events ("X") with times in microseconds from the beginning of the profile, one
        track for each thread, and a counter ("C") of the bytes held.
        """
        pid = os.getpid()
        out: list[dict[str, Any]] = [
            {"name": "thread_name", "ph": "M", "pid": pid, "tid": thread, "args": {"name": name}}
            for thread, name in enumerate(self.threads)
        ]
        for event in self.events:
            details = {"phase": event.phase, "layer": event.layer, "line": event.line, "bytes": event.nbytes}
            out.append(
                {
                    "name": event.name, "cat": event.kind, "ph": "X", "ts": event.start * 1e6,
                    "dur": event.seconds * 1e6, "pid": pid, "tid": event.thread,
                    "args": {key: value for key, value in details.items() if value},
                }
            )  # fmt: skip
        out += [
            {"name": "memory", "ph": "C", "ts": when * 1e6, "pid": pid, "args": {"bytes": held}}
            for when, held in self._memory
        ]
        Path(path).write_text(json.dumps({"traceEvents": out, "displayTimeUnit": "ms"}), encoding="utf-8")


def profile(max_events: int = 200_000) -> Profile:
    """Take the time and memory of all operations in a block: ``with at.profile() as p: ...``; then ``p.table()``."""
    return Profile(max_events)


_BETWEEN = "(between)"
_COLUMNS = {"op": "op", "layer": "layer", "line": "line", "span": "span"}
_SORTS: dict[str, Any] = {
    "time": lambda row: -row.self_seconds,
    "self": lambda row: -row.self_seconds,
    "total": lambda row: -row.seconds,
    "mean": lambda row: -row.seconds / max(row.calls, 1e-9),
    "calls": lambda row: -row.calls,
    "memory": lambda row: -row.nbytes,
    "name": lambda row: (row.name, row.phase),
}


def _owner(where: Place | None) -> _Owner:
    """Whose a node of a graph is."""
    if where is None:
        return _Owner("", "", FORWARD)
    if where.rule is None:
        return _Owner(where.scope or "", where.line, FORWARD)
    line = where.rule.where.line if where.rule.where is not None else where.line
    return _Owner(where.scope or "", line, BACKWARD)


def _base(array: np.ndarray) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _short(line: str) -> str:
    """A line of the program without its folders."""
    return os.path.basename(line)
