"""What users pass as data, made into arrays that fit the model, or refused with Keras's words.

The caller's arrays are never written to; they are converted only where their type needs it (float64 stays: the
compiled step casts each batch).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

import autotensor as at
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.io_utils import HDF5Matrix

Shapes = Sequence[Any]


class SparseRows:
    """A SciPy sparse matrix whose rows are made dense when a batch of them is taken."""

    ndim = 2

    def __init__(self, matrix: Any):
        self.matrix = matrix.tocsr()
        self.shape: tuple[int, ...] = tuple(self.matrix.shape)
        self.dtype = self.matrix.dtype
        self.size = self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> SparseRows:
        return SparseRows(self.matrix[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.matrix.toarray(), dtype=dtype)

    def take(self, index: np.ndarray, axis: int, out: np.ndarray, mode: str) -> None:
        """Write the rows of an index array into ``out``, as ``numpy.ndarray.take`` along axis 0."""
        self.matrix[index].toarray(out=out)


class StoredRows:
    """Rows of an array that lies elsewhere, in a file for example: read when a batch of them is taken.

    Args:
        source: has ``shape``, ``dtype`` and ``source[start:stop]``, as HDF5Matrix and h5py's data sets.
        start, stop: the rows.
    """

    def __init__(self, source: Any, start: int = 0, stop: int | None = None):
        self.source = source
        self.start = start
        self.stop = len(source) if stop is None else stop
        self.shape: tuple[int, ...] = (self.stop - start, *map(int, source.shape[1:]))
        self.ndim = len(self.shape)
        self.dtype = np.dtype(source.dtype)
        self.size = int(np.prod(self.shape))

    @staticmethod
    def fits(value: Any) -> bool:
        """Whether something is such an array, of numbers."""
        return isinstance(value, (HDF5Matrix, h5py.Dataset)) and len(value.shape) > 1 and value.dtype.kind in "fiub"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> StoredRows:
        start, stop, _ = rows.indices(len(self))
        return StoredRows(self.source, self.start + start, self.start + max(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.source[self.start : self.stop], dtype=dtype)

    def take(self, index: np.ndarray, axis: int, out: np.ndarray, mode: str) -> None:
        """Write the rows of an index array into ``out``, as ``numpy.ndarray.take`` along axis 0."""
        rows, back = np.unique(index + self.start, return_inverse=True)  # a file is read in rising order, rows once
        first, last = int(rows[0]), int(rows[-1])
        if last - first < 4 * len(rows):  # a list of rows takes HDF5 longer than some rows more
            out[...] = np.asarray(self.source[first : last + 1])[index + (self.start - first)]
        else:
            out[...] = np.asarray(self.source[rows.tolist()])[back]


def as_kind(array: Any, dtype: np.dtype) -> Any:
    """The array for an input of that dtype: where that one is of whole numbers or bools, floats are cut to it."""
    if dtype.kind in "iub" and not np.can_cast(array.dtype, dtype, "same_kind"):
        return np.asarray(array).astype(dtype)
    return array


def to_array(value: Any, what: str, name: str = "") -> np.ndarray:
    """An array of numbers from whatever holds them: array, list, tuple, or an object with ``__array__``.

    Raises:
        ValueError: rows of different length, objects, strings; it names the input ``name``.
    """
    wanted = f" for {name}" if name else ""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return value
    if hasattr(value, "tocoo"):
        value = value.toarray()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"[{what}] expected an array{wanted}; got a {type(value).__name__} whose rows differ in length. Pad the "
            "rows?"
        ) from error
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "O" and array.ndim == 0:
        raise ValueError(
            f"[{what}] expected an array{wanted}; got a {type(value).__name__}. Make one with numpy.array()."
        )
    if array.dtype.kind == "O":
        try:
            return array.astype("float32")
        except (TypeError, ValueError):
            pass
    kind = "rows that differ in length or objects" if array.dtype.kind == "O" else f"dtype {array.dtype}"
    hint = _HINTS.get(array.dtype.kind, "Encode it as numbers.")
    if array.dtype.kind == "O" and array.size and type(first := array.reshape(-1)[_first_no_number(array)]) is not list:
        kind, hint = f"{first!r:.40} in it", "Encode it as numbers, fill what is missing."
    raise ValueError(f"[{what}] expected numbers{wanted}; got a {type(value).__name__} with {kind}. {hint}")


_HINTS = {
    "O": "Encode it as numbers, pad sequences to one length.",
    "U": "Encode it as numbers.",
    "S": "Encode it as numbers.",
    "c": "Take .real and .imag as numbers of their own.",
    "M": "Take the time since some date, .astype('int64').",
    "V": "Put the fields side by side, numpy.lib.recfunctions.structured_to_unstructured().",
}


def _first_no_number(array: np.ndarray) -> int:
    """The place of the first object that is no number."""
    for i, value in enumerate(array.reshape(-1)):
        try:
            float(value)
        except (TypeError, ValueError):
            return i
    return 0


def as_columns(data: Any, names: Sequence[str], what: str) -> list[Any]:
    """The parts of the data in the order of ``names``: from a dictionary, a list, or a single array.

    Raises:
        ValueError: missing names, or the wrong number of arrays.
    """
    if not names:
        if data is not None and hasattr(data, "__len__") and len(data):
            raise ValueError(
                f"[{what}] Error when checking model {what}: expected no data, but got: {_shown(data)}. "
                "The model takes none."
            )
        return []
    if data is None:
        raise ValueError(f"[{what}] expected data for {', '.join(map(repr, names))}; got None. Pass an array for each.")
    if isinstance(data, Mapping) and not hasattr(data, "tocsr"):  # SciPy's dok_matrix is a dictionary
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(
                f'[{what}] No data provided for "{missing[0]}". Need data for each key in: {list(names)}; got '
                f"{sorted(map(str, data))}. Add it under that name."
            )
        return [_plain(data[name]) for name in names]
    if isinstance(data, (list, tuple)):
        if len(data) and all(_is_arraylike(part) for part in data):
            parts = [_plain(part) for part in data]
            if len(parts) == len(names):
                return parts
            if len(names) == 1 and all(np.ndim(p) < 2 for p in parts):
                return [np.asarray(parts)]
            raise ValueError(
                f"[{what}] Error when checking model {what}: the list of Numpy arrays that you are passing to your "
                f"model is not the size the model expected. Expected to see {len(names)} array(s), but instead got "
                f"the following list of {len(parts)} arrays: {_shown(parts)}. Give one for each of {list(names)}."
            )
        if len(names) == 1:
            return [data]
        if len(data) == len(names):
            return list(data)
        raise ValueError(
            f"[{what}] Error when checking model {what}: expected {len(names)} arrays, for {list(names)}; got a list "
            f"of {len(data)}. Give one array for each."
        )
    if len(names) > 1:
        raise ValueError(
            f"[{what}] The model expects {len(names)} {what} arrays, but only received one array. Found: "
            f"{_shown(data)}. Pass a list of arrays for {list(names)}."
        )
    return [_plain(data)]


def _plain(value: Any) -> Any:
    """Values of a table of one column or more (pandas)."""
    return value.values if type(value).__name__ in ("DataFrame", "Series") and hasattr(value, "values") else value


def _is_arraylike(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")


def _shown(data: Any) -> str:
    if isinstance(data, (list, tuple)):
        return "[" + ", ".join(_shown(d) for d in data[:5]) + (", ..." if len(data) > 5 else "") + "]"
    shape = getattr(data, "shape", None)
    return f"array with shape {tuple(shape)}" if shape is not None else f"{type(data).__name__}"


def standardize(data: Any, names: Sequence[str], shapes: Shapes, what: str) -> list[np.ndarray]:
    """Arrays in the order of ``names``, of the given static shapes (None entries are not checked).

    A vector becomes a column where the model wants rank 2.

    Raises:
        ValueError: wrong number of arrays, rank or sizes.
    """
    arrays = []
    for name, shape, part in zip(names, shapes, as_columns(data, names, what)):
        array: Any
        if StoredRows.fits(part) and (what == "input" or len(part.shape) > 2):
            array = StoredRows(part)
        elif what == "input" and hasattr(part, "tocsr") and part.dtype.kind in "fiub":
            array = SparseRows(part)
        else:
            array = to_array(part, what, name)
        if array.ndim == 0:
            raise ValueError(
                f"[{what}] Error when checking {what}: expected {name} to be an array with a sample axis; got the "
                "single number. Wrap it in a list."
            )
        vector = array.ndim == 1
        if vector and (shape is None or len(shape) > 1):
            array = array[:, None]
        hint = "" if not vector else "Is it a single sample? Then write x[None]." if array.size else "Is it empty?"
        check_shape(array, name, shape, what, hint)
        arrays.append(array)
    return arrays


def check_shape(array: np.ndarray, name: str, shape: Any, what: str, hint: str = "") -> None:
    """Compare an array with a static shape, batch axis excepted; ``hint`` ends the message about sizes."""
    if shape is None:
        return
    if array.ndim != len(shape):
        rank_hint = "Reshape it, for example x.reshape(len(x), -1)."
        if array.ndim == len(shape) - 1:
            rank_hint = "Is the batch axis or the channel axis missing? Try x[None] or x[..., None]."
        raise ValueError(
            f"[{what}] Error when checking {what}: expected {name} to have {len(shape)} dimensions, but got array "
            f"with shape {array.shape}. {rank_hint}"
        )
    for want, dim in zip(shape[1:], array.shape[1:]):
        if want is not None and want != dim:
            raise ValueError(
                f"[{what}] Error when checking {what}: expected {name} to have shape {tuple(shape[1:])} but got array "
                f"with shape {array.shape[1:]}. {hint or 'Change the array, or the layer it goes to.'}"
            )
    if shape[0] is not None and array.shape[0] % shape[0]:
        raise ValueError(
            f"[{what}] {name} has a fixed batch size of {shape[0]}; the number of samples must be a multiple of it, "
            f"but got {array.shape[0]}. Cut the data, or leave the batch size open."
        )


def as_long_as_the_first(inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Inputs to predict from: of those with more samples than the first, the rest is left out, with a warning.

    Keras 1 and 2 do so silently, and their example of a translator relies on it. Raises ValueError where the first is
    the longer one, as ``check_lengths`` does.
    """
    n = n_samples(inputs)
    longer = [a for a in inputs[1:] if isinstance(a, np.ndarray) and n is not None and len(a) > n]
    if longer:
        warn(
            f"[predict] inputs differ in their number of samples: {[a.shape for a in inputs]}. The first counts, as in "
            f"Keras; samples after {n} are not used."
        )
        inputs = [inputs[0], *[a[:n] if isinstance(a, np.ndarray) else a for a in inputs[1:]]]
    check_lengths(inputs, ())
    return inputs


def check_lengths(x: Sequence[np.ndarray], y: Sequence[np.ndarray], w: Sequence[np.ndarray | None] = ()) -> None:
    """All inputs, targets and weights must have as many samples."""
    nx, ny, nw = {len(a) for a in x}, {len(a) for a in y}, {len(a) for a in w if a is not None}
    if len(nx) > 1:
        raise ValueError(
            "[data] All input arrays (x) should have the same number of samples. Got array shapes: "
            f"{[a.shape for a in x]}. Cut them to one length."
        )
    if len(ny) > 1:
        raise ValueError(
            "[data] All target arrays (y) should have the same number of samples. Got array shapes: "
            f"{[a.shape for a in y]}. Cut them to one length."
        )
    if nx and ny and nx != ny:
        raise ValueError(
            f"[data] Input arrays should have the same number of samples as target arrays. Found {nx.pop()} input "
            f"samples and {ny.pop()} target samples. Were both shuffled or split the same way?"
        )
    if ny and nw and ny != nw:
        raise ValueError(
            "[data] Sample_weight arrays should have the same number of samples as target arrays. Got "
            f"{nw.pop()} input samples and {ny.pop()} target samples. One weight for each sample."
        )


def per_output(value: Any, names: Sequence[str], what: str) -> list[Any]:
    """Weights for each output from None, one for all, a list or a dictionary by name."""
    if value is None or (isinstance(value, (dict, list, tuple)) and len(value) == 0):
        return [None] * len(names)
    if len(names) == 1:
        if isinstance(value, (list, tuple)) and len(value) == 1 and not np.isscalar(value[0]):
            return list(value)
        if isinstance(value, Mapping) and names[0] in value:
            return [value[names[0]]]
        return [value]
    if isinstance(value, list):
        if len(value) != len(names):
            raise ValueError(
                f"[{what}] Provided `{what}` was a list of {len(value)} elements, but the model has {len(names)} "
                f"outputs. You should provide one `{what}` array per model output."
            )
        return list(value)
    if isinstance(value, Mapping):
        return [value.get(name) for name in names]
    raise TypeError(
        f"[{what}] The model has multiple outputs, so `{what}` should be either a list or a dict. Provided `{what}` "
        f"type not understood: {type(value).__name__}. Give one entry per output."
    )


def sample_weight_modes(value: Any, names: Sequence[str], skip: Sequence[str] = ()) -> list[str | None]:
    """None or ``'temporal'`` for each output, from one for all, a list or a dictionary by name.

    A dictionary must name all outputs but those to ``skip``, which have no loss.
    """
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in names]
        missing = [name for name in names if name not in value and name not in skip]
        if unknown or missing:
            raise ValueError(
                f"[compile] expected one entry in the sample_weight_mode dictionary for each of {list(names)}; got "
                f"{list(value)}. " + (f'Unknown entry: "{unknown[0]}".' if unknown else f'Missing: "{missing[0]}".')
            )
    if isinstance(value, str):
        modes: list[str | None] = [value] * len(names)
    elif isinstance(value, list) and len(value) == len(names):  # a list of one, too
        modes = list(value)
    else:
        modes = per_output(value, names, "sample_weight_mode")
    for mode in modes:
        if mode not in (None, "temporal"):
            raise ValueError(
                f'[compile] sample_weight_mode should be None or "temporal"; got {mode!r}. Leave it out for one weight '
                "a sample."
            )
    return modes


def standardize_weights(
    y: np.ndarray, sample_weight: Any = None, class_weight: Any = None, mode: str | None = None
) -> np.ndarray | None:
    """Weights of the samples of one output, or None.

    Args:
        y: targets; their class decides the class weight.
        sample_weight: (n,), or (n, steps) with mode ``'temporal'``.
        class_weight: {class number: weight}.
    """
    if mode == "temporal" and sample_weight is not None and y.ndim < 3:
        raise ValueError(
            f"[sample_weight] Found a sample_weight array for an output of shape {y.shape}. Timestep-wise sample "
            'weighting (use of sample_weight_mode="temporal") is restricted to outputs that are at least 3D, i.e. '
            "that have a time dimension. Drop sample_weight_mode."
        )
    weights = None
    if sample_weight is not None:
        weights = to_array(sample_weight, "sample_weight")
        if mode is None and weights.ndim != 1:
            raise ValueError(
                f"[sample_weight] Found a sample_weight array with shape {weights.shape}. In order to use "
                'timestep-wise sample weights, you should specify sample_weight_mode="temporal" in compile(). If you '
                "just mean to use sample-wise weights, make sure your sample_weight array is 1D."
            )
        if mode == "temporal" and weights.ndim != 2:
            raise ValueError(
                f"[sample_weight] Found a sample_weight array with shape {weights.shape}. In order to use "
                "timestep-wise sample weighting, you should pass a 2D sample_weight array: (samples, steps)."
            )
        if y.shape[: weights.ndim] != weights.shape:
            raise ValueError(
                f"[sample_weight] Found a sample_weight array with shape {weights.shape} for an input with shape "
                f"{y.shape}. sample_weight cannot be broadcast. One weight for each sample."
            )
    if class_weight is not None and not isinstance(class_weight, Mapping):
        # Programs pass 'auto' or a list of scikit-learn's; every version of Keras left that aside without a word.
        warn(
            f"[class_weight] expected a dictionary {{class: weight}}; got {type(class_weight).__name__}, which has no "
            "effect, as in Keras. Write class_weight={0: 1.0, 1: 5.0}."
        )
        class_weight = None
    if class_weight is None:
        return weights
    if weights is not None and get_api_level() != "2.3":
        return weights  # Keras up to 2.2 takes the sample weights and drops the class weights
    by_class = _class_weights(y, class_weight)
    return by_class if weights is None else by_class * weights


def _class_weights(y: np.ndarray, class_weight: Mapping[Any, Any]) -> np.ndarray:
    if y.ndim > 2:
        raise ValueError(
            f"[class_weight] `class_weight` not supported for 3+ dimensional targets; got shape {y.shape}. "
            "Use sample_weight."
        )
    classes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    found, inverse = np.unique(classes, return_inverse=True)
    missing = [c for c in found.tolist() if c not in class_weight]
    if missing:
        raise ValueError(
            f"[class_weight] `class_weight` must contain all classes in the data. The classes {missing[:20]} exist in "
            f"the data but not in `class_weight`, which has {list(class_weight)[:20]}. Add them."
        )
    return np.asarray([class_weight[c] for c in found.tolist()], dtype="float64")[inverse.reshape(-1)]


def check_labels(y: np.ndarray, n_classes: int, name: str) -> None:
    """Labels of a sparse loss must be whole numbers from 0 to ``n_classes`` - 1; names the first that is not.

    Raises:
        ValueError: NaN, a fraction, or out of range.
    """
    if y.size == 0:
        return
    y = np.asarray(y)
    low, high = y.min(), y.max()
    whole = y.dtype.kind != "f" or bool((y == np.floor(y)).all())
    if low >= 0 and high < n_classes and whole:
        return
    flat = y.reshape(-1)
    bad = ~((flat >= 0) & (flat < n_classes))
    if flat.dtype.kind == "f":
        bad |= flat != np.floor(flat)
    i = int(np.flatnonzero(bad)[0])
    raise ValueError(
        f"[{name}] a sparse loss expects class numbers from 0 to {n_classes - 1}; got {flat[i]} at sample "
        f"{i // (flat.size // len(y))} ({int(bad.sum())} bad of {flat.size}). Renumber the classes from 0, or widen "
        "the last layer."
    )


def check_rows(x: Any, rows: int, name: str, layer: str) -> None:
    """Numbers of which the layer looks up rows must be from 0 to ``rows`` - 1; floats are cut to whole ones.

    What lies in a file is not read for it.

    Raises:
        RangeError: a number outside, or NaN; the message has the first one.
    """
    if not isinstance(x, np.ndarray) or not x.size or x.dtype.kind == "b":
        return
    if x.dtype.kind == "u":
        good: Any = x.max() < rows
    else:
        good = x.min() > -1 and x.max() < rows
    if good:
        return
    bad = ~((x > -1) & (x < rows)) if x.dtype.kind != "u" else x >= rows
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f" in place {list(where[1:])}".replace("[", "").replace("]", "") if len(where) > 1 else ""
    raise at.RangeError(
        f"[{layer}] expected whole numbers from 0 to {rows - 1} in {name}; got {x[where]} at sample {where[0]}{place} "
        f"({int(bad.sum())} bad of {x.size}). Is input_dim, the largest number plus one, too small?"
    )


def n_samples(arrays: Sequence[np.ndarray]) -> int | None:
    """Number of samples, None without arrays."""
    return len(arrays[0]) if arrays else None


def taker(array: Any) -> Callable[[np.ndarray, int, np.ndarray, str], Any]:
    """A function like ``array.take(index, 0, out, "clip")``: rows of an index array, all within range, go to ``out``.

    NumPy's own takes a copy of the whole array where its memory is not in order.
    """
    if not isinstance(array, np.ndarray) or array.flags.c_contiguous:
        return array.take

    def take(index: np.ndarray, axis: int, out: np.ndarray, mode: str) -> None:
        out[...] = array[index]

    return take
