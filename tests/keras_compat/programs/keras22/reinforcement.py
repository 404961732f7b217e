"""Agents of Keras 2.2: copies by config, wrapped optimizers, masked losses, two heads, gradients of one net by another."""

import numpy as np
import keras
import keras.backend as K
import keras.optimizers as optimizers
from keras.engine import Layer
from keras.engine.training import Model as EngineModel
from keras.layers import LSTM, Activation, Concatenate, Conv2D, Dense, Flatten, Input, Lambda, Permute, TimeDistributed
from keras.models import Model, Sequential, model_from_config

np.random.seed(17)
assert EngineModel is not None and K.backend() != "tensorflow"


def clone_model(model, custom_objects={}):
    clone = model_from_config({"class_name": model.__class__.__name__, "config": model.get_config()},
                              custom_objects=custom_objects)
    clone.set_weights(model.get_weights())
    return clone


def soft_updates(target, source, tau):
    target_weights = target.trainable_weights + sum([layer.non_trainable_weights for layer in target.layers], [])
    source_weights = source.trainable_weights + sum([layer.non_trainable_weights for layer in source.layers], [])
    assert len(target_weights) == len(source_weights)
    updates = []
    for tw, sw in zip(target_weights, source_weights):
        updates.append((tw, tau * sw + (1.0 - tau) * tw))
    return updates


class AdditionalUpdatesOptimizer(optimizers.Optimizer):
    def __init__(self, optimizer, additional_updates):
        super(AdditionalUpdatesOptimizer, self).__init__()
        self.optimizer = optimizer
        self.additional_updates = additional_updates

    def get_updates(self, params, loss):
        updates = self.optimizer.get_updates(params=params, loss=loss)
        updates += self.additional_updates
        self.updates = updates
        return self.updates

    def get_config(self):
        return self.optimizer.get_config()


def huber_loss(y_true, y_pred, clip_value):
    x = y_true - y_pred
    if np.isinf(clip_value):
        return 0.5 * K.square(x)
    condition = K.abs(x) < clip_value
    squared_loss = 0.5 * K.square(x)
    linear_loss = clip_value * (K.abs(x) - 0.5 * clip_value)
    return K.switch(condition, squared_loss, linear_loss)


nb_actions = 4
model = Sequential()
model.add(Permute((2, 3, 1), input_shape=(4, 12, 12)))
model.add(Conv2D(4, (4, 4), strides=(2, 2)))
model.add(Activation("relu"))
model.add(Flatten())
model.add(Dense(16))
model.add(Activation("relu"))
model.add(Dense(nb_actions))
model.add(Activation("linear"))
assert hasattr(model.output, "__len__") is False or len(model.output.shape) == 2
target_model = clone_model(model)
target_model.compile(optimizer="sgd", loss="mse")
model.compile(optimizer="sgd", loss="mse")
updates = soft_updates(target_model, model, 0.5)
optimizer = AdditionalUpdatesOptimizer(optimizers.Adam(lr=0.01), updates)


def clipped_masked_error(args):
    y_true, y_pred, mask = args
    loss = huber_loss(y_true, y_pred, np.inf)
    loss *= mask
    return K.sum(loss, axis=-1)


y_pred = model.output
y_true = Input(name="y_true", shape=(nb_actions,))
mask = Input(name="mask", shape=(nb_actions,))
loss_out = Lambda(clipped_masked_error, output_shape=(1,), name="loss")([y_true, y_pred, mask])
ins = [model.input] if type(model.input) is not list else model.input
trainable_model = Model(inputs=ins + [y_true, mask], outputs=[loss_out, y_pred])
assert len(trainable_model.output_names) == 2


def mean_q(y_true, y_pred):
    return K.mean(K.max(y_pred, axis=-1))


combined_metrics = {trainable_model.output_names[1]: ["mae", mean_q]}
losses = [lambda y_true, y_pred: y_pred, lambda y_true, y_pred: K.zeros_like(y_pred)]
trainable_model.compile(optimizer=optimizer, loss=losses, metrics=combined_metrics)
names = trainable_model.metrics_names[:]
assert names[1] == "loss_loss" and names[-1].endswith("mean_q"), names
frames = np.random.rand(16, 4, 12, 12)
masks = np.eye(nb_actions)[np.arange(16) % nb_actions]
targets = masks * frames.mean((1, 2, 3))[:, None] * 3
old, fast = target_model.get_weights(), model.get_weights()
q_values = model.predict_on_batch(frames)
first = trainable_model.train_on_batch([frames, targets, masks], [np.zeros(16), targets])
np.testing.assert_allclose(first[1], (0.5 * (targets - q_values) ** 2 * masks).sum(1).mean(), rtol=1e-4)
np.testing.assert_allclose(first[-1], q_values.max(1).mean(), rtol=1e-4)
for a, b, c in zip(target_model.get_weights(), old, fast):
    np.testing.assert_allclose(a, 0.5 * (b + c), rtol=1e-4, atol=1e-6)
for _ in range(40):
    last = trainable_model.train_on_batch([frames, targets, masks], [np.zeros(16), targets])
assert last[0] < first[0]

# A network that gives value, advantages and their triangle as one vector
class NAFLayer(Layer):
    def __init__(self, nb_actions, **kwargs):
        self.nb_actions = nb_actions
        super(NAFLayer, self).__init__(**kwargs)

    def call(self, x, mask=None):
        L_flat, mu, a = x
        L_full = K.reshape(L_flat, (-1, self.nb_actions, self.nb_actions))
        tril = K.constant(np.tril(np.ones((self.nb_actions, self.nb_actions)), -1))
        eye = K.constant(np.eye(self.nb_actions))
        L = L_full * tril + K.exp(L_full) * eye
        P = K.batch_dot(L, K.permute_dimensions(L, (0, 2, 1)))
        d = K.expand_dims(a - mu, -1)
        A = -0.5 * K.batch_dot(K.batch_dot(K.permute_dimensions(d, (0, 2, 1)), P), d)
        return K.batch_flatten(A)

    def compute_output_shape(self, input_shape):
        if type(input_shape) is list:
            assert len(input_shape) == 3
        return (input_shape[0][0], 1)


flat_in, mu_in, a_in = Input((4,)), Input((2,)), Input((2,))
naf = Model([flat_in, mu_in, a_in], NAFLayer(2)([flat_in, mu_in, a_in]))
v = [np.random.randn(5, n) for n in (4, 2, 2)]
got = naf.predict(v)
L = np.zeros((5, 2, 2))
L[:, 0, 0], L[:, 1, 0], L[:, 1, 1] = np.exp(v[0][:, 0]), v[0][:, 2], np.exp(v[0][:, 3])
d = v[2] - v[1]
np.testing.assert_allclose(got[:, 0], -0.5 * (np.einsum("nij,ni->nj", L, d) ** 2).sum(1), rtol=1e-4, atol=1e-6)

# Deterministic policy gradient, with gradients clipped by a wrapper of get_gradients
obs = Input(shape=(1, 3), name="observation_input")
actor_out = Dense(2, activation="tanh")(Flatten()(obs))
actor = Model(inputs=[obs], outputs=[actor_out])
action_input = Input(shape=(2,), name="action_input")
critic = Model(inputs=[action_input, obs], outputs=Dense(1)(Dense(8, activation="relu")(
    Concatenate()([action_input, Flatten()(obs)]))))
actor.compile("sgd", "mse")
critic.compile(optimizers.Adam(lr=0.05, clipnorm=1.0), "mse", metrics=["mae"])
assert critic.metrics_names == ["loss", "mean_absolute_error"]
x = np.random.randn(50, 1, 3)
actions = np.random.uniform(-1, 1, (50, 2))
for _ in range(60):
    critic.train_on_batch([actions, x], -((actions - 0.5) ** 2).sum(1))
critic_action_input_idx = critic.input.index(action_input)
combined_inputs, state_inputs = [], []
for i in critic.input:
    if i == action_input:
        combined_inputs.append([])
    else:
        combined_inputs.append(i)
        state_inputs.append(i)
combined_inputs[critic_action_input_idx] = actor(state_inputs)
combined_output = critic(combined_inputs)
actor_optimizer = optimizers.Adam(lr=0.05)
get_gradients = actor_optimizer.get_gradients


def clipped_gradients(loss, params):
    grads = get_gradients(loss, params)
    return [K.clip(g, -0.5, 0.5) for g in grads]


actor_optimizer.get_gradients = clipped_gradients
updates = actor_optimizer.get_updates(params=actor.trainable_weights, loss=-K.mean(combined_output))
updates += actor.updates
if K.backend() == "tensorflow":
    raise AssertionError
actor_train_fn = K.function(state_inputs + [K.learning_phase()], [actor(state_inputs)], updates=updates)
before = critic.predict([actor.predict(x), x]).mean()
for _ in range(30):
    actor_train_fn([x, 1.0])
assert critic.predict([actor.predict(x), x]).mean() > before

# Two heads, advantage in the loss through an input
state, advantage = Input((3,)), Input((1,))
common = Dense(8, activation="relu")(state)
policy, value = Dense(2, activation="softmax", name="policy")(common), Dense(1, name="value")(common)


def ppo_loss(advantage):
    def loss(y_true, y_pred):
        prob = K.sum(y_true * y_pred, axis=-1, keepdims=True)
        old_prob = 0.5
        r = prob / (old_prob + 1e-10)
        return -K.mean(K.minimum(r * advantage, K.clip(r, 0.8, 1.2) * advantage) + 5e-3 * -(prob * K.log(prob + 1e-10)))
    return loss


agent = Model([state, advantage], [policy, value])
agent.compile(optimizers.RMSprop(lr=1e-2), [ppo_loss(advantage), "mse"])
s, adv = np.random.randn(30, 3), np.random.randn(30, 1)
acted = np.eye(2)[np.arange(30) % 2]
log = [agent.train_on_batch([s, adv], [acted, adv])[0] for _ in range(30)]
assert log[-1] < log[0]
recurrent = Sequential([TimeDistributed(Dense(4), batch_input_shape=(1, 5, 3)), LSTM(4, stateful=True), Dense(1)])
recurrent.compile("adam", "mae")
recurrent.predict(np.ones((1, 5, 3)))
recurrent.reset_states()
copied = clone_model(recurrent)
np.testing.assert_allclose(copied.predict(np.ones((1, 5, 3))), recurrent.predict(np.ones((1, 5, 3))), rtol=1e-6)
assert keras.__version__ and isinstance(model.layers[1], Conv2D)
