"""Samples of ``autotensor.ops.special_scipy``: values are SciPy's own, checked against closed forms."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.autotensor.samples.base import Sample, array, positive


def _in_float(function):
    """A function of float64, rounded to the promoted floating dtype of the operands."""

    def oracle(*xs):
        dtype = np.result_type(*xs)
        with np.errstate(all="ignore"):
            out = function(*[np.asarray(x, np.float64) for x in xs])
        return np.asarray(out).astype(dtype if dtype.kind == "f" else np.float64)

    return oracle


_by_x = {"wrt": (1,)}

SAMPLES = {
    "betainc": [
        Sample(
            np.array([2.0]),
            positive(3, low=0.6),
            array(2, 3, low=0.1, high=0.9),
            wrt=(2,),
            tol=1e-11,
            oracle=_in_float(lambda a, b, x: 1 - scipy.special.betainc(b, a, 1 - x)),
        ),
    ],
    "gammainc": [
        Sample(
            positive(3),
            positive(2, 3, seed=1),
            oracle=_in_float(lambda a, x: 1 - scipy.special.gammaincc(a, x)),
            tol=1e-11,
            **_by_x,
        ),
    ],
    "gammaincc": [
        Sample(
            positive(3),
            positive(2, 3, seed=1),
            oracle=_in_float(lambda a, x: 1 - scipy.special.gammainc(a, x)),
            tol=1e-11,
            **_by_x,
        ),
    ],
    # Two degrees of freedom have a closed form: 1/2 + t / (2 sqrt(2 + t^2)).
    "stdtr": [
        Sample(
            np.array([2.0]),
            array(2, 3),
            oracle=_in_float(
                lambda df, t: np.where(df == 2, 0.5 + t / (2 * np.sqrt(2 + t * t)), scipy.special.stdtr(df, t))
            ),
            **_by_x,
        ),
    ],
    "jv": [
        Sample(
            np.array([0.5]),
            positive(2, 3),
            oracle=_in_float(
                lambda v, x: np.where(v == 0.5, np.sqrt(2 / (np.pi * x)) * np.sin(x), scipy.special.jv(v, x))
            ),
            **_by_x,
        ),
    ],
    "yv": [
        Sample(
            np.array([0.5]),
            positive(2, 3),
            oracle=_in_float(
                lambda v, x: np.where(v == 0.5, -np.sqrt(2 / (np.pi * x)) * np.cos(x), scipy.special.yv(v, x))
            ),
            **_by_x,
        ),
    ],
    "iv": [
        Sample(
            np.array([0.5]),
            positive(2, 3),
            oracle=_in_float(
                lambda v, x: np.where(v == 0.5, np.sqrt(2 / (np.pi * x)) * np.sinh(x), scipy.special.iv(v, x))
            ),
            **_by_x,
        ),
    ],
    "ive": [
        Sample(
            np.array([0.5]),
            positive(2, 3),
            oracle=_in_float(
                lambda v, x: np.where(
                    v == 0.5, np.sqrt(2 / (np.pi * x)) * (1 - np.exp(-2 * x)) / 2, scipy.special.ive(v, x)
                )
            ),
            **_by_x,
        ),
    ],
}
