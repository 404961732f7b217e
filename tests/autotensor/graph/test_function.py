"""at.function: what a compiled graph must do, trap by trap."""

import numpy as np
import pytest

import autotensor as at
from autotensor import config


def rng(seed=0):
    return np.random.default_rng(seed)


def test_one_function_serves_every_batch_size():
    x = at.placeholder((None, 3))
    f = at.function([x], at.tanh(x) * 2)
    for n in (1, 4, 2, 4):
        a = rng(n).normal(size=(n, 3)).astype("f4")
        np.testing.assert_allclose(f(a), np.tanh(a) * 2, rtol=1e-6)


def test_returned_arrays_survive_the_next_call():
    x = at.placeholder((3,))
    f = at.function([x], [x + 1, x])
    first, same = f(np.zeros(3, "f4"))
    f(np.ones(3, "f4"))
    np.testing.assert_array_equal(first, np.ones(3))
    np.testing.assert_array_equal(same, np.zeros(3))


def test_the_callers_arrays_are_not_modified():
    w = at.Variable(np.ones(3, "f4"))
    x = at.placeholder((3,))
    f = at.function([x], x * 2, updates=[(w, w + x)])
    a = np.arange(3, dtype="f4")
    f(a)
    np.testing.assert_array_equal(a, [0, 1, 2])


def test_updates_use_the_values_from_before_the_call():
    a = at.Variable(np.array([1.0, 2.0]))
    b = at.Variable(np.array([10.0, 20.0]))
    f = at.function([], [a, b + 0], updates=[(a, b), (b, a)])
    old_a, old_b = f()
    np.testing.assert_array_equal(old_a, [1, 2])
    np.testing.assert_array_equal(old_b, [10, 20])
    np.testing.assert_array_equal(a.numpy(), [10, 20])
    np.testing.assert_array_equal(b.numpy(), [1, 2])


def test_an_update_does_not_reach_a_later_reader_of_the_old_value():
    # The product needs the old weight although the update is cheap and could run first.
    w = at.Variable(rng().normal(size=(4, 4)))
    old = w.numpy()
    x = at.placeholder((4, 4), np.float64)
    f = at.function([x], at.matmul(x, w.T) + at.sum(w), updates=[(w, w * 0.5)])
    a = rng(1).normal(size=(4, 4))
    np.testing.assert_allclose(f(a), a @ old.T + old.sum())
    np.testing.assert_allclose(w.numpy(), old * 0.5)
    np.testing.assert_allclose(f(a), a @ (old.T * 0.5) + old.sum() * 0.5)


def test_an_update_that_reads_its_own_transpose():
    w = at.Variable(rng().normal(size=(5, 5)))
    old = w.numpy()
    f = at.function([], [], updates=[(w, w + w.T)])
    assert f() == []
    np.testing.assert_allclose(w.numpy(), old + old.T)


def test_an_update_that_reads_row_sums_of_itself():
    w = at.Variable(rng().uniform(1, 2, size=(5, 3)))
    old = w.numpy()
    f = at.function([], [], updates=[(w, w / at.sum(w, axis=1, keepdims=True))])
    f()
    np.testing.assert_allclose(w.numpy(), old / old.sum(1, keepdims=True))


def test_a_variable_is_read_at_call_time_also_after_assign():
    w = at.Variable(np.ones(2))
    f = at.function([], w * 3)
    w.assign([5.0, 6.0])
    np.testing.assert_array_equal(f(), [15, 18])


def test_an_eager_result_of_a_variable_follows_it():
    w = at.Variable(np.ones(2))
    y = at.sum(at.square(w))
    f = at.function([], y)
    w.assign([3.0, 4.0])
    assert float(y) == 2.0
    assert f() == 25.0
    assert at.evaluate(y) == 25.0


def test_update_shape_is_checked_at_build_time():
    w = at.Variable(np.ones(3))
    x = at.placeholder((None, 3))
    with pytest.raises(at.errors.GraphError, match=r"update of .* has shape .*Reduce"):
        at.function([x], [], updates=[(w, x)])


def test_two_updates_of_one_variable_are_refused():
    w = at.Variable(np.ones(3))
    with pytest.raises(at.errors.GraphError, match="two updates"):
        at.function([], [], updates=[(w, w + 1), (w, w + 2)])


def test_random_numbers_are_drawn_anew_and_can_be_restored():
    with at.deferred():
        u = at.random.uniform((1000,))
        f = at.function([], [u, u + 1])
    state = at.random.get_state()
    a, a1 = f()
    b, _ = f()
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2
    np.testing.assert_allclose(a + 1, a1, rtol=1e-6)
    at.random.set_state(state)
    c, _ = f()
    np.testing.assert_array_equal(a, c)


def test_two_draws_are_not_merged():
    with at.deferred():
        u, v = at.random.uniform((50,)), at.random.uniform((50,))
    a, b = at.function([], [u, v])()
    assert (a != b).any()


def test_random_numbers_are_the_same_bits_with_and_without_fusion():
    with at.deferred():
        u = at.random.uniform((100, 7)) * 1.0
    f = at.function([], u)
    state = at.random.get_state()
    a = f()
    for switches in ({"fuse": False}, {"numba": False}, {"compile": False}):
        at.random.set_state(state)
        with config.use(**switches):
            np.testing.assert_array_equal(f(), a)


def test_givens_replace_a_placeholder_and_one_branch_is_computed():
    phase = at.placeholder((), np.int32, name="phase")
    x = at.placeholder((None,), name="x")
    y = at.switch(phase, x * 2, at.log(x))
    train = at.function([x], y, givens={phase: 1})
    np.testing.assert_array_equal(train(np.array([-1.0, 3.0], "f4")), [-2, 6])  # log would warn
    assert "log" not in train.plans[-1].source
    test = at.function([x], y, givens={phase: 0})
    np.testing.assert_allclose(test(np.array([1.0, np.e], "f4")), [0, 1], atol=1e-6)


def test_a_static_input_specialises_the_plan_on_its_value():
    phase = at.placeholder((), np.int32, name="phase")
    x = at.placeholder((None,), name="x")
    f = at.function([x, phase], at.switch(phase, x * 2, x * 3), static=[phase])
    a = np.ones(2, "f4")
    np.testing.assert_array_equal(f(a, 1), [2, 2])
    np.testing.assert_array_equal(f(a, 0), [3, 3])
    np.testing.assert_array_equal(f(a, 1), [2, 2])


def test_the_phase_can_also_be_fed_as_an_ordinary_input():
    phase = at.placeholder((), np.int32, name="phase")
    x = at.placeholder((None,), name="x")
    f = at.function([x, phase], at.switch(phase, x * 2, x * 3))
    np.testing.assert_array_equal(f(np.ones(2, "f4"), 1), [2, 2])
    np.testing.assert_array_equal(f(np.ones(2, "f4"), np.int32(0)), [3, 3])


def test_an_intermediate_tensor_can_be_an_input():
    x = at.placeholder((None, 2))
    h = at.exp(x)
    f = at.function([h], h + 1)
    np.testing.assert_array_equal(f(np.zeros((1, 2), "f4")), [[1, 1]])


class TestErrors:
    x = at.placeholder((None, 3), name="features")

    def test_missing_placeholder_is_named_at_build_or_first_call(self):
        with pytest.raises(at.errors.GraphError, match=r"placeholder 'features'.*inputs"):
            at.function([], self.x * 2)()

    def test_wrong_number_of_arrays(self):
        with pytest.raises(at.errors.GraphError, match=r"expected 1 arrays \(features\); got 2"):
            at.function([self.x], self.x)(np.zeros((1, 3)), 1)

    @pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3)])
    def test_wrong_shape(self, shape):
        f = at.function([self.x], self.x)
        f(np.zeros((2, 3), "f4"))
        with pytest.raises(at.errors.GraphError, match=r"takes shape \(\?, 3\); got"):
            f(np.zeros(shape))

    def test_floats_into_an_integer_input(self):
        i = at.placeholder((None,), np.int64, name="index")
        f = at.function([i], i + 1)
        np.testing.assert_array_equal(f(np.array([1, 2])), [2, 3])
        for _ in range(2):
            with pytest.raises(at.errors.DTypeError, match=r"index takes int64; got float64"):
                f(np.array([1.5, 2.0]))

    def test_text_is_refused(self):
        with pytest.raises(at.errors.DTypeError, match="expected numbers"):
            at.function([self.x], self.x)(np.array([["a", "b", "c"]]))

    def test_an_input_with_a_value_is_refused(self):
        with pytest.raises(at.errors.GraphError, match="inputs must be placeholders"):
            at.function([at.Tensor([1.0])], self.x)

    def test_reading_a_placeholder_names_the_users_line(self):
        with pytest.raises(at.errors.TraceError, match=r"placeholder 'features'.*test_function\.py:\d+"):
            float(self.x)


def test_lists_and_numbers_and_other_dtypes_are_cast():
    x = at.placeholder((2,))
    f = at.function([x], x * 0.5)
    for value in ([1, 3], (1.0, 3.0), np.array([1, 3], np.uint8), np.array([1, 3], np.float64), np.array([True, True])):
        out = f(value)
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out, np.asarray(value, "f4") * 0.5)


def test_strided_and_read_only_arguments():
    x = at.placeholder((None, 3))
    f = at.function([x], x + 1)
    a = np.arange(24, dtype="f4").reshape(4, 6)[::-1, ::2]
    a.setflags(write=False)
    np.testing.assert_array_equal(f(a), a + 1)


def test_empty_batch():
    x = at.placeholder((None, 3))
    f = at.function([x], [at.sum(at.tanh(x)), x * 2])
    total, doubled = f(np.zeros((0, 3), "f4"))
    assert total == 0 and doubled.shape == (0, 3)


def test_constants_fold_and_equal_subgraphs_merge():
    x = at.placeholder((4,))
    c = at.Tensor(np.ones(4, "f4"))
    shared = at.function([x], at.matmul(x, x) + at.matmul(x, x) + at.matmul(c, c))
    np.testing.assert_allclose(shared(np.full(4, 2, "f4")), 36)
    assert sum(label == "matmul" for label, *_ in shared.plans[-1].calls) == 1


def test_dead_code_is_not_computed():
    x = at.placeholder((4,))
    unused = at.exp(x)
    f = at.function([x], x + 1)
    f(np.zeros(4))
    assert unused is not None and "exp" not in f.plans[-1].source


def test_an_elementwise_chain_is_one_kernel():
    x = at.placeholder((None, 8))
    b = at.Variable(np.ones(8, "f4"))
    f = at.function([x], at.tanh(x + b) * at.exp(-at.square(x)) + 3)
    f(np.zeros((2, 8), "f4"))
    assert len(f.plans[-1].calls) == 1


def test_softmax_with_its_loss_is_one_kernel():
    x = at.placeholder((None, 8))
    z = x - at.max(x, axis=-1, keepdims=True)
    p = at.exp(z) / at.sum(at.exp(z), axis=-1, keepdims=True)
    f = at.function([x], [at.sum(at.log(p)), p])
    a = rng().normal(size=(5, 8)).astype("f4")
    total, probabilities = f(a)
    e = np.exp(a - a.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, e / e.sum(1, keepdims=True), rtol=2e-6)
    np.testing.assert_allclose(total, np.log(e / e.sum(1, keepdims=True)).sum(), rtol=1e-5)
    assert len(f.plans[-1].calls) <= 2  # the kernel, and at most a finish of the scalar


def test_buffers_are_reused():
    x = at.placeholder((64, 64))
    h = x
    for _ in range(20):
        h = at.matmul(h, x)
    f = at.function([x], h)
    a = rng().normal(size=(64, 64)).astype("f4") * 0.1
    expected = a
    for _ in range(20):
        expected = expected @ a
    np.testing.assert_allclose(f(a), expected, rtol=1e-4, atol=1e-9)
    assert f.plans[-1].allocated <= 4 * 64 * 64 * 4


def test_views_are_free_and_right():
    x = at.placeholder((2, 3, 4))
    y = at.reshape(at.permute_dims(x, (2, 0, 1)), (4, 6))
    f = at.function([x], [y, at.reshape(x, (6, 4)) * 2])
    a = rng().normal(size=(2, 3, 4)).astype("f4")
    first, second = f(a)
    np.testing.assert_array_equal(first, a.transpose(2, 0, 1).reshape(4, 6))
    np.testing.assert_array_equal(second, a.reshape(6, 4) * 2)


def test_a_deep_graph_compiles_and_runs():
    x = at.placeholder((3,), np.float64)
    h = x
    for k in range(3000):
        h = h + (k % 3 - 1) * 1e-3
    np.testing.assert_allclose(at.function([x], h)(np.zeros(3)), 0, atol=1e-9)


def test_gradients_compile():
    x = at.placeholder((None, 4), np.float64)
    w = at.Variable(rng().normal(size=(4, 3)))
    loss = at.mean(at.square(at.tanh(at.matmul(x, w))))
    f = at.function([x], [loss, at.grad(loss, w)])
    a = rng(1).normal(size=(6, 4))
    value, g = f(a)
    t = np.tanh(a @ w.numpy())
    np.testing.assert_allclose(value, (t**2).mean())
    np.testing.assert_allclose(g, a.T @ (2 * t * (1 - t**2) / t.size))


def test_plans_are_bounded():
    x = at.placeholder((None,))
    f = at.function([x], x + 1)
    for n in range(1, 60):
        assert f(np.zeros(n)).shape == (n,)
    assert len(f._plans) <= 16


@pytest.mark.parametrize("switches", [{}, {"fuse": False}, {"numba": False}, {"compile": False}])
def test_switches_change_speed_not_results(switches):
    x = at.placeholder((None, 5), np.float64)
    w = at.Variable(rng().normal(size=(5, 5)))
    before = w.numpy()
    loss = at.sum(at.exp(at.matmul(x, w)) * 0.1)
    f = at.function([x], [loss, at.max(x, axis=0)], updates=[(w, w - 0.01 * at.grad(loss, w))])
    a = rng(3).normal(size=(7, 5))
    with config.use(**switches):
        value, biggest = f(a)
    e = np.exp(a @ before) * 0.1
    np.testing.assert_allclose(value, e.sum())
    np.testing.assert_array_equal(biggest, a.max(0))
    np.testing.assert_allclose(w.numpy(), before - 0.01 * a.T @ e)


def test_nan_guard_names_the_operation_and_the_line_where_the_graph_was_built():
    x = at.placeholder((None,), name="x")
    y = at.log(x)
    f = at.function([x], y + 1)
    with config.use(nan_guard=True):
        f(np.ones(2))
        expected = pytest.raises(at.errors.NanError, match=r"\[log\] first infinity.*test_function\.py:\d+")
        with expected, np.errstate(all="ignore"):
            f(np.zeros(2))


def test_show_prints_one_line_per_operation(capsys):
    x = at.placeholder((None, 3), name="x")
    text = at.show(at.tanh(x) * 2)
    assert capsys.readouterr().out.strip() == text
    assert text.splitlines()[0].startswith("%0 = tanh(x: float32[?, 3])")
    assert text.splitlines()[-1] == "return %1"


def test_debug_levels_print(capsys):
    x = at.placeholder((None, 3), name="x")
    with config.use(debug=4):
        at.function([x], at.tanh(x) * 2, name="demo")(np.zeros((2, 3)))
    out = capsys.readouterr().out
    assert "[compile] demo" in out and "def kernel" in out and "def run" in out and "tanh(x: float32[2, 3])" in out


def test_the_checker_notices_a_wrong_shape():
    from autotensor.graph.check import check

    x = at.placeholder((2, 3))
    y = at.tanh(x)
    check([y])
    y._aval = type(y.aval)((3, 2), y.dtype)
    with pytest.raises(at.errors.GraphError, match=r"\[tanh\] output 0"):
        check([y])


def test_an_update_that_reads_a_part_of_itself_everywhere():
    w = at.Variable(rng().normal(size=(5, 3)))
    old = w.numpy()
    f = at.function([], [], updates=[(w, w - w[0])])
    f()
    np.testing.assert_allclose(w.numpy(), old - old[0])


def test_a_constant_in_a_graph_is_what_it_was_when_the_graph_was_built():
    c = at.Tensor(np.ones(3))
    x = at.placeholder((3,), np.float64)
    f = at.function([x], x * c)
    c[0] = 5
    np.testing.assert_array_equal(f(np.ones(3)), [1, 1, 1])


def test_a_given_may_be_computed_from_the_inputs():
    x = at.placeholder((None, 3), np.float64)
    h = at.placeholder((None, 3), np.float64)
    other = at.placeholder((None, 3), np.float64)
    f = at.function([x], [h + 1, other], givens={h: at.exp(x), other: x})
    a = rng().normal(size=(2, 3))
    for switches in ({}, {"compile": False}):
        with config.use(**switches):
            first, second = f(a)
        np.testing.assert_allclose(first, np.exp(a) + 1)
        np.testing.assert_array_equal(second, a)


def test_a_static_input_is_told_apart_by_value_not_by_bytes():
    s = at.placeholder((), np.float32)
    x = at.placeholder((2,))
    f = at.function([x, s], x * s, static=[s])
    one = np.array(1.0, "f4")
    np.testing.assert_array_equal(f(np.ones(2, "f4"), one), [1, 1])
    np.testing.assert_array_equal(f(np.ones(2, "f4"), one.view(np.int32)), [1065353216] * 2)


def test_parameters_that_python_calls_equal_are_not_merged():
    from autotensor.ops.like import fill_like

    x = at.placeholder((4,))
    plus, minus = at.function([x], [fill_like(x, value=0.0), fill_like(x, value=-0.0)])(np.ones(4))
    assert not np.signbit(plus).any() and np.signbit(minus).all()


def test_stop_gradient_of_a_broadcast_keeps_its_shape():
    x = at.placeholder(())
    f = at.function([x], at.stop_gradient(at.broadcast_to(x, (3, 4))) * 2 + 1)
    np.testing.assert_array_equal(f(3.0), np.full((3, 4), 7.0))


def test_a_leaf_written_after_it_was_used_is_an_error_not_another_value():
    w = at.Tensor([1.0, 2.0], requires_grad=True)
    x = at.placeholder((2,), np.float64)
    y = w * x
    f = at.function([x], y)
    np.testing.assert_array_equal(f(np.ones(2)), [1, 2])
    with at.no_grad():
        w[0] = 5.0
    for switches in ({"fuse": False}, {"compile": False}):  # a plan made before the write goes on; a new one would lie
        with config.use(**switches), pytest.raises(at.errors.GradError, match="overwritten in place"):
            f(np.ones(2))
    np.testing.assert_array_equal(at.function([x], w * x)(np.ones(2)), [5, 2])  # recorded after the write


def test_a_function_can_not_be_copied_or_pickled():
    import copy
    import pickle

    x = at.placeholder((3,))
    f = at.function([x], x + 1, name="plus")
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"\[plus\] a compiled function can not be copied"):
            attempt(f)


def test_switches_changed_between_calls_take_effect():
    x = at.placeholder((None,), name="x")
    f = at.function([x], at.log(x))
    with np.errstate(all="ignore"):
        assert f(np.zeros(2, "f4"))[0] == -np.inf
        with config.use(nan_guard=True), pytest.raises(at.errors.NanError):
            f(np.zeros(2, "f4"))
        assert f(np.zeros(2, "f4"))[0] == -np.inf


def test_show_tells_variables_constants_and_several_outputs_apart(capsys):
    w = at.Variable(np.ones((3, 2)), name="w")
    x = at.placeholder((None, 3), np.float64, name="x")
    text = at.show(at.matmul(x, w) + at.Tensor([1.0, 2.0]))
    assert "w: float64[3, 2]" in text and "x: float64[?, 3]" in text and "const" in text
    values, vectors = at.linalg.eigh(at.placeholder((3, 3), np.float64))
    text = at.show([vectors, values])
    assert text.splitlines()[-1] == "return %0.1, %0.0"
    eager = at.Tensor([1.0, 2.0], requires_grad=True) * 3
    assert at.show(eager).splitlines()[-1] == "return %0"
    capsys.readouterr()


@pytest.mark.parametrize("switches", [{}, {"debug": 4}, {"compile": False}])
def test_shapes_that_follow_from_values(switches, capsys):
    x = at.placeholder((None,), np.float64, name="x")
    total = at.Variable(np.zeros(()), deferred=True)
    chosen = x[x > 0]
    f = at.function([x], [chosen * 2, at.sum(chosen)], updates=[(total, total + at.sum(chosen))])
    with config.use(**switches):
        for a in (np.array([1.0, -2, 3]), np.array([-1.0, -2, 3]), np.array([-1.0, -1, -1])):
            values, s = f(a)
            np.testing.assert_array_equal(values, a[a > 0] * 2)
            assert s == a[a > 0].sum()
        with pytest.raises(at.errors.GraphError, match="takes shape"):
            f(np.zeros((2, 2)))
    assert total.numpy() == 7
    capsys.readouterr()


def test_placeholders_and_lists_are_checked():
    x = at.placeholder((2,))
    for shape in (3, "ab", (1.5,), (-1, 2)):
        with pytest.raises(at.errors.ShapeError, match=r"\[placeholder\]"):
            at.placeholder(shape)
    with pytest.raises(at.errors.DTypeError, match=r"\[placeholder\]"):
        at.placeholder((2,), "S3")
    with pytest.raises(at.errors.GraphError, match=r"list of tensors.*\[x\]"):
        at.function(x, x)
    with pytest.raises(at.errors.GraphError, match="static inputs must be among"):
        at.function([x], x, static=[at.placeholder(())])


def test_an_operation_that_fails_is_named_with_its_line():
    i = at.placeholder((None,), np.int64, name="i")
    f = at.function([i], i**-1, name="powers")
    for switches in ({}, {"compile": False}):
        with config.use(**switches), pytest.raises(ValueError, match="negative integer powers") as caught:
            f(np.array([1, 2]))
        note = " ".join(caught.value.__notes__)
        assert "pow" in note and "test_function.py:" in note
