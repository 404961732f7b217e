"""Tensors: what they are, what their marks say, and how operations take what is none."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend.common import floatx


def is_tensor(x: Any) -> bool:
    """Tell whether ``x`` is a tensor: a constant, a variable, a placeholder or a symbolic result."""
    return isinstance(x, at.Tensor)


def is_variable(x: Any) -> bool:
    """Tell whether ``x`` is a variable."""
    return isinstance(x, at.Variable)


def is_placeholder(x: Any) -> bool:
    """Tell whether ``x`` is a placeholder."""
    return isinstance(x, at.Tensor) and x.data is None and x.node is None


def is_sparse(tensor: Any) -> bool:
    """Tell whether a tensor was declared sparse: by ``placeholder(sparse=True)`` or from a SciPy sparse matrix.

    The numbers are kept dense; the mark says what may be fed and how results are described.
    """
    return bool(getattr(tensor, "_keras_sparse", False))


def to_dense(tensor: Any) -> Any:
    """The tensor without the mark of :func:`is_sparse`; a dense tensor comes back itself."""
    return identity(tensor) if is_sparse(tensor) else tensor


def mark_sparse(tensor: Any) -> Any:
    """Put the mark of :func:`is_sparse` on a tensor and return it."""
    tensor._keras_sparse = True
    return tensor


def as_tensor(x: Any, dtype: Any = None) -> Any:
    """A tensor from a tensor, array or number; Python's numbers and float lists take the default float type."""
    if isinstance(x, at.Tensor):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return at.asarray(np.asarray(x, dtype=dtype))
    array = np.asarray(x)
    if dtype is None and array.dtype.kind == "f":
        dtype = floatx()
    return at.asarray(array.astype(dtype) if dtype is not None else array)


def as_numbers(value: Any, what: str, dtype: Any = None) -> np.ndarray:
    """A value of a variable or constant as an array of numbers; SciPy's sparse matrices are made dense.

    Raises ValueError for rows of several lengths, missing values, texts, dates, fields, and complex numbers unless
    ``dtype`` is of them.
    """
    if hasattr(value, "tocoo"):
        value = value.toarray()
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            array = array.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"[{what}] expected an array of numbers; got a {type(value).__name__}: {error}. Encode what is no number, "
            "fill what is missing, pad rows to one length?"
        ) from error
    if array.dtype.kind in "fiub" or (array.dtype.kind == "c" and np.dtype(dtype or "float32").kind == "c"):
        return array
    raise ValueError(
        f"[{what}] expected an array of numbers; got a {type(value).__name__} with dtype {array.dtype}. Encode it as "
        "numbers?"
    )


def operands(x: Any, y: Any) -> tuple[Any, Any]:
    """Operands of a binary function: arrays beside a float tensor take its dtype, as a Python number does."""
    if isinstance(x, at.Tensor) and not isinstance(y, at.Tensor):
        return x, _beside(y, x)
    if isinstance(y, at.Tensor) and not isinstance(x, at.Tensor):
        return _beside(x, y), y
    if not isinstance(x, at.Tensor):
        return as_tensor(x), as_tensor(y)
    return x, y


def _beside(value: Any, x: Any) -> Any:
    if type(value) in (bool, int, float):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "f" and x.dtype.kind == "f":
        array = array.astype(x.dtype)
    return at.asarray(array)


def as_float(x: Any) -> Any:
    """A tensor of floats: bools and integers are cast to the default float type."""
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else at.astype(x, floatx())


def identity(x: Any, name: str | None = None) -> Any:
    """A tensor with the same value that is another object."""
    out = at.copy(as_tensor(x))
    if name is not None:
        out.name = name
    return out


def cast(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype; the tensor itself if it has it already."""
    x = as_tensor(x)
    return x if x.dtype == np.dtype(dtype) else at.astype(x, dtype)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """Shape of a tensor as a tuple, None where a dimension is unknown."""
    known = getattr(x, "_keras_shape", None)
    return tuple(x.shape if known is None else known)


def get_variable_shape(x: Any) -> tuple[int | None, ...]:
    """Shape of a variable."""
    return int_shape(x)


def ndim(x: Any) -> int:
    """Number of axes."""
    return x.ndim


def dtype(x: Any) -> str:
    """Name of the dtype, such as 'float32'."""
    return x.dtype.name


def count_params(x: Any) -> int:
    """Number of scalars in a variable or constant."""
    return int(np.prod([int(d or 0) for d in int_shape(x)], dtype=np.int64))
