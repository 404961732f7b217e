"""Linear algebra, the namespace ``at.linalg``: the array API's extension of that name and what NumPy has besides.

Matrices are the last two axes; all axes before them are batches, which broadcast in products. This file holds norms,
rank and least squares; products, contractions, solving and factorisations are in files of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autotensor.core.aval import normalize_axis
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops.contraction import dot, einsum, inner, tensordot
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import abs as abs_
from autotensor.ops.elementwise import astype, not_equal
from autotensor.ops.factorisation import (  # noqa: F401 (of the namespace)
    EighResult,
    EigResult,
    QRResult,
    SVDResult,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from autotensor.ops.matrices import diag_embed, diagonal, need_matrix, over_matrices, trace  # noqa: F401 (of the namespace)
from autotensor.ops.products import cross, kron, matmul, multi_dot, outer, vecdot
from autotensor.ops.reduce import max as max_
from autotensor.ops.reduce import min as min_
from autotensor.ops.reduce import norm as flat_norm
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import (
    expand_dims,
    matrix_transpose,  # noqa: F401 (of the namespace)
    moveaxis,
    reshape,
    squeeze,
)
from autotensor.ops.shape import text as _text
from autotensor.ops.solving import (
    SlogdetResult,  # noqa: F401 (of the namespace)
    default_rtol,
    det,
    inv,
    matrix_power,
    pinv,
    slogdet,
    solve,
)

# At top level `diagonal`, `trace` and `matrix_transpose` are those of ops.shape, `norm` that of ops.reduce.
__all__ = [
    "cholesky", "cross", "det", "diag_embed", "dot", "eig", "eigh", "eigvals", "eigvalsh", "einsum", "inner", "inv",
    "kron", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "outer", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "vecdot", "vector_norm",
]  # fmt: skip


class LstsqResult(NamedTuple):
    """What ``lstsq`` gives, in NumPy's order."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    s: Tensor


# -- rank and least squares


def matrix_rank(x: Any, rtol: Any = None) -> Tensor:
    """Number of singular values above ``rtol`` times the largest: (..., m, n) -> (...).

    rtol: a number, or one for each matrix of the batch; default: max(m, n) times the machine epsilon.

    Raises ShapeError where the default is wanted of an unknown shape.
    """
    x = operand(x)
    need_matrix("matrix_rank", x.aval)
    s = svdvals(x)
    if s.shape[-1] == 0:
        return sum_(not_equal(s, s), axis=-1, dtype=np.int64)
    if rtol is None:
        if None in x.shape[-2:]:
            raise ShapeError(f"[matrix_rank] the default rtol needs a known shape; got {_text(x.shape)}. Give rtol.")
        rtol = default_rtol(x.shape, s.dtype)
    elif not isinstance(rtol, (int, float)):
        rtol = expand_dims(rtol, -1)
    return sum_(s > max_(s, axis=-1, keepdims=True) * rtol, axis=-1, dtype=np.int64)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> LstsqResult:
    """The x with the least |b - a @ x|, and of several the shortest: a (..., m, n), b (m,) or (..., m, k).

    Gives x (n,) or (..., n, k); the summed squares of b - a @ x along the rows, empty where NumPy's are; the rank of
    a; its singular values. Those up to ``rcond`` times the largest count as zero (default: max(m, n) times the machine
    epsilon). The gradient of x is that of ``pinv(a) @ b``, at constant rank (Golub and Pereyra 1973).

        >>> import autotensor as at
        >>> at.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0]).rank
        Tensor(2, dtype=int64)

    Raises ShapeError for a scalar b.
    """
    a, b = operand(a), operand(b)
    m, n = need_matrix("lstsq", a.aval).shape[-2:]
    if not b.ndim:
        raise ShapeError("[lstsq] expected a vector or matrix on the right; got a scalar. Use divide()?")
    x = matmul(pinv(a, rcond), b)
    rank = matrix_rank(a, rcond)
    rest = b - matmul(a, x)
    residuals = sum_(abs_(rest) ** 2, axis=0 if b.ndim == 1 else -2, keepdims=b.ndim == 1)
    full = rank.data is None or bool(np.all(rank.data == n))
    if not full or (m is not None and n is not None and m <= n):
        residuals = reshape(residuals, (-1,))[:0]
    return LstsqResult(x, residuals, rank, svdvals(a))


# -- norms


def vector_norm(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """Norm of vectors along ``axis`` (several axes count as one vector, None as all).

    ord: p >= 1 gives (sum |x|^p)^(1/p), as does any other p; inf and -inf the largest and smallest size; 0 the number
    of nonzeros. The gradient of the 2-norm at 0 is 0. Norms of complex vectors are real.
    """
    return flat_norm(x, ord=ord, axis=axis, keepdims=keepdims)


def matrix_norm(x: Any, keepdims: bool = False, ord: float | str | None = "fro") -> Tensor:
    """Norm of matrices: (..., m, n) -> (...).

    ord: "fro" (root of the sum of squares), "nuc" (sum of singular values), 2 and -2 (largest and smallest
    singular value), 1 and -1 (largest and smallest sum of sizes in a column), inf and -inf (in a row).

    Raises ShapeError for another ``ord``.
    """
    x = operand(x)
    need_matrix("matrix_norm", x.aval)
    if ord in ("fro", None):
        return flat_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        s = svdvals(x)
        y = sum_(s, axis=-1) if ord == "nuc" else max_(s, axis=-1) if ord == 2 else min_(s, axis=-1)
        return over_matrices(y) if keepdims else y
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(f"[matrix_norm] ord must be 'fro', 'nuc', 1, 2, inf or minus these; got {ord!r}. Use 'fro'?")
    assert not isinstance(ord, str) and ord is not None
    if x.dtype.kind not in "fc":
        x = astype(x, np.float64)
    sums = sum_(abs_(x), axis=-2 if abs(ord) == 1 else -1, keepdims=True)
    pick = max_ if ord > 0 else min_
    y = pick(sums, axis=-1 if abs(ord) == 1 else -2, keepdims=True)
    return y if keepdims else squeeze(y, axis=(-2, -1))


def norm(
    x: Any, ord: float | str | None = None, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """NumPy's norm: of vectors along one axis, of matrices along a pair, by default of x as a whole.

    ``ord`` as in ``vector_norm`` and ``matrix_norm``. ``at.norm`` takes several axes as one vector instead.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(at.linalg.norm)(np.array([3.0, 4.0]))
        Tensor([0.6, 0.8], dtype=float64)
    """
    x = operand(x)
    if axis is None and (ord is None or (x.ndim == 1 and ord == 2) or (x.ndim == 2 and ord == "fro")):
        return flat_norm(x, keepdims=keepdims)
    if axis is None:
        axis = tuple(range(x.ndim))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"[norm] {ord!r} is a norm of matrices; got the one axis {axes[0]}. Name two axes.")
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ShapeError(f"[norm] expected one axis or two; got {axes} of shape {_text(x.shape)}. Use vector_norm()?")
    a, b = (normalize_axis("norm", int(k), x.ndim) for k in axes)
    y = matrix_norm(moveaxis(x, (a, b), (-2, -1)), ord=ord)
    return expand_dims(y, (a, b)) if keepdims else y
