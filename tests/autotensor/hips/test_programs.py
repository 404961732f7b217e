"""Programs for HIPS autograd run here by nothing but the change of imports, and give the same numbers.

``numbers.json`` holds what the real package computes; ``generate.py`` writes it.
"""

from __future__ import annotations

import importlib
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
    assert sorted(NUMBERS) == PROGRAMS


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


# Names in the modules of HIPS autograd that they import for their own use.
IMPORTED = {
    "autograd": {"isinstance", "type"},  # of autotensor.builtins
    "autograd.scipy.stats.beta": {"beta", "psi"},
    "autograd.scipy.stats.chi2": {"gamma"},
    "autograd.scipy.stats.dirichlet": {"digamma"},
    "autograd.scipy.stats.gamma": {"gamma", "psi"},
    "autograd.scipy.stats.multivariate_normal": {"solve"},
    "autograd.scipy.stats.t": {"psi"},
    "autograd.scipy.integrate": {"make_vjp"},
    "autograd.misc.flatten": {"make_vjp", "type"},
    "autograd.misc.fixed_points": {"make_vjp"},
}
NAMES = json.loads((HERE / "names.json").read_text(encoding="utf-8"))


def test_every_public_function_of_hips_autograd_is_here():
    pytest.importorskip("scipy")
    missing = {}
    for module, names in NAMES.items():
        ours = importlib.import_module(module.replace("autograd", "autotensor", 1))
        lacking = [name for name in names if not hasattr(ours, name) and name not in IMPORTED.get(module, ())]
        if lacking:
            missing[module] = lacking
    assert missing == {}
    assert sum(map(len, NAMES.values())) > 650
