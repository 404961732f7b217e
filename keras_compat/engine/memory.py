"""``model.memory_report()``: what training and using a model takes of memory, said before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import autotensor as at
from autotensor.profiler import size
from keras_compat.engine.layer import shape_of, unique


class MemoryReport:
    """The memory of a model for batches of one size, in bytes. ``print(report)`` shows a table.

    batch_size: number of samples in a batch.
    weights_bytes: the weights of all layers.
    optimizer_bytes, metrics_bytes: what the optimizer and the metrics keep between steps; 0 before ``compile()``.
    training, evaluation, prediction: the plans of a step of each, with ``input_bytes``, ``buffer_bytes``,
        ``peak_bytes``, ``values``... (see ``autotensor.Function.memory``); None where there is none: before
        ``compile()``, or where the step is the program's own.
    layers: names of layers and the bytes of their outputs for a batch, in the model's order.
    """

    def __init__(self, model: Any, batch_size: int, shapes: list[tuple[int, ...]]):
        self.name: str = model.name
        self.batch_size = batch_size
        self.training: Any = None
        self.evaluation: Any = None
        self.weights_bytes = _bytes_of(model.weights)
        self.optimizer_bytes = self.metrics_bytes = 0
        predictor = model._predictor()
        self.prediction: Any = predictor.memory(*shapes)
        if model._steps is not None:
            made = [result.shape for result in predictor.prepare(*shapes).outputs]
            ends = [next(k for k, y in enumerate(model.outputs) if y is out) for out in model._feed_outputs]
            shapes = [*shapes, *[_like(y, made[k], batch_size) for y, k in zip(model._feed_targets, ends)]]
            self.training = _memory(model._steps.get(True, False, False), shapes)
            self.evaluation = _memory(model._steps.get(False, False, False), shapes)
            # Weights of the optimizer's kind are Variables that the step changes and that are no layer's.
            known = {id(w) for w in model.weights}
            kept = [v for v, _ in model._steps.train_updates() if id(v) not in known]
            self.optimizer_bytes = _bytes_of(kept)
            self.metrics_bytes = _bytes_of([v for v, _ in model._steps.metric_updates])
        self.layers = [(layer.name, _output_bytes(layer, batch_size)) for layer in model.layers]

    @property
    def state_bytes(self) -> int:
        """What is there between steps: weights, the optimizer's and the metrics' state."""
        return self.weights_bytes + self.optimizer_bytes + self.metrics_bytes

    @property
    def peak_bytes(self) -> int:
        """What a training step needs, with the state; before ``compile()``, what a prediction does."""
        step = self.training or self.prediction
        return self.state_bytes + step.total_bytes

    @property
    def total_bytes(self) -> int:
        """What is held in the end by a program that trains, evaluates and predicts with batches of this size."""
        plans = (self.training, self.evaluation, self.prediction)
        return self.state_bytes + sum([plan.total_bytes for plan in plans if plan is not None])

    def __str__(self) -> str:
        lines = [f"memory of {self.name} with batches of {self.batch_size}", ""]
        state = [("weights", self.weights_bytes), ("optimizer", self.optimizer_bytes), ("metrics", self.metrics_bytes)]
        lines += [f"{name:<12}{size(nbytes):>10}" for name, nbytes in state if nbytes or name == "weights"]
        lines += ["", f"{'step':<12}{'batch':>10}{'buffers':>10}{'at once':>10}{'unshared':>10}"]
        for name in ("training", "evaluation", "prediction"):
            plan = getattr(self, name)
            if plan is not None:
                sizes = (plan.input_bytes, plan.buffer_bytes, plan.peak_bytes, plan.unshared_bytes)
                lines.append(f"{name:<12}" + "".join([f"{size(nbytes):>10}" for nbytes in sizes]))
        step = self.training or self.prediction
        largest = step.largest(5)
        if largest:
            lines += ["", "largest where a step needs most"]
        for held in largest:
            shape = f" {held.dtype}{list(held.shape)}" if held.shape else ""
            where = f" in {held.layer}" if held.layer else ""
            lines.append(f"{size(held.nbytes):>10}  {held.op}{shape}{where} ({held.kind})")
        what = "training" if self.training is not None else "prediction"
        lines += [
            "",
            f"{what} takes {size(self.peak_bytes)}; all kinds of steps together {size(self.total_bytes)}",
        ]
        return "\n".join(lines)


def report(model: Any, batch_size: int | None, shapes: Any) -> MemoryReport:
    """The report of a built model; see ``Model.memory_report``."""
    inputs = model._feed_inputs
    given = _listed(shapes, len(inputs))
    fixed = {x.shape[0] for x in inputs} - {None}
    if batch_size is None:
        batch_size = min(fixed, default=32)
    elif isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
        raise ValueError(f"[memory_report] expected batch_size to be a whole number from 1; got {batch_size!r}.")
    elif fixed and fixed != {batch_size}:
        raise ValueError(
            f"[memory_report] expected batches of {min(fixed)}, for which the model was built; got {batch_size}. "
            "Leave batch_size out?"
        )
    wanted = []
    for number, x in enumerate(inputs):
        sample = tuple(x.shape[1:]) if given is None else tuple(given[number])
        rest = x.shape[1:]
        if len(sample) != len(rest) or any(b is None or a not in (None, b) for a, b in zip(rest, sample)):
            hint = "Give a shape for each input: shapes=[(20, 3)]." if given is None else "Leave out the batch axis?"
            raise ValueError(
                f"[memory_report] expected sizes of all axes of input {x.name!r}, a sample of which is {rest}; "
                f"got {sample}. {hint}"
            )
        wanted.append((int(batch_size), *sample))
    return MemoryReport(model, int(batch_size), wanted)


def _listed(shapes: Any, count: int) -> list[Any] | None:
    """Shapes of samples, one for each input; a single one may stand alone."""
    if shapes is None:
        return None
    alone = all([n is None or hasattr(n, "__index__") for n in shapes])
    found = [tuple(shapes)] if alone else [tuple(s) for s in shapes]
    if len(found) != count:
        raise ValueError(f"[memory_report] expected {count} shapes, one for each input; got {shapes!r}.")
    return found


def _memory(step: Any, shapes: Sequence[tuple[int, ...]]) -> Any:
    return step.memory(*shapes) if isinstance(step, at.Function) else None


def _bytes_of(variables: Iterable[Any]) -> int:
    return sum([v.dtype.itemsize * int(v.size) for v in unique(list(variables))])


def _like(target: Any, made: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
    """Shape of a target: unknown sizes are those of the output."""
    axes = [*made, *[1] * len(target.shape)]
    return (batch_size, *[axes[k] if n is None else n for k, n in enumerate(target.shape)][1:])


def _output_bytes(layer: Any, batch_size: int) -> int:
    """Bytes of a layer's first outputs; 0 where sizes are unknown."""
    total = 0
    for node in layer._inbound_nodes[:1]:
        for y in node.output_tensors:
            count = batch_size
            for n in shape_of(y)[1:]:
                count *= n or 0
            total += count * y.dtype.itemsize
    return total
