"""Keras 1's names for what a layer was made with: `layer.nb_filter`, `layer.border_mode`, `layer.p`.

A layer keeps its arguments under Keras 2's words. Programs of Keras 1 read them under theirs, most of all subclasses
(`K.conv2d(x, self.W, strides=self.subsample, border_mode=self.border_mode)`). The names and values are those of the
tables, read backwards. What a subclass sets under such a name itself is its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from keras_compat.dialect import tables
from keras_compat.dialect.spec import Spec

# In Keras 2 the name of a weight: a layer answers with that.
_TAKEN = frozenset({"bias"})


class OldAttribute:
    """A name that is read from another one, unless the object has an attribute of its own under it."""

    def __init__(self, word: str, read: Callable[[Any], Any]):
        self.word = word
        self.read = read
        self.__doc__ = f"Keras 1's {word!r} of the layer, read from Keras 2's."

    def __get__(self, layer: Any, owner: type) -> Any:
        # A missing one is an AttributeError that names the new word.
        return self if layer is None else self.read(layer)


def add(cls: type, spec: Spec) -> None:
    """Give a layer class the names of `spec` that it does not have."""
    for word, targets in spec.rename.items():
        if targets:
            _set(cls, word, _renamed(word, targets[0]))
    for gather in spec.gather:
        if gather.how == "tuple":
            for position, part in enumerate(gather.parts):
                _set(cls, part, _item(gather.target, position))
        elif gather.how == "input_shape":
            for part in gather.parts:
                if part in spec.legacy:
                    _set(cls, part, _length_of_input(-1 if part == "input_dim" else 1))


def arguments_of(cls: type, config: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `cls.__init__` from a config in Keras 2's words.

    A subclass of Keras 1 has an `__init__(self, output_dim, ...)` of its own and a `get_config` that adds to that of
    the layer: what its `__init__` names in the old words is handed over under them.
    """
    owner = next(c for c in cls.__mro__ if "__init__" in c.__dict__)
    spec = next((s for c in cls.__mro__ if (s := _spec_of(c)) is not None), None)
    config = dict(config)
    if spec is None or _spec_of(owner) is not None:
        return config
    named = set(inspect.signature(owner.__dict__["__init__"]).parameters)
    for word in sorted(named - set(config)):
        target = next((t for t in spec.rename.get(word, ())[:1] if t in config and t not in named), None)
        if target is not None:
            value = config[target]
            for t in spec.rename[word]:
                config.pop(t, None)
            olds = {new: old for old, new in tables.VALUES.get(word, {}).items()}
            config[word] = olds.get(value, value) if isinstance(value, Hashable) else value
    for gather in spec.gather:
        if gather.how == "tuple" and gather.target in config and named.issuperset(gather.parts):
            config.update(zip(gather.parts, config.pop(gather.target)))
    return config


def _spec_of(cls: type) -> Spec | None:
    return getattr(cls.__dict__.get("__init__"), "dialect_spec", None)


def _set(cls: type, word: str, read: Callable[[Any], Any]) -> None:
    if word not in _TAKEN and not hasattr(cls, word):
        setattr(cls, word, OldAttribute(word, read))


def _renamed(word: str, target: str) -> Callable[[Any], Any]:
    olds: dict[Any, Any] = {}
    for old, new in tables.VALUES.get(word, {}).items():
        olds.setdefault(new, old)

    def read(layer: Any) -> Any:
        value = getattr(layer, target)
        if isinstance(value, tuple) and len(value) == 1:  # lengths of sequences were plain numbers
            value = value[0]
        if tables.KINDS.get(word) == "initializer":
            return _variable_maker(value)
        return olds[value] if olds and value in olds else value

    return read


def _variable_maker(initializer: Any) -> Callable[..., Any]:
    """Return an initializer as Keras 1 had it, a function of a shape and a name that returns a variable."""
    # Looked up as `install` does: the backend asks this package for the level, so it can not be imported here.
    variable = sys.modules[__name__.partition(".")[0] + ".backend"].variable

    def make(shape: Sequence[int], name: str | None = None) -> Any:
        return variable(initializer(tuple(shape)), name=name)

    make.__name__ = getattr(initializer, "__name__", type(initializer).__name__)
    return make


def _length_of_input(axis: int) -> Callable[[Any], Any]:
    """``input_dim`` and ``input_length``: of the first call, or as the constructor was told; else None."""

    def read(layer: Any) -> Any:
        nodes = layer._inbound_nodes
        shape = nodes[0].input_shapes[0] if nodes else getattr(layer, "batch_input_shape", None)
        return None if shape is None else shape[axis]

    return read


def _item(target: str, position: int) -> Callable[[Any], Any]:
    return lambda layer: getattr(layer, target)[position]
