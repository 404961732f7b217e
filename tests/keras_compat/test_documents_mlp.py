"""The programs of Keras's guides that need dense layers only, in the spellings of Keras 1 and 2, at every API level.

Each program is run as its author would: names imported from the package, data made up. What they print or return is
checked against what the level promises and against NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat.dialect.level import LEVELS, api_level

RNG = np.random.default_rng(7)
DATA: dict[str, np.ndarray] = {
    "x_train": RNG.random((200, 20)),
    "x_test": RNG.random((50, 20)),
    "y_train": np.eye(10)[RNG.integers(10, size=200)],
    "y_test": np.eye(10)[RNG.integers(10, size=50)],
    "t_train": RNG.integers(2, size=(200, 1)),
    "t_test": RNG.integers(2, size=(50, 1)),
}

IMPORTS = """
import numpy as np
import keras_compat as keras
from keras_compat import backend as K
from keras_compat.models import Sequential, Model, load_model, model_from_json
from keras_compat.layers import Input, Dense, Dropout, Activation, Flatten, Reshape
from keras_compat.optimizers import SGD
from keras_compat.utils.np_utils import to_categorical
"""


WITH_KERNELS = pytest.param((LEVELS[-1], True), id=f"{LEVELS[-1]}-kernels", marks=pytest.mark.slow)


@pytest.fixture(params=[*[pytest.param((name, False), id=name) for name in LEVELS], WITH_KERNELS])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each level; with compiled kernels, which take long to make, only the last, and only among the slow tests."""
    np.random.seed(1337)
    name, kernels = request.param
    with api_level(name), at.config.use(numba=kernels):
        yield name


def run(program: str, **names: Any) -> dict[str, Any]:
    """Run a program with the made-up data in reach and return its names."""
    scope: dict[str, Any] = {**DATA, **names}
    exec(IMPORTS + program, scope)
    return scope


def accuracy_key(level: str) -> str:
    return "accuracy" if level == "2.3" else "acc"


def test_layers_as_a_list_or_one_by_one(level: str) -> None:
    scope = run("""
a = Sequential([Dense(32, input_dim=784), Activation('relu'), Dense(10), Activation('softmax')])
b = Sequential()
b.add(Dense(32, input_dim=784))
b.add(Activation('relu'))
b.add(Dense(output_dim=10))
b.add(Activation('softmax'))
b.set_weights(a.get_weights())
x = np.random.random((3, 784))
""")
    np.testing.assert_array_equal(scope["a"].predict(scope["x"]), scope["b"].predict(scope["x"]))
    np.testing.assert_allclose(scope["a"].predict(scope["x"]).sum(axis=1), 1.0, rtol=1e-5)


def test_ways_to_give_the_input_shape(level: str) -> None:
    scope = run("""
models = [
    Sequential([Dense(32, input_shape=(784,))]),
    Sequential([Dense(32, batch_input_shape=(None, 784))]),
    Sequential([Dense(32, input_dim=784)]),
    Sequential([Dense(output_dim=32, input_dim=784)]),
    Sequential([Dense(units=32, input_shape=(784,))]),
]
fixed = Sequential([Dense(32, input_shape=(784,), batch_size=16)])
""")
    assert [m.input_shape for m in scope["models"]] == [(None, 784)] * 5
    assert [m.output_shape for m in scope["models"]] == [(None, 32)] * 5
    assert scope["fixed"].output_shape == (16, 32)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("Dense(10, activation='softmax')", "'categorical_crossentropy'"),
        ("Dense(1, activation='sigmoid')", "'binary_crossentropy'"),
        ("Dense(1)", "'mse'"),
    ],
)
def test_compile_for_each_kind_of_problem(level: str, output: str, loss: str) -> None:
    scope = run(f"""
model = Sequential([Dense(8, activation='relu', input_dim=20), {output}])
model.compile(optimizer='rmsprop', loss={loss}, metrics=['accuracy'])
target = y_train if model.output_shape[-1] == 10 else t_train
history = model.fit(x_train, target, batch_size=32, epochs=2, verbose=0)
""")
    assert set(scope["history"].history) == {"loss", accuracy_key(level)}
    assert scope["history"].history["loss"][1] < scope["history"].history["loss"][0]


def test_custom_metric_with_backend_mean(level: str) -> None:
    scope = run("""
def mean_pred(y_true, y_pred):
    return K.mean(y_pred)

model = Sequential([Dense(32, activation='relu', input_dim=20), Dense(1, activation='sigmoid')])
model.compile(optimizer='rmsprop', loss='binary_crossentropy', metrics=['accuracy', mean_pred])
loss, accuracy, mean = model.evaluate(x_test, t_test, batch_size=25, verbose=0)
p = model.predict(x_test)
""")
    p, t = scope["p"].astype("float64"), DATA["t_test"]
    assert scope["model"].metrics_names == ["loss", accuracy_key(level), "mean_pred"]
    assert scope["mean"] == pytest.approx(p.mean(), rel=1e-5)
    assert scope["accuracy"] == pytest.approx(((p > 0.5) == t).mean())
    assert scope["loss"] == pytest.approx(-np.log(np.where(t == 1, p, 1 - p)).mean(), rel=1e-5)


@pytest.mark.parametrize("epochs", ["epochs", "nb_epoch"])
def test_binary_classification_of_dummy_data(level: str, epochs: str) -> None:
    scope = run(f"""
model = Sequential()
model.add(Dense(32, activation='relu', input_dim=100))
model.add(Dense(1, activation='sigmoid'))
model.compile(optimizer='rmsprop', loss='binary_crossentropy', metrics=['accuracy'])
data = np.random.random((100, 100))
labels = np.random.randint(2, size=(100, 1))
history = model.fit(data, labels, {epochs}=3, batch_size=32, verbose=0)
""")
    assert scope["history"].epoch == [0, 1, 2]


def test_ten_classes_by_one_hot_labels(level: str) -> None:
    scope = run("""
model = Sequential()
model.add(Dense(32, activation='relu', input_dim=100))
model.add(Dense(10, activation='softmax'))
model.compile(optimizer='rmsprop', loss='categorical_crossentropy', metrics=['accuracy'])
data = np.random.random((100, 100))
labels = np.random.randint(10, size=(100, 1))
one_hot_labels = keras.utils.to_categorical(labels, num_classes=10)
model.fit(data, one_hot_labels, epochs=2, batch_size=32, verbose=0)
older = to_categorical(labels, 10)
""")
    np.testing.assert_array_equal(scope["older"], scope["one_hot_labels"])


def test_one_softmax_unit_predicts_one(level: str) -> None:
    """A mistake of the guide of 1.0: a softmax over one unit is 1 whatever the weights; it must run all the same."""
    scope = run("""
model = Sequential()
model.add(Dense(1, input_dim=20, activation='softmax'))
model.compile(optimizer='rmsprop', loss='binary_crossentropy', metrics=['accuracy'])
model.fit(x_train, t_train, nb_epoch=2, batch_size=32, verbose=0)
p = model.predict(x_test)
""")
    np.testing.assert_array_equal(scope["p"], 1.0)


MLPS = {
    "keras 1": """
model = Sequential()
model.add(Dense(64, input_dim=20, init='uniform'))
model.add(Activation('tanh'))
model.add(Dropout(0.5))
model.add(Dense(64, init='uniform'))
model.add(Activation('tanh'))
model.add(Dropout(0.5))
model.add(Dense(10, init='uniform'))
model.add(Activation('softmax'))
sgd = SGD(lr=0.1, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss='categorical_crossentropy', optimizer=sgd, metrics=['accuracy'])
history = model.fit(x_train, y_train, nb_epoch=4, batch_size=16, verbose=0)
score = model.evaluate(x_test, y_test, batch_size=16, verbose=0)
""",
    "keras 2": """
model = Sequential()
model.add(Dense(64, activation='relu', input_dim=20))
model.add(Dropout(0.5))
model.add(Dense(64, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))
sgd = SGD(lr=0.01, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss='categorical_crossentropy', optimizer=sgd, metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=4, batch_size=128, verbose=0)
score = model.evaluate(x_test, y_test, batch_size=128, verbose=0)
""",
    "adadelta": """
model = Sequential()
model.add(Dense(64, input_dim=20, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(64, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))
model.compile(loss='categorical_crossentropy', optimizer='adadelta', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=4, verbose=0)
score = model.evaluate(x_test, y_test, verbose=0)
""",
}


@pytest.mark.parametrize("name", MLPS)
def test_mlp_for_ten_classes(level: str, name: str) -> None:
    scope = run(MLPS[name])
    p = scope["model"].predict(DATA["x_test"]).astype("float64")
    loss = -np.log((p * DATA["y_test"]).sum(axis=1)).mean()
    hit = (p.argmax(axis=1) == DATA["y_test"].argmax(axis=1)).mean()
    assert scope["score"] == [pytest.approx(loss, rel=1e-4), pytest.approx(hit)]
    assert len(scope["history"].history[accuracy_key(level)]) == 4
    assert np.isfinite(scope["history"].history["loss"]).all()


@pytest.mark.parametrize("first", ["Dense(64, input_dim=20, init='uniform', activation='relu')",
                                   "Dense(64, input_dim=20, activation='relu')"])  # fmt: skip
def test_mlp_for_two_classes(level: str, first: str) -> None:
    scope = run(f"""
model = Sequential()
model.add({first})
model.add(Dropout(0.5))
model.add(Dense(64, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(1, activation='sigmoid'))
model.compile(loss='binary_crossentropy', optimizer='rmsprop', metrics=['accuracy'])
model.fit(x_train, t_train, epochs=2, batch_size=128, verbose=0)
score = model.evaluate(x_test, t_test, batch_size=128, verbose=0)
classes = model.predict_classes(x_test, verbose=0)
""")
    assert scope["score"][1] == pytest.approx((scope["classes"] == DATA["t_test"]).mean())


def test_pipeline_from_network_to_prediction(level: str) -> None:
    scope = run(
        """
model = Sequential()
model.add(Dense(5, input_dim=2, init='glorot_uniform'))
model.add(Activation('relu'))
model.add(Dense(1))
model.add(Activation('sigmoid'))
model.compile(optimizer='sgd', loss='mse', metrics=['accuracy'])
history = model.fit(X, y, batch_size=10, epochs=3, verbose=0)
loss, accuracy = model.evaluate(X, y, verbose=0)
probabilities = model.predict(X)
predictions = [float(np.round(p).item()) for p in probabilities]
again = np.mean(predictions == y)
""",
        X=RNG.normal(size=(40, 2)),
        y=RNG.integers(2, size=40),
    )
    assert scope["accuracy"] == pytest.approx(scope["again"])
    assert scope["loss"] == pytest.approx(np.mean((scope["probabilities"][:, 0] - scope["y"]) ** 2), rel=1e-5)


def test_every_argument_of_dense_in_keras_1_words(level: str) -> None:
    scope = run("""
from keras_compat.regularizers import l1, l2, activity_l2
from keras_compat.constraints import maxnorm, nonneg
model = Sequential([Dense(output_dim=3, init='glorot_uniform', activation='tanh',
                          weights=[np.full((2, 3), 0.5), np.full(3, 0.25)],
                          W_regularizer=l2(0.01), b_regularizer=l1(0.1), activity_regularizer=activity_l2(0.001),
                          W_constraint=maxnorm(1), b_constraint=nonneg(), bias=True, input_dim=2)])
model.compile(SGD(lr=0.1), 'mse')
x = np.array([[1.0, 2.0], [-1.0, 0.5]])
p = model.predict(x)
loss = model.test_on_batch(x, np.zeros((2, 3)))
model.train_on_batch(x, np.ones((2, 3)))
""")
    h = np.tanh(scope["x"] @ np.full((2, 3), 0.5) + 0.25)
    want = (h**2).mean() + 0.01 * 6 * 0.25 + 0.1 * 3 * 0.25 + 0.001 * (h**2).sum()
    np.testing.assert_allclose(scope["p"], h, rtol=1e-5)
    assert scope["loss"] == pytest.approx(want, rel=1e-5)
    kernel, bias = scope["model"].get_weights()
    assert (np.linalg.norm(kernel, axis=0) <= 1 + 1e-6).all() and (bias >= 0).all()


def test_save_and_load_architecture_weights_and_model(level: str, tmp_path: Any) -> None:
    scope = run(
        """
model = Sequential([Dense(8, input_dim=20), Activation('relu'), Dense(10, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
model.fit(x_train, y_train, epochs=1, verbose=0)
json_string = model.to_json()
model.save_weights(folder + '/my_model_weights.h5')
other = model_from_json(json_string)
other.load_weights(folder + '/my_model_weights.h5')
model.save(folder + '/my_model.h5')
whole = load_model(folder + '/my_model.h5')
results = [m.predict(x_test) for m in (model, other, whole)]
lost = whole.train_on_batch(x_train, y_train), model.train_on_batch(x_train, y_train)
""",
        folder=str(tmp_path),
    )
    np.testing.assert_array_equal(scope["results"][0], scope["results"][1])
    np.testing.assert_array_equal(scope["results"][0], scope["results"][2])
    assert scope["lost"][0] == scope["lost"][1]
    for a, b in zip(scope["model"].get_weights(), scope["whole"].get_weights()):
        np.testing.assert_array_equal(a, b)  # the optimizer's state came along


@pytest.mark.parametrize("words", ["input=a, output=b", "inputs=a, outputs=b", "a, b"])
def test_functional_model(level: str, words: str) -> None:
    scope = run(f"""
a = Input(shape=(20,))
h = Dense(16, activation='relu')(a)
h = Reshape((4, 4))(h)
h = Flatten()(h)
b = Dense(10, activation='softmax')(Dropout(0.2)(h))
model = Model({words})
model.compile(optimizer='rmsprop', loss='categorical_crossentropy', metrics=['accuracy'])
before = model.evaluate(x_train, y_train, verbose=0)[0]
for i in range(20):
    model.train_on_batch(x_train, y_train)
after = model.test_on_batch(x_train, y_train)[0]
""")
    assert scope["after"] < scope["before"]


@pytest.mark.parametrize("hook", ["get_output_shape_for", "compute_output_shape"])
def test_custom_layer(level: str, hook: str) -> None:
    weight = (
        "self.W = self.add_weight((input_shape[1], self.output_dim), initializer='glorot_uniform', name='W')"
        if hook == "get_output_shape_for"
        else "self.W = self.add_weight(name='W', shape=(input_shape[1], self.output_dim), initializer='uniform')"
    )
    scope = run(f"""
from keras_compat.engine.topology import Layer

class MyLayer(Layer):
    def __init__(self, output_dim, **kwargs):
        self.output_dim = output_dim
        super(MyLayer, self).__init__(**kwargs)

    def build(self, input_shape):
        {weight}
        super(MyLayer, self).build(input_shape)

    def call(self, x, mask=None):
        return K.dot(x, self.W)

    def {hook}(self, input_shape):
        return (input_shape[0], self.output_dim)

model = Sequential([MyLayer(4, input_shape=(20,)), Dense(1)])
model.compile('sgd', 'mse')
w0 = model.layers[0].get_weights()[0]
p = model.predict(x_test)
model.fit(x_train, t_train, epochs=1, verbose=0)
shapes = model.layers[0].output_shape, model.layers[0].compute_output_shape((None, 20))
older = model.layers[0].get_output_shape_for((None, 20))
""")
    assert scope["shapes"] == ((None, 4), (None, 4)) and scope["older"] == (None, 4)
    w = scope["model"].layers[0].get_weights()[0]
    assert w.shape == (20, 4) and (w != scope["w0"]).any()


@pytest.mark.parametrize("signature", ["params, constraints, loss", "loss, params"])
def test_custom_optimizer(level: str, signature: str) -> None:
    scope = run(f"""
from keras_compat.optimizers import Optimizer

class Plain(Optimizer):
    def __init__(self, lr=0.1, **kwargs):
        super(Plain, self).__init__(**kwargs)
        self.lr = K.variable(lr)

    def get_updates(self, {signature}):
        grads = self.get_gradients(loss, params)
        self.updates = []
        for p, g in zip(params, grads):
            self.updates.append(K.update(p, p - self.lr * g))
        return self.updates

    def get_config(self):
        return {{'lr': float(K.get_value(self.lr))}}

model = Sequential([Dense(1, input_dim=20, bias=False)])
model.compile(Plain(0.05), 'mse')
w0 = model.get_weights()[0]
model.train_on_batch(x_train, t_train)
w1 = model.get_weights()[0]
K.set_value(model.optimizer.lr, 0.0)
model.train_on_batch(x_train, t_train)
w2 = model.get_weights()[0]
""")
    x, t = DATA["x_train"], DATA["t_train"]
    gradient = 2 * x.T @ (x @ scope["w0"] - t) / len(x)
    np.testing.assert_allclose(scope["w1"], scope["w0"] - 0.05 * gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(scope["w2"], scope["w1"])


def test_custom_loss_regularizer_constraint_and_initializer(level: str) -> None:
    scope = run("""
def huber(y_true, y_pred):
    e = K.abs(y_true - y_pred)
    return K.mean(K.switch(K.less(e, 1.0), 0.5 * K.square(e), e - 0.5), axis=-1)

def l1_reg(weight_matrix):
    return 0.01 * K.sum(K.abs(weight_matrix))

class Clip(keras.constraints.Constraint):
    def __init__(self, c):
        self.c = c

    def __call__(self, p):
        return K.clip(p, -self.c, self.c)

    def get_config(self):
        return {'c': self.c}

def my_init(shape, dtype=None):
    return K.random_normal(shape, dtype=dtype)

model = Sequential([Dense(1, input_dim=20, kernel_initializer=my_init, kernel_regularizer=l1_reg,
                          kernel_constraint=Clip(0.3))])
model.compile('sgd', huber)
w = model.get_weights()[0]
p = model.predict(x_test)
loss = model.test_on_batch(x_test, t_test)
model.train_on_batch(x_train, t_train)
after = model.get_weights()[0]
""")
    e = np.abs(scope["p"] - DATA["t_test"])
    want = np.where(e < 1, 0.5 * e**2, e - 0.5).mean() + 0.01 * np.abs(scope["w"]).sum()
    assert scope["loss"] == pytest.approx(want, rel=1e-5)
    assert np.abs(scope["after"]).max() == pytest.approx(0.3)


def test_callback_that_keeps_losses(level: str) -> None:
    scope = run("""
class LossHistory(keras.callbacks.Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get('loss'))

model = Sequential([Dense(10, input_dim=20, init='uniform'), Activation('softmax')])
model.compile(loss='categorical_crossentropy', optimizer='rmsprop')
history = LossHistory()
model.fit(x_train, y_train, batch_size=128, nb_epoch=2, verbose=0, callbacks=[history])
""")
    assert len(scope["history"].losses) == 4 and all(isinstance(v, float) for v in scope["history"].losses)


def test_train_test_and_predict_on_batch(level: str) -> None:
    scope = run("""
model = Sequential([Dense(10, input_dim=20, activation='softmax')])
model.compile(loss='categorical_crossentropy', optimizer='sgd', metrics=['accuracy'])
p = model.predict_on_batch(x_test)
first = model.test_on_batch(x_test, y_test)
trained = model.train_on_batch(x_test, y_test)
second = model.test_on_batch(x_test, y_test)
q = model.predict(x_test, batch_size=7), model.predict_proba(x_test, verbose=0)
""")
    loss = -np.log((scope["p"] * DATA["y_test"]).sum(axis=1)).mean()
    assert scope["first"] == [pytest.approx(loss, rel=1e-5), pytest.approx(scope["trained"][1])]
    assert scope["trained"][0] == pytest.approx(loss, rel=1e-5)
    assert scope["second"][0] < scope["first"][0]
    # Rows are multiplied in blocks, so that the size of a batch shows in the last digits.
    np.testing.assert_allclose(*scope["q"], rtol=1e-6)


def test_default_number_of_epochs_is_the_levels(level: str) -> None:
    scope = run("""
model = Sequential([Dense(1, input_dim=20)])
model.compile('sgd', 'mse')
history = model.fit(x_train, t_train, verbose=0)
""")
    assert len(scope["history"].epoch) == (10 if level == "1.2" else 1)
