"""Noise layers: identity in testing, the right distribution in training, new numbers at each evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.layers import Input
from keras_compat.models import Sequential


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def trained(layer: Any, x: np.ndarray) -> Any:
    """Function that evaluates the layer in the training phase."""
    inp = Input(batch_shape=(None, *x.shape[1:]))
    f = K.function([inp, K.learning_phase()], [layer(inp)])
    return lambda: f([x, 1])[0]


LAYERS: list[Any] = [
    lambda: L.GaussianNoise(0.5),
    lambda: L.GaussianDropout(0.4),
    lambda: L.AlphaDropout(0.3),
    lambda: L.SpatialDropout1D(0.5),
]


@pytest.mark.parametrize("make", LAYERS)
def test_nothing_in_testing_and_new_numbers_in_training(make: Any) -> None:
    x = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")
    layer = make()
    model = Sequential([L.Activation("linear", input_shape=(5, 4)), layer])
    np.testing.assert_array_equal(model.predict(x), x)
    assert model.output._uses_learning_phase
    f = trained(make(), x)
    first, second = f(), f()
    assert (first != x).any() and (first != second).any()
    again = L.deserialize(L.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert layer.supports_masking


def test_training_argument_decides() -> None:
    x = np.ones((4, 3), dtype="float32")
    inp = Input((3,))
    noise = L.GaussianNoise(1.0)
    on, off = noise(inp, training=True), noise(inp, training=False)
    f = K.function([inp], [on, off])
    noised, plain_ = f([x])
    assert (noised != x).all()
    np.testing.assert_array_equal(plain_, x)


def test_gaussian_noise_adds() -> None:
    x = np.full((200, 100), 7.0, dtype="float32")
    y = trained(L.GaussianNoise(0.5), x)()
    assert y.mean() == pytest.approx(7.0, abs=0.02)
    assert y.std() == pytest.approx(0.5, abs=0.02)


def test_gaussian_dropout_multiplies() -> None:
    x = np.full((200, 100), 3.0, dtype="float32")
    y = trained(L.GaussianDropout(0.2), x)() / 3.0
    assert y.mean() == pytest.approx(1.0, abs=0.02)
    assert y.std() == pytest.approx(0.5, abs=0.02)  # sqrt(0.2 / 0.8)
    assert (trained(L.GaussianDropout(0.2), 0 * x)() == 0).all()


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_at_the_ends_change_nothing(rate: float) -> None:
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    for layer in (L.GaussianDropout(rate), L.AlphaDropout(rate)):
        np.testing.assert_array_equal(trained(layer, x)(), x)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).normal(size=(400, 200)).astype("float32")
    y = trained(L.AlphaDropout(0.2), x)()
    assert y.mean() == pytest.approx(0.0, abs=0.02)
    assert y.std() == pytest.approx(1.0, abs=0.02)
    # Dropped elements all have the value a * floor + b; others lie on a line.
    values, counts = np.unique(np.round(y, 4), return_counts=True)
    floor = -1.7580993408473766
    a = (0.8 * (1 + 0.2 * floor**2)) ** -0.5
    b = -a * floor * 0.2
    assert values[counts.argmax()] == pytest.approx(a * floor + b, abs=1e-3)
    assert counts.max() / y.size == pytest.approx(0.2, abs=0.01)
    kept = np.abs(y - (a * x + b)) < 1e-4
    assert kept.mean() == pytest.approx(0.8, abs=0.01)


def test_alpha_dropout_with_a_shape_and_seed() -> None:
    x = np.ones((5, 6, 4), dtype="float32")
    y = trained(L.AlphaDropout(0.5, noise_shape=(None, 1, 4), seed=3), x)()
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert len(np.unique(y)) == 2
    config = L.AlphaDropout(0.5, seed=3).get_config()
    assert config["seed"] == 3 and "seed" not in L.AlphaDropout(0.5).get_config()


@pytest.mark.parametrize(
    ("make", "shape", "shared"),
    [
        (lambda: L.SpatialDropout1D(0.5), (20, 7, 6), (1,)),
        (lambda: L.SpatialDropout2D(0.5), (20, 3, 4, 6), (1, 2)),
        (lambda: L.SpatialDropout2D(0.5, data_format="channels_first"), (20, 6, 3, 4), (2, 3)),
        (lambda: L.SpatialDropout3D(0.5), (20, 2, 3, 2, 6), (1, 2, 3)),
        (lambda: L.SpatialDropout3D(0.5, "channels_first"), (20, 6, 2, 3, 2), (2, 3, 4)),
        (lambda: L.SpatialDropout2D(p=0.5, dim_ordering="th"), (20, 6, 3, 4), (2, 3)),
    ],
)
def test_spatial_dropout_drops_whole_maps(make: Any, shape: tuple[int, ...], shared: tuple[int, ...]) -> None:
    y = trained(make(), np.ones(shape, dtype="float32"))()
    maps = y.min(axis=shared)
    np.testing.assert_array_equal(maps, y.max(axis=shared))
    assert set(np.unique(maps)) == {0.0, 2.0}
    assert 0.3 < (maps == 0).mean() < 0.7
    layer = make()
    assert L.deserialize(L.serialize(layer)).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="ndim"):
        layer(Input((2,)))


def test_keras_1_words() -> None:
    assert L.GaussianNoise(sigma=0.3).stddev == 0.3 == L.GaussianNoise(0.3).sigma
    assert L.GaussianDropout(p=0.3).rate == 0.3 == L.GaussianDropout(0.3).p
