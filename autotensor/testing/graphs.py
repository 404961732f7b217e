"""A symbolic graph as an eager function in double precision, so that its gradients can be checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from autotensor import Tensor, Variable
from autotensor.core.grad import topological
from autotensor.core.loop import Body
from autotensor.core.op import apply
from autotensor.core.state import recording

_WIDE = {"e": np.float64, "f": np.float64, "F": np.complex128}


def graph_function(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], givens: Mapping[Tensor, Any] | None = None
) -> Callable[..., list[Tensor]]:
    """The graph under ``outputs`` as a function of values for ``inputs``, computed eagerly in double precision.

    Constants, Variables and casts in single precision become double, steps of loops too; Variables that are double
    themselves are used as they are, so gradients by them are found. Random numbers are the same at each call, and no
    generator moves on. Nothing of the graph is changed.

    Args:
        outputs: symbolic tensors.
        inputs: placeholders, or other tensors of the graph, that the values stand for.
        givens: values for more of them, the same at each call.

    Returns:
        A function of as many tensors or arrays as there are inputs; it returns a list of tensors.

    The function raises TypeError for another number of values.

    >>> import autotensor as at
    >>> x = at.placeholder((None,), "float32")
    >>> f = at.testing.graph_function([at.sum(x * x)], [x])
    >>> f(at.Tensor([1.0, 2.0]))[0]
    Tensor(5., dtype=float64)
    """
    fixed = {id(x): _widened(at.asarray(value)) for x, value in (givens or {}).items()}
    keep = [*inputs, *(givens or {})]  # ids stand for them as long as they live
    program = _Program(outputs, {id(x) for x in keep})
    _, generators = at.sources(list(outputs))
    drawn = [generator.get_state() for generator in generators]

    def function(*values: Any) -> list[Tensor]:
        if len(values) != len(inputs):
            raise TypeError(f"[graph_function] expected {len(inputs)} values; got {len(values)}. Give one for each.")
        given = {id(x): _widened(at.asarray(value)) for x, value in zip(inputs, values)}
        now = [generator.get_state() for generator in generators]
        try:
            for generator, state in zip(generators, drawn):
                generator.set_state(state)
            with at.immediate():
                return program.run({**fixed, **given})
        finally:
            for generator, state in zip(generators, now):
                generator.set_state(state)

    return function


class _Program:
    """The operations of a graph in order, ready to be applied again to other tensors."""

    def __init__(self, outputs: Sequence[Tensor], stop: set[int]):
        self.outputs = list(outputs)
        self.steps = [
            (node, {key: _wide_parameter(value) for key, value in node.params.items()})
            for node, _ in topological(self.outputs, stop)
        ]
        self._constants: dict[int, Tensor] = {}

    def run(self, given: Mapping[int, Tensor]) -> list[Tensor]:
        """The outputs, given tensors for some others by id."""
        done: dict[tuple[int, int], Tensor] = {}

        def read(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            if id(x) in given:
                return given[id(x)]
            return done[id(x.node), x.index] if x.node is not None else self._constant(x)

        for node, params in self.steps:
            results = apply(node.op, *[read(x) for x in node.inputs], **params)
            for i, result in enumerate(results if node.op.n_out > 1 else (results,)):
                done[id(node), i] = result
        return [read(x) for x in self.outputs]

    def _constant(self, x: Tensor) -> Tensor:
        if isinstance(x, Variable):
            return x if x.dtype.char not in _WIDE else _widened(Tensor(x.numpy()))
        if x.data is None or x.dtype.char not in _WIDE:
            return x  # a placeholder says itself that it has no value
        if id(x) not in self._constants:
            self._constants[id(x)] = _widened(Tensor(x.data))
        return self._constants[id(x)]


def _widened(x: Tensor) -> Tensor:
    return x.astype(_WIDE[x.dtype.char]) if x.dtype.char in _WIDE else x


def _wide_parameter(value: Any) -> Any:
    if isinstance(value, Body):
        return _wide_body(value)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.inexact)):
        dtype = np.dtype(value)
        return np.dtype(_WIDE.get(dtype.char, dtype))
    return value


def _wide_body(body: Body) -> Body:
    """The same step on wider numbers."""
    inputs = tuple(at.placeholder(x.shape, _WIDE.get(x.dtype.char, x.dtype), name=x.name) for x in body.inputs)
    program = _Program(body.outputs, {id(x) for x in body.inputs})
    with recording():
        outputs = program.run({id(old): new for old, new in zip(body.inputs, inputs)})
    return Body(inputs, outputs, body.n_states, body.n_sequences, body.reverse)
