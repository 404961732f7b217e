"""How work is shared by threads: one place for the number of them and for the sizes of their parts.

A kernel on threads is written as::

    @jit(parallel=True)
    def kernel(x, out, parts):
        for p in prange(parts):
            first, last = share(len(x), parts, p)
            ...

and called as ``pick(kernel, n)(x, out, n)`` with ``n = parts(len(x), cost)``. `pick` gives the form of the kernel
without threads where there is one thread or one part only: a call costs 0.3 us then, and no pool of threads is entered.
A kernel that adds up over its parts does so with one accumulator a part, which are combined in order at its end; then
the number of parts, not that of threads, decides the bits of the result.

With ``config.deterministic`` the number of parts follows from the sizes alone, so that results are the same bits for
any number of threads.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

from autotensor import config, locks
from autotensor.kernels.jit import jit, pool, reentrant

# Sharing work costs about 3 us with OpenMP, and what one core has written is far from the other; below so many
# nanoseconds a part it does not pay.
GRAIN = 8_000
# Parts in deterministic mode: enough for the threads of a desk machine, few enough to combine.
FIXED = 8

# A process made by fork has not the threads of its parent: OpenMP ends it when it asks for them. TBB starts new ones,
# but only if no other thread of the program was using it.
_alone = False
_beside = False


def _before_fork() -> None:
    global _beside
    _beside = threading.active_count() > 1


def _after_fork() -> None:
    global _alone
    if pool() not in (None, "tbb") or (pool() == "tbb" and _beside):
        _alone = True
        config.set(threads=1)  # and the plans that have bound kernels with threads are made anew


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def pick(kernel: Any, parts: int = FIXED) -> Callable[..., Any]:
    """The form of a ``jit(parallel=True)`` kernel for the present number of threads and that of parts, if it is known.

    One part never enters the pool of threads, which would cost it 2 us.
    """
    if parts <= 1 or _alone or not (config.threads > 1 or config.deterministic):
        return kernel.serial
    return kernel if reentrant() else _one_at_a_time(kernel)


_turn = locks.lock()


@functools.cache
def _one_at_a_time(kernel: Any) -> Callable[..., Any]:
    def run(*arguments: Any) -> None:
        with _turn:
            kernel(*arguments)

    return run


def parts(items: int, cost: float) -> int:
    """Into how many parts to split ``items`` of work that take ``cost`` nanoseconds each on one thread.

    At least 1, at most ``items``; at most one per thread, but for ``config.deterministic``.
    """
    most = FIXED if config.deterministic else config.threads
    return max(1, min(most, items, int(items * cost / GRAIN)))


@jit(inline=True)
def share(n, parts, p):
    """First and last (exclusive) item of part p when n items are shared by ``parts``, as evenly as possible."""
    return n * p // parts, n * (p + 1) // parts
