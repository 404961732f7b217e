"""Which examples does a network owe its answer to? The influence of single ones, by gradients per example.

Leaving example i out of n moves the weights by about H^-1 g_i: g_i is the gradient of its own loss, by `at.vmap` of
`at.grad` for all examples at once, H the Hessian of the whole (Cook, 1977; Koh and Liang, 2017). Training again without
the example shows how true that is. Gradients per example are also what private training cuts to one length (Abadi et
al., 2016).

Run:  python examples/influence.py [--small]    # pip install scikit-learn brings the data
"""

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer

import autotensor as at

SMALL = "--small" in sys.argv
rng = np.random.default_rng(1)
x, y = load_breast_cancer(return_X_y=True)
x = np.c_[np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)]
order = rng.permutation(len(x))
x, y = x[order], y[order].astype(float)
x, y, x_test, y_test = x[:400], y[:400], x[400:], y[400:]
print(f"Data: scikit-learn's breast_cancer, {len(x)} + {len(x_test)} tumours with 30 features")


def loss_of_one(w: at.Tensor, x: at.Tensor, y: at.Tensor) -> at.Tensor:
    """Logistic loss of one example: -log of the chance given to what it is."""
    return at.softplus(x @ w) - y * (x @ w)


losses = at.vmap(loss_of_one, (None, 0, 0))
gradients = at.vmap(at.grad(loss_of_one), (None, 0, 0))  # (n, weights)


def total(w: at.Tensor, shares: at.Tensor) -> at.Tensor:
    """What training makes small; a share of 0 leaves an example out."""
    return at.sum(shares * losses(w, x, y)) + 0.5 * at.sum(w**2)


@at.compile
def newton(w: at.Tensor, shares: at.Tensor) -> at.Tensor:
    """One step of Newton's method."""
    loss = lambda w: total(w, shares)
    return w - at.linalg.solve(at.hessian(loss)(w), at.grad(loss)(w))


def trained(shares: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The weights at the minimum, by Newton's method from w."""
    for _ in range(30):
        w_new = newton(w, shares).numpy()
        if np.abs(w_new - w).max() < 1e-10:
            break
        w = w_new
    return w_new


everyone = np.ones(len(x))
w = trained(everyone, np.zeros(x.shape[1]))
print(f"Accuracy: {np.mean((x_test @ w > 0) == y_test):.4f}")

# A gradient for each example, and for all of them at once.
each = gradients(w, x, y).numpy()
one_by_one = np.stack([at.grad(loss_of_one)(w, x[i], y[i]).numpy() for i in range(20)])
print(f"Gradients of 20 examples one by one are the same: {np.allclose(each[:20], one_by_one)}")

# By how much the loss of the test examples rises when example i is left out: a promise, and the truth.
hessian = at.hessian(lambda w: total(w, everyone))(w).numpy()
test_loss = lambda w: float(at.mean(losses(w, x_test, y_test)))
slope = at.grad(lambda w: at.mean(losses(w, x_test, y_test)))(w).numpy()
promised = each @ np.linalg.solve(hessian, slope)
shown = np.argsort(-np.abs(promised))[:: 20 if SMALL else 4]
true = np.array([test_loss(trained(everyone - (np.arange(len(x)) == i), w)) - test_loss(w) for i in shown])
print("example  promised rise of the loss  rise after training without it")
for i, k in list(zip(shown, true, strict=True))[:5]:
    print(f"{i:7} {promised[i]:26.6f} {k:31.6f}")
print(f"Correlation over {len(shown)} examples: {np.corrcoef(promised[shown], true)[0, 1]:.4f}")

# What one example can do to a step of private training: its gradient, at most of length 1, before noise hides it.
lengths = np.linalg.norm(each, axis=1)
cut = each * np.minimum(1, 1 / lengths)[:, None]
print(f"Longest gradient of an example: {lengths.max():.2f}, cut to {np.linalg.norm(cut, axis=1).max():.2f}")
