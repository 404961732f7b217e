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


def max_pick(u, x, **how):
    need(u.shape == x.shape)
    out = np.zeros(windows_of(x, **how)[0], u.dtype)
    for here, there in places(x, how):
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


SAMPLES: dict[str, list[Sample]] = {
    "max_pool": [
        *pools(maxima),
        Sample(
            array(2, 3, 4, 5),
            call=lambda x, **_: at.max_pool(x, 2, 1, "same", "channels_first"),
            oracle=lambda x: first(maxima(last(x), **how((2, 2), (1, 1), "same"))),
            name="channels_first",
        ),
    ],
    "max_pool_input": [
        Sample(array(2, 4, 3), array(2, 7, 3, seed=1), oracle=max_input, name="line", wrt=(0,), **LINE),
        Sample(array(2, 4, 3, 3), array(2, 4, 5, 3, seed=1), oracle=max_input, name="same", wrt=(0,), **SAME),
        Sample(array(1, 2, 2, 1), ties(), oracle=max_input, name="ties", wrt=(0,), **how((2, 2), (2, 2))),
    ],
    "max_pool_pick": [
        Sample(array(2, 7, 3), array(2, 7, 3, seed=1), oracle=max_pick, name="line", wrt=(0,), **LINE),
        Sample(array(2, 4, 5, 3), array(2, 4, 5, 3, seed=1), oracle=max_pick, name="same", wrt=(0,), **SAME),
        Sample(array(1, 4, 4, 1), ties(), oracle=max_pick, name="ties", wrt=(0,), **how((2, 2), (2, 2))),
    ],
    "average_pool": pools(averages),
    "average_pool_input": [
        Sample(array(2, 4, 3), array(2, 7, 3, seed=1), oracle=average_input, name="line", wrt=(0,), **LINE),
        Sample(array(2, 4, 3, 3), array(2, 4, 5, 3, seed=1), oracle=average_input, name="same", wrt=(0,), **SAME),
    ],
}
