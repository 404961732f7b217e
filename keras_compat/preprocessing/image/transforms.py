"""Changes of one picture, chosen or drawn at random: an array of rank 3 in, another of its shape out.

Random draws are NumPy's (``numpy.random.seed``), in the order of the Keras release of the API level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_compat.dialect.level import get_api_level
from keras_compat.preprocessing.image.affine import affine_matrix, apply_transform, transform_matrix_offset_center
from keras_compat.preprocessing.image.pictures import stretched


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """An array with one axis turned round, as a view."""
    return np.flip(np.asarray(x), axis)


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """A picture rotated, shifted, sheared and zoomed about its middle, in one pass.

    Args:
        x: array of rank 3.
        theta, shear: angles in degrees.
        tx, ty: shifts in pixels, of rows and of columns.
        zx, zy: zoom of rows and of columns; above 1 the picture gets smaller.
        row_axis, col_axis, channel_axis: which axis is which; rows come before columns.
        fill_mode: 'nearest', 'constant', 'reflect' or 'wrap': what is beyond the edges.
        cval: what is beyond them with 'constant'.
        order: 0 takes the nearest pixel, 1 interpolates between four; higher orders, splines, need SciPy.
    """
    x = np.asarray(x)
    matrix = affine_matrix(np.deg2rad(theta), tx, ty, np.deg2rad(shear), zx, zy)
    if matrix is None:
        return x
    matrix = transform_matrix_offset_center(matrix, x.shape[row_axis], x.shape[col_axis])
    return apply_transform(x, matrix, channel_axis, fill_mode, cval, order)


def apply_channel_shift(x: Any, intensity: Any, channel_axis: int = 0) -> np.ndarray:
    """A number added to all channels, or one to each, within the smallest and largest value of the picture."""
    x = np.asarray(x)
    shape = [1] * x.ndim
    if np.ndim(intensity):
        shape[channel_axis] = -1
        intensity = np.reshape(intensity, shape)
        if np.issubdtype(x.dtype, np.floating):
            intensity = intensity.astype(x.dtype)
    return np.clip(x + intensity, np.min(x), np.max(x))


def apply_brightness_shift(x: Any, brightness: float, channel_axis: int = 2) -> np.ndarray:
    """A picture as Pillow's ``ImageEnhance.Brightness`` changes it: 0 is black, 1 the picture, above 1 brighter.

    As in Keras its values are first stretched to 0...255 (see ``array_to_img``) and stay so; the result is of whole
    numbers in float32. An alpha channel is only stretched.
    """
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[channel_axis] not in (1, 3, 4):
        raise ValueError(
            f"[apply_brightness_shift] expected one picture of 1, 3 or 4 channels on axis {channel_axis}; got shape "
            f"{x.shape}. Is data_format right?"
        )
    whole = np.moveaxis(stretched(x.astype("float32")), channel_axis, 2).astype("uint8").astype("float32")
    bright = np.clip(np.trunc(whole * np.float32(brightness)), 0, 255)
    if whole.shape[2] == 4:
        bright[:, :, 3] = whole[:, :, 3]
    return np.moveaxis(bright, 2, channel_axis)


def _is_keras_1() -> bool:
    return get_api_level() == "1.2"


def _moved(
    x: Any,
    row_axis: int,
    col_axis: int,
    channel_axis: int,
    fill_mode: str,
    cval: float,
    order: int | None,
    **parts: Any,
) -> np.ndarray:
    """A picture moved by the parts of a matrix, angles in radians, about the middle that the release takes."""
    x = np.asarray(x)
    matrix = affine_matrix(**parts)
    if matrix is None:
        return x
    if not _is_keras_1():
        # Keras 2 does not hand the axes on: there the middle is that of the first two axes, whatever they are.
        row_axis, col_axis = 0, 1
    if order is None:
        order = 0 if _is_keras_1() else 1
    if "theta" in parts or "shear" in parts or "zx" in parts or not _is_keras_1():
        matrix = transform_matrix_offset_center(matrix, x.shape[row_axis], x.shape[col_axis])
    return apply_transform(x, matrix, channel_axis, fill_mode, cval, order)


def _radians(degrees: float) -> float:
    return float(np.deg2rad(degrees))


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int | None = None,
) -> np.ndarray:
    """A picture rotated by at most ``rg`` degrees.

    The middle is that of ``row_axis`` and ``col_axis`` at API level 1.2 and that of the first two axes above, as in the
    releases: with 'channels_first' give ``apply_affine_transform`` the angle instead.

    Args:
        x: array of rank 3.
        fill_mode, cval: see :func:`apply_affine_transform`.
        interpolation_order: 1 by default, 0 at API level 1.2.
    """
    theta = _radians(np.random.uniform(-rg, rg))
    return _moved(x, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order, theta=theta)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int | None = None,
) -> np.ndarray:
    """A picture shifted by at most the fractions ``wrg`` of its width and ``hrg`` of its height.

    The other arguments are those of :func:`random_rotation`.
    """
    x = np.asarray(x)
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return _moved(x, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order, tx=tx, ty=ty)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int | None = None,
) -> np.ndarray:
    """A picture sheared by an angle of at most ``intensity``: degrees, and radians at API level 1.2.

    The other arguments are those of :func:`random_rotation`.
    """
    shear = np.random.uniform(-intensity, intensity)
    shear = shear if _is_keras_1() else _radians(shear)
    return _moved(x, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order, shear=shear)


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int | None = None,
) -> np.ndarray:
    """A picture with rows and columns each zoomed by a factor of ``zoom_range``, (lowest, highest).

    Above 1 it gets smaller. The other arguments are those of :func:`random_rotation`.
    """
    if np.ndim(zoom_range) != 1 or len(zoom_range) != 2:
        raise ValueError(
            f"[random_zoom] `zoom_range` should be a tuple or list of two floats. Received: {zoom_range}. Write "
            "(0.9, 1.1)."
        )
    zx, zy = (1, 1) if zoom_range[0] == 1 == zoom_range[1] else np.random.uniform(zoom_range[0], zoom_range[1], 2)
    return _moved(x, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order, zx=zx, zy=zy)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """At most ``intensity_range`` added to all channels: one number, and at API level 1.2 one for each channel."""
    x = np.asarray(x)
    size = x.shape[channel_axis] if _is_keras_1() else None
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range, size), channel_axis)


def random_brightness(x: Any, brightness_range: Sequence[float]) -> np.ndarray:
    """A picture, channels last, brightened by a factor of ``brightness_range``, (lowest, highest).

    See :func:`apply_brightness_shift`.
    """
    if np.ndim(brightness_range) != 1 or len(brightness_range) != 2:
        raise ValueError(
            "[random_brightness] `brightness_range should be tuple or list of two floats. Received: "
            f"{brightness_range}. Write (0.8, 1.2)."
        )
    return apply_brightness_shift(x, np.random.uniform(brightness_range[0], brightness_range[1]))
