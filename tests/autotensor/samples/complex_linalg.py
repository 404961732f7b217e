"""Samples of complex matrices, for the products, solvers and factorisations behind ``autotensor.ops.linalg``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from autotensor.ops import linalg
from tests.autotensor.samples.base import Sample, array, complexes
from tests.autotensor.samples.linalg import KNOWN, call_eig, eig_oracle, einsum, loops, phi, qr, regular


def regular_complex(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex matrices far from singular."""
    return regular(*shape, seed=seed) + 0.3j * array(*shape, seed=seed + 1)


def hermitian(*shape: int, seed: int = 0) -> np.ndarray:
    """Hermitian matrices with positive eigenvalues well apart."""
    x = regular_complex(*shape, seed=seed)
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def lower_cholesky(x):
    return np.linalg.cholesky((x + np.conj(np.swapaxes(x, -1, -2))) / 2)


def minors(x):
    """(-1)**(i+j) times the determinant without row i and column j."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError("no square matrix")
    out = np.zeros(x.shape, np.complex128)
    for *rest, i, j in np.ndindex(*x.shape):
        out[(*rest, i, j)] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x[tuple(rest)], i, 0), j, 1))
    return out


# Singular vectors and eigenvectors may change their phase: what is checked are products without it.


def call_svd(x, **params):
    u, s, vh = linalg.svd(x, full_matrices=False)
    return [u[..., :1] * vh[..., :1, :], s]


def svd_oracle(x, **params):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return [u[..., :1] * vh[..., :1, :], s]


def call_eigh(x):
    w, v = linalg.eigh(x)
    return [w, v[..., :, :1] * at.conj(v[..., :1, :1]), v[..., :, 1:2] * at.conj(v[..., :1, 1:2])]


def eigh_oracle(x):
    w, v = np.linalg.eigh((x + np.conj(np.swapaxes(x, -1, -2))) / 2)
    return [w, v[..., :, :1] * v[..., :1, :1].conj(), v[..., :, 1:2] * v[..., :1, 1:2].conj()]


SAMPLES = {
    "matmul": [
        Sample(complexes(2, 3), complexes(3, 4, seed=1), oracle=loops, name="complex"),
        Sample(array(2, 3), complexes(3, 4), oracle=loops, name="real_complex"),
        Sample(complexes(5, 2, 3), array(3, 4), oracle=loops, name="complex_batch_real"),
        Sample(array(3), complexes(3), oracle=loops, name="real_complex_vectors"),
        Sample(array(3), complexes(5, 3, 2), oracle=loops, name="real_vector_complex_batch"),
    ],
    "einsum": [
        Sample(array(2, 3), complexes(4, 3), oracle=einsum, subscripts="ab,cb->ca", name="complex"),
    ],
    "lower_half": [Sample(complexes(3, 3), oracle=lambda x: phi(x.real) + 1j * phi(x.imag), name="complex",
                          skip={"scalar": "no matrix"})],
    "inv": [Sample(regular_complex(2, 3, 3), oracle=np.linalg.inv, name="complex")],
    "solve": [
        Sample(regular_complex(3, 3), complexes(3), oracle=np.linalg.solve, name="complex_vector"),
        Sample(regular(2, 3, 3), complexes(3, 2), oracle=np.linalg.solve, name="real_complex"),
        Sample(regular_complex(3, 3), array(2, 3, 2), oracle=np.linalg.solve, name="complex_real"),
    ],
    "det": [Sample(regular_complex(2, 3, 3), oracle=np.linalg.det, name="complex")],
    "cofactor": [Sample(regular_complex(3, 3), oracle=minors, name="complex")],
    "slogdet": [
        Sample(regular_complex(2, 3, 3), oracle=lambda x: list(np.linalg.slogdet(x)), name="complex"),
    ],
    "cholesky": [Sample(hermitian(2, 3, 3), oracle=lower_cholesky, name="hermitian")],
    "qr": [
        Sample(regular_complex(2, 3, 3), oracle=qr, mode="reduced", skip=KNOWN, name="complex"),
        Sample(complexes(4, 2), oracle=qr, mode="reduced", skip=KNOWN, name="complex_tall"),
        Sample(complexes(2, 4), oracle=qr, mode="reduced", skip=KNOWN, name="complex_wide"),
    ],
    "svd": [
        Sample(regular_complex(3, 3), oracle=svd_oracle, call=call_svd, name="complex", tol=1e-11),
        Sample(complexes(4, 2), oracle=svd_oracle, call=call_svd, name="complex_tall", tol=1e-11),
        Sample(complexes(2, 2, 3), oracle=svd_oracle, call=call_svd, name="complex_wide", tol=1e-11),
    ],
    "eigh": [Sample(hermitian(2, 3, 3), oracle=eigh_oracle, call=call_eigh, name="hermitian", tol=1e-11)],
    "eig": [Sample(regular_complex(3, 3), oracle=eig_oracle, call=call_eig, name="complex", tol=1e-11)],
    "pinv": [
        Sample(complexes(4, 2), oracle=np.linalg.pinv, call=lambda x: linalg.pinv(x), name="complex_tall", tol=1e-11),
        Sample(complexes(2, 4), oracle=np.linalg.pinv, call=lambda x: linalg.pinv(x), name="complex_wide", tol=1e-11),
    ],
}  # fmt: skip
