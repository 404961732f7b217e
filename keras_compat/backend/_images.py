"""Borders and sizes of images."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._tensors import as_float, as_tensor
from keras_compat.backend.common import layout_of, normalize_data_format


def _pad_spatial(op: str, x: Any, padding: Any, layout: str) -> Any:
    """Zeros around the spatial axes: one pair (before, after) an axis, or one number an axis for both sides."""
    x = as_tensor(x)
    n = x.ndim - 2
    pairs = [tuple(p) if isinstance(p, (tuple, list)) else (p, p) for p in padding]
    if len(pairs) != n or any(len(p) != 2 for p in pairs):
        raise ValueError(
            f"[{op}] expected a pair (before, after) for each of {n} axes; got {padding} for shape {x.shape}. "
            f"Write {((1, 1),) * n}."
        )
    widths = [(int(a), int(b)) for a, b in pairs]
    whole = [(0, 0), (0, 0), *widths] if layout == "channels_first" else [(0, 0), *widths, (0, 0)]
    return at.pad(x, whole)


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros before and after the steps of x (n, steps, channels); one number is for both sides."""
    pair = (padding, padding) if isinstance(padding, (int, np.integer)) else tuple(padding)
    return _pad_spatial("temporal_padding", x, (pair,), "channels_last")


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around images: ((top, bottom), (left, right)), or (rows, cols) for the same on both sides."""
    return _pad_spatial("spatial_2d_padding", x, padding, normalize_data_format(data_format))


def spatial_3d_padding(x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around volumes: a pair an axis, or one number an axis for both sides."""
    return _pad_spatial("spatial_3d_padding", x, padding, normalize_data_format(data_format))


def asymmetric_temporal_padding(x: Any, left_pad: int = 1, right_pad: int = 1) -> Any:
    """Keras 1's :func:`temporal_padding` with two numbers."""
    return temporal_padding(x, (left_pad, right_pad))


def asymmetric_spatial_2d_padding(
    x: Any,
    top_pad: int = 1,
    bottom_pad: int = 1,
    left_pad: int = 1,
    right_pad: int = 1,
    dim_ordering: str = "default",
) -> Any:
    """Keras 1's :func:`spatial_2d_padding` with four numbers."""
    return _pad_spatial(
        "asymmetric_spatial_2d_padding", x, ((top_pad, bottom_pad), (left_pad, right_pad)), layout_of(dim_ordering)
    )


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Any:
    """Images larger by whole factors: each element repeated ('nearest') or by interpolation ('bilinear').

    Bilinear as TensorFlow 1's: output row r stands at input row ``r / height_factor``; past the last row is the last.

    Raises ValueError for another interpolation.
    """
    layout = normalize_data_format(data_format)
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f'[resize_images] interpolation should be one of "nearest" or "bilinear"; got {interpolation!r}. '
            "Check the spelling."
        )
    factors = (int(height_factor), int(width_factor))
    return at.resize(as_float(x), factor=factors, method=interpolation, layout=layout)


def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Any:
    """Volumes larger by whole factors: each element repeated."""
    layout = normalize_data_format(data_format)
    factors = (int(depth_factor), int(height_factor), int(width_factor))
    return at.resize(as_float(x), factor=factors, method="nearest", layout=layout)
