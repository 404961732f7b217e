"""Derivatives by a complex step: Im f(x + ih) / h, without a difference and so without rounding to speak of.

W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998),
110-112. It holds where the function is analytic and all its operations take complex numbers; both are looked at, not
assumed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor import Tensor
from autotensor.core.grad import topological
from autotensor.testing.subject import evaluated

# Its square is far below the rounding of 1, and its product with any sensible slope far above 0.
_STEP = 1e-30
# The derivative is as exact as the gradient itself: what is left is rounding.
ATOL, RTOL = 1e-13, 1e-10
_UNIT = 32 * float(np.finfo(np.float64).eps)

Run = Callable[[Sequence[np.ndarray]], tuple[list[Tensor], list[Tensor]]]


def refusal(run: Run, point: list[np.ndarray], double: bool) -> str:
    """Why there is no complex step for a function, in words; empty where there is one."""
    if not double:
        return "it computes in single precision"
    if any(x.dtype.kind == "c" for x in point):
        return "inputs are complex already"
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)  # an imaginary part that is lost on the way
            outs, _ = run([x.astype(np.complex128) for x in point])
            evaluated(outs)
    except Exception as error:  # whatever an operation says to complex numbers
        return str(error).split("\n")[0].rstrip(".") or type(error).__name__
    blocking = _not_analytic(outs)
    return f"[{blocking}] is not analytic" if blocking else ""


def derivative(run: Run, point: list[np.ndarray], k: int, v: np.ndarray, read: Any) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives along ``v`` by input ``k`` of what ``read`` makes of the outputs, and their rounding."""
    values = [x.astype(np.complex128) for x in point]
    values[k] = values[k] + 1j * _STEP * v
    with np.errstate(all="ignore"):
        outs, _ = run(values)
        found, size = read([value.imag / _STEP for value in evaluated(outs)])
    return found, _UNIT * size


def _not_analytic(outs: Sequence[Tensor]) -> str:
    """Name of an operation that a complex step does not pass through; empty if none is known to be one."""
    for node, results in topological(list(outs)):
        complex_in = any(isinstance(x, Tensor) and x.dtype.kind == "c" for x in node.inputs)
        if not complex_in:
            continue
        if node.op.name in ("conj", "sign") or any(t.dtype.kind == "f" for t in results.values()):
            return node.op.name
    return "" if all(out.dtype.kind == "c" for out in outs) else "a part"


def random_operation(outs: Sequence[Tensor]) -> str:
    """Name of an operation in the recipes of ``outs`` that gives another result each time."""
    for node, _ in topological(list(outs)):
        if not node.op.pure:
            return node.op.name
    return ""
