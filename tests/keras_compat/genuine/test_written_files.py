"""Files of genuine Keras, of networks drawn from seeds and of single layers: they load, agree, and train on as there.

``write_files.py`` makes them in the release, some forty for each; skipped where ``install.py`` has not put it there.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.models import load_model, model_from_json
from tests.keras_compat.genuine import environments
from tests.keras_compat.genuine.environments import numbered, predictions, reset, single

pytestmark = pytest.mark.slow

SEEDS = 8
RELEASES = {
    ("1.2.2", "tensorflow"): "1.2",
    ("1.2.2", "theano"): "1.2",
    ("2.2.4", "tensorflow"): "2.2",
    ("2.3.1", "tensorflow"): "2.3",
    ("2.3.1", "theano"): "2.3",
}
# At these levels a file of that release is read, too: what it predicts does not depend on the level.
OTHER_LEVEL = {"1.2": "2.3", "2.2": "2.3", "2.3": "1.2"}


def _far(a: Any, b: Any, tight: bool) -> bool:
    """As for the golden data: predictions to 1e-5 + 1e-4 m, what depends on training to 2e-4 + 1e-3 m."""
    a, b = np.asarray(a, dtype="float64"), np.asarray(b, dtype="float64")
    size = np.abs(b).max()
    limit = 1e-5 + 1e-4 * size if tight else 2e-4 + 1e-3 * size
    return a.shape != b.shape or not np.abs(a - b).max() <= limit


def wrong_with(path: Path, level: str, resume: bool) -> str:
    """Load a file and compare; return what is wrong, or an empty text."""
    K.clear_session()
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    x, y = numbered(arrays, "x"), numbered(arrays, "y")
    with api_level(level), at.config.use(numba=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = load_model(str(path))
            for a, b in zip(predictions(model, x), numbered(arrays, "pred")):
                if _far(a, b, tight=True):
                    return f"predictions are off by {np.abs(a - b).max():.3g}"
            if not resume:
                return ""
            reset(model)
            fit = model.fit(single(x), single(y), batch_size=4, epochs=2, shuffle=False, verbose=0)
            if _far(fit.history["loss"], arrays["losses"], tight=False):
                return f"losses {fit.history['loss']} for {arrays['losses']}"
            for a, b in zip(predictions(model, x), numbered(arrays, "predf")):
                if _far(a, b, tight=False):
                    return f"predictions after training are off by {np.abs(a - b).max():.3g}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


@pytest.mark.promise(45)
@pytest.mark.parametrize(("release", "backend"), RELEASES)
def test_files_of_genuine_keras(release: str, backend: str, tmp_path: Path) -> None:
    """All files of a release at its own level, with further training, and the predictions at another level."""
    if environments.missing(release):
        pytest.skip(environments.missing(release))
    home = tmp_path / "home"
    home.mkdir()
    environments.run(release, backend, "write_files.py", str(tmp_path), str(SEEDS), home=home)
    index = json.loads((tmp_path / "index.json").read_text())
    level = RELEASES[release, backend]
    wrong: dict[str, str] = {}
    for entry in index["done"]:
        path = tmp_path / f"{entry['name']}.h5"
        # Theano's moving variances have epsilon added, and so does what it divides by; 2.2.4 corrects its averages by a
        # count of steps that is not in the file.
        differs = backend == "theano" or release == "2.2.4"
        trained_alike = not (differs and "BatchNormalization" in entry["code"])
        for at_level, resume in ((level, trained_alike), (OTHER_LEVEL[level], False)):
            problem = wrong_with(path, at_level, resume)
            if problem:
                wrong[f"{entry['name']} at {at_level}"] = f"{problem}\n{entry['code']}{entry['optimizer']}"
    print(f"\nKeras {release} on {backend}: {len(index['done'])} files, {len(wrong)} wrong; {index['failed']}")
    assert not wrong, "\n".join(f"{name}: {problem}" for name, problem in wrong.items())
    assert len(index["done"]) >= 35


def _wrong_with_0x(path: Path, entry: dict[str, Any]) -> str:
    """Read a config and weights of Keras 0.x and compare; return what is wrong, or an empty text."""
    K.clear_session()
    with np.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    x = numbered(arrays, "x")
    with api_level("0.3"), at.config.use(numba=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = model_from_json(path.with_suffix(".json").read_text())
            model.load_weights(str(path))
            if entry["outputs"]:
                named = model.predict(dict(zip(entry["inputs"], x)))
                made = [named[name] for name in entry["outputs"]]
            else:
                made = [model.predict(single(x))]
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
    wrong = [np.abs(a - b).max() for a, b in zip(made, numbered(arrays, "pred")) if _far(a, b, tight=True)]
    return f"predictions are off by {max(wrong):.3g}" if wrong else ""


def test_configs_and_weights_of_keras_0x(tmp_path: Path) -> None:
    if environments.missing("0.3.3"):
        pytest.skip(environments.missing("0.3.3"))
    home = tmp_path / "home"
    home.mkdir()
    environments.run("0.3.3", "theano", "write_files_0x.py", str(tmp_path), home=home)
    index = json.loads((tmp_path / "index.json").read_text())
    found = {entry["name"]: _wrong_with_0x(tmp_path / f"{entry['name']}.h5", entry) for entry in index["done"]}
    wrong = {name: problem for name, problem in found.items() if problem}
    print(f"\nKeras 0.3.3: {len(found)} networks, {len(wrong)} wrong; {index['failed']}")
    assert not wrong, "\n".join(f"{name}: {problem}" for name, problem in wrong.items())
    assert len(found) >= 18
