"""Locally connected layers against loops: a matrix of its own for every place."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import deserialize, serialize
from keras_compat.models import Model
from tests.keras_compat.conv_oracles import FIRST, LAST, floats, moved, windows


@pytest.fixture(autouse=True)
def without_generated_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def run(layer: Any, x: np.ndarray) -> np.ndarray:
    inputs = L.Input(shape=x.shape[1:])
    return Model(inputs, layer(inputs)).predict(x)


def connected(x: np.ndarray, kernel: np.ndarray, size: Any, strides: Any, layout: str) -> np.ndarray:
    """x channels last; each patch is flattened in the order of the images."""
    lengths, each = windows(x, size, strides, "valid")
    out = np.zeros((len(x), *lengths, kernel.shape[-1]))
    for number, (place, window) in enumerate(each):
        out[(slice(None), *place)] = moved(window, layout).reshape(len(x), -1) @ kernel[number]
    return out


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(("size", "strides", "lengths"), [((2, 3), (1, 1), (4, 4)), ((3, 2), (2, 3), (2, 2))])
def test_images(size: Any, strides: Any, lengths: Any, layout: str) -> None:
    x = floats(2, 5, 6, 3)
    layer = L.LocallyConnected2D(4, size, strides, data_format=layout, activation="tanh")
    run(layer, moved(x, layout))
    kernel, bias = [floats(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())]
    assert kernel.shape == (lengths[0] * lengths[1], size[0] * size[1] * 3, 4) and bias.shape == (*lengths, 4)
    layer.set_weights([kernel, bias])
    got = run(layer, moved(x, layout))
    # As in Keras, the bias is read in the order of its elements into the shape of the images.
    plain = moved(connected(x, kernel, size, strides, layout), layout)
    np.testing.assert_allclose(got, np.tanh(plain + bias.reshape(plain.shape[1:])), atol=1e-5)
    assert layer.get_output_shape_at(0) == (None, *plain.shape[1:])
    assert layer.W is layer.kernel and layer.b is layer.bias
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    run(again, moved(x, layout))
    again.set_weights([kernel, bias])
    np.testing.assert_array_equal(run(again, moved(x, layout)), got)


@pytest.mark.parametrize("data_format", [None, LAST, FIRST])
def test_sequences(data_format: Any) -> None:
    """Steps come before channels whatever the image order, as in Keras 2.3.1."""
    x = floats(2, 8, 3)
    layer = L.LocallyConnected1D(4, 3, 2, data_format=data_format)
    run(layer, x)
    kernel, bias = floats(3, 9, 4, seed=1), floats(3, 4, seed=2)
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(run(layer, x), connected(x, kernel, (3,), (2,), LAST) + bias, atol=1e-5)
    assert layer.get_output_shape_at(0) == (None, 3, 4)
    assert "data_format" not in layer.get_config()


def test_without_bias() -> None:
    layer = L.LocallyConnected1D(4, 3, use_bias=False, kernel_regularizer="l2")
    x = floats(2, 5, 3)
    got = run(layer, x)
    (kernel,) = layer.get_weights()
    np.testing.assert_allclose(got, connected(x, kernel, (3,), (1,), LAST), atol=1e-5)
    assert len(layer.losses) == 1


def test_first_weights() -> None:
    """glorot_uniform: a kernel of (places, items, filters) is read as a convolution's by Keras 2, not by 1.2.2."""
    x = floats(1, 21, 10)
    fans = {"2.3": 20 * (20 + 30), "1.2": 2 * np.sqrt(20 * 20 * 30)}
    for level, total in fans.items():
        with api_level(level):
            layer = L.LocallyConnected1D(30, 2)
            run(layer, x)
        kernel, limit = layer.get_weights()[0], np.sqrt(6 / total)
        assert kernel.shape == (20, 20, 30)
        assert 0.97 * limit < np.abs(kernel).max() <= limit


def test_keras_1_words() -> None:
    old = L.LocallyConnected2D(4, 3, 2, subsample=(2, 1), dim_ordering="th", bias=False, name="c")
    new = L.LocallyConnected2D(4, (3, 2), strides=(2, 1), data_format=FIRST, use_bias=False, name="c")
    assert old.get_config() == new.get_config()
    old = L.LocallyConnected1D(4, 3, subsample_length=2, border_mode="valid", name="c")
    assert old.get_config() == L.LocallyConnected1D(4, 3, strides=2, name="c").get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.LocallyConnected2D(4, 3, padding="same"), 'only "valid" is supported'),
        (lambda: L.LocallyConnected1D(4, 3)(L.Input(shape=(None, 3))), "should be fully-defined"),
        (lambda: L.LocallyConnected1D(4, 3)(L.Input(shape=(2, 3))), "does not fit"),
        (lambda: L.LocallyConnected2D(4, 3)(L.Input(shape=(5, 5))), "expected ndim=4"),
        (lambda: L.LocallyConnected1D(4, 0), "`kernel_size` argument"),
        (lambda: L.LocallyConnected1D(4, 3, data_format="last"), "channels_last, channels_first"),
    ],
)
def test_what_is_wrong_is_said(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_built_layer_holds_to_its_lengths() -> None:
    layer = L.LocallyConnected1D(4, 3)
    layer(L.Input(shape=(7, 3)))
    with pytest.raises(ValueError, match="expected shape="):
        layer(L.Input(shape=(8, 3)))
