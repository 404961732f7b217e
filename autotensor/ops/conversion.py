"""Other dtypes and copies of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor, refuse_complex
from autotensor.errors import DTypeError
from autotensor.ops.device import check_device
from autotensor.ops.like import unbroadcast
from autotensor.ops.rules import promoting


def _infer_astype(x: Operand, dtype: Any) -> Aval:
    return Aval(shape_of(x), dtype)


def _lower_astype(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    x = inputs[0]
    return x if isinstance(x, Tensor) and x.dtype == out.dtype else None


@defop(
    "astype",
    impl=lambda x, dtype: np.asarray(x).astype(dtype, copy=False),
    infer=_infer_astype,
    into=lambda out, x, dtype: np.copyto(out, x, casting="unsafe"),
    expr="cast({0})",
    lower=_lower_astype,
    view=True,
)
def astype_op(needs, g, out, x, dtype):
    return (unbroadcast(g, x),)


_DTYPES: dict[Any, np.dtype] = {}


def dtype_of(op: str, dtype: Any) -> np.dtype:
    """A dtype from a name, a type or a dtype; strings, dates and objects are refused."""
    try:
        return _DTYPES[dtype]
    except (KeyError, TypeError):
        pass
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "biufc":
        raise DTypeError(f"[{op}] expected a dtype of numbers or bools; got {dtype!r}. Use 'float32', for example.")
    _DTYPES[dtype] = found
    return found


def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Tensor:
    """x converted to ``dtype`` as NumPy does it; gradients are converted back.

    With ``copy=False`` a tensor that has the dtype already is given back itself. Complex numbers do not become real
    ones: take ``real``, ``imag`` or ``abs``.
    """
    wanted = dtype_of("astype", dtype)
    check_device("astype", device)
    if isinstance(x, Tensor):
        if x.dtype == wanted and not copy:
            return x
        refuse_complex("astype", x.dtype, wanted)
    return astype_op(x, dtype=wanted)


def _lower_copy(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return inputs[0] if isinstance(inputs[0], Tensor) else None


@defop(
    "copy",
    impl=lambda x: np.array(x, order="C"),
    infer=promoting("copy"),
    into=lambda out, x: np.copyto(out, x),
    lower=_lower_copy,
    vjp_takes_arrays=True,
)
def copy(needs, g, out, x):
    """The same values in memory of their own; gradients pass."""
    return (g,)
