"""Samples of ``autotensor.ops.sets``."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array, integers


def _isin(x, values, invert):
    values = list(np.ravel(values))
    found = np.zeros(np.shape(x), bool)
    for index in np.ndindex(*np.shape(x)):
        found[index] = any(x[index] == v for v in values) != invert
    return found


SAMPLES = {
    "isin": [
        Sample(integers(2, 3), integers(4, seed=1), oracle=_isin, order=0, invert=False, name="integers"),
        Sample(array(2, 3), array(2, 3)[:, 1], oracle=_isin, order=0, invert=True, name="inverted"),
    ],
}
