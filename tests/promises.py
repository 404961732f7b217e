"""What the project promises about bad luck, and which tests keep it: the mark ``promise`` and the table it ends with.

    @pytest.mark.promise(30)              # a promise of the list by its number,
    @pytest.mark.promise(31, "forks")     # several, or by the word of a promise that has none
    pytest -m promise                     # ends with what was kept of each
    python -m tests.promises              # writes the table of docs/reliability.md anew

The tests of a promise are found in the source with `ast`, so that a single file can be asked about all of them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"

Name = int | str

PROMISES: dict[Name, str] = {
    20: "NaN and Inf in inputs, targets and weights behave as documented; the first bad operation is named",
    21: "No samples, one, fewer than a batch, a short last batch, no steps: Keras's result or an error",
    22: "Inputs of any dtype, order, layout or kind are cast rightly or refused, and never written",
    23: "Counts, ranks and labels that do not fit name input, expected and got; no memory outside is touched",
    24: "Every operation has right first and second derivatives, also at the edges of its domain",
    25: "Any sequence of views, writes in place and gradients agrees with NumPy and with differences",
    26: "The Python array API standard: the counts of the public suite may not fall",
    27: "Cross-entropy and the like are finite at logits of ±1e4; a loss over 10⁷ float32 samples is right to 1e-5",
    28: "Graphs of 100,000 nodes and 50,000 time steps run forward, backward and are freed without deep recursion",
    29: "10,000 steps, 10,000 predictions, 500 models built and dropped: memory grows by less than 5 MB",
    30: "Eight threads predict on one model, two train two models: the serial results under every threading layer",
    31: "Data workers under fork, spawn and forkserver work or fall back; their exceptions and Ctrl-C come through",
    32: "A data worker that is killed in mid-epoch ends the training with an error that names it",
    33: "One seed, the same bits: for any number of threads and workers, in two processes, for any PYTHONHASHSEED",
    34: "No JIT, a read-only or corrupt cache, no home, two processes that compile at once: the same results",
    35: "Ctrl-C in `fit`: callbacks end, files are whole, the exit code is 130",
    36: "A callback that raises stops the training: files are closed, the exception is unchanged",
    37: "Closed pipes, odd terminals and notebooks never break a training; the bar is drawn ten times a second at most",
    38: "A full disk costs log lines, not the training; a header is written once, also after going on",
    39: "Data-parallel training with two ranks is training with one; what fails ends the whole job",
    40: "Dependencies at their oldest and newest, Python 3.12 and 3.13, every extra optional",
    41: "Import takes about a second, opens no network and writes no file; any `keras.json` is harmless",
    42: "A script under `run` sees what it would see under `python script.py`; real Keras is covered only there",
    43: "Hostile or odd pictures give an error or a documented result",
    44: "Odd texts give what the genuine tokenizer gives",
    45: "Random networks agree with the interpreter and with genuine Keras for as long as one cares to run them",
    "threads": "Use from several threads at once",
    "forks": "A warm parent that forks, spawns or asks a fork server",
    "memory": "Memory of a step is planned, reported and given back",
    "determinism": "The same bits for the same seed",
    "caches": "Caches of compiled kernels in bad places and in bad shape",
    "numbers": "Numbers at the edges of what floats hold",
    "inputs": "Inputs of every kind, right and wrong",
    "interrupts": "Ctrl-C, SIGTERM and exceptions at any point of `fit`",
    "soak": "Long runs of random networks",
    "fuzz": "Damaged files, made by the thousand",
    "distributed": "Training on several processes and machines",
    "supply": "Versions, extras, wheels",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write on each test what it keeps: the report carries it to the process that makes the table."""
    for item in items:
        kept = list(dict.fromkeys(name for mark in item.iter_markers("promise") for name in mark.args))
        if kept:
            unknown = [name for name in kept if name not in PROMISES]
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: no promise is called {unknown[0]!r}; see tests/promises.py")
            item.user_properties.append(("promises", kept))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End `pytest -m promise` with the number of tests that passed, failed and were skipped, for each promise."""
    if "promise" not in (config.option.markexpr or ""):
        return
    counts = count(
        (report, outcome)
        for outcome in ("passed", "failed", "error", "skipped", "xfailed")
        for report in terminalreporter.stats.get(outcome, ())
    )
    terminalreporter.section("promises", "-")
    for line in table_of_counts(counts):
        terminalreporter.write_line(line)


def count(reports: Iterable[tuple[Any, str]]) -> dict[Name, Counter[str]]:
    """Return, for each promise, how many tests ended how."""
    counts: dict[Name, Counter[str]] = {name: Counter() for name in PROMISES}
    for report, outcome in reports:
        for name in dict(report.user_properties).get("promises", ()):
            counts[name]["failed" if outcome == "error" else outcome] += 1
    return counts


def table_of_counts(counts: dict[Name, Counter[str]]) -> list[str]:
    """Return the lines of the table that a run ends with."""
    lines = [f"{'':>11} {'passed':>7} {'failed':>7} {'skipped':>7}"]
    for name, found in counts.items():
        skipped = found["skipped"] + found["xfailed"]
        words = PROMISES[name] if any(found.values()) else f"NO TEST: {PROMISES[name]}"
        lines.append(f"{name:>11} {found['passed']:>7} {found['failed']:>7} {skipped:>7}  {words}")
    return lines


def tests_by_promise(root: Path = ROOT / "tests") -> dict[Name, list[str]]:
    """Return, for each promise, the files with tests that are marked with it, as the page names them."""
    found: dict[Name, set[str]] = defaultdict(set)
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.promise(" in source and path.name.startswith("test_"):
            for name in marks_in(ast.parse(source)):
                found[name].add(path.relative_to(root).as_posix())
    return {name: sorted(files) for name, files in found.items()}


def marks_in(tree: ast.AST) -> Iterator[Name]:
    """Yield the arguments of every ``pytest.mark.promise(...)`` in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            yield from [argument.value for argument in node.args if isinstance(argument, ast.Constant)]


def table_of_files(found: dict[Name, list[str]]) -> str:
    """Return the table of docs/reliability.md: each promise with the files of its tests."""
    rows = ["| promise | | tests, in `tests/` |", "| --- | --- | --- |"]
    for name, words in PROMISES.items():
        rows.append(f"| {name} | {words} | {', '.join(f'`{file}`' for file in found.get(name, []))} |")
    return "\n".join(rows)


TABLE = re.compile(r"^\| promise \| .*?(?=\n\n)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Write the table of the page anew."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: table_of_files(tests_by_promise()), page, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
