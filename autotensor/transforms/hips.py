"""The differential operators of HIPS autograd that have other names here, with their signatures.

A program that was written for it finds them where it looks: ``from autotensor import elementwise_grad, make_hvp``.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.tensor import Tensor
from autotensor.errors import GradError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import multiply
from autotensor.ops.like import ones_like
from autotensor.ops.linalg import tensordot
from autotensor.ops.reduce import sum as sum_
from autotensor.transforms import tree
from autotensor.transforms.derivatives import Argnums, grad, jvp, linearize, named, vjp
from autotensor.transforms.jacobians import jacobian

__all__ = [
    "deriv", "grad_and_aux", "grad_named", "hessian_tensor_product", "hessian_vector_product", "holomorphic_grad",
    "make_ggnvp", "make_hvp", "make_jvp", "make_vjp", "multigrad_dict", "tensor_jacobian_product",
    "vector_jacobian_product",
]  # fmt: skip


def _unary(f: Callable[..., Any], argnum: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``f`` as a function of the arguments ``argnum`` alone (several: of a tuple of them), and their values."""
    positions = (argnum,) if isinstance(argnum, int) else tuple(argnum)
    for i in positions:
        if not -len(args) <= i < len(args):
            raise GradError(f"[grad] argument {i} does not exist; the function was called with {len(args)}.")

    def unary(x: Any) -> Any:
        call = list(args)
        for i, value in zip(positions, (x,) if isinstance(argnum, int) else x, strict=True):
            call[i] = value
        return f(*call, **kwargs)

    return unary, args[positions[0]] if isinstance(argnum, int) else tuple([args[i] for i in positions])


def make_vjp(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """``make_vjp(f)(*args)`` gives ``(pull, value)``: see ``at.vjp``, which returns them in the other order."""

    def made(*args: Any, **kwargs: Any) -> Any:
        unary, x = _unary(f, argnum, args, kwargs)
        value, pull = vjp(unary, x)
        return lambda weights: pull(weights)[0], value

    return named(made, f, "make_vjp")


def make_jvp(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """``make_jvp(f)(*args)`` gives a function from a tangent to ``(value, tangent of the value)``; f is run once."""

    def made(*args: Any, **kwargs: Any) -> Any:
        unary, x = _unary(f, argnum, args, kwargs)
        value, push = linearize(unary, x)
        return lambda tangent: (value, push(tangent))

    return named(made, f, "make_jvp")


def make_hvp(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """``make_hvp(f)(*args)`` gives ``(product, gradient)``: ``product(v)`` is the Hessian of f times v.

    Gradient and recording are made once, for many products at one point; see ``at.hvp``.
    """
    return make_vjp(grad(f, argnum), argnum)


def make_ggnvp(
    f: Callable[..., Any],
    g: Callable[..., Any] = lambda x: multiply(0.5, sum_(x * x, axis=-1)),
    f_argnum: Argnums = 0,
) -> Callable[..., Any]:
    """``make_ggnvp(f, g)(*args)`` gives a function: the generalised Gauss-Newton matrix of g(f(x)) times a vector.

    It is the transposed Jacobian of f, times the Hessian of g, times the Jacobian of f; by default g is half the sum of
    squares. N. N. Schraudolph, "Fast curvature matrix-vector products" (2002).
    """

    def made(*args: Any, **kwargs: Any) -> Any:
        unary, x = _unary(f, f_argnum, args, kwargs)
        value, pull = vjp(unary, x)
        _, curve = vjp(grad(g), value)
        _, push = linearize(unary, x)
        return lambda vector: pull(curve(push(vector))[0])[0]

    return named(made, f, "make_ggnvp")


def deriv(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """A function giving the forward derivative of ``f`` in the direction of ones: dy/dx of a function of one number."""

    def derived(*args: Any, **kwargs: Any) -> Any:
        unary, x = _unary(f, argnum, args, kwargs)
        return jvp(unary, (x,), (tree.map(lambda leaf: ones_like(_floating(leaf)), x),))[1]

    return named(derived, f, "deriv")


def _floating(x: Any) -> Tensor:
    x = operand(x)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def grad_and_aux(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """``grad(f, argnum, has_aux=True)``: gradient of the first of two results, and the second as it is."""
    return grad(f, argnum, has_aux=True)


def grad_named(f: Callable[..., Any], argname: str) -> Callable[..., Any]:
    """The gradient by the argument of this name, which is passed by position. Raises GradError where there is none."""
    names = list(inspect.signature(f).parameters)
    if argname not in names:
        raise GradError(f"[grad_named] the function has no argument {argname!r}; it has {', '.join(names)}.")
    return grad(f, names.index(argname))


def multigrad_dict(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function giving the gradients by all arguments, in a dict by their names; defaults count as arguments."""
    signature = inspect.signature(f)

    def gradients(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()

        def by_name(values: dict[str, Any]) -> Any:
            again = inspect.BoundArguments(signature, values)
            return f(*again.args, **again.kwargs)

        return grad(by_name)(dict(bound.arguments))

    return named(gradients, f, "multigrad_dict")


def holomorphic_grad(f: Callable[..., Any], argnum: Argnums = 0) -> Callable[..., Any]:
    """A function giving the complex derivative of a function that has one: df/dz, a complex number for each element."""
    inner = grad(lambda *args, **kwargs: operand(f(*args, **kwargs)).real, argnum)

    def derived(*args: Any, **kwargs: Any) -> Any:
        x = args[argnum] if isinstance(argnum, int) else [args[i] for i in argnum]
        if not all([_aval(leaf).dtype.kind == "c" for leaf in tree.leaves(x)]):
            warnings.warn("[holomorphic_grad] the input is not complex; grad() does the same for it.", stacklevel=2)
        return inner(*args, **kwargs)

    return named(derived, f, "holomorphic_grad")


def _aval(x: Any) -> Aval:
    return operand(x).aval


def hessian_tensor_product(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """``product(*args, tensor)``: the Hessian of the scalar-valued ``f`` by one argument, times a tensor of its shape.

    See ``at.hvp``; about four times the cost of f.
    """

    def product(*args: Any, **kwargs: Any) -> Any:
        *given, tensor = args
        unary, x = _unary(f, argnum, tuple(given), kwargs)
        _, pull = vjp(grad(unary), x)
        return pull(tensor)[0]

    return named(product, f, "hessian_tensor_product")


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """``product(*args, tensor)``: a tensor times the Jacobian of ``f``, summed over the axes of the tensor.

    The tensor has the leading axes of what ``f`` returns; for all of them this is ``at.vjp``.
    """

    def weighted(*args: Any, **kwargs: Any) -> Any:
        *given, tensor = args
        tensor = operand(tensor)
        return tensordot(tensor, f(*given, **kwargs), axes=tensor.ndim)

    return named(jacobian(weighted, argnum), f, "tensor_jacobian_product")


vector_jacobian_product = tensor_jacobian_product
