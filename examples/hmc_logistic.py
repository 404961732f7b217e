"""Bayesian logistic regression by Hamiltonian Monte Carlo: four chains, a step size that finds itself, a check.

The gradient of the logarithm of the posterior drives a ball over hills (Neal, 2011); a whole path of leapfrog steps is
one `at.scan`, compiled once. Dual averaging finds the step size (Hoffman and Gelman, 2014); R-hat and effective sample
size say whether chains agree (Vehtari et al., 2021). The truth: draws around the top, weighted by the posterior itself.

Run:  python examples/hmc_logistic.py [--small]    # pip install scikit-learn brings the data
"""

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer

import autotensor as at

SMALL = "--small" in sys.argv
N_CHAINS, N_LEAPS, N_WARMUP, N_KEPT, N_DRAWS = 4, 8, *((150, 250, 5_000) if SMALL else (500, 2000, 50_000))
rng = np.random.default_rng(1)

x, y = load_breast_cancer(return_X_y=True)
x = x[:, [0, 1, 4, 6]]  # mean radius, texture, smoothness, concavity
x = np.c_[np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)]
print(f"Data: scikit-learn's breast_cancer, {len(x)} tumours with 4 features")


def log_posterior(w: at.Tensor) -> at.Tensor:
    """One number for each row of weights; the prior of each weight is normal with deviation 3."""
    return at.sum(y * (w @ x.T) - at.softplus(w @ x.T), axis=-1) - at.sum(w**2, axis=-1) / 18


slope = at.grad(lambda w: at.sum(log_posterior(w)))  # rows do not meet, so this is the slope of each


@at.compile
def path(w: at.Tensor, p: at.Tensor, size: at.Tensor) -> tuple[at.Tensor, at.Tensor]:
    """Where a ball at w with momentum p is after N_LEAPS leapfrog steps, and by how much its energy fell."""

    def leap(states, parts, constants):
        w, p = states
        p = p + size / 2 * slope(w)
        w = w + size * p
        return (w, p + size / 2 * slope(w)), ()

    (w_new, p_new), _ = at.scan(leap, (w, p), at.zeros(N_LEAPS))
    return w_new, log_posterior(w_new) - log_posterior(w) + at.sum(p**2 - p_new**2, axis=1) / 2


def rhat_and_size(draws: np.ndarray) -> tuple[float, float]:
    """Split R-hat and effective sample size of one quantity; draws are (chains, an even number)."""
    halves = draws.reshape(2 * len(draws), -1)
    m, n = halves.shape
    within = halves.var(axis=1, ddof=1).mean()
    whole = (n - 1) / n * within + halves.mean(axis=1).var(ddof=1)
    power = np.abs(np.fft.rfft(halves - halves.mean(axis=1, keepdims=True), 2 * n)) ** 2
    covariance = np.fft.irfft(power)[:, :n].mean(axis=0) / n
    correlation = 1 - (within - covariance) / whole
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    pairs = np.minimum.accumulate(pairs[: np.argmax(pairs < 0)] if np.any(pairs < 0) else pairs)  # Geyer, 1992
    return float(np.sqrt(whole / within)), float(m * n / (2 * pairs.sum() - 1))


w = rng.normal(size=(N_CHAINS, x.shape[1]))
log_size, log_mean, error = np.log(0.1), 0.0, 0.0
kept, history = [], {"energy": [], "step size": [], "each": "10 paths"}
for k in range(1, N_WARMUP + N_KEPT + 1):
    size = np.asarray(np.exp(log_size) * rng.uniform(0.8, 1.2))  # so that no path closes upon itself
    w_new, change = map(np.asarray, path(w, rng.normal(size=w.shape), size))
    chance = np.exp(np.minimum(change, 0))
    w = np.where((rng.uniform(size=N_CHAINS) < chance)[:, None], w_new, w)
    if k <= N_WARMUP and k % 10 == 0:
        history["energy"].append(-float(at.mean(log_posterior(w))))
        history["step size"].append(float(np.exp(log_size)))
    if k <= N_WARMUP:  # towards 80 % accepted
        error += (0.8 - chance.mean() - error) / (k + 10)
        log_size = -np.sqrt(k) / 0.05 * error
        log_mean += k**-0.75 * (log_size - log_mean)
        log_size = log_mean if k == N_WARMUP else log_size
    else:
        kept.append((w, chance))
draws, chances = (np.stack(values, axis=1) for values in zip(*kept, strict=True))  # (chains, draws, ...)

# Newton's method finds the top; Student's t with its curvature has the longer tails that weighting needs.
top = np.zeros(x.shape[1])
for _ in range(10):
    curvature = -at.hessian(log_posterior)(top).numpy()
    top = top + np.linalg.solve(curvature, slope(top).numpy())
far = rng.normal(size=(N_DRAWS, len(top))) / np.sqrt(rng.chisquare(8, size=(N_DRAWS, 1)) / 8)
proposed = top + far @ np.linalg.inv(np.linalg.cholesky(curvature))
weights = at.softmax(log_posterior(proposed) + (8 + len(top)) / 2 * np.log1p((far**2).sum(axis=1) / 8)).numpy()
mean = weights @ proposed
deviation = np.sqrt(weights @ (proposed - mean) ** 2)

print("    mean  truth  deviation  truth   R-hat  effective draws")
table = [rhat_and_size(draws[:, :, i]) for i in range(len(top))]
for k, mu, sigma, (rhat, size) in zip(draws.reshape(-1, len(top)).T, mean, deviation, table, strict=True):
    print(f"{k.mean():8.3f} {mu:6.3f} {k.std():9.3f} {sigma:7.3f} {rhat:7.3f} {size:8.0f}")
off = np.max(np.abs(draws.mean(axis=(0, 1)) - mean) / deviation)
print(f"Accepted: {chances.mean():.3f}, largest R-hat: {max(table)[0]:.3f}, means off by {off:.3f} deviations")
