"""Every way to run a recurrent layer against a loop in NumPy, at every API level: chosen by Hypothesis, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, Input, LSTMCell, SimpleRNN
from keras_compat.models import Model, Sequential
from tests.work import lines_run

UNITS = 3


@pytest.fixture(autouse=True, scope="module")
def small_and_exact() -> Iterator[None]:
    """Everything in float64 and without compiled kernels."""
    K.set_floatx("float64")
    with at.config.use(numba=False):
        yield
    K.set_floatx("float32")


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def simple(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    return [np.tanh(x @ w[0] + states[0] @ w[1] + w[2])]


def gru(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    h, (kz, kr, kh), (uz, ur, uh), (bz, br, bh) = states[0], *(np.split(a, 3, axis=-1) for a in w)
    z, r = gate(x @ kz + h @ uz + bz), gate(x @ kr + h @ ur + br)
    return [z * h + (1 - z) * np.tanh(x @ kh + (r * h) @ uh + bh)]


def lstm(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    i, f, new, o = np.split(x @ w[0] + states[0] @ w[1] + w[2], 4, axis=1)
    c = gate(f) * states[1] + gate(i) * np.tanh(new)
    return [gate(o) * np.tanh(c), c]


def stacked(w: list[np.ndarray], x: np.ndarray, states: list[np.ndarray], gate: Any) -> list[np.ndarray]:
    """A GRU below an LSTM; the states are those of the GRU first."""
    below = gru(w[:3], x, states[:1], gate)
    return [*below, *lstm(w[3:], below[0], states[1:], gate)]


# step, where the output stands among the new states, number of states, gates of each cell
KINDS: dict[str, Any] = {
    "simple": (simple, 0, 1, (1,)),
    "gru": (gru, 0, 1, (3,)),
    "lstm": (lstm, 0, 2, (4,)),
    "stacked": (stacked, 1, 3, (3, 4)),
}


def make(kind: str, **arguments: Any) -> Any:
    if kind == "stacked":
        return RNN([GRUCell(UNITS), LSTMCell(UNITS)], **arguments)
    return {"simple": SimpleRNN, "gru": GRU, "lstm": LSTM}[kind](UNITS, **arguments)


def weights_for(layer: Any, kind: str, rng: np.random.Generator, features: int) -> list[np.ndarray]:
    """Random fused weights, given to the layer as it keeps them: at level 1.2 each gate's apart, in Keras 1's order."""
    fused, kept = [], []
    for n in KINDS[kind][3]:
        shapes = [(features, n * UNITS), (UNITS, n * UNITS), (n * UNITS,)]
        one = [rng.normal(size=s) * 0.7 for s in shapes]
        order = {1: [0], 3: [0, 1, 2], 4: [0, 2, 1, 3]}[n]
        apart = [[np.split(a, n, axis=-1)[g] for a in one] for g in order]
        fused += one
        kept += [a for gate in apart for a in gate] if len(layer.get_weights()) > len(KINDS[kind][3]) * 3 else one
        features = UNITS
    layer.set_weights(kept)
    return fused


def run(
    kind: str, w: list[np.ndarray], x: np.ndarray, states: Any, gate: Any, backwards: bool, mask: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outputs in the order of reading, and the last states."""
    step, at_state, _, _ = KINDS[kind]
    outputs, output = [], np.zeros((len(x), UNITS))
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new = step(w, x[:, t], states, gate)
        on = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        output = np.where(on, new[at_state], output)
        states = [np.where(on, a, b) for a, b in zip(new, states)]
        outputs.append(output)
    return np.stack(outputs, axis=1), states


FLAG = st.booleans()


@settings(max_examples=40)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    level=st.sampled_from(["1.2", "2.2", "2.3"]),
    sequences=FLAG,
    backwards=FLAG,
    masked=FLAG,
    how=st.sampled_from(["known", "unknown", "unrolled"]),
    start=st.sampled_from(["zeros", "given", "kept"]),
    steps=st.integers(1, 4),
    batch=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_layer_is_its_loop(
    kind: str,
    level: str,
    sequences: bool,
    backwards: bool,
    masked: bool,
    how: str,
    start: str,
    steps: int,
    batch: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    gate = sigmoid if level == "2.3" else hard_sigmoid
    count = KINDS[kind][2]
    with api_level(level):
        layer = make(
            kind,
            return_sequences=sequences,
            return_state=True,
            go_backwards=backwards,
            stateful=start == "kept",
            unroll=how == "unrolled",
        )
        shape = (batch if start == "kept" else None, None if how == "unknown" else steps)
        a, m = Input(batch_shape=(*shape, 2)), Input(batch_shape=shape, dtype="bool")
        given = [Input((UNITS,)) for _ in range(count)] if start == "given" else []
        options: dict[str, Any] = {"mask": [m, *[None] * len(given)] if given else m} if masked else {}
        made = layer([a, *given], **options) if given else layer(a, **options)
        w = weights_for(layer, kind, rng, 2)
        updates = layer.get_updates_for([a, *given])
        f = K.function([a, m, *given], made, updates=updates)
        states = [rng.normal(size=(batch, UNITS)) if given else np.zeros((batch, UNITS)) for _ in range(count)]
        for _ in range(2):
            x, mask = rng.normal(size=(batch, steps, 2)), rng.random((batch, steps)) < 0.6
            got = f([x, mask, *(states if given else [])])
            outputs, last = run(kind, w, x, states, gate, backwards, mask if masked else None)
            for ours, wanted in zip(got, [outputs if sequences else outputs[:, -1], *last], strict=True):
                np.testing.assert_allclose(ours, wanted, atol=1e-12)
            if start == "kept":
                states = last
                for ours, wanted in zip(layer.states, last, strict=True):
                    np.testing.assert_allclose(K.get_value(ours), wanted, atol=1e-12)


@settings(max_examples=15)
@given(
    kind=st.sampled_from(["simple", "gru", "lstm"]),
    level=st.sampled_from(["1.2", "2.2", "2.3"]),
    mode=st.sampled_from(["concat", "sum", "mul", "ave", None]),
    sequences=FLAG,
    masked=FLAG,
    unroll=FLAG,
    seed=st.integers(0, 2**32 - 1),
)
def test_both_directions_are_their_loops(
    kind: str, level: str, mode: str | None, sequences: bool, masked: bool, unroll: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    gate = sigmoid if level == "2.3" else hard_sigmoid
    x, mask = rng.normal(size=(2, 4, 2)), rng.random((2, 4)) < 0.6
    with api_level(level):
        layer = Bidirectional(make(kind, return_sequences=sequences, unroll=unroll), merge_mode=mode)
        a, m = Input((4, 2)), Input((4,), dtype="bool")
        made = layer(a, mask=m) if masked else layer(a)
        w = [weights_for(one, kind, rng, 2) for one in (layer.forward_layer, layer.backward_layer)]
        got = K.function([a, m], made if mode is None else [made])([x, mask])
    zeros = [np.zeros((2, UNITS))] * KINDS[kind][2]
    forward, backward = (run(kind, w[k], x, zeros, gate, bool(k), mask if masked else None)[0] for k in (0, 1))
    if sequences:
        backward = backward[:, ::-1]
    else:
        forward, backward = forward[:, -1], backward[:, -1]
    wanted = {
        "concat": [np.concatenate([forward, backward], axis=-1)],
        "sum": [forward + backward],
        "mul": [forward * backward],
        "ave": [(forward + backward) / 2],
        None: [forward, backward],
    }[mode]
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_of_two_calls_of_a_stateful_layer_the_later_one_sets_the_states(level: str) -> None:
    rng = np.random.default_rng(5)
    with api_level(level):
        layer = LSTM(UNITS, stateful=True)
        a, b = Input(batch_shape=(2, 4, 2)), Input(batch_shape=(2, 3, 2))
        model = Model([a, b], [layer(a), layer(b)])
        w = weights_for(layer, "lstm", rng, 2)
        model.compile("sgd", "mse")
        x, y = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 3, 2))
        gate, states = (sigmoid if level == "2.3" else hard_sigmoid), [np.zeros((2, UNITS))] * 2
        for call in (
            lambda: model.predict([x, y], batch_size=2),
            lambda: model.predict_on_batch([x, y]),
            lambda: K.function([a, b], list(model.outputs), updates=model.state_updates)([x, y]),
        ):
            got = call()
            first, _ = run("lstm", w, x, states, gate, False, None)
            second, states = run("lstm", w, y, states, gate, False, None)
            np.testing.assert_allclose(got[0], first[:, -1], atol=1e-12)
            np.testing.assert_allclose(got[1], second[:, -1], atol=1e-12)
            for ours, wanted in zip(layer.states, states, strict=True):
                np.testing.assert_allclose(K.get_value(ours), wanted, atol=1e-12)
        model.train_on_batch([x, y], [first[:, -1], second[:, -1]])
        _, states = run("lstm", w, y, states, gate, False, None)
        np.testing.assert_allclose(K.get_value(layer.states[0]), states[0], atol=1e-12)


def stack(layers: int, steps: int, unroll: bool) -> Model:
    shape = {"input_shape": (steps, 2)}
    parts = [LSTM(UNITS, return_sequences=True, unroll=unroll, **(shape if k == 0 else {})) for k in range(layers)]
    model = Sequential(parts)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("package", ["keras_compat", "autotensor"])
@pytest.mark.parametrize("unroll", [False, True])
def test_work_grows_with_layers_and_steps_no_faster_than_they_do(unroll: bool, package: str) -> None:
    def work(layers: int, steps: int) -> int:
        def run_once() -> None:
            x = np.zeros((2, steps, 2))
            stack(layers, steps, unroll).train_on_batch(x, np.zeros((2, steps, UNITS)))

        run_once()
        return lines_run(run_once, package)

    one = work(1, 4)
    assert work(4, 4) < 4.5 * one
    assert work(1, 16) < (4.5 if unroll else 1.2) * one


def test_a_thousand_steps_are_a_loop() -> None:
    model = stack(1, 1000, False)
    x = np.zeros((1, 1000, 2))
    assert np.isfinite(model.train_on_batch(x, np.ones((1, 1000, UNITS))))
