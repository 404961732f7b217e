"""@at.compile: an eager step, run once on placeholders and replayed."""

import numpy as np
import pytest

import autotensor as at


def test_assign_becomes_an_update_and_the_step_is_traced_once():
    w = at.Variable(np.zeros(3))
    traces = []

    @at.compile
    def step(x):
        traces.append(1)
        loss = at.sum(at.square(w - x))
        w.assign(w - 0.1 * at.grad(loss, w))
        return loss

    target = np.array([1.0, 2.0, 3.0])
    expected = np.zeros(3)
    for _ in range(5):
        loss = step(target)
        assert float(loss) == pytest.approx(((expected - target) ** 2).sum())
        expected = expected - 0.2 * (expected - target)
        np.testing.assert_allclose(w.numpy(), expected)
    assert len(traces) == 1


def test_a_variable_read_after_its_assignment_has_the_new_value():
    w = at.Variable(np.ones(2))

    @at.compile
    def step(x):
        w.assign(w + x)
        return w * 10

    np.testing.assert_array_equal(step(np.ones(2)).numpy(), [20, 20])
    np.testing.assert_array_equal(w.numpy(), [2, 2])


def test_shape_and_dtype_are_part_of_the_signature():
    shapes = []

    @at.compile
    def double(x):
        shapes.append(x.shape)
        return x * 2 if x.shape[0] > 1 else x * 3

    assert double(np.ones(2)).tolist() == [2, 2]
    assert double(np.ones(1)).tolist() == [3]
    assert double(np.ones(2)).tolist() == [2, 2]
    assert double(np.ones(2, "f4")).dtype == np.float32
    assert len(shapes) == 3


def test_structures_in_and_out():
    @at.compile
    def f(batch, scale=1.0):
        return {"sum": batch["a"] + batch["b"][0], "pair": (batch["a"] * scale, 7)}

    out = f({"a": np.ones(2), "b": [np.full(2, 4.0)]}, scale=3.0)
    assert out["sum"].tolist() == [5, 5]
    assert out["pair"][0].tolist() == [3, 3]


def test_random_numbers_are_drawn_at_each_replay():
    @at.compile
    def noisy(x):
        return x + at.random.uniform((4,), dtype="float64")

    assert (noisy(np.zeros(4)).numpy() != noisy(np.zeros(4)).numpy()).all()


def test_branching_on_a_value_is_an_error_at_the_users_line():
    @at.compile
    def f(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(at.errors.TraceError, match=r"no value yet.*test_compile\.py:\d+.*at\.where"):
        f(np.ones(2))


def test_a_failed_trace_leaves_the_variable_alone():
    w = at.Variable(np.ones(2))

    @at.compile
    def f(x):
        w.assign(w + 1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        f(np.ones(2))
    assert w.numpy().tolist() == [1, 1]
    assert (at.Tensor([1.0]) + 1).tolist() == [2]


def test_the_same_numbers_as_the_eager_step():
    def step(w, x):
        h = at.tanh(at.matmul(x, w))
        return at.mean(h * h), at.max(h, axis=1)

    w, x = np.random.default_rng(0).normal(size=(4, 3)), np.random.default_rng(1).normal(size=(5, 4))
    eager = step(at.Tensor(w), at.Tensor(x))
    fast = at.compile(step)(at.Tensor(w), at.Tensor(x))
    for a, b in zip(eager, fast, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy())


def test_static_arguments_of_different_types_are_different():
    @at.compile
    def scale(x, k):
        return x * k

    assert scale(np.arange(3), 2).dtype == np.int64
    assert scale(np.arange(3), 2.0).dtype == np.float64
    assert scale(np.arange(3), True).dtype == np.int64
    assert np.signbit(scale(np.ones(1), -0.0).numpy()) and not np.signbit(scale(np.ones(1), 0.0).numpy())


def test_an_argument_that_can_not_be_a_signature_is_refused():
    @at.compile
    def f(x, options):
        return x

    with pytest.raises(at.errors.GraphError, match=r"\[compile\].*set"):
        f(np.ones(2), {1, 2})


def test_reading_a_variable_while_tracing_is_an_error_not_a_constant():
    lr = at.Variable(np.array(0.5), name="lr")
    for read in (lambda: float(lr), lambda: lr.numpy(), lambda: bool(lr), lambda: lr.item(), lambda: np.asarray(lr)):

        @at.compile
        def f(x, read=read):
            return x * read()

        with pytest.raises(at.errors.TraceError, match=r"variable 'lr' is read .*test_compile\.py:\d+"):
            f(np.ones(2))
    assert float(lr) == 0.5


def test_an_assigned_value_is_read_in_the_dtype_of_the_variable():
    n = at.Variable(np.zeros((), np.int32))
    w = at.Variable(np.zeros(2, "f4"))

    @at.compile
    def step(x):
        n.assign(x[0])
        w.assign(w + x)
        return n * 1, w * 1

    count, value = step(np.array([2.7, 1.0]))
    assert count.dtype == np.int32 and count.item() == 2
    assert value.dtype == np.float32 and w.dtype == np.float32


def test_methods_and_named_tuples():
    from collections import namedtuple

    Pair = namedtuple("Pair", "left right")

    class Model:
        def __init__(self, k):
            self.k = k

        @at.compile
        def step(self, pair):
            return Pair(pair.left * self.k, pair.right)

    out = Model(3.0).step(Pair(np.ones(2), np.zeros(2)))
    assert out.left.tolist() == [3, 3] and out.right.tolist() == [0, 0]
    assert Model(4.0).step(Pair(np.ones(2), np.zeros(2))).left.tolist() == [4, 4]


def test_variables_that_change_places_in_a_step():
    a, b = at.Variable(np.array([1.0])), at.Variable(np.array([2.0]))

    @at.compile
    def swap():
        old = a * 1
        a.assign(b)
        b.assign(old)
        return a + 10 * b

    assert [swap().item() for _ in range(3)] == [12, 21, 12]
    assert (a.numpy(), b.numpy()) == (2, 1)


def test_a_gradient_through_a_step_is_an_error_not_zero():
    @at.compile
    def energy(x, scale):
        return {"sum": at.sum(scale * x * x), "count": at.asarray(3)}

    x = at.Tensor([1.0, 2.0], requires_grad=True)
    out = energy({"x": x}["x"], 2.0)
    with pytest.raises(at.GradError, match=r"\[energy\] gradients do not pass through a compiled step"):
        at.grad(out["sum"] + at.sum(x), x)
    with pytest.raises(at.GradError, match="call energy.fn"):
        at.grad(lambda x: energy(x, 2.0)["sum"])(np.ones(2))
    assert not out["count"].requires_grad
    # The ways out that the message names.
    assert at.grad(lambda x: energy.fn(x, 2.0)["sum"])(np.ones(2)).tolist() == [4.0, 4.0]
    assert at.grad(at.stop_gradient(out["sum"]) + at.sum(x), x).tolist() == [1.0, 1.0]
    compiled = at.compile(at.grad(lambda x: energy(x, 2.0)["sum"]))
    assert compiled(np.ones(2)).tolist() == [4.0, 4.0]
    # Nothing is recorded where nobody asks for gradients, and a chain of calls keeps no chain of tensors.
    assert not energy(np.ones(2), 2.0)["sum"].requires_grad
    with at.no_grad():
        assert not energy(x, 2.0)["sum"].requires_grad
    step = at.compile(lambda x: x * 0.5)
    y = x
    for _ in range(3):
        y = step(y)
    assert y.node is not None and y.node.inputs == (x,)
