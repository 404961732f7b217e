"""Derivatives of functions: grad, vjp, jvp, hvp. Whole matrices of derivatives are in ``jacobians``.

A function is run once on fresh leaves; what it recorded is walked backward. Forward derivatives are the transpose of
the backward walk, which is linear in its seed. The levels of nested derivatives are told apart by their leaves, so each
derivative is by its own argument only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from autotensor.core.grad import Walk, backpropagate, blocking_op, walk
from autotensor.core.state import enable_grad, state
from autotensor.core.tensor import TENSOR_TYPES, Tensor, wrap
from autotensor.errors import DTypeError, GradError, ShapeError, TreeError
from autotensor.ops import autodiff
from autotensor.ops.autodiff import check_output, check_single, no_path, seed_of, taken
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype, copy
from autotensor.ops.like import zeros_like
from autotensor.transforms import tree
from autotensor.transforms.recipe import note_leaf

__all__ = [
    "elementwise_grad", "grad", "hvp", "jvp", "linearize", "value_and_grad", "vjp",
]  # fmt: skip

Argnums = int | Sequence[int]


# -- running a function on leaves of its own


def _entered(x: Any, op: str, position: int, form: tree.Structure | None = None, number: int = 0) -> Tensor:
    """A leaf to differentiate by: linked to the caller's tensor, yet not the same one."""
    kind = type(x)
    if kind is float or (kind is np.ndarray and x.dtype is _FLOAT64):
        leaf = wrap(np.asarray(x))
        leaf.tracked = True
        if state.deferred:
            note_leaf(leaf)
        return leaf
    if kind not in TENSOR_TYPES:
        try:
            x = operand(x)
        except (TypeError, ValueError):
            raise DTypeError(
                f"[{op}] expected a floating tensor, array or number as {_place(position, form, number)}; got "
                f"{type(x).__name__}. "
                "Leave it out of the arguments to differentiate by?"
            ) from None
    if x.dtype.kind not in "fc":
        if x.ndim or x.node is not None or x.data is None:
            raise DTypeError(
                f"[{op}] expected a floating {_place(position, form, number)} to differentiate by; got {x.dtype}. "
                "Use astype first?"
            )
        x = astype(x, np.float64)  # grad(f)(3): a Python number was meant as a real one
    if x.tracked:
        if state.tracking:
            return copy(x)
        with enable_grad():
            return copy(x)
    leaf = wrap(x._value(op))
    leaf.tracked = True
    if state.deferred:
        note_leaf(leaf)
    return leaf


_FLOAT64 = np.dtype(np.float64)


def _place(position: int, form: tree.Structure | None, number: int) -> str:
    """How the program would write the argument, or the part of it."""
    return f"argument {position}" if form is None else "argument " + tree.structure_paths(form, str(position))[number]


class Run(NamedTuple):
    """A function that was run: its results, and the leaves to differentiate them by."""

    outs: list[Tensor]
    form: tree.Structure  # of the results
    aux: Any
    leaves: list[Tensor]
    order: Walk  # nodes below the results, down to the leaves
    linked: bool  # can anything outside be differentiated by?
    derived: bool  # does the function take derivatives itself?


SINGLE = tree.LEAF


def _split_aux(result: Any, op: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise GradError(f"[{op}] with has_aux=True the function returns (value, aux); got {type(result).__name__}.")
    return result


def run_on_leaves(
    f: Callable[..., Any], call: Sequence[Any], kwargs: dict[str, Any], leaves: list[Tensor], has_aux: bool, op: str
) -> Run:
    before = taken.count
    if state.tracking:
        result = f(*call, **kwargs)
    else:
        with enable_grad():
            result = f(*call, **kwargs)
    aux = None
    if has_aux:
        result, aux = _split_aux(result, op)
    if type(result) is Tensor:
        outs, form = [result], SINGLE
    else:
        outs, form = tree.flatten(result)
    for y in outs:
        if not isinstance(y, Tensor):
            check_output(y, op)
    own = {id(leaves[0])} if len(leaves) == 1 else {id(x) for x in leaves}
    order = walk(outs, own)
    linked = False
    if state.tracking:
        linked = any([x.node is not None for x in leaves]) or any([i not in own for i in order.leaves])
    return Run(outs, form, aux, leaves, order, linked, taken.count != before)


def released(x: Any) -> Any:
    """The tensor without its recording; other things as they are."""
    return x if not isinstance(x, Tensor) or x.data is None or not x.tracked else wrap(x.data)


def _value(run: Run) -> Any:
    outs = run.outs if run.linked else [released(y) for y in run.outs]
    return outs[0] if run.form is SINGLE else tree.unflatten(run.form, outs)


def aux_of(run: Run) -> Any:
    return run.aux if run.linked else tree.map(released, run.aux)


def _check_blocked(run: Run, x: Tensor, op: str) -> None:
    """Raise GradError if the only ways to x lead through operations without a gradient.

    In a function that is a derivative these are the slopes of a piecewise linear one, as of relu: they are constants,
    and the second derivative is 0.
    """
    if not run.derived and any([blocking_op(y, x) is not None for y in run.outs]):
        raise no_path(op, run.outs, x)


def pull_back(run: Run, seeds: Sequence[Tensor], linked: bool, op: str) -> list[Tensor]:
    """Gradients by each leaf, zeros where the function does not depend on it."""
    ys: Sequence[Tensor] = run.outs
    order = run.order
    for y in ys:
        if not y.tracked or y.dtype.kind not in "fc":
            pairs = [(y, s) for y, s in zip(ys, seeds, strict=True) if y.tracked and y.dtype.kind in "fc"]
            ys, seeds = [y for y, _ in pairs], [s for _, s in pairs]
            order = walk(ys, {id(x) for x in run.leaves})
            break
    taken.count += linked
    found = backpropagate(ys, seeds, run.leaves, linked, order)
    for k, g in enumerate(found):
        if g is None:
            x = run.leaves[k]
            _check_blocked(run, x, op)
            found[k] = zeros_like(x)  # the function does not depend on it
        elif not linked and g.tracked and g.data is not None:
            found[k] = wrap(g.data)
    return found  # type: ignore[return-value]


# -- arguments


def position_of(i: int, args: tuple[Any, ...], op: str) -> int:
    if not -len(args) <= i < len(args):
        raise GradError(f"[{op}] argument {i} does not exist; the function was called with {len(args)}.")
    return i % len(args)


def enter(
    args: Sequence[Any], positions: Sequence[int], op: str
) -> tuple[list[Any], list[Tensor], list[tree.Structure]]:
    """The arguments with leaves at these positions, the leaves, and the form of each of these arguments."""
    call = list(args)
    leaves: list[Tensor] = []
    forms = []
    for i in positions:
        x = args[i]
        kind = type(x)
        if kind in TENSOR_TYPES or kind is np.ndarray or kind is float:
            call[i] = leaf = _entered(x, op, i)
            leaves.append(leaf)
            forms.append(SINGLE)
            continue
        parts, form = tree.flatten(x)
        made = [_entered(part, op, i, form, k) for k, part in enumerate(parts)]
        leaves += made
        call[i] = tree.unflatten(form, made)
        forms.append(form)
    return call, leaves, forms


def regroup(found: Sequence[Any], forms: Sequence[tree.Structure]) -> list[Any]:
    """One tree for each form, from a flat list."""
    out = []
    start = 0
    for form in forms:
        out.append(found[start] if form is SINGLE else tree.unflatten(form, found[start : start + form.size]))
        start += form.size
    return out


def which_arguments(argnum: Any, argnums: Any, op: str) -> int | tuple[int, ...]:
    """The arguments to differentiate by, from either spelling."""
    if argnum is not None and argnums is not None:
        raise GradError(f"[{op}] expected argnum or argnums, two spellings of one thing; got both.")
    given = argnums if argnum is None else argnum
    if given is None:
        return 0
    if isinstance(given, (int, np.integer)):
        return int(given)
    if isinstance(given, (tuple, list)) and all([isinstance(i, (int, np.integer)) for i in given]):
        return tuple([int(i) for i in given])
    raise GradError(f"[{op}] argnum is a position or a tuple of positions; got {given!r}. Write {op}(f, (0, 1))?")


def check_function(f: Any, op: str) -> None:
    if not callable(f):
        raise GradError(f"[{op}] expected a function, or an output with inputs; got {type(f).__name__} alone.")


def named(wrapper: Callable[..., Any], f: Callable[..., Any], op: str) -> Callable[..., Any]:
    """The wrapper, with the name and the documentation of what it wraps."""
    wrapper.__name__ = f"{op}_of_{getattr(f, '__name__', 'function')}"
    wrapper.__doc__ = getattr(f, "__doc__", None)
    wrapper.__wrapped__ = f  # type: ignore[attr-defined]
    return wrapper


# -- gradients


def _real_output(y: Any, op: str) -> None:
    if y.data is not None and y.data.size == 1 and y.data.dtype.kind == "f":
        return
    check_output(y, op)
    check_single(y, op)
    if y.dtype.kind == "c":
        raise DTypeError(
            f"[{op}] expected a real output; got {y.dtype}. Take at.real or at.imag of it, or use holomorphic_grad."
        )


_PLAIN = {Tensor, np.ndarray, float}
_PLAIN_FORMS = [SINGLE]


def _gradient_function(f: Callable[..., Any], argnums: Any, with_value: bool, has_aux: bool, op: str) -> Any:
    check_function(f, op)
    single = isinstance(argnums, int)
    wanted = (argnums,) if single else argnums

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        if single and argnums == 0 and args and type(args[0]) in _PLAIN:  # the usual case, quickly
            leaves = [_entered(args[0], op, 0)]
            call: Sequence[Any] = (leaves[0], *args[1:])
            forms = _PLAIN_FORMS
        else:
            call, leaves, forms = enter(args, [position_of(i, args, op) for i in wanted], op)
        run = run_on_leaves(f, call, kwargs, leaves, has_aux, op)
        if run.form is not SINGLE:
            raise GradError(f"[{op}] expected one tensor as the output; got {run.form}. Use jacobian, or has_aux=True?")
        y = run.outs[0]
        _real_output(y, op)
        found = pull_back(run, [seed_of(y, None, op)], run.linked, op)
        if forms is _PLAIN_FORMS:
            result: Any = found[0]
        else:
            regrouped = regroup(found, forms)
            result = regrouped[0] if single else tuple(regrouped)
        if with_value:
            return ((_value(run), aux_of(run)) if has_aux else _value(run)), result
        return (result, aux_of(run)) if has_aux else result

    return named(differentiated, f, op)


def value_and_grad(
    f: Callable[..., Any], argnum: Argnums | None = None, *, argnums: Argnums | None = None, has_aux: bool = False
) -> Callable[..., Any]:
    """A function giving ``(value, gradient)`` of the scalar-valued ``f``.

    See ``grad``. With ``has_aux`` the result is ``((value, aux), gradient)``.
    """
    return _gradient_function(f, which_arguments(argnum, argnums, "value_and_grad"), True, has_aux, "value_and_grad")


@overload
def grad(
    y: Callable[..., Any],
    xs: Argnums = 0,
    *,
    argnum: Argnums | None = None,
    argnums: Argnums | None = None,
    has_aux: bool = False,
) -> Callable[..., Any]: ...
@overload
def grad(y: Any, xs: Any, *, seeds: Any = None, allow_unused: bool = False, create_graph: bool = True) -> Any: ...


def grad(
    y: Any,
    xs: Any = None,
    *,
    argnum: Argnums | None = None,
    argnums: Argnums | None = None,
    has_aux: bool = False,
    seeds: Any = None,
    allow_unused: bool = False,
    create_graph: bool = True,
) -> Any:
    """Gradient of a function, or of a tensor.

    ``grad(f, argnum=0)``: a function giving the gradient of the real, scalar-valued ``f`` by its argument ``argnum``;
    a tuple of positions gives a tuple of gradients (``argnums`` is another spelling). Arguments are tensors, arrays,
    numbers or trees of them (see ``at.tree``), and the gradient has the form of the argument. It is zero by what ``f``
    does not depend on. With ``has_aux`` the function returns ``(value, aux)`` and the gradient function
    ``(gradient, aux)``. By a complex z = x + iy the gradient is df/dx - i df/dy.

        >>> import autotensor as at
        >>> at.grad(at.grad(lambda x: x**3))(2.0)
        Tensor(12., dtype=float64)

    ``grad(y, xs)``: gradients of the one-element tensor ``y`` by the tensor ``xs`` (one gradient) or a list (a list).
    Outputs of any shape need ``seeds``, the weight of each element. Where no path leads from ``y`` to an input,
    GradError names the operation that blocks it; ``allow_unused=True`` gives None. The gradients can be
    differentiated again; ``create_graph=False`` saves the memory for that.
    """
    if callable(y) and not isinstance(y, Tensor):
        chosen = which_arguments(xs if argnum is None else argnum, argnums, "grad")
        return _gradient_function(y, chosen, False, has_aux, "grad")
    if xs is None:
        check_function(y, "grad")
    return autodiff.grad(y, xs, seeds=seeds, allow_unused=allow_unused, create_graph=create_graph)


def elementwise_grad(
    f: Callable[..., Any], argnum: Argnums | None = None, *, argnums: Argnums | None = None
) -> Callable[..., Any]:
    """A function giving the gradient of the sum of all elements of what ``f`` returns.

    For an ``f`` that works element by element this is the derivative of each.

    Raises DTypeError for a complex output.
    """
    chosen = which_arguments(argnum, argnums, "elementwise_grad")
    check_function(f, "elementwise_grad")

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions = (chosen,) if isinstance(chosen, int) else chosen
        op = "elementwise_grad"
        call, leaves, forms = enter(args, [position_of(i, args, op) for i in positions], op)
        run = run_on_leaves(f, call, kwargs, leaves, False, op)
        for y in run.outs:
            check_output(y, op)
            if y.dtype.kind == "c":
                raise DTypeError(f"[{op}] expected a real output; got {y.dtype}. Take at.real or at.imag of it.")
        found = pull_back(run, [seed_of(y, None, op) for y in run.outs], run.linked, op)
        regrouped = regroup(found, forms)
        return regrouped[0] if isinstance(chosen, int) else tuple(regrouped)

    return named(differentiated, f, "elementwise_grad")


# -- products with the Jacobian


def _given(form: tree.Structure, value: Any, likes: Sequence[Tensor], op: str, what: str) -> list[Tensor]:
    """Seeds or tangents for tensors of a form, in their shapes and dtypes."""
    try:
        parts = [value] if form is SINGLE else tree.matching(form, value, what)
    except TreeError as error:
        raise TreeError(f"[{op}] {error}") from None
    out = []
    for like, part, path in zip(likes, parts, tree.structure_paths(form, what), strict=True):
        x = operand(part)
        if len(x.shape) != len(like.shape) or any([a != b and None not in (a, b) for a, b in zip(x.shape, like.shape)]):
            raise ShapeError(f"[{op}] expected {path} of shape {like.shape}; got {x.shape}. One number per element.")
        if x.dtype != like.dtype and like.dtype.kind in "fc":
            if x.dtype.kind == "c":
                raise DTypeError(f"[{op}] expected real numbers as {path}; got {x.dtype}. Take at.real of it?")
            x = astype(x, like.dtype)
        out.append(x)
    return out


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Value of ``f(*primals)``, and the function that takes weights of the outputs back to the inputs.

    Returns:
        (value, pull), with ``has_aux`` (value, pull, aux). ``pull(weights)``, weights in the form of the value, gives
        a tuple: for each primal the gradient of the weighted sum of the outputs. It may be called many times, and be
        differentiated.

        >>> import autotensor as at
        >>> value, pull = at.vjp(lambda x, y: x * y, 3.0, 4.0)
        >>> value, pull(1.0)
        (Tensor(12., dtype=float64), (Tensor(4., dtype=float64), Tensor(3., dtype=float64)))
    """
    call, leaves, forms = enter(primals, range(len(primals)), "vjp")
    run = run_on_leaves(f, call, {}, leaves, has_aux, "vjp")

    def pull(weights: Any) -> tuple[Any, ...]:
        seeds = _given(run.form, weights, run.outs, "vjp", "weights")
        linked = run.linked or (state.tracking and any([s.tracked for s in seeds]))
        return tuple(regroup(pull_back(run, seeds, linked, "vjp"), forms))

    return (_value(run), pull, aux_of(run)) if has_aux else (_value(run), pull)


class Linear(NamedTuple):
    """A function at a point, ready to be pushed forward."""

    run: Run
    forms: list[tree.Structure]
    weights: list[Tensor]  # a seed for each output, by which ``back`` is linear
    back: list[Tensor | None]  # gradients of the leaves
    order: Walk

    def push(self, tangents: Sequence[Any], op: str) -> list[Tensor]:
        given: list[Tensor] = []
        start = 0
        if len(tangents) != len(self.forms):
            raise GradError(f"[{op}] expected a tangent for each of {len(self.forms)} primals; got {len(tangents)}.")
        for i, (form, value) in enumerate(zip(self.forms, tangents, strict=True)):
            likes = self.run.leaves[start : start + form.size]
            given += _given(form, value, likes, op, f"tangent {i}")
            start += form.size
        linked = self.run.linked or (state.tracking and any([t.tracked for t in given]))
        taken.count += linked
        pairs = [(g, t) for g, t in zip(self.back, given, strict=True) if g is not None and g.tracked]
        found = backpropagate([g for g, _ in pairs], [t for _, t in pairs], self.weights, linked, self.order)
        outs = [zeros_like(y) if t is None else t for y, t in zip(self.run.outs, found, strict=True)]
        return outs if linked else [released(t) for t in outs]


def transposed(run: Run, forms: list[tree.Structure], op: str) -> Linear:
    """Walk backward with seeds that can be differentiated by: that walk, transposed, is the forward derivative."""
    weights = []
    for y in run.outs:
        weight = zeros_like(y)
        weight.tracked = True
        weights.append(weight)
    back: list[Tensor | None] = [None] * len(run.leaves)
    pairs = [(y, w) for y, w in zip(run.outs, weights, strict=True) if y.tracked and y.dtype.kind in "fc"]
    if pairs:
        ys = [y for y, _ in pairs]
        with enable_grad():
            order = run.order if len(pairs) == len(run.outs) else walk(ys, {id(x) for x in run.leaves})
            back = backpropagate(ys, [w for _, w in pairs], run.leaves, True, order)
    for x, g in zip(run.leaves, back, strict=True):
        if g is None:
            _check_blocked(run, x, op)
    stop = {id(w) for w in weights} | {id(x) for x in run.leaves}
    return Linear(run, forms, weights, back, walk([g for g in back if g is not None and g.tracked], stop))


def _linear(f: Callable[..., Any], primals: Sequence[Any], has_aux: bool, op: str) -> Linear:
    call, leaves, forms = enter(primals, range(len(primals)), op)
    return transposed(run_on_leaves(f, call, {}, leaves, has_aux, op), forms, op)


def _as_primals(op: str, primals: Any, tangents: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TreeError(
            f"[{op}] expected primals and tangents as tuples, one entry for each argument; got "
            f"{type(primals).__name__} and {type(tangents).__name__}. Write {op}(f, (x,), (v,))."
        )
    if len(primals) != len(tangents):
        raise TreeError(f"[{op}] expected a tangent for each of {len(primals)} primals; got {len(tangents)}.")
    return tuple(primals), tuple(tangents)


def jvp(f: Callable[..., Any], primals: Any, tangents: Any, *, has_aux: bool = False) -> tuple[Any, ...]:
    """Value of ``f(*primals)`` and its derivative in the direction of the tangents, in the form of the value.

    Returns (value, tangent), with ``has_aux`` (value, tangent, aux). The derivative is the transpose of the backward
    walk: about the cost of two gradients, whatever the number of outputs. Outputs that are no floats have tangent 0.

        >>> import autotensor as at
        >>> at.jvp(at.sin, (0.0,), (2.0,))
        (Tensor(0., dtype=float64), Tensor(2., dtype=float64))
    """
    xs, vs = _as_primals("jvp", primals, tangents)
    linear = _linear(f, xs, has_aux, "jvp")
    out = regroup(linear.push(vs, "jvp"), [linear.run.form])[0]
    return (_value(linear.run), out, aux_of(linear.run)) if has_aux else (_value(linear.run), out)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Value of ``f(*primals)``, and the function from tangents to the tangent of the value; ``f`` is run once only."""
    linear = _linear(f, primals, False, "linearize")

    def push(*tangents: Any) -> Any:
        return regroup(linear.push(tangents, "linearize"), [linear.run.form])[0]

    return _value(linear.run), push


def hvp(f: Callable[..., Any], primals: Any, vector: Any) -> Any:
    """Product of the Hessian of the real, scalar-valued ``f`` with a vector; no matrix is built.

    ``primals`` is the tuple of arguments and ``vector`` a tuple in its form, as for ``jvp``; for a function of one
    argument both may stand without the tuple. The result has the form of ``primals``.

        >>> import autotensor as at
        >>> at.hvp(lambda x: (x**3).sum(), at.asarray([1.0, 2.0]), at.asarray([1.0, 0.5]))
        Tensor([6., 6.], dtype=float64)
    """
    bare = not isinstance(primals, tuple)
    xs, vs = ((primals,), (vector,)) if bare else _as_primals("hvp", primals, vector)
    # Backward over backward: the Hessian is its own transpose, and this walk is shorter than a forward one.
    _, pull = vjp(_gradient_function(f, tuple(range(len(xs))), False, False, "hvp"), *xs)
    found = pull(vs)
    return found[0] if bare else found
