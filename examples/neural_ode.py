"""A neural ordinary differential equation: a network learns how a pendulum moves from the spiral that it drew.

dy/dt = f(y), f a small network (Chen et al., 2018). Runge and Kutta's steps are one `at.scan`, so the gradient of what
is computed is itself a loop, backward in time, and exact for that. Pontryagin's adjoint equation gives the gradient of
what is meant, the solution of the equation: both agree up to the error of the steps, which falls with its fourth power.

Run:  python examples/neural_ode.py [--small]
"""

import sys

import numpy as np

import autotensor as at

SMALL = "--small" in sys.argv
EPOCHS, WIDTH = (300, 16) if SMALL else (3000, 50)
H, N = 0.1, 10  # length and number of steps that are learnt from at a time
rng = np.random.default_rng(0)
values = [rng.normal(size=(2, WIDTH)), np.zeros(WIDTH), rng.normal(size=(WIDTH, 2)) / WIDTH, np.zeros(2)]
weights = [at.Variable(value) for value in values]
means, squares = ([at.Variable(np.zeros(w.shape)) for w in weights] for _ in range(2))


def velocity(y: at.Tensor) -> at.Tensor:
    w1, b1, w2, b2 = weights
    return at.tanh(y @ w1 + b1) @ w2 + b2


def pendulum(angle: float, speed: float) -> tuple[float, float]:
    """What is to be found; the path is a spiral."""
    return speed, -2 * np.sin(angle) - 0.2 * speed


def rk4(f, state: tuple, h: float) -> tuple:
    """One step of length h by the classical method of Runge and Kutta, for a tuple of arrays or tensors."""
    moved = lambda slopes, by: tuple(y + by * k for y, k in zip(state, slopes, strict=True))
    k1 = f(*state)
    k2 = f(*moved(k1, h / 2))
    k3 = f(*moved(k2, h / 2))
    k4 = f(*moved(k3, h))
    return moved(tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)), h)


def follow(y: at.Tensor, h: float, n: int) -> at.Tensor:
    """Places (n, ..., 2) after each of n steps from y."""
    step = lambda states, x, c: 2 * (rk4(lambda y: (velocity(y),), states, h),)
    return at.scan(step, (y,), at.zeros(n))[1][0]


def by_the_adjoint(y: np.ndarray, h: float, n: int) -> list[at.Tensor]:
    """Gradient of L = sum(y(end)^2): a = dL/dy obeys da/dt = -a df/dy; backward in time, a df/dw adds up."""

    def backward(y, a, *sums):
        y = at.Tensor(y, requires_grad=True)
        f = velocity(y)
        return f.detach(), *[-g for g in at.grad(f, [y, *weights], seeds=a, create_graph=False)]

    end = follow(at.asarray(y), h, n)[-1].detach()
    state = (end, 2 * end, *[np.zeros(w.shape) for w in weights])
    for _ in range(n):
        state = rk4(backward, state, -h)
    return list(state[2:])


start = np.array([[2.0, 0.0]])
for n in (10, 20, 40):
    loop = at.grad(at.sum(follow(at.asarray(start), 1.0 / n, n)[-1] ** 2), weights)
    pairs = zip(loop, by_the_adjoint(start, 1.0 / n, n), strict=True)
    off = max(float(at.max(at.abs(a - b)) / at.max(at.abs(b))) for a, b in pairs)
    print(f"{n} steps: gradients of loop and adjoint differ by {off:.2e} of the largest")


@at.compile
def step(y: at.Tensor, seen: at.Tensor, rate: float) -> at.Tensor:
    """One step of Adam."""
    loss = at.mean((follow(y, H, N) - seen) ** 2)
    for w, m, v, g in zip(weights, means, squares, at.grad(loss, weights), strict=True):
        m.assign(0.9 * m + 0.1 * g)
        v.assign(0.99 * v + 0.01 * g * g)
        w.assign(w - rate * m / (at.sqrt(v) + 1e-8))
    return loss


print("Data: the path of a pendulum in 20 seconds")
path = np.tile(start, (201, 1))
for k in range(200):
    path[k + 1] = rk4(pendulum, path[k], H)
history = {"log10 loss": [], "error of the path": [], "each": f"{EPOCHS // 10} epochs"}
for epoch in range(EPOCHS):
    begin = rng.integers(0, len(path) - N, size=50)
    seen = np.stack([path[begin + k] for k in range(1, N + 1)])
    loss = step(path[begin], seen, np.asarray(2e-2 * 0.01 ** (epoch / EPOCHS)))
    if (epoch + 1) % (EPOCHS // 10) == 0:
        history["log10 loss"].append(np.log10(loss.item()))
        off = np.linalg.norm(follow(at.asarray(start), H, 200).numpy()[:, 0] - path[1:], axis=1).mean()
        history["error of the path"].append(off)
        print(f"epoch {epoch + 1:4}: loss {loss.item():.6f}, whole path off by {off:.4f}")
print(f"Mean distance from the true path: {off:.4f}")
