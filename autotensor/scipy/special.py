"""``scipy.special`` for programs written for HIPS autograd; the functions of ``autotensor.special``."""

from __future__ import annotations

from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.ops import activation, elementwise, reduce
from autotensor.ops import special as _special
from autotensor.ops import special_scipy as _more
from autotensor.ops.creation import operand
from autotensor.scipy._plain import arrays_for_arrays as _plain

_ELEMENTWISE = ("cbrt", "erf", "erfc", "erfinv", "exp2", "expm1", "log1p")
__all__ = ["log_softmax", "logsumexp", "softmax"]
__all__ += [*_special.__all__, *_more.__all__, *_ELEMENTWISE]

for _name in _special.__all__:
    globals()[_name] = _plain(getattr(_special, _name))
for _name in _more.__all__:
    globals()[_name] = _plain(getattr(_more, _name))
for _name in _ELEMENTWISE:
    globals()[_name] = _plain(getattr(elementwise, _name))


@_plain
def logsumexp(x: Any, axis: Any = None, b: Any = 1.0, keepdims: bool = False) -> Tensor:
    """log(sum(b * exp(x))) over axes, without overflow."""
    x = operand(x)
    if isinstance(b, (int, float)) and b == 1:
        return reduce.logsumexp(x, axis=axis, keepdims=keepdims)
    top = reduce.peak(x, reduce._axes("logsumexp", axis, x.ndim))
    total = elementwise.log(reduce.sum(b * elementwise.exp(x - top), axis=axis, keepdims=keepdims))
    return total + (top if keepdims else reduce.sum(top, axis=axis))


@_plain
def softmax(x: Any, axis: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) over axes, by default over all elements."""
    if isinstance(axis, int):
        return activation.softmax(x, axis)
    return elementwise.exp(log_softmax(operand(x), axis))


@_plain
def log_softmax(x: Any, axis: Any = None) -> Tensor:
    """log(softmax(x))."""
    x = operand(x)
    return x - reduce.logsumexp(x, axis=axis, keepdims=True)
