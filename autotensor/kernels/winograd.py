"""Convolution with kernels of three positions an axis in fewer multiplications: Winograd's F(4, 3).

Four results of a row take 6 products in place of 12: with matrices A, B and G of small numbers,

    y = A^T ((G k) * (B^T x)),    x: 6 neighbours, k: 3 positions of the kernel, y: 4 results.

In two axes that is done along both: 36 products in place of 144 for a square of 4 x 4 results. Over all channels each
of the products is one of matrices, (squares, c_in) by (c_in, c_out), which BLAS does. The gradient with respect to the
kernel is the transposed map in k: G^T ((B^T x) * (A y)). A, B and G are those of Lavin and Gray, "Fast algorithms for
convolutional neural networks" (2015), for the points 0, 1, -1, 2, -2.

Sums are those of float32 with numbers that cancel: errors are 2e-6 to 8e-6 of the largest value with up to 128
channels, up to 2e-5 with 256 and more, where direct products make 1e-6.

Arrays are C-contiguous float32: images (n, *space, c_in) and (n, *out, c_out), kernels (*size, c_in, c_out), with one
or two axes of space. All is done for a few rows of squares at a time, so that what lies between the steps stays in the
cache; each part of the work has its own memory for that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.kernels import direct
from autotensor.kernels.blas import gemm, hold, release
from autotensor.kernels.calls import Call
from autotensor.kernels.direct import Scratch, turn, turned, turning
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.threads import parts, pick, share
from autotensor.kernels.window import Windows

CACHE_BYTES = 640 << 10
"""Size of the transformed squares, of both sides of the products, that are worked on at a time."""

_FLOPS = 100.0
"""Operations of the products a nanosecond that a thread is supposed to do, for deciding whether to share work."""

# Unsigned indices need no test for being negative, which would keep loops from being made into vectors.
_1, _2, _3, _4, _5 = [np.uint64(i) for i in range(1, 6)]


def applies(w: Windows, c_in: int, c_out: int) -> bool:
    """Is this the fastest way? 3 x 3 positions that are neighbours, moved by one, and enough channels."""
    return (
        w.size == (3, 3)
        and all([s == 1 for s in w.strides])
        and all([d == 1 for d in w.dilation])
        and min(c_in, c_out) >= 16
        # Squares that reach over the end of the result are work for nothing.
        and 16 * math.prod([-(-n // 4) for n in w.out]) <= 2.5 * math.prod(w.out)
    )


# -- the matrices, applied to rows: elements at one place of several arrays


@jit(cached=False)
def _image_rows(a, b, c, d, e, f, p, q, r, s, t, u):
    """B^T."""
    for i in range(a.size):
        p[i] = 4 * a[i] - 5 * c[i] + e[i]
        even, odd = e[i] - 4 * c[i], d[i] - 4 * b[i]
        q[i] = even + odd
        r[i] = even - odd
        even, odd = e[i] - c[i], 2 * (d[i] - b[i])
        s[i] = even + odd
        t[i] = even - odd
        u[i] = 4 * b[i] - 5 * d[i] + f[i]


@jit(cached=False)
def _image_squares(row, squares, channels, p, q, r, s, t, u):
    """B^T along a row of 4 * squares + 2 positions."""
    n = np.uint64(channels)
    for k in range(np.uint64(squares)):
        at = k * n
        start = _4 * at
        for j in range(n):
            i = start + j
            a, b, c = row[i], row[i + n], row[i + _2 * n]
            d, e, f = row[i + _3 * n], row[i + _4 * n], row[i + _5 * n]
            p[at + j] = 4 * a - 5 * c + e
            even, odd = e - 4 * c, d - 4 * b
            q[at + j] = even + odd
            r[at + j] = even - odd
            even, odd = e - c, 2 * (d - b)
            s[at + j] = even + odd
            t[at + j] = even - odd
            u[at + j] = 4 * b - 5 * d + f


@jit(cached=False)
def _kernel_rows(a, b, c, p, q, r, s, t, u):
    """G."""
    sixth = np.float32(1 / 6)
    for i in range(a.size):
        p[i] = np.float32(0.25) * a[i]
        even, odd = -sixth * (a[i] + c[i]), -sixth * b[i]
        q[i] = even + odd
        r[i] = even - odd
        even, odd = sixth * (np.float32(0.25) * a[i] + c[i]), np.float32(0.5) * sixth * b[i]
        s[i] = even + odd
        t[i] = even - odd
        u[i] = c[i]


@jit(cached=False)
def _result_squares(squares, channels, bias, a, b, c, d, e, f, p, q, r, s):
    """A^T, to a row of which p, q, r and s are parts that begin at its first, second, third and fourth position.

    The bias, if it is not empty, is added where the transform of the other axis brings it to all results.
    """
    n = np.uint64(channels)
    plain = bias.size == 0
    for k in range(np.uint64(squares)):
        at = k * n
        start = _4 * at
        for j in range(n):
            i = at + j
            sum1, difference1 = b[i] + c[i], b[i] - c[i]
            sum2, difference2 = d[i] + e[i], d[i] - e[i]
            p[start + j] = a[i] + sum1 + sum2
            q[start + j] = difference1 + 2 * difference2
            r[start + j] = sum1 + 4 * sum2
            s[start + j] = difference1 + 8 * difference2 + f[i]
        if not plain:
            for j in range(n):
                p[start + j] += bias[j]
                q[start + j] += bias[j]
                r[start + j] += bias[j]
                s[start + j] += bias[j]


@jit(cached=False)
def _result_rows(a, b, c, d, e, f, p, q, r, s, relu):
    """A^T, and negative results made 0 if ``relu``, but for NaN."""
    zero = np.float32(0)
    for i in range(a.size):
        sum1, difference1 = b[i] + c[i], b[i] - c[i]
        sum2, difference2 = d[i] + e[i], d[i] - e[i]
        y0 = a[i] + sum1 + sum2
        y1 = difference1 + 2 * difference2
        y2 = sum1 + 4 * sum2
        y3 = difference1 + 8 * difference2 + f[i]
        p[i] = zero if relu and y0 < zero else y0
        q[i] = zero if relu and y1 < zero else y1
        r[i] = zero if relu and y2 < zero else y2
        s[i] = zero if relu and y3 < zero else y3


@jit(cached=False)
def _gradient_rows(a, b, c, d, p, q, r, s, t, u):
    """A."""
    for i in range(a.size):
        p[i] = a[i]
        even, odd = a[i] + c[i], b[i] + d[i]
        q[i] = even + odd
        r[i] = even - odd
        even, odd = a[i] + 4 * c[i], 2 * b[i] + 8 * d[i]
        s[i] = even + odd
        t[i] = even - odd
        u[i] = d[i]


@jit(cached=False)
def _gradient_squares(row, squares, channels, p, q, r, s, t, u):
    """A along a row of 4 * squares positions."""
    n = np.uint64(channels)
    for k in range(np.uint64(squares)):
        at = k * n
        start = _4 * at
        for j in range(n):
            i = start + j
            a, b, c, d = row[i], row[i + n], row[i + _2 * n], row[i + _3 * n]
            p[at + j] = a
            even, odd = a + c, b + d
            q[at + j] = even + odd
            r[at + j] = even - odd
            even, odd = a + 4 * c, 2 * b + 8 * d
            s[at + j] = even + odd
            t[at + j] = even - odd
            u[at + j] = d


@jit(cached=False)
def _total_rows(a, b, c, d, e, f, p, q, r):
    """G^T."""
    sixth, quarter, half = np.float32(1 / 6), np.float32(0.25), np.float32(0.5)
    for i in range(p.size):
        sum1, difference1 = sixth * (b[i] + c[i]), sixth * (c[i] - b[i])
        sum2, difference2 = sixth * (d[i] + e[i]), sixth * (d[i] - e[i])
        p[i] = quarter * a[i] - sum1 + quarter * sum2
        q[i] = difference1 + half * difference2
        r[i] = sum2 - sum1 + f[i]


# -- images and kernels

# Numbers of the geometry for kernels: see `_numbers`.
_HEIGHT, _WIDTH, _LOW_Y, _LOW_X, _ROWS, _COLUMNS, _DOWN, _ALONG, _PLANE = range(9)


def _numbers(w: Windows) -> np.ndarray:
    """Sizes, borders before, and sizes of the result; squares down and along, and whether there are two axes."""
    plane = len(w.size) == 2
    space, low, out = (w.space, w.low, w.out) if plane else ((1, *w.space), (0, *w.low), (1, *w.out))
    return np.array([*space, *low, *out, -(-out[0] // 4), -(-out[1] // 4), plane], np.int64)


@jit(cached=False)
def _line(x, row, n, rows, size, zeros):
    """Row ``row`` of image ``n`` in x, flat; zeros outside."""
    if row < 0 or row >= rows:
        return zeros[:size]
    start = (n * rows + row) * size
    return x[start : start + size]


@jit(cached=False)
def _images(x, v, rows, zeros, first, last, channels, numbers):
    """v = the transformed squares of rows of squares ``first`` to ``last`` of all images."""
    height, width, down, along = numbers[_HEIGHT], numbers[_WIDTH], numbers[_DOWN], numbers[_ALONG]
    size, before = width * channels, numbers[_LOW_X] * channels
    part = along * channels
    for line in range(first, last):
        n, y = line // down, 4 * (line % down) - numbers[_LOW_Y]
        at = (line - first) * part
        if numbers[_PLANE]:
            _image_rows(
                _line(x, y, n, height, size, zeros), _line(x, y + 1, n, height, size, zeros),
                _line(x, y + 2, n, height, size, zeros), _line(x, y + 3, n, height, size, zeros),
                _line(x, y + 4, n, height, size, zeros), _line(x, y + 5, n, height, size, zeros),
                rows[0, before : before + size], rows[1, before : before + size], rows[2, before : before + size],
                rows[3, before : before + size], rows[4, before : before + size], rows[5, before : before + size],
            )  # fmt: skip
        else:
            rows[0, before : before + size] = x[n * size : (n + 1) * size]
        for i in range(len(v) // 6):
            _image_squares(
                rows[i], along, channels,
                v[6 * i, at : at + part], v[6 * i + 1, at : at + part], v[6 * i + 2, at : at + part],
                v[6 * i + 3, at : at + part], v[6 * i + 4, at : at + part], v[6 * i + 5, at : at + part],
            )  # fmt: skip


@jit(cached=False)
def _kernel_part(kernel, u, rows, first, last, size):
    """Elements ``first`` to ``last`` of the transformed kernel; ``size`` is that of a position."""
    n = last - first
    for x in range(3):
        a, b, c = x * size, (3 + x) * size, (6 + x) * size
        _kernel_rows(
            kernel[a + first : a + last], kernel[b + first : b + last], kernel[c + first : c + last],
            rows[x, 0, :n], rows[x, 1, :n], rows[x, 2, :n], rows[x, 3, :n], rows[x, 4, :n], rows[x, 5, :n],
        )  # fmt: skip
    for i in range(6):
        _kernel_rows(
            rows[0, i, :n], rows[1, i, :n], rows[2, i, :n],
            u[6 * i, first:last], u[6 * i + 1, first:last], u[6 * i + 2, first:last],
            u[6 * i + 3, first:last], u[6 * i + 4, first:last], u[6 * i + 5, first:last],
        )  # fmt: skip


@jit(cached=False)
def _kernels(kernel, u, size, first, last):
    """u = the transformed kernel, elements ``first`` to ``last`` of each position."""
    if len(u) == 6:
        _kernel_rows(
            kernel[first:last], kernel[size + first : size + last], kernel[2 * size + first : 2 * size + last],
            u[0, first:last], u[1, first:last], u[2, first:last], u[3, first:last], u[4, first:last], u[5, first:last],
        )  # fmt: skip
        return
    rows = np.empty((3, 6, 256), kernel.dtype)
    for start in range(first, last, 256):
        _kernel_part(kernel, u, rows, start, min(start + 256, last), size)


@jit(cached=False)
def _results(m, out, rows, zeros, bias, relu, first, last, channels, numbers):
    """Rows of the result from the products of rows of squares ``first`` to ``last``."""
    height, width, down, along = numbers[_ROWS], numbers[_COLUMNS], numbers[_DOWN], numbers[_ALONG]
    size, part = width * channels, along * channels
    spare = zeros  # what lies outside is written where it does not count
    for line in range(first, last):
        n, y = line // down, 4 * (line % down)
        at = (line - first) * part
        for i in range(len(m) // 6):
            row = rows[i]
            _result_squares(
                along, channels, bias if i == 1 or not numbers[_PLANE] else bias[:0],
                m[6 * i, at : at + part], m[6 * i + 1, at : at + part], m[6 * i + 2, at : at + part],
                m[6 * i + 3, at : at + part], m[6 * i + 4, at : at + part], m[6 * i + 5, at : at + part],
                row, row[channels:], row[2 * channels :], row[3 * channels :],
            )  # fmt: skip
        if numbers[_PLANE]:
            _result_rows(
                rows[0, :size], rows[1, :size], rows[2, :size], rows[3, :size], rows[4, :size], rows[5, :size],
                _line(out, y, n, height, size, spare[0]), _line(out, y + 1, n, height, size, spare[1]),
                _line(out, y + 2, n, height, size, spare[2]), _line(out, y + 3, n, height, size, spare[3]),
                relu,
            )  # fmt: skip
        else:
            _copy_row(rows[0, :size], out[n * size : (n + 1) * size], relu)


@jit(cached=False)
def _copy_row(row, out, relu):
    for i in range(row.size):
        out[i] = 0 if relu and row[i] < 0 else row[i]


@jit(cached=False)
def _gradients(g, z, rows, zeros, first, last, channels, numbers):
    """z = the transformed squares of g, of rows of squares ``first`` to ``last`` of all images."""
    height, width, down, along = numbers[_ROWS], numbers[_COLUMNS], numbers[_DOWN], numbers[_ALONG]
    size, part = width * channels, along * channels
    for line in range(first, last):
        n, y = line // down, 4 * (line % down)
        at = (line - first) * part
        if numbers[_PLANE]:
            _gradient_rows(
                _line(g, y, n, height, size, zeros), _line(g, y + 1, n, height, size, zeros),
                _line(g, y + 2, n, height, size, zeros), _line(g, y + 3, n, height, size, zeros),
                rows[0, :size], rows[1, :size], rows[2, :size], rows[3, :size], rows[4, :size], rows[5, :size],
            )  # fmt: skip
        else:
            rows[0, :size] = g[n * size : (n + 1) * size]
        for i in range(len(z) // 6):
            _gradient_squares(
                rows[i], along, channels,
                z[6 * i, at : at + part], z[6 * i + 1, at : at + part], z[6 * i + 2, at : at + part],
                z[6 * i + 3, at : at + part], z[6 * i + 4, at : at + part], z[6 * i + 5, at : at + part],
            )  # fmt: skip


# -- forward


@jit(cached=False)
def _forward_part(x, u, bias, relu, out, v, m, rows, more, zeros, first, last, lines, c_in, c_out, numbers):
    rows[:] = 0
    zeros[:] = 0
    for line in range(first, last, lines):
        stop = min(line + lines, last)
        squares = (stop - line) * numbers[_ALONG]
        _images(x, v, rows, zeros[4], line, stop, c_in, numbers)
        for k in range(len(v)):
            gemm(
                v[k, : squares * c_in].reshape(squares, c_in), u[k, : c_in * c_out].reshape(c_in, c_out),
                m[k, : squares * c_out].reshape(squares, c_out), 0.0,
            )  # fmt: skip
        _results(m, out, more, zeros, bias, relu, line, stop, c_out, numbers)


@jit(parallel=True)
def forward_kernel(x, kernel, bias, relu, out, u, v, m, rows, more, zeros, total, lines, c_in, c_out, numbers, parts):
    mine = hold()
    for p in prange(parts):
        first, last = share(c_in * c_out, parts, p)
        _kernels(kernel, u, c_in * c_out, first, last)
    for p in prange(parts):
        first, last = share(total, parts, p)
        _forward_part(
            x, u, bias, relu, out, v[p], m[p], rows[p], more[p], zeros[p], first, last, lines, c_in, c_out, numbers
        )
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
    numbers, total, lines, count = _shares(len(x), w, c_in, c_out)
    products, along = 6 ** len(w.size), int(numbers[_ALONG])
    rows = products // 6
    # Zeros for rows outside of an image, and places for rows outside of a result.
    wide = max(w.space[-1] * c_in, w.out[-1] * c_out)
    return pick(forward_kernel, count), (
        x.reshape(-1), kernel.reshape(-1), np.empty(0, out.dtype) if bias is None else bias, relu, out.reshape(-1),
        scratch((products, _apart(c_in * c_out)), out.dtype),
        scratch((count, products, _apart(lines * along * c_in)), out.dtype),
        scratch((count, products, _apart(lines * along * c_out)), out.dtype),
        scratch((count, rows, _apart((4 * along + 2) * c_in)), out.dtype),
        scratch((count, rows, _apart(4 * along * c_out)), out.dtype),
        scratch((count, 5, wide), out.dtype), total, lines, c_in, c_out, numbers, count,
    )  # fmt: skip


def _shares(n: int, w: Windows, c_in: int, c_out: int) -> tuple[np.ndarray, int, int, int]:
    """Numbers of the geometry; rows of squares in all, how many to work on at a time, and the number of parts."""
    numbers = _numbers(w)
    products, along = 6 ** len(w.size), int(numbers[_ALONG])
    total = n * int(numbers[_DOWN])
    lines = max(1, CACHE_BYTES // (4 * products * along * (c_in + c_out)))
    count = parts(total, 2 * products * along * c_in * c_out / _FLOPS)
    return numbers, total, min(lines, -(-total // count)), count


def _apart(n: int) -> int:
    """At least n elements, and a distance of rows whose same places do not share a set of the cache."""
    return -(-n // 16) * 16 + 16


def backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = the transposed map of ``forward`` applied to g; borders are at most 2 wide."""
    back = turned(w)
    assert back is not None
    other = scratch((*kernel.shape[:-2], *kernel.shape[:-3:-1]), kernel.dtype)
    call, arguments = forward(out, g, other, back, scratch)
    before = turning(kernel, other)
    return direct.after_turning, (pick(turn, before[-1]), before, call, arguments)


# -- by the kernel


@jit(cached=False)
def _by_kernel_part(x, g, totals, v, z, rows, more, zeros, first, last, lines, c_in, c_out, numbers):
    rows[:] = 0
    more[:] = 0
    zeros[:] = 0
    beta = 0.0
    for line in range(first, last, lines):
        stop = min(line + lines, last)
        squares = (stop - line) * numbers[_ALONG]
        _images(x, v, rows, zeros, line, stop, c_in, numbers)
        _gradients(g, z, more, zeros, line, stop, c_out, numbers)
        for k in range(len(v)):
            gemm(
                v[k, : squares * c_in].reshape(squares, c_in).T, z[k, : squares * c_out].reshape(squares, c_out),
                totals[k, : c_in * c_out].reshape(c_in, c_out), beta,
            )  # fmt: skip
        beta = 1.0


@jit(cached=False)
def _total_part(totals, out, size, first, last):
    """out = the transform of the sum of the totals of all parts, elements ``first`` to ``last`` of each position."""
    for k in range(totals.shape[1]):
        total = totals[0, k, first:last]
        for p in range(1, len(totals)):
            _add(total, totals[p, k, first:last])
    sums = totals[0]
    if totals.shape[1] == 6:
        _total_rows(
            sums[0, first:last], sums[1, first:last], sums[2, first:last],
            sums[3, first:last], sums[4, first:last], sums[5, first:last],
            out[first:last], out[size + first : size + last], out[2 * size + first : 2 * size + last],
        )  # fmt: skip
        return
    rows = np.empty((6, 3, last - first), totals.dtype)
    for i in range(6):
        _total_rows(
            sums[6 * i, first:last], sums[6 * i + 1, first:last], sums[6 * i + 2, first:last],
            sums[6 * i + 3, first:last], sums[6 * i + 4, first:last], sums[6 * i + 5, first:last],
            rows[i, 0], rows[i, 1], rows[i, 2],
        )  # fmt: skip
    for x in range(3):
        a, b, c = x * size, (3 + x) * size, (6 + x) * size
        _total_rows(
            rows[0, x], rows[1, x], rows[2, x], rows[3, x], rows[4, x], rows[5, x],
            out[a + first : a + last], out[b + first : b + last], out[c + first : c + last],
        )  # fmt: skip


@jit(cached=False)
def _add(total, more):
    for i in range(total.size):
        total[i] += more[i]


@jit(parallel=True)
def kernel_kernel(x, g, out, totals, v, z, rows, more, zeros, total, lines, c_in, c_out, numbers, parts):
    mine = hold()
    for p in prange(parts):
        first, last = share(total, parts, p)
        _by_kernel_part(
            x, g, totals[p], v[p], z[p], rows[p], more[p], zeros[p], first, last, lines, c_in, c_out, numbers
        )
    release(mine)
    for p in prange(parts):
        first, last = share(c_in * c_out, parts, p)
        _total_part(totals, out, c_in * c_out, first, last)


def backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = sum over all places of the products of the window of x there and of g."""
    c_in, c_out = out.shape[-2:]
    numbers, total, lines, count = _shares(len(x), w, c_in, c_out)
    products, along = 6 ** len(w.size), int(numbers[_ALONG])
    rows = products // 6
    return pick(kernel_kernel, count), (
        x.reshape(-1), g.reshape(-1), out.reshape(-1),
        scratch((count, products, _apart(c_in * c_out)), out.dtype),
        scratch((count, products, _apart(lines * along * c_in)), out.dtype),
        scratch((count, products, _apart(lines * along * c_out)), out.dtype),
        scratch((count, rows, _apart((4 * along + 2) * c_in)), out.dtype),
        scratch((count, rows, _apart(4 * along * c_out)), out.dtype),
        scratch((count, max(w.space[-1] * c_in, w.out[-1] * c_out)), out.dtype),
        total, lines, c_in, c_out, numbers, count,
    )  # fmt: skip
