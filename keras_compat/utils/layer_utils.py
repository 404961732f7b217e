"""Counting parameters and printing models as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.engine.layer import class_name
from keras_compat.engine.network import get_source_inputs as get_source_inputs
from keras_compat.engine.registry import LAYERS, deserialize
from keras_compat.utils.progbar import write_out


def count_params(weights: Iterable[Any]) -> int:
    """Number of scalars in weights, each counted once."""
    seen: dict[int, Any] = {id(w): w for w in weights}
    return sum(int(np.prod(tuple(w.shape))) for w in seen.values())


def count_total_params(layers: Iterable[Any], layer_set: set[Any] | None = None) -> tuple[int, int]:
    """Numbers of trainable and of other parameters of layers, each layer counted once (Keras 1).

    Args:
        layer_set: layers that were counted before; those counted now are added.
    """
    seen = set() if layer_set is None else layer_set
    trainable = fixed = 0
    for layer in layers:
        if layer in seen:
            continue
        seen.add(layer)
        if hasattr(layer, "layers"):
            inner = count_total_params(layer.layers, seen)
            trainable, fixed = trainable + inner[0], fixed + inner[1]
        else:
            trainable += count_params(layer.trainable_weights)
            fixed += count_params(layer.non_trainable_weights)
    return trainable, fixed


def layer_from_config(config: Any, custom_objects: Any = None) -> Any:
    """The layer or model that ``{'class_name', 'config'}`` describes, with new weights (Keras 1)."""
    return deserialize(config, custom_objects)


def container_from_config(original_layer_dict: Any, custom_objects: Any = None) -> Any:
    """The layer or model that a config describes, with new weights (Keras 0.x's name of :func:`layer_from_config`)."""
    return layer_from_config(original_layer_dict, custom_objects)


def get_layer(identifier: Any, kwargs: dict[str, Any] | None = None) -> Any:
    """A layer from the name of its class, made with ``kwargs``; a layer comes back (Keras 0.x)."""
    return LAYERS.instance(identifier, kwargs)


def model_summary(model: Any) -> None:
    """Print the table of a model's layers (Keras 0.x's name of :func:`print_summary`)."""
    print_summary(model)


def convert_all_kernels_in_model(model: Any) -> None:
    """Turn the kernels of all convolutions by 180 degrees: from Theano's convention to TensorFlow's or back."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            convert_all_kernels_in_model(layer)
        elif type(layer).__name__ in _CONVOLUTIONS:
            kernel, rank = layer.kernel, K.ndim(layer.kernel)
            # Keras 1's kernels of channels-first images begin with (filters, channels).
            begins = getattr(layer, "kernel_format", None) == "channels_first"
            space = tuple(range(2, rank) if begins else range(rank - 2))
            K.set_value(kernel, np.flip(K.get_value(kernel), axis=space).copy())


_CONVOLUTIONS = (
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "AtrousConvolution1D",
    "AtrousConvolution2D",
)


def convert_dense_weights_data_format(
    dense: Any, previous_feature_map_shape: Sequence[int], target_data_format: str = "channels_first"
) -> None:
    """Reorder the rows of a Dense kernel that follows a Flatten, when the layout of images before it changes.

    Args:
        previous_feature_map_shape: shape before Flatten without samples, in the new layout: (channels, rows, columns)
            for 'channels_first'.
        target_data_format: the new layout, 'channels_first' or 'channels_last'.
    """
    if target_data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            "[convert_dense_weights_data_format] expected 'channels_first' or 'channels_last'; got "
            f"{target_data_format!r}. Check the spelling."
        )
    kernel, *rest = dense.get_weights()
    shape = tuple(previous_feature_map_shape)
    columns = kernel.shape[1]
    if target_data_format == "channels_first":
        c, *space = shape
        moved = np.moveaxis(kernel.reshape(*space, c, columns), len(space), 0)
    else:
        *space, c = shape
        moved = np.moveaxis(kernel.reshape(c, *space, columns), 0, len(space))
    dense.set_weights([moved.reshape(kernel.shape), *rest])


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print a table of the layers of a model: name, class, output shape, parameters and, if branched, inputs.

    It looks as in the Keras of the API level: Keras 1 shows the inputs of chains too, is 100 wide, and lists the
    layers of the branches where a ``Merge`` begins a Sequential; Keras 2.3 begins with the model's name.

    Args:
        model: a model, or a list of layers (Keras 1).
        line_length: width of the table, 65 for a chain of layers and 98 for other graphs by default.
        positions: ends of the columns as shares of the width, or as numbers of characters.
        print_fn: called with each line; ``print`` by default.
    """
    show: Callable[[str], Any] = print_fn if print_fn is not None else (lambda line: write_out(line + "\n"))
    old = get_api_level() == "1.2" or isinstance(model, (list, tuple))
    chain = not old and is_chain(model)
    if chain:
        line_length, positions = line_length or 65, positions or [0.45, 0.85, 1.0]
    else:
        line_length, positions = line_length or (100 if old else 98), positions or [0.33, 0.55, 0.67, 1.0]
    ends = [int(line_length * p) for p in positions] if positions[-1] <= 1 else [int(p) for p in positions]

    def row(fields: Sequence[str]) -> None:
        line = ""
        for i, (field, end) in enumerate(zip(fields, ends)):
            if i > 0:
                line = line[:-1] + " "
            line = (line + field)[:end].ljust(end)
        show(line)

    if get_api_level() == "2.3" and hasattr(model, "name"):
        show(f'Model: "{model.name}"')
    show("_" * line_length)
    row(["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * (not chain))
    show("=" * line_length)
    layers = list(model) if isinstance(model, (list, tuple)) else model.layers
    if old:
        layers = getattr(model, "flattened_layers", layers)
    for i, layer in enumerate(layers):
        fields = [f"{layer.name} ({class_name(type(layer))})", _output_shape(layer), str(_params_of(layer))]
        if chain:
            row(fields)
        else:
            came = _connections_in_keras_1(model, layer) if old else _connections(model, layer)
            row([*fields, came[0] if came else ""])
            for other in came[1:]:
                row(["", "", "", other])
        show(("=" if i == len(layers) - 1 else "_") * line_length)
    if old:
        trainable, fixed = count_total_params(layers)
    else:
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
    return all(len(model._calls_of(layer)) <= 1 for layer in model.layers)


def _output_shape(layer: Any) -> str:
    try:
        return str(layer.output_shape)
    except AttributeError:
        return "multiple"


def _params_of(layer: Any) -> int:
    return layer.count_params() if getattr(layer, "built", True) else 0


def _connections(model: Any, layer: Any) -> list[str]:
    return [f"{source.name}[{i}][{t}]" for source, i, t in _sources(model._calls_of(layer))]


def _sources(nodes: Iterable[Any]) -> list[tuple[Any, int, int]]:
    """(layer, number of its call, place among the results) of each tensor that the calls took."""
    return [come for n in nodes for come in zip(n.inbound_layers, n.node_indices, n.tensor_indices)]


def _connections_in_keras_1(model: Any, layer: Any) -> list[str]:
    """There, a model that begins a Sequential gets no input of its own, and what follows comes from its last layer."""
    first = model.layers[0] if type(model).__name__ == "Sequential" else None
    first = first if hasattr(first, "_output_coordinates") else None
    if layer is first:
        return []
    kept = getattr(model, "_network_nodes", None)
    nodes = layer._inbound_nodes
    if kept is not None:  # layers of the branches before a Merge are no part of the graph here: they have one call
        nodes = [n for i, n in enumerate(nodes) if (id(layer), i) in kept] or nodes[:1]
    sources = [first._output_coordinates[0] if s[0] is first else s for s in _sources(nodes)]
    return [f"{source.name}[{i}][{t}]" for source, i, t in sources]
