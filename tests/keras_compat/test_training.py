"""Training against NumPy: steps, weights of samples and classes, epochs, shuffling, validation, callbacks, errors."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="override, union-attr"

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import callbacks
from keras_compat.dialect.level import api_level
from keras_compat.engine.training import batch_shuffle
from keras_compat.layers import Activation, Dense, Dropout, Input, Lambda, SimpleRNN
from keras_compat.models import Model, Sequential
from keras_compat.optimizers import SGD

pytestmark = pytest.mark.usefixtures("without_kernels")

RNG = np.random.default_rng(11)
X = RNG.normal(size=(22, 3)).astype("float32")
Y = RNG.normal(size=(22, 2)).astype("float32")
W0 = RNG.normal(size=(3, 2)).astype("float32")


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    np.random.seed(1)
    yield


def linear(lr: float = 0.1, **compile_arguments: Any) -> Sequential:
    model = Sequential([Dense(2, use_bias=False, weights=[W0], input_shape=(3,))])
    model.compile(SGD(lr), "mse", **compile_arguments)
    return model


def step(w: np.ndarray, x: np.ndarray, y: np.ndarray, lr: float, weights: Any = 1.0) -> tuple[np.ndarray, float]:
    """One step of gradient descent on sum(weights * mse) / n, in float64."""
    error = x @ w - y
    s = np.broadcast_to(np.asarray(weights, dtype="float64"), len(x))
    loss = (s * (error**2).mean(axis=1)).sum() / len(x)
    gradient = x.T @ (s[:, None] * error) * 2 / (y.shape[1] * len(x))
    return w - lr * gradient, loss


def test_train_on_batch_is_gradient_descent() -> None:
    model = linear()
    w = W0.astype("float64")
    for _ in range(3):
        w, loss = step(w, X, Y, 0.1)
        assert model.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)


def test_fit_goes_through_all_batches_in_order() -> None:
    model = linear()
    w, total = W0.astype("float64"), 0.0
    for start in range(0, 22, 8):
        part = X[start : start + 8], Y[start : start + 8]
        w, loss = step(w, *part, 0.1)
        total += loss * len(part[0])
    history = model.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    assert history.history["loss"] == [pytest.approx(total / 22, rel=1e-5)]
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)


def test_shuffling_follows_numpys_seed() -> None:
    model = linear()
    np.random.seed(42)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    np.random.seed(42)
    order = np.arange(22)
    np.random.shuffle(order)
    w = W0.astype("float64")
    for start in range(0, 22, 8):
        rows = order[start : start + 8]
        w, _ = step(w, X[rows], Y[rows], 0.1)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)


def test_batches_of_one_number_a_sample_again_and_again() -> None:
    """The second call of a kind skips the checks; an output without a feature axis takes targets without one."""
    x = Input((2,))
    model = Model(x, Lambda(lambda t: K.sum(t, axis=1))(Dense(2)(x)))
    model.compile("sgd", "mse")
    X1, y = np.ones((3, 2), "float32"), np.arange(3.0)
    want = np.mean((model.predict(X1) - y) ** 2)
    np.testing.assert_allclose([model.test_on_batch(X1, y) for _ in range(3)], want, rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(X1, y), want, rtol=1e-5)
    assert model.train_on_batch(X1, y) < want


def test_shuffling_batches_keeps_samples_together() -> None:
    np.random.seed(0)
    order = batch_shuffle(np.arange(22), 8)
    assert sorted(order.tolist()) == list(range(22))
    assert (np.diff(order[:8]) == 1).all() and order[16:].tolist() == list(range(16, 22))
    linear().fit(X, Y, batch_size=8, shuffle="batch", verbose=0)
    with pytest.raises(ValueError, match="shuffle must be"):
        linear().fit(X, Y, shuffle="yes", verbose=0)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_sample_weights_by_level(level: str) -> None:
    weights = np.tile([0.0, 2.0], 11)
    with api_level(level):
        model = linear()
        got = model.train_on_batch(X, Y, sample_weight=weights)
    share = 1.0 if level == "2.3" else 0.5  # the older ones divide by the share of weights that are not 0
    w, loss = step(W0.astype("float64"), X, Y, 0.1, weights / share)
    assert got == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)


def test_weighted_and_unweighted_steps_share_the_optimizer() -> None:
    a, b = linear(), linear()
    for model in (a, b):
        model.compile(SGD(0.1, momentum=0.9), "mse")
    for _ in range(3):
        a.train_on_batch(X, Y)
        b.train_on_batch(X, Y, sample_weight=np.ones(22))
        a.train_on_batch(X, Y, sample_weight=np.ones(22))
        b.train_on_batch(X, Y)
    np.testing.assert_allclose(a.get_weights()[0], b.get_weights()[0], rtol=1e-6)
    assert len(a.optimizer.weights) == len(b.optimizer.weights) == 2


def test_class_weights_are_sample_weights() -> None:
    labels = RNG.integers(0, 2, 22)
    one_hot = np.eye(2)[labels]
    by_class, by_sample = linear(), linear()
    by_class.fit(X, one_hot, class_weight={0: 0.5, 1: 3.0}, shuffle=False, verbose=0)
    by_sample.fit(X, one_hot, sample_weight=np.array([0.5, 3.0])[labels], shuffle=False, verbose=0)
    np.testing.assert_array_equal(by_class.get_weights()[0], by_sample.get_weights()[0])
    with pytest.raises(ValueError, match=r"The classes \[1\] exist in the data"):
        linear().fit(X, one_hot, class_weight={0: 1.0}, verbose=0)


def test_temporal_weights() -> None:
    x = RNG.normal(size=(4, 5, 3)).astype("float32")
    y = np.zeros((4, 5, 2))
    w = RNG.random((4, 5))
    model = Sequential([Dense(2, use_bias=False, weights=[W0], input_shape=(5, 3))])
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    want = (((x @ W0) ** 2).mean(axis=-1) * w).sum() / 20
    assert model.test_on_batch(x, y, sample_weight=w) == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match="pass a 2D sample_weight"):
        model.fit(x, y, sample_weight=w[:, 0], verbose=0)


def test_validation_split_takes_the_end_before_shuffling() -> None:
    model = linear(lr=0.0)
    history = model.fit(X, Y, validation_split=0.25, verbose=0).history
    error = ((X @ W0 - Y) ** 2).mean(axis=1)
    assert history["loss"][0] == pytest.approx(error[:16].mean(), rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(error[16:].mean(), rel=1e-5)


def test_validation_data_with_weights_and_metrics() -> None:
    model = linear(metrics=["mae"])
    weights = RNG.random(5)
    history = model.fit(X, Y, validation_data=(X[:5], Y[:5], weights), epochs=2, verbose=0).history
    error = X[:5] @ model.get_weights()[0] - Y[:5]
    assert history["val_loss"][1] == pytest.approx((weights * (error**2).mean(axis=1)).mean(), rel=1e-4)
    assert history["val_mae"][1] == pytest.approx(np.abs(error).mean(), rel=1e-4)


def test_evaluate_averages_over_samples_not_batches() -> None:
    model = linear(metrics=["mae"])
    error = X @ W0 - Y
    for size in (22, 8, 5, 1):
        loss, mae = model.evaluate(X, Y, batch_size=size, verbose=0)
        assert loss == pytest.approx((error**2).mean(), rel=1e-5)
        assert mae == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_predict_in_batches_of_any_size() -> None:
    model = linear()
    for size in (1, 7, 22, 100):
        np.testing.assert_allclose(model.predict(X, batch_size=size), X @ W0, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X[:4]), X[:4] @ W0, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X[:3].astype("float64")), X[:3] @ W0, rtol=1e-4, atol=1e-5)


def test_metrics_start_again_at_each_batch_unless_told() -> None:
    model = linear(lr=0.0, metrics=["mae"])
    error = np.abs(X @ W0 - Y).mean(axis=1)
    for _ in range(3):  # the third call takes the fast path
        assert model.train_on_batch(X[:4], Y[:4])[1] == pytest.approx(error[:4].mean(), rel=1e-5)
    model.reset_metrics()
    model.train_on_batch(X[:4], Y[:4], reset_metrics=False)
    running = model.train_on_batch(X[4:12], Y[4:12], reset_metrics=False)[1]
    assert running == pytest.approx(error[:12].mean(), rel=1e-5)
    assert K.eval(model.metrics[0].result()) == pytest.approx(running)


@pytest.mark.parametrize(("level", "name"), [("1.2", "acc"), ("2.2", "acc"), ("2.3", "accuracy")])
def test_accuracy_by_level(level: str, name: str) -> None:
    with api_level(level):
        model = Sequential([Dense(2, activation="softmax", input_shape=(3,))])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        assert model.metrics_names == ["loss", name]
        labels = RNG.integers(0, 2, 22)
        got = model.evaluate(X, labels, batch_size=8, verbose=0)[1]
    assert got == pytest.approx((model.predict(X).argmax(axis=1) == labels).mean(), abs=1e-6)


def test_two_outputs() -> None:
    x = Input((3,))
    model = Model(x, [Dense(1, name="a", use_bias=False)(x), Dense(2, name="b", use_bias=False, weights=[W0])(x)])
    model.compile("sgd", {"a": "mae", "b": "mse"}, loss_weights={"a": 0.25}, metrics={"b": ["mae", "accuracy"]})
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "b_mae", "b_accuracy"]
    ya = RNG.normal(size=22)
    pa, pb = model.predict(X)
    a, b = np.abs(pa[:, 0] - ya).mean(), ((pb - Y) ** 2).mean()
    got = model.evaluate(X, {"a": ya, "b": Y}, batch_size=11, verbose=0)
    assert got[:4] == pytest.approx([0.25 * a + b, a, b, np.abs(pb - Y).mean()], rel=1e-4)
    with pytest.raises(ValueError, match='Unknown entry in loss dictionary: "c"'):
        model.compile("sgd", {"c": "mse"})
    with pytest.raises(ValueError, match="one entry per model output"):
        model.compile("sgd", ["mse"])


def test_an_output_without_loss_needs_no_targets() -> None:
    x = Input((3,))
    y = Dense(2, name="b")(x)
    model = Model(x, [Activation("tanh", name="a")(y), y])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile("sgd", {"b": "mse"})
    history = model.fit(X, Y, verbose=0).history
    assert set(history) == {"loss", "b_loss"}


def test_users_loss_and_metric() -> None:
    def doubled(y_true: Any, y_pred: Any) -> Any:
        return 2 * K.mean(K.square(y_true - y_pred), axis=-1)

    def biggest(y_true: Any, y_pred: Any) -> Any:
        return K.max(y_pred)

    model = Sequential([Dense(2, use_bias=False, weights=[W0], input_shape=(3,))])
    model.compile("sgd", doubled, metrics=[biggest])
    loss, big = model.test_on_batch(X, Y)
    assert loss == pytest.approx(2 * ((X @ W0 - Y) ** 2).mean(), rel=1e-5)
    assert big == pytest.approx((X @ W0).max(), rel=1e-5)
    assert model.metrics_names == ["loss", "biggest"]


def test_penalties_are_in_the_loss_and_follow_the_weights() -> None:
    model = Sequential([Dense(2, use_bias=False, weights=[W0], kernel_regularizer="l2", input_shape=(3,))])
    model.compile(SGD(0.1), "mse")
    for _ in range(2):
        w = model.get_weights()[0]
        want = ((X @ w - Y) ** 2).mean() + 0.01 * (w**2).sum()
        assert model.train_on_batch(X, Y) == pytest.approx(want, rel=1e-5)


def test_dropout_acts_in_training_only() -> None:
    model = Sequential([Dropout(0.5, input_shape=(400,)), Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(SGD(0.0), "mse")
    x = np.ones((4, 400))
    assert (model.predict(x) == 400).all()
    assert model.test_on_batch(x, np.full(4, 400)) == 0
    losses = {float(model.train_on_batch(x, np.full(4, 400))) for _ in range(4)}
    assert 0 not in losses and len(losses) == 4


def test_frozen_layers_do_not_move() -> None:
    model = Sequential([Dense(4, input_shape=(3,), trainable=False), Dense(2)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights())]
    assert moved == [False, False, True, True]
    model.layers[0].trainable = True
    with pytest.warns(UserWarning, match="Discrepancy between trainable weights"):
        model.train_on_batch(X[:5], Y[:5])


def test_initial_epoch_and_stop_training() -> None:
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 4:
                self.model.stop_training = True

    history = linear().fit(X, Y, epochs=9, initial_epoch=2, callbacks=[Stop()], verbose=0)
    assert history.epoch == [2, 3, 4]


def test_callbacks_are_told_in_order() -> None:
    told: list[str] = []
    spy = callbacks.LambdaCallback(
        on_train_begin=lambda logs: told.append("begin"),
        on_epoch_begin=lambda epoch, logs: told.append(f"epoch {epoch}"),
        on_batch_begin=lambda batch, logs: told.append(f"batch {logs['batch']} of {logs['size']}"),
        on_batch_end=lambda batch, logs: told.append(",".join(logs)),
        on_epoch_end=lambda epoch, logs: told.append(",".join(sorted(logs))),
        on_train_end=lambda logs: told.append("end"),
    )
    linear().fit(X, Y, batch_size=16, callbacks=[spy], validation_data=(X, Y), verbose=0)
    assert told == [
        "begin",
        "epoch 0",
        "batch 0 of 16",
        "batch,size,loss",
        "batch 1 of 6",
        "batch,size,loss",
        "loss,val_loss",
        "end",
    ]


def test_hooks_nobody_defines_are_not_called() -> None:
    hooks = callbacks.CallbackList([callbacks.History(), callbacks.BaseLogger()])
    assert hooks.listeners("on_train_batch_begin") == []
    assert len(hooks.listeners("on_train_batch_end")) == 1

    class New(callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            pass

    hooks.append(New())
    assert len(hooks.listeners("on_train_batch_begin")) == 1


def test_callback_params() -> None:
    seen: dict[str, Any] = {}

    class Spy(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            seen.update(self.params)

    linear(metrics=["mae"]).fit(X, Y, batch_size=5, epochs=1, validation_split=0.5, callbacks=[Spy()], verbose=0)
    assert seen["samples"] == 11 and seen["batch_size"] == 5 and seen["do_validation"]
    assert seen["metrics"] == ["loss", "mae", "val_loss", "val_mae"]


def test_the_callers_arrays_are_left_alone() -> None:
    x, y, w = X.astype("float64"), Y.astype("float64"), np.ones(22)
    copies = x.copy(), y.copy(), w.copy()
    for a in (x, y, w):
        a.flags.writeable = False
    model = linear()
    model.fit(x, y, sample_weight=w, batch_size=7, epochs=2, validation_split=0.2, verbose=0)
    model.train_on_batch(x, y)
    model.predict(x)
    for a, b in zip((x, y, w), copies):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("convert", [list, tuple, np.ndarray.tolist, lambda a: a.astype("float16"), np.asfortranarray])
def test_data_of_many_kinds(convert: Any) -> None:
    x = convert(X)
    want = ((np.asarray(x, dtype="float32") @ W0 - Y) ** 2).mean()
    model = linear()
    assert model.evaluate(x, Y.tolist(), verbose=0) == pytest.approx(want, rel=1e-3)


def test_integer_and_bool_data() -> None:
    model = linear()
    x = RNG.integers(0, 2, size=(6, 3))
    for kind in ("int64", "uint8", "bool"):
        np.testing.assert_allclose(model.predict(x.astype(kind)), x @ W0, rtol=1e-4, atol=1e-5)


def test_floats_for_an_input_of_whole_numbers_or_bools_are_cut() -> None:
    a, b = Input((2,), dtype="int32"), Input((2,), dtype="bool")
    model = Model([a, b], Lambda(lambda v: K.cast(v[0], "float32") * K.cast(v[1], "float32"))([a, b]))
    model.compile("sgd", "mse")
    x, on = np.array([[1.9, 2.0], [0.2, 3.5]]), np.array([[1, 0], [1, 1]])
    wanted = np.array([[1, 0], [0, 3]])
    for call in (model.predict, model.predict_on_batch):
        np.testing.assert_array_equal(call([x, on]), wanted)
    assert model.evaluate([x, on], wanted, verbose=0) == model.test_on_batch([x, on], wanted) == 0
    one = Model(a, Lambda(lambda v: K.cast(v, "float32"))(a))
    one.compile("sgd", "mse")
    for _ in range(3):  # the second call is a shorter way
        assert one.test_on_batch(x, np.floor(x)) == 0
    assert next(iter(one.predict_generator(iter([x]), steps=1).ravel())) == 1


class Frame:
    """A table that only offers ``__array__``."""

    def __init__(self, values: np.ndarray):
        self.values_ = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.values_


def test_objects_with_array_protocol() -> None:
    np.testing.assert_allclose(linear().predict(Frame(X)), X @ W0, rtol=1e-4, atol=1e-5)


BAD = [
    (lambda m: m.fit(X[:, :2], Y), r"expected dense_\d+_input to have shape \(3,\) but got array with shape \(2,\)"),
    (lambda m: m.fit(X[None], Y[None]), "to have 2 dimensions, but got array with shape"),
    (lambda m: m.fit(X, Y[:5]), "Found 22 input samples and 5 target samples"),
    (lambda m: m.fit(X), "expected targets"),
    (lambda m: m.fit(X, Y[:, :1]), r"expected dense_\d+ to have shape \(2,\) but got array with shape \(1,\)"),
    (lambda m: m.fit([X, X], Y), "Expected to see 1 array"),
    (lambda m: m.fit({"wrong": X}, Y), "No data provided for"),
    (lambda m: m.fit(X[:0], Y[:0]), "at least one sample"),
    (lambda m: m.predict(X[:0]), "at least one sample"),
    (lambda m: m.evaluate(X[:0], Y[:0]), "at least one sample"),
    (lambda m: m.train_on_batch(X[:0], Y[:0]), "at least one sample"),
    (lambda m: m.fit(X, Y, batch_size=0), "batch_size must be"),
    (lambda m: m.fit(X, Y, batch_size=2.5), "batch_size must be"),
    (lambda m: m.fit(X, Y, validation_split=1.5), "validation_split must be"),
    (lambda m: m.fit(X, Y, validation_data=(X,)), "however it contains 1 items"),
    (lambda m: m.fit(X, Y, sample_weight=np.ones((22, 2))), "1D"),
    (lambda m: m.fit(X, Y, sample_weight=np.ones(5)), "cannot be broadcast"),
    (lambda m: m.predict([[1.0, 2.0, 3.0], [1.0]]), "Pad"),
    (lambda m: m.predict(np.array([["a", "b", "c"]])), "expected numbers"),
    (lambda m: m.predict(np.array([[None, 1, object()]])), "expected numbers"),
    (lambda m: m.fit(X, Y, epoch=3), "epoch"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    model = linear()
    with pytest.raises((ValueError, TypeError), match=message):
        call(model)
    np.testing.assert_array_equal(model.get_weights()[0], W0)


def test_compile_comes_first() -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(RuntimeError, match="must compile a model before"):
            call(X, Y)


@pytest.mark.parametrize("bad", [5, -1, 0.5, float("nan")])
def test_bad_labels_are_named(bad: float) -> None:
    model = Sequential([Dense(2, activation="softmax", input_shape=(3,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.zeros(22)
    model.train_on_batch(X, labels)
    labels[7] = bad
    for call in (model.train_on_batch, model.test_on_batch, model.fit):
        with pytest.raises(ValueError, match="class numbers from 0 to 1; got .* at sample 7"):
            call(X, labels)


def test_unknown_names() -> None:
    model = Sequential([Dense(2, input_shape=(3,))])
    with pytest.raises(ValueError, match="mean_square"):
        model.compile("sgd", "mean_square")
    with pytest.raises(ValueError, match="sdg"):
        model.compile("sdg", "mse")
    with pytest.raises(ValueError, match="acuracy"):
        model.compile("sgd", "mse", metrics=["acuracy"])


def test_a_batch_goes_straight_to_the_compiled_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second batch of a kind is not standardized again; what that costs is measured in benchmarks."""
    model = Sequential([Dense(8, activation="relu", input_dim=20), Dense(10, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((16, 20), "float32"), np.zeros((16, 10), "float32")
    first = model.train_on_batch(x, y)
    monkeypatch.setattr(model, "_standardize", lambda *args, **kwargs: pytest.fail("standardized again"))
    second = model.train_on_batch(x, y)
    assert len(first) == len(second) == 2


class Own(Model):
    """A model with its own call, as Keras 2.2 and later take it."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.hidden = Dense(4, activation="tanh", kernel_regularizer="l2")
        self.drop = Dropout(0.2)
        self.out = Dense(2)

    def call(self, x: Any) -> Any:
        return self.out(self.drop(self.hidden(x)))


@pytest.mark.parametrize("level", ["2.2", "2.3"])
def test_a_model_with_its_own_call(level: str) -> None:
    with api_level(level):
        model = Own()
        model.compile(SGD(0.1), "mse")
        model.fit(X, Y, verbose=0)
        before = model.evaluate(X, Y, verbose=0)
        model.fit(X, Y, epochs=100, verbose=0)
        assert model.evaluate(X, Y, verbose=0) < before
        (k1, b1), (k2, b2) = model.hidden.get_weights(), model.out.get_weights()
        np.testing.assert_allclose(model.predict(X), np.tanh(X @ k1 + b1) @ k2 + b2, atol=1e-5)
        assert len(model.trainable_weights) == 4 and len(model.losses) == 1
        with pytest.raises(NotImplementedError, match="its own call"):
            model.save("never.h5")


def test_models_are_independent_of_each_others_state() -> None:
    a, b = linear(), linear()
    a.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(b.get_weights()[0], W0)


def test_steps_for_a_model_fed_by_tensors() -> None:
    x = Input(tensor=K.variable(X))
    model = Model(x, Dense(2, use_bias=False, weights=[W0])(x))
    model.compile(SGD(0.1), "mse", target_tensors=[K.variable(Y)])
    w = W0.astype("float64")
    losses = []
    for _ in range(3):
        w, loss = step(w, X, Y, 0.1)
        losses.append(loss)
    history = model.fit(steps_per_epoch=3, epochs=1, verbose=0).history
    assert history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-5)
    assert model.evaluate(steps=1, verbose=0) == pytest.approx(step(w, X, Y, 0.1)[1], rel=1e-4)


def test_predict_of_less_than_a_batch_with_states() -> None:
    """Keras refuses samples that the batch size does not divide only where there is more than one batch of them."""
    model = Sequential([SimpleRNN(2, stateful=True, batch_input_shape=(1, 3, 2))])
    x = RNG.normal(size=(1, 3, 2))
    assert model.predict(x).shape == (1, 2)
    with pytest.raises(ValueError, match="divided by the batch size. Found: 3 samples with batch size 2"):
        model.predict(np.repeat(x, 3, axis=0), batch_size=2)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_a_loss_per_sample_that_is_declared_as_a_column(level: str) -> None:
    with api_level(level):
        a = Input((3,))
        squares = Lambda(lambda t: K.sum(K.square(t), axis=-1), output_shape=(1,))(a)
        assert K.int_shape(squares) == (None, 1)
        model = Model(a, squares)
        model.compile("sgd", lambda y_true, y_pred: y_pred)
        want = (X**2).sum(axis=1).mean()
        assert model.evaluate(X, np.zeros(22), verbose=0) == pytest.approx(want, rel=1e-5)
        assert model.train_on_batch(X, np.zeros((22, 1))) == pytest.approx(want, rel=1e-5)


def test_one_number_per_sample_that_is_declared_so() -> None:
    a = Input((3,))
    model = Model(a, Lambda(lambda t: K.sum(t, axis=-1))(a))
    model.compile("sgd", lambda y_true, y_pred: K.square(y_true - y_pred))
    want = ((X.sum(axis=1) - Y[:, 0]) ** 2).mean()
    assert model.evaluate(X, Y[:, 0], verbose=0) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_callbacks_find_the_validation_data(weighted: bool) -> None:
    seen: list[Any] = []

    class Look(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(self.validation_data)

    a = Input((3,))
    model = Model(a, Dense(2)(Dropout(0.5)(a)))
    model.compile("sgd", "mse")
    weights = RNG.random(5).astype("float32")
    data = (X[:5], Y[:5], weights) if weighted else (X[:5], Y[:5])
    model.fit(X, Y, validation_data=data, callbacks=[Look()], verbose=0)
    x, y, w, phase = seen[0]
    np.testing.assert_array_equal(x, X[:5])
    np.testing.assert_array_equal(y, Y[:5])
    np.testing.assert_array_equal(w, weights if weighted else np.ones(5))
    assert phase == 0.0 and model.validation_data is seen[0]


def test_a_training_step_of_the_users() -> None:
    model = linear()
    got: list[Any] = []

    def own(arrays: list[Any]) -> list[float]:
        got.append([a.shape for a in arrays])
        return [7.0]

    model.train_function = own
    assert model.train_function is own
    assert model.train_on_batch(X[:4], Y[:4]) == 7.0
    assert model.fit(X, Y, batch_size=22, verbose=0).history["loss"] == [7.0]
    assert got == [[(4, 3), (4, 2), (4,)], [(22, 3), (22, 2), (22,)]]
    np.testing.assert_array_equal(model.get_weights()[0], W0)
    model.train_function = None
    w, loss = step(W0, X, Y, 0.1)
    assert model.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-5)
    model.test_function = lambda arrays: [float(len(arrays))]
    assert model.test_on_batch(X, Y) == 3.0
    model.predict_function = lambda arrays: [2 * arrays[0]]
    np.testing.assert_allclose(model.predict(X), 2 * X, rtol=1e-6)
    model.predict_function = None
    np.testing.assert_allclose(model.predict(X), X @ w, rtol=1e-4, atol=1e-5)
    model.compile("sgd", "mse")
    assert model.train_function is None and model.test_function is None


@pytest.mark.parametrize("given", ["auto", [1.0, 2.0], np.array([1.0, 2.0])])
def test_class_weights_that_are_no_dictionary_have_no_effect(given: Any) -> None:
    plain, warned = linear(), linear()
    plain.fit(X, Y, shuffle=False, verbose=0)
    with pytest.warns(UserWarning, match="expected a dictionary .*no effect, as in Keras"):
        warned.fit(X, Y, shuffle=False, verbose=0, class_weight=given)
    np.testing.assert_array_equal(plain.get_weights()[0], warned.get_weights()[0])
