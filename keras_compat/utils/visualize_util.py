"""Keras 0.x's and 1.x's module path for drawings of models."""

from __future__ import annotations

from typing import Any

from keras_compat.utils.vis_utils import Dot as Dot
from keras_compat.utils.vis_utils import model_to_dot as model_to_dot
from keras_compat.utils.vis_utils import plot_model
from keras_compat.utils.vis_utils import pydot as pydot


def plot(
    model: Any,
    to_file: str = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    *,
    recursive: bool = False,
    show_shape: bool = False,
) -> Any:
    """Draw a model into a file: Keras 1's name of ``plot_model``.

    ``recursive`` (draw the layers of models within the model) and ``show_shape`` are Keras 0.x's words.
    """
    return plot_model(model, to_file, show_shapes or show_shape, show_layer_names, expand_nested=recursive)


def layer_typename(layer: Any) -> str:
    """``"keras_compat.layers.core.Dense"``: module and class of a layer."""
    return f"{type(layer).__module__}.{type(layer).__name__}"


def get_layer_to_name(model: Any) -> dict[Any, str]:
    """The names of a model's layers, by layer; those of a ``Graph`` are the names given there."""
    nodes = getattr(model, "nodes", None)
    if isinstance(nodes, dict):
        return {layer: name for name, layer in nodes.items()}
    return {layer: layer.name for layer in model.layers}


def to_graph(model: Any, **kwargs: Any) -> Dot:
    """Keras 0.x's name of ``model_to_dot``; ``recursive`` draws models within the model, ``show_shape`` shapes."""
    return ModelToDot()(model, **kwargs)


class ModelToDot:
    """Keras 0.x's drawing of models as an object: call it with a model."""

    def __call__(
        self, model: Any, recursive: bool = True, show_shape: bool = False, connect_to: str | None = None
    ) -> Dot:
        """Return the drawing; an arrow leads from the node ``connect_to``, if given, to the first layer."""
        dot = model_to_dot(model, show_shapes=show_shape, expand_nested=recursive)
        if connect_to is not None:
            dot.add_edge(connect_to, next(iter(dot.nodes)))
        return dot
