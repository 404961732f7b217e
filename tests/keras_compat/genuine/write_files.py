"""Runs inside a genuine Keras (Python 3.7): makes networks from seeds, trains them, saves them, and goes on.

    python write_files.py folder seeds

Networks are chains of random layers (pictures, sequences, vectors) and graphs, and those of ``SINGLE``, one for each
layer that the chains leave out, all in the words of the release. Into ``folder`` go for each ``name.h5`` (after two
epochs), ``name.npz`` (inputs ``x0...``, targets ``y``, predictions ``pred0`` then, losses of two more epochs and
predictions ``predf0`` after those), and ``index.json``: names and code.
"""

import json
import os
import random
import sys

import keras
import numpy as np
from keras import backend as K

if K.backend() == "theano":
    import theano.ifelse  # Keras takes it for granted  # noqa: F401

OLD = keras.__version__ < "2"
ACTIVATIONS = ["relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "elu", "linear", "softsign"]
SAMPLES, BATCH = 8, 4


def words(**renamed):
    """Return keyword arguments as code; in Keras 1's words for an old release."""
    old = {
        "kernel_regularizer": "W_regularizer",
        "recurrent_regularizer": "U_regularizer",
        "kernel_constraint": "W_constraint",
        "kernel_initializer": "init",
        "use_bias": "bias",
        "strides": "subsample",
        "padding": "border_mode",
        "data_format": "dim_ordering",
        "epochs": "nb_epoch",
    }
    found = []
    for name, value in renamed.items():
        if OLD and name == "data_format":
            value = {"channels_first": "th", "channels_last": "tf"}[value]
        found.append(f"{old.get(name, name) if OLD else name}={value!r}")
    return ", ".join(found)


def joined(*parts):
    return ", ".join(str(p) for p in parts if p != "")


class Maker:
    """Code of random layers; ``first`` is what the first of them says of its input."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.first = ""

    def begin(self, text):
        self.first = text

    def take(self):
        text, self.first = self.first, ""
        return text

    def act(self):
        return f"activation={self.r.choice(ACTIVATIONS)!r}"

    def dense(self, n, **more):
        extra = {}
        if self.r.random() < 0.3:
            extra["kernel_regularizer"] = "l2"
        if self.r.random() < 0.2:
            extra["use_bias"] = False
        return f"Dense({joined(n, self.act(), words(**extra), words(**more), self.take())})"

    def vectors(self):
        n = self.r.randint(3, 6)
        self.begin(f"input_shape=({n},)")
        parts = [self.dense(self.r.randint(4, 7))]
        for _ in range(self.r.randint(1, 4)):
            parts.append(self.r.choice([self.activation, self.norm, lambda: self.dense(self.r.randint(3, 6))])())
        parts.append(f"Dense({self.r.randint(2, 3)})")
        return [(n,)], parts

    def activation(self):
        known = ["LeakyReLU(0.2)", "PReLU()", "ELU(0.6)", "ThresholdedReLU(0.1)", 'Activation("tanh")', "Dropout(0.0)"]
        return self.r.choice(known)

    def norm(self):
        return f"BatchNormalization(momentum={self.r.choice([0.9, 0.99])}, epsilon={self.r.choice([0.001, 0.01])})"

    def conv2d(self, order):
        rows, cols = self.r.choice([(3, 3), (2, 3), (3, 2), (1, 2)])
        n = self.r.randint(2, 4)
        size = f"{n}, {rows}, {cols}" if OLD else f"{n}, ({rows}, {cols})"
        extra = {"data_format": order, "padding": "valid"}
        if self.r.random() < 0.3 and (rows, cols) == (3, 3):
            extra["padding"] = "same"
        elif self.r.random() < 0.4:
            extra["strides"] = self.r.choice([(2, 1), (1, 2), (2, 2)])
        if self.r.random() < 0.3:
            extra["use_bias"] = False
        name = "Convolution2D" if OLD else "Conv2D"
        return f"{name}({joined(size, self.act(), words(**extra), self.take())})"

    def pictures(self):
        order = self.r.choice(["channels_first", "channels_last"])
        side, channels = (9, 8), self.r.randint(1, 3)
        shape = (channels, *side) if order == "channels_first" else (*side, channels)
        self.begin(f"input_shape={shape}")
        w = words(data_format=order)
        parts = [self.conv2d(order)]
        if self.r.random() < 0.6:
            parts.append(f"BatchNormalization(axis={1 if order == 'channels_first' else -1})")
        kind = self.r.choice(["MaxPooling2D", "AveragePooling2D"])
        parts.append(f"{kind}((2, 2), strides=(1, 2), {w})" if self.r.random() < 0.5 else f"{kind}((2, 1), {w})")
        parts.append(self.r.choice([f"ZeroPadding2D((1, 2), {w})", f"UpSampling2D((2, 1), {w})", "Dropout(0.0)"]))
        if self.r.random() < 0.5:
            parts.append(self.conv2d(order).replace("(2, 2)", "(1, 1)") if OLD else self.conv2d(order))
        parts.append(self.r.choice(["Flatten()", f"GlobalMaxPooling2D({w})", f"GlobalAveragePooling2D({w})"]))
        return [shape], [*parts, "Dense(2)"]

    def recurrent(self, sequences):
        kind = self.r.choice(["LSTM", "GRU", "SimpleRNN"])
        extra = {"return_sequences": sequences, "go_backwards": self.r.random() < 0.3}
        if self.r.random() < 0.3:
            extra["kernel_regularizer"] = "l2"
        if kind != "SimpleRNN":
            old = "consume_less", self.r.choice(["cpu", "mem", "gpu"])
            new = "implementation", self.r.choice([1, 2])
            extra.update([old if OLD else new])
        made = f"{kind}({joined(self.r.randint(2, 4), words(**extra))}"
        if self.r.random() < 0.35:
            extra.pop("go_backwards")
            inner = f"{kind}({joined(self.r.randint(2, 4), words(**extra))})"
            mode = self.r.choice(["sum", "mul", "concat", "ave"])
            return f"Bidirectional({joined(inner, f'merge_mode={mode!r}', self.take())})"
        return f"{made}, {self.take()})" if self.first else f"{made})"

    def sequences(self):
        steps, n = self.r.randint(5, 7), self.r.randint(2, 4)
        if self.r.random() < 0.4:
            parts = [f"Embedding(11, {n}, input_length={steps}, mask_zero={self.r.random() < 0.5})"]
            shape = ("whole", steps)
        else:
            self.begin(f"input_shape=({steps}, {n})")
            shape = (steps, n)
            begin = self.r.choice(["mask", "conv", "none"])
            if begin == "conv":
                name = "Convolution1D" if OLD else "Conv1D"
                parts = [f"{name}({joined('4, 3', self.act(), words(padding='same'), self.take())})", "MaxPooling1D(2)"]
            else:
                parts = [f"Masking(0.0, {self.take()})"] if begin == "mask" else []
        for _ in range(self.r.randint(0, 2)):
            parts.append(self.recurrent(True))
        if self.r.random() < 0.4:
            parts.append(f"TimeDistributed({joined('Dense(3, activation=' + repr('tanh') + ')', self.take())})")
        parts.append(self.recurrent(False))
        return [shape], [*parts, "Dense(2)"]


OPTIMIZERS = ["SGD(lr=0.01, momentum=0.9, nesterov=True)", "Adam(lr=0.003)", "RMSprop(lr=0.002)", "Adagrad(lr=0.01)"]
OPTIMIZERS += ["Adadelta()", "Adamax(lr=0.004)", "SGD(lr=0.02, decay=0.01)", "Nadam(lr=0.004)"]

MODEL = "Model(input={}, output={})" if OLD else "Model(inputs={}, outputs={})"
CONCAT = "merge({}, mode='concat', concat_axis=-1)" if OLD else "concatenate({})"
SUM = "merge({}, mode='sum')" if OLD else "add({})"
GRAPHS = {
    "shared_lstm": (
        [(4, 3), (4, 3)],
        f"""
a, b = Input(shape=(4, 3)), Input(shape=(4, 3))
shared = LSTM(3)
model = {MODEL.format("[a, b]", "Dense(2)(" + CONCAT.format("[shared(a), shared(b)]") + ")")}
""",
    ),
    "several_outputs": (
        [(5,)],
        f"""
a = Input(shape=(5,), name='a')
h = Dense(4, activation='tanh', name='z_first')(a)
model = {MODEL.format("a", "[Dense(2, name='y_second')(h), Dense(3, name='x_third')(h)]")}
""",
    ),
    "nested_three_deep": (
        [(4,)],
        f"""
inmost = Sequential([Dense(3, input_dim=4, activation='tanh'), BatchNormalization()])
a = Input(shape=(4,))
middle = {MODEL.format("a", CONCAT.format("[inmost(a), Dense(2)(a)]"))}
b = Input(shape=(4,))
outer = Sequential([Dense(4, input_dim=4, activation='tanh')])
model = {MODEL.format("b", "Dense(2)(middle(outer(b)))")}
""",
    ),
    "nested_called_twice": (
        [(4,), (4,)],
        f"""
inner = Sequential([Dense(3, input_dim=4, activation='tanh'), PReLU(), Dense(3)])
a, b = Input(shape=(4,)), Input(shape=(4,))
model = {MODEL.format("[a, b]", "Dense(2)(" + SUM.format("[inner(a), inner(b)]") + ")")}
""",
    ),
    "frozen_in_the_middle": (
        [(4,)],
        """
model = Sequential([Dense(4, input_dim=4, activation='tanh'), Dense(4, trainable=False), Dense(3, activation='tanh')])
model.add(Dense(2))
""",
    ),
    "two_inputs": (
        [(3,), ("whole", 4)],
        f"""
a, b = Input(shape=(3,)), Input(shape=(4,), dtype='int32')
h = {CONCAT.format("[Dense(3)(a), GRU(3)(Embedding(11, 4)(b))]")}
model = {MODEL.format("[a, b]", "Dense(2)(h)")}
""",
    ),
    "recurrent_and_normalized": (
        [(5, 3)],
        """
model = Sequential([LSTM(4, return_sequences=True, input_shape=(5, 3)), BatchNormalization(), GRU(3)])
model.add(BatchNormalization())
model.add(Dense(2))
""",
    ),
    "stateful": (
        [(3, 2)],
        """
model = Sequential([LSTM(3, stateful=True, return_sequences=True, batch_input_shape=(4, 3, 2)), GRU(2, stateful=True)])
model.add(Dense(2))
""",
    ),
}
SINGLE = {
    "1": {
        "convolution3d_tf": [(4, 5, 4, 2), "Convolution3D(2, 2, 3, 2, dim_ordering='tf', input_shape=(4, 5, 4, 2))"],
        "convolution3d_th": [(2, 4, 5, 4), "Convolution3D(2, 2, 3, 2, dim_ordering='th', input_shape=(2, 4, 5, 4))"],
        "deconvolution2d": [
            (4, 5, 2),
            "Deconvolution2D(3, 3, 2, output_shape=(None, 9, 10, 3), subsample=(2, 2), input_shape=(4, 5, 2))",
        ],
        "atrous2d": [(8, 8, 2), "AtrousConvolution2D(3, 2, 3, atrous_rate=(2, 2), input_shape=(8, 8, 2))"],
        "atrous1d": [(9, 2), "AtrousConvolution1D(3, 2, atrous_rate=2, input_shape=(9, 2))"],
        "local1d": [(7, 2), "LocallyConnected1D(3, 2, input_shape=(7, 2))"],
        "local2d": [
            (5, 6, 2),
            "LocallyConnected2D(2, 2, 3, subsample=(1, 2), dim_ordering='tf', input_shape=(5, 6, 2))",
        ],
        "highway": [(5,), "Highway(activation='tanh', input_dim=5)"],
        "maxout": [(5,), "MaxoutDense(4, nb_feature=3, input_dim=5)"],
        "srelu": [(5,), "Dense(4, input_dim=5)", "SReLU()"],
        "parametric_softplus": [(5,), "Dense(4, input_dim=5)", "ParametricSoftplus()"],
        "time_distributed_dense": [(4, 3), "TimeDistributedDense(3, input_shape=(4, 3))"],
        "normalized_mode_1": [(5,), "Dense(4, input_dim=5)", "BatchNormalization(mode=1)"],
        "normalized_mode_2": [(5,), "Dense(4, input_dim=5)", "BatchNormalization(mode=2)"],
        "conv_lstm": [(3, 5, 4, 2), "ConvLSTM2D(2, 3, 3, dim_ordering='tf', input_shape=(3, 5, 4, 2))"],
        "embedding_rules": [
            ("whole", 4),
            "Embedding(11, 3, input_length=4, W_regularizer='l2', W_constraint='unitnorm')",
        ],
        "rules": [(4,), "Dense(4, input_dim=4, W_constraint='maxnorm', b_constraint='nonneg', b_regularizer='l1')"],
        "time_distributed_conv": [(2, 5, 5, 1), "TimeDistributed(Convolution2D(2, 2, 2), input_shape=(2, 5, 5, 1))"],
        "branches": [
            (4,),
            "Merge([Sequential([Dense(3, input_dim=4)]), Sequential([Dense(3, input_dim=4)])], mode='mul')",
        ],
    },
    "2": {
        "conv3d": [(4, 5, 4, 2), "Conv3D(2, (2, 3, 2), input_shape=(4, 5, 4, 2))"],
        "conv3d_first": [(2, 4, 5, 4), "Conv3D(2, (2, 3, 2), data_format='channels_first', input_shape=(2, 4, 5, 4))"],
        "transposed2d": [(4, 5, 2), "Conv2DTranspose(3, (3, 2), strides=2, input_shape=(4, 5, 2))"],
        "transposed2d_more": [(4, 5, 2), "Conv2DTranspose(3, 3, strides=2, output_padding=1, input_shape=(4, 5, 2))"],
        "transposed3d": [(2, 3, 2, 2), "Conv3DTranspose(2, 2, strides=2, input_shape=(2, 3, 2, 2))"],
        "separable1d": [(7, 2), "SeparableConv1D(3, 2, depth_multiplier=2, input_shape=(7, 2))"],
        "separable2d": [(5, 6, 2), "SeparableConv2D(3, (2, 3), depth_multiplier=2, input_shape=(5, 6, 2))"],
        "depthwise": [(5, 6, 2), "DepthwiseConv2D((2, 3), depth_multiplier=2, input_shape=(5, 6, 2))"],
        "dilated": [(8, 8, 2), "Conv2D(3, (2, 3), dilation_rate=(2, 1), input_shape=(8, 8, 2))"],
        "causal": [(8, 2), "Conv1D(3, 2, padding='causal', dilation_rate=2, input_shape=(8, 2))"],
        "local1d": [(7, 2), "LocallyConnected1D(3, 2, input_shape=(7, 2))"],
        "local2d": [(5, 6, 2), "LocallyConnected2D(2, (2, 3), strides=(1, 2), input_shape=(5, 6, 2))"],
        "cells": [(4, 3), "RNN([LSTMCell(3), GRUCell(2)], input_shape=(4, 3))"],
        "gru_reset_after": [(4, 3), "GRU(3, reset_after=True, recurrent_activation='sigmoid', input_shape=(4, 3))"],
        "lstm_rules": [
            (4, 3),
            "LSTM(3, recurrent_constraint='max_norm', recurrent_regularizer='l1', input_shape=(4, 3))",
        ],
        "no_bias": [(4, 3), "GRU(3, use_bias=False, input_shape=(4, 3))"],
        "conv_lstm": [(3, 5, 4, 2), "ConvLSTM2D(2, (3, 3), input_shape=(3, 5, 4, 2))"],
        "conv_lstm_first": [
            (3, 2, 5, 4),
            "ConvLSTM2D(2, (3, 3), data_format='channels_first', input_shape=(3, 2, 5, 4))",
        ],
        "not_centered": [(4,), "Dense(4, input_dim=4)", "BatchNormalization(center=False)"],
        "not_scaled": [(4,), "Dense(4, input_dim=4, use_bias=False)", "BatchNormalization(scale=False)"],
        "softmax": [(4,), "Dense(4, input_dim=4)", "Softmax()", "ReLU(0.8, negative_slope=0.1, threshold=0.05)"],
        "bidirectional_named": [(4, 3), "Bidirectional(LSTM(2, name='inside'), name='outside', input_shape=(4, 3))"],
        "selu": [
            (4,),
            "Dense(4, activation='selu', kernel_initializer='lecun_normal', input_dim=4)",
            "AlphaDropout(0.0)",
        ],
        "embedding_rules": [("whole", 4), "Embedding(11, 3, input_length=4, embeddings_constraint='unit_norm')"],
    },
}


def cases(seeds):
    """Yield (name, shapes, code)."""
    for kind in ("vectors", "pictures", "sequences"):
        for seed in range(seeds):
            maker = Maker(f"{kind}{seed}")
            shapes, parts = getattr(maker, kind)()
            code = "model = Sequential()\n" + "".join(f"model.add({part})\n" for part in parts)
            yield f"{kind}_{seed}", shapes, code
    for name, (shapes, code) in GRAPHS.items():
        yield name, shapes, code
    for name, (shape, *parts) in SINGLE["1" if OLD else "2"].items():
        tail = [] if len(shape) == 1 and not OLD else ["Flatten()"] if len(shape) > 1 else []
        if name in ("cells", "gru_reset_after", "lstm_rules", "no_bias", "bidirectional_named"):
            tail = []
        code = "model = Sequential()\n" + "".join(f"model.add({part})\n" for part in [*parts, *tail, "Dense(2)"])
        yield name, [shape, shape] if name == "branches" else [shape], code


def numbers(rng, shape):
    if shape[0] == "whole":
        return rng.randint(0, 11, size=(SAMPLES, *shape[1:])).astype("int32")
    return rng.normal(size=(SAMPLES, *shape)).astype("float32")


def single(values):
    return values[0] if len(values) == 1 else values


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def write(folder, number, name, shapes, code):
    if K.backend() == "tensorflow":
        K.clear_session()
    rng = np.random.RandomState(number)
    space = {"np": np}
    exec("from keras.layers import *\nfrom keras.models import *\nfrom keras.optimizers import *\n", space)
    if OLD:
        exec("from keras.layers import merge\n", space)
    exec(code, space)
    model = space["model"]
    # The backends of 1.2.2 differ for negative slopes of SReLU.
    start = [_start(rng, w) for w in model.get_weights()]
    model.set_weights([np.abs(w) for w in start] if "SReLU" in code else start)
    x = [numbers(rng, s) for s in shapes]
    optimizer = OPTIMIZERS[number % len(OPTIMIZERS)]
    exec(f"model.compile(optimizer={optimizer}, loss='mse')", space)

    def reset():
        if getattr(model, "stateful", False):
            model.reset_states()

    def predict():
        reset()
        return listed(model.predict(single(x), batch_size=BATCH))

    y = [rng.normal(size=v.shape).astype("float32") for v in predict()]

    def fit():
        reset()
        epochs = {"nb_epoch" if OLD else "epochs": 2}
        return model.fit(single(x), single(y), batch_size=BATCH, shuffle=False, verbose=0, **epochs).history["loss"]

    fit()
    reset()
    model.save(os.path.join(folder, name + ".h5"))
    out = {f"x{i}": v for i, v in enumerate(x)}
    out.update({f"y{i}": v for i, v in enumerate(y)})
    out.update({f"pred{i}": v for i, v in enumerate(predict())})
    out["losses"] = np.asarray(fit())
    out.update({f"predf{i}": v for i, v in enumerate(predict())})
    np.savez(os.path.join(folder, name + ".npz"), **out)
    return {"name": name, "code": code, "optimizer": optimizer}


def _start(rng, weight):
    """Numbers from 0.1 to 0.6 of either sign, positive where all were: variances and scales."""
    values = rng.uniform(0.1, 0.6, size=weight.shape) * rng.choice([1, -1], size=weight.shape)
    return np.abs(values) if (weight > 0.5).all() else values


def main():
    folder, seeds = sys.argv[1], int(sys.argv[2])
    if K.backend() == "tensorflow":
        import oracle

        oracle.values_before_updates()
    done, failed = [], {}
    for number, (name, shapes, code) in enumerate(cases(seeds)):
        try:
            done.append(write(folder, number, name, shapes, code))
        except Exception as error:  # a network that this release does not build: the layers are drawn blindly
            failed[name] = f"{type(error).__name__}: {str(error)[:300]}\n{code}"
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump({"done": done, "failed": failed}, f, indent=1)
    print(len(done), "written", len(failed), "not")


if __name__ == "__main__":
    main()
