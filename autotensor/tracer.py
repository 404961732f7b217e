"""Names of HIPS autograd's ``tracer``: what a value is below its recording."""

from __future__ import annotations

from typing import Any

from autotensor.core.tensor import Tensor

__all__ = ["getval", "isbox"]


def getval(x: Any) -> Any:
    """The value of a tensor as an array or NumPy's scalar; other things as they are."""
    return x.numpy()[()] if isinstance(x, Tensor) else x


def isbox(x: Any) -> bool:
    """True for a tensor through which gradients flow."""
    return isinstance(x, Tensor) and x.requires_grad
