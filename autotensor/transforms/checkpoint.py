"""checkpoint: a function that runs again backward, in the place of keeping what it computed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.grad import backpropagate, walk
from autotensor.core.op import Op, apply, defop
from autotensor.core.state import enable_grad, no_grad, state
from autotensor.core.tensor import Tensor, Variable, symbol, wrap
from autotensor.errors import GraphError
from autotensor.ops.elementwise import copy
from autotensor.ops.random import keys_noted, next_key_op
from autotensor.transforms import tree
from autotensor.transforms.batching import Batch, Batched, FreshKey, batching_rule
from autotensor.transforms.recipe import needed, record, repeat
from autotensor.transforms.ruled import filled, tensor_leaves, with_rule

__all__ = ["checkpoint"]


class _Reads:
    """The trace of a function that is run without recording: it sees which tracked tensors are read.

    There is no recording, so whatever is tracked comes from outside, or from a derivative that the function takes for
    itself. These are gone when it ends, as they are held weakly.
    """

    def __init__(self, op: str):
        self.op = op
        self.around = state.trace
        self.seen: list[Any] = []

    def resolve(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        self.seen += [weakref.ref(x) for x in inputs if isinstance(x, Tensor) and x.tracked]
        return inputs if self.around is None else self.around.resolve(inputs)

    def assign(self, variable: Variable, value: Tensor) -> None:
        raise GraphError(
            f"[{self.op}] expected no assignment in the function, which runs again; got one to "
            f"{variable.name or variable.aval!r}. Return the new value, and assign it outside."
        )

    def found(self) -> list[Tensor]:
        """The tensors from outside that were read."""
        known = set()
        found = []
        for ref in self.seen:
            x = ref()
            if x is not None and x.dtype.kind in "fc" and _identity(x) not in known:
                known.add(_identity(x))
                found.append(x)
        return found


def _identity(x: Tensor) -> Any:
    return (id(x.node), x.index) if x.node is not None else id(x)


@contextmanager
def reading(op: str) -> Iterator[_Reads]:
    """See what is read. Compiled functions run in line, as in any trace, so that gradients pass through them."""
    before = state.trace
    reads = _Reads(op)
    state.trace = reads
    try:
        yield reads
    finally:
        state.trace = before


class _Recomputed:
    """Run the function again, eagerly."""

    def __init__(self, f: Any, form: Any, leaves: Any, positions: Any, keys: list[int]):
        self.f = f
        self.form = form
        self.leaves = leaves
        self.positions = positions
        self.keys = keys

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        linked = state.tracking
        n = len(self.positions)
        with enable_grad():
            entered = [_again(x, linked) if need else x for x, need in zip(xs[:n], needs, strict=False)]
            args, kwargs = tree.unflatten(self.form, filled(self.leaves, self.positions, entered))
            with reading("checkpoint"), keys_noted(self.keys):
                result = self.f(*args, **kwargs)
        ys = [y for y in tree.leaves(result) if isinstance(y, Tensor)]
        wanted = [x for x, need in zip([*entered, *xs[n:]], needs, strict=True) if need]
        pairs = [(y, s) for y, s in zip(ys, g, strict=True) if s is not None and y.tracked]
        walked = walk([y for y, _ in pairs])
        # Each input gets what arrives at it directly: what arrives at one is not passed on to another behind it.
        ends = {x.node for x in wanted if x.node is not None}
        walked.order = [node for node in walked.order if node not in ends]
        found = iter(backpropagate([y for y, _ in pairs], [s for _, s in pairs], wanted, linked, walked))
        grads = [next(found) if need else None for need in needs]
        return grads if linked else [None if t is None or t.data is None else wrap(t.data) for t in grads]


def _again(x: Tensor, linked: bool) -> Tensor:
    """A leaf of its own, linked to the caller's where that counts."""
    if x.tracked and linked:
        return copy(x)
    leaf = wrap(x._value("checkpoint"))
    leaf.tracked = True
    return leaf


@defop(
    "barrier",
    impl=lambda x, *others: x,
    infer=lambda x, *others: x if isinstance(x, Aval) else Aval((), np.result_type(x)),
    pure=False,
    view=True,
)
def barrier(needs, g, out, x, *others):
    """x itself, not before the others are computed; the compiler takes it for something new."""
    return g, *[None] * len(others)


@batching_rule("barrier")
def _batched_barrier(batch: Batch, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    x, *others = [i.value if isinstance(i, Batched) else i.key if isinstance(i, FreshKey) else i for i in inputs]
    kind = type(inputs[0]) if isinstance(inputs[0], (Batched, FreshKey)) else None
    out = op(x, *others)
    return out if kind is None else kind(out)


class _Repeated:
    """Build the graph of the function again, behind a barrier that keeps the compiler from merging the two."""

    def __init__(self, outputs: Any, nodes: Any, inner: Any, marks: Any, closed: Any, keys: Any):
        self.outputs = outputs
        self.nodes = nodes
        self.inner = inner  # constants by id
        self.marks = marks  # what stood for the arguments
        self.closed = closed  # tensors from outside
        self.keys = keys  # nodes that drew

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        after = next(part for part in g if part is not None)
        again = [barrier(x, after) for x in xs]
        n = len(self.marks)
        values = {**self.inner, **{id(mark): x for mark, x in zip(self.marks, again, strict=False)}}
        results = {(id(node), 0): barrier(key, after) for node, key in zip(self.keys, rest, strict=True)}
        for old, new in zip(self.closed, again[n:], strict=True):
            values[id(old)] = new
            if old.node is not None:
                results[id(old.node), old.index] = new
        with enable_grad():
            ys = repeat(self.outputs, self.nodes, values, results)
        wanted = [x for x, need in zip(again, needs, strict=True) if need]
        pairs = [(y, s) for y, s in zip(ys, g, strict=True) if s is not None and y.tracked]
        found = iter(backpropagate([y for y, _ in pairs], [s for _, s in pairs], wanted))
        return [next(found) if need else None for need in needs]


def _eager_checkpoint(f: Any, form: Any, leaves: Any, positions: Any, xs: Any) -> Any:
    args, kwargs = tree.unflatten(form, filled(leaves, positions, [constant(x) for x in xs]))
    with no_grad(), reading("checkpoint") as reads, keys_noted() as keys:
        result = f(*args, **kwargs)
    del args, kwargs
    outs, out_form = tree.flatten(result)
    del result
    places = tensor_leaves(outs)
    if any([outs[k].data is None for k in places]):
        return _symbolic_checkpoint(f, form, leaves, positions, xs)
    closed = reads.found()  # an argument, too, if it is read by another way
    if not places or not any([x.tracked for x in (*xs, *closed)]):
        return tree.unflatten(out_form, outs)
    statics = filled(leaves, positions, [None] * len(positions))
    rule = _Recomputed(f, form, statics, positions, keys)
    ys = with_rule([*xs, *closed], [outs[k] for k in places], (), rule)
    return tree.unflatten(out_form, filled(outs, places, ys))


def constant(x: Tensor) -> Tensor:
    data = x.data
    assert data is not None
    return wrap(data)


def _symbolic_checkpoint(f: Any, form: Any, leaves: Any, positions: Any, xs: Any) -> Any:
    marks = [symbol(x.aval) for x in xs]
    args, kwargs = tree.unflatten(form, filled(leaves, positions, marks))
    result, made = record(lambda: f(*args, **kwargs), "checkpoint")
    outs, out_form = tree.flatten(result)
    places = tensor_leaves(outs)
    tops = [outs[k] for k in places]
    inner = made.constants()
    own = {id(mark) for mark in marks} | set(inner)
    nodes = needed(tops, made.nodes, own)
    inside = {id(node) for node in nodes}
    keys = [node for node in nodes if node.op is next_key_op]
    drawn = [apply(node.op, **node.params) for node in keys]
    closed: dict[Any, Tensor] = {}
    for x in [*[x for node in nodes for x in node.inputs], *tops]:
        if not isinstance(x, Tensor) or id(x) in own or (x.node is not None and id(x.node) in inside):
            continue
        if x.tracked or x.data is None or isinstance(x, Variable):
            closed.setdefault(_identity(x), x)
    outside = list(closed.values())
    values = {**inner, **{id(mark): x for mark, x in zip(marks, xs, strict=True)}}
    ys = repeat(tops, nodes, values, {(id(node), 0): key for node, key in zip(keys, drawn, strict=True)})
    rule = _Repeated(tops, nodes, inner, marks, outside, keys)
    found = with_rule([*xs, *outside], ys, drawn, rule) if places else []
    return tree.unflatten(out_form, filled(outs, places, found))


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which only arguments and results are kept for the gradient: it is run again backward.

    This trades about a third more computation for the memory of all that is computed between. Random operations give
    the same numbers when they run again. What the function reads besides its arguments (weights, tensors from outside)
    gets its gradients too. In a compiled graph the operations are there twice. Works to any order.

    T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost" (2016).
    """

    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, form = tree.flatten((args, kwargs))
        positions = tensor_leaves(leaves)
        xs = [leaves[i] for i in positions]
        if state.deferred or any([x.waits for x in xs]):
            return _symbolic_checkpoint(f, form, leaves, positions, xs)
        if not state.tracking:
            return f(*args, **kwargs)
        return _eager_checkpoint(f, form, leaves, positions, xs)

    checkpointed.__name__ = getattr(f, "__name__", "function")
    checkpointed.__doc__ = getattr(f, "__doc__", None)
    checkpointed.__wrapped__ = f  # type: ignore[attr-defined]
    return checkpointed
