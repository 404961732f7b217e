"""Processes of their own for tests: Python as it runs here, with the same modules to import."""

from __future__ import annotations

import os
import subprocess
import sys


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of this process with its import path, and changes."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | changes


def start(*arguments: str, **changes: str) -> subprocess.Popen[str]:
    """Start Python with arguments, and with changes of the environment; what it reads and says goes through pipes."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )


def run_alone(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments to its end, on one thread and without generated kernels."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(OPENBLAS_NUM_THREADS="1", AUTOTENSOR_NUMBA="0"),
    )
