"""The public names of every line: each exists, is of its kind, and is tried by some test or golden case.

What genuine Keras offered lies beside the repository (`../shared/keras_api`); without it only the names that are
there are looked at. A name counts as tried when a test uses it: as a name, an attribute, an import, or a word of a
string that a test is parametrised with.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import keras_compat
from keras_compat.dialect import tables

HERE = Path(__file__).resolve().parent
API = HERE.parents[2] / "shared" / "keras_api"

# Parts of this package that other modules of it use; programs do not.
INTERNAL = {
    "layers.register",
    "losses.as_floats",
    "metrics.Reduce",
    "metrics.SensitivitySpecificityBase",
    "optimizers.updates_of",
    "utils.generic_utils.to_snake_case",
    "utils.generic_utils.unknown_arguments",
    "utils.generic_utils.unknown_name",
}


# Of Keras 0.3.3, and why not.
NOT_OF_0X = {
    "keras.preprocessing.image.ImageDataGenerator.next()": "`flow` gives what has it: one generator, several flows",
    "keras.preprocessing.image.GraphImageDataGenerator.next()": "the same",
    "keras.preprocessing.image.random_channel_shift(rg=)": "an empty function there",
    "keras.preprocessing.image.random_zoom(rg=)": "gave pictures of another size",
}


def our_modules() -> list[ModuleType]:
    names = (
        "activations backend constraints engine.base_layer engine.saving engine.topology engine.training "
        "engine.training_utils initializers initializations layers legacy.interfaces losses metrics models optimizers "
        "regularizers utils utils.conv_utils utils.generic_utils utils.io_utils utils.layer_utils "
        "utils.multi_gpu_utils utils.np_utils utils.vis_utils utils.visualize_util applications "
        "callbacks preprocessing.image preprocessing.sequence preprocessing.text wrappers.scikit_learn"
    ).split()
    return [importlib.import_module(f"keras_compat.{name}") for name in names]


def public_names() -> list[tuple[str, str]]:
    """Return (module, name) of every public class and function of ours."""
    found = []
    for module in our_modules():
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", "") == module.__name__ or module.__name__ == "keras_compat.layers"
            if not name.startswith("_") and ours and (inspect.isclass(value) or callable(value)):
                found.append((module.__name__.removeprefix("keras_compat."), name))
    return found


def words_of(path: Path) -> set[str]:
    """Return every identifier and every word of a string in a Python file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(re.findall(r"[A-Za-z_]\w*", node.value))
    return found


def tried() -> set[str]:
    found: set[str] = set()
    for path in (*HERE.rglob("*.py"), *(HERE.parent / "reliability").glob("*.py")):
        if path.name != Path(__file__).name:
            found |= words_of(path)
    for path in (HERE / "golden").rglob("*.json"):
        case = json.loads(path.read_text())
        for field in ("code", "compile", "callbacks"):
            found.update(re.findall(r"[A-Za-z_]\w*", str(case.get(field) or "")))
    return found


def same_thing(module: ModuleType, value: Any) -> set[str]:
    """Return all names of an object in a module."""
    return {name for name, other in vars(module).items() if other is value}


def test_every_public_name_is_tried():
    known = tried()
    untried = []
    for module_name, name in public_names():
        module = importlib.import_module(f"keras_compat.{module_name}")
        if f"{module_name}.{name}" not in INTERNAL and not known & same_thing(module, getattr(module, name)):
            untried.append(f"{module_name}.{name}")
    assert not untried, f"{len(untried)} names without a test: {', '.join(untried)}"


@pytest.mark.slow
def test_a_name_without_a_test_is_noticed():
    assert "".join(("quite_a_new", "_name")) not in tried()
    assert {"Dense", "categorical_crossentropy", "get_source_inputs"} <= tried()


def checker() -> Any:
    if not (API / "check_api.py").is_file():
        pytest.skip("no Keras signatures beside the repository")
    spec = importlib.util.spec_from_file_location("check_api", API / "check_api.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("release", ["1.2.2", "2.3.1", "2.2.4", "0.3.3"])
def test_the_names_of_a_release_are_there(release):
    api = checker()
    rules = api.load_not_applicable(str(API / "not_applicable.txt"))
    facts = api.load_release(release)
    assert len(facts) > 10
    missing = []
    for module, record in api.Checker("keras_compat", rules).check(facts).items():
        for name in [*record["missing"], *record["wrong_kind"]]:
            missing.append(f"{module}.{name}")
        missing += [name for name in record["missing_members"] if release != "0.3.3" or name not in NOT_OF_0X]
        assert record["problem"] is None, record["problem"]
    assert not missing, f"{len(missing)} of Keras {release} are missing: {', '.join(missing)}"


def test_aliases_are_the_very_objects():
    for module_name, names in tables.ALIASES.items():
        module = importlib.import_module(f"keras_compat.{module_name}")
        for old, new in names.items():
            if f"{module_name}:{old}" not in tables.ALIASES_WITH_BEHAVIOUR:
                assert getattr(module, old) is getattr(module, new), (module_name, old, new)
            else:
                assert callable(getattr(module, old)), (module_name, old)


@pytest.mark.parametrize(
    "line",
    [
        "keras.layers.core.Dense",
        "keras.layers.convolutional.Convolution2D",
        "keras.layers.convolutional.MaxPooling2D",
        "keras.layers.recurrent.LSTM",
        "keras.layers.embeddings.Embedding",
        "keras.layers.normalization.BatchNormalization",
        "keras.layers.noise.GaussianNoise",
        "keras.layers.advanced_activations.LeakyReLU",
        "keras.layers.wrappers.TimeDistributed",
        "keras.layers.containers.Graph",
        "keras.layers.merge.Concatenate",
        "keras.engine.topology.Layer",
        "keras.engine.training.Model",
        "keras.engine.base_layer.InputSpec",
        "keras.engine.saving.load_model",
        "keras.objectives.mse",
        "keras.initializations.glorot_uniform",
        "keras.regularizers.l2",
        "keras.legacy.layers.Highway",
        "keras.legacy.interfaces.legacy_get_updates_support",
        "keras.utils.np_utils.to_categorical",
        "keras.utils.visualize_util.plot",
        "keras.utils.vis_utils.plot_model",
        "keras.utils.layer_utils.print_summary",
        "keras.utils.io_utils.HDF5Matrix",
        "keras.utils.conv_utils.conv_output_length",
        "keras.utils.generic_utils.Progbar",
        "keras.datasets.mnist.load_data",
        "keras.backend.dot",
    ],
)
def test_module_paths_need_no_import_of_their_own(line):
    value: Any = keras_compat
    for part in line.split(".")[1:]:
        value = getattr(value, part)
    module, _, name = line.replace("keras.", "keras_compat.", 1).rpartition(".")
    assert getattr(importlib.import_module(module), name) is value


def test_where_programs_import_helpers_of_the_backend_from():
    for module in ("keras_compat.backend.common", "keras_compat.utils.conv_utils"):
        found = importlib.import_module(module)
        assert found.normalize_data_format is keras_compat.backend.normalize_data_format
    common = importlib.import_module("keras_compat.backend.common")
    assert keras_compat.backend.epsilon() == common._EPSILON


def test_star_imports():
    for module in ("backend", "layers", "layers.core", "models", "objectives", "optimizers"):
        space: dict[str, Any] = {}
        exec(f"from keras_compat.{module} import *", space)
        assert len(space) > 5


def test_a_star_import_of_the_backend_hides_no_module_of_a_program():
    space: dict[str, Any] = {}
    exec("from keras_compat.backend import *", space)
    modules = {name for name, value in space.items() if inspect.ismodule(value)}
    assert modules == {"np", "common"}  # as Keras's own
    assert {"conv2d", "rnn", "ctc_batch_cost", "pack", "sum"} <= set(space)


def test_the_settings_of_the_backend_are_those_of_its_common_module():
    common = keras_compat.backend.common
    before = common.epsilon()
    try:
        common.set_epsilon(1e-3)
        assert keras_compat.backend.epsilon() == common._EPSILON == 1e-3
    finally:
        keras_compat.backend.set_epsilon(before)
