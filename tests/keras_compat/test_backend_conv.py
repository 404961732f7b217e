"""``K.conv*``, ``K.pool*``, padding and resizing against loops; symbolic with open shapes, and both image orders."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from tests.keras_compat.conv_oracles import (
    FIRST,
    LAST,
    bilinear,
    correlate,
    depthwise,
    floats,
    moved,
    pooled,
    spread_out,
    windows,
)


@pytest.fixture(autouse=True)
def without_generated_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def close(actual: Any, wanted: np.ndarray) -> None:
    actual = np.asarray(actual)
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, atol=2e-5)


def both_ways(function: Any, x: np.ndarray) -> np.ndarray:
    """The function's value on a variable, and by a graph whose lengths are open; they must be the same."""
    now = K.eval(function(K.variable(x)))
    lengths = [None] * (x.ndim - 1)
    channel_axis = 1 if function.__kwdefaults__["layout"] == FIRST else x.ndim - 1
    shape: list[int | None] = [None, *lengths]
    shape[channel_axis] = x.shape[channel_axis]
    placeholder = K.placeholder(shape)
    made = function(placeholder)
    assert made.ndim == now.ndim
    (later,) = K.function([placeholder], [made])([x])
    np.testing.assert_array_equal(later, now)
    return now


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("shape", "size", "strides", "padding", "dilation"),
    [
        ((9,), (3,), (1,), "valid", (1,)),
        ((9,), (4,), (2,), "same", (1,)),
        ((9,), (3,), (1,), "causal", (2,)),
        ((9,), (3,), (2,), "causal", (1,)),
        ((9,), (3,), (1,), "same", (3,)),
        ((7, 8), (3, 2), (1, 1), "valid", (1, 1)),
        ((7, 8), (3, 2), (2, 3), "same", (1, 1)),
        ((7, 8), (2, 4), (1, 1), "same", (1, 1)),
        ((9, 8), (3, 2), (1, 1), "valid", (2, 3)),
        ((7, 8), (3, 2), (1, 1), "full", (1, 1)),
        ((7, 8), (3, 2), (2, 1), "full", (1, 2)),
        ((4, 5, 6), (2, 3, 2), (1, 1, 1), "valid", (1, 1, 1)),
        ((4, 5, 6), (2, 3, 2), (2, 1, 3), "same", (1, 1, 1)),
    ],
)
def test_convolutions(shape: Any, size: Any, strides: Any, padding: str, dilation: Any, layout: str) -> None:
    x, kernel = floats(2, *shape, 3), floats(*size, 3, 4, seed=4)
    convolve = {1: K.conv1d, 2: K.conv2d, 3: K.conv3d}[len(shape)]

    def function(x: Any, *, layout: str = layout) -> Any:
        return convolve(x, K.variable(kernel), strides, padding, layout, dilation)

    wanted = moved(correlate(x, kernel, strides, padding, dilation), layout)
    close(both_ways(function, moved(x, layout)), wanted)


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(("strides", "padding", "dilation"), [((1, 1), "valid", (1, 1)), ((2, 2), "same", (1, 1))])
def test_depthwise_and_separable(strides: Any, padding: str, dilation: Any, layout: str) -> None:
    x, kernel, mix = floats(2, 6, 7, 3), floats(3, 2, 3, 2, seed=4), floats(1, 1, 6, 5, seed=5)

    def apart(x: Any, *, layout: str = layout) -> Any:
        return K.depthwise_conv2d(x, K.variable(kernel), strides, padding, layout, dilation)

    def mixed(x: Any, *, layout: str = layout) -> Any:
        return K.separable_conv2d(x, K.variable(kernel), K.variable(mix), strides, padding, layout, dilation)

    wanted = depthwise(x, kernel, strides, padding, dilation)
    close(both_ways(apart, moved(x, layout)), moved(wanted, layout))
    close(both_ways(mixed, moved(x, layout)), moved(wanted @ mix[0, 0], layout))


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_separable_1d(layout: str) -> None:
    x, kernel, mix = floats(2, 8, 3), floats(3, 3, 2, seed=4), floats(1, 6, 5, seed=5)

    def function(x: Any, *, layout: str = layout) -> Any:
        return K.separable_conv1d(x, K.variable(kernel), K.variable(mix), 1, "same", layout, 2)

    wanted = depthwise(x, kernel, (1,), "same", (2,)) @ mix[0]
    close(both_ways(function, moved(x, layout)), moved(wanted, layout))


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("shape", "strides", "lengths"),
    [
        ((4, 5), (1, 1), (6, 6)),
        ((4, 5), (2, 3), (9, 14)),
        ((4, 5), (2, 3), (10, 15)),
        ((3, 2, 2), (1, 2, 1), (5, 4, 3)),
    ],
)
def test_transposed_convolutions(shape: Any, strides: Any, lengths: Any, layout: str) -> None:
    x = floats(2, *shape, 3)
    kernel = floats(*((3, 2, 2)[: len(shape)]), 4, 3, seed=4)
    dims = (2, *lengths, 4) if layout == LAST else (2, 4, *lengths)
    transpose = {2: K.conv2d_transpose, 3: K.conv3d_transpose}[len(shape)]
    got = K.eval(transpose(K.variable(moved(x, layout)), K.variable(kernel), dims, strides, "valid", layout))
    close(got, moved(spread_out(x, kernel, strides, lengths), layout))


@pytest.mark.parametrize(("strides", "lengths"), [((2, 2), (8, 10)), ((2, 2), (7, 9)), ((1, 3), (4, 15))])
def test_a_transposed_convolution_is_the_transpose_under_same(strides: Any, lengths: Any) -> None:
    """<conv(y), x> == <y, transposed(x)> for all x and y."""
    x, kernel, y = floats(2, 4, 5, 3), floats(3, 2, 4, 3, seed=4), floats(2, *lengths, 4, seed=6)
    got = K.eval(K.conv2d_transpose(K.variable(x), K.variable(kernel), (2, *lengths, 4), strides, "same"))
    forward = correlate(y, kernel, strides, "same")
    np.testing.assert_allclose((forward * x).sum(), (y * got).sum(), rtol=1e-4)


def test_lengths_known_only_at_run_time_follow_from_the_input() -> None:
    x, kernel = K.placeholder((None, None, None, 3)), floats(3, 2, 4, 3, seed=4)
    shape = K.shape(x)
    made = K.conv2d_transpose(x, K.variable(kernel), (shape[0], shape[1] * 2, shape[2] * 2, 4), (2, 2), "same")
    (got,) = K.function([x], [made])([floats(2, 4, 5, 3)])
    assert got.shape == (2, 8, 10, 4)


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_local_convolutions(layout: str) -> None:
    x, kernel = floats(2, 5, 6, 3), floats(6, 2 * 3 * 3, 4, seed=4)
    lengths, each = windows(x, (2, 3), (2, 2), "valid")
    assert lengths == (2, 2)
    kernel = kernel[:4]
    wanted = np.zeros((2, 2, 2, 4))
    for number, (place, window) in enumerate(each):
        patch = moved(window, layout).reshape(2, -1)
        wanted[(slice(None), *place)] = patch @ kernel[number]

    def function(x: Any, *, layout: str = layout) -> Any:
        return K.local_conv2d(x, K.variable(kernel), (2, 3), (2, 2), (2, 2), layout)

    close(both_ways(function, moved(x, layout)), moved(wanted, layout))


def test_local_convolution_over_steps() -> None:
    x, kernel = floats(2, 7, 3), floats(3, 9, 4, seed=4)
    got = K.eval(K.local_conv1d(K.variable(x), K.variable(kernel), (3,), (2,)))
    wanted = np.stack([x[:, 2 * i : 2 * i + 3].reshape(2, -1) @ kernel[i] for i in range(3)], axis=1)
    close(got, wanted)


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize(
    ("shape", "size", "strides", "padding"),
    [
        ((7, 8), (2, 2), (2, 2), "valid"),
        ((7, 8), (3, 2), (1, 2), "valid"),
        ((7, 8), (3, 2), (2, 3), "same"),
        ((4, 5, 6), (2, 2, 3), (1, 2, 3), "same"),
        ((4, 5, 6), (2, 2, 2), (2, 2, 2), "valid"),
    ],
)
def test_pooling(shape: Any, size: Any, strides: Any, padding: str, mode: str, layout: str) -> None:
    x = floats(2, *shape, 3)
    pool = {2: K.pool2d, 3: K.pool3d}[len(shape)]

    def function(x: Any, *, layout: str = layout) -> Any:
        return pool(x, size, strides, padding, layout, mode)

    close(both_ways(function, moved(x, layout)), moved(pooled(x, size, strides, padding, mode), layout))


def test_pooling_goes_by_one_where_nothing_is_said() -> None:
    x = floats(2, 5, 6, 3)
    close(K.eval(K.pool2d(K.variable(x), (2, 2))), pooled(x, (2, 2), (1, 1), "valid", "max"))


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_padding_and_resizing(layout: str) -> None:
    image, volume = floats(2, 3, 4, 2), floats(2, 3, 4, 2, 2)
    x, v = K.variable(moved(image, layout)), K.variable(moved(volume, layout))
    wide = np.pad(image, ((0, 0), (1, 2), (0, 3), (0, 0)))
    close(K.eval(K.spatial_2d_padding(x, ((1, 2), (0, 3)), layout)), moved(wide, layout))
    even = np.pad(image, ((0, 0), (1, 1), (2, 2), (0, 0)))
    close(K.eval(K.spatial_2d_padding(x, (1, 2), layout)), moved(even, layout))
    deep = np.pad(volume, ((0, 0), (1, 0), (0, 2), (1, 1), (0, 0)))
    close(K.eval(K.spatial_3d_padding(v, ((1, 0), (0, 2), (1, 1)), layout)), moved(deep, layout))
    large = image.repeat(2, axis=1).repeat(3, axis=2)
    close(K.eval(K.resize_images(x, 2, 3, layout)), moved(large, layout))
    close(K.eval(K.resize_images(x, 2, 3, layout, "bilinear")), moved(bilinear(image, 2, 3), layout))
    close(K.eval(K.resize_volumes(v, 2, 1, 3, layout)), moved(volume.repeat(2, axis=1).repeat(3, axis=3), layout))


def test_padding_of_steps() -> None:
    x = floats(2, 3, 4)
    for padding, pair in [((1, 2), (1, 2)), (2, (2, 2)), ((0, 1), (0, 1))]:
        close(K.eval(K.temporal_padding(K.variable(x), padding)), np.pad(x, ((0, 0), pair, (0, 0))))
    assert K.eval(K.temporal_padding(K.variable(x))).shape == (2, 5, 4)


# -- Keras 1's words --------------------------------------------------------------------------------------------------


def first(kernel: np.ndarray) -> np.ndarray:
    """(*size, in, filters) as (filters, in, *size)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


@pytest.mark.parametrize("n", [2, 3])
def test_dim_ordering_th_takes_kernels_with_the_filters_in_front(n: int) -> None:
    x, kernel = floats(2, 5, 6, 4, 3)[(slice(None),) * (n + 1) + (0,) * (3 - n)], floats(2, 3, 2, 3, 4, seed=4)
    kernel = kernel[(slice(None),) * n + (0,) * (3 - n)]
    convolve = {2: K.conv2d, 3: K.conv3d}[n]
    wanted = moved(correlate(x, kernel, (1,) * n), FIRST)
    images = K.variable(moved(x, FIRST))
    close(K.eval(convolve(images, K.variable(first(kernel)), border_mode="valid", dim_ordering="th")), wanted)
    close(K.eval(convolve(images, K.variable(kernel), data_format=FIRST)), wanted)
    close(K.eval(convolve(K.variable(x), K.variable(kernel), dim_ordering="tf")), correlate(x, kernel, (1,) * n))


def test_at_level_1_2_the_image_order_of_the_settings_holds_for_kernels_too() -> None:
    x, kernel = floats(2, 5, 6, 3), floats(2, 3, 3, 4, seed=4)
    wanted = moved(correlate(x, kernel, (1, 1)), FIRST)
    before = K.image_data_format()
    K.set_image_data_format(FIRST)
    try:
        with api_level("1.2"):
            close(K.eval(K.conv2d(K.variable(moved(x, FIRST)), K.variable(first(kernel)))), wanted)
        close(K.eval(K.conv2d(K.variable(moved(x, FIRST)), K.variable(kernel))), wanted)
    finally:
        K.set_image_data_format(before)


@pytest.mark.parametrize(("order", "layout"), [("th", FIRST), ("tf", LAST), ("default", LAST)])
def test_functions_of_keras_1(order: str, layout: str) -> None:
    x, kernel = floats(2, 6, 7, 3), floats(3, 2, 3, 4, seed=4)
    lay = first if layout == FIRST else np.asarray
    images = K.variable(moved(x, layout))
    got = K.atrous_conv2d(images, K.variable(lay(kernel)), 2, "same", order)
    close(K.eval(got), moved(correlate(x, kernel, (1, 1), "same", (2, 2)), layout))

    lengths = (8, 8)
    dims = (2, *lengths, 4) if layout == LAST else (2, 4, *lengths)
    got = K.deconv2d(images, K.variable(lay(kernel)), dims, dim_ordering=order)
    close(K.eval(got), moved(spread_out(x, kernel.swapaxes(-1, -2), (1, 1), lengths), layout))

    depth, mix = floats(3, 2, 3, 2, seed=5), floats(1, 1, 6, 4, seed=6)
    got = K.separable_conv2d(images, K.variable(lay(depth)), K.variable(lay(mix)), dim_ordering=order)
    close(K.eval(got), moved(depthwise(x, depth, (1, 1)) @ mix[0, 0], layout))

    wide = np.pad(x, ((0, 0), (1, 2), (3, 4), (0, 0)))
    close(K.eval(K.asymmetric_spatial_2d_padding(images, 1, 2, 3, 4, order)), moved(wide, layout))
    close(K.eval(K.pool2d(images, (2, 2), border_mode="same", dim_ordering=order)).shape, np.asarray(images.shape))


@pytest.mark.parametrize(("size", "strides"), [((3, 3), (2, 2)), ((2, 4), (1, 1)), ((4, 3), (2, 3))])
def test_at_level_0_3_same_has_theanos_borders(size: Any, strides: Any) -> None:
    """Half the kernel on both sides; of what comes out, as many places as the input has, divided by the strides."""
    x, kernel = floats(2, 7, 8, 3), floats(*size, 3, 4, seed=4)
    wide = np.pad(x, ((0, 0), (size[0] // 2,) * 2, (size[1] // 2,) * 2, (0, 0)))
    rows, cols = -(-7 // strides[0]), -(-8 // strides[1])
    wanted = correlate(wide, kernel, strides)[:, :rows, :cols]
    with api_level("0.3"):
        close(K.eval(K.conv2d(K.variable(x), K.variable(kernel), strides, "same", data_format=LAST)), wanted)
    got = K.eval(K.conv2d(K.variable(x), K.variable(kernel), strides, "same"))
    close(got, correlate(x, kernel, strides, "same"))
    assert np.abs(got - wanted).max() > 0.1


def test_asymmetric_temporal_padding() -> None:
    x = floats(2, 3, 4)
    close(K.eval(K.asymmetric_temporal_padding(K.variable(x), 2, 1)), np.pad(x, ((0, 0), (2, 1), (0, 0))))


# -- bias, dtypes, gradients, errors ----------------------------------------------------------------------------------


def test_a_bias_for_every_place_is_read_in_its_order_for_channels_first() -> None:
    x, bias = floats(2, 3, 4, 5), floats(4, 5, 3, seed=5)
    got = K.eval(K.bias_add(K.variable(x), K.variable(bias), FIRST))
    close(got, x + bias.reshape(3, 4, 5))
    close(
        K.eval(K.bias_add(K.variable(x.transpose(0, 2, 3, 1)), K.variable(bias), LAST)), x.transpose(0, 2, 3, 1) + bias
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
def test_dtypes(dtype: str) -> None:
    x, kernel = np.abs(floats(1, 5, 5, 1) * 3).astype(dtype), floats(2, 2, 1, 2, seed=4)
    got = K.eval(
        K.conv2d(K.variable(x, dtype=dtype), K.variable(kernel, dtype="float32" if dtype == "uint8" else dtype))
    )
    assert got.dtype == ("float32" if dtype == "uint8" else dtype)
    np.testing.assert_allclose(got, correlate(x.astype("float64"), kernel, (1, 1)), rtol=1e-2, atol=1e-2)


def test_eager_tensors_have_values_at_once() -> None:
    x, kernel = floats(2, 5, 6, 3), floats(2, 3, 3, 4, seed=4)
    got = K.conv2d(at.asarray(x), at.asarray(kernel), padding="same")
    assert not got.is_symbolic
    close(got.numpy(), correlate(x, kernel, (1, 1), "same"))
    close(K.pool2d(at.asarray(x), (2, 2)).numpy(), pooled(x, (2, 2), (1, 1), "valid", "max"))


def test_gradients_are_those_of_the_sum() -> None:
    """The loss is linear in the kernel: its gradient is the sum of what each of its items was multiplied by."""
    x, kernel = floats(2, 5, 6, 3), floats(2, 3, 3, 4, seed=4)
    images, weights = K.variable(x), K.variable(kernel)
    of_x, of_w = K.gradients(K.conv2d(images, weights, (2, 1), "same"), [images, weights])
    lengths, each = windows(x, (2, 3), (2, 1), "same")
    wanted = np.repeat(sum(window.sum(axis=0) for _, window in each)[..., None], 4, axis=-1)
    np.testing.assert_allclose(K.eval(of_w), wanted, atol=1e-4)
    back = np.zeros(x.shape)
    step = 1e-2
    for place in [(0, 0, 0, 0), (1, 2, 3, 1), (0, 4, 5, 2)]:
        up = x.astype("float64")
        up[place] += step
        back[place] = (correlate(up, kernel, (2, 1), "same") - correlate(x, kernel, (2, 1), "same")).sum() / step
        np.testing.assert_allclose(K.eval(of_x)[place], back[place], atol=1e-3)


def test_errors_say_what_was_expected() -> None:
    x, kernel = K.variable(floats(2, 5, 6, 3)), K.variable(floats(2, 3, 3, 4))
    with pytest.raises(ValueError, match="rank 3; got shapes"):
        K.conv1d(x, kernel)
    with pytest.raises(ValueError, match="Invalid pooling mode.*'sum'"):
        K.pool2d(x, (2, 2), pool_mode="sum")
    with pytest.raises(ValueError, match="Unknown dim_ordering"):
        K.deconv2d(x, kernel, (2, 6, 8, 4), dim_ordering="channels_first")
    with pytest.raises(ValueError, match="output_shape of 4 dimensions"):
        K.conv2d_transpose(x, kernel, (6, 8))
    with pytest.raises(ValueError, match="channels_last, channels_first"):
        K.conv2d(x, kernel, data_format="th")
    with pytest.raises(ValueError, match="interpolation should be"):
        K.resize_images(x, 2, 2, None, "cubic")
    with pytest.raises(ValueError, match="pair .before, after. for each of 2 axes"):
        K.spatial_2d_padding(x, ((1, 1), (1, 1), (1, 1)))
    with pytest.raises(ValueError, match="for 4 places, output_shape"):
        K.local_conv2d(x, K.variable(floats(4, 18, 4)), (2, 3), (2, 2), (2, 3))
    with pytest.raises(at.AutotensorError, match=r"\[conv"):
        K.conv2d(x, K.variable(floats(7, 7, 3, 4)))
    with pytest.raises(at.AutotensorError, match="channels"):
        K.conv2d(x, K.variable(floats(2, 3, 5, 4)))
