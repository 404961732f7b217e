"""Networks that are written here and read in genuine Keras: one of every kind that both lines have.

Each function builds and compiles one and returns it with its inputs, as ``(model, [inputs])``. The words are Keras 2's
but where a network is one of Keras 1. A layer before BatchNormalization has no bias: its gradient is nothing but noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import constraints, layers, optimizers, regularizers
from keras_compat.layers import (
    GRU,
    LSTM,
    Activation,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    MaxPooling2D,
    SimpleRNN,
    TimeDistributed,
)
from keras_compat.models import Model, Sequential

Built = tuple[Any, list[np.ndarray]]
BOTH: dict[str, Callable[[], Built]] = {}
KERAS_1: dict[str, Callable[[], Built]] = {}
KERAS_2: dict[str, Callable[[], Built]] = {}


def both(function: Callable[[], Built]) -> Callable[[], Built]:
    """Enter a network that Keras 1.2.2 and 2.3.1 have."""
    BOTH[function.__name__] = function
    return function


def keras_2(function: Callable[[], Built]) -> Callable[[], Built]:
    """Enter a network that 2.3.1 has, and 1.2.2 not."""
    KERAS_2[function.__name__] = function
    return function


def real(*shape: int) -> np.ndarray:
    """Eight samples of normal numbers."""
    return np.random.RandomState(sum(shape)).normal(size=(8, *shape)).astype("float32")


def whole(*shape: int, below: int = 12) -> np.ndarray:
    """Eight samples of whole numbers from 0."""
    return np.random.RandomState(sum(shape)).randint(0, below, size=(8, *shape)).astype("int32")


def chain(*parts: Any, optimizer: Any = "sgd", loss: Any = "mse", **more: Any) -> Any:
    """A compiled Sequential."""
    model = Sequential(list(parts))
    model.compile(optimizer=optimizer, loss=loss, **more)
    return model


def graph(inputs: Any, outputs: Any, optimizer: Any = "rmsprop", loss: Any = "mse", **more: Any) -> Any:
    """A compiled functional model."""
    model = Model(inputs=inputs, outputs=outputs)
    model.compile(optimizer=optimizer, loss=loss, **more)
    return model


def of_optimizer(optimizer: Any) -> Callable[[], Built]:
    """More than nine layers: 1.2.2 sorts their weights by name for the optimizer's state."""

    def build() -> Built:
        parts = [Dense(5, input_shape=(5,))] + [Dense(5) for _ in range(10)]
        return chain(*parts, Dense(3), optimizer=optimizer()), [real(5)]

    return build


# Made when they are needed: an optimizer has variables of its own.
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(lr=0.05),
    "sgd_all": lambda: optimizers.SGD(lr=0.02, momentum=0.9, decay=0.01, nesterov=True),
    "sgd_clipped": lambda: optimizers.SGD(lr=0.1, momentum=0.5, clipnorm=0.5),
    "rmsprop": lambda: optimizers.RMSprop(lr=0.002, clipvalue=0.5),
    "adagrad": lambda: optimizers.Adagrad(lr=0.02),
    "adadelta": lambda: optimizers.Adadelta(),
    "adam": lambda: optimizers.Adam(lr=0.005, decay=0.01),
    "adamax": lambda: optimizers.Adamax(lr=0.01),
    "nadam": lambda: optimizers.Nadam(lr=0.01),
}
for _name, _make in OPTIMIZERS.items():
    BOTH[f"optimizer_{_name}"] = of_optimizer(_make)


@both
def mlp() -> Built:
    return chain(
        Dense(7, activation="relu", input_dim=6),
        Dropout(0.0),
        Dense(6, activation="hard_sigmoid", use_bias=False),
        Dense(5),
        Activation("softmax"),
        optimizer="adam",
        loss="categorical_crossentropy",
        metrics=["accuracy", "mae"],
    ), [real(6)]


@both
def penalties() -> Built:
    return chain(
        Dense(6, input_dim=5, kernel_regularizer="l2", bias_regularizer=regularizers.l1_l2(0.01, 0.02)),
        Dense(5, activity_regularizer=regularizers.l1(0.01), kernel_constraint=constraints.MaxNorm(0.7, axis=0)),
        Dense(4, kernel_constraint=constraints.UnitNorm(axis=1), bias_constraint=constraints.NonNeg()),
        Dense(3, kernel_constraint=constraints.MinMaxNorm(0.2, 0.9, rate=0.5, axis=0)),
        layers.ActivityRegularization(l1=0.01, l2=0.02),
        optimizer="adam",
    ), [real(5)]


def _pictures(order: str) -> Built:
    shape = (7, 8, 2) if order == "channels_last" else (2, 7, 8)
    last = constraints.MaxNorm(0.8, axis=[0, 1, 2])
    return chain(
        layers.ZeroPadding2D(((1, 0), (2, 1)), data_format=order, input_shape=shape),
        Conv2D(3, (3, 2), data_format=order, activation="relu", kernel_regularizer="l2", kernel_constraint=last),
        Conv2D(
            4, (2, 2), strides=(2, 1), data_format=order, use_bias=False
        ),  # before BatchNormalization a bias is noise
        BatchNormalization(axis=-1 if order == "channels_last" else 1),
        MaxPooling2D((2, 2), strides=(1, 2), data_format=order),
        layers.AveragePooling2D((2, 1), data_format=order),
        layers.UpSampling2D((1, 2), data_format=order),
        layers.Cropping2D(((0, 0), (0, 1)), data_format=order),
        layers.SpatialDropout2D(0.0, data_format=order),
        Flatten(),
        Dense(3),
        optimizer=optimizers.SGD(lr=0.01, momentum=0.9),
    ), [real(*shape)]


@both
def cnn_last() -> Built:
    return _pictures("channels_last")


@both
def cnn_first() -> Built:
    return _pictures("channels_first")


@both
def cnn_dilated() -> Built:
    return chain(
        Conv2D(3, (3, 3), dilation_rate=(2, 2), input_shape=(9, 8, 2)),
        layers.GlobalAveragePooling2D(),
        Dense(2),
        optimizer="adam",
    ), [real(9, 8, 2)]


@both
def cnn_transposed() -> Built:
    return chain(
        layers.Conv2DTranspose(3, (3, 2), strides=(2, 2), input_shape=(4, 5, 2)),
        layers.Conv2DTranspose(2, (2, 2), padding="same", activation="tanh"),
        optimizer="adam",
    ), [real(4, 5, 2)]


@both
def cnn_separable() -> Built:
    return chain(
        layers.SeparableConv2D(3, (3, 2), depth_multiplier=2, input_shape=(6, 5, 2), activation="relu"),
        Flatten(),
        Dense(2),
        optimizer="adam",
    ), [real(6, 5, 2)]


@both
def volumes() -> Built:
    return chain(
        layers.ZeroPadding3D((1, 0, 1), input_shape=(4, 5, 4, 2)),
        layers.Conv3D(3, (2, 3, 2), activation="relu"),
        layers.MaxPooling3D((2, 1, 2)),
        layers.AveragePooling3D((1, 2, 1)),
        Flatten(),
        Dense(2),
        optimizer="adam",
    ), [real(4, 5, 4, 2)]


@both
def conv1d() -> Built:
    return chain(
        Conv1D(4, 3, padding="same", activation="relu", input_shape=(9, 3), kernel_constraint="max_norm"),
        Conv1D(3, 2, strides=2),
        layers.ZeroPadding1D((1, 2)),
        layers.UpSampling1D(2),
        layers.Cropping1D((1, 0)),
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(2, strides=1),
        Conv1D(3, 2, dilation_rate=2),
        layers.GlobalMaxPooling1D(),
        optimizer=optimizers.SGD(lr=0.01, momentum=0.9),
    ), [real(9, 3)]


@both
def local() -> Built:
    return chain(
        layers.LocallyConnected1D(3, 2, strides=2, input_shape=(8, 3), activation="tanh"),
        layers.Reshape((4, 3, 1)),
        layers.LocallyConnected2D(2, (2, 2)),
        layers.Permute((3, 1, 2)),
        Flatten(),
        Dense(2),
        optimizer="adam",
    ), [real(8, 3)]


@both
def lstm() -> Built:
    return chain(
        LSTM(5, return_sequences=True, input_shape=(6, 3), recurrent_activation="sigmoid", dropout=0.0),
        LSTM(4, go_backwards=True, unit_forget_bias=False, recurrent_activation="hard_sigmoid"),
        Dense(2),
        optimizer="adam",
    ), [real(6, 3)]


@both
def lstm_penalized() -> Built:
    return chain(
        LSTM(4, input_shape=(5, 3), kernel_regularizer="l2", bias_regularizer="l1"),
        Dense(2),
        optimizer="adam",
    ), [real(5, 3)]


@both
def gru() -> Built:
    return chain(
        GRU(5, return_sequences=True, input_shape=(6, 3), unroll=True),
        GRU(4, implementation=1),
        Dense(2),
        optimizer="adam",
    ), [real(6, 3)]


@both
def simple_rnn() -> Built:
    return chain(
        SimpleRNN(4, return_sequences=True, input_shape=(6, 3), recurrent_regularizer="l2"),
        SimpleRNN(3),
        optimizer="rmsprop",
    ), [real(6, 3)]


@both
def stateful() -> Built:
    return chain(
        LSTM(4, stateful=True, return_sequences=True, batch_input_shape=(4, 3, 2)),
        GRU(3, stateful=True),
        Dense(1),
        optimizer="rmsprop",
    ), [real(3, 2)]


@both
def bidirectional() -> Built:
    return chain(
        Bidirectional(LSTM(3, return_sequences=True), input_shape=(5, 2)),
        Bidirectional(GRU(2), merge_mode="sum"),
        Dense(2),
        optimizer="adam",
    ), [real(5, 2)]


@both
def conv_lstm() -> Built:
    return chain(
        layers.ConvLSTM2D(2, (3, 3), padding="same", input_shape=(3, 5, 4, 1), return_sequences=True),
        layers.ConvLSTM2D(3, (2, 2)),
        Flatten(),
        Dense(2),
        optimizer="adam",
    ), [real(3, 5, 4, 1)]


@both
def conv_lstm_first() -> Built:
    return chain(
        layers.ConvLSTM2D(2, (3, 2), input_shape=(3, 2, 5, 4), data_format="channels_first"),
        Flatten(),
        Dense(2),
        optimizer="adam",
    ), [real(3, 2, 5, 4)]


@both
def time_distributed() -> Built:
    return chain(
        TimeDistributed(Dense(4, kernel_regularizer="l2", use_bias=False), input_shape=(5, 3)),
        TimeDistributed(BatchNormalization()),
        LSTM(3, return_sequences=True),
        TimeDistributed(Dense(2)),
        optimizer="rmsprop",
        sample_weight_mode=None,
    ), [real(5, 3)]


@both
def time_distributed_pictures() -> Built:
    return chain(
        TimeDistributed(Conv2D(2, (2, 2)), input_shape=(3, 4, 4, 1)),
        TimeDistributed(Flatten()),
        SimpleRNN(2),
        optimizer="adam",
    ), [real(3, 4, 4, 1)]


@both
def batch_norm() -> Built:
    model = chain(
        Dense(5, input_dim=4, use_bias=False),
        BatchNormalization(momentum=0.9, epsilon=1e-2, gamma_regularizer="l2", beta_regularizer="l1"),
        Activation("relu"),
        Dense(4, use_bias=False),
        BatchNormalization(),
        optimizer="adam",
    )
    return model, [real(4)]


@both
def frozen() -> Built:
    middle = Dense(5, trainable=False, activation="tanh")
    inner = Sequential([Dense(4, input_dim=5), BatchNormalization(), Dense(4)])
    inner.trainable = False
    return chain(Dense(5, input_dim=4, activation="tanh"), middle, inner, Dense(2), optimizer="adam"), [real(4)]


@both
def words() -> Built:
    return chain(
        Embedding(12, 5, input_length=6, mask_zero=True, embeddings_regularizer="l2"),
        LSTM(4),
        Dense(1, activation="sigmoid"),
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["accuracy"],
    ), [whole(6)]


@both
def masked() -> Built:
    x = real(6, 3)
    x[:, 4:] = 0.5
    return chain(
        layers.Masking(0.5, input_shape=(6, 3)),
        GRU(4, return_sequences=True),
        SimpleRNN(3),
        optimizer="rmsprop",
    ), [x]


@both
def activations() -> Built:
    return chain(
        Dense(6, input_dim=5),
        layers.PReLU(),
        layers.Reshape((3, 2)),
        layers.PReLU(shared_axes=[1]),
        layers.LeakyReLU(0.2),
        Flatten(),
        Dense(6, activation="softplus"),
        layers.ELU(0.7),
        layers.ThresholdedReLU(0.1),
        layers.ReLU(),
        Dense(4, activation="softsign"),
        layers.ReLU(negative_slope=0.3),
        layers.RepeatVector(2),
        layers.Softmax(),
        layers.GaussianNoise(0.0),
        layers.GaussianDropout(0.0),
        optimizer="adam",
    ), [real(5)]


@both
def branches() -> Built:
    a, b = Input((5,), name="left"), Input((5,), name="right")
    x, y = Dense(4)(a), Dense(4)(b)
    together = layers.concatenate(
        [
            layers.add([x, y]),
            layers.multiply([x, y]),
            layers.average([x, y]),
            layers.maximum([x, y]),
            layers.dot([x, y], axes=1),
        ]
    )
    return graph([a, b], Dense(3, name="end")(together), optimizer="adam"), [real(5), real(5)[::-1]]


@both
def dots() -> Built:
    a, b = Input((5, 3)), Input((4, 3))
    x, y = TimeDistributed(Dense(2))(a), TimeDistributed(Dense(2))(b)
    z = layers.dot([x, y], axes=(2, -1))
    return graph([a, b], Dense(2)(Flatten()(z))), [real(5, 3), real(4, 3)]


@both
def concatenated() -> Built:
    a = Input((5, 3))
    x = layers.concatenate([TimeDistributed(Dense(2))(a), TimeDistributed(Dense(2))(a)], axis=1)
    y = layers.concatenate([x, layers.Lambda(K.square, name="squared")(x)])
    return graph(a, GRU(3)(y)), [real(5, 3)]


@both
def shared() -> Built:
    a, b = Input((4, 3)), Input((4, 3))
    encoder = LSTM(3)
    reader = Dense(3, activation="tanh")
    x = layers.concatenate([reader(encoder(a)), reader(encoder(b))])
    return graph([a, b], Dense(1)(x), optimizer="adam"), [real(4, 3), real(4, 3)[::-1]]


@both
def two_outputs() -> Built:
    a = Input((5,), name="main")
    h = Dense(4, activation="relu")(a)
    first, second = Dense(2, name="first")(h), Dense(1, name="second", activation="sigmoid")(h)
    return graph(
        a,
        [first, second],
        optimizer="adam",
        loss={"first": "mse", "second": "binary_crossentropy"},
        loss_weights={"first": 1.0, "second": 0.3},
        metrics={"second": ["accuracy"]},
    ), [real(5)]


@both
def nested() -> Built:
    inner = Sequential([Dense(4, input_dim=5, use_bias=False), BatchNormalization(), Dense(3)])
    x, y = Input((3,)), Input((3,))
    joint = Model(inputs=[x, y], outputs=[layers.add([Dense(3)(x), y]), Dense(2)(y)])
    a, b = Input((5,)), Input((5,))
    u, v = joint([inner(a), inner(b)])
    return graph([a, b], [Dense(2)(u), v], optimizer="adam"), [real(5), real(5)[::-1]]


@both
def nested_first() -> Built:
    encoder = Sequential([Dense(4, input_dim=6), layers.PReLU(), Dense(3, use_bias=False)])
    decoder = Sequential([Dense(5, input_dim=3, activation="tanh"), Dense(6)])
    return chain(encoder, BatchNormalization(), decoder, optimizer="adagrad"), [real(6)]


@both
def nested_deep() -> Built:
    a = Input((4,))
    inmost = Sequential([Dense(3, input_dim=4), layers.PReLU()])
    middle = Model(inputs=a, outputs=layers.concatenate([inmost(a), Dense(2)(a)]))
    b = Input((3, 4))
    return graph(b, LSTM(2)(TimeDistributed(middle)(b))), [real(3, 4)]


@both
def begins_with_branches() -> Built:
    left = Sequential([Dense(4, input_dim=5), Activation("tanh")])
    right = Sequential([Embedding(12, 3, input_length=4), Flatten(), Dense(4)])
    model = Sequential([layers.Merge([left, right], mode="concat"), Dense(3), layers.Highway(activation="relu")])
    model.compile(optimizer="adam", loss="mse")
    return model, [real(5), whole(4)]


@both
def keras_1_layers() -> Built:
    a = Input((6,))
    x = layers.MaxoutDense(4, nb_feature=3)(layers.Highway(activation="tanh", bias=True)(a))
    x = layers.ParametricSoftplus()(layers.SReLU()(x))
    y = layers.merge([x, Dense(4)(a)], mode="mul")
    z = layers.TimeDistributedDense(2)(layers.RepeatVector(3)(y))
    return graph(a, z, optimizer="adam"), [real(6)]


@both
def keras_1_words() -> Built:
    return chain(
        layers.Convolution2D(3, 3, 2, border_mode="same", subsample=(2, 1), dim_ordering="th", input_shape=(2, 6, 5)),
        layers.MaxPooling2D((2, 2), dim_ordering="th"),
        Flatten(),
        Dense(output_dim=3, init="he_normal", W_regularizer="l2"),
        optimizer="adam",
    ), [real(2, 6, 5)]


@both
def deferred() -> Built:
    model = Sequential([Dense(4, activation="tanh"), Dense(2)])
    model.compile("adam", "mse")
    model.build((None, 5))
    return model, [real(5)]


KERAS_1 |= {name: BOTH.pop(name) for name in ("begins_with_branches", "keras_1_layers")}


@keras_2
def separable_1d() -> Built:
    return chain(
        layers.SeparableConv1D(3, 2, input_shape=(6, 2)),
        layers.GlobalAveragePooling1D(),
        Dense(2, activation="selu"),
        optimizer=optimizers.Adam(amsgrad=True),
    ), [real(6, 2)]


@keras_2
def depthwise() -> Built:
    return chain(
        layers.DepthwiseConv2D((2, 2), input_shape=(5, 5, 2)),
        Conv2D(2, (2, 2), padding="same"),
        layers.ReLU(max_value=1.0),
        Flatten(data_format="channels_last"),
        Dense(2),
        optimizer="nadam",
        loss="logcosh",
    ), [real(5, 5, 2)]


@keras_2
def cells() -> Built:
    return chain(
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True, input_shape=(4, 2)),
        GRU(3, reset_after=True),
        Dense(2),
        optimizer="adam",
    ), [real(4, 2)]


@keras_2
def states() -> Built:
    a, b = Input((4, 3)), Input((4, 3))
    _, h, c = LSTM(3, return_state=True)(a)
    return graph([a, b], Dense(2)(LSTM(3, use_bias=False)(b, initial_state=[h, c]))), [real(4, 3), real(4, 3)[::-1]]


@keras_2
def causal() -> Built:
    return chain(
        Conv1D(3, 2, padding="causal", dilation_rate=2, input_shape=(6, 2)),
        BatchNormalization(scale=False),
        LSTM(3, recurrent_regularizer="l2", kernel_constraint="max_norm"),
        layers.Dense(2),
        optimizer="adam",
        loss="mse",
        weighted_metrics=["mae"],
    ), [real(6, 2)]


@keras_2
def applied_twice() -> Built:
    a = Input((3,))
    layer = Dense(3, activation="tanh")
    return graph(a, Dense(2)(layer(layer(a)))), [real(3)]


@keras_2
def subtracted() -> Built:
    a, b = Input((3,)), Input((3,))
    x, y = Dense(4)(a), Dense(4)(b)
    made = [layers.subtract([x, y]), layers.minimum([x, y]), layers.dot([x, y], axes=1, normalize=True)]
    return graph([a, b], Dense(1)(layers.concatenate(made))), [real(3), real(3)[::-1]]


def with_random_weights(model: Any, seed: int) -> None:
    """Set every weight from a seed; variances and the like stay positive."""
    rng = np.random.RandomState(seed)
    values = [rng.uniform(0.1, 0.7, size=w.shape) * rng.choice([1, -1], size=w.shape) for w in model.get_weights()]
    names = [w.name for w in model._weights_in_layer_order()]
    model.set_weights([np.abs(v) if "variance" in n or "gamma" in n else v for v, n in zip(values, names)])


def targets(model: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    """Targets in the shape of the outputs: classes where they are probabilities."""
    made = model.predict(x[0] if len(x) == 1 else x, batch_size=4)
    rng = np.random.RandomState(7)
    found = []
    for y in made if isinstance(made, list) else [made]:
        if y.shape[-1] == 1:
            found.append(rng.randint(0, 2, size=y.shape).astype("float32"))
        else:
            found.append(np.eye(y.shape[-1], dtype="float32")[rng.randint(0, y.shape[-1], size=y.shape[:-1])])
    return found
