"""HDF5 files that are open for reading: what they are called, how large they are, and how much of them was read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import h5py

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError, raised_by
from keras_compat.saving.h5_structure import SIGNATURE, is_sound, root_of
from keras_compat.saving.limits import content_of, is_content, most_bytes, path_of, shown

# What h5py raises when the library meets something that can not be.
_LIBRARY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError)


@dataclass
class Opened:
    """An open file: its name, its size, and what of the allowance for its data is used up."""

    name: str
    size: int
    most: int
    raw: Any = None  # the bytes of the file, to look at what the library would not show
    spent: int = 0
    unpacked: int = 0  # of that, by arrays that lie in the file as they are
    sound: set[int] = field(default_factory=set)  # addresses of objects whose trees were looked through
    read: set[int] = field(default_factory=set)


# By the number that HDF5 gives each open file.
opened_files: dict[int, Opened] = {}


@contextmanager
def open_h5(source: Any, max_bytes: int | None = None) -> Iterator[h5py.Group]:
    """Open an HDF5 file for reading: a path, bytes, a binary stream, or a group that is open already.

    Raises:
        CorruptFileError: no such file, no HDF5, or not all of one; names the file.
        UnsafeModelError: raised by what reads from it, where the file holds links out of the file, external or virtual
            data, objects, or claims more than ``max_bytes`` (by default a hundred times the size of the file).
    """
    if isinstance(source, h5py.Group):
        with _translated(_name_of(source)), _known(source, _name_of(source), _size_of(source), None, max_bytes):
            yield source
        return
    if hasattr(source, "read"):
        source = content_of(source)
    if is_content(source):
        name, size = "the stream", len(source)
        raw: Any = io.BytesIO(source)
        _check_root(raw, name)
        opened = _open(raw, name, size)
    else:
        name = path_of(source)
        raw = open(name, "rb")  # noqa: SIM115 (closed below, with the file)
        with _closing_after_error(raw):
            size = raw.seek(0, io.SEEK_END)
            _check_root(raw, name)
            opened = _open(name, name, size)
    with _translated(name), raw, opened, _known(opened, name, size, raw, max_bytes):
        yield opened


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """What the library itself raises, at whatever use of the file, is damage of the file."""
    try:
        yield
    except (CorruptFileError, UnsafeModelError):
        raise
    except _LIBRARY_ERRORS as error:
        if not raised_by(error, "h5py"):
            raise
        raise CorruptFileError(
            f"[load] {shown(name)} is damaged: it can not be read ({error}). Take another copy of the file."
        ) from error


def _check_root(raw: Any, name: str) -> None:
    root = root_of(raw)
    raw.seek(0)
    if root is None and raw.read(8) != SIGNATURE and not _is_hdf5_further_on(raw):
        return  # no HDF5 at all: the library says so
    if root is None or not is_sound(raw, root):
        raise _unsound(name)
    raw.seek(0)


def _is_hdf5_further_on(raw: Any) -> bool:
    """Tell whether something foreign stands before the file proper, whose addresses then count from elsewhere."""
    place = 512
    while True:
        raw.seek(place)
        start = raw.read(8)
        if start == SIGNATURE:
            return True
        if len(start) < 8:
            return False
        place *= 2


def check_sound(thing: Any, address: int) -> None:
    """That the library can walk the object at an address, before it does.

    Raises:
        CorruptFileError: it has trees without end, or none.
    """
    account = account_of(thing)
    if account.raw is None or address in account.sound:  # a file that the caller opened is the caller's
        return
    if not is_sound(account.raw, address):
        raise _unsound(account.name)
    account.sound.add(address)


def _unsound(name: str) -> CorruptFileError:
    return CorruptFileError(
        f"[load] {shown(name)} is damaged: it is no HDF5 file, or not all of one, as any Keras writes them. Take "
        "another copy of the file. Was it written by save()?"
    )


@contextmanager
def _closing_after_error(raw: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        raw.close()
        raise


def _open(source: Any, name: str, size: int) -> h5py.File:
    try:
        return h5py.File(source, "r")
    except _LIBRARY_ERRORS as error:
        raise CorruptFileError(
            f"[load] Unable to open file: expected an HDF5 file; {shown(name)} ({size:,} bytes) is no HDF5 file, or "
            f"not all of one ({error}). Was it written by save()?"
        ) from error


@contextmanager
def _known(group: h5py.Group, name: str, size: int, raw: Any, max_bytes: int | None) -> Iterator[None]:
    """Keep account of a file while it is open."""
    number = _number(group)
    before = opened_files.get(number)
    opened_files[number] = Opened(name, size, most_bytes(size, max_bytes), raw)
    try:
        yield
    finally:
        if before is None:
            opened_files.pop(number, None)
        else:
            opened_files[number] = before


def _number(thing: Any) -> int:
    return int(h5py.h5o.get_info(thing.id).fileno)


def _name_of(group: h5py.Group) -> str:
    return str(group.file.filename)


def _size_of(group: h5py.Group) -> int:
    return int(group.file.id.get_filesize())


def account_of(thing: Any) -> Opened:
    known = opened_files.get(_number(thing))
    if known is not None:
        return known
    size = _size_of(thing)
    return Opened(_name_of(thing), size, most_bytes(size, None))


def where(thing: Any) -> str:
    """Name of the file that a group lies in, for errors."""
    try:
        return shown(account_of(thing).name)
    except _LIBRARY_ERRORS:
        return "the file"


@contextmanager
def reading(thing: Any, what: str) -> Iterator[None]:
    """What the library raises becomes an error that names the file."""
    try:
        yield
    except (CorruptFileError, UnsafeModelError):
        raise
    except _LIBRARY_ERRORS as error:
        raise CorruptFileError(
            f"[load] {where(thing)} is damaged: {what} can not be read ({error}). Take another copy of the file."
        ) from error


def address_of(thing: Any) -> int:
    with reading(thing, "the file"):
        return int(h5py.h5o.get_info(thing.id).addr)
