"""Constraints: norms after them, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import constraints
from keras_compat.dialect.level import api_level

W = np.random.RandomState(0).uniform(-2, 2, (6, 4)).astype("float32")


def norms(w, axis=0):
    return np.sqrt((w * w).sum(axis=axis))


def constrained(constraint, w=W):
    return K.eval(constraint(K.variable(w)))


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_max_norm(axis):
    w = constrained(constraints.MaxNorm(2.5, axis=axis))
    np.testing.assert_allclose(norms(w, axis), np.minimum(norms(W, axis), 2.5), rtol=1e-5)
    scale = np.expand_dims(norms(w, axis) / norms(W, axis), axis)
    np.testing.assert_allclose(w, W * scale, rtol=1e-5, err_msg="the direction stays")


def test_max_norm_keeps_short_vectors():
    np.testing.assert_allclose(constrained(constraints.max_norm(100)), W, rtol=1e-6)


def test_non_neg():
    np.testing.assert_array_equal(constrained(constraints.NonNeg()), np.maximum(W, 0))


@pytest.mark.parametrize("axis", [0, 1])
def test_unit_norm(axis):
    np.testing.assert_allclose(norms(constrained(constraints.UnitNorm(axis=axis)), axis), 1, rtol=1e-5)


def test_unit_norm_of_keras_0_is_of_the_rows():
    """0.3.3 has no axis: each row of an embedding gets the length 1."""
    with api_level("0.3"):
        rule = constraints.unitnorm()
    np.testing.assert_allclose(norms(constrained(rule), 1), 1, rtol=1e-5)


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_min_max_norm(rate):
    w = constrained(constraints.MinMaxNorm(2.5, 3.0, rate=rate))
    expected = rate * np.clip(norms(W), 2.5, 3.0) + (1 - rate) * norms(W)
    np.testing.assert_allclose(norms(w), expected, rtol=1e-5)


def test_zeros_stay_zeros():
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.5)):
        assert not constrained(constraint, np.zeros((3, 2))).any()


@pytest.mark.parametrize("name", "max_norm maxnorm MaxNorm non_neg nonneg unit_norm unitnorm min_max_norm".split())
def test_names_and_configs(name):
    constraint = constraints.get(name)
    config = constraints.serialize(constraint)
    assert constraints.get(config).get_config() == constraint.get_config()
    assert getattr(constraints, name) is type(constraint)


def test_unknown_names_and_functions():
    assert constraints.get(None) is None
    assert constraints.get("maxnorm", {"max_value": 3}).max_value == 3
    with pytest.raises(ValueError, match="Did you mean 'unit_norm'"):
        constraints.get("unit-norm")
