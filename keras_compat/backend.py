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

# -- settings ---------------------------------------------------------------------------------------------------------


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
    v: Any = at.Variable(np.array(array, dtype=dtype or _FLOATX), name=name, deferred=True)
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
    return x


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
    """What :func:`shape` gives where dimensions are unknown: a tensor that remembers whose dimensions it holds."""

    _dims: tuple[Any, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        out: Any = super().__getitem__(key)
        if isinstance(key, builtins.slice):
            return _as_shape(out, self._dims[key])
        if isinstance(key, (int, np.integer)):
            chosen = self._dims[key]
            if isinstance(chosen, int):
                return at.asarray(np.asarray(chosen, dtype="int32"))
            out._dim = chosen
        return out

    def __len__(self) -> int:
        return len(self._dims)


def _as_shape(tensor: Any, dims: Sequence[Any]) -> Any:
    if builtins.all(isinstance(d, int) for d in dims):
        return at.asarray(np.asarray(dims, dtype="int32"))
    tensor.__class__ = _ShapeTensor
    tensor._dims = tuple(dims)
    return tensor


def _along(x: Any, axis: int) -> Any:
    """A vector of zeros as long as one axis of ``x``."""
    index = tuple([builtins.slice(None) if a == axis % x.ndim else 0 for a in range(x.ndim)])
    return at.zeros_like(x[index])


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


def update(x: Any, new_x: Any) -> Update:
    """The change of variable ``x`` to ``new_x``, to be run by :func:`eval` or a :func:`function`."""
    return Update(x, new_x)


def update_add(x: Any, increment: Any) -> Update:
    """The change of variable ``x`` by ``+ increment``."""
    return Update(x, x + increment)


def update_sub(x: Any, decrement: Any) -> Update:
    """The change of variable ``x`` by ``- decrement``."""
    return Update(x, x - decrement)


def moving_average_update(x: Any, value: Any, momentum: Any) -> Update:
    """The change of variable ``x`` to ``x * momentum + value * (1 - momentum)``."""
    return Update(x, x * momentum + cast(value, x.dtype) * (1.0 - momentum))


def as_updates(updates: Any) -> list[Update]:
    """Updates from what programs give: one or nested lists of :class:`Update` and pairs; None counts for nothing."""
    if updates is None:
        return []
    if isinstance(updates, Update):
        return [updates]
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
    """Updates with those left out that are listed twice: the same variable with the same new value."""
    seen: dict[tuple[int, int], Update] = {}
    for one in updates:
        seen.setdefault((id(one[0]), id(one[1])), one)
    return list(seen.values())


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
    x.assign(get_value(value) if isinstance(value, at.Tensor) else np.asarray(value))


def batch_set_value(tuples: Iterable[tuple[Any, Any]]) -> None:
    """Set several variables: pairs (variable, value)."""
    for x, value in tuples:
        set_value(x, value)


def print_tensor(x: Any, message: str = "") -> Any:
    """The tensor itself. A constant's value is printed; a symbolic one has none yet, so its description is."""
    x = _tensor(x)
    print(message, np.asarray(x.data) if x.data is not None else x)
    return identity(x)


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
    """
    x = _floating(x)
    if not 0 <= level < 1:
        raise ValueError(f"[dropout] level must be in interval [0, 1); got {level}. It is the fraction to drop.")
    if noise_shape is not None:
        noise_shape = [d if isinstance(d, int) and d != -1 else None for d in _dims(noise_shape)]
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
    """x from ``threshold`` up, at most ``max_value``; below the threshold ``alpha * (x - threshold)``."""
    x = _floating(x)
    alpha = get_value(alpha).item() if isinstance(alpha, at.Tensor) and alpha.ndim == 0 else alpha
    if isinstance(alpha, (at.Tensor, np.ndarray)):
        return at.where(at.greater(x, threshold), relu(x, 0.0, max_value, threshold), alpha * (x - threshold))
    return at.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else ``alpha * (e**x - 1)``."""
    x = _floating(x)
    if isinstance(alpha, at.Tensor):
        return at.where(at.greater(x, 0), x, alpha * at.expm1(at.minimum(x, 0.0)))
    return at.elu(x, alpha)


def softmax(x: Any, axis: int = -1) -> Any:
    """e**x / sum(e**x) along an axis."""
    return at.softmax(_floating(x), axis=axis)


def softplus(x: Any) -> Any:
    """log(1 + e**x)."""
    return at.softplus(_floating(x))


def softsign(x: Any) -> Any:
    """x / (1 + abs(x))."""
    return at.softsign(_floating(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    return at.sigmoid(_floating(x))


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
    """The elements in another shape; -1 (or a length known only at run time) for at most one dimension."""
    x = _tensor(x)
    dims = tuple([d if isinstance(d, int) else -1 for d in _dims(shape)])
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
    if x.shape[0] is not None:
        return at.reshape(x, (x.shape[0], -1))
    raise ValueError(
        f"[batch_flatten] the dimensions after the first must be known; got {x.shape}. Give the input a full shape."
    )


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """The tensors one behind another along an axis."""
    listed = [_tensor(x) for x in tensors]
    out = at.concat(listed, axis=axis)
    if builtins.any(isinstance(x, _ShapeTensor) for x in listed):
        return _as_shape(out, [d for x in listed for d in _dims(x)])
    return out


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """The tensors side by side along a new axis."""
    listed = [_tensor(y) for y in x]
    out = at.stack(listed, axis=axis)
    if builtins.any(hasattr(y, "_dim") for y in listed):
        return _as_shape(out, _dims(listed))
    return out


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element ``rep`` times in a row along an axis."""
    return at.repeat(_tensor(x), int(rep), axis=axis)


def repeat(x: Any, n: int) -> Any:
    """A 2D tensor (samples, features) as (samples, n, features)."""
    x = _tensor(x)
    if x.ndim != 2:
        raise ValueError(f"[repeat] expected a tensor of rank 2; got shape {x.shape}. Use repeat_elements or tile?")
    return at.repeat(at.expand_dims(x, 1), int(n), axis=1)


def tile(x: Any, n: Any) -> Any:
    """The tensor ``n`` times along each axis; ``n`` is a number or one for each axis."""
    reps = tuple([int(k) for k in _dims(n)])
    return at.tile(_tensor(x), reps)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """A constant vector of numbers from ``start`` to ``stop`` (excluded); with one bound from 0 to it."""
    bounds = [int(get_value(v)) if isinstance(v, at.Tensor) else v for v in (start, stop)]
    if bounds[1] is None:
        bounds = [0, builtins.max(bounds[0], 0)]
    return at.asarray(np.arange(bounds[0], bounds[1], step, dtype=dtype))


def slice(x: Any, start: Any, size: Any) -> Any:
    """A part: from ``start`` on, ``size`` long, each a number per axis; size -1 goes to the end."""
    x = _tensor(x)
    first, length = _dims(start), _dims(size)
    if len(first) != x.ndim or len(length) != x.ndim:
        raise ValueError(
            f"[slice] expected one number per axis of {x.shape}; got start {start} and size {size}. Use -1 for 'all'."
        )
    ends = [None if n == -1 else s + n for s, n in zip(first, length)]
    return x[tuple([builtins.slice(s, e) for s, e in zip(first, ends)])]


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
    x, y = _tensor(x), _tensor(y)
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
    """
    x, y = _tensor(x), _tensor(y)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"[batch_dot] expected tensors of rank 2 or more; got {x.shape} and {y.shape}. The first axis is the batch."
        )
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 1 if y.ndim == 2 else y.ndim - 2)
    elif isinstance(axes, (int, np.integer)):
        axes = (int(axes), int(axes))
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
    letters = iter("cdefghijklmnopqrstuvwxyz")
    left_names = ["a"] + [next(letters) for _ in range(x.ndim - 1)]
    right_names = ["a"] + [next(letters) for _ in range(y.ndim - 1)]
    right_names[b] = left_names[a]
    kept = [n for i, n in enumerate(left_names) if i != a] + [n for i, n in enumerate(right_names) if i not in (0, b)]
    return at.einsum(f"{''.join(left_names)},{''.join(right_names)}->{''.join(kept)}", x, y)


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
    """x plus a bias: a vector for the channels, or a tensor (without the samples) in channels-last order."""
    layout = normalize_data_format(data_format)
    x, bias = _tensor(x), _tensor(bias)
    if bias.ndim not in (1, x.ndim - 1):
        raise ValueError(
            f"[bias_add] expected a bias of rank 1 or {x.ndim - 1}; got shape {bias.shape} for {x.shape}. Reshape it."
        )
    if layout == "channels_first" and x.ndim > 2:
        if bias.ndim == 1:
            return x + at.reshape(bias, (1, bias.shape[0]) + (1,) * (x.ndim - 2))
        bias = at.permute_dims(bias, (bias.ndim - 1, *range(bias.ndim - 1)))
    return x + bias


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
        target = at.squeeze(target, axis) if target.shape[axis] == 1 else at.reshape(target, (-1,))
    elif target.ndim == 1 and output.ndim > 2:
        return sparse_categorical_crossentropy(
            target=target, output=at.reshape(output, (-1, output.shape[axis])), from_logits=from_logits
        )
    if target.dtype.kind not in "iu":
        target = at.astype(target, "int64")
    if not from_logits:
        output = at.log(at.clip(output, _EPSILON, 1.0 - _EPSILON))
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
    if from_logits:
        return at.sigmoid_cross_entropy(output, target)
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
