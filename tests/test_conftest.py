"""The guard against leaked settings, tried on tests that leak and one that does not; and that all draw the same."""

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

DRAWING = """
import random
import numpy as np
import pytest

NEW, OTHER, OLD = np.random.default_rng(1), np.random.default_rng(2), np.random.RandomState(3)
SAME = OLD
BEFORE = NEW.random(3)
SEEN = []

@pytest.mark.parametrize("turn", range(3))
def test_draws_what_the_first_drew(turn):
    SEEN.append([random.random(), np.random.normal(), NEW.random(), OTHER.random(), OLD.normal(), SAME.normal()])
    assert len(set(SEEN[-1])) == 6 and SEEN[-1] == SEEN[0] and SEEN[0][2] not in BEFORE
"""


def run(tests, pytester, monkeypatch):
    root = Path(__file__).resolve().parent.parent
    monkeypatch.setenv("PYTHONPATH", str(root))
    pytester.makeconftest((root / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-p", "no:randomly")


def test_each_test_draws_the_same_whatever_ran_before(pytester, monkeypatch):
    run(DRAWING, pytester, monkeypatch).assert_outcomes(passed=3)


def test_a_leak_fails_the_test_that_leaks(pytester, monkeypatch):
    result = run(TESTS, pytester, monkeypatch)
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*settings changed*", "autotensor.config.snapshot: *", "numpy.geterr: *"])
    assert result.stdout.str().count("settings changed") >= 2
