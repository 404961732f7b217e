"""Single calls: which vocabulary they are read in, what becomes of them, and what is refused."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_compat.dialect import DialectError, spec_for, tables, translate
from keras_compat.dialect.translate import fits


def dense(
    self,
    units,
    activation=None,
    use_bias=True,
    kernel_initializer="glorot_uniform",
    bias_initializer="zeros",
    kernel_regularizer=None,
    bias_regularizer=None,
    activity_regularizer=None,
    kernel_constraint=None,
    bias_constraint=None,
    **kwargs,
): ...


def conv2d(
    self,
    filters,
    kernel_size,
    strides=(1, 1),
    padding="valid",
    data_format=None,
    dilation_rate=(1, 1),
    activation=None,
    use_bias=True,
    kernel_initializer="glorot_uniform",
    **kwargs,
): ...


def lstm(self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, **kwargs): ...
def recurrent(
    self,
    units,
    activation="tanh",
    recurrent_activation="sigmoid",
    use_bias=True,
    kernel_initializer="glorot_uniform",
    recurrent_initializer="orthogonal",
    unit_forget_bias=True,
    dropout=0.0,
    recurrent_dropout=0.0,
    implementation=2,
    **kwargs,
): ...
def embedding(self, input_dim, output_dim, embeddings_initializer="uniform", embeddings_regularizer=None, **kwargs): ...
def local1d(self, filters, kernel_size, strides=1, padding="valid", kernel_initializer="glorot_uniform", **kwargs): ...
def separable(
    self,
    filters,
    kernel_size,
    depthwise_initializer="glorot_uniform",
    pointwise_initializer="glorot_uniform",
    **kwargs,
): ...
def batch_norm(
    self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", **kwargs
): ...
def max_pooling(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, **kwargs): ...
def zero_padding(self, padding=(1, 1), data_format=None, **kwargs): ...
def transpose(self, filters, kernel_size, strides=(1, 1), padding="valid", output_padding=None, **kwargs): ...
def flatten(self, data_format=None, **kwargs): ...
def sgd(self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs): ...
def adam(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, amsgrad=False, **kwargs): ...
def model(self, *args, **kwargs): ...
def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose=1, callbacks=None, validation_split=0.0): ...
def fit_generator(
    self,
    generator,
    steps_per_epoch=None,
    epochs=1,
    verbose=1,
    callbacks=None,
    validation_data=None,
    validation_steps=None,
    class_weight=None,
    max_queue_size=10,
    workers=1,
    use_multiprocessing=False,
): ...
def train_on_batch(self, x, y, sample_weight=None, class_weight=None): ...
def compile_(self, optimizer, loss=None, metrics=None, **kwargs): ...
def add_weight(self, name=None, shape=None, dtype=None, initializer=None, regularizer=None, trainable=True): ...
def get_updates(self, loss, params): ...
def crossentropy(target, output, from_logits=False, axis=-1): ...
def to_categorical(y, num_classes=None, dtype="float32"): ...
def max_norm(self, max_value=2, axis=0): ...


SPECS = {
    path: spec_for(path, target)
    for path, target in {
        "layers:Dense": dense,
        "layers:Conv2D": conv2d,
        "layers:LSTM": recurrent,
        "layers:GRU": recurrent,
        "layers:Embedding": embedding,
        "layers:LocallyConnected1D": local1d,
        "layers:SeparableConv2D": separable,
        "layers:BatchNormalization": batch_norm,
        "layers:MaxPooling2D": max_pooling,
        "layers:ZeroPadding2D": zero_padding,
        "layers:ZeroPadding1D": zero_padding,
        "layers:Conv2DTranspose": transpose,
        "layers:Flatten": flatten,
        "optimizers:SGD": sgd,
        "optimizers:Adam": adam,
        "models:Model": model,
        "models:Model.fit": fit,
        "models:Model.fit_generator": fit_generator,
        "models:Sequential.train_on_batch": train_on_batch,
        "models:Model.compile": compile_,
        "layers:Layer.add_weight": add_weight,
        "optimizers:Optimizer.get_updates": get_updates,
        "backend:categorical_crossentropy": crossentropy,
        "utils.np_utils:to_categorical": to_categorical,
        "constraints:MaxNorm": max_norm,
    }.items()
}


class Call:
    """Write a call as it stands in a program: `Call("layers:Dense")(32, "relu")`."""

    def __init__(self, path, level="2.3"):
        self.spec = SPECS[path]
        self.level = level

    def __call__(self, *args, **kwargs):
        """Return the new call with all arguments by name."""
        positional, keywords, self.notes = translate(self.spec, args, kwargs, self.level)
        return {**dict(zip(self.spec.modern, positional)), **keywords}


def plain_normal(scale, mode):
    config = {"scale": scale, "mode": mode, "distribution": "untruncated_normal", "seed": None}
    return {"class_name": "VarianceScaling", "config": config}


# --- words --------------------------------------------------------------------------------------------------


def test_the_example_of_the_documents():
    penalty = object()
    old = Call("layers:Dense")(output_dim=32, init="uniform", W_regularizer=penalty)
    assert old == {"units": 32, "kernel_initializer": "uniform", "kernel_regularizer": penalty}


def test_notes_name_each_old_spelling_once():
    call = Call("layers:Dense")
    call(output_dim=32, init="uniform", activation="relu")
    assert [(n.callable, n.old, n.new) for n in call.notes] == [
        ("Dense", "output_dim=", "units="),
        ("Dense", "init=", "kernel_initializer="),
    ]
    assert str(call.notes[0]) == "[Dense] output_dim= is an old spelling; write units=."
    call(32, activation="relu", input_dim=4)
    assert not call.notes


def test_a_modern_call_comes_back_as_it_was():
    x = object()
    args, kwargs, notes = translate(SPECS["layers:Dense"], (32, "relu", False), {"kernel_regularizer": x, "name": "d"})
    assert (args, kwargs["kernel_regularizer"]) == ((32,), x)
    assert kwargs == {"activation": "relu", "use_bias": False, "kernel_regularizer": x, "name": "d"}
    assert not notes


def test_arguments_are_not_changed():
    kwargs = {"init": "glorot_normal", "output_dim": 3}
    translate(SPECS["layers:Dense"], (), kwargs)
    assert kwargs == {"init": "glorot_normal", "output_dim": 3}
    first = Call("layers:Dense", "1.2")(3, init="glorot_normal")["kernel_initializer"]
    first["config"]["scale"] = 99
    again = Call("layers:Dense", "1.2")(3, init="glorot_normal")["kernel_initializer"]
    assert again["config"]["scale"] == 1.0


def test_one_old_word_for_two_new_ones():
    got = Call("layers:SeparableConv2D", "1.2")(8, 3, 3, init="he_normal")
    expected = plain_normal(2.0, "fan_in")
    assert got["depthwise_initializer"] == got["pointwise_initializer"] == expected


def test_a_word_of_the_target_is_not_translated():
    assert Call("layers:Embedding")(input_dim=10, output_dim=4) == {"input_dim": 10, "output_dim": 4}


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"input_dim": 5}, (5,)),
        ({"input_dim": 5, "input_shape": (7,)}, (7,)),
        ({"input_dim": 5, "batch_input_shape": (None, 7)}, None),
        ({"input_dim": None}, None),
    ],
)
def test_input_dim(kwargs, shape):
    assert Call("layers:Dense")(3, **kwargs).get("input_shape") == shape


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"input_dim": 5}, (None, 5)),
        ({"input_dim": 5, "input_length": 9}, (9, 5)),
        ({"input_length": 9}, (9, None)),
    ],
)
def test_input_dim_and_input_length(kwargs, shape):
    assert Call("layers:LSTM")(3, **kwargs)["input_shape"] == shape


def test_a_config_written_by_1_2_2():
    config = {
        "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0},
        "W_regularizer": {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.01},
        "activation": "linear",
        "activity_regularizer": None,
        "b_constraint": None,
        "b_regularizer": None,
        "batch_input_shape": [None, 5],
        "bias": True,
        "init": "glorot_uniform",
        "input_dim": 5,
        "input_dtype": "float32",
        "name": "dense_1",
        "output_dim": 6,
        "trainable": True,
    }
    assert Call("layers:Dense")(**config) == {
        "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}},
        "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
        "activation": "linear",
        "activity_regularizer": None,
        "bias_constraint": None,
        "bias_regularizer": None,
        "batch_input_shape": [None, 5],
        "use_bias": True,
        "kernel_initializer": "glorot_uniform",
        "dtype": "float32",
        "name": "dense_1",
        "units": 6,
        "trainable": True,
    }


# --- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("uniform", "uniform"),
        ("normal", "normal"),
        ("zero", "zeros"),
        ("one", "ones"),
        ("identity", "identity"),
        ("glorot_uniform", "glorot_uniform"),
        ("he_uniform", "he_uniform"),
        ("lecun_uniform", "lecun_uniform"),
        ("glorot_normal", plain_normal(1.0, "fan_avg")),
        ("he_normal", plain_normal(2.0, "fan_in")),
        ("orthogonal", {"class_name": "Orthogonal", "config": {"gain": 1.1, "seed": None}}),
        ("my_own", "my_own"),
    ],
)
def test_initializers_mean_what_they_meant(name, meaning):
    """At level 1.2; genuine Keras 2 read the names under old words as its own (golden: legacy_spelling)."""
    assert Call("layers:Dense", "1.2")(3, init=name)["kernel_initializer"] == meaning
    assert Call("layers:Dense", "1.2")(3, kernel_initializer=name)["kernel_initializer"] == name
    for level in ("2.2", "2.3"):
        assert Call("layers:Dense", level)(3, init=name)["kernel_initializer"] == name


@pytest.mark.parametrize("name", ["glorot_normal", "he_normal"])
def test_the_scaled_normals_have_the_deviation_of_1_2_2(name):
    """1.2.2: sqrt(2 / (fan_in + fan_out)) and sqrt(2 / fan_in)."""
    fan_in, fan_out = 30, 50
    config = Call("layers:Dense", "1.2")(3, init=name)["kernel_initializer"]["config"]
    n = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[config["mode"]]
    expected = {"glorot_normal": 2 / (fan_in + fan_out), "he_normal": 2 / fan_in}[name]
    assert np.isclose(config["scale"] / n, expected)


def test_kernels_of_three_dimensions_keep_the_fans_of_1_2_2():
    config = Call("layers:LocallyConnected1D", "1.2")(3, 2, init="glorot_uniform")["kernel_initializer"]["config"]
    assert config["legacy_fans"] is True
    assert Call("layers:LocallyConnected1D", "1.2")(3, 2)["kernel_initializer"]["config"]["legacy_fans"] is True
    assert "kernel_initializer" not in Call("layers:LocallyConnected1D")(3, 2)


@pytest.mark.parametrize(("old", "new"), [("th", "channels_first"), ("tf", "channels_last"), ("default", None)])
def test_layout(old, new):
    assert Call("layers:Conv2D")(8, 3, 3, dim_ordering=old)["data_format"] == new
    assert Call("layers:MaxPooling2D")((2, 2), None, "same", old)["data_format"] == new


@pytest.mark.parametrize(("old", "new"), [("cpu", 0), ("mem", 1), ("gpu", 2)])
def test_implementation(old, new):
    assert Call("layers:GRU")(3, consume_less=old)["implementation"] == new


@pytest.mark.parametrize(("old", "new"), [("one", True), ("zero", False)])
def test_forget_bias(old, new):
    assert Call("layers:LSTM")(3, forget_bias_init=old)["unit_forget_bias"] is new


@pytest.mark.parametrize(
    ("path", "padding", "pairs"),
    [
        ("layers:ZeroPadding2D", (1, 2, 3, 4), ((1, 2), (3, 4))),
        ("layers:ZeroPadding2D", {"top_pad": 1, "left_pad": 2}, ((1, 0), (2, 0))),
        ("layers:ZeroPadding2D", ((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ("layers:ZeroPadding2D", 2, 2),
        ("layers:ZeroPadding1D", {"left_pad": 1, "right_pad": 2}, (1, 2)),
    ],
)
def test_paddings_of_each_side(path, padding, pairs):
    assert Call(path)(padding=padding) == Call(path)(padding) == {"padding": pairs}


@pytest.mark.parametrize(
    ("path", "kwargs", "message"),
    [
        ("layers:Conv2D", {"dim_ordering": "xy"}, "dim_ordering is one of 'th', 'tf', 'default'; got 'xy'"),
        ("layers:LSTM", {"forget_bias_init": "glorot_uniform"}, "forget_bias_init is one of"),
        ("layers:LSTM", {"forget_bias_init": len}, "forget_bias_init is one of"),
        ("layers:Conv2D", {"nb_row": 3}, "nb_row came without nb_col"),
    ],
)
def test_what_nothing_stands_for_is_refused(path, kwargs, message):
    with pytest.raises(DialectError, match=message):
        translate(SPECS[path], (), {"filters": 3, **kwargs} if path == "layers:Conv2D" else kwargs)


def test_an_old_word_with_a_value_it_never_took_is_a_value_error():
    with pytest.raises(ValueError, match="dim_ordering is one of"):
        translate(SPECS["layers:Conv2D"], (), {"filters": 3, "dim_ordering": "middle"})


def test_what_is_gone_without_harm_is_dropped_with_a_note():
    call = Call("models:Model.compile")
    assert call("sgd", loss="mse", class_mode="binary", theano_mode=None) == {"optimizer": "sgd", "loss": "mse"}
    assert call.notes[0].old == "class_mode=" and "leave it out" in str(call.notes[0])


def test_what_keras_2_dropped_and_we_did_not_reaches_the_layer():
    assert Call("layers:BatchNormalization")(mode=1) == {"mode": 1}
    assert Call("layers:Embedding")(5, 3, dropout=0.5) == {"input_dim": 5, "output_dim": 3, "dropout": 0.5}


# --- positions ----------------------------------------------------------------------------------------------


def an_activation(x):
    return x


def an_initializer(shape, name=None):
    return shape


class ModernInitializer:
    def __call__(self, shape, dtype=None):
        return shape


@pytest.mark.parametrize("second", ["relu", "softmax", an_activation, None, lambda x: x, np.tanh])
def test_a_second_activation_is_keras_2(second):
    for level in ("1.2", "2.2", "2.3"):
        assert Call("layers:Dense", level)(32, second) == {"units": 32, "activation": second}


@pytest.mark.parametrize("second", ["uniform", "glorot_uniform", an_initializer, ModernInitializer()])
def test_a_second_initializer_is_keras_1(second):
    for level in ("1.2", "2.2", "2.3"):
        assert Call("layers:Dense", level)(32, second) == {"units": 32, "kernel_initializer": second}


def test_the_rest_of_the_positions_decides_too():
    unknown = "of_my_own"
    assert Call("layers:Dense")(32, unknown, "relu") == {
        "units": 32,
        "kernel_initializer": unknown,
        "activation": "relu",
    }
    assert Call("layers:Dense")(32, unknown, False) == {"units": 32, "activation": unknown, "use_bias": False}


def test_words_beside_decide_what_values_do_not():
    assert Call("layers:Dense")(32, "of_my_own", bias=False)["kernel_initializer"] == "of_my_own"
    assert Call("layers:Dense")(32, "of_my_own", use_bias=False)["activation"] == "of_my_own"
    assert Call("layers:Dense")(32, "of_my_own", activation="relu")["kernel_initializer"] == "of_my_own"
    assert Call("layers:Dense")(32, "of_my_own", init="uniform")["activation"] == "of_my_own"


def test_both_readings_are_shown():
    with pytest.raises(DialectError) as error:
        Call("layers:Dense")(32, "of_my_own", name="d")
    text = str(error.value)
    assert text.startswith("[Dense] Dense(32, 'of_my_own', name='d') can be read in two ways:")
    assert "Keras 1: Dense(output_dim=32, init='of_my_own', name='d')" in text
    assert "Keras 2: Dense(units=32, activation='of_my_own', name='d')" in text
    assert "Name the arguments" in text
    assert isinstance(error.value, TypeError)


def test_level_1_2_decides_the_rest():
    assert Call("layers:Dense", "1.2")(32, "of_my_own")["kernel_initializer"] == "of_my_own"
    with pytest.raises(DialectError):
        Call("layers:Dense", "2.2")(32, "of_my_own")


def test_a_call_that_fits_neither_says_why():
    with pytest.raises(DialectError, match="fits neither Keras 1 nor Keras 2") as error:
        Call("layers:Dense")(32, 7)
    assert "init=7 is no initializer" in str(error.value)
    assert "activation=7 is no activation" in str(error.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((32, 3, 3), {}, {"filters": 32, "kernel_size": (3, 3)}),
        ((32, 3, 3), {"border_mode": "same"}, {"filters": 32, "kernel_size": (3, 3), "padding": "same"}),
        (
            (32, 3, 3, "he_uniform"),
            {},
            {"filters": 32, "kernel_size": (3, 3), "kernel_initializer": "he_uniform"},
        ),
        ((32, 3, 3), {"activation": "relu"}, {"filters": 32, "kernel_size": (3, 3), "activation": "relu"}),
        ((32, 3, 3), {"use_bias": False}, {"filters": 32, "kernel_size": (3, 3), "use_bias": False}),
        ((32, 3, 5), {"strides": 2}, {"filters": 32, "kernel_size": (3, 5), "strides": 2}),
        ((32, 3), {}, {"filters": 32, "kernel_size": 3}),
        ((32, (3, 3)), {}, {"filters": 32, "kernel_size": (3, 3)}),
        ((32, (3, 3), 2), {}, {"filters": 32, "kernel_size": (3, 3), "strides": 2}),
        (
            (32, [3, 3], (2, 2), "same"),
            {},
            {"filters": 32, "kernel_size": [3, 3], "strides": (2, 2), "padding": "same"},
        ),
        ((32, 3, 2, "same"), {}, {"filters": 32, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ((), {"nb_filter": 4, "nb_row": 2, "nb_col": 5}, {"filters": 4, "kernel_size": (2, 5)}),
        ((4,), {"nb_col": 5, "nb_row": 2}, {"filters": 4, "kernel_size": (2, 5)}),
        ((np.int64(4), np.int32(2), np.int64(5)), {}, {"filters": 4, "kernel_size": (2, 5)}),
    ],
)
def test_conv2d(args, kwargs, expected):
    assert Call("layers:Conv2D")(*args, **kwargs) == expected


def test_conv2d_with_integers_beside_new_words_is_refused_as_2_3_1_does():
    for beside in ({"padding": "same"}, {"data_format": "channels_first"}):
        with pytest.raises(DialectError, match="kernel_size=3, strides=3"):
            Call("layers:Conv2D")(32, 3, 3, **beside)
        assert Call("layers:Conv2D", "1.2")(32, 3, 3, **beside)["kernel_size"] == (3, 3)


def test_deconvolution_takes_an_output_shape_by_position():
    for args in ((8, 3, 5, (None, 8, 32, 32)), (8, 3, 5)):
        assert Call("layers:Conv2DTranspose")(*args) == {"filters": 8, "kernel_size": (3, 5)}


@pytest.mark.parametrize(
    ("path", "args", "expected"),
    [
        ("optimizers:SGD", (0.1, 0.9, True), {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
        ("optimizers:SGD", (0.1, 0.9, 1e-6), {"learning_rate": 0.1, "momentum": 0.9, "decay": 1e-6}),
        (
            "optimizers:SGD",
            (0.1, 0.9, 0, True),
            {"learning_rate": 0.1, "momentum": 0.9, "decay": 0, "nesterov": True},
        ),
        (
            "optimizers:Adam",
            (0.1, 0.8, 0.9, True),
            {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "amsgrad": True},
        ),
        (
            "optimizers:Adam",
            (0.1, 0.8, 0.9, 1e-8),
            {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-8},
        ),
        ("layers:BatchNormalization", (1,), {"axis": 1}),
        ("layers:BatchNormalization", (-1, 0.9), {"axis": -1, "momentum": 0.9}),
        ("layers:BatchNormalization", (1e-6,), {"epsilon": 1e-6}),
        ("layers:BatchNormalization", (1e-6, 0, 1), {"epsilon": 1e-6, "mode": 0, "axis": 1}),
        ("layers:Layer.add_weight", ((3, 4), "uniform"), {"shape": (3, 4), "initializer": "uniform"}),
        ("layers:Layer.add_weight", ("kernel", (3, 4)), {"name": "kernel", "shape": (3, 4)}),
        ("optimizers:Optimizer.get_updates", ("p", {}, "l"), {"params": "p", "loss": "l"}),
        ("optimizers:Optimizer.get_updates", ("l", "p"), {"params": "p", "loss": "l"}),
        (
            "models:Sequential.train_on_batch",
            ("x", "y", {0: 1.0}),
            {"x": "x", "y": "y", "class_weight": {0: 1.0}},
        ),
        ("models:Sequential.train_on_batch", ("x", "y", None), {"x": "x", "y": "y", "sample_weight": None}),
        ("models:Model", ("a", "b", "c"), {"inputs": "a", "outputs": "b", "name": "c"}),
        ("layers:Flatten", ("channels_first",), {"data_format": "channels_first"}),
    ],
)
def test_other_positions(path, args, expected):
    assert Call(path)(*args) == expected


def test_sample_weights_by_position():
    weights = np.ones(3)
    got = Call("models:Sequential.train_on_batch")("x", "y", weights)
    assert got["sample_weight"] is weights and "class_weight" not in got


def test_generators_count_samples_or_batches():
    class Generator:
        batch_size = 32

    generator, call = Generator(), Call("models:Model.fit_generator")
    got = call(generator, samples_per_epoch=100, nb_epoch=5, max_q_size=3)
    assert got == {"generator": generator, "steps_per_epoch": 4, "epochs": 5, "max_queue_size": 3}
    assert call(generator, 100, 5) == {"generator": generator, "steps_per_epoch": 100, "epochs": 5}
    old = Call("models:Model.fit_generator", "1.2")
    assert old(generator, 100, 5) == {"generator": generator, "steps_per_epoch": 4, "epochs": 5}
    assert old(generator, steps_per_epoch=100)["steps_per_epoch"] == 100
    with pytest.raises(DialectError, match="samples_per_epoch=100 counts samples.*steps_per_epoch"):
        call(iter([]), samples_per_epoch=100, nb_epoch=1)


def test_the_order_of_crossentropies_follows_the_level_alone():
    for level, expected in (("1.2", ("t", "o")), ("2.2", ("o", "t")), ("2.3", ("o", "t"))):
        got = Call("backend:categorical_crossentropy", level)("o", "t")
        assert (got["target"], got["output"]) == expected
        assert Call("backend:categorical_crossentropy", level)(target=1, output=2) == {
            "target": 1,
            "output": 2,
        }


def test_agreed_positions_mean_what_the_level_says():
    """Embedding's third argument is the same in both; what its name means is not."""
    assert Call("layers:Embedding")(5, 3, "orthogonal")["embeddings_initializer"] == "orthogonal"
    gain = Call("layers:Embedding", "1.2")(5, 3, "orthogonal")["embeddings_initializer"]["config"]["gain"]
    assert gain == 1.1
    kept = Call("layers:Embedding", "1.2")(5, 3, embeddings_initializer="orthogonal")
    assert kept["embeddings_initializer"] == "orthogonal"


def test_defaults_follow_the_level_and_not_the_words():
    assert "recurrent_activation" not in Call("layers:LSTM")(output_dim=3)
    assert Call("layers:LSTM", "1.2")(output_dim=3)["recurrent_activation"] == "hard_sigmoid"
    assert Call("layers:LSTM", "2.2")(3)["recurrent_activation"] == "hard_sigmoid"
    assert Call("layers:LSTM", "1.2")(3, recurrent_activation="sigmoid")["recurrent_activation"] == "sigmoid"
    assert Call("models:Model.fit", "1.2")("x", "y") == {"x": "x", "y": "y", "epochs": 10}
    assert Call("models:Model.fit", "1.2")("x", "y", 16, 2) == {
        "x": "x",
        "y": "y",
        "batch_size": 16,
        "epochs": 2,
    }


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{"units": 3, "output_dim": 4}, {"output_dim": 4, "units": 3}])
def test_both_spellings_with_different_values(kwargs):
    with pytest.raises(DialectError, match="units is given twice, as .*=.* and .*=.*Keep one") as error:
        Call("layers:Dense")(**kwargs)
    assert "output_dim=4" in str(error.value) and "units=3" in str(error.value)


def test_both_spellings_with_the_same_value_are_one():
    assert Call("layers:Dense")(units=3, output_dim=3) == {"units": 3}
    weights = np.ones(3)
    assert Call("models:Model.fit")(weights, X=weights)["x"] is weights
    with pytest.raises(DialectError, match="x is given twice"):
        Call("models:Model.fit")(weights, X=weights.copy())


def test_one_word_twice():
    with pytest.raises(TypeError, match="multiple values for argument 'units'"):
        Call("layers:Dense")(3, units=3)
    with pytest.raises(TypeError, match="multiple values for argument 'output_dim': 3 and 4"):
        Call("layers:Dense")(3, output_dim=4)


@pytest.mark.parametrize(
    ("path", "word", "hint"),
    [
        ("layers:Dense", "kernal_initializer", "Did you mean 'kernel_initializer'"),
        ("layers:Dense", "output_dims", "Did you mean 'output_dim'"),
        ("layers:Dense", "zzz", "Its arguments are: units, activation"),
        ("models:Model.fit", "epoch", "Did you mean 'epochs'"),
        ("utils.np_utils:to_categorical", "n_classes", "Did you mean 'nb_classes'"),
    ],
)
def test_an_unknown_word(path, word, hint):
    with pytest.raises(TypeError, match=f"Keyword argument not understood: '{word}'. {hint}"):
        Call(path)(**{word: 3})


def test_too_many_positions():
    with pytest.raises(TypeError, match="takes 2 positional arguments, 4 came"):
        Call("constraints:MaxNorm")(1, 2, 3, 4)


def test_a_target_that_takes_anything_judges_it_itself():
    assert Call("models:Model.compile")("sgd", "mse", anything=3)["anything"] == 3


# --- properties ---------------------------------------------------------------------------------------------

OLD_WORDS = {
    "output_dim": 7,
    "bias": False,
    "init": "he_uniform",
    "W_regularizer": "l2",
    "b_constraint": "nonneg",
}
NEW_WORDS = {
    "units": 7,
    "use_bias": False,
    "kernel_initializer": "he_uniform",
    "kernel_regularizer": "l2",
    "bias_constraint": "nonneg",
}


@given(st.sets(st.sampled_from(range(5))), st.sampled_from(["1.2", "2.2", "2.3"]))
def test_any_mixture_of_spellings_is_the_same_call(old, level):
    pairs = list(zip(OLD_WORDS.items(), NEW_WORDS.items()))
    mixed = dict(pair[0 if number in old else 1] for number, pair in enumerate(pairs))
    assert Call("layers:Dense", level)(**mixed) == NEW_WORDS


@given(st.sampled_from(sorted(SPECS)), st.data())
def test_a_translated_call_needs_no_further_translation(path, data):
    spec = SPECS[path]
    chosen = data.draw(st.sets(st.sampled_from(sorted(spec.keywords)), max_size=5))
    values = {word: object() for word in chosen if spec.kinds.get(word) != "pads"}
    _, once, notes = translate(spec, (), values)
    assert not notes
    assert once == values


@given(st.sampled_from(sorted(set(tables.KINDS.values()))))
def test_values_of_unknown_types_fit_every_kind_but_the_telling_ones(kind):
    if kind not in ("initializer", "activation", "dictionary", "class weights"):
        assert fits(kind, object())
    assert not fits(kind, 1j) or kind not in ("initializer", "activation")
