"""Abstract values: what is known of a tensor before it has data, its shape and dtype.

A dimension that is not known yet is ``None``. The rank is always known.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autotensor.errors import DTypeError, RangeError, ShapeError

Dim = int | None
Shape = tuple[Dim, ...]


class Aval:
    """Shape (with ``None`` for unknown dimensions) and dtype of a tensor."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Iterable[Dim], dtype: Any):
        self.shape: Shape = tuple(shape)
        self.dtype: np.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def known(self) -> bool:
        """True when no dimension is None."""
        return None not in self.shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aval) and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        dims = ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.dtype}[{dims}]"


# An operand of a shape rule: an abstract value, or a Python number, which takes the dtype of its partners.
Operand = Aval | bool | int | float | complex


def shape_of(x: Operand) -> Shape:
    """Shape of an operand; a Python number has shape ()."""
    return x.shape if isinstance(x, Aval) else ()


def result_dtype(*operands: Operand) -> np.dtype:
    """Promoted dtype by NumPy 2's rules (NEP 50): Python numbers adapt to the arrays beside them."""
    return np.result_type(*[x.dtype if isinstance(x, Aval) else x for x in operands])


def float_dtype(*operands: Operand) -> np.dtype:
    """Promoted dtype of a function that always gives floats, like ``exp``: integers become what NumPy makes them."""
    dtype = result_dtype(*operands)
    if dtype.kind in "fc":
        return dtype
    return np.dtype(np.float16 if dtype.itemsize == 1 else np.float32 if dtype.itemsize == 2 else np.float64)


def broadcast_shapes(op: str, *shapes: Sequence[Dim]) -> Shape:
    """Broadcast shapes by NumPy's rules; an unknown dimension beside a known one other than 1 is taken to fit.

    Raises ShapeError where they do not.
    """
    rank = max((len(s) for s in shapes), default=0)
    out: list[Dim] = []
    for k in range(-rank, 0):
        dim: Dim = 1
        for shape in shapes:
            d = shape[k] if len(shape) >= -k else 1
            if d == 1 or d == dim:
                continue
            if dim == 1 or dim is None:
                dim = d
            elif d is not None:
                text = " and ".join(str(tuple(s)).replace("None", "?") for s in shapes)
                raise ShapeError(
                    f"[{op}] shapes {text} do not broadcast: {dim} against {d} in axis {k}. "
                    "Dimensions must be equal or 1; reshape or expand_dims one of them?"
                )
        out.append(dim)
    return tuple(out)


def whole(op: str, what: str, value: Any) -> int:
    """A whole number that was given as an argument. Raises DTypeError for anything else."""
    if type(value) is int:
        return value
    try:
        return operator.index(value)
    except (TypeError, AttributeError):
        near = isinstance(value, float) and value.is_integer()
        hint = f"Write {what}={int(value)}?" if near else "Is it in its place?"
        raise DTypeError(f"[{op}] {what} must be a whole number; got {shown(value)}. {hint}") from None


def wholes(op: str, what: str, value: Any, unknown: int | None = None) -> tuple[int, ...]:
    """Whole numbers that were given as an argument, one or several. Raises DTypeError for anything else.

    unknown: what stands for None among them, if that may be.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") or getattr(value, "ndim", 1) == 0:
        return (whole(op, what, value),)
    return tuple(
        [d if type(d) is int else unknown if d is None and unknown is not None else whole(op, what, d) for d in value]
    )


def shown(value: Any) -> str:
    """An argument in a message: numbers and short texts as they are, others by their type."""
    text = repr(value) if isinstance(value, (int, float, complex, str, type(None), tuple, list)) else ""
    return text if 0 < len(text) <= 40 else f"a {type(value).__name__}"


def normalize_axis(op: str, axis: int, ndim: int) -> int:
    """Axis as a number from 0 to ndim - 1. Raises RangeError where there is none."""
    if type(axis) is not int:
        axis = whole(op, "axis", axis)
    if not -ndim <= axis < ndim:
        hint = "A scalar has no axes." if ndim == 0 else f"Use {-ndim} to {ndim - 1}."
        raise RangeError(f"[{op}] axis {axis} does not exist in a tensor of rank {ndim}. {hint}")
    return axis % ndim


def normalize_axes(op: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple from 0 to ndim - 1; ``None`` means all. Raises ShapeError for one named twice."""
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    if axis is None:
        return tuple(range(ndim))
    axes = wholes(op, "axis", axis)
    out = tuple(sorted(normalize_axis(op, a, ndim) for a in axes))
    if len(set(out)) != len(out):
        raise ShapeError(f"[{op}] axes must differ; got {tuple(axes)}. Name each axis once.")
    return out
