"""The graph checker: run after each pass at debug level 4, and by the tests."""

from __future__ import annotations

from collections.abc import Sequence

from autotensor.core.grad import topological
from autotensor.core.op import operand_aval
from autotensor.core.tensor import Tensor
from autotensor.errors import GraphError


def check(outputs: Sequence[Tensor], concrete: bool = False) -> None:
    """Raise GraphError unless shapes follow the rules, parameters are hashable and outputs are numbered right.

    With ``concrete`` no dimension may be unknown.
    """
    for node, outs in topological(outputs):
        avals = node.op.infer(*[operand_aval(x) for x in node.inputs], **node.params)
        rule = avals if node.op.n_out > 1 else (avals,)
        try:
            hash(tuple(sorted(node.params.items())))
        except TypeError as error:
            raise GraphError(f"[{node.op.name}] parameters must be hashable; got {node.params}. Use tuples.") from error
        if node.op.repeats is not None:
            check(node.params["body"].outputs, concrete)
        for i, t in outs.items():
            if not 0 <= i < node.op.n_out:
                raise GraphError(f"[{node.op.name}] has {node.op.n_out} outputs; a tensor says it is number {i}.")
            if t.aval.dtype != rule[i].dtype or len(t.shape) != len(rule[i].shape):
                raise GraphError(f"[{node.op.name}] output {i} is {t.aval}; its shape rule says {rule[i]}.")
            if any(a != b and None not in (a, b) for a, b in zip(t.shape, rule[i].shape, strict=True)):
                raise GraphError(f"[{node.op.name}] output {i} is {t.aval}; its shape rule says {rule[i]}.")
            if concrete and not t.aval.known:
                raise GraphError(f"[{node.op.name}] output {i} still has an unknown dimension: {t.aval}.")
