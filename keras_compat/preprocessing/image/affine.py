"""Affine maps of pictures: where each pixel of the result comes from, and the value that is there.

Equal to ``scipy.ndimage.affine_transform`` (1.6 and later), bit for bit in float32, for the orders 0 and 1 and the
four fill modes that Keras names; SciPy is needed for others only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def transform_matrix_offset_center(matrix: Any, x: float, y: float) -> np.ndarray:
    """A 3x3 matrix of homogeneous coordinates, made to turn about the middle of a picture of x rows and y columns.

    As in Keras the middle is (x/2 + 0.5, y/2 + 0.5), one pixel from (x - 1)/2, which would be exact.
    """
    rows, columns = x / 2 + 0.5, y / 2 + 0.5
    there = np.array([[1, 0, rows], [0, 1, columns], [0, 0, 1]])
    back = np.array([[1, 0, -rows], [0, 1, -columns], [0, 0, 1]])
    return there @ np.asarray(matrix) @ back


def affine_matrix(
    theta: float = 0, tx: float = 0, ty: float = 0, shear: float = 0, zx: float = 1, zy: float = 1
) -> np.ndarray | None:
    """The 3x3 matrix of a rotation, of a shift behind it, then shear, then zoom; None where nothing is to be done.

    ``theta`` and ``shear`` in radians, ``tx`` rows and ``ty`` columns in pixels.
    """
    parts = []
    if theta != 0:
        parts.append([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear != 0:
        parts.append([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return None
    matrix = np.array(parts[0], dtype="float64")
    for part in parts[1:]:
        matrix = matrix @ np.array(part, dtype="float64")
    return matrix


def apply_transform(
    x: Any, transform_matrix: Any, channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0, order: int = 0
) -> np.ndarray:
    """A picture moved by a 3x3 matrix: the pixel (i, j) of the result is the one at ``matrix @ (i, j, 1)`` (Keras 1).

    Args:
        x: array of rank 3.
        transform_matrix: see :func:`transform_matrix_offset_center`.
        channel_axis: the axis of channels; the two others are rows and columns.
        fill_mode: 'nearest', 'constant', 'reflect' or 'wrap': what is beyond the edges.
        cval: what is beyond them with 'constant'.
        order: 0 takes the nearest pixel, 1 interpolates between four; higher orders, splines, need SciPy.
    """
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(f"[apply_transform] expected one picture, an array of rank 3; got shape {x.shape}.")
    planes = np.moveaxis(x, channel_axis, 0)
    matrix = np.asarray(transform_matrix, dtype="float64")
    if order in (0, 1) and fill_mode in FILL_MODES:
        moved = _sampled(planes, matrix, order, fill_mode, cval)
    else:
        moved = _by_scipy(planes, matrix, order, fill_mode, cval)
    return np.moveaxis(moved, 0, channel_axis)


def _by_scipy(planes: np.ndarray, matrix: np.ndarray, order: int, fill_mode: str, cval: float) -> np.ndarray:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError(
            f"[ImageDataGenerator] interpolation of order {order} with fill_mode={fill_mode!r} needs SciPy: "
            "pip install scipy."
        ) from error
    moved = [
        ndimage.affine_transform(p, matrix[:2, :2], matrix[:2, 2], order=order, mode=fill_mode, cval=cval)
        for p in planes
    ]
    return np.stack(moved)


def _sampled(planes: np.ndarray, matrix: np.ndarray, order: int, fill_mode: str, cval: float) -> np.ndarray:
    """Planes (channels, rows, columns) at the places that a matrix names, of order 0 or 1."""
    channels, height, width = planes.shape
    # The sums in SciPy's order: which pixel is nearest depends on the last bit.
    i, j = np.arange(height, dtype="float64")[:, None], np.arange(width, dtype="float64")[None, :]
    rows = ((matrix[0, 2] + i * matrix[0, 0]) + j * matrix[0, 1]).ravel()
    columns = ((matrix[1, 2] + i * matrix[1, 0]) + j * matrix[1, 1]).ravel()
    outside = None
    if fill_mode == "constant":
        outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
    else:
        rows, columns = _inside(rows, height, fill_mode), _inside(columns, width, fill_mode)
    if outside is not None:
        rows, columns = np.where(outside, 0.0, rows), np.where(outside, 0.0, columns)
    flat = planes.reshape(channels, height * width)
    if order == 0:
        found = flat.take(_pixel(rows + 0.5, height) * width + _pixel(columns + 0.5, width), axis=1)
    else:
        found = _between(flat, rows, columns, height, width)
    if outside is not None:
        found[:, outside] = cval
    if np.issubdtype(planes.dtype, np.integer) and order == 1:
        found = np.trunc(found + np.where(found > 0, 0.5, -0.5))
    return found.astype(planes.dtype, copy=False).reshape(planes.shape)


def _pixel(places: np.ndarray, length: int) -> np.ndarray:
    """Whole numbers below places, within the picture."""
    return np.clip(np.floor(places).astype(np.intp), 0, length - 1)


def _between(flat: np.ndarray, rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> np.ndarray:
    """Weighted means of the four pixels around each place, in float64."""
    first, left = np.floor(rows), np.floor(columns)
    down, right = rows - first, columns - left
    up, near = 1.0 - down, 1.0 - right
    top, bottom = _pixel(first, height) * width, _pixel(first + 1, height) * width
    west, east = _pixel(left, width), _pixel(left + 1, width)
    found = flat.take(top + west, axis=1) * (up * near)
    found += flat.take(top + east, axis=1) * (up * right)
    found += flat.take(bottom + west, axis=1) * (down * near)
    found += flat.take(bottom + east, axis=1) * (down * right)
    return found


def _inside(places: np.ndarray, length: int, fill_mode: str) -> np.ndarray:
    """Places beyond the edges, brought to where their values are."""
    if fill_mode == "nearest" or length == 1:
        return np.clip(places, 0, length - 1)
    below, above = places < 0, places > length - 1
    if not (below.any() or above.any()):
        return places
    places = places.copy()
    if fill_mode == "wrap":
        # SciPy's period is one less than the number of pixels.
        period = length - 1
        places[below] += period * (np.trunc(-places[below] / period) + 1)
        places[above] -= period * np.trunc(places[above] / period)
        return places
    period = 2 * length
    low, high = places[below], places[above]
    low = np.where(low < -period, period * np.trunc(-low / period) + low, low)
    places[below] = np.where(low < -length, low + period, np.where(low > -1e-15, 1e-15, -low) - 1)
    high = high - period * np.trunc(high / period)
    places[above] = np.where(high >= length, period - high - 1, high)
    return places
