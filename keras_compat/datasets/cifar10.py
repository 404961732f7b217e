"""CIFAR-10: 50,000 and 10,000 colour pictures of 32x32 in ten classes (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

import numpy as np

from keras_compat.datasets import _files, cifar

# Keras keeps the archive under this name. The hash is that of tf.keras; Keras 2.3.1 has none.
FILE = _files.DataFile(
    name="cifar-10-batches-py.tar.gz",
    origins=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
    ),
    size=170_498_071,
    file_hash="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))


def load_data() -> tuple[cifar.Pictures, cifar.Pictures]:
    """Return ``(x_train, y_train), (x_test, y_test)``; pictures uint8, labels ``(n, 1)``, 0 to 9.

    Pictures are ``(n, 32, 32, 3)``, or ``(n, 3, 32, 32)`` where the order of images is channels first (always at API
    level 0.3). Classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    The folder ``cifar-10-batches-py`` in ``~/.keras/datasets`` is taken as it is; else its archive is unpacked there.

    Raises:
        OSError: neither is there, and the archive can not be downloaded; says what to place where.
    """
    folder = _files.find_folder(FILE, FOLDER, (*_TRAIN, "test_batch"), "cifar10.load_data")
    batches = [cifar.load_batch(os.path.join(folder, name)) for name in _TRAIN]
    x_train = np.concatenate([pictures for pictures, _ in batches])
    y_train = np.concatenate([np.array(labels, np.uint8) for _, labels in batches])
    x_test, y_test = cifar.load_batch(os.path.join(folder, "test_batch"))
    return (
        (cifar.in_image_order(x_train), cifar.column(y_train)),
        (cifar.in_image_order(x_test), cifar.column(y_test)),
    )
