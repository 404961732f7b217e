"""MNIST: 60,000 handwritten digits to learn from and 10,000 to test with, from the file that Keras 2 uses."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from ..saving.guard import load_npz
from ..utils.data_utils import cache_path, get_file

Digits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

# The same file at both places: where Keras 2.3.1 has it, then where tf.keras has it.
ORIGINS = (
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
)
# Published for it by tf.keras; stronger than the MD5 sum 8a61469f7ea1b51cbae51d4f78837e45 of Keras 2.3.1.
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> tuple[Digits, Digits]:
    """Return ``(x_train, y_train), (x_test, y_test)``, all uint8.

    Images are ``(60000, 28, 28)`` and ``(10000, 28, 28)``, 0 for the background to 255 for full ink; labels
    are ``(60000,)`` and ``(10000,)``, 0 to 9.

    Args:
        path: name of the file below ``~/.keras/datasets`` (``KERAS_HOME`` moves that), or an absolute path.
            Keras 1's pickle ``mnist.pkl.gz`` is never opened: ``mnist.npz`` beside it holds the same digits.

    Raises:
        OSError: the file is not in the cache and can not be downloaded; says what to place where.
    """
    if path.endswith(".pkl.gz"):
        path = path[: -len(".pkl.gz")] + ".npz"
    arrays = load_npz(_fetch(path), objects=False)
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _fetch(path: str) -> str:
    reasons = []
    for origin in ORIGINS:
        try:
            return get_file(path, origin, file_hash=SHA256)
        except OSError as error:
            reasons.append(str(error))
    target = os.path.abspath(cache_path(path))
    found = "what is there is another file" if os.path.isfile(target) else "it is not there"
    raise OSError(
        f"[mnist.load_data] the file mnist.npz (11,490,434 bytes, sha256 {SHA256}) expected at {target}; "
        f"{found}, and the download failed: {' '.join(reasons)} Place a copy of {ORIGINS[0]} at {target}."
    )
