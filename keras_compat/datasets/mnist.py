"""MNIST: 60,000 handwritten digits to learn from and 10,000 to test with, from the file that Keras 2 uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat.datasets import _files

Digits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

# The same file at both places: where Keras 2.3.1 has it, then where tf.keras has it. The hash is tf.keras's; Keras
# 2.3.1 knows the MD5 sum 8a61469f7ea1b51cbae51d4f78837e45.
FILE = _files.DataFile(
    name="mnist.npz",
    origins=(
        "https://s3.amazonaws.com/img-datasets/mnist.npz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    ),
    size=11_490_434,
    file_hash="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    older=("mnist.pkl.gz", None),
)


def load_data(path: str = "mnist.npz") -> tuple[Digits, Digits]:
    """Return ``(x_train, y_train), (x_test, y_test)``, all uint8.

    Images are ``(60000, 28, 28)`` and ``(10000, 28, 28)``, 0 for the background to 255 for full ink; labels
    are ``(60000,)`` and ``(10000,)``, 0 to 9.

    Args:
        path: name of the file below ``~/.keras/datasets`` (``KERAS_HOME`` moves that), or an absolute path.
            Keras 1's ``mnist.pkl.gz`` is read where it is there; ``mnist.npz`` holds the same digits.

    Raises:
        OSError: the file is not in the cache and can not be downloaded; says what to place where.
    """
    found = _files.samples(_files.find(FILE, path, "mnist.load_data"), "mnist.load_data")
    x_train, y_train, x_test, y_test = map(_bytes, found)
    return (x_train, y_train), (x_test, y_test)


def _bytes(values: Any) -> npt.NDArray[np.uint8]:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        raise ValueError("[mnist.load_data] expected arrays of whole numbers; the file holds something else.")
    return values.astype(np.uint8, copy=False)
