"""What iterators over pictures in files have in common."""

from __future__ import annotations

import os
from collections.abc import Sequence as Many
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.preprocessing.image.arrays import check_subset
from keras_compat.preprocessing.image.iterator import PictureIterator
from keras_compat.preprocessing.image.pictures import (
    COLOR_CHANNELS,
    INTERPOLATIONS,
    data_format_of,
    img_to_array,
    load_img,
)


class FileIterator(PictureIterator):
    """Base of iterators over pictures in files.

    A subclass finds ``filenames``, ``filepaths`` and the targets, then calls ``_begin``.
    """

    # In the order of messages, and as Keras has them.
    _class_modes: tuple[str | None, ...]
    allowed_class_modes: frozenset[str | None]
    class_mode: str | None
    filenames: list[str]
    filepaths: list[str]
    class_indices: dict[str, int]
    labels: Any
    sample_weight: Any = None
    _names_below = 10**7

    def _set_options(
        self,
        op: str,
        image_data_generator: Any,
        target_size: Any,
        color_mode: str,
        class_mode: str | None,
        data_format: str | None,
        save_to_dir: Any,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        dtype: Any,
    ) -> None:
        if color_mode not in COLOR_CHANNELS:
            raise ValueError(
                f'[{op}] Invalid color mode: {color_mode!r}; expected "rgb", "rgba", or "grayscale". Check the '
                "spelling."
            )
        if np.ndim(target_size) != 1 or len(target_size) != 2:
            raise ValueError(f"[{op}] target_size is (rows, columns); got {target_size!r}. The default is (256, 256).")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"[{op}] Invalid interpolation method {interpolation} specified. Supported methods are "
                f"{', '.join(INTERPOLATIONS)}. Choose one."
            )
        check_subset(subset, op)
        self._set_copies(op, save_to_dir, save_prefix, save_format)
        self.image_data_generator = image_data_generator
        self.target_size = tuple(target_size)
        self.color_mode = color_mode
        self.data_format = data_format_of(data_format, op)
        channels = COLOR_CHANNELS[color_mode]
        first = self.data_format == "channels_first"
        self.image_shape = (channels, *self.target_size) if first else (*self.target_size, channels)
        self.subset, self.interpolation = subset, interpolation
        self.dtype = dtype or K.floatx()
        fraction = getattr(image_data_generator, "_validation_split", 0.0)
        self.split = {None: None, "validation": (0, fraction), "training": (fraction, 1)}[subset]
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"[{op}] Invalid class_mode: {class_mode}; expected one of: {', '.join(map(repr, self._class_modes))}. "
                "Check the spelling."
            )
        self.class_mode = class_mode

    def _part(self, count: int) -> slice:
        """Which of a number of files belong to the subset."""
        if self.split is None:
            return slice(count)
        return slice(int(self.split[0] * count), int(self.split[1] * count))

    def _begin(self, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.samples = len(self.filenames)
        # Keras 1's word.
        self.nb_sample = self.samples
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _picture(self, j: int) -> np.ndarray:
        img = load_img(
            self.filepaths[j],
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
        )
        return img_to_array(img, self.data_format, K.floatx())

    def _with_targets(self, batch_x: np.ndarray, indices: np.ndarray) -> Any:
        if self.class_mode is None:
            return batch_x
        targets = self._targets(batch_x, indices)
        return (batch_x, targets) if self.sample_weight is None else (batch_x, targets, self.sample_weight[indices])

    def _targets(self, batch_x: np.ndarray, indices: np.ndarray) -> Any:
        if self.class_mode == "input":
            return batch_x.copy()
        if self.class_mode == "multi_output":
            return [column[indices] for column in self.labels]
        if self.class_mode == "raw":
            return self.labels[indices]
        numbers: Many[Any] = [self.labels[j] for j in indices]
        if self.class_mode == "categorical":
            rows = np.zeros((len(indices), len(self.class_indices)), dtype=self.dtype)
            for row, number in zip(rows, numbers):
                row[number] = 1.0
            return rows
        whole = self._keras_1 and self.class_mode == "sparse"
        return np.array(numbers, dtype="int32" if whole else self.dtype)


def is_picture(path: str, extensions: tuple[str, ...]) -> bool:
    """Whether a file exists and its name ends as those of pictures do."""
    return path.lower().endswith(tuple(f".{one}" for one in extensions)) and os.path.isfile(path)
