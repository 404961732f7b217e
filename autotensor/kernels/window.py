"""Sliding windows over the spatial axes of an array: their geometry, and copies of them in blocks that stay in cache.

Arrays are (n, *space, c), with one, two or three axes of space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from autotensor import config

Key = tuple[slice, ...]

BLOCK_BYTES = 1 << 20
"""Size up to which a block of copied windows grows: it is written and read again while it lies in the cache."""


class Windows(NamedTuple):
    """Where windows lie: for each axis of space its size, the size of the result, and what leads from one to the other.

    Window o covers the positions o * stride - low + k * dilation, k < size; those outside the array hold zeros.
    """

    space: tuple[int, ...]
    out: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def inside(self) -> bool:
        """True when no window reaches over the border."""
        return not any(self.low) and not any(self.high)

    @property
    def points(self) -> bool:
        """True when each window is one position, and each position one window."""
        return self.inside and all(k == 1 for k in self.size) and all(s == 1 for s in self.strides)

    def only(self, rows: slice) -> Windows:
        """These windows in a part of the first axis of the result."""
        first = rows.start * self.strides[0]
        return self._replace(out=(rows.stop - rows.start, *self.out[1:]), low=(self.low[0] - first, *self.low[1:]))


def overlaps(w: Windows) -> Iterator[tuple[tuple[int, ...], Key, Key]]:
    """For each position in a window: its index, and the parts of the array and of the result that meet there.

    The parts index (n, *space, ...) and (n, *out, ...); windows in which the position lies outside are left out.
    """
    axes = []
    for n, m, k, s, d, low in zip(w.space, w.out, w.size, w.strides, w.dilation, w.low, strict=True):
        parts = []
        for i in range(k):
            at = i * d - low
            first = max(0, -(at // s))
            last = min(m, (n - 1 - at) // s + 1)
            if first < last:
                parts.append(
                    (i, slice(at + first * s, at + (last - 1) * s + 1, s), slice(first, last)),
                )
        axes.append(parts)
    every = slice(None)
    for chosen in itertools.product(*axes):
        yield (
            tuple([part[0] for part in chosen]),
            (every, *[part[1] for part in chosen]),
            (every, *[part[2] for part in chosen]),
        )


def view(x: np.ndarray, w: Windows) -> np.ndarray:
    """All windows (n, *out, *size, c) of an array that holds its border already, as a read-only view."""
    n, *steps, last = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], *w.out, *w.size, x.shape[-1]),
        (n, *[a * s for a, s in zip(steps, w.strides)], *[a * d for a, d in zip(steps, w.dilation)], last),
        writeable=False,
    )


def padded(x: np.ndarray, w: Windows) -> np.ndarray:
    """x with the border of zeros that the windows need; x itself when they need none."""
    if w.inside:
        return x
    shape = (x.shape[0], *[n + a + b for n, a, b in zip(w.space, w.low, w.high)], x.shape[-1])
    wide = np.zeros(shape, x.dtype)
    wide[inner(w)] = x
    return wide


def inner(w: Windows) -> Key:
    """The part of an array with a border that is not border."""
    return (slice(None), *[slice(a, a + n) for a, n in zip(w.low, w.space)])


def blocks(n: int, w: Windows, c: int, itemsize: int) -> Iterator[tuple[slice, slice]]:
    """Parts of a batch of n, and of the first axis of the result, whose windows fit into one block."""
    row = math.prod(w.out[1:]) * math.prod(w.size) * c * itemsize
    one = max(1, row * w.out[0])
    if one <= BLOCK_BYTES:
        step = max(1, BLOCK_BYTES // one)
        for first in range(0, n, step):
            yield slice(first, min(first + step, n)), slice(0, w.out[0])
        return
    step = max(1, BLOCK_BYTES // row)
    for i in range(n):
        for first in range(0, w.out[0], step):
            yield slice(i, i + 1), slice(first, min(first + step, w.out[0]))


def columns(x: np.ndarray, w: Windows) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """The windows of x block by block, as matrices (positions, size * c) in memory that the next block reuses.

    Yields the parts of the batch and of the first axis of the result that a block holds, and the matrix.
    """
    n, c = x.shape[0], x.shape[-1]
    width = math.prod(w.size) * c
    copied = not w.inside or not x.flags.c_contiguous
    buffer = wide = None
    for batch, rows in blocks(n, w, c, x.itemsize):
        count = batch.stop - batch.start
        if copied and rows.start == 0:
            if wide is None or wide.shape[0] != count:
                wide = np.zeros((count, *[m + a + b for m, a, b in zip(w.space, w.low, w.high)], c), x.dtype)
            wide[inner(w)] = x[batch]
        source = x[batch] if wide is None else wide
        shape = (count, rows.stop - rows.start, *w.out[1:], *w.size, c)
        if buffer is None:
            buffer = np.empty(math.prod(shape), x.dtype)
        taken = buffer[: math.prod(shape)].reshape(shape)
        np.copyto(taken, view(source, w)[:, rows])
        yield batch, rows, taken.reshape(-1, width)


def fold_into(out: np.ndarray, patches: np.ndarray, w: Windows) -> None:
    """Add windows (n, *out, *size, c) to the places in out (n, *space, c) that they came from."""
    for at, there, here in overlaps(w):
        tap: tuple[slice | int, ...] = (*here, *at)
        out[there] += patches[tap]


def unfold_into(out: np.ndarray, x: np.ndarray, w: Windows) -> None:
    """Copy the windows of x (n, *space, c) into out (n, *out, *size, c)."""
    np.copyto(out, view(padded(x, w), w))


# -- for compiled loops, which know three axes of space


def compiled(*arrays: np.ndarray) -> bool:
    """True where Numba's loops apply: floats of one dtype, none empty, the first one, which is written, contiguous."""
    dtype = arrays[0].dtype
    if not config.numba or not arrays[0].flags.c_contiguous:
        return False
    return dtype in (np.float32, np.float64) and all([a.dtype == dtype and a.size for a in arrays])


def deep(x: np.ndarray, batch: bool = True) -> np.ndarray:
    """x contiguous and with three axes of space between two others, the new ones of size 1.

    batch: whether the first axis stays in front of them, as in (n, *space, c); that of a kernel (*size, c, m) does not.
    """
    x = np.ascontiguousarray(x)
    lead = int(batch)
    return x.reshape(*x.shape[:lead], *(1,) * (5 - x.ndim), *x.shape[lead:])


def triples(w: Windows) -> tuple[tuple[int, ...], ...]:
    """Sizes, strides, dilations and borders before, for three axes of space."""
    more = 3 - len(w.size)
    one, none = (1,) * more, (0,) * more
    return one + w.size, one + w.strides, one + w.dilation, none + w.low
