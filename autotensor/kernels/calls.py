"""Calls with their arguments, as plans run them: a kernel between the copies that bring arrays into its form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = tuple[Callable[..., Any], tuple[Any, ...]]
Copies = list[tuple[np.ndarray, np.ndarray]]
"""Pairs (target, source)."""


def ordered(x: np.ndarray, dtype: Any, scratch: Callable[..., np.ndarray], copies: Copies) -> np.ndarray:
    """x itself if it is contiguous and of that dtype, else memory for such a copy, which is added to ``copies``."""
    # Of arrays that must not be written Numba makes another type, and would compile the kernel anew.
    if x.dtype == dtype and x.flags.carray:
        return x
    made = scratch(x.shape, dtype)
    copies.append((made, x))
    return made


def chained(before: Copies, call: Call, after: Copies) -> Call:
    """One call that makes the copies before, runs the kernel, and makes those after it."""
    if not before and not after:
        return call
    function, arguments = call

    def run(*arguments: Any) -> None:
        for target, source in before:
            np.copyto(target, source, "unsafe")
        function(*arguments)
        for target, source in after:
            np.copyto(target, source, "unsafe")

    return run, arguments
