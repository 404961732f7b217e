"""Compile settings of later releases (tf.keras 2.x and Keras 3) in the words of Keras 2.3.1.

The same kind of pure functions as in :mod:`keras_compat.saving.layer_configs`, for ``training_config`` of an HDF5 file
and ``compile_config`` of a ``.keras`` archive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from keras_compat import losses, metrics, optimizers
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.layer_configs import arguments, class_name_of, is_written_later
from keras_compat.saving.stored import Writer
from keras_compat.utils.generic_utils import Registry, known_objects

# Arguments of optimizers that change nothing: of any value, or of these.
_OPTIMIZER_NO_MATTER = {"name", "jit_compile", "is_legacy_optimizer", "ema_momentum", "ema_overwrite_frequency"}
_OPTIMIZER_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "centered": (False,),
    "clipnorm": (None,),
    "clipvalue": (None,),
    "global_clipnorm": (None,),
    "gradient_accumulation_steps": (None, 1),
    "loss_scale_factor": (None, 1.0),
    "momentum": (0.0, None),
    "use_ema": (False,),
    "weight_decay": (None, False, 0.0),
}
# Metrics that tf.keras made of a function, by that function.
_METRICS = {
    "accuracy": "Accuracy",
    "binary_accuracy": "BinaryAccuracy",
    "binary_crossentropy": "BinaryCrossentropy",
    "categorical_accuracy": "CategoricalAccuracy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_hinge": "CategoricalHinge",
    "hinge": "Hinge",
    "kl_divergence": "KLDivergence",
    "kullback_leibler_divergence": "KLDivergence",
    "log_cosh": "LogCoshError",
    "logcosh": "LogCoshError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_error": "MeanSquaredError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "poisson": "Poisson",
    "sparse_categorical_accuracy": "SparseCategoricalAccuracy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "squared_hinge": "SquaredHinge",
}
# What 2.3.1 calls otherwise.
_FUNCTIONS = {
    "kl_divergence": "kullback_leibler_divergence",
    "log_cosh": "logcosh",
    "huber": "huber_loss",
    "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
}
_PLAIN_ACCURACY = ("accuracy", "acc")


def training_to_ours(
    training: Mapping[str, Any] | None,
    writer: Writer,
    outputs: Mapping[str, int | None] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Compile settings as Keras 2.3.1 wrote them: ``optimizer_config``, ``loss``, ``metrics``, ``loss_weights``...

    ``mean_of_unmasked`` among them says how the loss is to be taken (``Model._mean_of_unmasked``).

    Args:
        training: as they stand in the file, of any release; None comes back.
        outputs: size of the last axis of each output of the model, by its name; it decides what 'accuracy' means there.
        custom_objects: names that the user's own losses, metrics and optimizers go by.

    Raises:
        ValueError: naming everything that this package can not follow.
    """
    if not training or not (training.get("optimizer_config") or training.get("optimizer") or training.get("loss")):
        return None
    if not is_written_later(training, writer):
        return dict(training)
    known = known_objects(custom_objects)
    problems: list[str] = []
    try:
        ours = _translated(training, writer, outputs or {}, known, problems)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise CorruptFileError(
            f"[load] expected compile settings; got some that no Keras writes ({type(error).__name__}: {error}). Is "
            "the file whole? compile=False loads the model without them."
        ) from error
    if problems:
        raise ValueError(
            f"[load_model] the compile settings ask in {len(problems)} places for what this package does not compute: "
            f"{'; '.join(problems)}. compile=False loads the model without them."
        )
    return ours


def _translated(
    training: Mapping[str, Any],
    writer: Writer,
    outputs: Mapping[str, int | None],
    known: Mapping[str, Any],
    problems: list[str],
) -> dict[str, Any]:
    loss = nested(training.get("loss"), lambda x: _loss(x, known, problems))
    return {
        "optimizer_config": _optimizer(training, writer, known, problems),
        "loss": loss,
        "metrics": _metrics(training.get("metrics"), loss, outputs, known, problems),
        "weighted_metrics": _metrics(training.get("weighted_metrics"), loss, outputs, known, problems),
        "sample_weight_mode": training.get("sample_weight_mode"),
        "loss_weights": training.get("loss_weights"),
        "mean_of_unmasked": True,
    }


def nested(value: Any, change: Callable[[Any], Any]) -> Any:
    """Apply a function to the single things in lists and dictionaries by output; None stays."""
    if isinstance(value, (list, tuple)):
        return [nested(v, change) for v in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {k: nested(v, change) for k, v in value.items()}
    return value if value is None else change(value)


def _function(value: Mapping[str, Any]) -> str | None:
    """The name, where what is written is a function."""
    if value["class_name"] in ("function", "__function__"):
        return str(value["config"])
    return None


# -- optimizers -------------------------------------------------------------------------------------------------------


def _optimizer(
    training: Mapping[str, Any], writer: Writer, known: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    given = training.get("optimizer_config") or training.get("optimizer") or "rmsprop"
    if isinstance(given, str):
        given = {"class_name": _optimizer_name(given), "config": {}}
    name, there = class_name_of(given, known), dict(given.get("config") or {})
    if name in known:
        return {"class_name": name, "config": there}
    if name == "LossScaleOptimizer" and isinstance(there.get("inner_optimizer"), Mapping):
        return _optimizer({"optimizer": there["inner_optimizer"]}, writer, known, problems)
    named = "Adam" if name == "AdamW" else _optimizer_name(name)
    if name == "AdamW":
        there.setdefault("weight_decay", 0.004)
    cls = optimizers._known.get(named.lower())
    if cls is None:
        problems.append(f"optimizer {name} is unknown")
        return {"class_name": name, "config": there}
    new = _is_new_optimizer(writer, there)
    ours: dict[str, Any] = {"learning_rate": _rate(there.pop("learning_rate", None), there, named, problems)}
    if ours["learning_rate"] is None:
        ours["learning_rate"] = 0.001 if named != "SGD" else 0.01
    for key in (*cls._variables, *cls._constants):
        if there.get(key) is not None:
            ours[key] = there.pop(key)
    if named == "Nadam":
        ours["schedule_decay"] = 1.0 if new else there.pop("decay", 0.004) or 0.004
    if named in ("RMSprop", "Adagrad") and new:
        ours["epsilon_within"] = True
    if named == "Adagrad":
        ours["initial_accumulator_value"] = there.pop("initial_accumulator_value", 0.1)
    for theirs, mine in (
        ("clipnorm", "clipnorm_of_each"),
        ("global_clipnorm", "clipnorm"),
        ("clipvalue", "clipvalue"),
        ("weight_decay", "weight_decay"),
    ):
        value = there.pop(theirs, None)
        if value:
            ours[mine] = value
    if there.pop("decay", None) and "decay" not in ours:
        problems.append(f"optimizer {name} has a decay")
    for key, value in there.items():
        if key not in _OPTIMIZER_NO_MATTER and value not in _OPTIMIZER_WITHOUT_EFFECT.get(key, (None,)):
            problems.append(f"optimizer {name} has {key}={json.dumps(value, default=repr)[:80]}")
    return {"class_name": named, "config": ours}


def _optimizer_name(name: str) -> str:
    """The class of an optimizer, of any case."""
    found = optimizers._known.get(name.lower())
    return found.__name__ if found is not None else name


def _is_new_optimizer(writer: Writer, config: Mapping[str, Any]) -> bool:
    """tf.keras wrote its optimizers anew in 2.11; Keras 3 took them over. The older ones compute as 2.3.1's."""
    if writer.line == "keras3":
        return True
    if "is_legacy_optimizer" in config:
        return not config["is_legacy_optimizer"]
    if "use_ema" in config or "jit_compile" in config:
        return True
    version = [int(x) for x in writer.version.split("-")[0].split(".")[:2] if x.isdigit()]
    return version >= [2, 11] and not config


def _rate(value: Any, config: dict[str, Any], name: str, problems: list[str]) -> Any:
    """A learning rate. A schedule that is a constant, or falls as ``decay`` lets it, is one; others are problems."""
    if not isinstance(value, Mapping):
        return value
    kind, there = str(value.get("class_name")).rpartition(">")[2], dict(value.get("config") or {})
    first = there.get("initial_learning_rate")
    constant = {
        "ExponentialDecay": there.get("decay_rate") == 1.0,
        "InverseTimeDecay": not there.get("decay_rate", 1),
        "PolynomialDecay": there.get("end_learning_rate", 0.0001) == first,
        "CosineDecay": there.get("alpha", 0.0) == 1.0 and not there.get("warmup_steps"),
    }
    if constant.get(kind):
        return first
    if kind == "InverseTimeDecay" and not there.get("staircase") and name != "Nadam":
        config["decay"] = there["decay_rate"] / there["decay_steps"]
        return first
    problems.append(
        f"the learning rate of {name} is the schedule {kind}, which there is no word for (a LearningRateScheduler "
        "callback can do it)"
    )
    return first


# -- losses and metrics -----------------------------------------------------------------------------------------------


def _loss(value: Any, known: Mapping[str, Any], problems: list[str]) -> Any:
    if isinstance(value, str):
        return value if value in known else _FUNCTIONS.get(value, value)
    name = _function(value)
    if name is not None:
        return name if name in known else _FUNCTIONS.get(name, name)
    name, config = class_name_of(value, known), dict(value.get("config") or {})
    if name in known:
        return {"class_name": name, "config": config}
    if name == "LossFunctionWrapper" and config.get("fn") is not None:
        return _loss(config["fn"], known, problems)
    config["reduction"] = _reduction(config.get("reduction"), name, problems)
    if name == "CosineSimilarity" and config.get("axis", -1) == -1 and config["reduction"] == "sum_over_batch_size":
        return "cosine_proximity"
    return _made(name, config, losses._known, "loss", problems)


def _reduction(value: Any, name: str, problems: list[str]) -> Any:
    if value in (None, "auto", "sum_over_batch_size"):
        return "sum_over_batch_size"
    if value not in ("sum", "none"):
        problems.append(f"loss {name} has reduction={value!r}")
    return value


def _metrics(
    given: Any, loss: Any, outputs: Mapping[str, int | None], known: Mapping[str, Any], problems: list[str]
) -> Any:
    ours = nested(given, lambda x: _metric(x, known, problems))
    if not isinstance(ours, list):
        return ours
    if len(ours) == 1 and isinstance(ours[0], list) and len(outputs) <= 1:
        ours = ours[0]
    by_output = len(outputs) > 1 and len(ours) == len(outputs) and all(isinstance(part, list) for part in ours)
    if by_output:
        losses_there = loss if isinstance(loss, list) else [loss] * len(outputs)
        return [
            [_without_prefix(_accuracy(x, one, size, known), name) for x in part]
            for part, one, (name, size) in zip(ours, losses_there, outputs.items())
        ]
    sizes = set(outputs.values())
    if len(sizes) == 1 and (isinstance(loss, str) or len(outputs) == 1):
        return [_accuracy(x, loss, next(iter(sizes)), known) for x in ours]
    return ours


def _without_prefix(metric: Any, output: str) -> Any:
    """tf.keras writes the name of a metric with that of its output before it, which logs begin with anyway."""
    if not isinstance(metric, Mapping):
        return metric
    name = str(metric["config"].get("name") or "")
    if not name.startswith(f"{output}_"):
        return metric
    return {**metric, "config": {**metric["config"], "name": name.removeprefix(f"{output}_")}}


def _accuracy(metric: Any, loss: Any, size: int | None, known: Mapping[str, Any]) -> Any:
    """'accuracy' looks at the shape there; 2.3.1 counts single bits wherever the loss is binary crossentropy."""
    if metric not in _PLAIN_ACCURACY or metric in known or size in (None, 1):
        return metric
    kind = loss.get("class_name") if isinstance(loss, Mapping) else loss
    if kind in ("binary_crossentropy", "BinaryCrossentropy"):
        return {"class_name": "CategoricalAccuracy", "config": {"name": metric}}
    if kind == "SparseCategoricalCrossentropy":
        return {"class_name": "SparseCategoricalAccuracy", "config": {"name": metric}}
    return metric


def _metric(value: Any, known: Mapping[str, Any], problems: list[str]) -> Any:
    if isinstance(value, str):
        return value if value in known or value in metrics._known else _FUNCTIONS.get(value, value)
    name = _function(value)
    if name is not None:
        return name
    name, config = class_name_of(value, known), dict(value.get("config") or {})
    if name in known:
        return {"class_name": name, "config": config}
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        fn = config.pop("fn", None)
        fn = _function(fn) if isinstance(fn, Mapping) else fn
        if fn in known or fn not in _METRICS:
            return fn
        name = _METRICS[fn]
    if name == "F1Score" or "class_name" in config:
        problems.append(f"metric {name} is unknown")
        return {"class_name": name, "config": config}
    return _made(name, config, metrics._known, "metric", problems)


_OBJECT_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "axis": (-1,),
    "dtype": ("float32", None),
    "from_logits": (False,),
    "ignore_class": (None,),
    "label_smoothing": (0, 0.0),
    "multi_label": (False,),
    "num_labels": (None,),
    "sparse_y_pred": (True,),
    "sparse_y_true": (True,),
}


def _made(name: str, config: dict[str, Any], registry: Registry, kind: str, problems: list[str]) -> dict[str, Any]:
    """A loss or metric object, with the arguments that its class has here."""
    cls = registry.get(name)
    if not isinstance(cls, type):
        problems.append(f"{kind} {name} is unknown")
        return {"class_name": name, "config": config}
    known = arguments(cls)
    config.pop("fn", None)
    if isinstance(config.get("dtype"), Mapping):
        config["dtype"] = config["dtype"].get("config", {}).get("name")
    for key in [key for key in config if key not in known]:
        value = config.pop(key)
        if value is not None and value not in _OBJECT_WITHOUT_EFFECT.get(key, ()):
            problems.append(f"{kind} {name} has {key}={json.dumps(value, default=repr)[:80]}")
    return {"class_name": name, "config": config}
