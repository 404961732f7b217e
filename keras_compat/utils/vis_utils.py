"""Drawings of models in the DOT language of Graphviz.

The text is made here, with no further package. To turn it into an image Graphviz's program ``dot`` is called, if it is
installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from keras_compat.layers import Wrapper as Wrapper
from keras_compat.models import Model as Model
from keras_compat.models import Sequential

# Nothing here needs the package; programs look whether it is None.
pydot = None


class Dot:
    """A drawing: nodes with labels, edges, and drawings within it. ``str()`` or ``to_string()`` is its text."""

    def __init__(self, name: str = "G", kind: str = "digraph", **attributes: Any):
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[tuple[str, str]] = []
        self.subgraphs: list[Dot] = []

    def add_node(self, name: str, **attributes: Any) -> None:
        """Add a node, or change one."""
        self.nodes[name] = attributes

    def add_edge(self, source: str, target: str) -> None:
        """Add an edge between two nodes, once."""
        if (source, target) not in self.edges:
            self.edges.append((source, target))

    def add_subgraph(self, inner: Dot) -> None:
        """Put a drawing into this one."""
        self.subgraphs.append(inner)

    def get_edge(self, source: str, target: str) -> list[tuple[str, str]]:
        """The edges between two nodes, none or one."""
        return [edge for edge in self.edges if edge == (source, target)]

    def to_string(self) -> str:
        """Text in the DOT language."""
        return "\n".join(self._lines("")) + "\n"

    __str__ = to_string

    def _lines(self, indent: str) -> list[str]:
        name = f"cluster_{self.name}" if self.kind == "subgraph" else self.name
        out = [f"{indent}{self.kind} {_quoted(name)} {{"]
        out += [f"{indent}  {key}={_quoted(value)};" for key, value in self.attributes.items()]
        out.append(f"{indent}  node [shape=record];")
        for inner in self.subgraphs:
            out += inner._lines(indent + "  ")
        for node, attributes in self.nodes.items():
            listed = ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())
            out.append(f"{indent}  {_quoted(node)} [{listed}];")
        out += [f"{indent}  {_quoted(a)} -> {_quoted(b)};" for a, b in self.edges]
        return [*out, f"{indent}}}"]

    def create(self, prog: str = "dot", format: str = "png") -> bytes:
        """The image that Graphviz makes of it. Raises ImportError where Graphviz is not installed."""
        program = shutil.which(prog)
        if program is None:
            raise ImportError(
                f"[plot_model] Graphviz's program {prog!r} is needed to draw a {format} and was not found. Install "
                "graphviz, or write the text alone: to_file='model.dot'."
            )
        text = self.to_string().encode()
        return subprocess.run([program, f"-T{format}"], input=text, capture_output=True, check=True).stdout

    def write(self, path: str, prog: str = "dot", format: str | None = None) -> None:
        """Write text (.dot, .gv, 'raw') or an image in the format of the name's ending."""
        kind = format or os.path.splitext(path)[1].lstrip(".") or "png"
        content = self.to_string().encode() if kind in ("dot", "gv", "raw") else self.create(prog, kind)
        with open(path, "wb") as stream:
            stream.write(content)


def _quoted(value: Any) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


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
        dot = Dot(model.name, "subgraph", style="dashed", label=model.name)
    else:
        dot = Dot(model.name, rankdir=rankdir, concentrate="true", dpi=dpi)
    nested: dict[str, Any] = {}
    layers = _drawn(model)
    for layer in layers:
        key = str(id(layer))
        if expand_nested and is_model(layer):
            dot.add_subgraph(model_to_dot(layer, show_shapes, show_layer_names, rankdir, True, dpi, True))
            nested[key] = layer
            continue
        dot.add_node(key, label=_label(layer, show_shapes, show_layer_names))
    used = getattr(model, "_network_nodes", None)
    for layer in layers:
        for i, node in enumerate(layer._inbound_nodes):
            if used is not None and (id(layer), i) not in used:
                continue
            for inbound in node.inbound_layers:
                add_edge(dot, _exit(nested, str(id(inbound))), _entry(nested, str(id(layer))))
    return dot


def _drawn(model: Any) -> list[Any]:
    """The layers of a model, with the input layer that a Sequential does not list."""
    if not isinstance(model, Sequential):
        return model.layers
    source = model._input_layers if len(model._input_layers) == 1 else []
    return [*(layer for layer in source if layer not in model._layers), *model._layers]


def _entry(nested: dict[str, Any], key: str) -> str:
    return str(id(_ends(nested[key])[0])) if key in nested else key


def _exit(nested: dict[str, Any], key: str) -> str:
    return str(id(_ends(nested[key])[-1])) if key in nested else key


def _ends(model: Any) -> list[Any]:
    layers = _drawn(model)
    first, last = layers[0], layers[-1]
    return [_ends(first)[0] if is_model(first) else first, _ends(last)[-1] if is_model(last) else last]


def _label(layer: Any, show_shapes: bool, show_layer_names: bool) -> str:
    kind, name = type(layer).__name__, layer.name
    if isinstance(layer, Wrapper):
        inner = layer.layer
        kind = f"{kind}({type(inner).__name__})"
        name = f"{name}({inner.name})"
    label = f"{name}: {kind}" if show_layer_names else kind
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
) -> None:
    """Draw a model into a file; see :func:`model_to_dot`.

    The ending of the name is the format: ``.dot`` and ``.gv`` are text and need nothing, others need Graphviz.

    Raises:
        ImportError: Graphviz is needed and not installed.
    """
    model_to_dot(model, show_shapes, show_layer_names, rankdir, expand_nested, dpi).write(to_file)


# Keras 1's name.
plot = plot_model
