"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import reduce, special
from autotensor.ops.creation import operand
from autotensor.ops.shape import concat
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["logpdf", "pdf", "rvs"]


@arrays_for_arrays
def logpdf(x: Any, alpha: Any) -> Tensor:
    """Logarithm of the density at x, a vector of shares (their number, or one less) or one in each column."""
    x, alpha = operand(x), operand(alpha)
    if x.shape[0] == (alpha.shape[0] or 0) - 1:
        x = _completed(x)
    weights = alpha - 1 if x.ndim == 1 else (alpha - 1)[:, None]
    norm = reduce.sum(special.gammaln(alpha)) - special.gammaln(reduce.sum(alpha))
    return reduce.sum(special.xlogy(weights, x), axis=0) - norm


def _completed(x: Tensor) -> Tensor:
    """The shares with the last one, which makes their sum 1."""
    return concat([x, 1 - reduce.sum(x, axis=0, keepdims=True)], axis=0)


@arrays_for_arrays
def pdf(x: Any, alpha: Any) -> Tensor:
    """Density at x."""
    return ew.exp(operand(logpdf(x, alpha)))


def rvs(alpha: Any, size: Any = 1, random_state: Any = None) -> np.ndarray:
    """Draws from the distribution, as an array; no gradients."""
    generator = np.random.default_rng(random_state) if not hasattr(random_state, "dirichlet") else random_state
    return generator.dirichlet(np.asarray(alpha), size)
