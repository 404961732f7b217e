"""Parts of training that programs of Keras 1 and 2 took from the engine, by their names and signatures there.

Training itself is in ``training``, with ``data`` and ``objective``; these functions give the same answers on their own.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import losses as losses_module
from keras_compat import metrics as metrics_module
from keras_compat.engine import data as _data
from keras_compat.engine import objective
from keras_compat.engine.layer import shape_of
from keras_compat.utils.generic_utils import slice_arrays

# -- batches ----------------------------------------------------------------------------------------------------------


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Ranges (start, stop) of at most ``batch_size`` samples that cover ``size`` of them."""
    return [(start, min(size, start + batch_size)) for start in range(0, size, batch_size)]


def slice_X(X: Any, start: Any = None, stop: int | None = None) -> Any:
    """Rows ``start`` to ``stop`` of an array or of each array of a list (Keras 1's name of ``slice_arrays``)."""
    return slice_arrays(X, start, stop)


def batch_shuffle(index_array: Any, batch_size: int) -> np.ndarray:
    """The indices with whole batches in another order, each kept together; the incomplete one stays at the end.

    The order is drawn from NumPy's global generator, as Keras does.
    """
    index = np.asarray(index_array)
    whole = len(index) // batch_size * batch_size
    batches = index[:whole].reshape(-1, batch_size).copy()
    np.random.shuffle(batches)
    return np.concatenate([batches.reshape(-1), index[whole:]])


def check_num_samples(
    ins: Sequence[Any], batch_size: int | None = None, steps: int | None = None, steps_name: str = "steps"
) -> int | None:
    """Number of samples in a list of arrays; None where ``steps`` counts instead.

    Raises:
        ValueError: both ``steps`` and ``batch_size``, or neither arrays nor ``steps``.
    """
    if steps is not None:
        if batch_size is not None:
            raise ValueError(
                f"[{steps_name}] If {steps_name} is set, the `batch_size` must be None; got {batch_size}. Drop one."
            )
        return None
    if not ins or any(not hasattr(x, "shape") for x in ins[:1]):
        raise ValueError(
            f"[{steps_name}] The input data should have shape, or please specify {steps_name}; got {ins!r}. Pass "
            "arrays."
        )
    return int(ins[0].shape[0])


def check_generator_arguments(y: Any = None, sample_weight: Any = None, validation_split: Any = None) -> None:
    """Raise ValueError for arguments of ``fit`` that a generator brings itself."""
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"[fit] `{name}` argument is not supported when data is a generator or Sequence; got a "
                f"{type(value).__name__}. The generator should give it."
            )
    if validation_split:
        raise ValueError(
            f"[fit] validation_split must not be set when data is a generator; got {validation_split}. Pass "
            "validation_data."
        )


def should_run_validation(validation_freq: int | Iterable[int], epoch: int) -> bool:
    """Whether there is validation after epoch number ``epoch`` (from 0): each ``validation_freq``-th, or those listed.

    Raises:
        ValueError: neither a positive number nor a list.
    """
    one_based = epoch + 1
    if isinstance(validation_freq, (int, np.integer)) and not isinstance(validation_freq, bool):
        if validation_freq < 1:
            raise ValueError(
                f"[validation_freq] `validation_freq` can not be less than 1; got {validation_freq}. Leave it out."
            )
        return one_based % int(validation_freq) == 0
    if isinstance(validation_freq, str) or not isinstance(validation_freq, Iterable):
        raise ValueError(
            f"[validation_freq] `validation_freq` must be an Iterable or int; got {validation_freq!r}. Write "
            "validation_freq=2."
        )
    return one_based in validation_freq


# -- generators -------------------------------------------------------------------------------------------------------


def is_sequence(seq: Any) -> bool:
    """Tell whether an object is a ``Sequence`` of batches: it has a length, items and ``on_epoch_end``."""
    if inspect.isclass(seq) or isinstance(seq, (list, tuple, np.ndarray)):
        return False
    return all(callable(getattr(seq, name, None)) for name in ("__len__", "__getitem__", "on_epoch_end"))


def is_generator_or_sequence(x: Any) -> bool:
    """Tell whether data comes in batches from a generator or a ``Sequence``."""
    return inspect.isgenerator(x) or is_sequence(x) or (hasattr(x, "__next__") and not hasattr(x, "shape"))


def iter_sequence_infinite(seq: Any) -> Iterator[Any]:
    """The items of a ``Sequence`` over and over."""
    while True:
        for i in range(len(seq)):
            yield seq[i]


# -- data -------------------------------------------------------------------------------------------------------------


def standardize_single_array(x: Any) -> Any:
    """An array with a sample and a feature axis: a vector becomes a column. None and tensors of rank 2 or more stay."""
    if x is None:
        return None
    if K.is_tensor(x):
        if K.ndim(x) == 0:
            raise ValueError("[data] Got tensor with shape (): expected a batch of samples. Add a sample axis.")
        return K.expand_dims(x, -1) if K.ndim(x) == 1 else x
    if getattr(x, "ndim", None) == 1:
        return np.expand_dims(x, 1)
    return x


def standardize_input_data(
    data: Any,
    names: Sequence[str],
    shapes: Any = None,
    check_batch_axis: bool = True,
    exception_prefix: str = "",
) -> list[Any]:
    """The arrays for ``names`` from a list, a dictionary or a single array, checked against static shapes.

    Args:
        shapes: one (batch axis included) for each name, None where anything fits.
        check_batch_axis: compare the number of samples with a fixed batch size, too.
        exception_prefix: what the data is, for messages.

    Raises:
        ValueError: wrong number of arrays, rank or sizes.
    """
    wanted = [None if s is None else tuple(s) for s in (shapes or [None] * len(names))]
    if not check_batch_axis:
        wanted = [None if s is None else (None, *s[1:]) for s in wanted]
    if names and data is None:
        return [None] * len(names)
    return list(_data.standardize(data, names, wanted, exception_prefix or "data"))


def standardize_sample_or_class_weights(x_weight: Any, output_names: Sequence[str], weight_type: str) -> list[Any]:
    """One entry for each output from None, one for all, a list or a dictionary by output name."""
    return _data.per_output(x_weight, output_names, weight_type)


def standardize_class_weights(class_weight: Any, output_names: Sequence[str]) -> list[Any]:
    """A dictionary of class weights for each output, None where there is none."""
    return standardize_sample_or_class_weights(class_weight, output_names, "class_weight")


def standardize_sample_weights(sample_weight: Any, output_names: Sequence[str]) -> list[Any]:
    """An array of sample weights for each output, None where there is none."""
    return standardize_sample_or_class_weights(sample_weight, output_names, "sample_weight")


def standardize_weights(
    y: Any, sample_weight: Any = None, class_weight: Any = None, sample_weight_mode: str | None = None
) -> np.ndarray:
    """Weights of the samples of one output: (n,), or (n, steps) in mode 'temporal'; ones where none are given."""
    _data.sample_weight_modes(sample_weight_mode, ["output"])
    y = np.asarray(y)
    weights = _data.standardize_weights(y, sample_weight, class_weight, sample_weight_mode)
    if weights is None:
        weights = np.ones(y.shape[:2] if sample_weight_mode == "temporal" else y.shape[:1], dtype=K.floatx())
    return weights


def check_array_length_consistency(inputs: Any, targets: Any, weights: Any = None) -> None:
    """Raise ValueError unless all inputs, targets and weights have as many samples; none at all counts as 0 of them."""
    nothing = np.empty(0)
    given = [part if isinstance(part, (list, tuple)) else [part] for part in (inputs, targets, weights)]
    _data.check_lengths(*[[nothing if x is None else x for x in part] for part in given])


def check_array_lengths(inputs: Any, targets: Any, weights: Any) -> None:
    """Raise ValueError unless all arrays of the lists have as many samples, those that are there (Keras 1)."""
    _data.check_lengths(*[[x for x in (part or []) if x is not None] for part in (inputs, targets, weights)])


def check_loss_and_target_compatibility(targets: Any, loss_fns: Any, output_shapes: Any) -> None:
    """Raise ValueError for class numbers where a loss expects one-hot rows, and for sizes that differ."""
    for y, fn, shape in zip(targets, loss_fns, output_shapes):
        if y is None or fn is None or K.is_tensor(y):
            continue
        objective.check_kind_of_targets(y, fn, shape)
        wanted = objective.target_shape(fn, shape)
        if wanted is None:
            continue
        came = np.shape(y)
        if len(came) != len(wanted) or any(w not in (None, c) for w, c in zip(wanted[1:], came[1:])):
            name = getattr(objective._function(fn), "__name__", type(fn).__name__)
            raise ValueError(
                f"[target] A target array with shape {came} was passed for an output of shape {tuple(shape)} while "
                f"using as loss `{name}`. This loss expects targets to have the same shape as the output."
                if wanted == tuple(shape)
                else f"[target] A target array with shape {came} was passed for an output of shape {tuple(shape)}; the "
                f"loss `{name}` expects {wanted}."
            )


# -- losses and metrics -----------------------------------------------------------------------------------------------


def get_loss_function(loss: Any) -> Any:
    """A ``Loss`` object from a name, a function, a config or itself; None stays None."""
    if loss is None or isinstance(loss, losses_module.Loss):
        return loss
    found = losses_module.get(loss)
    if isinstance(found, losses_module.Loss):
        return found
    return losses_module.LossFunctionWrapper(found, name=getattr(found, "__name__", None) or type(found).__name__)


def prepare_loss_functions(loss: Any, output_names: Sequence[str]) -> list[Any]:
    """A ``Loss`` object for each output, None where an output has none."""
    return [get_loss_function(one) for one in objective.losses_by_output(loss, output_names)]


def prepare_loss_weights(output_names: Sequence[str], loss_weights: Any = None) -> list[float]:
    """A number for each output, 1 by default."""
    return objective.loss_weights_by_output(loss_weights, output_names)


def collect_metrics(metrics: Any, output_names: Sequence[str]) -> list[list[Any]]:
    """A list of metrics for each output from one list for all, a list of lists, or a dictionary by output name."""
    return objective.metrics_by_output(metrics, output_names)


def get_metric_name(metric: Any, weighted: bool = False) -> str:
    """Name of a metric in the logs, before the output's name and numbers are added; it follows the API level."""
    resolved = metric if not isinstance(metric, str) or metric in _COMMON else metrics_module.get(metric)
    return objective._base_name(metric, resolved, weighted)


_COMMON = ("accuracy", "acc", "crossentropy", "ce")


def get_metric_function(metric: Any, output_shape: Any = None, loss_fn: Any = None) -> Any:
    """The function or object that a metric's name means for an output; 'accuracy' depends on its width and loss."""
    if isinstance(metric, str) and metric in _COMMON:
        return objective.resolve_metric(metric, output_shape or (None, None), loss_fn)
    return metrics_module.get(metric)


def collect_per_output_metric_info(
    metrics: Any, output_names: Sequence[str], output_shapes: Any, loss_fns: Any, is_weighted: bool = False
) -> list[OrderedDict]:
    """For each output its metrics as stateful objects, by name."""
    out = []
    for listed, shape, fn in zip(objective.metrics_by_output(metrics, output_names), output_shapes, loss_fns):
        found: OrderedDict = OrderedDict()
        for metric in listed:
            name = get_metric_name(metric, is_weighted)
            made: Any = get_metric_function(metric, shape, fn)
            made = made() if inspect.isclass(made) else made
            if not isinstance(made, metrics_module.Metric):
                made = metrics_module.MeanMetricWrapper(made, name=name)
            found[name] = made
        out.append(found)
    return out


def call_metric_function(metric_fn: Any, y_true: Any, y_pred: Any = None, weights: Any = None, mask: Any = None) -> Any:
    """The result of a metric object for a batch, with masked steps left out."""
    if mask is not None:
        mask = K.cast(mask, K.dtype(y_pred if y_pred is not None else y_true))
        weights = mask if weights is None else mask * objective._to_rank(weights, K.ndim(mask))
    if y_pred is None:
        return metric_fn(y_true, sample_weight=weights)
    return metric_fn(y_true, y_pred, sample_weight=weights)


def weighted_masked_objective(fn: Any) -> Any:
    """Turn a loss ``fn(y_true, y_pred)`` into ``weighted(y_true, y_pred, weights, mask=None)``, a scalar.

    Elements are multiplied by mask and weights; the mean is taken over those that count.
    """
    if fn is None:
        return None

    def weighted(y_true: Any, y_pred: Any, weights: Any, mask: Any = None) -> Any:
        return objective.mean_of_counted(fn(y_true, y_pred), weights, mask, K.epsilon())

    return weighted


# Keras 1's name.
weighted_objective = weighted_masked_objective


def prepare_sample_weights(
    output_names: Sequence[str], sample_weight_mode: Any, skip_target_weighing_indices: Sequence[int]
) -> tuple[list[Any], list[str | None]]:
    """Placeholders of the sample weights of each output (None for those skipped), and their modes."""
    skipped = [output_names[i] for i in skip_target_weighing_indices]
    modes = _data.sample_weight_modes(sample_weight_mode, output_names, skipped)
    pairs = [
        get_output_sample_weight_and_mode(skip_target_weighing_indices, mode, name, i)
        for i, (name, mode) in enumerate(zip(output_names, modes))
    ]
    return [weight for weight, _ in pairs], [mode for _, mode in pairs]


def get_output_sample_weight_and_mode(
    skip_target_weighing_indices: Sequence[int], sample_weight_mode: str | None, output_name: str, output_index: int
) -> tuple[Any, str | None]:
    """Placeholder of one output's sample weights, (n,) or (n, steps) in mode 'temporal', and the mode."""
    if output_index in skip_target_weighing_indices:
        return None, None
    shape = (None, None) if sample_weight_mode == "temporal" else (None,)
    return K.placeholder(shape=shape, name=output_name + "_sample_weights"), sample_weight_mode


# -- layers -----------------------------------------------------------------------------------------------------------


def get_input_shape_and_dtype(layer: Any) -> tuple[Any, Any]:
    """Input shape (batch included) and dtype of the innermost first layer; (None, None) where it says nothing.

    Raises:
        ValueError: an empty model.
    """
    while hasattr(layer, "layers"):
        if not layer.layers:
            raise ValueError("[model] expected a model with layers; got an empty one. Add a layer first.")
        inner = getattr(layer, "_layers", layer.layers)[0]
        if inner is layer:
            break
        layer = inner
    shape = getattr(layer, "batch_input_shape", None)
    if shape is None and getattr(layer, "_inbound_nodes", None):
        shape = shape_of(layer._inbound_nodes[0].input_tensors[0])
    return (tuple(shape), layer.dtype) if shape is not None else (None, None)


def get_static_batch_size(layer: Any) -> int | None:
    """Batch size that a model is bound to, or None."""
    shape, _ = get_input_shape_and_dtype(layer)
    return None if shape is None else shape[0]
