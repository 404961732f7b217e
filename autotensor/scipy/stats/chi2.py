"""The chi-squared distribution."""

from __future__ import annotations

import math
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.ops.special_scipy import gammainc
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["cdf", "logpdf", "pdf"]


@arrays_for_arrays
def logpdf(x: Any, df: Any) -> Tensor:
    """Logarithm of the density at x >= 0, with df degrees of freedom; -inf below."""
    x, half = operand(x), operand(df) / 2
    inside = x >= 0
    y = ew.where(inside, x, 1.0)
    value = special.xlogy(half - 1, y) - y / 2 - special.gammaln(half) - half * math.log(2)
    return ew.where(inside, value, -math.inf)


@arrays_for_arrays
def pdf(x: Any, df: Any) -> Tensor:
    """Density at x."""
    return ew.exp(operand(logpdf(x, df)))


@arrays_for_arrays
def cdf(x: Any, df: Any) -> Tensor:
    """Probability of a number up to x; differentiable by x."""
    return gammainc(operand(df) / 2, ew.maximum(operand(x), 0.0) / 2)
