"""One seed, the same bits: in other processes, on other threads, with other workers, with fresh and kept kernels.

`bits.py` trains networks and computes sums, and prints a digest of each; these tests compare what it prints under
different settings. The default tests have a short subject; all of them run for all subjects with ``-m slow``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.kernels import blas
from autotensor.kernels.jit import DISABLED
from keras_compat import backend as K
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential
from keras_compat.utils import set_random_seed

pytestmark = pytest.mark.promise(33, "determinism")

PROGRAM = Path(__file__).with_name("bits.py")
ROOT = PROGRAM.parents[2]
compiled_only = pytest.mark.skipif(DISABLED or not blas.AVAILABLE, reason="needs compiled kernels")


def bits(folder: Path, *arguments: str, **environment: str) -> dict[str, list[str]]:
    """What the program prints: digests by subject."""
    ours = {"PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "4", "AUTOTENSOR_DETERMINISTIC": "1"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, **ours, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines and not [line for line in lines if "error" in line], lines
    return {line["subject"]: line["bits"] for line in lines}


# What a process may differ in, and the bits may not.
SETTINGS: dict[str, dict[str, str]] = {
    "one thread": {"AUTOTENSOR_THREADS": "1"},
    "four threads": {"AUTOTENSOR_THREADS": "4"},
    "the order of sets": {"PYTHONHASHSEED": "random"},
    "one thread of BLAS": {"OPENBLAS_NUM_THREADS": "1"},
    "four threads of BLAS": {"OPENBLAS_NUM_THREADS": "4"},
    "arrays at odd addresses": {"BITS_OFFSET": "1"},
    "arrays off by a float": {"BITS_OFFSET": "4"},
    "Numba's own threads": {"NUMBA_THREADING_LAYER": "workqueue", "AUTOTENSOR_THREADS": "4"},
    "OpenMP": {"NUMBA_THREADING_LAYER": "omp", "AUTOTENSOR_THREADS": "3"},
    "four workers": {"BITS_WORKERS": "4"},
}
# Of these the numbers are others, but not for other numbers of workers: see docs/data.md.
PROCESSES = [{"BITS_PROCESSES": "1", "BITS_WORKERS": n} for n in "014"]
DRAWN_BY_PROCESSES = ("sequence", "augmentation")


@compiled_only
def test_other_processes_threads_and_kernels(tmp_path: Path) -> None:
    """A process that compiles, in helpers too, and one that finds the kernels, and in which all else is different."""
    (tmp_path / "elsewhere").mkdir()
    kept = {"AUTOTENSOR_CACHE_DIR": str(tmp_path / "cache")}
    fresh = bits(tmp_path, "short", AUTOTENSOR_THREADS="2", OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED="1", **kept)
    other = {"OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "random", "BITS_OFFSET": "4"}
    loaded = bits(tmp_path / "elsewhere", "short", "--threads=1,2,4,1", **kept, **other)
    assert loaded["short"] == fresh["short"] * 4


@compiled_only
@pytest.mark.slow
def test_a_kernel_gives_the_same_bits_fresh_and_kept(tmp_path: Path) -> None:
    """In a kernel that was compiled here, the helpers it calls were another copy than in the one from the cache."""
    program = (
        "import hashlib, numpy as np, autotensor as at\n"
        "x = np.random.RandomState(0).normal(size=(50, 997)).astype('f4')\n"
        "f = [at.softmax, at.log_softmax, lambda t: at.grad(at.sum(at.softmax(t) ** 2), t)]\n"
        "print([hashlib.sha256(np.asarray(g(at.Tensor(x, requires_grad=True)).numpy())).hexdigest() for g in f])\n"
        "from autotensor.kernels import cache; import sys; print(dict(cache.EVENTS), file=sys.stderr)"
    )
    found, events = [], []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "AUTOTENSOR_CACHE_DIR": str(tmp_path),
                "AUTOTENSOR_THREADS": "1",
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
        found.append(done.stdout)
        events.append(done.stderr)
    assert "saved" in events[0] and "missed" not in events[1]
    assert found[0] == found[1]


@compiled_only
@pytest.mark.slow
def test_all_subjects_under_all_settings(tmp_path: Path) -> None:
    """Some minutes: 22 subjects under 14 settings."""
    words = {"AUTOTENSOR_THREADS": "2", "AUTOTENSOR_CACHE_DIR": str(tmp_path)}
    want = bits(tmp_path, **words)
    assert len(want) == 22
    wrong = []
    for name, setting in {"the same again": {}, **SETTINGS}.items():
        found = bits(tmp_path, **{**words, **setting})
        wrong += [f"{name}: {subject}" for subject in want if found[subject] != want[subject]]
    drawn = [bits(tmp_path, *DRAWN_BY_PROCESSES, **words, **setting) for setting in PROCESSES]
    assert not wrong
    assert drawn[0] == drawn[1] == drawn[2] != {name: want[name] for name in DRAWN_BY_PROCESSES}


# -- in this process, without kernels


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("bits", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with config.use(numba=False):
        yield module


def test_threads_that_make_batches_change_nothing(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sequences are trained on with processes in keras_compat/test_workers.py; here generators and pictures."""
    for name in ("augmentation", "generator", "sequence"):
        found = set()
        for workers in (0, 1, 4):
            monkeypatch.setattr(program, "WORKERS", workers)
            found.add(program.digest(program.run(name)))
        assert len(found) == 1, name


def test_processes_that_change_pictures_change_nothing(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "PROCESSES", True)
    found = []
    for workers in (0, 2):
        monkeypatch.setattr(program, "WORKERS", workers)
        found.append(program.digest(program.run("augmentation")))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "name",
    ["mlp", "eager", *[pytest.param(n, marks=pytest.mark.slow) for n in ("optimizers", "losses", "lstm 2", "cnn")]],
)
def test_the_same_again_in_one_process(name: str, program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with arrays elsewhere in memory."""
    first = program.digest(program.run(name))
    monkeypatch.setattr(program, "OFFSET", 1)
    assert program.digest(program.run(name)) == first


def test_a_digest_sees_one_bit(program: ModuleType) -> None:
    value: dict[str, Any] = {"loss": [1.0, 2.0], "w": np.zeros((2, 3), "f4")}
    first = program.digest(value)
    assert program.digest({"w": np.zeros((2, 3), "f4"), "loss": [1.0, 2.0]}) == first
    value["w"][1, 2] = -0.0
    assert program.digest(value) != first
    assert program.digest({"loss": [1.0, 2.0], "w": np.zeros((2, 3))}) != first
    moved = np.zeros((3, 2), "f4")
    try:
        program.OFFSET = 1
        elsewhere = program.placed(moved)
    finally:
        program.OFFSET = 0
    assert elsewhere.ctypes.data % 4 == 1 and not elsewhere.flags.aligned


# -- seeds


def losses() -> list[Any]:
    model = Sequential([Dense(4, input_dim=3), Dropout(0.5), Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.random((20, 3))
    drawn = [random.random(), at.random.normal((2,)).tolist(), K.eval(K.random_uniform((2,))).tolist()]
    return [model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"], drawn]


def test_one_call_seeds_all(program: ModuleType) -> None:
    found = []
    for seed in (5, 5, 6):
        set_random_seed(seed)
        found.append(losses())
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert all(a != b for a, b in zip(found[0][1], found[2][1], strict=True))


def test_seeds_are_whole_numbers() -> None:
    for bad in (1.5, "7", None, True, -1, 2**32):
        with pytest.raises((TypeError, ValueError), match=r"\[set_random_seed\] expected a whole number"):
            set_random_seed(bad)  # type: ignore[arg-type]
    set_random_seed(np.int64(3))


def test_blas_has_its_threads_back_after_deterministic_mode() -> None:
    if not blas._known:
        pytest.skip("NumPy was built on another library")
    import ctypes

    get = ctypes.CFUNCTYPE(ctypes.c_int)(blas._known[2]["get"])
    with config.use(deterministic=False):
        before = get()
        with config.use(deterministic=True):
            assert get() == 1
            with config.use(threads=1):
                assert get() == 1
            assert get() == 1
        assert get() == before
