"""Reading the layout of Keras 3, which tf.keras from 2.12 on writes too: ``.keras`` archives and ``.weights.h5``.

An archive holds ``metadata.json`` (the release), ``config.json`` (the model with its compile settings) and
``model.weights.h5``. There, as in a ``.weights.h5`` file, arrays have no names: they are ``vars/0``, ``vars/1``... in a
group for each object. Layers lie in ``layers`` under a key made of their class and a number, in the order of
``model.layers`` (``layers/dense_1/vars/0``); layers within layers under the attribute that holds them
(``layers/lstm/cell/vars/0``, ``layers/bidirectional/forward_layer/cell/vars/1``,
``layers/functional/layers/dense/vars/0``).
tf.keras 2.12 and 2.13 call ``layers`` of functional models ``_layer_checkpoint_dependencies``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import h5py

from keras_compat.saving import guard
from keras_compat.saving.configs import line_of
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.guard import Array
from keras_compat.saving.stored import OWN_WORDS, StoredLayer, StoredModel, Writer
from keras_compat.utils.generic_utils import numbered, warn

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
METADATA = "metadata.json"

# Where layers lie, as the releases call it.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# What else lies at the root.
_NO_LAYERS = ("optimizer", "metrics", "vars")


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return head[:4] == b"PK\x03\x04"


def is_weights(group: h5py.Group) -> bool:
    """Whether an HDF5 file (or group) is laid out as ``.weights.h5``."""
    return (
        guard.child(group, "layer_names") is None
        and any(isinstance(guard.child(group, name), h5py.Group) for name in _CONTAINERS)
        and not {"layer_names", "layer_names0", "model_config", "nb_layers"}.intersection(group.attrs)
    )


@contextmanager
def open_archive(source: Any, max_bytes: int | None = None) -> Iterator[StoredModel]:
    """What a ``.keras`` archive holds; its arrays can be read within the ``with``.

    Raises:
        CorruptFileError: no such file, no archive, or not all of one.
        UnsafeModelError: see :mod:`keras_compat.saving.guard`.
    """
    with guard.open_zip(source, max_bytes) as archive:
        config = _object(guard.parse_json(archive.read(CONFIG), CONFIG), CONFIG)
        metadata: dict[str, Any] = {}
        if METADATA in archive.names:
            metadata = _object(guard.parse_json(archive.read(METADATA), METADATA), METADATA)
        data = archive.read(WEIGHTS)
        extra = {OWN_WORDS: archive.read(OWN_WORDS).decode("utf8", "replace")} if OWN_WORDS in archive.names else {}
    version = str(metadata.get("keras_version") or "")
    writer = Writer(line_of(version, config), version, str(metadata.get("backend") or ""))
    with guard.open_h5(data, max_bytes) as group:
        layers, optimizer, optimizer_name = _read(group)
        training = _with_optimizer(config.get("compile_config"), optimizer, optimizer_name)
        yield StoredModel(
            layout="keras3",
            writer=writer,
            config=config,
            training=training,
            layers=layers,
            optimizer=optimizer,
            extra=extra,
        )


def read_weights(group: h5py.Group) -> StoredModel:
    """What a ``.weights.h5`` file holds."""
    layers, optimizer, _ = _read(group)
    named = any(guard.text(found, "name") is not None for _, found in guard.walk(group) if _is_vars(found))
    return StoredModel(
        layout="keras3",
        writer=Writer("keras3" if named else "tfkeras"),
        layers=layers,
        optimizer=optimizer,
    )


def _is_vars(found: Any) -> bool:
    return isinstance(found, h5py.Group) and str(found.name).endswith("vars")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CorruptFileError(f"[load] expected an object in {what}; got {type(value).__name__}. Is the file whole?")
    return value


def _read(group: h5py.Group) -> tuple[tuple[StoredLayer, ...], tuple[Array, ...] | None, str]:
    layers: list[StoredLayer] = []
    for container in _CONTAINERS:
        inside = guard.child(group, container)
        if not isinstance(inside, h5py.Group):
            continue
        keys = sorted(guard.names(inside), key=_natural)
        new = _renumbered(keys) if container != "layers" else keys
        for key, name in zip(keys, new):
            arrays = tuple(_arrays(inside, key))
            if arrays:
                layers.append(StoredLayer(name, arrays, _called(inside, key)))
    own = tuple(_arrays(group, "vars", ""))
    if own:
        layers.append(StoredLayer("", own))
    there = guard.child(group, "optimizer/vars")
    if not isinstance(there, h5py.Group):
        return tuple(layers), None, ""
    optimizer = [guard.array(there, name) for name in sorted(guard.names(there), key=_natural)]
    return tuple(layers), tuple(optimizer), guard.text(there, "name") or ""


def _called(group: h5py.Group, key: str) -> str:
    """The name of a layer, where it stands beside its arrays."""
    own = guard.child(group, f"{key}/vars")
    return (guard.text(own, "name") or "") if isinstance(own, h5py.Group) else ""


def _arrays(group: h5py.Group, key: str, prefix: str | None = None) -> Iterator[Array]:
    """The arrays of a layer, named by their way from it; those of random number generators are left out."""
    inside = guard.child(group, key)
    if not isinstance(inside, h5py.Group):
        return
    found = {name: thing for name, thing in guard.walk(inside) if isinstance(thing, h5py.Dataset)}
    for name in sorted(found, key=_natural):
        if "seed_generator/" in name or name.startswith("_random_generator"):
            continue
        plain = "/".join("layers" if part == _CONTAINERS[1] else part for part in name.split("/"))
        yield replace(guard.stored_array(found[name], name), name=plain)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key to sort by that puts ``dense_2`` before ``dense_10``, and ``vars`` of an object before its parts."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _renumbered(keys: list[str]) -> list[str]:
    """Keys of tf.keras 2.12, which counted layers with weights twice, as later releases number them."""
    return numbered(re.sub(r"_\d+$", "", key) for key in keys)


def _with_optimizer(training: Any, optimizer: tuple[Array, ...] | None, name: str) -> Any:
    """Compile settings with the optimizer, where the config lost it.

    Keras 3 drops it from the config of a model that was saved as ``.h5`` before. Its class stands beside its state,
    which begins with the iterations and the learning rate; the other numbers are taken as the defaults.
    """
    if not isinstance(training, dict) or training.get("optimizer") or not optimizer or not name:
        return training
    warn(
        f"[load] the file holds the state of its optimizer {name}, but not its settings: all but the learning rate are "
        "taken as the defaults. Compile the model with yours to train on as before."
    )
    config: dict[str, Any] = {"name": name, "use_ema": False}
    if len(optimizer) > 1 and optimizer[1].shape == ():
        config["learning_rate"] = float(optimizer[1].read())
    return {**training, "optimizer": {"class_name": re.sub(r"_\d+$", "", name).replace("_", ""), "config": config}}
