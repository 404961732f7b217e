"""A minute's look at a Python, with the core dependencies alone: does what everybody needs work there?

    python -m tests.smoke            # the packages of this folder, or those installed: python -P tests/smoke.py

Every module is imported (those that want an extra refuse by a line with the pip command); a network is trained without
and with kernels, to the same weights; second derivatives; files of every Keras are read and give what their release
predicted; one is written and read; a worker process makes batches; a script of Keras 0.x runs. A deprecation that
Python, NumPy, Numba or h5py speak of is an error.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numba
import numpy as np

import autotensor as at
from autotensor.scipy.integrate import odeint
from keras_compat.commands import run
from keras_compat.datasets import digits5k
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model, model_from_json, model_from_yaml
from keras_compat.preprocessing import image
from keras_compat.utils import Sequence
from keras_compat.utils.vis_utils import model_to_dot
from keras_compat.wrappers.scikit_learn import KerasClassifier

HERE = Path(__file__).resolve().parent / "keras_compat"
# A case of each release in golden/, and the file that is loaded.
MODELS = {
    "keras-2.2.4-tensorflow/models/mlp_softmax__b": ".model.h5",
    "keras-2.3.1-tensorflow/models/mlp_softmax__b": ".model.h5",
    "tf.keras-2.15.0/models/mlp_softmax__b": ".keras",
    "keras-3.15.1-torch/models/shared_lstm__a": ".keras",
}
WEIGHTS = ("keras-0.3.3-theano/models/vgg__b", "keras-1.2.2-theano/models/vgg__tf_b")
OLD_SCRIPT = HERE / "programs" / "keras0" / "layerwise_autoencoder.py"


def modules() -> Iterator[str]:
    """Yield every module of both packages but what is a program when it is imported."""
    for name in ("autotensor", "keras_compat"):
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith((".__main__", ".sitecustomize")):
                yield found.name


def imports() -> str:
    """Import everything. What is missing is named, with the command that brings it."""
    count, wanting = 0, []
    for name in modules():
        try:
            importlib.import_module(name)
        except ImportError as error:
            text = str(error)
            assert "pip install " in text and "\n" not in text, f"{name} fails without a hint: {text}"
            wanting.append(name)
        count += 1
    assert set(wanting) <= {"autotensor.testing.pytest_plugin", "autotensor.testing.strategies"}, wanting
    return f"{count} modules, {len(wanting)} of them want more"


def extras() -> str:
    """Ask for what needs an extra: it works, or says in one line which pip command brings it."""
    wants: dict[str, Callable[[], object]] = {
        "yaml": lambda: model_from_yaml(Sequential([Dense(2, input_dim=3)]).to_yaml()),
        "pillow": lambda: image.array_to_img(np.zeros((3, 3, 3))),
        "scipy": lambda: image.random_rotation(np.ones((3, 8, 8)), 30),
        "betainc": lambda: at.special.betainc(1.0, 2.0, 0.5),
        "odeint": lambda: odeint(lambda y, t: -y, np.ones(1), np.linspace(0.0, 1.0, 3)),
        "digits5k": digits5k.load_data,
        "plot": lambda: model_to_dot(Sequential([Dense(2, input_dim=3)])).create(format="png"),
        "scikit-learn": lambda: KerasClassifier(lambda: None).get_params(),
    }
    wanting = []
    for name, ask in wants.items():
        try:
            ask()
        except (ImportError, OSError) as error:
            assert "pip install " in str(error) and "\n" not in str(error), f"{name} fails without a hint: {error!r}"
            wanting.append(name)
    return f"{', '.join(wanting) or 'nothing'} missing, and said so"


def training() -> str:
    """Train one network without and with kernels."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype("float32"), rng.integers(0, 3, (40, 1))
    ends = []
    for kernels in (False, True):
        with at.config.use(numba=kernels):
            np.random.seed(1)
            model = Sequential([Dense(8, activation="tanh", input_dim=5), Dense(3, activation="softmax")])
            model.compile("sgd", "sparse_categorical_crossentropy")
            losses = model.fit(x, y, batch_size=20, nb_epoch=4, verbose=0).history["loss"]
            assert losses[-1] < losses[0]
            ends.append(model.get_weights())
    apart = max(float(np.abs(a - b).max()) for a, b in zip(*ends))
    assert apart < 1e-5, apart
    return f"weights without and with kernels differ by {apart:.0e}"


def derivatives() -> str:
    """Compare first and second derivatives of an expression with their formulas."""
    x = np.linspace(-2.0, 2.0, 9)
    slope = at.grad(lambda t: at.sum(at.sin(t) * t))(x)
    bend = np.diagonal(at.hessian(lambda t: at.sum(at.sin(t) * t))(x).numpy())
    np.testing.assert_allclose(slope.numpy(), np.cos(x) * x + np.sin(x), atol=1e-12)
    np.testing.assert_allclose(bend, 2 * np.cos(x) - np.sin(x) * x, atol=1e-12)
    return "first and second order"


def files() -> str:
    """Read a file of every Keras; write one and read it."""

    def compare(model: Any, arrays: Any, name: str) -> None:
        inputs = [arrays[key] for key in arrays if key[0] == "x" and key[1:].isdigit()]
        got = model.predict(inputs if len(inputs) > 1 else inputs[0])
        np.testing.assert_allclose(got, arrays[name], rtol=1e-4, atol=1e-5)

    with at.config.use(numba=False), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", UserWarning)  # files without training settings say so
        for case, ending in MODELS.items():
            path = HERE / "golden" / case
            with np.load(f"{path}.npz") as arrays:
                model = load_model(f"{path}{ending}")
                compare(model, arrays, "predf0")
                model.save(f"{folder}/again.h5")
                compare(load_model(f"{folder}/again.h5"), arrays, "predf0")
        for case in WEIGHTS:
            path = HERE / "golden" / case
            model = model_from_json(json.dumps(json.loads(Path(f"{path}.json").read_text())["config"]))
            model.load_weights(f"{path}.weights.h5", original_backend="theano")
            with np.load(f"{path}.npz") as arrays:
                compare(model, arrays, "pred0")
    return f"{len(MODELS)} models and {len(WEIGHTS)} files of weights"


def workers() -> str:
    """Let a process of its own make the batches of one epoch."""
    with at.config.use(numba=False):
        model = Sequential([Dense(2, input_dim=3)])
        model.compile("sgd", "mse")
        model.fit_generator(Batches(), epochs=1, workers=1, use_multiprocessing=True, verbose=0)
    return "one process"


def old_script() -> str:
    """Run a script of Keras 0.x unchanged, as `python -m keras_compat run` does."""
    with tempfile.TemporaryDirectory() as folder:
        tree = str(Path(at.__file__).parent.parent)  # from where this process has the packages
        environment = {**os.environ, "AUTOTENSOR_NUMBA": "0", "PYTHONPATH": tree}
        line, env = run.command([str(OLD_SCRIPT)], environment, level="1.2")
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return OLD_SCRIPT.name


class Batches(Sequence):
    """Four batches of two samples."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((2, 3), index, "float32"), np.ones((2, 2), "float32")


CHECKS: tuple[Callable[[], str], ...] = (imports, extras, training, derivatives, files, workers, old_script)


def main() -> None:
    """Run all checks; the first that fails ends it with its traceback."""
    warnings.simplefilter("error", DeprecationWarning)
    warnings.simplefilter("error", PendingDeprecationWarning)
    print(f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}", end="")
    print(f", h5py {h5py.__version__}, {sys.platform}")
    for check in CHECKS:
        print(f"{check.__name__}: {check()}", flush=True)
    print("smoke: all is well")


if __name__ == "__main__":
    main()
