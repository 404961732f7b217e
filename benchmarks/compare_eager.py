"""Eager micro-benchmarks side by side with HIPS autograd and MyGrad: ``python -m benchmarks.compare_eager``.

``ours`` is tensors and ``at.grad(y, xs)``, ``ours-functions`` the transforms ``at.vjp`` and ``at.grad(f)``. The ratio
is that of the best peer to ``ours``. Processes and rounds as in ``compare``; the whole takes some minutes.

    python -m benchmarks.compare_eager --python /path/to/other/venv/bin/python
    python -m benchmarks.compare_eager --group programs --match RNN --library ours --library hips
    python -m benchmarks.compare_eager --python ... --table            # lines of a Markdown table
    python -m benchmarks.eager_door                                    # what an operation costs beyond NumPy's call
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.compare import Row, row_of, seconds, summary, write
from benchmarks.eager import CASES
from benchmarks.eager_libraries import LIBRARIES
from benchmarks.runner import Failed, Runner, interleave

# How long a round of one library is.
ROUND = 0.015


def start(libraries: list[str], python: str) -> list[Runner]:
    """A worker for each library."""
    return [Runner(name, "benchmarks.eager_worker", sys.executable if "ours" in name else python) for name in libraries]


def measure(number: int, runners: list[Runner], rounds: int) -> Row:
    """Seconds of one case by each library that has it."""
    case, part = CASES[number]
    able = []
    for runner in list(runners):
        try:
            runner.prepare(str(number))
        except Failed as failed:
            if runner.process.poll() is not None:
                print(f"  {runner.library}: left out ({failed})")
                runners.remove(runner)
            elif "AttributeError" not in str(failed):
                print(f"  {runner.library}: left out of {case.name} ({failed})")
        else:
            able.append(runner)
    return row_of(interleave(able, rounds, ROUND), f"{case.name}, {part}", case.group)


def line(row: Row, libraries: list[str], table: bool) -> str:
    """A row as it is printed."""
    columns = [seconds(row.figures[name]) if name in row.figures else "" for name in libraries]
    ratio = row.ratio()
    last = f"{ratio:.2f}" if ratio else ""
    if table:
        return f"| {' | '.join([row.name, *columns, last])} |"
    return f"{last:>6}  {row.name:<44}" + "".join(f"{column:>11}" for column in columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = list(dict.fromkeys(case.group for case, _ in CASES))
    parser.add_argument("--group", action="append", choices=groups, help="all by default")
    parser.add_argument("--match", help="only cases with this in their name")
    parser.add_argument("--library", action="append", choices=list(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--table", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    libraries = options.library or list(LIBRARIES)
    runners = start(libraries, options.python)
    head = ["", *libraries, "best peer / ours"]
    if options.table:
        print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    rows = []
    for number, (case, part) in enumerate(CASES):
        if (options.group and case.group not in options.group) or (options.match and options.match not in case.name):
            continue
        rows.append(measure(number, runners, options.rounds))
        if rows[-1].figures:
            print(line(rows[-1], libraries, options.table), flush=True)
    for runner in runners:
        runner.close()
    compared = [row for row in rows if row.ratio() is not None]
    for group in groups:
        chosen = [row for row in compared if row.mode == group]
        if chosen:
            print(summary(chosen, f"{group}: best peer"))
    if compared:
        worst = min(compared, key=lambda row: row.ratio() or 0.0)
        print(summary(compared, "all: best peer"))
        print(f"worst ratio: {worst.ratio():.2f}, {worst.name}")
    if options.json:
        write(rows, options.json)


if __name__ == "__main__":
    main()
