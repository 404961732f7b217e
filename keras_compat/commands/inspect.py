"""``inspect``: what a file holds and whether it is safe to load. Nothing in it is run, and no model is built."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from keras_compat.commands import files
from keras_compat.commands.files import shown
from keras_compat.engine.byte_code import written_by
from keras_compat.saving import guard, limits
from keras_compat.saving.building import code_in
from keras_compat.saving.errors import CorruptFileError, UnsafeModelError
from keras_compat.saving.guard import Array
from keras_compat.saving.parts import plain_key, stem_of
from keras_compat.saving.stored import StoredModel
from keras_compat.utils.generic_utils import numbered, registries

# What configs of Keras 3 and tf.keras name beside layers, and what Keras 1 and 0 call models.
_NOT_LAYERS = {"Functional", "DTypePolicy", "Policy", "__keras_tensor__", "__lambda__", "__tuple__", "__ellipsis__"}


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "inspect",
        help="what a file holds, and whether it is safe; runs nothing",
        description="Describe a file of a model, of weights or of a config (.h5, .keras, .json, .yaml) of any Keras. "
        "Nothing in it is run and no model is built. Status 0: fine; 1: unsafe, damaged or not a model; 2: wrong use.",
    )
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the description; 1 where the file is unsafe or damaged."""
    found = describe(options.file)
    files.show(found, lines, options.json)
    return int(found["verdict"] != "safe")


def describe(path: str) -> dict[str, Any]:
    """What a file holds, as plain data; ``verdict`` is 'safe', 'unsafe' or 'damaged', ``problems`` say why."""
    found: dict[str, Any] = {"file": path, "verdict": "safe", "problems": []}
    try:
        found["bytes"] = os.path.getsize(limits.path_of(path))
        with files.read(path) as stored:
            found.update(_described(stored))
    except UnsafeModelError as error:
        _judge(found, "unsafe", str(error))
    except CorruptFileError as error:
        _judge(found, "damaged", str(error))
    except Exception as error:  # a hostile file may lead anywhere; that too is an answer
        _judge(found, "damaged", f"{type(error).__name__}: {error}")
    if "layers" not in found:
        found.update(_what_can_be_told(path))
    for problem in _survey(path):
        if problem not in found["problems"]:
            _judge(found, "unsafe", problem)
    for code in found.get("code", ()):
        _judge(
            found,
            "unsafe",
            f"layer {code['layer']!r} is Python byte code ({code['bytes']} bytes, {code['python']}): it is not run, "
            "and the model loads with the function in custom_objects only",
        )
    return found


def _judge(found: dict[str, Any], verdict: str, problem: str) -> None:
    if found["verdict"] != "unsafe":
        found["verdict"] = verdict
    found["problems"].append(problem)


def _described(stored: StoredModel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format": files.format_of(stored),
        "writer": stored.writer._asdict(),
        "written_by": files.writer_of(stored),
    }
    if stored.config is not None:
        found.update(_of_config(stored.config))
    found["layers"] = _layers(stored)
    found["parameters"] = sum(array["count"] for layer in found["layers"] for array in layer["weights"])
    if stored.training is not None:
        found["training"] = stored.training
        unknown = _unknown(stored.training)
        found["unknown_classes"] = sorted({*found.get("unknown_classes", ()), *unknown})
    if stored.optimizer is not None:
        found["optimizer_state"] = [_array(array) for array in stored.optimizer]
    return found


def _of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = config.get("config")
    name = inner.get("name") if isinstance(inner, Mapping) else config.get("name")
    return {
        "model": {"class": config.get("class_name") or config.get("name"), "name": name},
        "unknown_classes": sorted(_unknown(config)),
        "code": [
            {"layer": layer, "bytes": _code_size(code), "python": written_by(code)} for layer, code in code_in(config)
        ],
    }


def _unknown(config: Any) -> set[str]:
    """Class names that no family here knows."""
    known = {name for family in registries() for name in family} | _NOT_LAYERS
    # tf.keras puts the package of registered classes in front: 'Custom>SGD'.
    return {name for _, name, _ in guard.classes_in(config) if name.removeprefix("Custom>") not in known}


def _code_size(code: Any) -> int:
    """Length of what a file holds of a function, as it stands there."""
    if isinstance(code, Mapping):
        code = code.get("config", {}).get("code") if isinstance(code.get("config"), Mapping) else None
    elif isinstance(code, (list, tuple)) and code:
        code = code[0]
    return len(code) if isinstance(code, (str, bytes)) else 0


def _layers(stored: StoredModel) -> list[dict[str, Any]]:
    """Layers in the order of the config, each with its arrays; then arrays of layers that no config names."""
    by_class = stored.layout == "keras3"
    left = {plain_key(layer.name) if by_class else layer.name: layer for layer in stored.layers}
    found: list[dict[str, Any]] = []
    listed = files.layers_in(stored.config) if stored.config is not None else []
    keys = _keys([config for _, config in listed]) if by_class else [name for name, _ in listed]
    for key, (name, config) in zip(keys, listed):
        its = left.pop(key, None)
        found.append(_layer(name, files.class_of(config), its.arrays if its is not None else ()))
    # Layers within layers, which Keras 1 stored beside the others.
    inner = {place.rpartition("/")[2]: kind for place, kind, _ in guard.classes_in(stored.config)}
    found += [_layer(rest.name, inner.get(rest.name), rest.arrays) for rest in left.values()]
    return found


def _layer(name: str, kind: str | None, arrays: Sequence[Array]) -> dict[str, Any]:
    weights = [_array(array) for array in arrays]
    return {"name": name, "class": kind, "parameters": sum(w["count"] for w in weights), "weights": weights}


def _array(array: Array) -> dict[str, Any]:
    return {
        "name": array.name,
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "count": math.prod(array.shape),
    }


def _keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that Keras 3's files give to the layers of a model, by their classes, in plain form."""
    return [plain_key(key) for key in numbered(stem_of(str(config.get("class_name"))) for config in configs)]


# -- files that are not as they should be -----------------------------------------------------------------------------


def _what_can_be_told(path: str) -> dict[str, Any]:
    """Of an HDF5 file that is refused: its version and its config, where these can be read."""
    found: dict[str, Any] = {}
    with suppress(Exception), guard.open_h5(path) as group:
        for name in ("keras_version", "backend"):
            with suppress(Exception):
                found.setdefault("writer", {})[name] = guard.text(group, name) or ""
        config = guard.parse_json(guard.text(group, "model_config") or "{}", "model_config")
        if isinstance(config, dict) and config:
            found.update(_of_config(config))
            found["layers"] = [_layer(name, files.class_of(layer), ()) for name, layer in files.layers_in(config)]
    return found


def _survey(path: str) -> list[str]:
    """All that is not to be trusted in an HDF5 file, whether a model needs it or not."""
    try:
        if files.is_text(path):
            return []
        with guard.open_h5(path) as group:
            return guard.survey(group)
    except Exception:  # no HDF5 file, or not all of one: `describe` has said so
        return []


# -- for people -------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The description as lines of text."""
    yield f"file       {shown(found['file'])} ({found.get('bytes', 0):,} bytes)"
    if "format" in found:
        yield f"format     {found['format']}"
        yield f"writer     {shown(found['written_by'])}"
    if found.get("model"):
        yield f"model      {shown(found['model']['class'])} {shown(found['model']['name'] or '')}".rstrip()
    layers = found.get("layers", [])
    if layers:
        yield f"layers     {len(layers)}, with {found.get('parameters', 0):,} numbers"
        yield from _table(layers)
    if found.get("training"):
        yield "compiled"
        for key, value in found["training"].items():
            yield f"  {shown(key, 40)}: {shown(value)}"
    if "optimizer_state" in found:
        yield f"optimizer state: {len(found['optimizer_state'])} arrays"
        for array in found["optimizer_state"]:
            yield f"  {shown(array['name'], 60)} {tuple(array['shape'])} {array['dtype']}"
    if found.get("unknown_classes"):
        names = ", ".join(shown(name, 60) for name in found["unknown_classes"])
        yield f"unknown    {names}: give them in custom_objects"
    yield f"verdict    {found['verdict']}"
    for problem in found["problems"]:
        yield f"  {shown(problem, 2000)}"


def _table(layers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [shown(layer["name"], 40) for layer in layers]
    kinds = [shown(layer["class"] or "?", 40) for layer in layers]
    wide = max(map(len, names)), max(map(len, kinds))
    for layer, name, kind in zip(layers, names, kinds):
        yield f"  {name.ljust(wide[0])}  {kind.ljust(wide[1])}  {layer['parameters']:>12,}"
        for array in layer["weights"]:
            yield f"    {shown(array['name'], 60)} {tuple(array['shape'])} {array['dtype']}"
