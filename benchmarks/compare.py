"""Side by side with other libraries: ``python -m benchmarks.compare``.

Each library runs in a process of its own; rounds are interleaved, so that noise of the machine falls on all alike.
Printed are medians, the ratio to ours and the floor; last the geometric mean of (best peer / ours). A peer that is not
installed, or fails, is left out with a line saying so.

    python -m benchmarks.compare --workload mlp-128 --workload vgg
    python -m benchmarks.compare --python /path/to/other/venv/bin/python     # where the peers are installed
    python -m benchmarks.compare --library ours --workload conv1d            # our own progress
    python -m benchmarks.compare --fit --library ours --library keras3-jax   # whole epochs, as the documents have them
    python -m benchmarks.compare --predict                                   # one row, and a whole data set
    python -m benchmarks.compare --memory                                    # peak of a training run
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from dataclasses import asdict, dataclass, field

from benchmarks.costs import Machine, floor
from benchmarks.machine import measured
from benchmarks.runner import Failed, Runner, interleave
from benchmarks.worker import EPOCHS, KERAS, LIBRARIES, MODES
from benchmarks.workloads import WORKLOADS

# How long a round of one library is, unless --steps says how many runs it has.
ROUND = 0.2


@dataclass
class Row:
    """What one comparison gave: seconds (bytes, for memory) by library, and the floor in seconds where there is one."""

    name: str
    mode: str
    figures: dict[str, float]
    spread: dict[str, float] = field(default_factory=dict)
    floor: float | None = None

    def best_peer(self, among: tuple[str, ...] = ()) -> str | None:
        peers = [name for name in self.figures if not name.startswith("ours") and (not among or name in among)]
        return min(peers, key=self.figures.__getitem__, default=None)

    def ratio(self, among: tuple[str, ...] = ()) -> float | None:
        """Best peer / ours: above 1, ours is faster (or smaller)."""
        peer = self.best_peer(among)
        return None if peer is None or "ours" not in self.figures else self.figures[peer] / self.figures["ours"]


def row_of(runners: list[Runner], name: str, mode: str, share: float = 1.0) -> Row:
    """Medians, and half the distances between quartiles, of what the runners were timed at, times ``share``."""
    row = Row(name, mode, {})
    for runner in runners:
        low, middle, high = statistics.quantiles(runner.seconds * 2, n=4)
        row.figures[runner.library] = share * middle
        row.spread[runner.library] = share * (high - low) / 2
    return row


def start(workload: str, mode: str, libraries: list[str], python: str) -> list[Runner]:
    """Warm workers, made one after another, of those libraries that can."""
    runners = []
    for library in libraries:
        runner = Runner(library, "benchmarks.worker", sys.executable if library == "ours" else python)
        try:
            runner.prepare(workload, mode)
        except Failed as failed:
            print(f"  {library}: left out ({failed})", flush=True)
            runner.close()
        else:
            runners.append(runner)
    return runners


def compare(
    workload: str,
    mode: str,
    libraries: list[str],
    python: str,
    rounds: int,
    steps: int | None,
    machine: Machine,
) -> Row:
    """Seconds of one run (of one epoch, with ``fit``) of each library that can."""
    started = start(workload, mode, libraries, python)
    runners = interleave(list(started), rounds, ROUND, steps)
    for runner in started:
        runner.close()
    row = row_of(runners, workload, mode, 1 / EPOCHS if mode == "fit" else 1.0)
    row.floor = floor(WORKLOADS[workload], machine) if mode == "step" else None
    return row


def compare_memory(workload: str, libraries: list[str], python: str, steps: int) -> Row:
    """Bytes of resident memory that data, model and ``steps`` steps add at most; one library after another."""
    row = Row(workload, "memory", {})
    for library in libraries:
        for runner in start(workload, "step", [library], python):
            runner.round(steps)
            row.figures[library] = float(runner.ask("memory"))
            runner.close()
    return row


def seconds(value: float) -> str:
    """Three digits, in the unit that suits."""
    if value < 1e-3:
        return f"{value * 1e6:.3g} µs"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def megabytes(value: float) -> str:
    return f"{value / 2**20:.0f} MB"


def show(row: Row) -> None:
    unit = megabytes if row.mode == "memory" else seconds
    base = row.figures.get("ours")
    for library, figure in sorted(row.figures.items(), key=lambda item: item[1]):
        spread = f"±{row.spread[library] / figure:4.0%}" if library in row.spread else ""
        ratio = f"{figure / base:6.2f} x ours" if base else ""
        print(f"  {library:<14} {unit(figure):>9} {spread} {ratio}")
    if row.floor is not None:
        above = f"ours is {base / row.floor:.2f} x the floor" if base else ""
        print(f"  {'floor':<14} {seconds(row.floor):>9}       {above}")
    sys.stdout.flush()


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


def summary(rows: list[Row], what: str, among: tuple[str, ...] = ()) -> str:
    """One line: how ours stands against the best of the peers ``among`` (all of them, if empty) in all rows."""
    ratios = [ratio for row in rows if (ratio := row.ratio(among)) is not None]
    if not ratios:
        return f"{what}: none to compare with"
    first = sum(ratio > 1 for ratio in ratios)
    mean = geometric_mean(ratios)
    return (
        f"{what} / ours: geometric mean {mean:.2f}, least {min(ratios):.2f}; ours is first on {first} of {len(ratios)}"
    )


def write(rows: list[Row], path: str) -> None:
    with open(path, "w") as file:
        json.dump([asdict(row) for row in rows], file, indent=1)


def read(path: str) -> list[Row]:
    with open(path) as file:
        return [Row(**row) for row in json.load(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="all by default")
    parser.add_argument("--library", action="append", choices=list(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, help=f"runs in a round; by default what fits in {ROUND} s")
    parser.add_argument("--fit", action="store_true", help="an epoch of fit on the documents' data instead of a step")
    parser.add_argument("--predict", action="store_true", help="predict_on_batch and predict instead of a step")
    parser.add_argument("--memory", action="store_true", help="peak memory of a training run instead of time")
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    libraries = options.library or list(LIBRARIES)
    modes = ["step"]
    if options.fit:
        modes = ["fit"]
    elif options.predict:
        modes = [mode for mode in MODES if mode.startswith("predict")]
    elif options.memory:
        modes = ["memory"]
    machine = measured() if modes == ["step"] else Machine()
    rows = []
    for workload in options.workload or list(WORKLOADS):
        for mode in modes:
            print(workload if mode == "step" else f"{workload}, {mode}", flush=True)
            if mode == "memory":
                row = compare_memory(workload, libraries, options.python, options.steps or 20)
            else:
                row = compare(workload, mode, libraries, options.python, options.rounds, options.steps, machine)
            show(row)
            rows.append(row)
    if set(libraries) - {"ours"}:
        print(summary(rows, "best peer"))
        print(summary(rows, "best Keras", KERAS))
    if options.json:
        write(rows, options.json)


if __name__ == "__main__":
    main()
