"""What the machine does at best: ``python -m benchmarks.machine``. The floors of all tables rest on it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.costs import Machine


def _best(run, times: int) -> float:
    """Seconds of the fastest of some runs: what the machine can do, not what it does on average."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def measured() -> Machine:
    """The rate of a large float32 product by BLAS, and of copying arrays too large for any cache, by all processors."""
    n = 2048
    a, b, c = (np.ones((n, n), "f4") for _ in range(3))
    flops = 2 * n**3 / _best(lambda: np.matmul(a, b, out=c), 8)
    threads = os.cpu_count() or 1
    pairs = [(np.ones(32 << 20, "u1"), np.ones(32 << 20, "u1")) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        elapsed = _best(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)), 20)
    return Machine(flops, threads * 2 * (32 << 20) / elapsed)


if __name__ == "__main__":
    machine = measured()
    print(f"{machine.flops / 1e9:.0f} GFLOP/s, {machine.bandwidth / 1e9:.1f} GB/s, {machine.near >> 20} MB near")
