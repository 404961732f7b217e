"""Writing a file so that its name holds the old content or the new, whole, whatever happens in between.

The content goes to a temporary file in the same folder, is brought to disk, and takes the name by renaming, which is
one step. A process that was killed leaves its temporary file; the next one that writes the same name removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import h5py

from keras_compat.utils import interrupts

try:
    import fcntl
except ImportError:  # Windows: a file that is open can not be removed there, which does as well
    fcntl = None  # type: ignore[assignment]

# Names of files are limited to 255 bytes in most places.
_LONGEST_STEM = 100

# Temporary files that this process is writing: locks hold between processes only.
_being_written: set[str] = set()


def write_atomically(path: Any, write: Callable[[BinaryIO], None]) -> None:
    """Call ``write`` with a binary file, and give that file the name ``path`` once all of it is on disk.

    A link is followed: the file that it points to is replaced. The mode of an older file stays.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: ``path`` is one.
        OSError: the disk is full, or the folder closed. What ``path`` held before is untouched, and so it is after
            whatever ``write`` raises.
    """
    path = os.fsdecode(path)
    target = os.path.realpath(path)
    _check_target(path, target)
    folder = os.path.dirname(target)
    with interrupts.Held(), _temporary(path, target) as (temporary, raw):
        failed: BaseException | None = None
        try:
            write(raw)
        except BaseException as error:
            failed = error
        if raw.error is not None:  # what went wrong first
            failed = raw.error
        if isinstance(failed, OSError) and failed.errno is not None:
            raise _not_written(path, failed) from failed
        if failed is not None:
            raise failed
        try:
            os.fsync(raw.fileno())
        except OSError as error:
            raise _not_written(path, error) from error
        _keep_mode(target, temporary)
        if fcntl is None:
            raw.close()
        os.replace(temporary, target)
    _sync_folder(folder)


def write_h5(path: Any, write: Callable[[h5py.File], None]) -> None:
    """As :func:`write_atomically`, for an HDF5 file: ``write`` gets it open and empty."""

    def write_file(raw: BinaryIO) -> None:
        with h5py.File(raw, "w") as f:
            write(f)

    write_atomically(path, write_file)


def _check_target(path: str, target: str) -> None:
    if os.path.isdir(target):
        raise IsADirectoryError(f"[save] expected the path of a file; {path} is a folder. Add a name: model.h5.")
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"[save] the folder {folder} does not exist. Create it first.")


def _not_written(path: str, error: OSError) -> OSError:
    return OSError(
        error.errno, f"[save] {path} could not be written: {error.strerror}. What it held before is untouched"
    )


# -- temporary files --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _temporary(path: str, target: str) -> Iterator[tuple[str, _Patient]]:
    """A new file beside ``target``, open, and removed in the end if it still has its name.

    It is locked while it is open: a file of that kind without a lock was left by a process that is no more.
    """
    folder, stem = os.path.dirname(target), _stem(target)
    _remove_leftovers(folder, stem)
    while True:
        name = os.path.join(folder, f"{stem}{secrets.token_hex(8)}.tmp")
        _being_written.add(name)
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            _being_written.discard(name)
            raise _not_written(path, error) from error
        raw = _Patient(handle, "rb+")
        _lock(handle)
        if os.path.exists(name):
            break
        _being_written.discard(name)
        raw.close()  # another process took it for a leftover before it was locked
    try:
        with raw:
            yield name, raw
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
        _being_written.discard(name)


def _stem(target: str) -> str:
    """How the names of temporary files for a target begin."""
    name = os.path.basename(target)
    if len(os.fsencode(name)) > _LONGEST_STEM:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def _remove_leftovers(folder: str, stem: str) -> None:
    """Remove what killed processes left of the same target; what a living one writes is locked, and stays."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        middle = name.removeprefix(stem).removesuffix(".tmp")
        if not (name.startswith(stem) and name.endswith(".tmp") and len(middle) == 16):
            continue
        left = os.path.join(folder, name)
        if left in _being_written:
            continue
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if not _lock(handle):
                    continue
                if fcntl is not None:
                    os.unlink(left)
            finally:
                os.close(handle)
            if fcntl is None:
                os.unlink(left)


def _lock(handle: int) -> bool:
    """Take the lock of an open file; False where another process has it, or there are no locks.

    It is not the kind of lock that HDF5 asks for: whoever opens the file right after it was renamed must not wait.
    """
    if fcntl is None:
        return True
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class _Patient(io.FileIO):
    """A file that keeps an error of writing instead of raising it.

    HDF5 can not close a file that refuses its bytes (a full disk): it would stay open, with an error from the closing.
    Where a second Ctrl-C has left the file before HDF5 closed it, HDF5 does so later: nobody wants these bytes.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self.error is None and not self.closed:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size) if not self.closed else size or 0
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        if not self.closed:
            super().flush()


def _keep_mode(target: str, temporary: str) -> None:
    """Temporary files are private; the new file gets the mode of the old, or what the umask says."""
    try:
        mode = os.stat(target).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(temporary, mode)


def _sync_folder(folder: str) -> None:
    """Bring the renaming itself to disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
