"""Optimizers: from a loss and weights to the updates of one training step.

Formulas and defaults are those of Keras 2.3.1. ``t`` counts steps from 0, ``g`` is the gradient of weight ``p``. With
``decay``, the learning rate of step t is ``learning_rate / (1 + decay * t)``. The updates are elementwise, so the
compiler makes one pass over each weight of them. Numbers that may change during training (``learning_rate``, also
called ``lr``, ``decay``, ``momentum``...) are variables: ``K.set_value(optimizer.lr, 0.001)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.utils.generic_utils import (
    Registry,
    serialize_keras_object,
)

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object
from keras_compat.utils.generic_utils import get_custom_objects as get_custom_objects
from keras_compat.utils.generic_utils import get_from_module as get_from_module

_known = Registry("optimizer")

_RATE_NAMES = ("learning_rate", "lr")
# What every optimizer takes besides its own arguments. The last two are later releases' and come from their files.
_LIMITS = ("clipnorm", "clipvalue", "clipnorm_of_each", "weight_decay")


def clip_norm(g: Any, c: float, n: Any) -> Any:
    """A gradient scaled by c / n where the norm n is at least c; c of 0 or less means no limit."""
    return g if c <= 0 else g * (c / K.maximum(n, c))


def _root(square: Any, optimizer: Any) -> Any:
    """The square root with epsilon added to it, or within it, as in Keras 0.x."""
    if optimizer.epsilon_within:
        return at.sqrt(square + optimizer.epsilon)
    return at.sqrt(square) + optimizer.epsilon


def _default_epsilon(epsilon: float | None) -> float:
    if epsilon is not None:
        return float(epsilon)
    return 1e-8 if get_api_level() == "1.2" else K.epsilon()


class Optimizer:
    """Base class. A subclass overrides ``get_updates(loss, params)`` and ``get_config()``.

    Args:
        clipnorm: gradients are scaled down together to at most this norm.
        clipvalue: elements of gradients are limited to plus and minus this.
        clipnorm_of_each: each gradient is scaled down to at most this norm (``clipnorm`` of tf.keras and Keras 3).
        weight_decay: share of each weight, times the learning rate, that a step takes off (tf.keras, Keras 3).
        name: kept, for people.
    """

    def __init__(self, **kwargs: Any):
        for key, value in kwargs.items():
            if key not in (*_LIMITS, "name"):
                raise TypeError(
                    f"[{type(self).__name__}] Unexpected keyword argument passed to optimizer: {key}; expected "
                    "clipnorm or clipvalue. Check the spelling."
                )
            if value is not None:
                setattr(self, key, value)
        self.updates: list[Any] = []
        self.weights: list[Any] = []

    def __setattr__(self, name: str, value: Any) -> None:
        # Two words for one thing; and a plain number goes into the variable, so that a compiled step sees it.
        if name in _RATE_NAMES:
            name = next((known for known in _RATE_NAMES if known in self.__dict__), name)
        present = self.__dict__.get(name)
        if isinstance(present, at.Variable) and isinstance(value, (int, float, np.generic)) and not present.shape:
            K.set_value(present, value)
        else:
            self.__dict__[name] = value

    @property
    def lr(self) -> Any:
        """The learning rate, by its older name."""
        if "lr" in self.__dict__:
            return self.__dict__["lr"]
        return self.learning_rate

    def __getattr__(self, name: str) -> Any:
        if name == "learning_rate" and "lr" in self.__dict__:
            return self.__dict__["lr"]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """What a copy keeps: settings and state, not the updates, which belong to a model."""
        return {**self.__dict__, "updates": []}

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """Updates of one step: of the counters, of the state, and of the weights ``params``.

        Raises NotImplementedError in this base class.
        """
        raise NotImplementedError(f"[{type(self).__name__}] an optimizer needs get_updates(loss, params). Add one.")

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """Gradients of the loss, clipped as asked for. Raises ValueError where the loss does not depend on a weight."""
        params = list(params)
        grads = K.gradients(loss, params)
        missing = [p.name or f"a weight of shape {tuple(p.shape)}" for p, g in zip(params, grads) if g is None]
        if missing:
            raise ValueError(
                "[get_gradients] An operation has `None` for gradient: expected a loss that depends on every weight "
                f"through differentiable operations; not so for {', '.join(missing[:5])}. Common operations without "
                "gradient: K.argmax, K.round, K.equal; or set trainable=False for weights that are not used."
            )
        grads = self._combined(grads, params)
        clipnorm, clipvalue = self.__dict__.get("clipnorm"), self.__dict__.get("clipvalue")
        if clipnorm is not None and clipnorm > 0:
            total: Any = 0.0
            for g in grads:
                total = total + K.sum(K.square(g))
            norm = K.sqrt(total)
            grads = [clip_norm(g, clipnorm, norm) for g in grads]
        each = self.__dict__.get("clipnorm_of_each")
        if each:
            grads = [clip_norm(g, each, K.sqrt(K.sum(K.square(g)))) for g in grads]
        if clipvalue is not None and clipvalue > 0:
            grads = [K.clip(g, -clipvalue, clipvalue) for g in grads]
        return grads

    def _combined(self, grads: list[Any], params: list[Any]) -> list[Any]:
        """The gradients that the step follows, before they are clipped; where several processes train, those of all."""
        return grads

    def get_weights(self) -> list[np.ndarray]:
        """Values of the state, in the order of ``weights``."""
        return K.batch_get_value(self.weights)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state from what :meth:`get_weights` returned, also in an older release.

        Raises ValueError for another number of arrays or other shapes.
        """
        K.batch_set_value(zip(self.weights, self._fitting(weights)))

    def _fitting(self, weights: Sequence[Any]) -> list[np.ndarray]:
        """The values that `set_weights` would set. Raises ValueError, as it says, where they do not fit."""
        values = [np.asarray(w) for w in self._upgraded(list(weights))]
        if len(values) != len(self.weights):
            raise ValueError(
                f"[set_weights] Length of the specified weight list ({len(values)}) does not match the number of "
                f"weights of the optimizer ({len(self.weights)}). Is it the state of another optimizer or model?"
            )
        for variable, value in zip(self.weights, values):
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"[set_weights] Optimizer weight shape {tuple(variable.shape)} not compatible with provided weight "
                    f"shape {value.shape}. Is it the state of another model?"
                )
        return values

    def _upgraded(self, weights: list[Any]) -> list[Any]:
        """The state as this release lists it, from what an older one did."""
        return weights

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same optimizer again, without its state."""
        return {key: self.__dict__[key] for key in _LIMITS if key in self.__dict__}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an optimizer from what ``get_config`` returned."""
        return cls(**config)


class _Decayed(Optimizer):
    """What the optimizers of Keras share: a step counter, a learning rate and its decay."""

    # Numbers besides the learning rate that are variables, and numbers that are not, in the order of the config.
    _variables: tuple[str, ...] = ()
    _constants: tuple[str, ...] = ()

    def _start(self, learning_rate: float, kwargs: dict[str, Any], **numbers: float) -> None:
        """Make the variables. ``kwargs`` may hold ``lr``, the older word for the learning rate."""
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        if "decay" in numbers:
            self.initial_decay = float(numbers["decay"])
        Optimizer.__init__(self, **kwargs)
        self.iterations = K.variable(0, dtype="int64", name="iterations")
        self.learning_rate = K.variable(learning_rate, name="learning_rate")
        for name, value in numbers.items():
            setattr(self, name, K.variable(value, name=name))

    def _rate(self) -> Any:
        """Learning rate of this step, after decay."""
        if self.initial_decay > 0:
            return self.learning_rate * (1.0 / (1.0 + self.decay * K.cast(self.iterations, K.dtype(self.decay))))
        return self.learning_rate

    def _step(self) -> Any:
        """Number of this step, from 1."""
        return K.cast(self.iterations, K.floatx()) + 1.0

    def _begin(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        return grads

    def _zeros(self, params: Sequence[Any], name: str) -> list[Any]:
        """A variable of zeros for each weight."""
        return [K.zeros(p.shape, dtype=K.dtype(p), name=f"{name}_{i}") for i, p in enumerate(params)]

    def _set(self, p: Any, new_p: Any) -> None:
        """Add the update of a weight, through its constraint."""
        constraint = getattr(p, "constraint", None)
        if self.__dict__.get("weight_decay"):
            new_p = new_p - p * (self.weight_decay * self.learning_rate)
        self.updates.append(K.update(p, new_p if constraint is None else constraint(new_p)))

    def get_config(self) -> dict[str, Any]:
        rate = "learning_rate" if get_api_level() == "2.3" else "lr"
        config = {rate: float(K.get_value(self.learning_rate))}
        config.update({name: float(K.get_value(getattr(self, name))) for name in self._variables})
        config.update({name: getattr(self, name) for name in self._constants})
        return {**config, **super().get_config()}


class _IterationsFirst(_Decayed):
    """Optimizers whose state began without the step counter before Keras 2.3."""

    def _upgraded(self, weights: list[Any]) -> list[Any]:
        return [np.array(0), *weights] if len(weights) == len(self.weights) - 1 else weights


class _Rooted(_IterationsFirst):
    """Optimizers that divide by a root: epsilon is added to it or, in Keras 0.x and since tf.keras 2.11, within it."""

    def _start(self, learning_rate: float, kwargs: dict[str, Any], **numbers: float) -> None:
        self.epsilon_within = bool(kwargs.pop("epsilon_within", is_keras_0()))
        super()._start(learning_rate, kwargs, **numbers)

    def get_config(self) -> dict[str, Any]:
        within = {} if self.epsilon_within == is_keras_0() else {"epsilon_within": self.epsilon_within}
        return {**super().get_config(), **within}


class SGD(_Decayed):
    """Gradient descent: ``v = momentum * v - lr * g; p = p + v``, or ``p = p + momentum * v - lr * g`` (nesterov)."""

    _variables = ("momentum", "decay")
    _constants = ("nesterov",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        decay: float = 0.0,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, momentum=momentum, decay=decay)
        self.nesterov = nesterov

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        lr = self._rate()
        moments = self._zeros(params, "moment")
        self.weights = [self.iterations, *moments]
        for p, g, m in zip(params, grads, moments):
            v = self.momentum * m - lr * g
            self.updates.append(K.update(m, v))
            self._set(p, p + self.momentum * v - lr * g if self.nesterov else p + v)
        return self.updates


class RMSprop(_Rooted):
    """``a = rho * a + (1 - rho) * g**2; p = p - lr * g / (sqrt(a) + epsilon)``. Hinton's lecture 6e, 2012."""

    _variables = ("rho", "decay")
    _constants = ("epsilon",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        *,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, rho=rho, decay=decay)
        self.epsilon = _default_epsilon(epsilon)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        lr = self._rate()
        accumulators = self._zeros(params, "accumulator")
        self.weights = [self.iterations, *accumulators]
        for p, g, a in zip(params, grads, accumulators):
            new_a = self.rho * a + (1.0 - self.rho) * K.square(g)
            self.updates.append(K.update(a, new_a))
            self._set(p, p - lr * g / _root(new_a, self))
        return self.updates


class Adagrad(_Rooted):
    """``a = a + g**2; p = p - lr * g / (sqrt(a) + epsilon)``. Duchi et al., 2011.

    tf.keras and Keras 3 let a begin at ``initial_accumulator_value`` instead of 0.
    """

    _variables = ("decay",)
    _constants = ("epsilon",)

    def __init__(self, learning_rate: float = 0.01, *, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any):
        self.initial_accumulator_value = float(kwargs.pop("initial_accumulator_value", 0.0))
        self._start(learning_rate, kwargs, decay=decay)
        self.epsilon = _default_epsilon(epsilon)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        lr = self._rate()
        accumulators = self._zeros(params, "accumulator")
        if self.initial_accumulator_value:
            K.batch_set_value([(a, np.full(a.shape, self.initial_accumulator_value)) for a in accumulators])
        self.weights = [self.iterations, *accumulators]
        for p, g, a in zip(params, grads, accumulators):
            new_a = a + K.square(g)
            self.updates.append(K.update(a, new_a))
            self._set(p, p - lr * g / _root(new_a, self))
        return self.updates

    def get_config(self) -> dict[str, Any]:
        start = self.initial_accumulator_value
        return {**super().get_config(), **({"initial_accumulator_value": start} if start else {})}


class Adadelta(_IterationsFirst):
    """``a = rho * a + (1 - rho) * g**2; u = g * sqrt(d + epsilon) / sqrt(a + epsilon); p = p - lr * u;
    d = rho * d + (1 - rho) * u**2``. Zeiler, 2012."""

    _variables = ("decay",)
    _constants = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: float = 1.0,
        rho: float = 0.95,
        *,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, decay=decay)
        self.rho = rho
        self.epsilon = _default_epsilon(epsilon)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        lr = self._rate()
        accumulators = self._zeros(params, "accumulator")
        deltas = self._zeros(params, "delta_accumulator")
        self.weights = [self.iterations, *accumulators, *deltas]
        for p, g, a, d in zip(params, grads, accumulators, deltas):
            new_a = self.rho * a + (1.0 - self.rho) * K.square(g)
            self.updates.append(K.update(a, new_a))
            u = g * at.sqrt(d + self.epsilon) / at.sqrt(new_a + self.epsilon)
            self._set(p, p - lr * u)
            self.updates.append(K.update(d, self.rho * d + (1.0 - self.rho) * K.square(u)))
        return self.updates


class Adam(_Decayed):
    """``m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;
    p = p - lr * sqrt(1 - beta_2**(t + 1)) / (1 - beta_1**(t + 1)) * m / (sqrt(v) + epsilon)``. Kingma and Ba, 2014.

    With ``amsgrad`` the largest v so far takes the place of v. Reddi et al., 2018.
    """

    _variables = ("beta_1", "beta_2", "decay")
    _constants = ("epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        amsgrad: bool = False,
        *,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, beta_1=beta_1, beta_2=beta_2, decay=decay)
        self.epsilon = _default_epsilon(epsilon)
        self.amsgrad = amsgrad

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        t = self._step()
        lr = self._rate() * (at.sqrt(1.0 - K.pow(self.beta_2, t)) / (1.0 - K.pow(self.beta_1, t)))
        ms, vs = self._zeros(params, "m"), self._zeros(params, "v")
        # Without amsgrad the largest v is not kept; its places in the state are single zeros, as in Keras's files.
        vhats = self._zeros(params, "vhat") if self.amsgrad else [K.zeros(1, name=f"vhat_{i}") for i in range(len(ms))]
        self.weights = [self.iterations, *ms, *vs, *vhats]
        for p, g, m, v, vhat in zip(params, grads, ms, vs, vhats):
            new_m = self.beta_1 * m + (1.0 - self.beta_1) * g
            new_v = self.beta_2 * v + (1.0 - self.beta_2) * K.square(g)
            self.updates.append(K.update(m, new_m))
            self.updates.append(K.update(v, new_v))
            if self.amsgrad:
                new_v = K.maximum(vhat, new_v)
                self.updates.append(K.update(vhat, new_v))
            self._set(p, p - lr * new_m / (at.sqrt(new_v) + self.epsilon))
        return self.updates

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if get_api_level() == "1.2" and not self.amsgrad:
            del config["amsgrad"]  # Keras 1 does not know the word
        return config

    def _upgraded(self, weights: list[Any]) -> list[Any]:
        # Keras 1 kept no vhats.
        n = (len(self.weights) - 1) // 3
        if n and len(weights) == 1 + 2 * n and not self.amsgrad:
            return [*weights, *[np.zeros(1) for _ in range(n)]]
        return weights


class Adamax(_Decayed):
    """``m = beta_1 * m + (1 - beta_1) * g; u = max(beta_2 * u, abs(g));
    p = p - lr / (1 - beta_1**(t + 1)) * m / (u + epsilon)``. Kingma and Ba, 2014, section 7."""

    _variables = ("beta_1", "beta_2", "decay")
    _constants = ("epsilon",)

    def __init__(
        self,
        learning_rate: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        *,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, beta_1=beta_1, beta_2=beta_2, decay=decay)
        self.epsilon = _default_epsilon(epsilon)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        lr = self._rate() / (1.0 - K.pow(self.beta_1, self._step()))
        ms, us = self._zeros(params, "m"), self._zeros(params, "u")
        self.weights = [self.iterations, *ms, *us]
        for p, g, m, u in zip(params, grads, ms, us):
            new_m = self.beta_1 * m + (1.0 - self.beta_1) * g
            new_u = K.maximum(self.beta_2 * u, K.abs(g))
            self.updates.append(K.update(m, new_m))
            self.updates.append(K.update(u, new_u))
            self._set(p, p - lr * new_m / (new_u + self.epsilon))
        return self.updates


class Nadam(_Decayed):
    """Adam with Nesterov's momentum, of weight ``beta_1 * (1 - 0.5 * 0.96**(t * schedule_decay))``. Dozat, 2016."""

    _variables = ("beta_1", "beta_2")
    _constants = ("epsilon", "schedule_decay")

    def __init__(
        self,
        learning_rate: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        *,
        epsilon: float | None = None,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ):
        self._start(learning_rate, kwargs, beta_1=beta_1, beta_2=beta_2)
        self.m_schedule = K.variable(1.0, name="m_schedule")
        self.epsilon = _default_epsilon(epsilon)
        self.schedule_decay = schedule_decay

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        grads = self._begin(loss, params)
        t = self._step()
        now = self.beta_1 * (1.0 - 0.5 * K.pow(0.96, t * self.schedule_decay))
        following = self.beta_1 * (1.0 - 0.5 * K.pow(0.96, (t + 1.0) * self.schedule_decay))
        schedule = self.m_schedule * now
        schedule_next = schedule * following
        self.updates.append(K.update(self.m_schedule, schedule))
        spread = 1.0 - K.pow(self.beta_2, t)
        ms, vs = self._zeros(params, "m"), self._zeros(params, "v")
        self.weights = [self.iterations, self.m_schedule, *ms, *vs]
        for p, g, m, v in zip(params, grads, ms, vs):
            new_m = self.beta_1 * m + (1.0 - self.beta_1) * g
            new_v = self.beta_2 * v + (1.0 - self.beta_2) * K.square(g)
            self.updates.append(K.update(m, new_m))
            self.updates.append(K.update(v, new_v))
            ahead = (1.0 - now) * (g / (1.0 - schedule)) + following * (new_m / (1.0 - schedule_next))
            self._set(p, p - self.learning_rate * ahead / (at.sqrt(new_v / spread) + self.epsilon))
        return self.updates

    def _upgraded(self, weights: list[Any]) -> list[Any]:
        # Before Keras 2.3 the schedule was not kept. It is what the steps so far have made of it.
        if len(weights) != len(self.weights) - 1:
            return weights
        beta_1 = float(K.get_value(self.beta_1))
        steps = np.arange(1, int(np.asarray(weights[0])) + 1)
        schedule = np.prod(beta_1 * (1.0 - 0.5 * 0.96 ** (steps * self.schedule_decay)))
        return [weights[0], np.asarray(schedule, dtype=K.floatx()), *weights[1:]]


for _optimizer in (SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam):
    _known.add(_optimizer, _optimizer.__name__.lower())

sgd = SGD
rmsprop = RMSprop
adagrad = Adagrad
adadelta = Adadelta
adam = Adam
adamax = Adamax
nadam = Nadam


def updates_of(optimizer: Any, loss: Any, params: Sequence[Any]) -> list[Any]:
    """Updates of one step by an optimizer whose ``get_updates`` takes what Keras 2 or what Keras 1 passes."""
    try:
        taken = list(inspect.signature(optimizer.get_updates).parameters)
    except (TypeError, ValueError):
        taken = []
    if len(taken) == 3:  # Keras 1: params, constraints, loss, by position
        rules = {p: p.constraint for p in params if getattr(p, "constraint", None) is not None}
        return optimizer.get_updates(params, rules, loss)
    return optimizer.get_updates(loss=loss, params=params)


def kl_divergence(p: Any, p_hat: Any) -> Any:
    """``p_hat - p + p * log(p / p_hat)``, element by element (Keras 0.x)."""
    return p_hat - p + p * K.log(p / p_hat)


def serialize(optimizer: Any) -> Any:
    """Config of an optimizer: ``{'class_name', 'config'}``."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Optimizer from a config; the case of a known class name does not matter. Raises ValueError for an unknown one.

    A name alone is that optimizer with the values that it has by default.
    """
    if isinstance(config, str):
        config = {"class_name": config, "config": {}}
    if isinstance(config, Mapping):
        name = config.get("class_name")
        if isinstance(name, str) and name not in (custom_objects or {}) and name.lower() in _known:
            config = {**config, "class_name": name.lower()}
    return _known.deserialize(config, custom_objects)


# Keras 1's name.
optimizer_from_config = deserialize


def get(identifier: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
    """Optimizer from a name (made with ``kwargs``), a config, or an instance, which comes back.

    Raises ValueError for what names no optimizer.
    """
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": dict(kwargs or {})})
    if isinstance(identifier, Optimizer) or hasattr(identifier, "get_updates"):
        return identifier
    raise ValueError(
        f"[optimizer] Could not interpret optimizer identifier: expected a name, a config or an optimizer; got "
        f"{identifier!r}. Try 'sgd' or SGD(lr=0.01)."
    )
