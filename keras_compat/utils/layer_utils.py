"""Counting parameters and printing models as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_compat.utils.progbar import write_out


def count_params(weights: Iterable[Any]) -> int:
    """Number of scalars in weights, each counted once."""
    seen: dict[int, Any] = {id(w): w for w in weights}
    return sum(int(np.prod(tuple(w.shape))) for w in seen.values())


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print a table of the layers of a model: name, class, output shape, parameters and, if branched, inputs.

    Args:
        line_length: width of the table, 65 for a chain of layers and 98 for other graphs by default.
        positions: ends of the columns as shares of the width.
        print_fn: called with each line; ``print`` by default.
    """
    show: Callable[[str], Any] = print_fn if print_fn is not None else (lambda line: write_out(line + "\n"))
    chain = is_chain(model)
    if chain:
        line_length = line_length or 65
        positions = positions or [0.45, 0.85, 1.0]
        header = ["Layer (type)", "Output Shape", "Param #"]
    else:
        line_length = line_length or 98
        positions = positions or [0.33, 0.55, 0.67, 1.0]
        header = ["Layer (type)", "Output Shape", "Param #", "Connected to"]
    ends = [int(line_length * p) for p in positions] if positions[-1] <= 1 else [int(p) for p in positions]

    def row(fields: Sequence[str]) -> None:
        line = ""
        for i, (field, end) in enumerate(zip(fields, ends)):
            if i > 0:
                line = line[:-1] + " "
            line = (line + field)[:end].ljust(end)
        show(line)

    show(f'Model: "{model.name}"')
    show("_" * line_length)
    row(header)
    show("=" * line_length)
    layers = model.layers
    for i, layer in enumerate(layers):
        fields = [f"{layer.name} ({type(layer).__name__})", _output_shape(layer), str(_params_of(layer))]
        if chain:
            row(fields)
        else:
            came = _connections(model, layer)
            row([*fields, came[0] if came else ""])
            for other in came[1:]:
                row(["", "", "", other])
        show(("=" if i == len(layers) - 1 else "_") * line_length)
    trainable = count_params(getattr(model, "_collected_trainable_weights", None) or model.trainable_weights)
    fixed = count_params(model.non_trainable_weights)
    show(f"Total params: {trainable + fixed:,}")
    show(f"Trainable params: {trainable:,}")
    show(f"Non-trainable params: {fixed:,}")
    show("_" * line_length)


def is_chain(model: Any) -> bool:
    """True when each layer feeds exactly the next."""
    if type(model).__name__ == "Sequential":
        return True
    if not getattr(model, "_is_graph_network", False):
        return True
    for nodes in model._nodes_by_depth.values():
        if len(nodes) > 1 or (len(nodes) == 1 and len(nodes[0].inbound_layers) > 1):
            return False
    for layer in model.layers:
        used = [n for i, n in enumerate(layer._inbound_nodes) if (id(layer), i) in model._network_nodes]
        if len(used) > 1:
            return False
    return True


def _output_shape(layer: Any) -> str:
    try:
        return str(layer.output_shape)
    except AttributeError:
        return "multiple"


def _params_of(layer: Any) -> int:
    return layer.count_params() if getattr(layer, "built", True) else 0


def _connections(model: Any, layer: Any) -> list[str]:
    out = []
    for index, node in enumerate(layer._inbound_nodes):
        if (id(layer), index) in model._network_nodes:
            for inbound, i, t in zip(node.inbound_layers, node.node_indices, node.tensor_indices):
                out.append(f"{inbound.name}[{i}][{t}]")
    return out
