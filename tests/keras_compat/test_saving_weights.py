"""Which stored array becomes which weight, and in which layout: files of every line, made by hand or by ours.

Genuine files are in test_golden; here is what they do not show. The oracles are formulas and predictions.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import keras_compat
from keras_compat.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Conv2D,
    ConvLSTM2D,
    CuDNNGRU,
    CuDNNLSTM,
    Dense,
    Embedding,
    Flatten,
    Input,
    Layer,
    PReLU,
    SReLU,
    TimeDistributed,
)
from keras_compat.models import Model, Sequential, load_model
from keras_compat.saving import h5, layouts, models
from keras_compat.saving.stored import OWN_WORDS, Writer

RNG = np.random.default_rng(12)
pytestmark = pytest.mark.usefixtures("without_kernels")


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def write(path: Any, layers: dict[str, list[tuple[str, np.ndarray]]], **attributes: Any) -> Any:
    """A file of weights in the layout of Keras 1 and 2."""
    with h5py.File(path, "w") as f:
        h5.write_list(f, "layer_names", list(layers))
        f.attrs.update(attributes)
        for name, arrays in layers.items():
            part = f.create_group(name)
            h5.write_list(part, "weight_names", [n for n, _ in arrays])
            for n, array in arrays:
                part.create_dataset(n, data=array)
    return path


def scrambled(model: Any) -> Any:
    """The model with weights drawn anew; variances stay positive, or it would predict nothing but NaN."""
    drawn = [(w.name, numbers(*w.shape)) for w in model._weights_in_layer_order()]
    model.set_weights([np.abs(values) if "variance" in name else values for name, values in drawn])
    return model


# -- layouts ----------------------------------------------------------------------------------------------------------


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_gates_of_keras_1(level: str, tmp_path: Path) -> None:
    """Twelve arrays, i c f o; also in a TimeDistributed's place: a Bidirectional layer in a model in a model."""
    w = [numbers(*s) for s in [(3, 2), (2, 2), (2,)] * 8]
    words = [f"{part}_{gate}" for gate in "icfo" for part in "WUb"]
    arrays = [(f"{side}_lstm_1_{word}", a) for side, some in (("forward", w[:12]), ("backward", w[12:])) for word, a in
              zip(words, some)]  # fmt: skip
    path = write(tmp_path / "w.h5", {"model_9": arrays})
    x = numbers(2, 4, 3)
    with keras_compat.api_level(level):
        inner_in = Input((4, 3))
        lstm = LSTM(2, recurrent_activation="sigmoid", name="lstm_1")
        inner = Model(inner_in, Bidirectional(lstm, merge_mode="concat")(inner_in), name="model_9")
        outer_in = Input((4, 3))
        model = Model(outer_in, inner(outer_in))
        model.load_weights(path)
        out = model.predict(x)
    sides = []
    for some, steps in ((w[:12], x), (w[12:], x[:, ::-1])):
        h = c = np.zeros((2, 2))
        for t in range(4):
            i, new, f, o = (steps[:, t] @ some[3 * k] + h @ some[3 * k + 1] + some[3 * k + 2] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
            h = sigmoid(o) * np.tanh(c)
        sides.append(h)
    np.testing.assert_allclose(out, np.concatenate(sides, axis=-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("shape", [(3, 1, 2, 4), (4, 2, 3, 1)], ids=["1.2", "before 1.2"])
@pytest.mark.parametrize("ending", ["", ":0"], ids=["theano", "tensorflow"])
def test_kernels_of_convolution1d(level: str, shape: tuple, ending: str, tmp_path: Path) -> None:
    kernel, bias, x = numbers(*shape), numbers(4), numbers(2, 6, 2)
    path = write(tmp_path / "w.h5", {"c": [(f"c_W{ending}", kernel), (f"c_b{ending}", bias)]})
    with keras_compat.api_level(level):
        model = Sequential([Conv1D(4, 3, input_shape=(6, 2), name="c")])
        model.load_weights(path)
        out = model.predict(x)
    plain = kernel[:, 0] if shape[0] == 3 else kernel[..., 0].transpose(2, 1, 0)
    plain = plain if ending else plain[::-1]
    for t in range(4):
        want = np.einsum("nki,kif->nf", x[:, t : t + 3], plain) + bias
        np.testing.assert_allclose(out[:, t], want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("square", [2, 3], ids=["as many filters as channels", "more"])
@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_kernels_of_channels_first_in_keras_1(square: int, level: str, tmp_path: Path) -> None:
    kernel, bias = numbers(square, 2, 2, 2), numbers(square)
    path = write(tmp_path / "w.h5", {"c": [("c_W:0", kernel), ("c_b:0", bias)]})
    x = numbers(2, 2, 4, 4)
    with keras_compat.api_level(level):
        model = Sequential([Conv2D(square, 2, input_shape=(2, 4, 4), data_format="channels_first", name="c")])
        model.load_weights(path)
        out = model.predict(x)
    want = np.einsum("nirc,firc->nf", x[:, :, 1:3, 1:3], kernel) + bias
    np.testing.assert_allclose(out[:, :, 1, 1], want, rtol=1e-3, atol=1e-4)


def test_what_theano_turned_is_decided_by_the_caller_first(tmp_path: Path) -> None:
    kernel, bias = numbers(2, 2, 1, 3), numbers(3)

    def loaded(path: Any, **how: Any) -> np.ndarray:
        model = Sequential([Conv2D(3, 2, input_shape=(4, 4, 1), name="c")])
        model.load_weights(path, **how)
        return model.get_weights()[0]

    turned = kernel[::-1, ::-1]
    there = {"c": [("c/kernel:0", kernel), ("c/bias:0", bias)]}
    path = write(tmp_path / "a.h5", there, keras_version="2.1.3", backend="theano")
    np.testing.assert_array_equal(loaded(path), turned)
    np.testing.assert_array_equal(loaded(path, original_backend="tensorflow"), kernel)
    path = write(tmp_path / "b.h5", there, keras_version="2.1.3", backend="tensorflow")
    np.testing.assert_array_equal(loaded(path, original_backend="theano"), turned)
    nameless = write(tmp_path / "c.h5", {"c": [("param_0", kernel), ("param_1", bias)]})
    with pytest.warns(UserWarning, match="does not tell whether Theano wrote it.*original_backend='theano'"):
        np.testing.assert_array_equal(loaded(nameless), kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(loaded(nameless, original_backend="theano"), turned)
    with pytest.raises(ValueError, match="original_backend is one of theano"):
        loaded(path, original_backend="numpi")


def test_a_whole_model_of_theano_by_the_callers_word(tmp_path: Path) -> None:
    model = scrambled(Sequential([Conv2D(3, 2, input_shape=(4, 4, 1))]))
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", compile=False, original_backend="theano")
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0][::-1, ::-1])


CUDNN: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
    (lambda: CuDNNLSTM(3), lambda: LSTM(3, recurrent_activation="sigmoid")),
    (lambda: CuDNNGRU(3), lambda: GRU(3, recurrent_activation="sigmoid", reset_after=True)),
    (
        lambda: Bidirectional(CuDNNLSTM(3)),
        lambda: Bidirectional(LSTM(3, recurrent_activation="sigmoid")),
    ),
]


@pytest.mark.parametrize("pair", CUDNN, ids=["lstm", "gru", "bidirectional"])
def test_cudnn_and_plain_layers_take_each_others_weights(pair: Any, tmp_path: Path) -> None:
    x = numbers(2, 5, 4)
    for source, target in (pair, pair[::-1]):
        model = scrambled(Sequential([TimeDistributed(Dense(4), input_shape=(5, 4)), source(), Dense(2)]))
        model.save_weights(tmp_path / "w.h5")
        other = Sequential([TimeDistributed(Dense(4), input_shape=(5, 4)), target(), Dense(2)])
        other.load_weights(tmp_path / "w.h5")
        np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-4, atol=1e-5)


def test_a_gru_with_one_bias_is_not_one_with_two(tmp_path: Path) -> None:
    Sequential([GRU(3, input_shape=(4, 2))]).save_weights(tmp_path / "w.h5")
    model = Sequential([GRU(3, reset_after=True, input_shape=(4, 2))])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"1 places.*\(2, 9\), the file \(9,\)"):
        model.load_weights(tmp_path / "w.h5")
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(2, input_shape=(3, 4)),
        lambda: GRU(2, input_shape=(3, 4)),
        lambda: LSTM(2, input_shape=(3, 4), consume_less="gpu"),
        lambda: Bidirectional(LSTM(2), input_shape=(3, 4)),
        lambda: Conv1D(2, 2, input_shape=(3, 4)),
        lambda: ConvLSTM2D(2, 2, input_shape=(3, 4, 4, 1)),
        lambda: keras_compat.layers.Convolution2D(2, 2, 2, input_shape=(3, 4, 4), dim_ordering="th"),
        lambda: keras_compat.layers.Deconvolution2D(
            2, 2, 2, output_shape=(None, 2, 5, 5), input_shape=(3, 4, 4), dim_ordering="th"
        ),
    ],
)
def test_files_of_the_first_level_are_keras_2s(make: Any, tmp_path: Path) -> None:
    """Written at level 1.2 a file has 2.3.1's arrays; read there it is the same model, and goes on bit by bit."""
    path = tmp_path / "m.h5"
    with keras_compat.api_level("1.2"):
        model = Sequential([make(), Flatten(), Dense(2)])
        model.compile("adam", "mse")
        x = numbers(4, *model.input_shape[1:])
        y = numbers(4, 2)
        model.fit(x, y, nb_epoch=2, batch_size=2, shuffle=False, verbose=0)
        model.save(path)
        again = load_model(path)
        for m in (model, again):
            m.fit(x, y, nb_epoch=1, batch_size=2, shuffle=False, verbose=0)
        assert [w.tobytes() for w in again.get_weights()] == [w.tobytes() for w in model.get_weights()]
        wanted = load_model(path).predict(x)
    np.testing.assert_allclose(load_model(path, compile=False).predict(x), wanted, rtol=1e-4, atol=1e-5)
    with h5py.File(path) as f:
        assert "kernel_format" not in f.attrs["model_config"]
        stored = f["model_weights"][f["model_weights"].attrs["layer_names"][0]]
        shapes = [stored[n].shape for n in stored.attrs["weight_names"]]
        config = json.loads(f.attrs["model_config"])
    with keras_compat.api_level("2.3"):
        layer = keras_compat.models.model_from_config(config).layers[0]
    assert shapes == [tuple(w.shape) for w in layer.weights]


def test_conversions_there_and_back() -> None:
    with keras_compat.api_level("1.2"):
        for layer in (ConvLSTM2D(2, 3, data_format="channels_first", kernel_format="channels_first"), LSTM(2), GRU(2)):
            shape = (None, 4, 3, 6, 6) if isinstance(layer, ConvLSTM2D) else (None, 4, 3)
            layer.build(shape)
            before = [numbers(*w.shape) for w in layer.weights]
            names = [w.name for w in layer.weights]
            middle = layouts.keras_2_form(layer, before)
            assert len(middle) == 3
            after = layouts.fitted(layer, layer.weights, middle, [], Writer("keras2"))
            assert all((a == b).all() for a, b in zip(before, after)) and len(names) == len(after)


# -- matching ---------------------------------------------------------------------------------------------------------


def nested(frozen: Sequence[str] = (), names: Callable[[str], str] = str) -> Model:
    """A model in a model, with layers that have the same shapes."""
    x = Input((4,))
    y = BatchNormalization(name=names("bn_1"))(Dense(4, name=names("dense_1"))(x))
    y = BatchNormalization(name=names("bn_2"))(Dense(4, name=names("dense_2"))(y))
    inner = Model(x, y, name=names("inner_1"))
    for layer in inner.layers:
        layer.trainable = layer.name not in frozen
    outer = Input((4,))
    return Model(outer, Dense(2, name=names("top_1"))(inner(outer)))


def shifted(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return f"{stem}_{int(number) + 8}"  # dense_10 comes before dense_9 as a text


@pytest.mark.parametrize("names", [str, shifted], ids=["same names", "other numbers"])
@pytest.mark.parametrize("frozen", [(), ("bn_1",), ("dense_1", "bn_2"), ("bn_9", "bn_10"), ("dense_10",)])
@pytest.mark.parametrize("was_frozen", [(), ("bn_1", "dense_2")])
def test_frozen_layers_change_the_order_and_nothing_else(
    names: Any, frozen: Sequence[str], was_frozen: Sequence[str], tmp_path: Path
) -> None:
    source = scrambled(nested(was_frozen))
    source.save_weights(tmp_path / "w.h5")
    target = nested(frozen, names)
    target.load_weights(tmp_path / "w.h5")
    x = numbers(3, 4)
    wanted = source.predict(x)
    assert np.isfinite(wanted).all()
    np.testing.assert_array_equal(target.predict(x), wanted)


def test_names_count_more_than_order(tmp_path: Path) -> None:
    a, b = numbers(2, 2), numbers(2, 2)
    path = write(tmp_path / "w.h5", {"two": [("two/kernel:0", b)], "one": [("one/kernel:0", a)]}, keras_version="2.3.1")
    model = Sequential([Dense(2, use_bias=False, input_dim=2, name="one"), Dense(2, use_bias=False, name="two")])
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights(), [a, b])
    other = Sequential([Dense(2, use_bias=False, input_dim=2, name="two"), Dense(2, use_bias=False, name="three")])
    write(tmp_path / "v.h5", {"one": [("one/kernel:0", a)], "two": [("two/kernel:0", b)]}, keras_version="2.3.1")
    with pytest.warns(UserWarning, match="names of 1 layers in the file.*two.*by_name=True follows"):
        other.load_weights(tmp_path / "v.h5")
    np.testing.assert_array_equal(other.get_weights(), [a, b])


def test_weights_of_a_layer_by_their_words(tmp_path: Path) -> None:
    words = ("moving_variance", "beta", "moving_mean", "gamma")
    values = {word: RNG.uniform(0.5, 1, 3).astype("float32") for word in words}
    path = write(tmp_path / "w.h5", {"n": [(f"n/{word}:0", a) for word, a in values.items()]}, keras_version="2.0.0")
    model = Sequential([BatchNormalization(input_shape=(3,), name="n")])
    model.load_weights(path)
    wanted = [values[word] for word in ("gamma", "beta", "moving_mean", "moving_variance")]
    np.testing.assert_array_equal(model.get_weights(), wanted)
    old = {"running_std": "moving_variance", "beta": "beta", "running_mean": "moving_mean", "gamma": "gamma"}
    write(tmp_path / "v.h5", {"n": [(f"n_{word}", values[new]) for word, new in old.items()]})
    scrambled(model).load_weights(tmp_path / "v.h5")
    np.testing.assert_array_equal(model.get_weights(), wanted)


def test_a_model_around_a_model_comes_off_and_on(tmp_path: Path) -> None:
    def chain() -> Sequential:
        return Sequential([Dense(3, input_dim=4), BatchNormalization(), Dense(2)])

    plain = scrambled(chain())
    wrapped = Sequential([chain()])
    wrapped.layers[0].set_weights(plain.get_weights())
    x = numbers(3, 4)
    wanted = plain.predict(x)
    assert np.isfinite(wanted).all()
    for source, target in ((plain, Sequential([chain()])), (wrapped, chain())):
        source.save_weights(tmp_path / "w.h5")
        target.load_weights(tmp_path / "w.h5")
        np.testing.assert_array_equal(target.predict(x), wanted)


def test_files_of_copies_on_several_processors(tmp_path: Path) -> None:
    """What ``multi_gpu_model(model, gpus=2)`` of Keras 2 saves: byte code around the model, which is not run."""
    model = scrambled(
        Sequential([Dense(3, input_dim=4, name="dense_1"), Dense(2, name="dense_2")], name="sequential_1")
    )
    model.compile("adam", "mse", metrics=["mae"])
    x, y = numbers(4, 4), numbers(4, 2)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.h5")
    code = ["4wEAAAAAAAAA", None, None]
    layers: list[dict] = [{"name": "in", "class_name": "InputLayer", "inbound_nodes": [], "config": {
        "batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "in"}}]  # fmt: skip
    for i in range(2):
        config = {"name": f"lambda_{i}", "function": code, "function_type": "lambda", "arguments": {"i": i, "parts": 2}}
        layers.append({"name": f"lambda_{i}", "class_name": "Lambda", "config": config,
                       "inbound_nodes": [[["in", 0, 0, {}]]]})  # fmt: skip
    layers.append({"name": "sequential_1", "class_name": "Sequential", "config": model.get_config(),
                   "inbound_nodes": [[["lambda_0", 0, 0, {}]], [["lambda_1", 0, 0, {}]]]})  # fmt: skip
    layers.append({"name": "dense_2", "class_name": "Concatenate", "config": {"name": "dense_2", "axis": 0},
                   "inbound_nodes": [[["sequential_1", 1, 0, {}], ["sequential_1", 2, 0, {}]]]})  # fmt: skip
    config = {"name": "model_1", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["dense_2", 0, 0]]}
    with h5py.File(tmp_path / "m.h5", "a") as f:
        f.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
        old = f["model_weights"]
        arrays = [(n.decode(), old[k][n][()]) for k in ("dense_1", "dense_2") for n in old[k].attrs["weight_names"]]
        del f["model_weights"]
        group = f.create_group("model_weights")
        h5.write_list(group, "layer_names", ["in", "lambda_0", "lambda_1", "sequential_1", "dense_2"])
        for name in ("in", "lambda_0", "lambda_1", "sequential_1", "dense_2"):
            part = group.create_group(name)
            own = arrays if name == "sequential_1" else []
            h5.write_list(part, "weight_names", [n for n, _ in own])
            for n, a in own:
                part.create_dataset(n, data=a)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_model(tmp_path / "m.h5")
    assert isinstance(again, Sequential) and again.metrics_names == ["loss", "mae"]
    for m in (model, again):
        m.fit(x, y, shuffle=False, verbose=0)
    assert [w.tobytes() for w in again.get_weights()] == [w.tobytes() for w in model.get_weights()]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda **k: Dense(3, **k), (4,)),
        (lambda **k: LSTM(3, **k), (5, 4)),
        (lambda **k: Conv1D(3, 2, **k), (5, 4)),
        (lambda **k: Conv2D(3, 2, **k), (5, 5, 4)),
        (lambda **k: Conv2D(3, 2, data_format="channels_first", **k), (4, 5, 5)),
    ],
)
def test_a_sequential_model_whose_file_has_no_input_shape(make: Any, shape: tuple, tmp_path: Path) -> None:
    """Keras 2.2.0 left the InputLayer out, and the shape with it."""
    model = scrambled(Sequential([make(input_shape=shape)]))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as f:
        config = json.loads(f.attrs["model_config"])
        del config["config"]["layers"][0]["config"]["batch_input_shape"]
        f.attrs["model_config"] = json.dumps(config)
    x = numbers(3, *shape)
    np.testing.assert_array_equal(load_model(tmp_path / "m.h5", compile=False).predict(x), model.predict(x))


def test_an_input_shape_that_nothing_tells(tmp_path: Path) -> None:
    model = Sequential([BatchNormalization(input_shape=(3,))])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as f:
        config = json.loads(f.attrs["model_config"])
        del config["config"]["layers"][0]["config"]["batch_input_shape"]
        f.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ValueError, match="expected a config that says the shape of the input"):
        load_model(tmp_path / "m.h5")


def test_a_model_that_does_not_fit_its_weights_names_all_of_it(tmp_path: Path) -> None:
    model = Sequential([Dense(3, input_dim=4, name="a"), Dense(2, name="b"), Dense(2, name="c")])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as f:
        for name in ("a", "c"):
            part = f["model_weights"][name]
            del part[f"{name}/bias:0"]
            part.create_dataset(f"{name}/bias:0", data=np.zeros(7))
    with pytest.raises(ValueError, match=r"2 places: a/bias:0 has shape \(3,\), the file \(7,\); c/bias:0"):
        load_model(tmp_path / "m.h5")


def test_nothing_is_read_of_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "w.h5", {"d": [("d/kernel:0", numbers(9, 9)), ("d/bias:0", numbers(9))]}, keras_version="2.3.1")
    model = Sequential([Dense(2, input_dim=4, name="d")])
    monkeypatch.setattr("keras_compat.saving.guard.Array.read", lambda *_: 1 / 0)
    with pytest.raises(ValueError, match="2 places"):
        model.load_weights(tmp_path / "w.h5")


def test_reshape(tmp_path: Path) -> None:
    values = numbers(2, 3, 4)
    write(tmp_path / "w.h5", {"d": [("d/kernel:0", values), ("d/bias:0", numbers(4, 1))]}, keras_version="2.3.1")
    model = Sequential([Dense(4, input_dim=6, name="d")])
    with pytest.raises(ValueError, match="2 places"):
        model.load_weights(tmp_path / "w.h5")
    for by_name in (False, True):
        scrambled(model).load_weights(tmp_path / "w.h5", by_name=by_name, reshape=True)
        np.testing.assert_array_equal(model.get_weights()[0], values.reshape(6, 4))


# -- state of optimizers ----------------------------------------------------------------------------------------------


def with_state(path: Path, version: str, names: Sequence[str], arrays: Sequence[np.ndarray]) -> Path:
    """Give the file of a model another release and another state."""
    with h5py.File(path, "a") as f:
        f.attrs["keras_version"] = version
        del f["optimizer_weights"]
        part = f.create_group("optimizer_weights")
        h5.write_list(part, "weight_names", names)
        for name, array in zip(names, arrays):
            part.create_dataset(name, data=array)
    return path


def state_of(model: Any) -> list[np.ndarray]:
    return model.optimizer.get_weights()


@pytest.mark.parametrize("version", ["2.0.5", "2.0.6", "2.2.4"])
def test_up_to_2_0_5_states_were_sorted_by_names(version: str, tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_dim=2, name="dense_2"), Dense(2, name="dense_10")])
    model.compile("adagrad", "mse")
    model.fit(numbers(2, 2), numbers(2, 2), verbose=0)
    model.save(tmp_path / "m.h5")
    slots = [numbers(2, 2), numbers(2), numbers(2, 2), numbers(2)]
    stored = [slots[i] for i in (3, 2, 1, 0)] if version == "2.0.5" else slots
    with_state(tmp_path / "m.h5", version, [f"Variable_{i}:0" for i in range(4)], stored)
    again = load_model(tmp_path / "m.h5")
    assert all((a == b).all() for a, b in zip(state_of(again)[1:], slots))


def test_states_of_tf_keras_before_and_after_2_11(tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_dim=2, name="d")])
    model.compile("adam", "mse")
    model.fit(numbers(2, 2), numbers(2, 2), verbose=0)
    m, v = [numbers(2, 2), numbers(2)], [numbers(2, 2), numbers(2)]
    words = ("d/kernel", "d/bias")
    before = [f"training/Adam/{w}/{s}:0" for s in "mv" for w in words]
    after = [f"Adam/{s}/{w}:0" for w in words for s in "mv"]
    for version, names, arrays in (
        ("2.4.0", ["training/Adam/iter:0", *before], [*m, *v]),
        ("2.12.0", ["iteration:0", "learning_rate:0", *after], [m[0], v[0], m[1], v[1]]),
    ):
        model.save(tmp_path / "m.h5")
        first = [np.array(5)] if len(names) == 5 else [np.array(5), np.array(0.1)]
        with_state(tmp_path / "m.h5", version, names, [*first, *arrays])
        state = state_of(load_model(tmp_path / "m.h5"))
        assert int(state[0]) == 5
        assert all((a == b).all() for a, b in zip(state[1:5], [*m, *v]))


@pytest.mark.parametrize("arrays", [[np.zeros((2, 2))], [np.zeros(3)] * 5, [np.zeros((3, 3))] * 4, []])
def test_a_state_that_is_no_use_is_warned_of(arrays: list[np.ndarray], tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_dim=2), Dense(2)])
    model.compile("rmsprop", "mse")
    model.fit(numbers(2, 2), numbers(2, 2), verbose=0)
    model.save(tmp_path / "m.h5")
    with_state(tmp_path / "m.h5", "2.2.4", [f"p{i}" for i in range(len(arrays) + 1)], [np.array(3), *arrays])
    with pytest.warns(UserWarning, match="Error in loading the saved optimizer state.*freshly"):
        again = load_model(tmp_path / "m.h5")
    assert not any(a.any() for a in state_of(again))
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights()))


@pytest.mark.parametrize("steps", [np.inf, np.nan, -1.0, 1e17])
def test_a_count_of_steps_that_can_not_be(steps: float, tmp_path: Path) -> None:
    """An infinite count is refused; a very large one takes no memory for Nadam's schedule, which has come to 0."""
    model = Sequential([Dense(2, input_dim=2)])
    model.compile("nadam", "mse")
    model.fit(numbers(2, 2), numbers(2, 2), verbose=0)
    model.save(tmp_path / "m.h5")
    arrays = [np.array(steps), *[np.ones(s) for s in ((2, 2), (2,), (2, 2), (2,))]]
    with_state(tmp_path / "m.h5", "2.2.4", [f"p{i}" for i in range(5)], arrays)
    if steps == 1e17:
        assert [float(a.max()) for a in state_of(load_model(tmp_path / "m.h5"))[:3]] == [1e17, 0, 1]
        return
    with pytest.warns(UserWarning, match="Error in loading the saved optimizer state.*counts .* steps"):
        load_model(tmp_path / "m.h5")


def test_compile_settings_without_an_optimizer(tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_dim=2)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as f:
        f.attrs["training_config"] = json.dumps({"loss": "mse", "metrics": []})
    with pytest.raises(OSError, match="expected an optimizer_config.*compile=False"):
        load_model(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5", compile=False).optimizer is None


def test_states_do_not_go_through_sums(tmp_path: Path) -> None:
    """cuDNN's two biases become one; the slots of two can not."""
    model = Sequential([LSTM(2, recurrent_activation="sigmoid", input_shape=(3, 2), name="l")])
    model.compile("sgd", "mse")
    model.fit(numbers(2, 3, 2), numbers(2, 2), verbose=0)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as f:
        for group in (f["model_weights"]["l"], f["optimizer_weights"]):
            for n in group.attrs["weight_names"]:
                n = n.decode()
                if group[n].shape == (8,):
                    del group[n]
                    group.create_dataset(n, data=np.ones(16))
    with pytest.warns(UserWarning, match="Error in loading the saved optimizer state.*two biases became one"):
        again = load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.get_weights()[2], np.full(8, 2.0))


# -- writing ----------------------------------------------------------------------------------------------------------


class Twins(Layer):
    """Two weights that go by one name."""

    def build(self, input_shape: Any) -> None:
        self.a = self.add_weight("same", shape=(2,), initializer="zeros")
        self.b = self.add_weight("same", shape=(2,), initializer="ones")
        self.built = True

    def call(self, x: Any) -> Any:
        return x * self.b + self.a


def test_names_are_unique_in_files(tmp_path: Path) -> None:
    model = scrambled(Sequential([Twins(input_shape=(2,)), Dense(1)]))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as f:
        names = [n for part in f["model_weights"].values() for n in part.attrs["weight_names"]]
    assert len(set(names)) == len(names) == 4
    again = load_model(tmp_path / "m.h5", custom_objects={"Twins": Twins}, compile=False)
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights()))


def test_to_is_one_vocabulary(tmp_path: Path) -> None:
    model = Sequential([Embedding(5, 3, input_length=4), Flatten(), Dense(2)])
    for save in (model.save, model.save_weights):
        with pytest.raises(ValueError, match="`to` is one of keras1, keras2, tfkeras, keras3, or None; got 'keras4'"):
            save(tmp_path / "m.h5", to="keras4")
    x = RNG.integers(0, 5, (3, 4))
    lines = {}
    for to in ("keras1", "keras2", "tfkeras", "keras3", None):
        for name in ("m.h5", "m.keras"):
            model.save(tmp_path / name, to=to, include_optimizer=False)
            with models.read(tmp_path / name) as stored:
                lines[to, name] = (stored.writer.line, stored.layout)
            again = load_model(tmp_path / name, compile=False)
            np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    assert lines == {
        ("keras1", "m.h5"): ("keras1", "h5"),
        ("keras1", "m.keras"): ("keras1", "h5"),
        ("keras2", "m.h5"): ("keras2", "h5"),
        ("keras2", "m.keras"): ("keras2", "h5"),
        ("tfkeras", "m.h5"): ("tfkeras", "h5"),
        ("tfkeras", "m.keras"): ("tfkeras", "keras3"),
        ("keras3", "m.h5"): ("keras3", "h5"),
        ("keras3", "m.keras"): ("keras3", "keras3"),
        (None, "m.h5"): ("keras2", "h5"),
        (None, "m.keras"): ("keras3", "keras3"),
    }


def test_weights_for_everyone(tmp_path: Path) -> None:
    model = scrambled(Sequential([LSTM(2, input_shape=(3, 2), name="lstm_1"), Dense(2, name="dense_1")]))
    for to in ("keras1", "keras2", "tfkeras", "keras3", None):
        for name in ("w.h5", "m.weights.h5"):
            model.save_weights(tmp_path / name, to=to)
            other = Sequential.from_config(model.get_config())
            other.load_weights(tmp_path / name)
            assert all((a == b).all() for a, b in zip(other.get_weights(), model.get_weights()))


def test_our_own_words_come_back(tmp_path: Path) -> None:
    with keras_compat.api_level("1.2"):
        model = Sequential([keras_compat.layers.Convolution2D(2, 2, 2, input_shape=(3, 4, 4), dim_ordering="th")])
        model.save(tmp_path / "m.h5")
        with models.read(tmp_path / "m.h5") as stored:
            assert set(stored.extra) == {OWN_WORDS}
        assert load_model(tmp_path / "m.h5", compile=False).get_config() == model.get_config()


# -- one way for every source -----------------------------------------------------------------------------------------


def test_every_kind_of_source(tmp_path: Path) -> None:
    model = scrambled(Sequential([Dense(2, input_dim=3)]))
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        for source in (tmp_path / name, str(tmp_path / name), str(tmp_path / name).encode(), data, io.BytesIO(data)):
            again = load_model(source, compile=False)
            assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights()))
    (tmp_path / "m.keras").rename(tmp_path / "other.h5")
    assert load_model(tmp_path / "other.h5", compile=False).count_params() == 8
    with h5py.File(tmp_path / "m.h5") as f, models.read(f) as stored:
        assert [a.shape for one in stored.layers for a in one.arrays] == [(3, 2), (2,)]
    with pytest.raises(OSError, match="binary stream"):
        load_model(io.BytesIO(b"nothing of the kind"))


def test_by_name_from_keras_3s_layout(tmp_path: Path) -> None:
    """An old script may call its file so, and load it by name; Keras 3 writes names beside the arrays."""
    made = Sequential([Dense(4, input_dim=3, name="first")])
    made.add(Dense(5, name="second"))
    made.save_weights(tmp_path / "made.weights.h5")
    other = Sequential([Dense(5, input_dim=4, name="second"), Dense(6, name="third")])
    before = other.get_weights()
    other.load_weights(tmp_path / "made.weights.h5", by_name=True)
    np.testing.assert_array_equal(other.get_weights()[0], made.get_weights()[2])
    np.testing.assert_array_equal(other.get_weights()[2], before[2])
    wrong = Sequential([Dense(7, input_dim=4, name="second")])
    with pytest.raises(ValueError, match="second"):
        wrong.load_weights(tmp_path / "made.weights.h5", by_name=True)


def test_shared_axes_that_keras_1_forgot(tmp_path: Path) -> None:
    """1.2.2's configs of PReLU and SReLU have no ``shared_axes``, so it can not load its own file; the weights tell."""
    model = Sequential([PReLU(shared_axes=[1, 2], input_shape=(4, 5, 3)), SReLU(shared_axes=[1])])
    model.set_weights([np.random.normal(size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.h5", to="keras1")
    with h5py.File(tmp_path / "model.h5", "r+") as f:
        config = json.loads(f.attrs["model_config"])
        for entry in config["config"]:
            assert entry["config"].pop("shared_axes")
        f.attrs["model_config"] = json.dumps(config).encode()
    x = np.random.normal(size=(2, 4, 5, 3))
    np.testing.assert_array_equal(load_model(tmp_path / "model.h5").predict(x), model.predict(x))
