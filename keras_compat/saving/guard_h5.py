"""HDF5, as far as a file of weights needs it: groups, arrays of numbers, texts in attributes, all within the file.

Whatever else the format can do is refused before it is touched: links to other places, data in other files, types that
hold references or code, filters that would load a library, sizes that the file does not hold.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from keras_compat.saving.errors import CorruptFileError, UnsafeModelError
from keras_compat.saving.h5_files import account_of, address_of, check_sound, reading, where
from keras_compat.saving.h5_texts import text_lengths
from keras_compat.saving.limits import (
    MOST_ATTRIBUTE,
    MOST_NAMES,
    MOST_TEXT,
    MOST_UNSTORED,
    refuse_size,
    shown,
)

# Filters by their numbers: those that every HDF5 library brings and that undo themselves. No plug-in is ever loaded.
_GZIP, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
_FILTERS = {_GZIP: "gzip", _SHUFFLE: "shuffle", _FLETCHER32: "fletcher32", _LZF: "lzf"}

_WHOLE = "Is the file whole?"


@dataclass(frozen=True)
class Array:
    """An array in a file that was not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    _dataset: Any

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The numbers, in memory of their own; nothing is allocated for another ``shape`` than the one expected.

        Raises:
            CorruptFileError: it can not be read, or has another shape.
            UnsafeModelError: all that was read of the file is more than it may hold.
        """
        if shape is not None and tuple(shape) != self.shape:
            raise CorruptFileError(
                f"[load] expected {self.name!r} of shape {tuple(shape)}; the file has {self.shape}. Is it the file of "
                "this model?"
            )
        if not isinstance(self._dataset, h5py.Dataset):
            return np.array(self._dataset)
        with reading(self._dataset, f"the array {self.name!r}"):
            _check_chunks(self._dataset, self.name)
            _spend(self._dataset, self.name, self.nbytes)
            out = np.asarray(self._dataset[()])
        if out.shape != self.shape:
            raise CorruptFileError(f"[load] {self.name!r} has changed while it was read. {_WHOLE}")
        return out.astype(self.dtype, copy=False)


# -- groups -----------------------------------------------------------------------------------------------------------


def child(group: h5py.Group, name: str) -> Any:
    """The group or data set of that name (a path within the file), or None; only what lies in the file itself.

    Raises:
        UnsafeModelError: the way leads over a link that is not the thing itself.
    """
    with reading(group, f"{name!r:.200}"):
        here: Any = group.file["/"] if name.startswith("/") else group
        for part in name.split("/"):
            if part in ("", "."):
                continue
            if not isinstance(here, h5py.Group):
                return None
            raw = part.encode("utf-8", "surrogateescape")
            if b"\0" in raw or not here.id.links.exists(raw):
                return None
            link = here.id.links.get_info(raw)
            kind = link.type
            if kind != h5py.h5l.TYPE_HARD:
                how = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
                raise UnsafeModelError(
                    f"[load] {where(group)}: {name!r:.200} is {how.get(kind, 'a link of a foreign kind')}; models are "
                    "stored whole. Copy what it points to into the file, if you trust it."
                )
            check_sound(group, link.u)
            here = here[part]
        return here if isinstance(here, (h5py.Group, h5py.Dataset)) else None


def names(group: h5py.Group) -> list[str]:
    """Names of what lies in a group, links included; see :func:`child`.

    They come in the order of writing where the file kept it, else by the alphabet.
    """
    with reading(group, f"the list of {group.name!r:.200}"):
        count = len(group)
        if count > MOST_NAMES:
            raise UnsafeModelError(f"[load] {where(group)}: {group.name!r:.200} claims {count:,} children.")
        return list(group)


def walk(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Yield (path from ``group``, group or data set) of everything below, each thing once.

    Raises:
        UnsafeModelError: there is a link out of the file, or a group that contains itself.
    """
    stack: list[tuple[str, h5py.Group, tuple[int, ...]]] = [("", group, (address_of(group),))]
    count = 0
    seen: set[int] = set()
    while stack:
        path, here, above = stack.pop()
        inner: list[tuple[str, h5py.Group, tuple[int, ...]]] = []
        for name in names(here):
            found = child(here, name)
            if found is None:
                continue
            count += 1
            if count > MOST_NAMES:
                raise UnsafeModelError(f"[load] {where(group)}: more than {MOST_NAMES:,} things in one file.")
            address = address_of(found)
            if address in above:
                raise UnsafeModelError(f"[load] {where(group)}: the group {path + name!r:.200} contains itself.")
            if address in seen:
                continue
            seen.add(address)
            yield path + name, found
            if isinstance(found, h5py.Group):
                inner.append((f"{path}{name}/", found, (*above, address)))
        stack += reversed(inner)


def survey(group: h5py.Group) -> list[str]:
    """What in a file is not to be trusted, a line each: for reports. Everything is looked at, nothing is read."""
    found: list[str] = []
    stack, seen = [(group.name or "/", group)], {address_of(group)}
    while stack and len(seen) <= MOST_NAMES and len(found) < 100:
        path, here = stack.pop()
        try:
            inside = names(here)
        except (CorruptFileError, UnsafeModelError) as error:
            found.append(str(error))
            continue
        for name in inside:
            full = f"{path.rstrip('/')}/{name}"
            try:
                thing = child(here, name)
                if isinstance(thing, h5py.Dataset):
                    _checked(thing, full)
                elif thing is not None and address_of(thing) not in seen:
                    seen.add(address_of(thing))
                    stack.append((full, thing))
            except (CorruptFileError, UnsafeModelError) as error:
                found.append(str(error))
    return found


# -- arrays -----------------------------------------------------------------------------------------------------------


def array(group: h5py.Group, name: str) -> Array:
    """An array of numbers by its name (a path within the file), checked, but not read.

    Raises:
        CorruptFileError: there is none.
        UnsafeModelError: its numbers do not lie in the file, are no plain numbers, or are fewer than it claims.
    """
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise CorruptFileError(
            f"[load] {where(group)} lists {name!r:.200} in {group.name} but does not hold it. Is it whole?"
        )
    return stored_array(found, name)


def stored_array(dataset: h5py.Dataset, name: str) -> Array:
    """A data set that :func:`child` or :func:`walk` gave, checked, but not read; see :func:`array` for the errors."""
    shape, dtype = _checked(dataset, name)
    return Array(name, shape, dtype, dataset)


def _checked(dataset: h5py.Dataset, name: str) -> tuple[tuple[int, ...], np.dtype]:
    with reading(dataset, f"the array {name!r:.200}"):
        shape, dtype = _check_place(dataset, name)
        _check_stored(dataset, name, shape, dtype)
        return shape, dtype.newbyteorder("=")


def _check_place(dataset: h5py.Dataset, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """That the data lie in this file and are numbers. Nothing is asked before that opens another file."""
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL:
        raise _refused(dataset, name, "is put together from other data sets (virtual)")
    if made.get_layout() not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise _refused(dataset, name, "is stored in a foreign way")
    if made.get_external_count():
        raise _refused(dataset, name, "keeps its data in other files (external)")
    used = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    if any(number not in _FILTERS for number in used) or len(set(used)) != len(used) or {_GZIP, _LZF} <= set(used):
        shown_filters = ", ".join(_FILTERS.get(n, f"number {n}") for n in used)
        raise _refused(dataset, name, f"is packed by the filters {shown_filters}; known are gzip, lzf, shuffle")
    if dataset.id.get_type().get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM):
        raise _refused(dataset, name, "holds no plain numbers")
    dtype, shape = np.dtype(dataset.dtype), dataset.shape
    if dtype.kind not in "fiub" or dtype.itemsize > 16 or (dtype.metadata and dtype.kind != "b"):
        raise _refused(dataset, name, f"holds {dtype}, which are no plain numbers")
    if shape is None:
        raise CorruptFileError(f"[load] {where(dataset)}: the array {name!r:.200} is empty and has no shape. {_WHOLE}")
    return tuple(int(n) for n in shape), dtype


def _check_stored(dataset: h5py.Dataset, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """That the file holds what the shape says."""
    account = account_of(dataset)
    claimed, stored = math.prod(shape) * dtype.itemsize, int(dataset.id.get_storage_size())
    if claimed > account.most:
        raise refuse_size(shown(account.name), f"the array {name!r:.200} of shape {shape}", claimed, account.most)
    if stored > account.size:
        raise CorruptFileError(
            f"[load] {shown(account.name)} is damaged: the array {name!r:.200} should take {stored:,} bytes of a file "
            f"of {account.size:,}. Take another copy of the file."
        )
    packed = dataset.chunks is not None
    if claimed > MOST_UNSTORED and (stored < claimed if not packed else not stored):
        raise UnsafeModelError(
            f"[load] {shown(account.name)}: the array {name!r:.200} of shape {shape} claims {claimed:,} bytes, and "
            f"{stored:,} are stored. {_WHOLE}"
        )
    offset = dataset.id.get_offset()
    if not packed and offset is not None and claimed and offset + claimed > account.size:
        raise CorruptFileError(
            f"[load] {shown(account.name)} is cut off: the array {name!r:.200} ends at byte {offset + claimed:,} of "
            f"{account.size:,}. Take another copy of the file."
        )
    if packed:
        chunk = math.prod(dataset.chunks) * dtype.itemsize
        if chunk > max(4 * claimed, 16 << 20):
            raise refuse_size(
                shown(account.name), f"a chunk of the array {name!r:.200}", chunk, max(4 * claimed, 16 << 20)
            )


def _check_chunks(dataset: h5py.Dataset, name: str) -> None:
    """That what is packed comes out no larger than it says: the library would unpack it whatever comes."""
    chunks = dataset.chunks
    if chunks is None:
        return
    made = dataset.id.get_create_plist()
    used = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    if _GZIP not in used:
        return
    size = math.prod(chunks) * dataset.dtype.itemsize + 4  # a check sum may be packed with it
    places: list[tuple[tuple[int, ...], int, int]] = []

    def note(chunk: Any) -> None:
        places.append((tuple(chunk.chunk_offset), int(chunk.filter_mask), int(chunk.size)))

    dataset.id.chunk_iter(note)
    total = account_of(dataset).size
    if sum(stored for _, _, stored in places) > total:
        raise CorruptFileError(f"[load] {where(dataset)} is damaged: the chunks of {name!r:.200} overlap. {_WHOLE}")
    for offset, mask, _ in places:
        if mask >> used.index(_GZIP) & 1:
            continue
        _, raw = dataset.id.read_direct_chunk(offset)
        unpacking = zlib.decompressobj()
        try:
            came = len(unpacking.decompress(raw, size + 1))
        except zlib.error as error:
            raise CorruptFileError(
                f"[load] {where(dataset)} is damaged: a part of {name!r:.200} can not be unpacked ({error}). Take "
                "another copy of the file."
            ) from None
        if came > size:
            raise UnsafeModelError(
                f"[load] {where(dataset)}: a packed part of {name!r:.200} comes out larger than the {size:,} bytes it "
                "claims. No Keras writes such a file."
            )


def _spend(dataset: h5py.Dataset, name: str, claimed: int) -> None:
    """Count what is read of a file, each array once: many may lie at the same place."""
    account, address = account_of(dataset), address_of(dataset)
    if address in account.read:
        return
    if account.spent + claimed > account.most:
        raise refuse_size(shown(account.name), f"the file up to {name!r:.200}", account.spent + claimed, account.most)
    if dataset.chunks is None and claimed > MOST_UNSTORED:
        account.unpacked += claimed
        if account.unpacked > account.size:
            raise UnsafeModelError(
                f"[load] {shown(account.name)}: the arrays up to {name!r:.200} lie on top of one another: "
                f"{account.unpacked:,} bytes in a file of {account.size:,}. No Keras writes such a file."
            )
    account.read.add(address)
    account.spent += claimed


def _refused(dataset: h5py.Dataset, name: str, why: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"[load] {where(dataset)}: expected an array of numbers within the file; {name!r:.200} {why}. Have it written "
        "anew, if you trust it."
    )


# -- attributes -------------------------------------------------------------------------------------------------------


def text(group: h5py.Group, name: str) -> str | None:
    """A text attribute, bytes or str, of fixed or variable length, or None where there is none."""
    value = _attribute(group, name)
    if value is None:
        return None
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, (str, bytes)):
        raise _not_as_expected(group, name, "a text", value)
    return _decoded(group, name, value)


def number(group: h5py.Group, name: str) -> int | None:
    """A whole number attribute, or None where there is none."""
    value = _attribute(group, name)
    if value is None:
        return None
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iufb" or array.reshape(-1)[0] != np.floor(array.reshape(-1)[0]):
        raise _not_as_expected(group, name, "a whole number", value)
    with reading(group, f"the attribute {name!r}"):
        return int(array.reshape(-1)[0])


def texts(group: h5py.Group, name: str) -> list[str] | None:
    """A list of texts, in one attribute or split over ``name0``, ``name1``...; None where there is none."""
    whole = _attribute(group, name)
    if whole is not None:
        return _listed(group, name, whole)
    found: list[str] = []
    i = 0
    while (part := _attribute(group, f"{name}{i}")) is not None:
        found += _listed(group, f"{name}{i}", part)
        i += 1
        if len(found) > MOST_NAMES or i > MOST_NAMES:
            raise UnsafeModelError(f"[load] {where(group)}: the list {name!r} has more than {MOST_NAMES:,} entries.")
    return found if i else None


def _attribute(group: h5py.Group, name: str) -> Any:
    """The value of an attribute, once its size and type were looked at; None where there is none."""
    with reading(group, f"the attribute {name!r} of {group.name}"):
        raw = name.encode()
        if not h5py.h5a.exists(group.id, raw):
            return None
        attribute = h5py.h5a.open(group.id, raw)
        kind = attribute.get_type()
        if kind.get_class() not in (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM):
            raise UnsafeModelError(
                f"[load] {where(group)}: expected a text or a number in the attribute {name!r}; it is of type "
                f"{attribute.dtype}. Have the file written anew, if you trust it."
            )
        count = math.prod(attribute.shape) if attribute.shape is not None else 0
        stored = count * int(kind.get_size())
        if max(stored, count) > MOST_ATTRIBUTE:
            raise refuse_size(where(group), f"the attribute {name!r}", max(stored, count), MOST_ATTRIBUTE)
        if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
            _check_lengths(group, name, count)
        return group.attrs[name]


def _check_lengths(group: h5py.Group, name: str, count: int) -> None:
    """That texts of variable length come to no more than the file may hold.

    The library makes room for whatever length one claims, and for each text anew, though many may lie at one place.
    """
    account = account_of(group)
    if account.raw is None:  # opened by the caller
        return
    most = min(MOST_TEXT, account.most)
    lengths = text_lengths(account.raw, address_of(group), name, count)
    if lengths is None:
        raise CorruptFileError(
            f"[load] {shown(account.name)} is damaged: the texts of the attribute {name!r} are not where they should "
            "be. Take another copy of the file."
        )
    if sum(lengths) > most:
        raise refuse_size(shown(account.name), f"the attribute {name!r}", sum(lengths), most)


def _listed(group: h5py.Group, name: str, value: Any) -> list[str]:
    if isinstance(value, (str, bytes)):
        return [_decoded(group, name, value)]
    if isinstance(value, h5py.Empty) or np.size(value) == 0:
        return []
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "SUO":
        raise _not_as_expected(group, name, "a list of texts", value)
    return [_decoded(group, name, x) for x in value]


def _decoded(group: h5py.Group, name: str, value: Any) -> str:
    if not isinstance(value, (str, bytes)):
        raise _not_as_expected(group, name, "a text", value)
    try:
        # h5py marks bytes that are no text, where it makes texts itself, as this encoding does.
        return (value.encode("utf8", "surrogateescape") if isinstance(value, str) else value).decode("utf8")
    except UnicodeError as error:
        raise CorruptFileError(
            f"[load] {where(group)}: the attribute {name!r} is no text ({error}). {_WHOLE}"
        ) from None


def _not_as_expected(group: h5py.Group, name: str, expected: str, value: Any) -> CorruptFileError:
    return CorruptFileError(
        f"[load] {where(group)}: expected {expected} in the attribute {name!r} of {group.name}; got "
        f"{type(value).__name__} {np.shape(value)}. {_WHOLE}"
    )
