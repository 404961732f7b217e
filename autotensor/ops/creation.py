"""Tensors from values and from nothing: asarray, zeros, arange, eye and their like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.tensor import TENSOR_TYPES, Tensor, to_array, wrap
from autotensor.errors import ShapeError
from autotensor.ops.elementwise import astype, astype_op, dtype_of
from autotensor.ops.elementwise import copy as copy_op
from autotensor.ops.like import broadcast_like, fill_like

__all__ = [
    "asarray", "array", "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like",
    "arange", "linspace", "eye", "identity", "meshgrid",
]  # fmt: skip

Shape = int | Sequence[int]


def asarray(x: Any, dtype: Any = None, *, copy: bool | None = None) -> Tensor:
    """A tensor of ``x``: tensors stay as they are, arrays share their memory where they can, lists are converted.

    ``copy=True`` always copies. Writes to the tensor never reach the array it came from.
    """
    if isinstance(x, Tensor):
        if dtype is not None and x.dtype != dtype_of("asarray", dtype):
            return astype(x, dtype)
        return copy_op(x) if copy else x
    own = getattr(x, "__autotensor__", None)
    if own is not None:
        return asarray(own(), dtype, copy=copy)
    return wrap(to_array(x, None if dtype is None else dtype_of("asarray", dtype), copy=copy))


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor with a copy of ``x``."""
    return asarray(x, dtype, copy=True)


def operand(x: Any) -> Tensor:
    """The tensor behind an argument; the quick form of ``asarray`` for the functions of this package."""
    return x if type(x) in TENSOR_TYPES else asarray(x)


def dims(op: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of ints, from one int or a sequence."""
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    out = tuple([int(d) if d is not None else -1 for d in shape])
    if any([d < 0 for d in out]):
        raise ShapeError(f"[{op}] expected a shape of known sizes >= 0; got {tuple(shape)}. Use {op}_like(x)?")
    return out


def full(shape: Shape, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor of one value; a tensor as value keeps its gradient."""
    if isinstance(fill_value, Tensor):
        filled = fill_value.broadcast_to(dims("full", shape))
        return filled if dtype is None else astype(filled, dtype)
    return wrap(to_array(np.full(dims("full", shape), fill_value, None if dtype is None else dtype_of("full", dtype))))


def zeros(shape: Shape, dtype: Any = np.float64) -> Tensor:
    """A tensor of zeros."""
    return wrap(np.zeros(dims("zeros", shape), dtype_of("zeros", dtype)))


def ones(shape: Shape, dtype: Any = np.float64) -> Tensor:
    """A tensor of ones."""
    return wrap(np.ones(dims("ones", shape), dtype_of("ones", dtype)))


def empty(shape: Shape, dtype: Any = np.float64) -> Tensor:
    """A tensor to be filled; it holds zeros."""
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor in the shape of ``x`` (and its dtype, unless one is given) of one value."""
    x = operand(x)
    if dtype is not None and dtype_of("full_like", dtype) != x.dtype:
        x = astype_op(x, dtype=dtype_of("full_like", dtype))
    if isinstance(fill_value, (bool, int, float)):
        return fill_like(x, value=fill_value)
    return broadcast_like(fill_value, x)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in the shape of ``x``, which may be unknown yet."""
    return full_like(x, 0.0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones in the shape of ``x``, which may be unknown yet."""
    return full_like(x, 1.0, dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """A tensor in the shape of ``x`` to be filled; it holds zeros."""
    return zeros_like(x, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """Evenly spaced values in [start, stop); with one argument from 0 to it."""
    if stop is None:
        start, stop = 0, start
    bounds = [a.item() if isinstance(a, Tensor) else a for a in (start, stop, step)]
    return wrap(to_array(np.arange(*bounds, dtype=None if dtype is None else dtype_of("arange", dtype))))


def linspace(start: float, stop: float, num: int = 50, *, endpoint: bool = True, dtype: Any = None) -> Tensor:
    """``num`` evenly spaced values from start to stop, which is left out with ``endpoint=False``."""
    wanted = None if dtype is None else dtype_of("linspace", dtype)
    return wrap(np.linspace(float(start), float(stop), num, endpoint=endpoint, dtype=wanted))


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = np.float64) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    return wrap(np.eye(n_rows, n_cols, k, dtype_of("eye", dtype)))


def identity(n: int, dtype: Any = np.float64) -> Tensor:
    """The identity matrix of n rows."""
    return eye(n, dtype=dtype)


def meshgrid(*xs: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids from vectors; ``indexing="ij"`` keeps the order of the arguments as axes."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] indexing is 'xy' or 'ij'; got {indexing!r}. 'ij' is matrix order.")
    vectors = [operand(x) for x in xs]
    for x in vectors:
        if x.ndim > 1:
            raise ShapeError(f"[meshgrid] expected vectors; got shape {x.shape}. Flatten it first?")
    n = len(vectors)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = [1, 0]
    laid = [x.reshape(tuple([-1 if axis == order[i] else 1 for axis in range(n)])) for i, x in enumerate(vectors)]
    if any([None in x.shape for x in laid]):
        total = laid[0] * 0
        for x in laid[1:]:
            total = total + x * 0
        return [broadcast_like(x, total.astype(x.dtype)) for x in laid]
    shape = np.broadcast_shapes(*[x.shape for x in laid])
    return [x.broadcast_to(shape) for x in laid]
