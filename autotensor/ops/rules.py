"""Shape rules and parts that elementwise operations share."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, float_dtype, result_dtype, shape_of
from autotensor.errors import DTypeError


def promoting(name: str) -> Any:
    """Shape rule: operands broadcast, dtypes promote."""

    def infer(*operands: Operand, **params: Any) -> Aval:
        return Aval(broadcast_shapes(name, *[shape_of(x) for x in operands]), result_dtype(*operands))

    return infer


def floating(name: str) -> Any:
    """Shape rule: operands broadcast, the result is floating."""

    def infer(*operands: Operand, **params: Any) -> Aval:
        return Aval(broadcast_shapes(name, *[shape_of(x) for x in operands]), float_dtype(*operands))

    return infer


def following(name: str, ufunc: np.ufunc) -> Any:
    """Shape rule: operands broadcast, the dtype is what NumPy's ufunc gives for these operands."""

    def infer(*operands: Operand, **params: Any) -> Aval:
        shape = broadcast_shapes(name, *[shape_of(x) for x in operands])
        kinds = [x.dtype if isinstance(x, Aval) else np.dtype(bool) if type(x) is bool else type(x) for x in operands]
        try:
            dtype = ufunc.resolve_dtypes((*kinds, None))[-1]
        except TypeError:
            given = " and ".join(str(k) if isinstance(k, np.dtype) else k.__name__ for k in kinds)
            hint = "Use logical_xor or logical_not?" if "bool" in given else "Convert with astype()?"
            if "complex" in given:
                hint = "Use at.real or at.imag?"
            raise DTypeError(f"[{name}] expected dtypes it is defined for; got {given}. {hint}") from None
        return Aval(shape, dtype)

    return infer


def ufunc(name: str, function: np.ufunc) -> dict[str, Any]:
    """Implementation, shape rule and in-place form of an operation that is a NumPy ufunc."""
    return {
        "impl": function,
        "infer": following(name, function),
        "into": lambda out, *xs: function(*xs, out=out),
    }


def numeric(expr: str) -> dict[str, str]:
    """The same scalar expression for floats and integers; bools and complex numbers follow rules of their own."""
    return {"f": expr, "i": expr, "u": expr}
