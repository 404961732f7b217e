"""Names of layer classes in configs, and back. Layers and models enter themselves here when their module "
"is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_compat.utils.generic_utils import Registry, serialize_keras_object

LAYERS = Registry("layer")


def register(cls: Any) -> Any:
    """Decorator of a layer class: configs may name it."""
    return LAYERS.add(cls)


def serialize(layer: Any) -> Any:
    """``{'class_name': ..., 'config': ...}`` of a layer or model."""
    return serialize_keras_object(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer or model that a config describes, with new weights; unknown classes raise ValueError."""
    return LAYERS.deserialize(config, custom_objects)
