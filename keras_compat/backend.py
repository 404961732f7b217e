"""``K``: the backend functions of Keras 2.3.1, thin functions on the public names of autotensor.

Everything built on variables and placeholders is deferred: it has no value until :func:`eval` or a :func:`function`
asks for it, and follows the variables. Recurrence and CTC live elsewhere.

Tensors here carry at most these marks of Keras: ``_keras_shape`` (placeholders, variables), ``_uses_learning_phase``,
``_keras_history`` (set by layers) and ``_attached_updates`` (results of stateful metrics, new values of averages).
"""

from __future__ import annotations

import builtins
import functools
import inspect
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import _backend_ctc, _settings, _tensor_names
from keras_compat._backend_rnn import foldl, foldr, map_fn, rnn  # noqa: F401 (functions of K)
from keras_compat.dialect.level import get_api_level, is_keras_0

_file = _settings.read()
_FLOATX: str = _file.get("floatx", "float32")
_EPSILON: float = _file.get("epsilon", 1e-7)
_IMAGE_DATA_FORMAT: str = _file.get("image_data_format", "channels_last")
# True once the file or a program has chosen: then no network's layout is guessed from its input shape.
_image_order_chosen: bool = _file.get("image_order_chosen", False)
_FLOATS = _settings.FLOATS
_LAYOUTS = _settings.LAYOUTS

# -- settings ---------------------------------------------------------------------------------------------------------


_BACKEND = "autotensor"  # programs of Keras 0.x and 1.0 compare K._BACKEND


def backend() -> str:
    """The name of the backend. Not 'tensorflow': programs that see that name import it."""
    return _BACKEND


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
    global _IMAGE_DATA_FORMAT, _image_order_chosen
    if data_format is None:
        raise ValueError(f"[set_image_data_format] expected one of {', '.join(_LAYOUTS)}; got None. Give one of them.")
    _IMAGE_DATA_FORMAT = normalize_data_format(data_format)
    _image_order_chosen = True


def image_order_is_chosen() -> bool:
    """Tell whether the settings file or the program has set the layout of images; else it is the default."""
    return _image_order_chosen


def image_dim_ordering() -> str:
    """Keras 1's word for :func:`image_data_format`: 'th' for channels first, 'tf' for channels last."""
    return "th" if _IMAGE_DATA_FORMAT == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Set the default layout of images in Keras 1's words: 'th' (channels first) or 'tf' (channels last)."""
    if dim_ordering not in _settings.DIM_ORDERINGS:
        raise ValueError(f"[set_image_dim_ordering] expected 'th' or 'tf'; got {dim_ordering!r}. Check the spelling.")
    set_image_data_format(_settings.DIM_ORDERINGS[dim_ordering])


_legacy_weight_ordering = False


def legacy_weight_ordering() -> bool:
    """What :func:`set_legacy_weight_ordering` set; nothing here depends on it (files tell their own order)."""
    return _legacy_weight_ordering


def set_legacy_weight_ordering(value: bool) -> None:
    """Remember a choice of Keras 1.0: whether weights are ordered as in its first releases."""
    global _legacy_weight_ordering
    if value not in (True, False):
        raise ValueError(f"[set_legacy_weight_ordering] expected True or False; got {value!r}. Use one of them.")
    _legacy_weight_ordering = builtins.bool(value)


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


# -- names and phases -------------------------------------------------------------------------------------------------

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


# One for all models: those built before a clear_session go on working.
_phase_placeholder: Any = at.placeholder((), "bool", name="keras_learning_phase")
_phase_placeholder._keras_shape = ()
_phase_placeholder._uses_learning_phase = True
_phase_value: int | None = None


def learning_phase() -> Any:
    """The learning phase: 0 or 1 if set by :func:`set_learning_phase`, else a boolean placeholder to feed.

    Where the placeholder is not fed it counts as 0, testing; so it does where layers are called on values.
    """
    if _phase_value is not None:
        return _phase_value
    return 0 if at.is_immediate() else _phase_placeholder


def set_learning_phase(value: int) -> None:
    """Fix the learning phase: 0 for testing, 1 for training."""
    global _phase_value
    if value not in (0, 1):
        raise ValueError(f"[set_learning_phase] expected 0 (testing) or 1 (training); got {value!r}. Use one of them.")
    _phase_value = int(value)


def clear_session() -> None:
    """Forget the fixed learning phase and start the automatic names again."""
    global _phase_value
    reset_uids()
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


# -- tensors ----------------------------------------------------------------------------------------------------------


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
            f"[is_keras_tensor] expected a symbolic tensor; got {type(x).__name__}. Make one with Input() or "
            "K.placeholder()."
        )
    return hasattr(x, "_keras_history")


def is_sparse(tensor: Any) -> bool:
    """Tell whether a tensor was declared sparse: by ``placeholder(sparse=True)`` or from a SciPy sparse matrix.

    The numbers are kept dense; the mark says what may be fed and how results are described.
    """
    return builtins.bool(getattr(tensor, "_keras_sparse", False))


def to_dense(tensor: Any) -> Any:
    """The tensor without the mark of :func:`is_sparse`; a dense tensor comes back itself."""
    return identity(tensor) if is_sparse(tensor) else tensor


def _marked_sparse(tensor: Any) -> Any:
    tensor._keras_sparse = True
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
    if sparse:
        value = value.toarray()
    array = get_value(value) if isinstance(value, at.Tensor) else np.asarray(value)
    v: Any = _Variable(np.array(array, dtype=dtype or _FLOATX), name=name, deferred=True)
    if sparse:
        _marked_sparse(v)
    v._keras_shape = tuple(v.shape)
    v._uses_learning_phase = False
    v.constraint = constraint
    return v


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """Make a constant tensor; a single value fills ``shape``."""
    array = np.asarray(value, dtype=dtype or _FLOATX)
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
    """Make a tensor whose value is fed; None in ``shape`` is an unknown dimension, ``ndim`` alone leaves all open."""
    if shape is None:
        if ndim is None:
            raise ValueError("[placeholder] expected shape or ndim; got neither. Try K.placeholder(shape=(None, 10)).")
        shape = (None,) * ndim
    dims = tuple([None if d is None else int(d) for d in shape])
    x: Any = at.placeholder(dims, np.dtype(dtype or _FLOATX), name=name)
    x._keras_shape = dims
    x._uses_learning_phase = False
    return _marked_sparse(x) if sparse else x


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


class _ShapeTensor(at.Tensor):
    """What :func:`shape` gives where dimensions are unknown: a tensor that remembers whose dimensions it holds.

    Times, plus, minus or ``//`` whole numbers, or another of its kind, it is a shape again.
    """

    _dims: tuple[Any, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        out: Any = super().__getitem__(key)
        if isinstance(key, builtins.slice):
            return _as_shape(out, self._dims[key])
        if isinstance(key, (int, np.integer)):
            chosen = self._dims[key]
            if isinstance(chosen, int):
                return at.asarray(np.asarray(chosen, dtype="int32"))
            return chosen if isinstance(chosen, at.Tensor) else _as_length(out, chosen)
        return out

    def __len__(self) -> int:
        return len(self._dims)

    def _lengths(self) -> list[Any]:
        return [d if isinstance(d, int) else self[i] for i, d in enumerate(self._dims)]

    def _itemwise(self, op: Callable[[Any, Any], Any], value: Any, other: Any) -> Any:
        if isinstance(other, _ShapeTensor):
            others = other._lengths()
        elif isinstance(other, at.Tensor) or np.asarray(other).dtype.kind not in "iu":
            return value  # numbers, no shape
        else:
            others = np.broadcast_to(other, len(self)).tolist()
        return _as_shape(value, _dims([op(a, b) for a, b in zip(self._lengths(), others)]))

    def __mul__(self, other: Any) -> Any:
        return self._itemwise(operator.mul, super().__mul__(other), other)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._itemwise(operator.add, super().__add__(other), other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._itemwise(operator.sub, super().__sub__(other), other)

    def __floordiv__(self, other: Any) -> Any:
        return self._itemwise(operator.floordiv, super().__floordiv__(other), other)


class _Length(at.Tensor):
    """An unknown dimension as an integer tensor, with the tensor and the axis whose length it is.

    Multiples, sums, differences and whole parts of it are lengths again, each that of a vector made for the purpose:
    ``K.reshape(x, (K.shape(x)[0], K.shape(x)[1] * 2, -1))``.
    """

    _dim: tuple[Any, int]

    def _computed(self, value: Any, other: Any, vector: Callable[[Any, Any], Any]) -> Any:
        known = isinstance(other, (int, np.integer)) and other >= 0
        if not known and not isinstance(other, _Length):
            return value
        return _as_length(value, (vector(_along(*self._dim), other), 0))

    def __mul__(self, other: Any) -> Any:
        return self._computed(super().__mul__(other), other, lambda v, n: _flat_sum(v, _vector(n)))

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        return self._computed(super().__add__(other), other, lambda v, n: at.concat([v, _vector(n)]))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        value = super().__sub__(other)
        return value if isinstance(other, at.Tensor) else self._computed(value, other, lambda v, n: v[n:])

    def __floordiv__(self, other: Any) -> Any:
        value = super().__floordiv__(other)
        return value if isinstance(other, at.Tensor) else self._computed(value, other, lambda v, n: v[n - 1 :: n])


def _as_length(tensor: Any, dim: tuple[Any, int]) -> Any:
    tensor.__class__ = _Length
    tensor._dim = dim
    return tensor


def _vector(length: Any) -> Any:
    """Zeros, as many as a number or a :class:`_Length` says."""
    return _along(*length._dim) if isinstance(length, _Length) else at.zeros(int(length), "int32")


def _flat_sum(a: Any, b: Any) -> Any:
    return at.reshape(at.expand_dims(a, 1) + b, (-1,))


def _as_shape(tensor: Any, dims: Sequence[Any]) -> Any:
    if builtins.all(isinstance(d, int) for d in dims):
        return at.asarray(np.asarray(dims, dtype="int32"))
    tensor.__class__ = _ShapeTensor
    tensor._dims = tuple(dims)
    return tensor


def _along(x: Any, axis: int) -> Any:
    """A vector of zeros (int32) as long as one axis of ``x``."""
    index = tuple([builtins.slice(None) if a == axis % x.ndim else 0 for a in range(x.ndim)])
    return at.astype(at.zeros_like(x[index]), "int32")


def shape(x: Any) -> Any:
    """Shape of a tensor as an integer tensor; its items may stand in other shapes: ``K.zeros((K.shape(x)[0], 3))``."""
    x = _tensor(x)
    known = x.shape
    if None not in known:
        return at.asarray(np.asarray(known, dtype="int32"))
    dims = [(x, axis) if d is None else d for axis, d in enumerate(known)]
    return _as_shape(at.astype(at.shape_tensor(x), "int32"), dims)


def size(x: Any, name: str | None = None) -> Any:
    """Number of elements, as an integer tensor."""
    x = _tensor(x)
    total = x.size
    if total is not None:
        return at.asarray(np.asarray(total, dtype="int32"))
    return at.astype(at.prod(at.shape_tensor(x)), "int32")


def _dims(shape: Any) -> tuple[Any, ...]:
    """Dimensions asked for: each an int, or (tensor, axis) where it is unknown, or what computes it from such."""
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
            dims.append(d if builtins.any(is_placeholder(y) for y in _below([d])) else int(get_value(d)))
        else:
            dims.append(-1 if d is None else int(d))
    return tuple(dims)


def _template(dims: Sequence[Any], dtype: Any) -> Any:
    """Zeros in a shape of which some dimensions are known only by another tensor's."""
    known = [d if isinstance(d, int) else 1 for d in dims]
    out: Any = at.asarray(np.zeros(known, dtype=dtype))
    for axis, d in enumerate(dims):
        if isinstance(d, at.Tensor):
            raise ValueError(
                f"[shape] expected numbers or items of K.shape(x); dimension {axis} is computed from such. Reshape a "
                "tensor that has all the elements?"
            )
        if not isinstance(d, int):
            vector = at.astype(_along(*d), dtype)
            out = out + at.reshape(vector, (1,) * axis + (-1,) + (1,) * (len(dims) - axis - 1))
    return out


def _filled(shape: Any, value: float, dtype: Any, name: str | None) -> Any:
    dims = _dims(shape)
    if -1 in dims:
        raise ValueError(f"[zeros, ones] a dimension is unknown; got {shape}. Use K.shape(x)[0], or K.zeros_like(x)?")
    if builtins.all(isinstance(d, int) for d in dims):
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
    out = at.copy(_tensor(x))
    if name is not None:
        out.name = name
    return out


def cast(x: Any, dtype: Any) -> Any:
    """The tensor in another dtype; the tensor itself if it has it already."""
    x = _tensor(x)
    return x if x.dtype == np.dtype(dtype) else at.astype(x, dtype)


# -- values -----------------------------------------------------------------------------------------------------------


def _below(outputs: Iterable[Any]) -> Iterator[Any]:
    """Every tensor that the outputs depend on, themselves included, in no order."""
    stack = [x for x in outputs if isinstance(x, at.Tensor)]
    seen: set[int] = set()
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        yield x
        if x.node is not None:
            stack.extend([y for y in x.node.inputs if isinstance(y, at.Tensor)])


def replace(outputs: Sequence[Any], replacements: Mapping[Any, Any]) -> list[Any]:
    """Build the graphs of ``outputs`` again with other tensors in the place of some: ``{old: new}``."""
    made: dict[int, Any] = {id(old): new for old, new in replacements.items()}
    parts: dict[int, Any] = {}  # id of a node -> its outputs, made again
    for root in outputs:
        stack = [root]
        while stack:
            x = stack[-1]
            if id(x) in made or not isinstance(x, at.Tensor) or x.node is None:
                stack.pop()
                continue
            node = x.node
            missing = [y for y in node.inputs if isinstance(y, at.Tensor) and id(y) not in made and y.node is not None]
            if missing and id(node) not in parts:
                stack.extend(missing)
                continue
            if id(node) not in parts:
                inputs = [made.get(id(y), y) for y in node.inputs]
                # What no replacement reaches stays the very same tensor, so that nothing is computed twice.
                same = builtins.all(new is old for new, old in zip(inputs, node.inputs))
                parts[id(node)] = None if same else node.op(*inputs, **node.params)
            again = parts[id(node)]
            made[id(x)] = x if again is None else again[x.index] if isinstance(again, tuple) else again
            stack.pop()
    return [made.get(id(x), x) for x in outputs]


class Update(tuple):
    """A pending change of a variable: the pair ``(variable, new value)``. :func:`eval` runs it."""

    __slots__ = ()

    def __new__(cls, variable: Any, value: Any) -> Update:
        if not isinstance(variable, at.Variable):
            raise TypeError(
                f"[update] expected a variable first; got {type(variable).__name__}. Make it with K.variable()."
            )
        if not isinstance(value, at.Tensor):
            value = at.asarray(np.full(variable.numpy().shape, value, dtype=variable.dtype))
        return super().__new__(cls, (variable, cast(value, variable.dtype)))

    @property
    def variable(self) -> Any:
        """The variable to change."""
        return self[0]

    @property
    def value(self) -> Any:
        """Its new value."""
        return self[1]


class _Change(Update):
    """An update that changes a variable from whatever it is: a second one of the same variable goes on from it."""

    __slots__ = ()


def update(x: Any, new_x: Any) -> Update:
    """The change of variable ``x`` to ``new_x``, to be run by :func:`eval` or a :func:`function`."""
    return Update(x, new_x)


def update_add(x: Any, increment: Any) -> Update:
    """The change of variable ``x`` by ``+ increment``."""
    return _Change(x, x + increment)


def update_sub(x: Any, decrement: Any) -> Update:
    """The change of variable ``x`` by ``- decrement``."""
    return _Change(x, x - decrement)


def moving_average_update(x: Any, value: Any, momentum: Any) -> Update:
    """The change of variable ``x`` to ``x * momentum + value * (1 - momentum)``.

    At API level 2.2 the average starts at 0 and is divided by ``1 - momentum ** updates``, so that the value of ``x``
    before the first update does not count (Kingma and Ba, arXiv:1412.6980, section 3). The running sum and the number
    of updates are kept beside ``x`` and in no file, as in Keras 2.2 on TensorFlow.
    """
    value = cast(value, x.dtype)
    if get_api_level() != "2.2":
        return _Change(x, x * momentum + value * (1.0 - momentum))
    biased = variable(np.zeros(x.shape), dtype=x.dtype)
    count = variable(0, dtype=x.dtype)
    now, seen = biased * momentum + value * (1.0 - momentum), count + 1.0
    change = Update(x, now / (1.0 - at.pow(at.asarray(np.asarray(momentum, dtype=x.dtype)), seen)))
    change.value._attached_updates = [Update(biased, now), Update(count, seen)]
    return change


def as_updates(updates: Any) -> list[Update]:
    """Updates from what programs give: one or nested lists of :class:`Update` and pairs; None counts for nothing."""
    if updates is None:
        return []
    if isinstance(updates, Update):
        return [updates, *getattr(updates.value, "_attached_updates", ())]
    if isinstance(updates, Mapping):
        return [Update(variable, value) for variable, value in updates.items()]
    if isinstance(updates, tuple) and len(updates) == 2 and isinstance(updates[0], at.Variable):
        return [Update(*updates)]
    if isinstance(updates, (list, tuple)):
        return [one for part in updates for one in as_updates(part)]
    if isinstance(updates, at.Tensor):
        return []  # the result of an update that something else has run, such as an assignment
    raise TypeError(
        f"[updates] expected results of K.update or pairs (variable, new value); got {type(updates).__name__}. "
        "Use K.update(variable, value)."
    )


class Function:
    """A compiled graph as Keras calls it: a list of arrays in, a list of arrays out. See :func:`function`."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, givens: Any = None):
        self.inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        self.single = isinstance(outputs, Update) or not isinstance(outputs, (list, tuple))
        listed = [outputs] if self.single else list(outputs)
        pending = as_updates(updates) + [x for x in listed if isinstance(x, Update)]
        self.outputs = [x.value if isinstance(x, Update) else _tensor(x) for x in listed]
        self.name = name
        for x in _below([*self.outputs, *[value for _, value in pending]]):
            pending += getattr(x, "_attached_updates", ())
        self.updates = unique_updates(pending)
        # A phase that is fixed is a number, and so is what is fed for it.
        self._fed = [i for i, x in enumerate(self.inputs) if isinstance(x, at.Tensor)]
        self._phase_at = None
        fed = [self.inputs[i] for i in self._fed]
        phases = [i for i, x in enumerate(fed) if x is _phase_placeholder]
        given = dict(givens or {})
        if phases:
            self._phase_at = phases[0]
        else:
            given = {**phase_givens(_phase_value or 0), **given}
        self._dtypes = [x.dtype for x in fed]
        static = [fed[i] for i in phases]
        self._run = at.function(fed, self.outputs, list(self.updates), givens=given, static=static, name=name)

    def __call__(self, inputs: Any = ()) -> Any:
        given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(given) != len(self.inputs):
            raise TypeError(
                f"[{self.name or 'function'}] expected a list of {len(self.inputs)} arrays; got {len(given)}. "
                "Give one for each input, in their order."
            )
        arrays = [_fed_array(given[i], dtype) for i, dtype in zip(self._fed, self._dtypes)]
        results = self._run(*arrays)
        return results[0] if self.single else results


def _fed_array(value: Any, dtype: np.dtype) -> np.ndarray:
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    if hasattr(value, "tocoo"):
        value = value.toarray()
    return np.asarray(value).astype(dtype)


def unique_updates(updates: Iterable[Any]) -> list[Update]:
    """One update for each variable.

    What is listed twice counts once. A layer that is called several times changes its state several times: increments
    and moving averages follow each other in this order; of other new values the last one counts, as on TensorFlow.
    """
    seen: set[tuple[int, int]] = set()
    found: dict[int, Update] = {}
    for one in updates:
        variable, value = one
        if (id(variable), id(value)) in seen:
            continue
        seen.add((id(variable), id(value)))
        before = found.get(id(variable))
        if before is not None and isinstance(one, _Change):
            one = _Change(variable, replace([value], {variable: before[1]})[0])
        found[id(variable)] = one
    return list(found.values())


_FUNCTION_ARGUMENTS = ("name", "givens")


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Function:
    """Compile a graph: ``f = K.function([x, y], [z]); z_value, = f([x_value, y_value])``.

    Args:
        inputs: placeholders or other symbolic tensors; :func:`learning_phase` may be among them.
        outputs: list of tensors; a single tensor makes a function that returns one array. Results of
            :func:`update` may be among them.
        updates: changes to run at each call: results of :func:`update`, or pairs (variable, new value). All are
            computed from the values before the call.
        kwargs: ``name`` and ``givens`` (as in ``autotensor.function``). Others, meant for Theano or TensorFlow, are
            ignored at API level 1.2 and refused later.
    """
    unknown = sorted(set(kwargs) - set(_FUNCTION_ARGUMENTS))
    if unknown and get_api_level() != "1.2":
        raise ValueError(
            f"[function] Invalid argument {unknown[0]!r} passed to K.function: expected inputs, outputs, updates, "
            f"{', '.join(_FUNCTION_ARGUMENTS)}; got also {', '.join(unknown)}. Leave it out."
        )
    return Function(inputs, outputs, updates, **{k: v for k, v in kwargs.items() if k in _FUNCTION_ARGUMENTS})


def eval(x: Any) -> Any:
    """Value of a tensor now, as an ndarray. An update is run first. The learning phase counts as 0 unless set."""
    if isinstance(x, at.Variable):
        return x.numpy()
    if isinstance(x, at.Tensor) and x.data is not None and not x.deferred:
        return np.array(x.data)
    if not isinstance(x, (at.Tensor, Update)):
        return np.asarray(x)
    parts = [x.value] if isinstance(x, Update) else [x]
    if isinstance(x, at.Tensor):
        needs_call = builtins.any(y is _phase_placeholder or hasattr(y, "_attached_updates") for y in _below(parts))
        if not needs_call:
            return at.evaluate(x)
    with at.config.use(compile=False):  # evaluated once: compiling would cost more than it gains
        return Function([], x)([])


_tensor_names.attach(eval)


def get_value(x: Any) -> Any:
    """Value of a variable, as a copy; of another tensor, as :func:`eval`."""
    return eval(x)


def batch_get_value(ops: Iterable[Any]) -> list[Any]:
    """Values of a list of variables."""
    return [get_value(x) for x in ops]


def set_value(x: Any, value: Any) -> None:
    """Set a variable to an array or number of its shape; it is cast to its dtype."""
    if not isinstance(x, at.Variable):
        raise TypeError(f"[set_value] expected a variable; got {type(x).__name__}. Make it with K.variable().")
    if hasattr(value, "tocoo"):
        value = value.toarray()
    x.assign(get_value(value) if isinstance(value, at.Tensor) else np.asarray(value))


def batch_set_value(tuples: Iterable[tuple[Any, Any]]) -> None:
    """Set several variables: pairs (variable, value)."""
    for x, value in tuples:
        set_value(x, value)


def print_tensor(x: Any, message: str = "") -> Any:
    """The same tensor; each time the result is evaluated, ``message`` and the value are printed."""
    return at.print_value(_tensor(x), str(message))


# -- gradients --------------------------------------------------------------------------------------------------------


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Gradients of a tensor (of its sum, unless a scalar) with respect to tensors; None where no path leads."""
    wanted = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    losses = loss if isinstance(loss, (list, tuple)) else [loss]
    total: Any = None
    for one in losses:
        one = sum(one) if one.ndim else one
        total = one if total is None else total + one
    return list(at.gradients(total, wanted))


def stop_gradient(variables: Any) -> Any:
    """The tensor (or each of a list) as a constant for gradients."""
    if isinstance(variables, (list, tuple)):
        return [at.stop_gradient(_tensor(x)) for x in variables]
    return at.stop_gradient(_tensor(variables))


# -- random -----------------------------------------------------------------------------------------------------------


def _generator(seed: int | None) -> Any:
    """A source of random numbers of its own; without a seed, one drawn from NumPy's global state, as in Keras."""
    return at.random.Generator(int(np.random.randint(10_000_000)) if seed is None else int(seed))


def _drawn(shape: Any, dtype: Any, seed: int | None, plain: Any, like: Any, **params: Any) -> Any:
    dims, generator = _dims(shape), _generator(seed)
    with at.deferred():
        if builtins.all(isinstance(d, int) for d in dims):
            return plain(dims, dtype=dtype or _FLOATX, generator=generator, **params)
        return like(_template(dims, dtype or _FLOATX), generator=generator, **params)


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Normal numbers, drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.normal, at.random.normal_like, mean=mean, stddev=stddev)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Uniform numbers in [minval, maxval), drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.uniform, at.random.uniform_like, low=minval, high=maxval)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: int | None = None) -> Any:
    """1 with probability ``p``, else 0, drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.bernoulli, at.random.bernoulli_like, p=p)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: int | None = None) -> Any:
    """Later Keras's name for :func:`random_binomial`."""
    return random_binomial(shape, p=p, dtype=dtype, seed=seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Normal numbers within two standard deviations of the mean, drawn anew at each evaluation."""
    plain, like = at.random.truncated_normal, at.random.truncated_normal_like
    return _drawn(shape, dtype, seed, plain, like, mean=mean, stddev=stddev)


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable with uniform numbers in [low, high)."""
    rng = np.random.RandomState(np.random.randint(10_000_000) if seed is None else seed)
    return variable(rng.uniform(low, high, _dims(shape)), dtype=dtype, name=name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable with normal numbers."""
    rng = np.random.RandomState(np.random.randint(10_000_000) if seed is None else seed)
    return variable(rng.normal(mean, scale, _dims(shape)), dtype=dtype, name=name)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Any:
    """Set a fraction ``level`` of the elements to 0 and divide the others by ``1 - level``, anew at each evaluation.

    ``noise_shape`` has 1 for each axis along which one decision is shared: ``(batch, 1, channels)`` drops channels.
    A shorter one is of the last axes.
    """
    x = _floating(x)
    if not 0 <= level < 1:
        raise ValueError(f"[dropout] level must be in interval [0, 1); got {level}. It is the fraction to drop.")
    if noise_shape is not None:
        noise_shape = [d if isinstance(d, int) and d != -1 else None for d in _dims(noise_shape)]
        noise_shape = [1] * (x.ndim - len(noise_shape)) + noise_shape
    with at.deferred():
        return at.random.dropout(x, level, noise_shape, generator=_generator(seed))


# -- elementwise ------------------------------------------------------------------------------------------------------


def abs(x: Any) -> Any:
    """Absolute value."""
    return at.abs(_tensor(x))


def square(x: Any) -> Any:
    """x * x."""
    return at.square(_tensor(x))


def sqrt(x: Any) -> Any:
    """Square root; of negative numbers 0."""
    return at.sqrt(at.maximum(_floating(x), 0.0))


def exp(x: Any) -> Any:
    """e to the power of x."""
    return at.exp(_floating(x))


def log(x: Any) -> Any:
    """Natural logarithm."""
    return at.log(_floating(x))


def round(x: Any) -> Any:
    """Nearest integer, halves to even."""
    return at.round(_tensor(x))


def sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return at.sign(_tensor(x))


def sin(x: Any) -> Any:
    """Sine."""
    return at.sin(_floating(x))


def cos(x: Any) -> Any:
    """Cosine."""
    return at.cos(_floating(x))


def pow(x: Any, a: Any) -> Any:
    """x to the power of a."""
    return at.pow(*_pair(x, a))


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x limited to [min_value, max_value]; None is no limit."""
    x = _tensor(x)
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)) and max_value < min_value:
        max_value = min_value
    low, high = [None if v is None else _pair(x, v)[1] for v in (min_value, max_value)]
    return at.clip(x, low, high)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two, elementwise."""
    return at.maximum(*_pair(x, y))


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, elementwise."""
    return at.minimum(*_pair(x, y))


def equal(x: Any, y: Any) -> Any:
    """x == y, elementwise."""
    return at.equal(*_pair(x, y))


def not_equal(x: Any, y: Any) -> Any:
    """x != y, elementwise."""
    return at.not_equal(*_pair(x, y))


def greater(x: Any, y: Any) -> Any:
    """x > y, elementwise."""
    return at.greater(*_pair(x, y))


def greater_equal(x: Any, y: Any) -> Any:
    """x >= y, elementwise."""
    return at.greater_equal(*_pair(x, y))


def less(x: Any, y: Any) -> Any:
    """x < y, elementwise."""
    return at.less(*_pair(x, y))


def less_equal(x: Any, y: Any) -> Any:
    """x <= y, elementwise."""
    return at.less_equal(*_pair(x, y))


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """``then_expression`` where the condition holds, else the other.

    A scalar condition selects a whole tensor; the expressions may then be functions without arguments. Another
    condition selects elementwise; one of lower rank is read along the leading axes.
    """
    condition = _tensor(condition)
    if condition.dtype.kind != "b":
        condition = at.not_equal(condition, 0)
    then, other = [
        x() if callable(x) and not isinstance(x, at.Tensor) else x for x in (then_expression, else_expression)
    ]
    then, other = _pair(then, other)
    then, other = _tensor(then), _tensor(other)
    if condition.ndim == 0:
        return at.switch(condition, then, other)
    rank = builtins.max(then.ndim, other.ndim)
    if condition.ndim > rank:
        raise ValueError(
            f"[switch] the condition must not have more axes than the expressions; got {condition.ndim} and {rank}. "
            "Reduce the condition with K.all or K.any?"
        )
    for _ in range(rank - condition.ndim):
        condition = at.expand_dims(condition, -1)
    return at.where(condition, then, other)


# -- activations ------------------------------------------------------------------------------------------------------


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x from ``threshold`` up, at most ``max_value``; below the threshold ``alpha * (x - threshold)``.

    With a ``max_value``, what is above a negative threshold is at least 0, as in Keras 2.3.1.
    """
    x = _floating(x)
    alpha = get_value(alpha).item() if isinstance(alpha, at.Tensor) and alpha.ndim == 0 else alpha
    if isinstance(alpha, (at.Tensor, np.ndarray)):
        return at.where(at.greater(x, threshold), relu(x, 0.0, max_value, threshold), alpha * (x - threshold))
    if max_value is not None and threshold < 0:
        return at.where(at.greater(x, threshold), at.clip(x, 0.0, max_value), alpha * (x - threshold))
    return at.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else ``alpha * (e**x - 1)``."""
    x = _floating(x)
    if isinstance(alpha, at.Tensor):
        return at.where(at.greater(x, 0), x, alpha * at.expm1(at.minimum(x, 0.0)))
    return at.elu(x, alpha)


def _with_scores(y: Any, kind: str, x: Any) -> Any:
    """Note on ``y`` that it is a softmax or sigmoid, and of what: the cross-entropies of Keras 2.3 look for it."""
    if y.is_symbolic:
        y._made_of = (kind, x)
    return y


def _scores_of(y: Any, kind: str) -> Any:
    """What ``softmax`` or ``sigmoid`` made ``y`` of, at API level 2.3; else None.

    Keras 2.3.1 on TensorFlow takes the cross-entropy of scores where it sees that the output is a softmax or sigmoid:
    nothing is clipped, and the gradient does not vanish where the output is near 0 or 1.
    """
    made_by, scores = getattr(y, "_made_of", ("", None))
    return scores if made_by == kind and get_api_level() == "2.3" else None


def softmax(x: Any, axis: int = -1) -> Any:
    """e**x / sum(e**x) along an axis."""
    x = _floating(x)
    y = at.softmax(x, axis=axis)
    return _with_scores(y, "softmax", x) if axis in (-1, x.ndim - 1) else y


def softplus(x: Any) -> Any:
    """log(1 + e**x)."""
    return at.softplus(_floating(x))


def softsign(x: Any) -> Any:
    """x / (1 + abs(x))."""
    return at.softsign(_floating(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    x = _floating(x)
    return _with_scores(at.sigmoid(x), "sigmoid", x)


def hard_sigmoid(x: Any) -> Any:
    """0.2 * x + 0.5, cut to 0..1."""
    return at.hard_sigmoid(_floating(x))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return at.tanh(_floating(x))


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x divided by its Euclidean norm along an axis; ``x / sqrt(max(sum(x**2), 1e-12))``."""
    x = _floating(x)
    return x / at.sqrt(at.maximum(sum(at.square(x), axis=axis, keepdims=True), 1e-12))


# -- reductions -------------------------------------------------------------------------------------------------------


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple, np.ndarray)) else axis


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes; all by default."""
    return at.sum(_tensor(x), axis=_axes(axis), keepdims=keepdims)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over axes."""
    if isinstance(x, _ShapeTensor) and axis in (None, 0, -1) and not keepdims:
        return functools.reduce(operator.mul, x._lengths())
    return at.prod(_tensor(x), axis=_axes(axis), keepdims=keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over axes."""
    return at.max(_tensor(x), axis=_axes(axis), keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over axes."""
    return at.min(_tensor(x), axis=_axes(axis), keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over axes; of bools and integers in the default float type."""
    return at.mean(_floating(x), axis=_axes(axis), keepdims=keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance over axes: mean squared distance from the mean."""
    return at.var(_floating(x), axis=_axes(axis), keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation over axes."""
    return at.sqrt(var(x, axis=axis, keepdims=keepdims))


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """True where any element is not 0."""
    return at.any(cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """True where every element is not 0."""
    return at.all(cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def argmax(x: Any, axis: int = -1) -> Any:
    """Position of the largest element along an axis."""
    return at.argmax(_tensor(x), axis=axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Position of the smallest element along an axis."""
    return at.argmin(_tensor(x), axis=axis)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    return at.logsumexp(_floating(x), axis=_axes(axis), keepdims=keepdims)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums of the elements so far along an axis."""
    return at.cumulative_sum(_tensor(x), axis=axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Products of the elements so far along an axis."""
    return at.cumulative_prod(_tensor(x), axis=axis)


# -- shapes -----------------------------------------------------------------------------------------------------------


def reshape(x: Any, shape: Any) -> Any:
    """The elements in another shape; -1 for at most one dimension, others may be items of :func:`shape`.

    A dimension that is computed from such items counts as -1: it follows from the number of elements. So does None,
    as in ``(x.shape[0], 8)`` of a program for Theano; beside another -1 it is the dimension of x in that place.
    """
    x = _tensor(x)
    asked = tuple([-1 if isinstance(d, at.Tensor) else d for d in _dims(shape)])
    if asked.count(-1) > 1 and isinstance(shape, (tuple, list)):
        pairs = enumerate(zip(shape, asked))
        asked = tuple([x.shape[i] or (x, i) if d is None and i < x.ndim else given for i, (d, given) in pairs])
    dims = tuple([d if isinstance(d, int) else -1 for d in asked])
    if asked.count(-1) <= 1 < dims.count(-1):
        refs = [d[0] for d in asked if not isinstance(d, int)]
        places = iter(range(len(refs)))
        links = tuple([d if isinstance(d, int) else (next(places), d[1]) for d in asked])
        return at.reshape_to(x, *refs, dims=links)
    if dims.count(-1) > 1:
        raise ValueError(
            f"[reshape] expected at most one unknown dimension; got {dims} for a tensor of shape {x.shape}. Give the "
            "others as numbers."
        )
    return at.reshape(x, dims)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """The axes in the order of ``pattern``."""
    return at.permute_dims(_tensor(x), tuple(pattern))


def transpose(x: Any) -> Any:
    """The axes in reverse order."""
    x = _tensor(x)
    return at.permute_dims(x, tuple(reversed(range(x.ndim))))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """A new axis of length 1 at ``axis``."""
    return at.expand_dims(_tensor(x), axis)


def squeeze(x: Any, axis: int) -> Any:
    """Without the axis, which has length 1."""
    return at.squeeze(_tensor(x), axis)


def flatten(x: Any) -> Any:
    """All elements in one axis."""
    return at.reshape(_tensor(x), (-1,))


def batch_flatten(x: Any) -> Any:
    """All axes but the first in one."""
    x = _tensor(x)
    rest = x.shape[1:]
    if None not in rest:
        return at.reshape(x, (-1, int(np.prod(rest, dtype=np.int64))))
    return at.reshape_to(x, x, dims=((0, 0), -1))


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """The tensors one behind another along an axis."""
    listed = [_tensor(x) for x in tensors]
    out = at.concat(listed, axis=axis)
    if listed and builtins.all(is_sparse(x) for x in listed):
        _marked_sparse(out)
    if builtins.any(isinstance(x, _ShapeTensor) for x in listed):
        return _as_shape(out, [d for x in listed for d in _dims(x)])
    return out


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """The tensors side by side along a new axis."""
    listed = [_tensor(y) for y in x]
    out = at.stack(listed, axis=axis)
    lengths = builtins.all(y.ndim == 0 and y.dtype.kind == "i" for y in listed)
    if lengths and builtins.any(y.is_symbolic for y in listed):
        return _as_shape(out, _dims(listed))
    return out


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element ``rep`` times in a row along an axis."""
    return at.repeat(_tensor(x), int(rep), axis=axis)


def repeat(x: Any, n: int) -> Any:
    """A 2D tensor (samples, features) as (samples, n, features); ``n`` may be an item of :func:`shape`."""
    x = _tensor(x)
    if x.ndim != 2:
        raise ValueError(f"[repeat] expected a tensor of rank 2; got shape {x.shape}. Use repeat_elements or tile?")
    return tile(at.expand_dims(x, 1), (1, n, 1))


def tile(x: Any, n: Any) -> Any:
    """The tensor ``n`` times along each axis; ``n`` is a number or one for each axis, or items of :func:`shape`."""
    x, reps = _tensor(x), _dims(n)
    known = [k if isinstance(k, int) else 1 for k in reps]
    out = x if builtins.all(k == 1 for k in known) and len(known) <= x.ndim else at.tile(x, tuple(known))
    for axis, k in enumerate(reps):
        if not isinstance(k, int):
            out = _tile_along(out, axis + out.ndim - len(reps), k)
    return out


def _tile_along(x: Any, axis: int, times: tuple[Any, int]) -> Any:
    """x repeated along one axis, as often as an axis of another tensor is long."""
    ones: Any = [1] * x.ndim
    copies = at.expand_dims(x, axis) + _template([*ones[:axis], times, *ones[axis:]], x.dtype)
    refs = [x] * x.ndim
    dims = tuple([-1 if k == axis else (k, k) if d is None else d for k, d in enumerate(x.shape)])
    return at.reshape_to(copies, *refs, dims=dims)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """A constant vector of numbers from ``start`` to ``stop`` (excluded); with one bound from 0 to it.

    The end may be an item of :func:`shape` that is unknown: ``K.arange(K.shape(x)[1])``; start and step then count
    from 0 upwards.
    """
    end = start if stop is None else stop
    length = getattr(end, "_dim", None)
    if length is not None:
        first = 0 if stop is None else int(get_value(start))
        stride = int(get_value(step))
        if first < 0 or stride < 1:
            raise ValueError(
                f"[arange] expected start >= 0 and step >= 1 for an end that is unknown; got {first} and {stride}. "
                "Reverse or shift the result?"
            )
        count = at.cumulative_sum(at.ones_like(cast(_along(*length), "int64")), axis=0) - 1
        return cast(count[first::stride], dtype)
    bounds = [int(get_value(v)) if isinstance(v, at.Tensor) else v for v in (start, stop)]
    if bounds[1] is None:
        bounds = [0, builtins.max(bounds[0], 0)]
    return at.asarray(np.arange(bounds[0], bounds[1], step, dtype=dtype))


def slice(x: Any, start: Any, size: Any) -> Any:
    """A part: from ``start`` on, ``size`` long, each a number per axis; size -1 goes to the end.

    A start may be computed (the step in a loop), the size then must be a number.
    """
    x = _tensor(x)
    first, length = _dims(start), _dims(size)
    if len(first) != x.ndim or len(length) != x.ndim:
        raise ValueError(
            f"[slice] expected one number per axis of {x.shape}; got start {start} and size {size}. Use -1 for 'all'."
        )
    parts = []
    for axis, (begin, n) in enumerate(zip(first, length)):
        whole = isinstance(n, tuple) and n[0] is x and n[1] == axis
        if not (isinstance(n, int) or whole) or not (isinstance(begin, int) or (isinstance(n, int) and n >= 0)):
            raise ValueError(
                f"[slice] expected numbers, or K.shape(x)[{axis}] as the size of axis {axis}; got start {start} and "
                f"size {size}. Use -1 for 'to the end'."
            )
        if isinstance(begin, int):
            parts.append(builtins.slice(begin, None if whole or n == -1 else begin + n))
            continue
        parts.append(builtins.slice(None))
        origin = begin if isinstance(begin, at.Tensor) else shape(begin[0])[begin[1]]
        x = at.take(x, origin + at.asarray(np.arange(n, dtype=origin.dtype)), axis=axis)
    return x[tuple(parts)]


def reverse(x: Any, axes: Any) -> Any:
    """The elements in reverse order along axes."""
    return at.flip(_tensor(x), axis=_axes(axes))


def gather(reference: Any, indices: Any) -> Any:
    """Rows of ``reference`` at integer ``indices``: shape of the indices, then the rest of the shape."""
    indices = _tensor(indices)
    if indices.dtype.kind not in "iu":
        indices = at.astype(indices, "int32")
    return at.take(_tensor(reference), indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Any:
    """1 at the index along a new last axis, 0 elsewhere (0 everywhere for an index out of range)."""
    positions = at.asarray(np.arange(num_classes, dtype="int32"))
    hit = at.equal(at.expand_dims(_tensor(indices), -1), positions)
    return at.astype(hit, _FLOATX)


# -- linear algebra ---------------------------------------------------------------------------------------------------


def dot(x: Any, y: Any) -> Any:
    """The last axis of x times the second to last of y (its only one for a vector), as ``numpy.dot``."""
    x, y = map(_tensor, _pair(x, y))
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    if y.ndim <= 2:
        return at.matmul(x, y)
    return at.tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)))


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products of the samples of x and y, summed along one axis of each.

    ``axes`` is that axis (the same for both) or a pair; by default the last of x and the second to last of y (the
    last if y has rank 2). The result has the other axes of x, then those of y; at least rank 2. Axis 0, the samples,
    is refused from API level 2.3 on.

    Up to level 2.2, as there on TensorFlow, the leading axes of tensors of rank 4 and more are samples too, where they
    agree: (n, m, i, k) and (n, m, k, j) make (n, m, i, j), and x may lack the axis i. Capsule networks rely on it.
    """
    x, y = map(_tensor, _pair(x, y))
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"[batch_dot] expected tensors of rank 2 or more; got {x.shape} and {y.shape}. The first axis is the batch."
        )
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 1 if y.ndim == 2 else y.ndim - 2)
    elif isinstance(axes, (int, np.integer)):
        axes = (int(axes), int(axes))
    if builtins.any(isinstance(axis, (list, tuple)) for axis in axes):
        raise ValueError(
            f"[batch_dot] Multiple target dimensions are not supported: expected None, int or a pair of ints; got "
            f"{axes}. Flatten the axes into one?"
        )
    a, b = [int(axis) % t.ndim if -t.ndim <= int(axis) < t.ndim else int(axis) for axis, t in zip(axes, (x, y))]
    if a >= x.ndim or b >= y.ndim or a < 0 or b < 0:
        raise ValueError(f"[batch_dot] axes {tuple(axes)} do not exist in {x.shape} and {y.shape}. Count from 0.")
    if a == 0 or b == 0:
        return _batch_dot_over_samples(x, y, a, b)
    if x.shape[a] is not None and y.shape[b] is not None and x.shape[a] != y.shape[b]:
        raise ValueError(
            f"[batch_dot] axis {a} of {x.shape} and axis {b} of {y.shape} must be equally long; got {x.shape[a]} and "
            f"{y.shape[b]}. Choose other axes?"
        )
    if x.ndim == 2 and y.ndim == 2:
        return at.sum(x * y, axis=1, keepdims=True)
    if x.ndim <= 3 and y.ndim <= 3:
        left = at.expand_dims(x, 1) if x.ndim == 2 else x if a == 2 else at.permute_dims(x, (0, 2, 1))
        right = at.expand_dims(y, 2) if y.ndim == 2 else y if b == 1 else at.permute_dims(y, (0, 2, 1))
        out = at.matmul(left, right)
        return at.squeeze(out, 1) if x.ndim == 2 else at.squeeze(out, 2) if y.ndim == 2 else out
    if get_api_level() != "2.3" and _shares_leading_axes(x, y, a, b):
        left = at.expand_dims(x, -2) if x.ndim < y.ndim else x if a == x.ndim - 1 else _swap_last(x)
        out = at.matmul(left, _swap_last(y) if b == y.ndim - 1 else y)
        return at.squeeze(out, -2) if x.ndim < y.ndim else out
    letters = iter("cdefghijklmnopqrstuvwxyz")
    left_names = ["a"] + [next(letters) for _ in range(x.ndim - 1)]
    right_names = ["a"] + [next(letters) for _ in range(y.ndim - 1)]
    right_names[b] = left_names[a]
    kept = [n for i, n in enumerate(left_names) if i != a] + [n for i, n in enumerate(right_names) if i not in (0, b)]
    return at.einsum(f"{''.join(left_names)},{''.join(right_names)}->{''.join(kept)}", x, y)


def _shares_leading_axes(x: Any, y: Any, a: int, b: int) -> bool:
    """Are the axes before the last two of y (before the last one of an x that lacks one) samples of both?"""
    lacks = y.ndim - x.ndim
    if lacks not in (0, 1) or a < x.ndim - 2 + lacks or b < y.ndim - 2:
        return False
    pairs = zip(x.shape[: y.ndim - 2], y.shape[:-2])
    return builtins.all(m is None or n is None or m == n for m, n in pairs)


def _batch_dot_over_samples(x: Any, y: Any, a: int, b: int) -> Any:
    if get_api_level() == "2.3":
        raise ValueError(f"[batch_dot] axes must not be 0, the samples; got {(a, b)}. Use K.dot(K.transpose(x), y)?")
    if x.ndim == 2 and y.ndim == 2:
        if a == b:
            return at.expand_dims(at.sum(x * y, axis=a), 1)
        return at.expand_dims(at.sum(at.permute_dims(x, (1, 0)) * y, axis=b), 1)
    left = x if a == x.ndim - 1 else _swap_last(x)
    right = _swap_last(y) if b == y.ndim - 1 else y
    return at.matmul(left, right)


def _swap_last(x: Any) -> Any:
    return at.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """x plus a bias: a vector for the channels, or a tensor of shape (*spatial, channels).

    For channels first, Keras of every version reads the elements of such a tensor in their order into the shape
    (channels, *spatial), and so does this: the bias of a locally connected layer in its weights means that.
    """
    layout = normalize_data_format(data_format)
    x, bias = _tensor(x), _tensor(bias)
    if bias.ndim not in (1, x.ndim - 1):
        raise ValueError(
            f"[bias_add] expected a bias of rank 1 or {x.ndim - 1}; got shape {bias.shape} for {x.shape}. Reshape it."
        )
    if layout == "channels_first" and x.ndim > 2:
        if bias.ndim == 1:
            return x + at.reshape(bias, (1, bias.shape[0]) + (1,) * (x.ndim - 2))
        bias = at.reshape(bias, (bias.shape[-1], *bias.shape[:-1]))
    return x + bias


# -- convolutions -----------------------------------------------------------------------------------------------------


def _layouts(data_format: str | None, kernel_format: str | None) -> tuple[str, str]:
    """Layout of the images and of the kernel. Only a program of Keras 1 that names none gets a kernel in its order."""
    if data_format is None and kernel_format is None and get_api_level() == "1.2":
        kernel_format = _IMAGE_DATA_FORMAT
    return normalize_data_format(data_format), kernel_format or "channels_last"


def _kernel(kernel: Any, kernel_format: str) -> Any:
    """A kernel ``(filters, in, *size)`` of Keras 1's 'th' as ``(*size, in, filters)``; another as it is."""
    kernel = _tensor(kernel)
    if kernel_format != "channels_first":
        return kernel
    return at.permute_dims(kernel, (*range(2, kernel.ndim), 1, 0))


def _sizes(value: Any) -> Any:
    return tuple([int(v) for v in value]) if isinstance(value, (tuple, list, np.ndarray)) else int(value)


def _conv(op: str, x: Any, kernel: Any, strides: Any, padding: str, layout: str, dilation: Any) -> Any:
    x = _floating(x)
    n = int(op[4])
    if x.ndim != n + 2 or kernel.ndim != n + 2:
        raise ValueError(
            f"[{op}] expected x and kernel of rank {n + 2}; got shapes {x.shape} and {kernel.shape}. "
            "The first axis of x is the samples."
        )
    border: Any = padding.lower()
    reach = [(int(k) - 1) * int(d) for k, d in zip(kernel.shape[:n], np.broadcast_to(dilation, n))]
    if border == "full":  # Theano's: every place where the kernel touches the image
        border = tuple([(r, r) for r in reach])
    elif border == "same" and is_keras_0():  # Theano's: the odd zero in front, whatever the strides
        border = tuple([((r + 1) // 2, r // 2) for r in reach])
    return at.conv(x, kernel, _sizes(strides), border, _sizes(dilation), layout)


def conv1d(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Cross-correlate x (n, steps, in) with kernel (size, in, filters) -> (n, steps', filters).

    Padding 'causal' puts ``(size - 1) * dilation_rate`` zeros in front: no output depends on later steps.
    """
    layout = normalize_data_format(data_format)
    return _conv("conv1d", x, _tensor(kernel), strides, padding, layout, dilation_rate)


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    *,
    kernel_format: str | None = None,
) -> Any:
    """Cross-correlate x (n, rows, cols, in) with kernel (rows, cols, in, filters) -> (n, rows', cols', filters).

    Padding is 'valid', 'same' or, as in Keras 1 with Theano, 'full': wherever the kernel touches the image. At API
    level 0.3 'same' has Theano's borders: half the kernel in front and behind, whatever the strides.
    ``data_format='channels_first'``: x is (n, in, rows, cols). Keras 1's ``dim_ordering='th'`` says the same and that
    the kernel is (filters, in, rows, cols), which is ``kernel_format='channels_first'``.
    """
    layout, order = _layouts(data_format, kernel_format)
    return _conv("conv2d", x, _kernel(kernel, order), strides, padding, layout, dilation_rate)


def conv3d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
    *,
    kernel_format: str | None = None,
) -> Any:
    """Cross-correlate x (n, d, h, w, in) with kernel (d, h, w, in, filters); layouts as in :func:`conv2d`."""
    layout, order = _layouts(data_format, kernel_format)
    return _conv("conv3d", x, _kernel(kernel, order), strides, padding, layout, dilation_rate)


def atrous_conv2d(
    x: Any,
    kernel: Any,
    rate: int = 1,
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Any:
    """Keras 1's :func:`conv2d` with ``rate - 1`` holes between the taps of the kernel. The shapes are ignored."""
    layout = _layout_of(dim_ordering)
    kernel = _kernel(kernel, layout)
    return _conv("conv2d", x, kernel, 1, border_mode, layout, int(rate))


def _layout_of(dim_ordering: str) -> str:
    if dim_ordering not in ("th", "tf", "default"):
        raise ValueError(
            f"[dim_ordering] Unknown dim_ordering: expected 'th' or 'tf'; got {dim_ordering!r}. Keras 2's word is "
            "data_format."
        )
    return {"th": "channels_first", "tf": "channels_last"}.get(dim_ordering, _IMAGE_DATA_FORMAT)


def _conv_transpose(
    op: str, x: Any, kernel: Any, output_shape: Any, strides: Any, padding: str, layout: str, dilation: Any
) -> Any:
    x, kernel = _floating(x), _tensor(kernel)
    n = int(op[4])
    dims = tuple(output_shape)
    if x.ndim != n + 2 or kernel.ndim != n + 2 or len(dims) != n + 2:
        raise ValueError(
            f"[{op}] expected x, kernel and output_shape of {n + 2} dimensions; got {x.shape}, {kernel.shape} and "
            f"{dims}. output_shape holds the samples and the channels, too."
        )
    wanted = dims[2:] if layout == "channels_first" else dims[1:-1]
    # A length that is known only at run time follows from that of x, as the layers compute it.
    known = builtins.all(isinstance(d, (int, np.integer)) for d in wanted)
    size = tuple([int(d) for d in wanted]) if known else None
    return at.conv_transpose(x, kernel, _sizes(strides), padding.lower(), _sizes(dilation), layout, output_size=size)


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """The gradient of a convolution by its input: x (n, rows, cols, in) -> ``output_shape`` (n, rows', cols', out).

    The kernel is (rows, cols, out, in): that of the convolution which makes x's shape from ``output_shape``.
    """
    layout = normalize_data_format(data_format)
    return _conv_transpose("conv2d_transpose", x, kernel, output_shape, strides, padding, layout, dilation_rate)


def conv3d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """:func:`conv2d_transpose` with one axis more: x (n, d, h, w, in), kernel (d, h, w, out, in)."""
    layout = normalize_data_format(data_format)
    return _conv_transpose("conv3d_transpose", x, kernel, output_shape, strides, padding, layout, 1)


def deconv2d(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Any:
    """Keras 1's :func:`conv2d_transpose`, with the kernel of its Deconvolution2D.

    That is (rows, cols, in, out) for 'tf' and (out, in, rows, cols) for 'th'. The last two shapes are ignored.
    """
    layout = _layout_of(dim_ordering)
    kernel = _kernel(kernel, layout)
    kernel = at.permute_dims(kernel, (0, 1, 3, 2))
    return _conv_transpose("conv2d_transpose", x, kernel, output_shape, strides, border_mode, layout, 1)


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolve each channel on its own: kernel (rows, cols, in, m), m results a channel -> in * m channels."""
    layout = normalize_data_format(data_format)
    kernel = _tensor(depthwise_kernel)
    return at.depthwise_conv(_floating(x), kernel, _sizes(strides), padding.lower(), _sizes(dilation_rate), layout)


def separable_conv1d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolve each channel with depthwise_kernel (size, in, m), then mix with pointwise_kernel (1, in * m, out)."""
    layout = normalize_data_format(data_format)
    return _separable(x, _tensor(depthwise_kernel), _tensor(pointwise_kernel), strides, padding, layout, dilation_rate)


def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    *,
    kernel_format: str | None = None,
) -> Any:
    """Depthwise (rows, cols, in, m), then pointwise (1, 1, in * m, out); layouts as in :func:`conv2d`."""
    layout, order = _layouts(data_format, kernel_format)
    depthwise, pointwise = _kernel(depthwise_kernel, order), _kernel(pointwise_kernel, order)
    return _separable(x, depthwise, pointwise, strides, padding, layout, dilation_rate)


def _separable(x: Any, depthwise: Any, pointwise: Any, strides: Any, padding: str, layout: str, dilation: Any) -> Any:
    x = at.depthwise_conv(_floating(x), depthwise, _sizes(strides), padding.lower(), _sizes(dilation), layout)
    return at.conv(x, pointwise, layout=layout)


def local_conv1d(inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None) -> Any:
    """A convolution without shared weights: (n, steps, in) -> (n, steps', filters).

    kernel: (steps', size * in, filters), one matrix for each place. As in Keras, the steps come before the channels in
    either image order.
    """
    normalize_data_format(data_format)
    return _local(inputs, kernel, kernel_size, strides, int_shape(kernel)[:1], "channels_last")


def local_conv2d(
    inputs: Any,
    kernel: Any,
    kernel_size: Any,
    strides: Any,
    output_shape: Any,
    data_format: str | None = None,
) -> Any:
    """A convolution without shared weights: kernel (rows' * cols', rows * cols * in, filters), a matrix for each place.

    ``output_shape`` is (rows', cols'). The items of a patch are in the order of the images: (rows, cols, in), or (in,
    rows, cols) for channels first.
    """
    places = int(np.prod(output_shape))
    if int_shape(kernel)[0] != places:
        raise ValueError(
            f"[local_conv2d] the kernel has matrices for {int_shape(kernel)[0]} places, output_shape "
            f"{tuple(output_shape)} has {places}. Check kernel_size and strides."
        )
    return _local(inputs, kernel, kernel_size, strides, output_shape, normalize_data_format(data_format))


def _local(x: Any, kernel: Any, size: Any, strides: Any, lengths: Any, layout: str) -> Any:
    x, kernel = _floating(x), _tensor(kernel)
    places, items, filters = [int(d or -1) for d in kernel.shape]
    patches = at.unfold(x, _sizes(size), _sizes(strides), layout=layout)
    if layout == "channels_first":
        by_place = at.permute_dims(at.reshape(patches, (-1, items, places)), (2, 0, 1))
        out = at.permute_dims(at.matmul(by_place, kernel), (1, 2, 0))
        return at.reshape(out, (-1, filters, *_sizes(lengths)))
    by_place = at.permute_dims(at.reshape(patches, (-1, places, items)), (1, 0, 2))
    out = at.permute_dims(at.matmul(by_place, kernel), (1, 0, 2))
    return at.reshape(out, (-1, *_sizes(lengths), filters))


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """The largest ('max') or mean ('avg') element of each window of ``pool_size`` (rows, cols), for each channel.

    Under 'same' a mean counts only what lies inside the image.
    """
    return _pool("pool2d", x, pool_size, strides, padding, data_format, pool_mode)


def pool3d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """:func:`pool2d` with windows of three axes."""
    return _pool("pool3d", x, pool_size, strides, padding, data_format, pool_mode)


def _pool(op: str, x: Any, size: Any, strides: Any, padding: str, data_format: str | None, mode: str) -> Any:
    layout = normalize_data_format(data_format)
    if mode not in ("max", "avg"):
        raise ValueError(f"[{op}] Invalid pooling mode: expected 'max' or 'avg'; got {mode!r}. Check the spelling.")
    pool = at.max_pool if mode == "max" else at.average_pool
    return pool(_floating(x), _sizes(size), _sizes(strides), padding.lower(), layout)


# -- borders and sizes of images --------------------------------------------------------------------------------------


def _pad_spatial(op: str, x: Any, padding: Any, layout: str) -> Any:
    """Zeros around the spatial axes: one pair (before, after) an axis, or one number an axis for both sides."""
    x = _tensor(x)
    n = x.ndim - 2
    pairs = [tuple(p) if isinstance(p, (tuple, list)) else (p, p) for p in padding]
    if len(pairs) != n or builtins.any(len(p) != 2 for p in pairs):
        raise ValueError(
            f"[{op}] expected a pair (before, after) for each of {n} axes; got {padding} for shape {x.shape}. "
            f"Write {((1, 1),) * n}."
        )
    widths = [(int(a), int(b)) for a, b in pairs]
    whole = [(0, 0), (0, 0), *widths] if layout == "channels_first" else [(0, 0), *widths, (0, 0)]
    return at.pad(x, whole)


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros before and after the steps of x (n, steps, channels); one number is for both sides."""
    pair = (padding, padding) if isinstance(padding, (int, np.integer)) else tuple(padding)
    return _pad_spatial("temporal_padding", x, (pair,), "channels_last")


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around images: ((top, bottom), (left, right)), or (rows, cols) for the same on both sides."""
    return _pad_spatial("spatial_2d_padding", x, padding, normalize_data_format(data_format))


def spatial_3d_padding(x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around volumes: a pair an axis, or one number an axis for both sides."""
    return _pad_spatial("spatial_3d_padding", x, padding, normalize_data_format(data_format))


def asymmetric_temporal_padding(x: Any, left_pad: int = 1, right_pad: int = 1) -> Any:
    """Keras 1's :func:`temporal_padding` with two numbers."""
    return temporal_padding(x, (left_pad, right_pad))


def asymmetric_spatial_2d_padding(
    x: Any,
    top_pad: int = 1,
    bottom_pad: int = 1,
    left_pad: int = 1,
    right_pad: int = 1,
    dim_ordering: str = "default",
) -> Any:
    """Keras 1's :func:`spatial_2d_padding` with four numbers."""
    return _pad_spatial(
        "asymmetric_spatial_2d_padding", x, ((top_pad, bottom_pad), (left_pad, right_pad)), _layout_of(dim_ordering)
    )


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Any:
    """Images larger by whole factors: each element repeated ('nearest') or by interpolation ('bilinear').

    Bilinear as TensorFlow 1's: output row r stands at input row ``r / height_factor``; past the last row is the last.
    """
    layout = normalize_data_format(data_format)
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f'[resize_images] interpolation should be one of "nearest" or "bilinear"; got {interpolation!r}. '
            "Check the spelling."
        )
    factors = (int(height_factor), int(width_factor))
    return at.resize(_floating(x), factor=factors, method=interpolation, layout=layout)


def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Any:
    """Volumes larger by whole factors: each element repeated."""
    layout = normalize_data_format(data_format)
    factors = (int(depth_factor), int(height_factor), int(width_factor))
    return at.resize(_floating(x), factor=factors, method="nearest", layout=layout)


# -- normalization ----------------------------------------------------------------------------------------------------


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` along ``axis``; beta and gamma may be None."""
    x = _tensor(x)

    def along(v: Any) -> Any:
        v = _tensor(v)
        if v.ndim != 1 or axis % x.ndim == x.ndim - 1:
            return v
        return at.reshape(v, tuple([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]))

    scale = 1.0 / at.sqrt(along(var) + epsilon)
    if gamma is not None:
        scale = scale * along(gamma)
    out = (x - along(mean)) * scale
    return out if beta is None else out + along(beta)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """Normalize by the mean and variance over some axes; returns (normalized, mean, variance)."""
    x = _tensor(x)
    axes = [axis % x.ndim for axis in reduction_axes]
    center, spread = [at.mean(x, axis=tuple(axes), keepdims=True), at.var(x, axis=tuple(axes), keepdims=True)]
    shape = tuple([1 if k in axes else -1 for k in range(x.ndim)])

    def along(v: Any) -> Any:
        return at.reshape(v, shape if shape.count(-1) == 1 else [int(d or -1) for d in center.shape])

    out = (x - center) * (1.0 / at.sqrt(spread + epsilon))
    if gamma is not None:
        out = out * along(gamma)
    if beta is not None:
        out = out + along(beta)
    return out, at.squeeze(center, tuple(axes)), at.squeeze(spread, tuple(axes))


# -- losses -----------------------------------------------------------------------------------------------------------


def _order_by_level(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Positional arguments are (output, target) at API level 1.2, (target, output) later; words always tell."""
    parameters = list(inspect.signature(fn).parameters)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and get_api_level() == "1.2":
            order = ["output", "target", *parameters[2:]]
            kwargs.update(zip(order, args))
            args = ()
        return fn(*args, **kwargs)

    return call


def _axis_of(op: str, output: Any, axis: int) -> int:
    if not -output.ndim <= axis < output.ndim:
        raise ValueError(
            f"[{op}] axis {axis} does not exist in outputs of shape {output.shape}. Unexpected channels axis {axis}; "
            f"expected to be -1 or one of the axes of `output`, 0 to {output.ndim - 1}."
        )
    return axis % output.ndim


@_order_by_level
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-sum(target * log(output))`` along ``axis``.

    Probabilities are first divided by their sum and clipped to [epsilon, 1 - epsilon], as in Keras 2.3.1;
    ``from_logits`` takes unscaled scores instead. The argument order follows the API level.
    """
    output = _floating(output)
    target = cast(_tensor(target), output.dtype)
    axis = _axis_of("categorical_crossentropy", output, axis)
    scores = _scores_of(output, "softmax")
    if scores is not None and not from_logits and axis == output.ndim - 1 and scores.shape == target.shape:
        # TensorFlow's op: its gradient is softmax - target, also for targets that do not sum to 1.
        total = at.logsumexp(scores, axis=-1)
        excess = at.sum(target, axis=-1) - 1.0
        return total + excess * at.stop_gradient(total) - at.sum(target * scores, axis=-1)
    if from_logits:
        if axis == output.ndim - 1 and target.ndim == output.ndim:
            return at.softmax_cross_entropy(output, target)
        return -at.sum(target * at.log_softmax(output, axis=axis), axis=axis)
    output = output / at.sum(output, axis=axis, keepdims=True)
    output = at.clip(output, _EPSILON, 1.0 - _EPSILON)
    return -at.sum(target * at.log(output), axis=axis)


@_order_by_level
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-log(output[target])`` for integer classes ``target``, of the shape of output without ``axis`` (or 1 there).

    Probabilities are clipped to [epsilon, 1 - epsilon] and divided by their sum, as in Keras 2.3.1. A label that is
    no class raises ShapeError when the loss is computed. The argument order follows the API level.
    """
    output = _floating(output)
    target = _tensor(target)
    axis = _axis_of("sparse_categorical_crossentropy", output, axis)
    if target.ndim == output.ndim:
        target = at.squeeze(target, axis) if target.shape[axis] in (1, None) else at.reshape(target, (-1,))
    elif target.ndim == 1 and output.ndim > 2:
        return sparse_categorical_crossentropy(
            target=target, output=at.reshape(output, (-1, output.shape[axis])), from_logits=from_logits
        )
    if target.dtype.kind not in "iu":
        target = at.astype(target, "int64")
    scores = _scores_of(output, "softmax")
    if not from_logits:
        output = at.log(at.clip(output, _EPSILON, 1.0 - _EPSILON)) if scores is None else scores
    if axis != output.ndim - 1:
        output = at.permute_dims(output, (*[a for a in range(output.ndim) if a != axis], axis))
    return at.sparse_softmax_cross_entropy(output, target)


@_order_by_level
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """``-(target * log(output) + (1 - target) * log(1 - output))``, elementwise.

    Probabilities are clipped to [epsilon, 1 - epsilon]; ``from_logits`` takes unscaled scores instead. The argument
    order follows the API level.
    """
    output = _floating(output)
    target = cast(_tensor(target), output.dtype)
    scores = _scores_of(output, "sigmoid")
    if from_logits or scores is not None:
        return at.sigmoid_cross_entropy(output if from_logits else scores, target)
    output = at.clip(output, _EPSILON, 1.0 - _EPSILON)
    return -(target * at.log(output) + (1.0 - target) * at.log(1.0 - output))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """True where the target class is among the ``k`` highest of its row; ties count as among them."""
    predictions, targets = _tensor(predictions), _tensor(targets)
    if predictions.ndim != 2 or targets.ndim != 1:
        raise ValueError(
            f"[in_top_k] expected predictions (n, classes) and targets (n,); got {predictions.shape} and "
            f"{targets.shape}. Flatten the leading axes?"
        )
    hit = one_hot(cast(targets, "int32"), predictions.shape[1])
    score = at.sum(predictions * cast(hit, predictions.dtype), axis=-1, keepdims=True)
    higher = at.sum(at.astype(at.greater(predictions, score), "int32"), axis=-1)
    return at.logical_and(at.less(higher, k), at.any(at.greater(hit, 0), axis=-1))


# -- names of other backends ------------------------------------------------------------------------------------------


def normalize_axis(axis: Any, ndim: int) -> Any:
    """An axis, or a list of them, counted from the front (Keras 0.x's TensorFlow backend)."""
    if isinstance(axis, (tuple, list)):
        return [normalize_axis(one, ndim) for one in axis]
    return axis % ndim if axis is not None else None


def classification_error(target: Any, output: Any, axis: int = -1) -> Any:
    """Share of places where the largest of ``output`` is not that of ``target`` along an axis (CNTK backend)."""
    wrong = at.not_equal(at.argmax(_tensor(output), axis=axis), at.argmax(_tensor(target), axis=axis))
    return at.mean(at.astype(wrong, _FLOATX))


def get_num_dynamic_axis(x: Any) -> int:
    """How many leading axes have an unknown length (CNTK backend): 1 for a batch, 2 for sequences of any length."""
    dims = int_shape(x)
    return next((i for i, d in enumerate(dims) if d is not None), len(dims))


def has_seq_axis(x: Any) -> bool:
    """Tell whether the time axis has an unknown length, too (CNTK backend)."""
    return get_num_dynamic_axis(x) > 1


def pad(x: Any, pad_info: Sequence[tuple[int, int]], data_format: str, num_dynamic_axis: int) -> Any:
    """Zeros around the spatial axes (CNTK backend).

    Args:
        pad_info: pairs (before, after), one for each spatial axis.
        data_format: where the channels are.
        num_dynamic_axis: how many axes come before those of a sample: 1, the batch.
    """
    x = _tensor(x)
    lead = [(0, 0)] * builtins.max(num_dynamic_axis, 1)
    inner = [tuple(pair) for pair in pad_info]
    first = normalize_data_format(data_format) == "channels_first"
    widths = [*lead, (0, 0), *inner] if first else [*lead, *inner, (0, 0)]
    if len(widths) != x.ndim:
        raise ValueError(
            f"[pad] expected {x.ndim - len(lead) - 1} pairs for a tensor of shape {x.shape}; got {len(inner)}. Give "
            "one for each spatial axis."
        )
    return at.pad(x, widths)


# -- connectionist temporal classification ----------------------------------------------------------------------------


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """CTC loss of each sample, shape ``(samples, 1)``.

    ``-log`` of the probability of the labels, summed over all their alignments, as by Keras 2.3.1 on TensorFlow:
    the logarithms of ``y_pred + epsilon()`` go through a softmax.

    Args:
        y_true: labels ``(samples, longest label)``, any dtype; the blank is the last class.
        y_pred: output of a softmax ``(samples, time, classes)``.
        input_length: ``(samples, 1)``, the number of time steps of each sample.
        label_length: ``(samples, 1)``, the number of labels of each sample.

    Labels that do not fit into the time cost infinity and give no gradient (TensorFlow raises an error if there are
    more labels than time steps).
    """
    return _backend_ctc.batch_cost(y_true, y_pred, input_length, label_length, _EPSILON)


def ctc_decode(
    y_pred: Any,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool | None = None,
) -> tuple[list[Any], Any]:
    """Label sequences that the output of a softmax stands for.

    Args:
        y_pred: ``(samples, time, classes)``; the blank is the last class.
        input_length: ``(samples,)``, the number of time steps of each sample.
        greedy: take the most probable class at each step; else search with a beam.
        beam_width: how many beginnings the search keeps at each step.
        top_paths: how many sequences the search returns.
        merge_repeated: write runs of equal labels in the sequences of the search as one. By default not; up to API
            level 2.2 yes, which was TensorFlow's default.

    Returns:
        A list (of one tensor if greedy, else of ``top_paths``, best first) of int64 labels ``(samples, longest)``,
        filled up with -1; and a tensor: minus the sum of the logarithms of the highest probabilities ``(samples, 1)``
        if greedy, else the log probabilities of the sequences ``(samples, top_paths)``.
    """
    if merge_repeated is None:
        merge_repeated = get_api_level() != "2.3"
    return _backend_ctc.decode(y_pred, input_length, greedy, beam_width, top_paths, _EPSILON, merge_repeated)


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """Labels ``(samples, longest)`` with -1 behind each sample's length ``(samples,)``.

    Keras on TensorFlow makes a sparse tensor here; tensors of this backend are dense.
    """
    return _backend_ctc.dense_to_sparse(labels, label_lengths)
