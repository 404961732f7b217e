"""CIFAR-100: 50,000 and 10,000 colour pictures of 32x32 in a hundred classes of twenty kinds (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

from keras_compat.datasets import _files, cifar

# Keras keeps the archive under this name. The hash is that of tf.keras; Keras 2.3.1 has none.
FILE = _files.DataFile(
    name="cifar-100-python.tar.gz",
    origins=(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-100-python.tar.gz",
    ),
    size=169_001_437,
    file_hash="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)
FOLDER = "cifar-100-python"


def load_data(label_mode: str = "fine") -> tuple[cifar.Pictures, cifar.Pictures]:
    """Return ``(x_train, y_train), (x_test, y_test)`` as :func:`cifar10.load_data` does.

    Args:
        label_mode: ``'fine'`` for the hundred classes, ``'coarse'`` for their twenty kinds.

    Raises:
        ValueError: another label mode.
        OSError: neither ``cifar-100-python`` nor its archive is in the Keras folder, and it can not be downloaded.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            f'[cifar100.load_data] `label_mode` must be one of `"fine"`, `"coarse"`; got {label_mode!r}. '
            "Fine are the hundred classes."
        )
    folder = _files.find_folder(FILE, FOLDER, ("train", "test"), "cifar100.load_data")
    x_train, y_train = cifar.load_batch(os.path.join(folder, "train"), f"{label_mode}_labels")
    x_test, y_test = cifar.load_batch(os.path.join(folder, "test"), f"{label_mode}_labels")
    return (
        (cifar.in_image_order(x_train), cifar.column(y_train)),
        (cifar.in_image_order(x_test), cifar.column(y_test)),
    )
