"""Choosing between whole tensors by a scalar condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, result_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor, Variable
from autotensor.errors import ShapeError
from autotensor.ops.elementwise import astype
from autotensor.ops.like import unbroadcast

__all__ = ["switch"]


def _switch_impl(condition: Any, a: Any, b: Any) -> np.ndarray:
    chosen = a if condition else b
    out = np.empty(np.broadcast_shapes(np.shape(a), np.shape(b)), np.result_type(a, b))
    out[...] = chosen
    return out


def _infer_switch(condition: Operand, a: Operand, b: Operand) -> Aval:
    if shape_of(condition) != ():
        raise ShapeError(
            f"[switch] expected a scalar condition; got shape {shape_of(condition)}. Use where() to choose by element."
        )
    return Aval(broadcast_shapes("switch", shape_of(a), shape_of(b)), result_dtype(a, b))


def _lower_switch(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    condition, a, b = inputs
    if isinstance(condition, Tensor):
        if condition.data is None or condition.tracked or type(condition) is Variable:
            return None
        condition = condition.data
    chosen = a if condition else b
    if not isinstance(chosen, Tensor):
        if not out.known:
            return None
        chosen = Tensor(np.asarray(chosen, out.dtype))
    if chosen.dtype != out.dtype:
        chosen = astype(chosen, out.dtype)
    if chosen.shape == out.shape:
        return chosen
    return chosen.broadcast_to(out.shape) if out.known else None


@defop("switch", impl=_switch_impl, infer=_infer_switch, lower=_lower_switch)
def switch_op(needs, g, out, condition, a, b):
    return (
        None,
        unbroadcast(switch_op(condition, g, 0), a) if needs[1] else None,
        unbroadcast(switch_op(condition, 0, g), b) if needs[2] else None,
    )


def switch(condition: Any, a: Any, b: Any) -> Tensor:
    """The whole of ``a`` if a scalar condition holds, else the whole of ``b``; the two are broadcast together.

    A compiled plan in which the condition is constant computes one branch only. Branches may be functions without
    arguments.

        >>> import autotensor as at
        >>> at.grad(lambda x: at.switch(x > 0, x**2, -x))(3.0)
        Tensor(6., dtype=float64)
    """
    a = a() if callable(a) else a
    b = b() if callable(b) else b
    if isinstance(condition, Tensor):
        _infer_switch(condition.aval, 0, 0)
    return switch_op(condition, a, b)
