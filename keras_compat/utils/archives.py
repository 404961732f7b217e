"""Taking archives apart: only plain files and folders, only below the target, and only as much as may be real.

An archive is looked through before anything of it is written: a link, a device, a name that leads elsewhere, or more
content than such a file can honestly hold refuses the whole of it. What is written goes to a folder beside first and
is moved into place file by file, so an archive that turns out to be cut off leaves nothing behind.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import secrets
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

# What an archive may unfold to: this many times its own size, and always this many bytes. Data sets unfold 2 to 20
# times; deflate could do 1,032, bzip2 more than a million.
MAX_RATIO = 200
ALWAYS_ALLOWED = 100 << 20
# What each entry costs, content or none: archives of millions of empty files count too.
_PER_ENTRY = 512

_CHUNK = 1 << 20
_LONGEST_NAME = 255
_LONGEST_PATH = 4095
_LONGEST_HEADER = 8 << 20

# What the readers of the standard library raise for files that are not what they should be.
_DAMAGED = (
    *(EOFError, ValueError, OverflowError, LookupError, RuntimeError, struct.error),
    *(zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile),
)


class UnsafeArchiveError(ValueError):
    """The archive would write outside its folder, make links or devices, or fill the disk. Nothing was extracted."""


@dataclass(frozen=True)
class _Entry:
    """A file or folder in an archive: the parts of its name, its size in bytes (None: a folder), where to read it."""

    parts: tuple[str, ...]
    size: int | None
    key: Any


def extract_archive(path: str, target: str, archive_format: str | Sequence[str] | None = "auto") -> bool:
    """Extract an archive into a folder; files of the same name are replaced, others there stay.

    Args:
        path: the archive.
        target: the folder; it is made where there is none.
        archive_format: ``'tar'`` (plain, or packed by gzip, bzip2 or xz), ``'zip'``, a list of these, ``'auto'`` for
            both, or None for none.

    Returns:
        Whether it was an archive of such a format.

    Raises:
        UnsafeArchiveError: it holds something else than files and folders below the target, or unfolds to more than
            200 times its size. Nothing was written.
        OSError: it is damaged or cut off, or there is no room. What was in the folder is as it was.
    """
    for kind in _kinds(archive_format):
        if not _is(kind, path):
            continue
        try:
            with _opened(kind, path) as archive:
                entries = list(_checked(archive, path, target))
                _write(archive, entries, target)
        except UnsafeArchiveError:
            raise
        except _DAMAGED as error:
            raise OSError(
                f"[extract] {path} is damaged or cut off: {error or type(error).__name__}. Nothing was extracted. "
                "Delete it, so that it is fetched again."
            ) from error
        return True
    return False


def _kinds(archive_format: str | Sequence[str] | None) -> list[str]:
    if archive_format is None:
        return []
    if archive_format == "auto":
        return ["tar", "zip"]
    kinds = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    for kind in kinds:
        if kind not in ("tar", "zip"):
            raise ValueError(
                f"[extract] archive_format must be 'auto', 'tar', 'zip', a list of these or None; got {kind!r}. "
                "A packed tar is a 'tar'."
            )
    return kinds


def _is(kind: str, path: str) -> bool:
    if kind == "zip":
        return zipfile.is_zipfile(path)
    try:
        with _opened("tar", path) as archive:
            next(iter(archive.tar), None)
        return True
    except (OSError, *_DAMAGED):
        return False


# -- the two formats --------------------------------------------------------------------------------------------------


class _Tar:
    """A tar archive, read from front to back."""

    def __init__(self, tar: tarfile.TarFile, stream: _Limited):
        self.tar = tar
        self._stream = stream

    def entries(self) -> Iterator[tuple[str, int | None, str | None, Any]]:
        """Name, size or None for a folder, what is wrong with its kind, and the member; one after the other."""
        for member in self.tar:
            self._stream.left = _LONGEST_HEADER
            wrong = None if member.isreg() or member.isdir() else _TAR_KINDS.get(member.type, "no file or folder")
            yield member.name, None if member.isdir() else member.size, wrong, member

    def open(self, key: Any) -> IO[bytes]:
        """The content of a file."""
        self._stream.left = None
        stream = self.tar.extractfile(key)
        assert stream is not None
        return stream


_TAR_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class _Zip:
    """A zip archive."""

    def __init__(self, archive: zipfile.ZipFile):
        self.zip = archive

    def entries(self) -> Iterator[tuple[str, int | None, str | None, Any]]:
        """As those of a tar."""
        for info in self.zip.infolist():
            mode = info.external_attr >> 16
            wrong = None
            if stat.S_ISLNK(mode):
                wrong = "a symbolic link"
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                wrong = "no file or folder"
            elif info.flag_bits & 1:
                wrong = "encrypted"
            # The name as it is stored: ZipInfo cuts it at a zero byte.
            yield info.orig_filename, None if info.is_dir() else info.file_size, wrong, info

    def open(self, key: Any) -> IO[bytes]:
        """The content of a file; its check sum is looked at."""
        return self.zip.open(key)


class _Limited(io.RawIOBase):
    """An unpacked stream that gives up where the headers of one entry take more memory than honest ones."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.left: int | None = _LONGEST_HEADER  # bytes that the next entry's headers may take; None: no matter

    def read(self, size: int = -1) -> bytes:
        if self.left is not None:
            self.left -= size
            if size < 0 or self.left < 0:
                raise tarfile.ReadError(f"a header claims to be longer than {_LONGEST_HEADER:,} bytes")
        return _sound(self._stream.read, size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return _sound(self._stream.seek, offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _sound(read: Callable[..., Any], *args: Any) -> Any:
    """What reading gives; unpackers say with an OSError that the archive is damaged."""
    try:
        return read(*args)
    except OSError as error:
        raise tarfile.ReadError(str(error)) from error


_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))


@contextmanager
def _opened(kind: str, path: str) -> Iterator[Any]:
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            yield _Zip(archive)
        return
    with open(path, "rb") as start:
        first = start.read(8)
    opener: Any = next((opener for magic, opener in _PACKED if first.startswith(magic)), open)
    with opener(path, "rb") as stream:
        limited = _Limited(stream)
        with tarfile.open(fileobj=limited, mode="r:") as tar:
            yield _Tar(tar, limited)


# -- checking ---------------------------------------------------------------------------------------------------------


def _checked(archive: Any, path: str, target: str) -> Iterator[_Entry]:
    """The entries, each looked at before the next is read. Raises UnsafeArchiveError for the first that is wrong."""
    allowed = max(ALWAYS_ALLOWED, MAX_RATIO * os.path.getsize(path))
    free = shutil.disk_usage(_existing(target)).free
    base = len(os.fsencode(os.path.realpath(target))) + 32  # the folder beside, in which it is written first
    total = 0
    kinds: dict[tuple[str, ...], bool] = {}
    for name, size, wrong, key in archive.entries():
        parts = tuple(part for part in re.split(r"[/\\]", name) if part not in ("", "."))
        reason = wrong or _wrong_name(name, parts, base)
        if reason is None:
            is_file = size is not None
            above = [parts[:i] for i in range(1, len(parts))]
            if kinds.get(parts, is_file) != is_file or any(kinds.get(one) for one in above):
                reason = "a file and a folder at once"
            kinds[parts] = is_file
            kinds.update(dict.fromkeys(above, False))
        if reason is not None:
            raise UnsafeArchiveError(
                f"[extract] only files and folders below the target are extracted; in {path} {name[:200]!r} is "
                f"{reason}. Nothing was extracted. Where does the archive come from?"
            )
        total += _PER_ENTRY + (size or 0)
        if total > allowed:
            raise UnsafeArchiveError(
                f"[extract] {path} ({os.path.getsize(path):,} bytes) may unfold to {allowed:,} bytes; it claims more "
                f"than {total:,}. Nothing was extracted. If it is right, unpack it by hand."
            )
        if total > free:
            raise OSError(
                f"[extract] {path} needs more than {total:,} bytes of room; {free:,} are free. Nothing was extracted."
            )
        if parts:
            yield _Entry(parts, size, key)


def _wrong_name(name: str, parts: tuple[str, ...], base: int) -> str | None:
    """What is wrong with a name, or None."""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "an absolute path"
    if ".." in parts:
        return "a path to outside"
    if "\0" in name:
        return "a name with a zero byte"
    lengths = [len(os.fsencode(part)) for part in parts]
    if any(length > _LONGEST_NAME for length in lengths) or base + sum(lengths) + len(lengths) > _LONGEST_PATH:
        return "a path that is too long"
    return None


def _existing(path: str) -> str:
    """The innermost folder of a path that is there."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


# -- writing ----------------------------------------------------------------------------------------------------------


def _write(archive: Any, entries: Sequence[_Entry], target: str) -> None:
    os.makedirs(target, exist_ok=True)
    beside = os.path.join(target, f".extract-{secrets.token_hex(6)}")
    os.mkdir(beside)
    try:
        for entry in entries:
            place = os.path.join(beside, *entry.parts)
            if entry.size is None:
                os.makedirs(place, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with archive.open(entry.key) as source, open(place, "wb") as stream:
                _copy(source, stream, entry.size)
        _move(beside, target, entries)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy(source: IO[bytes], stream: IO[bytes], size: int) -> None:
    """Copy a file, to the byte as long as it was said to be."""
    copied = 0
    while chunk := _sound(source.read, _CHUNK):
        copied += len(chunk)
        if copied > size:
            break
        stream.write(chunk)
    if copied != size:
        raise EOFError(f"a file of {size} bytes has {copied}")


def _move(beside: str, target: str, entries: Sequence[_Entry]) -> None:
    """Put what was extracted into place. A link that stands in the target from before is never followed outside."""
    root = os.path.realpath(target)
    files = list(dict.fromkeys(entry.parts for entry in entries if entry.size is not None))
    inner = {entry.parts for entry in entries if entry.size is None} | {parts[:-1] for parts in files}
    folders = sorted({parts[:i] for parts in inner for i in range(1, len(parts) + 1)})
    for parts in folders:
        place = os.path.join(target, *parts)
        real = os.path.realpath(place)
        if real != root and not real.startswith(os.path.join(root, "")):
            raise UnsafeArchiveError(
                f"[extract] {place} leads out of {target}; expected a folder of its own. Nothing was extracted. "
                "Remove the link."
            )
    taken = [parts for parts in files if os.path.isdir(os.path.join(target, *parts))]
    if taken:
        raise IsADirectoryError(
            f"[extract] {os.path.join(target, *taken[0])} is a folder; a file of that name would be extracted. Nothing "
            "was extracted. Move it away."
        )
    for parts in folders:
        os.makedirs(os.path.join(target, *parts), exist_ok=True)
    for parts in files:
        os.replace(os.path.join(beside, *parts), os.path.join(target, *parts))
