"""The API level: which release's behaviour holds where no spelling can tell.

Examples of such places: log keys (`acc` or `accuracy`), the argument order of `K.categorical_crossentropy`,
the number of epochs of a bare `fit`. The level is `"1.2"`, `"2.2"` or `"2.3"` (default); `"0.3"` is `"1.2"`
with those defaults and formulas of Keras 0.x that were its own (see `is_keras_0`). It is set by `set_api_level`,
for a block by `api_level`, or by the environment variable `KERAS_COMPAT_API` before the first use. This module
imports nothing of the package, so that every part of it may ask.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LEVELS = ("1.2", "2.2", "2.3")
DEFAULT_LEVEL = "2.3"
ENVIRONMENT = "KERAS_COMPAT_API"

_RELEASES = {"1.2.2": "1.2", "2.2.4": "2.2", "2.3.1": "2.3"}


class _Zero(str):
    """The level 1.2 as whoever asks for the level sees it, and "0.3" to the few that ask `is_keras_0`."""


KERAS_0 = _Zero("1.2")

# Two places on purpose: set_api_level must reach threads that run already (data generators), a block must
# not.
_process_level: str | None = None
_block_level: ContextVar[str | None] = ContextVar("keras_compat_api_level", default=None)


def checked_level(level: object, source: str = "set_api_level") -> str:
    """Return `level` as one of `LEVELS`, or "0.3"; the releases 0.3.3, 1.2.2, 2.2.4 and 2.3.1 count as theirs.

    Raises ValueError for anything else, naming `source`.
    """
    if level is KERAS_0 or level in ("0.3", "0.3.3", 0.3):
        return KERAS_0
    text = str(level) if isinstance(level, (str, float)) else None
    text = _RELEASES.get(text, text) if text is not None else None
    if text not in LEVELS:
        raise ValueError(
            f"[{source}] an API level is one of {', '.join(map(repr, LEVELS))}; got {level!r}. "
            "Programs for Keras 0.x and 1.x want '1.2' ('0.3' for the numbers of 0.x), for 2.0 to 2.2 '2.2', for 2.3 "
            "and tf.keras '2.3'."
        )
    return text


def get_api_level() -> str:
    """Return the level in force, one of `LEVELS`: the innermost block's, else the one set, else the environment's."""
    block = _block_level.get()
    if block is not None:
        return block
    if _process_level is None:
        set_api_level(os.environ.get(ENVIRONMENT) or DEFAULT_LEVEL, source=ENVIRONMENT)
    assert _process_level is not None
    return _process_level


def is_keras_0() -> bool:
    """Tell whether the level is "0.3".

    It stands for what Keras 0.x did otherwise than Keras 1: docs/keras.md lists it.
    """
    return get_api_level() is KERAS_0


def set_api_level(level: str, *, source: str = "set_api_level") -> None:
    """Set the level for the whole process, all threads included. Raises ValueError for an unknown level."""
    global _process_level
    _process_level = checked_level(level, source)


@contextmanager
def api_level(level: str) -> Iterator[str]:
    """Hold a level for a `with` block (and for this thread or task only); yields the level."""
    token = _block_level.set(checked_level(level, "api_level"))
    try:
        yield get_api_level()
    finally:
        _block_level.reset(token)
