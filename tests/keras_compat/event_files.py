"""Reads TensorBoard's event files, bit by bit and without a table: by TensorFlow's formats, not by our writer."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 3720, one bit after the other."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """Return the checksum as records have it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def records(content: bytes, checked: bool = True) -> Iterator[bytes]:
    """Yield the data of each record, with its checksums compared."""
    place = 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        data = content[place + 12 : place + 12 + length]
        assert len(data) == length, "the last record is not whole"
        if checked:
            assert struct.unpack_from("<I", content, place + 8)[0] == masked(content[place : place + 8])
            assert struct.unpack_from("<I", content, place + 12 + length)[0] == masked(data)
        yield data
        place += 16 + length


def fields(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a protobuf message by number: whole numbers, floats, bytes."""
    found: dict[int, list[Any]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        number = shift = 0
        while True:
            byte = data[place]
            place += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while place < len(data):
        key = varint()
        kind, value = key & 7, None
        if kind == 0:
            value = varint()
            value -= (value >> 63) << 64
        elif kind == 1:
            (value,) = struct.unpack_from("<d", data, place)
            place += 8
        elif kind == 5:
            (value,) = struct.unpack_from("<f", data, place)
            place += 4
        else:
            assert kind == 2
            length = varint()
            value = data[place : place + length]
            place += length
        found.setdefault(key >> 3, []).append(value)
    return found


class Value(NamedTuple):
    """A value of a summary: ``content`` is a number, (limits, counts, numbers), or the bytes of a picture."""

    step: int
    tag: str
    kind: str
    content: Any


def pixels(png: bytes) -> np.ndarray:
    """Return the bytes of a PNG picture without filters, shape (height, width, channels)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        name, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length)[0] == zlib.crc32(name + data)
        chunks[name] = data
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, kind = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, {0: 1, 2: 3, 6: 4}[kind])


def values_of(event: dict[int, list[Any]]) -> Iterator[Value]:
    """Yield the values of an event's summary."""
    step = event.get(2, [0])[0]
    for summary in event.get(5, []):
        for data in fields(summary).get(1, []):
            value = fields(data)
            tag = value[1][0].decode()
            if 2 in value:
                yield Value(step, tag, "simple_value", value[2][0])
            elif 5 in value:
                histogram = fields(value[5][0])
                limits, counts = (list(np.frombuffer(histogram[i][0], "<f8")) for i in (6, 7))
                yield Value(step, tag, "histo", (limits, counts, [histogram[i][0] for i in range(1, 6)]))
            elif 4 in value:
                picture = fields(value[4][0])
                shades = pixels(picture[4][0])
                assert shades.shape == (picture[1][0], picture[2][0], picture[3][0])
                yield Value(step, tag, "image", shades)
            else:
                yield Value(step, tag, "tensor", fields(value[8][0]))


def read(path: Path, checked: bool = True) -> list[dict[int, list[Any]]]:
    """Return the events of a file."""
    return [fields(data) for data in records(path.read_bytes(), checked)]


def read_values(folder: Path, checked: bool = False) -> list[Value]:
    """Return the values in all files of a folder."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in read(path, checked):
            found += values_of(event)
    return found
