"""What can be wrong with a file."""

from __future__ import annotations


class UnsafeModelError(ValueError):
    """The file asks for something that loading never does: run code, open other files, take memory without end."""


class CorruptFileError(OSError, ValueError):
    """The file is not what it should be: cut off, damaged, or of another kind."""
