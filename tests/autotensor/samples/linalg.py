"""Samples of ``autotensor.ops.linalg``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from autotensor.ops import factorisation, linalg
from tests.autotensor.samples.base import Sample, array, integers


def loops(x, y):
    """Matrix product of batches, number by number."""
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError("no product")
    a = x[None] if x.ndim == 1 else x
    b = y[:, None] if y.ndim == 1 else y
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, batch + a.shape[-2:])
    b = np.broadcast_to(b, batch + b.shape[-2:])
    out = np.zeros((*batch, a.shape[-2], b.shape[-1]), np.result_type(x, y))
    for index in np.ndindex(*out.shape):
        *rest, i, j = index
        for k in range(a.shape[-1]):
            out[index] += a[(*rest, i, k)] * b[(*rest, k, j)]
    if y.ndim == 1:
        out = out[..., 0]
    if x.ndim == 1:
        out = out[..., 0] if y.ndim == 1 else out[..., 0, :]
    return out


def regular(*shape: int, seed: int = 0) -> np.ndarray:
    """Matrices far from singular: large on the diagonal."""
    x = array(*shape, low=-0.5, high=0.5, seed=seed)
    return x + np.eye(*shape[-2:]) * np.arange(1.0, 1.0 + shape[-1])


def symmetric(*shape: int, seed: int = 0) -> np.ndarray:
    """Symmetric matrices with eigenvalues that are positive and well apart."""
    x = regular(*shape, seed=seed)
    return (x + np.swapaxes(x, -1, -2)) / 2


def singular(n: int) -> np.ndarray:
    x = array(n, n)
    x[-1] = x[:-1].sum(0)
    return x


def cofactors(x):
    """(-1)**(i+j) times the determinant without row i and column j."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("no square matrix")
    out = np.zeros(x.shape)
    for *rest, i, j in np.ndindex(*x.shape):
        minor = np.delete(np.delete(x[tuple(rest)], i, 0), j, 1)
        out[(*rest, i, j)] = (-1) ** (i + j) * np.linalg.det(minor)
    return out


def lower_cholesky(x):
    return np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) / 2)


def phi(x):
    out = np.zeros(x.shape)
    for *rest, i, j in np.ndindex(*x.shape):
        out[(*rest, i, j)] = x[(*rest, i, j)] * (1.0 if i > j else 0.5 if i == j else 0.0)
    return out


def embed(d, offset=0):
    if d.ndim == 0:
        raise ValueError("no axis")
    n = d.shape[-1] + abs(offset)
    out = np.zeros(d.shape[:-1] + (n, n))
    for index in np.ndindex(*d.shape[:-1]):
        out[index] = np.diag(d[index], offset)
    return out


def einsum(*operands, subscripts):
    return np.einsum(subscripts, *operands)


def qr(x, mode):
    return list(np.linalg.qr(x, mode))


def only_r(f):
    return lambda x, **params: f(x, **params)[1]


def call_eig(x):
    w, v = linalg.eig(x)
    return [w, v[..., :, :1] * at.conj(v[..., :1, :1])]


def eig_oracle(x):
    w, v = np.linalg.eig(x)
    return [w.astype(np.complex128), (v[..., :, :1] * v[..., :1, :1].conj()).astype(np.complex128)]


def by_rank(x, rtol=None):
    """Pseudo-inverse from the singular values, one matrix after the other."""
    rtol = np.broadcast_to(max(x.shape[-2:]) * 2.0**-52 if rtol is None else rtol, x.shape[:-2])
    out = np.zeros(x.shape[:-2] + x.shape[-1:] + x.shape[-2:-1])
    for index in np.ndindex(*x.shape[:-2]):
        u, s, vh = np.linalg.svd(x[index], full_matrices=False)
        for i in range(len(s)):
            if s[i] > rtol[index] * s.max():
                out[index] += np.outer(vh[i], u[:, i]) / s[i]
    return out


KNOWN = {"unknown": "the gradient needs the shape, and says so"}


# Singular vectors and eigenvectors may change their sign: what is checked are products without it.


def call_svd(full, *, u=True):
    def f(x, **params):
        a, s, b = linalg.svd(x, full_matrices=full)
        return [a[..., :1] * b[..., :1, :], s] if u else [s]

    return f


def svd_oracle(full, *, u=True):
    def f(x, **params):
        a, s, b = np.linalg.svd(x, full_matrices=full)
        return [a[..., :1] * b[..., :1, :], s] if u else [s]

    return f


def call_eigh(x):
    w, v = linalg.eigh(x)
    return [w, v[..., :, :1] * v[..., :1, :1], v[..., :, 1:2] * v[..., :1, 1:2]]


def eigh_oracle(x):
    w, v = np.linalg.eigh((x + np.swapaxes(x, -1, -2)) / 2)
    return [w, v[..., :, :1] * v[..., :1, :1], v[..., :, 1:2] * v[..., :1, 1:2]]


SAMPLES = {
    "matmul": [
        Sample(array(2, 3), array(3, 4, seed=1), oracle=loops, name="matrices"),
        Sample(array(3), array(3, seed=1), oracle=loops, name="vectors"),
        Sample(array(3), array(3, 4), oracle=loops, name="vector_matrix"),
        Sample(array(2, 3), array(3), oracle=loops, name="matrix_vector"),
        Sample(array(5, 2, 3), array(3, 4), oracle=loops, name="batch_matrix"),
        Sample(array(5, 2, 3), array(3), oracle=loops, name="batch_vector"),
        Sample(array(3), array(5, 3, 2), oracle=loops, name="vector_batch"),
        Sample(array(2, 3), array(5, 3, 4), oracle=loops, name="matrix_batch"),
        Sample(array(5, 1, 2, 3), array(6, 3, 4), oracle=loops, name="broadcast_batches"),
        Sample(integers(2, 3), integers(3, 4, seed=1), oracle=loops, order=0, name="integers"),
    ],
    "einsum": [
        Sample(array(2, 3), array(4, 3), oracle=einsum, subscripts="ab,cb->ca", name="transposed"),
        Sample(array(2, 3, 4), array(2, 4, 5), oracle=einsum, subscripts="abc,acd->bad", name="batch"),
        Sample(
            array(2, 3), array(3, 4, seed=1), array(4, 2, seed=2), oracle=einsum, subscripts="ab,bc,cd->ad",
            name="chain",
        ),
        Sample(array(2, 3), array(2, 3, seed=1), oracle=einsum, subscripts="ab,ab->", name="all"),
        Sample(array(1, 3), array(2, 3), oracle=einsum, subscripts="ab,ab->ab", name="broadcast"),
        Sample(
            array(2, 3), array(4, 1), oracle=einsum, subscripts="ab,cb->ac", name="broadcast_and_summed",
            skip={"unknown": "with unknown dimensions a summed axis is taken to be of one size"},
        ),
    ],
    "diag_embed": [
        Sample(array(3), oracle=embed, name="vector"),
        Sample(array(2, 3), oracle=embed, offset=1, name="above"),
        Sample(array(2, 3), oracle=embed, offset=-2, name="below"),
    ],
    "lower_half": [
        Sample(array(3, 3), oracle=phi, skip={"scalar": "no matrix"}),
        Sample(array(2, 3, 4), oracle=phi, name="batch", skip={"scalar": "no matrix"}),
    ],
    "inv": [
        Sample(regular(3, 3), oracle=np.linalg.inv, name="matrix"),
        Sample(regular(2, 3, 3), oracle=np.linalg.inv, name="batch"),
    ],
    "solve": [
        Sample(regular(3, 3), array(3), oracle=np.linalg.solve, name="vector"),
        Sample(regular(3, 3), array(3, 2), oracle=np.linalg.solve, name="matrix"),
        Sample(regular(2, 3, 3), array(3), oracle=np.linalg.solve, name="batch_vector"),
        Sample(regular(2, 3, 3), array(2, 3, 4), oracle=np.linalg.solve, name="batch"),
        Sample(regular(3, 3), array(2, 3, 4), oracle=np.linalg.solve, name="broadcast"),
    ],
    "det": [
        Sample(regular(3, 3), oracle=np.linalg.det, name="matrix"),
        Sample(regular(2, 3, 3), oracle=np.linalg.det, name="batch"),
        Sample(singular(3), oracle=np.linalg.det, order=1, name="singular"),
    ],
    "cofactor": [
        Sample(regular(3, 3), oracle=cofactors, name="matrix"),
        Sample(regular(2, 4, 4), oracle=cofactors, order=1, name="batch"),
    ],
    "slogdet": [
        Sample(regular(3, 3), oracle=lambda x: list(np.linalg.slogdet(x)), name="matrix"),
        Sample(-regular(2, 3, 3), oracle=lambda x: list(np.linalg.slogdet(x)), name="negative"),
    ],
    "cholesky": [
        Sample(symmetric(3, 3), oracle=lower_cholesky, name="matrix"),
        Sample(regular(2, 3, 3) + 3 * np.eye(3), oracle=lower_cholesky, name="made_symmetric"),
        Sample(
            symmetric(3, 3), oracle=lambda x: lower_cholesky(x).T, name="upper",
            call=lambda x: linalg.cholesky(x, upper=True),
        ),
    ],
    "qr": [
        Sample(regular(3, 3), oracle=qr, mode="reduced", skip=KNOWN, name="square"),
        Sample(array(5, 3), oracle=qr, mode="reduced", skip=KNOWN, name="tall"),
        Sample(regular(2, 3, 3), oracle=qr, mode="reduced", skip=KNOWN, name="batch"),
        Sample(array(2, 3), oracle=qr, mode="reduced", skip=KNOWN, name="wide"),
        Sample(
            array(2, 3), oracle=qr, mode="complete", name="wide_complete",
            skip={**KNOWN, "empty": "without columns it is tall, and q has no gradient, as it says"},
        ),
        Sample(
            array(4, 2), oracle=only_r(qr), call=only_r(factorisation.qr_op), mode="complete", name="tall_complete",
            skip=KNOWN,
        ),
    ],
    "svd": [
        Sample(regular(3, 3), oracle=svd_oracle(False), call=call_svd(False), name="square", tol=1e-11),
        Sample(array(4, 3), oracle=svd_oracle(False), call=call_svd(False), name="tall", tol=1e-11),
        Sample(array(2, 3, 4), oracle=svd_oracle(False), call=call_svd(False), name="wide_batch", tol=1e-11),
        Sample(
            array(3, 2), oracle=svd_oracle(True, u=False), call=call_svd(True, u=False), name="full",
            skip=KNOWN, tol=1e-11, order=1,
        ),
    ],
    "eigh": [
        Sample(symmetric(3, 3), oracle=eigh_oracle, call=call_eigh, name="matrix", tol=1e-11),
        Sample(regular(2, 3, 3), oracle=eigh_oracle, call=call_eigh, name="made_symmetric", tol=1e-11),
    ],
    "eig": [
        Sample(regular(3, 3), oracle=eig_oracle, call=call_eig, name="real_values", tol=1e-11),
        Sample(array(2, 3, 3), oracle=eig_oracle, call=call_eig, name="complex_values", tol=1e-10),
    ],
    "pinv": [
        Sample(
            np.stack([singular(4)[:3], regular(4, 4)[:3]]), np.array([1e-6, 0.4]), oracle=by_rank, name="rtol_each",
            order=1, wrt=(0,), tol=1e-10, call=lambda x, rtol: linalg.pinv(x, rtol),
            skip={"empty": "the limits go with the matrices", "scalar": "no matrix", "dtypes": "a limit is no matrix",
                  "float32": "a limit is no matrix", "grad": "values that are cut off change the rank"},
        ),
        Sample(array(4, 2), oracle=np.linalg.pinv, call=lambda x: linalg.pinv(x), name="tall", tol=1e-11),
        Sample(array(2, 4), oracle=np.linalg.pinv, call=lambda x: linalg.pinv(x), name="wide", tol=1e-11),
        Sample(regular(2, 3, 3), oracle=np.linalg.pinv, call=lambda x: linalg.pinv(x), name="batch", tol=1e-11),
    ],
}  # fmt: skip
