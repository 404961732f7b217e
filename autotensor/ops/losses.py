"""Cross-entropies from logits, stable for logits of any size.

Logits are scores before softmax or sigmoid. Each loss over classes is one operation with its meaning in ordinary
operations as ``fallback``; its gradient is an operation of its own, with a fallback from which higher derivatives
come.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, Shape, broadcast_shapes, float_dtype, shape_of
from autotensor.core.op import defop, defop_no_grad
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.kernels import cross_entropy as kernels
from autotensor.ops.activation import log_softmax, sigmoid, softmax
from autotensor.ops.elementwise import astype, equal, multiply, negative, subtract
from autotensor.ops.like import ones_like, unbroadcast
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.running import cumulative_sum
from autotensor.ops.shape import expand_dims
from autotensor.ops.shape import text as _text

# -- softmax, dense targets


def _dense_shape(logits: Operand, targets: Operand) -> Shape:
    a, b = shape_of(logits), shape_of(targets)
    fits = len(a) == len(b) and all(m == n or None in (m, n) for m, n in zip(a, b))
    if not fits or not a:
        hint = "Use sparse_softmax_cross_entropy() for labels?" if len(b) == len(a) - 1 else "Use one_hot()?"
        raise ShapeError(
            f"[softmax_cross_entropy] logits and targets must both be (..., classes); got {_text(a)} and {_text(b)}. "
            f"{hint}"
        )
    return tuple([m if m is not None else n for m, n in zip(a, b)])


def _infer_dense(logits: Operand, targets: Operand) -> Aval:
    return Aval(_dense_shape(logits, targets)[:-1], float_dtype(logits, targets))


def _infer_dense_grad(g: Operand, logits: Operand, targets: Operand) -> Aval:
    return Aval(_dense_shape(logits, targets), float_dtype(g, logits, targets))


def _floats(*arrays: Any) -> tuple[list[np.ndarray], np.dtype]:
    """Arrays in the precision of the computation, and the dtype of the result."""
    out = float_dtype(*[Aval((), np.asarray(a).dtype) for a in arrays])
    work = np.dtype(np.float32) if out == np.float16 else out
    return [np.asarray(a).astype(work, copy=False) for a in arrays], out


def _same_rows(logits: Any, targets: Any) -> None:
    if np.shape(logits) != np.shape(targets) or not np.ndim(logits):
        raise ValueError("logits and targets do not have one shape")  # apply() says it in full, by the shape rule


def _by_rows(bind: Any, dtype: np.dtype, shape: Any, *arrays: Any) -> np.ndarray | None:
    """The result of the compiled rows; None where they do not apply."""
    if dtype != np.float32 or not all([isinstance(a, np.ndarray) for a in arrays]):
        return None
    out = np.empty(shape, np.float32)
    bound = bind((out,), arrays, np.empty)
    if bound is None:
        return None
    bound[0](*bound[1])
    return out


def _dense_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    logits, targets = arrays
    return kernels.bind_dense(outs[0], logits, targets, scratch) if kernels.has_rows(outs[0], logits) else None


def _dense_impl(logits: Any, targets: Any) -> np.ndarray:
    _same_rows(logits, targets)
    (x, t), dtype = _floats(logits, targets)
    out = _by_rows(_dense_bind, dtype, x.shape[:-1], x, t)
    return kernels.dense(x, t).astype(dtype, copy=False) if out is None else out


@defop(
    "softmax_cross_entropy",
    impl=_dense_impl,
    infer=_infer_dense,
    bind=_dense_bind,
    fallback=lambda logits, targets: negative(sum_(log_softmax(logits) * targets, axis=-1)),
)
def softmax_cross_entropy(needs, g, out, logits, targets):
    """-sum(targets * log_softmax(logits)) over the last axis: (..., classes), (..., classes) -> (...).

    Targets are usually probabilities, but need not sum to 1.

        >>> import numpy as np
        >>> import autotensor as at
        >>> logits, targets = np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])
        >>> at.grad(lambda x: at.sum(at.softmax_cross_entropy(x, targets)))(logits)
        Tensor([[-0.5,  0.5]], dtype=float64)
    """
    gx = gt = None
    if needs[0]:
        gx = unbroadcast(softmax_cross_entropy_grad(g, logits, targets), logits)
    if needs[1]:
        gt = unbroadcast(expand_dims(negative(g), -1) * log_softmax(logits), targets)
    return gx, gt


def _dense_grad_fallback(g: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    share = softmax(logits) * sum_(targets, axis=-1, keepdims=True)
    return expand_dims(g, -1) * (share - targets)


def _dense_grad_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    g, logits, targets = arrays
    return kernels.bind_dense_grad(outs[0], g, logits, targets, scratch) if kernels.has_rows(outs[0], logits) else None


def _dense_grad_impl(g: Any, logits: Any, targets: Any) -> np.ndarray:
    _same_rows(logits, targets)
    (g, x, t), dtype = _floats(g, logits, targets)
    out = _by_rows(_dense_grad_bind, dtype, x.shape, g, x, t) if g.shape == x.shape[:-1] else None
    return kernels.dense_grad(g, x, t).astype(dtype, copy=False) if out is None else out


softmax_cross_entropy_grad = defop_no_grad(
    "softmax_cross_entropy_grad",
    impl=_dense_grad_impl,
    infer=_infer_dense_grad,
    bind=_dense_grad_bind,
    fallback=_dense_grad_fallback,
    doc="Gradient of softmax_cross_entropy: g * (softmax(logits) * sum(targets) - targets), g (...).",
)


# -- softmax, labels


def _sparse_shape(logits: Operand, labels: Operand) -> Shape:
    a, b = shape_of(logits), shape_of(labels)
    if not isinstance(labels, Aval) or labels.dtype.kind not in "iu":
        kind = labels.dtype if isinstance(labels, Aval) else type(labels).__name__
        raise DTypeError(
            f"[sparse_softmax_cross_entropy] labels must be integers; got {kind}. Use astype(at.int64), or "
            "softmax_cross_entropy() for probabilities."
        )
    if len(a) != len(b) + 1 or any(m != n and None not in (m, n) for m, n in zip(a, b)):
        hint = "Squeeze the last axis of the labels?" if len(a) == len(b) else "One label per row of logits."
        raise ShapeError(
            "[sparse_softmax_cross_entropy] expected logits (..., classes) and labels (...); "
            f"got {_text(a)} and {_text(b)}. {hint}"
        )
    return tuple([m if m is not None else n for m, n in zip(a, b)])


def _checked(logits: Any, labels: Any) -> None:
    """Raise unless labels fit the logits, in dtype, shape and value."""
    _check_fit(logits, labels)
    n = logits.shape[-1]
    bad = (labels < 0) | (labels >= n)
    if bad.any():
        raise _failure(labels.dtype, n)(int(labels.reshape(-1)[np.argmax(bad)]))


def _failure(dtype: np.dtype, n: int) -> Any:
    return lambda bad: _bad_label(bad, dtype, n)


def _check_fit(logits: Any, labels: Any) -> None:
    if labels.dtype.kind not in "iu" or logits.shape[:-1] != labels.shape or not logits.ndim:
        _sparse_shape(Aval(np.shape(logits), logits.dtype), Aval(np.shape(labels), labels.dtype))


def _bad_label(bad: int, dtype: np.dtype, n: int) -> ShapeError:
    if dtype.kind == "i" and bad == np.iinfo(dtype).min:
        hint = "That is what NaN becomes as an integer: check the targets."
    elif bad >= n:
        hint = f"Count classes from 0, or make the last layer {bad + 1} wide?"
    else:
        hint = "Count classes from 0."
    return ShapeError(f"[sparse_softmax_cross_entropy] labels must be in 0..{n - 1}; got {bad}. {hint}")


def _infer_sparse(logits: Operand, labels: Operand) -> Aval:
    return Aval(_sparse_shape(logits, labels), float_dtype(logits))


def _infer_sparse_grad(g: Operand, logits: Operand, labels: Operand) -> Aval:
    return Aval(_sparse_shape(logits, labels) + shape_of(logits)[-1:], float_dtype(g, logits))


def _sparse_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    logits, labels = arrays
    if not kernels.has_rows(outs[0], logits):
        return None
    return kernels.bind_sparse(outs[0], logits, labels, _failure(labels.dtype, logits.shape[-1]), scratch)


def _sparse_impl(logits: Any, labels: Any) -> np.ndarray:
    _check_fit(logits, labels)
    (x,), dtype = _floats(logits)
    out = _by_rows(_sparse_bind, dtype, labels.shape, x, labels)
    if out is None:
        _checked(logits, labels)
        out = kernels.sparse(x, labels).astype(dtype, copy=False)
    return out


def _one_hot_like(labels: Tensor, logits: Tensor) -> Tensor:
    """1 where the position along the last axis of logits is the label, else 0; dimensions may be unknown."""
    positions = cumulative_sum(ones_like(logits), axis=-1) - 1.0
    return astype(equal(expand_dims(labels, -1), positions), logits.dtype)


def _sparse_fallback(logits: Tensor, labels: Tensor) -> Tensor:
    return negative(sum_(log_softmax(logits) * _one_hot_like(labels, logits), axis=-1))


@defop(
    "sparse_softmax_cross_entropy",
    impl=_sparse_impl,
    infer=_infer_sparse,
    bind=_sparse_bind,
    fallback=_sparse_fallback,
)
def sparse_softmax_cross_entropy(needs, g, out, logits, labels):
    """-log_softmax(logits)[label] over the last axis: (..., classes), integers (...) -> (...).

    Labels outside 0..classes - 1 raise an error.
    """
    return unbroadcast(sparse_softmax_cross_entropy_grad(g, logits, labels), logits), None


def _sparse_grad_fallback(g: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    return expand_dims(g, -1) * (softmax(logits) - _one_hot_like(labels, logits))


def _sparse_grad_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    g, logits, labels = arrays
    if not kernels.has_rows(outs[0], logits):
        return None
    return kernels.bind_sparse_grad(outs[0], g, logits, labels, _failure(labels.dtype, logits.shape[-1]), scratch)


def _sparse_grad_impl(g: Any, logits: Any, labels: Any) -> np.ndarray:
    _check_fit(logits, labels)
    (g, x), dtype = _floats(g, logits)
    out = _by_rows(_sparse_grad_bind, dtype, x.shape, g, x, labels) if g.shape == labels.shape else None
    if out is None:
        _checked(logits, labels)
        out = kernels.sparse_grad(g, x, labels).astype(dtype, copy=False)
    return out


sparse_softmax_cross_entropy_grad = defop_no_grad(
    "sparse_softmax_cross_entropy_grad",
    impl=_sparse_grad_impl,
    infer=_infer_sparse_grad,
    bind=_sparse_grad_bind,
    fallback=_sparse_grad_fallback,
    doc="Gradient of sparse_softmax_cross_entropy: g * (softmax(logits) - one_hot(labels)), g (...).",
)


# -- sigmoid


def _infer_sigmoid(logits: Operand, targets: Operand) -> Aval:
    shape = broadcast_shapes("sigmoid_cross_entropy", shape_of(logits), shape_of(targets))
    return Aval(shape, float_dtype(logits, targets))


def _sigmoid_impl(logits: Any, targets: Any) -> Any:
    (x, t), dtype = _floats(logits, targets)
    return (np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))).astype(dtype, copy=False)


@defop(
    "sigmoid_cross_entropy",
    impl=_sigmoid_impl,
    infer=_infer_sigmoid,
    expr={"f": "((maximum({0}, c(0.0)) - {0} * {1}) + softplus(-abs({0})))"},
)
def sigmoid_cross_entropy(needs, g, out, logits, targets):
    """-t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x)), element by element, for logits x and targets t.

    They broadcast. Computed as max(x, 0) - x t + log(1 + e**-|x|).
    """
    gx = unbroadcast(g * subtract(sigmoid(logits), targets), logits) if needs[0] else None
    gt = unbroadcast(negative(multiply(g, logits)), targets) if needs[1] else None
    return gx, gt


__all__ = [
    "sigmoid_cross_entropy", "softmax_cross_entropy", "softmax_cross_entropy_grad",
    "sparse_softmax_cross_entropy", "sparse_softmax_cross_entropy_grad",
]  # fmt: skip
