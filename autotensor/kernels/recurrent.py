"""Recurrent cells over whole sequences, forward and backward, in one call each; float32, on the BLAS of `blas`.

Sequences are time-major: (steps, n, ...). Each part of the batch runs through all steps on its own, in tiles of a few
rows: a tile's gates, states and gradients stay in the first caches, and no thread waits for another between steps. A
step is two small products (inputs and states with their weights) and a few loops over the tile, whose sigmoid and
tanh are those of `scalar` (2.4 and 2.3 ulp of float32 from the exact value). The gradients of the weights are one
product over all steps each, shared by threads by columns.

Each cell is a `task` whose row holds the addresses of its arrays (0 for one that the call does not need) and its
sizes: code on addresses, without threads of its own, compiles in a quarter of the time of the same loops on arrays in a
kernel with them. The tasks' stages are those of `tasks.staged`; the functions `lstm`, `gru` and `simple_rnn`, and
those with ``_grad``, bind them to C-contiguous float32 arrays. Arrays that a call does not need are given empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autotensor.kernels.blas import hold, release, sgemm
from autotensor.kernels.calls import Call
from autotensor.kernels.jit import jit, pointer, task
from autotensor.kernels.scalar import sigmoid_f32, tanh_f32
from autotensor.kernels.tasks import staged
from autotensor.kernels.threads import share

ACTIVATIONS = ("linear", "tanh", "sigmoid", "hard_sigmoid", "relu")
"""The activations that kernels know; their code is the place in this list."""

_LINEAR, _TANH, _SIGMOID, _HARD_SIGMOID = range(4)
_INF = float("inf")

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

# Stages of a task.
_BEGIN, _STEPS, _WEIGHTS = range(3)


def _bound(entry: object, arrays: Sequence[np.ndarray], numbers: Sequence[int], parts: Sequence[int]) -> Call:
    """The call of a task, whose row is the addresses, the numbers, the parts of the steps and a place for `hold`."""
    addresses = [a.ctypes.data if a.size else 0 for a in arrays]
    row = np.array([*addresses, *[int(k) for k in numbers], parts[1], 0], np.int64)
    return staged(entry, row, parts, arrays)


# -- loops over the rows of a tile. Sizes are in numbers, not bytes. Those that are given addresses multiply; the others
#    are given pointers, of which the compiler knows that they do not overlap.


@jit(inline=True)
def _at(address, offset):
    """Pointer to the number at an offset."""
    return pointer(address + 4 * offset, np.float32)


@jit(inline=True)
def _tiles(n):
    """Rows of a tile when n rows are gone through in equal tiles; BLAS likes multiples of 4."""
    count = (n + _ROWS - 1) // _ROWS
    return ((n + count - 1) // count + 3) // 4 * 4


@jit(cached=False)
def _multiply(a, lda, b, ldb, out, ldc, m, k, n, beta):
    """out (m, n) = a (m, k) @ b (k, n) + beta * out, by columns so that each product is a small one.

    lda, ldb, ldc: from one row to the next.
    """
    columns = _SMALL // max(1, m * k) // 64 * 64
    columns = columns if columns >= 64 else max(1, n)
    j = 0
    while j < n:
        sgemm(False, m, min(columns, n - j), k, a, lda, b + 4 * j, ldb, beta, out + 4 * j, ldc)
        j += columns


@jit(cached=False)
def _turn(x, out, m, n):
    """out (n, m) = x.T, x (m, n), in blocks of lines of the cache."""
    for i in range(0, m, 16):
        for j in range(n):
            for k in range(i, min(i + 16, m)):
                out[j * m + k] = x[k * n + j]


@jit(cached=False)
def _activate(x, apart, rows, columns, b, code):
    """Rows of x become activation(x + b), in place."""
    scale = np.float32(0.2) if code == _HARD_SIGMOID else np.float32(1.0)
    offset = np.float32(0.5) if code == _HARD_SIGMOID else np.float32(0.0)
    low = np.float32(-_INF) if code == _LINEAR else np.float32(0.0)
    high = np.float32(1.0) if code == _HARD_SIGMOID else np.float32(_INF)
    for r in range(rows):
        i = r * apart
        if code == _TANH:
            for j in range(columns):
                x[i + j] = tanh_f32(x[i + j] + b[j])
        elif code == _SIGMOID:
            for j in range(columns):
                x[i + j] = sigmoid_f32(x[i + j] + b[j])
        else:
            for j in range(columns):
                v = scale * (x[i + j] + b[j]) + offset
                v = low if v < low else v
                x[i + j] = high if v > high else v


@jit(inline=True)
def _slope(y, a, b, c, low, high):
    """Derivative of an activation from its result y and its row of SLOPES."""
    d = a + y * (b + y * c)
    return np.float32(0.0) if (y <= low) | (y >= high) else d


@jit(cached=False)
def _copy(source, source_apart, target, target_apart, rows, columns):
    for r in range(rows):
        for j in range(columns):
            target[r * target_apart + j] = source[r * source_apart + j]


@jit(cached=False)
def _project(x, batch_first, steps, n, d, t, r0, rows, w, out, apart, columns):
    """out = x_t @ w for a tile of rows from r0 on; the rows of x themselves without w. All addresses."""
    start = x + 4 * ((r0 * steps + t) * d if batch_first else (t * n + r0) * d)
    x_apart = steps * d if batch_first else d
    if w:
        _multiply(start, x_apart, w, columns, out, apart, rows, d, columns, 0.0)
    else:
        _copy(_at(start, 0), x_apart, _at(out, 0), apart, rows, columns)


@jit(cached=False)
def _keep(mask, before, given, now, rows, columns):
    """Rows whose step is masked stay as they were; zeros if nothing is ``given``."""
    for r in range(rows):
        if not mask[r]:
            for j in range(columns):
                now[r * columns + j] = before[r * columns + j] if given else np.float32(0.0)


@jit(cached=False)
def _clear_masked(mask, x, rows, columns):
    for r in range(rows):
        if not mask[r]:
            for j in range(columns):
                x[r * columns + j] = np.float32(0.0)


@jit(cached=False)
def _add(source, target, rows, columns, target_apart):
    """Add rows to those of the target; to one and the same if these are 0 apart."""
    for r in range(rows):
        for j in range(columns):
            target[r * target_apart + j] += source[r * columns + j]


@jit(cached=False)
def _clear(x, n):
    for j in range(n):
        x[j] = np.float32(0.0)


@jit(cached=False)
def _next_run(mask, start, last):
    """The first run of rows, from ``start`` on, whose step counts: its first row and the one behind it."""
    if mask == 0:
        return start, last
    counts = pointer(mask, np.uint8)
    while start < last and not counts[start]:
        start += 1
    end = start
    while end < last and counts[end]:
        end += 1
    return start, end


@jit(cached=False)
def _to_inputs(s, steps, n, d, k, reverse, batch_first, r0, rows, dz, wt, dx, x, xt):
    """After step s backward: the gradients of x of a chunk of steps, and x_t in the time-major xt. All addresses."""
    if wt and s % _CHUNK == 0:
        for q in range(s, min(s + _CHUNK, steps)):
            i = (steps - 1 - q if reverse else q) * n + r0
            _multiply(dz + 4 * i * k, k, wt, d, dx + 4 * i * d, d, rows, k, d, 0.0)
    if xt:
        t = steps - 1 - s if reverse else s
        _copy(_at(x, (r0 * steps + t) * d), steps * d, _at(xt, (t * n + r0) * d), d, rows, d)


@jit(cached=False)
def _by_inputs(x, dz, dw, steps, n, d, k, j0, j1):
    """Columns j0 to j1 of dw (d, k) = the sum of x_t' dz_t. All addresses."""
    sgemm(True, d, j1 - j0, steps * n, x, d, dz + 4 * j0, k, 0.0, dw + 4 * j0, k)


@jit(cached=False)
def _by_outputs(y, h0, dz, k, du, width, columns, steps, n, units, reverse):
    """So many columns of du = the sum of h' dz_t, h the outputs before.

    All addresses, of the first column; rows of dz are k apart, those of du ``width``.
    """
    later, beside = 4 * n * units, 4 * n * k
    rows = (steps - 1) * n
    y, first = (y + later, dz) if reverse else (y, dz + beside)
    sgemm(True, units, columns, rows, y, units, first, k, 0.0, du, width)
    if h0:
        of_first = dz + beside * (steps - 1) if reverse else dz
        sgemm(True, units, columns, n, h0, units, of_first, k, 1.0, du, width)


@jit(cached=False)
def _add_parts(sums, total, parts, n):
    """The sum over the parts, in their order."""
    for j in range(n):
        v = sums[j]
        for p in range(1, parts):
            v += sums[p * n + j]
        total[j] = v


# -- LSTM: gates (steps, n, 5 * units) hold i, f, the new content, o and the activated memory


@jit(cached=False)
def _lstm_content(i, f, new, content, c, apart, rows, units):
    """c = f c + i new, and a copy of it behind the gates."""
    for r in range(rows):
        g, k = r * apart, r * units
        for j in range(units):
            v = f[g + j] * c[k + j] + i[g + j] * new[g + j]
            c[k + j] = v
            content[g + j] = v


@jit(cached=False)
def _lstm_output(o, content, y, apart, rows, units):
    """y = o times the activated memory."""
    for r in range(rows):
        for j in range(units):
            y[r * units + j] = o[r * apart + j] * content[r * apart + j]


@task
def _lstm(row, stage, _, p):
    x, w, u, b, h0, mask, y, c = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
    gates, cells, kept, steps, n, d, units = row[8], row[9], row[10], row[11], row[12], row[13], row[14]
    batch_first, saved, inner, outer, reverse, parts = row[15], row[16], row[17], row[18], row[19], row[20]
    if stage == _BEGIN:
        row[21] = hold()
        return
    if stage > _STEPS:
        release(row[21])
        return
    k, apart = 4 * units, 5 * units
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            h = y + 4 * ((t + 1 if reverse else t - 1) * n * units + states)
            if s == 0:
                h = h0 + 4 * states if h0 else 0
            now = y + 4 * (t * n * units + states)
            sums = gates + 4 * ((t * n if saved else 0) + r0) * apart
            if not saved or s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps) if saved else s + 1):
                    i = steps - 1 - q if reverse else q
                    out = gates + 4 * ((i * n if saved else 0) + r0) * apart
                    _project(x, batch_first, steps, n, d, i, r0, rows, w, out, apart, k)
            if h:
                _multiply(h, units, u, k, sums, apart, rows, units, k, 1.0)
            if mask:
                _copy(_at(c, states), units, _at(kept, states), units, rows, units)
            _activate(_at(sums, 0), apart, rows, 2 * units, _at(b, 0), inner)
            _activate(_at(sums, 2 * units), apart, rows, units, _at(b, 2 * units), outer)
            _activate(_at(sums, 3 * units), apart, rows, units, _at(b, 3 * units), inner)
            _lstm_content(
                _at(sums, 0), _at(sums, units), _at(sums, 2 * units), _at(sums, k), _at(c, states), apart, rows, units
            )
            _activate(_at(sums, k), apart, rows, units, _at(b, k), outer)
            _lstm_output(_at(sums, 3 * units), _at(sums, k), _at(now, 0), apart, rows, units)
            if mask:
                counts = pointer(mask + t * n + r0, np.uint8)
                _keep(counts, _at(h, 0), h, _at(now, 0), rows, units)
                _keep(counts, _at(kept, states), 1, _at(c, states), rows, units)
            if cells:
                _copy(_at(c, states), units, _at(cells, t * n * units + states), units, rows, units)
        r0 += rows


def lstm(
    x: np.ndarray, batch_first: bool, w: np.ndarray, u: np.ndarray, b: np.ndarray, h0: np.ndarray, mask: np.ndarray,
    y: np.ndarray, c: np.ndarray, gates: np.ndarray, cells: np.ndarray, kept: np.ndarray, inner: int, outer: int,
    reverse: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the outputs y (steps, n, units) of all steps; c (n, units) is the memory before, then after them.

    x: (steps, n, d), or (n, steps, d) if ``batch_first``. w: (d, 4 units), or empty where x is x @ w already.
    b: the 4 units numbers of the bias and units zeros. h0: (n, units) or empty for zeros. mask: (steps, n) or empty.
    gates: (steps, n, 5 units) and cells: (steps, n, units) are what `lstm_grad` needs; gates (1, n, 5 units) and cells
    empty will do without it. kept: (n, units) to work in, empty without a mask. inner, outer: codes of the activations
    of gates and of content.
    """
    steps, n, units = y.shape
    numbers = (steps, n, x.shape[2], units, batch_first, len(gates) == steps, inner, outer, reverse)
    return _bound(_lstm, (x, w, u, b, h0, mask, y, c, gates, cells, kept), numbers, (1, parts, 1))


@jit(cached=False)
def _lstm_slopes(i, f, new, o, content, di, df, dnew, do, before, given, dh, dc, rows, units, s, q):
    """Gradients of the sums of a tile, of the memory before in dc; dh becomes 0.

    s, q: the SLOPES of the activations of gates and of content. before: memory before the step, if it is ``given``.
    """
    zero = np.float32(0.0)
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    for r in range(rows):
        a, z, h = 5 * units * r, 4 * units * r, units * r
        for j in range(units):
            g = dh[h + j]
            dh[h + j] = zero
            do[z + j] = g * content[a + j] * _slope(o[a + j], s0, s1, s2, s3, s4)
            e = dc[h + j] + g * o[a + j] * _slope(content[a + j], q0, q1, q2, q3, q4)
            di[z + j] = e * new[a + j] * _slope(i[a + j], s0, s1, s2, s3, s4)
            dnew[z + j] = e * i[a + j] * _slope(new[a + j], q0, q1, q2, q3, q4)
            df[z + j] = e * _slope(f[a + j], s0, s1, s2, s3, s4)
            dc[h + j] = e * f[a + j]
        if given:
            for j in range(units):
                df[z + j] *= before[h + j]
        else:
            for j in range(units):
                df[z + j] = zero


@task
def _lstm_back(row, stage, _, p):
    gy, gates, cells, h0, c0, mask, x, w, u = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
    y, slopes, xt, wt, ut, dz, sums, dx = row[9], row[10], row[11], row[12], row[13], row[14], row[15], row[16]
    dw, du, db, dh, dc, steps, n, d, units = (
        row[17], row[18], row[19], row[20], row[21], row[22], row[23], row[24], row[25],
    )  # fmt: skip
    batch_first, first, inner, outer, reverse, parts = row[26], row[27], row[28], row[29], row[30], row[31]
    k = 4 * units
    if stage == _BEGIN:
        row[32] = hold()
        _turn(_at(u, 0), _at(ut, 0), units, k)
        if wt:
            _turn(_at(w, 0), _at(wt, 0), d, k)
        return
    if stage == _WEIGHTS:
        j0, j1 = share(k, parts, p)
        if dw:
            _by_inputs(xt if xt else x, dz, dw, steps, n, d, k, j0, j1)
        if du:
            _by_outputs(y, h0, dz + 4 * j0, k, du + 4 * j0, k, j1 - j0, steps, n, units, reverse)
        return
    if stage > _WEIGHTS:
        _add_parts(_at(sums, 0), _at(db, 0), parts, k)
        release(row[32])
        return
    _clear(_at(sums, p * k), k)
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if reverse else s
            i = t * n + r0
            before = cells + 4 * ((t + 1 if reverse else t - 1) * n * units + states)
            if s == 0:
                before = c0 + 4 * states if c0 else 0
            if gy:
                _add(_at(gy, i * units), _at(dh, states), rows, units, units)
            masks = 0
            if mask:
                masks = mask + i
                _clear_masked(pointer(masks, np.uint8), _at(dz, i * k), rows, k)
            start, end = _next_run(masks, 0, rows)
            while start < end:
                a, z, m = gates + 20 * (i + start) * units, dz + 4 * (i + start) * k, start * units
                _lstm_slopes(
                    _at(a, 0), _at(a, units), _at(a, 2 * units), _at(a, 3 * units), _at(a, k), _at(z, 0),
                    _at(z, units), _at(z, 2 * units), _at(z, 3 * units), _at(before, m), before, _at(dh, states + m),
                    _at(dc, states + m), end - start, units, _at(slopes, 5 * inner), _at(slopes, 5 * outer),
                )  # fmt: skip
                start, end = _next_run(masks, end, rows)
            _add(_at(dz, i * k), _at(sums, p * k), rows, k, 0)
            if s > 0 or first:
                _multiply(dz + 4 * i * k, k, ut, units, dh + 4 * states, units, rows, k, units, 1.0)
            _to_inputs(s, steps, n, d, k, reverse, batch_first, r0, rows, dz, wt, dx, x, xt)
        r0 += rows


def lstm_grad(
    gy: np.ndarray, gates: np.ndarray, cells: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: np.ndarray,
    x: np.ndarray, batch_first: bool, w: np.ndarray, u: np.ndarray, y: np.ndarray, slopes: np.ndarray, xt: np.ndarray,
    wt: np.ndarray, ut: np.ndarray, dz: np.ndarray, sums: np.ndarray, dx: np.ndarray, dw: np.ndarray, du: np.ndarray,
    db: np.ndarray, dh: np.ndarray, dc: np.ndarray, first: bool, inner: int, outer: int, reverse: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the gradients of `lstm`: of x in dx (time-major), of the weights in dw, du, db.

    dh, dc: (n, units): gradients of the states after the steps, then those before them (dh only if ``first``).
    gy: (steps, n, units) or empty. Not wanted are dx where wt is empty, dw and du where they are.
    xt: (steps, n, d) to work in if x is batch first and dw is wanted. wt: as w turned; ut: as u turned.
    dz: (steps, n, 4 units) gets the gradients of the sums. sums: (parts, 4 units).
    """
    arrays = (gy, gates, cells, h0, c0, mask, x, w, u, y, slopes, xt, wt, ut, dz, sums, dx, dw, du, db, dh, dc)
    numbers = (*cells.shape[:2], x.shape[2], len(u), batch_first, first, inner, outer, reverse)
    return _bound(_lstm_back, arrays, numbers, (1, parts, parts, 1))


# -- GRU: gates (steps, n, 4 * units) hold z, r, the new content and what r multiplied: r h, or h U_h + b if after


@jit(cached=False)
def _gru_reset(reset, kept, h, given, rows, units):
    """The last part of the gates is r h."""
    for r in range(rows):
        g = r * 4 * units
        if given:
            for j in range(units):
                kept[g + j] = reset[g + j] * h[r * units + j]
        else:
            for j in range(units):
                kept[g + j] = np.float32(0.0)


@jit(cached=False)
def _gru_reset_after(reset, new, kept, given, b, rows, units):
    """The last part of the gates gets its bias, and the sums of the new content r times that."""
    for r in range(rows):
        g = r * 4 * units
        for j in range(units):
            v = kept[g + j] + b[j] if given else b[j]
            kept[g + j] = v
            new[g + j] += reset[g + j] * v


@jit(cached=False)
def _gru_output(z, new, h, given, y, rows, units):
    """y = z h + (1 - z) new."""
    for r in range(rows):
        g, k = r * 4 * units, r * units
        if given:
            for j in range(units):
                y[k + j] = new[g + j] + z[g + j] * (h[k + j] - new[g + j])
        else:
            for j in range(units):
                y[k + j] = new[g + j] - z[g + j] * new[g + j]


@task
def _gru(row, stage, _, p):
    x, w, u, b, b2, h0, mask, y, gates = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
    steps, n, d, units, batch_first, saved = row[9], row[10], row[11], row[12], row[13], row[14]
    inner, outer, reverse, after, parts = row[15], row[16], row[17], row[18], row[19]
    k, apart = 3 * units, 4 * units
    if stage == _BEGIN:
        row[20] = hold()
        # The bias of the inputs and memory become those of z and r, of the new content, and of what r multiplies.
        _add(_at(b2, 0), _at(b, 0), 1, 2 * units, 0)
        _copy(_at(b2, 2 * units), 0, _at(b, k), 0, 1, units)
        return
    if stage > _STEPS:
        release(row[20])
        return
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            h = y + 4 * ((t + 1 if reverse else t - 1) * n * units + states)
            if s == 0:
                h = h0 + 4 * states if h0 else 0
            now = y + 4 * (t * n * units + states)
            sums = gates + 4 * ((t * n if saved else 0) + r0) * apart
            reset, new, last_gate = sums + 4 * units, sums + 8 * units, sums + 12 * units
            if not saved or s % _CHUNK == 0:
                for q in range(s, min(s + _CHUNK, steps) if saved else s + 1):
                    i = steps - 1 - q if reverse else q
                    out = gates + 4 * ((i * n if saved else 0) + r0) * apart
                    _project(x, batch_first, steps, n, d, i, r0, rows, w, out, apart, k)
            if h:
                _multiply(h, units, u, k, sums, apart, rows, units, 2 * units, 1.0)
            _activate(_at(sums, 0), apart, rows, 2 * units, _at(b, 0), inner)
            if not after:
                _gru_reset(_at(reset, 0), _at(last_gate, 0), _at(h, 0), h, rows, units)
            if h:
                _multiply(
                    h if after else last_gate, units if after else apart, u + 8 * units, k,
                    last_gate if after else new, apart, rows, units, units, 0.0 if after else 1.0,
                )  # fmt: skip
            if after:
                _gru_reset_after(_at(reset, 0), _at(new, 0), _at(last_gate, 0), h, _at(b, k), rows, units)
            _activate(_at(new, 0), apart, rows, units, _at(b, 2 * units), outer)
            _gru_output(_at(sums, 0), _at(new, 0), _at(h, 0), h, _at(now, 0), rows, units)
            if mask:
                _keep(pointer(mask + t * n + r0, np.uint8), _at(h, 0), h, _at(now, 0), rows, units)
        r0 += rows


def gru(
    x: np.ndarray, batch_first: bool, w: np.ndarray, u: np.ndarray, b: np.ndarray, b2: np.ndarray, h0: np.ndarray,
    mask: np.ndarray, y: np.ndarray, gates: np.ndarray, inner: int, outer: int, reverse: bool, after: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the outputs y (steps, n, units) of all steps.

    b: (4 units): the bias of the inputs, and memory. b2: (3 units), the bias of the states; zeros if not ``after``.
    gates: (steps, n, 4 units) is what `gru_grad` needs; (1, n, 4 units) will do without it. The others are those of
    `lstm`.
    """
    steps, n, units = y.shape
    numbers = (steps, n, x.shape[2], units, batch_first, len(gates) == steps, inner, outer, reverse, after)
    return _bound(_gru, (x, w, u, b, b2, h0, mask, y, gates), numbers, (1, parts, 1))


@jit(cached=False)
def _gru_slopes(z, reset, new, kept, of_z, of_r, of_new, di, h, given, dh, rows, units, after, s, q):
    """Gradients of the sums of a tile, that of r only if ``after``; dh becomes z dh.

    di gets the gradient of what r multiplies, if ``after``. h: outputs before the step, if ``given``.
    """
    one = np.float32(1.0)
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    q0, q1, q2, q3, q4 = q[0], q[1], q[2], q[3], q[4]
    for r in range(rows):
        g, m, k = 4 * units * r, 3 * units * r, units * r
        if given:
            for j in range(units):
                of_z[m + j] = dh[k + j] * (h[k + j] - new[g + j]) * _slope(z[g + j], s0, s1, s2, s3, s4)
        else:
            for j in range(units):
                of_z[m + j] = -dh[k + j] * new[g + j] * _slope(z[g + j], s0, s1, s2, s3, s4)
        for j in range(units):
            of_new[m + j] = dh[k + j] * (one - z[g + j]) * _slope(new[g + j], q0, q1, q2, q3, q4)
            dh[k + j] *= z[g + j]
        if after:
            for j in range(units):
                of_r[m + j] = of_new[m + j] * kept[g + j] * _slope(reset[g + j], s0, s1, s2, s3, s4)
                di[k + j] = of_new[m + j] * reset[g + j]


@jit(cached=False)
def _gru_reset_slopes(reset, of_r, di, h, given, dh, rows, units, s):
    """The gradient of r from that of r h in di, whose share dh gets."""
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    for r in range(rows):
        g, m, k = 4 * units * r, 3 * units * r, units * r
        for j in range(units):
            dh[k + j] += di[k + j] * reset[g + j]
        if given:
            for j in range(units):
                of_r[m + j] = di[k + j] * h[k + j] * _slope(reset[g + j], s0, s1, s2, s3, s4)
        else:
            for j in range(units):
                of_r[m + j] = np.float32(0.0)


@task
def _gru_back(row, stage, _, p):
    gy, gates, h0, mask, x, w, u, y, slopes = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
    xt, wt, ut, dz, di, sums, dx, dw = row[9], row[10], row[11], row[12], row[13], row[14], row[15], row[16]
    du, db, dh, steps, n, d, units, batch_first = (
        row[17], row[18], row[19], row[20], row[21], row[22], row[23], row[24],
    )  # fmt: skip
    first, inner, outer, reverse, after, parts = row[25], row[26], row[27], row[28], row[29], row[30]
    k, split = 3 * units, 2 * units
    if stage == _BEGIN:
        row[31] = hold()
        _turn(_at(u, 0), _at(ut, 0), units, k)
        if wt:
            _turn(_at(w, 0), _at(wt, 0), d, k)
        return
    if stage == _WEIGHTS:
        j0, j1 = share(k, parts, p)
        if dw:
            _by_inputs(xt if xt else x, dz, dw, steps, n, d, k, j0, j1)
        if du:
            if j0 < split:
                _by_outputs(
                    y, h0, dz + 4 * j0, k, du + 4 * j0, k, min(j1, split) - j0, steps, n, units, reverse
                )  # fmt: skip
            j0 = max(j0, split)
            if j0 < j1 and after:
                _by_outputs(
                    y, h0, di + 4 * (j0 - split), units, du + 4 * j0, k, j1 - j0, steps, n, units, reverse
                )  # fmt: skip
            elif j0 < j1:
                sgemm(
                    True, units, j1 - j0, steps * n, gates + 12 * units, 4 * units, dz + 4 * j0, k, 0.0, du + 4 * j0, k
                )
        return
    total = sums + 16 * p * units
    if stage > _WEIGHTS:
        _add_parts(_at(sums, 0), _at(db, 0), parts, 4 * units)
        release(row[31])
        return
    _clear(_at(total, 0), 4 * units)
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps - 1, -1, -1):
            t = steps - 1 - s if reverse else s
            i = t * n + r0
            h = y + 4 * ((t + 1 if reverse else t - 1) * n * units + states)
            if s == 0:
                h = h0 + 4 * states if h0 else 0
            if gy:
                _add(_at(gy, i * units), _at(dh, states), rows, units, units)
            masks = 0
            if mask:
                masks = mask + i
                _clear_masked(pointer(masks, np.uint8), _at(dz, i * k), rows, k)
                _clear_masked(pointer(masks, np.uint8), _at(di, i * units), rows, units)
            start, end = _next_run(masks, 0, rows)
            while start < end:
                a, z, m = gates + 16 * (i + start) * units, dz + 4 * (i + start) * k, start * units
                made, before, d_before = di + 4 * (i + start) * units, h + 4 * m, dh + 4 * (states + m)
                _gru_slopes(
                    _at(a, 0), _at(a, units), _at(a, split), _at(a, k), _at(z, 0), _at(z, units), _at(z, split),
                    _at(made, 0), _at(before, 0), h, _at(d_before, 0), end - start, units, after,
                    _at(slopes, 5 * inner), _at(slopes, 5 * outer),
                )  # fmt: skip
                if not after:
                    _multiply(
                        z + 4 * split, k, ut + 4 * split * units, units, made, units, end - start, units, units, 0.0
                    )  # fmt: skip
                    _gru_reset_slopes(
                        _at(a, units), _at(z, units), _at(made, 0), _at(before, 0), h, _at(d_before, 0), end - start,
                        units, _at(slopes, 5 * inner),
                    )  # fmt: skip
                start, end = _next_run(masks, end, rows)
            _add(_at(dz, i * k), _at(total, 0), rows, k, 0)
            if after:
                _add(_at(di, i * units), _at(total, k), rows, units, 0)
            if s > 0 or first:
                _multiply(dz + 4 * i * k, k, ut, units, dh + 4 * states, units, rows, split, units, 1.0)
                if after:
                    _multiply(
                        di + 4 * i * units, units, ut + 4 * split * units, units, dh + 4 * states, units, rows, units,
                        units, 1.0,
                    )  # fmt: skip
            _to_inputs(s, steps, n, d, k, reverse, batch_first, r0, rows, dz, wt, dx, x, xt)
        r0 += rows


def gru_grad(
    gy: np.ndarray, gates: np.ndarray, h0: np.ndarray, mask: np.ndarray, x: np.ndarray, batch_first: bool,
    w: np.ndarray, u: np.ndarray, y: np.ndarray, slopes: np.ndarray, xt: np.ndarray, wt: np.ndarray, ut: np.ndarray,
    dz: np.ndarray, di: np.ndarray, sums: np.ndarray, dx: np.ndarray, dw: np.ndarray, du: np.ndarray, db: np.ndarray,
    dh: np.ndarray, first: bool, inner: int, outer: int, reverse: bool, after: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the gradients of `gru`, as `lstm_grad` gives them. di: (steps, n, units) to work in.

    sums: (parts, 4 units). db: (4 units), the last part only if ``after``.
    """
    arrays = (gy, gates, h0, mask, x, w, u, y, slopes, xt, wt, ut, dz, di, sums, dx, dw, du, db, dh)
    numbers = (*y.shape[:2], x.shape[2], len(u), batch_first, first, inner, outer, reverse, after)
    return _bound(_gru_back, arrays, numbers, (1, parts, parts, 1))


# -- the simple cell: y = activation(x w + h u + b)


@task
def _rnn(row, stage, _, p):
    x, w, u, b, h0, mask, y = row[0], row[1], row[2], row[3], row[4], row[5], row[6]
    steps, n, d, units, batch_first = row[7], row[8], row[9], row[10], row[11]
    code, reverse, parts = row[12], row[13], row[14]
    if stage == _BEGIN:
        row[15] = hold()
        return
    if stage > _STEPS:
        release(row[15])
        return
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps):
            t = steps - 1 - s if reverse else s
            h = y + 4 * ((t + 1 if reverse else t - 1) * n * units + states)
            if s == 0:
                h = h0 + 4 * states if h0 else 0
            now = y + 4 * (t * n * units + states)
            _project(x, batch_first, steps, n, d, t, r0, rows, w, now, units, units)
            if h:
                _multiply(h, units, u, units, now, units, rows, units, units, 1.0)
            _activate(_at(now, 0), units, rows, units, _at(b, 0), code)
            if mask:
                _keep(pointer(mask + t * n + r0, np.uint8), _at(h, 0), h, _at(now, 0), rows, units)
        r0 += rows


def simple_rnn(
    x: np.ndarray, batch_first: bool, w: np.ndarray, u: np.ndarray, b: np.ndarray, h0: np.ndarray, mask: np.ndarray,
    y: np.ndarray, code: int, reverse: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the outputs y (steps, n, units) of all steps; the others are those of `lstm`."""
    numbers = (*y.shape[:2], x.shape[2], y.shape[2], batch_first, code, reverse)
    return _bound(_rnn, (x, w, u, b, h0, mask, y), numbers, (1, parts, 1))


@jit(cached=False)
def _rnn_slopes(y, dh, dz, n, s):
    """Gradients of the sums of some rows, n numbers; dh becomes 0."""
    s0, s1, s2, s3, s4 = s[0], s[1], s[2], s[3], s[4]
    for j in range(n):
        dz[j] = dh[j] * _slope(y[j], s0, s1, s2, s3, s4)
        dh[j] = np.float32(0.0)


@task
def _rnn_back(row, stage, _, p):
    gy, h0, mask, x, w, u, y, slopes = row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]
    xt, wt, ut, dz, sums, dx, dw, du = row[8], row[9], row[10], row[11], row[12], row[13], row[14], row[15]
    db, dh, steps, n, d, units, batch_first = row[16], row[17], row[18], row[19], row[20], row[21], row[22]
    first, code, reverse, parts = row[23], row[24], row[25], row[26]
    if stage == _BEGIN:
        row[27] = hold()
        _turn(_at(u, 0), _at(ut, 0), units, units)
        if wt:
            _turn(_at(w, 0), _at(wt, 0), d, units)
        return
    if stage == _WEIGHTS:
        j0, j1 = share(units, parts, p)
        if dw:
            _by_inputs(xt if xt else x, dz, dw, steps, n, d, units, j0, j1)
        if du:
            _by_outputs(y, h0, dz + 4 * j0, units, du + 4 * j0, units, j1 - j0, steps, n, units, reverse)
        return
    if stage > _WEIGHTS:
        _add_parts(_at(sums, 0), _at(db, 0), parts, units)
        release(row[27])
        return
    _clear(_at(sums, p * units), units)
    r0, last = share(n, parts, p)
    tile = _tiles(last - r0)
    while r0 < last:
        rows = min(tile, last - r0)
        states = r0 * units
        for s in range(steps - 1, -1, -1):
            i = (steps - 1 - s if reverse else s) * n + r0
            if gy:
                _add(_at(gy, i * units), _at(dh, states), rows, units, units)
            masks = 0
            if mask:
                masks = mask + i
                _clear_masked(pointer(masks, np.uint8), _at(dz, i * units), rows, units)
            start, end = _next_run(masks, 0, rows)
            while start < end:
                m = (i + start) * units
                _rnn_slopes(
                    _at(y, m), _at(dh, states + start * units), _at(dz, m), (end - start) * units, _at(slopes, 5 * code)
                )
                start, end = _next_run(masks, end, rows)
            _add(_at(dz, i * units), _at(sums, p * units), rows, units, 0)
            if s > 0 or first:
                _multiply(dz + 4 * i * units, units, ut, units, dh + 4 * states, units, rows, units, units, 1.0)
            _to_inputs(s, steps, n, d, units, reverse, batch_first, r0, rows, dz, wt, dx, x, xt)
        r0 += rows


def simple_rnn_grad(
    gy: np.ndarray, h0: np.ndarray, mask: np.ndarray, x: np.ndarray, batch_first: bool, w: np.ndarray, u: np.ndarray,
    y: np.ndarray, slopes: np.ndarray, xt: np.ndarray, wt: np.ndarray, ut: np.ndarray, dz: np.ndarray,
    sums: np.ndarray, dx: np.ndarray, dw: np.ndarray, du: np.ndarray, db: np.ndarray, dh: np.ndarray, first: bool,
    code: int, reverse: bool, parts: int,
) -> Call:  # fmt: skip
    """The call for the gradients of `simple_rnn`, as `lstm_grad` gives them.

    dz: (steps, n, units); sums: (parts, units).
    """
    arrays = (gy, h0, mask, x, w, u, y, slopes, xt, wt, ut, dz, sums, dx, dw, du, db, dh)
    numbers = (*y.shape[:2], x.shape[2], len(u), batch_first, first, code, reverse)
    return _bound(_rnn_back, arrays, numbers, (1, parts, parts, 1))
