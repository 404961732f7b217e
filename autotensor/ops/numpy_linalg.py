"""``np.linalg`` and ``np.fft`` on tensors; see ``numpy_functions``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor
from autotensor.ops import elementwise as ew
from autotensor.ops import fft, linalg, reduce, shape
from autotensor.ops.creation import operand
from autotensor.ops.numeric import known_size
from autotensor.ops.numpy_values import implements, store

la = np.linalg


def _entry(name: str) -> Any:
    return getattr(la, name, None)


_TABLE: list[tuple[str, Any]] = [
    ("det", lambda a: linalg.det(a)),
    ("slogdet", lambda a: linalg.slogdet(a)),
    ("inv", lambda a: linalg.inv(a)),
    ("norm", lambda x, ord=None, axis=None, keepdims=False: linalg.norm(x, ord, axis, keepdims)),
    ("lstsq", lambda a, b, rcond=None: linalg.lstsq(a, b, rcond)),
    ("multi_dot", lambda arrays, *, out=None: store(out, linalg.multi_dot(arrays), "multi_dot")),
    ("solve", lambda a, b: linalg.solve(operand(a), operand(b))),
    ("cholesky", lambda a, /, *, upper=False: linalg.cholesky(a, upper=upper)),
    ("eigvalsh", lambda a, UPLO="L": linalg.eigvalsh(_triangle(a, UPLO))),
    ("svdvals", lambda x, /: linalg.svdvals(x)),
    ("matrix_power", lambda a, n: linalg.matrix_power(a, n)),
    ("matmul", lambda x1, x2, /: linalg.matmul(x1, x2)),
    ("outer", lambda x1, x2, /: linalg.outer(x1, x2)),
    ("cross", lambda x1, x2, /, *, axis=-1: linalg.cross(x1, x2, axis=axis)),
    ("tensordot", lambda x1, x2, /, *, axes=2: linalg.tensordot(x1, x2, axes=axes)),
    ("vecdot", lambda x1, x2, /, *, axis=-1: linalg.vecdot(x1, x2, axis=axis)),
    ("diagonal", lambda x, /, *, offset=0: shape.diagonal(operand(x), offset, -2, -1)),
    ("matrix_transpose", lambda x, /: shape.matrix_transpose(operand(x))),
]
for _name, _ours in _TABLE:
    implements(_entry(_name))(_ours)


def _triangle(a: Any, uplo: str) -> Tensor:
    """The symmetric matrix of which one triangle is given."""
    x = operand(a)
    if uplo.upper() not in "LU" or len(uplo) != 1:
        raise ValueError(f"[np.linalg.eigh] expected UPLO 'L' or 'U'; got {uplo!r}.")
    half = shape.tril(x, k=-1) if uplo.upper() == "L" else shape.triu(x, k=1)
    mirrored = shape.matrix_transpose(half)
    whole = ew.conj(mirrored) if x.dtype.kind == "c" else mirrored
    return half + whole + (x - shape.tril(x, k=-1) - shape.triu(x, k=1))


@implements(_entry("eigh"))
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return linalg.eigh(_triangle(a, UPLO))


_NUMPY_MAKES_REAL = np.lib.NumpyVersion(np.__version__) < "2.5.0"  # later ones give complex eigenvalues always


def _real_where_it_is(a: Any, values: Tensor, *others: Tensor) -> Any:
    """NumPy before 2.5 gives real results for a real matrix whose eigenvalues all are."""
    if _NUMPY_MAKES_REAL and operand(a).dtype.kind != "c" and values.data is not None and not values.data.imag.any():
        return (values.real, *[x.real for x in others])
    return (values, *others)


@implements(_entry("eig"))
def _eig(a: Any) -> Any:
    return linalg.EigResult(*_real_where_it_is(a, *linalg.eig(a)))


@implements(_entry("eigvals"))
def _eigvals(a: Any) -> Any:
    return _real_where_it_is(a, linalg.eigvals(a))[0]


@implements(_entry("svd"))
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    x = operand(a)
    if not compute_uv:
        return linalg.svdvals(x)
    return linalg.svd(x, full_matrices=full_matrices)


@implements(_entry("qr"))
def _qr(a: Any, mode: str = "reduced") -> Any:
    if mode == "r":
        return linalg.qr(a, mode="reduced")[1]
    return linalg.qr(a, mode=mode)


@implements(_entry("pinv"))
def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    limit = rcond if rtol is np._NoValue else rtol
    if limit is None:
        x = operand(a)
        limit = 1e-15 if rtol is np._NoValue else max([d or 0 for d in x.shape[-2:]]) * float(np.finfo(x.dtype).eps)
    return linalg.pinv(a, rtol=limit)


@implements(_entry("matrix_rank"))
def _matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    x = operand(A)
    if x.ndim < 2:
        return reduce.any(x != 0).astype(np.int64)
    if tol is None:
        return linalg.matrix_rank(x, rtol=rtol)
    return reduce.count_nonzero(linalg.svdvals(x) > tol, axis=-1)


@implements(_entry("trace"))
def _trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    t = operand(x)
    return shape.trace(t if dtype is None else ew.astype(t, dtype), offset, -2, -1)


@implements(_entry("vector_norm"))
def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    return linalg.vector_norm(operand(x), axis=axis, keepdims=keepdims, ord=ord)


@implements(_entry("matrix_norm"))
def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return linalg.matrix_norm(operand(x), keepdims=keepdims, ord=ord)


@implements(_entry("cond"))
def _cond(x: Any, p: Any = None) -> Any:
    x = operand(x)
    if p is None or p in (2, -2):
        s = linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return linalg.matrix_norm(x, ord=p) * linalg.matrix_norm(linalg.inv(x), ord=p)


@implements(_entry("tensorinv"))
def _tensorinv(a: Any, ind: int = 2) -> Any:
    x = operand(a)
    old = x.shape
    n = math.prod([known_size("tensorinv", x, k) for k in range(ind, x.ndim)])
    return linalg.inv(x.reshape((n, -1))).reshape((*old[ind:], *old[:ind]))


@implements(_entry("tensorsolve"))
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = operand(a), operand(b)
    if axes is not None:
        order = [k for k in range(a.ndim) if k not in axes]
        a = shape.permute_dims(a, (*order, *axes))
    rest = a.shape[b.ndim :]
    n = math.prod([d or 0 for d in rest])
    return linalg.solve(a.reshape((-1, n)), shape.flatten(b)).reshape(rest)


# -- fft


def _in_one(name: str) -> Any:
    function = getattr(fft, name)

    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        return store(out, function(_widened(name, a), n=n, axis=axis, norm=norm or "backward"), name)

    return transform


def _in_many(name: str, axes_: Any) -> Any:
    function = getattr(fft, name)

    def transform(a: Any, s: Any = None, axes: Any = axes_, norm: Any = None, out: Any = None) -> Any:
        return store(out, function(_widened(name, a), s=s, axes=axes, norm=norm or "backward"), name)

    return transform


def _widened(name: str, a: Any) -> Tensor:
    """Integers as floats; what a complex transform is given may be real."""
    x = operand(a)
    return x if x.dtype.kind in "fc" else ew.astype(x, np.float64)


for _name in "fft ifft rfft irfft hfft ihfft".split():
    implements(getattr(np.fft, _name))(_in_one(_name))
for _name in "fftn ifftn rfftn irfftn".split():
    implements(getattr(np.fft, _name))(_in_many(_name, None))
for _name in "fft2 ifft2 rfft2 irfft2".split():
    implements(getattr(np.fft, _name))(_in_many(_name, (-2, -1)))

implements(np.fft.fftshift)(lambda x, axes=None: fft.fftshift(x, axes=axes))
implements(np.fft.ifftshift)(lambda x, axes=None: fft.ifftshift(x, axes=axes))
