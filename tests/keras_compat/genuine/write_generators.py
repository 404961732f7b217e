"""Runs inside a genuine Keras (Python 3.7): trains, tests and predicts on generators and sequences, and writes it down.

    python write_generators.py out.json

For each case that the release can do: histories, weights, results, how often the generator was asked, or the error.
``../golden/generators/keras-<release>.json`` hold what came out; test_generators_genuine.py does the same in ours.
"""

import json
import os
import random
import sys
import warnings

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras.callbacks import Callback
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

OLD = keras.__version__ < "2"
RNG = np.random.RandomState(41)
X = RNG.normal(size=(22, 4)).astype("float32")
Y = np.eye(2)[RNG.randint(0, 2, 22)].astype("float32")
W = RNG.uniform(0.5, 2, size=22)
KERNEL = RNG.normal(size=(4, 2)).astype("float32")
SIZE = 5  # the last batch has 2


def model():
    made = Sequential([Dense(2, input_dim=4, activation="sigmoid")])
    made.compile(SGD(lr=0.5), "mse", metrics=["mae"])
    made.set_weights([KERNEL, np.zeros(2, "float32")])
    return made


class Batches:
    """Counts what it was asked for."""

    def __init__(self, parts=2, size=SIZE, count=None):
        self.parts, self.size, self.count, self.asked = parts, size, count, 0
        self.made = self.make()

    def make(self):
        while True:
            for start in range(0, 22, self.size):
                if self.count is not None and self.asked >= self.count:
                    return
                self.asked += 1
                part = slice(start, start + self.size)
                whole = X[part], Y[part], W[part]
                yield whole[: self.parts] if self.parts else X[part]

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.made)


class Order(keras.utils.Sequence if not OLD else object):
    """A sequence that notes what it was asked for."""

    def __init__(self, size=SIZE):
        self.size, self.asked, self.ends = size, [], 0

    def __len__(self):
        return -(-22 // self.size)

    def __getitem__(self, i):
        self.asked.append(i)
        part = slice(i * self.size, (i + 1) * self.size)
        return X[part], Y[part]

    def on_epoch_end(self):
        self.ends += 1


class Notes(Callback):
    """What callbacks are told."""

    def on_train_begin(self, logs=None):
        names = ("nb_epoch", "nb_sample") if OLD else ("epochs", "steps")
        self.told = [[int(np.ceil(self.params[name])) for name in names]]

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(["epoch", epoch])

    def on_batch_end(self, batch, logs=None):
        self.told.append([batch, int(logs["size"])])


def fit(generator, *args, **kwargs):
    """History, weights, what callbacks were told."""
    made, notes = model(), Notes()
    log = made.fit_generator(generator, *args, verbose=0, callbacks=[notes], **kwargs)
    history = {name: [float(v) for v in values] for name, values in log.history.items()}
    return {"history": history, "weights": made.get_weights()[0].tolist(), "told": notes.told, "epochs": log.epoch}


KERAS_1 = {
    "fit by samples": lambda: fit(Batches(), 22, 3),
    "fit, samples across epochs": lambda: fit(Batches(), 12, 3),
    "fit, one sample": lambda: fit(Batches(), 1, 2),
    "fit by names": lambda: fit(Batches(), samples_per_epoch=15, nb_epoch=2, max_q_size=3, nb_worker=1),
    "fit from an epoch": lambda: fit(Batches(), 22, 5, initial_epoch=3),
    "fit with weights": lambda: fit(Batches(3), 22, 2),
    "fit with class weights": lambda: fit(Batches(), 22, 2, class_weight={0: 1.0, 1: 3.0}),
    "validation by samples": lambda: fit(Batches(), 22, 2, validation_data=Batches(), nb_val_samples=22),
    "validation on arrays": lambda: fit(Batches(), 22, 2, validation_data=(X, Y)),
    "validation on arrays with weights": lambda: fit(Batches(), 22, 2, validation_data=(X, Y, W)),
    "validation without a count": lambda: fit(Batches(), 22, 2, validation_data=Batches()),
    "evaluate": lambda: list(map(float, model().evaluate_generator(Batches(), 22))),
    "evaluate some": lambda: list(map(float, model().evaluate_generator(Batches(), val_samples=12))),
    "evaluate with weights": lambda: list(map(float, model().evaluate_generator(Batches(3), 22))),
    "predict": lambda: model().predict_generator(Batches(), 22).tolist(),
    "predict inputs": lambda: model().predict_generator(Batches(0), 15).tolist(),
    "wrong items": lambda: fit(Batches(1), 22, 1),
    "ends early": lambda: fit(Batches(count=3), 22, 2),
}
KERAS_2 = {
    "fit by steps": lambda: fit(Batches(), 5, 3),
    "fit, steps across epochs": lambda: fit(Batches(), 3, 3),
    "fit by names": lambda: fit(Batches(), steps_per_epoch=3, epochs=2, max_queue_size=3, workers=1),
    "fit, steps and a part": lambda: fit(Batches(), 4.4, epochs=2),
    "fit from an epoch": lambda: fit(Batches(), 5, 5, initial_epoch=3),
    "fit with weights": lambda: fit(Batches(3), 5, 2),
    "fit with class weights": lambda: fit(Batches(), 5, 2, class_weight={0: 1.0, 1: 3.0}),
    "validation by steps": lambda: fit(Batches(size=22), 1, 2, validation_data=Batches(size=11), validation_steps=2),
    "validation across": lambda: fit(Batches(), 5, 3, validation_data=Batches(size=22), validation_steps=1),
    "validation on arrays": lambda: fit(Batches(size=22), 1, 2, validation_data=(X, Y)),
    "validation on arrays with weights": lambda: fit(Batches(size=22), 1, 2, validation_data=(X, Y, W)),
    "validation without a count": lambda: fit(Batches(), 5, 2, validation_data=Batches()),
    "validation on a sequence": lambda: fit(Batches(size=22), 1, 2, validation_data=Order(22)),
    "sequence": lambda: fit(Order(), epochs=2, shuffle=False, workers=0),
    "sequence by steps": lambda: fit(Order(), 3, epochs=3, shuffle=False, workers=0),
    "evaluate": lambda: list(map(float, model().evaluate_generator(Batches(size=22), 2))),
    "evaluate with weights": lambda: list(map(float, model().evaluate_generator(Batches(3, 22), 1))),
    "evaluate a sequence": lambda: list(map(float, model().evaluate_generator(Order(22)))),
    "predict": lambda: model().predict_generator(Batches(), 5).tolist(),
    "predict inputs": lambda: model().predict_generator(Batches(0), 3).tolist(),
    "predict a sequence": lambda: model().predict_generator(Order()).tolist(),
    "wrong items": lambda: fit(Batches(1), 4, 1),
    "no steps": lambda: fit(Batches()),
    "evaluate without steps": lambda: model().evaluate_generator(Batches()),
}
KERAS_23 = {
    "validation now and then": lambda: fit(
        Batches(size=22), 1, 5, validation_data=Batches(size=22), validation_steps=1, validation_freq=2
    ),
    "validation at epochs": lambda: fit(Batches(size=22), 1, 5, validation_data=Order(22), validation_freq=[1, 4]),
}


def asked():
    """How often a generator, and a sequence in which order, is asked by one who makes batches when they are needed."""
    batches, order = Batches(), Order()
    random.seed(1)
    fit(batches, 4, 3, workers=0)
    fit(order, epochs=3, workers=0)
    return {"generator": batches.asked, "sequence": order.asked, "ends": order.ends}


def main(path):
    cases = dict(KERAS_1) if OLD else dict(KERAS_2, asked=asked)
    if keras.__version__ >= "2.3":
        cases.update(KERAS_23)
    found = {}
    for name, case in cases.items():
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                found[name] = {"result": case()}
            except Exception as error:
                found[name] = {"error": type(error).__name__, "text": str(error)}
        found[name]["warnings"] = sorted({str(w.message)[:60] for w in seen if issubclass(w.category, UserWarning)})
    with open(path, "w") as stream:
        json.dump({"version": keras.__version__, "cases": found}, stream, indent=0, sort_keys=True)
        stream.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
