"""The ranks of a job and how they talk: the one module that knows MPI.

Nothing here waits inside MPI. Whatever is asked for begins without blocking, and `Job.wait` looks for its end again and
again: so Ctrl-C is noticed, and a rank that has waited for a second tells the others what it waits for. Two ranks that
wait for each other's next step, or one that waits for a rank which has ended, are an error then, and no hang.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# What operations are about, each counted for itself; in the order of `Job._counts`.
GRADIENTS, VALUES, EPOCHS = range(3)
_WHAT = ("the gradients of a step", "a value to share", "the start of an epoch")
_LEFT = -1  # in the place of what a rank waits for: it has ended

# Seconds of waiting after which the other ranks are told, and between looks at what they tell.
_TELL_AFTER = 1.0
# Looks for the end of an operation before other processes get the core in between: some 100 us.
_EAGER_LOOKS = 200

# Where launchers say how many ranks there are: MPICH and Intel's, Open MPI, MVAPICH.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


class DistributedError(RuntimeError):
    """The ranks of a job do not go on together: one has ended, or they do different things."""


class Alone:
    """A process that no launcher has started: rank 0 of 1. It needs no MPI."""

    rank = local_rank = cross_rank = 0
    size = local_size = cross_size = 1

    def gather(self, value: Any, channel: int = VALUES) -> list[Any]:
        """What each rank gives, in their order."""
        return [value]

    def broadcast(self, array: np.ndarray, root: int, channel: int = VALUES) -> None:
        """Write the array of one rank over those of the others."""

    def reduce(self, array: np.ndarray, how: str = "SUM", channel: int = VALUES) -> Callable[[], None]:
        """Begin to combine an array, in its place, with those of the others; returns what waits for the end."""
        return _nothing

    def exchange(self, rows: np.ndarray, received: np.ndarray, channel: int = GRADIENTS) -> Callable[[], None]:
        """Begin to give row i to rank i, which receives one from each; returns what waits for the end."""
        raise NotImplementedError("[exchange] expected several ranks; there is one. Leave it out.")

    def collect(self, row: np.ndarray, received: np.ndarray, channel: int = GRADIENTS) -> Callable[[], None]:
        """Begin to give a row to all, which receive one from each; returns what waits for the end."""
        raise NotImplementedError("[collect] expected several ranks; there is one. Leave it out.")

    def shared_cores(self) -> int:
        """How many threads this rank may use, if all ranks of the machine share its cores evenly."""
        return len(cores())

    def leave(self) -> None:
        """Tell the others that this rank has ended."""

    def abort(self, status: int) -> None:
        """End all ranks at once."""


def _nothing() -> None:
    pass


def cores() -> set[int]:
    """The processors that this process may use."""
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


class Job(Alone):
    """The ranks that an MPI launcher has started, seen from one of them.

    Args:
        mpi: the module ``mpi4py.MPI``.
        communicator: the ranks that belong to the job.
    """

    def __init__(self, mpi: Any, communicator: Any):
        self._mpi = mpi
        # One for each channel: what ranks do out of step never meets an operation of another kind.
        self._channels = [communicator.Dup() for _ in _WHAT]
        self._mail = communicator.Dup()
        self.rank = communicator.Get_rank()
        self.size = communicator.Get_size()
        self._machine = communicator.Split_type(mpi.COMM_TYPE_SHARED, self.rank)
        self.local_rank = self._machine.Get_rank()
        self.local_size = self._machine.Get_size()
        across = communicator.Split(self.local_rank, self.rank)
        self.cross_rank, self.cross_size = across.Get_rank(), across.Get_size()
        across.Free()
        self._counts = [0] * len(_WHAT)
        self._words: dict[int, np.ndarray] = {}  # rank -> what it said last, see `_tell`
        self._sent: list[tuple[Any, np.ndarray]] = []
        self._process = os.getpid()
        self._stall = _seconds("HOROVOD_STALL_CHECK_TIME_SECONDS", 60.0)
        if os.environ.get("HOROVOD_STALL_CHECK_DISABLE", "0").strip() not in ("", "0"):
            self._stall = float("inf")
        self._stall_end = _seconds("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", 0.0) or float("inf")

    # -- what ranks do together ----------------------------------------------------------------------------------------

    def gather(self, value: Any, channel: int = VALUES) -> list[Any]:
        text = np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8)
        sizes = np.zeros(self.size, np.int64)
        on = self._begin(channel)
        self._wait(on.Iallgather(np.array([text.size], np.int64), sizes), channel)
        whole = np.empty(int(sizes.sum()), np.uint8)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        on = self._begin(channel)
        self._wait(on.Iallgatherv(text, [whole, sizes, starts[:-1], self._mpi.BYTE]), channel)
        return [pickle.loads(whole[a:b].tobytes()) for a, b in zip(starts, starts[1:])]

    def broadcast(self, array: np.ndarray, root: int, channel: int = VALUES) -> None:
        on = self._begin(channel)
        self._wait(on.Ibcast(_bytes(array), root), channel)

    def reduce(self, array: np.ndarray, how: str = "SUM", channel: int = VALUES) -> Callable[[], None]:
        on = self._begin(channel)
        return self._waiter(on.Iallreduce(self._mpi.IN_PLACE, array, getattr(self._mpi, how)), channel)

    def exchange(self, rows: np.ndarray, received: np.ndarray, channel: int = GRADIENTS) -> Callable[[], None]:
        on = self._begin(channel)
        return self._waiter(on.Ialltoall(_bytes(rows), _bytes(received)), channel)

    def collect(self, row: np.ndarray, received: np.ndarray, channel: int = GRADIENTS) -> Callable[[], None]:
        on = self._begin(channel)
        return self._waiter(on.Iallgather(_bytes(row), _bytes(received)), channel)

    def shared_cores(self) -> int:
        # A launcher may have bound each rank to cores of its own, or all to the same ones.
        mine = cores()
        all_masks = self._machine.allgather(sorted(mine))
        share = sum([1 / sum([core in mask for mask in all_masks]) for core in mine])
        return max(1, int(share + 1e-6))

    # -- the end -------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        if os.getpid() == self._process and not self._mpi.Is_finalized():
            self._tell(_LEFT, 0)

    def abort(self, status: int) -> None:
        if os.getpid() == self._process and not self._mpi.Is_finalized():
            self._mpi.COMM_WORLD.Abort(status)

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _begin(self, channel: int) -> Any:
        self._counts[channel] += 1
        return self._channels[channel]

    def _waiter(self, request: Any, channel: int) -> Callable[[], None]:
        number = self._counts[channel]
        return lambda: self._wait(request, channel, number)

    def _wait(self, request: Any, channel: int, number: int | None = None) -> None:
        """Wait for the end of an operation, the ``number``-th of its channel."""
        test = request.Test
        for _ in range(_EAGER_LOOKS):
            if test():
                return
        number = self._counts[channel] if number is None else number
        began = time.monotonic()
        tell_at, warn_at = began + _TELL_AFTER, began + self._stall
        told = False
        while not test():
            _yield_core()
            now = time.monotonic()
            if now < tell_at:
                continue
            if not told:
                self._tell(channel, number)
                told = True
            tell_at = now + _TELL_AFTER / 10
            self._read_mail()
            self._check(channel, number)
            if now > warn_at:
                self._warn(channel, number, now - began)
                warn_at = now + self._stall
            if now - began > self._stall_end:
                raise DistributedError(
                    f"[distributed] rank {self.rank} has waited {now - began:.0f} s for {_WHAT[channel]}; "
                    f"{self._missing(channel, number)}. HOROVOD_STALL_SHUTDOWN_TIME_SECONDS says to end here."
                )

    def _tell(self, what: int, number: int) -> None:
        """Tell all others what this rank waits for, and how far it has come."""
        word = np.array([what, number, *self._counts], np.int64)
        self._sent = [(request, kept) for request, kept in self._sent if not request.Test()]
        for other in range(self.size):
            if other != self.rank:
                self._sent.append((self._mail.Isend(word, other), word))

    def _read_mail(self) -> None:
        status = self._mpi.Status()
        while self._mail.Iprobe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status):
            word = np.empty(2 + len(_WHAT), np.int64)
            source = status.Get_source()
            self._mail.Recv(word, source)
            self._words[source] = word

    def _check(self, channel: int, number: int) -> None:
        """Raise where a rank can never come to what this one waits for: it has ended, or waits for this one elsewhere.

        What a rank said may be old, but it has not gone past an operation that this one has not come to.
        """
        for other, word in sorted(self._words.items()):
            what, awaited, counts = int(word[0]), word[1], word[2:]
            if counts[channel] >= number:
                continue
            if what == _LEFT:
                raise DistributedError(
                    f"[distributed] rank {self.rank} waits for {_WHAT[channel]}, and rank {other} has ended. Have all "
                    "ranks the same number of batches and epochs?"
                )
            if self._counts[what] < awaited:
                raise DistributedError(
                    f"[distributed] rank {self.rank} waits for {_WHAT[channel]}, rank {other} for {_WHAT[what]}: they "
                    "never meet. Have all ranks the same number of batches, and call the same functions in the same "
                    "order?"
                )

    def _missing(self, channel: int, number: int) -> str:
        here = {self.rank} | {other for other, word in self._words.items() if word[2 + channel] >= number}
        missing = [str(other) for other in range(self.size) if other not in here]
        return f"not there: rank {', '.join(missing)}" if missing else "all ranks are there"

    def _warn(self, channel: int, number: int, waited: float) -> None:
        text = f"[distributed] rank {self.rank} has waited {waited:.0f} s for {_WHAT[channel]}; "
        print(text + self._missing(channel, number), file=sys.stderr, flush=True)


def _yield_core() -> None:
    """Let another process have the core, where there are more ranks than cores; MPI needs to be asked soon again."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:
        time.sleep(0)


def _bytes(array: np.ndarray) -> np.ndarray:
    """The memory of a contiguous array, whatever its dtype."""
    return array.reshape(-1).view(np.uint8)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    try:
        return float(text) if text else default
    except ValueError:
        raise ValueError(f"[distributed] {name} must be a number of seconds; got {text!r}. Try {name}=60.") from None


def launched_size() -> int:
    """How many ranks a launcher has started, as it says in the environment; 1 where there is none."""
    sizes = [os.environ.get(name, "") for name in _SIZES]
    return max([int(text) for text in sizes if text.isdigit()], default=2 if "PMIX_RANK" in os.environ else 1)


def connect(ranks: Any = None) -> Alone:
    """The job that this process belongs to.

    Args:
        ranks: of all that a launcher has started those that take part, a list of their numbers or an mpi4py
            communicator; None for all of them.

    Raises:
        ImportError: there are several ranks, and mpi4py is not installed.
    """
    if launched_size() == 1 and "mpi4py.MPI" not in sys.modules:
        return Alone()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            f"[init] {launched_size()} ranks were started, and they talk by mpi4py, which is missing ({error}). Run "
            "pip install 'autotensor[distributed]', or pip install mpi4py mpich."
        ) from None
    world: Any = MPI.COMM_WORLD
    if isinstance(ranks, Sequence) and len(ranks):
        if world.Get_rank() not in ranks:
            raise ValueError(f"[init] rank {world.Get_rank()} is none of the ranks {list(ranks)}. Leave it out there.")
        world = world.Create_group(world.Get_group().Incl(list(ranks)))
    elif isinstance(ranks, MPI.Comm):
        world = ranks
    elif ranks is not None and not isinstance(ranks, Sequence):
        raise TypeError(f"[init] expected a list of ranks or an mpi4py communicator; got {type(ranks).__name__}.")
    return Job(MPI, world) if world.Get_size() > 1 else Alone()
