"""Pooling: the maximum or the average of each window and channel, and their transposed maps.

Arrays are (n, *space, c) and (n, *out, c). The Numba loops take contiguous float32 and float64 in three axes of space
(fewer are axes of size 1) and run over channels innermost; NumPy takes the rest, one position in the window after the
other. Windows hold real elements only: what lies in the border counts nowhere, and no window lies wholly in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.kernels.jit import jit
from autotensor.kernels.window import Windows, compiled, deep, overlaps, triples


@jit
def max_loop(x, out, size, strides, low):
    """Maxima of windows; NaN wins."""
    for i in range(out.shape[0]):
        for a in range(out.shape[1]):
            a0 = a * strides[0] - low[0]
            for b in range(out.shape[2]):
                b0 = b * strides[1] - low[1]
                for e in range(out.shape[3]):
                    e0 = e * strides[2] - low[2]
                    first = True
                    for p in range(max(a0, 0), min(a0 + size[0], x.shape[1])):
                        for q in range(max(b0, 0), min(b0 + size[1], x.shape[2])):
                            for r in range(max(e0, 0), min(e0 + size[2], x.shape[3])):
                                if first:
                                    first = False
                                    for c in range(out.shape[4]):
                                        out[i, a, b, e, c] = x[i, p, q, r, c]
                                else:
                                    for c in range(out.shape[4]):
                                        v = x[i, p, q, r, c]
                                        best = out[i, a, b, e, c]
                                        out[i, a, b, e, c] = v if (v > best) | (v != v) else best


@jit
def max_place_loop(x, best, places, size, strides, low):
    """Flat position in space of the first maximum of each window; ``best`` is a row of c elements to work in."""
    for i in range(places.shape[0]):
        for a in range(places.shape[1]):
            a0 = a * strides[0] - low[0]
            for b in range(places.shape[2]):
                b0 = b * strides[1] - low[1]
                for e in range(places.shape[3]):
                    e0 = e * strides[2] - low[2]
                    first = True
                    for p in range(max(a0, 0), min(a0 + size[0], x.shape[1])):
                        for q in range(max(b0, 0), min(b0 + size[1], x.shape[2])):
                            for r in range(max(e0, 0), min(e0 + size[2], x.shape[3])):
                                place = np.int32((p * x.shape[2] + q) * x.shape[3] + r)
                                if first:
                                    first = False
                                    for c in range(places.shape[4]):
                                        best[c] = x[i, p, q, r, c]
                                        places[i, a, b, e, c] = place
                                else:
                                    for c in range(places.shape[4]):
                                        v = x[i, p, q, r, c]
                                        top = best[c]
                                        better = (v > top) | ((v != v) & (top == top))
                                        best[c] = v if better else top
                                        places[i, a, b, e, c] = place if better else places[i, a, b, e, c]


@jit
def scatter_loop(g, places, out):
    """out[i, places[i, j, c], c] += g[i, j, c] into zeros."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[i, j, c] = 0
        for j in range(g.shape[1]):
            for c in range(g.shape[2]):
                out[i, places[i, j, c], c] += g[i, j, c]


@jit
def average_loop(x, out, size, strides, low):
    """Averages of windows over their real elements."""
    for i in range(out.shape[0]):
        for a in range(out.shape[1]):
            a0 = a * strides[0] - low[0]
            for b in range(out.shape[2]):
                b0 = b * strides[1] - low[1]
                for e in range(out.shape[3]):
                    e0 = e * strides[2] - low[2]
                    for c in range(out.shape[4]):
                        out[i, a, b, e, c] = 0
                    count = 0
                    for p in range(max(a0, 0), min(a0 + size[0], x.shape[1])):
                        for q in range(max(b0, 0), min(b0 + size[1], x.shape[2])):
                            for r in range(max(e0, 0), min(e0 + size[2], x.shape[3])):
                                count += 1
                                for c in range(out.shape[4]):
                                    out[i, a, b, e, c] += x[i, p, q, r, c]
                    for c in range(out.shape[4]):
                        out[i, a, b, e, c] /= count


@jit
def spread_loop(g, out, size, strides, low):
    """The transposed map of ``average_loop``, into zeros."""
    for i in range(g.shape[0]):
        for a in range(g.shape[1]):
            a0 = a * strides[0] - low[0]
            for b in range(g.shape[2]):
                b0 = b * strides[1] - low[1]
                for e in range(g.shape[3]):
                    e0 = e * strides[2] - low[2]
                    count = min(a0 + size[0], out.shape[1]) - max(a0, 0)
                    count *= min(b0 + size[1], out.shape[2]) - max(b0, 0)
                    count *= min(e0 + size[2], out.shape[3]) - max(e0, 0)
                    for p in range(max(a0, 0), min(a0 + size[0], out.shape[1])):
                        for q in range(max(b0, 0), min(b0 + size[1], out.shape[2])):
                            for r in range(max(e0, 0), min(e0 + size[2], out.shape[3])):
                                for c in range(g.shape[4]):
                                    out[i, p, q, r, c] += g[i, a, b, e, c] / count


def maximum(out: np.ndarray, x: np.ndarray, w: Windows) -> None:
    """out = the maximum of each window."""
    if compiled(out, x):
        max_loop(deep(x), deep(out), *_numbers(w))
        return
    out[...] = _lowest(x.dtype)
    for _, there, here in overlaps(w):
        np.maximum(out[here], x[there], out=out[here])


def max_places(x: np.ndarray, w: Windows) -> np.ndarray:
    """Flat position in space (n, *out, c) of the maximum of each window, the first of equal ones."""
    places = np.zeros((x.shape[0], *w.out, x.shape[-1]), np.int32)
    if not places.size:
        return places
    if compiled(x):
        max_place_loop(deep(x), np.empty(x.shape[-1], x.dtype), deep(places), *_numbers(w))
        return places
    best = np.full(places.shape, _lowest(x.dtype))
    seen = np.zeros((1, *w.out, 1), bool)
    flat = np.arange(int(np.prod(w.space)), dtype=np.int32).reshape(1, *w.space, 1)
    for _, there, here in overlaps(w):
        v, top = x[there], best[here]
        better = (v > top) | ~seen[here] | ((v != v) & (top == top))
        np.copyto(top, v, where=better)
        np.copyto(places[here], flat[there], where=better)
        seen[here] = True
    return places


def scatter(out: np.ndarray, g: np.ndarray, places: np.ndarray) -> None:
    """out (n, *space, c) = zeros, and each element of g (n, *out, c) added at its place."""
    flat, wide, where = _rows(g), _rows(out), _rows(places)
    if g.dtype == out.dtype and compiled(out, g):
        scatter_loop(flat, where, wide)
        return
    out[...] = 0
    n, _, c = flat.shape
    np.add.at(wide, (np.arange(n)[:, None, None], where, np.arange(c)), flat)


def pick(out: np.ndarray, x: np.ndarray, places: np.ndarray) -> None:
    """out (n, *out, c) = the elements of x (n, *space, c) at their places."""
    if out.size:
        _rows(out)[...] = np.take_along_axis(_rows(x), _rows(places).astype(np.intp), axis=1)


def average(out: np.ndarray, x: np.ndarray, w: Windows) -> None:
    """out = the average of the real elements of each window."""
    if compiled(out, x):
        average_loop(deep(x), deep(out), *_numbers(w))
        return
    out[...] = 0
    for _, there, here in overlaps(w):
        out[here] += x[there]
    out /= _counts(w)


def spread(out: np.ndarray, g: np.ndarray, w: Windows) -> None:
    """out = the transposed map of ``average``: each element of g divided among its window."""
    out[...] = 0
    if compiled(out, g):
        spread_loop(deep(g), deep(out), *_numbers(w))
        return
    shares = g / _counts(w).astype(g.dtype)
    for _, there, here in overlaps(w):
        out[there] += shares[here]


def _counts(w: Windows) -> np.ndarray:
    """Number of real elements of each window, (1, *out, 1)."""
    counts = np.zeros((1, *w.out, 1))
    for _, _, here in overlaps(w):
        counts[here] += 1
    return counts


def _numbers(w: Windows) -> tuple[tuple[int, ...], ...]:
    size, strides, _, low = triples(w)
    return size, strides, low


def _rows(x: np.ndarray) -> np.ndarray:
    """(n, *space, c) as (n, positions, c)."""
    return x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), x.shape[-1])


def _lowest(dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        return dtype.type(-np.inf)
    return np.False_ if dtype.kind == "b" else dtype.type(np.iinfo(dtype).min)
