"""What is done again and again, and how much memory each of it leaves behind.

``python -m tests.reliability.growth`` runs every case for as long as the promise says, each in a process of its own,
and prints its growth after warming up; ``... growth NAME...`` some of them, ``--times 0.1`` a tenth of the runs.
``test_memory.py`` has a short form of each, which counts Python's memory and that of arrays instead of the process's.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import callbacks
from keras_compat.layers import LSTM, Conv2D, Dense, Dropout, Embedding, Flatten, Input, MaxPooling2D, add
from keras_compat.models import Model, Sequential, load_model

Action = Callable[[], Any]

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(1).random((64, 20)).astype("float32")
Y = np.eye(5, dtype="float32")[np.arange(64) % 5]
WORDS = np.arange(64 * 6).reshape(64, 6) % 11


class Case(NamedTuple):
    """``make()`` gives what is done again and again; ``times`` says how often by the promise.

    ``short`` is how often in each interval of the quick form, 0 where there is only the long one.
    """

    make: Callable[[], Action]
    times: int
    short: int

    @property
    def bound(self) -> float:
        """Bytes that a run may leave behind, by the promise of less than 5 MB."""
        return 5e6 / self.times


CASES: dict[str, Case] = {}


def case(times: int, short: int) -> Callable[[Callable[[], Action]], Callable[[], Action]]:
    """Put a function into the table under its name."""

    def put(make: Callable[[], Action]) -> Callable[[], Action]:
        CASES[make.__name__] = Case(make, times, short)
        return make

    return put


# -- networks ---------------------------------------------------------------------------------------------------------


def sequential() -> Sequential:
    """A small classifier of 20 numbers."""
    model = Sequential([Dense(16, activation="relu", input_dim=20), Dropout(0.5), Dense(5, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def functional() -> Model:
    """Two ways through a graph of layers, one of them shared."""
    x = Input((20,))
    shared = Dense(8, activation="tanh")
    model = Model(x, Dense(5, activation="softmax")(add([shared(x), shared(Dense(20)(x))])))
    model.compile("rmsprop", "categorical_crossentropy")
    return model


def recurrent() -> Sequential:
    """Words to classes."""
    model = Sequential([Embedding(11, 4, input_length=6), LSTM(5), Dense(5, activation="softmax")])
    model.compile("adagrad", "categorical_crossentropy")
    return model


# -- one model, many steps --------------------------------------------------------------------------------------------


@case(10_000, 40)
def train_on_batch() -> Action:
    model = sequential()
    return lambda: model.train_on_batch(X, Y)


@case(10_000, 0)
def train_on_weighted_batches() -> Action:
    model, weights = sequential(), np.ones(64)
    return lambda: model.train_on_batch(X, Y, sample_weight=weights)


@case(10_000, 40)
def test_on_batch() -> Action:
    model = sequential()
    return lambda: model.test_on_batch(X, Y)


@case(2_500, 10)
def fit_one_epoch_again() -> Action:
    model = sequential()
    return lambda: model.fit(X, Y, batch_size=16, verbose=0)


@case(100, 1)
def fit_many_epochs() -> Action:
    """25 epochs, 100 steps; a History keeps some numbers of each epoch while it is there."""
    model = sequential()
    return lambda: model.fit(X, Y, batch_size=16, epochs=25, verbose=0)


@case(10_000, 40)
def predict() -> Action:
    model = sequential()
    return lambda: model.predict(X)


@case(10_000, 40)
def predict_on_batch() -> Action:
    model = sequential()
    return lambda: model.predict_on_batch(X[:1])


@case(2_000, 40)
def predict_of_any_size() -> Action:
    """20 sizes in turn: more than plans are kept, so that plans come and go."""
    model, sizes = sequential(), _turns(range(1, 21))
    return lambda: model.predict_on_batch(X[: next(sizes)])


@case(1_000, 0)
def train_on_batches_of_any_size() -> Action:
    model, sizes = sequential(), _turns(range(1, 18))

    def action() -> None:
        n = next(sizes)
        model.train_on_batch(X[:n], Y[:n])

    return action


@case(10_000, 40)
def evaluate() -> Action:
    model = sequential()
    return lambda: model.evaluate(X, Y, verbose=0)


@case(2_000, 10)
def generators() -> Action:
    model = sequential()

    def batches() -> Iterator[Any]:
        while True:
            yield X, Y

    return lambda: model.fit_generator(batches(), steps_per_epoch=2, epochs=1, verbose=0)


@case(500, 3)
def callbacks_with_files() -> Action:
    model, folder = sequential(), tempfile.mkdtemp()

    def action() -> None:
        files = [callbacks.CSVLogger(f"{folder}/log.csv"), callbacks.TensorBoard(folder), callbacks.History()]
        stop = callbacks.EarlyStopping(monitor="loss", patience=3)
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[*files, stop], validation_data=(X, Y))
        for path in Path(folder).iterdir():
            path.unlink()

    return action


# -- models that come and go ------------------------------------------------------------------------------------------


def _used(model: Any, x: np.ndarray = X) -> Any:
    model.fit(x, Y, verbose=0)
    model.predict(x)
    return model


@case(500, 2)
def models_sequential() -> Action:
    return lambda: _used(sequential())


@case(500, 2)
def models_functional() -> Action:
    return lambda: _used(functional())


@case(500, 2)
def models_recurrent() -> Action:
    return lambda: _used(recurrent(), WORDS)


@case(500, 0)
def models_and_clear_session() -> Action:
    def action() -> None:
        K.clear_session()
        _used(sequential())

    return action


@case(500, 2)
def models_saved_and_loaded() -> Action:
    path = f"{tempfile.mkdtemp()}/model.h5"
    sequential().save(path)

    def action() -> None:
        model = load_model(path)
        model.train_on_batch(X, Y)
        model.save(path)

    return action


@case(50, 0)
def models_of_ever_other_layers() -> Action:
    """No network is like another: depth, activations, losses; each has kernels that none before it had."""
    rng = np.random.default_rng(3)

    def action() -> None:
        words = ["relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "linear"]
        rates = rng.random(3).round(6)  # numbers stand in kernels as literals
        layers: list[Any] = [Dense(8, activation=str(rng.choice(words)), input_dim=20)]
        layers += [Dropout(float(rates[0])), Dense(8, activation=str(rng.choice(words))), Dropout(float(rates[1]))]
        model = Sequential([*layers, Dense(5, activation="softmax")])
        model.compile("adam", str(rng.choice(["mse", "mae", "categorical_crossentropy"])))
        model.train_on_batch(X, Y)

    return action


# -- the engine alone -------------------------------------------------------------------------------------------------


@case(10_000, 40)
def eager_steps() -> Action:
    w = at.Variable(np.full((20, 5), 0.1, "float32"))
    b = at.Variable(np.zeros(5, "float32"))
    speed = np.zeros((20, 5), "float32")

    def action() -> None:
        x = at.Tensor(X)
        loss = at.mean(at.square(at.tanh(x @ w + b) - Y))
        loss.backward()
        speed[...] = 0.9 * speed - 0.1 * w.grad.numpy()
        w.assign(w + speed)
        b.assign(b - 0.1 * b.grad)
        w.grad = b.grad = None

    return action


@case(10_000, 40)
def functional_gradients() -> Action:
    """``at.grad`` of a new function in each turn, twice differentiated."""
    start = np.ones(5)
    return lambda: at.grad(lambda x: at.sum(at.grad(lambda y: at.sum(at.sin(y) ** 2))(x)))(start)


@case(1_000, 10)
def compiled_functions() -> Action:
    w = at.Variable(np.ones(5))

    def action() -> None:
        @at.compile
        def step(x: Any) -> Any:
            w.assign(w * 0.999)
            return at.sum(at.tanh(x * w))

        step(np.ones(5))

    return action


@case(10_000, 40)
def one_compiled_function() -> Action:
    step = at.compile(at.value_and_grad(lambda x: at.sum(at.tanh(x))))
    return lambda: step(np.ones(5))


@case(1_000, 3)
def backend_functions() -> Action:
    model = sequential()

    def action() -> None:
        gradient = K.gradients(model.total_loss, model.inputs)
        K.function([*model.inputs, *model.targets, *model.sample_weights, K.learning_phase()], gradient)(
            [X, Y, np.ones(64), 0]
        )

    return action


@case(1_000, 10)
def scans() -> Action:
    w = at.Variable(np.eye(5))

    def action() -> None:
        (last,), _ = at.scan(
            lambda states, parts, constants: ((at.tanh(states[0] @ w + parts[0]),), ()),
            [at.Tensor(np.ones((2, 5)))],
            [at.Tensor(np.ones((4, 2, 5)))],
        )
        at.grad(at.sum(last), w)

    return action


@case(1_000, 10)
def models_on_values() -> Action:
    """A model that is called on arrays, with a gradient by hand."""
    model = sequential()

    def action() -> None:
        x = at.Tensor(X)
        loss = at.mean(at.square(model(x) - Y))
        at.grad(loss, model.trainable_weights)

    return action


@case(300, 3)
def images() -> Action:
    layers: list[Any] = [Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1)), MaxPooling2D(), Flatten()]
    model = Sequential([*layers, Dense(5, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    x = np.random.default_rng(2).random((64, 8, 8, 1))
    return lambda: model.fit(x, Y, verbose=0)


@case(2_000, 10)
def errors() -> Action:
    """Calls that end in an error: what they had begun goes with the error."""
    model = sequential()

    def action() -> None:
        for x in (X[:, :3], X[:0], X.astype(str)):
            with suppress(ValueError, TypeError):
                model.train_on_batch(x, Y)
        with suppress(at.AutotensorError):
            at.matmul(at.Tensor(X, requires_grad=True), Y)

    return action


def _turns(values: Any) -> Iterator[int]:
    while True:
        yield from values


# -- how much is left -------------------------------------------------------------------------------------------------


def bytes_kept(action: Action, times: int, intervals: int = 3) -> float:
    """Bytes of Python objects and arrays that a run of ``action`` leaves behind.

    That is the least of several intervals of ``times`` runs: a leak is in each of them, a table that grows now and then
    is not.
    """
    for _ in range(times):
        action()
    gc.collect()
    tracemalloc.start()
    try:
        action()
        gc.collect()
        marks = [tracemalloc.get_traced_memory()[0]]
        for _ in range(intervals):
            for _ in range(times):
                action()
            gc.collect()
            marks.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return min(b - a for a, b in zip(marks, marks[1:], strict=False)) / times


def resident() -> float:
    """Megabytes of memory of the process, when what is free has been given back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 1e6


def megabytes_kept(action: Action, times: int, marks: int = 10) -> tuple[float, float, list[float]]:
    """Growth of the process in megabytes over ``times`` runs, after a tenth of them to warm up.

    Returns the difference of end and beginning, that of a straight line through all marks, and the marks.
    """
    for _ in range(max(times // 10, 1)):
        action()
    seen = [resident()]
    for k in range(marks):
        for _ in range(times * (k + 1) // marks - times * k // marks):
            action()
        seen.append(resident())
    slope = float(np.polyfit(np.arange(len(seen)), seen, 1)[0])
    return seen[-1] - seen[0], slope * marks, seen


def run(name: str, share: float) -> None:
    """Run one case here, and print what it left behind."""
    found = CASES[name]
    times = max(int(found.times * share), 10)
    whole, line, marks = megabytes_kept(found.make(), times)
    print(f"{name} {times} {whole:.2f} {line:.2f} {marks[0]:.1f} {marks[-1]:.1f}")


def main() -> None:
    """Run cases, each alone, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases; all if none is named")
    parser.add_argument("--times", type=float, default=1.0, help="share of the runs that the promise asks for")
    parser.add_argument("--here", action="store_true", help="in this process")
    given = parser.parse_args()
    if not given.here:
        print("| what is done | times | growth | by a line | process |\n| --- | --- | --- | --- | --- |")
    for name in given.names or CASES:
        if given.here:
            run(name, given.times)
            continue
        command = [sys.executable, "-m", "tests.reliability.growth", name, "--here", "--times", str(given.times)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1:]} |", flush=True)
            continue
        word, times, whole, line, first, last = done.stdout.split()[-6:]
        said = word.replace("_", " ")
        print(f"| {said} | {int(times):,} | {whole} MB | {line} MB | {first} to {last} MB |", flush=True)


if __name__ == "__main__":
    main()
