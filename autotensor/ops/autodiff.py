"""Gradients of tensors: grad, gradients, backward, stop_gradient. The walk is in ``core.grad``.

Derivatives of functions are in ``autotensor.transforms``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, result_dtype, shape_of
from autotensor.core.grad import backpropagate, blocking_op, walk
from autotensor.core.op import defop
from autotensor.core.state import enable_grad, no_grad, state
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import DTypeError, GradError, ShapeError
from autotensor.ops.elementwise import astype
from autotensor.ops.like import ones_like

__all__ = ["gradients", "stop_gradient"]


# -- tensors


class _Taken(threading.local):
    """How many derivatives that can be differentiated this thread has taken; by it one sees if a function takes any."""

    count: int = 0


taken = _Taken()

# The usual seeds of scalars. Nobody writes them: a tensor copies an array before a write that is not its alone.
_ONES = {np.dtype(d): np.ones((), d) for d in (np.float32, np.float64)}
for _one in _ONES.values():
    _one.flags.writeable = False


def seed_of(y: Tensor, given: Any, op: str) -> Tensor:
    """The gradient that enters at y: ones, or what the caller gives, in the shape and dtype of y."""
    if given is None:
        if y.data is not None and not y.data.ndim:
            one = _ONES.get(y.data.dtype)
            if one is not None:
                return wrap(one)
        shape = tuple([d for d in y.shape if d is not None])
        return wrap(np.full(shape, 1, y.dtype)) if len(shape) == len(y.shape) else ones_like(y)
    if type(given) is Tensor and _alike(given.data, y.data):
        return given
    # An array is copied: results may share its memory.
    seed = given if isinstance(given, Tensor) else Tensor(given, y.dtype)
    if len(seed.shape) != len(y.shape) or any(
        [a != b and None not in (a, b) for a, b in zip(seed.shape, y.shape, strict=False)]
    ):
        raise ShapeError(
            f"[{op}] expected a seed of the output's shape {y.shape}; got {seed.shape}. "
            "A seed holds the weight of each element of the output."
        )
    return seed if seed.dtype == y.dtype else astype(seed, y.dtype)


def _alike(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype


def check_output(y: Any, op: str) -> None:
    if not isinstance(y, Tensor):
        raise GradError(f"[{op}] expected tensors as outputs; got {type(y).__name__}. Leave out float() and numpy()?")
    if (y.aval if y.data is None else y.data).dtype.kind not in "fc":
        raise DTypeError(f"[{op}] only floating tensors have gradients; the output is {y.dtype}. Use astype first?")


def check_single(y: Tensor, op: str) -> None:
    if y.size is not None and y.size != 1:
        raise GradError(
            f"[{op}] expected an output with one element; got shape {y.shape}. Reduce it with sum() or mean(), or pass "
            "a seed."
        )


def no_path(op: str, ys: Sequence[Tensor], x: Tensor) -> GradError:
    label = repr(x.name) if x.name else f"the input of shape {x.shape}"
    if x.dtype.kind not in "fc":
        return GradError(f"[{op}] {label} is {x.dtype}; only floating tensors have gradients. Use astype first?")
    for y in ys:
        blocker = blocking_op(y, x)
        if blocker is not None:
            shown = repr(y.name) if y.name else "the output"
            return GradError(
                f"[{op}] {blocker} has no gradient; it lies between {shown} and {label}. "
                "Use allow_unused=True if that is meant."
            )
    if not x.tracked:
        return GradError(
            f"[{op}] {label} was not tracked when the output was computed. Make it with requires_grad=True."
        )
    return GradError(f"[{op}] the output does not depend on {label}. Use allow_unused=True if that is meant.")


def _backpropagate(
    ys: list[Tensor], seeds: list[Tensor], xs: list[Tensor], create_graph: bool, op: str
) -> list[Tensor | None]:
    for x in xs:
        if not isinstance(x, Tensor):
            raise GradError(
                f"[{op}] expected tensors to differentiate by; got {type(x).__name__}. Use at.asarray, and compute the "
                "output from it."
            )
    if create_graph:
        taken.count += 1
    return backpropagate(ys, seeds, xs, create_graph)


def gradients(ys: Any, xs: Any, seeds: Any = None) -> list[Tensor | None]:
    """Gradients of the sum of all elements of ``ys`` by each of ``xs``; None where no path leads.

    ``ys`` and ``xs`` are tensors or lists of them. Eager tensors give eager gradients, symbolic ones symbolic.

    Raises GradError where ``seeds`` are more or fewer than ``ys``.
    """
    outputs = list(ys) if isinstance(ys, (list, tuple)) else [ys]
    given = [None] * len(outputs) if seeds is None else list(seeds) if isinstance(seeds, (list, tuple)) else [seeds]
    if len(given) != len(outputs):
        raise GradError(f"[gradients] expected a seed for each of {len(outputs)} outputs; got {len(given)}.")
    for y in outputs:
        check_output(y, "gradients")
    weights = [seed_of(y, given_seed, "gradients") for y, given_seed in zip(outputs, given, strict=True)]
    wanted = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    return _backpropagate(outputs, weights, wanted, True, "gradients")


def grad(y: Any, xs: Any, *, seeds: Any = None, allow_unused: bool = False, create_graph: bool = True) -> Any:
    """Gradients of the one-element tensor ``y`` by the tensor ``xs``, or by each of a list (see ``at.grad``)."""
    outputs, given = [y], [seeds]
    if isinstance(y, (list, tuple)):
        outputs = list(y)
        given = [None] * len(outputs) if seeds is None else list(seeds)
        if len(given) != len(outputs):
            raise GradError(f"[grad] expected a seed for each of {len(outputs)} outputs; got {len(given)}.")
    weights = []
    for out, seed in zip(outputs, given, strict=True):
        check_output(out, "grad")
        if seed is None:
            check_single(out, "grad")
        weights.append(seed_of(out, seed, "grad"))
    many = isinstance(xs, (list, tuple))
    wanted = list(xs) if many else [xs]
    found = _backpropagate(outputs, weights, wanted, create_graph, "grad")
    if not allow_unused:
        for x, g in zip(wanted, found, strict=True):
            if g is None:
                raise no_path("grad", outputs, x)
    return found if many else found[0]


# -- backward


def backward(y: Tensor, grad: Any = None, *, create_graph: bool = False) -> None:
    """Add the gradient of this tensor to ``.grad`` of every tracked leaf it was computed from.

    A tensor of several elements needs ``grad``, the weight of each. The recording stays: a second call adds the same
    gradients again. With ``create_graph`` the gradients can be differentiated.

    Raises GradError for a constant, and for several elements without ``grad``.
    """
    check_output(y, "backward")
    if y.data is None:
        raise y._no_value("backward()")
    if grad is None:
        check_single(y, "backward")
    if y.node is None and not y.requires_grad:
        raise GradError(
            "[backward] expected a tensor computed from tracked ones; this one is a constant. Make the inputs with "
            "requires_grad=True?"
        )
    walked = walk([y])
    wanted = [x for x in walked.leaves.values() if x.requires_grad]
    found = backpropagate([y], [seed_of(y, grad, "backward")], wanted, create_graph, walked)
    with enable_grad() if create_graph and state.tracking else no_grad():
        for x, g in zip(wanted, found, strict=True):
            if g is not None:
                x.grad = g if x.grad is None else x.grad + g


# -- stop_gradient


def _infer_stop(x: Operand) -> Aval:
    return Aval(shape_of(x), result_dtype(x))


@defop("stop_gradient", impl=np.asarray, infer=_infer_stop, expr="{0}", view=True)
def stop_gradient_op(needs, g, out, x):
    return (None,)


def stop_gradient(x: Any) -> Tensor:
    """x as a constant for gradients.

    >>> import autotensor as at
    >>> at.grad(lambda x: x * at.stop_gradient(x))(3.0)
    Tensor(3., dtype=float64)
    """
    if type(x) is Tensor and x.data is not None and state.trace is None:
        return wrap(x.data)
    return stop_gradient_op(x)
