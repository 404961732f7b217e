"""Samples with complex numbers for reductions, running sums, joining and reading: values by plain loops and NumPy."""

from __future__ import annotations

import math

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, complexes


def _moments(x, axis, keepdims, ddof):
    """Mean square of |x - mean| over the axes."""
    n = math.prod([x.shape[a] for a in axis])
    if n <= ddof:
        out = np.full(np.sum(x, axis=axis, keepdims=keepdims).shape, np.nan)
        return out.astype(np.float32) if x.dtype == np.complex64 else out
    return np.sum(np.abs(x - np.mean(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims) / (n - ddof)


def _deviation(x, axis, keepdims, ddof):
    return np.sqrt(_moments(x, axis, keepdims, ddof))


def _norm(x, axis, keepdims):
    return np.sqrt(np.sum(np.abs(x) ** 2, axis=axis, keepdims=keepdims))


def _running(combine):
    def oracle(x, axis, reverse):
        if x.ndim == 0:
            raise ValueError("no axis")
        out = np.moveaxis(np.array(x), axis, 0)
        order = range(len(out) - 1, -1, -1) if reverse else range(len(out))
        total = None
        for i in order:
            total = out[i].copy() if total is None else combine(total, out[i])
            out[i] = total
        return np.moveaxis(out, 0, axis)

    return oracle


def _recurrence(a, b, axis, reverse):
    out = np.array(b)
    for i in range(1, len(out)):
        out[i] = b[i] + a[i] * out[i - 1]
    return out


def _joined(*xs):
    return np.concatenate(xs, 0)


EMPTY = {"empty": "nothing to divide by", "scalar": "axes are counted before the operation"}
SCALAR = {"scalar": "axes are counted before the operation"}

SAMPLES = {
    "sum": [Sample(complexes(2, 3), oracle=np.sum, axis=(1,), keepdims=False, name="complex", skip=SCALAR)],
    "mean": [Sample(complexes(2, 3), oracle=np.mean, axis=(0,), keepdims=True, name="complex", skip=EMPTY)],
    "prod": [Sample(complexes(2, 3), oracle=np.prod, axis=(0, 1), keepdims=False, name="complex", skip=SCALAR)],
    "var": [Sample(complexes(2, 3), oracle=_moments, axis=(1,), keepdims=False, ddof=1, name="complex", skip=SCALAR)],
    "std": [
        Sample(complexes(2, 3), oracle=_deviation, axis=(0, 1), keepdims=True, ddof=0, name="complex", skip=SCALAR),
    ],
    "norm": [Sample(complexes(2, 3), oracle=_norm, axis=(1,), keepdims=False, name="complex", skip=SCALAR)],
    "cumulative_sum": [
        Sample(complexes(2, 3), oracle=_running(np.add), axis=1, reverse=False, name="complex", skip=SCALAR),
    ],
    "cumulative_prod": [
        Sample(complexes(3, 2), oracle=_running(np.multiply), axis=0, reverse=True, name="complex", skip=SCALAR),
    ],
    "linear_recurrence": [
        Sample(
            complexes(4), complexes(4, seed=1), oracle=_recurrence, axis=0, reverse=False, name="complex", skip=SCALAR,
        ),
    ],
    "concat": [
        Sample(array(2, 3), complexes(1, 3), oracle=_joined, call=lambda *xs: at.concat(list(xs)), name="complex_real"),
    ],
    "stack": [
        Sample(
            array(3), complexes(3), oracle=lambda *xs: np.stack(xs), call=lambda *xs: at.stack(list(xs)),
            name="complex_real",
        ),
    ],
    "select": [
        Sample(complexes(4), oracle=lambda x: x[[2, 0, 2]], call=lambda x: x[np.array([2, 0, 2])], name="complex"),
    ],
    "take": [
        Sample(complexes(4, 2), np.array([1, 1, 3]), oracle=lambda x, i, axis: np.stack([x[k] for k in i]), axis=0,
               name="complex"),
    ],
    "take_along_axis": [
        Sample(
            complexes(2, 3), np.array([[0, 2], [1, 1]]), oracle=lambda x, i, axis: np.take_along_axis(x, i, 1), axis=1,
            name="complex",
        ),
    ],
    "sort": [Sample(complexes(2, 4), oracle=np.sort, axis=1, name="complex")],
    "tile_adjoint": [
        Sample(complexes(2, 6), complexes(2, 3), oracle=lambda g, x, reps: g[:, :3] + g[:, 3:], reps=(1, 2), wrt=(0,),
               name="complex", skip={"empty": "sizes go together", "scalar": "sizes go together"}),
    ],
    "diagonal_adjoint": [
        Sample(complexes(3), complexes(3, 3), oracle=lambda g, x, **params: np.diag(g), offset=0, axis1=0, axis2=1,
               wrt=(0,), name="complex", skip={"empty": "sizes go together", "scalar": "sizes go together"}),
    ],
}  # fmt: skip
