"""All tables of docs/performance.md from one command: ``python -m benchmarks.report``.

Measures part by part, keeps the figures in a folder (``--store``, one JSON file for each part), and writes the tables
between the marks of a Markdown file (``--into``) or prints them. Parts and workloads can be measured one by one, as the
machine has time; rows that are measured again replace the old ones.

    python -m benchmarks.report --python /path/to/other/venv/bin/python --store figures --into docs/performance.md
    python -m benchmarks.report --part step --workload vgg --library ours --library torch --store figures
    python -m benchmarks.report --part none --store figures --before older-figures    # only print the tables
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from benchmarks import compare, compare_ops, growth, start
from benchmarks.compare import Row, geometric_mean, megabytes, seconds, summary
from benchmarks.costs import Machine, floor, foretold
from benchmarks.machine import measured
from benchmarks.ops import CASES
from benchmarks.runner import Runner
from benchmarks.worker import KERAS, LIBRARIES
from benchmarks.workloads import WORKLOADS

PARTS = ("step", "fit", "predict", "memory", "ops", "growth", "start")

# Prediction is fast everywhere but where calls are most of it: three networks show it.
_PREDICTED = ("mlp-16", "mnist-cnn", "embedding-lstm")

# Where an epoch is a second of products, `fit` shows nothing that a step does not.
_LONG_EPOCH = 0.2

# Memory is compared with what the issue names, and with the Keras that is fastest.
_MEMORY = ("ours", "torch", "keras3-jax")


class Store:
    """Rows by part, in a folder."""

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def rows(self, part: str) -> list[Row]:
        path = self.folder / f"{part}.json"
        return compare.read(str(path)) if path.exists() else []

    def keep(self, part: str, row: Row) -> None:
        """Put the row into its place; libraries that it does not have keep the figures they had."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = self.rows(part)
        for k, old in enumerate(rows):
            if (old.name, old.mode) == (row.name, row.mode):
                row.figures = old.figures | row.figures
                row.spread = old.spread | row.spread
                rows[k] = row
                break
        else:
            rows.append(row)
        compare.write(rows, str(self.folder / f"{part}.json"))

    def text(self, part: str) -> str:
        """The table of a part that is kept as it is shown; empty if it was not measured."""
        path = self.folder / f"{part}.md"
        return path.read_text() if path.exists() else ""

    def keep_text(self, part: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{part}.md").write_text(text)


def measure(part: str, workloads: list[str], libraries: list[str], python: str, rounds: int, store: Store) -> None:
    """Measure one part and keep its rows."""
    if part == "growth":
        store.keep_text(part, growth.tables(list(growth.CURVES)))
        return
    if part == "start":
        store.keep_text(part, start.tables(5, python))
        return
    if part == "ops":
        chosen = [name for name in compare_ops.LIBRARIES if name.split("-")[0] in libraries]
        runners: list[Runner] = compare_ops.start(chosen, python)
        for name in CASES:
            row = compare_ops.measure(name, runners, rounds)
            compare_ops.show(row)
            store.keep(part, row)
        for runner in runners:
            runner.close()
        return
    modes = {"predict": ["predict-row", "predict-call", "predict-rows"]}.get(part, [part])
    machine = measured() if part == "step" else Machine()
    for workload in workloads:
        if part == "predict" and workload not in _PREDICTED:
            continue
        if part == "fit" and floor(WORKLOADS[workload]) * WORKLOADS[workload].steps > _LONG_EPOCH:
            continue
        for mode in modes:
            print(f"{workload}, {mode}", flush=True)
            if part == "memory":
                some = [name for name in libraries if name in _MEMORY]
                row = compare.compare_memory(workload, some, python, 20)
            else:
                some = [name for name in libraries if part != "fit" or name in KERAS]
                row = compare.compare(workload, mode, some, python, rounds, None, machine)
            compare.show(row)
            store.keep(part, row)


def _order(rows: list[Row], modes: tuple[str, ...]) -> list[Row]:
    names = list(WORKLOADS)
    return sorted(rows, key=lambda row: (names.index(row.name), modes.index(row.mode)))


def _columns(rows: list[Row]) -> list[str]:
    """Libraries that have figures, in the order of their list, ours first."""
    return [name for name in LIBRARIES if any(name in row.figures for row in rows)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), _line(["---"] * len(cells))]


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def step_table(rows: list[Row], before: list[Row]) -> str:
    """Seconds of a step by library, and where ours stands."""
    rows = _order(rows, ("step",))
    earlier = {row.name: row.figures.get("ours") for row in before}
    names = _columns(rows)
    head = ["workload (batch)", "before", *names, "best peer / ours"]
    lines = _head(head if before else [cell for cell in head if cell != "before"])
    for row in rows:
        past = earlier.get(row.name)
        cells = [WORKLOADS[row.name].title]
        if before:
            cells.append("" if past is None else seconds(past))
        cells += [seconds(row.figures[name]) if name in row.figures else "" for name in names]
        lines.append(_line([*cells, _times(row.ratio())]))
    return "\n".join([*lines, "", summary(rows, "Best peer") + ".", summary(rows, "Best Keras", KERAS) + "."])


def remains_table(rows: list[Row]) -> str:
    """What was foretold, what was measured, and what lies between it and the floor."""
    lines = _head(["workload (batch)", "foretold", "measured", "floor", "measured / floor", "remains"])
    for row in _order(rows, ("step",)):
        workload, ours = WORKLOADS[row.name], row.figures.get("ours")
        if ours is None:
            continue
        least = floor(workload)
        told = seconds(foretold(workload))
        rest = seconds(ours - least) if ours > least else "none: fewer multiplications"
        lines.append(_line([workload.title, told, seconds(ours), seconds(least), _times(ours / least), rest]))
    return "\n".join(lines)


def other_table(rows: list[Row], modes: tuple[str, ...], among: tuple[str, ...] = ()) -> str:
    """Figures by library, of the other parts."""
    rows = _order(rows, modes)
    names = _columns(rows)
    lines = _head(["workload (batch)", *(["what"] if len(modes) > 1 else []), *names, "best peer / ours"])
    for row in rows:
        unit = megabytes if row.mode == "memory" else seconds
        cells = [WORKLOADS[row.name].title] + ([row.mode] if len(modes) > 1 else [])
        cells += [unit(row.figures[name]) if name in row.figures else "" for name in names]
        lines.append(_line([*cells, _times(row.ratio(among))]))
    return "\n".join([*lines, "", summary(rows, "Best peer", among) + "."])


def ops_table(rows: list[Row]) -> str:
    """Every operation: ours in a plan and eager, PyTorch's better order of memory, and the ratio to ours in a plan."""
    lines = _head(["operation", "ours, in a plan", "ours, eager", "PyTorch", "PyTorch / ours"])
    means = []
    for row in rows:
        peer = row.best_peer()
        cells = [row.figures.get("ours"), row.figures.get("ours-eager"), row.figures[peer] if peer else None]
        shown = ["" if figure is None else seconds(figure) for figure in cells]
        lines.append(_line([row.name, *shown, _times(row.ratio())]))
    for group in dict.fromkeys(row.mode for row in rows):
        ratios = [ratio for row in rows if row.mode == group and (ratio := row.ratio()) is not None]
        if ratios:
            means.append(f"{group} {geometric_mean(ratios):.2f}")
    return "\n".join([*lines, "", "Geometric means of PyTorch / ours: " + ", ".join(means) + "."])


def tables(store: Store, before: Store | None) -> dict[str, str]:
    """Name of each table that there are figures for -> Markdown."""
    made = {}
    if rows := store.rows("step"):
        made["step"] = step_table(rows, before.rows("step") if before else [])
        made["remains"] = remains_table(rows)
    if rows := store.rows("fit"):
        made["fit"] = other_table(rows, ("fit",), KERAS)
    if rows := store.rows("predict"):
        made["predict"] = other_table(rows, ("predict-row", "predict-call", "predict-rows"))
    if rows := store.rows("memory"):
        made["memory"] = other_table(rows, ("memory",), ("torch",))
    if rows := store.rows("ops"):
        made["ops"] = ops_table(rows)
    made |= {part: text for part in ("growth", "start") if (text := store.text(part))}
    return made


def insert(text: str, made: dict[str, str]) -> str:
    """The Markdown text with each table between its marks, ``<!-- table NAME -->`` and ``<!-- end NAME -->``."""
    for name, table in made.items():
        pattern = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        halves = pattern.split(text, maxsplit=1)
        if len(halves) == 4:
            before, opening, closing, after = halves
            text = f"{before}{opening}\n{table}\n\n{closing}{after}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=[*PARTS, "none"], help="what to measure; all by default")
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="all by default")
    parser.add_argument("--library", action="append", choices=list(LIBRARIES), help="all by default")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--store", default="figures", help="folder of the figures")
    parser.add_argument("--before", help="folder of older figures, for a column of the first table")
    parser.add_argument("--into", help="Markdown file with marks for the tables; printed if left out")
    options = parser.parse_args()
    store = Store(options.store)
    for part in options.part or PARTS:
        if part != "none":
            workloads, libraries = options.workload or list(WORKLOADS), options.library or list(LIBRARIES)
            measure(part, workloads, libraries, options.python, options.rounds, store)
    made = tables(store, Store(options.before) if options.before else None)
    if options.into:
        path = Path(options.into)
        path.write_text(insert(path.read_text(), made))
    else:
        for name, table in made.items():
            print(f"\n## {name}\n\n{table}")


if __name__ == "__main__":
    main()
