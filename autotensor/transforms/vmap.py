"""vmap: a function of one example made into one of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.tensor import Tensor, symbol
from autotensor.errors import AutotensorError, GraphError, ShapeError
from autotensor.ops.creation import operand
from autotensor.transforms import batching_rules, tree
from autotensor.transforms.batching import Batch, Batched, FreshKey, leading, trailing
from autotensor.transforms.recipe import record

__all__ = ["vmap"]

assert batching_rules  # the table of rules


def _axis(axis: Any, ndim: int, what: str) -> int:
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise ShapeError(f"[vmap] an axis is a whole number or None; got {axis!r} for {what}.")
    if not -ndim <= axis < ndim:
        hint = "Use None for what all examples share." if not ndim else f"Use {-ndim} to {ndim - 1}, or None."
        raise ShapeError(f"[vmap] {what} of rank {ndim} has no axis {axis}. {hint}")
    return int(axis) % ndim


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function that computes ``f`` for many examples at once.

    ``f`` is written for one example. It is run once on placeholders, and each operation it records is said once for all
    examples (an operation without a rule for that runs example by example: the logger "autotensor" tells of it while
    ``at.config.debug`` is on). The result is as that of a loop over the examples and a stack; random operations draw
    anew for each. It can be differentiated, batched again and compiled.

    in_axes: the axis of the examples in the arguments: one whole number for all, or a tuple with an entry for each
        argument: a number, None for an argument that all examples share, or a tree of these in the form of the
        argument. Keyword arguments have the examples along axis 0.
    out_axes: where the axis goes in the results: a number, or a tree in the form of the result; None for a result that
        is the same for all.

    Raises:
        ShapeError: arguments hold different numbers of examples; the message names two.
        TraceError: ``f`` asks for the value of a tensor, as a Python ``if`` does. Use ``at.where``.

    Raises GraphError for what is no function.

        >>> import autotensor as at
        >>> rows = at.asarray([[1.0, 2.0], [3.0, 4.0]])
        >>> at.vmap(lambda x: x / x.sum())(rows)
        Tensor([[0.33333333, 0.66666667],
                [0.42857143, 0.57142857]], dtype=float64)
        >>> at.vmap(at.grad(lambda x: (x**3).sum()))(rows)  # a gradient for each example
        Tensor([[ 3., 12.],
                [27., 48.]], dtype=float64)
    """
    if not callable(f):
        raise GraphError(f"[vmap] expected a function; got {type(f).__name__}. Write vmap(f)(x).")

    def batched(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes
        if isinstance(axes, (tuple, list)) and len(axes) != len(args):
            raise ShapeError(f"[vmap] in_axes has {len(axes)} entries; the function got {len(args)} arguments.")
        axes = tuple(axes) if isinstance(axes, list) else axes
        leaves, form = tree.flatten((args, kwargs))
        n_args = tree.structure(args).size
        spread = tree.spread(axes, form.children[0], "in_axes") + [0] * (len(leaves) - n_args)
        names = [p for i, x in enumerate(form.children[0].children) for p in tree.structure_paths(x, f"argument {i}")]
        names += tree.structure_paths(form.children[1], "keyword ")
        marks: list[Any] = []
        values: dict[int, Any] = {}
        batch: Batch | None = None
        first = ""
        for x, axis, name in zip(leaves, spread, names, strict=True):
            if axis is None:
                marks.append(operand(x) if isinstance(x, np.ndarray) else x)
                continue
            try:
                whole = operand(x)
            except (TypeError, ValueError):
                raise ShapeError(
                    f"[vmap] {name} is no tensor but {type(x).__name__}. Use None for it in in_axes?"
                ) from None
            whole = leading(whole, _axis(axis, whole.ndim, name))
            size = whole.shape[0]
            if batch is None or (batch.size is None and size is not None):
                batch, first = Batch(size, whole), name
            elif size is not None and size != batch.size:
                raise ShapeError(
                    f"[vmap] expected as many examples in all arguments; got {batch.size} in {first} and {size} in "
                    f"{name}. Use None in in_axes for what all examples share."
                )
            mark = symbol(Aval(whole.shape[1:], whole.dtype), name=f"an example of {name}")
            values[id(mark)] = Batched(whole)
            marks.append(mark)
        if batch is None:
            raise ShapeError("[vmap] expected an argument with an axis of examples; got none. Call f itself?")
        call_args, call_kwargs = tree.unflatten(form, marks)
        result, made = record(lambda: f(*call_args, **call_kwargs), "vmap")
        outs, out_form = tree.flatten(result)
        outs = [_result(x) for x in outs]
        places = tree.spread(out_axes, out_form, "out_axes")
        found = [_placed(batch, x, place) for x, place in zip(batch.run(outs, made, values), places, strict=True)]
        return tree.unflatten(out_form, found)

    batched.__name__ = f"vmap_of_{getattr(f, '__name__', 'function')}"
    batched.__doc__ = getattr(f, "__doc__", None)
    batched.__wrapped__ = f  # type: ignore[attr-defined]
    return batched


def _result(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    try:
        return operand(x)
    except (TypeError, ValueError, AutotensorError) as error:
        raise GraphError(f"[vmap] expected tensors as results; got {type(x).__name__}. Return arrays?") from error


def _placed(batch: Batch, x: Any, place: Any) -> Tensor:
    if place is None:
        if isinstance(x, (Batched, FreshKey)):
            raise ShapeError(
                "[vmap] out_axes is None for a result that is not the same for all examples. Give its axis."
            )
        return x
    whole = batch.full(x)
    return trailing(whole, _axis(place, whole.ndim, "a result"))
