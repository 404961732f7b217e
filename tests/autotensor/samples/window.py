"""Samples of ``autotensor.ops.window``, and sliding windows by plain loops: the oracle of all that is built on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array


def border(n: int, k: int, s: int, d: int, padding: Any) -> tuple[int, int, int]:
    """Positions before and after an axis of n, and the number of windows; k taps, stride s, dilation d."""
    need(k > 0)
    reach = d * (k - 1) + 1
    if padding == "same":
        # TensorFlow: as many windows as strides begin inside; the last may hang over.
        m = (n + s - 1) // s
        missing = max(0, (m - 1) * s + reach - n) if m else 0
        return missing // 2, missing - missing // 2, m
    named = {"valid": (0, 0), "causal": (reach - 1, 0)}
    low, high = named[padding] if isinstance(padding, str) else padding
    m = 0
    while m * s + reach <= low + n + high:
        m += 1
    if not m:
        raise ValueError("no window fits")
    return low, high, m


def geometry(space: Any, size: Any, strides: Any, padding: Any, dilation: Any) -> list[tuple[int, int, int]]:
    each = [padding] * len(size) if isinstance(padding, str) else padding
    return [border(*one) for one in zip(space, size, strides, dilation, each, strict=True)]


def meetings(space: Any, size: Any, strides: Any, padding: Any, dilation: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Every (window, tap, position) that meet: indices into the result, the kernel and the input."""
    found = geometry(space, size, strides, padding, dilation)
    for o in itertools.product(*[range(m) for _, _, m in found]):
        for k in itertools.product(*[range(n) for n in size]):
            p = tuple([a * s + b * d - low for a, b, s, d, (low, _, _) in zip(o, k, strides, dilation, found)])
            if all(0 <= i < n for i, n in zip(p, space)):
                yield o, k, p


def need(condition: bool) -> None:
    if not condition:
        raise ValueError("shapes do not fit")


def unfolded(x, size, strides, padding, dilation, channels_major):
    need(x.ndim == len(size) + 2)
    n, *space, c = x.shape
    out = np.zeros((n, *[m for _, _, m in geometry(space, size, strides, padding, dilation)], *size, c), x.dtype)
    for o, k, p in meetings(space, size, strides, padding, dilation):
        out[(slice(None), *o, *k)] = x[(slice(None), *p)]
    if channels_major:
        out = np.moveaxis(out, -1, 1 + len(size))
    return out.reshape(*out.shape[: 1 + len(size)], int(np.prod(size)) * c)


def folded(patches, like, size, strides, padding, dilation, channels_major):
    need(patches.ndim == like.ndim == len(size) + 2)
    n, *space, c = like.shape
    found = [m for _, _, m in geometry(space, size, strides, padding, dilation)]
    need(patches.shape == (n, *found, int(np.prod(size)) * c))
    wide = patches.reshape(n, *found, *((c, *size) if channels_major else (*size, c)))
    if channels_major:
        wide = np.moveaxis(wide, 1 + len(size), -1)
    out = np.zeros(like.shape, patches.dtype)
    for o, k, p in meetings(space, size, strides, padding, dilation):
        out[(slice(None), *p)] += wide[(slice(None), *o, *k)]
    return out


def folded_to(patches, output_size, size, **rest):
    need(patches.ndim == len(size) + 2)
    c = patches.shape[-1] // int(np.prod(size))
    return folded(patches, np.zeros((patches.shape[0], *output_size, c)), size, **rest)


LINE = {"size": (3,), "strides": (2,), "padding": "same", "dilation": (1,), "channels_major": False}
PLANE = {"size": (2, 3), "strides": (1, 2), "padding": ((1, 0), (0, 2)), "dilation": (2, 1), "channels_major": True}
ROOM = {"size": (2, 1, 2), "strides": (1, 1, 2), "padding": "valid", "dilation": (1, 1, 1), "channels_major": False}

SAMPLES: dict[str, list[Sample]] = {
    "unfold": [
        Sample(array(2, 6, 3), oracle=unfolded, name="line", **LINE),
        Sample(array(2, 4, 5, 3), oracle=unfolded, name="plane", **PLANE),
        Sample(array(1, 3, 2, 4, 2), oracle=unfolded, name="room", **ROOM),
    ],
    "unfold_adjoint": [
        Sample(array(2, 3, 9), array(2, 6, 3, seed=1), oracle=folded, name="line", wrt=(0,), **LINE),
        Sample(array(2, 3, 3, 18), array(2, 4, 5, 3, seed=1), oracle=folded, name="plane", wrt=(0,), **PLANE),
    ],
    "fold": [
        Sample(array(2, 3, 9), oracle=folded_to, name="line", output_size=(6,), **LINE),
        Sample(array(1, 2, 2, 2, 8), oracle=folded_to, name="room", output_size=(3, 2, 4), **ROOM),
    ],
}


def last(x: np.ndarray) -> np.ndarray:
    """(n, c, *space) as (n, *space, c)."""
    return np.moveaxis(x, 1, -1)


def first(x: np.ndarray) -> np.ndarray:
    """(n, *space, c) as (n, c, *space)."""
    return np.moveaxis(x, -1, 1)


SAMPLES["unfold"] += [
    Sample(
        array(2, 3, 4, 5),
        call=lambda x, **_: at.unfold(x, (3, 2), layout="channels_first"),
        oracle=lambda x: first(unfolded(last(x), (3, 2), (1, 1), "valid", (1, 1), True)),
        name="channels_first",
    ),
]
