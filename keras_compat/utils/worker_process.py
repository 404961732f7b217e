"""What happens in a process that makes items of a sequence, and the messages between it and the program.

A message is a pickle with the arrays' memory behind it, which both sides read and write where the arrays lie.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import multiprocessing
import os
import pickle
import random
import signal
import socket
import struct
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level, is_keras_0, set_api_level

# -- random numbers ---------------------------------------------------------------------------------------------------


def _states(generators: Sequence[Any]) -> list[Any]:
    return [
        g.getstate()
        if isinstance(g, random.Random)
        else g.get_state()
        if hasattr(g, "get_state")
        else g.bit_generator.state
        for g in generators
    ]


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def _seed(generator: Any, place: list[int]) -> None:
    if isinstance(generator, random.Random):
        generator.seed("-".join(map(str, place)))
    elif isinstance(generator, np.random.Generator):
        bits: Any = type(generator.bit_generator)
        generator.bit_generator.state = bits(np.random.SeedSequence(place)).state
    else:
        generator.seed(place)


@contextlib.contextmanager
def seeded(seed: int, epoch: int, index: int, sequence: Any = None) -> Iterator[None]:
    """Seed random generators from a place in an epoch; afterwards they go on as if nothing had been.

    These are the global ones of ``random`` and ``numpy.random``, and those that are attributes of a sequence.
    """
    own = [v for v in getattr(sequence, "__dict__", {}).values() if isinstance(v, _GENERATORS)]
    generators = [np.random.mtrand._rand, random._inst, *own]
    before = _states(generators)
    for i, generator in enumerate(generators):
        _seed(generator, [seed, epoch, index, i])
    try:
        yield
    finally:
        for generator, state in zip(generators, before):
            _set_state(generator, state)


_GENERATORS = (np.random.RandomState, np.random.Generator, random.Random)


class Job(NamedTuple):
    """What a process is to make: ``sequence[index]`` from a seed, or ``sequence.carry_out(plan)``.

    A sequence that has ``plan(index)`` draws there, in the main process and in order, what is random about an item.
    """

    seed: int
    epoch: int
    item: int
    plan: Any = None
    random_state: Any = None  # of NumPy's generator after the plan was made


# -- pickles with arrays beside them ----------------------------------------------------------------------------------


def _mapped(name: str, dtype: np.dtype, offset: int, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """A part of a file as an array; writing to it does not change the file."""
    return np.memmap(name, dtype, "c", offset, shape, order)


class SequencePickler(pickle.Pickler):
    """Sends arrays that are parts of files as names of these."""

    def reducer_override(self, thing: Any) -> Any:
        if type(thing) is not np.memmap:
            return NotImplemented
        flags, pages = thing.flags, getattr(thing, "_mmap", None)
        if thing.filename is None or pages is None or not (flags.c_contiguous or flags.f_contiguous) or not thing.size:
            return np.array(thing).__reduce_ex__(5)
        first = np.frombuffer(pages, np.uint8).__array_interface__["data"][0]
        begin = thing.offset - thing.offset % mmap.ALLOCATIONGRANULARITY
        offset = begin + thing.__array_interface__["data"][0] - first
        order = "C" if flags.c_contiguous else "F"
        return _mapped, (os.path.abspath(thing.filename), thing.dtype, offset, thing.shape, order)


class ItemPickler(pickle.Pickler):
    """Reads arrays that are parts of files."""

    def reducer_override(self, thing: Any) -> Any:
        return np.asarray(thing).__reduce_ex__(5) if type(thing) is np.memmap else NotImplemented


def pack(thing: Any, pickler: type[pickle.Pickler]) -> tuple[bytes, list[memoryview]]:
    """A pickle, and the memory of the arrays that belong to it."""
    stream = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    pickler(stream, 5, buffer_callback=buffers.append).dump(thing)
    return stream.getvalue(), [b.raw() for b in buffers]


# -- messages ---------------------------------------------------------------------------------------------------------

_LENGTHS = struct.Struct("!QQ")


def _read(link: socket.socket, size: int) -> bytearray:
    """Exactly so many bytes. Raises EOFError where the other side has ended."""
    found = bytearray(size)
    rest = memoryview(found)
    while rest:
        count = link.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return found


def _encode(message: Any) -> list[Any]:
    """A message as the pieces of memory to be sent."""
    head, buffers = pack(message, ItemPickler)
    sizes = struct.pack(f"!{len(buffers)}Q", *[b.nbytes for b in buffers])
    return [_LENGTHS.pack(len(head), len(buffers)) + sizes + head, *buffers]


def send(link: socket.socket, message: Any) -> None:
    for piece in _encode(message):
        link.sendall(piece)


def receive(link: socket.socket) -> Any:
    length, count = _LENGTHS.unpack(_read(link, _LENGTHS.size))
    sizes = struct.unpack(f"!{count}Q", _read(link, 8 * count))
    head = _read(link, length)
    return pickle.loads(head, buffers=[_read(link, size) for size in sizes])


# -- in the process ---------------------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """What a sequence may ask of keras_compat, as it is in this process."""
    return {
        "level": "0.3" if is_keras_0() else get_api_level(),
        "floatx": K.floatx(),
        "epsilon": K.epsilon(),
        "image_data_format": K.image_data_format(),
    }


def _set_up(given: dict[str, Any]) -> None:
    set_api_level(given["level"])
    K.set_floatx(given["floatx"])
    K.set_epsilon(given["epsilon"])
    if K.image_data_format() != given["image_data_format"]:
        K.set_image_data_format(given["image_data_format"])


def _buffer(part: Any, before: Sequence[Any]) -> Any:
    """Memory of an array of the sequence: one that is here, or a part of a file."""
    if isinstance(part, int):
        return before[part]
    name, offset, size = part
    return np.memmap(name, np.uint8, "c", offset, (size,)) if size else bytearray()


def _told(error: BaseException) -> BaseException:
    """The error, if the other process can read it."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a class of the user's does
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if type(copy) is type(error) else RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """End at once, whatever is under way, where the program was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _made(sequence: Any, job: Job) -> Any:
    with seeded(job.seed, job.epoch, job.item, sequence):
        if job.plan is None:
            return sequence[job.item]
        np.random.set_state(job.random_state)
        return sequence.carry_out(job.plan)


def serve(link: socket.socket, given: dict[str, Any]) -> None:
    """What a process does until the other side ends: load the sequence, and make items."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's affair; this one ends with it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _set_up(given)
    sequence: Any = None
    buffers: list[Any] = []
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            what, *rest = receive(link)
            try:
                if what == "load":
                    head, parts = rest
                    buffers = [_buffer(part, buffers) for part in parts]
                    sequence = pickle.loads(head, buffers=buffers)
                    answer: Any = ("ready",)
                else:
                    answer = ("item", _made(sequence, *rest))
                pieces = _encode(answer)
            except BaseException as error:
                pieces = _encode(("error", _told(error), traceback.format_exc()))
            for piece in pieces:
                link.sendall(piece)
