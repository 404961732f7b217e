"""Locks that outlive a fork, and the turns of functions that share memory.

A process made by ``fork`` has one thread, and a copy of every lock as it stood: one that another thread held is held
for ever. So every lock of the package is made here. Before a fork the turns of functions are waited for, so that the
copy has no half-updated weights; after it, in the child, all locks that others held are free.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

# Seconds that a fork waits for the steps of other threads. A longer one is left in the middle, as fork leaves all else.
PATIENCE = 10.0

_all: weakref.WeakSet[Any] = weakref.WeakSet()
_turns: weakref.WeakSet[Turn] = weakref.WeakSet()
_of_others: list[Callable[[], Any]] = []
_registering = threading.Lock()
_taken: dict[int, list[Any]] = {}  # by the thread that forks


def lock() -> Any:
    """A ``threading.Lock`` that is free in a process made by fork, whoever held it."""
    return _kept(threading.Lock())


def rlock() -> Any:
    """A ``threading.RLock`` that is free in a process made by fork, unless the forking thread holds it itself."""
    return _kept(threading.RLock())


def _kept(made: Any) -> Any:
    with _registering:
        _all.add(made)
    return made


class Turn:
    """The right to run functions that touch certain Variables; several are taken in the order of their numbers."""

    _made = 0

    def __init__(self) -> None:
        self.lock = threading.RLock()
        Turn._made += 1
        self.number = Turn._made
        _turns.add(self)


class _Several:
    """Several turns at once. All take them in one order, so nobody waits in a circle."""

    def __init__(self, turns: list[Turn]):
        self.turns = turns

    def __enter__(self) -> None:
        for one in self.turns:
            one.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in reversed(self.turns):
            one.lock.release()


class Turns:
    """The turns of a function that touches ``variables``: run it ``with turns.lock``.

    Functions that have a Variable in common run one after the other, whatever their threads; others beside each other.
    A function that is called inside another one's turn, by the same thread, does not wait.
    """

    __slots__ = ("lock", "turns")

    def __init__(self, variables: Iterable[Any] = ()):
        touched = list(variables)
        with _registering:
            known = {one for x in touched if (one := getattr(x, "turn", None)) is not None}
            self.turns = sorted(known, key=lambda one: one.number) or [Turn()]
            for x in touched:
                if getattr(x, "turn", None) is None:
                    x.turn = self.turns[0]
        self.lock: Any = self.turns[0].lock if len(self.turns) == 1 else _Several(self.turns)


def wait_before_fork(find: Callable[[], Any]) -> None:
    """Wait before a fork for a lock that others made, too; ``find`` returns it, or None where there is none."""
    _of_others.append(find)


def _before_fork() -> None:
    """Take the turns of all functions: a step that another thread has begun is finished first."""
    end = time.monotonic() + PATIENCE
    taken = _taken[threading.get_ident()] = []
    with _registering:
        turns = sorted(_turns, key=lambda one: one.number)
    for one in [*[turn.lock for turn in turns], *_found()]:
        if one.acquire(timeout=max(0.0, end - time.monotonic())):
            taken.append(one)
    _registering.acquire()


def _after_in_parent() -> None:
    _registering.release()
    for one in reversed(_taken.pop(threading.get_ident(), ())):
        one.release()


def _after_in_child() -> None:
    _registering.release()  # taken by this thread, the only one here
    taken = _taken.pop(threading.get_ident(), ())
    _taken.clear()
    ours = {id(one) for one in taken}
    for one in [*[turn.lock for turn in _turns], *_found()]:
        if id(one) not in ours:
            one._at_fork_reinit()
    for one in reversed(taken):
        one.release()
    for one in _all:
        if not (hasattr(one, "_is_owned") and one._is_owned()):
            one._at_fork_reinit()


def _found() -> list[Any]:
    return [one for find in _of_others if (one := find()) is not None]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
