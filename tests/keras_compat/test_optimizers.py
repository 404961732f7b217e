"""Optimizers: steps against a NumPy transcription of the published formulas (whole trainings: test_golden)."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, call-arg, misc, var-annotated"

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import optimizers
from keras_compat.dialect.level import api_level

pytestmark = pytest.mark.usefixtures("without_kernels")

EPS = 1e-7
STEPS = 6
START = {"w": np.array([[1.0, -2.0], [0.5, 3.0]]), "b": np.array([0.3, -0.1])}
CURVATURE = {"w": np.array([[1.0, 0.1], [2.0, 0.5]]), "b": np.array([3.0, 0.2])}


# Each takes the weight, its gradient, a dictionary of state and the number of the step from 0.
def sgd(p, g, s, t, lr=0.01, momentum=0.0, nesterov=False):
    s["v"] = momentum * s.get("v", 0) - lr * g
    return p + momentum * s["v"] - lr * g if nesterov else p + s["v"]


def rmsprop(p, g, s, t, lr=0.001, rho=0.9, eps=EPS):
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g**2
    return p - lr * g / (np.sqrt(s["a"]) + eps)


def adagrad(p, g, s, t, lr=0.01, eps=EPS):
    s["a"] = s.get("a", 0) + g**2
    return p - lr * g / (np.sqrt(s["a"]) + eps)


def adadelta(p, g, s, t, lr=1.0, rho=0.95, eps=EPS):
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g**2
    u = g * np.sqrt(s.get("d", 0) + eps) / np.sqrt(s["a"] + eps)
    s["d"] = rho * s.get("d", 0) + (1 - rho) * u**2
    return p - lr * u


def adam(p, g, s, t, lr=0.001, b1=0.9, b2=0.999, eps=EPS, amsgrad=False):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    s["top"] = np.maximum(s.get("top", 0), s["v"])
    rate = lr * np.sqrt(1 - b2 ** (t + 1)) / (1 - b1 ** (t + 1))
    return p - rate * s["m"] / (np.sqrt(s["top"] if amsgrad else s["v"]) + eps)


def adamax(p, g, s, t, lr=0.002, b1=0.9, b2=0.999, eps=EPS):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["u"] = np.maximum(b2 * s.get("u", 0), abs(g))
    return p - lr / (1 - b1 ** (t + 1)) * s["m"] / (s["u"] + eps)


def nadam(p, g, s, t, lr=0.002, b1=0.9, b2=0.999, eps=EPS, decay=0.004):
    mu = lambda k: b1 * (1 - 0.5 * 0.96 ** (k * decay))
    t += 1
    s["prod"] = s.get("prod", 1.0) * mu(t)
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    ahead = (1 - mu(t)) * g / (1 - s["prod"]) + mu(t + 1) * s["m"] / (1 - s["prod"] * mu(t + 1))
    return p - lr * ahead / (np.sqrt(s["v"] / (1 - b2**t)) + eps)


CASES = {
    "sgd": (lambda: optimizers.SGD(), sgd),
    "sgd momentum": (lambda: optimizers.SGD(lr=0.1, momentum=0.9), lambda *a: sgd(*a, lr=0.1, momentum=0.9)),
    "sgd nesterov": (
        lambda: optimizers.SGD(0.1, 0.8, nesterov=True),
        lambda *a: sgd(*a, lr=0.1, momentum=0.8, nesterov=True),
    ),
    "sgd decay": (lambda: optimizers.SGD(0.1, decay=0.5), lambda p, g, s, t: sgd(p, g, s, t, lr=0.1 / (1 + 0.5 * t))),
    "rmsprop": (lambda: optimizers.RMSprop(), rmsprop),
    "rmsprop arguments": (
        lambda: optimizers.RMSprop(0.01, 0.5, epsilon=1e-3, decay=0.1),
        lambda p, g, s, t: rmsprop(p, g, s, t, 0.01 / (1 + 0.1 * t), 0.5, 1e-3),
    ),
    "adagrad": (lambda: optimizers.Adagrad(), adagrad),
    "adadelta": (lambda: optimizers.Adadelta(), adadelta),
    "adadelta arguments": (
        lambda: optimizers.Adadelta(0.5, 0.8, epsilon=1e-4),
        lambda *a: adadelta(*a, lr=0.5, rho=0.8, eps=1e-4),
    ),
    "adam": (lambda: optimizers.Adam(), adam),
    "adam arguments": (
        lambda: optimizers.Adam(learning_rate=0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-2, decay=0.3),
        lambda p, g, s, t: adam(p, g, s, t, 0.1 / (1 + 0.3 * t), 0.5, 0.9, 1e-2),
    ),
    "adam amsgrad": (
        lambda: optimizers.Adam(0.3, beta_2=0.5, amsgrad=True),
        lambda *a: adam(*a, 0.3, 0.9, 0.5, EPS, True),
    ),
    "adamax": (lambda: optimizers.Adamax(), adamax),
    "nadam": (lambda: optimizers.Nadam(), nadam),
    "nadam arguments": (
        lambda: optimizers.Nadam(0.1, schedule_decay=0.3),
        lambda *a: nadam(*a, lr=0.1, decay=0.3),
    ),
}


def trained(optimizer, steps=STEPS, constraint=None):
    """Weights after steps on a bowl, and the step function."""
    params = [K.variable(START[n], name=n, constraint=constraint) for n in ("w", "b")]
    loss = sum(K.sum(K.square(p) * K.constant(CURVATURE[n])) for p, n in zip(params, ("w", "b"), strict=True))
    step = K.function([], [loss], optimizer.get_updates(loss, params))
    for _ in range(steps):
        step([])
    return params, step


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_formula(name):
    make, formula = CASES[name]
    params, _ = trained(make())
    for p, n in zip(params, ("w", "b"), strict=True):
        value, state = START[n], {}
        for t in range(STEPS):
            value = formula(value, 2 * CURVATURE[n] * value, state, t)
        np.testing.assert_allclose(K.get_value(p), value, rtol=2e-5, atol=1e-6)


STATE = {
    "SGD": ["iterations", "moment", "moment"],
    "RMSprop": ["iterations", "accumulator", "accumulator"],
    "Adagrad": ["iterations", "accumulator", "accumulator"],
    "Adadelta": ["iterations"] + ["accumulator"] * 2 + ["delta_accumulator"] * 2,
    "Adam": ["iterations", "m", "m", "v", "v", "vhat", "vhat"],
    "Adamax": ["iterations", "m", "m", "u", "u"],
    "Nadam": ["iterations", "m_schedule", "m", "m", "v", "v"],
}


@pytest.mark.parametrize("name", STATE)
def test_order_of_the_state(name):
    optimizer = optimizers.get(name)
    trained(optimizer, 1)
    names = [w.name.rstrip("0123456789").rstrip("_") for w in optimizer.weights]
    assert names == STATE[name]
    assert int(K.get_value(optimizer.weights[0])) == 1
    assert K.dtype(optimizer.iterations) == "int64"
    if name == "Adam":
        assert [w.shape for w in optimizer.weights[-2:]] == [(1,), (1,)]


@pytest.mark.parametrize("name", STATE)
def test_state_makes_training_go_on_exactly(name):
    one = optimizers.get(name)
    params, step = trained(one, 3)
    middle, state = K.batch_get_value(params), one.get_weights()
    for _ in range(3):
        step([])
    two = optimizers.get(optimizers.serialize(one))
    others, step = trained(two, 0)
    K.batch_set_value(zip(others, middle, strict=True))
    two.set_weights(state)
    for _ in range(3):
        step([])
    for p, q in zip(params, others, strict=True):
        np.testing.assert_array_equal(K.get_value(p), K.get_value(q))
    with pytest.raises(ValueError, match="does not match the number of weights"):
        two.set_weights(state[:1])
    with pytest.raises(ValueError, match=r"not compatible with provided weight shape"):
        two.set_weights([np.zeros((9, 9)) for _ in state])


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta", "Adam", "Nadam"])
def test_state_of_older_releases(name):
    old = optimizers.get(name)
    trained(old, 4)
    new = optimizers.get(name)
    trained(new, 0)
    state = old.get_weights()
    if name == "Nadam":
        new.set_weights([state[0], *state[2:]])  # 2.2.4 kept no schedule: it is worked out
        np.testing.assert_allclose(new.get_weights()[1], state[1], rtol=1e-5)
    elif name == "Adam":
        new.set_weights(state[:-2])  # 1.2.2 had no vhats
    else:
        new.set_weights(state[1:])
        assert int(new.get_weights()[0]) == 0
    np.testing.assert_array_equal(new.get_weights()[-1], state[-1])


# -- numbers that change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["lr", "learning_rate"])
def test_learning_rate_by_both_words(word):
    optimizer = optimizers.SGD(**{word: 0.5})
    assert optimizer.lr is optimizer.learning_rate
    (w, b), step = trained(optimizer, 1)
    before = K.get_value(w)
    K.set_value(getattr(optimizer, word), 0.0)
    step([])
    np.testing.assert_array_equal(K.get_value(w), before)
    setattr(optimizer, word, 0.25)  # a number goes into the variable, which the compiled step reads
    step([])
    np.testing.assert_allclose(K.get_value(w), before * (1 - 0.5 * CURVATURE["w"]), rtol=1e-6)
    assert optimizer.get_config()["learning_rate"] == 0.25


def test_momentum_is_read_at_each_step():
    optimizer = optimizers.SGD(0.1, momentum=0.9)
    (w, _), step = trained(optimizer, 2)
    K.set_value(optimizer.momentum, 0.0)
    before = K.get_value(w)
    step([])
    np.testing.assert_allclose(K.get_value(w), before * (1 - 0.2 * CURVATURE["w"]), rtol=1e-6)


# -- clipping and constraints -------------------------------------------------------------------------------------


def gradients(optimizer):
    params = [K.variable(START[n]) for n in ("w", "b")]
    loss = sum(K.sum(K.square(p)) for p in params)
    return [K.eval(g) for g in optimizer.get_gradients(loss, params)]


def test_clipnorm_scales_all_gradients_together():
    total = 2 * np.sqrt(sum((v**2).sum() for v in START.values()))
    for limit in (1.0, 100.0):
        w, b = gradients(optimizers.SGD(clipnorm=limit))
        scale = min(1, limit / total)
        np.testing.assert_allclose(w, 2 * START["w"] * scale, rtol=1e-5)
        np.testing.assert_allclose(b, 2 * START["b"] * scale, rtol=1e-5)


def test_clipvalue_limits_elements():
    w, _ = gradients(optimizers.Adam(clipvalue=1.5))
    np.testing.assert_allclose(w, np.clip(2 * START["w"], -1.5, 1.5), rtol=1e-6)


def test_clip_norm_of_a_zero_gradient():
    assert K.eval(optimizers.clip_norm(K.variable([0.0]), 1.0, K.variable(0.0))).tolist() == [0]
    g = K.variable([3.0])
    assert optimizers.clip_norm(g, 0, K.variable(1.0)) is g


@pytest.mark.parametrize("name", STATE)
def test_constraints_follow_the_step(name):
    from_zero = lambda w: K.clip(w, 0.25, None)
    params, _ = trained(optimizers.get(name), 2, constraint=from_zero)
    assert min(K.get_value(p).min() for p in params) == 0.25


def test_weight_without_gradient_is_named():
    used, unused = K.variable([1.0], name="used"), K.variable([1.0], name="lonely")
    with pytest.raises(ValueError, match=r"An operation has `None` for gradient.*lonely"):
        optimizers.SGD().get_updates(K.sum(used), [used, unused])


# -- configs, names, own optimizers -------------------------------------------------------------------------------


def test_epsilon_by_level():
    assert optimizers.Adam().epsilon == K.epsilon() == 1e-7
    with api_level("1.2"):
        assert optimizers.RMSprop().epsilon == 1e-8
        assert optimizers.RMSprop(epsilon=1e-3).epsilon == 1e-3


def test_configs_by_level():
    expected = {"learning_rate": 0.5, "momentum": 0.25, "decay": 0.125, "nesterov": True, "clipvalue": 3.0}
    optimizer = optimizers.SGD(0.5, 0.25, True, decay=0.125, clipvalue=3.0)
    assert optimizer.get_config() == expected
    for level in ("2.2", "1.2"):
        with api_level(level):
            old = optimizer.get_config()
            assert old.pop("lr") == 0.5
            assert optimizers.SGD.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
        assert old == {k: v for k, v in expected.items() if k != "learning_rate"}
    assert "amsgrad" in optimizers.Adam().get_config()
    with api_level("1.2"):
        assert "amsgrad" not in optimizers.Adam().get_config()


@pytest.mark.parametrize("name", ["sgd", "SGD", "adam", "Adam", "ADAM", "rmsprop", "RMSprop", "nadam", "adamax"])
def test_names_in_any_case(name):
    assert type(optimizers.get(name)).__name__.lower() == name.lower()
    assert type(optimizers.get({"class_name": name, "config": {}})).__name__.lower() == name.lower()


def test_what_is_no_optimizer():
    with pytest.raises(ValueError, match=r"\[optimizer\].*Did you mean 'Adam' or|Did you mean 'adam'"):
        optimizers.get("adaam")
    with pytest.raises(ValueError, match="Could not interpret optimizer identifier"):
        optimizers.get(3)
    with pytest.raises(TypeError, match="Unexpected keyword argument passed to optimizer: speed"):
        optimizers.SGD(speed=3)
    adam = optimizers.Adam()
    assert optimizers.get(adam) is adam


def test_own_optimizer_on_top_of_a_known_one():
    class Counting(optimizers.SGD):
        """Also counts the steps in a variable of its own, after SGD's updates."""

        def get_updates(self, loss, params):
            self.count = K.variable(0.0)
            updates = super().get_updates(loss, params)
            updates.append(K.update_add(self.count, 1))
            return updates

    optimizer = Counting(lr=0.1)
    (w, _), _ = trained(optimizer, 3)
    assert K.get_value(optimizer.count) == 3
    np.testing.assert_allclose(K.get_value(w), START["w"] * (1 - 0.2 * CURVATURE["w"]) ** 3, rtol=1e-5)


def test_own_optimizer_as_keras_1_wrote_it():
    class Plain(optimizers.Optimizer):
        def __init__(self, lr=0.1, **kwargs):
            super().__init__(**kwargs)
            self.__dict__.update(locals())
            self.lr = K.variable(lr)

        def get_updates(self, loss, params):
            grads = self.get_gradients(loss, params)
            self.updates = [(p, p - self.lr * g) for p, g in zip(params, grads, strict=True)]
            return self.updates

    optimizer = Plain(clipvalue=100)
    assert optimizer.learning_rate is optimizer.lr
    (w, _), step = trained(optimizer, 1)
    np.testing.assert_allclose(K.get_value(w), START["w"] * (1 - 0.2 * CURVATURE["w"]), rtol=1e-6)
    with pytest.raises(AttributeError, match="no attribute 'rho'"):
        optimizer.rho
