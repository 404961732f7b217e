"""Configs of Keras 0.3 in the form of Keras 1: ``{'class_name', 'config'}``; the words are the same, layers read them.

There an object is one dictionary: its class stands in ``name``, a layer's name in ``custom_name``, its arguments
beside them. A model's config has its compile settings in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What is no argument of a layer or model.
_NOT_ARGUMENTS = {
    "name",
    "custom_name",
    "cache_enabled",
    "loss",
    "optimizer",
    "loss_weights",
    "class_mode",
    "theano_mode",
}
_NOT_ARGUMENTS |= {"theano_mode", "sample_weight_mode", "sample_weight_modes", "input_order", "output_order"}
# Layers whose input_dim is no shape but the number of words.
_OF_WORDS = ("Embedding",)


def is_of_keras_0(config: Any) -> bool:
    """Tell whether a config is one of Keras 0.3."""
    return (
        isinstance(config, Mapping)
        and "class_name" not in config
        and isinstance(config.get("name"), str)
        and ("layers" in config or "node_config" in config or "custom_name" in config)
    )


def to_keras_1(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a model or layer of Keras 0.3 as Keras 1 would write it."""
    kind = str(config["name"])
    if kind == "Graph":
        return {"class_name": "Graph", "config": _graph(config)}
    if kind == "Sequential":
        return {"class_name": "Sequential", "config": {"layers": [to_keras_1(x) for x in config["layers"]]}}
    ours = {key: _value(value) for key, value in config.items() if key not in _NOT_ARGUMENTS}
    name = config.get("custom_name")
    if name and name != kind.lower():  # else the automatic one, which many layers had
        ours["name"] = name
    if kind == "Merge":  # its branches are told apart by their names
        for i, branch in enumerate(ours.get("layers") or ()):
            branch["config"].setdefault("name", f"{branch['class_name'].lower()}_{i + 1}")
    if kind == "AutoEncoder":
        for part in ("encoder", "decoder"):
            ours[part] = to_keras_1(config[f"{part}_config"])
            del ours[f"{part}_config"]
    if kind in _OF_WORDS:
        ours.pop("input_shape", None)
    elif "input_shape" in ours or ours.get("input_dim", 0) is None:
        ours.pop("input_dim", None)
        ours.pop("input_length", None)
    return {"class_name": kind, "config": ours}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(v) for v in value]
    return to_keras_1(value) if is_of_keras_0(value) else value


def _graph(config: Mapping[str, Any]) -> dict[str, Any]:
    nodes = {}
    calls = []
    for given in config["node_config"]:
        call = dict(given)
        node = config["nodes"][call["name"]]
        if node["name"] == "Siamese":  # one layer on several inputs
            node = node["layer"]
            call["shared"] = True
        nodes[call["name"]] = to_keras_1(node)
        nodes[call["name"]]["config"].pop("name", None)
        calls.append(call)
    return {
        "input_config": [dict(x) for x in config["input_config"]],
        "node_config": calls,
        "output_config": [dict(x) for x in config["output_config"]],
        "nodes": nodes,
    }
