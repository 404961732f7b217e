"""Models, and reading them back from configs and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keras_compat import layers as layers
from keras_compat.engine.input_layer import Input as Input
from keras_compat.engine.input_layer import InputLayer as InputLayer
from keras_compat.engine.registry import deserialize
from keras_compat.engine.sequential import Sequential as Sequential
from keras_compat.engine.training import Model as Model
from keras_compat.saving.h5 import load_model as load_model
from keras_compat.saving.h5 import save_model as save_model


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that a config (``{'class_name', 'config'}``) describes, with new weights."""
    if not isinstance(config, Mapping):
        raise TypeError(
            f"[model_from_config] expected a dictionary; got a {type(config).__name__}. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    return deserialize(config, custom_objects=custom_objects)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that ``model.to_json()`` described, with new weights."""
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"[model_from_json] expected the text that model.to_json() gives; got {type(json_string).__name__}: "
            f"{error}. Read the file first: model_from_json(open(path).read())."
        ) from None
    return model_from_config(config, custom_objects=custom_objects)
