"""What the door costs: an operation recorded, less the bare NumPy call: ``python -m benchmarks.eager_door``."""

from __future__ import annotations

import timeit
from collections.abc import Callable

import numpy as np

import autotensor as at

Call = Callable[[], object]


def calls() -> dict[str, tuple[Call, Call]]:
    """Each operation on small tensors that require gradients, and the same with NumPy."""
    a, b = np.full((4, 4), 0.5), np.full((4, 4), 1.5)
    x, y = at.Tensor(a, requires_grad=True), at.Tensor(b, requires_grad=True)
    index, condition = np.array([0, 2]), a > 0
    where, column = at.Tensor(condition), slice(1, 3)
    return {
        "x + y": (lambda: x + y, lambda: a + b),
        "x * 2.0": (lambda: x * 2.0, lambda: a * 2.0),
        "x / y": (lambda: x / y, lambda: a / b),
        "x ** 3": (lambda: x**3, lambda: a**3),
        "-x": (lambda: -x, lambda: -a),
        "tanh": (lambda: at.tanh(x), lambda: np.tanh(a)),
        "exp": (lambda: at.exp(x), lambda: np.exp(a)),
        "sum": (lambda: x.sum(), lambda: a.sum()),
        "sum, axis 0": (lambda: at.sum(x, axis=0), lambda: np.sum(a, axis=0)),
        "mean": (lambda: x.mean(), lambda: a.mean()),
        "max, axis 1": (lambda: at.max(x, axis=1), lambda: np.max(a, axis=1)),
        "x @ y": (lambda: x @ y, lambda: a @ b),
        "reshape": (lambda: x.reshape(2, 8), lambda: a.reshape(2, 8)),
        "x.T": (lambda: x.T, lambda: a.T),
        "transpose": (lambda: at.transpose(x, (1, 0)), lambda: np.transpose(a, (1, 0))),
        "x[1]": (lambda: x[1], lambda: a[1]),
        "x[1:3]": (lambda: x[1:3], lambda: a[1:3]),
        "x[:, 1:3]": (lambda: x[:, column], lambda: a[:, column]),
        "x[index]": (lambda: x[index], lambda: a[index]),
        "where": (lambda: at.where(where, x, y), lambda: np.where(condition, a, b)),
        "concatenate": (lambda: at.concatenate([x, y]), lambda: np.concatenate([a, b])),
        "stack": (lambda: at.stack([x, y]), lambda: np.stack([a, b])),
        "astype": (lambda: x.astype("float32"), lambda: a.astype("float32")),
        "x < y": (lambda: x < y, lambda: a < b),
        "x == y": (lambda: x == y, lambda: a == b),
        "maximum": (lambda: at.maximum(x, y), lambda: np.maximum(a, b)),
        "expand_dims": (lambda: at.expand_dims(x, 0), lambda: np.expand_dims(a, 0)),
    }


def seconds(call: Call) -> float:
    """Seconds of one call: the quickest of some rounds."""
    return min(timeit.repeat(call, number=2000, repeat=9)) / 2000


def measured() -> dict[str, tuple[float, float]]:
    """Seconds of each operation by us and by NumPy."""
    return {name: (seconds(ours), seconds(numpy)) for name, (ours, numpy) in calls().items()}


def main() -> None:
    worst = 0.0
    for name, (ours, numpy) in measured().items():
        worst = max(worst, ours - numpy)
        print(f"{name:<14} {ours * 1e6:6.2f} µs, NumPy {numpy * 1e6:6.2f}, overhead {(ours - numpy) * 1e6:6.2f}")
    print(f"largest overhead: {worst * 1e6:.2f} µs")


if __name__ == "__main__":
    main()
