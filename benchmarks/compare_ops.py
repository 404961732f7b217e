"""Single operations side by side with PyTorch: ``python -m benchmarks.compare_ops``.

Ours is compiled (``ours``) and eager (``ours-eager``); PyTorch is eager, with images channels-last (``torch``) and
channels-first (``torch-first``), and its fused optimizers. Processes and rounds as in ``compare``.

    python -m benchmarks.compare_ops --python /path/to/other/venv/bin/python
    python -m benchmarks.compare_ops --group conv --group pool
    python -m benchmarks.compare_ops --library ours --match lstm
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.compare import Row, row_of, seconds, summary, write
from benchmarks.ops import CASES
from benchmarks.ops_worker import LIBRARIES
from benchmarks.runner import Failed, Runner, interleave

# How long a round of one library is.
ROUND = 0.03


def start(libraries: list[str], python: str) -> list[Runner]:
    """A worker for each library."""
    return [Runner(name, "benchmarks.ops_worker", sys.executable if "ours" in name else python) for name in libraries]


def measure(name: str, runners: list[Runner], rounds: int) -> Row:
    """Seconds of one case by each library that has it."""
    able = []
    for runner in runners:
        try:
            runner.prepare(str(list(CASES).index(name)))
        except Failed as failed:
            if "only" not in str(failed):
                print(f"  {runner.library}: left out of {name} ({failed})")
        else:
            able.append(runner)
    return row_of(interleave(able, rounds, ROUND), name, CASES[name].group)


def show(row: Row) -> None:
    base, best = row.figures.get("ours"), row.best_peer()
    columns = [f"{library} {seconds(figure)}" for library, figure in row.figures.items()]
    ratio = f"{row.figures[best] / base:6.2f}" if base and best else " " * 6
    print(f"{ratio}  {row.name:<60} {', '.join(columns)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = sorted({case.group for case in CASES.values()})
    parser.add_argument("--group", action="append", choices=groups, help="all by default")
    parser.add_argument("--match", help="only cases with this in their name")
    parser.add_argument("--library", action="append", choices=list(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    runners = start(options.library or list(LIBRARIES), options.python)
    rows = []
    for name, case in CASES.items():
        if (not options.group or case.group in options.group) and (not options.match or options.match in name):
            rows.append(measure(name, runners, options.rounds))
            show(rows[-1])
    for runner in runners:
        runner.close()
    for group in groups:
        chosen = [row for row in rows if row.mode == group]
        if chosen and any(row.best_peer() for row in chosen):
            print(summary(chosen, f"{group}: best of PyTorch"))
    if options.json:
        write(rows, options.json)


if __name__ == "__main__":
    main()
