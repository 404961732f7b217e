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
from autotensor.ops.reduce import cumulative_sum
from autotensor.ops.reduce import sum as sum_
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


def _dense_impl(logits: Any, targets: Any) -> np.ndarray:
    _same_rows(logits, targets)
    (x, t), dtype = _floats(logits, targets)
    return kernels.dense(x, t).astype(dtype, copy=False)


def _dense_into(out: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> None:
    if kernels.has_rows(logits, targets):
        k = logits.shape[-1]
        kernels.dense_rows(logits.reshape(-1, k), targets.reshape(-1, k), out.reshape(-1))
    else:
        out[...] = _dense_impl(logits, targets)


def _dense_kernel(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if not kernels.has_rows(logits, targets):
        return _dense_impl(logits, targets)
    out = np.empty(logits.shape[:-1], np.float32)
    _dense_into(out, logits, targets)
    return out


@defop(
    "softmax_cross_entropy",
    impl=_dense_impl,
    infer=_infer_dense,
    into=_dense_into,
    kernel=_dense_kernel,
    fallback=lambda logits, targets: negative(sum_(log_softmax(logits) * targets, axis=-1)),
)
def softmax_cross_entropy(needs, g, out, logits, targets):
    """-sum(targets * log_softmax(logits)) over the last axis: (..., classes), (..., classes) -> (...).

    Targets are usually probabilities, but need not sum to 1.
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


def _dense_grad_impl(g: Any, logits: Any, targets: Any) -> np.ndarray:
    _same_rows(logits, targets)
    (g, x, t), dtype = _floats(g, logits, targets)
    return kernels.dense_grad(g, x, t).astype(dtype, copy=False)


def _dense_grad_into(out: np.ndarray, g: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> None:
    if kernels.has_rows(g, logits, targets):
        k = logits.shape[-1]
        kernels.dense_grad_rows(g.reshape(-1), logits.reshape(-1, k), targets.reshape(-1, k), out.reshape(-1, k))
    else:
        out[...] = _dense_grad_impl(g, logits, targets)


def _dense_grad_kernel(g: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    if not kernels.has_rows(g, logits, targets):
        return _dense_grad_impl(g, logits, targets)
    out = np.empty(logits.shape, np.float32)
    _dense_grad_into(out, g, logits, targets)
    return out


softmax_cross_entropy_grad = defop_no_grad(
    "softmax_cross_entropy_grad",
    impl=_dense_grad_impl,
    infer=_infer_dense_grad,
    into=_dense_grad_into,
    kernel=_dense_grad_kernel,
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
    bad = kernels.first_bad_label(labels, logits.shape[-1])
    if bad is not None:
        raise _bad_label(bad, labels.dtype, logits.shape[-1])


def _checked_flat(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Checked labels as the kernels read them: one row of int64, so that one signature is compiled."""
    _check_fit(logits, labels)
    flat = labels
    if labels.ndim != 1 or labels.dtype != np.int64 or not labels.flags.c_contiguous:
        flat = np.ascontiguousarray(labels).reshape(-1).astype(np.int64, copy=False)
    where = kernels.first_outside(flat, logits.shape[-1])
    if where >= 0:
        raise _bad_label(int(labels.reshape(-1)[where]), labels.dtype, logits.shape[-1])
    return flat


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


def _sparse_impl(logits: Any, labels: Any) -> np.ndarray:
    _checked(logits, labels)
    (x,), dtype = _floats(logits)
    return kernels.sparse(x, labels).astype(dtype, copy=False)


def _sparse_into(out: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> None:
    if kernels.has_rows(logits):
        flat = _checked_flat(logits, labels)
        kernels.sparse_rows(logits.reshape(-1, logits.shape[-1]), flat, out.reshape(-1))
    else:
        out[...] = _sparse_impl(logits, labels)


def _sparse_kernel(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if not kernels.has_rows(logits):
        return _sparse_impl(logits, labels)
    out = np.empty(labels.shape, np.float32)
    _sparse_into(out, logits, labels)
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
    into=_sparse_into,
    kernel=_sparse_kernel,
    fallback=_sparse_fallback,
)
def sparse_softmax_cross_entropy(needs, g, out, logits, labels):
    """-log_softmax(logits)[label] over the last axis: (..., classes), integers (...) -> (...).

    Labels outside 0..classes - 1 raise an error.
    """
    return unbroadcast(sparse_softmax_cross_entropy_grad(g, logits, labels), logits), None


def _sparse_grad_fallback(g: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    return expand_dims(g, -1) * (softmax(logits) - _one_hot_like(labels, logits))


def _sparse_grad_impl(g: Any, logits: Any, labels: Any) -> np.ndarray:
    _checked(logits, labels)
    (g, x), dtype = _floats(g, logits)
    return kernels.sparse_grad(g, x, labels).astype(dtype, copy=False)


def _sparse_grad_into(out: np.ndarray, g: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> None:
    if kernels.has_rows(g, logits):
        flat = _checked_flat(logits, labels)
        k = logits.shape[-1]
        kernels.sparse_grad_rows(g.reshape(-1), logits.reshape(-1, k), flat, out.reshape(-1, k))
    else:
        out[...] = _sparse_grad_impl(g, logits, labels)


def _sparse_grad_kernel(g: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if not kernels.has_rows(g, logits):
        return _sparse_grad_impl(g, logits, labels)
    out = np.empty(logits.shape, np.float32)
    _sparse_grad_into(out, g, logits, labels)
    return out


sparse_softmax_cross_entropy_grad = defop_no_grad(
    "sparse_softmax_cross_entropy_grad",
    impl=_sparse_grad_impl,
    infer=_infer_sparse_grad,
    into=_sparse_grad_into,
    kernel=_sparse_grad_kernel,
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
