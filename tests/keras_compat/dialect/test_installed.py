"""The real classes: an old call and a new one give equal configs. What does not exist yet is not collected.

The calls come from the tables: each old word gets an example value of its kind, in turn and all at once.
"""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, union-attr"

from __future__ import annotations

import sys

import pytest

import keras_compat
from keras_compat.dialect import api_level, tables, translate
from keras_compat.dialect.install import PACKAGE, known_paths, spec_of

# Example values by word, else by kind of word.
BY_WORD = {
    "nb_row": 3,
    "nb_col": 2,
    "target_shape": (6,),
    "dims": (2, 1),
    "n": 3,
    "activation": "relu",
    "p": 0.25,
    "sigma": 0.5,
    "init": "he_uniform",
    "noise_shape": None,
    "seed": 7,
    "lr": 0.5,
    "m": 3.0,
    "low": 0.25,
    "high": 0.75,
    "border_mode": "same",
    "dim_ordering": "th",
    "consume_less": "cpu",
    "forget_bias_init": "zero",
    "W_regularizer": {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.5},
    "W_constraint": {"name": "MaxNorm", "m": 3, "axis": 0},
    "bias": False,
    "length": 3,
    "pool_length": 3,
    "stride": 2,
    "inner_activation": "tanh",
    "input_dtype": "float32",
    "input_dim": 5,
    "mask_value": 1.0,
    "function": abs,
}
# What a class needs although its signature does not say so.
ALWAYS = {"layers:InputLayer": {"input_shape": (4,)}}
BY_KIND = {
    "initializer": "he_uniform",  # nowhere a default
    "activation": "tanh",
    "integer": 4,
    "integers": 2,
    "number": 0.25,
    "fraction": 0.5,
}


def real_classes() -> list[str]:
    """Return the paths of classes with `get_config` that are wrapped."""
    found = []
    for path in known_paths():
        module, _, name = path.partition(":")
        cls = getattr(sys.modules.get(f"{PACKAGE}.{module}"), name, None)
        if isinstance(cls, type) and spec_of(cls) is not None and hasattr(cls, "get_config") and module != "models":
            found.append(path)
    return found


def cases() -> list[tuple[str, str]]:
    """Return (path, old word) for each word that can be tried alone."""
    found = []
    for path in real_classes():
        spec = spec_of(cls_of(path))
        if None not in required(spec).values():
            found += [(path, word) for word in sorted(spec.rename) if example(spec, word) is not None]
    return found


def cls_of(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(sys.modules[f"{PACKAGE}.{module}"], name)


# Words that mean another kind of thing in one place.
BY_PLACE = {
    ("layers:BatchNormalization", "mode"): 1,
    ("layers:TimeDistributedMerge", "mode"): "ave",
    # 'valid' is all that they take.
    ("layers:LocallyConnected1D", "border_mode"): None,
    ("layers:LocallyConnected2D", "border_mode"): None,
    # 2 is the default.
    ("layers:MaxPooling1D", "stride"): 3,
    ("layers:AveragePooling1D", "stride"): 3,
    # It computes in one way only.
    ("layers:SimpleRNN", "consume_less"): None,
    # Its default is 0.
    ("layers:Recurrent", "consume_less"): "gpu",
}


def example(spec, word):
    if (spec.path, word) in BY_PLACE:
        return BY_PLACE[spec.path, word]
    return BY_WORD.get(word, BY_KIND.get(spec.kinds.get(word, "any")))


def required(spec, without=()) -> dict:
    """Return example values for what the class requires, in new words; None where there is no example."""
    old_of = {new: old for old, news in spec.rename.items() for new in news}
    values = {}
    for word in spec.modern:
        if word in spec.modern_required and word not in without:
            values[word] = example(spec, word if example(spec, word) is not None else old_of.get(word, word))
    return values | ALWAYS.get(spec.path, {})


def config_of(path: str, *args, **kwargs) -> dict:
    cls = cls_of(path)
    config = cls(*args, **kwargs).get_config()
    config.pop("name", None)
    return config


needs_package = pytest.mark.skipif(keras_compat.__file__ is None, reason="keras_compat/__init__.py is not there yet")


@needs_package
def test_the_slice_that_exists_is_covered():
    assert {"layers:Dense", "layers:Activation", "layers:Dropout", "layers:Flatten", "layers:Reshape"} <= set(
        real_classes()
    )


@pytest.mark.parametrize(("path", "word"), cases())
def test_an_old_word_is_its_new_one(path, word):
    spec = spec_of(cls_of(path))
    value = example(spec, word)
    rest = required(spec, without=spec.targets(word))
    _, new, notes = translate(spec, (), {word: value, **rest})
    assert notes and word not in new
    assert config_of(path, **{word: value}, **rest) == config_of(path, **new)


@pytest.mark.parametrize(("path", "word"), [c for c in cases() if c[1] not in ("input_dtype",)])
def test_an_old_word_changes_what_it_names(path, word):
    """Else the test above would pass for a class that ignores the word."""
    spec = spec_of(cls_of(path))
    rest = required(spec, without=spec.targets(word))
    if any(target in spec.modern_required for target in spec.targets(word)):
        pytest.skip("required: there is nothing to compare with")
    with_word = config_of(path, **{word: example(spec, word)}, **rest)
    assert with_word != config_of(path, **rest)


@pytest.mark.parametrize("path", [p for p in real_classes() if p in tables.V1_POSITIONAL])
def test_positions_of_keras_1_are_its_words(path):
    spec = spec_of(cls_of(path))
    given = {}
    for word in spec.legacy:
        value = example(spec, word)
        if value is None or word in spec.dropped or not spec.targets(word):
            break
        given[word] = value
    if not given or len(given) < len(spec.legacy_required):
        pytest.skip("no example values")
    with api_level("1.2"):
        assert config_of(path, *given.values()) == config_of(path, **given)


@needs_package
def test_the_example_of_the_issue():
    layers, regularizers = sys.modules["keras_compat.layers"], sys.modules["keras_compat.regularizers"]
    old = layers.Dense(output_dim=32, init="uniform", W_regularizer=regularizers.l2(0.01), name="d")
    new = layers.Dense(32, kernel_initializer="uniform", kernel_regularizer=regularizers.l2(0.01), name="d")
    assert old.get_config() == new.get_config()
