"""Samples of ``autotensor.ops.losses``."""

from __future__ import annotations

import math

import numpy as np

from tests.autotensor.samples.base import Sample, array, integers, positive


def log_shares(row):
    total = math.log(math.fsum(math.exp(v) for v in row))
    return [v - total for v in row]


def dense(x, t):
    if x.shape != t.shape or not x.ndim:
        raise ValueError("shapes differ")
    out = np.zeros(x.shape[:-1])
    for i in np.ndindex(*out.shape):
        out[i] = -math.fsum(a * b for a, b in zip(log_shares(x[i]), t[i])) if x.shape[-1] else 0.0
    return out


def dense_grad(g, x, t):
    if x.shape != t.shape or g.shape != x.shape[:-1]:
        raise ValueError("shapes differ")
    out = np.zeros(x.shape)
    for i in np.ndindex(*g.shape):
        if x.shape[-1]:
            share = np.exp(log_shares(x[i]))
            out[i] = [g[i] * (p * math.fsum(t[i]) - q) for p, q in zip(share, t[i])]
    return out


def sparse(x, labels):
    if x.shape[:-1] != labels.shape or x.ndim == 0:
        raise ValueError("shapes differ")
    out = np.zeros(labels.shape)
    for i in np.ndindex(*out.shape):
        out[i] = -log_shares(x[i])[labels[i]]
    return out


def sparse_grad(g, x, labels):
    if x.shape[:-1] != labels.shape or g.shape != labels.shape or x.ndim == 0:
        raise ValueError("shapes differ")
    out = np.zeros(x.shape)
    for i in np.ndindex(*labels.shape):
        out[i] = g[i] * np.exp(log_shares(x[i]))
        out[i][labels[i]] -= g[i]
    return out


def binary(x, t):
    def one(v, s):
        p = 1 / (1 + math.exp(-v))
        return -s * math.log(p) - (1 - s) * math.log(1 - p)

    return np.vectorize(one, otypes=[np.float64])(x, t)


LABELS = integers(3, low=0, high=5)
DEEP = integers(2, 3, low=0, high=4)

SAMPLES = {
    "softmax_cross_entropy": [
        Sample(array(3, 5), positive(3, 5, low=0.1, high=1.0), oracle=dense, name="rows"),
        Sample(array(2, 3, 4), positive(2, 3, 4, seed=1), oracle=dense, name="batches"),
        Sample(array(6), positive(6), oracle=dense, name="one_row"),
    ],
    "softmax_cross_entropy_grad": [
        Sample(array(3), array(3, 5, seed=1), positive(3, 5), oracle=dense_grad, name="rows"),
        Sample(array(2, 3), array(2, 3, 4, seed=1), positive(2, 3, 4), oracle=dense_grad, name="batches"),
    ],
    "sparse_softmax_cross_entropy": [
        Sample(array(3, 5), LABELS, oracle=sparse, name="rows"),
        Sample(array(3, 5), LABELS.astype(np.uint8), oracle=sparse, name="uint8"),
        Sample(array(2, 3, 4), DEEP, oracle=sparse, name="batches"),
    ],
    "sparse_softmax_cross_entropy_grad": [
        Sample(array(3), array(3, 5, seed=1), LABELS, oracle=sparse_grad, name="rows"),
        Sample(array(2, 3), array(2, 3, 4, seed=1), DEEP.astype(np.int32), oracle=sparse_grad, name="batches"),
    ],
    "sigmoid_cross_entropy": [
        Sample(array(3, 4, low=-6, high=6), positive(3, 4, low=0.0, high=1.0), oracle=binary, name="same"),
        Sample(array(3, 4, low=-6, high=6), positive(4, low=0.0, high=1.0), oracle=binary, name="broadcast"),
    ],
}
