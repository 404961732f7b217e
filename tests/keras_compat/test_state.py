"""What changes what: weights, learning rates, frozen layers, shared layers, several models and several outputs."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import regularizers
from keras_compat.dialect.level import LEVELS, api_level
from keras_compat.layers import Activation, Dense, Dropout, Input
from keras_compat.models import Model, Sequential, load_model
from keras_compat.optimizers import SGD, Adam

RNG = np.random.default_rng(23)
X = RNG.normal(size=(22, 5)).astype("float32")
Z = RNG.normal(size=(22, 2)).astype("float32")
Y = RNG.normal(size=(22, 3)).astype("float32")
V = RNG.normal(size=(22, 1)).astype("float32")


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    np.random.seed(5)
    yield


def make(optimizer: Any = None, loss: Any = "mse", **kwargs: Any) -> Sequential:
    model = Sequential([Dense(4, input_dim=5, activation="tanh"), Dense(3)])
    model.compile(optimizer or SGD(0.1, momentum=0.9), loss, **kwargs)
    return model


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


def outputs(weights: list[np.ndarray], x: np.ndarray = X) -> np.ndarray:
    """The two layers of ``make`` in float64."""
    k1, b1, k2, b2 = [w.astype("float64") for w in weights]
    return np.tanh(x @ k1 + b1) @ k2 + b2


# -- one step, another model, another compile -------------------------------------------------------------------------


def test_two_models_in_turn_learn_as_each_alone() -> None:
    a, b = make(Adam(0.01)), make(SGD(0.1, momentum=0.9))
    alone = [make(Adam(0.01)), make(SGD(0.1, momentum=0.9))]
    for model, twin in zip((a, b), alone):
        twin.set_weights(model.get_weights())
    for _ in range(5):
        a.train_on_batch(X, Y)
        b.train_on_batch(X, Y)
    for model, twin in zip((a, b), alone):
        for _ in range(5):
            twin.train_on_batch(X, Y)
        assert same(model.get_weights(), twin.get_weights())


@pytest.mark.usefixtures("without_kernels")
def test_compiling_again_keeps_weights_and_drops_the_optimizers_state() -> None:
    model = make()
    model.train_on_batch(X, Y)
    weights = model.get_weights()
    model.compile(SGD(0.1, momentum=0.9), "mae", metrics=["mse"])
    assert same(model.get_weights(), weights)
    loss, mse = model.train_on_batch(X, Y)
    error = outputs(weights) - Y
    assert loss == pytest.approx(np.abs(error).mean(), rel=1e-5) and mse == pytest.approx((error**2).mean(), rel=1e-5)
    fresh = make(SGD(0.1, momentum=0.9), "mae")
    fresh.set_weights(weights)
    fresh.train_on_batch(X, Y)
    assert same(fresh.get_weights(), model.get_weights())


def test_fitting_twice_goes_on_where_the_first_stopped() -> None:
    a, b = make(Adam(0.01)), make(Adam(0.01))
    b.set_weights(a.get_weights())
    a.fit(X, Y, epochs=4, shuffle=False, verbose=0)
    first = b.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    second = b.fit(X, Y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
    assert same(a.get_weights(), b.get_weights())
    assert (first.epoch, second.epoch) == ([0, 1], [2, 3])
    assert b.fit(X, Y, epochs=2, initial_epoch=5, verbose=0).history == {}


@pytest.mark.parametrize("how", ["model.set_weights", "layer.set_weights", "K.set_value", "load_weights"])
@pytest.mark.parametrize("run", ["train_on_batch", "test_on_batch", "evaluate", "predict", "predict_on_batch"])
def test_weights_set_between_batches_are_seen(how: str, run: str, tmp_path: Any) -> None:
    model = make(SGD(0.0))
    new = [RNG.normal(size=w.shape) for w in model.get_weights()]
    if how == "load_weights":
        other = make()
        other.set_weights(new)
        other.save_weights(tmp_path / "w.h5")

    def result() -> Any:
        if run.startswith("predict"):
            return getattr(model, run)(X)
        return getattr(model, run)(X, Y, **({"verbose": 0} if run == "evaluate" else {}))

    for _ in range(2):
        result()
    if how == "model.set_weights":
        model.set_weights(new)
    elif how == "layer.set_weights":
        model.layers[0].set_weights(new[:2])
        model.layers[1].set_weights(new[2:])
    elif how == "K.set_value":
        for w, value in zip(model.weights, new):
            K.set_value(w, value)
    else:
        model.load_weights(tmp_path / "w.h5")
    want = outputs(new)
    if not run.startswith("predict"):
        want = ((want - Y) ** 2).mean()
    np.testing.assert_allclose(result(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["K.set_value", "attribute", "old attribute"])
def test_the_learning_rate_can_change_in_the_middle(how: str) -> None:
    model = make(SGD(0.1))

    def moves() -> bool:
        before = model.get_weights()
        model.train_on_batch(X, Y)
        return not same(before, model.get_weights())

    def rate(value: float) -> None:
        if how == "K.set_value":
            K.set_value(model.optimizer.lr, value)
        elif how == "attribute":
            model.optimizer.learning_rate = value
        else:
            model.optimizer.lr = value
        assert float(K.get_value(model.optimizer.lr)) == pytest.approx(value)

    assert moves() and moves()
    rate(0.0)
    assert not moves()
    rate(0.1)
    assert moves()


# -- frozen layers ----------------------------------------------------------------------------------------------------


def test_freezing_counts_from_the_next_compile() -> None:
    model = make()
    model.train_on_batch(X, Y)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    for run in (lambda: model.fit(X, Y, verbose=0), lambda: model.train_on_batch(X[:5], Y[:5])):
        with pytest.warns(UserWarning, match="Discrepancy between trainable weights") as caught:
            run()
        assert caught[0].filename == __file__  # the user's line, not one of ours
    assert not same(before, model.layers[0].get_weights())
    model.compile(SGD(0.1), "mse")
    before, last = model.layers[0].get_weights(), model.layers[1].get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(X, Y)
    assert same(before, model.layers[0].get_weights()) and not same(last, model.layers[1].get_weights())
    model.layers[0].trainable = True
    model.compile(SGD(0.1), "mse")
    model.train_on_batch(X, Y)
    assert not same(before, model.layers[0].get_weights())


@pytest.mark.usefixtures("without_kernels")
def test_a_frozen_model_is_evaluated_and_learns_nothing() -> None:
    model = make()
    model.trainable = False
    model.compile(SGD(0.1), "mse")
    before = model.get_weights()
    loss = model.train_on_batch(X, Y)
    assert same(before, model.get_weights())
    assert loss == pytest.approx(((outputs(before) - Y) ** 2).mean(), rel=1e-5)
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (0, 4)


@pytest.mark.usefixtures("without_kernels")
def test_a_model_frozen_within_another() -> None:
    """The two halves of a GAN: the same discriminator learns alone and is frozen in the chain."""
    discriminator = Sequential([Dense(1, input_dim=3)])
    discriminator.compile(SGD(0.1), "mse")
    discriminator.trainable = False
    generator = Sequential([Dense(3, input_dim=2)])
    both = Sequential([generator, discriminator])
    both.compile(SGD(0.1), "mse")
    d, g = discriminator.get_weights(), generator.get_weights()
    both.train_on_batch(Z, V)
    assert same(d, discriminator.get_weights()) and not same(g, generator.get_weights())
    g = generator.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns here too, and trains what was compiled
        discriminator.train_on_batch(Y, V)
    assert not same(d, discriminator.get_weights()) and same(g, generator.get_weights())


# -- shared and nested layers -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_kernels")
def test_a_layer_used_twice_has_one_set_of_weights_and_both_gradients() -> None:
    shared = Dense(2, use_bias=False)
    a, b = Input((5,)), Input((5,))
    model = Model([a, b], [shared(a), shared(b)])
    model.compile(SGD(0.1), "mse")
    w = model.get_weights()[0]
    assert len(model.weights) == 1
    model.train_on_batch([X, X[::-1]], [Y[:, :2], Y[:, 1:]])
    gradient = 2 * X.T @ (X @ w - Y[:, :2]) / (22 * 2) + 2 * X[::-1].T @ (X[::-1] @ w - Y[:, 1:]) / (22 * 2)
    np.testing.assert_allclose(model.get_weights()[0], w - 0.1 * gradient, rtol=1e-4, atol=1e-6)
    assert shared.get_output_at(0) is not shared.get_output_at(1)
    with pytest.raises(AttributeError, match="multiple inbound nodes"):
        shared.output


def test_the_same_layer_twice_in_a_chain(tmp_path: Any) -> None:
    again = Dense(5, use_bias=False)
    model = Sequential([again, again])
    model.compile(SGD(0.0), "mse")
    assert model.predict(X).shape == (22, 5)
    (w,) = model.get_weights()
    np.testing.assert_allclose(model.predict(X), X @ w @ w, rtol=1e-4, atol=1e-5)
    assert model.count_params() == 25


@pytest.mark.usefixtures("without_kernels")
def test_nested_models_share_weights_and_are_saved(tmp_path: Any) -> None:
    inner = Sequential([Dense(4, input_dim=5, activation="tanh"), Dropout(0.3)])
    x = Input((5,))
    model = Model(x, Dense(3)(inner(x)))
    model.compile(SGD(0.1), "mse")
    before = inner.get_weights()
    model.train_on_batch(X, Y)
    assert not same(before, inner.get_weights())
    np.testing.assert_allclose(model.predict(X), outputs(model.get_weights()), rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(load_model(tmp_path / "m.h5").predict(X), model.predict(X))


@pytest.mark.usefixtures("without_kernels")
def test_penalties_count_once_however_often_a_layer_is_used() -> None:
    inner = Sequential(
        [Dense(4, input_dim=5, kernel_regularizer="l2", activity_regularizer=regularizers.l1(0.003))], name="inner"
    )
    x = Input((5,))
    inner(Input((5,)))  # a use outside the model: its activity does not count
    y = Dense(3, bias_regularizer="l2", bias_initializer="ones")(inner(x))
    model = Model(x, y)
    model.compile(SGD(0.0), "mse")
    k1, b1, k2, b2 = [w.astype("float64") for w in model.get_weights()]
    h = X @ k1 + b1
    want = ((h @ k2 + b2 - Y) ** 2).mean() + 0.01 * (k1**2).sum() + 0.003 * np.abs(h).sum() + 0.01 * 3
    assert model.test_on_batch(X, Y) == pytest.approx(want, rel=1e-5)
    assert model.train_on_batch(X, Y) == pytest.approx(want, rel=1e-5)
    assert len(model.losses) == 3


# -- several inputs and outputs ---------------------------------------------------------------------------------------


def two_by_two(**kwargs: Any) -> Model:
    a, b = Input((5,), name="a"), Input((2,), name="b")
    model = Model([a, b], [Dense(3, name="p")(a), Dense(1, name="q")(b)])
    model.compile(SGD(0.05), kwargs.pop("loss", {"p": "mse", "q": "mae"}), **kwargs)
    return model


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("level", LEVELS)
def test_data_by_name_is_data_in_order(level: str) -> None:
    with api_level(level):
        model = two_by_two(metrics={"p": "mae"}, loss_weights={"p": 2.0, "q": 0.5})
        p, q = model.predict({"b": Z, "a": X})
        np.testing.assert_array_equal(p, model.predict([X, Z])[0])
        named = model.test_on_batch({"b": Z, "a": X}, {"q": V, "p": Y})
        assert named == model.test_on_batch([X, Z], [Y, V])
        mae = np.abs(p - Y).mean()
        parts = ((p - Y) ** 2).mean(), np.abs(q - V).mean()
        np.testing.assert_allclose(named, [2 * parts[0] + 0.5 * parts[1], *parts, mae], rtol=1e-5)
        last = "p_mae" if level == "2.3" else "p_mean_absolute_error"
        assert model.metrics_names == ["loss", "p_loss", "q_loss", last]
        history = model.fit({"a": X, "b": Z}, {"p": Y, "q": V}, epochs=2, validation_split=0.25, verbose=0).history
        names = ["loss", "p_loss", "q_loss", last]
        assert list(history) == [f"val_{name}" for name in names] + names
        assert all(len(values) == 2 for values in history.values())


@pytest.mark.usefixtures("without_kernels")
def test_weights_of_samples_by_output() -> None:
    model = two_by_two(loss="mse")
    s = RNG.random(22)
    p, q = [v.astype("float64") for v in model.predict([X, Z])]
    got = model.test_on_batch([X, Z], [Y, V], sample_weight={"q": s})
    want = ((p - Y) ** 2).mean() + (s * ((q - V) ** 2)[:, 0]).mean()
    assert got[0] == pytest.approx(want, rel=1e-5)
    assert model.test_on_batch([X, Z], [Y, V], sample_weight=[None, s])[0] == got[0]
    with pytest.raises(ValueError, match="list of 1 elements, but the model has 2 outputs"):
        model.test_on_batch([X, Z], [Y, V], sample_weight=[s])


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["one-hot", "sparse", "sparse column"])
def test_class_weights_for_one_hot_and_sparse_labels(level: str, kind: str) -> None:
    labels = RNG.integers(3, size=22)
    weight = {0: 0.5, 1: 2.0, 2: 3.0}
    with api_level(level):
        model = Sequential([Dense(3, input_dim=5, activation="softmax")])
        model.compile(SGD(0.0), "categorical_crossentropy" if kind == "one-hot" else "sparse_categorical_crossentropy")
        y = np.eye(3)[labels] if kind == "one-hot" else labels if kind == "sparse" else labels[:, None]
        p = model.predict(X).astype("float64")
        each = -np.log(p[np.arange(22), labels]) * np.asarray([weight[int(c)] for c in labels])
        assert model.train_on_batch(X, y, class_weight=weight) == pytest.approx(each.mean(), rel=1e-5)
        history = model.fit(X, y, batch_size=22, class_weight=weight, epochs=1, verbose=0)
        assert history.history["loss"][0] == pytest.approx(each.mean(), rel=1e-5)


# -- evaluation -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("batch_size", [1, 8, 22, 100, None])
def test_evaluate_with_an_incomplete_last_batch(level: str, batch_size: int | None) -> None:
    with api_level(level):
        model = make(metrics=["mae", "mse"])
        error = outputs(model.get_weights()) - Y
        want = [(error**2).mean(), np.abs(error).mean(), (error**2).mean()]
        model.train_on_batch(X[:1], Y[:1])  # running metrics start again
        model.set_weights(model.get_weights())
        error = outputs(model.get_weights()) - Y
        want = [(error**2).mean(), np.abs(error).mean(), (error**2).mean()]
        got = model.evaluate(X, Y, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(got, want, rtol=1e-5)
        np.testing.assert_allclose(
            model.predict(X, batch_size=batch_size), outputs(model.get_weights()), rtol=1e-4, atol=1e-5
        )


@pytest.mark.usefixtures("without_kernels")
def test_metrics_run_on_over_batches_until_they_are_reset() -> None:
    model = make(SGD(0.0), metrics=["mae"])
    error = np.abs(outputs(model.get_weights()) - Y).mean(axis=1)
    assert model.test_on_batch(X[:4], Y[:4])[1] == pytest.approx(error[:4].mean(), rel=1e-5)
    model.reset_metrics()
    model.test_on_batch(X[:4], Y[:4], reset_metrics=False)
    assert model.test_on_batch(X[4:6], Y[4:6], reset_metrics=False)[1] == pytest.approx(error[:6].mean(), rel=1e-5)
    model.reset_metrics()
    assert model.test_on_batch(X[6:], Y[6:], reset_metrics=False)[1] == pytest.approx(error[6:].mean(), rel=1e-5)
    assert model.test_on_batch(X[:4], Y[:4])[1] == pytest.approx(error[:4].mean(), rel=1e-5)


def test_results_are_not_overwritten_by_the_next_call_and_do_not_share_memory() -> None:
    model = Sequential([Activation("linear", input_shape=(5,))])
    x = X.copy()
    a = model.predict_on_batch(x)
    model.predict_on_batch(x + 1)
    np.testing.assert_array_equal(a, X)
    for p in (a, model.predict(x)):
        p[:] = 0
    np.testing.assert_array_equal(x, X)


def test_the_users_arrays_are_left_alone() -> None:
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    model = make()
    model.fit(x, y, verbose=0, validation_split=0.2)
    model.train_on_batch(x, y)
    model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(x, X)


# -- the same again ---------------------------------------------------------------------------------------------------

REPEATABLE = """
import numpy as np
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential

def run():
    np.random.seed(1337)
    x, y = np.random.random((60, 8)), np.eye(4)[np.random.randint(4, size=60)]
    model = Sequential([Dense(16, input_dim=8, activation='relu'), Dropout(0.5), Dense(4, activation='softmax')])
    model.compile('adam', 'categorical_crossentropy', metrics=['accuracy'])
    start = b''.join(w.tobytes() for w in model.get_weights())
    history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0).history
    return start.hex() + repr(sorted(history.items())) + b''.join(w.tobytes() for w in model.get_weights()).hex()
"""


def test_a_seed_gives_the_same_weights_masks_and_history() -> None:
    scope: dict[str, Any] = {}
    exec(REPEATABLE, scope)
    first = scope["run"]()
    assert scope["run"]() == first
    program = f"import sys; sys.path[:0] = {sys.path!r}\n{REPEATABLE}\nprint(run())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first


def test_dropout_draws_anew_each_batch_and_follows_the_seed() -> None:
    def masks() -> list[np.ndarray]:
        np.random.seed(3)
        x = Input((50,))
        f = K.function([x, K.learning_phase()], [Dropout(0.5)(x)])
        return [f([np.ones((2, 50)), 1])[0] for _ in range(2)]

    first, second = masks(), masks()
    assert (first[0] != first[1]).any()
    assert same(first, second)
