"""Loops over time: values and gradients against plain Python loops and unrolled graphs, in every way of running."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.grad import topological
from autotensor.errors import GraphError, NanError, ShapeError
from autotensor.graph.check import check
from autotensor.testing import check_grad

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 2, 3))
H = RNG.normal(size=(2, 4))
C = RNG.normal(size=(2, 4))
W = RNG.normal(size=(3, 4)) * 0.5
U = RNG.normal(size=(4, 4)) * 0.5

# How a compiled function can run: the interpreter, a plan of single operations, fused kernels.
MODES = {"interpreted": {"compile": False}, "planned": {"numba": False}}


def tensors(*arrays):
    return [at.Tensor(a, requires_grad=True) for a in arrays]


def placeholders(*arrays, known=False):
    shapes = [a.shape if known else (None,) * max(a.ndim - 1, 0) + a.shape[-1:] for a in arrays]
    return [at.placeholder(s, a.dtype) for s, a in zip(shapes, arrays)]


def rnn(x, h, c, w, u, **how):
    """Two states, one of which is given away, and an output that is none of them."""

    def step(states, xs, constants):
        (w,) = constants
        memory = states[1] * 0.5 + at.matmul(xs[0], w)
        new = at.tanh(memory + at.matmul(states[0], u))
        return (new, memory), (new, new * new * xs[0][:, :1])

    return at.scan(step, [h, c], [x], [w], **how)


def rnn_in_numpy(x, h, c, w, u, reverse=False):
    outs = []
    for part in x[::-1] if reverse else x:
        c = c * 0.5 + part @ w
        h = np.tanh(c + h @ u)
        outs.append((h, h * h * part[:, :1]))
    if reverse:
        outs.reverse()
    return [h, c, *[np.stack(o) for o in zip(*outs)]]


def flat(result):
    return [*result[0], *result[1]]


def loss(outs):
    return sum(at.sum(at.sin(y) * (k + 1)) for k, y in enumerate(outs))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [False, True])
def test_values_are_those_of_a_python_loop(reverse, unroll):
    want = rnn_in_numpy(X, H, C, W, U, reverse)
    for got, expected in zip(flat(rnn(X, H, C, W, U, reverse=reverse, unroll=unroll)), want, strict=True):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_function_with_unknown_time_and_batch_serves_all_lengths(mode, reverse):
    inputs = placeholders(X, H, C, W, U)
    f = at.function(inputs, flat(rnn(*inputs, reverse=reverse)))
    with config.use(**MODES[mode]):
        for n, batch in ((5, 2), (1, 2), (3, 1), (2, 2)):
            arrays = X[:n, :batch], H[:batch], C[:batch], W, U
            for got, want in zip(f(*arrays), rnn_in_numpy(*arrays, reverse), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_both_orders_are_those_of_the_unrolled_graph(reverse):
    found = []
    for unroll in (False, True):
        inputs = tensors(X, H, C, W, U)
        grads = at.grad(loss(flat(rnn(*inputs, reverse=reverse, unroll=unroll))), inputs, create_graph=True)
        again = at.grad(loss(grads), inputs)
        found.append([g.numpy() for g in (*grads, *again)])
    for looped, unrolled in zip(*found, strict=True):
        np.testing.assert_allclose(looped, unrolled, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_differences(reverse):
    check_grad(lambda *inputs: flat(rnn(*inputs, reverse=reverse)), X[:3], H, C, W, U, order=2)


@pytest.mark.parametrize("mode", MODES)
def test_compiled_gradients_of_both_orders_are_the_eager_ones(mode):
    inputs = tensors(X, H, C, W, U)
    first = at.grad(loss(flat(rnn(*inputs))), inputs, create_graph=True)
    want = [*first, *at.grad(loss(first), inputs)]
    inputs = placeholders(X, H, C, W, U)
    first = at.grad(loss(flat(rnn(*inputs))), inputs)
    f = at.function(inputs, [*first, *at.grad(loss(first), inputs)])
    with config.use(**MODES[mode]):
        for got, expected in zip(f(X, H, C, W, U), want, strict=True):
            np.testing.assert_allclose(got, expected.numpy(), rtol=1e-9, atol=1e-10)


def test_fused_kernels_agree():
    inputs = placeholders(X, H, C, W, U)
    outs = flat(rnn(*inputs))
    f = at.function(inputs, [*outs, *at.grad(loss(outs), inputs)])
    with config.use(compile=False):
        want = f(X, H, C, W, U)
    for _ in range(2):  # buffers of the first call must not show in the second
        for got, expected in zip(f(X, H, C, W, U), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("used", [s for n in (1, 2) for s in itertools.combinations(range(4), n)])
def test_what_is_not_asked_for_changes_nothing(used):
    inputs = placeholders(X, H, C, W, U)
    outs = [flat(rnn(*inputs))[k] for k in used]
    f = at.function(inputs, [*outs, *at.grad(loss(outs), inputs[:4])])
    with config.use(compile=False):
        want = f(X, H, C, W, U)
    with config.use(numba=False):
        for got, expected in zip(f(X, H, C, W, U), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def loops_of(plan):
    """The operations of a plan that run a body, with the plans of these bodies."""
    return [
        call.call.__self__ if hasattr(call.call, "__self__") else call for call in plan.calls if call.label == "scan"
    ]


def compiled(inputs, outputs, *arrays):
    f = at.function(inputs, outputs)
    with config.use(numba=False):
        f(*arrays)
    return next(iter(f._plans.values()))


def test_the_forward_loop_runs_once_for_a_loss_and_its_gradients():
    inputs = placeholders(X, H, C, W, U)
    outs = flat(rnn(*inputs))
    assert len(loops_of(compiled(inputs, outs, X, H, C, W, U))) == 1
    first = at.grad(loss(outs), inputs[:2])
    second = at.grad(loss(outs), inputs[2:])
    assert len(loops_of(compiled(inputs, [*outs, *first], X, H, C, W, U))) == 2
    # Asked for apart, the two gradients are two loops backward over one forward.
    assert len(loops_of(compiled(inputs, [*outs, *first, *second], X, H, C, W, U))) == 3


def test_outputs_that_nobody_reads_are_neither_kept_nor_computed():
    x = at.placeholder((None, 1000), "float64")

    def step(states, xs, _):
        return (states[0] + at.sum(xs[0]), states[1] * 2), (at.exp(xs[0]), xs[0])

    (total, _), (exps, _) = at.scan(step, [at.asarray(0.0), at.asarray(1.0)], [x])
    data = np.ones((50, 1000))
    small = compiled([x], total, data)
    large = compiled([x], [total, exps], data)
    assert small.allocated < 3 * 8000 < 50 * 8000 <= large.allocated
    node = next(n for n, _ in topological(small.outputs) if n.op.name == "scan")
    assert [n.op.name for n in node.params["body"].nodes()] == ["sum", "add"]


def test_what_never_changes_moves_out_of_the_loop():
    x, w = placeholders(X, W)

    def step(states, xs, _):
        big = at.matmul(at.exp(w).T, at.sin(w))  # a view between two moved operations
        return (at.tanh(states[0] @ big + xs[0] @ at.exp(w)),), (at.exp(w).T @ xs[0].T,)

    result = flat(at.scan(step, [H], [x]))
    plan = compiled([x, w], result, X, W)
    node = next(n for n, _ in topological(plan.outputs) if n.op.name == "scan")
    inside = [n.op.name for n in node.params["body"].nodes()]
    assert inside.count("matmul") == 3 and "exp" not in inside and "sin" not in inside
    f = at.function([x, w], result)
    with config.use(compile=False):
        want = f(X, W)
    with config.use(numba=False):
        for got, expected in zip(f(X, W), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_what_never_changes_is_not_kept_for_the_gradient():
    x, w = placeholders(X, W)
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(xs[0] @ at.exp(w)),), ()), [H], [x])
    first = at.grad(at.sum(last), [w])
    plan = compiled([x, w], [last, *first], X, W)
    stacked = [n.avals[1:] for n, _ in topological(plan.outputs) if n.op.name == "scan"]
    assert all(aval.shape[1:] != W.shape for avals in stacked for aval in avals)
    check_grad(lambda x, w: at.scan(lambda s, xs, c: ((at.tanh(xs[0] @ at.exp(w)),), ()), [H], [x])[0][0], X, W)


def test_the_gradient_of_a_weight_is_one_product_after_the_loop():
    x, h, u = placeholders(X[:, :, :3], H, U)
    w = at.asarray(W)
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(s[0] @ u + xs[0] @ w),), ()), [h], [x])
    plan = compiled([x, h, u], [last, *at.grad(at.sum(last), [u])], X, H, U)
    loops = [n for n, _ in topological(plan.outputs) if n.op.name == "scan"]
    assert [n.op.name for n in loops[1].params["body"].nodes()].count("matmul") == 1
    assert [call.label for call in plan.calls].count("matmul") == 1


def test_a_loop_whose_gradient_needs_no_loop():
    x, w = placeholders(X, W)
    _, (y,) = at.scan(lambda s, xs, c: ((), (xs[0] @ w,)), (), [x])
    f = at.function([x, w], at.grad(at.sum(y * y), [w]))
    want = 2 * X.reshape(-1, 3).T @ (X.reshape(-1, 3) @ W)
    for how in MODES.values():
        with config.use(**how):
            np.testing.assert_allclose(f(X, W)[0], want, rtol=1e-12)


def test_a_constant_condition_inside_a_step_takes_one_branch_only():
    x, train = at.placeholder((None, 2, 2), "float64"), at.placeholder((), "bool")

    def step(states, xs, _):
        risky = at.linalg.cholesky(xs[0])  # fails for what is passed below
        return (states[0] + at.switch(train, risky, xs[0] * 2),), ()

    (total,), _ = at.scan(step, [np.zeros((2, 2))], [x])
    f = at.function([x], total, givens={train: False})
    bad = -np.ones((3, 2, 2))
    with config.use(numba=False):
        np.testing.assert_array_equal(f(bad), -6 * np.ones((2, 2)))
        with pytest.raises(np.linalg.LinAlgError):
            at.function([x, train], total)(bad, False)


@pytest.mark.parametrize("mode", MODES)
def test_no_steps_leave_the_states_as_they_are(mode):
    inputs = placeholders(X, H, C, W, U)
    outs = flat(rnn(*inputs))
    f = at.function(inputs, [*outs, *at.grad(at.sum(outs[0]) + at.sum(outs[2]), inputs)])
    empty = X[:0]
    with config.use(**MODES[mode]):
        h, c, a, b, gx, gh, gc, gw, gu = f(empty, H, C, W, U)
    np.testing.assert_array_equal(h, H)
    np.testing.assert_array_equal(c, C)
    assert a.shape == b.shape == (0, 2, 4) and gx.shape == (0, 2, 3)
    np.testing.assert_array_equal(gh, np.ones_like(H))
    assert not gc.any() and not gw.any() and not gu.any()


def test_no_steps_eagerly():
    (h, c), (a, _) = rnn(X[:0], H, C, W, U)
    np.testing.assert_array_equal(h.numpy(), H)
    assert a.shape == (0, 2, 4)


# -- what a step closes over


@pytest.mark.parametrize("deferred", [False, True])
def test_variables_and_outer_tensors_are_found_and_followed(deferred):
    w = at.Variable(np.array([2.0, 3.0]), deferred=deferred)
    x = at.placeholder((None, 2), "float64")
    scale = at.exp(w)
    literal = np.array([1.0, 10.0])

    def step(states, xs, _):
        return (states[0] * w + xs[0] * scale + literal,), ()

    (last,), _ = at.scan(step, [np.zeros(2)], [x])
    grads = at.grad(at.sum(last), [w, scale])
    f = at.function([x], [last, *grads])
    data = np.array([[1.0, 2.0], [3.0, 4.0]])
    for value in ([2.0, 3.0], [0.5, -1.0]):
        w.assign(np.array(value))
        v, s = np.array(value), np.exp(value)
        y1 = data[0] * s + literal
        want = y1 * v + data[1] * s + literal
        by_scale = data[0] * v + data[1]
        for how in MODES.values():
            with config.use(**how):
                got = f(data)
            np.testing.assert_allclose(got[0], want, rtol=1e-14)
            np.testing.assert_allclose(got[1], y1 + by_scale * s, rtol=1e-14)
            np.testing.assert_allclose(got[2], by_scale, rtol=1e-14)


def test_variables_of_an_eager_loop_get_gradients():
    w = at.Variable(np.array(3.0))
    (last,), _ = at.scan(lambda s, x, c: ((s[0] * (w * w) + x[0],), ()), 1.0, np.array([1.0, 2.0]))
    assert last.item() == (1 * 9 + 1) * 9 + 2
    assert at.grad(last, w).item() == 2 * 3 * (2 * 9 + 1)


def test_a_state_may_stay_a_tensor_from_outside():
    x, outer = at.placeholder((None,), "float64"), at.placeholder((), "float64")
    (last,), (parts,) = at.scan(lambda s, xs, c: ((outer,), (outer,)), [0.0], [x])
    f = at.function([x, outer], [last, parts, *at.grad(last * 3 + at.sum(parts), [outer])])
    for how in MODES.values():
        with config.use(**how):
            last_value, part_values, g = f(np.ones(4), 7.0)
        assert last_value == 7 and list(part_values) == [7] * 4 and g == 3 + 4


def test_states_may_change_places():
    x = at.placeholder((None,), "float64")
    (a, b), (firsts,) = at.scan(lambda s, xs, c: ((s[1], s[0] + xs[0]), (s[0],)), [at.asarray(1.0), at.asarray(2.0)], x)
    f = at.function([x], [a, b, firsts, *at.grad(a + 10 * b + at.sum(firsts), [x])])
    for how in MODES.values():
        with config.use(**how):
            got = f(np.array([10.0, 20.0, 30.0]))
        assert got[0] == 2 + 20 and got[1] == 1 + 10 + 30
        assert list(got[2]) == [1, 2, 11]
        assert list(got[3]) == [11, 1, 10]


def test_whole_numbers_and_truth_values_as_states():
    x = at.placeholder((None,), "int64")

    def step(states, xs, _):
        count, seen, product = states
        return (count + xs[0], at.logical_or(seen, xs[0] > 2), product * at.astype(xs[0], "float64")), (seen,)

    (count, seen, product), (before,) = at.scan(step, [at.asarray(0), at.asarray(False), at.asarray(1.0)], [x])
    f = at.function([x], [count, seen, product, before])
    for how in MODES.values():
        with config.use(**how):
            got = f(np.array([1, 2, 3, 4]))
        assert got[0] == 10 and got[1] and got[2] == 24 and list(got[3]) == [False, False, False, True]
    assert at.grad(product, product).shape == ()


def test_loops_within_loops():
    def row(states, xs, _):
        (total,), (sums,) = at.scan(lambda s, y, c: ((s[0] * w + y[0],), (s[0],)), [states[0]], [xs[0]])
        return (total,), (sums,)

    w = at.Variable(np.array(0.5))
    data = RNG.normal(size=(3, 4))
    total, sums, want = 1.0, [], []
    for part in data.reshape(-1):
        sums.append(total)
        total = total * 0.5 + part
    x = at.placeholder((None, None), "float64")
    (last,), (stacked,) = at.scan(row, [1.0], [x])
    first = at.grad(last + at.sum(at.sin(stacked)), [x, w])
    f = at.function([x], [last, stacked, *first, *at.grad(at.sum(first[0] ** 2), [w])])
    eager = at.Tensor(data, requires_grad=True)
    (a,), (b,) = at.scan(row, [1.0], [eager])
    grads = at.grad(a + at.sum(at.sin(b)), [eager, w], create_graph=True)
    want = [a, b, *grads, *at.grad(at.sum(grads[0] ** 2), [w])]
    assert a.item() == pytest.approx(total, rel=1e-14)
    np.testing.assert_allclose(b.numpy().reshape(-1), sums, rtol=1e-14)
    for how in MODES.values():
        with config.use(**how):
            for got, expected in zip(f(data), want, strict=True):
                np.testing.assert_allclose(got, expected.numpy(), rtol=1e-11)
    check_grad(lambda y: flat(at.scan(row, [1.0], [y])), data, wrt=[w], order=2)


# -- random numbers


@pytest.mark.parametrize("mode", [*MODES, "fused"])
def test_random_numbers_differ_from_step_to_step_and_from_call_to_call(mode):
    at.random.seed(3)
    x = at.placeholder((None, 4), "float32")
    _, (noise,) = at.scan(lambda s, xs, c: ((), (at.random.uniform_like(xs[0]),)), (), [x])
    f = at.function([x], noise)
    with config.use(**MODES.get(mode, {})):
        a, b = f(np.ones((6, 4), "float32")), f(np.ones((6, 4), "float32"))
    drawn = np.concatenate([a, b]).reshape(-1)
    assert len(set(drawn.tolist())) == 48
    assert 0.3 < drawn.mean() < 0.7


@pytest.mark.parametrize("mode", ["eager", *MODES])
def test_the_gradient_sees_the_random_numbers_of_the_loss(mode):
    at.random.seed(4)
    data = RNG.normal(size=(7, 5)) + 3

    def masked(x):
        (total,), _ = at.scan(lambda s, xs, c: ((s[0] + at.random.dropout(xs[0], 0.5) ** 2,), ()), [np.zeros(5)], [x])
        return at.sum(total)

    if mode == "eager":
        x = at.Tensor(data, requires_grad=True)
        value = masked(x)
        g = at.grad(value, x).numpy()
        value = value.item()
    else:
        x = at.placeholder((None, 5), "float64")
        y = masked(x)
        with config.use(**MODES[mode]):
            value, g = at.function([x], [y, *at.grad(y, [x])])(data)
    assert set(np.round(np.unique(g / data), 9)) == {0, 8}
    assert value == pytest.approx((g * data).sum() / 2, rel=1e-12)


def test_random_numbers_in_inner_loops_differ_too():
    at.random.seed(5)

    def outer(states, xs, _):
        _, (noise,) = at.scan(lambda s, y, c: ((), (at.random.uniform_like(y[0]),)), (), [xs[0]])
        return (), (noise,)

    x = at.placeholder((None, None, 2), "float64")
    f = at.function([x], at.scan(outer, (), [x])[1][0])
    for how in MODES.values():
        with config.use(**how):
            assert len(np.unique(f(np.ones((3, 4, 2))))) == 24
    assert len(np.unique(at.scan(outer, (), [np.ones((3, 4, 2))])[1][0].numpy())) == 24


def test_a_saved_state_repeats_the_random_numbers():
    at.random.seed(6)
    before = at.random.get_state()

    def draw():
        return at.scan(lambda s, xs, c: ((), (at.random.normal_like(xs[0]),)), (), [np.ones((3, 2))])[1][0].numpy()

    a = draw()
    at.random.set_state(before)
    np.testing.assert_array_equal(draw(), a)


# -- length


@pytest.mark.parametrize("mode", ["eager", *MODES])
def test_fifty_thousand_steps_forward_and_backward(mode):
    n = 50_000
    data = np.full((n, 1), 1e-5)

    def last(x, a):
        return at.scan(lambda s, xs, c: ((s[0] * a + xs[0],), ()), [np.zeros(1)], [x])[0][0]

    if mode == "eager":
        x, a = tensors(data, np.array(1.0))
        gx, ga = [g.numpy() for g in at.grad(at.sum(last(x, a)), [x, a])]
    else:
        x, a = at.placeholder((None, 1), "float64"), at.placeholder((), "float64")
        with config.use(**MODES[mode]):
            gx, ga = at.function([x, a], at.grad(at.sum(last(x, a)), [x, a]))(data, 1.0)
    assert gx.shape == (n, 1) and (gx == 1).all()
    assert ga == pytest.approx(1e-5 * n * (n - 1) / 2, rel=1e-9)


# -- inside other ways to run


def test_inside_a_compiled_step_that_assigns():
    w = at.Variable(np.array(2.0))

    @at.compile
    def step(x):
        w.assign(w + 1)
        (last,), _ = at.scan(lambda s, xs, c: ((s[0] * w + xs[0],), ()), 1.0, [x])
        w.assign(w * 2)
        return last

    with config.use(numba=False):
        assert step(np.array([1.0, 1.0])).item() == (1 * 3 + 1) * 3 + 1
        assert w.numpy() == 6
        assert step(np.array([0.0])).item() == 7


def test_an_assignment_inside_a_step_is_refused():
    w = at.Variable(np.array(2.0))

    @at.compile
    def step(x):
        def inner(states, xs, _):
            w.assign(w + xs[0])
            return (states[0] + w,), ()

        return at.scan(inner, 1.0, [x])[0][0]

    with config.use(numba=False), pytest.raises(GraphError, match="state"):
        step(np.array([1.0, 1.0]))


def test_without_recording_nothing_is_recorded():
    with at.no_grad():
        (last,), _ = at.scan(lambda s, xs, c: ((s[0] + xs[0],), ()), 0.0, tensors(np.ones(3)))
    assert last.node is None and last.item() == 3


def test_shapes_that_depend_on_values_run_through_the_interpreter():
    x = at.placeholder((None, 3), "float64")
    (total,), _ = at.scan(lambda s, xs, c: ((s[0] + at.sum(xs[0][xs[0] > 0]),), ()), 0.0, [x])
    with config.use(numba=False):
        assert at.function([x], total)(np.array([[1.0, -2, 3], [-1, -1, 5]])) == 9


def test_graphs_pass_the_checker_with_their_bodies(capsys):
    inputs = placeholders(X, H, C, W, U)
    outs = flat(rnn(*inputs))
    with config.use(debug=4, numba=False):
        at.function(inputs, [*outs, *at.grad(loss(outs), inputs)])(X, H, C, W, U)
    assert "def run():\n" in capsys.readouterr().out


def test_the_checker_looks_into_bodies():
    x = at.placeholder((None, 3), "float64")
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(s[0] + xs[0]),), ()), [np.zeros(3)], [x])
    assert last.node is not None
    body = last.node.params["body"]
    body.outputs[0]._aval = at.placeholder((4,), "float64").aval
    with pytest.raises(GraphError, match="tanh"):
        check([last])


def test_tensors_written_before_are_read_as_they_were():
    x, h = at.Tensor(np.ones((3, 2)), requires_grad=False), at.placeholder((2,), "float64")
    x[0] = 5.0
    (last,), (parts,) = at.scan(lambda s, xs, c: ((s[0] * 2 + xs[0],), (s[0],)), [h], [x])
    g = at.grad(at.sum(last * at.sum(parts)), [h])
    f = at.function([h], [last, *g])
    x[1] = 7.0
    for how in MODES.values():
        with config.use(**how):
            np.testing.assert_array_equal(f(np.zeros(2))[0], [23, 23])


def test_values_of_changing_shape_can_not_be_stacked():
    data = np.array([[1.0, -2, 3], [-1, -1, 5]])

    def total(x):
        return at.scan(lambda s, xs, c: ((s[0] + at.sum(xs[0][xs[0] > 0] ** 2),), ()), 0.0, [x])[0][0]

    assert total(data).item() == 1 + 9 + 25
    x = at.Tensor(data, requires_grad=True)
    with pytest.raises(ShapeError, match="one shape from all steps"):
        at.grad(total(x), x)


# -- errors


def bad(step, init=0.0, x=(1.0, 2.0)):
    return at.scan(step, init, np.array(x))


@pytest.mark.parametrize("new", [np.zeros(3), np.zeros((1, 1))])
def test_a_state_that_changes_its_shape_is_refused(new):
    with pytest.raises(ShapeError, match="state 0 .*keep its shape|keep its shape; state 0"):
        bad(lambda s, xs, c: ((s[0] + new,), ()), np.zeros(1))


def test_a_state_that_broadcasts_at_run_time_is_refused():
    h, x = at.placeholder((None, 3), "float64"), at.placeholder((None, None, 3), "float64")
    (last,), _ = at.scan(lambda s, xs, c: ((s[0] + xs[0],), ()), [h], [x])
    f = at.function([h, x], last)
    for how in MODES.values():
        with config.use(**how), pytest.raises(ShapeError, match="keep its shape"):
            f(np.ones((1, 3)), np.ones((2, 4, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bad(lambda s, xs, c: ((at.astype(s[0], "float32"),), ())), ShapeError, "keep its dtype"),
        (lambda: bad(lambda s, xs, c: ((), ())), GraphError, "1 new states"),
        (lambda: bad(lambda s, xs, c: s[0]), GraphError, "new_states, outputs"),
        (lambda: bad(lambda s, xs, c: ((), ()), ()), GraphError, "neither"),
        (lambda: at.scan(lambda s, xs, c: (s, ()), 0.0), ShapeError, "at least one sequence"),
        (lambda: at.scan(lambda s, xs, c: (s, ()), 0.0, 1.0), ShapeError, "time axis"),
        (lambda: at.scan(lambda s, xs, c: (s, ()), 0.0, [np.ones(2), np.ones(3)]), ShapeError, "equally long"),
        (
            lambda: at.scan(lambda s, xs, c: (s, ()), 0.0, at.placeholder((None,)), unroll=True),
            ShapeError,
            "known number of steps",
        ),
    ],
    ids=["dtype", "count", "result", "nothing", "no_sequence", "scalar", "lengths", "unroll"],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_lengths_that_differ_at_run_time_are_refused():
    a, b = at.placeholder((None,), "float64"), at.placeholder((None,), "float64")
    (last,), _ = at.scan(lambda s, xs, c: ((s[0] + xs[0] * xs[1],), ()), 0.0, [a, b])
    f = at.function([a, b], last)
    for how in MODES.values():
        with config.use(**how), pytest.raises(ShapeError, match="equally long"):
            f(np.ones(2), np.ones(3))


def test_the_nan_guard_looks_inside():
    x = at.placeholder((None,), "float64")
    (last,), _ = at.scan(lambda s, xs, c: ((s[0] + at.where(xs[0] > 0, at.log(xs[0]), 0.0),), ()), 0.0, [x])
    with config.use(nan_guard=True), np.errstate(all="ignore"), pytest.raises(NanError, match=r"\[log\].*NaN"):
        at.function([x], last)(np.array([1.0, -1.0]))


def test_errors_of_a_step_name_the_operation():
    x = at.placeholder((None, 2, 2), "float64")
    (last,), _ = at.scan(lambda s, xs, c: ((s[0] + at.linalg.inv(xs[0]),), ()), [np.zeros((2, 2))], [x])
    singular = np.stack([np.eye(2), np.ones((2, 2))])
    with config.use(compile=False), pytest.raises(np.linalg.LinAlgError) as caught:
        at.function([x], last)(singular)
    assert any("inv in step 1 of a scan" in note and "test_scan.py" in note for note in caught.value.__notes__)
    with config.use(numba=False), pytest.raises(np.linalg.LinAlgError) as caught:
        at.function([x], last)(singular)
    assert any("scan/inv" in note and "test_scan.py" in note for note in caught.value.__notes__)


def test_the_graph_is_shown():
    x = at.placeholder((None, 3), "float64", name="x")
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(s[0] + xs[0]),), ()), [np.zeros(3)], [x])
    text = at.show(last)
    assert "scan(" in text and "Body of 2 operations" in text
