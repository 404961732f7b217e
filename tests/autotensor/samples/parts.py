"""Samples of ``autotensor.ops.parts``: real and imaginary parts, signs, neighbours (``abs`` and ``sign`` of reals are
among those of ``elementwise``)."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array, complexes, integers

_SIGNED = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan])

SAMPLES = {
    "real": [
        Sample(complexes(2, 3), oracle=lambda x: x.real, name="complex"),
        Sample(array(2, 3), oracle=lambda x: x, name="real"),
        Sample(integers(3), oracle=lambda x: x, order=0, name="integers"),
    ],
    "imag": [
        Sample(complexes(2, 3), oracle=lambda x: x.imag, name="complex"),
        Sample(array(2, 3), oracle=lambda x: x * 0.0 + 0.0, name="real", order=0, skip={"grad": "constant 0"}),
    ],
    "conj": [
        Sample(complexes(2, 3), oracle=lambda x: x.real - 1j * x.imag, name="complex"),
        Sample(array(2, 3), oracle=lambda x: x, name="real"),
    ],
    "abs": [Sample(complexes(2, 3), oracle=lambda x: np.sqrt(x.real**2 + x.imag**2), name="complex")],
    "sign": [
        Sample(complexes(2, 3), oracle=lambda x: x / np.hypot(x.real, x.imag), name="complex"),
        Sample(np.zeros(2, complex), oracle=lambda x: x, order=1, wrt=[], name="complex_zero"),
    ],
    "signbit": [
        Sample(_SIGNED, oracle=lambda x: np.copysign(1.0, x) < 0, order=0, name="special"),
        Sample(array(2, 3), oracle=lambda x: x < 0, order=0, name="floats"),
    ],
    "copysign": [
        Sample(array(2, 3), array(2, 3, seed=1), oracle=lambda x, y: np.where(y < 0, -abs(x), abs(x)), name="same"),
        Sample(array(3, 1), array(2, 1, 4, seed=1), oracle=lambda x, y: abs(x) * np.sign(y), name="broadcast"),
        Sample(array(2, 3), -2.0, oracle=lambda x, y: -abs(x), name="number_right"),
        Sample(-1.5, array(2, 3), oracle=lambda x, y: abs(x) * np.sign(y), name="number_left"),
        Sample(
            np.array([1.0, 2.0]), np.array([0.0, -0.0]), oracle=lambda x, y: x * np.sign(1 / y), wrt=[0], name="zeros"
        ),
    ],
    "nextafter": [
        Sample(array(2, 3), array(2, 3, seed=1), oracle=np.nextafter, name="same"),
        Sample(array(2, 3), 5.0, oracle=np.nextafter, name="number", tol=1e-15),
    ],
}
