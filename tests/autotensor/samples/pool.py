"""Samples of ``autotensor.ops.pool``: against loops over every window."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array
from tests.autotensor.samples.window import first, geometry, last, meetings, need


def windows_of(x: Any, size: Any, strides: Any, padding: Any) -> tuple[tuple[int, ...], dict[Any, list[Any]]]:
    """Shape of the result, and the real positions of each window in order."""
    need(x.ndim == len(size) + 2)
    ones = (1,) * len(size)
    found = defaultdict(list)
    for o, _, p in meetings(x.shape[1:-1], size, strides, padding, ones):
        found[o].append(p)
    space = [m for _, _, m in geometry(x.shape[1:-1], size, strides, padding, ones)]
    need(len(found) == int(np.prod(space)))
    return (x.shape[0], *space, x.shape[-1]), found


def maxima(x, **how):
    shape, found = windows_of(x, **how)
    out = np.zeros(shape, x.dtype)
    for o, positions in found.items():
        out[(slice(None), *o)] = np.max([x[(slice(None), *p)] for p in positions], axis=0)
    return out


def places(x, how):
    """(index of a result, index of the maximum in x) for every window and channel."""
    shape, found = windows_of(x, **how)
    for o, positions in found.items():
        for i in range(shape[0]):
            for c in range(shape[-1]):
                best = max(positions, key=lambda p: x[(i, *p, c)])  # max keeps the first of equals
                yield (i, *o, c), (i, *best, c)


def max_input(g, x, **how):
    need(g.ndim and g.shape == windows_of(x, **how)[0])
    out = np.zeros(x.shape, g.dtype)
    for here, there in places(x, how):
        out[there] += g[here]
    return out


def max_numbers(x, **how):
    """Maxima, and the number of each in its window, counted row by row with what lies in the border."""
    shape, _ = windows_of(x, **how)
    starts = {}
    for o, _, p in meetings(x.shape[1:-1], how["size"], how["strides"], how["padding"], (1,) * len(how["size"])):
        starts.setdefault(o, []).append((_, p))
    numbers = np.zeros(shape, np.uint8)
    for (i, *o, c), (_, *p, _) in places(x, how):
        inside = next(k for k, q in starts[tuple(o)] if tuple(q) == tuple(p))
        numbers[(i, *o, c)] = np.ravel_multi_index(inside, how["size"])
    return maxima(x, **how), numbers


def by_numbers(numbers, space, how):
    """(index of a result, index in x) for every window and channel, by numbers in windows."""
    found = {}
    for o, k, p in meetings(space, how["size"], how["strides"], how["padding"], (1,) * len(how["size"])):
        found[tuple(o), int(np.ravel_multi_index(k, how["size"]))] = tuple(p)
    for here in np.ndindex(numbers.shape):
        i, *o, c = here
        need((tuple(o), int(numbers[here])) in found)
        yield here, (i, *found[tuple(o), int(numbers[here])], c)


def put(g, numbers, like=None, space=None, **how):
    space = like.shape[1:-1] if space is None else space
    need(g.ndim > 1 and len(g.shape) == len(space) + 2)
    full = np.zeros((g.shape[0], *space, g.shape[-1]), g.dtype)
    need(g.shape == numbers.shape == windows_of(full, **how)[0])
    for here, there in by_numbers(numbers, space, how):
        full[there] += g[here]
    return full


def picked(u, numbers, **how):
    need(numbers.shape == windows_of(u, **how)[0])
    out = np.zeros(numbers.shape, u.dtype)
    for here, there in by_numbers(numbers, u.shape[1:-1], how):
        out[here] = u[there]
    return out


def averages(x, **how):
    shape, found = windows_of(x, **how)
    out = np.zeros(shape, x.dtype)
    for o, positions in found.items():
        out[(slice(None), *o)] = np.mean([x[(slice(None), *p)] for p in positions], axis=0)
    return out


def average_input(g, like, **how):
    shape, found = windows_of(like, **how)
    need(g.shape == shape)
    out = np.zeros(like.shape, g.dtype)
    for o, positions in found.items():
        for p in positions:
            out[(slice(None), *p)] += g[(slice(None), *o)] / len(positions)
    return out


def how(size: Any, strides: Any, padding: Any = "valid") -> dict[str, Any]:
    return {"size": size, "strides": strides, "padding": padding}


LINE = how((3,), (2,), ((1, 2),))
PLANE = how((2, 3), (2, 2))
SAME = how((3, 2), (1, 2), "same")
ROOM = how((2, 1, 3), (1, 1, 2), "same")


def pools(oracle: Any) -> list[Sample]:
    return [
        Sample(array(2, 7, 3), oracle=oracle, name="line", **LINE),
        Sample(array(2, 4, 6, 3), oracle=oracle, name="plane", **PLANE),
        Sample(array(2, 4, 5, 3), oracle=oracle, name="same", **SAME),
        Sample(array(1, 3, 2, 4, 2), oracle=oracle, name="room", **ROOM),
    ]


def ties() -> np.ndarray:
    """Windows with two equal maxima: the first one counts."""
    x = array(1, 4, 4, 1)
    x[0, 1, 0] = x[0, 0, 1] = 9.0
    x[0, 2, 3] = x[0, 3, 2] = 8.0
    return x


def numbered(x: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    return max_numbers(x, **given)[1]


NUMBERS_LINE = numbered(array(2, 7, 3, seed=1), LINE)
NUMBERS_SAME = numbered(array(2, 4, 5, 3, seed=1), SAME)
NUMBERS_TIES = numbered(ties(), how((2, 2), (2, 2)))

SAMPLES: dict[str, list[Sample]] = {
    "max_pool": [
        *pools(max_numbers),
        Sample(
            array(2, 3, 4, 5),
            call=lambda x, **_: at.max_pool(x, 2, 1, "same", "channels_first"),
            oracle=lambda x: first(maxima(last(x), **how((2, 2), (1, 1), "same"))),
            name="channels_first",
        ),
    ],
    "max_pool_input": [
        Sample(array(2, 4, 3), NUMBERS_LINE, oracle=put, name="line", space=(7,), **LINE),
        Sample(array(2, 4, 3, 3), NUMBERS_SAME, oracle=put, name="same", space=(4, 5), **SAME),
        Sample(
            array(2, 4, 3, 3),
            NUMBERS_SAME,
            array(2, 4, 5, 3, seed=1),
            oracle=put,
            name="like",
            wrt=(0,),
            space=None,
            **SAME,
        ),
        Sample(array(1, 2, 2, 1), NUMBERS_TIES, oracle=put, name="ties", space=(4, 4), **how((2, 2), (2, 2))),
        Sample(array(1, 2, 2, 1), NUMBERS_TIES, oracle=put, name="rest", space=(5, 5), **how((2, 2), (2, 2))),
    ],
    "max_pool_pick": [
        Sample(array(2, 7, 3), NUMBERS_LINE, oracle=picked, name="line", **LINE),
        Sample(array(2, 4, 5, 3), NUMBERS_SAME, oracle=picked, name="same", **SAME),
        Sample(array(1, 4, 4, 1), NUMBERS_TIES, oracle=picked, name="ties", **how((2, 2), (2, 2))),
    ],
    "average_pool": pools(averages),
    "average_pool_input": [
        Sample(array(2, 4, 3), array(2, 7, 3, seed=1), oracle=average_input, name="line", wrt=(0,), **LINE),
        Sample(array(2, 4, 3, 3), array(2, 4, 5, 3, seed=1), oracle=average_input, name="same", wrt=(0,), **SAME),
    ],
}
