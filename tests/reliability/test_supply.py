"""Dependencies: bounded, tried at their oldest and newest, and none but three of them needed.

What takes a Python of its own is in ``tests/smoke.py`` and ``tests/other_pythons.py``, which `.ci/run` runs beside the
tests: wheel, oldest versions, other Pythons. Here the numbers are compared, and the same suite runs with every extra
hidden.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests import other_pythons, smoke

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = PROJECT["dependencies"]
EXTRAS = [line for name, lines in PROJECT["optional-dependencies"].items() for line in lines if name != "all"]

pytestmark = pytest.mark.promise(40, "supply")


def pins() -> dict[str, tuple[int, ...]]:
    """The versions in tests/oldest.txt."""
    text = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8")
    return {name: numbers(version) for name, version in re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE)}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def bounds(line: str) -> tuple[str, tuple[int, ...], tuple[int, ...] | None]:
    """Name, oldest, and the first version that is too new."""
    found = re.match(r"([\w-]+)>=([\d.]+)(?:,<([\d.]+))?\s*(?:;.*)?$", line)
    assert found, f"{line!r} is not name>=oldest, or name>=oldest,<too-new"
    return found[1], numbers(found[2]), numbers(found[3]) if found[3] else None


def test_three_dependencies_each_between_two_bounds() -> None:
    found = [bounds(line) for line in NEEDED]
    assert {name for name, _, _ in found} == {"numpy", "numba", "h5py"}
    for name, oldest, too_new in found:
        assert too_new is not None and oldest < too_new == (oldest[0] + 1,), f"{name} has no upper bound by major"


def test_the_oldest_versions_are_those_that_are_tried() -> None:
    tried = pins()
    asked = {name: oldest for name, oldest, _ in map(bounds, NEEDED)}
    assert {"numpy", "numba", "h5py", "llvmlite"} <= set(tried)
    for line in EXTRAS:
        name, oldest, _ = bounds(line)
        if name in tried:
            asked[name] = max(oldest, asked.get(name, oldest))
    for name, oldest in asked.items():
        assert tried[name][: len(oldest)] == oldest, f"{name}: {oldest} is promised, {tried[name]} is tried"
    assert set(tried) - set(asked) == {"llvmlite"}  # Numba's own


def test_pythons_are_those_of_the_classifiers() -> None:
    said = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    assert tuple(match[1] for match in said if match) == other_pythons.VERSIONS
    assert PROJECT["requires-python"] == f">={other_pythons.VERSIONS[0]}"
    assert other_pythons.interpreter(".".join(map(str, sys.version_info[:2]))) is not None
    assert other_pythons.interpreter("2.99") is None


HIDE = """
import importlib.machinery, sys
hidden = set(sys.argv[1].split())
find = importlib.machinery.PathFinder.find_spec
def without(name, *rest):
    return None if name.split(".")[0] in hidden else find(name, *rest)
importlib.machinery.PathFinder.find_spec = without
from tests import smoke
assert not hidden & set(sys.modules), hidden & set(sys.modules)
print(smoke.imports())
print(smoke.extras())
assert not hidden & set(sys.modules), hidden & set(sys.modules)
"""
MODULES = {
    "pyyaml": "yaml",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "graphviz-pure": "graphviz_pure",
    "array-api-strict": "array_api_strict",
    "pytest-benchmark": "pytest_benchmark",
    "pytest-randomly": "pytest_randomly",
    "pytest-xdist": "xdist",
    "pre-commit": "pre_commit",
}


def test_everything_is_imported_without_any_extra() -> None:
    """As in an environment with the three dependencies alone; what wants more says the pip command in one line."""
    named = [bounds(line)[0] for line in EXTRAS]
    hidden = {MODULES.get(name, name) for name in named} | {"matplotlib", "pydot"}
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": ""}  # no Graphviz of the system either
    line = [sys.executable, "-c", HIDE, " ".join(sorted(hidden))]
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    modules, missing = done.stdout.splitlines()
    assert modules.endswith(" 2 of them want more")
    # YAML is written as JSON, which is YAML too; Graphviz is a program beside the interpreter, found or not.
    assert missing.replace(", plot", "") == "pillow, betainc, odeint, digits5k missing, and said so"


def test_a_wheel_with_a_file_too_many_or_too_few_is_noticed(tmp_path: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix(): b""
        for package in ("autotensor", "keras_compat")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"autotensor/py.typed", "keras_compat/py.typed"} <= set(files)
    needed = "\n".join(f"Requires-Dist: {line}" for line in [*NEEDED, "scipy>=1 ; extra == 'image'"])

    def packed(names: list[str], metadata: str = needed) -> Path:
        wheel = tmp_path / "some.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            for name in names:
                file.writestr(name, files.get(name, b""))
            file.writestr("autotensor-0.dist-info/METADATA", f"Metadata-Version: 2.4\n{metadata}\n\nText")
        return wheel

    other_pythons.look_into(packed(list(files)))
    with pytest.raises(AssertionError, match="tests/test_x.py"):
        other_pythons.look_into(packed(["tests/test_x.py", *files]))
    with pytest.raises(AssertionError, match="py.typed"):
        other_pythons.look_into(packed([name for name in files if not name.endswith("py.typed")]))
    with pytest.raises(AssertionError, match="scipy"):
        other_pythons.look_into(packed(list(files), f"{needed}\nRequires-Dist: scipy>=1"))


@pytest.mark.slow
def test_the_smoke_suite_passes_here() -> None:
    line = [sys.executable, "-P", str(Path(smoke.__file__))]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout.endswith("smoke: all is well\n"), done.stdout + done.stderr
