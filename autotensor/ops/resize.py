"""Resizing along the axes of space, by repeating elements or by linear interpolation.

Both are linear maps that treat one axis after the other, so they are written as one operation with its transposed map.
Coordinates are those of TensorFlow 1 (align_corners=False, no half-pixel centres): position i of m along an axis of n
reads the input at i * n / m. With half-pixel centres, as in TensorFlow 2, it reads at (i + 1/2) * n / m - 1/2, within
the input.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, Shape, float_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype
from autotensor.ops.shape import text
from autotensor.ops.window import accumulated, channels_last, numbers, restored, same_space, space_of

__all__ = ["resize"]


def _output(x: Shape, size: tuple[int, ...] | None, factor: tuple[int, ...] | None) -> Shape:
    n = len(size or factor or ())
    if len(x) != n + 2:
        raise ShapeError(f"[resize] expected (samples, {n} axes of space, channels); got shape {text(x)}.")
    if factor is not None:
        space = tuple([None if d is None else d * f for d, f in zip(x[1:-1], factor)])
    else:
        assert size is not None
        space = size
        if any([d == 0 and m for d, m in zip(x[1:-1], space)]):
            raise ShapeError(f"[resize] expected an input with elements to read; got shape {text(x)}.")
    return (x[0], *space, x[-1])


METHODS = ("nearest", "bilinear", "bilinear_half_pixel")


@functools.lru_cache(maxsize=256)
def _reading(n: int, m: int, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of m positions: the two of n that it reads, and the share of the second."""
    if method == "bilinear_half_pixel":
        at = np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1)
    else:
        at = np.arange(m) * (n / m)
    low = np.minimum(np.floor(at).astype(np.intp), n - 1)
    return low, np.minimum(low + 1, n - 1), at - low


@functools.lru_cache(maxsize=64)
def _matrix(n: int, m: int, method: str, dtype: Any) -> np.ndarray:
    """Linear interpolation along an axis as a matrix (m, n)."""
    low, high, share = _reading(n, m, method)
    matrix = np.zeros((m, n))
    np.add.at(matrix, (np.arange(m), low), 1 - share)
    np.add.at(matrix, (np.arange(m), high), share)
    return matrix.astype(dtype)


@functools.lru_cache(maxsize=256)
def _nearest(n: int, m: int) -> np.ndarray:
    """For each of m positions the one of n that it reads, in whole numbers: floor(i * n / m)."""
    return np.arange(m) * n // max(m, 1)


def _forward(x: np.ndarray, shape: Any, method: str) -> np.ndarray:
    for axis in range(1, x.ndim - 1):
        n, m = x.shape[axis], shape[axis]
        if n == m:
            continue
        if method != "nearest":
            low, high, share = _reading(n, m, method)
            share = share.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
            first = x.take(low, axis)
            step = x.take(high, axis)
            step -= first
            step *= share
            step += first
            x = step
        elif n and m % n == 0:
            x = np.repeat(x, m // n, axis)
        else:
            x = x.take(_nearest(n, m), axis)
    return x


def _backward(g: np.ndarray, shape: Any, method: str) -> np.ndarray:
    """The transposed map: g (n, *larger, c) added up at the places that it was read from."""
    for axis in range(g.ndim - 2, 0, -1):
        n, m = shape[axis], g.shape[axis]
        if n == m:
            continue
        if method != "nearest":
            lead, rest = g.shape[:axis], g.shape[axis + 1 :]
            flat = g.reshape(int(np.prod(lead)), m, int(np.prod(rest)))
            g = np.matmul(_matrix(n, m, method, g.dtype).T, flat).reshape(*lead, n, *rest)
        elif n and m % n == 0:
            g = np.add.reduce(g.reshape(*g.shape[:axis], n, m // n, *g.shape[axis + 1 :]), axis + 1, dtype=g.dtype)
        else:
            wide = np.zeros((*g.shape[:axis], n, *g.shape[axis + 1 :]), g.dtype)
            np.add.at(np.moveaxis(wide, axis, 0), _nearest(n, m), np.moveaxis(g, axis, 0))
            g = wide
    return g


def _dtype(x: Operand, method: str) -> np.dtype:
    return x.dtype if method == "nearest" else float_dtype(x)  # type: ignore[union-attr]


def _infer(x: Operand, size: Any, factor: Any, method: str) -> Aval:
    return Aval(_output(shape_of(x), size, factor), _dtype(x, method))


def _impl(x: np.ndarray, size: Any, factor: Any, method: str) -> np.ndarray:
    ruled = _infer(Aval(x.shape, x.dtype), size, factor, method)
    work = ruled.dtype if method == "nearest" else accumulated(ruled.dtype)
    out = _forward(x.astype(work, copy=False), ruled.shape, method)
    return out.copy() if out is x else out.astype(ruled.dtype, copy=False)


@defop("resize", impl=_impl, infer=_infer)
def resize_op(needs, g, out, x, **params):
    """(n, *space, c) resized along the axes of space."""
    gx = resize_input(g, x, **params)
    return (gx if gx.dtype == x.dtype else astype(gx, x.dtype),)


def _infer_input(g: Operand, x: Operand, size: Any, factor: Any, method: str) -> Aval:
    same_space("resize", "a gradient of shape", shape_of(g), _output(shape_of(x), size, factor))
    return Aval(shape_of(x), _dtype(g, method))


def _impl_input(g: np.ndarray, x: np.ndarray, size: Any, factor: Any, method: str) -> np.ndarray:
    ruled = _infer_input(Aval(g.shape, g.dtype), Aval(x.shape, x.dtype), size, factor, method)
    out = _backward(g.astype(accumulated(ruled.dtype), copy=False), x.shape, method)
    return out.copy() if out is g else out.astype(ruled.dtype, copy=False)


@defop("resize_input", impl=_impl_input, infer=_infer_input)
def resize_input(needs, g, out, y, like, **params):
    """The transposed map of ``resize``, in the shape of a second tensor."""
    return resize_op(g, **params), None


def resize(
    x: Any, size: Any = None, factor: Any = None, method: str = "nearest", layout: str = "channels_last"
) -> Tensor:
    """x with other sizes along its axes of space.

    x: (n, *space, c), or (n, c, *space) with ``layout="channels_first"``, with 1, 2 or 3 axes of space.
    size: the new sizes, or
    factor: what the sizes are multiplied by, whole numbers; in both cases an int or one for each axis. With a factor
        the sizes of x may be unknown.
    method: "nearest" repeats the element at floor(i * n / m); "bilinear" takes the weighted mean of the two nearest
        along each axis, as ``resize_bilinear`` of TensorFlow 1 (align_corners=False, no half-pixel centres), which is
        what Keras 2.3 calls; "bilinear_half_pixel" reads between the centres of the elements, as TensorFlow 2.

    Raises ValueError for another method, and for both or neither of size and factor.
    """
    x = operand(x)
    if method not in METHODS:
        raise ValueError(f"[resize] expected a method of {', '.join(METHODS)}; got {method!r}.")
    if (size is None) == (factor is None):
        raise ValueError("[resize] expected size or factor; got both or neither.")
    n = space_of("resize", x)
    out = resize_op(
        channels_last("resize", x, layout),
        size=None if size is None else numbers("resize", "size", size, n, 0),
        factor=None if factor is None else numbers("resize", "factor", factor, n),
        method=method,
    )
    return restored(out, layout)
