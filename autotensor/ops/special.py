"""Special functions with derivatives, by the names of ``scipy.special``: gammaln, digamma, betainc, ndtr, i0, j0...

Computed in float64 and rounded to the floating dtype of the operands. SciPy is needed only for the incomplete beta and
gamma functions and for Bessel functions of the second kind or of orders that are no integers; see ``special_scipy``.

Sources: NIST Digital Library of Mathematical Functions (https://dlmf.nist.gov), cited by section.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, result_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError
from autotensor.ops import activation
from autotensor.ops import elementwise as ew
from autotensor.ops.creation import operand
from autotensor.ops.like import zeros_like

__all__ = [
    "beta", "betaln", "digamma", "entr", "erfcinv", "expit", "gamma", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e",
    "j0", "j1", "kl_div", "log_expit", "log_ndtr", "logit", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
    "rel_entr", "rgamma", "sinc", "xlog1py", "xlogy",
]  # fmt: skip


def in_float64(function: Any) -> Any:
    """Implementation in float64, rounded to the floating dtype of the operand."""

    def impl(x: Any, **params: Any) -> np.ndarray:
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError("expected real numbers")  # the shape rule says it in full
        with np.errstate(all="ignore"):
            out = function(x.astype(np.float64, copy=False), **params)
        return np.asarray(out).astype(x.dtype if x.dtype.kind == "f" else np.float64, copy=False)

    return impl


def one_float(name: str) -> Any:
    """Shape rule of a real function of one operand; integers give float64."""

    def infer(x: Operand, **params: Any) -> Aval:
        dtype = result_dtype(x)
        if dtype.kind == "c":
            raise DTypeError(f"[{name}] is defined for real numbers here; got {dtype}. Take at.real(x) first?")
        return Aval(shape_of(x), dtype if dtype.kind == "f" else np.float64)

    return infer


# -- gamma function


def _mapped(function: Any, x: np.ndarray, fits: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Python's function of one number on the elements that fit it."""
    out[fits] = [function(v) for v in x[fits].tolist()]
    return out


def _is_pole(x: np.ndarray) -> np.ndarray:
    return (x <= 0) & (x == np.floor(x))


def _gammaln(x: np.ndarray) -> np.ndarray:
    out = np.where(np.isnan(x), np.nan, np.inf)
    return _mapped(math.lgamma, x, np.isfinite(x) & ~_is_pole(x) & (np.abs(x) < 1e305), out)


def _gamma(x: np.ndarray) -> np.ndarray:
    out = np.where(_is_pole(x) | np.isnan(x) | (x == -np.inf), np.nan, np.where(x > 0, np.inf, 0.0))
    out = np.where(x == 0, np.copysign(np.inf, x), out)
    return _mapped(math.gamma, x, (x < 171.624) & (x > -200) & ~_is_pole(x), out)  # beyond lie overflow and 0


def _gammasgn(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, 1.0, np.where(_is_pole(x), np.where(x == 0, np.copysign(1.0, x), np.nan),
                    1.0 - 2.0 * (np.floor(x) % 2)))  # fmt: skip


# B_2, B_4, ... of DLMF 24.2.
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]


def _digamma(x: np.ndarray) -> np.ndarray:
    # Reflection (DLMF 5.5.4) to the right half, steps up (5.5.2) to 10, from there the asymptotic series (5.11.2).
    pole = _is_pole(x)
    left = x < 0
    fraction = x - np.round(x)
    y = np.where(pole, 1.0, np.where(left, 1 - x, x))
    shift = np.zeros_like(y)
    for _ in range(10):
        low = y < 10
        shift = np.where(low, shift + 1 / np.where(low, y, 1), shift)
        y = np.where(low, y + 1, y)
    z = 1 / (y * y)
    series = np.zeros_like(y)
    for k in range(len(_BERNOULLI), 0, -1):
        series = (series + _BERNOULLI[k - 1] / (2 * k)) * z
    out = np.log(y) - 0.5 / y - series - shift
    out = np.where(left, out - math.pi / np.tan(math.pi * fraction), out)
    return np.where(pole, np.where(x == 0, np.copysign(np.inf, -x), np.nan), out)


def _polygamma(x: np.ndarray, n: int) -> np.ndarray:
    # (-1)^(n+1) n! zeta(n + 1, x) (DLMF 25.11.12), Hurwitz's zeta function by Euler and Maclaurin (25.11.5).
    s = n + 1
    bound = 10.0 + s
    steps = int(min(max(np.ceil(bound - np.min(x, initial=bound, where=np.isfinite(x))), 0), 10_000))
    total = np.zeros_like(x)
    y = np.array(x)
    for _ in range(steps):
        low = y < bound
        total = np.where(low, total + np.where(low, y, 1.0) ** -s, total)
        y = np.where(low, y + 1, y)
    total = total + y ** (1 - s) / (s - 1) + 0.5 * y**-s
    factor = s * y ** (-s - 1)
    for k, b in enumerate(_BERNOULLI, start=1):
        total = total + b / math.factorial(2 * k) * factor
        factor = factor * (s + 2 * k - 1) * (s + 2 * k) / (y * y)
    total = np.where(_is_pole(x), np.inf, np.where(x == np.inf, 0.0, total))
    return (-1.0) ** (n + 1) * math.factorial(n) * total


@defop("gammaln", impl=in_float64(_gammaln), infer=one_float("gammaln"))
def gammaln(needs, g, out, x):
    """Logarithm of the absolute value of the gamma function; infinite at 0, -1, -2..."""
    return (g * digamma(x),)


@defop("gamma", impl=in_float64(_gamma), infer=one_float("gamma"))
def gamma(needs, g, out, x):
    """The gamma function, (x - 1)! of whole numbers; NaN at -1, -2..."""
    return (g * out * digamma(x),)


def _rgamma(x: np.ndarray) -> np.ndarray:
    pole = _is_pole(x)
    return np.where(pole, 0.0, np.where(x > 171, np.exp(-_gammaln(x)), 1 / np.where(pole, 1.0, _gamma(x))))


@defop("rgamma", impl=in_float64(_rgamma), infer=one_float("rgamma"))
def rgamma(needs, g, out, x):
    """1 / gamma(x), 0 at 0, -1, -2...; its slope there is given as NaN."""
    return (-g * out * digamma(x),)


@defop("gammasgn", impl=in_float64(_gammasgn), infer=one_float("gammasgn"))
def gammasgn(needs, g, out, x):
    """Sign of the gamma function. Its gradient is 0."""
    return (zeros_like(x),)


@defop("digamma", impl=in_float64(_digamma), infer=one_float("digamma"))
def digamma(needs, g, out, x):
    """Logarithmic derivative of the gamma function, also called psi."""
    return (g * polygamma_op(x, n=1),)


@defop("polygamma", impl=in_float64(_polygamma), infer=one_float("polygamma"))
def polygamma_op(needs, g, out, x, n):
    return (g * polygamma_op(x, n=n + 1),)


def polygamma(n: int, x: Any) -> Tensor:
    """n-th derivative of ``digamma`` at x, for a whole number n >= 0. Raises ValueError for another n."""
    order = int(n)
    if order != n or order < 0:
        raise ValueError(f"[polygamma] expected a whole number n >= 0; got {n!r}.")
    return digamma(x) if order == 0 else polygamma_op(x, n=order)


def psi(x: Any) -> Tensor:
    """Another name of ``digamma``."""
    return digamma(x)


def betaln(a: Any, b: Any) -> Tensor:
    """Logarithm of the absolute value of the beta function."""
    a, b = operand(a), operand(b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def beta(a: Any, b: Any) -> Tensor:
    """The beta function gamma(a) gamma(b) / gamma(a + b)."""
    a, b = operand(a), operand(b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * ew.exp(betaln(a, b))


def multigammaln(a: Any, d: int) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension d, of a > (d - 1) / 2."""
    a = operand(a)
    total: Any = d * (d - 1) / 4 * math.log(math.pi)
    for j in range(int(d)):
        total = gammaln(a - j / 2) + total
    return total


# -- logistic and entropies


def expit(x: Any) -> Tensor:
    """1 / (1 + exp(-x)); another name of ``sigmoid``."""
    return activation.sigmoid(x)


def log_expit(x: Any) -> Tensor:
    """log(expit(x)) without loss for very negative x."""
    return -activation.softplus(-operand(x))


def logit(p: Any) -> Tensor:
    """log(p / (1 - p)), the inverse of ``expit``."""
    p = operand(p)
    return ew.log(p) - ew.log1p(-p)


def _outside(x: Tensor, y: Tensor) -> Tensor:
    """Where x is 0 and the logarithm of y would make NaN of the product."""
    usable = ew.logical_and(y > 0, ew.isfinite(y)) if y.dtype.kind == "f" else y > 0
    held = ew.logical_and(ew.equal(x, 0), ew.logical_not(usable))
    return ew.logical_and(held, ew.logical_not(ew.isnan(y))) if y.dtype.kind == "f" else held


def xlogy(x: Any, y: Any) -> Tensor:
    """x log(y), and 0 where x is 0."""
    x, y = operand(x), operand(y)
    return x * ew.log(ew.where(_outside(x, y), 1, y))


def xlog1py(x: Any, y: Any) -> Tensor:
    """x log(1 + y), and 0 where x is 0."""
    x, y = operand(x), operand(y)
    return x * ew.log1p(ew.where(_outside(x, y + 1), 0, y))


def entr(x: Any) -> Tensor:
    """-x log(x): 0 at 0, -inf below."""
    x = operand(x)
    inside = x >= 0
    return ew.where(ew.logical_or(inside, ew.isnan(x)), -xlogy(ew.where(x < 0, 1, x), ew.where(x < 0, 1, x)), -math.inf)


def rel_entr(x: Any, y: Any) -> Tensor:
    """x log(x / y) of positive numbers: 0 where x is 0, infinite where either is negative or only y is 0."""
    x, y = operand(x), operand(y)
    usable = ew.logical_and(x > 0, y > 0)
    a, b = ew.where(usable, x, 1), ew.where(usable, y, 1)
    nothing = ew.logical_and(ew.equal(x, 0), y >= 0)
    found = ew.where(nothing, 0.0, ew.where(usable, a * ew.log(a / b), math.inf))
    return ew.where(ew.logical_or(ew.isnan(x), ew.isnan(y)), math.nan, found)


def kl_div(x: Any, y: Any) -> Tensor:
    """x log(x / y) - x + y, the terms of the Kullback-Leibler divergence."""
    x, y = operand(x), operand(y)
    return rel_entr(x, y) - x + y


# -- normal distribution


def ndtr(x: Any) -> Tensor:
    """Probability that a standard normal number is at most x."""
    return ew.erfc(operand(x) * -math.sqrt(0.5)) * 0.5


def _log_ndtr(x: np.ndarray) -> np.ndarray:
    z = np.abs(x) * math.sqrt(0.5)
    far = x < -1
    w = np.where(far, z, 1.0)
    near = np.log1p(-0.5 * ew._erf_parts(np.where(far, 1.0, x) * math.sqrt(0.5), True))
    big = w > 4
    safe = np.where(big, w, 5.0)
    inverse = 1 / (safe * safe)
    scaled = np.where(
        big,
        (1 / math.sqrt(math.pi) - inverse * ew._ratio(ew._LARGE, inverse)) / safe,
        ew._ratio(ew._MIDDLE, np.where(big, 1.0, w)),
    )
    return np.where(far, np.log(scaled / 2) - w * w, near)


@defop("log_ndtr", impl=in_float64(_log_ndtr), infer=one_float("log_ndtr"))
def log_ndtr(needs, g, out, x):
    """Logarithm of ``ndtr``, accurate far out on the left."""
    return (g * ew.exp(x * x * -0.5 - out) / math.sqrt(2 * math.pi),)


def _erfcinv(q: np.ndarray) -> np.ndarray:
    out = np.where((q >= 0) & (q <= 2), np.where(q == 1, 0.0, np.where(q < 1, np.inf, -np.inf)), np.nan)
    inside = (q > 0) & (q < 2) & (q != 1)
    p = q[inside]
    rest = np.where(p > 1, 2 - p, p)
    # First guess by S. Winitzki (2008), as in erfinv, then Halley's rule on log(erfc), which is nearly a parabola.
    a = 0.147
    t = np.log(rest) + np.log(2 - rest)
    u = 2 / (math.pi * a) + t / 2
    y = np.sqrt(np.maximum(np.sqrt(u * u - t / a) - u, 0))
    for _ in range(5):
        value = ew._erf_parts(y, True)
        step = (value - rest) / (2 / math.sqrt(math.pi) * np.exp(-y * y))
        step = np.where(np.isfinite(step), step, 0.0)
        y = y + step / (1 - np.clip(y * step, -0.9, 0.9))
    out[inside] = np.where(p > 1, -y, y)
    return out


@defop("erfcinv", impl=in_float64(_erfcinv), infer=one_float("erfcinv"))
def erfcinv(needs, g, out, x):
    """Inverse of erfc on (0, 2); infinite at the ends, NaN outside."""
    return (-g * ew.exp(out * out) * (math.sqrt(math.pi) / 2),)


def ndtri(p: Any) -> Tensor:
    """Inverse of ``ndtr``: the number below which a standard normal one lies with probability p."""
    return erfcinv(operand(p) * 2) * -math.sqrt(2)


# -- sinc


def _sinc(x: np.ndarray, n: int) -> np.ndarray:
    if n == 0:
        return np.sinc(x)
    u = math.pi * x
    near = np.abs(u) < n + 2.0
    small, large = np.where(near, u, 0.0), np.where(near, 1.0, u)
    series = np.zeros_like(u)  # of sin(u) / u, derived term by term
    for k in range((n + 1) // 2, (n + 1) // 2 + 14 + 2 * n):
        power = 2 * k - n
        series = series + (-1.0) ** k * small**power / ((2 * k + 1) * math.factorial(power))
    exact = np.sin(large) / large
    for k in range(1, n + 1):  # u f = sin(u), derived k times
        exact = (np.sin(large + k * math.pi / 2) - k * exact) / large
    return math.pi**n * np.where(near, series, exact)


@defop("sinc", impl=in_float64(_sinc), infer=one_float("sinc"))
def sinc_op(needs, g, out, x, n):
    return (g * sinc_op(x, n=n + 1),)


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0; its derivatives are exact also there."""
    return sinc_op(x, n=0)


# -- Bessel functions of whole orders


def _hankel(order: int, x: np.ndarray, signs: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Even and odd part of the asymptotic series in 1 / x (DLMF 10.17.1, 10.40.1)."""
    parts = [np.ones_like(x), np.zeros_like(x)]
    term = np.ones_like(x)
    mu = 4.0 * order * order
    for k in range(1, 40):
        new = term * (mu - (2 * k - 1) ** 2) / (8 * k * x)
        term = np.where(np.abs(new) < np.abs(term), new, 0.0)  # the series is cut where it begins to grow
        parts[k % 2] = parts[k % 2] + term * (signs[0] if (k // 2) % 2 else 1.0)
    return parts[0], parts[1]


def _ive(x: np.ndarray, n: int) -> np.ndarray:
    # exp(-|x|) I_n(x) as the mean of exp(|x| (cos t - 1)) cos(n t) (DLMF 10.32.3): the trapezoidal rule is exact
    # up to rounding once there are more points than the function has frequencies.
    size = np.abs(x)
    bound = 30.0 + n * n
    near = np.where(size < bound, size, 0.0)
    points = 2 * int(40 + n + 6 * math.sqrt(near.max(initial=0.0)))
    total = np.zeros_like(near)
    for k in range(points // 2 + 1):
        t = 2 * math.pi * k / points
        weight = 1.0 if k in (0, points // 2) else 2.0
        total += np.exp(near * (math.cos(t) - 1)) * (weight * math.cos(n * t))
    far = np.where(size < bound, bound, size)
    even, odd = _hankel(n, far, (1.0, 1.0))
    out = np.where(size < bound, total / points, (even - odd) / np.sqrt(2 * math.pi * far))
    return np.where(np.isnan(x), np.nan, np.where((x < 0) & (n % 2 == 1), -out, out))


def _jv(x: np.ndarray, n: int) -> np.ndarray:
    # The mean of cos(n t - x sin t) (DLMF 10.9.2), by the trapezoidal rule as above.
    size = np.abs(x)
    bound = 30.0 + n * n
    near = np.where(size < bound, size, 0.0)
    points = 2 * int(30 + n + 1.3 * near.max(initial=0.0))
    total = np.zeros_like(near)
    for k in range(points // 2 + 1):
        t = 2 * math.pi * k / points
        weight = 1.0 if k in (0, points // 2) else 2.0
        total += weight * np.cos(n * t - near * math.sin(t))
    far = np.where(size < bound, bound, size)
    even, odd = _hankel(n, far, (-1.0, -1.0))
    angle = far - (n / 2 + 0.25) * math.pi
    tail = np.sqrt(2 / (math.pi * far)) * (even * np.cos(angle) - odd * np.sin(angle))
    out = np.where(size < bound, total / points, np.where(np.isinf(size), 0.0, tail))
    return np.where(np.isnan(x), np.nan, np.where((x < 0) & (n % 2 == 1), -out, out))


@defop("bessel_ie", impl=in_float64(_ive), infer=one_float("ive"))
def bessel_ie(needs, g, out, x, n):
    """exp(-|x|) I_n(x) for a whole order n >= 0."""
    slope = bessel_ie(x, n=1) if n == 0 else (bessel_ie(x, n=n - 1) + bessel_ie(x, n=n + 1)) * 0.5
    return (g * (slope - ew.sign(x) * out),)


@defop("bessel_i", impl=in_float64(lambda x, n: _ive(x, n) * np.exp(np.abs(x))), infer=one_float("iv"))
def bessel_i(needs, g, out, x, n):
    """Modified Bessel function of the first kind I_n(x), for a whole order n >= 0."""
    slope = bessel_i(x, n=1) if n == 0 else (bessel_i(x, n=n - 1) + bessel_i(x, n=n + 1)) * 0.5
    return (g * slope,)


@defop("bessel_j", impl=in_float64(_jv), infer=one_float("jv"))
def bessel_j(needs, g, out, x, n):
    """Bessel function of the first kind J_n(x), for a whole order n >= 0."""
    slope = -bessel_j(x, n=1) if n == 0 else (bessel_j(x, n=n - 1) - bessel_j(x, n=n + 1)) * 0.5
    return (g * slope,)


def i0(x: Any) -> Tensor:
    """Modified Bessel function of the first kind and order 0."""
    return bessel_i(x, n=0)


def i0e(x: Any) -> Tensor:
    """exp(-|x|) i0(x)."""
    return bessel_ie(x, n=0)


def i1(x: Any) -> Tensor:
    """Modified Bessel function of the first kind and order 1."""
    return bessel_i(x, n=1)


def i1e(x: Any) -> Tensor:
    """exp(-|x|) i1(x)."""
    return bessel_ie(x, n=1)


def j0(x: Any) -> Tensor:
    """Bessel function of the first kind and order 0."""
    return bessel_j(x, n=0)


def j1(x: Any) -> Tensor:
    """Bessel function of the first kind and order 1."""
    return bessel_j(x, n=1)
