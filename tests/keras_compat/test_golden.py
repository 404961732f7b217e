"""What genuine Keras computed, as the oracle: predictions, histories, evaluations, weights after training, configs.

A part of the data, one case of nearly every kind, lies in ``golden/`` beside this file; the whole runs where
``../shared/golden`` (or the folder in ``KERAS_GOLDEN``) is there. A few cases run with every fast path on
(``WITH_KERNELS``), the others without generated kernels, which would take minutes to compile for some hundred small
models. Each case runs at the API level of the release that made it, every
field that it has is compared, and what is left out is counted with its reason and printed at the end
(``-s`` shows it).
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.engine.registry import LAYERS
from keras_compat.models import load_model, model_from_config

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("KERAS_GOLDEN", HERE.parents[2] / "shared" / "golden"))
# The releases whose programs this package reads.
LEVELS = {
    "keras-0.3.3-theano": "0.3",
    "keras-1.2.2-theano": "1.2",
    "keras-1.2.2-tensorflow": "1.2",
    "keras-2.2.4-tensorflow": "2.2",
    "keras-2.3.1-tensorflow": "2.3",
    "keras-2.3.1-theano": "2.3",
}
# Later releases: here the programs' predictions; their files and training are in test_saving_later.
LATER = ("tf.keras-2.15.0", "keras-3.15.1-torch")
_RESET_AFTER = "GRU(reset_after=True) is the default there"
_HARD_SIGMOID = "Keras 3's hard_sigmoid is another function"
_INPUT = "Sequential.add(Input(...)) is a later spelling, refused by 2.3.1"
NOT_AS_LATER = {
    "tf.keras-2.15.0": {
        "mlp_softmax__b": "imports tensorflow",
        "bidirectional__sum": _RESET_AFTER,
        "gru__backwards": _RESET_AFTER,
        "gru__default": _RESET_AFTER,
    },
    "keras-3.15.1-torch": {
        "bidirectional__sum": _RESET_AFTER,
        "gru__backwards": _RESET_AFTER,
        "gru__default": _RESET_AFTER,
        "activation__hard_sigmoid": _HARD_SIGMOID,
        "conv_lstm__same": _HARD_SIGMOID,
        "lstm__sequences": _HARD_SIGMOID,
        "embedding_lstm__a": _INPUT,
        "mask_embedding__lstm": _INPUT,
        "mask_embedding__lstm_post": _INPUT,
    },
}
# Cases that also run with generated kernels: <oracle>/<category>/<name>.
WITH_KERNELS = {
    "keras-1.2.2-theano/fit/fit__class_weight",
    "keras-1.2.2-theano/fit/fit__sample_weight",
    "keras-2.2.4-tensorflow/models/mlp_softmax__b",
    "keras-2.3.1-tensorflow/fit/fit__train_on_batch_b",
    "keras-2.3.1-tensorflow/fit/fit__validation_split_b",
    "keras-2.3.1-tensorflow/fit/trainable__frozen_b",
    "keras-2.3.1-tensorflow/layers/core__activity",
    "keras-2.3.1-tensorflow/layers/dense__3d",
    "keras-2.3.1-tensorflow/losses/sparse_categorical_crossentropy__3d",
    "keras-2.3.1-tensorflow/models/mlp_softmax__b",
    "keras-2.3.1-tensorflow/optimizers/adam__2",
    "keras-2.3.1-tensorflow/optimizers/nadam__1",
    "keras-2.3.1-tensorflow/optimizers/sgd__4",
}
# Of these the kernels take 5 s and more to compile.
COSTLY = {
    "keras-1.2.2-theano/fit/fit__sample_weight",
    "keras-2.2.4-tensorflow/models/mlp_softmax__b",
    "keras-2.3.1-tensorflow/fit/fit__validation_split_b",
    "keras-2.3.1-tensorflow/layers/dense__3d",
}
# Not at the last level: a row of docs/keras.md.
PADDED_OTHERWISE = {
    "convolution__convolution2d_1": "Keras 0.x puts the odd zero of 'same' in front, at its level alone"
}
# Functions of modules that hold no models.
LEFT_OUT_FUNCTIONS = "preprocessing__"


def _paths(root: Path, oracles: Iterable[str] = LEVELS) -> list[Path]:
    found = [path for oracle in oracles for path in sorted((root / oracle).glob("*/*.json"))]
    return [path for path in found if path.parent.name != "functions"]


def _name(path: Path) -> str:
    return "/".join([*path.parts[-3:-1], path.stem])


def _cases(paths: list[Path]) -> list[Any]:
    return [pytest.param(path, id=f"{path.parts[-3]}-{path.stem}") for path in paths]


PART = _paths(HERE / "golden")
WHOLE = _paths(SHARED) or PART


def _functions(root: Path) -> list[Any]:
    found = []
    for oracle in LEVELS:
        path = root / oracle / "functions" / "functions.json"
        if path.exists():
            for entry in json.loads(path.read_text())["functions"]:
                found.append(pytest.param(path, entry["name"], id=f"{oracle}-{entry['name']}"))
    return found


def _ours(code: str) -> str:
    return re.sub(r"\bkeras\b(?=[.\s])", "keras_compat", code)


def _skip(reason: str) -> None:
    _SKIPPED[reason] += 1
    pytest.skip(reason)


@contextmanager
def _as_there(data: dict[str, Any]) -> Iterator[None]:
    """The API level and the image order that the case was made with."""
    orders = {"th": "channels_first", "tf": "channels_last"}
    environment = data["environment"]
    order = environment.get("image_data_format") or orders[environment.get("image_dim_ordering", "tf")]
    before = K.image_data_format()
    with api_level(LEVELS[data["oracle"]]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if order != before:
                K.set_image_data_format(order)
            yield
        finally:
            if K.image_data_format() != before:
                K.set_image_data_format(before)


class _Case:
    """One golden case: its description, its arrays, and the model built by its code."""

    def __init__(self, path: Path):
        self.path = path
        self.data = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz")) as arrays:
            self.arrays = dict(arrays)
        self.level = LEVELS.get(self.data["oracle"], "2.3").replace("0.3", "1.2")
        self.is_0x = self.data["dialect"] == "keras0"
        self.space: dict[str, Any] = {"np": np}

    def many(self, prefix: str) -> list[np.ndarray]:
        names = sorted(
            (k for k in self.arrays if re.fullmatch(prefix + r"\d+", k)), key=lambda k: int(k[len(prefix) :])
        )
        return [self.arrays[k] for k in names]

    def one_or_list(self, prefix: str) -> Any:
        arrays = self.many(prefix)
        return arrays[0] if len(arrays) == 1 else arrays

    def named(self, *prefixes: str) -> dict[str, np.ndarray]:
        """The data of a Graph, which goes by the names of its inputs (x) and outputs (y)."""
        named: dict[str, np.ndarray] = {}
        for prefix in prefixes:
            names = self.data["graph"][0 if prefix.startswith("x") else 1]
            named |= dict(zip(names, self.many(prefix)))
        return named

    @property
    def training(self) -> tuple[Any, ...]:
        """What ``fit`` and ``evaluate`` get first."""
        if "graph" in self.data:
            return (self.named("x", "y"),)
        return self.one_or_list("x"), self.one_or_list("y")

    def file(self, kind: str) -> Path | None:
        name = self.data.get("files", {}).get(kind)
        return self.path.with_name(name) if name and self.path.with_name(name).exists() else None

    def run(self, code: str) -> None:
        exec(compile(_ours(code), str(self.path), "exec"), self.space)

    def build(self) -> Any:
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

    def initial_weights(self) -> list[np.ndarray]:
        """In the order of ``get_weights()``: from the arrays, or from a file that the Theano backend wrote."""
        arrays = self.many("w")
        if arrays or not self.data["weights"]:
            return arrays
        path = self.file("weights")
        assert path is not None
        by_name = _read_weights(path)
        names = list(by_name) if self.is_0x else [name for name, _ in self.data["weights"]]
        layers = _layers_in(self.data["config"], self.data["environment"].get("image_dim_ordering", "tf"))
        owners = [n for n, _ in self.data["weights"]]
        return [_turned(by_name[n], owner, layers, self.level, self.is_0x) for n, owner in zip(names, owners)]


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    """Every data set of a weight file by its name, in the order of the file: a reader apart from the package's."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    def text(x: Any) -> str:
        return x.decode() if isinstance(x, bytes) else str(x)

    with h5py.File(path, "r") as f:
        if "layer_names" in f.attrs:
            for layer in f.attrs["layer_names"]:
                for name in f[text(layer)].attrs["weight_names"]:
                    found[text(name)] = f[text(layer)][text(name)][()]
        elif "nb_layers" in f.attrs:
            for k in range(f.attrs["nb_layers"]):
                for i in range(f[f"layer_{k}"].attrs["nb_params"]):
                    found[f"layer_{k}/param_{i}"] = f[f"layer_{k}"][f"param_{i}"][()]
        else:
            f.visititems(visit)
    return found


def _layers_in(config: Any, order: str) -> dict[str, tuple[str, str]]:
    """Class and image order of every layer in a config, nested ones too, by name."""
    found: dict[str, tuple[str, str]] = {}
    if isinstance(config, dict):
        inner = config.get("config", config)
        name = inner.get("name") if isinstance(inner, dict) else None
        if "class_name" in config and name:
            given = inner.get("dim_ordering") or inner.get("data_format") or order
            found[name] = (config["class_name"], given)
        elif "custom_name" in config:
            found[config["custom_name"]] = (config["name"], config.get("dim_ordering", order))
        for value in config.values():
            found |= _layers_in(value, order)
    elif isinstance(config, list):
        for value in config:
            found |= _layers_in(value, order)
    return found


# Layers whose kernels Theano's backend keeps turned by 180 degrees in their spatial axes.
_TURNED = {
    *("Convolution1D", "Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D"),
    *("Deconvolution2D", "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"),
}


def _turned(array: np.ndarray, name: str, layers: dict[str, tuple[str, str]], level: str, is_0x: bool) -> np.ndarray:
    owner = re.sub(r"(_W|/kernel(:0)?)$", "", name).split("/")[-1]
    kind, order = layers.get(owner, ("", ""))
    if kind not in _TURNED or array.ndim < 3:
        return array
    # A Convolution1D's kernel: (filters, in, size, 1) in Keras 0.x, (size, 1, in, filters) in 1.x.
    first = level == "1.2" and order in ("th", "channels_first") and (is_0x or not kind.endswith("1D"))
    axes = tuple(range(2, array.ndim)) if first else tuple(range(array.ndim - 2))
    return np.flip(array, axes)


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
    size = case.data["predict"]["batch_size"]
    if "graph" in case.data:
        named = model.predict(case.named("x"), batch_size=size)
        assert set(named) == set(case.data["graph"][1])
        got = [named[name] for name in case.data["graph"][1]]
    else:
        got = model.predict(case.one_or_list("x"), batch_size=size)
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
    print(f"\ngolden: {len(_RAN)} of {len(WHOLE)} cases ran and agree")
    for reason, times in _SKIPPED.most_common():
        print(f"  {times} x {reason}")


@pytest.mark.parametrize("path", _cases([path for path in PART if _name(path) in WITH_KERNELS - COSTLY]))
def test_case_with_kernels(path: Path) -> None:
    _check(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", _cases([path for path in PART if _name(path) in COSTLY]))
def test_case_with_costly_kernels(path: Path) -> None:
    _check(path)


@pytest.mark.parametrize("path", _cases(WHOLE))
def test_case(path: Path) -> None:
    with at.config.use(numba=False):
        _check(path)
    _RAN.append(path)


@pytest.mark.parametrize("path", _cases(_paths(SHARED, LATER) or _paths(HERE / "golden", LATER)))
def test_predictions_of_later_releases(path: Path) -> None:
    case = _Case(path)
    case.data["code"] = case.data["code"].replace("from tensorflow.keras", "from keras")
    with api_level("2.3"), at.config.use(numba=False):
        if case.data["name"] in NOT_AS_LATER[case.data["oracle"]]:
            _skip(NOT_AS_LATER[case.data["oracle"]][case.data["name"]])
        model = case.build()
        model.set_weights(case.many("w"))
        _check_predictions(model, case, "pred", tight=True)


def test_the_part_is_of_the_whole() -> None:
    """Copies are letter by letter; the part has its size, every release and every kind of case."""
    here = HERE / "golden"
    # Other folders there hold what genuine Keras said of one part; scripts in `genuine` made them.
    files = [path for oracle in (*LEVELS, *LATER) for path in (here / oracle).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3e6
    assert set(map(_name, PART)) >= WITH_KERNELS
    assert {path.parts[-3] for path in PART} == set(LEVELS)
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED}; KERAS_GOLDEN may name it")
    for path in files:
        assert path.read_bytes() == (SHARED / path.relative_to(here)).read_bytes()
    assert {_name(p).split("/")[1] for p in PART} == {_name(p).split("/")[1] for p in _paths(SHARED)}


@pytest.mark.parametrize(("path", "name"), _functions(SHARED if SHARED.is_dir() else HERE / "golden"))
def test_function(path: Path, name: str) -> None:
    """A single function of the release, on the same input."""
    data = json.loads(path.read_text())
    entry = next(e for e in data["functions"] if e["name"] == name)
    if name.startswith(LEFT_OUT_FUNCTIONS):
        _skip("functions of the preprocessing modules, which hold no models")
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    space: dict[str, Any] = {"np": np}
    np.random.seed(0)
    with _as_there(data), at.config.use(numba=False):
        exec(compile(_ours(entry["code"]), name, "exec"), space)
        result = space["run"]({key: arrays[stored] for key, stored in entry["inputs"].items()})
    if "value" in entry:
        assert result == entry["value"]
    elif entry["kind"] == "stat":
        np.testing.assert_allclose(result, arrays[entry["output"]], rtol=0.06, atol=3e-3)
    else:
        _near(result, arrays[entry["output"]], True, name)


_RAN: list[Path] = []
_SKIPPED: Counter[str] = Counter()


def _check(path: Path) -> None:
    case = _Case(path)
    with _as_there(case.data):
        _run(case)
        if case.level != "2.3":
            _check_at_the_last_level(case)


def _run(case: _Case) -> None:
    data = case.data
    model = case.build()
    _check_description(model, case)
    if case.file("weights") is not None:
        _check_weights_file(model, case)
    model.set_weights(case.initial_weights())
    if case.is_0x:
        case.run(data["compile"])
    stateful = "pred_again0" in case.arrays
    if stateful:
        model.reset_states()
    _check_predictions(model, case, "pred", tight=True)
    if stateful:
        _check_predictions(model, case, "pred_again", tight=True)
        model.reset_states()
    if "compile" not in data:
        return
    if not case.is_0x:
        case.run(data["compile"])
    if "fit" in data:
        history = model.fit(*case.training, **case.fit_arguments()).history
        _check_history(history, data["history"])
    elif "on_batch" in data:
        _check_on_batch(model, *case.training, data)
    if "metrics_names" in data:
        assert model.metrics_names == data["metrics_names"]
    if stateful:
        model.reset_states()
    if "evaluate" in data:
        arguments = data.get("evaluate_arguments") or {"batch_size": data["predict"]["batch_size"], "verbose": 0}
        got = model.evaluate(*case.training, **arguments)
        _near(np.ravel(got), np.ravel(data["evaluate"]), False, "evaluate")
    if stateful:
        model.reset_states()
    _check_predictions(model, case, "predf", tight=False)
    if "classes" in case.arrays:
        classes = model.predict_classes(case.one_or_list("x"), verbose=0) if case.level == "1.2" else None
        classes = model.predict_classes(case.one_or_list("x")) if classes is None else classes
        assert (classes.reshape(-1) == case.arrays["classes"].reshape(-1)).all()
    if case.many("wf"):
        assert len(model.get_weights()) == len(case.many("wf"))
    for i, (a, b) in enumerate(zip(model.get_weights(), case.many("wf"))):
        _near(a, b, False, f"weight {i} after training")
    if "optimizer_config" in data:
        _check_optimizer(model, *data["optimizer_config"])
    if case.file("model") is not None:
        _check_file(case)


def _check_description(model: Any, case: _Case) -> None:
    """What a model says of itself before it has seen data."""
    data = case.data
    if "output_shape" in data:
        shape = model.output_shape
        shapes = shape if isinstance(shape, list) else [shape]
        wanted = data["output_shape"] if isinstance(data["output_shape"][0], list) else [data["output_shape"]]
        assert [list(s) for s in shapes] == wanted
    if "count_params" in data:
        assert model.count_params() == data["count_params"]
    if case.level != "1.2":
        assert [[type(x).__name__, x.name] for x in model.layers] == data["layers"]
        if data["environment"]["backend"] == "tensorflow":
            assert [w.name for w in model._weights_in_layer_order()] == [name for name, _ in data["weights"]]
    elif not case.is_0x:
        for layer, (kind, _) in zip(model.layers, data["layers"]):
            old = getattr(keras_compat.layers, kind, None) or getattr(keras_compat.models, kind, None)
            assert type(layer).__name__ in (kind, getattr(old, "__name__", "")) or isinstance(layer, LAYERS[kind])
    shapes = [list(w.shape) for w in model.get_weights()]
    assert shapes == [shape for _, shape in data["weights"]]
    if data.get("config_loadable", True) and not case.is_0x:
        _check_config(model, data["config"], case.level)
    if "summary" in data:
        lines: list[str] = []
        model.summary(print_fn=lines.append)
        assert "\n".join(lines).strip() == data["summary"].strip()


def _check_optimizer(model: Any, name: str, config: dict[str, Any]) -> None:
    assert type(model.optimizer).__name__ == name
    ours = model.optimizer.get_config()
    assert set(ours) == set(config)
    for key, value in config.items():
        assert ours[key] == pytest.approx(value, rel=1e-5) if isinstance(value, float) else ours[key] == value


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


def _check_config(model: Any, wanted: dict[str, Any], level: str) -> None:
    """2.3.1's config is ours, key by key; that of an older release is read as the same model."""
    ours = json.loads(model.to_json())
    again = json.loads(model_from_config(wanted).to_json())
    if level == "2.3":
        assert ours["class_name"] == wanted["class_name"]
        assert _rounded(ours["config"]) == _rounded(wanted["config"])
        assert _rounded(again["config"]) == _rounded(wanted["config"])
    else:
        assert _rounded(_nameless(again["config"])) == _rounded(_nameless(ours["config"]))


def _nameless(config: Any) -> Any:
    """A config without what Keras 1 adds: names unlike ours, and shapes of layers that are not the first."""
    numbers: dict[str, str] = {}

    def collect(x: Any) -> None:
        if isinstance(x, dict):
            if isinstance(x.get("name"), str):
                numbers.setdefault(x["name"], f"#{len(numbers)}")
            for key in sorted(x):
                collect(x[key])
        elif isinstance(x, list):
            for value in x:
                collect(value)

    def replaced(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: replaced(v) for k, v in x.items() if k != "batch_input_shape"}
        if isinstance(x, list):
            return [replaced(v) for v in x]
        return numbers.get(x, x) if isinstance(x, str) else x

    collect(config)
    return replaced(config)


def _rounded(x: Any) -> Any:
    """Floats of configs come from float32 variables there."""
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [_rounded(v) for v in x]
    return float(f"{x:.6g}") if isinstance(x, float) else x


def _check_file(case: _Case) -> None:
    """The file that genuine Keras wrote after training: same predictions, and training goes on as there."""
    stateful = "pred_again0" in case.arrays
    model = load_model(str(case.file("model")))
    if stateful:
        model.reset_states()
    _check_predictions(model, case, "predf", tight=True)
    resume = case.data.get("resume")
    if resume and resume.get("same_as_uninterrupted", True):
        if stateful:
            model.reset_states()
        history = model.fit(*case.training, **resume["fit"]).history
        _check_history(history, resume["history"])
        if stateful:
            model.reset_states()
        _check_predictions(model, case, "predr", tight=False)


def _check_weights_file(model: Any, case: _Case) -> None:
    """A file of weights gives each weight what the test's own reader finds for it."""
    wanted = case.initial_weights()
    model.set_weights([np.full_like(w, 7) for w in wanted])
    model.load_weights(str(case.file("weights")))
    for got, w in zip(model.get_weights(), wanted):
        np.testing.assert_array_equal(got, w)


def _check_at_the_last_level(case: _Case) -> None:
    """Files of older releases predict the same where no level was set."""
    K.clear_session()
    with api_level("2.3"):
        if case.file("model") is not None:
            model = load_model(str(case.file("model")), compile=False)
            _check_predictions(model, case, "predf", tight=True)
        if case.data["name"] in PADDED_OTHERWISE:
            _SKIPPED[PADDED_OTHERWISE[case.data["name"]]] += 1
        elif case.file("weights") is not None and (case.is_0x or case.data.get("config_loadable", True)):
            model = model_from_config(case.data["config"])
            model.load_weights(str(case.file("weights")))
            _check_predictions(model, case, "pred", tight=True)
