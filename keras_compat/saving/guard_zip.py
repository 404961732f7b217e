"""Zip archives: ``.keras`` and ``.npz``. Plain members only, unpacked in memory, no further than they claim."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError
from keras_compat.saving.limits import MOST_MEMBERS, content_of, is_content, most_bytes, path_of, refuse_size, shown

_ZIP_ERRORS = (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zlib.error)
_PIECE = 1 << 20


class Archive:
    """An open archive whose members were checked: plain names, no two alike, none encrypted, sizes as claimed."""

    def __init__(self, opened: zipfile.ZipFile, name: str, size: int, max_bytes: int | None = None):
        self.name = name
        self._zip = opened
        self._most = most_bytes(size, max_bytes)
        self._members = _checked(opened.infolist(), name)
        claimed = sum(member.file_size for member in self._members.values())
        if claimed > self._most:
            raise refuse_size(shown(name), "the archive", claimed, self._most)

    @property
    def names(self) -> list[str]:
        """Names of the members that are files."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The content of a member. Raises CorruptFileError where there is none, or another than was written."""
        member = self._members.get(name)
        if member is None:
            listed = ", ".join(self.names[:8])
            raise CorruptFileError(
                f"[load] expected {name!r} in the archive {shown(self.name)}; it holds {listed or 'nothing'}. Was it "
                "written by save()?"
            )
        pieces: list[bytes] = []
        left = member.file_size
        try:
            with self._zip.open(member) as stream:
                while piece := stream.read(min(left, _PIECE) or 1):  # one more, after which the check sum is compared
                    left -= len(piece)
                    if left < 0:
                        raise UnsafeModelError(
                            f"[load] {shown(self.name)}: {name!r} is longer than its {member.file_size:,} bytes."
                        )
                    pieces.append(piece)
        except _ZIP_ERRORS as error:
            if isinstance(error, UnsafeModelError):
                raise
            raise CorruptFileError(
                f"[load] {shown(self.name)} is damaged: {name!r} can not be read ({error}). Take another copy of it."
            ) from error
        if left:
            raise CorruptFileError(f"[load] {shown(self.name)} is cut off: {left:,} bytes of {name!r} are missing.")
        return b"".join(pieces)


@contextmanager
def open_zip(source: Any, max_bytes: int | None = None) -> Iterator[Archive]:
    """Open a ``.keras`` archive for reading: a path, bytes or a binary stream.

    Args:
        max_bytes: what all members may come to unpacked; by default a hundred times the size of the file.

    Raises:
        CorruptFileError: no such file, no zip archive, or not all of one; names the file.
        UnsafeModelError: a member would lie outside of a folder, is no plain file, or the archive claims too much.
    """
    if hasattr(source, "read"):
        source = content_of(source)
    if is_content(source):
        name = "the stream"
        data: Any = io.BytesIO(source)
    else:
        name = path_of(source)
        data = open(name, "rb")  # noqa: SIM115 (closed below)
    with data:
        size = data.seek(0, io.SEEK_END)
        try:
            opened = zipfile.ZipFile(data)
        except _ZIP_ERRORS as error:
            raise CorruptFileError(
                f"[load] Unable to open file: expected a zip archive; {shown(name)} ({size:,} bytes) is none, or not "
                f"all of one ({error}). Was it written by save()?"
            ) from error
        with opened:
            yield Archive(opened, name, size, max_bytes)


def _checked(members: list[zipfile.ZipInfo], archive: str) -> dict[str, zipfile.ZipInfo]:
    if len(members) > MOST_MEMBERS:
        raise UnsafeModelError(
            f"[load] {shown(archive)} has {len(members):,} members; at most {MOST_MEMBERS:,} are read."
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        why = _objection(member)
        if member.filename in found:
            why = "is there twice"
        if why:
            raise UnsafeModelError(
                f"[load] {shown(archive)}: the member {member.orig_filename!r:.200} {why}. No Keras writes such an "
                "archive; take a copy from whoever made it."
            )
        found[member.filename] = member
    return {name: member for name, member in found.items() if not member.is_dir()}


def _objection(member: zipfile.ZipInfo) -> str | None:
    name = member.orig_filename
    if name != member.filename or "\0" in name or not name:
        return "has a name that is read in two ways"
    if name.startswith("/") or "\\" in name or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return "would lie outside of the archive's folder"
    if member.flag_bits & 0x1:
        return "is encrypted"
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that Keras does not use"
    return None
