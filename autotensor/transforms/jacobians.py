"""Whole matrices of derivatives: jacobian and hessian. All rows, or all columns, are made in one batch."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.state import state
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import GradError, GraphError, ShapeError, TraceError
from autotensor.ops.autodiff import check_output
from autotensor.ops.elementwise import multiply, subtract
from autotensor.ops.like import zeros_like
from autotensor.ops.shape import moveaxis, reshape, stack
from autotensor.transforms import tree
from autotensor.transforms.derivatives import (
    SINGLE,
    Argnums,
    Linear,
    Run,
    aux_of,
    check_function,
    enter,
    named,
    position_of,
    pull_back,
    regroup,
    released,
    run_on_leaves,
    transposed,
    which_arguments,
)
from autotensor.transforms.vmap import vmap

__all__ = ["hessian", "jacobian"]

log = logging.getLogger("autotensor")


# So few rows are quicker one by one than by a trace and a batch.
_FEW_ROWS = 6


def _size(x: Tensor, op: str) -> int:
    if None in x.shape:
        raise ShapeError(f"[{op}] expected known shapes; got {x.shape}. Use jvp or vjp, which need none?")
    return math.prod([d for d in x.shape if d is not None])


def _rows(pull: Callable[[Tensor], list[Tensor]], shape: tuple[Any, ...], n: int, dtype: Any) -> list[Tensor]:
    """``pull`` of each vector of the standard basis, stacked along a new axis 0.

    A rule that asks for the values of a gradient can not be batched: then it is one row after the other.
    """
    basis = np.eye(n, dtype=dtype).reshape(n, *shape)
    if n > _FEW_ROWS or not n:
        try:
            return vmap(pull)(wrap(basis))
        except (GraphError, TraceError) as error:
            if config.debug:
                log.info("[jacobian] goes row by row: %s", error)
    return [stack(parts) for parts in zip(*[pull(wrap(row)) for row in basis], strict=True)]


def _reshaped(table: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Derivatives of all elements of y by all elements of x, with the axes of both."""
    shape: Any = (*y.shape, *x.shape)
    return reshape(table, shape)


def _by_rows(linear: Run, op: str) -> list[list[Tensor]]:
    """For each output, for each leaf: derivatives of shape (*output, *leaf)."""
    table = []
    for k, y in enumerate(linear.outs):

        def pull(seed: Tensor, k: int = k) -> list[Tensor]:
            seeds = [seed if i == k else zeros_like(o) for i, o in enumerate(linear.outs)]
            return pull_back(linear, seeds, linear.linked or (state.tracking and seed.tracked), op)

        rows = _rows(pull, y.shape, _size(y, op), y.dtype)
        if y.dtype.kind == "c" and any([x.dtype.kind != "c" for x in linear.leaves]):
            # Back at a real leaf only the real part arrives: the imaginary one comes by way of -i.
            turned = _rows(lambda seed: pull(multiply(seed, -1j)), y.shape, _size(y, op), y.dtype)
            pairs = zip(rows, turned, linear.leaves, strict=True)
            rows = [r if x.dtype.kind == "c" else _complex(r, i) for r, i, x in pairs]
        table.append([_reshaped(row, y, x) for row, x in zip(rows, linear.leaves, strict=True)])
    return table


def _complex(real: Tensor, imag: Tensor) -> Tensor:
    return subtract(real, multiply(imag, -1j))


def _by_columns(linear: Linear, op: str) -> list[list[Tensor]]:
    outs, leaves = linear.run.outs, linear.run.leaves
    table: list[list[Any]] = [[None] * len(leaves) for _ in outs]
    for j, x in enumerate(leaves):

        def push(tangent: Tensor, j: int = j) -> list[Tensor]:
            flat = [tangent if i == j else zeros_like(leaf) for i, leaf in enumerate(leaves)]
            return linear.push(regroup(flat, linear.forms), op)

        n = _size(x, op)
        for k, column in enumerate(_rows(push, x.shape, n, x.dtype)):
            y = outs[k]
            table[k][j] = _reshaped(moveaxis(column, 0, -1), y, x)
    return table


def _jacobian_function(f: Callable[..., Any], chosen: Any, mode: str | None, has_aux: bool, op: str) -> Any:
    check_function(f, op)
    if mode not in (None, "reverse", "forward"):
        raise GradError(f"[{op}] mode is 'reverse', 'forward' or None for the cheaper; got {mode!r}.")
    positions = (chosen,) if isinstance(chosen, int) else chosen

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call, leaves, forms = enter(args, [position_of(i, args, op) for i in positions], op)
        run = run_on_leaves(f, call, kwargs, leaves, has_aux, op)
        for y in run.outs:
            check_output(y, op)
        sizes_in, sizes_out = sum([_size(x, op) for x in leaves]), sum([_size(y, op) for y in run.outs])
        # A forward derivative costs about two backward ones.
        forward = mode == "forward" or (mode is None and 3 * sizes_in < sizes_out)
        if mode is None and forward and any([x.dtype.kind == "c" for x in leaves]):
            forward = any([y.dtype.kind == "c" for y in run.outs])  # of real outputs only rows say it all
        if forward:
            table = _by_columns(transposed(run, forms, op), op)
        else:
            table = _by_rows(run, op)
        rows = []
        for row in table:
            parts = regroup([part if run.linked else released(part) for part in row], forms)
            rows.append(parts[0] if isinstance(chosen, int) else tuple(parts))
        result = rows[0] if run.form is SINGLE else tree.unflatten(run.form, rows)
        return (result, aux_of(run)) if has_aux else result

    return named(differentiated, f, op)


def jacobian(
    f: Callable[..., Any],
    argnum: Argnums | None = None,
    *,
    argnums: Argnums | None = None,
    mode: str | None = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """A function giving all derivatives of the outputs of ``f`` by its arguments ``argnum``: shape (*output, *input).

    The function is run once, and all rows are made in one batched walk. A tree of outputs gives a tree of Jacobians in
    its form, each a tree in the form of the argument.

    mode: "reverse" works by rows, "forward" by columns; by default columns where there are many more outputs than
        inputs.
    """
    return _jacobian_function(f, which_arguments(argnum, argnums, "jacobian"), mode, has_aux, "jacobian")


def hessian(
    f: Callable[..., Any], argnum: Argnums | None = None, *, argnums: Argnums | None = None
) -> Callable[..., Any]:
    """A function giving the second derivatives of ``f``: shape (*output, *input, *input).

    Of a tree: the Jacobian of the Jacobian. For its product with a vector use ``hvp``, which is as cheap as a gradient.
    """
    chosen = which_arguments(argnum, argnums, "hessian")
    inner = _jacobian_function(f, chosen, "reverse", False, "hessian")
    return named(_jacobian_function(inner, chosen, "reverse", False, "hessian"), f, "hessian")
