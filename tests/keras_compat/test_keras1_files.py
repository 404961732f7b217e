"""What is written for Keras 1.2.2, against the files that it wrote itself: words, layouts, names, order of the state.

The golden data have a few of them, and ``KERAS_GOLDEN`` some 200; ``genuine/test_genuine.py`` lets 1.2.2 itself read.
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import autotensor as at
from keras_compat import layers
from keras_compat.dialect.level import api_level
from keras_compat.layers import LSTM, BatchNormalization, Conv1D, Conv2D, Dense, Input
from keras_compat.models import Model, Sequential, load_model, model_from_config
from keras_compat.saving.image_orders import with_image_orders
from keras_compat.saving.keras1_configs import to_keras1
from tests.keras_compat.genuine.models import BOTH, KERAS_1, KERAS_2, with_random_weights
from tests.keras_compat.test_golden import HERE, SHARED

FILES = sorted((SHARED if SHARED.is_dir() else HERE / "golden").glob("keras-1.2.2-*/*/*.model.h5"))
# What that version's config forgets, so that it can not read the file itself.
UNREADABLE = {"advanced_activations__prelu_shared.model"}
# Code in the file, which is not read.
CODE = ("lambda", "merge_function")
# Words that one side leaves out, with values that say nothing: 1.2.2 forgets some that it takes, and shapes of layers
# that are not the first come from its input_dim.
IDLE = {"batch_input_shape", "input_dtype", "input_dim", "input_length", "dim_ordering", "shared_axes", "subsample"}
IDLE |= {"beta_init", "gamma_init"}


def _check_config(ours: Any, theirs: Any, where: str = "") -> None:
    """The same in every word that both say; a word of one alone says nothing."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for word in {*ours, *theirs}:
            if word in ours and word in theirs:
                _check_config(ours[word], theirs[word], f"{where}.{word}")
            else:
                value = ours.get(word, theirs.get(word))
                assert word in IDLE or value in (None, 0, "cpu"), f"{where}.{word}: {value!r}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            _check_config(a, b, f"{where}[{i}]")
    elif where.endswith(".padding"):  # 2 is (2, 2), and (2, 1) is (2, 2, 1, 1)
        pairs = [theirs] if isinstance(theirs, int) else theirs
        assert ours == [p for p in pairs for _ in range(2)], where
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-6), where
    else:
        assert ours == theirs, where


def _arrays(group: Any, lists: str) -> list[tuple[str, np.ndarray]]:
    found = []
    for name in group.attrs["layer_names"] if lists == "layer_names" else [None]:
        part = group if name is None else group[name]
        found += [(n.decode(), part[n][()]) for n in part.attrs["weight_names"]]
    return found


@pytest.fixture(autouse=True)
def quiet_and_without_kernels() -> Any:
    with at.config.use(numba=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def written(model: Any, **how: Any) -> h5py.File:
    stream = io.BytesIO()
    model.save(stream, to="keras1", **how)
    return h5py.File(stream, "r")


@pytest.mark.parametrize("path", [pytest.param(p, id=f"{p.parts[-3]}-{p.stem}") for p in FILES])
def test_a_file_of_1_2_2_comes_out_as_it_went_in(path: Path) -> None:
    """Read, and written again: the same config, weights, compile settings and optimizer state."""
    if path.stem.startswith(CODE) or path.stem in UNREADABLE:
        pytest.skip("holds code, or forgets an argument of a layer")
    theano = "theano" in path.parts[-3]
    with api_level("1.2"), h5py.File(path, "r") as wanted:
        model = load_model(str(path))
        with written(model) as found:
            _check_config(*[json.loads(f.attrs["model_config"]) for f in (found, wanted)])
            ours, theirs = [_arrays(f["model_weights"], "layer_names") for f in (found, wanted)]
            assert [n.removesuffix(":0") for n, _ in ours] == [n.removesuffix(":0") for n, _ in theirs]
            _check_arrays(ours, theirs, theano)
            if "training_config" in wanted.attrs:
                _check_config(*[json.loads(f.attrs["training_config"]) for f in (found, wanted)])
            assert ("optimizer_weights" in found) == ("optimizer_weights" in wanted)
            if "optimizer_weights" in wanted:
                state = [_arrays(f["optimizer_weights"], "") for f in (found, wanted)]
                assert [a.dtype for _, a in state[0]] == [a.dtype for _, a in state[1]]
                _check_arrays(state[0], state[1], theano)


def _check_arrays(ours: Any, theirs: Any, theano: bool) -> None:
    assert [a.shape for _, a in ours] == [a.shape for _, a in theirs]
    for (name, a), (_, b) in zip(ours, theirs):
        if theano and a.ndim >= 4:  # kernels that Theano turned are written as TensorFlow has them
            assert np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)), name
        else:
            assert np.array_equal(a, b), name


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("name", ["cnn_first", "lstm", "nested", "frozen", "two_outputs", "optimizer_adam", "words"])
def test_it_is_read_here_too(name: str, level: str) -> None:
    """Same predictions, and training goes on bit by bit as it would have."""
    with api_level(level):
        model, x = BOTH[name]()
        with_random_weights(model, seed=3)
        given = x[0] if len(x) == 1 else x
        made = model.predict(given)
        y = [np.ones_like(v) for v in made] if isinstance(made, list) else np.ones_like(made)
        model.fit(given, y, epochs=1, batch_size=4, shuffle=False, verbose=0)
        stream = io.BytesIO()
        model.save(stream, to="keras1")
        stream.seek(0)
        again = load_model(stream)
        for a, b in zip(_listed(again.predict(given)), _listed(model.predict(given))):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
        losses = [
            m.fit(given, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history["loss"] for m in (model, again)
        ]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", sorted(KERAS_1))
def test_layers_of_keras_1_alone(name: str) -> None:
    model, x = KERAS_1[name]()
    with_random_weights(model, seed=3)
    stream = io.BytesIO()
    model.save(stream, to="keras1")
    stream.seek(0)
    given = x[0] if len(x) == 1 else x
    np.testing.assert_allclose(load_model(stream).predict(given), model.predict(given), atol=1e-6)


REFUSED = {
    "separable_1d": ["a SeparableConv1D", "activation='selu'", "amsgrad=True"],
    "depthwise": ["a DepthwiseConv2D", "max_value=1.0", "the loss 'logcosh'"],
    "cells": ["a RNN", "reset_after=True"],
    "states": ["return_state=True", "use_bias=False"],
    "causal": ["padding='causal'", "scale=False", "kernel_constraint=", "weighted_metrics"],
    "subtracted": ["a Subtract", "a Minimum", "normalize=True"],
    "applied_twice": ["layers called on what comes from their own output"],
}


@pytest.mark.parametrize("name", sorted(KERAS_2))
def test_all_that_1_2_2_lacks_is_named_at_once(name: str, tmp_path: Path) -> None:
    model, _ = KERAS_2[name]()
    path = tmp_path / "model.h5"
    path.write_bytes(b"what was there")
    with pytest.raises(ValueError, match="Keras 1.2.2 has no word for") as error:
        model.save(str(path), to="keras1")
    for words in REFUSED[name]:
        assert words in str(error.value)
    assert path.read_bytes() == b"what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["model.h5"]


def test_unequal_shapes_are_refused() -> None:
    """Keras 2 broadcasts, 1.2.2 does not."""
    a, b = Input((3,)), Input((1,))
    with pytest.raises(ValueError, match="inputs of different shapes"):
        written(Model([a, b], layers.add([Dense(4)(a), Dense(1)(b)])))


def test_words_of_1_2_2() -> None:
    kernel = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    dense = Dense(3, input_dim=4, kernel_regularizer="l2", kernel_constraint="max_norm", name="d")
    config = to_keras1({"class_name": "Dense", "config": dense.get_config()})
    assert config == {
        "class_name": "Dense",
        "config": {
            "name": "d",
            "trainable": True,
            "batch_input_shape": [None, 4],
            "input_dtype": "float32",
            "output_dim": 3,
            "init": "glorot_uniform",
            "activation": "linear",
            "W_regularizer": {"name": "L1L2Regularizer", **kernel["config"]},
            "b_regularizer": None,
            "activity_regularizer": None,
            "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0},
            "b_constraint": None,
            "bias": True,
        },
    }


@pytest.mark.parametrize(
    ("layer", "axis", "moved"),
    [
        (lambda c: Conv2D(2, (3, 3), kernel_constraint=c), [0, 1, 2], [0, 1, 2]),
        (lambda c: Conv2D(2, (3, 3), kernel_constraint=c, data_format="channels_first"), [0, 1, 2], [1, 2, 3]),
        (lambda c: Conv2D(2, (3, 3), kernel_constraint=c, data_format="channels_first"), 3, 0),
        (lambda c: Conv1D(2, 3, kernel_constraint=c), [0, 1], [0, 2]),
        (lambda c: layers.Conv2DTranspose(2, (3, 3), kernel_constraint=c), 2, 3),
        (lambda c: layers.Conv3D(2, 3, kernel_constraint=c, data_format="channels_first"), -1, 0),
    ],
)
def test_axes_of_constraints_go_with_the_kernel(layer: Any, axis: Any, moved: Any) -> None:
    made = layer({"class_name": "MaxNorm", "config": {"max_value": 2, "axis": axis}})
    config = to_keras1({"class_name": type(made).__name__, "config": made.get_config()})["config"]
    assert config["W_constraint"]["axis"] == moved


def test_gates_by_the_regularizer_of_u() -> None:
    """1.2.2 penalizes U by W_regularizer, but where gates are one product."""
    same = LSTM(3, kernel_regularizer="l2", recurrent_regularizer="l2")
    other = LSTM(3, kernel_regularizer="l2")
    words = [to_keras1({"class_name": "LSTM", "config": x.get_config()})["config"] for x in (same, other)]
    assert [w["consume_less"] for w in words] == ["cpu", "gpu"]
    assert words[1]["U_regularizer"] is None
    counts = []
    for layer in (same, other):
        model = Sequential([LSTM.from_config({**layer.get_config(), "batch_input_shape": (None, 4, 2)})])
        with written(model) as f:
            counts.append(len(_arrays(f["model_weights"], "layer_names")))
    assert counts == [12, 3]


def test_texts_are_bytes_and_weights_of_a_layer_in_a_group() -> None:
    model = Sequential([Dense(3, input_dim=2, name="a"), BatchNormalization(name="b")])
    model.compile("adam", "mse")
    with written(model) as f:
        assert f.attrs.get_id("model_config").get_type().get_cset() == h5py.h5t.CSET_ASCII
        assert f.attrs["keras_version"] == "1.2.2"
        assert "optimizer_weights" not in f  # it has not begun
        names = [n.decode() for n in f["model_weights/b"].attrs["weight_names"]]
        assert names == ["b_gamma:0", "b_beta:0", "b_running_mean:0", "b_running_std:0"]
    with written(model, include_optimizer=False) as f:
        assert "training_config" not in f.attrs
    stream = io.BytesIO()
    model.save_weights(stream, to="keras1")
    with h5py.File(stream, "r") as f:
        assert [n.decode() for n in f.attrs["layer_names"]] == ["a", "b"]
        assert np.array_equal(f["a/a_W:0"][()], model.get_weights()[0])


def test_names_that_an_attribute_can_not_hold_are_refused() -> None:
    """1.2.2 does not look for the rest of a list in other attributes."""
    with pytest.raises(ValueError, match="more than an attribute holds"):
        written(Sequential([Dense(1, input_dim=2, name="n" * 61_000)]))


def test_an_image_order_that_1_2_2_forgot_is_that_of_the_other_layers() -> None:
    """It writes none for layers that pad, crop and enlarge; at the default order they would take channels for rows."""

    def model(*orders: str) -> dict[str, Any]:
        parts = [("ZeroPadding2D", {"padding": [1, 1], "batch_input_shape": [None, 2, 6, 5], "name": "pad"})]
        size = {"nb_filter": 3, "nb_row": 3, "nb_col": 3}
        parts += [("Convolution2D", {**size, "dim_ordering": o, "name": f"conv_{i}"}) for i, o in enumerate(orders)]
        return {"class_name": "Sequential", "config": [{"class_name": c, "config": v} for c, v in parts]}

    said = with_image_orders(model("th", "th"))
    assert said["config"][0]["config"]["dim_ordering"] == "th"
    assert said["config"][1:] == model("th", "th")["config"][1:]
    assert model_from_config(model("th", "th")).output_shape == (None, 3, 4, 3)
    assert with_image_orders(model("th", "tf")) == model("th", "tf")
    assert with_image_orders(model()) == model()
