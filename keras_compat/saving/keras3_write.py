"""Writing what tf.keras 2.12 to 2.15 and Keras 3 read: ``.keras`` archives, ``.weights.h5`` and their older ``.h5``."""

from __future__ import annotations

import datetime
import io
import json
import re
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import h5py
import numpy as np

from keras_compat import backend as K
from keras_compat.engine.network import json_value
from keras_compat.saving import h5, keras3, layouts, weights
from keras_compat.saving.later_configs import Findings, legacy_form, legacy_training, to_later, training_to_later
from keras_compat.saving.optimizer_state import SLOTS
from keras_compat.saving.parts import compile_settings, output_sizes
from keras_compat.saving.stored import OWN_WORDS
from keras_compat.utils.generic_utils import warn
from keras_compat.version import KERAS_VERSION

# The releases whose files these are like.
VERSIONS = {"tfkeras": "2.15.0", "keras3": "3.15.1"}
_BACKENDS = {"tfkeras": "tensorflow", "keras3": "torch"}


# -- whole models -----------------------------------------------------------------------------------------------------


def write_archive(stream: BinaryIO, model: Any, include_optimizer: bool = True, line: str = "keras3") -> None:
    """Write a ``.keras`` archive.

    It also holds the config in our own words, which ours reads: nothing is lost of what the other Keras has no words
    for. A warning lists that.
    """
    ours, training = _described(model, include_optimizer)
    found = Findings()
    config = to_later(ours, line, found)
    if training is not None:
        config["compile_config"] = training_to_later(training, line, output_sizes(model), found)
    _report(found, line)
    content = io.BytesIO()
    with h5py.File(content, "w") as group:
        write_weights(group, model, line)
        if training is not None:
            _write_optimizer(group, model, line, training)
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": VERSIONS[line], "date_saved": saved}
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(keras3.METADATA, json.dumps(metadata))
        archive.writestr(keras3.CONFIG, json.dumps(config, default=json_value))
        archive.writestr(keras3.WEIGHTS, content.getvalue())
        own = {"config": ours, "training": training, "version": KERAS_VERSION}
        archive.writestr(OWN_WORDS, json.dumps(own, default=json_value))


def write_h5(group: h5py.Group, model: Any, include_optimizer: bool, line: str) -> None:
    """Write a model in the older layout, as ``model.save('model.h5')`` does there."""
    ours, training = _described(model, include_optimizer)
    found = Findings()
    config = legacy_form(to_later(ours, line, found))
    settings = None if training is None else training_to_later(training, line, output_sizes(model), found)
    _report(found, line)
    group.attrs["keras_version"] = VERSIONS[line]
    group.attrs["backend"] = _BACKENDS[line]
    group.attrs["model_config"] = json.dumps(config, default=json_value)
    write_legacy_weights(group.create_group("model_weights"), model, line)
    if settings is None or training is None:
        return
    group.attrs["training_config"] = json.dumps(legacy_training(settings), default=json_value)
    state = _state(model, line, training)
    if state:
        h5.write_arrays(group.create_group("optimizer_weights"), state)


def write_legacy_weights(group: h5py.Group, model: Any, line: str) -> None:
    """Write weights in the older layout, by the names of layers and weights."""
    h5.write_weights(group, weights.listed(model))
    group.attrs["keras_version"] = VERSIONS[line]
    group.attrs["backend"] = _BACKENDS[line]


def _described(model: Any, include_optimizer: bool) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Config and compile settings in our words, as plain JSON."""
    described = {"class_name": type(model).__name__, "config": model.get_config(), "keras_version": KERAS_VERSION}
    config = json.loads(json.dumps(described, default=json_value))
    if not include_optimizer or model.optimizer is None:
        return config, None
    ours = {"mean_of_unmasked": model._mean_of_unmasked, "keras_version": KERAS_VERSION}
    training = compile_settings(model) | ours
    try:
        return config, json.loads(json.dumps(training, default=json_value))
    except TypeError as error:
        warn(f"The compile settings can not be written and are left out of the file: {error}")
        return config, None


def _report(found: Findings, line: str) -> None:
    name = "Keras 3" if line == "keras3" else "tf.keras"
    if found.problems:
        warn(
            f"[save] {name} will not load this model, or compute something else, for {'; '.join(found.problems)}. "
            "This package reads the file as it is."
        )
    if found.differences:
        warn(f"[save] {name} computes the same predictions, but trains otherwise: {'; '.join(found.differences)}.")


# -- weights ----------------------------------------------------------------------------------------------------------


def write_weights(group: h5py.Group, model: Any, line: str = "keras3") -> None:
    """Write weights as ``.weights.h5`` holds them."""
    _write_layers(group.create_group("layers"), model, line)
    _vars(group, model.name, [], line)


def _write_layers(group: h5py.Group, model: Any, line: str) -> None:
    layers = weights.listed(model)
    for key, layer in zip(keys(layers), layers):
        _write_layer(group.create_group(key), layer, line)


def _write_layer(group: h5py.Group, layer: Any, line: str) -> None:
    """A layer and the layers in it, each in a group of its own."""
    inner = weights.inner_layers(layer)
    inside = {id(w) for _, one in inner for w in one.weights}
    own = [w for w in layer.weights if id(w) not in inside]
    arrays = layouts.keras_2_form(layer, K.batch_get_value(own)) if own else []
    if hasattr(layer, "cell") and not inner:
        # A recurrent layer's weights are its cell's there.
        _vars(group.create_group("cell"), f"{layer.name}_cell", arrays, line)
        arrays = []
    _vars(group, layer.name, arrays, line)
    names = [place for place, _ in inner]
    if any(place.startswith("layers/") for place in names):
        _write_layers(group.create_group("layers"), layer, line)
        return
    for place, one in inner:
        _write_layer(group.create_group(place), one, line)


def keys(layers: Sequence[Any]) -> list[str]:
    """The keys of layers by their classes: as :func:`weights.keys`, but with later releases' underlines."""
    return [re.sub(r"^conv_lst_m2d", "conv_lstm2d", key) for key in weights.keys(layers)]


def _vars(group: h5py.Group, name: str, arrays: Sequence[np.ndarray], line: str) -> None:
    inside = group.create_group("vars")
    if line == "keras3":
        inside.attrs["name"] = name
    for i, value in enumerate(arrays):
        inside.create_dataset(str(i), data=value)


# -- the optimizer's state --------------------------------------------------------------------------------------------


def _write_optimizer(group: h5py.Group, model: Any, line: str, training: dict[str, Any]) -> None:
    state = _state(model, line, training)
    _vars(group.create_group("optimizer"), type(model.optimizer).__name__.lower(), [v for _, v in state], line)


def _state(model: Any, line: str, training: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """The state with its names, weight by weight, as later optimizers list it; empty where it is not known."""
    optimizer = model.optimizer
    kind = type(optimizer).__name__
    values = list(optimizer.get_weights())
    if kind not in SLOTS:
        return []
    name = kind.lower()
    steps = values[0] if values else K.get_value(optimizer.iterations)
    scalars = [(f"{name}/iteration", np.asarray(steps).astype("int32" if line == "keras3" else "int64"))]
    if line == "keras3" and not training["optimizer_config"]["config"].get("decay"):
        scalars.append((f"{name}/learning_rate", np.asarray(K.get_value(optimizer.learning_rate), dtype="float32")))
    trained = model._collected_trainable_weights
    n = len(trained)
    schedule = [values.pop(1)] if kind == "Nadam" and len(values) > 1 else []
    count = 0 if kind == "SGD" and not float(K.get_value(optimizer.momentum)) and line == "keras3" else SLOTS[kind]
    amsgrad = kind == "Adam" and optimizer.amsgrad
    if len(values) < 1 + (count + amsgrad) * n:  # not trained yet
        start = getattr(optimizer, "initial_accumulator_value", 0.0)
        fresh = [np.full(w.shape, start, dtype="float32") for w in trained]
        values = [steps, *(fresh * (count + amsgrad))]
    slots = [dict(zip(map(id, trained), values[1 + i * n : 1 + (i + 1) * n])) for i in range(count + amsgrad)]
    listed = [_laid_out(model, trained, slot) for slot in slots]
    state = list(scalars)
    for i in range(len(listed[0]) if listed else 0):
        state += [(f"{name}/{k}/{i}", listed[k][i]) for k in range(count)]
    if amsgrad:
        state += [(f"{name}/{count}/{i}", value) for i, value in enumerate(listed[-1])]
    if kind == "Nadam" and line == "keras3":
        state.append(("variable", np.asarray(schedule[0] if schedule else 1.0, dtype="float32")))
    return state


def _laid_out(model: Any, trained: Sequence[Any], slot: dict[int, np.ndarray]) -> list[np.ndarray]:
    """A slot in the order of the layers, each array laid out as its weight is in the file."""
    out: list[np.ndarray] = []
    for layer in weights.listed(model):
        for part in weights.parts_of(layer):
            learns = [id(w) in slot for w in part.weights]
            if not any(learns):
                continue
            arrays = [slot.get(id(w), np.zeros(w.shape)) for w in part.weights]
            arrays = layouts.keras_2_form(part.layer, arrays)
            if all(learns):
                out += arrays
            else:
                out += [a for a, yes in zip(arrays, learns) if yes]
            for w in part.weights:
                slot.pop(id(w), None)
    return out
