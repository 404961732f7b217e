"""ImageDataGenerator: pictures changed at random while a network trains on them, and brought to a common scale."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.preprocessing.image.affine import (
    affine_matrix,
    apply_transform,
    check_interpolation,
    transform_matrix_offset_center,
)
from keras_compat.preprocessing.image.arrays import NumpyArrayIterator
from keras_compat.preprocessing.image.folders import DirectoryIterator
from keras_compat.preprocessing.image.frames import DataFrameIterator
from keras_compat.preprocessing.image.pictures import data_format_of
from keras_compat.preprocessing.image.statistics import mean_and_deviation, whitening
from keras_compat.preprocessing.image.transforms import apply_brightness_shift, apply_channel_shift, flip_axis
from keras_compat.utils.generic_utils import warn


class ImageDataGenerator:
    """Makes batches of pictures, each changed at random and brought to a common scale, as training goes on.

    ``flow(x, y)`` takes pictures from arrays, ``flow_from_directory`` from folders of files, ``flow_from_dataframe``
    from files that a table names. Each picture is rotated, shifted, sheared and zoomed in one pass about its middle,
    shifted in colour, flipped, and changed in brightness, in this order, by amounts drawn anew each time with
    ``numpy.random``; then it is standardized: ``preprocessing_function``, ``rescale``, then the samplewise and the
    featurewise ones and ZCA. The last three need ``fit``.

    Draws and values are those of Keras 2.3.1, and of 1.2.2 at API level 1.2 when the generator is made (docs/keras.md
    lists what differs).

    Args:
        featurewise_center: take the mean of each channel over the data off.
        samplewise_center: take each picture's mean off; at level 1.2 that of each pixel's channels.
        featurewise_std_normalization: divide by the standard deviation of each channel over the data.
        samplewise_std_normalization: divide each picture by its standard deviation.
        zca_whitening: remove correlations between pixels and make their variances equal.
        zca_epsilon: added to the variances before.
        rotation_range: degrees, to either side.
        width_shift_range, height_shift_range: a float below 1 is a fraction of the size, to either side; a float from 1
            on is pixels; an int k draws whole pixels from -k+1 to k-1; an array one of its values, to either side. At
            level 1.2 a number is always a fraction.
        brightness_range: (lowest, highest) factor; see ``apply_brightness_shift``.
        shear_range: degrees, to either side; radians at level 1.2.
        zoom_range: (lowest, highest) factor for rows and columns each, or z for (1 - z, 1 + z). Above 1 the picture
            gets smaller.
        channel_shift_range: added to all channels, to either side; to each channel its own at level 1.2.
        fill_mode: what is beyond the edges: 'nearest' (aaa|abcd|ddd), 'constant' (kkk|abcd|kkk with cval k), 'reflect'
            (cba|abcd|dcb) or 'wrap' (bcd|abcd|abc).
        cval: see ``fill_mode``.
        horizontal_flip, vertical_flip: turn every second picture round, on average.
        rescale: a factor; None and 0 do nothing.
        preprocessing_function: takes a picture of rank 3 and returns one of its shape. It may draw at random.
        data_format: 'channels_last' or 'channels_first'; that of the settings for None.
        validation_split: fraction of the data that ``subset='validation'`` gives.
        interpolation_order: 0 nearest pixel, 1 linear (default; 0 at level 1.2), higher: splines, which need SciPy.
        dtype: of the pictures; ``K.floatx()`` for None.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int | None = None,
        dtype: Any = None,
    ):
        self._keras_1 = get_api_level() == "1.2"
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = _pair(brightness_range, "brightness_range") if brightness_range is not None else None
        self.shear_range = shear_range
        self.zoom_range: list[Any] = (
            [1 - zoom_range, 1 + zoom_range] if isinstance(zoom_range, Real) else _pair(zoom_range, "zoom_range")
        )
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.interpolation_order = interpolation_order if interpolation_order is not None else int(not self._keras_1)
        check_interpolation(self.interpolation_order, fill_mode, "ImageDataGenerator")
        self.dtype = dtype or K.floatx()
        self._set_data_format(data_format_of(data_format, "ImageDataGenerator"))
        # Open until the first pictures: see _settle.
        self._layout_is_open = data_format is None and not K.image_order_is_chosen()
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                "[ImageDataGenerator] `validation_split` must be strictly between 0 and 1. Received: "
                f"{validation_split}. Write 0.2."
            )
        self._validation_split = validation_split
        self.mean: Any = None
        self.std: Any = None
        self.principal_components: Any = None
        if not self._keras_1:
            self._override()

    def _override(self) -> None:
        """Set what other options ask for, with a warning, as Keras 2 does."""

        def set_to(name: str, value: bool, by: str) -> None:
            if getattr(self, name) != value:
                setattr(self, name, value)
                warn(f"This ImageDataGenerator specifies `{by}`, which overrides setting of `{name}`.")

        if self.zca_whitening:
            set_to("featurewise_center", True, "zca_whitening")
            set_to("featurewise_std_normalization", False, "zca_whitening")
        if self.featurewise_std_normalization:
            set_to("featurewise_center", True, "featurewise_std_normalization")
        if self.samplewise_std_normalization:
            set_to("samplewise_center", True, "samplewise_std_normalization")

    def _set_data_format(self, data_format: str) -> None:
        self.data_format = data_format
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if data_format == "channels_first" else (3, 1, 2)

    @property
    def dim_ordering(self) -> str:
        """Keras 1's word for ``data_format``: 'th' or 'tf'."""
        return "th" if self.data_format == "channels_first" else "tf"

    def _settle(self, shape: tuple[int, ...]) -> None:
        """Read pictures as channels first that can be nothing else, where nobody has said what they are.

        Programs for Keras with Theano say nothing of it.
        """
        if self._layout_is_open and len(shape) == 4 and shape[3] not in (1, 3, 4) and shape[1] in (1, 3, 4):
            self._set_data_format("channels_first")
            warn(
                f"[ImageDataGenerator] pictures of shape {shape[1:]} are read as channels first; nothing was said, and "
                "the default is channels last. Write data_format='channels_first'."
            )
        self._layout_is_open = False

    # -- sources of batches -------------------------------------------------------------------------------------------

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of pictures of an array, for ever: x, or (x, y), or (x, y, weights).

        Args:
            x: array of rank 4, or (array, more): more inputs of the network, one array or a list, which are only
                batched. It is not copied, and may be of whole numbers, a memory map or an HDF5 dataset.
            y: targets.
            batch_size: pictures in a batch; the last of an epoch may be smaller.
            shuffle: another order in every epoch.
            sample_weight: a weight for each picture.
            seed: batch t begins with ``numpy.random.seed(seed + t)``; None takes random numbers as they come.
            save_to_dir: a folder for a copy of each picture, named ``<save_prefix>_<place>_<random>.<save_format>``.
            subset: 'training' or 'validation', with ``validation_split``: the validation part comes first in x.
        """
        if hasattr(x, "shape") or hasattr(x, "__array__"):
            self._settle(np.shape(x))
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            dtype=self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
    ) -> DirectoryIterator:
        """Batches of the pictures in a folder with one folder for each class, for ever: x or (x, y).

        Args:
            directory: its folders are the classes; pictures may lie deeper. Files that are no pictures are passed over.
            target_size: (rows, columns) of the batches; pictures of other sizes are resized.
            color_mode: 'rgb', 'rgba' or 'grayscale'.
            classes: names of the folders in the order of their numbers; all in the order of their names for None.
            class_mode: 'categorical' (one-hot rows), 'binary' or 'sparse' (numbers), 'input' (the pictures themselves)
                or None (no targets).
            follow_links: also into folders that are symbolic links.
            subset: 'training' or 'validation', with ``validation_split``: of each class the first files validate.
            interpolation: for resizing; see ``load_img``.

        The others are those of ``flow``. The result knows ``class_indices``, ``classes``, ``filenames``, ``samples``.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            dtype=self.dtype,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
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
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Batches of pictures that a pandas DataFrame names, for ever: x, (x, y) or (x, y, weights).

        Args:
            dataframe: one row for each picture.
            directory: what the names are relative to; None for whole paths.
            x_col: column of file names.
            y_col: column of targets, or a list of columns.
            weight_col: column of sample weights.
            classes: names of classes to take; all for None. Their numbers follow the order of their names.
            class_mode: 'categorical' (one-hot rows; a row may name several classes in a list or tuple), 'binary',
                'sparse' (numbers), 'raw' (the values of y_col), 'multi_output' (a list, one array for each column),
                'input' (the pictures themselves) or None (no targets).
            subset: 'training' or 'validation', with ``validation_split``: the first rows validate.
            validate_filenames: leave out, with a warning, rows whose file is missing or no picture by its name.
            kwargs: ``drop_duplicates``, ``has_ext`` and ``sort`` of earlier releases, which do nothing any more.

        The others are those of ``flow_from_directory``.
        """
        unknown = set(kwargs) - {"drop_duplicates", "has_ext", "sort"}
        if unknown:
            raise TypeError(
                f"[flow_from_dataframe] Keyword argument not understood: {', '.join(sorted(unknown))}. Check the "
                "spelling."
            )
        for name in kwargs:
            warn(f"[flow_from_dataframe] {name} does nothing any more: prepare the DataFrame itself.")
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode="raw" if class_mode == "other" else class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            dtype=self.dtype,
            validate_filenames=validate_filenames,
        )

    # -- one picture --------------------------------------------------------------------------------------------------

    def draws_ahead(self) -> bool:
        """Whether all that is random about a picture is drawn by ``get_random_transform``."""
        kind = type(self)
        return self.preprocessing_function is None and all(
            getattr(kind, name) is getattr(ImageDataGenerator, name)
            for name in ("random_transform", "apply_transform", "standardize")
        )

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
        """Draw the amounts of one change.

        Args:
            img_shape: shape of the picture, rank 3.
            seed: of ``numpy.random``; None takes the random numbers as they come.

        Returns:
            'theta' (degrees), 'tx' and 'ty' (rows and columns in pixels), 'shear' (degrees; radians at level 1.2), 'zx'
            and 'zy' (factors), 'flip_horizontal' and 'flip_vertical', 'channel_shift_intensity' (a number, an array of
            one for each channel at level 1.2, or None) and 'brightness' (a factor or None).
        """
        if seed is not None:
            np.random.seed(seed)
        rows, columns = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        drawn: dict[str, Any] = {"theta": _either_side(self.rotation_range)}
        drawn["tx"] = self._shift(self.height_shift_range, rows)
        drawn["ty"] = self._shift(self.width_shift_range, columns)
        drawn["shear"] = _either_side(self.shear_range)
        low, high = self.zoom_range
        drawn["zx"], drawn["zy"] = (1, 1) if low == 1 == high else np.random.uniform(low, high, 2)
        if self._keras_1:
            drawn["channel_shift_intensity"] = self._channel_shift(img_shape[self.channel_axis - 1])
        # Keras 2 draws for flips whether or not they are asked for.
        for name, asked in (("flip_horizontal", self.horizontal_flip), ("flip_vertical", self.vertical_flip)):
            drawn[name] = bool((asked or not self._keras_1) and np.random.random() < 0.5 and asked)
        if not self._keras_1:
            drawn["channel_shift_intensity"] = self._channel_shift(None)
        drawn["brightness"] = None if self.brightness_range is None else np.random.uniform(*self.brightness_range)
        return drawn

    def _shift(self, shift_range: Any, length: int) -> Any:
        """A shift in pixels along an axis."""
        if np.ndim(shift_range) == 0 and not shift_range:
            return 0
        if self._keras_1:
            return np.random.uniform(-shift_range, shift_range) * length
        if np.ndim(shift_range) or isinstance(shift_range, (int, np.integer)):
            shift = np.random.choice(shift_range) * np.random.choice([-1, 1])
        else:
            shift = np.random.uniform(-shift_range, shift_range)
        return shift * length if np.max(shift_range) < 1 else shift

    def _channel_shift(self, size: int | None) -> Any:
        shift = self.channel_shift_range
        return np.random.uniform(-shift, shift, size) if shift != 0 else None

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Change a picture by given amounts.

        Args:
            x: array of rank 3.
            transform_parameters: as ``get_random_transform`` returns them; those left out change nothing.
        """
        x = np.asarray(x)
        given = transform_parameters.get
        rows, columns, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        degrees = np.pi / 180
        matrix = affine_matrix(
            given("theta", 0) * degrees,
            given("tx", 0),
            given("ty", 0),
            given("shear", 0) * (1 if self._keras_1 else degrees),
            given("zx", 1),
            given("zy", 1),
        )
        if matrix is not None:
            matrix = transform_matrix_offset_center(matrix, x.shape[rows], x.shape[columns])
            x = apply_transform(x, matrix, channels, self.fill_mode, self.cval, self.interpolation_order)
        if given("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given("channel_shift_intensity"), channels)
        if given("flip_horizontal", False):
            x = flip_axis(x, columns)
        if given("flip_vertical", False):
            x = flip_axis(x, rows)
        brightness = given("brightness")
        if brightness is not None:
            x = apply_brightness_shift(x, brightness, channels)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Change a picture, an array of rank 3, at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def standardize(self, x: Any) -> np.ndarray:
        """Bring a picture to the common scale. An array of floats is changed in place, as in Keras.

        Args:
            x: array of rank 3, or (but for the samplewise options, which take all for one picture) a batch of rank 4.
        """
        x = np.asarray(x)
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        if not np.issubdtype(x.dtype, np.floating):
            x = x.astype(self.dtype)
        if self.rescale:
            x *= self.rescale
        axis, epsilon = (self.channel_axis - 1, 1e-7) if self._keras_1 else (None, 1e-6)
        if self.samplewise_center:
            x -= np.mean(x, axis=axis, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, axis=axis, keepdims=True) + epsilon
        if self.featurewise_center and self._is_fit(self.mean, "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._is_fit(self.std, "featurewise_std_normalization"):
            x /= self.std + epsilon
        if self.zca_whitening and self._is_fit(self.principal_components, "zca_whitening"):
            x = (x.reshape(-1, np.prod(x.shape[-3:])) @ self.principal_components).reshape(x.shape)
        return x

    @staticmethod
    def _is_fit(value: Any, option: str) -> bool:
        if value is None:
            warn(
                f"This ImageDataGenerator specifies `{option}`, but it hasn't been fit on any training data. Fit it "
                "first by calling `.fit(numpy_data)`."
            )
        return value is not None

    # -- statistics of the data ---------------------------------------------------------------------------------------

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute what featurewise standardization and ZCA whitening need from pictures like those to come.

        Means and variances are summed in float64, a part of the pictures at a time: Keras sums in float32, which drifts
        for thousands of pictures.

        Args:
            x: array of rank 4; it is not changed or copied.
            augment: compute them of randomly changed pictures.
            rounds: how many changed ones of each.
            seed: of ``numpy.random``.
        """
        x = x if hasattr(x, "shape") else np.asarray(x)
        if len(x.shape) != 4:
            raise ValueError(
                f"[ImageDataGenerator.fit] Input to `.fit()` should have rank 4. Got array with shape: {x.shape}. Grey "
                "pictures need an axis of one channel: x[..., None]."
            )
        if not len(x):
            raise ValueError("[ImageDataGenerator.fit] expected at least one picture; got none.")
        self._settle(x.shape)
        if x.shape[self.channel_axis] not in (1, 3, 4):
            warn(
                f"[ImageDataGenerator.fit] expected pictures of 1, 3 or 4 channels on axis {self.channel_axis} "
                f'("{self.data_format}"); got an array of shape {x.shape} ({x.shape[self.channel_axis]} channels). Is '
                "data_format right?"
            )
        if seed is not None:
            np.random.seed(seed)
        scale = self.rescale if self.rescale and not self._keras_1 else None
        if augment:
            x, scale = self._augmented(x, rounds, scale), None
        if self.featurewise_center or self.featurewise_std_normalization:
            mean, std = (found.astype(self.dtype) for found in mean_and_deviation(x, self.channel_axis, scale))
            self.mean = mean if self.featurewise_center else self.mean
            self.std = std if self.featurewise_std_normalization else self.std
        if self.zca_whitening:
            middle = self.mean if self.featurewise_center else 0
            width = self.std + (K.epsilon() if self._keras_1 else 1e-6) if self.featurewise_std_normalization else 1
            epsilon = 1e-6 if self._keras_1 else self.zca_epsilon
            self.principal_components = whitening(x, middle, width, epsilon, scale).astype(self.dtype)

    def _augmented(self, x: Any, rounds: int, scale: float | None) -> np.ndarray:
        found = np.zeros((rounds * len(x), *x.shape[1:]), dtype=self.dtype)
        for place in range(len(found)):
            picture = np.array(x[place % len(x)], dtype=self.dtype)
            if scale:
                picture *= scale
            found[place] = self.random_transform(picture)
        return found


def _either_side(extent: float) -> float:
    return np.random.uniform(-extent, extent) if extent else 0


def _pair(value: Any, name: str) -> list[Any]:
    """Two numbers."""
    if np.ndim(value) != 1 or len(value) != 2 or not all(isinstance(one, Real) for one in value):
        also = " a float or" if name == "zoom_range" else ""
        raise ValueError(
            f"[ImageDataGenerator] `{name}` should be{also} a tuple or list of two floats. Received: {value!r}. Write "
            "(0.8, 1.2)."
        )
    return [value[0], value[1]]
