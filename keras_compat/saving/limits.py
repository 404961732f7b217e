"""How much of anything a file may hold. One place for every number that a hostile file runs into.

Genuine files stay far below each of them; ``max_bytes`` of the loading functions moves the one that data can reach.
"""

from __future__ import annotations

import os
from typing import Any

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError

# Data that a file may claim without storing it: arrays of one value, compressed zeros.
FREE_BYTES = 64 << 20

# What all the data of a file may come to, as a multiple of the file's own size. Weights compress by 10 % or so; zeros
# of an optimizer that has not begun compress a thousandfold, beside weights that do not.
MOST_EXPANSION = 100

# An array whose bytes are not in the file, only the one value that fills it.
MOST_UNSTORED = 1 << 16

MOST_TEXT = 256 << 20  # bytes of one text: JSON of the largest published models has a few million
MOST_DEPTH = 120  # of lists and dictionaries in one another; a model within a model adds four
MOST_NODES = 2_000_000  # values in a config; the largest published models have 100,000
MOST_NAME = 1 << 16  # characters of a key, a class or a function name
MOST_MEMBERS = 10_000  # of an archive
MOST_NAMES = 1_000_000  # of layers, of weights, of the children of a group
MOST_ATTRIBUTE = 64 << 20  # bytes of one attribute


def most_bytes(size: int, max_bytes: int | None) -> int:
    """What the data of a file of ``size`` bytes may come to: ``max_bytes`` where the caller says so."""
    if max_bytes is None:
        return max(FREE_BYTES, MOST_EXPANSION * size)
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0:
        raise ValueError(f"[load] max_bytes is a number of bytes or None; got {max_bytes!r}. For 2 GB write 2 * 10**9.")
    return max_bytes


def path_of(source: Any) -> str:
    """The path that a caller gave, as text.

    Raises:
        TypeError: it is no path.
        CorruptFileError: there is no regular file.
    """
    if not isinstance(source, (str, bytes, os.PathLike)) or not os.fspath(source):
        raise TypeError(
            f"[load] expected a path, a binary stream or an open h5py.File; got {source!r}. Give the name of a file."
        )
    path = os.fsdecode(source)
    if "\0" in path:
        raise CorruptFileError(f"[load] Unable to open file: {path!r} is no name of a file. Check the path.")
    if os.path.isdir(path):
        raise CorruptFileError(
            f"[load] Unable to open file: {shown(path)} is a folder. Was it written by save()? Add the file's name."
        )
    if not os.path.exists(path):
        raise CorruptFileError(f"[load] Unable to open file: {shown(path)} does not exist. Check the path.")
    if not os.path.isfile(path):
        raise CorruptFileError(f"[load] Unable to open file: {shown(path)} is a device or pipe. Copy it to a file.")
    return path


def is_content(source: Any) -> bool:
    """Whether bytes are those of a file. A path may be bytes, too, but holds no zero byte and begins otherwise."""
    if not isinstance(source, (bytes, bytearray)):
        return False
    return not source or b"\0" in source or source.startswith((b"\x89HDF", b"PK\x03\x04"))


def shown(path: str) -> str:
    """A path as an error names it: printable, whatever its bytes."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def content_of(stream: Any) -> bytes:
    """All bytes of a binary stream."""
    data = stream.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise CorruptFileError(
            f"[load] expected a binary stream; got {len(data)} units of {type(data).__name__}. Open it with 'rb'."
        )
    return bytes(data)


def refuse_size(where: str, what: str, claimed: int, allowed: int) -> UnsafeModelError:
    """The error for data that is more than a file may hold."""
    return UnsafeModelError(
        f"[load] {where}: {what} claims {claimed:,} bytes, and {allowed:,} are allowed here. If you trust the file and "
        "have the memory, pass max_bytes=."
    )
