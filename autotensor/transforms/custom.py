"""custom_vjp: a function whose gradient the user says."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autotensor.core.state import no_grad, state
from autotensor.core.tensor import Tensor
from autotensor.errors import GradError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.like import unbroadcast, zeros_like
from autotensor.transforms import tree
from autotensor.transforms.ruled import as_tensors, filled, tensor_leaves, with_rule

__all__ = ["custom_vjp"]


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
        self.kept = kept and kept._replace(leaves=filled(kept.leaves, kept.positions, [None] * len(kept.positions)))

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        kept = tree.unflatten(self.kept.form, filled(self.kept.leaves, self.kept.positions, rest))
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
        leaves = iter(filled(self.leaves, self.places, xs))
        trees = [tree.unflatten(form, [next(leaves) for _ in range(form.size)]) for form in self.forms]
        _, _, kept = self.owner._run_forward(filled(self.args, self.own, trees))
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
        places = tensor_leaves(leaves)
        xs = [leaves[k] for k in places]
        if not any([x.data is None or x.waits or (state.tracking and x.tracked) for x in xs]):
            return self.f(*args)
        if self in _under_way.forward:
            # The forward step calls the function itself. What it does with the result beyond handing it on counts for
            # second derivatives only: the rule is worked out when one is asked for.
            with no_grad():
                ys, out = as_tensors(self.f(*args), self.__name__)
            statics = filled(leaves, places, [None] * len(places))
            return tree.unflatten(out, with_rule(xs, ys, (), _Late(self, before, forms, places, out, statics, args)))
        ys, out, kept = self._run_forward(args)
        self._check_reads(ys, xs)
        rest = [kept.leaves[k] for k in kept.positions]
        return tree.unflatten(out, with_rule(xs, ys, rest, _Given(self, before, forms, places, out, kept)))

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
        ys, out = as_tensors(pair[0], self.__name__)
        leaves, form = tree.flatten(pair[1])
        return ys, out, _Kept(leaves, tensor_leaves(leaves), form)

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
