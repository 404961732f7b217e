"""Samples with complex numbers, for the operations of ``autotensor.ops.elementwise`` and their gradients.

Values are compared with ``cmath`` and plain arithmetic; derivatives by real and by imaginary parts with differences.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, bools, complexes, positive


def _each(function):
    """A function of ``cmath`` applied element by element."""

    def oracle(x):
        values = [function(complex(v)) for v in np.asarray(x).ravel()]
        return np.array(values, np.complex128).reshape(np.shape(x))

    return oracle


def _unary(function, **options):
    return [Sample(complexes(2, 3, **options), oracle=_each(function), name="complex")]


def _binary(function):
    z, w = complexes(2, 3), complexes(2, 3, seed=1)
    return [
        Sample(z, w, oracle=function, name="complex"),
        Sample(complexes(3, 1), array(2, 1, 4), oracle=function, name="complex_real"),
        Sample(array(3), w, oracle=function, name="real_complex"),
        Sample(z, 1.5 - 0.5j, oracle=function, name="complex_number"),
        Sample(array(2, 3), 0.5j, oracle=function, name="real_complex_number"),
    ]


def _parts(function):
    """Equality of complex numbers from that of their parts."""
    return lambda x, y: function((x.real == y.real) & (x.imag == y.imag))


def _power(x, y):
    x, y = np.broadcast_arrays(x, y)
    values = [complex(a) ** complex(b) for a, b in zip(x.ravel(), y.ravel())]
    return np.array(values, np.complex128).reshape(x.shape)


_SAME = complexes(4)
_OTHER = np.where([True, False, True, False], _SAME, _SAME.conj())
_UNBOUNDED = np.array([1 + 1j, complex(math.nan, 0), complex(0, math.inf), complex(-math.inf, math.nan)])

SAMPLES = {
    "add": _binary(lambda x, y: x + y),
    "subtract": _binary(lambda x, y: x - y),
    "multiply": _binary(lambda x, y: x * y),
    "divide": _binary(lambda x, y: x / y),
    "negative": _unary(lambda z: -z),
    "positive": _unary(lambda z: z),
    "square": _unary(lambda z: z * z),
    "reciprocal": _unary(lambda z: 1 / z),
    "sqrt": _unary(cmath.sqrt),
    "rsqrt": _unary(lambda z: 1 / cmath.sqrt(z)),
    "pow": [
        Sample(complexes(2, 3), complexes(2, 3, low=-1, high=1, seed=1), oracle=_power, name="complex", tol=1e-11),
        Sample(complexes(2, 3), array(3), oracle=_power, name="complex_real"),
        Sample(positive(2, 3), complexes(3), oracle=_power, name="positive_complex"),
        Sample(array(2, 3), complexes(3, low=-1, high=1), oracle=_power, name="negative_base", wrt=[0, 1]),
        Sample(complexes(2, 3), 3, oracle=_power, name="cube"),
        Sample(complexes(2, 3), 0.5, oracle=_power, name="root"),
        Sample(2.0, complexes(2, 3), oracle=_power, name="number_base"),
        Sample(-1.5, complexes(2, 3, low=-1, high=1), oracle=_power, name="negative_number_base"),
        Sample(0.5 + 1j, array(2, 3), oracle=_power, name="complex_number_base"),
    ],
    "exp": _unary(cmath.exp),
    "exp2": _unary(lambda z: cmath.exp(z * math.log(2))),
    "expm1": [
        *_unary(lambda z: cmath.exp(z) - 1),
        Sample(
            np.array([complex(math.inf, math.inf), complex(-math.inf, 1), complex(math.nan, 0), -0.0]),
            oracle=lambda x: np.array([complex(math.inf, math.nan), -1, complex(math.nan, 0), 0]),
            order=1,
            wrt=[],
            name="special",
            skip={"empty": "the oracle is a list", "scalar": "the oracle is a list"},
        ),
    ],
    "log": _unary(cmath.log),
    "log2": _unary(lambda z: cmath.log(z) / math.log(2)),
    "log10": _unary(cmath.log10),
    "log1p": _unary(lambda z: cmath.log(1 + z)),
    "sin": _unary(cmath.sin),
    "cos": _unary(cmath.cos),
    "tan": _unary(cmath.tan),
    "arcsin": _unary(cmath.asin),
    "arccos": _unary(cmath.acos),
    "arctan": _unary(cmath.atan),
    "sinh": _unary(cmath.sinh),
    "cosh": _unary(cmath.cosh),
    "tanh": [
        *_unary(cmath.tanh),
        Sample(
            np.array([complex(math.inf, 3), complex(-math.inf, -3)]),
            oracle=lambda x: np.array([complex(1, 0.0), complex(-1, -0.0)]),
            order=1,
            wrt=[],
            name="special",
            skip={"empty": "the oracle is a list", "scalar": "the oracle is a list"},
        ),
    ],
    "arcsinh": _unary(cmath.asinh),
    "arccosh": _unary(cmath.acosh),
    "arctanh": _unary(cmath.atanh),
    "round": [Sample(complexes(2, 3), oracle=lambda x: np.rint(x.real) + 1j * np.rint(x.imag), order=1, wrt=[])],
    "equal": [Sample(_SAME, _OTHER, oracle=_parts(lambda same: same), order=0, name="complex")],
    "not_equal": [Sample(_SAME, _OTHER, oracle=_parts(np.logical_not), order=0, name="complex")],
    "isnan": [
        Sample(_UNBOUNDED, oracle=lambda x: np.isnan(x.real) | np.isnan(x.imag), order=0, name="complex"),
    ],
    "isinf": [
        Sample(_UNBOUNDED, oracle=lambda x: np.isinf(x.real) | np.isinf(x.imag), order=0, name="complex"),
    ],
    "isfinite": [
        Sample(_UNBOUNDED, oracle=lambda x: np.isfinite(x.real) & np.isfinite(x.imag), order=0, name="complex"),
    ],
    "where": [
        Sample(bools(2, 3), complexes(2, 3), complexes(3, seed=1), oracle=np.where, name="complex"),
        Sample(bools(2, 3), complexes(2, 3), array(3), oracle=np.where, name="complex_real"),
    ],
    "astype": [
        Sample(array(2, 3), oracle=lambda x, dtype: x + 0j, dtype=np.dtype(np.complex128), name="to_complex"),
        Sample(
            complexes(2, 3), oracle=lambda x, dtype: x != 0, dtype=np.dtype(np.bool_), order=0, name="complex_to_bool"
        ),
    ],
    "copy": [Sample(complexes(2, 3), oracle=lambda x: x, name="complex")],
    "arctan2": [
        Sample(complexes(2, 3), oracle=_each(lambda z: cmath.phase(z)), call=at.angle, name="angle", skip={
            "value": "real, and the oracle is complex", "scalar": "as value", "empty": "as value",
        }),
    ],
}  # fmt: skip
