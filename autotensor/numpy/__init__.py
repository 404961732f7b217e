"""NumPy for programs written for HIPS autograd: ``import autotensor.numpy as np``.

All of NumPy's names. Its functions and ufuncs take tensors by NumPy's own protocols (see ``docs/numpy.md``) and arrays
as ever: without a tensor among the arguments the result is NumPy's. What NumPy does not hand on to us, it gets here:
``array([x[0], 2 * x[1]])``, ``mean([a, b])``, ``r_[x, y]`` and ``vectorize`` keep gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as _np

from autotensor.core.tensor import Tensor
from autotensor.numpy import fft, linalg, random  # noqa: F401 (parts of the namespace)
from autotensor.numpy._lifting import Ufunc, holds_tensors, lifted
from autotensor.ops import creation as _creation
from autotensor.ops import shape as _shape
from autotensor.ops.numpy_values import tensors_in


def __getattr__(name: str) -> Any:
    """NumPy's own name, for what is not made here."""
    return getattr(_np, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_np)})


def _wrapped() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in dir(_np):
        if name.startswith("_"):
            continue
        thing = getattr(_np, name)
        if isinstance(thing, _np.ufunc):
            made[name] = Ufunc(thing)
        elif hasattr(thing, "_implementation"):  # one that dispatches
            made[name] = lifted(thing)
    return made


globals().update(_wrapped())


def array(object: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """``numpy.array``; tensors stay tensors, and lists that hold some are stacked with their gradients."""
    if isinstance(object, Tensor) or (type(object) in (list, tuple) and holds_tensors(object)):
        out = _creation.array(object, dtype)
        ndmin = kwargs.get("ndmin", 0)
        return out[(None,) * (ndmin - out.ndim)] if out.ndim < ndmin else out
    return _np.array(object, dtype=dtype, **kwargs)


def asarray(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """``numpy.asarray``; tensors stay tensors, and lists that hold some are stacked with their gradients."""
    if isinstance(a, Tensor) or (type(a) in (list, tuple) and holds_tensors(a)):
        return _creation.asarray(a, dtype)
    return _np.asarray(a, dtype, *args, **kwargs)


asanyarray = ascontiguousarray = asfortranarray = asarray


def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """``asarray`` that refuses NaN and infinities. Raises ValueError where there are any."""
    out = asarray(a, dtype)
    if not _np.isfinite(_np.asarray(out)).all():
        raise ValueError("[asarray_chkfinite] expected finite numbers; got NaN or infinities.")
    return out


def full(shape: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
    """``numpy.full``; a tensor as value keeps its gradient."""
    if isinstance(fill_value, Tensor):
        return _creation.full(shape, fill_value, dtype)
    return _np.full(shape, fill_value, dtype, *args, **kwargs)


def isscalar(element: Any) -> bool:
    """``numpy.isscalar``; tensors of rank 0 count as numbers."""
    return element.ndim == 0 if isinstance(element, Tensor) else _np.isscalar(element)


class vectorize:
    """``numpy.vectorize``: a function of numbers applied to each element, gradients included."""

    def __init__(self, pyfunc: Callable[..., Any], *args: Any, **kwargs: Any):
        self._function = pyfunc
        self._plain = _np.vectorize(pyfunc, *args, **kwargs)
        functools.update_wrapper(self, pyfunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not tensors_in((args, kwargs)):
            return self._plain(*args, **kwargs)
        spread = _shape.broadcast_arrays(*args)
        rows = [_shape.flatten(x) for x in spread]
        found = [self._function(*[row[i] for row in rows], **kwargs) for i in range(len(rows[0]))]
        if isinstance(found[0], tuple):
            return tuple([_creation.array(list(part)).reshape(spread[0].shape) for part in zip(*found, strict=True)])
        return _creation.array(found).reshape(spread[0].shape)


class _Joined:
    """``r_`` and ``c_`` with tensors among what is joined."""

    def __init__(self, plain: Any, columns: bool):
        self._plain = plain
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        parts = key if type(key) is tuple else (key,)
        if not holds_tensors(parts):
            return self._plain[key]
        made = [x if isinstance(x, Tensor) else asarray(self._plain[x] if isinstance(x, slice) else x) for x in parts]
        made = [_creation.asarray(x) for x in made]
        if self._columns:
            columns = [x.reshape((-1, 1)) if x.ndim < 2 else x for x in made]
            return _shape.concat(columns, axis=-1)
        return _shape.concat([_shape.atleast_1d(x) for x in made], axis=0)


r_ = _Joined(_np.r_, False)
c_ = _Joined(_np.c_, True)


def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Matrices with the last axis of D on their diagonals. Raises NotImplementedError for other places."""
    if (offset, axis1, axis2) != (0, -1, -2):
        raise NotImplementedError("[make_diagonal] expected offset=0, axis1=-1, axis2=-2, as HIPS autograd does.")
    n = _np.shape(D)[-1]
    return _creation.operand(D)[..., None] * _np.eye(n) if isinstance(D, Tensor) else D[..., None] * _np.eye(n)


newaxis = None

__all__ = [name for name in __dir__() if not name.startswith("_")]
