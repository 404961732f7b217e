"""Products of matrices and of batches of them; biases."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._tensors import as_tensor, operands
from keras_compat.backend.common import normalize_data_format
from keras_compat.dialect.level import get_api_level


def dot(x: Any, y: Any) -> Any:
    """The last axis of x times the second to last of y (its only one for a vector), as ``numpy.dot``."""
    x, y = map(as_tensor, operands(x, y))
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    if y.ndim <= 2:
        return at.matmul(x, y)
    return at.tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)))


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products of the samples of x and y, summed along one axis of each.

    ``axes`` is that axis (the same for both) or a pair; by default the last of x and the second to last of y (the
    last if y has rank 2). The result has the other axes of x, then those of y; at least rank 2. Axis 0, the samples,
    is refused from API level 2.3 on.

    Up to level 2.2, as there on TensorFlow, the leading axes of tensors of rank 4 and more are samples too, where they
    agree: (n, m, i, k) and (n, m, k, j) make (n, m, i, j), and x may lack the axis i. Capsule networks rely on it.

    Raises ValueError for tensors without a batch axis, and axes that do not exist or differ in length.
    """
    x, y = map(as_tensor, operands(x, y))
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"[batch_dot] expected tensors of rank 2 or more; got {x.shape} and {y.shape}. The first axis is the batch."
        )
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 1 if y.ndim == 2 else y.ndim - 2)
    elif isinstance(axes, (int, np.integer)):
        axes = (int(axes), int(axes))
    if any(isinstance(axis, (list, tuple)) for axis in axes):
        raise ValueError(
            f"[batch_dot] Multiple target dimensions are not supported: expected None, int or a pair of ints; got "
            f"{axes}. Flatten the axes into one?"
        )
    a, b = [int(axis) % t.ndim if -t.ndim <= int(axis) < t.ndim else int(axis) for axis, t in zip(axes, (x, y))]
    if a >= x.ndim or b >= y.ndim or a < 0 or b < 0:
        raise ValueError(f"[batch_dot] axes {tuple(axes)} do not exist in {x.shape} and {y.shape}. Count from 0.")
    if a == 0 or b == 0:
        return _batch_dot_over_samples(x, y, a, b)
    if x.shape[a] is not None and y.shape[b] is not None and x.shape[a] != y.shape[b]:
        raise ValueError(
            f"[batch_dot] axis {a} of {x.shape} and axis {b} of {y.shape} must be equally long; got {x.shape[a]} and "
            f"{y.shape[b]}. Choose other axes?"
        )
    if x.ndim == 2 and y.ndim == 2:
        return at.sum(x * y, axis=1, keepdims=True)
    if x.ndim <= 3 and y.ndim <= 3:
        left = at.expand_dims(x, 1) if x.ndim == 2 else x if a == 2 else at.permute_dims(x, (0, 2, 1))
        right = at.expand_dims(y, 2) if y.ndim == 2 else y if b == 1 else at.permute_dims(y, (0, 2, 1))
        out = at.matmul(left, right)
        return at.squeeze(out, 1) if x.ndim == 2 else at.squeeze(out, 2) if y.ndim == 2 else out
    if get_api_level() != "2.3" and _shares_leading_axes(x, y, a, b):
        left = at.expand_dims(x, -2) if x.ndim < y.ndim else x if a == x.ndim - 1 else _swap_last(x)
        out = at.matmul(left, _swap_last(y) if b == y.ndim - 1 else y)
        return at.squeeze(out, -2) if x.ndim < y.ndim else out
    letters = iter("cdefghijklmnopqrstuvwxyz")
    left_names = ["a"] + [next(letters) for _ in range(x.ndim - 1)]
    right_names = ["a"] + [next(letters) for _ in range(y.ndim - 1)]
    right_names[b] = left_names[a]
    kept = [n for i, n in enumerate(left_names) if i != a] + [n for i, n in enumerate(right_names) if i not in (0, b)]
    return at.einsum(f"{''.join(left_names)},{''.join(right_names)}->{''.join(kept)}", x, y)


def _shares_leading_axes(x: Any, y: Any, a: int, b: int) -> bool:
    """Are the axes before the last two of y (before the last one of an x that lacks one) samples of both?"""
    lacks = y.ndim - x.ndim
    if lacks not in (0, 1) or a < x.ndim - 2 + lacks or b < y.ndim - 2:
        return False
    pairs = zip(x.shape[: y.ndim - 2], y.shape[:-2])
    return all(m is None or n is None or m == n for m, n in pairs)


def _batch_dot_over_samples(x: Any, y: Any, a: int, b: int) -> Any:
    if get_api_level() == "2.3":
        raise ValueError(f"[batch_dot] axes must not be 0, the samples; got {(a, b)}. Use K.dot(K.transpose(x), y)?")
    if x.ndim == 2 and y.ndim == 2:
        if a == b:
            return at.expand_dims(at.sum(x * y, axis=a), 1)
        return at.expand_dims(at.sum(at.permute_dims(x, (1, 0)) * y, axis=b), 1)
    left = x if a == x.ndim - 1 else _swap_last(x)
    right = _swap_last(y) if b == y.ndim - 1 else y
    return at.matmul(left, right)


def _swap_last(x: Any) -> Any:
    return at.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """x plus a bias: a vector for the channels, or a tensor of shape (*spatial, channels).

    For channels first, Keras of every version reads the elements of such a tensor in their order into the shape
    (channels, *spatial), and so does this: the bias of a locally connected layer in its weights means that.

    Raises ValueError for a bias of another rank.
    """
    layout = normalize_data_format(data_format)
    x, bias = as_tensor(x), as_tensor(bias)
    if bias.ndim not in (1, x.ndim - 1):
        raise ValueError(
            f"[bias_add] expected a bias of rank 1 or {x.ndim - 1}; got shape {bias.shape} for {x.shape}. Reshape it."
        )
    if layout == "channels_first" and x.ndim > 2:
        if bias.ndim == 1:
            return x + at.reshape(bias, (1, bias.shape[0]) + (1,) * (x.ndim - 2))
        bias = at.reshape(bias, (bias.shape[-1], *bias.shape[:-1]))
    return x + bias
