"""BatchNormalization against NumPy: both phases, axes, modes, what each API level averages, updates, gradients."""

# Tests call what is wrong on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import BatchNormalization, Dense, Input
from keras_compat.models import Model, Sequential, model_from_json

RNG = np.random.default_rng(13)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def floats(*shape: int) -> np.ndarray:
    return (RNG.normal(size=shape) * 2 + 1).astype("float32")


def along(v: np.ndarray, rank: int, axis: int) -> np.ndarray:
    return v.reshape([-1 if k == axis % rank else 1 for k in range(rank)])


def normed(x: np.ndarray, weights: list[np.ndarray], axis: int = -1, epsilon: float = 1e-3) -> np.ndarray:
    gamma, beta, mean, variance = [along(w, x.ndim, axis) for w in weights]
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def batch_moments(x: np.ndarray, axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    rest = tuple([k for k in range(x.ndim) if k != axis % x.ndim])
    return x.mean(axis=rest), x.var(axis=rest)


def random_weights(n: int) -> list[np.ndarray]:
    return [RNG.uniform(0.5, 1.5, size=n).astype("float32") for _ in range(4)]


CASES = [((6, 4), -1), ((6, 5, 4), -1), ((6, 4, 5), 1), ((3, 4, 5, 2), -1), ((3, 2, 4, 5), 1), ((2, 3, 2, 3, 4), 4)]


@pytest.mark.parametrize("open_shape", [False, True])
@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_both_phases(shape: tuple[int, ...], axis: int, open_shape: bool) -> None:
    known = [n if not open_shape or k == axis % len(shape) - 1 else None for k, n in enumerate(shape[1:])]
    inp = Input(tuple(known))
    layer = BatchNormalization(axis=axis, epsilon=0.01)
    y = layer(inp)
    weights = random_weights(shape[axis])
    layer.set_weights(weights)
    x = floats(*shape)
    f = K.function([inp, K.learning_phase()], [y])
    np.testing.assert_allclose(f([x, 0])[0], normed(x, weights, axis, 0.01), atol=1e-5)
    of_batch = [*weights[:2], *batch_moments(x, axis)]
    np.testing.assert_allclose(f([x, 1])[0], normed(x, of_batch, axis, 0.01), atol=2e-5)
    assert [w.name.rpartition("/")[2] for w in layer.weights] == [
        "gamma:0",
        "beta:0",
        "moving_mean:0",
        "moving_variance:0",
    ]
    assert layer.running_mean is layer.moving_mean and layer.running_std is layer.moving_variance
    assert layer.trainable_weights == [layer.gamma, layer.beta]
    assert y._uses_learning_phase


def averaged_factor(level: str, x: np.ndarray, axis: int, epsilon: float) -> float:
    """What the variance of the batch is multiplied with before it enters the average."""
    n = x.size / x.shape[axis]
    if level == "1.2":
        return 1.0
    return n / (n - 1 - epsilon) * (n / (n - 1) if x.ndim == 4 and axis % 4 == 3 else 1.0)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_moving_averages_of_each_level(shape: tuple[int, ...], axis: int, level: str) -> None:
    momentum, epsilon = 0.8, 1e-2
    with api_level(level):
        model = Sequential([BatchNormalization(axis=axis, momentum=momentum, epsilon=epsilon, input_shape=shape[1:])])
        model.compile("sgd", "mse")
        layer = model.layers[0]
        weights = random_weights(shape[axis])
        layer.set_weights(weights)
        mean, variance = weights[2:]
        if level == "2.2":  # the averages start from nothing, whatever the weights are
            mean, variance = np.zeros_like(mean), np.zeros_like(variance)
        for step in range(1, 4):
            x = floats(*shape)
            model.train_on_batch(x, np.zeros_like(x))
            batch_mean, batch_variance = batch_moments(x, axis)
            batch_variance = batch_variance * averaged_factor(level, x, axis, epsilon)
            mean = momentum * mean + (1 - momentum) * batch_mean
            variance = momentum * variance + (1 - momentum) * batch_variance
            share = 1 - momentum**step if level == "2.2" else 1.0
            np.testing.assert_allclose(K.get_value(layer.moving_mean), mean / share, rtol=2e-4, atol=1e-5)
            np.testing.assert_allclose(K.get_value(layer.moving_variance), variance / share, rtol=2e-4, atol=1e-5)
        before = layer.get_weights()[2:]
        model.predict(x)
        model.test_on_batch(x, x)
        for a, b in zip(before, layer.get_weights()[2:]):
            np.testing.assert_array_equal(a, b)


def test_moving_average_update_of_2_2_is_run_by_eval() -> None:
    with api_level("2.2"):
        average = K.variable([5.0, 5.0])
        value = K.variable([1.0, 2.0])
        update = K.moving_average_update(average, value, 0.9)
    np.testing.assert_allclose(K.eval(update), [1.0, 2.0], rtol=1e-6)
    K.set_value(value, [3.0, 2.0])
    f = K.function([], [average], updates=[update])
    f([])
    expected = (0.9 * 0.1 * 1.0 + 0.1 * 3.0) / (1 - 0.9**2)
    np.testing.assert_allclose(K.get_value(average), [expected, 2.0], rtol=1e-6)


def test_without_center_and_scale() -> None:
    x = floats(6, 4)
    for center, scale, names in ((False, True, ["gamma"]), (True, False, ["beta"]), (False, False, [])):
        inp = Input((4,))
        layer = BatchNormalization(center=center, scale=scale)
        model = Model(inp, layer(inp))
        assert [w.name.rpartition("/")[2] for w in layer.trainable_weights] == [f"{n}:0" for n in names]
        np.testing.assert_allclose(model.predict(x), x / np.sqrt(1 + 1e-3), atol=1e-5)
        f = K.function([inp, K.learning_phase()], [model.output])
        mean, variance = batch_moments(x)
        np.testing.assert_allclose(f([x, 1])[0], (x - mean) / np.sqrt(variance + 1e-3), atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 4)])
def test_mode_1_normalizes_each_sample(shape: tuple[int, ...]) -> None:
    inp = Input(shape[1:])
    layer = BatchNormalization(mode=1, epsilon=0.01)
    model = Model(inp, layer(inp))
    weights = random_weights(4)
    layer.set_weights(weights)
    x = floats(*shape)
    spread = np.sqrt(x.var(axis=-1, keepdims=True) + 0.01) + 0.01
    expected = weights[0] * (x - x.mean(axis=-1, keepdims=True)) / spread + weights[1]
    np.testing.assert_allclose(model.predict(x), expected, atol=1e-5)
    np.testing.assert_allclose(K.function([inp, K.learning_phase()], [model.output])([x, 1])[0], expected, atol=1e-5)
    assert layer.updates == [] and not model.output._uses_learning_phase


def test_mode_2_takes_the_batch_in_testing_too() -> None:
    inp = Input((4,))
    layer = BatchNormalization(mode=2)
    model = Model(inp, layer(inp))
    x = floats(6, 4)
    mean, variance = batch_moments(x)
    np.testing.assert_allclose(model.predict(x), (x - mean) / np.sqrt(variance + 1e-3), atol=1e-5)
    assert layer.updates == [] and not model.output._uses_learning_phase


def test_training_argument() -> None:
    inp = Input((4,))
    layer = BatchNormalization()
    on, off = layer(inp, training=True), layer(inp, training=False)
    x = floats(6, 4)
    by_batch, by_average = K.function([inp], [on, off])([x])
    mean, variance = batch_moments(x)
    np.testing.assert_allclose(by_batch, (x - mean) / np.sqrt(variance + 1e-3), atol=1e-5)
    np.testing.assert_allclose(by_average, x / np.sqrt(1 + 1e-3), atol=1e-5)
    assert len(layer.updates) == 2  # those of the first call


def test_updates_belong_to_inputs() -> None:
    a, b = Input((4,)), Input((4,))
    layer = BatchNormalization()
    x, y = layer(a), layer(b)
    assert len(layer.updates) == 4
    assert len(layer.get_updates_for(a)) == len(layer.get_updates_for(b)) == 2
    assert layer.get_updates_for(None) == []
    assert len(Model(a, x).updates) == 2 and len(Model([a, b], [x, y]).updates) == 4


def test_a_frozen_layer_keeps_its_averages() -> None:
    model = Sequential([BatchNormalization(input_shape=(4,)), Dense(1)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[0].get_weights()
    model.train_on_batch(floats(6, 4), floats(6, 1))
    for old, new in zip(before, model.layers[0].get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("whole_model", [False, True])
@pytest.mark.parametrize(("level", "goes_on"), [("1.2", True), ("2.2", False), ("2.3", False)])
def test_averages_of_a_frozen_layer_go_on_in_keras_1_alone(level: str, goes_on: bool, whole_model: bool) -> None:
    with api_level(level):
        layer = BatchNormalization(input_shape=(4,))
        inner = Sequential([layer])
        (inner if whole_model else layer).trainable = False
        x = Input((4,))
        model = Model(x, Dense(1)(inner(x)))
        model.compile("sgd", "mse")
        before = layer.get_weights()
        data = floats(16, 4) + 3
        model.train_on_batch(data, np.ones((16, 1)))
        gamma, beta, mean, _ = layer.get_weights()
        np.testing.assert_array_equal([gamma, beta], before[:2])
        expected = 0.99 * before[2] + 0.01 * data.mean(0) if goes_on else before[2]
        np.testing.assert_allclose(mean, expected, rtol=1e-4)


def test_called_on_values_it_uses_and_keeps_its_averages() -> None:
    layer = BatchNormalization()
    x = floats(6, 4)
    np.testing.assert_allclose(layer(at.asarray(x)).numpy(), x / np.sqrt(1 + 1e-3), atol=1e-5)
    assert layer.updates == []


def test_config_and_rules() -> None:
    layer = BatchNormalization(
        axis=1,
        momentum=0.9,
        epsilon=1e-4,
        beta_initializer="ones",
        gamma_initializer="random_normal",
        moving_mean_initializer="ones",
        moving_variance_initializer="zeros",
        beta_regularizer="l2",
        gamma_regularizer="l1",
        beta_constraint="non_neg",
        gamma_constraint="max_norm",
        input_shape=(3, 2),
    )
    model = Sequential([layer])
    assert model_from_json(model.to_json()).get_config() == model.get_config()
    assert len(model.losses) == 2
    assert layer.beta.constraint is layer.beta_constraint and layer.gamma.constraint is layer.gamma_constraint
    values = [K.get_value(w) for w in (layer.beta, layer.moving_mean, layer.moving_variance)]
    np.testing.assert_array_equal(values, [np.ones(3), np.ones(3), np.zeros(3)])
    assert "mode" not in layer.get_config()
    assert L.deserialize(L.serialize(BatchNormalization(mode=1))).mode == 1


def test_keras_1_words_and_positions() -> None:
    old = BatchNormalization(epsilon=1e-5, mode=0, axis=1, momentum=0.9, beta_init="one", gamma_init="zero", name="b")
    new = BatchNormalization(
        1, momentum=0.9, epsilon=1e-5, beta_initializer="ones", gamma_initializer="zeros", name="b"
    )
    assert old.get_config() == new.get_config()
    assert BatchNormalization(1e-5, 2, 1, 0.9, name="b").get_config() == {
        **BatchNormalization(1, momentum=0.9, epsilon=1e-5, name="b").get_config(),
        "mode": 2,
    }


def gradients_agree(layer: BatchNormalization, shape: tuple[int, ...], phase: int) -> None:
    inp = Input(shape[1:])
    y = layer(inp)
    weights = [w.astype("float64") for w in random_weights(shape[layer.axis])]
    layer.set_weights(weights)
    x = RNG.normal(size=shape)
    factors = RNG.normal(size=shape)
    loss = K.sum(K.square(y) * K.constant(factors))
    f = K.function([inp, K.learning_phase()], [loss])
    found = K.function([inp, K.learning_phase()], K.gradients(loss, [inp, layer.gamma, layer.beta]))([x, phase])
    for k in range(0, x.size, 3):
        values = []
        for step in (1e-6, -1e-6):
            moved = x.copy()
            moved.flat[k] += step
            values.append(float(f([moved, phase])[0]))
        assert found[0].flat[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6)
    for number in (0, 1):
        values = []
        for step in (1e-6, -1e-6):
            moved_weights = [w.copy() for w in weights]
            moved_weights[number][0] += step
            layer.set_weights(moved_weights)
            values.append(float(f([x, phase])[0]))
        layer.set_weights(weights)
        assert found[1 + number][0] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize(("shape", "axis"), [((4, 3), -1), ((3, 2, 3), 1), ((2, 2, 2, 3), -1)])
def test_gradients(shape: tuple[int, ...], axis: int, mode: int, phase: int) -> None:
    K.set_floatx("float64")
    try:
        gradients_agree(BatchNormalization(axis=axis, mode=mode), shape, phase)
    finally:
        K.set_floatx("float32")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNormalization(mode=3), "mode is 0"),
        (lambda: BatchNormalization(axis=0)(Input((3,))), "other than the batch"),
        (lambda: BatchNormalization(axis=4)(Input((3,))), "axis must name an axis"),
        (lambda: BatchNormalization()(Input((3, None))), "Axis -1 of input tensor should have a defined dimension"),
    ],
)
def test_errors_say_what_is_wrong(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_the_backend_functions(shape: tuple[int, ...], axis: int) -> None:
    x = floats(*shape)
    gamma, beta, mean, variance = random_weights(shape[axis])
    tensors = [K.variable(v) for v in (mean, variance, beta, gamma)]
    wanted = normed(x, [gamma, beta, mean, variance], axis, 0.01)
    np.testing.assert_allclose(
        K.eval(K.batch_normalization(K.variable(x), *tensors, axis=axis, epsilon=0.01)), wanted, atol=1e-5
    )
    # Keras 1 shapes the statistics itself, and knows no axis.
    shaped = [K.variable(along(v, x.ndim, axis)) for v in (mean, variance, beta, gamma)]
    np.testing.assert_allclose(K.eval(K.batch_normalization(K.variable(x), *shaped, epsilon=0.01)), wanted, atol=1e-5)
    rest = [k for k in range(x.ndim) if k != axis % x.ndim]
    of_batch = batch_moments(x, axis)
    for g, b in ((gamma, beta), (None, None)):
        out, *moments = K.normalize_batch_in_training(
            K.variable(x), None if g is None else K.variable(g), None if b is None else K.variable(b), rest, 0.01
        )
        weights = [np.ones_like(gamma) if g is None else g, np.zeros_like(beta) if b is None else b, *of_batch]
        np.testing.assert_allclose(K.eval(out), normed(x, weights, axis, 0.01), atol=2e-5)
        for one, other in zip(moments, of_batch):
            np.testing.assert_allclose(K.eval(one), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("shape", "axis"), CASES[:4])
def test_keras_0_averages_standard_deviations(shape: tuple[int, ...], axis: int) -> None:
    with api_level("0.3"):
        default = BatchNormalization()
        assert (default.epsilon, default.momentum) == (1e-6, 0.9)
        model = Sequential([BatchNormalization(axis=axis, momentum=0.8, epsilon=0.1, input_shape=shape[1:])])
        model.compile("sgd", "mse")
    layer = model.layers[0]
    weights = random_weights(shape[axis])
    layer.set_weights(weights)
    gamma, beta, mean, deviation = [along(w, len(shape), axis) for w in weights]
    x = floats(*shape)
    np.testing.assert_allclose(model.predict(x), gamma * (x - mean) / (deviation + 0.1) + beta, atol=1e-5)
    model.train_on_batch(x, np.zeros_like(x))
    batch_mean, batch_variance = batch_moments(x, axis)
    np.testing.assert_allclose(layer.get_weights()[2], 0.8 * weights[2] + 0.2 * batch_mean, atol=1e-5)
    np.testing.assert_allclose(
        layer.get_weights()[3], 0.8 * weights[3] + 0.2 * np.sqrt(batch_variance + 0.1), atol=1e-5
    )
