"""How long the texts of an HDF5 attribute are, found without reading them.

Texts of variable length lie in a heap, and an attribute holds their places. Thousands of places may name one text, and
the library would make a copy for each: a file of two megabytes could ask for sixty gigabytes. The library tells the
lengths only by reading, so the attribute's message is looked up here, in the object header as the HDF5 File Format
Specification (sections IV.A and VIII.B) lays it out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from keras_compat.saving.errors import UnsafeModelError

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MOST_BLOCKS = 10_000
_PLACE = struct.Struct("<IQI")  # length, address of the heap, number in it


def text_lengths(file: BinaryIO, address: int, name: str, count: int) -> list[int]:
    """Lengths in bytes of the ``count`` texts in the attribute ``name`` of the object at ``address``.

    Raises:
        UnsafeModelError: they can not be found, as in layouts that no Keras wrote.
    """
    wanted = name.encode() + b"\0"
    try:
        for kind, data in _messages(file, address):
            found = _attribute_data(data, wanted) if kind == _ATTRIBUTE else None
            if found is not None and len(found) >= count * _PLACE.size:
                return [_PLACE.unpack_from(found, i * _PLACE.size)[0] for i in range(count)]
    except (struct.error, IndexError):
        pass
    raise UnsafeModelError(
        f"[load] the texts of the attribute {name!r} could take any memory: their lengths can not be told beforehand. "
        "If you trust the file and have the memory, pass max_bytes=."
    )


def _messages(file: BinaryIO, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield (type, content) of the messages in an object header, of version 1 or 2."""
    start = _bytes(file, address, 64)
    if start[:4] == b"OHDR":
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        blocks = [(address + at + width, int.from_bytes(start[at : at + width], "little"))]
        head = struct.Struct("<BHBH" if flags & 4 else "<BHB")
    else:
        blocks = [(address + 16, struct.unpack_from("<I", start, 8)[0])]
        head = struct.Struct("<HHB3x")
    for done, (place, length) in enumerate(blocks):  # continuations are appended meanwhile
        if done > _MOST_BLOCKS:
            return
        block = _bytes(file, place, length)
        at = 0
        if block[:4] == b"OCHK":
            at, block = 4, block[:-4]
        while at + head.size <= len(block):
            kind, size = head.unpack_from(block, at)[:2]
            data = block[at + head.size : at + head.size + size]
            if kind == _CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", data))
            yield kind, data
            at += head.size + size


def _attribute_data(message: bytes, wanted: bytes) -> bytes | None:
    """The values in an attribute's message, if it is the one of that name."""
    version, _, *sizes = struct.unpack_from("<BBHHH", message)
    at, unit = (9, 1) if version == 3 else (8, 8 if version == 1 else 1)
    if message[at : at + sizes[0]] != wanted:
        return None
    return message[at + sum(-(-size // unit) * unit for size in sizes) :]


def _bytes(file: BinaryIO, place: int, length: int) -> bytes:
    if length > 1 << 26:
        raise struct.error
    try:
        file.seek(place)
        return file.read(length)
    except (OSError, ValueError, OverflowError):
        raise struct.error from None
