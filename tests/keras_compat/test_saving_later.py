"""Files of tf.keras and Keras 3: read as genuine 2.15.0 and 3.15.1 compute, written so that they load there.

The oracles are the golden files of both (a part of them lies in ``golden/``, the whole where ``KERAS_GOLDEN`` says)
and, where it is installed, genuine Keras 3 itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import autotensor as at
from keras_compat import activations
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.engine.registry import deserialize
from keras_compat.models import Model, Sequential, load_model, model_from_config, model_from_json
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


ROOT = golden.SHARED if golden.SHARED.is_dir() else golden.HERE / "golden"
CASES = golden._paths(ROOT, ORACLES)
WITH_FILES = [(path, kind) for path in CASES for kind in sorted(golden._Case(path).data.get("files", {}))]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), at.config.use(numba=False):
        warnings.simplefilter("ignore")
        yield


def _built(case: golden._Case) -> Any:
    """By way of the text, which does not always say who wrote it."""
    return model_from_json(json.dumps(case.data["config"]))


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


# -- written ----------------------------------------------------------------------------------------------------------

# Programs of Keras 2.3.1 whose models are written and read again: each kind of nesting and of optimizer.
ROUND = [
    "models/functional_two_outputs__a",
    "models/nested_autoencoder__b",
    "models/shared_lstm__a",
    "models/captions__b",
    "models/mlp_softmax__b",
    "normalization/batchnorm__default",
    "optimizers/adadelta__2",
    "optimizers/adagrad__1",
    "optimizers/adam__2",
    "optimizers/adamax__1",
    "optimizers/nadam__1",
    "optimizers/sgd__1",
    "optimizers/sgd__4",
    "penalties/regularizers__activity_l2",
    "recurrent/bidirectional__masked",
    "recurrent/conv_lstm__same",
    "recurrent/cells__a",
    "recurrent/lstm__sequences",
]


def _of_2_3_1(names: list[str]) -> list[Path]:
    """Those of the cases that are there."""
    paths = [ROOT / "keras-2.3.1-tensorflow" / f"{name}.json" for name in names]
    return [path for path in paths if path.exists()]


def _trained(case: golden._Case) -> Any:
    """The model of a case after training as there."""
    model = case.build()
    model.set_weights(case.initial_weights())
    case.run(case.data["compile"])
    model.fit(*case.training, **{**case.fit_arguments(), "epochs": 1})
    return model


def _same_numbers(first: list[Any], second: list[Any]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("line", [None, "tfkeras"])
@pytest.mark.parametrize("path", golden._cases(_of_2_3_1(ROUND)))
def test_an_archive_brings_back_every_bit(path: Path, line: str | None, tmp_path: Path) -> None:
    case = golden._Case(path)
    file = str(tmp_path / "model.keras")
    with _quiet():
        model = _trained(case)
        model.save(file, to=line)
        again = load_model(file)
        assert again.to_json() == model.to_json()
        _same_numbers(again.get_weights(), model.get_weights())
        assert again.optimizer.get_config() == model.optimizer.get_config()
        model._make_train_function()
        # There are no moments without momentum there, and tf.keras forgets Nadam's schedule.
        if float(K.get_value(getattr(model.optimizer, "momentum", 1.0))) and not (line and path.stem == "nadam__1"):
            _same_numbers(again.optimizer.get_weights(), model.optimizer.get_weights())
        arguments = case.fit_arguments()
        more = [m.fit(*case.training, **arguments).history for m in (model, again)]
        assert more[0] == more[1]
        _same_numbers(again.get_weights(), model.get_weights())


@pytest.mark.parametrize("path", golden._cases(_of_2_3_1(ROUND)))
@pytest.mark.parametrize("line", ["tfkeras", "keras3"])
def test_weights_and_older_files_come_back(path: Path, line: str, tmp_path: Path) -> None:
    case = golden._Case(path)
    with _quiet():
        model = case.build()
        model.set_weights(case.initial_weights())
        wanted = model.get_weights()
        for name in ("model.weights.h5", "weights.h5"):
            model.save_weights(str(tmp_path / name), to=line)
            model.set_weights([np.zeros_like(w) for w in wanted])
            model.load_weights(str(tmp_path / name))
            _same_numbers(model.get_weights(), wanted)
        case.run(case.data["compile"])
        model.save(str(tmp_path / "model.h5"), to=line)
        again = load_model(str(tmp_path / "model.h5"))
        _same_numbers(again.get_weights(), wanted)
        if case.data["name"] not in ("lstm__sequences", "conv_lstm__same") or line == "tfkeras":
            golden._check_predictions(again, case, "pred", tight=True)


@pytest.mark.parametrize(("line", "first"), [("tfkeras", 1), ("keras3", 0)])
def test_models_within_models_are_counted_as_each_line_counts(line: str, first: int, tmp_path: Path) -> None:
    """In Keras 3's configs the first call of a model within a model is number 0, in tf.keras it is number 1."""
    with _quiet():
        a, x = L.Input((4,), name="a"), L.Input((3,), name="x")
        inner = Model(x, L.Dense(2)(x), name="inner")
        chain = Sequential([L.Dense(3, input_shape=(4,))], name="chain")
        model = Model(a, L.add([inner(chain(a)), inner(L.Dense(3)(a))]))
        file = str(tmp_path / "model.h5")
        model.save(file, to=line)
        data = np.random.RandomState(0).normal(size=(3, 4)).astype("float32")
        _same_numbers([load_model(file, compile=False).predict(data)], [model.predict(data)])
    with h5py.File(file, "r") as f:
        layers = {layer["name"]: layer for layer in json.loads(f.attrs["model_config"])["config"]["layers"]}
    last = next(layer for layer in layers.values() if layer["class_name"] == "Add")
    assert [call[1] for call in last["inbound_nodes"][0]] == [first, first + 1]


def _later(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def _l2(factor: float) -> dict[str, Any]:
    return {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": factor}, "registered_name": None}


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_a_model_of_keras_3_goes_on_the_same_from_our_files(ending: str, tmp_path: Path) -> None:
    """What 2.3.1 has no words for (masked means, frozen statistics, epsilon within the root) is kept beside them."""
    layers = [
        _later("InputLayer", batch_shape=[None, 3, 4], name="x"),
        _later("Masking", name="mask", mask_value=0.0),
        _later("BatchNormalization", name="norm", axis=-1),
        _later("Dense", name="dense", units=2, activation="hard_sigmoid", activity_regularizer=_l2(0.1)),
    ]
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}, "registered_name": None}
    optimizer = {"class_name": "RMSprop", "config": {"learning_rate": 0.01, "clipnorm": 0.5, "weight_decay": 0.004}}
    settings = {"optimizer": optimizer, "loss": "mse", "metrics": ["mae"]}
    random = np.random.RandomState(0)
    x, y = random.normal(size=(8, 3, 4)).astype("float32"), random.normal(size=(8, 3, 2)).astype("float32")
    x[::2, 2] = 0.0
    file = str(tmp_path / f"model.{ending}")
    with _quiet():
        model = model_from_config(config)
        models._compile_from(model, settings, Writer("keras3", "3.15.1"), None)
        model.fit(x, y, batch_size=4, verbose=0)
        model.save(file)
        again = load_model(file)
        assert again.optimizer.get_config() == model.optimizer.get_config()
        more = [m.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history for m in (model, again)]
        assert more[0] == more[1]
        _same_numbers(again.get_weights(), model.get_weights())
    assert {"epsilon_within", "clipnorm_of_each", "weight_decay"} <= set(model.optimizer.get_config())
    if ending == "h5":
        with h5py.File(file, "r") as f:
            plain = str(f.attrs["model_config"]) + str(f.attrs["training_config"])
        assert not re.search("line|keras3|PerSample|within|clipnorm|weight_decay|unmasked", plain.replace("linear", ""))


# -- what single layers and settings say ------------------------------------------------------------------------------


def _read_layer(kind: str, line: str = "keras3", **config: Any) -> dict[str, Any]:
    return configs.to_ours(_later(kind, **config), Writer(line))["config"]


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_bilinear_upsampling_goes_from_centre_to_centre(order: str) -> None:
    x = np.random.RandomState(0).normal(size=(2, 3, 4, 5)).astype("float32")
    last = order == "channels_last"
    wanted = x if last else np.moveaxis(x, 1, -1)
    for axis, k in ((1, 2), (2, 3)):
        n = wanted.shape[axis]
        at_ = np.clip((np.arange(n * k) + 0.5) / k - 0.5, 0, n - 1)
        low = np.floor(at_).astype(int)
        part = (at_ - low).reshape([-1 if i == axis else 1 for i in range(4)])
        high = np.minimum(low + 1, n - 1)
        wanted = np.take(wanted, low, axis) * (1 - part) + np.take(wanted, high, axis) * part
    config = _read_layer("UpSampling2D", name="up", size=[2, 3], data_format=order, interpolation="bilinear")
    with _quiet():
        y = K.eval(deserialize({"class_name": "UpSampling2D", "config": config})(K.constant(x)))
    np.testing.assert_allclose(y if last else np.moveaxis(y, 1, -1), wanted, atol=1e-5)


def test_layers_that_2_3_1_does_not_have() -> None:
    random = np.random.RandomState(1)
    x = random.normal(size=(2, 3, 4)).astype("float32")
    gamma, beta = random.normal(size=(2, 3, 4)).astype("float32")
    for axis, axes in ((-1, (2,)), ([1, 2], (1, 2))):
        config = _read_layer("LayerNormalization", name="n", axis=axis, epsilon=0.01, rms_scaling=False)
        weights = [gamma, beta] if len(axes) == 2 else [gamma[0], beta[0]]
        with _quiet():
            layer = deserialize({"class_name": "LayerNormalization", "config": config})
            layer.build((None, 3, 4))
            layer.set_weights(weights)
            y = K.eval(layer(K.constant(x)))
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        wanted = weights[0] * (x - mean) / np.sqrt(variance + 0.01) + weights[1]
        np.testing.assert_allclose(y, wanted, atol=1e-5)
    config = _read_layer("Rescaling", name="r", scale=[1.0, 2.0, 3.0, 4.0], offset=-1.0)
    y = K.eval(deserialize({"class_name": "Rescaling", "config": config})(K.constant(x)))
    np.testing.assert_allclose(y, x * [1, 2, 3, 4] - 1, atol=1e-6)


@pytest.mark.parametrize("kind", ["GlobalAveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling1D"])
def test_global_pooling_may_keep_its_axes(kind: str) -> None:
    rank = int(kind[-2])
    x = np.random.RandomState(0).normal(size=(2, 5, 4, 3)[: rank + 1] + (3,)).astype("float32")
    axes = tuple(range(1, rank + 1))
    with _quiet():
        for order in ("channels_last", "channels_first"):
            given = x if order == "channels_last" else np.moveaxis(x, -1, 1)
            config = _read_layer(kind, name="pool", data_format=order, keepdims=True)
            layer = deserialize({"class_name": kind, "config": config})
            y = K.eval(layer(K.constant(given)))
            assert y.shape == layer.compute_output_shape(given.shape)
            wanted = (x.max if "Max" in kind else x.mean)(axes, keepdims=True)
            np.testing.assert_allclose(y if order == "channels_last" else np.moveaxis(y, 1, -1), wanted, atol=1e-6)
            assert layer.get_config()["keepdims"]


def test_everything_that_can_not_be_followed_is_named_at_once() -> None:
    layers = [
        _later("Conv2D", name="one", filters=4, kernel_size=[3, 3], groups=2),
        _later("GRU", name="two", units=3, time_major=True, dtype="float32"),
        _later("Dense", name="three", units=3, kernel_initializer={"class_name": "FromTheMoon", "config": {}}),
        _later("Dense", name="fine", units=3, lora_rank=None, quantization_config=None, seed=3),
    ]
    with pytest.raises(ValueError, match=r"3 places.*'one' has groups=2.*'two' has time_major=true.*FromTheMoon"):
        configs.to_ours({"class_name": "Sequential", "config": {"layers": layers}}, Writer("keras3"))


@pytest.mark.parametrize(
    ("schedule", "rate", "decay"),
    [
        ({"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_rate": 1.0}}, 0.1, None),
        (
            {
                "class_name": "InverseTimeDecay",
                "config": {"initial_learning_rate": 0.1, "decay_rate": 0.5, "decay_steps": 10, "staircase": False},
            },
            0.1,
            0.05,
        ),
    ],
)
def test_schedules_that_there_is_a_word_for(schedule: dict[str, Any], rate: float, decay: float | None) -> None:
    settings = {"optimizer": {"class_name": "SGD", "config": {"learning_rate": schedule}}, "loss": "mse"}
    ours = configs.training_to_ours(settings, Writer("keras3"))
    assert ours is not None
    assert ours["optimizer_config"]["config"].get("learning_rate") == rate
    assert ours["optimizer_config"]["config"].get("decay") == decay


def test_settings_that_can_not_be_followed_are_named_at_once() -> None:
    schedule = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10}}
    settings = {
        "optimizer": {
            "class_name": "RMSprop",
            "config": {"learning_rate": schedule, "centered": True, "use_ema": True},
        },
        "loss": {"class_name": "Dice", "config": {}},
        "metrics": [{"class_name": "F1Score", "config": {}}],
    }
    with pytest.raises(ValueError, match=r"5 places.*Dice.*CosineDecay.*centered.*use_ema.*F1Score.*compile=False"):
        configs.training_to_ours(settings, Writer("keras3"))


def test_accuracy_with_several_units_compares_rows_there() -> None:
    settings = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["accuracy"]}
    ours = [configs.training_to_ours(settings, Writer("keras3"), {"y": size}) for size in (1, 3)]
    assert ours[0] is not None and ours[0]["metrics"] == ["accuracy"]
    assert ours[1] is not None and ours[1]["metrics"][0]["class_name"] == "CategoricalAccuracy"


# -- Keras 0.3 --------------------------------------------------------------------------------------------------------


OF_KERAS_0 = [
    path
    for path in golden._paths(ROOT, ["keras-0.3.3-theano"])
    # Theano pads strided "same" convolutions otherwise, which API level 0.3 decides; the optimizers' cases are alike.
    if golden._Case(path).file("weights")
    and path.stem != "convolution__convolution2d_1"
    and "optimizers" not in path.parts
]


@pytest.mark.parametrize("path", golden._cases(OF_KERAS_0))
@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_a_config_of_keras_0_is_read(path: Path, level: str) -> None:
    case = golden._Case(path)
    with golden._as_there(case.data), _quiet(), api_level(level):
        model = model_from_json(json.dumps(case.data["config"]))
        model.load_weights(str(case.file("weights")))
        outputs = case.data["graph"][1] if "graph" in case.data else ()
        model.compile("sgd", dict.fromkeys(outputs, "mse") or "mse")
        golden._check_predictions(model, case, "pred", tight=True)


# -- genuine Keras 3 --------------------------------------------------------------------------------------------------

PEERS = Path(os.environ.get("KERAS_3_PYTHON", "a Python with Keras 3"))
# Run by genuine Keras 3, for each file given: predictions, the optimizer's state, and a step of training.
READER = """
import json, os, sys, warnings
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy as np
folder = sys.argv[1]
for name in json.load(open(folder + "/cases.json")):
    with np.load(f"{folder}/{name}.npz") as data:
        x = [data[f"x{i}"] for i in range(data["inputs"])]
        y = [data[f"y{i}"] for i in range(data["outputs"])]
    x, y = (x[0] if len(x) == 1 else x), (y[0] if len(y) == 1 else y)
    found = {}
    for ending in ("keras", "h5"):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = keras.models.load_model(f"{folder}/{name}.{ending}")
        bad = [str(w.message) for w in said if "optimizer" in str(w.message)]
        assert not bad, (name, ending, bad)
        p = model.predict(x, batch_size=4, verbose=0)
        for i, one in enumerate(p if isinstance(p, list) else [p]):
            found[f"{ending}_p{i}"] = one
        for i, v in enumerate(model.optimizer.variables):
            found[f"{ending}_s{i}"] = np.asarray(v)
        if ending == "keras":  # Keras 3 can not always train what it read from h5, its own files neither
            h = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
            found["loss"] = np.asarray(h["loss"])
    model.load_weights(f"{folder}/{name}.weights.h5")
    p = model.predict(x, batch_size=4, verbose=0)
    for i, one in enumerate(p if isinstance(p, list) else [p]):
        found[f"weights_p{i}"] = one
    np.savez(f"{folder}/{name}.out.npz", **found)
"""
# Cases that train there as here; in the others epsilon stands elsewhere, or masked steps count.
GENUINE = {
    "models/functional_two_outputs__a": False,
    "models/nested_autoencoder__b": False,
    "models/shared_lstm__a": True,
    "models/vgg__b": True,
    "normalization/batchnorm__default": True,
    "optimizers/adam__2": True,
    "optimizers/adamax__1": True,
    "optimizers/adadelta__2": True,
    "optimizers/sgd__1": True,
    "optimizers/sgd__4": True,
    "recurrent/bidirectional__masked": True,
    "recurrent/cells__a": True,
    "recurrent/gru__default": True,
}


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="KERAS_3_PYTHON names a Python with Keras 3 and PyTorch")
def test_genuine_keras_3_reads_our_files_and_goes_on(tmp_path: Path) -> None:
    """Predictions within 1e-6, the same state of the optimizer, and, where it computes the same, the same training."""
    paths = _of_2_3_1(list(GENUINE))
    histories: dict[str, Any] = {}
    wanted: dict[str, list[np.ndarray]] = {}
    with _quiet():
        for path in paths:
            K.clear_session()
            case = golden._Case(path)
            model = _trained(case)
            for ending in ("keras", "h5"):
                model.save(str(tmp_path / f"{path.stem}.{ending}"), to="keras3")
            model.save_weights(str(tmp_path / f"{path.stem}.weights.h5"))
            x, y = case.many("x"), case.many("y")
            data = {**{f"x{i}": a for i, a in enumerate(x)}, **{f"y{i}": a for i, a in enumerate(y)}}
            np.savez(tmp_path / f"{path.stem}.npz", inputs=len(x), outputs=len(y), **data)
            p = model.predict(case.one_or_list("x"), batch_size=4)
            wanted[path.stem] = p if isinstance(p, list) else [p]
            history = model.fit(*case.training, batch_size=4, epochs=2, shuffle=False, verbose=0).history
            histories[path.stem] = history["loss"] if GENUINE[f"{path.parts[-2]}/{path.stem}"] else None
    (tmp_path / "cases.json").write_text(json.dumps([path.stem for path in paths]))
    run = subprocess.run([PEERS, "-c", READER, tmp_path], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-3000:]
    for path in paths:
        with np.load(tmp_path / f"{path.stem}.out.npz") as out:
            for kind in ("keras", "h5", "weights"):
                for i, want in enumerate(wanted[path.stem]):
                    got = out[f"{kind}_p{i}"]
                    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=f"{path.stem} {kind}")
            if histories[path.stem] is not None:
                np.testing.assert_allclose(out["loss"], histories[path.stem], rtol=1e-5, err_msg=path.stem)
