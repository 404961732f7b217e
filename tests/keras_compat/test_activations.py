"""Activations: values against formulas (genuine ones: test_backend), names, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from keras_compat import activations
from keras_compat import backend as K
from keras_compat.utils.generic_utils import custom_object_scope

X = np.array([[-3.0, -0.4, 0.0, 0.7, 4.0, 7.0]], "float32")
FORMULAS = {
    "softmax": np.exp(X) / np.exp(X).sum(),
    "elu": np.where(X > 0, X, np.exp(X) - 1),
    "selu": 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * (np.exp(X) - 1)),
    "softplus": np.log(1 + np.exp(X)),
    "softsign": X / (1 + abs(X)),
    "relu": np.maximum(X, 0),
    "tanh": np.tanh(X),
    "sigmoid": 1 / (1 + np.exp(-X)),
    "hard_sigmoid": np.clip(0.2 * X + 0.5, 0, 1),
    "exponential": np.exp(X),
    "hard_sigmoid_keras3": np.clip(X / 6 + 0.5, 0, 1),
    "swish": X / (1 + np.exp(-X)),
    "gelu": X * norm.cdf(X),
    "relu6": np.clip(X, 0, 6),
    "mish": X * np.tanh(np.log1p(np.exp(X))),
    "leaky_relu": np.where(X > 0, X, 0.2 * X),
    "linear": X,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_and_name(name):
    f = activations.get(name)
    np.testing.assert_allclose(K.eval(f(K.variable(X))), FORMULAS[name], rtol=1e-5, atol=1e-7)
    assert activations.serialize(f) == name
    assert activations.deserialize(name) is f is activations.get(f)


def test_none_is_linear():
    assert activations.get(None) is activations.linear


def test_softmax_needs_two_axes():
    with pytest.raises(ValueError, match=r"rank 2 or more; got shape \(3,\)"):
        activations.softmax(K.variable([1.0, 2.0, 3.0]))


def test_unknown_names_list_the_nearest():
    with pytest.raises(ValueError, match=r"\[activation function\].*'sigmod'.*Did you mean 'sigmoid'"):
        activations.get("sigmod")
    with pytest.raises(ValueError, match="expected a name, a config or a callable; got int"):
        activations.get(3)


@pytest.mark.parametrize("name", ["K", "at", "serialize", "os.system", "keras_compat.backend"])
def test_only_activations_have_names(name):
    with pytest.raises(ValueError, match="expected the name of a known activation function"):
        activations.get(name)


def test_custom_ones():
    def slow(x):
        return x * K.sigmoid(x)

    with custom_object_scope({"slow": slow}):
        assert activations.get("slow") is slow
    with pytest.raises(ValueError, match="slow"):
        activations.get("slow")
    assert activations.deserialize("slow", {"slow": slow}) is slow
