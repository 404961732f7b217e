"""The normal distribution."""

from __future__ import annotations

import math
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]


def _standard(x: Any, loc: Any, scale: Any) -> Tensor:
    return (operand(x) - loc) / scale


@arrays_for_arrays
def logpdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Logarithm of the density at x."""
    z = _standard(x, loc, scale)
    return z * z * -0.5 - ew.log(operand(scale)) - 0.5 * math.log(2 * math.pi)


@arrays_for_arrays
def pdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Density at x."""
    z = _standard(x, loc, scale)
    return ew.exp(z * z * -0.5) / (operand(scale) * math.sqrt(2 * math.pi))


@arrays_for_arrays
def cdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Probability of a number up to x."""
    return special.ndtr(_standard(x, loc, scale))


@arrays_for_arrays
def sf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Probability of a number above x."""
    return special.ndtr(-_standard(x, loc, scale))


@arrays_for_arrays
def logcdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Logarithm of ``cdf``, accurate in the lower tail."""
    return special.log_ndtr(_standard(x, loc, scale))


@arrays_for_arrays
def logsf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Tensor:
    """Logarithm of ``sf``, accurate in the upper tail."""
    return special.log_ndtr(-_standard(x, loc, scale))
