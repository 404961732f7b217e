"""Models and weights from files and into them: the one way, whatever the format and the release.

A file is opened through :mod:`~keras_compat.saving.guard` and described as a :class:`StoredModel`, names and shapes
only. Its config is put into our words and built, its arrays are matched with the weights of what was built, all of it
is checked, and then all weights are set at once. A load that fails leaves nothing half done.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import h5py
import numpy as np

from keras_compat import losses as losses_module
from keras_compat import metrics as metrics_module
from keras_compat import optimizers
from keras_compat.engine.loading import loading
from keras_compat.saving import (
    configs,
    guard,
    h5,
    keras0,
    keras3,
    keras3_write,
    layouts,
    older_files,
    optimizer_state,
    weights,
)
from keras_compat.saving.atomic import write_atomically, write_h5
from keras_compat.saving.building import as_keras_writes, build
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.limits import content_of, is_content, path_of
from keras_compat.saving.parts import output_sizes
from keras_compat.saving.stored import OWN_WORDS, StoredModel, Writer
from keras_compat.utils.generic_utils import deserialize_keras_object, known_objects, warn
from keras_compat.utils.io_utils import ask_to_proceed_with_overwrite, save_to_binary_h5py

# -- reading: what a file holds ---------------------------------------------------------------------------------------


@contextmanager
def read(source: Any, max_bytes: int | None = None) -> Iterator[StoredModel]:
    """Describe a file of any release; its arrays can be read within the ``with``.

    Args:
        source: a path, a binary stream, bytes, or an open ``h5py.File`` or Group. What it is, its content tells.
        max_bytes: what its data may come to; a hundred times the size of the file if None.

    Raises:
        CorruptFileError: no such file, nothing that Keras wrote, or not all of it.
        UnsafeModelError: it asks for what loading never does.
    """
    if hasattr(source, "read") and not isinstance(source, h5py.Group):
        source = content_of(source)
        if b"\0" not in source:
            raise CorruptFileError(
                "[load] Unable to open file: expected a binary stream of an HDF5 file or an archive; got "
                f"{len(source)} bytes of something else. Is the stream at its start?"
            )
    if not isinstance(source, h5py.Group) and keras3.is_archive(_head(source)):
        with keras3.open_archive(source, max_bytes) as stored:
            yield stored
        return
    with guard.open_h5(source, max_bytes) as group:
        yield read_group(group)


def _head(source: Any) -> bytes:
    if is_content(source):
        return bytes(source[:4])
    with open(path_of(source), "rb") as f:
        return f.read(4)


def read_group(group: Any) -> StoredModel:
    """Describe an open HDF5 file, or a group with the content of one."""
    if keras0.is_weight_file(group):
        return keras0.read(group)
    if keras3.is_weights(group):
        return keras3.read_weights(group)
    return h5.read(group)


# -- reading: models --------------------------------------------------------------------------------------------------


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    *,
    original_backend: str | None = None,
    allow_code: bool = False,
    max_bytes: int | None = None,
) -> Any:
    """Read a model: architecture, weights and, with ``compile``, compile settings and optimizer state.

    Args:
        filepath: a path, an open ``h5py.File`` or Group, or a binary stream; a file of Keras 1.0 to 3.
        custom_objects: {name: class or function} of what is not Keras's own.
        compile: leave the model uncompiled if False.
        original_backend: 'theano' or 'tensorflow', where the file does not tell which one wrote it; Theano's kernels
            are turned. It counts more than what the file says.
        allow_code: run the byte code of ``Lambda`` layers in the file. Only for files that you made yourself.
        max_bytes: see :func:`read`.

    Raises:
        CorruptFileError: an OSError: no such file, or not all of one.
        UnsafeModelError: a ValueError: the file asks for what loading never does.
        ValueError: not a model, unknown classes, weights that do not fit.
    """
    with read(filepath, max_bytes) as stored:
        if stored.config is None:
            raise CorruptFileError(
                "[load_model] No model found in config file: the file has no `model_config`. "
                "If it holds weights only, build the model and call model.load_weights()."
            )
        writer = believed(stored, original_backend)
        config, settings, words = _in_best_words(stored, writer)
        with as_keras_writes("model_config"):
            complete = older_files.with_shared_axes(older_files.without_copies(config), stored)
            config = configs.to_ours(complete, words, custom_objects)
        model = build(config, custom_objects, allow_code=allow_code, stored=_numbers_in(stored))
        with loading(stored=_numbers_in(stored)):
            _give_shape(model, stored)
        pairs = _pairs(stored, model, weights.listed(model), writer)
        values = weights.values_of(pairs, writer)
        training = settings if compile else None
        if compile and training is None:
            warn("No training configuration found in save file: the model was *not* compiled. Compile it manually.")
        weights.assign(values)
        if training is not None:
            with as_keras_writes("training_config"):
                _compile_from(model, training, words, custom_objects)
            if model.optimizer is not None:
                optimizer_state.restore(model, stored, pairs, writer)
    return model


def _give_shape(model: Any, stored: StoredModel) -> None:
    """Build a Sequential model whose config does not say the shape of its input, where its weights say it."""
    if getattr(model, "built", True) or not getattr(model, "layers", None):
        return
    shape = older_files.first_shape(model.layers[0], stored)
    if shape is not None:
        model.build(shape)
    elif any(one.arrays for one in stored.layers):
        raise ValueError(
            f"[load_model] expected a config that says the shape of the input; that of {model.name!r} does not, "
            "and it has weights. Build the model with input_shape=(...) and call load_weights()."
        )


def _in_best_words(stored: StoredModel, writer: Writer) -> tuple[dict[str, Any], dict[str, Any] | None, Writer]:
    """Config and compile settings, and whose words they are: ours, where this package put them beside the others."""
    own = stored.extra.get(OWN_WORDS)
    if own is None:
        return stored.config or {}, stored.training, writer
    found = guard.parse_json(own, OWN_WORDS)
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise CorruptFileError(f"[load_model] {OWN_WORDS} in the file holds no config. Is the file whole?")
    return config, found.get("training", stored.training), Writer("keras2", str(found.get("version") or ""))


def _numbers_in(stored: StoredModel) -> int:
    """How many numbers the weights in a file are."""
    return sum(math.prod(array.shape) for layer in stored.layers for array in layer.arrays)


def believed(stored: StoredModel, original_backend: str | None) -> Writer:
    """Who wrote the file, as the caller or else the file says."""
    if original_backend is None:
        return stored.writer
    known = ("theano", "tensorflow", "cntk", "jax", "torch", "numpy")
    if original_backend not in known:
        raise ValueError(
            f"[load] original_backend is one of {', '.join(known)}; got {original_backend!r}. Only 'theano' turns "
            "kernels."
        )
    return stored.writer._replace(backend=original_backend)


def _pairs(stored: StoredModel, model: Any, layers: Sequence[Any], writer: Writer) -> list[weights.Pair]:
    if stored.layout == "keras3":
        return weights.pairs_by_key(stored.layers, layers)
    pairs = weights.pairs_in_order(stored.layers, model, layers, writer)
    _warn_of_undecided(pairs, writer)
    return pairs


def _warn_of_undecided(pairs: Sequence[weights.Pair], writer: Writer) -> None:
    if writer.backend or writer.line not in ("keras1", "keras2"):
        return
    turned = [pair.part.layer.name for pair in pairs if layouts.is_turned(pair.part.layer)]
    if turned:
        warn(
            f"[load] the file does not tell whether Theano wrote it, whose kernels are turned round; those of "
            f"{', '.join(turned[:5])} are taken as they are. If it did, load with original_backend='theano'."
        )


def _compile_from(
    model: Any, training: dict[str, Any], writer: Writer, custom_objects: Mapping[str, Any] | None
) -> None:
    known = known_objects(custom_objects)

    def named(value: Any, module: Any = metrics_module) -> Any:
        """Names of the user's functions become the functions; Keras's own are resolved by compile."""
        if isinstance(value, list):
            return [named(v, module) for v in value]
        if isinstance(value, dict):
            if set(value) == {"class_name", "config"}:
                return deserialize_keras_object(value, _objects(module), custom_objects, "loss or metric")
            return {k: named(v, module) for k, v in value.items()}
        return known.get(value, value) if isinstance(value, str) else value

    outputs = dict(zip(getattr(model, "output_names", ()), output_sizes(model)))
    ours = configs.training_to_ours(training, writer, outputs, custom_objects)
    if ours is None:
        warn("No training configuration found in save file: the model was *not* compiled. Compile it manually.")
        return
    if not isinstance(ours.get("optimizer_config"), (dict, str)):
        raise CorruptFileError(
            "[load_model] expected an optimizer_config in the compile settings of the file; got "
            f"{ours.get('optimizer_config')!r:.80}. Is the file whole? compile=False loads the model without them."
        )
    model._mean_of_unmasked = bool(ours.get("mean_of_unmasked"))
    model.compile(
        optimizer=optimizers.deserialize(ours["optimizer_config"], custom_objects=custom_objects),
        loss=named(ours.get("loss"), losses_module),
        metrics=named(ours.get("metrics")),
        loss_weights=ours.get("loss_weights"),
        sample_weight_mode=ours.get("sample_weight_mode"),
        weighted_metrics=named(ours.get("weighted_metrics")),
    )


def _objects(module: Any) -> dict[str, Any]:
    """Classes of losses and metrics by name; ``module`` decides where both have one (``BinaryCrossentropy``)."""
    other = losses_module if module is metrics_module else metrics_module
    return {k: v for part in (other, module) for k, v in vars(part).items() if isinstance(v, type)}


# -- reading: weights -------------------------------------------------------------------------------------------------


def load_weights(
    model: Any,
    filepath: Any,
    by_name: bool = False,
    skip_mismatch: bool = False,
    reshape: bool = False,
    *,
    original_backend: str | None = None,
    max_bytes: int | None = None,
) -> None:
    """Read the weights of a model from a file of weights or of a model; see ``Model.load_weights``."""
    if skip_mismatch and not by_name:
        raise ValueError(
            "[load_weights] When calling model.load_weights, skip_mismatch can only be set to True when by_name is "
            "True; got by_name=False."
        )
    with read(filepath, max_bytes) as stored:
        weights.assign(_values(stored, model, weights.listed(model), by_name, skip_mismatch, reshape, original_backend))


def load_layers(group: Any, layers: Sequence[Any], by_name: bool = False, **how: Any) -> None:
    """Set the weights of layers from an open group of weights, all or nothing."""
    with read(group) as stored:
        weights.assign(_values(stored, None, layers, by_name, **how))


def _values(
    stored: StoredModel,
    model: Any,
    layers: Sequence[Any],
    by_name: bool = False,
    skip_mismatch: bool = False,
    reshape: bool = False,
    original_backend: str | None = None,
) -> list[tuple[Any, np.ndarray]]:
    writer = believed(stored, original_backend)
    if by_name:
        if stored.layout == "keras0":
            raise ValueError("[load_weights] files of Keras 0.x hold no names; got by_name=True. Load it in order.")
        if stored.layout == "keras3" and not any(layer.called for layer in stored.layers):
            raise ValueError(
                "[load_weights] this file of tf.keras's holds no names of layers; got by_name=True. Load it in order."
            )
        return weights.values_by_name(stored.layers, layers, writer, skip_mismatch, reshape)
    return weights.values_of(_pairs(stored, model, layers, writer), writer, reshape)


# -- writing ----------------------------------------------------------------------------------------------------------

# Functions that write an open, empty HDF5 group, by the release that is to read it: (group, model, include_optimizer)
# for models, (group, model) for weights. Modules that know models enter theirs when they are imported.
MODEL_WRITERS: dict[str, Callable[[Any, Any, bool], None]] = {
    "keras2": h5.write_model,
    "tfkeras": partial(keras3_write.write_h5, line="tfkeras"),
    "keras3": partial(keras3_write.write_h5, line="keras3"),
}
WEIGHT_WRITERS: dict[str, Callable[[Any, Any], None]] = {
    "keras2": lambda group, model: h5.write_weights(group, weights.listed(model)),
    "tfkeras": partial(keras3_write.write_legacy_weights, line="tfkeras"),
    "keras3": partial(keras3_write.write_legacy_weights, line="keras3"),
}
TARGETS = ("keras1", "keras2", "tfkeras", "keras3")
_LATER = ("tfkeras", "keras3")


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, *, to: str | None = None
) -> None:
    """Write a model with its weights and, if compiled, its compile settings and optimizer state.

    Args:
        filepath: a path, an open ``h5py.File`` or Group, or a binary stream. A name that ends in ``.keras`` means
            Keras 3's archive unless ``to`` is an older Keras.
        overwrite: ask on the terminal before replacing a file if False.
        include_optimizer: leave compile settings and optimizer state out if False.
        to: which Keras is to read it: 'keras1' (1.2.2), 'keras2' (2.3.1), 'tfkeras' (2.x), 'keras3'.
    """
    if _has_ending(filepath, ".keras") and to in (None, *_LATER):
        line = to or "keras3"

        def write_archive(raw: Any) -> None:
            keras3_write.write_archive(raw, model, include_optimizer, line)

        _save(filepath, overwrite, lambda path: write_atomically(path, write_archive))
        return
    write_model = _writer(MODEL_WRITERS, to)
    _save_h5(filepath, overwrite, lambda group: write_model(group, model, include_optimizer))


def save_weights(model: Any, filepath: Any, overwrite: bool = True, *, to: str | None = None) -> None:
    """Write the weights of a model; for the arguments see :func:`save_model`.

    A name that ends in ``.weights.h5`` is Keras 3's layout unless ``to`` names an older Keras.
    """
    if _has_ending(filepath, ".weights.h5") and to in (None, *_LATER):
        line = to or "keras3"
        _save_h5(filepath, overwrite, lambda group: keras3_write.write_weights(group, model, line))
        return
    write_weights = _writer(WEIGHT_WRITERS, to)
    _save_h5(filepath, overwrite, lambda group: write_weights(group, model))


def _has_ending(filepath: Any, ending: str) -> bool:
    return isinstance(filepath, (str, bytes, os.PathLike)) and os.fsdecode(filepath).endswith(ending)


def _writer(known: Mapping[str, Any], to: str | None) -> Any:
    if to not in (None, *TARGETS):
        raise ValueError(f"[save] `to` is one of {', '.join(TARGETS)}, or None; got {to!r}. None is Keras 2.3.1.")
    return known[to or "keras2"]


def _save_h5(filepath: Any, overwrite: bool, write: Callable[[Any], None]) -> None:
    if isinstance(filepath, h5py.Group):
        if len(filepath) or len(filepath.attrs):
            raise ValueError(
                f"[save] expected an empty group of an HDF5 file; {filepath.name} holds {len(filepath)} items. Create "
                "a new group."
            )
        write(filepath)
        return
    if hasattr(filepath, "write"):
        save_to_binary_h5py(write, filepath)
        return
    _save(filepath, overwrite, lambda path: write_h5(path, write))


def _save(filepath: Any, overwrite: bool, write: Callable[[str], None]) -> None:
    """Call ``write`` with the path, unless the user wants to keep what is there."""
    if not isinstance(filepath, (str, bytes, os.PathLike)) or not os.fspath(filepath):
        raise TypeError(
            f"[save] expected a path, a binary stream or an open h5py.File; got {filepath!r}. Give the name of a file."
        )
    path = os.path.abspath(os.fsdecode(filepath))
    if os.path.isdir(path):
        raise IsADirectoryError(f"[save] expected the path of a file; {path} is a folder. Add a name: model.h5.")
    if overwrite or not os.path.exists(path) or ask_to_proceed_with_overwrite(path):
        write(path)
