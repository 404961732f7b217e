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
    shift = index_from if start_char is not None or index_from else 0
    moved = [front + [number + shift for number in text] for text in texts]
    listed = list(labels)
    if maxlen:
        short = [i for i, text in enumerate(moved) if len(text) < maxlen]
        moved, listed = [moved[i] for i in short], [listed[i] for i in short]
    if not moved:
        raise ValueError(
            f"[{caller}] After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. "
            "Increase maxlen."
        )
    limit = num_words or max((max(text) for text in moved if text), default=0)
    if oov_char is not None:
        return [[n if skip_top <= n < limit else oov_char for n in text] for text in moved], listed
    inverted = get_api_level() == "1.2"
    return [[n for n in text if (skip_top <= n < limit) != inverted] for text in moved], listed


def parts(
    texts: list[list[int]], labels: list[int], cut: int, as_lists: bool
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Texts and labels to learn from, and those from ``cut`` on; lists, or arrays (of lists, and of numbers)."""
    # Genuine Keras makes an array of two axes where all texts happen to have one length.
    x: Any = texts if as_lists else np.fromiter(texts, object, len(texts))
    y: Any = labels if as_lists else np.array(labels)
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
