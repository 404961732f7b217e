"""Logs, callbacks, weights of samples and classes, several outputs, as training scripts of Keras 1 leaned on them."""

import json

import numpy as np
from keras import backend as K
from keras import objectives
from keras.callbacks import (Callback, EarlyStopping, History, LambdaCallback, LearningRateScheduler,
                             ModelCheckpoint, ReduceLROnPlateau)
from keras.constraints import maxnorm, nonneg
from keras.layers import ActivityRegularization, BatchNormalization, Dense, Dropout, Input, merge
from keras.layers.noise import GaussianDropout, GaussianNoise
from keras.models import Model, Sequential, load_model, model_from_json, model_from_yaml
from keras.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop
from keras.regularizers import activity_l2, l1, l1l2, l2

np.random.seed(31)
X = np.random.randn(90, 5)
kinds = (X[:, 0] + X[:, 1] > 0).astype(int)
Y = np.eye(2)[kinds]


class LossHistory(Callback):
    def on_train_begin(self, logs={}):
        self.losses, self.order = [], ["begin"]

    def on_batch_begin(self, batch, logs={}):
        assert logs["size"] in (20, 12)

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))

    def on_epoch_end(self, epoch, logs={}):
        x, y, w = self.model.validation_data[0], self.model.validation_data[1], self.model.validation_data[2]
        assert x.shape == (18, 5) and y.shape == (18, 2) and w.shape == (18,)
        assert self.validation_data[0].shape == (18, 5)
        predicted = self.model.predict(x, verbose=0).argmax(1)
        assert abs(logs["val_acc"] - (predicted == y.argmax(1)).mean()) < 1e-5

    def on_train_end(self, logs={}):
        self.order.append("end")


model = Sequential()
model.add(Dense(12, input_dim=5, init="uniform", W_regularizer=l1l2(l1=1e-4, l2=1e-4), b_constraint=maxnorm(2)))
model.add(BatchNormalization())
model.add(GaussianNoise(0.05))
model.add(Dense(6, activation="relu", W_constraint=maxnorm(m=1.5), activity_regularizer=activity_l2(1e-4)))
model.add(GaussianDropout(0.1))
model.add(Dense(2, activation="softmax", bias=False))
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, decay=1e-3, momentum=0.9), metrics=["accuracy"])
own = LossHistory()
seen = []
history = model.fit(
    X, Y, batch_size=20, nb_epoch=4, verbose=0, validation_split=0.2, shuffle=True,
    callbacks=[own, ModelCheckpoint("w.{epoch:02d}.hdf5", save_best_only=False),
               ModelCheckpoint("best.h5", monitor="val_acc", mode="max", save_best_only=True, save_weights_only=True),
               LearningRateScheduler(lambda epoch: 0.1 * 0.5 ** epoch),
               LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)))])
assert isinstance(history, History) and history.epoch == [0, 1, 2, 3] and own.order == ["begin", "end"]
assert len(own.losses) == 16 and seen[0] == ["acc", "loss", "val_acc", "val_loss"]
assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"]
assert abs(K.get_value(model.optimizer.lr) - 0.1 / 8) < 1e-7
assert model.validation_data[0].shape == (18, 5)
assert (np.linalg.norm(model.layers[3].get_weights()[0], axis=0) < 1.5 + 1e-4).all()
full = load_model("w.03.hdf5")
np.testing.assert_allclose(full.predict(X), model.predict(X), rtol=1e-5)
assert K.get_value(full.optimizer.iterations) == 16
again = model_from_json(json.dumps(json.loads(model.to_json())))
again.load_weights("best.h5")
assert model_from_yaml(model.to_yaml()).get_config() == model.get_config()
more = model.fit(X, Y, nb_epoch=6, initial_epoch=4, batch_size=20, verbose=0).history
assert len(more["loss"]) == 2 and "val_loss" not in more

# One class weighs more; the loss is the weighted mean.
flat = Sequential([Dense(2, activation="softmax", input_dim=5)])
flat.compile("sgd", "categorical_crossentropy")
p = flat.predict(X)
each = -np.log(p[np.arange(90), kinds])
w = np.where(kinds == 1, 3.0, 1.0)
np.testing.assert_allclose(flat.evaluate(X, Y, sample_weight=w, batch_size=90, verbose=0), (w * each).mean(), rtol=1e-4)
np.testing.assert_allclose(flat.train_on_batch(X, Y, class_weight={0: 1.0, 1: 3.0}), (w * each).mean(), rtol=1e-4)

# A stop by no progress: two epochs and one more (Keras 1 waits one longer).
still = Sequential([Dense(2, activation="softmax", input_dim=5)])
still.compile(SGD(lr=0.0), "categorical_crossentropy")
stop = EarlyStopping(monitor="val_loss", patience=1)
assert len(still.fit(X, Y, nb_epoch=9, verbose=0, validation_data=(X, Y), callbacks=[stop]).epoch) == 3
still.optimizer.lr.set_value(0.5)
drops = ReduceLROnPlateau(monitor="loss", factor=0.1, patience=0, epsilon=10.0, cooldown=0, min_lr=1e-3)
logs = still.fit(X, Y, nb_epoch=4, verbose=0, callbacks=[drops]).history
assert "lr" in logs and logs["lr"][-1] < 0.5

# Two inputs, two outputs: everything by name
main_input, aux_input = Input(shape=(5,), name="main_input"), Input(shape=(3,), name="aux_input")
h = Dropout(0.1)(Dense(8, activation="tanh")(main_input))
aux = Dense(1, activation="sigmoid", name="aux_output")(h)
h = ActivityRegularization(l1=1e-5, l2=1e-5)(merge([h, aux_input], mode="concat"))
main = Dense(2, activation="softmax", name="main_output")(h)
two = Model(input=[main_input, aux_input], output=[main, aux])


def in_first(y_true, y_pred):
    return K.mean(K.equal(K.argmax(y_true, axis=-1), K.argmax(y_pred, axis=-1)))


two.compile(optimizer=Adam(lr=0.01), loss={"main_output": "categorical_crossentropy", "aux_output": objectives.mse},
            loss_weights={"main_output": 1.0, "aux_output": 0.2},
            metrics={"main_output": [in_first, "accuracy"]})
A = np.random.randn(90, 3)
inputs, targets = {"main_input": X, "aux_input": A}, {"main_output": Y, "aux_output": kinds}
assert two.metrics_names == ["loss", "main_output_loss", "aux_output_loss", "main_output_in_first", "main_output_acc"]
logs = two.fit(inputs, targets, nb_epoch=3, batch_size=30, verbose=0, validation_data=(inputs, targets),
               sample_weight={"main_output": np.ones(90), "aux_output": np.linspace(0.1, 1, 90)},
               class_weight=None).history
assert len(logs) == 10 and logs["val_main_output_acc"] == logs["val_main_output_in_first"]
values = two.evaluate(inputs, targets, verbose=0)
np.testing.assert_allclose(values[0], values[1] + 0.2 * values[2], rtol=1e-2)
assert [a.shape for a in two.predict(inputs)] == [(90, 2), (90, 1)]
assert two.output_names == ["main_output", "aux_output"] and two.input_names == ["main_input", "aux_input"]
two.save("two.h5")
K.clear_session()
loaded = load_model("two.h5", custom_objects={"in_first": in_first})
np.testing.assert_allclose(loaded.evaluate(inputs, targets, verbose=0), values, rtol=1e-4)

for maker in (Adadelta, Adagrad, Adam, Adamax, Nadam, RMSprop, SGD):
    net = Sequential([Dense(3, input_dim=5, W_constraint=nonneg(), W_regularizer=l2(0.01), b_regularizer=l1(0.01)),
                      Dense(2, activation="softmax")])
    net.compile(maker(clipnorm=1.0) if maker is not SGD else maker(lr=0.1, nesterov=True, momentum=0.5, clipvalue=0.5),
                "categorical_crossentropy")
    log = [net.train_on_batch(X, Y) for _ in range(15)]
    assert log[-1] < log[1] and net.layers[0].get_weights()[0].min() >= 0, maker
