"""The rest of the methods and attributes of ``numpy.ndarray``: those that write, pick, or make no sense of a tensor.

What computes is attached in ``methods``. Methods that write in place do so by value semantics: no other tensor changes.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from autotensor.core.tensor import Tensor, wrap
from autotensor.ops import elementwise as ew
from autotensor.ops import index, numpy_protocol, shape, sorting
from autotensor.ops.creation import operand, zeros_like
from autotensor.ops.numpy_values import FUNCTIONS, store, values_of

__all__: list[str] = []


# -- writing in place


def _sort(self: Tensor, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    """Sort this tensor in place along an axis; gradients follow each element."""
    self[...] = sorting.sort(self, axis=axis)


def _partition(self: Tensor, kth: Any, axis: int = -1, kind: Any = None, order: Any = None) -> None:
    """Put the k-th smallest element in its place, smaller ones before it, larger ones behind; in place."""
    self[...] = FUNCTIONS[np.partition](self, kth, axis)


def _put(self: Tensor, indices: Any, values: Any, mode: str = "raise") -> None:
    """Write values at these places in flat order, repeated as often as needed; in place."""
    n: int = self.size or 0
    places = np.asarray(values_of("put", indices)).ravel().astype(np.int64)
    if mode == "wrap":
        places = places % n
    elif mode == "clip":
        places = np.clip(places, 0, n - 1)
    v = shape.flatten(operand(values))
    if not places.size or v.size == 0:
        return
    v = index.take(v, np.arange(places.size) % (v.size or 1), axis=0)
    flat = index.index_update(shape.flatten(self), ew.astype(v, self.dtype), places)
    self[...] = flat.reshape(self.shape)


class Flat:
    """The elements of a tensor in row order: ``x.flat``. Reads, writes, and goes over them."""

    def __init__(self, x: Tensor):
        self._x = x

    def __getitem__(self, key: Any) -> Tensor:
        return shape.flatten(self._x)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        x = self._x
        part = np.arange(x.size or 0)[values_of("flat", key)]
        v = operand(value)
        if v.ndim and np.ndim(part):
            v = shape.flatten(v)
            v = index.take(v, np.arange(part.size) % (v.size or 1), axis=0).reshape(part.shape)
        x[...] = index.index_update(shape.flatten(x), v, part).reshape(x.shape)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(shape.flatten(self._x))

    def __len__(self) -> int:
        return len(shape.flatten(self._x))

    def copy(self) -> Tensor:
        """All elements in one axis."""
        return shape.flatten(self._x)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return shape.flatten(self._x).__array__(dtype, copy)


def _set_flat(self: Tensor, value: Any) -> None:
    Flat(self)[...] = value


# -- picking


def _argpartition(self: Tensor, kth: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Tensor:
    """Indices that would partition along an axis."""
    return wrap(np.argpartition(self._value("argpartition"), values_of("argpartition", kth), axis))


def _choose(self: Tensor, choices: Any, out: Any = None, mode: str = "raise") -> Tensor:
    """For each element k of this tensor the element of ``choices[k]`` at that place.

    Raises ValueError for a number without a choice.
    """
    tensors = list(choices) if not isinstance(choices, (list, tuple)) else choices
    picks: Any = self
    n = len(tensors)
    if mode == "wrap":
        picks = ew.remainder(self, n)
    elif mode == "clip":
        picks = ew.clip(self, 0, n - 1)
    elif self.data is not None and self.data.size and not (self.data.min() >= 0 and self.data.max() < n):
        raise ValueError(f"[choose] expected numbers from 0 to {n - 1}. Use mode='wrap' or 'clip'?")
    found: Any = tensors[0]
    for k in range(1, n):
        found = ew.where(ew.equal(picks, k), tensors[k], found)
    if n == 1:
        found = ew.where(ew.equal(picks, 0), found, found)
    return store(out, found, "choose")


def _compress(self: Tensor, condition: Any, axis: int | None = None, out: Any = None) -> Tensor:
    """Slices along an axis (elements in flat order without one) where the condition holds."""
    places = np.flatnonzero(values_of("compress", condition))
    x = shape.flatten(self) if axis is None else self
    return store(out, index.take(x, places, axis=0 if axis is None else axis), "compress")


def _searchsorted(self: Tensor, v: Any, side: str = "left", sorter: Any = None) -> Tensor:
    """Where values would go in this sorted vector."""
    return FUNCTIONS[np.searchsorted](self, v, side, sorter)


def _contains(self: Tensor, value: Any) -> bool:
    """True if an element equals the value."""
    return bool((self._value("in") == values_of("in", value)).any())


def _rdivmod(self: Tensor, other: Any) -> Any:
    """The pair other // self, other % self."""
    return other // self, other % self


def _round(self: Tensor, digits: int | None = None) -> Any:
    """round(x, digits) of a tensor; round(x) of one element is an int."""
    return builtins.round(self.item()) if digits is None else ew.round(self, digits)


# -- complex parts


def _real(self: Tensor) -> Tensor:
    """The real part; of a real tensor the tensor itself."""
    return ew.real(self) if self.dtype.kind == "c" else self


def _imag(self: Tensor) -> Tensor:
    """The imaginary part; of a real tensor zeros."""
    return ew.imag(self) if self.dtype.kind == "c" else zeros_like(self)


def _conj(self: Tensor) -> Tensor:
    """Complex conjugate; of a real tensor the tensor itself."""
    return ew.conj(self) if self.dtype.kind == "c" else self


# -- the value as bytes and files


def _tobytes(self: Tensor, order: str = "C") -> bytes:
    """The value as bytes."""
    return self._value("tobytes").tobytes(order)  # type: ignore[arg-type]


def _tofile(self: Tensor, fid: Any, sep: str = "", format: str = "%s") -> None:
    """Write the value to a file as ``numpy.ndarray.tofile`` does."""
    self._value("tofile").tofile(fid, sep, format)


def _dumps(self: Tensor) -> bytes:
    """The pickle of the value, as an array."""
    return self._value("dumps").dumps()


def _dump(self: Tensor, file: Any) -> None:
    """Write the pickle of the value, as an array."""
    self._value("dump").dump(file)


def _strides(self: Tensor) -> tuple[int, ...]:
    """Bytes from one element to the next along each axis, as the value lies in memory now."""
    return self._value("strides").strides


def _flags(self: Tensor) -> Any:
    """How the value lies in memory now. Changing these flags changes nothing."""
    return self._value("flags").view().flags


def _base(self: Tensor) -> None:
    """None: a tensor is never a view of another."""
    return None


# -- what a tensor refuses

_REFUSED = {
    "byteswap": "elements are in native byte order. Use x.numpy().byteswap()",
    "ctypes": "its memory is its own affair. Use x.numpy().ctypes",
    "getfield": "a tensor has no fields. Use x.numpy().getfield(...)",
    "setfield": "a tensor has no fields. Assign to x[...]",
    "setflags": "a tensor decides itself when its memory is shared. Nothing needs to be set",
    "resize": "the shape of a tensor never changes in place. Use y = np.resize(x, shape)",
}


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refused(self: Tensor, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"[{name}] expected an array; got a tensor, and {_REFUSED[name]}.")

    refused.__doc__ = f"Refused (TypeError): {_REFUSED[name]}."
    return refused


def _view(self: Tensor, dtype: Any = None, type: Any = None) -> Tensor:
    """A copy in value semantics (no tensor is a view of another); another dtype is refused (TypeError)."""
    if type is not None or (dtype is not None and dtype is not np.ndarray and np.dtype(dtype) != self.dtype):
        raise TypeError(
            f"[view] the bytes of a tensor are not read as another type; got {dtype or type}. "
            "Use x.astype(dtype) for the values, x.numpy().view(dtype) for the bytes."
        )
    return ew.copy(self)


for _name, _method in {
    "sort": _sort, "partition": _partition, "put": _put, "argpartition": _argpartition, "choose": _choose,
    "compress": _compress, "searchsorted": _searchsorted, "conj": _conj, "conjugate": _conj, "tobytes": _tobytes,
    "tofile": _tofile, "dumps": _dumps, "dump": _dump, "view": _view, "__contains__": _contains,
    "__rdivmod__": _rdivmod,
    "__round__": _round, **{name: _refusal(name) for name in _REFUSED if name != "ctypes"},
}.items():  # fmt: skip
    _method.__name__ = _name
    _method.__qualname__ = f"Tensor.{_name}"
    setattr(Tensor, _name, _method)

for _name, _getter in [
    ("real", _real), ("imag", _imag), ("strides", _strides), ("flags", _flags), ("base", _base),
    ("ctypes", _refusal("ctypes")),
]:  # fmt: skip
    setattr(Tensor, _name, property(_getter, doc=_getter.__doc__))
Tensor.flat = property(Flat, _set_flat, doc="The elements in row order, to read, write and go over.")  # type: ignore[attr-defined]

numpy_protocol.attach()
