"""Boston housing: prices of 506 quarters of 1978 by 13 figures of each (Harrison and Rubinfeld)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_compat.datasets import _files, _selection

Houses = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

# The hash is that of Keras 2.3.1.
FILE = _files.DataFile(
    name="boston_housing.npz",
    origins=(
        "https://s3.amazonaws.com/keras-datasets/boston_housing.npz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz",
    ),
    size=57_026,
    file_hash="f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
)


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Houses, Houses]:
    """Return ``(x_train, y_train), (x_test, y_test)``: figures ``(n, 13)`` and prices ``(n,)`` in thousands of dollars.

    Args:
        path: name of the file below ``~/.keras/datasets``, or an absolute path.
        test_split: share of the quarters to test with, from 0 up to but not 1.
        seed: of the order. Below API level 2.3 NumPy's global generator is seeded with it, as in Keras 2.2.

    Raises:
        OSError: the file is not in the Keras folder and can not be downloaded; says what to place where.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"[boston_housing.load_data] test_split is a share, 0 <= test_split < 1; got {test_split!r}.")
    place = _files.find(FILE, path, "boston_housing.load_data")
    x, y = _files.samples(place, "boston_housing.load_data", ("x", "y"))
    order = _selection.order(_selection.generator(seed), len(x))
    x, y = x[order], y[order]
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
