"""``.npz`` files: arrays of numbers and texts; arrays of objects as far as they are numbers, texts and lists.

Data sets of Keras's time (IMDB, Reuters) hold arrays of lists, which NumPy stores as pickles. A pickle is a program;
the reader here gives it three words, by which nothing but plain arrays can be made, and checks each before it is made.
"""

from __future__ import annotations

import io
import math
import pickle
import tokenize
from typing import Any

import numpy as np

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError
from keras_compat.saving.guard_zip import open_zip
from keras_compat.saving.limits import MOST_UNSTORED, most_bytes, refuse_size

# What NumPy calls itself in pickles: up to 1.x, and since 2.0.
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core", "numpy._core")


def load_npz(source: Any, max_bytes: int | None = None, *, objects: bool = True) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file; arrays of objects only of plain data (numbers, texts, lists).

    Args:
        source: a path, bytes or a binary stream.
        max_bytes: what all arrays may come to; by default a hundred times the size of the file.
        objects: whether there may be arrays of objects at all.

    Raises:
        CorruptFileError: no such file, no archive, or damaged.
        UnsafeModelError: an array asks for anything but plain data, or for more memory than is allowed.
    """
    with open_zip(source, max_bytes) as archive:
        found: dict[str, np.ndarray] = {}
        for name in archive.names:
            if name.endswith(".npy"):
                what = f"{name!r} of {archive.name}"
                found[name.removesuffix(".npy")] = load_npy(archive.read(name), what, max_bytes, objects=objects)
        return found


def load_npy(data: bytes, what: str, max_bytes: int | None = None, *, objects: bool = True) -> np.ndarray:
    """The array in the bytes of an ``.npy`` file; see :func:`load_npz`."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"version {version}")
        shape, fortran, dtype = read(stream)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, EOFError, tokenize.TokenError) as error:
        raise CorruptFileError(f"[load_npz] {what} is no array ({error}). Is the file whole?") from None
    rest = memoryview(data)[stream.tell() :]
    count = math.prod(shape)
    if any(n < 0 for n in shape):
        raise CorruptFileError(f"[load_npz] {what} claims the shape {shape}. Is the file whole?")
    if dtype.hasobject and not objects:
        raise UnsafeModelError(f"[load_npz] {what} is a pickle of objects; expected numbers.")
    if dtype.hasobject:
        found = _unpickled(bytes(rest), what, most_bytes(len(data), max_bytes))
        if not isinstance(found, np.ndarray) or found.shape != tuple(shape):
            raise CorruptFileError(f"[load_npz] {what} does not hold the array it announces. Is the file whole?")
        return found
    if dtype.kind not in "biufcSUMm":
        raise UnsafeModelError(f"[load_npz] {what} holds {dtype}; expected numbers or texts.")
    claimed = count * max(dtype.itemsize, 1)  # NumPy gives a byte to texts of none
    if claimed > max(len(rest), MOST_UNSTORED if dtype.itemsize == 0 else 0):
        raise UnsafeModelError(
            f"[load_npz] {what} claims {claimed:,} bytes and holds {len(rest):,}. Is the file whole?"
        )
    flat = np.frombuffer(rest, dtype, count=count) if count and dtype.itemsize else np.zeros(count, dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def load_pickle(data: bytes, what: str, max_bytes: int | None = None) -> Any:
    """What a pickle of plain data says (data sets of Keras 0.x and 1, CIFAR); nothing in it is called.

    Texts of Python 2 are read byte for byte, as latin-1. Errors as those of :func:`load_npz`.
    """
    return _unpickled(data, what, most_bytes(len(data), max_bytes))


def _unpickled(data: bytes, what: str, most: int) -> Any:
    try:
        reader = _Reader(io.BytesIO(data), encoding="latin1")
        reader.most = most
        return _plain(reader.load(), {})
    except UnsafeModelError as error:
        raise UnsafeModelError(f"[load_npz] {what}: {error}") from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError) as error:
        raise CorruptFileError(f"[load_npz] {what} can not be read ({error}). Is the file whole?") from None
    except (AttributeError, RecursionError, OverflowError, MemoryError, AssertionError) as error:
        raise UnsafeModelError(f"[load_npz] {what} is no array of plain data ({error}).") from None


class _Reader(pickle.Unpickler):
    """Knows the words that an array of objects is written with, each as a stand-in that makes only what it should."""

    most = 0

    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in ("_reconstruct", "scalar", "ndarray", "dtype"):
            return _Word(name, self.most)
        if (module, name) == ("_codecs", "encode"):  # bytes, as protocol 2 writes them
            return _Word(name, self.most)
        raise UnsafeModelError(f"expected plain data; it asks for {module}.{name}, which is never called.")

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafeModelError("expected plain data; it asks for an object from outside.")


class _Word:
    """A name of NumPy's in a pickle. It has no attributes that a pickle could set."""

    __slots__ = ("_most", "_name")

    def __init__(self, name: str, most: int):
        self._name = name
        self._most = most

    def __setstate__(self, state: Any) -> None:
        raise UnsafeModelError("expected plain data; it changes what reads it.")

    def __call__(self, *arguments: Any) -> Any:
        if self._name == "encode" and len(arguments) in (1, 2):
            text, encoding = (*arguments, "latin1")[:2]
            if isinstance(text, str) and encoding in ("latin1", "utf-8", "utf8", "ascii"):
                return text.encode(encoding)
        if self._name == "dtype" and arguments and isinstance(arguments[0], str):
            return _Type(arguments[0])
        if self._name == "_reconstruct" and len(arguments) == 3:
            return _Stored(self._most)
        if self._name == "scalar" and arguments and isinstance(arguments[0], _Type):
            raw = _raw(arguments[1]) if len(arguments) > 1 else b""
            return np.frombuffer(raw, arguments[0].dtype, count=1)[0]
        raise UnsafeModelError(f"expected plain data; it calls {self._name} in a way that NumPy does not.")


class _Type:
    """A dtype in a pickle: a kind and a size from its name, an order of bytes from its state."""

    __slots__ = ("dtype",)

    def __init__(self, name: str):
        found = np.dtype(name) if len(name) <= 12 and name.lstrip("<>|=")[:1] in tuple("biufcSUaO") else None
        if found is None or found.kind not in "biufcSUO":
            raise UnsafeModelError(f"expected numbers and texts; it holds elements of type {name!r:.60}.")
        self.dtype = found

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "|"
        byte_order: Any = order.decode("latin1") if isinstance(order, bytes) else order
        if isinstance(state, tuple) and any(part is not None for part in state[2:5]):
            raise UnsafeModelError("expected numbers and texts; it holds elements with parts.")
        if self.dtype.kind in "SU" and isinstance(state, tuple) and len(state) > 5 and isinstance(state[5], int):
            size = state[5]
            if not 0 <= size <= 1 << 20:
                raise UnsafeModelError(f"expected numbers and texts; it holds texts of {size:,} bytes each.")
            self.dtype = np.dtype((self.dtype.type, size // 4 if self.dtype.kind == "U" else size))
        if byte_order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(byte_order)


class _Stored:
    """An array in a pickle, made when all that it holds is there."""

    __slots__ = ("_most", "value")

    def __init__(self, most: int):
        self._most = most
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], _Type)):
            raise UnsafeModelError("expected plain data; an array in it is not as NumPy writes them.")
        _, shape, kind, fortran, content = state
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 48 for n in shape):
            raise UnsafeModelError(f"expected plain data; an array in it has the shape {shape!r:.60}.")
        count = math.prod(shape)
        if count * max(kind.dtype.itemsize, 1) > self._most:
            raise refuse_size("the file", "an array", count * kind.dtype.itemsize, self._most)
        order: Any = "F" if fortran else "C"
        if kind.dtype.kind == "O":
            if not isinstance(content, list) or len(content) != count:
                raise UnsafeModelError("expected plain data; an array holds another number of values than it claims.")
            flat = np.empty(count, object)
            for i, one in enumerate(content):
                flat[i] = one
            self.value = flat.reshape(tuple(shape))  # NumPy lists objects in C's order, whatever the array's
            if fortran:
                self.value = np.asfortranarray(self.value)
        else:
            raw = _raw(content)
            if len(raw) != count * kind.dtype.itemsize:
                raise UnsafeModelError("expected plain data; an array holds another number of bytes than it claims.")
            flat = np.frombuffer(raw, kind.dtype, count=count) if raw else np.zeros(count, kind.dtype)
            self.value = flat.reshape(shape, order=order).copy()


def _raw(content: Any) -> bytes:
    """Bytes, which Python 2 wrote as text."""
    if isinstance(content, str):
        return content.encode("latin1")
    if isinstance(content, bytes):
        return content
    raise UnsafeModelError("expected plain data; the numbers of an array are no bytes.")


# A list of nothing else is looked at fast: data sets hold millions of numbers.
_SIMPLE = frozenset({int, float, bool, str, bytes, type(None)})


def _plain(value: Any, done: dict[int, Any], depth: int = 0) -> Any:
    """What was read, with arrays in the place of what stood for them."""
    if depth > 50:
        raise UnsafeModelError("expected plain data; it is nested more than fifty deep.")
    if isinstance(value, (_Word, _Type)):
        raise UnsafeModelError("expected plain data; it holds a name of NumPy's.")
    if isinstance(value, _Stored):
        if value.value is None:
            raise UnsafeModelError("expected plain data; an array in it was never filled.")
        value = value.value
    if isinstance(value, (np.ndarray, list, dict)):
        if id(value) in done:
            return value
        done[id(value)] = value
    if isinstance(value, np.ndarray) and value.dtype == object:
        flat = value.flat
        for i in range(value.size):
            if not isinstance(flat[i], (int, float, str)):
                flat[i] = _plain(flat[i], done, depth + 1)
    elif isinstance(value, list):
        if not _SIMPLE.issuperset(map(type, value)):
            for i, one in enumerate(value):
                value[i] = _plain(one, done, depth + 1)
    elif isinstance(value, tuple):
        return tuple(_plain(one, done, depth + 1) for one in value)
    elif isinstance(value, dict):
        for key in list(value):
            value[key] = _plain(value[key], done, depth + 1)
    return value
