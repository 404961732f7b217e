"""Batches: the values of many examples in one tensor, and the walk that carries a recording out on them.

A batched value has the examples along axis 0. Each operation has a batching rule in ``RULES``, by its name (see
``batching_rules``); it says the operation once for all examples with ordinary operations, so that what comes out can be
differentiated, batched again and compiled. Operations without a rule go through their fallback, or run example by
example.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval
from autotensor.core.op import Op, apply, operand_aval
from autotensor.core.state import state
from autotensor.core.tensor import Tensor, symbol, wrap
from autotensor.errors import AutotensorError, ShapeError, TraceError
from autotensor.ops.like import broadcast_like, fill_like
from autotensor.ops.random import next_key_op, random_bits
from autotensor.ops.scan import scan
from autotensor.ops.shape import broadcast_to, expand_dims, permute_dims, reshape, stack
from autotensor.transforms.recipe import Recording, needed, read, record

log = logging.getLogger("autotensor")

# rule(batch, op, inputs, params) -> result; inputs and results are Batched or the same for all examples.
Rule = Callable[["Batch", Op, Sequence[Any], dict[str, Any]], Any]
RULES: dict[str, Rule] = {}


class Batched:
    """A tensor with the examples along axis 0."""

    __slots__ = ("value",)

    def __init__(self, value: Tensor):
        self.value = value

    @property
    def ndim(self) -> int:
        """Rank of an example."""
        return self.value.ndim - 1

    @property
    def shape(self) -> tuple[Any, ...]:
        """Shape of an example."""
        return self.value.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the elements."""
        return self.value.dtype


class FreshKey:
    """A random key of which each example gets its own: one draw stands for all, see ``batching_rules``."""

    __slots__ = ("key",)

    def __init__(self, key: Tensor):
        self.key = key


def batching_rule(*names: str) -> Callable[[Rule], Rule]:
    """Make the decorated function the batching rule of these operations.

    ``rule(batch, op, inputs, params)`` gets the inputs, those that differ from example to example as ``Batched``, and
    returns the result (a tuple for several outputs), ``Batched`` too where it differs.
    """

    def decorate(rule: Rule) -> Rule:
        for name in names:
            RULES[name] = rule
        return rule

    return decorate


class Batch:
    """The examples: how many there are (None if unknown), and a tensor with as many entries along axis 0."""

    __slots__ = ("like", "size")

    def __init__(self, size: int | None, like: Tensor):
        self.size = size
        self.like = like

    def lead(self) -> int:
        """The size to put in a shape: -1 if it is unknown."""
        return -1 if self.size is None else self.size

    def full(self, x: Any) -> Tensor:
        """One value for each example, along axis 0; what all share is broadcast."""
        if isinstance(x, Batched):
            return x.value
        if isinstance(x, FreshKey):
            return self.keys(x)
        if not isinstance(x, Tensor):
            x = wrap(np.asarray(x))
        if self.size is not None and None not in x.shape:
            return broadcast_to(x, (self.size, *x.shape))
        ref = fill_like(self.like, value=0).astype(x.dtype)
        ref = ref if ref.ndim == 1 else ref[(slice(None), *(0,) * (ref.ndim - 1))]
        row = expand_dims(x, 0)
        return broadcast_like(row, fill_like(row, value=0) + ref.reshape((-1, *(1,) * x.ndim)))

    def rank(self, x: Any, rank: int) -> Any:
        """x with axes of 1 put before those of an example, up to a rank; the value as an operation takes it."""
        if not isinstance(x, Batched):
            return x
        missing = rank - x.ndim
        return expand_dims(x.value, tuple(range(1, 1 + missing))) if missing > 0 else x.value

    def keys(self, fresh: FreshKey) -> Tensor:
        """A key for each example. Raises ShapeError where their number is unknown."""
        if self.size is None:
            raise ShapeError(
                "[vmap] an unknown number of examples can not draw keys of their own. Draw outside, and pass it in?"
            )
        bits = random_bits(fresh.key, shape=(self.size,), dtype=np.dtype(np.uint64))
        return bits | wrap(np.asarray(1, np.uint64))  # the generator asks for odd keys

    # -- operations

    def apply(self, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
        """The result of an operation of which some inputs are batched."""
        if op is next_key_op:
            return FreshKey(apply(op, **params))
        if not any([isinstance(x, (Batched, FreshKey)) for x in inputs]):
            return apply(op, *inputs, **params)
        rule = RULES.get(op.name)
        if rule is None and op.expr is not None and not params and op.n_out == 1:
            rule = RULES["add"]  # elementwise
        if rule is None and op.fallback is not None:
            rule = _by_fallback
        return (rule or _one_by_one)(self, op, inputs, params)

    def run(self, outputs: Sequence[Tensor], made: Recording, values: dict[int, Any]) -> list[Any]:
        """The outputs of a recording with values, batched or not, for the tensors of these ids."""
        values = {**made.constants(), **values}
        done: dict[tuple[int, int], Any] = {}
        before = state.origin
        for node in needed(outputs, made.nodes, set(values)):
            inputs = [read(x, values, done) for x in node.inputs]
            state.origin = node.where or before  # errors and profiles name the line that was recorded
            try:
                result = self.apply(node.op, inputs, node.params)
            except AutotensorError as error:
                if node.where is not None:
                    error.add_note(f"raised by {node.op.name} in vmap, written at {node.where}")
                raise
            finally:
                state.origin = before
            for i, out in enumerate(result if node.op.n_out > 1 else (result,)):
                done[id(node), i] = out
        return [read(x, values, done) for x in outputs]

    def call(self, f: Callable[..., Any], inputs: Sequence[Any]) -> Any:
        """``f`` of the inputs of each example; f is run once, on placeholders."""
        marks: list[Any] = []
        values: dict[int, Any] = {}
        for x in inputs:
            mark = x
            if isinstance(x, (Batched, FreshKey)):
                mark = symbol(Aval(x.shape, x.dtype) if isinstance(x, Batched) else x.key.aval)
                values[id(mark)] = x
            marks.append(mark)
        result, made = record(lambda: f(*marks), "vmap")
        outs = list(result) if isinstance(result, (tuple, list)) else [result]
        found = self.run(outs, made, values)
        return tuple(found) if isinstance(result, (tuple, list)) else found[0]


def _by_fallback(batch: Batch, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """An operation that can be said with others."""
    assert op.fallback is not None
    fallback = op.fallback
    return batch.call(lambda *xs: fallback(*xs, **params), inputs)


def _one_by_one(batch: Batch, op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """An operation without a rule: right, but as slow as a loop."""
    if config.debug:
        log.info("[vmap] %s has no batching rule: it runs example by example", op.name)
    given = [Batched(batch.keys(x)) if isinstance(x, FreshKey) else x for x in inputs]
    if any([isinstance(x, Batched) and x.dtype.kind == "b" for x in given]) and _depends_on_values(op, given, params):
        raise TraceError(
            f"[vmap] the shape of the result of {op.name} depends on the values of a mask, and would differ from "
            "example to example. Use at.where(mask, x, 0)?"
        )
    places = [i for i, x in enumerate(given) if isinstance(x, Batched)]

    def one(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
        call = [x.value if isinstance(x, Batched) else x for x in given]
        for i, part in zip(places, parts, strict=True):
            call[i] = part
        out = apply(op, *call, **params)
        return out if isinstance(out, tuple) else (out,)

    wholes = [given[i].value for i in places]
    n = batch.size
    if n is None or (n > _UNROLLED and any([x.waits for x in wholes])):
        shared = [x for x in given if isinstance(x, Tensor)]
        outs = scan(lambda s, xs, c: ((), one(xs)), (), wholes, shared)[1]
    elif n == 0:
        outs = tuple([wrap(np.zeros((0, *[d or 0 for d in a.shape]), a.dtype)) for a in _avals(op, given, params)])
    else:
        rows = [one([x[i] for x in wholes]) for i in range(n)]
        outs = tuple([stack(parts) for parts in zip(*rows, strict=True)])
    found = tuple([Batched(x) for x in outs])
    return found if op.n_out > 1 else found[0]


# In a graph so many examples are written out; more become a loop.
_UNROLLED = 4


def _depends_on_values(op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> bool:
    known = all([None not in x.shape for x in inputs if isinstance(x, (Batched, Tensor))])
    return known and any([None in a.shape for a in _avals(op, inputs, params)])


def _avals(op: Op, inputs: Sequence[Any], params: dict[str, Any]) -> tuple[Aval, ...]:
    """Shapes and dtypes of the results for one example."""
    found = op.infer(*[Aval(x.shape, x.dtype) if isinstance(x, Batched) else operand_aval(x) for x in inputs], **params)
    return found if op.n_out > 1 else (found,)


def leading(x: Tensor, axis: int) -> Tensor:
    """x with an axis moved to the front."""
    return x if axis == 0 else permute_dims(x, (axis, *[k for k in range(x.ndim) if k != axis]))


def trailing(x: Tensor, axis: int) -> Tensor:
    """x with its first axis moved to a place."""
    if axis == 0:
        return x
    order = list(range(1, x.ndim))
    order.insert(axis, 0)
    return permute_dims(x, order)


def shaped(batch: Batch, x: Tensor, shape: Sequence[Any]) -> Tensor:
    """A batched x in another shape of an example, of which at most the number of examples is unknown."""
    return reshape(x, (batch.lead(), *shape))
