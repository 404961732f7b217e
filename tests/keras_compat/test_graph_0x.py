"""What only Keras 0.x had: Graph, AutoEncoder, containers, Siamese, LambdaMerge and their like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import backend as K
from keras_compat import optimizers
from keras_compat.dialect import level
from keras_compat.layers import Dense, Dropout, Input, Lambda, Layer, containers, deserialize
from keras_compat.layers.core import (
    AutoEncoder,
    LambdaMerge,
    MaskedLayer,
    Siamese,
    SiameseHead,
    TimeDistributedMerge,
    add_shared_layer,
)
from keras_compat.models import (
    Graph,
    Model,
    Sequential,
    batch_shuffle,
    get_function_name,
    load_model,
    make_batches,
    model_from_json,
    slice_X,
    standardize_weights,
    standardize_X,
    standardize_y,
    weighted_objective,
)

RNG = np.random.default_rng(31)
A = RNG.normal(size=(12, 5)).astype("float32")
B = RNG.normal(size=(12, 3)).astype("float32")
T = RNG.normal(size=(12, 2)).astype("float32")
U = RNG.normal(size=(12, 4)).astype("float32")


@pytest.fixture(autouse=True)
def keras_1() -> Iterator[None]:
    """The nearest API level; programs of Keras 0.x run at it."""
    with at.config.use(numba=False), keras_compat.api_level("1.2"):
        yield


def near(a: Any, b: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def branched(mode: str = "concat") -> Any:
    graph = Graph()
    graph.add_input(name="a", input_shape=(5,))
    graph.add_input(name="b", input_shape=(3,))
    graph.add_node(Dense(4, activation="tanh"), name="left", input="a")
    graph.add_node(Dense(4), name="right", input="b")
    graph.add_node(Dense(2), name="top", inputs=["left", "right"], merge_mode=mode)
    graph.add_output(name="y", input="top")
    graph.add_output(name="z", inputs=["left", "right"], merge_mode="sum")
    return graph


@pytest.mark.parametrize("mode", ["concat", "sum", "ave", "mul", "max"])
def test_graph_predicts_what_its_wiring_says(mode: str) -> None:
    graph = branched(mode)
    (wl, cl), (wr, cr), (wt, ct) = (graph.nodes[n].get_weights() for n in ("left", "right", "top"))
    left, right = np.tanh(A @ wl + cl), B @ wr + cr
    joined = {
        "concat": np.concatenate([left, right], axis=1),
        "sum": left + right,
        "ave": (left + right) / 2,
        "mul": left * right,
        "max": np.maximum(left, right),
    }[mode]
    out = graph.predict({"a": A, "b": B, "y": T})
    assert list(out) == ["y", "z"]
    near(out["y"], joined @ wt + ct)
    near(out["z"], left + right)
    near(graph.predict_on_batch({"b": B, "a": A})["z"], left + right)
    assert (graph.nb_input, graph.nb_output) == (2, 2)
    # Weights come in the order of adding, whatever the depth.
    shapes = [w.shape for w in graph.get_weights()]
    assert shapes == [wl.shape, cl.shape, wr.shape, cr.shape, wt.shape, ct.shape]


def test_graph_learns_the_weighted_sum_of_its_losses() -> None:
    graph = branched("sum")
    graph.compile("sgd", {"y": "mse", "z": "mae"}, loss_weights={"z": 0.5})
    data = {"a": A, "b": B, "y": T, "z": U}
    out = graph.predict(data)
    want = ((out["y"] - T) ** 2).mean() + 0.5 * np.abs(out["z"] - U).mean()
    assert graph.evaluate(data) == pytest.approx(want, rel=1e-4)
    assert graph.test_on_batch(data) == pytest.approx(want, rel=1e-4)
    wt, ct = graph.nodes["top"].get_weights()
    history = graph.fit(data, nb_epoch=1, batch_size=12, verbose=0, shuffle=False).history
    assert list(history) == ["loss"] and history["loss"][0] == pytest.approx(want, rel=1e-4)
    error = 2 * (out["y"] - T) / T.size
    near(graph.nodes["top"].get_weights()[1], ct - 0.01 * error.sum(0))
    before = graph.evaluate(data)
    for _ in range(20):
        graph.train_on_batch(data)
    assert graph.evaluate(data) < before


def test_graph_fit_takes_weights_validation_and_accuracy() -> None:
    graph = Graph()
    graph.add_input("a", input_shape=(5,))
    graph.add_node(Dropout(0.2), name="d", input="a")
    graph.add_node(Dense(2, activation="softmax"), name="y", input="d", create_output=True)
    classes = np.arange(12) % 2
    data = {"a": A, "y": np.eye(2)[classes]}
    graph.compile(optimizer="adam", loss={"y": "categorical_crossentropy"}, class_mode="categorical")
    history = graph.fit(data, nb_epoch=2, batch_size=4, verbose=0, show_accuracy=True, validation_data=data).history
    assert sorted(history) == ["acc", "loss", "val_acc", "val_loss"]
    loss, accuracy = graph.evaluate(data, show_accuracy=True)
    p = graph.predict(data)["y"]
    assert accuracy == pytest.approx((p.argmax(1) == classes).mean())
    assert graph.evaluate(data) == pytest.approx(loss, rel=1e-5)
    assert np.ravel(graph.test_on_batch(data, accuracy=True)).tolist() == pytest.approx([loss, accuracy], rel=1e-5)
    weights = np.arange(12.0) + 1
    each = -np.log(p[np.arange(12), classes])
    assert graph.test_on_batch(data, sample_weight={"y": weights}) == pytest.approx((each * weights).mean(), rel=1e-4)
    assert sorted(graph.fit(data, nb_epoch=1, verbose=0, validation_split=0.25).history) == ["loss", "val_loss"]
    graph.fit(data, nb_epoch=1, verbose=0, class_weight={"y": {0: 1.0, 1: 2.0}})
    two = branched()
    two.compile("sgd", {"y": "mse", "z": "mse"})
    with pytest.raises(ValueError, match="single output"):
        two.fit({"a": A, "b": B, "y": T, "z": U}, show_accuracy=True)


def test_graph_on_generators_of_dictionaries() -> None:
    def parts(weighted: bool = False) -> Any:
        while True:
            for k in range(0, 12, 4):
                data = {"a": A[k : k + 4], "b": B[k : k + 4], "y": T[k : k + 4], "z": U[k : k + 4]}
                yield (data, {"y": np.full(4, 2.0)}) if weighted else data

    data = {"a": A, "b": B, "y": T, "z": U}
    graphs = []
    for _ in range(2):
        np.random.seed(8)
        graphs.append(branched())
        graphs[-1].compile("sgd", {"y": "mse", "z": "mse"})
    one, two = graphs
    one.fit(data, nb_epoch=2, batch_size=4, shuffle=False, verbose=0)
    log = two.fit_generator(parts(), 12, 2, verbose=0, validation_data=data).history
    assert sorted(log) == ["loss", "val_loss"]
    near(two.get_weights()[0], one.get_weights()[0])
    assert two.evaluate_generator(parts(), 12) == pytest.approx(one.evaluate(data), rel=1e-5)
    log = two.fit_generator(parts(True), 12, 1, verbose=0, validation_data=parts(), nb_val_samples=12).history
    assert sorted(log) == ["loss", "val_loss"]


def test_graph_asks_for_its_accuracy_without_losing_the_optimizers_state() -> None:
    def weights_after(*shown: bool) -> Any:
        np.random.seed(5)
        graph = Graph()
        graph.add_input("a", input_shape=(5,))
        graph.add_node(Dense(2), name="y", input="a", create_output=True)
        graph.compile(optimizers.SGD(0.1, momentum=0.9), {"y": "mse"})
        for accuracy in shown:
            graph.train_on_batch({"a": A, "y": T}, accuracy=accuracy)
        return graph.get_weights()[0]

    near(weights_after(False, True, False, True), weights_after(False, False, False, False), 1e-7)


def test_graph_default_epsilon_of_keras_0() -> None:
    graph = branched()
    for name in ("rmsprop", "adagrad", "adadelta"):
        graph.compile(name, {"y": "mse", "z": "mse"})
        assert graph.optimizer.epsilon == 1e-6
    graph.compile("adam", {"y": "mse", "z": "mse"})
    assert graph.optimizer.epsilon == 1e-8


def test_shared_nodes() -> None:
    graph = Graph()
    graph.add_input("a", input_shape=(5,))
    graph.add_input("b", input_shape=(5,))
    graph.add_shared_node(Dense(3), name="both", inputs=["a", "b"], merge_mode="concat")
    graph.add_shared_node(Dense(2), name="apart", inputs=["a", "b"], outputs=["one", "two"], create_output=True)
    graph.add_node(Dense(2), name="top", input="both")
    graph.add_output("y", input="top")
    other = RNG.normal(size=(12, 5)).astype("float32")
    (ws, cs), (wa, ca), (wt, ct) = (graph.nodes[n].get_weights() for n in ("both", "apart", "top"))
    out = graph.predict({"a": A, "b": other})
    near(out["y"], np.concatenate([A @ ws + cs, other @ ws + cs], 1) @ wt + ct)
    near(out["one"], A @ wa + ca)
    near(out["two"], other @ wa + ca)
    assert len(graph.get_weights()) == 6
    again = model_from_json(graph.to_json())
    again.set_weights(graph.get_weights())
    near(again.predict({"a": A, "b": other})["two"], out["two"])


def test_graph_config_json_and_files(tmp_path: Any) -> None:
    graph = branched("ave")
    graph.compile("rmsprop", {"y": "mse", "z": "mse"})
    graph.fit({"a": A, "b": B, "y": T, "z": U}, nb_epoch=1, verbose=0)
    again = model_from_json(graph.to_json())
    assert isinstance(again, Graph) and json.loads(again.to_json()) == json.loads(graph.to_json())
    graph.save_weights(tmp_path / "w.h5")
    again.load_weights(tmp_path / "w.h5")
    near(again.predict({"a": A, "b": B})["y"], graph.predict({"a": A, "b": B})["y"])
    graph.save(tmp_path / "m.h5")
    whole = load_model(tmp_path / "m.h5")
    near(whole.predict({"a": A, "b": B})["z"], graph.predict({"a": A, "b": B})["z"])
    data = {"a": A, "b": B, "y": T, "z": U}
    near(whole.train_on_batch(data), graph.train_on_batch(data))


def test_graph_is_a_layer_and_a_model() -> None:
    graph = branched()
    assert isinstance(graph, Model) and isinstance(graph, Layer)
    a, b = Input((5,)), Input((3,))
    y, z = graph([a, b])
    outer = Model([a, b], [z, y])
    near(outer.predict([A, B])[1], graph.predict({"a": A, "b": B})["y"])
    single = containers.Graph()
    single.add_input("a", input_shape=(5,))
    single.add_node(Dense(3), name="h", input="a")
    single.add_output("o", input="h")
    chain = Sequential([single, Dense(2)])
    near(chain.predict(A), single.predict({"a": A})["o"] @ chain.get_weights()[2] + chain.get_weights()[3])
    inside = Graph()
    inside.add_input("a", input_shape=(5,))
    inside.add_node(Sequential([Dense(3, input_dim=5), Dense(2)]), name="chain", input="a")
    inside.add_output("o", input="chain")
    assert inside.predict({"a": A})["o"].shape == (12, 2)


def test_graph_with_word_numbers_as_input() -> None:
    graph = Graph()
    graph.add_input("words", input_shape=(4,), dtype="int")
    graph.add_node(Lambda(lambda x: K.cast(x, "float32") * 2.0), name="twice", input="words")
    graph.add_output("o", input="twice")
    assert graph.predict({"words": np.arange(8).reshape(2, 4)})["o"].tolist() == [[0, 2, 4, 6], [8, 10, 12, 14]]
    assert K.dtype(graph.inputs[0]) == "int32"


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda g: g.add_node(Dense(2), name="left", input="a"), "Duplicate node identifier: 'left'"),
        (lambda g: g.add_node(Dense(2), name="n", input="c"), "Unknown node/input identifier: 'c'"),
        (lambda g: g.add_node(Dense(2), name="n"), "expected the name of a node"),
        (lambda g: g.add_node(Dense(2), name="n", inputs=["left", "right"], merge_mode="odd"), "merge_mode is one of"),
        (lambda g: g.add_output("y", input="left"), "Duplicate output identifier"),
        (lambda g: g.add_input("n"), "expected input_shape"),
        (lambda g: g.add_shared_node(Dense(2), name="n", inputs=["a"]), "two or more inputs"),
        (lambda g: g.add_shared_node(Dense(2), name="n", inputs=["left", "right"]), "needs a name in outputs"),
        (lambda g: Graph().compile("sgd", {}), "has no output"),
        (lambda g: g.fit({"a": A, "b": B, "y": T}), "no data for 'z'"),
    ],
)
def test_graph_errors(act: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        act(branched())


def test_a_call_that_failed_can_be_repeated() -> None:
    graph = Graph()
    with pytest.raises(ValueError, match="expected input_shape"):
        graph.add_input("a")
    graph.add_input("a", input_shape=(5,))
    with pytest.raises(ValueError, match="Unknown node"):
        graph.add_node(Dense(2), name="n", input="b")
    graph.add_node(Dense(2), name="n", input="a")
    with pytest.raises(ValueError, match="Unknown node"):
        graph.add_shared_node(Dense(2), name="s", inputs=["a", "b"], outputs=["p", "q"])
    graph.add_shared_node(Dense(2), name="s", inputs=["a", "a"], outputs=["p", "q"])
    with pytest.raises(ValueError, match="Duplicate node identifier: 'q'"):
        graph.add_node(Dense(2), name="q", input="a")
    graph.add_output("o", inputs=["n", "p", "q"])
    assert graph.predict({"a": A})["o"].shape == (12, 6)


def test_graph_wants_dictionaries_and_layers() -> None:
    with pytest.raises(TypeError, match="takes a dictionary of data by the names"):
        branched().fit(A)
    with pytest.raises(TypeError, match="expected a layer"):
        branched().add_node("x", name="n", input="a")


# -- AutoEncoder ------------------------------------------------------------------------------------------------------


def encoder_and_decoder() -> tuple[Any, Any]:
    encoder = containers.Sequential([Dense(4, input_dim=5, activation="tanh"), Dense(2)])
    decoder = containers.Sequential([Dense(4, input_dim=2, activation="tanh"), Dense(5)])
    return encoder, decoder


def through(x: Any, w: Any) -> Any:
    return np.tanh(x @ w[0] + w[1]) @ w[2] + w[3]


def test_autoencoder_gives_code_or_reconstruction() -> None:
    encoder, decoder = encoder_and_decoder()
    layer = AutoEncoder(encoder=encoder, decoder=decoder, output_reconstruction=False)
    model = Sequential()
    model.add(layer)
    model.compile(optimizer="sgd", loss="mse")
    w = layer.get_weights()
    assert [x.shape for x in w] == [(5, 4), (4,), (4, 2), (2,), (2, 4), (4,), (4, 5), (5,)]
    near(model.predict(A), through(A, w[:4]))
    model.fit(A, T, nb_epoch=1, batch_size=12, verbose=0)
    # The decoder has no part in this loss.
    after = layer.get_weights()
    assert all((a == b).all() for a, b in zip(after[4:], w[4:])) and (after[0] != w[0]).any()
    layer.output_reconstruction = True
    model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
    near(model.predict(A), through(through(A, after[:4]), after[4:]))
    assert model.output_shape == (None, 5)
    before = model.evaluate(A, A, verbose=0)
    model.fit(A, A, nb_epoch=20, verbose=0)
    assert model.evaluate(A, A, verbose=0) < before
    assert all((a != b).any() for a, b in zip(layer.get_weights()[4:], after[4:]))
    near(encoder.predict(A), through(A, layer.get_weights()[:4]))


def test_autoencoder_in_configs_and_with_weights() -> None:
    encoder, decoder = encoder_and_decoder()
    layer = AutoEncoder(encoder, decoder)
    model = Sequential([layer])
    again = model_from_json(model.to_json())
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    again.set_weights(model.get_weights())
    near(again.predict(A), model.predict(A))
    values = [RNG.normal(size=w.shape).astype("float32") for w in layer.get_weights()]
    given = Sequential([AutoEncoder(*encoder_and_decoder(), weights=values)])
    near(given.predict(A), through(through(A, values[:4]), values[4:]))
    single = AutoEncoder(Dense(3, input_dim=5), Dense(5), output_reconstruction=True)
    assert Sequential([single]).predict(A).shape == (12, 5)


# -- the smaller ones -------------------------------------------------------------------------------------------------


def test_siamese_at_the_head_of_a_model() -> None:
    shared = Dense(3, input_dim=5)
    left, right = Sequential([Dense(5, input_dim=5)]), Sequential([Dense(5, input_dim=5)])
    layer = Siamese(shared, [left, right], merge_mode="sum")
    model = Sequential([layer, Dense(2)])
    other = RNG.normal(size=(12, 5)).astype("float32")
    w, c = shared.get_weights()
    inner = left.predict(A) @ w + right.predict(other) @ w + 2 * c
    near(model.predict([A, other]), inner @ model.layers[1].get_weights()[0] + model.layers[1].get_weights()[1])
    model.compile("sgd", "mse")
    before = left.get_weights()[0]
    model.train_on_batch([A, other], T)
    assert (left.get_weights()[0] != before).any()
    assert Siamese.from_config(layer.get_config()).merge_mode == "sum"


def test_siamese_kept_apart_and_its_heads() -> None:
    a, b = Input((5,)), Input((5,))
    shared = Dense(3)
    outs = Siamese(shared, merge_mode=None)([a, b])
    model = Model([a, b], [SiameseHead(1)(outs), SiameseHead(0)(outs)])
    w, c = shared.get_weights()
    got = model.predict([A, 2 * A])
    near(got[0], 2 * A @ w + c)
    near(got[1], A @ w + c)
    with pytest.raises(ValueError, match="merge_mode is one of"):
        Siamese(shared, merge_mode="join it")


def test_add_shared_layer() -> None:
    left, right = Sequential([Dense(5, input_dim=5)]), Sequential([Dense(5, input_dim=5)])
    shared = Dense(2)
    add_shared_layer(shared, [left, right])
    assert left.layers[-1] is right.layers[-1] is shared
    near(right.predict(A), (A @ right.get_weights()[0] + right.get_weights()[1]) @ shared.get_weights()[0])


def test_lambda_merge() -> None:
    left, right = Sequential([Dense(4, input_dim=5)]), Sequential([Dense(4, input_dim=3)])
    layer = LambdaMerge([left, right], lambda xs, k: k * xs[0] - xs[1], lambda shapes: shapes[0], {"k": 3.0})
    model = Sequential([layer])
    near(model.predict([A, B]), 3 * left.predict(A) - right.predict(B))
    assert layer.compute_output_shape([(None, 4), (None, 4)]) == (None, 4)
    assert LambdaMerge([left, right], lambda xs: xs[0]).compute_output_shape([(None, 4), (None, 4)]) == (None, 4)
    with pytest.raises(ValueError, match="two or more"):
        LambdaMerge([left], lambda xs: xs[0])


@pytest.mark.parametrize(("mode", "fold"), [("sum", np.sum), ("ave", np.mean), ("mul", np.prod)])
def test_time_distributed_merge(mode: str, fold: Any) -> None:
    steps = RNG.normal(size=(6, 4, 3)).astype("float32")
    model = Sequential([TimeDistributedMerge(mode, input_shape=(4, 3))])
    near(model.predict(steps), fold(steps, axis=1))
    assert model.output_shape == (None, 3)
    assert model_from_json(model.to_json()).layers[0].mode == mode


def test_masked_layer_passes_its_mask() -> None:
    class Mine(MaskedLayer):
        def call(self, x, mask=None):
            return x * 2.0

    x = Input((3, 2))
    layer = Mine()
    layer(keras_compat.layers.Masking()(x))
    assert layer.output_mask is layer.input_mask is not None


def test_show_accuracy_of_a_sequential() -> None:
    model = Sequential([Dense(2, input_dim=5, activation="softmax")])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "categorical_crossentropy", class_mode="categorical")
    one_hot = np.eye(2)[np.arange(12) % 2]
    history = model.fit(A, one_hot, nb_epoch=2, show_accuracy=True, verbose=0).history
    assert sorted(history) == ["acc", "loss"]
    loss, accuracy = model.evaluate(A, one_hot, show_accuracy=True, verbose=0)
    assert accuracy == pytest.approx((model.predict(A).argmax(1) == np.arange(12) % 2).mean())
    assert model.evaluate(A, one_hot, verbose=0) == pytest.approx(loss, rel=1e-5)
    assert len(model.train_on_batch(A, one_hot, accuracy=True)) == 2
    assert np.ndim(model.train_on_batch(A, one_hot)) == 0
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    assert len(model.test_on_batch(A, one_hot)) == 2


def test_a_model_that_begins_with_a_lambda_merge_is_described() -> None:
    branches = [Dense(2, input_shape=(5,)), Dense(2, input_shape=(3,))]
    first = LambdaMerge(branches, lambda xs, by: by * xs[0] * xs[1], output_shape=(2,), arguments={"by": 2.0})
    model = Sequential([first, Dense(1)])
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    near(again.predict([A, B]), model.predict([A, B]))
    config = {"class_name": "LambdaMerge", "config": {**first.get_config(), "function": "unheard_of"}}
    with pytest.raises(ValueError, match="unheard_of.*custom_objects"):
        deserialize(config)


def test_helpers_of_the_module_models() -> None:
    assert make_batches(7, 3) == [(0, 3), (3, 6), (6, 7)]
    order = batch_shuffle(np.arange(7), 3)
    assert sorted(order) == list(range(7)) and order[6] == 6
    assert {tuple(order[:3]), tuple(order[3:6])} == {(0, 1, 2), (3, 4, 5)}
    assert slice_X([A, B], 1, 3)[1].tolist() == B[1:3].tolist() and standardize_X(A)[0] is A
    assert standardize_y([1, 2]).shape == (2, 1)
    assert standardize_weights(T).tolist() == [1.0] * 12
    one_hot = np.eye(2)[[0, 1, 1]]
    assert standardize_weights(one_hot, class_weight={0: 1.0, 1: 5.0}).tolist() == [1, 5, 5]
    assert get_function_name("relu") == "relu" and get_function_name(make_batches) == "make_batches"
    fn = weighted_objective(keras_compat.losses.mean_squared_error)
    w = np.array([1.0, 3.0])
    got = K.eval(fn(K.variable(T[:2]), K.variable(0 * T[:2]), K.variable(w)))
    assert got == pytest.approx(((T[:2] ** 2).mean(1) * w).mean(), rel=1e-5)


# -- API level 0.3 ----------------------------------------------------------------------------------------------------


def test_level_0_is_1_2_to_all_who_do_not_ask_closer() -> None:
    assert not level.is_keras_0()
    for name in ("0.3", "0.3.3", 0.3):
        with keras_compat.api_level(name) as held:
            assert held == "1.2" == keras_compat.get_api_level() and level.is_keras_0()
            with keras_compat.api_level(keras_compat.get_api_level()):
                assert level.is_keras_0()
            with keras_compat.api_level("1.2"):
                assert not level.is_keras_0()


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta"])
def test_level_0_puts_epsilon_within_the_root(name: str) -> None:
    with keras_compat.api_level("0.3"):
        optimizer = getattr(optimizers, name)(lr=0.1)
        assert optimizer.epsilon == 1e-6
        assert optimizers.Adam().epsilon == 1e-8
        optimizer.epsilon = 0.5
        w = K.variable([1.0, -2.0])
        step = K.function([], [], updates=optimizer.get_updates(K.sum(K.square(w)), [w]))
    step([])
    g = np.array([2.0, -4.0])
    moved = {
        "RMSprop": 0.1 * g / np.sqrt(0.1 * g**2 + 0.5),
        "Adagrad": 0.1 * g / np.sqrt(g**2 + 0.5),
        "Adadelta": 0.1 * g * np.sqrt(0.5) / np.sqrt(0.05 * g**2 + 0.5),
    }[name]
    near(K.get_value(w), np.array([1.0, -2.0]) - moved)


def test_level_0_tests_without_penalties() -> None:
    def losses() -> tuple[float, float, float]:
        model = Sequential([Dense(2, input_dim=5, W_regularizer="l2", init="one")])
        model.compile(optimizers.SGD(0.0), "mse")
        plain = float(((model.predict(A) - T) ** 2).mean())
        return plain, model.test_on_batch(A, T), model.train_on_batch(A, T)

    plain, tested, trained = losses()
    assert tested == trained == pytest.approx(plain + 0.01 * 10, rel=1e-4)
    with keras_compat.api_level("0.3"):
        plain, tested, trained = losses()
    assert tested == pytest.approx(plain, rel=1e-4) and trained == pytest.approx(plain + 0.01 * 10, rel=1e-4)


def test_level_0_batch_normalization_averages_deviations() -> None:
    with keras_compat.api_level("0.3"):
        layer = keras_compat.layers.BatchNormalization(input_shape=(5,))
        assert (layer.epsilon, layer.momentum) == (1e-6, 0.9)
        layer.epsilon = 0.25
        model = Sequential([layer])
        model.compile(optimizers.SGD(0.0), "mse")
        loss = model.train_on_batch(A, A)
        mean, deviation = A.mean(0), np.sqrt(A.var(0) + 0.25)
        assert loss == pytest.approx((((A - mean) / (deviation + 0.25) - A) ** 2).mean(), rel=1e-4)
        near(layer.get_weights()[2], 0.1 * mean)
        near(layer.get_weights()[3], 0.9 + 0.1 * deviation)
        near(model.predict(A), (A - 0.1 * mean) / (0.9 + 0.1 * deviation + 0.25))


def test_level_0_batches_and_epochs() -> None:
    sizes = []

    class Sizes(keras_compat.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            sizes.append(logs["size"])

    with keras_compat.api_level("0.3"):
        model = Sequential([Dense(1, input_dim=1)])
        model.compile("sgd", "mse")
        x = np.zeros((200, 1))
        log = model.fit(x, x, verbose=0, callbacks=[Sizes()])
    assert len(log.epoch) == 100 and sizes[:2] == [128, 72]
