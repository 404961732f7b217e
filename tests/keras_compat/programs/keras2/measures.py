"""Metrics: functions with names, classes with state, scores from a callback, weights in every place (Keras 2.3)."""

import keras
import numpy as np
from keras import backend as K
from keras import losses, metrics
from keras.callbacks import Callback
from keras.layers import LSTM, Dense, Dropout, Embedding, Input, Masking, TimeDistributed
from keras.models import Model, Sequential, load_model

np.random.seed(101)
x = np.random.randn(60, 4)
y = (x[:, :1] + 0.3 * np.random.randn(60, 1) > 0).astype("float32")


def precision(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    predicted_positives = K.sum(K.round(K.clip(y_pred, 0, 1)))
    return true_positives / (predicted_positives + K.epsilon())


def recall(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    possible_positives = K.sum(K.round(K.clip(y_true, 0, 1)))
    return true_positives / (possible_positives + K.epsilon())


def f1(y_true, y_pred):
    p, r = precision(y_true, y_pred), recall(y_true, y_pred)
    return 2 * ((p * r) / (p + r + K.epsilon()))


def dice(y_true, y_pred, smooth=1.0):
    inter = K.sum(K.flatten(y_true) * K.flatten(y_pred))
    return (2.0 * inter + smooth) / (K.sum(y_true) + K.sum(y_pred) + smooth)


class BinaryTruePositives(keras.layers.Layer):
    """Counts by its own state, as a metric could be written before there were metric classes."""

    def __init__(self, name="true_positives", **kwargs):
        super(BinaryTruePositives, self).__init__(name=name, **kwargs)
        self.stateful = True
        self.true_positives = K.variable(value=0, dtype="int32")

    def reset_states(self):
        K.set_value(self.true_positives, 0)

    def __call__(self, y_true, y_pred):
        y_true, y_pred = K.cast(y_true, "int32"), K.cast(K.round(y_pred), "int32")
        correct = K.cast(K.equal(y_pred, y_true), "int32")
        true_pos = K.cast(K.sum(correct * y_true), "int32")
        current = self.true_positives * 1
        self.add_update(K.update_add(self.true_positives, true_pos), inputs=[y_true, y_pred])
        return current + true_pos


class Brier(metrics.Metric):
    def __init__(self, name="brier", **kwargs):
        super(Brier, self).__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = K.square(y_true - y_pred)
        weights = K.ones_like(values) if sample_weight is None else K.expand_dims(sample_weight) * K.ones_like(values)
        return [K.update_add(self.total, K.sum(values * weights)), K.update_add(self.count, K.sum(weights))]

    def result(self):
        return self.total / self.count


class RocAuc(Callback):
    def __init__(self, validation_data):
        super(RocAuc, self).__init__()
        self.x_val, self.y_val = validation_data

    def on_epoch_end(self, epoch, logs=None):
        p = self.model.predict(self.x_val, verbose=0).ravel()
        pos, neg = p[self.y_val.ravel() == 1], p[self.y_val.ravel() == 0]
        logs["roc_auc"] = float(np.mean((pos[:, None] > neg[None]) + 0.5 * (pos[:, None] == neg[None])))


model = Sequential([Dense(8, activation="relu", input_dim=4), Dropout(0.0), Dense(1, activation="sigmoid")])
model.compile("adam", losses.BinaryCrossentropy(),
              metrics=["accuracy", precision, recall, f1, Brier(), metrics.AUC(num_thresholds=400),
                       metrics.Precision(name="prec"), keras.metrics.MeanSquaredError("mse")])
assert model.metrics_names == ["loss", "accuracy", "precision", "recall", "f1", "brier", "auc_1", "prec", "mse"]
history = model.fit(x, y, epochs=3, batch_size=20, validation_split=0.5, verbose=0, callbacks=[RocAuc((x, y))]).history
assert "roc_auc" in history and "val_brier" in history and "val_auc_1" in history
found = dict(zip(model.metrics_names, model.evaluate(x, y, batch_size=16, verbose=0)))
p = model.predict(x)
hit = ((p > 0.5) & (y == 1)).sum()
np.testing.assert_allclose([found["accuracy"], found["brier"], found["prec"], found["mse"]],
                           [((p > 0.5) == y).mean(), ((p - y) ** 2).mean(), hit / max((p > 0.5).sum(), 1),
                            ((p - y) ** 2).mean()], rtol=1e-4)
np.testing.assert_allclose(found["loss"], -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), rtol=1e-4)
pos, neg = p[y == 1], p[y == 0]
np.testing.assert_allclose(found["auc_1"], np.mean(pos[:, None] > neg[None]), atol=0.02)
# A function that gives one number per batch counts each batch once.
parts = [(x[i:i + 16], y[i:i + 16]) for i in range(0, 60, 16)]
each = [((model.predict(a) > 0.5) & (b == 1)).sum() / (b.sum() + 1e-7) for a, b in parts]
np.testing.assert_allclose(found["recall"], np.mean(each), rtol=1e-3)
model.save("m.h5")
same = load_model("m.h5", custom_objects={"precision": precision, "recall": recall, "f1": f1, "Brier": Brier})
np.testing.assert_allclose(same.evaluate(x, y, batch_size=16, verbose=0), list(found.values()), rtol=1e-4)

counter = BinaryTruePositives()
counted = Sequential([Dense(1, activation="sigmoid", input_dim=4)])
counted.compile("sgd", "binary_crossentropy", metrics=["acc", counter])
loss, acc, hits = counted.evaluate(x, y, batch_size=7, verbose=0)
assert hits == ((counted.predict(x) > 0.5) & (y == 1)).sum()

# Weights: of samples, of classes, of steps, of outputs
w = np.random.rand(60)
counted.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"])
loss, plain, weighted = counted.evaluate(x, y, sample_weight=w, batch_size=60, verbose=0)
q = counted.predict(x)
np.testing.assert_allclose([loss, plain, weighted], [(w[:, None] * (q - y) ** 2).mean(), abs(q - y).mean(),
                                                     (w[:, None] * abs(q - y)).sum() / w.sum()], rtol=1e-4)
a = Input((4,), name="a")
left, right = Dense(3, activation="softmax", name="left")(a), Dense(1, name="right")(a)
two = Model(a, [left, right])
two.compile("sgd", {"left": losses.CategoricalCrossentropy(label_smoothing=0.1), "right": "logcosh"},
            loss_weights={"left": 2.0, "right": 0.5},
            metrics={"left": ["acc", metrics.TopKCategoricalAccuracy(k=2, name="top2")], "right": [dice]})
assert two.metrics_names == ["loss", "left_loss", "right_loss", "left_acc", "left_top2", "right_dice"]
kinds = np.eye(3)[np.arange(60) % 3]
values = two.evaluate({"a": x}, {"left": kinds, "right": y}, batch_size=60, verbose=0)
l, r = two.predict(x)
smooth = kinds * 0.9 + 0.1 / 3
np.testing.assert_allclose(values[1:3], [-(smooth * np.log(l)).sum(1).mean(), np.log(np.cosh(r - y)).mean()], rtol=1e-3)
np.testing.assert_allclose(values[0], 2 * values[1] + 0.5 * values[2], rtol=1e-5)
rank = (l > (l * kinds).sum(1, keepdims=True)).sum(1)
np.testing.assert_allclose(values[3:5], [(rank == 0).mean(), (rank < 2).mean()], rtol=1e-4)
two.train_on_batch(x, [kinds, y], sample_weight={"left": w}, class_weight={"right": {0: 1.0, 1: 2.0}})

steps = np.random.randint(0, 9, (10, 6))
steps[:, 4:] = 0
tagger = Sequential([Embedding(9, 5, mask_zero=True), LSTM(4, return_sequences=True),
                     TimeDistributed(Dense(3, activation="softmax"))])
tagger.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], sample_weight_mode="temporal")
tags = (steps % 3)[..., None]
tagger.fit(steps, tags, epochs=1, verbose=0, sample_weight=np.ones((10, 6)))
out = tagger.predict(steps)
mask = steps != 0
hits = (out.argmax(-1) == tags[..., 0])
np.testing.assert_allclose(tagger.evaluate(steps, tags, verbose=0)[1], hits[mask].mean(), rtol=1e-4)
zero = Sequential([Masking(-1.0, input_shape=(6, 2)), Dense(1)])
zero.compile("sgd", "mae")
seq = np.random.rand(4, 6, 2)
seq[:, 3:] = -1
err = abs(zero.predict(seq) - 1)[..., 0]
np.testing.assert_allclose(zero.evaluate(seq, np.ones((4, 6, 1)), verbose=0), (err[:, :3]).sum() / 24, rtol=1e-4)
mean = metrics.Mean()
assert float(K.eval(mean([1.0, 3.0]))) == 2.0
m = metrics.MeanIoU(num_classes=2)
K.eval(m(K.constant([0, 0, 1, 1]), K.constant([0, 1, 0, 1])))
np.testing.assert_allclose(K.eval(m.result()), 1 / 3, rtol=1e-6)
