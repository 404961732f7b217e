"""Samples of ``autotensor.ops.elementwise``."""

from __future__ import annotations

import math

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, bools, integers, positive


def _unary(function, order=2, low=-2.0, high=2.0):
    """A function of one operand: floats, and integers where NumPy has them."""
    return [Sample(array(2, 3, low=low, high=high), oracle=function, order=order, name="float")]


def _binary(function, order=2, make=array):
    return [
        Sample(make(2, 3, seed=1), make(2, 3, seed=2), oracle=function, order=order, name="same"),
        Sample(make(3, 1, seed=1), make(2, 1, 4, seed=2), oracle=function, order=order, name="broadcast"),
        Sample(make(2, 3), 1.5, oracle=function, order=order, name="number_right"),
        Sample(1.5, make(2, 3), oracle=function, order=order, name="number_left"),
    ]


def _integral(function, low=-5, high=6):
    x, y = integers(2, 3, low=low, high=high), integers(3, low=low, high=high, seed=1)
    return [
        Sample(x, y, oracle=function, order=0, name="integers"),
        Sample(x, 3, oracle=function, order=0, name="integer_number"),
    ]


def _compare(function):
    x = array(2, 3)
    y = x.copy()
    y[0] = array(3, seed=3)
    return [
        Sample(x, y, oracle=function, order=0, name="floats"),
        Sample(x, 0.25, oracle=function, order=0, name="number"),
        Sample(integers(2, 3), integers(3, seed=4), oracle=function, order=0, name="integers"),
        Sample(
            np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, np.nan]), oracle=function, order=0, name="nan"
        ),
    ]


def _logic(function):
    return [
        Sample(bools(2, 3), bools(3, seed=1), oracle=function, order=0, name="bools"),
        Sample(
            np.array([0.0, 1.0, np.nan, 0.0]), np.array([0.0, 0.0, 1.0, 3.0]), oracle=function, order=0, name="floats"
        ),
    ]


def _bits(function, with_bools=True):
    samples = [
        Sample(integers(2, 3), integers(3, seed=1), oracle=function, order=0, name="integers"),
        Sample(integers(4, low=0, high=200, dtype=np.uint8), 3, oracle=function, order=0, name="number"),
    ]
    if with_bools:
        samples.append(Sample(bools(2, 3), bools(3, seed=1), oracle=function, order=0, name="bools"))
    return samples


_SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5])


def _each(function):
    """A scalar function of ``math`` applied element by element."""

    def oracle(x):
        x = np.asarray(x)
        out = np.array([function(v) for v in x.ravel().tolist()], np.float64).reshape(x.shape)
        return out.astype(x.dtype if x.dtype.kind == "f" else np.float64)

    return oracle


def _clip(x, lo, hi):
    return np.minimum(np.maximum(x, lo), hi)


def _erfinv(p):
    """By bisection of math.erf."""

    def solve(value):
        lo, hi = -7.0, 7.0
        for _ in range(200):
            mid = (lo + hi) / 2
            if math.erf(mid) < value:
                lo = mid
            else:
                hi = mid
        return (lo + hi) / 2

    return _each(solve)(p)


SAMPLES = {
    "add": [*_binary(np.add), *_integral(np.add), Sample(bools(2, 3), bools(3), oracle=np.add, order=0, name="bools")],
    "subtract": [*_binary(np.subtract), *_integral(np.subtract)],
    "multiply": [
        *_binary(np.multiply),
        *_integral(np.multiply),
        Sample(array(2, 3), bools(2, 3), oracle=np.multiply, name="mask"),
    ],
    "divide": [*_binary(np.divide, make=positive), *_integral(np.divide, low=1)],
    "floor_divide": [*_binary(np.floor_divide, make=positive), *_integral(np.floor_divide, low=1)],
    "remainder": [
        *_binary(np.remainder, make=positive),
        *_integral(np.remainder, low=1),
        Sample(array(2, 3, low=-4, high=4), array(2, 3, low=-1.3, high=-0.6), oracle=np.remainder, name="negative"),
    ],
    "pow": [
        *_binary(np.power, make=positive),
        *_integral(np.power, low=0),
        *[
            Sample(array(2, 3), n, oracle=lambda x, n: np.array(x) ** n, name=f"negative_base_{n}")
            for n in (0, 1, 2, 3, -1, -2, 2.0)
        ],
        Sample(positive(2, 3), 0.5, oracle=np.power, name="root", skip={"expr": "NumPy takes a root, of -inf NaN"}),
        Sample(
            array(2, 3),
            np.array([0, 1, 3]),
            oracle=np.power,
            name="integer_exponents",
            skip={"float32": "integers promote to float64"},
        ),
        Sample(array(2, 3), np.array([2.0, 3.0, 4.0]), oracle=np.power, wrt=[0], name="negative_base_tensor"),
    ],
    "negative": [*_unary(np.negative), Sample(integers(4), oracle=np.negative, order=0, name="integers")],
    "positive": [*_unary(np.positive), Sample(integers(4), oracle=np.positive, order=0, name="integers")],
    "abs": [*_unary(np.abs), Sample(integers(4), oracle=np.abs, order=0, name="integers")],
    "sign": [
        *_unary(np.sign),
        Sample(integers(4), oracle=np.sign, order=0, name="integers"),
        Sample(_SPECIAL, oracle=np.sign, order=1, wrt=[], name="special"),
    ],
    "square": [*_unary(np.square), Sample(integers(4), oracle=np.square, order=0, name="integers")],
    "sqrt": _unary(np.sqrt, low=0.3),
    "cbrt": [*_unary(np.cbrt, low=0.3), Sample(array(4, low=-2, high=-0.5), oracle=np.cbrt, name="negative")],
    "reciprocal": _unary(np.reciprocal, low=0.3),
    "rsqrt": [Sample(positive(2, 3), oracle=lambda x: (1 / np.sqrt(x)).astype(x.dtype))],
    "hypot": _binary(np.hypot),
    "equal": _compare(np.equal),
    "not_equal": _compare(np.not_equal),
    "less": _compare(np.less),
    "less_equal": _compare(np.less_equal),
    "greater": _compare(np.greater),
    "greater_equal": _compare(np.greater_equal),
    "logical_and": _logic(np.logical_and),
    "logical_or": _logic(np.logical_or),
    "logical_xor": _logic(np.logical_xor),
    "logical_not": [
        Sample(bools(2, 3), oracle=np.logical_not, order=0, name="bools"),
        Sample(_SPECIAL, oracle=np.logical_not, order=0, name="floats"),
    ],
    "bitwise_and": _bits(np.bitwise_and),
    "bitwise_or": _bits(np.bitwise_or),
    "bitwise_xor": _bits(np.bitwise_xor),
    "bitwise_not": [
        Sample(integers(2, 3), oracle=np.invert, order=0, name="integers"),
        Sample(bools(2, 3), oracle=np.invert, order=0, name="bools"),
    ],
    "left_shift": [Sample(integers(2, 3), integers(3, low=0, high=5), oracle=np.left_shift, order=0)],
    "right_shift": [Sample(integers(2, 3), integers(3, low=0, high=5), oracle=np.right_shift, order=0)],
    "isnan": [Sample(_SPECIAL, oracle=np.isnan, order=0), Sample(integers(3), oracle=np.isnan, order=0)],
    "isinf": [Sample(_SPECIAL, oracle=np.isinf, order=0), Sample(integers(3), oracle=np.isinf, order=0)],
    "isfinite": [Sample(_SPECIAL, oracle=np.isfinite, order=0), Sample(integers(3), oracle=np.isfinite, order=0)],
    "exp": [*_unary(np.exp), Sample(integers(4), oracle=np.exp, order=0, name="integers")],
    "exp2": _unary(np.exp2),
    "expm1": _unary(np.expm1),
    "log": [*_unary(np.log, low=0.3), Sample(integers(4, low=1), oracle=np.log, order=0, name="integers")],
    "log2": _unary(np.log2, low=0.3),
    "log10": _unary(np.log10, low=0.3),
    "log1p": _unary(np.log1p, low=-0.7),
    "logaddexp": [
        *_binary(np.logaddexp),
        Sample(
            np.array([-np.inf, 1e4, -1e4]),
            np.array([-np.inf, 1e4, 3.0]),
            oracle=np.logaddexp,
            order=1,
            wrt=[],
            name="far",
        ),
    ],
    "sin": _unary(np.sin),
    "cos": _unary(np.cos),
    "tan": _unary(np.tan, low=-1.2, high=1.2),
    "arcsin": _unary(np.arcsin, low=-0.9, high=0.9),
    "arccos": _unary(np.arccos, low=-0.9, high=0.9),
    "arctan": _unary(np.arctan),
    "arctan2": _binary(np.arctan2),
    "sinh": _unary(np.sinh),
    "cosh": _unary(np.cosh),
    "tanh": _unary(np.tanh),
    "arcsinh": _unary(np.arcsinh),
    "arccosh": _unary(np.arccosh, low=1.3, high=4),
    "arctanh": _unary(np.arctanh, low=-0.9, high=0.9),
    "floor": _unary(np.floor),
    "ceil": _unary(np.ceil),
    "trunc": _unary(np.trunc),
    "round": [
        *_unary(np.round),
        Sample(np.array([0.5, 1.5, 2.5, -0.5]), oracle=np.round, order=1, wrt=[], name="halves"),
        Sample(array(4), call=at.round, oracle=np.round, decimals=1, name="decimals"),
        Sample(array(4, low=-200, high=200), call=at.round, oracle=np.round, decimals=-2, name="hundreds"),
    ],
    "erf": [*_unary(_each(math.erf)), Sample(array(60, low=-6, high=6), oracle=_each(math.erf), name="wide")],
    "erfc": [*_unary(_each(math.erfc)), Sample(array(60, low=-6, high=6), oracle=_each(math.erfc), name="wide")],
    "erfinv": [Sample(array(30, low=-0.97, high=0.97), oracle=_erfinv, tol=1e-11)],
    "where": [
        Sample(bools(2, 3), array(2, 3), array(2, 3, seed=1), oracle=np.where, name="same"),
        Sample(bools(3, 1), array(2, 1, 4), array(4, seed=1), oracle=np.where, name="broadcast"),
        Sample(bools(2, 3), array(2, 3), 0.0, oracle=np.where, name="number"),
        Sample(integers(2, 3, low=0, high=2), array(2, 3), 0, oracle=np.where, name="integer_condition"),
    ],
    "maximum": [*_binary(np.maximum), *_integral(np.maximum)],
    "minimum": [*_binary(np.minimum), *_integral(np.minimum)],
    "clip": [
        Sample(array(3, 4), -0.5, 1.1, oracle=_clip, name="numbers"),
        Sample(
            array(3, 4), array(4, low=-1.5, high=-0.5), array(3, 1, low=0.5, high=1.5), oracle=_clip, name="tensors"
        ),
        Sample(integers(3, 4), -1, 2, oracle=_clip, order=0, name="integers"),
        Sample(array(3, 4), call=lambda x: at.clip(x, -0.5), oracle=lambda x: np.maximum(x, -0.5), name="lower_only"),
        Sample(array(3, 4), call=lambda x: at.clip(x, max=0.4), oracle=lambda x: np.minimum(x, 0.4), name="upper_only"),
    ],
    "astype": [
        Sample(array(2, 3), oracle=lambda x, dtype: np.array(x, dtype), dtype=np.dtype(np.float64), name="same"),
        Sample(
            array(2, 3, high=9),
            oracle=lambda x, dtype: np.array(x, dtype),
            order=0,
            dtype=np.dtype(np.int64),
            name="to_int",
        ),
        Sample(
            integers(2, 3),
            oracle=lambda x, dtype: np.array(x, dtype),
            order=0,
            dtype=np.dtype(np.float32),
            name="to_float",
        ),
        Sample(array(2, 3), oracle=lambda x, dtype: x != 0, order=0, dtype=np.dtype(np.bool_), name="to_bool"),
    ],
    "copy": [Sample(array(2, 3), oracle=np.array), Sample(integers(2), oracle=np.array, order=0)],
}
