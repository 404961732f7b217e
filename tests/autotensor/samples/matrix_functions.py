"""Samples of ``autotensor.ops.matrix_functions``; SciPy is the oracle."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from tests.autotensor.samples.base import Sample, array


def _in_double(function):
    def oracle(*xs):
        dtype = np.result_type(*xs)
        if any(x.ndim != 2 for x in xs) or (len(xs) < 3 and xs[0].shape[0] != xs[0].shape[1]):
            raise ValueError("matrices")
        out = function(*[np.asarray(x, np.float64) for x in xs])
        return np.asarray(out).astype(dtype if dtype.kind == "f" else np.float64)

    return oracle


_positive = array(3, 3) @ array(3, 3).T + np.eye(3)
_EMPTY = {"empty": "SciPy refuses, or gives, empty matrices by version", "scalar": "matrices"}
_EMPTY["dtypes"] = "integer matrices have other roots"
_RULE = {"empty": _EMPTY["empty"], "scalar": _EMPTY["scalar"]}

SAMPLES = {
    "solve_sylvester": [
        Sample(
            _positive,
            array(2, 2, seed=1) + 4 * np.eye(2),
            array(3, 2, seed=2),
            oracle=_in_double(scipy.linalg.solve_sylvester),
            tol=1e-10,
            skip=_RULE,
        ),
    ],
    "sqrtm": [Sample(_positive, oracle=_in_double(scipy.linalg.sqrtm), tol=1e-10, skip=_EMPTY)],
    "expm": [Sample(array(3, 3), oracle=_in_double(scipy.linalg.expm), tol=1e-11, skip=_RULE)],
    "expm_slope": [
        Sample(
            array(3, 3),
            array(3, 3, seed=1),
            tol=1e-11,
            skip=_RULE,
            oracle=_in_double(lambda a, e: scipy.linalg.expm_frechet(a, e, compute_expm=False)),
        ),
    ],
}
