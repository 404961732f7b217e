"""What can be wrong with a file."""

from __future__ import annotations

from keras_compat.engine.loading import UnsafeModelError as UnsafeModelError


class CorruptFileError(OSError, ValueError):
    """The file is not what it should be: cut off, damaged, or of another kind."""
