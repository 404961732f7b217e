"""Rows by their numbers: reading them (take), and adding to them where numbers repeat (scatter-add).

Threads share the rows that are written, so that no two write to one and each sum has one order: that of the numbers.
5000 rows of 64 float32 added to 1000: 41 us on one thread, against 2.8 ms with ``np.add.at``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels.calls import Call, Copies, chained, ordered
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.threads import parts, pick, share

# Nanoseconds on one thread for an element that is copied or cleared, and for one that is added.
_COPY, _ADD = 0.15, 0.3


@jit
def first_outside(index, n):
    """Position of the first number outside -n to n - 1, or -1."""
    for i in range(index.shape[0]):
        if index[i] < -n or index[i] >= n:
            return i
    return -1


@jit
def add_range(out, index, rows, fresh, first, last):
    """``add_rows`` for the rows ``first`` to ``last`` of out."""
    if fresh:
        flat = out[first:last].reshape(-1)
        for j in range(flat.shape[0]):
            flat[j] = 0
    n = out.shape[0]
    for i in range(index.shape[0]):
        k = index[i]
        k = k + n if k < 0 else k
        if first <= k < last:
            for j in range(rows.shape[1]):
                out[k, j] += rows[i, j]


@jit(parallel=True)
def add_rows(out, index, rows, fresh, parts):
    """out[index[i], :] += rows[i, :] for each i in order, from zeros on if ``fresh``.

    Returns the position of the first number out of range, or -1; with one, nothing is written.
    """
    bad = first_outside(index, out.shape[0])
    if bad < 0:
        for p in prange(parts):
            first, last = share(out.shape[0], parts, p)
            add_range(out, index, rows, fresh, first, last)
    return bad


@jit
def take_range(x, index, out, first, last):
    """out[i, :] = x[index[i], :] for i from ``first`` to ``last``."""
    n = x.shape[0]
    for i in range(first, last):
        k = index[i]
        k = k + n if k < 0 else k
        for j in range(x.shape[1]):
            out[i, j] = x[k, j]


@jit(parallel=True)
def take_rows(x, index, out, parts):
    """out[i, :] = x[index[i], :]; returns the position of the first number out of range, or -1, see ``add_rows``."""
    bad = first_outside(index, x.shape[0])
    if bad < 0:
        for p in prange(parts):
            first, last = share(out.shape[0], parts, p)
            take_range(x, index, out, first, last)
    return bad


def has_rows(x: np.ndarray) -> bool:
    """True where the compiled loops apply to an array that is read or written by rows."""
    return config.numba and x.dtype.char in "fdilq" and bool(x.ndim and x.size) and x.flags.c_contiguous


def scatter_add(out: np.ndarray, index: np.ndarray, rows: np.ndarray, scratch: Any, fresh: bool) -> Call:
    """The call that adds ``rows[i]`` to ``out[index[i]]``, for each i in order; to zeros if ``fresh``.

    out (n, ...), for which `has_rows` holds; index of any shape, whole numbers, negative ones from the end; rows
    (*index.shape, ...). The call raises IndexError before anything is written when a number is out of range.
    """
    before: Copies = []
    n, m = out.shape[0], index.size
    numbers = ordered(index, np.int64, scratch, before).reshape(-1)
    given = ordered(rows, out.dtype, scratch, before).reshape(m, -1)
    cost = (_COPY * out.size * fresh + _ADD * given.size) / n
    count = parts(n, cost)
    call = pick(add_rows, count), (out.reshape(n, -1), numbers, given, fresh, count)
    return chained(before, _checked("scatter_add", call, numbers, n), [])


def take(out: np.ndarray, x: np.ndarray, index: np.ndarray, scratch: Any) -> Call:
    """The call that writes ``x[index[i]]`` to ``out[i]``; x and out (*index.shape, ...) for which `has_rows` holds.

    It raises IndexError when a number is out of range.
    """
    before: Copies = []
    n, m = x.shape[0], index.size
    numbers = ordered(index, np.int64, scratch, before).reshape(-1)
    count = parts(m, _COPY * out.size / m)
    call = pick(take_rows, count), (x.reshape(n, -1), numbers, out.reshape(m, -1), count)
    return chained(before, _checked("take", call, numbers, n), [])


def _checked(op: str, call: Call, numbers: np.ndarray, n: int) -> Call:
    kernel: Callable[..., int] = call[0]

    def run(*arguments: Any) -> None:
        bad = kernel(*arguments)
        if bad >= 0:
            raise _outside(op, int(numbers[bad]), n)

    return run, call[1]


def _outside(op: str, bad: int, n: int) -> IndexError:
    return IndexError(f"[{op}] indices must be in {-n}..{n - 1}; got {bad}. Check the size of the axis they number.")


def scatter_add_rows(out: np.ndarray, index: np.ndarray, rows: np.ndarray) -> None:
    """Add ``rows[i]`` to ``out[index[i]]`` in place, for each i in order; repeated indices add up.

    out (n, ...), index (m,) whole numbers, negative ones from the end, rows (m, ...) in the dtype of out.
    Raises ``IndexError`` before anything is written when an index is out of range.
    """
    if not index.size:
        return
    if has_rows(out):
        function, arguments = scatter_add(out, index, rows, np.empty, False)
        function(*arguments)
        return
    n = out.shape[0]
    low, high = int(index.min()), int(index.max())
    if low < -n or high >= n:
        raise _outside("scatter_add", low if low < -n else high, n)
    np.add.at(out, index, rows)
