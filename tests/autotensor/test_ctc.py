"""Connectionist temporal classification against sums over all alignments, differences, and TensorFlow's own numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.grad import backpropagate
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops import ctc
from autotensor.testing import check_grad

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 5, 4)) * 2
LABELS = np.array([[0, 1, 2], [1, 1, 0], [2, 9, 9], [7, 7, 7], [0, 0, 0], [2, 1, 3]])
TIMES = np.array([5, 4, 3, 2, 5, 5])
LENGTHS = np.array([3, 2, 1, 0, 3, 3])  # the last sample: a blank at the end, which does not count
SWITCHES = [{"numba": False}, {}]


def read(path, blank):
    """The labels that a path of classes stands for."""
    merged = [c for t, c in enumerate(path) if t == 0 or c != path[t - 1]]
    return tuple([c for c in merged if c != blank])


def probabilities(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def all_sequences(logits, blank):
    """Probability of every label sequence: the sum over all paths, one by one."""
    p = probabilities(logits)
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        labels = read(path, blank)
        found[labels] = found.get(labels, 0.0) + np.prod([p[t, c] for t, c in enumerate(path)])
    return found


def brute_force(logits, labels, times, lengths, blank):
    out = []
    for x, row, time, length in zip(logits, labels, times, lengths, strict=True):
        wanted = tuple([c for c in row[:length].tolist() if c != blank])
        p = all_sequences(x[:time], blank).get(wanted, 0.0)
        out.append(-np.log(p) if p else np.inf)
    return np.array(out)


@pytest.mark.parametrize("switches", SWITCHES, ids=["numpy", "numba"])
def test_the_loss_is_the_sum_over_all_alignments(switches):
    with config.use(**switches):
        got = at.ctc_loss(LOGITS, LABELS, TIMES, LENGTHS).numpy()
        np.testing.assert_allclose(got, brute_force(LOGITS, LABELS, TIMES, LENGTHS, 3), rtol=1e-12)
        labels = np.array([[1, 2], [3, 3]])
        got = at.ctc_loss(LOGITS[:2], labels, TIMES[:2], [2, 2], blank=0).numpy()
        np.testing.assert_allclose(got, brute_force(LOGITS[:2], labels, TIMES[:2], [2, 2], 0), rtol=1e-12)


def test_all_label_sequences_together_are_certain():
    sequences = sorted(all_sequences(LOGITS[0, :3], 3))
    n = len(sequences)
    labels = np.array([[*s, *[0] * (3 - len(s))] for s in sequences])
    losses = at.ctc_loss(np.repeat(LOGITS[:1, :3], n, 0), labels, np.full(n, 3), [len(s) for s in sequences])
    assert np.exp(-losses.numpy()).sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("switches", SWITCHES, ids=["numpy", "numba"])
def test_gradients_are_differences(switches):
    with config.use(**switches):
        check_grad(lambda x: at.ctc_loss(x, LABELS, TIMES, LENGTHS), LOGITS, order=2, mode="elements")


def test_gradients_of_a_long_sequence_with_many_repetitions():
    x = RNG.normal(size=(2, 30, 3))
    labels = np.array([[0, 0, 1, 1, 1, 0, 0, 1], [1, 0, 1, 0, 0, 0, 1, 1]])
    check_grad(lambda x: at.ctc_loss(x, labels, [30, 17], [8, 6]), x)


@pytest.mark.parametrize("switches", SWITCHES, ids=["numpy", "numba"])
def test_impossible_labels_cost_infinity_and_have_no_gradient(switches):
    labels = np.array([[0, 0], [0, 1], [0, 1]])
    with config.use(**switches):
        x = at.Tensor(LOGITS[:3, :2], requires_grad=True)
        loss = at.ctc_loss(x, labels, [2, 1, 2], [2, 2, 2])  # a blank must stand between; too short; fits
        assert np.isinf(loss.numpy()).tolist() == [True, True, False]
        g = at.grad(at.sum(loss), x).numpy()
    assert not g[:2].any() and g[2].any()
    np.testing.assert_allclose(g[2].sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1])
def test_the_fallback_says_the_same(order):
    args = (LABELS, TIMES, LENGTHS)
    x = at.Tensor(LOGITS, requires_grad=True)
    if order == 0:
        got = ctc.ctc_loss_op.fallback(x, *args, blank=-1)
        np.testing.assert_allclose(got.numpy(), at.ctc_loss(x, *args).numpy(), rtol=1e-12)
    else:
        g = at.Tensor(RNG.normal(size=6))
        got = ctc.ctc_loss_grad.fallback(g, x, *args, blank=-1)
        (want,) = backpropagate([at.ctc_loss(x, *args)], [g], [x])
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("switches", [{"compile": False}, {"numba": False}, {}], ids=str)
def test_compiled_with_unknown_dimensions(switches):
    x = at.placeholder((None, None, 4), "float32")
    labels = at.placeholder((None, None), "int32")
    times, lengths = at.placeholder((None,), "int32"), at.placeholder((None,), "int32")
    loss = at.ctc_loss(x, labels, times, lengths)
    f = at.function([x, labels, times, lengths], [loss, *at.grad(at.sum(loss), [x])])
    with config.use(**switches):
        for n in (6, 2):
            args = [a[:n] for a in (LABELS, TIMES, LENGTHS)]
            got, g = f(LOGITS[:n].astype("float32"), *[a.astype("int32") for a in args])
            assert got.dtype == g.dtype == np.float32
            eager = at.Tensor(LOGITS[:n], requires_grad=True)
            want = at.ctc_loss(eager, *args)
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-5)
            np.testing.assert_allclose(g, at.grad(at.sum(want), eager).numpy(), rtol=1e-4, atol=1e-6)


def test_very_unlikely_labels_keep_their_digits():
    x = np.zeros((1, 200, 3))
    x[:, :, 2] = 50.0
    labels = np.tile([0, 1], 50)[None]
    assert 100 * 50 - 200 < at.ctc_loss(x, labels, [200], [100]).item() < 100 * 50


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((LOGITS[0], LABELS, TIMES, LENGTHS), ShapeError, "logits"),
        ((LOGITS, LABELS[:2], TIMES, LENGTHS), ShapeError, "6 samples"),
        ((LOGITS, LABELS.astype(float), TIMES, LENGTHS), DTypeError, "integers"),
        ((LOGITS.astype(int), LABELS, TIMES, LENGTHS), DTypeError, "floats"),
        ((LOGITS, LABELS, TIMES + 3, LENGTHS), ShapeError, "input_lengths"),
        ((LOGITS, LABELS, TIMES, LENGTHS + 3), ShapeError, "label_lengths"),
        ((LOGITS, LABELS + 3, TIMES, LENGTHS), ShapeError, r"0\.\.3"),
        ((LOGITS, LABELS * 0 + [3, 1, 1], TIMES, LENGTHS), ShapeError, "blank"),
        ((LOGITS, LABELS, TIMES, LENGTHS, 7), ShapeError, "classes"),
    ],
)
def test_errors_say_what_was_expected(args, error, message):
    with pytest.raises(error, match=message):
        at.ctc_loss(*args)


# -- decoding


def decoded(paths):
    return [[[c for c in row if c >= 0] for row in part] for part in np.asarray(paths).tolist()]


def test_greedy_takes_the_best_class_of_each_time():
    x = np.log(
        np.array(
            [
                [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.4, 0.6], [0.0, 0.0, 0.4, 0.6], [0.0, 0.9, 0.1, 0.0]],
                [[0.1, 0.9, 0.0, 0.0], [0.0, 0.9, 0.1, 0.0], [0.0, 0.0, 0.1, 0.9], [0.0, 0.9, 0.1, 0.1]],
            ]
        )
        + 1e-9
    )
    paths, scores = at.ctc_decode(x, [4, 4])
    assert decoded(paths.numpy()) == [[[0, 1], [1, 1]]]
    want = [-np.log([1.0, 0.6, 0.6, 0.9]).sum(), -np.log([0.9, 0.9, 0.9, 0.9]).sum()]
    np.testing.assert_allclose(scores.numpy()[:, 0], want, rtol=1e-6)
    assert decoded(at.ctc_decode(x, [4, 2], merge_repeated=False)[0].numpy()) == [[[0, 1], [1, 1]]]
    assert decoded(at.ctc_decode(x, [1, 0])[0].numpy()) == [[[0], []]]


def test_a_wide_beam_finds_the_most_probable_sequences():
    x = LOGITS[:3, :4]
    times = [4, 3, 4]
    paths, scores = at.ctc_decode(x, times, greedy=False, beam_width=200, top_paths=5)
    for i, time in enumerate(times):
        best = sorted(all_sequences(x[i, :time], 3).items(), key=lambda item: -item[1])[:5]
        assert [tuple(part[i]) for part in decoded(paths.numpy())] == [labels for labels, _ in best]
        np.testing.assert_allclose(scores.numpy()[i], np.log([p for _, p in best]), rtol=1e-12)


def test_a_narrow_beam_gives_the_numbers_of_tensorflow():
    # The example of TensorFlow's own tests: two best beginnings, and a constant added to all logits.
    x = 2 + np.array(
        [
            [0.30999, 0.309938, 0.0679938, 0.0673362, 0.0708352, 0.173908],
            [0.215136, 0.439699, 0.0370931, 0.0393967, 0.0381581, 0.230517],
            [0.199959, 0.489485, 0.0233221, 0.0251417, 0.0233289, 0.238763],
            [0.279611, 0.452966, 0.0204795, 0.0209126, 0.0194803, 0.20655],
            [0.51286, 0.288951, 0.0243026, 0.0220788, 0.0219297, 0.129878],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    for merge in (True, False):
        paths, scores = at.ctc_decode(x[None], [5], greedy=False, beam_width=2, top_paths=2, merge_repeated=merge)
        assert decoded(paths.numpy()) == [[[1, 0]], [[1]]]
        np.testing.assert_allclose(scores.numpy(), [[-5.811451, -6.63339]], rtol=1e-6)


def test_fewer_sequences_than_asked_for():
    paths, scores = at.ctc_decode(np.zeros((1, 1, 2)), [1], greedy=False, beam_width=9, top_paths=4)
    assert decoded(paths.numpy()) == [[[]], [[0]], [[]], [[]]] or decoded(paths.numpy())[2:] == [[[]], [[]]]
    np.testing.assert_allclose(scores.numpy()[0], [np.log(0.5), np.log(0.5), -np.inf, -np.inf])


def test_more_paths_than_the_beam_is_wide_are_refused():
    with pytest.raises(ShapeError, match="top_paths"):
        at.ctc_decode(LOGITS, TIMES, greedy=False, beam_width=2, top_paths=3)
