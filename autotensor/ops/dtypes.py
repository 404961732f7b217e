"""What is known of dtypes: kinds, promotion, limits. Nothing here is differentiated."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from autotensor.core.tensor import NUMBER_TYPES
from autotensor.errors import DTypeError
from autotensor.ops.conversion import dtype_of

__all__ = ["isdtype", "can_cast", "result_type", "finfo", "iinfo"]

KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def _dtype(op: str, x: Any) -> np.dtype:
    """The dtype of a tensor or an array, or the one that an argument names."""
    known = getattr(x, "dtype", None)
    if isinstance(known, np.dtype):
        return known
    own = getattr(x, "__autotensor__", None)
    return own().dtype if own is not None else dtype_of(op, x)


def isdtype(dtype: Any, kind: Any) -> bool:
    """True when a dtype is of a kind, of one of several, or equal to another dtype.

    Args:
        dtype: a dtype, or its name.
        kind: "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating",
            "numeric"; a dtype; or a tuple of these.

    Raises ValueError for an unknown kind.

    >>> import autotensor as at
    >>> at.isdtype(at.float32, "real floating"), at.isdtype(at.int8, ("bool", at.int16))
    (True, False)
    """
    found = dtype_of("isdtype", dtype)
    for one in kind if isinstance(kind, tuple) else (kind,):
        if isinstance(one, str):
            if one not in KINDS:
                raise ValueError(f"[isdtype] expected a kind among {', '.join(KINDS)}; got {one!r}. Pass a dtype?")
            if found.kind in KINDS[one]:
                return True
        elif found == dtype_of("isdtype", one):
            return True
    return False


def can_cast(from_: Any, to: Any) -> bool:
    """True when every value of a dtype (or of a tensor's dtype) has its place in another, by the rules of promotion.

    >>> import autotensor as at
    >>> at.can_cast(at.int8, at.int16), at.can_cast(at.zeros(2), at.float32)
    (True, False)
    """
    return bool(np.can_cast(_dtype("can_cast", from_), dtype_of("can_cast", to), "safe"))


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype of an operation on these tensors, dtypes and Python numbers; numbers adapt to what is beside them.

    Raises DTypeError when there are only numbers.

    >>> import autotensor as at
    >>> at.result_type(at.int8, at.uint8, 3)
    dtype('int16')
    """
    weak = [x for x in arrays_and_dtypes if type(x) in NUMBER_TYPES]
    if len(weak) == len(arrays_and_dtypes):
        raise DTypeError(f"[result_type] expected a tensor or a dtype at least; got {arrays_and_dtypes}. Add one?")
    strong = [_dtype("result_type", x) for x in arrays_and_dtypes if type(x) not in NUMBER_TYPES]
    return np.result_type(*strong, *weak)


@dataclasses.dataclass(frozen=True)
class FloatLimits:
    """Limits of a floating dtype; of a complex one, those of its parts.

    Attributes:
        bits: of one (real) number.
        eps: from 1.0 to the next number.
        max, min: largest and smallest number; ``min == -max``.
        smallest_normal, tiny: smallest positive number of full precision.
        resolution: 10 to the power of minus the decimal digits that are exact.
        dtype: the real dtype.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    tiny: float
    resolution: float
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class IntegerLimits:
    """Limits of an integer dtype: number of bits, largest and smallest number, the dtype."""

    bits: int
    max: int
    min: int
    dtype: np.dtype


def finfo(type: Any, /) -> FloatLimits:
    """Limits of a floating or complex dtype, or of the dtype of a tensor.

    Raises DTypeError for a dtype that is not floating.

    >>> import autotensor as at
    >>> at.finfo(at.float32).bits, at.finfo(at.complex128).eps == 2.0**-52
    (32, True)
    """
    dtype = _dtype("finfo", type)
    if dtype.kind not in "fc":
        raise DTypeError(f"[finfo] expected a floating or complex dtype; got {dtype}. Use iinfo for integers?")
    info = np.finfo(dtype)
    normal = float(info.smallest_normal)
    return FloatLimits(
        bits=int(info.bits),
        eps=float(info.eps),
        max=float(info.max),
        min=float(info.min),
        smallest_normal=normal,
        tiny=normal,
        resolution=float(info.resolution),
        dtype=np.dtype(info.dtype),
    )


def iinfo(type: Any, /) -> IntegerLimits:
    """Limits of an integer dtype, or of the dtype of a tensor.

    Raises DTypeError for a dtype that is no integer.

    >>> import autotensor as at
    >>> at.iinfo(at.uint8).max
    255
    """
    dtype = _dtype("iinfo", type)
    if dtype.kind not in "iu":
        raise DTypeError(f"[iinfo] expected an integer dtype; got {dtype}. Use finfo for floats?")
    info = np.iinfo(dtype)
    return IntegerLimits(int(info.bits), int(info.max), int(info.min), dtype)
