"""Generated kernels on threads, and many by one call: against NumPy, and against themselves with other parts."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autotensor as at
from autotensor import config
from autotensor.graph.compile import Function
from autotensor.kernels import tasks, threads
from autotensor.kernels.jit import DISABLED
from autotensor.ops.random import Generator


def plan_of(f: Function):
    return f.plans[-1]


def programs(f):
    """The tasks of each call of generated kernels in the plan."""
    calls = [call for call in plan_of(f).calls if call.call in (tasks.execute, tasks.execute.serial)]
    return [(call.args[0], call.label.split("; ")) for call in calls]


def graph(shape, dtype):
    """Elementwise results, and reductions that keep all, some or no axes."""
    x, bias = at.placeholder(shape, dtype), at.placeholder(shape[-1:], dtype)
    y = at.tanh(x + bias)
    axes = tuple(range(len(shape) - 1))
    outputs = [y, at.sum(y, axis=axes), at.max(y, axis=axes), at.sum(y * y), at.min(y), y > 0, at.sum(y, axis=-1)]
    return at.function([x, bias], outputs), lambda a, b: [
        t := np.tanh(a + b), t.sum(axes), t.max(axes), (t * t).sum(), t.min(), t > 0, t.sum(-1)
    ]  # fmt: skip


SHAPES = [(70_000,), (3, 70_000), (9_000, 8), (2_000, 64), (5, 700, 40), (1, 90_000)]


@pytest.fixture
def small_parts(monkeypatch):
    """Work is shared from the first microsecond on."""
    monkeypatch.setattr(threads, "GRAIN", 50)


@pytest.mark.parametrize("dtype", ["f4", pytest.param("f8", marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_give_what_one_gives(shape, dtype, small_parts):
    f, expected = graph(shape, dtype)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(dtype) for s in (shape, shape[-1:])]
    want = expected(*[a.astype("f8") for a in arrays])
    for number in (1, 2, 3):
        with config.use(threads=number):
            got = f(*arrays)
            # A single row is not shared.
            assert any(len(table) > 2 for table, _ in programs(f)) or number == 1 or shape[0] == 1
        for a, b in zip(got, want, strict=True):
            scale = max(1.0, float(np.abs(b.astype("f8")).max()))
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * scale if dtype == "f4" else 1e-11 * scale)


@pytest.mark.promise(33)
@pytest.mark.parametrize("shape", SHAPES)
def test_deterministic_results_do_not_depend_on_threads(shape, small_parts):
    f, _ = graph(shape, "f4")
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=s).astype("f4") for s in (shape, shape[-1:])]
    found = []
    for number in (1, 2):
        with config.use(threads=number, deterministic=True):
            found.append(f(*arrays))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(DISABLED, reason="plain Python functions are called one by one")
def test_kernels_that_follow_each_other_are_one_call():
    variables = [at.Variable(np.zeros(n, "f4")) for n in (3, 5, 8, 13, 21)]
    x = at.placeholder(())
    f = at.function([x], [], updates=[(v, v * 0.5 + x) for v in variables])
    f(np.float32(1))
    f(np.float32(2))
    assert len(plan_of(f).calls) == 1 and len(programs(f)[0][1]) == 5
    for v in variables:
        np.testing.assert_array_equal(v.numpy(), np.full(v.shape, 2.5, "f4"))


def test_updates_of_large_weights_start_the_threads_once(small_parts):
    sizes = (40_000, 30_000, 20_000, 7)
    variables = [at.Variable(np.ones(n, "f4")) for n in sizes]
    x = at.placeholder(())
    with config.use(threads=2):
        f = at.function([x], [], updates=[(v, at.sqrt(v) + x) for v in variables])
        f(np.float32(3))
        ((table, labels),) = programs(f)
    assert len(labels) == len(sizes)
    assert table[0, 0] == 2 and table[0, 3] == len(table), "one stage of two lists"
    assert {table[0, 1], table[1, 1]} == {2, table[0, 2]} and table[1, 2] == len(table)
    for v in variables:
        np.testing.assert_array_equal(v.numpy(), np.full(v.shape, 4, "f4"))


def test_a_kernel_waits_for_what_it_reads(small_parts):
    """The total is needed by the next kernel, so that the two are no stage."""
    x = at.placeholder((50_000,), np.float64)
    with config.use(threads=2):
        y = at.exp(x)
        f = at.function([x], [at.sum(y), at.sqrt(at.abs(y - at.sum(y)))])
        a = np.random.default_rng(0).normal(size=50_000)
        for _ in range(20):
            total, root = f(a)
            np.testing.assert_allclose(total, np.exp(a).sum(), rtol=1e-12)
            np.testing.assert_allclose(root, np.sqrt(np.abs(np.exp(a) - np.exp(a).sum())), rtol=1e-10)


def test_a_step_holds_the_arrays_it_points_at():
    x = at.placeholder((1000,))
    f = at.function([x], at.exp(x) * at.Tensor(np.full(1000, 2, "f4")))
    a = np.random.default_rng(0).normal(size=1000).astype("f4")
    f(a)
    run, expected = plan_of(f).run, np.exp(a) * 2
    del f
    gc.collect()
    rubbish = [np.full(1000, np.nan, "f4") for _ in range(200)]
    np.testing.assert_allclose(run(a)[0], expected, rtol=1e-6)
    assert rubbish


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([(16, 3), (33, 10), (8, 1), (4, 21, 7), (70, 32), (2, 3, 40, 5)]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_short_rows(shape, nan, number, seed):
    """Blocks of rows, the last of which is not full: softmax, loss, accuracy, and the gradient of a bias."""
    x, bias, weight = at.placeholder(shape), at.placeholder(shape[-1:]), at.placeholder(shape[:-1])
    y = at.placeholder(shape)
    z = x + bias
    e = at.exp(z - at.max(z, axis=-1, keepdims=True))
    p = e / at.sum(e, axis=-1, keepdims=True)
    axes = tuple(range(len(shape) - 1))
    hit = at.equal(at.argmax(p, axis=-1), at.argmax(y, axis=-1))
    outputs = [
        p, at.sum(at.sum(y * at.log(p + 1e-3), axis=-1) * weight), hit, at.sum(p - y, axis=axes), at.sum(p * y),
        at.argmin(z, axis=-1), z > bias, at.min(z, axis=-1),
    ]  # fmt: skip
    f = at.function([x, bias, weight, y], outputs)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=s).astype("f4") for s in (shape, shape[-1:], shape[:-1], shape)]
    if nan:
        arrays[0].reshape(-1)[[0, 5]] = np.nan, -np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "GRAIN", 50)
        with config.use(threads=number):
            found = f(*arrays)
    with config.use(compile=False):
        plain = f(*arrays)
    for a, b in zip(found, plain, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", ["f4", "i8", *[pytest.param(d, marks=pytest.mark.slow) for d in ("f8", "i4", "u1")]])
@pytest.mark.parametrize("shape", [(1,), (300,), (7, 300), (3, 4, 50)])
def test_extremes_and_their_places(dtype, shape):
    x = at.placeholder(shape, dtype)
    z = x * 1
    f = at.function(
        [x],
        [at.max(z, axis=-1), at.min(z, axis=-1), at.max(z), at.min(z), at.argmax(z, axis=-1), at.argmin(z, axis=-1)],
    )
    rng = np.random.default_rng(0)
    a = np.abs(np.round(rng.normal(size=shape) * 20)).astype(dtype)
    cases = [a, np.zeros_like(a)]
    if a.dtype.kind == "f":
        infinite = np.full_like(a, -np.inf)
        negative = -a - 0.5
        bad = a.copy()
        bad.reshape(-1)[-1] = -np.nan
        cases += [infinite, -infinite, negative, bad, np.where(bad != bad, np.nan, bad)]
    for case in cases:
        with np.errstate(all="ignore"):
            want = [case.max(-1), case.min(-1), case.max(), case.min(), case.argmax(-1), case.argmin(-1)]
        for got, expected in zip(f(case), want, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_keys_made_ahead_are_those_made_one_by_one():
    generator = Generator(7)
    keys = [generator.next_key() for _ in range(150)]
    for k in (0, 63, 64, 149):
        again = Generator(0)
        again.set_state({"seed": 7, "draws": k})
        assert again.next_key() == keys[k] and again.get_state()["draws"] == k + 1
    generator.seed(7)
    assert generator.next_key() == keys[0]
