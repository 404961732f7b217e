"""The disk cache of compiled kernels: a folder of files, each of them one kernel for one set of types.

An entry is whole or not there: it is written beside its name and renamed, so that processes may compile at once, be
killed or run out of disk. It begins with a digest, and says in full what it is the code of, so that what is damaged or
of another kernel, version or processor counts as not there. And since an entry is code that runs, it must be a file of
this user (or of the administrator's) that nobody else may write.

Whatever goes wrong here, kernels are compiled anew and results are the same; a process warns once at most.

The folder is `autotensor.config.cache_dir`. It keeps up to `LIMIT` bytes; what was used longest ago goes first.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pkgutil
import stat
import tempfile
import time
import warnings
from collections import Counter

from autotensor import config

EVENTS: Counter[str] = Counter()
"""How often the disk cache did what: "loaded", "missed", "saved", "load failed" (damaged), "refused" (others may write
the file), "save failed", "unwritable" (no folder to write to; everything is compiled in each process)."""

LIMIT = 1 << 30
"""Bytes that the folder may take, sources of generated kernels included."""

# Entries in `compiled/` and the sources of generated kernels in `kernels/`; files of other names are not touched.
_ENTRY, _SOURCE, _PART = ".kernel", ".py", ".part"
_FOLDERS = {"compiled": _ENTRY, "kernels": _SOURCE}
# A file that was begun so many seconds ago is nobody's any more.
_ABANDONED = 3600
# Entries are marked as used when the mark is older than this.
_DAY = 24 * 3600


def path_of(name: str, key: str) -> str:
    """Where the entry of a kernel lies. ``key`` says all that its code depends on."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    kept = "".join(c if c.isalnum() or c == "_" else "-" for c in name)[-60:]
    return os.path.join(config.cache_dir, "compiled", f"{kept}-{digest}{_ENTRY}")


def read(path: str, key: str) -> bytes | None:
    """What was written for ``key``; None if there is nothing of use."""
    if not config.cache_dir:
        return None
    try:
        with open(path, "rb", opener=_at_once) as stream:
            info = os.fstat(stream.fileno())
            if not _ours(info):
                EVENTS["refused"] += 1
                _warn(f"others may write {path}; it is not used")
                return None
            whole = stream.read()
    except (OSError, ValueError):
        return None
    head, payload = _head(key), whole[32:]
    if whole[:32] != hashlib.sha256(payload).digest() or not payload.startswith(head):
        EVENTS["load failed"] += 1
        return None
    if time.time() - info.st_mtime > _DAY:
        with contextlib.suppress(OSError):
            os.utime(path)
    return payload[len(head) :]


def write(path: str, key: str, payload: bytes) -> None:
    """Keep ``payload`` for ``key``."""
    if not writable():
        EVENTS["unwritable"] += 1
        return
    payload = _head(key) + payload
    if put(path, hashlib.sha256(payload).digest() + payload):
        EVENTS["saved"] += 1
    else:
        EVENTS["save failed"] += 1


def has(path: str) -> bool:
    """Is there an entry? It may still turn out to be of no use."""
    return bool(config.cache_dir) and os.path.exists(path)


def writable() -> bool:
    """Can anything be kept? Tried once for each folder."""
    return _writable(config.cache_dir)


@functools.cache
def _writable(folder: str) -> bool:
    if not folder:
        _warn("there is no home folder")
        return False
    try:
        place = os.path.join(folder, "compiled")
        os.makedirs(place, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except (OSError, ValueError) as error:
        _warn(f"{folder} can not be written ({getattr(error, 'strerror', None) or error})")
        return False
    return True


def keep_source(name: str, text: str) -> str | None:
    """Keep the source of a generated kernel for readers; returns the path, or None."""
    if not config.cache_dir:
        return None
    path = os.path.join(config.cache_dir, "kernels", f"{name}{_SOURCE}")
    wanted = text.encode()
    try:
        with open(path, "rb") as stream:
            if stream.read() == wanted:
                return path
    except (OSError, ValueError):
        pass
    return path if writable() and put(path, wanted) else None


def put(path: str, content: bytes) -> bool:
    """Write a file so that it is there whole, or not at all; False if that is impossible."""
    random = os.urandom(8).hex()
    part = f"{path}.{random}{_PART}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # it may be deleted at any time
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(content)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise
    except (OSError, ValueError) as error:
        _warn(f"{path} can not be written ({getattr(error, 'strerror', None) or error})")
        return False
    if random.startswith("00"):  # once in 256 files; it takes some 5 ms for 2,000 of them
        trim()
    return True


def trim() -> None:
    """Delete what was used longest ago until the folder is within three quarters of `LIMIT`, if it is above that."""
    found: list[tuple[float, int, str]] = []
    now = time.time()
    for folder, suffix in _FOLDERS.items():
        with contextlib.suppress(OSError), os.scandir(os.path.join(config.cache_dir, folder)) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(suffix) and stat.S_ISREG(info.st_mode):
                        found.append((info.st_mtime, info.st_size, entry.path))
                    elif entry.name.endswith(_PART) and now - info.st_mtime > _ABANDONED:
                        os.unlink(entry.path)
    total = sum(size for _, size, _ in found)
    if total <= LIMIT:
        return
    for _, size, path in sorted(found):
        if total <= LIMIT * 3 // 4:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= size


def sources() -> str:
    """Digest of the sources of all kernels, so that entries of another version are not found.

    A kernel also depends on what it does not call by name: Numba's overloads and intrinsics.
    """
    return _sources()


@functools.cache
def _sources() -> str:
    package = __name__.rpartition(".")[0]
    made = hashlib.sha256()
    for name in sorted(module.name for module in pkgutil.iter_modules([os.path.dirname(__file__)])):
        for suffix in (".py", ".pyc"):
            with contextlib.suppress(OSError):  # installed without that kind of file
                made.update(pkgutil.get_data(package, name + suffix) or b"")
                break
    return made.hexdigest()


def _head(key: str) -> bytes:
    return f"{len(key.encode())}\n{key}\n".encode()


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe of that name would be waited for


def _ours(info: os.stat_result) -> bool:
    """Is it a file that only this user, or the administrator, may have written? Yes where nobody can say."""
    if not stat.S_ISREG(info.st_mode):
        return False
    if not hasattr(os, "geteuid"):
        return True
    return info.st_uid in (os.geteuid(), 0) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


_warned = False


def _warn(problem: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"[cache] {problem}: kernels are compiled anew in each process. AUTOTENSOR_CACHE_DIR names another folder.",
            stacklevel=2,
        )
