"""Loads damaged copies of model files, many in one process that may die of it: what ``test_abuse_flips`` starts.

    python flips.py FOLDER SEED COUNT FILE...

Each line it writes is JSON: ``{"at": i}`` before the i-th copy, and one with the counts at the end. A process that ends
without it was killed by the copy it named last.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# What a damaged file may raise. Whatever else comes is a mistake in what reads it.
CLEAN = (ValueError, OSError, TypeError, NotImplementedError)
# Nothing here takes longer than some milliseconds; this is for machines that stand still now and then.
SECONDS = 60
# What loading a file of 30 kB may take besides what the process has.
MEMORY = 1 << 30


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """A copy with one to eight bytes changed, half of them in the first 2,000, where the structure lies."""
    copy = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        end = min(len(copy), 2000) if rng.random() < 0.5 else len(copy)
        copy[rng.randrange(end)] = rng.choice((0, 255, rng.randrange(256), rng.randrange(256)))
    return bytes(copy)


def limit_memory() -> None:
    """Let the process grow by ``MEMORY`` from here."""
    with open("/proc/self/statm") as f:
        pages = int(f.read().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def shapes(model: Any) -> list[tuple[int, ...]]:
    return [w.shape for w in model.get_weights()]


def main(folder: str, seed: int, count: int, names: list[str]) -> None:
    import keras_compat.models
    from keras_compat import backend as K

    warnings.simplefilter("ignore")
    files = [(Path(name), Path(name).read_bytes()) for name in names]
    models = {path: keras_compat.models.load_model(path) for path, _ in files if ".weights." not in path.name}
    # Files of weights belong to the model that has the file before them.
    owners: dict[Path, Any] = {}
    for path, _ in files:
        owners[path] = models[path] if path in models else list(owners.values())[-1]
    modules = set(sys.modules)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if os.path.exists("/proc/self/statm"):
        limit_memory()
    most = before
    found: Counter[str] = Counter()
    unclean: list[str] = []
    for i in range(count):
        rng = random.Random(seed * 1_000_003 + i)
        path, whole = files[rng.randrange(len(files))]
        print(json.dumps({"at": i, "file": path.name}), flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        target = os.path.join(folder, f"{seed}{path.suffix}")
        Path(target).write_bytes(damaged(whole, rng))
        fixed = owners[path]
        try:
            if path in models:
                came = shapes(keras_compat.models.load_model(target))
                if came != shapes(fixed):
                    unclean.append(f"{seed} {i} {path.name}: weights of the shapes {came}")
                found["models loaded"] += 1
            else:
                kept = [w.copy() for w in fixed.get_weights()]
                try:
                    fixed.load_weights(target)
                    found["weights loaded"] += 1
                except Exception:
                    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, fixed.get_weights())):
                        unclean.append(f"{seed} {i} {path.name}: the model changed")
                    raise
        except CLEAN as error:
            found[type(error).__name__] += 1
        except Exception as error:
            unclean.append(f"{seed} {i} {path.name}: {type(error).__name__}: {error}"[:400])
        K.clear_session()
        high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if high > most + 100 * 1024:
            unclean.append(f"{seed} {i} {path.name}: took {(high - most) // 1024} MB")
        most = max(high, most)
    faulthandler.cancel_dump_traceback_later()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    new = sorted(name for name in set(sys.modules) - modules if not name.startswith(("keras_compat", "numpy", "h5py")))
    print(json.dumps({"found": found, "unclean": unclean, "grown": grown // 1024, "modules": new}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
