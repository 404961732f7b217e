"""The multivariate normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, wrap
from autotensor.ops import elementwise as ew
from autotensor.ops import linalg, reduce, shape
from autotensor.ops.creation import operand
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["entropy", "logpdf", "pdf"]


def _parameters(x: Any, mean: Any, cov: Any) -> tuple[Tensor, Tensor, int]:
    """Deviations in the last axis, the covariance matrix, and its size."""
    cov = operand(cov)
    mean = operand(0.0 if mean is None else mean)
    d = cov.shape[-1] if cov.ndim else mean.shape[-1] if mean.ndim else 1
    if cov.ndim == 0:
        cov = cov * np.eye(d)
    elif cov.ndim == 1:
        cov = shape.diag(cov)
    x = operand(x)
    if d == 1 and (x.ndim == 0 or x.shape[-1] != 1):
        x = x[..., None]
    return x - mean, cov, d


def _pseudo(cov: Tensor) -> tuple[Any, Any, int]:
    """Inverse and logarithm of the determinant of a covariance matrix on the space it spans."""
    values, vectors = linalg.eigh(cov)
    spectrum = np.abs(values.numpy())
    limit = 1e6 * np.finfo(cov.dtype).eps * spectrum.max()  # below it SciPy takes an eigenvalue as 0
    held = wrap(np.flatnonzero(spectrum > limit))
    values, vectors = values[held], vectors[:, held]
    return linalg.matmul(vectors / values, vectors.T), reduce.sum(ew.log(values)), held.size or 0


@arrays_for_arrays
def logpdf(x: Any, mean: Any = None, cov: Any = 1.0, allow_singular: bool = False) -> Tensor:
    """Logarithm of the density at x, whose last axis holds the components."""
    deviation, cov, d = _parameters(x, mean, cov)
    if allow_singular:
        inverse, logdet, d = _pseudo(cov)
        solved = linalg.matmul(deviation, inverse)
    else:
        logdet = linalg.slogdet(cov)[1]
        rows = deviation.reshape((-1, cov.shape[0] or -1))
        solved = linalg.solve(cov, rows.T).T.reshape(deviation.shape)
    return (reduce.sum(deviation * solved, axis=-1) + logdet + d * math.log(2 * math.pi)) * -0.5


@arrays_for_arrays
def pdf(x: Any, mean: Any = None, cov: Any = 1.0, allow_singular: bool = False) -> Tensor:
    """Density at x."""
    return ew.exp(operand(logpdf(x, mean, cov, allow_singular)))


@arrays_for_arrays
def entropy(mean: Any = None, cov: Any = 1.0) -> Tensor:
    """Differential entropy in nats."""
    _, cov, d = _parameters(0.0 if mean is None else mean, mean, cov)
    return linalg.slogdet(cov)[1] * 0.5 + 0.5 * d * (1 + math.log(2 * math.pi))
