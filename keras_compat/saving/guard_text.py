"""JSON and YAML, and the configs that they say: plain data of a size that a model can need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError
from keras_compat.saving.limits import MOST_DEPTH, MOST_NAME, MOST_NODES, MOST_TEXT

_YAML = "tag:yaml.org,2002:"

# Tags of plain data: those of YAML, and those with which Python 2 and 3 mark texts, numbers and tuples.
_PLAIN_TAGS = {_YAML + name for name in "str int float bool null seq map binary timestamp".split()}
_PYTHON_SCALARS = {"str": "str", "unicode": "str", "int": "int", "long": "int", "float": "float"}
_PYTHON_SCALARS |= {"bool": "bool", "none": "null"}
_PYTHON_LISTS = ("tuple", "list")
_PYTHON_TAGS = {f"{_YAML}python/{name}" for name in (*_PYTHON_SCALARS, *_PYTHON_LISTS, "dict")}


_END = object()


# -- JSON -------------------------------------------------------------------------------------------------------------


def parse_json(text: str | bytes, what: str) -> Any:
    """What a JSON text says: plain data within the limits of :func:`check_config`.

    NaN and infinities are read as Python writes them: Keras has no other words for them.

    Raises:
        CorruptFileError: it is no JSON, or says a thing twice; names ``what``.
        UnsafeModelError: it is longer, deeper or has more parts than a model can need.
    """
    _check_length(text, what)
    try:
        found = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise _too_deep(what) from None
    except (ValueError, TypeError) as error:
        raise CorruptFileError(f"[load] the {what} is no JSON: {error}. Is the file whole?") from None
    check_config(found, what)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.100} stands twice in one object")
    return found


# -- YAML -------------------------------------------------------------------------------------------------------------


def parse_yaml(text: str | bytes, what: str) -> Any:
    """What a YAML text says, as :func:`parse_json`; no tags but those of plain data and Python's tuples.

    Raises:
        ImportError: PyYAML is not installed.
    """
    _check_length(text, what)
    try:
        import yaml
    except ImportError:
        raise ImportError(
            f"[load] PyYAML is needed to read the {what} and is not installed: pip install pyyaml. Or use to_json() "
            "and model_from_json()."
        ) from None

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Plain data, and Python's words for it."""

    for name, plain in _PYTHON_SCALARS.items():
        Loader.add_constructor(f"{_YAML}python/{name}", yaml.SafeLoader.yaml_constructors[_YAML + plain])
    Loader.add_constructor(
        f"{_YAML}python/tuple", lambda loader, node: tuple(loader.construct_sequence(node, deep=True))
    )
    Loader.add_constructor(f"{_YAML}python/list", yaml.SafeLoader.yaml_constructors[_YAML + "seq"])
    Loader.add_constructor(f"{_YAML}python/dict", yaml.SafeLoader.yaml_constructors[_YAML + "map"])
    try:
        _check_events(yaml.parse(text, Loader=Loader), what)
        found = yaml.load(text, Loader=Loader)
    except RecursionError:
        raise _too_deep(what) from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # Those two come from PyYAML for a scalar that is not what its tag says: '!!timestamp x', '!!bool x', '!!int'.
        if isinstance(error, (CorruptFileError, UnsafeModelError)):
            raise
        raise CorruptFileError(f"[load] the {what} is no YAML: {error}. Is the file whole?") from None
    check_config(found, what)
    return found


def _check_events(events: Iterator[Any], what: str) -> None:
    """Look through a text before anything is made of it: its tags, its depth, and how large aliases make it."""
    sizes: dict[str, int] = {}  # of what an anchor names, in values
    stack: list[tuple[str | None, int]] = []  # anchor, and values counted before it
    total = 0
    for event in events:
        kind = type(event).__name__
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _PLAIN_TAGS and tag not in _PYTHON_TAGS and tag != "!":
            raise UnsafeModelError(
                f"[load] the {what} asks for {_short_tag(tag)!r:.200}; expected plain data. Nothing was called. Write "
                "it anew with to_yaml() or to_json()."
            )
        anchor = getattr(event, "anchor", None)
        if kind == "AliasEvent":
            if anchor not in sizes:
                raise UnsafeModelError(f"[load] the {what} contains itself (alias {anchor!r:.60}).")
            total += sizes[anchor]
        elif kind == "ScalarEvent":
            total += 1
            if event.value == "<<" and not event.style:
                raise UnsafeModelError(f"[load] the {what} merges tables ('<<'), which no Keras writes.")
            if anchor:
                sizes[anchor] = 1
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            stack.append((anchor, total))
            total += 1
            sizes.pop(anchor or "", None)
            if len(stack) > MOST_DEPTH:
                raise _too_deep(what)
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            opened, before = stack.pop()
            if opened:
                sizes[opened] = total - before
        if total > MOST_NODES:
            raise _too_many(what)


def _short_tag(tag: str) -> str:
    return "!!" + tag.removeprefix(_YAML) if tag.startswith(_YAML) else tag


# -- what they say ----------------------------------------------------------------------------------------------------


def check_config(config: Any, what: str = "config") -> None:
    """That a config is plain data of a size that a model can need, before anything is built of it.

    Raises:
        UnsafeModelError: it is deeper, longer or has more parts than that, or holds other things than plain data.
    """
    count = 0
    stack: list[Iterator[Any]] = [iter((config,))]  # what is left of each list and dictionary around the value
    while stack:
        value = next(stack[-1], _END)
        if value is _END:
            stack.pop()
            continue
        count += 1
        if count > MOST_NODES:
            raise _too_many(what)
        if isinstance(value, dict):
            for key in value:
                if isinstance(key, str) and len(key) > MOST_NAME:
                    raise UnsafeModelError(f"[load] the {what} has a key of {len(key):,} characters.")
            name = value.get("class_name")
            if isinstance(name, str) and len(name) > MOST_NAME:
                raise UnsafeModelError(f"[load] the {what} names a class with {len(name):,} characters.")
            stack.append(iter(value.values()))
        elif isinstance(value, (list, tuple)):
            stack.append(iter(value))
        if len(stack) > MOST_DEPTH + 1:
            raise _too_deep(what)


def classes_in(config: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, class name, arguments) of each ``{'class_name', 'config'}`` in a config, the outer first.

    A place is readable: ``'sequential_1/lambda_1'``.
    """
    stack: list[tuple[Any, str]] = [(config, "")]
    while stack:
        value, place = stack.pop()
        if isinstance(value, dict):
            name, inner = value.get("class_name"), value.get("config")
            if isinstance(name, str) and "config" in value:
                own = inner.get("name") if isinstance(inner, dict) else None
                own = own if isinstance(own, str) else value.get("name")
                if isinstance(own, str):
                    place = f"{place}/{own}".lstrip("/")[-200:]
                yield place, name, inner
            stack += [(part, place) for part in reversed(list(value.values()))]
        elif isinstance(value, (list, tuple)):
            stack += [(part, place) for part in reversed(value)]


def _check_length(text: str | bytes, what: str) -> None:
    if not isinstance(text, (str, bytes, bytearray)):
        raise CorruptFileError(f"[load] expected a text as {what}; got a {type(text).__name__}.")
    if len(text) > MOST_TEXT:
        raise UnsafeModelError(f"[load] the {what} has {len(text):,} characters; at most {MOST_TEXT:,} are read.")


def _too_deep(what: str) -> UnsafeModelError:
    return UnsafeModelError(f"[load] the {what} is nested more than {MOST_DEPTH} deep. No model is; it was not built.")


def _too_many(what: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"[load] the {what} says more than {MOST_NODES:,} values when written out. No model has as many; it was not "
        "built."
    )
