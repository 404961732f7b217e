"""Sequential: adding, popping, building late, configs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_compat.dialect.level import api_level
from keras_compat.layers import Activation, Conv2D, Dense, Dropout, Input, InputLayer, Layer
from keras_compat.models import Sequential

RNG = np.random.default_rng(5)


def test_add_builds_as_it_goes() -> None:
    model = Sequential()
    model.add(Dense(4, input_shape=(3,)))
    assert model.built and model.output_shape == (None, 4)
    model.add(Activation("relu"))
    model.add(Dense(2))
    assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert len(model.layers) == 3 and len(model.weights) == 4


def test_pop_takes_the_last_layer() -> None:
    model = Sequential([Dense(4, input_dim=3), Dense(2)])
    model.pop()
    assert model.output_shape == (None, 4) and len(model.layers) == 1
    x = RNG.normal(size=(2, 3)).astype("float32")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x), x @ kernel + bias, atol=1e-6)
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    model.pop()
    model.pop()
    with pytest.raises(TypeError, match="no layers"):
        model.pop()


def test_input_layer_first() -> None:
    model = Sequential([InputLayer((3,)), Dense(2)])
    assert len(model.layers) == 1 and model.output_shape == (None, 2)


def test_without_a_shape_it_is_built_by_its_first_data() -> None:
    model = Sequential([Dense(4, activation="relu"), Dropout(0.2), Dense(1)])
    assert not model.built
    with pytest.raises(ValueError, match="has not yet been built"):
        model.summary()
    with pytest.raises(RuntimeError, match="isn't built"):
        model.count_params()
    model.compile("sgd", "mse")
    model.fit(RNG.normal(size=(10, 3)), np.zeros(10), verbose=0)
    assert model.input_shape == (None, 3)
    again = Sequential.from_config(model.get_config())
    assert again.output_shape == (None, 1)


def test_build_with_a_shape() -> None:
    model = Sequential([Dense(4), Dense(2)])
    model.build((None, 5))
    assert [w.shape for w in model.weights] == [(5, 4), (4,), (4, 2), (2,)]


def test_predict_needs_some_layer() -> None:
    with pytest.raises(ValueError, match="input shape"):
        Sequential().predict(np.zeros((2, 3)))


def test_a_model_inside_a_model() -> None:
    inner = Sequential([Dense(3, input_dim=4, activation="tanh"), Dense(2)])
    outer = Sequential([inner, Dense(1)])
    x = RNG.normal(size=(3, 4)).astype("float32")
    kernel, bias = outer.layers[1].get_weights()
    np.testing.assert_allclose(outer.predict(x), inner.predict(x) @ kernel + bias, atol=1e-5)
    again = Sequential.from_config(outer.get_config())
    again.set_weights(outer.get_weights())
    np.testing.assert_array_equal(again.predict(x), outer.predict(x))


def test_the_same_layer_twice() -> None:
    layer = Dense(3, input_dim=3)
    model = Sequential([layer, layer])
    assert len(model.weights) == 2 and len(model.layers) == 2
    x = RNG.normal(size=(2, 3)).astype("float32")
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(model.predict(x), (x @ kernel + bias) @ kernel + bias, atol=1e-5)


def test_predict_classes() -> None:
    model = Sequential([Dense(3, activation="softmax", input_dim=4)])
    x = RNG.normal(size=(5, 4)).astype("float32")
    assert (model.predict_classes(x) == model.predict(x).argmax(axis=1)).all()
    binary = Sequential([Dense(1, activation="sigmoid", input_dim=4)])
    assert (binary.predict_classes(x) == (binary.predict(x) > 0.5)).all()


def test_only_layers_can_be_added() -> None:
    with pytest.raises(TypeError, match="must be an instance of class Layer"):
        Sequential().add(Dense)


def test_weight_names_follow_the_layers() -> None:
    model = Sequential([Dense(2, input_dim=2), Dense(2, name="last")])
    names = [w.name for w in model.weights]
    assert names == ["dense_1/kernel:0", "dense_1/bias:0", "last/kernel:0", "last/bias:0"]


def test_summary_as_keras_prints_it() -> None:
    model = Sequential([Dense(12, input_dim=11), Dropout(0.5)])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert lines[0] == 'Model: "sequential_1"'
    assert lines[4] == "dense_1 (Dense)              (None, 12)                144       "
    assert lines[-4:-1] == ["Total params: 144", "Trainable params: 144", "Non-trainable params: 0"]
    assert lines[1] == "_" * 65 and lines[3] == "=" * 65


def test_layers_are_the_models_own_list_in_keras_1() -> None:
    with api_level("1.2"):
        model = Sequential([Dense(4, input_dim=3), Dense(5), Dense(2)])
        first, second = model.layers[:2]
        model.layers.pop()
        model.outputs = [model.layers[-1].output]
        model.layers[-1].outbound_nodes = []
        assert model.layers == [first, second] and second.outbound_nodes == []
        model.add(Dense(7))
        assert model.output_shape == (None, 7) and len(model.layers) == 3
    model = Sequential([Dense(4, input_dim=3), Dense(5)])
    model.layers.pop()  # a copy in Keras 2
    assert len(model.layers) == 2


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was() -> None:
    model = Sequential([Dense(3, input_shape=(4,), name="a")])
    with pytest.raises(ValueError, match="used 2 times"):
        model.add(Dense(2, name="a"))
    with pytest.raises(ValueError, match="ndim"):
        model.add(Conv2D(2, 2))
    model.add(Dense(2, name="b"))
    assert [layer.name for layer in model.layers] == ["a", "b"]
    assert model.predict(np.ones((1, 4))).shape == (1, 2)


def test_data_of_the_wrong_shape_does_not_spoil_a_model_without_one() -> None:
    model = Sequential([Activation("linear"), Conv2D(2, 2)])
    with pytest.raises(ValueError, match="ndim"):
        model.predict(np.ones((2, 4)))
    assert model.predict(np.ones((2, 4, 4, 1))).shape == (2, 3, 3, 2)
    assert model.layers[0].output_shape == (None, 4, 4, 1)


def test_a_build_that_failed_leaves_no_weights() -> None:
    class Late(Layer):
        ready = False

        def build(self, input_shape: Any) -> None:
            self.a = self.add_weight("a", (2,), initializer="ones", regularizer="l2")
            if not self.ready:
                raise RuntimeError("not yet")
            super().build(input_shape)

    layer = Late()
    with pytest.raises(RuntimeError, match="not yet"):
        layer(Input((3,)))
    layer.ready = True
    layer(Input((3,)))
    assert [tuple(w.shape) for w in layer.weights] == [(2,)]
    assert len(layer.losses) == len(layer.get_losses_for(None)) == 1
