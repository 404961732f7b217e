# The code of users stays as they wrote it.
# ruff: noqa: UP008, B006
"""Classes and functions that users wrote for Keras 0.x, 1.x or 2.x, unchanged: each must compute what NumPy says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import backend as K
from keras_compat import constraints, initializers, losses, metrics, optimizers, regularizers
from keras_compat.callbacks import Callback, LambdaCallback
from keras_compat.engine import InputSpec
from keras_compat.layers import GRU, Activation, Dense, Input, Lambda, Layer, Masking
from keras_compat.models import Model, Sequential, load_model, model_from_json
from keras_compat.utils.generic_utils import CustomObjectScope, get_custom_objects

RNG = np.random.default_rng(11)
X = RNG.normal(size=(12, 4)).astype("float32")
Y = RNG.normal(size=(12, 3)).astype("float32")
LEVELS = ("1.2", "2.2", "2.3")


@pytest.fixture(autouse=True)
def plain_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    with keras_compat.api_level(request.param):
        yield request.param


def near(a: Any, b: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


# -- layers -----------------------------------------------------------------------------------------------------------


class Linear1(Layer):
    """As the guide of Keras 1 has it."""

    def __init__(self, output_dim, **kwargs):
        self.output_dim = output_dim
        super(Linear1, self).__init__(**kwargs)

    def build(self, input_shape):
        self.W = self.add_weight((input_shape[1], self.output_dim), "glorot_uniform", name=f"{self.name}_W")
        self.b = self.add_weight((self.output_dim,), initializer="zero", name=f"{self.name}_b")
        super(Linear1, self).build(input_shape)

    def call(self, x, mask=None):
        return K.dot(x, self.W) + self.b

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        config = {"output_dim": self.output_dim}
        base_config = super(Linear1, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


class Linear2(Layer):
    """As the guide of Keras 2 has it."""

    def __init__(self, output_dim, **kwargs):
        self.output_dim = output_dim
        super(Linear2, self).__init__(**kwargs)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[1], self.output_dim), initializer="uniform", trainable=True
        )
        self.bias = self.add_weight("bias", (self.output_dim,), initializer="zeros")
        super(Linear2, self).build(input_shape)

    def call(self, x):
        return K.dot(x, self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        return dict(super().get_config(), output_dim=self.output_dim)


class LinearByHand(Layer):
    """Weights made by K and listed by hand; the base class is set up last."""

    def __init__(self, output_dim, init="glorot_uniform", weights=None, **kwargs):
        self.init = initializers.get(init)
        self.output_dim = output_dim
        self.initial_weights = weights
        self.input_spec = [InputSpec(ndim="2+")]
        super(LinearByHand, self).__init__(**kwargs)

    def build(self, input_shape):
        self.W = K.variable(np.full((input_shape[-1], self.output_dim), 0.5), name="W")
        self.b = K.zeros((self.output_dim,), name="b")
        self.scale = K.variable(2.0)
        self.trainable_weights = [self.W, self.b]
        self.non_trainable_weights = [self.scale]
        if self.initial_weights is not None:
            self.set_weights(self.initial_weights)
            del self.initial_weights

    def call(self, x, mask=None):
        return self.scale * (K.dot(x, self.W) + self.b)

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], self.output_dim)


class LinearOf03(Layer):
    """As the guide of Keras 0.3 has it: the layer fetches its input."""

    def __init__(self, output_dim, init="glorot_uniform", weights=None, input_dim=None, **kwargs):
        self.init = keras_compat.initializations.get(init)
        self.output_dim = output_dim
        self.initial_weights = weights
        self.input_dim = input_dim
        if self.input_dim:
            kwargs["input_shape"] = (self.input_dim,)
        self.input = K.placeholder(ndim=2)
        super(LinearOf03, self).__init__(**kwargs)

    def build(self):
        input_dim = self.input_shape[1]
        self.W = self.init((input_dim, self.output_dim))
        self.b = K.zeros((self.output_dim,))
        self.trainable_weights = [self.W, self.b]
        if self.initial_weights is not None:
            self.set_weights(self.initial_weights)
            del self.initial_weights

    @property
    def output_shape(self):
        return (self.input_shape[0], self.output_dim)

    def get_output(self, train=False):
        X = self.get_input(train)
        out = K.dot(X, self.W) + self.b
        return 2 * out if train else out


@pytest.mark.parametrize("cls", [Linear1, Linear2, LinearByHand, LinearOf03])
def test_a_layer_of_any_line_computes_and_learns(cls: Any, level: str) -> None:
    layer = cls(3, input_shape=(4,))
    model = Sequential([layer])
    w, b = K.get_value(layer.trainable_weights[0]), K.get_value(layer.trainable_weights[1])
    factor = 2.0 if cls is LinearByHand else 1.0
    near(model.predict(X), factor * (X @ w + b))
    assert model.output_shape == (None, 3) == tuple(layer.compute_output_shape((None, 4)))
    assert tuple(layer.get_output_shape_for((7, 4))) == (7, 3)
    # One step of gradient descent on the mean of squares, by hand. The layer of 0.3 doubles its output in training.
    model.compile(optimizers.SGD(lr=0.1), "mse")
    trained = 2.0 if cls in (LinearByHand, LinearOf03) else 1.0
    error = 2.0 * (trained * (X @ w + b) - Y) / Y.size
    model.train_on_batch(X, Y)
    near(K.get_value(layer.trainable_weights[0]), w - 0.1 * trained * X.T @ error)
    near(K.get_value(layer.trainable_weights[1]), b - 0.1 * trained * error.sum(0))
    assert layer.count_params() == (16 if cls is LinearByHand else 15)


def test_initial_weights_given_to_the_layer(level: str) -> None:
    w, b = RNG.normal(size=(4, 3)).astype("float32"), RNG.normal(size=3).astype("float32")
    near(Sequential([Linear2(3, input_shape=(4,), weights=[w, b])]).predict(X), X @ w + b)
    near(Sequential([LinearOf03(3, weights=[w, b], input_dim=4)]).predict(X), X @ w + b)
    near(Sequential([LinearByHand(3, weights=[w, b, 3.0], input_shape=(4,))]).predict(X), 3 * (X @ w + b))


@pytest.mark.parametrize("cls", [Linear1, Linear2])
def test_add_weight_in_both_positional_orders(cls: Any, level: str) -> None:
    layer = cls(3, input_shape=(4,), name="mine")
    Sequential([layer])
    assert [tuple(w.shape) for w in layer.weights] == [(4, 3), (3,)]
    assert all(w.name.startswith("mine/") for w in layer.weights)


def test_regularizer_constraint_and_trainable_of_add_weight(level: str) -> None:
    class Mine(Layer):
        def build(self, input_shape):
            self.a = self.add_weight((4,), "one", name="a", regularizer=regularizers.l2(0.5), constraint="nonneg")
            self.c = self.add_weight((4,), initializer="one", name="c", trainable=False)
            self.built = True

        def call(self, x, mask=None):
            return x * self.a * self.c

    layer = Mine(input_shape=(4,))
    model = Sequential([layer])
    assert [w.name for w in layer.non_trainable_weights] == [layer.c.name]
    model.compile(optimizers.SGD(lr=10.0), "mse")
    assert model.evaluate(X, X, verbose=0) == pytest.approx(0.5 * 4, rel=1e-5)
    model.train_on_batch(X, X)  # the penalty alone pulls by 10 * 2 * 0.5 * a: to -9, which the constraint makes 0
    assert K.get_value(layer.a).tolist() == [0, 0, 0, 0]


def test_constraints_dictionary_of_a_layer(level: str) -> None:
    class Mine(Layer):
        def build(self, input_shape):
            self.a = K.variable(np.full(4, 3.0))
            self.b = K.variable(np.full(4, 3.0))
            self.trainable_weights = [self.a, self.b]
            self.constraints = {self.a: constraints.unitnorm()}
            self.constraints[self.b] = lambda p: K.clip(p, 0.0, 0.25)

        def call(self, x, mask=None):
            return x * self.a + self.b

    layer = Mine(input_shape=(4,))
    model = Sequential([layer])
    assert set(model.layers[0].constraints) == {layer.a, layer.b}
    model.compile("sgd", "mse")
    model.train_on_batch(X, X)
    assert np.linalg.norm(K.get_value(layer.a)) == pytest.approx(1, rel=1e-3)
    assert K.get_value(layer.b).tolist() == [0.25] * 4


def test_regularizers_list_of_a_layer() -> None:
    class Doubling(regularizers.Regularizer):
        """As in Keras 0.3: it adds to the loss it is called with."""

        def set_param(self, p):
            self.p = p

        def __call__(self, loss):
            loss += 3.0 * K.sum(self.p)
            return loss

    class Mine(Layer):
        def build(self, input_shape):
            self.w = K.variable([1.0, 2.0, 3.0, 4.0])
            self.trainable_weights = [self.w]
            self.regularizers = []
            for regularizer in (Doubling(), regularizers.l1(0.1)):
                regularizer.set_param(self.w)
                self.regularizers.append(regularizer)

        def call(self, x, mask=None):
            return x * 0.0 * self.w + x

    model = Sequential([Mine(input_shape=(4,))])
    model.compile("sgd", "mse")
    assert model.test_on_batch(X, X) == pytest.approx(3 * 10 + 0.1 * 10, rel=1e-5)


def test_updates_in_every_form(level: str) -> None:
    class Counting(Layer):
        form = "add_update"

        def build(self, input_shape):
            self.n = K.variable(0.0)
            self.non_trainable_weights = [self.n]
            if self.form == "assigned":
                self.updates = [(self.n, self.n + 1)]
            self.built = True

        def call(self, x, mask=None):
            if self.form == "add_update":
                self.add_update(K.update_add(self.n, 1), x)
            elif self.form == "pairs":
                self.add_update([(self.n, self.n + 1)], inputs=x)
            elif self.form == "add_updates":
                self.add_updates([(self.n, self.n + 1)], x)
            elif self.form == "unconditional":
                self.add_update([K.update(self.n, self.n + 1)])
            return x

    for form in ("add_update", "pairs", "add_updates", "unconditional", "assigned"):
        layer = Counting(input_shape=(4,))
        layer.form = form
        model = Sequential([layer, Dense(3)])
        model.compile("sgd", "mse")
        for _ in range(3):
            model.train_on_batch(X, Y)
        model.test_on_batch(X, Y)
        assert K.get_value(layer.n) == 3, form
        x = layer.get_input_at(0)
        conditional = form not in ("unconditional", "assigned")
        assert len(layer.get_updates_for(x)) == conditional
        assert len(layer.get_updates_for(None)) == (not conditional)


def test_losses_in_every_form(level: str) -> None:
    class Penalised(Layer):
        form = "with inputs"

        def call(self, x, mask=None):
            penalty = 0.25 * K.sum(K.square(x))
            if self.form == "with inputs":
                self.add_loss(penalty, inputs=x)
            elif self.form == "without":
                self.add_loss(penalty)
            elif self.form == "list":
                self.add_loss([penalty], inputs=[x])
            elif self.form == "assigned":
                self.losses = [penalty]
            return x

    for form in ("with inputs", "without", "list", "assigned"):
        layer = Penalised(input_shape=(4,))
        layer.form = form
        model = Sequential([layer])
        model.compile("sgd", "mse")
        assert model.test_on_batch(X, X) == pytest.approx(0.25 * (X**2).sum(), rel=1e-4), form
        # The same within another model, called on other tensors.
        if form != "assigned":
            outer_in = Input((4,))
            outer = Model(outer_in, model(Lambda(lambda t: 2.0 * t)(outer_in)))
            outer.compile("sgd", "mse")
            want = 0.25 * ((2 * X) ** 2).sum() + (0.25 * (X**2).sum() if form == "without" else 0.0)
            if form != "without":
                assert outer.test_on_batch(X, 2 * X) == pytest.approx(want, rel=1e-4), form


def test_activity_regularizer_attribute(level: str) -> None:
    class Mine(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.activity_regularizer = regularizers.get("l1")

        def call(self, x):
            return 3.0 * x

    model = Sequential([Mine(input_shape=(4,))])
    model.compile("sgd", "mse")
    assert model.test_on_batch(X, 3 * X) == pytest.approx(0.01 * np.abs(3 * X).sum(), rel=1e-4)


def test_masks_pass_through_old_and_new_hooks(level: str) -> None:
    seen = []

    class Needs(Layer):
        """Keras 1 hands the mask always: it has no default."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, x, mask):
            seen.append(mask)
            return x if mask is None else x * K.expand_dims(K.cast(mask, "float32"))

    class Ends(Layer):
        supports_masking = True

        def call(self, x, mask=None):
            m = K.expand_dims(K.cast(mask, K.floatx()))
            return K.sum(x * m, axis=1) / K.sum(m, axis=1)

        def compute_mask(self, x, input_mask=None):
            return None

        def get_output_shape_for(self, shape):
            return (shape[0], shape[2])

    plain = Sequential([Needs(input_shape=(3, 2))])
    data = RNG.normal(size=(4, 3, 2)).astype("float32")
    near(plain.predict(data), data)
    assert seen[-1] is None
    steps = RNG.normal(size=(4, 3, 2)).astype("float32")
    steps[0, 1:] = 0
    steps[2, 2] = 0
    ends = Ends()
    ends.supports_masking = True
    model = Sequential([keras_compat.layers.Masking(input_shape=(3, 2)), Needs(), ends])
    counts = np.array([1, 3, 2, 3])[:, None]
    near(model.predict(steps), steps.sum(1) / counts)
    assert seen[-1] is not None


def test_a_mask_by_position_as_in_keras_1() -> None:
    class Mine(Layer):
        def call(self, x, mask=None):
            return x * K.expand_dims(K.cast(mask, "float32"))

        def compute_mask(self, x, mask=None):
            return None

    x, m = K.variable(np.ones((2, 3, 1))), K.variable([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert K.eval(Mine()(x, m))[..., 0].tolist() == [[1, 0, 1], [0, 1, 1]]


def test_several_inputs_and_outputs_of_a_user_layer(level: str) -> None:
    class SumAndProduct(Layer):
        def build(self, input_shape):
            assert input_shape == [(None, 4), (None, 4)]
            super().build(input_shape)

        def call(self, xs):
            a, b = xs
            return [a + b, a * b]

        def compute_output_shape(self, shapes):
            return [shapes[0], shapes[1]]

        def compute_mask(self, inputs, mask=None):
            return [None, None]

    a, b = Input((4,)), Input((4,))
    model = Model([a, b], SumAndProduct()([a, b]))
    got = model.predict([X, 2 * X])
    near(got[0], 3 * X)
    near(got[1], 2 * X * X)


def test_learning_phase_in_a_user_layer(level: str) -> None:
    class Doubling(Layer):
        def __init__(self, **kwargs):
            self.uses_learning_phase = True
            super().__init__(**kwargs)

        def call(self, x, mask=None):
            return K.in_train_phase(2.0 * x, x)

    model = Sequential([Doubling(input_shape=(4,))])
    model.compile("sgd", "mse")
    assert model.uses_learning_phase
    near(model.predict(X), X)
    f = K.function([model.layers[0].input, K.learning_phase()], [model.layers[0].output])
    near(f([X, 0])[0], X)
    near(f([X, 1])[0], 2 * X)


def test_layer_with_a_layer_inside() -> None:
    """Keras 2.3 follows attributes; before, a layer lists what it has."""

    class Twice(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Dense(4, use_bias=False)

        def call(self, x):
            return self.inner(self.inner(x))

    with keras_compat.api_level("2.3"):
        layer = Twice(input_shape=(4,))
        model = Sequential([layer])
    (w,) = model.get_weights()
    near(model.predict(X), X @ w @ w)


def test_a_custom_layer_in_files_and_configs(level: str, tmp_path: Any) -> None:
    model = Sequential([Linear1(3, input_shape=(4,)), Linear2(2)])
    model.compile("sgd", "mse")
    both = {"Linear1": Linear1, "Linear2": Linear2}
    again = model_from_json(model.to_json(), custom_objects=both)
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    path = tmp_path / "m.h5"
    model.save(path)
    near(load_model(path, custom_objects=both).predict(X), model.predict(X))
    with CustomObjectScope(both):
        near(load_model(path).predict(X), model.predict(X))
    get_custom_objects().update(both)
    try:
        near(load_model(path).predict(X), model.predict(X))
    finally:
        get_custom_objects().clear()
    with pytest.raises(ValueError, match="Linear1"):
        load_model(path)


def test_words_of_every_layer_reach_a_users_layer(level: str) -> None:
    class Mine(Layer):
        def call(self, x):
            return x

    layer = Mine(batch_input_shape=(None, 4), name="n", trainable=False, input_dtype="float32")
    assert (layer.name, layer.trainable, layer.dtype) == ("n", False, "float32")
    assert Mine(input_dim=4).batch_input_shape == (None, 4)
    with pytest.raises(TypeError, match="not understood: 'unitz'"):
        Mine(unitz=3)


def test_get_output_and_get_input_of_keras_0() -> None:
    model = Sequential([Dense(3, input_dim=4), keras_compat.layers.Dropout(0.5)])
    f = K.function([model.layers[0].get_input()], [model.layers[1].get_output(train=False)])
    near(f([X])[0], model.predict(X))
    train = K.function([model.layers[0].get_input()], [model.layers[1].get_output(train=True)])
    assert (train([X])[0] == 0).any()
    assert model.layers[0].get_params()[0] == model.layers[0].trainable_weights
    assert model.layers[0].get_output_mask() is None and model.layers[0].supports_masked_input()


def test_variables_answer_to_theanos_methods() -> None:
    model = Sequential([Dense(3, input_dim=4)])
    model.compile("sgd", "mse")
    assert float(model.optimizer.lr.get_value()) == pytest.approx(0.01)
    model.optimizer.lr.set_value(0.5)
    assert float(K.get_value(model.optimizer.lr)) == 0.5
    model.layers[0].W.set_value(np.zeros((4, 3)))
    assert (model.predict(X) == model.layers[0].b.get_value()).all()


def test_set_input_shape_and_set_previous_of_keras_0() -> None:
    first, second = Dense(3), Dense(2)
    first.set_input_shape((None, 4))
    assert first.get_weights()[0].shape == (4, 3)
    first(Input((4,)))
    second.set_previous(first)
    assert second.input_shape == (None, 3) and second.params == second.trainable_weights
    second.clear_previous()
    second.set_previous(Sequential([Dense(7, input_dim=2)]))
    assert second.get_weights()[0].shape == (7, 2)


def test_add_metric(level: str) -> None:
    class Mine(Layer):
        def call(self, x):
            self.add_metric(K.mean(K.abs(x)), name="size")
            return x

    model = Sequential([Mine(input_shape=(4,)), Dense(3)])
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.metrics_names[-1] == "size" and len(model.metrics_names) == 3
    log = model.fit(X, Y, batch_size=6, epochs=2, shuffle=False, verbose=0).history
    near(log["size"], [np.abs(X).mean()] * 2)
    assert model.evaluate(X, Y, verbose=0)[-1] == pytest.approx(np.abs(X).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="provide a name"):
        model.layers[0].add_metric(K.mean(model.layers[0].output))
    functional_in = Input((4,))
    functional_out = Dense(3)(functional_in)
    functional = Model(functional_in, functional_out)
    functional.add_metric(K.sum(functional_out), name="total")
    functional.add_loss(K.mean(K.square(functional_out)))
    functional.compile("sgd")
    loss, total = functional.test_on_batch(X)
    out = functional.predict(X)
    assert loss == pytest.approx((out**2).mean(), rel=1e-4) and total == pytest.approx(out.sum(), rel=1e-3)


# -- optimizers -------------------------------------------------------------------------------------------------------


class Plain1(optimizers.Optimizer):
    """Keras 1: the constraints come beside the weights."""

    def __init__(self, lr=0.1, **kwargs):
        super(Plain1, self).__init__(**kwargs)
        self.__dict__.update(locals())
        self.iterations = K.variable(0)
        self.lr = K.variable(lr)

    def get_updates(self, params, constraints, loss):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        self.weights = [self.iterations]
        for p, g in zip(params, grads):
            new_p = p - self.lr * g
            if p in constraints:
                new_p = constraints[p](new_p)
            self.updates.append(K.update(p, new_p))
        return self.updates

    def get_config(self):
        return dict(super(Plain1, self).get_config(), lr=float(K.get_value(self.lr)))


class Plain2(optimizers.Optimizer):
    """Keras 2: a weight has its constraint."""

    def __init__(self, lr=0.1, **kwargs):
        super().__init__(**kwargs)
        self.iterations = K.variable(0, dtype="int64", name="iterations")
        self.lr = K.variable(lr, name="lr")

    def get_updates(self, loss, params):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        self.weights = [self.iterations]
        for p, g in zip(params, grads):
            new_p = p - self.lr * g
            if getattr(p, "constraint", None) is not None:
                new_p = p.constraint(new_p)
            self.updates.append(K.update(p, new_p))
        return self.updates

    def get_config(self):
        return {**super().get_config(), "lr": float(K.get_value(self.lr))}


class PairsOnly(optimizers.Optimizer):
    """Keras 0.x and 1.0: updates are pairs."""

    def __init__(self, lr=0.1, **kwargs):
        super().__init__(**kwargs)
        self.lr = lr

    def get_updates(self, params, constraints, loss):
        grads = self.get_gradients(loss, params)
        return [(p, constraints.get(p, lambda x: x)(p - self.lr * g)) for p, g in zip(params, grads)]


@pytest.mark.parametrize("cls", [Plain1, Plain2, PairsOnly])
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.05}, {"clipvalue": 0.01}])
def test_a_users_optimizer_steps_as_sgd_does(cls: Any, clip: Any, level: str) -> None:
    def weights_after(optimizer: Any) -> list[np.ndarray]:
        np.random.seed(3)
        model = Sequential([Dense(3, input_dim=4, W_constraint="nonneg")])
        model.compile(optimizer, "mse")
        for _ in range(3):
            model.train_on_batch(X, Y)
        return model.get_weights()

    mine = weights_after(cls(lr=0.2, **clip))
    theirs = weights_after(optimizers.SGD(lr=0.2, **clip))
    for a, b in zip(mine, theirs):
        near(a, b)
    assert (mine[0] >= 0).all()


@pytest.mark.parametrize("cls", [Plain1, Plain2])
def test_a_users_optimizer_in_files(cls: Any, level: str, tmp_path: Any) -> None:
    model = Sequential([Dense(3, input_dim=4)])
    model.compile(cls(lr=0.3), "mse")
    model.train_on_batch(X, Y)
    path = tmp_path / "m.h5"
    model.save(path)
    again = load_model(path, custom_objects={cls.__name__: cls})
    assert type(again.optimizer) is cls and again.optimizer.get_config()["lr"] == pytest.approx(0.3)
    assert [int(w) for w in again.optimizer.get_weights()] == [1]
    near(model.train_on_batch(X, Y), again.train_on_batch(X, Y))


# -- callbacks --------------------------------------------------------------------------------------------------------


def test_callbacks_of_both_lines(level: str) -> None:
    class Old(Callback):
        def __init__(self):
            super(Old, self).__init__()
            self.events = []

        def on_train_begin(self, logs={}):
            self.losses = []
            self.events.append(
                ("begin", self.params["nb_epoch"], self.params["nb_sample"], self.params.get("nb_epoch"))
            )

        def on_batch_begin(self, batch, logs={}):
            self.events.append((batch, logs["batch"], logs["size"]))

        def on_batch_end(self, batch, logs={}):
            self.losses.append(logs.get("loss"))
            self.seen_acc = "acc" in logs and logs.get("acc") is not None

        def on_epoch_end(self, epoch, logs={}):
            self.val = (logs["val_acc"], logs.get("val_accuracy"))
            if epoch == 1:
                self.model.stop_training = True

    class New(Callback):
        def on_train_begin(self, logs=None):
            self.run = (self.params["epochs"], self.params["samples"], self.params["batch_size"])
            self.batches = 0
            assert "epochs" in self.params and "nb_epoch" in self.params

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            self.last = logs["accuracy"]

    old, new = Old(), New()
    model = Sequential([Dense(3, input_dim=4, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    one_hot = np.eye(3)[np.arange(12) % 3]
    history = model.fit(
        X, one_hot, batch_size=5, nb_epoch=7, verbose=0, callbacks=[old, new], validation_data=(X, one_hot)
    )
    assert old.events[:4] == [("begin", 7, 12, 7), (0, 0, 5), (1, 1, 5), (2, 2, 2)]
    assert len(old.losses) == 6 == new.batches and old.seen_acc
    assert new.run == (7, 12, 5)
    assert old.val[0] == old.val[1] is not None
    assert history.history["acc"] == history.history["accuracy"] and "val_acc" in history.history
    assert ("acc" in list(history.history)) == (level != "2.3")
    assert len(history.history["loss"]) == 2


def test_lambda_callback_and_a_callback_without_base_init() -> None:
    class Bare(Callback):
        def __init__(self):
            self.n = 0

        def on_epoch_end(self, epoch, logs=None):
            self.n += 1

    said = []
    bare = Bare()
    model = Sequential([Dense(3, input_dim=4)])
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[bare, LambdaCallback(on_epoch_end=lambda e, logs: said.append(e))])
    assert bare.n == 2 and said == [0, 1]


# -- constraints, regularizers, initializers --------------------------------------------------------------------------


def test_a_users_constraint(level: str) -> None:
    class Box(constraints.Constraint):
        def __init__(self, size=0.1):
            self.size = size

        def __call__(self, p):
            return K.clip(p, -self.size, self.size)

        def get_config(self):
            return {"name": self.__class__.__name__, "size": self.size}

    model = Sequential([Dense(3, input_dim=4, W_constraint=Box(0.05), b_constraint=lambda p: p * 0.0)])
    model.compile(optimizers.SGD(1.0), "mse")
    model.train_on_batch(X, Y)
    w, b = model.get_weights()
    assert np.abs(w).max() <= 0.05 + 1e-7 and (b == 0).all()


def test_a_users_regularizer(level: str) -> None:
    class Odd(regularizers.Regularizer):
        def __init__(self, k=1.0):
            self.k = k

        def __call__(self, x):
            return self.k * K.sum(K.abs(x)) ** 2

        def get_config(self):
            return {"k": self.k}

    def plain(x):
        return 0.5 * K.sum(K.pow(x, 4))

    w, b = np.full((4, 3), 0.5), np.full(3, 0.25)
    layer = Dense(3, input_dim=4, W_regularizer=Odd(0.1), b_regularizer=plain, weights=[w, b])
    model = Sequential([layer])
    model.compile("sgd", "mse")
    want = 0.1 * np.abs(w).sum() ** 2 + 0.5 * (b**4).sum()
    assert model.test_on_batch(X, model.predict(X)) == pytest.approx(want, rel=1e-4)


def test_configs_of_penalties_as_keras_1_writes_them(level: str) -> None:
    class Odd(regularizers.Regularizer):
        def __init__(self, k=1.0):
            self.k = k

        def __call__(self, x):
            return self.k * K.sum(x)

        def get_config(self):
            return {"name": self.__class__.__name__, "k": self.k}

    with CustomObjectScope({"Odd": Odd}):
        assert regularizers.get(Odd(3.0).get_config()).k == 3.0
    assert regularizers.get({"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.5}).get_config()["l2"] == 0.5
    assert constraints.get({"name": "MaxNorm", "m": 3.0}).get_config()["max_value"] == 3.0
    with pytest.raises(ValueError, match="expected the name of a known regularizer; got 'Odd'"):
        regularizers.get({"name": "Odd"})


@pytest.mark.parametrize("kind", ["1.x", "1.x by K", "2.x", "2.x without dtype", "class"])
def test_a_users_initializer(kind: str, level: str) -> None:
    def old(shape, name=None):
        return K.variable(np.full(shape, 0.5), name=name)

    def old_scaled(shape, scale=0.25, name=None):
        return keras_compat.initializations.get("one")(shape, name=name) * (2 * scale)

    def new(shape, dtype=None):
        return K.constant(0.5, shape=shape, dtype=dtype)

    class Half(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return K.ones(shape, dtype=dtype) * 0.5

        def get_config(self):
            return {}

    made = {
        "1.x": old,
        "1.x by K": old_scaled,
        "2.x": new,
        "2.x without dtype": lambda shape: np.full(shape, 0.5),
        "class": Half(),
    }[kind]
    word = "init" if kind.startswith("1") else "kernel_initializer"
    model = Sequential([Dense(3, input_dim=4, **{word: made})])
    assert (model.get_weights()[0] == 0.5).all()
    near(model.predict(X), X.sum(1, keepdims=True) * 0.5 @ np.ones((1, 3)))


# -- losses and metrics -----------------------------------------------------------------------------------------------


def test_a_users_loss_function(level: str) -> None:
    def fourth(y_true, y_pred):
        return K.mean(K.pow(y_pred - y_true, 4), axis=-1)

    def scalar(y_true, y_pred):
        return K.sum(K.abs(y_pred - y_true))

    model = Sequential([Dense(3, input_dim=4)])
    for fn, want in ((fourth, lambda p: ((p - Y) ** 4).mean()), (scalar, lambda p: np.abs(p - Y).sum())):
        model.compile("sgd", fn)
        assert model.test_on_batch(X, Y) == pytest.approx(want(model.predict(X)), rel=1e-4)
    weights = np.arange(12.0) + 1
    model.compile("sgd", fourth)
    want = (((model.predict(X) - Y) ** 4).mean(1) * weights).mean()
    assert model.test_on_batch(X, Y, sample_weight=weights) == pytest.approx(want, rel=1e-4)


def test_a_users_loss_class() -> None:
    class Cubic(losses.Loss):
        def __init__(self, power=3, **kwargs):
            super().__init__(**kwargs)
            self.power = power

        def call(self, y_true, y_pred):
            return K.mean(K.pow(K.abs(y_pred - y_true), self.power), axis=-1)

        def get_config(self):
            return dict(super().get_config(), power=self.power)

    model = Sequential([Dense(3, input_dim=4)])
    model.compile("sgd", Cubic())
    p = model.predict(X)
    assert model.test_on_batch(X, Y) == pytest.approx((np.abs(p - Y) ** 3).mean(), rel=1e-4)
    w = np.arange(12.0)
    want = ((np.abs(p - Y) ** 3).mean(1) * w).mean()
    assert model.test_on_batch(X, Y, sample_weight=w) == pytest.approx(want, rel=1e-4)


def test_a_users_metric_functions(level: str, tmp_path: Any) -> None:
    def mean_pred(y_true, y_pred):
        return K.mean(y_pred)

    def per_sample(y_true, y_pred):
        return K.max(K.abs(y_pred - y_true), axis=-1)

    model = Sequential([Dense(3, input_dim=4)])
    model.compile("sgd", "mse", metrics=[mean_pred, per_sample])
    assert model.metrics_names == ["loss", "mean_pred", "per_sample"]
    p = model.predict(X)
    _, a, b = model.test_on_batch(X, Y)
    near([a, b], [p.mean(), np.abs(p - Y).max(1).mean()])
    path = tmp_path / "m.h5"
    model.save(path)
    again = load_model(path, custom_objects={"mean_pred": mean_pred, "per_sample": per_sample})
    assert again.metrics_names == model.metrics_names


def test_a_users_metric_class_with_state() -> None:
    class Positives(Layer):
        """As it was written for 2.2: a layer with state, reset and updated by the model."""

        def __init__(self, name="positives", **kwargs):
            super().__init__(name=name, **kwargs)
            self.stateful = True
            self.total = K.variable(value=0, dtype="int32")

        def reset_states(self):
            K.set_value(self.total, 0)

        def __call__(self, y_true, y_pred):
            found = K.cast(K.sum(K.cast(y_pred > 0, "int32")), "int32")
            current = self.total * 1
            self.add_update(K.update_add(self.total, found), inputs=[y_true, y_pred])
            return current + found

    class New(metrics.Metric):
        def __init__(self, name="new", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight("total", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            return K.update_add(self.total, K.sum(K.cast(y_pred > 0, "float32")))

        def result(self):
            return self.total

    for make in (Positives, New):
        model = Sequential([Activation("linear", input_shape=(4,)), Lambda(lambda t: t)])
        model.compile("sgd", "mse", metrics=[make()])
        got = model.evaluate(X, X, batch_size=5, verbose=0)
        assert got[1] == (X > 0).sum(), make.__name__
        assert model.evaluate(X, X, batch_size=5, verbose=0)[1] == (X > 0).sum(), "reset"


def test_metrics_of_keras_1_on_a_batch() -> None:
    real = np.array([[1.0], [0.0], [1.0], [1.0], [0.0], [0.0]])
    said = np.array([[0.9], [0.8], [0.7], [0.2], [0.1], [0.6]])
    tp, fp, fn, tn = 2.0, 2.0, 1.0, 1.0
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    t, p = K.variable(real), K.variable(said)
    near(K.eval(metrics.precision(t, p)), precision)
    near(K.eval(metrics.recall(t, p)), recall)
    near(K.eval(metrics.fmeasure(t, p)), 2 * precision * recall / (precision + recall))
    near(K.eval(metrics.fbeta_score(t, p, beta=2)), 5 * precision * recall / (4 * precision + recall))
    want = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    near(K.eval(metrics.matthews_correlation(t, p)), want)
    with keras_compat.api_level("1.2"):
        model = Sequential([Activation("linear", input_shape=(1,))])
        model.compile("sgd", "mse", metrics=["precision", "recall", "fmeasure", "matthews_correlation"])
        assert model.metrics_names == ["loss", "precision", "recall", "fmeasure", "matthews_correlation"]
        near(model.test_on_batch(said, real)[1:3], [precision, recall])


def test_what_a_class_sets_before_the_base_class_stays(level: str) -> None:
    class Early(Layer):
        def __init__(self, **kwargs: Any) -> None:
            self.supports_masking = True
            self.input_spec = [InputSpec(ndim=3)]
            super().__init__(**kwargs)

        def call(self, x: Any, mask: Any = None) -> Any:
            return x if mask is None else x * K.expand_dims(K.cast(mask, K.floatx()))

    early = Early()
    assert early.supports_masking and bool(early.input_spec) == (level == "1.2")
    x = np.array([[[1.0], [2.0], [0.0]]])
    model = Sequential([Masking(input_shape=(3, 1)), early, GRU(2)])
    assert model.predict(x).shape == (1, 2) and early.output_mask is not None
