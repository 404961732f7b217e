"""How time and memory grow with the size of the network and its data: ``python -m benchmarks.growth``.

Each point is a process of its own, which trains a small network of the same kind first: what is paid once (importing,
loading kernels) is not in the figures. Printed for each curve: seconds to build, compile and take the first step,
seconds of a later step, memory that all of it added, and the exponents with which they grow over the upper half of the
curve (1 is linear; the slope of a straight line through the logarithms).

    python -m benchmarks.growth
    python -m benchmarks.growth --curve depth --curve steps
    python -m benchmarks.growth --large              # up to sizes that fill the memory
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.runner import ROOT, peak_memory, reset_peak_memory, resident_memory, timed


@dataclass(frozen=True)
class Curve:
    """``title`` says what grows with the size; ``make(keras, size)`` gives model, inputs and labels."""

    title: str
    sizes: tuple[int, ...]
    make: Callable[[Any, int], tuple[Any, Any, Any]]
    large: tuple[int, ...] = ()


@dataclass(frozen=True)
class Point:
    """What one size cost: seconds to build, compile and take the first step; seconds of a later one; bytes."""

    size: int
    build: float
    step: float
    memory: float


def _compiled(model: Any) -> Any:
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    return model


def _labels(rows: int) -> np.ndarray:
    return np.eye(10, dtype="f4")[np.arange(rows) % 10]


def _mlp(keras: Any, batch: int, width: int, depth: int) -> tuple[Any, Any, Any]:
    layers = keras.layers
    model = keras.models.Sequential()
    model.add(layers.Dense(width, activation="relu", input_shape=(width,)))
    for _ in range(depth - 1):
        model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    return _compiled(model), np.ones((batch, width), "f4"), _labels(batch)


def _cnn(keras: Any, batch: int) -> tuple[Any, Any, Any]:
    layers = keras.layers
    model = keras.models.Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(64, 64, 3)))
    model.add(layers.Conv2D(32, (3, 3), activation="relu"))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    return _compiled(model), np.ones((batch, 64, 64, 3), "f4"), _labels(batch)


def _lstm(keras: Any, steps: int) -> tuple[Any, Any, Any]:
    layers = keras.layers
    model = keras.models.Sequential()
    model.add(layers.LSTM(32, input_shape=(steps, 16)))
    model.add(layers.Dense(10, activation="softmax"))
    return _compiled(model), np.ones((16, steps, 16), "f4"), _labels(16)


def _functional(keras: Any, depth: int) -> tuple[Any, Any, Any]:
    layers = keras.layers
    x = inputs = layers.Input(shape=(16,))
    for _ in range(depth):
        x = layers.Dense(16, activation="relu")(x)
    model = keras.models.Model(inputs, layers.Dense(10, activation="softmax")(x))
    return _compiled(model), np.ones((16, 16), "f4"), _labels(16)


CURVES: dict[str, Curve] = {
    "batch": Curve(
        "rows of a batch, MLP 512-512-512-10",
        (64, 128, 256, 512, 1024, 2048, 4096),
        lambda keras, size: _mlp(keras, size, 512, 2),
        (65536, 262144, 524288),
    ),
    "images": Curve(
        "images of a batch, 64×64×3 through 32-32-pool",
        (2, 4, 8, 16, 32, 64, 128),
        _cnn,
        (512, 2048),
    ),
    "steps": Curve(
        "time steps, LSTM 32 on 16 rows of 16",
        (16, 32, 64, 128, 256, 512, 1024, 2048),
        _lstm,
        (16384, 131072),
    ),
    "width": Curve(
        "weights, two Dense layers of that width (batch 128)",
        tuple(n * n for n in (64, 128, 256, 512, 1024, 2048)),
        lambda keras, size: _mlp(keras, 128, math.isqrt(size), 2),
        tuple(n * n for n in (8192, 16384)),
    ),
    "depth": Curve(
        "Dense layers of width 16, Sequential (batch 16)",
        (16, 32, 64, 125, 250, 500, 1000),
        lambda keras, size: _mlp(keras, 16, 16, size),
    ),
    "functional": Curve(
        "Dense layers of width 16, functional (batch 16)",
        (16, 32, 64, 125, 250, 500, 1000),
        _functional,
    ),
}


def measure(curve: Curve, size: int) -> Point:
    """Build, compile and train in this process."""
    import keras_compat as keras

    model, x, y = curve.make(keras, curve.sizes[0])
    model.train_on_batch(x, y)
    reset_peak_memory()
    before = resident_memory()
    start = time.perf_counter()
    model, x, y = curve.make(keras, size)
    model.train_on_batch(x, y)
    build = time.perf_counter() - start
    model.train_on_batch(x, y)
    single = timed(lambda: model.train_on_batch(x, y))
    seconds = [timed(lambda: model.train_on_batch(x, y)) for _ in range(max(3, min(100, int(0.7 / single))))]
    return Point(size, build, statistics.median(seconds), float(peak_memory() - before))


def exponent(points: list[Point], of: Callable[[Point], float]) -> float:
    """Slope of log(of) over log(size), over the upper half of the points."""
    chosen = points[len(points) // 2 :]
    xs, ys = [math.log(p.size) for p in chosen], [math.log(max(of(p), 1e-9)) for p in chosen]
    return statistics.linear_regression(xs, ys).slope


def table(curve: Curve, points: list[Point]) -> str:
    """Markdown."""
    lines = [f"| {curve.title} | build, first step (s) | step (ms) | memory (MB) |", "| --- | --- | --- | --- |"]
    for p in points:
        lines.append(f"| {p.size:,} | {p.build:.3f} | {p.step * 1e3:.3f} | {p.memory / 2**20:.1f} |")
    slopes = [exponent(points, of) for of in (lambda p: p.build, lambda p: p.step, lambda p: p.memory)]
    lines.append("| exponent | " + " | ".join(f"{slope:.2f}" for slope in slopes) + " |")
    return "\n".join(lines)


def points_of(name: str, sizes: tuple[int, ...]) -> list[Point]:
    """Each in a process of its own; those that fail (for want of memory) end the curve with a line saying so."""
    points: list[Point] = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.growth", "--point", name, str(size)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"ended by signal {-done.returncode}"]
            print(f"{name}: stops before {size:,} ({last[0]})", flush=True)
            break
        points.append(Point(**json.loads(done.stdout.splitlines()[-1])))
    return points


def tables(names: list[str], large: bool = False) -> str:
    """Markdown of these curves, one table each."""
    made = []
    for name in names:
        curve = CURVES[name]
        made.append(table(curve, points_of(name, curve.sizes + (curve.large if large else ()))))
    return "\n\n".join(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curve", action="append", choices=list(CURVES), help="all by default")
    parser.add_argument("--large", action="store_true", help="go on to sizes that fill the memory")
    parser.add_argument("--point", nargs=2, metavar=("CURVE", "SIZE"), help="one point, in this process, as JSON")
    options = parser.parse_args()
    if options.point:
        name, size = options.point
        print(json.dumps(asdict(measure(CURVES[name], int(size)))))
        return
    for name in options.curve or list(CURVES):
        print(tables([name], options.large) + "\n", flush=True)


if __name__ == "__main__":
    main()
