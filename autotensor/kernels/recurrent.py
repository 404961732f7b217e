"""Recurrent cells over whole sequences, forward and backward, in one call each; float32, on the BLAS of `blas`.

Sequences are time-major: (steps, n, ...). Each part of the batch runs through all steps on its own, in tiles of a few
rows: a tile's gates, states and gradients stay in the first caches, and no thread waits for another between steps. A
step is two small products (inputs and states with their weights) and a few loops over the tile, whose sigmoid and
tanh are those of `scalar` (2.4 and 2.3 ulp of float32 from the exact value). The gradients of the weights are one
product over all steps each, shared by threads by columns.

Arrays that a call does not need are empty: that is how kernels are told so.
"""

from __future__ import annotations

import numpy as np

from autotensor.kernels.blas import gemm, hold, release
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.scalar import exp_f32, expm1_f32, sigmoid_f32, tanh_f32
from autotensor.kernels.threads import share

ACTIVATIONS = (
    "linear", "tanh", "sigmoid", "hard_sigmoid", "relu", "softsign", "elu", "selu", "exponential",
)  # fmt: skip
"""The activations that kernels know; their code is the place in this list."""

_LINEAR, _TANH, _SIGMOID, _HARD_SIGMOID, _RELU, _SOFTSIGN, _ELU, _SELU, _EXPONENTIAL = range(9)

# Klambauer et al., "Self-normalizing neural networks", 2017.
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

_INF = float("inf")
SLOPES = np.array(
    [
        [1, 0, 0, 1, 0, 0, _INF],
        [1, 0, -1, 1, 0, -1, _INF],
        [0, 1, -1, 0, 1, -1, _INF],
        [0.2, 0, 0, 0, 0, 0, 1],
        [1, 0, 0, 0, 0, 0, _INF],
        [1, -2, 1, 1, 2, 1, _INF],
        [1, 0, 0, 1, 1, 0, _INF],
        [SCALE, 0, 0, SCALE * ALPHA, 1, 0, _INF],
        [0, 1, 0, 0, 1, 0, _INF],
    ],
    np.float32,
)
"""Derivative of each activation by its result y: a + b y + c y**2, with the first three numbers where y > 0 and the next
three elsewhere; 0 from the last number on."""

# OpenBLAS multiplies without packing up to so many multiplications, at full speed: tiles are made to stay below. On
# AVX-512, 115 GFLOP/s on one core for 8 x 128 x 512 against 66 for 16 x 128 x 512.
_SMALL = 1_000_000
_ROWS = 12


@jit(inline=True)
def _tiles(n):
    """Rows of a tile when n rows are gone through in equal tiles; BLAS likes multiples of 4."""
    count = (n + _ROWS - 1) // _ROWS
    return ((n + count - 1) // count + 3) // 4 * 4


@jit
def _multiply(a, b, out, beta):
    """out = a @ b + beta * out, by columns so that each product is a small one."""
    n = out.shape[1]
    columns = _SMALL // max(1, a.shape[0] * a.shape[1]) // 64 * 64
    if columns < 64 or columns >= n:
        gemm(a, b, out, beta)
        return
    for j in range(0, n, columns):
        gemm(a, b[:, j : j + columns], out[:, j : j + columns], beta)


@jit
def _turn(x, out):
    """out = x.T, in blocks of lines of the cache."""
    m, n = x.shape
    for i in range(0, m, 16):
        for j in range(n):
            for k in range(i, min(i + 16, m)):
                out[j, k] = x[k, j]


@jit
def _activate(x, t, r0, r1, first, last, b, code):
    """Columns first to last of the rows r0 to r1 of x[t] become activation(x + b), in place."""
    zero, one = np.float32(0.0), np.float32(1.0)
    scale = np.float32(SCALE) if code == _SELU else one
    alpha = np.float32(ALPHA) if code == _SELU else one
    shift = b[first:last]
    # Slices, so that indices count from 0: others might be negative, which ends vectorisation.
    for r in range(r0, r1):
        row = x[t, r, first:last]
        if code == _TANH:
            for j in range(len(shift)):
                row[j] = tanh_f32(row[j] + shift[j])
        elif code == _SIGMOID:
            for j in range(len(shift)):
                row[j] = sigmoid_f32(row[j] + shift[j])
        elif code == _HARD_SIGMOID:
            for j in range(len(shift)):
                v = np.float32(0.2) * (row[j] + shift[j]) + np.float32(0.5)
                v = zero if v < zero else v
                row[j] = one if v > one else v
        elif code == _RELU:
            for j in range(len(shift)):
                v = row[j] + shift[j]
                row[j] = zero if v < zero else v
        elif code == _SOFTSIGN:
            for j in range(len(shift)):
                v = row[j] + shift[j]
                row[j] = v / (one + abs(v))
        elif code == _ELU or code == _SELU:
            for j in range(len(shift)):
                v = row[j] + shift[j]
                e = alpha * expm1_f32(zero if v > zero else v)
                row[j] = scale * (v if v > zero else e)
        elif code == _EXPONENTIAL:
            for j in range(len(shift)):
                row[j] = exp_f32(row[j] + shift[j])
        else:
            for j in range(len(shift)):
                row[j] = row[j] + shift[j]


@jit(inline=True)
def _slope(y, s0, s1, s2, s3, s4, s5, top):
    """Derivative of an activation from its result y and its row of SLOPES."""
    a = s0 if y > np.float32(0.0) else s3
    b = s1 if y > np.float32(0.0) else s4
    c = s2 if y > np.float32(0.0) else s5
    d = a + y * (b + y * c)
    return np.float32(0.0) if y >= top else d


@jit
def _project(x, batch_first, t, r0, r1, w, out):
    """out = x_t @ w for a tile of rows; the rows of x themselves where w is empty."""
    if batch_first:
        rows = x[r0:r1, t]
        if w.size:
            _multiply(rows, w, out, 0.0)
        else:
            out[:, :] = rows
    else:
        rows = x[t, r0:r1]
        if w.size:
            _multiply(rows, w, out, 0.0)
        else:
            out[:, :] = rows


@jit
def _copy_rows(source, target, r0, r1):
    for r in range(r0, r1):
        for j in range(source.shape[1]):
            target[r, j] = source[r, j]


@jit
def _keep(mask, before, now, t, r0, r1):
    """Rows whose step is masked stay as they were; zeros where ``before`` is empty."""
    for r in range(r0, r1):
        if not mask[t, r]:
            for j in range(now.shape[1]):
                now[r, j] = before[r, j] if before.size else np.float32(0.0)


@jit
def _add_rows(source, target, r0, r1):
    for r in range(r0, r1):
        for j in range(source.shape[1]):
            target[r, j] += source[r, j]


@jit
def _add_up(x, r0, r1, total):
    """total += the sum of the rows r0 to r1 of x."""
    for r in range(r0, r1):
        for j in range(len(total)):
            total[j] += x[r, j]


# -- LSTM: gates (steps, n, 5 * units) hold i, f, the new content, o and the activated memory


@jit
def _lstm_content(gates, t, r0, r1, c):
    """c = f c + i new, and a copy of it behind the gates."""
    u = c.shape[1]
    for r in range(r0, r1):
        row = gates[t, r]
        i, f, new, content = row[:u], row[u : 2 * u], row[2 * u : 3 * u], row[4 * u :]
        for j in range(u):
            v = f[j] * c[r, j] + i[j] * new[j]
            c[r, j] = v
            content[j] = v


@jit
def _lstm_output(gates, t, r0, r1, y):
    """y = o times the activated memory."""
    u = y.shape[1]
    for r in range(r0, r1):
        o, content = gates[t, r, 3 * u : 4 * u], gates[t, r, 4 * u :]
        for j in range(u):
            y[r, j] = o[j] * content[j]


@jit
def _lstm_rows(x, batch_first, w, u, b, h0, mask, y, c, gates, cells, kept, inner, outer, reverse, r0, r1):
    """All steps of a tile of rows."""
    steps, units = y.shape[0], y.shape[2]
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        at = t if cells.size else 0
        h = h0 if s == 0 else y[t + 1 if reverse else t - 1]
        sums = gates[at, r0:r1, : 4 * units]
        _project(x, batch_first, t, r0, r1, w, sums)
        if h.size:
            _multiply(h[r0:r1], u, sums, 1.0)
        if mask.size:
            _copy_rows(c, kept, r0, r1)
        _activate(gates, at, r0, r1, 0, 2 * units, b, inner)
        _activate(gates, at, r0, r1, 2 * units, 3 * units, b, outer)
        _activate(gates, at, r0, r1, 3 * units, 4 * units, b, inner)
        _lstm_content(gates, at, r0, r1, c)
        _activate(gates, at, r0, r1, 4 * units, 5 * units, b, outer)
        _lstm_output(gates, at, r0, r1, y[t])
        if mask.size:
            _keep(mask, h, y[t], t, r0, r1)
            _keep(mask, kept, c, t, r0, r1)
        if cells.size:
            _copy_rows(c, cells[t], r0, r1)


@jit(parallel=True)
def lstm(x, batch_first, w, u, b, h0, mask, y, c, gates, cells, kept, inner, outer, reverse, parts):
    """The outputs y (steps, n, units) of all steps; c (n, units) is the memory before, then that after them.

    x: (steps, n, d), or (n, steps, d) if ``batch_first``. w: (d, 4 units), or empty where x is x @ w already.
    b: the 4 units numbers of the bias and units zeros. h0: (n, units) or empty for zeros. mask: (steps, n) or empty.
    gates: (steps, n, 5 units) and cells: (steps, n, units) are what `lstm_grad` needs; gates (1, n, 5 units) and cells
    empty will do without it. kept: (n, units) to work in, empty without a mask.
    """
    held = hold()
    n = y.shape[1]
    for p in prange(parts):
        first, last = share(n, parts, p)
        tile = _tiles(last - first)
        for r0 in range(first, last, tile):
            r1 = min(r0 + tile, last)
            _lstm_rows(x, batch_first, w, u, b, h0, mask, y, c, gates, cells, kept, inner, outer, reverse, r0, r1)
    release(held)


@jit
def _lstm_slopes(gates, t, r0, r1, before, dh, dc, dz, s, q):
    """Gradients of the sums of a tile in dz[t], of the memory before in dc; dh becomes 0.

    s, q: the SLOPES of the activations of gates and of content. before: memory before the step, empty for zeros.
    """
    u = dc.shape[1]
    zero = np.float32(0.0)
    s0, s1, s2, s3, s4, s5, s6 = s[0], s[1], s[2], s[3], s[4], s[5], s[6]
    q0, q1, q2, q3, q4, q5, q6 = q[0], q[1], q[2], q[3], q[4], q[5], q[6]
    for r in range(r0, r1):
        row, made = gates[t, r], dz[t, r]
        i, f, new, o, content = row[:u], row[u : 2 * u], row[2 * u : 3 * u], row[3 * u : 4 * u], row[4 * u :]
        di, df, dnew, do = made[:u], made[u : 2 * u], made[2 * u : 3 * u], made[3 * u :]
        for j in range(u):
            g = dh[r, j]
            dh[r, j] = zero
            do[j] = g * content[j] * _slope(o[j], s0, s1, s2, s3, s4, s5, s6)
            e = dc[r, j] + g * o[j] * _slope(content[j], q0, q1, q2, q3, q4, q5, q6)
            di[j] = e * new[j] * _slope(i[j], s0, s1, s2, s3, s4, s5, s6)
            dnew[j] = e * i[j] * _slope(new[j], q0, q1, q2, q3, q4, q5, q6)
            df[j] = e * _slope(f[j], s0, s1, s2, s3, s4, s5, s6)
            dc[r, j] = e * f[j]
        if before.size:
            for j in range(u):
                df[j] *= before[r, j]
        else:
            for j in range(u):
                df[j] = zero


@jit
def _lstm_rows_back(
    gy, gates, cells, c0, mask, x, batch_first, xt, wt, ut, dx, dz, dh, dc, total, slopes, inner, outer, reverse, first, r0, r1
):  # fmt: skip
    steps, units = cells.shape[0], cells.shape[2]
    for s in range(steps - 1, -1, -1):
        t = steps - 1 - s if reverse else s
        before = c0 if s == 0 else cells[t + 1 if reverse else t - 1]
        if gy.size:
            _add_rows(gy[t], dh, r0, r1)
        if mask.size:
            # Rows that are masked hand their gradients on: run by run of rows that are not.
            start = r0
            while start < r1:
                if not mask[t, start]:
                    for j in range(4 * units):
                        dz[t, start, j] = np.float32(0.0)
                    start += 1
                    continue
                end = start + 1
                while end < r1 and mask[t, end]:
                    end += 1
                _lstm_slopes(gates, t, start, end, before, dh, dc, dz, slopes[inner], slopes[outer])
                start = end
        else:
            _lstm_slopes(gates, t, r0, r1, before, dh, dc, dz, slopes[inner], slopes[outer])
        _add_up(dz[t], r0, r1, total)
        if s > 0 or first:
            _multiply(dz[t, r0:r1], ut, dh[r0:r1], 1.0)
        if wt.size:
            _multiply(dz[t, r0:r1], wt, dx[t, r0:r1], 0.0)
        if xt.size:
            _arrange(x, batch_first, t, r0, r1, xt)


@jit
def _arrange(x, batch_first, t, r0, r1, out):
    """Rows of a step of x, which is batch first, in the time-major out."""
    for r in range(r0, r1):
        for j in range(x.shape[2]):
            out[t, r, j] = x[r, t, j]


@jit
def _products(x, y, h0, dz, dw, du, reverse, j0, j1):
    """Columns j0 to j1 of dw = sum of x_t' dz_t and du = sum of h' dz_t, h the outputs before: y one step earlier."""
    steps, n, k = dz.shape
    flat = dz.reshape(steps * n, k)
    if dw.size:
        gemm(x.reshape(steps * n, x.shape[2]).T, flat[:, j0:j1], dw[:, j0:j1], 0.0)
    if du.size:
        outputs = y.reshape(steps * n, y.shape[2])
        count = (steps - 1) * n
        at = steps - 1 if reverse else 0
        if reverse:
            gemm(outputs[n:].T, flat[:count, j0:j1], du[:, j0:j1], 0.0)
        else:
            gemm(outputs[:count].T, flat[n:, j0:j1], du[:, j0:j1], 0.0)
        if h0.size:
            gemm(h0.T, dz[at][:, j0:j1], du[:, j0:j1], 1.0)


@jit(parallel=True)
def lstm_grad(
    gy, gates, cells, h0, c0, mask, x, batch_first, w, u, y, slopes,
    xt, wt, ut, dz, sums, dx, dw, du, db, dh, dc, first, inner, outer, reverse, parts,
):  # fmt: skip
    """Gradients of `lstm`: of x in dx (time-major), of the weights in dw, du, db, of the states before in dh, dc.

    dh, dc: (n, units): gradients of the states after the steps, then those before them (dh only if ``first``).
    gy: (steps, n, units) or empty. Not wanted are dx where wt is empty, dw and du where they are.
    xt: (steps, n, d) to work in if x is batch first and dw is wanted. wt: as w turned; ut: as u turned.
    dz: (steps, n, 4 units) gets the gradients of the sums. sums: (parts, 4 units).
    """
    held = hold()
    n, k = dz.shape[1], dz.shape[2]
    for p in prange(2):
        if p == 0:
            _turn(u, ut)
        elif wt.size:
            _turn(w, wt)
    for p in prange(parts):
        begin, end = share(n, parts, p)
        tile = _tiles(end - begin)
        sums[p] = 0.0
        for r0 in range(begin, end, tile):
            r1 = min(r0 + tile, end)
            _lstm_rows_back(
                gy, gates, cells, c0, mask, x, batch_first, xt, wt, ut, dx, dz, dh, dc, sums[p], slopes, inner, outer,
                reverse, first, r0, r1,
            )  # fmt: skip
    for p in prange(parts):
        j0, j1 = share(k, parts, p)
        _products(xt if xt.size else x, y, h0, dz, dw, du, reverse, j0, j1)
        for j in range(j0, j1):
            v = np.float32(0.0)
            for q in range(parts):
                v += sums[q, j]
            db[j] = v
    release(held)
