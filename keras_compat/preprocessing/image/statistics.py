"""Means, deviations and whitening of many pictures: sums in float64, a part of the pictures at a time.

Keras sums in float32, which drifts for thousands of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

# Bytes of pictures in float64 that are worked on at a time.
_CHUNK = 1 << 22


def _parts(x: Any, scale: float | None) -> Iterator[np.ndarray]:
    """The pictures in float64, some at a time, times a scale."""
    step = max(1, _CHUNK // (8 * int(np.prod(x.shape[1:])) or 1))
    for first in range(0, len(x), step):
        part = np.asarray(x[first : first + step]).astype("float64")
        yield part * scale if scale else part


def mean_and_deviation(x: Any, channel_axis: int, scale: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of pictures of rank 4, to be broadcast over one picture."""
    axes = tuple(axis for axis in range(4) if axis != channel_axis)
    count = np.prod([x.shape[axis] for axis in axes])
    shape = [1, 1, 1]
    shape[channel_axis - 1] = x.shape[channel_axis]
    mean = np.reshape(sum(part.sum(axes) for part in _parts(x, scale)) / count, shape)
    squares = sum(np.square(part - mean).sum(axes) for part in _parts(x, scale))
    return mean, np.reshape(np.sqrt(squares / count), shape)


def whitening(x: Any, middle: Any, width: Any, epsilon: float, scale: float | None) -> np.ndarray:
    """The matrix (ZCA) that takes the correlations out of ``(x - middle) / width``, pictures as rows of numbers."""
    size = int(np.prod(x.shape[1:]))
    covariance = np.zeros((size, size))
    for part in _parts(x, scale):
        flat = ((part - middle) / width).reshape(len(part), size)
        covariance += flat.T @ flat
    variances, axes = np.linalg.eigh(covariance / len(x))
    return (axes / np.sqrt(np.maximum(variances, 0) + epsilon)) @ axes.T
