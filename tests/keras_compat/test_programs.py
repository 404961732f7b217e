"""Whole programs as people wrote them for Keras 1 and for Keras 2, each run in a process of its own.

They say `from keras...`, run at the API level of their line with `keras` standing for `keras_compat`, and assert what
they lean on themselves. A program that fails shows its own traceback.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
LEVELS = {"keras0": ("1.2",), "keras1": ("1.2",), "keras22": ("2.2",), "keras2": ("2.3",)}
CASES = [
    pytest.param(path, level, id=f"{path.parent.name}-{path.stem}-{level}")
    for path in sorted(PROGRAMS.glob("*/*.py"))
    for level in LEVELS[path.parent.name]
]
# The one change that a person makes.
IMPORTS = (
    (re.compile(r"^(\s*from )keras\b", re.M), r"\1keras_compat"),
    (re.compile(r"^(\s*import )keras$", re.M), r"\1keras_compat as keras"),
    (re.compile(r"^(\s*import )keras(?=\.[\w.]+ as )", re.M), r"\1keras_compat"),
)


@pytest.mark.parametrize(("path", "level"), CASES)
def test_program(path: Path, level: str, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern, ours in IMPORTS:
        text = pattern.sub(ours, text)
    (tmp_path / path.name).write_text(text, encoding="utf-8")
    env = {**os.environ, "KERAS_COMPAT_API": level, "AUTOTENSOR_NUMBA": "0"}
    done = subprocess.run(
        [sys.executable, path.name], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{path.name} at level {level}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
