"""Copies of models, layers and optimizers: clone_model, pickle, deepcopy, JSON, YAML, with the user's own classes.

A copy predicts the same (with the same weights), shares nothing with what it was made from, and training goes on in
both as if there were one.
"""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import constraints, initializers, optimizers, regularizers
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.models import (
    Graph,
    Model,
    Sequential,
    clone_model,
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
)
from keras_compat.saving import guard
from keras_compat.utils.generic_utils import custom_object_scope

RNG = np.random.RandomState(0)
X = RNG.rand(8, 3).astype("float32")
STEPS = RNG.rand(8, 5, 3).astype("float32")

pytestmark = pytest.mark.usefixtures("without_kernels")


# -- the user's own ---------------------------------------------------------------------------------------------------


class Scaled(L.Layer):
    """A layer of the user's with a weight."""

    def __init__(self, factor=2.0, start="ones", **kwargs):
        super().__init__(**kwargs)
        self.factor, self.start = factor, initializers.get(start)

    def build(self, input_shape):
        self.scale = self.add_weight("scale", (input_shape[-1],), initializer=self.start, regularizer=own_penalty)
        super().build(input_shape)

    def call(self, inputs):
        return inputs * self.scale * self.factor

    def get_config(self):
        start = initializers.serialize(self.start)
        return {**super().get_config(), "factor": self.factor, "start": start}


class Ramp(initializers.Initializer):
    """An initializer of the user's."""

    def __init__(self, top=1.0):
        self.top = top

    def __call__(self, shape, dtype=None):
        return K.constant(np.linspace(0, self.top, int(np.prod(shape))).reshape(shape), dtype=dtype)

    def get_config(self):
        return {"top": self.top}


class OwnSGD(optimizers.SGD):
    """An optimizer of the user's."""


class OwnModel(Model):
    """A model class of the user's over the functional interface."""


def own_penalty(w):
    return K.sum(K.abs(w)) * 0.01


def own_loss(y_true, y_pred):
    return K.mean(K.square(y_true - y_pred), axis=-1) * 2


def own_metric(y_true, y_pred):
    return K.mean(K.abs(y_true - y_pred))


def own_activation(x):
    return x * K.sigmoid(x)


OWN = {
    "Scaled": Scaled,
    "Ramp": Ramp,
    "OwnSGD": OwnSGD,
    "OwnModel": OwnModel,
    **{f.__name__: f for f in (own_penalty, own_loss, own_metric, own_activation)},
}

# -- models -----------------------------------------------------------------------------------------------------------


def chain() -> Any:
    return Sequential([L.Dense(4, activation="relu", input_shape=(3,)), L.BatchNormalization(), L.Dense(2)])


def branched() -> Any:
    """Shared, nested, two inputs and outputs."""
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    shared = L.Dense(4, name="shared")
    inner = Sequential([L.Dense(4, input_shape=(4,), kernel_regularizer="l2")], name="inner")
    h = inner(L.add([shared(a), shared(b)]))
    return Model([a, b], [L.Dense(2, name="one")(inner(h)), L.Dense(1, name="two")(shared(b))], name="whole")


def with_steps() -> Any:
    inner = Sequential([L.Dense(4, input_shape=(3,)), L.Activation("tanh")])
    model = Sequential([L.TimeDistributed(inner, input_shape=(5, 3))])
    model.add(L.Bidirectional(L.LSTM(3)))
    model.add(L.Dense(2))
    return model


def constrained() -> Any:
    rules = {
        "kernel_regularizer": regularizers.l1_l2(0.01, 0.02),
        "kernel_constraint": constraints.MaxNorm(0.5),
        "bias_constraint": constraints.NonNeg(),
    }
    return Sequential([L.Dense(4, input_shape=(3,), **rules), L.ActivityRegularization(0.01), L.Dense(2)])


def owned() -> Any:
    """The user's classes and functions at every depth: in wrappers, in nested models, in each other."""
    inner = Sequential([Scaled(3.0, Ramp(2.0), input_shape=(3,)), L.Dense(4, activation=own_activation)], name="deep")
    model = Sequential([L.TimeDistributed(inner, input_shape=(5, 3))], name="outer")
    model.add(L.TimeDistributed(Scaled(0.5, start=Ramp(1.5))))
    model.add(L.Bidirectional(L.GRU(2, kernel_initializer=Ramp(0.3), recurrent_regularizer=own_penalty)))
    model.add(L.Dense(2))
    return model


def of_own_class() -> Any:
    x = L.Input((3,))
    return OwnModel(inputs=x, outputs=L.Dense(2)(Scaled()(x)))


def with_functions() -> Any:
    factor = 3
    x = L.Input((3,))
    h = L.Lambda(lambda t: t * factor)(x)
    h = L.Lambda(lambda t, k: K.square(t) * k, arguments={"k": 0.5})(h)
    return Model(x, L.Dense(2)(h))


def targets(model: Any, data: Any) -> Any:
    out = model.predict(data)
    made = [np.random.RandomState(i).rand(*p.shape) for i, p in enumerate(out if isinstance(out, list) else [out])]
    return made if isinstance(out, list) else made[0]


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "chain": (chain, X),
    "branched": (branched, [X, X + 1]),
    "with_steps": (with_steps, STEPS),
    "constrained": (constrained, X),
    "owned": (owned, STEPS),
    "of_own_class": (of_own_class, X),
    "with_functions": (with_functions, X),
}

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "oldest pickle": lambda m: pickle.loads(pickle.dumps(m, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "clone_model": lambda m: _with_weights(clone_model(m), m),
}


def _with_weights(made: Any, model: Any) -> Any:
    made.set_weights(model.get_weights())
    return made


def listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def check_equal(model: Any, made: Any, data: Any) -> None:
    """The same numbers, from arrays, layers and nodes of its own."""
    assert type(made) is type(model) and made is not model and made.name == model.name
    for a, b in zip(listed(model.predict(data)), listed(made.predict(data)), strict=True):
        np.testing.assert_array_equal(a, b)
    ours = {id(w) for w in model.weights}
    assert len(made.weights) == len(model.weights) and not ours & {id(w) for w in made.weights}
    assert not {id(layer) for layer in model.layers} & {id(layer) for layer in made.layers}
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    before = [w.copy() for w in model.get_weights()]
    made.set_weights([w + 1 for w in made.get_weights()])
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    made.set_weights(before)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_copies_of_models(name, how, level):
    make, data = MODELS[name]
    with api_level(level):
        model = make()
        check_equal(model, COPIES[how](model), data)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, decay=0.01),
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True),
    "nadam": lambda: optimizers.Nadam(0.01),
    "own": lambda: OwnSGD(0.05, momentum=0.5, clipnorm=1.0),
}


@pytest.mark.parametrize(
    ("name", "optimizer", "how"),
    [("chain", optimizer, how) for optimizer in OPTIMIZERS for how in ("pickle", "deepcopy")]
    + [(name, *case) for name in MODELS if name != "chain" for case in (("adam", "pickle"), ("own", "deepcopy"))],
)
def test_training_goes_on_in_a_copy(name, optimizer, how):
    """Compile settings, the user's losses and metrics, and the optimizer's state: bit for bit."""
    make, data = MODELS[name]
    model = make()
    y = targets(model, data)
    arguments = {"loss": own_loss, "metrics": ["mae", own_metric]}
    if name == "branched":
        arguments |= {"loss_weights": [1.0, 0.25], "loss": [own_loss, "mse"]}
    model.compile(OPTIMIZERS[optimizer](), **arguments)
    model.fit(data, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    made = COPIES[how](model)
    assert made.optimizer is not model.optimizer
    histories = [m.fit(data, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history for m in (model, made)]
    assert histories[0] == histories[1] and made.metrics_names == model.metrics_names
    for a, b in zip(model.get_weights(), made.get_weights()):
        np.testing.assert_array_equal(a, b)
    check_equal(model, made, data)


def test_models_without_weights_yet():
    model = Sequential([L.Dense(4), L.Dense(2)], name="later")
    for compiled in (False, True):
        if compiled:
            model.compile(optimizers.Adam(0.25), loss=own_loss, metrics=["mae"])
        for how in ("pickle", "deepcopy", "clone_model"):
            if how == "clone_model":
                made = clone_model(model)
            else:
                made = COPIES[how](model)
                assert (made.optimizer is not None) == compiled
                if compiled:
                    assert float(K.get_value(made.optimizer.learning_rate)) == 0.25 and made.loss is own_loss
            assert made.name == "later" and [type(x).__name__ for x in made.layers] == ["Dense", "Dense"]
            assert not made.built and made.layers[0] is not model.layers[0]


def test_a_model_with_its_own_call_says_what_to_do():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    model.predict(X)
    for make in (copy.deepcopy, pickle.dumps, clone_model):
        with pytest.raises((NotImplementedError, ValueError), match="(?i)make another instance of your class"):
            make(model)


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "clone_model"])
def test_models_of_keras_0_and_1(how):
    """A Graph, and a Sequential that begins with a Merge of others."""
    with api_level("0.3"):
        graph = Graph()
        graph.add_input(name="a", input_shape=(3,))
        graph.add_node(L.Dense(2), name="d", input="a")
        graph.add_output(name="o", input="d")
        graph.compile("sgd", {"o": "mse"})
        made = COPIES[how](graph)
        assert type(made) is Graph
        np.testing.assert_array_equal(graph.predict({"a": X})["o"], made.predict({"a": X})["o"])
    with api_level("1.2"):
        left, right = (Sequential([L.Dense(4, input_dim=3)]) for _ in range(2))
        model = Sequential()
        model.add(L.Merge([left, right], mode="concat"))
        model.add(L.Dense(2))
        made = COPIES[how](model)
        np.testing.assert_array_equal(model.predict([X, X]), made.predict([X, X]))


def test_a_class_that_has_the_name_of_another():
    """A clone of a layer is of its very class, not of another that is called the same."""

    class Dense(L.Dense):
        def call(self, inputs):
            return super().call(inputs) * 2

    model = Sequential([Dense(2, input_shape=(3,)), L.Dense(2)])
    made = clone_model(model)
    assert [type(layer) for layer in made.layers] == [Dense, L.Dense]
    for make in (copy.deepcopy, pickle.dumps):  # these go by the names
        with pytest.raises(ValueError, match="'Dense' is the name of something of yours and of Keras's"):
            make(model)


def test_a_function_that_has_the_name_of_another():
    def relu(x):
        return x * 5

    alone = Sequential([L.Dense(2, activation=relu, input_shape=(3,)), L.Dense(2)])
    for how in ("deepcopy", "clone_model"):
        check_equal(alone, COPIES[how](alone), X)

    def mean_squared_error(y_true, y_pred):
        return K.mean(K.square(y_true - y_pred), axis=-1) * 2

    alone.compile("sgd", mean_squared_error, metrics=["mse"])
    for how in ("deepcopy", "clone_model"):
        check_equal(alone, COPIES[how](alone), X)
    made = copy.deepcopy(alone)
    assert made.loss is mean_squared_error and made.test_on_batch(X, X[:, :2]) == alone.test_on_batch(X, X[:, :2])
    both = Sequential([L.Dense(2, activation=relu, input_shape=(3,)), L.Dense(2, activation="relu")])
    for make in (copy.deepcopy, pickle.dumps, clone_model):
        with pytest.raises(ValueError, match="'relu' is the name of something of yours and of Keras's"):
            make(both)


def test_shared_layers_are_shared_once_in_a_copy():
    model = branched()
    for how in COPIES:
        made = COPIES[how](model)
        assert len(made.weights) == len(model.weights) and len(made.layers) == len(model.layers)
        assert len(made.get_layer("shared")._inbound_nodes) == 3
        assert made.get_layer("inner").layers[0] is not model.get_layer("inner").layers[0]
        assert len(made.losses) == len(model.losses) == 1


def test_clones_have_new_weights():
    for name, (make, _) in MODELS.items():
        model = make()
        made = clone_model(model)
        trained = [w for w in model.get_weights() if w.ndim == 2 and w.std() > 0]
        again = [w for w in made.get_weights() if w.ndim == 2 and w.std() > 0]
        if name not in ("owned",):
            assert any((a != b).any() for a, b in zip(trained, again)), name
        assert made.optimizer is None


def test_a_function_without_a_module_in_another_process(tmp_path):
    """The pickle of a model with lambdas holds them; what they enclose goes with them."""
    (tmp_path / "m.pickle").write_bytes(pickle.dumps(with_functions_of_no_module()))
    model = with_functions_of_no_module()
    np.save(tmp_path / "x.npy", X)
    program = """
        import pickle, sys
        import numpy as np
        import autotensor as at
        with at.config.use(numba=False):
            model = pickle.load(open(sys.argv[1] + "/m.pickle", "rb"))
            np.save(sys.argv[1] + "/y.npy", model.predict(np.load(sys.argv[1] + "/x.npy")))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.predict(X))


def with_functions_of_no_module() -> Any:
    space: dict[str, Any] = {"L": L, "Model": Model, "K": K, "__name__": "nowhere"}
    exec(
        "def make(factor):\n    x = L.Input((3,))\n    return Model(x, L.Lambda(lambda t: K.square(t) * factor)(x))\n",
        space,
    )
    return space["make"](3)


# -- layers and optimizers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy"])
def test_copies_of_layers(how):
    """A copy stands alone: it has the weights, their rules and penalties, and no place in the old graph."""
    rules = {"kernel_constraint": constraints.MaxNorm(0.5), "kernel_regularizer": regularizers.l2(0.5)}
    inner = Sequential([L.Dense(2, input_shape=(3,))])
    for layer, x in (
        (L.Dense(2, **rules), X),
        (L.BatchNormalization(), X),
        (L.TimeDistributed(inner), STEPS),
        (L.Bidirectional(L.GRU(2, reset_after=True, **rules)), STEPS),
        (L.RNN([L.LSTMCell(2), L.GRUCell(3)]), STEPS),
        (Scaled(3.0, Ramp(2.0)), X),
        (L.Conv1D(2, 3, padding="same"), STEPS),
    ):
        place = L.Input(x.shape[1:])
        model = Model(place, layer(place))
        if how == "copy" and not isinstance(layer, L.Dense):
            continue  # copy.copy is shallow: the weights are the same
        made = COPIES[how](layer)
        again = L.Input(x.shape[1:])
        other = Model(again, made(again))
        np.testing.assert_array_equal(model.predict(x), other.predict(x))
        if how != "copy":
            assert not {id(w) for w in layer.weights} & {id(w) for w in made.weights}
        assert [getattr(w, "constraint", None) is not None for w in made.weights] == [
            getattr(w, "constraint", None) is not None for w in layer.weights
        ]
        assert [float(K.eval(p)) for p in made.losses] == [float(K.eval(p)) for p in layer.losses]
        assert len(layer._inbound_nodes) == 1 and len(made._inbound_nodes) == 1


def test_a_layer_with_a_loss_of_its_own_is_not_copied_without_it():
    class Added(L.Layer):
        def build(self, input_shape):
            self.w = self.add_weight("w", (3,), initializer="ones")
            self.add_loss(K.sum(self.w))
            super().build(input_shape)

    layer = Added()
    layer(L.Input((3,)))
    for make in (copy.deepcopy, pickle.dumps):
        with pytest.raises(NotImplementedError, match="added a loss or an update in build"):
            make(layer)


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_copies_of_optimizers(name, how):
    """Unused, and with state: a copy has the settings and the state, and variables of its own."""
    optimizer = OPTIMIZERS[name]()
    assert COPIES[how](optimizer).get_config() == optimizer.get_config()
    model = chain()
    model.compile(optimizer, "mse")
    model.fit(X, np.zeros((8, 2)), verbose=0, batch_size=4)
    made = COPIES[how](optimizer)
    assert type(made) is type(optimizer) and made.get_config() == optimizer.get_config()
    for a, b in zip(made.get_weights(), optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    made.lr = 0.125
    assert float(K.get_value(optimizer.lr)) != 0.125
    other = chain()
    other.compile(made, "mse")
    other.fit(X, np.zeros((8, 2)), verbose=0)
    assert int(K.get_value(made.iterations)) == int(K.get_value(optimizer.iterations)) + 1


# -- configs of whole models, and the user's own at every depth -------------------------------------------------------


READERS: dict[str, tuple[Callable[[Any], Any], Callable[..., Any]]] = {
    "json": (lambda m: m.to_json(), model_from_json),
    "json, indented": (lambda m: m.to_json(indent=2), model_from_json),
    "yaml": (lambda m: m.to_yaml(), model_from_yaml),
    "config": (lambda m: {"class_name": type(m).__name__, "config": m.get_config()}, model_from_config),
}


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("name", MODELS)
def test_configs_of_models(name, how, level):
    """Through text and back: the same config, and with the same weights the same numbers; at the other level too."""
    make, data = MODELS[name]
    write, read = READERS[how]
    with api_level(level):
        model = make()
        text = write(model)
        for custom in (True, False):
            if custom:
                made = read(text, custom_objects=OWN)
            else:
                with custom_object_scope(OWN):
                    made = read(text)
            assert json.loads(made.to_json()) == json.loads(model.to_json())
            check_equal(model, _with_weights(made, model), data)
    with api_level("2.3" if level == "1.2" else "1.2"):
        made = read(text, custom_objects=OWN)
        assert [x.name for x in made.layers if not x.name.endswith("_input")] == [
            x.name for x in model.layers if not x.name.endswith("_input")
        ]


def test_unknown_classes_are_named_at_every_depth():
    text = owned().to_json()
    with pytest.raises(ValueError, match=r"'Scaled' .*'Ramp' "):
        model_from_json(text)
    with pytest.raises(ValueError, match="got 'Ramp'"):
        model_from_json(text, custom_objects={"Scaled": Scaled})


def test_yaml_without_pyyaml(monkeypatch):
    """What to_yaml writes is read back without the package; other YAML asks for it in one line."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    model = chain()
    assert model_from_yaml(model.to_yaml()).to_json() == model.to_json()
    with pytest.raises(ImportError, match=r"pyyaml") as caught:
        model_from_yaml("class_name: Sequential\nconfig: []\n")
    assert "\n" not in str(caught.value)


def test_yaml_as_keras_wrote_it():
    """Keras 1 and 2 write tuples with a tag of Python's."""
    pytest.importorskip("yaml")
    text = textwrap.dedent("""\
        backend: tensorflow
        class_name: Sequential
        config:
          name: s
          layers:
          - class_name: Dense
            config:
              batch_input_shape: !!python/tuple [null, 3]
              name: d
              units: 4
        keras_version: 2.2.4
        """)
    assert model_from_yaml(text).layers[0].batch_input_shape == (None, 3)
    assert guard.parse_yaml("a: !!python/tuple [1, 2]", "text") in ({"a": [1, 2]}, {"a": (1, 2)})


@pytest.mark.parametrize("name", MODELS)
def test_save_with_and_without_the_optimizer(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    y = targets(model, data)
    model.compile(optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    model.fit(data, y, epochs=1, batch_size=4, shuffle=False, verbose=0)
    for include in (True, False):
        path = str(tmp_path / f"{include}.h5")
        model.save(path, include_optimizer=include)
        with h5py.File(path, "r") as f:
            assert ("training_config" in f.attrs) == ("optimizer_weights" in f) == include
        made = load_model(path, custom_objects=OWN, compile=include)
        assert (made.optimizer is not None) == include
        for a, b in zip(listed(model.predict(data)), listed(made.predict(data))):
            np.testing.assert_array_equal(a, b)
        if include:
            for a, b in zip(model.optimizer.get_weights(), made.optimizer.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
