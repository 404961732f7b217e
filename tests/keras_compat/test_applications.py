"""Networks for pictures: against what genuine Keras 1.2.2 and 2.3.1 built and computed, and what people do with them.

`genuine/write_applications.py` made the records in `golden/applications`. Each case compares layers, links, settings,
shapes and weights; those with a prediction its numbers, too, from the same weights. `KERAS_APPLICATIONS=all` runs all
cases; else the small ones run, and with `slow` one of each network.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_compat
from keras_compat import applications, layers
from keras_compat import backend as K
from keras_compat.applications import _parts, _weights, imagenet_utils, mobilenet, nasnet
from keras_compat.initializers import VarianceScaling
from keras_compat.models import Model, model_from_json
from tests.keras_compat.genuine import write_applications as genuine

pytestmark = pytest.mark.usefixtures("without_kernels")

RECORDS = {
    release: json.loads((Path(__file__).parent / "golden" / "applications" / f"keras-{release}.json").read_text())
    for release in ("2.3.1", "1.2.2")
}
# A prediction may be off by this share of its largest number.
TOLERANCE = 1e-4

QUICK = {
    "mobilenet.MobileNet-quarter",
    "mobilenet.MobileNet-deep",
    "mobilenet.MobileNet-tiny",
    "mobilenet.MobileNet-first_top",
    "mobilenet_v2.MobileNetV2-third",
    "mobilenet_v2.MobileNetV2-tiny",
}
ONE_OF_EACH = {
    "vgg16.VGG16-bare",
    "vgg16.VGG16-first_top",
    "vgg19.VGG19-bare",
    "resnet50.ResNet50-bare",
    "resnet.ResNet50-avg",
    "resnet.ResNet101-first",
    "resnet.ResNet152-max",
    "resnet_v2.ResNet50V2-bare",
    "resnet_v2.ResNet101V2-first",
    "inception_v3.InceptionV3-bare",
    "inception_resnet_v2.InceptionResNetV2-max",
    "xception.Xception-bare",
    "densenet.DenseNet121-bare",
    "densenet.DenseNet169-first",
    "densenet.DenseNet201-max",
    "nasnet.NASNetMobile-other",
    "nasnet.NASNetLarge-top",
}
ONE_OF_EACH_1 = {
    "vgg16.VGG16-bare",
    "vgg19.VGG19-first",
    "resnet50.ResNet50-top",
    "resnet50.ResNet50-first",
    "inception_v3.InceptionV3-top",
    "xception.Xception-first",
}
EVERYTHING = os.environ.get("KERAS_APPLICATIONS") == "all"


def case_marks() -> list[Any]:
    """Return (release, name) of each case that is to run."""
    found = []
    for release, keras_1 in (("2.3.1", False), ("1.2.2", True)):
        for name in genuine.cases(keras_1):
            if EVERYTHING or (name in QUICK and not keras_1):
                found.append(pytest.param(release, name))
            elif name in (ONE_OF_EACH_1 if keras_1 else ONE_OF_EACH):
                found.append(pytest.param(release, name, marks=pytest.mark.slow))
    return found


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights begin at 0: drawing millions of them is what takes time."""
    monkeypatch.setattr(VarianceScaling, "__call__", lambda self, shape, dtype=None: K.constant(np.zeros(shape, "f4")))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty Keras folder, and no way out of this machine."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def get_file(name: str, origin: str, cache_subdir: str, file_hash: str | None) -> str:
        path = tmp_path / cache_subdir / name
        if not path.exists():
            raise OSError(f"[get_file] could not fetch {origin}: no network. Is this machine online?")
        return str(path)

    monkeypatch.setattr(_weights, "get_file", get_file)
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    (tmp_path / "models").mkdir()
    return tmp_path


@contextmanager
def order(name: str) -> Iterator[None]:
    """Set an order of images for a block."""
    K.set_image_data_format(name)
    try:
        yield
    finally:
        K.set_image_data_format("channels_last")


# --- against genuine Keras -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("release", "name"), case_marks())
def test_network_is_that_of_the_release(release: str, name: str, undrawn: None) -> None:
    keras_1 = release == "1.2.2"
    module, function, arguments, images, shown = genuine.cases(keras_1)[name]
    record = RECORDS[release]
    build = getattr(importlib.import_module(f"keras_compat.applications.{module}"), function)
    with keras_compat.api_level(release), order(images), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build(weights=None, **arguments)
        ours = genuine.described(model, keras_1)
        expected = record["networks"][name]
        if module == "nasnet":
            # TensorFlow's name scopes are part of genuine names there.
            ours["weight_names"] = expected["weight_names"]
        assert ours == expected
        if shown and (EVERYTHING or name in QUICK | ONE_OF_EACH):
            made = genuine.measured(genuine.predict(model, shown))
            wanted = record["predictions"][name]
            limit = TOLERANCE * wanted["largest"]
            assert made["shape"] == wanted["shape"]
            assert made["some"] == pytest.approx(wanted["some"], abs=limit, rel=0)
            for key in ("mean", "std", "largest"):
                assert made[key] == pytest.approx(wanted[key], abs=limit, rel=0)


def test_a_changed_network_is_noticed() -> None:
    model = mobilenet.MobileNet(alpha=0.25, input_shape=(32, 32, 3), weights=None, include_top=False)
    one = genuine.described(model)
    model.layers[3].name = "other"
    assert {key for key, value in genuine.described(model).items() if value != one[key]} >= {"names", "links"}
    before = genuine.measured(genuine.predict(model, (1, 32, 32, 3)))
    model.set_weights([w * 1.01 for w in model.get_weights()])
    after = genuine.measured(model.predict(genuine.picture((1, 32, 32, 3))))
    assert abs(before["mean"] - after["mean"]) > TOLERANCE * before["largest"]


@pytest.mark.parametrize("name", sorted(RECORDS["2.3.1"]["preprocessed"]))
def test_preprocess_input_is_that_of_2_3_1(name: str) -> None:
    module, _, picture = name.partition(" ")
    arguments = {"data_format": "channels_first" if "first" in picture else "channels_last"}
    if module in ("caffe", "tf", "torch"):
        arguments["mode"], module = module, "imagenet_utils"
    function = importlib.import_module(f"keras_compat.applications.{module}").preprocess_input
    made = genuine.preprocessed(function, picture, **arguments)
    expected = RECORDS["2.3.1"]["preprocessed"][name]
    assert made.pop("values") == pytest.approx(expected["values"], rel=1e-5, abs=1e-4)
    assert made.pop("sum") == pytest.approx(expected["sum"], rel=1e-5, abs=1e-2)
    assert made == {key: expected[key] for key in ("dtype", "written")}


# --- preprocessing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("images", ["channels_last", "channels_first"])
def test_a_tensor_is_preprocessed_as_an_array(mode: str, images: str) -> None:
    for name in ("first", "first three axes") if images == "channels_first" else ("float32", "three axes"):
        x = genuine.raw_picture(genuine.PICTURES[name][0], "float32")
        tensor = K.placeholder(shape=x.shape)
        made = imagenet_utils.preprocess_input(tensor, data_format=images, mode=mode)
        (value,) = K.function([tensor], [made])([x])
        expected = imagenet_utils.preprocess_input(x.copy(), data_format=images, mode=mode)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-4)


def test_the_order_that_is_set_holds_for_preprocessing() -> None:
    x = genuine.raw_picture((2, 3, 4, 5), "uint8")
    expected = imagenet_utils.preprocess_input(x, data_format="channels_first")
    with order("channels_first"):
        np.testing.assert_array_equal(imagenet_utils.preprocess_input(x), expected)
    np.testing.assert_array_equal(imagenet_utils.preprocess_input(x, dim_ordering="th"), expected)


def test_lists_and_arrays_that_can_not_be_written_to_are_copied() -> None:
    x = genuine.raw_picture((4, 5, 3), "float32")
    expected = imagenet_utils.preprocess_input(x.copy(), mode="torch")
    x.flags.writeable = False
    np.testing.assert_array_equal(imagenet_utils.preprocess_input(x, mode="torch"), expected)
    np.testing.assert_allclose(imagenet_utils.preprocess_input(x.tolist(), mode="torch"), expected, rtol=1e-5)


def test_wrong_words_of_preprocess_input() -> None:
    x = np.zeros((1, 2, 2, 3))
    with pytest.raises(ValueError, match="Unknown data_format last"):
        imagenet_utils.preprocess_input(x, data_format="last")
    with pytest.raises(ValueError, match="Unknown mode torchvision"):
        imagenet_utils.preprocess_input(x, mode="torchvision")


# --- names of classes ------------------------------------------------------------------------------------------------


def test_decode_predictions(home: Path) -> None:
    index = {str(i): [f"n{i:08}", f"thing {i}"] for i in range(1000)}
    (home / "models" / "imagenet_class_index.json").write_text(json.dumps(index))
    scores = np.zeros((2, 1000), "float32")
    scores[0, [3, 999, 4]] = 0.5, 0.3, 0.2
    scores[1, 7] = 1
    first, second = imagenet_utils.decode_predictions(scores, top=3)
    assert [one[:2] for one in first] == [
        ("n00000003", "thing 3"),
        ("n00000999", "thing 999"),
        ("n00000004", "thing 4"),
    ]
    assert [one[2] for one in first] == pytest.approx([0.5, 0.3, 0.2])
    assert second[0] == ("n00000007", "thing 7", 1.0)
    assert len(applications.vgg16.decode_predictions(scores)[0]) == 5
    assert index == imagenet_utils.CLASS_INDEX


def test_decode_predictions_without_the_file(home: Path) -> None:
    with pytest.raises(OSError, match=r"imagenet_class_index.json \(MD5 c2c37.*name the classes yourself"):
        imagenet_utils.decode_predictions(np.zeros((1, 1000)))
    assert imagenet_utils.CLASS_INDEX_PATH.endswith("imagenet_class_index.json")


@pytest.mark.parametrize("shape", [(1000,), (2, 10), (1, 1, 1000)])
def test_decode_predictions_of_other_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"expects a batch of predictions \(i.e. a 2D array of shape \(samples, 1000\)"
    ):
        imagenet_utils.decode_predictions(np.zeros(shape))


# --- weights ---------------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {"alpha": 0.25, "include_top": False, "input_shape": (128, 128, 3)}


def test_weights_from_the_keras_folder_and_from_a_path(home: Path) -> None:
    one = mobilenet.MobileNet(weights=None, **TINY)
    path = home / "models" / "mobilenet_2_5_128_tf_no_top.h5"
    one.save_weights(str(path))
    for weights in ("imagenet", str(path), path):
        two = mobilenet.MobileNet(weights=weights, **TINY)
        for a, b in zip(one.get_weights(), two.get_weights()):
            np.testing.assert_array_equal(a, b)


def test_weights_that_are_not_there(home: Path) -> None:
    with pytest.raises(OSError) as caught:
        mobilenet.MobileNet(**TINY)
    text = str(caught.value)
    assert "[MobileNet] expected the file " + str(home / "models" / "mobilenet_2_5_128_tf_no_top.h5") in text
    assert (
        "https://github.com/fchollet/deep-learning-models/releases/download/v0.6/mobilenet_2_5_128_tf_no_top.h5" in text
    )
    assert "weights=None" in text


def test_a_damaged_file_of_weights_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "some.h5"
    path.write_bytes(b"a whole file")
    # Nothing answers at this address.
    file = _weights.PublishedFile("some.h5", "http://127.0.0.1:9/some.h5", hashlib.md5(b"a whole file").hexdigest())
    assert file.fetch("Some", "wait") == str(path)
    path.write_bytes(b"half a file")
    with pytest.raises(OSError, match=r"\[Some\] expected the file .*some.h5 \(MD5 [0-9a-f]{32}\).* or wait"):
        file.fetch("Some", "wait")


def refuse(*arguments: Any, **more: Any) -> None:
    raise OSError("no network")


def test_addresses_are_those_of_the_releases() -> None:
    release = "https://github.com/fchollet/deep-learning-models/releases/download/"
    kernels = "_dim_ordering_{0}_kernels"
    for name, version in (("vgg16", "v0.1"), ("vgg19", "v0.1"), ("resnet50", "v0.2"), ("inception_v3", "v0.2")):
        module = importlib.import_module(f"keras_compat.applications.{name}")
        for images in ("tf", "th"):
            stem = f"{release}{version}/{name}_weights_{images}{kernels.format(images)}"
            assert getattr(module, f"{images.upper()}_WEIGHTS_PATH") == stem + ".h5"
            assert getattr(module, f"{images.upper()}_WEIGHTS_PATH_NO_TOP") == stem + "_notop.h5"
    stem = release + "v0.4/xception_weights_tf_dim_ordering_tf_kernels"
    assert stem + ".h5" == applications.xception.TF_WEIGHTS_PATH
    assert stem + "_notop.h5" == applications.xception.TF_WEIGHTS_PATH_NO_TOP


def test_kernels_of_theano_are_turned(home: Path) -> None:
    x = layers.Input(shape=(6, 6, 3))
    model = Model(x, layers.Conv2D(2, 3, name="conv")(x))
    model.save_weights(str(home / "models" / "some.h5"))
    kernel = model.get_weights()[0]
    files = _weights.published("https://host/some.h5", None, "https://host/some_notop.h5", None, theano_kernels=True)
    files.load(model, "Some", include_top=True)
    np.testing.assert_array_equal(model.get_weights()[0], kernel[::-1, ::-1])
    plain = _weights.published("https://host/other.h5", None, "https://host/other_notop.h5", None)
    with keras_compat.api_level("1.2"), order("channels_first"):
        assert _weights.by_order(plain, files) is files
    with order("channels_first"):
        assert _weights.by_order(plain, files) is plain


# --- arguments -------------------------------------------------------------------------------------------------------


def quarter(**arguments: Any) -> Model:
    return mobilenet.MobileNet(**{"weights": None, "alpha": 0.25, **arguments})


def test_wrong_arguments() -> None:
    wrong: dict[str, dict[str, Any]] = {
        r"The `weights` argument should be either `None`.*got 'imagenets'": {"weights": "imagenets"},
        "`classes` should be 1000; got 10": {"weights": "imagenet", "classes": 10},
        "depth multiplier must be 1; got 2": {"weights": "imagenet", "depth_multiplier": 2},
        "alpha can be one of `0.25`, `0.50`, `0.75` or `1.0` only; got 0.3": {"weights": "imagenet", "alpha": 0.3},
        "must be a tuple of three integers; got": {"input_shape": (None, 128, 128, 3)},
        "Input size must be at least 32x32; got `input_shape=.20, 64, 3.`": {"input_shape": (20, 64, 3)},
        "`input_shape` should be .128, 128, 3.; got": {"weights": "imagenet", "input_shape": (128, 128, 1)},
        "The input must have 3 channels": {"weights": "imagenet", "input_shape": (64, 64, 1), "include_top": False},
        "you should specify a static `input_shape`": {"input_shape": (None, None, 3)},
        "pooling is None, 'avg' or 'max'; got 'mean'": {"pooling": "mean", "include_top": False},
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message) as caught:
            quarter(**arguments)
        assert str(caught.value).startswith("[MobileNet] ")
    with pytest.raises(TypeError, match=r"\[MobileNet\] Invalid keyword argument: input_shapes"):
        quarter(input_shapes=(32, 32, 3))


def test_wrong_arguments_of_single_networks() -> None:
    with pytest.raises(ValueError, match="alpha can be one of `0.35`"):
        applications.MobileNetV2(alpha=0.3)
    with pytest.raises(ValueError, match="must be static"):
        applications.NASNetMobile(input_shape=(None, None, 3), include_top=False)
    with pytest.raises(ValueError, match="`penultimate_filters` must be a multiple of 24"):
        nasnet.NASNet(penultimate_filters=100)
    with pytest.raises(ValueError, match="ImageNet weights exist for the published sizes"):
        nasnet.NASNet(None, 96, 1, 8, include_top=False, weights="imagenet", default_size=64)
    with pytest.raises(ValueError, match='Expects "block35", "block17" or "block8", but got: block9'):
        applications.inception_resnet_v2.inception_resnet_block(layers.Input((8, 8, 3)), 0.1, "block9", 1)
    x = layers.Input(shape=(64, 48, 3))
    with pytest.raises(ValueError, match="do not meet the same shape requirements"):
        applications.MobileNetV2(input_shape=(64, 64, 3), input_tensor=x, weights=None)


def test_unusual_pictures_are_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(UserWarning, match="usually expects 1 or 3 input channels.*with 6 input channels"):
        model = quarter(input_shape=(32, 32, 6), include_top=False)
    assert model.input_shape == (None, 32, 32, 6)
    monkeypatch.setattr(_weights, "get_file", refuse)
    with pytest.warns(UserWarning, match=r"`rows` is not in \[128, 160, 192, 224\]"), pytest.raises(OSError):
        quarter(weights="imagenet", include_top=False, input_shape=(100, 100, 3))


def test_input_shape_of_networks_that_others_wrote() -> None:
    obtain = imagenet_utils._obtain_input_shape
    assert obtain(None, default_size=224, min_size=32, data_format="channels_last", require_flatten=False) == (
        None,
        None,
        3,
    )
    assert obtain(None, default_size=64, min_size=32, dim_ordering="th", include_top=True) == (3, 64, 64)
    assert obtain((40, 50, 1), 224, 32, "channels_last", True, weights=None) == (40, 50, 1)
    with pytest.raises(ValueError, match="at least 48x48"):
        obtain((3, 40, 50), 224, 48, dim_ordering="th", include_top=False)


def test_words_of_keras_applications_are_ignored() -> None:
    parts: dict[str, Any] = {"backend": K, "layers": layers, "models": keras_compat.models, "utils": keras_compat.utils}
    model = quarter(include_top=False, input_shape=(32, 32, 3), **parts)
    assert model.name == "mobilenet_0.25_32"
    x = np.zeros((1, 2, 2, 3))
    assert imagenet_utils.preprocess_input(x, **parts).shape == x.shape
    with pytest.raises(TypeError, match="Invalid keyword argument: modes"):
        imagenet_utils.preprocess_input(x, modes="tf")


def test_keras_modules_injection() -> None:
    @applications.keras_modules_injection
    def build(size: int, **parts: Any) -> Any:
        x = parts["layers"].Input(shape=(size,))
        return parts["models"].Model(x, parts["layers"].Dense(2)(x)), parts

    model, parts = build(3, backend="another")
    assert isinstance(model, Model) and parts["backend"] is keras_compat.backend
    assert sorted(parts) == ["backend", "layers", "models", "utils"] and build.__name__ == "build"


def test_the_fifth_argument_of_keras_1_is_the_number_of_classes(undrawn: None) -> None:
    request = applications._request.Request("VGG16", True, None, None, None, 7, 1000, {})  # type: ignore[arg-type]
    assert (request.pooling, request.classes) == (None, 7)


def test_a_tensor_to_build_on() -> None:
    start = layers.Input(shape=(16, 16, 3))
    x = layers.UpSampling2D(2)(start)
    model = quarter(input_tensor=x, include_top=False, pooling="avg")
    assert model.input_shape == (None, 16, 16, 3) and model.output_shape == (None, 256)
    # A tensor that no layer made, with numbers in it.
    fixed = K.constant(genuine.picture((1, 32, 32, 3)))
    model = quarter(input_tensor=fixed, input_shape=(32, 32, 3), include_top=False, pooling="max")
    assert model.output_shape[1:] == (256,)
    own = layers.Input(shape=(96, 96, 3))
    assert applications.MobileNetV2(input_tensor=own, alpha=0.35, weights=None, include_top=False).input is own


def test_numbers_of_filters_and_zeros_of_mobilenets() -> None:
    found = [applications.mobilenet_v2.multiple_of_8(n) for n in (3, 11.2, 12, 22.4, 32, 44.8, 18.9)]
    assert found == [8, 16, 16, 24, 32, 48, 24]
    for size, kernel, expected in (((7, 8), 3, ((1, 1), (0, 1))), ((None, 5), (5, 7), ((1, 2), (3, 3)))):
        assert _parts.stride_padding(layers.Input(shape=(*size, 3)), kernel) == expected


def test_a_densenet_of_other_depths() -> None:
    model = applications.densenet.DenseNet((1, 2, 1, 1), include_top=False, weights=None, input_shape=(32, 32, 3))
    assert model.name == "densenet" and model.get_layer("conv3_block2_concat").output_shape[-1] == 112
    with pytest.raises(ValueError, match="ImageNet weights exist for the published sizes"):
        applications.densenet.DenseNet((1, 1, 1, 1), include_top=False)


def test_networks_that_know_channels_last_only() -> None:
    with order("channels_first"):
        with pytest.warns(UserWarning, match="NASNet is only available for the input data format channels_last"):
            model = nasnet.NASNet((32, 32, 3), 96, 1, 8, include_top=False)
        assert model.input_shape == (None, 32, 32, 3)
        assert K.image_data_format() == "channels_first"
        with pytest.raises(ValueError, match="are for channels_last only"):
            applications.resnext.ResNeXt50(weights=None)


# --- use -------------------------------------------------------------------------------------------------------------


def test_transfer_learning() -> None:
    """A base that stays, and classes of one's own on top: as every tutorial has it."""
    base = quarter(include_top=False, input_shape=(32, 32, 3), pooling="avg")
    for layer in base.layers:
        layer.trainable = False
    out = layers.Dense(2, activation="softmax")(base.output)
    model = Model(inputs=base.input, outputs=out)
    model.compile("sgd", "categorical_crossentropy")
    before = base.get_weights()
    x, y = genuine.picture((8, 32, 32, 3)), np.eye(2)[np.arange(8) % 2]
    losses = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for a, b in zip(before, base.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_network_goes_through_json() -> None:
    model = applications.MobileNetV2(alpha=0.35, weights=None, include_top=False, input_shape=(32, 32, 3))
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    x = genuine.picture((1, 32, 32, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_blocks_with_functions_go_through_json() -> None:
    x = layers.Input(shape=(8, 8, 12))
    model = Model(x, applications.inception_resnet_v2.inception_resnet_block(x, 0.17, "block8", 3))
    assert "block8_3_ac" in [layer.name for layer in model.layers]
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    picture = genuine.picture((1, 8, 8, 12))
    np.testing.assert_array_equal(again.predict(picture), model.predict(picture))
    assert pickle.loads(pickle.dumps(applications.inception_resnet_v2.scaled_sum))([1.0, 2.0], 0.5) == 2.0


def test_blocks_of_resnet50() -> None:
    x = layers.Input(shape=(8, 8, 4))
    y = applications.resnet50.conv_block(x, 3, [2, 2, 8], stage=3, block="a")
    y = applications.resnet50.identity_block(y, 3, [2, 2, 8], stage=3, block="b")
    model = Model(x, y)
    assert model.output_shape == (None, 4, 4, 8)
    assert {"res3a_branch1", "bn3a_branch1", "res3b_branch2c"} <= {layer.name for layer in model.layers}


def test_conv2d_bn_in_words_of_both_lines() -> None:
    conv2d_bn: Any = applications.inception_v3.conv2d_bn
    x = layers.Input(shape=(9, 9, 3))
    new = Model(x, conv2d_bn(x, 4, 3, 1, padding="valid", strides=(2, 2), name="a"))
    old = Model(x, conv2d_bn(x, nb_filter=4, nb_row=3, nb_col=1, border_mode="valid", subsample=(2, 2), name="b"))
    assert new.output_shape == old.output_shape == (None, 4, 5, 4)
    assert [layer.name for layer in new.layers[1:]] == ["a_conv", "a_bn", "a"]
    with keras_compat.api_level("1.2"):
        model = Model(x, conv2d_bn(x, 4, 3, 1, name="c"))
    assert [layer.name for layer in model.layers[1:]] == ["c_conv", "c_bn"]
    assert model.count_params() == 3 * 3 * 4 + 4 + 4 * 4


def naive_convolution_in_groups(x: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """Cross-correlate (rows, columns, channels) in groups; ``kernel`` is (3, 3, channels, each)."""
    rows, columns, channels = x.shape[0] - 2, x.shape[1] - 2, x.shape[2]
    each = channels // groups
    out = np.zeros((rows, columns, channels))
    for group in range(groups):
        for k in range(each):
            for c in range(each):
                source = group * each + c
                for i in range(rows):
                    for j in range(columns):
                        window = x[i : i + 3, j : j + 3, source]
                        out[i, j, group * each + k] += (window * kernel[:, :, source, k]).sum()
    return out


def test_resnext_convolves_in_groups() -> None:
    block = applications.resnet_common._block_next
    x = layers.Input(shape=(5, 4, 64))
    whole = Model(x, block(x, 64, 1, True, "b"))
    part = Model(x, whole.get_layer("b_2_bn").input)
    middle = Model(x, whole.get_layer("b_2_pad").output)
    whole.set_weights(genuine.drawn_weights([w.shape for w in whole.get_weights()]))
    picture = genuine.picture((1, 5, 4, 64))
    kernel = whole.get_layer("b_2_conv").get_weights()[0]
    expected = naive_convolution_in_groups(middle.predict(picture)[0].astype("float64"), kernel, 32)
    np.testing.assert_allclose(part.predict(picture)[0], expected, rtol=1e-4, atol=1e-5)
