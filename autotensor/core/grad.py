"""Reverse mode: walk the recipes from outputs to inputs and emit tensors.

Eager in, eager out; symbolic in, symbolic out. Each rule is written with operations, so gradients can be
differentiated again, to any order. Walks are loops with a stack: depth costs memory, never a recursion error.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from autotensor.core.state import enable_grad, immediate, set_tracking, state
from autotensor.core.tensor import TENSOR_TYPES, Node, Tensor, Variable, symbol, wrap
from autotensor.errors import GradError


def topological(outputs: Sequence[Tensor], stop: set[int] | None = None) -> list[tuple[Node, dict[int, Tensor]]]:
    """Nodes under ``outputs``, inputs before users, each with those of its output tensors that are in use.

    Tensors whose id is in ``stop`` are taken as leaves.
    """
    stop = stop or set()
    used: dict[int, dict[int, Tensor]] = {}
    order: list[tuple[Node, dict[int, Tensor]]] = []
    state_of: dict[int, int] = {}  # 1 on the stack, 2 done
    for root in outputs:
        if root.node is None or id(root) in stop:
            continue
        stack: list[tuple[Node, int]] = []
        used.setdefault(id(root.node), {}).setdefault(root.index, root)
        if id(root.node) not in state_of:
            state_of[id(root.node)] = 1
            stack.append((root.node, 0))
        while stack:
            node, k = stack.pop()
            inputs = node.inputs
            pushed = False
            while k < len(inputs):
                x = inputs[k]
                k += 1
                if isinstance(x, Tensor) and x.node is not None and id(x) not in stop:
                    used.setdefault(id(x.node), {}).setdefault(x.index, x)
                    known = state_of.get(id(x.node))
                    if known is None:
                        state_of[id(x.node)] = 1
                        stack.append((node, k))
                        stack.append((x.node, 0))
                        pushed = True
                        break
                    if known == 1:  # a recipe only follows itself when a tensor in it was overwritten
                        raise GradError(
                            f"[{node.op.name}] expected input {k - 1} as it was when recorded; the tensor of shape "
                            f"{x.shape} was overwritten in place with what had been computed from it. Write to a copy."
                        )
            if not pushed:
                state_of[id(node)] = 2
                order.append((node, used[id(node)]))
    return order


_State = type(state)  # `watch` stands on the class
_ndarray = np.ndarray

Needs = dict[Node, tuple[bool, ...]]


class Walk:
    """What lies under some outputs: recipes, inputs before users, an output tensor of each, and the tracked leaves."""

    __slots__ = ("leaves", "order", "outs")

    def __init__(self) -> None:
        self.order: list[Node] = []
        self.outs: dict[Node, Tensor] = {}
        self.leaves: dict[int, Tensor] = {}


def walk(outputs: Sequence[Tensor], stop: Container[int] = ()) -> Walk:
    """The recipes under ``outputs``, in the order of ``topological``. Tensors whose id is in ``stop`` are leaves."""
    found = Walk()
    order, outs, leaves = found.order, found.outs, found.leaves
    done: set[Node] = set()
    for root in outputs:
        if root.node is None or (stop and id(root) in stop):
            if root.tracked:
                leaves[id(root)] = root
            continue
        if root.node in done:
            continue
        outs[root.node] = root
        stack = [root.node]
        entered: set[Node] = set()
        while stack:
            node = stack[-1]
            if node in entered:  # what it needs is in order by now
                stack.pop()
                if node not in done:
                    done.add(node)
                    order.append(node)
                continue
            entered.add(node)
            for x in reversed(node.inputs):
                if type(x) in TENSOR_TYPES:
                    inner = x.node
                    if inner is None or (stop and id(x) in stop):
                        if x.tracked:
                            leaves[id(x)] = x
                    elif inner not in done:
                        if inner in entered:
                            raise _overwritten(node, x)
                        outs[inner] = x
                        stack.append(inner)
    return found


def _overwritten(node: Node, x: Tensor) -> GradError:
    """A recipe only follows itself when a tensor in it was overwritten."""
    place = next(i for i, given in enumerate(node.inputs) if given is x)
    return GradError(
        f"[{node.op.name}] expected input {place} as it was when recorded; the tensor of shape {x.shape} was "
        "overwritten in place with what had been computed from it. Write to a copy."
    )


def backpropagate(
    outputs: Sequence[Tensor],
    seeds: Sequence[Tensor],
    wanted: Sequence[Tensor],
    create_graph: bool = True,
    walked: Walk | None = None,
) -> list[Tensor | None]:
    """Gradients of ``sum(outputs * seeds)`` with respect to each of ``wanted``; None where no path leads.

    ``walked``: what ``walk(outputs)`` gave, from who has it already.
    """
    found = walk(outputs) if walked is None else walked
    # A gradient is kept under its node, or the id of its leaf; for further outputs of a node under (node, index).
    keys: list[Any] = []
    ends: set[int] = set()
    kept: set[Node] = set()
    for x in wanted:
        keys.append(_key(x))
        if x.node is not None:
            kept.add(x.node)
        elif (x.aval if x.data is None else x.data).dtype.kind in "fc":
            ends.add(id(x))
    needs_of = _needs(found, ends, kept)
    mode = state.mode
    if (mode == 1 or (mode == 2 and not create_graph)) and _State.watch is None:
        arrays = _by_arrays(found, needs_of, kept, outputs, seeds)
        if arrays is not None:
            return [wrap(arrays[key]) if key in arrays else None for key in keys]
    before = state.tracking
    set_tracking(create_graph and before)
    try:
        # Values that deferred Variables took part in: their gradients are values, too.
        values = not any([y.waits for y in outputs]) and any([x.deferred for x in found.leaves.values()])
        with immediate() if values else nullcontext():
            grads = _by_tensors(found, needs_of, kept, outputs, seeds)
    finally:
        set_tracking(before)
    return _distinct([grads.get(key) for key in keys], seeds)


def _by_tensors(
    found: Walk, needs_of: Needs, kept: set[Node], outputs: Sequence[Tensor], seeds: Sequence[Tensor]
) -> dict[Any, Tensor]:
    """The walk backward, in operations: recorded, symbolic, or watched."""
    grads: dict[Any, Tensor] = {}
    outs = found.outs
    watched = state.watch is not None
    for y, seed in zip(outputs, seeds, strict=True):
        _accumulate(grads, _key(y), seed)
    for node in reversed(found.order):
        needs = needs_of.get(node)
        if needs is None:
            continue
        op = node.op
        take = grads.get if node in kept else grads.pop
        g: Any = take(node, None)
        out: Any = outs[node]
        if op.n_out == 1:
            if g is None:
                continue
            symbolic = out.data is None
        else:
            g = (g, *[take((node, i), None) for i in range(1, op.n_out)])
            if all([part is None for part in g]):
                continue
            out = _all_outputs(node, {out.index: out})
            symbolic = out[0].data is None
        if not symbolic:
            check_versions(node)
        if not (symbolic or watched):
            _pull_and_add(grads, node, needs, g, out)
            continue
        before = state.pulling
        state.pulling = before or node  # of walks within each other the outermost
        try:
            _pull_and_add(grads, node, needs, g, out)
        finally:
            state.pulling = before
    return grads


def _pull_and_add(grads: dict[Any, Tensor], node: Node, needs: tuple[bool, ...], g: Any, out: Any) -> None:
    for x, need, gx in zip(node.inputs, needs, pull_back(node, needs, g, out), strict=True):
        if need and gx is not None:
            _accumulate(grads, _key(x), gx)


def _by_arrays(
    found: Walk, needs_of: Needs, kept: set[Node], outputs: Sequence[Tensor], seeds: Sequence[Tensor]
) -> dict[Any, np.ndarray] | None:
    """The same walk on arrays, where nothing is recorded and nobody looks on; None if something has no value.

    Rules that take arrays get them (``Op.vjp_takes_arrays``); sums are made in place once they are the walk's own.
    """
    grads: dict[Any, Any] = {}
    own: set[Any] = set()  # keys of arrays that nothing else refers to
    outs = found.outs
    for y, seed in zip(outputs, seeds, strict=True):
        if y.data is None or seed.data is None:
            return None
        _add(grads, _key(y), seed.data, own)
    for node in reversed(found.order):
        needs = needs_of.get(node)
        if needs is None:
            continue
        op = node.op
        take = grads.get if node in kept else grads.pop
        g = take(node, None)
        if op.n_out == 1:
            if g is None:
                continue
        else:
            g = (g, *[take((node, i), None) for i in range(1, op.n_out)])
            if all([part is None for part in g]):
                continue
        inputs = node.inputs
        versions = node.versions
        arrays = []
        for x in inputs:
            if type(x) in TENSOR_TYPES:
                if x.version or versions is not None:
                    check_versions(node)
                arrays.append(x.data)
            else:
                arrays.append(x)
        if op.vjp_takes_arrays:
            if op.vjp_into is not None:
                x = inputs[0]
                key = x.node
                if key is None:
                    key = id(x)
                elif x.index:
                    key = (key, x.index)
                if key in own:
                    op.vjp_into(grads[key], g, *arrays, **node.params)
                    continue
                if key not in grads:
                    own.add(key)
            pulled = op.vjp(needs, g, outs[node].data, *arrays, **node.params)  # type: ignore[misc]
        else:
            out: Any = outs[node]
            if op.n_out == 1:
                g = wrap(g)  # type: ignore[arg-type]
            else:
                g = tuple([None if part is None else wrap(part) for part in g])
                out = _all_outputs(node, {out.index: out})
            before = state.tracking
            set_tracking(False)
            try:
                pulled = pull_back(node, needs, g, out)
            finally:
                set_tracking(before)
        for x, need, gx in zip(inputs, needs, pulled, strict=True):
            if need and gx is not None:
                if type(gx) is not _ndarray:
                    gx = gx.data if isinstance(gx, Tensor) else np.asarray(gx)
                    if gx is None:
                        return None
                key = x.node
                if key is None:
                    key = id(x)
                elif x.index:
                    key = (key, x.index)
                if key in grads:
                    _add(grads, key, gx, own)
                else:
                    grads[key] = gx
    return grads


def _key(x: Tensor) -> Any:
    """Where the gradient of ``x`` is kept."""
    return id(x) if x.node is None else (x.node, x.index) if x.index else x.node


def _accumulate(grads: dict[Any, Tensor], key: Any, g: Tensor) -> None:
    old = grads.get(key)
    grads[key] = g if old is None else old + g


def _add(grads: dict[Any, np.ndarray], key: Any, g: np.ndarray, own: set[Any]) -> None:
    """Add ``g`` to what is there: in place where that is the walk's own."""
    old = grads.get(key)
    if old is None:
        grads[key] = g
    elif key in own and old.shape == g.shape and old.dtype == g.dtype:
        np.add(old, g, old)
    else:
        own.add(key)
        grads[key] = np.asarray(old + g)


def _needs(found: Walk, ends: set[int], kept: set[Node]) -> Needs:
    """Of each recipe from which a float path leads to a wanted tensor: which inputs lie on one."""
    needs_of: dict[Node, tuple[bool, ...]] = {}
    outs = found.outs
    for node in found.order:
        needs = []
        some = False
        for x in node.inputs:
            need = False
            if type(x) in TENSOR_TYPES and x.tracked:
                inner = x.node
                if inner is None:
                    need = id(x) in ends
                elif inner in needs_of or inner in kept:
                    need = inner.op.n_out == 1 or x.dtype.kind in "fc"
                if need:
                    some = True
            needs.append(need)
        if some:
            out = outs[node]
            if node.op.n_out > 1 or (out.aval if out.data is None else out.data).dtype.kind in "fc":
                needs_of[node] = tuple(needs)
    return needs_of


def _distinct(found: list[Tensor | None], seeds: Sequence[Tensor]) -> list[Tensor | None]:
    """Results that are tensors of their own: a write to one shows in no other, nor in a seed."""
    seen = {id(seed) for seed in seeds}
    for i, g in enumerate(found):
        if g is not None and g.data is not None:
            if id(g) in seen and not (g.tracked and g.node is None):
                alias = wrap(g.data)
                alias.node, alias.index, alias.tracked = g.node, g.index, g.tracked
                found[i] = g = alias
            seen.add(id(g))
    return found


def pull_back(node: Node, needs: tuple[bool, ...], g: Any, out: Any) -> Sequence[Any]:
    """Gradients of the inputs of one node, by its rule or through its fallback."""
    op = node.op
    if op.vjp is not None:
        return op.vjp(needs, g, out, *node.inputs, **node.params)
    if op.fallback is not None:
        return through_fallback(node, needs, g)
    return [None] * len(node.inputs)


def through_fallback(node: Node, needs: tuple[bool, ...], g: Any) -> list[Any]:
    # The inputs are re-entered as fresh leaves, so that the walk stops at this node.
    inputs = [_leaf(x) if need else x for x, need in zip(node.inputs, needs, strict=True)]
    assert node.op.fallback is not None
    with enable_grad():
        outs = node.op.fallback(*inputs, **node.params)
    outs = outs if isinstance(outs, tuple) else (outs,)
    gs = g if isinstance(g, tuple) else (g,)
    pairs = [(o, s, _leaf(s)) for o, s in zip(outs, gs, strict=True) if s is not None and o.tracked]
    wanted = [x for x, need in zip(inputs, needs, strict=True) if need]
    found = backpropagate([o for o, _, _ in pairs], [leaf for _, _, leaf in pairs], wanted)
    links = {id(leaf): x for leaf, x, need in zip(inputs, node.inputs, needs, strict=True) if need}
    links.update({id(leaf): s for _, s, leaf in pairs})
    found = relink(found, links)
    given = iter(found)
    return [next(given) if need else None for need in needs]


def _leaf(x: Tensor) -> Tensor:
    leaf = symbol(x.aval) if x.data is None else wrap(x.data)
    leaf.tracked = True
    return leaf


def relink(tensors: Sequence[Tensor | None], links: dict[int, Tensor]) -> list[Tensor | None]:
    """Put the tensors of ``links`` in the place of the leaves with those ids, in the recipes under ``tensors``.

    The recipes were made for this purpose and are seen by nobody else, so they are changed in place.
    """
    out: list[Tensor | None] = [links.get(id(t), t) if t is not None else None for t in tensors]
    for node, _ in topological([t for t in out if t is not None], stop={id(x) for x in links.values()}):
        if any(id(x) in links for x in node.inputs):
            node.inputs = tuple([links.get(id(x), x) for x in node.inputs])
    return out


def _all_outputs(node: Node, outs: dict[int, Tensor]) -> tuple[Tensor, ...]:
    """Every output of a node; those nobody held are made again."""
    result = []
    for i in range(node.op.n_out):
        t = outs.get(i)
        if t is None:
            if node.values is not None:
                t = wrap(node.values[i])
                t.node, t.index, t.tracked = node, i, True
            else:
                assert node.avals is not None
                t = symbol(node.avals[i], node, i)
        result.append(t)
    return tuple(result)


def check_versions(node: Node, given: Container[int] | None = None) -> None:
    """Raise GradError if an input was written since the node was recorded.

    A graph that is evaluated, not differentiated, passes the ids of the tensors whose values it replaces. There
    Variables may change too: graphs follow them.
    """
    saved = node.versions
    for i, x in enumerate(node.inputs):
        if isinstance(x, Tensor) and x.data is not None and x.version != (saved[i] if saved else 0):
            if given is not None and (isinstance(x, Variable) or id(x) in given):
                continue
            where = f" (recorded at {node.where})" if node.where else ""
            what = f"{type(x).__name__} {x.name!r}" if x.name else f"the {type(x).__name__} of shape {x.shape}"
            raise GradError(
                f"[{node.op.name}] expected input {i} as it was when recorded{where}; {what} was overwritten in place "
                "since. Take the gradient before the write, or write to a copy."
            )


def blocking_op(output: Tensor, x: Tensor) -> str | None:
    """Name of an operation without a gradient between ``x`` and ``output``, for the error message."""
    order = topological([output])
    behind: set[int] = set()
    for node, outs in order:
        tensors = [i for i in node.inputs if isinstance(i, Tensor)]
        if any(i is x or (i.node is not None and id(i.node) in behind) for i in tensors):
            behind.add(id(node))
            ruled = node.op.vjp is not None or node.op.fallback is not None
            if not ruled or all(t.dtype.kind not in "fc" for t in outs.values()):
                return node.op.name
    return None
