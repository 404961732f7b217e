"""`get_config` and `from_config` of every object that a config may name: nothing that was given gets lost.

Each argument of each class is given a value of its own (``VALUES``, ``REQUIRED``, ``OWN``), which must stand in the
config, pass through JSON, and come back; a class or an argument without a value fails. For the layers the rows of the
gradient tests, one or more configurations each, say that the copy computes the same. All of it at the API levels 1.2
and 2.3, and read at the other level.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from keras_compat import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.engine.network import json_value
from keras_compat.engine.registry import LAYERS, deserialize, serialize
from keras_compat.models import Sequential
from keras_compat.utils.generic_utils import Registry, registries
from tests.keras_compat.test_layer_gradients import ROWS, built, inputs_of

LEVELS = ("1.2", "2.3")

pytestmark = pytest.mark.usefixtures("without_kernels")


def classes_of(registry: Registry) -> dict[str, type]:
    """The package's own classes in a registry, by name: other tests may have added theirs."""
    found = {c.__name__: c for c in registry.values() if isinstance(c, type)}
    return {name: c for name, c in found.items() if c.__module__.startswith("keras_compat.")}


def two(x: Any, k: int = 2) -> Any:
    """A function for Lambda layers and wrappers; a custom object."""
    return x * k


FAMILIES: dict[str, tuple[Registry, Callable[..., Any], Callable[[Any], Any]]] = {
    "layer": (LAYERS, deserialize, serialize),
    "initializer": (initializers._known, initializers.deserialize, initializers.serialize),
    "regularizer": (regularizers._known, regularizers.deserialize, regularizers.serialize),
    "constraint": (constraints._known, constraints.deserialize, constraints.serialize),
    "optimizer": (optimizers._known, optimizers.deserialize, optimizers.serialize),
    "loss": (losses._known, losses.deserialize, losses.serialize),
    "metric": (metrics._known, metrics.deserialize, metrics.serialize),
}

# Bases without a meaning of their own, models (test_copies.py), and what only a wrapper holds.
NO_CONFIG = {
    "layer": {"Model", "Sequential", "Graph", "Wrapper", "Recurrent", "ConvRecurrent2D", "SiameseHead"},
    "initializer": set(),
    "regularizer": {"Regularizer"},
    "constraint": {"Constraint"},
    "optimizer": set(),
    "loss": {"Loss"},
    "metric": set(),
}

# A value for each word, other than any default.
VALUES: dict[str, Any] = {
    "keepdims": True,
    **dict.fromkeys(("activation", "recurrent_activation"), "softplus"),
    **dict.fromkeys(("kernel_regularizer", "recurrent_regularizer", "bias_regularizer"), regularizers.l1_l2(0.1, 0.2)),
    **dict.fromkeys(("activity_regularizer", "beta_regularizer", "gamma_regularizer"), regularizers.l1(0.3)),
    **dict.fromkeys(("depthwise_regularizer", "pointwise_regularizer", "alpha_regularizer"), regularizers.l2(0.3)),
    **dict.fromkeys(("embeddings_regularizer", "W_regularizer", "b_regularizer"), regularizers.l2(0.4)),
    **dict.fromkeys(("kernel_constraint", "recurrent_constraint", "bias_constraint"), constraints.MaxNorm(3, axis=1)),
    **dict.fromkeys(("depthwise_constraint", "pointwise_constraint"), constraints.UnitNorm(axis=1)),
    **dict.fromkeys(("beta_constraint", "gamma_constraint", "alpha_constraint"), constraints.NonNeg()),
    **dict.fromkeys(("embeddings_constraint", "W_constraint", "b_constraint"), constraints.MinMaxNorm(0.1, 2, 0.5, 1)),
    **dict.fromkeys(("kernel_initializer", "recurrent_initializer"), initializers.RandomNormal(0.1, 0.2, seed=7)),
    **dict.fromkeys(("bias_initializer", "beta_initializer", "gamma_initializer"), initializers.Constant(0.3)),
    **dict.fromkeys(("moving_mean_initializer", "moving_variance_initializer"), initializers.Constant(0.3)),
    **dict.fromkeys(("depthwise_initializer", "pointwise_initializer", "alpha_initializer"), "he_uniform"),
    **dict.fromkeys(("embeddings_initializer", "init"), initializers.VarianceScaling(2.0, "fan_out", "uniform", 3)),
    **dict.fromkeys(("use_bias", "bias", "center", "scale", "unit_forget_bias", "output_reconstruction"), False),
    **dict.fromkeys(("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "reset_after"), True),
    **dict.fromkeys(("nesterov", "amsgrad", "from_logits", "normalize", "mask_zero", "legacy_fans", "is_graph"), True),
    **dict.fromkeys(("dropout", "recurrent_dropout", "rate", "label_smoothing"), 0.125),
    **dict.fromkeys(("l1", "l2", "k", "gain", "value", "stddev", "mean", "minval", "maxval"), 0.375),
    **dict.fromkeys(("alpha", "theta", "negative_slope", "threshold", "mask_value", "momentum", "decay"), 0.375),
    **dict.fromkeys(("min_value", "max_value", "delta", "rho", "beta_1", "beta_2", "schedule_decay"), 0.375),
    **dict.fromkeys(("learning_rate", "epsilon", "sensitivity", "specificity", "alpha_init", "beta_init"), 0.375),
    **dict.fromkeys(("units", "filters", "depth_multiplier", "output_dim", "nb_feature", "n"), 7),
    **dict.fromkeys(("seed", "input_length", "input_dim", "num_thresholds", "num_classes", "top_k", "class_id"), 7),
    "kernel_size": 3,
    "strides": 3,
    "dilation_rate": 2,
    "output_padding": 1,
    "pool_size": 3,
    "size": 3,
    "cropping": 2,
    "padding": "same",
    "data_format": "channels_first",
    "kernel_format": "channels_first",
    "interpolation": "bilinear",
    "implementation": 1,
    "axis": 1,
    "axes": 2,
    "concat_axis": 2,
    "shared_axes": [1],
    "dot_axes": 1,
    "noise_shape": (None, 1),
    "target_shape": (2, 2),
    "dims": (2, 1),
    "merge_mode": "sum",
    "mode": "mul",
    "reduction": "sum",
    "fn": losses.mean_squared_error,
    "thresholds": [0.25, 0.75],
    "curve": "PR",
    "summation_method": "minoring",
    "distribution": "uniform",
    "function": two,
    "arguments": {"k": 1},
    "name": "mine",
    "sparse": True,
    "trainable": False,
    "dtype": "float16",
}

# Arguments without a default.
REQUIRED: dict[str, dict[str, Any]] = {
    "StackedRNNCells": {"cells": lambda: [L.LSTMCell(3), L.GRUCell(2, reset_after=True)]},
    "RNN": {"cell": lambda: L.GRUCell(3, activation="relu")},
    "ConvRNN2D": {"cell": lambda: L.ConvLSTM2DCell(2, 3, activation="relu")},
    "TimeDistributed": {"layer": lambda: L.Dense(3, activation="tanh")},
    "Bidirectional": {"layer": lambda: L.GRU(3, return_sequences=True)},
    "AutoEncoder": {
        "encoder": lambda: Sequential([L.Dense(2, input_dim=3)]),
        "decoder": lambda: Sequential([L.Dense(3, input_dim=2)]),
    },
    "Siamese": {
        "layer": lambda: L.Dense(2),
        "inputs": lambda: [L.Dense(3, input_dim=4), L.Dense(3, input_dim=4)],
    },
    "LambdaMerge": {"layers": lambda: branches(), "function": lambda: two},
    "Merge": {"layers": lambda: branches()},
    "PerSample": {"regularizer": lambda: regularizers.l1(0.25)},
    "SensitivityAtSpecificity": {"specificity": lambda: 0.5},
    "SpecificityAtSensitivity": {"sensitivity": lambda: 0.5},
    "InputLayer": {"input_shape": lambda: (4, 5)},
}


def branches() -> list[Any]:
    return [Sequential([L.Dense(3, input_dim=2)]), Sequential([L.Dense(3, input_dim=4)])]


# Values where the common one does not fit.
OWN: dict[tuple[str, str], Any] = {
    ("UpSampling1D", "size"): 3,
    ("Conv2DTranspose", "output_shape"): (None, 8, 8, 2),
    ("Merge", "output_shape"): (3,),
    ("LambdaMerge", "output_shape"): (3,),
    ("Lambda", "output_shape"): (3,),
    ("Lambda", "mask"): None,  # Keras's config has no place for it
    ("LocallyConnected1D", "data_format"): None,  # nor for this, which means nothing
    ("ConvRNN2D", "unroll"): None,
    ("Merge", "output_mask"): None,
    ("ZeroPadding1D", "padding"): 2,
    ("ZeroPadding2D", "padding"): ((1, 2), (3, 4)),
    ("ZeroPadding3D", "padding"): ((1, 2), (3, 4), (5, 6)),
    ("Cropping2D", "cropping"): ((1, 2), (3, 4)),
    ("Cropping3D", "cropping"): ((1, 2), (3, 4), (5, 6)),
    ("SReLU", "t_left_init"): "ones",
    ("SReLU", "a_left_init"): "ones",
    ("SReLU", "t_right_init"): "ones",
    ("SReLU", "a_right_init"): "zeros",
    ("Highway", "transform_bias"): None,  # of Keras 0.x only
    ("VarianceScaling", "scale"): 3.0,
    ("VarianceScaling", "mode"): "fan_out",
    ("BatchNormalization", "mode"): 1,
    ("BatchNormalization", "line"): "keras3",
    ("UpSampling2D", "line"): "keras3",
    ("Rescaling", "offset"): 0.5,
    ("TimeDistributedMerge", "mode"): "ave",
    ("GRU", "implementation"): 1,
    ("MeanMetricWrapper", "fn"): metrics.binary_accuracy,
    ("TopKCategoricalAccuracy", "k"): 3,
    ("SparseTopKCategoricalAccuracy", "k"): 3,
    ("InputLayer", "input_shape"): (4, 6),
    ("InputLayer", "batch_size"): 3,
    ("InputLayer", "dtype"): "int32",
    ("InputLayer", "trainable"): None,
    ("Siamese", "concat_axis"): -1,
    ("Dot", "axes"): (1, 2),
    ("Reshape", "target_shape"): (2, 2),
    ("LocallyConnected1D", "padding"): None,
    ("LocallyConnected2D", "padding"): None,
    ("Embedding", "input_length"): 7,
    ("MaxoutDense", "input_dim"): 7,
    ("RNN", "cell"): None,
    ("Bidirectional", "merge_mode"): None,
}

# Arguments that only go with others.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("Conv2DTranspose", "output_padding"): {"strides": 3},
    ("Conv3DTranspose", "output_padding"): {"strides": 3},
}

# What a config does not hold, and why.
NOT_KEPT: dict[str, str] = {
    "weights": "initial weights: a config has none",
    "inputs": "the layers of a Siamese's inputs are part of the graph",
    "node_indices": "of the graph",
    "tensor_indices": "of the graph",
    "input_tensor": "a tensor",
    "layers": "required, compared as a whole",
    "cells": "required, compared as a whole",
    "cell": "required, compared as a whole",
    "layer": "required, compared as a whole",
    "encoder": "required, compared as a whole",
    "decoder": "required, compared as a whole",
    "regularizer": "required, compared as a whole",
    "batch_input_shape": "of every layer, see test_what_every_layer_takes",
}


def required(name: str, cls: type) -> dict[str, Any]:
    """Values for the arguments that must be given, new objects each time."""
    found = {}
    for word, p in inspect.signature(cls.__init__).parameters.items():  # type: ignore[misc]
        if word in REQUIRED.get(name, {}):
            found[word] = REQUIRED[name][word]()
        elif p.default is p.empty and word not in ("self", "args", "kwargs"):
            found[word] = value_of(name, word)
    return found


def value_of(name: str, word: str) -> Any:
    if (name, word) in OWN:
        return OWN[name, word]
    assert word in VALUES, f"{name}({word}=...): the argument has no value in VALUES or OWN"
    return VALUES[word]


def through_json(config: Any) -> Any:
    return json.loads(json.dumps(config, default=json_value))


CLASSES = [
    pytest.param(family, name, cls, id=f"{family}-{name}")
    for family, (registry, _, _) in FAMILIES.items()
    for name, cls in classes_of(registry).items()
    if name not in NO_CONFIG[family]
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("family", "name", "cls"), CLASSES)
def test_every_argument_comes_back(level, family, name, cls):
    _, read, write = FAMILIES[family]
    custom = {"two": two}
    with api_level(level):
        plain = through_json(cls(**required(name, cls)).get_config())
        for word, p in inspect.signature(cls.__init__).parameters.items():
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or word == "self":
                continue
            if word in NOT_KEPT or (family, word) == ("layer", "name"):
                continue
            value = value_of(name, word)
            if value is None:  # there is no other value than the default
                continue
            made = cls(**{**required(name, cls), **BESIDE.get((name, word), {}), word: value})
            config = through_json(made.get_config())
            if word not in required(name, cls):
                assert unnamed(config) != unnamed(plain), f"{name}({word}={value!r}) is not in the config"
            # By the class, by the registry, and at the other level.
            if family == "layer":
                again = cls.from_config(config, custom_objects=custom) if name in TAKES_CUSTOM else None
            else:
                again = cls.from_config(config) if hasattr(cls, "from_config") else None
            written = through_json(write(made))
            assert written["class_name"] == name
            for found in (again, read(written, custom_objects=custom)):
                assert found is None or through_json(found.get_config()) == config, f"{name}({word}={value!r})"
            with api_level(LEVELS[level == "1.2"]):
                other = through_json(read(written, custom_objects=custom).get_config())
                assert of_both(other) == of_both(config), f"{name}({word}={value!r}), at the other level"


# Layers that hold others, and read them.
TAKES_CUSTOM = {"RNN", "StackedRNNCells", "TimeDistributed", "Bidirectional", "Lambda", "Merge", "ConvRNN2D"}


def of_both(config: dict[str, Any]) -> dict[str, Any]:
    """Without what the level decides: the word for the learning rate, how a one-dimensional kernel is laid out, and
    that Keras 1's Adam has no amsgrad."""
    config = {"learning_rate" if k == "lr" else k: v for k, v in config.items() if (k, v) != ("amsgrad", False)}
    config.pop("kernel_format", None)
    return config


def unnamed(config: Any) -> Any:
    """Without names that are given automatically, and without text of code (equal functions differ in it)."""
    if isinstance(config, dict):
        return {k: unnamed(v) for k, v in config.items() if not (k == "name" and str(v)[-1:].isdigit())}
    return [unnamed(v) for v in config] if isinstance(config, list) else config


def test_every_class_and_function_is_of_a_family():
    """A new registry needs a place in this file."""
    kinds = {registry.kind for registry, _, _ in FAMILIES.values()}
    others = {"activation function", "initialization"}  # functions without arguments: their names are their configs
    assert {r.kind for r in registries()} == kinds | others


@pytest.mark.parametrize("family", ["loss", "metric", "initializer", "regularizer", "constraint"])
def test_functions_and_names_stand_for_themselves(family):
    registry, read, write = FAMILIES[family]
    for name, found in registry.items():
        if callable(found) and not isinstance(found, type) and found.__module__.startswith("keras_compat."):
            if registry.factories:
                made = read({"class_name": name, "config": {}})
                assert through_json(write(read(through_json(write(made))))) == through_json(write(made)), name
            else:
                assert read(write(found)) is found, name


def test_activations():
    for name, found in activations._known.items():
        assert activations.deserialize(activations.serialize(found)) is found, name
    for made in (L.LeakyReLU(0.2), L.PReLU(alpha_initializer="ones")):
        config = through_json(L.Dense(2, activation=made).get_config())
        again = L.Dense.from_config(config).activation
        assert type(again) is type(made) and through_json(again.get_config()) == through_json(made.get_config())


def test_what_every_layer_takes():
    for name, cls in classes_of(LAYERS).items():
        if name in NO_CONFIG["layer"] or name in ("InputLayer", "Merge", "LambdaMerge", "Siamese", "AutoEncoder"):
            continue
        made = cls(**required(name, cls), name="mine", trainable=False, batch_input_shape=(2, 3, 4), dtype="float64")
        again = deserialize(through_json(serialize(made)), custom_objects={"two": two})
        assert (again.name, again.trainable) == ("mine", False), name
        config = again.get_config()
        assert (tuple(config["batch_input_shape"]), config["dtype"]) == ((2, 3, 4), "float64"), name


# Layers made around others, whose rows can not be called as copies.
OF_THE_GRAPH = {"Siamese", "SiameseHead", "LambdaMerge", "Merge", "AutoEncoder", "Lambda"}


@pytest.mark.usefixtures("small_and_exact")
@pytest.mark.parametrize("name", [name for name in ROWS if name not in OF_THE_GRAPH])
def test_a_copy_computes_the_same(name):
    """By config, by pickle and by deepcopy, in every configuration of the gradient tests, with the same weights."""
    for r in ROWS[name]:
        layer, f = built(r, inputs_of(r))
        wanted = values_of(f(*inputs_of(r)))
        config = through_json(serialize(layer))
        for how, make in (
            ("config", lambda config=config: deserialize(config, custom_objects={"two": two})),
            ("deepcopy", lambda layer=layer: copy.deepcopy(layer)),
        ):
            again, g = built(replace(r, make=make), inputs_of(r))
            assert type(again) is type(layer) and again is not layer
            assert not {id(w) for w in again.weights} & {id(w) for w in layer.weights}
            got = values_of(g(*inputs_of(r)))
            assert len(got) == len(wanted), (name, r.label, how)
            for a, b in zip(got, wanted):
                np.testing.assert_array_equal(a, b, err_msg=f"{name} {r.label} {how}")


def values_of(result: Any) -> list[np.ndarray]:
    return [np.array(x.numpy()) for x in (result if isinstance(result, (list, tuple)) else [result])]
