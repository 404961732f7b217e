"""The job of this process: its beginning, its size, and how an error on one rank ends all of them."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import TracebackType
from typing import Any

import autotensor as at
from keras_compat.distributed.communicator import Alone, connect

_job: Alone | None = None
_hooked = False


def init(comm: Any = None, process_sets: Any = None) -> None:
    """Begin: find the other ranks, if a launcher such as ``mpiexec -n 2`` has started several.

    The cores of a machine are shared by the ranks on it: each uses ``cores / local_size`` threads, unless
    ``AUTOTENSOR_THREADS``, ``NUMBA_NUM_THREADS`` or a call has said otherwise. From here on an error that nobody
    catches ends all ranks.

    Args:
        comm: a list of ranks that take part, or an mpi4py communicator; None for all.
        process_sets: of Horovod; there is one set, of all ranks.

    Raises:
        ImportError: several ranks were started, and mpi4py is not installed.
    """
    global _job, _hooked
    if process_sets:
        raise NotImplementedError(f"[init] expected no process sets: all ranks are one; got {process_sets!r}.")
    if _job is not None:
        return
    _job = connect(comm)
    if _job.size > 1:
        _share_cores(_job)
        if not _hooked:
            _hooked = True
            _end_together()


def shutdown() -> None:
    """End the talk of this rank with the others."""
    global _job
    if _job is not None:
        _job.leave()
    _job = None


def is_initialized() -> bool:
    """Whether ``init`` has been called."""
    return _job is not None


def job() -> Alone:
    """The job. Raises ValueError before ``init``."""
    if _job is None:
        raise ValueError("[distributed] Horovod has not been initialized; use hvd.init().")
    return _job


def rank() -> int:
    """Number of this process, from 0. Raises ValueError before ``init``."""
    return job().rank


def size() -> int:
    """How many ranks there are. Raises ValueError before ``init``."""
    return job().size


def local_rank() -> int:
    """Number of this rank among those of its machine, from 0. Raises ValueError before ``init``."""
    return job().local_rank


def local_size() -> int:
    """How many ranks are on this machine. Raises ValueError before ``init``."""
    return job().local_size


def cross_rank() -> int:
    """Number of this machine among those that have as many ranks. Raises ValueError before ``init``."""
    return job().cross_rank


def cross_size() -> int:
    """How many machines have a rank of this local rank. Raises ValueError before ``init``."""
    return job().cross_size


def is_homogeneous() -> bool:
    """Whether all machines have as many ranks. Raises ValueError before ``init``."""
    return len(set(job().gather(job().local_size))) == 1


def _share_cores(job: Alone) -> None:
    threads = job.shared_cores()
    asked = {"AUTOTENSOR_THREADS", "NUMBA_NUM_THREADS"} & set(os.environ)
    if not asked and at.get_num_threads() > threads:
        at.set_num_threads(threads)
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & set(os.environ):
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:  # products of NumPy's own then use all cores, as they do without ranks
            return
        threadpool_limits(threads, "blas")


def _end_together() -> None:
    """Let an error that nobody catches end all ranks: the others would wait for this one for ever."""
    before, before_in_thread = sys.excepthook, threading.excepthook

    def failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        _abort(130 if issubclass(kind, KeyboardInterrupt) else 1)

    def failed_in_thread(what: Any) -> None:
        before_in_thread(what)
        if what.exc_type is not SystemExit:
            _abort(1)

    sys.excepthook, threading.excepthook = failed, failed_in_thread
    atexit.register(shutdown)


def _abort(status: int) -> None:
    if _job is None:
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # none, or closed
            continue
    _job.abort(status)
