"""Products of matrices and of stacks of them, shared by threads: each part is one call of BLAS on one thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autotensor.kernels import blas
from autotensor.kernels.blas import gemm, hold, release
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.threads import parts, pick, share

# Nanoseconds of a multiplication and addition in BLAS on one thread.
COST = 0.02
# NumPy's BLAS uses its own threads from here on (a product of m * n * k); two pools of threads hold each other up.
THREADED = 1 << 18


# BLAS is slow to turn the right factor; up to this size, and for so many rows of the left one, it pays to do it first.
_TURN_SIZE, _TURN_ROWS = 1 << 15, 32


@jit
def turn(a, out):
    """out = the transposed matrix of a: 16 elements at a time, which become vector instructions."""
    m, n = a.shape
    whole = m - m % 16
    for i0 in range(0, whole, 16):
        for j in range(n):
            for i in range(16):
                out[j, i0 + i] = a[i0 + i, j]
    for i in range(whole, m):
        for j in range(n):
            out[j, i] = a[i, j]


# A product of few rows is mostly packing: BLAS brings the other factor into its own order, and uses it once. Blocks of
# up to a million multiplications it takes as they are.
_STRIP, _DEEP, _WIDE = 32, 60, 128


@jit(parallel=True)
def thin(a, b, out, tb, space, parts):
    """out (m, n) = a (m, k) @ b (k, n) for few rows m; b is stored as (n, k) if ``tb``.

    With ``tb`` strips of 32 columns are made as rows, b's rows by the turned a, and turned into their place; space has
    (k + 32 parts) m elements for that.
    """
    held = hold()
    m, n = out.shape
    k = a.shape[1]
    left = space[: k * m].reshape(k, m) if tb else space.reshape(0, m)
    if tb:
        turn(a, left)
    for p in prange(parts):
        first, last = share(n, parts, p)
        if tb:
            start = (k + p * _STRIP) * m
            strip = space[start : start + _STRIP * m].reshape(_STRIP, m)
            for c in range(first, last, _STRIP):
                end = min(c + _STRIP, last)
                gemm(b[c:end], left, strip[: end - c], 0)
                if end - c == _STRIP:
                    for i in range(m):
                        for j in range(_STRIP):
                            out[i, c + j] = strip[j, i]
                else:
                    for i in range(m):
                        for j in range(end - c):
                            out[i, c + j] = strip[j, i]
        else:
            for i in range(0, k, _DEEP):
                for c in range(first, last, _WIDE):
                    end = min(c + _WIDE, last)
                    gemm(a[:, i : i + _DEEP], b[i : i + _DEEP, c:end], out[:, c:end], 0 if i == 0 else 1)
    release(held)


@jit(parallel=True)
def product(a, b, out, ta, tb, columns, pieces, parts, turned):
    """out[i] = a[i] @ b[i], each in ``pieces`` of rows or columns; a[i], b[i] are stored turned if ``ta``, ``tb``.

    turned: memory for a single b to be turned into, or an empty array.
    """
    held = hold()
    m, n = out.shape[1], out.shape[2]
    k = a.shape[1] if ta else a.shape[2]
    if tb and turned.size:
        turn(b[0], turned[0])
        b, tb = turned, False
    for p in prange(parts):
        first, last = share(len(out) * pieces, parts, p)
        for item in range(first, last):
            i, piece = item // pieces, item % pieces
            r0, r1, c0, c1 = 0, m, 0, n
            if columns:
                c0, c1 = share(n, pieces, piece)
            else:
                r0, r1 = share(m, pieces, piece)
            x = a[i, 0:k, r0:r1].T if ta else a[i, r0:r1, 0:k]
            y = b[i, c0:c1, 0:k].T if tb else b[i, 0:k, c0:c1]
            gemm(x, y, out[i, r0:r1, c0:c1], 0)
    release(held)


def bind(out: np.ndarray, x: np.ndarray, y: np.ndarray, scratch: Callable[..., np.ndarray]) -> tuple | None:
    """The call that writes ``x @ y``: (function, arguments); None where NumPy's own product has to do.

    x: (m, k) or a stack (..., m, k); y: (k, n) or a stack of the same sizes; their matrices, or the turned views of
    them, are contiguous. out: contiguous.
    """
    if not blas.AVAILABLE or not out.dtype == x.dtype == y.dtype or out.dtype.char not in "fd":
        return None
    if x.ndim < 2 or y.ndim < 2 or not (out.size and x.size) or not out.flags.c_contiguous:
        return None
    if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous:
        x, out = x.reshape(-1, x.shape[-1]), out.reshape(-1, out.shape[-1])
    if x.shape[:-2] != y.shape[:-2]:
        return None
    a, ta = _stack(x)
    b, tb = _stack(y)
    if a is None or b is None:
        return None
    made = out.reshape(-1, *out.shape[-2:])
    s, m, n = made.shape
    work = COST * m * n * x.shape[-1]
    count = parts(s * max(m, n), work / max(m, n))
    k = x.shape[-1]
    if s == 1 and not ta and (m <= 64 and k <= 1024 <= n if tb else m <= 128 and k >= 1024):
        count = min(count, n)
        space = scratch(((k + _STRIP * count) * m if tb else 0,), out.dtype)
        return pick(thin, count), (a[0], b[0], made[0], tb, space, count)
    # Parts of columns read the whole left factor, parts of rows the right one, which BLAS is slow to turn.
    columns = (m < 64 < n) or (tb and m <= 256 <= n and y.size > _TURN_SIZE)
    pieces = 1 if s >= 4 * count else min(count, n if columns else m)
    count = min(count, s * pieces)
    turned = np.empty((1, 0, 0), out.dtype)
    if tb and s == 1 and m >= _TURN_ROWS and y.size <= _TURN_SIZE:
        turned = scratch((1, *y.shape), out.dtype)
    return pick(product, count), (a, b, made, ta, tb, columns, pieces, count, turned)


def _stack(x: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """x as a contiguous (stack, rows, columns), and whether its matrices are turned in it."""
    for turned in (False, True):
        each = np.swapaxes(x, -1, -2) if turned else x
        if each.flags.c_contiguous:
            return each.reshape(-1, *each.shape[-2:]), turned
    return None, False


def work(x: np.ndarray, y: np.ndarray) -> int:
    """Multiplications in ``x @ y``."""
    return x.size * (y.shape[-1] if y.ndim > 1 else 1)
