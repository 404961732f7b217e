"""Core layers against NumPy: values, shapes, weights, configs, errors; symbolic and on eager tensors."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import functools
import gc
import json
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.engine import InputSpec, Layer, functions
from keras_compat.layers import (
    Activation,
    ActivityRegularization,
    AtrousConvolution2D,
    BatchNormalization,
    Conv2D,
    Convolution2D,
    Deconvolution2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Lambda,
    Masking,
    MaxPooling1D,
    Permute,
    RepeatVector,
    Reshape,
    deserialize,
    serialize,
)
from keras_compat.models import Model, Sequential, model_from_json

RNG = np.random.default_rng(7)


def run(layer: Layer, x: np.ndarray, training: int = 0) -> np.ndarray:
    """Output of a layer through a compiled graph."""
    inp = Input(batch_shape=(None, *x.shape[1:]))
    out = layer(inp)
    return at.function([inp], out, givens=K.phase_givens(training))(x)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 4, 5, 3)])
def test_dense_is_a_product_on_the_last_axis(shape: tuple[int, ...]) -> None:
    layer = Dense(6, activation="tanh", bias_initializer="random_normal")
    x = floats(*shape)
    y = run(layer, x)
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, np.tanh(x @ kernel + bias), atol=1e-6)
    assert layer.output_shape == (None, *shape[1:-1], 6)
    assert [w.name for w in layer.weights] == [f"{layer.name}/kernel:0", f"{layer.name}/bias:0"]
    assert layer.count_params() == 3 * 6 + 6


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (lambda: Flatten(), (2, 3, 4), lambda x: x.reshape(2, 12)),
        (lambda: Flatten("channels_first"), (2, 3, 4, 5), lambda x: x.transpose(0, 2, 3, 1).reshape(2, 60)),
        (lambda: Reshape((4, -1)), (2, 3, 8), lambda x: x.reshape(2, 4, 6)),
        (lambda: Reshape((6,)), (2, 3, 2), lambda x: x.reshape(2, 6)),
        (lambda: Permute((2, 1)), (2, 3, 4), lambda x: x.transpose(0, 2, 1)),
        (lambda: Permute((3, 1, 2)), (2, 3, 4, 5), lambda x: x.transpose(0, 3, 1, 2)),
        (lambda: RepeatVector(3), (2, 4), lambda x: np.repeat(x[:, None], 3, axis=1)),
        (lambda: Activation("relu"), (2, 4), lambda x: np.maximum(x, 0)),
        (lambda: Activation("softmax"), (2, 4), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        (lambda: Dropout(0.5), (2, 4), lambda x: x),
        (lambda: ActivityRegularization(0.1, 0.2), (2, 4), lambda x: x),
        (lambda: Lambda(lambda t: t * 2 + 1), (2, 4), lambda x: x * 2 + 1),
    ],
)
def test_values_and_shapes(layer: Any, shape: tuple[int, ...], expected: Any) -> None:
    made = layer()
    x = floats(*shape)
    y = run(made, x)
    np.testing.assert_allclose(y, expected(x), rtol=1e-5, atol=1e-6)
    assert made.output_shape == (None, *y.shape[1:])
    if not isinstance(made, Lambda):
        assert made.compute_output_shape((None, *shape[1:])) == (None, *y.shape[1:])
        again = deserialize(serialize(made))
        assert again.get_config() == made.get_config()
        np.testing.assert_allclose(run(again, x), y)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    x = np.ones((400, 500), "float32")
    y = run(Dropout(0.3), x, training=1)
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


def test_dropout_is_drawn_anew_at_each_call() -> None:
    x = Input((50,))
    f = at.function([x], Dropout(0.5)(x), givens=K.phase_givens(1))
    value = np.ones((2, 50), "float32")
    assert (f(value) != f(value)).any()


def test_dropout_noise_shape_drops_whole_steps() -> None:
    y = run(Dropout(0.5, noise_shape=(None, 6, 1)), np.ones((8, 6, 5), "float32"), training=1)
    kept = y != 0
    assert (kept.all(axis=2) == kept.any(axis=2)).all()
    assert 0 < kept.mean() < 1


def test_masking_zeroes_and_masks_steps() -> None:
    x = floats(2, 4, 3)
    x[0, 1] = 0.5
    x[1, 3] = 0.5
    layer = Masking(0.5)
    inp = Input((4, 3))
    out = layer(inp)
    values, mask = at.function([inp], [out, layer.output_mask])(x)
    assert (mask == (x != 0.5).any(axis=-1)).all()
    np.testing.assert_array_equal(values, x * mask[..., None])


def test_a_layer_that_takes_no_mask_says_so() -> None:
    with pytest.raises(TypeError, match="does not support masking"):
        Flatten()(Masking()(Input((4, 3))))


def test_layers_take_eager_tensors() -> None:
    layer = Dense(2)
    x = floats(3, 4)
    y = K.eval(layer(at.asarray(x)))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, x @ kernel + bias, atol=1e-6)
    assert layer._inbound_nodes == []


def test_lambda_arguments_and_masks() -> None:
    x = floats(2, 3)
    np.testing.assert_allclose(run(Lambda(lambda t, k: t * k, arguments={"k": 3.0}), x), 3 * x)
    assert Lambda(lambda t: t, output_shape=(5,)).compute_output_shape((None, 3)) == (None, 5)
    with pytest.raises(TypeError, match="expected a function"):
        Lambda("x")


class MyConvolution(Conv2D):
    pass


@pytest.mark.parametrize(
    ("make", "in_1", "in_2"),
    [
        (lambda: Dense(1), "dense_1", "dense_1"),
        (lambda: Convolution2D(1, 1, 1), "convolution2d_1", "conv2d_1"),
        (lambda: Deconvolution2D(1, 1, 1), "deconvolution2d_1", "conv2d_transpose_1"),
        (lambda: AtrousConvolution2D(1, 1, 1), "atrousconvolution2d_1", "atrous_convolution2d_1"),
        (lambda: MyConvolution(1, (1, 1)), "myconvolution_1", "my_convolution_1"),
        (lambda: BatchNormalization(), "batchnormalization_1", "batch_normalization_1"),
        (lambda: MaxPooling1D(), "maxpooling1d_1", "max_pooling1d_1"),
        (lambda: Sequential(), "sequential_1", "sequential_1"),
    ],
)
def test_automatic_names_are_those_of_the_level(make: Any, in_1: str, in_2: str) -> None:
    for level, name in (("1.2", in_1), ("2.2", in_2), ("2.3", in_2)):
        K.clear_session()
        with api_level(level):
            assert make().name == name


def double(t: Any) -> Any:
    return t * 2


def test_lambda_from_a_config_takes_known_functions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_written", {})  # another test's `double` may have taken the name
    config = serialize(Lambda(double, name="twice"))
    assert config["config"]["function"] == "double"
    np.testing.assert_allclose(run(deserialize(config), np.ones((1, 2), "float32")), 2.0)
    config["config"]["function"] = "of_another_program"
    with pytest.raises(ValueError, match="custom_objects"):
        deserialize(config)
    again = deserialize(config, custom_objects={"of_another_program": double})
    np.testing.assert_allclose(run(again, np.ones((1, 2), "float32")), 2.0)


def times(k: float) -> Any:
    return lambda t: t * k


def test_functions_of_one_name_are_told_apart_in_json() -> None:
    def double(t: Any) -> Any:
        return t * 20

    layers = [Lambda(f) for f in (times(3.0), times(5.0), double, lambda t, by: t * by)]
    layers[3].arguments = {"by": np.array([1.0, 7.0])}
    config = json.loads(json.dumps(serialize(Lambda(globals()["double"]))))
    assert deserialize(config).function is globals()["double"]
    for layer in layers[:3]:
        again = deserialize(json.loads(json.dumps(serialize(layer))))
        assert again.function is layer.function
    model = Sequential([Lambda(times(3.0), input_shape=(2,)), *layers])
    again = model_from_json(model.to_json())
    np.testing.assert_allclose(again.predict(np.ones((1, 2))), [[3.0 * 3 * 5 * 20, 3.0 * 3 * 5 * 20 * 7]])


class Factor:
    def __init__(self, by: float):
        self.by = by

    def apply(self, t: Any) -> Any:
        return t * self.by


def test_methods_of_two_objects_are_told_apart_in_json() -> None:
    models = [Sequential([Lambda(Factor(by).apply, input_shape=(2,))]) for by in (2.0, 3.0)]
    again = [model_from_json(text) for text in [model.to_json() for model in models]]
    np.testing.assert_allclose([m.predict(np.ones((1, 2)))[0, 0] for m in again], [2.0, 3.0])


def test_a_function_that_encloses_a_graph_does_not_outlive_its_model() -> None:
    def write_and_read() -> Any:
        x = Input((2,))
        inner = Dense(2)
        y = inner(x)
        model = Model(x, Lambda(lambda t: t + 0 * K.sum(y))(y))
        assert isinstance(model_from_json(model.to_json()), Model)
        return weakref.ref(inner)

    held = write_and_read()
    gc.collect()
    assert held() is None


def test_a_function_of_plain_values_outlives_its_model() -> None:
    def build() -> Any:
        import math

        options = {"by": 3.0}
        return Sequential(
            [
                Lambda(lambda t: t * options["by"] + math.pi, input_shape=(2,)),
                Lambda(functools.partial(double), output_shape=(2,)),
            ]
        )

    text = build().to_json()
    gc.collect()
    np.testing.assert_allclose(model_from_json(text).predict(np.ones((1, 2))), [[6 + 2 * np.pi] * 2], rtol=1e-6)


def test_a_lambda_is_named_alike_in_every_run() -> None:
    """Another process has other addresses, and finds the function all the same."""
    code = "from keras_compat.layers import Lambda; print(Lambda(lambda t: t * 2.5).get_config()['function'])"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert runs.pop().startswith("<lambda>@")


@pytest.mark.parametrize("rate", [-1, 3])
def test_a_dropout_rate_out_of_range_is_cut_as_in_keras(rate: float) -> None:
    with pytest.warns(UserWarning, match="from 0 to 1"):
        layer = Dropout(rate)
    assert layer.get_config()["rate"] == min(max(rate, 0), 1)
    x = floats(2, 3)
    np.testing.assert_array_equal(run(layer, x), x)


def test_lambda_byte_code_is_never_run() -> None:
    config = {
        "class_name": "Lambda",
        "config": {"name": "evil", "function": ["4wEAAAA=", None, None], "function_type": "lambda"},
    }
    with pytest.raises(ValueError, match="never run"):
        deserialize(config)
    layer = deserialize(config, custom_objects={"evil": double})
    assert layer.function is double


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense("many"), "units must be a whole number"),
        (lambda: Dense(0), "at least 1"),
        (lambda: Dense(3, colour="red"), "colour"),
        (lambda: Dropout("half"), "from 0 to 1"),
        (lambda: Permute((0, 1)), "from 1 to 2"),
        (lambda: Reshape((5,))(Input((3, 4))), "total size"),
        (lambda: Flatten()(Input((None, 4))), "not fully defined"),
        (lambda: Dense(3)(Input(batch_shape=(None,))), "min_ndim=2"),
        (lambda: Dense(3)(np.float32(3)), "isn't a symbolic tensor"),
        (lambda: Dense(3)(Input((None,))), "known shape"),
        (lambda: RepeatVector(2)(Input((3, 4))), "expected ndim=2, found ndim=3"),
    ],
)
def test_errors_name_what_came(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_weights_are_set_all_or_none() -> None:
    layer = Dense(2)
    layer(Input((3,)))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="2 do not"):
        layer.set_weights([np.zeros((4, 2)), np.zeros(3)])
    with pytest.raises(ValueError, match="expecting 2 weights"):
        layer.set_weights([np.zeros((3, 2))])
    bad_bias = [np.ones((3, 2)), np.zeros(3)]
    with pytest.raises(ValueError):
        layer.set_weights(bad_bias)
    for a, b in zip(layer.get_weights(), before):
        np.testing.assert_array_equal(a, b)


def test_weights_argument_sets_initial_values() -> None:
    kernel = floats(3, 2)
    layer = Dense(2, weights=[kernel, np.ones(2)])
    layer(Input((3,)))
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)


def test_trainable_flag_moves_weights() -> None:
    layer = Dense(2)
    layer(Input((3,)))
    assert len(layer.trainable_weights) == 2
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 2


def test_names_count_up_by_class() -> None:
    assert [Dense(1).name, Dense(1).name, RepeatVector(2).name] == ["dense_1", "dense_2", "repeat_vector_1"]


class Scale(Layer):
    """A user's layer as documents write it: attributes before Layer.__init__, weights in build."""

    def __init__(self, factor: float, **kwargs: Any):
        self.factor = factor
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(
            name="w", shape=(input_shape[-1],), initializer="ones", trainable=True, regularizer="l2"
        )
        self.state = self.add_weight(name="n", shape=(), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        self.add_update(K.update_add(self.state, 1.0), x)
        self.add_loss(K.mean(x), x)
        return x * self.w * self.factor


def test_users_layer() -> None:
    layer = Scale(3.0)
    x = Input((4,))
    y = layer(x)
    assert [w.name.split("/")[1] for w in layer.weights] == ["w:0", "n:0"]
    assert len(layer.losses) == 2
    assert len(layer.get_losses_for(None)) == len(layer.get_losses_for(x)) == len(layer.get_updates_for(x)) == 1
    model = Model(x, y)
    model.compile("sgd", "mse")
    data = floats(6, 4)
    expected = np.mean((3 * data) ** 2) + 0.01 * 4 + data.mean()
    assert model.test_on_batch(data, np.zeros((6, 4))) == pytest.approx(expected, rel=1e-5)
    model.train_on_batch(data, np.zeros((6, 4)))
    model.train_on_batch(data, np.zeros((6, 4)))
    assert K.get_value(layer.state) == 2


class Block(Layer):
    """A layer made of layers."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inner = Dense(3)
        self.others = [Dense(2)]

    def call(self, x: Any) -> Any:
        return self.others[0](self.inner(x))


def test_layers_in_attributes_are_followed_from_2_3_on() -> None:
    layer = Block()
    layer(Input((4,)))
    assert len(layer.trainable_weights) == 4
    with api_level("2.2"):
        layer = Block()
        layer(Input((4,)))
        assert layer.trainable_weights == []


def test_input_spec_of_two_inputs() -> None:
    class Two(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.input_spec = [InputSpec(ndim=2), InputSpec(shape=(None, 3))]

        def call(self, inputs: Any) -> Any:
            return inputs[0]

    with pytest.raises(ValueError, match="expects 2 inputs, but it received 1"):
        Two()(Input((3,)))
    with pytest.raises(ValueError, match="shape="):
        Two()([Input((3,)), Input((4,))])
    assert Two()([Input((3,)), Input((3,))]).shape == (None, 3)


def test_activity_regularizer_adds_to_the_loss() -> None:
    model = Sequential([Dense(2, use_bias=False, activity_regularizer="l1", input_shape=(3,))])
    model.compile("sgd", "mse")
    x = floats(5, 3)
    y = x @ model.get_weights()[0]
    expected = np.mean(y**2) + 0.01 * np.abs(y).sum()
    assert model.evaluate(x, np.zeros((5, 2)), verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("level", "settle", "layout"),
    [
        # As genuine Keras 2.2.4 and 2.3.1 do, and as 1.2.2, 2.0 and 2.1 did.
        ("2.3", lambda: K.set_image_data_format("channels_first"), "channels_first"),
        ("2.2", lambda: K.set_image_data_format("channels_first"), "channels_first"),
        ("1.2", lambda: K.set_image_data_format("channels_first"), "channels_last"),
        ("2.3", lambda: K.set_image_dim_ordering("th"), "channels_last"),
        ("2.3", lambda: None, "channels_last"),
    ],
)
def test_flatten_puts_channels_last_where_keras_2_2_does(level: str, settle: Any, layout: str) -> None:
    before = K.image_data_format()
    try:
        settle()
        with api_level(level):
            layer = Flatten()
            x = Input((2, 2, 2))
            flat = Model(x, layer(x)).predict(np.arange(8.0).reshape(1, 2, 2, 2))
            old = Flatten.from_config({"name": "flatten_of_2_1", "trainable": True})
    finally:
        K.set_image_data_format(before)
    assert layer.get_config()["data_format"] == layout and old.data_format == "channels_last"
    want = [0, 4, 1, 5, 2, 6, 3, 7] if layout == "channels_first" else range(8)
    np.testing.assert_array_equal(flat, [list(want)])
