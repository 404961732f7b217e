"""Files of weights that genuine Keras wrote of its `applications` load here, and the networks predict as there.

`write_application_weights.py` makes them in the release; skipped where `install.py` has not put it there.
"""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import autotensor as at
import keras_compat
from tests.keras_compat.genuine import environments, write_applications

pytestmark = pytest.mark.slow

NAMES: dict[str, tuple[str, ...]] = {
    "2.3.1": (
        "vgg16.VGG16-bare",
        "mobilenet.MobileNet-quarter",
        "mobilenet_v2.MobileNetV2-third",
        "densenet.DenseNet121-bare",
    ),
    "2.2.4": ("resnet50.ResNet50-bare", "xception.Xception-bare"),
    "1.2.2": ("resnet50.ResNet50-small", "inception_v3.InceptionV3-small", "xception.Xception-small"),
}
if os.environ.get("KERAS_APPLICATIONS") == "all":
    # Genuine Keras takes minutes for each of these.
    NAMES["2.3.1"] += ("inception_resnet_v2.InceptionResNetV2-bare", "nasnet.NASNetMobile-other")


@pytest.mark.parametrize("release", NAMES)
def test_weights_of_genuine_networks(release: str, tmp_path: Path) -> None:
    if reason := environments.missing(release):
        pytest.skip(reason)
    names = NAMES[release]
    environments.run(release, "tensorflow", "write_application_weights.py", str(tmp_path), *names, home=tmp_path)
    for name in names:
        module, function, arguments, _, shown = write_applications.cases(release == "1.2.2")[name]
        assert shown is not None
        build = getattr(importlib.import_module(f"keras_compat.applications.{module}"), function)
        with keras_compat.api_level(release), at.config.use(numba=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = str(tmp_path / f"{name}.h5")
            model = build(weights=path, **arguments)
            made = model.predict(write_applications.picture(shown))
            expected = np.load(tmp_path / f"{name}.npy")
            np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
            other = build(weights=None, **arguments)
            # The file knows the automatic names that the layers had in its process.
            if module != "xception" and release != "1.2.2" and function != "InceptionResNetV2":
                other.load_weights(path, by_name=True)
                np.testing.assert_array_equal(other.predict(write_applications.picture(shown)), made)
