"""Per-thread mode of the door: is the tape on, is a step being traced."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from autotensor.core.tensor import Node, Place, Tensor, Variable
    from autotensor.core.watch import Watcher


P = ParamSpec("P")
R = TypeVar("R")


class Trace(Protocol):
    """What ``apply`` and ``Variable.assign`` ask of a trace under way (see ``graph.compile``)."""

    def resolve(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Replace Variables that were assigned during the trace by their new, symbolic value."""

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Record an assignment as an update of the compiled step."""


class _State(threading.local):
    tracking: bool = True
    deferred: bool = False
    immediate: bool = False
    replaying: bool = False  # the compiler at work: nothing is computed, also not of constants
    trace: Trace | None = None
    watch: Watcher | None = None  # set on the class, for all threads (see core.watch)
    scope: str | None = None  # name of the layer or part of the program that is being built or computed
    pulling: Node | None = None  # whose gradient rule is at work; known for graphs, and while somebody watches
    origin: Place | None = None  # where nodes come from that the compiler makes in the place of another
    made: list[Node] | None = None  # symbolic operations recorded in the innermost ``recording()`` block
    # What ``apply`` asks at each operation, gathered, since a look into thread-local memory takes as long as an array's
    # shape: 2 computes and records, 1 computes only, 0 leaves it to the fields above.
    mode: int = 2

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _GATHERED:
            super().__setattr__("mode", 0 if self.deferred or self.trace is not None else 1 + self.tracking)


_GATHERED = {"tracking", "deferred", "trace"}

state = _State()


def set_tracking(on: bool) -> None:
    """``state.tracking = on``, quickly: it is done at each walk backward."""
    here = state.__dict__
    here["tracking"] = on
    if here.get("mode", 2):
        here["mode"] = 1 + on


class _Tracking:
    """A block, or a decorated function, with the tape on or off. A decorated generator has it in its own code only."""

    tracking: bool

    def __init__(self) -> None:
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(state.tracking)
        set_tracking(self.tracking)

    def __exit__(self, *error: object) -> None:
        set_tracking(self.before.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        kind = type(self)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                inner = function(*args, **kwargs)
                resume, given = inner.send, None
                while True:
                    try:
                        with kind():
                            value = resume(given)
                    except StopIteration as end:
                        return end.value
                    try:
                        resume, given = inner.send, (yield value)
                    except GeneratorExit:
                        with kind():
                            inner.close()
                        raise
                    except BaseException as error:
                        resume, given = inner.throw, error

            return generator

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with kind():
                return function(*args, **kwargs)

        return wrapper


class no_grad(_Tracking):
    """Record nothing in this block: results of operations are plain constants.

    Also a decorator, ``@at.no_grad()``. In a generator, decorate the function: a ``with`` around a ``yield`` would hold
    for whoever takes the values, too.
    """

    tracking = False


class enable_grad(_Tracking):
    """Record again inside a ``no_grad`` block. Also a decorator."""

    tracking = True


@contextmanager
def deferred() -> Iterator[None]:
    """Build symbolic graphs only: random operations have no value until a compiled function runs.

    Without effect inside ``immediate()``.
    """
    before, state.deferred = state.deferred, not state.immediate
    try:
        yield
    finally:
        state.deferred = before


@contextmanager
def immediate(on: bool = True) -> Iterator[None]:
    """Compute on values: deferred Variables count as what they hold now, random operations draw at once.

    ``immediate(False)`` is a block within, in which graphs are built as outside.
    """
    before = state.immediate, state.deferred
    state.immediate, state.deferred = on, False
    try:
        yield
    finally:
        state.immediate, state.deferred = before


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """Send assignments to ``trace`` and defer random operations for the time of the block."""
    before = state.trace, state.deferred
    state.trace, state.deferred = trace, True
    try:
        yield
    finally:
        state.trace, state.deferred = before


@contextmanager
def recording() -> Iterator[list[Node]]:
    """Build symbolic graphs only, and list the operations recorded in this block (not those of blocks within)."""
    before = state.made, state.deferred
    made: list[Node] = []
    state.made, state.deferred = made, True
    try:
        yield made
    finally:
        state.made, state.deferred = before


def is_immediate() -> bool:
    """True inside ``immediate()``."""
    return state.immediate


def is_tracking() -> bool:
    """True when operations on tracked tensors are being recorded."""
    return state.tracking
