"""Whether the library can walk a group or a chunked array of an HDF5 file: its trees end, and have no rounds.

The library trusts the trees by which old-style groups and chunked arrays find their parts. A node that is its own child
makes it run out of stack, which ends the process; one that is its own neighbour keeps it busy for ever (HDF5 2.0). So
the trees of an object are looked through here before the library sees them, as the HDF5 File Format Specification
(II.A, III.A.1, IV.A) lays them out.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from keras_compat.saving.h5_texts import NOWHERE, bytes_at, messages

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_LAYOUT, _SYMBOL_TABLE = 0x08, 0x11
_NODE = struct.Struct("<4sBBHQQ")  # signature, type, level, entries, neighbours
_MOST_NODES = 1_000_000


def root_of(file: BinaryIO) -> int | None:
    """Address of the root group, or None where the file does not begin as Keras's do."""
    try:
        start = bytes_at(file, 0, 96)
        if start[:8] != SIGNATURE:
            return None
        if start[8] in (0, 1):
            more = 4 * start[8]
            sizes, base, root = start[13:15], 24 + more, 64 + more
        else:
            sizes, base, root = start[9:11], 12, 36
        if sizes != b"\x08\x08" or struct.unpack_from("<Q", start, base)[0] != 0:
            return None
        return struct.unpack_from("<Q", start, root)[0]
    except (struct.error, IndexError):
        return None


def is_sound(file: BinaryIO, address: int) -> bool:
    """Tell whether the trees of the object at ``address`` can be walked."""
    try:
        for kind, data in messages(file, address):
            if kind == _SYMBOL_TABLE:
                _check_tree(file, struct.unpack_from("<Q", data)[0], 8)
            elif kind == _LAYOUT and data[0] == 3 and data[1] == 2:
                _check_tree(file, struct.unpack_from("<Q", data, 3)[0], 8 + 8 * data[2])
            elif kind == _LAYOUT and data[0] in (1, 2) and data[2] == 2:
                _check_tree(file, struct.unpack_from("<Q", data, 8)[0], 8 + 8 * data[1])
    except (struct.error, IndexError):
        return False
    return True


def _check_tree(file: BinaryIO, root: int, key: int) -> None:
    """Look through a tree (version 1), level by level. Raises struct.error for one that is not as it should be."""
    if root == NOWHERE:
        return
    row, level, count = [root], None, 0
    while row:
        below: list[int] = []
        found: list[tuple[int, int]] = []
        for address in row:
            sign, _, height, entries, left, right = _NODE.unpack(bytes_at(file, address, _NODE.size))
            level = height if level is None else level
            count += 1
            if sign != b"TREE" or height != level or count > _MOST_NODES:
                raise struct.error
            found.append((left, right))
            if height:
                body = bytes_at(file, address + _NODE.size, entries * (key + 8))
                below += [struct.unpack_from("<Q", body, i * (key + 8) + key)[0] for i in range(entries)]
        if [left for left, _ in found] != [NOWHERE, *row[:-1]] or [right for _, right in found] != [*row[1:], NOWHERE]:
            raise struct.error
        if level == 0:
            return
        row, level = below, (level or 0) - 1
