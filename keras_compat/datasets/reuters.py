"""Reuters: 11,228 newswires of 1987 as numbers of words, each of one of 46 topics."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from keras_compat.datasets import _files, _selection
from keras_compat.dialect.level import get_api_level

Wires = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_BASES = ("https://s3.amazonaws.com/text-datasets/", "https://storage.googleapis.com/tensorflow/tf-keras-datasets/")
# The hash is that of tf.keras; Keras 2.3.1 knows the MD5 sum 87aedbeb0cb229e378797a632c1997b6.
FILE = _files.DataFile(
    name="reuters.npz",
    origins=tuple(base + "reuters.npz" for base in _BASES),
    size=2_110_848,
    file_hash="d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    older=("reuters.pkl", None),
)
INDEX = _files.DataFile(
    name="reuters_word_index.json",
    origins=tuple(base + "reuters_word_index.json" for base in _BASES),
    size=550_378,
    file_hash="4d44cc38712099c9e383dc6e5f11a921",
    older=("reuters_word_index.pkl", None),
)


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Wires, Wires]:
    """Return ``(x_train, y_train), (x_test, y_test)``: lists of word numbers, and topics 0 to 45.

    They are arrays; at API level 1.2 plain lists, as in Keras 1.

    Args:
        path: name of the file below ``~/.keras/datasets``, or an absolute path. Keras 1's ``reuters.pkl`` is read where
            it is there.
        test_split: share of the newswires to test with.
        num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: see :func:`imdb.load_data`.

    Raises:
        OSError: the file is not in the Keras folder and can not be downloaded; says what to place where.
        ValueError: ``maxlen`` leaves no newswire.
    """
    place = _files.find(FILE, path, "reuters.load_data")
    x, y = _files.samples(place, "reuters.load_data", ("x", "y"), objects=True)
    mixed = _selection.order(_selection.generator(seed), len(x))
    texts, labels = _selection.words(
        [x[i] for i in mixed],
        [y[i] for i in mixed],
        num_words=num_words,
        skip_top=skip_top,
        maxlen=maxlen,
        start_char=start_char,
        oov_char=oov_char,
        index_from=index_from,
        caller="reuters.load_data",
    )
    cut = int(len(texts) * (1 - test_split))
    return _selection.parts(texts, labels, cut, as_lists=get_api_level() == "1.2")


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Return the number of each word, 1 for the most frequent; ``load_data`` adds ``index_from`` to them.

    Args:
        path: name of the file below ``~/.keras/datasets``, or an absolute path. Keras 1's ``reuters_word_index.pkl``
            is read where it is there.
    """
    return _files.word_index(INDEX, path, "reuters.get_word_index")
