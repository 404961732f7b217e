"""Attaches operators and the methods of ``numpy.ndarray`` to Tensor. No operation is defined here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.grad import relink
from autotensor.core.op import apply
from autotensor.core.state import state
from autotensor.core.tensor import Tensor, Variable
from autotensor.errors import GradError, TraceError
from autotensor.ops import autodiff, elementwise, index, linalg, reduce, shape
from autotensor.ops import elementwise as ew


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


_COMPARABLE = (Tensor, int, float, np.ndarray, np.generic, list, tuple)


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
    recorded = state.tracking and self.dtype.kind == "f"
    if recorded and self.tracked and self.node is None:
        raise GradError(
            f"[setitem] {self.name or 'this tensor'} is a leaf that requires gradients; a write would change what the "
            "gradient means. Use y = at.index_update(x, value, index), or write inside no_grad()."
        )
    if recorded and (self.tracked or (isinstance(value, Tensor) and value.tracked)):
        before = object.__new__(Tensor)  # the value so far, which the recorded graph keeps
        before.__dict__.update(self.__dict__)
        if isinstance(value, Tensor) and value.tracked and not self.version:
            # What the value was computed from was this tensor before the write: x[1] = x[0] * w. After the first
            # write, recordings keep the value so far by themselves (see core.op).
            value = value if value is not self else before
            relink([value], {id(self): before})
        after = apply(index.index_update_op, before, value, *arrays, pattern=pattern)
        self.data, self.node, self.index, self.tracked = after.data, after.node, 0, True
        self.version += 1
        return
    new = value.data if isinstance(value, Tensor) else value
    target = self._writable()
    positions = tuple([a.data for a in arrays])
    index.write_at(target, index.key_of(pattern, positions), pattern, positions, new)


_attach("__getitem__", _getitem)
_attach("__setitem__", _setitem)


# -- methods of numpy.ndarray

# Signatures are NumPy's, so that np.sum(tensor) and its like arrive here; ``out`` must be None.


def _no_out(out: Any, name: str) -> None:
    if out is not None:
        raise TypeError(f"[{name}] tensors take no out=; got {type(out).__name__}. Use the result.")


def _sum(self: Tensor, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes."""
    _no_out(out, "sum")
    return reduce.sum(self, axis, keepdims, dtype)


def _mean(self: Tensor, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Tensor:
    """Mean over axes."""
    _no_out(out, "mean")
    return reduce.mean(self, axis, keepdims, dtype)


def _prod(self: Tensor, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Tensor:
    """Product over axes."""
    _no_out(out, "prod")
    return reduce.prod(self, axis, keepdims, dtype)


def _var(
    self: Tensor, axis: Any = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    """Variance over axes."""
    _no_out(out, "var")
    return reduce.var(self if dtype is None else self.astype(dtype), axis, keepdims, ddof=ddof)


def _std(
    self: Tensor, axis: Any = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    """Standard deviation over axes."""
    _no_out(out, "std")
    return reduce.std(self if dtype is None else self.astype(dtype), axis, keepdims, ddof=ddof)


def _reduction(name: str) -> Callable[..., Tensor]:
    function = getattr(reduce, name)

    def method(self: Tensor, axis: Any = None, out: None = None, *, keepdims: bool = False) -> Tensor:
        _no_out(out, name)
        return function(self, axis, keepdims)

    method.__doc__ = function.__doc__
    return method


def _running(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, axis: int | None = None, dtype: Any = None, out: None = None) -> Tensor:
        _no_out(out, function.__name__)
        return function(self, axis, dtype)

    method.__doc__ = function.__doc__
    return method


def _clip(self: Tensor, min: Any = None, max: Any = None, out: None = None) -> Tensor:
    """Elements limited to [min, max]."""
    _no_out(out, "clip")
    return elementwise.clip(self, min, max)


def _round(self: Tensor, decimals: int = 0, out: None = None) -> Tensor:
    """Rounded to decimals, halves to even."""
    _no_out(out, "round")
    return elementwise.round(self, decimals)


def _reshape(self: Tensor, *shape_: Any, order: str = "C") -> Tensor:
    """The same elements in another shape; one size may be -1."""
    if order != "C":
        raise ValueError(f"[reshape] elements are in row order 'C'; got order {order!r}. Transpose before?")
    if len(shape_) == 1 and not isinstance(shape_[0], (int, np.integer)):
        return shape.reshape(self, shape_[0])
    return shape.reshape(self, shape_)


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


def _astype(self: Tensor, dtype: Any, copy: bool = True) -> Tensor:
    """Converted to dtype. Writes to the result never show here."""
    return elementwise.astype(self, dtype)


def _copy(self: Tensor, order: str = "C") -> Tensor:
    """The same values in memory of their own; gradients pass."""
    return ew.copy(self)


def _take(self: Tensor, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Tensor:
    """Slices along an axis at integer indices."""
    _no_out(out, "take")
    if mode != "raise":
        raise ValueError(f"[take] indices out of range raise; got mode {mode!r}. Use clip or % on the indices.")
    return index.take(self, indices, axis)


def _argsort(self: Tensor, axis: int | None = -1, kind: Any = None, order: None = None) -> Tensor:
    """Indices that sort along an axis; always stable."""
    return index.argsort(self, axis)


def _nonzero(self: Tensor) -> tuple[Tensor, ...]:
    """Indices of the elements that are not 0."""
    return index.nonzero(self)


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
    "prod": _prod,
    "var": _var,
    "std": _std,
    "max": _reduction("max"),
    "min": _reduction("min"),
    "argmax": _reduction("argmax"),
    "argmin": _reduction("argmin"),
    "any": _reduction("any"),
    "all": _reduction("all"),
    "cumsum": _running(reduce.cumulative_sum),
    "cumprod": _running(reduce.cumulative_prod),
    "clip": _clip,
    "round": _round,
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
    "dot": _plain(linalg.dot),
    "squeeze": _plain(shape.squeeze),
    "expand_dims": _plain(shape.expand_dims),
    "swapaxes": _plain(shape.swapaxes),
    "repeat": _plain(shape.repeat),
    "diagonal": _plain(shape.diagonal),
    "trace": _plain(shape.trace),
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
