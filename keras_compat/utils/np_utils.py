"""NumPy helpers for labels and rows: plain arrays in, plain arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def to_categorical(
    y: npt.ArrayLike, num_classes: int | None = None, dtype: npt.DTypeLike = "float32"
) -> npt.NDArray[Any]:
    """Turn class numbers into one-hot rows.

    Shapes: ``(...)`` becomes ``(..., num_classes)``; a last axis of length 1 is dropped first, so labels of
    shape ``(n, 1)`` give ``(n, num_classes)``. This is the rule of Keras 2.3.1 (1.2.2 flattened all axes,
    which is the same for the labels of shape ``(n,)`` and ``(n, 1)`` that programs of its time have).

    Args:
        y: class numbers ``0 .. num_classes - 1``. As in every Keras, -1 stands for the last class.
        num_classes: length of a row; by default the largest class number plus one.
        dtype: of the result.

    Raises:
        IndexError: a class number does not fit into ``num_classes``.
        ValueError: labels that are NaN or infinite, or no labels to count the classes of.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    values = np.asarray(y)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(
            "[to_categorical] class numbers expected; got NaN or infinity among the labels. Clean the labels first."
        )
    labels = values.astype(np.int64)
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    labels = labels.reshape(-1)
    if not num_classes:
        if labels.size == 0:
            raise ValueError("[to_categorical] no labels to count the classes of. Pass num_classes.")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.max() >= num_classes or labels.min() < -num_classes):
        worst = labels.max() if labels.max() >= num_classes else labels.min()
        raise IndexError(
            f"[to_categorical] class numbers 0 to {num_classes - 1} expected; got {worst}. "
            "Do the labels start at 1, or is num_classes too small?"
        )
    result = np.zeros((labels.size, num_classes), dtype=dtype)
    result[np.arange(labels.size), labels] = 1
    return result.reshape((*shape, num_classes))


def normalize(x: npt.ArrayLike, axis: int = -1, order: float = 2) -> npt.NDArray[Any]:
    """Divide ``x`` by its norm of the given order along ``axis``; zero rows stay zero. Same shape."""
    values = np.asarray(x)
    norm = np.asarray(np.linalg.norm(values, order, axis, keepdims=True))
    return values / np.where(norm == 0, 1, norm)
