"""Training, testing and predicting on batches from generators and sequences, counted as each release counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat.callbacks import Callback
from keras_compat.engine.generators import generator_queue
from keras_compat.engine.training import GeneratorEnqueuer
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.optimizers import SGD

RNG = np.random.default_rng(41)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = RNG.normal(size=(20, 2)).astype("float32")


@pytest.fixture(autouse=True)
def plain_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def near(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def small(metrics: Any = ("mae",)) -> Any:
    np.random.seed(7)
    model = Sequential([Dense(2, input_dim=4)])
    model.compile(SGD(0.1, momentum=0.5), "mse", metrics=list(metrics))
    return model


def endless(size: int = 5, weights: bool = False) -> Iterator[Any]:
    while True:
        for start in range(0, 20, size):
            part = slice(start, start + size)
            yield (X[part], Y[part], np.arange(20.0)[part]) if weights else (X[part], Y[part])


class Batches:
    """A sequence of batches, as ``keras.utils.Sequence``."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.ends = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        self.asked.append(i)
        return X[5 * i : 5 * i + 5], Y[5 * i : 5 * i + 5]

    def on_epoch_end(self) -> None:
        self.ends += 1


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_a_generator_trains_as_the_same_arrays_do(level: str) -> None:
    with keras_compat.api_level(level):
        arrays, made = small(), small()
        wanted = arrays.fit(X, Y, batch_size=5, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y)).history
        got = made.fit_generator(endless(), steps_per_epoch=4, epochs=3, verbose=0, validation_data=(X, Y)).history
        assert set(got) == set(wanted)
        for name, values in wanted.items():
            near(got[name], values)
        near(made.get_weights()[0], arrays.get_weights()[0])


def test_weights_of_samples_and_classes() -> None:
    arrays, made = small(), small()
    arrays.fit(X, Y, batch_size=5, epochs=1, shuffle=False, verbose=0, sample_weight=np.arange(20.0))
    made.fit_generator(endless(weights=True), steps_per_epoch=4, verbose=0)
    near(made.get_weights()[0], arrays.get_weights()[0])
    arrays, made = small(), small()
    arrays.fit(X, Y, batch_size=5, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 3.0})
    made.fit_generator(endless(), steps_per_epoch=4, verbose=0, class_weight={0: 1.0, 1: 3.0})
    near(made.get_weights()[0], arrays.get_weights()[0])


def test_counts_of_samples_as_in_keras_1() -> None:
    with keras_compat.api_level("1.2"):
        arrays, by_word, by_place = small(), small(), small()
        arrays.fit(X, Y, batch_size=5, nb_epoch=2, shuffle=False, verbose=0)
        by_word.fit_generator(endless(), samples_per_epoch=20, nb_epoch=2, verbose=0, nb_worker=1, max_q_size=3)
        by_place.fit_generator(endless(), 20, 2, verbose=0)
        near(by_word.get_weights()[0], arrays.get_weights()[0])
        near(by_place.get_weights()[0], arrays.get_weights()[0])
        near(by_place.evaluate_generator(endless(), 20), arrays.evaluate(X, Y, verbose=0))
        near(by_place.evaluate_generator(endless(), val_samples=10), arrays.evaluate(X[:10], Y[:10], verbose=0))
        near(by_place.predict_generator(endless(), 20), arrays.predict(X))
        with pytest.warns(UserWarning, match="more than the 12 samples"):
            log = small().fit_generator(endless(), 12, 1, verbose=0, validation_data=endless(), nb_val_samples=20)
        assert "val_loss" in log.history
    with keras_compat.api_level("2.3"):
        model = small()
        model.fit_generator(endless(), 4, 2, verbose=0)
        near(model.get_weights()[0], arrays.get_weights()[0])


def test_a_sequence_knows_its_length_and_is_told_of_the_end() -> None:
    batches, order = Batches(), small()
    order.fit_generator(batches, epochs=2, verbose=0, shuffle=False)
    assert batches.asked[:8] == [0, 1, 2, 3] * 2
    arrays = small()
    arrays.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    near(order.get_weights()[0], arrays.get_weights()[0])
    shuffled = Batches()
    np.random.seed(1)
    small().fit_generator(shuffled, epochs=6, verbose=0)
    epochs = [shuffled.asked[4 * k : 4 * k + 4] for k in range(6)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs) and len({tuple(epoch) for epoch in epochs}) > 1
    assert shuffled.ends >= 5
    near(arrays.evaluate_generator(Batches()), arrays.evaluate(X, Y, verbose=0))
    near(arrays.predict_generator(Batches()), arrays.predict(X))


def test_fit_evaluate_and_predict_take_generators() -> None:
    arrays, made = small(), small()
    wanted = arrays.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y)).history
    got = made.fit(
        endless(), steps_per_epoch=4, epochs=2, verbose=0, validation_data=endless(), validation_steps=4, workers=2
    ).history
    for name, values in wanted.items():
        near(got[name], values)
    near(made.evaluate(endless(), steps=4, verbose=0), arrays.evaluate(X, Y, verbose=0))
    near(made.evaluate(Batches(), verbose=0), arrays.evaluate(X, Y, verbose=0))
    near(made.predict(endless(), steps=2), arrays.predict(X[:10]))
    near(made.predict(iter([X[:3], X[3:4]]), steps=2), arrays.predict(X[:4]))
    with pytest.raises(ValueError, match="gives targets and weights with its batches; got also y"):
        made.fit(endless(), Y, steps_per_epoch=1)


def test_what_callbacks_see(capsys: pytest.CaptureFixture[str]) -> None:
    class Seen(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.run = (self.params["steps"], self.params["samples"], self.params["epochs"])
            self.sizes: list[int] = []

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.sizes.append(logs["size"])
            if len(self.sizes) == 6:
                self.model.stop_training = True

    seen = Seen()
    log = small().fit_generator(endless(), 4, 5, verbose=1, callbacks=[seen])
    assert seen.run == (4, None, 5) and seen.sizes == [5] * 6 and len(log.epoch) == 2
    assert "4/4" in capsys.readouterr().out


def test_enqueuer_keeps_the_order_and_raises_what_the_generator_raised() -> None:
    enqueuer = GeneratorEnqueuer(iter(range(25)), wait_time=0.001)
    assert not enqueuer.is_running()
    enqueuer.start(workers=1, max_queue_size=3)
    assert list(enqueuer.get()) == list(range(25))
    enqueuer.stop()
    assert not enqueuer.is_running()

    def failing() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("from the generator")

    enqueuer = GeneratorEnqueuer(failing(), wait_time=0.001)
    enqueuer.start(2, 10)
    items = enqueuer.get()
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError, match="from the generator"):
        next(items)
    queue, stop = generator_queue(iter(range(3)), wait_time=0.001)
    assert [queue.get(timeout=60) for _ in range(3)] == [0, 1, 2]
    stop.set()
    endless_queue, stop = generator_queue(iter(int, 1), max_q_size=2, wait_time=0.001)
    assert endless_queue.get(timeout=60) == 0
    stop.set()


def test_errors() -> None:
    model = small()
    with pytest.raises(ValueError, match="does not say where an epoch ends.*steps_per_epoch=100"):
        model.fit_generator(endless(), verbose=0)
    with pytest.raises(TypeError, match="expected a generator of batches.*got ndarray"):
        model.fit_generator(X, 4, verbose=0)
    with pytest.raises(ValueError, match="should be a tuple"):
        model.fit_generator(iter([X, X]), 2, verbose=0)
    with pytest.warns(UserWarning, match="ran out of data after 2 batches; 4 batches an epoch"):
        model.fit_generator(iter([(X, Y), (X, Y)]), 4, verbose=0)
    with pytest.raises(RuntimeError, match="must compile a model"):
        Sequential([Dense(2, input_dim=4)]).fit_generator(endless(), 4)
