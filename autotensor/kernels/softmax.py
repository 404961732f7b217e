"""Softmax and log-softmax, and their gradients: NumPy along any axis, and Numba for float32 rows, on threads.

float32 rows on one thread, compiled against NumPy: 3.3 against 15 us on 128 x 10, 0.55 against 1.3 ms on 1024 x 1000.
float64 stays with NumPy, whose vectorised ``exp`` is faster than a loop of libm calls.

The search for a row's maximum stands in each kernel, here and in ``cross_entropy``, on purpose: as one inlined helper
it made the kernels of 128 x 10 up to 1.7 times slower (3.1 to 5.4 us), those of 1024 x 1000 1.2 to 1.6 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels.calls import Call, Copies, chained, ordered
from autotensor.kernels.jit import jit, prange, scalar
from autotensor.kernels.scalar import exp_f32, log_f32
from autotensor.kernels.threads import parts, pick, share

# Nanoseconds on one thread for an element of a row: exponentials, or arithmetic alone.
EXP, PLAIN = 0.6, 0.2


def as_float(x: Any) -> np.ndarray:
    """The array in the precision of the computation: float32 for float16, NumPy's choice otherwise."""
    x = np.asarray(x)
    if x.dtype.kind == "f":
        return x.astype(np.float32) if x.dtype == np.float16 else x
    return x.astype(np.float32 if x.dtype.itemsize <= 2 else np.float64)


def result_type(x: np.ndarray) -> np.dtype:
    """What ``np.exp`` would return for x."""
    if x.dtype.kind == "f":
        return x.dtype
    return np.dtype(np.float16 if x.dtype.itemsize == 1 else np.float32 if x.dtype.itemsize == 2 else np.float64)


def shifted(x: np.ndarray, axis: int) -> np.ndarray:
    """x minus its maximum along the axis, a new array."""
    if not x.ndim:
        raise ValueError("a scalar has no axis")  # NumPy takes axis 0 of one
    return x - x.max(axis=axis, keepdims=True) if x.size else x.copy()


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """e**x / sum(e**x) along ``axis``."""
    e = shifted(as_float(x), axis)
    np.exp(e, out=e)
    e /= e.sum(axis=axis, keepdims=True)
    return e.astype(result_type(np.asarray(x)), copy=False)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x - log(sum(e**x)) along ``axis``."""
    z = shifted(as_float(x), axis)
    z -= np.log(np.exp(z).sum(axis=axis, keepdims=True))
    return z.astype(result_type(np.asarray(x)), copy=False)


def softmax_grad(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """(g - sum(g * y)) * y along ``axis``, y the softmax."""
    made = g * y
    return made - made.sum(axis=axis, keepdims=True) * y


def log_softmax_grad(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """g - sum(g) * e**y along ``axis``, y the log-softmax."""
    return g - g.sum(axis=axis, keepdims=True) * np.exp(y)


@scalar
def sortable(x):
    """An int32 that orders as the float32 x does. Maxima of integers vectorise, those of floats do not.

    NaN sorts above or below all numbers by its sign; it stays in the row and makes the sum NaN either way.
    """
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@scalar
def unsortable(bits):
    """The float32 of a `sortable` int32."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@scalar
def log_share(x, top, log_total):
    """(x - top) - log_total in that order: kernels may reorder sums, and top + log_total loses the small part."""
    return (x - top) - log_total


@jit
def softmax_range(x, out, first, last):
    """Softmax of rows ``first`` to ``last`` of x (n, k), float32, k > 0, written to out."""
    k = x.shape[1]
    for i in range(first, last):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        for j in range(k):
            e = exp_f32(x[i, j] - top)
            out[i, j] = e
            total += e
        scale = np.float32(1.0) / total
        for j in range(k):
            out[i, j] *= scale


@jit(parallel=True)
def softmax_rows(x, out, parts):
    """``softmax_range`` on threads."""
    for p in prange(parts):
        first, last = share(x.shape[0], parts, p)
        softmax_range(x, out, first, last)


@jit
def log_softmax_range(x, out, first, last):
    """Log-softmax of rows ``first`` to ``last`` of x (n, k), float32, k > 0, written to out."""
    k = x.shape[1]
    for i in range(first, last):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        for j in range(k):
            total += exp_f32(x[i, j] - top)
        log_total = log_f32(total)
        for j in range(k):
            out[i, j] = log_share(x[i, j], top, log_total)


@jit(parallel=True)
def log_softmax_rows(x, out, parts):
    """``log_softmax_range`` on threads."""
    for p in prange(parts):
        first, last = share(x.shape[0], parts, p)
        log_softmax_range(x, out, first, last)


@jit
def back_range(g, y, out, logarithm, first, last):
    """Gradient of the softmax y (n, k), or of the log-softmax, of rows ``first`` to ``last``."""
    k = y.shape[1]
    for i in range(first, last):
        total = np.float32(0.0)
        if logarithm:
            for j in range(k):
                total += g[i, j]
            for j in range(k):
                out[i, j] = g[i, j] - total * exp_f32(y[i, j])
        else:
            for j in range(k):
                total += g[i, j] * y[i, j]
            for j in range(k):
                out[i, j] = (g[i, j] - total) * y[i, j]


@jit(parallel=True)
def back_rows(g, y, out, logarithm, parts):
    """``back_range`` on threads."""
    for p in prange(parts):
        first, last = share(y.shape[0], parts, p)
        back_range(g, y, out, logarithm, first, last)


def has_rows(out: Any, axis: int) -> bool:
    """True where the compiled rows apply: to a result along that axis."""
    return bool(
        config.numba and out.dtype == np.float32 and axis in (-1, out.ndim - 1) and out.size and out.flags.c_contiguous
    )


def rows_of(x: np.ndarray, cost: float) -> tuple[np.ndarray, int]:
    """x as a matrix of rows, and into how many parts to split it at that many nanoseconds an element."""
    rows = x.reshape(-1, x.shape[-1])
    return rows, parts(len(rows), cost * rows.shape[1])


def forward(out: np.ndarray, x: np.ndarray, axis: int, logarithm: bool, scratch: Any) -> Call | None:
    """The call that writes the softmax of x, or its logarithm; None where only NumPy can."""
    if not has_rows(out, axis):
        return None
    before: Copies = []
    made, count = rows_of(out, EXP)
    kernel = log_softmax_rows if logarithm else softmax_rows
    given = ordered(x, np.float32, scratch, before).reshape(made.shape)
    return chained(before, (pick(kernel, count), (given, made, count)), [])


def backward(out: np.ndarray, g: np.ndarray, y: np.ndarray, axis: int, logarithm: bool, scratch: Any) -> Call | None:
    """The call that writes the gradient of the softmax y, or of the log-softmax; None where only NumPy can."""
    if not has_rows(out, axis):
        return None
    before: Copies = []
    made, count = rows_of(out, EXP if logarithm else PLAIN)
    given = [ordered(a, np.float32, scratch, before).reshape(made.shape) for a in (g, y)]
    return chained(before, (pick(back_rows, count), (*given, made, logarithm, count)), [])
