"""Details of models, training and files that programs of Keras 1 and 2 lean on, each at the levels that had it."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import activations, initializers, metrics
from keras_compat import backend as K
from keras_compat.callbacks import Callback
from keras_compat.engine import saving, topology, training_utils
from keras_compat.layers import (
    GRU,
    LSTM,
    Activation,
    Bidirectional,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    ConvLSTM2D,
    Dense,
    Dropout,
    Input,
    Lambda,
    Layer,
    Merge,
    TimeDistributed,
)
from keras_compat.models import Graph, Model, Sequential, load_model
from keras_compat.utils import Sequence

RNG = np.random.default_rng(23)
X = RNG.normal(size=(12, 4)).astype("float32")
Y = RNG.normal(size=(12, 2)).astype("float32")


@pytest.fixture(autouse=True)
def plain_kernels() -> Iterator[None]:
    np.random.seed(3)
    with at.config.use(numba=False):
        yield


@pytest.fixture(params=["1.2", "2.2", "2.3"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    with keras_compat.api_level(request.param):
        yield request.param


def near(a: Any, b: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def two_outputs() -> Any:
    x = Input((4,))
    return Model(x, [Dense(2, name="u")(x), Dense(2, name="v")(x)])


def batches() -> Iterator[Any]:
    while True:
        yield X[:3], Y[:3]
        yield X[3:6], Y[3:6]


# -- compile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ({"loss_weights": (0.5, 0.5)}, TypeError, "Could not interpret loss_weights"),
        ({"sample_weight_mode": {"w": "temporal"}}, ValueError, 'Unknown entry: "w"'),
        ({"sample_weight_mode": {"u": "temporal"}}, ValueError, 'Missing: "v"'),
        ({"target_tensors": {"w": None}}, ValueError, "Unknown entry in target_tensors"),
        ({"target_tensors": [np.zeros((3, 2))]}, ValueError, "it should have one entry per model output"),
        ({"target_tensors": np.zeros((3, 2))}, ValueError, "you passed a single tensor"),
        ({"target_tensors": {1, 2}}, TypeError, "Expected `target_tensors` to be"),
    ],
)
def test_compile_refuses(arguments: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        two_outputs().compile("sgd", "mse", **arguments)


def test_weights_of_several_outputs_come_as_list_or_dictionary() -> None:
    model = two_outputs()
    model.compile("sgd", "mse")
    weights = np.arange(12.0)
    with pytest.raises(TypeError, match="either a list or a dict"):
        model.train_on_batch(X, [Y, Y], sample_weight=(weights, weights))
    assert model.test_on_batch(X, [Y, Y], sample_weight=[weights, weights]) == pytest.approx(
        model.test_on_batch(X, [Y, Y], sample_weight={"u": weights, "v": weights})
    )


def test_placeholders_as_targets_are_fed() -> None:
    model = Sequential([Dense(2, input_dim=4, name="out")])
    target = K.placeholder(shape=(None, 2))
    for given in (target, [target], {"out": target}):
        model.compile("sgd", "mse", target_tensors=given)
        assert model.targets == [target]
        assert model.test_on_batch(X, Y) == pytest.approx(((model.predict(X) - Y) ** 2).mean(), rel=1e-4)
    several, other = two_outputs(), K.placeholder(shape=(None, 2))
    several.compile("sgd", "mse", target_tensors={"u": target, "v": other})
    # Weights under other names than those of outputs mean nothing, as in Keras.
    assert several.test_on_batch(X, [Y, Y], sample_weight={target: X[:, 0]}) == several.test_on_batch(X, [Y, Y])


def test_metric_functions_that_give_several_results() -> None:
    def powers(y_true, y_pred):
        error = K.mean(K.square(y_true - y_pred))
        return {"second": K.square(error), "first": error}

    with keras_compat.api_level("1.2"):
        model = two_outputs()
        model.compile("sgd", "mse", metrics=[powers, "mae"])
        assert model.metrics_names[3:5] == ["u_second", "u_first"] and model.metrics_names[6:8] == [
            "v_second",
            "v_first",
        ]
        values = dict(zip(model.metrics_names, model.test_on_batch(X, [Y, Y])))
        u, _ = model.predict(X)
        assert values["u_first"] == pytest.approx(((u - Y) ** 2).mean(), rel=1e-4)
        assert values["u_second"] == pytest.approx(values["u_first"] ** 2, rel=1e-4)
        log = model.fit(X, [Y, Y], nb_epoch=2, verbose=0).history
        assert len(log["v_second"]) == 2


# -- data -------------------------------------------------------------------------------------------------------------


def test_symbolic_data_needs_a_number_of_steps() -> None:
    model = Sequential([Dense(2, input_dim=4)])
    model.compile("sgd", "mse")
    x, y = K.variable(X), K.variable(Y)
    with pytest.raises(ValueError, match="should specify the `steps_per_epoch`"):
        model.fit(x, y, batch_size=5, verbose=0)
    with pytest.raises(ValueError, match="you cannot use `validation_split`"):
        model.fit(x, y, steps_per_epoch=2, validation_split=0.2, verbose=0)
    before = ((model.predict(X) - Y) ** 2).mean()
    assert model.fit(x, y, steps_per_epoch=1, verbose=0).history["loss"] == [pytest.approx(before, rel=1e-4)]


def test_class_numbers_where_one_hot_rows_are_expected(level: str) -> None:
    model = Sequential([Dense(1, input_dim=4, activation="sigmoid")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ValueError, match="You are passing a target array"):
        model.train_on_batch(X, Y[:, :1])
    check = training_utils.check_loss_and_target_compatibility
    loss = keras_compat.losses.categorical_crossentropy
    with pytest.raises(ValueError, match="targets to have the same shape as the output"):
        check([np.zeros((2, 3, 5))], [loss], [(2, 3, 6)])
    check([np.zeros((2, 3, 5))], [loss], [(2, None, 5)])


def test_lengths_are_compared_with_nothing_as_zero() -> None:
    check = training_utils.check_array_length_consistency
    a, b = np.zeros((4, 3)), np.zeros((3, 4))
    check(None, None, None)
    check(a, a, a)
    check([None], [None], [None])
    for x, y, w in ((a, None, None), (a, a, b), ([a], [None], None), ([a], [b], None)):
        with pytest.raises(ValueError):
            check(x, y, w)


def test_sparse_labels_along_another_axis_than_the_last() -> None:
    scores = RNG.random(size=(2, 4, 3, 3)).astype("float32") + 0.1
    scores /= scores.sum(axis=1, keepdims=True)
    labels = RNG.integers(0, 4, size=(2, 1, 3, 3))
    x = Input((4, 3, 3))
    model = Model(x, Lambda(lambda t: 1.0 * t)(x))
    model.compile("sgd", lambda t, p: K.sparse_categorical_crossentropy(t, p, axis=1))
    want = -np.log(np.take_along_axis(scores, labels, axis=1)).mean()
    assert model.evaluate(scores, labels, verbose=0) == pytest.approx(want, rel=1e-4)


# -- models -----------------------------------------------------------------------------------------------------------


def test_ends_of_a_model_are_checked_with_the_errors_of_each_line(level: str) -> None:
    x = Input((4,))
    h = Dense(3)(x)
    wrong: Any = TypeError if level == "1.2" else ValueError
    with pytest.raises(TypeError, match="must be `InputLayer` objects"):
        Model(h, Dense(2)(h))
    with pytest.raises(wrong, match="must be the output of a Keras `Layer`"):
        Model(x, [h, 0])
    with pytest.raises(wrong, match="must come from"):
        Model(K.placeholder((None, 4)), h)


def test_how_a_graph_is_wired_in_the_words_of_keras_1() -> None:
    x = Input((4,), name="x")
    layer = Dense(4, name="d")
    model = Model(x, layer(layer(x)))
    assert [one.name for one in model.input_layers] == ["x"] and [one.name for one in model.output_layers] == ["d"]
    assert model.input_layers_node_indices == [0] and model.input_layers_tensor_indices == [0]
    assert model.output_layers_node_indices == [1] and model.output_layers_tensor_indices == [0]
    assert set(model.layers_by_depth) == {1, 2} and len(model.nodes_by_depth) == 3


def test_a_layer_that_was_called_elsewhere_starts_a_chain_without_a_shape() -> None:
    first = Sequential([Dense(5, input_dim=4), Activation("relu")])
    with keras_compat.api_level("1.2"):
        assert Sequential([first.layers[-1], Dense(2)]).input_shape == (None, 5)
    second = Sequential([first.layers[-1], Dense(2)])
    assert not second.built
    assert second.predict(X).shape == (12, 2)


def test_set_inputs() -> None:
    chain = Sequential([Dense(5, input_dim=4), Activation("relu")])
    model = Model(chain.inputs, chain.outputs)
    with pytest.raises(ValueError, match="already set"):
        model._set_inputs(chain.inputs)
    model.inputs = None
    model._set_inputs(chain.inputs)
    near(model.predict(X), chain.predict(X))


def test_changed_trainable_is_told_by_summary_too(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Dense(2, input_dim=4)])
    model.trainable = False
    model.compile("sgd", "mse")
    model.trainable = True
    with pytest.warns(UserWarning, match="Discrepancy"):
        model.summary()
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.summary()


class Size(Layer):
    """Reports the mean of its input."""

    def call(self, x: Any) -> Any:
        self.add_metric(K.mean(x), name="size")
        return x


def test_metric_of_an_inner_model_is_that_of_the_call_on_the_outer_tensors(level: str) -> None:
    x, y, z = Input((4,)), Input((4,)), Input((4,))
    inner = Model(x, Size()(x))
    middle = Model(y, inner(Lambda(lambda t: t * 3.0)(y)))
    outer = Model(z, middle(Lambda(lambda t: t * 2.0)(z)))
    for model, factor in ((outer, 6.0), (inner, 1.0), (middle, 3.0)):
        model.compile("sgd", "mse")
        assert model.metrics_names == ["loss", "size"]
        assert model.evaluate(X, X, verbose=0)[1] == pytest.approx(factor * X.mean(), abs=1e-5)
    a, b = Input((4,)), Input((4,))
    layer = Size()
    shared = Model([a, b], [layer(a), layer(b)])
    shared.compile("sgd", "mse")
    assert shared.metrics_names.count("size") == 1
    assert shared.evaluate([X, 2 * X], [X, X], verbose=0)[-1] == pytest.approx(X.mean(), abs=1e-5)


# -- generators and callbacks -----------------------------------------------------------------------------------------


class Halves(Sequence):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return X[6 * index : 6 * index + 6], Y[6 * index : 6 * index + 6]


def test_sequence_is_a_source_and_can_be_gone_through() -> None:
    assert [len(x) for x, _ in Halves()] == [6, 6]
    model = Sequential([Dense(2, input_dim=4)])
    model.compile("sgd", "mse")
    assert model.evaluate_generator(Halves()) == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)
    with pytest.raises(NotImplementedError):
        Sequence()[0]


def test_verbose_of_generators(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Dense(2, input_dim=4)])
    model.compile("sgd", "mse")

    def printed() -> str:
        return capsys.readouterr().out

    model.evaluate_generator(batches(), steps=4)
    model.predict_generator(batches(), steps=4)
    assert printed() == ""
    model.evaluate_generator(batches(), steps=4, verbose=1)
    assert "4/4 [==============================]" in printed()
    model.predict_generator(batches(), steps=3, verbose=1)
    assert "3/3 [==============================]" in printed()
    model.predict(Halves(), verbose=1)
    assert "2/2 [==============================]" in printed()
    model.fit_generator(batches(), steps_per_epoch=4, epochs=2, validation_data=batches(), validation_steps=2)
    text = printed()
    assert "Epoch 1/2" in text and text.count("4/4 [=====") == 2 and "val_loss:" in text and "2/2 [" not in text


def test_several_workers_on_a_generator_are_warned_of() -> None:
    model = Sequential([Dense(2, input_dim=4)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="`keras.utils.Sequence`"):
        model.fit_generator(batches(), steps_per_epoch=1, use_multiprocessing=True, workers=2, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit_generator(Halves(), use_multiprocessing=True, workers=2, verbose=0)


def test_validation_data_that_callbacks_find(level: str) -> None:
    class Watch(Callback):
        found: Any = None

        def on_epoch_end(self, epoch, logs=None):
            self.found = self.model.validation_data if level == "1.2" else self.validation_data

    for layers, extra in (([], 0), ([Dropout(0.5)], 1)):
        model = Sequential([Dense(2, input_dim=4), *layers])
        model.compile("sgd", "mse")
        watch = Watch()
        model.fit(X, Y, validation_split=0.25, callbacks=[watch], verbose=0)
        assert len(watch.found) == 3 + extra
        near(watch.found[0], X[9:])
        near(watch.found[1], Y[9:])
        near(watch.found[2], np.ones(3))
        other = Watch()
        model.fit(X, Y, validation_data=(X, Y), callbacks=[other], verbose=0)
        assert other.found[0] is X and other.found[1] is Y
        model.fit(X, Y, callbacks=[watch], verbose=0)
        assert watch.found is None


# -- files ------------------------------------------------------------------------------------------------------------


def trained() -> Any:
    model = Sequential([Dense(3, input_dim=4, activation="tanh"), Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(X, Y)
    return model


def test_a_model_goes_through_pickle_with_its_optimizer() -> None:
    model = trained()
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert type(again) is Sequential and again.metrics_names == model.metrics_names
        near(again.predict(X), model.predict(X))
        twin = copy.deepcopy(model)
        assert again.train_on_batch(X, Y) == pytest.approx(twin.train_on_batch(X, Y), rel=1e-5)
        near(again.predict(X), twin.predict(X))
        inside = Model(model.input, again(model.input))
        near(inside.predict(X), again.predict(X))


def test_a_model_goes_through_binary_streams() -> None:
    model = trained()
    stream = io.BytesIO()
    model.save(stream)
    stream.seek(0)
    near(load_model(stream).predict(X), model.predict(X))
    weights = io.BytesIO()
    model.save_weights(weights)
    other = Sequential([Dense(3, input_dim=4, activation="tanh"), Dense(2)])
    other.load_weights(io.BytesIO(weights.getvalue()))
    near(other.predict(X), model.predict(X))
    with pytest.raises(OSError, match="binary stream of an HDF5 file"):
        load_model(io.BytesIO(b"nothing of the kind"))


def gates_apart(weights: list[np.ndarray], order: tuple[int, ...]) -> list[np.ndarray]:
    """The arrays of Keras 1: W, U, b of each gate; ``order`` names the gates of Keras 2 in that order."""
    parts = [np.split(w, len(order), axis=-1) for w in weights]
    return [part[gate] for gate in order for part in parts]


@pytest.mark.parametrize(
    "make, shape, old",
    [
        (lambda: GRU(2), (3, 5), lambda w: gates_apart(w, (0, 1, 2))),
        (lambda: LSTM(2), (3, 5), lambda w: gates_apart(w, (0, 2, 1, 3))),
        (lambda: ConvLSTM2D(2, 3), (3, 6, 6, 4), lambda w: gates_apart(w, (0, 2, 1, 3))),
        (lambda: Conv1D(2, 3), (6, 4), lambda w: [w[0][:, None], w[1]]),
        (lambda: Conv1D(2, 3), (6, 4), lambda w: [w[0].transpose(2, 1, 0)[..., None], w[1]]),
        (lambda: Conv2D(2, 3, data_format="channels_first"), (3, 6, 6), lambda w: [w[0].transpose(3, 2, 0, 1), w[1]]),
        (lambda: Conv2D(2, 3), (6, 6, 3), lambda w: w),
        (lambda: Conv2DTranspose(2, 3), (6, 6, 3), lambda w: [w[0].transpose(0, 1, 3, 2), w[1]]),
        (
            lambda: Conv2DTranspose(2, 3, data_format="channels_first"),
            (3, 6, 6),
            lambda w: [w[0].transpose(2, 3, 0, 1), w[1]],
        ),
        (lambda: TimeDistributed(Conv2D(2, 3, data_format="channels_first")), (2, 3, 6, 6), "as inside"),
        (lambda: Bidirectional(LSTM(2)), (3, 5), "twice"),
    ],
)
def test_weights_of_keras_1_in_the_layout_of_keras_2(make: Any, shape: Any, old: Any) -> None:
    layer = make()
    model = Sequential([Lambda(lambda x: x, input_shape=shape), layer])
    new = layer.get_weights()
    if old == "as inside":
        stored = [new[0].transpose(3, 2, 0, 1), new[1]]
    elif old == "twice":
        stored = gates_apart(new[:3], (0, 2, 1, 3)) + gates_apart(new[3:], (0, 2, 1, 3))
    else:
        stored = old(new)
    for read, part in ((saving, layer), (topology, layer), (saving, model)):
        found = read.preprocess_weights_for_loading(part, stored, original_keras_version="1")
        assert [w.shape for w in found] == [w.shape for w in new]
        for a, b in zip(found, new):
            np.testing.assert_array_equal(a, b)


# -- names ------------------------------------------------------------------------------------------------------------


def test_a_layer_as_activation_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="Do not pass a layer instance"):
        activations.get(Activation("relu"))


def test_fans_by_the_name_of_keras_2() -> None:
    assert initializers._compute_fans((3, 3, 4, 5)) == (36, 45)
    assert initializers._compute_fans((5, 4, 3, 3), data_format="channels_first") == (36, 45)


def test_sum_of_stateful_metrics_is_readable_after_use() -> None:
    metric = metrics.Mean(name="m")
    assert K.eval(metric([1.0, 5.0])) == 3.0
    assert K.eval(metric.total) == 6.0 and K.eval(metric.count) == 2.0


# -- Keras 0.x --------------------------------------------------------------------------------------------------------


def test_a_lambda_of_joined_inputs_gets_them_by_name() -> None:
    graph = Graph()
    graph.add_input(name="a", input_shape=(4,))
    graph.add_input(name="b", input_shape=(4,))
    difference = Lambda(lambda joined: joined["a"] - joined["b"], output_shape=(4,))
    graph.add_node(difference, inputs=["a", "b"], merge_mode="join", name="d")
    graph.add_output(name="out", input="d")
    near(graph.predict({"a": X, "b": 3 * X})["out"], -2 * X)
    near(Graph.from_config(graph.get_config()).predict({"a": X, "b": 3 * X})["out"], -2 * X)
    with pytest.raises(ValueError, match="which a Lambda takes"):
        graph.add_node(Dense(2), inputs=["a", "b"], merge_mode="join", name="e")


def test_axes_of_a_dot_as_keras_0_wrote_them() -> None:
    results = []
    for axes in (1, (1, 1), ([1], [1])):
        np.random.seed(5)
        left, right = Sequential([Dense(3, input_dim=4)]), Sequential([Dense(3, input_dim=4)])
        model = Sequential([Merge([left, right], mode="dot", dot_axes=axes)])
        results.append(model.predict([X, X]))
    near(results[1], results[0])
    near(results[2], results[0])


def test_a_config_is_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Dense(2, input_dim=4, name="only")])
    assert model.get_config(verbose=0) == model.get_config()
    assert capsys.readouterr().out == ""
    assert model.get_config(verbose=1) == model.get_config()
    assert "'only'" in capsys.readouterr().out
