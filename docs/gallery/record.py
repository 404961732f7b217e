"""Run examples at full scale and keep what the gallery shows of them, one json file for each.

A file holds the learning curves of the variable ``history`` that the example leaves behind ("loss", "val_loss", ...:
one number for each epoch, or for what its entry "each" says), and beside them "data" (its line "Data: ..."), "seconds"
of the clock, "cpu_seconds" (those of all its threads together) and "result" (its last line).

Run:  python docs/gallery/record.py mnist_mlp mnist_cnn
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"


class Tee(io.TextIOBase):
    """Writes to the screen, and keeps what was written."""

    def __init__(self) -> None:
        self.screen = sys.stdout
        self.kept: list[str] = []

    def write(self, text: str) -> int:
        self.kept.append(text)
        return self.screen.write(text)

    def flush(self) -> None:
        self.screen.flush()


def record(name: str) -> dict[str, Any]:
    """Run the example ``name`` and return what its file is to hold.

    Raises:
        KeyError: the example leaves no variable ``history`` behind.
    """
    sys.argv = [str(EXAMPLES / f"{name}.py")]
    sys.path.insert(0, str(EXAMPLES))
    tee = Tee()
    start, cpu_start = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(tee):
        left_behind = runpy.run_path(sys.argv[0], run_name="__main__")
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    lines = "".join(tee.kept).splitlines()
    source = next((line.removeprefix("Data: ") for line in lines if line.startswith("Data: ")), "made up")
    history = left_behind["history"]
    curves = {
        key: values if isinstance(values, str) else [round(float(value), 4) for value in values]
        for key, values in getattr(history, "history", history).items()
    }
    return {**curves, "data": source, "seconds": round(seconds), "cpu_seconds": round(cpu_seconds), "result": lines[-1]}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        kept = record(name)
        (HERE / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
