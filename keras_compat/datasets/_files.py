"""Where a data set's file is: in the Keras folder, else at its official place, else an error that says what to do.

The files are those of Keras 2.3.1, by name and content, and lie where it keeps them. Those of Keras 1 are pickles;
where one lies in the folder and Keras 2's does not, it is used. All are read without running anything in them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_compat.saving.guard import load_npz, load_pickle, parse_json
from keras_compat.utils.archives import extract_archive
from keras_compat.utils.data_utils import cache_path, get_file, validate_file
from keras_compat.utils.generic_utils import warn

# What the pickles of Keras 1 unfold to at most: the largest, mnist.pkl.gz, holds 55 MB.
_MOST_UNPACKED = 1 << 30

HALVES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class DataFile:
    """A file that data comes from.

    Args:
        name: in the Keras folder.
        origins: addresses of the same file, the first where Keras 2.3.1 has it.
        size: in bytes.
        file_hash: SHA-256 or MD5 in hexadecimal, by its length.
        subdir: its folder below the Keras folder.
        content_hash: SHA-256 of what is packed in it, where it may be packed anew: a gzip file says when it was made.
        older: name of Keras 1's file of the same data, and its MD5 sum where Keras 1.2.2 knows it.
        elsewhere: folders outside the Keras folder where it may lie.
    """

    name: str
    origins: tuple[str, ...]
    size: int
    file_hash: str
    subdir: str = "datasets"
    content_hash: str | None = None
    older: tuple[str, str | None] | None = None
    elsewhere: tuple[str, ...] = ()

    def is_at(self, path: str) -> bool:
        """Whether this very file, or one with its content, is at a path."""
        if not os.path.isfile(path):
            return False
        if validate_file(path, self.file_hash):
            return True
        return self.content_hash is not None and _hash_of_packed(path) == self.content_hash

    def described(self) -> str:
        """Name, size and hash, for people."""
        return f"{self.name} ({self.size:,} bytes, {_kind(self.file_hash)} {self.file_hash})"


def find(file: DataFile, path: str | None, caller: str) -> str:
    """Return the path of a file with the data, fetched to the Keras folder if it is not there.

    Args:
        file: what is wanted.
        path: another name in the Keras folder, or an absolute path. At an absolute path whatever is there is taken,
            with a warning if it is another file; in the Keras folder only the right one. A pickle of Keras 1 (``.pkl``,
            ``.pkl.gz``) that is not there means ``file``.
        caller: begins the message of the error.

    Raises:
        OSError: the file is nowhere, or another one, and could not be fetched. Says what to place where.
    """
    path = file.name if path is None else os.path.expanduser(os.fspath(path))
    target = cache_path(path, file.subdir)
    if path.endswith((".pkl", ".pkl.gz")):
        if os.path.isfile(target) and _is_older(file, target):
            return target
        path = os.path.join(os.path.dirname(path), file.name)
        target = cache_path(path, file.subdir)
    if file.is_at(target):
        return target
    if os.path.isabs(path) and os.path.isfile(target):
        warn(f"[{caller}] {target} is another file than {file.described()}; it is taken since its path was given.")
        return target
    for folder in file.elsewhere:
        if file.is_at(os.path.join(folder, file.name)):
            return os.path.join(folder, file.name)
    if file.older is not None and path == file.name and not os.path.isfile(target):
        older = cache_path(file.older[0], file.subdir)
        if os.path.isfile(older) and _is_older(file, older):
            return older
    return _fetched(file, path, os.path.abspath(target), caller)


def _fetched(file: DataFile, path: str, target: str, caller: str) -> str:
    reasons = []
    for origin in file.origins:
        try:
            return get_file(path, origin, file_hash=file.file_hash, cache_subdir=file.subdir)
        except OSError as error:
            reasons.append(str(error))
    found = "what is there is another file" if os.path.isfile(target) else "it is not there"
    raise OSError(
        f"[{caller}] the file {file.described()} expected at {target}; {found}, and the download failed: "
        f"{' '.join(reasons)} Place a copy of {file.origins[0]} at {target}."
    )


def find_folder(archive: DataFile, folder: str, members: tuple[str, ...], caller: str) -> str:
    """Return the path of a folder in the Keras folder that holds ``members``, from its archive if it is not there.

    Raises:
        OSError: there is neither the folder nor the archive, and it could not be fetched; or it holds something else.
        UnsafeArchiveError: the archive holds more than files and folders.
    """
    path = cache_path(folder, archive.subdir)
    if not _holds(path, members):
        packed = find(archive, None, caller)
        extract_archive(packed, os.path.dirname(packed), "tar")
    if not _holds(path, members):
        raise OSError(f"[{caller}] {path} must hold {', '.join(members)}. Delete it, so that it is unpacked again.")
    return path


def _holds(path: str, members: tuple[str, ...]) -> bool:
    return all(os.path.isfile(os.path.join(path, member)) for member in members)


def read(path: str, *, objects: bool = False) -> Any:
    """Return what an ``.npz``, ``.json``, ``.pkl`` or ``.pkl.gz`` file of a data set holds, plain data all of it.

    Args:
        path: the file.
        objects: whether an ``.npz`` file may hold arrays of lists.
    """
    if path.endswith(".json"):
        with open(path, "rb") as stream:
            return parse_json(stream.read(), os.path.basename(path))
    if path.endswith(".pkl.gz"):
        return load_pickle(unpacked(path, _MOST_UNPACKED), path)
    if path.endswith(".pkl"):
        with open(path, "rb") as stream:
            return load_pickle(stream.read(), path)
    return load_npz(path, objects=objects)


def samples(
    path: str, caller: str, names: tuple[str, ...] = HALVES, *, objects: bool = False, one_part: bool = False
) -> list[Any]:
    """Return samples and labels of a data set's file: by their names from an ``.npz``, by their places from a pickle.

    Args:
        path: the file.
        caller: begins the message of the error.
        names: of samples, of labels, and so on.
        objects: whether an ``.npz`` file may hold arrays of lists.
        one_part: whether samples and labels in one part serve as well, where the names are of two.

    Raises:
        OSError: it holds something else, or not as many labels as samples.
    """
    found = read(path, objects=objects)
    if isinstance(found, dict):
        parts = [found.get(name) for name in names]
    else:
        pairs = found if isinstance(found, tuple) and all(isinstance(part, tuple) for part in found) else (found,)
        parts = [part for pair in pairs for part in pair] if isinstance(found, tuple) else []
    lengths = [len(part) if isinstance(part, (np.ndarray, list)) else None for part in parts]
    right = len(parts) == len(names) or (one_part and len(parts) == 2)
    if not right or None in lengths or lengths[::2] != lengths[1::2]:
        held = ", ".join(map(repr, found)) if isinstance(found, dict) else type(found).__name__
        raise OSError(
            f"[{caller}] {path} must hold samples and as many labels ({', '.join(names)}); it holds {held}, "
            f"of lengths {lengths}. Is it the right file?"
        )
    return parts


def word_index(file: DataFile, path: str, caller: str) -> dict[str, int]:
    """Return the number of each word, from a file of that.

    Raises:
        OSError: the file is nowhere, or holds something else.
    """
    place = find(file, path, caller)
    found = read(place)
    if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
        raise OSError(f"[{caller}] {place} must hold words and their numbers. Is it the right file?")
    return found


def unpacked(path: str, most: int) -> bytes:
    """Return what a gzip file holds, at most so many bytes.

    Raises:
        OSError: it is damaged, or holds more.
    """
    try:
        with gzip.open(path, "rb") as stream:
            data = stream.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(
            f"[load_data] {path} is damaged or cut off: {error}. Delete it, so that it is fetched again."
        ) from error
    if len(data) > most:
        raise OSError(f"[load_data] {path} holds more than the {most:,} bytes expected of it. Is it the right file?")
    return data


def _hash_of_packed(path: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error):
        return None
    return digest.hexdigest()


def _is_older(file: DataFile, path: str) -> bool:
    """Whether a pickle may be Keras 1's: not, if it has its name and not its hash."""
    if file.older is None or os.path.basename(path) != file.older[0] or file.older[1] is None:
        return True
    return validate_file(path, file.older[1])


def _kind(file_hash: str) -> str:
    return "sha256" if len(file_hash) == 64 else "md5"
