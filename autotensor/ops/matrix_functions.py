"""Functions of matrices as ``scipy.linalg`` has them: expm, sqrtm, Sylvester's equation, systems of known form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, result_dtype, shape_of, wholes
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops import elementwise as ew
from autotensor.ops import index, linalg, shape
from autotensor.ops.creation import operand

__all__ = ["block_diag", "expm", "solve_banded", "solve_sylvester", "solve_triangular", "sqrtm"]


def _t(x: Tensor) -> Tensor:
    return shape.matrix_transpose(x)


def _square(name: str, x: Operand) -> Aval:
    sizes = shape_of(x)
    if len(sizes) != 2 or (sizes[0] != sizes[1] and None not in sizes):
        raise ShapeError(f"[{name}] expected a square matrix; got shape {shape.text(sizes)}.")
    dtype = result_dtype(x)
    return Aval((sizes[0], sizes[0]), dtype if dtype.kind in "fc" else np.float64)


def _wide(x: np.ndarray) -> np.ndarray:
    """Matrix functions are computed in double precision."""
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _narrow(out: np.ndarray, *xs: np.ndarray) -> np.ndarray:
    dtype = np.result_type(*xs)
    return out.astype(dtype if dtype.kind in "fc" else np.float64, copy=False)


# -- Sylvester's equation


def _sylvester_impl(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    # In the basis of eigenvectors the equation falls apart, but these may be dependent; the Kronecker form is safe.
    n, m = len(a), len(b)
    system = np.kron(_wide(a), np.eye(m)) + np.kron(np.eye(n), _wide(b).T)
    return _narrow(np.linalg.solve(system, _wide(q).reshape(-1)).reshape(n, m), a, b, q)


def _infer_sylvester(a: Operand, b: Operand, q: Operand) -> Aval:
    _square("solve_sylvester", a)
    _square("solve_sylvester", b)
    sizes = shape_of(q)
    want = (shape_of(a)[0], shape_of(b)[0])
    if len(sizes) != 2 or any([x != y and None not in (x, y) for x, y in zip(sizes, want)]):
        raise ShapeError(f"[solve_sylvester] expected q of shape {shape.text(want)}; got {shape.text(sizes)}.")
    dtype = result_dtype(a, b, q)
    return Aval([x if x is not None else y for x, y in zip(sizes, want)], dtype if dtype.kind in "fc" else np.float64)


@defop("solve_sylvester", impl=_sylvester_impl, infer=_infer_sylvester)
def solve_sylvester(needs, g, out, a, b, q):
    """The X for which a X + X b = q, for square a and b."""
    gq = solve_sylvester(_t(a), _t(b), g)
    ga = -linalg.matmul(gq, _t(out)) if needs[0] else None
    return ga, -linalg.matmul(_t(out), gq) if needs[1] else None, gq if needs[2] else None


# -- square root and exponential


def _sqrtm_impl(x: np.ndarray) -> np.ndarray:
    # N. J. Higham, Functions of Matrices (2008), section 6.3: the product form of the Denman-Beavers iteration.
    y = _wide(x)
    if not y.size:
        return _narrow(y, x)
    eigenvalues = np.linalg.eigvals(y)
    if y.dtype.kind == "f" and (eigenvalues.real[np.abs(eigenvalues.imag) < 1e-14] < 0).any():
        return np.full_like(y, np.nan)  # no real root
    identity = np.eye(len(y))
    m = y
    for _ in range(60):
        inverse = np.linalg.inv(m)
        scale = abs(np.linalg.det(m)) ** (-1 / (2 * len(m))) if np.abs(m - identity).max() > 0.1 else 1.0
        y = 0.5 * scale * y @ (identity + inverse / scale**2)
        m = 0.5 * (identity + 0.5 * (scale**2 * m + inverse / scale**2))
        if np.abs(m - identity).max() < 1e-15 * len(m):
            break
    y = y - 0.5 * _sylvester_impl(y, y, 2 * (y @ y - _wide(x)))  # one step of Newton, for the last digits
    return _narrow(y, x)


@defop("sqrtm", impl=_sqrtm_impl, infer=lambda x: _square("sqrtm", x))
def sqrtm(needs, g, out, x):
    """The principal square root of a square matrix: X X = x. NaN where a real matrix has no real root."""
    return (solve_sylvester(_t(out), _t(out), g),)


# Pade approximant [13/13] of exp: N. J. Higham, The scaling and squaring method for the matrix exponential revisited,
# SIAM J. Matrix Anal. Appl. 26 (2005), 1179-1193. c_k = (26 - k)! 13! / (26! k! (13 - k)!)
_COEFFICIENTS = [
    math.factorial(26 - k) * math.factorial(13) / (math.factorial(26) * math.factorial(k) * math.factorial(13 - k))
    for k in range(14)
]


def _expm_impl(x: np.ndarray) -> np.ndarray:
    a = _wide(x)
    if not a.size:
        return _narrow(a, x)
    size = np.abs(a).sum(axis=0).max()
    if not np.isfinite(size):
        return _narrow(np.full_like(a, np.nan), x)
    halvings = max(0, math.ceil(math.log2(size / 5.37))) if size > 0 else 0
    a = a / 2.0**halvings
    power = np.eye(len(a), dtype=a.dtype)
    even, odd = np.zeros_like(a), np.zeros_like(a)
    for k, c in enumerate(_COEFFICIENTS):
        if k % 2:
            odd = odd + c * power
        else:
            even = even + c * power
        power = power @ a
    out = np.linalg.solve(even - odd, even + odd)
    for _ in range(halvings):
        out = out @ out
    return _narrow(out, x)


@defop("expm", impl=_expm_impl, infer=lambda x: _square("expm", x))
def expm(needs, g, out, x):
    """Exponential of a square matrix, by scaling and squaring (Higham 2005)."""
    return (expm_slope(_t(x), g),)


def _slope_impl(x: np.ndarray, *directions: np.ndarray) -> np.ndarray:
    n = len(x)
    whole = _wide(x)
    for k, e in enumerate(directions):
        above = np.kron(np.eye(2**k), _wide(e))
        whole = np.block([[whole, above], [np.zeros_like(whole), whole]])
    return _narrow(_expm_impl(whole)[:n, -n:] if n else _wide(x), x, *directions)


def _infer_slope(x: Operand, *directions: Operand) -> Aval:
    avals = [_square("expm", y) for y in (x, *directions)]
    known = [n for y in avals for n in y.shape if n is not None]
    n = known[0] if known else None
    return Aval((n, n), np.result_type(*[y.dtype for y in avals]))


@defop("expm_slope", impl=_slope_impl, infer=_infer_slope)
def expm_slope(needs, g, out, x, *directions):
    """Derivative of expm at x in one or several directions: the last block of the exponential of a block matrix.

    For one direction e the matrix is [[x, e], [0, x]]; for each further one it is doubled in the same way
    (Higham 2008, section 10.6). Linear in each direction and symmetric in them.
    """
    turned = [_t(e) for e in directions]
    grads = [expm_slope(_t(x), *turned, g) if needs[0] else None]
    for i in range(len(directions)):
        rest = turned[:i] + turned[i + 1 :]
        grads.append(expm_slope(_t(x), *rest, g) if needs[i + 1] else None)
    return tuple(grads)


# -- linear systems of known form


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Tensor:
    """Solution of a x = b for a triangular a; only that triangle is read, and gets gradients.

    ``trans``: 0 or "N"; 1 or "T" for the transposed, 2 or "C" for the conjugate transposed system.

    Raises ValueError for another ``trans``.
    """
    a, b = operand(a), operand(b)
    half = shape.tril(a, k=-1 if unit_diagonal else 0) if lower else shape.triu(a, k=1 if unit_diagonal else 0)
    if unit_diagonal:
        half = half + np.eye(a.shape[-1] or 0, dtype=a.dtype)
    if trans in (1, "T"):
        half = _t(half)
    elif trans in (2, "C"):
        half = _t(ew.conj(half) if half.dtype.kind == "c" else half)
    elif trans not in (0, "N"):
        raise ValueError(f"[solve_triangular] expected trans 0, 1, 2, 'N', 'T' or 'C'; got {trans!r}.")
    return linalg.solve(half, b)


def solve_banded(l_and_u: Any, ab: Any, b: Any) -> Tensor:
    """Solution of a x = b for a banded a, whose diagonals are the rows of ``ab``: ab[u + i - j, j] = a[i, j].

    Raises ShapeError for another number of diagonals.
    """
    counts = wholes("solve_banded", "l_and_u", l_and_u)
    if len(counts) != 2:
        raise ShapeError(f"[solve_banded] l_and_u must be two numbers of diagonals, below and above; got {counts}.")
    below, above = counts
    ab, b = operand(ab), operand(b)
    n = ab.shape[1]
    if n is None or ab.shape[0] != below + above + 1:
        raise ShapeError(f"[solve_banded] expected {below + above + 1} diagonals; got shape {shape.text(ab.shape)}.")
    i, j = np.indices((n, n))
    row = above + i - j
    held = (row >= 0) & (row <= below + above)
    a = index.index_update(operand(np.zeros((n, n), ab.dtype)), ab[row[held], j[held]], held)
    return linalg.solve(a, b)


def block_diag(*blocks: Any) -> Tensor:
    """Matrices along the diagonal of one, zeros elsewhere."""
    made = [operand(x) for x in blocks]
    made = [x.reshape((1, -1)) if x.ndim < 2 else x for x in made]
    width = sum([x.shape[1] or 0 for x in made])
    rows, start = [], 0
    for x in made:
        m = x.shape[1] or 0
        rows.append(shape.pad(x, ((0, 0), (start, width - start - m))))
        start += m
    return shape.concat(rows, axis=0)
