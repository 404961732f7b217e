"""Eager micro-benchmarks side by side with HIPS autograd and MyGrad: ``python -m benchmarks.compare_eager``.

``ours`` is tensors and ``at.grad(y, xs)``, ``ours-functions`` the transforms ``at.vjp`` and ``at.grad(f)``. The ratio
is that of the best peer to ``ours``. Processes and rounds as in ``compare``; the whole takes some minutes.

    python -m benchmarks.compare_eager --python /path/to/other/venv/bin/python
    python -m benchmarks.compare_eager --group programs --match RNN --library ours --library hips
    python -m benchmarks.compare_eager --python ... --into docs/performance.md     # the tables there, and the door's
    python -m benchmarks.eager_door                                    # what an operation costs beyond NumPy's call
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.compare import Row, geometric_mean, row_of, seconds, summary, write
from benchmarks.eager import CASES
from benchmarks.eager_door import measured
from benchmarks.eager_libraries import LIBRARIES
from benchmarks.report import insert
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


def cells(row: Row, libraries: list[str]) -> tuple[list[str], str]:
    """Times by library, and the ratio of the best peer to ours."""
    columns = [seconds(row.figures[name]) if name in row.figures else "" for name in libraries]
    ratio = row.ratio()
    return columns, f"{ratio:.2f}" if ratio else ""


def line(row: Row, libraries: list[str]) -> str:
    """A row as it is printed."""
    columns, ratio = cells(row, libraries)
    return f"{ratio:>6}  {row.name:<44}" + "".join(f"{column:>11}" for column in columns)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def group_table(rows: list[Row]) -> str:
    """A line for each group: how ours stands against the best peer in the middle, and at worst."""
    lines = []
    for group in dict.fromkeys(row.mode for row in rows):
        chosen = sorted((row for row in rows if row.mode == group), key=lambda row: row.ratio() or 0.0)
        ratios = [row.ratio() or 0.0 for row in chosen]
        first = f"{sum(ratio > 1 for ratio in ratios)} of {len(ratios)}"
        lines.append([group, first, f"{geometric_mean(ratios):.2f}", f"{ratios[0]:.2f}", chosen[0].name])
    return _table(["group", "ours is first", "best peer / ours, geometric mean", "least", "where"], lines)


def program_table(rows: list[Row], libraries: list[str]) -> str:
    """Every program in full."""
    chosen = [row for row in rows if row.mode in ("programs", "linear algebra", "higher")]
    lines = []
    for row in chosen:
        columns, ratio = cells(row, libraries)
        lines.append([row.name, *columns, ratio])
    return _table(["program", *libraries, "best peer / ours"], lines)


def door_table() -> str:
    """What an operation costs beyond NumPy's call."""
    lines = []
    for name, (ours, numpy) in measured().items():
        lines.append([f"`{name}`", *[f"{value * 1e6:.2f}" for value in (ours, numpy, ours - numpy)]])
    return _table(["operation, recorded", "ours, µs", "NumPy, µs", "overhead, µs"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = list(dict.fromkeys(case.group for case, _ in CASES))
    parser.add_argument("--group", action="append", choices=groups, help="all by default")
    parser.add_argument("--match", help="only cases with this in their name")
    parser.add_argument("--library", action="append", choices=list(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--into", help="write tables between the marks of this Markdown file")
    options = parser.parse_args()
    libraries = options.library or list(LIBRARIES)
    runners = start(libraries, options.python)
    rows = []
    for number, (case, _) in enumerate(CASES):
        if (options.group and case.group not in options.group) or (options.match and options.match not in case.name):
            continue
        rows.append(measure(number, runners, options.rounds))
        if rows[-1].figures:
            print(line(rows[-1], libraries), flush=True)
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
    if options.into:
        page = Path(options.into)
        made = {"eager": group_table(compared), "programs": program_table(compared, libraries), "door": door_table()}
        page.write_text(insert(page.read_text(), made))


if __name__ == "__main__":
    main()
