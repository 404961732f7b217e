"""What the metrics that count true and false positives share."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.utils import losses_utils
from keras_compat.utils.generic_utils import to_list

# The score of a class that is not among the top k.
NEG_INF = -1e10


class Reduction:
    """How a :class:`keras_compat.metrics.Reduce` metric puts values together."""

    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
    WEIGHTED_MEAN = "weighted_mean"


class ConfusionMatrix(enum.Enum):
    """The four counts of a binary classifier."""

    TRUE_POSITIVES = "tp"
    FALSE_POSITIVES = "fp"
    TRUE_NEGATIVES = "tn"
    FALSE_NEGATIVES = "fn"


class AUCCurve(enum.Enum):
    """Curves whose area AUC measures."""

    ROC = "ROC"
    PR = "PR"

    @staticmethod
    def from_str(key: str) -> AUCCurve:
        """Curve from 'ROC' or 'PR', in either case."""
        return _from_str(AUCCurve, key, "curve")


class AUCSummationMethod(enum.Enum):
    """How the area under a curve is summed."""

    INTERPOLATION = "interpolation"
    MAJORING = "majoring"
    MINORING = "minoring"

    @staticmethod
    def from_str(key: str) -> AUCSummationMethod:
        """Method from 'interpolation', 'majoring' or 'minoring', in either case."""
        return _from_str(AUCSummationMethod, key, "summation_method")


def _from_str(kind: Any, key: str, what: str) -> Any:
    for member in kind:
        if str(key).lower() == member.value.lower():
            return member
    known = ", ".join(member.value for member in kind)
    raise ValueError(f"[AUC] Invalid {what}: expected one of {known}; got {key!r}. Check the spelling.")


def assert_thresholds_range(thresholds: Sequence[float | None]) -> None:
    """Raise ValueError unless all thresholds lie in [0, 1]."""
    bad = [t for t in thresholds if t is None or t < 0 or t > 1]
    if bad:
        raise ValueError(
            f"[thresholds] Threshold values must be in [0, 1]; invalid values: {bad}. They are compared with "
            "probabilities."
        )


def parse_init_thresholds(thresholds: Any, default_threshold: float = 0.5) -> list[float]:
    """Thresholds as a list, checked."""
    if thresholds is not None:
        assert_thresholds_range(to_list(thresholds, allow_tuple=True))
    return to_list(default_threshold if thresholds is None else thresholds, allow_tuple=True)


def update_state_wrapper(update_state_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a metric and arguments: what ``update_state_fn`` returns is added to the metric's updates.

    Keras 2.3.1 wraps the bound method ``update_state`` of each metric so. Here a metric does that when it is called:
    this is for programs that build metrics by hand.
    """

    @functools.wraps(update_state_fn)
    def decorated(metric_obj: Any, *args: Any, **kwargs: Any) -> Any:
        update = update_state_fn(*args, **kwargs)
        metric_obj.add_update(update)
        return update

    return decorated


def result_wrapper(result_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a metric and arguments: what ``result_fn`` gives, as a tensor of its own.

    The tensor is kept as the metric's ``_call_result`` and marked with ``_is_metric``, as in Keras 2.3.1.
    """

    @functools.wraps(result_fn)
    def decorated(metric_obj: Any, *args: Any, **kwargs: Any) -> Any:
        result = K.identity(result_fn(*args, **kwargs))
        metric_obj._call_result = result
        result._is_metric = True
        return result

    return decorated


def div_no_nan(x: Any, y: Any) -> Any:
    """x / y, and 0 where y is 0."""
    zero = at.equal(y, 0)
    return at.where(zero, 0.0, x / at.where(zero, 1.0, y))


def filter_top_k(x: Any, k: int) -> Any:
    """Scores with those not among the k highest of the last axis replaced by ``NEG_INF``."""
    kth = at.sort(x, axis=-1)[..., -k][..., None]
    return at.where(at.greater_equal(x, kth), x, NEG_INF)


def weighted_assign_add(label: Any, pred: Any, weights: Any, var: Any) -> Any:
    """Update that adds to ``var`` the weight of the samples (last axis) where both hold."""
    both = K.cast(at.logical_and(label, pred), K.dtype(var))
    return K.update_add(var, K.sum(both if weights is None else both * weights, axis=1))


def update_confusion_matrix_variables(
    variables_to_update: Mapping[ConfusionMatrix, Any],
    y_true: Any,
    y_pred: Any,
    thresholds: Any = 0.5,
    top_k: int | None = None,
    class_id: int | None = None,
    sample_weight: Any = None,
) -> list[Any]:
    """Updates that add a batch to counts of true and false positives and negatives at each threshold.

    Args:
        variables_to_update: a variable of shape (thresholds,) for each count that is wanted.
        y_true: targets, 0 or 1 (or bool).
        y_pred: predictions in [0, 1], of the same shape; above a threshold counts as positive.
        thresholds: number or list.
        top_k: only the k highest predictions of a sample count as positive.
        class_id: look at this class only.
        sample_weight: weights that broadcast to the predictions.
    """
    if not variables_to_update:
        return []
    unknown = [key for key in variables_to_update if key not in list(ConfusionMatrix)]
    if unknown:
        raise ValueError(
            f"[confusion matrix] Please provide at least one valid confusion matrix variable to update: expected keys "
            f"{list(ConfusionMatrix)}; got {unknown}. Use ConfusionMatrix members."
        )
    floats = K.floatx()
    y_true = K.cast(y_true if K.is_tensor(y_true) else K.constant(y_true), floats)
    y_pred = K.cast(y_pred if K.is_tensor(y_pred) else K.constant(y_pred), floats)
    if sample_weight is not None:
        weight = K.cast(sample_weight if K.is_tensor(sample_weight) else K.constant(sample_weight), floats)
        y_pred, y_true, weight = losses_utils.squeeze_or_expand_dimensions(y_pred, y_true, weight)
        weight = losses_utils.broadcast_weights(y_pred, weight)
    else:
        weight = None
        y_pred, y_true = losses_utils.squeeze_or_expand_dimensions(y_pred, y_true)
    if top_k is not None:
        y_pred = filter_top_k(y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
        weight = weight[..., class_id] if weight is not None else None

    levels = K.constant(np.reshape(to_list(thresholds, allow_tuple=True), (-1, 1)), dtype=floats)
    positive = at.greater(at.reshape(y_pred, (1, -1)), levels)
    real = at.not_equal(at.reshape(y_true, (1, -1)), 0)
    weights = None if weight is None else at.reshape(weight, (1, -1))
    negative, unreal = at.logical_not(positive), at.logical_not(real)
    pairs = {
        ConfusionMatrix.TRUE_POSITIVES: (real, positive),
        ConfusionMatrix.FALSE_NEGATIVES: (real, negative),
        ConfusionMatrix.TRUE_NEGATIVES: (unreal, negative),
        ConfusionMatrix.FALSE_POSITIVES: (unreal, positive),
    }
    return [weighted_assign_add(*pairs[key], weights, var) for key, var in variables_to_update.items()]
