"""Writing what Keras 1.2.2 reads: configs in its words, its layout of weights, its order of the optimizer's state.

A file has the attributes ``keras_version``, ``model_config`` and ``training_config`` as bytes, and the groups
``model_weights`` and ``optimizer_weights``. Weights have TensorFlow's names (``dense_1_W:0``), by which readers know
that kernels are not turned. 1.2.2 itself never turns them: on its Theano backend call its
``convert_all_kernels_in_model`` on a model with convolutions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np

from keras_compat import backend as K
from keras_compat.engine.layer import shape_of
from keras_compat.engine.network import Network
from keras_compat.engine.registry import serialize
from keras_compat.engine.sequential import Sequential
from keras_compat.layers.wrappers import Wrapper
from keras_compat.saving import keras1_configs
from keras_compat.saving.h5 import unique_names, write_text
from keras_compat.saving.keras1_configs import Problems
from keras_compat.saving.layouts import GATES, NEW_WORDS, keras_1_kernel, keras_2_form, kind_of, word_of
from keras_compat.saving.models import MODEL_WRITERS, WEIGHT_WRITERS
from keras_compat.saving.optimizer_state import SLOTS, lists_of
from keras_compat.saving.parts import compile_settings, listed
from keras_compat.utils.generic_utils import warn

VERSION = "1.2.2"
# HDF5 keeps lists in attributes in the object header, which is limited.
_ATTRIBUTE_LIMIT = 60_000

# Triples (W, U, b) of Keras 1 in its order, by the order of the gates in Keras 2's arrays.
_TRIPLES = {"LSTM": "icfo", "ConvLSTM2D": "icfo", "GRU": "zrh"}

_OLD_WORDS = {new: old for old, new in NEW_WORDS.items()} | {"embeddings": "W"}

# Elementwise merges of 1.2.2 want equal shapes.
_SAME_SHAPE = ("Add", "Multiply", "Average", "Maximum")

# Optimizers whose count of steps 1.2.2 does not keep before the arrays of the weights.
_WITHOUT_STEPS = ("RMSprop", "Adagrad", "Adadelta")


class _Part(NamedTuple):
    """A layer without layers in it, and whether it and all that it lies in are trainable."""

    layer: Any
    trainable: bool


def write(group: h5py.Group, model: Any, include_optimizer: bool = True) -> None:
    """Write a model as ``load_model`` of Keras 1.2.2 reads it.

    Functions of the user are names in the file: 1.2.2 takes them from ``custom_objects``.

    Raises:
        ValueError: naming everything in the model that 1.2.2 does not have; nothing is written then.
    """
    problems = Problems()
    config = keras1_configs.convert(_described(model, problems), problems)
    compiled = include_optimizer and model.optimizer is not None
    training = keras1_configs.training_to_keras1(compile_settings(model), problems) if compiled else None
    problems.check()
    state = _optimizer_state(model) if compiled else []
    write_text(group, "keras_version", VERSION)
    write_text(group, "model_config", json.dumps(config))
    write_weights(group.create_group("model_weights"), model)
    if training is not None:
        write_text(group, "training_config", json.dumps(training))
    if state:
        _write_arrays(group.create_group("optimizer_weights"), state)


def write_weights(group: h5py.Group, model: Any) -> None:
    """Write the weights of a model as ``load_weights`` of Keras 1.2.2 reads them: a group for each layer."""
    layers = listed(model)
    _write_list(group, "layer_names", [layer.name for layer in layers])
    for layer in layers:
        _write_arrays(group.create_group(layer.name), _weights_of(layer, model.trainable))


# -- weights ----------------------------------------------------------------------------------------------------------


def _weights_of(layer: Any, trainable: bool) -> list[tuple[str, np.ndarray]]:
    """Name and value of all weights below a layer: first those that are trained, as in 1.2.2."""
    trained: list[tuple[str, np.ndarray]] = []
    fixed: list[tuple[str, np.ndarray]] = []
    for part in _parts(layer, trainable):
        weights = part.layer.weights
        values = dict(zip(map(id, weights), K.batch_get_value(weights)))
        mine = _only(values, _trained(part))
        trained += _named(part.layer, mine)
        fixed += _named(part.layer, {key: value for key, value in values.items() if key not in mine})
    return trained + fixed


def _trained(part: _Part) -> list[Any]:
    return part.layer.trainable_weights if part.trainable else []


def _only(arrays: dict[int, np.ndarray], weights: Sequence[Any]) -> dict[int, np.ndarray]:
    return {id(w): arrays[id(w)] for w in weights}


def _parts(layer: Any, trainable: bool = True) -> Iterator[_Part]:
    """The layers without layers in them, in the order of the weights."""
    trainable = trainable and layer.trainable
    if isinstance(layer, Network):
        inner = listed(layer)
    elif hasattr(layer, "forward_layer"):
        inner = [layer.forward_layer, layer.backward_layer]
    elif isinstance(layer, Wrapper):
        inner = [layer.layer]
    else:
        yield _Part(layer, trainable)
        return
    for one in inner:
        yield from _parts(one, trainable)


def _named(layer: Any, arrays: dict[int, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Arrays by the id of their weights: with the names and in the layout of 1.2.2, in the order of the weights."""
    weights = [w for w in layer.weights if id(w) in arrays]
    found = keras_2_form(layer, [arrays[id(w)] for w in weights])
    kind = kind_of(layer)
    if kind in GATES and found:
        names, found = _gates(layer, kind, found)
    else:
        names = [_OLD_WORDS.get(word, word) for word in (_word(w) for w in weights)]
        found = [_kernel(layer, kind, a) for a in found]
    return [(f"{layer.name}_{name}:0", array) for name, array in zip(names, found)]


def _word(weight: Any) -> str:
    return word_of(getattr(weight, "name", None) or "weight")


def _gates(layer: Any, kind: str, arrays: list[np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """Kernel, recurrent kernel and bias of all gates: as they are, or a triple for each gate."""
    if kind != "ConvLSTM2D" and _consume_less(layer) == "gpu":
        return ["W", "U", "b"][: len(arrays)], arrays
    names, found = [], []
    for gate in _TRIPLES[kind]:
        place = GATES[kind].index(gate)
        for word, array in zip("WUb", arrays):
            names.append(f"{word}_{gate}")
            found.append(_kernel(layer, kind, np.split(array, len(GATES[kind]), axis=-1)[place]))
    return names, found


def _consume_less(layer: Any) -> str:
    gates = getattr(layer, "cell", layer).__dict__.get("_gate_weights")
    if gates is not None:
        return "mem" if layer.implementation == 1 else "cpu"
    return keras1_configs.consume_less(layer.get_config())


def _kernel(layer: Any, kind: str, array: np.ndarray) -> np.ndarray:
    """A kernel of Keras 2 in the layout of Keras 1; other arrays are as they are."""
    if "Conv" not in kind:
        return array
    return keras_1_kernel(kind, array, kind != "Conv1D" and layer.data_format == "channels_first")


# -- the state of the optimizer ---------------------------------------------------------------------------------------


def _optimizer_state(model: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays of the optimizer: 1.2.2 sorts weights by name, and does not keep all that Keras 2 does."""
    optimizer = model.optimizer
    name = type(optimizer).__name__
    values = optimizer.get_weights()
    params = getattr(model, "_collected_trainable_weights", [])
    if not values or not params:
        return []
    if name not in SLOTS:
        warn(f"The state of the optimizer {name} is left out of the file: Keras 1.2.2 has no such optimizer.")
        return []
    parts = [part for layer in listed(model) for part in _parts(layer, model.trainable)]
    trained = {id(w) for part in parts for w in _trained(part)}
    if trained != {id(w) for w in params}:
        warn("The state of the optimizer is left out of the file: what is trainable changed since compile.")
        return []
    slots = values[len(values) - lists_of(name) * len(params) :]
    found: list[np.ndarray] = [np.asarray(values[0], dtype="float32").reshape(())] if name not in _WITHOUT_STEPS else []
    for kind in range(SLOTS[name]):
        of = {id(w): slots[kind * len(params) + i] for i, w in enumerate(params)}
        named = [pair for part in parts if part.trainable for pair in _named(part.layer, _only(of, _trained(part)))]
        found += [array for _, array in sorted(named, key=lambda pair: pair[0])]
    return [(f"Variable_{i}:0" if i else "Variable:0", array) for i, array in enumerate(found)]


# -- the config, with what only the live model knows -------------------------------------------------------------------


def _described(model: Any, problems: Problems) -> dict[str, Any]:
    entry = serialize(model)
    _complete(model, entry, True, problems)
    return entry


def _complete(layer: Any, entry: dict[str, Any], trainable: bool, problems: Problems) -> None:
    """Add to a config what Keras 1.2.2 wants said: shapes, and ``trainable`` of each layer in models and wrappers."""
    config = entry["config"]
    trainable = trainable and layer.trainable
    if isinstance(layer, Network):
        _complete_model(layer, config, trainable, problems)
        return
    if "trainable" in config:
        config["trainable"] = trainable
    kind = type(layer).__name__
    if "layer" in config:
        inner = getattr(layer, "forward_layer", layer.layer)
        _complete(layer.layer, config["layer"], trainable and inner.trainable, problems)
    elif config.get("layers"):  # the branches of a Merge
        for branch, inside in zip(layer.layers, config["layers"]):
            _complete(branch, inside, trainable, problems)
    elif kind_of(layer) in ("LSTM", "GRU"):
        config["consume_less"] = _consume_less(layer)
    if not layer._inbound_nodes:
        return
    node = layer._inbound_nodes[0]
    shapes = node.input_shapes
    if kind == "Conv2DTranspose":
        config["output_shape"] = list(node.output_shapes[0])
    elif kind == "Lambda" and config.get("output_shape") is None and len(node.output_shapes) == 1:
        config["output_shape"] = list(node.output_shapes[0][1:])
    elif kind == "Dot":
        axes = config["axes"] if isinstance(config["axes"], (list, tuple)) else [config["axes"]] * 2
        config["axes"] = [axis % len(shape) for axis, shape in zip(axes, shapes)]
    elif kind in _SAME_SHAPE and len({tuple(s) for s in shapes}) > 1:
        problems.append(f"{layer.name!r} ({kind}): inputs of different shapes {[tuple(s) for s in shapes]}")


def _complete_model(model: Any, config: dict[str, Any], trainable: bool, problems: Problems) -> None:
    entries = config["layers"]
    if isinstance(model, Sequential):
        first = entries[0]["config"]
        if model.inputs and "layers" not in first:
            first.setdefault("batch_input_shape", list(shape_of(model.inputs[0])))
        for layer, entry in zip(model.layers, entries):
            _complete(layer, entry, trainable, problems)
        return
    by_name = {layer.name: layer for layer in model.layers}
    for entry in entries:
        _complete(by_name[entry["name"]], entry, trainable, problems)


# -- HDF5 -------------------------------------------------------------------------------------------------------------


def _write_list(group: h5py.Group, name: str, texts: Sequence[str]) -> None:
    data = np.asarray([t.encode("utf8") for t in texts]) if texts else np.asarray([], dtype="S1")
    if data.nbytes > _ATTRIBUTE_LIMIT:
        raise ValueError(
            f"[save to='keras1'] the {len(texts)} names in {name} of {group.name} are more than an attribute holds, "
            "and Keras 1.2.2 reads one only. Give shorter names, or save for a later line (to='keras2')."
        )
    group.attrs[name] = data


def _write_arrays(group: h5py.Group, arrays: Sequence[tuple[str, np.ndarray]]) -> None:
    names = unique_names([name for name, _ in arrays])
    _write_list(group, "weight_names", names)
    for name, (_, array) in zip(names, arrays):
        group.create_dataset(name, data=array)


MODEL_WRITERS["keras1"] = write
WEIGHT_WRITERS["keras1"] = write_weights
