"""Asks a Keras how it behaves where the releases differ: the rows of docs/differences.md.

    python differences.py keras              # prints the answers of the installed Keras as JSON
    python differences.py tensorflow.keras

The test asks us the same questions. It runs under Python 3.6 and later and under every release from 1.2.2 on, so it
passes arguments by place and by the names of either line. Answers are short texts.
"""

import contextlib
import importlib
import inspect
import io
import json
import os
import sys
import tempfile
import time
import warnings

import numpy as np


class Keras:
    """The modules of one Keras, and what differs in how they are called."""

    def __init__(self, package):
        for name in ("backend", "callbacks", "layers", "models", "optimizers", "utils"):
            setattr(self, name, importlib.import_module(package + "." + name))
        self.old = importlib.import_module(package.partition(".")[0]).__version__.startswith("1.")
        self.ours = package == "keras_compat"
        if self.ours:
            self.old = importlib.import_module(package).get_api_level() == "1.2"

    def fit(self, model, x, y, epochs, **more):
        more.update({"nb_epoch" if self.old else "epochs": epochs, "verbose": 0})
        return model.fit(x, y, **more)

    def sequential(self, *layers):
        return self.models.Sequential(list(layers))

    def linear(self, initial=1.0, units=1, inputs=1, **more):
        """One dense layer with all weights at ``initial``."""
        dense = self.layers.Dense(units, input_shape=(inputs,), **more)
        model = self.sequential(dense)
        dense.set_weights([np.full_like(w, initial) for w in dense.get_weights()])
        return model


def logged_names(keras):
    model = keras.linear()
    model.compile("sgd", "mse", metrics=["accuracy", "mae"])
    return " ".join(sorted(keras.fit(model, np.ones((4, 1)), np.ones((4, 1)), 1).history))


def names_as_written(keras):
    model = keras.linear()
    model.compile("sgd", "mse", metrics=["acc"])
    return " ".join(sorted(keras.fit(model, np.ones((4, 1)), np.ones((4, 1)), 1).history))


def getting_worse(keras, epochs, patience):
    """Train away from the optimum with restore_best_weights; says which weights are left."""
    stopping = keras.callbacks.EarlyStopping
    if "restore_best_weights" not in inspect.signature(stopping.__init__).parameters:
        return "no such argument"
    model = keras.linear(0.0)
    model.compile("sgd", "mse")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(float(self.model.get_weights()[0].ravel()[0]))

    callbacks = [Watch(), stopping(monitor="val_loss", patience=patience, restore_best_weights=True)]
    x = np.ones((4, 1))
    keras.fit(model, x, x, epochs, validation_data=(x, -x), callbacks=callbacks)
    left = float(model.get_weights()[0].ravel()[0])
    assert seen[0] < seen[-1]
    return {0: "the best", len(seen) - 1: "the last"}[seen.index(left)]


def restored_when_stopped(keras):
    return getting_worse(keras, 10, 2)


def restored_when_not_stopped(keras):
    return getting_worse(keras, 3, 5)


def validation_split(keras):
    model = keras.linear()
    model.compile("sgd", "mse")
    y = np.array([[2.0]] * 6 + [[5.0]] * 4)  # the model says 2 for x = 1
    log = keras.fit(model, np.ones((10, 1)), y, 1, validation_split=0.4).history
    return "the last" if log["loss"][0] < 0.01 else "others"


def frozen(keras):
    """A frozen BatchNormalization in training: (what it normalizes with, whether its averages move)."""
    layer = keras.layers.BatchNormalization(input_shape=(2,))
    layer.trainable = False
    model = keras.sequential(layer, keras.layers.Dense(1))
    model.compile("sgd", "mse")
    x = np.array([[10.0, -10.0], [12.0, -12.0]] * 8, dtype="float32")
    before = [np.array(w) for w in layer.get_weights()]
    out = model.layers[1].get_weights()[0]
    tested = float(model.evaluate(x, np.zeros((16, 1)), verbose=0))
    trained = float(keras.fit(model, x, np.zeros((16, 1)), 1, batch_size=16).history["loss"][0])
    moved = any(not np.allclose(a, b) for a, b in zip(before, layer.get_weights()))
    assert np.abs(out).sum() > 0
    return "averages" if abs(trained - tested) < 1e-3 * tested else "the batch", "move" if moved else "stay"


def frozen_normalizes_with(keras):
    return frozen(keras)[0]


def frozen_averages(keras):
    return frozen(keras)[1]


def metrics_and_weights(keras):
    model = keras.linear()
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = np.ones((2, 1)), np.array([[2.0], [4.0]])  # errors 0 and 2
    mae = model.evaluate(x, y, sample_weight=np.array([1.0, 0.0]), verbose=0)[1]
    return {1.0: "not weighted", 0.0: "weighted"}[round(float(mae), 3)]


def accuracy_of_binary(keras):
    """What ``accuracy`` means for binary cross-entropy and several outputs: one of two rows is right in all of them."""
    model = keras.linear(0.0, 4, 4, activation="sigmoid")
    model.layers[0].set_weights([10 * np.eye(4, dtype="float32"), np.full(4, -5, "float32")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    x = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], "float32")
    y = np.array([[1, 0, 0, 0], [0, 0, 1, 0]], "float32")
    return {0.75: "of each output", 0.5: "of each row"}[round(float(model.evaluate(x, y, verbose=0)[1]), 3)]


def penalty_of_activity(keras):
    """An activity penalty of 0.1 a unit on a batch of 4: whether it is divided by the size of the batch."""
    regularizer = importlib.import_module(keras.layers.__name__.replace("layers", "regularizers")).l2(0.1)
    if keras.old:
        regularizer = importlib.import_module(keras.layers.__name__.replace("layers", "regularizers")).activity_l2(0.1)
    model = keras.linear(0.5, activity_regularizer=regularizer)
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    loss = float(model.evaluate(x, x, batch_size=4, verbose=0))
    return {0.4: "summed over the batch", 0.1: "its mean"}.get(round(loss, 3), str(round(loss, 3)))


def gru(keras):
    layer = keras.layers.GRU(2)
    return "after the product" if getattr(layer, "reset_after", False) else "before the product"


def gates_of_lstm(keras):
    layer = keras.layers.LSTM(2)
    inner = getattr(layer, "recurrent_activation", None) or layer.inner_activation
    return inner.__name__


def best_without_monitor(keras):
    """Whether callbacks that watch what is not there stop the training."""
    model = keras.linear()
    model.compile("sgd", "mse")
    watched = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=0),
        keras.callbacks.ModelCheckpoint(os.path.join(tempfile.mkdtemp(), "w.h5"), save_best_only=True),
    ]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            log = keras.fit(model, np.ones((4, 1)), np.ones((4, 1)), 3, callbacks=watched)
        except TypeError:
            return "an error"
    return "a warning" if len(log.epoch) == 3 else "stops"


def interrupted(keras, error):
    """Whether callbacks are told of the end of a training that an exception ends."""
    model = keras.linear()
    model.compile("sgd", "mse")
    told = []

    class Watch(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            told.append(1)

        def on_epoch_end(self, epoch, logs=None):
            raise error

    try:
        keras.fit(model, np.ones((4, 1)), np.ones((4, 1)), 3, callbacks=[Watch()])
    except type(error):
        return "called" if told else "not called"
    return "no exception"


def told_of_ctrl_c(keras):
    return interrupted(keras, KeyboardInterrupt())


def told_of_an_error(keras):
    return interrupted(keras, ArithmeticError("in a callback"))


def weights_after_nan(keras):
    model = keras.linear()
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    x[2:] = np.nan
    callbacks = [keras.callbacks.TerminateOnNaN()] if hasattr(keras.callbacks, "TerminateOnNaN") else []
    with contextlib.redirect_stdout(io.StringIO()):
        keras.fit(model, x, np.ones((4, 1)), 2, batch_size=2, shuffle=False, callbacks=callbacks)
    return "finite" if np.isfinite(model.get_weights()[0]).all() else "NaN"


def steps_of_a_generator(keras):
    """How many batches of 4 an epoch of ``fit_generator(batches, 8)`` takes."""
    if not hasattr(keras.models.Sequential, "fit_generator"):
        return "gone"
    model = keras.linear()
    model.compile("sgd", "mse")
    batches = []

    class Count(keras.callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            batches.append(batch)

    def generator():
        while True:
            yield np.ones((4, 1)), np.ones((4, 1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if keras.old:
            model.fit_generator(generator(), 8, 1, verbose=0, callbacks=[Count()])
        else:
            model.fit_generator(generator(), 8, epochs=1, verbose=0, callbacks=[Count()])
    return {2: "8 samples", 8: "8 batches"}[len(batches)]


def loss_of_a_generator(keras):
    """The loss of two batches of one sample whose losses are 1 and 9."""
    model = keras.linear(0.0)
    model.compile("sgd", "mse")

    def generator():
        while True:
            yield np.ones((1, 1)), np.array([[1.0]])
            yield np.ones((1, 1)), np.array([[3.0]])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = float(model.evaluate_generator(generator(), 2))
    return {5.0: "the average", 9.0: "of the last batch"}[round(loss, 3)]


def numbered(pause):
    """Batches that can be told apart by what they add to a weight: 1, 10, 100, 1000; ``pause`` seconds before each."""
    for i in range(4):
        time.sleep(pause)
        yield np.full((1, 1), 10.0**i), np.zeros((1, 1))
    while True:
        yield np.zeros((1, 1)), np.zeros((1, 1))


def generator_in_two_processes(keras):
    """Whether ``fit_generator`` with two processes takes each batch of a generator once."""
    model = keras.linear(0.0, use_bias=False) if not keras.old else keras.linear(0.0, bias=False)
    model.compile(keras.optimizers.SGD(1.0), lambda target, out: -keras.backend.mean(out))
    pause = 0 if keras.ours else 0.3  # time for both of their processes to begin
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if keras.old:
            model.fit_generator(numbered(pause), 4, 1, verbose=0, nb_worker=2, pickle_safe=True)
        else:
            model.fit_generator(numbered(pause), 4, epochs=1, verbose=0, workers=2, use_multiprocessing=True)
    total = round(float(model.get_weights()[0].ravel()[0]))
    return "once" if total == 1111 else "repeated"


def repeats_from_numpy_seed(keras):
    """Whether all random numbers of a training with dropout follow from ``np.random.seed`` alone.

    Not to the last bit: TensorFlow 1 reads weights while it updates them.
    """
    found = []
    for _ in range(2):
        keras.backend.clear_session()
        np.random.seed(3)
        layers = keras.layers
        model = keras.sequential(layers.Dense(8, input_shape=(3,)), layers.Dropout(0.5), layers.Dense(1))
        model.compile("sgd", "mse")
        x = np.linspace(-1, 1, 96).reshape(32, 3)
        keras.fit(model, x, x[:, :1], 2)
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    return "yes" if np.allclose(found[0], found[1], atol=0.02) else "no"


QUESTIONS = [
    logged_names,
    names_as_written,
    restored_when_stopped,
    restored_when_not_stopped,
    validation_split,
    frozen_normalizes_with,
    frozen_averages,
    metrics_and_weights,
    accuracy_of_binary,
    penalty_of_activity,
    gru,
    gates_of_lstm,
    best_without_monitor,
    told_of_ctrl_c,
    told_of_an_error,
    weights_after_nan,
    steps_of_a_generator,
    loss_of_a_generator,
    generator_in_two_processes,
    repeats_from_numpy_seed,
]


def answer(package):
    """Every answer of one Keras, by the name of the question."""
    keras = Keras(package)
    found = {}
    for question in QUESTIONS:
        try:
            found[question.__name__] = question(keras)
        except Exception as error:
            found[question.__name__] = f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1]), indent=1))
