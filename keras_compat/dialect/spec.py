"""Everything the tables say about one callable, put together once, when it is installed.

A `Spec` joins the rows of `tables.py` with the signature of the real target. Building one is slow
(microseconds do not matter here); using one is the business of `translate.py`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_compat.dialect import tables


@dataclass(frozen=True)
class Gather:
    """Old words that together make one new one: (`nb_row`, `nb_col`) -> `kernel_size`."""

    parts: tuple[str, ...]
    target: str
    how: str


@dataclass(frozen=True)
class Spec:
    """How one callable is called in both vocabularies; `self` is never counted."""

    path: str
    name: str
    modern: tuple[str, ...] = ()
    modern_required: frozenset[str] = frozenset()
    legacy: tuple[str, ...] = ()
    legacy_required: frozenset[str] = frozenset()
    # Words the target takes, by name or through **kwargs; `open`: its **kwargs take others that we do not
    # know.
    keywords: frozenset[str] = frozenset()
    open: bool = False
    rename: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gather: tuple[Gather, ...] = ()
    samples: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[tuple | None, str]] = field(default_factory=dict)
    # word -> kind of value, for the words of both vocabularies
    kinds: Mapping[str, str] = field(default_factory=dict)
    initializers: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    integers_are_kernel: bool = False
    order_by_level: bool = False
    level_decides: bool = False

    # --- derived, so that a call costs only set operations -----------------------------------------------------------
    # old words, and those of them that no Keras 2 knew; new words that Keras 1 did not know
    old: frozenset[str] = frozenset()
    only_old: frozenset[str] = frozenset()
    only_new: frozenset[str] = frozenset()
    # leading positions that mean the same in both vocabularies, and those of them whose values do too
    agreed: int = 0
    untouched: int = 0
    # whether a call without any old word may still depend on the level
    by_level: bool = False
    # names that tell Keras 2 at the first position where the orders part: Dense(32, "relu")
    telling: frozenset[str] = frozenset()
    # words that may pass as they are, and all words that may be given by name
    untouched_words: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()

    def targets(self, word: str) -> tuple[str, ...]:
        """Return the new words that `word` ends up as; nothing for a dropped or unknown one."""
        if word in self.keywords:
            return (word,)
        if word in self.rename:
            return self.rename[word]
        if word in self.samples:
            return (self.samples[word][0],)
        return tuple(gather.target for gather in self.gather if word in gather.parts)


def words(row: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Split a row of a positional table into its words and those without a default."""
    listed = row.split()
    return tuple(word.rstrip("=") for word in listed), frozenset(w for w in listed if not w.endswith("="))


def as_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def signature_of(target: Callable) -> tuple[tuple[str, ...], frozenset[str], frozenset[str], bool]:
    """Return a function's own (positional words, required ones, keyword-only ones, whether it takes
    **kwargs).

    `self` does not count.
    """
    parameters = list(inspect.signature(target).parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = frozenset(p.name for p in plain if p.default is p.empty)
    keyword_only = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    takes_others = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return tuple(p.name for p in plain), required, keyword_only, takes_others


def spec_for(path: str, target: Callable, *, is_layer: bool | None = None) -> Spec:
    """Put together the rows of `path` for `target`, the class or function that is wrapped.

    `is_layer`: whether it takes what every layer takes; by default every class of the module `layers` does.
    A word that `target` takes itself is never translated.
    """
    module, _, qualname = path.partition(":")
    if is_layer is None:
        is_layer = module == "layers" and "." not in qualname
    modern, required, keyword_only, takes_others = signature_of(target.__init__ if inspect.isclass(target) else target)
    if path in tables.V2_POSITIONAL and not modern:
        modern, required = words(tables.V2_POSITIONAL[path])
    legacy, legacy_required = words(tables.V1_POSITIONAL[path]) if path in tables.V1_POSITIONAL else ((), frozenset())

    own = frozenset(modern) | keyword_only
    through_kwargs = tables.EXTRA_KEYWORDS.get(path, frozenset()) if takes_others else frozenset()
    if is_layer and takes_others:
        through_kwargs |= tables.LAYER_KEYWORDS
    keywords = own | through_kwargs

    rename = dict(tables.RENAME.get(path, {}))
    gather = list(tables.GATHER.get(path, ()))
    dropped = dict(tables.DROPPED.get(path, {}))
    if is_layer:
        rename = tables.LAYER_RENAME | rename
        dropped = tables.LAYER_DROPPED | dropped
        if not any(target_word == "input_shape" for _, target_word, _ in gather):
            gather += tables.LAYER_GATHER
    spec = Spec(
        path=path,
        name=qualname,
        modern=modern,
        modern_required=required,
        legacy=legacy,
        legacy_required=legacy_required,
        keywords=keywords,
        # A layer's base class knows exactly the words of LAYER_KEYWORDS; it judges those of a user's own
        # layer.
        open=takes_others and (not is_layer or qualname == "Layer"),
        rename={old: _existing(as_tuple(new), keywords) for old, new in rename.items() if old not in own},
        gather=tuple(Gather(parts, new, how) for parts, new, how in gather if not own.intersection(parts)),
        samples={old: new for old, new in tables.SAMPLES.get(path, {}).items() if old not in own},
        dropped={old: row for old, row in dropped.items() if old not in own},
        kinds=tables.KINDS | tables.KINDS_OF.get(path, {}),
        initializers=tables.V1_INITIALIZERS
        | (tables.V1_INITIALIZERS_LEGACY_FANS if path in tables.LEGACY_FANS else {}),
        # A layer names what it has; an optimizer may have epsilon in its **kwargs.
        defaults={
            word: by_level
            for word, by_level in tables.DEFAULTS.get(path, {}).items()
            if word in own or (word in keywords and not is_layer)
        },
        integers_are_kernel=path in tables.INTEGERS_ARE_KERNEL,
        order_by_level=path in tables.ORDER_BY_LEVEL,
        level_decides=path in tables.LEVEL_DECIDES,
    )
    return _with_derived(spec)


def _existing(targets: tuple[str, ...], keywords: frozenset[str]) -> tuple[str, ...]:
    """Return those of several new words that the target has: kernel_format is not everywhere."""
    return tuple(word for word in targets if word in keywords) if len(targets) > 1 else targets


def _with_derived(spec: Spec) -> Spec:
    parts = frozenset(part for gather in spec.gather for part in gather.parts)
    old = frozenset(spec.rename) | frozenset(spec.samples) | frozenset(spec.dropped) | parts
    legacy_words = frozenset(spec.legacy) | old
    agreed = 0
    for before, now in zip(spec.legacy, spec.modern):
        if before not in spec.samples and spec.targets(before) == (now,) and not _is_part(spec, before):
            agreed += 1
        else:
            break
    if not spec.legacy:
        agreed = len(spec.modern)  # no row: there is nothing to tell apart
    untouched = agreed
    for position, word in enumerate(spec.legacy[:agreed]):
        if word in tables.VALUES or spec.kinds.get(word) == "pads":
            untouched = position
            break
    starts = [word for word in spec.legacy if spec.kinds.get(word) == "initializer"]
    same_word = [word for word in starts if word in spec.keywords]
    by_level = bool(
        spec.defaults
        or spec.order_by_level
        or same_word
        or spec.samples
        or any(spec.legacy.index(word) < agreed for word in starts)
    )
    parting = (spec.kinds.get(order[agreed]) for order in (spec.legacy, spec.modern) if len(order) > agreed)
    activation_tells = untouched == agreed and tuple(parting) == ("initializer", "activation")
    changes = {
        "telling": frozenset(tables.ACTIVATION_NAMES.split()) if activation_tells else frozenset(),
        "old": old,
        "only_old": old - tables.WORDS_OF_BOTH,
        "only_new": frozenset(spec.modern) - legacy_words if spec.legacy else frozenset(),
        "agreed": 0 if spec.order_by_level else agreed,
        "untouched": len(spec.modern) if spec.order_by_level else untouched,
        "by_level": by_level,
        "untouched_words": frozenset(word for word in spec.keywords if spec.kinds.get(word) != "pads"),
        "accepted": spec.keywords | old,
    }
    return Spec(**{**spec.__dict__, **changes})


def _is_part(spec: Spec, word: str) -> bool:
    return word not in spec.keywords and any(word in gather.parts for gather in spec.gather)
