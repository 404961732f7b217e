"""What a model is trained for: losses, their weights and metrics, resolved by output and by API level, as "
"tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import losses as losses_module
from keras_compat import metrics as metrics_module
from keras_compat.dialect.level import get_api_level
from keras_compat.engine.layer import Layer, shape_of
from keras_compat.utils.generic_utils import warn


def check_names(loss: Any, metrics: Any) -> None:
    """Raise ValueError for unknown names of losses and metrics, where the outputs are not there yet."""
    for name in _strings(loss):
        losses_module.get(name)
    for name in _strings(metrics):
        if name not in _ACCURACY + _CROSSENTROPY:
            metrics_module.get(name)


def _strings(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    items = given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else ()
    return [name for item in items for name in _strings(item)]


def flat(given: Any) -> list[Any]:
    """The metrics of one output: a list, one alone, none."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [m for part in given.values() for m in flat(part)]
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _check_keys(what: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f'[compile] Unknown entry in {what} dictionary: "{unknown[0]}". Only expected the following keys: '
            f"{list(names)}. Check the names of the output layers."
        )


def losses_by_output(loss: Any, names: Sequence[str]) -> list[Any]:
    """A loss for each output from one for all, a list, or a dictionary; None where an output has none.

    Raises:
        ValueError: unknown output names, wrong number, unknown loss.
    """
    if isinstance(loss, Mapping):
        _check_keys("loss", loss, names)
        for name in names:
            if name not in loss:
                warn(
                    f"Output {name} missing from loss dictionary. We assume this was done on purpose, and we will not "
                    f"be expecting any data to be passed to {name} during training."
                )
        given = [loss.get(name) for name in names]
    elif isinstance(loss, (list, tuple)):
        if len(loss) != len(names):
            raise ValueError(
                "[compile] When passing a list as loss, it should have one entry per model output. The model has "
                f"{len(names)} outputs, but you passed loss={loss}. Use None for an output without a loss."
            )
        given = list(loss)
    else:
        given = [loss] * len(names)
    return [None if one is None else losses_module.get(one) for one in given]


def loss_weights_by_output(weights: Any, names: Sequence[str]) -> list[float]:
    """A number for each output, 1 by default."""
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, Mapping):
        _check_keys("loss_weights", weights, names)
        return [weights.get(name, 1.0) for name in names]
    if isinstance(weights, list):
        if len(weights) != len(names):
            raise ValueError(
                "[compile] When passing a list as loss_weights, it should have one entry per model output. The model "
                f"has {len(names)} outputs, but you passed loss_weights={weights}."
            )
        return list(weights)
    raise TypeError(
        f"[compile] Could not interpret loss_weights argument: {weights!r}; expected a list of numbers or a "
        "dictionary. Write loss_weights=[1.0, 0.2]."
    )


def targets_by_output(given: Any, names: Sequence[str]) -> list[Any]:
    """A tensor to compare with for each output, None where arrays are to be passed.

    Args:
        given: None, a tensor (of a single output), a list, or a dictionary by output name.

    Raises:
        ValueError: unknown output names, wrong number.
        TypeError: something else.
    """
    if given is None or (isinstance(given, (list, tuple, dict)) and not given):
        return [None] * len(names)
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                "[compile] When passing a list as `target_tensors`, it should have one entry per model output. The "
                f"model has {len(names)} outputs, but you passed target_tensors={given}. Use None for an output that "
                "arrays are passed for."
            )
        return list(given)
    if isinstance(given, Mapping):
        _check_keys("target_tensors", given, names)
        return [given.get(name) for name in names]
    if K.is_tensor(given) or isinstance(given, np.ndarray):
        if len(names) != 1:
            raise ValueError(
                f"[compile] The model has {len(names)} outputs, but you passed a single tensor as `target_tensors`. "
                "Expected a list or a dict of tensors."
            )
        return [given]
    raise TypeError(
        f"[compile] Expected `target_tensors` to be a tensor, a list of tensors or a dict of tensors; got "
        f"{type(given).__name__}. Write target_tensors=[y]."
    )


def is_loss(fn: Any, name: str) -> bool:
    """True when ``fn`` is the Keras loss of that function name, as function or as Loss object."""
    found = getattr(losses_module, name, None)
    return found is not None and _function(fn) is inspect.unwrap(found)


def _function(fn: Any) -> Any:
    """The plain function behind a Loss object or a wrapper."""
    inner = getattr(fn, "fn", fn)
    return inspect.unwrap(inner) if callable(inner) else inner


def target_shape(fn: Any, output_shape: Any) -> Any:
    """Static shape that targets must have; None for a loss of the user's, which may take anything."""
    if fn is None:
        return None
    if is_loss(fn, "sparse_categorical_crossentropy"):
        return (*output_shape[:-1], 1)
    return tuple(output_shape) if is_loss(fn, getattr(_function(fn), "__name__", "")) else None


def check_kind_of_targets(y: Any, fn: Any, output_shape: Any) -> None:
    """Raise ValueError for class numbers where one-hot rows are expected, and the other way round."""
    shape: tuple[Any, ...] = tuple(y.shape) if hasattr(y, "shape") else ()
    classes = output_shape[-1]
    if len(shape) == 1:
        shape = (*shape, 1)
    if len(shape) != len(output_shape):
        return
    if is_loss(fn, "categorical_crossentropy") and shape[-1] == 1:
        raise ValueError(
            f"[target] You are passing a target array of shape {shape} while using as loss `categorical_crossentropy`. "
            "`categorical_crossentropy` expects targets to be binary matrices (1s and 0s) of shape (samples, classes): "
            f"here {(shape[0], *output_shape[1:])}. If your targets are integer classes, you can convert them to the "
            "expected format via:\n"
            "```\nfrom keras.utils import to_categorical\ny_binary = to_categorical(y_int)\n```\n\n"
            "Alternatively, you can use the loss function `sparse_categorical_crossentropy` instead, which does expect "
            "integer targets."
        )
    if classes is None:
        return
    if is_loss(fn, "sparse_categorical_crossentropy") and shape[-1] == classes > 1:
        raise ValueError(
            f"[target] You are passing a target array of shape {shape} while using as loss "
            "`sparse_categorical_crossentropy`, which expects one class number for each sample: "
            f"{(shape[0], *output_shape[1:-1], 1)}. If your targets are one-hot rows, use the loss "
            "`categorical_crossentropy`, or y.argmax(axis=-1)."
        )


def weighted_loss(fn: Any, y_true: Any, y_pred: Any, weights: Any, mask: Any, mean_of_unmasked: bool = False) -> Any:
    """The scalar loss of one output.

    2.3: ``sum(weight * loss) / n`` over all n elements, masked ones included (their weight is 0). With
    ``mean_of_unmasked``, as in tf.keras and Keras 3, n counts the unmasked ones only.
    1.2, 2.2: the masked loss is divided by the share of unmasked steps; the weighted one, reduced to the rank of the
    weights, by the share of weights that are not 0.
    """
    if get_api_level() == "2.3":
        if mask is not None:
            mask = K.cast(mask, y_pred.dtype)
            if mean_of_unmasked:
                mask = mask / K.maximum(K.mean(mask), K.epsilon())
            weights = mask if weights is None else mask * _to_rank(weights, mask.ndim)
        if isinstance(fn, losses_module.Loss):
            return fn(y_true, y_pred, sample_weight=weights)
        values = fn(y_true, y_pred)
        if weights is not None:
            values = values * _to_rank(weights, values.ndim)
        return K.mean(values) if values.ndim else values
    values = (fn.call if isinstance(fn, losses_module.Loss) else fn)(y_true, y_pred)
    return mean_of_counted(values, weights, mask, 0.0 if get_api_level() == "1.2" else K.epsilon())


def mean_of_counted(values: Any, weights: Any, mask: Any, epsilon: float) -> Any:
    """The mean of losses over the elements that mask and weights let count, as Keras 1.2 and 2.2 take it.

    ``epsilon`` is added to the share of unmasked steps.
    """
    if mask is not None:
        mask = K.cast(mask, K.floatx())
        share = K.mean(mask)
        values = values * _to_rank(mask, values.ndim) / (share + epsilon if epsilon else share)
    if weights is not None:
        extra = list(range(weights.ndim, values.ndim))
        if extra:
            values = K.mean(values, axis=extra)
        values = values * weights
        values = values / K.mean(K.cast(K.not_equal(weights, 0), K.floatx()))
    return K.mean(values) if values.ndim else values


def _to_rank(weights: Any, ndim: int) -> Any:
    """Weights with axes of length 1 added, or a last one taken off, to go with a value of that rank."""
    if weights.ndim == ndim + 1 and weights.shape[-1] == 1:
        return K.squeeze(weights, -1)
    while weights.ndim < ndim:
        weights = K.expand_dims(weights, -1)
    return weights


class MetricSlot:
    """One metric of one output: its name in the logs and how its tensor is made.

    Stateful metrics (all of 2.3, Metric objects in any level) give a running result; the others the batch's mean.
    """

    def __init__(self, name: str, metric: Any, output: int, weighted: bool, stateful: bool, prefix: str = ""):
        self.name = name
        self.prefix = prefix  # of the output, in the names of several results
        self.metric = metric
        self.output = output
        self.weighted = weighted
        self.stateful = stateful

    def tensor(self, y_true: Any, y_pred: Any, weights: Any, mask: Any) -> Any:
        """The scalar that is logged; a stateful one carries its updates along."""
        if isinstance(self.metric, Layer):  # a metric with state as in Keras 2.2: its updates go with its value
            before = len(self.metric.updates)
            value = K.identity(self.metric(y_true, y_pred))
            value._attached_updates = K.as_updates(self.metric.updates[before:])
            return value
        weights = _whole(weights, y_pred) if self.weighted else None
        if not self.stateful:
            if isinstance(self.metric, losses_module.Loss):
                return weighted_loss(self.metric, y_true, y_pred, weights, mask)
            values = self.metric(y_true, y_pred)
            if isinstance(values, Mapping):  # several metrics by name, as in Keras 1
                return {name: K.mean(value) if value.ndim else value for name, value in values.items()}
            return weighted_loss(lambda *_: values, y_true, y_pred, weights, mask)
        if mask is not None:
            mask = K.cast(mask, y_pred.dtype)
            weights = mask if weights is None else mask * _to_rank(weights, mask.ndim)
        return self.metric(y_true, y_pred, sample_weight=weights)


def _whole(weights: Any, y_pred: Any) -> Any:
    """Weights as long as the batch also where a constant 1 stands for them: metrics count them."""
    first = y_pred[(slice(None),) * weights.ndim + (0,) * (y_pred.ndim - weights.ndim)]
    return weights + K.zeros_like(first)


_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")


def resolve_metric(metric: Any, output_shape: Any, loss: Any) -> Any:
    """Metric function or object of a name; 'accuracy' and 'crossentropy' follow the output's width and the loss."""
    if isinstance(metric, str) and metric in _ACCURACY + _CROSSENTROPY:
        kind = metric in _ACCURACY
        if output_shape[-1] == 1 or is_loss(loss, "binary_crossentropy"):
            return metrics_module.get("binary_accuracy" if kind else "binary_crossentropy")
        if is_loss(loss, "sparse_categorical_crossentropy"):
            return metrics_module.get("sparse_categorical_accuracy" if kind else "sparse_categorical_crossentropy")
        return metrics_module.get("categorical_accuracy" if kind else "categorical_crossentropy")
    found = metrics_module.get(metric)
    return found() if inspect.isclass(found) else found


def _base_name(given: Any, resolved: Any, weighted: bool) -> str:
    if get_api_level() == "2.3":
        if isinstance(given, str):
            return given
        return getattr(resolved, "name", None) or resolved.__name__
    prefix = "weighted_" if weighted else ""
    if isinstance(given, str) and given in _ACCURACY:
        return prefix + "acc"
    if isinstance(given, str) and given in _CROSSENTROPY:
        return prefix + "ce"
    return prefix + (getattr(resolved, "name", None) or resolved.__name__)


def metrics_by_output(metrics: Any, names: Sequence[str]) -> list[list[Any]]:
    """A list of metrics for each output: one list for all, a list of lists, or a dictionary by output name."""
    if not metrics:
        return [[] for _ in names]
    if isinstance(metrics, Mapping):
        _check_keys("metrics", metrics, names)
        return [_listed(metrics.get(name)) for name in names]
    if isinstance(metrics, (list, tuple)):
        if any(isinstance(m, (list, tuple)) for m in metrics):
            if len(metrics) != len(names):
                raise ValueError(
                    "[compile] When passing a list of lists as `metrics`, it should have one entry per model output. "
                    f"The model has {len(names)} outputs, but you passed metrics={metrics}."
                )
            return [_listed(m) for m in metrics]
        if len(names) > 1:
            # A Metric object has one state: each output gets its own.
            return [list(metrics) if i == 0 else [_another(m) for m in metrics] for i in range(len(names))]
        return [list(metrics)]
    if isinstance(metrics, str) or callable(metrics):
        return [[metrics] for _ in names]
    raise TypeError(
        f"[compile] Type of `metrics` argument not understood: {type(metrics).__name__}; expected a list or "
        "dictionary. Write metrics=['accuracy']."
    )


def _listed(m: Any) -> list[Any]:
    if m is None:
        return []
    return list(m) if isinstance(m, (list, tuple)) else [m]


def _another(metric: Any) -> Any:
    if isinstance(metric, metrics_module.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def make_slots(
    metrics: Any,
    weighted_metrics: Any,
    outputs: Sequence[Any],
    losses: Sequence[Any],
    output_names: Sequence[str],
    taken: Sequence[str],
) -> list[MetricSlot]:
    """The metrics of all outputs in Keras's order, with unique names."""
    plain = metrics_by_output(metrics, output_names)
    weighted = metrics_by_output(weighted_metrics, output_names)
    level = get_api_level()
    used = list(taken)
    slots: list[MetricSlot] = []
    for i, (y, loss) in enumerate(zip(outputs, losses)):
        if loss is None:
            continue
        for is_weighted, listed in ((False, plain[i]), (True, weighted[i])):
            for given in listed:
                resolved = resolve_metric(given, shape_of(y), loss)
                prefix = f"{output_names[i]}_" if len(output_names) > 1 else ""
                name = unused(prefix + _base_name(given, resolved, is_weighted), used)
                used.append(name)
                is_object = isinstance(resolved, (metrics_module.Metric, Layer))
                stateful = is_object or level == "2.3"
                if stateful and not is_object:
                    resolved = metrics_module.MeanMetricWrapper(resolved, name=name)
                slots.append(MetricSlot(name, resolved, i, is_weighted, stateful, prefix))
    return slots


def unused(name: str, taken: Sequence[str]) -> str:
    """``name``, or with a number behind it where that is taken: ``acc``, ``acc_1``..."""
    base, j = name, 1
    while name in taken:
        name = f"{base}_{j}"
        j += 1
    return name


def ones_for(weights: Any) -> np.ndarray:
    """A constant that stands for weights not given: it broadcasts against any batch and folds away."""
    return np.ones((1,) * weights.ndim, dtype=weights.dtype)
