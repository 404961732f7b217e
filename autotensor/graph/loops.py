"""Passes over loops (operations with a ``body``): join those of one step, move out what never changes, drop the unused.

They change graphs in place that nobody else sees: those of :mod:`~autotensor.graph.specialise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotensor.core.grad import topological
from autotensor.core.loop import Body
from autotensor.core.tensor import Node, Tensor, Variable, symbol

Key = tuple[int, int]  # (id of node, index of output)

_IDENTITY = "{0}"


def _key(x: Tensor) -> Any:
    return (id(x.node), x.index) if x.node is not None else id(x)


def _same(x: Any) -> Any:
    """A key that is equal for inputs which are the same in every evaluation."""
    if not isinstance(x, Tensor):
        return type(x), repr(x)
    if x.node is not None or x.data is None or isinstance(x, Variable) or x.tracked:
        return _key(x)
    return "constant", id(x.data)


def joined(nodes: Sequence[Node]) -> dict[int, tuple[Node, list[int]]]:
    """For loops that run one step on the same inputs: one loop that gives what any of them gives.

    By the id of the old node: the new one, and the position in it of each output. So the loop forward that a gradient
    asks for and the one that computed the loss are run once.
    """
    families: dict[Any, list[Node]] = {}
    for node in nodes:
        if node.op.repeats is not None:
            body = node.params["body"]
            key = id(body.inputs), body.reverse, tuple([_same(x) for x in node.inputs])
            families.setdefault(key, []).append(node)
    found: dict[int, tuple[Node, list[int]]] = {}
    for family in families.values():
        if len(family) == 1:
            continue
        first: Body = family[0].params["body"]
        outputs = list(first.outputs[: first.n_states])
        place: dict[Any, int] = {}
        places = []
        for node in family:
            body = node.params["body"]
            at = list(range(body.n_states))
            for x in body.outputs[body.n_states :]:
                k = place.setdefault(_key(x), len(outputs))
                if k == len(outputs):
                    outputs.append(x)
                at.append(k)
            places.append(at)
        body = Body(first.inputs, outputs, first.n_states, first.n_sequences, first.reverse)
        assert family[0].op.repeats is not None
        whole = Node(family[0].op.repeats(body), family[0].inputs, {**family[0].params, "body": body})
        whole.where, whole.versions = family[0].where, family[0].versions
        for node, at in zip(family, places, strict=True):
            found[id(node)] = whole, at
    return found


def hoist(body: Body, outer: Sequence[Any]) -> tuple[Body, list[Any]]:
    """Move out of a step what only depends on constants; returns the new body and its inputs.

    ``outer`` are the inputs of the loop. What costs nothing (views, broadcasts) stays where it is.
    """
    order = body.nodes()
    varies = body.varying()

    def movable(x: Any) -> bool:
        if not isinstance(x, Tensor) or x.node is None or id(x.node) in varies:
            return False
        return not (x.node.op.view or x.node.op.expr == _IDENTITY)

    stays: set[int] = set()
    moved: dict[Key, tuple[Tensor, Tensor]] = {}

    def link(x: Any) -> Any:
        if not movable(x):
            if isinstance(x, Tensor) and x.node is not None:
                stays.add(id(x.node))
            return x
        found = moved.get(_key(x))
        if found is None:
            found = moved[_key(x)] = x, symbol(x.aval)
        return found[1]

    before = {id(node): node.inputs for node in order}
    outputs = [link(x) for x in body.outputs]
    for node in reversed(order):
        if id(node) in stays:
            node.inputs = tuple([link(x) for x in node.inputs])
    if not moved:
        return body, list(outer)
    wholes: dict[Any, Any] = {id(x): whole for x, whole in zip(body.inputs, outer, strict=True)}
    for node in order:
        if id(node) in varies:
            continue
        inputs = tuple([wholes.get(_key(x), x) if isinstance(x, Tensor) else x for x in before[id(node)]])
        if id(node) in stays:  # a view that both sides read
            twin = Node(node.op, inputs, node.params)
            twin.avals, twin.where = node.avals, node.where
            assert twin.avals is not None
            wholes.update({(id(node), i): symbol(aval, twin, i) for i, aval in enumerate(twin.avals)})
        else:
            node.inputs = inputs
    found = list(moved.values())
    new = Body((*body.inputs, *[x for _, x in found]), outputs, body.n_states, body.n_sequences, body.reverse)
    return new, [*outer, *[x for x, _ in found]]


def prune(roots: Sequence[Tensor]) -> None:
    """Take out of loops what nothing reads: outputs, states, and the inputs that only they needed."""
    order = [node for node, _ in topological(roots)]
    if not any(node.op.repeats is not None for node in order):
        return
    tensors: dict[int, dict[int, Tensor]] = {}  # of each node that is a loop, by id of the tensor
    for x in [*roots, *[x for node in order for x in node.inputs]]:
        if isinstance(x, Tensor) and x.node is not None and x.node.op.repeats is not None:
            tensors.setdefault(id(x.node), {})[id(x)] = x
    used: dict[int, set[int]] = {}
    for x in roots:
        if x.node is not None:
            used.setdefault(id(x.node), set()).add(x.index)
    for node in reversed(order):
        indices = used.get(id(node))
        if indices is None:
            continue
        if node.op.repeats is not None:
            kept = _pruned(node, indices)
            for x in tensors[id(node)].values():
                if x.index in kept:
                    x.index = kept[x.index]
        for x in node.inputs:
            if isinstance(x, Tensor) and x.node is not None:
                used.setdefault(id(x.node), set()).add(x.index)


def _pruned(node: Node, used: set[int]) -> dict[int, int]:
    """Rewrite a loop for the outputs in use; returns the new number of each output that is left."""
    body: Body = node.params["body"]
    n = body.n_states
    stop = {id(x) for x in body.inputs}
    position = {id(x): k for k, x in enumerate(body.inputs)}
    reached: set[int] = set()  # inputs that are needed
    done: set[int] = set()
    waiting = sorted(used)
    while waiting:
        k = waiting.pop()
        if k in done:
            continue
        done.add(k)
        if k < n:
            reached.add(k)
        tops = [body.outputs[k]]
        for x in [*tops, *[x for inner, _ in topological(tops, stop) for x in inner.inputs]]:
            found = position.get(id(x)) if isinstance(x, Tensor) else None
            if found is not None and found not in reached:
                reached.add(found)
                if found < n:
                    waiting.append(found)
    if not any(n <= k < n + body.n_sequences for k in reached):
        reached.add(n)  # a loop needs to know its length
    kept = sorted({k for k in reached if k < n} | {k for k in used if k >= n})
    if len(reached) == len(body.inputs) and len(kept) == len(body.outputs):
        return {k: k for k in kept}
    inputs = sorted(reached)
    new = Body(
        tuple([body.inputs[k] for k in inputs]),
        [body.outputs[k] for k in kept],
        sum(k < n for k in inputs),
        sum(n <= k < n + body.n_sequences for k in inputs),
        body.reverse,
    )
    assert node.op.repeats is not None and node.avals is not None
    node.inputs = tuple([node.inputs[k] for k in inputs])
    node.avals = tuple([node.avals[k] for k in kept])
    node.params = {**node.params, "body": new}
    node.op = node.op.repeats(new)
    return {k: i for i, k in enumerate(kept)}
