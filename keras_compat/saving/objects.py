"""The state of objects that programs bring to training: callbacks, sequences of batches, iterators.

An object with ``get_state()`` and ``set_state(state)`` says itself what its state is. Of others it is what has changed
of their attributes since training began, as far as it is plain data (see ``saving.plain``) but texts: a file must not
tell where a program writes. Variables and random generators among the attributes keep their identity and get their
state back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.saving import plain
from keras_compat.saving.errors import CorruptFileError
from keras_compat.utils.generic_utils import warn


class _Holder(NamedTuple):
    """A kind of object that holds state, and how to read and set it."""

    kind: type
    read: Callable[[Any], Any]
    set: Callable[[Any, Any], None]


def _set_variable(variable: at.Variable, value: Any) -> None:
    if np.shape(value) != tuple(variable.shape):
        raise ValueError(f"the Variable {variable.name} has shape {variable.shape}, the value {np.shape(value)}")
    K.set_value(variable, value)


def _set_bits(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


_HOLDERS = (
    _Holder(at.Variable, lambda v: np.array(K.get_value(v)), _set_variable),
    _Holder(at.random.Generator, at.random.Generator.get_state, at.random.Generator.set_state),
    _Holder(np.random.RandomState, lambda r: r.get_state(legacy=False), np.random.RandomState.set_state),
    _Holder(np.random.Generator, lambda r: r.bit_generator.state, _set_bits),
    _Holder(random.Random, random.Random.getstate, random.Random.setstate),
)


def _holder(value: Any) -> _Holder | None:
    return next((holder for holder in _HOLDERS if isinstance(value, holder.kind)), None)


def _holds_text(value: Any) -> bool:
    """Whether there are texts among the values; names in dictionaries do not count."""
    if isinstance(value, Mapping):
        return any(_holds_text(v) for v in value.values())
    if isinstance(value, Collection) and not isinstance(value, (str, np.ndarray)):
        return any(_holds_text(v) for v in value)
    return isinstance(value, str)


def _digests(values: Mapping[str, Any]) -> dict[str, bytes]:
    """A digest of each of some values; what is no plain data has none."""
    found: dict[str, bytes] = {}
    for name, value in values.items():
        try:
            found[name] = plain.digest(value)
        except plain.NotPlain:
            continue
    return found


class Kept:
    """An object whose state goes into a file and comes back from it.

    Make it before training begins; call ``begun`` when the object has been told that it does.

    Args:
        thing: the object.
        without: names of attributes that are none of its state.
    """

    def __init__(self, thing: Any, without: Collection[str] = ()):
        self.thing = thing
        self.without = without
        self.name = type(thing).__name__
        self._by_itself = callable(getattr(thing, "get_state", None)) and callable(getattr(thing, "set_state", None))
        self._marks = [_digests(self._attributes())]
        self._warned: set[str] = set()

    def begun(self) -> None:
        """Take what the object is from here on as the beginning, too."""
        self._marks.append(_digests(self._attributes()))

    def _attributes(self) -> dict[str, Any]:
        """Values by the names of attributes; of what holds state, its state. {} where the object tells it itself."""
        found: dict[str, Any] = {}
        if self._by_itself:
            return found
        for name, value in getattr(self.thing, "__dict__", {}).items():
            if name not in self.without:
                holder = _holder(value)
                found[name] = value if holder is None else holder.read(value)
        return found

    def state(self) -> Any:
        """The state as plain data; {} where there is none."""
        if self._by_itself:
            return {"own": self.thing.get_state()}
        values = self._attributes()
        now = _digests(values)
        changed = [name for name, mark in now.items() if any(before.get(name) != mark for before in self._marks)]
        kept = {}
        for name in changed:
            if _holder(getattr(self.thing, name, None)) is None and _holds_text(values[name]):
                self._warn_of_text(name)
            else:
                kept[name] = values[name]
        return {"attributes": kept} if kept else {}

    def _warn_of_text(self, name: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warn(
                f"The state of {self.name} is stored without its attribute {name!r}: texts of a file are not trusted. "
                "If training needs it, give the class get_state() and set_state(state)."
            )

    def check(self, state: Any) -> None:
        """Raise CorruptFileError where ``restore`` could not set a state."""
        if not isinstance(state, dict) or set(state) - {"own", "attributes"}:
            raise CorruptFileError(
                f"[restore] expected the state of {self.name}; got {state!r:.60}. Is the file whole?"
            )
        if "own" in state and not self._by_itself:
            raise CorruptFileError(
                f"[restore] the state of {self.name} was made by its get_state(); it has no set_state() now. Is it the "
                "same class?"
            )
        for name, value in state.get("attributes", {}).items():
            known = getattr(type(self.thing), name, None)
            if not str(name).isidentifier() or name.startswith("__") or name in self.without or _is_code(known):
                raise CorruptFileError(
                    f"[restore] {name!r:.40} is no state of {self.name}. Is it the file of this class?"
                )
            if _holds_text(value) and _holder(getattr(self.thing, name, None)) is None:
                raise CorruptFileError(f"[restore] {self.name}.{name} holds a text; states have none.")

    def restore(self, state: Any) -> None:
        """Bring the object to a state. Raises CorruptFileError for what is none."""
        self.check(state)
        if "own" in state:
            self.thing.set_state(state["own"])
        for name, value in state.get("attributes", {}).items():
            present = getattr(self.thing, name, None)
            holder = _holder(present)
            if holder is None:
                if not _put_into(present, value):
                    setattr(self.thing, name, value)
                continue
            try:
                holder.set(present, value)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise CorruptFileError(
                    f"[restore] the state of {self.name}.{name} does not fit: {error}. Is it the file of this program?"
                ) from error


def _put_into(present: Any, value: Any) -> bool:
    """Put the content of a value into the list, dictionary or array that is there, which others may hold too."""
    if type(present) is not type(value):
        return False
    if isinstance(present, list):
        present[:] = value
    elif isinstance(present, dict):
        present.clear()
        present.update(value)
    elif (
        isinstance(present, np.ndarray)
        and (present.dtype, present.shape) == (value.dtype, value.shape)
        and present.flags.writeable
    ):
        np.copyto(present, value)
    else:
        return False
    return True


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, property)
