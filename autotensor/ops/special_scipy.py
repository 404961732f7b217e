"""Special functions whose values SciPy computes: incomplete beta and gamma functions, Bessel functions of other orders.

    pip install scipy

Derivatives are ours. Those by the parameters of the incomplete functions have no closed form: they are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, result_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import GradError
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.ops.like import unbroadcast

__all__ = ["betainc", "gammainc", "gammaincc", "iv", "ive", "jn", "jv", "stdtr", "y0", "y1", "yn", "yv"]


def _from_scipy(name: str) -> Any:
    def impl(*arrays: Any) -> np.ndarray:
        try:
            import scipy.special
        except ImportError:
            raise ImportError(f"[{name}] is computed by SciPy, which is not installed: pip install scipy") from None
        dtype = _float(*arrays)
        with np.errstate(all="ignore"):
            out = getattr(scipy.special, name)(*[np.asarray(x, np.float64) for x in arrays])
        return np.asarray(out).astype(dtype, copy=False)

    return impl


def _float(*arrays: Any) -> np.dtype:
    dtype = np.result_type(*arrays)
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _several(name: str) -> Any:
    def infer(*operands: Operand) -> Aval:
        dtype = result_dtype(*operands)
        shape = broadcast_shapes(name, *[shape_of(x) for x in operands])
        return Aval(shape, dtype if dtype.kind == "f" else np.float64)

    return infer


def _parts(name: str) -> dict[str, Any]:
    return {"impl": _from_scipy(name), "infer": _several(name)}


def _refuse(name: str, needs: Any, parameters: Sequence[str]) -> None:
    if any(needs[: len(parameters)]):
        shown = " and ".join(parameters)
        raise GradError(
            f"[{name}] has a derivative by x only; {shown} require gradients here. Use stop_gradient() for {shown}."
        )


@defop("betainc", **_parts("betainc"))
def betainc(needs, g, out, a, b, x):
    """Regularised incomplete beta function: the integral of t**(a-1) (1-t)**(b-1) from 0 to x over beta(a, b).

    Differentiable by x; a and b must not require gradients.
    """
    _refuse("betainc", needs, "ab")
    logarithm = special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b)
    return None, None, unbroadcast(g * ew.exp(logarithm), x)


def _gamma_density(a: Any, x: Any) -> Tensor:
    return ew.exp(special.xlogy(a - 1, x) - x - special.gammaln(a))


@defop("gammainc", **_parts("gammainc"))
def gammainc(needs, g, out, a, x):
    """Regularised lower incomplete gamma function: the integral of t**(a-1) exp(-t) from 0 to x over gamma(a).

    Differentiable by x; a must not require gradients.
    """
    _refuse("gammainc", needs, "a")
    return None, unbroadcast(g * _gamma_density(a, x), x)


@defop("gammaincc", **_parts("gammaincc"))
def gammaincc(needs, g, out, a, x):
    """1 - gammainc(a, x) without cancellation. Differentiable by x; a must not require gradients."""
    _refuse("gammaincc", needs, "a")
    return None, unbroadcast(-g * _gamma_density(a, x), x)


@defop("stdtr", **_parts("stdtr"))
def stdtr(needs, g, out, df, t):
    """Probability of a number up to t in Student's t distribution with df degrees of freedom; differentiable by t."""
    _refuse("stdtr", needs, ["df"])
    half = (df + 1) * 0.5
    size = special.gammaln(half) - special.gammaln(df * 0.5) - ew.log(df * math.pi) * 0.5
    return None, unbroadcast(g * ew.exp(size - half * ew.log1p(t * t / df)), t)


@defop("jv", **_parts("jv"))
def jv(needs, g, out, v, x):
    """Bessel function of the first kind J_v(x), of any order; differentiable by x."""
    _refuse("jv", needs, "v")
    return None, unbroadcast(g * (jv(v - 1, x) - jv(v + 1, x)) * 0.5, x)


@defop("yv", **_parts("yv"))
def yv(needs, g, out, v, x):
    """Bessel function of the second kind Y_v(x), of any order; differentiable by x."""
    _refuse("yv", needs, "v")
    return None, unbroadcast(g * (yv(v - 1, x) - yv(v + 1, x)) * 0.5, x)


@defop("iv", **_parts("iv"))
def iv(needs, g, out, v, x):
    """Modified Bessel function of the first kind I_v(x), of any order; differentiable by x."""
    _refuse("iv", needs, "v")
    return None, unbroadcast(g * (iv(v - 1, x) + iv(v + 1, x)) * 0.5, x)


@defop("ive", **_parts("ive"))
def ive(needs, g, out, v, x):
    """exp(-|x|) I_v(x), of any order; differentiable by x."""
    _refuse("ive", needs, "v")
    return None, unbroadcast(g * ((ive(v - 1, x) + ive(v + 1, x)) * 0.5 - ew.sign(x) * out), x)


def jn(n: Any, x: Any) -> Tensor:
    """Bessel function of the first kind and order n; whole numbers n >= 0 need no SciPy."""
    if isinstance(n, (int, np.integer)) and n >= 0:
        return special.bessel_j(x, n=int(n))
    return jv(operand(n), operand(x))


def yn(n: Any, x: Any) -> Tensor:
    """Bessel function of the second kind and order n."""
    return yv(n, operand(x))


def y0(x: Any) -> Tensor:
    """Bessel function of the second kind and order 0."""
    return yv(0, operand(x))


def y1(x: Any) -> Tensor:
    """Bessel function of the second kind and order 1."""
    return yv(1, operand(x))
