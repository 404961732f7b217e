"""Compiled functions under threads, several processes, broken caches and Numba's own switches."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autotensor as at

GRAPHS = """
    import numpy as np
    import autotensor as at
    from autotensor import config

    rng = np.random.default_rng(0)
    x = at.placeholder((None, 6), name="x")
    y = at.placeholder((None,), np.int32, name="y")
    image = at.placeholder((None, 3, 4, 5), np.float64)
    w = at.Variable(rng.normal(size=(6, 5)).astype("f4"), deferred=True)
    b = at.Variable(np.zeros((3, 1, 1)), deferred=True)
    z = at.matmul(x, w)
    p = at.softmax(z)
    loss = -at.mean(at.log(at.sum(p * at.one_hot(y, 5), axis=-1)))
    norm = (z - at.mean(z, axis=1, keepdims=True)) / at.sqrt(at.var(z, axis=1, keepdims=True) + 1e-5)
    act = at.tanh(image + b)
    outputs = [loss, p, at.argmax(z * 2, axis=1), norm, at.max(z, axis=0), y * 3 + 1, act[:, :, ::2] * 2,
               at.sum(act, axis=(0, 2, 3)), at.any(z > 1, axis=1)]
    updates = [(w, w - 0.1 * at.grad(loss, w)), (b, b - at.grad(at.sum(act), b))]
    f = at.function([x, y, image], outputs, updates=updates)
    for n in (1, 4, 33):
        arrays = [rng.normal(size=(n, 6)).astype("f4"), rng.integers(0, 5, n).astype("i4"),
                  rng.normal(size=(n, 3, 4, 5))]
        before = w.numpy(), b.numpy()
        got = [*f(*arrays), w.numpy(), b.numpy()]
        w.assign(before[0]), b.assign(before[1])
        with config.use(compile=False):
            want = [*f(*arrays), w.numpy(), b.numpy()]
        for a, c in zip(got, want, strict=True):
            np.testing.assert_allclose(a, c, rtol=2e-4, atol=2e-5)
    print("right")
"""
SMALL = """
    import numpy as np
    import autotensor as at
    from autotensor.kernels import cache

    x = at.placeholder((None,), np.float64)
    np.testing.assert_allclose(at.function([x], at.sum(at.exp(x) * 0.125))(np.zeros(8)), 1)
    print("right", dict(cache.EVENTS))
"""


def start(code, folder, **environment):
    fresh = {"AUTOTENSOR_CACHE_DIR": str(folder), "NUMBA_DISABLE_JIT": "0"}
    environment = {**os.environ, **fresh, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
    )


def right(process):
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0 and "right" in text, text
    return text


@pytest.mark.promise("threads")
def test_one_function_called_from_many_threads():
    x = at.placeholder((None, 8))
    w = at.Variable(np.eye(8, dtype="f4") * 2, deferred=True)
    count = at.Variable(np.zeros((), np.int64), deferred=True)
    f = at.function([x], at.tanh(at.matmul(x, w)), updates=[(count, count + 1)])

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            a = rng.normal(size=(1 + seed % 3, 8)).astype("f4")
            np.testing.assert_allclose(f(a), np.tanh(a * 2), rtol=1e-5, atol=1e-6)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert count.numpy() == 180


@pytest.mark.promise("threads")
def test_threads_that_compile_at_the_same_time():
    def work(seed):
        x = at.placeholder((None, 4), np.float64)
        y = at.sum(at.exp(x) * (seed % 2 + 1), axis=1)
        f = at.function([x], [y, at.grad(at.sum(y), x)])
        a = np.full((3, 4), seed / 10)
        total, g = f(a)
        np.testing.assert_allclose(total, np.exp(a).sum(1) * (seed % 2 + 1))
        np.testing.assert_allclose(g, np.exp(a) * (seed % 2 + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))


@pytest.mark.promise("threads")
def test_a_trace_in_one_thread_does_not_reach_another():
    inside, done = threading.Event(), threading.Event()
    w = at.Variable(np.zeros(2))

    @at.compile
    def step(x):
        w.assign(w + x)
        inside.set()
        assert done.wait(20)
        return x

    worker = threading.Thread(target=step, args=(np.ones(2),))
    worker.start()
    assert inside.wait(20)
    eager = at.Tensor([1.0]) + 1
    v = at.Variable(np.zeros(1))
    v.assign([3.0])
    done.set()
    worker.join()
    assert eager.tolist() == [2] and v.numpy().tolist() == [3]
    assert w.numpy().tolist() == [1, 1]


@pytest.mark.promise("threads")
def test_a_function_that_calls_itself_is_refused_not_stuck():
    from autotensor.core.op import OPS, defop_no_grad

    name = "call_back_for_a_test"
    again = []

    def impl(x):
        again[0](np.zeros(2, "f4"))
        return x

    op = defop_no_grad(name, impl=impl, infer=lambda x: x)
    try:
        x = at.placeholder((2,))
        f = at.function([x], op(x), name="loop")
        again.append(f)
        result = []

        def call():
            try:
                f(np.zeros(2, "f4"))
            except Exception as error:
                result.append(error)

        worker = threading.Thread(target=call, daemon=True)
        worker.start()
        worker.join(10)
        assert not worker.is_alive(), "the call hangs"
        assert isinstance(result[0], at.errors.GraphError) and "loop" in str(result[0])
    finally:
        del OPS[name]


@pytest.mark.promise(34)
def test_processes_that_generate_the_same_kernel_at_once(tmp_path):
    for process in [start(SMALL, tmp_path) for _ in range(3)]:
        right(process)
    # One is the kernel, the other the loop that runs all kernels.
    assert "{'loaded': 2}" in right(start(SMALL, tmp_path)), "a later process finds the compiled kernel"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.promise(34)
def test_a_damaged_cache_is_rebuilt(tmp_path):
    right(start(SMALL, tmp_path))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".py", ".kernel"}
    for path in files:
        path.write_bytes(path.read_bytes()[:40])
    right(start(SMALL, tmp_path))
    assert "{'loaded': 2}" in right(start(SMALL, tmp_path))


@pytest.mark.promise(34)
@pytest.mark.parametrize("switch", [pytest.param("NUMBA_BOUNDSCHECK", marks=pytest.mark.slow), "NUMBA_DISABLE_JIT"])
def test_representative_graphs_under_numbas_switches(switch, tmp_path):
    """Bounds are checked in every kernel; and as plain Python the kernels give the same."""
    right(start(GRAPHS, tmp_path, **{switch: "1"}))
