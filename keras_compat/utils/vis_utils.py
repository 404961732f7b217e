"""Drawings of models: a box for each layer, an arrow for each tensor between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from keras_compat.engine.layer import class_name
from keras_compat.layers import Wrapper as Wrapper
from keras_compat.models import Model as Model
from keras_compat.models import Sequential
from keras_compat.utils.drawing import Dot as Dot
from keras_compat.utils.drawing import record

# Nothing here needs the package; programs look whether it is None.
pydot = None


def is_wrapped_model(layer: Any) -> bool:
    """Tell whether a layer is a wrapper around a model."""
    return isinstance(layer, Wrapper) and isinstance(layer.layer, Model)


def is_model(layer: Any) -> bool:
    """Tell whether a layer is a model."""
    return isinstance(layer, Model)


def add_edge(dot: Any, src: str, dst: str) -> None:
    """Add an edge to a drawing unless it has it."""
    if not dot.get_edge(src, dst):
        dot.add_edge(src, dst)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
    subgraph: bool = False,
) -> Dot:
    """Draw a model: a box for each layer, an arrow for each tensor between them.

    The drawing has the methods of pydot's that programs call, without pydot: ``create(prog='dot', format='svg')``,
    ``write_png(path)``, ``get_nodes()``, ``set_rankdir('LR')``... Names of nodes are ``str(id(layer))`` as in Keras.

    Args:
        show_shapes: input and output shapes in the boxes.
        show_layer_names: names beside the classes.
        rankdir: 'TB' from top to bottom, 'LR' from left to right.
        expand_nested: draw the layers of models within the model, in a frame.
        dpi: dots per inch of an image made from it.
        subgraph: make a drawing to be put into another.
    """
    if isinstance(model, Sequential) and not model.built:
        model.build()
    if subgraph:
        dot = Dot(f"{model.name}_{id(model)}", "subgraph", style="dashed", label=model.name, labeljust="l")
    else:
        dot = Dot(model.name, rankdir=rankdir, concentrate=True, dpi=dpi)
    layers = _drawn(model)
    framed: set[int] = set()
    for layer in layers:
        inner = _framed(layer) if expand_nested else None
        if inner is not None and id(inner) not in framed:
            framed.add(id(inner))
            dot.add_subgraph(model_to_dot(inner, show_shapes, show_layer_names, rankdir, True, dpi, True))
        if inner is not layer:
            alone = inner is None  # what the frame shows need not stand in the box of its wrapper
            dot.add_node(str(id(layer)), label=_label(layer, show_shapes, show_layer_names, alone))
            for entry in [] if inner is None else _inputs(inner):
                dot.add_edge(str(id(layer)), str(id(entry)))
    for source, target in _arrows(model, layers, expand_nested):
        dot.add_edge(str(id(source)), str(id(target)))
    return dot


def _framed(layer: Any) -> Any:
    """The model that is drawn in a frame of its own: a layer that is one, or what a wrapper holds; else None."""
    inner = layer.layer if is_wrapped_model(layer) else layer
    return inner if is_model(inner) and _drawn(inner) else None


def _drawn(model: Any) -> list[Any]:
    """The layers of a model, with the input layers that a Sequential does not list."""
    if not isinstance(model, Sequential) or not model.inputs:
        return model.layers
    listed = model._layers
    return [layer for layer in model._map.layers if layer not in listed] + listed


def _inputs(model: Any) -> list[Any]:
    return getattr(model, "_input_layers", None) or _drawn(model)[:1]


def _arrows(model: Any, layers: list[Any], expand: bool) -> Iterator[tuple[Any, Any]]:
    """Pairs (layer, layer); a model in a frame is entered at its input layers and left from its output layers."""
    used = getattr(model, "_network_nodes", None)
    for layer in layers:
        for i, node in enumerate(layer._inbound_nodes):
            if used is not None and (id(layer), i) not in used:
                continue
            for k, (inbound, t) in enumerate(zip(node.inbound_layers, node.tensor_indices)):
                yield _left(inbound, t, expand), _entered(layer, k, expand)


def _left(layer: Any, tensor: int, expand: bool) -> Any:
    """The layer whose box the tensor of this number comes from."""
    while expand and (inner := _framed(layer)) is not None:
        history = getattr(inner, "_output_coordinates", None)
        layer, _, tensor = history[tensor if tensor < len(history) else -1] if history else (_drawn(inner)[-1], 0, 0)
    return layer


def _entered(layer: Any, place: int, expand: bool) -> Any:
    """The layer whose box takes the tensor at this place; a wrapper has one itself."""
    while expand and is_model(layer) and _framed(layer) is not None:
        inputs = _inputs(layer)
        layer, place = inputs[place if place < len(inputs) else -1], 0
    return layer


def _label(layer: Any, show_shapes: bool, show_layer_names: bool, with_inner: bool) -> str:
    kind, name = class_name(type(layer)), layer.name
    if isinstance(layer, Wrapper) and with_inner:
        kind, name = f"{kind}({class_name(type(layer.layer))})", f"{name}({layer.layer.name})"
    label = record(f"{name}: {kind}" if show_layer_names else kind)
    if not show_shapes:
        return label
    return f"{label}\n|{{input:|output:}}|{{{{{_shape(layer, 'input_shape')}}}|{{{_shape(layer, 'output_shape')}}}}}"


def _shape(layer: Any, which: str) -> str:
    try:
        return str(getattr(layer, which))
    except AttributeError:
        return "multiple"


def plot_model(
    model: Any,
    to_file: str = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
) -> Any:
    """Draw a model into a file; see :func:`model_to_dot`.

    The ending of the name is the format, png where there is none: ``.png``, ``.svg``, ``.jpg``; ``.pdf`` and others
    with Graphviz itself. ``.dot`` and ``.gv`` are text and need nothing.

    Returns:
        In IPython the image, which a notebook shows; else None.

    Raises:
        ImportError: neither Graphviz nor the extra ``plot`` is installed.
        OSError: the program can not make this format, or the file can not be written.
    """
    kind = os.path.splitext(to_file)[1].lstrip(".").lower() or "png"
    dot = model_to_dot(model, show_shapes, show_layer_names, rankdir, expand_nested, dpi)
    dot.write(to_file, format=kind)
    display = sys.modules.get("IPython.display")
    if display is None or kind not in ("png", "jpg", "jpeg", "gif", "svg"):
        return None
    return display.SVG(filename=to_file) if kind == "svg" else display.Image(filename=to_file)


# Keras 1's name.
plot = plot_model
