"""Keras 1's names of what a layer was made with, on the layer."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.models import Model
from tests.keras_compat.conv_oracles import correlate, floats


def called(layer: Any, shape: tuple[int, ...]) -> Any:
    layer(L.Input(shape))
    return layer


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: L.Dense(output_dim=3, init="uniform"), {"output_dim": 3}),
        (lambda: L.Dropout(0.25), {"p": 0.25}),
        (
            lambda: L.Convolution2D(4, 3, 2, subsample=(2, 1), border_mode="same", dim_ordering="th"),
            {
                "nb_filter": 4,
                "nb_row": 3,
                "nb_col": 2,
                "subsample": (2, 1),
                "border_mode": "same",
                "dim_ordering": "th",
            },
        ),
        (
            lambda: L.Convolution3D(4, 3, 2, 1),
            {"kernel_dim1": 3, "kernel_dim2": 2, "kernel_dim3": 1, "dim_ordering": "tf"},
        ),
        (
            lambda: L.Convolution1D(4, 3, subsample_length=2),
            {"nb_filter": 4, "filter_length": 3, "subsample_length": 2, "border_mode": "valid"},
        ),
        (lambda: L.MaxPooling1D(pool_length=3), {"pool_length": 3, "stride": 3, "border_mode": "valid"}),
        (lambda: L.UpSampling1D(length=3), {"length": 3}),
        (lambda: L.Dense(3, input_dim=5), {"input_dim": 5}),
        (lambda: L.Dense(3), {"input_dim": None}),
        (lambda: L.LSTM(3, input_dim=5, input_length=7), {"input_dim": 5, "input_length": 7}),
        (lambda: L.LSTM(3, input_shape=(None, 5)), {"input_dim": 5, "input_length": None}),
        (lambda: called(L.Convolution1D(4, 3), (7, 5)), {"input_dim": 5, "input_length": 7}),
        (lambda: called(L.Convolution2D(4, 3, 2, dim_ordering="th"), (3, 7, 5)), {"W_shape": (4, 3, 3, 2)}),
    ],
)
def test_old_names_are_read(make: Any, names: dict[str, Any]) -> None:
    layer = make()
    assert {name: getattr(layer, name) for name in names} == names


def test_every_old_name_is_one_that_the_layer_was_called_with() -> None:
    old = L.Convolution2D(4, 3, 2, W_regularizer="l2", b_constraint="maxnorm", init="he_uniform")
    new = L.Conv2D(4, (3, 2), kernel_regularizer="l2", bias_constraint="maxnorm", kernel_initializer="he_uniform")
    for layer in (old, new):
        assert layer.W_regularizer is layer.kernel_regularizer
        assert layer.b_constraint is layer.bias_constraint
        weight = layer.init((3, 2, 1, 4), name="w")  # a function of shape and name that makes a variable
        assert K.is_variable(weight) and weight.shape == (3, 2, 1, 4) and weight.name == "w"
        assert layer.init.__name__ == "VarianceScaling"
        assert layer.bias is None  # Keras 2's name of the weight, not made yet


def test_what_a_subclass_sets_is_its_own() -> None:
    class Mine(L.Convolution2D):
        def __init__(self, nb_filter: int, **kwargs: Any):
            self.border_mode = "own"
            super().__init__(nb_filter, 3, 3, **kwargs)
            self.nb_row = "mine"

    layer = Mine(4)
    assert (layer.border_mode, layer.nb_row, layer.nb_col) == ("own", "mine", 3)
    assert (layer.padding, layer.kernel_size) == ("valid", (3, 3))


@pytest.mark.parametrize("order", ["th", "tf"])
def test_a_convolution_written_by_a_user_of_keras_1(order: str) -> None:
    class Doubled(L.Convolution2D):
        def call(self, x: Any, mask: Any = None) -> Any:
            output = K.conv2d(
                x, self.W, strides=self.subsample, border_mode=self.border_mode, dim_ordering=self.dim_ordering
            )
            shape = (1, self.nb_filter, 1, 1) if self.dim_ordering == "th" else (1, 1, 1, self.nb_filter)
            return 2 * (output + K.reshape(self.b, shape))

    x = floats(2, 5, 6, 3)
    given = np.moveaxis(x, -1, 1) if order == "th" else x
    inputs = L.Input(shape=given.shape[1:])
    layer = Doubled(4, 3, 2, subsample=(1, 2), border_mode="same", dim_ordering=order)
    got = Model(inputs, layer(inputs)).predict(given)
    kernel, bias = layer.get_weights()
    kernel = np.moveaxis(kernel, (0, 1), (-1, -2)) if order == "th" else kernel
    wanted = 2 * (correlate(x, kernel, (1, 2), "same") + bias)
    np.testing.assert_allclose(got, np.moveaxis(wanted, -1, 1) if order == "th" else wanted, atol=1e-5)
