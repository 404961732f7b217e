"""What the process takes for a training step, beside what ``memory_report`` foretells.

``python -m tests.reliability.peak`` prints a table; ``... peak mlp`` measures one network in this process.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from keras_compat.layers import LSTM, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras_compat.models import Sequential

ROOT = Path(__file__).parents[2]
# The process may take so much more or less than was said: a share, and megabytes for all that is not arrays.
SHARE, REST = 0.1, 6.0

# A batch large enough that it stands out from the rest.
KINDS: dict[str, tuple[int, int]] = {"mlp": (4096, 16), "cnn": (256, 8), "lstm": (512, 8), "autoencoder": (8192, 16)}


def network(kind: str) -> Sequential:
    """A network of the kind."""
    layers: dict[str, Any] = {
        "mlp": lambda: [
            Dense(512, activation="relu", input_dim=784),
            Dropout(0.2),
            Dense(512, activation="relu"),
            Dense(10),
        ],
        "cnn": lambda: [
            Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)),
            Conv2D(64, 3, activation="relu"),
            MaxPooling2D(),
            Dropout(0.25),
            Flatten(),
            Dense(128, activation="relu"),
            Dense(10),
        ],
        "lstm": lambda: [LSTM(64, return_sequences=True, input_shape=(80, 16)), LSTM(64), Dense(10)],
        "autoencoder": lambda: [Dense(n, activation="relu", input_dim=784) for n in (256, 64, 256)] + [Dense(10)],
    }
    model = Sequential(layers[kind]())
    model.compile("adam", "mse")
    return model


def status(field: str) -> float:
    """Megabytes of a field of /proc/self/status."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in f if line.startswith(field))


def measure(kind: str) -> tuple[float, float]:
    """Megabytes foretold for a training step, and those that two steps make the process grow by at most."""
    large, small = KINDS[kind]
    model = network(kind)
    shape = model.input_shape[1:]

    def train(n: int) -> None:
        model.train_on_batch(x[:n], y[:n])

    x = np.ones((large, *shape), "float32")
    y = np.ones((large, 10), "float32")
    train(small)  # the optimizer's state, code of kernels, threads
    planned = model._steps.get(True, False, True).memory((large, *shape), (large, 10)).total_bytes / 1e6
    gc.collect()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # the peak begins anew
    before = status("VmRSS")
    train(large)
    train(large)
    return planned, status("VmHWM") - before


def compare(kind: str) -> tuple[float, float]:
    """Measure in a process of its own, and raise AssertionError if the two are further apart than they may be."""
    command = [sys.executable, "-m", "tests.reliability.peak", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    planned, taken = map(float, done.stdout.split()[-2:])
    assert abs(taken - planned) < SHARE * planned + REST, f"{kind}: {planned:.1f} MB planned, {taken:.1f} MB taken"
    return planned, taken


def main() -> None:
    """Measure one network, or print a table of all."""
    if len(sys.argv) > 1:
        planned, taken = measure(sys.argv[1])
        print(f"{planned:.2f} {taken:.2f}")
        return
    print("| network (batch) | planned | taken |\n| --- | --- | --- |")
    for kind, (large, _) in KINDS.items():
        planned, taken = compare(kind)
        print(f"| {kind} ({large}) | {planned:.1f} MB | {taken:.1f} MB |", flush=True)


if __name__ == "__main__":
    main()
