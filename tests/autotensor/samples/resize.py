"""Samples of ``autotensor.ops.resize``: against loops that read the input at i * n / m, or between the centres."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array
from tests.autotensor.samples.window import first, last, need


def reading(space: Any, goal: Any, method: str) -> Any:
    """(place in the result, place in the input, weight) for all that meet; coordinates are exact fractions."""
    for o in product(*[range(m) for m in goal]):
        by_axis = []
        for i, n, m in zip(o, space, goal):
            at_ = Fraction(i * n, m)
            if method == "bilinear_half_pixel":
                at_ = min(max(Fraction((2 * i + 1) * n - m, 2 * m), Fraction(0)), Fraction(n - 1))
            low = math.floor(at_)
            share = float(at_ - low) if method != "nearest" else 0.0
            by_axis.append([(low, 1 - share)] + ([(min(low + 1, n - 1), share)] if share else []))
        for chosen in product(*by_axis):
            yield o, tuple([p for p, _ in chosen]), math.prod([w for _, w in chosen])


def goal_of(x: Any, size: Any, factor: Any) -> tuple[int, ...]:
    need(x.ndim == len(size or factor) + 2)
    goal = size or tuple([n * f for n, f in zip(x.shape[1:-1], factor)])
    need(all(n or not m for n, m in zip(x.shape[1:-1], goal)))
    return goal


def resized(x, size, factor, method):
    goal = goal_of(x, size, factor)
    out = np.zeros((x.shape[0], *goal, x.shape[-1]), x.dtype)
    for o, p, w in reading(x.shape[1:-1], goal, method):
        out[(slice(None), *o)] += w * x[(slice(None), *p)]
    return out


def resized_input(g, like, size, factor, method):
    goal = goal_of(like, size, factor)
    need(g.shape == (like.shape[0], *goal, like.shape[-1]))
    out = np.zeros(like.shape, g.dtype)
    for o, p, w in reading(like.shape[1:-1], goal, method):
        out[(slice(None), *p)] += w * g[(slice(None), *o)]
    return out


def how(method: str, size: Any = None, factor: Any = None) -> dict[str, Any]:
    return {"size": size, "factor": factor, "method": method}


SAMPLES: dict[str, list[Sample]] = {
    "resize": [
        Sample(array(2, 3, 4, 2), oracle=resized, name="nearest", **how("nearest", factor=(2, 3))),
        Sample(array(2, 5, 3), oracle=resized, name="nearest to a size", **how("nearest", size=(7,))),
        Sample(array(2, 3, 4, 2), oracle=resized, name="bilinear", **how("bilinear", factor=(2, 3))),
        Sample(array(1, 6, 4, 2), oracle=resized, name="bilinear to a size", **how("bilinear", size=(4, 5))),
        Sample(
            array(2, 3, 4, 2), oracle=resized, name="half pixel", **how("bilinear_half_pixel", factor=(2, 3))
        ),
        Sample(
            array(1, 6, 4, 2), oracle=resized, name="half pixel to a size", **how("bilinear_half_pixel", size=(4, 5))
        ),
        Sample(array(1, 2, 3, 2, 2), oracle=resized, name="room", **how("nearest", factor=(2, 1, 2))),
        Sample(
            array(2, 3, 4, 5),
            call=lambda x, **_: at.resize(x, factor=2, layout="channels_first"),
            oracle=lambda x: first(resized(last(x), **how("nearest", factor=(2, 2)))),
            name="channels_first",
        ),
    ],
    "resize_input": [
        Sample(array(2, 6, 12, 2), array(2, 3, 4, 2, seed=1), oracle=resized_input, name="nearest", wrt=(0,),
               **how("nearest", factor=(2, 3))),
        Sample(array(2, 7, 3), array(2, 5, 3, seed=1), oracle=resized_input, name="nearest to a size", wrt=(0,),
               **how("nearest", size=(7,))),
        Sample(array(1, 4, 5, 2), array(1, 6, 4, 2, seed=1), oracle=resized_input, name="bilinear", wrt=(0,),
               **how("bilinear", size=(4, 5))),
        Sample(array(1, 4, 9, 2), array(1, 6, 3, 2, seed=1), oracle=resized_input, name="half pixel", wrt=(0,),
               **how("bilinear_half_pixel", size=(4, 9))),
    ],
}  # fmt: skip
