"""Recurrent layers and cells as programs of Keras 1 and Keras 2 wrote them: subclasses, hooks, private names."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import constraints, initializations, regularizers
from keras_compat.dialect.level import api_level
from keras_compat.engine import InputSpec, Layer
from keras_compat.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Convolution2D,
    CuDNNGRU,
    CuDNNLSTM,
    Dense,
    Dropout,
    GRUCell,
    Input,
    Lambda,
    Masking,
    Recurrent,
    SimpleRNN,
    TimeDistributed,
)
from keras_compat.layers.recurrent import _generate_dropout_mask, _standardize_args, _time_distributed_dense
from keras_compat.legacy import interfaces
from keras_compat.models import Model, Sequential, model_from_json
from keras_compat.utils.generic_utils import object_list_uid

RNG = np.random.default_rng(17)


pytestmark = pytest.mark.usefixtures("small_and_exact")


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def same_after_json(model: Any, x: Any, custom_objects: dict[str, Any]) -> None:
    again = model_from_json(model.to_json(), custom_objects=custom_objects)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-12)


# -- subclasses of layers, made again from their configs --------------------------------------------------------------


class SlowLSTM(LSTM):
    """Keras 1: a share of the states stays as it was; its __init__ has the old word for the size."""

    def __init__(self, output_dim, keep=0.0, **kwargs):
        self.keep = keep
        super().__init__(output_dim, **kwargs)

    def step(self, x, states):
        h, c = states[0], states[1]
        _, [new_h, new_c] = super().step(x, states)
        new_h = K.in_train_phase(h + K.dropout(new_h - h, self.keep, noise_shape=(self.output_dim,)), new_h)
        out = self.keep * h + (1 - self.keep) * new_h
        return out, [out, self.keep * c + (1 - self.keep) * new_c]

    def get_config(self):
        config = {"keep": self.keep}
        base = super().get_config()
        return dict(list(base.items()) + list(config.items()))


class Doubled(Dense):
    def __init__(self, output_dim, factor=2, **kwargs):
        self.factor = factor
        super().__init__(output_dim, **kwargs)

    def call(self, x, mask=None):
        return self.factor * super().call(x)

    def get_config(self):
        return dict(super().get_config(), factor=self.factor)


class Pictures(Convolution2D):
    def __init__(self, nb_filter, nb_row, nb_col, tag="", **kwargs):
        self.tag = tag
        super().__init__(nb_filter, nb_row, nb_col, **kwargs)

    def get_config(self):
        return dict(super().get_config(), tag=self.tag)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_subclasses_whose_init_has_old_words_come_back_from_configs(level: str) -> None:
    with api_level(level):
        x = numbers(2, 4, 3)
        model = Sequential([SlowLSTM(5, keep=0.3, input_shape=(4, 3), return_sequences=True), SlowLSTM(4, keep=0.1)])
        same_after_json(model, x, {"SlowLSTM": SlowLSTM})
        both = Bidirectional(SlowLSTM(3, keep=0.2))
        both(Input((4, 3)))
        assert (both.backward_layer.keep, both.backward_layer.output_dim) == (0.2, 3)
        for layer in (Doubled(4, factor=5, activation="relu"), Pictures(2, 3, 4, tag="a", border_mode="same")):
            again = type(layer).from_config(layer.get_config())
            assert again.get_config() == layer.get_config()
        assert (again.nb_row, again.nb_col, again.tag) == (3, 4, "a")


def test_configs_with_keras_1_penalties_and_constraints_as_arguments() -> None:
    # self.W_regularizer.get_config() within a layer's own get_config: no class name in it.
    assert regularizers.get(regularizers.l2(0.3).get_config()).l2 == pytest.approx(0.3)
    kept = constraints.get(constraints.MaxNorm(3.0, axis=1).get_config())
    assert isinstance(kept, constraints.MaxNorm) and (kept.max_value, kept.axis) == (3.0, 1)
    assert isinstance(constraints.get(constraints.UnitNorm(axis=2).get_config()), constraints.UnitNorm)
    with pytest.raises(ValueError, match="class_name"):
        regularizers.get({"l3": 1.0})


# -- Keras 1's Recurrent ----------------------------------------------------------------------------------------------


class Leaky(Recurrent):
    """Keras 1: all hooks by hand, the states too, with the question whether there are any."""

    def __init__(self, output_dim, init="glorot_uniform", inner_init="orthogonal", dropout_U=0.0, **kwargs):
        self.output_dim = output_dim
        self.init = initializations.get(init)
        self.inner_init = initializations.get(inner_init)
        self.dropout_U = dropout_U
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.input_spec = [InputSpec(shape=input_shape)]
        self.input_dim = input_shape[2]
        if self.stateful:
            self.reset_states()
        else:
            self.states = [None]
        self.W = self.init((self.input_dim, self.output_dim), name=f"{self.name}_W")
        self.U = self.inner_init((self.output_dim, self.output_dim), name=f"{self.name}_U")
        self.trainable_weights = [self.W, self.U]
        self.built = True

    def reset_states(self):
        shape = self.input_spec[0].shape
        if hasattr(self, "states"):
            K.set_value(self.states[0], np.zeros((shape[0], self.output_dim)))
        else:
            self.states = [K.zeros((shape[0], self.output_dim))]

    def get_constants(self, x):
        if not 0 < self.dropout_U < 1:
            return [K.cast_to_floatx(1.0)]
        ones = K.tile(K.ones_like(K.reshape(x[:, 0, 0], (-1, 1))), (1, self.output_dim))
        return [K.in_train_phase(K.dropout(ones, self.dropout_U), ones)]

    def preprocess_input(self, x):
        return _time_distributed_dense(x, self.W, input_dim=self.input_dim, output_dim=self.output_dim)

    def step(self, x, states):
        h, mask = states
        h = 0.5 * h + K.tanh(x + K.dot(h * mask, self.U))
        return h, [h]

    def get_config(self):
        return dict(super().get_config(), output_dim=self.output_dim, dropout_U=self.dropout_U)


def leaky(w: np.ndarray, u: np.ndarray, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    for t in range(x.shape[1]):
        h = 0.5 * h + np.tanh(x[:, t] @ w + h @ u)
    return h


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_states_kept_by_a_layer_of_keras_1(level: str) -> None:
    with api_level(level):
        model = Sequential([Leaky(4, stateful=True, batch_input_shape=(2, 3, 2), dropout_U=0.4)])
        w, u = model.get_weights()
        x, h = numbers(2, 3, 2), np.zeros((2, 4))
        for _ in range(2):
            h = leaky(w, u, x, h)
            np.testing.assert_allclose(model.predict(x, batch_size=2), h, atol=1e-12)
        model.reset_states()
        np.testing.assert_allclose(model.predict(x, batch_size=2), leaky(w, u, x, np.zeros((2, 4))), atol=1e-12)
        same_after_json(Sequential([Leaky(4, input_shape=(3, 2))]), x, {"Leaky": Leaky})


def test_sizes_of_the_input_are_attributes() -> None:
    with api_level("1.2"):
        layer = LSTM(output_dim=4, input_dim=3, input_length=7)
        assert (layer.input_dim, layer.input_length, layer.output_dim) == (3, 7, 4)
        later = GRU(4)
        assert later.input_dim is None
        later(Input((5, 2)))
        assert later.input_dim == 2


def test_what_a_recurrent_layer_lacks_is_said() -> None:
    with pytest.raises(AttributeError, match="not connected, no output to return"):
        _ = LSTM(3).output
    with pytest.raises(AttributeError, match="'LSTM' object has no attribute 'nothing'"):
        _ = LSTM(3).nothing


def test_a_layer_is_asked_for_its_output_by_hand() -> None:
    # As tests of Keras 0.x did: an input set from outside, then get_output.
    with api_level("1.2"):
        x = numbers(2, 3, 4)
        layer = SimpleRNN(5, return_sequences=True, input_shape=(3, 4))
        layer.input = K.variable(x)
        got = [K.eval(layer.get_output(train)) for train in (True, False)]
        assert layer.get_output_mask() is None and layer.get_input() is layer.input
        w, h = layer.get_weights(), np.zeros((2, 5))
        for t in range(3):
            h = np.tanh(x[:, t] @ w[0] + h @ w[1] + w[2])
            np.testing.assert_allclose(got[0][:, t], h, atol=1e-12)
        np.testing.assert_array_equal(got[0], got[1])


# -- Keras 2's cells --------------------------------------------------------------------------------------------------


class Nested(RNN):
    """Keras 2: a layer around a cell that keeps its masks itself, with Keras 2's private helpers."""

    @interfaces.legacy_recurrent_support
    def __init__(self, units, dropout=0.0, activation="tanh", **kwargs):
        super().__init__(NestedCell(units, dropout), **kwargs)

    def call(self, inputs, mask=None, training=None, initial_state=None, constants=None):
        self.cell.masks = self.cell.mask = None
        return super().call(inputs, mask=mask, training=training, initial_state=initial_state, constants=constants)


class NestedCell(Layer):
    def __init__(self, units, dropout, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dropout = units, dropout
        self.state_size = (units, units)
        self.masks = self.mask = None

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel")
        self.built = True

    def call(self, inputs, states, training=None):
        if self.masks is None:
            ones = K.ones_like(inputs)
            self.masks = _generate_dropout_mask(ones, self.dropout, training=training, count=2)
            self.mask = _generate_dropout_mask(K.ones_like(states[0]), self.dropout, training=training)
        one, two = [K.dot(inputs * m, self.kernel) for m in self.masks]
        h = K.tanh(one * two + states[0] * self.mask)
        if training is None:
            h._uses_learning_phase = True
        return h, [h, states[1] + h]


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_with_masks_of_its_own(unroll: bool) -> None:
    inp = Input((6, 2))
    layer = Nested(output_dim=3, dropout_W=0.5, return_sequences=True, unroll=unroll)
    model = Model(inp, layer(inp))
    assert (layer.cell.units, layer.cell.dropout) == (3, 0.5) and model.uses_learning_phase
    layer.set_weights([np.ones((2, 3))])
    x = np.ones((40, 6, 2))
    h = np.zeros((40, 3))
    for t in range(6):
        h = np.tanh(4 + h)
        np.testing.assert_allclose(model.predict(x)[:, t], h, atol=1e-12)
    first = K.function([inp, K.learning_phase()], model.outputs)([x, 1])[0][:, 0]
    # Each of two inputs is 0 or 2 in each of the masks: the products of the sums are 0, 4, 8 or 16.
    found = np.round(np.arctanh(np.minimum(first, 1 - 1e-16)), 6)
    assert {0.0, 4.0} <= set(np.unique(np.minimum(found, 9))) and len(np.unique(found)) <= 4


def test_private_helpers_of_keras_2() -> None:
    x, s, c = (Input((4,)) for _ in range(3))
    assert _standardize_args([x, s, c], None, None, 1) == (x, [s], [c])
    assert _standardize_args([x, s], None, None, None) == (x, [s], None)
    assert _standardize_args(x, s, (c,), None) == (x, [s], [c])
    assert _standardize_args([x], None, None, None) == (x, None, None)


def test_words_of_keras_1_for_layers_of_ones_own() -> None:
    seen: dict[str, Any] = {}

    class Mine:
        @interfaces.legacy_conv2d_support
        def __init__(self, filters, kernel_size, **kwargs):
            seen.update(kwargs, filters=filters, kernel_size=kernel_size)

    class Gates:
        @interfaces.legacy_recurrent_support
        def __init__(self, units, **kwargs):
            seen.update(kwargs, units=units)

    Mine(nb_filter=3, nb_row=2, nb_col=4, border_mode="same", dim_ordering="th", subsample=(2, 1), init="uniform")
    assert seen == {
        "filters": 3,
        "kernel_size": (2, 4),
        "padding": "same",
        "data_format": "channels_first",
        "strides": (2, 1),
        "kernel_initializer": "uniform",
    }
    seen.clear()
    Gates(4, inner_activation="sigmoid", consume_less="gpu", dropout_U=0.5, forget_bias_init="one", stateful=True)
    assert seen == {
        "units": 4,
        "recurrent_activation": "sigmoid",
        "implementation": 2,
        "recurrent_dropout": 0.5,
        "unit_forget_bias": True,
        "stateful": True,
    }


@pytest.mark.parametrize(("kind", "gates"), [(CuDNNGRU, "zrh"), (CuDNNLSTM, "ifco")])
def test_parts_of_cudnn_weights(kind: Any, gates: str) -> None:
    layer, n = kind(2), len(gates)
    layer(Input((5, 3)))
    kernel, recurrent, bias = numbers(3, 2 * n), numbers(2, 2 * n), numbers(4 * n)
    layer.set_weights([kernel, recurrent, bias])
    np.testing.assert_array_equal(K.get_value(layer.kernel), kernel)
    for k, gate in enumerate(gates):
        part = slice(2 * k, 2 * k + 2)
        np.testing.assert_array_equal(K.eval(getattr(layer, f"kernel_{gate}")), kernel[:, part])
        np.testing.assert_array_equal(K.eval(getattr(layer, f"recurrent_kernel_{gate}")), recurrent[:, part])
        np.testing.assert_array_equal(K.eval(getattr(layer, f"bias_{gate}_i")), bias[part])
        np.testing.assert_array_equal(K.eval(getattr(layer, f"bias_{gate}")), bias[2 * n :][part])
    with pytest.raises(AttributeError):
        _ = layer.kernel_q


# -- wrappers ---------------------------------------------------------------------------------------------------------


class NeedsBatch(Layer):
    """Written for one size of batch, as programs did that sample or reshape."""

    def call(self, x, mask=None):
        return K.reshape(x, (4, 2)) - K.mean(x, axis=0, keepdims=True)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize(
    "make",
    [
        NeedsBatch,
        lambda: Lambda(lambda x: x - K.mean(x, axis=0, keepdims=True)),
        lambda: Sequential([NeedsBatch(input_shape=(2,))]),
    ],
)
def test_a_users_layer_in_a_fixed_batch_gets_one_step_at_a_time(make: Any, level: str) -> None:
    with api_level(level):
        x = numbers(4, 3, 2)
        inp = Input(batch_shape=(4, 3, 2))
        y = TimeDistributed(make())(inp)
        assert K.int_shape(y) == (4, 3, 2)
        np.testing.assert_allclose(Model(inp, y).predict(x, batch_size=4), x - x.mean(axis=0), atol=1e-12)


def test_layers_of_the_package_get_all_steps_at_once() -> None:
    # Keras fails here: the new averages stay within its loop over the steps.
    model = Sequential([TimeDistributed(BatchNormalization(momentum=0.5), batch_input_shape=(4, 3, 2))])
    model.compile("sgd", "mse")
    x = 3 + numbers(4, 3, 2)
    with api_level("2.3"):
        model.train_on_batch(x, x)
    np.testing.assert_allclose(model.get_weights()[2], 0.5 * x.mean(axis=(0, 1)), rtol=1e-6)


def test_dropout_in_a_fixed_batch_is_drawn_for_each_step() -> None:
    inp = Input(batch_shape=(50, 4, 30))
    y = TimeDistributed(Dropout(0.5))(inp)
    got = K.function([inp, K.learning_phase()], [y])([np.ones((50, 4, 30)), 1])[0]
    assert set(np.unique(got)) == {0, 2} and (got[:, 0] != got[:, 1]).any()


def test_the_wrapper_says_what_the_inner_layer_got() -> None:
    model = Sequential([TimeDistributed(BatchNormalization(), input_shape=(10, 2))])
    inner = model.layers[0]._input_map
    assert list(inner) == [object_list_uid(model.inputs)]
    assert K.int_shape(inner[object_list_uid(model.inputs)]) == (None, 2)


def test_losses_and_updates_given_to_either_direction() -> None:
    x = Input((3, 2))
    layer = Bidirectional(SimpleRNN(3, kernel_regularizer="l1"))
    layer(x)
    for one in (layer.forward_layer, layer.backward_layer):
        one.add_loss(0, inputs=x)
        one.add_loss(1, inputs=None)
        one.add_update(0, inputs=x)
        one.add_update(1, inputs=None)
    assert (len(layer.losses), len(layer.get_losses_for(None)), len(layer.get_losses_for(x))) == (6, 4, 2)
    assert (len(layer.updates), len(layer.get_updates_for(None)), len(layer.get_updates_for(x))) == (4, 2, 2)


def test_a_config_is_not_used_up() -> None:
    layer = Bidirectional(RNN(NestedCellWithConfig(3)))
    config = layer.get_config()
    before = copy.deepcopy(config)
    Bidirectional.from_config(config, {"NestedCellWithConfig": NestedCellWithConfig})
    assert config == before


class NestedCellWithConfig(NestedCell):
    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(units, dropout, **kwargs)

    def get_config(self):
        return dict(super().get_config(), units=self.units, dropout=self.dropout)


@pytest.mark.parametrize(("level", "batch", "asked"), [("1.2", None, False), ("2.3", 2, False), ("2.3", None, True)])
def test_who_asks_the_inner_layer_for_a_mask(level: str, batch: int | None, asked: bool) -> None:
    with api_level(level):
        layer = TimeDistributed(Masking())
        x = Input(batch_shape=(batch, 3, 2))
        layer(x)
        came = layer.compute_mask(x)
        assert (came is not None) == asked
        given = Input(batch_shape=(batch, 3), dtype="bool")
        if not asked:
            assert layer.compute_mask(x, given) is given


# Each decorator with a call in Keras 1's words and what the function gets.
DECORATORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "legacy_dense_support": ({"output_dim": 3, "bias": False}, {"units": 3, "use_bias": False}),
    "legacy_dropout_support": ({"p": 0.2}, {"rate": 0.2}),
    "legacy_spatialdropout1d_support": ({"p": 0.2}, {"rate": 0.2}),
    "legacy_spatialdropoutNd_support": (
        {"p": 0.2, "dim_ordering": "tf"},
        {"rate": 0.2, "data_format": "channels_last"},
    ),
    "legacy_gaussiannoise_support": ({"sigma": 0.2}, {"stddev": 0.2}),
    "legacy_gaussiandropout_support": ({"p": 0.2}, {"rate": 0.2}),
    "legacy_embedding_support": ({"input_dim": 4, "init": "zero"}, {"input_dim": 4, "embeddings_initializer": "zero"}),
    "legacy_prelu_support": ({"init": "one"}, {"alpha_initializer": "one"}),
    "legacy_batchnorm_support": ({"beta_init": "one"}, {"beta_initializer": "one"}),
    "legacy_convlstm2d_support": (
        {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "inner_init": "zero"},
        {"filters": 2, "kernel_size": (3, 3), "recurrent_initializer": "zero"},
    ),
    "legacy_conv1d_support": (
        {"nb_filter": 2, "filter_length": 3, "subsample_length": 2},
        {"filters": 2, "kernel_size": 3, "strides": 2},
    ),
    "legacy_conv3d_support": (
        {"nb_filter": 2, "kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3},
        {"filters": 2, "kernel_size": (1, 2, 3)},
    ),
    "legacy_deconv2d_support": ({"nb_filter": 2, "subsample": (2, 2)}, {"filters": 2, "strides": (2, 2)}),
    "legacy_separable_conv2d_support": (
        {"init": "zero", "b_constraint": None},
        {"depthwise_initializer": "zero", "pointwise_initializer": "zero", "bias_constraint": None},
    ),
    "legacy_pooling1d_support": (
        {"pool_length": 2, "stride": 3, "border_mode": "same"},
        {"pool_size": 2, "strides": 3, "padding": "same"},
    ),
    "legacy_pooling2d_support": ({"border_mode": "same", "pool_size": 2}, {"padding": "same", "pool_size": 2}),
    "legacy_pooling3d_support": ({"dim_ordering": "th"}, {"data_format": "channels_first"}),
    "legacy_global_pooling_support": ({"dim_ordering": "default"}, {"data_format": None}),
    "legacy_upsampling1d_support": ({"length": 4}, {"size": 4}),
    "legacy_upsampling2d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_upsampling3d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_zeropadding2d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_zeropadding3d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_cropping2d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_cropping3d_support": ({"dim_ordering": "tf"}, {"data_format": "channels_last"}),
    "legacy_lambda_support": ({"function": 1, "input_dtype": "int32"}, {"function": 1, "dtype": "int32"}),
}


@pytest.mark.parametrize("name", sorted(DECORATORS))
def test_decorators_for_words_of_keras_1(name: str) -> None:
    given, wanted = DECORATORS[name]

    class Mine:
        @getattr(interfaces, name)
        def __init__(self, **kwargs):
            self.got = kwargs

    assert Mine(**given).got == wanted == Mine(**wanted).got


def test_specs_of_states_and_constants() -> None:
    layer = LSTM(3)
    assert [s.shape for s in layer.state_spec] == [(None, 3)] * 2 and layer.constants_spec is None
    layer(Input((4, 2)), initial_state=[Input((3,)), K.zeros((5, 3))][:1] * 2)
    assert [s.shape for s in layer.state_spec] == [(None, 3)] * 2
    single = GRU(3)
    single(Input((4, 2)), initial_state=K.zeros((5, 3)))
    assert [s.shape for s in single.state_spec] == [(5, 3)]


class WideGRUCell(GRUCell):
    """Hands its base more than a step's inputs: a constant beside them."""

    def build(self, input_shape):
        step, constant = input_shape
        super().build((step[0], step[-1] + constant[-1]))

    def call(self, inputs, states, training=None, constants=None):
        return super().call(K.concatenate([inputs, constants[0]]), states, training)


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
def test_masks_are_those_of_what_a_cell_gives_its_base(unroll: bool, stacked: bool, implementation: int) -> None:
    cell = WideGRUCell(6, dropout=0.5, recurrent_dropout=0.5, implementation=implementation)
    x, c = Input((5, 3)), Input((4,))
    layer = RNN([cell, GRUCell(6)] if stacked else cell, return_sequences=True, unroll=unroll)
    y = layer(x, constants=c)
    f = K.function([x, c, K.learning_phase()], [y])
    values = [numbers(7, 5, 3), numbers(7, 4)]
    np.testing.assert_array_equal(f([*values, 0])[0], f([*values, 0])[0])
    assert (f([*values, 1])[0] != f([*values, 1])[0]).any()
    assert not cell._masks_drawn
    if not stacked:
        # With one kind of inputs at all steps the wide layer is a plain one on them.
        plain = GRU(6, return_sequences=True)
        both = K.concatenate([x, K.repeat(c, 5)])
        out = plain(both)
        plain.set_weights(layer.get_weights())
        np.testing.assert_allclose(f([*values, 0])[0], K.function([x, c], [out])(values)[0], atol=1e-12)
