"""Arrays that refuse every index outside, for kernels that run as plain Python.

Compiled kernels do not look whether an index is within its array. With `NUMBA_DISABLE_JIT=1 NUMBA_BOUNDSCHECK=1` they
run in Python on arrays of this class: an index beyond the end raises, as always in NumPy, and so does a negative one,
which NumPy counts from the end: in a kernel it is a mistake, and on a raw address it reads what lies before.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np


class Guarded(np.ndarray):
    """A view of an array; views of it are guarded as well."""

    def __getitem__(self, key: Any) -> Any:
        _check(self, key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _check(self, key)
        super().__setitem__(key, value)


def guarding(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose arguments that are arrays are guarded in it."""

    @functools.wraps(fn)
    def guarded(*args: Any) -> Any:
        result = fn(*[a.view(Guarded) if type(a) is np.ndarray else a for a in args])
        return result.view(np.ndarray) if isinstance(result, Guarded) else result

    return guarded


def check_block(target: Any, at: int, source: Any, start: int, size: int) -> None:
    """Raise IndexError unless both blocks of so many elements lie within their flat arrays."""
    for array, first in ((target, at), (source, start)):
        if first < 0 or first + size > len(array):
            raise IndexError(f"[kernel] elements {first} to {first + size - 1} of an array of {len(array)}")


def _check(array: np.ndarray, key: Any) -> None:
    parts = key if type(key) is tuple else (key,)
    axis = 0
    for part in parts:
        if part is None:
            continue
        if part is Ellipsis:
            axis += array.ndim - len([p for p in parts if p is not None]) + 1
            continue
        if isinstance(part, slice):
            for end in (part.start, part.stop):
                if end is not None and end < 0:
                    raise IndexError(f"[kernel] slice {part} of axis {axis} of {array.shape} begins or ends below 0")
        elif not isinstance(part, (np.ndarray, list)):
            number = operator.index(part)
            if not 0 <= number < array.shape[axis]:
                raise IndexError(f"[kernel] index {number} is outside axis {axis} of {array.shape}")
        axis += 1
