"""Python byte code in configs: what wrote it, and, where that is allowed, the function that it stands for.

Keras 1, Keras 2, tf.keras and Keras 3 write the functions of ``Lambda`` layers so. Running it is running whatever the
file's author wrote, with all rights of the user, and byte code of another version of Python crashes the interpreter.
So a function is made only where :mod:`keras_compat.engine.loading` allows it, of this version's code only; which
version it is, is found by reading the marshal format here, in Python, which runs nothing.
"""

from __future__ import annotations

import base64
import binascii
import marshal
import opcode
import struct
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.engine.loading import UnsafeModelError, is_code_allowed

THIS_PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"

# What a code object consists of in the order of each version: numbers, and objects by what they have to be.
_LAYOUTS: tuple[tuple[str, str], ...] = (
    # argcount posonly kwonly stacksize flags | code consts names locals kinds file name qualname | line | table table
    ("Python 3.11 or later", "iiiii btTTbsss i bb"),
    # argcount posonly kwonly nlocals stacksize flags | code consts names varnames free cell file name | line | table
    ("Python 3.8 to 3.10", "iiiiii btTTTTss i b"),
    ("Python 3.0 to 3.7", "iiiii btTTTTss i b"),
    ("Python 2", "iiii btTTTTss i b"),
)
# The first instruction of functions since 3.11, by its number.
_RESUME = {151: "Python 3.11 or 3.12", 149: "Python 3.13", 128: "Python 3.14"}
_MOST_DEPTH = 60
# What functions in Keras programs count on finding, wherever they are made again.
NAMES: Mapping[str, Any] = {"K": K, "backend": K, "np": np}


def is_byte_code(value: Any) -> bool:
    """Tell whether a value in a config has the form in which any Keras writes byte code.

    ``[code, defaults, closure]`` in Keras 1.2 to tf.keras, ``{'class_name': '__lambda__', ...}`` in Keras 3.
    """
    if isinstance(value, Mapping):
        return value.get("class_name") == "__lambda__"
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], (str, bytes))


def function_in(value: Any, layer: str, part: str, names: Mapping[str, Any]) -> Any:
    """The function that byte code in a config stands for.

    Args:
        value: the code as text, or with its defaults and closure, see :func:`is_byte_code`.
        layer: name of the layer, for errors.
        part: which argument of the layer, for errors.
        names: what the function finds as global names, beside ``NAMES``.

    Raises:
        UnsafeModelError: nobody allowed it, or it is of another version of Python.
    """
    code, defaults, closure = _parts(value)
    raw = _bytes(code)
    if not is_code_allowed():
        raise UnsafeModelError(
            f"[Lambda] the {part} of layer {layer!r} is Python byte code ({written_by(raw)}), and code from a file is "
            f"never run unasked. Pass the function: custom_objects={{{layer!r}: function}}. If you trust whoever made "
            "the file with all you have, allow_code=True."
        )
    if not _is_ours(raw):
        raise UnsafeModelError(
            f"[Lambda] the {part} of layer {layer!r} is byte code of {written_by(raw)}, which {THIS_PYTHON} can not "
            f"run. Pass the function: custom_objects={{{layer!r}: function}}."
        )
    made = marshal.loads(raw)
    cells = tuple(types.CellType(v) for v in closure or ())
    if len(cells) != len(made.co_freevars):
        raise UnsafeModelError(
            f"[Lambda] the {part} of layer {layer!r} encloses {', '.join(made.co_freevars)}, which the file does not "
            f"hold. Pass the function: custom_objects={{{layer!r}: function}}."
        )
    return types.FunctionType(made, {**NAMES, **names}, made.co_name, tuple(defaults) if defaults else None, cells)


def written_by(code: Any) -> str:
    """Which Python wrote byte code (bytes, or text as in configs), as far as it tells: 'Python 3.8 to 3.10'."""
    raw = code if isinstance(code, bytes) else _bytes(_parts(code)[0])
    for version, layout in _LAYOUTS:
        parsed = _parsed(raw, layout)
        if parsed is None:
            continue
        if layout is not _LAYOUTS[0][1]:
            return version
        version = next((_RESUME[number] for number in parsed[5][:16:2] if number in _RESUME), version)
        if THIS_PYTHON in version or version.endswith(THIS_PYTHON[-4:]):
            others = [name for name in version.removeprefix("Python ").split(" or ") if name != THIS_PYTHON[7:]]
            return THIS_PYTHON if _fits(parsed) or not others else f"Python {others[0]}"
        return version
    return "no Python that is known here"


def _is_ours(raw: bytes) -> bool:
    """Tell whether this Python wrote the code: the same parts, the same instructions at the places they have here."""
    parsed = _parsed(raw, _LAYOUTS[0][1])
    return parsed is not None and _fits(parsed)


def _fits(parts: Sequence[Any]) -> bool:
    code: bytes = parts[5]
    known = set(opcode.opmap.values())
    caches: Any = getattr(opcode, "_inline_cache_entries", None)
    at = 0
    while at < len(code):
        number = code[at]
        if number not in known or opcode.opname[number] in ("CACHE", "RESERVED"):
            return False
        behind = 0
        if caches is not None:
            behind = caches.get(opcode.opname[number], 0) if isinstance(caches, dict) else caches[number]
        if any(code[at + 2 : at + 2 + 2 * behind : 2]):
            return False
        at += 2 + 2 * behind
    return at == len(code) and all(_fits(inner.parts) for inner in parts[6] if isinstance(inner, _Code))


def _parts(value: Any) -> tuple[Any, Any, Any]:
    """(code, defaults, closure) in any of the forms."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        inner = inner if isinstance(inner, Mapping) else {}
        return inner.get("code"), inner.get("defaults"), inner.get("closure")
    if isinstance(value, (list, tuple)) and len(value) == 3:
        return value[0], value[1], value[2]
    return value, None, None


def _bytes(code: Any) -> bytes:
    """The marshalled code: base64 since Keras 2.0.9, before that a character for each byte."""
    if isinstance(code, bytes):
        return code
    if not isinstance(code, str):
        return b""
    try:
        return base64.b64decode("".join(code.split()).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return code.encode("raw_unicode_escape", "replace")


# -- the marshal format -----------------------------------------------------------------------------------------------


class _Code:
    """A code object that was looked at, not made."""

    def __init__(self, parts: list[Any]):
        self.parts = parts


class _Reader:
    """Reads marshal data by the layout of one version; numbers become numbers, whatever else what it is called."""

    def __init__(self, data: bytes, layout: str):
        self._data = data
        self._layout = layout.replace(" ", "")
        self._is_python_2 = layout == _LAYOUTS[-1][1]
        self._at = 0
        self._refs: list[Any] = []

    @property
    def is_done(self) -> bool:
        return self._at == len(self._data)

    def _take(self, n: int) -> bytes:
        if n < 0 or self._at + n > len(self._data):
            raise ValueError("cut off")
        self._at += n
        return self._data[self._at - n : self._at]

    def _int(self, n: int = 4) -> int:
        return int.from_bytes(self._take(n), "little", signed=n > 1)

    def value(self, depth: int = 0) -> Any:
        if depth > _MOST_DEPTH:
            raise ValueError("too deep")
        mark = self._take(1)[0]
        kind = chr(mark & 0x7F)
        place = len(self._refs)
        if mark & 0x80:
            self._refs.append(None)
        found = self._of_kind(kind, depth)
        if mark & 0x80:
            self._refs[place] = found
        elif kind == "t" and self._is_python_2:
            self._refs.append(found)  # there interned texts are those that others refer to
        return found

    def _of_kind(self, kind: str, depth: int) -> Any:
        if kind in "NFT.S0":
            return {"N": None, "F": False, "T": True}.get(kind, kind)
        if kind == "i":
            return self._int()
        if kind == "I":
            return self._int(8)
        if kind == "l":
            self._take(2 * abs(self._int()))
            return 0
        if kind in "gy":
            return struct.unpack("<d" if kind == "g" else "<dd", self._take(8 if kind == "g" else 16))[0]
        if kind in "fx":
            for _ in range(1 if kind == "f" else 2):
                self._take(self._int(1))
            return 0.0
        if kind in "stuaA":
            found = self._take(self._int())
            return found if kind == "s" or self._is_python_2 else found.decode("utf-8", "replace")
        if kind in "zZ":
            return self._take(self._int(1)).decode("latin1")
        if kind in "([<>":
            return tuple(self.value(depth + 1) for _ in range(self._length()))
        if kind == ")":
            return tuple(self.value(depth + 1) for _ in range(self._int(1)))
        if kind in "rR":
            return self._refs[self._int()]
        if kind == "c":
            return self._code(depth)
        raise ValueError(f"unknown kind {kind!r}")

    def _length(self) -> int:
        n = self._int()
        if not 0 <= n <= len(self._data):
            raise ValueError("cut off")
        return n

    def _code(self, depth: int) -> _Code:
        parts: list[Any] = []
        for kind in self._layout:
            part: Any = self._int() if kind == "i" else self.value(depth + 1)
            wanted: Any = {"i": int, "b": bytes, "t": tuple, "T": tuple, "s": (str, bytes)}[kind]
            if not isinstance(part, wanted) or (kind == "T" and not all(isinstance(one, (str, bytes)) for one in part)):
                raise ValueError("another layout")
            parts.append(part)
        return _Code(parts)


def _parsed(raw: bytes, layout: str) -> list[Any] | None:
    """The parts of marshalled code if it is all of that layout, else None."""
    reader = _Reader(raw, layout)
    try:
        found = reader.value()
    except (ValueError, IndexError, struct.error):
        return None
    return found.parts if isinstance(found, _Code) and reader.is_done else None
