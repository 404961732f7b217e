"""Batches of the pictures of an array."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from keras_compat import backend as K
from keras_compat.preprocessing.image.iterator import PictureIterator
from keras_compat.preprocessing.image.pictures import data_format_of
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.io_utils import HDF5Matrix

SUBSETS = ("training", "validation")


def check_subset(subset: Any, op: str) -> None:
    """Raise ValueError for a subset that is none."""
    if subset is not None and subset not in SUBSETS:
        raise ValueError(f'[{op}] Invalid subset name: {subset!r}; expected "training" or "validation" or None.')


def _rows(x: Any) -> Any:
    """What reads its rows from a file as it is, anything else as an array."""
    return x if isinstance(x, (h5py.Dataset, HDF5Matrix)) else np.asarray(x)


class NumpyArrayIterator(PictureIterator):
    """Batches of pictures of an array, with targets and weights: see ``ImageDataGenerator.flow``.

    The array is not copied: pictures become floats when their batch is made.

    Args:
        x: array of rank 4, or (array, more): more inputs of the network, one array or a list, which are only batched.
        y: targets, or None.
        image_data_generator: transforms and standardizes each picture.
        batch_size, shuffle, seed: see :class:`Iterator`.
        sample_weight: a weight for each sample.
        data_format: 'channels_last' or 'channels_first'; that of the settings for None.
        save_to_dir: a folder for a copy of each picture, named ``<save_prefix>_<place>_<random>.<save_format>``.
        subset: 'training' or 'validation': the part of the generator's ``validation_split``.
        dtype: of the batches; ``K.floatx()`` for None.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        dtype: Any = None,
    ):
        op = "NumpyArrayIterator"
        check_subset(subset, op)
        more: list[Any] = []
        if isinstance(x, (tuple, list)) and len(x) == 2 and np.ndim(x[0]) == 4:
            x, others = x
            more = [np.asarray(one) for one in (others if isinstance(others, list) else [others])]
        x = _rows(x)
        if x.ndim != 4:
            raise ValueError(
                f"[{op}] Input data in `NumpyArrayIterator` should have rank 4. You passed an array with shape "
                f"{x.shape}. Grey pictures need an axis of one channel: x[..., None]."
            )
        y, sample_weight = (None if a is None else np.asarray(a) for a in (y, sample_weight))
        for name, other in [("x[1]", a) for a in more] + [("`y` (labels)", y), ("`sample_weight`", sample_weight)]:
            if other is not None and len(other) != len(x):
                raise ValueError(
                    f"[{op}] `x` (images tensor) and {name} should have the same length. Found: x.shape = {x.shape}, "
                    f"{name} of shape {np.shape(other)}."
                )
        if subset is not None:
            part = self._part(subset, image_data_generator, x, y)
            x, y, sample_weight = (None if a is None else a[part] for a in (x, y, sample_weight))
            more = [a[part] for a in more]
        self.data_format = data_format_of(data_format, op)
        axis = 3 if self.data_format == "channels_last" else 1
        if x.shape[axis] not in (1, 3, 4):
            warn(
                f'[{op}] expected pictures of 1, 3 or 4 channels on axis {axis} ("{self.data_format}"); got an array '
                f"of shape {x.shape} ({x.shape[axis]} channels). Is data_format right?"
            )
        super().__init__(len(x), batch_size, shuffle, seed)
        self.x, self.x_misc, self.y, self.sample_weight = x, more, y, sample_weight
        self.dtype = dtype or K.floatx()
        self.image_shape = tuple(x.shape[1:])
        self.image_data_generator = image_data_generator
        self._set_copies(op, save_to_dir, save_prefix, save_format)

    @staticmethod
    def _part(subset: str, generator: Any, x: Any, y: Any) -> slice:
        split = int(len(x) * generator._validation_split)
        if y is not None and not np.array_equal(np.unique(y[:split]), np.unique(y[split:])):
            raise ValueError(
                "[NumpyArrayIterator] Training and validation subsets have different number of classes after the "
                "split. If your numpy arrays are sorted by the label, you might want to shuffle them."
            )
        return slice(split) if subset == "validation" else slice(split, None)

    def _picture(self, j: int) -> np.ndarray:
        return np.asarray(self.x[j]).astype(self.dtype)

    def _with_targets(self, batch_x: np.ndarray, indices: np.ndarray) -> Any:
        inputs = [batch_x, *(a[indices] for a in self.x_misc)] if self.x_misc else batch_x
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[indices]
        return inputs, self.y[indices], self.sample_weight[indices]
