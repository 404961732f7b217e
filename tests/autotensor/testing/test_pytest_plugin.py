"""The check_grad fixture, in a run of pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from autotensor.testing import check_grad, pytest_plugin

ROOT = Path(__file__).resolve().parents[3]

CONFTEST = 'pytest_plugins = ["autotensor.testing.pytest_plugin"]\n'

SUITE = """
import zlib
import numpy as np
import pytest
import autotensor as at
from autotensor.core.op import Op
from autotensor.errors import GradientCheckError

X = np.linspace(-1, 1, 30).reshape(5, 6)
wrong = Op("wrong", impl=np.tanh, infer=lambda x: x, vjp=lambda needs, g, out, x: (g * out,))


def test_right(check_grad):
    report = check_grad(at.tanh, X)
    assert report.ok and {row.order for row in report.inputs} == {1}


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    from autotensor.testing import pytest_plugin
    found = []
    inner = pytest_plugin._check_grad
    monkeypatch.setattr(pytest_plugin, "_check_grad", lambda *a, **k: found.append(k) or inner(*a, **k))
    return found


def test_options_of_the_ini_file(check_grad, calls):
    check_grad(at.tanh, X, order=2)
    assert calls == [{"seed": 11, "directions": 3, "order": 2}]


def test_seed(check_grad):
    assert check_grad(at.tanh, X).text == check_grad(at.tanh, X).text
    assert check_grad(at.tanh, X).text == check_grad(at.tanh, X, seed=11, directions=3).text
    assert check_grad(at.tanh, X).text != check_grad(at.tanh, X, seed=0).text


@pytest.mark.gradcheck(order=2, mode="elements")
class TestMarked:
    def test_of_the_class(self, check_grad):
        report = check_grad(at.tanh, X)
        assert {row.order for row in report.inputs} == {1, 2}
        assert report.inputs[0].mode == "elements"

    @pytest.mark.gradcheck(order=1)
    def test_of_the_function(self, check_grad):
        assert {row.order for row in check_grad(at.tanh, X).inputs} == {1}
        assert {row.order for row in check_grad(at.tanh, X, order=2).inputs} == {1, 2}


def test_caught(check_grad):
    with pytest.raises(GradientCheckError):
        check_grad(wrong, X)


def test_wrong(check_grad):
    check_grad(wrong, X)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "--strict-markers"]
    return subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, env=environment()
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\ngradcheck_options =\n    seed = 11\n    directions = 3\n")
    return tmp_path


def test_fixture(suite: Path) -> None:
    """The failure shows the line of the test and the report; no frame of the checker."""
    done = run(suite)
    assert "1 failed, 6 passed" in done.stdout, done.stdout + done.stderr
    failure = done.stdout[done.stdout.index("test_wrong") :]
    assert "check_grad(wrong, X)" in failure
    assert "WRONG" in failure and "analytic" in failure
    assert "autotensor/testing" not in failure.replace("\\", "/").split("short test summary")[0]


class Ini:
    """As much of pytest's configuration as is read."""

    def __init__(self, *lines: str):
        self.lines = list(lines)
        self.markers: list[str] = []

    def getini(self, name: str) -> list[str]:
        assert name == "gradcheck_options"
        return self.lines

    def addinivalue_line(self, name: str, line: str) -> None:
        assert name == "markers"
        self.markers.append(line)


def test_slips_in_the_ini_file_are_told() -> None:
    config = Ini("order = 2", "mode='projection'")
    pytest_plugin.pytest_configure(config)  # type: ignore[arg-type]
    assert config.markers[0].startswith("gradcheck(")
    for line in ("order : 2", "mode = projection", "order ="):
        with pytest.raises(pytest.UsageError, match="expected lines like 'order = 2'"):
            pytest_plugin.pytest_configure(Ini(line))  # type: ignore[arg-type]


def test_the_seed_is_that_of_the_name_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    class Node:
        name = "test_of_mine"

        def iter_markers(self, name: str) -> list[pytest.Mark]:
            return []

    class Request:
        node, config = Node(), Ini()

    seen: list[dict[str, int]] = []
    monkeypatch.setattr(pytest_plugin, "_check_grad", lambda *inputs, **options: seen.append(options))
    fixture = pytest_plugin.check_grad.__wrapped__  # type: ignore[attr-defined]
    fixture(Request())(check_grad)
    assert seen == [{"seed": zlib.crc32(b"test_of_mine")}]
