"""Functions in configs: a text for each function of this process, and back.

``Lambda`` and Keras 1's ``Merge`` hold functions of the user. Keras wrote their byte code into configs and ran what it
read. Here a config holds a name, and no code ever comes out of one. Functions whose name was written in this process
are found again by it, so that copies of a model, and files read by the program that wrote them, need nothing else;
other programs hand them over as ``custom_objects``.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import weakref
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from keras_compat.utils.generic_utils import known_objects

# Text -> what returns the function, or None where it is gone; the latest last.
_written: dict[str, Callable[[], Callable[..., Any] | None]] = {}
_MOST = 1000

# An object that can not be described gets a number: no other one of this process has it, and no other process knows it.
_PROCESS = os.urandom(8).hex()
_numbers = itertools.count()


def text_of(function: Callable[..., Any]) -> str:
    """Return what stands for ``function`` in a config, and remember it.

    A function of a module is its name. One that others could share the name with (a lambda, a function within another,
    a second one of that name) has a digest of its code and of what it encloses behind it: ``'<lambda>@0f3a...'``.
    One that encloses objects such as layers and tensors is remembered for as long as something else holds it.
    """
    name = _name_of(function)
    for text, known in list(_written.items()):
        if known() is function and text.partition("@")[0] == name:
            return text
    plain = name.isidentifier() and getattr(function, "__qualname__", name) == name
    description = _Description()
    digest = description.digest(function)
    text = name if plain and name not in _written else f"{name}@{digest}"
    _written[text] = _weakly(function) if description.has_objects else functools.partial(_itself, function)
    while len(_written) > _MOST:
        _written.pop(next(iter(_written)), None)
    return text


def function_of(text: str, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Any] | None:
    """Return the function that a config calls ``text``, or None.

    What is passed, or registered as a custom object, under the text or under the name alone counts more than what this
    process wrote.
    """
    known = known_objects(custom_objects)
    for key in (text, text.partition("@")[0]):
        if callable(known.get(key)):
            return known[key]
    kept = _written.get(text)
    return kept() if kept is not None else None


def _itself(function: Any) -> Any:
    return function


def _weakly(function: Any) -> Callable[[], Any]:
    """A reference that does not keep a function alive, nor the models that it encloses, where Python can make one."""
    try:
        return weakref.ref(function)
    except TypeError:
        return functools.partial(_itself, function)


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


class _Description:
    """What tells a function, with what it encloses, from others; the same in each run where that is possible."""

    def __init__(self) -> None:
        # Whether there is something in it that only this process knows.
        self.has_objects = False
        self._seen: dict[int, int] = {}

    def digest(self, function: Any) -> str:
        """Of the description, short."""
        return hashlib.sha256(repr(self._of(function)).encode()).hexdigest()[:16]

    def _of(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, type(...))):
            return (type(value).__name__, repr(value))
        if isinstance(value, (tuple, list)):
            return (type(value).__name__, [self._of(v) for v in value])
        if isinstance(value, frozenset):
            return ("frozenset", sorted(repr(self._of(v)) for v in value))
        if isinstance(value, np.ndarray) and value.dtype != object:
            return (value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest())
        if isinstance(value, CodeType):
            # Not where it stands: a file that is moved, or gains a line, holds the same function.
            return (value.co_code, value.co_names, value.co_varnames, [self._of(c) for c in value.co_consts])
        if isinstance(value, ModuleType):
            return ("module", value.__name__)
        if isinstance(value, type) and "<locals>" not in value.__qualname__:
            return ("class", value.__module__, value.__qualname__)
        inside: list[Any] | None = None
        if isinstance(value, dict):
            inside = [part for item in value.items() for part in item]
        elif isinstance(value, functools.partial):
            inside = [value.func, value.args, value.keywords]
        elif hasattr(value, "__code__"):
            cells = [_content(cell) for cell in value.__closure__ or ()]
            owner = getattr(value, "__self__", None)  # of a method
            inside = [value.__code__, value.__defaults__, value.__kwdefaults__, cells, owner]
        if inside is None:
            self.has_objects = True
            return (_PROCESS, next(_numbers))
        if id(value) in self._seen:
            return ("again", self._seen[id(value)])
        self._seen[id(value)] = len(self._seen)
        name = (getattr(value, "__module__", ""), getattr(value, "__qualname__", type(value).__name__))
        return (*name, [self._of(v) for v in inside])


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return None
