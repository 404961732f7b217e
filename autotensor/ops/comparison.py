"""Comparison, logic, bits, and what kind of number it is: operations whose results have no gradient."""

from __future__ import annotations

import numpy as np

from autotensor.core.op import defop_no_grad
from autotensor.ops.rules import ufunc

equal = defop_no_grad(
    "equal",
    **ufunc("equal", np.equal),
    expr="({0} == {1})",
    doc="True where x and y are equal, element by element; NaN equals nothing. Result: bools in the broadcast shape.",
)
not_equal = defop_no_grad(
    "not_equal",
    **ufunc("not_equal", np.not_equal),
    expr="({0} != {1})",
    doc="True where x and y differ, element by element; NaN differs from everything, itself included.",
)
less = defop_no_grad(
    "less",
    **ufunc("less", np.less),
    expr="({0} < {1})",
    doc="True where x < y, element by element; False where either is NaN.",
)
less_equal = defop_no_grad(
    "less_equal",
    **ufunc("less_equal", np.less_equal),
    expr="({0} <= {1})",
    doc="True where x <= y, element by element; False where either is NaN.",
)
greater = defop_no_grad(
    "greater",
    **ufunc("greater", np.greater),
    expr="({0} > {1})",
    doc="True where x > y, element by element; False where either is NaN.",
)
greater_equal = defop_no_grad(
    "greater_equal",
    **ufunc("greater_equal", np.greater_equal),
    expr="({0} >= {1})",
    doc="True where x >= y, element by element; False where either is NaN.",
)

logical_and = defop_no_grad(
    "logical_and",
    **ufunc("logical_and", np.logical_and),
    expr={"b": "logical_and({0}, {1})"},
    doc="True where x and y both are; numbers other than 0 count as true.",
)
logical_or = defop_no_grad(
    "logical_or",
    **ufunc("logical_or", np.logical_or),
    expr={"b": "logical_or({0}, {1})"},
    doc="True where x or y is, or both; numbers other than 0 count as true.",
)
logical_xor = defop_no_grad(
    "logical_xor",
    **ufunc("logical_xor", np.logical_xor),
    expr={"b": "({0} != {1})"},
    doc="True where one of x and y is and the other is not; numbers other than 0 count as true.",
)
logical_not = defop_no_grad(
    "logical_not",
    **ufunc("logical_not", np.logical_not),
    expr={"b": "logical_not({0})"},
    doc="True where x is False or 0.",
)

bitwise_and = defop_no_grad(
    "bitwise_and",
    **ufunc("bitwise_and", np.bitwise_and),
    doc="x & y: and of the bits of integers, or of bools.",
)
bitwise_or = defop_no_grad(
    "bitwise_or",
    **ufunc("bitwise_or", np.bitwise_or),
    doc="x | y: or of the bits of integers, or of bools.",
)
bitwise_xor = defop_no_grad(
    "bitwise_xor",
    **ufunc("bitwise_xor", np.bitwise_xor),
    doc="x ^ y: exclusive or of the bits of integers, or of bools.",
)
bitwise_not = defop_no_grad(
    "bitwise_not",
    **ufunc("bitwise_not", np.invert),
    doc="~x: the bits of integers turned round; of bools logical not.",
)
left_shift = defop_no_grad(
    "left_shift",
    **ufunc("left_shift", np.left_shift),
    doc="x << y: the bits of x moved up by y places, zeros coming in; integers. y must not be negative.",
)
right_shift = defop_no_grad(
    "right_shift",
    **ufunc("right_shift", np.right_shift),
    doc="x >> y: the bits of x moved down by y places, the sign kept; integers. y must not be negative.",
)

isnan = defop_no_grad(
    "isnan",
    **ufunc("isnan", np.isnan),
    expr={"f": "isnan({0})"},
    doc="True where x is NaN; of complex numbers, where either part is.",
)
isinf = defop_no_grad(
    "isinf",
    **ufunc("isinf", np.isinf),
    expr={"f": "isinf({0})"},
    doc="True where x is infinite, of either sign; of complex numbers, where either part is.",
)
isfinite = defop_no_grad(
    "isfinite",
    **ufunc("isfinite", np.isfinite),
    expr={"f": "isfinite({0})"},
    doc="True where x is neither infinite nor NaN; of complex numbers, where both parts are.",
)
