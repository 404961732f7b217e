"""Tensor, Variable, placeholder and the tape node that links them.

A tensor has data, or a recipe (its ``node``), or both. Without data it is a placeholder or depends on one. The
recipes are the tape and the symbolic graph at once; there is no second graph class.

Operators and methods (``x + y``, ``x.sum()``) are attached by ``autotensor.ops``: this module names no operation.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from autotensor.core.aval import Aval, Dim
from autotensor.core.state import state
from autotensor.errors import DTypeError, GradError, ShapeError, TraceError

if TYPE_CHECKING:
    from autotensor.core.op import Op
    from autotensor.core.watch import Rule

# References to an array when only one tensor holds it: the instance dictionary's, and the one of the call below.
_OWN_REFERENCES = 2


class Place:
    """Where a node comes from: the user's line, the scope it was made in, and the gradient rule that made it."""

    __slots__ = ("line", "rule", "scope")

    def __init__(self, line: str, scope: str | None, rule: Rule | None):
        self.line = line
        self.scope = scope
        self.rule = rule

    def __str__(self) -> str:
        return self.line


class Node:
    """One recorded operation: how its outputs follow from its inputs.

    ``inputs`` holds tensors and Python numbers. ``avals`` is kept where an output may be needed that nobody holds.
    """

    # Class-level defaults: what most nodes lack costs nothing to make.
    values: tuple[np.ndarray, ...] | None = None  # arrays of a multi-output eager operation
    avals: tuple[Aval, ...] | None = None  # shapes of a symbolic operation
    where: Place | None = None  # known for symbolic operations, and of eager ones while somebody watches

    def __init__(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]):
        self.op = op
        self.inputs = inputs
        self.params = params
        self.versions: tuple[int, ...] | None = None  # of the inputs, when one had been written in place

    def __repr__(self) -> str:
        return f"<Node {self.op.name}>"


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    ``Tensor(data, dtype=None, requires_grad=False)`` copies ``data``; ``asarray`` shares it where it can. Tensors have
    value semantics: a write to one (``x[0] = 1``) never shows in another.

    ``grad`` is filled by ``backward()``; ``name`` is for people. Comparison is elementwise where there is data, and
    by identity for placeholders, Variables and what has no value yet, so these can be kept in lists.
    """

    # Class-level defaults. `apply` sets those it reads at each operation, since a default is slower to read.
    data: np.ndarray | None = None
    node: Node | None = None
    index: int = 0
    version: int = 0
    tracked: bool = False
    deferred: bool = False
    grad: Tensor | None = None
    name: str | None = None
    _aval: Aval | None = None

    __array_priority__ = 1000

    def __init__(self, data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str | None = None):
        self.data = to_array(data, dtype, copy=True)
        self.node = None
        self.tracked = type(self).tracked
        self.version = 0
        if requires_grad:
            self.requires_grad = True
        if name is not None:
            self.name = name

    # -- what is known ---------------------------------------------------------------------------------------------

    @property
    def aval(self) -> Aval:
        """Shape and dtype, also where there is no value yet."""
        data = self.data
        if data is not None:
            return Aval(data.shape, data.dtype)
        assert self._aval is not None
        return self._aval

    @property
    def shape(self) -> tuple[Dim, ...]:
        """Length of each axis; None where it is unknown."""
        data = self.data
        return data.shape if data is not None else self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the elements."""
        data = self.data
        return data.dtype if data is not None else self.aval.dtype

    @property
    def ndim(self) -> int:
        """Number of axes; always known."""
        data = self.data
        return data.ndim if data is not None else len(self.aval.shape)

    @property
    def size(self) -> int | None:
        """Number of elements; None when a dimension is unknown."""
        total = 1
        for dim in self.shape:
            if dim is None:
                return None
            total *= dim
        return total

    @property
    def is_symbolic(self) -> bool:
        """True when there is no value yet."""
        return self.data is None

    @property
    def waits(self) -> bool:
        """True when operations on it are not computed now: it has no value yet, or is a deferred Variable."""
        return self.data is None or (self.deferred and not state.immediate)

    @property
    def requires_grad(self) -> bool:
        """True when gradients flow to or through this tensor."""
        return self.tracked and self.dtype.kind in "fc"

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.dtype.kind not in "fc":
            raise DTypeError(
                "[requires_grad] only floating and complex tensors have gradients; this one is "
                f"{self.dtype}. Use astype()?"
            )
        if not value and self.node is not None:
            raise GradError(
                f"[requires_grad] only a leaf can stop requiring gradients; this is the result of {self.node.op.name}. "
                "Use detach()."
            )
        self.tracked = bool(value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("[len()] a tensor of rank 0 has no length; expected at least one axis. Use float(x)?")
        n = self.shape[0]
        if n is None:
            raise self._no_value("len()")
        return n

    # -- reading the value ------------------------------------------------------------------------------------------

    def _no_value(self, asked: str) -> TraceError:
        what = f"placeholder {self.name!r}" if self.node is None else f"the symbolic result of [{self.node.op.name}]"
        line = user_line()
        return TraceError(
            f"[{asked}] this tensor has no value yet: it is {what} {self.aval} (asked at {line}). "
            "Compile it with function() first, or use at.where instead of if."
        )

    def _value(self, asked: str) -> np.ndarray:
        data = self.data
        if data is None:
            raise self._no_value(asked)
        return data

    def numpy(self) -> np.ndarray:
        """The value as an ndarray that shares memory: read it, or copy it before writing.

        What is written into it shows in this tensor, and neither recordings nor gradients notice.
        """
        return self._value("numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        # np.asarray(t) shares memory, too, and can not be written.
        data = self.numpy() if self.data is not None else self._value("np.asarray()")
        if dtype is not None and np.dtype(dtype) != data.dtype:
            return data.astype(dtype)
        if copy:
            return data.copy()
        shared = data.view()
        shared.flags.writeable = False
        return shared

    def item(self) -> Any:
        """The only element as a Python number."""
        return self._value("item()").item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self._value("tolist()").tolist()

    def __float__(self) -> float:
        return float(self._single("float()"))

    def __int__(self) -> int:
        return int(self._single("int()"))

    def __bool__(self) -> bool:
        return bool(self._single("bool()"))

    def __index__(self) -> int:
        return operator.index(self._single("index"))

    def __complex__(self) -> complex:
        return complex(self._single("complex()"))

    def _single(self, asked: str) -> Any:
        data = self._value(asked)
        if data.size != 1:
            raise ShapeError(
                f"[{asked}] expected a tensor with one element; this one has shape {data.shape}. Reduce it with any(), "
                "all() or sum() first?"
            )
        return data.item()

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        label = f", name={self.name!r}" if self.name else ""
        if self.data is None:
            return f"<{type(self).__name__} {self.aval}{label}>"
        text = np.array2string(self.data, separator=", ", prefix="Tensor(")
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"{type(self).__name__}({text}, dtype={self.dtype}{grad}{label})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    # -- the tape ---------------------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same value without its history: a constant for gradients."""
        return wrap(self._value("detach()"))

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        out = type(self)(self._value("copy"), name=self.name)
        if self.tracked:
            out.tracked = True
        memo[id(self)] = out
        return out

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self._value("pickle"), self.requires_grad, self.name)

    def _writable(self) -> np.ndarray:
        """This tensor's array, after a copy if anyone else can see it."""
        data = self._value("in-place write")
        if not data.flags.writeable or data.base is not None or sys.getrefcount(data) > _OWN_REFERENCES + 1:
            data = data.copy()
            self.data = data
        self.version += 1
        return data

    if TYPE_CHECKING:  # attached by autotensor.ops
        T: Tensor

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


class Variable(Tensor):
    """An always-tracked leaf with a value that can be assigned: a weight, a counter, a running mean.

    Graphs built on it follow its value: a compiled function reads it at call time. The buffer is written in place, so
    a gradient taken through an eager result that was recorded before an ``assign`` raises ``GradError``.

    Operations on a ``deferred`` Variable are not computed eagerly: their results are symbolic and follow the value
    at every evaluation, as in Keras. Inside ``immediate()`` it counts as what it holds now. As it compares by identity,
    it is true as any object is.
    """

    tracked = True

    def __init__(
        self,
        data: Any,
        dtype: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        deferred: bool = False,
    ):
        super().__init__(data, dtype, name=name)
        self.data = np.array(self.data, order="C", copy=None)
        self.trainable = trainable
        self.deferred = deferred

    def _value(self, asked: str) -> np.ndarray:
        if state.trace is not None:
            raise TraceError(
                f"[{asked}] variable {self.name or self.aval!r} is read while a step is compiled (at {user_line()}); "
                "its present value would be frozen into the step. Compute with the Variable itself."
            )
        return super()._value(asked)

    def __bool__(self) -> bool:
        # A layer asks `if self.bias:`; that the bias is 0 today must not leave it out of the graph.
        return True if self.deferred else super().__bool__()

    def numpy(self) -> np.ndarray:
        """A copy of the value: the buffer itself is rewritten by updates."""
        return self._value("numpy()").copy()

    def detach(self) -> Tensor:
        """A constant tensor with a copy of the value of now."""
        return wrap(self._value("detach()").copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        out = memo[id(self)] = _rebuild_variable(*self.__reduce__()[1])
        return out

    def __reduce__(self) -> Any:
        return _rebuild_variable, (type(self), self._value("pickle"), self.name, self.trainable, self.deferred)

    def assign(self, value: Any) -> Variable:
        """Replace the value; shape and dtype stay (the value is cast). Returns the Variable.

        During a trace (``@compile``) the assignment becomes an update of the compiled step.

        Raises ShapeError for a value of another shape, TraceError for one that is not known yet.

            >>> import autotensor as at
            >>> w = at.Variable([1.0, 2.0])
            >>> w.assign(w - 0.5 * at.grad(at.sum(w**2), w)).numpy()
            array([0., 0.])
        """
        if state.trace is not None:
            state.trace.assign(self, value if isinstance(value, Tensor) else as_tensor(value))
            return self
        data = self._value("assign")
        new = value.data if isinstance(value, Tensor) else np.asarray(value)
        if new is None:
            raise value._no_value("assign")
        if new.shape != data.shape:
            raise ShapeError(
                f"[assign] variable {self.name or ''} has shape {data.shape}; the value has {new.shape}. "
                "The shape of a Variable never changes: transpose or reshape the value?"
            )
        np.copyto(data, new, casting="unsafe")
        self.version += 1
        return self

    def _writable(self) -> np.ndarray:
        self.version += 1
        return self._value("in-place write")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = Tensor.__hash__


# type() in this set is three times as fast as isinstance on the hot path of apply.
TENSOR_TYPES: set[type] = {Tensor, Variable}
# Weak operands: Python numbers, which adapt to the dtype of the arrays beside them.
NUMBER_TYPES: set[type] = {bool, int, float, complex}

_new = object.__new__


def wrap(data: np.ndarray) -> Tensor:
    """A constant tensor around an array, which is not copied."""
    out = _new(Tensor)
    out.data = data
    out.node = None
    out.tracked = False
    out.version = 0
    return out


def symbol(aval: Aval, node: Node | None = None, index: int = 0, name: str | None = None) -> Tensor:
    """A tensor without data: an output of ``node``, or a placeholder."""
    out = _new(Tensor)
    out._aval = aval
    out.tracked = True
    if node is not None:
        out.node = node
        out.index = index
    if name is not None:
        out.name = name
    return out


def placeholder(shape: Iterable[Dim], dtype: Any = np.float32, name: str | None = None) -> Tensor:
    """A tensor whose value is given when a compiled function is called; ``None`` marks unknown dimensions.

    Raises ShapeError for sizes that are no whole numbers or negative, DTypeError for a dtype without numbers.
    """
    try:
        dims = tuple([None if d is None else operator.index(d) for d in shape])
    except TypeError:
        raise ShapeError(
            f"[placeholder] shape must be a sequence of whole numbers and None; got {shape!r}. Write (3,) for a vector?"
        ) from None
    if any([d is not None and d < 0 for d in dims]):
        raise ShapeError(f"[placeholder] sizes can not be negative; got {dims}. Use None for an unknown size.")
    aval = Aval(dims, dtype)
    if aval.dtype.kind not in "biufc":
        raise DTypeError(f"[placeholder] expected a dtype of numbers or bools; got {dtype!r}. Use 'float32'?")
    return symbol(aval, name=name)


def refuse_complex(op: str, dtype: np.dtype, wanted: np.dtype) -> None:
    """Raise when complex numbers would become real ones, which loses half of each."""
    if dtype.kind == "c" and wanted.kind not in "cb":
        raise DTypeError(
            f"[{op}] complex numbers do not become {wanted} ones; got {dtype}. Use at.real(x), at.imag(x) or at.abs(x)."
        )


def to_array(data: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """NumPy array of numbers from anything; strings and ragged lists are refused, not kept as objects."""
    if isinstance(data, Tensor):
        data = data._value("conversion to an array")
    if dtype is not None and isinstance(data, (np.ndarray, np.generic)):
        refuse_complex("tensor", data.dtype, np.dtype(dtype))
    try:
        out = np.array(data, dtype=dtype, copy=copy)
    except ValueError as error:
        if copy is False or "inhomogeneous" not in str(error):
            raise
        raise ShapeError(f"[tensor] expected rows of equal length; {error}. Pad the rows?") from None
    if out.dtype.kind not in "biufc":
        kind = type(data).__name__
        raise DTypeError(f"[tensor] expected numbers; got dtype {out.dtype} from a {kind}. Make it a float array?")
    return out if out.dtype.isnative else out.astype(out.dtype.newbyteorder("="))


def as_tensor(value: Any) -> Tensor:
    """The tensor itself, or a constant that shares memory with ``value`` where it can."""
    return value if isinstance(value, Tensor) else wrap(to_array(value))


def _rebuild(kind: type, data: np.ndarray, requires_grad: bool, name: str | None) -> Tensor:
    return kind(data, requires_grad=requires_grad, name=name)


def _rebuild_variable(kind: type, data: np.ndarray, name: str | None, trainable: bool, deferred: bool) -> Variable:
    return kind(data, name=name, trainable=trainable, deferred=deferred)


def user_line() -> str:
    """File and line of the innermost caller outside this package and those built on it."""
    frame = sys._getframe(1)
    while frame is not None:
        if not is_library(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "an unknown line"


def is_library(frame: Any) -> bool:
    """Whether a frame belongs to this package, one built on it or one that it works for, and not to the user."""
    return frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES


# Packages whose frames are skipped when an error names the user's line; a library on top adds itself. NumPy, einops,
# SciPy and the copying modules call back into a tensor; decorators stand between two lines of the user.
_LIBRARIES = {"autotensor", "numpy", "copy", "pickle", "einops", "scipy", "functools", "contextlib"}


def register_library(package: str) -> None:
    """Skip the frames of ``package`` when an error names the user's line."""
    _LIBRARIES.add(package)
