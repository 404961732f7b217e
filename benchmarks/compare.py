"""Whole training steps side by side: ``python -m benchmarks.compare``.

Each library runs in a process of its own; rounds are interleaved, so that noise of the machine falls on all alike.
Prints medians and ratios to ours. Peers that are not installed are left out with a line saying so.

    python -m benchmarks.compare --workload mlp-128 --workload mlp-16
    python -m benchmarks.compare --python /path/to/other/venv/bin/python     # where the peers are installed
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from benchmarks.worker import LIBRARIES, MLPS


class Runner:
    """A worker process."""

    def __init__(self, library: str, workload: str, python: str):
        self.library = library
        self.seconds: list[float] = []
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", library, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> bool:
        assert self.process.stdout is not None and self.process.stderr is not None
        for line in self.process.stdout:
            if line.strip() == "ready":
                return True
        last = self.process.stderr.read().strip().splitlines()[-1:]
        print(f"  {self.library}: left out ({last[0] if last else 'no output'})")
        return False

    def round(self, count: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"run {count}\n")
        self.process.stdin.flush()
        self.seconds += json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def compare(workload: str, libraries: list[str], python: str, rounds: int, steps: int) -> dict[str, float]:
    """Median seconds per step of each library that runs."""
    print(workload)
    runners = []
    for library in libraries:
        runner = Runner(library, workload, sys.executable if library == "ours" else python)
        if runner.ready():
            runners.append(runner)
    for _ in range(rounds):
        for runner in runners:
            runner.round(steps)
    for runner in runners:
        runner.close()
    medians = {r.library: statistics.median(r.seconds) for r in runners}
    base = medians.get("ours")
    for library, median in sorted(medians.items(), key=lambda item: item[1]):
        ratio = f"{median / base:6.2f} x ours" if base else ""
        print(f"  {library:<14} {median * 1e6:10.1f} us  {ratio}")
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=sorted(MLPS), help="all by default")
    parser.add_argument("--library", action="append", choices=sorted(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50, help="steps in a round")
    options = parser.parse_args()
    for workload in options.workload or list(MLPS):
        compare(workload, options.library or list(LIBRARIES), options.python, options.rounds, options.steps)


if __name__ == "__main__":
    main()
