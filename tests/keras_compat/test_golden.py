"""What genuine Keras computed, as the oracle: predictions, histories, evaluations, weights after training.

A small part of the data lies in ``golden/`` beside this file and runs with every fast path on. The whole runs
where ``../shared/golden`` (or the folder in ``KERAS_GOLDEN``) is there, without generated kernels, which would take
minutes to compile for some hundred small models. A case whose layers or callbacks do not exist yet is skipped; how
many of the whole ran is printed at the end (``-s`` shows it).
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.engine.registry import LAYERS
from keras_compat.models import load_model, model_from_config

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("KERAS_GOLDEN", HERE.parents[2] / "shared" / "golden"))
LEVELS = {
    "keras-1.2.2-theano": "1.2",
    "keras-1.2.2-tensorflow": "1.2",
    "keras-2.2.4-tensorflow": "2.2",
    "keras-2.3.1-tensorflow": "2.3",
}


def _cases(root: Path) -> list[Any]:
    found = []
    for oracle in LEVELS:
        for path in sorted((root / oracle).glob("*/*.json")):
            if path.parent.name != "functions":
                found.append(pytest.param(path, id=f"{oracle}-{path.stem}"))
    return found


def _ours(code: str) -> str:
    return re.sub(r"\bkeras\b(?=[.\s])", "keras_compat", code)


class _Case:
    """One golden case: its description, its arrays, and the model built by its code."""

    def __init__(self, path: Path):
        self.path = path
        self.data = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz")) as arrays:
            self.arrays = dict(arrays)
        self.level = LEVELS[self.data["oracle"]]
        self.space: dict[str, Any] = {}

    def many(self, prefix: str) -> list[np.ndarray]:
        names = sorted(
            (k for k in self.arrays if re.fullmatch(prefix + r"\d+", k)), key=lambda k: int(k[len(prefix) :])
        )
        return [self.arrays[k] for k in names]

    def one_or_list(self, prefix: str) -> Any:
        arrays = self.many(prefix)
        return arrays[0] if len(arrays) == 1 else arrays

    def file(self, kind: str) -> Path | None:
        name = self.data.get("files", {}).get(kind)
        return self.path.with_name(name) if name and self.path.with_name(name).exists() else None

    def run(self, code: str) -> None:
        try:
            exec(compile(_ours(code), str(self.path), "exec"), self.space)
        except ImportError as error:
            pytest.skip(f"not yet there: {error}")

    def build(self) -> Any:
        missing = {name for name, _ in self.data.get("layers", []) if name not in LAYERS}
        if missing:
            pytest.skip(f"not yet there: layers {', '.join(sorted(missing))}")
        K.clear_session()
        self.run(self.data["code"])
        return self.space["model"]

    def fit_arguments(self) -> dict[str, Any]:
        arguments = dict(self.data["fit"])
        if "callbacks" in arguments:
            self.run(self.data["callbacks"])
            arguments["callbacks"] = self.space["callbacks"]
        if "validation_data" in arguments:
            arguments["validation_data"] = (self.one_or_list("xv"), self.one_or_list("yv"))
        if "sample_weight" in arguments:
            arguments["sample_weight"] = self.one_or_list("sw")
        if "class_weight" in arguments:
            arguments["class_weight"] = {int(k): v for k, v in arguments["class_weight"].items()}
        return arguments


def _near(actual: Any, wanted: Any, tight: bool, what: str) -> None:
    actual, wanted = np.asarray(actual, dtype="float64"), np.asarray(wanted, dtype="float64")
    assert actual.shape == wanted.shape, f"{what}: shape {actual.shape}, expected {wanted.shape}"
    size = np.abs(wanted).max() if wanted.size else 0.0
    limit = 1e-5 + 1e-4 * size if tight else 2e-4 + 1e-3 * size
    worst = np.abs(actual - wanted).max() if wanted.size else 0.0
    assert worst <= limit, f"{what}: off by {worst:.3g}, allowed {limit:.3g}"


def _check_predictions(model: Any, case: _Case, prefix: str, tight: bool) -> None:
    wanted = case.many(prefix)
    if not wanted:
        return
    got = model.predict(case.one_or_list("x"), batch_size=case.data["predict"]["batch_size"])
    got = got if isinstance(got, list) else [got]
    assert len(got) == len(wanted)
    for i, (a, b) in enumerate(zip(got, wanted)):
        _near(a, b, tight, f"{prefix}{i}")


def _check_history(history: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(history) == set(wanted)
    for name, values in wanted.items():
        _near(history[name], values, False, f"history of {name}")


@pytest.fixture(scope="module", autouse=True)
def count() -> Iterator[None]:
    yield
    print(f"\ngolden: {len(_RAN)} of {len(_cases(SHARED))} cases of the whole ran and agree")


@pytest.fixture(autouse=True)
def fresh_names() -> Iterator[None]:
    yield
    K.clear_session()


@pytest.mark.parametrize("path", _cases(HERE / "golden"))
def test_case(path: Path) -> None:
    _check(path)


@pytest.mark.parametrize("path", _cases(SHARED))
def test_case_of_the_whole(path: Path) -> None:
    with at.config.use(numba=False):
        _check(path)
    _RAN.append(path)


_RAN: list[Path] = []


def _check(path: Path) -> None:
    case = _Case(path)
    with api_level(case.level), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _run(case)


def _run(case: _Case) -> None:
    data = case.data
    model = case.build()
    if "output_shape" in data:
        shape = model.output_shape
        shapes = shape if isinstance(shape, list) else [shape]
        wanted = data["output_shape"] if isinstance(data["output_shape"][0], list) else [data["output_shape"]]
        assert [list(s) for s in shapes] == wanted
    if "count_params" in data:
        assert model.count_params() == data["count_params"]
    if case.level == "2.3":
        if "layers" in data:
            assert [[type(x).__name__, x.name] for x in model.layers] == data["layers"]
        if data.get("config_loadable", True) and not case.space.get("lambda"):
            _check_config(model, data["config"])
        if "summary" in data:
            lines: list[str] = []
            model.summary(print_fn=lines.append)
            assert "\n".join(lines).strip() == data["summary"].strip()
    weights = case.many("w")
    if not weights and data["weights"]:
        if case.level == "1.2" or case.file("weights") is None:
            pytest.skip("weights only in a file of another layout")
        model.load_weights(str(case.file("weights")))
    else:
        if case.level != "1.2":
            assert [w.name for w in model._weights_in_layer_order()] == [name for name, _ in data["weights"]]
        model.set_weights(weights)
    _check_predictions(model, case, "pred", tight=True)
    if "compile" not in data:
        return
    case.run(data["compile"])
    x, y = case.one_or_list("x"), case.one_or_list("y")
    if "fit" in data:
        history = model.fit(x, y, **case.fit_arguments()).history
        _check_history(history, data["history"])
    elif "on_batch" in data:
        _check_on_batch(model, x, y, data)
    if "metrics_names" in data:
        assert model.metrics_names == data["metrics_names"]
    if "evaluate" in data:
        got = model.evaluate(x, y, batch_size=data["predict"]["batch_size"], verbose=0)
        _near(np.ravel(got), np.ravel(data["evaluate"]), False, "evaluate")
    _check_predictions(model, case, "predf", tight=False)
    if "classes" in case.arrays:
        assert (model.predict_classes(case.one_or_list("x")).reshape(-1) == case.arrays["classes"].reshape(-1)).all()
    for i, (a, b) in enumerate(zip(model.get_weights(), case.many("wf"))):
        _near(a, b, False, f"weight {i} after training")
    if "optimizer_config" in data and case.level == "2.3":
        name, config = data["optimizer_config"]
        assert type(model.optimizer).__name__ == name
        ours = model.optimizer.get_config()
        assert set(ours) == set(config)
        for key, value in config.items():
            assert ours[key] == pytest.approx(value, rel=1e-5) if isinstance(value, float) else ours[key] == value
    if case.level != "1.2" and case.file("model") is not None:
        _check_file(case)


def _check_on_batch(model: Any, x: np.ndarray, y: np.ndarray, data: dict[str, Any]) -> None:
    size = data["on_batch"]["batch_size"]
    trained, tested = [], []
    for _ in range(data["on_batch"]["passes"]):
        for start in range(0, len(x), size):
            part = x[start : start + size], y[start : start + size]
            trained.append(np.ravel(model.train_on_batch(*part)).tolist())
            tested.append(np.ravel(model.test_on_batch(*part)).tolist())
    _near(trained, data["train_on_batch"], False, "train_on_batch")
    _near(tested, data["test_on_batch"], False, "test_on_batch")


def _check_config(model: Any, wanted: dict[str, Any]) -> None:
    ours = json.loads(model.to_json())
    assert ours["class_name"] == wanted["class_name"]
    assert _rounded(ours["config"]) == _rounded(wanted["config"])
    again = model_from_config(wanted)
    assert _rounded(json.loads(again.to_json())["config"]) == _rounded(wanted["config"])


def _rounded(x: Any) -> Any:
    """Floats of configs come from float32 variables there."""
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [_rounded(v) for v in x]
    return float(f"{x:.6g}") if isinstance(x, float) else x


def _check_file(case: _Case) -> None:
    """The file that genuine Keras wrote after training: same predictions, and training goes on as there."""
    model = load_model(str(case.file("model")))
    _check_predictions(model, case, "predf", tight=True)
    resume = case.data.get("resume")
    if resume and resume.get("same_as_uninterrupted", True):
        history = model.fit(case.one_or_list("x"), case.one_or_list("y"), **resume["fit"]).history
        _check_history(history, resume["history"])
        _check_predictions(model, case, "predr", tight=False)
