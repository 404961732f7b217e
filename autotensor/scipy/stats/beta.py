"""The beta distribution."""

from __future__ import annotations

import math
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.ops.special_scipy import betainc
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["cdf", "logpdf", "pdf"]


@arrays_for_arrays
def logpdf(x: Any, a: Any, b: Any) -> Tensor:
    """Logarithm of the density at x from 0 to 1; -inf outside."""
    x, a, b = operand(x), operand(a), operand(b)
    inside = ew.logical_and(x >= 0, x <= 1)
    y = ew.where(inside, x, 0.5)
    value = special.xlogy(a - 1, y) + special.xlog1py(b - 1, -y) - special.betaln(a, b)
    return ew.where(inside, value, -math.inf)


@arrays_for_arrays
def pdf(x: Any, a: Any, b: Any) -> Tensor:
    """Density at x; 0 outside 0 to 1."""
    return ew.exp(operand(logpdf(x, a, b)))


@arrays_for_arrays
def cdf(x: Any, a: Any, b: Any) -> Tensor:
    """Probability of a number up to x; differentiable by x."""
    return betainc(a, b, ew.clip(operand(x), 0.0, 1.0))
