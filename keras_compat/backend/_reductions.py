"""Sums, means, extremes and the like along axes. Names of Python are hidden here."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._lengths import ShapeTensor
from keras_compat.backend._tensors import as_float, as_tensor, cast


def as_axes(axis: Any) -> Any:
    """An axis, or a tuple of several."""
    return tuple(axis) if isinstance(axis, (list, tuple, np.ndarray)) else axis


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes; all by default."""
    return at.sum(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over axes."""
    if isinstance(x, ShapeTensor) and axis in (None, 0, -1) and not keepdims:
        return functools.reduce(operator.mul, x.lengths())
    return at.prod(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over axes."""
    return at.max(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over axes."""
    return at.min(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over axes; of bools and integers in the default float type."""
    return at.mean(as_float(x), axis=as_axes(axis), keepdims=keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance over axes: mean squared distance from the mean."""
    return at.var(as_float(x), axis=as_axes(axis), keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation over axes."""
    return at.sqrt(var(x, axis=axis, keepdims=keepdims))


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """True where any element is not 0."""
    return at.any(cast(x, "bool"), axis=as_axes(axis), keepdims=keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """True where every element is not 0."""
    return at.all(cast(x, "bool"), axis=as_axes(axis), keepdims=keepdims)


def argmax(x: Any, axis: int = -1) -> Any:
    """Position of the largest element along an axis."""
    return at.argmax(as_tensor(x), axis=axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Position of the smallest element along an axis."""
    return at.argmin(as_tensor(x), axis=axis)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    return at.logsumexp(as_float(x), axis=as_axes(axis), keepdims=keepdims)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums of the elements so far along an axis."""
    return at.cumulative_sum(as_tensor(x), axis=axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Products of the elements so far along an axis."""
    return at.cumulative_prod(as_tensor(x), axis=axis)
