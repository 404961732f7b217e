"""Random layers with random legal arguments, as Keras code in the words of a release: what :mod:`networks` is made of.

What a layer may get is written down by the manuals of the releases, in the words of Keras 2; ``OLD`` puts them into
those of Keras 1.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

# Words of Keras 1 for those of Keras 2.
OLD = {
    "kernel_regularizer": "W_regularizer",
    "bias_regularizer": "b_regularizer",
    "recurrent_regularizer": "U_regularizer",
    "kernel_constraint": "W_constraint",
    "bias_constraint": "b_constraint",
    "kernel_initializer": "init",
    "recurrent_initializer": "inner_init",
    "embeddings_initializer": "init",
    "embeddings_regularizer": "W_regularizer",
    "embeddings_constraint": "W_constraint",
    "recurrent_activation": "inner_activation",
    "use_bias": "bias",
    "strides": "subsample",
    "padding": "border_mode",
    "data_format": "dim_ordering",
    "implementation": "consume_less",
    "dropout": "dropout_W",
    "recurrent_dropout": "dropout_U",
}


class Layers:
    """Draws the code of single layers.

    Args:
        r: where chances come from.
        level: of the API: whose words are written.
        plain: leave out what draws random numbers, and what only this package has.
    """

    def __init__(self, r: random.Random, level: str, plain: bool):
        self.r, self.level, self.plain = r, level, plain
        self.old = level < "2"
        self.order = r.choice(["channels_last", "channels_first"])
        self.drawn: list[str] = []
        self.random = False

    # -- words

    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def words(self, **new: Any) -> str:
        """Arguments as code; None leaves one out."""
        found = []
        for name, value in new.items():
            if value is None:
                continue
            if self.old and name == "data_format":
                value = {"channels_first": "th", "channels_last": "tf"}[value]
            if self.old and name == "implementation":
                value = {0: "cpu", 1: "mem", 2: "gpu"}[value]
            found.append(f"{OLD.get(name, name) if self.old else name}={value!r}")
        return ", ".join(found)

    def act(self) -> str | None:
        known = ["relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "linear"]
        known += [] if self.level == "0.3" else ["elu"]
        known += [] if self.old else ["selu", "exponential"] if self.level == "2.3" else ["selu"]
        return self.r.choice([None, "relu", "tanh", *known])

    def rule(self) -> str | None:
        """A regularizer."""
        return self.r.choice(["l1", "l2", "l1l2" if self.old else "l1_l2"]) if self.chance(0.2) else None

    def bound(self) -> str | None:
        """A constraint."""
        words = ["maxnorm", "nonneg", "unitnorm"] if self.old else ["max_norm", "non_neg", "unit_norm", "MinMaxNorm"]
        return self.r.choice(words) if self.chance(0.12) else None

    def start(self) -> str | None:
        """An initializer."""
        words = [
            "glorot_normal",
            "he_normal",
            "he_uniform",
            "lecun_uniform",
            "uniform",
            "normal",
            "orthogonal",
            "one",
            "zero",
        ]
        words += [] if self.old else ["VarianceScaling", "lecun_normal", "TruncatedNormal"]
        return self.r.choice(words) if self.chance(0.25) else None

    def kernel(self, **more: Any) -> dict[str, Any]:
        """What every layer with a kernel takes."""
        rules = {
            "kernel_regularizer": self.rule(),
            "kernel_constraint": self.bound(),
            "kernel_initializer": self.start(),
        }
        bias = (
            {"use_bias": False} if self.chance(0.2) else {"bias_regularizer": self.rule() if self.chance(0.3) else None}
        )
        if self.chance(0.08):
            bias["activity_regularizer"] = self.r.choice(["activity_l2"] if self.old else ["l2", "l1"])
        return {"activation": self.act(), **rules, **bias, **more}

    def call(self, name: str, *parts: Any, **new: Any) -> str:
        """The code that makes a layer."""
        self.drawn.append(name)
        texts = [*[str(p) for p in parts if p is not None], self.words(**new)]
        return f"{name}({', '.join(t for t in texts if t)})"

    def rate(self) -> float:
        """Of a dropout."""
        if self.plain:
            return 0.0
        self.random = True
        return self.r.choice([0.2, 0.5])

    # -- layers of any rank

    def dense(self) -> str:
        return self.call("Dense", self.r.randint(1, 6), **self.kernel())

    def plain_layer(self, shape: tuple[int, ...]) -> str:
        """Layers that change no shape."""
        rank = len(shape)
        makers: list[Callable[[], str]] = [
            lambda: self.call("Activation", repr(self.act() or "softmax")),
            lambda: self.call("Dropout", self.rate()),
            self.normalization(shape),
            lambda: self.call("LeakyReLU", self.r.choice([0.1, 0.3])),
            lambda: self.call("PReLU"),
            lambda: self.call("ELU", self.r.choice([0.5, 1.0])),
            lambda: self.call("ThresholdedReLU", self.r.choice([0.1, 1.0])),
            lambda: self.call("GaussianNoise", self.rate()),
            lambda: self.call("GaussianDropout", self.rate()),
            lambda: self.call("ActivityRegularization", self.words(l1=0.01, l2=self.r.choice([0.0, 0.02]))),
            lambda: self.call("Lambda", "double"),
        ]
        if self.old:
            # Of the backends only this one and Theano's have SReLU for negative slopes.
            makers += [lambda: self.call("ParametricSoftplus")] + ([] if self.plain else [lambda: self.call("SReLU")])
            if self.level == "0.3":
                makers.append(lambda: self.call("ThresholdedLinear", 0.3))
        else:
            axis = self.r.randint(1, rank)
            makers += [
                lambda: self.call("ReLU", self.r.choice([None, 0.8]), **self.relu()),
                lambda: self.call("Softmax", axis=self.r.choice([-1, axis])),
                lambda: self.call("PReLU", shared_axes=[axis]),
                lambda: self.call("AlphaDropout", self.rate()),
            ]
            if not self.plain:
                makers += [
                    lambda: self.call("LayerNormalization", axis=self.r.choice([-1, [*range(1, rank + 1)]])),
                    lambda: self.call("Rescaling", 0.5, offset=self.r.choice([0.0, -1.0])),
                ]
        return self.r.choice(makers)()

    def relu(self) -> dict[str, Any]:
        return {"negative_slope": self.r.choice([0.0, 0.1]), "threshold": self.r.choice([0.0, 0.1])}

    def normalization(self, shape: tuple[int, ...]) -> Callable[[], str]:
        axis = -1 if self.order == "channels_last" or len(shape) < 3 else 1
        given: dict[str, Any] = {
            "axis": axis,
            "momentum": self.r.choice([0.9, 0.99]),
            "epsilon": self.r.choice([1e-3, 1e-2]),
        }
        if self.level == "0.3":
            del given["axis"]
        if not self.old:
            given["scale"] = self.r.choice([None, None, False])
            given["center"] = self.r.choice([None, None, False])
        return lambda: self.call("BatchNormalization", **given)

    # -- vectors

    def vector(self, shape: tuple[int, ...]) -> str:
        makers = [self.dense, self.dense, lambda: self.call("RepeatVector", self.r.randint(2, 4))]
        if self.old:
            makers += [
                lambda: self.call("MaxoutDense", self.r.randint(2, 4), nb_feature=self.r.randint(2, 3)),
                lambda: self.call("Highway", activation=self.act() or "tanh"),
            ]
        if shape[0] % 2 == 0:
            makers.append(lambda: self.call("Reshape", (shape[0] // 2, 2)))
        return self.r.choice(makers)()

    # -- sequences

    def side(self, size: int, most: int = 3) -> int:
        return self.r.randint(1, min(size, most))

    def padding(self, *more: str) -> str:
        return self.r.choice(["valid", "same", *more])

    def recurrent(self, shape: tuple[int, ...], sequences: bool | None = None, name: str = "") -> str:
        name = name or self.r.choice(["LSTM", "GRU", "SimpleRNN"])
        new: dict[str, Any] = {"return_sequences": self.chance(0.5) if sequences is None else sequences}
        new["go_backwards"] = True if self.chance(0.25) else None
        new["activation"] = self.r.choice([None, None, "relu", "sigmoid", "linear"])
        if self.level != "0.3":
            new["kernel_regularizer"], new["recurrent_regularizer"] = self.rule(), self.rule()
            new["unroll"] = True if self.chance(0.1) else None
            if name != "SimpleRNN":
                new["implementation"] = self.r.choice([None, 0, 1, 2] if self.old else [None, 1, 2])
        if name != "SimpleRNN":
            new["recurrent_activation"] = self.r.choice([None, "sigmoid", "hard_sigmoid"])
        if not self.old:
            new["kernel_constraint"] = self.bound()
            new["use_bias"] = self.r.choice([None, None, None, False])
            if name == "GRU":
                new["reset_after"] = self.r.choice([None, True, False])
            if name == "LSTM":
                new["unit_forget_bias"] = self.r.choice([None, False])
        if self.level != "0.3" and not self.plain and self.chance(0.15):
            self.random = True
            new["dropout"], new["recurrent_dropout"] = 0.3, self.r.choice([0.0, 0.3])
        return self.call(name, self.r.randint(1, 4), **new)

    def cells(self) -> str:
        names = self.r.choices(["LSTMCell", "GRUCell", "SimpleRNNCell"], k=self.r.randint(1, 2))
        made = [self.call(n, self.r.randint(1, 3), activation=self.r.choice([None, "sigmoid"])) for n in names]
        inner = made[0] if len(made) == 1 else f"[{', '.join(made)}]"
        if len(made) > 1 and self.chance(0.5):
            inner = self.call("StackedRNNCells", inner)
        return self.call("RNN", inner, return_sequences=self.chance(0.5))

    def wrapped(self, shape: tuple[int, ...]) -> str:
        if self.chance(0.5):
            inner = self.r.choice([self.dense, self.dense, lambda: self.call("Activation", "'tanh'")])()
            return self.call("TimeDistributed", inner)
        modes = ["concat", "sum", "mul", "ave"]
        sequences = self.chance(0.5)
        inner = self.recurrent(shape, sequences)
        while "go_backwards" in inner:
            inner = self.recurrent(shape, sequences)
        return self.call("Bidirectional", inner, merge_mode=self.r.choice(modes))

    def sequence(self, shape: tuple[int, ...], masked: bool) -> str:
        steps, features = shape
        makers = [lambda: self.recurrent(shape), lambda: self.recurrent(shape)]
        if self.level != "0.3":
            makers += [lambda: self.wrapped(shape)]
        if not self.old:
            makers += [self.cells]
        if masked:
            return self.r.choice(makers)()
        makers += [
            lambda: self.conv1d(shape),
            lambda: self.pool(shape),
            self.flat,
            lambda: self.call("Permute", (2, 1)),
        ]
        makers += [lambda: self.resized(shape)]
        if self.level != "0.3":
            makers += [
                lambda: self.call("Masking", self.r.choice([0.0, 0.5])),
                self.dense if not self.old else self.flat,
            ]
            makers += [lambda: self.whole("1D"), lambda: self.call("SpatialDropout1D", self.rate())]
        else:
            makers += [lambda: self.call("TimeDistributedMerge", repr(self.r.choice(["sum", "ave", "mul"])))]
        if self.old:
            makers.append(lambda: self.call("TimeDistributedDense", self.r.randint(1, 4), activation=self.act()))
        elif not self.plain:
            makers += [
                lambda: self.call(self.r.choice(["CuDNNLSTM", "CuDNNGRU"]), 2, return_sequences=self.chance(0.5))
            ]
        return self.r.choice(makers)()

    def flat(self) -> str:
        return self.call("Flatten")

    def whole(self, rank: str) -> str:
        name = f"Global{self.r.choice(['Max', 'Average'])}Pooling{rank}"
        return self.call(name, **({} if rank == "1D" else self.layout()))

    def layout(self) -> dict[str, Any]:
        return {"data_format": self.order}

    def conv1d(self, shape: tuple[int, ...]) -> str:
        steps, n = shape[0], self.r.randint(1, 4)
        size = self.side(steps)
        new = self.kernel(padding=self.padding())
        if self.level == "0.3":
            new.pop("use_bias", None)
        names = ["Conv1D", "Conv1D"] + ([] if self.level == "0.3" else ["LocallyConnected1D"])
        names += [] if self.old else ["SeparableConv1D"]
        names += ["AtrousConvolution1D"] if self.level == "1.2" else []
        name = self.r.choice(names)
        if name == "LocallyConnected1D":
            new["padding"] = "valid"
        stride = self.r.choice([1, 1, 2])
        if name == "AtrousConvolution1D":
            return self.call(name, n, size, atrous_rate=2 if 2 * size <= steps else 1, **new)
        if self.old:
            return self.call("Convolution1D" if name == "Conv1D" else name, n, size, subsample_length=stride, **new)
        if name == "Conv1D" and self.chance(0.3):
            return self.call(name, n, size, **{**new, "padding": "causal", "dilation_rate": self.r.choice([1, 2])})
        if name == "Conv1D" and self.chance(0.3):
            return self.call(
                name, n, size, **new, dilation_rate=2 if new["padding"] == "same" or 2 * size <= steps else 1
            )
        if name == "SeparableConv1D":
            new = self.separable(new)
        return self.call(name, n, size, strides=stride, **new)

    def separable(self, new: dict[str, Any]) -> dict[str, Any]:
        """Those layers have two kernels, with arguments for each."""
        for part in ("regularizer", "constraint", "initializer"):
            value = new.pop("kernel_" + part)
            new["depthwise_" + part] = value
            new["pointwise_" + part] = value if self.chance(0.5) else None
        new["depth_multiplier"] = self.r.choice([None, 2])
        return new

    def resized(self, shape: tuple[int, ...]) -> str:
        """Padding, cropping and repetition in each rank."""
        rank = len(shape) - 1
        kinds = ["ZeroPadding", "UpSampling"] + (
            ["Cropping"] if self.level != "0.3" and min(self.spatial(shape)) > 2 else []
        )
        kind = self.r.choice(kinds)
        if rank == 1:
            return self.call(f"{kind}1D", self.r.choice([1, 2]) if kind != "Cropping" else (1, 1))
        one: list[int] = [self.r.randint(1, 2) for _ in range(rank)]
        size: Any = tuple(one) if kind != "Cropping" else ((1, 1), *[(0, 1)] * (rank - 1))
        if kind == "ZeroPadding" and not self.old and self.chance(0.5):
            size = tuple((self.r.randint(0, 2), self.r.randint(0, 2)) for _ in range(rank))
        more = self.layout()
        if kind == "UpSampling" and rank == 2 and self.level == "2.3" and self.chance(0.3):
            more["interpolation"] = "bilinear"
        return self.call(f"{kind}{rank}D", size, **more)

    def spatial(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) == 2:
            return shape[:1]
        return shape[1:] if self.order == "channels_first" else shape[:-1]

    def pool(self, shape: tuple[int, ...]) -> str:
        rank, sides = len(shape) - 1, self.spatial(shape)
        name = f"{self.r.choice(['Max', 'Average'])}Pooling{rank}D"
        padding = self.padding() if self.level != "0.3" else "valid"
        sizes = tuple(self.side(s, 2) for s in sides)
        if rank == 1:
            stride = self.r.choice([None, 1, 2])
            if self.old:
                return self.call(name, pool_length=sizes[0], stride=stride, padding=padding)
            return self.call(name, sizes[0], strides=stride, padding=padding)
        strides = self.r.choice([None, (1,) * rank, tuple(self.r.randint(1, 2) for _ in sides)])
        # No word of Keras 1 for strides is 'subsample' here.
        stride_text = f"strides={strides!r}" if strides else None
        return self.call(name, sizes, stride_text, padding=padding, **self.layout())

    # -- pictures and volumes

    def picture(self, shape: tuple[int, ...]) -> str:
        sides = self.spatial(shape)
        makers = [
            lambda: self.conv(shape),
            lambda: self.conv(shape),
            lambda: self.pool(shape),
            lambda: self.resized(shape),
        ]
        makers += [self.flat, lambda: self.conv(shape)]
        if self.level != "0.3":
            makers += [lambda: self.whole("2D"), lambda: self.call("SpatialDropout2D", self.rate(), **self.layout())]
        channels = shape[0] if self.order == "channels_first" else shape[-1]
        if self.order == "channels_last":
            makers.append(lambda: self.call("Reshape", (sides[0], sides[1] * channels)))
        return self.r.choice(makers)()

    def conv(self, shape: tuple[int, ...]) -> str:
        sides = self.spatial(shape)
        n, sizes = self.r.randint(1, 4), tuple(self.side(s) for s in sides)
        new = self.kernel(padding=self.padding(), **self.layout())
        strides = self.r.choice([None, None, (2, 1), (2, 2), (1, 2)])
        if self.level == "0.3":
            new.pop("use_bias", None)
            return self.call("Convolution2D", n, *sizes, **new, strides=strides)
        names = ["Conv2D"] * 3 + ["Conv2DTranspose", "LocallyConnected2D", "SeparableConv2D"]
        names += ["AtrousConvolution2D"] if self.old else ["DepthwiseConv2D", "Dilated"]
        name = self.r.choice(names)
        fits = all(2 * a - 1 <= b for a, b in zip(sizes, sides))
        if name == "LocallyConnected2D":
            new["padding"] = "valid"
        if self.old:
            if name == "Conv2DTranspose":
                same, step = new["padding"] == "same", strides or (1, 1)
                out = tuple(s * d if same else s * d + max(k - d, 0) for s, d, k in zip(sides, step, sizes))
                whole = (None, n, *out) if self.order == "channels_first" else (None, *out, n)
                return self.call("Deconvolution2D", n, *sizes, output_shape=whole, **new, strides=step)
            if name == "AtrousConvolution2D":
                return self.call(name, n, *sizes, atrous_rate=(2, 2) if fits else (1, 1), **new)
            if name == "SeparableConv2D":
                new = self.separable(new)
                # TensorFlow's has one stride for both directions.
                strides = (2, 2) if strides == (2, 2) else None
            old = {"Conv2D": "Convolution2D", "SeparableConv2D": "SeparableConvolution2D"}.get(name, name)
            return self.call(old, n, *sizes, **new, strides=strides)
        if name == "Dilated":
            return self.call("Conv2D", n, sizes, **new, dilation_rate=(2, 2) if fits else (1, 1))
        if name == "DepthwiseConv2D":
            new = self.separable(new)
            new = {k: v for k, v in new.items() if not k.startswith("pointwise")}
            n_text: int | None = None
            strides = (2, 2) if strides == (2, 2) else None
        else:
            n_text = n
            if name == "SeparableConv2D":
                new = self.separable(new)
                strides = (2, 2) if strides == (2, 2) else None
        return self.call(name, n_text, sizes, **new, strides=strides)

    def volume(self, shape: tuple[int, ...]) -> str:
        sides = self.spatial(shape)
        sizes = tuple(self.side(s, 2) for s in sides)
        n = self.r.randint(1, 3)
        new = self.kernel(padding=self.padding(), **self.layout())
        strides = self.r.choice([None, (1, 2, 1), (2, 2, 2)])

        def conv() -> str:
            if self.old:
                return self.call("Convolution3D", n, *sizes, **new, strides=strides)
            return self.call(self.r.choice(["Conv3D", "Conv3DTranspose"]), n, sizes, **new, strides=strides)

        makers = [conv, conv, lambda: self.pool(shape), lambda: self.resized(shape), self.flat]
        makers += [lambda: self.whole("3D"), lambda: self.call("SpatialDropout3D", self.rate(), **self.layout())]
        return self.r.choice(makers)()

    def film(self, shape: tuple[int, ...]) -> str:
        """Pictures one after the other."""
        sides = self.spatial(shape[1:])
        sizes = tuple(self.side(s, 2) for s in sides)
        n, padding = self.r.randint(1, 3), self.padding()
        # Of the cells only this package shows the layer around them under `layers`.
        kind = self.r.randint(0, 1 if self.old else 2 if self.plain else 3)
        if kind == 0:
            if self.old:
                inner = self.call("Convolution2D", n, *sizes, padding=padding, activation=self.act(), **self.layout())
            else:
                inner = self.call("Conv2D", n, sizes, padding=padding, activation=self.act(), **self.layout())
            return self.call("TimeDistributed", inner)
        new: dict[str, Any] = {"padding": padding, "activation": self.r.choice([None, "relu"]), **self.layout()}
        new["recurrent_activation"] = self.r.choice([None, "sigmoid"])
        sequences = self.chance(0.5)
        if kind == 3:
            cell = self.call("ConvLSTM2DCell", n, sizes, **new)
            return self.call("ConvRNN2D", cell, return_sequences=sequences)
        back = True if self.chance(0.3) else None
        size: Any = sizes
        if self.old:
            return self.call("ConvLSTM2D", n, *sizes, return_sequences=sequences, go_backwards=back, **new)
        return self.call("ConvLSTM2D", n, size, return_sequences=sequences, go_backwards=back, **new)
