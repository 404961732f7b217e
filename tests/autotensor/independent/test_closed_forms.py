"""Gradients of functions of several arrays against closed forms, and against differences of a second implementation.

The second implementations are naive loops on ``np.longdouble`` (64 bits of mantissa on x86) or mpmath matrices; their
central differences are exact to about 1e-11.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import autotensor as at

pytestmark = pytest.mark.promise(24)

rng = np.random.default_rng(11)
A = rng.normal(size=(4, 4))
S = A @ A.T + 0.5 * np.eye(4)
B = rng.normal(size=4)
C = rng.normal(size=(4, 3))


@pytest.fixture(autouse=True)
def without_kernels():
    with at.config.use(numba=False):
        yield


def gradients(f: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    xs = [at.Tensor(a, requires_grad=True) for a in arrays]
    return [g.numpy() for g in at.grad(f(*xs), xs)]


def close(got: np.ndarray, want: np.ndarray, rtol: float) -> None:
    scale = np.max(np.abs(want))
    np.testing.assert_allclose(got, np.asarray(want, np.float64), rtol=rtol, atol=rtol * scale)


# -- closed forms, computed with 40 digits


def matrix(a: np.ndarray) -> Any:
    return mp.matrix(a.tolist())


def floats(m: Any) -> np.ndarray:
    return np.array(m.tolist(), dtype=object).astype(float)


@pytest.fixture
def digits():
    with mp.workdps(40):
        yield


def test_log_determinant(digits):
    want = floats(matrix(A) ** -1).T  # d log|det A| = tr(A^-1 dA)
    close(gradients(lambda a: at.linalg.slogdet(a)[1], A)[0], want, 1e-13)


def test_determinant(digits):
    want = float(mp.det(matrix(A))) * floats(matrix(A) ** -1).T  # Jacobi's formula
    close(gradients(at.linalg.det, A)[0], want, 1e-13)


def test_inverse_quadratic_form(digits):
    inverse = matrix(S) ** -1
    half = floats(inverse * mp.matrix(B.tolist()))[:, 0]
    ga, gb = gradients(lambda s, b: at.sum(b * at.linalg.solve(s, b)), S, B)
    close(ga, -np.outer(half, half), 1e-12)
    close(gb, 2 * half, 1e-12)
    ga, _ = gradients(lambda s, b: at.sum(b * (at.linalg.inv(s) @ b)), S, B)
    close(ga, -np.outer(half, half), 1e-12)


def test_log_determinant_by_cholesky(digits):
    """Of symmetric matrices: the part of the gradient that a symmetric change sees is that of the log-determinant."""
    (g,) = gradients(lambda s: 2 * at.sum(at.log(at.diagonal(at.linalg.cholesky(s)))), S)
    close((g + g.T) / 2, floats(matrix(S) ** -1), 1e-12)


def test_smallest_eigenvalue(digits):
    values, vectors = mp.eigsy(matrix(S))
    v = floats(vectors)[:, 0]
    (g,) = gradients(lambda s: at.linalg.eigh(s)[0][0], S)
    close((g + g.T) / 2, np.outer(v, v), 1e-12)


def test_spectral_norm(digits):
    u, s, v = mp.svd_r(matrix(C))
    (g,) = gradients(lambda c: at.linalg.svd(c)[1][0], C)
    close(g, np.outer(floats(u)[:, 0], floats(v)[0]), 1e-12)


def test_trace_of_a_power(digits):
    want = 3 * floats(matrix(A) ** 2).T
    close(gradients(lambda a: at.linalg.trace(a @ a @ a), A)[0], want, 1e-13)


# -- naive implementations and their differences in extended precision

EXTENDED = np.finfo(np.longdouble).nmant > 60


def differences(f: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Central differences in longdouble with Richardson's extrapolation, element by element."""
    wide = [a.astype(np.longdouble) for a in arrays]
    h = np.longdouble(1e-3)
    found = []
    for k, x in enumerate(wide):
        out = np.zeros(x.shape, np.longdouble)
        for index in itertools.product(*map(range, x.shape)):
            slopes = []
            for step in (h, h / 2, h / 4):
                ends = []
                for sign in (1, -1):
                    moved = x.copy()
                    moved[index] += sign * step
                    ends.append(f(*wide[:k], moved, *wide[k + 1 :]))
                slopes.append((ends[0] - ends[1]) / (2 * step))
            once = [(4 * b - a) / 3 for a, b in zip(slopes, slopes[1:])]
            out[index] = (16 * once[1] - once[0]) / 15
        found.append(out)
    return found


def softmax_cross_entropy(x, t):
    total = np.longdouble(0)
    for row, target in zip(x, t):
        norm = sum(np.exp(v) for v in row)
        total -= sum(p * np.log(np.exp(v) / norm) for p, v in zip(target, row))
    return total


def logsumexp(x, weights):
    return sum(w * np.log(sum(np.exp(v) for v in row)) for w, row in zip(weights, x))


def batch_norm(x, gamma, beta, weights):
    total = np.longdouble(0)
    for j in range(x.shape[1]):
        column = x[:, j]
        mean = sum(column) / len(column)
        variance = sum((v - mean) ** 2 for v in column) / len(column)
        for i, v in enumerate(column):
            total += weights[i, j] * ((v - mean) / np.sqrt(variance + np.longdouble(0.001)) * gamma[j] + beta[j])
    return total


def layer_norm(x, weights):
    total = np.longdouble(0)
    for row, w in zip(x, weights):
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        total += sum(a * (v - mean) / np.sqrt(variance + np.longdouble(1e-5)) for a, v in zip(w, row))
    return total


def polynomial_product(a, b, weights):
    """Coefficients of the product of two polynomials, weighted: a full convolution."""
    return sum(weights[i + j] * p * q for i, p in enumerate(a) for j, q in enumerate(b))


def attention(q, k, v, weights):
    total = np.longdouble(0)
    for i, query in enumerate(q):
        scores = [np.exp(sum(a * b for a, b in zip(query, key)) / np.sqrt(np.longdouble(len(query)))) for key in k]
        for s, value in zip(scores, v):
            total += s / sum(scores) * sum(w * c for w, c in zip(weights[i], value))
    return total


def lstm_step(x, w, u, b, weights):
    """Two steps of an LSTM with 1 unit; gates in the order i, f, c, o."""
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    h = c = np.longdouble(0)
    for row in x:
        z = [sum(row[i] * w[i, g] for i in range(len(row))) + h * u[g] + b[g] for g in range(4)]
        c = sigmoid(z[1]) * c + sigmoid(z[0]) * np.tanh(z[2])
        h = sigmoid(z[3]) * np.tanh(c)
    return weights[0] * h + weights[1] * c


def gauss_log_density(x, mean, chol):
    """Of a normal distribution with covariance chol chol^T, by forward substitution."""
    n = len(mean)
    z = []
    for i in range(n):
        z.append((x[i] - mean[i] - sum(chol[i, j] * z[j] for j in range(i))) / chol[i, i])
    return -sum(v * v for v in z) / 2 - sum(np.log(chol[i, i]) for i in range(n))


def cosine(x, y):
    dot = sum(a * b for a, b in zip(x, y))
    return dot / np.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


def pairwise(x, y):
    """Sum of the distances between two sets of points."""
    return sum(np.sqrt(sum((a - b) ** 2 for a, b in zip(p, q))) for p in x for q in y)


def gru_like(x, w):
    h = np.zeros(w.shape[1], x.dtype)
    for row in x:
        h = np.tanh(row @ w + h[::-1]) + h / 2
    return sum(h * h)


def of_lstm(x, w, u, b, weights):
    h = c = at.zeros(())
    for t in range(x.shape[0]):
        z = at.sum(at.expand_dims(x[t], 1) * w, axis=0) + h * u + b
        i, f, o = (at.sigmoid(z[k]) for k in (0, 1, 3))
        c = f * c + i * at.tanh(z[2])
        h = o * at.tanh(c)
    return weights[0] * h + weights[1] * c


def of_gru(x, w):
    h = at.zeros((w.shape[1],))
    for t in range(x.shape[0]):
        h = at.tanh(x[t] @ w + at.flip(h)) + h / 2
    return at.sum(h * h)


def of_polynomials(a, b, weights):
    image = at.pad(a, [(len(b) - 1, len(b) - 1)]).reshape((1, -1, 1))
    return at.sum(at.conv(image, at.flip(b).reshape((-1, 1, 1))).reshape((-1,)) * weights)


def of_batch_norm(x, gamma, beta, weights):
    y = at.batch_norm(x, gamma, beta, epsilon=0.001)
    return at.sum((y[0] if isinstance(y, tuple) else y) * weights)


def of_layer_norm(x, weights):
    centred = x - at.mean(x, axis=1, keepdims=True)
    return at.sum(weights * centred / at.sqrt(at.mean(centred * centred, axis=1, keepdims=True) + 1e-5))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng([5, *shape]).normal(size=shape)


TARGETS = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
CHOLESKY = np.tril(normal(3, 3)) + 2 * np.eye(3)
CASES = {
    "softmax_cross_entropy": (
        softmax_cross_entropy, lambda x, t: -at.sum(t * at.log_softmax(x)), [normal(2, 3), TARGETS]),
    "softmax_then_log": (
        softmax_cross_entropy, lambda x, t: -at.sum(t * at.log(at.softmax(x))), [normal(2, 3), TARGETS]),
    "logsumexp": (logsumexp, lambda x, w: at.sum(w * at.logsumexp(x, axis=1)), [normal(3, 4), normal(3)]),
    "batch_norm": (batch_norm, of_batch_norm, [normal(5, 2), normal(2), normal(2) + 1, normal(5, 2)[::-1].copy()]),
    "layer_norm": (layer_norm, of_layer_norm, [normal(2, 5), normal(2, 5)[:, ::-1].copy()]),
    "polynomial_product": (polynomial_product, of_polynomials, [normal(5), normal(3), normal(7)]),
    "attention": (
        attention,
        lambda q, k, v, w: at.sum(w * (at.softmax(q @ k.T / math.sqrt(2)) @ v)),
        [normal(2, 2), normal(3, 2), normal(3, 4), normal(2, 4)],
    ),
    "lstm": (lstm_step, of_lstm, [normal(2, 3), normal(3, 4), normal(4), normal(4) / 2, normal(2)]),
    "gauss": (
        gauss_log_density,
        lambda x, m, c: (
            -at.sum(at.square(at.linalg.solve(c, x - m))) / 2 - at.sum(at.log(at.diagonal(c)))
        ),
        [normal(3), normal(3) + 1, CHOLESKY],
    ),
    "cosine": (cosine, lambda x, y: at.sum(x * y) / at.sqrt(at.sum(x * x) * at.sum(y * y)), [normal(4), normal(4) + 1]),
    "pairwise": (
        pairwise,
        lambda x, y: at.sum(at.sqrt(at.sum(at.square(at.expand_dims(x, 1) - y), axis=2))),
        [normal(3, 2), normal(4, 2)],
    ),
    "recurrence": (gru_like, of_gru, [normal(4, 3), normal(3, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_naive_loops(name):
    naive, ours, arrays = CASES[name]
    value = float(ours(*[at.asarray(a) for a in arrays]))
    assert value == pytest.approx(float(naive(*[a.astype(np.longdouble) for a in arrays])), rel=1e-13)
    for got, want in zip(gradients(ours, *arrays), differences(naive, arrays), strict=True):
        if name == "gauss":  # the naive form reads the lower triangle only
            got = np.tril(got) if got.ndim == 2 else got
        close(got, want, 1e-12 if EXTENDED else 1e-9)
