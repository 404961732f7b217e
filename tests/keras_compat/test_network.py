"""Graphs of layers: wiring, order, sharing, nesting, configs, errors, depth."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat.layers import Activation, Conv2D, Dense, Dropout, Input, Lambda, Reshape
from keras_compat.models import Model, Sequential, model_from_config, model_from_json

RNG = np.random.default_rng(3)


def two_by_two() -> Model:
    a, b = Input((3,), name="a"), Input((2,), name="b")
    shared = Dense(5, name="shared", activation="tanh")
    left = shared(a)
    right = shared(Dense(3, name="widen")(b))
    return Model(inputs=[a, b], outputs=[Dense(1, name="o1")(left), Dense(2, name="o2")(right)])


def data() -> list[np.ndarray]:
    return [RNG.normal(size=(6, 3)).astype("float32"), RNG.normal(size=(6, 2)).astype("float32")]


def test_values_of_shared_layers() -> None:
    model = two_by_two()
    a, b = data()
    w = {layer.name: layer.get_weights() for layer in model.layers}

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[name][0] + w[name][1]

    o1, o2 = model.predict([a, b])
    np.testing.assert_allclose(o1, dense(np.tanh(dense(a, "shared")), "o1"), atol=1e-5)
    np.testing.assert_allclose(o2, dense(np.tanh(dense(dense(b, "widen"), "shared")), "o2"), atol=1e-5)


def test_weights_of_shared_layers_count_once() -> None:
    assert two_by_two().count_params() == (3 * 5 + 5) + (2 * 3 + 3) + (5 + 1) + (5 * 2 + 2)


def test_order_is_by_depth_then_first_visit() -> None:
    assert [layer.name for layer in two_by_two().layers] == ["b", "a", "widen", "shared", "o1", "o2"]


def test_config_round_trip() -> None:
    model = two_by_two()
    again = model_from_json(model.to_json())
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    again.set_weights(model.get_weights())
    for p, q in zip(again.predict(data()), model.predict(data())):
        assert p.shape == q.shape
    x = data()
    for p, q in zip(again.predict(x), model.predict(x)):
        np.testing.assert_array_equal(p, q)


def test_config_counts_only_calls_within_the_model() -> None:
    layer = Dense(4, name="d")
    layer(Input((3,)))  # a call of no model
    x = Input((3,), name="x")
    model = Model(x, layer(x))
    config = model.get_config()
    assert config["output_layers"] == [["d", 0, 0]]
    assert model_from_config({"class_name": "Model", "config": config}).output_shape == (None, 4)


def test_inputs_and_outputs_at_nodes() -> None:
    a, b = Input((3,)), Input((3,))
    layer = Dense(2)
    y, z = layer(a), layer(b)
    assert layer.get_input_at(0) is a and layer.get_input_at(1) is b
    assert layer.get_output_at(1) is z and layer.get_output_at(0) is y
    assert layer.input_shape == (None, 3) and layer.output_shape == (None, 2)
    with pytest.raises(AttributeError, match="get_input_at"):
        layer.input
    with pytest.raises(ValueError, match="only 2 inbound nodes"):
        layer.get_output_at(2)
    with pytest.raises(AttributeError, match="not connected"):
        Dense(2).output


def test_a_model_is_a_layer() -> None:
    inner = two_by_two()
    a, b = Input((3,)), Input((2,))
    o1, o2 = inner([a, b])
    outer = Model([a, b], [o2, Activation("tanh")(o1)])
    x = data()
    want = inner.predict(x)
    got = outer.predict(x)
    np.testing.assert_allclose(got[0], want[1], atol=1e-6)
    np.testing.assert_allclose(got[1], np.tanh(want[0]), atol=1e-6)
    again = Model.from_config(outer.get_config())
    again.set_weights(outer.get_weights())
    np.testing.assert_array_equal(again.predict(x)[0], got[0])


def test_a_model_takes_inputs_of_other_sizes_as_its_layers_do() -> None:
    """Genuine Keras checks no sizes here; its example mnist_acgan.py gives a model of vectors a sequence of one."""
    vectors = Sequential([Dense(12, input_dim=10), Reshape((2, 2, 3))])
    assert vectors(Input((1, 10))).shape[1:] == (2, 2, 3)
    pictures = Sequential([Conv2D(2, (3, 3), input_shape=(8, 8, 1))])
    assert pictures(Input((20, 6, 1))).shape[1:] == (18, 4, 2)
    with pytest.raises(ValueError, match="inner dimensions differ"):
        vectors(Input((7,)))
    with pytest.raises(ValueError, match="expects 2 inputs, but it received 1"):
        two_by_two()(Input((3,)))


def test_penalties_of_a_nested_model_count_once() -> None:
    inner = Sequential([Dense(2, use_bias=False, kernel_regularizer="l2", activity_regularizer="l1", input_shape=(3,))])
    x = Input((3,))
    model = Model(x, inner(x))
    assert len(model.losses) == 2
    model.compile("sgd", "mse")
    value = RNG.normal(size=(4, 3)).astype("float32")
    kernel = inner.get_weights()[0]
    y = value @ kernel
    want = (y**2).mean() + 0.01 * (kernel**2).sum() + 0.01 * np.abs(y).sum()
    assert model.evaluate(value, np.zeros((4, 2)), verbose=0) == pytest.approx(want, rel=1e-5)


def test_frozen_model_has_no_trainable_weights() -> None:
    model = two_by_two()
    n = len(model.weights)
    model.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == n == len(model.weights)


def test_model_on_a_plain_placeholder() -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    x = K.placeholder((None, 3))
    value = RNG.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(K.function([x], [model(x)])([value])[0], model.predict(value), atol=1e-6)


def test_calling_a_model_on_the_same_tensor_reuses_the_graph() -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    x = Input((3,))
    assert model.call(x) is model.call(x)


def test_compute_output_shape() -> None:
    model = two_by_two()
    assert model.compute_output_shape([(7, 3), (7, 2)]) == [(7, 1), (7, 2)]


def test_identity_layers_keep_both_histories() -> None:
    x = Input((3,))
    y = Lambda(lambda t: t)(x)
    z = Dropout(0.0)(y)
    assert x is not y and y is not z
    model = Model(x, z)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Lambda", "Dropout"]


def test_errors() -> None:
    a, b = Input((3,), name="in_a"), Input((3,))
    y = Dense(2, name="d")(a)
    with pytest.raises(ValueError, match='Graph disconnected.*"in_a"'):
        Model(b, y)
    with pytest.raises(ValueError, match="redundant"):
        Model([a, a], y)
    with pytest.raises(ValueError, match="must be the output of a Keras"):
        Model(a, K.square(y))
    with pytest.raises(ValueError, match="must come from"):
        Model(K.placeholder((None, 3)), y)
    with pytest.raises(ValueError, match="used 2 times"):
        Model(a, Dense(2, name="d")(y))
    with pytest.raises(ValueError, match="No such layer: nope"):
        Model(a, y).get_layer("nope")
    with pytest.raises(ValueError, match="shape"):
        Input()


def test_an_unused_input_is_allowed() -> None:
    a, b = Input((3,)), Input((2,))
    model = Model([a, b], Dense(1)(a))
    assert model.predict(data()).shape == (6, 1)


@pytest.mark.promise(28)
def test_a_deep_chain_needs_no_recursion() -> None:
    depth = sys.getrecursionlimit() + 500
    x = y = Input((2,))
    shift = [Lambda(lambda t: t + 1.0) for _ in range(depth)]
    for layer in shift:
        y = layer(y)
    model = Model(x, y)
    assert len(model.layers) == depth + 1
    assert model.compute_output_shape((4, 2)) == (4, 2)


def test_summary_of_a_branched_model() -> None:
    lines: list[str] = []
    two_by_two().summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Connected to" in text and "shared[1][0]" in text and "Total params: 47" in text
    assert all(len(line) <= 98 for line in lines)


class Twice(Model):
    """A subclass of Model that only adds a method."""

    def double(self, x: Any) -> Any:
        return 2 * self.predict(x)


def test_subclass_of_a_functional_model() -> None:
    x = Input((3,))
    model = Twice(inputs=x, outputs=Dense(2)(x))
    value = RNG.normal(size=(2, 3)).astype("float32")
    np.testing.assert_allclose(model.double(value), 2 * model.predict(value))
