"""Per-thread mode of the door: is the tape on, is a step being traced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from autotensor.core.tensor import Node, Tensor, Variable


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
    made: list[Node] | None = None  # symbolic operations recorded in the innermost ``recording()`` block


state = _State()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing in this block: results of operations are plain constants."""
    before, state.tracking = state.tracking, False
    try:
        yield
    finally:
        state.tracking = before


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again inside a ``no_grad`` block."""
    before, state.tracking = state.tracking, True
    try:
        yield
    finally:
        state.tracking = before


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
