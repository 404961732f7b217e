"""Kernels compiled by processes beside: the same results, found on disk; whatever becomes of those processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from autotensor import config
from autotensor.kernels import ahead, blas
from autotensor.kernels.jit import DISABLED, missing

pytestmark = pytest.mark.skipif(DISABLED or not blas.AVAILABLE, reason="nothing is compiled ahead here")

PROGRAM = """
import json, sys
import numpy as np
import autotensor as at
from autotensor.kernels import ahead, cache

{before}
x = at.placeholder((200, 100))
w = at.Variable(np.linspace(-1, 1, 20000, dtype="float32").reshape(100, 200))
y = at.matmul(x, w)
f = at.function([x], [at.softmax(y), at.grad(at.sum(y * y), w)])
a = np.linspace(0, 1, 20000, dtype="float32").reshape(200, 100)
found = f(a)
print(json.dumps([float(np.square(v, dtype="float64").sum()) for v in found] + [cache.EVENTS["loaded"]]))
"""


def run(tmp_path, before="", **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)],
        env={
            **os.environ,
            "AUTOTENSOR_CACHE_DIR": str(tmp_path),
            "AUTOTENSOR_THREADS": "2",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.promise(34)
def test_a_process_beside_compiles_and_this_one_loads(tmp_path):
    # This process leaves all of it to the other one: what it then loads can only have been made there.
    wait = "ahead.Ahead.finish = lambda self: [thread.join() for thread in self._threads]"
    *values, loaded = run(tmp_path / "beside", wait)
    *alone, none = run(tmp_path / "alone", AUTOTENSOR_THREADS="1")
    assert loaded > none == 0
    assert values == pytest.approx(alone, rel=1e-5)


@pytest.mark.promise(34)
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("sys.executable = '/nowhere/python'", id="no interpreter", marks=pytest.mark.slow),
        pytest.param("ahead._pack = lambda job: 'rubbish'", id="the worker fails at once"),
        pytest.param(
            "sys.path.insert(0, '/nowhere'); ahead.__name__ = 'no_such_module'",
            id="the worker never starts",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_without_workers_all_is_compiled_here(tmp_path, before):
    *values, _ = run(tmp_path / "broken", before)
    assert len(values) == 2
    assert all(v > 0 for v in values)


def test_kernels_are_found_in_all_forms_of_bound_calls():
    class Kernel:
        py_func = None

    a, b = Kernel(), Kernel()
    assert list(ahead._kernels(a, (1, 2))) == [(a, (1, 2))]

    def after(*arguments):
        raise AssertionError("never run")

    assert list(ahead._kernels(after, (a, (1,), b, (2, 3)))) == [(a, (1,)), (b, (2, 3))]

    inner = type("Callable", (Kernel,), {"__call__": lambda self, *args: None})()

    def held(*arguments):
        inner(*arguments)

    assert list(ahead._kernels(held, (4,))) == [(inner, (4,))]


def test_what_is_compiled_is_not_wanted_again():
    from autotensor.kernels.threads import share

    assert missing(share, (1, 1, 1)) is None  # inlined: without a cache of its own
    with config.use(threads=1):
        plan = ahead.Ahead()
        plan.want(len, ())
        assert not plan._jobs
