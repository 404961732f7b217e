"""Gradients through every layer, by inputs and by weights, against differences in float64.

``ROWS`` holds one or more configurations of every layer that configs may name; a layer without a row fails. Each is
called on values with random weights, and ``check_grad`` perturbs its inputs and weights. Layers that draw random
numbers in training are checked by what the drawn numbers say themselves (``test_random_layers``), and the symbolic
route, ``K.gradients`` inside ``K.function``, must give what the eager one gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.testing import check_grad
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.engine.registry import LAYERS

pytestmark = pytest.mark.promise(24)

FIRST, LAST = "channels_first", "channels_last"
ORDERS = (LAST, FIRST)


@dataclass
class Row:
    """One configuration: how the layer is made, the shapes of its inputs, and what its call gets beside them."""

    make: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    label: str = ""
    call: dict[str, Any] = field(default_factory=dict)
    mask: Any = None  # of the (first) input, as nested lists of 0 and 1
    states: bool = False  # reset_states to random values first
    integers: int = 0  # inputs are integers below this, and only weights are checked


def row(make: Callable[[], Any], *shapes: tuple[int, ...], **options: Any) -> Row:
    return Row(make, shapes, **options)


def image(order: str, *spatial: int, n: int = 2, channels: int = 3) -> tuple[int, ...]:
    """Shape of a batch of images (lines, volumes) in an image order."""
    return (n, channels, *spatial) if order == FIRST else (n, *spatial, channels)


def both(make: Callable[[str], Any], *spatial: int, label: str = "", **options: Any) -> list[Row]:
    """The same layer in both image orders."""
    return [row(lambda o=o: make(o), image(o, *spatial), label=f"{label} {o}".strip(), **options) for o in ORDERS]


SEQUENCE = (3, 4, 2)  # samples, steps, features
HOLES = [[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]]


def recurrent(name: str, **more: Any) -> list[Row]:
    """The variants that every recurrent layer has."""

    def make(**arguments: Any) -> Callable[[], Any]:
        return lambda: getattr(L, name)(3, **{**more, **arguments})

    rows = [
        row(make(), SEQUENCE, label="last"),
        row(make(return_sequences=True, go_backwards=True), SEQUENCE, label="go_backwards"),
        row(make(return_sequences=True, return_state=True), SEQUENCE, label="return_state"),
        row(make(stateful=True, batch_input_shape=SEQUENCE), SEQUENCE, states=True, label="stateful"),
    ]
    if not name.startswith("CuDNN"):
        rows += [
            row(make(return_sequences=True), SEQUENCE, mask=HOLES, label="mask"),
            row(make(go_backwards=True), SEQUENCE, mask=HOLES, label="mask go_backwards"),
            row(make(unroll=True, return_sequences=True), SEQUENCE, mask=HOLES, label="unroll mask"),
            row(make(implementation=1), SEQUENCE, label="implementation 1"),
            row(make(implementation=2), SEQUENCE, label="implementation 2"),
            row(make(use_bias=False, activation="relu"), SEQUENCE, label="no bias, relu"),
        ]
    return rows


def pooling(name: str, spatial: tuple[int, ...], size: int | tuple[int, ...]) -> list[Row]:
    rows = []
    for padding in ("valid", "same"):
        for strides in (None, 1):
            rows += both(
                lambda o, p=padding, s=strides: getattr(L, name)(size, strides=s, padding=p, data_format=o),
                *spatial,
                label=f"{padding} strides={strides}",
            )
    return rows


PAIR = ((3, 4), (3, 4))
TRIPLE = ((2, 3, 4),) * 3


def merging(name: str, **arguments: Any) -> list[Row]:
    return [
        row(lambda: getattr(L, name)(**arguments), *PAIR, label="two"),
        *([] if name == "Subtract" else [row(lambda: getattr(L, name)(**arguments), *TRIPLE, label="three")]),
    ]


def convolution(name: str, spatial: tuple[int, ...], *variants: dict[str, Any], filters: bool = True) -> list[Row]:
    rows = []
    for v in variants:
        given = {"kernel_size": 2, **({"filters": 2} if filters else {}), **v}
        label = " ".join(f"{k}={x}" for k, x in v.items()) or "plain"
        rows += both(lambda o, g=given: getattr(L, name)(data_format=o, **g), *spatial, label=label)
    return rows


ROWS: dict[str, list[Row]] = {
    # core
    "Dense": [
        row(lambda: L.Dense(3, activation="tanh"), (4, 5)),
        row(lambda: L.Dense(3, use_bias=False), (2, 4, 5), label="3D"),
        row(lambda: L.Dense(3, activation="softmax"), (4, 5), label="softmax"),
    ],
    "Activation": [
        row(lambda a=a: L.Activation(a), (3, 4), label=a)
        for a in (
            *("softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid"),
            *("exponential", "linear"),
        )
    ],
    "Dropout": [row(lambda: L.Dropout(0.5), (3, 4))],
    "SpatialDropout1D": [row(lambda: L.SpatialDropout1D(0.5), (2, 3, 4))],
    "SpatialDropout2D": both(lambda o: L.SpatialDropout2D(0.5, data_format=o), 3, 3),
    "SpatialDropout3D": both(lambda o: L.SpatialDropout3D(0.5, data_format=o), 2, 3, 2),
    "Flatten": both(lambda o: L.Flatten(data_format=o), 2, 3),
    "Reshape": [row(lambda: L.Reshape((-1, 2)), (2, 3, 4))],
    "Permute": [row(lambda: L.Permute((3, 1, 2)), (2, 3, 4, 2))],
    "RepeatVector": [row(lambda: L.RepeatVector(3), (2, 4))],
    "Lambda": [row(lambda: L.Lambda(lambda x: K.sin(x) * x), (2, 4))],
    "Masking": [row(lambda: L.Masking(0.0), (2, 3, 4))],
    "ActivityRegularization": [row(lambda: L.ActivityRegularization(0.1, 0.2), (2, 4))],
    # convolution
    "Conv1D": [
        *convolution("Conv1D", (7,), {}, {"strides": 2, "padding": "same"}, {"dilation_rate": 2, "activation": "tanh"}),
        row(lambda: L.Conv1D(2, 3, padding="causal", dilation_rate=2), (2, 7, 3), label="causal"),
    ],
    "Conv2D": convolution(
        "Conv2D",
        (5, 6),
        {},
        {"strides": (2, 1), "padding": "same", "kernel_size": (3, 2)},
        {"dilation_rate": 2, "use_bias": False},
    ),
    "Conv3D": convolution("Conv3D", (4, 3, 5), {}, {"strides": (1, 1, 2), "padding": "same"}),
    "Conv2DTranspose": convolution(
        "Conv2DTranspose",
        (3, 4),
        {},
        {"strides": 2, "padding": "same", "kernel_size": 3},
        {"strides": 2, "kernel_size": 3, "output_padding": 1},
    ),
    "Conv3DTranspose": convolution("Conv3DTranspose", (2, 3, 2), {}, {"strides": 2, "padding": "same"}),
    "SeparableConv1D": convolution("SeparableConv1D", (6,), {"depth_multiplier": 2}, {"strides": 2, "padding": "same"}),
    "SeparableConv2D": convolution(
        "SeparableConv2D", (5, 4), {"depth_multiplier": 2}, {"strides": 2, "padding": "same"}
    ),
    "DepthwiseConv2D": convolution(
        "DepthwiseConv2D", (5, 4), {"depth_multiplier": 2}, {"strides": 2, "padding": "same"}, filters=False
    ),
    "LocallyConnected1D": [
        row(lambda: L.LocallyConnected1D(2, 2), (2, 5, 3)),
        row(lambda: L.LocallyConnected1D(2, 3, strides=2, use_bias=False), (2, 7, 3), label="strides"),
    ],
    "LocallyConnected2D": both(lambda o: L.LocallyConnected2D(2, (2, 3), strides=(1, 2), data_format=o), 4, 5),
    "ZeroPadding1D": [row(lambda: L.ZeroPadding1D((1, 2)), (2, 3, 2))],
    "ZeroPadding2D": both(lambda o: L.ZeroPadding2D(((1, 0), (2, 1)), data_format=o), 3, 2),
    "ZeroPadding3D": both(lambda o: L.ZeroPadding3D((1, 2, 0), data_format=o), 2, 2, 3),
    "Cropping1D": [row(lambda: L.Cropping1D((1, 2)), (2, 5, 2))],
    "Cropping2D": both(lambda o: L.Cropping2D(((1, 0), (1, 1)), data_format=o), 3, 4),
    "Cropping3D": both(lambda o: L.Cropping3D(1, data_format=o), 3, 4, 3),
    "UpSampling1D": [row(lambda: L.UpSampling1D(3), (2, 3, 2))],
    "UpSampling2D": [
        *both(lambda o: L.UpSampling2D((2, 3), data_format=o), 3, 2),
        *both(lambda o: L.UpSampling2D(2, data_format=o, interpolation="bilinear"), 3, 4, label="bilinear"),
    ],
    "UpSampling3D": both(lambda o: L.UpSampling3D((2, 1, 3), data_format=o), 2, 3, 2),
    # pooling
    "MaxPooling1D": pooling("MaxPooling1D", (5,), 2),
    "AveragePooling1D": pooling("AveragePooling1D", (5,), 2),
    "MaxPooling2D": pooling("MaxPooling2D", (5, 4), (2, 3)),
    "AveragePooling2D": pooling("AveragePooling2D", (5, 4), (2, 3)),
    "MaxPooling3D": pooling("MaxPooling3D", (3, 4, 3), 2),
    "AveragePooling3D": pooling("AveragePooling3D", (3, 4, 3), 2),
    "GlobalMaxPooling1D": both(lambda o: L.GlobalMaxPooling1D(data_format=o), 5),
    "GlobalAveragePooling1D": [
        *both(lambda o: L.GlobalAveragePooling1D(data_format=o), 5),
        row(lambda: L.GlobalAveragePooling1D(), SEQUENCE, mask=HOLES, label="mask"),
    ],
    "GlobalMaxPooling2D": both(lambda o: L.GlobalMaxPooling2D(data_format=o), 3, 4),
    "GlobalAveragePooling2D": both(lambda o: L.GlobalAveragePooling2D(data_format=o), 3, 4),
    "GlobalMaxPooling3D": both(lambda o: L.GlobalMaxPooling3D(data_format=o), 3, 2, 2),
    "GlobalAveragePooling3D": both(lambda o: L.GlobalAveragePooling3D(data_format=o), 3, 2, 2),
    # recurrent
    "SimpleRNN": recurrent("SimpleRNN"),
    "GRU": [
        *recurrent("GRU", recurrent_activation="sigmoid"),
        row(lambda: L.GRU(3, reset_after=True, recurrent_activation="sigmoid"), SEQUENCE, label="reset_after"),
        row(lambda: L.GRU(3, recurrent_activation="hard_sigmoid"), SEQUENCE, label="hard_sigmoid"),
    ],
    "LSTM": [
        *recurrent("LSTM", recurrent_activation="sigmoid"),
        row(lambda: L.LSTM(3, recurrent_activation="hard_sigmoid"), SEQUENCE, label="hard_sigmoid"),
        row(
            lambda: L.LSTM(3, recurrent_activation="sigmoid"),
            SEQUENCE,
            (3, 3),
            (3, 3),
            label="initial_state",
        ),
    ],
    "CuDNNGRU": recurrent("CuDNNGRU"),
    "CuDNNLSTM": recurrent("CuDNNLSTM"),
    "RNN": [row(lambda: L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)], return_sequences=True), SEQUENCE, mask=HOLES)],
    "SimpleRNNCell": [row(lambda: L.RNN(L.SimpleRNNCell(3)), SEQUENCE)],
    "GRUCell": [row(lambda: L.RNN(L.GRUCell(3, recurrent_activation="sigmoid")), SEQUENCE)],
    "LSTMCell": [row(lambda: L.RNN(L.LSTMCell(3, recurrent_activation="sigmoid")), SEQUENCE)],
    "StackedRNNCells": [row(lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.LSTMCell(2)])), SEQUENCE)],
    "ConvLSTM2D": [
        row(
            lambda o=o, k=k: L.ConvLSTM2D(2, (2, 2), data_format=o, recurrent_activation="sigmoid", **k),
            (2, 3, 2, 4, 3) if o == FIRST else (2, 3, 4, 3, 2),
            label=f"{o} {k}",
            mask=m,
        )
        for o in ORDERS
        for k, m in (
            ({}, None),
            ({"padding": "same", "strides": 2, "return_sequences": True}, [[1, 0, 1], [1, 1, 0]]),
            ({"go_backwards": True, "dilation_rate": 2, "return_sequences": True}, None),
        )
    ],
    "ConvLSTM2DCell": [
        row(lambda: L.ConvRNN2D(L.ConvLSTM2DCell(2, (2, 2), recurrent_activation="sigmoid")), (2, 3, 4, 3, 2))
    ],
    "ConvRNN2D": [
        row(
            lambda: L.ConvRNN2D(L.ConvLSTM2DCell(2, 2, recurrent_activation="sigmoid"), return_sequences=True),
            (2, 3, 4, 3, 2),
            mask=[[1, 0, 1], [1, 1, 0]],
        )
    ],
    # wrappers
    "TimeDistributed": [
        row(lambda: L.TimeDistributed(L.Dense(3, activation="tanh")), (2, 3, 4)),
        row(lambda: L.TimeDistributed(L.Conv2D(2, 2)), (2, 3, 4, 3, 2), label="Conv2D"),
    ],
    "Bidirectional": [
        row(
            lambda m=m: L.Bidirectional(L.LSTM(3, recurrent_activation="sigmoid", return_sequences=True), merge_mode=m),
            SEQUENCE,
            mask=HOLES,
            label=str(m),
        )
        for m in ("concat", "sum", "mul", "ave", None)
    ],
    # embedding, normalization, noise
    "Embedding": [
        row(lambda: L.Embedding(6, 3), (3, 4), integers=6),
        row(lambda: L.Embedding(6, 3, mask_zero=True, input_length=4), (3, 4), integers=6, label="mask_zero"),
    ],
    "BatchNormalization": [
        row(lambda: L.BatchNormalization(), (5, 3)),
        row(lambda: L.BatchNormalization(), (5, 3), call={"training": True}, label="training"),
        row(lambda: L.BatchNormalization(axis=1), (3, 2, 4, 3), call={"training": True}, label="axis 1 training"),
        row(lambda: L.BatchNormalization(axis=1, center=False), (3, 2, 4, 3), label="axis 1"),
        row(lambda: L.BatchNormalization(scale=False), (3, 4, 3), call={"training": True}, label="no scale"),
    ],
    "GaussianNoise": [row(lambda: L.GaussianNoise(0.5), (3, 4))],
    "GaussianDropout": [row(lambda: L.GaussianDropout(0.5), (3, 4))],
    "AlphaDropout": [row(lambda: L.AlphaDropout(0.5), (3, 4))],
    # advanced activations
    "LeakyReLU": [row(lambda: L.LeakyReLU(0.2), (3, 4))],
    "PReLU": [
        row(lambda: L.PReLU(), (3, 4)),
        row(lambda: L.PReLU(shared_axes=[1, 2]), (2, 3, 2, 4), label="shared_axes"),
    ],
    "ELU": [row(lambda: L.ELU(0.7), (3, 4))],
    "ThresholdedReLU": [row(lambda: L.ThresholdedReLU(0.4), (3, 4))],
    "Softmax": [row(lambda: L.Softmax(axis=1), (2, 3, 4))],
    "ReLU": [row(lambda: L.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.1), (3, 4))],
    # merge
    "Add": merging("Add"),
    "Subtract": merging("Subtract"),
    "Multiply": merging("Multiply"),
    "Average": merging("Average"),
    "Maximum": merging("Maximum"),
    "Minimum": merging("Minimum"),
    "Concatenate": [*merging("Concatenate", axis=-1), row(lambda: L.Concatenate(axis=1), *TRIPLE, label="axis 1")],
    "Dot": [
        row(lambda: L.Dot(axes=1), *PAIR),
        row(lambda: L.Dot(axes=1, normalize=True), *PAIR, label="normalize"),
        row(lambda: L.Dot(axes=(2, 1)), (2, 3, 4), (2, 4, 5), label="axes (2, 1)"),
    ],
    # tf.keras and Keras 3
    "LayerNormalization": [
        row(lambda: L.LayerNormalization(), (3, 4)),
        row(lambda: L.LayerNormalization(axis=[1, 2]), (2, 3, 4), label="two axes"),
    ],
    "Rescaling": [row(lambda: L.Rescaling([0.5, 2.0], offset=-1.0), (3, 2))],
    # Keras 0.x and 1.x
    "Merge": [
        row(lambda m=m, k=k: L.Merge(mode=m, **k), *PAIR, label=m)
        for m, k in (
            *(("sum", {}), ("mul", {}), ("concat", {"concat_axis": -1}), ("ave", {}), ("max", {})),
            *(("dot", {"dot_axes": 1}), ("cos", {"dot_axes": 1})),
        )
    ],
    "AtrousConvolution1D": [row(lambda: L.AtrousConvolution1D(2, 2, atrous_rate=2), (2, 6, 3))],
    "AtrousConvolution2D": [
        row(lambda d=d: L.AtrousConvolution2D(2, 2, 3, atrous_rate=(2, 1), dim_ordering=d), shape, label=d)
        for d, shape in (("tf", (2, 5, 4, 3)), ("th", (2, 3, 5, 4)))
    ],
    "MaxoutDense": [row(lambda: L.MaxoutDense(3, nb_feature=2), (4, 5))],
    "Highway": [row(lambda: L.Highway(activation="tanh"), (4, 5))],
    "TimeDistributedDense": [row(lambda: L.core.TimeDistributedDense(3), (2, 3, 4))],
    "SReLU": [row(lambda: L.SReLU(), (3, 4))],
    "ParametricSoftplus": [row(lambda: L.ParametricSoftplus(), (3, 4))],
    "ThresholdedLinear": [row(lambda: L.advanced_activations.ThresholdedLinear(0.3), (3, 4))],
    "LambdaMerge": [row(lambda: LAYERS["LambdaMerge"](None, lambda xs: xs[0] * K.sin(xs[1])), *PAIR)],
    "TimeDistributedMerge": [
        row(lambda m=m: LAYERS["TimeDistributedMerge"](m), SEQUENCE, label=m) for m in ("sum", "ave", "mul")
    ],
    "Siamese": [
        row(lambda m=m: LAYERS["Siamese"](L.Dense(3, activation="tanh"), merge_mode=m), *PAIR, label=m)
        for m in ("sum", "concat")
    ],
    "SiameseHead": [row(lambda: LAYERS["SiameseHead"](1), *PAIR)],
    "AutoEncoder": [
        row(
            lambda: L.core.AutoEncoder(
                encoder=L.Dense(2, input_dim=4), decoder=L.Dense(4, input_dim=2), output_reconstruction=True
            ),
            (3, 4),
        )
    ],
}

# Registered names that compute nothing of their own.
NO_ARITHMETIC = {
    "InputLayer",
    "Layer",
    "Wrapper",
    "Recurrent",
    "ConvRecurrent2D",
    "Model",
    "Network",
    "Sequential",
    "Graph",
    "Container",
}

CASES = [
    pytest.param(name, r, id=f"{name}-{r.label}" if r.label else name) for name, rows in ROWS.items() for r in rows
]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    np.random.seed(11)
    before = K.floatx()
    K.set_floatx("float64")
    with at.config.use(numba=False):
        yield
    K.set_floatx(before)


def registered() -> dict[str, type]:
    """The layers of the package, by class name; other tests may have added their own to the registry."""
    return {cls.__name__: cls for cls in LAYERS.values() if getattr(cls, "__module__", "").startswith("keras_compat.")}


def test_every_layer_has_a_row() -> None:
    assert sorted(set(registered()) - set(ROWS) - NO_ARITHMETIC) == []


def inputs_of(r: Row) -> list[np.ndarray]:
    random = np.random.RandomState(5)
    if r.integers:
        return [random.randint(0, r.integers, size=shape) for shape in r.shapes]
    return [random.normal(size=shape) for shape in r.shapes]


def built(r: Row, arrays: list[np.ndarray]) -> tuple[Any, Callable[..., Any]]:
    """The layer with random weights, and a function of its inputs."""
    layer = r.make()
    call = dict(r.call)
    if r.mask is not None:
        call["mask"] = at.asarray(np.array(r.mask, dtype=bool))

    def f(*xs: Any) -> Any:
        tensors = [x if isinstance(x, at.Tensor) else at.asarray(x) for x in xs]
        if r.label == "initial_state":
            return layer(tensors[0], initial_state=tensors[1:], **call)
        return layer(tensors if len(tensors) > 1 else tensors[0], **call)

    f(*arrays)
    random = np.random.RandomState(6)
    values = []
    for weight, value in zip(layer.weights, layer.get_weights(), strict=True):
        new = random.normal(scale=0.6, size=value.shape)
        values.append(np.abs(new) + 0.3 if "var" in weight.name or "std" in weight.name else new)
    layer.set_weights(values)
    if r.states:
        layer.reset_states([random.normal(size=tuple(s.shape)) for s in layer.states])
    return layer, f


@pytest.mark.parametrize(("name", "r"), CASES)
def test_gradients(name: str, r: Row) -> None:
    arrays = inputs_of(r)
    layer, f = built(r, arrays)
    assert name in {type(layer).__name__, *(type(part).__name__ for part in parts(layer))}
    weights = {f"{i} {w.name}": w for i, w in enumerate(layer.trainable_weights)}
    assert all(w.dtype == "float64" for w in weights.values())
    report = check_grad(f, *arrays, wrt=weights, mode="projection")
    checked = {entry.name for entry in report.inputs}
    assert set(weights) <= checked
    assert r.integers or len(checked) == len(arrays) + len(weights)


def parts(layer: Any) -> list[Any]:
    """The layers inside a layer, cells and cells of cells included."""
    found, queue = [], [layer]
    while queue:
        inner = queue.pop()
        for name in ("cell", "layer"):
            if hasattr(inner, name):
                queue.append(getattr(inner, name))
        queue.extend(getattr(inner, "cells", ()))
        found.append(inner)
    return found


@pytest.mark.parametrize(("name", "r"), [pytest.param(n, rows[-1], id=n) for n, rows in ROWS.items()])
def test_symbolic_gradients_are_the_eager_ones(name: str, r: Row) -> None:
    """``K.gradients`` on placeholders of unknown batch size, through ``K.function``."""
    if r.label == "initial_state":
        r = ROWS[name][0]
    arrays = inputs_of(r)
    layer, f = built(r, arrays)
    fixed = r.states
    inputs = [K.placeholder(shape=a.shape if fixed else (None, *a.shape[1:]), dtype=str(a.dtype)) for a in arrays]
    call = dict(r.call)
    feeds: list[Any] = list(arrays)
    if r.mask is not None:
        call["mask"] = K.placeholder(shape=(None, len(r.mask[0])), dtype="bool")
        feeds.append(np.array(r.mask, dtype=bool))
    outputs = layer(inputs if len(inputs) > 1 else inputs[0], **call)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    total = sum(K.sum(K.sin(y)) for y in outputs)
    sources = ([] if r.integers else inputs) + layer.trainable_weights
    if not sources:
        return
    asked = inputs + ([call["mask"]] if r.mask is not None else [])
    gradients = K.gradients(total, sources)
    got = iter(K.function(asked, [g for g in gradients if g is not None])(feeds))

    leaves = [at.Tensor(a, requires_grad=True) for a in arrays] if not r.integers else list(arrays)
    eager = f(*leaves)
    eager = eager if isinstance(eager, list) else [eager]
    value = sum(at.sum(at.sin(y)) for y in eager)
    wanted = at.gradients(value, ([] if r.integers else leaves) + layer.trainable_weights)
    for g, w in zip(gradients, wanted, strict=True):
        assert (g is None) == (w is None)  # None: the output does not depend on it
        if w is not None:
            np.testing.assert_allclose(next(got), at.evaluate([w])[0], rtol=1e-9, atol=1e-11)


RANDOM_LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...], Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "Dropout": (lambda: L.Dropout(0.5), (6, 7), lambda x, y: y / x),
    "SpatialDropout1D": (lambda: L.SpatialDropout1D(0.5), (3, 4, 5), lambda x, y: y / x),
    "SpatialDropout2D": (lambda: L.SpatialDropout2D(0.5), (3, 4, 2, 5), lambda x, y: y / x),
    "SpatialDropout3D": (lambda: L.SpatialDropout3D(0.5), (3, 2, 2, 3, 5), lambda x, y: y / x),
    "GaussianDropout": (lambda: L.GaussianDropout(0.5), (6, 7), lambda x, y: y / x),
    "GaussianNoise": (lambda: L.GaussianNoise(0.5), (6, 7), lambda x, y: np.ones_like(x)),
}


@pytest.mark.parametrize("name", RANDOM_LAYERS)
def test_random_layers(name: str) -> None:
    """In training the derivative is what the same evaluation multiplied the input with."""
    make, shape, derivative = RANDOM_LAYERS[name]
    x = np.random.uniform(0.5, 2.0, size=shape)
    inputs = K.placeholder(shape=shape)
    y = make()(inputs)
    run = K.function([inputs, K.learning_phase()], [y, *K.gradients(K.sum(y), [inputs])])
    got, gradient = run([x, 1])
    np.testing.assert_allclose(gradient, derivative(x, got), rtol=1e-9)
    assert not np.allclose(got, x)
    same, ones = run([x, 0])
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(ones, np.ones_like(x))


def test_alpha_dropout_in_training() -> None:
    """AlphaDropout is affine where it keeps: its derivative is one number there and 0 where it drops."""
    x = np.random.uniform(0.5, 2.0, size=(20, 20))
    inputs = K.placeholder(shape=x.shape)
    y = L.AlphaDropout(0.5)(inputs)
    got, gradient = K.function([inputs, K.learning_phase()], [y, *K.gradients(K.sum(y), [inputs])])([x, 1])
    kept = gradient != 0
    assert 0.3 < kept.mean() < 0.7
    slope = gradient[kept]
    np.testing.assert_allclose(slope, slope[0])
    np.testing.assert_allclose((got - gradient * x)[kept], (got - gradient * x)[kept][0])
    assert len(np.unique(got[~kept].round(9))) == 1
