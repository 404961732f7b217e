"""Losses: from targets and predictions to one number per sample (the last axis is averaged or summed away).

Functions ``f(y_true, y_pred)`` and the classes of Keras 2.3, which reduce to a scalar. Formulas are those of 2.3.1;
where the releases differ, the API level decides (``cosine_proximity``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import Registry, serialize_keras_object

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object
from keras_compat.utils.losses_utils import Reduction, compute_weighted_loss

_known = Registry("loss function")


def as_floats(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as float tensors of one dtype, that of the predictions."""
    y_pred = y_pred if K.is_tensor(y_pred) else K.constant(y_pred)
    if y_pred.dtype.kind != "f":
        y_pred = K.cast(y_pred, K.floatx())
    y_true = y_true if K.is_tensor(y_true) else K.constant(y_true)
    return K.cast(y_true, K.dtype(y_pred)), y_pred


@_known.add
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_pred - y_true)**2)."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.mean(K.square(y_pred - y_true), axis=-1)


@_known.add
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(abs(y_pred - y_true))."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.mean(K.abs(y_pred - y_true), axis=-1)


@_known.add
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(abs(y_true - y_pred) / max(abs(y_true), epsilon))."""
    y_true, y_pred = as_floats(y_true, y_pred)
    relative = K.abs((y_true - y_pred) / K.clip(K.abs(y_true), K.epsilon(), None))
    return K.mean(relative, axis=-1) * 100.0


@_known.add
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(1 + y_pred) - log(1 + y_true))**2), both at least epsilon."""
    y_true, y_pred = as_floats(y_true, y_pred)
    predicted = K.log(K.clip(y_pred, K.epsilon(), None) + 1.0)
    actual = K.log(K.clip(y_true, K.epsilon(), None) + 1.0)
    return K.mean(K.square(predicted - actual), axis=-1)


@_known.add
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)**2), for targets -1 and 1."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.mean(K.square(K.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)


@_known.add
def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)), for targets -1 and 1."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.mean(K.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)


@_known.add
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(0, 1 + highest score of another class - score of the class), for one-hot targets."""
    y_true, y_pred = as_floats(y_true, y_pred)
    positive = K.sum(y_true * y_pred, axis=-1)
    negative = K.max((1.0 - y_true) * y_pred, axis=-1)
    return K.maximum(negative - positive + 1.0, 0.0)


@_known.add
def logcosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true))): like x**2 / 2 for small errors, like abs(x) - log(2) for large ones."""
    y_true, y_pred = as_floats(y_true, y_pred)
    error = y_pred - y_true
    return K.mean(error + K.softplus(error * -2.0) - math.log(2.0), axis=-1)


@_known.add
def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Elementwise x**2 / 2 for errors up to ``delta``, then ``delta * abs(x) - delta**2 / 2``. Not averaged."""
    y_true, y_pred = as_floats(y_true, y_pred)
    error = K.abs(y_pred - y_true)
    quadratic = K.minimum(error, delta)
    return K.square(quadratic) * 0.5 + (error - quadratic) * delta


@_known.add
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Any:
    """-sum(y_true * log(y_pred)), for one-hot targets. See ``K.categorical_crossentropy``.

    ``label_smoothing`` moves that share of each target evenly to all classes.
    """
    y_true, y_pred = as_floats(y_true, y_pred)
    if label_smoothing:
        n = y_pred.shape[-1]
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / n
    return K.categorical_crossentropy(target=y_true, output=y_pred, from_logits=from_logits)


@_known.add
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-log(y_pred[y_true]), for targets that are class numbers. See ``K.sparse_categorical_crossentropy``."""
    return K.sparse_categorical_crossentropy(target=y_true, output=y_pred, from_logits=from_logits, axis=axis)


@_known.add
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0) -> Any:
    """mean(-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)), for targets 0 and 1.

    ``label_smoothing`` moves the targets that share of the way to 0.5.
    """
    y_true, y_pred = as_floats(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return K.mean(K.binary_crossentropy(target=y_true, output=y_pred, from_logits=from_logits), axis=-1)


@_known.add
def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true * log(y_true / y_pred)), both within [epsilon, 1]."""
    y_true, y_pred = as_floats(y_true, y_pred)
    y_true, y_pred = K.clip(y_true, K.epsilon(), 1.0), K.clip(y_pred, K.epsilon(), 1.0)
    return K.sum(y_true * K.log(y_true / y_pred), axis=-1)


@_known.add
def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true * log(y_pred + epsilon))."""
    y_true, y_pred = as_floats(y_true, y_pred)
    return K.mean(y_pred - y_true * K.log(y_pred + K.epsilon()), axis=-1)


@_known.add
def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between targets and predictions; at API level 1.2 divided by their length."""
    y_true, y_pred = as_floats(y_true, y_pred)
    product = K.l2_normalize(y_true, axis=axis) * K.l2_normalize(y_pred, axis=axis)
    return -(K.mean(product, axis=axis) if get_api_level() == "1.2" else K.sum(product, axis=axis))


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_similarity = cosine_proximity
_known.update(
    mse=mse,
    MSE=mse,
    mae=mae,
    MAE=mae,
    mape=mape,
    MAPE=mape,
    msle=msle,
    MSLE=msle,
    kld=kld,
    KLD=kld,
    cosine=cosine_proximity,
    cosine_similarity=cosine_proximity,
)


# -- classes ----------------------------------------------------------------------------------------------------------


@_known.add
class Loss:
    """Base class. Override ``call(y_true, y_pred)``, which returns one loss per sample.

    Args:
        reduction: how losses become one number: 'sum_over_batch_size' (their mean), 'sum' or 'none'.
        name: shown in logs.
    """

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str | None = None):
        self.reduction = reduction
        self.name = name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Reduced loss; ``sample_weight`` is a number, or one weight per sample (or per loss)."""
        return compute_weighted_loss(self.call(y_true, y_pred), sample_weight, reduction=self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Losses of the samples."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a loss needs call(y_true, y_pred). Must be implemented by subclasses."
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same loss again."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make a loss from what ``get_config`` returned."""
        return cls(**config)


@_known.add
class LossFunctionWrapper(Loss):
    """A loss made of a function ``fn(y_true, y_pred, **kwargs)``."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(reduction=reduction, name=name)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {key: K.eval(v).tolist() if K.is_tensor(v) else v for key, v in self._fn_kwargs.items()}
        if type(self) is LossFunctionWrapper:  # Keras 2.3.1 leaves it out and can not read its own config
            config["fn"] = serialize(self.fn)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if cls is LossFunctionWrapper:
            config = {**config, "fn": get(config["fn"])}
        return super().from_config(config)


@_known.add
class MeanSquaredError(LossFunctionWrapper):
    """See :func:`mean_squared_error`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_squared_error"):
        super().__init__(mean_squared_error, reduction, name)


@_known.add
class MeanAbsoluteError(LossFunctionWrapper):
    """See :func:`mean_absolute_error`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_absolute_error"):
        super().__init__(mean_absolute_error, reduction, name)


@_known.add
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """See :func:`mean_absolute_percentage_error`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_absolute_percentage_error"):
        super().__init__(mean_absolute_percentage_error, reduction, name)


@_known.add
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """See :func:`mean_squared_logarithmic_error`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "mean_squared_logarithmic_error"):
        super().__init__(mean_squared_logarithmic_error, reduction, name)


@_known.add
class BinaryCrossentropy(LossFunctionWrapper):
    """See :func:`binary_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
        name: str = "binary_crossentropy",
    ):
        super().__init__(binary_crossentropy, reduction, name, from_logits=from_logits, label_smoothing=label_smoothing)
        self.from_logits = from_logits


@_known.add
class CategoricalCrossentropy(LossFunctionWrapper):
    """See :func:`categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
        name: str = "categorical_crossentropy",
    ):
        super().__init__(
            categorical_crossentropy, reduction, name, from_logits=from_logits, label_smoothing=label_smoothing
        )


@_known.add
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """See :func:`sparse_categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
        name: str = "sparse_categorical_crossentropy",
    ):
        super().__init__(sparse_categorical_crossentropy, reduction, name, from_logits=from_logits)


@_known.add
class Hinge(LossFunctionWrapper):
    """See :func:`hinge`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "hinge"):
        super().__init__(hinge, reduction, name)


@_known.add
class SquaredHinge(LossFunctionWrapper):
    """See :func:`squared_hinge`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "squared_hinge"):
        super().__init__(squared_hinge, reduction, name)


@_known.add
class CategoricalHinge(LossFunctionWrapper):
    """See :func:`categorical_hinge`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "categorical_hinge"):
        super().__init__(categorical_hinge, reduction, name)


@_known.add
class Poisson(LossFunctionWrapper):
    """See :func:`poisson`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "poisson"):
        super().__init__(poisson, reduction, name)


@_known.add
class LogCosh(LossFunctionWrapper):
    """See :func:`logcosh`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "logcosh"):
        super().__init__(logcosh, reduction, name)


@_known.add
class KLDivergence(LossFunctionWrapper):
    """See :func:`kullback_leibler_divergence`."""

    def __init__(self, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "kullback_leibler_divergence"):
        super().__init__(kullback_leibler_divergence, reduction, name)


@_known.add
class Huber(LossFunctionWrapper):
    """See :func:`huber_loss`."""

    def __init__(self, delta: float = 1.0, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str = "huber_loss"):
        super().__init__(huber_loss, reduction, name, delta=delta)


# -- names ------------------------------------------------------------------------------------------------------------


def is_categorical_crossentropy(loss: Any) -> bool:
    """Tell whether a loss, in any of its spellings, is the categorical cross-entropy."""
    return (
        isinstance(loss, CategoricalCrossentropy)
        or (isinstance(loss, LossFunctionWrapper) and loss.fn is categorical_crossentropy)
        or getattr(loss, "__name__", None) == "categorical_crossentropy"
        or loss == "categorical_crossentropy"
    )


def serialize(loss: Any) -> Any:
    """Name of a loss function, or the config of a loss object."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Loss from a name or config. Raises ValueError for an unknown one, naming the nearest."""
    return _known.deserialize(name, custom_objects)


def get(identifier: Any) -> Any:
    """Loss from a name, a config, a callable (which comes back) or None."""
    return None if identifier is None else deserialize(identifier)
