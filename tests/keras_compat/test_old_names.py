"""Names at places where programs found them by accident, and models for several GPUs."""

# Tests look for what only a running package has.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import os
import pickle
import subprocess

import numpy as np
import pytest

import keras_compat as keras
from keras_compat import _old_paths
from keras_compat.commands import run
from keras_compat.layers import Dense, Input
from keras_compat.models import Model, Sequential
from keras_compat.preprocessing import image
from keras_compat.utils import multi_gpu_model
from keras_compat.utils.multi_gpu_utils import multi_gpu_model as from_its_module

pytestmark = pytest.mark.usefixtures("without_kernels")


def test_names_that_modules_had_for_themselves():
    for to, by_name in _old_paths._IN_PASSING.items():
        place = importlib.import_module(f"keras_compat.{to}")
        for come_from, names in by_name.items():
            source = importlib.import_module(f"keras_compat.{come_from}".rstrip("."))
            for name in names.split():
                assert getattr(place, name) is getattr(source, name), f"{to}.{name}"


@pytest.mark.parametrize(
    ("line", "is_what"),
    [
        ("from keras_compat.layers.core import initializations", lambda: keras.initializations),
        ("from keras_compat.layers import activations", lambda: keras.activations),
        ("from keras_compat.engine.topology import initializations", lambda: keras.initializations),
        ("from keras_compat.callbacks import Progbar", lambda: keras.utils.Progbar),
        ("from keras_compat.datasets.mnist import get_file", lambda: keras.utils.get_file),
        ("from keras_compat.models import optimizers", lambda: keras.optimizers),
    ],
)
def test_lines_of_old_programs(line, is_what):
    space: dict[str, object] = {}
    exec(line, space)
    assert space[line.split()[-1]] is is_what()


def test_a_model_for_several_gpus_is_the_model():
    """Values are those of the model inside; it is trained, and is `layers[-2]`, as in Keras 2."""
    assert multi_gpu_model is from_its_module
    model = Sequential([Dense(3, activation="tanh", input_dim=2), Dense(1, name="out")])
    with pytest.warns(UserWarning, match="no GPUs here"):
        parallel = multi_gpu_model(model, gpus=2)
    x = np.sin(np.arange(12.0)).reshape(6, 2)
    np.testing.assert_array_equal(parallel.predict(x), model.predict(x))
    assert parallel.layers[-2] is model
    assert parallel.output_names == ["out"]
    parallel.compile("sgd", "mse")
    before = model.get_weights()
    parallel.fit(x, x[:, :1], verbose=0)
    assert any((a != b).any() for a, b in zip(before, model.get_weights()))


def test_several_inputs_and_outputs_for_several_gpus():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    model = Model([a, b], [Dense(1, name="p")(a), Dense(2, name="q")(b)])
    with pytest.warns(UserWarning, match="no GPUs here"):
        parallel = multi_gpu_model(model, 4, cpu_merge=False, cpu_relocation=True)
    x = [np.ones((3, 2)), np.ones((3, 3))]
    for ours, theirs in zip(parallel.predict(x), model.predict(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    twin = pickle.loads(pickle.dumps(parallel))
    np.testing.assert_array_equal(twin.predict(x)[1], model.predict(x)[1])


def test_packages_that_were_parts_of_keras(tmp_path):
    """Under ``run``, the packages that Keras 2.2 took its pictures, texts and applications from are those of Keras."""
    program = (
        "import keras, keras_preprocessing, keras_applications\n"
        "from keras_preprocessing.image import ImageDataGenerator, load_img\n"
        "from keras_preprocessing import sequence, text\n"
        "from keras_applications.vgg16 import VGG16\n"
        "assert ImageDataGenerator is keras.preprocessing.image.ImageDataGenerator\n"
        "assert text.Tokenizer is keras.preprocessing.text.Tokenizer and VGG16 is keras.applications.VGG16\n"
        "assert keras_preprocessing is keras.preprocessing\n"
    )
    line, env = run.command(["-c", program], dict(os.environ))
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_pictures_of_keras_0():
    """`(channels, rows, columns)`; the flips are those of `numpy.fliplr` and `flipud` in each channel."""
    picture = np.arange(24.0).reshape(2, 3, 4)
    kept = picture.copy()
    np.testing.assert_array_equal(image.horizontal_flip(picture), [np.fliplr(part) for part in kept])
    np.testing.assert_array_equal(image.vertical_flip(picture), [np.flipud(part) for part in kept])
    np.testing.assert_array_equal(picture, kept)
    assert image.random_barrel_transform(picture, 0.5) is picture
    x, y = np.arange(5 * 48.0).reshape(5, 3, 4, 4), np.arange(5)
    flow = image.GraphImageDataGenerator(dim_ordering="th").flow(x, y, batch_size=2, shuffle=False)
    batches = [next(flow) for _ in range(3)]
    assert [list(batch) for batch in batches] == [["input", "output"]] * 3
    np.testing.assert_array_equal(np.concatenate([batch["input"] for batch in batches]), x)
    np.testing.assert_array_equal(np.concatenate([batch["output"] for batch in batches]), y)
