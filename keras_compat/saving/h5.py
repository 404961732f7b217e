"""The layout in HDF5 that Keras 1 began and Keras 3 still writes: every release's is read, 2.3.1's is written.

Attributes ``keras_version``, ``backend``, ``model_config``, ``training_config``; groups ``model_weights`` (attribute
``layer_names``, a group for each layer with ``weight_names``) and ``optimizer_weights``. A file of weights has the
content of ``model_weights`` at its root. Keras 1 wrote no ``backend``, and no ``keras_version`` to files of weights;
its names differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_compat.engine.network import json_value
from keras_compat.saving import configs, guard, layouts
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.later_configs import words_of_keras_2
from keras_compat.saving.optimizer_state import keras_2_state
from keras_compat.saving.parts import compile_settings, keras_2_weights, listed
from keras_compat.saving.stored import OWN_WORDS, StoredLayer, StoredModel, Writer
from keras_compat.utils.generic_utils import warn
from keras_compat.version import KERAS_VERSION

# What the layout of kernels follows; readers of such files turn the kernels of those marked 'theano'.
FILE_BACKEND = "tensorflow"

# HDF5 keeps attributes in the object header, which is limited; longer lists are split over several attributes.
_ATTRIBUTE_LIMIT = 64512


# -- reading ----------------------------------------------------------------------------------------------------------


def read(group: Any) -> StoredModel:
    """What an open file, or a group with the content of one, holds; the arrays stay in the file.

    Raises:
        CorruptFileError: it holds no model and no weights, or not all that it lists.
    """
    inner = guard.child(group, "model_weights")
    config = _parsed(group, "model_config")
    weights = group if inner is None else inner
    layers = _layers(weights, config is not None)
    version = guard.text(group, "keras_version") or guard.text(weights, "keras_version") or ""
    names = [array.name for layer in layers for array in layer.arrays]
    told = version or (config is not None and configs.is_later(config))
    line = configs.line_of(version, config) if told else _line_by_names(names)
    backend = guard.text(group, "backend") or guard.text(weights, "backend") or _backend_by_names(line, names)
    return StoredModel(
        layout="h5",
        writer=Writer(line, version, backend),
        config=config,
        training=_parsed(group, "training_config"),
        layers=layers,
        optimizer=_optimizer(group),
        extra=_extra(group),
    )


def _extra(group: Any) -> dict[str, Any]:
    own = guard.text(group, OWN_WORDS)
    return {} if own is None else {OWN_WORDS: own}


def _parsed(group: Any, name: str) -> dict[str, Any] | None:
    text = guard.text(group, name)
    if text is None:
        return None
    found = guard.parse_json(text, name)
    if not isinstance(found, dict):
        raise CorruptFileError(f"[load_model] the {name} in the file is no object but a {type(found).__name__}.")
    return found


def _layers(group: Any, may_be_empty: bool) -> tuple[StoredLayer, ...]:
    names = guard.texts(group, "layer_names")
    if names is None:
        if may_be_empty:
            return ()
        raise CorruptFileError(
            "[load] No model found in the file, and no weights of Keras: it has no `model_config` and no "
            "`layer_names`. Was it written by save() or save_weights()?"
        )
    found = []
    for name in names:
        part = guard.child(group, name)
        if part is None:
            raise CorruptFileError(f"[load_weights] the file lists layer {name!r} but does not hold it. Is it whole?")
        inside = guard.texts(part, "weight_names") or []
        found.append(StoredLayer(name, tuple([guard.array(part, one) for one in inside])))
    return tuple(found)


def _optimizer(group: Any) -> tuple[guard.Array, ...] | None:
    part = guard.child(group, "optimizer_weights")
    names = None if part is None else guard.texts(part, "weight_names")
    return None if names is None else tuple([guard.array(part, name) for name in names])


def _line_by_names(names: Iterable[str]) -> str:
    """Keras 1 put no version on files of weights; its names have no folders."""
    return "keras2" if any("/" in name for name in names) else "keras1"


def _backend_by_names(line: str, names: Sequence[str]) -> str:
    """TensorFlow's names end in ':0', Theano's do not; '' where no layer of Keras named a weight."""
    if any(name.endswith(":0") for name in names):
        return "tensorflow"
    return "theano" if line == "keras1" and any(map(layouts.is_keras_1_name, names)) else ""


# -- writing ----------------------------------------------------------------------------------------------------------


def write_model(group: Any, model: Any, include_optimizer: bool) -> None:
    """Write a model with its weights and, if compiled, its compile settings and optimizer state."""
    write_text(group, "keras_version", KERAS_VERSION)
    write_text(group, "backend", FILE_BACKEND)
    own = {"class_name": type(model).__name__, "config": model.get_config()}
    config = words_of_keras_2(own)
    write_text(group, "model_config", json.dumps(config, default=json_value))
    if config != own:
        write_text(group, OWN_WORDS, json.dumps({"config": own, "version": KERAS_VERSION}, default=json_value))
    write_weights(group.create_group("model_weights"), listed(model))
    if not include_optimizer or model.optimizer is None:
        return
    training = compile_settings(model)
    if model._mean_of_unmasked:
        training["mean_of_unmasked"] = True
    try:
        plain = words_of_keras_2(training)
        write_text(group, "training_config", json.dumps(plain, default=json_value))
        if plain != training:
            both = {"config": own, "training": training, "version": KERAS_VERSION}
            write_text(group, OWN_WORDS, json.dumps(both, default=json_value))
    except TypeError as error:
        warn(f"The compile settings can not be written and are left out of the file: {error}")
        return
    state = keras_2_state(model)
    if state:
        write_arrays(group.create_group("optimizer_weights"), state)


def write_weights(group: Any, layers: Sequence[Any]) -> None:
    """Write the weights of layers into a group, a group for each layer."""
    write_list(group, "layer_names", [layer.name for layer in layers])
    write_text(group, "backend", FILE_BACKEND)
    write_text(group, "keras_version", KERAS_VERSION)
    for layer in layers:
        write_arrays(group.create_group(layer.name), keras_2_weights(layer))


def write_arrays(group: Any, arrays: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write arrays under their names, made different where they are not, and the list of the names."""
    names = unique_names([name.strip("/") or f"param_{i}" for i, (name, _) in enumerate(arrays)])
    write_list(group, "weight_names", names)
    for name, (_, value) in zip(names, arrays):
        group.create_dataset(name, data=value)


# -- names and text ---------------------------------------------------------------------------------------------------


def unique_names(names: Sequence[str]) -> list[str]:
    """Names within one group must differ: ``a``, ``a_1``."""
    seen: set[str] = set()
    out = []
    for name in names:
        new, i = name, 1
        while new in seen:
            stem, colon, rest = name.partition(":")
            new = f"{stem}_{i}{colon}{rest}"
            i += 1
        seen.add(new)
        out.append(new)
    return out


def write_list(group: Any, name: str, texts: Sequence[str]) -> None:
    """A list of texts as an attribute, split over ``name0``, ``name1``... where it is too long for one."""
    data = np.asarray([t.encode("utf8") for t in texts]) if texts else np.asarray([], dtype="S1")
    too_long = [t for t in texts if len(t.encode("utf8")) > _ATTRIBUTE_LIMIT]
    if too_long:
        raise RuntimeError(
            f"[save] names longer than {_ATTRIBUTE_LIMIT} bytes can not be stored: {too_long[0][:60]}..."
        )
    chunks = 1
    while any(part.nbytes > _ATTRIBUTE_LIMIT for part in np.array_split(data, chunks)):
        chunks += 1
    if chunks == 1:
        group.attrs[name] = data
        return
    for i, part in enumerate(np.array_split(data, chunks)):
        group.attrs[f"{name}{i}"] = part


def write_text(group: Any, name: str, text: str) -> None:
    """Write a text as an attribute: bytes, which Keras decodes; h5py lets them be of any length."""
    group.attrs[name] = text.encode("utf8")
