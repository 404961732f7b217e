"""Batch normalization in training: statistics, normalisation and its gradient as operations of their own.

S. Ioffe and C. Szegedy, "Batch normalization" (2015), arXiv:1502.03167. The gradient of ``batch_norm`` is an operation
with a fallback, from which higher derivatives come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, normalize_axis, shape_of
from autotensor.core.op import defop, defop_no_grad, run_bound
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.kernels import normalization as kernels
from autotensor.kernels.calls import chained, ordered
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import sqrt
from autotensor.ops.like import broadcast_like
from autotensor.ops.reduce import _count
from autotensor.ops.reduce import mean as mean_
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.reduce import var as var_
from autotensor.ops.shape import reshape, text

__all__ = ["batch_norm"]


def _rest(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple([k for k in range(ndim) if k != axis])


def _along(v: Any, ndim: int, axis: int) -> Any:
    """A vector of features in the shape that broadcasts along their axis."""
    return v if axis == ndim - 1 else reshape(v, tuple([-1 if k == axis else 1 for k in range(ndim)]))


def _check(x: Operand, axis: int, *vectors: Operand) -> Dim:
    """The number of features; raises where x, gamma and the rest do not fit."""
    shape = shape_of(x)
    if any([not isinstance(v, Aval) or v.dtype != x.dtype or v.dtype.kind != "f" for v in (x, *vectors)]):  # type: ignore[union-attr]
        shown = ", ".join([str(getattr(v, "dtype", type(v).__name__)) for v in (x, *vectors)])
        raise DTypeError(f"[batch_norm] expected floating tensors of one dtype; got {shown}. Use astype?")
    if not 0 <= axis < len(shape):
        raise ShapeError(f"[batch_norm] expected an axis of {text(shape)}; got {axis}. -1 is the last one.")
    for v in vectors:
        own = shape_of(v)
        if len(own) != 1 or (None not in (own[0], shape[axis]) and own[0] != shape[axis]):
            raise ShapeError(
                f"[batch_norm] expected a number for each of {shape[axis]} features, on axis {axis} of {text(shape)}; "
                f"got shape {text(own)}."
            )
    return shape[axis]


def _planes(x: np.ndarray, axis: int) -> np.ndarray:
    """x as (before, features, after)."""
    return x.reshape(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))


def _run(kernel: Any, axis: int, outs: Any, arrays: Any, scratch: Any) -> Any:
    """The call of a kernel on contiguous arrays; those like the first one by features, in float32 for float16.

    kernel(*outs, *arrays): makes it. Arrays of the first one's rank are (before, features, after), others vectors.
    """
    first = arrays[0]
    work = np.dtype(np.float32) if first.dtype == np.float16 else first.dtype
    before: Any = []
    after: Any = []
    made = []
    for out in outs:
        if out.dtype == work and out.flags.c_contiguous:
            made.append(out)
        else:
            made.append(scratch(out.shape, work))
            after.append((out, made[-1]))
    given = [ordered(x, work, scratch, before) for x in arrays]
    shaped = [_planes(x, axis) if x.shape == first.shape else x for x in [*made, *given]]
    return chained(before, kernel(*shaped), after)


def _aval(x: np.ndarray) -> Aval:
    return Aval(x.shape, x.dtype)


def _empty(avals: Sequence[Aval]) -> tuple[np.ndarray, ...]:
    shapes: list[Any] = [a.shape for a in avals]
    return tuple([np.empty(shape, a.dtype) for shape, a in zip(shapes, avals)])


# -- mean and variance


def _infer_moments(x: Operand, axis: int) -> tuple[Aval, Aval]:
    vector = Aval((_check(x, axis),), x.dtype)  # type: ignore[union-attr]
    return vector, vector


def _moments_bind(outs: Any, arrays: Any, scratch: Any, axis: int) -> Any:
    return _run(lambda m, v, x: kernels.moments(m, v, x, scratch), axis, outs, arrays, scratch)


def _moments_impl(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    outs = np.empty(x.shape[axis], x.dtype), np.empty(x.shape[axis], x.dtype)
    run_bound(_moments_bind, outs, (x,), axis=axis)
    return outs


@defop(
    "moments",
    impl=_moments_impl,
    infer=_infer_moments,
    bind=_moments_bind,
    n_out=2,
    fallback=lambda x, axis: (mean_(x, _rest(x.ndim, axis)), var_(x, _rest(x.ndim, axis))),
)
def moments(needs, g, out, x, axis):
    """Mean and variance of each feature, the elements along ``axis``."""
    return (_moments_gradient(g, x, out[0], axis),)


def _moments_gradient(g: Any, x: Any, mean: Any, axis: int) -> Any:
    """What gradients of mean and variance are to x; None where there is none of either."""
    n = _count(x, _rest(x.ndim, axis))
    total = None
    if g[0] is not None:
        total = broadcast_like(_along(g[0] / n, x.ndim, axis), x)
    if g[1] is not None:
        part = _along(g[1] * 2 / n, x.ndim, axis) * (x - _along(mean, x.ndim, axis))
        total = part if total is None else total + part
    return total


# -- normalisation


def _infer(x: Operand, gamma: Operand, beta: Operand, axis: int, epsilon: float) -> tuple[Aval, Aval, Aval]:
    features = _check(x, axis, gamma, beta)
    if features is None:
        features = next((n for v in (gamma, beta) for n in shape_of(v) if n is not None), None)
    vector = Aval((features,), x.dtype)  # type: ignore[union-attr]
    return Aval(shape_of(x), x.dtype), vector, vector  # type: ignore[union-attr]


def _bind(outs: Any, arrays: Any, scratch: Any, axis: int, epsilon: float) -> Any:
    def kernel(out: Any, mean: Any, var: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return kernels.normalize(out, mean, var, x, gamma, beta, epsilon, scratch)

    return _run(kernel, axis, outs, arrays, scratch)


def _impl(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, axis: int, epsilon: float) -> tuple[np.ndarray, ...]:
    avals = _infer(_aval(x), _aval(gamma), _aval(beta), axis, epsilon)
    outs = _empty(avals)
    run_bound(_bind, outs, (x, gamma, beta), axis=axis, epsilon=epsilon)
    return outs


def _normalized(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, axis: int, epsilon: float) -> Any:
    scale = gamma / sqrt(var + epsilon)
    return (x - _along(mean, x.ndim, axis)) * _along(scale, x.ndim, axis) + _along(beta, x.ndim, axis)


def _fallback(x: Tensor, gamma: Tensor, beta: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    rest = _rest(x.ndim, axis)
    mean, var = mean_(x, rest), var_(x, rest)
    return _normalized(x, gamma, beta, mean, var, axis, epsilon), mean, var


@defop("batch_norm", impl=_impl, infer=_infer, bind=_bind, fallback=_fallback, n_out=3)
def batch_norm_op(needs, g, out, x, gamma, beta, axis, epsilon):
    """gamma * (x - mean) / sqrt(var + epsilon) + beta, mean and variance of each feature along ``axis``."""
    _, mean, var = out
    gx = ggamma = gbeta = None
    if g[0] is not None:
        gx, ggamma, gbeta = batch_norm_grad(g[0], x, gamma, mean, var, axis=axis, epsilon=epsilon)
    if needs[0]:
        more = _moments_gradient(g[1:], x, mean, axis)
        gx = more if gx is None else gx if more is None else gx + more
    return gx, ggamma, gbeta


def _infer_grad(
    g: Operand, x: Operand, gamma: Operand, mean: Operand, var: Operand, axis: int, epsilon: float
) -> tuple[Aval, Aval, Aval]:
    features = _check(x, axis, gamma, mean, var)
    a, b = shape_of(g), shape_of(x)
    if len(a) != len(b) or any([m != n and None not in (m, n) for m, n in zip(a, b)]):
        raise ShapeError(f"[batch_norm] expected a gradient of shape {text(b)}; got {text(a)}.")
    if g.dtype != x.dtype:  # type: ignore[union-attr]
        raise DTypeError(f"[batch_norm] expected a gradient of dtype {x.dtype}; got {g.dtype}.")  # type: ignore[union-attr]
    vector = Aval((features,), x.dtype)  # type: ignore[union-attr]
    return Aval(b, x.dtype), vector, vector  # type: ignore[union-attr]


def _grad_bind(outs: Any, arrays: Any, scratch: Any, axis: int, epsilon: float) -> Any:
    def kernel(gx: Any, ggamma: Any, gbeta: Any, g: Any, x: Any, gamma: Any, mean: Any, var: Any) -> Any:
        return kernels.gradients(gx, ggamma, gbeta, g, x, gamma, mean, var, epsilon, scratch)

    return _run(kernel, axis, outs, arrays, scratch)


def _grad_impl(
    g: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, var: np.ndarray, axis: int, epsilon: float
) -> tuple[np.ndarray, ...]:
    outs = _empty(_infer_grad(_aval(g), _aval(x), _aval(gamma), _aval(mean), _aval(var), axis, epsilon))
    run_bound(_grad_bind, outs, (g, x, gamma, mean, var), axis=axis, epsilon=epsilon)
    return outs


def _grad_fallback(
    g: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, var: Tensor, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    rest = _rest(x.ndim, axis)
    r = 1.0 / sqrt(var + epsilon)
    y = (x - _along(mean, x.ndim, axis)) * _along(r, x.ndim, axis)
    n = _count(x, rest)
    gbeta, ggamma = sum_(g, rest), sum_(g * y, rest)
    inner = g - _along(gbeta / n, x.ndim, axis) - y * _along(ggamma / n, x.ndim, axis)
    return _along(gamma * r, x.ndim, axis) * inner, ggamma, gbeta


batch_norm_grad = defop_no_grad(
    "batch_norm_grad",
    impl=_grad_impl,
    infer=_infer_grad,
    bind=_grad_bind,
    fallback=_grad_fallback,
    n_out=3,
    doc="Gradients of batch_norm's first result by x, gamma and beta; mean and variance are those of x.",
)


def batch_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: int = -1, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalization in training: (gamma * (x - mean) / sqrt(var + epsilon) + beta, mean, var).

    x: floating, its features along ``axis``: (..., features) or, for channels first, (n, features, ...).
    gamma, beta: (features,), or None for 1 and 0.

    Mean and variance, (features,), are those of all elements of a feature, the variance divided by their number.
    Gradients flow through all three results.

    Raises ShapeError for an unknown number of features without both vectors.

        >>> import numpy as np
        >>> import autotensor as at
        >>> normalized, mean, var = at.batch_norm(np.array([[1.0], [3.0]]), epsilon=0.0)
        >>> normalized[:, 0], mean, var
        (Tensor([-1.,  1.], dtype=float64), Tensor([2.], dtype=float64), Tensor([1.], dtype=float64))
    """
    x = operand(x)
    axis = normalize_axis("batch_norm", axis, x.ndim)
    features: Any = x.shape[axis]
    if features is None and (gamma is None or beta is None):
        raise ShapeError(f"[batch_norm] expected a known number of features; got {text(x.shape)}. Pass both vectors?")
    gamma = np.ones(features, x.dtype) if gamma is None else gamma
    beta = np.zeros(features, x.dtype) if beta is None else beta
    return batch_norm_op(x, gamma, beta, axis=axis, epsilon=float(epsilon))
