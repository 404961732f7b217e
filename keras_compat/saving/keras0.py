"""Weight files of Keras 0.x: ``layer_0/param_0``... of a Sequential, ``graph/param_0``... of a Graph, no names.

They were written under Theano, as a rule, which convolves: kernels are turned. The arrays are in the order of that
release's ``get_weights()``: layer by layer, each with all of its own.
"""

from __future__ import annotations

from typing import Any

import h5py

from keras_compat.saving import guard
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.limits import MOST_NAMES
from keras_compat.saving.stored import StoredLayer, StoredModel, Writer


def is_weight_file(group: Any) -> bool:
    """True for a file (or group) of weights that Keras 0.x wrote."""
    graph = guard.child(group, "graph")
    return "nb_layers" in group.attrs or (isinstance(graph, h5py.Group) and "nb_params" in graph.attrs)


def read(group: Any) -> StoredModel:
    """What such a file holds.

    Raises:
        CorruptFileError: not all that it counts is there.
    """
    count = _count(group, "nb_layers") if "nb_layers" in group.attrs else None
    names = ["graph"] if count is None else [f"layer_{k}" for k in range(count)]
    layers = []
    for name in names:
        part = guard.child(group, name)
        if not isinstance(part, h5py.Group):
            raise CorruptFileError(f"[load_weights] the file counts {len(names)} layers and lacks {name}. Is it whole?")
        arrays = [guard.array(part, f"param_{i}") for i in range(_count(part, "nb_params"))]
        layers.append(StoredLayer(name, tuple(arrays)))
    return StoredModel("keras0", Writer("keras0", "", "theano"), layers=tuple(layers))


def _count(group: Any, name: str) -> int:
    found = guard.number(group, name)
    if found is None or not 0 <= found <= MOST_NAMES:
        raise CorruptFileError(f"[load_weights] {group.name} of the file has {name} = {found}. Is it whole?")
    return found
