"""Files that are written here, read in genuine Keras: same predictions, further training as here, and back again.

Skipped where ``install.py`` has not put the releases into the folder ``KERAS_GENUINE``. A process of a genuine Keras
reads all files that the chosen tests want of its release, so that the first test of each takes a minute or two.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.models import load_model
from tests.keras_compat.genuine import environments
from tests.keras_compat.genuine.environments import numbered, predictions, reset, single
from tests.keras_compat.genuine.models import BOTH, KERAS_1, KERAS_2, targets, with_random_weights

pytestmark = pytest.mark.slow

LEVELS = ("1.2", "2.3")
# Not what a level builds, or what a release reads.
NOT_AT = {("1.2", "deferred")}
# The schedule of Nadam is not in 1.2.2's files: it begins anew there. Nor has 2.3.1 a word for a model's `trainable`.
NOT_RESUMED = {("1.2.2", "optimizer_nadam"), ("2.3.1", "frozen")}
# Nor does it keep moving averages within TimeDistributed going.
NOT_PREDICTED = {("1.2.2", "time_distributed")}
# Moving variances of the two lines differ, so what they predict after further training does; the losses agree.
NORMALIZED = {"cnn_last", "cnn_first", "time_distributed", "batch_norm", "frozen", "nested", "nested_first"}
# Without convolutions, whose kernels 1.2.2 does not turn as it reads; its SReLU differs for negative slopes.
ON_THEANO = (
    "optimizer_sgd_all optimizer_adam mlp penalties local lstm gru simple_rnn stateful bidirectional words masked "
    "activations branches dots concatenated shared two_outputs nested_deep begins_with_branches"
).split()
# 1.2.2 writes configs that forget shared axes, and can not read its own file.
FORGOTTEN = {"activations"}
FUNCTIONS = "def square(x):\n    return K.square(x)\n"
FIT = {"1.2.2": {"nb_epoch": 2}, "2.3.1": {"epochs": 2}}


class Ours(NamedTuple):
    """What was computed here: predictions at the time of saving, and losses and predictions of further training."""

    before: list[np.ndarray]
    losses: list[float]
    after: list[np.ndarray]


def _names(release: str, level: str, backend: str) -> list[str]:
    known = [*BOTH, *(KERAS_1 if release == "1.2.2" else KERAS_2 if level == "2.3" else ())]
    return [n for n in known if (level, n) not in NOT_AT and (backend != "theano" or n in ON_THEANO)]


QUESTIONS = [("1.2.2", "tensorflow", "1.2"), ("1.2.2", "tensorflow", "2.3"), ("1.2.2", "theano", "2.3")]
QUESTIONS += [("2.3.1", "tensorflow", "1.2"), ("2.3.1", "tensorflow", "2.3")]
CASES = [(*q, name) for q in QUESTIONS for name in _names(q[0], q[2], q[1])]


def _fit(model: Any, x: list[np.ndarray], y: list[np.ndarray]) -> list[float]:
    reset(model)
    return model.fit(single(x), single(y), batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]


class Asked:
    """Everything that one process of a genuine Keras was asked, made when it is wanted first."""

    def __init__(self, folder: Path, wanted: set[tuple[str, ...]]):
        self.folder = folder
        self.wanted = wanted
        self.ours: dict[tuple[str, ...], Ours] = {}
        self.done: set[tuple[str, ...]] = set()

    def paths(self, *case: str) -> dict[str, str]:
        stem = self.folder / "-".join(case)
        return {"file": f"{stem}.h5", "data": f"{stem}.npz", "out": f"{stem}.out.npz"}

    def about(self, release: str, backend: str, level: str, name: str) -> tuple[Ours, dict[str, np.ndarray], str]:
        """What was computed here, what there, and the file that was written there in the end."""
        question = (release, backend, level)
        if question not in self.done:
            names = [n for n in _names(release, level, backend) if (*question, n) in self.wanted]
            jobs = [self._write(*question, n) for n in names]
            environments.ask(release, backend, jobs, self.folder)
            self.done.add(question)
        out = self.paths(*question, name)["out"]
        error = Path(out + ".error")
        assert not error.exists(), error.read_text()[-2000:]
        with np.load(out) as found:
            return self.ours[(*question, name)], dict(found), out + ".again.h5"

    def _write(self, release: str, backend: str, level: str, name: str) -> dict[str, Any]:
        case = (release, backend, level, name)
        paths = self.paths(*case)
        K.clear_session()
        with api_level(level), at.config.use(numba=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, x = {**BOTH, **KERAS_1, **KERAS_2}[name]()
            with_random_weights(model, seed=3)
            y = targets(model, x)
            _fit(model, x, y)
            model.save(paths["file"], to="keras1" if release == "1.2.2" else "keras2")
            self.ours[case] = Ours(predictions(model, x), _fit(model, x, y), predictions(model, x))
        arrays = {f"x{i}": v for i, v in enumerate(x)} | {f"y{i}": v for i, v in enumerate(y)}
        np.savez(paths["data"], **arrays)
        return {"name": name, **paths, "fit": FIT[release], "functions": FUNCTIONS, "custom_objects": ["square"]}


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    words = ("release", "backend", "level", "name")
    wanted = {tuple([p[word] for word in words]) for p in chosen if set(words) <= set(p)}
    return Asked(tmp_path_factory.mktemp("genuine"), wanted)


def _off(a: Any, b: Any) -> float:
    a, b = np.asarray(a, dtype="float64"), np.asarray(b, dtype="float64")
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


@pytest.mark.promise(45)
@pytest.mark.parametrize(("release", "backend", "level", "name"), CASES)
def test_a_file_of_ours_in_genuine_keras(asked: Asked, release: str, backend: str, level: str, name: str) -> None:
    """Predictions agree to 1e-6 of the largest; two more epochs give the same losses and predictions; and back."""
    if environments.missing(release):
        pytest.skip(environments.missing(release))
    ours, theirs, again = asked.about(release, backend, level, name)
    for i, value in enumerate(ours.before):
        assert np.std(value, axis=0).max() > 1e-2  # they tell samples apart
        assert _off(theirs[f"pred{i}"], value) < 1e-6
    if (release, name) not in NOT_RESUMED:
        assert _off(theirs["history_loss"], ours.losses) < 5e-6
        alike = level == "1.2" if release == "1.2.2" else level == "2.3"
        if (name not in NORMALIZED or alike) and (release, name) not in NOT_PREDICTED:
            for i, value in enumerate(ours.after):
                assert _off(theirs[f"predf{i}"], value) < 1e-5
    if release == "1.2.2" and name in FORGOTTEN:
        return
    with (
        api_level(level),
        at.config.use(numba=False),
        warnings.catch_warnings(),
        np.load(asked.paths(release, backend, level, name)["data"]) as data,
    ):
        warnings.simplefilter("ignore")
        model = load_model(again, custom_objects={"squared": K.square, "square": K.square})
        for i, value in enumerate(predictions(model, numbered(data, "x"))):
            assert _off(value, theirs[f"predf{i}"]) < 1e-6


WEIGHTS = {
    "1.2.2": """
from keras.models import Sequential
from keras.layers import Convolution2D, Dense, LSTM, Reshape
model = Sequential()
model.add(Convolution2D(4, 3, 2, dim_ordering='th', input_shape=(2, 5, 4)))
model.add(Reshape((4, 9)))
model.add(LSTM(3, inner_activation='sigmoid'))
model.add(Dense(2))
""",
    "2.3.1": """
from keras.models import Sequential
from keras.layers import BatchNormalization, Conv2D, Dense, GRU, Reshape
model = Sequential()
model.add(Conv2D(4, (3, 2), data_format='channels_first', input_shape=(2, 5, 4)))
model.add(Reshape((4, 9)))
model.add(GRU(3, recurrent_activation='sigmoid'))
model.add(BatchNormalization())
model.add(Dense(2))
""",
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("release", WEIGHTS)
def test_a_file_of_weights_in_genuine_keras(release: str, level: str, tmp_path: Path) -> None:
    """For a network that the same program makes there."""
    if environments.missing(release):
        pytest.skip(environments.missing(release))
    x = np.random.RandomState(0).normal(size=(8, 2, 5, 4)).astype("float32")
    space: dict[str, Any] = {}
    with api_level(level), at.config.use(numba=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(WEIGHTS[release].replace("from keras.", "from keras_compat."), space)
        model = space["model"]
        with_random_weights(model, seed=5)
        model.save_weights(str(tmp_path / "weights.h5"), to="keras1" if release == "1.2.2" else "keras2")
        expected = model.predict(x)
    np.savez(tmp_path / "data.npz", x0=x)
    job = {"name": "weights", "file": str(tmp_path / "weights.h5"), "data": str(tmp_path / "data.npz")}
    job |= {"out": str(tmp_path / "out.npz"), "code": WEIGHTS[release]}
    environments.ask(release, "tensorflow", [job], tmp_path)
    error = tmp_path / "out.npz.error"
    assert not error.exists(), error.read_text()[-2000:]
    with np.load(tmp_path / "out.npz") as found:
        assert _off(found["pred0"], expected) < 1e-6
