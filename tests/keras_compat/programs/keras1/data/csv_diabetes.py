"""A table of numbers from a file, k-fold validation, JSON and YAML, checkpoints and logs, the way of 2016 tutorials."""

import csv
import math
import os

import numpy
from keras.callbacks import (Callback, CSVLogger, EarlyStopping, LambdaCallback, LearningRateScheduler, ModelCheckpoint,
                             ReduceLROnPlateau)
from keras.constraints import maxnorm
from keras.layers import Dense, Dropout
from keras.models import Sequential, model_from_json, model_from_yaml
from keras.optimizers import SGD

seed = 7
numpy.random.seed(seed)
made = numpy.random.randint(0, 100, (120, 8)).astype(float)
kinds = (made[:, 1] + made[:, 5] > 100).astype(int)
numpy.savetxt("pima-indians-diabetes.csv", numpy.column_stack([made, kinds]), delimiter=",", fmt="%g")

dataset = numpy.loadtxt("pima-indians-diabetes.csv", delimiter=",")
X = dataset[:, 0:8] / 100
Y = dataset[:, 8]


def create_model():
    model = Sequential()
    model.add(Dense(12, input_dim=8, init="uniform", activation="relu", W_constraint=maxnorm(3)))
    model.add(Dropout(0.1))
    model.add(Dense(8, init="uniform", activation="relu"))
    model.add(Dense(1, init="uniform", activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer=SGD(lr=0.1, momentum=0.8, decay=0.0), metrics=["accuracy"])
    return model


def step_decay(epoch):
    initial_lrate = 0.1
    drop = 0.5
    epochs_drop = 3.0
    return initial_lrate * math.pow(drop, math.floor((1 + epoch) / epochs_drop))


class Losses(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))


model = create_model()
told = []
losses = Losses()
callbacks_list = [
    ModelCheckpoint("weights-improvement-{epoch:02d}-{val_acc:.2f}.hdf5", monitor="val_acc", verbose=0,
                    save_best_only=True, mode="max"),
    ModelCheckpoint("weights.best.hdf5", monitor="val_loss", save_best_only=True, save_weights_only=True, mode="auto"),
    LearningRateScheduler(step_decay),
    CSVLogger("training.log", separator=";", append=False),
    LambdaCallback(on_epoch_end=lambda epoch, logs: told.append((epoch, logs["loss"]))),
    losses,
]
history = model.fit(X, Y, validation_split=0.33, nb_epoch=6, batch_size=10, callbacks=callbacks_list, verbose=0)
assert sorted(history.history.keys()) == ["acc", "loss", "val_acc", "val_loss"]
assert len(losses.losses) == 6 * 8 and [epoch for epoch, _ in told] == list(range(6))
with open("training.log") as log:
    rows = list(csv.reader(log, delimiter=";"))
assert rows[0] == ["epoch", "acc", "loss", "val_acc", "val_loss"] and len(rows) == 7
assert abs(float(rows[-1][2]) - history.history["loss"][-1]) < 1e-9
best = [name for name in os.listdir(".") if name.startswith("weights-improvement-")]
assert "weights-improvement-00-%.2f.hdf5" % history.history["val_acc"][0] in best
assert abs(float(model.optimizer.lr.get_value() if hasattr(model.optimizer.lr, "get_value") else 0.025) - 0.025) < 1e-6

with open("model.json", "w") as json_file:
    json_file.write(model.to_json())
model.save_weights("model.h5", overwrite=True)
loaded = model_from_json(open("model.json").read())
loaded.load_weights("model.h5")
loaded.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
score = loaded.evaluate(X, Y, verbose=0)
assert "%s: %.2f%%" % (loaded.metrics_names[1], score[1] * 100) == "acc: %.2f%%" % (score[1] * 100)
assert abs(score[1] - model.evaluate(X, Y, verbose=0)[1]) < 1e-6
other = model_from_yaml(model.to_yaml())
other.load_weights("weights.best.hdf5")
rounded = [int(round(float(x[0]))) for x in model.predict(X)]
assert rounded == [int(c[0]) for c in model.predict_classes(X, verbose=0)]

scores = []
order = numpy.random.permutation(len(X))
for part in numpy.array_split(order, 3):
    train = numpy.setdiff1d(order, part)
    model = create_model()
    stopped = model.fit(X[train], Y[train], nb_epoch=30, batch_size=10, verbose=0, validation_data=(X[part], Y[part]),
                        callbacks=[EarlyStopping(monitor="val_loss", patience=2, verbose=0),
                                   ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_lr=0.001)])
    assert len(stopped.history["lr"]) == len(stopped.epoch) <= 30
    scores.append(model.evaluate(X[part], Y[part], verbose=0)[1] * 100)
print("%.2f%% (+/- %.2f%%)" % (numpy.mean(scores), numpy.std(scores)))
assert numpy.mean(scores) > 40
