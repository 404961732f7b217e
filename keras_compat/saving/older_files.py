"""What older releases left out of their files, or put around a model, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_compat.saving import layouts
from keras_compat.saving.stored import StoredModel

_AROUND = ("InputLayer", "Lambda", "Concatenate", "Merge")
_MODELS = ("Model", "Sequential", "Functional")


def without_copies(config: dict[str, Any]) -> dict[str, Any]:
    """The model within what ``multi_gpu_model`` of Keras 2 made of it, which is what its files hold; else the config.

    There a Lambda layer takes each processor's share of the inputs, the model is called on each share, and the results
    are put together again. The Lambda layers are Python byte code, which is not run.
    """
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    if config.get("class_name") not in ("Model", "Functional") or not isinstance(layers, list):
        return config
    entries = [entry for entry in layers if isinstance(entry, Mapping)]
    models = [entry for entry in entries if entry.get("class_name") in _MODELS]
    others = [entry for entry in entries if entry.get("class_name") not in (*_MODELS, *_AROUND)]
    if len(models) != 1 or others or len(entries) != len(layers):
        return config
    calls = models[0].get("inbound_nodes")
    shares = [entry for entry in entries if entry.get("class_name") == "Lambda" and _takes_a_share(entry)]
    if not isinstance(calls, list) or len(calls) < 2 or len(shares) < len(calls):
        return config
    return {"class_name": models[0]["class_name"], "config": models[0].get("config")}


def with_shared_axes(config: Any, stored: StoredModel) -> Any:
    """The config with the ``shared_axes`` of ``PReLU`` and ``SReLU``, which Keras 1.2.2 forgot, from their weights.

    A shared axis has length 1 there. One that has length 1 anyway may count as shared: it makes no difference.
    """
    arrays = [array for one in stored.layers for array in one.arrays]
    shapes = {a.name.rpartition(word)[0]: a.shape for a in arrays for word in ("_alphas", "_t_left") if word in a.name}

    def completed(value: Any) -> Any:
        if isinstance(value, list):
            return [completed(v) for v in value]
        if not isinstance(value, Mapping):
            return value
        inner = value.get("config")
        if value.get("class_name") in ("PReLU", "SReLU") and isinstance(inner, Mapping) and "shared_axes" not in inner:
            shared = [axis for axis, n in enumerate(shapes.get(str(inner.get("name")), ()), 1) if n == 1]
            return {**value, "config": {**inner, "shared_axes": shared}} if shared else value
        return {k: completed(v) for k, v in value.items()}

    return completed(config) if stored.writer.line == "keras1" else config


def _takes_a_share(entry: Mapping[str, Any]) -> bool:
    inner = entry.get("config")
    arguments = inner.get("arguments") if isinstance(inner, Mapping) else None
    return isinstance(arguments, Mapping) and {"i", "parts"} <= set(arguments)


def first_shape(layer: Any, stored: StoredModel) -> tuple[int | None, ...] | None:
    """Input shape of the first layer of a Sequential model whose file has none, from its kernel; None for other layers.

    Keras 2.2.0 to 2.2.2 left the InputLayer of a Sequential model out of its files, and the shape with it.
    """
    arrays = next((one.arrays for one in stored.layers if one.arrays), ())
    kind, names = layouts.kind_of(layer), {cls.__name__ for cls in type(layer).__mro__}
    if not arrays:
        return None
    shape = arrays[0].shape
    if "Embedding" in names:
        return (None, None)
    if len(shape) == 2 and "Dense" in names:
        return (None, shape[0])
    if len(shape) == 2 and names & {"LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU"}:
        return (None, None, shape[0])
    if kind in ("Conv1D", "Conv2D", "Conv3D", "SeparableConv2D", "DepthwiseConv2D", "SeparableConv1D"):
        space = (None,) * (len(shape) - 2)
        first = getattr(layer, "data_format", None) == "channels_first"
        return (None, shape[-2], *space) if first else (None, *space, shape[-2])
    return None
