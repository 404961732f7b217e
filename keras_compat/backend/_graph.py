"""Graphs as a whole: what is below a tensor, other tensors in it, gradients, pending changes of variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._tensors import as_tensor, cast


def below(outputs: Iterable[Any]) -> Iterator[Any]:
    """Every tensor that the outputs depend on, themselves included, in no order."""
    stack = [x for x in outputs if isinstance(x, at.Tensor)]
    seen: set[int] = set()
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        yield x
        if x.node is not None:
            stack.extend([y for y in x.node.inputs if isinstance(y, at.Tensor)])


def replace(outputs: Sequence[Any], replacements: Mapping[Any, Any]) -> list[Any]:
    """Build the graphs of ``outputs`` again with other tensors in the place of some: ``{old: new}``."""
    made: dict[int, Any] = {id(old): new for old, new in replacements.items()}
    parts: dict[int, Any] = {}  # id of a node -> its outputs, made again
    for root in outputs:
        stack = [root]
        while stack:
            x = stack[-1]
            if id(x) in made or not isinstance(x, at.Tensor) or x.node is None:
                stack.pop()
                continue
            node = x.node
            missing = [y for y in node.inputs if isinstance(y, at.Tensor) and id(y) not in made and y.node is not None]
            if missing and id(node) not in parts:
                stack.extend(missing)
                continue
            if id(node) not in parts:
                inputs = [made.get(id(y), y) for y in node.inputs]
                # What no replacement reaches stays the very same tensor, so that nothing is computed twice.
                same = all(new is old for new, old in zip(inputs, node.inputs))
                parts[id(node)] = None if same else node.op(*inputs, **node.params)
            again = parts[id(node)]
            made[id(x)] = x if again is None else again[x.index] if isinstance(again, tuple) else again
            stack.pop()
    return [made.get(id(x), x) for x in outputs]


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Gradients of a tensor (of its sum, unless a scalar) with respect to tensors; None where no path leads."""
    wanted = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    losses = loss if isinstance(loss, (list, tuple)) else [loss]
    total: Any = None
    for one in losses:
        one = at.sum(as_tensor(one)) if one.ndim else one
        total = one if total is None else total + one
    return list(at.gradients(total, wanted))


def stop_gradient(variables: Any) -> Any:
    """The tensor (or each of a list) as a constant for gradients."""
    if isinstance(variables, (list, tuple)):
        return [at.stop_gradient(as_tensor(x)) for x in variables]
    return at.stop_gradient(as_tensor(variables))


class Update(tuple):
    """A pending change of a variable: the pair ``(variable, new value)``. :func:`eval` runs it."""

    __slots__ = ()

    def __new__(cls, variable: Any, value: Any) -> Update:
        if not isinstance(variable, at.Variable):
            raise TypeError(
                f"[update] expected a variable first; got {type(variable).__name__}. Make it with K.variable()."
            )
        if not isinstance(value, at.Tensor):
            value = at.asarray(np.full(variable.numpy().shape, value, dtype=variable.dtype))
        return super().__new__(cls, (variable, cast(value, variable.dtype)))

    @property
    def variable(self) -> Any:
        """The variable to change."""
        return self[0]

    @property
    def value(self) -> Any:
        """Its new value."""
        return self[1]


class Change(Update):
    """An update that changes a variable from whatever it is: a second one of the same variable goes on from it."""

    __slots__ = ()


def update(x: Any, new_x: Any) -> Update:
    """The change of variable ``x`` to ``new_x``, to be run by :func:`eval` or a :func:`function`."""
    return Update(x, new_x)


def update_add(x: Any, increment: Any) -> Update:
    """The change of variable ``x`` by ``+ increment``."""
    return Change(x, x + increment)


def update_sub(x: Any, decrement: Any) -> Update:
    """The change of variable ``x`` by ``- decrement``."""
    return Change(x, x - decrement)


def as_updates(updates: Any) -> list[Update]:
    """Updates from what programs give: one or nested lists of :class:`Update` and pairs; None counts for nothing."""
    if updates is None:
        return []
    if isinstance(updates, Update):
        return [updates, *getattr(updates.value, "_attached_updates", ())]
    if isinstance(updates, Mapping):
        return [Update(variable, value) for variable, value in updates.items()]
    if isinstance(updates, tuple) and len(updates) == 2 and isinstance(updates[0], at.Variable):
        return [Update(*updates)]
    if isinstance(updates, (list, tuple)):
        return [one for part in updates for one in as_updates(part)]
    if isinstance(updates, at.Tensor):
        return []  # the result of an update that something else has run, such as an assignment
    raise TypeError(
        f"[updates] expected results of K.update or pairs (variable, new value); got {type(updates).__name__}. "
        "Use K.update(variable, value)."
    )


def unique_updates(updates: Iterable[Any]) -> list[Update]:
    """One update for each variable.

    What is listed twice counts once. A layer that is called several times changes its state several times: increments
    and moving averages follow each other in this order; of other new values the last one counts, as on TensorFlow.
    """
    seen: set[tuple[int, int]] = set()
    found: dict[int, Update] = {}
    for one in updates:
        variable, value = one
        if (id(variable), id(value)) in seen:
            continue
        seen.add((id(variable), id(value)))
        before = found.get(id(variable))
        if before is not None and isinstance(one, Change):
            one = Change(variable, replace([value], {variable: before[1]})[0])
        found[id(variable)] = one
    return list(found.values())
