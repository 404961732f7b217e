"""The Poisson distribution."""

from __future__ import annotations

import math
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import special
from autotensor.ops.creation import operand
from autotensor.ops.special_scipy import gammaincc
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["cdf", "logpmf", "pmf"]


@arrays_for_arrays
def logpmf(k: Any, mu: Any) -> Tensor:
    """Logarithm of the probability of k events where mu are expected; -inf of what is no count."""
    k, mu = operand(k), operand(mu)
    count = ew.logical_and(k >= 0, ew.equal(k, ew.floor(k)))
    n = ew.where(count, k, 0)
    return ew.where(count, special.xlogy(n, mu) - special.gammaln(n + 1.0) - mu, -math.inf)


@arrays_for_arrays
def pmf(k: Any, mu: Any) -> Tensor:
    """Probability of k events."""
    return ew.exp(operand(logpmf(k, mu)))


@arrays_for_arrays
def cdf(k: Any, mu: Any) -> Tensor:
    """Probability of at most k events; differentiable by mu."""
    k = ew.floor(operand(k))
    return ew.where(k >= 0, gammaincc(ew.maximum(k, 0) + 1.0, mu), 0.0)
