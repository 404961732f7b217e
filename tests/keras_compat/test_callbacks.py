"""Callbacks against what genuine Keras does in the same courses of training (see genuine/callback_cases.py)."""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_compat
from keras_compat import backend as K
from keras_compat import callbacks as C
from keras_compat.callbacks import callbacks as as_in_23
from keras_compat.dialect.level import api_level
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import progbar
from keras_compat.utils.generic_utils import Progbar
from tests.keras_compat.genuine import callback_cases as cases

pytestmark = pytest.mark.usefixtures("without_kernels")

GOLDEN = Path(__file__).parent / "golden" / "callbacks"
GENUINE: dict[str, Any] = {
    level: json.loads((GOLDEN / f"keras-{release}.json").read_text())
    for level, release in (("1.2", "1.2.2"), ("2.2", "2.2.4"), ("2.3", "2.3.1"))
}
LEVELS = pytest.mark.parametrize("level", GENUINE)


def words(printed: str, level: str) -> str:
    """Messages as a level's release prints them, of those of 2.3.1."""
    if level == "1.2":
        printed = printed.replace("ReduceLROnPlateau ", "\n")
        printed = re.sub("did not improve from .*", "did not improve", printed)
        return re.sub("\n+", "\n", printed).strip("\n").replace(": \nreducing", ": reducing")
    return printed


@LEVELS
def test_courses_of_training(level: str) -> None:
    genuine = GENUINE[level]["courses"]
    with api_level(level):
        ours = {
            name: cases.play(C, K, kind, dict(arguments), logs) for name, kind, arguments, logs in cases.cases(level)
        }
    assert set(ours) == set(genuine)
    assert len(ours) > 50
    for name, found in ours.items():
        expected = dict(genuine[name])
        found["printed"] = words(found["printed"], level)
        if level == "1.2":
            expected["printed"] = re.sub("\n+", "\n", expected["printed"]).strip("\n")
        assert np.allclose(found.pop("rates"), expected.pop("rates"), rtol=1e-7), name
        assert found == expected, name


@LEVELS
def test_csv_files_byte_for_byte(level: str) -> None:
    genuine = GENUINE[level]["csv"]
    for name, arguments, trainings in cases.csv_cases(np):
        if name in genuine:
            assert cases.csv_bytes(C, arguments, trainings) == genuine[name], name


@LEVELS
def test_averages(level: str) -> None:
    genuine = GENUINE[level]
    assert cases.averages(C, {}) == genuine["averages"]
    if level != "1.2":
        assert cases.averages(C, {"stateful_metrics": ["acc"]}) == genuine["running averages"]
        assert cases.until_nan(C) == genuine["nan"]


@LEVELS
def test_what_callbacks_are_told(level: str) -> None:
    """Hooks, their order, numbers, sizes and names in the logs, on arrays, generators, and outside training."""
    with api_level(level):
        found = cases.told(keras_compat, np, level)
    genuine = GENUINE[level]["told"]
    assert set(found) == set(genuine) and len(found) > 5
    for name, notes in found.items():
        assert notes == genuine[name], name


def test_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progbar, "_columns", lambda: 200)
    assert cases.bars(Progbar) == GENUINE["2.3"]["bars"]


def test_the_module_of_23() -> None:
    for name in ("Callback", "CSVLogger", "RemoteMonitor", "EarlyStopping", "LearningRateScheduler", "TerminateOnNaN"):
        assert getattr(as_in_23, name) is getattr(C, name)


# -- what there is instead of a missing value -------------------------------------------------------------------------


def warned(callback: Any, logs: dict[str, float]) -> str:
    callback.set_model(cases.Model(K.variable(0.1), []))
    callback.set_params({"metrics": list(logs)})
    callback.on_train_begin()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        callback.on_epoch_end(0, logs)
    assert len(told) == 1
    return str(told[0].message)


@pytest.mark.parametrize(
    ("make", "begins"),
    [
        (C.EarlyStopping, "Early stopping conditioned on metric `val_los` which is not available."),
        (C.ReduceLROnPlateau, "Reduce LR on plateau conditioned on metric `val_los` which is not available."),
        (
            lambda monitor: C.ModelCheckpoint("a.h5", monitor, save_best_only=True),
            "Can save best model only with val_los available, skipping.",
        ),
    ],
)
def test_a_missing_value_is_told_with_those_there_are(make: Any, begins: str) -> None:
    text = warned(make("val_los"), {"val_loss": 1.0, "loss": 2.0})
    assert text.startswith(f"{begins} Available metrics are: val_loss,loss")
    assert text.endswith("Is 'val_loss' meant?")
    assert warned(make("val_los"), {"loss": 2.0}).endswith("Is there no validation data?")


def test_a_file_name_with_a_missing_value() -> None:
    saver = C.ModelCheckpoint("w.{epoch}-{val_acuracy:.2f}.h5")
    with pytest.raises(KeyError, match=r"asks for 'val_acuracy'\. Available metrics are: loss,val_accuracy,epoch\. Is"):
        saver.on_epoch_end(0, {"loss": 1.0, "val_accuracy": 0.5})


@pytest.mark.parametrize("monitor", ["val_acc", "val_accuracy"])
@pytest.mark.parametrize("name", ["val_acc", "val_accuracy"])
def test_both_names_of_accuracy_are_one(monitor: str, name: str) -> None:
    stopping = C.EarlyStopping(monitor)
    stopping.set_model(cases.Model(None, []))
    stopping.on_train_begin()
    for epoch, value in enumerate((0.5, 0.6, 0.55)):
        stopping.on_epoch_end(epoch, C.LogValues({name: value}))
    assert stopping.stopped_epoch == 2


def test_epsilon_is_the_old_name_of_min_delta() -> None:
    with pytest.warns(UserWarning, match="`epsilon` argument is deprecated and will be removed, use `min_delta` inst"):
        assert C.ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5
    with api_level("1.2"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert C.ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5
        assert C.ReduceLROnPlateau("val_loss", 0.1, 10, 0, "auto", 0.25).min_delta == 0.25


# -- bars that are asked for ------------------------------------------------------------------------------------------


def small() -> tuple[Any, np.ndarray, np.ndarray]:
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    return model, np.zeros((8, 2)), np.zeros(8)


def printed_by(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> str:
    model, x, y = small()
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    model.fit(x, y, **arguments)
    monkeypatch.undo()
    return out.getvalue()


def test_what_fit_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed_by(monkeypatch, validation_split=0.25, batch_size=2).splitlines()
    assert lines[:2] == ["Train on 6 samples, validate on 2 samples", "Epoch 1/1"]
    shape = r"6/6 \[={30}\] - 0s \d+[mu]?s/step - loss: 0\.0000e\+00 - val_loss: 0\.0000e\+00"
    assert len(lines) == 3 and re.fullmatch(shape, lines[2])
    lines = printed_by(monkeypatch, verbose=2, epochs=2).splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_bar_that_is_asked_for_is_the_only_one(monkeypatch: pytest.MonkeyPatch, verbose: int) -> None:
    text = printed_by(monkeypatch, verbose=verbose, batch_size=2, callbacks=[C.ProgbarLogger()])
    assert text.count("8/8 [=====") == 1
    text = printed_by(monkeypatch, verbose=verbose, batch_size=3, callbacks=[C.ProgbarLogger("steps")])
    assert text.count("Epoch 1/1") == 1 and text.count("3/3 [=====") == 1
