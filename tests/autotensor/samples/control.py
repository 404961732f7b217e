"""Samples of ``autotensor.ops.control``."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array, integers


def _switch(condition, a, b):
    if np.ndim(condition):
        raise ValueError("a scalar condition")
    a, b = np.broadcast_arrays(a, b)
    return np.array(a if condition else b, np.result_type(a, b))


SAMPLES = {
    "switch": [
        *[Sample(np.array(c), array(2, 3), array(2, 3, seed=1), oracle=_switch, name=f"{c}") for c in (True, False)],
        Sample(np.array(True), array(3), array(2, 1, seed=1), oracle=_switch, name="broadcast"),
        Sample(np.array(1), array(3), 0.0, oracle=lambda c, a, b: np.array(a), name="integer_condition"),
        Sample(
            np.array(False),
            array(3),
            integers(3),
            oracle=_switch,
            name="dtypes",
            skip={"float32": "integers promote to float64"},
        ),
    ]
}
