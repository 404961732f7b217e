"""A Q network with a masked loss, a slow target, a dueling head; an actor moved by its critic's gradient (Keras 1)."""

import numpy as np
from keras import backend as K
from keras import optimizers
from keras.layers import Activation, Dense, Flatten, Input, Lambda, merge
from keras.models import Model, Sequential, model_from_config

np.random.seed(123)


def clone_model(model, custom_objects={}):
    clone = model_from_config({"class_name": model.__class__.__name__, "config": model.get_config()},
                              custom_objects=custom_objects)
    clone.set_weights(model.get_weights())
    return clone


def clone_optimizer(optimizer):
    if type(optimizer) is str:
        return optimizers.get(optimizer)
    params = dict([(k, v) for k, v in optimizer.get_config().items()])
    return optimizers.optimizer_from_config({"class_name": optimizer.__class__.__name__, "config": params})


def get_soft_target_model_updates(target, source, tau):
    target_weights = target.trainable_weights + sum([layer.non_trainable_weights for layer in target.layers], [])
    source_weights = source.trainable_weights + sum([layer.non_trainable_weights for layer in source.layers], [])
    return [(tw, tau * sw + (1.0 - tau) * tw) for tw, sw in zip(target_weights, source_weights)]


class AdditionalUpdatesOptimizer(optimizers.Optimizer):
    def __init__(self, optimizer, additional_updates):
        super(AdditionalUpdatesOptimizer, self).__init__()
        self.optimizer = optimizer
        self.additional_updates = additional_updates

    def get_updates(self, params, constraints, loss):
        updates = self.optimizer.get_updates(params, constraints, loss)
        updates += self.additional_updates
        self.updates = updates
        return self.updates

    def get_config(self):
        return self.optimizer.get_config()


def huber_loss(y_true, y_pred, clip_value):
    x = y_true - y_pred
    squared = 0.5 * K.square(x)
    linear = clip_value * (K.abs(x) - 0.5 * clip_value)
    smaller = K.cast(K.abs(x) < clip_value, K.floatx())
    return smaller * squared + (1 - smaller) * linear


nb_actions = 3
model = Sequential()
model.add(Flatten(input_shape=(1, 4)))
model.add(Dense(16))
model.add(Activation("relu"))
model.add(Dense(nb_actions))
model.add(Activation("linear"))
assert list(model.output._keras_shape) == [None, nb_actions]
layer = model.layers[-2]
y = Dense(nb_actions + 1, activation="linear")(layer.output)
dueling = Lambda(lambda a: K.expand_dims(a[:, 0], dim=-1) + a[:, 1:] - K.mean(a[:, 1:], keepdims=True),
                 output_shape=(nb_actions,))(y)
model = Model(input=model.input, output=dueling)

target_model = clone_model(model)
target_model.compile(optimizer="sgd", loss="mse")
model.compile(optimizer="sgd", loss="mse")
optimizer = AdditionalUpdatesOptimizer(clone_optimizer(optimizers.Adam(lr=0.01)),
                                       get_soft_target_model_updates(target_model, model, 0.1))


def clipped_masked_error(args):
    y_true, y_pred, mask = args
    loss = huber_loss(y_true, y_pred, 1.0)
    loss *= mask
    return K.sum(loss, axis=-1)


y_pred = model.output
y_true, mask = Input(name="y_true", shape=(nb_actions,)), Input(name="mask", shape=(nb_actions,))
loss_out = Lambda(clipped_masked_error, output_shape=(1,), name="loss")([y_pred, y_true, mask])
ins = [model.input] if type(model.input) is not list else model.input
trainable = Model(input=ins + [y_true, mask], output=[loss_out, y_pred])
metrics = {trainable.output_names[1]: [lambda a, b: K.mean(K.max(b, axis=-1))]}
losses = [lambda y_true, y_pred: y_pred, lambda y_true, y_pred: K.zeros_like(y_pred)]
trainable.compile(optimizer=optimizer, loss=losses, metrics=metrics)

state = np.random.randn(32, 1, 4)
action = np.random.randint(nb_actions, size=32)
masks = np.eye(nb_actions)[action]
targets = masks * state[:, 0, :1]
dummy = np.zeros((32,))
slow, fast = target_model.get_weights(), model.get_weights()
out = trainable.train_on_batch([state, targets, masks], [dummy, targets])
assert len(out) == len(trainable.metrics_names) == 4
# The slow copy follows the weights from before the step.
for new, s, f in zip(target_model.get_weights(), slow, fast):
    np.testing.assert_allclose(new, 0.9 * s + 0.1 * f, rtol=1e-4, atol=1e-6)
for _ in range(60):
    last = trainable.train_on_batch([state, targets, masks], [dummy, targets])
assert last[0] < 0.3 * out[0]
q = target_model.predict_on_batch(state)
assert q.shape == (32, nb_actions)
np.testing.assert_allclose(last[3], model.predict(state).max(-1).mean(), atol=0.05)

# Deterministic policy gradient: the actor climbs the critic
observation = Input((1, 4), name="observation_input")
actor = Sequential([Flatten(input_shape=(1, 4)), Dense(8, activation="tanh"), Dense(2, activation="tanh")])
action_input = Input(shape=(2,), name="action_input")
x = merge([action_input, Flatten()(observation)], mode="concat")
critic = Model(input=[action_input, observation], output=Dense(1)(Dense(16, activation="relu")(x)))
critic.compile("sgd", "mse")
actor.compile("sgd", "mse")
combined_inputs, critic_inputs = [], []
for i in critic.input:
    if i == action_input:
        combined_inputs.append([])
    else:
        combined_inputs.append(i)
        critic_inputs.append(i)
combined_inputs[critic.input.index(action_input)] = actor(critic_inputs)
combined_output = critic(combined_inputs)
updates = optimizers.Adam(lr=0.02).get_updates(params=actor.trainable_weights, constraints=actor.constraints,
                                               loss=-K.mean(combined_output))
updates += actor.updates
actor_train_fn = K.function(critic_inputs + [K.learning_phase()], [actor(critic_inputs)], updates=updates)
score = lambda: critic.predict([actor.predict(state), state]).mean()
before, fixed = score(), critic.get_weights()
for _ in range(20):
    assert actor_train_fn([state, 1])[0].shape == (32, 2)
assert score() > before
for p, q in zip(critic.get_weights(), fixed):
    np.testing.assert_array_equal(p, q)

# Policy gradient by weighted classes; advantages as sample weights
policy = Sequential([Dense(8, activation="relu", input_dim=4), Dense(2, activation="softmax")])
policy.compile("rmsprop", "categorical_crossentropy")
adv = np.random.rand(32)
probs = policy.predict(state[:, 0])
want = -(adv * np.log(probs[np.arange(32), action % 2])).mean()
np.testing.assert_allclose(policy.train_on_batch(state[:, 0], np.eye(2)[action % 2], sample_weight=adv), want, rtol=1e-4)
