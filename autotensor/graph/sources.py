"""What a graph draws on from outside: the state of a computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from autotensor.core.grad import topological
from autotensor.core.tensor import Tensor, Variable


@runtime_checkable
class Source(Protocol):
    """Where impure operations have their results from: a random generator."""

    def get_state(self) -> Any:
        """The state, as plain data."""

    def set_state(self, state: Any) -> None:
        """Go back to a state."""


def sources(tensors: Tensor | Sequence[Tensor]) -> tuple[list[Variable], list[Any]]:
    """Variables and random generators that tensors depend on, each once, in the order of the graph.

    Equal programs list them in the same order. What they hold, with the arrays that are fed, decides all results: to
    go on with a computation in another process, take their values and ``get_state()`` there.

    >>> import autotensor as at
    >>> w = at.Variable([1.0, 2.0])
    >>> with at.deferred():
    ...     y = at.random.dropout(w * 3, 0.5)
    >>> variables, generators = at.sources(y)
    >>> variables[0] is w, generators == [at.random.default_generator]
    (True, True)
    """
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    found: dict[int, Any] = {id(x): x for x in roots if isinstance(x, Variable)}
    for node, _ in topological(roots):
        found.update({id(x): x for x in node.inputs if isinstance(x, Variable)})
        if not node.op.pure:
            found.update({id(p): p for p in node.params.values() if isinstance(p, Source)})
    variables = [x for x in found.values() if isinstance(x, Variable)]
    return variables, [x for x in found.values() if not isinstance(x, Variable)]
