"""Decorators by which Keras 2 taught single functions the words of Keras 1.

Every function and class of this package knows both anyway. Programs use them for their own: an optimizer's
``get_updates``, a layer whose arguments were renamed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any


def generate_legacy_interface(
    allowed_positional_args: Iterable[str] | None = None,
    conversions: Iterable[tuple[str, str]] | None = None,
    preprocessor: Callable[[tuple, dict], tuple] | None = None,
    value_conversions: dict[str, dict[Any, Any]] | None = None,
    object_type: str = "class",
) -> Callable[[Callable], Callable]:
    """Return a decorator for a function that renames old keyword arguments.

    Args:
        allowed_positional_args: names of the arguments that may be given without a name, in their order.
        conversions: pairs (old word, new word).
        preprocessor: called first with the positional and the keyword arguments; returns both and a list of new words.
        value_conversions: {new word: {old value: new value}}.
        object_type: 'class' for a constructor, else a method or function (the first argument is never counted).
    """
    renames = dict(conversions or ())
    allowed = None if allowed_positional_args is None else list(allowed_positional_args)

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            name = type(args[0]).__name__ if object_type == "class" and args else function.__name__
            if preprocessor is not None:
                args, kwargs, _ = preprocessor(args, kwargs)
            for old, new in renames.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"[{name}] {new} is given twice, as {old}= and {new}=. Keep one of them.")
                    kwargs[new] = kwargs.pop(old)
            for word, values in (value_conversions or {}).items():
                given = kwargs.get(word)
                if isinstance(given, (str, int, float, bool)) and given in values:
                    kwargs[word] = values[given]
            if allowed is not None and len(args) > len(allowed) + 1:
                raise TypeError(
                    f"[{name}] expected at most {len(allowed)} positional arguments ({', '.join(allowed)}); got "
                    f"{len(args) - 1}. Name the others."
                )
            return function(*args, **kwargs)

        return call

    return decorate


def _get_updates_arguments(args: tuple, kwargs: dict[str, Any]) -> tuple:
    # Keras 1: get_updates(params, constraints, loss). Keras 2: get_updates(loss, params).
    words = ["params", "constraints", "loss"] if len(args) > 3 or "constraints" in kwargs else ["loss", "params"]
    given = {**dict(zip(words, args[1:])), **kwargs}
    given.pop("constraints", None)
    return args[:1], given, []


legacy_get_updates_support = generate_legacy_interface(
    allowed_positional_args=None, preprocessor=_get_updates_arguments, object_type="method"
)
