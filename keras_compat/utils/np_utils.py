"""NumPy helpers for labels, rows and seeds: plain arrays in, plain arrays out."""

from __future__ import annotations

import operator
import random
from typing import Any

import numpy as np
import numpy.typing as npt

import autotensor as at
from keras_compat import backend as K


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and autotensor's random numbers, as later releases of Keras have it.

    ``numpy.random.seed`` alone makes networks reproducible: weights, shuffling and dropout draw from NumPy.

    Raises:
        ValueError: the seed is no whole number from 0 to 2**32 - 1.
    """
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise ValueError(f"[set_random_seed] expected a whole number from 0 to 2**32 - 1; got {seed!r}. Try 1337.")
    random.seed(number)
    np.random.seed(number)
    at.random.seed(number)


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
    """Divide ``x`` by its norm of the given order along ``axis``; zero rows stay zero.

    The shape stays, but that a vector ``(n,)`` comes back as ``(1, n)``, as in every Keras.
    """
    values = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(values, order, axis))
    return values / np.expand_dims(np.where(norm == 0, 1, norm), axis)


# -- of Keras 0.x and 1.x ---------------------------------------------------------------------------------------------


def categorical_probas_to_classes(p: npt.ArrayLike) -> npt.NDArray[Any]:
    """Class numbers from rows of probabilities: ``(n, classes)`` becomes ``(n,)``."""
    return np.asarray(np.argmax(np.asarray(p), axis=1))


def probas_to_classes(y_pred: npt.ArrayLike) -> npt.NDArray[Any]:
    """Class numbers ``(n,)`` from probabilities: the largest of several columns; of one whether it is above 0.5."""
    values = np.asarray(y_pred)
    if values.ndim > 1 and values.shape[1] > 1:
        return categorical_probas_to_classes(values)
    return np.asarray(values.reshape(-1) > 0.5).astype(int)


def binary_logloss(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Mean of ``-(y * log(p) + (1 - y) * log(1 - p))``, with ``p`` kept within 1e-15 of 0 and 1."""
    truth, chance = np.asarray(y, dtype=float), np.clip(np.asarray(p, dtype=float), 1e-15, 1 - 1e-15)
    return float(-np.mean(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)))


def multiclass_logloss(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Mean of ``-log`` of the probability given to the true class.

    Args:
        p: rows of probabilities.
        y: class numbers **from 1**, as in Keras 0.x and 1: 1 means the first column.
    """
    rows = np.asarray(p, dtype=float)
    return float(-np.mean(np.log(rows[np.arange(len(rows)), np.asarray(y).astype(int).reshape(-1) - 1])))


def accuracy(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Share of equal elements."""
    return float(np.mean(np.asarray(p) == np.asarray(y)))


def convert_kernel(kernel: npt.ArrayLike, dim_ordering: str | None = None) -> npt.NDArray[Any]:
    """A convolution kernel turned by 180 degrees in its spatial axes: from Theano's convention to TensorFlow's or back.

    Args:
        kernel: of rank 4 or 5; ``(filters, channels, *space)`` for 'th', ``(*space, channels, filters)`` for 'tf'.
        dim_ordering: 'th' or 'tf', by default the backend's.
    """
    values = np.asarray(kernel)
    order = dim_ordering or K.image_dim_ordering()
    if values.ndim not in (4, 5):
        raise ValueError(f"[convert_kernel] Invalid kernel shape: expected rank 4 or 5; got {values.shape}. Transpose?")
    if order not in ("th", "tf"):
        raise ValueError(f"[convert_kernel] expected dim_ordering 'th' or 'tf'; got {order!r}. Check the spelling.")
    space = range(2, values.ndim) if order == "th" else range(values.ndim - 2)
    return np.flip(values, axis=tuple(space)).copy()


def conv_output_length(
    input_length: int | None, filter_size: int, border_mode: str, stride: int, dilation: int = 1
) -> int | None:
    """Length that a convolution gives for ``input_length``; None stays None. Modes 'valid', 'same' and 'full'.

    Raises ValueError for another border mode.
    """
    if input_length is None:
        return None
    width = filter_size + (filter_size - 1) * (dilation - 1)
    extra = {"same": 0, "valid": 1 - width, "full": width - 1}
    if border_mode not in extra:
        raise ValueError(f"[conv_output_length] expected 'valid', 'same' or 'full'; got {border_mode!r}.")
    return (input_length + extra[border_mode] + stride - 1) // stride


def conv_input_length(output_length: int | None, filter_size: int, border_mode: str, stride: int) -> int | None:
    """Smallest length that gives ``output_length``; None stays None. Raises ValueError for another border mode."""
    if output_length is None:
        return None
    pad = {"same": filter_size // 2, "valid": 0, "full": filter_size - 1}
    if border_mode not in pad:
        raise ValueError(f"[conv_input_length] expected 'valid', 'same' or 'full'; got {border_mode!r}.")
    return (output_length - 1) * stride - 2 * pad[border_mode] + filter_size
