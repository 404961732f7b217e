"""Metrics: what is reported beside the loss.

Functions ``f(y_true, y_pred)`` of Keras 1 and 2 give a value per sample, which is averaged over an epoch; at API level
1.2 they give one number per batch, as there. The classes of Keras 2.3 keep state in variables instead, so that a value
over an epoch is exact: ``update_state`` gives changes, ``result`` a value, and a call both at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import initializers, losses
from keras_compat.dialect.level import get_api_level
from keras_compat.losses import as_floats
from keras_compat.utils import losses_utils, metrics_utils
from keras_compat.utils.generic_utils import (
    Registry,
    has_arg,
    serialize_keras_object,
    to_snake_case,
)

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object
from keras_compat.utils.generic_utils import get_from_module as get_from_module
from keras_compat.utils.metrics_utils import ConfusionMatrix, div_no_nan

_known = Registry("metric function")


# -- functions --------------------------------------------------------------------------------------------------------


def _by_level(values: Any) -> Any:
    """Values per sample; their mean at API level 1.2."""
    return K.mean(values) if get_api_level() == "1.2" else values


def _from_loss(loss: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """The metric that is the same as a loss."""

    def metric(y_true: Any, y_pred: Any, **kwargs: Any) -> Any:
        return _by_level(loss(y_true, y_pred, **kwargs))

    metric.__name__ = metric.__qualname__ = loss.__name__
    metric.__doc__ = f"As the loss :func:`keras_compat.losses.{loss.__name__}`."
    metric.__wrapped__ = loss  # type: ignore[attr-defined]
    return _known.add(metric, *names)


@_known.add
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the prediction equals the target."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.cast(K.equal(y_true, y_pred), K.floatx())


@_known.add
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Share of the predictions that are on the side of ``threshold`` where the target (0 or 1) is."""
    y_true, y_pred = as_floats(y_true, y_pred)
    side = K.round(y_pred) if threshold == 0.5 else K.cast(K.greater(y_pred, threshold), K.dtype(y_pred))
    return _by_level(K.mean(K.equal(y_true, side), axis=-1))


@_known.add
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the highest prediction is that of the class, for one-hot targets."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return _by_level(K.cast(K.equal(K.argmax(y_true, axis=-1), K.argmax(y_pred, axis=-1)), K.floatx()))


def _labels(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Class numbers without a last axis of 1, and predictions as a tensor."""
    y_pred = y_pred if K.is_tensor(y_pred) else K.constant(y_pred)
    y_true = y_true if K.is_tensor(y_true) else K.constant(y_true)
    if y_true.ndim == y_pred.ndim:
        y_true = K.squeeze(y_true, -1)
    return y_true, y_pred


@_known.add
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the highest prediction is that of the class, for targets that are class numbers."""
    y_true, y_pred = _labels(y_true, y_pred)
    hit = K.equal(K.cast(y_true, "int64"), K.argmax(y_pred, axis=-1))
    return _by_level(K.cast(hit, K.floatx()))


def _in_top_k(y_pred: Any, labels: Any, k: int) -> Any:
    if y_pred.ndim != 2:
        y_pred = K.reshape(y_pred, (-1, y_pred.shape[-1]))
        labels = K.flatten(labels)
    hit = K.cast(K.in_top_k(y_pred, labels, k), K.floatx())
    # Keras 2.2, unlike in its other metrics, averages over the last axis, which is that of the samples here.
    return hit if get_api_level() == "2.3" else K.mean(hit)


@_known.add
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the class is among the k highest predictions, for one-hot targets."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return _in_top_k(y_pred, K.argmax(y_true, axis=-1), k)


@_known.add
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the class is among the k highest predictions, for targets that are class numbers."""
    y_true, y_pred = _labels(y_true, y_pred)
    return _in_top_k(y_pred, K.cast(y_true, "int32"), k)


@_known.add
def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between targets and predictions; before API level 2.3 as the loss, which is negative."""
    value = losses.cosine_proximity(y_true, y_pred, axis=axis)
    return -value if get_api_level() == "2.3" else _by_level(value)


mean_squared_error = _from_loss(losses.mean_squared_error, "mse", "MSE")
mean_absolute_error = _from_loss(losses.mean_absolute_error, "mae", "MAE")
mean_absolute_percentage_error = _from_loss(losses.mean_absolute_percentage_error, "mape", "MAPE")
mean_squared_logarithmic_error = _from_loss(losses.mean_squared_logarithmic_error, "msle", "MSLE")
hinge = _from_loss(losses.hinge)
squared_hinge = _from_loss(losses.squared_hinge)
categorical_hinge = _from_loss(losses.categorical_hinge)
logcosh = _from_loss(losses.logcosh)
categorical_crossentropy = _from_loss(losses.categorical_crossentropy)
sparse_categorical_crossentropy = _from_loss(losses.sparse_categorical_crossentropy)
binary_crossentropy = _from_loss(losses.binary_crossentropy)
kullback_leibler_divergence = _from_loss(losses.kullback_leibler_divergence, "kld", "KLD")
poisson = _from_loss(losses.poisson)
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_similarity = cosine_proximity
_known.update(cosine=cosine_proximity, cosine_similarity=cosine_proximity)


# The functions that Keras 2 dropped, because their mean over batches is not their value over an epoch.


def _positives(x: Any) -> Any:
    return K.round(K.clip(x, 0, 1))


@_known.add
def precision(y_true: Any, y_pred: Any) -> Any:
    """Share of the predicted positives of a batch that are real ones (Keras 1)."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.sum(_positives(y_true * y_pred)) / (K.sum(_positives(y_pred)) + K.epsilon())


@_known.add
def recall(y_true: Any, y_pred: Any) -> Any:
    """Share of the real positives of a batch that are predicted (Keras 1)."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.sum(_positives(y_true * y_pred)) / (K.sum(_positives(y_true)) + K.epsilon())


@_known.add
def fbeta_score(y_true: Any, y_pred: Any, beta: float = 1) -> Any:
    """Weighted harmonic mean of precision and recall of a batch; recall weighs ``beta`` times (Keras 1).

    Raises ValueError for a negative beta.
    """
    if beta < 0:
        raise ValueError(f"[fbeta_score] The lowest choosable beta is zero (only precision); got {beta}. Use 1?")
    p, r = precision(y_true, y_pred), recall(y_true, y_pred)
    score = (p * r) * (1 + beta**2) / (p * beta**2 + r + K.epsilon())
    real = K.sum(_positives(as_floats(y_true, y_pred)[0]))
    return at.where(at.equal(real, 0), 0.0, score)


@_known.add
def fmeasure(y_true: Any, y_pred: Any) -> Any:
    """Harmonic mean of precision and recall of a batch (Keras 1)."""
    return fbeta_score(y_true, y_pred, beta=1)


f1score = fscore = fmeasure
_known.update(f1score=fmeasure, fscore=fmeasure)


@_known.add
def matthews_correlation(y_true: Any, y_pred: Any) -> Any:
    """Matthews correlation coefficient of a batch of binary predictions, -1 to 1 (Keras 1)."""
    y_true, y_pred = as_floats(y_true, y_pred)
    said, real = _positives(y_pred), _positives(y_true)
    tp, tn = K.sum(real * said), K.sum((1.0 - real) * (1.0 - said))
    fp, fn = K.sum((1.0 - real) * said), K.sum(real * (1.0 - said))
    spread = K.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / (spread + K.epsilon())


# -- the base of the classes ------------------------------------------------------------------------------------------


class Metric:
    """Base class of metrics with state.

    A subclass makes its variables with ``add_weight`` in ``__init__``, returns changes of them (``K.update_add`` and
    its kin) from ``update_state``, and computes the value from them in ``result``::

        class Positives(Metric):
            def __init__(self, name='positives', **kwargs):
                super().__init__(name=name, **kwargs)
                self.count = self.add_weight('count', initializer='zeros')

            def update_state(self, y_true, y_pred, sample_weight=None):
                return K.update_add(self.count, K.sum(y_true))

            def result(self):
                return self.count

    Args:
        name: made of the name of the class by default, such as ``precision_1``.
        dtype: of the state; the default float type by default.
    """

    stateful = True

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any):
        if kwargs:
            raise TypeError(
                f"[{type(self).__name__}] expected name and dtype; got also {', '.join(sorted(kwargs))}. "
                "Check the spelling."
            )
        if name is None:
            prefix = to_snake_case(type(self).__name__)
            name = f"{prefix}_{K.get_uid(prefix)}"
        self.name = name
        self.dtype = K.floatx() if dtype is None else np.dtype(dtype).name
        self.built = True
        self.trainable = False
        self._weights: list[Any] = []
        self._updates: list[Any] = []

    @property
    def weights(self) -> list[Any]:
        """The variables of the state."""
        return list(self._weights)

    variables = weights
    non_trainable_weights = weights

    @property
    def trainable_weights(self) -> list[Any]:
        """None: the state is not trained."""
        return []

    @property
    def updates(self) -> list[Any]:
        """Changes that go with the results of calls so far."""
        return list(self._updates)

    def add_weight(self, name: str, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None) -> Any:
        """Make a variable of the state: zeros unless ``initializer`` says otherwise."""
        dtype = self.dtype if dtype is None else dtype
        make = initializers.get("zeros" if initializer is None else initializer)
        value = make(tuple(shape), dtype=dtype) if has_arg(make, "dtype") else make(tuple(shape))
        weight = K.variable(value, dtype=dtype, name=f"{self.name}/{name}:0")
        weight.trainable = False
        self._weights.append(weight)
        return weight

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add changes, for an ``update_state`` that does not return them."""
        self._updates = K.unique_updates([*self._updates, *K.as_updates(updates)])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value after an update by a batch. Evaluating it runs the update once; :meth:`updates` lists it too."""
        before = len(self._updates)
        returned = K.as_updates(self.update_state(*args, **kwargs))
        pending = K.unique_updates([*returned, *self._updates[before:]])
        self.add_update(pending)
        # K.identity: what result() gives may be a variable itself, and the marks below belong to this call.
        value = K.identity(self.result())
        (result,) = K.replace([value], dict(pending))
        result._metric_obj = self
        result._attached_updates = pending
        return result

    def reset_states(self) -> None:
        """Set the state to zeros."""
        K.batch_set_value([(v, np.zeros(v.shape)) for v in self._weights])

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Changes of the state by a batch: one or a list of results of ``K.update`` and its kin."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a metric needs update_state. Must be implemented by subclasses."
        )

    def result(self) -> Any:
        """The value, as a tensor of the state."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a metric needs result(). Must be implemented by subclasses."
        )

    def get_weights(self) -> list[np.ndarray]:
        """Values of the state."""
        return K.batch_get_value(self._weights)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state from what :meth:`get_weights` returned."""
        if len(weights) != len(self._weights):
            raise ValueError(
                f"[{self.name}] expected {len(self._weights)} arrays; got {len(weights)}. Take them from get_weights()."
            )
        K.batch_set_value(zip(self._weights, weights))

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same metric again."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a metric from what ``get_config`` returned."""
        return cls(**config)


def _weight(sample_weight: Any, dtype: Any) -> Any:
    return K.cast(sample_weight if K.is_tensor(sample_weight) else K.constant(sample_weight), dtype)


class Reduce(Metric):
    """Sum or mean of values. ``reduction`` is 'sum', 'sum_over_batch_size' or 'weighted_mean'."""

    def __init__(self, reduction: str, name: str | None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.reduction = reduction
        self.total = self.add_weight("total", initializer="zeros")
        if reduction != metrics_utils.Reduction.SUM:
            self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        values = K.cast(values if K.is_tensor(values) else K.constant(values), self.dtype)
        weight = None
        if sample_weight is not None:
            weight = _weight(sample_weight, self.dtype)
            values, _, weight = losses_utils.squeeze_or_expand_dimensions(values, None, weight)
            if weight.ndim > values.ndim:
                values = K.mean(values, axis=tuple(range(weight.ndim, values.ndim)))
            weight = losses_utils.broadcast_weights(values, weight)
            values = values * weight
        changes = [K.update_add(self.total, K.sum(values))]
        if self.reduction == metrics_utils.Reduction.SUM:
            return changes
        weighted = weight is not None and self.reduction == metrics_utils.Reduction.WEIGHTED_MEAN
        number = K.sum(weight) if weighted else K.cast(K.size(values), self.dtype)
        return [*changes, K.update_add(self.count, number)]

    def result(self) -> Any:
        if self.reduction == metrics_utils.Reduction.SUM:
            return K.identity(self.total)
        return div_no_nan(self.total, self.count)


@_known.add
class Sum(Reduce):
    """Weighted sum of values."""

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(metrics_utils.Reduction.SUM, name, dtype)


@_known.add
class Mean(Reduce):
    """Weighted mean of values."""

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(metrics_utils.Reduction.WEIGHTED_MEAN, name, dtype)


def _two(y_true: Any, y_pred: Any, dtype: Any) -> tuple[Any, Any]:
    """Targets and predictions as tensors of a dtype, with ranks that fit."""
    y_true = K.cast(y_true if K.is_tensor(y_true) else K.constant(y_true), dtype)
    y_pred = K.cast(y_pred if K.is_tensor(y_pred) else K.constant(y_pred), dtype)
    y_pred, y_true = losses_utils.squeeze_or_expand_dimensions(y_pred, y_true)
    return y_true, y_pred


@_known.add
class MeanMetricWrapper(Mean):
    """Weighted mean of ``fn(y_true, y_pred, **kwargs)``."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:  # type: ignore[override]
        y_true, y_pred = _two(y_true, y_pred, self.dtype)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if getattr(values, "ndim", None) == 0 and getattr(sample_weight, "ndim", 0):
            sample_weight = None  # the function took the mean itself: no elements are left to weight or to mask
        return super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {key: K.eval(v).tolist() if K.is_tensor(v) else v for key, v in self._fn_kwargs.items()}
        if type(self) is MeanMetricWrapper:  # Keras 2.3.1 leaves it out and can not read its own config
            config["fn"] = serialize(self._fn)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if cls is MeanMetricWrapper:
            config = {**config, "fn": get(config["fn"])}
        return super().from_config(config)


# -- means of functions -----------------------------------------------------------------------------------------------


@_known.add
class Accuracy(MeanMetricWrapper):
    """Share of the predictions that equal the target."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype=dtype)


@_known.add
class BinaryAccuracy(MeanMetricWrapper):
    """See :func:`binary_accuracy`."""

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype=dtype, threshold=threshold)


@_known.add
class CategoricalAccuracy(MeanMetricWrapper):
    """See :func:`categorical_accuracy`."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype=dtype)


@_known.add
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """See :func:`sparse_categorical_accuracy`."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype=dtype)


@_known.add
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """See :func:`top_k_categorical_accuracy`."""

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype=dtype, k=k)


@_known.add
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """See :func:`sparse_top_k_categorical_accuracy`."""

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype=dtype, k=k)


@_known.add
class MeanSquaredError(MeanMetricWrapper):
    """See :func:`keras_compat.losses.mean_squared_error`."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.mean_squared_error, name, dtype=dtype)


@_known.add
class MeanAbsoluteError(MeanMetricWrapper):
    """See :func:`keras_compat.losses.mean_absolute_error`."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_error, name, dtype=dtype)


@_known.add
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """See :func:`keras_compat.losses.mean_absolute_percentage_error`."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype=dtype)


@_known.add
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """See :func:`keras_compat.losses.mean_squared_logarithmic_error`."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype=dtype)


@_known.add
class Hinge(MeanMetricWrapper):
    """See :func:`keras_compat.losses.hinge`."""

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(losses.hinge, name, dtype=dtype)


@_known.add
class SquaredHinge(MeanMetricWrapper):
    """See :func:`keras_compat.losses.squared_hinge`."""

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(losses.squared_hinge, name, dtype=dtype)


@_known.add
class CategoricalHinge(MeanMetricWrapper):
    """See :func:`keras_compat.losses.categorical_hinge`."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(losses.categorical_hinge, name, dtype=dtype)


@_known.add
class LogCoshError(MeanMetricWrapper):
    """See :func:`keras_compat.losses.logcosh`."""

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(losses.logcosh, name, dtype=dtype)


@_known.add
class Poisson(MeanMetricWrapper):
    """See :func:`keras_compat.losses.poisson`."""

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(losses.poisson, name, dtype=dtype)


@_known.add
class KLDivergence(MeanMetricWrapper):
    """See :func:`keras_compat.losses.kullback_leibler_divergence`."""

    def __init__(self, name: str | None = "kullback_leibler_divergence", dtype: Any = None):
        super().__init__(losses.kullback_leibler_divergence, name, dtype=dtype)


@_known.add
class BinaryCrossentropy(MeanMetricWrapper):
    """See :func:`keras_compat.losses.binary_crossentropy`."""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            losses.binary_crossentropy,
            name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@_known.add
class CategoricalCrossentropy(MeanMetricWrapper):
    """See :func:`keras_compat.losses.categorical_crossentropy`."""

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@_known.add
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """See :func:`keras_compat.losses.sparse_categorical_crossentropy`."""

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        axis: int = -1,
    ):
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype=dtype, from_logits=from_logits, axis=axis)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return K.sum(K.l2_normalize(y_true, axis=axis) * K.l2_normalize(y_pred, axis=axis), axis=axis)


@_known.add
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between targets and predictions, -1 to 1."""

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(_cosine, name, dtype=dtype, axis=axis)


@_known.add
class RootMeanSquaredError(Mean):
    """Square root of the mean of (y_pred - y_true)**2."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:  # type: ignore[override]
        y_true, y_pred = _two(y_true, y_pred, self.dtype)
        return super().update_state(K.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Any:
        return at.sqrt(div_no_nan(self.total, self.count))


# -- counts at thresholds ---------------------------------------------------------------------------------------------


class _Count(Metric):
    """One count of the confusion matrix, at one or several thresholds."""

    which: ConfusionMatrix

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = metrics_utils.parse_init_thresholds(thresholds)
        self.accumulator = self.add_weight("accumulator", shape=(len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return metrics_utils.update_confusion_matrix_variables(
            {self.which: self.accumulator}, y_true, y_pred, self.thresholds, sample_weight=sample_weight
        )

    def result(self) -> Any:
        return self.accumulator[0] if len(self.thresholds) == 1 else K.identity(self.accumulator)

    def get_config(self) -> dict[str, Any]:
        return {"thresholds": self.init_thresholds, **super().get_config()}


@_known.add
class FalsePositives(_Count):
    """Weight of the samples that are predicted positive and are not. ``thresholds``: 0.5, a number or a list."""

    which = ConfusionMatrix.FALSE_POSITIVES


@_known.add
class FalseNegatives(_Count):
    """Weight of the samples that are predicted negative and are not. ``thresholds``: 0.5, a number or a list."""

    which = ConfusionMatrix.FALSE_NEGATIVES


@_known.add
class TrueNegatives(_Count):
    """Weight of the samples that are rightly predicted negative. ``thresholds``: 0.5, a number or a list."""

    which = ConfusionMatrix.TRUE_NEGATIVES


@_known.add
class TruePositives(_Count):
    """Weight of the samples that are rightly predicted positive. ``thresholds``: 0.5, a number or a list."""

    which = ConfusionMatrix.TRUE_POSITIVES


class _Share(Metric):
    """Share of true positives in true positives and another count."""

    other: ConfusionMatrix
    other_name: str

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else metrics_utils.NEG_INF
        self.thresholds = metrics_utils.parse_init_thresholds(thresholds, default_threshold=default)
        self.true_positives = self.add_weight("true_positives", shape=(len(self.thresholds),))
        setattr(self, self.other_name, self.add_weight(self.other_name, shape=(len(self.thresholds),)))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return metrics_utils.update_confusion_matrix_variables(
            {
                ConfusionMatrix.TRUE_POSITIVES: self.true_positives,
                self.other: getattr(self, self.other_name),
            },
            y_true,
            y_pred,
            thresholds=self.thresholds,
            top_k=self.top_k,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        value = div_no_nan(self.true_positives, self.true_positives + getattr(self, self.other_name))
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        config = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**config, **super().get_config()}


@_known.add
class Precision(_Share):
    """Share of the predicted positives that are real ones.

    Args:
        thresholds: predictions above are positive: 0.5 (or by ``top_k``), a number or a list.
        top_k: the k highest predictions of a sample are positive, instead.
        class_id: look at this class only.
    """

    other = ConfusionMatrix.FALSE_POSITIVES
    other_name = "false_positives"


@_known.add
class Recall(_Share):
    """Share of the real positives that are predicted. Arguments as of :class:`Precision`."""

    other = ConfusionMatrix.FALSE_NEGATIVES
    other_name = "false_negatives"


def _spread_thresholds(num_thresholds: int) -> list[float]:
    """Thresholds evenly from a little below 0 to a little above 1."""
    inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
    return [0.0 - K.epsilon(), *inner, 1.0 + K.epsilon()]


class _AllCounts(Metric):
    """All four counts at several thresholds."""

    thresholds: list[float]

    def _make_counts(self) -> None:
        shape = (len(self.thresholds),)
        self.true_positives = self.add_weight("true_positives", shape=shape)
        self.true_negatives = self.add_weight("true_negatives", shape=shape)
        self.false_positives = self.add_weight("false_positives", shape=shape)
        self.false_negatives = self.add_weight("false_negatives", shape=shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return metrics_utils.update_confusion_matrix_variables(
            {
                ConfusionMatrix.TRUE_POSITIVES: self.true_positives,
                ConfusionMatrix.TRUE_NEGATIVES: self.true_negatives,
                ConfusionMatrix.FALSE_POSITIVES: self.false_positives,
                ConfusionMatrix.FALSE_NEGATIVES: self.false_negatives,
            },
            y_true,
            y_pred,
            self.thresholds,
            sample_weight=sample_weight,
        )


class SensitivitySpecificityBase(_AllCounts):
    """Base of the two metrics below: ``value`` is a share from 0 to 1."""

    def __init__(self, value: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        if num_thresholds <= 0:
            raise ValueError(
                f"[{type(self).__name__}] `num_thresholds` must be > 0; got {num_thresholds}. 200 is the default."
            )
        self.value = value
        self.thresholds = [0.5] if num_thresholds == 1 else _spread_thresholds(num_thresholds)
        self._make_counts()

    def _at(self, shares: Any, wanted: Any, other: Any) -> Any:
        """wanted / (wanted + other) at the threshold where ``shares`` is nearest to the value."""
        nearest = K.argmin(K.abs(shares - self.value), axis=0)
        wanted, other = K.gather(wanted, nearest), K.gather(other, nearest)
        return div_no_nan(wanted, wanted + other)


def _checked_share(what: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"[{what}] `{what}` must be in the range [0, 1]; got {value}. It is a share.")
    return value


@_known.add
class SensitivityAtSpecificity(SensitivitySpecificityBase):
    """Share of the real positives that are found, at the threshold whose specificity is nearest to the one given."""

    def __init__(self, specificity: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None):
        self.specificity = _checked_share("specificity", specificity)
        self.num_thresholds = num_thresholds
        super().__init__(specificity, num_thresholds=num_thresholds, name=name, dtype=dtype)

    def result(self) -> Any:
        specificities = div_no_nan(self.true_negatives, self.true_negatives + self.false_positives)
        return self._at(specificities, self.true_positives, self.false_negatives)

    def get_config(self) -> dict[str, Any]:
        own = {"num_thresholds": self.num_thresholds, "specificity": self.specificity}
        return {**own, **super().get_config()}


@_known.add
class SpecificityAtSensitivity(SensitivitySpecificityBase):
    """Share of the real negatives that are found, at the threshold whose sensitivity is nearest to the one given."""

    def __init__(self, sensitivity: float, num_thresholds: int = 200, name: str | None = None, dtype: Any = None):
        self.sensitivity = _checked_share("sensitivity", sensitivity)
        self.num_thresholds = num_thresholds
        super().__init__(sensitivity, num_thresholds=num_thresholds, name=name, dtype=dtype)

    def result(self) -> Any:
        sensitivities = div_no_nan(self.true_positives, self.true_positives + self.false_negatives)
        return self._at(sensitivities, self.true_negatives, self.false_positives)

    def get_config(self) -> dict[str, Any]:
        own = {"num_thresholds": self.num_thresholds, "sensitivity": self.sensitivity}
        return {**own, **super().get_config()}


@_known.add
class AUC(_AllCounts):
    """Area under the ROC curve (or precision over recall), from counts at fixed thresholds.

    Args:
        num_thresholds: how many, two or more.
        curve: 'ROC' or 'PR'.
        summation_method: 'interpolation' (trapezoids; for PR that of Davis and Goadrich, 2006), 'minoring', 'majoring'.
        thresholds: those between 0 and 1 to use instead of evenly spread ones.

    Raises ValueError for fewer than two thresholds.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: Any = "ROC",
        summation_method: Any = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
    ):
        curves, methods = metrics_utils.AUCCurve, metrics_utils.AUCSummationMethod
        self.curve = curve if isinstance(curve, curves) else curves.from_str(curve)
        self.summation_method = (
            summation_method if isinstance(summation_method, methods) else methods.from_str(summation_method)
        )
        super().__init__(name=name, dtype=dtype)
        if thresholds is not None:
            metrics_utils.assert_thresholds_range(thresholds)
            self.thresholds = [0.0 - K.epsilon(), *sorted(thresholds), 1.0 + K.epsilon()]
        elif num_thresholds <= 1:
            raise ValueError(f"[AUC] `num_thresholds` must be > 1; got {num_thresholds}. 200 is the default.")
        else:
            self.thresholds = _spread_thresholds(num_thresholds)
        self.num_thresholds = len(self.thresholds)
        self._make_counts()

    def interpolate_pr_auc(self) -> Any:
        """Area under the precision-recall curve; between two points true positives follow the false ones linearly."""
        tp, fp, fn = self.true_positives, self.false_positives, self.false_negatives
        n = self.num_thresholds
        gained = tp[: n - 1] - tp[1:]
        said = tp + fp
        slope = div_no_nan(gained, K.maximum(said[: n - 1] - said[1:], 0))
        intercept = tp[1:] - slope * said[1:]
        both = at.logical_and(at.greater(said[: n - 1], 0), at.greater(said[1:], 0))
        ratio = at.where(both, div_no_nan(said[: n - 1], K.maximum(said[1:], 0)), 1.0)
        area = slope * (gained + intercept * K.log(ratio))
        return K.sum(div_no_nan(area, K.maximum(tp[1:] + fn[1:], 0)))

    def result(self) -> Any:
        curves, methods = metrics_utils.AUCCurve, metrics_utils.AUCSummationMethod
        if self.curve is curves.PR and self.summation_method is methods.INTERPOLATION:
            return self.interpolate_pr_auc()
        recalls = div_no_nan(self.true_positives, self.true_positives + self.false_negatives)
        if self.curve is curves.ROC:
            x, y = div_no_nan(self.false_positives, self.false_positives + self.true_negatives), recalls
        else:
            x, y = recalls, div_no_nan(self.true_positives, self.true_positives + self.false_positives)
        n = self.num_thresholds
        left, right = y[: n - 1], y[1:]
        if self.summation_method is methods.INTERPOLATION:
            heights = (left + right) / 2.0
        elif self.summation_method is methods.MINORING:
            heights = K.minimum(left, right)
        else:
            heights = K.maximum(left, right)
        return K.sum((x[: n - 1] - x[1:]) * heights)

    def get_config(self) -> dict[str, Any]:
        config = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve.value,
            "summation_method": self.summation_method.value,
            # The first and the last are added again.
            "thresholds": self.thresholds[1:-1],
        }
        return {**config, **super().get_config()}


@_known.add
class MeanIoU(Metric):
    """Mean over the classes of intersection over union, tp / (tp + fp + fn), for class numbers 0..num_classes - 1."""

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.total_cm = self.add_weight("total_confusion_matrix", shape=(num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = [K.cast(y if K.is_tensor(y) else K.constant(y), "int32") for y in (y_true, y_pred)]
        if y_pred.ndim == y_true.ndim + 1:
            y_pred = K.squeeze(y_pred, -1)
        real, said = [K.cast(K.one_hot(K.flatten(y), self.num_classes), self.dtype) for y in (y_true, y_pred)]
        if sample_weight is not None:
            weight = K.flatten(losses_utils.broadcast_weights(y_true, _weight(sample_weight, self.dtype)))
            said = said * K.expand_dims(weight, -1)
        return K.update_add(self.total_cm, K.dot(K.transpose(real), said))

    def result(self) -> Any:
        eye = K.constant(np.eye(self.num_classes), dtype=self.dtype)
        hits = K.sum(self.total_cm * eye, axis=0)
        union = K.sum(self.total_cm, axis=0) + K.sum(self.total_cm, axis=1) - hits
        present = K.sum(K.cast(K.not_equal(union, 0), self.dtype))
        return div_no_nan(K.sum(div_no_nan(hits, union)), present)

    def get_config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, **super().get_config()}


# -- names ------------------------------------------------------------------------------------------------------------


def clone_metric(metric: Any) -> Any:
    """A metric object like this one with a state of its own; anything else comes back."""
    return type(metric).from_config(metric.get_config()) if isinstance(metric, Metric) else metric


def clone_metrics(metrics: Any) -> Any:
    """Metrics in a list or dictionary, each cloned."""
    if metrics is None:
        return None
    if isinstance(metrics, dict):
        return {key: clone_metrics(value) for key, value in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return [clone_metrics(metric) for metric in metrics]
    return clone_metric(metrics)


def serialize(metric: Any) -> Any:
    """Name of a metric function, or the config of a metric object."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Metric from a name or config. Raises ValueError for an unknown one, naming the nearest."""
    return _known.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Metric from a name, a config, or a callable, which comes back."""
    return deserialize(identifier)
