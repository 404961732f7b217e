"""Runs inside a genuine Keras (Python 3.7): says what its `preprocessing.text` and `.sequence` make of many texts.

    python write_texts.py out.json

`said` asks two modules of functions; it knows nothing of which Keras they are of. `test_texts.py` asks ours with it.
Answers longer than `SHOWN` characters are kept as the beginning of their SHA-256, those to drawn questions by tens. The
files are in `tests/keras_compat/golden/texts`, named by release; 2.2.4 says the same as 2.3.1.
"""

import hashlib
import json
import random
import sys
import warnings

import numpy as np

SHOWN = 200
BLOCK = 10
# Keras 0.x and 1 have no oov_token, no separator of several characters, no sequences_to_texts, no JSON.
OLD = ("0.3.3", "1.2.2")

WORDS = (
    "the a of cat Dog sat SAT on mat don't it's end. end, (end) e-mail x_y 1 22 3.14 $5 naïve Straße ÉCOLE İstanbul "
    "ὈΔΥΣΣΕΎΣ русский Слово 日本語 的 한국어 שלום עולם مرحبا العالم नमस्ते ไทย e\u0301 \U0001f600 "
    "\U0001f468\u200d\U0001f469 \ud800 \udfff a\u00a0b \u3000 \u200f \u202eabc \x00 \x0b \x1c \u2028 tab\ttab "
    "line\nline cr\rcr <b>bold</b> {x} [y] ~ ` ^ | \\ / @ # % & * + = ; : ? ! \"quoted\" 'single'"
).split(" ")
FIXED = (
    [],
    [""],
    ["", " ", "\n\t", "!?"],
    ["The cat sat on the mat.", "The dog, the cat!", "A dog"],
    ["Don't stop", "don't STOP; e-mail@x.org", "a_b c"],
    ["שלום עולם", "مرحبا بالعالم، مرحبا", "abc שלום"],
    ["\ud800 x \udfff", "x \ud800"],
    ["İI ıi", "ΣΑΣ", "ß ẞ"],
    ["one", "one two", "one two three", "one two three four"],
    [["Already", "split", "words"], ["split", "it"]],
)


LONG = 100000


def line(size):
    """A line of so many characters, a twelfth of it one word."""
    return "word other, " * (size * 11 // 144) + "x" * (size // 12)


def texts(seed):
    """A dozen texts, the same for a seed on every machine."""
    draw = random.Random(seed)
    some = draw.sample(WORDS, draw.randint(2, len(WORDS)))
    gaps = [" ", " ", " ", "  ", "\n", "\t", ",", ""]
    made = []
    for _ in range(draw.randint(1, 12)):
        made.append("".join(draw.choice(some) + draw.choice(gaps) for _ in range(draw.randint(0, 25))))
    return made


def arguments(seed, release):
    """Arguments of a Tokenizer."""
    draw = random.Random(1000 + seed)
    old = release in OLD
    found = {"nb_words" if old else "num_words": draw.choice([None, None, 1, 2, 5, 20])}
    if draw.random() < 0.3:
        found["filters"] = draw.choice(["", "e", ".,", "aeiou \n", "日x"])
    if draw.random() < 0.3:
        found["lower"] = False
    if draw.random() < 0.3:
        found["split"] = draw.choice(["e", "\n", ","] if old else ["e", "\n", "the", "  "])
    if draw.random() < 0.25:
        found["char_level"] = True
    if not old and draw.random() < 0.4:
        found["oov_token"] = draw.choice(["<UNK>", "the", "e"])
    return found


def told(action, *arguments, **words):
    """What an action gives, or the name of its error; Keras 0.x has no better than Exception."""
    try:
        return action(*arguments, **words)
    except Exception as error:
        return "raises " + type(error).__name__.replace("Exception", "ValueError")


def plain(value):
    """Arrays and dictionaries as what JSON can say; numbers rounded where releases of NumPy differ in the last bit."""
    if isinstance(value, np.ndarray):
        if value.size > 50 and value.dtype.kind in "fiu":  # most of them are zeros
            places = np.flatnonzero(value)
            value, shape = value.ravel()[places], [places.tolist(), *value.shape]
        else:
            shape = list(value.shape)
        return [str(value.dtype), shape, plain(value.tolist())]
    if isinstance(value, dict):
        return sorted([repr(key), plain(one)] for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.9g}")
    if isinstance(value, np.integer):
        return int(value)
    return value


def kept(value):
    """A value as it stands in the file."""
    text = json.dumps(plain(value))
    return json.loads(text) if len(text) <= SHOWN else "sha256 " + hashlib.sha256(text.encode()).hexdigest()[:16]


def counted(tokenizer):
    """All that a tokenizer has counted."""
    names = ("word_counts", "word_docs", "word_index", "index_docs", "document_count")
    return {name: getattr(tokenizer, name, {}) for name in names}


def tokenized(text, given, words, release):
    """What a tokenizer makes of texts, fitted to them, then to some of them again, then to sequences."""
    found = {}
    tokenizer = text.Tokenizer(**words)
    for name, some in (("first", given), ("again", given[1:])):
        found[name] = told(tokenizer.fit_on_texts, some) or counted(tokenizer)
        sequences = told(tokenizer.texts_to_sequences, [*given, "the unknown cat"])
        found[name + " sequences"] = sequences
        for mode in ("binary", "count", "freq", "tfidf"):
            found[name + " " + mode] = told(tokenizer.texts_to_matrix, given, mode=mode)
        if release not in OLD:
            found[name + " texts"] = told(tokenizer.sequences_to_texts, [*sequences, [0, 1, 999]])
    found["numbers"] = told(tokenizer.fit_on_sequences, [[1, 2, 2], [], [3, 1]]) or counted(tokenizer)
    found["numbers tfidf"] = told(tokenizer.sequences_to_matrix, [[1, 2, 2], [], [3, 1, 1]], mode="tfidf")
    return found


def drawn(text, seed, release):
    """What a tokenizer with drawn arguments makes of drawn texts."""
    given, words = texts(seed), arguments(seed, release)
    split = {k: v for k, v in words.items() if k in ("filters", "lower", "split")}
    found = [text.text_to_word_sequence(one, **split) for one in given], tokenized(text, given, words, release)
    return found if release in OLD else found + (read_again(text, given, words),)


def read_again(text, given, words):
    """Arguments and counts as JSON, and what a tokenizer made of it says."""
    tokenizer = text.Tokenizer(**words)
    told(tokenizer.fit_on_texts, given)
    config = tokenizer.get_config()
    for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index"):
        config[name] = json.loads(config[name])
    again = text.tokenizer_from_json(tokenizer.to_json())
    return config, counted(again), again.texts_to_sequences(given)


def hashed(text):
    """How `one_hot` makes numbers of Python's hashes, which differ between processes and releases of Python."""
    words = [str(i) for i in range(300)]
    given = " ".join(words)
    ways = {"with sign": [hash(w) % 49 + 1 for w in words], "without sign": [abs(hash(w)) % 49 + 1 for w in words]}
    return [way for way, numbers in ways.items() if text.one_hot(given, 50) == numbers]


def padded(sequence, seed):
    """Lists of different lengths, made one length."""
    draw = random.Random(2000 + seed)
    deep = draw.random() < 0.25
    one = (lambda: [draw.randint(0, 9), draw.randint(0, 9)]) if deep else (lambda: draw.randint(-9, 999))
    lists = [[one() for _ in range(draw.choice([0, 1, 2, 3, 7]))] for _ in range(draw.randint(1, 8))]
    words = {}
    if draw.random() < 0.6:
        words["maxlen"] = draw.randint(1, 9)
    if draw.random() < 0.5:
        words["padding"] = draw.choice(["pre", "post"])
    if draw.random() < 0.5:
        words["truncating"] = draw.choice(["pre", "post"])
    if draw.random() < 0.4:
        words["value"] = draw.choice([-1, 7, 0.5, 2.75])
    if draw.random() < 0.4:
        words["dtype"] = draw.choice(["int64", "float32", "float64", "int16"])
    return told(sequence.pad_sequences, lists, **words)


PADS = {
    "fractions": ([[1.7, -2.7], [3.2]], {}),
    "fractions kept": ([[1.5, 2.5], [3.5]], {"dtype": "float32"}),
    "arrays": ([np.arange(3), np.arange(5)], {"maxlen": 4}),
    "truth": ([[True, False], [True]], {"dtype": "bool"}),
    "pairs of pairs": ([np.ones((2, 2, 3)), np.zeros((1, 2, 3))], {"dtype": "float32", "value": -1}),
    "all empty": ([[], []], {}),
    "all empty, long": ([[], []], {"maxlen": 3}),
    "none": ([], {}),
    "none, long": ([], {"maxlen": 3}),
    "no list": (5, {}),
    "numbers": ([1, 2, 3], {}),
    "a number among": ([[1], 2], {}),
    "shapes differ": ([[[1, 2]], [[1, 2, 3]]], {}),
    "unknown padding": ([[1]], {"padding": "middle"}),
    "unknown truncating": ([[1]], {"truncating": "middle"}),
    "not numbers": ([["a"], ["b"]], {}),
    "negative": ([[1]], {"maxlen": -1}),
}
PADS_2 = {  # texts are Keras 2's
    "words": ([["a", "b"], ["long word"]], {"dtype": object, "value": "pad"}),
    "words of a length": ([["a", "b"], ["word"]], {"dtype": "<U4", "value": "p"}),
    "text among numbers": ([[1]], {"value": "pad"}),
}


def skipped(sequence, seed, release):
    """Pairs of words, and where Python's generator stands afterwards."""
    draw = random.Random(3000 + seed)
    words = {"window_size": draw.randint(0, 4), "negative_samples": draw.choice([0, 0.5, 1, 1.0, 2.3])}
    words["shuffle"] = draw.random() < 0.7
    words["categorical"] = draw.random() < 0.4
    if draw.random() < 0.4:
        words["sampling_table"] = [draw.random() for _ in range(30)]
    if release not in OLD and draw.random() < 0.4:
        words["seed"] = draw.randint(0, 99)
    numbers = [draw.randint(0, 29) for _ in range(draw.randint(0, 25))]
    random.seed(seed)
    couples, labels = sequence.skipgrams(numbers, 30, **words)
    return couples, labels, random.random()


def windows(sequence, seed):
    """All batches of a TimeseriesGenerator, what it says of itself, and where NumPy's generator stands afterwards."""
    draw = random.Random(4000 + seed)
    count = draw.randint(5, 40)
    data = [[draw.randint(0, 99), draw.randint(0, 99)] for _ in range(count)]
    targets = [draw.randint(0, 9) for _ in range(count)]
    if draw.random() < 0.7:
        data, targets = np.array(data, "float32"), np.array(targets)
    words = {}
    for name, choices in (
        ("sampling_rate", [1, 2, 3]),
        ("stride", [1, 2, 5]),
        ("start_index", [0, 1, 4]),
        ("end_index", [None, count - 2, count // 2]),
        ("shuffle", [False, True]),
        ("reverse", [False, True]),
        ("batch_size", [1, 2, 7, 128]),
    ):
        if draw.random() < 0.5:
            words[name] = draw.choice(choices)

    def asked():
        np.random.seed(seed)
        made = sequence.TimeseriesGenerator(data, targets, draw.randint(1, 8), **words)
        batches = [made[i] for i in range(len(made))]
        return batches, made.get_config(), np.random.rand()

    return told(asked)


def said(text, sequence, release, every=1):
    """Name -> what the modules of a release say; of drawn questions only each so many tens."""
    found = {}
    old = release in OLD
    for i, given in enumerate(FIXED):
        if old and i == len(FIXED) - 1:
            continue
        for name, words in (("plain", {}), ("chars", {"char_level": True}), ("one", {"num_words": 1})):
            if old and "num_words" in words:
                words = {"nb_words": words["num_words"]}
            parts = tokenized(text, given, words, release)
            found[f"fixed {i} {name}"] = {part: kept(value) for part, value in parts.items()}
        if not old:
            found[f"fixed {i} json"] = kept(read_again(text, given, {"oov_token": "<UNK>"}))
            found[f"fixed {i} md5"] = kept([told(text.hashing_trick, t, 100, "md5") for t in given])
    for seed in range(0, 300, BLOCK * every):
        found[f"tokenizer {seed}"] = kept([drawn(text, seed + i, release) for i in range(BLOCK)])
    found["one_hot"] = hashed(text)
    words = {"nb_words" if old else "num_words": 3}
    found["line"] = kept(tokenized(text, [line(LONG)], words, release))
    for name, (lists, words) in sorted(PADS.items()) + ([] if old else sorted(PADS_2.items())):
        found["pad " + name] = kept(told(sequence.pad_sequences, lists, **words))
    for seed in range(0, 200, BLOCK * every):
        block = range(seed, seed + BLOCK)
        found[f"pad {seed}"] = kept([padded(sequence, i) for i in block])
        found[f"skipgrams {seed}"] = kept([skipped(sequence, i, release) for i in block])
        if not old:
            found[f"windows {seed}"] = kept([windows(sequence, i) for i in block])
    for size, factor in ((1, 1e-5), (10, 1e-5), (1000, 1e-3)):
        found[f"sampling table {size}"] = kept(sequence.make_sampling_table(size, factor))
    return found


def main():
    import keras
    from keras.preprocessing import sequence, text

    warnings.simplefilter("ignore")
    if not hasattr(text, "tokenizer_from_json"):  # Keras 2.2.4 hands on less than keras_preprocessing has
        import keras_preprocessing.text as found

        text.tokenizer_from_json = getattr(found, "tokenizer_from_json", None)
    with open(sys.argv[1], "w") as stream:
        json.dump(said(text, sequence, keras.__version__), stream, indent=0, sort_keys=True)
        stream.write("\n")
    print("keras", keras.__version__)


if __name__ == "__main__":
    main()
