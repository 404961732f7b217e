"""Callbacks of a program's own: rates that go up and down, a search for the best, scores of scikit-learn's kind."""

import keras
import numpy as np
from keras import backend as K
from keras.callbacks import Callback, LambdaCallback, LearningRateScheduler, TerminateOnNaN
from keras.layers import Dense
from keras.models import Sequential

np.random.seed(12)
X = np.random.normal(size=(80, 6))
y = (X[:, 0] - X[:, 1] > 0).astype(int)


class CyclicLR(Callback):
    def __init__(self, base_lr=0.001, max_lr=0.006, step_size=4., mode="triangular", gamma=1.):
        super(CyclicLR, self).__init__()
        self.base_lr, self.max_lr, self.step_size = base_lr, max_lr, step_size
        self.clr_iterations, self.history = 0., {}

    def clr(self):
        cycle = np.floor(1 + self.clr_iterations / (2 * self.step_size))
        x = np.abs(self.clr_iterations / self.step_size - 2 * cycle + 1)
        return self.base_lr + (self.max_lr - self.base_lr) * np.maximum(0, (1 - x))

    def on_train_begin(self, logs={}):
        K.set_value(self.model.optimizer.lr, self.base_lr)

    def on_batch_end(self, epoch, logs=None):
        logs = logs or {}
        self.clr_iterations += 1
        self.history.setdefault("lr", []).append(K.get_value(self.model.optimizer.lr))
        for k, v in logs.items():
            self.history.setdefault(k, []).append(v)
        K.set_value(self.model.optimizer.lr, self.clr())


class LRFinder(Callback):
    def __init__(self, min_lr=1e-5, max_lr=1e-1, steps_per_epoch=10, epochs=1):
        super().__init__()
        self.min_lr, self.max_lr, self.total = min_lr, max_lr, steps_per_epoch * epochs
        self.iteration, self.rates, self.losses = 0, [], []

    def on_batch_end(self, batch, logs=None):
        self.iteration += 1
        rate = self.min_lr * (self.max_lr / self.min_lr) ** (self.iteration / self.total)
        self.rates.append(K.get_value(self.model.optimizer.lr))
        self.losses.append(logs.get("loss"))
        K.set_value(self.model.optimizer.lr, rate)


class Metrics(Callback):
    def on_train_begin(self, logs={}):
        self.val_f1s = []

    def on_epoch_end(self, epoch, logs={}):
        val_predict = (np.asarray(self.model.predict(self.validation_data[0]))).round()
        val_targ = self.validation_data[1]
        true = ((val_predict == 1) & (val_targ == 1)).sum()
        self.val_f1s.append(2 * true / max(1, (val_predict == 1).sum() + (val_targ == 1).sum()))
        logs["val_f1"] = self.val_f1s[-1]


def make():
    model = Sequential([Dense(8, activation="relu", input_shape=(6,)), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


model = make()
clr, scores = CyclicLR(), Metrics()
history = model.fit(X, y, epochs=2, batch_size=10, validation_split=0.25, callbacks=[clr, scores], verbose=0)
np.testing.assert_allclose(clr.history["lr"][:5], [0.001, 0.00225, 0.0035, 0.00475, 0.006], rtol=1e-5)
assert len(clr.history["loss"]) == 12 and len(scores.val_f1s) == 2
assert history.history["val_f1"] == scores.val_f1s

model = make()
finder = LRFinder(steps_per_epoch=8, epochs=2)
model.fit(X, y, epochs=2, batch_size=10, callbacks=[finder], verbose=0)
assert abs(K.get_value(model.optimizer.lr) - 0.1) < 1e-6 and len(finder.losses) == 16

model = make()
weights = []
spoken = []
told = LambdaCallback(on_epoch_begin=lambda epoch, logs: spoken.append(epoch),
                      on_batch_end=lambda batch, logs: weights.append(model.layers[0].get_weights()[0].sum()),
                      on_train_end=lambda logs: spoken.append("end"))
schedule = LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)
history = model.fit(X, y, epochs=3, batch_size=40, callbacks=[told, schedule], verbose=0)
assert spoken == [0, 1, 2, "end"] and len(set(weights)) == 6
np.testing.assert_allclose(history.history["lr"], [0.001, 0.0005, 0.00025], rtol=1e-5)

broken = X.copy()
broken[30, 2] = np.nan
model = make()
history = model.fit(broken, y, epochs=5, batch_size=10, shuffle=False, callbacks=[TerminateOnNaN()], verbose=0)
assert len(history.epoch) == 1


class Snapshots(keras.callbacks.Callback):
    def __init__(self, every):
        self.every, self.kept = every, []

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            self.kept.append(self.model.get_weights())
        if len(self.kept) == 2:
            self.model.stop_training = True


model, kept = make(), Snapshots(2)
history = model.fit(X, y, epochs=20, verbose=0, callbacks=[kept])
assert len(history.epoch) == 4
average = [np.mean(arrays, axis=0) for arrays in zip(*kept.kept)]
model.set_weights(average)
assert 0 <= model.evaluate(X, y, verbose=0)[1] <= 1
initial = model.fit(X, y, epochs=6, initial_epoch=4, verbose=0)
assert initial.epoch == [4, 5]
