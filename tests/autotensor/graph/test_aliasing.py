"""Buffers, views and Variables updated in place: nobody may read what has been overwritten, or write what is read."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autotensor as at
from autotensor import config
from autotensor.graph import codegen
from autotensor.graph.fuse import Group
from tests.autotensor.graph.plain_kernels import plain_load

N = 3

# Values of one shape, made of views, elementwise operations, reductions with broadcasting, and products.
MAKE = [
    lambda a, b: a + b * 0.5,
    lambda a, b: a * 0.5 - b,
    lambda a, b: at.tanh(a) + b,
    lambda a, b: at.permute_dims(a),
    lambda a, b: a[::-1],
    lambda a, b: at.permute_dims(a)[::-1] + b,
    lambda a, b: at.reshape(a, (N * N,))[::-1].reshape((N, N)),
    lambda a, b: at.concat([a[:1], b[1:]], axis=0),
    lambda a, b: a - at.sum(b, axis=1, keepdims=True) * 0.1,
    lambda a, b: a * 0.5 + at.max(b, axis=0),
    lambda a, b: a * 0.1 + b[0],
    lambda a, b: b * 0.1 + a[:, :1],
    lambda a, b: at.matmul(a, b) * 0.1,
    lambda a, b: at.matmul(at.permute_dims(a), b) * 0.1,
    lambda a, b: at.broadcast_to(at.mean(a, axis=0), (N, N)) + b,
    lambda a, b: at.reshape(at.reshape(a, (N * N,)), (N, N)),
    lambda a, b: at.roll(a, 1, axis=0),
    lambda a, b: at.softmax(a) + b * 0.1,
    lambda a, b: at.stack([a[0], b[1], a[2]], axis=0),
    lambda a, b: at.stop_gradient(a) - b,
    lambda a, b: b,
]
STEP = st.tuples(st.integers(0, len(MAKE) - 1), st.integers(0, 99), st.integers(0, 99))


@st.composite
def programs(draw):
    return {
        "steps": draw(st.lists(STEP, min_size=1, max_size=12)),
        "updates": draw(st.lists(st.integers(0, 99), min_size=3, max_size=3)),
        "outputs": draw(st.lists(st.integers(0, 99), max_size=3)),
        "gradient": draw(st.booleans()),
    }


def compute(program, x, variables):
    values = [x, at.Tensor(np.arange(9.0).reshape(3, 3) / 8), *variables]
    for make, i, j in program["steps"]:
        values.append(MAKE[make](values[-1 - i % min(len(values), 5)], values[-1 - j % len(values)]))
    if program["gradient"]:
        found = at.gradients(at.sum(at.square(values[-1])), variables)
        values += [g * 0.01 for g in found if g is not None]
    outputs = [values[-1 - k % len(values)] for k in program["outputs"]]
    news = [values[-1 - k % len(values)] for k in program["updates"]]
    return outputs, news


def checked_task(self, arrays, outs, contiguous, scratch):
    """As Group.task, with the promise of the kernels tested: what is written overlaps nothing else."""
    same = {}
    for k, out in enumerate(outs):
        for j, a in enumerate(arrays):
            if np.shares_memory(a, out):
                assert a.ctypes.data == out.ctypes.data and a.shape == out.shape and a.flags.c_contiguous
                assert k not in same, "two inputs overlap an output"
                same[k] = j
        for other in outs[:k]:
            assert not np.shares_memory(out, other), "two outputs overlap"
    return _task(self, arrays, outs, contiguous, scratch)


_task = Group.task


@settings(max_examples=max(60, settings().max_examples), deadline=None)
@given(programs(), st.integers(0, 99))
def test_updates_see_the_values_from_before_the_call(program, seed):
    check(program, seed)


def check(program, seed):
    rng = np.random.default_rng(seed)
    start = [rng.normal(size=(N, N)) for _ in range(3)]
    calls = [rng.normal(size=(N, N)) for _ in range(3)]
    state, expected = start, []
    for a in calls:
        leaves = [at.Tensor(s, requires_grad=True) for s in state]
        outputs, news = compute(program, at.Tensor(a), leaves)
        state = [t.numpy().copy() for t in news]
        expected.append(([t.numpy().copy() for t in outputs], state))
    x = at.placeholder((N, N), np.float64)
    variables = [at.Variable(s, deferred=True) for s in start]
    outputs, news = compute(program, x, variables)
    f = at.function([x], outputs, updates=list(zip(variables, news, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codegen, "load", plain_load)
        patch.setattr(Group, "task", checked_task)
        for mode in ({}, {"fuse": False}, {"compile": False}):
            for variable, s in zip(variables, start, strict=True):
                variable.assign(s)
            with config.use(**mode):
                for a, (values, after) in zip(calls, expected, strict=True):
                    for got, want in zip(f(a), values, strict=True):
                        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
                    for variable, want in zip(variables, after, strict=True):
                        np.testing.assert_allclose(variable.numpy(), want, rtol=1e-9, atol=1e-9)


def test_outputs_that_are_inputs_constants_variables_and_each_other():
    x = at.placeholder((3,), np.float64)
    w = at.Variable(np.ones(3))
    c = at.Tensor([7.0, 8.0, 9.0])
    y = x + 1
    f = at.function([x], [x, w, c, y, y, x[1:], c[::-1], w[:2]], updates=[(w, w * 2)])
    a = np.arange(3.0)
    first = f(a)
    for got, want in zip(first, [a, np.ones(3), c, a + 1, a + 1, a[1:], [9, 8, 7], [1, 1]], strict=True):
        np.testing.assert_array_equal(got, want)
    for k, value in enumerate(first):
        value[...] = -1  # the caller's own: nothing else may change
        for other in first[k + 1 :]:
            assert not np.shares_memory(value, other)
    np.testing.assert_array_equal(a, [0, 1, 2])
    np.testing.assert_array_equal(c.numpy(), [7, 8, 9])
    second = f(a)
    for got, want in zip(second, [a, np.full(3, 2.0), c, a + 1, a + 1, a[1:], [9, 8, 7], [2, 2]], strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_value_shared_by_two_updates_an_input_and_a_constant_as_new_values():
    x = at.placeholder((3,), np.float64)
    a, b, c, d = [at.Variable(np.zeros(3)) for _ in range(4)]
    new = a + x
    f = at.function([x], new, updates=[(a, new), (b, new), (c, x), (d, at.Tensor([1.0, 2.0, 3.0]))])
    for k in range(1, 3):
        np.testing.assert_array_equal(f(np.ones(3)), np.full(3, k))
        for variable, want in [(a, k), (b, k), (c, 1)]:
            np.testing.assert_array_equal(variable.numpy(), np.full(3, want))
        np.testing.assert_array_equal(d.numpy(), [1, 2, 3])
        b.assign(np.full(3, 50.0))  # Variables do not share memory afterwards
        np.testing.assert_array_equal(a.numpy(), np.full(3, k))


def test_three_variables_change_places():
    a, b, c = [at.Variable(np.full((2, 2), k, float)) for k in (1, 2, 3)]
    f = at.function([], [a, b, c], updates=[(a, b), (b, at.permute_dims(c)), (c, a[::-1])])
    assert [int(v[0, 0]) for v in f()] == [1, 2, 3]
    assert [int(v.numpy()[0, 0]) for v in (a, b, c)] == [2, 3, 1]


def test_an_update_is_cast_to_the_dtype_of_the_variable():
    n = at.Variable(np.zeros(2, np.int32))
    x = at.placeholder((2,), np.float64)
    at.function([x], [], updates=[(n, x * 2)])(np.array([1.4, 2.6]))
    assert n.dtype == np.int32 and n.numpy().tolist() == [2, 5]


def test_an_update_that_would_be_broadcast_is_refused_when_the_shape_is_known():
    w = at.Variable(np.ones((5, 3)), name="w")
    x = at.placeholder((None, 3), np.float64)
    f = at.function([x], [], updates=[(w, x * 2)])
    f(np.ones((5, 3)))
    with pytest.raises(at.errors.GraphError, match=r"update of w has shape \(1, 3\)"):
        f(np.zeros((1, 3)))
    assert (w.numpy() == 2).all()


def test_a_failed_run_leaves_all_variables_alone():
    a = at.Variable(np.ones((2, 2)), deferred=True)
    b = at.Variable(np.ones((2, 2)), deferred=True)
    f = at.function([], at.sum(a), updates=[(a, a + 1), (b, at.linalg.inv(b))])
    with pytest.raises(np.linalg.LinAlgError):
        f()
    assert (a.numpy() == 1).all() and (b.numpy() == 1).all()
    b.assign(np.eye(2) * 2)
    assert f() == 4
    assert (a.numpy() == 2).all() and (b.numpy() == np.eye(2) / 2).all()


def test_a_bad_index_is_explained_and_changes_nothing():
    table = at.Variable(np.ones((4, 2)), name="table", deferred=True)
    i = at.placeholder((None,), np.int64, name="i")
    rows = at.take(table, i, axis=0)
    f = at.function([i], rows, updates=[(table, table - at.grad(at.sum(at.square(rows)), table))], name="lookup")
    f(np.array([0, 1]))
    before = table.numpy()
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            f(np.array([0, 99]))
        note = "".join(caught.value.__notes__)
        assert "[lookup]" in note and "take" in note and "test_aliasing.py" in note
        np.testing.assert_array_equal(table.numpy(), before)


def test_a_subclass_of_variable_is_a_variable():
    class Weight(at.Variable):
        pass

    w = Weight(np.ones((2, 2)))
    part = w[0]
    w.assign(np.zeros((2, 2)))
    assert part.tolist() == [1, 1]

    @at.compile
    def step(x):
        w.assign(w + x)
        return at.sum(w)

    assert [float(step(np.ones((2, 2)))) for _ in range(2)] == [4, 8]


@pytest.mark.promise(29)
def test_plans_and_buffers_go_without_the_garbage_collector():
    x = at.placeholder((64,))
    f = at.function([x], at.exp(x) @ at.tanh(x))
    f(np.ones(64))
    plan = f.plans[-1]
    refs = [weakref.ref(plan), weakref.ref(f), *[weakref.ref(b) for b in plan.buffers.values()]]
    gc.collect()
    gc.disable()
    try:
        del f, plan
        assert [r() for r in refs] == [None] * len(refs)
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.promise(29)
def test_many_functions_made_and_dropped_leave_nothing_behind():
    def cycle():
        x = at.placeholder((None, 4))
        w = at.Variable(np.ones((4, 4), "f4"), deferred=True)
        loss = at.mean(at.square(at.tanh(at.matmul(x, w))))
        f = at.function([x], loss, updates=[(w, w - 0.1 * at.grad(loss, w))])
        f(np.ones((2, 4), "f4"))
        return weakref.ref(w)

    cycle()
    gc.collect()
    kernels, objects = codegen.load.cache_info().currsize, len(gc.get_objects())
    refs = [cycle() for _ in range(100)]
    assert all(r() is None for r in refs)
    gc.collect()
    assert codegen.load.cache_info().currsize == kernels
    assert len(gc.get_objects()) < objects + 500
