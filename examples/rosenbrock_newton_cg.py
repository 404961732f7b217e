"""Rosenbrock's valley in 2, 10 and 1,000 dimensions by Newton's method, which never sees a Hessian.

A Newton step solves H s = -g. Conjugate gradients (Steihaug, 1983) need of H only its products with vectors, and such
a product costs about two gradients, however many dimensions there are. A trust region keeps far steps honest (Nocedal
and Wright, Numerical Optimization, algorithms 4.1 and 7.2). SciPy's "trust-ncg", fed with the same derivatives, is
asked where it is installed; in 2 and 10 dimensions it takes the very same steps.

Run:  python examples/rosenbrock_newton_cg.py [--small]
"""

import sys

import numpy as np

import autotensor as at

SMALL = "--small" in sys.argv


def rosenbrock(x: at.Tensor) -> at.Tensor:
    """Minimum 0 at (1, ..., 1), at the end of a bent valley."""
    return at.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@at.compile
def value_and_slope(x: at.Tensor) -> tuple[at.Tensor, at.Tensor]:
    return at.value_and_grad(rosenbrock)(x)


@at.compile
def hessian_times(x: at.Tensor, v: at.Tensor) -> at.Tensor:
    return at.hvp(rosenbrock, x, v)


def to_the_edge(s: np.ndarray, d: np.ndarray, radius: float) -> np.ndarray:
    """From s along d to where the trust region ends."""
    a, b, c = d @ d, 2 * s @ d, s @ s - radius**2
    return s + (np.sqrt(b * b - 4 * a * c) - b) / (2 * a) * d


def newton_step(x: np.ndarray, g: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """An approximate minimum of the quadratic model within the radius, and by how much the model falls."""
    enough = min(0.5, np.sqrt(np.linalg.norm(g))) * np.linalg.norm(g)
    s, r, d = np.zeros_like(x), g, -g
    while np.linalg.norm(r) >= enough:
        hd = hessian_times(x, d).numpy()
        step = r @ r / (d @ hd)
        if d @ hd <= 0 or np.linalg.norm(s + step * d) >= radius:  # downhill without end, or too far
            s = to_the_edge(s, d, radius)
            break
        r_old, r = r, r + step * hd
        s, d = s + step * d, (r @ r) / (r_old @ r_old) * d - r
    return s, -(g @ s + 0.5 * s @ hessian_times(x, s).numpy())


def minimize(x: np.ndarray, radius: float = 1.0) -> tuple[np.ndarray, list[float], list[float]]:
    """The minimum that is reached from x; values and norms of the gradient on the way."""
    values, norms = [], []
    value, g = map(np.asarray, value_and_slope(x))
    while True:
        values.append(float(value))
        norms.append(float(np.linalg.norm(g)))
        if norms[-1] < 1e-8:
            return x, values, norms
        s, promised = newton_step(x, g, radius)
        value_there, g_there = map(np.asarray, value_and_slope(x + s))
        kept = (value - value_there) / promised
        if kept < 0.25:
            radius /= 4
        elif kept > 0.75 and np.isclose(np.linalg.norm(s), radius):
            radius = min(2 * radius, 1000.0)
        if kept > 0.15:
            x, value, g = x + s, value_there, g_there


print("Data: none, a function")
for n in (2, 10, 50 if SMALL else 1000):
    start = np.resize([-1.2, 1.0], n)
    x, values, norms = minimize(start)
    print(f"{n} dimensions:")
    print(f"  {len(values) - 1} steps to a gradient of {norms[-1]:.1e}, off by {np.abs(x - 1).max():.1e}")
    if n == 10:
        history = {"log10 value": np.log10(values), "log10 gradient": np.log10(norms), "each": "step"}
    try:
        from scipy import optimize
    except ImportError:
        continue
    v = np.random.default_rng(0).normal(size=n)
    by_hand = optimize.rosen_hess_prod(start, v)
    print(f"  Hessian times a vector is that of formulas: {np.allclose(hessian_times(start, v), by_hand)}")
    arrays = lambda x: tuple(map(np.asarray, value_and_slope(x)))
    product = lambda x, v: hessian_times(x, v).numpy()
    found = optimize.minimize(arrays, start, jac=True, hessp=product, method="trust-ncg", options={"gtol": 1e-8})
    print(f"  SciPy's trust-ncg: {found.nit} steps, the same place: {np.allclose(found.x, x, atol=1e-6)}")
print(f"Off by {np.abs(x - 1).max():.1e} in {n} dimensions after {len(values) - 1} steps")
