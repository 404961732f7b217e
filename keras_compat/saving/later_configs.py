"""Our configs and compile settings in the words of later releases: what :mod:`configs` reads, the other way round.

Pure functions on what JSON holds. What a later release has no word for is listed as a *problem* (it will not load, or
computes something else), what trains otherwise there as a *difference*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_compat import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine.registry import LAYERS
from keras_compat.saving.training_configs import nested

# Layers of Keras 2.3.1 that tf.keras and Keras 3 have under the same name.
_SAME = frozenset(
    """
    Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D
    AveragePooling3D BatchNormalization Bidirectional Concatenate Conv1D Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM2D Cropping1D Cropping2D Cropping3D Dense DepthwiseConv2D Dot Dropout ELU Embedding
    Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D InputLayer LSTM LSTMCell
    Lambda LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum Multiply
    PReLU Permute RNN ReLU RepeatVector Rescaling Reshape SeparableConv1D SeparableConv2D SimpleRNN
    SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D StackedRNNCells Subtract
    TimeDistributed UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)
_ONLY_TFKERAS = frozenset({"LocallyConnected1D", "LocallyConnected2D", "ThresholdedReLU"})
_RECURRENT = frozenset({"SimpleRNN", "GRU", "LSTM", "RNN", "Bidirectional", "ConvLSTM2D"})

# Arguments that later releases do not take, with the values under which they say nothing.
_DROPPED: dict[str, tuple[Any, ...]] = {
    "kernel_format": (None,),
    "mode": (0,),
    "line": ("tfkeras", "keras3", None),
}
_DROPPED_IN_KERAS_3 = {"implementation", "input_length"}

_MODULES: tuple[tuple[str, Any, str], ...] = (
    ("_initializer", initializers._known, "keras.initializers"),
    ("_regularizer", regularizers._known, "keras.regularizers"),
    ("_constraint", constraints._known, "keras.constraints"),
)

# Losses and metrics with other names.
_FUNCTIONS = {
    "KLD": "kl_divergence",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "huber_loss": "huber",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}
_SHORT = {
    "mse": "mean_squared_error",
    "MSE": "mean_squared_error",
    "mae": "mean_absolute_error",
    "MAE": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MAPE": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "MSLE": "mean_squared_logarithmic_error",
}


# Arguments that only this package has, for what later releases compute; of normalization and of optimizers.
_OURS_EVERYWHERE = frozenset({"mean_of_unmasked", "kernel_format"})
_OURS = frozenset({"line", "epsilon_within", "initial_accumulator_value", "clipnorm_of_each", "weight_decay"})


def words_of_keras_2(value: Any) -> Any:
    """A config, or compile settings, as 2.3.1 reads it: without what this package adds for models of later releases."""
    if isinstance(value, (list, tuple)):
        return type(value)([words_of_keras_2(v) for v in value])
    if not isinstance(value, Mapping):
        return value
    name, inner = value.get("class_name"), value.get("config")
    if name == "PerSample" and isinstance(inner, Mapping):
        return words_of_keras_2(inner.get("regularizer"))
    out = {k: words_of_keras_2(v) for k, v in value.items() if k not in _OURS_EVERYWHERE}
    for key in [k for k in out if k.endswith("activation") and out[k] == "hard_sigmoid_keras3"]:
        out[key] = "hard_sigmoid"
    if isinstance(inner, Mapping) and (name in ("BatchNormalization", "UpSampling2D") or name in optimizers._known):
        out["config"] = {k: v for k, v in out["config"].items() if k not in _OURS}
    if isinstance(inner, Mapping) and name in ("VarianceScaling", "Embedding", "LSTM", "GRU"):
        out["config"] = _as_level_2(name, out["config"])
    return out


def _as_level_2(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """What API level 1.2 writes of its own: kinds of first weights, the type of words, what penalizes U."""
    if name == "VarianceScaling":
        config = {k: v for k, v in config.items() if k != "legacy_fans"}
        return config | {"distribution": "uniform" if config["distribution"] == "uniform" else "normal"}
    if name == "Embedding":
        return config | {"dtype": "float32"} if str(config.get("dtype")).startswith("int") else config
    gates = get_api_level() == "1.2" and not is_keras_0() and config.get("implementation") != 2
    same = {f"recurrent_{rule}": config.get(f"kernel_{rule}") for rule in ("regularizer", "constraint")}
    return config | same if gates else config


@dataclass
class Findings:
    """What was found on the way: ``problems`` that stop the other release, ``differences`` in how it goes on."""

    problems: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def object_of(module: str | None, class_name: str, config: Any, registered: str | None = None) -> dict[str, Any]:
    """An object as ``.keras`` archives write it."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered}


def to_later(config: Mapping[str, Any], line: str, found: Findings) -> dict[str, Any]:
    """The config of a model ``{'class_name', 'config'}`` in the words of 'tfkeras' or 'keras3'."""
    name, inner = str(config["class_name"]), config["config"]
    if name in ("Sequential", "Model") or ("layers" in inner and name not in LAYERS):
        return _model(name, inner, line, found)
    return _layer(name, inner, line, found)


# -- models -----------------------------------------------------------------------------------------------------------


def _model(name: str, config: Mapping[str, Any], line: str, found: Findings) -> dict[str, Any]:
    if "input_layers" not in config:
        return _sequential(config, line, found)
    layers = []
    # Keras 3 numbers their calls from 0; number 0 is how the model itself was made in Keras 2 and tf.keras.
    inner = [x for x in config["layers"] if isinstance(x["config"], Mapping) and "layers" in x["config"]]
    models = {x["name"] for x in inner} if line == "keras3" else set()
    for given in config["layers"]:
        layer = to_later(given, line, found)
        layer["name"] = given["name"]
        calls = [_call(_counted(call, models), str(given["class_name"]), line) for call in given["inbound_nodes"]]
        layer["inbound_nodes"] = calls
        layers.append(layer)
    ends = {key: _single(_counted(config[key], models)) for key in ("input_layers", "output_layers")}
    whole = {"name": config.get("name"), "trainable": config.get("trainable", True), "layers": layers, **ends}
    module = "keras.src.models.functional" if line == "keras3" else "keras.src.engine.functional"
    return object_of(module, "Functional", whole, "Functional")


def _counted(calls: Sequence[Any], models: set[Any]) -> list[list[Any]]:
    """Coordinates (layer, call, output...) with the calls of models counted from 0."""
    return [[x[0], x[1] - 1, *x[2:]] if x[0] in models and x[1] else list(x) for x in calls]


def _sequential(config: Mapping[str, Any], line: str, found: Findings) -> dict[str, Any]:
    layers = [to_later(layer, line, found) for layer in config["layers"]]
    first = config["layers"][0]["config"] if config["layers"] else {}
    shape = _shape_told(config)
    if shape and config["layers"][0]["class_name"] != "InputLayer":
        dtype = first.get("dtype") or "float32"
        source = {"batch_input_shape": shape, "dtype": dtype, "name": f"{first['name']}_input"}
        layers.insert(0, _layer("InputLayer", {**source, "sparse": False}, line, found))
    inner: dict[str, Any] = {"name": config.get("name"), "layers": layers}
    if config.get("build_input_shape"):
        inner["build_input_shape"] = list(config["build_input_shape"])
    out = object_of("keras", "Sequential", inner)
    if inner.get("build_input_shape"):
        out["build_config"] = {"input_shape": inner["build_input_shape"]}
    return out


def _shape_told(config: Any) -> Any:
    """The shape of what goes into a Sequential, as it, its first layer, or the first within that says."""
    while isinstance(config, Mapping):
        if config.get("batch_input_shape") or config.get("build_input_shape"):
            return config.get("batch_input_shape") or config["build_input_shape"]
        if "input_layers" in config or not config.get("layers"):
            return None
        config = config["layers"][0]["config"]
    return None


def _single(ends: Sequence[Any]) -> Any:
    """One input or output is not put into a list."""
    return list(ends[0]) if len(ends) == 1 else [list(end) for end in ends]


def _call(call: Sequence[Any], kind: str, line: str) -> Any:
    """A call of a layer: as Keras 2 writes it, which all later ones read, but for states given to recurrent layers."""
    if kind not in _RECURRENT or len(call) < 2 or line != "keras3":
        return [list(x) for x in call]
    first, *states = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [], "dtype": "float32", "keras_history": list(x[:3])},
        }
        for x in call
    ]
    arguments = dict(call[0][3]) if len(call[0]) > 3 else {}
    return {"args": [first], "kwargs": {**arguments, "initial_state": states}}


# -- layers -----------------------------------------------------------------------------------------------------------


def _layer(name: str, config: Mapping[str, Any], line: str, found: Findings) -> dict[str, Any]:
    where = f"{name} {config.get('name', '')!r}"
    if name not in LAYERS:  # of the user
        return object_of(None, name, dict(config), name)
    if name not in _SAME and not (line == "tfkeras" and name in _ONLY_TFKERAS):
        if name == "ThresholdedReLU":
            kept = {k: v for k, v in config.items() if k not in ("theta", "batch_input_shape")}
            threshold = {"max_value": None, "negative_slope": 0.0, "threshold": config["theta"]}
            return object_of("keras.layers", "ReLU", {**kept, **threshold})
        found.problems.append(f"{where} is of a class that is not there")
        return object_of(None, name, dict(config), name)
    ours = {key: _value(key, value, line, where, found) for key, value in config.items()}
    for key, harmless in _DROPPED.items():
        if key in ours and ours.pop(key) not in harmless:
            found.problems.append(f"{where} has {key}={config[key]!r}")
    if name == "InputLayer":
        if line == "keras3":
            ours["batch_shape"] = ours.pop("batch_input_shape", None)
        ours.setdefault("ragged", False)
    else:
        ours.pop("batch_input_shape", None)
    if line == "keras3":
        for key in _DROPPED_IN_KERAS_3:
            ours.pop(key, None)
        if name == "LeakyReLU":
            ours["negative_slope"] = ours.pop("alpha")
    if name in ("Bidirectional", "TimeDistributed") and "layer" in ours:
        ours["layer"].setdefault("registered_name", None)
    if name == "Lambda":
        _lambda(ours)
    if ours.get("interpolation") == "bilinear" and not config.get("line"):
        found.problems.append(f"{where} resizes bilinearly, which later releases do from the centres of the pixels")
    if name == "ActivityRegularization":
        found.differences.append(f"{where} divides its penalty by the number of samples")
    return object_of("keras.layers", name, ours)


def _lambda(config: dict[str, Any]) -> None:
    for part in ("function", "output_shape"):
        kind = config.pop(f"{part}_type", None)
        config.pop(f"{part}_module", None)
        if kind == "function" and isinstance(config.get(part), str):
            config[part] = _function(config[part].partition("@")[0])
    config.pop("module", None)


def _function(name: str) -> dict[str, Any]:
    return object_of("builtins", "function", name, "function")


def _value(key: str, value: Any, line: str, where: str, found: Findings) -> Any:
    if key.endswith("activation") and isinstance(value, str):
        return _activation(key, value, line, where, found)
    if isinstance(value, (list, tuple)):
        return [_value(key, v, line, where, found) for v in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    name, inner = str(value["class_name"]), value.get("config")
    if name == "PerSample":
        return _value(key, inner["regularizer"], line, where, found) if isinstance(inner, Mapping) else None
    if key == "activity_regularizer":
        found.differences.append(f"{key} of {where} is divided by the number of samples")
    for end, known, module in _MODULES:
        if key.endswith(end):
            return object_of(module, name, inner) if name in known else object_of(None, name, inner, name)
    if isinstance(inner, Mapping) and (name in LAYERS or "name" in inner):
        return to_later(value, line, found)
    return object_of(None, name, inner, name)


def _activation(key: str, name: str, line: str, where: str, found: Findings) -> Any:
    if name == "hard_sigmoid_keras3":
        if line != "keras3":
            found.problems.append(f"{key} of {where} is Keras 3's hard_sigmoid, which is another function there")
        return "hard_sigmoid"
    if name == "hard_sigmoid" and line == "keras3":
        found.problems.append(f"{key} of {where} is hard_sigmoid, which is another function there (x / 6 + 0.5)")
    return name if name in activations._known else _function(name)


# -- compile settings -------------------------------------------------------------------------------------------------


def training_to_later(
    training: Mapping[str, Any], line: str, outputs: Sequence[int | None], found: Findings
) -> dict[str, Any]:
    """Compile settings (``optimizer_config``, ``loss``...) as ``compile_config`` of an archive.

    Args:
        outputs: size of the last axis of each output of the model.
    """
    many = len(outputs) > 1
    loss = nested(training.get("loss"), lambda x: _named(x, losses._known, "keras.losses"))
    if many and line == "keras3" and isinstance(loss, (str, dict)) and not _by_output(loss):
        loss = [loss] * len(outputs)
    settings: dict[str, Any] = {
        "optimizer": optimizer_to_later(training["optimizer_config"], line, found),
        "loss": loss,
        "loss_weights": training.get("loss_weights"),
    }
    for key in ("metrics", "weighted_metrics"):
        given = training.get(key) or None
        if given and many and isinstance(given, list) and not any(isinstance(x, list) for x in given):
            given = [list(given) for _ in outputs]
        settings[key] = nested(given, lambda x: _named(x, metrics._known, "keras.metrics"))
        settings[key] = _accuracies(settings[key], training.get("loss"), outputs)
    settings |= {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
    return settings


def _by_output(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_name" not in value


def _named(value: Any, known: Mapping[str, Any], module: str) -> Any:
    if isinstance(value, str):
        return _FUNCTIONS.get(value, value) if value in known or value in ("accuracy", "acc") else _function(value)
    if isinstance(value, Mapping):
        name, inner = str(value["class_name"]), dict(value["config"])
        return object_of(module, name, inner) if name in known else object_of(None, name, inner, name)
    return value


def _accuracies(given: Any, loss: Any, outputs: Sequence[int | None]) -> Any:
    """'accuracy' with binary crossentropy of several units is written out: later releases would compare whole rows."""
    if isinstance(given, list) and len(outputs) == 1 and loss in ("binary_crossentropy",) and outputs[0] != 1:
        plain = object_of("keras.metrics", "BinaryAccuracy", {"name": "accuracy"})
        return [plain if x in ("accuracy", "acc") else x for x in given]
    return given


def optimizer_to_later(entry: Mapping[str, Any], line: str, found: Findings) -> dict[str, Any]:
    """The config of an optimizer."""
    name, config = str(entry["class_name"]), dict(entry["config"])
    if name not in optimizers._known:
        return object_of(None, name, config, name)
    rate = config.pop("learning_rate", config.pop("lr", None))
    decay = config.pop("decay", 0.0)
    if decay:
        settings = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay, "staircase": False}
        rate = object_of("keras.optimizers.schedules", "InverseTimeDecay", {**settings, "name": "InverseTimeDecay"})
    out = {"name": name.lower() if line == "keras3" else name, "learning_rate": rate}
    out["weight_decay"] = config.pop("weight_decay", None)
    out["global_clipnorm"] = config.pop("clipnorm", None)
    out["clipnorm"] = config.pop("clipnorm_of_each", None)
    out["clipvalue"] = config.pop("clipvalue", None)
    out |= {"use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None}
    out |= {"jit_compile": False, "is_legacy_optimizer": False} if line == "tfkeras" else {}
    if name in ("RMSprop", "Adagrad") and not config.pop("epsilon_within", False):
        found.differences.append(f"{name} adds epsilon within the root")
    if name == "Adagrad":
        config.setdefault("initial_accumulator_value", 0.0)
    if name == "Nadam" and config.pop("schedule_decay", 0.004) != 1.0:
        found.differences.append("Nadam's momentum follows a schedule that decays faster")
    return object_of("keras.optimizers", name, {**out, **config})


# -- the older form, in HDF5 ------------------------------------------------------------------------------------------


def legacy_form(config: Any, of_layers: bool = True) -> Any:
    """A config as HDF5 files hold it: models and layers without ``module``; what lies within layers keeps it."""
    if isinstance(config, list):
        return [legacy_form(x, of_layers) for x in config]
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") in ("Sequential", "Functional") or of_layers:
        inner = config["config"]
        if isinstance(inner, Mapping) and "layers" in inner:
            inner = {**inner, "layers": [legacy_form(x) for x in inner["layers"]]}
        kept = {k: v for k, v in config.items() if k in ("name", "inbound_nodes")}
        return {"class_name": config["class_name"], "config": inner, **kept}
    return config


def _long_metric(value: Any) -> Any:
    """Keras 3 reads no short names in HDF5; the object keeps the name that logs have."""
    if not isinstance(value, str) or value not in _SHORT:
        return _plain_name(value)
    name = "".join(word.capitalize() for word in _SHORT[value].split("_"))
    return object_of("keras.metrics", name, {"name": value, "dtype": "float32"})


def _plain_name(value: Any) -> Any:
    """A function of the user is its name in HDF5."""
    return value["config"] if isinstance(value, Mapping) and value.get("class_name") == "function" else value


def legacy_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Compile settings as HDF5 files hold them."""
    kept = {k: v for k, v in settings.items() if k in ("loss", "loss_weights")}
    kept["loss"] = nested(kept["loss"], lambda x: _SHORT.get(x, x) if isinstance(x, str) else _plain_name(x))
    for key in ("metrics", "weighted_metrics"):
        kept[key] = nested(settings[key], _long_metric)
    optimizer = settings["optimizer"]
    return {**kept, "optimizer_config": {"class_name": optimizer["class_name"], "config": optimizer["config"]}}
