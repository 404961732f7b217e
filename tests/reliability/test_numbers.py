"""Numbers at the edge: logits of 1e4, ten million float32, denormals, NaN and infinity, batches of nothing and one.

Oracles are closed forms in extended precision, NumPy in float64, and what genuine Keras 2.3.1 gave.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.graph import codegen
from keras_compat import activations, callbacks, losses
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.layers import Activation, BatchNormalization, Dense, Embedding, Input, Masking, SimpleRNN
from keras_compat.models import Model, Sequential
from tests.autotensor.graph.plain_kernels import plain_load
from tests.keras_compat.test_layer_gradients import ROWS

pytestmark = pytest.mark.promise("numbers")

Wide = np.longdouble
MODES: dict[str, Any] = {"eager": {"numba": True}, "compiled": {"numba": False}, "interpreted": {"compile": False}}

# Every row of three that can be made of these: ties, one far above, all far below.
LOGITS = np.array(list(itertools.product([-1e4, 1e4, 0.0, 1.0, -1.0], repeat=3)))
CLASSES = np.arange(len(LOGITS)) % 3
HOT = np.eye(3)[CLASSES]


@pytest.fixture(autouse=True)
def fresh(without_kernels: None) -> None:
    """Without kernels, which take minutes to compile, where a test does not ask for them."""
    K.clear_session()


def logsumexp(z: Any) -> Any:
    top = z.max(-1)
    return top + np.log(np.exp(z - top[..., None]).sum(-1))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z: Any) -> Any:
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, small) / (1 + small)


def softplus(z: Any) -> Any:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def through_softmax(g: Any, z: Any) -> Any:
    p = softmax(z)
    return p * (g - (p * g).sum(-1, keepdims=True))


Function = Callable[..., Any]

# name -> what spells it, its value, and its gradient for the gradient g of the result
FUNCTIONS: dict[str, tuple[list[Function], Function, Function]] = {
    "softmax": ([at.softmax, K.softmax, activations.softmax], softmax, through_softmax),
    "log_softmax": (
        [at.log_softmax],
        lambda z: z - logsumexp(z)[..., None],
        lambda g, z: g - softmax(z) * g.sum(-1, keepdims=True),
    ),
    "logsumexp": (
        [lambda z: at.logsumexp(z, axis=-1), lambda z: K.logsumexp(z, axis=-1)],
        logsumexp,
        lambda g, z: g[..., None] * softmax(z),
    ),
    "logaddexp": (
        [lambda z: at.logaddexp(z[:, 0], z[:, 1])],
        lambda z: logsumexp(z[:, :2]),
        lambda g, z: np.pad(g[..., None] * softmax(z[:, :2]), ((0, 0), (0, 1))),
    ),
    "sigmoid": (
        [at.sigmoid, K.sigmoid, activations.sigmoid],
        sigmoid,
        lambda g, z: g * sigmoid(z) * sigmoid(-z),
    ),
    "softplus": ([at.softplus, K.softplus, activations.softplus], softplus, lambda g, z: g * sigmoid(z)),
    "tanh": ([at.tanh, K.tanh], np.tanh, lambda g, z: g / np.cosh(np.minimum(np.abs(z), 5000)) ** 2),
    "elu": (
        [K.elu, activations.elu],
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda g, z: g * np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
    "softsign": ([K.softsign], lambda z: z / (1 + abs(z)), lambda g, z: g / (1 + abs(z)) ** 2),
}


def value_and_gradient(function: Function, g: Any, z: Any, mode: str) -> tuple[np.ndarray, np.ndarray]:
    with at.config.use(**MODES[mode]):
        if mode == "eager":
            x = at.Tensor(z, requires_grad=True)
            y = function(x)
            at.sum(y * at.Tensor(g)).backward()
            return y.numpy(), x.grad.numpy()
        p, q = at.placeholder((None, 3), z.dtype), at.placeholder((None,) * g.ndim, z.dtype)
        y = function(p)
        return tuple(at.function([p, q], [y, at.grad(at.sum(y * q), p)])(z, g))


@pytest.mark.promise(27)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "tol"), [("float64", 1e-12), ("float32", 3e-6), ("float16", 3e-3)])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of float16, where what overflows is not used
def test_functions_of_logits_of_any_size(name: str, dtype: str, tol: float, mode: str) -> None:
    spellings, value, gradient = FUNCTIONS[name]
    z = LOGITS.astype(dtype)
    want = value(z.astype(Wide))
    g = np.random.default_rng(0).normal(size=want.shape).astype(dtype)
    slope = gradient(g.astype(Wide), z.astype(Wide))
    for function in spellings:
        y, found = value_and_gradient(function, g, z, mode)
        assert y.dtype == found.dtype == dtype and np.isfinite(y).all() and np.isfinite(found).all()
        np.testing.assert_allclose(y.astype(Wide), want, rtol=tol, atol=tol)
        np.testing.assert_allclose(found.astype(Wide), slope, rtol=4 * tol, atol=4 * tol)


# -- cross-entropies: from logits, through the activation that Keras sees, and from probabilities that are 0 and 1 -----


def ce(z: Any) -> Any:
    return (logsumexp(z)[..., None] - z)[np.arange(len(z)), CLASSES]


def ce_slope(g: Any, z: Any) -> Any:
    return g[:, None] * (softmax(z) - HOT)


def bce(z: Any) -> Any:
    return (softplus(z) - z * HOT).mean(-1)


def bce_slope(g: Any, z: Any) -> Any:
    return g[:, None] * (sigmoid(z) - HOT) / 3


def hot(z: Any) -> Any:
    return K.constant(HOT, dtype=str(z.dtype))


def numbers() -> Any:
    return K.constant(CLASSES, dtype="int64")


CROSS_ENTROPIES: dict[str, tuple[list[Function], Function, Function]] = {
    "categorical": (
        [
            lambda z: at.softmax_cross_entropy(z, hot(z)),
            lambda z: K.categorical_crossentropy(hot(z), z, from_logits=True),
            lambda z: losses.categorical_crossentropy(hot(z), z, from_logits=True),
            lambda z: losses.CategoricalCrossentropy(from_logits=True, reduction="none")(hot(z), z),
            lambda z: -at.sum(hot(z) * at.log_softmax(z), axis=-1),
        ],
        ce,
        ce_slope,
    ),
    "sparse": (
        [
            lambda z: at.sparse_softmax_cross_entropy(z, numbers()),
            lambda z: K.sparse_categorical_crossentropy(numbers(), z, from_logits=True),
            lambda z: losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(numbers(), z),
        ],
        ce,
        ce_slope,
    ),
    "binary": (
        [
            lambda z: at.mean(at.sigmoid_cross_entropy(z, hot(z)), axis=-1),
            lambda z: K.mean(K.binary_crossentropy(hot(z), z, from_logits=True), axis=-1),
            lambda z: losses.BinaryCrossentropy(from_logits=True, reduction="none")(hot(z), z),
        ],
        bce,
        bce_slope,
    ),
}


@pytest.mark.promise(27)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CROSS_ENTROPIES)
@pytest.mark.parametrize(("dtype", "tol"), [("float64", 1e-12), ("float32", 2e-6)])
def test_cross_entropies_in_every_spelling(name: str, dtype: str, tol: float, mode: str) -> None:
    spellings, value, gradient = CROSS_ENTROPIES[name]
    z = LOGITS.astype(dtype)
    g = np.random.default_rng(0).normal(size=len(z)).astype(dtype)
    want, slope = value(z.astype(Wide)), gradient(g.astype(Wide), z.astype(Wide))
    for k, function in enumerate(spellings):
        y, found = value_and_gradient(function, g, z, mode)
        assert np.isfinite(y).all() and np.isfinite(found).all(), k
        np.testing.assert_allclose(y.astype(Wide), want, rtol=tol, atol=tol, err_msg=str(k))
        np.testing.assert_allclose(found.astype(Wide), slope, rtol=4 * tol, atol=4 * tol, err_msg=str(k))


# The same of a softmax or sigmoid, where Keras 2.3 looks through it (in graphs) and Keras 1 does not.
THROUGH: dict[str, list[Function]] = {
    "categorical": [
        lambda z: K.categorical_crossentropy(target=hot(z), output=K.softmax(z)),
        lambda z: losses.categorical_crossentropy(hot(z), activations.softmax(z)),
        lambda z: losses.CategoricalCrossentropy(reduction="none")(hot(z), K.softmax(z)),
    ],
    "sparse": [
        lambda z: K.sparse_categorical_crossentropy(target=numbers(), output=K.softmax(z)),
        lambda z: losses.sparse_categorical_crossentropy(numbers(), activations.softmax(z)),
    ],
    "binary": [
        lambda z: K.mean(K.binary_crossentropy(target=hot(z), output=K.sigmoid(z)), axis=-1),
        lambda z: losses.binary_crossentropy(hot(z), activations.sigmoid(z)),
    ],
}


@pytest.mark.promise(27)
@pytest.mark.parametrize("level", ["2.3", "1.2"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", THROUGH)
@pytest.mark.parametrize(("dtype", "tol"), [("float64", 1e-12), ("float32", 2e-6)])
def test_cross_entropies_of_activations(name: str, dtype: str, tol: float, mode: str, level: str) -> None:
    """Looked through: exact. Else probabilities are cut, no loss is above -log(1e-7), and gradients are finite."""
    z = LOGITS.astype(dtype)
    g = np.random.default_rng(0).normal(size=len(z)).astype(dtype)
    _, value, gradient = CROSS_ENTROPIES[name]
    want, slope = value(z.astype(Wide)), gradient(g.astype(Wide), z.astype(Wide))
    for k, function in enumerate(THROUGH[name]):
        with api_level(level):
            y, found = value_and_gradient(function, g, z, mode)
        assert np.isfinite(y).all() and np.isfinite(found).all(), k
        if level == "2.3" and mode != "eager":
            np.testing.assert_allclose(y.astype(Wide), want, rtol=tol, atol=tol, err_msg=str(k))
            np.testing.assert_allclose(found.astype(Wide), slope, rtol=4 * tol, atol=4 * tol, err_msg=str(k))
        else:
            moderate = abs(z).max(-1) < 2  # what the cut does not reach
            assert moderate.sum() == 27 and y.max() < 16.2
            np.testing.assert_allclose(y[moderate].astype(Wide), want[moderate], rtol=1e-5, err_msg=str(k))
            np.testing.assert_allclose(found[moderate], slope[moderate].astype(float), 1e-4, 1e-5, err_msg=str(k))


CERTAIN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])


@pytest.mark.promise(27)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probabilities_of_0_and_1(mode: str, dtype: str) -> None:
    """They are cut to [1e-7, 1 - 1e-7], as in Keras 2.3.1; with all weights finite, so is what is learnt from them."""
    target, labels = np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 2])
    cut = np.clip(CERTAIN.astype(dtype), 1e-7, np.dtype(dtype).type(1 - 1e-7)).astype(Wide)
    want = {
        "categorical": -(target * np.log(cut)).sum(-1),
        "sparse": -np.log(cut / cut.sum(-1, keepdims=True))[np.arange(4), labels],
        "binary": -(target * np.log(cut) + (1 - target) * np.log(1 - cut)).mean(-1),
    }
    t, n = K.constant(target, dtype=dtype), K.constant(labels, dtype="int64")
    found: dict[str, list[Function]] = {
        "categorical": [lambda p: losses.categorical_crossentropy(t, p), lambda p: K.categorical_crossentropy(t, p)],
        "sparse": [lambda p: losses.sparse_categorical_crossentropy(n, p)],
        "binary": [lambda p: losses.binary_crossentropy(t, p)],
    }
    for name, spellings in found.items():
        for function in spellings:
            y, slope = value_and_gradient(function, np.ones(4, dtype), CERTAIN.astype(dtype), mode)
            assert np.isfinite(slope).all()
            # log(1 - cut): of float32 the cut itself has two digits
            np.testing.assert_allclose(y.astype(Wide), want[name], rtol=2e-6, atol=1e-6, err_msg=name)


def cosh_log(x: Any) -> Any:
    return np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(Wide(2))


def at_least(x: Any) -> Any:
    return np.maximum(x, Wide(1e-7))


# loss -> its value per sample of targets t and predictions p, in extended precision
OTHER_LOSSES: dict[str, Function] = {
    "mean_squared_error": lambda t, p: ((p - t) ** 2).mean(-1),
    "mean_absolute_error": lambda t, p: abs(p - t).mean(-1),
    "mean_absolute_percentage_error": lambda t, p: (100 * abs(t - p) / at_least(abs(t))).mean(-1),
    "mean_squared_logarithmic_error": lambda t, p: ((np.log1p(at_least(p)) - np.log1p(at_least(t))) ** 2).mean(-1),
    "squared_hinge": lambda t, p: (np.maximum(1 - t * p, 0) ** 2).mean(-1),
    "hinge": lambda t, p: np.maximum(1 - t * p, 0).mean(-1),
    "categorical_hinge": lambda t, p: np.maximum(((1 - t) * p).max(-1) - (t * p).sum(-1) + 1, 0),
    "logcosh": lambda t, p: cosh_log(p - t).mean(-1),
    "kullback_leibler_divergence": lambda t, p: (
        np.clip(t, 1e-7, 1) * np.log(np.clip(t, 1e-7, 1) / np.clip(p, 1e-7, 1))
    ).sum(-1),
    "cosine_proximity": lambda t, p: (
        -(
            (t / np.sqrt(np.maximum((t * t).sum(-1, keepdims=True), 1e-12)))
            * (p / np.sqrt(np.maximum((p * p).sum(-1, keepdims=True), 1e-12)))
        ).sum(-1)
    ),
}


@pytest.mark.promise(27)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OTHER_LOSSES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_losses_of_predictions_of_any_size(name: str, dtype: str, mode: str) -> None:
    t, p = HOT.astype(dtype), LOGITS.astype(dtype)
    y, slope = value_and_gradient(
        lambda z: getattr(losses, name)(K.constant(t, dtype=dtype), z), np.ones(len(p), dtype), p, mode
    )
    assert np.isfinite(y).all() and np.isfinite(slope).all()
    tol = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(y.astype(Wide), OTHER_LOSSES[name](t.astype(Wide), p.astype(Wide)), tol, tol)


@pytest.mark.promise(27)
@pytest.mark.parametrize("mode", MODES)
def test_poisson_of_any_size(mode: str) -> None:
    rates = np.abs(LOGITS)
    y, slope = value_and_gradient(
        lambda p: losses.poisson(K.constant(HOT, dtype="float64"), p), np.ones(125), rates, mode
    )
    np.testing.assert_allclose(y, (rates - HOT * np.log(rates + 1e-7)).mean(-1), 1e-12)
    assert np.isfinite(slope).all()


@pytest.mark.promise(27)
@pytest.mark.parametrize("numba", [True, False])
def test_ctc_of_logits_of_any_size(numba: bool) -> None:
    """One path is as good as certain; or two are best, which have two steps of four against them."""
    logits = np.full((1, 4, 3), -1e4, "float32")
    for step, best in enumerate([0, 2, 1, 2]):  # "0 blank 1 blank", blank being the last
        logits[0, step, best] = 1e4
    for labels, gap in (([[0, 1]], 0.0), ([[1, 0]], 4e4 - np.log(2))):
        with at.config.use(numba=numba):
            x = at.Tensor(logits, requires_grad=True)
            cost = at.ctc_loss(x, np.array(labels), np.array([4]), np.array([2]))
            at.sum(cost).backward()
        assert np.isfinite(x.grad.numpy()).all()
        np.testing.assert_allclose(cost.numpy(), [gap], atol=1e-2)


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    ("activation", "loss", "targets"),
    [
        ("softmax", "categorical_crossentropy", HOT),
        ("softmax", "sparse_categorical_crossentropy", CLASSES),
        ("sigmoid", "binary_crossentropy", HOT),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_training_step_at_huge_logits(activation: str, loss: str, targets: Any, apart: bool, numba: bool) -> None:
    """The activation in the last layer or in one of its own; the step in its compiled form."""
    with at.config.use(numba=numba):
        model = Sequential([Dense(3, input_dim=3, activation=None if apart else activation)])
        if apart:
            model.add(Activation(activation))
        model.set_weights([np.eye(3), np.zeros(3)])
        model.compile("sgd", loss)
        model.optimizer.lr = 1e-3
        found = model.train_on_batch(LOGITS, targets)
        binary = loss == "binary_crossentropy"
        z = LOGITS.astype(Wide)
        np.testing.assert_allclose(found, float((bce if binary else ce)(z).mean()), rtol=1e-6)
        slope = (bce_slope if binary else ce_slope)(np.full(125, Wide(1) / 125), z)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(bias, -1e-3 * slope.sum(0).astype(float), rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(kernel, np.eye(3) - 1e-3 * (z.T @ slope).astype(float), rtol=1e-5, atol=1e-5)


# -- sums of many -----------------------------------------------------------------------------------------------------

MANY = 10_000_000


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Positive and far from 0: nothing cancels, and what each addition loses adds up."""
    return (np.random.default_rng(0).random(MANY, dtype="float32") ** 2 + 0.1).astype("float32")


# Where NumPy adds up in pairs, and where it does not: (shape, axis).
ORDERS = [
    ((MANY,), None),
    ((MANY // 4, 4), 0),
    ((4, MANY // 4), 1),
    ((MANY // 1000, 10, 100), (0, 1)),
    ((10, MANY // 100, 10), 1),
]
SUMS: dict[str, Function] = {
    "sum": lambda m, x, axis: m.sum(x, axis=axis),
    "mean": lambda m, x, axis: m.mean(x, axis=axis),
    "squares": lambda m, x, axis: m.sum(x * x, axis=axis),
    "std": lambda m, x, axis: m.std(x, axis=axis),
}


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    "name", ["sum", "std", *[pytest.param(n, marks=pytest.mark.slow) for n in ("mean", "squares")]]
)
@pytest.mark.parametrize(("shape", "axis"), ORDERS)
def test_sums_of_ten_million_numbers(many: np.ndarray, name: str, shape: tuple[int, ...], axis: Any) -> None:
    x = many.reshape(shape)
    want = SUMS[name](np, x[:].astype("float64"), axis)
    np.testing.assert_allclose(SUMS[name](at, at.Tensor(x), axis).numpy(), want, rtol=1e-5)
    p = at.placeholder(shape, "float32")
    np.testing.assert_allclose(at.function([p], SUMS[name](at, p, axis))(x), want, rtol=1e-5)
    backend: Any = getattr(K, name, None)
    if backend is not None:
        np.testing.assert_allclose(K.eval(backend(K.constant(x), axis=axis)), want, rtol=1e-5)


@pytest.mark.promise(27)
@pytest.mark.parametrize("threads", [1, 2])
def test_sums_of_ten_million_numbers_in_kernels(many: np.ndarray, threads: int) -> None:
    """All of one array in one function: each order is a kernel of its own."""
    x = at.placeholder((None,), "float32")
    orders = [ORDERS[0], ORDERS[1], ORDERS[3]]
    parts = [at.mean(at.square(at.reshape(x, shape)), axis=axis) for shape, axis in orders]
    with at.config.use(threads=threads, numba=True):
        found = at.function([x], parts)(many)
    for value, (shape, axis) in zip(found, orders, strict=True):
        wide = many.reshape(shape).astype("float64")
        np.testing.assert_allclose(value, np.square(wide).mean(axis=axis), rtol=1e-5)


@pytest.mark.promise(27)
def test_gradients_that_add_up_ten_million_numbers(many: np.ndarray) -> None:
    """That of a bias is the sum over all samples, broadcasting backwards."""
    x, b = at.Tensor(many.reshape(-1, 4)), at.Tensor(np.zeros(4, "float32"), requires_grad=True)
    at.sum(x * b).backward()
    want = many.reshape(-1, 4).astype("float64").sum(0)
    np.testing.assert_allclose(b.grad.numpy(), want, rtol=1e-5)
    p, q = at.placeholder((None, 4), "float32"), at.placeholder((4,), "float32")
    np.testing.assert_allclose(at.function([p, q], at.grad(at.sum(p * q), q))(x.numpy(), b.numpy()), want, 1e-5)


@pytest.mark.promise(27)
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_batch_moments_of_ten_million_numbers(many: np.ndarray, numba: bool) -> None:
    x = many.reshape(-1, 4)
    wide = x.astype("float64")
    ones = at.Tensor(np.ones(4, "float32"))
    with at.config.use(numba=numba):
        _, mean, variance = at.batch_norm(at.Tensor(x), ones, ones)
    np.testing.assert_allclose(mean.numpy(), wide.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance.numpy(), wide.var(0), rtol=1e-5)


@pytest.mark.promise(27)
@pytest.mark.parametrize("batch_size", [4096, MANY])
def test_a_loss_over_ten_million_samples(many: np.ndarray, batch_size: int) -> None:
    """In one batch and in 2,442 of them, with a metric, by sample weights and without."""
    model = Sequential([Dense(1, input_dim=1, use_bias=False)])
    model.set_weights([np.ones((1, 1))])
    model.compile("sgd", "mse", metrics=["mae"])
    found = model.evaluate(many, np.zeros(MANY, "float32"), batch_size=batch_size, verbose=0)
    wide = many.astype("float64")
    np.testing.assert_allclose(found, [np.square(wide).mean(), wide.mean()], rtol=1e-5)


# -- denormals --------------------------------------------------------------------------------------------------------

TINY = {"float64": 1e-310, "float32": 1e-40}


@pytest.mark.promise(24)
@pytest.mark.parametrize("dtype", TINY)
@pytest.mark.parametrize("numba", [True, False])
def test_denormals_are_what_numpy_makes_of_them(dtype: str, numba: bool) -> None:
    """Nothing flushes them to 0: no kernel, and no library for the whole process."""
    small = np.array([TINY[dtype], -TINY[dtype], np.finfo(dtype).smallest_subnormal], dtype)
    p = at.placeholder((None,), dtype)
    with at.config.use(numba=numba):
        found = at.function([p], [p * 1.0, p + p, at.sum(p, keepdims=True), at.grad(at.sum(p * p), p), at.abs(p)])(
            small
        )
    for value, want in zip(
        found, [small, small + small, small.sum(keepdims=True), small + small, abs(small)], strict=True
    ):
        np.testing.assert_array_equal(value, want)
        assert np.count_nonzero(value) == np.count_nonzero(want) > 0
    assert np.float64(1e-310) * 1.0 != 0.0 and np.float32(1e-40) * np.float32(1) != 0  # after kernels have run


UNARY = (
    "exp expm1 exp2 log log1p log2 log10 sqrt square sin cos tan tanh sinh cosh arctan arcsinh abs sign negative"
).split()
EDGES = {
    "float64": [5e-324, 1e-310, 2.3e-308, 1e-300, 1e-20, 1e5, 1e300, 1.7e308],
    "float32": [1e-45, 1e-40, 1.2e-38, 1e-30, 1e-10, 1e5, 1e30, 3.4e38],
}


@pytest.mark.promise(24)
@pytest.mark.parametrize("dtype", EDGES)
@pytest.mark.parametrize("name", UNARY)
def test_huge_tiny_and_subnormal_arguments(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On values, by NumPy, and in generated kernels, whose text is run as Python; NumPy's longdouble is the judge."""
    x = np.array([*EDGES[dtype], *[-v for v in EDGES[dtype]]], dtype)
    function = getattr(at, name)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x.astype(Wide)).astype(dtype)
        if name in ("sin", "cos", "tan"):
            x, want = x[abs(x) < 1e6], want[abs(x) < 1e6]  # beyond, float32 kernels promise a sine, but not which
        p = at.placeholder(x.shape, dtype)
        found = [function(at.Tensor(x)).numpy(), at.function([p], function(p))(x)]
        monkeypatch.setattr(codegen, "load", plain_load)
        with at.config.use(numba=True):
            found.append(at.function([p], function(p))(x))
    close = np.finfo(dtype)
    for value in found:
        np.testing.assert_allclose(value, want, rtol=8 * close.eps, atol=4 * float(close.smallest_subnormal))


# -- NaN and infinity: the table of docs/reliability.md, with what genuine Keras 2.3.1 on TensorFlow gave -------------

X = np.random.RandomState(0).normal(size=(12, 3)).astype("float32")
Y = np.random.RandomState(1).normal(size=(12, 2)).astype("float32")


def bad(array: np.ndarray, value: float) -> np.ndarray:
    """The second batch of four has it."""
    changed = array.copy()
    changed[(5, 1) if array.ndim == 2 else 5] = value
    return changed


def linear() -> Sequential:
    model = Sequential([Dense(2, input_dim=3, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    model.optimizer.lr = 0.1
    return model


def kinds_of(model: Sequential) -> str:
    finite = [np.isfinite(w) for w in model.get_weights()]
    return "finite" if all(f.all() for f in finite) else "some" if any(f.any() for f in finite) else "none"


ONES = np.ones(12)
# what is bad -> (arguments of fit, does the loss stay finite, which weights do)
IN_FIT: dict[str, tuple[dict[str, Any], bool, str]] = {
    "NaN in x": ({"x": bad(X, np.nan)}, False, "none"),
    "infinity in x": ({"x": bad(X, np.inf)}, False, "none"),
    "NaN in one column of y": ({"y": bad(Y, np.nan)}, False, "some"),
    "NaN in sample_weight": ({"sample_weight": bad(ONES, np.nan)}, False, "none"),
    "infinity in sample_weight": ({"sample_weight": bad(ONES, np.inf)}, False, "none"),
    "NaN in x, weight 0": ({"x": bad(X, np.nan), "sample_weight": bad(ONES, 0)}, False, "none"),
    "NaN in y, weight 0": ({"y": bad(Y, np.nan), "sample_weight": bad(ONES, 0)}, False, "some"),
    "negative weight": ({"sample_weight": bad(ONES, -1)}, True, "finite"),
    "all weights 0": ({"sample_weight": 0 * ONES}, True, "finite"),
}


@pytest.mark.promise(20)
@pytest.mark.parametrize("what", IN_FIT)
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_not_finite_in_fit(what: str, numba: bool) -> None:
    given, finite, weights = IN_FIT[what]
    with at.config.use(numba=numba):
        model = linear()
        found = model.fit(**({"x": X, "y": Y} | given), batch_size=4, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(found.history["loss"]).all() == finite and found.epoch == [0, 1]
    assert kinds_of(model) == weights
    assert np.isfinite(model.evaluate(X, Y, verbose=0)) == (weights == "finite")


@pytest.mark.promise(20)
def test_a_learning_rate_and_a_class_weight_that_are_nan() -> None:
    model = linear()
    model.optimizer.lr = np.nan
    assert np.isnan(model.fit(X, Y, batch_size=4, verbose=0).history["loss"]).all() and kinds_of(model) == "none"
    model = Sequential([Dense(2, input_dim=3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = model.fit(X, np.arange(12) % 2, class_weight={0: 1.0, 1: np.nan}, verbose=0)
    assert np.isnan(found.history["loss"]).all() and kinds_of(model) == "none"


@pytest.mark.promise(20)
def test_one_sample_that_is_nan_spoils_evaluate_but_not_the_predictions_of_others() -> None:
    model = linear()
    assert np.isnan(model.evaluate(bad(X, np.nan), Y, batch_size=4, verbose=0))
    rows = np.isnan(model.predict(bad(X, np.nan), batch_size=4)).all(-1)
    assert rows.tolist() == [k == 5 for k in range(12)]


NAN, INF = float("nan"), float("inf")
# layer -> row that comes in, row that goes out
IN_LAYERS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "relu": ("relu", [NAN, -1, INF], [NAN, 0, INF]),
    "sigmoid": ("sigmoid", [NAN, INF, -INF], [NAN, 1, 0]),
    "hard_sigmoid": ("hard_sigmoid", [NAN, INF, -INF], [NAN, 1, 0]),
    "tanh": ("tanh", [NAN, INF, -INF], [NAN, 1, -1]),
    "elu": ("elu", [NAN, INF, -INF], [NAN, INF, -1]),
    "softmax, NaN": ("softmax", [NAN, 1, 2], [NAN, NAN, NAN]),
    "softmax, infinity": ("softmax", [INF, 0, 0], [NAN, NAN, NAN]),
    "softmax, minus infinity": ("softmax", [-INF, 0, 0], [0, 0.5, 0.5]),
    "softplus": ("softplus", [NAN, INF, -INF], [NAN, INF, 0]),
}


@pytest.mark.promise(20)
@pytest.mark.parametrize("case", IN_LAYERS)
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_not_finite_in_activations(case: str, numba: bool) -> None:
    name, given, want = IN_LAYERS[case]
    with at.config.use(numba=numba), np.errstate(all="ignore"):
        found = Sequential([Activation(name, input_shape=(3,))]).predict(np.array([given], "float32"))
    np.testing.assert_allclose(found, [want], rtol=1e-6)


@pytest.mark.promise(20)
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_pooling_and_batch_normalization_let_nan_through(numba: bool) -> None:
    """The largest of NaN and 1 is NaN, as in NumPy; TensorFlow on a CPU says 1."""
    x = np.array([[[1.0], [NAN], [3.0], [2.0]]], "float32")
    with at.config.use(numba=numba):
        np.testing.assert_array_equal(at.max_pool(at.Tensor(x), 2).numpy().ravel(), [NAN, 3])
        np.testing.assert_array_equal(at.average_pool(at.Tensor(x), 2).numpy().ravel(), [NAN, 2.5])
        rows = at.Tensor(np.array([[NAN, 1.0], [2.0, 3.0]], "float32"))
        normal, mean, variance = (v.numpy() for v in at.batch_norm(rows, epsilon=0.0))
        np.testing.assert_array_equal(mean, [NAN, 2])
        np.testing.assert_array_equal(variance, [NAN, 1])
        np.testing.assert_allclose(normal, [[NAN, -1], [NAN, 1]], rtol=1e-6)


@pytest.mark.promise(20)
def test_nan_under_a_mask() -> None:
    """A masked step of a recurrent layer is passed over, whatever it holds; a masked loss is multiplied by 0, so stays
    NaN. As Keras 2.3.1."""
    model = Sequential([Embedding(3, 2, mask_zero=True, input_length=4), SimpleRNN(2)])
    (rows, *others) = model.get_weights()
    words = np.array([[1, 2, 0, 0]])
    want = model.predict(words)
    rows[0] = NAN
    model.set_weights([rows, *others])
    np.testing.assert_array_equal(model.predict(words), want)

    model = Sequential([Masking(0.0, input_shape=(4, 3)), SimpleRNN(1, return_sequences=True)])
    model.compile("sgd", "mse")
    x, y = np.ones((2, 4, 3), "float32"), np.ones((2, 4, 1), "float32")
    x[:, 2:], y[:, 2:] = 0, NAN
    assert np.isnan(model.train_on_batch(x, y)) and kinds_of(model) == "none"


def told(callback: callbacks.Callback, values: list[float]) -> tuple[list[bool], list[float]]:
    """After each epoch with such a val_loss: has training been stopped, and at which learning rate goes it on."""
    model = linear()
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "verbose": 0, "metrics": ["val_loss"]})
    model.stop_training = False
    callback.on_train_begin({})
    stopped, rates = [], []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, {"val_loss": value, "loss": value})
        stopped.append(bool(model.stop_training))
        rates.append(round(float(K.get_value(model.optimizer.lr)), 5))
        if stopped[-1]:
            break
    return stopped, rates


@pytest.mark.promise(20)
def test_callbacks_that_watch_a_loss_that_is_nan(tmp_path: Any) -> None:
    """NaN is never better: it counts as an epoch without progress, as in Keras 2.3.1."""
    early = callbacks.EarlyStopping
    assert told(early(patience=2), [NAN, 1, 2, 3, 4])[0] == [False, False, False, True]
    assert told(early(patience=2), [1, NAN, NAN, NAN])[0] == [False, False, True]
    assert told(early(patience=2), [NAN, NAN, NAN])[0] == [False, True]
    assert told(early(), [NAN, NAN])[0] == [True]
    reduce = callbacks.ReduceLROnPlateau
    assert told(reduce(patience=2, factor=0.5), [1, NAN, NAN, NAN, NAN])[1] == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert told(reduce(patience=2, factor=0.5), [NAN, 1, 0.5, NAN, NAN])[1] == [0.1, 0.1, 0.1, 0.1, 0.05]
    checkpoint = callbacks.ModelCheckpoint(str(tmp_path / "{epoch:02d}.h5"), save_best_only=True)
    told(checkpoint, [NAN, 2, NAN, 1, 3])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02.h5", "04.h5"] and checkpoint.best == 1


@pytest.mark.promise(20)
def test_anomaly_mode_names_the_first_bad_operation_of_a_fit() -> None:
    model = linear()
    with at.detect_anomaly(), pytest.raises(at.NanError, match=r"\[\w+\] .*NaN"):
        model.fit(bad(X, NAN), Y, batch_size=4, verbose=0)
    with at.config.use(nan_guard=True), pytest.raises(at.NanError, match=r"\[\w+\] first NaN"):
        linear().fit(X, bad(Y, NAN), batch_size=4, verbose=0)


# -- few samples ------------------------------------------------------------------------------------------------------


@pytest.mark.promise(21)
def test_batch_normalization_of_a_last_batch_of_one() -> None:
    """The numbers of Keras 2.3.1, to which its variance of 0 for the one sample belongs."""
    model = Sequential([BatchNormalization(input_shape=(3,), momentum=0.5), Dense(2, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    model.optimizer.lr = 0.1
    random = np.random.RandomState(0)
    x, y = random.normal(size=(12, 3)).astype("f4"), random.normal(size=(12, 2)).astype("f4")
    found = model.fit(x[:5], y[:5], batch_size=4, shuffle=False, verbose=0, epochs=2).history["loss"]
    np.testing.assert_allclose(found, [1.66633, 0.764523], rtol=1e-5)
    want: list[Any] = [
        [0.77074, 0.7167, 1.21555],
        [-0.10285, -0.09873, -0.11672],
        [0.89484, 0.25264, 0.38308],
        [0.27166, 0.31406, 0.43567],
        [[0.98197, 0.78767], [0.89091, 0.83286], [1.00423, 1.20811]],
        [-0.12944, 0.01917],
    ]
    for weight, value in zip(model.get_weights(), want, strict=True):
        np.testing.assert_allclose(weight, value, atol=1.1e-5)
    np.testing.assert_allclose(model.predict(x[:1]), [[2.0924, 2.2061]], atol=1.1e-5)


@pytest.mark.promise(21)
@pytest.mark.parametrize("name", [name for name, rows in ROWS.items() if not rows[0].states])
def test_every_layer_takes_no_sample_and_one(name: str) -> None:
    """What one sample gives does not depend on the others; nothing goes in, nothing comes out; one step is taken."""
    row = ROWS[name][0]
    random = np.random.default_rng(0)
    given = [random.integers(0, row.integers, s) if row.integers else random.normal(size=s) for s in row.shapes]
    inputs = [Input(shape[1:], dtype="int32" if row.integers else None) for shape in row.shapes]
    model = Model(inputs, row.make()(inputs[0] if len(inputs) == 1 else inputs))

    def of(rows: slice) -> list[np.ndarray]:
        found = model.predict_on_batch([x[rows] for x in given])
        return found if isinstance(found, list) else [found]

    whole, one, none = of(slice(None)), of(slice(1)), of(slice(0))
    for a, b, c in zip(whole, one, none, strict=True):
        np.testing.assert_allclose(a[:1], b, atol=1e-5)
        assert c.shape == (0, *a.shape[1:])
    model.compile("sgd", "mse")
    loss = model.train_on_batch([x[:1] for x in given], [np.zeros_like(b) for b in one])
    assert np.isfinite(loss).all() and all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.promise(21)
@pytest.mark.parametrize("n", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_no_samples_and_one_in_kernels(n: int) -> None:
    """Compiled: a convolution, batch normalization, pooling and a softmax with its loss and all gradients."""
    x = np.random.default_rng(0).normal(size=(n, 6, 6, 2)).astype("float32")
    p, w = at.placeholder((None, 6, 6, 2), "float32"), at.Tensor(np.ones((3, 3, 2, 4), "float32"))
    h, _, _ = at.batch_norm(at.conv(p, w))
    pooled = at.reshape(at.max_pool(at.relu(h), (2, 2)), (-1, 16))
    outputs = [at.softmax(pooled), at.sum(at.logsumexp(pooled, axis=-1)), at.grad(at.sum(at.log_softmax(pooled)), p)]
    compiled = at.function([p], outputs)
    with np.errstate(all="ignore"), at.config.use(numba=True):
        found = compiled(x)
        with at.config.use(compile=False):
            want = compiled(x)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert found[0].shape == (n, 16) and found[2].shape == x.shape


@pytest.mark.promise(21)
def test_epochs_and_shares_of_nothing() -> None:
    for given in ({"epochs": 0}, {"epochs": 2, "initial_epoch": 2}, {"epochs": 2, "initial_epoch": 5}):
        model = linear()
        before = model.get_weights()
        found = model.fit(X, Y, verbose=0, **given)
        assert found.history == {} and found.epoch == []
        np.testing.assert_array_equal(model.get_weights()[0], before[0])
    history = linear().fit(X, Y, validation_split=0.01, batch_size=4, verbose=0).history  # Keras: int(12 * 0.99) train
    assert sorted(history) == ["loss", "val_loss"]
    assert linear().fit(X, Y, validation_split=0.0, verbose=0).history.keys() == {"loss"}
    assert linear().predict_on_batch(X[:0]).shape == (0, 2)
    assert len(linear().fit(X[:1], Y[:1], batch_size=1000, epochs=2, verbose=0).history["loss"]) == 2
