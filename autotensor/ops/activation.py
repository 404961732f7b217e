"""Activation functions and softmax.

The hot ones are operations of their own; the others are compositions, which the compiler fuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval, Operand, broadcast_shapes, float_dtype, normalize_axis, result_dtype, shape_of
from autotensor.core.op import defop, defop_no_grad, run_bound
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError
from autotensor.kernels import softmax as kernels
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import abs as abs_
from autotensor.ops.elementwise import (
    clip,
    divide,
    erf,
    exp,
    floating,
    greater,
    log,
    minimum,
    multiply,
    subtract,
    tanh,
    where,
)
from autotensor.ops.reduce import peak
from autotensor.ops.reduce import sum as sum_

# -- rectifiers


def _infer_relu(x: Operand) -> Aval:
    return Aval(shape_of(x), result_dtype(x, 0))


@defop(
    "relu",
    impl=lambda x: np.maximum(x, 0),
    infer=_infer_relu,
    expr={"f": "maximum({0}, c(0.0))", "i": "maximum({0}, 0)"},
    into=lambda out, x: np.maximum(x, 0, out=out),
)
def relu_op(needs, g, out, x):
    """max(x, 0), with gradient 0 at 0."""
    return (where(greater(out, 0), g, 0.0),)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """Rectified linear unit; by default max(x, 0).

    x where x > threshold, else negative_slope * (x - threshold); never above max_value. The form of ``K.relu``
    in Keras 2.3.1, which calls the slope ``alpha``.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(lambda x: at.sum(at.relu(x)))(np.array([-1.0, 0.0, 2.0]))
        Tensor([0., 0., 1.], dtype=float64)
    """
    if negative_slope == 0.0 and threshold == 0.0:
        y = relu_op(x)
    else:
        below = multiply(subtract(x, threshold), negative_slope) if negative_slope != 0.0 else 0.0
        y = where(greater(x, threshold), x, below)
    return y if max_value is None else minimum(y, max_value)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return where(greater(x, 0), x, multiply(x, negative_slope))


def _elu_impl(x: Any, alpha: float) -> Any:
    x = np.asarray(x)
    # minimum: no overflow where the other branch is taken; it would make integers of bools
    y = np.expm1(x if x.dtype.kind == "b" else np.minimum(x, 0))
    return np.where(np.greater(x, 0), x, np.multiply(y, alpha)).astype(y.dtype, copy=False)


@defop(
    "elu",
    impl=_elu_impl,
    infer=floating("elu"),
    expr={"f": "select({0} > c(0.0), {0}, c({alpha}) * expm1({0}))"},
)
def elu_op(needs, g, out, x, alpha):
    """x where x > 0, else alpha * (e**x - 1)."""
    return (g * where(greater(x, 0), 1.0, out + alpha),)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit: x where x > 0, else alpha * (e**x - 1). Clevert et al., 2015."""
    return elu_op(x, alpha=float(alpha))


# Klambauer et al., "Self-normalizing neural networks", 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def selu(x: Any) -> Tensor:
    """Scaled exponential linear unit: 1.0507 * elu(x, 1.6733). Klambauer et al., 2017."""
    return multiply(elu(x, _SELU_ALPHA), _SELU_SCALE)


# -- sigmoid and its kin


def _sigmoid_impl(x: Any) -> np.ndarray:
    e = np.exp(-np.abs(x)) if np.asarray(x).dtype.kind != "b" else np.exp(np.negative(x, dtype=np.float16))
    return np.where(np.greater_equal(x, 0), 1, e) / (1 + e)


@defop("sigmoid", impl=_sigmoid_impl, infer=floating("sigmoid"), expr={"f": "sigmoid({0})"})
def sigmoid(needs, g, out, x):
    """1 / (1 + e**-x), without overflow."""
    return (g * (out * (1.0 - out)),)


def hard_sigmoid(x: Any) -> Tensor:
    """0.2 * x + 0.5, cut to 0..1: the piecewise linear sigmoid of Keras 0.x to 2.x (Keras 3 has another)."""
    return clip(multiply(x, 0.2) + 0.5, 0.0, 1.0)


def _softplus_impl(x: Any) -> Any:
    x = np.asarray(x)
    if x.dtype.kind == "b":
        x = x.astype(np.float16)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@defop("softplus", impl=_softplus_impl, infer=floating("softplus"), expr={"f": "softplus({0})"})
def softplus(needs, g, out, x):
    """log(1 + e**x), without overflow.

    >>> import autotensor as at
    >>> at.grad(at.softplus)(0.0)
    Tensor(0.5, dtype=float64)
    """
    return (g * sigmoid(x),)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return divide(x, abs_(x) + 1.0)


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also known as swish."""
    return multiply(x, sigmoid(x))


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x * Phi(x) with the normal distribution's Phi; ``approximate`` by tanh. Hendrycks and Gimpel, 2016."""
    if approximate:
        x = operand(x)
        inner = (x + x * x * x * 0.044715) * 0.7978845608028654  # sqrt(2 / pi)
        return x * 0.5 * (tanh(inner) + 1.0)
    return multiply(x, 0.5) * (erf(multiply(x, 0.7071067811865476)) + 1.0)  # 1 / sqrt(2)


# -- softmax


def _infer_softmax(op: str) -> Any:
    def infer(x: Operand, axis: int) -> Aval:
        normalize_axis(op, axis, len(shape_of(x)))
        return Aval(shape_of(x), float_dtype(x))

    return infer


# Beyond so many numbers in a row the own kernels win over generated ones: 0.3 against 0.8 ms on 1024 x 1000.
_WIDE = 64


def _fused_rows(fallback: Any, any_axis: bool = False) -> Any:
    """Along the last axis a generated kernel says it better: it takes in the operations before and after."""

    def lower(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        fits = any_axis or (
            params["axis"] == len(out.shape) - 1 and (out.dtype != np.float32 or (out.shape[-1] or 0) <= _WIDE)
        )
        return (
            fallback(*inputs, **params) if fits and config.fuse and config.numba and out.dtype != np.float16 else None
        )

    return lower


def _rows(name: str, plain: Any, logarithm: bool) -> dict[str, Any]:
    """Implementations of softmax or its logarithm: the compiled rows where they apply, else NumPy."""

    def bind(outs: Any, arrays: Any, scratch: Any, axis: int) -> Any:
        return kernels.forward(outs[0], arrays[0], axis, logarithm, scratch)

    def impl(x: Any, axis: int) -> np.ndarray:
        if isinstance(x, np.ndarray) and x.dtype == np.float32 and axis == x.ndim - 1 and x.size and config.numba:
            out = np.empty(x.shape, np.float32)
            run_bound(bind, (out,), (x,), axis=axis)
            return out
        return plain(x, axis)

    return {"impl": impl, "bind": bind, "infer": _infer_softmax(name)}


def _rows_grad(name: str, plain: Any, logarithm: bool, fallback: Any) -> Any:
    """Gradient g, y -> gx of the softmax y, or of its logarithm."""

    def bind(outs: Any, arrays: Any, scratch: Any, axis: int) -> Any:
        g, y = arrays
        return kernels.backward(outs[0], g, y, axis, logarithm, scratch)

    def impl(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        if not y.ndim:
            raise ValueError("a scalar has no axis")  # NumPy takes axis 0 of one
        if g.dtype == y.dtype == np.float32 and axis == y.ndim - 1 and y.size and config.numba and g.shape == y.shape:
            out = np.empty(y.shape, np.float32)
            run_bound(bind, (out,), (g, y), axis=axis)
            return out
        return plain(g, y, axis)

    def infer(g: Operand, y: Operand, axis: int) -> Aval:
        normalize_axis(name, axis, len(shape_of(y)))
        if not (isinstance(g, Aval) and isinstance(y, Aval) and g.dtype.kind == y.dtype.kind == "f"):
            raise DTypeError(f"[{name}] expected a floating gradient and result; got {g} and {y}.")
        return Aval(broadcast_shapes(name, g.shape, y.shape), float_dtype(g, y))

    return defop_no_grad(
        f"{name}_grad",
        impl=impl,
        infer=infer,
        bind=bind,
        fallback=fallback,
        lower=_fused_rows(fallback, any_axis=True),
        doc=f"Gradient of {name} by its input, from the gradient of its result and that result.",
    )


def _softmax_fallback(x: Tensor, axis: int) -> Tensor:
    e = exp(x - peak(x, (axis,)))  # the gradients through the maximum cancel
    return e / sum_(e, axis=axis, keepdims=True)


softmax_grad = _rows_grad(
    "softmax",
    kernels.softmax_grad,
    False,
    lambda g, y, axis: (g - sum_(g * y, axis=axis, keepdims=True)) * y,
)


@defop(
    "softmax",
    **_rows("softmax", kernels.softmax, False),
    fallback=_softmax_fallback,
    lower=_fused_rows(_softmax_fallback),
)
def softmax_op(needs, g, out, x, axis):
    """e**x / sum(e**x)."""
    return (softmax_grad(g, out, axis=axis),)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """e**x / sum(e**x) along ``axis``: positive numbers with sum 1. No overflow for large x.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.softmax(np.array([1.0, 1.0, 3.0]))
    Tensor([0.10650698, 0.10650698, 0.78698604], dtype=float64)
    >>> at.grad(lambda x: at.softmax(x)[0])(np.array([1.0, 1.0]))
    Tensor([ 0.25, -0.25], dtype=float64)
    """
    x = operand(x)
    return softmax_op(x, axis=normalize_axis("softmax", axis, x.ndim))


def _log_softmax_fallback(x: Tensor, axis: int) -> Tensor:
    z = x - peak(x, (axis,))
    return z - log(sum_(exp(z), axis=axis, keepdims=True))


log_softmax_grad = _rows_grad(
    "log_softmax",
    kernels.log_softmax_grad,
    True,
    lambda g, y, axis: g - sum_(g, axis=axis, keepdims=True) * exp(y),
)


@defop(
    "log_softmax",
    **_rows("log_softmax", kernels.log_softmax, True),
    fallback=_log_softmax_fallback,
    lower=_fused_rows(_log_softmax_fallback),
)
def log_softmax_op(needs, g, out, x, axis):
    """x - log(sum(e**x))."""
    return (log_softmax_grad(g, out, axis=axis),)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Logarithm of ``softmax``, exact also where that is too small for a float."""
    x = operand(x)
    return log_softmax_op(x, axis=normalize_axis("log_softmax", axis, x.ndim))


__all__ = [
    "elu", "gelu", "hard_sigmoid", "leaky_relu", "log_softmax", "relu", "selu", "sigmoid", "silu", "softmax",
    "softplus", "softsign",
]  # fmt: skip
