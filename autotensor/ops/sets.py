"""Distinct elements, as the array API's set functions say, and membership.

How many there are depends on the values, so these functions need some: no placeholders. Their results are constants
for gradients; ``at.take(x.reshape(-1), at.unique_all(x).indices)`` are the same values with gradients. NaNs are
distinct from each other, and 0.0 and -0.0 are equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autotensor.core.aval import Aval, shape_of
from autotensor.core.op import defop_no_grad
from autotensor.core.tensor import Tensor, wrap
from autotensor.ops.creation import operand

__all__ = ["isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAllResult(NamedTuple):
    """Distinct values, where each is first (in flat order), which of them each element is, and how many."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """Distinct values and how often each is there."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """Distinct values and which of them each element is."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Any) -> UniqueAllResult:
    """Distinct values of x in ascending order (n,), their first places in flat order (n,), inverse, counts (n,).

    ``values[inverse_indices]`` is x again; ``inverse_indices`` has the shape of x.

        >>> import autotensor as at
        >>> at.unique_all([3, 1, 3]).counts
        Tensor([1, 2], dtype=int64)
    """
    array = operand(x)._value("unique_all")
    values, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    parts = (first, inverse.reshape(array.shape), counts)
    return UniqueAllResult(wrap(values), *[wrap(part.astype(np.int64, copy=False)) for part in parts])


def unique_counts(x: Any) -> UniqueCountsResult:
    """Distinct values of x in ascending order (n,), and how often each is there (n,)."""
    values, counts = np.unique(operand(x)._value("unique_counts"), return_counts=True, equal_nan=False)
    return UniqueCountsResult(wrap(values), wrap(counts.astype(np.int64, copy=False)))


def unique_inverse(x: Any) -> UniqueInverseResult:
    """Distinct values of x in ascending order (n,), and in the shape of x the position of each element's value."""
    array = operand(x)._value("unique_inverse")
    values, inverse = np.unique(array, return_inverse=True, equal_nan=False)
    return UniqueInverseResult(wrap(values), wrap(inverse.reshape(array.shape).astype(np.int64, copy=False)))


def unique_values(x: Any) -> Tensor:
    """Distinct values of x in ascending order: (n,)."""
    return wrap(np.unique(operand(x)._value("unique_values"), equal_nan=False))


isin_op = defop_no_grad(
    "isin",
    impl=lambda x, values, invert: np.isin(x, values, invert=invert),
    infer=lambda x, values, invert: Aval(shape_of(x), np.bool_),
)


def isin(x: Any, test_elements: Any, *, invert: bool = False) -> Tensor:
    """For each element of x, is it among ``test_elements`` (of any shape)? With ``invert``: is it not? NaN never is."""
    return isin_op(operand(x), operand(test_elements), invert=bool(invert))
