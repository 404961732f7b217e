"""Attaches operators and the methods of ``numpy.ndarray`` to Tensor. No operation is defined here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.grad import relink
from autotensor.core.op import apply, explained
from autotensor.core.state import enable_grad, state
from autotensor.core.tensor import Tensor, Variable
from autotensor.errors import GradError, TraceError
from autotensor.ops import (
    autodiff,
    index,
    linalg,
    numpy_elements,  # noqa: F401 (fills the table)
    numpy_functions,  # noqa: F401 (so does this)
    reduce,
    shape,
    sorting,
)
from autotensor.ops import elementwise as ew
from autotensor.ops.creation import operand
from autotensor.ops.numpy_values import FUNCTIONS, store


def _binary(name: str, symbol: str, op: Any) -> None:
    """x symbol y and its reflected form."""

    def forward(self: Tensor, other: Any) -> Any:
        return apply(op, self, other)

    def reflected(self: Tensor, other: Any) -> Any:
        return apply(op, other, self)

    forward.__doc__ = f"self {symbol} other."
    reflected.__doc__ = f"other {symbol} self."
    _attach(f"__{name}__", forward)
    _attach(f"__r{name}__", reflected)


def _comparison(name: str, symbol: str, op: Any) -> None:
    def compare(self: Tensor, other: Any) -> Any:
        return apply(op, self, other)

    compare.__doc__ = f"self {symbol} other, elementwise."
    _attach(f"__{name}__", compare)


def _attach(name: str, function: Any) -> None:
    function.__name__ = name
    function.__qualname__ = f"Tensor.{name}"
    setattr(Tensor, name, function)


for _name, _symbol, _op in [
    ("add", "+", ew.add),
    ("sub", "-", ew.subtract),
    ("mul", "*", ew.multiply),
    ("truediv", "/", ew.divide),
    ("floordiv", "//", ew.floor_divide),
    ("mod", "%", ew.remainder),
    ("pow", "**", ew.pow),
    ("and", "&", ew.bitwise_and),
    ("or", "|", ew.bitwise_or),
    ("xor", "^", ew.bitwise_xor),
    ("lshift", "<<", ew.left_shift),
    ("rshift", ">>", ew.right_shift),
]:
    _binary(_name, _symbol, _op)

for _name, _symbol, _op in [
    ("lt", "<", ew.less),
    ("le", "<=", ew.less_equal),
    ("gt", ">", ew.greater),
    ("ge", ">=", ew.greater_equal),
]:
    _comparison(_name, _symbol, _op)


def _matmul(self: Tensor, other: Any) -> Any:
    """Matrix product self @ other."""
    return linalg.matmul(self, other)


def _rmatmul(self: Tensor, other: Any) -> Any:
    """Matrix product other @ self."""
    return linalg.matmul(other, self)


def _divmod(self: Tensor, other: Any) -> Any:
    """The pair self // other, self % other."""
    return self // other, self % other


def _neg(self: Tensor) -> Any:
    """-self."""
    return apply(ew.negative, self)


def _pos(self: Tensor) -> Any:
    """+self."""
    return apply(ew.positive, self)


def _abs(self: Tensor) -> Any:
    """Absolute value."""
    return apply(ew.abs, self)


def _invert(self: Tensor) -> Any:
    """~self: bits of integers, logical not of bools."""
    return apply(ew.bitwise_not, self)


_COMPARABLE = (Tensor, int, float, complex, np.ndarray, np.generic, list, tuple)


def _eq(self: Tensor, other: Any) -> Any:
    """Elementwise where both have values; identity for what has none."""
    if self.data is None or (isinstance(other, Tensor) and other.data is None):
        return self is other
    return apply(ew.equal, self, other) if isinstance(other, _COMPARABLE) else NotImplemented


def _ne(self: Tensor, other: Any) -> Any:
    """Elementwise where both have values; identity for what has none."""
    if self.data is None or (isinstance(other, Tensor) and other.data is None):
        return self is not other
    return apply(ew.not_equal, self, other) if isinstance(other, _COMPARABLE) else NotImplemented


for _name, _function in [
    ("matmul", _matmul),
    ("rmatmul", _rmatmul),
    ("divmod", _divmod),
    ("neg", _neg),
    ("pos", _pos),
    ("abs", _abs),
    ("invert", _invert),
    ("eq", _eq),
    ("ne", _ne),
]:
    _attach(f"__{_name}__", _function)


# -- indexing


def _getitem(self: Tensor, key: Any) -> Tensor:
    """Part of the tensor; index as for NumPy arrays."""
    pattern, arrays = index.parse("getitem", key, self.shape)
    return index.read(self, arrays, pattern)


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    """Write into this tensor. Gradients through earlier uses of it raise GradError; later uses see the new value."""
    if isinstance(self, Variable):
        raise GradError(
            f"[setitem] a Variable is written as a whole; got an index write to {self.name or 'one'}. "
            "Use v.assign(at.index_update(v, value, index))."
        )
    pattern, arrays = index.parse("setitem", key, self.shape)
    symbolic = [x for x in (self, value, *arrays) if isinstance(x, Tensor) and x.waits]
    if symbolic:
        raise TraceError(
            "[setitem] a tensor without a value can not be written in place; got "
            f"{symbolic[0]!r}. Use y = at.index_update(x, value, index)."
        )
    recorded = state.tracking and self.dtype.kind in "fc"
    if recorded and self.tracked and self.node is None:
        raise GradError(
            f"[setitem] {self.name or 'this tensor'} is a leaf that requires gradients; a write would change what the "
            "gradient means. Use y = at.index_update(x, value, index), or write inside no_grad()."
        )
    tracked = isinstance(value, Tensor) and value.tracked
    if not recorded and self.node is not None:  # inside no_grad() a constant is written; what is not keeps its history
        recorded = self.tracked and self.dtype.kind in "fc"
        if recorded and tracked:
            value, tracked = value.detach(), False
    if recorded and (self.tracked or tracked):
        before = object.__new__(Tensor)  # the value so far, which the recorded graph keeps
        before.__dict__.update(self.__dict__)
        if tracked and not self.version:
            # What the value was computed from was this tensor before the write: x[1] = x[0] * w. After the first
            # write, recordings keep the value so far by themselves (see core.op).
            value = value if value is not self else before
            relink([value], {id(self): before})
        try:
            with enable_grad():
                after = apply(index.index_update_op, before, value, *arrays, pattern=pattern)
        except (IndexError, ValueError, TypeError) as error:
            raise _renamed(error) from error
        self.data, self.node, self.index, self.tracked = after.data, after.node, 0, True
        self.version += 1
        return
    new = value.data if isinstance(value, Tensor) else value
    target = self._writable()
    positions = tuple([a.data for a in arrays])
    try:
        index.write_at(target, index.key_of(pattern, positions), pattern, positions, new)
    except (IndexError, ValueError, TypeError) as error:
        better = explained(index.index_update_op, (self, operand(value), *arrays), {"pattern": pattern}, error)
        raise _renamed(better) from error


def _renamed(error: Exception) -> Exception:
    return type(error)(str(error).replace("[index_update]", "[setitem]", 1))


_attach("__getitem__", _getitem)
_attach("__setitem__", _setitem)


# -- methods of numpy.ndarray

# Signatures are NumPy's. What is asked for rarely (``out``, ``initial``, ``where``) takes the way of NumPy's functions.


def _sum(
    self: Tensor, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **rare: Any
) -> Tensor:
    """Sum over axes."""
    if out is not None or rare:
        return FUNCTIONS[np.sum](self, axis, dtype, out, keepdims, **rare)
    return reduce.sum(self, axis=axis, keepdims=keepdims, dtype=dtype)


def _mean(
    self: Tensor, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **rare: Any
) -> Tensor:
    """Mean over axes."""
    if out is not None or rare or dtype is not None:
        return FUNCTIONS[np.mean](self, axis, dtype, out, keepdims, **rare)
    return reduce.mean(self, axis=axis, keepdims=keepdims)


def _as_function(function: Any, doc: str) -> Callable[..., Any]:
    """A function of NumPy as a method."""
    ours = FUNCTIONS[function]

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    method.__doc__ = doc
    return method


def _reduction(name: str) -> Callable[..., Tensor]:
    function = getattr(reduce, name)
    rarely = FUNCTIONS[getattr(np, name)]

    def method(self: Tensor, axis: Any = None, out: Any = None, keepdims: bool = False, **rare: Any) -> Tensor:
        if out is not None or rare:
            return rarely(self, axis=axis, out=out, keepdims=keepdims, **rare)
        return function(self, axis=axis, keepdims=keepdims)

    method.__doc__ = function.__doc__
    return method


def _reshape(self: Tensor, *shape_: Any, order: str = "C", copy: bool | None = None) -> Tensor:
    """The same elements in another shape; one size may be -1. ``order="F"`` counts the first axis fastest.

    Raises ShapeError where the number of elements differs, ValueError for another ``order``.
    """
    sizes = shape_[0] if len(shape_) == 1 and not isinstance(shape_[0], (int, np.integer)) else shape_
    if order == "F":
        return shape.permute_dims(shape.reshape(shape.permute_dims(self), tuple(sizes)[::-1]))
    if order not in "CAK":
        raise ValueError(f"[reshape] expected order 'C' or 'F'; got {order!r}.")
    return shape.reshape(self, sizes)


def _transpose(self: Tensor, *axes: Any) -> Tensor:
    """Axes in a new order, by default reversed."""
    if not axes or axes == (None,):
        return shape.permute_dims(self)
    if len(axes) == 1 and not isinstance(axes[0], int):
        return shape.permute_dims(self, axes[0])
    return shape.permute_dims(self, axes)


def _flatten(self: Tensor, order: str = "C") -> Tensor:
    """All elements in one axis."""
    return _reshape(self, -1, order=order)


def _astype(
    self: Tensor,
    dtype: Any,
    order: str = "K",
    casting: str = "unsafe",
    subok: bool = True,
    copy: bool = True,
    **device: Any,
) -> Tensor:
    """Converted to dtype. Writes to the result never show here."""
    return ew.astype(self, dtype)


def _copy(self: Tensor, order: str = "C") -> Tensor:
    """The same values in memory of their own; gradients pass."""
    return ew.copy(self)


def _take(self: Tensor, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Tensor:
    """Slices along an axis at integer indices; ``mode`` "wrap" or "clip" brings those outside in.

    Raises ValueError for another mode.
    """
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"[take] expected mode 'raise', 'wrap' or 'clip'; got {mode!r}.")
    if mode != "raise":
        n: Any = self.size if axis is None else self.shape[axis]
        indices = ew.remainder(operand(indices), n) if mode == "wrap" else ew.clip(operand(indices), 0, n - 1)
    return store(out, index.take(self, indices, axis=axis), "take")


def _argsort(
    self: Tensor, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: bool | None = None
) -> Tensor:
    """Indices that sort along an axis; always stable."""
    return sorting.argsort(self, axis)


def _nonzero(self: Tensor) -> tuple[Tensor, ...]:
    """Indices of the elements that are not 0."""
    return sorting.nonzero(self)


def _fill(self: Tensor, value: Any) -> None:
    """Write one value everywhere."""
    self[...] = value


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of this package as a method: its first argument is the tensor."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__doc__ = function.__doc__
    return method


_METHODS: dict[str, Callable[..., Any]] = {
    "sum": _sum,
    "mean": _mean,
    "prod": _as_function(np.prod, "Product over axes."),
    "var": _as_function(np.var, "Variance over axes."),
    "std": _as_function(np.std, "Standard deviation over axes."),
    "max": _reduction("max"),
    "min": _reduction("min"),
    "argmax": _reduction("argmax"),
    "argmin": _reduction("argmin"),
    "any": _reduction("any"),
    "all": _reduction("all"),
    "cumsum": _as_function(np.cumsum, "Running sum along an axis."),
    "cumprod": _as_function(np.cumprod, "Running product along an axis."),
    "clip": _as_function(np.clip, "Elements limited to [min, max]."),
    "round": _as_function(np.round, "Rounded to decimals, halves to even."),
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": _flatten,
    "ravel": _flatten,
    "astype": _astype,
    "copy": _copy,
    "take": _take,
    "argsort": _argsort,
    "nonzero": _nonzero,
    "fill": _fill,
    "dot": _as_function(np.dot, "Product of vectors or matrices, by NumPy's rule for dot."),
    "squeeze": _plain(shape.squeeze),
    "expand_dims": _plain(shape.expand_dims),
    "swapaxes": _plain(shape.swapaxes),
    "repeat": _plain(shape.repeat),
    "diagonal": _plain(shape.diagonal),
    "trace": _as_function(np.trace, "Sum of a diagonal."),
    "broadcast_to": _plain(shape.broadcast_to),
    "backward": autodiff.backward,
}

for _name, _method in _METHODS.items():
    _attach(_name, _method)


def _T(self: Tensor) -> Tensor:
    """Axes in reverse order."""
    return shape.permute_dims(self)


def _mT(self: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return shape.matrix_transpose(self)


def _itemsize(self: Tensor) -> int:
    """Bytes of one element."""
    return self.dtype.itemsize


def _nbytes(self: Tensor) -> int | None:
    """Bytes of all elements; None when a dimension is unknown."""
    return None if self.size is None else self.size * self.dtype.itemsize


for _name, _getter in [("T", _T), ("mT", _mT), ("itemsize", _itemsize), ("nbytes", _nbytes)]:
    setattr(Tensor, _name, property(_getter, doc=_getter.__doc__))
