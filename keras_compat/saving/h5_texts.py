"""Whether the library can read the texts of an HDF5 attribute: how long they are, and that their heap is sound.

Texts of variable length lie in heaps, and an attribute holds their places. The library makes room for whatever length
a place claims; thousands of places may name one text, and it would make a copy for each: a file of two megabytes could
ask for sixty gigabytes. In a heap with an entry of no size it looks for the next one for ever (HDF5 2.0). So before it
reads, the attribute's message and the heaps are looked at here, as the HDF5 File Format Specification (III.E, IV.A)
lays them out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MOST_BLOCKS = 1000
_PLACE = struct.Struct("<IQI")  # length, address of the heap, number in it
_ENTRY = struct.Struct("<H6xQ")  # number, size
NOWHERE = (1 << 64) - 1


def text_lengths(file: BinaryIO, address: int, name: str, count: int) -> list[int] | None:
    """Lengths in bytes of the ``count`` texts in the attribute ``name`` of the object at ``address``.

    None where they are not there as they should be: the file is damaged, or laid out as no Keras does it.
    """
    wanted = name.encode() + b"\0"
    try:
        for kind, data in messages(file, address):
            found = _attribute_data(data, wanted) if kind == _ATTRIBUTE else None
            if found is not None and len(found) >= count * _PLACE.size:
                places = [_PLACE.unpack_from(found, i * _PLACE.size) for i in range(count)]
                return [length for length, _, _ in places] if _are_sound(file, places) else None
    except (struct.error, IndexError):
        pass
    return None


def _are_sound(file: BinaryIO, places: list[tuple[int, int, int]]) -> bool:
    """Tell whether each place (length, heap, number) names a text of that length in a heap that can be walked."""
    heaps: dict[int, dict[int, int]] = {}
    for length, heap, number in places:
        if length == 0 and heap in (0, NOWHERE):
            continue
        if heap not in heaps:
            heaps[heap] = _sizes_in(file, heap)
        if heaps[heap].get(number) != length:
            return False
    return True


def _sizes_in(file: BinaryIO, heap: int) -> dict[int, int]:
    """Sizes of the entries of a global heap collection by their numbers. Raises struct.error for a damaged one."""
    head = bytes_at(file, heap, 16)
    if head[:5] != b"GCOL\1":
        raise struct.error
    (size,) = struct.unpack_from("<Q", head, 8)
    block = bytes_at(file, heap, size)
    if len(block) != size:
        raise struct.error
    found: dict[int, int] = {}
    at = 16
    while at + _ENTRY.size <= size:
        number, length = _ENTRY.unpack_from(block, at)
        step = _ENTRY.size + -(-length // 8) * 8 if number else length  # what is free counts its own head
        if step < _ENTRY.size or at + step > size or number in found:
            raise struct.error
        if number:
            found[number] = length
        at += step
    return found


def messages(file: BinaryIO, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield (type, content) of the messages in an object header, of version 1 or 2."""
    start = bytes_at(file, address, 64)
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
        if done > _MOST_BLOCKS or blocks.index((place, length)) < done:
            raise struct.error
        block = bytes_at(file, place, length)
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


def bytes_at(file: BinaryIO, place: int, length: int) -> bytes:
    if length > 1 << 26:
        raise struct.error
    try:
        file.seek(place)
        return file.read(length)
    except (OSError, ValueError, OverflowError):
        raise struct.error from None
