"""Build the wheel, install it into other Pythons, and run the smoke suite there, all of them at once.

    python -m tests.other_pythons                  # every Python that is found, with the newest dependencies
    python -m tests.other_pythons 3.12=oldest 3.13 # one with the versions of tests/oldest.txt, one with the newest
    python -m tests.other_pythons all              # oldest and newest of each

A Python that is not there is left out with a line. `.ci/run` does the second.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST_FOR = ("3.11", "3.12")  # those for which the oldest versions have wheels
PACKED = ("autotensor", "keras_compat", "pyproject.toml", "README.md", "LICENSE")
PIP = ("-m", "pip", "-q", "--disable-pip-version-check")


def interpreter(version: str) -> str | None:
    """Return the path of a Python of this version, from PATH or from pyenv."""
    found = [shutil.which(f"python{version}"), sys.executable]
    found += [str(p) for p in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for path in found:
        if path is not None:
            asked = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            done = subprocess.run(asked, capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() == version:
                return path
    return None


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the tree, look into it, and return its path."""
    source = folder / "source"
    source.mkdir()
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, *PIP, "wheel", "--no-deps", "-w", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    look_into(wheel)
    return wheel


def look_into(wheel: Path) -> None:
    """Check that a wheel holds every file of both packages and nothing else, and is a few megabytes."""
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
        (metadata,) = [file.read(name).decode() for name in file.namelist() if name.endswith("/METADATA")]
    tree = {
        path.relative_to(ROOT).as_posix()
        for package in ("autotensor", "keras_compat")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == tree, f"missing {sorted(tree - held)}, too many {sorted(held - tree)}"
    needed = set(re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", metadata, re.MULTILINE))
    assert needed == {"numpy", "numba", "h5py"}, needed
    assert wheel.stat().st_size < 4_000_000, wheel.stat().st_size


def smoke(version: str, oldest: bool, wheel: Path, folder: Path) -> tuple[int, str]:
    """Install the wheel for a Python and run the smoke suite; return the exit code and what was said."""
    path = interpreter(version)
    if path is None:
        return 0, f"Python {version} is not here: left out"
    env = folder / f"{version}{'-oldest' if oldest else ''}"
    python = str(env / "bin" / "python")
    constraints = ["-c", str(ROOT / "tests" / "oldest.txt")] if oldest else []
    steps = [
        [path, "-m", "venv", str(env)],
        [python, *PIP, "install", "--no-compile", *constraints, str(wheel)],
        [python, *PIP, "check"],
        [python, "-P", str(ROOT / "tests" / "smoke.py")],
    ]
    said = []
    for step in steps:
        done = subprocess.run(step, cwd=folder, capture_output=True, text=True, timeout=1200)
        said.append(done.stdout)
        if done.returncode:
            return done.returncode, "".join([*said, done.stderr])
    return 0, "".join(said)


def main(asked: list[str]) -> int:
    """Do what is asked for; return the largest exit code."""
    wanted = [tuple(word.split("=")) for word in asked] or [(version,) for version in VERSIONS]
    if asked == ["all"]:
        wanted = [(v,) for v in VERSIONS] + [(v, "oldest") for v in OLDEST_FOR]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        wheel = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        runs = [pool.submit(smoke, word[0], word[1:] == ("oldest",), wheel, folder) for word in wanted]
        codes = []
        for run in runs:
            code, text = run.result()
            print(f"\n{text.strip()}", flush=True)
            codes.append(code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
