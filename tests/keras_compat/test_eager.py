"""Layers and models called on values give values; called on what Keras makes, they stay part of its graph."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers
from keras_compat.layers import Activation, Dense, Dropout, Flatten, Input, Layer
from keras_compat.models import Model, Sequential

X = np.random.default_rng(4).normal(size=(3, 4)).astype("float32")


def test_a_layer_on_a_tensor_with_a_value_gives_a_value() -> None:
    layer = Dense(2)
    y = layer(at.Tensor(X))
    np.testing.assert_allclose(y.numpy(), X @ layer.get_weights()[0], rtol=1e-5)
    layer.set_weights([np.zeros((4, 2)), np.ones(2)])
    np.testing.assert_allclose(layer(X).numpy(), 1.0)  # an array will do
    assert (y.numpy() != 1.0).all()  # a value does not change afterwards


def test_a_chain_of_layers_and_a_model() -> None:
    model = Sequential([Dense(5, activation="relu", input_dim=4), Dropout(0.5), Dense(2)])
    want = model.predict(X)
    np.testing.assert_allclose(model(at.Tensor(X)).numpy(), want, rtol=1e-5)
    y: Any = at.Tensor(X)
    for layer in (*model.layers, Flatten(), Activation("linear")):
        y = layer(y)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-5)
    assert float(at.sum(y)) == pytest.approx(want.sum(), rel=1e-4)


def test_several_outputs_and_inputs() -> None:
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], [Dense(2)(a), Dense(3)(b)])
    values = model([at.Tensor(X), at.Tensor(2 * X)])
    for value, want in zip(values, model.predict([X, 2 * X])):
        np.testing.assert_allclose(value.numpy(), want, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.TimeDistributed(Dense(2, activity_regularizer="l2")),
        lambda: Sequential([layers.TimeDistributed(Dense(2), input_shape=(3, 4)), layers.LSTM(2, dropout=0.5)]),
        lambda: layers.Bidirectional(layers.GRU(2)),
    ],
)
def test_nothing_is_kept_of_values(make: Any) -> None:
    """A loop over batches must not hold them all."""
    layer = make()
    came = []
    for _ in range(3):
        x = at.Tensor(np.ones((2, 3, 4), "float32"))
        came.append(weakref.ref(x))
        layer(x)
        del x
    gc.collect()
    assert [ref() for ref in came] == [None] * 3


def test_the_training_branch_where_it_is_asked_for() -> None:
    ones = at.Tensor(np.ones((50, 50), "float32"))
    assert set(np.unique(Dropout(0.5)(ones, training=True).numpy())) == {0.0, 2.0}
    assert set(np.unique(Dropout(0.5)(ones).numpy())) == {1.0}


def test_gradients_reach_the_weights() -> None:
    layer = Dense(2)
    y = layer(at.Tensor(X))
    kernel, bias = at.grad(at.sum(y), [layer.kernel, layer.bias])
    np.testing.assert_allclose(at.evaluate(kernel), np.repeat(X.sum(axis=0)[:, None], 2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(at.evaluate(bias), [3.0, 3.0])


def test_what_keras_makes_stays_symbolic_and_follows_the_weights() -> None:
    layer = Dense(2, use_bias=False)
    made = [layer(K.constant(X)), layer(K.variable(X)), layer(Input(tensor=K.constant(X)))]
    for value in (2.0, 3.0):
        layer.set_weights([np.full((4, 2), value)])
        for y in made:
            assert y.is_symbolic
            np.testing.assert_allclose(K.eval(y), X @ np.full((4, 2), value), rtol=1e-4)


def test_a_layer_within_a_layer_stays_in_the_graph() -> None:
    class Table(Layer):
        def build(self, input_shape: Any) -> None:
            self.inner = Dense(2, use_bias=False)
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            rows = self.inner(at.asarray(X))  # values, but their product must follow the weights and be trained
            return inputs + K.sum(rows)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    table = Table()
    x = Input((4,))
    model = Model(x, table(x))
    model.compile("sgd", "mse")
    before = table.inner.get_weights()[0]
    model.train_on_batch(X, X + 1)
    after = table.inner.get_weights()[0]
    assert (before != after).any()
    np.testing.assert_allclose(model.predict(X), X + (X @ after).sum(), rtol=1e-4)
    np.testing.assert_allclose(table(at.Tensor(X)).numpy(), X + (X @ after).sum(), rtol=1e-4)


def test_a_model_on_a_given_tensor() -> None:
    x = Input(tensor=K.constant(X))
    model = Model(x, Dense(2)(x))
    assert model.predict(None, steps=1).shape == (3, 2)


LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: layers.Conv2D(3, 2), (2, 5, 5, 2)),
    (lambda: layers.Conv2DTranspose(2, 2, strides=2), (1, 3, 3, 2)),
    (lambda: layers.LSTM(3), (2, 4, 3)),
    (lambda: layers.GRU(3, return_sequences=True), (2, 4, 3)),
    (lambda: layers.Bidirectional(layers.SimpleRNN(2)), (2, 3, 2)),
    (lambda: layers.BatchNormalization(), (4, 3)),
    (lambda: layers.TimeDistributed(Dense(2, activation="tanh")), (2, 3, 4)),
    (lambda: layers.ConvLSTM2D(2, 2), (1, 3, 4, 4, 1)),
    (lambda: layers.LocallyConnected1D(2, 2), (2, 5, 3)),
    (lambda: layers.PReLU(alpha_initializer="ones"), (2, 3)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_value_and_gradients_on_values_are_those_of_the_graph(make: Any, shape: tuple[int, ...]) -> None:
    layer, x = make(), np.random.default_rng(0).normal(size=shape).astype("float32")
    inputs = Input(batch_shape=shape)
    outputs = layer(inputs)
    wanted = K.gradients(K.sum(K.square(outputs)), [inputs, *layer.trainable_weights])
    expected = K.function([inputs], [outputs, *wanted])([x])

    value = at.Tensor(x)
    value.tracked = True
    y = layer(value)
    found = at.grad(at.sum(at.square(y)), [value, *layer.trainable_weights])
    for got, want in zip([y, *found], expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-5)


def test_gradients_belong_to_the_noise_that_was_drawn() -> None:
    x = at.Tensor(np.ones((20, 20), "float32"))
    x.tracked = True
    y = Dropout(0.5)(x, training=True)
    np.testing.assert_array_equal(at.grad(at.sum(y), x).numpy(), y.numpy())


def test_a_weight_that_was_changed_meanwhile_is_an_error_not_a_wrong_gradient() -> None:
    layer = Dense(2, activation="tanh")
    x = at.Tensor(X)
    x.tracked = True
    y = layer(x)
    layer.set_weights([np.zeros((4, 2)), np.ones(2)])
    with pytest.raises(at.GradError, match="changed|overwritten|written"):
        at.grad(at.sum(y), x)


@pytest.mark.parametrize("kind", [layers.CuDNNGRU, layers.CuDNNLSTM])
def test_weights_in_another_form_follow_the_weights(kind: Any) -> None:
    layer = kind(2)
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32")
    layer(x)  # built on values
    layer.set_weights([w + 0.5 for w in layer.get_weights()])
    inputs = Input((3, 4))
    expected = Model(inputs, layer(inputs)).predict(x)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5)
    twin = kind(2, input_shape=(3, 4))
    model = Sequential([twin])
    twin.set_weights(layer.get_weights())
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)


def test_an_array_in_a_layer_leaves_values_in_float32() -> None:
    scaled = layers.Lambda(lambda x: (x - np.ones(4)) * [1.0, 2.0, 3.0, 4.0])
    assert scaled(X).dtype == np.float32


def test_what_build_makes_of_the_weights_follows_them() -> None:
    class Positive(Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(input_shape[-1], 2), initializer="ones")
            self.positive = K.relu(self.w)
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            return K.dot(inputs, self.positive)

    layer = Positive()
    np.testing.assert_allclose(layer(X).numpy(), np.repeat(X.sum(1, keepdims=True), 2, 1), rtol=1e-5, atol=1e-6)
    layer.set_weights([-np.ones((4, 2))])
    np.testing.assert_array_equal(layer(X).numpy(), 0.0)
