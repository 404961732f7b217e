"""Functions of single elements, comparisons, and the choice between two tensors."""

from __future__ import annotations

from typing import Any

import autotensor as at
from keras_compat.backend._tensors import as_float, as_tensor, operands


def abs(x: Any) -> Any:
    """Absolute value."""
    return at.abs(as_tensor(x))


def square(x: Any) -> Any:
    """x * x."""
    return at.square(as_tensor(x))


def sqrt(x: Any) -> Any:
    """Square root; of negative numbers 0."""
    return at.sqrt(at.maximum(as_float(x), 0.0))


def exp(x: Any) -> Any:
    """e to the power of x."""
    return at.exp(as_float(x))


def log(x: Any) -> Any:
    """Natural logarithm."""
    return at.log(as_float(x))


def round(x: Any) -> Any:
    """Nearest integer, halves to even."""
    return at.round(as_tensor(x))


def sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return at.sign(as_tensor(x))


def sin(x: Any) -> Any:
    """Sine."""
    return at.sin(as_float(x))


def cos(x: Any) -> Any:
    """Cosine."""
    return at.cos(as_float(x))


def pow(x: Any, a: Any) -> Any:
    """x to the power of a."""
    return at.pow(*operands(x, a))


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x limited to [min_value, max_value]; None is no limit."""
    x = as_tensor(x)
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)) and max_value < min_value:
        max_value = min_value
    low, high = [None if v is None else operands(x, v)[1] for v in (min_value, max_value)]
    return at.clip(x, low, high)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two, elementwise."""
    return at.maximum(*operands(x, y))


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, elementwise."""
    return at.minimum(*operands(x, y))


def equal(x: Any, y: Any) -> Any:
    """x == y, elementwise."""
    return at.equal(*operands(x, y))


def not_equal(x: Any, y: Any) -> Any:
    """x != y, elementwise."""
    return at.not_equal(*operands(x, y))


def greater(x: Any, y: Any) -> Any:
    """x > y, elementwise."""
    return at.greater(*operands(x, y))


def greater_equal(x: Any, y: Any) -> Any:
    """x >= y, elementwise."""
    return at.greater_equal(*operands(x, y))


def less(x: Any, y: Any) -> Any:
    """x < y, elementwise."""
    return at.less(*operands(x, y))


def less_equal(x: Any, y: Any) -> Any:
    """x <= y, elementwise."""
    return at.less_equal(*operands(x, y))


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """``then_expression`` where the condition holds, else the other.

    A scalar condition selects a whole tensor; the expressions may then be functions without arguments. Another
    condition selects elementwise; one of lower rank is read along the leading axes.

    Raises ValueError where the condition has more axes than the expressions.
    """
    condition = as_tensor(condition)
    if condition.dtype.kind != "b":
        condition = at.not_equal(condition, 0)
    then, other = [
        x() if callable(x) and not isinstance(x, at.Tensor) else x for x in (then_expression, else_expression)
    ]
    then, other = operands(then, other)
    then, other = as_tensor(then), as_tensor(other)
    if condition.ndim == 0:
        return at.switch(condition, then, other)
    rank = max(then.ndim, other.ndim)
    if condition.ndim > rank:
        raise ValueError(
            f"[switch] the condition must not have more axes than the expressions; got {condition.ndim} and {rank}. "
            "Reduce the condition with K.all or K.any?"
        )
    for _ in range(rank - condition.ndim):
        condition = at.expand_dims(condition, -1)
    return at.where(condition, then, other)
