"""``model.check_gradients``: every weight and input of a model's loss, with the model left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import GradientCheckError
from autotensor.testing import check_grad
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.models import Model, Sequential


@pytest.fixture(autouse=True)
def without_kernels() -> Iterator[None]:
    np.random.seed(3)
    at.random.seed(3)
    with at.config.use(numba=False):
        yield


X = np.random.RandomState(0).normal(size=(5, 4))
Y = np.eye(3)[[0, 1, 2, 1, 0]]


class Wrong(L.Layer):
    """Scales by a weight; of the gradient of that weight a part is forgotten."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale + 0.1 * inputs * K.stop_gradient(self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def classifier(*more: Any) -> Sequential:
    first = L.Dense(6, activation="tanh", input_shape=(4,), kernel_regularizer="l2", activity_regularizer="l1")
    model = Sequential([first, L.BatchNormalization(), L.Dropout(0.4), *more, L.Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def everything(model: Any) -> list[Any]:
    """What a check must not change."""
    weights = [w.numpy().tobytes() for w in model.weights]
    buffers = [id(w.data) for w in model.weights]
    return [weights, buffers, at.random.get_state(), model.optimizer and model.optimizer.get_config(), K.floatx(),
            model._is_compiled, sorted(model.__dict__), len(model.layers[0].inbound_nodes)]  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_every_weight_and_the_input(training: bool) -> None:
    model = classifier()
    before = everything(model)
    report = model.check_gradients(X, Y, training=training, sample_weight=np.arange(1.0, 6.0))
    names = [row.name for row in report.inputs]
    assert names[0] == "dense_1_input"
    assert names[1:] == [w.name for w in model.trainable_weights]
    assert all(row.error < 1e-8 for row in report.inputs), report
    assert everything(model) == before
    model.train_on_batch(X, Y)


def test_the_gradients_are_those_of_the_compiled_loss() -> None:
    """Penalties, weights of samples and classes, masks of dropout: the numbers are those of K.gradients."""
    model = classifier()
    gradients = K.gradients(model.total_loss, model.trainable_weights)
    ask = K.function([*model._feed_inputs, *model._feed_targets, *model._feed_sample_weights, K.learning_phase()],
                     gradients)  # fmt: skip
    weights = np.array([1.0, 2.0, 0.0, 1.0, 3.0])
    theirs = ask([X, Y, weights, 0])
    report = model.check_gradients(X, Y, weights, mode="elements", inputs=False)
    for row, gradient in zip(report.inputs, theirs, strict=True):
        assert row.analytic == pytest.approx(gradient[row.worst], rel=1e-3, abs=1e-6)
    assert report.text != model.check_gradients(X, Y, inputs=False, mode="elements").text
    by_class = model.check_gradients(X, Y, class_weight={0: 1.0, 1: 5.0, 2: 1.0}, inputs=False, mode="elements")
    assert by_class.text != report.text


def test_a_wrong_layer_is_found_and_nothing_is_changed() -> None:
    model = classifier(Wrong(name="wrong"))
    before = everything(model)
    with pytest.raises(GradientCheckError, match="wrong/scale") as caught:
        model.check_gradients(X, Y)
    assert [row.name for row in caught.value.report.inputs if not row.ok] == ["wrong/scale:0"]
    assert caught.value.report.worst.analytic / caught.value.report.worst.numeric == pytest.approx(1 / 1.1)
    assert everything(model) == before
    report = model.check_gradients(X, Y, wrt=[model.layers[0].kernel])
    assert report.ok and len(report.inputs) == 2


def test_check_grad_takes_a_model() -> None:
    report = check_grad(classifier(), X, Y, order=2, training=True)
    assert {row.order for row in report.inputs} == {1, 2}


def test_a_loss_is_given_or_left_out() -> None:
    model = Sequential([L.Dense(3, input_shape=(4,), bias_regularizer="l1"), L.LeakyReLU()])
    before = sorted(model.__dict__)
    assert model.check_gradients(X, Y, loss="mse").ok
    assert sorted(model.__dict__) == before
    assert model.check_gradients(X).inputs[0].name == "dense_1_input"
    with pytest.raises(ValueError, match="loss='mse'"):
        model.check_gradients(X, Y)
    with pytest.raises(ValueError):
        model.check_gradients(X, Y, loss="no_such_loss")
    assert sorted(model.__dict__) == before
    compiled = classifier()
    loss, optimizer = compiled.total_loss, compiled.optimizer
    assert compiled.check_gradients(X, Y, loss="mse").ok
    assert compiled.total_loss is loss and compiled.optimizer is optimizer


def test_whole_numbers_that_select_are_left_out() -> None:
    model = Sequential([L.Embedding(7, 3, input_length=4, mask_zero=True), L.LSTM(2), L.Dense(1)])
    report = model.check_gradients(np.random.randint(0, 7, (3, 4)), np.ones((3, 1)), loss="mse")
    assert [row.name for row in report.inputs] == [w.name for w in model.trainable_weights]
    assert "embedding_1_input holds whole numbers" in report.text


def test_models_of_several_inputs_and_outputs() -> None:
    a, b = L.Input((4,), name="a"), L.Input((2, 2), name="b")
    shared = L.Dense(3, activation="sigmoid")
    h = L.concatenate([shared(a), L.GRU(2)(b)])
    out = L.Dense(2, name="first")(h), L.Dense(1, name="second")(shared(L.Dense(4)(h)))
    model = Model([a, b], list(out))
    model.compile("sgd", {"first": "mse", "second": "mae"}, loss_weights={"first": 0.3, "second": 2.0})
    x = [X, np.random.normal(size=(5, 2, 2))]
    y = {"first": np.random.normal(size=(5, 2)), "second": np.random.normal(size=(5, 1))}
    report = model.check_gradients(x, y)
    assert [row.name for row in report.inputs[:2]] == ["a", "b"]
    assert len(report.inputs) == 2 + len(model.trainable_weights)


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_image_orders(order: str) -> None:
    before = K.image_data_format()
    K.set_image_data_format(order)
    try:
        shape = (2, 6, 6) if order == "channels_first" else (6, 6, 2)
        model = Sequential(
            [L.Conv2D(3, 3, input_shape=shape), L.MaxPooling2D(), L.BatchNormalization(axis=1), L.Flatten(), L.Dense(2)]
        )
        assert model.check_gradients(np.random.normal(size=(2, *shape)), np.ones((2, 2)), loss="mse", training=True)
    finally:
        K.set_image_data_format(before)


def test_a_frozen_layer_is_left_out_and_a_subclassed_model_is_built() -> None:
    model = classifier()
    model.layers[0].trainable = False
    names = [row.name for row in model.check_gradients(X, Y).inputs]
    assert not any("dense_1/" in name for name in names)

    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = L.Dense(3, activation="tanh")

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) * 2.0

    own = Own()
    own.compile("sgd", "mse")
    assert len(own.check_gradients(X, Y).inputs) == 3
