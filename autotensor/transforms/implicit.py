"""implicit_function: the gradient of a solution, from the equation that it solves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor.core.state import no_grad, state
from autotensor.core.tensor import Tensor
from autotensor.errors import GradError, ShapeError
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import negative
from autotensor.ops.like import zeros_like
from autotensor.ops.linalg import solve as linear_solve
from autotensor.ops.shape import concat, matrix_transpose, reshape
from autotensor.transforms import tree
from autotensor.transforms.checkpoint import constant, reading
from autotensor.transforms.derivatives import vjp
from autotensor.transforms.jacobians import jacobian
from autotensor.transforms.ruled import as_tensors, filled, tensor_leaves, with_rule

__all__ = ["implicit_function"]


class _Implicit:
    """The gradient of a solution, from the equation that it solves."""

    def __init__(self, residual: Any, form: Any, statics: Any, positions: Any, out: Any):
        self.residual = residual
        self.form = form
        self.statics = statics
        self.positions = positions
        self.out = out

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        shapes = [y.shape for y in outs]
        if any([None in shape for shape in shapes]):
            raise ShapeError(f"[implicit_function] expected a solution of known shape; got {shapes}.")

        def left(flat: Tensor, *values: Any) -> Tensor:
            """The residual as a vector, of the solution as a vector."""
            args = tree.unflatten(self.form, filled(self.statics, self.positions, values))
            result = self.residual(tree.unflatten(self.out, _split(flat, shapes)), *args)
            vector = _joined([operand(r) for r in tree.leaves(result)])
            if vector.shape != flat.shape:
                raise ShapeError(
                    f"[implicit_function] the residual must have as many elements as the solution, {flat.shape[0]}; "
                    f"got {vector.shape[0]}. One equation for each unknown."
                )
            return vector

        y = _joined(outs)
        weight = _joined([zeros_like(o) if part is None else part for o, part in zip(outs, g, strict=True)])
        slope = jacobian(left)(y, *xs)
        dual = negative(linear_solve(matrix_transpose(slope), weight))
        wanted = [k for k, need in enumerate(needs) if need]
        _, pull = vjp(lambda *chosen: left(y, *filled(xs, wanted, chosen)), *[xs[k] for k in wanted])
        return filled([None] * len(xs), wanted, pull(dual))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    flat = [reshape(x, (-1,)) for x in parts]
    return flat[0] if len(flat) == 1 else concat(flat)


def _split(flat: Tensor, shapes: Sequence[Any]) -> list[Tensor]:
    out = []
    start = 0
    for shape in shapes:
        n = int(np.prod(shape, dtype=int))
        out.append(reshape(flat if len(shapes) == 1 else flat[start : start + n], shape))
        start += n
    return out


def implicit_function(solve: Callable[..., Any], residual: Callable[..., Any]) -> Callable[..., Any]:
    """A function given by an equation: ``solve(*args)`` finds the y with ``residual(y, *args) = 0``.

    Gradients come from the equation at the solution, whatever ``solve`` does: it may iterate, use SciPy, and take any
    number of steps, and nothing of it is recorded. By the implicit function theorem dy/da = -(dr/dy)^-1 dr/da; the
    gradient solves one linear system with the matrix dr/dy, which is built, so y should have up to some thousands of
    elements. Right to any order, as far as the solution is accurate. For a fixed point y = f(y, a) the residual is
    y - f(y, a). Arguments and y are trees; what the residual is to be differentiated by must be an argument.

    Raises:
        ShapeError: the residual has not as many elements as the solution.
        numpy.linalg.LinAlgError: dr/dy is singular: the solution is no function of the arguments there.

    Raises GradError where the residual reads tensors with gradients that are no arguments, and for a solution of whole
    numbers.

        >>> import autotensor as at
        >>> def newton(a):
        ...     y = 1.0
        ...     for _ in range(20):
        ...         y = y - (y * y - a) / (2 * y)
        ...     return y
        >>> root = at.implicit_function(newton, lambda y, a: y * y - a)
        >>> at.grad(root)(4.0), at.grad(at.grad(root))(4.0)
        (Tensor(0.25, dtype=float64), Tensor(-0.03125, dtype=float64))
    """

    def solved(*args: Any) -> Any:
        leaves, form = tree.flatten(args)
        positions = tensor_leaves(leaves)
        xs = [leaves[i] for i in positions]
        waiting = any([x.waits for x in xs])
        given = xs if waiting else [constant(x) for x in xs]
        call = tree.unflatten(form, filled(leaves, positions, given))
        with no_grad():
            ys, out = as_tensors(solve(*call), "implicit_function")
        if not waiting:
            with no_grad(), reading("implicit_function") as reads:
                residual(tree.unflatten(out, [constant(y) for y in ys]), *call)
            for x in reads.found():
                shown = repr(x.name) if x.name else f"a tensor of shape {x.shape}"
                raise GradError(
                    f"[implicit_function] {shown} requires gradients and is read by the residual, but is no argument. "
                    "Pass it as an argument, or read stop_gradient(x)."
                )
        if not waiting and not (state.tracking and any([x.tracked for x in xs])):
            return tree.unflatten(out, ys)
        for y in ys:
            if y.dtype.kind not in "fc":
                raise GradError(f"[implicit_function] expected a floating solution; got {y.dtype}. Start from 1.0?")
        statics = filled(leaves, positions, [None] * len(positions))
        rule = _Implicit(residual, form, statics, positions, out)
        return tree.unflatten(out, with_rule(xs, ys, (), rule))

    solved.__name__ = getattr(solve, "__name__", "solution")
    solved.__doc__ = getattr(solve, "__doc__", None)
    return solved
