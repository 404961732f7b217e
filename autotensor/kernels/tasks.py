"""Running generated kernels: many of them by one call, in order or on threads.

A task is a kernel bound to its arrays. Native code finds these in a table of addresses and sizes, so that a kernel
costs 2 ns to call where a call from Python with arrays as arguments costs 0.3 to 0.8 us; and since one precompiled
loop, `execute`, calls them all, none of them has to be compiled with threads.

`program` makes one call of tasks that follow each other. Those which share no memory that one of them writes run beside
each other: the updates of all weights are one stage, for one start of the threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor.kernels.jit import call_task, jit, prange
from autotensor.kernels.threads import pick

# Parts of a flat range start at multiples of this many elements: no two threads write to one line of the cache.
_LINE = 64
_COLUMNS = 5


class Task:
    """A kernel with all that it needs.

    module: what has been generated: ``kernel(*arrays, *numbers, parts, first, last, part)`` and ``entry``, the
        `jit.task` of it; where parts add up ``combine(*arrays, *numbers, parts)`` and ``finish``, the task of that.
    arrays: all arrays in the order of the arguments, flat and contiguous; ``writes`` those that are written.
    extent: length of the outermost loop, shared by ``parts``.
    cost: nanoseconds on one thread, estimated.
    """

    __slots__ = ("arrays", "combines", "cost", "extent", "module", "numbers", "parts", "reads", "row", "writes")

    def __init__(
        self,
        module: Any,
        arrays: Sequence[np.ndarray],
        numbers: Sequence[int],
        extent: int,
        parts: int,
        writes: Sequence[np.ndarray],
        cost: float,
    ):
        self.module = module
        self.combines = parts > 1 and hasattr(module, "finish")
        self.arrays = list(arrays)
        self.numbers = [*numbers, parts]
        self.extent = extent
        self.parts = parts
        self.writes = {_memory(a) for a in writes}
        self.reads = {_memory(a) for a in arrays} - self.writes
        self.cost = cost
        self.row = np.array([*[a.ctypes.data for a in arrays], *self.numbers], np.int64)

    def bounds(self) -> list[tuple[int, int]]:
        """First and last (exclusive) of each part."""
        cuts = [self.extent * p // self.parts for p in range(self.parts + 1)]
        if self.extent >= 2 * _LINE * self.parts:
            cuts[1:-1] = [cut // _LINE * _LINE for cut in cuts[1:-1]]
        return list(zip(cuts, cuts[1:], strict=False))

    def __call__(self) -> None:
        """The same by the Python functions, for where Numba does not compile."""
        for part, (first, last) in enumerate(self.bounds()):
            self.module.kernel(*self.arrays, *self.numbers, first, last, part)
        if self.combines:
            self.module.combine(*self.arrays, *self.numbers)


class _Stage:
    """Tasks that run together: one list for each thread, worked off in order."""

    def __init__(self) -> None:
        self.lists: list[list[tuple[Any, ...]]] = [[]]
        self.costs = [0.0]
        self.finishes: list[tuple[Any, ...]] = []
        self.reads: set[int] = set()
        self.writes: set[int] = set()

    def admits(self, task: Task) -> bool:
        if task.parts == 1 and len(self.lists) == 1 and not self.finishes:
            return True  # one after the other
        return not (self.writes & (task.reads | task.writes) or self.reads & task.writes)

    def add(self, task: Task) -> None:
        while len(self.lists) < task.parts:
            self.lists.append([])
            self.costs.append(0.0)
        for part, (first, last) in enumerate(task.bounds()):
            lightest = self.costs.index(min(self.costs))
            self.lists[lightest].append((task.module.entry.address, task.row.ctypes.data, first, last, part))
            self.costs[lightest] += task.cost / task.parts
        if task.combines:
            self.finishes.append((task.module.finish.address, task.row.ctypes.data, 0, 0, 0))
        self.reads |= task.reads
        self.writes |= task.writes


def program(tasks: Sequence[Task]) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """The call that runs ``tasks`` in this order, or beside each other where none needs another."""
    if not all(hasattr(task.module.entry, "address") for task in tasks):
        return _run_plainly, (list(tasks),)  # Python functions, where Numba does not compile
    stages: list[_Stage] = []
    for task in tasks:
        if not stages or not stages[-1].admits(task):
            stages.append(_Stage())
        stages[-1].add(task)
    lists = [part for stage in stages for part in (stage.lists, [stage.finishes]) if part != [[]]]
    return pick(execute, max(len(stage) for stage in lists)), (_table(lists, tasks),)


def staged(
    entry: Any, row: np.ndarray, parts: Sequence[int], arrays: Sequence[np.ndarray]
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """The call of a `jit.task` in stages: ``entry(row, stage, 0, part)`` for the parts of each, stage after stage.

    parts: how many parts each stage has. arrays: those that the row points at, which the call holds on to.
    """
    code, at = entry.address, row.ctypes.data
    stages: list[list[list[tuple[Any, ...]]]] = [
        [[(code, at, stage, 0, part)] for part in range(count)] for stage, count in enumerate(parts)
    ]
    return pick(execute, max(parts)), (_table(stages, [row, *arrays]),)


def _table(stages: list[list[list[tuple[Any, ...]]]], tasks: Sequence[Any]) -> np.ndarray:
    """What `execute` reads. Its memory holds on to the tasks, whose arrays it points at."""
    rows: list[tuple[Any, ...]] = []
    for lists in stages:
        start = len(rows) + len(lists)
        end = start + sum(len(part) for part in lists)
        for part in lists:
            rows.append((len(lists), start, start + len(part), end, 0))
            start += len(part)
        rows += [row for part in lists for row in part]
    memory = (ctypes.c_int64 * (_COLUMNS * len(rows)))()
    memory.tasks = list(tasks)  # type: ignore[attr-defined]
    table = np.frombuffer(memoryview(memory), np.int64).reshape(-1, _COLUMNS)
    table[:] = rows
    return table


@jit(parallel=True)
def execute(table):
    """Run the stages of a table, one after the other.

    A stage has a header row for each of its lists: (how many lists, first row, end of the rows, row of the next stage);
    the rows are (code, row of the task, first, last, part).
    """
    t = 0
    while t < len(table):
        lists = table[t, 0]
        if lists == 1:
            for i in range(table[t, 1], table[t, 2]):
                call_task(table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4])
        else:
            for p in prange(lists):
                for i in range(table[t + p, 1], table[t + p, 2]):
                    call_task(table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4])
        t = table[t, 3]


def _run_plainly(tasks: list[Task]) -> None:
    for task in tasks:
        task()


def _memory(array: Any) -> int:
    """Identity of the object whose memory an array shows."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return id(array)
