"""Cross-entropies, and whether a prediction is among the best."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import autotensor as at
from keras_compat.backend._activations import scores_of
from keras_compat.backend._shapes import one_hot
from keras_compat.backend._tensors import as_float, as_tensor, cast
from keras_compat.backend.common import epsilon
from keras_compat.dialect.level import get_api_level


def _order_by_level(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Positional arguments are (output, target) at API level 1.2, (target, output) later; words always tell."""
    parameters = list(inspect.signature(fn).parameters)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and get_api_level() == "1.2":
            order = ["output", "target", *parameters[2:]]
            kwargs.update(zip(order, args))
            args = ()
        return fn(*args, **kwargs)

    return call


def _axis_of(op: str, output: Any, axis: int) -> int:
    if not -output.ndim <= axis < output.ndim:
        raise ValueError(
            f"[{op}] axis {axis} does not exist in outputs of shape {output.shape}. Unexpected channels axis {axis}; "
            f"expected to be -1 or one of the axes of `output`, 0 to {output.ndim - 1}."
        )
    return axis % output.ndim


def _may_be_equal(a: Any, b: Any) -> bool:
    """Shapes that differ at most where one of them is not known."""
    return len(a) == len(b) and all(m == n or None in (m, n) for m, n in zip(a, b))


@_order_by_level
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-sum(target * log(output))`` along ``axis``.

    Probabilities are first divided by their sum and clipped to [epsilon, 1 - epsilon], as in Keras 2.3.1;
    ``from_logits`` takes unscaled scores instead. The argument order follows the API level.
    """
    output = as_float(output)
    target = cast(as_tensor(target), output.dtype)
    axis = _axis_of("categorical_crossentropy", output, axis)
    scores = scores_of(output, "softmax")
    if scores is not None and not from_logits and axis == output.ndim - 1 and _may_be_equal(scores.shape, target.shape):
        # TensorFlow's op: its gradient is softmax - target, also for targets that do not sum to 1.
        # Less the largest: what is left of large scores keeps its digits.
        scores = scores - at.stop_gradient(at.max(scores, axis=-1, keepdims=True))
        total = at.logsumexp(scores, axis=-1)
        excess = at.sum(target, axis=-1) - 1.0
        return total + excess * at.stop_gradient(total) - at.sum(target * scores, axis=-1)
    if from_logits:
        if axis == output.ndim - 1 and target.ndim == output.ndim:
            return at.softmax_cross_entropy(output, target)
        return -at.sum(target * at.log_softmax(output, axis=axis), axis=axis)
    output = output / at.sum(output, axis=axis, keepdims=True)
    output = at.clip(output, epsilon(), 1.0 - epsilon())
    return -at.sum(target * at.log(output), axis=axis)


@_order_by_level
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-log(output[target])`` for integer classes ``target``, of the shape of output without ``axis`` (or 1 there).

    Probabilities are clipped to [epsilon, 1 - epsilon] and divided by their sum, as in Keras 2.3.1. A label that is
    no class raises ShapeError when the loss is computed. The argument order follows the API level.
    """
    output = as_float(output)
    target = as_tensor(target)
    axis = _axis_of("sparse_categorical_crossentropy", output, axis)
    if target.ndim == output.ndim:
        target = at.squeeze(target, axis) if target.shape[axis] in (1, None) else at.reshape(target, (-1,))
    elif target.ndim == 1 and output.ndim > 2:
        return sparse_categorical_crossentropy(
            target=target, output=at.reshape(output, (-1, output.shape[axis])), from_logits=from_logits
        )
    if target.dtype.kind not in "iu":
        target = at.astype(target, "int64")
    scores = scores_of(output, "softmax")
    if not from_logits:
        output = at.log(at.clip(output, epsilon(), 1.0 - epsilon())) if scores is None else scores
    if axis != output.ndim - 1:
        output = at.permute_dims(output, (*[a for a in range(output.ndim) if a != axis], axis))
    return at.sparse_softmax_cross_entropy(output, target)


@_order_by_level
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """``-(target * log(output) + (1 - target) * log(1 - output))``, elementwise.

    Probabilities are clipped to [epsilon, 1 - epsilon]; ``from_logits`` takes unscaled scores instead. The argument
    order follows the API level.
    """
    output = as_float(output)
    target = cast(as_tensor(target), output.dtype)
    scores = scores_of(output, "sigmoid")
    if from_logits or scores is not None:
        return at.sigmoid_cross_entropy(output if from_logits else scores, target)
    output = at.clip(output, epsilon(), 1.0 - epsilon())
    return -(target * at.log(output) + (1.0 - target) * at.log(1.0 - output))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """True where the target class is among the ``k`` highest of its row; ties count as among them.

    Raises ValueError for other ranks.
    """
    predictions, targets = as_tensor(predictions), as_tensor(targets)
    if predictions.ndim != 2 or targets.ndim != 1:
        raise ValueError(
            f"[in_top_k] expected predictions (n, classes) and targets (n,); got {predictions.shape} and "
            f"{targets.shape}. Flatten the leading axes?"
        )
    hit = one_hot(cast(targets, "int32"), predictions.shape[1])
    score = at.sum(predictions * cast(hit, predictions.dtype), axis=-1, keepdims=True)
    higher = at.sum(at.astype(at.greater(predictions, score), "int32"), axis=-1)
    return at.logical_and(at.less(higher, k), at.any(at.greater(hit, 0), axis=-1))
