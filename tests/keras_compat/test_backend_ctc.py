"""K.ctc_batch_cost, K.ctc_decode, K.ctc_label_dense_to_sparse: the conventions of Keras on top of the engine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.layers import Dense, Input, Lambda, SimpleRNN
from keras_compat.models import Model
from keras_compat.optimizers import Adam

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(4), size=(3, 5))
LABELS = np.array([[0, 1, 2], [1, 1, 0], [2, 0, 0]])
TIMES = np.array([[5], [4], [3]])
LENGTHS = np.array([[3], [2], [1]])


@pytest.fixture(autouse=True)
def plain():
    with at.config.use(numba=False):
        yield


def cost_of(p, labels, epsilon=1e-7):
    """The sum over all paths, one by one; the last class is the blank."""
    p = (p + epsilon) / (p + epsilon).sum(axis=1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        merged = [c for t, c in enumerate(path) if t == 0 or c != path[t - 1]]
        if [c for c in merged if c != p.shape[1] - 1] == list(labels):
            total += np.prod([p[t, c] for t, c in enumerate(path)])
    return -np.log(total)


def costs():
    rows = zip(P, LABELS, TIMES[:, 0], LENGTHS[:, 0])
    return np.array([[cost_of(p[:time], labels[:length])] for p, labels, time, length in rows])


def test_the_cost_is_that_of_all_alignments():
    y, labels = K.placeholder((None, None, 4)), K.placeholder((None, None))
    times, lengths = K.placeholder((None, 1)), K.placeholder((None, 1))
    cost = K.ctc_batch_cost(labels, y, times, lengths)
    assert K.int_shape(cost) == (None, 1)
    f = K.function([labels, y, times, lengths], [cost, *K.gradients(K.sum(cost), [y])])
    got, g = f([LABELS, P, TIMES, LENGTHS])
    np.testing.assert_allclose(got, costs(), rtol=1e-5)
    assert g.shape == P.shape and not g[1, 4:].any() and not g[2, 3:].any()
    step = 1e-3
    for i, t, c in ((0, 0, 0), (0, 4, 3), (1, 2, 1), (2, 1, 3)):
        up, down = P.copy(), P.copy()
        up[i, t, c] += step
        down[i, t, c] -= step
        difference = (f([LABELS, up, TIMES, LENGTHS])[0] - f([LABELS, down, TIMES, LENGTHS])[0]).sum() / (2 * step)
        assert g[i, t, c] == pytest.approx(difference, rel=2e-2, abs=2e-3)


def test_the_cost_uses_epsilon_of_the_backend():
    p = np.array([[[1.0, 0.0]]])
    before = K.epsilon()
    try:
        K.set_epsilon(1e-3)
        cost = K.eval(K.ctc_batch_cost(K.variable([[0]]), K.variable(1 - p), K.variable([[1]]), K.variable([[1]])))
    finally:
        K.set_epsilon(before)
    assert cost.item() == pytest.approx(-np.log(1e-3 / 1.002), rel=1e-4)


def test_greedy_decoding_gives_dense_rows():
    p = np.full((2, 4, 3), 0.1)
    for i, path in enumerate([[0, 0, 2, 0], [2, 2, 1, 2]]):
        for t, c in enumerate(path):
            p[i, t, c] = 0.8
    (decoded,), scores = K.ctc_decode(K.variable(p), K.variable([4, 4], dtype="int32"))
    got = K.eval(decoded)
    assert got.dtype == np.int64 and got.tolist() == [[0, 0], [1, -1]]
    np.testing.assert_allclose(K.eval(scores), np.full((2, 1), -4 * np.log(0.8)), rtol=1e-5)
    (decoded,), scores = K.ctc_decode(K.variable(p), K.variable([2, 2], dtype="int32"))
    assert K.eval(decoded).tolist() == [[0], [-1]]


def test_beam_search_in_a_function():
    y, times = K.placeholder((None, None, 4)), K.placeholder((None,), dtype="int32")
    decoded, scores = K.ctc_decode(y, times, greedy=False, beam_width=50, top_paths=3)
    assert len(decoded) == 3
    *found, got = K.function([y, times], [*decoded, scores])([P, TIMES[:, 0]])
    assert got.shape == (3, 3)
    for i, time in enumerate(TIMES[:, 0]):
        for k, part in enumerate(found):
            labels = [c for c in part[i] if c >= 0]
            assert got[i, k] == pytest.approx(-cost_of(P[i, :time], labels), rel=1e-4)
        assert got[i, 0] >= got[i, 1] >= got[i, 2]
    assert all((part >= 0).any(axis=0).all() for part in found), "a column of padding only"


def test_labels_behind_their_lengths_are_marked():
    got = K.eval(K.ctc_label_dense_to_sparse(K.variable(LABELS, dtype="int32"), K.variable([1, 3, 0], dtype="int32")))
    assert got.tolist() == [[0, -1, -1], [1, 1, 0], [-1, -1, -1]]


def test_the_ocr_example_s_model_learns_to_read():
    # The classic set-up: a Lambda layer computes the loss from inputs of the model, and the model's loss passes it on.
    def ctc_lambda(args):
        y_pred, labels, times, lengths = args
        return K.ctc_batch_cost(labels, y_pred[:, 1:, :], times, lengths)

    rng = np.random.default_rng(1)
    frames = Input(name="the_input", shape=(9, 3))
    labels = Input(name="the_labels", shape=(2,), dtype="float32")
    times = Input(name="input_length", shape=(1,), dtype="int64")
    lengths = Input(name="label_length", shape=(1,), dtype="int64")
    y_pred = Dense(4, activation="softmax")(SimpleRNN(16, return_sequences=True)(frames))
    loss = Lambda(ctc_lambda, output_shape=(1,), name="ctc")([y_pred, labels, times, lengths])
    model = Model([frames, labels, times, lengths], loss)
    model.compile(loss={"ctc": lambda y_true, y_pred: y_pred}, optimizer=Adam(lr=0.02))

    # Two letters at unknown times, noise elsewhere.
    wanted = rng.integers(0, 3, size=(96, 2))
    x = 0.1 * rng.normal(size=(96, 9, 3))
    x[np.arange(96), rng.integers(1, 4, 96), wanted[:, 0]] += 1
    x[np.arange(96), rng.integers(5, 8, 96), wanted[:, 1]] += 1
    inputs = [x, wanted, np.full((96, 1), 8), np.full((96, 1), 2)]
    history = model.fit(inputs, np.zeros(96), epochs=25, batch_size=32, verbose=0)
    costs = history.history["loss"]
    assert costs[-1] < 0.2 * costs[0]
    read = K.function([frames], [*K.ctc_decode(y_pred[:, 1:], K.constant(np.full(96, 8), dtype="int32"))[0]])
    assert (read([x])[0][:, :2] == wanted).mean() > 0.9


def test_equal_labels_beside_each_other_are_merged_by_level():
    p = np.full((1, 6, 3), 0.01)
    p[0, range(6), [0, 2, 0, 1, 2, 1]] = 0.98
    for level, expected in (("1.2", [[0, 1]]), ("2.2", [[0, 1]]), ("2.3", [[0, 0, 1, 1]])):
        with api_level(level):
            labels, _ = K.ctc_decode(K.constant(p), K.constant([6]), greedy=False, beam_width=5)
        assert K.eval(labels[0]).tolist() == expected
    with api_level("1.2"):  # the greedy search does not merge what a blank keeps apart
        assert K.eval(K.ctc_decode(K.constant(p), K.constant([6]))[0][0]).tolist() == [[0, 0, 1, 1]]
