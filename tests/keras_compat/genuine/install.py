"""Makes the environments with genuine old releases of Keras that ``test_genuine.py`` asks.

    python tests/keras_compat/genuine/install.py

It wants a Python 3.7 (pyenv's, ``python3.7`` on the path, or the one in ``KERAS_GENUINE_PYTHON``) and a package index,
and takes 1 GB in the folder ``KERAS_GENUINE`` (by default ``~/.cache/keras_genuine``): one environment with TensorFlow
1.15.5, Theano 1.0.5 and h5py 2.10, and a folder for each release of Keras, which ``PYTHONPATH`` chooses.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ.get("KERAS_GENUINE") or Path.home() / ".cache" / "keras_genuine")
RELEASES = ("0.3.3", "1.2.2", "2.2.4", "2.3.1")
PACKAGES = (
    "tensorflow==1.15.5",
    "theano==1.0.5",
    "h5py==2.10.0",
    "numpy<1.19",
    "scipy<1.8",
    "protobuf<3.21",
    "keras-applications==1.0.8",
    "keras-preprocessing==1.1.2",
    "pyyaml",
    "requests",
    "six",
)


def old_python() -> str | None:
    """Return the path of a Python 3.7, or None."""
    given = os.environ.get("KERAS_GENUINE_PYTHON")
    # Before the path: pyenv's python3.7 there runs only where that version is chosen.
    found = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.7*/bin/python")))
    return given or (found[-1] if found else shutil.which("python3.7"))


def main() -> int:
    """Make what is missing; return the exit code."""
    python = old_python()
    if python is None:
        print("no Python 3.7 found: put python3.7 on the path, or its path into KERAS_GENUINE_PYTHON", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment = FOLDER / "python"
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    if not environment.exists():
        subprocess.run([python, "-m", "venv", str(environment)], check=True)
        subprocess.run([*pip, *PACKAGES], check=True)
    for release in RELEASES:
        target = FOLDER / f"keras-{release}"
        if not target.exists():
            subprocess.run([*pip, "--no-deps", "--target", str(target), f"keras=={release}"], check=True)
    print(f"ready in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
