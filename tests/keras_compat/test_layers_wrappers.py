"""TimeDistributed and Bidirectional against the layers they wrap, one step and one direction at a time."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.engine import Layer
from keras_compat.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GRUCell,
    Input,
    Masking,
    SimpleRNN,
    TimeDistributed,
    Wrapper,
    deserialize,
    serialize,
)
from keras_compat.models import Model, Sequential, model_from_json
from keras_compat.regularizers import l2

RNG = np.random.default_rng(13)


pytestmark = pytest.mark.usefixtures("small_and_exact")


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def model_of(layer: Any, *shape: int | None) -> Model:
    inp = Input(shape)
    return Model(inp, layer(inp))


# -- TimeDistributed --------------------------------------------------------------------------------------------------


def convolution() -> Conv2D:
    return Conv2D(2, 3, strides=2, padding="same")


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize(
    ("make", "step"),
    [
        (lambda: Dense(3, activation="tanh"), (5,)),
        (lambda: Dense(3), (2, 5)),
        (Flatten, (2, 3)),
        (convolution, (5, 4, 3)),
        (lambda: LSTM(3), (4, 2)),
        (lambda: Sequential([Dense(2, input_shape=(5,)), Dense(3)]), (5,)),
    ],
)
def test_each_step_goes_through_the_layer(make: Any, step: tuple[int, ...], batch: int | None) -> None:
    inner, x = make(), numbers(4, 6, *step)
    layer = TimeDistributed(inner)
    inp = Input(batch_shape=(batch, 6, *step))
    model = Model(inp, layer(inp))
    one = model_of(inner, *step)
    layer.set_weights([numbers(*w.shape) for w in layer.get_weights()])
    wanted = np.stack([one.predict(x[:, t]) for t in range(6)], axis=1)
    np.testing.assert_allclose(model.predict(x), wanted, atol=1e-12)
    assert model.output_shape == (batch, *wanted.shape[1:])
    assert layer.compute_output_shape((batch, 6, *step)) == (batch, *wanted.shape[1:])


def test_sequences_and_images_of_any_size() -> None:
    model = model_of(TimeDistributed(Dense(3)), None, 5)
    assert model.output_shape == (None, None, 3)
    for n, steps in ((2, 4), (3, 1)):
        x = numbers(n, steps, 5)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(model.predict(x), x @ kernel + bias, atol=1e-12)
    inner = convolution()
    model, one = model_of(TimeDistributed(inner), None, None, None, 3), model_of(inner, None, None, 3)
    x = numbers(2, 3, 5, 7, 3)
    wanted = np.stack([one.predict(x[:, t]) for t in range(3)], axis=1)
    np.testing.assert_allclose(model.predict(x), wanted, atol=1e-12)
    assert model.output_shape == (None, None, None, None, 2)


def test_gradients_go_through_the_steps() -> None:
    inp = Input((None, 3))
    layer = TimeDistributed(Dense(2))
    loss = K.sum(K.square(layer(inp)))
    x = numbers(2, 4, 3)
    slope, kernel_slope = K.function([inp], K.gradients(loss, [inp, layer.layer.kernel]))([x])
    kernel, bias = layer.get_weights()
    y = x @ kernel + bias
    np.testing.assert_allclose(slope, 2 * y @ kernel.T, atol=1e-12)
    np.testing.assert_allclose(kernel_slope, np.einsum("nti,nto->io", x, 2 * y), atol=1e-12)


def test_names_and_configs_are_those_of_keras_2() -> None:
    layer = TimeDistributed(Dense(3, name="inner"), input_shape=(4, 2), name="outer")
    model = Sequential([layer])
    assert [w.name for w in model.weights] == ["outer/kernel:0", "outer/bias:0"]
    config = layer.get_config()
    assert set(config) == {"name", "trainable", "batch_input_shape", "dtype", "layer"}
    assert config["layer"]["class_name"] == "Dense"
    assert serialize(deserialize(serialize(layer))) == serialize(layer)
    again, x = model_from_json(model.to_json()), numbers(2, 4, 2)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_what_the_wrapper_refuses() -> None:
    with pytest.raises(ValueError, match="expected a layer to wrap; got int"):
        TimeDistributed(3)
    with pytest.raises(ValueError, match=r"rank 3 or more, \(batch, time, ...\)"):
        TimeDistributed(Dense(3))(Input((4,)))
    layer = TimeDistributed(Dense(3))
    layer(Input((5, 2)))
    layer(Input((7, 2)))  # another length is fine
    with pytest.raises(ValueError, match="axis 2 of input shape to have value 2"):
        layer(Input((5, 3)))


def test_trainable_is_the_inner_layers() -> None:
    layer = TimeDistributed(Dense(3, trainable=False))
    layer(Input((4, 2)))
    assert layer.trainable is False and layer.trainable_weights == [] and len(layer.non_trainable_weights) == 2
    layer.trainable = True
    assert layer.layer.trainable is True and len(layer.trainable_weights) == 2
    assert TimeDistributed.from_config(TimeDistributed(Dense(3, trainable=False)).get_config()).trainable is False


def test_initial_weights_of_the_inner_layer() -> None:
    kernel, bias = numbers(2, 3), numbers(3)
    model = Sequential([TimeDistributed(Dense(3, weights=[kernel, bias]), input_shape=(4, 2))])
    np.testing.assert_array_equal(model.get_weights()[0], kernel)


def test_penalties_and_updates_of_the_inner_layer() -> None:
    dense = Dense(3, kernel_regularizer=l2(0.1), activity_regularizer=l2(0.01))
    norm = BatchNormalization(momentum=0.5)
    model = Sequential([TimeDistributed(dense, input_shape=(4, 2)), TimeDistributed(norm)])
    model.compile("sgd", "mse")
    x = numbers(5, 4, 2)
    kernel, bias = dense.get_weights()
    y = x @ kernel + bias
    mean, penalty = y.mean((0, 1)), 0.1 * (kernel**2).sum() + 0.01 * (y**2).sum()
    loss = model.test_on_batch(x, np.zeros((5, 4, 3)))
    assert loss == pytest.approx((model.predict(x) ** 2).mean() + penalty)
    assert len(model.updates) == 2 and len(model.losses) == 2
    model.train_on_batch(x, np.zeros((5, 4, 3)))
    np.testing.assert_allclose(norm.get_weights()[2], 0.5 * mean, atol=1e-12)


def test_dropout_inside_follows_the_phase() -> None:
    layer, inp = TimeDistributed(Dropout(0.5)), Input((4, 50))
    y = layer(inp)
    assert y._uses_learning_phase
    x = np.ones((2, 4, 50))
    np.testing.assert_array_equal(at.function([inp], y, givens=K.phase_givens(0))(x), x)
    trained = at.function([inp], y, givens=K.phase_givens(1))(x)
    assert set(np.unique(trained)) == {0.0, 2.0}
    assert (trained[:, 0] != trained[:, 1]).any()


def test_masks_of_steps_stay() -> None:
    inp, x = Input((4, 2)), numbers(2, 4, 2)
    x[0, 1] = x[1, 3] = 0
    for inner in (Dense(3), Activated()):
        masked = TimeDistributed(inner)(Masking()(inp))
        got = at.function([inp], masked._keras_mask)(x)
        np.testing.assert_array_equal(got, [[1, 0, 1, 1], [1, 1, 1, 0]])


class Activated(Layer):
    """Knows nothing of masks."""

    def call(self, inputs: Any) -> Any:
        return K.tanh(inputs)


def test_masks_within_steps_reach_the_layer() -> None:
    # Words of sentences of documents: the LSTM of a sentence skips padding, a sentence of padding is masked.
    inp = Input((3, 4), dtype="int32")
    words = TimeDistributed(Embedding(7, 2, mask_zero=True))(inp)
    inner = LSTM(3)
    sentences = TimeDistributed(inner)(words)
    one = Input((4,), dtype="int32")
    single = Model(one, inner(words._keras_history[0].layer(one)))
    x = np.array([[[1, 2, 0, 0], [3, 4, 5, 6], [0, 0, 0, 0]]], "int32")
    got = at.function([inp], [sentences, sentences._keras_mask])(x)
    np.testing.assert_allclose(got[0][0], single.predict(x[0]), atol=1e-12)
    np.testing.assert_array_equal(got[1], [[True, True, False]])


# -- Bidirectional ----------------------------------------------------------------------------------------------------


def halves(layer: Any, kind: Any, shape: tuple[int, ...], **options: Any) -> tuple[Model, Model]:
    """The two directions as layers of their own, with the weights of a built Bidirectional."""
    forward, backward = kind(3, **options), kind(3, go_backwards=True, **options)
    models = model_of(forward, *shape), model_of(backward, *shape)
    w = layer.get_weights()
    forward.set_weights(w[: len(w) // 2])
    backward.set_weights(w[len(w) // 2 :])
    return models


MERGES = {
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: np.concatenate([a, b], -1),
}


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "concat", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_outputs_of_both_directions_are_joined(kind: Any, mode: str | None, sequences: bool) -> None:
    x = numbers(2, 5, 4)
    layer = Bidirectional(kind(3, return_sequences=sequences), merge_mode=mode)
    model = model_of(layer, 5, 4)
    layer.set_weights([numbers(*w.shape) for w in layer.get_weights()])
    forward, backward = [m.predict(x) for m in halves(layer, kind, (5, 4), return_sequences=sequences)]
    if sequences:
        backward = backward[:, ::-1]
    got = model.predict(x)
    if mode is None:
        np.testing.assert_allclose(got[0], forward, atol=1e-12)
        np.testing.assert_allclose(got[1], backward, atol=1e-12)
        assert layer.compute_output_shape((None, 5, 4)) == [(None, *forward.shape[1:])] * 2
    else:
        np.testing.assert_allclose(got, MERGES[mode](forward, backward), atol=1e-12)
        assert layer.compute_output_shape((None, 5, 4)) == (None, *got.shape[1:])


def test_a_mask_holds_for_both_directions() -> None:
    inp, x = Input((5, 4)), numbers(2, 5, 4)
    x[0, 3:] = 0
    layer = Bidirectional(LSTM(3, return_sequences=True))
    y = layer(Masking()(inp))
    got = Model(inp, y).predict(x)
    short = model_of(layer, None, 4).predict(x[:1, :3])
    np.testing.assert_allclose(got[0, :3], short[0], atol=1e-12)
    # A masked step repeats the output before it in the order of reading; Keras 3 puts zeros in both halves.
    np.testing.assert_allclose(got[0, 3:, :3], np.repeat(short[0, 2:, :3], 2, axis=0), atol=1e-12)
    np.testing.assert_array_equal(got[0, 3:, 3:], np.zeros((2, 3)))
    np.testing.assert_array_equal(at.function([inp], y._keras_mask)(x)[0], [1, 1, 1, 0, 0])


@pytest.mark.parametrize("mode", ["concat", None])
def test_states_in_and_out(mode: str | None) -> None:
    a, x = Input((5, 4)), numbers(2, 5, 4)
    starts, start = [Input((3,)) for _ in range(4)], [numbers(2, 3) for _ in range(4)]
    layer = Bidirectional(LSTM(3, return_state=True), merge_mode=mode)
    model = Model([a, *starts], layer(a, initial_state=starts))
    got = model.predict([x, *start])
    outputs, states = got[: len(got) - 4], got[len(got) - 4 :]
    w, wanted = layer.get_weights(), []
    for k, options in enumerate(({}, {"go_backwards": True})):
        one, two = LSTM(3, return_state=True, **options), starts[2 * k : 2 * k + 2]
        single = Model([a, *two], one(a, initial_state=two))
        one.set_weights(w[3 * k : 3 * k + 3])
        wanted.append(single.predict([x, *start[2 * k : 2 * k + 2]]))
    joined = [np.concatenate([wanted[0][0], wanted[1][0]], -1)] if mode else [wanted[0][0], wanted[1][0]]
    for ours, theirs in zip([*outputs, *states], [*joined, *wanted[0][1:], *wanted[1][1:]], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict([x, *start])[0], got[0], atol=1e-12)
    with pytest.raises(ValueError, match="list containing the states"):
        layer(a, initial_state=starts[:3])
    with pytest.raises(ValueError, match="mix of Keras tensors"):
        layer(a, initial_state=[*starts[:3], K.zeros((2, 3))])


def test_states_as_values() -> None:
    x, start = numbers(2, 5, 4), [numbers(2, 3) for _ in range(2)]
    layer, a = Bidirectional(GRU(3), merge_mode=None), Input((5, 4))
    model = Model(a, layer(a, initial_state=[K.variable(s) for s in start]))
    forward = layer.forward_layer(a, initial_state=K.variable(start[0]))
    np.testing.assert_allclose(model.predict(x)[0], Model(a, forward).predict(x), atol=1e-12)
    assert not np.allclose(model.predict(x)[1], model_of(layer.backward_layer, 5, 4).predict(x))


def test_stateful_directions() -> None:
    x = numbers(2, 3, 4)
    layer = Bidirectional(GRU(3, stateful=True), batch_input_shape=(2, 3, 4))
    model = Sequential([layer])
    first, second = [model.predict(x, batch_size=2) for _ in range(2)]
    assert not np.allclose(first, second)
    forward = GRU(3, stateful=True, batch_input_shape=(2, 3, 4))
    single = Sequential([forward])
    forward.set_weights(layer.get_weights()[:3])
    single.predict(x, batch_size=2)
    np.testing.assert_allclose(second[:, :3], single.predict(x, batch_size=2), atol=1e-12)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(x, batch_size=2), first)
    assert len(model.state_updates) == 2


def test_weights_names_and_config() -> None:
    layer = Bidirectional(GRU(3, name="g"), merge_mode="sum", name="both")
    layer(Input((5, 4)))
    parts = ["kernel:0", "recurrent_kernel:0", "bias:0"]
    assert [w.name for w in layer.weights] == [f"both/{d}_g/{p}" for d in ("forward", "backward") for p in parts]
    config = layer.get_config()
    assert set(config) == {"name", "trainable", "dtype", "layer", "merge_mode"}
    assert config["layer"]["config"]["name"] == "g" and config["layer"]["config"]["go_backwards"] is False
    assert serialize(deserialize(serialize(layer))) == serialize(layer)
    w = layer.get_weights()
    again = Bidirectional(GRU(3), merge_mode="sum", weights=w)
    again(Input((5, 4)))
    for ours, wanted in zip(again.get_weights(), w):
        np.testing.assert_array_equal(ours, wanted)
    layer.trainable = False
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 6
    with pytest.raises(ValueError, match="Invalid merge mode: 'max'"):
        Bidirectional(GRU(3), merge_mode="max")
    with pytest.raises(ValueError, match="expected a recurrent layer; got Dense"):
        Bidirectional(Dense(3))


def test_keras_1_has_the_weights_of_each_gate_in_both_directions() -> None:
    with api_level("1.2"):
        layer = Bidirectional(LSTM(3))
        layer(Input((5, 4)))
        assert [w.shape for w in layer.get_weights()] == [(4, 3), (3, 3), (3,)] * 8
        layer.set_weights([numbers(*w.shape) for w in layer.get_weights()])


def test_penalties_and_training_of_both() -> None:
    layer = Bidirectional(GRU(3, kernel_regularizer=l2(0.1)), input_shape=(4, 2))
    model = Sequential([layer])
    model.compile("sgd", "mse")
    x, y = numbers(2, 4, 2), numbers(2, 6)
    w = model.get_weights()
    penalty = 0.1 * ((w[0] ** 2).sum() + (w[3] ** 2).sum())
    assert model.test_on_batch(x, y) == pytest.approx(((model.predict(x) - y) ** 2).mean() + penalty)
    model.train_on_batch(x, y)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(model.get_weights(), w))


def test_a_cell_of_the_users_both_ways() -> None:
    class Doubled(GRUCell):
        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            out, new = super().call(inputs, states, training=training)
            return 2 * out, new

    layer = Bidirectional(RNN(Doubled(3)), merge_mode="concat")
    model, x = model_of(layer, 5, 4), numbers(2, 5, 4)
    forward, backward = [m.predict(x) for m in halves(layer, GRU, (5, 4))]
    np.testing.assert_allclose(model.predict(x), 2 * np.concatenate([forward, backward], -1), atol=1e-12)


def test_dropout_of_both_directions_follows_the_phase() -> None:
    layer, inp, x = Bidirectional(LSTM(3, dropout=0.5)), Input((5, 4)), numbers(2, 5, 4)
    y = layer(inp)
    assert y._uses_learning_phase
    test = at.function([inp], y, givens=K.phase_givens(0))
    train = at.function([inp], y, givens=K.phase_givens(1))
    np.testing.assert_array_equal(test(x), test(x))
    assert np.abs(train(x) - train(x)).max() > 0


def test_a_wrapper_of_the_users() -> None:
    class Scaled(Wrapper):
        def __init__(self, layer: Any, factor: float, **kwargs: Any):
            super().__init__(layer, **kwargs)
            self.factor = factor

        def build(self, input_shape: Any = None) -> None:
            if not self.layer.built:
                self.layer.build(input_shape)
                self.layer.built = True
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            return self.factor * self.layer.call(inputs)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return self.layer.compute_output_shape(input_shape)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    model, x = Sequential([Scaled(Dense(3), 2.0, input_shape=(4,))]), numbers(2, 4)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x), 2 * (x @ kernel + bias), atol=1e-12)
    again = model_from_json(model.to_json(), custom_objects={"Scaled": Scaled})
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_wrappers_on_arrays() -> None:
    x = numbers(2, 5, 4)
    both, each = Bidirectional(GRU(3)), TimeDistributed(Dense(2))
    got = np.asarray(both(x))
    np.testing.assert_allclose(got, model_of(both, 5, 4).predict(x), atol=1e-12)
    np.testing.assert_allclose(np.asarray(each(x)), model_of(each, 5, 4).predict(x), atol=1e-12)
