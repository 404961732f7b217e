"""The one door through which anything of a file comes in: HDF5, zip archives, JSON, YAML, npz.

Whatever a file says is checked here before it is believed: links lead nowhere outside the file, sizes are those that
are stored, texts are no deeper or longer than a model can need. Nothing is executed, imported or opened by a name that
stands in a file.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from keras_compat.saving.errors import CorruptFileError


@dataclass(frozen=True)
class Array:
    """An array in a file that was not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    _dataset: Any

    def read(self) -> np.ndarray:
        """The numbers, in memory of their own."""
        return np.asarray(self._dataset[()])


@contextmanager
def open_h5(source: Any, max_bytes: int | None = None) -> Iterator[h5py.Group]:
    """Open an HDF5 file for reading: a path, bytes, a binary stream, or a group that is open already.

    Raises:
        CorruptFileError: no such file, no HDF5, or not all of one; names the file.
        UnsafeModelError: it holds links out of the file, external or virtual data, objects, or claims more than
            ``max_bytes``.
    """
    if isinstance(source, h5py.Group):
        yield source
        return
    if hasattr(source, "read"):
        source = source.read()
    try:
        f = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source), "r")
    except OSError as error:
        raise CorruptFileError(f"[load] Unable to open file: {source!r:.80} ({error})") from error
    with f:
        yield f


def child(group: h5py.Group, name: str) -> Any:
    """The group or data set of that name (a path within the file), or None; only what lies in the file itself."""
    return group.get(name)


def array(group: h5py.Group, name: str) -> Array:
    """An array by its name (a path within the file). Raises CorruptFileError where there is none."""
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise CorruptFileError(f"[load] the file lists {name!r} in {group.name} but does not hold it. Is it whole?")
    return Array(name, tuple(found.shape), found.dtype, found)


def text(group: h5py.Group, name: str) -> str | None:
    """A text attribute, bytes or str, or None."""
    value = group.attrs.get(name)
    return None if value is None else _decoded(value)


def number(group: h5py.Group, name: str) -> int | None:
    """A whole number attribute, or None."""
    value = group.attrs.get(name)
    return None if value is None else int(value)


def texts(group: h5py.Group, name: str) -> list[str] | None:
    """A list of texts, in one attribute or split over ``name0``, ``name1``...; None where there is none."""
    if name in group.attrs:
        return [_decoded(x) for x in group.attrs[name]]
    found: list[str] = []
    i = 0
    while f"{name}{i}" in group.attrs:
        found += [_decoded(x) for x in group.attrs[f"{name}{i}"]]
        i += 1
    return found if i else None


def _decoded(value: Any) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def parse_json(text: str | bytes, what: str) -> Any:
    """What a JSON text says. Raises CorruptFileError, naming ``what``, for no JSON, and UnsafeModelError for a bomb."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"[load] the {what} is no JSON: {error}. Is the file whole?") from None


def parse_yaml(text: str | bytes, what: str) -> Any:
    """What a YAML text says, as :func:`parse_json`; no tags but those of plain data and Python's tuples."""
    raise NotImplementedError


@contextmanager
def open_zip(source: Any, max_bytes: int | None = None) -> Iterator[Archive]:
    """Open a ``.keras`` archive for reading: a path, bytes or a binary stream."""
    if hasattr(source, "read"):
        source = source.read()
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as z:
        yield Archive(z)


class Archive:
    """An open archive whose members were checked: plain names, no two alike, none encrypted, sizes as claimed."""

    def __init__(self, opened: zipfile.ZipFile):
        self._zip = opened

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return self._zip.namelist()

    def read(self, name: str) -> bytes:
        """The content of a member. Raises CorruptFileError where there is none, or another than was written."""
        return self._zip.read(name)


def load_npz(source: Any, max_bytes: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file; arrays of objects only of plain data (numbers, texts, lists)."""
    raise NotImplementedError
