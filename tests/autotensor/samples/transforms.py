"""Samples of the operations that ``autotensor.transforms`` is built on."""

from __future__ import annotations

import numpy as np

import autotensor as at
from autotensor.transforms.checkpoint import barrier
from tests.autotensor.samples.base import Sample, array


@at.custom_vjp
def _cube(x):
    return x * x * x


_cube.defvjp(lambda x: (_cube(x), x), lambda x, g: (3 * x * x * g,))


@at.custom_vjp
def _polar(r, angle):
    return r * at.cos(angle), r * at.sin(angle)


_polar.defvjp(
    lambda r, angle: (_polar(r, angle), (r, angle)),
    lambda kept, g: (
        (g[0] * at.cos(kept[1]) + g[1] * at.sin(kept[1])),
        kept[0] * (g[1] * at.cos(kept[1]) - g[0] * at.sin(kept[1])),
    ),
)

_SHARED = {"unmodified": "the results are inputs, handed on"}
_OTHER = dict.fromkeys(("shape", "unknown", "dtypes"), "for each number of results it is another object")

SAMPLES = {
    "custom_vjp": [
        Sample(array(2, 3), call=_cube, oracle=lambda x: x**3, skip=_SHARED),
        Sample(
            array(3),
            array(3, seed=1),
            name="two-results",
            call=_polar,
            oracle=lambda r, a: (r * np.cos(a), r * np.sin(a)),
            skip=_SHARED | _OTHER,
        ),
        Sample(
            array(2, 3), name="checkpoint", call=at.checkpoint(lambda x: at.sin(x * x)), oracle=lambda x: np.sin(x * x),
            skip=_SHARED,
        ),
    ],
    "barrier": [
        Sample(
            array(2, 3),
            array(2),
            wrt=[0],
            call=lambda x, y: barrier(x, y),
            oracle=lambda x, y: x,
            skip={"graph": "not pure, so never eager where graphs are built: see test_custom.py, compiled checkpoints"},
        ),
    ],
}  # fmt: skip
