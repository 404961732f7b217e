"""Single operations and their gradients, to be compared: what is computed, on what shapes.

A case names a kind of operation, its arrays and its words; ``ops_ours`` and ``ops_torch`` know how their library says
it. Images are channels-last, kernels (height, width, in, out). ``part`` is ``forward``, ``both`` (the result and the
gradients by all arrays of floats), or the position of the one array whose gradient alone is timed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Part = str | int


@dataclass(frozen=True)
class Case:
    """One operation on arrays of given shapes. ``high`` is set where the last array holds indices below it."""

    group: str
    kind: str
    shapes: tuple[Shape, ...]
    part: Part = "forward"
    words: dict[str, Any] = field(default_factory=dict)
    high: int = 0

    @property
    def name(self) -> str:
        shapes = ", ".join("×".join(map(str, shape)) for shape in self.shapes)
        words = "".join(f", {word} {value}" for word, value in self.words.items())
        part = f"by {self.part}" if isinstance(self.part, int) else self.part
        return f"{self.kind} {shapes}{words}, {part}"

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        made = [rng.standard_normal(shape, dtype="float32") for shape in self.shapes]
        if self.high:
            made[-1] = rng.integers(self.high, size=self.shapes[-1]).astype("int32")
        return made


def _convolutions() -> Iterator[Case]:
    # images (batch, space, channels), kernel (size, channels in, channels out), strides
    layers: list[tuple[Shape, Shape, int]] = [
        ((32, 100, 100, 3), (3, 3, 3, 32), 1),
        ((32, 98, 98, 32), (3, 3, 32, 32), 1),
        ((32, 46, 46, 64), (3, 3, 64, 64), 1),
        ((128, 26, 26, 32), (3, 3, 32, 64), 1),
        ((32, 32, 32, 64), (1, 1, 64, 128), 1),
        ((32, 32, 32, 64), (3, 3, 64, 128), 2),
        ((16, 64, 64, 32), (5, 5, 32, 32), 1),
        ((16, 62, 64), (3, 64, 64), 1),
        ((64, 18, 128), (3, 128, 128), 1),
    ]
    parts: tuple[Part, ...] = ("forward", 0, 1)
    for images, kernel, strides in layers:
        for part in parts:
            if part == 0 and images[-1] == 3:
                continue  # nobody asks for the gradient by a photograph
            yield Case("conv", "conv", (images, kernel), part, {"strides": strides} if strides > 1 else {})
    for part in ("forward", "both"):
        yield Case("conv", "depthwise", ((16, 56, 56, 64), (3, 3, 64, 1)), part)


def _pools() -> Iterator[Case]:
    for part in ("forward", "both"):
        for kind in ("max_pool", "average_pool"):
            for images in ((32, 96, 96, 32), (128, 24, 24, 64)):
                yield Case("pool", kind, (images,), part, {"size": 2})
        yield Case("pool", "max_pool", ((16, 55, 55, 64),), part, {"size": 3, "strides": 2})


def _reductions() -> Iterator[Case]:
    where: list[tuple[Shape, Any]] = [
        ((1000, 1000), None),
        ((1000, 1000), 0),
        ((1000, 1000), 1),
        ((128, 64), 1),
        ((32, 46, 46, 64), (0, 1, 2)),
    ]
    for kind in ("sum", "mean", "max", "var"):
        for shape, axis in where:
            yield Case("reduce", kind, (shape,), "forward", {"axis": axis})
    yield Case("reduce", "var", ((1000, 1000),), "both", {"axis": 1})
    yield Case("reduce", "max", ((1000, 1000),), "both", {"axis": 1})


def _softmax() -> Iterator[Case]:
    for shape in ((128, 10), (128, 1000), (4096, 1000), (16, 10000)):
        yield Case("softmax", "softmax", (shape,))
        yield Case("softmax", "cross_entropy", (shape, shape[:1]), "both", high=shape[1])


def _recurrent() -> Iterator[Case]:
    for kind in ("lstm", "gru"):
        for shape, units in (((16, 80, 256), 128), ((128, 40, 57), 128), ((64, 8, 16), 32)):
            for part in ("forward", "both"):
                yield Case("recurrent", kind, (shape,), part, {"units": units})


def _updates() -> Iterator[Case]:
    for optimizer in ("SGD", "RMSprop", "Adam"):
        for count in (10_000, 1_000_000):
            yield Case("update", optimizer, ((count,),))


def _embeddings() -> Iterator[Case]:
    parts: tuple[Part, ...] = ("forward", 0)
    for table, index in (((1024, 256), (16, 80)), ((10000, 256), (16, 16)), ((20000, 128), (32, 80))):
        for part in parts:
            yield Case("embedding", "embedding", (table, index), part, high=table[0])


def _norms() -> Iterator[Case]:
    for part in ("forward", "both"):
        yield Case("norm", "batch_norm", ((32, 46, 46, 64), (64,), (64,)), part)
        yield Case("norm", "batch_norm", ((128, 512), (512,), (512,)), part)
        yield Case("norm", "layer_norm", ((1024, 512), (512,), (512,)), part)


def _products() -> Iterator[Case]:
    for m, k, n in ((128, 20, 64), (128, 784, 512), (512, 512, 512), (2048, 2048, 2048)):
        yield Case("matmul", "matmul", ((m, k), (k, n)))


def _elementwise() -> Iterator[Case]:
    for kind in ("tanh", "sigmoid", "relu", "gelu"):
        yield Case("elementwise", kind, ((1_000_000,),), "both")


_FAMILIES = (
    _convolutions, _pools, _reductions, _softmax, _recurrent, _updates, _embeddings, _norms, _products, _elementwise,
)  # fmt: skip

CASES: dict[str, Case] = {case.name: case for family in _FAMILIES for case in family()}
