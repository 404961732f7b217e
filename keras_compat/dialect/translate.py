"""Turn a call in either vocabulary into one in Keras 2.3's words.

`translate` is pure: it reads its arguments and the tables joined in a `Spec`, and returns new arguments. It
calls nothing and remembers nothing; `install.py` does that.

The rules, in order:

1. A word says which vocabulary it belongs to. Positional arguments behind those where both orders agree are
   read in both, and a reading falls out when a value does not fit its word, a word is given twice or a
   required one is missing.
2. If both remain, the old or new words beside them decide, then the API level 1.2; else the call is refused.
3. Old words become new ones. The name of an initializer under one means at level 1.2 what it meant in 1.2.2
   (`init='orthogonal'` has gain 1.1) and above what Keras 2 means by it, as genuine Keras 2 read such calls.
4. Arguments not given get the defaults of the level; 2.3.1 too gives its own to a call in old words.
"""

import copy
import difflib
import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

from keras_compat.dialect import tables
from keras_compat.dialect.level import KERAS_0
from keras_compat.dialect.spec import Gather, Spec

_ACTIVATIONS = frozenset(tables.ACTIVATION_NAMES.split())
_INITIALIZERS = frozenset(tables.INITIALIZER_NAMES.split())
_PADDINGS = ("valid", "same", "causal", "full")
_LAYOUTS = ("th", "tf", "default", "channels_first", "channels_last")


class DialectError(TypeError):
    """A call that can be read both as Keras 1 and as Keras 2, or that says one argument twice."""


class DialectValueError(DialectError, ValueError):
    """What Keras refused with a ValueError: an old word with a value that it never took, a call with two readings."""


class Note(NamedTuple):
    """One old spelling in one call: `callable` got `old`, which is `new` in Keras 2 ('' if it is gone)."""

    callable: str
    old: str
    new: str
    detail: str = ""

    def __str__(self) -> str:
        what = f"write {self.new}" if self.new else "leave it out"
        reason = f": {self.detail}" if self.detail else ""
        return f"[{self.callable}] {self.old} is an old spelling; {what}{reason}."


def translate(
    spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], level: str = "2.3"
) -> tuple[tuple, dict[str, Any], tuple[Note, ...]]:
    """Return `(args, kwargs, notes)`: the same call in Keras 2.3's words, and a note for each old spelling.

    Args:
        spec: what is called.
        args: positional arguments without `self`.
        kwargs: keyword arguments.
        level: the API level, "1.2", "2.2" or "2.3", or `KERAS_0`.

    Raises:
        DialectError: both readings are possible or neither is; one argument given twice with different
        values; an old
            value that nothing in Keras 2 stands for.
        TypeError: an argument that neither vocabulary knows.
    """
    legacy = _is_legacy(spec, args, kwargs, level)
    return _convert(spec, args, kwargs, legacy, level)


# --- which vocabulary ------------------------------------------------------------------------------------------------


def _is_legacy(spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], level: str) -> bool:
    """Tell whether the call is one of Keras 1."""
    if spec.order_by_level:
        return level == "1.2"
    old, new = spec.only_old.intersection(kwargs), spec.only_new.intersection(kwargs)
    if len(args) <= spec.agreed or not spec.legacy:
        return bool(old) or (level == "1.2" and not new)
    problems = {legacy: _problem(spec, args, kwargs, legacy) for legacy in (True, False)}
    if not problems[True] or not problems[False]:
        if problems[True] or problems[False]:
            return problems[True] is None
        if spec.integers_are_kernel:
            if level == "1.2" or not tables.NOT_BESIDE_INTEGERS.intersection(kwargs):
                return True
        elif bool(old) != bool(new):
            return bool(old)
        elif level == "1.2" or spec.level_decides:
            return level == "1.2"
        elif _same_call(spec, args, kwargs, level):
            return False
        raise DialectValueError(_both_readings(spec, args, kwargs, problems, "can be read in two ways"))
    raise DialectError(_both_readings(spec, args, kwargs, problems, "fits neither Keras 1 nor Keras 2"))


def _problem(spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], legacy: bool) -> str | None:
    """Say why a reading is impossible, or None."""
    order = spec.legacy if legacy else spec.modern
    required = spec.legacy_required if legacy else spec.modern_required
    if len(args) > len(order):
        return f"takes {len(order)} positional arguments, {len(args)} came"
    given = order[: len(args)]
    if legacy and not all(_translatable(spec, word) for word in given):
        return "speaks of something that does not exist here"
    filled = {target for word in given for target in (spec.targets(word) or (word,))}
    for word in kwargs:
        if word in given or (not _is_gathered(spec, word) and filled.intersection(spec.targets(word))):
            return f"{word} is given twice"
    for word, value in zip(given, args):
        kind = spec.kinds.get(word, "any")
        if not fits(kind, value):
            return f"{word}={_short(value)} is no {kind}"
    # A required word may be given under its other spelling.
    by_keyword = {target for word in kwargs for target in (word, *spec.targets(word))}
    for word in order[len(args) :]:
        if word in required and word not in kwargs and not by_keyword.intersection(spec.targets(word)):
            return f"{word} is missing"
    return None


def _translatable(spec: Spec, word: str) -> bool:
    return word in spec.keywords or word in spec.old or spec.open


def _is_gathered(spec: Spec, word: str) -> bool:
    return word not in spec.keywords and any(word in gather.parts for gather in spec.gather)


def _same_call(spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], level: str) -> bool:
    """Tell whether both readings ask for the same; None counts as not given."""
    asked = []
    for legacy in (True, False):
        try:
            positional, keywords, _ = _convert(spec, args, kwargs, legacy, level)
        except TypeError:
            return False
        asked.append({k: v for k, v in {**dict(zip(spec.modern, positional)), **keywords}.items() if v is not None})
    return asked[0].keys() == asked[1].keys() and all(_same(asked[0][k], asked[1][k]) for k in asked[0])


def fits(kind: str, value: Any) -> bool:
    """Tell whether a value can stand for a kind of word. In doubt it fits: only plain values are judged."""
    integer = isinstance(value, Integral) and not isinstance(value, bool)
    plain = value is None or isinstance(value, (str, bool, Real, tuple, list, dict))
    if kind == "initializer":
        if isinstance(value, str):
            return value in _INITIALIZERS or value not in (*_ACTIVATIONS, *_PADDINGS, *_LAYOUTS)
        return isinstance(value, dict) or (callable(value) and not _looks_like(value, "activation"))
    if kind == "activation":
        if isinstance(value, str):
            return value in _ACTIVATIONS or value not in (*_INITIALIZERS, *_PADDINGS, *_LAYOUTS)
        return value is None or (callable(value) and not _looks_like(value, "initializer"))
    if kind == "penalty":
        return value is None or isinstance(value, (str, dict)) or not plain
    if kind == "flag":
        return isinstance(value, bool) or not plain
    if kind == "integer":
        return integer or not plain
    if kind == "integer or none":
        return integer or value is None or not plain
    if kind in ("integers", "integers or none"):
        return integer or isinstance(value, (tuple, list)) or not plain or (value is None and kind.endswith("none"))
    if kind == "number":
        return (isinstance(value, Real) and not isinstance(value, bool)) or value is None or not plain
    if kind == "fraction":
        return (isinstance(value, Real) and not isinstance(value, (bool, Integral))) or value is None or not plain
    if kind == "mode of padding":
        return value in _PADDINGS if plain else True
    if kind == "layout":
        return value in (None, "channels_first", "channels_last") if plain else True
    if kind == "old layout":
        return value in ("th", "tf", "default") if plain else True
    if kind == "shape":
        return value is None or isinstance(value, (tuple, list)) or not plain
    if kind == "name":
        return value is None or isinstance(value, str) or not plain
    if kind == "dictionary":
        return value is None or isinstance(value, dict)
    if kind == "class weights":
        return value is None or isinstance(value, (dict, list))
    if kind == "arrays":
        return value is None or isinstance(value, (tuple, list)) or not plain or _is_dict_of_names(value)
    if kind in ("mask", "callbacks"):
        return value is None or isinstance(value, (tuple, list)) or not plain
    return True


def _is_dict_of_names(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _looks_like(function: Any, kind: str) -> bool:
    """Tell an initializer `(shape, ...)` from an activation `(x, ...)` by the names of the parameters."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    starts = "shape" in names or "name" in names[1:]
    if kind == "initializer":
        return starts
    return bool(names) and not starts and names[0] not in ("args", "kwargs")


# --- the call in new words -------------------------------------------------------------------------------------------


def _convert(
    spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], legacy: bool, level: str
) -> tuple[tuple, dict[str, Any], tuple[Note, ...]]:
    order = spec.legacy if legacy and spec.legacy else spec.modern
    if len(args) > len(order) and spec.legacy:
        takes = f"takes at most {len(order)} positional arguments; {len(args)} came"
        raise TypeError(f"[{spec.name}] {takes}. Name the arguments.")
    given = [(word, value, number) for number, (word, value) in enumerate(zip(order, args), 1)]
    given += [(word, value, 0) for word, value in kwargs.items()]

    out: dict[str, Any] = {}
    said: dict[str, str] = {}
    notes: list[Note] = []
    parts: dict[str, Any] = {}

    initializers: Mapping[str, Any] = spec.initializers if level == "1.2" else {}

    def put(target: str, value: Any, word: str) -> None:
        if target in out and (said[target] == word or not _same(out[target], value)):
            raise DialectError(_twice(spec, target, said[target], out[target], word, value))
        if target not in out:
            out[target], said[target] = value, word

    for word, value, position in given:
        how = f"{word} as argument {position}" if position else f"{word}="
        if word in spec.keywords:
            put(word, _value(spec, word, value, legacy, bool(position), initializers), word)
        elif word in spec.rename:
            for target in spec.rename[word]:
                put(target, _value(spec, word, value, True, bool(position), initializers), word)
            if position > spec.agreed or not position:
                notes.append(Note(spec.name, how, " and ".join(f"{target}=" for target in spec.rename[word])))
        elif word in spec.samples:
            target, source = spec.samples[word]
            put(target, _steps(spec, word, value, _named(source, args, kwargs, order)), word)
            notes.append(Note(spec.name, how, f"{target}=", "it counts samples, the new one batches"))
        elif word in spec.dropped:
            allowed, reason = spec.dropped[word]
            if allowed is not None and not any(_same(value, harmless) for harmless in allowed):
                raise DialectError(f"[{spec.name}] {word}={_short(value)} is gone: {reason}. Leave {word} out.")
            notes.append(Note(spec.name, how, "", reason))
        elif _is_gathered(spec, word):
            if word in parts:
                raise DialectError(_twice(spec, word, word, parts[word], word, value))
            parts[word] = value
        elif spec.open:
            put(word, value, word)
        else:
            raise TypeError(_unknown(spec, word))

    for gather in spec.gather:
        found = {part: parts[part] for part in gather.parts if part in parts}
        if found:
            _gather(spec, gather, found, put, out, notes)

    _fill_defaults(spec, out, level)
    agreed = spec.modern[: min(len(args), spec.agreed)]
    leading = tuple(out.pop(word) for word in agreed)
    if not spec.legacy:
        leading += tuple(args[len(agreed) :])
    return leading, out, tuple(notes)


def _named(word: str, args: Sequence[Any], kwargs: Mapping[str, Any], order: Sequence[str]) -> Any:
    return kwargs.get(word, dict(zip(order, args)).get(word))


def _value(spec: Spec, word: str, value: Any, legacy: bool, positional: bool, initializers: Mapping[str, Any]) -> Any:
    """Return a value under `word` as Keras 2 says it."""
    plain = isinstance(value, (str, int, float)) or value is None
    if word in tables.VALUES and word not in spec.keywords:
        known = tables.VALUES[word]
        if plain and value in known:
            return known[value]
        if not plain or value not in known.values():
            choices = ", ".join(map(repr, known))
            raise DialectValueError(f"[{spec.name}] {word} is one of {choices}; got {_short(value)}.")
    elif plain and positional:
        # Both orders agree here, so an old value may stand under the new word.
        for old, new in spec.rename.items():
            if word in new and value in tables.VALUES.get(old, {}):
                return tables.VALUES[old][value]
    kind = spec.kinds.get(word)
    if kind == "pads":
        return _pads(value)
    if legacy and kind == "initializer" and isinstance(value, str):
        return copy.deepcopy(initializers.get(value, value))
    if legacy and kind == "penalty" and isinstance(value, dict) and "class_name" not in value and "name" in value:
        return _penalty(value)
    return value


def _pads(value: Any) -> Any:
    """Return Keras 1's paddings, a dictionary of sides or (top, bottom, left, right), as pairs."""
    if isinstance(value, dict) and {"left_pad", "right_pad"} >= value.keys():
        return (value.get("left_pad", 0), value.get("right_pad", 0))
    if isinstance(value, dict) and {"top_pad", "bottom_pad", "left_pad", "right_pad"} >= value.keys():
        sides = [value.get(side, 0) for side in ("top_pad", "bottom_pad", "left_pad", "right_pad")]
        return tuple(sides[:2]), tuple(sides[2:])
    if isinstance(value, (tuple, list)) and len(value) == 4:
        return tuple(value[:2]), tuple(value[2:])
    return value


def _penalty(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a penalty's config of 1.2.2, {'name': ..., **arguments}, as Keras 2 writes it."""
    name = tables.V1_OBJECTS.get(config["name"], config["name"])
    words = tables.RENAME.get(f"constraints:{name}", {})
    return {"class_name": name, "config": {words.get(k, k): v for k, v in config.items() if k != "name"}}


def _gather(spec: Spec, gather: Gather, found: dict[str, Any], put: Any, out: dict, notes: list[Note]) -> None:
    if gather.how == "input_shape":
        # As in Keras 1: not given is None, and a shape that is given in full counts more.
        if all(value is None for value in found.values()) or "batch_input_shape" in out or gather.target in out:
            return
        put(gather.target, tuple(found.get(part) for part in gather.parts), " and ".join(found))
        return
    missing = [part for part in gather.parts if part not in found]
    if missing:
        raise DialectError(
            f"[{spec.name}] {', '.join(found)} came without {', '.join(missing)}. "
            f"Give all of {', '.join(gather.parts)}, or {gather.target}."
        )
    put(gather.target, tuple(found.values()), " and ".join(found))
    notes.append(Note(spec.name, " and ".join(f"{part}=" for part in found), f"{gather.target}="))


def _steps(spec: Spec, word: str, value: Any, source: Any) -> Any:
    """Return a count of samples as a count of batches, rounded up as Keras 1 draws them."""
    batch = getattr(source, "batch_size", None)
    if value is None:
        return None
    if not isinstance(batch, Integral) or batch < 1:
        raise DialectError(
            f"[{spec.name}] {word}={_short(value)} counts samples, and the data does not say its batch_size. "
            f"Give {spec.samples[word][0]}, a number of batches."
        )
    return -(-int(value) // int(batch))


def _fill_defaults(spec: Spec, out: dict[str, Any], level: str) -> None:
    for word, by_level in spec.defaults.items():
        known = "0.3" if level is KERAS_0 and "0.3" in by_level else level
        if word not in out and known in by_level:
            out[word] = copy.deepcopy(by_level[known])


# --- messages --------------------------------------------------------------------------------------------------------


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False


def _short(value: Any) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _twice(spec: Spec, target: str, word: str, value: Any, other: str, other_value: Any) -> str:
    if word == other:
        both = f"{_short(value)} and {_short(other_value)}"
        return f"[{spec.name}] got multiple values for argument {word!r}: {both}."
    spelled = f"{word}={_short(value)} and {other}={_short(other_value)}"
    return f"[{spec.name}] {target} is given twice, as {spelled}. Keep one of them; {target} is Keras 2's word."


def _unknown(spec: Spec, word: str) -> str:
    close = difflib.get_close_matches(word, sorted(spec.accepted), n=1, cutoff=0.6)
    takes = ", ".join(spec.modern) or "none by name"
    hint = f"Did you mean {close[0]!r}?" if close else f"Its arguments are: {takes}."
    return f"[{spec.name}] Keyword argument not understood: {word!r}. {hint}"


def _both_readings(
    spec: Spec, args: Sequence[Any], kwargs: Mapping[str, Any], problems: Mapping[bool, str | None], what: str
) -> str:
    beside = [f"{word}={_short(value)}" for word, value in kwargs.items()]
    call = ", ".join([*map(_short, args), *beside])
    lines = [f"[{spec.name}] {spec.name}({call}) {what}:"]
    for legacy, label in ((True, "Keras 1"), (False, "Keras 2")):
        order = spec.legacy if legacy else spec.modern
        said = [f"{word}={_short(value)}" for word, value in zip(order, args)]
        reading = f"  {label}: {spec.name}({', '.join(said + beside)})"
        lines.append(reading + (f" ({problems[legacy]})" if problems[legacy] else ""))
    lines.append("Name the arguments" + (", or set the API level." if not any(problems.values()) else "."))
    return "\n".join(lines)
