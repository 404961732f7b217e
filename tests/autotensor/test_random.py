"""Distributions by their moments and shares, states, and when a draw happens.

Fixed seeds: each bound is at least five standard errors of what it bounds.
"""

from __future__ import annotations

import json
import math
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autotensor.core.state import deferred
from autotensor.core.tensor import Tensor, Variable, placeholder
from autotensor.errors import AutotensorError
from autotensor.graph.compile import function
from autotensor.kernels import counter_rng
from autotensor.ops import random

N = 200_000
ERROR = 5 / math.sqrt(N)


@pytest.fixture
def rng():
    return random.Generator(20240607)


@pytest.fixture(autouse=True)
def keep_default_state():
    before = random.get_state()
    yield
    random.set_state(before)


# -- distributions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_fills_its_interval_evenly(rng, dtype):
    x = random.uniform((N,), -1.0, 3.0, dtype, rng).numpy()
    assert x.dtype == dtype
    assert x.min() >= -1 and x.max() <= 3
    shares = np.histogram(x, bins=16, range=(-1, 3))[0] / N
    np.testing.assert_allclose(shares, 1 / 16, atol=5 * math.sqrt(1 / 16 / N))


def test_uniform_below_one_in_every_precision(rng):
    for dtype in ("float16", "float32", "float64"):
        assert random.uniform((N,), dtype=dtype, generator=rng).numpy().max() < 1


def test_neighbours_are_independent(rng):
    x = random.normal((N + 1,), dtype="float64", generator=rng).numpy()
    for lag in (1, 2, 64):
        assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < ERROR
    y = random.normal((N + 1,), dtype="float64", generator=rng).numpy()
    assert abs(np.corrcoef(x, y)[0, 1]) < ERROR


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_has_the_moments_and_the_distribution_function(rng, dtype):
    z = (random.normal((N,), 2.0, 3.0, dtype, rng).numpy().astype(np.float64) - 2) / 3
    assert abs(z.mean()) < ERROR
    assert abs(z.var() - 1) < ERROR * math.sqrt(2)
    assert abs((z**3).mean()) < ERROR * math.sqrt(15)
    assert abs((z**4).mean() - 3) < ERROR * math.sqrt(96)
    for q in (-2.0, -1.0, -0.3, 0.0, 0.7, 1.5, 3.0):
        want = 0.5 * (1 + math.erf(q / math.sqrt(2)))
        assert abs((z < q).mean() - want) < 5 * math.sqrt(want * (1 - want) / N)


def test_truncated_normal_is_a_normal_cut_at_two(rng):
    z = random.truncated_normal((N,), 1.0, 0.5, "float64", rng).numpy()
    z = (z - 1.0) / 0.5
    assert np.abs(z).max() <= 2 + 1e-12
    # The variance of a standard normal within +-2: 1 - 4 phi(2) / (2 Phi(2) - 1).
    inside = math.erf(2 / math.sqrt(2))
    variance = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / inside
    assert abs(z.mean()) < ERROR
    assert abs(z.std() - 0.87962566) < ERROR
    assert abs(z.var() - variance) < 2 * ERROR
    for q in (-1.7, -0.5, 0.2, 1.9):
        want = 0.5 + 0.5 * math.erf(q / math.sqrt(2)) / inside
        assert abs((z < q).mean() - want) < ERROR / 2


def test_bernoulli_and_its_dtype(rng):
    x = random.bernoulli((N,), 0.3, generator=rng)
    assert x.dtype == np.bool_
    assert abs(x.numpy().mean() - 0.3) < ERROR / 2
    assert random.bernoulli((4,), 1.0, "float32", rng).numpy().tolist() == [1, 1, 1, 1]
    assert random.bernoulli((4,), 0.0, "int8", rng).numpy().tolist() == [0, 0, 0, 0]
    p = np.array([[0.1], [0.9]])
    shares = random.bernoulli((2, N), p, generator=rng).numpy().mean(axis=1)
    np.testing.assert_allclose(shares, p[:, 0], atol=ERROR)


def test_randint_is_even_and_within_bounds(rng):
    x = random.randint(-2, 5, (N,), generator=rng).numpy()
    assert x.dtype == np.int64
    values, counts = np.unique(x, return_counts=True)
    assert values.tolist() == list(range(-2, 5))
    np.testing.assert_allclose(counts / N, 1 / 7, atol=5 * math.sqrt(1 / 7 / N))
    assert set(np.unique(random.randint(3, shape=(100,), generator=rng).numpy())) == {0, 1, 2}
    small = random.randint(-128, 128, (5000,), "int8", rng).numpy()
    assert small.dtype == np.int8 and small.min() == -128 and small.max() == 127
    wide = random.randint(0, 2**64, (1000,), "uint64", rng).numpy()
    assert wide.max() > 2**63 and wide.min() < 2**62


def test_permutation_and_shuffle(rng):
    order = random.permutation(1000, generator=rng).numpy()
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != list(range(1000))
    x = np.arange(12.0).reshape(6, 2)
    y = random.shuffle(x, generator=rng).numpy()
    assert sorted(map(tuple, y)) == list(map(tuple, x))
    wide = random.permutation(np.arange(40).reshape(2, 20), axis=1, generator=rng).numpy()
    assert (wide[1] - wide[0] == 20).all() and sorted(wide[0].tolist()) == list(range(20))


def test_each_order_of_three_is_equally_likely(rng):
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(6000):
        order = tuple(random.permutation(3, generator=rng).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    np.testing.assert_allclose(list(counts.values()), 1000, atol=5 * math.sqrt(1000 * 5 / 6))


def test_categorical_follows_softmax(rng):
    p = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        logits = np.broadcast_to(np.log(p) + 3, (N, 4))
    x = random.categorical(logits, generator=rng).numpy()
    np.testing.assert_allclose(np.bincount(x, minlength=4) / N, p, atol=ERROR)


# -- dropout


def test_dropout_drops_the_share_and_keeps_the_mean(rng):
    y = random.dropout(np.ones(N, np.float32), 0.3, generator=rng).numpy()
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) * np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < ERROR / 2


def test_dropout_shares_one_decision_along_axes_of_one(rng):
    x = np.ones((50, 7, 40))
    y = random.dropout(x, 0.5, (None, 1, None), rng).numpy()
    assert (y == y[:, :1]).all()
    assert 0 < (y[:, 0] == 0).mean() < 1
    whole = random.dropout(x, 0.5, (50, 1, 1), rng).numpy()
    assert (whole == whole[:, :1, :1]).all()


def test_gradient_of_dropout_is_its_mask(rng):
    x = Tensor(np.linspace(1, 2, 1000), requires_grad=True)
    y = random.dropout(x, 0.25, generator=rng)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.where(y.numpy() == 0, 0, 1 / 0.75))


def test_dropout_of_nothing_and_of_everything(rng):
    x = Tensor(np.arange(4.0))
    before = rng.get_state()
    assert random.dropout(x, 0.0, generator=rng) is x
    assert random.dropout(x, 1.0, generator=rng).tolist() == [0, 0, 0, 0]
    assert rng.get_state() == before


# -- states and keys


def test_a_seed_gives_the_same_numbers_again():
    random.seed(7)
    a = [random.normal((5,)).tolist(), random.randint(9, shape=(5,)).tolist()]
    random.seed(7)
    assert [random.normal((5,)).tolist(), random.randint(9, shape=(5,)).tolist()] == a
    random.seed(8)
    assert random.normal((5,)).tolist() != a[0]


def test_a_state_is_json_and_resumes_in_the_middle(rng):
    random.uniform((3,), generator=rng)
    state = json.loads(json.dumps(rng.get_state()))
    a = random.uniform((3,), generator=rng).tolist()
    b = random.uniform((3,), generator=rng).tolist()
    assert a != b
    other = random.Generator(0)
    other.set_state(state)
    assert random.uniform((3,), generator=other).tolist() == a
    copied = pickle.loads(pickle.dumps(other))
    assert random.uniform((3,), generator=copied).tolist() == b


def test_seeds_from_the_system_differ():
    assert random.Generator().get_state() != random.Generator().get_state()


@pytest.mark.promise("threads")
def test_threads_never_get_the_same_key(rng):
    state = rng.get_state()
    alone = {int(rng.next_key()) for _ in range(80_000)}
    rng.set_state(state)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda _: [int(rng.next_key()) for _ in range(20_000)], range(4)))
    finally:
        sys.setswitchinterval(before)
    assert {key for keys in drawn for key in keys} == alone and rng.get_state()["draws"] == state["draws"] + 80_000


def test_numpy_draws_the_bits_of_the_compiled_helpers():
    key = counter_rng.make_key(3, 4)
    for dtype, helper in ((np.float32, counter_rng.uniform_f32), (np.float64, counter_rng.uniform_f64)):
        x = random.random_uniform(Tensor(key), shape=(4,), dtype=np.dtype(dtype)).numpy()
        scalar = getattr(helper, "py_func", helper)
        with np.errstate(over="ignore"):
            assert x.tolist() == [scalar(np.uint64(i), key) for i in range(4)]


# -- graphs


def test_draws_in_graphs_are_made_at_each_call(rng):
    with deferred():
        x = random.normal((3,), generator=rng)
        y = x * 2
    assert x.is_symbolic and rng.get_state()["draws"] == 0
    f = function([], [x, y])
    first, twice = f()
    second, _ = f()
    np.testing.assert_array_equal(twice, first * 2)
    assert (first != second).all()
    assert rng.get_state()["draws"] == 2


def test_two_draws_in_a_graph_differ(rng):
    with deferred():
        a, b = random.uniform((4,), generator=rng), random.uniform((4,), generator=rng)
    a, b = function([], [a, b])()
    assert (a != b).all()


@pytest.mark.parametrize("fuse", [False, True])
def test_a_compiled_draw_has_the_bits_of_an_eager_one(rng, fuse):
    from autotensor import config

    x = placeholder((None, 64))
    y = random.dropout(x, 0.5, generator=rng)
    given = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    state = rng.get_state()
    with config.use(fuse=fuse):
        got = function([x], y)(given)
    rng.set_state(state)
    np.testing.assert_array_equal(got, random.dropout(given, 0.5, generator=rng).numpy())


def test_a_placeholder_or_a_deferred_variable_makes_a_draw_symbolic(rng):
    x = placeholder((None, 4))
    for make in (
        lambda x: random.dropout(x, 0.5, generator=rng),
        lambda x: random.normal_like(x, generator=rng),
        lambda x: random.uniform_like(x, -1, 1, generator=rng),
        lambda x: random.truncated_normal_like(x, generator=rng),
        lambda x: random.bernoulli_like(x, 0.5, generator=rng),
        lambda x: random.shuffle(x, generator=rng),
    ):
        y = make(x)
        assert y.is_symbolic and y.shape == (None, 4) and y.dtype == np.float32
        f = function([x], y)
        assert f(np.ones((50, 4), np.float32)).shape == (50, 4)
    assert random.categorical(x, generator=rng).shape == (None,)
    assert make(Variable(np.ones((3, 4), np.float32), deferred=True)).is_symbolic
    draws = rng.get_state()["draws"]
    assert draws == 6, "graphs draw when they run, not when they are built"


def test_locations_and_scales_have_gradients(rng):
    mean = Tensor(np.zeros(3), requires_grad=True)
    scale = Tensor(np.ones(3), requires_grad=True)
    x = random.normal((1000, 3), mean, scale, "float64", rng)
    x.sum().backward()
    np.testing.assert_allclose(mean.grad.numpy(), 1000.0)
    np.testing.assert_allclose(scale.grad.numpy(), x.numpy().sum(axis=0))


# -- errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: random.uniform((None, 3)), r"[uniform] the shape must be whole numbers; got (None, 3)"),
        (lambda: random.normal((2,), dtype="int32"), "[normal] dtype must be float16, float32 or float64; got int32"),
        (lambda: random.randint(5, 5), "[randint] expected low < high"),
        (lambda: random.randint(0, 300, dtype="uint8"), "[randint] expected low < high within uint8"),
        (lambda: random.randint(0, 3, dtype="float32"), "[randint] dtype must be an integer type"),
        (lambda: random.dropout(np.ones(3), 1.5), "[dropout] rate is a probability from 0 to 1; got 1.5"),
        (lambda: random.dropout(np.ones(3, int), 0.5), "[dropout] dtype must be float16"),
        (lambda: random.dropout(np.ones((2, 3)), 0.5, (3,)), "[dropout] noise_shape needs"),
        (lambda: random.dropout(np.ones((2, 3)), 0.5, (2, 4)), "[dropout] shapes"),
        (lambda: random.permutation(-1), "[permutation] expected 0 or more; got -1"),
        (lambda: random.shuffle(3.0), "[shuffle] expected at least one axis"),
        (lambda: random.seed("x"), "[seed] expected a whole number or None; got 'x'"),
        (lambda: random.set_state({"seed": 1}), "[set_state] expected what get_state() returns"),
        (
            lambda: random.random_uniform(placeholder((2,)), shape=(2,), dtype=np.dtype("f")),
            "[random_uniform] expected a key",
        ),
    ],
)
def test_errors_say_what_was_expected(call, words):
    with pytest.raises(AutotensorError) as caught:
        call()
    assert words in str(caught.value)
