"""Pooling: the maximum or the average of each window and channel, and their transposed maps.

Arrays are (n, *space, c) and (n, *out, c). The compiled loops take contiguous float32 and float64 in three axes of
space (fewer are axes of size 1), run over channels innermost and share rows of the result, or images, by threads; NumPy
takes the rest, one position in the window after the other. Windows hold real elements only: what lies in the border
counts nowhere, and no window lies wholly in it.

Where a maximum was is kept as its number in the window, counted row by row: one byte for windows of up to 256.
A transposed map over windows that touch without overlap writes each element once; otherwise it adds to zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.kernels.calls import Call
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.threads import parts, pick, share
from autotensor.kernels.window import Windows, compiled, deep, overlaps, triples

# Nanoseconds on one thread that an element of the larger array takes.
_COST = 0.12


def place_dtype(size: tuple[int, ...]) -> np.dtype:
    """The dtype of places in windows of that size."""
    return np.dtype(np.uint8 if math.prod(size) <= 256 else np.int32)


# -- compiled


@jit(cached=False)
def max_rows(x, out, places, size, strides, low, saved, first, last):
    """Maxima of the windows in rows ``first`` to ``last`` of the result, and their places if ``saved``; NaN wins."""
    one = out.shape[1] * out.shape[2]
    for row in range(first, last):
        i = row // one
        a, b = row % one // out.shape[2], row % one % out.shape[2]
        a0, b0 = a * strides[0] - low[0], b * strides[1] - low[1]
        p0, p1 = max(a0, 0), min(a0 + size[0], x.shape[1])
        q0, q1 = max(b0, 0), min(b0 + size[1], x.shape[2])
        square = p1 - p0 == 1 and q1 - q0 == 2 and size[1] == 2 and size[2] == 2
        for e in range(out.shape[3]):
            e0 = e * strides[2] - low[2]
            r0, r1 = max(e0, 0), min(e0 + size[2], x.shape[3])
            if square and r1 - r0 == 2:
                before = places.dtype.type((p0 - a0) * 4)
                for c in range(out.shape[4]):
                    best, place = x[i, p0, q0, r0, c], before
                    v = x[i, p0, q0, r0 + 1, c]
                    better = (v > best) | ((v != v) & (best == best))
                    best = v if better else best
                    place = places.dtype.type(before + 1) if better else place
                    v = x[i, p0, q0 + 1, r0, c]
                    better = (v > best) | ((v != v) & (best == best))
                    best = v if better else best
                    place = places.dtype.type(before + 2) if better else place
                    v = x[i, p0, q0 + 1, r0 + 1, c]
                    better = (v > best) | ((v != v) & (best == best))
                    out[i, a, b, e, c] = v if better else best
                    if saved:
                        places[i, a, b, e, c] = places.dtype.type(before + 3) if better else place
                continue
            begun = False
            for p in range(p0, p1):
                for q in range(q0, q1):
                    for r in range(r0, r1):
                        k = places.dtype.type(((p - a0) * size[1] + q - b0) * size[2] + r - e0)
                        if not begun:
                            begun = True
                            for c in range(out.shape[4]):
                                out[i, a, b, e, c] = x[i, p, q, r, c]
                            if saved:
                                for c in range(out.shape[4]):
                                    places[i, a, b, e, c] = k
                        elif saved:
                            for c in range(out.shape[4]):
                                v, best = x[i, p, q, r, c], out[i, a, b, e, c]
                                better = (v > best) | ((v != v) & (best == best))
                                out[i, a, b, e, c] = v if better else best
                                places[i, a, b, e, c] = k if better else places[i, a, b, e, c]
                        else:
                            for c in range(out.shape[4]):
                                v, best = x[i, p, q, r, c], out[i, a, b, e, c]
                                out[i, a, b, e, c] = v if (v > best) | (v != v) else best


@jit(parallel=True)
def max_windows(x, out, places, size, strides, low, saved, parts):
    """``max_rows`` on threads; without ``saved``, ``places`` is any array of its dtype and rank."""
    for p in prange(parts):
        first, last = share(out.shape[0] * out.shape[1] * out.shape[2], parts, p)
        max_rows(x, out, places, size, strides, low, saved, first, last)


@jit(cached=False)
def average_rows(x, out, size, strides, low, first, last):
    """Averages of the real elements of the windows in rows ``first`` to ``last`` of the result."""
    one = out.shape[1] * out.shape[2]
    for row in range(first, last):
        i = row // one
        a, b = row % one // out.shape[2], row % one % out.shape[2]
        a0, b0 = a * strides[0] - low[0], b * strides[1] - low[1]
        p0, p1 = max(a0, 0), min(a0 + size[0], x.shape[1])
        q0, q1 = max(b0, 0), min(b0 + size[1], x.shape[2])
        for e in range(out.shape[3]):
            e0 = e * strides[2] - low[2]
            r0, r1 = max(e0, 0), min(e0 + size[2], x.shape[3])
            weight = out.dtype.type(1 / ((p1 - p0) * (q1 - q0) * (r1 - r0)))
            if p1 - p0 == 1 and q1 - q0 == 2 and r1 - r0 == 2:
                for c in range(out.shape[4]):
                    above = x[i, p0, q0, r0, c] + x[i, p0, q0, r0 + 1, c]
                    below = x[i, p0, q0 + 1, r0, c] + x[i, p0, q0 + 1, r0 + 1, c]
                    out[i, a, b, e, c] = (above + below) * weight
                continue
            for c in range(out.shape[4]):
                out[i, a, b, e, c] = 0
            for p in range(p0, p1):
                for q in range(q0, q1):
                    for r in range(r0, r1):
                        for c in range(out.shape[4]):
                            out[i, a, b, e, c] += x[i, p, q, r, c]
            for c in range(out.shape[4]):
                out[i, a, b, e, c] *= weight


@jit(parallel=True)
def average_windows(x, out, size, strides, low, parts):
    """``average_rows`` on threads."""
    for p in prange(parts):
        first, last = share(out.shape[0] * out.shape[1] * out.shape[2], parts, p)
        average_rows(x, out, size, strides, low, first, last)


@jit(cached=False)
def tile_rows(g, places, out, size, by_place, first, last):
    """The transposed map over windows that lie side by side from the first element on: each element is written once.

    by_place: g goes to its place; otherwise it is divided among the window. What no window covers becomes zero.
    """
    one = g.shape[1] * g.shape[2]
    zero = out.dtype.type(0)
    weight = out.dtype.type(1 / (size[0] * size[1] * size[2]))
    for row in range(first, last):
        i = row // one
        a, b = row % one // g.shape[2], row % one % g.shape[2]
        a0, b0 = a * size[0], b * size[1]
        p1 = out.shape[1] if a == g.shape[1] - 1 else a0 + size[0]
        q1 = out.shape[2] if b == g.shape[2] - 1 else b0 + size[1]
        for p in range(a0, p1):
            for q in range(b0, q1):
                begun = 0
                if p - a0 < size[0] and q - b0 < size[1]:
                    begun = g.shape[3] * size[2]
                    k0 = ((p - a0) * size[1] + q - b0) * size[2]
                    for e in range(g.shape[3]):
                        for r in range(size[2]):
                            if by_place:
                                k = places.dtype.type(k0 + r)
                                for c in range(out.shape[4]):
                                    v = g[i, a, b, e, c]
                                    out[i, p, q, e * size[2] + r, c] = v if places[i, a, b, e, c] == k else zero
                            else:
                                for c in range(out.shape[4]):
                                    out[i, p, q, e * size[2] + r, c] = g[i, a, b, e, c] * weight
                for r in range(begun, out.shape[3]):
                    for c in range(out.shape[4]):
                        out[i, p, q, r, c] = zero


@jit(parallel=True)
def tile_windows(g, places, out, size, by_place, parts):
    """``tile_rows`` on threads."""
    for p in prange(parts):
        first, last = share(g.shape[0] * g.shape[1] * g.shape[2], parts, p)
        tile_rows(g, places, out, size, by_place, first, last)


@jit(cached=False)
def add_images(g, places, out, size, strides, low, by_place, first, last):
    """The transposed map over any windows, in images ``first`` to ``last``, see ``tile_rows``."""
    zero = out.dtype.type(0)
    for i in range(first, last):
        for p in range(out.shape[1]):
            for q in range(out.shape[2]):
                for r in range(out.shape[3]):
                    for c in range(out.shape[4]):
                        out[i, p, q, r, c] = zero
        for a in range(g.shape[1]):
            a0 = a * strides[0] - low[0]
            p0, p1 = max(a0, 0), min(a0 + size[0], out.shape[1])
            for b in range(g.shape[2]):
                b0 = b * strides[1] - low[1]
                q0, q1 = max(b0, 0), min(b0 + size[1], out.shape[2])
                for e in range(g.shape[3]):
                    e0 = e * strides[2] - low[2]
                    r0, r1 = max(e0, 0), min(e0 + size[2], out.shape[3])
                    weight = out.dtype.type(1 / ((p1 - p0) * (q1 - q0) * (r1 - r0)))
                    for p in range(p0, p1):
                        for q in range(q0, q1):
                            k0 = ((p - a0) * size[1] + q - b0) * size[2] - e0
                            for r in range(r0, r1):
                                if by_place:
                                    k = places.dtype.type(k0 + r)
                                    for c in range(out.shape[4]):
                                        v = g[i, a, b, e, c]
                                        out[i, p, q, r, c] += v if places[i, a, b, e, c] == k else zero
                                else:
                                    for c in range(out.shape[4]):
                                        out[i, p, q, r, c] += g[i, a, b, e, c] * weight


@jit(parallel=True)
def add_windows(g, places, out, size, strides, low, by_place, parts):
    """``add_images`` on threads."""
    for p in prange(parts):
        first, last = share(out.shape[0], parts, p)
        add_images(g, places, out, size, strides, low, by_place, first, last)


# -- calls: a function and its arguments, which write ``out``


def maximum(out: np.ndarray, places: np.ndarray | None, x: np.ndarray, w: Windows) -> Call:
    """out = the maximum of each window, places = where it is, the first of equal ones; None for no places.

    x and places are contiguous for the compiled loops.
    """
    if not _ready(out, x, places):
        return _maximum, (out, places, x, w)
    size, strides, low = _numbers(w)
    where = np.empty((1,) * 5, np.uint8) if places is None else deep(places)
    count = parts(*_rows(out, x.size / out.size))
    return pick(max_windows, count), (deep(x), deep(out), where, size, strides, low, places is not None, count)


def scatter(out: np.ndarray, g: np.ndarray, places: np.ndarray, w: Windows) -> Call:
    """out = each element of g at its place in its window, the sum where several meet, and zeros elsewhere."""
    if not _ready(out, g, places):
        return _scatter, (out, g, places, w)
    return _transposed(out, g, deep(places), w, True)


def average(out: np.ndarray, x: np.ndarray, w: Windows) -> Call:
    """out = the average of the real elements of each window."""
    if not _ready(out, x):
        return _average, (out, x, w)
    count = parts(*_rows(out, x.size / out.size))
    return pick(average_windows, count), (deep(x), deep(out), *_numbers(w), count)


def spread(out: np.ndarray, g: np.ndarray, w: Windows) -> Call:
    """out = the transposed map of ``average``: each element of g divided among its window."""
    if not _ready(out, g):
        return _spread, (out, g, w)
    return _transposed(out, g, np.empty((1,) * 5, np.uint8), w, False)


def _ready(out: np.ndarray, x: np.ndarray, places: np.ndarray | None = None) -> bool:
    return compiled(out, x) and x.flags.c_contiguous and (places is None or places.flags.c_contiguous)


def _transposed(out: np.ndarray, g: np.ndarray, places: np.ndarray, w: Windows, by_place: bool) -> Call:
    size, strides, low = _numbers(w)
    if size == strides and not any(low) and not any(w.high):
        count = parts(*_rows(g, out.size / g.size))
        return pick(tile_windows, count), (deep(g), places, deep(out), size, by_place, count)
    count = parts(len(out), _COST * g.size * math.prod(size) / len(out))
    return pick(add_windows, count), (deep(g), places, deep(out), size, strides, low, by_place, count)


def _rows(x: np.ndarray, more: float) -> tuple[int, float]:
    """Rows of an array in three axes of space, and what one of them costs with ``more`` elements for each."""
    shape = deep(x).shape
    return math.prod(shape[:3]), _COST * more * shape[3] * shape[4]


def _numbers(w: Windows) -> tuple[tuple[int, ...], ...]:
    size, strides, _, low = triples(w)
    return size, strides, low


# -- NumPy


def _maximum(out: np.ndarray, places: np.ndarray | None, x: np.ndarray, w: Windows) -> None:
    if places is None:
        out[...] = _lowest(x.dtype)
        for _, there, here in overlaps(w):
            np.maximum(out[here], x[there], out=out[here])
        return
    seen = np.zeros((1, *w.out, 1), bool)
    for at, there, here in overlaps(w):
        v, top = x[there], out[here]
        better = (v > top) | ((v != v) & (top == top)) | ~seen[here]
        np.copyto(top, v, where=better)
        np.copyto(places[here], np.ravel_multi_index(at, w.size), where=better, casting="unsafe")
        seen[here] = True


def positions(places: np.ndarray, w: Windows) -> np.ndarray:
    """Flat positions in space for places in windows, (n, *out, c)."""
    found = np.zeros(places.shape, np.intp)
    inside = np.unravel_index(places, w.size)
    for k, (n, m, s, low) in enumerate(zip(w.space, w.out, w.strides, w.low)):
        start = (np.arange(m) * s - low).reshape([-1 if j == k + 1 else 1 for j in range(places.ndim)])
        found = found * n + start + inside[k]
    return found


def _scatter(out: np.ndarray, g: np.ndarray, places: np.ndarray, w: Windows) -> None:
    flat, where = _flat(g), _flat(positions(places, w))
    made = np.zeros((len(out), math.prod(w.space), out.shape[-1]), out.dtype)
    n, _, c = flat.shape
    np.add.at(made, (np.arange(n)[:, None, None], where, np.arange(c)), flat)
    out[...] = made.reshape(out.shape)


def take(out: np.ndarray, x: np.ndarray, places: np.ndarray, w: Windows) -> None:
    """out (n, *out, c) = the elements of x (n, *space, c) at their places: the transposed map of ``scatter``."""
    if out.size:
        out[...] = np.take_along_axis(_flat(x), _flat(positions(places, w)), axis=1).reshape(out.shape)


def _average(out: np.ndarray, x: np.ndarray, w: Windows) -> None:
    out[...] = 0
    for _, there, here in overlaps(w):
        out[here] += x[there]
    out /= _counts(w)


def _spread(out: np.ndarray, g: np.ndarray, w: Windows) -> None:
    out[...] = 0
    shares = g / _counts(w).astype(g.dtype)
    for _, there, here in overlaps(w):
        out[there] += shares[here]


def _counts(w: Windows) -> np.ndarray:
    """Number of real elements of each window, (1, *out, 1)."""
    counts = np.zeros((1, *w.out, 1))
    for _, _, here in overlaps(w):
        counts[here] += 1
    return counts


def _flat(x: np.ndarray) -> np.ndarray:
    """(n, *space, c) as (n, positions, c)."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])


def _lowest(dtype: np.dtype) -> Any:
    if dtype.kind == "f":
        return dtype.type(-np.inf)
    return np.False_ if dtype.kind == "b" else dtype.type(np.iinfo(dtype).min)
