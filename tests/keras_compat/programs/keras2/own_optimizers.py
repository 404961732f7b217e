"""Optimizers that people wrote: decay of weights, gradients gathered over batches, rates by layer, slow copies (Keras 2)."""

import numpy as np
from keras import backend as K
from keras import optimizers
from keras.callbacks import Callback
from keras.layers import Dense, Dropout, Input
from keras.legacy import interfaces
from keras.models import Model, Sequential, load_model
from keras.optimizers import SGD, Adam, Optimizer

np.random.seed(61)
x = np.random.randn(64, 4).astype("float32")
y = np.tanh(x @ np.random.randn(4, 2)).astype("float32")


class AdamW(Optimizer):
    def __init__(self, lr=0.001, beta_1=0.9, beta_2=0.999, weight_decay=1e-2, epsilon=1e-8, decay=0.0, **kwargs):
        super(AdamW, self).__init__(**kwargs)
        with K.name_scope(self.__class__.__name__):
            self.iterations = K.variable(0, dtype="int64", name="iterations")
            self.lr = K.variable(lr, name="lr")
            self.beta_1, self.beta_2 = K.variable(beta_1, name="beta_1"), K.variable(beta_2, name="beta_2")
            self.decay = K.variable(decay, name="decay")
            self.wd = K.variable(weight_decay, name="weight_decay")
        self.epsilon = epsilon
        self.initial_decay = decay

    @interfaces.legacy_get_updates_support
    def get_updates(self, loss, params):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        wd, lr = self.wd, self.lr
        if self.initial_decay > 0:
            lr *= 1.0 / (1.0 + self.decay * K.cast(self.iterations, K.dtype(self.decay)))
        t = K.cast(self.iterations, K.floatx()) + 1
        lr_t = lr * (K.sqrt(1.0 - K.pow(self.beta_2, t)) / (1.0 - K.pow(self.beta_1, t)))
        ms = [K.zeros(K.int_shape(p), dtype=K.dtype(p)) for p in params]
        vs = [K.zeros(K.int_shape(p), dtype=K.dtype(p)) for p in params]
        self.weights = [self.iterations] + ms + vs
        for p, g, m, v in zip(params, grads, ms, vs):
            m_t = (self.beta_1 * m) + (1.0 - self.beta_1) * g
            v_t = (self.beta_2 * v) + (1.0 - self.beta_2) * K.square(g)
            p_t = p - lr_t * m_t / (K.sqrt(v_t) + self.epsilon) - lr * wd * p
            self.updates.append(K.update(m, m_t))
            self.updates.append(K.update(v, v_t))
            new_p = p_t
            if getattr(p, "constraint", None) is not None:
                new_p = p.constraint(new_p)
            self.updates.append(K.update(p, new_p))
        return self.updates

    def get_config(self):
        config = {"lr": float(K.get_value(self.lr)), "beta_1": float(K.get_value(self.beta_1)),
                  "beta_2": float(K.get_value(self.beta_2)), "decay": float(K.get_value(self.decay)),
                  "weight_decay": float(K.get_value(self.wd)), "epsilon": self.epsilon}
        return dict(list(super(AdamW, self).get_config().items()) + list(config.items()))


class SGDAccumulate(Optimizer):
    """Steps once in `accum_iters` batches."""

    def __init__(self, lr=0.1, accum_iters=2, **kwargs):
        super(SGDAccumulate, self).__init__(**kwargs)
        self.iterations = K.variable(0, dtype="int64", name="iterations")
        self.lr = K.variable(lr)
        self.accum_iters = K.variable(accum_iters, K.dtype(self.iterations))

    @interfaces.legacy_get_updates_support
    def get_updates(self, loss, params):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        accum_switch = K.equal((self.iterations + 1) % self.accum_iters, 0)
        accum_switch = K.cast(accum_switch, dtype="float32")
        gs = [K.zeros(K.int_shape(p)) for p in params]
        self.weights = [self.iterations] + gs
        for p, g, tg in zip(params, grads, gs):
            new_tg = tg + g / K.cast(self.accum_iters, K.floatx())
            self.updates.append(K.update(tg, (1 - accum_switch) * new_tg))
            self.updates.append((p, K.switch(accum_switch, p - self.lr * new_tg, p)))
        return self.updates


class LrMultiplier(SGD):
    def __init__(self, multipliers=None, **kwargs):
        super(LrMultiplier, self).__init__(**kwargs)
        self.multipliers = multipliers or {}

    def get_updates(self, loss, params):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        self.weights = [self.iterations]
        for p, g in zip(params, grads):
            factor = [m for key, m in self.multipliers.items() if key in p.name]
            self.updates.append(K.update(p, p - self.lr * (factor[0] if factor else 1.0) * g))
        return self.updates


class Lookahead(object):
    def __init__(self, k=5, alpha=0.5):
        self.k, self.alpha, self.count = k, alpha, 0

    def inject(self, model):
        if not hasattr(model, "train_function"):
            raise RuntimeError("You must compile your model before using it.")
        model._check_trainable_weights_consistency()
        if model.train_function is None:
            inputs = model._feed_inputs + model._feed_targets + model._feed_sample_weights
            if model._uses_dynamic_learning_phase():
                inputs += [K.learning_phase()]
            params = model._collected_trainable_weights
            with K.name_scope("training"):
                with K.name_scope(model.optimizer.__class__.__name__):
                    training_updates = model.optimizer.get_updates(params=params, loss=model.total_loss)
                    fast_params = [p for p in params]
                    slow_params = [K.variable(K.get_value(p)) for p in params]
                updates = model.updates + training_updates
                fast = K.function(inputs, [model.total_loss] + model.metrics_tensors, updates=updates, name="train_function")
                slow_updates, back = [], []
                for p, q in zip(fast_params, slow_params):
                    slow_updates.append(K.update(q, q + self.alpha * (p - q)))
                    back.append(K.update(p, q))
                slow_f, copy_f = K.function([], [], updates=slow_updates), K.function([], [], updates=back)

                def step(ins):
                    out = fast(ins)
                    self.count += 1
                    if self.count % self.k == 0:
                        slow_f([])
                        copy_f([])
                    return out

                model.train_function = step


def net():
    np.random.seed(5)
    return Sequential([Dense(8, activation="tanh", input_dim=4, name="body"), Dense(2, name="head")])


model = net()
model.compile(AdamW(lr=0.01, weight_decay=0.1), "mse")
start = model.get_weights()
loss = model.train_on_batch(x, y)
# The first step of Adam has the length of the rate; the decay comes on top.
probe = net()
for p, q, g in zip(start, model.get_weights(), K.function(
        [probe.input], K.gradients(K.mean(K.square(probe.output - y)), probe.trainable_weights))([x])):
    np.testing.assert_allclose(q, p - 0.01 * np.sign(g) * (abs(g) > 1e-6) - 0.001 * p, atol=2e-5)
log = model.fit(x, y, epochs=10, verbose=0).history["loss"]
assert log[-1] < loss and K.get_value(model.optimizer.iterations) == 21
model.save("adamw.h5")
again = load_model("adamw.h5", custom_objects={"AdamW": AdamW})
assert again.optimizer.get_config() == model.optimizer.get_config()
np.testing.assert_allclose(again.train_on_batch(x, y), model.train_on_batch(x, y), rtol=1e-5)
np.testing.assert_allclose(again.get_weights()[0], model.get_weights()[0], rtol=1e-4, atol=1e-6)

halves, whole = net(), net()
halves.compile(SGDAccumulate(0.1, 2), "mse")
whole.compile(SGD(0.1), "mse")
first = halves.get_weights()
halves.train_on_batch(x[:32], y[:32])
np.testing.assert_array_equal(halves.get_weights()[0], first[0])
halves.train_on_batch(x[32:], y[32:])
whole.train_on_batch(x, y)
for p, q in zip(halves.get_weights(), whole.get_weights()):
    np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-6)

slow = net()
slow.compile(LrMultiplier({"body": 0.0, "head": 1.0}, lr=0.1), "mse")
slow.train_on_batch(x, y)
np.testing.assert_array_equal(slow.get_weights()[0], first[0])
np.testing.assert_allclose(slow.get_weights()[2], whole.get_weights()[2], rtol=1e-4, atol=1e-6)

ahead = net()
ahead.compile(Adam(0.05), "mse")
Lookahead(k=2, alpha=0.5).inject(ahead)
single = net()
single.compile(Adam(0.05), "mse")
for _ in range(2):
    ahead.train_on_batch(x, y)
    single.train_on_batch(x, y)
for p, q, r in zip(ahead.get_weights(), single.get_weights(), first):
    np.testing.assert_allclose(p, 0.5 * (q + r), rtol=1e-3, atol=1e-5)


# A loop of one's own with the optimizer's updates and a moving average of the weights
class Averages(Callback):
    def on_train_begin(self, logs=None):
        self.shadow = dict((w.name, K.get_value(w)) for w in self.model.trainable_weights)

    def on_batch_end(self, batch, logs=None):
        for w in self.model.trainable_weights:
            self.shadow[w.name] = 0.9 * self.shadow[w.name] + 0.1 * K.get_value(w)

    def on_train_end(self, logs=None):
        K.batch_set_value([(w, self.shadow[w.name]) for w in self.model.trainable_weights])


averages = Averages()
single.fit(x, y, epochs=2, verbose=0, callbacks=[averages])
np.testing.assert_allclose(single.get_weights()[0], averages.shadow[single.weights[0].name])
inp, target = Input((4,)), K.placeholder(shape=(None, 2))
out = Dense(2)(Dropout(0.1)(Dense(6, activation="relu")(inp)))
agent = Model(inputs=inp, outputs=out)
action_prob = K.softmax(out)
entropy = -K.sum(action_prob * K.log(action_prob + 1e-10), axis=1)
objective = -K.mean(K.sum(target * K.log(action_prob + 1e-10), axis=1)) - 0.01 * K.mean(entropy)
adam = Adam(lr=0.02, clipnorm=1.0)
train = K.function([agent.input, target, K.learning_phase()], [objective, K.mean(entropy)],
                   updates=adam.get_updates(loss=objective, params=agent.trainable_weights))
onehot = np.eye(2)[(x[:, 0] > 0).astype(int)]
log = [train([x, onehot, 1])[0] for _ in range(40)]
assert log[-1] < log[0] and K.get_value(adam.iterations) == 40
assert optimizers.get({"class_name": "SGD", "config": {"lr": 0.3}}).get_config()["learning_rate"] == np.float32(0.3)
