"""Processes that make the items of a sequence, in any number and with the same result for each number.

Each process has a copy of the sequence and makes the items it is asked for; they come back in the order asked for.
Before each item random generators are seeded from its place (`worker_process.seeded`), so its content depends neither
on the process nor on what was made before.

Processes begin anew, or as copies of a small process that has only loaded this module: a fork of the program would copy
locks and pools of threads in whatever state they are, and hang. Items come back through a socket, from the memory they
lie in to where they are used: 19 MB take 5 ms, through a pipe of multiprocessing 143 ms, in new shared memory 50 ms.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

from keras_compat.utils import interrupts
from keras_compat.utils.worker_process import Job, SequencePickler, pack, receive, send, serve, settings

# Seconds that a process has for its end before it is ended.
_GRACE = 2.0

_GUARD = 'Put the start of the program under `if __name__ == "__main__":`, then each process can read it.'


class NoProcesses(Exception):
    """Processes can not make the items of this sequence; the text says why."""


class WorkerError(RuntimeError):
    """A process that made items has ended before its time."""


class WorkerTraceback(Exception):
    """Shows, as the cause of an error, where in a worker it came from."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


# -- the program's main module ----------------------------------------------------------------------------------------


def _main_frame(main: ModuleType) -> FrameType | None:
    """Where the program is in its main module now."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and not (frame.f_code.co_name == "<module>" and frame.f_globals is main.__dict__):
        frame = frame.f_back
    return frame


def _is_guarded(source: str, line: int) -> bool:
    """Whether a line of a module belongs to an ``if`` that asks for ``__name__``."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and node.body[0].lineno <= line <= (node.body[-1].end_lineno or line):
            return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
    return False


def _check_main() -> None:
    """Raise NoProcesses where a new process can not read the program's main module, or would run it again."""
    main = sys.modules["__main__"]
    name = getattr(main, "__file__", None)
    if name is None or not os.path.isfile(name):
        raise NoProcesses("its class is defined at the prompt or in a notebook, where other processes can not read it")
    frame = _main_frame(main)
    if frame is None:
        return
    try:
        with open(name, encoding="utf-8") as stream:
            guarded = _is_guarded(stream.read(), frame.f_lineno)
    except (OSError, ValueError, SyntaxError):
        return
    if not guarded:
        raise NoProcesses(f"each of them would run {name} from its beginning, to find the class of the data. {_GUARD}")


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A process that begins meanwhile does not read the program's main module."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that begins meanwhile does not get Ctrl-C; this one gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _context() -> Any:
    """How processes begin: as copies of a small clean process that has loaded this module, or anew as programs do."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or multiprocessing.get_start_method(True) == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


# -- here -------------------------------------------------------------------------------------------------------------


class Workers:
    """So many processes with a copy of a sequence each.

    Args:
        sequence: has ``sequence[index]``; it is pickled.
        count: of processes.
        what: for messages: what asks.
        changes: ``update`` will be called.

    Raises:
        NoProcesses: the sequence can not be sent, or this process may not have others.
        WorkerError: a process ended at once.
    """

    def __init__(self, sequence: Any, count: int, what: str, changes: bool = True):
        present = multiprocessing.current_process()
        if getattr(present, "_inheriting", False):
            raise RuntimeError(f"[{what}] this process was made to help another; it must not begin training. {_GUARD}")
        if present.daemon:
            raise NoProcesses("this process is itself a helper of another, and may not have any")
        self.what = what
        self._changes = changes
        self._digests: list[bytes] = []
        self._folder: str | None = None
        self._turn = threading.Condition()
        self._jobs: deque[tuple[int, Job]] = deque()
        self._ordered = self._taken = 0
        self._made: dict[int, tuple[Any, ...]] = {}
        self._dead: WorkerError | None = None
        self._closed = False
        self._links: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.processes: list[Any] = []
        try:
            head, buffers = pack(sequence, SequencePickler)
        except Exception as error:  # whatever the parts of a user's object raise
            raise NoProcesses(f"it can not be pickled: {error}") from error
        needs_main = b"__main__" in head
        if needs_main:
            _check_main()
        try:
            self._start(count, needs_main)
            self._load(head, buffers)
        except BaseException:
            self.close()
            raise
        for number in range(count):
            thread = threading.Thread(target=self._attend, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _start(self, count: int, needs_main: bool) -> None:
        context = _context()
        present = settings()
        with _interrupts_blocked(), contextlib.nullcontext() if needs_main else _without_main():
            for number in range(count):
                ours, theirs = socket.socketpair()
                self._links.append(ours)
                process = context.Process(
                    target=serve, args=(theirs, present), name=f"worker-{number + 1}", daemon=True
                )
                with theirs:
                    process.start()
                self.processes.append(process)

    def _load(self, head: bytes, buffers: list[memoryview]) -> None:
        """Give all processes the sequence; of its arrays, those that have changed."""
        digests = [hashlib.blake2b(b).digest() for b in (memoryview(head), *buffers)] if self._changes else []
        before, self._digests = self._digests, digests
        if digests and digests == before:
            return
        known = {digest: i for i, digest in enumerate(before[1:])}
        parts: list[Any] = [known.get(digest) for digest in digests[1:]] or [None] * len(buffers)
        if any(part is None and buffer.nbytes for part, buffer in zip(parts, buffers)):
            self._folder = tempfile.mkdtemp(prefix="keras_compat_")
        try:
            self._write(parts, buffers)
            for number, link in enumerate(self._links):
                with self._watching(number, "while it started"):
                    send(link, ("load", head, parts))
            for number, link in enumerate(self._links):
                with self._watching(number, "while it started"):
                    answer = receive(link)
                if answer[0] == "error":
                    raise NoProcesses(f"a process could not load it: {answer[1]}") from WorkerTraceback(answer[2])
        finally:
            self._remove_folder()

    def _write(self, parts: list[Any], buffers: list[memoryview]) -> None:
        """Put new arrays into a file that all processes map: they share its pages until they write to them."""
        if self._folder is None:
            parts[:] = [("", 0, 0) if part is None else part for part in parts]
            return
        name = os.path.join(self._folder, "arrays")
        with open(name, "wb") as stream:
            for i, buffer in enumerate(buffers):
                if parts[i] is None:
                    parts[i] = (name, stream.tell(), buffer.nbytes)
                    stream.write(buffer)
                    stream.seek(-stream.tell() % 64, os.SEEK_CUR)

    def _remove_folder(self) -> None:
        """Who has mapped the file keeps it; where the system does not allow that, the folder waits for ``close``."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            if not os.path.exists(self._folder):
                self._folder = None

    @contextlib.contextmanager
    def _watching(self, number: int, when: str) -> Iterator[None]:
        """Say of a process that does not answer that it has ended."""
        try:
            yield
        except (OSError, EOFError) as error:
            raise self._end_of(number, when) from error

    def _end_of(self, number: int, when: str) -> WorkerError:
        process = self.processes[number]
        process.join(_GRACE)
        code = process.exitcode
        how = "it does not answer" if code is None else f"exit status {code}"
        hint = "Its own message stands above."
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"killed by {signal.Signals(-code).name}"
            hint = "Was memory short? Try fewer workers, or use_multiprocessing=False."
        return WorkerError(
            f"[{self.what}] worker {number + 1} of {len(self.processes)} (process {process.pid}) ended {when}: {how}. "
            f"{hint}"
        )

    def _attend(self, number: int) -> None:
        """In a thread for each process: send it what is to be made, and bring what it has made."""
        link = self._links[number]
        while (ticket := self._next_ticket()) is not None:
            place, job = ticket
            try:
                send(link, ("make", job))
                answer = receive(link)
            except (OSError, EOFError):
                when = f"while it made batch {job.item} of epoch {job.epoch}"
                dead = None if self._closed else self._end_of(number, when)
                with self._turn:
                    self._dead = self._dead or dead
                    self._turn.notify_all()
                return
            except Exception as error:  # a class that can not be read here
                answer = ("error", error, traceback.format_exc())
            with self._turn:
                self._made[place] = answer
                self._turn.notify_all()

    def _next_ticket(self) -> tuple[int, Job] | None:
        with self._turn:
            while not self._closed and (not self._jobs or self._dead is not None):
                self._turn.wait()
            return None if self._closed else self._jobs.popleft()

    def order(self, job: Job) -> None:
        """Have something made, after what was ordered before."""
        with self._turn:
            self._jobs.append((self._ordered, job))
            self._ordered += 1
            self._turn.notify_all()

    def take(self) -> Any:
        """The next item in the order given; waits for it.

        Raises:
            WorkerError: a process has ended.
            Exception: what ``sequence[index]`` raised, with the traceback of the process.
        """
        with self._turn:
            while self._taken not in self._made and self._dead is None and not self._closed:
                self._turn.wait(interrupts.WAIT)
                interrupts.deliver()
            if self._dead is not None:
                raise self._dead
            if self._closed:
                raise WorkerError(f"[{self.what}] expected processes at work; they have been closed. Start anew.")
            answer = self._made.pop(self._taken)
            self._taken += 1
        if answer[0] == "error":
            raise answer[1] from WorkerTraceback(answer[2])
        return answer[1]

    def update(self, sequence: Any) -> None:
        """Give the processes what has changed of the sequence; all that was ordered must have been taken."""
        self._load(*pack(sequence, SequencePickler))

    def close(self) -> None:
        """End all processes; a second time does nothing."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        for link in self._links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        for end in (multiprocessing.Process.terminate, multiprocessing.Process.kill):
            deadline = time.monotonic() + _GRACE / 2
            for process in self.processes:
                process.join(max(deadline - time.monotonic(), 0))
            for process in self.processes:
                if process.is_alive():
                    end(process)
        for process in self.processes:
            process.join()
        for thread in self._threads:
            thread.join(_GRACE)
        for link in self._links:
            link.close()
        self._remove_folder()
