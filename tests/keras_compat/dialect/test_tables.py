"""The tables against the signatures of genuine Keras, and against calls that people wrote for it.

The signatures and the recorded programs lie beside the repository (`../shared`); without them these tests are
skipped.
"""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, index, return-value"

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_compat.dialect import tables, translate
from keras_compat.dialect.spec import spec_for, words

SHARED = Path(__file__).resolve().parents[4] / "shared"
pytestmark = pytest.mark.skipif(not (SHARED / "keras_api").is_dir(), reason="no Keras signatures beside the repository")


def modules_of(release: str) -> dict:
    path = SHARED / "keras_api" / f"keras-{release}.json"
    return json.loads(path.read_text())["modules"] if path.is_file() else {}


V1, V2, V0 = modules_of("1.2.2"), modules_of("2.3.1"), modules_of("0.3.3-extras")
LAYER_MODULES = [
    f"keras.layers.{name}"
    for name in (
        "advanced_activations convolutional convolutional_recurrent core cudnn_recurrent embeddings local "
        "merge noise normalization pooling recurrent wrappers"
    ).split()
] + ["keras.engine.topology", "keras.engine.base_layer", "keras.engine.input_layer", "keras.legacy.layers"]
# Where genuine Keras defines what the tables name by its public module.
HOMES = {
    "layers": LAYER_MODULES,
    "models": ["keras.engine.training", "keras.engine.topology", "keras.engine.sequential", "keras.models"],
    "callbacks": ["keras.callbacks", "keras.callbacks.callbacks"],
}
HOMES["models"].append("keras.engine.network")
# Parts of the engine that nobody constructs: (class) -> reason.
NOT_LAYERS = {"Node": "made by layers", "InputSpec": "the same in both", "Container": "the base of Model"}
# Layers without a Keras 2 equivalent: real classes that speak Keras 1, so nothing is translated.
LEGACY_LAYERS = (
    "AutoEncoder Highway LambdaMerge MaxoutDense Merge ParametricSoftplus SReLU Siamese SiameseHead "
    "TimeDistributedDense TimeDistributedMerge"
).split()
# What 2.3.1 keeps elsewhere: in the package keras_applications, in a module for each TensorFlow.
ELSEWHERE_IN_2_3_1 = {"applications.inception_v3:conv2d_bn", "callbacks:TensorBoard"}


def find(modules: dict, path: str) -> dict | None:
    """Return the facts of `module:name` or `module:Class.method`."""
    module, _, qualname = path.partition(":")
    outer, _, method = qualname.partition(".")
    # Global pooling inherits an `__init__` that is not on record.
    if path.startswith("layers:Global") and path.endswith(("2D", "3D")) and modules in (V1, V2):
        word = {"name": "dim_ordering", "default": "'default'"}
        if modules is V2:
            word = {"name": "data_format", "default": "None"}
        return {"params": [word, {"name": "kwargs", "kind": "kwargs"}]}
    if qualname in ("Model", "Model.summary"):
        return find(modules, path.replace("Model", "Container" if modules is V1 else "Network"))
    old_names = [old for old, new in tables.ALIASES.get(module, {}).items() if new == outer]
    for home in HOMES.get(module, []) + [f"keras.{module}"]:
        for name in [outer, *old_names]:
            facts = modules.get(home, {}).get(name, {})
            if method:
                if method in facts.get("methods", {}):
                    return facts["methods"][method]
            elif "params" in facts or "methods" in facts:
                return facts
    if outer == "Sequential" and method:
        return find(modules, f"models:Model.{method}")
    return None


def params_of(facts: dict) -> list[dict]:
    if "params" in facts:
        return facts["params"]
    return facts.get("methods", {}).get("__init__", {}).get("params", [])


def plain(params: list[dict]) -> list[dict]:
    return [p for p in params if p.get("kind") not in ("varargs", "kwargs")]


def standin(params: list[dict]):
    """Make a function with the given signature that returns what it got."""
    namespace = SimpleNamespace(K=SimpleNamespace(floatx=lambda: "float32"), losses_utils=None)
    parts = []
    for p in params:
        star = {"varargs": "*", "kwargs": "**"}.get(p.get("kind"), "")
        default = f"={p['default']}" if "default" in p else ""
        parts.append(f"{star}{p['name']}{default}")
    scope = vars(namespace).copy()
    exec(f"def f({', '.join(parts)}):\n    return dict(locals())", scope)
    return scope["f"]


def modern_spec(path: str):
    """Return the spec of a callable with 2.3.1's signature, and the stand-in; None for Keras 1 only."""
    facts = find(V2, path)
    if path in ("layers:AtrousConvolution1D", "layers:AtrousConvolution2D"):
        facts = find(V2, path.replace("AtrousConvolution", "Conv"))
    if facts is None:
        return None, None
    target = standin(params_of(facts))
    return spec_for(path, target), target


def bound(target, args, kwargs) -> dict:
    """Return what the call gives the target, `**kwargs` spread out."""
    got = target(*args, **kwargs)
    return {**{k: v for k, v in got.items() if k != "kwargs"}, **got.get("kwargs", {})}


def v1_layers() -> list[str]:
    """Return every layer class of 1.2.2 by its path in the tables."""
    found = set()
    for module in LAYER_MODULES:
        for name, facts in V1.get(module, {}).items():
            if facts["kind"] != "class" or facts.get("reexported") or facts.get("incidental") or "of" in facts:
                continue
            if name not in NOT_LAYERS:
                found.add("layers:" + tables.ALIASES["layers"].get(name, name))
    return sorted(found)


def rows() -> list[str]:
    return sorted(path for path in tables.V1_POSITIONAL if find(V1, path) is not None)


def test_genuine_signatures_are_found():
    assert len(v1_layers()) > 55
    assert len(rows()) > 110


@pytest.mark.parametrize("path", v1_layers())
def test_every_layer_of_keras_1_has_a_row(path):
    assert path in tables.V1_POSITIONAL


@pytest.mark.parametrize("path", rows())
def test_positional_order_is_that_of_1_2_2(path):
    order, required = words(tables.V1_POSITIONAL[path])
    genuine = plain(params_of(find(V1, path)))
    assert list(order) == [p["name"] for p in genuine]
    expected = {p["name"] for p in genuine if "default" not in p}
    if path == "layers:Conv2DTranspose":
        expected.remove("output_shape")  # Keras 2.3.1's legacy support does without
    assert required == expected


def test_rows_without_a_genuine_callable_are_those_of_keras_0():
    unknown = set(tables.V1_POSITIONAL) - set(rows())
    for path in unknown:
        assert find(V0, path) is not None or path == "models:Model", path


def test_every_word_of_keras_1_is_accepted_or_dropped_with_a_reason():
    missing = []
    for path in rows():
        spec, _ = modern_spec(path)
        if spec is None:
            known = path.split(":")[1] in LEGACY_LAYERS or path in ELSEWHERE_IN_2_3_1
            assert known, f"{path} is neither in 2.3.1 nor a legacy layer"
            continue
        for parameter in plain(params_of(find(V1, path))):
            word = parameter["name"]
            targets = spec.targets(word)
            if word in spec.dropped:
                assert len(spec.dropped[word][1]) > 10
            elif not targets or not (spec.keywords >= set(targets) or spec.open):
                missing.append((path, word))
    assert not missing


def test_every_new_word_exists_in_2_3_1():
    wrong = []
    for path, renames in tables.RENAME.items():
        spec, _ = modern_spec(path)
        if spec is None:
            continue
        for old, new in renames.items():
            for word in (new,) if isinstance(new, str) else new:
                # kernel_format is a word of this package alone.
                if word not in spec.keywords and word != "kernel_format":
                    wrong.append((path, old, word))
    # Renamed between two releases of Keras 2: the signature on record is the older one.
    wrong.remove(("preprocessing.image:random_channel_shift", "intensity", "intensity_range"))
    assert not wrong


def test_words_that_keras_2_3_1_supported_itself_are_the_same_here():
    facts = json.loads((SHARED / "keras_api" / "legacy_argument_names.json").read_text())["callables"]
    checked = 0
    for dotted, fact in facts.items():
        name = dotted.split(".")[-1]
        owner = dotted.split(".")[-2]
        if name in ("InputLayer",):
            path = f"layers:{name}"
        elif owner == "Model":
            path = f"models:Model.{name}"
        elif dotted.startswith("keras.layers") and not name.startswith("_"):
            path = f"layers:{name}"
        else:
            continue
        spec, _ = modern_spec(path)
        for old, new in fact.get("arguments", {}).items():
            if (name, old) in {
                ("evaluate_generator", w) for w in ("nb_epoch", "nb_val_samples", "samples_per_epoch")
            } | {("predict_generator", w) for w in ("nb_epoch", "nb_val_samples", "samples_per_epoch")} | {
                ("fit_generator", "val_samples"),
                ("SimpleRNN", "inner_activation"),
                ("SimpleRNN", "consume_less"),
            }:
                continue  # 2.3.1 shares one list among several callables; these never belonged to this one
            assert spec.targets(old) == (new,), (path, old)
            checked += 1
        for old, values in fact.get("values", {}).items():
            assert tables.VALUES[old] == values, (path, old)
    assert checked > 150


def differing_defaults() -> list[tuple[str, str, str, str]]:
    """Return (path, new word, 1.2.2's default, 2.3.1's default) wherever they are written differently."""
    found = []
    for path in rows():
        spec, _ = modern_spec(path)
        if spec is None:
            continue
        now = {p["name"]: p.get("default") for p in plain(params_of(find(V2, path) or {"params": []}))}
        for parameter in plain(params_of(find(V1, path))):
            for word in spec.targets(parameter["name"]):
                before = parameter.get("default")
                if before is not None and now.get(word) is not None and before != now[word]:
                    found.append((path, word, before, now[word]))
    return found


def test_a_default_that_differs_has_a_row_or_means_the_same():
    unexplained = [
        item
        for item in differing_defaults()
        if item[1] not in tables.DEFAULTS.get(item[0], {}) and item[2:] not in tables.SAME_DEFAULTS
    ]
    assert not unexplained


def test_no_default_is_listed_for_nothing():
    found = {item[2:] for item in differing_defaults()}
    assert found >= tables.SAME_DEFAULTS
    for path, by_word in tables.DEFAULTS.items():
        for word, by_level in by_word.items():
            assert set(by_level) <= {"0.3", "1.2", "2.2"}, (path, word)


@pytest.mark.parametrize(
    ("path", "word"), [(path, word) for path, by_word in tables.DEFAULTS.items() for word in by_word]
)
def test_a_default_follows_the_level(path, word):
    facts = find(V2, path) or find(V1, path)  # a layer of Keras 1 only
    spec = spec_for(path, standin(params_of(facts)))
    required = {name: object() for name in spec.modern if name in spec.modern_required}
    for level in ("1.2", "2.2", "2.3"):
        _, kwargs, notes = translate(spec, (), required, level)
        by_level = tables.DEFAULTS[path][word]
        if level in by_level:
            assert kwargs[word] == by_level[level]
        else:
            assert word not in kwargs
        assert not notes
    given = object()
    _, kwargs, _ = translate(spec, (), {**required, word: given}, "1.2")
    assert kwargs[word] is given


def genuine_default(path: str, old_word: str) -> str:
    return next(p["default"] for p in params_of(find(V1, path)) if p["name"] == old_word)


@pytest.mark.parametrize(
    ("path", "old_word", "word"),
    [
        ("layers:LSTM", "inner_activation", "recurrent_activation"),
        ("layers:GRU", "inner_activation", "recurrent_activation"),
        ("models:Model.fit", "nb_epoch", "epochs"),
        ("models:Model.summary", "line_length", "line_length"),
        ("models:Sequential.predict_classes", "verbose", "verbose"),
        ("optimizers:Adam", "epsilon", "epsilon"),
        ("optimizers:Nadam", "epsilon", "epsilon"),
        ("preprocessing.image:DirectoryIterator", "save_format", "save_format"),
    ],
)
def test_defaults_of_level_1_2_are_the_genuine_ones(path, old_word, word):
    assert tables.DEFAULTS[path][word]["1.2"] == ast.literal_eval(genuine_default(path, old_word))


def test_scales_of_the_initializers_are_the_genuine_ones():
    facts = V1["keras.initializations"]
    scale = {name: p["default"] for name, f in facts.items() for p in f.get("params", ()) if p["name"] == "scale"}
    assert float(scale["orthogonal"]) == tables.V1_INITIALIZERS["orthogonal"]["config"]["gain"]
    # Not in the table, because Keras 2 means the same.
    assert (scale["uniform"], scale["normal"], scale["identity"]) == ("0.05", "0.05", "1")
    now = {p["name"]: p["default"] for p in params_of(V2["keras.initializers"]["RandomUniform"])}
    assert now["maxval"] == "0.05"
    assert set(tables.V1_INITIALIZERS) <= set(facts)


def test_aliases_name_old_things_and_kinds_are_known():
    for module, names in tables.ALIASES.items():
        known = set()
        for modules in (V0, V1, V2):
            for home in HOMES.get(module, []) + [f"keras.{module}", "keras.utils.visualize_util"]:
                known |= set(modules.get(home, {}))
        assert set(names) <= known, module
    assert not set(tables.INITIALIZER_NAMES.split()) & set(tables.ACTIVATION_NAMES.split())


# --- calls that people wrote --------------------------------------------------------------------------------


class Opaque:
    """Stands for a value that only running the program would tell."""

    def __call__(self, *args):
        raise AssertionError("translate must not call what it is given")


def calls_in(code: str):
    """Yield (name, args, kwargs) of every call with plain positional arguments."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or any(isinstance(a, ast.Starred) for a in node.args):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
        if name is None or any(k.arg is None for k in node.keywords):
            continue

        def value(node):
            try:
                return ast.literal_eval(node)
            except ValueError:
                return Opaque()

        yield name, [value(a) for a in node.args], {k.arg: value(k.value) for k in node.keywords}


def recorded_calls(pattern: str):
    for path in sorted((SHARED / "golden").glob(pattern)):
        case = json.loads(path.read_text())
        codes = [case.get("code"), case.get("compile")]
        for code in codes:
            if isinstance(code, str):
                for name, args, kwargs in calls_in(code):
                    name = tables.ALIASES["layers"].get(name, name)
                    name = tables.ALIASES["constraints"].get(name, name)
                    for module in ("layers", "models", "optimizers", "constraints"):
                        if f"{module}:{name}" in tables.V1_POSITIONAL:
                            yield path.stem, f"{module}:{name}", args, kwargs


def test_programs_of_keras_1_fit_keras_2_signatures():
    seen = set()
    for case, path, args, kwargs in recorded_calls("keras-1.2.2-*/*/*.json"):
        spec, target = modern_spec(path)
        if spec is None:
            continue
        seen.add(path)
        for level in ("1.2", "2.3"):
            new_args, new_kwargs, _ = translate(spec, args, kwargs, level)
            got = bound(target, new_args, new_kwargs)
            old_words = set(got) & (spec.old - spec.keywords)
            assert not old_words, (case, path, old_words)
    assert len(seen) > 35


def test_programs_of_keras_2_are_left_as_they_are():
    count = 0
    for case, path, args, kwargs in recorded_calls("keras-2.*/*/*.json"):
        spec, target = modern_spec(path)
        if spec is None or case.startswith("legacy_spelling"):
            continue
        new_args, new_kwargs, notes = translate(spec, args, kwargs, "2.3")
        expected = bound(target, args, kwargs)
        got = bound(target, new_args, new_kwargs)
        for words_of in (expected, got):
            (
                words_of.pop("input_dim", None),
                words_of.pop("input_length", None),
                words_of.pop("input_shape", None),
            )
        if "lr" in expected:
            expected["learning_rate"] = expected.pop("lr")
        assert got == expected, (case, path)
        assert all(note.old == "lr=" for note in notes), (case, path, notes)
        count += 1
    assert count > 200


def test_old_words_arrive_as_2_3_1_itself_understood_them():
    """2.3.1 read these programs and wrote down what it made of them."""
    paths = sorted((SHARED / "golden").glob("keras-2.*/*/legacy_spelling__*.json"))
    assert len(paths) > 3
    for path in paths:
        calls = [
            c for c in recorded_calls(path.relative_to(SHARED / "golden").as_posix()) if c[1] != "models:Sequential"
        ]
        (_, name, args, kwargs) = calls[0]
        spec, target = modern_spec(name)
        got = bound(target, *translate(spec, args, kwargs, "2.3")[:2])
        config = json.loads(path.read_text())["config"]
        layer = (config["config"] if isinstance(config["config"], list) else config["config"]["layers"])[0]["config"]
        for word in spec.modern:
            kind = spec.kinds.get(word)
            # Objects are written as configs there, and an orthogonal start keeps Keras 1's gain here.
            if kind not in ("penalty", "initializer", "activation") and got[word] is not None:
                expected = layer[word]
                assert got[word] == (tuple(expected) if isinstance(expected, list) else expected), (
                    path.stem,
                    word,
                )
        if "input_shape" in got:
            assert list(got["input_shape"]) == layer["batch_input_shape"][1:]
        if "recurrent_activation" in got:
            assert got["recurrent_activation"] == layer["recurrent_activation"] == "sigmoid"


@pytest.mark.parametrize("path", [p for p in rows() if p.startswith(("layers:", "optimizers:", "constraints:"))])
def test_all_words_of_keras_1_at_once_by_name_and_by_position(path):
    """Every word gets its genuine default; both ways must arrive as the same Keras 2 call."""
    spec, target = modern_spec(path)
    if spec is None or path.endswith(".get_updates"):
        pytest.skip("speaks Keras 1 only")
    scope = {"K": SimpleNamespace(floatx=lambda: "float32")}
    given = {}
    for parameter in plain(params_of(find(V1, path))):
        word = parameter["name"]
        kind = spec.kinds.get(word)
        required = {"activation": "relu", "shape": (3, 4), "initializer": "uniform"}.get(kind, 3)
        given[word] = eval(parameter["default"], scope) if "default" in parameter else required
    by_name = translate(spec, (), given, "1.2")
    by_position = translate(spec, tuple(given.values()), {}, "1.2")
    assert bound(target, *by_name[:2]) == bound(target, *by_position[:2])
    for word in given:
        for new in spec.targets(word) if word not in spec.dropped else ():
            if new != "input_shape":
                assert new in bound(target, *by_name[:2])
