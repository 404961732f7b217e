"""Which samples and words of a data set are taken, in which order: Keras's steps, for IMDB, Reuters and Boston."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat.dialect.level import get_api_level

Texts = Sequence[Sequence[int]]


def generator(seed: int) -> Any:
    """What draws the order. Below API level 2.3 it is NumPy's global one, which stays seeded, as in those releases."""
    if get_api_level() == "2.3":
        return np.random.RandomState(seed)
    np.random.seed(seed)
    return np.random


def order(draws: Any, count: int) -> npt.NDArray[np.int64]:
    """The numbers from 0 on, mixed."""
    numbers = np.arange(count)
    draws.shuffle(numbers)
    return numbers


def words(
    texts: Iterable[Sequence[int]],
    labels: Iterable[int],
    *,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
    caller: str,
) -> tuple[list[list[int]], list[int]]:
    """Texts of word numbers as Keras hands them out, and their labels.

    Numbers are moved up by ``index_from`` and ``start_char`` is put in front; texts of ``maxlen`` numbers or more go;
    numbers below ``skip_top`` or from ``num_words`` on become ``oov_char``. Without ``num_words`` the largest number
    that there is counts as that, so it goes, too. All as in the releases, and so is this: ``oov_char=None`` keeps the
    other numbers from Keras 2 on, and just those that should go in Keras 1.

    Raises:
        ValueError: no text is that short.
    """
    front = [] if start_char is None else [start_char]
    pairs = list(zip(texts, labels))
    if maxlen:
        pairs = [pair for pair in pairs if len(pair[0]) + len(front) < maxlen]
    if not pairs:
        raise ValueError(
            f"[{caller}] After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. "
            "Increase maxlen."
        )
    last = max((max(text) for text, _ in pairs if text), default=0)
    limit = num_words or max([last + index_from, *front])
    inverted = oov_char is None and get_api_level() == "1.2"

    def handed_out(number: int) -> int | None:
        return number if (skip_top <= number < limit) != inverted else oov_char

    # Looked up in a table all words of a kind are one number in memory; IMDB has twelve million.
    table = [handed_out(word + index_from) for word in range(last + 1)]
    start = [handed_out(number) for number in front]
    found: list[Any] = [[*start, *map(table.__getitem__, text)] for text, _ in pairs]
    if oov_char is None:
        found = [[number for number in text if number is not None] for text in found]
    return found, [label for _, label in pairs]


def parts(
    texts: list[list[int]], labels: list[int], cut: int, as_lists: bool
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Texts and labels to learn from, and those from ``cut`` on; lists, or arrays (of lists, and of numbers)."""
    # Genuine Keras makes an array of two axes where all texts happen to have one length.
    x: Any = texts if as_lists else np.fromiter(texts, object, len(texts))
    y: Any = labels if as_lists else np.array(labels)
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
