"""Programs for HIPS autograd run here by nothing but the change of imports, and give the same numbers.

``numbers.json`` holds what the real package computes; ``generate.py`` writes it.
"""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
NUMBERS = json.loads((HERE / "numbers.json").read_text(encoding="utf-8"))
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.py"))


def ported(source: str) -> str:
    """The word ``autograd`` replaced by ``autotensor`` in the imports, and where an import names the package."""
    lines = [re.sub(r"\bautograd\b", "autotensor", line) if "import" in line or "autograd." in line else line
             for line in source.splitlines()]  # fmt: skip
    return "\n".join(lines)


def test_every_program_has_numbers():
    assert PROGRAMS == sorted(NUMBERS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_gives_the_numbers_of_hips_autograd(name):
    source = (HERE / "programs" / f"{name}.py").read_text(encoding="utf-8")
    if "scipy.optimize" in source or "odeint" in source:
        pytest.importorskip("scipy")
    namespace: dict = {"__name__": name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(ported(source), f"{name}.py", "exec"), namespace)
    found = namespace["results"]
    assert sorted(found) == sorted(NUMBERS[name])
    for key, want in NUMBERS[name].items():
        got, want = np.asarray(found[key]), np.asarray(want)
        assert got.dtype.kind in "fi", f"{key}: {got.dtype}"
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(want).max()), err_msg=key)
