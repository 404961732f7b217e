"""Functions whose backward step is not the recording of their forward step: custom gradients, checkpoints, solutions.

All three are one operation. Its inputs are the arguments, the results that were computed from them by other means, and
what the backward step needs besides; its outputs are the results. A rule, its parameter, says the gradient with
ordinary operations, so it can be differentiated. In a compiled graph nothing of it is left but the results.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.grad import backpropagate, walk
from autotensor.core.op import Op, apply, defop, register
from autotensor.core.state import enable_grad, no_grad, state
from autotensor.core.tensor import Tensor, Variable, symbol, wrap
from autotensor.errors import GradError, GraphError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import copy, negative
from autotensor.ops.like import unbroadcast, zeros_like
from autotensor.ops.linalg import solve as linear_solve
from autotensor.ops.random import keys_noted, next_key_op
from autotensor.ops.shape import concat, matrix_transpose, reshape
from autotensor.transforms import tree
from autotensor.transforms.batching import Batch, Batched, FreshKey, batching_rule
from autotensor.transforms.derivatives import jacobian, vjp
from autotensor.transforms.recipe import needed, record, repeat

__all__ = ["checkpoint", "custom_vjp", "implicit_function"]


# -- the operation


class GradientRule(Protocol):
    """How gradients of the results become gradients of the arguments."""

    def backward(
        self, needs: Sequence[bool], g: Sequence[Any], outs: Sequence[Tensor], xs: Sequence[Any], rest: Sequence[Any]
    ) -> Sequence[Any]:
        """Gradients of ``xs``, None for zero, from those of ``outs``, some of which may be None."""


def _parts(inputs: Sequence[Any], n_x: int, n_y: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    return inputs[:n_x], inputs[n_x : n_x + n_y], inputs[n_x + n_y :]


def _impl(*inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> Any:
    ys = _parts(inputs, n_x, n_y)[1]
    return tuple(ys) if n_y > 1 else ys[0]


def _infer(*inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> Any:
    return _impl(*inputs, rule=rule, n_x=n_x, n_y=n_y)


def _lower(out: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return _impl(*inputs, **params)


def _vjp(needs: Any, g: Any, out: Any, *inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> list[Any]:
    xs, _, rest = _parts(inputs, n_x, n_y)
    gs = g if isinstance(g, tuple) else (g,)
    outs = out if isinstance(out, tuple) else (out,)
    found = list(rule.backward(needs[:n_x], gs, outs, xs, rest))
    return found + [None] * (len(inputs) - n_x)


@cache
def _op(n_out: int) -> Op:
    """The operation for that many results; all of them have one name."""
    return Op("custom_vjp", impl=_impl, infer=_infer, vjp=_vjp, lower=_lower, n_out=n_out, doc=_DOC)


_DOC = "Results that were computed already, with a gradient rule of their own."
register(_op(1))


def _bound(xs: Sequence[Any], ys: Sequence[Tensor], rest: Sequence[Any], rule: GradientRule) -> list[Tensor]:
    """Results that have this rule."""
    # What an eager result was computed by is not needed, and not kept.
    ys = [y if y.data is None else wrap(y.data) for y in ys]
    out = apply(_op(len(ys)), *xs, *ys, *rest, rule=rule, n_x=len(xs), n_y=len(ys))
    return list(out) if isinstance(out, tuple) else [out]


class _BatchedRule:
    """The rule for many examples at once."""

    def __init__(self, rule: GradientRule, batch: Batch, kinds: list[type | None]):
        self.rule = rule
        self.size = batch.size
        self.kinds = kinds  # how each of ``rest`` stands for the examples

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        like = next(x for x in g if x is not None)
        batch = Batch(self.size, like)
        given = [x for x in g if x is not None]
        marked = [Batched(x) for x in (*given, *outs, *xs)]
        marked += [x if kind is None else kind(x) for x, kind in zip(rest, self.kinds, strict=True)]

        def one(*values: Any) -> Any:
            parts = iter(values)
            gs = [None if x is None else next(parts) for x in g]
            ys = [next(parts) for _ in outs]
            return list(self.rule.backward(needs, gs, ys, [next(parts) for _ in xs], list(parts)))

        found = batch.call(one, marked)
        return [None if x is None else batch.full(x) for x in found]


@batching_rule("custom_vjp")
def _batched(batch: Batch, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    xs, ys, rest = _parts(inputs, params["n_x"], params["n_y"])
    kinds = [type(x) if isinstance(x, (Batched, FreshKey)) else None for x in rest]
    values = [x.value if isinstance(x, Batched) else x.key if isinstance(x, FreshKey) else x for x in rest]
    rule = _BatchedRule(params["rule"], batch, kinds)
    out = op(*[batch.full(x) for x in (*xs, *ys)], *values, **{**params, "rule": rule})
    return tuple([Batched(x) for x in out]) if op.n_out > 1 else Batched(out)


def _tensor_leaves(leaves: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]


def _filled(leaves: Sequence[Any], positions: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """The leaves with other values at these positions."""
    out = list(leaves)
    for i, value in zip(positions, values, strict=True):
        out[i] = value
    return out


def _as_tensors(result: Any, op: str) -> tuple[list[Tensor], tree.Structure]:
    leaves, form = tree.flatten(result)
    try:
        outs = [operand(x) for x in leaves]
    except (TypeError, ValueError) as error:
        raise GradError(f"[{op}] expected tensors as results. {error}") from error
    if not outs:
        raise GradError(f"[{op}] expected a result; the function returned none. Return what it computes.")
    return outs, form


# -- custom_vjp


class _Kept(NamedTuple):
    """What a forward step keeps for the backward one."""

    leaves: list[Any]
    positions: list[int]  # of the tensors among the leaves
    form: tree.Structure


class _UnderWay(threading.local):
    def __init__(self) -> None:
        self.forward: list[CustomVJP] = []  # whose forward steps are running in this thread


_under_way = _UnderWay()


class _Given:
    """A backward step that the user wrote."""

    def __init__(self, owner: CustomVJP, before: tuple[Any, ...], forms: Any, places: Any, out: Any, kept: Any):
        self.name = owner.__name__
        self.owner = owner
        self.before = before  # arguments that are not differentiated by, which come first
        self.forms = forms  # of the other arguments
        self.places = places  # of tensors among all leaves of the arguments
        self.out = out  # form of the result
        # Without the tensors, which are inputs of the operation.
        self.kept = kept and kept._replace(leaves=_filled(kept.leaves, kept.positions, [None] * len(kept.positions)))

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        kept = tree.unflatten(self.kept.form, _filled(self.kept.leaves, self.kept.positions, rest))
        return self.gradients(kept, g, outs, xs)

    def gradients(self, kept: Any, g: Any, outs: Any, xs: Any) -> Sequence[Any]:
        seeds = [zeros_like(y) if part is None else part for y, part in zip(outs, g, strict=True)]
        assert self.owner.backward is not None
        result = self.owner.backward(*self.before, kept, tree.unflatten(self.out, seeds))
        if not isinstance(result, (tuple, list)) or len(result) != len(self.forms):
            got = f"{len(result)} of them" if isinstance(result, (tuple, list)) else type(result).__name__
            raise GradError(
                f"[{self.name}] expected a tuple with a gradient for each of {len(self.forms)} arguments from the "
                f"backward step; got {got}. Return None for no gradient, and (g,) for one argument."
            )
        flat: list[Any] = []
        paths: list[str] = []
        for i, (form, part) in enumerate(zip(self.forms, result, strict=True)):
            name = f"the gradient of argument {i}"
            flat += [None] * form.size if part is None else tree.matching(form, part, name)
            paths += tree.structure_paths(form, name)
        return [_fitted(flat[k], x, f"[{self.name}] {paths[k]}") for k, x in zip(self.places, xs, strict=True)]


class _Late(_Given):
    """The same for a call within the forward step itself, which has not run for it yet."""

    def __init__(self, owner: CustomVJP, before: Any, forms: Any, places: Any, out: Any, leaves: Any, args: Any):
        super().__init__(owner, before, forms, places, out, None)
        self.leaves = leaves
        apart = {i % len(args) for i in owner.nondiff_argnums if args}
        self.args = [x if i in apart else None for i, x in enumerate(args)]
        self.own = [i for i in range(len(args)) if i not in apart]

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        leaves = iter(_filled(self.leaves, self.places, xs))
        trees = [tree.unflatten(form, [next(leaves) for _ in range(form.size)]) for form in self.forms]
        _, _, kept = self.owner._run_forward(_filled(self.args, self.own, trees))
        return self.gradients(tree.unflatten(kept.form, kept.leaves), g, outs, xs)


def _fitted(g: Any, x: Tensor, what: str) -> Any:
    """A gradient in the dtype of its tensor; the shape must be right."""
    if g is None:
        return None
    g = operand(g)
    if len(g.shape) != len(x.shape) or any([a != b and None not in (a, b) for a, b in zip(g.shape, x.shape)]):
        raise ShapeError(f"{what} must have the shape {x.shape} of the argument; got {g.shape}. Sum over axes?")
    return unbroadcast(g, x)


class CustomVJP:
    """A function with a gradient of its own; see ``custom_vjp``."""

    def __init__(self, f: Callable[..., Any], nondiff_argnums: tuple[int, ...]):
        self.f = f
        self.nondiff_argnums = nondiff_argnums
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.__name__ = getattr(f, "__name__", "function")
        self.__doc__ = f.__doc__
        self.__wrapped__ = f

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
        """Set the two steps. Returns ``backward``."""
        self.forward, self.backward = forward, backward
        return backward

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise GradError(
            f"[{self.__name__}] custom_vjp takes functions, not methods: self would be an argument to differentiate "
            "by. Write a function, and call it from the method."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.forward is None or self.backward is None:
            raise GradError(
                f"[{self.__name__}] expected a gradient rule. Call {self.__name__}.defvjp(forward, backward)."
            )
        if kwargs:
            bound = inspect.signature(self.f).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
            if kwargs:
                raise GradError(
                    f"[{self.__name__}] keyword-only arguments have no place in the rule; got {', '.join(kwargs)}."
                )
        apart = {i % len(args) for i in self.nondiff_argnums if args}
        before = tuple([x for i, x in enumerate(args) if i in apart])
        leaves: list[Any] = []
        forms = []
        for i, x in enumerate(args):
            if i not in apart:
                parts, form = tree.flatten(x)
                leaves += parts
                forms.append(form)
        places = _tensor_leaves(leaves)
        xs = [leaves[k] for k in places]
        if not any([x.data is None or x.waits or (state.tracking and x.tracked) for x in xs]):
            return self.f(*args)
        if self in _under_way.forward:
            # The forward step calls the function itself. What it does with the result beyond handing it on counts for
            # second derivatives only: the rule is worked out when one is asked for.
            with no_grad():
                ys, out = _as_tensors(self.f(*args), self.__name__)
            statics = _filled(leaves, places, [None] * len(places))
            return tree.unflatten(out, _bound(xs, ys, (), _Late(self, before, forms, places, out, statics, args)))
        ys, out, kept = self._run_forward(args)
        self._check_reads(ys, xs)
        rest = [kept.leaves[k] for k in kept.positions]
        return tree.unflatten(out, _bound(xs, ys, rest, _Given(self, before, forms, places, out, kept)))

    def _run_forward(self, args: Sequence[Any]) -> tuple[list[Tensor], tree.Structure, _Kept]:
        assert self.forward is not None
        _under_way.forward.append(self)
        try:
            pair = self.forward(*args)
        finally:
            _under_way.forward.pop()
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise GradError(
                f"[{self.__name__}] expected the forward step to return (value, what backward needs); got "
                f"{type(pair).__name__}. Return None for nothing."
            )
        ys, out = _as_tensors(pair[0], self.__name__)
        leaves, form = tree.flatten(pair[1])
        return ys, out, _Kept(leaves, _tensor_leaves(leaves), form)

    def _check_reads(self, ys: Sequence[Tensor], xs: Sequence[Tensor]) -> None:
        """Gradients would be lost where the function reads what is no argument."""
        # By node, too: where one operand was written in place, recordings hold copies of all.
        own = {id(x) for x in xs} | {id(x.node) for x in xs if x.node is not None}
        stack = list(ys)
        while stack:
            x = stack.pop()
            if not isinstance(x, Tensor) or id(x) in own:
                continue
            if x.node is not None:
                if id(x.node) not in own:
                    own.add(id(x.node))
                    stack += x.node.inputs
                continue
            if x.tracked and x.data is not None and x.dtype.kind in "fc":
                shown = repr(x.name) if x.name else f"a tensor of shape {x.shape}"
                raise GradError(
                    f"[{self.__name__}] {shown} requires gradients and is read by the function, but is no argument: "
                    "the rule gives no gradient for it. Pass it as an argument, or read stop_gradient(x)."
                )


def custom_vjp(f: Callable[..., Any] | None = None, *, nondiff_argnums: Sequence[int] = ()) -> Any:
    """Give a function a gradient of its own; a decorator.

    The two steps are set with ``f.defvjp(forward, backward)``: ``forward(*args)`` returns ``(value, kept)``, and
    ``backward(kept, g)``, with the gradient of the value, a tuple of gradients, one for each argument (None: no
    gradient). Arguments, value and what is kept are trees; arguments that hold no tensors (functions, names) need
    nothing special. ``nondiff_argnums`` are arguments that backward gets first, in front of ``kept``, and gives no
    gradient for.

    Both steps are written with operations, so the gradient can be differentiated: a second derivative is that of
    ``backward``, through what was kept. It works in graphs and under all transforms; derivatives forward are the
    transpose of ``backward``.

    Raises:
        GradError: the function reads a tensor that requires gradients and is no argument.

        >>> import autotensor as at
        >>> @at.custom_vjp
        ... def log1pexp(x):
        ...     return at.log(1 + at.exp(x))
        >>> def forward(x):
        ...     return log1pexp(x), x
        >>> def backward(x, g):
        ...     return (g * (1 - 1 / (1 + at.exp(x))),)  # stays finite where exp(x) is infinite
        >>> log1pexp.defvjp(forward, backward)  # doctest: +ELLIPSIS
        <function backward at ...>
        >>> at.grad(log1pexp)(0.0)
        Tensor(0.5, dtype=float64)
    """
    if f is None:
        return lambda g: CustomVJP(g, tuple(nondiff_argnums))
    return CustomVJP(f, tuple(nondiff_argnums))


# -- checkpoint


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

    def found(self, besides: Sequence[Tensor]) -> list[Tensor]:
        """The tensors from outside that were read."""
        known = {_identity(x) for x in besides}
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
def _reading(op: str) -> Iterator[_Reads]:
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
            args, kwargs = tree.unflatten(self.form, _filled(self.leaves, self.positions, entered))
            with _reading("checkpoint"), keys_noted(self.keys):
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
    args, kwargs = tree.unflatten(form, _filled(leaves, positions, [_constant(x) for x in xs]))
    with no_grad(), _reading("checkpoint") as reads, keys_noted() as keys:
        result = f(*args, **kwargs)
    del args, kwargs
    outs, out_form = tree.flatten(result)
    del result
    places = _tensor_leaves(outs)
    if any([outs[k].data is None for k in places]):
        return _symbolic_checkpoint(f, form, leaves, positions, xs)
    closed = reads.found(xs)
    if not places or not any([x.tracked for x in (*xs, *closed)]):
        return tree.unflatten(out_form, outs)
    statics = _filled(leaves, positions, [None] * len(positions))
    rule = _Recomputed(f, form, statics, positions, keys)
    ys = _bound([*xs, *closed], [outs[k] for k in places], (), rule)
    return tree.unflatten(out_form, _filled(outs, places, ys))


def _constant(x: Tensor) -> Tensor:
    data = x.data
    assert data is not None
    return wrap(data)


def _symbolic_checkpoint(f: Any, form: Any, leaves: Any, positions: Any, xs: Any) -> Any:
    marks = [symbol(x.aval) for x in xs]
    args, kwargs = tree.unflatten(form, _filled(leaves, positions, marks))
    result, made = record(lambda: f(*args, **kwargs), "checkpoint")
    outs, out_form = tree.flatten(result)
    places = _tensor_leaves(outs)
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
    found = _bound([*xs, *outside], ys, drawn, rule) if places else []
    return tree.unflatten(out_form, _filled(outs, places, found))


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which only arguments and results are kept for the gradient: it is run again backward.

    This trades about a third more computation for the memory of all that is computed between. Random operations give
    the same numbers when they run again. What the function reads besides its arguments (weights, tensors from outside)
    gets its gradients too. In a compiled graph the operations are there twice. Works to any order.

    T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost" (2016).
    """

    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, form = tree.flatten((args, kwargs))
        positions = _tensor_leaves(leaves)
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


# -- implicit functions


class _Implicit:
    """The gradient of a solution, from the equation that it solves."""

    def __init__(self, residual: Any, form: Any, statics: Any, positions: Any, out: Any):
        self.residual = residual
        self.form = form
        self.statics = statics
        self.positions = positions
        self.out = out

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        shapes = [y.shape for y in outs]
        if any([None in shape for shape in shapes]):
            raise ShapeError(f"[implicit_function] expected a solution of known shape; got {shapes}.")

        def left(flat: Tensor, *values: Any) -> Tensor:
            """The residual as a vector, of the solution as a vector."""
            args = tree.unflatten(self.form, _filled(self.statics, self.positions, values))
            result = self.residual(tree.unflatten(self.out, _split(flat, shapes)), *args)
            vector = _joined([operand(r) for r in tree.leaves(result)])
            if vector.shape != flat.shape:
                raise ShapeError(
                    f"[implicit_function] the residual must have as many elements as the solution, {flat.shape[0]}; "
                    f"got {vector.shape[0]}. One equation for each unknown."
                )
            return vector

        y = _joined(outs)
        weight = _joined([zeros_like(o) if part is None else part for o, part in zip(outs, g, strict=True)])
        slope = jacobian(left)(y, *xs)
        dual = negative(linear_solve(matrix_transpose(slope), weight))
        wanted = [k for k, need in enumerate(needs) if need]
        _, pull = vjp(lambda *chosen: left(y, *_filled(xs, wanted, chosen)), *[xs[k] for k in wanted])
        return _filled([None] * len(xs), wanted, pull(dual))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    flat = [reshape(x, (-1,)) for x in parts]
    return flat[0] if len(flat) == 1 else concat(flat)


def _split(flat: Tensor, shapes: Sequence[Any]) -> list[Tensor]:
    out = []
    start = 0
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        out.append(reshape(flat if len(shapes) == 1 else flat[start : start + n], shape))
        start += n
    return out


def implicit_function(solve: Callable[..., Any], residual: Callable[..., Any]) -> Callable[..., Any]:
    """A function given by an equation: ``solve(*args)`` finds the y with ``residual(y, *args) = 0``.

    Gradients come from the equation at the solution, whatever ``solve`` does: it may iterate, use SciPy, and take any
    number of steps, and nothing of it is recorded. By the implicit function theorem dy/da = -(dr/dy)^-1 dr/da; the
    gradient solves one linear system with the matrix dr/dy, which is built, so y should have up to some thousands of
    elements. Right to any order, as far as the solution is accurate. For a fixed point y = f(y, a) the residual is
    y - f(y, a). Arguments and y are trees; what the residual is to be differentiated by must be an argument.

    Raises:
        ShapeError: the residual has not as many elements as the solution.
        numpy.linalg.LinAlgError: dr/dy is singular: the solution is no function of the arguments there.

    Raises GradError where the residual reads tensors with gradients that are no arguments, and for a solution of whole
    numbers.

        >>> import autotensor as at
        >>> def newton(a):
        ...     y = 1.0
        ...     for _ in range(20):
        ...         y = y - (y * y - a) / (2 * y)
        ...     return y
        >>> root = at.implicit_function(newton, lambda y, a: y * y - a)
        >>> at.grad(root)(4.0), at.grad(at.grad(root))(4.0)
        (Tensor(0.25, dtype=float64), Tensor(-0.03125, dtype=float64))
    """

    def solved(*args: Any) -> Any:
        leaves, form = tree.flatten(args)
        positions = _tensor_leaves(leaves)
        xs = [leaves[i] for i in positions]
        waiting = any([x.waits for x in xs])
        given = xs if waiting else [_constant(x) for x in xs]
        call = tree.unflatten(form, _filled(leaves, positions, given))
        with no_grad():
            ys, out = _as_tensors(solve(*call), "implicit_function")
        if not waiting:
            with no_grad(), _reading("implicit_function") as reads:
                residual(tree.unflatten(out, [_constant(y) for y in ys]), *call)
            for x in reads.found(()):
                shown = repr(x.name) if x.name else f"a tensor of shape {x.shape}"
                raise GradError(
                    f"[implicit_function] {shown} requires gradients and is read by the residual, but is no argument. "
                    "Pass it as an argument, or read stop_gradient(x)."
                )
        if not waiting and not (state.tracking and any([x.tracked for x in xs])):
            return tree.unflatten(out, ys)
        for y in ys:
            if y.dtype.kind not in "fc":
                raise GradError(f"[implicit_function] expected a floating solution; got {y.dtype}. Start from 1.0?")
        statics = _filled(leaves, positions, [None] * len(positions))
        rule = _Implicit(residual, form, statics, positions, out)
        return tree.unflatten(out, _bound(xs, ys, (), rule))

    solved.__name__ = getattr(solve, "__name__", "solution")
    solved.__doc__ = getattr(solve, "__doc__", None)
    return solved
