"""Data that stays in HDF5 files, and questions before files are overwritten."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import h5py
import numpy as np

from keras_compat.utils.progbar import write_out

# Bytes that the attributes of an HDF5 object may take.
HDF5_OBJECT_HEADER_LIMIT = 64512

# PyTables, which Keras 1 used for arrays on disk; h5py does that here.
tables = None


class HDF5Matrix:
    """Rows ``start`` to ``end`` of a data set of an HDF5 file, to be given to ``fit`` and its kin like an array.

    Only what is asked for is read. Files are opened once for all matrices that share them.

    Args:
        datapath: name of the file.
        dataset: name of the data set in it.
        start: first row.
        end: row to stop before, by default the number of rows.
        normalizer: function applied to each part that is read.

    Raises ValueError for rows that the data set does not have.
    """

    refs: dict[str, Any] = {}
    _lock = threading.Lock()

    def __init__(
        self,
        datapath: str,
        dataset: str,
        start: int = 0,
        end: int | None = None,
        normalizer: Callable[[Any], Any] | None = None,
    ):
        key = os.path.abspath(datapath)
        with HDF5Matrix._lock:
            f = HDF5Matrix.refs.get(key)
            if not f:  # none yet, or closed meanwhile
                f = HDF5Matrix.refs[key] = h5py.File(datapath, "r")
        self._place = datapath, dataset
        self.data = f[dataset]
        rows = self.data.shape[0]
        self.start = start
        self.end = rows if end is None else end
        if not 0 <= self.start <= self.end <= rows:
            raise ValueError(
                f"[HDF5Matrix] expected 0 <= start <= end <= {rows}, the rows of {dataset} in {datapath}; got "
                f"start={start}, end={end}. Leave end out for all rows."
            )
        self.normalizer = normalizer
        self._sample = self._normalized(self.data[:1])

    def __reduce__(self) -> Any:
        """What pickle keeps: the name of the file, not what is in it."""
        return type(self), (os.path.abspath(self._place[0]), self._place[1], self.start, self.end, self.normalizer)

    def _normalized(self, part: Any) -> Any:
        return part if self.normalizer is None else self.normalizer(part)

    def __len__(self) -> int:
        return int(self.end - self.start)

    def __getitem__(self, key: Any) -> Any:
        n = len(self)
        if isinstance(key, slice):
            start, stop, step = key.indices(n)
            return self._normalized(self.data[start + self.start : max(start, stop) + self.start : step])
        if isinstance(key, (int, np.integer)):
            row = int(key)
            if not -n <= row < n:
                raise IndexError(f"[HDF5Matrix] expected a row from 0 to {n - 1}; got {row}.")
            return self._normalized(self.data[row % n + self.start])
        rows = np.asarray(key)
        if rows.dtype.kind == "b":
            rows = np.flatnonzero(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= n):
            raise IndexError(f"[HDF5Matrix] expected rows from 0 to {n - 1}; got {rows.min()} to {rows.max()}.")
        # HDF5 reads rows in rising order, each once.
        unique, back = np.unique(rows, return_inverse=True)
        return self._normalized(self.data[(unique + self.start).tolist()][back])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the rows in range, as the normalizer gives them."""
        return (len(self), *np.shape(self._sample)[1:])

    @property
    def dtype(self) -> Any:
        """Type of the elements, as the normalizer gives them."""
        return np.asarray(self._sample).dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


def ask_to_proceed_with_overwrite(filepath: str) -> bool:
    """Ask on the terminal whether a file may be overwritten."""
    question = f"[WARNING] {filepath} already exists - overwrite? [y/n]"
    while (answer := input(question).strip().lower()) not in ("y", "n"):
        question = 'Enter "y" (overwrite) or "n" (cancel).'
    if answer == "y":
        write_out("[TIP] Next time specify overwrite=True!\n")
    return answer == "y"


def save_array(array: Any, name: str) -> None:
    """Write an array to an HDF5 file of its own."""
    with h5py.File(name, "w") as f:
        f["array"] = np.asarray(array)


def load_array(name: str) -> np.ndarray:
    """Read what :func:`save_array` wrote (or the only data set of an HDF5 file)."""
    with h5py.File(name, "r") as f:
        names = list(f)
        if len(names) != 1:
            raise ValueError(f"[load_array] expected a file with one array; {name} holds {len(names)}: {names[:5]}.")
        return np.asarray(f[names[0]])


def save_to_binary_h5py(save_function: Callable[[Any], Any], stream: Any) -> None:
    """Call ``save_function`` with an HDF5 file in memory and write its bytes to an open binary stream."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as f:
        save_function(f)
    stream.write(memory.getvalue())


def load_from_binary_h5py(load_function: Callable[[Any], Any], stream: Any) -> Any:
    """Return ``load_function`` of the HDF5 file whose bytes an open binary stream holds."""
    with h5py.File(io.BytesIO(stream.read()), "r") as f:
        return load_function(f)


class H5Dict:
    """A dictionary of arrays, texts and lists that is kept in an HDF5 file, group or plain dictionary.

    ``d['a']['b'] = array`` makes groups on the way. Texts and lists of texts become attributes.

    Args:
        path: name of a file, an open file or group, or a dictionary.
        mode: of the file: 'r', 'w' or 'a'.

    Raises TypeError for what is no file.
    """

    def __init__(self, path: Any, mode: str = "a"):
        self._opened = False
        self.read_only = mode == "r"
        self.data: Any
        if isinstance(path, h5py.Group):
            self.data = path
        elif isinstance(path, (str, bytes, os.PathLike)):
            self.data = h5py.File(os.fsdecode(path), mode)
            self._opened = True
        elif isinstance(path, MutableMapping):
            self.data = path
        else:
            raise TypeError(f"[H5Dict] Required Group, str or dict; received: {type(path)}. Give the name of a file.")

    @staticmethod
    def is_supported_type(path: Any) -> bool:
        """Tell whether an ``H5Dict`` can be made of an object."""
        return isinstance(path, (h5py.Group, str, bytes, os.PathLike, dict))

    def __setitem__(self, key: str, value: Any) -> None:
        if self.read_only:
            raise ValueError("[H5Dict] Cannot set item in read-only mode; got mode='r'. Open it with mode='a'.")
        if not isinstance(self.data, h5py.Group):
            self.data[key] = value
            return
        if key in self.data or key in self.data.attrs:
            raise KeyError(f"[H5Dict] Cannot set attribute. Group with name {key!r} exists. Take another name.")
        if isinstance(value, (str, bytes)):
            self.data.attrs[key] = value
        elif isinstance(value, dict):
            part = H5Dict(self.data.create_group(key))
            for name, item in value.items():
                part[name] = item
        elif isinstance(value, (list, tuple)) and all(isinstance(x, (str, bytes)) for x in value):
            _write_texts(self.data.attrs, key, [x.encode("utf8") if isinstance(x, str) else x for x in value])
        else:
            self.data[key] = np.asarray(value)

    def __getitem__(self, key: str) -> Any:
        if not isinstance(self.data, h5py.Group):
            if key not in self.data and not self.read_only:
                self.data[key] = {}
            value = self.data[key]
            return H5Dict(value) if isinstance(value, MutableMapping) else value
        if key in self.data.attrs or f"{key}0" in self.data.attrs:
            value = self.data.attrs.get(key)
            return value if isinstance(value, (str, bytes)) else _read_texts(self.data.attrs, key)
        if key in self.data:
            value = self.data[key]
            return H5Dict(value, "r" if self.read_only else "a") if isinstance(value, h5py.Group) else np.asarray(value)
        if self.read_only:
            raise KeyError(f"[H5Dict] Cannot find {key!r}; the group holds {sorted(self)[:10]}. Check the name.")
        return H5Dict(self.data.create_group(key))

    def __contains__(self, key: str) -> bool:
        return key in self.data or (isinstance(self.data, h5py.Group) and key in self.data.attrs)

    def __len__(self) -> int:
        return len(list(self.iter()))

    def __iter__(self) -> Iterator[str]:
        return self.iter()

    def iter(self) -> Iterator[str]:
        """The names of what it holds."""
        yield from self.data
        if isinstance(self.data, h5py.Group):
            yield from self.data.attrs

    def get(self, key: str, default: Any = None) -> Any:
        """What is under a name, or ``default``."""
        return self[key] if key in self else default  # noqa: SIM401 (this is get)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several items, from dictionaries or by name."""
        for one in (*args, kwargs):
            for key, value in dict(one).items():
                self[key] = value

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._opened:
            self.data.file.close()

    def __enter__(self) -> H5Dict:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _write_texts(attributes: Any, key: str, texts: list[bytes]) -> None:
    """Write a list, over ``key0``, ``key1``... where it is too long for one attribute."""
    values = np.asarray(texts) if texts else np.asarray([], dtype="S1")
    parts = -(-values.nbytes // HDF5_OBJECT_HEADER_LIMIT)
    if parts <= 1:
        attributes[key] = values
    else:
        for i, part in enumerate(np.array_split(values, 2 * parts)):
            attributes[f"{key}{i}"] = part


def _read_texts(attributes: Any, key: str) -> list[Any]:
    """Read what :func:`_write_texts` wrote."""
    if key in attributes:
        return list(attributes[key])
    found: list[Any] = []
    while f"{key}{(i := len(found))}" in attributes:
        found.append(attributes[f"{key}{i}"])
    return [text for part in found for text in part]


# Keras 2.2's name.
h5dict = H5Dict
