"""Normalization by mean and variance, and the averages that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._creation import variable
from keras_compat.backend._graph import Change, Update
from keras_compat.backend._tensors import as_tensor, cast
from keras_compat.dialect.level import get_api_level


def moving_average_update(x: Any, value: Any, momentum: Any) -> Update:
    """The change of variable ``x`` to ``x * momentum + value * (1 - momentum)``.

    At API level 2.2 the average starts at 0 and is divided by ``1 - momentum ** updates``, so that the value of ``x``
    before the first update does not count (Kingma and Ba, arXiv:1412.6980, section 3). The running sum and the number
    of updates are kept beside ``x`` and in no file, as in Keras 2.2 on TensorFlow.
    """
    value = cast(value, x.dtype)
    if get_api_level() != "2.2":
        return Change(x, x * momentum + value * (1.0 - momentum))
    biased = variable(np.zeros(x.shape), dtype=x.dtype)
    count = variable(0, dtype=x.dtype)
    now, seen = biased * momentum + value * (1.0 - momentum), count + 1.0
    change = Update(x, now / (1.0 - at.pow(at.asarray(np.asarray(momentum, dtype=x.dtype)), seen)))
    change.value._attached_updates = [Update(biased, now), Update(count, seen)]
    return change


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` along ``axis``; beta and gamma may be None."""
    x = as_tensor(x)

    def along(v: Any) -> Any:
        v = as_tensor(v)
        if v.ndim != 1 or axis % x.ndim == x.ndim - 1:
            return v
        return at.reshape(v, tuple([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]))

    scale = 1.0 / at.sqrt(along(var) + epsilon)
    if gamma is not None:
        scale = scale * along(gamma)
    out = (x - along(mean)) * scale
    return out if beta is None else out + along(beta)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Normalize by the mean and variance over some axes; returns (normalized, mean, variance)."""
    x = as_tensor(x)
    axes = [axis % x.ndim for axis in reduction_axes]
    kept = [k for k in range(x.ndim) if k not in axes]
    given = [as_tensor(v) for v in (gamma, beta) if v is not None]
    if len(kept) == 1 and x.shape[kept[0]] and all([v.ndim == 1 and v.dtype == x.dtype for v in given]):
        return at.batch_norm(x, gamma, beta, kept[0], epsilon)
    center, spread = [at.mean(x, axis=tuple(axes), keepdims=True), at.var(x, axis=tuple(axes), keepdims=True)]
    shape = tuple([1 if k in axes else -1 for k in range(x.ndim)])

    def along(v: Any) -> Any:
        return at.reshape(v, shape if shape.count(-1) == 1 else [int(d or -1) for d in center.shape])

    out = (x - center) * (1.0 / at.sqrt(spread + epsilon))
    if gamma is not None:
        out = out * along(gamma)
    if beta is not None:
        out = out + along(beta)
    return out, at.squeeze(center, tuple(axes)), at.squeeze(spread, tuple(axes))
