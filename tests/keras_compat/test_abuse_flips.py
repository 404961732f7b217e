"""Abuse test 8: bytes changed at random in files of every layout. They load, or are refused; see ``flips.py``.

What a process of many copies dies of is the copy it named last. Counts are printed; ``-s`` shows them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import autotensor as at
from keras_compat.models import load_model
from tests.keras_compat.children import run_alone
from tests.keras_compat.test_golden import HERE, SHARED

# A file of a model, and behind it files of weights of the same architecture.
HERE_IN_PART = (
    "keras-2.3.1-tensorflow/models/mlp_softmax__b.model.h5",
    "keras-2.3.1-tensorflow/models/mlp_softmax__b.weights.h5",
    "keras-2.3.1-tensorflow/optimizers/nadam__1.model.h5",
)
IN_FULL = (
    *HERE_IN_PART[:2],
    "keras-1.2.2-theano/models/mlp_softmax__b.weights.h5",
    "keras-0.3.3-theano/models/mlp_softmax__b.weights.h5",
    "tf.keras-2.15.0/models/mlp_softmax__b.weights.h5",
    "keras-1.2.2-theano/models/one_unit_softmax__a.model.h5",
    "keras-3.15.1-torch/models/mlp_softmax__b.keras",
    HERE_IN_PART[2],
)


def files(folder: Path) -> list[str]:
    """The golden files that are there, and one that is written now."""
    root, names = (SHARED, IN_FULL) if SHARED.is_dir() else (HERE / "golden", HERE_IN_PART)
    found = [str(root / name) for name in names]
    ours = folder / "ours.keras"
    with at.config.use(numba=False):
        load_model(found[0]).save(ours)
    return [*found, str(ours)]


def flip(folder: Path, seed: int, count: int) -> None:
    pytest.importorskip("resource")
    done = run_alone(str(HERE / "flips.py"), str(folder), str(seed), str(count), *files(folder), timeout=1200)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with {done.returncode} at {lines[-1:]}: {done.stderr[-3000:]}"
    last = json.loads(lines[-1])
    print(f"\n{count} damaged copies: {dict(Counter(last['found']).most_common())}; grew by {last['grown']} MB")
    assert not last["unclean"], last["unclean"]
    assert sum(last["found"].values()) == count
    assert last["grown"] < 300 and not last["modules"]
    assert last["found"]["CorruptFileError"] > count // 5, "the copies are not damaged"


@pytest.mark.promise("fuzz")
def test_8_two_hundred_damaged_copies(tmp_path: Path) -> None:
    flip(tmp_path, 1, 200)


@pytest.mark.promise("fuzz")
@pytest.mark.slow
def test_8_two_thousand_damaged_copies(tmp_path: Path) -> None:
    flip(tmp_path, 2, 2000)
