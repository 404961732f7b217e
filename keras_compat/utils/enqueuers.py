"""Batches made ahead of their use: by a thread, or by processes where a sequence of batches allows that.

A thread draws items one after the other, in their order, from the global random generators as if it was not there: the
bits are those of no thread at all. It overlaps what waits (files, network) and what lets go of Python's lock (NumPy,
compiled kernels). More threads would draw in an order that nobody knows, so ``workers`` above 1 are the same thread;
for more at once there are processes, see :mod:`~keras_compat.utils.workers`.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import itertools
import multiprocessing
import queue
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_compat.utils import interrupts
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.worker_process import Job, seeded
from keras_compat.utils.workers import NoProcesses, Workers

_counter = itertools.count()
_END = object()

# Sequences and generators by the number of their enqueuer, as init_pool() has left them.
_shared: dict[int, Any] = {}


class Passes:
    """The items of a sequence, pass after pass over it.

    Without processes items are made here, when they are asked for. Where ``use_multiprocessing`` is asked for, NumPy's
    and Python's global random generators, and those that are attributes of the sequence, are seeded for each item, so
    any number of workers, none too, gives the same. What an item changes otherwise stays in the process that made it;
    ``on_epoch_end`` is called here, and what it changes goes to all.

    Args:
        sequence: has ``len(sequence)``, ``sequence[index]`` and perhaps ``on_epoch_end()``.
        shuffle: take the items in another order each pass, drawn from NumPy's global generator.
        use_multiprocessing: see above.
        workers: number of processes; 0 for none.
        max_queue_size: that many items are made ahead by processes.
        what: for messages.
    """

    def __init__(
        self,
        sequence: Any,
        shuffle: bool = False,
        use_multiprocessing: bool = False,
        workers: int = 0,
        max_queue_size: int = 10,
        what: str = "Sequence",
    ):
        self.sequence = sequence
        self.shuffle = shuffle
        self.what = what
        self._count = workers if use_multiprocessing else 0
        self._ahead = max(max_queue_size, 1)
        self._workers: Workers | None = None
        self._stale = False
        # What the items are drawn from: a number from NumPy's generator, once there are processes; else -1.
        self._is_seeded = use_multiprocessing
        self._seed = -1
        self._epoch = 0
        # Where the present pass is: the order of its items, and how many of them were taken.
        self._order: np.ndarray | None = None
        self._taken = 0
        # How many were taken or ordered from processes; who plans these, and where it was after each plan.
        self._ordered = 0
        self._planner: Any = None
        self._planned: deque[Any] = deque()

    @property
    def with_processes(self) -> bool:
        """Whether processes make the items, so far as is known."""
        return self._count > 0

    def take(self) -> Any:
        """The next item. Raises StopIteration where the sequence has none."""
        if self._is_seeded and self._seed < 0:
            self._seed = int(np.random.randint(2**31 - 1))
        if self._order is None or self._taken >= len(self._order):
            self.end_pass()
            self._begin_pass()
        assert self._order is not None
        if not len(self._order):
            raise StopIteration
        if self._count and self._ordered == self._taken:
            self._prepare_processes()
        if self._workers is not None:
            return self._from_processes(self._workers, self._order)
        index = int(self._order[self._taken])
        self._taken += 1
        if not self._is_seeded:
            return self.sequence[index]
        with seeded(self._seed, self._epoch, index, self.sequence):
            return self.sequence[index]

    def _from_processes(self, workers: Workers, order: np.ndarray) -> Any:
        for index in order[self._ordered : self._taken + self._ahead + 1]:
            workers.order(self._job(int(index)))
            self._ordered += 1
        self._taken += 1
        item = workers.take()
        if self._planned:
            self.sequence.set_state(self._planned.popleft())
        return item

    def _job(self, index: int) -> Job:
        place = self._seed, self._epoch, index
        if self._planner is None:
            return Job(*place)
        with seeded(*place, self._planner):
            plan = self._planner.plan(index)
            self._planned.append(self._planner.get_state())
            return Job(*place, plan, np.random.get_state())

    def _begin_pass(self) -> None:
        self._order, self._taken, self._ordered = np.arange(len(self.sequence)), 0, 0
        if self.shuffle:
            np.random.shuffle(self._order)

    def end_pass(self) -> None:
        """If all items of a pass have been taken, tell the sequence; a second time does nothing."""
        if self._order is None or self._taken < len(self._order):
            return
        self._order = None
        self._epoch += 1
        if hasattr(self.sequence, "on_epoch_end"):
            self.sequence.on_epoch_end()
            self._stale = True

    def _prepare_processes(self) -> None:
        """Have processes with the present state of the sequence; where there can be none, warn and do without."""
        try:
            if self._workers is None:
                self._workers = Workers(self.sequence, self._count, self.what)
            elif self._stale:
                self._workers.update(self.sequence)
        except NoProcesses as reason:
            why = str(reason).rstrip(".")
            warn(
                f"[{self.what}] use_multiprocessing=True: processes can not make the batches of this "
                f"{type(self.sequence).__name__}: {why}. They are made here, with the same result."
            )
            self.close()
            self._count = 0
            return
        self._stale = False
        plans = all(hasattr(self.sequence, name) for name in ("plan", "carry_out", "get_state", "set_state"))
        self._planner = copy.copy(self.sequence) if plans else None

    def get_state(self) -> dict[str, Any]:
        """Which items come next, as plain data."""
        return {"order": self._order, "taken": self._taken, "seed": self._seed, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where a sequence of as many items was."""
        self._order, self._taken = state["order"], state["taken"]
        self._seed, self._epoch = state.get("seed", -1), state.get("epoch", 0)
        self._ordered = self._taken

    def close(self) -> None:
        """End the processes."""
        workers, self._workers = self._workers, None
        self._ordered = self._taken
        self._planned.clear()
        if workers is not None:
            workers.close()


class SequenceEnqueuer:
    """Base of what makes items ahead of their use, into a queue of limited length.

    ``start()``, then ``get()`` gives the items, then ``stop()``.

    Args:
        sequence: what the items come from.
        use_multiprocessing: processes instead of a thread, where that is possible.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False):
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self.uid = next(_counter)
        self.workers = 0
        self.queue: Any = None
        self.run_thread: threading.Thread | None = None
        self.stop_signal: threading.Event | None = None
        self._error: BaseException | None = None

    def is_running(self) -> bool:
        """True from ``start`` to ``stop``."""
        return self.stop_signal is not None and not self.stop_signal.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10, wait_time: float | None = None) -> None:
        """Begin to fill the queue.

        Args:
            workers: number of processes; a thread is one, whatever the number.
            max_queue_size: the queue holds that many items at most.
            wait_time: taken for Keras 1.
        """
        if self.is_running():
            raise RuntimeError(f"[{type(self).__name__}] start() was called before; call stop() first.")
        self.workers = workers
        self.queue = queue.Queue(max_queue_size)
        self.stop_signal = threading.Event()
        self._error = None
        context = contextvars.copy_context()  # an API level that holds for a block holds in the thread, too
        self.run_thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self.run_thread.start()

    def _items(self) -> Iterator[Any]:
        """What goes into the queue, in its order; runs in the thread."""
        raise NotImplementedError(f"[{type(self).__name__}] a SequenceEnqueuer defines _items().")

    def _run(self) -> None:
        try:
            for item in self._items():
                if not self._put(item):
                    return
        except BaseException as error:
            self._error = error
        self._put(_END)

    def _put(self, item: Any) -> bool:
        """Put an item into the queue, once there is room; False where nobody wants it any more."""
        while self.is_running():
            try:
                self.queue.put(item, timeout=0.1)
                return self.is_running()
            except queue.Full:
                continue
        return False

    def get(self) -> Iterator[Any]:
        """The items until there are no more, or ``stop``; an error in making them is raised here."""
        while self.is_running():
            try:
                item = self.queue.get(timeout=interrupts.WAIT)
            except queue.Empty:
                interrupts.deliver()
                continue
            if item is _END:
                if self._error is not None:
                    error, self._error = self._error, None
                    self.stop()
                    raise error
                return
            with contextlib.suppress(ValueError):  # stop() has forgotten all tasks
                self.queue.task_done()
            if item is not None:
                yield item

    def stop(self, timeout: float | None = None) -> None:
        """Stop the thread and all processes, and wait for them, at most ``timeout`` seconds for the thread."""
        if self.stop_signal is None:
            return
        self.stop_signal.set()
        with self.queue.mutex:
            self.queue.queue.clear()
            self.queue.queue.append(_END)  # for somebody who waits
            self.queue.unfinished_tasks = 0
            self.queue.not_full.notify_all()
            self.queue.not_empty.notify_all()
        thread = self.run_thread
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join(timeout)


class OrderedEnqueuer(SequenceEnqueuer):
    """Makes the items of a sequence ahead, in their order, pass after pass without end.

    ``on_epoch_end`` of the sequence is called when all items of a pass have been taken.

    Args:
        sequence: has ``len(sequence)`` and ``sequence[index]``.
        use_multiprocessing: processes instead of a thread.
        shuffle: take the items in another order each pass.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False):
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle
        self.end_of_epoch_signal = threading.Event()

    def _items(self) -> Iterator[Any]:
        passes = Passes(
            self.sequence,
            self.shuffle,
            self.use_multiprocessing,
            self.workers,
            self.queue.maxsize,
            type(self).__name__,
        )
        try:
            while n := len(self.sequence):
                for _ in range(n):
                    yield passes.take()
                self._wait_until_taken()
                if not self.is_running():
                    return
                passes.end_pass()
                self.end_of_epoch_signal.set()
        finally:
            passes.close()

    def _wait_until_taken(self) -> None:
        with self.queue.all_tasks_done:
            while self.queue.unfinished_tasks and self.is_running():
                self.queue.all_tasks_done.wait(0.1)

    def join_end_of_epoch(self) -> None:
        """Wait until the sequence has been told of the end of a pass."""
        self.end_of_epoch_signal.wait(timeout=30)
        self.end_of_epoch_signal.clear()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Draws from a generator ahead of its use, in its order, each item once.

    Args:
        sequence: any iterator.
        use_multiprocessing: taken, with a warning: a thread does the work. Processes would each have a generator of
            their own, and so give every item several times.
        wait_time, random_seed: taken for old programs; nothing depends on them.
    """

    def __init__(
        self,
        sequence: Any,
        use_multiprocessing: bool = False,
        wait_time: float | None = None,
        random_seed: int | None = None,
    ):
        super().__init__(sequence, use_multiprocessing)
        self.wait_time = wait_time
        self.random_seed = random_seed

    def start(self, workers: int = 1, max_queue_size: int = 10, wait_time: float | None = None) -> None:
        """Begin to fill the queue; see :meth:`SequenceEnqueuer.start`."""
        if self.use_multiprocessing and workers > 0:
            warn_of_generator(type(self).__name__)
        super().start(workers, max_queue_size, wait_time)

    def _items(self) -> Iterator[Any]:
        return iter(self.sequence)


def warn_of_generator(what: str) -> None:
    """Say that a generator stays in this process."""
    warn(
        f"[{what}] use_multiprocessing=True: a generator can not be shared by processes. Using a generator with "
        "`use_multiprocessing=True` and multiple workers may duplicate your data, so a thread draws from it. Please "
        "consider using the `keras.utils.Sequence` class."
    )


def init_pool(seqs: dict[int, Any]) -> None:
    """Set the sequences that ``get_index`` knows in this process, by number."""
    global _shared
    _shared = seqs


def get_index(uid: int, i: int) -> Any:
    """Item ``i`` of the sequence of that number."""
    return _shared[uid][i]


def init_pool_generator(gens: dict[int, Any], random_seed: int | None = None) -> None:
    """Set the generators that ``next_sample`` knows in this process, by number.

    Args:
        gens: the generators.
        random_seed: NumPy's global generator is seeded with it and the number of this process.
    """
    init_pool(gens)
    if random_seed is not None:
        ident = multiprocessing.current_process().ident or 0
        np.random.seed(random_seed + ident)


def next_sample(uid: int) -> Any:
    """The next item of the generator of that number."""
    return next(_shared[uid])
