"""Files that grow while training runs: written whole record by whole record, and never a reason for training to end."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from types import TracebackType
from typing import Any

from keras_compat.utils.generic_utils import warn

# What a disk says that has no room: no reason to stop, even when a file is only made.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class LogFile:
    """A file that records are added to.

    A record that can not be written (a full disk, a share that is gone) is taken back, so that the file ends with a
    whole one; a warning tells of it, and nothing more is written.

    Args:
        path: of the file.
        owner: name of the callback, for the warning.
        append: go on behind what the file holds; else it begins anew.

    Raises:
        OSError: the file can not be opened for another reason than a full disk.
    """

    def __init__(self, path: Any, owner: str, append: bool = False):
        self.path = os.fspath(path)
        self.owner = owner
        self._file: Any = None
        try:
            # Without a buffer: what was written is on its way, and a failure shows where it happens.
            self._file = io.FileIO(self.path, "ab" if append else "wb")
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._give_up(error)

    @property
    def closed(self) -> bool:
        """Nothing more is written: it was closed, or a record failed."""
        return self._file is None

    def write(self, record: bytes) -> None:
        """Add a record."""
        if self._file is None:
            return
        end = None
        try:
            if self._file.seekable():
                end = self._file.seek(0, os.SEEK_END)
            left = memoryview(record)
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            if end is not None:
                self.cut(end)
            self._give_up(error)

    def cut(self, size: int) -> None:
        """Leave the first ``size`` bytes."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(size)

    def _give_up(self, error: OSError) -> None:
        warn(
            f"[{self.owner}] could not write to {self.path!r}: {error.strerror or error}. Training goes on, and "
            "nothing more is written there."
        )
        self.close()

    def close(self) -> None:
        """Close the file; a second time changes nothing."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
