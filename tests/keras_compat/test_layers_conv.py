"""Convolution, padding, cropping and upsampling layers against loops; kernels of Keras 1; configs and errors."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, call-arg"

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import deserialize, serialize
from keras_compat.models import Model, Sequential, model_from_json
from tests.keras_compat.conv_oracles import (
    FIRST,
    LAST,
    bilinear,
    correlate,
    depthwise,
    floats,
    moved,
    spread_out,
)


@pytest.fixture(autouse=True)
def without_generated_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def run(layer: Any, x: np.ndarray, open_lengths: bool = False) -> np.ndarray:
    """Output of a layer on an input whose lengths are known or open."""
    shape: list[int | None] = list(x.shape[1:])
    if open_lengths:
        axis = 0 if getattr(layer, "data_format", LAST) == FIRST else len(shape) - 1
        shape = [d if i == axis else None for i, d in enumerate(shape)]
    inputs = L.Input(shape=shape)
    outputs = layer(inputs)
    return Model(inputs, outputs).predict(x)


def check(make: Callable[[], Any], x: np.ndarray, oracle: Callable[..., np.ndarray], open_too: bool = True) -> Any:
    """One layer: values, declared shape, config and weights round trip, open lengths. Returns it."""
    layer = make()
    got = run(layer, x)
    layer.set_weights([floats(*w.shape, seed=10 + i) for i, w in enumerate(layer.get_weights())])
    got = run(layer, x)
    wanted = oracle(x, *layer.get_weights())
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=3e-5)
    assert layer.get_output_shape_at(0) == (None, *wanted.shape[1:])
    assert tuple(layer.compute_output_shape((None, *x.shape[1:]))) == (None, *wanted.shape[1:])
    config = json.loads(json.dumps(serialize(layer)))
    again = deserialize(config)
    assert json.loads(json.dumps(serialize(again))) == config
    run(again, x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(run(again, x), got)
    if open_too:
        opened = deserialize(config)
        if opened.get_weights() == []:
            run(opened, x, open_lengths=True)
        opened.set_weights(layer.get_weights())
        np.testing.assert_allclose(run(opened, x, open_lengths=True), got, atol=1e-6)
    return layer


CONV = {
    1: (L.Conv1D, (9,), 3, 2, 2),
    2: (L.Conv2D, (7, 8), (3, 2), (2, 1), (2, 3)),
    3: (L.Conv3D, (4, 5, 6), (2, 3, 2), (1, 2, 1), (1, 2, 3)),
}


def each(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize("apart", ["strides", "dilation_rate"])
@pytest.mark.parametrize(
    ("n", "padding"), [(n, padding) for n in (1, 2, 3) for padding in ("valid", "same", "full")] + [(1, "causal")]
)
def test_convolutions(n: int, apart: str, padding: str, layout: str) -> None:
    cls, lengths, size, strides, dilation = CONV[n]
    x = floats(2, *lengths, 3)
    value = strides if apart == "strides" else dilation

    def oracle(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        assert kernel.shape == (*each(size, n), 3, 4)
        x = np.moveaxis(x, 1, -1) if layout == FIRST else x
        s, d = each(strides if apart == "strides" else 1, n), each(dilation if apart == "dilation_rate" else 1, n)
        return np.tanh(moved(correlate(x, kernel, s, padding, d) + bias, layout))

    def make() -> Any:
        return cls(4, size, padding=padding, data_format=layout, activation="tanh", **{apart: value})

    layer = check(make, moved(x, layout), oracle)
    assert [w.name.split("/")[1] for w in layer.weights] == ["kernel:0", "bias:0"]
    assert layer.W is layer.kernel and layer.b is layer.bias


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("strides", "size", "padding", "more", "lengths"),
    [
        ((1, 1), (3, 2), "valid", None, (6, 6)),
        ((2, 3), (3, 3), "valid", None, (9, 15)),
        ((3, 4), (2, 3), "valid", None, (12, 20)),  # strides longer than the kernel: Keras counts a whole stride
        ((2, 3), (3, 3), "valid", (1, 2), (10, 17)),
    ],
)
def test_transposed_convolution_2d(strides: Any, size: Any, padding: str, more: Any, lengths: Any, layout: str) -> None:
    x = floats(2, 4, 5, 3)

    def oracle(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        assert kernel.shape == (*size, 4, 3)
        x = np.moveaxis(x, 1, -1) if layout == FIRST else x
        return moved(spread_out(x, kernel, strides, lengths) + bias, layout)

    def make() -> Any:
        return L.Conv2DTranspose(4, size, strides, padding, output_padding=more, data_format=layout)

    check(make, moved(x, layout), oracle)


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_transposed_convolution_3d(layout: str) -> None:
    def oracle(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        assert kernel.shape == (2, 3, 2, 4, 3)
        x = np.moveaxis(x, 1, -1) if layout == FIRST else x
        return moved(spread_out(x, kernel, (2, 1, 2), (6, 5, 8)) + bias, layout)

    check(
        lambda: L.Conv3DTranspose(4, (2, 3, 2), (2, 1, 2), data_format=layout),
        moved(floats(2, 3, 3, 4, 3), layout),
        oracle,
    )


@pytest.mark.parametrize("more", [None, (0, 0), (1, 1)])
def test_transposed_convolution_under_same(more: Any) -> None:
    """The transpose of the convolution that makes the input's lengths of those that deconv_length says."""
    layer = L.Conv2DTranspose(4, (3, 3), (2, 2), "same", output_padding=more, use_bias=False)
    x = floats(2, 4, 5, 3)
    got = run(layer, x)
    lengths = {None: (8, 10), (0, 0): (7, 9), (1, 1): (8, 10)}[more]
    assert got.shape == (2, *lengths, 4)
    y = floats(2, *lengths, 4, seed=8)
    forward = correlate(y, layer.get_weights()[0], (2, 2), "same")
    np.testing.assert_allclose((forward * x).sum(), (y * got).sum(), rtol=1e-4)


@pytest.mark.parametrize(("padding", "lengths"), [("same", (4, 5)), ("valid", (8, 7))])
def test_transposed_convolution_with_holes(padding: str, lengths: Any) -> None:
    layer = L.Conv2DTranspose(4, (3, 2), padding=padding, dilation_rate=2, use_bias=False)
    x, y = floats(2, 4, 5, 3), floats(2, *lengths, 4, seed=8)
    got = run(layer, x)
    assert got.shape == y.shape
    forward = correlate(y, layer.get_weights()[0], (1, 1), padding, (2, 2))
    np.testing.assert_allclose((forward * x).sum(), (y * got).sum(), rtol=1e-4)


def test_transposed_convolution_takes_the_lengths_asked_for() -> None:
    """Keras 1's output_shape: 5 steps may come from 11 or from 12."""
    x = floats(2, 5, 5, 3)
    for length in (11, 12):
        layer = L.Deconvolution2D(4, 3, 3, output_shape=(None, length, 11, 4), subsample=(2, 2), bias=False)
        got = run(layer, x)
        kernel = layer.get_weights()[0]
        np.testing.assert_allclose(got, spread_out(x, kernel, (2, 2), (length, 11)), atol=1e-5)
        again = deserialize(json.loads(json.dumps(serialize(layer))))
        assert run(again, x).shape == got.shape
    with api_level("1.2"), pytest.raises(ValueError, match="output_shape has 4 dimensions"):
        L.Deconvolution2D(4, 3, 3, output_shape=(12, 11), subsample=(2, 2))
    with pytest.warns(UserWarning, match="output_shape has 4 dimensions"):  # Keras 2 looks at none
        layer = L.Deconvolution2D(4, 3, 3, output_shape=(12, 11), subsample=(2, 2))
    assert layer.compute_output_shape((None, 5, 5, 3)) == (None, 11, 11, 4)


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_depthwise(layout: str) -> None:
    def oracle(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        assert kernel.shape == (3, 2, 3, 2) and bias.shape == (6,)
        x = np.moveaxis(x, 1, -1) if layout == FIRST else x
        return moved(np.maximum(depthwise(x, kernel, (2, 2), "same") + bias, 0), layout)

    def make() -> Any:
        return L.DepthwiseConv2D((3, 2), (2, 2), "same", depth_multiplier=2, data_format=layout, activation="relu")

    layer = check(make, moved(floats(2, 6, 7, 3), layout), oracle)
    assert layer.weights[0].name == f"{layer.name}/depthwise_kernel:0"


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("n", "padding", "dilation"), [(1, "same", 2), (1, "causal", 1), (2, "same", 1), (2, "valid", 2)]
)
def test_separable(n: int, padding: str, dilation: int, layout: str) -> None:
    cls = {1: L.SeparableConv1D, 2: L.SeparableConv2D}[n]

    def oracle(x: np.ndarray, depth: np.ndarray, mix: np.ndarray, bias: np.ndarray) -> np.ndarray:
        assert depth.shape == (2,) * n + (3, 2) and mix.shape == (1,) * n + (6, 5)
        x = np.moveaxis(x, 1, -1) if layout == FIRST else x
        apart = depthwise(x, depth, (1,) * n, padding, (dilation,) * n)
        return moved(apart @ mix[(0,) * n] + bias, layout)

    def make() -> Any:
        return cls(5, 2, padding=padding, dilation_rate=dilation, depth_multiplier=2, data_format=layout)

    check(make, moved(floats(2, *(6, 7)[:n], 3), layout), oracle)


def test_without_bias_and_with_penalties() -> None:
    layer = L.Conv2D(
        2, 1, use_bias=False, kernel_regularizer="l2", activity_regularizer="l1", kernel_constraint="unit_norm"
    )
    x = floats(1, 2, 2, 3)
    run(layer, x)
    assert [w.shape for w in layer.get_weights()] == [(1, 1, 3, 2)] and layer.b is None
    assert len(layer.losses) == 2 and layer.weights[0].constraint is not None


# -- layers without weights -------------------------------------------------------------------------------------------


def spatially(layout: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: moved(change(np.moveaxis(x, 1, -1) if layout == FIRST else x), layout)


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda f: L.ZeroPadding2D(2, f), lambda x: np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))),
        (lambda f: L.ZeroPadding2D((1, 2), f), lambda x: np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)))),
        (lambda f: L.ZeroPadding2D(((1, 2), (0, 3)), f), lambda x: np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))),
        (lambda f: L.Cropping2D(1, f), lambda x: x[:, 1:-1, 1:-1]),
        (lambda f: L.Cropping2D((1, 2), f), lambda x: x[:, 1:-1, 2:-2]),
        (lambda f: L.Cropping2D(((0, 2), (1, 0)), f), lambda x: x[:, :-2, 1:]),
        (lambda f: L.Cropping2D(data_format=f), lambda x: x),
        (lambda f: L.UpSampling2D(data_format=f), lambda x: x.repeat(2, axis=1).repeat(2, axis=2)),
        (lambda f: L.UpSampling2D((3, 1), f), lambda x: x.repeat(3, axis=1)),
        (lambda f: L.UpSampling2D((3, 2), f, "bilinear"), lambda x: bilinear(x, 3, 2)),
    ],
)
def test_layers_of_images(make: Any, change: Any, layout: str) -> None:
    check(lambda: make(layout), moved(floats(2, 5, 6, 3), layout), spatially(layout, change))


@pytest.mark.parametrize("layout", [LAST, FIRST])
@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda f: L.ZeroPadding3D(1, f), lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))),
        (lambda f: L.ZeroPadding3D((1, 0, 2), f), lambda x: np.pad(x, ((0, 0), (1, 1), (0, 0), (2, 2), (0, 0)))),
        (
            lambda f: L.ZeroPadding3D(((1, 2), (0, 1), (2, 0)), f),
            lambda x: np.pad(x, ((0, 0), (1, 2), (0, 1), (2, 0), (0, 0))),
        ),
        (lambda f: L.Cropping3D(data_format=f), lambda x: x[:, 1:-1, 1:-1, 1:-1]),
        (lambda f: L.Cropping3D(((1, 1), (0, 1), (1, 0)), f), lambda x: x[:, 1:-1, :-1, 1:]),
        (lambda f: L.UpSampling3D((1, 2, 3), f), lambda x: x.repeat(2, axis=2).repeat(3, axis=3)),
    ],
)
def test_layers_of_volumes(make: Any, change: Any, layout: str) -> None:
    check(lambda: make(layout), moved(floats(2, 3, 4, 3, 2), layout), spatially(layout, change))


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: L.ZeroPadding1D(2), lambda x: np.pad(x, ((0, 0), (2, 2), (0, 0)))),
        (lambda: L.ZeroPadding1D((1, 2)), lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)))),
        (lambda: L.Cropping1D(), lambda x: x[:, 1:-1]),
        (lambda: L.Cropping1D((0, 2)), lambda x: x[:, :-2]),
        (lambda: L.UpSampling1D(), lambda x: x.repeat(2, axis=1)),
        (lambda: L.UpSampling1D(3), lambda x: x.repeat(3, axis=1)),
    ],
)
def test_layers_of_sequences(make: Any, change: Any) -> None:
    layer = check(make, floats(2, 6, 3), change)
    assert "data_format" not in layer.get_config()


# -- image order ------------------------------------------------------------------------------------------------------


@pytest.fixture
def channels_first() -> Iterator[None]:
    before = K.image_data_format()
    K.set_image_data_format(FIRST)
    yield
    K.set_image_data_format(before)


@pytest.mark.usefixtures("channels_first")
def test_the_settings_give_the_image_order() -> None:
    for cls, arguments in [
        (L.Conv2D, (2, 1)),
        (L.Conv3D, (2, 1)),
        (L.Conv2DTranspose, (2, 1)),
        (L.SeparableConv2D, (2, 1)),
        (L.DepthwiseConv2D, (1,)),
        (L.ZeroPadding2D, ()),
        (L.Cropping3D, ()),
        (L.UpSampling2D, ()),
    ]:
        assert cls(*arguments).data_format == FIRST
        assert cls(*arguments, data_format=LAST).data_format == LAST
    assert L.Conv1D(2, 1).data_format == LAST
    layer = L.Conv2D(4, (2, 3))
    run(layer, floats(1, 3, 5, 6))
    assert layer.get_weights()[0].shape == (2, 3, 3, 4)


# -- kernels of Keras 1 -----------------------------------------------------------------------------------------------


def filters_first(kernel: np.ndarray) -> np.ndarray:
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def filters_last(kernel: np.ndarray) -> np.ndarray:
    return np.moveaxis(kernel, (0, 1), (-1, -2))


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize(
    ("make", "shapes", "value"),
    [
        (
            lambda **k: L.Convolution2D(4, 3, 2, **k),
            [(4, 3, 3, 2), (4,)],
            lambda x, w, b: correlate(x, filters_last(w), (1, 1)) + b,
        ),
        (
            lambda **k: L.Convolution2D(4, 3, 2, border_mode="full", **k),
            [(4, 3, 3, 2), (4,)],
            lambda x, w, b: correlate(x, filters_last(w), (1, 1), "full") + b,
        ),
        (
            lambda **k: L.Deconvolution2D(4, 3, 2, output_shape=(None, 4, 8, 8), **k),
            [(4, 3, 3, 2), (4,)],
            lambda x, w, b: spread_out(x, filters_last(w).swapaxes(-1, -2), (1, 1), (8, 8)) + b,
        ),
        (
            lambda **k: L.SeparableConvolution2D(4, 3, 2, depth_multiplier=2, **k),
            [(2, 3, 3, 2), (4, 6, 1, 1), (4,)],
            lambda x, w, v, b: depthwise(x, filters_last(w), (1, 1)) @ v[:, :, 0, 0].T + b,
        ),
    ],
    ids=["convolution", "full", "deconvolution", "separable"],
)
def test_dim_ordering_th_means_kernels_with_the_filters_in_front(
    make: Any, shapes: Any, value: Any, level: str
) -> None:
    x = floats(2, 6, 7, 3)
    with api_level(level):
        layer = make(dim_ordering="th")
        run(layer, moved(x, FIRST))
        assert [w.shape for w in layer.get_weights()] == shapes
        weights = [floats(*shape, seed=i) for i, shape in enumerate(shapes)]
        layer.set_weights(weights)
        got = run(layer, moved(x, FIRST))
        np.testing.assert_allclose(got, moved(value(x, *weights), FIRST), atol=3e-5)
    # At any level the config makes the same layer again.
    assert layer.get_config()["kernel_format"] == FIRST
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    run(again, moved(x, FIRST))
    again.set_weights(weights)
    np.testing.assert_array_equal(run(again, moved(x, FIRST)), got)


def test_convolution_3d_th() -> None:
    layer = L.Convolution3D(4, 2, 3, 2, dim_ordering="th")
    x = floats(2, 4, 5, 4, 3)
    got = run(layer, moved(x, FIRST))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (4, 3, 2, 3, 2)
    np.testing.assert_allclose(got, moved(correlate(x, filters_last(kernel), (1, 1, 1)) + bias, FIRST), atol=1e-5)


def test_data_format_of_keras_2_keeps_its_kernels() -> None:
    for level in ("1.2", "2.2", "2.3"):
        with api_level(level):
            layer = L.Conv2D(4, (3, 2), data_format=FIRST)
            run(layer, floats(1, 3, 6, 7))
            assert layer.get_weights()[0].shape == (3, 2, 3, 4)
            assert "kernel_format" not in layer.get_config()


@pytest.mark.usefixtures("channels_first")
def test_at_level_1_2_the_settings_give_the_order_of_kernels_too() -> None:
    with api_level("1.2"):
        layer = L.Convolution2D(4, 3, 2)
        run(layer, floats(1, 3, 6, 7))
        assert layer.get_weights()[0].shape == (4, 3, 3, 2)


def test_the_kernel_of_a_convolution_1d_at_level_1_2() -> None:
    x = floats(2, 9, 3)
    with api_level("1.2"):
        layer = L.Convolution1D(5, 4, subsample_length=2)
        run(layer, x)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (4, 1, 3, 5)
    np.testing.assert_allclose(run(layer, x), correlate(x, kernel[:, 0], (2,)) + bias, atol=1e-5)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    run(again, x)
    assert again.get_weights()[0].shape == (4, 1, 3, 5)
    later = L.Convolution1D(5, 4)
    run(later, x)
    assert later.get_weights()[0].shape == (4, 3, 5)


def test_the_kernel_of_a_convolution_1d_at_level_0_3() -> None:
    x = floats(2, 9, 3)
    with api_level("0.3"):
        layer = L.Convolution1D(5, 4)
        got = run(layer, x)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (5, 3, 4, 1)
    np.testing.assert_allclose(got, correlate(x, kernel[..., 0].transpose(2, 1, 0), (1,)) + bias, atol=1e-5)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    run(again, x)
    assert again.get_weights()[0].shape == (5, 3, 4, 1)


def test_first_weights_count_inputs_and_outputs_as_keras_1() -> None:
    """glorot_uniform: within sqrt(6 / (fan_in + fan_out)); 1.2.2 takes a 1D kernel for one of (4, 1, 30, 50) 'th'."""
    with api_level("1.2"):
        long = L.Convolution1D(50, 4)
        run(long, floats(1, 9, 30))
        wide = L.Convolution2D(50, 4, 2, dim_ordering="th")
        run(wide, floats(1, 30, 9, 8))
    for layer, fans in [(long, 30 * 50 * (1 + 4)), (wide, 8 * (30 + 50))]:
        kernel, limit = layer.get_weights()[0], np.sqrt(6 / fans)
        assert 0.97 * limit < np.abs(kernel).max() <= limit
        assert not layer.get_weights()[1].any()


def test_a_function_of_the_user_starts_a_kernel_in_the_order_it_has() -> None:
    asked = []

    def start(shape: Any, name: Any = None, dtype: Any = None) -> np.ndarray:
        asked.append(tuple(shape))
        return np.arange(np.prod(shape), dtype="float32").reshape(shape)

    layer = L.Convolution2D(4, 3, 2, init=start, dim_ordering="th")
    run(layer, floats(1, 3, 6, 7))
    assert asked == [(4, 3, 3, 2)]
    assert layer.get_weights()[0][0, 0, 0, 1] == 1


# -- in models --------------------------------------------------------------------------------------------------------


def test_a_model_is_made_again_from_its_json() -> None:
    model = Sequential(
        [
            L.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 3)),
            L.ZeroPadding2D(),
            L.SeparableConv2D(3, 2),
            L.Conv2DTranspose(2, 3, strides=2, padding="same"),
            L.Cropping2D(1),
            L.UpSampling2D(2),
            L.DepthwiseConv2D(2),
        ]
    )
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    x = floats(2, 8, 8, 3)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.output_shape == model.output_shape == (None, 23, 23, 2)


def test_training_follows_the_gradient() -> None:
    """One step of SGD on the mean of the outputs: the gradient of the kernel is known in closed form."""
    model = Sequential([L.Conv2D(1, 2, use_bias=False, input_shape=(3, 3, 1)), L.Flatten()])
    x = floats(1, 3, 3, 1)
    model.compile("sgd", lambda true, predicted: K.mean(predicted, axis=-1))
    before = model.get_weights()[0]
    model.train_on_batch(x, np.zeros((1, 4), dtype="float32"))
    gradient = np.array([[x[0, i : i + 2, j : j + 2].mean() for j in range(2)] for i in range(2)])
    np.testing.assert_allclose(before - model.get_weights()[0], 0.01 * gradient.reshape(2, 2, 1, 1), atol=1e-6)


def test_layers_on_eager_tensors() -> None:
    layer = L.Conv2D(4, 3, padding="same")
    x = floats(2, 5, 6, 3)
    got = layer(at.asarray(x))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(got.numpy(), correlate(x, kernel, (1, 1), "same") + bias, atol=1e-5)


def test_a_layer_that_is_shared_has_one_kernel() -> None:
    layer = L.Conv1D(2, 3)
    a, b = L.Input(shape=(5, 3)), L.Input(shape=(None, 3))
    model = Model([a, b], [layer(a), layer(b)])
    assert len(model.weights) == 2
    assert layer.get_output_shape_at(0) == (None, 3, 2) and layer.get_output_shape_at(1) == (None, None, 2)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Conv2D(0, 3), "`filters` argument must be a whole number of at least 1; got 0"),
        (lambda: L.Conv2D(4, (3, 3, 3)), "`kernel_size` argument must be .*2 whole numbers.*got .3, 3, 3"),
        (lambda: L.Conv2D(4, 3, strides=0), "`strides` argument"),
        (lambda: L.Conv2D(4, 3, padding="causal"), "is for sequences"),
        (lambda: L.Conv2D(4, 3, padding="reflect"), '"valid", "same"'),
        (lambda: L.Conv2D(4, 3, data_format="last"), "channels_last, channels_first"),
        (lambda: L.SeparableConv2D(4, 3, padding="full"), '"valid", "same"'),
        (lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=2), "must be greater than output padding"),
        (lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=(1, -1)), "at least 0"),
        (lambda: L.ZeroPadding2D((1, 2, 3)), "`padding` should be an int, a tuple of 2 ints"),
        (lambda: L.ZeroPadding2D(-1), "at least 0"),
        (lambda: L.Cropping3D(((1, 1), (1, 1))), "`cropping` should be an int, a tuple of 3 ints"),
        (lambda: L.UpSampling2D(interpolation="cubic"), "interpolation should be one of"),
        (lambda: L.UpSampling1D(0), "`size` argument"),
        (lambda: L.Conv1D(2, 3, kernel=4), "kernel"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: L.Conv2D(4, 3), (5, 5, None), "channel dimension of the inputs should be defined"),
        (lambda: L.Conv2D(4, 3), (5, 5), "expected ndim=4, found ndim=3"),
        (lambda: L.Conv2D(4, 3), (2, 2, 3), "that fit into the input"),
        (lambda: L.Cropping2D(2), (4, 5, 1), "leaves nothing"),
        (lambda: L.DepthwiseConv2D(3), (5, 5, None), "channel dimension"),
    ],
)
def test_wrong_inputs(layer: Any, shape: Any, message: str) -> None:
    with pytest.raises((ValueError, at.AutotensorError), match=message):
        layer()(L.Input(shape=shape))


def test_a_built_layer_holds_to_its_channels() -> None:
    layer = L.Conv2D(4, 3)
    layer(L.Input(shape=(5, 5, 3)))
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3"):
        layer(L.Input(shape=(5, 5, 4)))


def test_integers_beside_words_of_keras_2_are_refused_with_a_value_error() -> None:
    """As 2.3.1 does: is 1 the width of the kernel, or the stride?"""
    with pytest.raises(ValueError, match="two ways"):
        L.Conv2D(4, 3, 1, padding="same")


def test_words_of_other_kernels_are_dropped_with_a_note_as_keras_2_drops_them() -> None:
    words: dict[str, Any] = {"kernel_initializer": "he_normal", "kernel_regularizer": "l2", "kernel_constraint": None}
    for make, sizes in ((L.SeparableConv1D, (4, 3)), (L.SeparableConv2D, (4, 3)), (L.DepthwiseConv2D, (3,))):
        assert make(*sizes, name="conv", **words).get_config() == make(*sizes, name="conv").get_config()
