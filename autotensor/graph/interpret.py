"""The oracle of all compiled forms: evaluate a graph node by node with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.grad import check_versions, topological
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

    for node, _ in topological(outputs, set(values)):
        check_versions(node, values)
        try:
            result = node.op.impl(*[read(x) for x in node.inputs], **node.params)
        except Exception as error:
            error.add_note(f"raised by {node.op.name}" + (f", written at {node.where}" if node.where else ""))
            raise
        for i, value in enumerate(result if node.op.n_out > 1 else (result,)):
            value = done[id(node), i] = np.asarray(value)
            if config.nan_guard and value.dtype.kind == "f" and not np.isfinite(value).all():
                bad = "NaN" if np.isnan(value).any() else "infinity"
                raise NanError(
                    f"[{node.op.name}] first {bad} came out of {node.op.name} {value.shape}, written at {node.where}. "
                    "Look at the operands there: a log or division of 0, or a step that is too large?"
                )
    return [read(x) for x in outputs]


def replay(
    values: dict[int, np.ndarray], outputs: Sequence[Tensor], updates: Sequence[tuple[Variable, Tensor]]
) -> list[np.ndarray]:
    """Values of ``outputs``, fresh arrays; the Variables are updated once everything is computed."""
    found = interpret([*outputs, *[new for _, new in updates]], values)
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

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], updates: Sequence[tuple[Variable, Tensor]]):
        self.shapes = tuple([x.shape for x in inputs])
        self.seconds: dict[str, float] = {}
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.updates = list(updates)

    def run(self, *arrays: Any) -> list[np.ndarray]:
        values = {id(x): np.empty(a.shape, x.dtype) for x, a in zip(self.inputs, arrays, strict=True)}
        for value, a in zip(values.values(), arrays, strict=True):
            np.copyto(value, a)
        return replay(values, self.outputs, self.updates)

    def place_of(self, error: BaseException) -> None:
        return None
