"""Compiling the kernels of a plan on all cores, the first time ever that they are needed.

Numba compiles one kernel after the other, and holds the interpreter while it does. So when a plan needs kernels that
the disk cache does not have, processes beside this one compile some of them into the cache, while this one makes the
rest. The result is the same, as is every number computed with it; only the first step comes sooner. Where the cache can
not be written, where threads are turned off, or where no process can be started, all is compiled here.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import pkgutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from autotensor import config
from autotensor.kernels.jit import DISABLED, missing

# So many processes at most compile beside this one; a network has few kernels that take long.
_WORKERS = 3

Job = tuple[Any, tuple[Any, ...]]
"""A kernel, and the types of its arguments."""


class Ahead:
    """The kernels that one plan waits for."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._seen: set[Any] = set()
        self._threads: list[threading.Thread] = []

    def want(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Note the kernels behind a bound call which the disk cache does not have, and begin to compile them."""
        if DISABLED or config.threads == 1:
            return
        for kernel, given in _kernels(call, arguments):
            types = missing(kernel, given)
            if types is None or (kernel, types) in self._seen:
                continue
            self._seen.add((kernel, types))
            self._jobs.append((kernel, types))
            if len(self._jobs) > 1 and len(self._threads) < min(_WORKERS, config.threads - 1):
                self._threads.append(threading.Thread(target=self._serve, daemon=True))
                self._threads[-1].start()

    def finish(self) -> None:
        """Compile what nobody has begun, and wait for the others."""
        while self._jobs:
            with contextlib.suppress(IndexError):  # a worker was quicker
                kernel, types = self._jobs.pop()
                kernel.compile(types)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while self._jobs:  # given back by a worker that ended
            kernel, types = self._jobs.pop()
            kernel.compile(types)

    def _serve(self) -> None:
        """Hand jobs to a process of its own, until there are none."""
        try:
            worker = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import work; work()"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except (OSError, ValueError, TypeError):  # no interpreter to start, or not allowed
            return
        assert worker.stdin is not None and worker.stdout is not None
        try:
            answer = worker.stdout.readline()
            while answer and self._jobs:
                try:
                    job = self._jobs.popleft()
                except IndexError:
                    break
                try:
                    worker.stdin.write(_pack(job) + "\n")
                    worker.stdin.flush()
                    answer = worker.stdout.readline()
                except (OSError, ValueError):
                    answer = ""
                if not answer:
                    self._jobs.append(job)
        finally:
            with contextlib.suppress(OSError, ValueError):
                worker.stdin.close()
            worker.stdout.close()
            worker.wait()


def _kernels(call: Any, arguments: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels and their arguments in a bound call: itself, or those that it is given or holds on to."""
    if hasattr(call, "py_func"):
        yield call, arguments
        return
    for cell in getattr(call, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty cell
            if callable(cell.cell_contents):
                yield from _kernels(cell.cell_contents, arguments)
    for inner, given in zip(arguments, arguments[1:], strict=False):
        if hasattr(inner, "py_func") and isinstance(given, tuple):
            yield inner, given


def _pack(job: Job) -> str:
    kernel, types = job
    fn = kernel.py_func
    return base64.b64encode(pickle.dumps((fn.__module__, fn.__name__, types))).decode()


def work() -> None:
    """What a process beside does: compile each kernel that a line of its input names, into the disk cache."""
    print("ready", flush=True)
    for line in sys.stdin:
        module, name, types = pickle.loads(base64.b64decode(line))
        with contextlib.suppress(Exception):  # it will fail again, and say why, where it is needed
            pkgutil.resolve_name(f"{module}:{name}").compile(types)
        print("done", flush=True)
