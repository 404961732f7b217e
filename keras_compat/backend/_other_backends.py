"""Names that only some of Keras's backends had: those of CNTK, and TensorFlow's of Keras 0.x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autotensor as at
from keras_compat.backend._tensors import as_tensor, int_shape
from keras_compat.backend.common import floatx, normalize_data_format


def normalize_axis(axis: Any, ndim: int) -> Any:
    """An axis, or a list of them, counted from the front (Keras 0.x's TensorFlow backend)."""
    if isinstance(axis, (tuple, list)):
        return [normalize_axis(one, ndim) for one in axis]
    return axis % ndim if axis is not None else None


def classification_error(target: Any, output: Any, axis: int = -1) -> Any:
    """Share of places where the largest of ``output`` is not that of ``target`` along an axis (CNTK backend)."""
    wrong = at.not_equal(at.argmax(as_tensor(output), axis=axis), at.argmax(as_tensor(target), axis=axis))
    return at.mean(at.astype(wrong, floatx()))


def get_num_dynamic_axis(x: Any) -> int:
    """How many leading axes have an unknown length (CNTK backend): 1 for a batch, 2 for sequences of any length."""
    dims = int_shape(x)
    return next((i for i, d in enumerate(dims) if d is not None), len(dims))


def has_seq_axis(x: Any) -> bool:
    """Tell whether the time axis has an unknown length, too (CNTK backend)."""
    return get_num_dynamic_axis(x) > 1


def pad(x: Any, pad_info: Sequence[tuple[int, int]], data_format: str, num_dynamic_axis: int) -> Any:
    """Zeros around the spatial axes (CNTK backend).

    Args:
        pad_info: pairs (before, after), one for each spatial axis.
        data_format: where the channels are.
        num_dynamic_axis: how many axes come before those of a sample: 1, the batch.

    Raises ValueError for another number of pairs.
    """
    x = as_tensor(x)
    lead = [(0, 0)] * max(num_dynamic_axis, 1)
    inner = [tuple(pair) for pair in pad_info]
    first = normalize_data_format(data_format) == "channels_first"
    widths = [*lead, (0, 0), *inner] if first else [*lead, *inner, (0, 0)]
    if len(widths) != x.ndim:
        raise ValueError(
            f"[pad] expected {x.ndim - len(lead) - 1} pairs for a tensor of shape {x.shape}; got {len(inner)}. Give "
            "one for each spatial axis."
        )
    return at.pad(x, widths)
