"""vmap: axes, trees, errors, random numbers, loops, and vmap in other transforms and graphs."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import Op
from autotensor.errors import GraphError, ShapeError, TraceError, TreeError
from tests.autotensor.transforms.tools import close

ROWS = np.arange(12.0).reshape(4, 3) / 7 - 0.6
W = np.arange(6.0).reshape(2, 3) - 2
WITHOUT_RULE = Op("test_without_rule", impl=lambda x: x[::-1].copy(), infer=lambda x: x)


def test_axes_of_arguments_and_results():
    f = lambda x, y: x * y.sum()
    close(at.vmap(f)(ROWS, ROWS), ROWS * ROWS.sum(1, keepdims=True))
    close(at.vmap(f, (1, 1))(ROWS, ROWS), (ROWS * ROWS.sum(0)).T)
    close(at.vmap(f, (-1, None))(ROWS, W), ROWS.T * W.sum())
    close(at.vmap(f, (None, 0), 1)(W, ROWS), np.moveaxis(W * ROWS.sum(1)[:, None, None], 0, 1))
    close(at.vmap(f, [0, None])(ROWS, W), ROWS * W.sum())
    close(at.vmap(f, out_axes=-1)(ROWS, ROWS), (ROWS * ROWS.sum(1, keepdims=True)).T)
    close(at.vmap(lambda x: x)(ROWS), ROWS)
    close(at.vmap(lambda x, scale: x * scale)(ROWS, scale=np.arange(4.0)), ROWS * np.arange(4.0)[:, None])


def test_trees_of_axes_and_results():
    def f(p, x):
        return {"y": p["w"] @ x + p["b"], "shared": p["w"].sum(), "three": 3.0}

    params = {"w": W, "b": np.arange(8.0).reshape(2, 4)}
    out = at.vmap(f, ({"w": None, "b": 1}, 0), {"y": 0, "shared": None, "three": 0})(params, ROWS)
    close(out["y"], ROWS @ W.T + params["b"].T)
    assert out["shared"].shape == () and out["three"].shape == (4,)
    with pytest.raises(TreeError, match=r"in_axes\[0\]"):
        at.vmap(f, ({"v": 0}, 0))(params, ROWS)
    with pytest.raises(ShapeError, match="out_axes is None"):
        at.vmap(at.sin, 0, None)(ROWS)


def test_errors():
    with pytest.raises(ShapeError, match="got 4 in argument 0 and 2 in argument 1"):
        at.vmap(at.add)(ROWS, W)
    with pytest.raises(ShapeError, match=r"argument 0\['a'\] and 2 in argument 0\['b'\]\[0\]"):
        at.vmap(lambda p: p["a"])({"a": ROWS, "b": [W]})
    with pytest.raises(ShapeError, match="in_axes has 3 entries; the function got 2"):
        at.vmap(at.add, (0, 0, 0))(ROWS, ROWS)
    with pytest.raises(ShapeError, match="argument 1 of rank 0 has no axis 0. Use None"):
        at.vmap(at.add)(ROWS, 1.0)
    with pytest.raises(ShapeError, match="of rank 2 has no axis 2. Use -2 to 1"):
        at.vmap(at.sin, 2)(ROWS)
    with pytest.raises(ShapeError, match="whole number or None; got 'x'"):
        at.vmap(at.sin, ("x",))(ROWS)
    with pytest.raises(ShapeError, match="with an axis of examples; got none"):
        at.vmap(at.sin, None)(ROWS)
    with pytest.raises(TraceError, match="no value yet"):
        at.vmap(lambda x: x if x.sum() > 0 else -x)(ROWS)
    with pytest.raises(ShapeError, match=r"mask that differs.*at.where\(mask"):
        at.vmap(lambda x: x[x > 0])(ROWS)
    with pytest.raises(GraphError, match="expected tensors as results; got str"):
        at.vmap(lambda x: "text")(ROWS)
    with pytest.raises(GraphError, match="expected a function"):
        at.vmap(3)
    v = at.Variable(1.0)
    with pytest.raises(GraphError, match=r"\[vmap\] expected no assignment"):
        at.vmap(lambda x: v.assign(x))(np.ones(2))


def test_no_examples_and_one():
    assert at.vmap(lambda x: at.linalg.inv(x))(np.ones((0, 2, 2))).shape == (0, 2, 2)
    assert at.vmap(WITHOUT_RULE)(np.ones((0, 2))).shape == (0, 2)
    close(at.vmap(at.sum)(ROWS[:1]), [ROWS[0].sum()])


def test_promotion_is_that_of_the_loop():
    x = ROWS.astype(np.float32)
    assert at.vmap(lambda r: r * np.array([1.0, 2.0, 3.0]))(x).dtype == np.float64
    assert at.vmap(lambda r: r * 2.0)(x).dtype == np.float32


def test_gradients_flow_to_arguments_shared_values_and_closures():
    w = at.Tensor(W, requires_grad=True)
    v = at.Variable(np.ones(2))
    x = at.Tensor(ROWS, requires_grad=True)
    y = at.vmap(lambda r: (v * at.tanh(w @ r)).sum())(x).sum()
    slope = 1 - np.tanh(ROWS @ W.T) ** 2
    gw, gv, gx = at.grad(y, [w, v, x])
    close(gw, slope.T @ ROWS)
    close(gv, np.tanh(ROWS @ W.T).sum(0))
    close(gx, slope @ W)
    shared = at.Tensor(W, requires_grad=True)
    close(at.grad(at.vmap(lambda a, r: (a @ r).sum(), (None, 0))(shared, ROWS).sum(), shared), [ROWS.sum(0)] * 2)


def test_per_example_gradients():
    def loss(w, x, y):
        return (at.tanh(w @ x) - y) ** 2

    w, targets = np.array([0.3, -0.2, 0.5]), np.array([1.0, 0.0, 2.0, -1.0])
    out = np.tanh(ROWS @ w)
    want = (2 * (out - targets) * (1 - out**2))[:, None] * ROWS
    got = at.vmap(at.grad(loss), (None, 0, 0))(w, ROWS, targets)
    close(got, want)
    assert got.node is None and not got.requires_grad  # the leaves of the inner derivative are gone
    tracked = at.Tensor(w, requires_grad=True)
    total = at.vmap(at.grad(loss), (None, 0, 0))(tracked, ROWS, targets).sum()
    close(at.grad(total, tracked), at.hessian(lambda w: sum(loss(w, x, y) for x, y in zip(ROWS, targets)))(w).sum(0))


def test_vmap_of_vmap():
    outer = at.vmap(at.vmap(lambda x, y: x * y, (None, 0)), (0, None))(np.arange(3.0), np.arange(4.0))
    close(outer, np.outer(np.arange(3), np.arange(4)))
    table = at.vmap(lambda x: at.vmap(lambda y: at.grad(lambda z: z**2 * x)(y))(np.arange(4.0)))(np.arange(3.0))
    close(table, 2 * np.outer(np.arange(3), np.arange(4)))


def test_indices_that_differ_from_example_to_example():
    table = np.arange(20.0).reshape(5, 4)
    i = np.array([3, 1, 3])
    close(at.vmap(lambda k: at.asarray(table)[k])(i), table[i])
    close(at.vmap(lambda k: at.asarray(table)[:, k])(i), table[:, i].T)
    close(at.vmap(lambda k, r: r[k], (0, None))(i, np.arange(4.0)), i)
    close(at.vmap(lambda k, r: at.index_update(r, 9.0, k))(i, np.zeros((3, 4))), 9 * np.eye(4)[i])
    t = at.Tensor(table, requires_grad=True)
    g = at.grad((at.vmap(lambda k: at.take(t, k, axis=0))(i) ** 2).sum(), t)
    want = np.zeros_like(table)
    np.add.at(want, i, 2 * table[i])
    close(g, want)


def test_random_numbers_are_drawn_anew_for_each_example():
    at.random.seed(3)
    x = np.ones((5, 4))
    drawn = at.vmap(lambda r: at.random.normal((4,), dtype=np.float64) + 0 * r)(x).numpy()
    assert len(np.unique(drawn)) == 20
    like = at.vmap(lambda r: at.random.uniform_like(r))(x).numpy()
    assert len(np.unique(like)) == 20
    dropped = at.vmap(lambda r: at.random.dropout(r, 0.5))(np.ones((8, 16))).numpy()
    assert len({tuple(row) for row in dropped}) == 8
    orders = at.vmap(lambda r: at.random.shuffle(r))(np.tile(np.arange(10.0), (6, 1))).numpy()
    assert len({tuple(row) for row in orders}) > 1
    close(np.sort(orders), np.tile(np.arange(10.0), (6, 1)))
    again = at.vmap(lambda r: at.random.normal((4,), dtype=np.float64) + 0 * r)(x).numpy()
    assert not (again == drawn).any()
    at.random.seed(3)
    close(at.vmap(lambda r: at.random.normal((4,), dtype=np.float64) + 0 * r)(x), drawn)


def test_loops_within_the_function():
    def last(x0, steps):
        (s,), (path,) = at.scan(lambda s, x, c: ((s[0] * 0.5 + at.sin(x[0]),), (s[0] * x[0],)), x0, steps)
        return s, path

    starts, steps = np.arange(4.0), ROWS
    s, path = at.vmap(last)(starts, steps)
    for i in range(4):
        state, trail = starts[i], []
        for x in steps[i]:
            trail.append(state * x)
            state = state * 0.5 + np.sin(x)
        close(s[i], state)
        close(path[i], trail)
    g = at.vmap(at.grad(lambda x0, steps: last(x0, steps)[0] ** 2), (0, 0))(starts, steps)
    close(g, 2 * s.numpy() * 0.125)
    noisy = lambda x0, steps: at.scan(lambda s, x, c: (s[0] + at.random.uniform_like(x[0]), ()), x0, steps)[0][0]
    at.random.seed(1)
    assert len(np.unique(at.vmap(noisy)(np.zeros(4), steps).numpy())) == 4


def test_in_graphs():
    x = at.placeholder((None, 3), np.float64)
    outs = [
        at.vmap(lambda r: r / r.sum())(x),
        at.vmap(at.grad(lambda r: (r**3).sum()))(x),
        at.vmap(WITHOUT_RULE)(x),  # no rule, and unknown many examples: a loop
        at.vmap(lambda r: r[at.argmax(r)] * at.ones((2, 3)))(x),
        at.vmap(lambda r: at.broadcast_to(r[:1], (2,)) + at.reshape(r, (3, 1))[1:, 0])(x),
    ]
    for compiled in (True, False):
        with at.config.use(compile=compiled):
            a, b, c, d, e = at.function([x], outs)(ROWS)
        close(a, ROWS / ROWS.sum(1, keepdims=True))
        close(b, 3 * ROWS**2)
        close(c, ROWS[:, ::-1])
        close(d, np.ones((4, 2, 3)) * ROWS.max(1)[:, None, None])
        close(e, ROWS[:, :1] + ROWS[:, 1:])

    @at.compile
    def step(x, w):
        return at.vmap(at.grad(lambda w, r: at.tanh(w @ r)), (None, 0))(w, x)

    w = np.array([0.1, 0.2, -0.3])
    close(step(ROWS, w), (1 - np.tanh(ROWS @ w) ** 2)[:, None] * ROWS)


def test_operations_without_a_rule_are_told(caplog):
    with caplog.at_level(logging.INFO, "autotensor"), at.config.use(debug=1):
        at.vmap(WITHOUT_RULE)(ROWS)
    assert "test_without_rule has no batching rule" in caplog.text


def test_a_rule_for_an_operation_of_ones_own():
    from autotensor.extend import Batched, Op, batching_rule

    calls = []
    op = Op("test_twice", impl=lambda x: (calls.append(x.shape), x * 2)[1], infer=lambda x: x)
    close(at.vmap(op)(ROWS), 2 * ROWS)
    assert calls == [(3,)] * 4
    batching_rule("test_twice")(lambda batch, op, inputs, params: Batched(op(batch.full(inputs[0]))))
    calls.clear()
    close(at.vmap(op)(ROWS), 2 * ROWS)
    assert calls == [(4, 3)]
