"""Trainings that are interrupted, for test_resume.py: the programs, and a process that runs many of them.

    python resume_cases.py PHASE FOLDER NAME...

PHASE is ``whole`` (never interrupted), ``begin`` (up to where the case is interrupted), ``killed`` (no end but a signal
from outside: each batch is told of in a line, and the last epoch waits for the signal) or ``go_on``. Each case that
comes to its end leaves its weights, the optimizer's and the History in FOLDER.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import callbacks as C
from keras_compat.dialect.level import api_level
from keras_compat.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    MaxPooling2D,
    SpatialDropout1D,
    TimeDistributed,
)
from keras_compat.models import Model, Sequential, load_model, restore_state
from keras_compat.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, Nadam, Optimizer, RMSprop
from keras_compat.preprocessing.image import ImageDataGenerator
from keras_compat.utils.data_utils import Sequence

EPOCHS = 10
_RNG = np.random.RandomState(0)
X = _RNG.normal(size=(44, 6)).astype("float32")
Y = (np.tanh(X[:, :2] * X[:, 2:4]) + 0.3 * _RNG.normal(size=(44, 2))).astype("float32")
LABELS = _RNG.randint(0, 3, 44)
STEPS = _RNG.normal(size=(24, 5, 3)).astype("float32")
SUMS = STEPS.sum(axis=(1, 2))[:, None] / 5
IMAGES = _RNG.normal(size=(40, 8, 8, 2)).astype("float32")
PHOTOS = (_RNG.uniform(size=(44, 8, 8, 3)) * 255).astype("uint8")

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": lambda: SGD(0.05, momentum=0.9, nesterov=True, decay=1e-3),
    "rmsprop": lambda: RMSprop(0.01, decay=1e-2),
    "adagrad": lambda: Adagrad(0.05, clipnorm=0.5),
    "adadelta": lambda: Adadelta(0.5, rho=0.9),
    "adam": lambda: Adam(0.01, amsgrad=True, clipvalue=0.1),
    "adam_plain": lambda: Adam(0.02, decay=1e-3),
    "adamax": lambda: Adamax(0.02),
    "nadam": lambda: Nadam(0.01),
}


class Interrupted(BaseException):
    """What ends the first process."""


class _Interrupt(C.Callback):
    """Raises where the process is to end: at the begin of an epoch, or after a batch of it."""

    def __init__(self, epoch: int, batch: int | None):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch
        if epoch == self.epoch and self.batch is None:
            raise Interrupted

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == (self.epoch, self.batch):
            raise Interrupted


@dataclass
class Case:
    """A program: ``make()`` a compiled model, ``fit(model, epochs, callbacks)`` it.

    ``way``: 'backup' (BackupAndRestore), 'checkpoint' (ModelCheckpoint(save_state=True), load_model, restore_state) or
    'plain' (model.save, load_model).
    """

    make: Callable[[], Any]
    fit: Callable[[Any, int, list[Any]], Any]
    callbacks: Callable[[], list[Any]] = list
    way: str = "backup"
    stop: tuple[int, int | None] = (4, None)
    freq: Any = "epoch"
    level: str = "2.3"
    kernels: bool = False
    first: bool = False  # BackupAndRestore stands before the other callbacks


CASES: dict[str, Case] = {}


def watchers() -> list[Any]:
    """Callbacks with a state, and one that has none."""
    return [
        C.EarlyStopping("val_loss", patience=8, restore_best_weights=True),
        C.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.02, cooldown=1),
        C.TerminateOnNaN(),
    ]


def noisy(optimizer: Any, metrics: Any = ("mae",)) -> Sequential:
    """All kinds of randomness and of moving averages, in a small model."""
    model = Sequential(
        [
            Dense(8, activation="tanh", input_dim=6),
            BatchNormalization(),
            Dropout(0.3),
            GaussianNoise(0.1, input_shape=(8,)),
            Dense(5, activation="relu"),
            Dropout(0.2, seed=7),
            Dense(2),
        ]
    )
    model.compile(optimizer, "mse", metrics=list(metrics))
    return model


def quiet(optimizer: Any) -> Sequential:
    """No randomness."""
    model = Sequential([Dense(8, activation="tanh", input_dim=6), BatchNormalization(), Dense(2)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def on_arrays(x: Any, y: Any, **arguments: Any) -> Callable[[Any, int, list[Any]], Any]:
    def fit(model: Any, epochs: int, callbacks: list[Any], **more: Any) -> Any:
        given = {"batch_size": 8, "epochs": epochs, "callbacks": callbacks, "verbose": 0} | arguments | more
        return model.fit(x, y, **given)

    return fit


for _name, _optimizer in OPTIMIZERS.items():
    _fit = on_arrays(X, Y, validation_split=0.25)
    CASES[f"backup_{_name}"] = Case(lambda o=_optimizer: noisy(o()), _fit, watchers)
    CASES[f"checkpoint_{_name}"] = Case(lambda o=_optimizer: noisy(o()), _fit, watchers, "checkpoint")
    CASES[f"mid_epoch_{_name}"] = Case(lambda o=_optimizer: noisy(o()), _fit, watchers, stop=(4, 2), freq=2)

for _name, _optimizer in OPTIMIZERS.items():
    CASES[f"plain_{_name}"] = Case(
        lambda o=_optimizer: quiet(o()),
        on_arrays(X, Y, shuffle=False),
        lambda: [C.LearningRateScheduler(lambda epoch, rate: rate * 0.9)],
        "plain",
    )

# -- kinds of data ----------------------------------------------------------------------------------------------------

CASES["batches_in_another_order_and_weights"] = Case(
    lambda: noisy("adam"),
    on_arrays(X, Y, shuffle="batch", sample_weight=np.linspace(0, 2, 44), validation_data=(X[:9], Y[:9])),
    watchers,
    stop=(4, 4),
    freq=3,
)


def classifier() -> Sequential:
    model = Sequential([Dense(7, activation="relu", input_dim=6), Dropout(0.4), Dense(3, activation="softmax")])
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


CASES["class_weights"] = Case(
    classifier,
    on_arrays(X, LABELS, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, validation_split=0.2, validation_freq=2),
    lambda: [C.ReduceLROnPlateau("accuracy", patience=1)],
    freq=4,
    stop=(4, 3),
)


def augmented() -> Iterator[Any]:
    """Batches that draw from both global generators."""
    while True:
        rows = np.random.choice(len(X), 8, replace=False)
        sign = random.choice([-1.0, 1.0])
        yield X[rows] * sign + np.random.normal(0, 0.1, (8, 6)), Y[rows]


def _from_generator(model: Any, epochs: int, callbacks: list[Any]) -> Any:
    return model.fit_generator(
        augmented(), steps_per_epoch=5, epochs=epochs, callbacks=callbacks, verbose=0, validation_data=(X[:8], Y[:8])
    )


CASES["augmentation_by_a_generator"] = Case(lambda: noisy("adam"), _from_generator, watchers)
CASES["augmentation_by_a_generator_mid_epoch"] = Case(
    lambda: noisy("sgd"), _from_generator, watchers, stop=(4, 3), freq=2
)


class Rows(Sequence):
    """The usual sequence of old programs: its own order of rows, shuffled at the end of epochs; and a generator."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.x, self.y = x, y
        self.order = np.arange(len(x))
        self.rng = np.random.RandomState(5)
        np.random.shuffle(self.order)

    def __len__(self) -> int:
        return len(self.x) // 8

    def __getitem__(self, i: int) -> Any:
        rows = self.order[8 * i : 8 * i + 8]
        return self.x[rows] + self.rng.normal(0, 0.1, (len(rows), 6)), self.y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.order)


def _from_sequence(**arguments: Any) -> Callable[[Any, int, list[Any]], Any]:
    def fit(model: Any, epochs: int, callbacks: list[Any]) -> Any:
        return model.fit_generator(
            Rows(X, Y),
            epochs=epochs,
            callbacks=callbacks,
            verbose=0,
            validation_data=Rows(X[:24], Y[:24]),
            **arguments,
        )

    return fit


CASES["sequence"] = Case(lambda: noisy("adam"), _from_sequence(), watchers)
CASES["sequence_mid_epoch"] = Case(lambda: noisy("adamax"), _from_sequence(), watchers, stop=(3, 3), freq=2)
CASES["sequence_with_epochs_of_another_length"] = Case(
    lambda: noisy("nadam"), _from_sequence(steps_per_epoch=3, validation_steps=2), watchers, stop=(5, 1), freq=2
)

# -- kinds of models --------------------------------------------------------------------------------------------------


def stateful() -> Sequential:
    model = Sequential(
        [
            LSTM(4, stateful=True, return_sequences=True, dropout=0.2, batch_input_shape=(8, 5, 3)),
            SpatialDropout1D(0.2),
            GRU(3, stateful=True, recurrent_dropout=0.2),
            Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


CASES["stateful_recurrent"] = Case(stateful, on_arrays(STEPS, SUMS, shuffle=False))
CASES["stateful_recurrent_mid_epoch"] = Case(
    stateful, on_arrays(STEPS, SUMS, shuffle=False, validation_data=(STEPS[:16], SUMS[:16])), stop=(4, 1), freq=2
)
CASES["stateful_recurrent_checkpoint"] = Case(stateful, on_arrays(STEPS, SUMS, shuffle=False), way="checkpoint")


def several_outputs() -> Model:
    a, b = Input((6,), name="a"), Input((6,), name="b")
    shared = Dense(5, activation="tanh")
    joined = Dropout(0.25)(shared(a))
    other = Dense(2, name="numbers")(shared(b))
    model = Model([a, b], [Dense(3, activation="softmax", name="kinds")(joined), other])
    model.compile(
        Nadam(0.01),
        {"kinds": "categorical_crossentropy", "numbers": "mae"},
        loss_weights={"kinds": 0.5, "numbers": 1.0},
        metrics={"kinds": ["accuracy"], "numbers": ["mse"]},
    )
    return model


_SEVERAL = {"a": X, "b": X[::-1].copy()}, {"kinds": np.eye(3)[LABELS], "numbers": Y}
CASES["several_outputs_mid_epoch"] = Case(
    several_outputs, on_arrays(*_SEVERAL, validation_split=0.25), watchers, stop=(4, 2), freq=3
)
CASES["several_outputs_checkpoint"] = Case(
    several_outputs, on_arrays(*_SEVERAL, validation_split=0.25), watchers, "checkpoint"
)


class OwnModel(Model):
    """A model with its own call, which no file can rebuild."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = Dense(5, activation="tanh"), Dropout(0.3), Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.last(self.drop(self.first(inputs)))


def own_model() -> Model:
    model = OwnModel()
    model.compile("adagrad", "mse")
    return model


CASES["own_model"] = Case(own_model, on_arrays(X, Y))


class Unlisted(Optimizer):
    """An optimizer of old programs: it keeps a state that it does not list, and no variable for its rate."""

    def get_updates(self, loss: Any, params: Any) -> Any:
        updates: list[Any] = []
        for p, g in zip(params, self.get_gradients(loss, params)):
            m = K.zeros(p.shape)
            new = 0.9 * m + g
            updates += [K.update(m, new), K.update(p, p - 0.02 * new)]
        return updates


CASES["own_optimizer"] = Case(lambda: noisy(Unlisted()), on_arrays(X, Y, validation_split=0.2))

# -- callbacks --------------------------------------------------------------------------------------------------------


class Annealing(C.Callback):
    """A callback as programs write them: counters, lists, a variable in the loss, a generator of its own."""

    def __init__(self, weight: Any):
        super().__init__()
        self.weight = weight
        self.rng = np.random.RandomState(3)
        self.seen: list[float] = []
        self.best: dict[str, float] = {}
        self.batches = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.offset = np.random.uniform()

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        if self.batches % 3 == 0:
            K.set_value(self.weight, 1.0 + 0.1 * self.rng.uniform() + self.offset)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(logs["loss"])
        self.best["loss"] = min(self.seen)
        logs["mean"] = float(np.mean(self.seen))
        logs["best"] = self.best["loss"]
        logs["weight"] = float(K.get_value(self.weight))
        logs["batches"] = self.batches


_WEIGHT: dict[str, Any] = {}


def annealed() -> Model:
    _WEIGHT["now"] = weight = K.variable(1.0)
    model = Sequential([Dense(5, activation="tanh", input_dim=6), Dense(2)])
    model.compile("sgd", lambda y, p: weight * K.mean(K.square(y - p)))
    return model


CASES["own_callback"] = Case(annealed, on_arrays(X, Y), lambda: [Annealing(_WEIGHT["now"])])
CASES["own_callback_mid_epoch"] = Case(
    annealed, on_arrays(X, Y), lambda: [Annealing(_WEIGHT["now"])], stop=(4, 3), freq=2, first=True
)


class Asked(C.Callback):
    """A callback that says itself what its state is."""

    def __init__(self) -> None:
        super().__init__()
        self._hidden = {"text": "none", "count": 0}

    def get_state(self) -> Any:
        return self._hidden

    def set_state(self, state: Any) -> None:
        self._hidden = dict(state)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._hidden = {"text": f"{self._hidden['text']}, {epoch}", "count": self._hidden["count"] + 1}
        logs["said"] = self._hidden["text"]


CASES["own_state_of_a_callback"] = Case(lambda: noisy("adam"), on_arrays(X, Y), lambda: [Asked()], first=True)
CASES["falling_rate_mid_epoch"] = Case(
    lambda: noisy("sgd"),
    on_arrays(X, Y),
    lambda: [C.LearningRateScheduler(lambda epoch, rate: rate * 0.8)],
    stop=(4, 3),
    freq=2,
)
CASES["stopped_later"] = Case(
    lambda: noisy(SGD(0.3)),
    on_arrays(X, Y, validation_split=0.25),
    lambda: [C.EarlyStopping(patience=3, min_delta=0.5, restore_best_weights=True)],
    stop=(2, None),
    first=True,
)
CASES["stopped_before"] = Case(
    lambda: noisy(SGD(0.3)),
    on_arrays(X, Y, validation_split=0.25),
    lambda: [C.EarlyStopping(patience=2, min_delta=0.5, restore_best_weights=True)],
    way="checkpoint",
)
CASES["nan"] = Case(
    lambda: quiet(SGD(1e18, momentum=0.9)), on_arrays(X, Y), lambda: [C.TerminateOnNaN()], stop=(0, 1), freq=1
)

# -- older lines, kernels ---------------------------------------------------------------------------------------------


def of_keras_1() -> Sequential:
    model = Sequential()
    model.add(LSTM(output_dim=4, input_shape=(5, 3), dropout_W=0.2, dropout_U=0.2, return_sequences=True))
    model.add(TimeDistributed(Dense(3, activation="tanh")))
    model.add(Flatten())
    model.add(Dense(1))
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model


def _in_words_of_keras_1(model: Any, epochs: int, callbacks: list[Any]) -> Any:
    return model.fit(STEPS, SUMS, nb_epoch=epochs, batch_size=8, callbacks=callbacks, verbose=0, validation_split=0.3)


for _way in ("backup", "checkpoint"):
    CASES[f"keras_1_{_way}"] = Case(of_keras_1, _in_words_of_keras_1, watchers, _way, level="1.2")


def pictures() -> Sequential:
    model = Sequential(
        [
            Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2)),
            MaxPooling2D(),
            BatchNormalization(),
            Flatten(),
            Dropout(0.3),
            Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


CASES["kernels_noisy"] = Case(
    lambda: noisy("adam"), on_arrays(X, Y, validation_split=0.25), watchers, stop=(4, 2), freq=2, kernels=True
)
CASES["kernels_pictures"] = Case(
    pictures, on_arrays(IMAGES, IMAGES.mean(axis=(1, 2, 3))), watchers, stop=(4, 2), freq=2, kernels=True
)
CASES["kernels_stateful"] = Case(stateful, on_arrays(STEPS, SUMS, shuffle=False), kernels=True)


# -- pictures changed at random ---------------------------------------------------------------------------------------


def _changed(**flow: Any) -> Any:
    generator = ImageDataGenerator(
        rotation_range=20, width_shift_range=0.2, horizontal_flip=True, featurewise_center=True
    )
    generator.fit(PHOTOS)
    return generator.flow(PHOTOS, PHOTOS.mean(axis=(1, 2)) / 255, 8, **flow)


def of_pictures() -> Sequential:
    model = Sequential([Flatten(input_shape=(8, 8, 3)), BatchNormalization(), Dropout(0.3), Dense(3)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def _from_pictures(seed: int | None, **arguments: Any) -> Callable[[Any, int, list[Any]], Any]:
    def fit(model: Any, epochs: int, callbacks: list[Any]) -> Any:
        given = {"epochs": epochs} | arguments
        if "samples_per_epoch" in arguments:
            given = {"nb_epoch": epochs} | arguments
        return model.fit_generator(
            _changed(seed=seed), callbacks=callbacks, verbose=0, validation_data=_changed(seed=7), **given
        )

    return fit


CASES["pictures_mid_epoch"] = Case(of_pictures, _from_pictures(None), watchers, stop=(4, 2), freq=2)
CASES["pictures_seeded_mid_epoch"] = Case(
    of_pictures, _from_pictures(3, steps_per_epoch=3, shuffle=False), watchers, stop=(4, 1), freq=1
)
CASES["pictures_in_words_of_keras_1"] = Case(
    of_pictures,
    _from_pictures(3, samples_per_epoch=40, nb_val_samples=16),
    watchers,
    stop=(4, 3),
    freq=2,
    level="1.2",
)

# -- running them -----------------------------------------------------------------------------------------------------

WAITING = "waiting\n"


def _wait_before_the_last(epoch: int, logs: Any) -> None:
    if epoch == EPOCHS - 1:
        print(WAITING, end="", flush=True)
        time.sleep(600)


def run(name: str, phase: str, folder: Path) -> dict[str, Any]:
    """Run one phase of a case; gives weights, the optimizer's and the History, or {} where the process would end."""
    case = CASES[name]
    # The process that goes on draws other numbers until its state is restored.
    np.random.seed(1 if phase == "go_on" else 2)
    random.seed(3 if phase == "go_on" else 4)
    at.random.seed(5 if phase == "go_on" else 6)
    with api_level(case.level), at.config.use(numba=case.kernels):
        model, callbacks, epochs = case.make(), case.callbacks(), EPOCHS
        fit, path = case.fit, folder / f"{name}.h5"
        if case.way == "backup" and phase != "whole":
            backup = C.BackupAndRestore(folder / name, save_freq=case.freq)
            callbacks = [backup, *callbacks] if case.first else [*callbacks, backup]
            if phase == "begin":
                callbacks.append(_Interrupt(*case.stop))
            if phase == "killed":
                told = C.LambdaCallback(
                    on_epoch_begin=_wait_before_the_last, on_batch_end=lambda batch, logs: print(batch, flush=True)
                )
                callbacks.append(told)
        elif phase == "begin":
            epochs = case.stop[0]
        elif phase == "go_on":
            model = load_model(path)
        if case.way == "checkpoint" and phase != "whole":
            callbacks.insert(1, C.ModelCheckpoint(path, save_state=True))
            if phase == "go_on":
                restore_state(model, path)
        if case.way == "plain" and phase == "go_on":
            fit = partial(case.fit, initial_epoch=case.stop[0])
        try:
            history = fit(model, epochs, callbacks)
        except Interrupted:
            return {}
        if phase == "begin" and case.way == "backup":
            raise AssertionError(f"{name} was not interrupted")
        if phase == "begin" and case.way == "plain":
            model.save(path)
        found = {f"w{i}": w for i, w in enumerate(model.get_weights())}
        found.update({f"o{i}": w for i, w in enumerate(K.batch_get_value(model.optimizer.weights))})
        if case.way == "plain":
            return found
        found["epochs"] = np.array(history.epoch)
        for key, values in history.history.items():
            found[f"h_{key}"] = np.array(values)
        found["drawn"] = np.array([np.random.uniform(), random.random(), float(at.random.uniform().numpy())])
    return found


def main() -> None:
    phase, folder, *names = sys.argv[1:]
    for name in names:
        found = run(name, phase, Path(folder))
        if found:
            np.savez(Path(folder) / f"{phase}_{name}.npz", **found)
    print("done", len(names))


if __name__ == "__main__":
    main()
