"""Elementwise operations: arithmetic, exponentials, trigonometry, rounding, selection.

Comparison and logic are in ``comparison``, signs and complex parts in ``parts``, dtypes in ``conversion``; their names
are here too.

Each carries a scalar expression for the code generator where that has NumPy's meaning. Its language: ``{0}`` is the
first operand, ``c(0.5)`` a constant in the dtype of the operation, and functions have the plain names of
``graph.codegen``. A dictionary gives expressions by the kind of the promoted inputs; kinds left out run through NumPy.

Conventions where a function has a kink: ``abs`` and ``sign`` use 0 at 0; of two equal operands ``maximum`` and
``minimum`` give the gradient to the first; ``clip`` passes it at the bounds. Functions that are constant by pieces
(``floor``, ``round``, ``sign``...) have the gradient 0.
"""

from __future__ import annotations

import builtins
import cmath
import math
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, result_dtype, shape_of
from autotensor.core.op import defop, either
from autotensor.core.tensor import NUMBER_TYPES, Tensor, as_tensor
from autotensor.ops.comparison import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    left_shift,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    right_shift,
)
from autotensor.ops.conversion import astype, copy
from autotensor.ops.like import unbroadcast, zeros_like
from autotensor.ops.parts import abs, conj, copysign, imag, nextafter, real, sign, signbit
from autotensor.ops.rules import floating, following, numeric, promoting, ufunc

__all__ = [
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "mod", "pow", "power",
    "negative", "positive", "abs", "absolute", "sign", "square", "sqrt", "cbrt", "reciprocal", "rsqrt", "hypot",
    "real", "imag", "conj", "conjugate", "angle", "signbit", "copysign", "nextafter",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_invert", "invert",
    "left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp",
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "asin", "acos", "atan", "atan2",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "asinh", "acosh", "atanh",
    "deg2rad", "rad2deg", "radians", "degrees",
    "floor", "ceil", "trunc", "round",
    "erf", "erfc", "erfinv", "isnan", "isinf", "isfinite",
    "where", "minimum", "maximum", "clip", "astype", "copy",
]  # fmt: skip


# -- arithmetic


@defop("add", **ufunc("add", np.add), expr=numeric("({0} + {1})"), vjp_takes_arrays=True)
def add(needs, g, out, x, y):
    """x + y."""
    return unbroadcast(g, x) if needs[0] else None, unbroadcast(g, y) if needs[1] else None


@defop("subtract", **ufunc("subtract", np.subtract), expr=numeric("({0} - {1})"), vjp_takes_arrays=True)
def subtract(needs, g, out, x, y):
    """x - y."""
    return unbroadcast(g, x) if needs[0] else None, unbroadcast(-g, y) if needs[1] else None


@defop("multiply", **ufunc("multiply", np.multiply), expr=numeric("({0} * {1})"), vjp_takes_arrays=True)
def multiply(needs, g, out, x, y):
    """x * y."""
    return unbroadcast(g * y, x) if needs[0] else None, unbroadcast(g * x, y) if needs[1] else None


@defop("divide", **ufunc("divide", np.divide), expr={"f": "({0} / {1})"}, vjp_takes_arrays=True)
def divide(needs, g, out, x, y):
    """x / y; floating also for integers."""
    gx = g / y
    return unbroadcast(gx, x) if needs[0] else None, unbroadcast(-gx * out, y) if needs[1] else None


@defop("floor_divide", **ufunc("floor_divide", np.floor_divide))
def floor_divide(needs, g, out, x, y):
    """Largest integer not above x / y. Its gradient is 0."""
    return zeros_like(x) if needs[0] else None, zeros_like(y) if needs[1] else None


@defop("remainder", **ufunc("remainder", np.remainder))
def remainder(needs, g, out, x, y):
    """x - floor(x / y) * y, with the sign of y."""
    return (
        unbroadcast(g, x) if needs[0] else None,
        unbroadcast(-g * floor_divide(x, y), y) if needs[1] else None,
    )


def _lower_pow(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x, n = inputs
    if isinstance(n, Tensor) or not isinstance(x, Tensor) or x.dtype.kind != "f":
        return None
    if n == 2:
        return square(x)
    if n == 1:
        return positive(x)
    if n == 0.5:
        return sqrt(x)  # as NumPy does: NaN for -infinity, where C's pow gives infinity
    return x * x * x if n == 3 else None


def _pow_impl(x: Any, y: Any) -> Any:
    # As ndarray ** does: the square is several times as fast as the general power.
    if type(y) is not np.ndarray and y == 2 and x.dtype.kind == "f":
        return np.square(x)
    return np.power(x, y)


@defop(
    "pow",
    impl=_pow_impl,
    infer=following("pow", np.power),
    into=lambda out, x, y: np.power(x, y, out=out),
    expr={"f": "pow({0}, {1})"},
    lower=_lower_pow,
    vjp_takes_arrays=True,
)
def pow(needs, g, out, x, y):
    """x ** y. The derivative by y is taken as 0 where x is 0, and is NaN where x is negative."""
    gx = gy = None
    if needs[0]:
        gx = unbroadcast(g * _pow_slope(x, y), x)
    if needs[1]:
        if type(x) not in NUMBER_TYPES:
            base = either(where, either(equal, x, 0), 1, x)
            log_x = either(log, base + 0j if out.dtype.kind == "c" else base)
        elif out.dtype.kind == "c":
            log_x = cmath.log(x) if x else 0.0
        else:
            log_x = math.log(x) if x > 0 else 0.0 if x == 0 else math.nan
        gy = unbroadcast(g * out * log_x, y)
    return gx, gy


def _pow_slope(x: Any, y: Any) -> Any:
    """y * x ** (y - 1), without the NaN of 0 * infinity at 0 ** 0."""
    if type(y) not in NUMBER_TYPES:
        nothing = either(logical_and, either(equal, x, 0), either(equal, y, 0))
        return y * either(pow, x, either(where, nothing, 1, y - 1))
    if y == 0:
        return zeros_like(x)
    if y == 1:
        return 1
    return x * 2 if y == 2 else either(pow, x, y - 1) * y


@defop("negative", **ufunc("negative", np.negative), expr=numeric("(-{0})"), vjp_takes_arrays=True)
def negative(needs, g, out, x):
    """-x."""
    return (-g,)


@defop("positive", **ufunc("positive", np.positive), expr=numeric("(+{0})"), vjp_takes_arrays=True)
def positive(needs, g, out, x):
    """+x."""
    return (g,)


@defop("square", **ufunc("square", np.square), expr=numeric("({0} * {0})"), vjp_takes_arrays=True)
def square(needs, g, out, x):
    """x * x."""
    return (g * (x * 2),)


@defop("sqrt", **ufunc("sqrt", np.sqrt), expr={"f": "sqrt({0})"}, vjp_takes_arrays=True)
def sqrt(needs, g, out, x):
    """Square root; NaN below 0, infinite slope at 0."""
    return (g * 0.5 / out,)


@defop("cbrt", **ufunc("cbrt", np.cbrt), vjp_takes_arrays=True)
def cbrt(needs, g, out, x):
    """Cube root, also of negative numbers."""
    return (g / (out * out * 3),)


@defop("reciprocal", **ufunc("reciprocal", np.reciprocal), expr={"f": "(c(1.0) / {0})"}, vjp_takes_arrays=True)
def reciprocal(needs, g, out, x):
    """1 / x; of integers the integer part, as in NumPy."""
    return (-g * out * out,)


def _rsqrt_impl(x: Any) -> Any:
    return np.reciprocal(np.sqrt(x))


@defop("rsqrt", impl=_rsqrt_impl, infer=floating("rsqrt"), expr={"f": "(c(1.0) / sqrt({0}))"}, vjp_takes_arrays=True)
def rsqrt(needs, g, out, x):
    """1 / sqrt(x)."""
    return (g * out * out * out * -0.5,)


@defop("hypot", **ufunc("hypot", np.hypot))
def hypot(needs, g, out, x, y):
    """sqrt(x*x + y*y) without overflow on the way; gradient 0 at the origin."""
    scaled = g / where(equal(out, 0), 1, out)
    return unbroadcast(scaled * x, x) if needs[0] else None, unbroadcast(scaled * y, y) if needs[1] else None


# -- exponentials and logarithms


@defop("exp", **ufunc("exp", np.exp), expr={"f": "exp({0})"}, vjp_takes_arrays=True)
def exp(needs, g, out, x):
    """e ** x."""
    return (g * out,)


@defop("exp2", **ufunc("exp2", np.exp2), vjp_takes_arrays=True)
def exp2(needs, g, out, x):
    """2 ** x."""
    return (g * out * math.log(2),)


def _expm1_impl(x: Any) -> Any:
    out = np.expm1(x)
    if out.dtype.kind != "c":
        return out
    # NumPy multiplies infinities by sines of infinity; exp knows the limits (C99, annex G).
    out = np.array(out) if np.isfinite(x).all() else np.where(np.isfinite(x), out, np.exp(x) - 1)
    out.real += 0  # the real part of 0 is +0
    return out


@defop(
    "expm1",
    impl=_expm1_impl,
    infer=following("expm1", np.expm1),
    into=lambda out, x: np.copyto(out, _expm1_impl(x)) if out.dtype.kind == "c" else np.expm1(x, out=out),
    expr={"f": "expm1({0})"},
    vjp_takes_arrays=True,
)
def expm1(needs, g, out, x):
    """e ** x - 1, accurate near 0."""
    return (g * (out + 1),)


@defop("log", **ufunc("log", np.log), expr={"f": "log({0})"}, vjp_takes_arrays=True)
def log(needs, g, out, x):
    """Natural logarithm."""
    return (g / x,)


@defop("log2", **ufunc("log2", np.log2), vjp_takes_arrays=True)
def log2(needs, g, out, x):
    """Logarithm to base 2."""
    return (g / (x * math.log(2)),)


@defop("log10", **ufunc("log10", np.log10), vjp_takes_arrays=True)
def log10(needs, g, out, x):
    """Logarithm to base 10."""
    return (g / (x * math.log(10)),)


@defop("log1p", **ufunc("log1p", np.log1p), expr={"f": "log1p({0})"}, vjp_takes_arrays=True)
def log1p(needs, g, out, x):
    """log(1 + x), accurate near 0."""
    return (g / (x + 1),)


@defop("logaddexp", **ufunc("logaddexp", np.logaddexp))
def logaddexp(needs, g, out, x, y):
    """log(exp(x) + exp(y)) without overflow; -inf stands for a probability of 0."""
    norm = where(isfinite(out), out, 0)
    of_x, of_y = exp(x - norm), exp(y - norm)
    total = of_x + of_y  # 1 but for the rounding of a large norm, which this takes out again
    scale = g / where(greater(total, 0), total, 1)
    return (
        unbroadcast(scale * of_x, x) if needs[0] else None,
        unbroadcast(scale * of_y, y) if needs[1] else None,
    )


# -- trigonometric and hyperbolic


@defop("sin", **ufunc("sin", np.sin), expr={"f": "sin({0})"}, vjp_takes_arrays=True)
def sin(needs, g, out, x):
    """Sine of x in radians."""
    return (g * either(cos, x),)


@defop("cos", **ufunc("cos", np.cos), expr={"f": "cos({0})"}, vjp_takes_arrays=True)
def cos(needs, g, out, x):
    """Cosine of x in radians."""
    return (-g * either(sin, x),)


@defop("tan", **ufunc("tan", np.tan), expr={"f": "tan({0})"}, vjp_takes_arrays=True)
def tan(needs, g, out, x):
    """Tangent of x in radians."""
    return (g * (out * out + 1),)


@defop("arcsin", **ufunc("arcsin", np.arcsin), expr={"f": "arcsin({0})"})
def arcsin(needs, g, out, x):
    """Inverse sine, from -pi/2 to pi/2."""
    return (g / sqrt((1 - x) * (1 + x)),)


@defop("arccos", **ufunc("arccos", np.arccos), expr={"f": "arccos({0})"})
def arccos(needs, g, out, x):
    """Inverse cosine, from 0 to pi."""
    return (-g / sqrt((1 - x) * (1 + x)),)


@defop("arctan", **ufunc("arctan", np.arctan), expr={"f": "arctan({0})"}, vjp_takes_arrays=True)
def arctan(needs, g, out, x):
    """Inverse tangent, from -pi/2 to pi/2."""
    return (g / (x * x + 1),)


@defop("arctan2", **ufunc("arctan2", np.arctan2), expr={"f": "arctan2({0}, {1})"})
def arctan2(needs, g, out, y, x):
    """Angle of the point (x, y) from the positive x axis, from -pi to pi."""
    scaled = g / (x * x + y * y)
    return unbroadcast(scaled * x, y) if needs[0] else None, unbroadcast(-scaled * y, x) if needs[1] else None


@defop("sinh", **ufunc("sinh", np.sinh), expr={"f": "sinh({0})"}, vjp_takes_arrays=True)
def sinh(needs, g, out, x):
    """Hyperbolic sine."""
    return (g * either(cosh, x),)


@defop("cosh", **ufunc("cosh", np.cosh), expr={"f": "cosh({0})"}, vjp_takes_arrays=True)
def cosh(needs, g, out, x):
    """Hyperbolic cosine."""
    return (g * either(sinh, x),)


def _tanh_impl(x: Any) -> Any:
    out = np.tanh(x)
    if out.dtype.kind == "c":
        # At an infinite real part C99 gives the imaginary 0 the sign of sin(2y), the array API standard that of y.
        ends = np.isinf(x.real) & np.isfinite(x.imag)
        if ends.any():
            out = np.array(out)
            out.imag[ends] = np.copysign(0.0, x.imag)[ends]
    return out


@defop(
    "tanh",
    impl=_tanh_impl,
    infer=following("tanh", np.tanh),
    into=lambda out, x: np.copyto(out, _tanh_impl(x)) if out.dtype.kind == "c" else np.tanh(x, out=out),
    expr={"f": "tanh({0})"},
    vjp_takes_arrays=True,
)
def tanh(needs, g, out, x):
    """Hyperbolic tangent."""
    return (g * (1 - out * out),)


@defop("arcsinh", **ufunc("arcsinh", np.arcsinh), expr={"f": "arcsinh({0})"})
def arcsinh(needs, g, out, x):
    """Inverse hyperbolic sine."""
    return (g / sqrt(x * x + 1),)


@defop("arccosh", **ufunc("arccosh", np.arccosh), expr={"f": "arccosh({0})"})
def arccosh(needs, g, out, x):
    """Inverse hyperbolic cosine, of x >= 1 where x is real."""
    if out.dtype.kind == "c":  # the product of the roots, not the root of the product: its branch is another
        return (g / (sqrt(x - 1) * sqrt(x + 1)),)
    return (g / sqrt((x - 1) * (x + 1)),)


@defop("arctanh", **ufunc("arctanh", np.arctanh), expr={"f": "arctanh({0})"})
def arctanh(needs, g, out, x):
    """Inverse hyperbolic tangent, of -1 < x < 1."""
    return (g / ((1 - x) * (1 + x)),)


def angle(x: Any, deg: bool = False) -> Tensor:
    """Angle of complex numbers from the positive real axis, from -pi to pi, in radians; in degrees with ``deg``.

    >>> import autotensor as at
    >>> at.angle(at.asarray([1j, -2.0, 3 + 3j]), deg=True)
    Tensor([ 90., 180.,  45.], dtype=float64)
    """
    radians = arctan2(imag(x), real(x))
    return rad2deg(radians) if deg else radians


def deg2rad(x: Any) -> Tensor:
    """Degrees to radians."""
    return x * (math.pi / 180) if isinstance(x, Tensor) else multiply(x, math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians to degrees."""
    return x * (180 / math.pi) if isinstance(x, Tensor) else multiply(x, 180 / math.pi)


# -- rounding


def _rounding(name: str, function: np.ufunc) -> dict[str, Any]:
    """As `ufunc`; integers and bools stay what they are, of which NumPy before 2.1 made floats."""
    if function(np.int8(1)).dtype == np.int8:
        return ufunc(name, function)

    def impl(x: Any) -> Any:
        x = np.asarray(x)
        return x.copy() if x.dtype.kind in "biu" else function(x)

    def infer(x: Operand) -> Aval:
        ruled = following(name, function)(x)
        given = x.dtype if isinstance(x, Aval) else np.asarray(x).dtype
        return Aval(ruled.shape, given) if given.kind in "biu" else ruled

    return {"impl": impl, "infer": infer}


@defop("floor", **_rounding("floor", np.floor), expr={"f": "floor({0})"})
def floor(needs, g, out, x):
    """Largest integer not above x, in the dtype of x. Its gradient is 0."""
    return (zeros_like(x),)


@defop("ceil", **_rounding("ceil", np.ceil), expr={"f": "ceil({0})"})
def ceil(needs, g, out, x):
    """Smallest integer not below x, in the dtype of x. Its gradient is 0."""
    return (zeros_like(x),)


@defop("trunc", **_rounding("trunc", np.trunc), expr={"f": "trunc({0})"})
def trunc(needs, g, out, x):
    """x without its fraction. Its gradient is 0."""
    return (zeros_like(x),)


def _round_impl(x: Any) -> Any:
    return np.round(x)


def _infer_round(x: Operand) -> Aval:
    dtype = result_dtype(x)
    # np.round makes float16 of bools.
    return Aval(shape_of(x), np.float16 if dtype.kind == "b" else dtype)


@defop("round", impl=_round_impl, infer=_infer_round, expr={"f": "round({0})"})
def round_op(needs, g, out, x):
    """The nearest integer, halves to even. Its gradient is 0."""
    return (zeros_like(x),)


def round(x: Any, decimals: int = 0) -> Tensor:
    """Round to ``decimals`` places (negative: to tens, hundreds...), halves to even. Its gradient is 0."""
    if decimals == 0:
        return round_op(x)
    x = as_tensor(x)
    if x.dtype.kind in "biu":
        return x if decimals > 0 else astype(round(astype(x, np.float64), decimals), x.dtype)
    scale = 10.0 ** builtins.abs(decimals)
    return round_op(x * scale) / scale if decimals > 0 else round_op(x / scale) * scale


# -- error function

# W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969), 631-637. Numerators and
# denominators from the highest power down; relative error below 6e-19, so what is left is rounding.
_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_LARGE = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


def _ratio(table: tuple[tuple[float, ...], tuple[float, ...]], z: np.ndarray) -> np.ndarray:
    """Quotient of two polynomials by Horner's rule."""
    top, bottom = (np.full_like(z, coefficients[0]) for coefficients in table)
    for a, b in zip(table[0][1:], table[1][1:], strict=True):
        top *= z
        top += a
        bottom *= z
        bottom += b
    return top / bottom


def _erf_parts(x: np.ndarray, complement: bool) -> np.ndarray:
    """erf, or erfc = 1 - erf without cancellation, in float64."""
    x = np.asarray(x, np.float64)
    out = np.empty_like(x)
    size = np.abs(x)
    small = size <= 0.46875
    z = x[small]
    near = z * _ratio(_SMALL, z * z)
    out[small] = 1 - near if complement else near
    far = ~small
    z = size[far]
    tail = np.empty_like(z)
    low = ~(z > 4)  # NaN takes this branch
    tail[low] = _ratio(_MIDDLE, z[low])
    big = np.minimum(z[~low], 30.0)  # erfc is 0 in float64 beyond 27
    w = 1 / (big * big)
    tail[~low] = (1 / math.sqrt(math.pi) - w * _ratio(_LARGE, w)) / big
    z = np.minimum(z, 30.0)
    # exp(-z*z) from z rounded to sixteenths, whose square is exact, and what is left over.
    head = np.floor(z * 16) / 16
    tail *= np.exp(-head * head) * np.exp(-(z - head) * (z + head))
    if complement:
        out[far] = np.where(x[far] < 0, 2 - tail, tail)
    else:
        out[far] = np.copysign(1 - tail, x[far])
    return out


def _in_float64(function: Any) -> Any:
    """Implementation computed in float64 and rounded to the floating dtype of the operand."""

    def impl(x: Any) -> np.ndarray:
        x = np.asarray(x)
        dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
        return function(x).astype(dtype, copy=False)

    return impl


def _infer_special(x: Operand) -> Aval:
    dtype = result_dtype(x)
    return Aval(shape_of(x), dtype if dtype.kind == "f" else np.float64)


@defop("erf", impl=_in_float64(lambda x: _erf_parts(x, False)), infer=_infer_special, expr={"f": "erf({0})"})
def erf(needs, g, out, x):
    """Error function 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x (Cody 1969)."""
    return (g * exp(-(x * x)) * (2 / math.sqrt(math.pi)),)


@defop("erfc", impl=_in_float64(lambda x: _erf_parts(x, True)), infer=_infer_special)
def erfc(needs, g, out, x):
    """1 - erf(x), accurate where erf is near 1 (Cody 1969)."""
    return (g * exp(-(x * x)) * (-2 / math.sqrt(math.pi)),)


def _erfinv64(p: np.ndarray) -> np.ndarray:
    p = np.asarray(p, np.float64)
    out = np.where(np.abs(p) == 1, np.copysign(np.inf, p), np.where(np.abs(p) > 1, np.nan, p))
    inside = np.abs(p) < 1
    size = np.abs(p[inside])
    rest = 1 - size  # exact from 1/2 on, so tails keep their accuracy
    # First guess: S. Winitzki, A handy approximation for the error function and its inverse (2008); error 2e-3.
    a = 0.147
    t = np.log1p(-size * size)
    u = 2 / (math.pi * a) + t / 2
    y = np.sqrt(np.maximum(np.sqrt(u * u - t / a) - u, 0))
    for _ in range(3):  # Halley's rule; the error is cubed at each step
        error = np.where(size < 0.5, _erf_parts(y, False) - size, rest - _erf_parts(y, True))
        step = error / (2 / math.sqrt(math.pi) * np.exp(-y * y))
        y = y - step / (1 + y * step)
    out[inside] = np.copysign(y, p[inside])
    return out


@defop("erfinv", impl=_in_float64(_erfinv64), infer=_infer_special)
def erfinv(needs, g, out, x):
    """Inverse of erf on (-1, 1); infinite at the ends, NaN outside."""
    return (g * exp(out * out) * (math.sqrt(math.pi) / 2),)


# -- selection


def _infer_where(condition: Operand, x: Operand, y: Operand) -> Aval:
    return Aval(broadcast_shapes("where", *[shape_of(a) for a in (condition, x, y)]), result_dtype(x, y))


@defop("where", impl=np.where, infer=_infer_where, expr="select({0}, {1}, {2})", vjp_takes_arrays=True)
def where(needs, g, out, condition, x, y):
    """Elements of x where the condition holds, else of y; all three broadcast.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(lambda x: at.sum(at.where(x > 0, x**2, 0.0)))(np.array([-1.0, 2.0]))
    Tensor([-0.,  4.], dtype=float64)
    """
    return (
        None,
        unbroadcast(either(where, condition, g, 0), x) if needs[1] else None,
        unbroadcast(either(where, condition, 0, g), y) if needs[2] else None,
    )


@defop("maximum", **ufunc("maximum", np.maximum), expr=numeric("maximum({0}, {1})"), vjp_takes_arrays=True)
def maximum(needs, g, out, x, y):
    """The larger of x and y; NaN if either is. Of equal operands the first gets the gradient.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(lambda x: at.sum(at.maximum(x, 1.0)))(np.array([0.0, 1.0, 2.0]))
    Tensor([0., 1., 1.], dtype=float64)
    """
    first = either(greater_equal, x, y)
    return (
        unbroadcast(either(where, first, g, 0), x) if needs[0] else None,
        unbroadcast(either(where, first, 0, g), y) if needs[1] else None,
    )


@defop("minimum", **ufunc("minimum", np.minimum), expr=numeric("minimum({0}, {1})"), vjp_takes_arrays=True)
def minimum(needs, g, out, x, y):
    """The smaller of x and y; NaN if either is. Of equal operands the first gets the gradient."""
    first = either(less_equal, x, y)
    return (
        unbroadcast(either(where, first, g, 0), x) if needs[0] else None,
        unbroadcast(either(where, first, 0, g), y) if needs[1] else None,
    )


def _clip_impl(x: Any, lo: Any, hi: Any) -> Any:
    return np.minimum(np.maximum(x, lo), hi)


@defop("clip", impl=_clip_impl, infer=promoting("clip"), expr=numeric("minimum(maximum({0}, {1}), {2})"))
def clip_op(needs, g, out, x, lo, hi):
    """x limited to [lo, hi]; the gradient passes where x is within, bounds included."""
    gx = glo = ghi = None
    if needs[0]:
        gx = unbroadcast(where(logical_and(greater_equal(x, lo), less_equal(x, hi)), g, 0), x)
    if needs[1]:
        glo = unbroadcast(where(logical_and(less(x, lo), less_equal(lo, hi)), g, 0), lo)
    if needs[2]:
        ghi = unbroadcast(where(greater(maximum(x, lo), hi), g, 0), hi)
    return gx, glo, ghi


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit x to [min, max]; numbers or tensors that broadcast, or None for no bound.

    The gradient passes where x lies within the bounds, these included. Where min > max the result is max.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(lambda x: at.sum(at.clip(x, 0.0, 1.0)))(np.array([-1.0, 1.0, 2.0]))
        Tensor([0., 1., 0.], dtype=float64)
    """
    if min is None and max is None:
        return copy(x)
    if min is not None and max is not None:
        return clip_op(x, min, max)
    if isinstance(x, Tensor) and x.dtype.kind == "f":
        return clip_op(x, -math.inf if min is None else min, math.inf if max is None else max)
    return maximum(x, min) if max is None else minimum(x, max)


# Other spellings: NumPy's and the array API standard's.
true_divide = divide
mod = remainder
power = pow
absolute = abs
conjugate = conj
invert = bitwise_invert = bitwise_not
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
radians, degrees = deg2rad, rad2deg
