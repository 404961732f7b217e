"""Weight files of Keras 0.x: ``layer_0/param_0``... of a Sequential, ``graph/param_0``... of a Graph, no names.

They were written under Theano, which convolves: kernels are turned by 180 degrees in their spatial axes. The arrays are
in the order of that release's ``get_weights()``, which is ours at the API levels 0.3 and 1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_compat.dialect.level import is_keras_0

# Layers whose kernels Theano keeps turned.
_TURNED = ("Conv1D", "Conv2D", "Conv3D")

# Gates of recurrent layers in the order of Keras 2, by their places in that of Keras 0.x and 1.x: i c f o and z r h.
_GATES = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}


def is_weight_file(group: Any) -> bool:
    """True for a file (or group) of weights that Keras 0.x wrote."""
    return "nb_layers" in group.attrs or ("graph" in group and "nb_params" in group["graph"].attrs)


def load_weights(model: Any, group: Any) -> None:
    """Set the weights of a model from such a file: all or nothing.

    Raises:
        ValueError: the file holds other weights than the model.
    """
    arrays = list(_arrays(group))
    owners = [layer for layer in _leaves(model) if layer.weights]
    wanted = sum(_count(layer) for layer in owners)
    if len(arrays) != wanted:
        raise ValueError(
            f"[load_weights] this file of Keras 0.x holds {len(arrays)} arrays, the model has {wanted} by its count. "
            "Nothing was changed. Is it the file of this model?"
        )
    values: dict[int, list[np.ndarray]] = {}
    wrong: list[str] = []
    for layer in owners:
        shapes = [w.shape for w in layer.get_weights()]
        n = _count(layer)
        given, arrays = arrays[:n], arrays[n:]
        values[id(layer)] = _as_ours(layer, given)
        shown = [a.shape for a in values[id(layer)]]
        if shown != shapes:
            wrong.append(f"{layer.name} has {shapes}, the file {shown}")
    if wrong:
        raise ValueError(
            f"[load_weights] the file does not fit the model in {len(wrong)} layers: {'; '.join(wrong)}. Nothing was "
            "changed. Was the model made with the same arguments?"
        )
    for layer in owners:
        layer.set_weights(values[id(layer)])


def _arrays(group: Any) -> Iterator[np.ndarray]:
    count = group.attrs.get("nb_layers")
    parts = [group["graph"]] if count is None else [group[f"layer_{k}"] for k in range(int(count))]
    for part in parts:
        for i in range(int(part.attrs["nb_params"])):
            yield np.asarray(part[f"param_{i}"])


def _leaves(layer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """The layers without layers in them, in the order of their weights, each once."""
    seen = set() if seen is None else seen
    inner = getattr(layer, "layers", None) or getattr(layer, "_layers", None)
    if inner and "RNN" not in _kinds(layer):
        for one in inner:
            yield from _leaves(one, seen)
    elif id(layer) not in seen:
        seen.add(id(layer))
        yield layer


def _kinds(layer: Any) -> set[str]:
    return {cls.__name__ for cls in type(layer).__mro__}


def _count(layer: Any) -> int:
    """Number of arrays that Keras 0.x wrote for a layer."""
    kinds = _kinds(layer)
    return 3 * len(_GATES[next(iter(kinds & _GATES.keys()))]) if kinds & _GATES.keys() else len(layer.weights)


def _as_ours(layer: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays of one layer as it lists them."""
    kinds = _kinds(layer)
    gates = next((order for name, order in _GATES.items() if name in kinds), ())
    if gates and len(layer.get_weights()) != len(arrays):
        # W, U and b of each gate, to all gates of each side by side.
        return [np.concatenate([arrays[3 * gate + k] for gate in gates], axis=-1) for k in range(3)]
    if kinds.intersection(_TURNED) and arrays:
        kernel = np.flip(arrays[0], tuple(range(2, arrays[0].ndim)))
        if kernel.shape != layer.get_weights()[0].shape:
            # (filters, in, *size), to (size, 1, in, filters) of Keras 1 or (*size, in, filters) of Keras 2.
            kernel = np.moveaxis(kernel, (0, 1), (-1, -2))
            if kernel.ndim != layer.get_weights()[0].ndim:
                kernel = kernel[:, 0]
        return [kernel, *arrays[1:]]
    if is_keras_0():
        return arrays
    if "Highway" in kinds and len(arrays) == 4:
        return [arrays[0], arrays[2], arrays[1], arrays[3]]
    if "BatchNormalization" in kinds and len(arrays) == 4:
        # A deviation there, which epsilon is added to; here the variance that gives the same quotient.
        variance = (arrays[3] + layer.epsilon) ** 2 - layer.epsilon
        return [*arrays[:3], variance]
    return arrays
