"""What can be wrong with a file."""

from __future__ import annotations

import traceback

from keras_compat.engine.loading import UnsafeModelError as UnsafeModelError


class CorruptFileError(OSError, ValueError):
    """The file is not what it should be: cut off, damaged, or of another kind."""


def raised_by(error: BaseException, package: str, through: tuple[str, ...] = ()) -> bool:
    """Tell whether it was a module of a package that raised an error, or asked one of ``through``, which did."""
    last = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in through:
            last = name
    return last == package
