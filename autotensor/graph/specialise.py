"""Replay a graph on concrete shapes: substitution, constant folding, common subexpressions, lowering. Pure.

The result is a graph again (tensors with recipes) in which every shape is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import shape_of
from autotensor.core.grad import check_versions, topological
from autotensor.core.loop import Body
from autotensor.core.op import operand_aval
from autotensor.core.state import state
from autotensor.core.tensor import Node, Tensor, Variable, symbol, wrap
from autotensor.errors import GraphError
from autotensor.graph.loops import hoist, joined, prune

# A constant is not folded when that would make an array much larger than what it is made of (a broadcast zero).
_FOLD_LIMIT = 16
# Constants up to this size are the same when their values are.
_SMALL = 16


# Expression of an operation that changes no value: it broadcasts, or only means something to gradients.
_IDENTITY = "{0}"


def _is_identity(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node is not None and x.node.op.expr == _IDENTITY


def _source(x: Any) -> Any:
    while _is_identity(x):
        x = x.node.inputs[0]
    return x


def is_constant(x: Any) -> bool:
    """A Python number, or a tensor whose value cannot change."""
    return not isinstance(x, Tensor) or (x.data is not None and x.node is None and not isinstance(x, Variable))


class _Specialiser:
    def __init__(self, leaves: dict[int, Tensor]):
        self.leaves = leaves
        self.done: dict[tuple[int, int], Tensor] = {}
        self.merged: dict[Any, tuple[Tensor, ...]] = {}
        self.joined: dict[int, tuple[Node, list[int]]] = {}  # loops that another one does the work of
        self.loops: dict[Any, tuple[Node, tuple[Any, ...]]] = {}
        self.alive: list[Any] = []  # ids are keys: nothing may be freed, or an id could come back

    def tensor(self, x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        leaf = self.leaves.get(id(x))
        if leaf is not None:
            return leaf
        if x.node is None:
            if x.data is None:
                known = x.name or x.aval
                raise GraphError(
                    f"[function] the outputs depend on placeholder {known!r}, which is not among the inputs. "
                    "Add it to inputs, or give it a value in givens."
                )
            return x
        return self.done[id(x.node), x.index]

    def run(self, outputs: Sequence[Tensor], stop: set[int]) -> None:
        nodes = [node for node, _ in topological(outputs, stop)]
        self.joined.update(joined(nodes))
        for node in nodes:
            if (id(node), 0) not in self.done:
                self.node(node)

    def node(self, node: Node) -> None:
        self.alive.append(node)
        if id(node) in self.joined:
            whole, places = self.joined[id(node)]
            if (id(whole), 0) not in self.done:
                self.node(whole)
            for i, k in enumerate(places):
                self.done[id(node), i] = self.done[id(whole), k]
            return
        check_versions(node, self.leaves)
        inputs = tuple([self.tensor(x) for x in node.inputs])
        for i, out in enumerate(self.outputs(node, inputs)):
            self.done[id(node), i] = out

    def outputs(self, node: Node, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
        if node.op.repeats is not None:
            node, inputs = self.loop(node, inputs)
        op = node.op
        avals = op.infer(*[operand_aval(x) for x in inputs], **node.params)
        if op.expr == _IDENTITY and isinstance(inputs[0], Tensor) and inputs[0].aval == avals:
            return inputs  # what it means to gradients has had its effect
        if op.reshapes and _is_identity(inputs[0]) and shape_of(operand_aval(_source(inputs[0]))) == ():
            broadcast = inputs[0].node
            if "shape" in broadcast.params:
                # A number that was broadcast, then reshaped, is that number broadcast to the other shape.
                source = (_source(inputs[0]),)
                return self.outputs(Node(broadcast.op, source, {"shape": avals.shape}), source)
        if op.elementwise and op.expr != _IDENTITY and any(_is_identity(x) for x in inputs):
            sources = tuple([_source(x) for x in inputs])
            small = op.infer(*[operand_aval(x) for x in sources], **node.params)
            if small == avals:
                inputs = sources
            elif small.dtype == avals.dtype:
                return self.broadcast_late(node, sources, inputs, avals)
        key = None
        if op.pure:
            key = (op.name, tuple([_key(x) for x in inputs]), _static_key(node.params))
            found = self.merged.get(key)
            if found is not None:
                return found
            folded = self.folded(node, inputs, avals)
            if folded is not None:
                self.merged[key] = folded
                return folded
        outs: tuple[Tensor, ...] | None = None
        if op.lower is not None:
            before, state.origin = state.origin, node.where
            try:
                lowered = op.lower(avals, inputs, node.params)
            finally:
                state.origin = before
            if lowered is not None:
                parts = lowered if isinstance(lowered, tuple) else (lowered,)
                self.alive.append(parts)
                stop = {id(x) for x in inputs}
                for x in inputs:  # what is already in the new graph stands for itself
                    if isinstance(x, Tensor) and x.node is not None:
                        self.done[id(x.node), x.index] = x
                    elif isinstance(x, Tensor) and x.data is None:
                        self.leaves[id(x)] = x
                self.run([p for p in parts if id(p) not in stop], stop)
                outs = tuple([p if id(p) in stop else self.tensor(p) for p in parts])
        if outs is None:
            outs = self.fresh(node, inputs, avals)
        if key is not None:
            self.merged[key] = outs
        self.alive.append((inputs, outs))
        return outs

    def fresh(self, node: Node, inputs: tuple[Any, ...], avals: Any) -> tuple[Tensor, ...]:
        new = Node(node.op, inputs, node.params)
        new.where = node.where
        new.avals = avals if node.op.n_out > 1 else (avals,)
        outs = tuple([symbol(aval, new, i) for i, aval in enumerate(new.avals)])
        for i, out in enumerate(outs):
            self.done[id(new), i] = out
        return outs

    def loop(self, node: Node, inputs: tuple[Any, ...]) -> tuple[Node, tuple[Any, ...]]:
        """The loop with a body of known shapes; its states are Variables, which the plan of the body updates."""
        body: Body = node.params["body"]
        key = id(body), tuple([_key(x) for x in inputs])
        found = self.loops.get(key)
        if found is not None:
            return found
        leaves: dict[int, Tensor] = {}
        kept: list[tuple[Tensor, Any]] = []
        avals = body.step_avals([operand_aval(x) for x in inputs])
        for k, (x, aval, whole) in enumerate(zip(body.inputs, avals, inputs, strict=True)):
            if k >= body.n_states + body.n_sequences and is_constant(whole):
                leaves[id(x)] = whole
                continue
            state = k < body.n_states and aval.known
            leaves[id(x)] = Variable(np.zeros(aval.shape, aval.dtype)) if state else symbol(aval)
            kept.append((leaves[id(x)], whole))
        outputs = specialise(body.outputs, leaves)
        new = Body(tuple([x for x, _ in kept]), outputs, body.n_states, body.n_sequences, body.reverse)
        new, outer = hoist(new, [whole for _, whole in kept])
        assert node.op.repeats is not None
        made = Node(node.op.repeats(new), tuple(outer), {**node.params, "body": new})
        made.where = node.where
        self.alive.append((node, inputs, made))
        self.loops[key] = self.loops[id(new), tuple([_key(x) for x in outer])] = made, made.inputs
        return self.loops[key]

    def broadcast_late(
        self, node: Node, sources: tuple[Any, ...], inputs: tuple[Any, ...], aval: Any
    ) -> tuple[Tensor, ...]:
        """An operation on values that were only broadcast: compute on their sources, broadcast the result."""
        last = next((x.node for x in inputs if _is_identity(x) and x.shape == aval.shape), None)
        if last is None:
            return self.fresh(node, inputs, aval)
        early, late = Node(node.op, sources, node.params), last.op
        early.where = node.where
        small = self.outputs(early, sources)
        again = Node(late, small, last.params)
        again.where = node.where
        return self.outputs(again, small)

    def folded(self, node: Node, inputs: tuple[Any, ...], avals: Any) -> tuple[Tensor, ...] | None:
        if not all(is_constant(x) for x in inputs):
            return None
        shapes = [a.shape for a in (avals if node.op.n_out > 1 else (avals,))]
        size = sum(int(np.prod(s)) for s in shapes if None not in s)
        if size > max(_FOLD_LIMIT, sum(x.data.size for x in inputs if isinstance(x, Tensor) and x.data is not None)):
            return None
        result = node.op.impl(*[x.data if isinstance(x, Tensor) else x for x in inputs], **node.params)
        parts = result if node.op.n_out > 1 else (result,)
        return tuple([wrap(np.array(p, order="C", copy=None)) for p in parts])


def _static_key(params: dict[str, Any]) -> Any:
    """Parameters as a key that tells True from 1 and 0.0 from -0.0, which are equal in Python."""
    return tuple([(name, _exact(params[name])) for name in sorted(params)])


def _exact(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_exact(part) for part in value])
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, complex)) else value


def _key(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return type(x), repr(x)
    if is_constant(x) and x.data is not None and x.data.size <= _SMALL:
        return x.data.shape, x.data.dtype.str, x.data.tobytes()
    return id(x)


def sized(outputs: Sequence[Tensor]) -> bool:
    """True when all shapes are known: none depends on values, as that of ``x[x > 0]`` does."""
    return all([a.known for node, _ in topological(outputs) for a in node.avals or ()])


def specialise(outputs: Sequence[Tensor], leaves: dict[int, Tensor]) -> list[Tensor]:
    """Rebuild ``outputs`` with the tensors of ``leaves`` (by id of the original) in the place of the originals."""
    work = _Specialiser(leaves)
    before = state.deferred, state.replaying, state.trace, state.tracking
    state.deferred, state.replaying, state.trace, state.tracking = True, True, None, True
    try:
        work.run(outputs, set(leaves))
        found = [work.tensor(x) for x in outputs]
    finally:
        state.deferred, state.replaying, state.trace, state.tracking = before
    prune(found)
    return found
