"""``K``: the backend functions of Keras 2.3.1, thin functions on the public names of autotensor.

Everything built on variables and placeholders is deferred: it has no value until :func:`eval` or a :func:`function`
asks for it, and follows the variables. Convolutions, pooling, recurrence and CTC live elsewhere.

Tensors here carry at most these marks of Keras: ``_keras_shape`` (placeholders, variables), ``_uses_learning_phase``,
``_keras_history`` (set by layers) and ``_attached_updates`` (results of stateful metrics).
"""

from __future__ import annotations

import builtins
import functools
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.dialect.level import get_api_level

_FLOATX = "float32"
_EPSILON = 1e-7
_IMAGE_DATA_FORMAT = "channels_last"
_FLOATS = ("float16", "float32", "float64")
_LAYOUTS = ("channels_last", "channels_first")

# Scores smaller than any that counts.
_NEVER = -1e10

# -- settings -----------------------------------------------------------------------------------------------------


def backend() -> str:
    """The name of the backend. Not 'tensorflow': programs that see that name import it."""
    return "autotensor"


def floatx() -> str:
    """The default float type: 'float32' unless set otherwise."""
    return _FLOATX


def set_floatx(floatx: str) -> None:
    """Set the default float type: 'float16', 'float32' or 'float64'."""
    global _FLOATX
    if floatx not in _FLOATS:
        raise ValueError(f"[set_floatx] expected one of {', '.join(_FLOATS)}; got {floatx!r}. Check the spelling.")
    _FLOATX = str(floatx)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless set otherwise."""
    return _EPSILON


def set_epsilon(e: float) -> None:
    """Set the value of :func:`epsilon`."""
    global _EPSILON
    _EPSILON = float(e)


def image_data_format() -> str:
    """The default layout of images: 'channels_last' unless set otherwise."""
    return _IMAGE_DATA_FORMAT


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images: 'channels_last' or 'channels_first'."""
    global _IMAGE_DATA_FORMAT
    _IMAGE_DATA_FORMAT = normalize_data_format(data_format)


def normalize_data_format(value: str | None) -> str:
    """Return a layout in lower case; None is the default. Raises ValueError for an unknown one."""
    if value is None:
        return _IMAGE_DATA_FORMAT
    text = str(value).lower()
    if text not in _LAYOUTS:
        raise ValueError(f"[data_format] expected one of {', '.join(_LAYOUTS)}; got {value!r}. Check the spelling.")
    return text


def cast_to_floatx(x: Any) -> np.ndarray:
    """Return an array (or number) as an ndarray of the default float type."""
    return np.asarray(x, dtype=_FLOATX)


# -- names and phases ---------------------------------------------------------------------------------------------

_uids: dict[str, int] = defaultdict(int)


def get_uid(prefix: str = "") -> int:
    """Return 1, 2, 3... for each prefix."""
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids() -> None:
    """Start all counts of :func:`get_uid` again."""
    _uids.clear()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """A context without effect: there are no graph names to group here."""
    yield name


def _new_phase() -> Any:
    phase = at.placeholder((), "bool", name="keras_learning_phase")
    phase._keras_shape = ()
    phase._uses_learning_phase = True
    return phase


_phase_placeholder: Any = _new_phase()
_phase_value: int | None = None


def learning_phase() -> Any:
    """The learning phase: 0 or 1 if set by :func:`set_learning_phase`, else a boolean placeholder to feed.

    Where the placeholder is not fed it counts as 0, testing.
    """
    return _phase_placeholder if _phase_value is None else _phase_value


def set_learning_phase(value: int) -> None:
    """Fix the learning phase: 0 for testing, 1 for training."""
    global _phase_value
    if value not in (0, 1):
        raise ValueError(f"[set_learning_phase] expected 0 (testing) or 1 (training); got {value!r}. Use one of them.")
    _phase_value = int(value)


def clear_session() -> None:
    """Forget the fixed learning phase and start the automatic names again."""
    global _phase_placeholder, _phase_value
    reset_uids()
    _phase_placeholder = _new_phase()
    _phase_value = None


def phase_givens(value: int | bool = 0) -> dict[Any, Any]:
    """What to pass as ``givens`` to ``autotensor.function`` so that the graph is specialised on a learning phase."""
    return {_phase_placeholder: at.asarray(np.asarray(builtins.bool(value)))}


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in training, ``alt`` in testing; both are tensors or functions without arguments that make one.

    ``training`` (0, 1, True, False or a tensor) decides where it is given, else the learning phase. A compiled
    function whose phase is fixed computes one branch only.
    """
    by_phase = training is None
    if by_phase:
        training = learning_phase()
    if not is_tensor(training):
        chosen = x if training else alt
        return chosen() if callable(chosen) else chosen
    result = switch(training, x, alt)
    if by_phase:
        result._uses_learning_phase = True
    return result


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in testing, ``alt`` in training; see :func:`in_train_phase`."""
    return in_train_phase(alt, x, training=training)


# -- tensors ------------------------------------------------------------------------------------------------------


def is_tensor(x: Any) -> bool:
    """Tell whether ``x`` is a tensor: a constant, a variable, a placeholder or a symbolic result."""
    return isinstance(x, at.Tensor)


def is_variable(x: Any) -> bool:
    """Tell whether ``x`` is a variable."""
    return isinstance(x, at.Variable)


def is_placeholder(x: Any) -> bool:
    """Tell whether ``x`` is a placeholder."""
    return isinstance(x, at.Tensor) and x.data is None and x.node is None


def is_keras_tensor(x: Any) -> bool:
    """Tell whether a tensor came out of a Keras layer (or ``Input``). Raises ValueError if ``x`` is no tensor."""
    if not isinstance(x, at.Tensor):
        raise ValueError(
            f"[is_keras_tensor] expected a symbolic tensor; got {type(x).__name__}. Expected a symbolic tensor instance: "
            "make one with Input() or K.placeholder()."
        )
    return hasattr(x, "_keras_history")


def is_sparse(tensor: Any) -> bool:
    """False: tensors are dense."""
    return False


def to_dense(tensor: Any) -> Any:
    """The tensor itself: tensors are dense."""
    return tensor


def _tensor(x: Any, dtype: Any = None) -> Any:
    """A tensor from a tensor, array or number; Python's numbers and float lists take the default float type."""
    if isinstance(x, at.Tensor):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return at.asarray(np.asarray(x, dtype=dtype))
    array = np.asarray(x)
    if dtype is None and array.dtype.kind == "f":
        dtype = _FLOATX
    return at.asarray(array.astype(dtype) if dtype is not None else array)


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Operands of a binary function: arrays beside a float tensor take its dtype, as a Python number does."""
    if isinstance(x, at.Tensor) and not isinstance(y, at.Tensor):
        return x, _beside(y, x)
    if isinstance(y, at.Tensor) and not isinstance(x, at.Tensor):
        return _beside(x, y), y
    if not isinstance(x, at.Tensor):
        return _tensor(x), _tensor(y)
    return x, y


def _beside(value: Any, x: Any) -> Any:
    if type(value) in (bool, int, float):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "f" and x.dtype.kind == "f":
        array = array.astype(x.dtype)
    return at.asarray(array)


def _floating(x: Any) -> Any:
    x = _tensor(x)
    return x if x.dtype.kind == "f" else at.astype(x, _FLOATX)


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """Make a variable: a tensor whose value is kept between evaluations and can be set.

    Args:
        value: array, number or tensor (whose value now is taken).
        dtype: the default float type if None.
        constraint: function applied to it after each update of an optimizer.
    """
    if hasattr(value, "tocoo"):
        value = value.toarray()
    array = get_value(value) if isinstance(value, at.Tensor) else np.asarray(value)
    v = at.Variable(np.array(array, dtype=dtype or _FLOATX), name=name, deferred=True)
    v._keras_shape = tuple(v.shape)
    v._uses_learning_phase = False
    v.constraint = constraint
    return v


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """Make a constant tensor; a single value fills ``shape``."""
    array = np.asarray(value, dtype=dtype or _FLOATX)
    if shape is not None:
        array = np.full(shape, array) if array.ndim == 0 else array.reshape(shape)
    out = at.Tensor(array)
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
    """Make a tensor whose value is fed: ``shape`` may hold None for unknown dimensions; ``ndim`` alone leaves all open."""
    if shape is None:
        if ndim is None:
            raise ValueError("[placeholder] expected shape or ndim; got neither. Try K.placeholder(shape=(None, 10)).")
        shape = (None,) * ndim
    dims = tuple([None if d is None else int(d) for d in shape])
    x = at.placeholder(dims, np.dtype(dtype or _FLOATX), name=name)
    x._keras_shape = dims
    x._uses_learning_phase = False
    return x


def int_shape(x: Any) -> tuple[int | None, ...]:
    """Shape of a tensor as a tuple, None where a dimension is unknown."""
    known = getattr(x, "_keras_shape", None)
    if known is not None:
        return tuple(known) if not isinstance(known, list) else known  # type: ignore[return-value]
    return tuple(x.shape)


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
    return int(np.prod(int_shape(x), dtype=np.int64))


class _ShapeTensor(at.Tensor):
    """What :func:`shape` gives where dimensions are unknown: a tensor that remembers whose dimensions it holds."""

    _dims: tuple[Any, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        out = super().__getitem__(key)
        chosen = self._dims[key] if isinstance(key, (int, np.integer, builtins.slice)) else None
        if isinstance(key, builtins.slice):
            return _as_shape(out, chosen)
        if chosen is not None and not isinstance(chosen, int):
            out._dim = chosen
        elif chosen is not None:
            return at.asarray(np.asarray(chosen, dtype="int32"))
        return out

    def __len__(self) -> int:
        return len(self._dims)


def _as_shape(tensor: Any, dims: Sequence[Any]) -> Any:
    if all(isinstance(d, int) for d in dims):
        return at.asarray(np.asarray(dims, dtype="int32"))
    tensor.__class__ = _ShapeTensor
    tensor._dims = tuple(dims)
    return tensor


def _along(x: Any, axis: int) -> Any:
    """A vector of zeros as long as one axis of ``x``."""
    index = tuple([builtins.slice(None) if a == axis % x.ndim else 0 for a in range(x.ndim)])
    return at.zeros_like(x[index])


def _length(x: Any, axis: int) -> Any:
    return at.sum(at.ones_like(at.astype(_along(x, axis), "int32")))


def shape(x: Any) -> Any:
    """Shape of a tensor as an integer tensor; its items may be used in other shapes: ``K.zeros((K.shape(x)[0], 3))``."""
    x = _tensor(x)
    known = x.shape
    if None not in known:
        return at.asarray(np.asarray(known, dtype="int32"))
    dims = [(x, axis) if d is None else d for axis, d in enumerate(known)]
    parts = [_length(x, a) if d is None else np.asarray(d, dtype="int32") for a, d in enumerate(known)]
    return _as_shape(at.stack([_tensor(p) for p in parts]), dims)


def size(x: Any, name: str | None = None) -> Any:
    """Number of elements, as an integer tensor."""
    x = _tensor(x)
    total = x.size
    if total is not None:
        return at.asarray(np.asarray(total, dtype="int32"))
    return at.sum(at.ones_like(at.astype(at.zeros_like(x), "int32")))


def _dims(shape: Any) -> tuple[Any, ...]:
    """Dimensions asked for: each an int, or (tensor, axis) where it is unknown."""
    if isinstance(shape, _ShapeTensor):
        return shape._dims
    if isinstance(shape, at.Tensor):
        shape = get_value(shape).tolist() if shape.ndim else [shape]
    elif isinstance(shape, (int, np.integer)):
        shape = (shape,)
    dims: list[Any] = []
    for d in shape:
        link = getattr(d, "_dim", None)
        if link is not None:
            dims.append(link)
        elif isinstance(d, at.Tensor):
            dims.append(int(get_value(d)))
        else:
            dims.append(-1 if d is None else int(d))
    return tuple(dims)


def _template(dims: Sequence[Any], dtype: Any) -> Any:
    """Zeros in a shape of which some dimensions are known only by another tensor's."""
    known = [d if isinstance(d, int) else 1 for d in dims]
    out: Any = at.asarray(np.zeros(known, dtype=dtype))
    for axis, d in enumerate(dims):
        if not isinstance(d, int):
            vector = at.astype(_along(*d), dtype)
            out = out + at.reshape(vector, (1,) * axis + (-1,) + (1,) * (len(dims) - axis - 1))
    return out


def _filled(shape: Any, value: float, dtype: Any, name: str | None) -> Any:
    dims = _dims(shape)
    if all(isinstance(d, int) for d in dims):
        return variable(np.full(dims, value), dtype=dtype, name=name)
    return _template(dims, dtype or _FLOATX) + value


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
    out = at.zeros_like(_tensor(x))
    return out if dtype is None else cast(out, dtype)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones in the shape of ``x``."""
    out = at.ones_like(_tensor(x))
    return out if dtype is None else cast(out, dtype)


def identity(x: Any, name: str | None = None) -> Any:
    """A tensor with the same value that is another object."""
    out = at.broadcast_like(_tensor(x), x) if False else _identity(_tensor(x))
    if name is not None:
        out.name = name
    return out


def _identity(x: Any) -> Any:
    return at.reshape(x, _static_shape(x)) if None not in x.shape else x + 0


def _static_shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


def cast(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype; the tensor itself if it has it already."""
    x = _tensor(x)
    return x if x.dtype == np.dtype(dtype) else at.astype(x, dtype)
