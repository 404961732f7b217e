"""Operations of your own.

Two ways. ``defop`` makes an operation as all of autotensor's are: with a shape rule, so it stands in graphs, is
compiled, and can have a Numba kernel; see "Adding an operation" in the guide. ``primitive`` and ``defvjp``, in the
words of HIPS autograd, make one out of a Python function on arrays: for eager use, and in graphs with ``infer``.

    >>> import numpy as np
    >>> import autotensor as at
    >>> from autotensor.extend import defvjp, primitive
    >>> @primitive
    ... def logsumexp(x):
    ...     top = np.max(x)
    ...     return top + np.log(np.sum(np.exp(x - top)))
    >>> defvjp(logsumexp, lambda ans, x: lambda g: g * at.exp(x - ans))
    >>> at.grad(logsumexp)(np.array([1.0, 1.0]))
    Tensor([0.5, 0.5], dtype=float64)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, broadcast_shapes, float_dtype, normalize_axes, normalize_axis, result_dtype
from autotensor.core.op import Op, apply, defop, defop_no_grad, lookup, register, run_bound
from autotensor.core.state import state
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import GradError, GraphError
from autotensor.kernels.jit import jit
from autotensor.ops.elementwise import floating, promoting
from autotensor.ops.like import broadcast_like, fill_like, ones_like, reshape_like, unbroadcast, zeros_like
from autotensor.transforms.batching import Batch, Batched, batching_rule
from autotensor.transforms.custom import custom_vjp

__all__ = [
    "Aval", "Batch", "Batched", "Op", "apply", "batching_rule", "broadcast_like", "broadcast_shapes", "custom_vjp",
    "defjvp", "defjvp_argnum", "defjvp_argnums", "def_linear", "defop", "defop_no_grad", "defvjp", "defvjp_argnum",
    "defvjp_argnums", "fill_like", "float_dtype", "floating", "jit", "lookup", "normalize_axes", "normalize_axis",
    "notrace_primitive", "ones_like", "primitive", "promoting", "register", "register_notrace", "reshape_like",
    "result_dtype", "run_bound", "unbroadcast", "zeros_like",
]  # fmt: skip


class _Call:
    """The arguments of a primitive that are no arrays, and where the arrays stand."""

    __slots__ = ("args", "kwargs", "places")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], places: tuple[int, ...]):
        self.args = args
        self.kwargs = kwargs
        self.places = places

    def filled(self, values: Sequence[Any]) -> list[Any]:
        out = list(self.args)
        for i, value in zip(self.places, values, strict=True):
            out[i] = value
        return out


class Primitive:
    """A function on arrays as an operation; see ``primitive``."""

    def __init__(self, f: Callable[..., Any], infer: Callable[..., Any] | None, differentiable: bool = True):
        functools.update_wrapper(self, f)
        self.fun = f
        self.differentiable = differentiable
        self.name = getattr(f, "__name__", "primitive")
        self.vjps: Callable[..., Any] | None = None
        self._infer = infer
        self.op = Op(self.name, impl=self._impl, infer=self._shape, vjp=self._vjp, doc=f.__doc__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        places = tuple([i for i, x in enumerate(args) if isinstance(x, Tensor)])
        if not places:
            return self.fun(*args, **kwargs)
        rest = tuple([None if i in places else x for i, x in enumerate(args)])
        return apply(self.op, *[args[i] for i in places], call=_Call(rest, kwargs, places))

    def _impl(self, *arrays: Any, call: _Call) -> np.ndarray:
        result = self.fun(*call.filled(arrays), **call.kwargs)
        if isinstance(result, Tensor):
            return result.numpy()
        if isinstance(result, (tuple, list, dict)):
            raise GraphError(
                f"[{self.name}] expected one array as the result of a primitive; got {type(result).__name__}. "
                "Make a primitive of each part, or use defop with n_out."
            )
        # A copy of what the function may have returned untouched: operations never share memory with their inputs.
        value = np.asarray(result)
        return value.copy() if any([np.may_share_memory(value, x) for x in arrays]) else value

    def _shape(self, *avals: Any, call: _Call) -> Any:
        if self._infer is None:
            raise GraphError(
                f"[{self.name}] a primitive works on arrays, and can not stand in a graph (at.function, at.compile, "
                "vmap, scan): its result's shape is not known. Give it primitive(f, infer=...), or use defop."
            )
        return self._infer(*call.filled(avals), **call.kwargs)

    def _vjp(self, needs: Sequence[bool], g: Any, out: Any, *inputs: Any, call: _Call) -> list[Any]:
        if not self.differentiable:
            return [None] * len(inputs)
        wanted = [k for k, need in enumerate(needs) if need]
        if self.vjps is None:
            raise GradError(f"[{self.name}] has no gradient. Define it with defvjp({self.name}, ...).")
        args = call.filled(inputs)
        found = self.vjps(tuple([call.places[k] for k in wanted]), out, tuple(args), call.kwargs)(g)
        grads: list[Any] = [None] * len(inputs)
        for k, value in zip(wanted, found, strict=True):
            grads[k] = value if isinstance(value, Tensor) or value is None else self._once(value, g, out, inputs)
        return grads

    def _once(self, value: Any, g: Any, out: Any, inputs: Sequence[Any]) -> Tensor:
        """A gradient that was computed with arrays: it must not pass for a constant."""
        made = wrap(np.asarray(value))
        if not state.tracking:
            return made
        return apply(_once_op, made, g, out, *inputs, name=self.name)


def _refuse(needs: Any, g: Any, out: Any, *inputs: Any, name: str) -> Any:
    raise GradError(
        f"[{name}] its gradient was computed with arrays, and can not be differentiated again. Write the rule with "
        "operations of autotensor (autotensor.numpy in the place of numpy)."
    )


_once_op = Op(
    "once_differentiable",
    impl=lambda value, *others, name: value.copy(),
    infer=lambda value, *others, name: value,
    vjp=_refuse,
)


def primitive(f: Callable[..., Any] | None = None, *, infer: Callable[..., Any] | None = None) -> Any:
    """Make a function on arrays an operation; a decorator.

    ``f`` gets arrays in the place of tensors, and everything else as it is, and returns one array. Called without any
    tensor it is ``f`` itself. Gradients are defined with ``defvjp``; derivatives forward and of higher order follow
    from these, if they are written with operations.

    infer: rule for the shape of the result, for use in graphs: gets the arguments with an ``Aval`` in the place of
        each tensor and returns an ``Aval``. Without it the operation is eager only; under ``vmap`` it runs example by
        example, with ``infer``.

    Raises:
        GraphError: in graphs, without ``infer``.
    """
    if f is None:
        return lambda g: Primitive(g, infer)
    return Primitive(f, infer)


def notrace_primitive(f: Callable[..., Any]) -> Primitive:
    """A function on arrays whose result is a constant for gradients."""
    return Primitive(f, None, differentiable=False)


def register_notrace(trace_type: Any, f: Primitive) -> None:
    """Make the results of a primitive constants for gradients (``trace_type`` has no meaning here)."""
    _checked(f).differentiable = False


def _checked(f: Any) -> Primitive:
    if not isinstance(f, Primitive):
        raise GradError(
            f"[defvjp] expected a function decorated with @primitive; got {getattr(f, '__name__', f)!r}. "
            "For a function made of operations use at.custom_vjp."
        )
    return f


def defvjp(f: Any, *vjpmakers: Callable[..., Any] | None, argnums: Iterable[int] | None = None) -> None:
    """Define the gradient of a primitive, argument by argument.

    Each of ``vjpmakers`` is ``maker(ans, *args, **kwargs)``, which returns a function from the gradient of the result
    to that of the argument; None stands for zero. ``argnums`` names the arguments if they are not the first ones.
    Arguments and ``ans`` are tensors there: written with operations, the gradient can be differentiated again.

    A gradient by an argument without a rule raises GradError.
    """
    makers = dict(zip(count() if argnums is None else argnums, vjpmakers, strict=False))
    name = _checked(f).name

    def by_argnum(argnum: int, ans: Any, args: Any, kwargs: Any) -> Any:
        if argnum not in makers:
            raise GradError(
                f"[{name}] has no gradient by argument {argnum}. Give defvjp a rule for it, or None for zero."
            )
        maker = makers[argnum]
        return (lambda g: None) if maker is None else maker(ans, *args, **kwargs)

    defvjp_argnum(f, by_argnum)


def defvjp_argnum(f: Any, vjpmaker: Callable[..., Any]) -> None:
    """Define the gradient of a primitive by ``vjpmaker(argnum, ans, args, kwargs)``, which returns a function of g."""

    def by_argnums(argnums: Sequence[int], ans: Any, args: Any, kwargs: Any) -> Any:
        makers = [vjpmaker(argnum, ans, args, kwargs) for argnum in argnums]
        return lambda g: [made(g) for made in makers]

    defvjp_argnums(f, by_argnums)


def defvjp_argnums(f: Any, vjpmaker: Callable[..., Any]) -> None:
    """Define the gradient by several arguments: ``vjpmaker(argnums, ans, args, kwargs)(g)`` gives one for each."""
    _checked(f).vjps = vjpmaker


def defjvp(f: Any, *jvpmakers: Any, argnums: Iterable[int] | None = None) -> None:
    """Accepted and not used: derivatives forward are the transpose of those that ``defvjp`` defines."""
    _checked(f)


def defjvp_argnum(f: Any, jvpmaker: Callable[..., Any]) -> None:
    """Accepted and not used, as ``defjvp``."""
    _checked(f)


def defjvp_argnums(f: Any, jvpmaker: Callable[..., Any]) -> None:
    """Accepted and not used, as ``defjvp``."""
    _checked(f)


def def_linear(f: Any) -> None:
    """Accepted and not used, as ``defjvp``."""
    _checked(f)
