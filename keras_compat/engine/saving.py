"""Keras 2.2's module path for files of models and weights, and its names for the steps of reading and writing.

The work is done in ``keras_compat.saving``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from keras_compat.models import model_from_config as model_from_config
from keras_compat.models import model_from_json as model_from_json
from keras_compat.models import model_from_yaml as model_from_yaml
from keras_compat.saving import guard, h5, layouts
from keras_compat.saving.models import load_layers
from keras_compat.saving.models import load_model as load_model
from keras_compat.saving.models import save_model as save_model
from keras_compat.saving.stored import Writer
from keras_compat.saving.weights import parts_of

# Bytes that the attributes of an HDF5 object may take; longer lists are split.
HDF5_OBJECT_HEADER_LIMIT = 64512
# TensorFlow's file access (Google Cloud Storage); None, as in Keras where that is not installed.
tf_file_io = None


def allow_read_from_gcs(load_function: Callable) -> Callable:
    """Return the function itself: paths are local. A ``gs://`` path is refused by it as any unknown file."""
    return load_function


def allow_write_to_gcs(save_function: Callable) -> Callable:
    """Return the function itself: paths are local."""
    return save_function


def save_attributes_to_hdf5_group(group: Any, name: str, data: Sequence[Any]) -> None:
    """Write a list of texts as the attribute ``name``, split over ``name0``, ``name1``... where it is too long."""
    h5.write_list(group, name, [x.decode("utf8") if isinstance(x, bytes) else str(x) for x in data])


def load_attributes_from_hdf5_group(group: Any, name: str) -> list[str]:
    """Read what :func:`save_attributes_to_hdf5_group` wrote; an empty list where there is nothing."""
    return guard.texts(group, name) or []


def save_weights_to_hdf5_group(group: Any, layers: Sequence[Any]) -> None:
    """Write the weights of layers into a group, a group for each layer."""
    h5.write_weights(group, layers)


def load_weights_from_hdf5_group(f: Any, layers: Sequence[Any], reshape: bool = False) -> None:
    """Set the weights of layers from a group, in order. Raises ValueError, with nothing changed, where they differ."""
    load_layers(f, layers, reshape=reshape)


def load_weights_from_hdf5_group_by_name(
    f: Any, layers: Sequence[Any], skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Set the weights of those layers whose name is in a group; ``skip_mismatch`` leaves out what does not fit."""
    load_layers(f, layers, by_name=True, skip_mismatch=skip_mismatch, reshape=reshape)


def _stored(layer: Any) -> int:
    """Number of arrays that Keras 1 stores of a layer: three for each gate."""
    return sum(max(layouts.counts(part.layer, part.weights)) for part in parts_of(layer))


def preprocess_weights_for_loading(
    layer: Any,
    weights: Sequence[Any],
    original_keras_version: str | None = None,
    original_backend: str | None = None,
    reshape: bool = False,
) -> list[np.ndarray]:
    """Weights from a file as ``layer.set_weights`` takes them; wrappers and models hand them on to the layers inside.

    Of Keras 1 (``original_keras_version='1'``) the arrays of the gates become one, in the order of Keras 2, and
    kernels get its layout. Kernels that Theano wrote are turned by 180 degrees. ``reshape`` fits arrays of the right
    size to the shapes of the layer's weights.
    """
    values = [np.asarray(w) for w in weights]

    def of(part: Any, some: Sequence[Any]) -> list[np.ndarray]:
        return preprocess_weights_for_loading(part, some, original_keras_version, original_backend, reshape)

    if hasattr(layer, "forward_layer"):
        half = len(values) // 2
        return of(layer.forward_layer, values[:half]) + of(layer.backward_layer, values[half:])
    if hasattr(layer, "layer") and hasattr(layer.layer, "weights"):
        return of(layer.layer, values)
    if getattr(layer, "layers", None):
        done: list[np.ndarray] = []
        for inner in layer.layers:
            count = _stored(inner) if original_keras_version == "1" else len(inner.weights)
            done += of(inner, values[:count])
            values = values[count:]
        return done + values
    line = "keras1" if original_keras_version == "1" else "keras2"
    values = layouts.fitted(layer, layer.weights, values, [], Writer(line, "", original_backend or ""))
    if reshape:
        shapes = [tuple(w.shape) for w in layer.weights]
        values = [v.reshape(s) if v.size == int(np.prod(s)) else v for v, s in zip(values, shapes)]
    return values


def pickle_model(model: Any) -> dict[str, Any]:
    """A model as a dictionary that pickle can write: the bytes of its HDF5 file."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as f:
        save_model(model, f)
    return {"class_name": type(model).__name__, "h5": stream.getvalue()}


def unpickle_model(state: dict[str, Any]) -> Any:
    """The model that :func:`pickle_model` described."""
    with h5py.File(io.BytesIO(state["h5"]), "r") as f:
        return load_model(f)


__all__ = [
    "HDF5_OBJECT_HEADER_LIMIT",
    "allow_read_from_gcs",
    "allow_write_to_gcs",
    "load_attributes_from_hdf5_group",
    "load_model",
    "load_weights_from_hdf5_group",
    "load_weights_from_hdf5_group_by_name",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "pickle_model",
    "preprocess_weights_for_loading",
    "save_attributes_to_hdf5_group",
    "save_model",
    "save_weights_to_hdf5_group",
    "tf_file_io",
    "unpickle_model",
]
