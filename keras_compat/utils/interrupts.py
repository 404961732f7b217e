"""Ctrl-C and SIGTERM while a model works: they are raised where nothing is half done.

Python raises ``KeyboardInterrupt`` at whatever instruction it has come to: between the updates of two weights, or
between taking a lock and the ``try`` that gives it back. And ``SIGTERM``, what ``kill`` and batch systems send, ends a
process at once: no callback is told. Within a :class:`Held` block

- a signal that comes in the middle of a step of training, of the saving of a file, of the setting of weights, waits for
  its end; a second Ctrl-C does not wait;
- ``SIGTERM`` is ``SystemExit(143)``, the status that a shell shows for it; a second one ends the process at once.

That is so in the main thread, where Python runs handlers, and for signals that the program has no handler of its own
for.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal's own functions take 30 us to make enumerations
import _thread  # starts threads without locks, which the program may hold where a handler runs
import contextlib
import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

# Seconds between two looks for a signal by who waits for something else.
WAIT = 0.1

# The signal that waits, 0 for none. Loops look at it after each batch, and call ``deliver``.
waiting = 0

# Functions in which locks, files, processes and handlers change hands, by module; None is all of one. No signal is
# raised in them; what they call may be left. Those that wait look for a signal every ``WAIT`` seconds.
_IN: dict[str, set[str] | None] = {
    __name__: None,
    "autotensor.graph.compile": None,
    "autotensor.locks": None,
    "keras_compat.callbacks.base": None,
    "keras_compat.dialect.install": None,
    "keras_compat.engine.generators": {"Source.__enter__", "Source.__exit__", "Source.close"},
    "keras_compat.saving.atomic": None,
    "keras_compat.utils.enqueuers": None,
    "keras_compat.utils.workers": None,
}

# What these do is done for whoever called them.
_HELPERS = {"contextlib", "queue", "threading"}

# What is done to its end, with all that it calls.
_WHOLE: dict[str, set[str] | None] = {
    __name__: {"Held.__enter__", "Held.__exit__"},
    "autotensor.graph.interpret": {"replay"},
    "keras_compat.backend._functions": {"batch_set_value"},
    "keras_compat.callbacks.log_file": None,
    "keras_compat.callbacks.streams": {"CSVLogger.on_train_begin", "CSVLogger.on_train_end"},
    "keras_compat.callbacks.tensorboard": {"TensorBoard.on_train_begin", "TensorBoard.on_train_end"},
    "keras_compat.saving.atomic": None,
    "keras_compat.saving.state": {"set_state"},
    "keras_compat.utils.enqueuers": {"SequenceEnqueuer.start", "SequenceEnqueuer.stop"},
    "keras_compat.utils.generic_utils": {"warn"},
    "keras_compat.utils.workers": {"Workers.__init__", "Workers.update", "Workers.close"},
}

# The name of the file of a compiled graph's steps, which change Variables.
_STEPS = "<autotensor plan>"

_SIGINT, _SIGTERM = int(signal.SIGINT), int(signal.SIGTERM)

_reminded = False  # the next call of the handler is no new signal
_owner = 0  # process that has set the handlers


def deliver() -> None:
    """Raise what waits, in the main thread."""
    if waiting and threading.current_thread() is threading.main_thread():
        _raise(waiting)


def _raise(number: int) -> None:
    global waiting
    waiting = 0
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if signal.getsignal(number) is _arrived:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process
    raise SystemExit(128 + number)


def _is_among(frame: FrameType, functions: dict[str, set[str] | None]) -> bool:
    names = functions.get(frame.f_globals.get("__name__", ""), ())
    return names is None or frame.f_code.co_qualname in names


def _half_done(frame: FrameType | None) -> bool:
    """Whether something would be left half done if the program was left at a frame."""
    while frame is not None and frame.f_globals.get("__name__") in _HELPERS:
        frame = frame.f_back
    if frame is not None and _is_among(frame, _IN):
        return True
    while frame is not None:
        if frame.f_code.co_filename == _STEPS or _is_among(frame, _WHOLE):
            return True
        frame = frame.f_back
    return False


def _lost(frame: FrameType | None) -> bool:
    """Whether what is raised would be dropped or changed on its way: by Python, that collects something, or by HDF5."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_qualname.startswith("_Patient."):
            return True
        if frame.f_globals.get("__name__") in ("weakref", "_weakrefset"):
            return True
        frame = frame.f_back
    return False


def _arrived(number: int, frame: FrameType | None) -> None:
    """The handler of both signals."""
    global waiting, _reminded
    reminder, _reminded = _reminded, False
    if reminder:
        if not waiting:
            return
        number = waiting
    here = os.getpid() == _owner  # else a copy of the process, where nobody looks at what waits
    again = number == waiting and not reminder
    if number == signal.SIGTERM and (again or not here):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    if here and (_lost(frame) or (not again and _half_done(frame))):
        first, waiting = not waiting, max(waiting, number)
        if first:
            with contextlib.suppress(RuntimeError):  # no more threads
                _thread.start_new_thread(_remind, ())
        return
    _raise(number)


def _remind() -> None:
    """In a thread, as long as a signal waits: have the handler called. Not all that the program does has batches."""
    global _reminded
    with contextlib.suppress(ValueError):  # nothing waits
        while True:
            time.sleep(WAIT / 2)
            # Nothing comes in between: no other thread runs between these instructions.
            _reminded = waiting != 0
            _thread.interrupt_main(waiting or -1)  # type: ignore[arg-type]


class Held:
    """A block in which signals are raised where nothing is half done; what still waits at its end is raised there.

    A block within another changes nothing.

    Args:
        ends: SIGTERM is held, too: somebody has to be told of the end.
    """

    __slots__ = ("_taken", "_usual")

    def __init__(self, ends: bool = False):
        self._usual: list[tuple[int, Any]] = [(_SIGINT, signal.default_int_handler)]
        # Who waits in MPI does not come back to Python, and a notebook makes of an exit what it likes.
        if ends and "mpi4py" not in sys.modules and "ipykernel" not in sys.modules:
            self._usual.append((_SIGTERM, int(signal.SIG_DFL)))
        self._taken: list[tuple[int, Any]] = []

    def __enter__(self) -> Held:
        global waiting, _reminded, _owner
        if threading.current_thread() is not threading.main_thread():
            return self
        if _signal.getsignal(_SIGINT) is not _arrived:
            waiting, _reminded = 0, False
        _owner = os.getpid()
        for number, usual in self._usual:
            if _signal.getsignal(number) == usual:
                self._taken.append((number, usual))
                _signal.signal(number, _arrived)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global waiting
        if not self._taken:
            return
        came, waiting = waiting, 0  # nobody is reminded of it once the handlers are Python's
        for number, usual in reversed(self._taken):
            if _signal.getsignal(number) is _arrived:  # else the program has set its own meanwhile
                _signal.signal(number, usual)
        came, waiting = max(came, waiting), 0
        if came and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            _raise(came)
