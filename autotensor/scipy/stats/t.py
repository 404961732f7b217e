"""Student's t distribution."""

from __future__ import annotations

import math
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.ops.special_scipy import stdtr
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["cdf", "logcdf", "logpdf", "pdf"]


@arrays_for_arrays
def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Logarithm of the density at x, with df degrees of freedom."""
    z = (operand(x) - loc) / scale
    df = operand(df)
    size = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * ew.log(df * math.pi) - ew.log(operand(scale))
    return size - (df + 1) / 2 * ew.log1p(z * z / df)


@arrays_for_arrays
def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Density at x."""
    return ew.exp(operand(logpdf(x, df, loc, scale)))


@arrays_for_arrays
def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Probability of a number up to x; differentiable by x, loc and scale."""
    return stdtr(df, (operand(x) - loc) / scale)


@arrays_for_arrays
def logcdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Logarithm of ``cdf``."""
    return ew.log(operand(cdf(x, df, loc, scale)))
