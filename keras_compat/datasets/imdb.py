"""IMDB: 25,000 and 25,000 film reviews as numbers of words, good (1) or bad (0) (Maas and others, 2011)."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from keras_compat.datasets import _files, _selection
from keras_compat.dialect.level import get_api_level, is_keras_0

Reviews = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_BASES = ("https://s3.amazonaws.com/text-datasets/", "https://storage.googleapis.com/tensorflow/tf-keras-datasets/")
# The hash is that of tf.keras; Keras 2.3.1 knows the MD5 sum 599dadb1135973df5b59232a0e9a887c.
FILE = _files.DataFile(
    name="imdb.npz",
    origins=tuple(base + "imdb.npz" for base in _BASES),
    size=17_464_789,
    file_hash="69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    older=("imdb_full.pkl", "d091312047c43cf9e4e38fef92437263"),
)
# Keras 0.x's: the first half only.
OLDEST = "imdb.pkl"
INDEX = _files.DataFile(
    name="imdb_word_index.json",
    origins=tuple(base + "imdb_word_index.json" for base in _BASES),
    size=1_641_221,
    file_hash="bfafd718b763782e994055a2d397834f",
    older=("imdb_word_index.pkl", "72d94b01291be4ff843198d3b0e1e4d7"),
)


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    test_split: float | None = None,
) -> tuple[Reviews, Reviews]:
    """Return ``(x_train, y_train), (x_test, y_test)``: arrays of lists of word numbers, and of 0 and 1.

    The more frequent a word, the lower its number. 0 stands for no word, so that texts can be filled up with it.

    Args:
        path: name of the file below ``~/.keras/datasets``, or an absolute path. Keras 1's ``imdb_full.pkl`` is read
            where it is there.
        num_words: only numbers below it stay. Keras 1's word is ``nb_words``.
        skip_top: numbers below it go, too: the most frequent words, which tell little.
        maxlen: reviews of so many numbers or more are left out. As in Keras, the first of those that remain fill up
            ``x_train`` to its size before ``x_test`` gets any.
        seed: of the order. At API level 1.2 the reviews to test with are mixed by ``2 * seed``; below 2.3 NumPy's
            global generator stays seeded.
        start_char: number in front of each review; None for none.
        oov_char: number in the place of those that go; None leaves them out (at API level 1.2 it leaves out the others,
            as Keras 1 does).
        index_from: added to each number.
        test_split: Keras 0.x's: the share to test with, of all reviews mixed together; of the 25,000 in Keras 0.x's
            file ``imdb.pkl`` where that is there. All is lists at API level 0.3.

    Raises:
        OSError: the file is not in the Keras folder and can not be downloaded; says what to place where.
        ValueError: ``maxlen`` leaves no review.
    """
    if test_split is not None and path == FILE.name:
        path = OLDEST
    place = _files.find(FILE, path, "imdb.load_data")
    parts = _files.samples(place, "imdb.load_data", objects=True, one_part=True)
    if len(parts) == 2 and test_split is None:
        test_split = 0.2  # as in Keras 0.x, whose file it is
    if len(parts) == 4 and test_split is not None:
        parts = [[*parts[0], *parts[2]], [*parts[1], *parts[3]]]
    draws = _selection.generator(seed)
    texts, labels = [], []
    for number, (x, y) in enumerate(zip(parts[::2], parts[1::2])):
        if number == 1 and get_api_level() == "1.2":
            draws.seed(2 * seed)
        mixed = _selection.order(draws, len(x))
        texts += [x[i] for i in mixed]
        labels += [y[i] for i in mixed]
    texts, labels = _selection.words(
        texts,
        labels,
        num_words=num_words,
        skip_top=skip_top,
        maxlen=maxlen,
        start_char=start_char,
        oov_char=oov_char,
        index_from=index_from,
        caller="imdb.load_data",
    )
    cut = len(parts[0]) if test_split is None else int(len(texts) * (1 - test_split))
    return _selection.parts(texts, labels, cut, as_lists=is_keras_0())


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Return the number of each word, 1 for the most frequent; ``load_data`` adds ``index_from`` to them.

    Args:
        path: name of the file below ``~/.keras/datasets``, or an absolute path. Keras 1's ``imdb_word_index.pkl`` is
            read where it is there.
    """
    return _files.word_index(INDEX, path, "imdb.get_word_index")
