"""Processes that are timed by turns: :func:`serve` is their side, :class:`Runner` is ours.

A worker reads one command from a line and answers in one line, after a mark (libraries print things of their own):
``prepare WORD...`` -> seconds of one run, warm; ``run N`` -> seconds of each of N runs; ``memory`` -> peak of resident
memory since the worker was ready to prepare, in bytes.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MARK = "=> "

# Where processes start, so that they find the benchmarks and what is measured.
ROOT = Path(__file__).resolve().parent.parent

Run = Callable[[], object]


class Failed(Exception):
    """A worker can not do what it was asked for, or stopped; the message says why in one line."""


def _status(field: str) -> int:
    """Bytes of a line of /proc/self/status; 0 where there is no such thing."""
    try:
        with open("/proc/self/status") as file:
            lines = [line for line in file if line.startswith(field + ":")]
    except OSError:
        return 0
    return int(lines[0].split()[1]) * 1024 if lines else 0


def resident_memory() -> int:
    """Bytes that are resident now."""
    return _status("VmRSS")


def reset_peak_memory() -> None:
    """Let the kernel count the peak of resident memory anew; without that it counts from the start of the process."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_memory() -> int:
    """Most bytes that were resident at once."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(run: Run) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def warm(run: Run) -> float:
    """Run until it is as fast as it gets: twice, and on for half a second or 40 runs; seconds of one run."""
    run()
    seconds = [timed(run)]
    while sum(seconds) < 0.5 and len(seconds) < 40:
        seconds.append(timed(run))
    return statistics.median(seconds[-3:])


def serve(prepare: Callable[..., Run]) -> None:
    """Answer commands until the input ends. ``prepare`` makes of some words what is timed; it may raise anything."""
    warnings.simplefilter("ignore")
    gc.collect()
    reset_peak_memory()
    before = resident_memory()
    run: Run | None = None
    single = 0.0
    answer: Any
    for line in sys.stdin:
        command, *words = line.split()
        try:
            if command == "prepare":
                run = None  # the last one's memory is free before the next one takes its own
                run = prepare(*words)
                answer = single = warm(run)
            elif command == "memory":
                answer = peak_memory() - before
            else:
                assert run is not None
                if single < 0.2:
                    run()  # what another process left in caches and clock speeds is not this one's business
                answer = [timed(run) for _ in range(int(words[0]))]
        except Exception as error:
            text = str(error).strip().splitlines() or [""]
            answer = {"failed": f"{type(error).__name__}: {text[0]}"[:200]}
        print(_MARK + json.dumps(answer), flush=True)


class Runner:
    """A worker process ``python -m module argument``, and what it was timed at."""

    def __init__(self, library: str, module: str, python: str):
        self.library = library
        self.single = 0.0
        self.seconds: list[float] = []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(
            [python, "-m", module, library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
        )

    def ask(self, *words: object) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self.process.stdout:
            if line.startswith(_MARK):
                answer = json.loads(line[len(_MARK) :])
                if isinstance(answer, dict):
                    raise Failed(answer["failed"])
                return answer
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        raise Failed(lines[-1] if lines else "stopped without a word")

    def prepare(self, *words: str) -> None:
        """Have it make what is timed, and warm it up."""
        self.seconds = []
        self.single = self.ask("prepare", *words)

    def round(self, runs: int) -> None:
        self.seconds += self.ask("run", runs)

    def close(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self._errors.close()


def interleave(
    runners: list[Runner], rounds: int, seconds: float, runs: int | None = None, limit: float = 30.0
) -> list[Runner]:
    """Time the runners by turns; gives those that lasted.

    rounds: how often each has its turn, ``seconds`` long, or ``runs`` runs. After ``limit`` seconds, no further round.
    """
    end = time.perf_counter() + limit
    for number in range(rounds):
        if number >= 3 and time.perf_counter() > end:
            break
        for runner in list(runners):
            try:
                runner.round(runs or max(1, min(2000, round(seconds / max(runner.single, 1e-7)))))
            except Failed as failed:
                print(f"  {runner.library}: left out ({failed})")
                runners.remove(runner)
            time.sleep(0.02)  # until its threads sleep
    return runners
