"""Activation layers against NumPy: values, weights, shared axes, configs, gradients, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import Input
from keras_compat.models import Model, Sequential

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def run(layer: Any, x: np.ndarray) -> np.ndarray:
    inp = Input(batch_shape=(None, *x.shape[1:]))
    model = Model(inp, layer(inp))
    assert model.output_shape == (None, *x.shape[1:])
    return model.predict(x)


X = np.linspace(-3, 3, 24, dtype="float32").reshape(2, 3, 4)

PLAIN: list[tuple[Any, Any]] = [
    (lambda: L.LeakyReLU(), lambda x: np.where(x >= 0, x, 0.3 * x)),
    (lambda: L.LeakyReLU(alpha=0.1), lambda x: np.where(x >= 0, x, 0.1 * x)),
    (lambda: L.ELU(), lambda x: np.where(x >= 0, x, np.expm1(x))),
    (lambda: L.ELU(0.7), lambda x: np.where(x >= 0, x, 0.7 * np.expm1(x))),
    (lambda: L.ThresholdedReLU(), lambda x: np.where(x > 1, x, 0)),
    (lambda: L.ThresholdedReLU(theta=-0.5), lambda x: np.where(x > -0.5, x, 0)),
    (lambda: L.ThresholdedLinear(theta=0.8), lambda x: np.where(np.abs(x) >= 0.8, x, 0)),
    (lambda: L.Softmax(), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    (lambda: L.Softmax(axis=1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    (lambda: L.ReLU(), lambda x: np.maximum(x, 0)),
    (lambda: L.ReLU(6.0), lambda x: np.clip(x, 0, 6)),
    (lambda: L.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.5),
     lambda x: np.where(x >= 1.5, 1.5, np.where(x >= 0.5, x, 0.2 * (x - 0.5)))),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), PLAIN)
def test_values(make: Any, expected: Any) -> None:
    layer = make()
    np.testing.assert_allclose(run(layer, X), expected(X), atol=1e-6)
    again = L.deserialize(L.serialize(layer))
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(run(again, X), run(layer, X))
    np.testing.assert_allclose(layer(at.asarray(X)).numpy(), expected(X), atol=1e-6)
    assert layer.supports_masking and layer.weights == []


@pytest.mark.parametrize("shared", [None, [1], [2], [1, 2], 1])
def test_prelu_has_a_slope_per_feature(shared: Any) -> None:
    layer = L.PReLU(alpha_initializer="random_uniform", shared_axes=shared)
    y = run(layer, X)
    (alpha,) = layer.get_weights()
    axes = [] if shared is None else [shared] if isinstance(shared, int) else shared
    assert alpha.shape == tuple([1 if k in axes else n for k, n in ((1, 3), (2, 4))])
    assert np.abs(alpha).max() > 0
    np.testing.assert_allclose(y, np.where(X >= 0, X, alpha * X), atol=1e-6)
    assert layer.alphas is layer.alpha
    assert layer.get_config()["shared_axes"] == (axes or None)
    again = L.deserialize(L.serialize(layer))
    assert again.get_config() == layer.get_config()


def test_prelu_starts_as_relu_and_takes_rules() -> None:
    layer = L.PReLU(alpha_regularizer="l2", alpha_constraint="non_neg")
    np.testing.assert_array_equal(run(layer, X), np.maximum(X, 0))
    assert len(layer.losses) == 1 and layer.alpha.constraint is layer.alpha_constraint
    assert layer.get_config()["alpha_regularizer"]["class_name"] == "L1L2"
    with pytest.raises(ValueError, match="axis 1 of input shape to have value 3"):
        layer(Input((5, 4)))


def test_prelu_shares_over_open_axes() -> None:
    inp = Input((None, 2))
    layer = L.PReLU(shared_axes=[1])
    layer(inp)
    assert layer.count_params() == 2
    with pytest.raises(ValueError, match="needs a known shape"):
        L.PReLU()(Input((None, 2)))


def test_parametric_softplus() -> None:
    layer = L.ParametricSoftplus(alpha_init=0.3, beta_init=2.0)
    np.testing.assert_allclose(run(layer, X), 0.3 * np.log1p(np.exp(2.0 * X)), atol=1e-5)
    assert [w.shape for w in layer.get_weights()] == [(3, 4), (3, 4)]
    default = L.ParametricSoftplus(shared_axes=[1])
    np.testing.assert_allclose(run(default, X), 0.2 * np.log1p(np.exp(5.0 * X)), atol=1e-5)
    assert [w.shape for w in default.get_weights()] == [(1, 4), (1, 4)]
    assert L.deserialize(L.serialize(layer)).get_config() == layer.get_config()
    positional = L.ParametricSoftplus(0.3, 2.0).get_config()
    assert (positional["alpha_init"], positional["beta_init"]) == (pytest.approx(0.3), 2.0)


def srelu(x: np.ndarray, left: Any, a: Any, width: Any, b: Any) -> np.ndarray:
    right = left + np.abs(width)
    middle = np.where(x <= left, left + a * (x - left), x)
    return np.where(x >= right, right + b * (x - right), middle)


@pytest.mark.parametrize("shared", [None, [1]])
def test_srelu_is_three_pieces(shared: Any) -> None:
    layer = L.SReLU(shared_axes=shared)
    inp = Input((3, 4))
    model = Model(inp, layer(inp))
    shape = (1, 4) if shared else (3, 4)
    assert [w.shape for w in layer.get_weights()] == [shape] * 4
    weights = [RNG.normal(size=shape).astype("float32") for _ in range(4)]
    layer.set_weights(weights)
    np.testing.assert_allclose(model.predict(X), srelu(X, *weights), atol=1e-6)
    assert L.deserialize(L.serialize(layer)).get_config() == layer.get_config()


def test_srelu_starts_as_keras_1_starts_it() -> None:
    inp = Input((4, 5, 6))
    with api_level("1.2"):
        layer = L.SReLU()
    layer(inp)
    left, a, width, b = layer.get_weights()
    assert not left.any() and (b == 1).all()
    # Both fans of a weight of three dimensions are the root of its size, so the limit is sqrt(3 / sqrt(120)).
    limit = (3 / 120**0.5) ** 0.5
    for weight in (a, width):
        assert 0.9 * limit < np.abs(weight).max() <= limit


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.LeakyReLU(0.2),
        lambda: L.ELU(0.5),
        lambda: L.ThresholdedReLU(0.3),
        lambda: L.Softmax(),
        lambda: L.ReLU(2.0, 0.1, 0.2),
        lambda: L.PReLU("random_uniform", shared_axes=[1]),
        lambda: L.ParametricSoftplus(0.4, 1.5),
        lambda: L.SReLU("random_uniform"),
        lambda: L.ThresholdedLinear(0.3),
    ],
)
def test_gradients(make: Any) -> None:
    K.set_floatx("float64")
    try:
        inp = Input((3, 2))
        layer = make()
        loss = K.sum(K.square(layer(inp) - 0.3))
        x = RNG.normal(size=(2, 3, 2))
        f = K.function([inp], [loss])
        wanted = [inp, *layer.trainable_weights]
        found = K.function([inp], K.gradients(loss, wanted))([x])

        def numeric(shift: Any, size: int) -> np.ndarray:
            out = np.zeros(size)
            for k in range(size):
                out[k] = (shift(k, 1e-6) - shift(k, -1e-6)) / 2e-6
            return out

        def shift_input(k: int, step: float) -> float:
            moved = x.copy()
            moved.flat[k] += step
            return float(f([moved])[0])

        np.testing.assert_allclose(found[0].ravel(), numeric(shift_input, x.size), rtol=1e-5, atol=1e-7)
        for weight, gradient in zip(layer.trainable_weights, found[1:]):
            before = K.get_value(weight)

            def shift_weight(k: int, step: float, weight: Any = weight, before: Any = before) -> float:
                moved = before.copy()
                moved.flat[k] += step
                K.set_value(weight, moved)
                return float(f([x])[0])

            np.testing.assert_allclose(gradient.ravel(), numeric(shift_weight, before.size), rtol=1e-5, atol=1e-7)
            K.set_value(weight, before)
    finally:
        K.set_floatx("float32")


def test_masks_pass() -> None:
    model = Sequential([L.Masking(input_shape=(3, 4)), L.LeakyReLU(), L.PReLU(), L.ReLU(), L.SReLU()])
    assert model.layers[-1].get_output_mask_at(0) is not None


def test_negative_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="max_value of Relu layer cannot be negative value: -1"):
        L.ReLU(max_value=-1.0)
    with pytest.raises(ValueError, match="negative_slope of Relu layer cannot be negative value: -0.5"):
        L.ReLU(negative_slope=-0.5)


def test_keras_1_words() -> None:
    assert L.PReLU(init="one").get_config()["alpha_initializer"]["class_name"] == "Ones"
    assert L.PReLU("one").get_config()["alpha_initializer"]["class_name"] == "Ones"
