"""Depthwise convolution, each channel by itself: its three maps as parallel kernels over rows of their results.

No product of matrices is in it, so memory decides: a row of the result stays in the first cache while the rows of
windows that meet it are multiplied and added, all columns and channels that lie inside at once.

Arrays are C-contiguous, float32 or float64 of one dtype, none empty: x (n, *space, c), kernel (*size, c, m),
y (n, *out, c * m). Functions return calls that are bound to their arrays, as `Op.bind` wants them.
"""

from __future__ import annotations

import math

import numpy as np

from autotensor.kernels.calls import Call
from autotensor.kernels.direct import Scratch, numbers_of
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.threads import parts, pick, share
from autotensor.kernels.window import Windows

_SPACE, _OUT, _SIZE, _STRIDES, _DILATION, _LOW, _MORE = range(7)


@jit(cached=False)
def _multiply(x, kernel, out, at, x_step, there, out_step, count, c, m):
    """out[there + i * out_step] += x[at + i * x_step] * kernel, for count places of c and of c * m channels."""
    channels, more = np.uint64(c), np.uint64(m)
    for i in range(count):
        source, target = np.uint64((at + i * x_step) * c), np.uint64((there + i * out_step) * c * m)
        if m == 1:
            for j in range(channels):
                out[target + j] += x[source + j] * kernel[j]
        else:
            for j in range(channels):
                for k in range(more):
                    out[target + j * more + k] += x[source + j] * kernel[j * more + k]


@jit(cached=False)
def _multiply_three(x, kernel, out, at, x_step, there, count, c):
    """`_multiply` with m = 1 for three neighbours in a window: the result is read and written once for all."""
    channels = np.uint64(c)
    for i in range(count):
        first, target = np.uint64((at + i * x_step) * c), np.uint64((there + i) * c)
        second, third = first + channels, first + channels + channels
        for j in range(channels):
            out[target + j] += (
                x[first + j] * kernel[j] + x[second + j] * kernel[channels + j]
                + x[third + j] * kernel[channels + channels + j]
            )  # fmt: skip


@jit(cached=False)
def _multiply_back(g, kernel, out, at, g_step, there, out_step, count, c, m):
    """out[there + i * out_step] += the sum over m of g[at + i * g_step] * kernel."""
    channels, more = np.uint64(c), np.uint64(m)
    for i in range(count):
        source, target = np.uint64((at + i * g_step) * c * m), np.uint64((there + i * out_step) * c)
        if m == 1:
            for j in range(channels):
                out[target + j] += g[source + j] * kernel[j]
        else:
            for j in range(channels):
                for k in range(more):
                    out[target + j] += g[source + j * more + k] * kernel[j * more + k]


@jit(cached=False)
def _dots(x, g, total, at, x_step, there, count, c, m):
    """total[j, k] += the sum over count places of x[at + i * x_step, j] * g[there + i, j, k]."""
    channels, more = np.uint64(c), np.uint64(m)
    for i in range(count):
        source, target = np.uint64((at + i * x_step) * c), np.uint64((there + i) * c * m)
        if m == 1:
            for j in range(channels):
                total[j] += x[source + j] * g[target + j]
        else:
            for j in range(channels):
                for k in range(more):
                    total[j * more + k] += x[source + j] * g[target + j * more + k]


@jit(inline=True)
def _meeting(r, numbers):
    """First and last column of the result whose windows hold a position inside at place r, and that position."""
    stride = numbers[_STRIDES, 2]
    at = r * numbers[_DILATION, 2] - numbers[_LOW, 2]
    first = max(0, -(at // stride))
    last = min(numbers[_OUT, 2], (numbers[_SPACE, 2] - 1 - at) // stride + 1)
    return first, last, at + first * stride


@jit(cached=False)
def _forward_part(x, kernel, out, first, last, m, numbers):
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    for number in range(first, last):
        b, a, image = number % rows, (number // rows) % planes, number // (rows * planes)
        out[number * columns * c * m : (number + 1) * columns * c * m] = 0
        for p in range(kd):
            z = a * numbers[_STRIDES, 0] + p * numbers[_DILATION, 0] - numbers[_LOW, 0]
            for q in range(kh):
                y = b * numbers[_STRIDES, 1] + q * numbers[_DILATION, 1] - numbers[_LOW, 1]
                if 0 <= z < depth and 0 <= y < height:
                    row = ((image * depth + z) * height + y) * width
                    # Columns between these have all three positions inside.
                    low, high, inner = 0, 0, 0
                    if kw == 3 and m == 1 and numbers[_DILATION, 2] == 1:
                        low, _, inner = _meeting(0, numbers)
                        _, high, _ = _meeting(2, numbers)
                        high = max(low, high)
                        tap = (p * kh + q) * kw * c
                        _multiply_three(
                            x, kernel[tap : tap + 3 * c], out, row + inner, numbers[_STRIDES, 2],
                            number * columns + low, high - low, c,
                        )  # fmt: skip
                    for r in range(kw):
                        start, stop, u = _meeting(r, numbers)
                        tap = ((p * kh + q) * kw + r) * c * m
                        before = max(0, min(low, stop) - start) if high > low else stop - start
                        _multiply(
                            x, kernel[tap : tap + c * m], out, row + u, numbers[_STRIDES, 2],
                            number * columns + start, 1, before, c, m,
                        )  # fmt: skip
                        if high > low and stop > high:
                            after = max(high, start)
                            _multiply(
                                x, kernel[tap : tap + c * m], out, row + u + (after - start) * numbers[_STRIDES, 2],
                                numbers[_STRIDES, 2], number * columns + after, 1, stop - after, c, m,
                            )  # fmt: skip


@jit(parallel=True)
def forward_kernel(x, kernel, out, lines, m, numbers, parts):
    for p in prange(parts):
        first, last = share(lines, parts, p)
        _forward_part(x, kernel, out, first, last, m, numbers)


@jit(cached=False)
def _input_part(g, kernel, out, first, last, m, numbers):
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    for number in range(first, last):
        y, z, image = number % height, (number // height) % depth, number // (height * depth)
        out[number * width * c : (number + 1) * width * c] = 0
        for p in range(kd):
            a = z + numbers[_LOW, 0] - p * numbers[_DILATION, 0]
            if a % numbers[_STRIDES, 0] or not 0 <= a // numbers[_STRIDES, 0] < planes:
                continue
            a //= numbers[_STRIDES, 0]
            for q in range(kh):
                b = y + numbers[_LOW, 1] - q * numbers[_DILATION, 1]
                if b % numbers[_STRIDES, 1] or not 0 <= b // numbers[_STRIDES, 1] < rows:
                    continue
                b //= numbers[_STRIDES, 1]
                row = ((image * planes + a) * rows + b) * columns
                for r in range(kw):
                    start, stop, u = _meeting(r, numbers)
                    tap = ((p * kh + q) * kw + r) * c * m
                    _multiply_back(
                        g, kernel[tap : tap + c * m], out, row + start, 1,
                        number * width + u, numbers[_STRIDES, 2], stop - start, c, m,
                    )  # fmt: skip


@jit(parallel=True)
def input_kernel(g, kernel, out, lines, m, numbers, parts):
    for p in prange(parts):
        first, last = share(lines, parts, p)
        _input_part(g, kernel, out, first, last, m, numbers)


@jit(cached=False)
def _kernel_part(x, g, sums, total, first, last, m, numbers):
    """Rows ``first`` to ``last`` of g; sums of a row at a time keep their rounding small."""
    c = numbers[_MORE, 0]
    depth, height, width = numbers[_SPACE, 0], numbers[_SPACE, 1], numbers[_SPACE, 2]
    planes, rows, columns = numbers[_OUT, 0], numbers[_OUT, 1], numbers[_OUT, 2]
    kd, kh, kw = numbers[_SIZE, 0], numbers[_SIZE, 1], numbers[_SIZE, 2]
    total[:] = 0
    for number in range(first, last):
        b, a, image = number % rows, (number // rows) % planes, number // (rows * planes)
        for p in range(kd):
            z = a * numbers[_STRIDES, 0] + p * numbers[_DILATION, 0] - numbers[_LOW, 0]
            for q in range(kh):
                y = b * numbers[_STRIDES, 1] + q * numbers[_DILATION, 1] - numbers[_LOW, 1]
                if 0 <= z < depth and 0 <= y < height:
                    row = ((image * depth + z) * height + y) * width
                    for r in range(kw):
                        start, stop, u = _meeting(r, numbers)
                        tap = ((p * kh + q) * kw + r) * c * m
                        sums[:] = 0
                        _dots(x, g, sums, row + u, numbers[_STRIDES, 2], number * columns + start, stop - start, c, m)
                        for j in range(c * m):
                            total[tap + j] += sums[j]


@jit(parallel=True)
def kernel_kernel(x, g, out, sums, totals, lines, m, numbers, parts):
    for p in prange(parts):
        first, last = share(lines, parts, p)
        _kernel_part(x, g, sums[p], totals[p], first, last, m, numbers)
    for j in range(out.size):
        value = totals[0, j]
        for p in range(1, parts):
            value += totals[p, j]
        out[j] = value


def forward(out: np.ndarray, x: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = each channel of x convolved with its own m kernels."""
    c, m = kernel.shape[-2:]
    lines = out.size // (w.out[-1] * c * m)
    count = parts(lines, 0.1 * out.size / lines * math.prod(w.size))
    return pick(forward_kernel, count), (
        x.reshape(-1), kernel.reshape(-1), out.reshape(-1), lines, m, numbers_of(w, c), count
    )  # fmt: skip


def backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = the transposed map of ``forward`` applied to g."""
    c, m = kernel.shape[-2:]
    lines = out.size // (w.space[-1] * c)
    count = parts(lines, 0.1 * g.size / lines * math.prod(w.size))
    return pick(input_kernel, count), (
        g.reshape(-1), kernel.reshape(-1), out.reshape(-1), lines, m, numbers_of(w, c), count
    )  # fmt: skip


def backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = sums over all places of the products of x and of g, for each channel and each of its kernels."""
    c, m = out.shape[-2:]
    lines = g.size // (w.out[-1] * c * m)
    count = parts(lines, 0.1 * g.size / lines * math.prod(w.size))
    return pick(kernel_kernel, count), (
        x.reshape(-1), g.reshape(-1), out.reshape(-1),
        scratch((count, c * m), out.dtype), scratch((count, out.size), np.float64),
        lines, m, numbers_of(w, c), count,
    )  # fmt: skip
