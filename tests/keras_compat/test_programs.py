"""Whole programs as people wrote them for Keras 1 and for Keras 2, each run in a process of its own.

They say `from keras...`, are run unchanged at the API level of their line, as `python -m keras_compat run` does it, and
assert what they lean on themselves. A program that fails shows its own traceback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from keras_compat.commands import run

PROGRAMS = Path(__file__).parent / "programs"
LEVELS = {"keras0": ("1.2",), "keras1": ("1.2",), "keras22": ("2.2",), "keras2": ("2.3",)}
# Those in `data` train on pictures, texts and tables that they make, with scikit-learn and pandas too: seconds each.
# Each program is a process of its own; every other one of a level waits for the slow tests.
CASES = [
    pytest.param(
        path,
        level,
        id=f"{path.relative_to(PROGRAMS).parts[0]}-{path.stem}-{level}",
        marks=[pytest.mark.slow] if path.parent.name == "data" or number % 2 else [],
    )
    for number, path in enumerate(sorted([*PROGRAMS.glob("*/*.py"), *PROGRAMS.glob("*/data/*.py")]))
    for level in LEVELS[path.relative_to(PROGRAMS).parts[0]]
]


@pytest.mark.parametrize(("path", "level"), CASES)
def test_program(path: Path, level: str, tmp_path: Path) -> None:
    if path.parent.name == "data":
        for package in ("PIL", "pandas", "sklearn", "scipy"):
            pytest.importorskip(package)
    shutil.copy(path, tmp_path)
    line, env = run.command([path.name], {**os.environ, "AUTOTENSOR_NUMBA": "0"}, level=level)
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{path.name} at level {level}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
