"""Files and configs of tf.keras and Keras 3: read as genuine 2.15.0 and 3.15.1 compute, written so that they load there.

The oracles are the golden files of both (a part of them lies in ``golden/``, the whole where ``KERAS_GOLDEN`` says)
and, where it is installed, genuine Keras 3 itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import activations
from keras_compat import backend as K
from keras_compat.models import load_model, model_from_config
from keras_compat.saving import configs, models
from keras_compat.saving.stored import Writer
from tests.keras_compat import test_golden as golden

ORACLES = {
    "tf.keras-2.15.0": Writer("tfkeras", "2.15.0", "tensorflow"),
    "keras-3.15.1-torch": Writer("keras3", "3.15.1", "torch"),
}
# What training there does and this package does not.
NOT_AS_THERE = {
    "tf.keras-2.15.0/optimizers/nadam__1": "its Nadam counts the momentum schedule once for each weight",
    "keras-3.15.1-torch/models/stacked_lstm__b": "targets are no distributions: PyTorch's gradient is not TensorFlow's",
}


def _cases() -> list[Path]:
    root = golden.SHARED if golden.SHARED.is_dir() else golden.HERE / "golden"
    return golden._paths(root, ORACLES)


CASES = _cases()
WITH_FILES = [(path, kind) for path in CASES for kind in sorted(golden._Case(path).data.get("files", {}))]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), at.config.use(numba=False):
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(autouse=True)
def fresh_names() -> Iterator[None]:
    yield
    K.clear_session()


def _built(case: golden._Case) -> Any:
    return model_from_config(configs.to_ours(case.data["config"], ORACLES[case.data["oracle"]]))


def _settings(case: golden._Case) -> dict[str, Any]:
    """What the case's code gives to ``compile``, with the config of the optimizer that came of it."""
    given: dict[str, Any] = {}

    class Recorder:
        def compile(self, **arguments: Any) -> None:
            given.update(arguments)

    names = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
    space: dict[str, Any] = {"model": Recorder(), **{name: lambda *args, **kwargs: None for name in names}}
    exec(re.sub(r"(?m)^(from|import) .*$", "", case.data["compile"]), space)
    kind, config = case.data["optimizer_config"]
    return {**given, "optimizer_config": {"class_name": kind, "config": config}, "optimizer": None}


def _reset(model: Any, case: golden._Case) -> None:
    if "pred_again0" in case.arrays:
        model.reset_states()


@pytest.mark.parametrize("path", golden._cases(CASES))
def test_a_config_computes_and_trains_as_there(path: Path) -> None:
    case = golden._Case(path)
    with _quiet():
        model = _built(case)
        model.set_weights(case.many("w"))
        _reset(model, case)
        golden._check_predictions(model, case, "pred", tight=True)
        _reset(model, case)
        models._compile_from(model, _settings(case), ORACLES[case.data["oracle"]], None)
        history = model.fit(*case.training, **case.fit_arguments()).history
        if golden._name(path) in NOT_AS_THERE:
            pytest.skip(NOT_AS_THERE[golden._name(path)])
        golden._check_history(history, case.data["history"])
        _reset(model, case)
        golden._check_predictions(model, case, "predf", tight=False)


@pytest.mark.parametrize(
    ("path", "kind"), [pytest.param(p, k, id=f"{p.parts[-3]}-{p.stem}-{k}") for p, k in WITH_FILES]
)
def test_a_file_is_read(path: Path, kind: str) -> None:
    case = golden._Case(path)
    file = str(case.file(kind))
    with _quiet():
        if kind.startswith("weights"):
            model = _built(case)
            model.load_weights(file)
            for got, wanted in zip(model.get_weights(), case.many("w"), strict=True):
                np.testing.assert_array_equal(got, wanted)
            return
        model = load_model(file)
        _reset(model, case)
        golden._check_predictions(model, case, "predf", tight=True)
        resume = case.data.get("resume")
        if resume and resume.get("same_as_uninterrupted", True):
            _reset(model, case)
            history = model.fit(*case.training, **resume["fit"]).history
            golden._check_history(history, resume["history"])
            _reset(model, case)
            golden._check_predictions(model, case, "predr", tight=False)


def test_hard_sigmoid_of_keras_3_is_another_function() -> None:
    x = np.array([-4.0, -3.0, -1.0, 0.0, 2.0, 3.0, 5.0], dtype="float32")
    y = K.eval(activations.hard_sigmoid_keras3(K.constant(x)))
    np.testing.assert_allclose(y, np.clip(x + 3, 0, 6) / 6, atol=1e-6)
