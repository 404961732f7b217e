"""One process that runs eager micro-benchmarks with one library: ``python -m benchmarks.eager_worker LIBRARY``."""

from __future__ import annotations

import sys

from benchmarks.eager import CASES
from benchmarks.eager_libraries import LIBRARIES, prepare
from benchmarks.runner import Run, serve


def main(name: str) -> None:
    library = LIBRARIES[name]()

    def make(number: str) -> Run:
        case, part = CASES[int(number)]
        run = prepare(library, part, case.run, case.arrays())
        run()
        return run

    serve(make)


if __name__ == "__main__":
    main(sys.argv[1])
