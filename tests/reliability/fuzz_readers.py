"""Lets everything that reads a file read damaged ones, for a time: a promise of docs/reliability.md, by hand.

    python -m tests.reliability.fuzz_readers --minutes 60
    python -m tests.reliability.fuzz_readers --minutes 60 --atheris --corpus FOLDER
    python -m tests.reliability.fuzz_readers --recipe 3f01...

Children read, each some thousand files, with limited memory and a watch that ends a child which hangs; what a child
dies of is the recipe it was at, and counts as found. With ``--atheris`` (``pip install atheris``; there are wheels
for Python 3.11) the recipes come from libFuzzer, which keeps those that reach code not reached before; without, from
a seed. The counts are printed, and each thing found, once for each place it came from, with its recipe. Ends with 1
if there is one.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

SECONDS = 300  # of the clock, whatever else the machine does
MEMORY = 3 << 30
EACH = 5000  # files to a child
LENGTH = 64  # bytes of a recipe
INSTRUMENTED = ["keras_compat.saving", "keras_compat.commands.inspect", "keras_compat.utils.archives"]
INSTRUMENTED += ["keras_compat.engine.registry", "keras_compat.engine.loading", "keras_compat.engine.saving"]
INSTRUMENTED += ["keras_compat.utils.generic_utils", "keras_compat.engine.network", "keras_compat.engine.sequential"]


def limit_memory() -> None:
    """Let the process grow by ``MEMORY`` from here."""
    with open("/proc/self/statm") as f:
        most = int(f.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Child:
    """Reads recipes one after the other and writes down what came of them."""

    def __init__(self, log: Path, folder: Path):
        from tests.reliability.readers import SLOW, Readers

        self.readers = Readers(folder)
        self.slow = SLOW
        self.log, self.at = log, log.with_suffix(".at")
        self.found: dict[str, dict[str, Any]] = {}
        self.done = 0
        self.longest = 0.0
        limit_memory()

    def __call__(self, recipe: bytes) -> None:
        """Read the file that a recipe means."""
        self.at.write_bytes(recipe)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        start = time.process_time()
        result = self.readers.run(recipe)
        seconds = time.process_time() - start
        self.longest = max(self.longest, seconds)
        wrong = result.wrong or (f"took {seconds:.1f} s" if seconds > self.slow else "")
        if wrong:
            reader = self.readers.make(recipe)[0]
            key = f"{reader} {result.outcome} {result.place or wrong[:80]}"
            self.found.setdefault(key, {"recipe": recipe.hex(), "wrong": wrong, "times": 0})["times"] += 1
        self.done += 1
        if self.done % 200 == 0:
            self.write()

    def write(self) -> None:
        """Write down all counts so far."""
        outcomes = [[reader, outcome, n] for (reader, outcome), n in self.readers.outcomes.items()]
        high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        report = {"done": self.done, "outcomes": outcomes, "found": self.found, "longest": self.longest, "MB": high}
        self.log.write_text(json.dumps(report))


def child(log: str, seed: int, count: int, corpus: str | None) -> None:
    """Read ``count`` files; recipes from a seed, or from atheris with a folder that it keeps them in."""
    if corpus is not None:
        import atheris

        with atheris.instrument_imports(include=INSTRUMENTED):
            import keras_compat.commands.inspect
            import keras_compat.models  # noqa: F401
    import autotensor as at

    with tempfile.TemporaryDirectory() as folder, at.config.use(numba=False):
        reads = Child(Path(log), Path(folder))
        if corpus is None:
            for i in range(count):
                reads(random.Random(seed * 1_000_003 + i).randbytes(LENGTH))
            reads.write()
            return
        # libFuzzer ends the process itself, so that the last counts are those of the last two hundred.
        arguments = [sys.argv[0], f"-seed={seed + 1}", f"-runs={count}", f"-max_len={4 * LENGTH}", "-timeout=120"]
        atheris.Setup([*arguments, "-rss_limit_mb=4096", f"-artifact_prefix={log}.", corpus], reads)
        atheris.Fuzz()


def last_coverage(text: str) -> tuple[int, int]:
    """Edges and features in what libFuzzer says."""
    found = re.findall(r"cov: (\d+) ft: (\d+)", text)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


class Counts:
    """What all children have found."""

    def __init__(self) -> None:
        self.done = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.found: dict[str, dict[str, Any]] = {}
        self.longest = 0.0
        self.memory = 0
        self.coverage = (0, 0)

    def add(self, log: Path, done: subprocess.CompletedProcess[str]) -> None:
        """Add what one has written, and what it died of."""
        if log.exists():
            report = json.loads(log.read_text())
            self.done += report["done"]
            self.outcomes.update({(reader, outcome): n for reader, outcome, n in report["outcomes"]})
            for key, one in report["found"].items():
                self.found.setdefault(key, one | {"times": 0})["times"] += one["times"]
            self.longest = max(self.longest, report["longest"])
            self.memory = max(self.memory, report["MB"])
        self.coverage = max(self.coverage, last_coverage(done.stderr))
        at = log.with_suffix(".at")
        if done.returncode != 0:
            recipe = at.read_bytes().hex() if at.exists() else ""
            self.found[f"a child ended with {done.returncode}"] = {
                "recipe": recipe,
                "wrong": done.stderr[-3000:],
                "times": 1,
            }

    def __str__(self) -> str:
        lines = [f"{self.done:,} files read; the longest took {self.longest:.2f} s, the largest child {self.memory} MB"]
        if self.coverage[0]:
            lines.append(f"coverage: {self.coverage[0]:,} edges, {self.coverage[1]:,} features")
        for reader in sorted({reader for reader, _ in self.outcomes}):
            those = {o: n for (r, o), n in self.outcomes.items() if r == reader}
            listed = ", ".join(f"{o} {n:,}" for o, n in sorted(those.items(), key=lambda item: -item[1]))
            lines.append(f"  {reader}: {sum(those.values()):,} ({listed})")
        lines.append(f"{len(self.found)} found")
        lines += [f"- {key}, {v['times']} times, recipe {v['recipe']}\n{v['wrong']}" for key, v in self.found.items()]
        return "\n".join(lines)


def run(minutes: float, seed: int = 0, each: int = EACH, corpus: str | None = None, most: int = 0) -> Counts:
    """Let children read until the time is over, or ``most`` files are read."""
    counts, end = Counts(), time.monotonic() + 60 * minutes
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "AUTOTENSOR_NUMBA": "0"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "AUTOTENSOR_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and (not most or counts.done < most):
            log = Path(folder) / f"{seed}.json"
            how = [str(log), str(seed), str(min(each, most - counts.done) if most else each), corpus or ""]
            command = [sys.executable, "-m", "tests.reliability.fuzz_readers", "--child", *how]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
            before = counts.done
            counts.add(log, done)
            seed += 1
            print(
                f"{counts.done:,} files, {len(counts.found)} found, coverage {counts.coverage}",
                file=sys.stderr,
                flush=True,
            )
            if counts.done == before:
                break  # it does not even begin
    return counts


def again(recipe: str) -> None:
    """Read one recipe's file and say everything."""
    import autotensor as at
    from tests.reliability.readers import Readers

    with tempfile.TemporaryDirectory() as folder, at.config.use(numba=False):
        readers = Readers(Path(folder))
        reader, subject, data = readers.make(bytes.fromhex(recipe))
        Path(f"recipe{Path(subject.name).suffix or '.bin'}").write_bytes(data)
        print(reader, subject.name, readers.read(subject, data))


def main(arguments: list[str] | None = None) -> int:
    """The command; see the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=EACH, help="files to a child")
    parser.add_argument("--atheris", action="store_true", help="let coverage guide what is tried")
    parser.add_argument("--corpus", help="folder of recipes that reached something new (with --atheris)")
    parser.add_argument("--recipe", help="read this one, and leave its file here")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        log, seed, count, corpus = options.child
        child(log, int(seed), int(count), corpus or None)
        return 0
    if options.recipe:
        again(options.recipe)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        corpus = (options.corpus or folder) if options.atheris else None
        if corpus is not None:
            Path(corpus).mkdir(exist_ok=True)
            for i in range(50):  # where it begins
                (Path(corpus) / f"first{i}").write_bytes(random.Random(i).randbytes(LENGTH))
        counts = run(options.minutes, options.seed, options.each, corpus)
    print(counts)
    return int(bool(counts.found))


if __name__ == "__main__":
    sys.exit(main())
