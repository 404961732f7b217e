"""Products of matrices by parts on threads: against NumPy in float64, for every layout and split."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.kernels import blas, product
from autotensor.kernels.threads import FIXED, parts, share

needs_blas = pytest.mark.skipif(not blas.AVAILABLE, reason="NumPy's BLAS can not be called from kernels")


def turned(x: np.ndarray) -> np.ndarray:
    """The same values, columns in order in memory."""
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)


def printed(code: str, environment: dict[str, str]) -> str:
    """What a program prints in a process of its own, which ends well."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_blas
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize(
    "m, k, n",
    [
        (1, 1, 1),
        (1, 7, 5),
        (5, 1, 3),
        (4, 6, 1),
        (17, 33, 9),
        (40, 5, 33),
        (70, 40, 300),
        (9, 130, 1030),
        (33, 1030, 130),
    ],
)
@pytest.mark.parametrize("switches", [{"threads": 1}, {"threads": 3}, {"threads": 2, "deterministic": True}])
def test_all_layouts(dtype, lead, m, k, n, switches, monkeypatch):
    monkeypatch.setattr("autotensor.kernels.threads.GRAIN", 1)  # small as they are: split them
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(*lead, m, k)), rng.normal(size=(*lead, k, n))
    want = a @ b
    for x in (a.astype(dtype), turned(a.astype(dtype))):
        for y in (b.astype(dtype), turned(b.astype(dtype))):
            out = np.full(want.shape, np.nan, dtype)
            with config.use(**switches):
                call, arguments = product.bind(out, x, y, np.empty)
                call(*arguments)
            np.testing.assert_allclose(out, want, rtol=0, atol=k * (1e-6 if dtype == "float32" else 1e-15) + 1e-14)


@needs_blas
def test_one_matrix_for_a_whole_batch():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 5, 6)), rng.normal(size=(6, 3))
    out = np.empty((4, 5, 3))
    call, arguments = product.bind(out, x, y, np.empty)
    call(*arguments)
    np.testing.assert_allclose(out, x @ y, rtol=1e-13)


@pytest.mark.parametrize(
    "x, y",
    [
        (np.ones((4, 5), "float16"), np.ones((5, 3), "float16")),
        (np.ones((4, 5), "float32"), np.ones((5, 3))),
        (np.ones((0, 5)), np.ones((5, 3))),
        (np.ones((4, 0)), np.ones((0, 3))),
        (np.ones((8, 10))[::2, ::2], np.ones((5, 3))),
        (np.ones((3, 4, 5)), np.ones((1, 5, 3))),
        (np.ones(5), np.ones((5, 3))),
    ],
)
def test_what_blas_can_not_do_is_left_to_numpy(x, y):
    want = x @ y
    assert product.bind(np.empty(want.shape, want.dtype), x, y, np.empty) is None
    a, b = at.placeholder(x.shape, x.dtype.name), at.placeholder(y.shape, y.dtype.name)
    np.testing.assert_array_equal(at.function([a, b], at.matmul(a, b))(x, y), want)


@pytest.mark.promise(33)
@needs_blas
def test_deterministic_bits_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(300, 200)).astype("float32"), rng.normal(size=(200, 150)).astype("float32")
    found = []
    for threads in (1, 2, 5):
        with config.use(threads=threads, deterministic=True):
            assert parts(300, 1e6) == FIXED
            found.append(at.matmul(at.Tensor(x), at.Tensor(y)).numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("n, count", [(1, 1), (7, 3), (8, 8), (1000, 7)])
def test_shares_cover_all_items_once(n, count):
    cuts = [share(n, count, p) for p in range(count)]
    assert [i for first, last in cuts for i in range(first, last)] == list(range(n))
    assert max(b - a for a, b in cuts) - min(b - a for a, b in cuts) <= 1


def test_little_work_is_not_shared():
    with config.use(threads=4, deterministic=False):
        assert parts(10, 1.0) == 1
        assert parts(3, 1e9) == 3
        assert parts(100, 1e9) == 4


@needs_blas
def test_the_user_keeps_the_threads_of_blas():
    code = (
        "import numpy as np, ctypes, autotensor as at\n"
        "from autotensor.kernels import blas\n"
        "library = ctypes.CDLL(blas.LIBRARY)\n"
        "names = ['scipy_openblas_get_num_threads64_', 'scipy_openblas_get_num_threads', 'openblas_get_num_threads']\n"
        "get = next(getattr(library, n) for n in names if hasattr(library, n))\n"
        "before = get()\n"
        "x = at.Tensor(np.ones((300, 300), 'float32'))\n"
        "at.matmul(x, x)\n"
        "print(before, get())\n"
    )
    out = printed(code, {**os.environ, "OPENBLAS_NUM_THREADS": "2"})
    assert out.split() == ["2", "2"]


@needs_blas
@pytest.mark.promise(30, "threads")
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_python_threads_may_compute_at_once(layer):
    code = (
        "import threading, numpy as np, autotensor as at\n"
        "x = at.Tensor(np.arange(160000, dtype='float32').reshape(400, 400) / 1e5)\n"
        "want = at.matmul(x, x).numpy()\n"
        "right = []\n"
        "def work():\n"
        "    p = at.placeholder((400, 400))\n"
        "    f = at.function([p], at.softmax(at.matmul(p, p)))\n"
        "    for _ in range(50):\n"
        "        f(x.numpy())\n"
        "        right.append(np.array_equal(at.matmul(x, x).numpy(), want))\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[t.start() for t in threads]\n"
        "[t.join() for t in threads]\n"
        "print(len(right), all(right))\n"
    )
    out = printed(code, {**os.environ, "AUTOTENSOR_THREADS": "2", "NUMBA_THREADING_LAYER": layer})
    assert out.split() == ["200", "True"]


@needs_blas
@pytest.mark.promise("forks")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_the_same():
    code = (
        "import os, sys, numpy as np, autotensor as at\n"
        "x = at.Tensor(np.arange(160000, dtype='float32').reshape(400, 400) / 1e5)\n"
        "p = at.placeholder((400, 400))\n"
        "f = at.function([p], at.matmul(p, p))\n"
        "eager, planned = at.matmul(x, x).numpy(), f(x.numpy())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    same = np.allclose(at.matmul(x, x).numpy(), eager) and np.allclose(f(x.numpy()), planned)\n"
        "    os._exit(0 if same else 3)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    printed(code, {**os.environ, "AUTOTENSOR_THREADS": "2"})


@needs_blas
@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "77"}, {"OMP_WAIT_POLICY": "passive"}])
def test_the_environment_stays_the_users(own):
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    code = (
        "import os, numpy as np, autotensor as at\n"
        "x = at.Tensor(np.ones((400, 400), 'float32'))\n"
        "at.matmul(x, x)\n"
        f"print({{n: os.environ[n] for n in {names} if n in os.environ}})\n"
    )
    clean = {k: v for k, v in os.environ.items() if k not in names}
    out = printed(code, {**clean, "AUTOTENSOR_THREADS": "2", **own})
    assert out.strip() == repr(own)
