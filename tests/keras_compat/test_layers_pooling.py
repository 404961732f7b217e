"""Pooling layers against loops: windows, whole images, masks, both image orders, open lengths."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.layers import deserialize, serialize
from keras_compat.layers.pooling import _Pooling2D
from keras_compat.models import Model, Sequential
from tests.keras_compat.conv_oracles import FIRST, LAST, floats, moved, pooled


@pytest.fixture(autouse=True)
def without_generated_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def run(layer: Any, x: np.ndarray, open_lengths: bool = False) -> np.ndarray:
    shape: list[int | None] = list(x.shape[1:])
    if open_lengths:
        axis = 0 if layer.data_format == FIRST else len(shape) - 1
        shape = [d if i == axis else None for i, d in enumerate(shape)]
    inputs = L.Input(shape=shape)
    return Model(inputs, layer(inputs)).predict(x)


def check(layer: Any, x: np.ndarray, wanted: np.ndarray) -> None:
    got = run(layer, x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert layer.output_shape == (None, *wanted.shape[1:])
    assert tuple(layer.compute_output_shape((None, *x.shape[1:]))) == (None, *wanted.shape[1:])
    config = json.loads(json.dumps(serialize(layer)))
    again = deserialize(config)
    assert json.loads(json.dumps(serialize(again))) == config
    np.testing.assert_allclose(run(again, x, open_lengths=True), got, atol=1e-6)


LENGTHS = {1: (9,), 2: (7, 8), 3: (5, 4, 6)}


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize("mode", ["Max", "Average"])
@pytest.mark.parametrize(
    ("n", "size", "strides", "padding"),
    [
        (1, 2, None, "valid"),
        (1, 3, 2, "same"),
        (1, 3, 1, "valid"),
        (2, 2, None, "valid"),
        (2, (3, 2), (1, 2), "valid"),
        (2, (3, 2), (2, 3), "same"),
        (3, 2, None, "same"),
        (3, (2, 1, 3), (1, 2, 2), "valid"),
    ],
)
def test_windows(n: int, size: Any, strides: Any, padding: str, mode: str, layout: str) -> None:
    x = floats(2, *LENGTHS[n], 3)
    layer = getattr(L, f"{mode}Pooling{n}D")(size, strides, padding, layout)
    sizes = (size,) * n if isinstance(size, int) else size
    steps = sizes if strides is None else (strides,) * n if isinstance(strides, int) else strides
    assert layer.pool_size == tuple(sizes) and layer.strides == tuple(steps)
    wanted = pooled(x, sizes, steps, padding, "max" if mode == "Max" else "avg")
    check(layer, moved(x, layout), moved(wanted, layout))


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize("mode", ["Max", "Average"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_whole_images(n: int, mode: str, layout: str) -> None:
    x = floats(2, *LENGTHS[n], 3)
    reduce = np.max if mode == "Max" else np.mean
    layer = getattr(L, f"Global{mode}Pooling{n}D")(layout)
    check(layer, moved(x, layout), reduce(x, axis=tuple(range(1, n + 1))))


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_a_mean_over_steps_counts_those_that_the_mask_keeps(layout: str) -> None:
    x = floats(3, 5, 2)
    kept = np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype="float32")
    wanted = np.stack([x[i][kept[i] > 0].mean(axis=0) for i in range(3)])
    steps, mask = K.placeholder((None, *moved(x, layout).shape[1:])), K.placeholder((None, 5))
    got = K.function([steps, mask], [L.GlobalAveragePooling1D(layout)(steps, mask=mask)])([moved(x, layout), kept])
    np.testing.assert_allclose(got[0], wanted, atol=1e-6)


def test_a_mask_ends_at_the_mean() -> None:
    x = floats(2, 5, 2)
    x[0, 3:] = 0
    model = Sequential([L.Masking(input_shape=(5, 2)), L.GlobalAveragePooling1D(), L.Dense(1)])
    assert model.layers[1].output_mask is None
    means = K.function([model.input], [model.layers[1].output])([x])[0]
    np.testing.assert_allclose(means, [x[0, :3].mean(axis=0), x[1].mean(axis=0)], atol=1e-6)


def test_the_settings_give_the_image_order() -> None:
    before = K.image_data_format()
    K.set_image_data_format(FIRST)
    try:
        for name in "MaxPooling2D AveragePooling3D GlobalMaxPooling2D GlobalAveragePooling3D".split():
            assert getattr(L, name)().data_format == FIRST
            assert getattr(L, name)(data_format=LAST).data_format == LAST
        for name in "MaxPooling1D AveragePooling1D GlobalMaxPooling1D GlobalAveragePooling1D".split():
            assert getattr(L, name)().data_format == LAST
    finally:
        K.set_image_data_format(before)


def test_keras_1_words() -> None:
    assert L.MaxPooling1D(pool_length=3, stride=2, border_mode="same", name="p").get_config() == (
        L.MaxPooling1D(3, 2, "same", name="p").get_config()
    )
    old = L.AveragePooling2D(pool_size=(3, 2), border_mode="same", dim_ordering="th", name="p")
    assert old.get_config() == L.AveragePooling2D((3, 2), padding="same", data_format=FIRST, name="p").get_config()
    assert L.GlobalMaxPooling2D(dim_ordering="th").data_format == FIRST


def test_a_pooling_function_of_the_user() -> None:
    class Spread(_Pooling2D):
        def _pooling_function(self, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
            largest = K.pool2d(inputs, pool_size, strides, padding, data_format, pool_mode="max")
            return largest + K.pool2d(-inputs, pool_size, strides, padding, data_format, pool_mode="max")

    x = floats(2, 6, 4, 3)
    got = run(Spread((3, 2)), x)
    blocks = x.reshape(2, 2, 3, 2, 2, 3)
    np.testing.assert_allclose(got, blocks.max(axis=(2, 4)) - blocks.min(axis=(2, 4)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.MaxPooling2D(0), "`pool_size` argument"),
        (lambda: L.MaxPooling2D((2, 2, 2)), "`pool_size` argument"),
        (lambda: L.MaxPooling2D(2, strides=(1, 0)), "`strides` argument"),
        (lambda: L.MaxPooling1D(2, padding="causal"), '"valid" or "same" for pooling'),
        (lambda: L.AveragePooling3D(padding="full"), '"valid", "same"'),
        (lambda: L.GlobalMaxPooling2D("last"), "channels_last, channels_first"),
        (lambda: L.MaxPooling2D()(L.Input(shape=(4, 4))), "expected ndim=4"),
        (lambda: L.MaxPooling2D(5)(L.Input(shape=(4, 4, 1))), "fit into the input"),
    ],
)
def test_what_is_wrong_is_said(make: Any, message: str) -> None:
    with pytest.raises((ValueError, at.AutotensorError), match=message):
        make()
