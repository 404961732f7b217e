"""Convolution as products of matrices inside parallel kernels: windows are copied tile by tile and multiplied by BLAS.

A tile holds the windows of some places of the result as rows, `TILE_BYTES` of them, so that it is written and read
again while it lies in the cache. Each part of the work has a tile of its own; more windows are never in memory.

Arrays are C-contiguous, float32 or float64 of one dtype: images (n, *space, c_in) and (n, *out, c_out), kernels
(*size, c_in, c_out), with one, two or three axes of space. What kernels see of them are flat arrays, or matrices with
one row a place, and the numbers of `numbers_of`.

Functions return calls that are bound to their arrays, as `Op.bind` wants them: see there for ``scratch``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.kernels.blas import gemm, hold, release
from autotensor.kernels.calls import Call
from autotensor.kernels.jit import copy_block, jit, prange
from autotensor.kernels.threads import parts, pick, share
from autotensor.kernels.window import Windows, triples

Scratch = Callable[..., np.ndarray]

TILE_BYTES = 128 << 10
"""Size of a tile of windows: with the kernel and BLAS's own copies it fits into the second cache of a core."""

TILE_PRODUCTS = 1_000_000
"""Multiplications of a tile up to which OpenBLAS takes its way for small matrices, which copies nothing."""

_FLOPS = 80.0
"""Operations a nanosecond that a thread is supposed to do, for deciding whether to share work."""

# Rows of `numbers_of`.
_SPACE, _OUT, _SIZE, _STRIDES, _DILATION, _LOW, _MORE = range(7)


def numbers_of(w: Windows, c: int) -> np.ndarray:
    """Windows and the channels of what they slide over as numbers for kernels; three axes of space, one row each.

    The last row: the channels, whether windows are single positions, and whether they are gathered across.
    """
    size, strides, dilation, low = triples(w)
    lead = (1,) * (3 - len(w.size))
    return np.array(
        [lead + w.space, lead + w.out, size, strides, dilation, low, (c, w.points, _across(w, c))], np.int64
    )


def _across(w: Windows, c: int) -> bool:
    return c * w.size[-1] <= 16 and not w.points and 8 <= w.out[-1] <= 2048


# -- windows


@jit(inline=True)
def clear(taken, there, count):
    """Set ``count`` elements to 0."""
    target = np.uint64(there)
    for i in range(np.uint64(max(count, 0))):
        taken[target + i] = 0


@jit(inline=True)
def copy_run(x, here, taken, there, count):
    """Copy ``count`` elements."""
    source, target = np.uint64(here), np.uint64(there)
    for i in range(np.uint64(max(count, 0))):
        taken[target + i] = x[source + i]


@jit(inline=True)
def add_run(taken, there, out, here, count):
    """Add ``count`` elements. Unsigned indices, which need no test for being negative."""
    source, target = np.uint64(there), np.uint64(here)
    for i in range(np.uint64(max(count, 0))):
        out[target + i] += taken[source + i]


@jit(cached=False)
def gather(x, taken, first, last, numbers):
    """Copy windows ``first`` to ``last`` of x, both flat, into ``taken``, which has 16 elements to spare at its end."""
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    stride, gap, low = numbers[_STRIDES, 2], numbers[_DILATION, 2], numbers[_LOW, 2]
    # Neighbours in memory are copied as one run: all columns of a window, or one of them if they lie apart.
    joined = gap == 1
    run = kw * c if joined else c
    runs = 1 if joined else kw
    starts = np.empty(kd * kh, np.int64)
    there = 0
    at = first
    while at < last:
        e = at % columns
        line = at // columns
        b = line % rows
        a = (line // rows) % planes
        image = line // (rows * planes)
        for p in range(kd):
            z = a * numbers[_STRIDES, 0] + p * numbers[_DILATION, 0] - numbers[_LOW, 0]
            for q in range(kh):
                y = b * numbers[_STRIDES, 1] + q * numbers[_DILATION, 1] - numbers[_LOW, 1]
                inside = 0 <= z < depth and 0 <= y < height
                starts[p * kh + q] = ((image * depth + z) * height + y) * width * c if inside else -1
        stop = min(columns, e + last - at)
        at += stop - e
        for column in range(e, stop):
            u = column * stride - low
            # Of a joined run, what lies before the image, and where what lies in it ends.
            before = min(max(0, -u), kw) * c if joined else 0
            after = min(max(0, width - u), kw) * c if joined else c
            for t in range(kd * kh):
                start = starts[t]
                for r in range(runs):
                    v = u + r * gap
                    here = start + v * c
                    known = start >= 0 and (joined or 0 <= v < width)
                    if known and before == 0 and after == run and here + run + 16 <= x.size:
                        # Blocks of a fixed size; what the last one writes too much is overwritten by the next run.
                        for k in range(0, run, 16):
                            copy_block(taken, there + k, x, here + k)
                    elif known:
                        clear(taken, there, before)
                        copy_run(x, here + before, taken, there + before, after - before)
                        clear(taken, there + after, run - after)
                    else:
                        clear(taken, there, run)
                    there += run


@jit(cached=False)
def scatter(taken, out, first, last, numbers):
    """Add windows ``first`` to ``last``, the rows of ``taken``, to the places in ``out`` that ``gather`` reads."""
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    stride, gap, low = numbers[_STRIDES, 2], numbers[_DILATION, 2], numbers[_LOW, 2]
    joined = gap == 1
    there = 0
    for at in range(first, last):
        u = (at % columns) * stride - low
        line = at // columns
        b = line % rows
        a = (line // rows) % planes
        image = line // (rows * planes)
        # The part of a joined run that lies inside.
        before = min(max(0, -u), kw)
        after = max(before, min(kw, width - u))
        for p in range(kd):
            z = a * numbers[_STRIDES, 0] + p * numbers[_DILATION, 0] - numbers[_LOW, 0]
            for q in range(kh):
                y = b * numbers[_STRIDES, 1] + q * numbers[_DILATION, 1] - numbers[_LOW, 1]
                if 0 <= z < depth and 0 <= y < height:
                    start = ((image * depth + z) * height + y) * width * c
                    if joined:
                        add_run(taken, there + before * c, out, start + (u + before) * c, (after - before) * c)
                    else:
                        for r in range(kw):
                            v = u + r * gap
                            if 0 <= v < width:
                                add_run(taken, there + r * c, out, start + v * c, c)
                there += kw * c


@jit(cached=False)
def share_rows(n, parts, p, numbers):
    """First and last of the places that part p has: whole rows of them where `gather_across` works."""
    unit = numbers[_OUT, 2] if numbers[_MORE, 2] else 1
    first, last = share(n // unit, parts, p)
    return first * unit, last * unit


@jit(cached=False)
def windows_of(x, taken, first, last, k, numbers):
    """Windows ``first`` to ``last`` as the rows of a matrix: in ``taken``, or in x itself when each is one position."""
    if numbers[_MORE, 1]:
        return x[first * k : last * k].reshape(last - first, k)
    gather(x, taken, first, last, numbers)
    return taken[: (last - first) * k].reshape(last - first, k)


# With few channels, rows of windows are short runs of memory that cost more than their elements. Then the matrix is
# made the other way round: a row for each position and channel of a window, along the columns of the result.


@jit(cached=False)
def _planes(x, start, line, numbers):
    """line (channels, width and borders) = the channels of the row of x that begins at ``start``."""
    c = np.uint64(numbers[_MORE, 0])
    low = np.uint64(numbers[_LOW, 2])
    size = np.uint64(max(0, min(numbers[_SPACE, 2], line.shape[1] - numbers[_LOW, 2])))
    source = np.uint64(start)
    for i in range(c):
        for j in range(size):
            line[i, low + j] = x[source + j * c + i]


@jit(cached=False)
def _spread(line, since, row, at, count, stride):
    """count elements of a line, ``stride`` apart, to neighbours in a row."""
    source, target = np.uint64(since), np.uint64(at)
    if stride == 1:
        for i in range(np.uint64(count)):
            row[target + i] = line[source + i]
    else:
        step = np.uint64(stride)
        for i in range(np.uint64(count)):
            row[target + i] = line[source + step * i]


@jit(cached=False)
def gather_across(x, taken, line, first, last, numbers):
    """Windows of the rows ``first`` to ``last`` of the result as the columns of ``taken`` (elements of a window, .)."""
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    for number in range(first, last):
        b = number % rows
        a = (number // rows) % planes
        image = number // (rows * planes)
        at = (number - first) * columns
        k = 0
        for p in range(kd):
            z = a * numbers[_STRIDES, 0] + p * numbers[_DILATION, 0] - numbers[_LOW, 0]
            for q in range(kh):
                y = b * numbers[_STRIDES, 1] + q * numbers[_DILATION, 1] - numbers[_LOW, 1]
                if 0 <= z < depth and 0 <= y < height:
                    _planes(x, ((image * depth + z) * height + y) * width * c, line, numbers)
                    for r in range(kw):
                        for i in range(c):
                            _spread(line[i], r * numbers[_DILATION, 2], taken[k], at, columns, numbers[_STRIDES, 2])
                            k += 1
                else:
                    for _ in range(kw * c):
                        taken[k, at : at + columns] = 0
                        k += 1


@jit(cached=False)
def _line(x, numbers):
    """Memory for `_planes`, its borders 0."""
    columns, kw = numbers[_OUT, 2], numbers[_SIZE, 2]
    wide = (columns - 1) * numbers[_STRIDES, 2] + (kw - 1) * numbers[_DILATION, 2] + 1
    return np.zeros((numbers[_MORE, 0], wide), x.dtype)


# -- forward


@jit(cached=False)
def finish(rows, bias, relu):
    """Add the bias, which may be empty, to each row, and set what is negative then to 0, but for NaN."""
    if bias.size:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                value = rows[i, j] + bias[j]
                rows[i, j] = 0 if relu and value < 0 else value
    elif relu:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                rows[i, j] = 0 if rows[i, j] < 0 else rows[i, j]


@jit(cached=False)
def forward_part(x, matrix, bias, relu, out, taken, first, last, tile, numbers):
    k = matrix.shape[0]
    if numbers[_MORE, 2]:
        columns = numbers[_OUT, 2]
        line = _line(x, numbers)
        across = taken[: k * (tile + 16)].reshape(k, tile + 16)
        for at in range(first, last, tile):
            stop = min(at + tile, last)
            gather_across(x, across, line, at // columns, stop // columns, numbers)
            gemm(across[:, : stop - at].T, matrix, out[at:stop], 0.0)
            finish(out[at:stop], bias, relu)
        return
    for at in range(first, last, tile):
        stop = min(at + tile, last)
        gemm(windows_of(x, taken, at, stop, k, numbers), matrix, out[at:stop], 0.0)
        finish(out[at:stop], bias, relu)


@jit(parallel=True)
def forward_kernel(x, matrix, bias, relu, out, taken, tile, numbers, parts):
    mine = hold()
    for p in prange(parts):
        first, last = share_rows(out.shape[0], parts, p, numbers)
        forward_part(x, matrix, bias, relu, out, taken[p], first, last, tile, numbers)
    release(mine)


def forward(
    out: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    w: Windows,
    scratch: Scratch,
    bias: Any = None,
    relu: bool = False,
) -> Call:
    """out = the convolution of x, plus the bias (c_out,) if there is one, its negative elements made 0 if ``relu``."""
    c_in, c_out = kernel.shape[-2:]
    matrix = kernel.reshape(-1, c_out)
    tile = _tile(*matrix.shape, out.itemsize)
    if _across(w, c_in):
        tile = max(1, tile // w.out[-1]) * w.out[-1]
    count = parts(out.size // c_out, 2 * matrix.size / _FLOPS)
    taken = _tiles(w, count, tile, matrix.shape[0], out.dtype, scratch)
    bias = np.empty(0, out.dtype) if bias is None else bias
    rows = out.reshape(-1, c_out)
    return pick(forward_kernel, count), (
        x.reshape(-1), matrix, bias, relu, rows, taken, tile, numbers_of(w, c_in), count
    )  # fmt: skip


def _tile(k: int, c_out: int, itemsize: int) -> int:
    """Rows of a tile of windows of k elements, to be multiplied by c_out columns."""
    rows, small = max(8, TILE_BYTES // (k * itemsize)), TILE_PRODUCTS // (k * c_out)
    return min(rows, small) if small >= 8 else rows


def _tiles(w: Windows, count: int, tile: int, k: int, dtype: np.dtype, scratch: Scratch) -> np.ndarray:
    """Memory for the tiles of all parts, each one a row."""
    return scratch((count, 1 if w.points else (tile + 16) * k + 64), dtype)


# -- by the input


@jit(cached=False)
def turn_part(kernel, out, first, last):
    taps, c_in, c_out = kernel.shape
    for row in range(first, last):
        t, block = row // ((c_out + 15) // 16), row % ((c_out + 15) // 16)
        for start in range(0, c_in, 32):  # blocks of 32 lines stay in the first cache for 16 turns
            for j in range(16 * block, min(16 * block + 16, c_out)):
                for i in range(start, min(start + 32, c_in)):
                    out[np.uint64(taps - 1 - t), j, i] = kernel[t, i, j]


@jit(parallel=True)
def turn(kernel, out, parts):
    """out (taps, c_out, c_in) = a kernel (taps, c_in, c_out) with its taps reversed and its channels exchanged."""
    blocks = kernel.shape[0] * ((kernel.shape[2] + 15) // 16)
    for p in prange(parts):
        first, last = share(blocks, parts, p)
        turn_part(kernel, out, first, last)


@jit(cached=False)
def input_part(g, matrix, out, taken, first, last, tile, numbers):
    places = numbers[_OUT, 0] * numbers[_OUT, 1] * numbers[_OUT, 2]
    size = numbers[_SPACE, 0] * numbers[_SPACE, 1] * numbers[_SPACE, 2] * numbers[_MORE, 0]
    out[first * size : last * size] = 0
    k = matrix.shape[1]
    for at in range(first * places, last * places, tile):
        stop = min(at + tile, last * places)
        rows = taken[: (stop - at) * k].reshape(stop - at, k)
        gemm(g[at:stop], matrix, rows, 0.0)
        scatter(taken, out, at, stop, numbers)


@jit(parallel=True)
def input_kernel(g, matrix, out, taken, images, tile, numbers, parts):
    mine = hold()
    for p in prange(parts):
        first, last = share(images, parts, p)
        input_part(g, matrix, out, taken[p], first, last, tile, numbers)
    release(mine)


def turned(w: Windows) -> Windows | None:
    """The windows of the result that the transposed map slides over it; None where strides or borders forbid that."""
    reach = [(k - 1) * d for k, d in zip(w.size, w.dilation)]
    low = tuple([r - a for r, a in zip(reach, w.low)])
    high = tuple([r - a for r, a in zip(reach, w.high)])
    if any([s != 1 for s in w.strides]) or min(low) < 0 or min(high) < 0:
        return None
    return Windows(w.out, w.space, w.size, w.strides, w.dilation, low, high)


def backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = the transposed map of ``forward`` applied to g: what each place of x did for the result."""
    c_in, c_out = kernel.shape[-2:]
    back = turned(w)
    # With very few channels in x, adding up their windows is less work than gathering those of g.
    if back is not None and (16 * c_in > c_out or w.points):
        other = scratch((*kernel.shape[:-2], c_out, c_in), kernel.dtype)
        call, arguments = forward(out, g, other, back, scratch)
        before = turning(kernel, other)
        return after_turning, (pick(turn, before[-1]), before, call, arguments)
    matrix = kernel.reshape(1, -1, c_out)
    # A transposed copy: BLAS's way for small matrices is half as fast with the transposed view.
    other = scratch((1, c_out, matrix.shape[1]), kernel.dtype)
    tile = _tile(matrix.shape[1], c_out, out.itemsize)
    count = parts(len(g), 2 * matrix.size * math.prod(w.out) / _FLOPS)
    taken = scratch((count, tile * matrix.shape[1]), out.dtype)
    arguments = (
        g.reshape(-1, c_out), other[0], out.reshape(-1), taken, len(g), tile, numbers_of(w, c_in), count
    )  # fmt: skip
    before = turning(matrix, other)
    return after_turning, (pick(turn, before[-1]), before, pick(input_kernel, count), arguments)


def turning(kernel: np.ndarray, other: np.ndarray) -> tuple[Any, ...]:
    """Arguments of ``turn`` for kernels (*size, ., .)."""
    flat = kernel.reshape(-1, *kernel.shape[-2:])
    return flat, other.reshape(-1, *other.shape[-2:]), parts(len(flat) * (-(-flat.shape[2] // 16)), 8 * flat.shape[1])


def after_turning(
    turn: Callable[..., None], before: tuple[Any, ...], call: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    turn(*before)
    call(*arguments)


# -- by the kernel


@jit(cached=False)
def kernel_part(x, g, total, taken, first, last, tile, block, numbers):
    beta = 0.0
    k = total.shape[0]
    if numbers[_MORE, 2]:
        columns = numbers[_OUT, 2]
        line = _line(x, numbers)
        across = taken[: k * (tile + 16)].reshape(k, tile + 16)
        total[:] = 0
        for at in range(first, last, tile):
            stop = min(at + tile, last)
            gather_across(x, across, line, at // columns, stop // columns, numbers)
            gemm(across[:, : stop - at], g[at:stop], total, 1.0)
        return
    for at in range(first, last, tile):
        stop = min(at + tile, last)
        windows = windows_of(x, taken, at, stop, k, numbers)
        for start in range(0, k, block):
            end = min(start + block, k)
            gemm(windows[:, start:end].T, g[at:stop], total[start:end], beta)
        beta = 1.0


@jit(parallel=True)
def kernel_kernel(x, g, out, totals, taken, tile, block, numbers, parts):
    mine = hold()
    for p in prange(parts):
        first, last = share_rows(g.shape[0], parts, p, numbers)
        kernel_part(x, g, totals[p], taken[p], first, last, tile, block, numbers)
    release(mine)
    add_up(totals, out)


@jit(cached=False)
def add_up(totals, out):
    """out = the sum of the totals of all parts, in their order."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = totals[0, i, j]
        for p in range(1, totals.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += totals[p, i, j]


def backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = sum over all places of the products of the window of x there and of g."""
    c_in, c_out = out.shape[-2:]
    rows = out.reshape(-1, c_out)
    # Long tiles, so that the totals are gone through seldom; in blocks for BLAS's way for small matrices.
    tile = max(64, TILE_BYTES // (len(rows) * out.itemsize))
    if _across(w, c_in):
        tile = max(1, _tile(*rows.shape, out.itemsize) // w.out[-1]) * w.out[-1]
    block = max(32, TILE_PRODUCTS // (tile * c_out))
    count = parts(g.size // c_out, 2 * rows.size / _FLOPS)
    taken = _tiles(w, count, tile, len(rows), out.dtype, scratch)
    totals = scratch((count, *rows.shape), out.dtype)
    return pick(kernel_kernel, count), (
        x.reshape(-1), g.reshape(-1, c_out), rows, totals, taken, tile, block, numbers_of(w, c_in), count
    )  # fmt: skip
