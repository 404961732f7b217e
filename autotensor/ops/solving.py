"""Inverses, linear systems, determinants, pseudo-inverses and powers of matrices.

Matrices are the last two axes; axes before them are batches. Integers are taken to float64, float16 is worked in
float32 (and given back as float16); complex64 and complex128 stay. Singular matrices raise
``numpy.linalg.LinAlgError`` where NumPy raises it.

Gradient rules: M. B. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008), 2.2; G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and
nonlinear least squares problems whose variables separate" (1973).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, float_dtype, shape_of
from autotensor.core.op import apply, defop
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import negative
from autotensor.ops.like import ones_like, unbroadcast
from autotensor.ops.matrices import (
    adjoint,
    diag_embed,
    diagonal,
    in_lapack,
    need_matrix,
    over_matrices,
    real_dtype,
    square,
)
from autotensor.ops.products import differ, matmul
from autotensor.ops.reduce import conjugate
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import expand_dims, matrix_transpose, squeeze
from autotensor.ops.shape import text as _text

__all__ = ["det", "inv", "matrix_power", "pinv", "slogdet", "solve"]


class SlogdetResult(NamedTuple):
    """The determinant in two parts."""

    sign: Tensor
    logabsdet: Tensor


@defop("inv", impl=in_lapack(np.linalg.inv), infer=lambda x: square("inv", x))
def inv(needs, g, out, x):
    """Inverse of square matrices. Raises ``numpy.linalg.LinAlgError`` for a singular one."""
    t = matrix_transpose(out)
    return (negative(matmul(matmul(t, g), t)),)


def _infer_solve(a: Operand, b: Operand) -> Aval:
    matrices = square("solve", a)
    shape = shape_of(b)
    if not shape:
        raise ShapeError("[solve] expected a vector or matrix on the right; got a scalar. Use divide()?")
    rows = shape[0] if len(shape) == 1 else shape[-2]
    if differ(matrices.shape[-1], rows):
        raise ShapeError(
            f"[solve] {_text(matrices.shape)} needs {matrices.shape[-1]} rows on the right; got {_text(shape)}. "
            "Transpose it?"
        )
    if len(shape) == 1:
        return Aval(matrices.shape[:-1], float_dtype(a, b))
    batch = broadcast_shapes("solve", matrices.shape[:-2], shape[:-2])
    return Aval(batch + (matrices.shape[-1], shape[-1]), float_dtype(a, b))


def _solve_impl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # said so by NumPy 2; a stack of vectors must not be guessed from the ranks
    return np.linalg.solve(a, b[:, None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


@defop("solve", impl=in_lapack(_solve_impl), infer=_infer_solve)
def solve(needs, g, out, a, b):
    """x with a @ x = b, for square a (..., n, n) and b (n,) or (..., n, k).

    Raises ``numpy.linalg.LinAlgError`` when a is singular.

        >>> import numpy as np
        >>> import autotensor as at
        >>> a, b = np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 4.0])
        >>> at.grad(lambda b: at.sum(at.linalg.solve(a, b)))(b)
        Tensor([0.5 , 0.25], dtype=float64)
    """
    if b.ndim == 1:
        gb = solve(matrix_transpose(a), expand_dims(g, -1))
        x = expand_dims(out, -1)
    else:
        gb = solve(matrix_transpose(a), g)
        x = out
    ga = unbroadcast(negative(matmul(gb, matrix_transpose(x))), a) if needs[0] else None
    if not needs[1]:
        return ga, None
    return ga, unbroadcast(squeeze(gb, axis=-1) if b.ndim == 1 else gb, b)


# -- determinants


@defop(
    "det",
    impl=in_lapack(np.linalg.det),
    infer=lambda x: Aval(square("det", x).shape[:-2], float_dtype(x)),
)
def det(needs, g, out, x):
    """Determinant of square matrices: (..., n, n) -> (...). Singular ones have a gradient, too.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(at.linalg.det)(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[ 4., -3.],
            [-2.,  1.]], dtype=float64)
    """
    return (over_matrices(g) * cofactor(x),)


def _by_inverse(x: np.ndarray) -> np.ndarray | None:
    """det(x) inv(x)^T, where all matrices are conditioned well enough for it; a fifth of the time of the other way."""
    if not x.shape[-1]:
        return None
    try:
        inverse = np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return None
    condition = abs(x).sum(-2).max(-1) * abs(inverse).sum(-2).max(-1)
    det_ = np.linalg.det(x)
    if not (np.all(condition < np.finfo(x.dtype).eps ** -0.3) and np.all(np.isfinite(det_))):
        return None
    return np.ascontiguousarray(det_[..., None, None] * np.swapaxes(inverse, -1, -2))


def _cofactor_impl(x: np.ndarray) -> np.ndarray:
    quick = _by_inverse(x)
    if quick is not None:
        return quick
    # det(x) inv(x)^T without the division: x = u s v gives det(u) det(v) conj(u) diag(products of the other s) conj(v).
    u, s, v = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(n)], -1) if n else s
    sign = np.linalg.det(u) * np.linalg.det(v)
    if x.dtype.kind == "c":
        u, v = u.conj(), v.conj()
    else:
        sign = np.round(sign)
    return (sign[..., None, None] * u * others[..., None, :]) @ v


@defop(
    "cofactor",
    impl=in_lapack(_cofactor_impl),
    infer=lambda x: square("cofactor", x),
    fallback=lambda x: over_matrices(det(x)) * matrix_transpose(inv(x)),
)
def cofactor(needs, g, out, x):
    """Matrix of cofactors, det(x) inv(x)^T: the derivative of the determinant, of singular matrices, too.

    Its own derivative needs an invertible matrix.
    """
    t = matrix_transpose(inv(x))
    # d(det t) = det <t, dx> t - det t dx^T t
    inner = sum_(g * t, axis=(-2, -1), keepdims=True)
    return (over_matrices(det(x)) * (inner * t - matmul(matmul(t, matrix_transpose(g)), t)),)


def _infer_slogdet(x: Operand) -> tuple[Aval, Aval]:
    shape, dtype = square("slogdet", x).shape[:-2], float_dtype(x)
    return Aval(shape, dtype), Aval(shape, real_dtype(dtype))


@defop("slogdet", n_out=2, impl=in_lapack(lambda x: tuple(np.linalg.slogdet(x))), infer=_infer_slogdet)
def slogdet_op(needs, g, out, x):
    gsign, glog = g
    turn = None
    if gsign is not None and x.dtype.kind == "c":
        # The sign turns by the imaginary part of tr(x^-1 dx): d sign = i sign Im(tr(x^-1 dx)).
        turned = gsign * out[0]
        turn = (turned - conjugate(turned)) * 0.5
    total = glog if turn is None else turn if glog is None else glog + turn
    if total is None:
        return (None,)
    return (over_matrices(total) * matrix_transpose(inv(x)),)


def slogdet(x: Any) -> SlogdetResult:
    """Sign and logarithm of the size of the determinant: (..., n, n) -> (sign (...), logabsdet (...)).

    The gradient of ``logabsdet`` is the transposed inverse (Giles 2008, 2.2.4); a singular matrix has none and raises
    ``numpy.linalg.LinAlgError`` on the way back. The sign of a real matrix is constant; that of a complex one is a
    number on the unit circle and has a gradient.

        >>> import autotensor as at
        >>> x = at.Tensor([[2.0, 1.0], [0.0, 4.0]], requires_grad=True)
        >>> at.grad(at.linalg.slogdet(x).logabsdet, x)
        Tensor([[ 0.5  ,  0.   ],
                [-0.125,  0.25 ]], dtype=float64, requires_grad=True)
    """
    return SlogdetResult(*slogdet_op(x))


# -- pseudo-inverses and least squares


def default_rtol(shape: Any, dtype: Any) -> float:
    """max(m, n) times the machine epsilon, the standard's limit for singular values that count as zero."""
    return max(shape[-2:]) * float(np.finfo(dtype).eps)


def _infer_pinv(x: Operand, *rtol: Operand) -> Aval:
    x = need_matrix("pinv", x)
    return Aval(x.shape[:-2] + (x.shape[-1], x.shape[-2]), float_dtype(x))


def _pinv_impl(x: np.ndarray, *rtol: Any) -> np.ndarray:
    def run(a: np.ndarray) -> np.ndarray:
        if a.size == 0:
            return np.zeros(a.shape[:-2] + (a.shape[-1], a.shape[-2]), a.dtype)
        return np.linalg.pinv(a, rtol[0] if rtol else default_rtol(a.shape, a.dtype))

    return in_lapack(run)(x)


@defop("pinv", impl=_pinv_impl, infer=_infer_pinv)
def pinv_op(needs, g, out, x, *rtol):
    ph, gh = adjoint(out), matrix_transpose(g)  # the adjoint of conj(g)
    first = matmul(matmul(ph, conjugate(g)), ph)
    b = matmul(matmul(gh, out), ph)  # (I - x p) g^H p p^H
    c = matmul(matmul(ph, out), gh)  # p^H p g^H (I - p x)
    second = b - matmul(x, matmul(out, b))
    third = c - matmul(matmul(c, out), x)
    return conjugate(second + third - first), *[None] * len(rtol)


def pinv(x: Any, rtol: Any = None) -> Tensor:
    """Moore-Penrose pseudo-inverse: (..., m, n) -> (..., n, m).

    Singular values up to ``rtol`` times the largest count as zero (a number, or one for each matrix of the batch;
    default: max(m, n) times the machine epsilon). The gradient takes the rank to be constant (Golub and Pereyra
    1973).
    """
    return apply(pinv_op, x) if rtol is None else apply(pinv_op, x, _limit(rtol))


def _limit(rtol: Any) -> Any:
    return rtol.detach() if isinstance(rtol, Tensor) and rtol.data is not None else rtol


# -- powers


def matrix_power(x: Any, n: int) -> Tensor:
    """x @ x @ ... of n factors; the identity for n = 0, powers of the inverse for n < 0.

    Raises DTypeError for an n that is no whole number.
    """
    x = operand(x)
    square("matrix_power", x.aval)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise DTypeError(f"[matrix_power] the exponent must be a whole number; got {n!r}. Use eigh() for others.")
    if n == 0:
        return diag_embed(ones_like(diagonal(x)))
    if n < 0:
        x, n = inv(x), -n
    result = None
    while n:
        if n & 1:
            result = x if result is None else matmul(result, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    assert result is not None
    return result
