"""Who looks on while operations are computed: the search for the first NaN, a profiler; and where operations come from.

``state.watch`` is the only hook on the way of an eager operation. It is None unless a switch is on, so looking costs
nothing when nobody looks. The interpreter of graphs and the steps of loops pass through the same object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval
from autotensor.core.state import state
from autotensor.core.tensor import Node, Place, user_line
from autotensor.errors import NanError

if TYPE_CHECKING:
    from autotensor.core.op import Op

# Operands up to this many elements are shown whole in the message of a NanError.
_SMALL = 8


class Profiler(Protocol):
    """What the engine tells a profiler (see ``autotensor.profiler``)."""

    def run(self, op: Op, arrays: Sequence[Any], params: dict[str, Any], node: Node | None) -> Any:
        """Compute ``op.impl(*arrays, **params)`` and return it."""

    def begin(self, name: str, kind: str) -> Any:
        """Something begins that holds other events; returns what ``end`` takes."""

    def end(self, token: Any) -> None:
        """It has ended, by an error or not."""

    def plan_began(self, plan: Any) -> Any:
        """A compiled step begins."""

    def call_begins(self) -> float:
        """A call of a compiled step begins; returns the time."""

    def plan_call(self, plan: Any, number: int, start: float) -> None:
        """The call of that number, begun at ``start``, has ended."""


class Watcher:
    """What looks at operations now; made by ``_settle`` from the switches."""

    __slots__ = ("guard", "infinity", "profiler")

    def __init__(self, guard: bool, infinity: bool, profiler: Profiler | None):
        self.guard = guard
        self.infinity = infinity
        self.profiler = profiler

    def run(
        self,
        op: Op,
        inputs: Sequence[Any],
        arrays: Sequence[Any],
        params: dict[str, Any],
        node: Node | None = None,
        step: int | None = None,
    ) -> Any:
        """Compute ``op.impl(*arrays, **params)`` for an eager operation, or a ``node`` of a graph, in a ``step``."""
        if self.guard:
            with np.errstate(all="ignore"):  # the error says all that a warning would
                result = self._computed(op, arrays, params, node)
            check_finite(op, result, arrays, node, step, self.infinity)
            return result
        return self._computed(op, arrays, params, node)

    def _computed(self, op: Op, arrays: Sequence[Any], params: dict[str, Any], node: Node | None) -> Any:
        profiler = self.profiler
        return op.impl(*arrays, **params) if profiler is None else profiler.run(op, arrays, params, node)

    def recorded(self, node: Node) -> None:
        """An eager operation was recorded: note the user's line."""
        node.where = here()


_infinity = True
_profiler: Profiler | None = None


def _settle() -> None:
    """Have all threads looked at as the switches say."""
    watched = config.nan_guard or config.debug > 0 or _profiler is not None
    type(state).watch = Watcher(config.nan_guard, _infinity, _profiler) if watched else None


config.follow(_settle)


def set_profiler(profiler: Profiler | None) -> Profiler | None:
    """Tell ``profiler`` of everything from now on, in all threads; returns the one before."""
    global _profiler
    before, _profiler = _profiler, profiler
    config.profiling = profiler is not None
    config.set()
    return before


@contextmanager
def detect_anomaly(infinity: bool = True) -> Iterator[None]:
    """Stop at the first NaN or infinity in this block, forward and backward, with an error that says where it arose.

    The ``NanError`` names the operation with its operands' shapes and values at the first bad element, whether they
    were finite, and the line of the program; in a gradient, the operation whose rule it was, the line where that was
    recorded and the line that asked for the gradient. Compiled functions run operation by operation; in a loop
    (``scan``) the step is named, in a Keras model the layer, and in its ``fit`` the batch. The same as the switch
    ``nan_guard``, for all threads; NumPy's own warnings are silent.

    infinity: False lets infinities pass, for masks made with ``-inf``.
    """
    global _infinity
    before, _infinity = _infinity, infinity
    try:
        with config.use(nan_guard=True):
            yield
    finally:
        _infinity = before
        _settle()


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Name what is computed or built in this block, for profiles, errors and pictures: ``"encoder"``.

    Scopes in scopes are written ``"encoder/attention"``. Gradients belong to the scope of what they are gradients of.
    """
    before = state.scope
    state.scope = f"{before}/{name}" if before else name
    try:
        yield
    finally:
        state.scope = before


class span:
    """A part of a program with a name, and perhaps a number: ``with at.span("batch", 3):``.

    It is an event of a profile, and an error of anomaly mode in it names it. It costs next to nothing otherwise.
    """

    __slots__ = ("name", "number", "token")

    def __init__(self, name: str, number: int | None = None):
        self.name = name
        self.number = number
        self.token: Any = None

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name} {self.number}"

    def __enter__(self) -> span:
        watch = state.watch
        if watch is not None and watch.profiler is not None:
            self.token = watch.profiler, watch.profiler.begin(str(self), self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.token is not None:
            profiler, token = self.token
            profiler.end(token)
        if isinstance(error, NanError):
            error.within(str(self))


def here() -> Place:
    """Where the operation that is being recorded comes from."""
    if state.origin is not None:
        return state.origin
    pulled = state.pulling
    if pulled is None:
        return Place(user_line(), state.scope, None)
    where = pulled.where
    return Place(user_line(), where.scope if where is not None else state.scope, Rule(pulled.op.name, where))


class Rule(NamedTuple):
    """The operation whose gradient rule made a node, and where that operation was recorded, if known."""

    op: str
    where: Place | None

    def __str__(self) -> str:
        at = f"recorded at {self.where}" if self.where is not None else "recorded before anything looked on"
        return f"in the gradient of {self.op} ({at})"


# -- the first NaN ----------------------------------------------------------------------------------------------------


def check_finite(
    op: Op, result: Any, arrays: Sequence[Any], node: Node | None = None, step: int | None = None, infinity: bool = True
) -> None:
    """Raise NanError if a result of an operation is not finite (with ``infinity=False``: is NaN)."""
    for k, value in enumerate(result if op.n_out > 1 else (result,)):
        if getattr(value, "dtype", _BOOL).kind not in "fc" or np.isfinite(value).all():
            continue
        if infinity or np.isnan(value).any():
            raise _found(op, k, np.asarray(value), arrays, node, step, infinity)


_BOOL = np.dtype(bool)


def _found(
    op: Op, k: int, value: np.ndarray, arrays: Sequence[Any], node: Node | None, step: int | None, infinity: bool
) -> NanError:
    place = here() if node is None else node.where or Place("an unknown line", None, None)
    bad, count, index = _bad(value, infinity)
    name = f"output {k} of {op.name}" if op.n_out > 1 else op.name
    parts = [f"[{op.name}] first {bad} came out of {name}({', '.join(map(_kind, arrays))})"]
    if place.rule is not None:
        parts.append(f" {place.rule}, asked for at {place}")
    else:
        parts.append(f" at {place}")
    if place.scope:
        parts.append(f", layer {place.scope}")
    if step is not None:
        parts.append(f", in step {step} of a scan")
    if value.ndim:
        parts.append(f": {count} of {value.size} element{'s' if value.size > 1 else ''}, the first at {list(index)}")
    else:
        parts.append(": one number")
    there = [_at(x, index, value.shape) for x in arrays]
    if op.elementwise and None not in there:
        parts.append(f", where {op.name}({', '.join(map(str, there))}) = {_number(value[index])}")
    broken = [(i, _bad(np.asarray(x), infinity)) for i, x in enumerate(arrays) if not _is_finite(x, infinity)]
    if broken:
        i, (what, many, first) = broken[0]
        size = np.size(arrays[i])
        spread = f" ({many} of {size} elements, the first at {list(first)})" if size > 1 else ""
        parts.append(f"; operand {i} held {what} already{spread}, which came in as data. Look at what was passed in.")
    else:
        shown = "" if op.elementwise and None not in there else _shown(arrays)
        parts.append(f"; the operands were finite{shown}. Look at them: a log or division of 0, or too large a step?")
    error = NanError("".join(parts))
    error.op, error.where, error.layer, error.step = op.name, place.line, place.scope, step
    error.index, error.count = index, count
    if place.rule is not None:
        error.gradient_of = place.rule.op
        error.recorded = place.rule.where.line if place.rule.where is not None else None
    return error


def _bad(value: np.ndarray, infinity: bool) -> tuple[str, int, tuple[int, ...]]:
    """What is wrong with an array: the word, how many elements, and the place of the first."""
    wrong = ~np.isfinite(value) if infinity else np.isnan(value)
    index = np.unravel_index(int(np.argmax(wrong)), value.shape) if value.ndim else ()
    word = "NaN" if np.isnan(value).any() else "infinity"
    return word, int(np.count_nonzero(wrong)), tuple([int(i) for i in index])


def _is_finite(x: Any, infinity: bool) -> bool:
    array = np.asarray(x)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all() if infinity else not np.isnan(array).any())


def _kind(x: Any) -> str:
    return repr(Aval(x.shape, x.dtype)) if isinstance(x, np.ndarray) else repr(x)


def _at(x: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The element of an operand that was broadcast to ``shape`` and read at ``index``; None if that has no meaning."""
    array = np.asarray(x)
    try:
        return _number(np.broadcast_to(array, shape)[index])
    except ValueError:
        return None


def _number(x: Any) -> str:
    return f"{x.item()!r}" if np.asarray(x).dtype.kind != "f" else f"{x:.6g}"


def _shown(arrays: Sequence[Any]) -> str:
    """Operands in few words: small ones whole, others by their range."""
    texts = []
    for i, x in enumerate(arrays):
        if not isinstance(x, np.ndarray) or not x.size:
            continue
        if x.size <= _SMALL:
            values = np.array2string(x, precision=4, separator=", ", threshold=_SMALL).replace("\n", "")
            texts.append(f"operand {i} is {values}")
        elif x.dtype.kind == "f":
            texts.append(f"operand {i} from {x.min():.4g} to {x.max():.4g}")
    return f": {'; '.join(texts)}" if texts else ""
