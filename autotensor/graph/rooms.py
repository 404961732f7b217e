"""Memory for values whose times are known: which of them can share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

ALIGN = 64
# Smaller values, and such as are less than this share of all, are not worth the search.
SMALL = ALIGN
_SHARE = 4000


class Room:
    """Memory for values that are never there at the same time. ``steps`` has a bit for each step that takes it."""

    __slots__ = ("nbytes", "raw", "steps")

    def __init__(self, nbytes: int):
        self.nbytes = nbytes
        self.raw = aligned(nbytes)
        self.steps = 0

    def unused_around(self, first: int, last: int) -> int:
        """Steps to the nearest that takes it, before ``first`` or after ``last``: a value is to follow closely."""
        before = (self.steps & ((1 << first) - 1)).bit_length()
        after = self.steps >> (last + 1)
        nearest = (after & -after).bit_length()
        return min(first - before if before else self.steps.bit_length(), nearest or self.steps.bit_length())


def aligned(nbytes: int) -> np.ndarray:
    """New memory of so many bytes that begins where a line of the cache does."""
    block = np.empty(nbytes + ALIGN, np.uint8)
    start = -block.ctypes.data % ALIGN
    return block[start : start + nbytes]


def share(values: Iterable[tuple[Any, int, int, int]]) -> tuple[dict[Any, Room], list[Room]]:
    """Rooms for values (key, bytes, first step, last step): by key, and all, the largest first.

    The largest values get theirs first ("greedy by size", Y. Pisarchyk and J. Lee, arXiv:2001.03288), so that each
    room is as large as the value that it was made for. Small values get none.
    """
    asked = list(values)
    least = max(SMALL, sum([value[1] for value in asked]) // _SHARE)
    found: dict[Any, Room] = {}
    rooms: list[Room] = []
    for key, nbytes, first, last in sorted([value for value in asked if value[1] >= least], key=lambda v: -v[1]):
        steps = ((1 << (last - first + 1)) - 1) << first
        free = [room for room in rooms if not room.steps & steps]
        if free:
            room = min(free, key=lambda room: room.unused_around(first, last))
        else:
            room = Room(-(-nbytes // ALIGN) * ALIGN)
            rooms.append(room)
        room.steps |= steps
        found[key] = room
    return found, rooms
