"""What it costs to train on several ranks: sums of arrays, steps of three networks, and an estimate for many machines.

    mpiexec -n 2 python -m benchmarks.distributed            # sums and steps, measured
    python -m benchmarks.distributed --estimate              # the table of docs/distributed.md

Measured times are the least of many, taken by turns. The estimate takes the processor time of each call of a compiled
step, on one thread, in the order of the plan, and lets sums take as long as a network would: so it knows what runs
while a sum is under way, and hangs little on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import autotensor as at
import keras_compat.distributed as hvd
from keras_compat import optimizers
from keras_compat.distributed import state
from keras_compat.distributed.communicator import GRADIENTS, Alone
from keras_compat.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras_compat.models import Sequential

SIZES = [1 << k for k in (10, 14, 17, 20, 22, 24, 26, 28)]


def mlp() -> tuple[Any, tuple[int, ...]]:
    return Sequential([Dense(512, "relu", input_shape=(784,)), Dense(512, "relu"), Dense(10, "softmax")]), (128, 784)


def cnn() -> tuple[Any, tuple[int, ...]]:
    layers = [Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)), Conv2D(64, 3, activation="relu")]
    layers += [MaxPooling2D(2), Flatten(), Dense(128, "relu"), Dense(10, "softmax")]
    return Sequential(layers), (64, 28, 28, 1)


def large_mlp() -> tuple[Any, tuple[int, ...]]:
    hidden = [Dense(1024, "relu") for _ in range(7)]
    return Sequential([Dense(1024, "relu", input_shape=(784,)), *hidden, Dense(10, "softmax")]), (32, 784)


NETWORKS: dict[str, Callable[[], tuple[Any, tuple[int, ...]]]] = {"mlp": mlp, "cnn": cnn, "large mlp": large_mlp}


@dataclass(frozen=True)
class Net:
    """A network of machines: bytes a second in each direction, and seconds until a message begins to arrive."""

    bandwidth: float
    latency: float

    def seconds(self, machines: int, nbytes: float) -> float:
        """A sum over machines in a ring: each sends 2 (n - 1) / n of the bytes, in 2 (n - 1) messages.

        Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009.
        """
        turns = 2 * (machines - 1)
        return turns / machines * nbytes / self.bandwidth + turns * self.latency


# What is left of the nominal rate behind protocols (some 90 %), and usual latencies of MPI on each.
NETS = {
    "10 Gbit/s Ethernet": Net(0.9 * 10e9 / 8, 30e-6),
    "25 Gbit/s Ethernet": Net(0.9 * 25e9 / 8, 20e-6),
    "100 Gbit/s InfiniBand": Net(0.9 * 100e9 / 8, 2e-6),
}


def timeline(calls: Sequence[tuple[str, float, int]], net: Net, machines: int) -> float:
    """Seconds of a step on machines.

    calls: label, seconds and bytes of the result of each call of a plan, in order. A ``reduce_start`` lets a sum begin
    when the sums before it are over, a ``reduce_finish`` waits for the first that nobody has waited for.
    """
    now = free = 0.0
    sums: list[float] = []
    for label, seconds, nbytes in calls:
        if label == "reduce_finish":
            now = max(now, sums.pop(0))
        now += seconds
        if label == "reduce_start":
            free = max(free, now) + net.seconds(machines, nbytes)
            sums.append(free)
    return now


# -- measuring --------------------------------------------------------------------------------------------------------


def least(runs: Sequence[Callable[[], Any]], seconds: float) -> list[float]:
    """The least time of each of some functions, run by turns for some seconds: what else runs disturbs all alike."""
    for run in runs:
        run()
    began = time.perf_counter()
    for run in runs:
        run()
    once = max(time.perf_counter() - began, 1e-6)
    found = [float("inf")] * len(runs)
    for _ in range(max(3, int(hvd.allreduce(int(seconds / once), op=hvd.Min)))):  # as many on all ranks
        for i, run in enumerate(runs):
            began = time.perf_counter()
            run()
            found[i] = min(found[i], time.perf_counter() - began)
    return found


def sums() -> Iterable[tuple[int, float]]:
    """Bytes, and seconds of a sum of so many over all ranks."""
    for nbytes in SIZES:
        array = np.ones(nbytes // 4, np.float32)
        yield nbytes, *least([lambda array=array: state.job().reduce(array, "MAX", GRADIENTS)()], 2.0)


# A plain optimizer, gradients in one buffer, and in several: arguments of the DistributedOptimizer.
VARIANTS: tuple[dict[str, Any] | None, ...] = (None, {"groups": 1}, {})


def steps(make: Callable[[], tuple[Any, tuple[int, ...]]], seconds: float = 20.0) -> list[float]:
    """Seconds of a step in each of ``VARIANTS``."""
    return least([_compiled(make, options)[1] for options in VARIANTS], seconds)


def _compiled(
    make: Callable[[], tuple[Any, tuple[int, ...]]], options: dict[str, Any] | None
) -> tuple[Any, Callable[[], Any]]:
    """A model, and a step of it."""
    model, shape = make()
    chosen = optimizers.SGD(0.001, momentum=0.9)
    if options is not None:
        chosen = hvd.DistributedOptimizer(chosen, **options)
    model.compile(chosen, "categorical_crossentropy")
    x = np.random.rand(*shape).astype("float32")
    y = np.eye(10, dtype="float32")[np.arange(len(x)) % 10]
    return model, lambda: model.train_on_batch(x, y)


class Two(Alone):
    """Two ranks of which the other is not there: its gradients are nothing, at once."""

    size = 2

    def gather(self, value: Any, channel: int = GRADIENTS) -> list[Any]:
        return [value, value]


def calls_of_step(make: Callable[[], tuple[Any, tuple[int, ...]]], options: dict[str, Any] | None) -> list[Any]:
    """Label, seconds of processor time and bytes of the results of each call of a compiled step, in order."""
    before, state._job = state._job, Two()
    try:
        model, run = _compiled(make, options)
        run()
        (plan,) = model._require_compiled("step").get(True, False, True).plans
        least = [float("inf")] * len(plan.calls)
        for _ in range(30):
            for i, call in enumerate(plan.calls):
                began = time.thread_time()
                call.call(*call.args, **call.params)
                least[i] = min(least[i], time.thread_time() - began)
        return [(call.label, seconds, call.nbytes) for call, seconds in zip(plan.calls, least)]
    finally:
        state._job = before


# -- showing ----------------------------------------------------------------------------------------------------------


def _say(*words: Any) -> None:
    if hvd.rank() == 0:
        print(*words, flush=True)


def show_measured() -> None:
    _say(f"{hvd.size()} ranks, {at.get_num_threads()} threads each, load {os.getloadavg()[0]:.1f}\n")
    _say("| bytes | all-reduce, µs | GB/s |\n| --- | --- | --- |")
    for nbytes, spent in sums():
        _say(f"| {nbytes:,} | {spent * 1e6:,.0f} | {nbytes / spent / 1e9:.2f} |")
    _say("\n| network | MB of weights | plain, ms | one buffer | several |\n| --- | --- | --- | --- | --- |")
    for name, make in NETWORKS.items():
        megabytes = 4e-6 * make()[0].count_params()
        plain, one, several = [1e3 * spent for spent in steps(make)]
        _say(f"| {name} | {megabytes:.1f} | {plain:.1f} | {one:.1f} | {several:.1f} |")


MACHINES = (2, 4, 8, 16, 32, 64)


def show_estimate() -> None:
    print("| network | ms alone | buffers | net | " + " | ".join([f"{n} machines" for n in MACHINES]) + " |")
    print("| --- " * (4 + len(MACHINES)) + "|")
    with at.config.use(threads=1):
        for name, make in NETWORKS.items():
            alone = sum([seconds for _, seconds, _ in calls_of_step(make, None)])
            for options in VARIANTS[1:]:
                calls = calls_of_step(make, options)
                count = sum([label == "reduce_start" for label, _, _ in calls])
                for net_name, net in NETS.items():
                    shares = [alone / timeline(calls, net, n) for n in MACHINES]
                    cells = [name, f"{alone * 1e3:.1f}", str(count), net_name, *[f"{s:.0%}" for s in shares]]
                    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--estimate", action="store_true", help="what is to be expected of many machines")
    options = parser.parse_args()
    hvd.init()
    if options.estimate:
        show_estimate()
    else:
        show_measured()


if __name__ == "__main__":
    main()
