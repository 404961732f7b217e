"""Samples of ``autotensor.ops.scan``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array


def _looped(x, h, w):
    (last,), (outs,) = at.scan(lambda s, xs, c: ((at.tanh(xs[0] + s[0] * c[0]),), (s[0] * xs[0],)), [h], [x], [w])
    return last, outs


def _in_numpy(x, h, w):
    if x.ndim == 0 or np.broadcast_shapes(h.shape, x.shape[1:]) != h.shape:
        raise ValueError("a sequence of steps of the shape of the state")
    if np.broadcast_shapes(h.shape, w.shape) != h.shape:
        raise ValueError("the state keeps its shape")
    outs = np.empty((len(x), *h.shape))
    for t, part in enumerate(x):
        outs[t] = h * part
        h = np.tanh(part + h * w)
    return h, outs


SAMPLES = {
    "scan": [
        Sample(
            array(3, 2, 4),
            array(2, 4, seed=1),
            array(4, seed=2),
            oracle=_in_numpy,
            call=_looped,
            skip={"dtypes": "states keep their dtype, whatever that of the sequences is"},
        )
    ]
}
