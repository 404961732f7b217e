"""The order of images in networks that do not say it."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, union-attr, call-arg"

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.backend import common
from keras_compat.dialect import api_level
from keras_compat.dialect.images import guess
from keras_compat.models import Model, Sequential


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    """As in a program that has set nothing; settings made in a test do not stay."""
    monkeypatch.setattr(common, "_image_order_chosen", False)
    monkeypatch.setattr(common, "_IMAGE_DATA_FORMAT", "channels_last")
    with at.config.use(numba=False):
        yield


@pytest.mark.parametrize(
    ("shape", "spelling", "level", "want"),
    [
        ((None, 3, 100, 100), "old", "2.3", "channels_first"),
        ((None, 1, 28, 28), "old", "2.3", "channels_first"),
        ((None, 4, 84, 84), "old", "2.3", "channels_first"),
        ((None, 3, 10, 100, 100), "old", "2.3", "channels_first"),
        ((None, 3, None, None), "old", "2.3", "channels_first"),
        ((None, 3, 8, 9), "old", "2.3", "channels_first"),
        ((None, 3, 8, 9), "either", "1.2", "channels_first"),
        ((None, 3, 8, 9), "either", "2.3", None),
        ((None, 3, 224, 224), "either", "2.3", "channels_first"),
        ((None, 3, None, None), "either", "2.3", None),
        ((None, 3, 224, 224), "new", "1.2", None),
        ((None, 3, 224, 224), "new", "2.3", None),
        ((None, 100, 100, 3), "old", "2.3", None),
        ((None, 28, 28, 1), "old", "1.2", None),
        ((None, 3, 100, 3), "old", "2.3", None),  # both could be the channels
        ((None, 16, 32, 32), "old", "1.2", None),  # no picture
        ((None, 4, 4, 2), "either", "1.2", None),  # two maps of 4 x 4, no four channels of 4 x 2
        ((None, 3, 3, 8), "old", "1.2", None),
        ((None, 3, 100), "old", "1.2", None),
    ],
)
def test_what_a_shape_shows(shape, spelling, level, want):
    assert guess(shape, spelling, level) == want


def network_of_the_documents(**first):
    model = Sequential()
    model.add(L.Convolution2D(4, 3, 3, border_mode="valid", input_shape=(3, 20, 20), **first))
    model.add(L.Activation("relu"))
    model.add(L.Convolution2D(5, 3, 3))
    model.add(L.MaxPooling2D(pool_size=(2, 2)))
    model.add(L.Dropout(0.25))
    model.add(L.ZeroPadding2D((1, 1)))
    model.add(L.UpSampling2D())
    model.add(L.Flatten())
    model.add(L.Dense(6))
    return model


def test_a_keras_1_network_of_channels_first_pictures():
    with pytest.warns(UserWarning, match=r"channels first.*set_image_dim_ordering") as seen:
        model = network_of_the_documents()
    assert len(seen) == 1 and seen[0].filename == __file__
    shapes = [layer.output_shape[1:] for layer in model.layers]
    assert shapes == [
        (4, 18, 18),
        (4, 18, 18),
        (5, 16, 16),
        (5, 8, 8),
        (5, 8, 8),
        (5, 10, 10),
        (5, 20, 20),
        (2000,),
        (6,),
    ]
    assert model.layers[0].get_weights()[0].shape == (4, 3, 3, 3)
    assert model.layers[2].get_weights()[0].shape == (5, 4, 3, 3)


def test_it_computes_what_the_explicit_network_computes():
    with pytest.warns(UserWarning, match="channels first"):
        guessed = network_of_the_documents()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        K.set_image_dim_ordering("th")
        stated = network_of_the_documents()
    stated.set_weights(guessed.get_weights())
    x = np.random.RandomState(0).rand(2, 3, 20, 20)
    np.testing.assert_allclose(guessed.predict(x), stated.predict(x), rtol=1e-6)
    config = [layer["config"].get("data_format") for layer in guessed.get_config()["layers"]]
    assert config[0] == config[2] == config[3] == config[5] == "channels_first"


def test_the_functional_api_and_shared_parts():
    x = L.Input(shape=(1, 28, 28))
    with pytest.warns(UserWarning, match="channels first"):
        y = L.Convolution2D(4, 3, 3, activation="relu")(x)
    y = L.MaxPooling2D((2, 2))(y)
    assert K.int_shape(y) == (None, 4, 13, 13)
    with pytest.warns(UserWarning, match="channels first"):
        inner = Sequential([L.Convolution2D(4, 3, 3, input_shape=(1, 28, 28)), L.MaxPooling2D((2, 2))])
    outer = L.Convolution2D(2, 2, 2)(inner(L.Input(shape=(1, 28, 28))))
    assert K.int_shape(outer) == (None, 2, 12, 12)
    assert Model(x, L.Flatten()(y)).output_shape == (None, 4 * 13 * 13)


def test_pictures_within_a_sequence():
    with pytest.warns(UserWarning, match="channels first"):
        model = Sequential([L.TimeDistributed(L.Convolution2D(4, 3, 3), input_shape=(5, 3, 20, 20))])
    model.add(L.TimeDistributed(L.MaxPooling2D((2, 2))))
    assert model.output_shape == (None, 5, 4, 9, 9)


def test_a_call_of_either_line_needs_a_picture_beyond_doubt():
    with pytest.warns(UserWarning, match="channels first"):
        model = Sequential([L.ZeroPadding2D((1, 1), input_shape=(3, 224, 224)), L.Convolution2D(2, 3, 3)])
    assert model.output_shape == (None, 2, 224, 224)


@pytest.mark.parametrize(
    ("build", "want"),
    [
        (lambda: L.Conv2D(4, (3, 3), input_shape=(28, 28, 1)), (None, 26, 26, 4)),
        (lambda: L.Conv2D(4, (3, 3), input_shape=(3, 100, 100)), (None, 1, 98, 4)),
        (lambda: L.Convolution2D(4, 3, 3, input_shape=(28, 28, 1)), (None, 26, 26, 4)),
        (lambda: L.Convolution2D(4, 3, 3, dim_ordering="tf", input_shape=(3, 20, 20)), (None, 1, 18, 4)),
        (lambda: L.Conv2D(4, 3, data_format="channels_last", input_shape=(3, 20, 20)), (None, 1, 18, 4)),
        (lambda: L.Convolution2D(4, 3, 3, dim_ordering="th", input_shape=(3, 20, 20)), (None, 4, 18, 18)),
        (lambda: L.MaxPooling2D(input_shape=(4, 6, 8)), (None, 2, 3, 8)),
    ],
)
def test_others_are_as_they_were_and_arguments_win(build, want):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Sequential([build()]).output_shape == want


@pytest.mark.parametrize(
    "choose", [lambda: K.set_image_dim_ordering("tf"), lambda: K.set_image_data_format("channels_last")]
)
def test_settings_win(choose):
    choose()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Sequential([L.Convolution2D(4, 3, 3, input_shape=(3, 20, 20))])
    assert model.output_shape == (None, 1, 18, 4)


def test_a_layer_behind_it_that_names_its_order_keeps_it():
    with pytest.warns(UserWarning, match="channels first"):
        model = Sequential([L.Convolution2D(4, 3, 3, input_shape=(3, 20, 20))])
    model.add(L.Permute((2, 3, 1)))
    model.add(L.MaxPooling2D((2, 2), dim_ordering="tf"))
    assert model.output_shape == (None, 9, 9, 4)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_old_words_under_a_global_setting_have_the_old_kernel(level):
    with api_level(level):
        K.set_image_dim_ordering("th")
        layer = L.Convolution2D(4, 3, 2, input_shape=(5, 20, 20))
        Sequential([layer])
        assert layer.get_weights()[0].shape == (4, 5, 3, 2)
        assert layer.output_shape == (None, 4, 18, 19)
        new = L.Conv2D(4, (3, 2), data_format="channels_first", input_shape=(5, 20, 20))
        Sequential([new])
        assert new.get_weights()[0].shape == (3, 2, 5, 4)
