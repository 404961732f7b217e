"""``diff``: in what two files of models or weights differ."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.commands import files
from keras_compat.commands.files import shown
from keras_compat.saving import models
from keras_compat.saving.guard import Array
from keras_compat.saving.stored import StoredLayer, StoredModel


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "diff",
        help="in what two files of models or weights differ",
        description="Compare configs, compile settings, weights and optimizer states of two files. Files that "
        "different releases wrote are compared as the models that they load as. Status 0: the same; 1: different; "
        "2: an error.",
    )
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the differences; 1 where there are any, 2 where a file can not be read."""
    try:
        found = differences(options.a, options.b)
    except (OSError, ValueError, NotImplementedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    files.show(found, lines, options.json)
    return int(not found["same"])


def differences(a: str, b: str) -> dict[str, Any]:
    """The differences as plain data, a list for each of 'config', 'training', 'weights' and 'optimizer'.

    Raises:
        CorruptFileError, UnsafeModelError: a file can not be read.
        ValueError: files of different lines that can not be loaded as models.
    """
    with files.read(a) as first, files.read(b) as second:
        found: dict[str, Any] = {
            "a": files.writer_of(first),
            "b": files.writer_of(second),
            "compared": "what is stored",
        }
        if (first.layout, first.writer) == (second.layout, second.writer) or not (
            _is_whole(first) and _is_whole(second)
        ):
            parts = _differences(first, second)
        else:
            try:
                with _as_ours(a) as mine, _as_ours(b) as theirs:
                    parts = _differences(mine, theirs)
                found["compared"] = "the models as they load"
            except (ValueError, TypeError, NotImplementedError) as error:
                parts = _differences(first, second)
                found["compared"] += f", for they do not load: {error}"
    return {**found, **parts, "same": not any(parts.values())}


def _is_whole(stored: StoredModel) -> bool:
    return stored.config is not None and bool(stored.layers)


def _differences(a: StoredModel, b: StoredModel) -> dict[str, list[dict[str, Any]]]:
    return {
        "config": list(_configs(a.config, b.config)),
        "training": list(_values(a.training, b.training, "")),
        "weights": list(_weights(a.layers, b.layers)),
        "optimizer": list(_arrays("optimizer", a.optimizer or (), b.optimizer or ())),
    }


def _configs(a: Any, b: Any) -> Iterator[dict[str, Any]]:
    """Differences of two models' configs: what only one has, then layer by layer."""
    if a is None or b is None:
        if a is not b:
            yield _row("model", *("no config" if x is None else "a config" for x in (a, b)))
        return
    mine, theirs = dict(files.layers_in(a)), dict(files.layers_in(b))
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        if name not in mine or name not in theirs:
            yield _row(f"layer {name}", *(files.class_of(x[name]) if name in x else None for x in (mine, theirs)))
        else:
            yield from _values(mine[name], theirs[name], f"layer {name}")
    if [name for name in mine if name in theirs] != [name for name in theirs if name in mine]:
        yield _row("order of layers", list(mine), list(theirs))
    yield from _values(_without_layers(a), _without_layers(b), "model")


def _without_layers(config: Any) -> Any:
    inner = config.get("config") if isinstance(config, Mapping) else None
    if isinstance(inner, Mapping):
        return {**config, "config": {key: value for key, value in inner.items() if key != "layers"}}
    return {key: value for key, value in config.items() if key not in ("config", "layers", "nodes")}


def _values(a: Any, b: Any, where: str) -> Iterator[dict[str, Any]]:
    """The innermost values that differ, each with its way through dictionaries and lists."""
    stack = [(a, b, where)]
    while stack:
        x, y, place = stack.pop()
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            keys = [*x, *(key for key in y if key not in x)]
            stack += [(x.get(key), y.get(key), f"{place}/{key}".lstrip("/")) for key in reversed(keys)]
        elif isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
            stack += [(x[i], y[i], f"{place}/{i}") for i in reversed(range(len(x)))]
        elif x != y or isinstance(x, bool) != isinstance(y, bool):
            yield _row(place, x, y)


def _row(where: str, a: Any, b: Any) -> dict[str, Any]:
    return {"where": where, "a": a, "b": b}


def _weights(a: Sequence[StoredLayer], b: Sequence[StoredLayer]) -> Iterator[dict[str, Any]]:
    """Layers of one name are compared; where names differ throughout but all shapes agree, in their order."""
    mine, theirs = {layer.name: layer.arrays for layer in a}, {layer.name: layer.arrays for layer in b}
    if list(mine) != list(theirs) and _shapes(a) == _shapes(b):
        for one, other in zip(a, b):
            if one.name != other.name:
                yield _row("name of a layer", one.name, other.name)
            yield from _arrays(one.name, one.arrays, other.arrays)
        return
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        if name not in mine or name not in theirs:
            yield _row(f"layer {name}", *(f"{len(x[name])} arrays" if name in x else None for x in (mine, theirs)))
        else:
            yield from _arrays(name, mine[name], theirs[name])


def _shapes(layers: Sequence[StoredLayer]) -> list[list[tuple[int, ...]]]:
    return [[array.shape for array in layer.arrays] for layer in layers]


def _arrays(where: str, a: Sequence[Array], b: Sequence[Array]) -> Iterator[dict[str, Any]]:
    if len(a) != len(b):
        yield _row(f"{where}: number of arrays", len(a), len(b))
        return
    places = {array.name: i for i, array in enumerate(b)}
    if len(places) == len(b) and places.keys() == {array.name for array in a}:
        b = [b[places[array.name]] for array in a]
    for one, other in zip(a, b):
        name = one.name if one.name.startswith(where) else f"{where}/{one.name}"
        if (one.shape, str(one.dtype)) != (other.shape, str(other.dtype)):
            yield _row(name, *(f"{x.shape} {x.dtype}" for x in (one, other)))
        if one.shape == other.shape:
            yield from _numbers(name, one.read(), other.read())


def _numbers(name: str, a: np.ndarray, b: np.ndarray) -> Iterator[dict[str, Any]]:
    difference = largest_difference(a, b)
    if difference:
        differ = int(np.sum(~_same(a, b)))
        yield {"where": name, "max_abs_difference": difference, "differ": differ, "of": int(a.size)}


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest absolute difference of two arrays of one shape; NaN is equal to NaN, and far from all else."""
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(a.astype("float64") - b.astype("float64"))
    gaps = np.where(_same(a, b), 0.0, np.where(np.isnan(gaps), np.inf, gaps))
    return float(np.max(gaps, initial=0.0))


# -- as models --------------------------------------------------------------------------------------------------------


@contextmanager
def _as_ours(path: str) -> Iterator[StoredModel]:
    """What a file holds once it was loaded and saved in Keras 2.3.1's layout: the same words and layouts for all."""
    stream = io.BytesIO()
    K.reset_uids()  # models without a name get the same one
    models.save_model(models.load_model(path), stream, to="keras2")
    with models.read(stream.getvalue()) as stored:
        yield stored


# -- for people -------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The differences as lines of text."""
    yield f"a          {shown(found['a'])}"
    yield f"b          {shown(found['b'])}"
    yield f"compared   {shown(found['compared'], 500)}"
    for part in ("config", "training", "weights", "optimizer"):
        rows = found[part]
        yield f"{part:<10} {f'{len(rows)} differences' if rows else 'the same'}"
        for row in rows:
            if "max_abs_difference" in row:
                yield (
                    f"  {shown(row['where'], 100)}: {row['differ']:,} of {row['of']:,} numbers, by at most "
                    f"{row['max_abs_difference']:.3g}"
                )
            else:
                yield f"  {shown(row['where'], 100)}: {shown(row['a'], 80)} -> {shown(row['b'], 80)}"
