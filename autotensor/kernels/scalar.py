"""Scalar maths for kernels: branch-free helpers that LLVM vectorises when a loop over arrays calls them.

Numba's own `math.exp` and its like call libm once per element and stop vectorisation. These helpers are plain
arithmetic on float32 (`*_f32`): a call in `for i in range(n): out[i] = tanh_f32(x[i])` becomes AVX code. They
follow IEEE for NaN, infinities, overflow and denormals. For float64, kernels use libm (`math.*`), which is
exact and not hot; the `*_f64` helpers are stable formulas `math` lacks.

Every helper is a module-level function that uses only `math`, `np` and other helpers of this file, so that
`source_of` can paste it into a generated module. Rules inside a float32 helper:

- every constant is `np.float32(...)`: a bare literal promotes to float64 and halves the speed;
- integer results are wrapped in `np.int32(...)`, since Numba widens them to int64;
- no `int(x)` of a float, which is undefined for NaN: a number is rounded by adding `1.5 * 2**23`, after which
  the low bits of its representation are the integer;
- clamps are written `lo if x < lo else x`, which is one instruction and keeps NaN.

Accuracy is stated in units in the last place (ulp) of float32, the largest found in the tests' ranges against
float64 NumPy or SciPy. Polynomials and rationals are our own minimax fits (Lawson iteration) of the forms
named in each docstring.
"""

import math
from collections.abc import Iterable

import numpy as np

from autotensor.kernels import jit as _jit
from autotensor.kernels.jit import scalar

PRELUDE = """\
import math

import numpy as np

from autotensor.kernels.jit import jit, pointer, scalar, task
"""
"""The imports a generated module needs above the text of `source_of`."""


def source_of(names: Iterable[str]) -> str:
    """Source text of the named helpers and all helpers they call, ready to paste below `PRELUDE`.

    >>> print(source_of(["rsqrt_f32"]))
    @scalar
    def rsqrt_f32(x):
    ...
    """
    return _jit.source_of(names, globals())


@scalar
def exp_f32(x):
    """e**x; 1.0 ulp. 0 below -103.97, inf above 88.72, denormal results between -103.97 and -87.34.

    x = n ln2 + r with |r| <= ln2/2 (Cody and Waite), e**r = 1 + r + r**2 P(r), times 2**n in two steps.
    """
    x = np.float32(-104.0) if x < np.float32(-104.0) else x
    x = np.float32(89.0) if x > np.float32(89.0) else x
    t = x * np.float32(1.4426950216293335) + np.float32(12582912.0)
    n = np.int32(np.float32(t).view(np.int32) - np.int32(0x4B400000))
    k = t - np.float32(12582912.0)
    r = (x - k * np.float32(0.693145751953125)) - k * np.float32(1.428606765330187e-06)
    p = np.float32(0.001381422160193324)
    p = p * r + np.float32(0.00836889911442995)
    p = p * r + np.float32(0.04166840389370918)
    p = p * r + np.float32(0.1666651964187622)
    p = p * r + np.float32(0.4999999403953552)
    p = (p * r) * r + r + np.float32(1.0)
    half = np.int32(n >> np.int32(1))
    low = np.int32((half + np.int32(127)) << np.int32(23))
    high = np.int32((n - half + np.int32(127)) << np.int32(23))
    return (p * np.int32(low).view(np.float32)) * np.int32(high).view(np.float32)


@scalar
def expm1_f32(x):
    """e**x - 1, accurate near 0; 1.5 ulp. -1 below -17, inf above 88.72.

    Reduced as `exp_f32`; with q = e**r - 1 and h = 2**(n-1), the result is 2 (h q + (h - 1/2)).
    """
    x = np.float32(-20.0) if x < np.float32(-20.0) else x
    x = np.float32(89.0) if x > np.float32(89.0) else x
    t = x * np.float32(1.4426950216293335) + np.float32(12582912.0)
    n = np.int32(np.float32(t).view(np.int32) - np.int32(0x4B400000))
    k = t - np.float32(12582912.0)
    r = (x - k * np.float32(0.693145751953125)) - k * np.float32(1.428606765330187e-06)
    p = np.float32(0.00019845899078063667)
    p = p * r + np.float32(0.0013940893113613129)
    p = p * r + np.float32(0.008333389647305012)
    p = p * r + np.float32(0.04166635870933533)
    p = p * r + np.float32(0.1666666567325592)
    p = p * r + np.float32(0.5)
    q = (p * r) * r + r
    h = np.int32(np.int32((n + np.int32(126)) << np.int32(23))).view(np.float32)
    return np.float32(2.0) * (h * q + (h - np.float32(0.5)))


@scalar
def log_f32(x):
    """Natural logarithm; 0.9 ulp. -inf at 0, NaN below 0.

    x = 2**e m with sqrt(1/2) <= m < sqrt(2), f = m - 1, log m = f - f**2/2 + f**3 P(f).
    """
    small = x < np.float32(1.1754943508222875e-38)
    y = x * np.float32(8388608.0) if small else x
    bits = np.float32(y).view(np.int32)
    e = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    m = np.int32(bits - np.int32(e << np.int32(23)))
    k = np.float32(e) - (np.float32(23.0) if small else np.float32(0.0))
    f = np.int32(m).view(np.float32) - np.float32(1.0)
    p = np.float32(-0.07634496688842773)
    p = p * f + np.float32(0.1276157647371292)
    p = p * f + np.float32(-0.13160182535648346)
    p = p * f + np.float32(0.14201757311820984)
    p = p * f + np.float32(-0.16623356938362122)
    p = p * f + np.float32(0.20001226663589478)
    p = p * f + np.float32(-0.2500081956386566)
    p = p * f + np.float32(0.3333333134651184)
    z = f * f
    p = p * (f * z) + k * np.float32(1.428606765330187e-06) - np.float32(0.5) * z
    r = (f + p) + k * np.float32(0.693145751953125)
    r = x if x == np.float32(np.inf) else r
    edge = np.float32(-np.inf) if x == np.float32(0.0) else np.float32(np.nan)
    return r if x > np.float32(0.0) else edge


@scalar
def log1p_f32(x):
    """log(1 + x), accurate near 0; 1.5 ulp. -inf at -1, NaN below -1.

    u = 1 + x as rounded, plus the first-order correction for what rounding lost: log u + (x - (u - 1)) / u.
    """
    u = np.float32(1.0) + x
    y = log_f32(u)
    corrected = y + (x - (u - np.float32(1.0))) / u
    ordinary = (u > np.float32(0.0)) & (u < np.float32(np.inf))
    return corrected if ordinary else y


@scalar
def tanh_f32(x):
    """Hyperbolic tangent; 2.3 ulp. Odd, keeps the sign of 0, never beyond 1.

    m / (m + 2) with m = e**2|x| - 1, and the sign of x.
    """
    size = abs(x)
    size = np.float32(10.0) if size > np.float32(10.0) else size
    m = expm1_f32(size + size)
    y = m / (m + np.float32(2.0))
    sign = np.int32(np.float32(x).view(np.int32) & np.int32(-0x80000000))
    return np.int32(np.float32(y).view(np.int32) | sign).view(np.float32)


@scalar
def sigmoid_f32(x):
    """1 / (1 + e**-x); 2.4 ulp. Keeps relative precision, down to denormals, for very negative x."""
    e = exp_f32(-abs(x))
    numerator = e if x < np.float32(0.0) else np.float32(1.0)
    return numerator / (np.float32(1.0) + e)


@scalar
def softplus_f32(x):
    """log(1 + e**x) as max(x, 0) + log1p(e**-|x|); 2.0 ulp. Overflows nowhere."""
    positive = x if x > np.float32(0.0) else np.float32(0.0)
    return positive + log1p_f32(exp_f32(-abs(x)))


@scalar
def erf_f32(x):
    """Error function; 6.3 ulp (relative error 4e-7). Odd, keeps the sign of 0, never beyond 1.

    x P(x**2) / Q(x**2), of degree 5 each, on |x| <= 3.93, beyond which float32 rounds to 1.
    """
    x = np.float32(-3.93) if x < np.float32(-3.93) else x
    x = np.float32(3.93) if x > np.float32(3.93) else x
    z = x * x
    p = np.float32(2.0294817204558058e-06)
    p = p * z + np.float32(0.0002840653178282082)
    p = p * z + np.float32(0.003783604595810175)
    p = p * z + np.float32(0.052800536155700684)
    p = p * z + np.float32(0.19098703563213348)
    q = np.float32(3.783587089856155e-05)
    q = q * z + np.float32(0.0011646173661574721)
    q = q * z + np.float32(0.01500638760626316)
    q = q * z + np.float32(0.11432618647813797)
    q = q * z + np.float32(0.5025909543037415)
    y = ((p * z) * x + np.float32(1.1283792) * x) / (q * z + np.float32(1.0))
    y = np.float32(-1.0) if y < np.float32(-1.0) else y
    return np.float32(1.0) if y > np.float32(1.0) else y


@scalar
def _sin_quarters_f32(x, quarters):
    """sin(x + quarters * pi/2).

    x = n pi/2 + r with |r| <= pi/4 in float64, with pi/2 in three parts; sine or cosine polynomial of r by
    quadrant.
    """
    wide = np.float64(x)
    t = wide * 0.6366197723675814 + 6755399441055744.0  # 1.5 * 2**52
    n = t - 6755399441055744.0
    quadrant = np.int32(np.float64(t).view(np.int64) & 3)
    quadrant = np.int32(quadrant + quarters)
    wide = ((wide - n * 1.5707963267341256) - n * 6.077100506303966e-11) - n * 2.0222662487959506e-21
    r = np.float32(wide)
    # only |x| > 1e9 gets here out of range; its sine is noise, but never beyond 1
    r = np.float32(-0.7853982) if r < np.float32(-0.7853982) else r
    r = np.float32(0.7853982) if r > np.float32(0.7853982) else r
    z = r * r
    s = np.float32(-0.00019511458231136203)
    s = s * z + np.float32(0.008332133293151855)
    s = s * z + np.float32(-0.16666653752326965)
    s = (s * z) * r + r
    c = np.float32(2.442878576403018e-05)
    c = c * z + np.float32(-0.0013887278037145734)
    c = c * z + np.float32(0.04166664555668831)
    c = (c * z) * z - np.float32(0.5) * z + np.float32(1.0)
    y = s if np.int32(quadrant & np.int32(1)) == np.int32(0) else c
    return y if np.int32(quadrant & np.int32(2)) == np.int32(0) else -y


@scalar
def sin_f32(x):
    """Sine; 1.5 ulp for |x| < 1e6, absolute error 2e-7 up to 1e9, noise beyond. NaN at infinity."""
    return _sin_quarters_f32(x, np.int32(0))


@scalar
def cos_f32(x):
    """Cosine; 1.5 ulp for |x| < 1e6, absolute error 2e-7 up to 1e9, noise beyond. NaN at infinity."""
    return _sin_quarters_f32(x, np.int32(1))


@scalar
def pow_f32(x, y):
    """x**y; 0.51 ulp, and C99's special cases: x**0 = 1, 1**y = 1, negative x only with whole y.

    2**(y log2 |x|) in float64: log2 by an odd series in (m - 1)/(m + 1), 2**f by a polynomial of degree 7.
    """
    size = np.float64(abs(x))
    bits = np.float64(size).view(np.int64)
    e = np.int64(np.int64(bits - 0x3FE6A09E667F3BCD) >> 52)
    m = np.int64(bits - np.int64(e << 52)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.34075876908271946
    p = p * z + 0.4116712457309352
    p = p * z + 0.5770836080877962
    p = p * z + 0.9617966732297872
    p = p * z + 2.8853900817901628
    log2 = p * s + np.float64(e)
    log2 = size if size == np.inf else log2
    log2 = np.float64(-np.inf) if size == 0.0 else log2
    power = np.float64(y) * log2
    power = np.float64(-1000.0) if power < -1000.0 else power
    power = np.float64(1000.0) if power > 1000.0 else power
    t = power + 6755399441055744.0
    f = power - (t - 6755399441055744.0)
    n = np.int64(np.float64(t).view(np.int64) - 0x4338000000000000)
    p = 1.520181839128898e-05
    p = p * f + 0.00015469422078529026
    p = p * f + 0.0013333924027939803
    p = p * f + 0.009618026848488627
    p = p * f + 0.05550410350360803
    p = p * f + 0.2402265120115003
    p = p * f + 0.6931471807297973
    p = p * f + 1.0
    scale = np.int64(np.int64(n + 1023) << 52).view(np.float64)
    r = np.float32(p * scale)

    half = np.float32(0.5) * y
    whole = np.rint(y) == y
    odd = whole & (np.rint(half) != half)
    negative = np.float32(x).view(np.int32) < np.int32(0)
    r = -r if negative & odd else r
    outside = (x < np.float32(0.0)) & (x > np.float32(-np.inf)) & (not whole)
    r = np.float32(np.nan) if outside else r
    one = (y == np.float32(0.0)) | (x == np.float32(1.0))
    one = one | ((x == np.float32(-1.0)) & (abs(y) == np.float32(np.inf)))
    r = x if x != x else r
    return np.float32(1.0) if one else r


@scalar
def sqrt_f32(x):
    """Square root, correctly rounded; NaN below 0."""
    return np.sqrt(x)


@scalar
def rsqrt_f32(x):
    """1 / sqrt(x); 1.5 ulp. inf at 0, NaN below 0."""
    return np.float32(1.0) / np.sqrt(x)


@scalar
def sigmoid_f64(x):
    """1 / (1 + e**-x) without overflow."""
    e = math.exp(-abs(x))
    numerator = e if x < 0.0 else 1.0
    return numerator / (1.0 + e)


@scalar
def softplus_f64(x):
    """log(1 + e**x) as max(x, 0) + log1p(e**-|x|)."""
    positive = x if x > 0.0 else 0.0
    return positive + math.log1p(math.exp(-abs(x)))


@scalar
def order_f32(x, nan):
    """An int32 that orders as the float32 x does, and ``nan`` for NaN. Maxima of integers become vector loops."""
    bits = np.float32(x).view(np.int32)
    key = np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))
    return np.int32(nan) if x != x else key


@scalar
def ordered_f32(key):
    """The float32 of an `order_f32`; NaN for the largest and the smallest int32."""
    return np.int32(key ^ np.int32(np.int32(key >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@scalar
def order_f64(x, nan):
    """An int64 that orders as the float64 x does, and ``nan`` for NaN."""
    bits = np.float64(x).view(np.int64)
    key = np.int64(bits ^ np.int64(np.int64(bits >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF)))
    return np.int64(nan) if x != x else key


@scalar
def ordered_f64(key):
    """The float64 of an `order_f64`; NaN for the largest and the smallest int64."""
    return np.int64(key ^ np.int64(np.int64(key >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)
