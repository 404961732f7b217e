"""Layers with a state that are called several times within one model, and models called on their own inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.layers import BatchNormalization, Dense, Input, Lambda, Layer, concatenate
from keras_compat.models import Model, Sequential

RNG = np.random.default_rng(3)

pytestmark = pytest.mark.usefixtures("without_kernels")


def data(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_averages_of_a_shared_batch_normalization_take_each_call_in_turn(level: str) -> None:
    x, y = data(6, 3), data(6, 3)
    with api_level(level):
        norm = BatchNormalization(momentum=0.75)
        a, b = Input((3,)), Input((3,))
        model = Model([a, b], concatenate([norm(a), norm(b)]))
        model.compile("sgd", "mse")
        model.train_on_batch([x, y], data(6, 6))
    expected = 0.75 * (0.25 * x.mean(axis=0)) + 0.25 * y.mean(axis=0)
    np.testing.assert_allclose(norm.get_weights()[2], expected, atol=1e-6)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_a_siamese_network_with_batch_normalization_trains(level: str) -> None:
    with api_level(level):
        branch = Sequential([Dense(3, input_shape=(4,)), BatchNormalization()])
        a, b = Input((4,)), Input((4,))
        model = Model([a, b], Lambda(lambda t: t[0] - t[1])([branch(a), branch(b)]))
        model.compile("adam", "mse")
        x, y = data(8, 4), data(8, 4)
        history = model.fit([x, y], x[:, :3] - y[:, :3], epochs=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.abs(branch.get_weights()[4]).max() > 0


def test_a_model_on_its_own_input_changes_its_state_once() -> None:
    x = data(6, 3)
    a = Input((3,))
    norm = BatchNormalization(momentum=0.75)
    inner = Model(a, norm(a))
    outer = Model(a, inner(a))
    outer.compile("sgd", "mse")
    outer.train_on_batch(x, x)
    np.testing.assert_allclose(norm.get_weights()[2], 0.25 * x.mean(axis=0), atol=1e-6)


class Counter(Layer):
    """Counts its calls in training, in one of the ways that programs write it."""

    def __init__(self, change: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.change = change

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        self.add_update([self.change(self.count)], inputs)
        return inputs


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda n: K.update_add(n, 1.0), 2.0),
        (lambda n: K.update_sub(n, 1.0), -2.0),
        (lambda n: K.update(n, n + 1.0), 1.0),
        (lambda n: (n, n + 1.0), 1.0),
    ],
)
def test_increments_add_up_and_new_values_do_not(change: Any, expected: float) -> None:
    """On TensorFlow `assign_add` of each call is run; two `assign` of n + 1 both start from the old n."""
    counter = Counter(change)
    a, b = Input((2,)), Input((2,))
    model = Model([a, b], concatenate([counter(a), counter(b)]))
    model.compile("sgd", "mse")
    model.train_on_batch([data(3, 2), data(3, 2)], data(3, 4))
    assert K.get_value(counter.count) == expected


def test_a_list_of_inputs_may_grow_after_the_call() -> None:
    """As DenseNets are written: the same list is concatenated again, one tensor longer."""
    x = Input((None, None))
    tensors = [x]
    y = x
    for _ in range(4):
        tensors.append(y)
        y = concatenate(tensors, axis=1)
    value = data(1, 1, 1)
    np.testing.assert_allclose(Model(x, y).predict(value), np.repeat(value, 16, axis=1))
