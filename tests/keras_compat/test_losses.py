"""Losses: formulas in NumPy, reductions, names (genuine numbers: test_backend and test_golden)."""

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import losses, objectives
from keras_compat.dialect.level import api_level
from keras_compat.utils.generic_utils import custom_object_scope
from keras_compat.utils.losses_utils import Reduction, compute_weighted_loss

rng = np.random.RandomState(0)
T = rng.uniform(0.1, 1, (4, 3)).astype("float32")
P = rng.uniform(0.1, 0.9, (4, 3)).astype("float32")
EPS = 1e-7


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


FORMULAS = {
    "mean_squared_error": lambda t, p: ((p - t) ** 2).mean(-1),
    "mean_absolute_error": lambda t, p: abs(p - t).mean(-1),
    "mean_absolute_percentage_error": lambda t, p: 100 * abs((t - p) / np.maximum(abs(t), EPS)).mean(-1),
    "mean_squared_logarithmic_error": lambda t, p: ((np.log1p(p) - np.log1p(t)) ** 2).mean(-1),
    "squared_hinge": lambda t, p: (np.maximum(1 - t * p, 0) ** 2).mean(-1),
    "hinge": lambda t, p: np.maximum(1 - t * p, 0).mean(-1),
    "categorical_hinge": lambda t, p: np.maximum(0, 1 + ((1 - t) * p).max(-1) - (t * p).sum(-1)),
    "logcosh": lambda t, p: np.log(np.cosh(p - t)).mean(-1),
    "categorical_crossentropy": lambda t, p: -(t * np.log(p / p.sum(-1, keepdims=True))).sum(-1),
    "binary_crossentropy": lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(-1),
    "kullback_leibler_divergence": lambda t, p: (np.minimum(t, 1) * np.log(np.minimum(t, 1) / p)).sum(-1),
    "poisson": lambda t, p: (p - t * np.log(p)).mean(-1),
    "cosine_proximity": lambda t, p: -(unit(t) * unit(p)).sum(-1),
    "huber_loss": lambda t, p: np.where(abs(t - p) <= 1, (t - p) ** 2 / 2, abs(t - p) - 0.5),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    f = losses.get(name)
    for t in (T, T * 4):
        result = K.eval(f(K.variable(t), K.variable(P)))
        np.testing.assert_allclose(result, FORMULAS[name](t.astype("float64"), P.astype("float64")), rtol=1e-4)
    assert losses.serialize(f) == name
    assert losses.get(f) is f
    assert getattr(objectives, name) is getattr(losses, name)


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"sparse_categorical_crossentropy"}))
def test_gradient_by_differences(name):
    w = K.variable(P, dtype="float64")
    loss = K.sum(losses.get(name)(K.constant(T, dtype="float64"), w))
    grad = K.eval(K.gradients(loss, [w])[0])
    v = rng.uniform(-1, 1, P.shape)
    h = 1e-6
    values = []
    for sign in (1, -1):
        K.set_value(w, P + sign * h * v)
        values.append(K.eval(loss))
    np.testing.assert_allclose((grad * v).sum(), (values[0] - values[1]) / (2 * h), rtol=1e-5, atol=1e-7)


def test_cosine_by_level():
    t, p = K.constant(T), K.constant(P)
    expected = FORMULAS["cosine_proximity"](T, P)
    with api_level("1.2"):
        np.testing.assert_allclose(K.eval(losses.cosine_proximity(t, p)), expected / 3, rtol=1e-5)
    with api_level("2.2"):
        np.testing.assert_allclose(K.eval(losses.cosine_proximity(t, p)), expected, rtol=1e-5)


def test_order_of_the_level_does_not_reach_losses():
    t, p = K.constant(np.eye(3)[[0, 2]]), K.constant(P[:2])
    for name in ("categorical_crossentropy", "binary_crossentropy"):
        expected = K.eval(losses.get(name)(t, p))
        with api_level("1.2"):
            np.testing.assert_array_equal(K.eval(losses.get(name)(t, p)), expected)


def test_integer_targets_do_not_make_float64():
    t = K.placeholder((None, 3), dtype="int64")
    p = K.placeholder((None, 3))
    for name in FORMULAS:
        assert K.dtype(losses.get(name)(t, p)) == "float32", name


def test_label_smoothing():
    one_hot = np.eye(3, dtype="float32")[[0, 2]]
    got = K.eval(losses.categorical_crossentropy(K.constant(one_hot), K.constant(P[:2]), label_smoothing=0.3))
    np.testing.assert_allclose(got, FORMULAS["categorical_crossentropy"](one_hot * 0.7 + 0.1, P[:2]), rtol=1e-5)
    got = K.eval(losses.binary_crossentropy(K.constant(one_hot), K.constant(P[:2]), label_smoothing=0.2))
    np.testing.assert_allclose(got, FORMULAS["binary_crossentropy"](one_hot * 0.8 + 0.1, P[:2]), rtol=1e-5)


ALIASES = {
    "mse": "mean_squared_error",
    "MAE": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MSLE": "mean_squared_logarithmic_error",
    "kld": "kullback_leibler_divergence",
    "cosine": "cosine_proximity",
    "cosine_similarity": "cosine_proximity",
}


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases(alias):
    assert losses.get(alias) is getattr(losses, alias) is getattr(losses, ALIASES[alias])


# -- classes ------------------------------------------------------------------------------------------------------

CLASSES = {
    "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "BinaryCrossentropy": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "Poisson": "poisson",
    "LogCosh": "logcosh",
    "KLDivergence": "kullback_leibler_divergence",
    "Huber": "huber_loss",
}


@pytest.mark.parametrize("name", CLASSES)
def test_class_reduces_its_function(name):
    kind = getattr(losses, name)
    values = K.eval(getattr(losses, CLASSES[name])(K.constant(T), K.constant(P)))
    for reduction, expected in (("sum_over_batch_size", values.mean()), ("sum", values.sum()), ("none", values)):
        loss = kind(reduction=reduction)
        np.testing.assert_allclose(K.eval(loss(K.variable(T), K.variable(P))), expected, rtol=1e-5)
    assert kind().name == CLASSES[name]
    again = losses.get(losses.serialize(loss))
    assert type(again) is kind
    assert again.get_config() == loss.get_config()
    assert again.reduction == "none"


def test_weights_of_samples():
    weights = np.array([0, 1, 2, 0.5], "float32")
    values = FORMULAS["mean_squared_error"](T, P)
    loss = losses.MeanSquaredError()
    t, p = K.constant(T), K.constant(P)
    for shape in ((4,), (4, 1)):
        got = K.eval(loss(t, p, sample_weight=weights.reshape(shape)))
        np.testing.assert_allclose(got, (values * weights).mean(), rtol=1e-5)
    np.testing.assert_allclose(K.eval(loss(t, p, sample_weight=2)), 2 * values.mean(), rtol=1e-5)
    got = K.eval(losses.Huber()(t, p, sample_weight=weights))
    np.testing.assert_allclose(got, (FORMULAS["huber_loss"](T, P) * weights[:, None]).mean(), rtol=1e-5)
    with pytest.raises(ValueError, match="more axes"):
        loss(t, p, sample_weight=np.ones((4, 3, 2)))


def test_unknown_reduction():
    with pytest.raises(ValueError, match="none, sum, sum_over_batch_size"):
        compute_weighted_loss(K.constant(P), reduction="mean")
    Reduction.validate("sum")


def test_from_logits_of_classes():
    logits = K.constant(np.log(P / (1 - P)))
    a = K.eval(losses.BinaryCrossentropy(from_logits=True)(K.constant(T), logits))
    np.testing.assert_allclose(a, K.eval(losses.BinaryCrossentropy()(K.constant(T), K.constant(P))), rtol=1e-5)
    labels = K.constant([0, 2, 1, 1])
    a = K.eval(losses.SparseCategoricalCrossentropy(from_logits=True)(labels, K.constant(np.log(P))))
    b = K.eval(losses.SparseCategoricalCrossentropy()(labels, K.constant(P)))
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_user_losses():
    class Cubed(losses.Loss):
        def call(self, y_true, y_pred):
            return K.mean(K.abs(y_pred - y_true) ** 3, axis=-1)

    value = K.eval(Cubed(name="cubed")(K.constant(T), K.constant(P)))
    np.testing.assert_allclose(value, (abs(P - T) ** 3).mean(), rtol=1e-5)
    with pytest.raises(NotImplementedError, match=r"\[Loss\]"):
        losses.Loss()(K.constant(T), K.constant(P))
    with custom_object_scope({"Cubed": Cubed}):
        assert isinstance(losses.get({"class_name": "Cubed", "config": {}}), Cubed)


def test_names_of_nothing_and_of_something_else():
    assert losses.get(None) is None
    with pytest.raises(ValueError, match=r"\[loss function\].*'categorical_crosentropy'.*Did you mean 'categorical_"):
        losses.get("categorical_crosentropy")
    with pytest.raises(ValueError, match="Known are"):
        losses.get("qqqqqqqqqqqq")
    with pytest.raises(ValueError, match="'class_name' and 'config'"):
        losses.get({"name": "mse"})


@pytest.mark.parametrize(
    "loss",
    ["categorical_crossentropy", losses.categorical_crossentropy, losses.CategoricalCrossentropy()],
)
def test_categorical_crossentropy_is_recognized(loss):
    assert losses.is_categorical_crossentropy(loss)
    assert not losses.is_categorical_crossentropy("mse")
    assert not losses.is_categorical_crossentropy(losses.Hinge())


def gradient_of_loss(loss, activation, scores, targets):
    """Value of the loss of ``activation(scores)`` for each sample, and the gradient of its sum by the scores."""
    z, t = K.placeholder(shape=scores.shape, dtype="float64"), K.placeholder(shape=targets.shape, dtype="float64")
    value = loss(t, activation(z))
    return K.function([z, t], [value, *K.gradients(K.sum(value), [z])])([scores, targets])


SCORES = np.array([[1.0, -2.0, 0.5], [0.3, 0.1, -0.7]])
SHARES = np.exp(SCORES) / np.exp(SCORES).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_targets_that_do_not_sum_to_1(level):
    """The loss is the same everywhere; Keras 2.3.1's gradient, TensorFlow's, is softmax - target all the same."""
    targets = np.array([[0.9, 0.4, 0.8], [0.2, 0.1, 0.3]])
    with api_level(level):
        value, gradient = gradient_of_loss(losses.categorical_crossentropy, K.softmax, SCORES, targets)
    np.testing.assert_allclose(value, -(targets * np.log(SHARES)).sum(axis=-1), rtol=1e-6)
    weight = 1.0 if level == "2.3" else targets.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(gradient, weight * SHARES - targets, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_certain_and_wrong(level):
    """From 2.3 on the cross-entropies look behind softmax and sigmoid: nothing is clipped, the gradient stays."""
    whole = level == "2.3"
    with api_level(level):
        wrong = np.array([[40.0, 0.0]])
        value, gradient = gradient_of_loss(losses.categorical_crossentropy, K.softmax, wrong, np.array([[0.0, 1.0]]))
        assert value[0] == pytest.approx(40.0 if whole else -np.log(EPS), rel=1e-5)
        np.testing.assert_allclose(gradient, [[1.0, -1.0]] if whole else [[0.0, 0.0]], atol=1e-6)
        value, gradient = gradient_of_loss(
            losses.binary_crossentropy, K.sigmoid, np.array([[-40.0]]), np.array([[1.0]])
        )
        assert value[0] == pytest.approx(40.0 if whole else -np.log(EPS), rel=1e-5)
        np.testing.assert_allclose(gradient, [[-1.0]] if whole else [[0.0]], atol=1e-6)
        # A softmax under a binary cross-entropy is not looked behind.
        value, _ = gradient_of_loss(losses.binary_crossentropy, K.softmax, np.array([[3.0]]), np.array([[0.0]]))
        assert value[0] == pytest.approx(-np.log(EPS), rel=1e-2)


def test_sparse_certain_and_wrong():
    z = K.placeholder(shape=(1, 2), dtype="float64")
    value = losses.sparse_categorical_crossentropy(K.constant([[1]], dtype="int64"), K.softmax(z))
    assert K.function([z], [value])([np.array([[40.0, 0.0]])])[0][0] == pytest.approx(40.0)
