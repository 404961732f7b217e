"""Tensors from values and from nothing: asarray, zeros, arange, eye and their like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import shown, whole, wholes
from autotensor.core.op import lookup
from autotensor.core.tensor import NUMBER_TYPES, TENSOR_TYPES, Tensor, to_array, wrap
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.conversion import astype, astype_op, dtype_of
from autotensor.ops.conversion import copy as copy_op
from autotensor.ops.device import check_device
from autotensor.ops.like import broadcast_like, fill_like

__all__ = [
    "asarray", "array", "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like",
    "arange", "linspace", "eye", "identity", "meshgrid",
]  # fmt: skip

Shape = int | Sequence[int]


def asarray(x: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of ``x``: tensors stay as they are, arrays share their memory where they can, lists are converted.

    ``copy=True`` always copies; ``copy=False`` never does, and raises ValueError where it would have to. Writes to the
    tensor never reach the array it came from.
    """
    check_device("asarray", device)
    if isinstance(x, Tensor):
        if dtype is not None and x.dtype != dtype_of("asarray", dtype):
            if copy is False:
                raise ValueError(
                    f"[asarray] {x.dtype} becomes {dtype_of('asarray', dtype)} only by a copy; got copy=False. "
                    "Leave it out?"
                )
            return astype(x, dtype)
        return copy_op(x) if copy else x
    if type(x) in (list, tuple) and _holds_tensors(x):
        return _stacked(x, dtype)
    own = getattr(x, "__autotensor__", None)
    if own is not None:
        return asarray(own(), dtype, copy=copy)
    wanted = None if dtype is None else dtype_of("asarray", dtype)
    return wrap(to_array(x, wanted, copy=copy))


def _holds_tensors(x: Any) -> bool:
    """Is there a tensor in a nested list? The sets of types keep long lists of numbers cheap."""
    kinds = set(map(type, x))
    if any([issubclass(kind, Tensor) or hasattr(kind, "__autotensor__") for kind in kinds]):
        return True
    return bool(kinds & {list, tuple}) and any([_holds_tensors(part) for part in x if type(part) in (list, tuple)])


def _stacked(x: Any, dtype: Any) -> Tensor:
    """A nested list of tensors, arrays and numbers as one tensor, through which gradients flow."""
    parts = [part if type(part) in NUMBER_TYPES else asarray(part) for part in x]
    wanted = dtype_of("asarray", dtype) if dtype is not None else None
    if wanted is None:
        kinds = [part.dtype if isinstance(part, Tensor) else part for part in parts]
        wanted = np.result_type(*kinds)
    tensors = [astype(part, wanted) if isinstance(part, Tensor) else wrap(np.asarray(part, wanted)) for part in parts]
    shapes = [t.shape for t in tensors]
    if len(set(map(len, shapes))) > 1:
        raise ShapeError(f"[tensor] expected rows of one rank; got {', '.join(map(str, shapes))}. Reshape them?")
    return lookup("stack")(*tensors, axis=0)  # of ops.shape, which is built on this module


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor with a copy of ``x``."""
    return asarray(x, dtype, copy=True)


def operand(x: Any) -> Tensor:
    """The tensor behind an argument; the quick form of ``asarray`` for the functions of this package."""
    return x if type(x) in TENSOR_TYPES else asarray(x)


def operands(op: str, xs: Any) -> list[Tensor]:
    """The tensors of a list that was given as an argument."""
    if isinstance(xs, (str, bytes)) or not hasattr(xs, "__iter__") or getattr(xs, "ndim", 1) == 0:
        raise DTypeError(f"[{op}] expected a list of tensors; got {shown(xs)}. Write [x, y]?")
    return [operand(x) for x in xs]


def dims(op: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of ints, from one int or a sequence."""
    out = wholes(op, "shape", shape, unknown=-1)
    if any([d < 0 for d in out]):
        raise ShapeError(f"[{op}] expected a shape of known sizes >= 0; got {shape}. Use {op}_like(x)?")
    return out


def full(shape: Shape, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor of one value; a tensor as value keeps its gradient."""
    check_device("full", device)
    if isinstance(fill_value, Tensor):
        filled = fill_value.broadcast_to(dims("full", shape))
        return filled if dtype is None else astype(filled, dtype)
    return wrap(to_array(np.full(dims("full", shape), fill_value, None if dtype is None else dtype_of("full", dtype))))


def zeros(shape: Shape, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor of zeros; float64 by default."""
    check_device("zeros", device)
    return wrap(np.zeros(dims("zeros", shape), dtype_of("zeros", dtype)))


def ones(shape: Shape, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor of ones; float64 by default."""
    check_device("ones", device)
    return wrap(np.ones(dims("ones", shape), dtype_of("ones", dtype)))


def empty(shape: Shape, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor to be filled; it holds zeros. float64 by default."""
    return zeros(shape, dtype, device=device)


def full_like(x: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor in the shape of ``x`` (and its dtype, unless one is given) of one value."""
    check_device("full_like", device)
    x = operand(x)
    if dtype is not None and dtype_of("full_like", dtype) != x.dtype:
        x = astype_op(x, dtype=dtype_of("full_like", dtype))
    if type(fill_value) in NUMBER_TYPES:
        return fill_like(x, value=fill_value)
    return broadcast_like(fill_value, x)


def zeros_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Zeros in the shape of ``x``, which may be unknown yet."""
    return full_like(x, 0.0, dtype, device=device)


def ones_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones in the shape of ``x``, which may be unknown yet."""
    return full_like(x, 1.0, dtype, device=device)


def empty_like(x: Any, dtype: Any = None, *, device: Any = None) -> Tensor:
    """A tensor in the shape of ``x`` to be filled; it holds zeros."""
    return zeros_like(x, dtype, device=device)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Evenly spaced values in [start, stop); with one argument from 0 to it.

    Raises DTypeError for a bound that is no number.
    """
    check_device("arange", device)
    if stop is None:
        start, stop = 0, start
    bounds = [_bound(a) for a in (start, stop, step)]
    for what, bound in zip(("start", "stop", "step"), bounds):
        if not isinstance(bound, (int, float, np.number, np.ndarray)):
            raise DTypeError(f"[arange] {what} must be a number; got {shown(bound)}. Is the order start, stop, step?")
    return wrap(to_array(np.arange(*bounds, dtype=None if dtype is None else dtype_of("arange", dtype))))


def _bound(x: Any) -> Any:
    """A bound of ``arange`` as a number."""
    if type(x) in NUMBER_TYPES:
        return x
    value = operand(x)
    if value.ndim:
        raise ShapeError(f"[arange] expected numbers as bounds; got shape {value.shape}. Reduce it first?")
    return value.item()


def linspace(
    start: Any, stop: Any, num: int = 50, *, endpoint: bool = True, dtype: Any = None, device: Any = None
) -> Tensor:
    """``num`` evenly spaced values from start to stop, which is left out with ``endpoint=False``.

    Bounds may be complex, and tensors, which then get gradients: of shape S they give (num, *S).
    """
    check_device("linspace", device)
    wanted = None if dtype is None else dtype_of("linspace", dtype)
    if not (isinstance(start, Tensor) or isinstance(stop, Tensor)):
        return wrap(np.linspace(start, stop, num, endpoint=endpoint, dtype=wanted))
    first, last = operand(start), operand(stop)
    rank = max(first.ndim, last.ndim)
    ends = np.result_type(first.dtype, last.dtype)
    steps = np.linspace(0.0, 1.0, num, endpoint=endpoint, dtype=ends if ends.kind == "f" else None)
    place = wrap(steps.reshape(-1, *[1] * rank))
    values = first * (1 - place) + last * place  # exact at both ends
    return values if wanted is None else astype(values, wanted)


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere; float64 by default."""
    check_device("eye", device)
    rows = whole("eye", "n_rows", n_rows)
    columns = None if n_cols is None else whole("eye", "n_cols", n_cols)
    return wrap(np.eye(rows, columns, whole("eye", "k", k), dtype_of("eye", dtype)))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The identity matrix of n rows."""
    return eye(n, dtype=dtype)


def meshgrid(*xs: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids from vectors; ``indexing="ij"`` keeps the order of the arguments as axes.

    Raises ShapeError for what is no vector, ValueError for another ``indexing``.
    """
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
