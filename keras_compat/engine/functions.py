"""Functions in configs: a text for each function of this process, and back.

``Lambda`` and Keras 1's ``Merge`` hold functions of the user. Keras wrote their byte code into configs and ran what it
read. Here a config holds a name, and no code ever comes out of one. Functions whose name was written in this process
are found again by it, so that copies of a model, and files read by the program that wrote them, need nothing else;
other programs hand them over as ``custom_objects``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np

from keras_compat.utils.generic_utils import get_custom_objects

# Text -> function, the latest last. Bounded: a closure may hold a whole model.
_written: dict[str, Callable[..., Any]] = {}
_MOST = 1000

# What an address means, it means in this process only.
_PROCESS = os.urandom(8).hex()


def text_of(function: Callable[..., Any]) -> str:
    """Return what stands for ``function`` in a config, and remember it.

    A function of a module is its name. One that others could share the name with (a lambda, a function within another,
    a second one of that name) has a digest of its code and of what it encloses behind it: ``'<lambda>@0f3a...'``.
    """
    name = _name_of(function)
    for text, known in _written.items():
        if known is function and text.partition("@")[0] == name:
            return text
    plain = name.isidentifier() and getattr(function, "__qualname__", name) == name
    text = name if plain and name not in _written else f"{name}@{_digest(function)}"
    _written[text] = function
    while len(_written) > _MOST:
        del _written[next(iter(_written))]
    return text


def function_of(text: str, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Any] | None:
    """Return the function that a config calls ``text``, or None.

    What is passed, or registered as a custom object, under the text or under the name alone counts more than what this
    process wrote.
    """
    known = {**get_custom_objects(), **(custom_objects or {})}
    for key in (text, text.partition("@")[0]):
        if callable(known.get(key)):
            return known[key]
    return _written.get(text)


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def _digest(function: Any) -> str:
    return hashlib.sha256(repr(_described(function, set())).encode()).hexdigest()[:16]


def _described(value: Any, seen: set[int]) -> Any:
    """What tells a function, or a value it encloses, from others; the same in each run where that is possible."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, type(...))):
        return (type(value).__name__, repr(value))
    if isinstance(value, (tuple, list, frozenset)):
        return (type(value).__name__, [_described(v, seen) for v in value])
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest())
    if isinstance(value, CodeType):
        # Not where it stands: a file that is moved, or gains a line, holds the same function.
        return (value.co_code, value.co_names, value.co_varnames, [_described(c, seen) for c in value.co_consts])
    if hasattr(value, "__code__") and id(value) not in seen:
        seen.add(id(value))
        cells = [_content(cell) for cell in value.__closure__ or ()]
        inside = [value.__code__, value.__defaults__, tuple((value.__kwdefaults__ or {}).items()), cells]
        return (value.__module__, value.__qualname__, [_described(v, seen) for v in inside])
    return (_PROCESS, id(value))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return None
