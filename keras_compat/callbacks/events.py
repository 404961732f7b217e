"""TensorBoard's event files, written without TensorFlow.

A file is a row of records: the length of the data (8 bytes), its checksum, the data, their checksum. The checksums are
CRC-32C, turned and shifted as TensorFlow does it ("masked"), and the data is an ``Event`` in protobuf's wire format.
Field numbers are those of TensorFlow's ``event.proto``, ``summary.proto``, ``graph.proto`` and what they include.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_compat.callbacks.log_file import LogFile

# -- protobuf ---------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """A whole number in protobuf's variable length: seven bits a byte, negative ones as 64 bits."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def whole(field: int, number: int) -> bytes:
    """A field with a whole number or a truth value."""
    return varint(field << 3) + varint(int(number))


def double(field: int, number: float) -> bytes:
    """A field with a float64."""
    return varint(field << 3 | 1) + struct.pack("<d", number)


def single(field: int, number: float) -> bytes:
    """A field with a float32."""
    return varint(field << 3 | 5) + np.float32(number).tobytes()


def block(field: int, content: bytes | str) -> bytes:
    """A field with a text, bytes, a message or packed numbers."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def _doubles(numbers: Sequence[float]) -> bytes:
    return np.asarray(numbers, "<f8").tobytes()


# -- records ----------------------------------------------------------------------------------------------------------


def _table() -> list[int]:
    """Checksums of single bytes: the remainders by the Castagnoli polynomial, bits in reverse order."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of bytes, as in RFC 3720."""
    crc, table = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """Data as one record of a file."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


# -- values of a summary ----------------------------------------------------------------------------------------------


def scalar(tag: str, value: float) -> bytes:
    """A number under a tag; it is stored as float32."""
    return block(1, block(1, tag) + single(2, value))


_LARGEST = sys.float_info.max


def _limits() -> np.ndarray:
    """Upper limits of the bins of all histograms: 10 % apart from 1e-12 to 1e20, in both directions, and 0."""
    up = [1e-12]
    while up[-1] * 1.1 < 1e20:
        up.append(up[-1] * 1.1)
    up.append(_LARGEST)
    return np.array([*[-limit for limit in reversed(up)], 0.0, *up])


_LIMITS = _limits()


class Histogram:
    """How often values fall into TensorFlow's bins. They come in any number of arrays; only finite ones count."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(_LIMITS), np.int64)
        self.least, self.most = _LARGEST, -_LARGEST  # as TensorFlow has them where there is no value
        self.total = self.squares = 0.0

    def add(self, values: Any) -> None:
        """Count the values of an array."""
        flat = np.asarray(values, np.float64).ravel()
        flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        # A value lies in the first bin whose limit is above it.
        bins = np.minimum(np.searchsorted(_LIMITS, flat, side="right"), len(_LIMITS) - 1)
        self.counts += np.bincount(bins, minlength=len(_LIMITS))
        self.least, self.most = min(self.least, float(flat.min())), max(self.most, float(flat.max()))
        with np.errstate(over="ignore"):
            self.total += float(flat.sum())
            self.squares += float(np.square(flat).sum())

    def bins(self) -> tuple[list[float], list[int]]:
        """Upper limits and counts; neighbouring bins without values are one."""
        limits: list[float] = []
        counts: list[int] = []
        for limit, count in zip(_LIMITS.tolist(), self.counts.tolist()):
            if counts and not count and not counts[-1]:
                limits[-1] = limit
            else:
                limits.append(limit)
                counts.append(count)
        return limits, counts

    def message(self) -> bytes:
        """The histogram as TensorFlow's HistogramProto."""
        limits, counts = self.bins()
        numbers = (self.least, self.most, float(self.counts.sum()), self.total, self.squares)
        out = b"".join(double(i, number) for i, number in enumerate(numbers, 1))
        return (
            out
            + block(6, struct.pack(f"<{len(limits)}d", *limits))
            + block(7, struct.pack(f"<{len(counts)}d", *counts))
        )


def histogram(tag: str, values: Histogram) -> bytes:
    """A histogram under a tag."""
    return block(1, block(1, tag) + block(5, values.message()))


def _shades(picture: np.ndarray) -> np.ndarray:
    """Numbers as shades from 0 to 255, as TensorFlow maps them: the largest is 255, or 127 away from 128 for zero.

    Pictures of bytes stay as they are. What is not finite is red, in grey pictures white.
    """
    if picture.dtype == np.uint8:
        return picture
    picture = np.asarray(picture, np.float32)
    finite = np.isfinite(picture).all(axis=-1, keepdims=True)
    inside = np.where(finite, picture, np.float32(0))
    least, most = inside.min(initial=0), inside.max(initial=0)
    size = max(-least, most)
    one = np.float32(255 if least >= 0 else 127)
    scale = np.float32(0) if size < 1e-6 else one / size
    shades = (inside * scale + np.float32(0 if least >= 0 else 128)).astype(np.uint8)
    return np.where(finite, shades, np.array([255, 0, 0, 255][: shades.shape[-1]], np.uint8))


def png(picture: np.ndarray) -> bytes:
    """A picture as a PNG file.

    Args:
        picture: bytes of shape (height, width, channels), with 1 (grey), 3 (colours) or 4 channels (and opacity).
    """
    height, width, channels = picture.shape
    kind = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with the number of its filter, 0
    rows[:, 1:] = picture.reshape(height, -1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def image(tag: str, picture: np.ndarray) -> bytes:
    """A picture of shape (height, width, channels) under a tag."""
    shades = _shades(picture)
    height, width, channels = shades.shape
    message = whole(1, height) + whole(2, width) + whole(3, channels) + block(4, png(shades))
    return block(1, block(1, tag) + block(4, message))


def images(tag: str, pictures: np.ndarray, most: int = 3) -> bytes:
    """The first ``most`` of pictures, shape (number, height, width, channels), under the tags that TensorFlow gives."""
    return b"".join(image(f"{tag}/image/{i}", picture) for i, picture in enumerate(pictures[:most]))


def model_json(text: str) -> bytes:
    """The JSON of a Keras model, for the conceptual graph of TensorBoard's Graphs tab."""
    tensor = whole(1, 7) + block(2, b"") + block(8, text)  # a scalar of texts
    metadata = block(1, block(1, "graph_keras_model") + block(2, "1"))
    return block(1, block(1, "keras") + block(9, metadata) + block(8, tensor))


# -- graphs -----------------------------------------------------------------------------------------------------------

_TYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}


def _shape(shape: Sequence[int | None] | None) -> bytes:
    if shape is None:
        return whole(3, 1)
    return b"".join(block(2, whole(1, -1 if size is None else size)) for size in shape)


def graph_node(
    name: str,
    op: str,
    inputs: Iterable[str] = (),
    shapes: Sequence[Sequence[int | None] | None] = (),
    dtype: str = "float32",
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """A node of a graph; slashes in its name are boxes to open.

    Args:
        inputs: names of the nodes it takes values from.
        shapes: of its outputs; None is an unknown number of axes, or an unknown length.
        texts: more to show of it.
    """
    values = {"dtype": whole(6, _TYPES.get(dtype, 0)), **{key: block(2, text) for key, text in (texts or {}).items()}}
    if shapes:
        values["_output_shapes"] = block(1, b"".join(block(7, _shape(shape)) for shape in shapes))
    message = block(1, name) + block(2, op) + b"".join(block(3, source) for source in inputs)
    return block(1, message + b"".join(block(5, block(1, key) + block(2, value)) for key, value in values.items()))


def graph(nodes: Iterable[bytes]) -> bytes:
    """A graph of nodes, as TensorFlow's GraphDef."""
    return b"".join(nodes) + block(4, whole(1, 27))


# -- files ------------------------------------------------------------------------------------------------------------

_numbers = itertools.count()


class EventWriter:
    """A file of events in a folder, which is made if need be.

    Args:
        folder: that TensorBoard looks into.
        owner: name of the callback, for warnings.

    Raises:
        OSError: the folder or the file can not be made for another reason than a full disk.
    """

    def __init__(self, folder: Any, owner: str = "TensorBoard"):
        folder = os.fspath(folder)
        os.makedirs(folder, exist_ok=True)
        host = socket.gethostname() or "localhost"
        # Two writers of one second and process have two files.
        name = f"events.out.tfevents.{int(time.time()):010d}.{host}.{os.getpid()}.{next(_numbers)}"
        self.path = os.path.join(folder, name)
        self._file = LogFile(self.path, owner)
        self._write(0, block(3, "brain.Event:2"))

    @property
    def closed(self) -> bool:
        """Nothing more is written."""
        return self._file.closed

    def _write(self, step: int, content: bytes) -> None:
        event = double(1, time.time()) + (whole(2, step) if step else b"") + content
        self._file.write(record(event))

    def add_summary(self, values: bytes, step: int) -> None:
        """Write values, joined, of a step."""
        if values:
            self._write(step, block(5, values))

    def add_graph(self, nodes: Iterable[bytes]) -> None:
        """Write a graph."""
        self._write(0, block(4, graph(nodes)))

    def go_on_from(self, step: int) -> None:
        """Say that steps from here on are written again: TensorBoard drops what other files have of them."""
        self._write(step, block(7, whole(1, 1)))

    def close(self) -> None:
        """Close the file; a second time changes nothing."""
        self._file.close()
