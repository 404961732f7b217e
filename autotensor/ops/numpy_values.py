"""What all of NumPy's functions on tensors share: the table of them, reading values, writing ``out``, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.state import state
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import DTypeError, GradError, ShapeError, TraceError
from autotensor.ops import shape
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype

# NumPy's function -> ours with NumPy's signature. Filled by ``numpy_functions`` and ``numpy_linalg``.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}

# Functions whose results are constant by pieces, or no numbers at all: NumPy's own are run on the values.
CONSTANT: set[Callable[..., Any]] = set()

_NO_VALUE = np._NoValue


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function of ours in the table in the place of NumPy's; None (missing in an older NumPy) is left out."""

    def decorate(ours: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            if function is not None:
                FUNCTIONS[function] = ours
        return ours

    return decorate


def given(x: Any) -> bool:
    """Was this argument passed?"""
    return x is not None and x is not _NO_VALUE


def tensors_in(args: Any) -> list[Tensor]:
    """Tensors among arguments, also inside lists, tuples and dictionaries."""
    found: list[Tensor] = []
    stack = [args]
    while stack:
        x = stack.pop()
        if isinstance(x, Tensor):
            found.append(x)
        elif type(x) in (list, tuple):
            stack.extend(x)
        elif type(x) is dict:
            stack.extend(x.values())
    return found


def flows(x: Tensor) -> bool:
    """True when gradients could flow through x now."""
    return state.tracking and x.requires_grad


def check_plain(name: str, args: Any) -> None:
    """Refuse tensors through which gradients flow, or that have no value, for a function that knows no gradient."""
    for x in tensors_in(args):
        if x.waits:
            raise TraceError(
                f"[np.{name}] needs values, and {x!r} has none yet: this function is not part of autotensor's graphs. "
                "Use a function of autotensor in its place."
            )
        if flows(x):
            raise GradError(
                f"[np.{name}] has no gradient here; got a tensor that requires gradients, of shape {x.shape}. "
                "Use x.detach() if its value is all you need."
            )


def values_of(name: str, args: Any) -> Any:
    """The arguments with arrays in the place of tensors."""
    if isinstance(args, Tensor):
        return args._value(f"np.{name}")
    if type(args) in (list, tuple):
        return type(args)([values_of(name, x) for x in args])
    if type(args) is dict:
        return {key: values_of(name, x) for key, x in args.items()}
    return args


def wrapped(name: str, result: Any) -> Any:
    """NumPy's result with tensors in the place of arrays and NumPy's scalars."""
    if isinstance(result, (np.ndarray, np.generic)):
        array = np.asarray(result)
        if array.dtype.kind in "biufc":
            return wrap(array)
        if array.dtype.kind == "O":
            raise DTypeError(f"[np.{name}] gives an array of objects, which no tensor can hold. Use x.numpy().")
        return result
    if type(result) in (list, tuple):
        return type(result)([wrapped(name, x) for x in result])
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[wrapped(name, x) for x in result])
    return result


def on_values(function: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """NumPy's own function, run on the values."""
    return wrapped(name, function(*values_of(name, args), **values_of(name, kwargs)))


def store(out: Any, result: Any, name: str) -> Any:
    """``out=``: write a result where the caller wants it; the result itself where that is None.

    A tensor is written as by ``out[...] = result``, gradients included; an array takes plain values only.
    """
    if not given(out):
        return result
    if type(out) is tuple:
        if len(out) == 1:
            return store(out[0], result, name)
        return tuple([store(o, r, name) for o, r in zip(out, result, strict=True)])
    if not isinstance(result, Tensor):
        result = wrap(np.asarray(result))
    if not np.can_cast(result.dtype, out.dtype, "same_kind"):
        raise DTypeError(
            f"[np.{name}] cannot write {result.dtype} into an out of {out.dtype}. Give an out of that dtype."
        )
    if result.shape != tuple(out.shape):
        raise ShapeError(f"[np.{name}] expected out of shape {result.shape}; got {tuple(out.shape)}.")
    if isinstance(out, Tensor):
        out[...] = result
        return out
    if not isinstance(out, np.ndarray):
        raise TypeError(f"[np.{name}] expected a tensor or an array as out; got {type(out).__name__}.")
    if result.waits or flows(result):
        what = "has no value yet" if result.waits else "carries gradients, which an array cannot hold"
        raise (TraceError if result.waits else GradError)(
            f"[np.{name}] cannot write into an array: the result {what}. Write a = a + t in the place of a += t."
        )
    np.copyto(out, result.data, casting="same_kind")
    return out


def cast(x: Any, dtype: Any) -> Tensor:
    """The tensor behind an argument, converted where a dtype is given."""
    x = operand(x)
    return astype(x, dtype) if given(dtype) else x


def broadcast_sizes(x: Any, sizes: Any) -> Tensor:
    """x broadcast to a shape, which may be one number."""
    return shape.broadcast_to(x, (int(sizes),) if isinstance(sizes, (int, np.integer)) else tuple(sizes))
