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
from autotensor.kernels.scalar import sigmoid_f32, tanh_f32
from autotensor.kernels.threads import share

ACTIVATIONS = ("linear", "tanh", "sigmoid", "hard_sigmoid", "relu")
"""The activations that kernels know; their code is the place in this list. Each one more is a loop in every kernel."""

_LINEAR, _TANH, _SIGMOID = range(3)
_INF = float("inf")

# scale, offset, lowest and highest value of those that are a straight line: min(max(scale x + offset, low), high)
_LINES = np.array(
    [[1, 0, -_INF, _INF], [0, 0, 0, 0], [0, 0, 0, 0], [0.2, 0.5, 0, 1], [1, 0, 0, _INF]],
    np.float32,
)

SLOPES = np.array(
    [[1, 0, 0, -_INF, _INF], [1, 0, -1, -_INF, _INF], [0, 1, -1, -_INF, _INF], [0.2, 0, 0, 0, 1], [1, 0, 0, 0, _INF]]
)
"""Derivative of each activation by its result y: a + b y + c y**2 between the last two numbers, 0 elsewhere."""

SLOPES_F32 = SLOPES.astype(np.float32)
"""The same for kernels."""

# OpenBLAS multiplies without packing up to so many multiplications, at full speed: tiles are made to stay below. On
# AVX-512, 115 GFLOP/s on one core for 8 x 128 x 512 against 66 for 16 x 128 x 512.
_SMALL = 1_000_000
_ROWS = 12
# So many steps of a tile meet the weights of the inputs one after the other, then those of the states: either stay in
# the second cache meanwhile.
_CHUNK = 8


@jit(inline=True)
def _tiles(n):
    """Rows of a tile when n rows are gone through in equal tiles; BLAS likes multiples of 4."""
    count = (n + _ROWS - 1) // _ROWS
    return ((n + count - 1) // count + 3) // 4 * 4


@jit
def _multiply(a, b, out, beta):
    """out = a @ b + beta * out, by columns so that each product is a small one.

    Give it slices by two indices (``h[r0:r1, :]``): to Numba they are of one type, so this is compiled once.
    """
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
    scale, offset, low, high = _LINES[code, 0], _LINES[code, 1], _LINES[code, 2], _LINES[code, 3]
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
        else:
            for j in range(len(shift)):
                v = scale * (row[j] + shift[j]) + offset
                v = low if v < low else v
                row[j] = high if v > high else v


@jit(inline=True)
def _slope(y, a, b, c, low, high):
    """Derivative of an activation from its result y and its row of SLOPES."""
    d = a + y * (b + y * c)
    return np.float32(0.0) if (y <= low) | (y >= high) else d


@jit
def _project(x, batch_first, t, r0, r1, w, out):
    """out = x_t @ w for a tile of rows; the rows of x themselves where w is empty."""
    rows = x[r0:r1, t, :] if batch_first else x[t, r0:r1, :]
    if w.size:
        _multiply(rows, w[:, :], out, 0.0)
    else:
        for r in range(r1 - r0):
            for j in range(x.shape[2]):
                out[r, j] = rows[r, j]


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


@jit
def _arrange(x, batch_first, t, r0, r1, out):
    """Rows of a step of x, which is batch first, in the time-major out."""
    for r in range(r0, r1):
        for j in range(x.shape[2]):
            out[t, r, j] = x[r, t, j]


@jit
def _by_inputs(x, dz, dw, j0, j1):
    """Columns j0 to j1 of dw = the sum of x_t' dz_t."""
    rows = x.shape[0] * x.shape[1]
    gemm(x.reshape(rows, x.shape[2]).T, dz.reshape(rows, dz.shape[2])[:, j0:j1], dw[:, j0:j1], 0.0)


@jit
def _by_outputs(y, h0, dz, du, reverse, j0, j1, k0):
    """Columns j0 to j1 of du = the sum of h' dz_t, h the outputs before; those of dz begin at k0."""
    steps, n, k = dz.shape
    k1 = k0 + j1 - j0
    sums, outputs = dz.reshape(steps * n, k), y.reshape(steps * n, y.shape[2])
    count = (steps - 1) * n
    if reverse:
        gemm(outputs[n:].T, sums[:count, k0:k1], du[:, j0:j1], 0.0)
    else:
        gemm(outputs[:count].T, sums[n:, k0:k1], du[:, j0:j1], 0.0)
    if h0.size:
        gemm(h0.T, dz[steps - 1 if reverse else 0][:, k0:k1], du[:, j0:j1], 1.0)


@jit
def _weights(x, xt, y, h0, dz, dw, du, reverse, parts, p):
    """A part of the columns of dw and du."""
    j0, j1 = share(dz.shape[2], parts, p)
    if dw.size:
        _by_inputs(xt if xt.size else x, dz, dw, j0, j1)
    if du.size:
        _by_outputs(y, h0, dz, du, reverse, j0, j1, j0)


@jit
def _add_parts(sums, total):
    """The sum over the parts, in their order."""
    for j in range(len(total)):
        v = sums[0, j]
        for p in range(1, len(sums)):
            v += sums[p, j]
        total[j] = v


@jit
def _next_run(mask, t, start, last):
    """The first run of rows, from ``start`` on, whose step counts: its first row and the one behind it."""
    if not mask.size:
        return start, last
    while start < last and not mask[t, start]:
        start += 1
    end = start
    while end < last and mask[t, end]:
        end += 1
    return start, end


@jit
def _clear_masked(mask, x, t, r0, r1):
    """0 in the masked rows of x[t]."""
    for r in range(r0, r1):
        if not mask[t, r]:
            for j in range(x.shape[2]):
                x[t, r, j] = np.float32(0.0)


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
def _lstm_rows(x, batch_first, w, u, b, h0, mask, y, c, gates, cells, kept, inner, outer, reverse, parts, p):
    """All steps of a part of the rows."""
    steps, units = y.shape[0], y.shape[2]
    first_row, last_row = share(y.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            at = t if len(gates) == steps else 0
            h = h0 if s == 0 else y[t + 1 if reverse else t - 1]
            sums = gates[at, r0:r1, : 4 * units]
            if len(gates) < steps:
                _project(x, batch_first, t, r0, r1, w, sums)
            elif s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps)):
                    k = steps - 1 - q if reverse else q
                    _project(x, batch_first, k, r0, r1, w, gates[k, r0:r1, : 4 * units])
            if h.size:
                _multiply(h[r0:r1, :], u[:, :], sums, 1.0)
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
    for p in prange(parts):
        _lstm_rows(
            x, batch_first, w, u, b, h0, mask, y, c, gates, cells, kept, inner, outer, reverse, parts, np.int64(p)
        )  # fmt: skip
    release(held)


@jit
def _lstm_slopes(gates, t, r0, r1, before, dh, dc, dz, s, q):
    """Gradients of the sums of a tile in dz[t], of the memory before in dc; dh becomes 0.

    s, q: the SLOPES of the activations of gates and of content. before: memory before the step, empty for zeros.
    """
    u = dc.shape[1]
    zero = np.float32(0.0)
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    for r in range(r0, r1):
        row, made = gates[t, r], dz[t, r]
        i, f, new, o, content = row[:u], row[u : 2 * u], row[2 * u : 3 * u], row[3 * u : 4 * u], row[4 * u :]
        di, df, dnew, do = made[:u], made[u : 2 * u], made[2 * u : 3 * u], made[3 * u :]
        for j in range(u):
            g = dh[r, j]
            dh[r, j] = zero
            do[j] = g * content[j] * _slope(o[j], s0, s1, s2, s3, s4)
            e = dc[r, j] + g * o[j] * _slope(content[j], q0, q1, q2, q3, q4)
            di[j] = e * new[j] * _slope(i[j], s0, s1, s2, s3, s4)
            dnew[j] = e * i[j] * _slope(new[j], q0, q1, q2, q3, q4)
            df[j] = e * _slope(f[j], s0, s1, s2, s3, s4)
            dc[r, j] = e * f[j]
        if before.size:
            for j in range(u):
                df[j] *= before[r, j]
        else:
            for j in range(u):
                df[j] = zero


@jit
def _lstm_rows_back(
    gy, gates, cells, c0, mask, x, batch_first, xt, wt, ut, dx, dz, dh, dc, sums, slopes, inner, outer, reverse, first,
    parts, p,
):  # fmt: skip
    """All steps of a part of the rows, backward."""
    steps = len(cells)
    total = sums[p]
    total.fill(np.float32(0.0))
    first_row, last_row = share(cells.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if reverse else s
            before = c0 if s == 0 else cells[t + 1 if reverse else t - 1]
            if gy.size:
                _add_rows(gy[t], dh, r0, r1)
            if mask.size:
                _clear_masked(mask, dz, t, r0, r1)
            start, end = _next_run(mask, t, r0, r1)
            while start < end:
                _lstm_slopes(gates, t, start, end, before, dh, dc, dz, slopes[inner], slopes[outer])
                start, end = _next_run(mask, t, end, r1)
            _add_up(dz[t], r0, r1, total)
            if s > 0 or first:
                _multiply(dz[t, r0:r1, :], ut[:, :], dh[r0:r1, :], 1.0)
            if wt.size and s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps)):
                    k = steps - 1 - q if reverse else q
                    _multiply(dz[k, r0:r1, :], wt[:, :], dx[k, r0:r1, :], 0.0)
            if xt.size:
                _arrange(x, batch_first, t, r0, r1, xt)


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
    _turn(u, ut)
    if wt.size:
        _turn(w, wt)
    for p in prange(parts):
        _lstm_rows_back(
            gy, gates, cells, c0, mask, x, batch_first, xt, wt, ut, dx, dz, dh, dc, sums, slopes, inner, outer, reverse,
            first, parts, np.int64(p),
        )  # fmt: skip
    for p in prange(parts):
        _weights(x, xt, y, h0, dz, dw, du, reverse, parts, np.int64(p))
    _add_parts(sums, db)
    release(held)


# -- GRU: gates (steps, n, 4 * units) hold z, r, the new content and what r multiplied: r h, or h U_h + b if after


@jit
def _gru_reset(gates, t, r0, r1, h):
    """The last part of the gates is r h."""
    u = gates.shape[2] // 4
    for r in range(r0, r1):
        reset, kept = gates[t, r, u : 2 * u], gates[t, r, 3 * u :]
        if h.size:
            for j in range(u):
                kept[j] = reset[j] * h[r, j]
        else:
            for j in range(u):
                kept[j] = np.float32(0.0)


@jit
def _gru_reset_after(gates, t, r0, r1):
    """The sums of the new content get r times the last part of the gates."""
    u = gates.shape[2] // 4
    for r in range(r0, r1):
        reset, new, inner = gates[t, r, u : 2 * u], gates[t, r, 2 * u : 3 * u], gates[t, r, 3 * u :]
        for j in range(u):
            new[j] += reset[j] * inner[j]


@jit
def _gru_output(gates, t, r0, r1, h, y):
    """y = z h + (1 - z) new."""
    u = y.shape[1]
    for r in range(r0, r1):
        z, new = gates[t, r, :u], gates[t, r, 2 * u : 3 * u]
        if h.size:
            for j in range(u):
                y[r, j] = new[j] + z[j] * (h[r, j] - new[j])
        else:
            for j in range(u):
                y[r, j] = new[j] - z[j] * new[j]


@jit
def _add_biases(b, b2):
    """b: the bias of the inputs and memory become those of z and r, of the new content, and of what r multiplies."""
    units = len(b2) // 3
    for j in range(2 * units):
        b[j] += b2[j]
    for j in range(units):
        b[3 * units + j] = b2[2 * units + j]


@jit
def _gru_rows(x, batch_first, w, u, b, h0, mask, y, gates, inner, outer, reverse, after, parts, p):
    """All steps of a part of the rows."""
    steps, units = y.shape[0], y.shape[2]
    zr, new = u[:, : 2 * units], u[:, 2 * units :]
    first_row, last_row = share(y.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            at = t if len(gates) == steps else 0
            h = h0 if s == 0 else y[t + 1 if reverse else t - 1]
            mine = gates[at, r0:r1, :]
            if len(gates) < steps:
                _project(x, batch_first, t, r0, r1, w, mine[:, : 3 * units])
            elif s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps)):
                    k = steps - 1 - q if reverse else q
                    _project(x, batch_first, k, r0, r1, w, gates[k, r0:r1, : 3 * units])
            if h.size:
                _multiply(h[r0:r1, :], zr, mine[:, : 2 * units], 1.0)
            _activate(gates, at, r0, r1, 0, 2 * units, b, inner)
            if after:
                if h.size:
                    _multiply(h[r0:r1, :], new, mine[:, 3 * units :], 0.0)
                else:
                    for r in range(r0, r1):
                        gates[at, r, 3 * units :].fill(np.float32(0.0))
                _activate(gates, at, r0, r1, 3 * units, 4 * units, b, _LINEAR)
                _gru_reset_after(gates, at, r0, r1)
            else:
                _gru_reset(gates, at, r0, r1, h)
                if h.size:
                    _multiply(mine[:, 3 * units :], new, mine[:, 2 * units : 3 * units], 1.0)
            _activate(gates, at, r0, r1, 2 * units, 3 * units, b, outer)
            _gru_output(gates, at, r0, r1, h, y[t])
            if mask.size:
                _keep(mask, h, y[t], t, r0, r1)


@jit(parallel=True)
def gru(x, batch_first, w, u, b, b2, h0, mask, y, gates, inner, outer, reverse, after, parts):
    """The outputs y (steps, n, units) of all steps.

    b: (4 units): the bias of the inputs, and memory. b2: (3 units), the bias of the states; zeros if not ``after``.
    gates: (steps, n, 4 units) is what `gru_grad` needs; (1, n, 4 units) will do without it. The others are those of
    `lstm`.
    """
    held = hold()
    _add_biases(b, b2)
    for p in prange(parts):
        _gru_rows(x, batch_first, w, u, b, h0, mask, y, gates, inner, outer, reverse, after, parts, np.int64(p))
    release(held)


@jit
def _gru_slopes(gates, t, r0, r1, h, dh, dz, di, after, s, q):
    """Gradients of the sums of a tile in dz[t], that of r only if ``after``; dh becomes z dh.

    di[t] gets the gradient of what r multiplies, if ``after``.
    """
    u = dh.shape[1]
    one = np.float32(1.0)
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    for r in range(r0, r1):
        row, made = gates[t, r], dz[t, r]
        z, reset, new, inner = row[:u], row[u : 2 * u], row[2 * u : 3 * u], row[3 * u :]
        of_z, of_r, of_new = made[:u], made[u : 2 * u], made[2 * u :]
        if h.size:
            for j in range(u):
                of_z[j] = dh[r, j] * (h[r, j] - new[j]) * _slope(z[j], s0, s1, s2, s3, s4)
        else:
            for j in range(u):
                of_z[j] = -dh[r, j] * new[j] * _slope(z[j], s0, s1, s2, s3, s4)
        for j in range(u):
            of_new[j] = dh[r, j] * (one - z[j]) * _slope(new[j], q0, q1, q2, q3, q4)
            dh[r, j] *= z[j]
        if after:
            for j in range(u):
                of_r[j] = of_new[j] * inner[j] * _slope(reset[j], s0, s1, s2, s3, s4)
                di[t, r, j] = of_new[j] * reset[j]


@jit
def _gru_reset_slopes(gates, t, r0, r1, h, di, dh, dz, s):
    """The gradient of r in dz[t] from that of r h in di[t], whose share dh gets."""
    u = dh.shape[1]
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    for r in range(r0, r1):
        reset, of_r = gates[t, r, u : 2 * u], dz[t, r, u : 2 * u]
        for j in range(u):
            dh[r, j] += di[t, r, j] * reset[j]
        if h.size:
            for j in range(u):
                of_r[j] = di[t, r, j] * h[r, j] * _slope(reset[j], s0, s1, s2, s3, s4)
        else:
            for j in range(u):
                of_r[j] = np.float32(0.0)


@jit
def _gru_rows_back(
    gy, gates, h0, mask, x, batch_first, y, xt, wt, ut, dx, dz, di, dh, sums, slopes, inner, outer, reverse, after,
    first, parts, p,
):  # fmt: skip
    """All steps of a part of the rows, backward."""
    steps, units = y.shape[0], y.shape[2]
    total = sums[p]
    total.fill(np.float32(0.0))
    first_row, last_row = share(y.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if reverse else s
            h = h0 if s == 0 else y[t + 1 if reverse else t - 1]
            if gy.size:
                _add_rows(gy[t], dh, r0, r1)
            if mask.size:
                _clear_masked(mask, dz, t, r0, r1)
                _clear_masked(mask, di, t, r0, r1)
            start, end = _next_run(mask, t, r0, r1)
            while start < end:
                _gru_slopes(gates, t, start, end, h, dh, dz, di, after, slopes[inner], slopes[outer])
                if not after:
                    _multiply(dz[t, start:end, 2 * units :], ut[2 * units :, :], di[t, start:end, :], 0.0)
                    _gru_reset_slopes(gates, t, start, end, h, di, dh, dz, slopes[inner])
                start, end = _next_run(mask, t, end, r1)
            _add_up(dz[t], r0, r1, total[: 3 * units])
            if after:
                _add_up(di[t], r0, r1, total[3 * units :])
            if s > 0 or first:
                _multiply(dz[t, r0:r1, : 2 * units], ut[: 2 * units, :], dh[r0:r1, :], 1.0)
                if after:
                    _multiply(di[t, r0:r1, :], ut[2 * units :, :], dh[r0:r1, :], 1.0)
            if wt.size and s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps)):
                    k = steps - 1 - q if reverse else q
                    _multiply(dz[k, r0:r1, :], wt[:, :], dx[k, r0:r1, :], 0.0)
            if xt.size:
                _arrange(x, batch_first, t, r0, r1, xt)


@jit
def _gru_weights(x, xt, gates, y, h0, dz, di, dw, du, reverse, after, parts, p):
    """A part of the columns of dw and du."""
    steps, n, units = y.shape
    rows, split = steps * n, 2 * units
    j0, j1 = share(3 * units, parts, p)
    if dw.size:
        _by_inputs(xt if xt.size else x, dz, dw, j0, j1)
    if du.size:
        if j0 < split:
            _by_outputs(y, h0, dz, du, reverse, j0, min(j1, split), j0)
        j0 = max(j0, split)
        if j0 < j1 and after:
            _by_outputs(y, h0, di, du, reverse, j0, j1, j0 - split)
        elif j0 < j1:
            kept = gates.reshape(rows, 4 * units)[:, 3 * units :]
            gemm(kept.T, dz.reshape(rows, 3 * units)[:, j0:j1], du[:, j0:j1], 0.0)


@jit(parallel=True)
def gru_grad(
    gy, gates, h0, mask, x, batch_first, w, u, y, slopes, xt, wt, ut, dz, di, sums, dx, dw, du, db, dh, first, inner,
    outer, reverse, after, parts,
):  # fmt: skip
    """Gradients of `gru`, as `lstm_grad` gives them. di: (steps, n, units) to work in; sums: (parts, 4 units).

    db: (4 units), the last part only if ``after``.
    """
    held = hold()
    _turn(u, ut)
    if wt.size:
        _turn(w, wt)
    for p in prange(parts):
        _gru_rows_back(
            gy, gates, h0, mask, x, batch_first, y, xt, wt, ut, dx, dz, di, dh, sums, slopes, inner, outer, reverse,
            after, first, parts, np.int64(p),
        )  # fmt: skip
    for p in prange(parts):
        _gru_weights(x, xt, gates, y, h0, dz, di, dw, du, reverse, after, parts, np.int64(p))
    _add_parts(sums, db)
    release(held)


# -- the simple cell: y = activation(x w + h u + b)


@jit
def _rnn_rows(x, batch_first, w, u, b, h0, mask, y, code, reverse, parts, p):
    """All steps of a part of the rows."""
    steps, units = y.shape[0], y.shape[2]
    first_row, last_row = share(y.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            h = h0 if s == 0 else y[t + 1 if reverse else t - 1]
            _project(x, batch_first, t, r0, r1, w, y[t, r0:r1, :units])
            if h.size:
                _multiply(h[r0:r1, :], u[:, :], y[t, r0:r1, :units], 1.0)
            _activate(y, t, r0, r1, 0, units, b, code)
            if mask.size:
                _keep(mask, h, y[t], t, r0, r1)


@jit(parallel=True)
def simple_rnn(x, batch_first, w, u, b, h0, mask, y, code, reverse, parts):
    """The outputs y (steps, n, units) of all steps; the others are those of `lstm`."""
    held = hold()
    for p in prange(parts):
        _rnn_rows(x, batch_first, w, u, b, h0, mask, y, code, reverse, parts, np.int64(p))
    release(held)


@jit
def _rnn_slopes(y, t, r0, r1, dh, dz, s):
    """Gradients of the sums of a tile in dz[t]; dh becomes 0."""
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    for r in range(r0, r1):
        for j in range(dh.shape[1]):
            dz[t, r, j] = dh[r, j] * _slope(y[t, r, j], s0, s1, s2, s3, s4)
            dh[r, j] = np.float32(0.0)


@jit
def _rnn_rows_back(gy, mask, x, batch_first, y, xt, wt, ut, dx, dz, dh, sums, slope, reverse, first, parts, p):
    """All steps of a part of the rows, backward."""
    steps = len(y)
    total = sums[p]
    total.fill(np.float32(0.0))
    first_row, last_row = share(y.shape[1], parts, p)
    tile = _tiles(last_row - first_row)
    for r0 in range(first_row, last_row, tile):
        r1 = min(r0 + tile, last_row)
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if reverse else s
            if gy.size:
                _add_rows(gy[t], dh, r0, r1)
            if mask.size:
                _clear_masked(mask, dz, t, r0, r1)
            start, end = _next_run(mask, t, r0, r1)
            while start < end:
                _rnn_slopes(y, t, start, end, dh, dz, slope)
                start, end = _next_run(mask, t, end, r1)
            _add_up(dz[t], r0, r1, total)
            if s > 0 or first:
                _multiply(dz[t, r0:r1, :], ut[:, :], dh[r0:r1, :], 1.0)
            if wt.size and s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps)):
                    k = steps - 1 - q if reverse else q
                    _multiply(dz[k, r0:r1, :], wt[:, :], dx[k, r0:r1, :], 0.0)
            if xt.size:
                _arrange(x, batch_first, t, r0, r1, xt)


@jit(parallel=True)
def simple_rnn_grad(
    gy, h0, mask, x, batch_first, w, u, y, slopes, xt, wt, ut, dz, sums, dx, dw, du, db, dh, first, code, reverse, parts
):  # fmt: skip
    """Gradients of `simple_rnn`, as `lstm_grad` gives them. dz: (steps, n, units); sums: (parts, units)."""
    held = hold()
    _turn(u, ut)
    if wt.size:
        _turn(w, wt)
    for p in prange(parts):
        _rnn_rows_back(
            gy, mask, x, batch_first, y, xt, wt, ut, dx, dz, dh, sums, slopes[code], reverse, first, parts, np.int64(p)
        )  # fmt: skip
    for p in prange(parts):
        _weights(x, xt, y, h0, dz, dw, du, reverse, parts, np.int64(p))
    _add_parts(sums, db)
    release(held)
