"""Sums of products over chosen axes: einsum, tensordot, dot, inner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, normalize_axis, result_dtype, shape_of, wholes
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import multiply
from autotensor.ops.like import ones_like, unbroadcast
from autotensor.ops.products import differ, matmul, matmul_impl
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.shape import diagonal, permute_dims
from autotensor.ops.shape import text as _text

__all__ = ["dot", "einsum", "inner", "tensordot"]


def dot(x: Any, y: Any) -> Tensor:
    """NumPy's dot: the last axis of x with the last but one of y (the only one of a vector); scalars multiply.

    (..., k) . (..., k, n) -> (all of x but k, all of y but k). Batches do not pair up as in ``matmul``.

    Raises ShapeError where the sizes of the paired axes differ.
    """
    x, y = operand(x), operand(y)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    if differ(x.shape[-1], y.shape[0] if y.ndim == 1 else y.shape[-2]):
        raise ShapeError(f"[dot] inner dimensions differ: {_text(x.shape)} . {_text(y.shape)}. Transpose the second?")
    if y.ndim <= 2:
        return matmul(x, y)
    return tensordot(x, y, axes=((-1,), (-2,)))


def inner(x: Any, y: Any) -> Tensor:
    """NumPy's inner: sum of products over the last axis of both; (..., k), (..., k) -> (..., ...). Scalars multiply."""
    x, y = operand(x), operand(y)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    return tensordot(x, y, axes=((-1,), (-1,)))


def tensordot(x: Any, y: Any, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum of products over pairs of axes.

    axes: a number n pairs the last n axes of x with the first n of y; or two sequences of axes (or two
        numbers), paired in order.

    Raises ShapeError where paired axes differ in size or in number.
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
            [normalize_axis("tensordot", a, t.ndim) for a in wholes("tensordot", "axes", s)]
            for t, s in ((x, first), (y, second))
        )
        if len(xs) != len(ys) or len(set(xs)) != len(xs) or len(set(ys)) != len(ys):
            raise ShapeError(
                f"[tensordot] axes come in pairs, each named once; got {axes}. Give two equally long sequences."
            )
    for a, b in zip(xs, ys):
        if differ(x.shape[a], y.shape[b]):
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

    Raises DTypeError where the first argument is no text, ShapeError where sizes of a letter differ.

        >>> import numpy as np
        >>> import autotensor as at
        >>> a = np.arange(6.0).reshape(2, 3)
        >>> at.grad(lambda a: at.einsum("ij,ij->", a, a))(a)
        Tensor([[ 0.,  2.,  4.],
                [ 6.,  8., 10.]], dtype=float64)
    """
    if not isinstance(subscripts, str):
        raise DTypeError(f"[einsum] expected a text such as 'ij,jk->ik' first; got a {type(subscripts).__name__}.")
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
            if differ(x.shape[i], x.shape[j]):
                raise ShapeError(
                    f"[einsum] axes {i} and {j} of {_text(x.shape)} have the same letter and differ. "
                    "A diagonal needs equal dimensions."
                )
            x = diagonal(x, axis1=i, axis2=j)
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
    equal_sizes = not any(differ(x.shape[a.index(k)], y.shape[b.index(k)]) for k in a if k in b)
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
    for i, (term, x) in enumerate(zip(left.split(","), operands)):
        if len(term) != len(shape_of(x)):
            raise ShapeError(
                f"[einsum] operand {i} must have an axis for each letter of {term!r}; got shape {_text(shape_of(x))}. "
                "Use ... for axes that broadcast?"
            )
        for k, dim in zip(term, shape_of(x)):
            old = sizes.get(k, 1)
            if old == 1 or (old is None and dim != 1):
                sizes[k] = dim
            elif differ(old, dim) and dim != 1:
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
    z = matmul_impl(x, y) if nb != 1 else matmul_impl(x[0], y[0])
    labels = batch + rows + cols
    return z.reshape([size[k] for k in labels]), "".join(labels)


# Up to so many products NumPy's own loop is quicker than arranging them for a matrix product.
_SMALL = 4096


def _einsum_impl(*arrays: Any, subscripts: str) -> np.ndarray:
    left, _, out = subscripts.partition("->")
    terms = left.split(",")
    if any(np.ndim(x) != len(t) for x, t in zip(arrays, terms)):
        raise ValueError("operands do not have one axis per letter")
    sizes: dict[str, int] = {}
    for term, x in zip(terms, arrays):
        for k, n in zip(term, x.shape):
            sizes[k] = max(n, sizes.get(k, 1))
    if math.prod(sizes.values()) <= _SMALL and arrays[0].dtype != np.float16:
        return np.einsum(subscripts, *arrays)
    _infer_einsum(*[Aval(np.shape(x), x.dtype) for x in arrays], subscripts=subscripts)
    z, labels = arrays[0], terms[0]
    for i in range(1, len(arrays)):
        keep = set(out).union(*terms[i + 1 :])
        z, labels = _contract(z, labels, arrays[i], terms[i], keep)
    for k in [k for k in labels if k not in out]:
        z, labels = z.sum(labels.index(k), dtype=z.dtype), labels.replace(k, "")
    z = z.transpose([labels.index(k) for k in out])
    return np.ascontiguousarray(z).reshape(z.shape).astype(np.result_type(*arrays), copy=False)


@defop("einsum", impl=_einsum_impl, infer=_infer_einsum, vjp_takes_arrays=True)
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
        if type(g) is np.ndarray:
            rest = [t for m, t in enumerate(terms) if m != i]
            gx: Any = _einsum_impl(g, *others, subscripts=",".join([result, *rest]) + "->" + own)
            grads.append(unbroadcast(gx if gx.shape == x.shape else gx * np.ones_like(x), x))
            continue
        labels = [[ord(k) for k in t] for t in [result] + [t for m, t in enumerate(terms) if m != i]]
        gx = _einsum([g, *others], labels, [ord(k) for k in own])
        known = None not in x.shape and None not in gx.shape
        if gx.shape != x.shape and (known or not set(own) <= set(result)):
            # an axis may be 1 here and longer in x, when x was summed against a broadcast axis
            gx = multiply(gx, ones_like(x))
        grads.append(unbroadcast(gx, x))
    return grads
