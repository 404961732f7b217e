"""Arrays in, arrays out: functions of tensors for callers that may hold arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autotensor.core.state import no_grad
from autotensor.core.tensor import Tensor
from autotensor.ops.numpy_values import tensors_in

__all__ = ["arrays_for_arrays", "unpacked"]


def arrays_for_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that gives arrays and NumPy's scalars when no argument is a tensor."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if tensors_in(args) or tensors_in(kwargs):
            return function(*args, **kwargs)
        with no_grad():
            return unpacked(function(*args, **kwargs))

    return call


def unpacked(result: Any) -> Any:
    """Arrays in the place of tensors, a NumPy scalar for rank 0."""
    if isinstance(result, Tensor):
        return result.numpy()[()]
    if isinstance(result, tuple):
        return tuple([unpacked(x) for x in result])
    return result
