"""Results with a gradient rule of their own: what custom gradients, checkpoints and implicit functions are made of.

All three are one operation. Its inputs are the arguments, the results that were computed from them by other means, and
what the backward step needs besides; its outputs are the results. A rule, its parameter, says the gradient with
ordinary operations, so it can be differentiated. In a compiled graph nothing of it is left but the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from autotensor.core.op import Op, apply, register
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import GradError
from autotensor.ops.creation import operand
from autotensor.transforms import tree
from autotensor.transforms.batching import Batch, Batched, FreshKey, batching_rule


class GradientRule(Protocol):
    """How gradients of the results become gradients of the arguments."""

    def backward(
        self, needs: Sequence[bool], g: Sequence[Any], outs: Sequence[Tensor], xs: Sequence[Any], rest: Sequence[Any]
    ) -> Sequence[Any]:
        """Gradients of ``xs``, None for zero, from those of ``outs``, some of which may be None."""


def _parts(inputs: Sequence[Any], n_x: int, n_y: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    return inputs[:n_x], inputs[n_x : n_x + n_y], inputs[n_x + n_y :]


def _impl(*inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> Any:
    ys = _parts(inputs, n_x, n_y)[1]
    return tuple(ys) if n_y > 1 else ys[0]


def _infer(*inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> Any:
    return _impl(*inputs, rule=rule, n_x=n_x, n_y=n_y)


def _lower(out: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return _impl(*inputs, **params)


def _vjp(needs: Any, g: Any, out: Any, *inputs: Any, rule: GradientRule, n_x: int, n_y: int) -> list[Any]:
    xs, _, rest = _parts(inputs, n_x, n_y)
    gs = g if isinstance(g, tuple) else (g,)
    outs = out if isinstance(out, tuple) else (out,)
    found = list(rule.backward(needs[:n_x], gs, outs, xs, rest))
    return found + [None] * (len(inputs) - n_x)


@cache
def _op(n_out: int) -> Op:
    """The operation for that many results; all of them have one name."""
    return Op("custom_vjp", impl=_impl, infer=_infer, vjp=_vjp, lower=_lower, n_out=n_out, doc=_DOC)


_DOC = "Results that were computed already, with a gradient rule of their own."
register(_op(1))


def with_rule(xs: Sequence[Any], ys: Sequence[Tensor], rest: Sequence[Any], rule: GradientRule) -> list[Tensor]:
    """Results that have this rule."""
    # What an eager result was computed by is not needed, and not kept.
    ys = [y if y.data is None else wrap(y.data) for y in ys]
    out = apply(_op(len(ys)), *xs, *ys, *rest, rule=rule, n_x=len(xs), n_y=len(ys))
    return list(out) if isinstance(out, tuple) else [out]


class _BatchedRule:
    """The rule for many examples at once."""

    def __init__(self, rule: GradientRule, batch: Batch, kinds: list[type | None]):
        self.rule = rule
        self.size = batch.size
        self.kinds = kinds  # how each of ``rest`` stands for the examples

    def backward(self, needs: Any, g: Any, outs: Any, xs: Any, rest: Any) -> Sequence[Any]:
        like = next(x for x in g if x is not None)
        batch = Batch(self.size, like)
        given = [x for x in g if x is not None]
        marked = [Batched(x) for x in (*given, *outs, *xs)]
        marked += [x if kind is None else kind(x) for x, kind in zip(rest, self.kinds, strict=True)]

        def one(*values: Any) -> Any:
            parts = iter(values)
            gs = [None if x is None else next(parts) for x in g]
            ys = [next(parts) for _ in outs]
            return list(self.rule.backward(needs, gs, ys, [next(parts) for _ in xs], list(parts)))

        found = batch.call(one, marked)
        return [None if x is None else batch.full(x) for x in found]


@batching_rule("custom_vjp")
def _batched(batch: Batch, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    xs, ys, rest = _parts(inputs, params["n_x"], params["n_y"])
    kinds = [type(x) if isinstance(x, (Batched, FreshKey)) else None for x in rest]
    values = [x.value if isinstance(x, Batched) else x.key if isinstance(x, FreshKey) else x for x in rest]
    rule = _BatchedRule(params["rule"], batch, kinds)
    out = op(*[batch.full(x) for x in (*xs, *ys)], *values, **{**params, "rule": rule})
    return tuple([Batched(x) for x in out]) if op.n_out > 1 else Batched(out)


def tensor_leaves(leaves: Sequence[Any]) -> list[int]:
    return [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]


def filled(leaves: Sequence[Any], positions: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """The leaves with other values at these positions."""
    out = list(leaves)
    for i, value in zip(positions, values, strict=True):
        out[i] = value
    return out


def as_tensors(result: Any, op: str) -> tuple[list[Tensor], tree.Structure]:
    leaves, form = tree.flatten(result)
    try:
        outs = [operand(x) for x in leaves]
    except (TypeError, ValueError) as error:
        raise GradError(f"[{op}] expected tensors as results. {error}") from error
    if not outs:
        raise GradError(f"[{op}] expected a result; the function returned none. Return what it computes.")
    return outs, form
