"""Batches of the pictures in a folder with one folder for each class."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from keras_compat.preprocessing.image.files import FileIterator
from keras_compat.preprocessing.image.pictures import files_below
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import write_out


class DirectoryIterator(FileIterator):
    """Batches of the pictures in a folder: see ``ImageDataGenerator.flow_from_directory``.

    It knows ``class_indices`` (names of classes to numbers), ``classes`` (the number of each picture's), ``filenames``
    (below the folder), ``filepaths``, ``samples`` and ``num_classes`` (Keras 1: ``nb_sample`` and ``nb_class``).

    Raises:
        FileNotFoundError: the folder, or one of the ``classes`` in it, is not there.
    """

    _class_modes = ("categorical", "binary", "sparse", "input", None)
    allowed_class_modes = frozenset(_class_modes)

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
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
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: Any = None,
    ):
        op = "flow_from_directory"
        self._set_options(
            op,
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
        self.directory = directory
        if not os.path.isdir(directory):
            raise FileNotFoundError(f"[{op}] expected a folder; {os.fspath(directory)!r} is none. Check the path.")
        if not classes:
            classes = sorted(name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name)))
        self.num_classes = self.nb_class = len(classes)
        self.class_indices = {name: number for number, name in enumerate(classes)}
        self.filenames, numbers = [], []
        for name, number in self.class_indices.items():
            found = self._files_of(os.path.join(directory, name), follow_links)
            self.filenames += [os.path.relpath(path, directory) for path in found]
            numbers += [number] * len(found)
        self.classes = self.labels = np.array(numbers, dtype="int32")
        self.filepaths = [os.path.join(directory, name) for name in self.filenames]
        write_out(f"Found {len(self.filenames)} images belonging to {self.num_classes} classes.\n")
        if not self.filenames:
            warn(
                f"[{op}] there is no picture in the folders of {os.fspath(directory)!r}: expected one folder for each "
                f"class, with files that end in {', '.join(self.white_list_formats)}."
            )
        self._begin(batch_size, shuffle, seed)

    def _files_of(self, folder: str, follow_links: bool) -> list[str]:
        endings = tuple(f".{one}" for one in self.white_list_formats)
        paths = [
            os.path.join(root, name)
            for root, name in files_below(folder, follow_links)
            if name.lower().endswith(endings)
        ]
        return paths[self._part(len(paths))]
