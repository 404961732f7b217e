"""Burgers' equation solved by a network: u_t + u u_x = nu u_xx, learnt from the equation alone.

A physics-informed network (Raissi, Perdikaris and Karniadakis, 2019) has no data. Its loss is how far it misses the
equation at points drawn in the strip, and the second derivative u_xx in it is a gradient of a gradient, which training
differentiates a third time. Start and edges are built into the form of u. The exact solution is Cole and Hopf's.

Run:  python examples/pinn_burgers.py [--small]
"""

import sys

import numpy as np

import autotensor as at

SMALL = "--small" in sys.argv
NU = 0.1 / np.pi
N_STEPS, N_POINTS, WIDTH = (600, 256, 16) if SMALL else (12_000, 1024, 24)
rng = np.random.default_rng(1)
sizes = [(2, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
kernels = [at.Variable(rng.normal(size=size) * np.sqrt(2 / sum(size))) for size in sizes]
kernels[0].assign(3 * kernels[0])  # waves short enough for the strip
biases = [at.Variable(np.zeros(size[1])) for size in sizes]
weights = kernels + biases


def u(x: at.Tensor, t: at.Tensor) -> at.Tensor:
    """-sin(pi x) at t = 0, and 0 at x = -1 and 1, whatever the weights."""
    h = at.stack([x, t], axis=1)
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        h = at.tanh(h @ kernel + bias)
    return -at.sin(np.pi * x) + t * (1 - x**2) * (h @ kernels[-1] + biases[-1])[:, 0]


def residual(x: at.Tensor, t: at.Tensor) -> at.Tensor:
    """By how much u misses the equation. Points do not meet, so the gradient of the sum is that of each."""
    value = u(x, t)
    u_x, u_t = at.grad(at.sum(value), [x, t])
    u_xx = at.grad(at.sum(u_x), x)
    return u_t + value * u_x - NU * u_xx


means, squares = ([at.Variable(np.zeros(w.shape)) for w in weights] for _ in range(2))
count = at.Variable(0.0)


@at.compile
def step(x: at.Tensor, t: at.Tensor, rate: float) -> at.Tensor:
    """One step of Adam; derivatives of the equation and of the loss become one plan."""
    loss = at.mean(residual(x, t) ** 2)
    count.assign(count + 1)
    for w, m, v, g in zip(weights, means, squares, at.grad(loss, weights), strict=True):
        m.assign(0.9 * m + 0.1 * g)
        v.assign(0.999 * v + 0.001 * g * g)
        w.assign(w - rate * (m / (1 - 0.9**count)) / (at.sqrt(v / (1 - 0.999**count)) + 1e-8))
    return loss


def exact(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Cole and Hopf: a ratio of integrals over a heat kernel, by Gauss and Hermite's rule; t > 0."""
    nodes, shares = np.polynomial.hermite.hermgauss(80)
    y = np.pi * (x[:, None] - np.sqrt(4 * NU * t[:, None]) * nodes)
    f = shares * np.exp(-np.cos(y) / (2 * np.pi * NU))
    return -np.sum(np.sin(y) * f, axis=1) / np.sum(f, axis=1)


x_seen, t_seen = (k.ravel() for k in np.meshgrid(np.linspace(-1, 1, 101), np.linspace(0.05, 1, 20)))
truth = exact(x_seen, t_seen)


def error() -> float:
    """Relative error of u in the strip."""
    return float(np.linalg.norm(u(x_seen, t_seen).numpy() - truth) / np.linalg.norm(truth))


history = {"log10 residual": [], "relative error": [], "each": f"{N_STEPS // 20} steps"}
print("Data: none, an equation")
print(f"Before: relative error {error():.3f}")
for k in range(N_STEPS):
    rate = 2e-2 * 0.05 ** (k / N_STEPS)
    loss = step(rng.uniform(-1, 1, N_POINTS), rng.uniform(0, 1, N_POINTS), np.asarray(rate))
    if (k + 1) % (N_STEPS // 20) == 0:
        history["log10 residual"].append(np.log10(float(loss)))
        history["relative error"].append(error())
        print(f"step {k + 1:5}: mean square residual {float(loss):.2e}, relative error {error():.5f}")
print(f"Relative error against the exact solution: {error():.5f}")
