"""What is allowed while something is built from a config: Python byte code, and memory for weights.

A config may come from anywhere. The functions that read one (``load_model``, ``model_from_json``...) say here what it
may do; the places where code would be run, or memory taken, ask here first. Where nobody allowed it, code never runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


class UnsafeModelError(ValueError):
    """The file asks for something that loading never does: run code, open other files, take memory without end."""


@dataclass
class _Allowance:
    """Numbers (elements of arrays) that may still be made, and how many there were."""

    left: int
    reason: str
    values_follow: bool = False


_code: ContextVar[bool] = ContextVar("code", default=False)
_numbers: ContextVar[_Allowance | None] = ContextVar("numbers", default=None)

# Weights that a file need not hold, in numbers: small models are built whatever the file says.
_SMALL = 1_000_000

# Bytes that each of them takes while it is made: drawn as float64, kept as float32, and room to work with.
_BYTES_EACH = 16


@contextmanager
def loading(*, allow_code: bool = False, stored: int | None = None) -> Iterator[None]:
    """Within the block something is built from a config.

    Args:
        allow_code: whether byte code in it may become functions. Only True does; inside the block of another call,
            what counts is the inner one.
        stored: how many numbers the weights in the file are; weights of twice as many may be made. Where it is not
            known, as many as fit into the memory of the machine.
    """
    allow_code = permission(allow_code)
    if stored is not None:
        most, reason = 2 * stored + _SMALL, f"the file holds {stored:,} numbers"
    else:
        most, reason = _memory() // _BYTES_EACH, "this machine has no memory for more"
    code = _code.set(allow_code)
    numbers = _numbers.set(_Allowance(most, reason, values_follow=stored is not None))
    try:
        yield
    finally:
        _numbers.reset(numbers)
        _code.reset(code)


def permission(allow_code: Any) -> bool:
    """What ``allow_code`` says: only True allows; None is what was not said. Raises TypeError for what is neither."""
    if allow_code is not None and not isinstance(allow_code, bool):
        raise TypeError(f"[load] allow_code is True or False; got {allow_code!r}. Leave it out to run no code.")
    return allow_code is True


@contextmanager
def code_allowed_if(allow_code: bool) -> Iterator[None]:
    """Within the block byte code may be used if ``allow_code``; else what was allowed before stays allowed.

    For ``from_config``, which calls itself for what is inside.
    """
    token = _code.set(permission(allow_code) or _code.get())
    try:
        yield
    finally:
        _code.reset(token)


def is_code_allowed() -> bool:
    """Whether byte code in a config may become a function here."""
    return _code.get() is True


def claim(shape: Sequence[Any], what: str, *, weight: bool = True) -> None:
    """Ask for an array before it is made. Without a :func:`loading` around it everything is granted.

    Args:
        weight: it is one that the file holds, too; else it only has to fit into memory.

    Raises:
        UnsafeModelError: it is more than the file, or the machine, has.
    """
    allowance = _numbers.get()
    if allowance is None:
        return
    count = 1
    for n in shape:
        count *= max(int(n), 0)
    most, reason = allowance.left, allowance.reason
    if not weight:
        most, reason = _memory() // _BYTES_EACH, "this machine has no memory for more"
    if count > most:
        raise UnsafeModelError(
            f"[load] {what} would have the shape {tuple(shape)}, {count:,} numbers, and {reason}. Nothing was loaded. "
            "Is it a file of this model?"
        )
    if weight:
        allowance.left -= count


def values_follow() -> bool:
    """Whether all weights made here get the values of a file next: then none are drawn, which takes long."""
    allowance = _numbers.get()
    return allowance is not None and allowance.values_follow


def _memory() -> int:
    """Bytes of memory of this machine, or a terabyte where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 40
