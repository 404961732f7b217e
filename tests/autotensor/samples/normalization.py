"""Samples of ``autotensor.ops.normalization``: against loops over features."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array


def features(x, axis):
    """Each feature's elements, by index."""
    if not 0 <= axis < x.ndim:
        raise ValueError("no such axis")
    for j in range(x.shape[axis]):
        yield j, (slice(None),) * axis + (j,)


def moments(x, axis):
    mean, var = np.zeros(x.shape[axis], x.dtype), np.zeros(x.shape[axis], x.dtype)
    for j, part in features(x, axis):
        mean[j], var[j] = np.mean(x[part]), np.var(x[part])
    return mean, var


def fits(x, axis, *vectors):
    if any(v.shape != x.shape[axis : axis + 1] for v in vectors):
        raise ValueError("vectors do not fit")


def batch_norm(x, gamma, beta, axis, epsilon):
    fits(x, axis, gamma, beta)
    out = np.zeros_like(x)
    mean, var = moments(x, axis)
    for j, part in features(x, axis):
        out[part] = gamma[j] * (x[part] - mean[j]) / np.sqrt(var[j] + epsilon) + beta[j]
    return out, mean, var


def gradients(g, x, gamma, mean, var, axis, epsilon):
    """By the Jacobian: of the normalised elements of a feature by its elements, times g."""
    fits(x, axis, gamma, mean, var)
    if g.shape != x.shape:
        raise ValueError("g does not fit")
    gx, ggamma, gbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for j, part in features(x, axis):
        r = 1 / np.sqrt(var[j] + epsilon)
        y, seed = (x[part].ravel() - mean[j]) * r, g[part].ravel()
        n = y.size
        jacobian = gamma[j] * r * (np.eye(n) - 1 / n - np.outer(y, y) / n if n else np.zeros((0, 0)))
        gx[part] = (jacobian @ seed).reshape(gx[part].shape)
        ggamma[j], gbeta[j] = seed @ y, seed.sum()
    return gx, ggamma, gbeta


def vector(n: int, seed: int) -> np.ndarray:
    return array(n, seed=seed) + 2.0


SAMPLES: dict[str, list[Sample]] = {
    "moments": [
        Sample(array(5, 3), oracle=moments, axis=1, name="last"),
        Sample(array(2, 3, 4, 5), oracle=moments, axis=1, name="first"),
        Sample(array(3, 4), oracle=moments, axis=0, name="rows"),
    ],
    "batch_norm": [
        Sample(array(5, 3), vector(3, 1), array(3, seed=2), oracle=batch_norm, axis=1, epsilon=0.01, name="last"),
        Sample(array(2, 3, 4), vector(3, 1), array(3, seed=2), oracle=batch_norm, axis=1, epsilon=0.1, name="middle"),
        Sample(
            array(4, 2, 3),
            vector(3, 1),
            array(3, seed=2),
            call=lambda x, gamma, beta, **_: at.batch_norm(x, gamma, beta, epsilon=0.1),
            oracle=lambda x, gamma, beta: batch_norm(x, gamma, beta, 2, 0.1),
            name="public",
        ),
    ],
    "batch_norm_grad": [
        Sample(
            array(5, 3),
            array(5, 3, seed=1),
            vector(3, 2),
            array(3, seed=3),
            vector(3, 4),
            oracle=gradients,
            axis=1,
            epsilon=0.01,
            name="last",
        ),
        Sample(
            array(2, 3, 4),
            array(2, 3, 4, seed=1),
            vector(3, 2),
            array(3, seed=3),
            vector(3, 4),
            oracle=gradients,
            axis=1,
            epsilon=0.1,
            name="middle",
        ),
    ],
}
