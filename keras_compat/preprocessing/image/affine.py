"""Affine maps of pictures, as Keras makes them: rotation, shift, shear and zoom about the middle, in one pass.

SciPy is needed for splines only, and for fill modes that Keras does not name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.images import FILL_MODES, affine_transform

# For an axis of channels: the axes of (channels, rows, columns), and the way back. np.moveaxis takes as long as to move
# a small picture.
_TO_PLANES = (((0, 1, 2), (0, 1, 2)), ((1, 0, 2), (1, 0, 2)), ((2, 0, 1), (1, 2, 0)))

# What SciPy knows besides Keras's fill modes.
_OTHER_MODES = ("mirror", "grid-constant", "grid-mirror", "grid-wrap")


def check_interpolation(order: Any, fill_mode: Any, op: str) -> None:
    """Raise ValueError for an order of interpolation or a fill mode that there is not."""
    if order not in range(6):
        raise ValueError(f"[{op}] the order of interpolation is one of 0 to 5; got {order!r}. The default is 1.")
    if fill_mode not in FILL_MODES and fill_mode not in _OTHER_MODES:
        raise ValueError(
            f"[{op}] fill_mode must be one of {', '.join(map(repr, FILL_MODES))}; got {fill_mode!r}. Check the "
            "spelling."
        )


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
    check_interpolation(order, fill_mode, "apply_transform")
    there, back = _TO_PLANES[channel_axis % 3]
    planes = x.transpose(there)
    matrix = np.asarray(transform_matrix, dtype="float64")
    if order in (0, 1) and fill_mode in FILL_MODES:
        moved = affine_transform(planes, matrix, order, fill_mode, cval)
    else:
        moved = _by_scipy(planes, matrix, order, fill_mode, cval)
    return moved.transpose(back)


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
