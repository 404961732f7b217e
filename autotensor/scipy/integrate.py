"""``scipy.integrate.odeint`` with derivatives by the adjoint method. SciPy solves: ``pip install scipy``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.op import Op, apply
from autotensor.core.state import no_grad
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import TraceError
from autotensor.misc.flatten import flatten
from autotensor.ops import linalg, shape
from autotensor.ops.creation import asarray, operand, zeros_like
from autotensor.ops.numpy_values import tensors_in
from autotensor.transforms.derivatives import vjp

__all__ = ["odeint"]


def _solver() -> Callable[..., Any]:
    try:
        import scipy.integrate
    except ImportError:
        raise ImportError("[odeint] SciPy solves the equation, and is not installed: pip install scipy") from None
    return scipy.integrate.odeint


def odeint(func: Callable[..., Any], y0: Any, t: Any, args: tuple[Any, ...] = (), **kwargs: Any) -> Any:
    """Solution of dy/dt = func(y, t, *args) from y0 at t[0], at the times t: shape (len(t), len(y0)).

    ``func`` is written with ``autotensor.numpy`` and gives the derivative of the vector y. Gradients flow to y0, t and
    args (any nesting of tuples, lists and dicts): the adjoint equation is solved backward between the times, with the
    same options (``rtol``, ``atol``...; Chen et al., Neural ordinary differential equations, NeurIPS 2018).

    Raises TraceError in graphs.
    """
    if not tensors_in((y0, t, args)):
        return _solver()(_on_arrays(func), np.asarray(y0), np.asarray(t), args, **kwargs)
    flat, unflatten = flatten(args)
    inputs = [operand(y0), operand(t), asarray(flat, np.float64)]
    for x in inputs:
        if x.waits:
            raise TraceError("[odeint] needs values; got a tensor without one. Use at.scan for a graph of steps.")
    return apply(_operation(func, unflatten, kwargs), *inputs)


def _on_arrays(func: Callable[..., Any]) -> Callable[..., Any]:
    """The right-hand side for SciPy, which knows arrays only."""

    def plain(y: np.ndarray, t: float, *args: Any) -> Any:
        with no_grad():
            found = func(y, t, *args)
            return np.asarray(asarray(found)) if tensors_in((found,)) else found

    return plain


def _operation(func: Callable[..., Any], unflatten: Callable[..., Any], options: dict[str, Any]) -> Op:
    """The solution as an operation on (y0, t, all parameters in one vector)."""

    def rhs(y: Any, t: Any, flat: Any) -> Any:
        return func(y, t, *unflatten(flat))

    def impl(y0: np.ndarray, t: np.ndarray, flat: np.ndarray) -> np.ndarray:
        return _solver()(_on_arrays(rhs), y0, t, (flat,), **options)

    def augmented(whole: Any, t: Any, flat: Any) -> Any:
        n = (len(whole) - 1 - len(flat)) // 2
        y, weights = whole[:n], whole[n : 2 * n]
        value, pull = vjp(lambda *primals: asarray(rhs(*primals)), y, t, flat)
        gy, gt, gf = pull(-operand(weights))
        return shape.concat([operand(value), gy, gt.reshape((1,)), shape.flatten(gf)])

    def rule(needs: Any, g: Tensor, out: Tensor, y0: Tensor, t: Tensor, flat: Tensor) -> Any:
        steps = t.shape[0]
        assert steps is not None
        n = y0.shape[0] or 0
        weights = g[-1]
        start: Any = wrap(np.zeros(()))
        by_time: list[Any] = []
        by_parameters: Any = zeros_like(flat)
        for i in range(steps - 1, 0, -1):
            moved = linalg.dot(asarray(rhs(out[i], t[i], flat)), g[i])  # by the time of this measurement
            by_time.append(moved)
            start = start - moved
            whole = shape.concat([out[i], weights, start.reshape((1,)), by_parameters])
            times = shape.stack([t[i], t[i - 1]])
            back = operand(odeint(augmented, whole, times, (flat,), **options))[1]
            weights = back[n : 2 * n] + g[i - 1]
            start = back[2 * n]
            by_parameters = back[2 * n + 1 :]
        by_time.append(start)
        return weights, shape.stack(by_time[::-1]), by_parameters

    return Op("odeint", impl=impl, infer=lambda y0, t, flat: Aval((t.shape[0], y0.shape[0]), np.float64), vjp=rule)
