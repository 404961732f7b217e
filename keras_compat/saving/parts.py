"""A model taken apart: layers without layers in them, and what lies between them and the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.engine.layer import shape_of
from keras_compat.saving import layouts
from keras_compat.utils.generic_utils import numbered, serialize_keras_object, to_snake_case


@dataclass(frozen=True)
class Part:
    """A layer without layers in it, and what of its weights is meant: all, or those that the optimizer changes."""

    layer: Any
    weights: tuple[Any, ...]


def listed(model: Any) -> list[Any]:
    """The layers that have a group each in a file."""
    return getattr(model, "flattened_layers", model.layers)


def inner_layers(layer: Any) -> list[tuple[str, Any]]:
    """The layers in a layer, each with its place in Keras 3's files: 'layers/dense_1', 'forward_layer', 'cell'."""
    if hasattr(layer, "forward_layer") and hasattr(layer, "backward_layer"):
        return [("forward_layer", layer.forward_layer), ("backward_layer", layer.backward_layer)]
    if layouts.kind_of(layer):
        return []
    if getattr(layer, "layers", None):
        return [(f"layers/{key}", inner) for key, inner in zip(keys(layer.layers), layer.layers)]
    if hasattr(getattr(layer, "layer", None), "weights"):
        return [("layer", layer.layer)]
    if hasattr(layer, "cell") and hasattr(layer.cell, "weights"):
        return [("cell", layer.cell)] if inner_layers(layer.cell) or layouts.kind_of(layer.cell) else []
    if isinstance(getattr(layer, "cells", None), (list, tuple)):
        return [(f"cells/{key}", cell) for key, cell in zip(keys(layer.cells), layer.cells)]
    inner = [other for other in getattr(layer, "_layers", ()) if hasattr(other, "weights")]
    return list(zip(keys(inner), inner))


def keys(layers: Iterable[Any]) -> list[str]:
    """The names that Keras 3's files give to layers in one place: by their classes, ``dense``, ``dense_1``."""
    return numbered(stem_of(type(layer).__name__) for layer in layers)


def stem_of(class_name: str) -> str:
    """What Keras 3's files call the objects of a class, but for the number."""
    return "functional" if class_name == "Model" else to_snake_case(class_name)


def plain_key(key: str) -> str:
    """A key of Keras 3's files without the underlines, which its releases put differently: 'conv_lst_m2d'."""
    return re.sub(r"_(?!\d+(/|$))", "", key)


def parts_of(layer: Any) -> list[Part]:
    """The parts of a layer or model that have weights, each once."""
    return [part for _, part in placed_parts(layer)]


def placed_parts(layer: Any) -> list[tuple[str, Part]]:
    """The parts of a layer, as :func:`parts_of`, each with its place there in Keras 3's files: 'forward_layer/'."""
    found: list[tuple[str, Part]] = []
    seen: set[int] = set()

    def visit(one: Any, place: str) -> None:
        if id(one) in seen:
            return
        seen.add(id(one))
        for key, inner in inner_layers(one):
            visit(inner, f"{place}{key}/")
        own = tuple([w for w in one.weights if id(w) not in seen])
        seen.update(id(w) for w in own)
        if own:
            found.append((place, Part(one, own)))

    visit(layer, "")
    return found


def compile_settings(model: Any) -> dict[str, Any]:
    """What ``compile`` was called with, in the words and the order of Keras's files."""
    return {
        "optimizer_config": serialize_keras_object(model.optimizer),
        "loss": model.loss,
        "metrics": model._compile_metrics,
        "weighted_metrics": model._compile_weighted_metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
    }


def output_sizes(model: Any) -> list[int | None]:
    """The size of the last axis of each output of a model, where it has a length."""
    return [shape_of(y)[-1] if shape_of(y) else None for y in model.outputs or ()]


# -- as Keras 2.3.1 keeps them ----------------------------------------------------------------------------------------


def keras_2_weights(layer: Any) -> list[tuple[str, np.ndarray]]:
    """Names and values of the weights of a layer, layers within it included, in the order and layout of Keras 2.3.1."""
    weights = layer.weights
    return in_keras_2_form(layer, weights, K.batch_get_value(weights))


def in_keras_2_form(layer: Any, weights: Sequence[Any], values: Sequence[np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Names and values in the layout of Keras 2.3.1, for some weights of a layer and what they, or slots of them, hold.

    A layer whose layout is another one keeps all of its weights beside each other.
    """
    owner = {id(w): part for part in parts_of(layer) for w in part.weights}
    found: list[tuple[str, np.ndarray]] = []
    i = 0
    while i < len(weights):
        part = owner.get(id(weights[i]))
        own = part.weights if part is not None and layouts.kind_of(part.layer) else ()
        together = own and [id(w) for w in own] == [id(w) for w in weights[i : i + len(own)]]
        n = len(own) if together else 1
        some, names = list(values[i : i + n]), [w.name or "" for w in weights[i : i + n]]
        if part is not None and n == len(part.weights):
            some = layouts.keras_2_form(part.layer, some)
        if len(some) != n:  # gates were joined
            stem = names[0].rpartition("/")[0]
            names = [f"{stem}/{word}:0" for word in ("kernel", "recurrent_kernel", "bias")]
        found += zip(names, some)
        i += n
    return found
