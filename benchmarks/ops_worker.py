"""One process that does single operations with one library, on command: ``python -m benchmarks.ops_worker LIBRARY``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from benchmarks.ops import CASES, Case
from benchmarks.runner import Run, serve

Maker = Callable[[Case], Run]


def _torch(channels_last: bool) -> Maker:
    prepare = importlib.import_module("benchmarks.ops_torch").prepare
    return lambda case: prepare(case, channels_last)


LIBRARIES: dict[str, Callable[[], Maker]] = {
    "ours": lambda: importlib.import_module("benchmarks.ops_ours").compiled,
    "ours-eager": lambda: importlib.import_module("benchmarks.ops_ours").eager,
    "torch": lambda: _torch(True),
    "torch-first": lambda: _torch(False),
}


def main(library: str) -> None:
    make = LIBRARIES[library]()
    cases = list(CASES.values())
    serve(lambda number: make(cases[int(number)]))


if __name__ == "__main__":
    main(sys.argv[1])
