"""The two ways backward agree: in operations, which records, and on arrays, where nothing is recorded.

Also what a walk owes to memory and to other threads. That gradients are right is shown by the contract test.
"""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import autotensor as at
from autotensor.core.grad import backpropagate, walk
from autotensor.core.op import OPS
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import GradError
from autotensor.ops import like, reduce
from tests.autotensor.test_contract import assert_same, cases, leaf, quiet  # noqa: F401 (a fixture)


def leaf_of(values):
    return at.Tensor(values, requires_grad=True)


def _spread(out):
    """A seed that is a read-only view of one number, as the gradient of a large sum is."""
    return wrap(np.broadcast_to(np.asarray(0.5, out.dtype), out.shape))


def _samples():
    """The first sample of each operation; the others when there is time."""
    for found in cases("grad"):
        case = found.values[0]
        if case.sample.order:
            yield pytest.param(case, id=case.id, marks=[pytest.mark.slow] if case.number else [])


@pytest.mark.parametrize("case", list(_samples()))  # the slow ones together: 5 s
def test_recorded_or_not_gradients_are_the_same(case, monkeypatch):
    monkeypatch.setattr(like, "_VIEWED", 0)  # what large arrays get
    for sparse in (reduce._SPARSE, 0):
        monkeypatch.setattr(reduce, "_SPARSE", sparse)
        for dtype in (np.float64, np.float32):
            inputs = [_in_dtype(x, dtype) for x in case.sample.inputs]
            leaves = [leaf(x) for x in inputs]
            outs = [out for out in case.call(*leaves) if out.dtype.kind in "fc" and out.requires_grad]
            if any(node.op.name == "next_key" for node in walk(outs).order):
                return
            wanted = [leaves[i] for i in case.sample.wrt]
            seeds = [_spread(out) for out in outs]
            recorded = backpropagate(outs, seeds, wanted, True)
            quick = backpropagate(outs, seeds, wanted, False)
            for k, (a, b, x) in enumerate(zip(quick, recorded, wanted, strict=True)):
                assert (a is None) == (b is None)
                if a is not None and b is not None:
                    assert not a.tracked
                    assert a.shape == x.shape
                    tol = 1e-11 if dtype is np.float64 else 1e-4
                    assert_same(a.numpy(), b.numpy(), tol, f"by input {k}, {dtype.__name__}")


def _in_dtype(x, dtype):
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x


def test_enough_rules_take_arrays():
    """Those of the operations that small programs are made of."""
    names = (
        "add subtract multiply divide pow negative exp log sin cos tanh sqrt square where maximum sum mean max matmul"
    )
    for name in [*names.split(), "reshape", "permute_dims", "expand_dims", "getitem", "select", "stack", "concat"]:
        assert OPS[name].vjp_takes_arrays, name


def test_elements_one_by_one_add_up_in_one_array():
    x = leaf_of(np.arange(6.0))
    y = x[0] * 2.0
    for i in range(1, 6):
        y = y + x[i] * x[i - 1] + x[np.array([i, i, 0])].sum()
    want = np.zeros(6)
    want[0] = 2.0
    for i in range(1, 6):
        want[i] += x.numpy()[i - 1] + 2
        want[i - 1] += x.numpy()[i]
        want[0] += 1
    for create_graph in (False, True):
        np.testing.assert_array_equal(at.grad(y, x, create_graph=create_graph).numpy(), want)


def test_ties_share_in_large_arrays():
    x = np.zeros((60, 60))
    x[3, [4, 9]] = x[50, 9] = 1.0
    for axis, keepdims in ((None, False), (0, False), (1, True), ((0, 1), True)):
        t = leaf_of(x)
        y = at.max(t, axis=axis, keepdims=keepdims)
        g = at.grad(y, t, seeds=np.full(y.shape, 6.0), create_graph=False).numpy()
        hits = x == x.max(axis=axis, keepdims=True)
        np.testing.assert_allclose(g, np.where(hits, 6.0 / hits.sum(axis=axis, keepdims=True), 0))


def test_a_wanted_tensor_on_the_way_keeps_its_gradient():
    x = leaf_of([1.0, 2.0])
    y = x * 3
    z = (y * y).sum()
    for create_graph in (False, True):
        gx, gy = at.grad(z, [x, y], create_graph=create_graph)
        np.testing.assert_array_equal(gx.numpy(), [18.0, 36.0])
        np.testing.assert_array_equal(gy.numpy(), [6.0, 12.0])


def test_gradient_by_a_result_that_was_written_in_place():
    x = leaf_of([1.0, 2.0])
    y = x * 3
    y[0] = 5.0
    z = (y * y).sum()
    np.testing.assert_array_equal(at.grad(z, y).numpy(), [10.0, 12.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_tensors_of_their_own(create_graph):
    x, z, seed = leaf_of([1.0, 2.0]), leaf_of([3.0, 4.0]), np.array([1.0, 10.0])
    given = at.Tensor(seed)
    y = x + z
    for seeds in (seed, given):
        gx, gz = at.grad(y, [x, z], seeds=seeds, create_graph=create_graph)
        gx[0] = -7.0
        np.testing.assert_array_equal(gz.numpy(), [1.0, 10.0])
        np.testing.assert_array_equal(given.numpy(), [1.0, 10.0])
        seed[1] = 99.0
        np.testing.assert_array_equal(gz.numpy(), [1.0, 10.0])
        seed[1] = 10.0
    y.backward(given)
    x.grad[0] = 5.0
    np.testing.assert_array_equal(z.grad.numpy(), [1.0, 10.0])


def test_gradient_of_a_large_sum_can_be_written():
    x = leaf_of(np.zeros((200, 200)))
    x.sum().backward()
    x.grad[0, 0] = 3.0
    assert x.grad.numpy().sum() == 200 * 200 + 2


def test_a_watched_walk_agrees():
    x = leaf_of([0.5, 1.5])
    y = (at.exp(x) * x).sum()
    quick = at.grad(y, x, create_graph=False)
    with at.detect_anomaly():
        np.testing.assert_array_equal(at.grad(y, x, create_graph=False).numpy(), quick.numpy())


def test_deferred_variables_in_values():
    w = at.Variable([2.0, 3.0], deferred=True)
    x = leaf_of([1.0, 4.0])
    with at.immediate():
        y = (at.special.erf(w) * x * w).sum() if hasattr(at, "special") else (w * x * w).sum()
    y.backward()
    assert w.grad.data is not None
    assert x.grad.data is not None


# -- memory


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.promise(28, 29)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_chain_of_10000_operations_leaves_nothing_behind(without_collector, create_graph):
    x = leaf_of(np.ones(3))
    kept = []
    y = x
    for i in range(10_000):
        y = at.tanh(y) if i % 3 else y * 1.0001
        if i % 1000 == 0:
            kept.append(weakref.ref(y.data))
    g = at.grad(y.sum(), x, create_graph=create_graph)
    assert np.isfinite(g.numpy()).all()
    assert all(ref() is not None for ref in kept)
    del y
    if create_graph:
        del g
    assert all(ref() is None for ref in kept)


@pytest.mark.promise(29)
def test_a_walk_frees_gradients_on_its_way(without_collector):
    """Of a long chain only a few gradients are there at a time."""
    alive, most = set(), [0]

    def noted(array):
        key = id(array)
        alive.add(key)
        weakref.finalize(array, alive.discard, key)
        most[0] = max(most[0], len(alive))
        return array

    op = OPS["sinh"]
    rule = op.vjp
    op.vjp = lambda needs, g, out, x: (noted(np.multiply(g, np.cosh(x))),)
    try:
        x = leaf_of(np.zeros(3))
        y = x
        for _ in range(50):
            y = at.sinh(y)
        at.grad(y.sum(), x, create_graph=False)
    finally:
        op.vjp = rule
    assert most[0] <= 3
    assert not alive


# -- threads and generators


def test_threads_have_modes_of_their_own():
    wrong = []
    start = threading.Barrier(4)

    def work(number):
        x = leaf_of(np.full(5, 1.0 + number))
        start.wait()
        for _ in range(200):
            if number % 2:
                with at.no_grad():
                    if (x * x).requires_grad:
                        wrong.append("recorded inside no_grad")
            y = (at.exp(x) * x).sum()
            g = at.grad(y, x, create_graph=number < 2)
            if not np.allclose(g.numpy(), np.exp(x.numpy()) * (1 + x.numpy())):
                wrong.append("gradient")
            if not at.is_tracking():
                wrong.append("mode")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_walk_one_recording_at_once():
    x = leaf_of(np.linspace(0.1, 1.0, 7))
    y = x
    for _ in range(50):
        y = at.tanh(y) * x + x[0]
    y = y.sum()
    want = at.grad(y, x, create_graph=False).numpy()
    found = [None] * 4

    def work(i):
        for _ in range(20):
            found[i] = at.grad(y, x, create_graph=False).numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for g in found:
        np.testing.assert_array_equal(g, want)


def test_no_grad_as_a_decorator():
    x = leaf_of([1.0])

    @at.no_grad()
    def constant(t):
        """Twice."""
        assert not at.is_tracking()
        return t * 2

    assert constant.__doc__ == "Twice."
    assert not constant(x).requires_grad
    assert (x * 2).requires_grad

    @at.enable_grad()
    def tracked(t):
        return t * 2

    with at.no_grad():
        assert tracked(x).requires_grad
        assert not (x * 2).requires_grad


def test_no_grad_on_a_generator_holds_in_its_own_code_only():
    x = leaf_of([1.0])
    log = []

    @at.no_grad()
    def values():
        try:
            for i in range(3):
                given = yield x * i
                log.append((at.is_tracking(), given))
        except ValueError:
            log.append(at.is_tracking())
            yield x * 9
        finally:
            log.append(at.is_tracking())
        return "end"

    steps = values()
    assert not next(steps).requires_grad
    assert at.is_tracking()
    assert not steps.send("a").requires_grad
    assert log == [(False, "a")]
    assert not steps.throw(ValueError()).requires_grad
    assert at.is_tracking()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "end"
    assert log[1:] == [False, False]
    steps = values()
    next(steps)
    steps.close()
    assert log[-1] is False
    assert at.is_tracking()


def test_an_error_inside_puts_the_mode_back():
    x = leaf_of([1.0])
    with pytest.raises(KeyError), at.no_grad():
        raise KeyError
    assert (x * 2).requires_grad
    block = at.no_grad()
    with block, at.enable_grad(), block:
        assert not at.is_tracking()
    assert at.is_tracking()


def test_an_overwritten_input_is_noticed_on_both_ways():
    x, c = leaf_of([1.0, 2.0]), at.Tensor([3.0, 4.0])
    y = (x * c).sum()
    c[0] = 100.0
    for create_graph in (False, True):
        with pytest.raises(GradError, match="was overwritten in place"):
            at.grad(y, x, create_graph=create_graph)


def test_leaves_of_a_walk():
    x, c = leaf_of([1.0]), at.Tensor([2.0])
    inner = x * c
    y = at.sin(inner)
    found = walk([y])
    assert [node.op.name for node in found.order] == ["multiply", "sin"]
    assert list(found.leaves.values()) == [x]
    stopped = walk([y], {id(inner)})
    assert [node.op.name for node in stopped.order] == ["sin"]
    assert isinstance(next(iter(stopped.leaves.values())), Tensor)
