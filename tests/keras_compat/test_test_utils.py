"""utils.test_utils: every layer keeps the contract that `layer_test` checks, and `layer_test` finds who does not."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.engine import InputSpec
from keras_compat.utils.test_utils import get_test_data, keras_test, layer_test

pytestmark = pytest.mark.usefixtures("without_kernels")

PENALTIES = {
    "kernel_regularizer": "l2",
    "bias_regularizer": "l2",
    "activity_regularizer": "l2",
    "kernel_constraint": "max_norm",
    "bias_constraint": "max_norm",
}
OLD_PENALTIES = {
    "W_regularizer": "l2",
    "b_regularizer": "l2",
    "activity_regularizer": "activity_l2",
    "W_constraint": "maxnorm",
    "b_constraint": "maxnorm",
}
SEPARABLE = {"depthwise_regularizer": "l2", "pointwise_regularizer": "l2", "depthwise_constraint": "unit_norm"}
FIRST, LAST = "channels_first", "channels_last"
WORDS = {"input_dtype": "int32", "expected_output_dtype": "float32"}


def twice(t: Any) -> Any:
    return t * 2


def doubled(shape: Any) -> Any:
    return (*shape[:-1], 2 * shape[-1])


# Layer -> [(arguments, input shape, further arguments of layer_test)]
ROWS: dict[str, list[tuple[dict[str, Any], Any, dict[str, Any]]]] = {
    "Activation": [({"activation": "relu"}, (3, 2), {}), ({"activation": K.relu}, (3, 2), {})],
    "ActivityRegularization": [({"l1": 0.01, "l2": 0.01}, (3, 2), {})],
    "AlphaDropout": [({"rate": 0.2}, (3, 2, 3), {})],
    "AtrousConvolution1D": [({**OLD_PENALTIES, "nb_filter": 2, "filter_length": 3, "atrous_rate": 2}, (2, 9, 3), {})],
    "AtrousConvolution2D": [
        ({"nb_filter": 2, "nb_row": 3, "nb_col": 2, "border_mode": "same", "atrous_rate": (2, 2)}, (2, 6, 5, 3), {})
    ],
    "AveragePooling1D": [({"strides": 2, "padding": "same", "data_format": FIRST}, (3, 5, 4), {})],
    "AveragePooling2D": [({"strides": (2, 2), "padding": "same", "pool_size": (2, 2)}, (3, 5, 6, 4), {})],
    "AveragePooling3D": [({"strides": 2, "pool_size": 3, "data_format": FIRST}, (2, 4, 6, 5, 3), {})],
    "BatchNormalization": [
        ({"momentum": 0.9, "epsilon": 0.1, "axis": 1, "gamma_regularizer": "l2"}, (3, 4, 2), {}),
        ({"scale": False, "center": False}, (3, 4, 2, 4), {}),
        ({"mode": 1}, (3, 4, 2), {}),
        ({"mode": 2}, (3, 4), {}),
    ],
    "Conv1D": [
        ({**PENALTIES, "filters": 3, "kernel_size": 3, "padding": "same"}, (2, 8, 2), {}),
        ({"nb_filter": 3, "filter_length": 3, "subsample_length": 2}, (2, None, 2), {}),
        ({"filters": 3, "kernel_size": 3, "data_format": FIRST}, (2, 2, 8), {}),
    ],
    "Conv2D": [
        ({**PENALTIES, "filters": 2, "kernel_size": 3, "strides": (2, 2)}, (2, 7, 6, 3), {}),
        ({**OLD_PENALTIES, "nb_filter": 2, "nb_row": 3, "nb_col": 2, "dim_ordering": "th"}, (2, 3, 7, 6), {}),
        ({"filters": 2, "kernel_size": (2, 1), "dilation_rate": (2, 2)}, (2, None, None, 3), {}),
    ],
    "Conv2DTranspose": [
        (
            {"filters": 2, "kernel_size": 3, "strides": (2, 2), "output_padding": (1, 1)},
            (2, 5, 6, 3),
            {"fixed_batch_size": True},
        ),
        ({**PENALTIES, "filters": 2, "kernel_size": 3, "data_format": FIRST}, (2, 3, 5, 6), {}),
    ],
    "Conv3D": [
        ({**PENALTIES, "filters": 2, "kernel_size": (1, 2, 3), "strides": (2, 2, 2)}, (2, 5, 4, 5, 3), {}),
        ({"nb_filter": 2, "kernel_dim1": 2, "kernel_dim2": 2, "kernel_dim3": 1}, (2, 4, 4, 3, 3), {}),
    ],
    "Conv3DTranspose": [
        (
            {"filters": 2, "kernel_size": 3, "strides": (2, 2, 2), "data_format": FIRST},
            (None, 3, 4, 3, 3),
            {"fixed_batch_size": True},
        )
    ],
    "ConvLSTM2D": [({"filters": 2, "kernel_size": 2, "return_sequences": True}, (2, 3, 4, 4, 2), {})],
    "CuDNNGRU": [({"units": 3}, (2, 3, 4), {})],
    "CuDNNLSTM": [({"units": 3, "return_sequences": True}, (2, 3, 4), {})],
    "Cropping1D": [({"cropping": (2, 1)}, (2, 5, 2), {})],
    "Cropping2D": [({"cropping": ((2, 1), (1, 3)), "data_format": FIRST}, (2, 3, 6, 7), {})],
    "Cropping3D": [({"cropping": ((2, 1), (1, 1), (0, 2))}, (2, 5, 4, 5, 2), {})],
    "Dense": [
        ({**PENALTIES, "units": 3}, (3, 2), {}),
        ({**OLD_PENALTIES, "output_dim": 3}, (3, 4, 2), {}),
        ({"units": 3}, (None, None, 2), {}),
    ],
    "DepthwiseConv2D": [({"kernel_size": 3, "depth_multiplier": 2, "data_format": FIRST}, (2, 3, 7, 6), {})],
    "Dropout": [({"rate": 0.5, "noise_shape": [None, 1]}, (3, 2), {}), ({"p": 0.5}, (3, 2), {})],
    "ELU": [({"alpha": 0.5}, (2, 3, 4), {})],
    "Embedding": [
        ({"output_dim": 4, "input_dim": 10, "input_length": 2}, (3, 2), WORDS),
        ({"output_dim": 4, "input_dim": 10, "mask_zero": True, "input_length": (None, 5)}, (3, 2, 5), WORDS),
        ({"output_dim": 4, "input_dim": 10, "dropout": 0.2}, (3, 2), WORDS),
    ],
    "Flatten": [({}, (3, 2, 4), {}), ({"data_format": FIRST}, (3, 2, 4, 2), {})],
    "GRU": [({"units": 3, "reset_after": True}, (2, 3, 4), {}), ({"output_dim": 3, "dropout_W": 0.1}, (2, 3, 4), {})],
    "GaussianDropout": [({"rate": 0.5}, (3, 2, 3), {})],
    "GaussianNoise": [({"stddev": 1.0}, (3, 2, 3), {}), ({"sigma": 1.0}, (3, 2, 3), {})],
    **{
        f"Global{kind}Pooling{n}D": [({"data_format": order}, (2, 4, 3, 4, 3)[: n + 2], {}) for order in (FIRST, LAST)]
        for kind in ("Average", "Max")
        for n in (1, 2, 3)
    },
    "Highway": [({}, (3, 2), {}), (OLD_PENALTIES, (3, 2), {})],
    "LSTM": [
        ({"units": 3, "return_sequences": True, "implementation": 2}, (2, None, 4), {}),
        ({"output_dim": 3, "consume_less": "gpu", "dropout_U": 0.1}, (2, 3, 4), {}),
    ],
    "Lambda": [
        ({"function": lambda t: t + 1}, (3, 2), {}),
        ({"function": lambda t, a, b: t * a + b, "arguments": {"a": 0.6, "b": 0.4}}, (3, 2), {}),
        ({"function": lambda t: K.concatenate([t, twice(t)]), "output_shape": doubled}, (3, 2), {}),
        ({"function": lambda t: K.mean(t, axis=-1)}, (3, 2, 4), {}),
    ],
    "LayerNormalization": [({"gamma_regularizer": "l2", "beta_constraint": "non_neg"}, (3, 4, 2), {})],
    "LeakyReLU": [({"alpha": alpha}, (2, 3, 4), {}) for alpha in (0.0, 0.5, -1.0)],
    "LocallyConnected1D": [({**PENALTIES, "filters": 4, "kernel_size": 3}, (2, 6, 5), {})],
    "LocallyConnected2D": [
        ({"filters": 3, "kernel_size": 3, "strides": (2, 2), "data_format": order}, (3, 6, 7, 5), {})
        for order in (FIRST, LAST)
    ],
    "Masking": [({}, (3, 2, 3), {})],
    "MaxPooling1D": [({"stride": 2, "border_mode": "same"}, (3, 5, 4), {})],
    "MaxPooling2D": [({"strides": (2, 3), "pool_size": (3, 3)}, (3, 5, 6, 4), {})],
    "MaxPooling3D": [({"strides": 2, "pool_size": 3}, (2, 5, 6, 5, 3), {})],
    "MaxoutDense": [({**OLD_PENALTIES, "output_dim": 3}, (3, 2), {})],
    "PReLU": [({}, (2, 3, 4), {}), ({"shared_axes": 1}, (2, 3, 4), {})],
    "ParametricSoftplus": [({"alpha_init": 1.0, "beta_init": -1}, (2, 3, 4), {})],
    "Permute": [({"dims": (2, 1)}, (3, 2, 4), {})],
    "RNN": [({"cell": L.SimpleRNNCell(3)}, (2, 3, 4), {}), ({"cell": [L.GRUCell(3), L.LSTMCell(2)]}, (2, 3, 4), {})],
    "ReLU": [({"max_value": 10, "negative_slope": 0.2, "threshold": 3.0}, (2, 3, 4), {})],
    "RepeatVector": [({"n": 3}, (3, 2), {})],
    "Rescaling": [({"scale": 0.5, "offset": [1.0, 2.0]}, (3, 2), {})],
    "Reshape": [({"target_shape": (1, -1)}, (3, 2, 4), {}), ({"target_shape": (-1, 1)}, (None, None, 4), {})],
    "SReLU": [({}, (2, 3, 4), {}), ({"shared_axes": [1]}, (2, 3, 4), {})],
    "SeparableConv1D": [({**SEPARABLE, "filters": 6, "kernel_size": 3, "data_format": FIRST}, (2, 3, 9), {})],
    "SeparableConv2D": [
        ({**SEPARABLE, "filters": 6, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, (2, 7, 6, 3), {}),
        ({"nb_filter": 6, "nb_row": 3, "nb_col": 3, "dim_ordering": "th"}, (2, 3, 7, 6), {}),
    ],
    "SimpleRNN": [({"units": 3, "unroll": True}, (2, 3, 4), {})],
    "Softmax": [({"axis": 1}, (2, 3, 4), {})],
    "SpatialDropout1D": [({"rate": 0.5}, (2, 3, 4), {})],
    "SpatialDropout2D": [({"rate": 0.5, "data_format": FIRST}, (2, 3, 4, 5), {})],
    "SpatialDropout3D": [({"p": 0.5, "dim_ordering": "tf"}, (2, 3, 4, 5, 3), {})],
    "ThresholdedLinear": [({"theta": 0.5}, (2, 3, 4), {})],
    "ThresholdedReLU": [({"theta": 0.5}, (2, 3, 4), {})],
    "TimeDistributedDense": [({**OLD_PENALTIES, "output_dim": 2, "input_length": 2}, (3, 2, 3), {})],
    "TimeDistributedMerge": [({"mode": "ave"}, (3, 2, 3), {})],
    "UpSampling1D": [({"length": 2}, (3, 5, 4), {})],
    "UpSampling2D": [({"size": (2, 3), "interpolation": "bilinear", "data_format": FIRST}, (2, 3, 4, 5), {})],
    "UpSampling3D": [({"size": (2, 3, 2)}, (2, 2, 3, 2, 4), {})],
    "ZeroPadding1D": [({"padding": (1, 2)}, (2, 5, 2), {}), ({"padding": {"left_pad": 1}}, (2, 5, 2), {})],
    "ZeroPadding2D": [
        ({"padding": ((1, 2), (3, 4)), "data_format": FIRST}, (2, 3, 4, 5), {}),
        ({"padding": (1, 2, 3, 4)}, (2, 4, 5, 2), {}),
    ],
    "ZeroPadding3D": [({"padding": ((1, 2), (3, 4), (0, 2))}, (2, 3, 2, 3, 2), {})],
}

# Why a layer has no row: it takes several tensors, other layers, or nothing at all.
OTHERS = {
    "several inputs": {"Add", "Average", "Concatenate", "Dot", "LambdaMerge", "Maximum", "Merge", "Minimum"}
    | {"Multiply", "Siamese", "SiameseHead", "Subtract"},
    "around another layer": {"AutoEncoder", "Bidirectional", "ConvRNN2D", "TimeDistributed", "Wrapper"},
    "a cell of a recurrent layer": {"ConvLSTM2DCell", "GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"},
    "a base class": {"ConvRecurrent2D", "Layer", "MaskedLayer", "Recurrent"},
    "no input": {"InputLayer"},
}


def test_every_layer_has_a_row() -> None:
    offered = {c.__name__ for c in vars(L).values() if inspect.isclass(c) and issubclass(c, L.Layer)}
    assert offered == set(ROWS) | set().union(*OTHERS.values())


@pytest.mark.parametrize(("name", "i"), [(name, i) for name, rows in ROWS.items() for i in range(len(rows))])
def test_layer(name: str, i: int) -> None:
    kwargs, shape, more = ROWS[name][i]
    layer_test(getattr(L, name), kwargs=kwargs, input_shape=shape, **more)


def test_expected_output() -> None:
    x = np.arange(4, dtype="float32").reshape(1, 4, 1)
    kwargs = {"filters": 1, "kernel_size": 2, "padding": "causal", "kernel_initializer": "ones", "use_bias": False}
    layer_test(L.Conv1D, kwargs, input_data=x, expected_output=[[[0], [1], [3], [5]]])
    with pytest.raises(AssertionError, match="prediction"):
        layer_test(L.Conv1D, kwargs, input_data=x, expected_output=[[[0], [1], [3], [6]]])


class Scale(L.Layer):
    """A layer that keeps the contract."""

    def __init__(self, by: float = 2.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.by = by

    def call(self, inputs: Any) -> Any:
        return inputs * self.by

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by": self.by}


class WrongShape(Scale):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] + 1)


class ForgetsArgument(Scale):
    def get_config(self) -> dict[str, Any]:
        return L.Layer.get_config(self)


class WrongType(Scale):
    def call(self, inputs: Any) -> Any:
        return K.cast(inputs, "float64")


class Picky(Scale):
    """Refuses a second tensor of another length."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = [InputSpec(shape=(None, 5))]


def test_a_layer_of_ones_own_needs_no_registration() -> None:
    output = layer_test(Scale, {"by": 3.0}, input_data=np.ones((2, 3), "float32"), expected_output=np.full((2, 3), 3.0))
    assert output.shape == (2, 3)


@pytest.mark.parametrize(
    ("layer", "kwargs", "error", "message"),
    [
        (WrongShape, {}, AssertionError, "compute_output_shape says"),
        (ForgetsArgument, {"by": 3.0}, AssertionError, "a copy made from the config"),
        (WrongType, {}, AssertionError, "expected to be float32; it is float64"),
        (Picky, {}, ValueError, "Picky|picky"),
    ],
)
def test_a_layer_that_breaks_the_contract_is_found(layer: Any, kwargs: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        layer_test(layer, kwargs, input_shape=(2, 3))


def test_arguments_of_the_caller_stay_as_they_are() -> None:
    kwargs = {"units": 3, "weights": [np.ones((2, 3)), np.zeros(3)]}
    before = dict(kwargs)
    output = layer_test(L.Dense, kwargs, input_data=np.ones((2, 2), "float32"))
    np.testing.assert_allclose(output.shape, (2, 3))
    assert kwargs == before


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_words_of_both_lines(level: str) -> None:
    with api_level(level):
        old = get_test_data(nb_train=5, nb_test=3, input_shape=(4, 2), nb_class=3)  # type: ignore[call-arg]
        new = get_test_data(num_train=5, num_test=3, input_shape=(4, 2), num_classes=3)
        layer_test(L.Dense, {"units": 2}, (2, 3), dtype="float64")  # type: ignore[call-arg]
    for (x, y), (x2, y2) in ((old[0], new[0]), (old[1], new[1])):
        assert (x.shape, y.shape) == (x2.shape, y2.shape)
    assert old[0][0].shape == (5, 4, 2)
    assert old[1][1].shape == (3,)


def test_data_follow_their_class() -> None:
    (x, y), (x_test, y_test) = get_test_data(400, 100, input_shape=(6,), num_classes=3)
    for k in range(3):
        np.testing.assert_allclose(x[y == k].mean(), k, atol=0.1)
        np.testing.assert_allclose(x[y == k].std(), 0.7, atol=0.1)
    assert set(y_test) <= {0, 1, 2}
    assert x_test.shape == (100, 6)


@pytest.mark.parametrize("classification", [True, False])
def test_data_are_drawn_as_in_keras(classification: bool) -> None:
    """Sample by sample from NumPy's global generator, so that seeded programs see the same numbers."""
    np.random.seed(5)
    (x, y), (x_test, y_test) = get_test_data(3, 2, (2, 2), (3,), classification, 4)
    np.random.seed(5)
    centres = np.random.randint(0, 4, size=(5,)) if classification else np.random.random((5,))
    for i in range(5):
        expected = np.random.normal(loc=centres[i], scale=0.7, size=(2, 2))
        target = centres[i] if classification else np.random.normal(loc=centres[i], scale=0.7, size=(3,))
        np.testing.assert_array_equal([*x, *x_test][i], expected)
        np.testing.assert_array_equal([*y, *y_test][i], target)


def test_keras_test_starts_the_automatic_names_again() -> None:
    @keras_test
    def check(n: int, scale: int = 1) -> int:
        """What it is for."""
        assert L.Dense(n * scale).name == "dense_1"
        return n * scale

    assert [check(2, scale=3), check(4)] == [6, 4]
    assert check.__doc__ == "What it is for."
