"""What the commands that look at files share: what a file is, and texts of it that are fit for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from keras_compat.saving import configs, guard, keras3, limits, models
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.h5_structure import SIGNATURE
from keras_compat.saving.stored import StoredModel

_TEXT_ONLY = "config"


def show(found: dict[str, Any], lines: Callable[[dict[str, Any]], Iterable[str]], as_json: bool) -> None:
    """Print what a command found: as one JSON object, or in the lines that it makes of it."""
    print(json.dumps(found, indent=2, default=str) if as_json else "\n".join(lines(found)))


@contextmanager
def read(path: str) -> Iterator[StoredModel]:
    """Describe a file of a model, of weights, or of a config in JSON or YAML; see `saving.models.read`."""
    if not is_text(path):
        with models.read(path) as stored:
            yield stored
        return
    config = read_config(path)
    yield StoredModel(_TEXT_ONLY, configs.writer_of(config), config=config)


def is_text(path: str) -> bool:
    """Whether a file is neither HDF5 nor an archive, and no zero byte is among its first ones."""
    with open(limits.path_of(path), "rb") as stream:
        head = stream.read(512)
    return bool(head) and not head.startswith(SIGNATURE) and not keras3.is_archive(head) and b"\0" not in head


def read_config(path: str) -> dict[str, Any]:
    """The config in a file of JSON or YAML."""
    with open(limits.path_of(path), "rb") as stream:
        text = stream.read(limits.MOST_TEXT + 1)
    parse = guard.parse_json if text.lstrip()[:1] == b"{" else guard.parse_yaml
    config = parse(text, "config")
    if not isinstance(config, dict):
        raise CorruptFileError(f"[load] expected the config of a model; got a {type(config).__name__}. Is it the file?")
    return config


def format_of(stored: StoredModel) -> str:
    """The kind of file in words."""
    if stored.layout == _TEXT_ONLY:
        return "config without weights"
    kinds = {
        "keras0": "HDF5, weights of Keras 0.x",
        "h5": "HDF5, a model" if stored.config is not None else "HDF5, weights",
        "keras3": "archive of Keras 3, a model" if stored.config is not None else "HDF5, weights of Keras 3's layout",
    }
    return kinds.get(stored.layout, stored.layout)


def writer_of(stored: StoredModel) -> str:
    """Who wrote the file in words: 'Keras 2.3.1, backend tensorflow'."""
    names = {
        "keras0": "Keras 0",
        "keras1": "Keras 1",
        "keras2": "Keras 2",
        "tfkeras": "tf.keras 2",
        "keras3": "Keras 3",
    }
    writer = stored.writer
    name = names.get(writer.line, writer.line)
    if writer.version:
        name = f"{name.partition(' ')[0]} {writer.version}"
    return f"{name}, backend {writer.backend or 'unknown'}"


def class_of(config: Mapping[str, Any]) -> str:
    """The class of a layer's config, with those of the layers that it wraps: 'Bidirectional(LSTM)'."""
    name = config.get("class_name") or config.get("name")  # Keras 0.x had no class_name
    inner = config.get("config")
    wrapped = inner.get("layer") or inner.get("cell") if isinstance(inner, Mapping) else None
    if isinstance(wrapped, Mapping) and "class_name" in wrapped:
        return f"{name}({class_of(wrapped)})"
    return str(name)


def layers_in(config: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """(name, config) of the layers in the config of a model: those of one level."""
    inner = config.get("config") if isinstance(config, Mapping) else None
    listed = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, Mapping) else None
    if listed is None and isinstance(config, Mapping):  # Keras 0.x
        listed = config.get("layers") or list((config.get("nodes") or {}).values())
    found = []
    for layer in listed if isinstance(listed, list) else ():
        if not isinstance(layer, Mapping):
            continue
        own = layer.get("config")
        name = own.get("name") if isinstance(own, Mapping) else None
        found.append((str(name or layer.get("custom_name") or layer.get("name") or ""), layer))
    return found


def shown(value: Any, length: int = 200) -> str:
    """A text from a file for the terminal: nothing in it moves the cursor or changes colours, and it ends."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    text = text if len(text) <= length else text[: length - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
