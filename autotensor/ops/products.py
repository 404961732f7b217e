"""Products of matrices and vectors: matmul, vecdot, outer, cross, kron, multi_dot.

Matrices are the last two axes; all axes before them are batches, which broadcast. Factors may be complex: products
are holomorphic, so their gradients are those of real numbers, with the real part taken where a factor is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval, Dim, Operand, Shape, broadcast_shapes, normalize_axis, result_dtype, shape_of
from autotensor.core.op import defop, either
from autotensor.core.tensor import Tensor, as_tensor
from autotensor.errors import ShapeError
from autotensor.kernels import product
from autotensor.ops.creation import operand, operands
from autotensor.ops.elementwise import multiply, subtract
from autotensor.ops.like import reshape_like, reshape_to, unbroadcast
from autotensor.ops.reduce import conjugate
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import concat, expand_dims, matrix_transpose, permute_dims, permute_dims_op, reshape, squeeze
from autotensor.ops.shape import text as _text

__all__ = ["cross", "kron", "matmul", "multi_dot", "outer", "vecdot"]


def differ(a: Dim, b: Dim) -> bool:
    """True when two dimensions are known and not equal."""
    return a is not None and b is not None and a != b


def typed(g: Tensor, x: Tensor) -> Tensor:
    """A gradient of the shape of x in its dtype: the real part where x is real and g is not."""
    return g if g.dtype == x.dtype else unbroadcast(g, x)


# -- products


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ShapeError(f"[matmul] operands need at least one axis; got {_text(a)} @ {_text(b)}. Use multiply()?")
    inner = b[0] if len(b) == 1 else b[-2]
    if differ(a[-1], inner):
        raise ShapeError(f"[matmul] inner dimensions differ: {_text(a)} @ {_text(b)}. Transpose the second?")
    batch = broadcast_shapes("matmul", a[:-2], b[:-2])
    return batch + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def _infer_matmul(x: Operand, y: Operand) -> Aval:
    return Aval(_matmul_shape(shape_of(x), shape_of(y)), result_dtype(x, y))


def _matmul_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    x, y = arrays
    return product.bind(outs[0], x, y, scratch) if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) else None


def matmul_impl(x: Any, y: Any) -> Any:
    if type(x) is not np.ndarray or type(y) is not np.ndarray or x.ndim < 2 or y.ndim < 2:
        return np.matmul(x, y)
    if x.size * y.shape[-1] > product.THREADED and config.numba:
        shape: Any = _matmul_shape(x.shape, y.shape)
        out = np.empty(shape, np.result_type(x, y))
        bound = product.bind(out, x, y, np.empty)
        if bound is not None:
            bound[0](*bound[1])
            return out
    if x.ndim > 2 and y.ndim == 2 and x.flags.c_contiguous and x.shape[-1] == y.shape[0] and x.size:
        # NumPy multiplies one matrix of the batch after the other; as one tall matrix it is one call of BLAS.
        return np.matmul(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[-1])
    return np.matmul(x, y)


def _matmul_into(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous and x.size:
        np.matmul(x.reshape(-1, x.shape[-1]), y, out.reshape(-1, y.shape[-1]))
    else:
        np.matmul(x, y, out)


@defop("matmul", impl=matmul_impl, infer=_infer_matmul, into=_matmul_into, bind=_matmul_bind, vjp_takes_arrays=True)
def matmul(needs, g, out, x, y):
    """Matrix product of the last two axes by NumPy's rules: vectors are rows or columns, batches broadcast.

    (..., m, k) @ (..., k, n) -> (..., m, n); a vector operand loses its axis in the result.
    """
    gx = gy = None
    if x.ndim == 2 and y.ndim == 2:
        gx = typed(either(matmul, g, either(permute_dims_op, y, axes=(1, 0))), x) if needs[0] else None
        gy = typed(either(matmul, either(permute_dims_op, x, axes=(1, 0)), g), y) if needs[1] else None
        return gx, gy
    if x.ndim == 1 and y.ndim == 1:
        return typed(g * y, x) if needs[0] else None, typed(g * x, y) if needs[1] else None
    if x.ndim > 1 and y.ndim > 2:
        gx = unbroadcast(either(matmul, g, _swapped(y)), x) if needs[0] else None
        gy = unbroadcast(either(matmul, _swapped(x), g), y) if needs[1] else None
        return gx, gy
    g, x, y = as_tensor(g), as_tensor(x), as_tensor(y)
    # Vectors become matrices with one row or column, and g gets the axis they had lost.
    x2 = expand_dims(x, 0) if x.ndim == 1 else x
    y2 = expand_dims(y, 1) if y.ndim == 1 else y
    if x.ndim == 1:
        g = expand_dims(g, -2)
    if y.ndim == 1:
        g = expand_dims(g, -1)
    if needs[0]:
        gx = unbroadcast(matmul(g, matrix_transpose(y2)), x2)
        gx = reshape_like(gx, x) if x.ndim == 1 else gx
    if needs[1]:
        k, n = x2.shape[-1], g.shape[-1]
        if y2.ndim == 2 and k and n:
            # one product over all batches instead of a batch of products and their sum
            gy = typed(matmul(permute_dims(reshape(x2, (-1, k)), (1, 0)), reshape(g, (-1, n))), y2)
        else:
            gy = unbroadcast(matmul(matrix_transpose(x2), g), y2)
        gy = reshape_like(gy, y) if y.ndim == 1 else gy
    return gx, gy


def _swapped(x: Any) -> Any:
    n = x.ndim
    return either(permute_dims_op, x, axes=(*range(n - 2), n - 1, n - 2))


def vecdot(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Sum of products along one axis, which both operands have; the other axes broadcast.

    Of complex operands the first is conjugated, as the array API standard says. ``axis`` counts from the end.

    Raises ShapeError where the axes differ or there are none.
    """
    x, y = operand(x), operand(y)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"[vecdot] operands need an axis; got {_text(x.shape)} and {_text(y.shape)}. Use multiply()?")
    a, b = (normalize_axis("vecdot", axis, t.ndim) - t.ndim for t in (x, y))
    if a != b:  # a positive axis of operands with different ranks
        raise ShapeError(
            f"[vecdot] axis {axis} is another one from the end in {_text(x.shape)} and {_text(y.shape)}. "
            "Use a negative axis."
        )
    if differ(x.shape[a], y.shape[b]):
        raise ShapeError(
            f"[vecdot] axis {axis} has {x.shape[a]} and {y.shape[b]} elements, in {_text(x.shape)} and "
            f"{_text(y.shape)}. It must not broadcast; take the same axis of both?"
        )
    return sum_(multiply(conjugate(x), y), axis=a, dtype=result_dtype(x.aval, y.aval))


def outer(x: Any, y: Any) -> Tensor:
    """All products of an element of x with an element of y: (m,), (n,) -> (m, n). Other ranks: flattened."""
    x, y = operand(x), operand(y)
    x = x if x.ndim == 1 else reshape(x, (-1,))
    y = y if y.ndim == 1 else reshape(y, (-1,))
    return multiply(expand_dims(x, 1), expand_dims(y, 0))


def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Cross product of 3-vectors along ``axis``; the other axes broadcast. Raises ShapeError for another size."""
    x, y = operand(x), operand(y)
    for t in (x, y):
        if not t.ndim or differ(t.shape[normalize_axis("cross", axis, t.ndim)], 3):
            raise ShapeError(
                f"[cross] expected 3 elements along axis {axis}; got {_text(x.shape)} and {_text(y.shape)}. "
                "Pad vectors of 2 elements with a zero?"
            )
    return subtract(
        multiply(_rolled(x, 1, axis), _rolled(y, 2, axis)), multiply(_rolled(x, 2, axis), _rolled(y, 1, axis))
    )


def kron(x: Any, y: Any) -> Tensor:
    """Kronecker product: each element of x times all of y. The shorter shape is filled with ones in front.

    (m, n), (p, q) -> (m p, n q).

        >>> import autotensor as at
        >>> at.kron([1, 10], [1, 2])
        Tensor([ 1,  2, 10, 20], dtype=int64)
    """
    x, y = operand(x), operand(y)
    n = max(x.ndim, y.ndim)
    if n == 0:
        return multiply(x, y)
    x, y = (expand_dims(t, tuple(range(n - t.ndim))) if t.ndim < n else t for t in (x, y))
    pairs = multiply(expand_dims(x, tuple(range(1, 2 * n, 2))), expand_dims(y, tuple(range(0, 2 * n, 2))))
    for k in range(n):  # axes 2k and 2k + 1 become one; of unknown sizes only one can be computed at a time
        before, after = range(k), range(k + 2, pairs.ndim)
        refs = tuple([(0, a) for a in before]), tuple([(0, a) for a in after])
        if None not in pairs.shape:
            dims = tuple([pairs.shape[a] for _, a in refs[0]]), tuple([pairs.shape[a] for _, a in refs[1]])
            pairs = reshape(pairs, (*dims[0], pairs.shape[k] * pairs.shape[k + 1], *dims[1]))
        else:
            pairs = reshape_to(pairs, pairs, dims=(*refs[0], -1, *refs[1]))
    return pairs


def multi_dot(xs: Sequence[Any]) -> Tensor:
    """Product of two or more matrices in the order that takes the fewest multiplications; the ends may be vectors.

    The order is found by dynamic programming (T. Cormen et al., "Introduction to Algorithms", 15.2). Where sizes are
    unknown the product is taken from left to right.

    Raises ShapeError for fewer than two factors, and for batches.
    """
    tensors = operands("multi_dot", xs)
    if len(tensors) < 2:
        raise ShapeError(f"[multi_dot] expected at least two matrices; got {len(tensors)}. Give them as one list.")
    for k, x in enumerate(tensors):
        if x.ndim != 2 and not (x.ndim == 1 and k in (0, len(tensors) - 1)):
            raise ShapeError(
                f"[multi_dot] expected matrices, or vectors at the ends; operand {k} has shape {_text(x.shape)}. "
                "Use matmul() for batches."
            )
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if first:
        tensors[0] = expand_dims(tensors[0], 0)
    if last:
        tensors[-1] = expand_dims(tensors[-1], 1)
    sizes = [x.shape[0] for x in tensors] + [tensors[-1].shape[1]]
    if None in sizes:
        out = tensors[0]
        for x in tensors[1:]:
            out = matmul(out, x)
    else:
        out = _in_best_order(tensors, sizes)
    dropped = tuple([axis for axis, drop in ((0, first), (1, last)) if drop])
    return squeeze(out, axis=dropped) if dropped else out


def _in_best_order(tensors: list[Tensor], sizes: list[Any]) -> Tensor:
    n = len(tensors)
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], cut[i][j] = min(
                [(cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            )

    def joined(i: int, j: int) -> Tensor:
        if i == j:
            return tensors[i]
        return matmul(joined(i, cut[i][j]), joined(cut[i][j] + 1, j))

    return joined(0, n - 1)


def _rolled(x: Tensor, by: int, axis: int) -> Tensor:
    key = (slice(None),) * (axis % x.ndim)
    return concat([x[key + (slice(by, None),)], x[key + (slice(None, by),)]], axis=axis)
