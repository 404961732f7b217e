"""What is compared: twelve networks of the old documents, each written down once.

A :class:`Workload` is a list of layers in Keras's words, a batch size, a loss and an optimizer. ``with_keras`` makes a
model of it as a user would, with any Keras; ``with_torch`` and ``with_jax`` write the same network by hand. What a
step costs (``costs``) is computed from the same list.

The sizes are those of the guide "Getting started with the Keras Sequential model" and of Keras's example folder
(``mnist_mlp``, ``mnist_cnn``, ``cifar10_cnn``, ``lstm_text_generation``). Where they leave something open:

- Sequences of the Embedding + LSTM network are 80 words long (``imdb_lstm``), words are 1,024 (the guide).
- The text of ``lstm_text_generation`` has 57 different characters.
- Recurrent layers use tanh and sigmoid, GRUs the form with ``reset_after=True``: the only one that
  PyTorch and cuDNN have. The document of Keras 1 has ``TimeDistributedDense`` where Keras 2 and 3 have ``Dense``.
- ``decay=1e-6`` of the SGD is left out: Keras 3 does not have it. Adadelta learns with 1.0, as in the old releases.
- Images are channels-last, the default of every Keras since 2.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A layer in Keras's words: the name of its class, and the arguments of its constructor."""

    kind: str
    arguments: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        """The argument of that name; None where it is left out."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self.arguments.get(name)


@dataclass(frozen=True)
class Branch:
    """An input and the layers on it. ``words`` is the size of the vocabulary where the input is indices, else 0."""

    shape: Shape
    layers: tuple[Layer, ...]
    words: int = 0


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained.

    ``branches`` are concatenated along the last axis, then ``top`` follows. ``rows`` is the size of the data set that
    the documents pass to ``fit``. ``labels`` is ``one-hot``, ``dense`` (any distribution) or ``binary``.
    """

    title: str
    batch: int
    branches: tuple[Branch, ...]
    optimizer: str
    settings: dict[str, Any]
    top: tuple[Layer, ...] = ()
    labels: str = "one-hot"
    accuracy: bool = True
    rows: int = 1000

    @property
    def loss(self) -> str:
        return "binary_crossentropy" if self.labels == "binary" else "categorical_crossentropy"

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-self.rows // self.batch)

    @property
    def outputs(self) -> int:
        """How many numbers a row of the result has."""
        return (self.top or self.branches[0].layers)[-1].units


def _layer(kind: str) -> Any:
    return lambda **arguments: Layer(kind, arguments)


dense, dropout, flatten, repeat = _layer("Dense"), _layer("Dropout"), _layer("Flatten"), _layer("RepeatVector")
conv1d, conv2d, pool1d, pool2d = _layer("Conv1D"), _layer("Conv2D"), _layer("MaxPooling1D"), _layer("MaxPooling2D")
mean1d, embedding = _layer("GlobalAveragePooling1D"), _layer("Embedding")


def lstm(units: int, return_sequences: bool = False) -> Layer:
    return Layer("LSTM", {"units": units, "return_sequences": return_sequences, "recurrent_activation": "sigmoid"})


def gru(units: int, return_sequences: bool = False) -> Layer:
    words = {"return_sequences": return_sequences, "recurrent_activation": "sigmoid", "reset_after": True}
    return Layer("GRU", {"units": units, **words})


def _mlp(width: int, hidden: int, rate: float) -> tuple[Branch, ...]:
    layers = [
        dense(units=hidden, activation="relu"),
        dropout(rate=rate),
        dense(units=hidden, activation="relu"),
        dropout(rate=rate),
        dense(units=10, activation="softmax"),
    ]
    return (Branch((width,), tuple(layers)),)


_convolutions_of_vgg = (
    conv2d(filters=32, kernel_size=(3, 3), activation="relu"),
    conv2d(filters=32, kernel_size=(3, 3), activation="relu"),
    pool2d(pool_size=(2, 2)),
    dropout(rate=0.25),
    conv2d(filters=64, kernel_size=(3, 3), activation="relu"),
    conv2d(filters=64, kernel_size=(3, 3), activation="relu"),
    pool2d(pool_size=(2, 2)),
    dropout(rate=0.25),
    flatten(),
)

# The captions' image network has the same convolutions, and no dropout.
_convolutions_of_captions = tuple(layer for layer in _convolutions_of_vgg if layer.kind != "Dropout")

_vgg = (
    *_convolutions_of_vgg,
    dense(units=256, activation="relu"),
    dropout(rate=0.5),
    dense(units=10, activation="softmax"),
)

_mnist_cnn = (
    conv2d(filters=32, kernel_size=(3, 3), activation="relu"),
    conv2d(filters=64, kernel_size=(3, 3), activation="relu"),
    pool2d(pool_size=(2, 2)),
    dropout(rate=0.25),
    flatten(),
    dense(units=128, activation="relu"),
    dropout(rate=0.5),
    dense(units=10, activation="softmax"),
)

_cifar_cnn = (
    conv2d(filters=32, kernel_size=(3, 3), activation="relu", padding="same"),
    conv2d(filters=32, kernel_size=(3, 3), activation="relu"),
    pool2d(pool_size=(2, 2)),
    dropout(rate=0.25),
    conv2d(filters=64, kernel_size=(3, 3), activation="relu", padding="same"),
    conv2d(filters=64, kernel_size=(3, 3), activation="relu"),
    pool2d(pool_size=(2, 2)),
    dropout(rate=0.25),
    flatten(),
    dense(units=512, activation="relu"),
    dropout(rate=0.5),
    dense(units=10, activation="softmax"),
)

_conv1d = (
    conv1d(filters=64, kernel_size=3, activation="relu"),
    conv1d(filters=64, kernel_size=3, activation="relu"),
    pool1d(pool_size=3),
    conv1d(filters=128, kernel_size=3, activation="relu"),
    conv1d(filters=128, kernel_size=3, activation="relu"),
    mean1d(),
    dropout(rate=0.5),
    dense(units=1, activation="sigmoid"),
)

_nesterov = {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}
_rmsprop = {"learning_rate": 0.001}

WORKLOADS: dict[str, Workload] = {
    "mlp-128": Workload("MLP 20-64-64-10 (128)", 128, _mlp(20, 64, 0.5), "SGD", _nesterov),
    "mlp-16": Workload("the same (16)", 16, _mlp(20, 64, 0.5), "SGD", _nesterov),
    "mnist-mlp": Workload("MNIST MLP 784-512-512-10 (128)", 128, _mlp(784, 512, 0.2), "RMSprop", _rmsprop),
    "conv1d": Workload(
        "Conv1D sequence classifier (16)", 16, (Branch((64, 100), _conv1d),), "RMSprop", _rmsprop, labels="binary"
    ),
    "mnist-cnn": Workload(
        "MNIST CNN 32-64-pool-128 (128)",
        128,
        (Branch((28, 28, 1), _mnist_cnn),),
        "Adadelta",
        {"learning_rate": 1.0, "rho": 0.95},
    ),
    "cifar-cnn": Workload(
        "CIFAR CNN 32-32-64-64-512 (32)",
        32,
        (Branch((32, 32, 3), _cifar_cnn),),
        "RMSprop",
        {"learning_rate": 0.0001},
    ),
    "vgg": Workload(
        "VGG-like on 100×100×3 (32)",
        32,
        (Branch((100, 100, 3), _vgg),),
        "SGD",
        _nesterov,
        accuracy=False,
        rows=100,
    ),
    "embedding-lstm": Workload(
        "Embedding + LSTM 128, 80 steps (16)",
        16,
        (
            Branch(
                (80,),
                (
                    embedding(input_dim=1024, output_dim=256),
                    lstm(128),
                    dropout(rate=0.5),
                    dense(units=1, activation="sigmoid"),
                ),
                words=1024,
            ),
        ),
        "RMSprop",
        _rmsprop,
        labels="binary",
    ),
    "stacked-lstm": Workload(
        "stacked LSTM 3×32, 8 steps (64)",
        64,
        (Branch((8, 16), (lstm(32, True), lstm(32, True), lstm(32), dense(units=10, activation="softmax"))),),
        "RMSprop",
        _rmsprop,
        labels="dense",
    ),
    "char-lstm": Workload(
        "char LSTM 128, 40 steps (128)",
        128,
        (Branch((40, 57), (lstm(128), dense(units=57, activation="softmax"))),),
        "RMSprop",
        {"learning_rate": 0.01},
        accuracy=False,
    ),
    "two-lstm": Workload(
        "two merged LSTM encoders (64)",
        64,
        (Branch((8, 16), (lstm(32),)), Branch((8, 16), (lstm(32),))),
        "RMSprop",
        _rmsprop,
        top=(dense(units=32, activation="relu"), dense(units=10, activation="softmax")),
        labels="dense",
    ),
    "captions": Workload(
        "image captioning, conv + GRU (16)",
        16,
        (
            Branch((100, 100, 3), (*_convolutions_of_captions, dense(units=128), repeat(n=16))),
            Branch((16,), (embedding(input_dim=10000, output_dim=256), gru(128, True), dense(units=128)), words=10000),
        ),
        "RMSprop",
        _rmsprop,
        top=(gru(256), dense(units=10000, activation="softmax")),
        accuracy=False,
        rows=100,
    ),
}


def data(workload: Workload, rows: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Random inputs, one array for each branch, and labels: always the same ones."""
    rng = np.random.default_rng(0)
    xs: list[np.ndarray] = []
    for branch in workload.branches:
        if branch.words:
            xs.append(rng.integers(branch.words, size=(rows, *branch.shape)).astype("int32"))
        else:
            xs.append(rng.random((rows, *branch.shape), dtype="float32"))
    classes = workload.outputs
    if workload.labels == "binary":
        return xs, rng.integers(2, size=(rows, 1)).astype("float32")
    if workload.labels == "dense":
        return xs, rng.random((rows, classes), dtype="float32")
    y = np.zeros((rows, classes), "float32")
    y[np.arange(rows), rng.integers(classes, size=rows)] = 1
    return xs, y


def kernel_sizes(layer: Layer) -> Shape:
    size = layer.kernel_size
    return (size,) if isinstance(size, int) else tuple(size)


def out_shape(layer: Layer, shape: Shape) -> Shape:
    """Shape of a row after ``layer``, from the shape of a row before it."""
    if layer.kind == "Dense":
        return (*shape[:-1], layer.units)
    if layer.kind in ("Conv1D", "Conv2D"):
        kept = shape[:-1]
        if layer.padding != "same":
            kept = tuple(n - k + 1 for n, k in zip(kept, kernel_sizes(layer), strict=True))
        return (*kept, layer.filters)
    if layer.kind == "MaxPooling1D":
        return (shape[0] // layer.pool_size, shape[1])
    if layer.kind == "MaxPooling2D":
        return (shape[0] // layer.pool_size[0], shape[1] // layer.pool_size[1], shape[2])
    if layer.kind == "GlobalAveragePooling1D":
        return shape[1:]
    if layer.kind == "Flatten":
        return (math.prod(shape),)
    if layer.kind == "Embedding":
        return (*shape, layer.output_dim)
    if layer.kind in ("LSTM", "GRU"):
        return (shape[0], layer.units) if layer.return_sequences else (layer.units,)
    if layer.kind == "RepeatVector":
        return (layer.n, *shape)
    return shape


def walk(workload: Workload) -> Iterator[tuple[Layer, Shape, bool]]:
    """Each layer with the shape of a row before it, and whether that input needs no gradient."""
    ends: list[Shape] = []
    for branch in workload.branches:
        shape, data_comes_in = branch.shape, True
        for layer in branch.layers:
            yield layer, shape, data_comes_in
            shape = out_shape(layer, shape)
            data_comes_in = False
        ends.append(shape)
    shape = (*ends[0][:-1], sum(end[-1] for end in ends))
    for layer in workload.top:
        yield layer, shape, False
        shape = out_shape(layer, shape)


def multiplications(layer: Layer, shape: Shape) -> tuple[int, int]:
    """Multiply-adds of one row forward: those between inputs and weights, and those between states and weights."""
    if layer.kind == "Dense":
        return math.prod(shape) * layer.units, 0
    if layer.kind in ("Conv1D", "Conv2D"):
        return math.prod(out_shape(layer, shape)) * math.prod(kernel_sizes(layer)) * shape[-1], 0
    if layer.kind in ("LSTM", "GRU"):
        gates = (4 if layer.kind == "LSTM" else 3) * layer.units
        return shape[0] * shape[1] * gates, shape[0] * layer.units * gates
    return 0, 0


def weights(layer: Layer, shape: Shape) -> int:
    """How many trainable numbers the layer has."""
    if layer.kind == "Dense":
        return (shape[-1] + 1) * layer.units
    if layer.kind in ("Conv1D", "Conv2D"):
        return (math.prod(kernel_sizes(layer)) * shape[-1] + 1) * layer.filters
    if layer.kind == "LSTM":
        return (shape[1] + layer.units + 1) * 4 * layer.units
    if layer.kind == "GRU":
        return (shape[1] + layer.units + 2) * 3 * layer.units
    if layer.kind == "Embedding":
        return layer.input_dim * layer.output_dim
    return 0
