"""Initializers: distributions, seeds, fans, configs (statistics of genuine ones: test_backend)."""

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import initializations, initializers
from keras_compat.dialect.level import api_level

SHAPE = (300, 200)

# Name -> (standard deviation, largest magnitude) for 300 inputs and 200 outputs.
EXPECTED = {
    "zeros": (0, 0),
    "ones": (0, 1),
    "uniform": (0.05 / 3**0.5, 0.05),
    "random_uniform": (0.05 / 3**0.5, 0.05),
    "normal": (0.05, None),
    "truncated_normal": (0.05 * 0.87962566, 0.1),
    "lecun_uniform": (300**-0.5, (3 / 300) ** 0.5),
    "lecun_normal": (300**-0.5, 2 * 300**-0.5 / 0.87962566),
    "glorot_uniform": ((2 / 500) ** 0.5, (6 / 500) ** 0.5),
    "glorot_normal": ((2 / 500) ** 0.5, 2 * (2 / 500) ** 0.5 / 0.87962566),
    "he_uniform": ((2 / 300) ** 0.5, (6 / 300) ** 0.5),
    "he_normal": ((2 / 300) ** 0.5, 2 * (2 / 300) ** 0.5 / 0.87962566),
    "orthogonal": (300**-0.5, None),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_distribution(name):
    std, largest = EXPECTED[name]
    np.random.seed(1)
    w = K.eval(initializers.get(name)(SHAPE))
    assert w.shape == SHAPE
    assert w.dtype == np.float32
    np.testing.assert_allclose(w.std(), std, rtol=0.02, atol=1e-9)
    if largest is not None:
        assert abs(w).max() <= largest * 1.000001
        assert abs(w).max() >= largest * 0.99


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: initializers.RandomNormal(seed=seed),
        lambda seed: initializers.RandomUniform(seed=seed),
        lambda seed: initializers.TruncatedNormal(seed=seed),
        lambda seed: initializers.VarianceScaling(seed=seed),
        lambda seed: initializers.Orthogonal(seed=seed),
        lambda seed: initializers.glorot_uniform(seed=seed),
    ],
)
def test_seeds(make):
    draw = lambda init: K.eval(init((5, 4)))
    np.testing.assert_array_equal(draw(make(3)), draw(make(3)))
    assert (draw(make(3)) != draw(make(4))).any()
    init = make(3)
    config = init.get_config()
    assert (draw(init) != draw(init)).any(), "two weights of one layer are not alike"
    assert init.get_config() == config
    np.random.seed(7)
    first, second = draw(make(None)), draw(make(None))
    assert (first != second).any()
    np.random.seed(7)
    np.testing.assert_array_equal(draw(make(None)), first)


def test_dtype_is_kept():
    assert K.eval(initializers.Orthogonal()((3, 3), dtype="float64")).dtype == np.float64
    assert K.eval(initializers.Ones()((3,), dtype="int32")).dtype == np.int32


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 2, 5)])
def test_orthogonal(shape):
    q = K.eval(initializers.Orthogonal(gain=2.0, seed=1)(shape, dtype="float64")).reshape(-1, shape[-1])
    small = min(q.shape)
    gram = q.T @ q if q.shape[1] == small else q @ q.T
    np.testing.assert_allclose(gram, 4 * np.eye(small), atol=1e-6)


def test_constant_and_identity():
    assert K.eval(initializers.Constant(3)((2, 2))).tolist() == [[3, 3], [3, 3]]
    assert K.eval(initializers.Constant([1, 2, 3, 4])((2, 2))).tolist() == [[1, 2], [3, 4]]
    assert K.eval(initializers.Identity(2)((2, 3))).tolist() == [[2, 0, 0], [0, 2, 0]]
    with pytest.raises(ValueError, match="only be used for 2D"):
        initializers.Identity()((2, 2, 2))
    with pytest.raises(ValueError, match="or 4 values"):
        initializers.Constant([1, 2, 3])((2, 2))
    with pytest.raises(ValueError, match="at least two dimensions"):
        initializers.Orthogonal()((4,))


@pytest.mark.parametrize(
    ("shape", "fans", "legacy"),
    [
        ((3, 5), (3, 5), (3, 5)),
        ((4, 3, 5), (12, 20), (60**0.5, 60**0.5)),
        ((2, 4, 3, 5), (24, 40), (24, 40)),
        ((2, 2, 4, 3, 5), (48, 80), (48, 80)),
        ((7,), (7**0.5, 7**0.5), (7**0.5, 7**0.5)),
    ],
)
def test_fans(shape, fans, legacy):
    np.testing.assert_allclose(initializers.compute_fans(shape), fans)
    np.testing.assert_allclose(initializers.compute_fans(shape, legacy=True), legacy)


def test_fans_of_channels_first_kernels():
    assert initializers.compute_fans((5, 3, 2, 4), "channels_first") == (24, 40)
    assert initializations.get_fans((5, 3, 2, 4)) == (24, 40)
    assert initializations.get_fans((2, 4, 3, 5), dim_ordering="tf") == (24, 40)


def test_scaling_of_keras_1():
    scaled = {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal", "seed": 1}
    init = initializers.deserialize({"class_name": "VarianceScaling", "config": scaled})
    w = K.eval(init(SHAPE))
    np.testing.assert_allclose(w.std(), (2 / 300) ** 0.5, rtol=0.02)
    assert abs(w).max() > 3 * w.std(), "not truncated"
    assert init.get_config() == scaled
    legacy = initializers.VarianceScaling(distribution="uniform", legacy_fans=True, seed=1)
    assert legacy.get_config()["legacy_fans"] is True
    assert abs(K.eval(legacy((10, 10, 100)))).max() <= (3 / 100) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "must be a positive float"),
        ({"mode": "fan"}, "fan_in, fan_out, fan_avg; got 'fan'"),
        ({"distribution": "cauchy"}, "got 'cauchy'"),
    ],
)
def test_wrong_scaling(arguments, message):
    with pytest.raises(ValueError, match=message):
        initializers.VarianceScaling(**arguments)


NAMES = (
    "zero zeros Zeros one ones Ones constant Constant uniform normal random_uniform random_normal truncated_normal "
    "identity orthogonal lecun_uniform lecun_normal glorot_uniform glorot_normal he_uniform he_normal VarianceScaling "
    "GlorotUniform HeNormal"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_names_and_configs(name):
    init = initializers.get(name)
    config = initializers.serialize(init)
    again = initializers.get(config)
    assert type(again) is type(init)
    assert again.get_config() == init.get_config() == config["config"]
    assert initializers.get(init) is init


def test_unknown_and_custom_names():
    with pytest.raises(ValueError, match=r"Did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")
    assert initializers.get(None) is None
    mine = lambda shape, dtype=None: K.ones(shape)
    assert initializers.get(mine) is mine


def test_functions_of_keras_1():
    w = initializations.normal((300, 200), scale=0.01, name="w")
    assert K.is_variable(w)
    assert w.name == "w"
    np.testing.assert_allclose(K.get_value(w).std(), 0.01, rtol=0.02)
    q = K.get_value(initializations.get("orthogonal")((4, 6)))
    np.testing.assert_allclose(q @ q.T, 1.21 * np.eye(4), atol=1e-5)
    with api_level("1.2"):
        halves = initializations.get({"name": "uniform", "scale": 0.5})((50, 50))
    assert 0.45 < K.get_value(halves).max() <= 0.5
    with pytest.raises(ValueError, match="Did you mean 'glorot_normal'"):
        initializations.get("glorot_norml")


@pytest.mark.parametrize("shape", [(), 5, (0, 2), (300, 700)])
def test_numbers_are_those_that_numpy_draws_at_once(shape):
    """However large the weight: the same seed gives the same numbers as ever."""
    uniform = K.eval(initializers.RandomUniform(-0.1, 0.2, seed=3)(shape))
    np.testing.assert_array_equal(uniform, np.float32(np.random.RandomState(3).uniform(-0.1, 0.2, shape)))
    normal = K.eval(initializers.RandomNormal(0.1, 0.2, seed=3)(shape, "float64"))
    np.testing.assert_array_equal(normal, np.random.RandomState(3).normal(0.1, 0.2, shape))
