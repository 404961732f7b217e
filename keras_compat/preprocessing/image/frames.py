"""Batches of pictures that a pandas DataFrame names."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_compat.preprocessing.image.files import FileIterator, is_picture
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import write_out

_WITH_CLASSES = ("binary", "categorical", "sparse")


class DataFrameIterator(FileIterator):
    """Batches of pictures that a pandas DataFrame names: see ``ImageDataGenerator.flow_from_dataframe``.

    It knows ``class_indices``, ``classes`` (the number, or the list of numbers, of each picture), ``filenames``,
    ``filepaths`` and ``samples``.

    Raises:
        KeyError: there is no such column.
        TypeError: names of files or classes that are no texts, or weights that are no numbers.
    """

    _class_modes = (*_WITH_CLASSES, "input", "multi_output", "raw", None)
    allowed_class_modes = frozenset(_class_modes)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: Any = None,
        validate_filenames: bool = True,
    ):
        self._set_options(
            _OP,
            image_data_generator,
            target_size,
            color_mode,
            class_mode,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            dtype,
        )
        if class_mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(
                f'[{_OP}] If class_mode="multi_output", y_col must be a list. Received {type(y_col).__name__}. Write '
                "y_col=['a', 'b']."
            )
        self.directory = directory or ""
        names = _column(dataframe, x_col)
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"[{_OP}] All values in column x_col={x_col} must be strings. Convert them: .astype(str).")
        paths = [os.path.join(self.directory, name) for name in names]
        rows = list(range(len(names)))
        if validate_filenames:
            rows = [row for row in rows if is_picture(paths[row], self.white_list_formats)]
            if len(rows) < len(names):
                warn(
                    f'[{_OP}] Found {len(names) - len(rows)} invalid image filename(s) in x_col="{x_col}". These '
                    "filename(s) will be ignored."
                )
        if class_mode in _WITH_CLASSES:
            numbers = self._number(_column(dataframe, y_col), rows, y_col, classes)
            rows = list(numbers)
        elif classes:
            warn(f'[{_OP}] `classes` will be ignored given the class_mode="{class_mode}"')
        rows = rows[self._part(len(rows))]
        self.filenames = [names[row] for row in rows]
        self.filepaths = [paths[row] for row in rows]
        if class_mode in _WITH_CLASSES:
            self.classes = self.labels = [numbers[row] for row in rows]
        elif class_mode == "multi_output":
            self.labels = [np.array([values[row] for row in rows]) for values in (_column(dataframe, c) for c in y_col)]
        elif class_mode == "raw":
            for name in y_col if isinstance(y_col, list) else [y_col]:
                _column(dataframe, name)
            self.labels = np.asarray(dataframe[y_col])[rows]
        if weight_col:
            self.sample_weight = _weights(_column(dataframe, weight_col), weight_col)[rows]
        kind = "validated" if validate_filenames else "non-validated"
        of = f" belonging to {len(self.class_indices)} classes" if class_mode in _WITH_CLASSES else ""
        write_out(f"Found {len(rows)} {kind} image filenames{of}.\n")
        self._begin(batch_size, shuffle, seed)

    def _number(self, labels: list[Any], rows: list[int], y_col: str, classes: Any) -> dict[int, Any]:
        """The number, or list of numbers, of each row's classes; rows without any of the classes are left out."""
        kinds: Any = (str, list, tuple) if self.class_mode == "categorical" else str
        if not all(isinstance(label, kinds) for label in labels):
            of = "type string, list or tuple" if self.class_mode == "categorical" else "strings"
            raise TypeError(
                f'[{_OP}] If class_mode="{self.class_mode}", y_col="{y_col}" column values must be {of}. Convert '
                "numbers: .astype(str), or take class_mode='raw'."
            )
        if self.class_mode == "binary" and len(set(classes or labels)) != 2:
            raise ValueError(
                f'[{_OP}] If class_mode="binary" there must be 2 classes. Found {len(set(classes or labels))} classes. '
                "More want class_mode='sparse' or 'categorical'."
            )
        listed = {row: [labels[row]] if isinstance(labels[row], str) else list(labels[row]) for row in rows}
        known = set(classes) if classes else {name for names in listed.values() for name in names}
        self.class_indices = {name: number for number, name in enumerate(sorted(known))}
        numbers: dict[int, Any] = {}
        for row, names in listed.items():
            kept = [self.class_indices[name] for name in names if name in known]
            if kept or not classes:
                numbers[row] = kept[0] if isinstance(labels[row], str) else kept
        return numbers


_OP = "flow_from_dataframe"


def _column(dataframe: Any, name: Any) -> list[Any]:
    """The values of a column."""
    if not hasattr(dataframe, "columns"):
        raise TypeError(f"[{_OP}] expected a pandas DataFrame; got {type(dataframe).__name__}.")
    if name not in dataframe.columns:
        raise KeyError(f"[{_OP}] no column {name!r}; there are {', '.join(map(repr, dataframe.columns))}.")
    return dataframe[name].tolist()


def _weights(values: list[Any], name: str) -> np.ndarray:
    weights = np.asarray(values)
    if not np.issubdtype(weights.dtype, np.number):
        raise TypeError(f"[{_OP}] Column weight_col={name} must be numeric; got {weights.dtype}. Convert it.")
    return weights
