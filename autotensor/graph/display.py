"""``show`` and ``to_dot``: whatever can be looked at, as text or as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, GraphError
from autotensor.graph.compile import Compiled, Function
from autotensor.graph.dot import graph_dot
from autotensor.graph.fuse import Group
from autotensor.graph.plan import Plan
from autotensor.graph.show import graph_text, plan_text, size

Shown = Tensor | Sequence[Tensor] | Function | Compiled


def show(
    x: Shown,
    file: Any = None,
    *,
    format: str = "text",
    depth: int | None = None,
    max_nodes: int | None = None,
    lines: bool = False,
) -> str:
    """Print what is under ``x``, one operation a line, inputs first; returns the text.

    x: one or more tensors: a symbolic graph, the tape of eager tensors (with the memory that it keeps for gradients),
        gradients of either; or a compiled function: the steps of its plans, what they read, where the results go and
        which memory is used again. A function that has not been called yet has no plan, and shows its graph.
    format: ``"text"``, or ``"dot"`` for a picture by Graphviz (see ``to_dot``).
    depth: only operations less than so many steps away from ``x``. max_nodes: so many lines at most.
    lines: the line of the program behind each operation, where it is known: always in graphs, and on tapes recorded
        in anomaly mode, in profiles or with ``AUTOTENSOR_DEBUG``.

    Raises GraphError for another format, DTypeError for what has no graph.

    >>> import autotensor as at
    >>> x = at.placeholder((None, 3), name="x")
    >>> text = at.show(at.tanh(x) * 2)
    %0 = tanh(x: float32[?, 3])                                  -> float32[?, 3]
    %1 = multiply(%0, 2)                                         -> float32[?, 3]
    return %1
    """
    if format == "dot":
        text = to_dot(x, depth=depth, max_nodes=max_nodes)
    elif format == "text":
        text = "\n".join(_texts(x, depth, max_nodes, lines))
    else:
        raise GraphError(f"[show] format must be 'text' or 'dot'; got {format!r}. Leave it out for text.")
    print(text, file=file)
    return text


def to_dot(x: Shown, *, depth: int | None = None, max_nodes: int | None = None) -> str:
    """The graph, tape or compiled function as a picture: text in the DOT language of Graphviz.

    Operations are boxes (those of gradients in another colour, the program's line as tooltip), Variables, inputs and
    constants ellipses. Frames are name scopes, such as the layers of a Keras model; of a function with a plan they
    are its generated kernels. ``depth`` and ``max_nodes`` leave out what is further away from the results.

    Raises GraphError for a function with several graphs.
    """
    if isinstance(x, (Function, Compiled)):
        functions = _functions(x)
        parts = [_function_dot(f, depth, max_nodes) for f in functions]
        if len(parts) == 1:
            return parts[0]
        raise GraphError(f"[to_dot] expected one graph; {x!r} has {len(parts)}. Call it first, or build a function().")
    return graph_dot(_tensors(x, "to_dot"), depth, max_nodes)


def _function_dot(f: Function, depth: int | None, max_nodes: int | None) -> str:
    plans = [plan for plan in f.plans if isinstance(plan, Plan)]
    if not plans:
        return graph_dot([*f.outputs, *[new for _, new in f.updates]], depth, max_nodes, name=f.name)
    plan = plans[-1]
    kernels = [(step.unit.label, step.unit.nodes) for step in plan.steps if isinstance(step.unit, Group)]
    return graph_dot([*plan.outputs, *[new for _, new in plan.updates]], depth, max_nodes, kernels, f.name)


def _texts(x: Shown, depth: int | None, max_nodes: int | None, lines: bool) -> list[str]:
    if not isinstance(x, (Function, Compiled)):
        return [graph_text(_tensors(x, "show"), depth, max_nodes, lines)]
    texts = []
    for f in _functions(x):
        inputs = ", ".join(f"{i.name or f'in{k}'}: {i.aval}" for k, i in enumerate(f.inputs))
        texts.append(f"function {f.name}({inputs}): {len(f.outputs)} outputs, {len(f.updates)} updates")
        plans = [plan for plan in f.plans if isinstance(plan, Plan)]
        for plan in plans:
            shapes = ", ".join(map(str, plan.shapes))
            parts = f"{len(plan.steps)} operations and kernels in {len(plan.calls)} calls"
            texts.append(f"plan for {shapes or 'no arrays'}: {parts}, {size(plan.allocated)} of memory")
            texts.append(plan_text(plan, max_nodes, lines))
        if not plans:
            why = "none possible: shapes follow from values" if f.plans else "none yet: call it; this is its graph"
            texts.append(f"plan: {why}")
            texts.append(graph_text([*f.outputs, *[new for _, new in f.updates]], depth, max_nodes, lines))
    return texts or [f"function {getattr(x, '__name__', '')}: nothing compiled yet. Call it first."]


def _functions(x: Function | Compiled) -> list[Function]:
    return [x] if isinstance(x, Function) else [step for step, _ in x.steps.values()]


def _tensors(x: Any, op: str) -> list[Tensor]:
    found = [x] if isinstance(x, Tensor) else list(x) if isinstance(x, (list, tuple)) else [x]
    for one in found:
        if not isinstance(one, Tensor):
            raise DTypeError(
                f"[{op}] expected tensors or a compiled function; got {type(one).__name__}. "
                "Of a plain function show the result."
            )
    return found
