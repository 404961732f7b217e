"""What a file holds, whichever release wrote it: the one form that all readers make and all else works on.

``load_model``, ``load_weights`` and the commands ``inspect``, ``convert`` and ``diff`` know files by this alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keras_compat.saving.guard import Array

# Where this package puts a model's config and compile settings in its own words, beside those of another release.
OWN_WORDS = "keras_compat/config.json"


class Writer(NamedTuple):
    """Which release wrote a file, as far as the file tells.

    ``line`` is 'keras0', 'keras1', 'keras2', 'tfkeras' or 'keras3'; ``version`` and ``backend`` are '' where unknown.
    """

    line: str
    version: str = ""
    backend: str = ""


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one layer (of a nested model: all of its layers'), in the order of the file.

    ``name`` is the layer's name; in Keras 3's layout the key of its class ('dense_1'), and ``called`` is its name,
    which Keras 3 writes beside its arrays and tf.keras does not ('').
    """

    name: str
    arrays: tuple[Array, ...]
    called: str = ""


@dataclass(frozen=True)
class StoredModel:
    """A file of a model or of weights, read but for the arrays themselves.

    Attributes:
        layout: 'keras0', 'h5' (Keras 1 and 2, tf.keras, Keras 3's .h5) or 'keras3' (.keras, .weights.h5).
        config: ``{'class_name', 'config'}`` as it stands in the file, or None in a file of weights.
        training: the compile settings as they stand in the file, or None.
        layers: the layers that have arrays.
        optimizer: arrays of the optimizer's state, with their names, or None.
        extra: what else this package stored, by name: ``OWN_WORDS``, a JSON text of ``config``, ``training`` and
            ``version``.
    """

    layout: str
    writer: Writer
    config: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    layers: tuple[StoredLayer, ...] = ()
    optimizer: tuple[Array, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
