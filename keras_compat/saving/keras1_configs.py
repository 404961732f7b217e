"""Configs and compile settings in the words of Keras 1.2.2: the tables of the dialect, read backwards.

Pure functions of what ``get_config`` and a model file say. What Keras 1.2.2 has no word for is collected, so that an
error can name all of it at once. The values that weights begin with are the one exception: a model in a file has its
weights, so an initializer without a name in 1.2.2 becomes the nearest that has one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from keras_compat import losses as losses_module
from keras_compat import metrics as metrics_module
from keras_compat import optimizers as optimizers_module
from keras_compat.activations import get as activation
from keras_compat.dialect import tables
from keras_compat.dialect.level import get_api_level
from keras_compat.dialect.spec import as_tuple, words
from keras_compat.engine.network import json_value
from keras_compat.engine.registry import LAYERS
from keras_compat.utils.generic_utils import to_snake_case

_PACKAGE = __name__.partition(".")[0]

# Classes of the tables that 1.2.2 does not have, of Keras 0.x, and those that are only meant as bases.
_NOT_IN_1_2 = frozenset(
    "AutoEncoder LambdaMerge Siamese SiameseHead TimeDistributedMerge Layer Wrapper Recurrent ConvRecurrent2D".split()
)
_CLASSES = (
    frozenset(
        path.removeprefix("layers:") for path in tables.V1_POSITIONAL if path.startswith("layers:") and "." not in path
    )
    - _NOT_IN_1_2
)

_RECURRENT = frozenset({"return_sequences", "go_backwards", "stateful", "unroll", "consume_less"})
# Words of classes that take them from a base class.
_INHERITED = {
    "SimpleRNN": _RECURRENT,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "ConvLSTM2D": frozenset({"return_sequences", "go_backwards", "stateful"}),
}

# Words whose values 1.2.2 can not read back from its own configs.
_UNREADABLE = {"ConvLSTM2D": {"subsample"}}

# Merging layers of Keras 2 by the mode of Keras 1's Merge.
_MERGES = {"Add": "sum", "Multiply": "mul", "Average": "ave", "Maximum": "max", "Concatenate": "concat", "Dot": "dot"}

# Words of Keras 2 that 1.2.2 has no place for, with the values that say what it does anyway; None is always one.
_ALL: tuple[Any, ...] = ()
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "use_bias": (True,),
    "center": (True,),
    "scale": (True,),
    "return_state": (False,),
    "unroll": (False,),
    "reset_after": (False,),
    "data_format": ("channels_last",),
    "dilation_rate": (1, [1], [1, 1], [1, 1, 1]),
    "strides": ([1, 1],),
    "interpolation": ("nearest",),
    "sparse": (False,),
    "implementation": _ALL,
    "kernel_format": _ALL,
    "seed": _ALL,
}

# Words whose only value was a number there and is a list of one here.
_SINGLE = frozenset({"filter_length", "subsample_length", "pool_length", "stride", "atrous_rate", "length"})

_INITIALIZERS = {
    "Zeros": "zero",
    "Ones": "one",
    "RandomUniform": "uniform",
    "RandomNormal": "normal",
    "TruncatedNormal": "normal",
    "Orthogonal": "orthogonal",
    "Identity": "identity",
}
_INITIALIZER_NAMES = frozenset(
    "uniform lecun_uniform normal identity orthogonal zero one glorot_normal glorot_uniform he_normal "
    "he_uniform".split()
)
_PENALTIES = {
    "L1L2": "L1L2Regularizer",
    "EigenvalueRegularizer": "EigenvalueRegularizer",
    "MaxNorm": "MaxNorm",
    "NonNeg": "NonNeg",
    "UnitNorm": "UnitNorm",
    "MinMaxNorm": "MinMaxNorm",
}
_ACTIVATIONS = frozenset("softmax elu softplus softsign relu tanh sigmoid hard_sigmoid linear".split())
_LOSSES = frozenset(
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error mean_squared_logarithmic_error "
    "squared_hinge hinge categorical_crossentropy sparse_categorical_crossentropy binary_crossentropy "
    "kullback_leibler_divergence poisson cosine_proximity mse mae mape msle kld MSE MAE MAPE MSLE KLD".split()
)
_METRICS = _LOSSES | frozenset(
    "accuracy acc binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy "
    "matthews_correlation precision recall fbeta_score fmeasure cosine".split()
)
_OPTIMIZERS = frozenset("sgd rmsprop adagrad adadelta adam adamax nadam".split())


class Problems(list[str]):
    """What 1.2.2 can not hold, each in words, with the place where it is."""

    def check(self) -> None:
        """Raise ValueError with all of it, if there is any."""
        if self:
            places = "1 thing" if len(self) == 1 else f"{len(self)} things"
            raise ValueError(
                f"[save to='keras1'] Keras 1.2.2 has no word for {places} of this model: {'; '.join(self)}. Change "
                "them, or save for a later line (to='keras2')."
            )


def to_keras1(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a layer or model, ``{'class_name', 'config'}``, as Keras 1.2.2 writes it.

    Raises:
        ValueError: naming everything that 1.2.2 does not have.
    """
    problems = Problems()
    converted = convert(config, problems)
    problems.check()
    return converted


def convert(config: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """As :func:`to_keras1`, with what can not be said added to ``problems``."""
    return _entry(json.loads(json.dumps(config, default=json_value)), problems)


def _entry(entry: dict[str, Any], problems: Problems) -> dict[str, Any]:
    name, config = entry["class_name"], entry["config"]
    if isinstance(config, dict) and "input_layers" in config:
        return {"class_name": "Model", "config": _graph(config, problems)}
    if isinstance(config, list) or (
        "layers" in config and set(config) <= {"name", "trainable", "layers", "build_input_shape"}
    ):
        return {"class_name": "Sequential", "config": _chain(config, problems)}
    name = tables.ALIASES["layers"].get(name, name)
    if name in _MERGES or name == "Merge":
        return _merge(name, config, problems)
    if name in ("ReLU", "Softmax"):
        return _as_activation(name, config, problems)
    if name not in _CLASSES:
        if _is_ours(LAYERS.get(name)):
            problems.append(f"the layer {config.get('name')!r}, a {name}")
        return {"class_name": name, "config": _of_user(config)}
    return _layer(name, config, problems)


def _is_ours(thing: Any) -> bool:
    return getattr(thing, "__module__", "").partition(".")[0] == _PACKAGE


# -- models -----------------------------------------------------------------------------------------------------------


def _chain(config: Any, problems: Problems) -> list[dict[str, Any]]:
    """The layers of a Sequential; 1.2.2 has nothing else in its config."""
    entries = config["layers"] if isinstance(config, dict) else config
    shape = config.get("build_input_shape") if isinstance(config, dict) else None
    if shape and isinstance(entries[0]["config"], dict):
        entries[0]["config"].setdefault("batch_input_shape", shape)
    return [_entry(entry, problems) for entry in entries]


def _graph(config: dict[str, Any], problems: Problems) -> dict[str, Any]:
    layers = []
    for data in _in_order(config["layers"], problems):
        made = _entry(data, problems)
        calls = [_call(data["name"], call, problems) for call in data.get("inbound_nodes") or ()]
        layers.append({"name": data["name"], **made, "inbound_nodes": calls})
    ends = {end: [list(x[:3]) for x in _listed(config[end])] for end in ("input_layers", "output_layers")}
    return {"name": config.get("name"), "layers": layers, **ends}


def _listed(ends: list[Any]) -> list[Any]:
    return [ends] if ends and isinstance(ends[0], str) else ends


def _call(name: str, call: list[Any], problems: Problems) -> list[Any]:
    for entry in call:
        arguments = {k: v for k, v in (entry[3] if len(entry) > 3 else {}).items() if v is not None}
        if arguments:
            problems.append(f"a call of {name!r} with {', '.join(arguments)}")
    return [list(entry[:3]) for entry in call]


def _in_order(layers: list[dict[str, Any]], problems: Problems) -> list[dict[str, Any]]:
    """The layers so that each comes after all that it is called on: 1.2.2 makes all calls of a layer at once."""
    waiting, done, ordered = list(layers), set(), []
    while waiting:
        ready = [x for x in waiting if all(e[0] in done for call in x.get("inbound_nodes") or () for e in call)]
        if not ready:
            names = ", ".join(repr(x["name"]) for x in waiting)
            problems.append(f"layers called on what comes from their own output ({names})")
            return layers
        ordered.append(ready[0])
        done.add(ready[0]["name"])
        waiting.remove(ready[0])
    return ordered


# -- layers -----------------------------------------------------------------------------------------------------------


def _merge(name: str, config: dict[str, Any], problems: Problems) -> dict[str, Any]:
    raw = {"mode": "sum", "output_shape": None, "output_mask": None}
    made: dict[str, Any] = {"concat_axis": -1, "dot_axes": -1, "arguments": {}}
    for word, value in raw.items():
        made |= {word: value, f"{word}_type": "raw"}
    made["name"] = config.get("name")
    if name == "Merge":
        made |= {word: value for word, value in config.items() if word in made}
        if config.get("layers"):
            made["layers"] = [_entry(branch, problems) for branch in config["layers"]]
        return {"class_name": "Merge", "config": made}
    made["mode"] = _MERGES[name]
    if name == "Concatenate":
        made["concat_axis"] = config["axis"]
    if name == "Dot":
        made["dot_axes"] = config["axes"]
        if config.get("normalize"):
            problems.append(f"{config['name']!r} (Dot): normalize=True")
    return {"class_name": "Merge", "config": made}


def _as_activation(name: str, config: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """``Softmax`` and ``ReLU``, which 1.2.2 has as activations and as layers of other names."""
    base = {word: config[word] for word in ("name", "trainable", "batch_input_shape", "dtype") if word in config}

    def layer(class_name: str, **more: Any) -> dict[str, Any]:
        return _layer(class_name, base | more, problems)

    if name == "Softmax":
        if config.get("axis", -1) != -1:
            problems.append(f"{config['name']!r} (Softmax): axis={config['axis']}")
        return layer("Activation", activation="softmax")
    most, slope, threshold = [config.get(word) for word in ("max_value", "negative_slope", "threshold")]
    if most is not None or (slope and threshold):
        problems.append(f"{config['name']!r} (ReLU): max_value={most}, negative_slope={slope}, threshold={threshold}")
    if threshold:
        return layer("ThresholdedReLU", theta=threshold)
    return layer("LeakyReLU", alpha=slope) if slope else layer("Activation", activation="relu")


def _of_user(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a class of the user's: its own words, but those that every layer takes."""
    base = _base("", config)
    return base | {word: value for word, value in config.items() if word != "dtype"}


def _base(name: str, config: dict[str, Any]) -> dict[str, Any]:
    base: dict[str, Any] = {w: config[w] for w in ("name", "trainable", "batch_input_shape") if w in config}
    if "batch_input_shape" in base:
        base["input_dtype"] = "int32" if name == "Embedding" else config.get("dtype") or "float32"
    return base


def _layer(name: str, config: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """A layer that 1.2.2 has, under its name there and in its words."""
    rates = config.get("dilation_rate")
    if name in ("Conv1D", "Conv2D") and rates is not None and rates not in _DEFAULTS["dilation_rate"]:
        name = {"Conv1D": "AtrousConvolution1D", "Conv2D": "AtrousConvolution2D"}[name]
    path = f"layers:{name}"
    taken = {*words(tables.V1_POSITIONAL[path])[0], *_INHERITED.get(name, ())} - _UNREADABLE.get(name, set())
    old_words = _old_words(path)
    kinds = tables.KINDS | tables.KINDS_OF.get(path, {})
    axes = _moved_axes(name, config)
    made = _base(name, config)
    if name == "InputLayer":
        made["sparse"] = config.get("sparse", False)
    where = f"{config.get('name')!r} ({name})"

    def refuse(word: str, value: Any) -> None:
        problems.append(f"{where}: {word}={value!r}")

    for word, value in config.items():
        if word in made or word in ("dtype", "trainable", "input_dtype") or word.endswith("_type"):
            continue
        if word == "layer":
            made[word] = _entry(value, problems)
            continue
        parts = _gathered(path, word)
        if parts:
            made |= zip(parts, value)
            continue
        old = word if word in taken else old_words.get(word, "")
        if old not in taken:
            known = _DEFAULTS.get(word)
            if not (value is None or known is _ALL or (known and value in known) or word.endswith("_initializer")):
                refuse(word, value)
            continue
        refused = Problems()
        made[old] = _value(name, old, value, kinds.get(old, ""), axes, refused)
        problems += [f"{where}: {problem}" for problem in refused]
    if name in ("LSTM", "GRU"):
        made["consume_less"] = config.get("consume_less") or consume_less(config)
        if made["consume_less"] != "gpu" and get_api_level() != "1.2":
            # 1.2.2 takes these for U, but where gates are one product.
            made["inner_init"], made["U_regularizer"] = made["init"], made["W_regularizer"]
    if name == "Lambda":
        made |= {f"{word}_type": config.get(f"{word}_type", "raw") for word in ("function", "output_shape")}
    return {"class_name": tables.V1_CLASS_NAMES["layers"].get(name, name), "config": made}


def consume_less(config: Mapping[str, Any]) -> str:
    """Keras 1's ``consume_less`` of an LSTM or GRU: with 'gpu' it has three weights, else three for each gate.

    Without 'gpu' 1.2.2 penalizes U by ``W_regularizer``, whatever ``U_regularizer`` says.
    """
    implementation = config.get("implementation")
    if get_api_level() == "1.2":
        return {0: "cpu", 1: "mem"}.get(implementation or 0, "gpu")
    if config.get("recurrent_regularizer") != config.get("kernel_regularizer"):
        return "gpu"
    return "mem" if implementation == 1 else "cpu"


def _old_words(path: str) -> dict[str, str]:
    """Keras 2's words of a callable, and Keras 1's for them."""
    found: dict[str, str] = {}
    for old, new in tables.RENAME.get(path, {}).items():
        for word in as_tuple(new):
            found.setdefault(word, old)
    return {word: old for word, old in found.items() if word != "kernel_format"}


def _gathered(path: str, word: str) -> tuple[str, ...]:
    return next((parts for parts, new, how in tables.GATHER.get(path, ()) if new == word and how == "tuple"), ())


def _value(name: str, word: str, value: Any, kind: str, axes: Callable[[int], int] | None, problems: Problems) -> Any:
    """A value under a word of Keras 1 as 1.2.2 says it."""
    if word in tables.VALUES:
        return next((old for old, new in tables.VALUES[word].items() if new == value), value)
    if word in _SINGLE and isinstance(value, list) and len(value) == 1:
        return value[0]
    if kind == "initializer":
        return _initializer(value)
    if kind == "penalty":
        return _penalty(value, axes if word.endswith(("W_constraint", "depthwise_constraint")) else None)
    if kind == "activation" or word == "activation":
        return _activation(value, problems)
    if word == "border_mode" and value == "causal":
        problems.append("padding='causal'")
    if name == "ZeroPadding2D" and word == "padding" and isinstance(value, list) and isinstance(value[0], list):
        return [*value[0], *value[1]]
    if name == "ZeroPadding3D" and word == "padding" and isinstance(value, list) and isinstance(value[0], list):
        if any(before != after for before, after in value):
            problems.append(f"padding={value}")
        return [before for before, _ in value]
    return value


def _activation(value: Any, problems: Problems) -> Any:
    if not isinstance(value, str) or value in _ACTIVATIONS:
        return value
    try:
        known = _is_ours(activation(value))
    except ValueError:
        known = False
    if known:
        problems.append(f"activation={value!r}")
    return value


def _initializer(value: Any) -> Any:
    """The name that comes nearest: weights are read from the file anyway."""
    if isinstance(value, str):
        value = {"class_name": value, "config": {}}
    if not isinstance(value, dict):
        return value
    name, config = value.get("class_name", ""), value.get("config", {})
    if name in _INITIALIZERS or name in _INITIALIZER_NAMES:
        return _INITIALIZERS.get(name, name)
    if name == "VarianceScaling":
        kind = "uniform" if config.get("distribution") == "uniform" else "normal"
        if config.get("mode") == "fan_in":
            return f"lecun_{kind}" if config.get("scale") == 1.0 and kind == "uniform" else f"he_{kind}"
        return f"glorot_{kind}"
    if name == "Constant":
        return "one" if config.get("value") == 1 else "zero"
    return "glorot_uniform"


def _penalty(value: Any, axes: Callable[[int], int] | None) -> Any:
    """A regularizer or constraint: ``{'name', **arguments}``."""
    if not isinstance(value, dict) or "class_name" not in value:
        return value
    name, config = value["class_name"], dict(value["config"])
    if name in ("Regularizer", "Constraint"):
        return None
    old_words = _old_words(f"constraints:{name}")
    made = {old_words.get(word, word): v for word, v in config.items()}
    if axes is not None and "axis" in made:
        axis = made["axis"]
        made["axis"] = sorted(map(axes, axis)) if isinstance(axis, list) else axes(axis)
    return {"name": _PENALTIES.get(name, name), **made}


def _moved_axes(name: str, config: Mapping[str, Any]) -> Callable[[int], int] | None:
    """Where the axes of a kernel in Keras 2's layout are in Keras 1's, if they are elsewhere."""
    if config.get("kernel_format") is not None:
        return None
    if name in ("Conv1D", "AtrousConvolution1D"):
        return lambda axis: (0, 2, 3)[axis]
    last = len(config.get("kernel_size") or ())
    order = [*range(last + 2)]
    if name == "Conv2DTranspose":
        order[-2:] = order[:-3:-1]
    if config.get("data_format") == "channels_first" and last and name not in ("LocallyConnected2D", "ConvLSTM2D"):
        order = [{last: 1, last + 1: 0}.get(axis, axis + 2) for axis in order]
    return None if order == [*range(last + 2)] else lambda axis: order[axis]


# -- compile settings -------------------------------------------------------------------------------------------------


def training_to_keras1(training: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The ``training_config`` of Keras 2.3.1's files as 1.2.2 writes it."""
    training = json.loads(json.dumps(training, default=json_value))
    if any(_flat(training.get("weighted_metrics"))):
        problems.append("weighted_metrics (include_optimizer=False leaves the compile settings out)")
    return {
        "optimizer_config": _optimizer(training["optimizer_config"], problems),
        "loss": _named(training.get("loss"), "loss", losses_module, _LOSSES, problems),
        "metrics": _metrics(training.get("metrics"), problems) or None,
        "sample_weight_mode": training.get("sample_weight_mode"),
        "loss_weights": training.get("loss_weights"),
    }


def _optimizer(entry: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    name, config = entry["class_name"], dict(entry["config"])
    if name.lower() not in _OPTIMIZERS:
        if _is_ours(getattr(optimizers_module, name, None)):
            problems.append(f"the optimizer {name}")
        return {"class_name": name, "config": config}
    if "learning_rate" in config:
        config = {"lr": config.pop("learning_rate"), **config}
    if config.pop("amsgrad", False):
        problems.append(f"the optimizer {name}: amsgrad=True")
    config.pop("name", None)
    return {"class_name": name, "config": config}


def _named(value: Any, what: str, module: Any, known: frozenset[str], problems: Problems) -> Any:
    """Losses or metrics by name; those of the user keep theirs."""
    if isinstance(value, list):
        return [_named(v, what, module, known, problems) for v in value]
    if isinstance(value, dict) and set(value) == {"class_name", "config"}:
        config = {k: v for k, v in value["config"].items() if k not in ("name", "dtype", "fn")}
        plain = all(v in (None, False, 0, "auto", "sum_over_batch_size") for v in config.values())
        name = to_snake_case(value["class_name"])
        if name in known and plain:
            return name
        problems.append(f"the {what} {value['class_name']}")
        return name
    if isinstance(value, dict):
        return {k: _named(v, what, module, known, problems) for k, v in value.items()}
    if isinstance(value, str) and value not in known and _is_ours(getattr(module, value, None)):
        problems.append(f"the {what} {value!r}")
    if value == "cosine_proximity" and what == "loss" and get_api_level() != "1.2":
        problems.append("the loss 'cosine_proximity' (a mean there, a sum since Keras 2)")
    return value


def _metrics(value: Any, problems: Problems) -> Any:
    """1.2.2 reads a list of names, or one name for each output."""
    value = _named(value, "metric", metrics_module, _METRICS, problems)
    if isinstance(value, dict):
        value = {output: names[0] if _is_single(names) else names for output, names in value.items()}
    nested = [v for v in (value.values() if isinstance(value, dict) else value or ()) if isinstance(v, list)]
    if any(nested):
        problems.append(f"several metrics of one output: {nested[0]}")
    return value


def _is_single(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield value
