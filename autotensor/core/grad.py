"""Reverse mode: walk the recipes from outputs to inputs and emit tensors.

Eager in, eager out; symbolic in, symbolic out. Each rule is written with operations, so gradients can be
differentiated again, to any order. Walks are loops with a stack: depth costs memory, never a recursion error.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from autotensor.core.state import enable_grad, no_grad, state
from autotensor.core.tensor import Node, Tensor, Variable, symbol, wrap
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


def backpropagate(
    outputs: Sequence[Tensor], seeds: Sequence[Tensor], wanted: Sequence[Tensor], create_graph: bool = True
) -> list[Tensor | None]:
    """Gradients of ``sum(outputs * seeds)`` with respect to each of ``wanted``; None where no path leads."""
    order = topological(outputs)
    wanted_ids = {id(x) for x in wanted}
    reaches = _reaching(order, wanted_ids)
    grads: dict[tuple[int, int], Tensor] = {}  # (id of node, index of output) -> gradient
    leaves: dict[int, Tensor] = {}  # id of tensor -> gradient
    keys: dict[int, tuple[int, int]] = {id(x): (id(x.node), x.index) for x in wanted if x.node is not None}

    def accumulate(x: Tensor, g: Tensor) -> None:
        if x.node is None:
            old = leaves.get(id(x))
            leaves[id(x)] = g if old is None else old + g
        else:
            key = (id(x.node), x.index)
            old = grads.get(key)
            grads[key] = g if old is None else old + g

    with enable_grad() if create_graph and state.tracking else no_grad():
        for y, seed in zip(outputs, seeds, strict=True):
            accumulate(y, seed)
        for node, outs in reversed(order):
            if id(node) not in reaches:
                continue
            g: Any
            if node.op.n_out == 1:
                g = grads.get((id(node), 0))
                if g is None:
                    continue
                out: Any = outs[0]
            else:
                g = tuple([grads.get((id(node), i)) for i in range(node.op.n_out)])
                if all(part is None for part in g):
                    continue
                out = _all_outputs(node, outs)
            needs = tuple(
                [
                    isinstance(x, Tensor)
                    and x.tracked
                    and x.dtype.kind == "f"
                    and (id(x) in wanted_ids or (x.node is not None and id(x.node) in reaches))
                    for x in node.inputs
                ]
            )
            if not any(needs):
                continue
            if not (out[0] if node.op.n_out > 1 else out).is_symbolic:
                check_versions(node)
            for x, need, gx in zip(node.inputs, needs, pull_back(node, needs, g, out), strict=True):
                if need and gx is not None:
                    accumulate(x, gx)
    return [grads.get(keys[id(x)]) if id(x) in keys else leaves.get(id(x)) for x in wanted]


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


def _reaching(order: list[tuple[Node, dict[int, Tensor]]], wanted: set[int]) -> set[int]:
    """Ids of the nodes from which a float path leads to a wanted tensor."""
    reaches: set[int] = set()
    for node, outs in order:
        for x in node.inputs:
            if isinstance(x, Tensor) and (id(x) in wanted or (x.node is not None and id(x.node) in reaches)):
                if any(t.dtype.kind == "f" for t in outs.values()):
                    reaches.add(id(node))
                break
        if any(id(t) in wanted for t in outs.values()):
            reaches.add(id(node))
    return reaches


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
            if (node.op.vjp is None and node.op.fallback is None) or all(t.dtype.kind != "f" for t in outs.values()):
                return node.op.name
    return None
