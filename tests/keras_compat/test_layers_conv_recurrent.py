"""ConvLSTM2D and its kin against a loop over steps in NumPy, with convolutions as sums over the kernel."""

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
    BatchNormalization,
    Bidirectional,
    Conv2D,
    ConvLSTM2D,
    ConvLSTM2DCell,
    ConvRecurrent2D,
    ConvRNN2D,
    Input,
    Masking,
    Reshape,
    TimeDistributed,
    deserialize,
    serialize,
)
from keras_compat.models import Model, Sequential, model_from_json

RNG = np.random.default_rng(17)
FIRST, LAST = "channels_first", "channels_last"


pytestmark = pytest.mark.usefixtures("small_and_exact")


def numbers(*shape: int) -> np.ndarray:
    return 0.7 * RNG.normal(size=shape)


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1, dilation: int = 1, same: bool = False) -> np.ndarray:
    """Cross-correlation of (n, rows, cols, channels), written as a sum over the places of the kernel."""
    sizes = [(k - 1) * dilation + 1 for k in kernel.shape[:2]]
    if same:
        pads = [max((-(-n // stride) - 1) * stride + size - n, 0) for n, size in zip(x.shape[1:3], sizes)]
        x = np.pad(x, [(0, 0), *[(p // 2, p - p // 2) for p in pads], (0, 0)])
    rows, cols = [(n - size) // stride + 1 for n, size in zip(x.shape[1:3], sizes)]
    out = np.zeros((len(x), rows, cols, kernel.shape[-1]))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            part = x[:, i * dilation :: stride, j * dilation :: stride][:, :rows, :cols]
            out += part @ kernel[i, j]
    return out


def loop(
    w: list[np.ndarray],
    x: np.ndarray,
    states: list[np.ndarray] | None = None,
    stride: int = 1,
    dilation: int = 1,
    same: bool = False,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outputs of all steps and the last states of (n, time, rows, cols, channels)."""
    outputs = []
    for t in range(x.shape[1]):
        gates = convolve(x[:, t], w[0], stride, dilation, same) + w[2]
        h, c = states or [np.zeros((*gates.shape[:3], gates.shape[3] // 4))] * 2
        i, f, new, o = np.split(gates + convolve(h, w[1], same=True), 4, axis=-1)
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(new)
        states = [hard_sigmoid(o) * np.tanh(c), c]
        outputs.append(states[0])
    assert states is not None
    return np.stack(outputs, 1), states


def randomise(layer: Any) -> list[np.ndarray]:
    w = [numbers(*v.shape) for v in layer.get_weights()]
    layer.set_weights(w)
    return w


@pytest.mark.parametrize("order", [LAST, FIRST])
@pytest.mark.parametrize(
    "options", [{}, {"padding": "same"}, {"strides": 2}, {"dilation_rate": 2}, {"padding": "same", "strides": (2, 2)}]
)
@pytest.mark.parametrize("known", [True, False])
def test_outputs_and_states_are_those_of_a_loop(order: str, options: dict[str, Any], known: bool) -> None:
    x = numbers(2, 3, 6, 5, 2)
    layer = ConvLSTM2D(3, (2, 3), data_format=order, return_sequences=True, return_state=True, **options)
    size: tuple[Any, ...] = (3, 6, 5) if known else (None, None, None)
    inp = Input((*size, 2) if order == LAST else (size[0], 2, *size[1:]))
    model = Model(inp, layer(inp))
    w = randomise(layer)
    stride = 2 if "strides" in options else 1
    outputs, states = loop(w, x, None, stride, options.get("dilation_rate", 1), "padding" in options)
    got = model.predict(x if order == LAST else x.transpose(0, 1, 4, 2, 3))
    if order == FIRST:
        got = [np.moveaxis(y, -3, -1) for y in got]
    for ours, wanted in zip(got, [outputs, *states], strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-12)
    shape = outputs.shape[1:] if known else (None, None, None, 3)
    shape = shape if order == LAST else (shape[0], shape[3], *shape[1:3])
    assert model.output_shape[0] == (None, *shape)
    assert layer.compute_output_shape(model.input_shape) == model.output_shape


def test_backwards_and_the_last_output() -> None:
    x, layer = numbers(2, 3, 4, 4, 1), ConvLSTM2D(2, 3, go_backwards=True)
    model = Sequential([layer])
    model.build((None, 3, 4, 4, 1))
    wanted, _ = loop(randomise(layer), x[:, ::-1])
    np.testing.assert_allclose(model.predict(x), wanted[:, -1], atol=1e-12)


def test_stateful_batches_are_one_long_sequence() -> None:
    x = numbers(2, 6, 4, 4, 1)
    layer = ConvLSTM2D(2, 2, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 4, 4, 1))
    model = Sequential([layer])
    whole, _ = loop(randomise(layer), x)
    for part in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(model.predict(x[:, part], batch_size=2), whole[:, part], atol=1e-12)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x[:, :3], batch_size=2), whole[:, :3], atol=1e-12)
    start = [numbers(2, 3, 3, 2), numbers(2, 3, 3, 2)]
    layer.reset_states(start)
    wanted, _ = loop(layer.get_weights(), x[:, :3], start)
    np.testing.assert_allclose(model.predict(x[:, :3], batch_size=2), wanted, atol=1e-12)
    with pytest.raises(ValueError, match="State 0 is incompatible"):
        layer.reset_states([np.zeros((2, 2)), np.zeros((2, 2))])


def test_initial_states_and_masks() -> None:
    x, a = numbers(2, 3, 4, 4, 1), Input((3, 4, 4, 1))
    starts, start = [Input((4, 4, 2)) for _ in range(2)], [numbers(2, 4, 4, 2) for _ in range(2)]
    layer = ConvLSTM2D(2, 3, padding="same")
    model = Model([a, *starts], layer(a, initial_state=starts))
    w = randomise(layer)
    wanted, _ = loop(w, x, start, same=True)
    np.testing.assert_allclose(model.predict([x, *start]), wanted[:, -1], atol=1e-12)
    again = model_from_json(model.to_json())
    again.set_weights(w)
    np.testing.assert_allclose(again.predict([x, *start]), wanted[:, -1], atol=1e-12)

    flat = Input((3, 16))
    masked = layer(Reshaped()(Masking()(flat)))
    y = np.reshape(x, (2, 3, 16)).copy()
    y[0, 2] = 0
    got = at.function([flat], masked)(y)
    np.testing.assert_allclose(got[0], loop(w, x[:1, :2], same=True)[0][0, -1], atol=1e-12)
    np.testing.assert_allclose(got[1], loop(w, x[1:], same=True)[0][0, -1], atol=1e-12)


class Reshaped(Layer):
    """Images of 4 by 4 from features; steps keep their mask."""

    supports_masking = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return Reshape((3, 4, 4, 1)).call(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:2], 4, 4, 1)


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_gradients_are_those_of_differences(order: str) -> None:
    layer = ConvLSTM2D(1, 2, data_format=order, return_sequences=True)
    x = numbers(1, 2, 3, 3, 2) if order == LAST else numbers(1, 2, 2, 3, 3)
    inp = Input(x.shape[1:])
    y = layer(inp)
    loss = K.sum(y * K.constant(np.cos(np.arange(8)).reshape(K.int_shape(y)[1:])))
    w = [0.3 * v for v in randomise(layer)]  # within the slopes of hard_sigmoid
    layer.set_weights(w)
    value = K.function([inp], [loss])
    found = K.function([inp], K.gradients(loss, [inp, *layer.trainable_weights]))([x])
    for g, a in zip(found, [x, *w]):
        for i in np.ndindex(a.shape):
            keep, sides = a[i], []
            for step in (1e-6, -1e-6):
                a[i] = keep + step
                layer.set_weights(w)
                sides.append(float(value([x])[0]))
            a[i] = keep
            assert g[i] == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-7)
        layer.set_weights(w)


def test_dropout_masks_hold_for_the_sequence() -> None:
    layer = ConvLSTM2D(2, 1, dropout=0.5, return_sequences=True)
    plain = ConvLSTM2D(2, 1, return_sequences=True)
    x, inp = np.repeat(numbers(2, 1, 4, 4, 1), 3, axis=1), Input((3, 4, 4, 1))
    y, z = layer(inp), plain(inp)
    w = randomise(layer)
    w[1][:] = 0  # what is left of a step are its inputs and the memory
    w[2][2:4] = -100  # the memory is forgotten
    layer.set_weights(w)
    plain.set_weights(w)
    test, train = [at.function([inp], y, givens=K.phase_givens(p)) for p in (0, 1)]
    np.testing.assert_allclose(test(x), at.function([inp], z)(x), atol=1e-12)
    made = train(x)
    np.testing.assert_allclose(made[:, 0], made[:, 2], atol=1e-12)
    assert np.abs(made - test(x)).max() > 1e-3 and np.abs(made - train(x)).max() > 1e-3
    assert y._uses_learning_phase and not z._uses_learning_phase


def test_recurrent_dropout_is_for_training() -> None:
    layer, inp, x = ConvLSTM2D(2, 2, recurrent_dropout=0.5), Input((3, 4, 4, 1)), numbers(2, 3, 4, 4, 1)
    y = layer(inp)
    w = randomise(layer)
    test, train = [at.function([inp], y, givens=K.phase_givens(p)) for p in (0, 1)]
    np.testing.assert_allclose(test(x), loop(w, x)[0][:, -1], atol=1e-12)
    assert np.abs(train(x) - train(x)).max() > 1e-6


def test_weights_names_and_config() -> None:
    layer = ConvLSTM2D(3, (2, 3), name="c", kernel_regularizer="l2", activity_regularizer="l1")
    layer(Input((4, 6, 6, 2)))
    assert [(w.name, w.shape) for w in layer.weights] == [
        ("c/kernel:0", (2, 3, 2, 12)),
        ("c/recurrent_kernel:0", (2, 3, 3, 12)),
        ("c/bias:0", (12,)),
    ]
    np.testing.assert_array_equal(layer.get_weights()[2], [0] * 3 + [1] * 3 + [0] * 6)
    config = serialize(layer)
    assert serialize(deserialize(config)) == config
    assert "kernel_format" not in config["config"] and "cell" not in config["config"]
    assert layer.filters == 3 and layer.kernel_size == (2, 3) and layer.recurrent_activation.__name__ == "hard_sigmoid"


@pytest.mark.parametrize("order", ["tf", "th"])
def test_keras_1_lists_the_weights_of_each_gate(order: str) -> None:
    x = numbers(2, 3, 5, 4, 2)
    with api_level("1.2"):
        layer = ConvLSTM2D(3, 2, 3, dim_ordering=order, border_mode="same", input_shape=(3, 5, 4, 2))
        shape = (3, 5, 4, 2) if order == "tf" else (3, 2, 5, 4)
        inp = Input(shape)
        model = Model(inp, layer(inp))
        assert [w.name.split("/")[1] for w in layer.weights] == [f"{w}_{g}:0" for g in "icfo" for w in "WUb"]
        first = (2, 3, 2, 3) if order == "tf" else (3, 2, 2, 3)
        assert [w.shape for w in layer.get_weights()[:3]] == [
            first,
            (2, 3, 3, 3) if order == "tf" else (3, 3, 2, 3),
            (3,),
        ]
        w = randomise(layer)
    if order == "th":
        w = [v.transpose(2, 3, 1, 0) if v.ndim == 4 else v for v in w]
    fused = [np.concatenate([w[3 * p + k] for p in (0, 2, 1, 3)], axis=-1) for k in range(3)]
    wanted = loop(fused, x, same=True)[0][:, -1]
    got = model.predict(x if order == "tf" else x.transpose(0, 1, 4, 2, 3))
    np.testing.assert_allclose(got if order == "tf" else got.transpose(0, 2, 3, 1), wanted, atol=1e-12)


def test_a_convolutional_cell_of_the_users() -> None:
    class Sum(Layer):
        """Adds up convolutions of the inputs."""

        def __init__(self, filters: int, **kwargs: Any):
            super().__init__(**kwargs)
            self.filters = self.state_size = filters
            self.kernel_size, self.strides, self.dilation_rate = (2, 2), (1, 1), (1, 1)
            self.padding, self.data_format = "valid", LAST

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(2, 2, input_shape[-1], self.filters))
            self.built = True

        def call(self, inputs: Any, states: Any) -> Any:
            out = states[0] + K.conv2d(inputs, self.kernel)
            return out, [out]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "filters": self.filters}

    layer, x = ConvRNN2D(Sum(3), return_sequences=True), numbers(2, 3, 4, 5, 2)
    for shape in ((3, 4, 5, 2), (None, None, None, 2)):
        inp = Input(shape)
        model = Model(inp, layer(inp))
        (w,) = randomise(layer)
        wanted = np.cumsum(np.stack([convolve(x[:, t], w) for t in range(3)], 1), axis=1)
        np.testing.assert_allclose(model.predict(x), wanted, atol=1e-12)
    again = model_from_json(model.to_json(), custom_objects={"Sum": Sum})
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), wanted, atol=1e-12)
    with pytest.raises(TypeError, match="Unrolling isn't possible"):
        ConvRNN2D(Sum(3), unroll=True)
    with pytest.raises(TypeError, match="not possible at the moment to stack"):
        ConvRNN2D([Sum(3)])


def test_a_recurrent_layer_over_images_of_keras_1() -> None:
    class Blend(ConvRecurrent2D):
        def build(self, input_shape: Any) -> None:
            self.input_spec = [InputSpec(shape=input_shape)]
            self.states = [None]
            self.W = self.add_weight(
                shape=(2, 2, input_shape[-1], self.filters), initializer="glorot_uniform", name="W"
            )
            self.trainable_weights = [self.W]
            self.built = True

        def step(self, x: Any, states: Any) -> Any:
            h = 0.5 * states[0] + K.conv2d(x, self.W, padding="valid")
            return h, [h]

    with api_level("1.2"):
        layer = Blend(nb_filter=3, nb_row=2, nb_col=2, dim_ordering="tf", input_shape=(3, 4, 5, 2))
        model = Sequential([layer])
    (w,), x = randomise(layer), numbers(2, 3, 4, 5, 2)
    h = np.zeros((2, 3, 4, 3))
    for t in range(3):
        h = 0.5 * h + convolve(x[:, t], w)
    np.testing.assert_allclose(model.predict(x), h, atol=1e-12)
    assert model.output_shape == (None, 3, 4, 3)


def test_the_cell_alone() -> None:
    cell, x, h, c = ConvLSTM2DCell(3, 2), Input((4, 4, 2)), Input((3, 3, 3)), Input((3, 3, 3))
    cell.build((None, 4, 4, 2))
    out, states = cell.call(x, [h, c])
    w, a, s = randomise(cell), numbers(2, 4, 4, 2), [numbers(2, 3, 3, 3), numbers(2, 3, 3, 3)]
    wanted, (_, memory) = loop(w, a[:, None], s)
    got = at.function([x, h, c], [out, *states])(a, *s)
    np.testing.assert_allclose(got[0], wanted[:, 0], atol=1e-12)
    np.testing.assert_allclose(got[2], memory, atol=1e-12)
    assert cell.state_size == (3, 3)


def test_both_directions_and_the_network_of_the_documents() -> None:
    x = numbers(2, 3, 4, 4, 1)
    layer = Bidirectional(ConvLSTM2D(2, 2, return_sequences=True), merge_mode="sum")
    inp = Input((3, 4, 4, 1))
    model = Model(inp, layer(inp))
    w = [numbers(*v.shape) for v in layer.get_weights()]
    layer.set_weights(w)
    wanted = loop(w[:3], x)[0] + loop(w[3:], x[:, ::-1])[0][:, ::-1]
    np.testing.assert_allclose(model.predict(x), wanted, atol=1e-12)

    movie = Sequential(
        [
            ConvLSTM2D(2, (3, 3), input_shape=(None, 5, 5, 1), padding="same", return_sequences=True),
            BatchNormalization(),
            TimeDistributed(Conv2D(1, (3, 3), activation="sigmoid", padding="same")),
        ]
    )
    movie.compile("sgd", "mse")
    x = numbers(4, 3, 5, 5, 1)
    losses = [movie.train_on_batch(x, np.full_like(x, 0.25)) for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
    assert movie.output_shape == (None, None, 5, 5, 1)
