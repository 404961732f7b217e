"""Pytrees: nested dicts, lists, tuples, namedtuples, None and registered classes with values at their leaves.

All transforms take and return them. ``None`` is an empty tree; anything that is no container is a leaf.

    >>> import autotensor as at
    >>> params = {"dense": [1.0, 2.0], "bias": 3.0}
    >>> at.tree.map(lambda x: 10 * x, params)
    {'dense': [10.0, 20.0], 'bias': 30.0}
    >>> at.tree.leaves(params)
    [3.0, 1.0, 2.0]
    >>> at.tree.structure(params)
    Structure({'bias': *, 'dense': [*, *]})
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from autotensor.errors import TreeError

__all__ = ["Structure", "flatten", "leaves", "map", "paths", "register", "structure", "unflatten"]

_map = map


class Structure:
    """The form of a tree without its leaves; equal for trees of one form, whatever the order of a dict's keys.

    ``size`` is the number of leaves.
    """

    __slots__ = ("children", "keys", "kind", "make", "size")

    def __init__(self, kind: Any, keys: tuple[Any, ...], children: tuple[Structure, ...], make: Any = None):
        self.kind = kind  # the class of the container; None for a leaf
        self.keys = keys  # what stands before each child in a path, in the order of the leaves
        self.children = children
        self.make = make  # what rebuilding needs besides: the keys in their own order, a factory, static fields
        self.size: int = 1 if kind is None else sum([child.size for child in children])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure) or self.kind is not other.kind or self.keys != other.keys:
            return False
        if self.kind in _REGISTERED and self.make != other.make:
            return False
        return self.children == other.children

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def __repr__(self) -> str:
        return f"Structure({self._shown()})"

    def _shown(self) -> str:
        parts = [child._shown() for child in self.children]
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        if issubclass(self.kind, dict):
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(self.keys, parts, strict=True)) + "}"
        if self.kind is list:
            return f"[{', '.join(parts)}]"
        if self.kind is tuple:
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return f"{self.kind.__name__}({', '.join(f'{k}={part}' for k, part in zip(self.keys, parts, strict=True))})"


LEAF = Structure(None, (), ())
_NONE = Structure(type(None), (), ())

# Class -> (flatten, unflatten) with flatten(x) -> (children, names, static) and unflatten(static, children) -> x.
_REGISTERED: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {}


def register(
    cls: type,
    flatten: Callable[[Any], tuple[Sequence[Any], Any]] | None = None,
    unflatten: Callable[[Any, Sequence[Any]], Any] | None = None,
    *,
    static: Iterable[str] = (),
) -> type:
    """Make the instances of a class trees; returns the class, so it serves as a decorator.

    A dataclass needs nothing else: its fields are the children, except those named in ``static``, which belong to the
    form. For any other class ``flatten(x)`` gives ``(children, static)`` and ``unflatten(static, children)`` the
    instance; ``static`` must have ``==``.

        >>> import dataclasses
        >>> import autotensor as at
        >>> @at.tree.register
        ... @dataclasses.dataclass
        ... class Line:
        ...     slope: float
        ...     offset: float
        >>> at.grad(lambda line: line.slope * 3.0 + line.offset)(Line(1.0, 2.0))
        Line(slope=Tensor(3., dtype=float64), offset=Tensor(1., dtype=float64))
    """
    if (flatten is None) != (unflatten is None):
        raise TreeError(f"[tree] register({cls.__name__}) expected both flatten and unflatten, or neither; got one.")
    if flatten is not None and unflatten is not None:
        given = flatten

        def apart(x: Any) -> Any:
            children, rest = given(x)
            return tuple(children), tuple(range(len(children))), rest

        _REGISTERED[cls] = apart, unflatten
        return cls
    if not dataclasses.is_dataclass(cls):
        raise TreeError(
            f"[tree] {cls.__name__} is no dataclass. Decorate it, or give register() flatten and unflatten."
        )
    kept = tuple(static)
    names = [field.name for field in dataclasses.fields(cls)]
    unknown = [name for name in kept if name not in names]
    if unknown:
        raise TreeError(f"[tree] {cls.__name__} has no field {unknown[0]!r}; it has {', '.join(names)}.")
    moving = tuple([name for name in names if name not in kept])

    def fields(x: Any) -> Any:
        return tuple([getattr(x, n) for n in moving]), moving, tuple([getattr(x, n) for n in kept])

    def rebuild(rest: Any, children: Any) -> Any:
        # Not by __init__, which may convert or check what here is a placeholder or a gradient.
        out = object.__new__(cls)
        for name, value in [*zip(moving, children, strict=True), *zip(kept, rest, strict=True)]:
            object.__setattr__(out, name, value)
        return out

    _REGISTERED[cls] = fields, rebuild
    return cls


def _apart(x: Any) -> tuple[Any, tuple[Any, ...], tuple[Any, ...], Any] | None:
    """Class, keys, children and what rebuilding needs of a container; None for a leaf."""
    kind = type(x)
    if kind is tuple or kind is list:
        return kind, tuple(range(len(x))), tuple(x), None
    if kind is dict or kind is OrderedDict or kind is defaultdict:
        own = tuple(x)
        keys = own
        if kind is not OrderedDict:
            with contextlib.suppress(TypeError):
                keys = tuple(sorted(own))
        return kind, keys, tuple([x[key] for key in keys]), (own, getattr(x, "default_factory", None))
    if x is None:
        return kind, (), (), None
    if kind in _REGISTERED:
        children, keys, rest = _REGISTERED[kind][0](x)
        return kind, keys, children, rest
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return kind, x._fields, tuple(x), None
    return None


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree and its structure."""
    found: list[Any] = []
    return found, _flatten_into(tree, found)


def _flatten_into(tree: Any, found: list[Any]) -> Structure:
    parts = _apart(tree)
    if parts is None:
        found.append(tree)
        return LEAF
    kind, keys, children, make = parts
    if kind is type(None):
        return _NONE
    return Structure(kind, keys, tuple([_flatten_into(child, found) for child in children]), make)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of this structure with these leaves. Raises TreeError for another number of them."""
    given = list(leaves)
    if len(given) != structure.size:
        raise TreeError(f"[tree] {structure} has {structure.size} leaves; got {len(given)}. One for each *.")
    return _build(structure, iter(given))


def _build(structure: Structure, given: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(given)
    if kind is type(None):
        return None
    children = [_build(child, given) for child in structure.children]
    if kind is list:
        return children
    if kind is tuple:
        return tuple(children)
    if issubclass(kind, dict):
        by_key = dict(zip(structure.keys, children, strict=True))
        own, factory = structure.make
        pairs = [(key, by_key[key]) for key in own]
        return kind(factory, pairs) if kind is defaultdict else kind(pairs)
    if kind in _REGISTERED:
        return _REGISTERED[kind][1](structure.make, children)
    return kind(*children)


def structure(tree: Any) -> Structure:
    """The form of a tree."""
    return flatten(tree)[1]


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree; dicts in the order of their sorted keys."""
    return flatten(tree)[0]


def _step(kind: Any, key: Any) -> str:
    if kind in (list, tuple) or issubclass(kind, dict) or isinstance(key, int):
        return f"[{key!r}]"
    return f".{key}"


def paths(tree: Any, name: str = "") -> list[str]:
    """How each leaf is reached, as one would write it: ``params['dense'][0]`` with ``name="params"``."""
    return structure_paths(structure(tree), name)


def structure_paths(form: Structure, name: str = "") -> list[str]:
    """``paths`` of the trees of a structure."""
    if form.kind is None:
        return [name]
    return [
        path
        for key, child in zip(form.keys, form.children, strict=True)
        for path in structure_paths(child, name + _step(form.kind, key))
    ]


def map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """``f`` of each leaf, in a tree of the same form; with several trees ``f`` gets a leaf of each.

    Raises:
        TreeError: the forms differ; it names the first place.
    """
    first, form = flatten(tree)
    others = [matching(form, other, f"tree {i + 2}") for i, other in enumerate(rest)]
    return _build(form, _map(f, first, *others))


def matching(form: Structure, tree: Any, name: str = "tree") -> list[Any]:
    """Leaves of a tree that must have this form, or a deeper one: what stands at a leaf of the form is taken whole."""
    found: list[Any] = []
    _match(form, tree, name, found)
    return found


def _match(form: Structure, tree: Any, name: str, found: list[Any]) -> None:
    if form.kind is None:
        found.append(tree)
        return
    parts = _apart(tree)
    kind, keys, children = (None, (), ()) if parts is None else parts[:3]
    if kind is not form.kind and not (kind in _DICTS and form.kind in _DICTS):
        got = "a leaf" if kind is None else kind.__name__
        raise TreeError(f"[tree] expected {form._shown()} at {name}; got {got}. Both trees must have one form.")
    if keys != form.keys:
        if set(map_str(keys)) != set(map_str(form.keys)):
            raise TreeError(
                f"[tree] expected {_listed(form.keys)} at {name}; got {_listed(keys)}. Both trees must have one form."
            )
        by_key = dict(zip(keys, children, strict=True))
        children = tuple([by_key[key] for key in form.keys])
    for key, child, part in zip(form.keys, children, form.children, strict=True):
        _match(part, child, name + _step(form.kind, key), found)


_DICTS = (dict, OrderedDict, defaultdict)


def map_str(keys: Iterable[Any]) -> list[str]:
    """Keys as text, which can always be compared."""
    return [repr(key) for key in keys]


def _listed(keys: tuple[Any, ...]) -> str:
    if all([isinstance(key, int) for key in keys]):
        return f"{len(keys)} parts"
    return f"the keys {', '.join(map_str(keys)) or '(none)'}"


def spread(prefix: Any, form: Structure, name: str) -> list[Any]:
    """One value for each leaf: ``prefix`` is a tree whose leaves stand for whole subtrees. ``None`` is a leaf of it."""
    if form.kind is None or form.kind is type(None):
        return [prefix] * form.size
    if prefix is None or isinstance(prefix, (int, bool)):
        return [prefix] * form.size
    parts = _apart(prefix)
    if parts is None or (len(parts[2]) != len(form.children)) or set(map_str(parts[1])) != set(map_str(form.keys)):
        raise TreeError(
            f"[tree] expected {name} to be one value or of the form {form._shown()}; got {prefix!r}. "
            "A value stands for all leaves below its place."
        )
    by_key = dict(zip(parts[1], parts[2], strict=True))
    return [
        value
        for key, child in zip(form.keys, form.children, strict=True)
        for value in spread(by_key[key], child, name + _step(form.kind, key))
    ]
