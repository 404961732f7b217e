"""Weight files of Keras 0.3.3, against its predictions; and against the formulas where the level is another."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import keras_compat
from keras_compat import backend as K
from keras_compat.layers import GRU, LSTM, BatchNormalization, Convolution1D, Convolution2D, Dense
from keras_compat.models import Graph, Sequential
from tests.keras_compat.test_golden import HERE, SHARED

RNG = np.random.default_rng(3)
ROOTS = [HERE / "golden", SHARED]
CASES = sorted({path for root in ROOTS for path in (root / "keras-0.3.3-theano").glob("*/*.weights.h5")})


pytestmark = pytest.mark.usefixtures("without_kernels")


def write(path: Path, *layers: Any, graph: bool = False) -> Path:
    """A file in the layout of Keras 0.x."""
    with h5py.File(path, "w") as f:
        if not graph:
            f.attrs["nb_layers"] = len(layers)
        for k, arrays in enumerate(layers):
            part = f.create_group("graph" if graph else f"layer_{k}")
            part.attrs["nb_params"] = len(arrays)
            for i, array in enumerate(arrays):
                part.create_dataset(f"param_{i}", data=array)
    return path


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.removesuffix(".weights.h5"))
def test_genuine_files(path: Path) -> None:
    case = json.loads(Path(str(path).removesuffix(".weights.h5") + ".json").read_text())
    arrays = dict(np.load(Path(str(path).removesuffix(".weights.h5") + ".npz")))
    space: dict[str, Any] = {}
    order = K.image_data_format()
    with keras_compat.api_level("0.3"):
        try:
            K.set_image_data_format("channels_first")
            exec(re.sub(r"\bkeras\b(?=[.\s])", "keras_compat", case["code"]), space)
        finally:
            K.set_image_data_format(order)
        model = space["model"]
        model.load_weights(path)
        xs = [arrays[f"x{i}"] for i in range(sum(re.fullmatch(r"x\d+", k) is not None for k in arrays))]
        if "graph" in case:
            got = list(model.predict(dict(zip(case["graph"][0], xs))).values())
        else:
            got = [model.predict(xs if len(xs) > 1 else xs[0], batch_size=case["predict"]["batch_size"])]
    for i, out in enumerate(got):
        wanted = arrays[f"pred{i}"]
        assert np.abs(out - wanted).max() <= 1e-5 + 1e-4 * np.abs(wanted).max()


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("level", ["0.3", "1.2", "2.3"])
def test_kernels_are_turned_at_every_level(level: str, tmp_path: Path) -> None:
    kernel = RNG.normal(size=(4, 3, 3, 2)).astype("float32")  # filters, in, rows, cols
    steps_kernel = RNG.normal(size=(4, 2, 3, 1)).astype("float32")  # filters, in, size, 1
    bias = RNG.normal(size=4).astype("float32")
    images, steps = RNG.normal(size=(2, 3, 6, 5)), RNG.normal(size=(2, 6, 2))
    with keras_compat.api_level(level):
        over_images = Sequential([Convolution2D(4, 3, 2, input_shape=(3, 6, 5), dim_ordering="th")])
        over_images.load_weights(write(tmp_path / "a.h5", [kernel, bias]))
        over_steps = Sequential([Convolution1D(4, 3, input_shape=(6, 2))])
        over_steps.load_weights(write(tmp_path / "b.h5", [steps_kernel, bias]))
        out, out_steps = over_images.predict(images), over_steps.predict(steps)
    turned, turned_steps = kernel[:, :, ::-1, ::-1], steps_kernel[:, :, ::-1, 0]
    for r in range(4):
        for c in range(4):
            want = np.einsum("nirc,firc->nf", images[:, :, r : r + 3, c : c + 2], turned) + bias
            np.testing.assert_allclose(out[:, :, r, c], want, rtol=1e-3, atol=1e-4)
    for t in range(4):
        want = np.einsum("nti,fit->nf", steps[:, t : t + 3], turned_steps) + bias
        np.testing.assert_allclose(out_steps[:, t], want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cls", [LSTM, GRU])
def test_recurrent_weights_at_every_level(cls: Any, tmp_path: Path) -> None:
    gates = 4 if cls is LSTM else 3
    shapes = [(3, 2), (2, 2), (2,)] * gates
    path = write(tmp_path / "r.h5", [RNG.normal(size=s).astype("float32") for s in shapes])
    steps = RNG.normal(size=(2, 4, 3)).astype("float32")
    outs = []
    for level in ("0.3", "1.2", "2.2", "2.3"):
        with keras_compat.api_level(level):
            model = Sequential([cls(2, inner_activation="sigmoid", input_shape=(4, 3))])
            model.load_weights(path)
            outs.append(model.predict(steps))
    with h5py.File(path) as f:
        w = [f[f"layer_0/param_{i}"][()] for i in range(3 * gates)]
    h = c = np.zeros((2, 2))
    for t in range(4):
        x = steps[:, t]
        if cls is LSTM:
            i, new, forget, o = (x @ w[3 * k] + h @ w[3 * k + 1] + w[3 * k + 2] for k in range(4))
            c = sigmoid(forget) * c + sigmoid(i) * np.tanh(new)
            h = sigmoid(o) * np.tanh(c)
        else:
            z, r = (sigmoid(x @ w[3 * k] + h @ w[3 * k + 1] + w[3 * k + 2]) for k in range(2))
            new = np.tanh(x @ w[6] + (r * h) @ w[7] + w[8])
            h = z * h + (1 - z) * new
    for out in outs:
        np.testing.assert_allclose(out, h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", ["0.3", "1.2", "2.3"])
def test_batch_normalization_keeps_its_quotient(level: str, tmp_path: Path) -> None:
    gamma, beta, mean, deviation = RNG.uniform(0.5, 1.5, size=(4, 5)).astype("float32")
    path = write(tmp_path / "n.h5", [gamma, beta, mean, deviation])
    x = RNG.normal(size=(6, 5)).astype("float32")
    with keras_compat.api_level(level):
        model = Sequential([BatchNormalization(epsilon=0.01, input_shape=(5,))])
        model.load_weights(path)
        out = model.predict(x)
    np.testing.assert_allclose(out, gamma * (x - mean) / (deviation + 0.01) + beta, rtol=1e-4, atol=1e-5)


def test_a_file_of_another_model_changes_nothing(tmp_path: Path) -> None:
    model = Sequential([Dense(3, input_dim=4), Dense(2)])
    before = model.get_weights()
    good = [np.zeros((4, 3)), np.zeros(3)]
    with pytest.raises(ValueError, match="holds 2 arrays, the model has 4"):
        model.load_weights(write(tmp_path / "a.h5", good))
    with pytest.raises(ValueError, match="does not fit the model in 1 places"):
        model.load_weights(write(tmp_path / "b.h5", good, [np.zeros((5, 2)), np.zeros(2)]))
    with pytest.raises(ValueError, match="hold no names"):
        model.load_weights(write(tmp_path / "c.h5", good), by_name=True)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before))


def test_a_graphs_file(tmp_path: Path) -> None:
    graph = Graph()
    graph.add_input("a", input_shape=(4,))
    graph.add_node(Dense(3), name="h", input="a")
    graph.add_node(Dense(2), name="top", input="h")
    graph.add_output("y", input="top")
    values = [RNG.normal(size=s).astype("float32") for s in ((4, 3), (3,), (3, 2), (2,))]
    graph.load_weights(write(tmp_path / "g.h5", values, graph=True))
    assert all((a == b).all() for a, b in zip(graph.get_weights(), values))
