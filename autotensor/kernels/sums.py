"""Sums by NumPy that keep their digits.

NumPy adds in pairs of halves along the axis that lies in order in memory, and one after the other along every other
axis: a column of 2.5 million float32 comes out wrong by 2e-3 of itself. Here long columns are summed in blocks, and
the blocks added up in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# So many numbers are added one after the other in float32: each may cost half a unit in the last place.
_LONG = 4096

_reduce: Any = np.add.reduce


def add_reduce(x: np.ndarray, axis: tuple[int, ...], dtype: Any = None, keepdims: bool = False, out: Any = None) -> Any:
    """``numpy.add.reduce`` over a tuple of axes, all of them at least 0."""
    if x.size <= _LONG or x.dtype.char not in "fFe" or not _long(x, axis):
        return _reduce(x, axis, dtype, out, keepdims)
    count = math.prod([x.shape[a] for a in axis])
    along = max(axis, key=lambda a: abs(x.strides[a]))  # blocks that lie in one piece
    if x.shape[along] * _LONG < count:
        along = max(axis, key=lambda a: x.shape[a])
    rows = x.shape[along]
    block = max(1, _LONG * rows // count)
    narrow = np.dtype(np.complex64 if x.dtype.kind == "c" else np.float32)
    before = (slice(None),) * along
    total: Any = 0.0
    for start in range(0, rows, block):
        part = _reduce(x[(*before, slice(start, start + block))], axis=axis, dtype=narrow, keepdims=keepdims)
        total = total + part.astype(np.complex128 if narrow.kind == "c" else np.float64)
    if out is not None:
        out[...] = total
        return out
    return total.astype(x.dtype if dtype is None else dtype)


def _long(x: np.ndarray, axis: tuple[int, ...]) -> bool:
    """Are more numbers added one after the other than may be?

    The axis that lies closest in memory is added in pairs, unless the others are and it is not summed at all.
    """
    nearest = min(range(x.ndim), key=lambda a: abs(x.strides[a]) if x.shape[a] > 1 else math.inf)
    return math.prod([x.shape[a] for a in axis if a != nearest]) > _LONG
