"""Texts as numbers: words counted, ranked and replaced by their ranks, as Keras's ``preprocessing.text`` does."""

from __future__ import annotations

import functools
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import md5
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.saving.guard import parse_json
from keras_compat.utils.generic_utils import warn

# What separates words beside spaces: all of ASCII's punctuation but the apostrophe, tabs and line breaks.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

# Keras 1 has the name here.
maketrans = str.maketrans


def base_filter() -> str:
    """Return the characters that separate words, as Keras 0.x hands them to ``filters``."""
    return FILTERS


def text_to_word_sequence(
    text: str, filters: str | Sequence[str] = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Return the words of a text, in their order.

    Args:
        text: the text.
        filters: characters that count as ``split`` does.
        lower: whether to make all letters small.
        split: what stands between words.

    Raises:
        TypeError: ``text`` is no text.
        ValueError: ``split`` is empty.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"[text_to_word_sequence] a text expected; got {_short(text)} ({type(text).__name__!r} object has no "
            "attribute 'lower', Keras says). Are values missing in the data?"
        )
    if lower:
        text = text.lower()
    table = _table(filters if isinstance(filters, str) else tuple(filters or ()), split)
    return [word for word in text.translate(table).split(split) if word]


@functools.lru_cache(maxsize=32)
def _table(filters: str | tuple[str, ...], split: str) -> dict[int, str]:
    return str.maketrans(dict.fromkeys(filters, split))


def one_hot(
    text: str, n: int, filters: str | Sequence[str] = FILTERS, lower: bool = True, split: str = " "
) -> list[int]:
    """Return a number from 1 to ``n - 1`` for each word of a text, by Python's ``hash``.

    Equal words have equal numbers within a process only: Python salts its hashes anew in each, unless
    ``PYTHONHASHSEED`` is set. For numbers that last take :func:`hashing_trick` with ``'md5'``.

    At API level 1.2 the hash counts without its sign, as in Keras 1.
    """
    return hashing_trick(text, n, _unsigned_hash if get_api_level() == "1.2" else hash, filters, lower, split)


def _unsigned_hash(word: str) -> int:
    return abs(hash(word))


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str | Sequence[str] = FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Return a number from 1 to ``n - 1`` for each word of a text; different words may have the same.

    Args:
        text: the text.
        n: size of the space of numbers, 0 included, which no word gets.
        hash_function: what makes a number of a word; None for Python's ``hash`` (other numbers in each process),
            ``'md5'`` for one that is the same everywhere.
        filters: see :func:`text_to_word_sequence`; so are ``lower`` and ``split``.

    Raises:
        ValueError: ``n`` is below 2, or the hash function is unknown.
    """
    if n < 2:
        raise ValueError(f"[hashing_trick] n must be 2 or more, as 0 stands for no word; got {n!r}.")
    if hash_function is None:
        hash_function = hash
    elif hash_function == "md5":
        hash_function = _md5
    elif not callable(hash_function):
        raise ValueError(f"[hashing_trick] hash_function must be None, 'md5' or a function; got {hash_function!r}.")
    return [hash_function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    return int(md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers for words, the most frequent first, and texts as lists or vectors of them.

    ``fit_on_texts`` counts words; 1 is the most frequent (or stands for unknown words, see ``oov_token``), 0 for none.

    Args:
        num_words: only numbers below it are given out, which are those of the ``num_words - 1`` most frequent words;
            None for all. Keras 1's name is ``nb_words``.
        filters: characters that separate words beside ``split``.
        lower: whether capitals count as small letters. Single characters keep them at API level 1.2.
        split: what stands between words.
        char_level: whether each character is a word.
        oov_token: a word that stands for all that are unknown or too rare, with number 1; None leaves these out.
        document_count: how many texts were counted before.

    Attributes:
        word_counts: how often each word came, in the order in which they came first.
        word_docs: in how many texts each word stands.
        word_index: the number of each word, whatever ``num_words``.
        index_word: the word of each number.
        index_docs: in how many texts the word of a number stands.
        document_count: number of texts.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str | Sequence[str] = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
    ):
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.document_count = document_count
        self.word_counts: dict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    @property
    def nb_words(self) -> int | None:
        """Keras 1's name of ``num_words``."""
        return self.num_words

    @nb_words.setter
    def nb_words(self, value: int | None) -> None:
        self.num_words = value

    # -- counting -----------------------------------------------------------------------------------------------------

    def fit_on_texts(self, texts: Iterable[str | Sequence[str]]) -> None:
        """Count the words of texts and number them anew; words counted before stay.

        At API level 1.2 the number of texts begins at 0 in each call.

        Args:
            texts: texts, or lists of words, one after the other; an iterator serves as well.
        """
        if get_api_level() == "1.2":
            self.document_count = 0
            self.index_docs = defaultdict(int)
        for text in self._listed(texts, "fit_on_texts"):
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts, key=self.word_counts.__getitem__, reverse=True)
        if self.oov_token is not None:
            ranked.insert(0, self.oov_token)
        self.word_index = {word: number for number, word in enumerate(ranked, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Count in how many sequences each number stands: enough for ``sequences_to_matrix``, without texts.

        At API level 1.2 the counts begin at 0 in each call.
        """
        if get_api_level() == "1.2":
            self.document_count = 0
            self.index_docs = defaultdict(int)
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def _listed(self, texts: Iterable[Any], method: str) -> Iterable[Any]:
        """The texts; one alone, whose characters would count as texts, is warned about."""
        if isinstance(texts, str) and not self.char_level:
            warn(
                f"[Tokenizer.{method}] a list of texts expected; each character of the one that came counts as a text."
            )
        return texts

    def _words(self, text: Any) -> Sequence[str]:
        """The words of one text: of a text in this tokenizer's way, of a list as it is."""
        listed = isinstance(text, (list, tuple))
        if not listed and not self.char_level:
            return text_to_word_sequence(text, self.filters, self.lower, self.split)
        if not self.lower or (self.char_level and get_api_level() == "1.2"):
            return text
        return [word.lower() for word in text] if listed else text.lower()

    # -- texts and sequences ------------------------------------------------------------------------------------------

    def texts_to_sequences(self, texts: Iterable[str | Sequence[str]]) -> list[list[int]]:
        """Return the numbers of the words of each text; see ``num_words`` and ``oov_token`` for those left out."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | Sequence[str]]) -> Iterator[list[int]]:
        """Yield what :meth:`texts_to_sequences` returns, one after the other."""
        unknown = self._unknown()
        for text in self._listed(texts, "texts_to_sequences"):
            numbers = []
            for word in self._words(text):
                number = self.word_index.get(word)
                if number is not None and not (self.num_words and number >= self.num_words):
                    numbers.append(number)
                elif unknown is not None:
                    numbers.append(unknown)
            yield numbers

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return a text for each list of numbers, its words joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield what :meth:`sequences_to_texts` returns, one after the other."""
        unknown = self._unknown()
        for sequence in sequences:
            words = []
            for number in sequence:
                word = self.index_word.get(number)
                if word is not None and not (self.num_words and number >= self.num_words):
                    words.append(word)
                elif unknown is not None:
                    words.append(self.index_word[unknown])
            yield " ".join(words)

    def _unknown(self) -> int | None:
        """The number of ``oov_token``, or None."""
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    # -- matrices -----------------------------------------------------------------------------------------------------

    def texts_to_matrix(self, texts: Iterable[str | Sequence[str]], mode: str = "binary") -> npt.NDArray[np.float64]:
        """Return a row for each text; see :meth:`sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> npt.NDArray[np.float64]:
        """Return an array (sequences, ``num_words``), a column for each number.

        Args:
            sequences: lists of numbers.
            mode: what stands for a number that comes c times among the n of a sequence: ``'binary'`` 1, ``'count'`` c,
                ``'freq'`` c / n, ``'tfidf'`` (1 + log c) log(1 + N / (1 + N_w)) with N texts in all and N_w with
                this word (at API level 0.3 log(c / n) / (1 + log(1 + N_w / (1 + N)))).

        Raises:
            ValueError: the mode is unknown, or there is neither ``num_words`` nor anything counted.
        """
        if not self.num_words and not self.word_index:
            raise ValueError("[Tokenizer] Specify a dimension (`num_words` argument), or fit on some text data first.")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("[Tokenizer] Fit the Tokenizer on some data before using tfidf mode.")
        weigh = {"binary": _binary, "count": _count, "freq": _freq, "tfidf": self._tfidf}.get(mode)
        if weigh is None:
            raise ValueError(
                f"[Tokenizer] Unknown vectorization mode: {mode!r}. The modes are 'binary', 'count', 'freq', 'tfidf'."
            )
        width = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), width))
        for row, sequence in zip(matrix, sequences):
            counts = Counter(number for number in sequence if number < width)
            if counts:
                numbers = list(counts)
                row[numbers] = weigh(np.fromiter(counts.values(), np.float64), len(sequence), numbers)
        return matrix

    def _tfidf(self, counts: npt.NDArray[np.float64], length: int, numbers: list[int]) -> npt.NDArray[np.float64]:
        found = np.array([self.index_docs.get(number, 0) for number in numbers], np.float64)
        if is_keras_0():
            return np.log(counts / length) / (1 + np.log(1 + found / (1 + self.document_count)))
        return (1 + np.log(counts)) * np.log(1 + self.document_count / (1 + found))

    # -- as a text ----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return arguments and counts, the latter as JSON texts (Keras 2.2.5 and later)."""
        arguments = {name: getattr(self, name) for name in _ARGUMENTS}
        return arguments | {name: json.dumps(getattr(self, name)) for name in _COUNTS}

    def to_json(self, **kwargs: Any) -> str:
        """Return arguments and counts as JSON, which :func:`tokenizer_from_json` reads.

        Args:
            **kwargs: handed to ``json.dumps``.
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


_ARGUMENTS = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
_COUNTS = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def _binary(counts: npt.NDArray[np.float64], length: int, numbers: list[int]) -> npt.NDArray[np.float64]:
    return np.ones_like(counts)


def _count(counts: npt.NDArray[np.float64], length: int, numbers: list[int]) -> npt.NDArray[np.float64]:
    return counts


def _freq(counts: npt.NDArray[np.float64], length: int, numbers: list[int]) -> npt.NDArray[np.float64]:
    return counts / length


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Return a tokenizer from what :meth:`Tokenizer.to_json` wrote, here or in Keras; it can go on counting.

    The text is read as the configs of models are: plain data within limits.

    Raises:
        ValueError: it is no JSON, or not a tokenizer's.
    """
    read = parse_json(json_string, "tokenizer")
    config = read.get("config") if isinstance(read, dict) else None
    if not isinstance(config, dict) or not all(isinstance(config.get(name), str) for name in _COUNTS):
        raise ValueError(
            "[tokenizer_from_json] the JSON text of a Tokenizer expected, with 'config' and its counts "
            f"({', '.join(_COUNTS)}); got {_short(read)}. Was it written by to_json()?"
        )
    found = {name: parse_json(config[name], f"{name} of the tokenizer") for name in _COUNTS}
    tokenizer = Tokenizer(**{name: value for name, value in config.items() if name not in _COUNTS})
    try:
        tokenizer.word_counts = OrderedDict((word, int(n)) for word, n in found["word_counts"].items())
        tokenizer.word_docs = defaultdict(int, {word: int(n) for word, n in found["word_docs"].items()})
        # JSON has texts for keys only.
        tokenizer.index_docs = defaultdict(int, {int(i): int(n) for i, n in found["index_docs"].items()})
        tokenizer.index_word = {int(i): word for i, word in found["index_word"].items()}
        tokenizer.word_index = {word: int(i) for word, i in found["word_index"].items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"[tokenizer_from_json] counts by word and words by number expected: {error}. Was it written by to_json()?"
        ) from None
    return tokenizer


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
