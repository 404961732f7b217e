"""Nested parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor
from autotensor.ops import shape
from autotensor.ops.creation import operand
from autotensor.ops.numpy_values import tensors_in

__all__ = ["flatten", "flatten_func"]


def _leaves(value: Any, found: list[Any]) -> list[Any]:
    if isinstance(value, (list, tuple)):
        for part in value:
            _leaves(part, found)
    elif isinstance(value, dict):
        for key in sorted(value):
            _leaves(value[key], found)
    else:
        found.append(value)
    return found


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A vector of all numbers in nested tuples, lists and dicts, and the function that puts such a vector back.

    Keys of dicts are taken in sorted order. The vector is a tensor if a leaf is one, else an array.

        >>> import autotensor as at
        >>> from autotensor.misc import flatten
        >>> vector, unflatten = flatten({"w": [1.0, 2.0], "b": 3.0})
        >>> vector
        array([3., 1., 2.])
        >>> unflatten(at.asarray(vector) * 2)["b"]
        Tensor(6., dtype=float64)
    """
    leaves = _leaves(value, [])
    if tensors_in(leaves):
        vector: Any = shape.concat([shape.flatten(operand(x)) for x in leaves])
    else:
        vector = np.concatenate([np.ravel(x) for x in leaves]) if leaves else np.zeros(0)

    def unflatten(flat: Any) -> Any:
        start = 0

        def build(like: Any) -> Any:
            nonlocal start
            if isinstance(like, tuple) and hasattr(like, "_fields"):
                return type(like)(*[build(part) for part in like])
            if isinstance(like, (list, tuple)):
                return type(like)([build(part) for part in like])
            if isinstance(like, dict):
                return {key: build(like[key]) for key in sorted(like)}
            sizes = np.shape(like)
            n = int(np.prod(sizes, dtype=int))
            part = flat[start : start + n]
            start += n
            return part.reshape(sizes) if sizes or isinstance(part, Tensor) else part[0]

        return build(value)

    return vector, unflatten


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """A function of nested parameters as one of a vector; also the way back and the example as a vector."""
    vector, unflatten = flatten(example)

    def flat_func(x: Any, *args: Any) -> Any:
        return flatten(func(unflatten(x), *args))[0]

    return flat_func, unflatten, vector
