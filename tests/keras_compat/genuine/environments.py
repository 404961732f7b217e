"""Where the genuine releases of Keras are, a program run in one of them, and what is asked of a model on both sides."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.keras_compat.genuine.install import FOLDER

HERE = Path(__file__).parent


def missing(release: str) -> str:
    """Return why a release can not be asked, or an empty text."""
    if (FOLDER / "python" / "bin" / "python").exists() and (FOLDER / f"keras-{release}").is_dir():
        return ""
    return f"no Keras {release} in {FOLDER}; tests/keras_compat/genuine/install.py puts it there"


def run(release: str, backend: str, program: str, *arguments: str, home: Path) -> str:
    """Run a Python file of this folder in a release of Keras; return what it printed.

    Args:
        backend: 'tensorflow' or 'theano'.
        home: a folder for what Keras and Theano write for themselves.
    """
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment |= {
        "HOME": str(home),
        "PYTHONPATH": str(FOLDER / f"keras-{release}"),
        "KERAS_BACKEND": backend,
        # Without a compiler: its optimizations ask for kernels in C, and take minutes.
        "THEANO_FLAGS": "cxx=,floatX=float32,optimizer=None",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    python = FOLDER / "python" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-W", "ignore", str(HERE / program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def single(values: list[Any]) -> Any:
    """Return a list's only value, or the list."""
    return values[0] if len(values) == 1 else values


def numbered(arrays: Any, prefix: str) -> list[np.ndarray]:
    """Return the arrays that are named by a prefix and 0, 1, 2 and so on."""
    return [arrays[f"{prefix}{i}"] for i in itertools.takewhile(lambda i: f"{prefix}{i}" in arrays, itertools.count())]


def reset(model: Any) -> None:
    """Let a stateful model begin anew."""
    if model.stateful:
        model.reset_states()


def predictions(model: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    """Return a model's outputs, from its first state on."""
    reset(model)
    made = model.predict(single(x), batch_size=4)
    return made if isinstance(made, list) else [made]


def ask(release: str, backend: str, jobs: Sequence[dict[str, Any]], folder: Path) -> None:
    """Let ``oracle.py`` do jobs; their results are in their files then."""
    home = folder / f"home-{release}-{backend}"
    home.mkdir(exist_ok=True)
    path = folder / f"jobs-{release}-{backend}.json"
    path.write_text(json.dumps(list(jobs)))
    printed = run(release, backend, "oracle.py", str(path), home=home)
    assert f"keras {release} {backend} {len(jobs)}" in printed
