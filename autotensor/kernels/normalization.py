"""Mean and variance of features, normalisation by them, and its gradient.

Arrays are (a, c, b): c features, b = 1 where they are the last axis. Mean and variance take one pass over memory: of a
block that stays in the cache the mean first, then the squared distances from it, and blocks are combined in float64 by
T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979). So
they are exact to the last digits also where the mean is large beside the deviation.

Threads share the a rows where b = 1, and the features otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels.calls import Call
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.sums import add_reduce
from autotensor.kernels.threads import parts, pick, share

# Elements of a block: 32 KB of float32.
_BLOCK = 1 << 13
# Nanoseconds on one thread for an element of a statistic, or of what is written.
_COST = 0.3

Scratch = Any


# -- moments


@jit
def moments_of_rows(x, first, last, work, mean, spread):
    """mean (c,) and spread (c,), the sum of squared distances from it, of rows of x (n, c); work (3, c) is scratch."""
    low, high, off = work[0], work[1], work[2]
    c = x.shape[1]
    for j in range(c):
        mean[j] = 0.0
        spread[j] = 0.0
    block = max(1, _BLOCK // c)
    for start in range(first, last, block):
        stop = min(start + block, last)
        for j in range(c):
            low[j] = 0
            high[j] = 0
            off[j] = 0
        for i in range(start, stop):
            for j in range(c):
                low[j] += x[i, j]
        weight = x.dtype.type(1 / (stop - start))
        for j in range(c):
            low[j] *= weight
        for i in range(start, stop):
            for j in range(c):
                d = x[i, j] - low[j]
                high[j] += d * d
                off[j] += d
        count = stop - start
        part = count / (stop - first)
        for j in range(c):
            # The block's mean, rounded to float32, is off by the mean of the distances from it.
            more = np.float64(off[j]) / count
            d = low[j] + more - mean[j]
            mean[j] += d * part
            spread[j] += high[j] - more * more * count + d * d * part * (start - first)


@jit
def moments_of_planes(x, first, last, mean, var):
    """mean (c,) and var (c,) of features ``first`` to ``last`` of x (a, c, b)."""
    a, b = x.shape[0], x.shape[2]
    for j in range(first, last):
        middle = 0.0
        spread = 0.0
        seen = 0
        for i in range(a):
            for start in range(0, b, _BLOCK):
                stop = min(start + _BLOCK, b)
                total = x.dtype.type(0)
                for k in range(start, stop):
                    total += x[i, j, k]
                count = stop - start
                near = x.dtype.type(total / count)
                square = x.dtype.type(0)
                off = x.dtype.type(0)
                for k in range(start, stop):
                    e = x[i, j, k] - near
                    square += e * e
                    off += e
                more = np.float64(off) / count
                d = np.float64(near) + more - middle
                middle += d * count / (seen + count)
                spread += square - more * more * count + d * d * count * seen / (seen + count)
                seen += count
        mean[j] = middle
        var[j] = 0.0 if spread < 0 else spread / seen


@jit(parallel=True)
def moments_loop(x, mean, var, work, wide, parts):
    """Mean and variance (c,) of x (a, c, b); work (parts, 3, c) and wide (parts, 2, c), float64, are scratch."""
    a, c, b = x.shape
    if b == 1:
        rows = x.reshape(a, c * b)
        for p in prange(parts):
            first, last = share(a, parts, p)
            moments_of_rows(rows, first, last, work[p], wide[p, 0], wide[p, 1])
        for p in range(1, parts):
            first, last = share(a, parts, p)
            part = (last - first) / last
            for j in range(c):
                d = wide[p, 0, j] - wide[0, 0, j]
                wide[0, 0, j] += d * part
                wide[0, 1, j] += wide[p, 1, j] + d * d * part * first
        for j in range(c):
            mean[j] = wide[0, 0, j]
            spread = wide[0, 1, j]
            var[j] = 0.0 if spread < 0 else spread / a  # rounded below 0 where all are equal; NaN stays
    else:
        for p in prange(parts):
            first, last = share(c, parts, p)
            moments_of_planes(x, first, last, mean, var)


# -- normalisation


@jit
def apply_rows(x, mean, scale, beta, out, first, last):
    """out = (x - mean) * scale + beta for rows of x (n, c)."""
    for i in range(first, last):
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean[j]) * scale[j] + beta[j]


@jit
def apply_planes(x, mean, scale, beta, out, first, last):
    """``apply_rows`` for features of x (a, c, b)."""
    for i in range(x.shape[0]):
        for j in range(first, last):
            m, s, t = mean[j], scale[j], beta[j]
            for k in range(x.shape[2]):
                out[i, j, k] = (x[i, j, k] - m) * s + t


@jit(parallel=True)
def apply_loop(x, mean, var, gamma, beta, epsilon, out, scale, parts):
    """out = gamma * (x - mean) / sqrt(var + epsilon) + beta for x (a, c, b); scale (c,) is scratch."""
    a, c, b = x.shape
    for j in range(c):
        scale[j] = gamma[j] / np.sqrt(var[j] + epsilon)
    if b == 1:
        rows, made = x.reshape(a, c * b), out.reshape(a, c * b)
        for p in prange(parts):
            first, last = share(a, parts, p)
            apply_rows(rows, mean, scale, beta, made, first, last)
    else:
        for p in prange(parts):
            first, last = share(c, parts, p)
            apply_planes(x, mean, scale, beta, out, first, last)


# -- its gradient


@jit
def sums_of_rows(g, x, mean, first, last, work, wide):
    """Sums of g and of g * (x - mean) over rows of (n, c), wide (2, c); work (2, c) is scratch."""
    low, high = work[0], work[1]
    c = x.shape[1]
    for j in range(c):
        wide[0, j] = 0.0
        wide[1, j] = 0.0
    block = max(1, _BLOCK // c)
    for start in range(first, last, block):
        for j in range(c):
            low[j] = 0
            high[j] = 0
        for i in range(start, min(start + block, last)):
            for j in range(c):
                low[j] += g[i, j]
                high[j] += g[i, j] * (x[i, j] - mean[j])
        for j in range(c):
            wide[0, j] += low[j]
            wide[1, j] += high[j]


@jit
def sums_of_planes(g, x, mean, first, last, wide):
    """``sums_of_rows`` for features of (a, c, b)."""
    for j in range(first, last):
        m = mean[j]
        total = 0.0
        product = 0.0
        for i in range(x.shape[0]):
            low = x.dtype.type(0)
            high = x.dtype.type(0)
            for k in range(x.shape[2]):
                low += g[i, j, k]
                high += g[i, j, k] * (x[i, j, k] - m)
            total += low
            product += high
        wide[0, j] = total
        wide[1, j] = product


@jit
def back_rows(g, x, mean, scale, low, high, out, first, last):
    """out = scale * (g - low - (x - mean) * high) for rows of (n, c)."""
    for i in range(first, last):
        for j in range(x.shape[1]):
            out[i, j] = scale[j] * (g[i, j] - low[j] - (x[i, j] - mean[j]) * high[j])


@jit
def back_planes(g, x, mean, scale, low, high, out, first, last):
    """``back_rows`` for features of (a, c, b)."""
    for i in range(x.shape[0]):
        for j in range(first, last):
            m, s, t, u = mean[j], scale[j], low[j], high[j]
            for k in range(x.shape[2]):
                out[i, j, k] = s * (g[i, j, k] - t - (x[i, j, k] - m) * u)


@jit(parallel=True)
def back_loop(g, x, gamma, mean, var, epsilon, gx, ggamma, gbeta, work, wide, parts):
    """Gradients of `apply_loop` by x, gamma and beta, mean and variance being those of x.

    With r = 1 / sqrt(var + epsilon), n numbers in a feature and y = (x - mean) * r: gbeta = sum(g), ggamma = sum(g y),
    gx = gamma r (g - gbeta / n - y ggamma / n). work (parts, 3, c) and wide (parts, 2, c), float64, are scratch.
    """
    a, c, b = x.shape
    given, rows, made = g.reshape(a, c * b), x.reshape(a, c * b), gx.reshape(a, c * b)
    if b == 1:
        for p in prange(parts):
            first, last = share(a, parts, p)
            sums_of_rows(given, rows, mean, first, last, work[p], wide[p])
        for p in range(1, parts):
            for j in range(c):
                wide[0, 0, j] += wide[p, 0, j]
                wide[0, 1, j] += wide[p, 1, j]
    else:
        for p in prange(parts):
            first, last = share(c, parts, p)
            sums_of_planes(g, x, mean, first, last, wide[0])
    scale, low, high = work[0, 0], work[0, 1], work[0, 2]
    for j in range(c):
        r = 1 / np.sqrt(var[j] + epsilon)
        gbeta[j] = wide[0, 0, j]
        ggamma[j] = wide[0, 1, j] * r
        scale[j] = gamma[j] * r
        low[j] = wide[0, 0, j] / (a * b)
        high[j] = wide[0, 1, j] * r * r / (a * b)
    if b == 1:
        for p in prange(parts):
            first, last = share(a, parts, p)
            back_rows(given, rows, mean, scale, low, high, made, first, last)
    else:
        for p in prange(parts):
            first, last = share(c, parts, p)
            back_planes(g, x, mean, scale, low, high, gx, first, last)


# -- calls: a function and its arguments


def ready(*arrays: np.ndarray) -> bool:
    """True where the compiled loops apply: contiguous floats of one dtype, not empty."""
    dtype = arrays[0].dtype
    return config.numba and dtype.char in "fd" and all([a.dtype == dtype and a.size > 0 for a in arrays])


def _parts(x: np.ndarray) -> int:
    a, c, b = x.shape
    return parts(a if b == 1 else c, _COST * x.size / (a if b == 1 else c))


def moments(mean: np.ndarray, var: np.ndarray, x: np.ndarray, scratch: Scratch) -> Call:
    """mean and var (c,) = those of each feature of x (a, c, b)."""
    if not ready(x):
        return _moments, (mean, var, x)
    count, c = _parts(x), x.shape[1]
    work, wide = scratch((count, 3, c), x.dtype), scratch((count, 2, c), np.float64)
    return pick(moments_loop, count), (x, mean, var, work, wide, count)


def normalize(
    out: np.ndarray, mean: np.ndarray, var: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
    epsilon: float, scratch: Scratch,
) -> Call:  # fmt: skip
    """out = gamma * (x - mean) / sqrt(var + epsilon) + beta, by mean and variance of x, which are written too."""
    first, given = moments(mean, var, x, scratch)
    if not ready(x, gamma, beta):
        second: Call = _normalize, (out, mean, var, x, gamma, beta, epsilon)
    else:
        count, c = _parts(x), x.shape[1]
        scale = scratch((c,), x.dtype)
        second = pick(apply_loop, count), (x, mean, var, gamma, beta, epsilon, out, scale, count)

    def run(*arguments: Any) -> None:
        first(*given)
        second[0](*arguments)

    return run, second[1]


def gradients(
    gx: np.ndarray, ggamma: np.ndarray, gbeta: np.ndarray, g: np.ndarray, x: np.ndarray, gamma: np.ndarray,
    mean: np.ndarray, var: np.ndarray, epsilon: float, scratch: Scratch,
) -> Call:  # fmt: skip
    """Gradients of `normalize` by x, gamma and beta."""
    if not ready(x, g, gamma):
        return _gradients, (gx, ggamma, gbeta, g, x, gamma, mean, var, epsilon)
    count, c = _parts(x), x.shape[1]
    work, wide = scratch((count, 3, c), x.dtype), scratch((count, 2, c), np.float64)
    known = (gamma, mean, var, epsilon)
    return pick(back_loop, count), (g, x, *known, gx, ggamma, gbeta, work, wide, count)


# -- NumPy


def _moments(mean: np.ndarray, var: np.ndarray, x: np.ndarray) -> None:
    with np.errstate(all="ignore"):  # of nothing both are NaN, without a warning
        n = np.float64(x.shape[0] * x.shape[2])
        mean[...] = add_reduce(x, (0, 2)) / n
        var[...] = add_reduce(np.square(x - mean[:, None]), (0, 2)) / n


def _normalize(
    out: np.ndarray, mean: np.ndarray, var: np.ndarray, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray,
    epsilon: float,
) -> None:  # fmt: skip
    scale = gamma / np.sqrt(var + var.dtype.type(epsilon))
    out[...] = (x - mean[:, None]) * scale[:, None] + beta[:, None]


def _gradients(
    gx: np.ndarray, ggamma: np.ndarray, gbeta: np.ndarray, g: np.ndarray, x: np.ndarray, gamma: np.ndarray,
    mean: np.ndarray, var: np.ndarray, epsilon: float,
) -> None:  # fmt: skip
    n = max(1, x.shape[0] * x.shape[2])
    r = 1 / np.sqrt(var + var.dtype.type(epsilon))
    y = (x - mean[:, None]) * r[:, None]
    gbeta[...] = add_reduce(g, (0, 2))
    ggamma[...] = add_reduce(g * y, (0, 2))
    gx[...] = (gamma * r)[:, None] * (g - (gbeta / n)[:, None] - y * (ggamma / n)[:, None])
