"""Samples of ``autotensor.ops.autodiff``."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array

SAMPLES = {"stop_gradient": [Sample(array(2, 3), oracle=np.array, order=0)]}
