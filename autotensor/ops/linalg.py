"""Linear algebra: products, contractions, solving, factorisations, norms of vectors and matrices.

Matrices are the last two axes; all axes before them are batches, which broadcast in products. Integers are
factorised in float64, float16 in float32 (and given back as float16).

Gradient rules: M. B. Giles, "An extended collection of matrix derivative results" (2008); I. Murray,
"Differentiation of the Cholesky decomposition" (2016); G. Golub and V. Pereyra (1973) for the pseudo-inverse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.aval import (
    Aval,
    Dim,
    Operand,
    Shape,
    broadcast_shapes,
    float_dtype,
    normalize_axis,
    result_dtype,
    shape_of,
)
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, GradError, ShapeError
from autotensor.kernels import product
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import abs as abs_
from autotensor.ops.elementwise import divide, equal, multiply, negative, not_equal, subtract, where
from autotensor.ops.like import fill_like, ones_like, reshape_like, unbroadcast
from autotensor.ops.reduce import max as max_
from autotensor.ops.reduce import min as min_
from autotensor.ops.reduce import norm
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import concat, expand_dims, matrix_transpose, permute_dims, reshape, squeeze
from autotensor.ops.shape import diagonal as numpy_diagonal
from autotensor.ops.shape import text as _text


def _differ(a: Dim, b: Dim) -> bool:
    """True when two dimensions are known and not equal."""
    return a is not None and b is not None and a != b


# At top level `diagonal`, `trace` and `matrix_transpose` are those of ops.shape.
__all__ = [
    "cholesky", "cross", "det", "diag_embed", "dot", "eigh", "eigvalsh", "einsum", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot",
    "vecdot", "vector_norm",
]  # fmt: skip

# -- products


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ShapeError(f"[matmul] operands need at least one axis; got {_text(a)} @ {_text(b)}. Use multiply()?")
    inner = b[0] if len(b) == 1 else b[-2]
    if _differ(a[-1], inner):
        raise ShapeError(f"[matmul] inner dimensions differ: {_text(a)} @ {_text(b)}. Transpose the second?")
    batch = broadcast_shapes("matmul", a[:-2], b[:-2])
    return batch + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def _infer_matmul(x: Operand, y: Operand) -> Aval:
    return Aval(_matmul_shape(shape_of(x), shape_of(y)), result_dtype(x, y))


def _matmul_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    x, y = arrays
    return product.bind(outs[0], x, y, scratch) if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) else None


def _matmul_impl(x: Any, y: Any) -> Any:
    if config.numba and np.ndim(y) > 1 and np.ndim(x) > 1 and product.work(x, y) >= product.THREADED:
        shape: Any = _matmul_shape(x.shape, y.shape)
        out = np.empty(shape, np.result_type(x, y))
        bound = product.bind(out, x, y, np.empty)
        if bound is not None:
            bound[0](*bound[1])
            return out
    if np.ndim(x) > 2 and np.ndim(y) == 2 and x.flags.c_contiguous and x.shape[-1] == y.shape[0] and x.size:
        # NumPy multiplies one matrix of the batch after the other; as one tall matrix it is one call of BLAS.
        return np.matmul(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[-1])
    return np.matmul(x, y)


def _matmul_into(out: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous and x.size:
        np.matmul(x.reshape(-1, x.shape[-1]), y, out.reshape(-1, y.shape[-1]))
    else:
        np.matmul(x, y, out)


@defop("matmul", impl=_matmul_impl, infer=_infer_matmul, into=_matmul_into, bind=_matmul_bind)
def matmul(needs, g, out, x, y):
    """Matrix product of the last two axes by NumPy's rules: vectors are rows or columns, batches broadcast.

    (..., m, k) @ (..., k, n) -> (..., m, n); a vector operand loses its axis in the result.
    """
    gx = gy = None
    if x.ndim == 2 and y.ndim == 2:
        gx = matmul(g, permute_dims(y, (1, 0))) if needs[0] else None
        gy = matmul(permute_dims(x, (1, 0)), g) if needs[1] else None
        return gx, gy
    if x.ndim == 1 and y.ndim == 1:
        return g * y if needs[0] else None, g * x if needs[1] else None
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
            gy = matmul(permute_dims(reshape(x2, (-1, k)), (1, 0)), reshape(g, (-1, n)))
        else:
            gy = unbroadcast(matmul(matrix_transpose(x2), g), y2)
        gy = reshape_like(gy, y) if y.ndim == 1 else gy
    return gx, gy


def dot(x: Any, y: Any) -> Tensor:
    """NumPy's dot: the last axis of x with the last but one of y (the only one of a vector); scalars multiply.

    (..., k) . (..., k, n) -> (all of x but k, all of y but k). Batches do not pair up as in ``matmul``.
    """
    x, y = operand(x), operand(y)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    if _differ(x.shape[-1], y.shape[0] if y.ndim == 1 else y.shape[-2]):
        raise ShapeError(f"[dot] inner dimensions differ: {_text(x.shape)} . {_text(y.shape)}. Transpose the second?")
    if y.ndim <= 2:
        return matmul(x, y)
    return tensordot(x, y, axes=((-1,), (-2,)))


def vecdot(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Sum of products along one axis, which both operands have; the other axes broadcast."""
    x, y = operand(x), operand(y)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"[vecdot] operands need an axis; got {_text(x.shape)} and {_text(y.shape)}. Use multiply()?")
    a, b = (normalize_axis("vecdot", axis, t.ndim) - t.ndim for t in (x, y))
    if a != b:  # a positive axis of operands with different ranks
        raise ShapeError(
            f"[vecdot] axis {axis} is another one from the end in {_text(x.shape)} and {_text(y.shape)}. "
            "Use a negative axis."
        )
    if _differ(x.shape[a], y.shape[b]):
        raise ShapeError(
            f"[vecdot] axis {axis} has {x.shape[a]} and {y.shape[b]} elements, in {_text(x.shape)} and "
            f"{_text(y.shape)}. It must not broadcast; take the same axis of both?"
        )
    return sum_(multiply(x, y), axis=a)


def outer(x: Any, y: Any) -> Tensor:
    """All products of an element of x with an element of y: (m,), (n,) -> (m, n). Other ranks: flattened."""
    x, y = operand(x), operand(y)
    x = x if x.ndim == 1 else reshape(x, (-1,))
    y = y if y.ndim == 1 else reshape(y, (-1,))
    return multiply(expand_dims(x, 1), expand_dims(y, 0))


def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Cross product of 3-vectors along ``axis``; the other axes broadcast."""
    x, y = operand(x), operand(y)
    for t in (x, y):
        if not t.ndim or _differ(t.shape[normalize_axis("cross", axis, t.ndim)], 3):
            raise ShapeError(
                f"[cross] expected 3 elements along axis {axis}; got {_text(x.shape)} and {_text(y.shape)}. "
                "Pad vectors of 2 elements with a zero?"
            )
    return subtract(
        multiply(_rolled(x, 1, axis), _rolled(y, 2, axis)), multiply(_rolled(x, 2, axis), _rolled(y, 1, axis))
    )


def _rolled(x: Tensor, by: int, axis: int) -> Tensor:
    key = (slice(None),) * (axis % x.ndim)
    return concat([x[key + (slice(by, None),)], x[key + (slice(None, by),)]], axis=axis)


# -- contractions


def tensordot(x: Any, y: Any, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum of products over pairs of axes.

    axes: a number n pairs the last n axes of x with the first n of y; or two sequences of axes (or two
        numbers), paired in order.
    """
    x, y = operand(x), operand(y)
    if isinstance(axes, (int, np.integer)):
        n = int(axes)
        if not 0 <= n <= min(x.ndim, y.ndim):
            raise ShapeError(
                f"[tensordot] cannot pair {n} axes of {_text(x.shape)} and {_text(y.shape)}. "
                f"Use 0 to {min(x.ndim, y.ndim)}, or pairs of axes."
            )
        xs, ys = list(range(x.ndim - n, x.ndim)), list(range(n))
    else:
        first, second = axes
        xs, ys = (
            [normalize_axis("tensordot", int(a), t.ndim) for a in ([s] if isinstance(s, (int, np.integer)) else s)]
            for t, s in ((x, first), (y, second))
        )
        if len(xs) != len(ys) or len(set(xs)) != len(xs) or len(set(ys)) != len(ys):
            raise ShapeError(
                f"[tensordot] axes come in pairs, each named once; got {axes}. Give two equally long sequences."
            )
    for a, b in zip(xs, ys):
        if _differ(x.shape[a], y.shape[b]):
            raise ShapeError(
                f"[tensordot] paired axes differ: {a} of {_text(x.shape)} and {b} of {_text(y.shape)}. "
                "Check their order."
            )
    labels_x = list(range(x.ndim))
    labels_y = [x.ndim + k for k in range(y.ndim)]
    for a, b in zip(xs, ys):
        labels_y[b] = a
    out = [k for k in labels_x if k not in xs] + [k for k in labels_y if k >= x.ndim]
    return _einsum([x, y], [labels_x, labels_y], out)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Einstein summation, ``einsum("bij,bjk->bik", x, y)``.

    Without ``->`` the result has the letters that occur once, in alphabetical order. ``...`` stands for any
    number of axes, which broadcast. A letter twice in one operand takes its diagonal.
    """
    tensors = [operand(x) for x in operands]
    labels, out = _parse(subscripts, tensors)
    return _einsum(tensors, labels, out)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parse(subscripts: str, tensors: Sequence[Tensor]) -> tuple[list[list[int]], list[int]]:
    """Axes of each operand and of the result as numbers; the axes of ``...`` are the negative ones."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ShapeError(
            f"[einsum] {subscripts!r} names {len(terms)} operands; got {len(tensors)}. Separate them by commas."
        )

    def split(term: str, ndim: int | None) -> list[int]:
        before, dots, after = term.partition("...")
        letters = before + after
        bad = [c for c in letters if c not in _LETTERS]
        if bad:
            raise ShapeError(
                f"[einsum] {subscripts!r} has {bad[0]!r} where a letter is expected. "
                "Use letters, commas, '...' and '->'."
            )
        extra = widest if ndim is None else ndim - len(letters)
        if extra < 0 or (ndim is not None and extra and not dots):
            raise ShapeError(
                f"[einsum] {term!r} in {subscripts!r} names {len(letters)} axes of an operand of rank {ndim}. "
                "One letter per axis; '...' stands for the rest."
            )
        middle = list(range(-extra, 0)) if dots else []
        return [_LETTERS.index(c) for c in before] + middle + [_LETTERS.index(c) for c in after]

    widest = 0
    labels = [split(term, x.ndim) for term, x in zip(terms, tensors)]
    widest = max([sum(k < 0 for k in term) for term in labels], default=0)
    if arrow:
        out = split(right, None)
        seen = {k for term in labels for k in term}
        # NumPy lets "..." of the operands be missing on the right and sums it
        if len(set(out)) != len(out) or not set(out) <= seen:
            raise ShapeError(
                f"[einsum] each letter of the result is there once, and in an operand; got {subscripts!r}. "
                "Remove the doubled or unknown letter."
            )
        return labels, out
    counts: dict[int, int] = {}
    for term in labels:
        for k in term:
            counts[k] = counts.get(k, 0) + 1
    once = [k for k in counts if k >= 0 and counts[k] == 1]
    return labels, list(range(-widest, 0)) + sorted(once, key=lambda k: _LETTERS[k])


def _einsum(tensors: Sequence[Tensor], labels: Sequence[Sequence[int]], out: Sequence[int]) -> Tensor:
    """Contract. The op itself sees no operand with a label twice, or with one of its own to sum over."""
    terms = []
    for x, own in zip(tensors, labels):
        own = list(own)
        while len(set(own)) < len(own):
            first = next(k for k in own if own.count(k) > 1)
            i = own.index(first)
            j = own.index(first, i + 1)
            if _differ(x.shape[i], x.shape[j]):
                raise ShapeError(
                    f"[einsum] axes {i} and {j} of {_text(x.shape)} have the same letter and differ. "
                    "A diagonal needs equal dimensions."
                )
            x = numpy_diagonal(x, axis1=i, axis2=j)
            own = [k for n, k in enumerate(own) if n not in (i, j)] + [first]
        terms.append((x, own))
    for n, (x, own) in enumerate(terms):
        elsewhere = set(out).union(*[set(other) for m, (_, other) in enumerate(terms) if m != n])
        alone = tuple(i for i, k in enumerate(own) if k not in elsewhere)
        if alone:
            terms[n] = sum_(x, axis=alone, dtype=x.dtype), [k for k in own if k in elsewhere]
    if len(terms) == 1:
        x, own = terms[0]
        axes = tuple(own.index(k) for k in out)
        return x if axes == tuple(range(x.ndim)) else permute_dims(x, axes)
    names = {k: _LETTERS[i] for i, k in enumerate(dict.fromkeys(k for _, own in terms for k in own))}
    spelled = ["".join(names[k] for k in own) for _, own in terms]
    result = "".join(names[k] for k in out)
    (x, a), (y, b) = terms[0], terms[1]
    equal_sizes = not any(_differ(x.shape[a.index(k)], y.shape[b.index(k)]) for k in a if k in b)
    if len(terms) == 2 and equal_sizes and (*spelled, result) in _PLAIN:
        return matmul(x, y)
    return einsum_op(*[x for x, _ in terms], subscripts=",".join(spelled) + "->" + result)


# Spellings (letters in order of appearance) that are a plain matrix product, which the compiler knows best.
_PLAIN = {
    ("ab", "bc", "ac"), ("ab", "b", "a"), ("a", "ab", "b"), ("a", "a", ""), ("abc", "cd", "abd"),
    ("abcd", "de", "abce"), ("abc", "acd", "abd"), ("abcd", "abde", "abce"),
}  # fmt: skip


def _infer_einsum(*operands: Operand, subscripts: str) -> Aval:
    left, _, out = subscripts.partition("->")
    sizes: dict[str, Dim] = {}
    for term, x in zip(left.split(","), operands):
        for k, dim in zip(term, shape_of(x)):
            old = sizes.get(k, 1)
            if old == 1 or (old is None and dim != 1):
                sizes[k] = dim
            elif _differ(old, dim) and dim != 1:
                shapes = ", ".join(_text(shape_of(t)) for t in operands)
                raise ShapeError(
                    f"[einsum] letter {k!r} of {subscripts!r} is {old} and {dim} in operands {shapes}. "
                    "Axes with the same letter must be equal."
                )
    return Aval([sizes[k] for k in out], result_dtype(*operands))


def _contract(x: np.ndarray, a: str, y: np.ndarray, b: str, keep: set[str]) -> tuple[np.ndarray, str]:
    """Product of two arrays with labelled axes, summed over labels outside ``keep``, through one matmul."""
    for k in sorted(set(a) & set(b)):
        # broadcasting: an axis of 1 against more is dropped, the partner carries the label alone
        if x.shape[a.index(k)] != y.shape[b.index(k)]:
            if x.shape[a.index(k)] == 1:
                x, a = x.squeeze(a.index(k)), a.replace(k, "")
            elif y.shape[b.index(k)] == 1:
                y, b = y.squeeze(b.index(k)), b.replace(k, "")
    for k in [k for k in a if k not in b and k not in keep]:
        x, a = x.sum(a.index(k), dtype=x.dtype), a.replace(k, "")
    for k in [k for k in b if k not in a and k not in keep]:
        y, b = y.sum(b.index(k), dtype=y.dtype), b.replace(k, "")
    batch = [k for k in a if k in b and k in keep]
    summed = [k for k in a if k in b and k not in keep]
    rows = [k for k in a if k not in b]
    cols = [k for k in b if k not in a]
    size = {**dict(zip(a, x.shape)), **dict(zip(b, y.shape))}

    def count(ks: list[str]) -> int:
        return int(np.prod([size[k] for k in ks], dtype=np.int64))

    nb, nr, ns, nc = count(batch), count(rows), count(summed), count(cols)
    x = x.transpose([a.index(k) for k in batch + rows + summed]).reshape(nb, nr, ns)
    y = y.transpose([b.index(k) for k in batch + summed + cols]).reshape(nb, ns, nc)
    z = _matmul_impl(x, y) if nb != 1 else _matmul_impl(x[0], y[0])
    labels = batch + rows + cols
    return z.reshape([size[k] for k in labels]), "".join(labels)


def _einsum_impl(*arrays: Any, subscripts: str) -> np.ndarray:
    left, _, out = subscripts.partition("->")
    terms = left.split(",")
    if any(np.ndim(x) != len(t) for x, t in zip(arrays, terms)):
        raise ValueError("operands do not have one axis per letter")
    _infer_einsum(*[Aval(np.shape(x), x.dtype) for x in arrays], subscripts=subscripts)
    z, labels = arrays[0], terms[0]
    for i in range(1, len(arrays)):
        keep = set(out).union(*terms[i + 1 :])
        z, labels = _contract(z, labels, arrays[i], terms[i], keep)
    for k in [k for k in labels if k not in out]:
        z, labels = z.sum(labels.index(k), dtype=z.dtype), labels.replace(k, "")
    z = z.transpose([labels.index(k) for k in out])
    return np.ascontiguousarray(z).reshape(z.shape).astype(np.result_type(*arrays), copy=False)


@defop("einsum", impl=_einsum_impl, infer=_infer_einsum)
def einsum_op(needs, g, out, *operands, subscripts):
    """Sum of products by labelled axes; no label twice in an operand, none that only one operand has."""
    left, _, result = subscripts.partition("->")
    terms = left.split(",")
    grads: list[Any] = []
    for i, (x, own) in enumerate(zip(operands, terms)):
        if not needs[i]:
            grads.append(None)
            continue
        others = [operands[m] for m in range(len(operands)) if m != i]
        labels = [[ord(k) for k in t] for t in [result] + [t for m, t in enumerate(terms) if m != i]]
        gx = _einsum([g, *others], labels, [ord(k) for k in own])
        known = None not in x.shape and None not in gx.shape
        if gx.shape != x.shape and (known or not set(own) <= set(result)):
            # an axis may be 1 here and longer in x, when x was summed against a broadcast axis
            gx = multiply(gx, ones_like(x))
        grads.append(unbroadcast(gx, x))
    return grads


# -- diagonals


def _need_matrix(op: str, x: Operand) -> Aval:
    if not isinstance(x, Aval) or x.ndim < 2:
        shape = _text(shape_of(x))
        raise ShapeError(f"[{op}] expected a matrix (or a batch of them); got shape {shape}. Reshape it?")
    return x


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


@defop("lower_half", impl=_halve, infer=lambda x: _need_matrix("lower_half", x))
def lower_half(needs, g, out, x):
    """Lower triangle with half of the diagonal, zero above: the phi of the Cholesky gradient."""
    return (lower_half(g),)


# -- solving and factorising


def _square(op: str, x: Operand) -> Aval:
    x = _need_matrix(op, x)
    if _differ(x.shape[-2], x.shape[-1]):
        raise ShapeError(f"[{op}] expected square matrices; got shape {_text(x.shape)}. Use pinv() or svd()?")
    n = x.shape[-1] if x.shape[-2] is None else x.shape[-2]
    return Aval(x.shape[:-2] + (n, n), float_dtype(x))


def _linalg_dtype(x: np.ndarray) -> np.dtype:
    """The dtype LAPACK works in."""
    return np.dtype(np.float32) if x.dtype in (np.float32, np.float16) else np.dtype(np.float64)


def _in_lapack(f: Callable[..., Any]) -> Callable[..., Any]:
    """Run f in a precision LAPACK has; results come back in the dtype of the shape rules."""

    def impl(*arrays: Any, **params: Any) -> Any:
        dtype = float_dtype(*[Aval((), x.dtype) for x in arrays])
        work = np.result_type(*[_linalg_dtype(x) for x in arrays])
        result = f(*[x if x.dtype == work else x.astype(work) for x in arrays], **params)
        if isinstance(result, tuple):
            return tuple([np.asarray(r).astype(dtype, copy=False) for r in result])
        return np.asarray(result).astype(dtype, copy=False)

    return impl


@defop("inv", impl=_in_lapack(np.linalg.inv), infer=lambda x: _square("inv", x))
def inv(needs, g, out, x):
    """Inverse of square matrices. Raises ``numpy.linalg.LinAlgError`` for a singular one."""
    t = matrix_transpose(out)
    return (negative(matmul(matmul(t, g), t)),)


def _infer_solve(a: Operand, b: Operand) -> Aval:
    a = _square("solve", a)
    shape = shape_of(b)
    if not shape:
        raise ShapeError("[solve] expected a vector or matrix on the right; got a scalar. Use divide()?")
    rows = shape[0] if len(shape) == 1 else shape[-2]
    if _differ(a.shape[-1], rows):
        raise ShapeError(
            f"[solve] {_text(a.shape)} needs {a.shape[-1]} rows on the right; got {_text(shape)}. Transpose it?"
        )
    if len(shape) == 1:
        return Aval(a.shape[:-1], float_dtype(a, b))
    batch = broadcast_shapes("solve", a.shape[:-2], shape[:-2])
    return Aval(batch + (a.shape[-1], shape[-1]), float_dtype(a, b))


def _solve_impl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # said so by NumPy 2; a stack of vectors must not be guessed from the ranks
    return np.linalg.solve(a, b[:, None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


@defop("solve", impl=_in_lapack(_solve_impl), infer=_infer_solve)
def solve(needs, g, out, a, b):
    """x with a @ x = b, for square a (..., n, n) and b (n,) or (..., n, k).

    Raises ``numpy.linalg.LinAlgError`` when a is singular.
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


@defop(
    "det",
    impl=_in_lapack(np.linalg.det),
    infer=lambda x: Aval(_square("det", x).shape[:-2], float_dtype(x)),
)
def det(needs, g, out, x):
    """Determinant of square matrices: (..., n, n) -> (...). Singular ones have a gradient, too."""
    return (_matrices(g) * cofactor(x),)


def _matrices(g: Tensor) -> Tensor:
    return expand_dims(expand_dims(g, -1), -1)


def _cofactor_impl(x: np.ndarray) -> np.ndarray:
    # det(x) inv(x)^T without the division: x = u s v gives det(u) det(v) u diag(products of the other s) v.
    u, s, v = np.linalg.svd(x)
    n = s.shape[-1]
    others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(n)], -1) if n else s
    sign = np.round(np.linalg.det(u) * np.linalg.det(v))
    return (sign[..., None, None] * u * others[..., None, :]) @ v


@defop(
    "cofactor",
    impl=_in_lapack(_cofactor_impl),
    infer=lambda x: _square("cofactor", x),
    fallback=lambda x: _matrices(det(x)) * matrix_transpose(inv(x)),
)
def cofactor(needs, g, out, x):
    """Matrix of cofactors, det(x) inv(x)^T: the derivative of the determinant, of singular matrices, too.

    Its own derivative needs an invertible matrix.
    """
    t = matrix_transpose(inv(x))
    # d(det t) = det <t, dx> t - det t dx^T t
    inner = sum_(g * t, axis=(-2, -1), keepdims=True)
    return (_matrices(det(x)) * (inner * t - matmul(matmul(t, matrix_transpose(g)), t)),)


@defop(
    "slogdet",
    n_out=2,
    impl=_in_lapack(lambda x: tuple(np.linalg.slogdet(x))),
    infer=lambda x: (Aval(_square("slogdet", x).shape[:-2], float_dtype(x)),) * 2,
)
def slogdet(needs, g, out, x):
    """Sign and logarithm of the size of the determinant: (..., n, n) -> (...), (...)."""
    if g[1] is None:
        return (None,)
    return (_matrices(g[1]) * matrix_transpose(inv(x)),)


def _cholesky_impl(x: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) * x.dtype.type(0.5))


@defop("cholesky", impl=_in_lapack(_cholesky_impl), infer=lambda x: _square("cholesky", x))
def cholesky_op(needs, g, out, x):
    """Lower triangular l with l @ l^T = (x + x^T) / 2."""
    t = matrix_transpose(out)
    p = lower_half(matmul(t, g))
    s = matrix_transpose(solve(t, matrix_transpose(solve(t, p))))  # l^-T p l^-1
    return ((s + matrix_transpose(s)) * 0.5,)


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """Lower triangular l with l @ l^T = x, for symmetric positive definite x; its transpose if ``upper``.

    x is made symmetric first, (x + x^T) / 2, so gradients are symmetric. Raises ``numpy.linalg.LinAlgError``
    when x is not positive definite.
    """
    lower = cholesky_op(x)
    return matrix_transpose(lower) if upper else lower


def _rank_shape(op: str, x: Operand) -> tuple[Shape, Dim, Dim, Dim]:
    x = _need_matrix(op, x)
    m, n = x.shape[-2:]
    return x.shape[:-2], m, n, None if m is None or n is None else min(m, n)


def _infer_qr(x: Operand) -> tuple[Aval, Aval]:
    batch, m, n, k = _rank_shape("qr", x)
    return Aval(batch + (m, k), float_dtype(x)), Aval(batch + (k, n), float_dtype(x))


@defop("qr", n_out=2, impl=_in_lapack(lambda x: tuple(np.linalg.qr(x))), infer=_infer_qr)
def qr_op(needs, g, out, x):
    """Orthonormal q (..., m, k) and upper triangular r (..., k, n) with q @ r = x, k = min(m, n)."""
    q, r = out
    gq, gr = g
    m, n = x.shape[-2:]
    if m is None or n is None or m < n:
        if m is None or n is None:
            raise GradError(
                f"[qr] the gradient needs a known shape; x is {_text(x.shape)}. Give the placeholder dimensions."
            )
        # x = (x1, x2), r = (r1, r2): x1 = q r1 is square, and r2 = q^T x2.
        x2, r1 = x[..., m:], r[..., :m]
        gq = fill_like(q, value=0.0) if gq is None else gq
        gr1 = None if gr is None else gr[..., :m]
        gx2 = fill_like(x2, value=0.0) if gr is None else matmul(q, gr[..., m:])
        if gr is not None:
            gq = gq + matmul(x2, matrix_transpose(gr[..., m:]))
        return (concat([_qr_grad(gq, gr1, q, r1), gx2], axis=-1),)
    return (_qr_grad(gq, gr, q, r),)


def _qr_grad(gq: Tensor | None, gr: Tensor | None, q: Tensor, r: Tensor) -> Tensor:
    inner = None
    if gr is not None:
        inner = matmul(r, matrix_transpose(gr))
    if gq is not None:
        part = matmul(matrix_transpose(gq), q)
        inner = negative(part) if inner is None else inner - part
    assert inner is not None
    half = lower_half(inner)
    b = matmul(q, half + matrix_transpose(half))
    if gq is not None:
        b = gq + b
    return matrix_transpose(solve(r, matrix_transpose(b)))


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthonormal q (..., m, k) and upper triangular r (..., k, n) with q @ r = x, k = min(m, n).

    mode: only "reduced". Gradients need the first min(m, n) columns to be independent.
    """
    if mode != "reduced":
        raise ShapeError(f"[qr] mode must be 'reduced'; got {mode!r}. NumPy's qr has the others, without gradients.")
    return qr_op(x)


def _infer_svd(x: Operand, full_matrices: bool) -> tuple[Aval, Aval, Aval]:
    batch, m, n, k = _rank_shape("svd", x)
    dtype = float_dtype(x)
    u, v = (m, n) if full_matrices else (k, k)
    return Aval(batch + (m, u), dtype), Aval(batch + (k,), dtype), Aval(batch + (v, n), dtype)


def _svd_impl(x: np.ndarray, full_matrices: bool) -> tuple[np.ndarray, ...]:
    return tuple(np.linalg.svd(x, full_matrices=full_matrices))


@defop("svd", n_out=3, impl=_in_lapack(_svd_impl), infer=_infer_svd)
def svd_op(needs, g, out, x, full_matrices):
    """u, s, vh with x = u @ diag(s) @ vh."""
    u, s, vh = out
    gu, gs, gvh = g
    m, n = x.shape[-2:]
    if full_matrices and (m is None or n is None or m != n):
        if m is None or n is None or gu is not None or gvh is not None:
            raise GradError(
                f"[svd] the full u and vh of {_text(x.shape)} have no gradient: the extra columns are arbitrary. "
                "Use full_matrices=False."
            )
        u, vh = u[..., : min(m, n)], vh[..., : min(m, n), :]
    ut, v = matrix_transpose(u), matrix_transpose(vh)
    column, row = expand_dims(s, -1), expand_dims(s, -2)
    inner = diag_embed(gs) if gs is not None else None
    if gu is not None or gvh is not None:
        f = _reciprocal(row * row - column * column)
        if gu is not None:
            inner = _plus(inner, _antisymmetric(matmul(ut, gu)) * f * row)
        if gvh is not None:
            inner = _plus(inner, column * (_antisymmetric(matmul(vh, matrix_transpose(gvh))) * f))
    gx = matmul(matmul(u, inner), vh)
    if gu is not None and (m is None or n is None or m > n):
        gx = gx + matmul((gu - matmul(u, matmul(ut, gu))) / row, vh)
    if gvh is not None and (m is None or n is None or n > m):
        gx = gx + matmul(u, (gvh - matmul(matmul(gvh, v), vh)) / column)
    return (gx,)


def _plus(x: Tensor | None, y: Tensor) -> Tensor:
    return y if x is None else x + y


def _antisymmetric(x: Tensor) -> Tensor:
    return x - matrix_transpose(x)


def _reciprocal(x: Tensor) -> Tensor:
    """1 / x, and 0 where x is 0: on the diagonal, and for equal values, whose vectors have no derivative."""
    zero = equal(x, 0)
    return where(zero, 0.0, divide(1.0, where(zero, 1.0, x)))


def svd(x: Any, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Singular value decomposition: u, s (descending) and vh with x = u @ diag(s) @ vh.

    (..., m, n) -> (..., m, k), (..., k), (..., k, n) with k = min(m, n); ``full_matrices`` completes u and vh to
    square orthogonal matrices, which then have no gradient (s does). Vectors of equal singular values have no
    derivative.
    """
    return svd_op(x, full_matrices=bool(full_matrices))


def svdvals(x: Any) -> Tensor:
    """Singular values in descending order: (..., m, n) -> (..., min(m, n))."""
    return svd(x, full_matrices=False)[1]


def _infer_eigh(x: Operand) -> tuple[Aval, Aval]:
    a = _square("eigh", x)
    return Aval(a.shape[:-1], a.dtype), a


def _eigh_impl(x: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.linalg.eigh((x + np.swapaxes(x, -1, -2)) * x.dtype.type(0.5)))


@defop("eigh", n_out=2, impl=_in_lapack(_eigh_impl), infer=_infer_eigh)
def eigh(needs, g, out, x):
    """Eigenvalues (ascending) and eigenvectors (columns) of symmetric matrices.

    (..., n, n) -> (..., n), (..., n, n).

    x is made symmetric first, (x + x^T) / 2, so gradients are symmetric. Vectors of equal eigenvalues have no
    derivative.
    """
    w, v = out
    gw, gv = g
    vt = matrix_transpose(v)
    inner = diag_embed(gw) if gw is not None else None
    if gv is not None:
        inner = _plus(inner, _reciprocal(expand_dims(w, -2) - expand_dims(w, -1)) * matmul(vt, gv))
    gx = matmul(matmul(v, inner), vt)
    return ((gx + matrix_transpose(gx)) * 0.5,)


def eigvalsh(x: Any) -> Tensor:
    """Eigenvalues of symmetric matrices in ascending order: (..., n, n) -> (..., n)."""
    return eigh(x)[0]


def _infer_pinv(x: Operand, rtol: float | None) -> Aval:
    x = _need_matrix("pinv", x)
    return Aval(x.shape[:-2] + (x.shape[-1], x.shape[-2]), float_dtype(x))


def _pinv_impl(x: np.ndarray, rtol: float | None) -> np.ndarray:
    return np.linalg.pinv(x, _rtol(x.shape, x.dtype) if rtol is None else rtol)


def _rtol(shape: Any, dtype: Any) -> float:
    return max(shape[-2:]) * float(np.finfo(dtype).eps)


@defop("pinv", impl=_in_lapack(_pinv_impl), infer=_infer_pinv)
def pinv_op(needs, g, out, x, rtol):
    """Moore-Penrose pseudo-inverse."""
    pt = matrix_transpose(out)
    gt = matrix_transpose(g)
    first = matmul(matmul(pt, g), pt)
    b = matmul(matmul(gt, out), pt)  # (I - x p) g^T p p^T
    c = matmul(matmul(pt, out), gt)  # p^T p g^T (I - p x)
    second = b - matmul(x, matmul(out, b))
    third = c - matmul(matmul(c, out), x)
    return (second + third - first,)


def pinv(x: Any, rtol: float | None = None) -> Tensor:
    """Moore-Penrose pseudo-inverse: (..., m, n) -> (..., n, m).

    Singular values up to ``rtol`` times the largest count as zero (default: max(m, n) times the machine epsilon).
    The gradient takes the rank to be constant.
    """
    return pinv_op(x, rtol=None if rtol is None else float(rtol))


def matrix_rank(x: Any, rtol: float | None = None) -> Tensor:
    """Number of singular values above ``rtol`` times the largest (default: max(m, n) times the epsilon)."""
    x = operand(x)
    _need_matrix("matrix_rank", x.aval)
    s = svdvals(x)
    if rtol is None:
        if None in x.shape[-2:]:
            raise ShapeError(f"[matrix_rank] the default rtol needs a known shape; got {_text(x.shape)}. Give rtol.")
        rtol = _rtol(x.shape, s.dtype)
    if s.shape[-1] == 0:
        return sum_(not_equal(s, s), axis=-1, dtype=np.int64)
    return sum_(s > max_(s, axis=-1, keepdims=True) * rtol, axis=-1, dtype=np.int64)


def matrix_power(x: Any, n: int) -> Tensor:
    """x @ x @ ... of n factors; the identity for n = 0, powers of the inverse for n < 0."""
    x = operand(x)
    _square("matrix_power", x.aval)
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


# -- norms


def vector_norm(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """Norm of vectors along ``axis`` (several axes count as one vector, None as all).

    ord: p >= 1 gives (sum |x|^p)^(1/p); inf and -inf the largest and smallest size; 0 the number of nonzeros.
    The gradient of the 2-norm at 0 is 0.
    """
    return norm(x, ord=ord, axis=axis, keepdims=keepdims)


def matrix_norm(x: Any, keepdims: bool = False, ord: float | str | None = "fro") -> Tensor:
    """Norm of matrices: (..., m, n) -> (...).

    ord: "fro" (root of the sum of squares), "nuc" (sum of singular values), 2 and -2 (largest and smallest
    singular value), 1 and -1 (largest and smallest sum of sizes in a column), inf and -inf (in a row).
    """
    x = operand(x)
    _need_matrix("matrix_norm", x.aval)
    if ord in ("fro", None):
        return norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        s = svdvals(x)
        y = sum_(s, axis=-1) if ord == "nuc" else max_(s, axis=-1) if ord == 2 else min_(s, axis=-1)
        return _matrices(y) if keepdims else y
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(f"[matrix_norm] ord must be 'fro', 'nuc', 1, 2, inf or minus these; got {ord!r}. Use 'fro'?")
    assert ord is not None
    if x.dtype.kind != "f":
        x = multiply(x, 1.0)
    sums = sum_(abs_(x), axis=-2 if ord in (1, -1) else -1, keepdims=True)
    pick = max_ if ord in (1, np.inf) else min_
    y = pick(sums, axis=-1 if ord in (1, -1) else -2, keepdims=True)
    return y if keepdims else squeeze(y, axis=(-2, -1))
