"""Samples of ``autotensor.ops.special``; SciPy is the oracle."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.autotensor.samples.base import Sample, array, positive


def _of(name):
    function = getattr(scipy.special, name)

    def oracle(x, **params):
        out = np.asarray(function(np.asarray(x, np.float64), **params))
        return out.astype(x.dtype if x.dtype.kind == "f" else np.float64)

    return oracle


def _polygamma(x, n):
    out = np.asarray(scipy.special.polygamma(n, np.asarray(x, np.float64)))
    return out.astype(x.dtype if x.dtype.kind == "f" else np.float64)


def _bessel(name):
    function = getattr(scipy.special, name)

    def oracle(x, n):
        return np.asarray(function(n, np.asarray(x, np.float64))).astype(x.dtype if x.dtype.kind == "f" else np.float64)

    return oracle


def _sinc(x, n):
    """sinc and its first two derivatives, away from 0."""
    u = math.pi * np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        out = [
            lambda: np.sinc(np.asarray(x, np.float64)),
            lambda: math.pi * (np.cos(u) / u - np.sin(u) / u**2),
            lambda: math.pi**2 * (-np.sin(u) / u - 2 * np.cos(u) / u**2 + 2 * np.sin(u) / u**3),
        ][n]()
        if n:
            out = np.where(u == 0, 0.0 if n == 1 else -(math.pi**2) / 3, out)
    return np.asarray(out).astype(x.dtype if x.dtype.kind == "f" else np.float64)


_left = array(2, 3, low=-2.9, high=-2.1)  # between two poles

SAMPLES = {
    "gammaln": [Sample(positive(2, 3), oracle=_of("gammaln")), Sample(_left, oracle=_of("gammaln"), name="left")],
    "gamma": [Sample(positive(2, 3), oracle=_of("gamma")), Sample(_left, oracle=_of("gamma"), name="left")],
    "rgamma": [Sample(positive(2, 3), oracle=_of("rgamma")), Sample(_left, oracle=_of("rgamma"), name="left")],
    "gammasgn": [Sample(_left, oracle=_of("gammasgn"))],
    "digamma": [Sample(positive(2, 3), oracle=_of("digamma")), Sample(_left, oracle=_of("digamma"), name="left")],
    "polygamma": [
        Sample(positive(2, 3), oracle=_polygamma, n=1, name="1"),
        Sample(positive(2, 3, low=0.8), oracle=_polygamma, n=3, name="3"),
        Sample(_left, oracle=_polygamma, n=2, name="left"),
    ],
    "log_ndtr": [
        Sample(array(2, 3), oracle=_of("log_ndtr")),
        Sample(array(2, 3, low=-12, high=-6), oracle=_of("log_ndtr"), name="far"),
    ],
    "erfcinv": [Sample(positive(2, 3, low=0.05, high=1.9), oracle=_of("erfcinv"), tol=1e-11)],
    "sinc": [
        Sample(array(2, 3), oracle=_sinc, n=0, name="0"),
        Sample(array(2, 3), oracle=_sinc, n=1, name="1"),
        Sample(array(2, 3), oracle=_sinc, n=2, name="2"),
    ],
    "bessel_ie": [Sample(array(2, 3), oracle=_bessel("ive"), n=n, name=str(n)) for n in (0, 3)],
    "bessel_i": [Sample(array(2, 3), oracle=_bessel("iv"), n=n, name=str(n)) for n in (0, 1)],
    "bessel_j": [
        Sample(array(2, 3), oracle=_bessel("jv"), n=0, name="0"),
        Sample(array(2, 3), oracle=_bessel("jv"), n=2, name="2"),
        Sample(positive(2, 3, low=60, high=80), oracle=_bessel("jv"), n=1, name="far"),
    ],
}
