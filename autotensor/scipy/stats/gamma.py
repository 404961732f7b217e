"""The gamma distribution with shape parameter a and scale 1."""

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
def logpdf(x: Any, a: Any) -> Tensor:
    """Logarithm of the density at x >= 0; -inf below."""
    x, a = operand(x), operand(a)
    inside = x >= 0
    y = ew.where(inside, x, 1.0)
    return ew.where(inside, special.xlogy(a - 1, y) - y - special.gammaln(a), -math.inf)


@arrays_for_arrays
def pdf(x: Any, a: Any) -> Tensor:
    """Density at x."""
    return ew.exp(operand(logpdf(x, a)))


@arrays_for_arrays
def cdf(x: Any, a: Any) -> Tensor:
    """Probability of a number up to x; differentiable by x."""
    return gammainc(a, ew.maximum(operand(x), 0.0))
