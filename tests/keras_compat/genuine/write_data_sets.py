"""Runs inside a genuine Keras (Python 3.7): says what its data sets' `load_data` make of small files of their formats.

    python write_data_sets.py out.json

`write_files` makes the files, the same on every machine; `said` asks the modules of a release. It knows nothing of
which Keras they are of: `test_datasets.py` asks ours with it. Answers are kept as in `write_texts.py`; the files are
in `tests/keras_compat/golden/data_sets`, named by release; 2.2.4 differs from 2.3.1 in where NumPy's generator stands.
"""

import gzip
import json
import os
import pickle
import random
import sys
import tempfile
import warnings
from collections import OrderedDict

import numpy as np

try:
    from write_texts import OLD, kept, told
except ImportError:
    from tests.keras_compat.genuine.write_texts import OLD, kept, told


def reviews(seed, count):
    """Lists of word numbers of different lengths, and classes."""
    draw = random.Random(seed)
    lists = [[draw.randint(1, 60) for _ in range(3 + i % 7 + draw.randint(0, 9))] for i in range(count)]
    return lists, [draw.randint(0, 1) for _ in range(count)]


def of_objects(lists):
    """An array of lists."""
    made = np.empty(len(lists), dtype=object)
    for i, one in enumerate(lists):
        made[i] = one
    return made


def pictures(seed, count, depth):
    """Bytes of small pictures."""
    return np.random.RandomState(seed).randint(0, 256, (count, depth)).astype(np.uint8)


def pickled(path, value):
    """Write a pickle as the data sets of Keras 1 were written, by Python 2's protocol."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "wb") as stream:
        pickle.dump(value, stream, protocol=2)


def of_python_2(value):
    """A pickle by protocol 1 as Python 2 writes it: texts are strings of bytes."""
    if isinstance(value, dict):
        return b"(d" + b"".join(of_python_2(k) + of_python_2(v) + b"s" for k, v in value.items())
    if isinstance(value, list):
        return b"]" + b"".join(of_python_2(one) + b"a" for one in value)
    if isinstance(value, np.ndarray):
        raw = value.tobytes()
        shape = b"(" + b"".join(b"I%d\n" % n for n in value.shape) + b"t"
        kind = b"cnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntb"
        state = b"(I1\n" + shape + kind + b"I00\nT" + len(raw).to_bytes(4, "little") + raw + b"tb"
        return b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR" + state
    if isinstance(value, int):
        return b"I%d\n" % value
    raw = value.encode("latin1")
    return b"U" + bytes([len(raw)]) + raw


def idx(path, array):
    """Write a packed file of MNIST's own format."""
    with gzip.GzipFile(path, "wb", mtime=0) as stream:
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        stream.write(header + array.tobytes())


def write_files(folder, per_batch=4):
    """Write all files, small, into a folder for data sets."""
    os.makedirs(os.path.join(folder, "fashion-mnist"), exist_ok=True)

    def at(*names):
        path = os.path.join(folder, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    (x_train, y_train), (x_test, y_test) = reviews(1, 23), reviews(2, 17)
    pickled(at("imdb_full.pkl"), ((x_train, y_train), (x_test, y_test)))
    pickled(at("imdb.pkl"), (x_train, y_train))
    parts = {"x_train": of_objects(x_train), "y_train": np.array(y_train)}
    np.savez(at("imdb.npz"), x_test=of_objects(x_test), y_test=np.array(y_test), **parts)
    x, y = reviews(3, 31)
    pickled(at("reuters.pkl"), (x, y))
    np.savez(at("reuters.npz"), x=of_objects(x), y=np.array(y))
    for name in ("imdb", "reuters"):
        index = OrderedDict([("the", 1), ("caf\xe9", 2), (name, 3)])
        with open(at(name + "_word_index.pkl"), "wb") as stream:
            stream.write(of_python_2(index) + b".")
        with open(at(name + "_word_index.json"), "w") as stream:
            json.dump(index, stream)
    digits = [(pictures(i, n, 784).reshape(n, 28, 28), np.arange(n).astype(np.uint8)) for i, n in ((4, 6), (5, 3))]
    pickled(at("mnist.pkl.gz"), tuple(digits))
    (x_train, y_train), (x_test, y_test) = digits
    np.savez(at("mnist.npz"), x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    for name, (images, labels) in zip(("train", "t10k"), digits):
        idx(at("fashion-mnist", name + "-images-idx3-ubyte.gz"), images)
        idx(at("fashion-mnist", name + "-labels-idx1-ubyte.gz"), labels)
    draws = np.random.RandomState(6)
    np.savez(at("boston_housing.npz"), x=draws.rand(19, 13), y=draws.rand(19))
    for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        batch = OrderedDict([("batch_label", "batch"), ("labels", [(i + j) % 10 for j in range(per_batch)])])
        batch["data"] = pictures(10 + i, per_batch, 3072)
        with open(at("cifar-10-batches-py", name), "wb") as stream:
            stream.write(of_python_2(batch) + b".")
    for i, name in enumerate(["train", "test"]):
        batch = OrderedDict([("fine_labels", [7, 70, 99]), ("coarse_labels", [1, 19, i])])
        batch["data"] = pictures(20 + i, 3, 3072)
        with open(at("cifar-100-python", name), "wb") as stream:
            stream.write(of_python_2(batch) + b".")


# Arguments of imdb.load_data and reuters.load_data, in Keras 1's words.
SELECTIONS = [
    {},
    {"nb_words": 30},
    {"nb_words": 30, "skip_top": 10},
    {"skip_top": 12},
    {"maxlen": 12},
    {"maxlen": 11, "nb_words": 20},
    {"maxlen": 2},
    {"seed": 7},
    {"start_char": None},
    {"start_char": None, "index_from": 0},
    {"start_char": None, "index_from": 5, "nb_words": 25},
    {"start_char": 9, "index_from": 0},
    {"oov_char": None, "nb_words": 30},
    {"oov_char": None, "nb_words": 30, "skip_top": 5, "maxlen": 14},
    {"oov_char": 99, "nb_words": 10, "index_from": 10, "start_char": 50},
]


def split(found):
    """What `load_data` gave, with what kind of thing it is, and where NumPy's generator stands now."""
    (x_train, y_train), (x_test, y_test) = found
    kinds = [type(part).__name__ for part in (x_train, y_train, x_test, y_test)]
    return kinds, list(x_train), list(y_train), list(x_test), list(y_test), np.random.random()


def loaded(module, **words):
    """What `load_data` of a module gives."""
    np.random.seed(0)
    return told(lambda: split(module.load_data(**words)))


def said(modules, release):
    """Name -> what `load_data` of a release says; `modules` are its modules by name."""
    found = {}
    old = release in OLD
    for name in ("imdb", "reuters"):
        for i, words in enumerate(SELECTIONS):
            words = dict(words)
            if not old and "nb_words" in words:
                words["num_words"] = words.pop("nb_words")
            if release == "0.3.3" and name == "imdb":
                words["test_split"] = 0.2
            found[f"{name} {i}"] = kept(loaded(modules[name], **words))
    for share in (0, 0.1, 0.5):
        found[f"reuters share {share}"] = kept(loaded(modules["reuters"], test_split=share))
    for name in ("imdb", "reuters"):
        if hasattr(modules[name], "get_word_index") and release != "0.3.3":
            found[name + " words"] = kept(modules[name].get_word_index())
    if "boston_housing" in modules:
        for i, words in enumerate([{}, {"test_split": 0.4, "seed": 3}, {"test_split": 0}]):
            found[f"boston_housing {i}"] = kept(loaded(modules["boston_housing"], **words))
    found["mnist"] = kept(loaded(modules["mnist"]))
    if "fashion_mnist" in modules:
        found["fashion_mnist"] = kept(loaded(modules["fashion_mnist"]))
    if release != "0.3.3":  # it changes a dictionary while it goes through it, which Python 3.7 refuses
        found["cifar100"] = kept(loaded(modules["cifar100"]))
        found["cifar100 coarse"] = kept(loaded(modules["cifar100"], label_mode="coarse"))
        found["cifar100 other"] = kept(loaded(modules["cifar100"], label_mode="other"))
    return found


def main():
    import importlib

    import keras

    warnings.simplefilter("ignore")
    modules = {}
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)

        def get_file(fname, origin=None, cache_subdir="", **words):
            return os.path.join(folder, os.path.basename(cache_subdir), fname)

        for name in "imdb reuters mnist fashion_mnist boston_housing cifar100".split():
            try:
                modules[name] = importlib.import_module("keras.datasets." + name)
            except ImportError:
                continue
            modules[name].get_file = get_file
        if keras.__version__ == "2.2.4":  # NumPy 1.16.3 and later read no lists unless told to
            load = np.load
            np.load = lambda path: load(path, allow_pickle=True)
        found = said(modules, keras.__version__)
    with open(sys.argv[1], "w") as stream:
        json.dump(found, stream, indent=0, sort_keys=True)
        stream.write("\n")
    print("keras", keras.__version__)


if __name__ == "__main__":
    main()
