"""The engine alone: fit a small network to a sine with Adam, one compiled step per batch.

Run:  python examples/autotensor_fit_sine.py
"""

import numpy as np

import autotensor as at

at.random.seed(0)

x = np.linspace(-np.pi, np.pi, 256)[:, None]
y = np.sin(2 * x)


def layer(n: int, m: int, name: str) -> list[at.Variable]:
    kernel = at.random.normal((n, m), dtype="float64") / np.sqrt(n)
    return [at.Variable(kernel, name=f"{name}/kernel"), at.Variable(np.zeros(m), name=f"{name}/bias")]


weights = layer(1, 32, "first") + layer(32, 32, "second") + layer(32, 1, "last")
means = [at.Variable(np.zeros(w.shape)) for w in weights]
squares = [at.Variable(np.zeros(w.shape)) for w in weights]
count = at.Variable(0.0)


def network(x: at.Tensor) -> at.Tensor:
    w1, b1, w2, b2, w3, b3 = weights
    return at.tanh(at.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3


@at.compile
def step(x: at.Tensor, y: at.Tensor, rate: float) -> at.Tensor:
    """One step of Adam; the assignments become updates of the compiled step."""
    loss = at.mean(at.square(network(x) - y))
    count.assign(count + 1)
    for w, m, v, g in zip(weights, means, squares, at.grad(loss, weights), strict=True):
        m.assign(0.9 * m + 0.1 * g)
        v.assign(0.999 * v + 0.001 * g * g)
        w.assign(w - rate * (m / (1 - 0.9**count)) / (at.sqrt(v / (1 - 0.999**count)) + 1e-8))
    return loss


for k in range(2001):
    loss = step(x, y, 0.01)
    if k % 500 == 0:
        print(f"step {k:4}: loss {float(loss):.6f}")

worst = float(at.max(at.abs(network(x) - y)))
print(f"largest error: {worst:.3f}, fits: {worst < 0.1}")

# The slope of the network at 0, by the same engine; that of sin(2x) is 2.
slope = at.grad(lambda x: at.sum(network(x)))(np.zeros((1, 1)))
print(f"slope at 0: {slope.item():.3f}")
