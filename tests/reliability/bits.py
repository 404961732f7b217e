"""What a seed decides, as one digest for each subject: ``python tests/reliability/bits.py [subject ...]``.

Each subject is trained, or computed, from ``np.random.seed`` as old scripts have it; the digest is that of weights,
history and predictions, bit by bit. Processes with other settings print other lines exactly where a bit differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import autotensor as at
from autotensor import config
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat import losses, optimizers
from keras_compat.models import Model, Sequential
from keras_compat.preprocessing.image import ImageDataGenerator
from keras_compat.utils import Sequence

SEED = 1337
# Bytes by which arrays that are given to models are moved; arrays of NumPy begin at multiples of 16.
OFFSET = int(os.environ.get("BITS_OFFSET", "0"))
# "F": arrays are given with the first axis running fastest.
ORDER = os.environ.get("BITS_ORDER", "C")
# How many workers make batches, and whether they are processes.
WORKERS = int(os.environ.get("BITS_WORKERS", "0"))
PROCESSES = os.environ.get("BITS_PROCESSES", "0") == "1"

SUBJECTS: dict[str, Callable[[], Any]] = {}


def subject(name: str, *arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function, with arguments, as a subject."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        SUBJECTS[name] = lambda: function(*arguments)
        return function

    return enter


def placed(array: np.ndarray) -> np.ndarray:
    """The same numbers elsewhere in memory: at an odd address, or in the other order."""
    array = np.asarray(array, order=ORDER)  # type: ignore[call-overload]
    if not OFFSET:
        return array
    memory = np.zeros(array.nbytes + 64, "u1")
    start = -memory.ctypes.data % 64 + OFFSET
    moved = np.ndarray(array.shape, array.dtype, memory, start, array.strides)
    moved[...] = array
    return moved


def numbers(*shape: int) -> np.ndarray:
    """Drawn by what the program has seeded."""
    return placed(np.random.normal(size=shape).astype("float32"))


def classes(n: int, count: int) -> np.ndarray:
    return placed(np.eye(count, dtype="float32")[np.random.randint(0, count, n)])


def trained(model: Any, x: Any, y: Any, loss: str = "categorical_crossentropy", **words: Any) -> list[Any]:
    """Weights, history and predictions of some training."""
    words = {"optimizer": "adam", "batch_size": 16, "epochs": 2, **words}
    model.compile(words.pop("optimizer"), loss, metrics=words.pop("metrics", []))
    history = model.fit(x, y, verbose=0, validation_split=0.2, **words)
    model.reset_states()
    return [history.history, *model.get_weights(), model.predict(x, batch_size=words["batch_size"])]


def digest(found: Any) -> str:
    """Of arrays, numbers, and lists and dictionaries of them; the dtypes count, too."""
    made = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                made.update(key.encode())
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        else:
            array = np.asarray(value)
            made.update(f"{array.dtype} {array.shape}".encode())
            made.update(np.ascontiguousarray(array).tobytes())

    add(found)
    return made.hexdigest()[:16]


def flat(found: Any) -> Iterable[np.ndarray]:
    """All numbers of what a subject gives, for differences."""
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    if isinstance(found, (list, tuple)):
        for item in found:
            yield from flat(item)
    else:
        yield np.asarray(found, "complex128").ravel()


# -- networks


@subject("short")
def short() -> list[Any]:
    """What the default tests have time for: few kernels, of the kinds that threads or a cache could change."""
    model = Sequential([L.Dense(600, activation="tanh", input_dim=515), L.Dropout(0.5), L.Dense(3)])
    model.compile("sgd", "mse")
    x, y = numbers(250, 515), classes(250, 3)
    found = [model.train_on_batch(x, y) for _ in range(3)]
    rows, square = at.Tensor(numbers(1000, 997)), np.random.normal(size=(200, 200))
    found += [*model.get_weights(), at.softmax(rows).numpy(), at.softmax(rows[:3]).numpy()]  # on threads, and without
    long = at.Tensor(np.random.normal(size=(300, 4100)))
    found += [*np.linalg.eig(square), at.linalg.svd(at.Tensor(square))[1].numpy(), at.matmul(long, long[0]).numpy()]
    return found


@subject("mlp")
def mlp() -> list[Any]:
    model = Sequential([L.Dense(64, activation="relu", input_dim=20), L.BatchNormalization(), L.Dropout(0.3)])
    model.add(L.GaussianNoise(0.1))
    model.add(L.Dense(5, activation="softmax"))
    return trained(model, numbers(100, 20), classes(100, 5), metrics=["accuracy"])


@subject("wide mlp")
def wide() -> list[Any]:
    """Large and odd sizes: products that BLAS would share by threads of its own."""
    model = Sequential([L.Dense(517, activation="tanh", input_dim=515), L.Dropout(0.5), L.BatchNormalization()])
    model.add(L.Dense(1031, activation="sigmoid"))
    model.add(L.Dense(3, activation="softmax"))
    return trained(model, numbers(700, 515), classes(700, 3), batch_size=513, optimizer="rmsprop")


@subject("cnn", 3, 8, 1, "same")  # products as they stand
@subject("cnn winograd", 16, 32, 1, "same")
@subject("cnn strides", 4, 12, 2, "valid")
def cnn(channels: int, filters: int, strides: int, padding: str) -> list[Any]:
    model = Sequential()
    model.add(L.Conv2D(filters, 3, strides=strides, padding=padding, activation="relu", input_shape=(29, 31, channels)))
    model.add(L.BatchNormalization())
    model.add(L.Conv2D(filters, 3, padding=padding))
    model.add(L.MaxPooling2D(2, padding="same"))
    model.add(L.SpatialDropout2D(0.2))
    model.add(L.Conv2D(filters + 1, (5, 2), activation="relu"))
    model.add(L.AveragePooling2D(2, strides=1))
    model.add(L.Flatten())
    model.add(L.Dense(4, activation="softmax"))
    return trained(model, numbers(40, 29, 31, channels), classes(40, 4), optimizer="sgd")


@subject("separable and transposed")
def separable() -> list[Any]:
    image = L.Input((17, 19, 6))
    y = L.SeparableConv2D(9, 3, depth_multiplier=2, activation="relu")(image)
    y = L.DepthwiseConv2D(3, padding="same")(y)
    y = L.Conv2DTranspose(5, 3, strides=2, padding="same")(y)
    y = L.UpSampling2D(2, interpolation="bilinear")(y)
    y = L.ZeroPadding2D(1)(y)
    y = L.Cropping2D(2)(y)
    y = L.GlobalAveragePooling2D()(y)
    return trained(Model(image, L.Dense(3, activation="softmax")(y)), numbers(32, 17, 19, 6), classes(32, 3))


@subject("one and three dimensions")
def others() -> list[Any]:
    model = Sequential([L.Conv3D(6, 3, activation="relu", input_shape=(9, 8, 7, 2)), L.MaxPooling3D(2)])
    model.add(L.Reshape((18, 6)))
    model.add(L.Conv1D(7, 3, padding="causal", dilation_rate=2))
    model.add(L.LocallyConnected1D(5, 2))
    model.add(L.GlobalMaxPooling1D())
    return trained(model, numbers(32, 9, 8, 7, 2), numbers(32, 5), "mse")


@subject("lstm 1", L.LSTM, 1, False)
@subject("lstm 2", L.LSTM, 2, False)
@subject("gru 1", L.GRU, 1, False)
@subject("gru 2", L.GRU, 2, False)
@subject("stateful lstm", L.LSTM, 2, True)
def recurrent(kind: Any, implementation: int, stateful: bool) -> list[Any]:
    words: dict[str, Any] = {"implementation": implementation, "return_sequences": True, "stateful": stateful}
    model = Sequential()
    model.add(
        kind(24, batch_input_shape=(16, 13, 10), dropout=0.2, recurrent_dropout=0.0 if stateful else 0.2, **words)
    )
    if not stateful:
        model.add(L.Bidirectional(kind(9, implementation=implementation, return_sequences=True)))
    model.add(L.SimpleRNN(7))
    model.add(L.Dense(3, activation="softmax"))
    x, y = numbers(80, 13, 10), classes(80, 3)
    model.compile("adam", "categorical_crossentropy")
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=not stateful)
    return [history.history, *model.get_weights(), model.predict(x, batch_size=16)]


@subject("embedding and attention")
def attention() -> list[Any]:
    words = L.Input((12,), dtype="int32")
    e = L.Embedding(300, 16, mask_zero=True)(words)
    q, k = L.TimeDistributed(L.Dense(16))(e), L.Lambda(lambda t: K.tanh(t))(L.Dense(16)(e))
    weights = L.Activation("softmax")(L.Dot(axes=-1)([q, k]))
    mixed = L.Add()([L.Dot(axes=(2, 1))([weights, L.Dropout(0.1)(k)]), k])
    y = L.Lambda(lambda t: K.mean(t, axis=1), output_shape=(16,))(mixed)
    model = Model(words, L.Dense(2, activation="softmax")(y))
    return trained(model, np.random.randint(0, 300, (90, 12)), classes(90, 2), optimizer="nadam")


# -- optimizers and losses

OPTIMIZERS = "SGD RMSprop Adagrad Adadelta Adam Adamax Nadam".split()
LOSSES = (
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error mean_squared_logarithmic_error "
    "squared_hinge hinge categorical_hinge logcosh huber_loss categorical_crossentropy binary_crossentropy "
    "kullback_leibler_divergence poisson cosine_proximity"
).split()


@subject("optimizers")
def all_optimizers() -> list[Any]:
    found = []
    for name in OPTIMIZERS:
        model = Sequential([L.Dense(11, activation="tanh", input_dim=7), L.Dense(3)])
        optimizer = getattr(optimizers, name)(**({"momentum": 0.9, "nesterov": True} if name == "SGD" else {}))
        found.append(trained(model, numbers(50, 7), numbers(50, 3), "mse", optimizer=optimizer))
    return found


@subject("losses")
def all_losses() -> list[Any]:
    found = []
    for name in LOSSES:
        model = Sequential([L.Dense(3, activation="softmax", input_dim=7)])
        found.append(trained(model, numbers(200, 7), classes(200, 3), getattr(losses, name), batch_size=160))
    return found


# -- data


class Numbers(Sequence):
    """Batches that are drawn when they are asked for."""

    def __init__(self, inside: int):
        self.inside = inside

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.normal(size=(8, self.inside)).astype("float32") + index
        return x, np.random.random((8, 1)).astype("float32")


@subject("sequence")
def sequence() -> list[Any]:
    model = Sequential([L.Dense(6, activation="tanh", input_dim=4), L.Dropout(0.2), L.Dense(1)])
    model.compile("sgd", "mse")
    words = {"workers": WORKERS, "use_multiprocessing": PROCESSES, "max_queue_size": 3}
    data = Numbers(4)
    history = model.fit_generator(data, epochs=3, verbose=0, shuffle=True, validation_data=Numbers(4), **words)
    return [history.history, *model.get_weights(), model.predict_generator(data, **words), np.random.random(3)]


@subject("augmentation")
def augmentation() -> list[Any]:
    model = Sequential([L.Flatten(input_shape=(9, 8, 3)), L.Dense(2, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    changes = ImageDataGenerator(
        rotation_range=20, width_shift_range=0.2, zoom_range=0.2, shear_range=5.0, horizontal_flip=True,
        featurewise_center=True, channel_shift_range=0.1, brightness_range=None, zca_whitening=False,
    )  # fmt: skip
    x, y = np.random.random((30, 9, 8, 3)).astype("float32"), classes(30, 2)
    changes.fit(x)
    words = {"workers": WORKERS, "use_multiprocessing": PROCESSES}
    history = model.fit_generator(changes.flow(x, y, batch_size=7), epochs=3, verbose=0, **words)
    return [history.history, *model.get_weights(), np.random.random(3)]


@subject("generator")
def generator() -> list[Any]:
    """A plain generator: a thread asks it, whatever the number of workers; it may draw."""

    def batches() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield np.random.random((8, 4)).astype("float32"), np.random.random((8, 1)).astype("float32")

    model = Sequential([L.Dense(6, activation="tanh", input_dim=4), L.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit_generator(batches(), 9, epochs=2, verbose=0, workers=min(WORKERS, 1))
    return [history.history, *model.get_weights()]


# -- without Keras


@subject("eager")
def eager() -> list[Any]:
    """Steps by hand on tensors, with gradients of gradients."""
    at.random.seed(SEED)
    w = at.Tensor(np.random.normal(size=(33, 17)), requires_grad=True)
    x = at.Tensor(placed(np.random.normal(size=(200, 33))))
    found = []
    for _ in range(5):
        y = at.softmax(at.tanh(x @ w) + at.random.normal((200, 17)))
        (g,) = at.grad(at.mean(y * y) + at.sum(at.logsumexp(x @ w, axis=-1)), [w], create_graph=True)
        (h,) = at.grad(at.sum(g * g), [w])
        w = at.Tensor(w.numpy() - 0.01 * (g + h).numpy(), requires_grad=True)
        found += [y.numpy(), g.numpy(), h.numpy()]
    return found


@subject("products")
def products() -> list[Any]:
    """Of matrices, in sizes that BLAS shares by threads; eager and compiled."""
    found = []
    for dtype in ("float32", "float64"):
        for m, k, n in (
            (515, 517, 519),
            (64, 1500, 1500),
            (3, 2000, 900),
            (1200, 700, 1),
            (1, 900, 1100),
            (130, 4100, 5),
        ):
            a, b = (placed(np.random.normal(size=s).astype(dtype)) for s in ((m, k), (k, n)))
            x, y = at.Tensor(a), at.Tensor(b)
            found += [(x @ y).numpy(), at.matmul(y.T, x.T).numpy(), at.einsum("ij,jk->ki", x, y).numpy()]
            found += [at.tensordot(x, y, 1).numpy(), at.compile(lambda p, q: at.matmul(p, q))(x, y).numpy()]
            found.append(at.matmul(x, y[:, 0]).numpy())
    stacks = [placed(np.random.normal(size=s)) for s in ((9, 150, 170), (9, 170, 130))]
    found.append((at.Tensor(stacks[0]) @ at.Tensor(stacks[1])).numpy())
    return found


@subject("linalg")
def linear_algebra() -> list[Any]:
    """Factorisations, in a size that LAPACK shares by threads of BLAS."""
    a = placed(np.random.normal(size=(300, 300)))
    x = at.Tensor(a, requires_grad=True)
    symmetric = x @ x.T + 300 * at.eye(300)
    found: list[Any] = [symmetric]
    found += [at.linalg.inv(symmetric), at.linalg.solve(symmetric, x), at.linalg.cholesky(symmetric)]
    found += [*at.linalg.eigh(symmetric), *at.linalg.svd(x), *at.linalg.qr(x), at.linalg.slogdet(x)[1]]
    found += [*np.linalg.eig(a)]
    found += at.grad(at.sum(at.linalg.cholesky(symmetric)) + at.sum(at.linalg.eigh(symmetric)[0] ** 2), [x])
    return [np.asarray(v.numpy() if isinstance(v, at.Tensor) else v) for v in found]


@subject("sums")
def sums() -> list[Any]:
    """Reductions of many numbers, whose order threads would change; eager and compiled."""
    found = []
    for dtype in ("float32", "float64"):
        x = at.Tensor(placed(np.random.normal(size=(1000, 997)).astype(dtype)))

        def reduced(x: Any) -> list[Any]:
            return [
                at.sum(x), at.sum(x, axis=0), at.sum(x, axis=1), at.mean(x * x), at.var(x, axis=0), at.logsumexp(x),
                at.prod(1 + x / 1e4, axis=1), at.softmax(x), at.cumsum(x, axis=0), at.linalg.vector_norm(x),
            ]  # fmt: skip

        found += [v.numpy() for v in reduced(x)]
        found += [v.numpy() for v in at.compile(reduced)(x)]
    return found


def run(name: str) -> Any:
    """What a subject gives, from its seed."""
    K.clear_session()
    np.random.seed(SEED)
    return SUBJECTS[name]()


def main(arguments: list[str]) -> None:
    """A line for each subject: a digest for each of ``--threads=1,2,4``, in order, or one."""
    threads = [int(n) for a in arguments if a.startswith("--threads=") for n in a[10:].split(",")]
    for name in [a for a in arguments if not a.startswith("--")] or [n for n in SUBJECTS if n != "short"]:
        line: dict[str, Any] = {"subject": name}
        try:
            found = None
            for n in threads or [config.threads]:
                with config.use(threads=n):
                    found = run(name)
                line.setdefault("bits", []).append(digest(found))
            if folder := os.environ.get("BITS_KEEP"):
                np.save(os.path.join(folder, f"{name}.npy"), np.concatenate(list(flat(found))))
        except Exception as error:  # the other subjects are to be seen, too
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
