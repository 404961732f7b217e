"""Models come and go: what they hold is given back, and long runs do not grow."""

from __future__ import annotations

import gc
import sys
import weakref

import numpy as np
import pytest

import autotensor as at
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential

RNG = np.random.default_rng(1)
X = RNG.random((32, 20)).astype("float32")
Y = np.eye(10, dtype="float32")[RNG.integers(10, size=32)]


def make() -> Sequential:
    model = Sequential([Dense(64, activation="relu", input_dim=20), Dropout(0.5), Dense(10, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def used() -> Sequential:
    model = make()
    model.fit(X, Y, verbose=0, validation_split=0.25)
    model.predict(X)
    model.evaluate(X, Y, verbose=0)
    return model


def resident() -> float:
    """Megabytes of memory in use."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 1e6


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.mark.parametrize("build", [make, used])
def test_a_model_is_collected_with_all_it_holds(build) -> None:
    model = build()
    parts = [weakref.ref(p) for p in (model, model.layers[0], model.layers[0].kernel, model.output, model._steps)]
    if build is used:
        parts.append(weakref.ref(model.train_function))
    del model
    gc.collect()  # layers, their calls and tensors know each other, as in Keras: only the collector unties them
    assert [p() for p in parts] == [None] * len(parts)


def test_the_number_of_objects_does_not_grow_with_models() -> None:
    used()
    counts = []
    for _ in range(3):
        used()
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[2] - counts[1] < 50


def test_calling_a_model_on_values_keeps_nothing() -> None:
    model = Sequential([Dense(3, input_dim=4, activity_regularizer="l2"), Dropout(0.5), Dense(2)])
    x = at.Tensor(np.ones((2, 4), "float32"))
    model(x)
    nodes, losses = [len(layer._inbound_nodes) for layer in model.layers], len(model.layers[0]._losses)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        model(x)
    gc.collect()
    assert len(gc.get_objects()) - before < 50
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert len(model.layers[0]._losses) == losses


@pytest.mark.slow
@needs_proc
def test_a_hundred_models_leave_no_memory_behind() -> None:
    for _ in range(10):
        used()
    gc.collect()
    before = resident()
    for _ in range(100):
        used()
    gc.collect()
    assert resident() - before < 15


@pytest.mark.slow
@needs_proc
def test_two_thousand_models_leave_no_memory_behind() -> None:
    for _ in range(50):
        make().train_on_batch(X, Y)
    gc.collect()
    before, objects = resident(), len(gc.get_objects())
    for _ in range(2000):
        make().train_on_batch(X, Y)
    gc.collect()
    assert resident() - before < 30
    assert len(gc.get_objects()) - objects < 2000


@pytest.mark.slow
@needs_proc
def test_ten_thousand_batches_do_not_grow() -> None:
    model = make()
    for _ in range(200):
        model.train_on_batch(X, Y)
    gc.collect()
    before, objects = resident(), len(gc.get_objects())
    for _ in range(10_000):
        model.train_on_batch(X, Y)
    gc.collect()
    assert len(gc.get_objects()) - objects < 50
    assert resident() - before < 5
