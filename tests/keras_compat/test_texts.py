"""`preprocessing.text` and `preprocessing.sequence`: what genuine releases say of many texts, and what is our own.

``genuine/write_texts.py`` draws the texts and has asked Keras 0.3.3, 1.2.2, 2.2.4 and 2.3.1; the answers are in
``golden/texts``. Abuse test 44 (empty texts, lone surrogates, a line of 10 MB, ``num_words=1``, texts from right to
left) is among them, and at the end.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import random
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat.callbacks import BackupAndRestore, Callback
from keras_compat.dialect.level import api_level
from keras_compat.layers import Dense, SimpleRNN
from keras_compat.models import Sequential
from keras_compat.preprocessing import sequence, text
from keras_compat.preprocessing.sequence import (
    TimeseriesGenerator,
    make_sampling_table,
    pad_sequences,
    skipgrams,
    timeseries_generator_from_json,
)
from keras_compat.preprocessing.text import (
    Tokenizer,
    base_filter,
    hashing_trick,
    maketrans,
    one_hot,
    text_to_word_sequence,
    tokenizer_from_json,
)
from keras_compat.saving.errors import UnsafeModelError
from keras_compat.utils.data_utils import Sequence as Batches
from tests.keras_compat.genuine import write_texts

GOLDEN = Path(__file__).parent / "golden" / "texts"
# Level -> the release asked, and the one whose answers are stored: 2.2.4 says what 2.3.1 says.
RELEASES = {"0.3": ("0.3.3", "0.3.3"), "1.2": ("1.2.2", "1.2.2"), "2.2": ("2.2.4", "2.3.1"), "2.3": ("2.3.1", "2.3.1")}
# Where an error is another one here: a ValueError at every level, a TypeError for what is no text.
OUR_ERRORS = {
    "pad a number among": "raises ValueError",
    "pad no list": "raises ValueError",
    "pad numbers": "raises ValueError",
    "fixed 9 md5": ["raises TypeError", "raises TypeError"],
}


def expected_at(level: str) -> dict[str, Any]:
    found = json.loads((GOLDEN / f"keras-{RELEASES[level][1]}.json").read_text())
    return found | {name: value for name, value in OUR_ERRORS.items() if name in found}


def compared(level: str, every: int) -> tuple[int, int]:
    """Ask ours what a release was asked; return the number of answers, and of those stored."""
    expected = expected_at(level)
    with api_level(level), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = write_texts.said(text, sequence, RELEASES[level][0], every)
    assert {name: value for name, value in found.items() if value != expected.get(name)} == {}
    return len(found), len(expected)


@pytest.mark.promise(44)
@pytest.mark.parametrize("level", ["0.3", "1.2", "2.3"])
def test_genuine_answers(level):
    assert compared(level, every=6)[0] > 50


@pytest.mark.promise(44)
@pytest.mark.slow
@pytest.mark.parametrize("level", RELEASES)
def test_all_genuine_answers(level):
    found, stored = compared(level, every=1)
    assert found == stored > 100


def test_the_answers_tell_releases_apart():
    """A test that compared nothing would pass as well."""
    zero, one, two = (expected_at(level) for level in ("0.3", "1.2", "2.3"))
    assert sum(one[name] != zero[name] for name in one) > 10
    assert sum(one[name] != two[name] for name in one if name in two) > 30


# -- words ------------------------------------------------------------------------------------------------------------


def test_words_of_a_text():
    assert text_to_word_sequence("The cat, the DOG!") == ["the", "cat", "the", "dog"]
    assert text_to_word_sequence("The cat, the DOG!", lower=False, filters="!") == ["The", "cat,", "the", "DOG"]
    assert text_to_word_sequence("a--b", filters=["-"], split="<>") == ["a", "b"]
    assert base_filter() == text.FILTERS
    assert maketrans({"a": "b"}) == {97: "b"}
    with pytest.raises(ValueError, match="empty separator"):
        text_to_word_sequence("a", split="")


@pytest.mark.parametrize("wrong", [None, float("nan"), 5, b"bytes", ["a"]])
def test_what_is_no_text_is_named(wrong):
    with pytest.raises(TypeError, match=r"\[text_to_word_sequence\] a text expected; got .*missing"):
        text_to_word_sequence(wrong)
    if not isinstance(wrong, list):
        with pytest.raises(TypeError, match="a text expected"):
            Tokenizer().fit_on_texts(["fine", wrong])


def test_one_hot_numbers_words_by_hash():
    words = [str(i) for i in range(200)]
    for level, number in (("1.2", lambda w: abs(hash(w))), ("2.2", hash), ("2.3", hash)):
        with api_level(level):
            assert one_hot(" ".join(words), 50) == [number(w) % 49 + 1 for w in words]
            assert one_hot("A a", 50)[0] == one_hot("A a", 50)[1] != 0
            assert len(one_hot("a,b;c", 9, filters=",", lower=False, split=";")) == 3
    assert hashing_trick(" ".join(words), 50) == [hash(w) % 49 + 1 for w in words]


def test_md5_numbers_are_the_same_everywhere():
    """Those of Python's hash are not."""
    assert hashing_trick("one two", 1000, "md5") == [
        int(hashlib.md5(w).hexdigest(), 16) % 999 + 1 for w in (b"one", b"two")
    ]
    program = "print(hash('one'))"
    found = set()
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        found.add(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True).stdout)
    assert len(found) == 2


def test_bad_hashing():
    for n in (1, 0, -3):
        with pytest.raises(ValueError, match="n must be 2 or more"):
            one_hot("a", n)
    with pytest.raises(ValueError, match="None, 'md5' or a function; got 'sha1'"):
        hashing_trick("a", 5, "sha1")
    assert hashing_trick("a bb", 10, len) == [2, 3]


# -- Tokenizer --------------------------------------------------------------------------------------------------------

TEXTS = ["the cat sat on the mat", "the dog", "a cat"]


def test_a_tokenizer_in_the_words_of_both_lines():
    for made in (Tokenizer(nb_words=3), Tokenizer(3), Tokenizer(num_words=3)):
        assert made.num_words == made.nb_words == 3
        made.fit_on_texts(TEXTS)
        assert made.texts_to_sequences(["the cat sat"]) == [[1, 2]]
        made.nb_words = None
        assert made.texts_to_sequences(["the cat sat"]) == [[1, 2, 3]]
    with pytest.raises(TypeError, match="not understood: 'words'"):
        Tokenizer(words=3)


def test_texts_from_a_generator_and_back():
    tokenizer = Tokenizer(oov_token="?")
    tokenizer.fit_on_texts(one for one in TEXTS)
    assert tokenizer.document_count == 3
    sequences = tokenizer.texts_to_sequences_generator(one for one in ["the lion sat", ""])
    assert isinstance(sequences, types.GeneratorType)
    sequences = list(sequences)
    assert sequences == [[2, 1, 4], []]
    texts = tokenizer.sequences_to_texts_generator(iter(sequences))
    assert isinstance(texts, types.GeneratorType)
    assert list(texts) == tokenizer.sequences_to_texts(sequences) == ["the ? sat", ""]


def test_matrices_by_their_formulas():
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(TEXTS)
    words, given = tokenizer.word_index, ["the cat the", "", "lion"]
    counts = np.zeros((3, len(words) + 1))
    counts[0, words["the"]], counts[0, words["cat"]] = 2, 1
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(given), counts > 0)
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(given, "count"), counts)
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(given, mode="freq"), counts / 3)
    found = tokenizer.texts_to_matrix(given, mode="tfidf")
    assert found[0, words["the"]] == pytest.approx((1 + np.log(2)) * np.log(1 + 3 / (1 + 2)), rel=1e-14)
    assert found[0, words["cat"]] == pytest.approx(np.log(1 + 3 / (1 + 2)), rel=1e-14)
    assert np.count_nonzero(found) == 2
    # 0 is no word, and counts; numbers that are too large do not.
    np.testing.assert_array_equal(Tokenizer(3).sequences_to_matrix([[0, 1, 0, 3, 9]], "count"), [[2, 1, 0]])
    # Arrays serve as well as lists.
    given = tokenizer.texts_to_sequences(["the cat the", ""])
    arrays = [np.array(one, int) for one in given]
    np.testing.assert_array_equal(tokenizer.sequences_to_matrix(arrays), tokenizer.sequences_to_matrix(given))


def test_matrices_need_a_width_and_a_mode():
    with pytest.raises(ValueError, match=r"Specify a dimension \(`num_words` argument\), or fit on some text data"):
        Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="Fit the Tokenizer on some data before using tfidf mode"):
        Tokenizer(5).sequences_to_matrix([[1]], "tfidf")
    with pytest.raises(ValueError, match="Unknown vectorization mode: 'onehot'"):
        Tokenizer(5).sequences_to_matrix([[1]], "onehot")


def test_one_text_alone_is_warned_about():
    with pytest.warns(UserWarning, match="a list of texts expected"):
        Tokenizer().fit_on_texts("the cat")
    tokenizer = Tokenizer(char_level=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer.fit_on_texts("hello")
        assert tokenizer.texts_to_sequences(["hell"]) == [[2, 3, 1, 1]]


def test_a_tokenizer_as_json_goes_on_counting():
    tokenizer = Tokenizer(7, oov_token="?", lower=False)
    tokenizer.fit_on_texts(TEXTS[:2])
    again = tokenizer_from_json(tokenizer.to_json(indent=1))
    for one in (tokenizer, again):
        one.fit_on_texts(TEXTS[2:])
        one.fit_on_sequences([[1, 2]])
    assert again.get_config() == tokenizer.get_config()
    assert again.word_counts == tokenizer.word_counts and again.document_count == 4
    assert isinstance(again.word_counts, collections.OrderedDict)

    class Own(Tokenizer):
        """Its name goes into the JSON text."""

    assert json.loads(Own().to_json())["class_name"] == "Own"


def test_json_that_is_no_tokenizers():
    good = json.loads(Tokenizer().to_json())
    for wrong in ("[]", "{}", '{"config": 5}', json.dumps({"config": {"word_counts": 1}}), "5"):
        with pytest.raises(ValueError, match="the JSON text of a Tokenizer expected"):
            tokenizer_from_json(wrong)
    for name, value in (("word_counts", "[1]"), ("index_word", '{"x": "y"}'), ("word_docs", '{"x": [1]}')):
        broken = {"config": good["config"] | {name: value}}
        with pytest.raises(ValueError, match="counts by word and words by number expected"):
            tokenizer_from_json(json.dumps(broken))
    with pytest.raises(ValueError, match="no JSON"):
        tokenizer_from_json("{")
    deep = {"config": good["config"] | {"word_counts": "[" * 1000 + "]" * 1000}}
    with pytest.raises(UnsafeModelError, match="nested more than"):
        tokenizer_from_json(json.dumps(deep))
    with pytest.raises(TypeError, match="'evil'"):
        tokenizer_from_json(json.dumps({"config": good["config"] | {"evil": 1}}))


# -- sequences --------------------------------------------------------------------------------------------------------


def test_padding_by_hand():
    np.testing.assert_array_equal(pad_sequences([[1, 2, 3], [4]]), [[1, 2, 3], [0, 0, 4]])
    np.testing.assert_array_equal(pad_sequences([[1, 2, 3], [4]], 2, "int32", "post", "post", 9), [[1, 2], [4, 9]])
    assert pad_sequences([[1, 2, 3]], maxlen=0).shape == (1, 0)
    np.testing.assert_array_equal(pad_sequences((np.arange(3), range(2))), [[0, 1, 2], [0, 0, 1]])
    ragged = np.empty(2, object)
    ragged[:] = [[1], [2, 3]]
    np.testing.assert_array_equal(pad_sequences(ragged), [[0, 1], [2, 3]])


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_padding_against_a_loop(padding, truncating):
    draw = random.Random(7)
    lists = [[draw.random() for _ in range(draw.randint(0, 12))] for _ in range(60)]
    for length in (1, 5, 12, 20):
        found = pad_sequences(lists, length, "float64", padding, truncating, -1.0)
        for row, one in zip(found.tolist(), lists):
            kept = one[max(0, len(one) - length) :] if truncating == "pre" else one[:length]
            gap = [-1.0] * (length - len(kept))
            assert row == (gap + kept if padding == "pre" else kept + gap)


def test_padding_says_what_it_wants():
    for wrong, words, message in (
        (iter([[1]]), {}, "`sequences` must be iterable"),
        ([1, 2], {}, "`sequences` must be a list of iterables. Found non-iterable: 1"),
        ([], {}, "`maxlen` must say the length"),
        ([[1]], {"padding": "left"}, "Padding type 'left' not understood"),
        ([[1]], {"truncating": "left"}, "Truncating type 'left' not understood"),
        ([[1]], {"value": "x"}, "`dtype` int32 is not compatible with `value`'s type: <class 'str'>"),
        (
            [[[1, 2]], [[1], [2]]],
            {},
            r"Shape of sample \(1,\) of sequence at position 1 is different from expected shape",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            pad_sequences(wrong, **words)
    # NumPy 1 wrote 44 in its place, and Keras with it.
    with pytest.raises(OverflowError, match="300 out of bounds"):
        pad_sequences([[300]], dtype="uint8")
    assert sequence._remove_long_seq(3, [[1], [1, 2, 3], [2, 2]], "abc") == ([[1], [2, 2]], ["a", "c"])


def test_pairs_of_words():
    random.seed(3)
    couples, labels = skipgrams([1, 2, 3, 0, 4], 50, window_size=1, negative_samples=0, shuffle=False)
    assert couples == [[1, 2], [2, 1], [2, 3], [3, 2]] and labels == [1] * 4
    assert skipgrams([], 50) == ([], [])
    with_seed = [skipgrams(list(range(1, 20)), 50, negative_samples=0, seed=5) for _ in range(2)]
    assert with_seed[0] == with_seed[1]
    _, categorical = skipgrams([1, 2], 50, categorical=True)
    assert sorted(categorical) == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert len({id(label) for label in categorical}) == 4


def test_the_sampling_table_by_its_formula():
    found = make_sampling_table(100, 1e-3)
    rank = 42
    frequency = 1 / (rank * (np.log(rank) + 0.577) + 0.5 - 1 / (12 * rank))
    assert found[rank] == pytest.approx(min(1, np.sqrt(1e-3 / frequency)), rel=1e-13)
    assert found[0] == found[1] and found[-1] <= 1
    with pytest.raises(ValueError, match="size must be 1 or more"):
        make_sampling_table(0)


def test_windows_of_a_series():
    data = np.arange(50).reshape(50, 1)
    windows = TimeseriesGenerator(data, data, length=10, sampling_rate=2, batch_size=2)
    assert isinstance(windows, Batches) and len(windows) == 20
    samples, targets = windows[0]
    np.testing.assert_array_equal(samples[..., 0], [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]])
    np.testing.assert_array_equal(targets, [[10], [11]])
    assert sum(len(targets) for _, targets in windows) == 40
    for index in (-1, 20):
        with pytest.raises(IndexError, match="batches 0 to 19 exist"):
            windows[index]
    with pytest.raises(ValueError, match="Data length is 50 while target length is 49"):
        TimeseriesGenerator(data, data[1:], 10)
    with pytest.raises(ValueError, match=r"`start_index\+length=50 > end_index=49` is disallowed"):
        TimeseriesGenerator(data, data, 50)


def test_windows_as_json():
    data = np.arange(40.0).reshape(20, 2)
    made = TimeseriesGenerator(
        data, list(range(20)), 3, stride=2, start_index=4, end_index=17, batch_size=3, reverse=True
    )
    again = timeseries_generator_from_json(made.to_json())
    assert again.get_config() == made.get_config()
    for first, second in zip(made, again):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
    with pytest.raises(ValueError, match="the JSON text of a TimeseriesGenerator expected"):
        timeseries_generator_from_json('{"config": {}}')
    with pytest.raises(TypeError, match="Data not JSON Serializable"):
        TimeseriesGenerator([object()] * 9, [0] * 9, 2).to_json()


# -- abuse ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise(44)
def test_44_a_line_of_10_mb():
    """Ten million characters; numbers as for the line of 100,000 that genuine Keras was asked, times a hundred."""
    small, large = write_texts.line(write_texts.LONG), write_texts.line(100 * write_texts.LONG)
    assert len(large) > 9_900_000
    counts = []
    for line in (small, large):
        tokenizer = Tokenizer(num_words=3)
        tokenizer.fit_on_texts([line])
        counts.append((len(tokenizer.texts_to_sequences([line])[0]), list(tokenizer.word_counts.values())))
    words = large.count("word")
    assert counts[1] == (2 * words, [words, words, 1])
    assert counts[0][1] == [small.count("word")] * 2 + [1]


@pytest.mark.promise(44)
@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_44_nothing_and_one_word(level):
    with api_level(level):
        tokenizer = Tokenizer(num_words=1)
        for texts in ([], [""], ["\n \t"], ["\udfff\ud800"], ["שלום עולם", "مرحبا"]):
            tokenizer.fit_on_texts(texts)
            assert tokenizer.texts_to_sequences(texts) == [[] for _ in texts]
            np.testing.assert_array_equal(tokenizer.texts_to_matrix(texts, "count"), np.zeros((len(texts), 1)))
        assert list(tokenizer.word_index) == ["\udfff\ud800", "שלום", "עולם", "مرحبا"]
        assert tokenizer_from_json(tokenizer.to_json()).word_index == tokenizer.word_index


# -- in training ------------------------------------------------------------------------------------------------------


class Interrupted(BaseException):
    """What ends a training."""


class Interrupt(Callback):
    """Ends it after a batch of an epoch."""

    def __init__(self, epoch: int, batch: int):
        super().__init__()
        self.stop, self.now = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == self.stop:
            raise Interrupted


def trained_on_windows(seed: int, folder: Path, shuffle: bool, stop: tuple[int, int] = (9, 0)) -> list[np.ndarray]:
    """Train on the windows of a series, going on from what is in the folder."""
    np.random.seed(seed)
    series = np.sin(np.arange(60.0))[:, None]
    windows = TimeseriesGenerator(series, series[:, 0], 8, batch_size=12, shuffle=shuffle)
    model = Sequential([SimpleRNN(3, input_shape=(8, 1)), Dense(1)])
    model.compile("adam", "mse")
    callbacks = [BackupAndRestore(str(folder), save_freq=2), Interrupt(*stop)]
    with at.config.use(numba=False):
        model.fit_generator(windows, epochs=4, verbose=0, callbacks=callbacks)
    return model.get_weights()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_training_on_windows_goes_on_where_it_ended(tmp_path, shuffle):
    """Bit by bit as one that was never interrupted, drawn rows included."""
    whole = trained_on_windows(1, tmp_path / "whole", shuffle)
    with pytest.raises(Interrupted):
        trained_on_windows(1, tmp_path / "stopped", shuffle, stop=(2, 3))
    again = trained_on_windows(2, tmp_path / "stopped", shuffle)
    for first, second in zip(whole, again):
        np.testing.assert_array_equal(first, second)
