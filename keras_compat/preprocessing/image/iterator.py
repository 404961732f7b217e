"""Batches of pictures over and over, in order or shuffled: what ``flow`` and its kin give."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence as Many
from typing import Any, NamedTuple

import numpy as np

from keras_compat.dialect.level import get_api_level
from keras_compat.preprocessing.image.pictures import EXTENSIONS, array_to_img
from keras_compat.utils.data_utils import Sequence


class Plan(NamedTuple):
    """What a batch will hold: which samples, and what was drawn at random for them (None: not drawn yet)."""

    indices: np.ndarray
    drawn: Any


class _Places:
    """``next()`` of it gives the places of the next batch, as programs with iterators of their own ask for them."""

    def __init__(self, iterator: Iterator):
        self._iterator = iterator

    def __iter__(self) -> _Places:
        return self

    def __next__(self) -> Any:
        iterator = self._iterator
        first = iterator._begin_batch()
        indices = iterator.index_array[first : first + iterator.batch_size]
        return (indices, first, len(indices)) if iterator._keras_1 else indices


class Iterator(Sequence):
    """Base of sources of batches that go on for ever with ``next()`` and are also sequences of one epoch.

    ``len(it)`` is the number of batches in an epoch and ``it[i]`` one of them; ``next(it)`` goes through epoch after
    epoch. A subclass defines ``_get_batches_of_transformed_samples(index_array)``, which gives the batch of the samples
    at these places. Threads may share an iterator: they take turns, and each batch is what it is in one thread. It can
    be pickled; ``get_state()`` and ``set_state()`` keep the place, so that training can go on after an interruption.

    Draws are NumPy's. With a seed, batch number t since the beginning begins with ``numpy.random.seed(seed + t)``. At
    API level 1.2 ``next()`` shuffles as Keras 1: where the batch size divides the number of samples, once and for all.

    Args:
        n: number of samples.
        batch_size: samples in a batch; the last of an epoch may be smaller.
        shuffle: another order of the samples in every epoch.
        seed: of ``numpy.random``; None takes the random numbers as they come.
    """

    white_list_formats = EXTENSIONS

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None):
        if batch_size is None or int(batch_size) < 1:
            raise ValueError(
                f"[{type(self).__name__}] batch_size must be a positive number; got {batch_size!r}. The default is 32."
            )
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.RLock()
        self.index_array: Any = None
        self.index_generator = _Places(self)
        self._keras_1 = get_api_level() == "1.2"

    # -- where it is --------------------------------------------------------------------------------------------------

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _seed_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)

    def _begin_batch(self) -> int:
        """The place of the first sample of the next batch."""
        self._seed_batch()
        if self.batch_index == 0:
            self._set_index_array()
        first = (self.batch_index * self.batch_size) % self.n if self.n else 0
        after = first + self.batch_size
        self.batch_index = self.batch_index + 1 if self.n > after or (self._keras_1 and self.n == after) else 0
        self.total_batches_seen += 1
        return first

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def on_epoch_end(self) -> None:
        """Choose the order of the next epoch."""
        self._set_index_array()

    def reset(self) -> None:
        """Let ``next()`` begin a new epoch."""
        self.batch_index = 0

    def get_state(self) -> dict[str, Any]:
        """Where it is, as plain data."""
        return {"order": self.index_array, "batch": self.batch_index, "seen": self.total_batches_seen}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``get_state`` returned. Raises ValueError where there are other samples."""
        order = state["order"]
        if order is not None and len(order) != self.n:
            raise ValueError(
                f"[{type(self).__name__}] expected the {len(order)} samples that training began with; got {self.n}. Go "
                "on with the same data."
            )
        self.index_array, self.batch_index, self.total_batches_seen = order, state["batch"], state["seen"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("lock", "index_generator")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.RLock()
        self.index_generator = _Places(self)

    # -- batches ------------------------------------------------------------------------------------------------------

    def plan(self, idx: int | None = None) -> Plan:
        """Begin a batch, at a place of the epoch or the next one, and draw what is random about it.

        ``carry_out(plan)`` makes the batch: where several processes do that, batches are the same for any number of
        them as long as plans are made in order.
        """
        if idx is None:
            places = next(self.index_generator)
            indices = places[0] if self._keras_1 else places
        else:
            indices = self._places_at(idx)
        return Plan(indices, self._draw(indices))

    def _places_at(self, idx: int) -> np.ndarray:
        if not 0 <= idx < len(self):
            # Not an IndexError: that would be the silent end of a loop.
            raise ValueError(
                f"[{type(self).__name__}] Asked to retrieve element {idx}, but the Sequence has length {len(self)}. "
                "next() goes on for ever."
            )
        self._seed_batch()
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        return self.index_array[self.batch_size * idx : self.batch_size * (idx + 1)]

    def _draw(self, indices: np.ndarray) -> Any:
        """What is random about the samples at some places; None leaves the draws to the making of the batch."""
        return None

    def carry_out(self, plan: Plan) -> Any:
        """The batch of a plan."""
        return self._get_batches_of_transformed_samples(plan.indices)

    def __getitem__(self, idx: int) -> Any:
        with self.lock:
            return self.carry_out(self.plan(idx))

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """The next batch."""
        with self.lock:
            return self.carry_out(self.plan())

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        """The batch of the samples at some places."""
        raise NotImplementedError(
            f"[{type(self).__name__}] an Iterator defines _get_batches_of_transformed_samples(index_array)."
        )


class PictureIterator(Iterator):
    """Base of iterators over pictures that an ImageDataGenerator transforms and standardizes.

    A subclass sets ``image_shape`` and defines ``_picture(j)``, sample j as an array, and
    ``_with_targets(batch_x, indices)``.
    """

    image_data_generator: Any
    image_shape: tuple[int, ...]
    dtype: Any
    data_format: str
    save_to_dir: Any = None
    save_prefix = ""
    save_format = "png"
    # Numbers in names of saved pictures are below this.
    _names_below = 10**4

    def _picture(self, j: int) -> np.ndarray:
        raise NotImplementedError

    def _with_targets(self, batch_x: np.ndarray, indices: np.ndarray) -> Any:
        raise NotImplementedError

    def _set_copies(self, op: str, folder: Any, prefix: str, file_format: str) -> None:
        """Say where copies of the pictures go. Raises FileNotFoundError where there is no such folder."""
        if folder and not os.path.isdir(folder):
            raise FileNotFoundError(
                f"[{op}] save_to_dir: expected a folder; {os.fspath(folder)!r} is none. Make it first."
            )
        self.save_to_dir, self.save_prefix, self.save_format = folder, prefix, file_format

    def _draw(self, indices: np.ndarray) -> Any:
        generator = self.image_data_generator
        own = type(self)._get_batches_of_transformed_samples is not PictureIterator._get_batches_of_transformed_samples
        if own or (generator is not None and not generator.draws_ahead()):
            return None
        shape = self.image_shape
        transforms = None if generator is None else [generator.get_random_transform(shape) for _ in indices]
        return transforms, self._draw_names(len(indices))

    def _draw_names(self, count: int) -> list[int]:
        return [int(np.random.randint(self._names_below)) for _ in range(count)] if self.save_to_dir else []

    def carry_out(self, plan: Plan) -> Any:
        if plan.drawn is None:
            return self._get_batches_of_transformed_samples(plan.indices)
        return self._made(plan.indices, *plan.drawn)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        return self._made(index_array, None, None)

    def _made(self, indices: np.ndarray, transforms: Many[Any] | None, names: Many[int] | None) -> Any:
        generator = self.image_data_generator
        batch_x = np.zeros((len(indices), *self.image_shape), dtype=self.dtype)
        for i, j in enumerate(indices):
            x = self._picture(j)
            if generator is not None:
                x = generator.random_transform(x) if transforms is None else generator.apply_transform(x, transforms[i])
                x = generator.standardize(x)
            batch_x[i] = x
        if self.save_to_dir:
            self._save(batch_x, indices, self._draw_names(len(indices)) if names is None else names)
        return self._with_targets(batch_x, indices)

    def _save(self, batch_x: np.ndarray, indices: np.ndarray, names: Many[int]) -> None:
        for x, j, number in zip(batch_x, indices, names):
            img = array_to_img(x, self.data_format, scale=True)
            img.save(os.path.join(self.save_to_dir, f"{self.save_prefix}_{j}_{number}.{self.save_format}"))
