"""Samples of ``autotensor.ops.convolution``: the two forms of the convolution of vectors."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array


def _naive(a, v):
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError("vectors")
    dtype = np.result_type(a, v)
    out = np.zeros(a.size + v.size - 1, dtype)
    for i in range(a.size):
        for k in range(v.size):
            out[i + k] += a[i] * v[k]
    if not a.size or not v.size:
        raise ValueError("empty")
    return out


def _naive_valid(a, v):
    return _naive(a, v)[v.size - 1 : a.size]


SAMPLES = {
    "convolve_full": [
        Sample(array(5), array(3, seed=1), oracle=_naive, name="longer"),
        Sample(array(2), array(4, seed=1), oracle=_naive, name="shorter"),
    ],
    "convolve_valid": [
        Sample(array(6), array(3, seed=1), oracle=_naive_valid, name="some"),
        Sample(array(3), array(3, seed=1), oracle=_naive_valid, name="one"),
    ],
}
