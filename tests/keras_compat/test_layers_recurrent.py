"""Recurrent layers against loops in NumPy, and what programs of each Keras line do with them."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.engine import InputSpec, Layer
from keras_compat.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    CuDNNGRU,
    CuDNNLSTM,
    Dense,
    GRUCell,
    Input,
    LSTMCell,
    Masking,
    Recurrent,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    deserialize,
    serialize,
)
from keras_compat.layers.recurrent import time_distributed_dense
from keras_compat.models import Model, Sequential, model_from_json
from keras_compat.regularizers import l2

RNG = np.random.default_rng(11)


pytestmark = pytest.mark.usefixtures("small_and_exact")


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def randomise(layer: Layer) -> list[np.ndarray]:
    weights = [0.7 * numbers(*w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    return weights


def simple_step(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    return [np.tanh(x @ w[0] + states[0] @ w[1] + w[2])]


def gru_step(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    h, u = states[0], w[1].shape[0]
    kz, kr, kh = np.split(w[0], 3, axis=1)
    uz, ur, uh = np.split(w[1], 3, axis=1)
    if w[2].ndim == 2:
        (bz, br, bh), (cz, cr, ch) = np.split(w[2][0], 3), np.split(w[2][1], 3)
    else:
        (bz, br, bh), (cz, cr, ch) = np.split(w[2], 3), np.zeros((3, u))
    z = gate(x @ kz + h @ uz + bz + cz)
    r = gate(x @ kr + h @ ur + br + cr)
    inner = r * (h @ uh + ch) if w[2].ndim == 2 else (r * h) @ uh
    return [z * h + (1 - z) * np.tanh(x @ kh + inner + bh)]


def lstm_step(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    h, c = states
    i, f, new, o = np.split(x @ w[0] + h @ w[1] + w[2], 4, axis=1)
    c = gate(f) * c + gate(i) * np.tanh(new)
    return [gate(o) * np.tanh(c), c]


STEPS = {SimpleRNN: simple_step, GRU: gru_step, LSTM: lstm_step}


def loop(
    step: Any,
    w: list[np.ndarray],
    x: np.ndarray,
    states: list[np.ndarray],
    gate: Any = sigmoid,
    backwards: bool = False,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """All outputs and the last states; masked steps repeat the output before (zeros at first) and keep the states."""
    outputs, output = [], np.zeros_like(states[0])
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new = step(w, x[:, t], states, gate)
        if mask is None:
            states, output = new, new[0]
        else:
            on = mask[:, t, None]
            output = np.where(on, new[0], output)
            states = [np.where(on, a, b) for a, b in zip(new, states)]
        outputs.append(output)
    return np.stack(outputs, axis=1), states


def zeros(layer: Any, n: int, units: int = 4) -> list[np.ndarray]:
    return [np.zeros((n, units))] * (2 if isinstance(layer, LSTM) else 1)


LAYERS = [
    (SimpleRNN, {}),
    (GRU, {}),
    (GRU, {"reset_after": True}),
    (GRU, {"recurrent_activation": "hard_sigmoid", "implementation": 1}),
    (LSTM, {}),
    (LSTM, {"recurrent_activation": "hard_sigmoid", "implementation": 1}),
]


@pytest.mark.parametrize(("kind", "arguments"), LAYERS)
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_states_are_those_of_a_loop(
    kind: Any, arguments: dict[str, Any], unroll: bool, backwards: bool, masked: bool
) -> None:
    x = numbers(3, 5, 2)
    mask = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool) if masked else None
    layer = kind(4, return_state=True, return_sequences=True, unroll=unroll, go_backwards=backwards, **arguments)
    a, m = Input((5, 2)), Input((5,), dtype="bool")
    made = layer(a, mask=m) if masked else layer(a)
    w = randomise(layer)
    got = at.function([a, m] if masked else [a], made)(*([x, mask] if masked else [x]))
    gate = hard_sigmoid if "recurrent_activation" in arguments else sigmoid
    outputs, states = loop(STEPS[kind], w, x, zeros(layer, 3), gate, backwards, mask)
    for ours, wanted in zip(got, [outputs, *states]):
        np.testing.assert_allclose(ours, wanted, atol=1e-12)


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_the_last_output_and_unknown_lengths(kind: Any) -> None:
    inp = Input((None, 2))
    layer = kind(4)
    model = Model(inp, layer(inp))
    assert model.output_shape == (None, 4)
    assert kind(4, return_sequences=True)(inp)._keras_shape == (None, None, 4)
    w = randomise(layer)
    for n, steps in ((3, 5), (2, 1), (1, 9)):
        x = numbers(n, steps, 2)
        outputs, _ = loop(STEPS[kind], w, x, zeros(layer, n))
        np.testing.assert_allclose(model.predict(x), outputs[:, -1], atol=1e-12)


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_implementations_give_the_same_numbers(kind: Any) -> None:
    x, got = numbers(2, 4, 3), []
    for implementation in (0, 1, 2):
        model = Sequential([kind(4, implementation=implementation, input_shape=(4, 3))])
        model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        got.append(model.predict(x))
    np.testing.assert_allclose(got[0], got[1], atol=1e-12)
    np.testing.assert_allclose(got[0], got[2], atol=1e-12)
    with pytest.raises(ValueError, match=r"implementation is 0, 1 or 2; got 3"):
        kind(4, implementation=3)


def numeric_gradients(f: Any, arrays: list[np.ndarray], step: float = 1e-6) -> list[np.ndarray]:
    out = []
    for a in arrays:
        g = np.zeros_like(a)
        for i in np.ndindex(a.shape):
            keep = a[i]
            a[i] = keep + step
            up = f()
            a[i] = keep - step
            g[i] = (up - f()) / (2 * step)
            a[i] = keep
        out.append(g)
    return out


@pytest.mark.parametrize(("kind", "arguments"), [LAYERS[0], LAYERS[1], LAYERS[2], LAYERS[4]])
@pytest.mark.parametrize("variant", ["plain", "masked", "backwards", "stateful"])
def test_gradients_are_those_of_differences(kind: Any, arguments: dict[str, Any], variant: str) -> None:
    layer = kind(
        2, return_sequences=True, go_backwards=variant == "backwards", stateful=variant == "stateful", **arguments
    )
    a = Input(batch_shape=(2, 3, 2))
    mask = K.constant([[1, 0, 1], [0, 1, 1]], dtype="bool") if variant == "masked" else None
    y = layer(a, mask=mask) if mask is not None else layer(a)
    w, x = randomise(layer), numbers(2, 3, 2)
    if variant == "stateful":
        layer.reset_states([numbers(2, 2) for _ in layer.states])
    loss = K.sum(y * K.constant(np.cos(np.arange(12)).reshape(2, 3, 2)))
    value = K.function([a], [loss])
    found = K.function([a], K.gradients(loss, [a, *layer.trainable_weights]))([x])

    def f() -> float:
        layer.set_weights(w)
        return float(value([x])[0])

    for ours, wanted in zip(found, numeric_gradients(f, [x, *w])):
        np.testing.assert_allclose(ours, wanted, atol=1e-7)


# -- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_stateful_batches_are_one_long_sequence(kind: Any) -> None:
    layer = kind(4, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 2))
    model = Sequential([layer])
    w, x = randomise(layer), numbers(2, 9, 2)
    whole, states = loop(STEPS[kind], w, x, zeros(layer, 2))
    for part in range(3):
        got = model.predict(x[:, 3 * part : 3 * part + 3], batch_size=2)
        np.testing.assert_allclose(got, whole[:, 3 * part : 3 * part + 3], atol=1e-12)
    for ours, wanted in zip(layer.states, states):
        np.testing.assert_allclose(K.get_value(ours), wanted, atol=1e-12)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x[:, :3], batch_size=2), whole[:, :3], atol=1e-12)
    start = [numbers(2, 4) for _ in layer.states]
    layer.reset_states(start if len(start) > 1 else start[0])
    again, _ = loop(STEPS[kind], w, x[:, :3], start)
    np.testing.assert_allclose(model.predict(x[:, :3], batch_size=2), again, atol=1e-12)
    assert len(model.state_updates) == len(layer.states)
    assert model.weights == layer.cell.weights, "states are no weights"


def test_states_move_in_training_and_testing_too() -> None:
    model = Sequential([GRU(3, stateful=True, batch_input_shape=(2, 3, 2))])
    model.compile("sgd", "mse")
    x, y = numbers(4, 3, 2), numbers(4, 3)
    seen = [K.get_value(model.layers[0].states[0])]
    model.fit(x, y, batch_size=2, epochs=1, verbose=0, shuffle=False)
    seen.append(K.get_value(model.layers[0].states[0]))
    model.evaluate(x, y, batch_size=2, verbose=0)
    seen.append(K.get_value(model.layers[0].states[0]))
    assert not np.allclose(seen[0], seen[1]) and not np.allclose(seen[1], seen[2])


def test_states_of_a_model_inside_a_model() -> None:
    inner = Sequential(
        [GRU(3, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 2)), BatchNormalization()]
    )
    model, x = Sequential([inner, Dense(2)]), numbers(2, 6, 2)
    plain = GRU(3, return_sequences=True)
    whole = Sequential([plain, inner.layers[1], model.layers[1]])
    whole.build((None, 6, 2))
    plain.set_weights(inner.layers[0].get_weights())
    means = inner.layers[1].get_weights()[2]
    wanted = whole.predict(x)
    assert model.stateful and inner.stateful and not whole.stateful
    for part in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(model.predict(x[:, part], batch_size=2), wanted[:, part], atol=1e-12)
    np.testing.assert_array_equal(inner.layers[1].get_weights()[2], means)  # prediction moves states only
    model.reset_states()
    np.testing.assert_allclose(model.predict(x[:, :3], batch_size=2), wanted[:, :3], atol=1e-12)
    assert len(model.state_updates) == 1 and len(model.updates) == 3


def test_two_models_share_a_stateful_layer() -> None:
    layer, x = LSTM(3, stateful=True), numbers(2, 6, 2)
    inputs = [Input(batch_shape=(2, 3, 2)) for _ in range(2)]
    first, second = [Model(inp, layer(inp)) for inp in inputs]
    w = randomise(layer)
    outputs, _ = loop(lstm_step, w, x, [np.zeros((2, 3))] * 2)
    np.testing.assert_allclose(first.predict(x[:, :3], batch_size=2), outputs[:, 2], atol=1e-12)
    np.testing.assert_allclose(second.predict(x[:, 3:], batch_size=2), outputs[:, 5], atol=1e-12)


def test_what_reset_states_refuses() -> None:
    with pytest.raises(AttributeError, match="must be stateful"):
        GRU(3).reset_states()
    with pytest.raises(ValueError, match="batch_input_shape"):
        Sequential([GRU(3, stateful=True, input_shape=(3, 2))])
    layer = LSTM(3, stateful=True, batch_input_shape=(2, 3, 2))
    Sequential([layer])
    with pytest.raises(ValueError, match="expects 2 states, but it received 1"):
        layer.reset_states([np.zeros((2, 3))])
    with pytest.raises(ValueError, match=r"State 1 .* expected shape=\(2, 3\), found shape=\(3, 3\)"):
        layer.reset_states([np.zeros((2, 3)), np.zeros((3, 3))])


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
@pytest.mark.parametrize("how", ["tensors", "list", "values"])
def test_initial_state(kind: Any, how: str) -> None:
    x = numbers(2, 3, 2)
    a, layer = Input((3, 2)), kind(4, return_state=True)
    n = 2 if kind is LSTM else 1
    start = [numbers(2, 4) for _ in range(n)]
    if how == "values":
        model = Model(a, layer(a, initial_state=[K.variable(s) for s in start]))
        given: Any = x
    else:
        inputs = [Input((4,)) for _ in range(n)]
        made = layer(a, initial_state=inputs) if how == "tensors" else layer([a, *inputs])
        model = Model([a, *inputs], made)
        given = [x, *start]
    w = randomise(layer)
    outputs, states = loop(STEPS[kind], w, x, start)
    for ours, wanted in zip(model.predict(given), [outputs[:, -1], *states]):
        np.testing.assert_allclose(ours, wanted, atol=1e-12)
    if how != "values":
        again = model_from_json(model.to_json())
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(again.predict(given)[0], outputs[:, -1], atol=1e-12)
    assert layer.compute_output_shape((None, 3, 2)) == [(None, 4)] * (n + 1)


def test_a_decoder_starts_with_the_encoders_states() -> None:
    enc, dec = Input((None, 3)), Input((None, 2))
    first, second = LSTM(4, return_state=True), LSTM(4, return_sequences=True)
    _, h, c = first(enc)
    model = Model([enc, dec], second(dec, initial_state=[h, c]))
    w, v, x, y = randomise(first), randomise(second), numbers(2, 5, 3), numbers(2, 3, 2)
    _, states = loop(lstm_step, w, x, zeros(first, 2))
    wanted, _ = loop(lstm_step, v, y, states)
    np.testing.assert_allclose(model.predict([x, y]), wanted, atol=1e-12)
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict([x, y]), wanted, atol=1e-12)


def test_wrong_initial_states_are_refused() -> None:
    a = Input((3, 2))
    with pytest.raises(ValueError, match="has 2 states but was passed 1 initial states"):
        LSTM(4)(a, initial_state=Input((4,)))
    with pytest.raises(ValueError, match="mix of Keras tensors and non-Keras"):
        LSTM(4)(a, initial_state=[Input((4,)), K.zeros((2, 4))])
    with pytest.raises(ValueError, match="Cannot unroll"):
        LSTM(4, unroll=True)(Input((None, 2)))
    with pytest.raises(ValueError, match="expected ndim=3"):
        LSTM(4)(Input((3,)))
    with pytest.raises(ValueError, match="units must be a whole number"):
        GRU(2.5)


def test_layers_work_on_arrays() -> None:
    x = numbers(2, 3, 2)
    layer = LSTM(4, return_state=True, return_sequences=True)
    start = [numbers(2, 4), numbers(2, 4)]
    layer(x)
    w = randomise(layer)
    outputs, states = loop(lstm_step, w, x, start)
    for ours, wanted in zip(layer(x, initial_state=start), [outputs, *states]):
        np.testing.assert_allclose(np.asarray(ours), wanted, atol=1e-12)


# -- masks and dropout ------------------------------------------------------------------------------------------------


def test_masks_go_on_only_where_steps_do() -> None:
    a = Masking()(Input((3, 2)))
    sequence = LSTM(4, return_sequences=True)
    assert sequence(a)._keras_mask is a._keras_mask
    assert getattr(LSTM(4)(a), "_keras_mask", None) is None
    states = GRU(4, return_sequences=True, return_state=True)
    states(a)
    assert states.get_output_mask_at(0)[0] is a._keras_mask and states.get_output_mask_at(0)[1] is None


def run(layer: Any, x: np.ndarray, training: int) -> np.ndarray:
    inp = Input(x.shape[1:])
    return at.function([inp], layer(inp), givens=K.phase_givens(training))(x)


@pytest.mark.parametrize("unroll", [False, True])
def test_one_dropout_mask_serves_a_sequence(unroll: bool) -> None:
    layer = SimpleRNN(
        50, activation="linear", kernel_initializer="identity", dropout=0.4, return_sequences=True, unroll=unroll
    )
    x = np.ones((30, 4, 50))
    layer(Input((4, 50)))
    layer.set_weights([np.eye(50), np.zeros((50, 50)), np.zeros(50)])
    y = run(layer, x, 1)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6])
    assert (y == y[:, :1]).all(), "the mask of a step is that of the first"
    assert (y[0, 0] != y[1, 0]).any(), "samples have masks of their own"
    assert 0.3 < (y == 0).mean() < 0.5
    np.testing.assert_array_equal(run(layer, x, 0), x)


@pytest.mark.parametrize("unroll", [False, True])
def test_recurrent_dropout_hits_the_same_units_at_every_step(unroll: bool) -> None:
    layer = SimpleRNN(50, activation="linear", recurrent_dropout=0.5, return_sequences=True, unroll=unroll)
    layer(Input((4, 1)))
    layer.set_weights([np.zeros((1, 50)), np.eye(50), np.ones(50)])
    y = run(layer, np.zeros((2, 4, 1)), 1)
    # h = 1 + m * h with m = 0 or 2: 1, 1, 1, 1 or 1, 3, 7, 15.
    kept = y[:, 3] == 15
    np.testing.assert_array_equal(y[:, 3], np.where(kept, 15, 1))
    np.testing.assert_array_equal(y[:, 1], np.where(kept, 3, 1))
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_array_equal(run(layer, np.zeros((2, 4, 1)), 0)[0, :, 0], [1, 2, 3, 4])


@pytest.mark.parametrize("kind", [GRU, LSTM])
@pytest.mark.parametrize("implementation", [0, 1, 2])
def test_dropout_of_gates_in_training_only(kind: Any, implementation: int) -> None:
    layer = kind(8, dropout=0.5, recurrent_dropout=0.5, implementation=implementation)
    plain = kind(8)
    x = numbers(4, 5, 6)
    layer(Input((5, 6)))
    plain(Input((5, 6)))
    plain.set_weights(randomise(layer))
    np.testing.assert_allclose(run(layer, x, 0), run(plain, x, 0), atol=1e-12)
    trained = run(layer, x, 1)
    assert np.abs(trained - run(plain, x, 0)).max() > 1e-3
    assert np.abs(trained - run(layer, x, 1)).max() > 1e-3, "masks are drawn anew"
    inp = Input((5, 6))
    assert layer(inp)._uses_learning_phase
    assert not plain(inp)._uses_learning_phase


def test_gates_share_a_mask_with_implementation_2() -> None:
    # With h = 0 and all weights 1 the gates' inputs are sums over the kept features: equal where the mask is one.
    for implementation, same in ((2, True), (1, False)):
        cell = LSTMCell(3, dropout=0.5, implementation=implementation)
        x = Input((20,))
        states = [K.zeros_like(x[:, :3])] * 2
        cell.build((None, 20))
        cell.set_weights([np.ones((20, 12)), np.zeros((3, 12)), np.zeros(12)])
        cell.begin_sequence(x, None)
        gates = at.function([x], cell.project(x), givens=K.phase_givens(1))(np.ones((8, 20)))
        cell.end_sequence()
        assert (gates[:, 0] == gates[:, 3]).all() == same
        assert cell.call(x, states)[0]._uses_learning_phase


# -- cells ------------------------------------------------------------------------------------------------------------


class Leaky(Layer):
    """A user's cell: states shaped unlike the output."""

    def __init__(self, units: int, **kwargs: Any):
        self.units = units
        self.state_size = [units, 1]
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
        self.built = True

    def call(self, inputs: Any, states: Any) -> Any:
        total, count = states
        total = 0.5 * total + K.dot(inputs, self.kernel)
        return total + count, [total, count + 1.0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_of_the_users(unroll: bool) -> None:
    layer = RNN(Leaky(3), return_sequences=True, unroll=unroll)
    inp = Input((4, 2))
    model = Model(inp, layer(inp))
    (w,), x = randomise(layer), numbers(2, 4, 2)
    total, wanted = np.zeros((2, 3)), []
    for t in range(4):
        total = 0.5 * total + x[:, t] @ w
        wanted.append(total + t)
    np.testing.assert_allclose(model.predict(x), np.stack(wanted, 1), atol=1e-12)
    assert [v.name for v in layer.weights] == [f"{layer.name}/kernel:0"]
    again = model_from_json(model.to_json(), custom_objects={"Leaky": Leaky})
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), np.stack(wanted, 1), atol=1e-12)


def test_a_cell_needs_call_and_state_size() -> None:
    class Bare:
        def call(self, inputs: Any, states: Any) -> Any:
            return inputs, states

    with pytest.raises(ValueError, match="should have a `call` method"):
        RNN(object())
    with pytest.raises(ValueError, match="attribute `state_size`"):
        RNN(Bare())


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_without_states_gives_each_step_alone(unroll: bool) -> None:
    class Square:
        state_size: tuple[int, ...] = ()
        output_size = 2

        def call(self, inputs: Any, states: Any) -> Any:
            return inputs * inputs, []

    layer, inp, x = RNN(Square(), return_sequences=True, unroll=unroll), Input((3, 2)), numbers(2, 3, 2)
    np.testing.assert_allclose(Model(inp, layer(inp)).predict(x), x * x, atol=1e-12)


@pytest.mark.parametrize("unroll", [False, True])
def test_stacked_cells_are_stacked_layers(unroll: bool) -> None:
    inp, x = Input((4, 2)), numbers(3, 4, 2)
    stack = RNN([LSTMCell(3), GRUCell(4), SimpleRNNCell(2)], return_state=True, unroll=unroll)
    model = Model(inp, stack(inp))
    w = randomise(stack)
    first, second, third = (
        LSTM(3, return_sequences=True, return_state=True),
        GRU(4, return_sequences=True, return_state=True),
        SimpleRNN(2, return_state=True),
    )
    a, *s = first(inp)
    b, t = second(a)
    c, u = third(b)
    layers = Model(inp, [c, *s, t, u])
    layers.set_weights(w)
    for ours, wanted in zip(model.predict(x), layers.predict(x), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-12)
    assert stack.cell.state_size == (3, 3, 4, 2)
    assert stack.compute_output_shape((None, 4, 2)) == [(None, 2), (None, 3), (None, 3), (None, 4), (None, 2)]
    names = [v.name.split("/")[-1] for v in stack.weights]
    assert names[0::3] == ["kernel:0", "kernel_1:0", "kernel_2:0"]
    config = serialize(stack)
    assert serialize(deserialize(config)) == config


def test_reversed_state_order_of_keras_2_1() -> None:
    stack = StackedRNNCells([SimpleRNNCell(3), SimpleRNNCell(4)], reverse_state_order=True)
    assert stack.state_size == (4, 3)
    layer, inp, x = RNN(stack, return_state=True), Input((2, 2)), numbers(1, 2, 2)
    out, big, small = Model(inp, layer(inp)).predict(x)
    assert big.shape == (1, 4) and small.shape == (1, 3)
    np.testing.assert_array_equal(out, big)
    assert serialize(layer)["config"]["cell"]["config"]["reverse_state_order"] is True


def test_constants_reach_every_step() -> None:
    class WithConstant(Leaky):
        def build(self, input_shape: Any) -> None:
            assert isinstance(input_shape, list)
            super().build(input_shape[0])

        def call(self, inputs: Any, states: Any, constants: Any) -> Any:
            total, count = states
            total = total + K.dot(inputs, self.kernel) * constants[0]
            return total, [total, count]

    a, c, layer = Input((4, 2)), Input((3,)), RNN(WithConstant(3))
    model = Model([a, c], layer(a, constants=c))
    (w,), x, k = randomise(layer), numbers(2, 4, 2), numbers(2, 3)
    np.testing.assert_allclose(model.predict([x, k]), (x @ w).sum(1) * k, atol=1e-12)
    again = model_from_json(model.to_json(), custom_objects={"WithConstant": WithConstant})
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict([x, k]), model.predict([x, k]), atol=1e-12)
    with pytest.raises(ValueError, match="does not support constants"):
        RNN(GRUCell(3))(a, constants=c)


def test_a_subclass_of_a_cell_with_its_own_call() -> None:
    class Clipped(GRUCell):
        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            out, new = super().call(inputs, states, training=training)
            return K.clip(out, -0.1, 0.1), [K.clip(new[0], -0.1, 0.1)]

    layer, inp, x = RNN(Clipped(4), return_sequences=True), Input((3, 2)), numbers(2, 3, 2)
    model = Model(inp, layer(inp))
    w = randomise(layer)
    h, wanted = np.zeros((2, 4)), []
    for t in range(3):
        h = np.clip(gru_step(w, x[:, t], [h], sigmoid)[0], -0.1, 0.1)
        wanted.append(h)
    np.testing.assert_allclose(model.predict(x), np.stack(wanted, 1), atol=1e-12)


# -- configs, names, levels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM, CuDNNGRU, CuDNNLSTM])
def test_configs_make_the_same_layer(kind: Any) -> None:
    layer = kind(
        3,
        kernel_regularizer="l2",
        bias_initializer="ones",
        recurrent_constraint="unit_norm",
        activity_regularizer="l1",
        return_sequences=True,
        stateful=True,
        trainable=False,
    )
    config = layer.get_config()
    again = kind.from_config(config)
    assert again.get_config() == config
    assert serialize(deserialize(serialize(layer))) == serialize(layer)
    assert "cell" not in config and config["units"] == 3 and config["trainable"] is False


def test_attributes_are_the_cells() -> None:
    layer = LSTM(3, dropout=0.25, kernel_regularizer=l2(0.5))
    assert layer.units == layer.output_dim == 3 and layer.dropout == layer.dropout_W == 0.25
    assert layer.kernel_regularizer is layer.W_regularizer is layer.cell.kernel_regularizer
    assert (layer.implementation, layer.consume_less) == (2, "gpu")
    layer(Input((4, 2)))
    kernel, recurrent, bias = layer.get_weights()
    np.testing.assert_array_equal(K.get_value(layer.kernel), kernel)
    np.testing.assert_array_equal(K.eval(layer.cell.recurrent_kernel_f), recurrent[:, 3:6])
    np.testing.assert_array_equal(K.eval(layer.W_o), kernel[:, 9:])
    np.testing.assert_array_equal(K.eval(layer.b_f), np.ones(3))
    np.testing.assert_array_equal(bias, [0] * 3 + [1] * 3 + [0] * 6)
    assert layer.input_dim == 2
    with pytest.raises(AttributeError):
        _ = layer.nothing_like_it


def test_frozen_layers_have_no_trainable_weights() -> None:
    layer = GRU(3)
    layer(Input((4, 2)))
    assert len(layer.trainable_weights) == 3
    layer.trainable = False
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 3


def test_penalties_of_the_weights_and_of_the_output() -> None:
    layer = GRU(3, kernel_regularizer=l2(0.1), recurrent_regularizer=l2(0.2), activity_regularizer=l2(0.3))
    inp, x = Input((4, 2)), numbers(2, 4, 2)
    model = Model(inp, layer(inp))
    w = randomise(layer)
    model.compile("sgd", "mse")
    y = model.predict(x)
    wanted = 0.1 * (w[0] ** 2).sum() + 0.2 * (w[1] ** 2).sum() + 0.3 * (y**2).sum()
    assert model.test_on_batch(x, y) == pytest.approx(wanted)


@pytest.mark.parametrize(("level", "gate"), [("1.2", hard_sigmoid), ("2.2", hard_sigmoid), ("2.3", sigmoid)])
def test_the_level_chooses_the_gates_activation(level: str, gate: Any) -> None:
    with api_level(level):
        layer, inp, x = LSTM(4, implementation=2), Input((3, 2)), 3 * numbers(2, 3, 2)
        model = Model(inp, layer(inp))
    w = randomise(layer)
    outputs, _ = loop(lstm_step, w, x, zeros(layer, 2), gate)
    np.testing.assert_allclose(model.predict(x), outputs[:, -1], atol=1e-12)


@pytest.mark.parametrize(("level", "gate"), [("2.2", "hard_sigmoid"), ("2.3", "sigmoid")])
@pytest.mark.parametrize("kind", [LSTMCell, GRUCell])
def test_the_level_holds_for_cells(kind: Any, level: str, gate: str) -> None:
    with api_level(level):
        cell = kind(3)
        assert cell.recurrent_activation.__name__ == gate
        assert cell.implementation == (1 if level == "2.2" else 2)
        assert kind(3, recurrent_activation="tanh").recurrent_activation.__name__ == "tanh"
        assert type(cell).from_config(cell.get_config()).get_config() == cell.get_config()


def test_keras_1_lists_the_weights_of_each_gate() -> None:
    x = numbers(2, 3, 2)
    with api_level("1.2"):
        lstm, gru, simple, gpu = LSTM(4), GRU(4), SimpleRNN(4), LSTM(4, consume_less="gpu")
        a = Input((3, 2))
        model = Model(a, [layer(a) for layer in (lstm, gru, simple, gpu)])
        assert [w.name.split("/")[1] for w in lstm.weights] == [f"{w}_{g}:0" for g in "icfo" for w in "WUb"]
        assert [w.name.split("/")[1] for w in gru.weights] == [f"{w}_{g}:0" for g in "zrh" for w in "WUb"]
        assert [w.shape for w in lstm.get_weights()] == [(2, 4), (4, 4), (4,)] * 4
        assert len(simple.get_weights()) == len(gpu.get_weights()) == 3
        np.testing.assert_array_equal(lstm.get_weights()[8], np.ones(4))
        assert lstm.W_c is lstm.weights[3] and gru.U_r is gru.weights[4]
        w, v = randomise(lstm), randomise(gru)
    fused = [np.concatenate([w[3 * p + k] for p in (0, 2, 1, 3)], axis=-1) for k in range(3)]
    wanted, _ = loop(lstm_step, fused, x, zeros(lstm, 2), hard_sigmoid)
    np.testing.assert_allclose(model.predict(x)[0], wanted[:, -1], atol=1e-12)
    fused = [np.concatenate([v[3 * p + k] for p in range(3)], axis=-1) for k in range(3)]
    wanted, _ = loop(gru_step, fused, x, zeros(gru, 2), hard_sigmoid)
    np.testing.assert_allclose(model.predict(x)[1], wanted[:, -1], atol=1e-12)


def test_keras_1_penalises_u_by_the_regularizer_of_w() -> None:
    # Its 12 weights of an LSTM take W_regularizer for W and U alike (measured with 1.2.2); SimpleRNN does not.
    with api_level("1.2"):
        lstm, simple = LSTM(3, W_regularizer=l2(0.1), U_regularizer=l2(7.0)), SimpleRNN(3, U_regularizer=l2(7.0))
        for layer in (lstm, simple):
            layer(Input((3, 2)))
    w, v = randomise(lstm), randomise(simple)
    got = sum(K.eval(penalty) for penalty in lstm.losses)
    assert got == pytest.approx(0.1 * sum((a**2).sum() for a in w if a.ndim == 2))
    with api_level("0.3"):
        zero = LSTM(3, U_regularizer=l2(7.0))
        zero(Input((3, 2)))
    u = randomise(zero)[1::3]
    assert sum(K.eval(penalty) for penalty in zero.losses) == pytest.approx(7 * sum((a**2).sum() for a in u))
    assert K.eval(simple.losses[0]) == pytest.approx(7 * (v[1] ** 2).sum())


# -- Keras 1's recurrent layers of one's own --------------------------------------------------------------------------


class Decay(Recurrent):
    """As programs for Keras 1.2 wrote them."""

    def __init__(self, output_dim: int, **kwargs: Any):
        self.output_dim = output_dim
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        self.input_spec = [InputSpec(shape=input_shape)]
        self.states = [None]
        self.W = self.add_weight(shape=(input_shape[2], self.output_dim), initializer="uniform", name="W")
        self.trainable_weights = [self.W]
        if self.stateful:
            self.reset_states()
        self.built = True

    def preprocess_input(self, x: Any) -> Any:
        return time_distributed_dense(x, self.W)

    def get_constants(self, x: Any) -> list[Any]:
        return [K.max(x, axis=(1, 2), keepdims=False)]

    def step(self, x: Any, states: Any) -> Any:
        h = 0.5 * states[0] + x * K.expand_dims(states[1], -1)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return dict(list(super().get_config().items()) + [("output_dim", self.output_dim)])


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"unroll": True}, {"return_sequences": True}])
@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_a_recurrent_layer_of_keras_1(options: dict[str, Any], level: str) -> None:
    x = numbers(2, 4, 3)
    with api_level(level):
        layer = Decay(5, input_dim=3, input_length=4, consume_less="cpu", **options)
        model = Sequential([layer])
        (w,) = randomise(layer)
        h, outputs = np.zeros((2, 5)), []
        for t in reversed(range(4)) if options.get("go_backwards") else range(4):
            h = 0.5 * h + x[:, t] @ w * x.max(axis=(1, 2))[:, None]
            outputs.append(h)
        wanted = np.stack(outputs, 1) if options.get("return_sequences") else h
        np.testing.assert_allclose(model.predict(x), wanted, atol=1e-12)
        assert model.output_shape == (None, *wanted.shape[1:])
        assert layer.get_output_shape_for((None, 4, 3)) == model.output_shape
        again = Decay.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()


def test_a_stateful_recurrent_layer_of_keras_1() -> None:
    layer = Decay(5, stateful=True, batch_input_shape=(2, 4, 3))
    model = Sequential([layer])
    (w,), x = randomise(layer), numbers(2, 4, 3)
    model.predict(x, batch_size=2)
    h = np.zeros((2, 5))
    for t in [*range(4)] * 2:
        h = 0.5 * h + x[:, t] @ w * x.max(axis=(1, 2))[:, None]
    np.testing.assert_allclose(model.predict(x, batch_size=2), h, atol=1e-12)


def test_a_step_is_asked_for() -> None:
    class NoStep(Recurrent):
        output_dim = 3

    layer = NoStep()
    layer.output_dim = 3
    with pytest.raises(NotImplementedError, match=r"step\(x, states\)"):
        layer(Input((4, 2)))


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("arguments", [{}, {"consume_less": "mem"}, {"consume_less": "gpu"}, {"dropout_W": 0.5}])
def test_an_lstm_with_a_step_of_its_own(level: str, arguments: dict[str, Any]) -> None:
    class Halved(LSTM):
        """Halves the output of each step, and is given a constant behind the two that an LSTM has."""

        def get_constants(self, x: Any) -> list[Any]:
            constants = super().get_constants(x)
            constants.append(K.constant(2.0))
            return constants

        def step(self, x: Any, states: Any) -> Any:
            h, new = super().step(x, states)
            return h / states[4], [h / states[4], new[1]]

    x = numbers(2, 3, 2)
    with api_level(level):
        layer, plain = (
            Halved(4, inner_activation="sigmoid", **arguments),
            LSTM(4, inner_activation="sigmoid", **arguments),
        )
        inp = Input((3, 2))
        model = Model(inp, layer(inp))
        plain(inp)
        w = randomise(layer)
        plain.set_weights(w)
    if len(w) == 12:
        w = [np.concatenate([w[3 * p + k] for p in (0, 2, 1, 3)], axis=-1) for k in range(3)]
    states = zeros(layer, 2)
    for t in range(3):
        h, c = lstm_step(w, x[:, t], states, sigmoid)
        states = [h / 2, c]
    np.testing.assert_allclose(model.predict(x), states[0], atol=1e-12)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
@pytest.mark.parametrize("consume_less", ["cpu", "mem", "gpu"])
def test_an_lstm_whose_step_is_written_out(level: str, consume_less: str) -> None:
    class Written(LSTM):
        """The step of Keras 1's LSTM, in terms of its weights, masks and activations."""

        def step(self, x: Any, states: Any) -> Any:
            h, c, b_u, b_w = states
            n = self.output_dim
            if self.consume_less == "gpu":
                z = K.dot(x * b_w[0], self.W) + K.dot(h * b_u[0], self.U) + self.b
                gates = [z[:, k * n : (k + 1) * n] for k in range(4)]
            else:
                if self.consume_less == "cpu":
                    parts = [x[:, k * n : (k + 1) * n] for k in range(4)]
                else:
                    kernels = [(self.W_i, self.b_i), (self.W_f, self.b_f), (self.W_c, self.b_c), (self.W_o, self.b_o)]
                    parts = [K.dot(x * b_w[k], w) + b for k, (w, b) in enumerate(kernels)]
                kernels = [self.U_i, self.U_f, self.U_c, self.U_o]
                gates = [part + K.dot(h * b_u[k], u) for k, (part, u) in enumerate(zip(parts, kernels))]
            i, f, o = [self.inner_activation(gates[k]) for k in (0, 1, 3)]
            c = f * c + i * self.activation(gates[2])
            h = o * self.activation(c)
            return h, [h, c]

    with api_level(level):
        inp, x = Input((4, 3)), numbers(2, 4, 3)
        for masks in ({}, {"dropout_W": 0.3, "dropout_U": 0.3}):
            written, plain = Written(5, consume_less=consume_less, **masks), LSTM(5, consume_less=consume_less)
            model = Model(inp, [written(inp), plain(inp)])
            written.set_weights(randomise(plain))
            ours, wanted = model.predict(x)
            np.testing.assert_allclose(ours, wanted, atol=1e-12)
            assert written(inp)._uses_learning_phase == bool(masks)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_attention_as_programs_of_keras_1_wrote_it(level: str) -> None:
    class Attentive(LSTM):
        def __init__(self, output_dim: int, attention: Any, **kwargs: Any):
            self.attention = attention
            super().__init__(output_dim, **kwargs)

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            size = self.attention._keras_shape[1]
            self.U_a = self.inner_init((self.output_dim, self.output_dim), name=f"{self.name}_U_a")
            self.U_m = self.init((size, self.output_dim), name=f"{self.name}_U_m")
            self.b_a = K.zeros((self.output_dim,), name=f"{self.name}_b_a")
            self.trainable_weights += [self.U_a, self.U_m, self.b_a]
            if self.initial_weights is not None:
                self.set_weights(self.initial_weights)
                del self.initial_weights

        def get_constants(self, x: Any) -> list[Any]:
            return [*super().get_constants(x), K.dot(self.attention, self.U_m)]

        def step(self, x: Any, states: Any) -> Any:
            h, [h, c] = super().step(x, states)
            h = h * K.sigmoid(K.dot(h, self.U_a) + states[4] + self.b_a)
            return h, [h, c]

    with api_level(level):
        a, v = Input((3, 2)), Input((5,))
        layer = Attentive(4, v, consume_less="gpu", inner_activation="sigmoid")
        model = Model([a, v], layer(a))
        by_name = {id(w): numbers(*w.shape) for w in layer.weights}
        K.batch_set_value([(w, by_name[id(w)]) for w in layer.weights])
        x, y = numbers(2, 3, 2), numbers(2, 5)
        w = [by_name[id(v)] for v in layer.cell.weights]
        u_a, u_m, b_a = [by_name[id(v)] for v in (layer.U_a, layer.U_m, layer.b_a)]
        states = zeros(layer, 2)
        for t in range(3):
            h, c = lstm_step(w, x[:, t], states, sigmoid)
            states = [h * sigmoid(h @ u_a + y @ u_m + b_a), c]
        np.testing.assert_allclose(model.predict([x, y]), states[0], atol=1e-12)
        assert len(layer.trainable_weights) == 6
        model.compile("sgd", "mse")
        model.train_on_batch([x, y], numbers(2, 4))
        assert all(np.abs(K.get_value(v) - by_name[id(v)]).max() > 0 for v in layer.weights)


def test_an_lstm_with_a_build_of_its_own() -> None:
    class More(LSTM):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.extra = self.add_weight(shape=(4,), initializer="ones", name="extra")
            self.trainable_weights += [self.extra]

        def call(self, x: Any, mask: Any = None) -> Any:
            return super().call(x, mask) * self.extra

    layer, inp, x = More(4), Input((3, 2)), numbers(2, 3, 2)
    model = Model(inp, layer(inp))
    assert len(layer.trainable_weights) == 4
    w = [numbers(*v.shape) for v in layer.get_weights()]
    layer.set_weights(w)
    by_rank = [v for v in w if v.shape != (4,)]
    wanted, _ = loop(lstm_step, by_rank, x, zeros(layer, 2))
    extra = next(v for v in w if v.shape == (4,))
    np.testing.assert_allclose(model.predict(x), wanted[:, -1] * extra, atol=1e-12)


# -- cuDNN ------------------------------------------------------------------------------------------------------------


def cudnn_kernel(parts: np.ndarray, gates: int) -> np.ndarray:
    """Weights side by side for each gate, as cuDNN's file has them: the transposed matrix's numbers in that shape."""
    return np.concatenate([p.T.reshape(p.shape) for p in np.split(parts, gates, axis=1)], axis=1)


@pytest.mark.parametrize(("kind", "gates"), [(CuDNNGRU, 3), (CuDNNLSTM, 4)])
def test_cudnn_layers_are_the_plain_ones_with_other_weights(kind: Any, gates: int) -> None:
    x, inp = numbers(2, 5, 3), Input((5, 3))
    plain = LSTM(4, return_sequences=True) if gates == 4 else GRU(4, return_sequences=True, reset_after=True)
    layer = kind(4, return_sequences=True)
    model = Model(inp, [plain(inp), layer(inp)])
    kernel, recurrent = numbers(3, 4 * gates), numbers(4, 4 * gates)
    two = numbers(2, 4 * gates)
    plain.set_weights([kernel, recurrent, two.sum(0) if gates == 4 else two])
    layer.set_weights([cudnn_kernel(kernel, gates), cudnn_kernel(recurrent, gates), two.reshape(-1)])
    wanted, got = model.predict(x)
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    assert [w.shape for w in layer.get_weights()] == [(3, 4 * gates), (4, 4 * gates), (8 * gates,)]
    assert "unroll" not in layer.get_config() and "activation" not in layer.get_config()
    with pytest.raises(ValueError, match="Masking is not supported for CuDNN"):
        layer(Masking()(inp))


def test_cudnn_lstm_starts_with_a_forget_bias_of_one() -> None:
    layer = CuDNNLSTM(2)
    layer(Input((5, 3)))
    np.testing.assert_array_equal(layer.get_weights()[2], [0] * 10 + [1, 1] + [0] * 4)


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_training_step_is_that_of_gradient_descent(kind: Any) -> None:
    x, y = numbers(4, 3, 2), numbers(4, 1)
    model = Sequential([kind(3, input_shape=(3, 2)), Dense(1)])
    w = randomise(model)
    target = K.placeholder((None, 1))
    loss = K.mean(K.square(model.output - target))
    g = K.function([model.input, target], K.gradients(loss, model.trainable_weights))([x, y])
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    for after, before, slope in zip(model.get_weights(), w, g):
        np.testing.assert_allclose(after, before - 0.01 * slope, atol=1e-7)


def test_a_cell_may_be_called_alone() -> None:
    cell, x, h = GRUCell(4), Input((3,)), Input((4,))
    cell.build((None, 3))
    out, (state,) = cell.call(x, [h])
    w, a, b = randomise(cell), numbers(2, 3), numbers(2, 4)
    got = at.function([x, h], [out, state])(a, b)
    np.testing.assert_allclose(got[0], gru_step(w, a, [b], sigmoid)[0], atol=1e-12)
    np.testing.assert_allclose(got[1], got[0])
