"""Hypothesis strategies for programs on tensors: shapes, axes, dtypes, indices, tensors, matrices, trees.

    from hypothesis import given
    from autotensor.testing import strategies as ats

    @given(ats.tensors(shape=ats.shapes(min_dims=1)))
    def test_sum_of_parts(x):
        assert np.allclose(at.sum(x).numpy(), x.numpy().sum())

Counterexamples shrink to few axes, short ones, zeros and round numbers. Tensors are small by default: what a bug needs
is seldom large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from hypothesis import strategies as st
except ImportError as error:  # pragma: no cover
    raise ImportError("[autotensor.testing.strategies] Hypothesis is missing. Use pip install hypothesis.") from error

from autotensor import Tensor
from autotensor.errors import DTypeError, ShapeError

__all__ = [
    "axes", "axis", "broadcastable_shapes", "dtypes", "indices", "matrices", "positive_definite", "pytrees", "shapes",
    "tensors",
]  # fmt: skip

Strategy = st.SearchStrategy

_FLOATS = ("float32", "float64")
_KINDS = {
    "bool": ("bool",),
    "integer": ("int8", "int16", "int32", "int64"),
    "unsigned": ("uint8", "uint16", "uint32", "uint64"),
    "floating": _FLOATS,
    "complex": ("complex64", "complex128"),
}


# -- shapes


def shapes(
    *, min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 4, max_size: int = 64
) -> Strategy[tuple[int, ...]]:
    """Shapes with so many axes, sides that long, and at most ``max_size`` elements. ``min_side=0`` gives empty ones.

    Raises ShapeError where none is small enough.
    """
    _ordered("shapes", min_dims=min_dims, max_dims=max_dims)
    _ordered("shapes", min_side=min_side, max_side=max_side)
    sides = st.integers(min_side, max_side)
    found = st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)
    if max(min_side, 1) ** min_dims > max_size:
        raise ShapeError(f"[shapes] no shape of {min_dims} axes has at most {max_size} elements. Raise max_size?")
    return found.map(lambda shape: _fitting(shape, min_side, max_size))


def _fitting(shape: tuple[int, ...], least: int, max_size: int) -> tuple[int, ...]:
    """The shape with sides cut, the longest first, until it has at most ``max_size`` elements."""
    sides = list(shape)
    while math.prod(sides) > max_size:
        if max(sides) > max(least, 1):
            sides[sides.index(max(sides))] -= 1
        else:
            sides.pop()
    return tuple(sides)


@st.composite
def broadcastable_shapes(
    draw: st.DrawFn, count: int = 2, *, max_dims: int = 3, max_side: int = 4, max_size: int = 64
) -> tuple[tuple[int, ...], ...]:
    """``count`` shapes that broadcast together: cut in front, or with sides of 1, from one that they all give."""
    whole = draw(shapes(max_dims=max_dims, max_side=max_side, max_size=max_size))
    found = []
    for _ in range(count):
        kept = whole[draw(st.integers(0, len(whole))) :]
        found.append(tuple(1 if side > 1 and draw(st.booleans()) else side for side in kept))
    return tuple(found)


def axis(ndim: int) -> Strategy[int]:
    """One axis of an array of rank ``ndim``, counted from the front or, negative, from the back.

    Raises ShapeError for rank 0.
    """
    if ndim < 1:
        raise ShapeError("[axis] a scalar has no axes; expected a rank of at least 1.")
    return st.integers(0, ndim - 1) | st.integers(-ndim, -1)


@st.composite
def axes(draw: st.DrawFn, ndim: int, *, none: bool = True, single: bool = True, min_size: int = 0) -> Any:
    """Axes for a reduction of an array of rank ``ndim``: None, a number, or a tuple of different ones."""
    kinds: list[Strategy[Any]] = [
        st.sets(st.integers(0, max(ndim - 1, 0)), min_size=min_size, max_size=ndim).map(sorted)
    ]
    if ndim == 0:
        kinds = [st.just([])]
    if single and ndim:
        kinds.insert(0, axis(ndim))
    if none:
        kinds.insert(0, st.none())
    found = draw(st.one_of(kinds))
    if isinstance(found, list):
        return tuple(a - ndim if draw(st.booleans()) else a for a in found)
    return found


@st.composite
def indices(draw: st.DrawFn, shape: Sequence[int], *, newaxis: bool = True, arrays: bool = False) -> Any:
    """An index for an array of this shape: numbers, slices with steps, ``...``, None; with ``arrays`` also lists of
    numbers (one at most) or a mask of the whole shape.
    """
    if arrays and draw(st.booleans()) and shape:
        if draw(st.booleans()):
            return np.array(draw(st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape))),
                            bool).reshape(shape)  # fmt: skip
        if all(shape):
            side = int(shape[0])
            picked = draw(st.lists(st.integers(-side, side - 1), min_size=1, max_size=side + 1))
            return np.array(picked, np.int64)
    count = draw(st.integers(0, len(shape)))
    cut = draw(st.integers(0, count)) if count < len(shape) else count
    sides = [*shape[:cut], *shape[len(shape) - (count - cut) :]]
    parts: list[Any] = [draw(_part(int(side))) for side in sides]
    if count < len(shape) and (cut < count or draw(st.booleans())):
        parts.insert(cut, ...)
    if newaxis and draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


def _part(side: int) -> Strategy[Any]:
    cut = st.slices(side)
    return st.integers(0, side - 1) | st.integers(-side, -1) | cut if side else cut


# -- dtypes


def dtypes(*kinds: str) -> Strategy[np.dtype]:
    """dtypes of the kinds "floating" (the default), "complex", "integer", "unsigned", "bool" or "numeric" (all but
    bool).

    Raises DTypeError for another kind.
    """
    named: list[str] = []
    for kind in kinds or ("floating",):
        if kind == "numeric":
            named += [name for key, names in _KINDS.items() if key != "bool" for name in names]
        elif kind in _KINDS:
            named += _KINDS[kind]
        else:
            raise DTypeError(f"[dtypes] expected kinds of {sorted([*_KINDS, 'numeric'])}; got {kind!r}. Misspelt?")
    return st.sampled_from([np.dtype(name) for name in named])


# -- tensors


def _elements(dtype: np.dtype, low: float | None, high: float | None) -> Strategy[Any]:
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        least = int(max(info.min, -10 if low is None else math.ceil(low)))
        return st.integers(least, int(min(info.max, 10 if high is None else math.floor(high))))
    low, high = -10.0 if low is None else low, 10.0 if high is None else high
    # Hundredths: distinct ones lie far apart beside a step of a difference, and they read well.
    plain = st.integers(math.ceil(low * 100), math.floor(high * 100)).map(lambda n: n / 100)
    if dtype.kind == "c":
        return st.builds(complex, plain, plain)
    return plain


@st.composite
def tensors(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Any = None,
    *,
    elements: Strategy[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
    distinct: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Tensors.

    Args:
        dtype: of the elements, or a strategy for it (``dtypes("integer")``).
        shape: a tuple, a number, or a strategy (``shapes(min_dims=2)``); by default any of ``shapes()``.
        elements: strategy for the values; by default numbers between ``low`` and ``high`` (-10 and 10), for floats
            hundredths. Infinities and NaN come only from strategies of your own (``hypothesis.strategies.floats()``).
        distinct: no two elements are equal, so that ``max`` and ``sort`` have derivatives.
        requires_grad: make them leaves that gradients flow to.
    """
    found = draw(dtype) if isinstance(dtype, Strategy) else np.dtype(dtype)
    sides = draw(shapes()) if shape is None else draw(shape) if isinstance(shape, Strategy) else shape
    sides = (sides,) if isinstance(sides, int) else tuple(sides)
    values = elements if elements is not None else _elements(found, low, high)
    size = math.prod(sides)
    listed = draw(st.lists(values, min_size=size, max_size=size, unique=distinct))
    return Tensor(np.array(listed, found).reshape(sides), requires_grad=requires_grad)


def matrices(
    dtype: Any = np.float64, *, min_side: int = 1, max_side: int = 4, square: bool = False, **options: Any
) -> Strategy[Tensor]:
    """Tensors of rank 2; the options are those of ``tensors``."""
    side = st.integers(min_side, max_side)
    pairs = side.map(lambda n: (n, n)) if square else st.tuples(side, side)
    return tensors(dtype, pairs, **options)


@st.composite
def positive_definite(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    side: Any = None,
    *,
    max_side: int = 4,
    condition: float = 100.0,
    requires_grad: bool = False,
) -> Tensor:
    """Symmetric positive definite matrices, Hermitian for complex dtypes, with a condition number of at most about
    ``condition``; a, then ``a.H @ a`` with a multiple of the identity added. They shrink to the identity."""
    found = np.dtype(dtype)
    n = draw(st.integers(1, max_side)) if side is None else draw(side) if isinstance(side, Strategy) else int(side)
    root = draw(tensors(found, (n, n), low=-1, high=1)).numpy()
    product = root.conj().T @ root
    largest = max(float(np.linalg.norm(product, 2)), 1.0)
    made = product + np.eye(n, dtype=found) * (largest / condition if product.any() else 1.0)
    return Tensor(made.astype(found), requires_grad=requires_grad)


def pytrees(leaves: Strategy[Any] | None = None, *, max_leaves: int = 5) -> Strategy[Any]:
    """Nested dictionaries, lists and tuples of ``leaves``, by default float64 tensors; also a leaf alone."""
    leaf = tensors() if leaves is None else leaves
    names = st.sampled_from("abcw")
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.lists(inner, min_size=1, max_size=3).map(tuple)
            | st.dictionaries(names, inner, min_size=1, max_size=3)
        ),
        max_leaves=max_leaves,
    )


def _ordered(op: str, **bounds: int) -> None:
    (low_name, low), (high_name, high) = bounds.items()
    if not 0 <= low <= high:
        raise ShapeError(f"[{op}] expected 0 <= {low_name} <= {high_name}; got {low} and {high}. Change one of them.")
