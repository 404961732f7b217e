"""Activations, and what the cross-entropies have to know of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend import _reductions
from keras_compat.backend._functions import get_value
from keras_compat.backend._tensors import as_float
from keras_compat.dialect.level import get_api_level


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x from ``threshold`` up, at most ``max_value``; below the threshold ``alpha * (x - threshold)``.

    With a ``max_value``, what is above a negative threshold is at least 0, as in Keras 2.3.1.
    """
    x = as_float(x)
    alpha = get_value(alpha).item() if isinstance(alpha, at.Tensor) and alpha.ndim == 0 else alpha
    if isinstance(alpha, (at.Tensor, np.ndarray)):
        return at.where(at.greater(x, threshold), relu(x, 0.0, max_value, threshold), alpha * (x - threshold))
    if max_value is not None and threshold < 0:
        return at.where(at.greater(x, threshold), at.clip(x, 0.0, max_value), alpha * (x - threshold))
    return at.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else ``alpha * (e**x - 1)``."""
    x = as_float(x)
    if isinstance(alpha, at.Tensor):
        return at.where(at.greater(x, 0), x, alpha * at.expm1(at.minimum(x, 0.0)))
    return at.elu(x, alpha)


def _with_scores(y: Any, kind: str, x: Any) -> Any:
    """Note on ``y`` that it is a softmax or sigmoid, and of what: the cross-entropies of Keras 2.3 look for it."""
    if y.is_symbolic:
        y._made_of = (kind, x)
    return y


def scores_of(y: Any, kind: str) -> Any:
    """What ``softmax`` or ``sigmoid`` made ``y`` of, at API level 2.3; else None.

    Keras 2.3.1 on TensorFlow takes the cross-entropy of scores where it sees that the output is a softmax or sigmoid:
    nothing is clipped, and the gradient does not vanish where the output is near 0 or 1.
    """
    made_by, scores = getattr(y, "_made_of", ("", None))
    return scores if made_by == kind and get_api_level() == "2.3" else None


def softmax(x: Any, axis: int = -1) -> Any:
    """e**x / sum(e**x) along an axis."""
    x = as_float(x)
    y = at.softmax(x, axis=axis)
    return _with_scores(y, "softmax", x) if axis in (-1, x.ndim - 1) else y


def softplus(x: Any) -> Any:
    """log(1 + e**x)."""
    return at.softplus(as_float(x))


def softsign(x: Any) -> Any:
    """x / (1 + abs(x))."""
    return at.softsign(as_float(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    x = as_float(x)
    return _with_scores(at.sigmoid(x), "sigmoid", x)


def hard_sigmoid(x: Any) -> Any:
    """0.2 * x + 0.5, cut to 0..1."""
    return at.hard_sigmoid(as_float(x))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return at.tanh(as_float(x))


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x divided by its Euclidean norm along an axis; ``x / sqrt(max(sum(x**2), 1e-12))``."""
    x = as_float(x)
    return x / at.sqrt(at.maximum(_reductions.sum(at.square(x), axis=axis, keepdims=True), 1e-12))
