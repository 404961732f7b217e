"""Which stored array belongs to which weight of a model.

A model is taken apart into *parts*, layers without layers in them. What a file holds is divided among them from the
outside in: first among the model's layers, then within each among the layers inside. At each step names decide where
they can (equal names, else equal up to their numbers: ``dense_7`` of a second model in a process for ``dense_1``),
and the order of the weights where they can not. Nothing is read but names and shapes until all of it fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.saving import layouts
from keras_compat.saving.guard import Array
from keras_compat.saving.parts import Part as Part
from keras_compat.saving.parts import inner_layers as inner_layers
from keras_compat.saving.parts import keys as keys
from keras_compat.saving.parts import listed as listed
from keras_compat.saving.parts import parts_of as parts_of
from keras_compat.saving.parts import placed_parts, plain_key
from keras_compat.saving.stored import StoredLayer, Writer
from keras_compat.utils.generic_utils import warn


@dataclass(frozen=True)
class Pair:
    """A part and the arrays of the file that are its weights; ``stored`` is the name of their layer there."""

    part: Part
    arrays: tuple[Array, ...]
    stored: str = ""


class Mismatch(ValueError):
    """The file holds other weights than the model; nothing was changed."""


# -- dividing what a file holds among layers --------------------------------------------------------------------------


def pairs_in_order(stored: Sequence[StoredLayer], model: Any, layers: Sequence[Any], writer: Writer) -> list[Pair]:
    """Pairs for all weights of layers.

    Raises:
        Mismatch: listing every difference.
    """
    stored = [one for one in stored if one.arrays]
    mine = [layer for layer in layers if layer.weights]
    if writer.line == "keras0":
        return _of_keras_0(stored, mine)
    if len(stored) != len(mine):
        unwrapped = _unwrapped(stored, model, mine)
        if unwrapped is not None:
            return unwrapped
        raise Mismatch(
            f"[load_weights] You are trying to load a weight file containing {len(stored)} layers into a model with "
            f"{len(mine)} layers. In the file: {[one.name for one in stored]}; in the model: "
            f"{[layer.name for layer in mine]}. Nothing was changed; is it the file of this model? "
            "by_name=True loads what names agree on."
        )
    return _chosen(_ways(stored, mine))


def pairs_by_key(stored: Sequence[StoredLayer], layers: Sequence[Any]) -> list[Pair]:
    """Pairs for all weights of layers, by the names that Keras 3's ``.weights.h5`` gives them.

    Raises:
        Mismatch: listing every difference.
    """
    by_name = {plain_key(one.name): one for one in stored}
    wrong: list[str] = []
    pairs: list[Pair] = []
    known: set[str] = set()
    for key, layer in zip(map(plain_key, keys(layers)), layers):
        if not layer.weights:
            known.add(key)
            continue
        if key not in by_name:
            wrong.append(f"layer {layer.name!r} is {key!r} there, which the file does not hold")
            continue
        known.add(key)
        pairs += _divided_by_key(by_name[key].arrays, layer, by_name[key].name)
    left = [one.name for key, one in by_name.items() if key not in known]
    wrong += [f"the file holds a layer {name!r}, the model does not" for name in left]
    if wrong:
        raise mismatch(wrong)
    return pairs


def values_by_name(
    stored: Sequence[StoredLayer], layers: Sequence[Any], writer: Writer, skip_mismatch: bool, reshape: bool
) -> list[tuple[Any, np.ndarray]]:
    """New values for the layers whose name is in the file; what does not fit is left out with ``skip_mismatch``.

    Raises:
        Mismatch: listing every difference, unless ``skip_mismatch``.
    """
    named: dict[str, list[Any]] = {}
    for layer in layers:
        named.setdefault(layer.name, []).append(layer)
    found: list[tuple[Any, np.ndarray]] = []
    wrong: list[str] = []
    for one in stored:
        divided = _divided_by_key if one.called else _divided
        name = one.called or one.name
        for layer in named.get(name, ()) if one.arrays else ():
            pairs = divided(one.arrays, layer, name)
            problems = [text for pair in pairs for text in _problems(pair, reshape)]
            values: list[tuple[Any, np.ndarray]] = []
            if not pairs:
                problems = [f"layer {layer.name!r} expects 0 weights, but the saved weights have {len(one.arrays)}"]
            for pair in pairs if not problems else ():
                more, differences = _read(pair, writer, reshape)
                values += more
                problems += differences
            if not problems:
                found += values
            elif skip_mismatch:
                warn(f"Skipping loading of weights for layer {name} due to {'; '.join(problems)}")
            else:
                wrong += problems
    if wrong:
        raise mismatch(wrong)
    return found


def _ways(stored: Sequence[StoredLayer], layers: Sequence[Any]) -> Iterator[list[Pair]]:
    """Ways to pair as many stored layers with layers, the best first."""

    def paired(order: Sequence[int]) -> list[Pair]:
        return [p for i, layer in zip(order, layers) for p in _divided(stored[i].arrays, layer, stored[i].name)]

    theirs, mine = [one.name for one in stored], [layer.name for layer in layers]
    if len(set(theirs)) == len(theirs) and set(theirs) == set(mine):
        yield paired([theirs.index(name) for name in mine])
    in_order = paired(range(len(stored)))
    if _fits(in_order):
        moved = [n for i, n in enumerate(theirs) if n in mine and mine.index(n) != i]
        ranked = _by_rank(theirs, mine)
        if moved and ranked != list(range(len(stored))):
            warn(
                f"[load_weights] the names of {len(moved)} layers in the file are those of other layers here than "
                f"their order says: {', '.join(moved[:5])}. The order was followed; by_name=True follows the names."
            )
        yield in_order
        return
    order = _by_rank(theirs, mine)
    if order is not None:
        yield paired(order)
    yield in_order


def _chosen(ways: Iterable[list[Pair]]) -> list[Pair]:
    """The first way that fits, else the last."""
    last: list[Pair] = []
    for way in ways:
        last = way
        if _fits(way):
            return way
    return last


def _unwrapped(stored: Sequence[StoredLayer], model: Any, layers: Sequence[Any]) -> list[Pair] | None:
    """Pairs where one side has a model around all of it: ``multi_gpu_model``, a Sequential of one model."""
    if len(stored) == 1 and model is not None:
        pairs = _divided(stored[0].arrays, model, stored[0].name)
        return pairs if _fits(pairs) else None
    if len(layers) == 1 and len(parts_of(layers[0])) > 1:
        inner = [layer for layer in layers[0].layers if layer.weights] if hasattr(layers[0], "layers") else []
        if len(inner) == len(stored):
            pairs = _chosen(_ways(stored, inner))
            return pairs if _fits(pairs) else None
    return None


def _divided(arrays: Sequence[Array], layer: Any, stored: str) -> list[Pair]:
    """Share the arrays of one layer of a file out among its parts."""
    parts = parts_of(layer)
    if len(parts) <= 1:
        return [Pair(part, tuple(arrays), stored) for part in parts]
    children = [inner for _, inner in inner_layers(layer) if parts_of(inner)]
    return _chosen(_ways_within(arrays, layer, children, parts, stored))


def _ways_within(
    arrays: Sequence[Array], layer: Any, children: list[Any], parts: list[Part], stored: str
) -> Iterator[list[Pair]]:
    own = {id(part.layer) for part in parts}
    if id(layer) not in own and len({id(c) for c in children}) == len(children):
        owned = _by_child(arrays, children)
        if owned is not None:
            yield [p for child, some in zip(children, owned) for p in _divided(some, child, stored)]
    owners: dict[str, list[Array]] = {}
    for array in arrays:
        owners.setdefault(layouts.owner_and_word(array.name)[0], []).append(array)
    if len(owners) == len(parts):
        order = _by_rank(list(owners), [part.layer.name for part in parts])
        if order is not None:
            groups = list(owners.values())
            yield [Pair(part, tuple(groups[i]), stored) for part, i in zip(parts, order)]
    yield _in_order_within(arrays, layer, parts, stored)


def _by_child(arrays: Sequence[Array], children: Sequence[Any]) -> list[list[Array]] | None:
    """The arrays of each layer inside by the names; None where the names do not tell."""
    names = [_names_within(child) for child in children]
    found: list[list[Array]] = [[] for _ in children]
    for array in arrays:
        scores = [_claim(array.name, own, within) for own, within in names]
        best = max(scores)
        if best == 0 or scores.count(best) > 1:
            return None
        found[scores.index(best)].append(array)
    return found if all(found) else None


def _names_within(layer: Any) -> tuple[str, set[str]]:
    within: set[str] = set()
    for _, inner in inner_layers(layer):
        if not hasattr(inner, "state_size"):  # cells have the same names everywhere
            own, deeper = _names_within(inner)
            within |= {own, *deeper}
    return layer.name, within


def _claim(name: str, own: str, within: set[str]) -> int:
    """How surely an array of that name belongs to a layer with this name and these names in it; 0 for not at all."""
    folders = name.split("/")[:-1]
    if folders:
        return 2000 if own in folders else 1000 if within.intersection(folders) else 0
    longest = max((len(n) for n in {own, *within} if name.startswith(n + "_")), default=0)
    return longest


def _in_order_within(arrays: Sequence[Array], layer: Any, parts: list[Part], stored: str) -> list[Pair]:
    """In the order in which Keras lists the weights of a layer with layers in it: those that learn, then the others."""
    owner = {id(w): i for i, part in enumerate(parts) for w in part.weights}
    runs: list[tuple[int, list[Any]]] = []
    for w in layer.weights:
        i = owner.get(id(w))
        if i is None:
            continue
        if runs and runs[-1][0] == i:
            runs[-1][1].append(w)
        else:
            runs.append((i, [w]))
    rest = list(arrays)
    given: list[list[Array]] = [[] for _ in parts]
    for i, some in runs:
        count = _count(parts[i].layer, some, rest)
        given[i] += rest[:count]
        rest = rest[count:]
    if rest and given:
        given[-1] += rest
    return [Pair(part, tuple(some), stored) for part, some in zip(parts, given)]


def _count(layer: Any, weights: Sequence[Any], arrays: Sequence[Array]) -> int:
    """How many of the next arrays are these weights of a layer."""
    possible = layouts.counts(layer, weights)
    return next((n for n in possible if layouts.may_be(layer, weights, arrays[:n])), possible[0])


def _of_keras_0(stored: Sequence[StoredLayer], layers: Sequence[Any]) -> list[Pair]:
    """Keras 0.x has no names; its arrays are in the order of the layers, each with all of its own."""
    arrays = [a for one in stored for a in one.arrays]
    parts: list[Part] = []
    seen: set[int] = set()
    for layer in layers:
        for part in parts_of(layer):
            if id(part.layer) not in seen:
                seen.add(id(part.layer))
                parts.append(part)
    wanted = sum(max(layouts.counts(part.layer, part.weights)) for part in parts)
    if len(arrays) != wanted:
        raise Mismatch(
            f"[load_weights] this file of Keras 0.x holds {len(arrays)} arrays, the model has {wanted} by its count. "
            "Nothing was changed. Is it the file of this model?"
        )
    pairs = []
    for part in parts:
        n = max(layouts.counts(part.layer, part.weights))
        pairs.append(Pair(part, tuple(arrays[:n]), "param"))
        arrays = arrays[n:]
    return pairs


def _divided_by_key(arrays: Sequence[Array], layer: Any, stored: str) -> list[Pair]:
    """Share arrays named as in Keras 3's files ('cell/vars/0') out among the parts of a layer."""
    by_folder: dict[str, list[Array]] = {}
    for array in arrays:
        by_folder.setdefault(plain_key(array.name.rpartition("/")[0]), []).append(array)
    pairs = []
    for place, part in placed_parts(layer):
        # A recurrent layer's weights are its cell's there.
        folders = (plain_key(f"{place}cell/vars"), plain_key(f"{place}vars"))
        pairs.append(Pair(part, tuple([a for folder in folders for a in by_folder.get(folder, ())]), stored))
    return pairs


# -- names ------------------------------------------------------------------------------------------------------------


def _by_rank(theirs: Sequence[str], mine: Sequence[str]) -> list[int] | None:
    """For each of mine the place of its like in theirs: names are alike up to their numbers, whose ranks agree.

    None where the two have different names.
    """

    def split(name: str) -> tuple[str, int]:
        found = re.fullmatch(r"(.*?)(?:_(\d+))?", name.rsplit("/", 1)[-1], flags=re.S)
        assert found is not None
        return found.group(1), int(found.group(2) or 0)

    def ranked(names: Sequence[str]) -> dict[tuple[str, int], int]:
        groups: dict[str, list[tuple[int, int]]] = {}
        for i, name in enumerate(names):
            stem, number = split(name)
            groups.setdefault(stem, []).append((number, i))
        return {(stem, rank): i for stem, some in groups.items() for rank, (_, i) in enumerate(sorted(some))}

    there, here = ranked(theirs), ranked(mine)
    if set(there) != set(here):
        return None
    place = {i: there[key] for key, i in here.items()}
    return [place[i] for i in range(len(mine))]


# -- does it fit? -----------------------------------------------------------------------------------------------------


def _fits(pairs: Sequence[Pair]) -> bool:
    return all(not _problems(pair) for pair in pairs)


def _problems(pair: Pair, reshape: bool = False) -> list[str]:
    """What is wrong with a pair, by numbers and shapes alone."""
    layer, weights = pair.part.layer, pair.part.weights
    if layouts.may_be(layer, weights, pair.arrays, reshape):
        return []
    if len(pair.arrays) not in layouts.counts(layer, weights):
        shapes = [a.shape for a in pair.arrays]
        return [
            f"layer {layer.name!r} expects {len(weights)} weights, but the saved weights ({pair.stored!r}) have "
            f"{len(pair.arrays)}: {shapes}"
        ]
    if len(pair.arrays) != len(weights):
        return [
            f"layer {layer.name!r} has {[tuple(w.shape) for w in weights]}, the file {[a.shape for a in pair.arrays]}"
        ]
    return _differences(layer, weights, pair.arrays)


def mismatch(wrong: Sequence[str]) -> Mismatch:
    """The error for a file whose arrays are not those of the model."""
    return Mismatch(
        f"[load_weights] the file does not fit the model in {len(wrong)} places: {'; '.join(wrong)}. "
        "Nothing was changed. Was the model made with the same arguments?"
    )


# -- values -----------------------------------------------------------------------------------------------------------


def values_of(pairs: Sequence[Pair], writer: Writer, reshape: bool = False) -> list[tuple[Any, np.ndarray]]:
    """The new values of the weights, read and in the layout of this model.

    Raises:
        Mismatch: listing every difference.
    """
    found: list[tuple[Any, np.ndarray]] = []
    wrong = [text for pair in pairs for text in _problems(pair, reshape)]
    for pair in pairs if not wrong else ():
        values, problems = _read(pair, writer, reshape)
        found += values
        wrong += problems
    if wrong:
        raise mismatch(wrong)
    return found


def _read(pair: Pair, writer: Writer, reshape: bool) -> tuple[list[tuple[Any, np.ndarray]], list[str]]:
    """The values for a pair that fits by its shapes, and what is wrong with them in the end."""
    layer, weights = pair.part.layer, pair.part.weights
    arrays = [a.read() for a in pair.arrays]
    if reshape and len(arrays) == len(weights):
        arrays = [a if a.ndim == len(w.shape) else a.reshape(w.shape) for a, w in zip(arrays, weights)]
    values = layouts.fitted(layer, weights, arrays, [a.name for a in pair.arrays], writer)
    if reshape:
        values = [v.reshape(w.shape) if v.size == math.prod(w.shape) else v for v, w in zip(values, weights)]
    return list(zip(weights, values)), _differences(layer, weights, values)


def _differences(layer: Any, weights: Sequence[Any], values: Sequence[Any]) -> list[str]:
    if len(values) != len(weights):
        return [f"layer {layer.name!r} has {len(weights)} weights, the file {len(values)} for it"]
    return [
        f"{w.name or layer.name} has shape {tuple(w.shape)}, the file {v.shape}"
        for w, v in zip(weights, values)
        if tuple(w.shape) != v.shape
    ]


def assign(values: Sequence[tuple[Any, np.ndarray]]) -> None:
    """Set weights whose values were checked, all at once."""
    K.batch_set_value(list(values))
