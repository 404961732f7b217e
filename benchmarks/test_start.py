"""First start, later starts and import time, each in fresh processes: ``pytest benchmarks --benchmark-enable``."""

import os
import subprocess
import sys
import tempfile

TRAIN = """
import numpy as np
from keras_compat.models import Sequential
from keras_compat.layers import Dense, Dropout
from keras_compat.optimizers import SGD
m = Sequential([Dense(64, activation='relu', input_dim=20), Dropout(0.5), Dense(64, activation='relu'), Dropout(0.5),
                Dense(10, activation='softmax')])
m.compile(SGD(0.01, momentum=0.9, nesterov=True), 'categorical_crossentropy', metrics=['accuracy'])
m.train_on_batch(np.random.random((128, 20)), np.eye(10)[np.random.randint(10, size=128)])
"""


def _run(code: str, cache: str) -> None:
    env = dict(os.environ, AUTOTENSOR_CACHE_DIR=cache, NUMBA_CACHE_DIR=os.path.join(cache, "numba"))
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_import_numpy(benchmark):
    """What any NumPy program pays, for comparison."""
    benchmark.pedantic(_run, args=("import numpy", "."), rounds=5)


def test_import(benchmark, tmp_path):
    _run("import keras_compat", str(tmp_path))
    benchmark.pedantic(_run, args=("import keras_compat", str(tmp_path)), rounds=5)


def test_first_start_ever(benchmark):
    """Process start to the end of the first batch with empty caches: every kernel is compiled."""

    def fresh():
        return (TRAIN, tempfile.mkdtemp()), {}

    benchmark.pedantic(_run, setup=fresh, rounds=3)


def test_later_start(benchmark, tmp_path):
    """Process start to the end of the first batch with kernels in the cache."""
    _run(TRAIN, str(tmp_path))
    benchmark.pedantic(_run, args=(TRAIN, str(tmp_path)), rounds=5)
