"""What a training step costs at least (:func:`floor`), and what was foretold for ours (:func:`foretold`).

Both are computed from the layers of a workload and from two figures of the machine; nothing is typed in per workload.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.workloads import Layer, Shape, Workload, kernel_sizes, multiplications, out_shape, walk, weights


@dataclass(frozen=True)
class Machine:
    """What the machine does at best: floating point operations and bytes a second, and bytes that stay near.

    The figures are those of the machine of docs/performance.md: two cores with AVX-512, and 1 MB of
    second-level cache for each.
    """

    flops: float = 210e9
    bandwidth: float = 35e9
    near: int = 2 << 20


@dataclass(frozen=True)
class Cost:
    """Of one training step: floating point operations done directly, bytes that leave the near cache, and weights."""

    flops: int
    bytes: int
    weights: int


# Arrays of the size of the weights that an optimizer keeps.
_SLOTS = {"SGD": 1, "RMSprop": 1, "Adadelta": 2}


def _bytes(workload: Workload, layer: Layer, shape: Shape, near: int) -> int:
    """Bytes that a layer moves between the near cache and memory in one step."""
    numbers = weights(layer, shape)
    result = 4 * workload.batch * math.prod(out_shape(layer, shape))
    moved = 5 * result if numbers and result > near else 0
    if 4 * numbers > near:
        read = numbers
        if layer.kind == "Embedding":
            read = min(numbers, workload.batch * shape[0] * layer.output_dim)
        moved += 4 * (2 * read + (2 + 2 * _SLOTS[workload.optimizer]) * numbers)
    return moved


def cost(workload: Workload, near: int = Machine.near) -> Cost:
    """What a training step can not do without, if every product is done directly.

    Operations: a multiply-add counts two; a layer computes its result, the gradient by its weights and, unless its
    input is data, the gradient by its input. Bytes: a result that is too large to stay near is written and read
    forward, so is its gradient backward, and backward reads it again; weights are read forward and backward, and the
    update reads and writes them and the optimizer's state. Layers that merely shape, drop or pool are taken to be part
    of their neighbours: this is a floor.
    """
    operations = moved = count = 0
    for layer, shape, data_comes_in in walk(workload):
        by_input, by_state = multiplications(layer, shape)
        operations += 2 * workload.batch * (by_input * (2 if data_comes_in else 3) + by_state * 3)
        moved += _bytes(workload, layer, shape, near)
        count += weights(layer, shape)
    return Cost(operations, moved, count)


def floor(workload: Workload, machine: Machine = Machine()) -> float:
    """Seconds that a training step takes at least, if every product is done directly."""
    needed = cost(workload, machine.near)
    return needed.flops / machine.flops + needed.bytes / machine.bandwidth


# The rates that kernels reached alone before they were put together, as parts of the machine's best: Winograd's, which
# does with fewer multiplications, tiles of other convolutions, images of few channels, large products, and those of a
# recurrent layer, one for each time step.
_WINOGRAD, _TILES, _COLOUR, _DENSE, _STEPS = 1.5, 0.75, 0.5, 0.9, 0.6
_CALL = 0.6e-6  # one kernel or product of a plan, seconds
_GATE = 0.6e-9  # one gate of one unit of a recurrent cell, seconds, on all threads together


def _foretold_layer(workload: Workload, layer: Layer, shape: Shape, data_comes_in: bool, machine: Machine) -> float:
    batch = workload.batch
    by_input, by_state = multiplications(layer, shape)
    once = 2 * batch * by_input / machine.flops
    backward = 1 if data_comes_in else 2
    calls = 6 if weights(layer, shape) else 2
    if layer.kind in ("LSTM", "GRU"):
        gates = 4 if layer.kind == "LSTM" else 3
        cells = 3 * gates * shape[0] * batch * layer.units * _GATE
        states = 2 * batch * by_state / machine.flops * (2 / _STEPS + 1 / _DENSE)
        return once * (1 + backward) / _DENSE + states + cells + 4 * shape[0] * _CALL
    if layer.kind in ("Conv1D", "Conv2D"):
        squares = kernel_sizes(layer) == (3, 3) and shape[-1] >= 16
        rate = _WINOGRAD if squares else _COLOUR if shape[-1] < 8 else _TILES
        return once / rate * backward + once / (_COLOUR if shape[-1] < 8 else _TILES) + calls * _CALL
    return once * (1 + backward) / _DENSE + calls * _CALL


def foretold(workload: Workload, machine: Machine = Machine()) -> float:
    """Seconds a training step of ours should take, if its kernels are as fast in a plan as alone.

    Convolutions of 3×3 by Winograd forward and by input, others and gradients by kernels in tiles; products, cells of
    recurrent layers and calls at the rates above; bytes as in :func:`cost`, with those of layers that shape, drop and
    pool besides.
    """
    seconds = 0.0
    for layer, shape, data_comes_in in walk(workload):
        seconds += _foretold_layer(workload, layer, shape, data_comes_in, machine)
        moved = _bytes(workload, layer, shape, machine.near)
        passing = 4 * workload.batch * math.prod(shape)
        if not weights(layer, shape) and passing > machine.near and layer.kind != "Flatten":
            moved += 2 * passing
        seconds += moved / machine.bandwidth
    return seconds
