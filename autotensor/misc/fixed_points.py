"""Fixed points of functions, differentiated implicitly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.op import Op, apply
from autotensor.core.state import no_grad
from autotensor.core.tensor import Tensor, wrap
from autotensor.misc.flatten import flatten
from autotensor.ops.creation import asarray
from autotensor.ops.numpy_values import tensors_in
from autotensor.transforms.derivatives import vjp

__all__ = ["fixed_point"]


def fixed_point(
    f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Callable[..., Any], tol: float
) -> Any:
    """The x with ``f(a)(x) == x``, found by applying ``f(a)`` from x0 until ``distance(x, x_before) <= tol``.

    Gradients flow to ``a`` (any nesting of tuples, lists and dicts) by the implicit function theorem: their cost does
    not depend on the number of steps. ``x0`` gets none.
    """
    flat_a, unflatten_a = flatten(a)
    flat_x, unflatten_x = flatten(x0)

    def step(parameters: Any, x: Any) -> Any:
        return flatten(f(unflatten_a(parameters))(unflatten_x(x)))[0]

    if not tensors_in((a, x0)):
        return unflatten_x(_iterate(lambda x: _plain(step(flat_a, x)), flat_x, unflatten_x, distance, tol))

    def impl(parameters: np.ndarray) -> np.ndarray:
        start = flat_x.numpy() if isinstance(flat_x, Tensor) else flat_x
        with no_grad():
            return _iterate(lambda x: _plain(step(parameters, x)), start, unflatten_x, distance, tol)

    def rule(needs: Any, g: Tensor, out: Tensor, parameters: Tensor) -> Any:
        # The weights w of the result solve w = g + w df/dx, a fixed point again.
        def moved(given: Any) -> Callable[[Any], Any]:
            p, x, weights = given
            pull = vjp(lambda y: asarray(step(p, y)), x)[1]
            return lambda w: pull(w)[0] + weights

        found = fixed_point(moved, (parameters, out, g), wrap(np.zeros(np.shape(flat_x))), distance, tol)
        return vjp(lambda p: asarray(step(p, out)), parameters)[1](found)

    op = Op("fixed_point", impl=impl, infer=lambda p: Aval(np.shape(flat_x), np.float64), vjp=rule)
    return unflatten_x(apply(op, asarray(flat_a, np.float64)))


def _plain(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _iterate(
    step: Callable[..., Any], x: Any, unflatten: Callable[..., Any], distance: Callable[..., Any], tol: float
) -> Any:
    before, x = x, step(x)
    while distance(unflatten(x), unflatten(before)) > tol:
        before, x = x, step(x)
    return x
