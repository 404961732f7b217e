"""Gradients of all ranks made one, as operations of the compiled step.

The gradients go into few buffers, in the order in which backward yields them. For each there are two operations:
``reduce_start`` copies the gradients into the buffer and lets the ranks begin to add it up, ``reduce_finish`` waits for
the sum and scales it. All starts are in one chain, and the finishes in another behind them: so each start runs as soon
as its last gradient is there, while backward goes on, every rank begins the sums in the same order, and the waits come
when nothing but the updates is left to do.

Sums are MPI's, which may add in any order. With ``config.deterministic``, and for numbers of two bytes, ranks exchange
pieces of the buffer instead, add each piece in the order of the ranks, two and two, and collect the pieces: as many
bytes, and the same bits on whatever network. Passes on one rank are added in the same way, so ``2n`` passes on one
rank, ``n`` on each of two, and one on each of ``2n`` give the same bits (for powers of two).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import autotensor as at
from autotensor.extend import Aval, Op
from keras_compat import backend as K
from keras_compat.distributed.communicator import GRADIENTS, DistributedError
from keras_compat.distributed.state import job

# Largest buffer in bytes, as in Horovod.
_THRESHOLD = 64 << 20
# A network with more than this is cut into at least so many buffers, so that the sums can begin while backward runs.
_SMALL, _AT_LEAST = 4 << 20, 4


@dataclass(frozen=True)
class Settings:
    """How gradients are made one.

    Attributes:
        average: divide the sum by the number of ranks.
        passes: backward passes for each step.
        average_passes: divide by their number, too.
        wire: dtype in which gradients travel, None for their own.
        predivide: gradients are divided by this before the sum, and multiplied after it.
        groups: None, a number of buffers, or lists of weights, a buffer for each.
    """

    average: bool = True
    passes: int = 1
    average_passes: bool = False
    wire: str | None = None
    predivide: float = 1.0
    groups: Any = None


def threshold() -> int:
    """Largest buffer in bytes: ``HOROVOD_FUSION_THRESHOLD``, or 64 MB; 0 gives each gradient a buffer of its own."""
    text = os.environ.get("HOROVOD_FUSION_THRESHOLD", "").strip()
    if text and not text.isdigit():
        raise ValueError(f"[distributed] HOROVOD_FUSION_THRESHOLD must be a number of bytes; got {text!r}.")
    return int(text) if text else _THRESHOLD


def in_groups(sizes: Sequence[tuple[str, int]], limit: int) -> list[list[int]]:
    """Places of gradients (dtype, bytes), last first, in groups of one dtype and at most ``limit`` bytes.

    A gradient that is larger than the limit has a group of its own.
    """
    groups: list[list[int]] = []
    room = 0
    for i in reversed(range(len(sizes))):
        dtype, nbytes = sizes[i]
        if not groups or nbytes > room or sizes[groups[-1][0]][0] != dtype:
            groups.append([])
            room = limit
        groups[-1].append(i)
        room -= nbytes
    return groups


def _asked_groups(groups: Any, params: Sequence[Any], sizes: Sequence[tuple[str, int]]) -> list[list[int]]:
    """The groups that a program asks for: a number of them, or lists of weights; others have one each."""
    if isinstance(groups, int):
        total = sum([nbytes for _, nbytes in sizes])
        return in_groups(sizes, -(-total // groups))
    places = {id(p): i for i, p in enumerate(params)}
    asked = [[places[id(p)] for p in group if id(p) in places] for group in groups]
    known = {i for group in asked for i in group}
    asked += [[i] for i in range(len(params)) if i not in known]
    by_dtype = [[i for i in group if sizes[i][0] == d] for group in asked for d in sorted({sizes[i][0] for i in group})]
    return sorted(by_dtype, key=max, reverse=True)


class Reduction:
    """What is the same for all buffers of a step: the settings, and whether all ranks have the same gradients."""

    def __init__(self, settings: Settings, described: list[Any]):
        self.settings = settings
        self._described = described
        self._checked = False
        ranks = job().size if settings.average else 1
        passes = settings.passes if settings.average_passes else 1
        self.scale = settings.predivide / (ranks * passes)

    def check(self) -> None:
        """Compare what the ranks are about to add up, once. Raises DistributedError on all where it differs."""
        if self._checked:
            return
        all_described = job().gather(self._described, GRADIENTS)
        for rank, other in enumerate(all_described):
            if other != all_described[0]:
                here, there = all_described[0], other
                k = next((i for i, (a, b) in enumerate(zip(here, there)) if a != b), min(len(here), len(there)))
                one, two = [str(d[k]) if k < len(d) else "nothing" for d in (here, there)]
                raise DistributedError(
                    f"[DistributedOptimizer] expected the same gradients on all ranks; rank 0 has {one} where rank "
                    f"{rank} has {two}. Build the same model, with the same weights trainable, on each."
                )
        self._checked = True


class Bucket:
    """One buffer: some gradients side by side, which are added up together."""

    def __init__(self, reduction: Reduction, shapes: Sequence[tuple[int, ...]], dtype: np.dtype):
        self.reduction = reduction
        self.shapes = list(shapes)
        self.dtype = dtype
        self.numbers = sum([math.prod(s) for s in shapes])
        # The buffer that is being added up, which MPI writes until the wait is over.
        self._under_way: tuple[Callable[[], None], np.ndarray] | None = None
        self._passes: list[tuple[int, np.ndarray]] = []  # sums of 2**level passes
        self._pieces: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def parts(self, whole: np.ndarray) -> list[np.ndarray]:
        """The places of the gradients in a buffer, in their shapes."""
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            parts.append(whole[start:stop].reshape(shape))
            start = stop
        return parts

    def start(self, whole: np.ndarray, number: np.ndarray, parts: Sequence[np.ndarray], *gradients: Any) -> None:
        """Fill the buffer and, in the last pass of a step (``number`` counts them), begin to add up those of all."""
        settings = self.reduction.settings
        divisor = settings.predivide
        for part, g in zip(parts, gradients):
            if divisor == 1.0:
                np.copyto(part, g)
            else:
                np.divide(g, divisor, out=part)
        if settings.passes > 1 and not self._last_pass(whole, int(number)):
            return
        everyone = job()
        wait = _done
        if everyone.size > 1:
            self.reduction.check()
            if at.config.deterministic or settings.wire or whole.dtype.itemsize < 4:
                wait = self._ordered(whole, np.dtype(settings.wire or whole.dtype))
            else:
                wait = everyone.reduce(whole, "SUM", GRADIENTS)
        self._under_way = wait, whole

    def finish(self, out: np.ndarray) -> None:
        """Wait for the sum, and write it into ``out``, scaled; zeros before the last pass of a step."""
        if self._under_way is None:
            out.fill(0)
            return
        wait, whole = self._under_way
        wait()
        self._under_way = None
        np.multiply(whole, self.reduction.scale, out=out)

    def _last_pass(self, whole: np.ndarray, number: int) -> bool:
        """Add a pass to those before, two and two. True, and the sum in the buffer, if it is the last of the step."""
        if number == 0:
            self._passes.clear()
        last = number == self.reduction.settings.passes - 1
        level = 0
        while self._passes and (last or self._passes[-1][0] == level):
            level, before = self._passes.pop()
            np.add(before, whole, out=whole)
            level += 1
        if not last:
            self._passes.append((level, whole.copy()))
        return last

    def _ordered(self, whole: np.ndarray, wire: np.dtype) -> Callable[[], None]:
        """Begin a sum in the order of the ranks; returns what ends it."""
        everyone = job()
        n = -(-whole.size // everyone.size)
        if self._pieces is None or self._pieces[0].dtype != wire:
            shape = (everyone.size, n)
            self._pieces = np.zeros(shape, wire), np.empty(shape, wire), np.empty(n, wire)
        given, received, summed = self._pieces
        given.reshape(-1)[: whole.size] = whole
        wait = everyone.exchange(given, received)

        def finish() -> None:
            wait()
            rows = [row.astype(np.float32) if wire.itemsize < 4 else row for row in received]
            summed[...] = added(rows)
            everyone.collect(summed, received)()
            whole[...] = received.reshape(-1)[: whole.size]

        return finish


def _done() -> None:
    pass


def added(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of arrays, two and two: halves first, each in the same way."""
    if len(rows) == 1:
        return rows[0]
    half = 1 << (len(rows) - 1).bit_length() - 1
    return added(rows[:half]) + added(rows[half:])


# -- operations -------------------------------------------------------------------------------------------------------


def _start(after: Any, number: Any, *gradients: np.ndarray, bucket: Bucket) -> np.ndarray:
    whole = np.empty(bucket.numbers, bucket.dtype)
    bucket.start(whole, number, bucket.parts(whole), *gradients)
    return whole


def _start_into(whole: np.ndarray, after: Any, number: Any, *gradients: np.ndarray, bucket: Bucket) -> None:
    bucket.start(whole, number, bucket.parts(whole), *gradients)


def _bind_start(outs: Sequence[Any], arrays: Sequence[Any], scratch: Any, bucket: Bucket) -> Any:
    _, number, *gradients = arrays
    return bucket.start, (outs[0], number, bucket.parts(outs[0]), *gradients)


def _finish(after: Any, whole: np.ndarray, bucket: Bucket) -> np.ndarray:
    out = np.empty_like(whole)
    bucket.finish(out)
    return out


# The first input of each is that of the chain: it comes after what made that. The buffer itself is an input of the
# finish so that nothing else uses its memory before.
_reduce_start = Op(
    "reduce_start",
    impl=_start,
    infer=lambda after, number, *gradients, bucket: Aval((bucket.numbers,), bucket.dtype),
    into=_start_into,
    bind=_bind_start,
    pure=False,
    doc="Gradients side by side in a buffer, whose sum over the ranks begins.",
)
_reduce_finish = Op(
    "reduce_finish",
    impl=_finish,
    infer=lambda after, whole, bucket: whole,
    into=lambda out, after, whole, bucket: bucket.finish(out),
    bind=lambda outs, arrays, scratch, bucket: (bucket.finish, (outs[0],)),
    pure=False,
    doc="The sum that was begun, when it is there.",
)


def combined(settings: Settings, grads: Sequence[Any], params: Sequence[Any], number: Any) -> list[Any]:
    """The gradients of all ranks made one, as tensors of the graph.

    Args:
        number: of the backward pass within a step, from 0, a tensor.
    """
    shapes = [tuple(p.shape) for p in params]
    dtypes = [np.dtype(K.dtype(g)) for g in grads]
    sizes = [(str(d), math.prod(s) * d.itemsize) for s, d in zip(shapes, dtypes)]
    if settings.groups is None:
        total = sum([nbytes for _, nbytes in sizes])
        groups = in_groups(sizes, min(threshold(), total // _AT_LEAST if total > _SMALL else total))
    else:
        groups = _asked_groups(settings.groups, params, sizes)
    described = [(f"a gradient of shape {shapes[i]}, {dtypes[i]}", g) for g, group in enumerate(groups) for i in group]
    whats = [text for text, _ in described] + [f"{len(groups)} buffers", f"{settings.passes} passes"]
    reduction = Reduction(settings, whats)
    buckets = [Bucket(reduction, [shapes[i] for i in group], dtypes[group[0]]) for group in groups]
    started: list[Any] = []
    for group, bucket in zip(groups, buckets):
        after = started[-1] if started else number
        started.append(_reduce_start(after, number, *[grads[i] for i in group], bucket=bucket))
    found: list[Any] = [None] * len(grads)
    after = started[-1]
    for group, bucket, whole in zip(groups, buckets, started):
        after = _reduce_finish(after, whole, bucket=bucket)
        for i, (start, stop) in zip(group, _ranges(bucket.shapes)):
            found[i] = at.reshape(after[start:stop], shapes[i])
    return found


def _ranges(shapes: Iterable[tuple[int, ...]]) -> list[tuple[int, int]]:
    ranges, start = [], 0
    for shape in shapes:
        ranges.append((start, start + math.prod(shape)))
        start += math.prod(shape)
    return ranges
