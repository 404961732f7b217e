"""What the families of linear algebra share: shape rules, precision, diagonals and adjoints of matrices.

Matrices are the last two axes; all axes before them are batches.

**Complex gradients.** Rules of holomorphic operations (inverse, determinant, products) are those of real numbers. The
others (factorisations, norms) are published for gradients g with dL = Re(sum(conj(g) dx)); the house keeps conj(g).
So these rules conjugate what comes in, use adjoints (conjugate transposes) where the real formula has transposes, and
conjugate what goes out. For real tensors all of this does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, Shape, float_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops.elementwise import abs as abs_
from autotensor.ops.elementwise import divide, equal, less_equal, where
from autotensor.ops.products import differ
from autotensor.ops.reduce import conjugate
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import diagonal as numpy_diagonal
from autotensor.ops.shape import expand_dims, matrix_transpose
from autotensor.ops.shape import text as _text

__all__ = ["diag_embed"]

_REAL: dict[str, np.dtype] = {"F": np.dtype(np.float32), "D": np.dtype(np.float64)}
_COMPLEX: dict[str, np.dtype] = {"d": np.dtype(np.complex128), "D": np.dtype(np.complex128)}


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part."""
    return _REAL.get(dtype.char, dtype)


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype of the same precision; complex64 for float16."""
    return _COMPLEX.get(dtype.char, np.dtype(np.complex64))


# -- shapes and precision


def need_matrix(op: str, x: Operand) -> Aval:
    """The abstract value of a matrix or a batch of them."""
    if not isinstance(x, Aval) or x.ndim < 2:
        shape = _text(shape_of(x))
        raise ShapeError(f"[{op}] expected a matrix (or a batch of them); got shape {shape}. Reshape it?")
    return x


def square(op: str, x: Operand) -> Aval:
    """The abstract value of square matrices, floating."""
    x = need_matrix(op, x)
    if differ(x.shape[-2], x.shape[-1]):
        raise ShapeError(f"[{op}] expected square matrices; got shape {_text(x.shape)}. Use pinv() or svd()?")
    n = x.shape[-1] if x.shape[-2] is None else x.shape[-2]
    return Aval(x.shape[:-2] + (n, n), float_dtype(x))


def sizes(op: str, x: Operand) -> tuple[Shape, Dim, Dim, Dim]:
    """Batch, rows, columns of matrices, and the smaller of the two."""
    x = need_matrix(op, x)
    m, n = x.shape[-2:]
    return x.shape[:-2], m, n, None if m is None or n is None else min(m, n)


def _lapack_dtype(x: np.ndarray) -> np.dtype:
    """The dtype LAPACK works in."""
    if x.dtype.char in "fFdD":
        return x.dtype
    return np.dtype(np.float32 if x.dtype.char == "e" else np.float64)


def in_lapack(f: Callable[..., Any]) -> Callable[..., Any]:
    """Run f in a precision LAPACK has; results come back in the precision of the shape rules, real or complex."""

    def impl(*arrays: Any, **params: Any) -> Any:
        dtype = float_dtype(*[Aval((), x.dtype) for x in arrays])
        work = np.result_type(*[_lapack_dtype(x) for x in arrays])
        result = f(*[x if x.dtype == work else x.astype(work) for x in arrays], **params)
        if isinstance(result, tuple):
            return tuple([_narrowed(np.asarray(r), dtype) for r in result])
        return _narrowed(np.asarray(result), dtype)

    return impl


def _narrowed(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return x.astype(complex_dtype(dtype) if x.dtype.kind == "c" else real_dtype(dtype), copy=False)


# -- small pieces of gradient rules


def adjoint(x: Tensor) -> Tensor:
    """The conjugate transpose."""
    return conjugate(matrix_transpose(x))


def hermitian(x: Tensor) -> Tensor:
    """(x + adjoint(x)) / 2, the gradient of making a matrix Hermitian."""
    return (x + adjoint(x)) * 0.5


def over_matrices(g: Tensor) -> Tensor:
    """One number per matrix, with the axes of the matrix put back with size 1."""
    return expand_dims(expand_dims(g, -1), -1)


def reciprocal(x: Tensor) -> Tensor:
    """1 / x, and 0 where x is 0."""
    zero = equal(x, 0)
    return where(zero, 0.0, divide(1.0, where(zero, 1.0, x)))


def reciprocal_gaps(w: Tensor) -> Tensor:
    """1 / (w[j] - w[i]) in row i and column j, for values (..., n) of a factorisation.

    It is 0 on the diagonal, and for values that are equal up to rounding (LAPACK's are good to some units in the last
    place of the largest): their vectors have no derivative each, and what rounding makes of it would be noise.
    """
    gaps = expand_dims(w, -2) - expand_dims(w, -1)
    noise = over_matrices(sum_(abs_(w), axis=-1)) * (4 * float(np.finfo(w.dtype).eps))
    same = less_equal(abs_(gaps), noise)
    return where(same, 0.0, divide(1.0, where(same, 1.0, gaps)))


def plus(x: Tensor | None, y: Tensor) -> Tensor:
    """x + y, where x may be missing."""
    return y if x is None else x + y


# -- diagonals


def diagonal(x: Any, *, offset: int = 0) -> Tensor:
    """Diagonal of the last two axes, as in the array API's ``linalg``: (..., m, n) -> (..., min(m, n)).

    ``offset`` > 0 is above the main diagonal. The function of the same name at top level is NumPy's.
    """
    return numpy_diagonal(x, offset, -2, -1)


def trace(x: Any, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """Sum of the diagonal of the last two axes, as in the array API's ``linalg``: (..., m, n) -> (...)."""
    return sum_(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def _embed_impl(d: np.ndarray, offset: int = 0) -> np.ndarray:
    n = d.shape[-1] + abs(offset)
    out = np.zeros(d.shape[:-1] + (n, n), d.dtype)
    i = np.arange(d.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = d
    return out


def _infer_embed(d: Operand, offset: int = 0) -> Aval:
    if not isinstance(d, Aval) or not d.ndim:
        raise ShapeError(f"[diag_embed] expected at least one axis; got shape {_text(shape_of(d))}. Use expand_dims?")
    n = None if d.shape[-1] is None else d.shape[-1] + abs(offset)
    return Aval(d.shape[:-1] + (n, n), d.dtype)


@defop("diag_embed", impl=_embed_impl, infer=_infer_embed)
def diag_embed(needs, g, out, d, offset=0):
    """Square matrices with the last axis of d on a diagonal, zero elsewhere: (..., n) -> (..., n, n)."""
    return (diagonal(g, offset=offset),)


def _halve(x: np.ndarray) -> np.ndarray:
    out = np.tril(x)
    i = np.arange(min(x.shape[-2:]))
    out[..., i, i] *= out.dtype.type(0.5)
    return out


@defop("lower_half", impl=_halve, infer=lambda x: need_matrix("lower_half", x))
def lower_half(needs, g, out, x):
    """Lower triangle with half of the diagonal, zero above: the phi of the Cholesky gradient."""
    return (lower_half(g),)
