"""Start-up, and what ten thousand steps change: ``python -m benchmarks.start``.

Each figure comes from fresh processes: importing, the first training step ever (empty caches), the first step with
kernels in the cache, and the drift of time and memory over many calls.

    python -m benchmarks.start
    python -m benchmarks.start --python /path/to/other/venv/bin/python     # and what importing the peers takes
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from benchmarks.runner import ROOT, resident_memory, timed

# The 20-64-64-10 network of the guide, to the end of its first batch.
FIRST_STEP = """
from benchmarks.with_keras import KerasTrainer
from benchmarks.workloads import WORKLOADS
import keras_compat
KerasTrainer(WORKLOADS[{workload!r}], keras_compat).step()
"""

PEERS = {"torch": {}, "jax": {}, "keras": {"KERAS_BACKEND": "jax"}, "tensorflow": {}}


@dataclass(frozen=True)
class Drift:
    """Medians of a call among the first and the last thousand, in seconds, and bytes by which the process grew."""

    first: float
    last: float
    growth: int


def run(code: str, python: str = sys.executable, **env: str) -> float | None:
    """Seconds of a process that runs ``code``; None if it fails."""
    command = [python, "-c", code]
    codes: list[int] = []
    silent = subprocess.DEVNULL
    environment = dict(os.environ, **env)

    def process() -> None:
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=silent, stderr=silent)
        codes.append(done.returncode)

    elapsed = timed(process)
    return None if codes[0] else elapsed


def median(code: str, times: int, python: str = sys.executable, **env: str) -> float | None:
    """Median of some processes after one that warms the file cache."""
    if run(code, python, **env) is None:
        return None
    return statistics.median([seconds for _ in range(times) if (seconds := run(code, python, **env)) is not None])


def cold(code: str, times: int) -> float:
    """Median of processes that find no kernels: every kernel they need is compiled, or done without."""
    seconds = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            elapsed = run(code, AUTOTENSOR_CACHE_DIR=folder)
        assert elapsed is not None, "the first step failed"
        seconds.append(elapsed)
    return statistics.median(seconds)


def drift(mode: str, calls: int) -> Drift:
    """Of ``train_on_batch`` or ``predict_on_batch`` of the guide's network in this process, batch 16."""
    import keras_compat
    from benchmarks.with_keras import KerasTrainer
    from benchmarks.workloads import WORKLOADS

    trainer = KerasTrainer(WORKLOADS["mlp-16"], keras_compat)
    call = trainer.step if mode == "train" else trainer.predict_row
    for _ in range(1000):
        call()
    first = [timed(call) for _ in range(1000)]
    before = resident_memory()
    for _ in range(calls):
        call()
    growth = resident_memory() - before
    last = [timed(call) for _ in range(1000)]
    return Drift(statistics.median(first), statistics.median(last), growth)


def tables(times: int, python: str) -> str:
    """Markdown: seconds of processes, and the drift over many calls."""
    rows = {f"`import {name}`": median(f"import {name}", times) for name in ("numpy", "keras_compat")}
    for name, env in PEERS.items():
        rows[f"`import {name}`"] = median(f"import {name}", times, python, **env)
    for workload in ("mlp-16", "mnist-cnn", "embedding-lstm"):
        code = FIRST_STEP.format(workload=workload)
        rows[f"{workload}: first step ever, nothing cached"] = cold(code, max(1, times // 2))
        rows[f"{workload}: first step of a later process"] = median(code, times)
    lines = ["| start | seconds |", "| --- | --- |"]
    lines += [f"| {what} | {seconds:.2f} |" for what, seconds in rows.items() if seconds is not None]
    lines += ["", "| 10,000 calls | before | after | memory grew by |", "| --- | --- | --- | --- |"]
    for mode, what in (("train", "`train_on_batch`, batch 16"), ("predict", "`predict_on_batch`, one row")):
        command = [sys.executable, "-m", "benchmarks.start", "--drift", mode]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found = Drift(**json.loads(done.stdout))
        first, last = found.first * 1e6, found.last * 1e6
        lines.append(f"| {what} | {first:.1f} µs | {last:.1f} µs | {found.growth / 1024:.0f} kB |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--times", type=int, default=5, help="processes for each figure")
    parser.add_argument("--drift", choices=["train", "predict"], help="only that drift, in this process, as JSON")
    options = parser.parse_args()
    if options.drift:
        print(json.dumps(vars(drift(options.drift, 10_000))))
    else:
        print(tables(options.times, options.python))


if __name__ == "__main__":
    main()
