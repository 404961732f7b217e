"""Softmax cross-entropy of rows and its gradient: NumPy, and Numba for float32.

float32, compiled against NumPy: 5 against 19 us for a loss on 128 x 10, 3 against 25 us for its gradient; 0.4 against
1.5 ms and 0.5 against 3 ms on 1024 x 1000.

Arrays here are matrices (n, k) of logits with dense targets (n, k) or labels (n,). Labels are checked before
anything is read by them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels.jit import jit
from autotensor.kernels.scalar import exp_f32, log_f32
from autotensor.kernels.softmax import log_share, sortable, unsortable


def dense(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """-sum(t * log_softmax(x)) of each row."""
    z, log_total = _normalised(x)
    # the rest of each class: log of its probability is z - log_total
    return ((log_total - z) * t).sum(axis=-1)


def dense_grad(g: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """g * (softmax(x) * sum(t) - t) for g (n,)."""
    z, log_total = _normalised(x)
    p = np.exp(z - log_total)
    p *= t.sum(axis=-1, keepdims=True)
    p -= t
    p *= g[..., None]
    return p


def sparse(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log_softmax(x)[label] of each row."""
    z, log_total = _normalised(x)
    picked = np.take_along_axis(z, labels[..., None].astype(np.intp, copy=False), axis=-1)
    return (log_total - picked)[..., 0]


def sparse_grad(g: np.ndarray, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """g * (softmax(x) - one_hot(label)) for g (n,)."""
    z, log_total = _normalised(x)
    p = np.exp(z - log_total)
    index = labels[..., None].astype(np.intp, copy=False)
    np.put_along_axis(p, index, np.take_along_axis(p, index, axis=-1) - 1, axis=-1)
    p *= g[..., None]
    return p


def _normalised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x less its maximum, and the logarithm of the sum of the exponentials of that."""
    z = x - x.max(axis=-1, keepdims=True) if x.size else x
    return z, np.log(np.exp(z).sum(axis=-1, keepdims=True))


def first_bad_label(labels: np.ndarray, n: int) -> int | None:
    """The first label outside 0 to n - 1, if any."""
    if not labels.size:
        return None
    bad = ((labels < 0) | (labels >= n)).reshape(-1)
    return int(labels.reshape(-1)[np.argmax(bad)]) if bad.any() else None


@jit
def dense_rows(x, t, out):
    """``dense`` for float32, k > 0."""
    k = x.shape[1]
    for i in range(x.shape[0]):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        for j in range(k):
            total += exp_f32(x[i, j] - top)
        log_total = log_f32(total)
        loss = np.float32(0.0)
        for j in range(k):
            loss -= log_share(x[i, j], top, log_total) * t[i, j]
        out[i] = loss


@jit
def dense_grad_rows(g, x, t, out):
    """``dense_grad`` for float32, k > 0."""
    k = x.shape[1]
    for i in range(x.shape[0]):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        weight = np.float32(0.0)
        for j in range(k):
            e = exp_f32(x[i, j] - top)
            out[i, j] = e
            total += e
            weight += t[i, j]
        scale = weight / total
        for j in range(k):
            out[i, j] = (out[i, j] * scale - t[i, j]) * g[i]


@jit
def sparse_rows(x, labels, out):
    """``sparse`` for float32, k > 0 and labels in range."""
    k = x.shape[1]
    for i in range(x.shape[0]):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        for j in range(k):
            total += exp_f32(x[i, j] - top)
        out[i] = -log_share(x[i, labels[i]], top, log_f32(total))


@jit
def sparse_grad_rows(g, x, labels, out):
    """``sparse_grad`` for float32, k > 0 and labels in range."""
    k = x.shape[1]
    for i in range(x.shape[0]):
        highest = sortable(x[i, 0])
        for j in range(k):
            v = sortable(x[i, j])
            highest = v if v > highest else highest
        top = unsortable(highest)
        total = np.float32(0.0)
        for j in range(k):
            e = exp_f32(x[i, j] - top)
            out[i, j] = e
            total += e
        scale = np.float32(1.0) / total
        for j in range(k):
            out[i, j] *= scale
        out[i, labels[i]] -= np.float32(1.0)
        for j in range(k):
            out[i, j] *= g[i]


@jit
def first_outside(labels, n):
    """Position of the first label outside 0 to n - 1, or -1."""
    for i in range(labels.shape[0]):
        if labels[i] < 0 or labels[i] >= n:
            return i
    return -1


def has_rows(*arrays: Any) -> bool:
    """True where the compiled rows apply: contiguous float32, not empty."""
    return bool(config.numba and all(a.dtype == np.float32 and a.size and a.flags.c_contiguous for a in arrays))
