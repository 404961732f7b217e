"""Real and imaginary parts of numbers, their signs, and the floats next to them.

Gradients by complex numbers follow HIPS autograd and JAX: rules are plain transposes, and the gradient of a real
function of z = x + iy is df/dx - i df/dy. So a holomorphic operation has the same rule as for reals; the parts, which
are not holomorphic, have rules of their own here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, shape_of
from autotensor.core.op import apply, defop, defop_no_grad, either
from autotensor.core.tensor import Tensor
from autotensor.ops.like import broadcast_like, unbroadcast, zeros_like
from autotensor.ops.rules import following, numeric, ufunc

_REAL = {"F": np.dtype(np.float32), "D": np.dtype(np.float64)}


def _infer_part(x: Operand) -> Aval:
    dtype = x.dtype if isinstance(x, Aval) else np.result_type(x)
    return Aval(shape_of(x), _REAL.get(dtype.char, dtype))


@defop("real", impl=np.real, infer=_infer_part, view=True)
def real_op(needs, g, out, x):
    """Real part of each element, as a real tensor."""
    return (broadcast_like(g, x),)


def real(x: Any) -> Tensor:
    """Real part of each element: complex64 gives float32, complex128 float64. A real tensor stays as it is.

    >>> import autotensor as at
    >>> at.real(at.asarray([1 + 2j, 3 - 4j]))
    Tensor([1., 3.], dtype=float64)
    """
    return x if isinstance(x, Tensor) and x.dtype.kind != "c" else apply(real_op, x)


@defop("imag", impl=lambda x: np.imag(x), infer=_infer_part, view=True)
def imag_op(needs, g, out, x):
    """Imaginary part of each element, as a real tensor."""
    return (broadcast_like(g, x) * -1j,)


def imag(x: Any) -> Tensor:
    """Imaginary part of each element: complex64 gives float32, complex128 float64. Of a real tensor zeros.

    >>> import autotensor as at
    >>> at.imag(at.asarray([1 + 2j, 3 - 4j]))
    Tensor([ 2., -4.], dtype=float64)
    """
    return zeros_like(x) if isinstance(x, Tensor) and x.dtype.kind != "c" else apply(imag_op, x)


@defop("conj", **ufunc("conj", np.conjugate), vjp_takes_arrays=True)
def conj(needs, g, out, x):
    """Complex conjugate of each element; a real tensor stays as it is."""
    return (either(conj, g),)


@defop("abs", **ufunc("abs", np.absolute), expr=numeric("abs({0})"))
def abs(needs, g, out, x):
    """Absolute value, sqrt(re^2 + im^2) of complex numbers, as a real tensor; gradient 0 at 0."""
    direction = sign(x)
    return (g * (conj(direction) if direction.dtype.kind == "c" else direction),)


def _sign_impl(x: Any) -> Any:
    out = np.sign(x)
    # NumPy keeps the signs of a complex zero; the array API standard asks for 0 + 0j.
    return out + 0 if out.dtype.kind == "c" else out


@defop("sign", impl=_sign_impl, infer=following("sign", np.sign), expr=numeric("sign({0})"))
def sign(needs, g, out, x):
    """-1, 0 or 1; NaN stays. Its gradient is 0. Of complex numbers x / abs(x), and 0 at 0."""
    if not isinstance(x, Tensor) or x.dtype.kind != "c":
        return (zeros_like(x),)
    size = abs(x)
    there = sign(size)  # 0 at 0, where the gradient is taken as 0
    return ((g * there - conj(g * out * out)) / (size * 2 + (1 - there)),)


signbit = defop_no_grad(
    "signbit",
    **ufunc("signbit", np.signbit),
    doc="True where the sign bit is set: for negative numbers, -0.0 and NaN of negative sign. Real floating tensors.",
)


@defop("copysign", **ufunc("copysign", np.copysign))
def copysign(needs, g, out, x, y):
    """The size of x with the sign of y, element by element; both real. By x it has the gradient of abs, by y 0."""
    return (
        unbroadcast(g * (sign(x) * copysign(1.0, y)), x) if needs[0] else None,
        zeros_like(y) if needs[1] else None,
    )


@defop("nextafter", **ufunc("nextafter", np.nextafter))
def nextafter(needs, g, out, x, y):
    """The next floating number after x in the direction of y. Its gradient by x is 1, by y 0."""
    return unbroadcast(g, x) if needs[0] else None, zeros_like(y) if needs[1] else None
