"""The batches that CIFAR-10 and CIFAR-100 come in: pickles of Python 2, read without running anything in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat import backend as K
from keras_compat.dialect.level import is_keras_0
from keras_compat.saving.guard import load_pickle

Pictures = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]


def load_batch(fpath: str, label_key: str = "labels") -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Return the pictures of a batch, (n, 3, 32, 32), and the list of their labels.

    Args:
        fpath: the file.
        label_key: what the labels are called in it: ``'labels'``, or ``'fine_labels'``, ``'coarse_labels'``.

    Raises:
        OSError: the file is not there, damaged, or no batch.
        UnsafeModelError: it asks for anything but plain data.
    """
    with open(fpath, "rb") as stream:
        found = load_pickle(stream.read(), str(fpath))
    batch = {_text(key): value for key, value in found.items()} if isinstance(found, dict) else {}
    data, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(data, np.ndarray) or data.size != len(data) * 3072 or len(labels or ()) != len(data):
        raise OSError(
            f"[cifar.load_batch] {fpath} must hold 'data', rows of 3,072 bytes, and as many {label_key!r}; it holds "
            f"{', '.join(map(repr, batch)) or type(found).__name__}. Is it a batch of CIFAR?"
        )
    return data.reshape(len(data), 3, 32, 32), list(labels or ())


def _text(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key


def in_image_order(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures (n, 3, 32, 32) in the order of images in force; Keras 0.x leaves them so."""
    if K.image_data_format() == "channels_first" or is_keras_0():
        return pictures
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def column(labels: Any) -> npt.NDArray[Any]:
    """Labels as (n, 1)."""
    return np.reshape(labels, (len(labels), 1))
