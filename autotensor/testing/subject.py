"""What is checked: a function with its inputs, or an object with Variables, as a function of a list of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autotensor as at
from autotensor import Tensor, Variable
from autotensor.core.grad import topological
from autotensor.errors import GradError

Leaves = list[Tensor]


class Subject:
    """A function with its constants filled in: from a list of arrays to its outputs and the leaves they follow from.

    Floating inputs become float64 leaves, complex ones complex128; whatever else stands among the inputs is passed on
    as it is. Variables are perturbed through a buffer in double precision that they hold only inside ``held()``.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        inputs: Sequence[Any],
        wrt: Sequence[Variable] | Mapping[str, Variable] | str | None,
        notes: list[str],
    ):
        self.f = f
        self.notes = notes
        self.names: list[str] = []
        self.start: list[np.ndarray] = []
        # An argument is a tree, whose leaves are tensors or anything else.
        trees = [np.asarray(x) if _is_array(x) else x for x in inputs]
        self._values, self._form = at.tree.flatten(trees)
        self._places: list[int] = []
        names = [name for i, x in enumerate(trees) for name in at.tree.paths(x, str(i))]
        for place, (name, value) in enumerate(zip(names, self._values)):
            self._add_input(place, name, value)
        self.variables: list[Variable] = []
        self._everything = wrt == "all"
        if wrt is None:
            # A module brings its own; a plain function says what it reads.
            wrt = {} if _is_plain(f) else variables_of(f)
            if not wrt and not _is_plain(f):  # it may make them in its first call
                f(*inputs)
                wrt = variables_of(f)
        if not isinstance(wrt, str):
            self._add_variables(wrt)
        elif wrt != "all":
            raise TypeError(f"[check_grad] expected wrt as Variables, or 'all'; got {wrt!r}. Use wrt='all'?")

    def _add_input(self, place: int, name: str, value: Any) -> None:
        is_tensor = isinstance(value, Tensor)
        array = np.asarray(value.numpy() if is_tensor else value)
        if array.dtype.kind not in "fc":
            return
        name = (value.name if is_tensor else None) or name
        wide = np.dtype(np.complex128 if array.dtype.kind == "c" else np.float64)
        if array.dtype != wide:
            self.notes.append(f"input {name} was converted from {array.dtype} to {wide}")
        self._places.append(place)
        self.names.append(name)
        self.start.append(array.astype(wide))

    def _add_variables(self, wrt: Sequence[Variable] | Mapping[str, Variable]) -> None:
        converted = 0
        named = wrt.items() if isinstance(wrt, Mapping) else [(v.name or f"wrt[{k}]", v) for k, v in enumerate(wrt)]
        for name, variable in named:
            if not isinstance(variable, Variable) or variable.dtype.kind not in "fc":
                raise TypeError(
                    f"[check_grad] wrt takes floating Variables; {name!r} is {variable!r}. Pass other values as inputs?"
                )
            if any(variable is known for known in self.variables):
                continue
            wide = np.complex128 if variable.dtype.kind == "c" else np.float64
            converted += variable.dtype != wide
            self.variables.append(variable)
            self.names.append(name)
            self.start.append(variable.numpy().astype(wide))
        if converted:
            self.notes.append(f"{converted} of {len(self.variables)} Variables were in double precision for the check")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lend the Variables double precision; on leaving they are what they were, whatever happened."""
        if self._everything:
            self._find_variables()
        kept = [(variable, variable.data, variable.version) for variable in self.variables]
        try:
            yield
        finally:
            for variable, data, version in kept:
                variable.data = data
                variable.version = version

    def _find_variables(self) -> None:
        outs, _ = self.run(self.start)
        self._add_variables(_named_apart(_read_by(outs)))

    def run(self, values: Sequence[np.ndarray]) -> tuple[list[Tensor], Leaves]:
        """Floating outputs, and the leaves they depend on, at ``values``."""
        n = len(values) - len(self.variables)
        leaves = [leaf(value) for value in values[:n]]
        for variable, value in zip(self.variables, values[n:]):
            # A buffer of its own each time: what was recorded at other values must not be taken for this.
            variable.data = np.array(value)
            variable.version += 1
        outs = self.outputs(leaves)
        for name, x in zip(self.names, leaves):
            if x.version or x.node is not None:
                raise GradError(
                    f"[check_grad] expected a function that leaves its inputs as they are; input {name!r} was written "
                    "in place, and is no longer what the result was computed from. Write to at.copy(x)."
                )
        return outs, leaves + list(self.variables)

    def outputs(self, given: Sequence[Any]) -> list[Tensor]:
        """Floating outputs of ``f`` for the inputs that are differentiated by; the Variables as they are."""
        values = list(self._values)
        for place, x in zip(self._places, given):
            values[place] = x
        parts = at.tree.leaves(self.f(*at.tree.unflatten(self._form, values)))
        for part in parts:
            if not isinstance(part, Tensor):
                raise TypeError(
                    f"[check_grad] f must return tensors; got {type(part).__name__}. Use at.* functions all the way?"
                )
        return [part for part in parts if part.dtype.kind in "fc"]

    def unchecked(self, outs: Sequence[Tensor]) -> list[str]:
        """A note on trainable Variables that the outputs follow and nobody asked for."""
        found = [v for v in _read_by(outs) if v.trainable and not any(v is known for known in self.variables)]
        shown = ", ".join(v.name or f"one of shape {v.shape}" for v in found[:3])
        return [f"the result follows Variables that were not checked ({shown}): wrt='all' takes them"] if found else []


def leaf(value: np.ndarray) -> Tensor:
    """A tracked tensor with a copy of the value."""
    return Tensor(value, requires_grad=True)


def _read_by(outs: Sequence[Tensor]) -> list[Variable]:
    """Floating Variables that the recipes of ``outs`` lead to, in the order they are read."""
    found: dict[int, Variable] = {}
    for node, _ in topological(list(outs)):
        for x in node.inputs:
            if isinstance(x, Variable) and x.dtype.kind in "fc":
                found.setdefault(id(x), x)
    for x in outs:
        if isinstance(x, Variable):
            found.setdefault(id(x), x)
    return list(found.values())


def _named_apart(variables: Sequence[Variable]) -> dict[str, Variable]:
    named: dict[str, Variable] = {}
    for k, variable in enumerate(variables):
        name = variable.name or f"variable {k}"
        named[name if name not in named else f"{name} ({k})"] = variable
    return named


# -- objects


def _is_plain(f: Any) -> bool:
    """True for functions, built-in ones and operations: what holds no Variables of its own."""
    return hasattr(f, "__code__") or not hasattr(f, "__dict__")


def variables_of(module: Any) -> dict[str, Variable]:
    """The floating Variables that an object holds, by the path of attributes and items that leads to each.

    An object that lists its ``trainable_weights`` is asked for those. Bound methods stand for their object. Attributes
    are searched with what is in lists, tuples, dictionaries and objects inside; each Variable comes once.
    """
    module = getattr(module, "__self__", module)
    listed = getattr(module, "trainable_weights", None)
    if isinstance(listed, (list, tuple)):
        return _named_apart([v for v in listed if isinstance(v, Variable) and v.dtype.kind in "fc"])
    found: dict[str, Variable] = {}
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [("", module)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Variable):
            if value.trainable and value.dtype.kind in "fc":
                found[path] = value
        elif isinstance(value, Mapping):
            stack += [(f"{path}[{key!r}]", item) for key, item in reversed(list(value.items()))]
        elif isinstance(value, (list, tuple)):
            stack += [(f"{path}[{i}]", item) for i, item in reversed(list(enumerate(value)))]
        elif hasattr(value, "__dict__") and not isinstance(value, (type, Tensor)) and not hasattr(value, "__code__"):
            attributes = reversed(list(vars(value).items()))
            stack += [(f"{path}.{name}" if path else name, item) for name, item in attributes]
    return found


def _is_array(value: Any) -> bool:
    """True for nested lists of numbers: an array, not a container."""
    return isinstance(value, list) and all(
        _is_array(x) if isinstance(x, list) else isinstance(x, (int, float, complex, np.number)) for x in value
    )


def evaluated(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Values of the tensors; those that follow deferred Variables are evaluated by the interpreter."""
    if any(t.is_symbolic for t in tensors):
        return at.evaluate(list(tensors))
    return [t.numpy() for t in tensors]
