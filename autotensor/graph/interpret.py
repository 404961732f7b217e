"""The oracle of all compiled forms: evaluate a graph node by node with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.grad import check_versions, topological
from autotensor.core.state import state
from autotensor.core.tensor import Tensor, Variable
from autotensor.errors import GraphError, NanError


def interpret(outputs: Sequence[Tensor], values: dict[int, np.ndarray]) -> list[np.ndarray]:
    """Values of ``outputs``, given the arrays of some tensors by id; Variables are read now."""
    done: dict[tuple[int, int], np.ndarray] = {}

    def read(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if id(x) in values:
            return values[id(x)]
        if x.node is not None:
            return done[id(x.node), x.index]
        if x.data is None:
            raise GraphError(f"[function] placeholder {x.name or x.aval!r} has no value. Add it to inputs.")
        return x.data

    watch = state.watch
    for node, _ in topological(outputs, set(values)):
        check_versions(node, values)
        try:
            arrays = [read(x) for x in node.inputs]
            if watch is None:
                result = node.op.impl(*arrays, **node.params)
            else:
                result = watch.run(node.op, node.inputs, arrays, node.params, node)
        except NanError:  # it says itself what it is about
            raise
        except Exception as error:
            error.add_note(f"raised by {node.op.name}" + (f", written at {node.where}" if node.where else ""))
            raise
        for i, value in enumerate(result if node.op.n_out > 1 else (result,)):
            done[id(node), i] = np.asarray(value)
    return [read(x) for x in outputs]


def replay(
    values: dict[int, np.ndarray],
    outputs: Sequence[Tensor],
    updates: Sequence[tuple[Variable, Tensor]],
    name: str = "function",
) -> list[np.ndarray]:
    """Values of ``outputs``, fresh arrays; the Variables are updated once everything is computed."""
    watch = state.watch
    profiler = watch.profiler if watch is not None else None
    token = profiler.begin(name, "function") if profiler is not None else None
    try:
        found = interpret([*outputs, *[new for _, new in updates]], values)
    finally:
        if profiler is not None:
            profiler.end(token)
    result = [np.array(value) for value in found[: len(outputs)]]
    fresh = [np.array(value) for value in found[len(outputs) :]]
    for (variable, _), value in zip(updates, fresh, strict=True):
        variable.assign(value)
    return result


class Replay:
    """In the place of a plan where shapes follow from values, as in ``x[x > 0]``: nothing can be allocated before."""

    calls: Sequence[Any] = ()
    allocated = 0
    source = ""

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        updates: Sequence[tuple[Variable, Tensor]],
        name: str = "function",
    ):
        self.name = name
        self.shapes = tuple([x.shape for x in inputs])
        self.seconds: dict[str, float] = {}
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates)

    def run(self, *arrays: Any) -> list[np.ndarray]:
        values = {id(x): np.empty(a.shape, x.dtype) for x, a in zip(self.inputs, arrays, strict=True)}
        for value, a in zip(values.values(), arrays, strict=True):
            np.copyto(value, a)
        return replay(values, self.outputs, self.updates, self.name)

    def place_of(self, error: BaseException) -> None:
        return None
