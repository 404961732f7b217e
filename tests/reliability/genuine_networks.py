"""The networks of :mod:`networks` in a genuine Keras: the same text, data and first weights, there and here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.dialect.level import api_level
from tests.keras_compat.genuine import environments
from tests.keras_compat.genuine.install import FOLDER
from tests.reliability import networks, soak
from tests.reliability.networks import Program

HERE = Path(__file__).parent
LEVEL_OF = {"1.2.2": "1.2", "2.2.4": "2.2", "2.3.1": "2.3"}
AT_ONCE = 12
# Of the largest value, at least 1; what comes of training may be further off, since both compute in float32.
CLOSE, TRAINED = 2e-5, 2e-3


def ask(release: str, programs: list[Program], folder: Path) -> None:
    """Let a release run programs; their results lie in the folder then."""
    jobs = []
    for program in programs:
        with api_level(program.level), at.config.use(numba=False):
            model = soak.built(program)
            x, y, weights = soak.data_of(program, model)
            w = model.get_weights()
        s = soak.listed(weights["sample_weight"]) if "sample_weight" in weights else []
        arrays = {f"{k}{i}": v for k, values in zip("xyws", (x, y, w, s)) for i, v in enumerate(values)}
        name = f"n{program.seed}"
        np.savez(folder / f"{name}.npz", **arrays)
        jobs.append(
            {
                "name": name,
                "head": networks.HEAD,
                "lines": program.lines,
                "compiling": program.compiling,
                "batch_size": program.batch_size,
                "epochs": program.epochs,
                "class_weight": weights.get("class_weight"),
            }
        )
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment |= {"HOME": str(folder), "PYTHONPATH": str(FOLDER / f"keras-{release}"), "KERAS_BACKEND": "tensorflow"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        str(FOLDER / "python" / "bin" / "python"),
        "-W",
        "ignore",
        str(HERE / "genuine_programs.py"),
        str(folder),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])


def compare(run: Any, release: str, program: Program, folder: Path) -> None:
    """Compare what a release computed with what is computed here; raises Failure."""
    stem = folder / f"n{program.seed}"
    error = Path(f"{stem}.error")
    if error.exists():
        last = error.read_text().strip().splitlines()[-1]
        run.refused[last[:110]] += 1
        return
    with np.load(f"{stem}.out.npz") as found:
        expected = dict(found)
    came = soak.computed(program, "float32")
    before = [name for name in expected if "then" not in name and "history" not in name]
    what = f"genuine {release}"
    if sorted(came) != sorted(expected):
        raise soak.Failure(what, f"{sorted(came)} are there, expected {sorted(expected)}")
    run.compare(f"{what}, as it begins", program, {n: came[n] for n in before}, {n: expected[n] for n in before}, CLOSE)
    after = [name for name in expected if name not in before]
    pair = {n: came[n] for n in after}, {n: expected[n] for n in after}
    try:
        run.compare(f"{what}, trained", program, *pair, TRAINED)
    except soak.Failure:
        exact = soak.computed(program, "compiled")
        rounding = max(soak.difference(came[n], exact[n]) for n in after)
        if 10 * rounding < TRAINED:
            raise
        # What rounding to float32 does to this training is as much: it diverges, or follows the sign of nothing.
        run.refused["(trained) rounding alone changes the outcome as much"] += 1


def round_of(run: Any, release: str, seeds: Iterable[int]) -> None:
    """Draw the networks of some seeds, ask a release about all at once, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder, programs = Path(name), []
        for seed in seeds:
            program, names = networks.draw(seed, LEVEL_OF[release], plain=True)
            programs.append(program)
            run.networks += 1
            run.levels[program.level] += 1
            run.layers.update(names)
        ask(release, programs, folder)
        for program in programs:
            try:
                compare(run, release, program, folder)
            except Exception as error:
                run.failures.append(f"seed {program.seed}: {type(error).__name__}: {error}\n{program.text}")
                print(run.failures[-1], file=sys.stderr, flush=True)


def rounds(run: Any, release: str, seed: int, end: float) -> None:
    """Go on with round after round until the time is over."""
    why = environments.missing(release)
    if why:
        raise SystemExit(why)
    while time.monotonic() < end and len(run.failures) < 40:
        round_of(run, release, range(seed, seed + AT_ONCE))
        seed += AT_ONCE
