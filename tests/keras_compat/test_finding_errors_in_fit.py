"""Anomaly mode and the profiler inside ``fit``: layers and batches have their names."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.layers import LSTM, Dense, Input, Lambda
from keras_compat.models import Model, Sequential

RNG = np.random.RandomState(0)
X = RNG.rand(12, 3).astype("float32")
Y = RNG.rand(12, 1).astype("float32")


@pytest.fixture(autouse=True)
def without_kernels():
    with at.config.use(numba=False):
        yield


def line_of(text: str) -> str:
    with open(__file__, encoding="utf-8") as file:
        (number,) = [i for i, line in enumerate(file, 1) if line.rstrip().endswith(f"# {text}")]
    return f"{__file__}:{number}"


def net() -> Sequential:
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,), name="first"), Dense(1, name="second")])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_error_names_epoch_batch_and_layer(shuffled):
    model = Sequential(
        [
            Lambda(lambda x: K.log(x), input_shape=(3,), name="logarithms"),  # the layer
            Dense(1, name="last"),
        ]
    )
    model.compile("sgd", "mse")
    bad = X + 1.0
    bad[7, 2] = -1.0
    if shuffled:
        bad[:] = -1.0
    with at.detect_anomaly(), pytest.raises(at.NanError) as found:
        model.fit(bad, Y, batch_size=2, epochs=1, verbose=0, shuffle=shuffled)
    error = found.value
    assert (error.op, error.layer, error.where) == ("log", "logarithms", line_of("the layer"))
    assert error.spans == [f"batch {0 if shuffled else 3}", "epoch 0"]
    assert error.count == (6 if shuffled else 1) and error.index == ((0, 0) if shuffled else (1, 2))


def test_an_error_in_a_gradient_names_the_layer_whose_gradient_it_is():
    model = Sequential([Dense(2, input_shape=(3,), name="first"), Lambda(lambda x: K.sqrt(x * 0.0), name="root")])
    model.add(Dense(1, name="last"))
    model.compile("sgd", "mse")
    with at.detect_anomaly(), pytest.raises(at.NanError) as found:
        model.train_on_batch(X, Y)
    assert found.value.layer == "root" and found.value.gradient_of in ("sqrt", "clip", "maximum", "where")


def test_an_error_from_a_generator_names_the_batch():
    def batches():
        while True:
            yield X, Y
            yield X * np.nan, Y

    model = net()
    with at.detect_anomaly(), pytest.raises(at.NanError) as found:
        model.fit_generator(batches(), steps_per_epoch=4, epochs=1, verbose=0)
    assert found.value.spans == ["batch 1", "epoch 0"] and found.value.layer == "first"
    assert "which came in as data" in str(found.value)


def test_batches_of_evaluate_and_predict_are_named():
    model = net()
    bad = X.copy()
    bad[9] = np.inf
    for call in (lambda: model.evaluate(bad, Y, batch_size=4, verbose=0), lambda: model.predict(bad, batch_size=4)):
        with at.detect_anomaly(), pytest.raises(at.NanError) as found:
            call()
        assert found.value.spans == ["batch 2"]
    with at.profile() as p:
        model.predict(X, batch_size=4)
    assert [row.calls for row in p.rows("span", "name") if row.name.startswith("batch")] == [1, 1, 1]


def test_nested_models_and_loops_have_their_names():
    inside = Sequential([Dense(3, input_shape=(3,), name="inner_dense")], name="inner")
    x = Input((3,))
    y = Dense(1, name="outer_dense")(inside(x))
    model = Model(x, y)
    model.compile("sgd", "mse")
    with at.profile() as p:
        model.fit(X, Y, verbose=0)
    layers = {row.name for row in p.rows("layer")}
    assert {"inner/inner_dense", "outer_dense", "loss", "SGD"} <= layers


def test_a_profile_of_fit_has_layers_batches_and_both_phases():
    model = net()
    with at.profile() as p:
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    found = {(row.name, row.phase): row for row in p.rows("layer")}
    for layer in ("first", "second", "loss"):
        assert found[layer, "forward"].calls > 0 and found[layer, "backward"].calls > 0
    assert found["Adam", "forward"].calls > 0 and ("Adam", "backward") not in found
    matmuls = {row.phase: row.calls for row in p.rows("op") if row.name == "matmul"}
    assert matmuls == {"forward": 2 * 6, "backward": 3 * 6}
    spans = {row.name: row.calls for row in p.rows("span")}
    assert spans["epoch 0"] == spans["epoch 1"] == 1
    assert [spans[f"batch {i}"] for i in range(3)] == [2, 2, 2]
    steps = [e for e in p.events if e.kind == "function"]
    assert len(steps) == 6 and {e.depth for e in steps} == {2}
    assert "first" in p.table(by="layer") and "batch 2" in p.table(by="span")


def test_training_is_the_same_under_a_profile_and_under_anomaly_mode():
    weights = net().get_weights()

    def trained() -> list[np.ndarray]:
        model = net()
        model.set_weights(weights)
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    want = trained()
    with at.profile():
        profiled = trained()
    with at.detect_anomaly():
        watched = trained()
    for a, b, c in zip(want, profiled, watched, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-4, atol=1e-6)


def test_recurrent_layers_are_events_of_their_layer():
    model = Sequential([LSTM(4, input_shape=(5, 3), name="memory"), Dense(1)])
    model.compile("sgd", "mse")
    with at.profile() as p:
        model.train_on_batch(RNG.rand(2, 5, 3), Y[:2])
    assert any(row.name == "memory" and row.phase == "backward" for row in p.rows("layer"))


def test_backend_name_scope_names_what_is_in_it():
    with at.detect_anomaly(), pytest.raises(at.NanError) as found, K.name_scope("mine"):
        at.log(at.Tensor([-1.0]))
    assert found.value.layer == "mine"


def test_layers_called_on_values_have_their_names():
    with at.detect_anomaly(), pytest.raises(at.NanError) as found:
        Lambda(lambda x: at.log(x), name="eager")(np.array([[-1.0]], "float32"))
    assert found.value.layer == "eager"
