"""``function`` and ``@compile``: the entries to the compiler."""

from __future__ import annotations

import functools
import gc
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

import numpy as np

from autotensor import config, locks
from autotensor.core.aval import Aval
from autotensor.core.op import Op
from autotensor.core.state import state, tracing
from autotensor.core.tensor import Node, Tensor, Variable, as_tensor, symbol, to_array, wrap
from autotensor.core.watch import span
from autotensor.errors import AutotensorError, DTypeError, GradError, GraphError
from autotensor.graph.check import check
from autotensor.graph.interpret import Replay, interpret, replay
from autotensor.graph.memory import Memory, memory_of
from autotensor.graph.plan import Plan
from autotensor.graph.show import graph_text
from autotensor.graph.sources import sources
from autotensor.graph.specialise import sized, specialise

log = logging.getLogger("autotensor")

# Plans own their buffers: a function called with ever new shapes keeps this many.
_MAX_PLANS = 16


class Function:
    """A compiled graph: call it with arrays in the order of ``inputs``; get arrays in the order of ``outputs``.

    A plan is made at the first call of each signature (shapes, values of static inputs, switches). Variables are read
    at call time; updates are computed from the values before the call. Returned arrays belong to the caller.

    May be called from several threads. Functions that touch a common Variable run one after the other, each call whole.

    Raises GraphError for inputs that have a value, for ``static`` inputs that are no inputs, and for updates that do
    not fit.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        outputs: Tensor | Sequence[Tensor],
        updates: Any = (),
        givens: Mapping[Tensor, Any] | None = None,
        static: Sequence[Tensor] = (),
        name: str | None = None,
    ):
        self.name = name or "function"
        if isinstance(inputs, Tensor):
            raise GraphError(f"[{self.name}] inputs must be a list of tensors; got one tensor. Write [x]?")
        self.inputs = list(inputs)
        self.single = isinstance(outputs, Tensor)
        self.outputs = [as_tensor(x) for x in ([outputs] if isinstance(outputs, Tensor) else outputs)]
        self.updates = _as_updates(updates)
        self.givens = {key: as_tensor(value) for key, value in (givens or {}).items()}
        for x in self.inputs:
            if not isinstance(x, Tensor) or isinstance(x, Variable) or x.data is not None:
                shown = type(x).__name__ if not isinstance(x, Tensor) else repr(x)
                raise GraphError(
                    f"[{self.name}] inputs must be placeholders or symbolic tensors; got {shown}. "
                    "Variables are read at call time and need not be listed."
                )
        for s in static:
            if not any(s is x for x in self.inputs):
                raise GraphError(f"[{self.name}] static inputs must be among the inputs; {s!r} is not. Add it there?")
        self._static = [i for i, x in enumerate(self.inputs) if any(x is s for s in static)]
        self._plans: OrderedDict[Any, Plan | Replay] = OrderedDict()
        self._last: tuple[Any, int] = None, -1  # the latest plan, and the generation of switches it was made for
        self._making = locks.rlock()
        self._turn: Any = None  # what to hold while running; known from the first call on
        self._runs = False

    def __call__(self, *args: Any) -> Any:
        plan, generation = self._last
        if generation == config.generation:
            try:
                fits = tuple([a.shape for a in args]) == plan.shapes
            except AttributeError:
                fits = False  # lists or numbers: converted below
            if fits:
                result = self._run(plan, args, args)
                return result[0] if self.single else result
        return self._slow_call(args)

    def _run(self, plan: Plan | Replay, arrays: Sequence[Any], args: Sequence[Any]) -> list[np.ndarray]:
        with self._turn:
            if self._runs:
                self._refuse_recursion()
            self._runs = True
            try:
                return plan.run(*arrays)
            except Exception as error:
                self._explain(plan, args, error)
                raise
            finally:
                self._runs = False

    def prepare(self, *shapes: Sequence[int]) -> Prepared:
        """The function for arrays of these shapes, to be run on arrays of its own: nothing is copied.

        Quick where there is a plan for the shapes already. Prepare anew when switches of ``config`` have changed.

        Raises:
            GraphError: a shape does not fit its input, or the function has static inputs.
        """
        if self._static:
            raise GraphError(f"[{self.name}] expected no static inputs: plans depend on their values. Call it instead.")
        if self._turn is None:
            self._find_turn()
        if config.nan_guard or not config.compile:
            return Prepared(self, None, [np.zeros(a.shape, a.dtype) for a in self._stand_ins(shapes)])
        key = self._key(shapes)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(key, self._stand_ins(shapes))
        if isinstance(plan, Plan):
            return Prepared(self, plan, plan.fed)
        return Prepared(self, plan, [np.zeros([n or 0 for n in x.shape], x.dtype) for x in plan.inputs])

    def memory(self, *shapes: Sequence[int]) -> Memory:
        """The memory that a call with arrays of these shapes takes, said without running it: its plan is made.

        Raises:
            GraphError: a shape does not fit its input, the function has static inputs, or shapes follow from values, so
                that nothing can be planned.
        """
        if self._static:
            raise GraphError(f"[{self.name}] expected no static inputs: plans depend on their values. Profile a call?")
        key = self._key(shapes)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(key, self._stand_ins(shapes))
        if not isinstance(plan, Plan):
            raise GraphError(
                f"[{self.name}] expected a graph whose shapes follow from those of its inputs; got one where they "
                "follow from values, so that nothing is planned. Profile a call instead?"
            )
        return memory_of(plan)

    def _stand_ins(self, shapes: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Arrays without memory of these shapes, checked."""
        dtypes = [x.dtype for x in self.inputs] + [np.dtype("f4")] * len(shapes)
        return self._arguments([np.broadcast_to(np.zeros((), d), shape) for d, shape in zip(dtypes, shapes)])

    def _key(self, shapes: Iterable[Sequence[int]], statics: Iterable[np.ndarray] = ()) -> Any:
        """Signature of a plan."""
        return tuple([tuple(s) for s in shapes]), tuple([a.tobytes() for a in statics]), config.plan_key()

    def _find_turn(self) -> None:
        """What to hold while running: nobody else touches our Variables then, nor the buffers of our plans."""
        with self._making:
            if self._turn is None:
                found, _ = sources([*self.outputs, *[new for _, new in self.updates], *self.givens.values()])
                self._turn = locks.Turns([variable for variable, _ in self.updates] + found).lock

    def _refuse_recursion(self) -> None:
        """Raise if this thread, whose turn it is, is running us; an interrupt may have left the mark that we run."""
        running = {plan.step.__code__ for plan in [*self._plans.values(), self._last[0]] if isinstance(plan, Plan)}
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code in running:
                raise GraphError(
                    f"[{self.name}] called again by an operation it is running; its buffers are in use. "
                    "Build a second function for the inner call."
                )
            frame = frame.f_back  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        raise TypeError(
            f"[{self.name}] a compiled function can not be copied or pickled: it owns buffers and follows its "
            "Variables. Keep the graph and build it again with function()."
        )

    @property
    def plans(self) -> list[Plan | Replay]:
        """What has been made of the graph so far, a plan for each signature; the latest last."""
        return list(self._plans.values())

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent so far in each step, by its label, in the plans made while ``config.debug`` was 2 or more."""
        total: dict[str, float] = {}
        for plan in self._plans.values():
            for label, spent in plan.seconds.items():
                total[label] = total.get(label, 0.0) + spent
        return total

    def _explain(self, plan: Plan | Replay, args: Sequence[Any], error: Exception) -> None:
        """Say what a failed run was about: an argument that does not convert, or the operation and its line."""
        if isinstance(error, TypeError):
            for x, value in zip(self.inputs, args, strict=True):
                dtype = getattr(value, "dtype", None)
                if dtype is not None and not np.can_cast(dtype, x.dtype, "same_kind"):
                    raise DTypeError(
                        f"[{self.name}] input {x.name or x.aval} takes {x.dtype}; got {dtype}. "
                        "Convert it with astype()?"
                    ) from error
        place = plan.place_of(error)
        if place:
            error.add_note(f"[{self.name}] raised by {place}")

    def _slow_call(self, args: Sequence[Any]) -> Any:
        arrays = self._arguments(args)
        if self._turn is None:
            self._find_turn()
        if config.nan_guard or not config.compile:
            with self._turn:
                result = self._interpreted(arrays)
        else:
            generation = config.generation  # a switch that changes meanwhile is noticed at the next call
            key = self._key([a.shape for a in arrays], [arrays[i].astype(self.inputs[i].dtype) for i in self._static])
            plan = self._plan(key, arrays)
            if not self._static:
                self._last = plan, generation
            result = self._run(plan, [a for i, a in enumerate(arrays) if i not in self._static], args)
        return result[0] if self.single else result

    def _plan(self, key: Any, arrays: Sequence[np.ndarray]) -> Plan | Replay:
        """The plan of a signature, made if need be; the oldest ones go."""
        with self._making:
            plan = self._plans.get(key)
            if plan is None:
                with _uncollected(), span("making the plan of " + self.name):
                    plan = self._plans[key] = self._compiled(arrays)
                while len(self._plans) > _MAX_PLANS:
                    self._plans.popitem(last=False)
            self._plans.move_to_end(key)
            return plan

    def _arguments(self, args: Sequence[Any]) -> list[np.ndarray]:
        if len(args) != len(self.inputs):
            names = ", ".join(x.name or repr(x.aval) for x in self.inputs)
            raise GraphError(
                f"[{self.name}] expected {len(self.inputs)} arrays ({names}); got {len(args)}. One for each input."
            )
        return [self._argument(x, value) for x, value in zip(self.inputs, args, strict=True)]

    def _argument(self, x: Tensor, value: Any) -> np.ndarray:
        try:
            array = to_array(value)
        except AutotensorError as error:
            raise type(error)(f"[{self.name}] input {x.name or x.aval}: {error}") from None
        shape = x.shape
        if len(shape) != array.ndim or any(d is not None and d != n for d, n in zip(shape, array.shape, strict=True)):
            want = str(shape).replace("None", "?")
            raise GraphError(
                f"[{self.name}] input {x.name or ''} takes shape {want}; got {array.shape}. Reshape the array?"
            )
        if not np.can_cast(array.dtype, x.dtype, "same_kind"):
            raise DTypeError(
                f"[{self.name}] input {x.name or x.aval} takes {x.dtype}; got {array.dtype}. Convert it with astype()?"
            )
        return array

    def _interpreted(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        values = {id(x): np.array(a, dtype=x.dtype) for x, a in zip(self.inputs, arrays, strict=True)}
        givens = list(self.givens.items())
        for (key, _), value in zip(givens, interpret([v for _, v in givens], dict(values)), strict=True):
            values[id(key)] = value
        return replay(values, self.outputs, self.updates, self.name)

    def _compiled(self, arrays: Sequence[np.ndarray]) -> Plan | Replay:
        inputs: list[Tensor] = []
        leaves: dict[int, Tensor] = {}
        for i, (x, a) in enumerate(zip(self.inputs, arrays, strict=True)):
            if i in self._static:
                leaves[id(x)] = wrap(a.astype(x.dtype))
                continue
            concrete = symbol(Aval(a.shape, x.dtype), name=x.name)
            leaves[id(x)] = concrete
            inputs.append(concrete)
        if self.givens:  # all at once, in terms of the inputs
            given = specialise(list(self.givens.values()), dict(leaves))
            leaves.update({id(key): value for key, value in zip(self.givens, given, strict=True)})
        roots = [*self.outputs, *[new for _, new in self.updates]]
        if config.debug >= 4:
            check(roots)
            print(graph_text(roots))
        concrete_roots = specialise(roots, leaves)
        if config.debug >= 4:
            check(concrete_roots, concrete=sized(concrete_roots))
            print(graph_text(concrete_roots))
        n = len(self.outputs)
        pairs = [(variable, new) for (variable, _), new in zip(self.updates, concrete_roots[n:], strict=True)]
        for variable, new in pairs:
            if len(new.shape) != variable.ndim or any(
                [a not in (None, b) for a, b in zip(new.shape, variable.shape, strict=True)]
            ):
                raise GraphError(
                    f"[{self.name}] the update of {variable.name or 'a Variable'} has shape {new.shape} for these "
                    f"arrays; the Variable has {variable.shape}. Reduce or reshape the new value?"
                )
        plan = (Plan if sized(concrete_roots) else Replay)(inputs, concrete_roots[:n], pairs, self.name)
        if config.debug >= 1:
            steps = len(plan.calls)
            print(f"[compile] {self.name} {plan.shapes}: {steps} steps, {plan.allocated / 1e6:.2f} MB of buffers")
        if config.debug >= 3:
            print(plan.source)
        return plan


@contextmanager
def _uncollected() -> Iterator[None]:
    """Make many objects that stay, without the garbage collector, which would look at all of them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Prepared:
    """A function for arrays of known shapes, made by :meth:`Function.prepare`.

    ``inputs`` are the arrays it reads and ``outputs`` those that hold its results, in the function's order::

        with prepared:
            prepared.inputs[0][...] = x
            prepared.run()
            total += prepared.outputs[0].item()

    Inside the ``with`` they are one's own; afterwards the next call of the function, by whomever, overwrites them.
    """

    __slots__ = ("_function", "_plan", "_turn", "inputs", "outputs", "run")

    def __init__(self, function: Function, plan: Plan | Replay | None, inputs: list[np.ndarray]):
        self._function = function
        self._plan = plan
        self._turn = function._turn
        self.inputs = inputs
        outputs: list[np.ndarray] = []

        def interpreted() -> None:
            outputs[:] = function._interpreted(inputs) if plan is None else plan.run(*inputs)

        self.outputs, self.run = (plan.results, plan.step) if isinstance(plan, Plan) else (outputs, interpreted)

    def __enter__(self) -> Prepared:
        self._turn.__enter__()
        if self._function._runs:
            self._refuse()
        self._function._runs = True
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._function._runs = False
        self._turn.__exit__(kind, error, trace)
        if self._plan is not None and isinstance(error, Exception):
            self._function._explain(self._plan, self.inputs, error)

    def _refuse(self) -> None:
        try:
            self._function._refuse_recursion()
        except GraphError:
            self._turn.__exit__(None, None, None)
            raise


def function(
    inputs: Sequence[Tensor],
    outputs: Tensor | Sequence[Tensor],
    updates: Any = (),
    givens: Mapping[Tensor, Any] | None = None,
    static: Sequence[Tensor] = (),
    name: str | None = None,
) -> Function:
    """Compile a symbolic graph to a callable from arrays to arrays.

    inputs: placeholders, or any symbolic tensors (the graph is cut there).
    outputs: one tensor (the call returns one array) or a sequence (the call returns a list).
    updates: pairs ``(Variable, new value)``, or a mapping; computed from the values before the call.
    givens: tensors replaced by a constant or another tensor, such as ``{learning_phase: 1}``.
    static: inputs whose value is part of the signature: a plan is specialised on it.

        >>> import numpy as np
        >>> import autotensor as at
        >>> x = at.placeholder((None,), dtype="float64")
        >>> f = at.function([x], [at.sum(x**2), at.grad(at.sum(x**2), x)])
        >>> f(np.array([1.0, 2.0]))
        [array(5.), array([2., 4.])]
    """
    return Function(inputs, outputs, updates, givens, static, name)


def _as_updates(updates: Any) -> list[tuple[Variable, Tensor]]:
    pairs: Iterable[Any] = updates.items() if isinstance(updates, Mapping) else updates
    result: list[tuple[Variable, Tensor]] = []
    seen: set[int] = set()
    for variable, new in pairs:
        if not isinstance(variable, Variable):
            raise GraphError(f"[function] an update changes a Variable; got {type(variable).__name__}. Swap the pair?")
        new = as_tensor(new)
        if id(variable) in seen:
            raise GraphError(f"[function] two updates of {variable.name or variable.aval}. Combine them into one.")
        seen.add(id(variable))
        known = [(a, b) for a, b in zip(variable.shape, new.shape, strict=False) if b is not None]
        if len(variable.shape) != len(new.shape) or any(a != b for a, b in known):
            raise GraphError(
                f"[function] the update of {variable.name or 'a Variable'} has shape {new.shape}; the Variable has "
                f"{variable.shape}. Reduce or reshape the new value?"
            )
        result.append((variable, new))
    return result


def evaluate(tensor: Tensor | Sequence[Tensor]) -> Any:
    """Value of a tensor (or list) now: Variables are read, random operations are drawn anew.

    >>> import numpy as np
    >>> import autotensor as at
    >>> x = at.Variable(np.ones(2))
    >>> at.evaluate(at.grad(at.sum(x**3), x))
    array([3., 3.])
    """
    if isinstance(tensor, Tensor):
        return np.array(interpret([tensor], {})[0])
    return [np.array(value) for value in interpret(list(tensor), {})]


class _Trace:
    """Assignments met while an eager step runs on placeholders."""

    def __init__(self) -> None:
        self.pending: dict[int, tuple[Variable, Tensor]] = {}

    def resolve(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.pending:
            return inputs
        return tuple([self.pending[id(x)][1] if id(x) in self.pending else x for x in inputs])

    def assign(self, variable: Variable, value: Tensor) -> None:
        if id(value) in self.pending:
            value = self.pending[id(value)][1]
        if value.shape != variable.shape:
            raise GraphError(
                f"[assign] variable {variable.name or ''} has shape {variable.shape}; the value has {value.shape}. "
                "The shape of a Variable never changes."
            )
        if value.dtype != variable.dtype:
            value = value.astype(variable.dtype)  # what a read in the rest of the step must see
        self.pending[id(variable)] = variable, value


class Compiled:
    """What ``@compile`` makes of a function: one compiled step per signature of its arguments."""

    def __init__(self, fn: Callable[..., Any]):
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.steps: OrderedDict[Any, tuple[Function, Any]] = OrderedDict()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        return self.fn.__qualname__  # by name, like any function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or not config.compile:
            return self.fn(*args, **kwargs)
        leaves: list[Any] = []
        structure = _flatten((args, kwargs), leaves)
        key = structure, tuple([(a.shape, a.dtype.str) for a in leaves]), config.generation
        found = self.steps.get(key)
        if found is None:
            found = self.steps[key] = self._trace(structure, leaves)
            while len(self.steps) > _MAX_PLANS:
                self.steps.popitem(last=False)
        step, results = found
        outs = [wrap(v) for v in step(*leaves)]
        if state.tracking:
            self._bar_gradients(outs, (args, kwargs))
        return _unflatten(results, iter(outs))

    def _bar_gradients(self, outs: Sequence[Tensor], arguments: Any) -> None:
        """Link results to the tracked arguments: a gradient through the step is an error then, not a silent zero."""
        roots: dict[int, Tensor] = {}
        for x in _tracked(arguments):
            # What earlier calls of steps came from: a loop of calls makes no chain that grows.
            behind = x.node.inputs if x.node is not None and x.node.op is _REPLAYED else (x,)
            roots.update((id(y), y) for y in behind)
        if not roots:
            return
        for out in outs:
            if out.dtype.kind in "fc":
                out.node = Node(_REPLAYED, tuple(roots.values()), {"step": getattr(self.fn, "__name__", "step")})
                out.tracked = True

    def _trace(self, structure: Any, leaves: Sequence[np.ndarray]) -> tuple[Function, Any]:
        inputs = [symbol(Aval(a.shape, a.dtype), name=f"argument {i}") for i, a in enumerate(leaves)]
        trace = _Trace()
        with tracing(trace):
            args, kwargs = _unflatten(structure, iter(inputs))
            result = self.fn(*args, **kwargs)
            outputs: list[Any] = []
            results = _flatten(result, outputs, keep=True)
        outputs = list(trace.resolve(tuple(outputs)))
        updates = list(trace.pending.values())
        return Function(inputs, outputs, updates, name=getattr(self.fn, "__name__", "step")), results


def _no_gradient(needs: Any, g: Any, out: Any, *inputs: Any, step: str) -> Any:
    raise GradError(
        f"[{step}] gradients do not pass through a compiled step. Take them inside of it, compile the function that "
        f"takes them, or call {step}.fn, which is not compiled; at.stop_gradient(result) if a constant is meant."
    )


_REPLAYED = Op("compiled step", impl=lambda *xs, step: xs[0], infer=lambda *xs, step: xs[0], vjp=_no_gradient)


def _tracked(tree: Any) -> Iterator[Tensor]:
    """Tensors with gradients among the arguments; Variables are read by the step itself."""
    if isinstance(tree, Tensor):
        if tree.tracked and not isinstance(tree, Variable) and tree.dtype.kind in "fc":
            yield tree
    elif isinstance(tree, (tuple, list)):
        for x in tree:
            yield from _tracked(x)
    elif isinstance(tree, dict):
        yield from _tracked(tuple(tree.values()))


_LEAF = object()


def _flatten(tree: Any, leaves: list[Any], keep: bool = False) -> Any:
    """Hashable structure of nested tuples, lists and dictionaries; arrays and tensors go to ``leaves``."""
    if isinstance(tree, Tensor) and not (isinstance(tree, Variable) and not keep):
        leaves.append(tree if keep else tree.numpy())
        return _LEAF
    if isinstance(tree, np.ndarray) or (keep and isinstance(tree, (bool, int, float, np.generic))):
        leaves.append(as_tensor(tree) if keep else to_array(tree))
        return _LEAF
    if isinstance(tree, (tuple, list)):
        kind = type(tree) if hasattr(tree, "_fields") else list if isinstance(tree, list) else tuple
        return kind, tuple([_flatten(x, leaves, keep) for x in tree])
    if isinstance(tree, dict):
        return dict, tuple([(k, _flatten(x, leaves, keep)) for k, x in tree.items()])
    return _Static, _Static(tree)


class _Static:
    """A static argument as part of a signature: equal only to one of the same type (2 is not 2.0, nor True 1)."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any):
        self.value = value
        self.key = (type(value), repr(value) if isinstance(value, float) else value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self.key == other.key

    def __hash__(self) -> int:
        try:
            return hash(self.key)
        except TypeError:
            kind = type(self.value).__name__
            raise GraphError(
                f"[compile] expected arguments that are tensors, arrays or hashable; got {kind}. "
                "Pass its arrays, or a tuple in its place."
            ) from None


def _unflatten(structure: Any, leaves: Any) -> Any:
    if structure is _LEAF:
        return next(leaves)
    kind, parts = structure
    if kind is _Static:
        return parts.value
    if kind is dict:
        return {k: _unflatten(x, leaves) for k, x in parts}
    items = [_unflatten(x, leaves) for x in parts]
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def compile(fn: Callable[..., Any]) -> Compiled:  # the name users know
    """Compile an eager step: run once on placeholders per signature, then replayed as one flat plan.

    Tensor and array arguments (also in tuples, lists and dictionaries) are inputs; everything else is static and must
    be hashable. ``Variable.assign`` becomes an update. Python side effects happen only while tracing.

        >>> import numpy as np
        >>> import autotensor as at
        >>> @at.compile
        ... def slope(x):
        ...     return at.grad(lambda x: at.sum(at.sin(x)))(x)
        >>> slope(np.zeros(2))
        Tensor([1., 1.], dtype=float64)
    """
    return Compiled(fn)
