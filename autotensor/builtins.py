"""``autograd.builtins``: Python's own containers, and ``isinstance`` and ``type`` that see arrays in tensors.

Transforms take nested tuples, lists and dicts as they are, so that the containers here are Python's.
"""

from __future__ import annotations

import builtins
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.tracer import getval

__all__ = ["dict", "isinstance", "list", "tuple", "type"]

dict = builtins.dict
list = builtins.list
tuple = builtins.tuple


def isinstance(x: Any, kind: Any) -> bool:
    """Python's ``isinstance``; a tensor is also what its value is, an array or a NumPy number."""
    return builtins.isinstance(x, kind) or (builtins.isinstance(x, Tensor) and builtins.isinstance(getval(x), kind))


def type(x: Any) -> Any:
    """Python's ``type``; of a tensor that of its value."""
    return builtins.type(getval(x))
