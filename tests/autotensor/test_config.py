"""The switches: defaults, environment twins, context manager, and what the NaN guard says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.op import OPS
from autotensor.errors import NanError

DEFAULTS = {
    "compile": True,
    "fuse": True,
    "numba": True,
    "winograd": True,
    "deterministic": False,
    "nan_guard": False,
    "debug": 0,
}


def read_in_a_new_process(**environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOTENSOR_", "NUMBA_"))}
    code = "import json; from autotensor import config; print(json.dumps(config.snapshot()))"
    root = os.path.dirname(os.path.dirname(config.__file__))
    paths = os.pathsep.join(filter(None, [root, clean.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def switches(**environment: str) -> dict:
    done = read_in_a_new_process(**environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_defaults():
    found = switches(XDG_CACHE_HOME="/somewhere")
    assert found.pop("cache_dir") == os.path.join("/somewhere", "autotensor")
    assert found.pop("threads") == len(os.sched_getaffinity(0))
    assert found == DEFAULTS


def test_every_switch_has_an_environment_twin():
    found = switches(
        AUTOTENSOR_COMPILE="off",
        AUTOTENSOR_FUSE="0",
        AUTOTENSOR_NUMBA="False",
        AUTOTENSOR_WINOGRAD="no",
        AUTOTENSOR_THREADS="3",
        AUTOTENSOR_DETERMINISTIC="on",
        AUTOTENSOR_NAN_GUARD="1",
        AUTOTENSOR_DEBUG="3",
        AUTOTENSOR_CACHE_DIR="/elsewhere",
    )
    assert found == {
        "compile": False,
        "fuse": False,
        "numba": False,
        "winograd": False,
        "threads": 3,
        "deterministic": True,
        "nan_guard": True,
        "debug": 3,
        "cache_dir": "/elsewhere",
    }
    assert set(found) == set(config.snapshot())
    for name in found:
        assert f"AUTOTENSOR_{name.upper()}" in config.__doc__


def test_the_number_of_threads_is_at_least_one():
    done = read_in_a_new_process(AUTOTENSOR_THREADS="none")
    assert done.returncode != 0
    assert "AUTOTENSOR_THREADS must be a whole number from 1 on; got 'none'" in done.stderr
    assert switches(NUMBA_NUM_THREADS="1")["threads"] == 1
    with pytest.raises(ValueError, match="threads must be a whole number from 1 on; got 0"):
        at.set_num_threads(0)
    with config.use(threads=3):
        assert at.get_num_threads() == 3


def test_a_bad_level_is_refused_at_the_start():
    done = read_in_a_new_process(AUTOTENSOR_DEBUG="loud")
    assert done.returncode != 0
    assert "AUTOTENSOR_DEBUG must be a whole number; got 'loud'" in done.stderr


def test_use_restores_even_after_an_error():
    before = config.snapshot()
    with config.use(fuse=False, debug=2):
        assert (config.fuse, config.debug) == (False, 2)
        with config.use(fuse=True):
            assert config.fuse
        assert not config.fuse
    assert config.snapshot() == before
    with pytest.raises(RuntimeError), config.use(compile=False):
        raise RuntimeError
    assert config.snapshot() == before


def test_set():
    before = config.snapshot()
    try:
        config.set(nan_guard=True)
        assert config.nan_guard
    finally:
        config.set(**before)
    assert config.snapshot() == before


def test_unknown_switches_and_values_are_refused():
    before = config.snapshot()
    with pytest.raises(ValueError, match=r"unknown switch 'fusion'; there are compile, fuse"):
        config.set(fusion=False)
    with pytest.raises(TypeError, match=r"fuse takes bool; got 'no'"):
        config.set(fuse="no")
    with pytest.raises(TypeError, match="cache_dir takes str"), config.use(cache_dir=3):
        pass
    with pytest.raises(TypeError, match="debug takes int"):
        config.set(fuse=False, debug="2")
    assert config.snapshot() == before, "a refused call must not change anything"


# -- NaN guard -----------------------------------------------------------------------------------------------


def line_of(text: str) -> str:
    """``file:line`` of the only line of this file that ends with the comment ``# text``."""
    with open(__file__) as lines:
        (number,) = [i for i, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {text}")]
    return f"{__file__}:{number}"


@pytest.fixture
def quiet():
    with np.errstate(all="ignore"):
        yield


def test_nan_guard_names_operation_and_line(quiet):
    x = at.Tensor([1.0, np.inf])
    with config.use(nan_guard=True):
        fine = at.tanh(x)
        with pytest.raises(NanError) as caught:
            fine * x  # guarded multiply
    text = str(caught.value)
    assert text.startswith("[multiply] first infinity")
    assert line_of("guarded multiply") in text
    assert isinstance(caught.value, FloatingPointError)
    assert np.isinf((fine * x).numpy()[1])  # off by default


def test_nan_guard_tells_nan_from_infinity(quiet):
    with config.use(nan_guard=True), pytest.raises(NanError, match=r"\[add\] first NaN"):
        OPS["add"](at.Tensor([np.inf]), at.Tensor([-np.inf]))


def test_nan_guard_ignores_integers():
    with config.use(nan_guard=True):
        assert (at.Tensor([1, 2]) + 1).tolist() == [2, 3]


def test_nan_guard_in_a_compiled_function(quiet):
    x = at.placeholder((None,), np.float64, name="x")
    with config.use(nan_guard=True):
        y = at.tanh(x * 2.0)
        z = y * x  # symbolic multiply
        step = at.function([x], at.tanh(z))
        assert np.isfinite(step(np.ones(2))).all()
        with pytest.raises(NanError) as caught:
            step(np.array([1.0, np.nan]))
        assert "[multiply]" in str(caught.value)
        with pytest.raises(NanError) as caught:
            at.function([x], z * y)(np.array([1.0, 1e308]) * 10)
    assert "multiply" in str(caught.value)
    assert __file__ in str(caught.value)


def test_nan_guard_in_the_backward_pass(quiet):
    x = at.Variable(np.array([0.0, 4.0]))
    with config.use(nan_guard=True), pytest.raises(NanError):
        at.grad(at.sum(at.sqrt(x)), x)


def test_graph_built_before_the_guard_is_guarded_too(quiet):
    x = at.placeholder((None,), np.float64)
    step = at.function([x], x * x)
    assert np.isinf(step(np.array([1e200])))[0]
    with config.use(nan_guard=True), pytest.raises(NanError, match=r"\[multiply\]"):
        step(np.array([1e200]))
    assert np.isinf(step(np.array([1e200])))[0]


def test_line_of_is_checked():
    assert line_of("guarded multiply").startswith(__file__)
    with pytest.raises(ValueError, match="unpack"):
        line_of("no such line")
