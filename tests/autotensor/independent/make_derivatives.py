"""Write derivatives.json: values, first and second derivatives of elementwise functions, by mpmath with 120 digits.

    python tests/autotensor/independent/make_derivatives.py

Nothing of autotensor is used: the functions are mpmath's, or written here from their definitions; derivatives are
differences with a step of 1e-25, which leaves more than 40 digits. Points are exact in float32, so that both
precisions can be compared.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import mpmath as mp

mp.mp.dps = 120

REAL = (-2.75, -1.125, -0.3125, 0.4375, 1.25, 3.5)
WIDE = (*REAL, -12.5, 20.0)
POSITIVE = (0.0625, 0.4375, 1.25, 3.5, 24.0)
UNIT = (-0.875, -0.3125, 0.1875, 0.9375)
PROBABILITY = (0.03125, 0.3125, 0.625, 0.96875)
ABOVE_1 = (1.0625, 1.75, 5.0)
TWO = ((0.4375, 1.25), (-1.125, 3.5), (2.5, -0.4375), (-0.75, -2.0))
TWO_POSITIVE = ((0.4375, 1.25), (3.5, 0.3125), (1.75, 2.5), (6.0, 9.5))
TWO_PROBABILITY = ((0.3125, 0.625), (0.9375, 0.125))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def ndtr(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def erfcinv(q: Any) -> Any:
    return mp.erfinv(1 - q)


def ndtri(p: Any) -> Any:
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def gammaln(x: Any) -> Any:
    return mp.re(mp.loggamma(x))


def multigammaln(a: Any, d: int) -> Any:
    return mp.mpf(d * (d - 1)) / 4 * mp.log(mp.pi) + sum(mp.loggamma(a - mp.mpf(j) / 2) for j in range(d))


def sinc(x: Any) -> Any:
    return mp.sin(mp.pi * x) / (mp.pi * x)


def stdtr(df: Any, t: Any) -> Any:
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True) / 2
    return 1 - tail if t > 0 else tail


# G. Klambauer et al., Self-Normalizing Neural Networks (2017).
SELU = (mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717"))

# name: (function, points, positions of the arguments that are differentiated by; all by default)
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    # arithmetic
    "add": (lambda x, y: x + y, TWO),
    "subtract": (lambda x, y: x - y, TWO),
    "multiply": (lambda x, y: x * y, TWO),
    "divide": (lambda x, y: x / y, TWO),
    "floor_divide": (lambda x, y: mp.floor(x / y), TWO),
    "remainder": (lambda x, y: x - y * mp.floor(x / y), TWO),
    "pow": (lambda x, y: x**y, TWO_POSITIVE),
    "negative": (lambda x: -x, REAL),
    "positive": (lambda x: x, REAL),
    "abs": (abs, REAL),
    "sign": (mp.sign, REAL),
    "square": (lambda x: x * x, REAL),
    "sqrt": (mp.sqrt, POSITIVE),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), REAL),
    "reciprocal": (lambda x: 1 / x, REAL),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), POSITIVE),
    "hypot": (mp.hypot, TWO),
    "copysign": (lambda x, y: abs(x) * mp.sign(y), TWO),
    "real": (lambda x: x, REAL),
    "imag": (lambda x: 0 * x, REAL),
    "conj": (lambda x: x, REAL),
    "copy": (lambda x: x, REAL),
    "astype": (lambda x: x, REAL),
    "where": (lambda x, y: x, TWO),
    "maximum": (max, TWO),
    "minimum": (min, TWO),
    "clip": (lambda x: min(max(x, mp.mpf(-1)), mp.mpf(2)), REAL),
    "deg2rad": (lambda x: x * mp.pi / 180, REAL),
    "rad2deg": (lambda x: x * 180 / mp.pi, REAL),
    # exponentials and logarithms
    "exp": (mp.exp, WIDE),
    "exp2": (lambda x: mp.mpf(2) ** x, WIDE),
    "expm1": (mp.expm1, WIDE),
    "log": (mp.log, POSITIVE),
    "log2": (lambda x: mp.log(x, 2), POSITIVE),
    "log10": (mp.log10, POSITIVE),
    "log1p": (mp.log1p, (-0.875, -0.3125, *POSITIVE)),
    "logaddexp": (lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), TWO),
    # trigonometric and hyperbolic
    "sin": (mp.sin, WIDE),
    "cos": (mp.cos, WIDE),
    "tan": (mp.tan, REAL),
    "arcsin": (mp.asin, UNIT),
    "arccos": (mp.acos, UNIT),
    "arctan": (mp.atan, WIDE),
    "arctan2": (mp.atan2, TWO),
    "sinh": (mp.sinh, REAL),
    "cosh": (mp.cosh, REAL),
    "tanh": (mp.tanh, REAL),
    "arcsinh": (mp.asinh, WIDE),
    "arccosh": (mp.acosh, ABOVE_1),
    "arctanh": (mp.atanh, UNIT),
    # rounding
    "floor": (mp.floor, REAL),
    "ceil": (mp.ceil, REAL),
    "trunc": (lambda x: mp.sign(x) * mp.floor(abs(x)), REAL),
    "round": (mp.nint, (-2.75, -1.125, 0.4375, 3.625)),
    # activations
    "relu": (lambda x: max(x, mp.mpf(0)), REAL),
    "relu_bounded": (lambda x: min(x, mp.mpf(3)) if x >= 1 else mp.mpf("0.25") * (x - 1), REAL),
    "leaky_relu": (lambda x: x if x > 0 else x / 4, REAL),
    "elu": (lambda x: x if x > 0 else mp.mpf("1.5") * mp.expm1(x), REAL),
    "selu": (lambda x: SELU[0] * (x if x > 0 else SELU[1] * mp.expm1(x)), REAL),
    "sigmoid": (sigmoid, WIDE),
    "softplus": (softplus, WIDE),
    "softsign": (lambda x: x / (1 + abs(x)), REAL),
    "silu": (lambda x: x * sigmoid(x), REAL),
    "gelu": (lambda x: x * ndtr(x), REAL),
    "gelu_tanh": (
        lambda x: x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))), REAL),
    "sigmoid_cross_entropy": (lambda x, t: softplus(x) - t * x, TWO_PROBABILITY),
    # error functions and the normal distribution
    "erf": (mp.erf, REAL),
    "erfc": (mp.erfc, (*REAL, 6.0)),
    "erfinv": (mp.erfinv, UNIT),
    "erfcinv": (erfcinv, (0.03125, 0.3125, 1.25, 1.9375)),
    "ndtr": (ndtr, REAL),
    "log_ndtr": (lambda x: mp.log(ndtr(x)), (*REAL, -12.5)),
    "ndtri": (ndtri, PROBABILITY),
    # gamma functions
    "gammaln": (gammaln, (-2.75, -0.3125, *POSITIVE)),
    "gamma": (mp.gamma, (-2.75, -0.3125, 0.4375, 1.25, 3.5, 9.5)),
    "rgamma": (mp.rgamma, (-2.75, -0.3125, 0.4375, 1.25, 3.5, 9.5)),
    "gammasgn": (lambda x: mp.sign(mp.gamma(x)), (-2.75, -1.5, 0.4375)),
    "digamma": (mp.digamma, (-2.75, -0.3125, *POSITIVE)),
    "polygamma_1": (lambda x: mp.psi(1, x), POSITIVE),
    "polygamma_3": (lambda x: mp.psi(3, x), POSITIVE),
    "beta": (mp.beta, TWO_POSITIVE),
    "betaln": (lambda a, b: mp.log(mp.beta(a, b)), TWO_POSITIVE),
    "multigammaln_3": (lambda a: multigammaln(a, 3), (1.25, 3.5, 9.5)),
    "gammainc": (lambda a, x: mp.gammainc(a, 0, x, regularized=True), TWO_POSITIVE, (1,)),
    "gammaincc": (lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), TWO_POSITIVE, (1,)),
    "betainc": (
        lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), ((0.75, 1.5, 0.3125), (3.0, 2.5, 0.625)), (2,)),
    "stdtr": (stdtr, ((3.0, 0.75), (4.5, -1.25)), (1,)),
    # entropies and logits
    "expit": (sigmoid, WIDE),
    "log_expit": (lambda x: -softplus(-x), WIDE),
    "logit": (lambda p: mp.log(p / (1 - p)), PROBABILITY),
    "xlogy": (lambda x, y: x * mp.log(y), TWO_POSITIVE),
    "xlog1py": (lambda x, y: x * mp.log1p(y), TWO_POSITIVE),
    "entr": (lambda x: -x * mp.log(x), POSITIVE),
    "rel_entr": (lambda x, y: x * mp.log(x / y), TWO_POSITIVE),
    "kl_div": (lambda x, y: x * mp.log(x / y) - x + y, TWO_POSITIVE),
    # Bessel functions, sinc
    "sinc": (sinc, REAL),
    "i0": (lambda x: mp.besseli(0, x), REAL),
    "i1": (lambda x: mp.besseli(1, x), REAL),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), REAL),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), REAL),
    "j0": (lambda x: mp.besselj(0, x), WIDE),
    "j1": (lambda x: mp.besselj(1, x), WIDE),
    "jv": (mp.besselj, ((0.5, 1.25), (2.5, 3.5)), (1,)),
    "yv": (mp.bessely, ((0.5, 1.25), (2.5, 3.5)), (1,)),
    "iv": (mp.besseli, ((0.5, 1.25), (2.5, 3.5)), (1,)),
    "ive": (lambda v, x: mp.exp(-abs(x)) * mp.besseli(v, x), ((0.5, 1.25), (2.5, 3.5)), (1,)),
    "y0": (lambda x: mp.bessely(0, x), POSITIVE),
    "y1": (lambda x: mp.bessely(1, x), POSITIVE),
}  # fmt: skip


def text(x: Any) -> str:
    return mp.nstr(mp.mpf(x), 22) if abs(x) > mp.mpf(10) ** -45 else "0"


def entry(function: Any, point: tuple[float, ...], wanted: tuple[int, ...]) -> dict[str, Any]:
    """Value, first derivatives, and second ones by pairs of positions at one point."""
    at = tuple(mp.mpf(x) for x in point)

    def derivative(*positions: int) -> str:
        return text(difference(function, at, tuple(positions.count(i) for i in range(len(at))), mp.mpf(10) ** -25))

    with mp.workdps(120):  # rounding of 1e-120 over the square of the step
        return {
            "at": [repr(x) for x in point],
            "value": text(function(*at)),
            "first": [derivative(i) for i in wanted],
            "second": [derivative(i, j) for i, j in itertools.combinations_with_replacement(wanted, 2)],
        }


def difference(function: Any, at: tuple[Any, ...], orders: tuple[int, ...], h: Any) -> Any:
    """Central difference of order 1 or 2 in each argument: exact up to h**2, about 50 digits here."""
    for i, order in enumerate(orders):
        if order:
            rest = tuple(o if j != i else 0 for j, o in enumerate(orders))
            moved = [tuple(x + k * h if j == i else x for j, x in enumerate(at)) for k in (-1, 0, 1)]
            low, middle, high = (difference(function, point, rest, h) for point in moved)
            return (high - low) / (2 * h) if order == 1 else (high - 2 * middle + low) / (h * h)
    return function(*at)


def main() -> None:
    found = {}
    for name, (function, points, *rest) in FUNCTIONS.items():
        listed = [p if isinstance(p, tuple) else (p,) for p in points]
        wanted = rest[0] if rest else tuple(range(len(listed[0])))
        found[name] = {"by": list(wanted), "points": [entry(function, point, wanted) for point in listed]}
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in found.items())
    Path(__file__).with_name("derivatives.json").write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main()
