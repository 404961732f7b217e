"""Abuse tests 1 to 3: nothing in a file or config is run, imported or called.

Every way in is tried with code that would write a file, and that file is looked for.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat import activations, initializers, layers, losses, metrics, optimizers, regularizers
from keras_compat.engine.byte_code import THIS_PYTHON, written_by
from keras_compat.layers import Dense, Input, Lambda
from keras_compat.models import (
    Model,
    Sequential,
    clone_model,
    load_model,
    model_from_config,
    model_from_json,
    model_from_yaml,
)
from keras_compat.saving import CorruptFileError, UnsafeModelError
from keras_compat.utils.generic_utils import deserialize_keras_object

# `lambda x, n=2: [x * n + len(str(i)) for i in range(3)][0]`, compiled by each Python.
WRITTEN = {
    "Python 2": ""
    "YwIAAAADAAAABgAAAEMAAABzNQAAAGcAAHQAAGQBAIMBAERdIAB9AgB8AAB8AQAUdAEAdAIAfAIAgwEAgwEAF14CAHENAGQCABlT"
    "KAMAAABOaQMAAABpAAAAACgDAAAAdAUAAAByYW5nZXQDAAAAbGVudAMAAABzdHIoAwAAAHQBAAAAeHQBAAAAbnQBAAAAaSgAAAAA"
    "KAAAAABzDQAAAC90bXAvaDNjL3cucHl0CAAAADxsYW1iZGE+AgAAAHQAAAAA",
    "Python 3.0 to 3.7": ""
    "4wIAAAAAAAAAAgAAAAMAAAADAAAAcxwAAACHAIcBZgJkAWQChAh0AGQDgwFEAIMBZAQZAFMAKQVOYwEAAAAAAAAAAgAAAAYAAAAT"
    "AAAAcyAAAABnAHwAXRh9AYgBiAAUAHQAdAF8AYMBgwEXAJECcQRTAKkAKQLaA2xlbtoDc3RyKQLaAi4w2gFpKQLaAW7aAXhyAQAA"
    "APoNL3RtcC9oM2Mvdy5wefoKPGxpc3Rjb21wPgIAAABzAgAAAAYAehw8bGFtYmRhPi48bG9jYWxzPi48bGlzdGNvbXA+6QMAAADp"
    "AAAAACkB2gVyYW5nZSkCcgcAAAByBgAAAHIBAAAAKQJyBgAAAHIHAAAAcggAAADaCDxsYW1iZGE+AgAAAPMAAAAA",
    "Python 3.8 to 3.10": ""
    "4wIAAAAAAAAAAAAAAAIAAAADAAAAAwAAAHMcAAAAhwCHAWYCZAFkAoQIdABkA4MBRACDAWQEGQBTACkFTmMBAAAAAAAAAAAAAAAC"
    "AAAABgAAABMAAABzIAAAAGcAfABdDH0BiAGIABQAdAB0AXwBgwGDARcAkQJxAlMAqQApAtoDbGVu2gNzdHIpAtoCLjDaAWmpAtoB"
    "btoBeHIBAAAA+g0vdG1wL2gzYy93LnB52go8bGlzdGNvbXA+AgAAAHMCAAAAIAB6HDxsYW1iZGE+Ljxsb2NhbHM+LjxsaXN0Y29t"
    "cD7pAwAAAOkAAAAAKQHaBXJhbmdlKQJyCAAAAHIHAAAAcgEAAAByBgAAAHIJAAAA2gg8bGFtYmRhPgIAAABzAgAAABwA",
    "Python 3.13": ""
    "4wIAAAAAAAAAAAAAAAkAAAADAAAA83YAAACVAFsBAAAAAAAAAABTATUBAAAAAAAAEwBWAnMCLwBzAkgcAABvIFUBLQUAAFsDAAAA"
    "AAAAAABbBQAAAAAAAAAAVQI1AQAAAAAAADUBAAAAAAAALQAAAFACTR4AAAsAIABzAm4CUwIFAAAAJABzAiAAcwJuAmYAKQNO6QMA"
    "AADpAAAAACkD2gVyYW5nZdoDbGVu2gNzdHIpA9oBeNoBbtoBaXMDAAAAICAg2g0vdG1wL2gzYy93LnB52gg8bGFtYmRhPnILAAAA"
    "AgAAAHMuAAAAgAC0FbBxtBjTEzqxGKhBmAGRRZxDpAOgQaMGm0vUFCexGNETOrgx0hM9+dITOnMEAAAAjiI2BA==",
}

pytestmark = pytest.mark.usefixtures("without_kernels")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A path that the code in hostile files creates; the test fails where it is there in the end."""
    path = tmp_path / "canary"
    modules = set(sys.modules)
    yield path
    assert not path.exists(), "code from a file was run"
    new = {name for name in set(sys.modules) - modules if name.partition(".")[0] in ("antigravity", "this", "turtle")}
    assert not new, f"imported at the word of a file: {new}"


def payload(canary: Path) -> str:
    """Byte code that creates the canary, as Keras 2 writes functions."""
    source = f"lambda x: (open({str(canary)!r}, 'w').close(), x)[1]"
    return base64.b64encode(marshal.dumps(eval(source).__code__)).decode()


def doubling() -> str:
    return base64.b64encode(marshal.dumps((lambda x: x * 2.0).__code__)).decode()


def lambda_layer(code: Any, name: str = "evil", **more: Any) -> dict[str, Any]:
    config = {"name": name, "trainable": True, "function": [code, None, None], "function_type": "lambda", **more}
    return {"class_name": "Lambda", "config": config}


def sequential(*entries: dict[str, Any]) -> dict[str, Any]:
    dense = Dense(2, input_shape=(3,), name="first").get_config()
    return {
        "class_name": "Sequential",
        "config": {"name": "model", "layers": [{"class_name": "Dense", "config": dense}, *entries]},
    }


def h5_file(config: Any, path: Path) -> Path:
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"] = b"2.3.1"
        f.attrs["backend"] = b"tensorflow"
        f.attrs["model_config"] = json.dumps(config)
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = [b"first"]
        part = group.create_group("first")
        part.attrs["weight_names"] = [b"first/kernel:0", b"first/bias:0"]
        part["first/kernel:0"] = np.zeros((3, 2), "float32")
        part["first/bias:0"] = np.zeros(2, "float32")
    return path


def keras_file(config: Any, path: Path) -> Path:
    """An archive as Keras 3 writes it."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as f:
        variables = f.create_group("layers/dense/vars")
        variables["0"], variables["1"] = np.zeros((3, 2), "float32"), np.zeros(2, "float32")
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("metadata.json", json.dumps({"keras_version": "3.3.0", "date_saved": "2024-01-01@00:00:00"}))
        z.writestr("config.json", json.dumps(config))
        z.writestr("model.weights.h5", stream.getvalue())
    return path


DOORS: dict[str, Callable[[Any, Path, dict[str, Any]], Any]] = {
    "h5": lambda config, tmp, how: load_model(h5_file(config, tmp / "m.h5"), **how),
    "h5 stream": lambda config, tmp, how: load_model(io.BytesIO(h5_file(config, tmp / "m.h5").read_bytes()), **how),
    "keras": lambda config, tmp, how: load_model(keras_file(config, tmp / "m.keras"), **how),
    "json": lambda config, tmp, how: model_from_json(json.dumps(config), **how),
    "yaml of json": lambda config, tmp, how: model_from_yaml(json.dumps(config), **how),
    "yaml": lambda config, tmp, how: model_from_yaml(yaml_of(config), **how),
    "config": lambda config, tmp, how: model_from_config(config, **how),
    "from_config": lambda config, tmp, how: Sequential.from_config(config["config"], **how),
    "Lambda.from_config": lambda config, tmp, how: Lambda.from_config(config["config"]["layers"][1]["config"], **how),
}
# Functions that have no word for allowing code: there is none in them for any argument.
CLOSED = {
    "layers.deserialize": lambda config: layers.deserialize(config["config"]["layers"][1]),
    "deserialize_keras_object": lambda config: deserialize_keras_object(
        config["config"]["layers"][1], {"Lambda": Lambda}
    ),
    "a wrapper": lambda config: model_from_config(
        sequential({"class_name": "TimeDistributed", "config": {"layer": config["config"]["layers"][1]}})
    ),
    "a model in a model": lambda config: model_from_config(sequential(config)),
}


def yaml_of(config: Any) -> str:
    return pytest.importorskip("yaml").dump(config)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("said", [{}, {"allow_code": False}, {"allow_code": None}])
def test_1_byte_code_is_refused_at_every_door(door: str, said: dict[str, Any], tmp_path: Path, canary: Path) -> None:
    if said and door.endswith("from_config") and said["allow_code"] is None:
        said = {}
    with pytest.raises(UnsafeModelError, match="never run unasked") as caught:
        DOORS[door](sequential(lambda_layer(payload(canary))), tmp_path, said)
    for part in ("'evil'", f"({THIS_PYTHON})", "custom_objects={'evil': function}"):
        assert part in str(caught.value)


@pytest.mark.parametrize("door", CLOSED)
def test_1_byte_code_is_refused_by_what_has_no_word_for_it(door: str, canary: Path) -> None:
    with pytest.raises(UnsafeModelError, match="never run unasked"):
        CLOSED[door](sequential(lambda_layer(payload(canary))))


@pytest.mark.parametrize("form", ["keras 3", "keras 1.0", "merge", "output_shape", "mask"])
def test_1_byte_code_in_other_forms_and_places(form: str, canary: Path) -> None:
    code = payload(canary)
    raw = base64.b64decode(code).decode("latin1")
    forms: dict[str, dict[str, Any]] = {
        "keras 3": {"function": {"class_name": "__lambda__", "config": {"code": code, "defaults": None}}},
        "keras 1.0": {"function": raw, "function_type": "lambda"},
        "mask": {"function": "relu", "function_type": "raw", "mask": [code, None, None]},
        "output_shape": {"function": [code, None, None], "function_type": "lambda"}
        | {"output_shape": [code, None, None], "output_shape_type": "lambda"},
    }
    entry = lambda_layer(None)
    if form == "merge":
        parts = {"mode": raw, "mode_type": "lambda", "name": "evil", "output_shape": None, "output_shape_type": "raw"}
        entry = {"class_name": "Merge", "config": parts}
    else:
        del entry["config"]["function_type"]
        entry["config"] |= forms[form]
    with pytest.raises(UnsafeModelError, match="never run unasked"):
        model = model_from_config(sequential(entry))
        model.predict(np.ones((1, 3)))


def test_1_all_layers_of_byte_code_are_named_at_once(canary: Path) -> None:
    entries = [lambda_layer(payload(canary), name) for name in ("one", "two")]
    inner = sequential(lambda_layer(payload(canary), "three"))
    with pytest.raises(UnsafeModelError, match="3 of them.*'one'.*'two'.*'three'"):
        model_from_config(sequential(*entries, inner))
    with pytest.raises(UnsafeModelError, match="2 of them.*'one'.*'three'"):
        model_from_config(sequential(*entries, inner), {"two": lambda x: x})


@pytest.mark.parametrize("said", [1, "yes", [True], 1.0])
def test_1_only_true_allows(said: Any, tmp_path: Path, canary: Path) -> None:
    for door in DOORS:
        with pytest.raises(TypeError, match="allow_code is True or False"):
            DOORS[door](sequential(lambda_layer(payload(canary))), tmp_path, {"allow_code": said})


@pytest.mark.parametrize("door", [name for name in DOORS if name != "Lambda.from_config"])
def test_1_allowed_code_of_this_python_works(door: str, tmp_path: Path) -> None:
    model = DOORS[door](sequential(lambda_layer(doubling())), tmp_path, {"allow_code": True})
    x = np.ones((2, 3), "float32")
    half = Model(model.inputs, model.layers[-2].output)
    np.testing.assert_allclose(model.predict(x), 2 * half.predict(x))


def test_1_permission_ends_with_the_call(canary: Path) -> None:
    model_from_config(sequential(lambda_layer(doubling())), allow_code=True)
    with pytest.raises(UnsafeModelError):
        model_from_config(sequential(lambda_layer(payload(canary))))

    class Inner(Dense):
        """Reads another model while it is read, without a word about code."""

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            with pytest.raises(UnsafeModelError):
                model_from_config(sequential(lambda_layer(payload(canary))))
            return super().from_config(config)

    entry = {"class_name": "Inner", "config": Inner(2, name="inner").get_config()}
    model_from_config(sequential(entry, lambda_layer(doubling())), {"Inner": Inner}, allow_code=True)


@pytest.mark.parametrize("version", WRITTEN)
def test_1_code_of_another_python_is_never_run(version: str) -> None:
    assert written_by(WRITTEN[version]) == version
    if version == THIS_PYTHON:
        pytest.skip("is this Python's")
    with pytest.raises(UnsafeModelError, match=f"'evil' is byte code of {version}, which {THIS_PYTHON} can not run"):
        model_from_config(sequential(lambda_layer(WRITTEN[version])), allow_code=True)


@pytest.mark.parametrize("code", ["", "!", "4wAAA", "YQ==", "\xe3\x00", "A" * 1000, "KAUAAAA=", None, 3])
def test_1_what_is_no_code_is_refused_cleanly(code: Any) -> None:
    with pytest.raises(UnsafeModelError):
        model_from_config(sequential(lambda_layer(code)), allow_code=True)


def test_1_a_function_from_custom_objects_takes_the_place_of_code(tmp_path: Path, canary: Path) -> None:
    for door in DOORS:
        made = DOORS[door](
            sequential(lambda_layer(payload(canary), output_shape=[payload(canary), None, None])),
            tmp_path,
            {"custom_objects": {"evil": lambda x: 3.0 * x}},
        )
        assert made is not None
    nested = {"class_name": "Sequential", "config": {"layers": [sequential(lambda_layer(payload(canary)))]}}
    model_from_config(nested, {"evil": lambda x: 3.0 * x}).predict(np.ones((1, 3)))


def test_1_clones_of_live_models_keep_their_functions() -> None:
    scale = 4.0
    model = Sequential([Dense(2, input_shape=(3,)), Lambda(lambda x: scale * x)])
    x = np.ones((1, 3), "float32")
    copies = [clone_model(model), Sequential.from_config(model.get_config()), model_from_json(model.to_json())]
    for copy in copies:
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy.predict(x), model.predict(x))


HOSTILE_NAMES = (
    *("os.system", "builtins.eval", "eval", "exec", "system", "types.FunctionType", "FunctionType", "__import__"),
    *("get_file", "load_model", "model_from_json", "enable_unsafe_deserialization", "func_load", "save_model"),
    *("keras_compat.models.load_model", "numpy.load", "np.load", "pickle.loads", "antigravity", "TorchModuleWrapper"),
    *("TFSMLayer", "SavedModel", "StringLookup", "TextVectorization"),
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_2_and_3_names_from_outside_the_registries_are_refused_everywhere(name: str, canary: Path) -> None:
    argument = str(canary)
    entry = {
        "module": name.rpartition(".")[0] or "os",
        "class_name": name,
        "config": {"name": "x", "function": name, "vocabulary": argument, "fname": argument, "origin": "file:///x"},
        "registered_name": name,
        "build_config": {"input_shape": [None, 3]},
    }
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        model_from_config(sequential(entry))
    for module in (layers, initializers, regularizers, optimizers, losses, metrics):
        with pytest.raises(ValueError):
            module.deserialize(entry)
    for module in (activations, initializers, losses, metrics, regularizers):
        with pytest.raises(ValueError):
            module.get(name)
    within = Dense(2, name="d").get_config()
    for key in ("activation", "kernel_initializer", "kernel_regularizer", "bias_constraint"):
        for value in (name, entry):
            with pytest.raises(ValueError):
                model_from_config(sequential({"class_name": "Dense", "config": within | {key: value}}))
    function = {"name": "evil", "function": name, "function_type": "function", "module": "os", "output_shape": [2]}
    with pytest.raises(ValueError):
        model_from_config(sequential({"class_name": "Lambda", "config": function}))


def test_2_module_keys_are_ignored() -> None:
    config = sequential()
    config |= {"module": "antigravity", "registered_name": "os>system"}
    config["config"]["layers"][0] |= {"module": "this", "registered_name": "builtins>eval"}
    before = set(sys.modules)
    model_from_config(config).predict(np.ones((1, 3)))
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


@pytest.mark.parametrize("name", ["relu", "mean_squared_error", "binary_accuracy", "softmax", "Adam", "GlorotUniform"])
def test_3_a_name_of_another_family_is_no_layer(name: str) -> None:
    with pytest.raises(ValueError):
        model_from_config(sequential({"class_name": name, "config": {"x": [1.0]}}))


def test_3_functions_are_not_called_where_a_class_is_meant() -> None:
    for module, name in ((activations, "relu"), (losses, "mean_squared_error"), (metrics, "binary_accuracy")):
        with pytest.raises(ValueError, match="name of a class"):
            module.deserialize({"class_name": name, "config": {"x": 1.0}})


def test_3_registries_hold_nothing_that_opens_files() -> None:
    from keras_compat.utils.generic_utils import registries

    words = ("file", "load", "save", "open", "import", "eval", "exec", "unsafe", "system")
    for family in registries():
        assert not [name for name in family if any(word in name.lower() for word in words)], family.kind
        assert all(callable(entry) for entry in family.values())


def test_unknown_classes_are_named_at_once_wherever_they_are() -> None:
    config = sequential(
        {"class_name": "MyLayer", "config": {"name": "mine"}},
        {"class_name": "TimeDistributed", "config": {"name": "t", "layer": {"class_name": "Other", "config": {}}}},
        {
            "class_name": "Dense",
            "config": {"units": 2, "kernel_initializer": {"class_name": "MyInit", "config": {}}, "name": "d"},
        },
    )
    with pytest.raises(ValueError, match=r"3 are not: 'MyLayer' \(at model/mine\).*'Other'.*'MyInit'") as caught:
        model_from_config(config)
    assert "custom_objects={'MyLayer': MyLayer, 'Other': Other, 'MyInit': MyInit}" in str(caught.value)


def test_custom_objects_are_known_at_every_depth() -> None:
    class Mine(Dense):
        pass

    class Init(initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return np.full(shape, 2.0)

    def act(x: Any) -> Any:
        return x

    x = Input((4, 3))
    inner = Sequential([Mine(2, kernel_initializer=Init(), activation=act, input_shape=(3,))], name="inner")
    model = Model(x, layers.TimeDistributed(Sequential([inner], name="outer"))(x))
    known = {"Mine": Mine, "Init": Init, "act": act}
    copy = model_from_json(model.to_json(), custom_objects=known)
    np.testing.assert_array_equal(copy.predict(np.ones((1, 4, 3))), model.predict(np.ones((1, 4, 3))))
    with pytest.raises(ValueError, match="2 are not: 'Mine'.*'Init'"):
        model_from_json(model.to_json())


def test_configs_that_no_keras_wrote_are_refused_cleanly() -> None:
    good = sequential()
    for change in (
        {"config": None},
        {"config": 5},
        {"config": {"name": "m"}},
        {"config": {"layers": 3}},
        {"config": {"layers": [None]}},
        {"config": {"layers": [[]]}},
        {"config": {"layers": [{}]}},
        {"class_name": ["Sequential"]},
        {"class_name": None},
        {"class_name": "Model", "config": {"layers": [], "input_layers": [["a", 0, 0]], "output_layers": []}},
        {"class_name": "Model", "config": {"layers": [], "input_layers": [[]], "output_layers": 3}},
    ):
        with pytest.raises((ValueError, TypeError, CorruptFileError)):
            model_from_config(good | change)
