"""Lists of numbers as arrays: sequences of one length, pairs of words, windows of a series."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence as Many
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat.saving.guard import parse_json
from keras_compat.utils.data_utils import Sequence


def pad_sequences(
    sequences: Many[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> npt.NDArray[Any]:
    """Return an array (sequences, ``maxlen``, ...): each sequence filled up or cut to one length.

    Args:
        sequences: lists or arrays; those of arrays or lists of lists agree in all but their lengths.
        maxlen: the length; by default that of the longest.
        dtype: of the array. The default makes whole numbers of fractions; ``object`` takes texts.
        padding: ``'pre'`` fills up in front, ``'post'`` behind.
        truncating: ``'pre'`` cuts off in front, ``'post'`` behind.
        value: what fills up.

    Raises:
        ValueError: a word that is not ``'pre'`` or ``'post'``, sequences that are none or have different shapes, a text
            as ``value`` beside numbers, or nothing that tells the length.
        OverflowError: a whole number does not fit ``dtype``.
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"[pad_sequences] `sequences` must be iterable, a list; got {type(sequences).__name__}.")
    for name, word in (("Truncating", truncating), ("Padding", padding)):
        if word not in ("pre", "post"):
            raise ValueError(f"[pad_sequences] {name} type {word!r} not understood. Write 'pre' or 'post'.")
    lengths = [_length(sequence) for sequence in sequences]
    if maxlen is None:
        if not lengths:
            raise ValueError("[pad_sequences] without sequences `maxlen` must say the length; got an empty list.")
        maxlen = max(lengths)
    kind = np.dtype(dtype).kind
    if isinstance(value, str) and kind not in "OU":
        raise ValueError(
            f"[pad_sequences] `dtype` {dtype} is not compatible with `value`'s type: {type(value)}. "
            "You should set `dtype=object` for variable length strings."
        )
    first = next((sequence for sequence, length in zip(sequences, lengths) if length), ())
    shape = np.shape(first)[1:]
    padded = np.full((len(lengths), maxlen, *shape), value, dtype=dtype)
    for place, (sequence, length) in enumerate(zip(sequences, lengths)):
        if not length or not maxlen:
            continue
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype=dtype)
        if kept.shape[1:] != shape:
            raise ValueError(
                f"[pad_sequences] Shape of sample {kept.shape[1:]} of sequence at position {place} is different from "
                f"expected shape {shape}, that of the first."
            )
        padded[place, (slice(-len(kept), None) if padding == "pre" else slice(len(kept)))] = kept
    return padded


def _length(sequence: Any) -> int:
    try:
        return len(sequence)
    except TypeError:
        raise ValueError(
            f"[pad_sequences] `sequences` must be a list of iterables. Found non-iterable: {sequence}. "
            "Of one sequence make a list."
        ) from None


def _remove_long_seq(maxlen: int, seq: Many[Any], label: Many[Any]) -> tuple[list[Any], list[Any]]:
    """Return the sequences shorter than ``maxlen``, and their labels. Programs of Keras 2 use it."""
    kept = [(one, its) for one, its in zip(seq, label) if len(one) < maxlen]
    return [one for one, _ in kept], [its for _, its in kept]


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> npt.NDArray[np.float64]:
    """Return for each rank of a word the chance to keep it, for ``skipgrams(sampling_table=)``; (``size``,).

    As in word2vec: min(1, sqrt(factor / frequency)), the frequencies after Zipf's law, 1 / (r (log r + 0.577) + 1/2 -
    1 / 12r) for the rank r.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"[make_sampling_table] size must be 1 or more; got {size!r}.")
    rank = np.arange(size)
    rank[0] = 1
    share = sampling_factor * (rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank))
    return np.minimum(1.0, share / np.sqrt(share))


def skipgrams(
    sequence: Many[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Many[float] | None = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Return pairs of words, and 1 for pairs that stand near each other, 0 for pairs by chance.

    All draws come from Python's ``random``, in Keras's order: after ``random.seed(n)`` the pairs are Keras's. Shuffling
    leaves ``random`` seeded, as there.

    Args:
        sequence: numbers of words; 0 is no word.
        vocabulary_size: the largest number of a word, plus 1.
        window_size: how many places away the other word may stand.
        negative_samples: pairs by chance for each near one.
        shuffle: whether to mix the pairs.
        categorical: whether labels are ``[0, 1]`` and ``[1, 0]`` in place of 1 and 0.
        sampling_table: chance to keep a word, by number; see :func:`make_sampling_table`.
        seed: of the shuffling only; by default drawn.
    """
    near: Any = [0, 1] if categorical else 1
    couples: list[list[int]] = []
    for place, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for other in range(max(0, place - window_size), min(len(sequence), place + window_size + 1)):
            if other != place and sequence[other]:
                couples.append([word, sequence[other]])
    labels = [list(near) if categorical else near for _ in couples]
    if negative_samples > 0:
        count = int(len(labels) * negative_samples)
        words = [word for word, _ in couples]
        random.shuffle(words)
        couples += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)]
        labels += [[1, 0] if categorical else 0 for _ in range(count)]
    if shuffle:
        # Seeding twice mixes both lists alike.
        seed = random.randint(0, 10_000_000) if seed is None else seed
        for mixed in (couples, labels):
            random.seed(seed)
            random.shuffle(mixed)
    return couples, labels


class TimeseriesGenerator(Sequence):
    """Batches of windows of a series and what follows each: ``(samples, targets)`` at each place.

    The window before row i is ``data[i - length : i : sampling_rate]``, its target ``targets[i]``. ``samples`` is
    (batch, length / sampling_rate, ...).

    Args:
        data: the series; anything that can be sliced by time.
        targets: as many; that of row i belongs to the window before it.
        length: of a window, in rows of ``data``.
        sampling_rate: rows from one entry of a window to the next.
        stride: rows from one window to the next.
        start_index: first row that windows may hold.
        end_index: last row that may be a target; by default the last there is.
        shuffle: whether rows are drawn by chance (from NumPy's global generator) in place of one after the other.
        reverse: whether windows run backwards.
        batch_size: windows in a batch; the last may have fewer.

    Raises:
        ValueError: data and targets differ in length, or no row has a whole window before it.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ):
        if len(data) != len(targets):
            raise ValueError(
                "[TimeseriesGenerator] Data and targets have to be of same length. Data length is "
                f"{len(data)} while target length is {len(targets)}. Cut the longer."
            )
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length  # of targets, as Keras counts
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"[TimeseriesGenerator] `start_index+length={self.start_index} > end_index={self.end_index}` is "
                "disallowed, as no part of the sequence would be left to be used as current step. Shorten the window."
            )

    def __len__(self) -> int:
        """Number of batches."""
        rows = self.batch_size * self.stride
        return (self.end_index - self.start_index + rows) // rows

    def __getitem__(self, index: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The batch at a place, from 0 on."""
        if not 0 <= index < len(self):
            raise IndexError(f"[TimeseriesGenerator] batches 0 to {len(self) - 1} exist; got {index}.")
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            rows = np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)
        samples = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1, ...] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; data and targets as JSON texts, ``start_index`` with ``length`` added, as in Keras."""
        names = "length sampling_rate stride start_index end_index shuffle reverse batch_size".split()
        return {
            "data": _as_json(self.data, "Data"),
            "targets": _as_json(self.targets, "Targets"),
            **{name: getattr(self, name) for name in names},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Return arguments and data as JSON, which :func:`timeseries_generator_from_json` reads.

        Args:
            **kwargs: handed to ``json.dumps``.
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _as_json(values: Any, what: str) -> str:
    try:
        return json.dumps(values.tolist() if isinstance(values, (np.ndarray, np.generic)) else values)
    except TypeError as error:
        raise TypeError(f"[TimeseriesGenerator] {what} not JSON Serializable: {error}. Make it an array.") from None


def timeseries_generator_from_json(json_string: str) -> TimeseriesGenerator:
    """Return a generator from what :meth:`TimeseriesGenerator.to_json` wrote, here or in Keras.

    It gives the batches of the one that was written. (That of keras_preprocessing 1.1 leaves out ``length`` more rows
    in front, since the stored ``start_index`` counts them already.)

    Raises:
        ValueError: it is no JSON, or not a generator's.
    """
    read = parse_json(json_string, "generator")
    config = read.get("config") if isinstance(read, dict) else None
    if not isinstance(config, dict) or not {"data", "targets", "length", "start_index"} <= config.keys():
        raise ValueError(
            "[timeseries_generator_from_json] the JSON text of a TimeseriesGenerator expected, with 'config' and its "
            f"data; got {str(read)[:60]}. Was it written by to_json()?"
        )
    config = dict(config, start_index=config["start_index"] - config["length"])
    data, targets = (parse_json(config.pop(name), f"{name} of the generator") for name in ("data", "targets"))
    return TimeseriesGenerator(data, targets, **config)
