"""Variables, constants, placeholders; tensors of zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._functions import get_value, set_value
from keras_compat.backend._lengths import dims_of, template
from keras_compat.backend._tensors import as_numbers, as_tensor, cast, mark_sparse
from keras_compat.backend.common import floatx


class _Variable(at.Variable):
    """A variable that answers to Theano's methods too: programs call ``optimizer.lr.get_value()``."""

    # What copies and unpickled ones start with.
    constraint: Any = None
    _uses_learning_phase: bool = False

    def get_value(self, borrow: bool = False) -> np.ndarray:
        """The value as an array."""
        return get_value(self)

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Set the value, of the same shape."""
        set_value(self, new_value)


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """Make a variable: a tensor whose value is kept between evaluations and can be set.

    Args:
        value: array, number or tensor (whose value now is taken).
        dtype: the default float type if None.
        constraint: function applied to it after each update of an optimizer.
    """
    sparse = hasattr(value, "tocoo")
    array = get_value(value) if isinstance(value, at.Tensor) else as_numbers(value, "variable", dtype)
    v: Any = _Variable(np.asarray(array, dtype=dtype or floatx()), name=name, deferred=True)  # it copies
    if sparse:
        mark_sparse(v)
    v._keras_shape = tuple(v.shape)
    v._uses_learning_phase = False
    v.constraint = constraint
    return v


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """Make a constant tensor; a single value fills ``shape``."""
    given = value if isinstance(value, at.Tensor) else as_numbers(value, "constant", dtype)
    array = np.asarray(given, dtype=dtype or floatx())
    if shape is not None:
        array = np.full(shape, array) if array.ndim == 0 else array.reshape(shape)
    out: Any = at.Tensor(array)
    out._keras_shape = tuple(array.shape)
    out._uses_learning_phase = False
    return out


def placeholder(
    shape: Sequence[int | None] | None = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
) -> Any:
    """Make a tensor whose value is fed; None in ``shape`` is an unknown dimension, ``ndim`` alone leaves all open.

    Raises ValueError without a shape and a number of axes.
    """
    if shape is None:
        if ndim is None:
            raise ValueError("[placeholder] expected shape or ndim; got neither. Try K.placeholder(shape=(None, 10)).")
        shape = (None,) * ndim
    dims = tuple([None if d is None else int(d) for d in shape])
    x: Any = at.placeholder(dims, np.dtype(dtype or floatx()), name=name)
    x._keras_shape = dims
    x._uses_learning_phase = False
    return mark_sparse(x) if sparse else x


def _filled(shape: Any, value: float, dtype: Any, name: str | None) -> Any:
    dims = dims_of(shape)
    if -1 in dims:
        raise ValueError(f"[zeros, ones] a dimension is unknown; got {shape}. Use K.shape(x)[0], or K.zeros_like(x)?")
    if all(isinstance(d, int) for d in dims):
        return variable(np.full(dims, value), dtype=dtype, name=name)
    return template(dims, dtype or floatx()) + value


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros (a symbolic tensor where the shape holds unknown dimensions)."""
    return _filled(shape, 0, dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones (a symbolic tensor where the shape holds unknown dimensions)."""
    return _filled(shape, 1, dtype, name)


def eye(size: int | tuple[int, int], dtype: Any = None, name: str | None = None) -> Any:
    """A variable with an identity matrix; ``size`` is its side, or rows and columns."""
    rows, columns = size if isinstance(size, (tuple, list)) else (size, size)
    return variable(np.eye(rows, columns), dtype=dtype, name=name)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros in the shape of ``x``."""
    out = at.zeros_like(as_tensor(x))
    return out if dtype is None else cast(out, dtype)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones in the shape of ``x``."""
    out = at.ones_like(as_tensor(x))
    return out if dtype is None else cast(out, dtype)
