"""Models come and go: what they hold is given back, and long runs do not grow."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import autotensor as at
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential

ROOT = Path(__file__).parents[2]
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


@pytest.mark.promise(29)
@pytest.mark.parametrize("build", [make, used])
def test_a_model_is_collected_with_all_it_holds(build) -> None:
    model = build()
    parts = [weakref.ref(p) for p in (model, model.layers[0], model.layers[0].kernel, model.output, model._steps)]
    if build is used:
        parts.append(weakref.ref(model.train_function))
    del model
    gc.collect()  # layers, their calls and tensors know each other, as in Keras: only the collector unties them
    assert [p() for p in parts] == [None] * len(parts)


@pytest.mark.promise(29)
@pytest.mark.usefixtures("without_kernels")
def test_the_number_of_objects_does_not_grow_with_models() -> None:
    used()
    counts = []
    for _ in range(3):
        used()
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[2] - counts[1] < 50


@pytest.mark.promise(29)
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


def growth(action: Callable[[], object], warm_up: int, times: int) -> tuple[float, int]:
    """Megabytes and objects that ``times`` runs of ``action`` leave behind, after ``warm_up`` runs."""
    for _ in range(warm_up):
        action()
    gc.collect()
    before, objects = resident(), len(gc.get_objects())
    for _ in range(times):
        action()
    gc.collect()
    return resident() - before, len(gc.get_objects()) - objects


def growth_alone(expression: str) -> tuple[float, int]:
    """``growth(...)`` in a process of its own: after thousands of other tests the heap of this one moves by itself."""
    code = f"from tests.keras_compat.test_lifecycle import *; print(*growth({expression}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    megabytes, objects = done.stdout.split()[-2:]
    return float(megabytes), int(objects)


@pytest.mark.slow
@needs_proc
@pytest.mark.promise(29)
def test_a_hundred_models_leave_no_memory_behind() -> None:
    megabytes, _ = growth_alone("used, warm_up=10, times=100")
    assert megabytes < 15


@pytest.mark.slow
@needs_proc
@pytest.mark.promise(29)
def test_five_hundred_models_leave_no_memory_behind() -> None:
    megabytes, objects = growth_alone("lambda: make().train_on_batch(X, Y), warm_up=50, times=500")
    assert megabytes < 8
    assert objects < 500


@pytest.mark.slow
@needs_proc
@pytest.mark.promise(29)
def test_ten_thousand_batches_do_not_grow() -> None:
    megabytes, objects = growth_alone("lambda model=make(): model.train_on_batch(X, Y), warm_up=200, times=10_000")
    assert objects < 50
    assert megabytes < 5


@pytest.mark.slow
@needs_proc
@pytest.mark.promise(29)
def test_memory_that_is_kept_is_seen() -> None:
    megabytes, objects = growth_alone("lambda kept=[]: kept.append([np.ones(10_000)]), warm_up=10, times=1000")
    assert megabytes > 50
    assert objects > 900
