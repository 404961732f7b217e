"""Factorisations of matrices: Cholesky, QR, singular values, eigenvalues.

Matrices are the last two axes; axes before them are batches. Integers are taken to float64, float16 is worked in
float32 (and given back as float16); complex64 and complex128 stay.

Where factors are not unique, a derivative exists only for what does not depend on the choice: signs (or, of complex
matrices, phases) of singular vectors and eigenvectors, and any basis of a space that belongs to equal values. The
rules give the derivative of such results; terms with 1 / (difference of values equal up to rounding) are taken as 0,
so values alone, and projections on the space of equal ones, are right even where they coincide.

Gradient rules: M. B. Giles (2008), 3.1-3.2 (eigenvalues, singular values); I. Murray, "Differentiation of the
Cholesky decomposition" (2016); M. Seeger et al., "Auto-differentiating linear algebra" (2017); S. F. Walter and
L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum experimental design"
(2010) and H.-J. Liao et al., "Differentiable programming tensor networks" (2019) for QR; C. Boeddeker et al., "On the
computation of complex-valued gradients with application to statistically optimum beamforming" (2017) for eigenvalues
of general matrices; Z.-Q. Wan and S.-X. Zhang, "Automatic differentiation for complex valued SVD" (2019).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autotensor.core.aval import Aval, Operand, float_dtype
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import GradError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.like import fill_like, unbroadcast
from autotensor.ops.matrices import (
    adjoint,
    complex_dtype,
    diag_embed,
    diagonal,
    hermitian,
    in_lapack,
    lower_half,
    plus,
    real_dtype,
    reciprocal,
    reciprocal_gaps,
    sizes,
    square,
)
from autotensor.ops.products import matmul
from autotensor.ops.reduce import conjugate
from autotensor.ops.shape import concat, expand_dims
from autotensor.ops.shape import text as _text
from autotensor.ops.solving import solve

__all__ = ["cholesky", "eig", "eigh", "eigvals", "eigvalsh", "qr", "svd", "svdvals"]


class QRResult(NamedTuple):
    """Orthonormal columns and an upper triangle."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """Left vectors (columns), singular values, right vectors (rows, conjugated)."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class EighResult(NamedTuple):
    """Real eigenvalues in ascending order and their eigenvectors (columns)."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class EigResult(NamedTuple):
    """Complex eigenvalues and their eigenvectors (columns)."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def _made_hermitian(x: np.ndarray) -> np.ndarray:
    turned = np.swapaxes(x, -1, -2)
    return (x + (turned.conj() if x.dtype.kind == "c" else turned)) * x.dtype.type(0.5)


# -- Cholesky


@defop(
    "cholesky",
    impl=in_lapack(lambda x: np.linalg.cholesky(_made_hermitian(x))),
    infer=lambda x: square("cholesky", x),
)
def cholesky_op(needs, g, out, x):
    """Lower triangular l with l @ adjoint(l) = (x + adjoint(x)) / 2."""
    t = adjoint(out)
    p = lower_half(matmul(t, conjugate(g)))
    s = adjoint(solve(t, adjoint(solve(t, p))))  # l^-H p l^-1
    return (conjugate(hermitian(s)),)


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """Lower triangular l with l @ adjoint(l) = x, for Hermitian positive definite x; its adjoint if ``upper``.

    x is made Hermitian first, (x + adjoint(x)) / 2, so gradients are Hermitian (Murray 2016). Raises
    ``numpy.linalg.LinAlgError`` when x is not positive definite.
    """
    lower = cholesky_op(x)
    return adjoint(lower) if upper else lower


# -- QR


def _infer_qr(x: Operand, mode: str) -> tuple[Aval, Aval]:
    batch, m, n, k = sizes("qr", x)
    k = m if mode == "complete" else k
    return Aval(batch + (m, k), float_dtype(x)), Aval(batch + (k, n), float_dtype(x))


def _qr_impl(x: np.ndarray, mode: str) -> tuple[np.ndarray, ...]:
    return tuple(np.linalg.qr(x, mode))  # type: ignore[call-overload]


@defop("qr", n_out=2, impl=in_lapack(_qr_impl), infer=_infer_qr)
def qr_op(needs, g, out, x, mode):
    q, r = out
    gq, gr = [None if t is None else conjugate(t) for t in g]
    m, n = x.shape[-2:]
    if m is None or n is None:
        raise GradError(
            f"[qr] the gradient needs a known shape; x is {_text(x.shape)}. Give the placeholder dimensions."
        )
    if m < n:
        # x = (x1, x2), r = (r1, r2): x1 = q r1 is square, and r2 = q^H x2 (Liao et al. 2019).
        x2, r1 = x[..., m:], r[..., :m]
        gq = fill_like(q, value=0.0) if gq is None else gq
        gr1 = None if gr is None else gr[..., :m]
        gx2 = fill_like(x2, value=0.0) if gr is None else matmul(q, gr[..., m:])
        if gr is not None:
            gq = gq + matmul(x2, adjoint(gr[..., m:]))
        return (conjugate(concat([_qr_gradient(gq, gr1, q, r1), gx2], axis=-1)),)
    if mode == "complete" and m > n:
        if gq is not None:
            raise GradError(
                f"[qr] the complete q of {_text(x.shape)} has no gradient: its last {m - n} columns are arbitrary. "
                "Use mode='reduced'."
            )
        assert gr is not None
        (q, r), gr = qr_op(x, mode="reduced"), gr[..., :n, :]
    return (conjugate(_qr_gradient(gq, gr, q, r)),)


def _qr_gradient(gq: Tensor | None, gr: Tensor | None, q: Tensor, r: Tensor) -> Tensor:
    """(gq + q sym(r gr^H - gq^H q)) r^-H for a square r; sym takes the lower triangle for both."""
    inner = None
    if gr is not None:
        inner = matmul(r, adjoint(gr))
    if gq is not None:
        part = matmul(adjoint(gq), q)
        inner = -part if inner is None else inner - part
    assert inner is not None
    half = lower_half(inner)
    b = matmul(q, half + adjoint(half))
    if gq is not None:
        b = gq + b
    return adjoint(solve(r, adjoint(b)))


def qr(x: Any, mode: str = "reduced") -> QRResult:
    """Orthonormal q (..., m, k) and upper triangular r (..., k, n) with q @ r = x, k = min(m, n).

    mode: "reduced", or "complete" for k = m; the complete q of a tall matrix has no gradient (r has one), since its
    last columns are arbitrary. Gradients need the first min(m, n) columns to be independent.

    Raises ShapeError for another mode.
    """
    if mode not in ("reduced", "complete"):
        raise ShapeError(f"[qr] mode must be 'reduced' or 'complete'; got {mode!r}. qr(x)[1] is NumPy's mode 'r'.")
    return QRResult(*qr_op(x, mode=mode))


# -- singular values


def _infer_svd(x: Operand, full_matrices: bool) -> tuple[Aval, Aval, Aval]:
    batch, m, n, k = sizes("svd", x)
    dtype = float_dtype(x)
    u, v = (m, n) if full_matrices else (k, k)
    return Aval(batch + (m, u), dtype), Aval(batch + (k,), real_dtype(dtype)), Aval(batch + (v, n), dtype)


def _svd_impl(x: np.ndarray, full_matrices: bool) -> tuple[np.ndarray, ...]:
    return tuple(np.linalg.svd(x, full_matrices=full_matrices))


@defop("svd", n_out=3, impl=in_lapack(_svd_impl), infer=_infer_svd)
def svd_op(needs, g, out, x, full_matrices):
    u, s, vh = out
    gu, gs, gvh = [None if t is None else conjugate(t) for t in g]
    m, n = x.shape[-2:]
    if full_matrices and (m is None or n is None or m != n):
        if m is None or n is None or gu is not None or gvh is not None:
            raise GradError(
                f"[svd] the full u and vh of {_text(x.shape)} have no gradient: the extra columns are arbitrary. "
                "Use full_matrices=False."
            )
        u, vh = u[..., : min(m, n)], vh[..., : min(m, n), :]
    uh, v = adjoint(u), adjoint(vh)
    column, row = expand_dims(s, -1), expand_dims(s, -2)
    inner = diag_embed(gs) if gs is not None else None
    if gu is not None or gvh is not None:
        f = reciprocal_gaps(s) * reciprocal(row + column)  # 1 / (s[j]^2 - s[i]^2)
        if gu is not None:
            turned = _skew(matmul(uh, gu))
            inner = plus(inner, turned * f * row)
            if x.dtype.kind == "c":  # the phase of u moves against that of v
                inner = inner + diag_embed(diagonal(turned) * reciprocal(s * 2))
        if gvh is not None:
            inner = plus(inner, column * (_skew(matmul(vh, adjoint(gvh))) * f))
    gx = matmul(matmul(u, inner), vh)
    if gu is not None and (m is None or n is None or m > n):
        gx = gx + matmul((gu - matmul(u, matmul(uh, gu))) / row, vh)
    if gvh is not None and (m is None or n is None or n > m):
        gx = gx + matmul(u, (gvh - matmul(matmul(gvh, v), vh)) / column)
    return (conjugate(gx),)


def _skew(x: Tensor) -> Tensor:
    return x - adjoint(x)


def svd(x: Any, full_matrices: bool = True) -> SVDResult:
    """Singular value decomposition: u, s (descending) and vh with x = u @ diag(s) @ vh.

    (..., m, n) -> (..., m, k), (..., k), (..., k, n) with k = min(m, n); ``full_matrices`` completes u and vh to
    square unitary matrices, which then have no gradient (s does). Vectors of equal singular values, and those of
    0 in a matrix that is not square, have no derivative (Seeger et al. 2017; Wan and Zhang 2019); s alone has one.
    """
    return SVDResult(*svd_op(x, full_matrices=bool(full_matrices)))


def svdvals(x: Any) -> Tensor:
    """Singular values in descending order: (..., m, n) -> (..., min(m, n)).

    The gradient is u @ diag(g) @ vh (Giles 2008, 3.2), also where values are equal.
    """
    return svd(x, full_matrices=False).S


# -- eigenvalues


def _infer_eigh(x: Operand) -> tuple[Aval, Aval]:
    a = square("eigh", x)
    return Aval(a.shape[:-1], real_dtype(a.dtype)), a


@defop(
    "eigh",
    n_out=2,
    impl=in_lapack(lambda x: tuple(np.linalg.eigh(_made_hermitian(x)))),
    infer=_infer_eigh,
)
def eigh_op(needs, g, out, x):
    w, v = out
    gw, gv = g
    vh = adjoint(v)
    inner = diag_embed(gw) if gw is not None else None
    if gv is not None:
        inner = plus(inner, reciprocal_gaps(w) * matmul(vh, conjugate(gv)))
    return (conjugate(hermitian(matmul(matmul(v, inner), vh))),)


def eigh(x: Any) -> EighResult:
    """Eigenvalues (ascending, real) and eigenvectors (columns) of symmetric or Hermitian matrices.

    (..., n, n) -> (..., n), (..., n, n).

    x is made Hermitian first, (x + adjoint(x)) / 2, so gradients are Hermitian (Giles 2008, 3.1). Vectors of equal
    eigenvalues have no derivative: their part of the gradient is left out, so a result that depends on the basis
    LAPACK chose has a meaningless gradient, while sums over all vectors of one eigenvalue, and the eigenvalues
    themselves, are right. The gradient takes the phase of complex vectors as constant.
    """
    return EighResult(*eigh_op(x))


def eigvalsh(x: Any) -> Tensor:
    """Eigenvalues of symmetric or Hermitian matrices in ascending order: (..., n, n) -> (..., n).

    >>> import autotensor as at
    >>> x = at.Tensor([[2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    >>> at.grad(at.linalg.eigvalsh(x)[1], x)
    Tensor([[0., 0.],
            [0., 1.]], dtype=float64, requires_grad=True)
    """
    return eigh(x).eigenvalues


def _infer_eig(x: Operand) -> tuple[Aval, Aval]:
    a = square("eig", x)
    dtype = complex_dtype(a.dtype)
    return Aval(a.shape[:-1], dtype), Aval(a.shape, dtype)


def _eig_impl(x: np.ndarray) -> tuple[np.ndarray, ...]:
    w, v = np.linalg.eig(x)
    dtype = complex_dtype(x.dtype)
    return w.astype(dtype, copy=False), v.astype(dtype, copy=False)


@defop("eig", n_out=2, impl=in_lapack(_eig_impl), infer=_infer_eig)
def eig_op(needs, g, out, x):
    w, v = out
    gw, gv = [None if t is None else conjugate(t) for t in g]
    vh = adjoint(v)
    inner = diag_embed(gw) if gw is not None else None
    if gv is not None:
        m = matmul(vh, gv)
        along = diagonal(m)
        # vectors keep length 1, so what would stretch them is taken out
        m = m - matmul(vh, v) * expand_dims((along + conjugate(along)) * 0.5, -2)
        inner = plus(inner, m * reciprocal_gaps(conjugate(w)))
    gx = conjugate(solve(vh, matmul(inner, vh)))
    return (unbroadcast(gx, x),)


def eig(x: Any) -> EigResult:
    """Eigenvalues and eigenvectors (columns of length 1) of general matrices, in no particular order; always complex.

    (..., n, n) -> (..., n), (..., n, n).

    Gradients (Boeddeker et al. 2017) need distinct eigenvalues and independent eigenvectors; the phase of a vector
    counts as constant. ``eigh`` is quicker and safer for symmetric matrices.
    """
    return EigResult(*eig_op(x))


def eigvals(x: Any) -> Tensor:
    """Eigenvalues of general matrices, in no particular order; always complex: (..., n, n) -> (..., n)."""
    return eig(operand(x)).eigenvalues
