"""K.rnn, K.map_fn, K.foldl, K.foldr against plain loops: looped and unrolled agree, with all that programs lean on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2))
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
C = RNG.normal(size=(3, 4))
W = RNG.normal(size=(2, 4)) * 0.5
U = RNG.normal(size=(4, 4)) * 0.5
V = RNG.normal(size=(4, 3))


@pytest.fixture(autouse=True)
def small_and_exact():
    K.set_floatx("float64")
    with at.config.use(numba=False):
        yield
    K.set_floatx("float32")


def build(time, same_output, go_backwards, masked, unroll):
    """A cell with two states, one of them shaped unlike the output, and a constant."""
    x, mask, c = K.placeholder((None, time, 2)), K.placeholder((None, time)), K.placeholder((None, 4))
    w, u, v = K.variable(W), K.variable(U), K.variable(V)

    def step(inputs, states):
        h, count, constant = states
        new = K.tanh(K.dot(inputs, w) + K.dot(h, u) + constant)
        return (new if same_output else K.dot(new, v)), [new, count + K.expand_dims(K.sum(inputs, axis=-1))]

    zeros = K.zeros_like(K.dot(x[:, 0], w)) + 0.25
    last, outputs, states = K.rnn(
        step,
        x,
        [zeros, K.zeros_like(x[:, 0, :1])],
        go_backwards=go_backwards,
        mask=mask if masked else None,
        constants=[c],
        unroll=unroll,
    )
    assert last.ndim == 2 and outputs.ndim == 3 and len(states) == 2
    loss = K.sum(K.sin(last)) + K.sum(outputs * outputs) + K.sum(states[0]) + K.sum(K.square(states[1]))
    return K.function([x, mask, c], [last, outputs, *states, *K.gradients(loss, [w, u, x, c])])


def in_numpy(same_output, go_backwards, masked):
    h, count = np.full((3, 4), 0.25), np.zeros((3, 1))
    outputs = []
    previous = np.zeros((3, 4 if same_output else 3))
    for t in reversed(range(5)) if go_backwards else range(5):
        new = np.tanh(X[:, t] @ W + h @ U + C)
        output = new if same_output else new @ V
        more = count + X[:, t].sum(axis=-1, keepdims=True)
        if masked:
            valid = MASK[:, t, None] > 0
            output = np.where(valid, output, previous)
            new, more = np.where(valid, new, h), np.where(valid, more, count)
        outputs.append(output)
        previous, h, count = output, new, more
    return [previous, np.stack(outputs, axis=1), h, count]


@pytest.mark.parametrize(
    ("same_output", "go_backwards", "masked"), list(itertools.product([False, True], repeat=3)), ids=str
)
def test_looped_and_unrolled_are_the_plain_loop(same_output, go_backwards, masked):
    want = in_numpy(same_output, go_backwards, masked)
    grads = None
    for time, unroll in ((5, True), (5, False), (None, False)):
        f = build(time, same_output, go_backwards, masked, unroll)
        found = f([X, MASK, C])
        for got, expected in zip(found[:4], want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)
        if grads is None:
            grads = found[4:]
        for got, expected in zip(found[4:], grads, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


def test_one_function_serves_all_lengths():
    f = build(None, True, False, False, False)
    long = f([X, MASK, C])
    short = f([X[:, :3], MASK[:, :3], C])
    np.testing.assert_allclose(short[1], long[1][:, :3], rtol=1e-14)
    np.testing.assert_allclose(short[0], long[1][:, 2], rtol=1e-14)


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_step_without_states(unroll, masked):
    x, mask = K.placeholder((None, 5, 2)), K.placeholder((None, 5), dtype="bool")
    last, outputs, states = K.rnn(lambda i, s: (i * 2, []), x, [], unroll=unroll, mask=mask if masked else None)
    got = K.function([x, mask], [last, outputs])([X, MASK])
    want = X * 2
    if masked:
        for t in range(5):
            before = want[:, t - 1] if t else 0
            want[:, t] = np.where(MASK[:, t, None] > 0, want[:, t], before)
    assert states == []
    np.testing.assert_allclose(got[1], want)
    np.testing.assert_allclose(got[0], want[:, -1])


@pytest.mark.parametrize("unroll", [False, True])
def test_a_mask_with_a_last_axis_of_one(unroll):
    x = K.variable(X)
    step = lambda i, s: (i + s[0], [i + s[0]])
    flat = K.rnn(step, x, [K.zeros((3, 2))], mask=K.variable(MASK), unroll=unroll)[1]
    deep = K.rnn(step, x, [K.zeros((3, 2))], mask=K.variable(MASK[:, :, None]), unroll=unroll)[1]
    np.testing.assert_array_equal(K.eval(flat), K.eval(deep))


@pytest.mark.parametrize("unroll", [False, True])
def test_inputs_of_higher_rank(unroll):
    data = RNG.normal(size=(2, 4, 3, 2))
    x = K.placeholder((None, 4, 3, 2))
    last, outputs, _ = K.rnn(
        lambda i, s: (i + s[0], [i + s[0]]), x, [K.zeros_like(x[:, 0])], mask=K.variable(MASK[:2, :4]), unroll=unroll
    )
    got = K.function([x], [last, outputs])([data])
    want = np.cumsum(data * MASK[:2, :4, None, None], axis=1)
    # Before the first valid step the output is 0, and so is the sum.
    np.testing.assert_allclose(got[1], want)
    np.testing.assert_allclose(got[0], want[:, -1])


@pytest.mark.parametrize("unroll", [False, True])
def test_the_learning_phase_in_a_step_marks_the_results(unroll):
    x = K.placeholder((None, 3, 2))
    step = lambda i, s: (K.in_train_phase(i * 2, i) + 1, [])
    last, outputs, _ = K.rnn(step, x, [], unroll=unroll)
    assert last._uses_learning_phase and outputs._uses_learning_phase
    f = K.function([x, K.learning_phase()], [outputs])
    np.testing.assert_allclose(f([X[:, :3], 1])[0], X[:, :3] * 2 + 1)
    np.testing.assert_allclose(f([X[:, :3], 0])[0], X[:, :3] + 1)
    last, outputs, _ = K.rnn(lambda i, s: (i, []), x, [], unroll=unroll)
    assert not last._uses_learning_phase and not outputs._uses_learning_phase


@pytest.mark.parametrize("unroll", [False, True])
def test_dropout_is_drawn_anew_at_each_step(unroll):
    x = K.placeholder((None, 6, 50))
    outputs = K.rnn(lambda i, s: (K.dropout(i, 0.5), []), x, [], unroll=unroll)[1]
    f = K.function([x], [outputs])
    a, b = f([np.ones((1, 6, 50))])[0], f([np.ones((1, 6, 50))])[0]
    rows = {row.tobytes() for row in np.concatenate([a[0], b[0]])}
    assert len(rows) == 12 and set(np.unique(a)) == {0, 2}


@pytest.mark.parametrize("unroll", [False, True])
def test_a_mask_that_the_step_makes_once_holds_for_all_steps(unroll):
    x = K.placeholder((None, 6, 20))
    made = []

    def step(inputs, states):
        if not made:
            made.append(K.dropout(K.ones_like(inputs), 0.5))
        return inputs * made[0], []

    _, outputs, _ = K.rnn(step, x, [], unroll=unroll)
    got = K.function([x], [outputs])([np.ones((5, 6, 20))])[0]
    assert set(np.unique(got)) == {0, 2}
    np.testing.assert_array_equal(got, np.repeat(got[:, :1], 6, axis=1))


def test_variables_are_followed():
    w = K.variable(2.0)
    x = K.placeholder((None, None, 1))
    last = K.rnn(lambda i, s: (s[0] * w + i, [s[0] * w + i]), x, [K.zeros_like(x[:, 0])])[0]
    f = K.function([x], [last])
    assert f([np.ones((1, 3, 1))])[0].item() == 7
    K.set_value(w, 3.0)
    assert f([np.ones((1, 3, 1))])[0].item() == 13


def test_on_values_at_once():
    last, outputs, (state,) = K.rnn(lambda i, s: (i + s[0], [i + s[0]]), at.asarray(X), [at.zeros((3, 2))])
    np.testing.assert_allclose(outputs.numpy(), np.cumsum(X, axis=1))
    np.testing.assert_allclose(last.numpy(), X.sum(axis=1))
    np.testing.assert_allclose(state.numpy(), X.sum(axis=1))


def test_errors():
    x = K.placeholder((None, None, 2))
    step = lambda i, s: (i, s)
    with pytest.raises(ValueError, match="at least 3D"):
        K.rnn(step, K.placeholder((None, 2)), [])
    with pytest.raises(ValueError, match="fixed number of timesteps"):
        K.rnn(step, x, [], unroll=True)
    with pytest.raises(ValueError, match="samples, time"):
        K.rnn(step, x, [], mask=K.placeholder((None,)))
    with pytest.raises(ValueError, match="as many states"):
        K.rnn(lambda i, s: (i, [i]), x, [])


# -- map and fold


def test_map_fn_stacks_what_the_function_gives():
    x = K.placeholder((None, 2))
    f = K.function(
        [x],
        [
            K.map_fn(lambda row: K.sum(row), x),
            K.map_fn(lambda pair: pair[0] * pair[1], (x, x + 1)),
            *K.map_fn(lambda row: [row * 2, K.max(row)], x),
            K.map_fn(lambda row: K.sum(row), x, dtype="float32"),
        ],
    )
    data = X[0]
    sums, products, doubled, highest, single = f([data])
    np.testing.assert_allclose(sums, data.sum(axis=1))
    np.testing.assert_allclose(products, data * (data + 1))
    np.testing.assert_allclose(doubled, data * 2)
    np.testing.assert_allclose(highest, data.max(axis=1))
    assert single.dtype == np.float32


def test_map_fn_has_gradients_and_marks():
    x = K.variable(X[0])
    y = K.map_fn(lambda row: K.in_train_phase(K.sum(row * row), K.sum(row)), x)
    assert y._uses_learning_phase
    np.testing.assert_allclose(K.eval(K.gradients(K.sum(y), [x])[0]), np.ones((5, 2)))


@pytest.mark.parametrize("known", [False, True])
def test_folds_run_from_either_end(known):
    x = K.placeholder((5, 2) if known else (None, 2))
    step = lambda total, row: total * 2 + row
    got = K.function(
        [x], [K.foldl(step, x), K.foldr(step, x), K.foldl(step, x, K.ones((2,))), K.foldr(step, x, K.ones((2,)))]
    )([X[0]])

    def fold(rows, start):
        for row in rows:
            start = start * 2 + row
        return start

    rows = list(X[0])
    want = [
        fold(rows[1:], rows[0]),
        fold(rows[-2::-1], rows[-1]),
        fold(rows, np.ones(2)),
        fold(rows[::-1], np.ones(2)),
    ]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_fold_of_several_tensors():
    a, b = K.foldl(lambda total, pair: (total[0] + pair[0] * pair[1], pair[1]), (K.variable(X[0]), K.variable(X[1])))
    np.testing.assert_allclose(K.eval(a), X[0, 0] + (X[0, 1:] * X[1, 1:]).sum(axis=0))
    np.testing.assert_allclose(K.eval(b), X[1, -1])
