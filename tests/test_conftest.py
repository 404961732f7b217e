"""The guard against leaked settings, tried on a test that leaks and one that does not."""

from __future__ import annotations

from pathlib import Path

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np
from autotensor import config

def test_leaks_a_switch():
    config.set(debug=config.debug + 1)

def test_leaks_numpy_errors():
    np.seterr(over="raise" if np.geterr()["over"] != "raise" else "ignore")

def test_cleans_up():
    with config.use(fuse=not config.fuse), np.errstate(all="raise"):
        pass
"""


def test_a_leak_fails_the_test_that_leaks(pytester, monkeypatch):
    root = Path(__file__).resolve().parent.parent
    monkeypatch.setenv("PYTHONPATH", str(root))
    pytester.makeconftest((root / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*settings changed*", "autotensor.config.snapshot: *", "numpy.geterr: *"])
    assert result.stdout.str().count("settings changed") >= 2
