"""Plain data in a file: numbers, texts, lists, dictionaries and arrays, exactly as they were, and nothing else.

One JSON text holds the structure and the small values, arrays stand beside it. JSON's own types stand for themselves
where they come back as they were; all else is an object of one entry, named for its type: ``{"tuple": [1, 2]}``,
``{"array": 3}``, the fourth array. Long lists of numbers of one type are stored as arrays. Small arrays of one dtype
are joined into one data set, which takes a tenth of the time of as many data sets.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from keras_compat.callbacks import LogValues
from keras_compat.saving import guard
from keras_compat.saving.errors import CorruptFileError

# Lists of numbers from this length on are stored as arrays.
_LONG = 16
_NUMBERS: dict[type, str] = {int: "<i8", float: "<f8", np.float64: "<f8", np.float32: "<f4"}
_MAPPINGS: dict[str, type[dict[Any, Any]]] = {"dict": dict, "ordered": OrderedDict, "logs": LogValues}
_INT64 = 1 << 63
# Arrays of fewer bytes are joined.
_SMALL = 1 << 16


class NotPlain(TypeError):
    """The value is none of the kinds that are stored."""


class Arrays:
    """The arrays of plain data, on their way into data sets: large ones alone, small ones joined by dtype."""

    def __init__(self) -> None:
        self.large: list[np.ndarray] = []
        self.joined: dict[str, list[np.ndarray]] = {}
        self._lengths: dict[str, int] = {}

    def put(self, array: np.ndarray) -> Any:
        """What stands for the array in JSON."""
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if array.nbytes >= _SMALL:
            self.large.append(array)
            return {"array": len(self.large) - 1}
        kind = array.dtype.str
        start = self._lengths.get(kind, 0)
        self._lengths[kind] = start + array.size
        self.joined.setdefault(kind, []).append(array.reshape(-1))
        return {"part": [kind, start, list(array.shape)]}


def encode(value: Any, arrays: Arrays) -> Any:
    """``value`` as JSON can hold it, with its arrays put into ``arrays``.

    Types count exactly: what is derived from a plain type is not plain.

    Raises:
        NotPlain: it is, or holds, something else.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        if len(value) >= _LONG and type(value[0]) in _NUMBERS and len({type(x) for x in value}) == 1:
            of = type(value[0])
            if of is not int or all(-_INT64 <= x < _INT64 for x in value):
                return {"numbers": [of.__name__, encode(np.array(value, _NUMBERS[of]), arrays)]}
        return [encode(x, arrays) for x in value]
    if kind is np.ndarray and value.dtype.kind in "biufc":
        return arrays.put(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return {"scalar": encode(np.asarray(value), arrays)}
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [encode(x, arrays) for x in value]}
    if kind is deque:
        return {"deque": [value.maxlen, [encode(x, arrays) for x in value]]}
    for name, mapping in _MAPPINGS.items():
        if kind is mapping:
            return {name: [[encode(k, arrays), encode(v, arrays)] for k, v in value.items()]}
    raise NotPlain(f"[state] expected numbers, texts, arrays, and lists and dictionaries of them; got {kind.__name__}.")


def decode(value: Any, arrays: Callable[[str], np.ndarray]) -> Any:
    """What :func:`encode` got; ``arrays`` gives the content of a data set by its name.

    Raises:
        CorruptFileError: it is nothing that ``encode`` makes.
    """
    if isinstance(value, list):
        return [decode(x, arrays) for x in value]
    if not isinstance(value, dict):
        return value
    try:
        ((kind, content),) = value.items()
        if kind == "array":
            return arrays(f"{content:d}")
        if kind == "part":
            of, start, shape = content
            stop = start + math.prod(shape)
            if min(start, *shape, 0) < 0 or stop > len(arrays(of)):
                raise ValueError("a part of an array that is not there")
            return arrays(of)[start:stop].reshape(shape).copy()
        if kind == "scalar":
            return decode(content, arrays)[()]
        if kind == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
        if kind == "numbers":
            of, numbers = content
            return decode(numbers, arrays).tolist() if of in ("int", "float") else list(decode(numbers, arrays))
        if kind in ("tuple", "set", "frozenset"):
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind]([decode(x, arrays) for x in content])
        if kind == "deque":
            return deque(decode(content[1], arrays), content[0])
        return _MAPPINGS[kind]({decode(k, arrays): decode(v, arrays) for k, v in content})
    except CorruptFileError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise CorruptFileError(
            f"[load] expected plain data as this package writes it; got {value!s:.60} ({error}). Is the file whole?"
        ) from None


def write(group: h5py.Group, value: Any) -> None:
    """Write plain data into an empty group of an HDF5 file. Raises NotPlain before anything is written."""
    text, arrays = _content(value)
    group.attrs["content"] = text
    group.attrs["digest"] = _digest(text, arrays).hex()
    for name, array in arrays.items():
        group.create_dataset(name, data=array)


def read(group: Any, what: str) -> Any:
    """The plain data in a group that :func:`write` wrote.

    Raises:
        CorruptFileError: it is not what was written, in whatever bit; names ``what``.
    """
    text = guard.text(group, "content")
    if text is None:
        raise CorruptFileError(f"[load] the {what} in {group.name} is without its content. Is the file whole?")
    arrays: dict[str, np.ndarray] = {}

    def array(name: str) -> np.ndarray:
        if name not in arrays:
            arrays[name] = guard.array(group, name).read()
        return arrays[name]

    value = decode(guard.parse_json(text, what), array)
    if guard.text(group, "digest") != _digest(text, arrays).hex():
        raise CorruptFileError(f"[load] the {what} is not what was written: its digest differs. Is the file whole?")
    return value


def digest(value: Any) -> bytes:
    """A short text that tells whether plain data has changed in any bit. Raises NotPlain."""
    return _digest(*_content(value))


def _content(value: Any) -> tuple[str, dict[str, np.ndarray]]:
    """The JSON text of plain data, and the data sets beside it by their names."""
    arrays = Arrays()
    text = json.dumps(encode(value, arrays), allow_nan=False)
    joined = {kind: np.concatenate(parts) for kind, parts in arrays.joined.items()}
    return text, {**{str(i): array for i, array in enumerate(arrays.large)}, **joined}


def _digest(text: str, arrays: dict[str, np.ndarray]) -> bytes:
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return found.digest()
