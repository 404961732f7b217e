"""custom_vjp, checkpoint, implicit_function: eagerly, in graphs, compiled, under other transforms, to second order."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import autotensor as at
from autotensor.core.state import state
from autotensor.errors import GradError, GraphError, ShapeError, TreeError
from tests.autotensor.transforms.tools import close

X = np.array([0.3, -1.2, 0.7])


# -- custom_vjp


@at.custom_vjp
def doubled(x):
    """sin, with twice its gradient: what is seen comes from the rule."""
    return at.sin(x)


doubled.defvjp(lambda x: (at.sin(x), x), lambda x, g: (2 * g * at.cos(x),))


def test_custom_gradient_everywhere():
    assert doubled.__name__ == "doubled" and "twice" in doubled.__doc__
    close(doubled(X), np.sin(X))
    close(at.grad(lambda x: doubled(x).sum())(X), 2 * np.cos(X))
    close(at.vjp(doubled, X)[1](X)[0], 2 * np.cos(X) * X)
    close(at.jvp(doubled, (X,), (X,))[1], 2 * np.cos(X) * X)
    close(at.jacobian(doubled)(X), np.diag(2 * np.cos(X)))
    close(at.jacobian(doubled, mode="forward")(X), np.diag(2 * np.cos(X)))
    close(at.hessian(lambda x: doubled(x).sum())(X), np.diag(-2 * np.sin(X)))  # of the backward step
    close(at.vmap(at.grad(doubled))(X), 2 * np.cos(X))
    close(at.grad(lambda x: at.vmap(doubled)(x).sum())(X), 2 * np.cos(X))
    close(at.vmap(at.grad(at.grad(doubled)))(X), -2 * np.sin(X))


def test_custom_gradient_in_graphs():
    x = at.placeholder((None,), np.float64)
    y = doubled(x)
    (g,) = at.gradients(y, x)
    (h,) = at.gradients(g, x)
    batch = at.vmap(at.grad(doubled))(x)
    for compiled in (True, False):
        with at.config.use(compile=compiled):
            a, b, c, d = at.function([x], [y, g, h, batch])(X)
        close(a, np.sin(X))
        close(b, 2 * np.cos(X))
        close(c, -2 * np.sin(X))
        close(d, 2 * np.cos(X))

    @at.compile
    def step(x):
        return at.grad(lambda x: doubled(x).sum())(x)

    close(step(X), 2 * np.cos(X))
    total = lambda x: at.scan(lambda s, xs, c: (s[0] + doubled(xs[0]) * s[0], ()), 1.0, x)[0][0]
    y = np.prod(1 + np.sin(X))
    close(at.grad(total)(X), 2 * np.cos(X) * y / (1 + np.sin(X)))


def test_trees_and_what_is_no_tensor():
    @at.custom_vjp
    def apply(params, x, power, name):
        return {"out": params["w"] * x**power, "n": x.sum()}

    seen = []

    def forward(params, x, power, name):
        return apply(params, x, power, name), (params["w"], x, power, name)

    def backward(kept, g):
        w, x, power, name = kept
        seen.append((power, name))
        return {"w": g["out"] * x**power}, g["out"] * w * power * x ** (power - 1) + g["n"], None, None

    apply.defvjp(forward, backward)

    def loss(p, x):
        out = apply(p, x, 3, name="cubic")
        return out["out"].sum() + 2 * out["n"]

    gp, gx = at.grad(loss, (0, 1))({"w": X + 2}, X)
    close(gp["w"], X**3)
    close(gx, 3 * (X + 2) * X**2 + 2)
    assert seen == [(3, "cubic")]
    close(at.grad(lambda x: apply({"w": x}, x, 2, "n")["n"])(X), np.ones(3))  # one of two results is not used


def test_arguments_that_are_not_differentiated_by():
    @at.custom_vjp(nondiff_argnums=(0,))
    def mapped(f, x):
        return f(x)

    def backward(f, x, g):
        return (10 * g * f(x),)

    assert mapped.defvjp(lambda f, x: (mapped(f, x), x), backward) is backward
    close(at.grad(lambda x: mapped(at.exp, x).sum())(X), 10 * np.exp(X))
    close(at.grad(at.grad(lambda x: mapped(at.exp, x)))(0.0), 10.0)


def test_forward_step_that_calls_the_function_keeps_the_rule_to_second_order():
    @at.custom_vjp
    def log1pexp(x):
        return at.log(1 + at.exp(x))

    def forward(x):
        y = log1pexp(x)
        return y, (x, y)

    # sigmoid = exp(x - log1pexp(x)), so the second derivative goes through the result that was kept
    log1pexp.defvjp(forward, lambda kept, g: (g * at.exp(kept[0] - kept[1]),))
    s = 1 / (1 + np.exp(-X))
    close(at.elementwise_grad(log1pexp)(X), s)
    close(at.elementwise_grad(at.elementwise_grad(log1pexp))(X), s * (1 - s))
    close(at.vmap(at.grad(at.grad(at.grad(log1pexp))))(X), s * (1 - s) * (1 - 2 * s))


def test_errors_of_custom_gradients():
    @at.custom_vjp
    def f(x, y):
        return x * y

    x = at.Tensor(X, requires_grad=True)
    with pytest.raises(GradError, match=r"\[f\] expected a gradient rule. Call f.defvjp"):
        f(x, x)
    f.defvjp(lambda x, y: x * y, lambda kept, g: (g, g))
    with pytest.raises(GradError, match=r"the forward step to return \(value"):
        f(x, x)
    f.defvjp(lambda x, y: (x * y, None), lambda kept, g: g)
    with pytest.raises(GradError, match="a gradient for each of 2 arguments.*got Tensor"):
        at.grad(f(x, x).sum(), x)
    f.defvjp(lambda x, y: (x * y, None), lambda kept, g: (g.sum(), g))
    with pytest.raises(ShapeError, match=r"\[f\] the gradient of argument 0 must have the shape \(3,\)"):
        at.grad(f(x, x).sum(), x)
    w = at.Tensor(2.0, requires_grad=True, name="w")
    f.defvjp(lambda x, y: (w * x * y, None), lambda kept, g: (g, g))
    with pytest.raises(GradError, match="'w' requires gradients and is read by the function"):
        f(x, x)

    @at.custom_vjp
    def g(p):
        return p["a"]

    g.defvjp(lambda p: (p["a"], None), lambda kept, t: ({"b": t},))
    with pytest.raises(TreeError, match="the keys 'a' at the gradient of argument 0; got the keys 'b'"):
        at.grad(lambda a: g({"a": a}))(1.0)

    class Model:
        @at.custom_vjp
        def method(self, x):
            return x

    with pytest.raises(GradError, match="takes functions, not methods"):
        Model().method(1.0)


def test_arguments_that_were_written_in_place():
    w = at.Tensor(X, requires_grad=True)
    y = at.zeros(3)
    y[:] = w * 2
    y[0] = w[1]
    slope = np.array([0.0, 1.0, 0.0]) * np.cos(X[1]) * 2 + np.array([0, 1, 1]) * 4 * np.cos(2 * X)
    close(at.grad(doubled(y).sum(), w), slope)
    close(at.grad(at.checkpoint(lambda t: doubled(t) * y)(y).sum(), w), at.grad((doubled(y) * y).sum(), w))


# -- checkpoint


def block(x):
    for _ in range(5):
        x = at.tanh(x * 1.5)
    return x


def alive(run):
    """How many arrays that operations made are alive when ``run`` has returned."""
    made = []

    class Count:
        guard = infinity = profiler = None

        def run(self, op, inputs, arrays, params, *rest):
            result = op.impl(*arrays, **params)
            made.append(weakref.ref(result))
            return result

        def recorded(self, node):
            pass

    before = type(state).watch
    type(state).watch = Count()
    try:
        kept = run()
    finally:
        type(state).watch = before
    gc.collect()
    assert kept is not None
    return len({id(ref()) for ref in made if ref() is not None})


def test_checkpoint_keeps_arguments_and_results_only():
    x = at.Tensor(np.ones(7), requires_grad=True)
    assert alive(lambda: block(block(x))) == 20
    assert alive(lambda: at.checkpoint(block)(at.checkpoint(block)(x))) == 2


def squared_slope(f):
    return lambda x: (at.grad(f)(x) ** 2).sum()


def test_checkpoint_changes_no_gradient():
    for order in (1, 2, 3):
        f, g = (lambda x, f=f: f(x).sum() for f in (block, at.checkpoint(block)))
        for _ in range(order):
            f, g = squared_slope(f), squared_slope(g)
        close(g(X), f(X))
    close(at.jacobian(at.checkpoint(block))(X), at.jacobian(block)(X))
    close(at.jvp(at.checkpoint(block), (X,), (X,))[1], at.jvp(block, (X,), (X,))[1])
    close(at.vmap(at.grad(at.checkpoint(block)))(X), at.vmap(at.grad(block))(X))
    close(at.hessian(lambda x: at.checkpoint(block)(x).sum())(X), at.hessian(lambda x: block(x).sum())(X))
    nested = at.checkpoint(lambda x: at.checkpoint(block)(at.sin(x)))
    close(at.jacobian(nested)(X), at.jacobian(lambda x: block(at.sin(x)))(X))


def test_checkpoint_gives_gradients_to_what_the_function_reads():
    w = at.Tensor(X + 1, requires_grad=True)
    h = w * 2  # not a leaf
    v = at.Variable(np.array(3.0))
    x = at.Tensor(X, requires_grad=True)
    f = lambda p: {"y": at.tanh(p["x"] * h) * v, "z": [h * h]}

    def loss(f):
        out = f({"x": x, "name": "n"})
        return (out["y"] ** 2).sum() + out["z"][0].sum()

    for a, b in zip(at.grad(loss(at.checkpoint(f)), [x, w, h, v]), at.grad(loss(f), [x, w, h, v]), strict=True):
        close(a, b)
    inner = lambda f: at.grad(lambda x: f(lambda z: z * z * x)(x * 2))(1.5)  # reads the variable of the derivative
    close(inner(at.checkpoint), inner(lambda f: f))
    with_inner = lambda x: (at.grad(lambda y: (y**3 * w).sum())(x) * w).sum()
    close(at.grad(at.checkpoint(with_inner)(x), w), at.grad(with_inner(x), w))
    close(at.grad(at.checkpoint(with_inner))(X), at.grad(with_inner)(X))


def test_checkpoint_draws_the_same_numbers_again():
    def noisy(x):
        return at.random.dropout(at.tanh(x), 0.5) * at.random.uniform_like(x)

    x = np.linspace(0.1, 2, 50)
    for f in (at.checkpoint(noisy), at.checkpoint(lambda x: at.checkpoint(noisy)(x) * at.random.normal())):
        at.random.seed(5)
        value, g = at.value_and_grad(lambda x, f=f: f(x).sum())(x)
        after = at.random.get_state()
        t = at.Tensor(x, requires_grad=True)
        at.random.seed(5)
        y = f(t)
        close(y.sum(), value)
        close(at.grad(y.sum(), t), g)
        assert at.random.get_state() == after
        scale = y.numpy() / np.tanh(x)
        close(g, scale * (1 - np.tanh(x) ** 2), 1e-10)
    p = at.placeholder((None,), np.float64)
    y = at.checkpoint(noisy)(p)
    run = at.function([p], [y, at.gradients(y, p)[0]])
    for _ in range(2):
        y, g = run(x)
        close(g, y / np.tanh(x) * (1 - np.tanh(x) ** 2), 1e-10)
    ratio = at.vmap(at.grad(lambda x: at.checkpoint(lambda x: x * at.random.uniform((), dtype=np.float64))(x)))
    values = at.vmap(lambda x: at.checkpoint(lambda x: x * at.random.uniform((), dtype=np.float64))(x))
    at.random.seed(2)
    slopes = ratio(x)
    at.random.seed(2)
    close(values(x), slopes.numpy() * x)
    assert len(np.unique(slopes.numpy())) == 50


def test_checkpoint_saves_memory_in_compiled_graphs():
    x = at.placeholder((1000,), np.float64)

    def memory(wrap):
        y = x
        for _ in range(4):
            y = wrap(block)(y)
        f = at.function([x], at.gradients(y, x))
        return f(np.full(1000, 0.3))[0], next(iter(f._plans.values())).allocated

    with at.config.use(fuse=False):
        g, short = memory(at.checkpoint)
        want, plain = memory(lambda f: f)
    close(g, want)
    assert short < 0.75 * plain


def test_checkpoint_in_a_compiled_training_step():
    def train(wrap):
        w, b = at.Variable(np.eye(3) * 0.5), at.Variable(np.zeros(3))

        @at.compile
        def step(x):
            y = x
            for _ in range(3):
                y = wrap(lambda y: at.tanh(y @ w + b))(y)
            loss = (y**2).sum()
            for v, g in zip((w, b), at.gradients(loss, [w, b]), strict=True):
                v.assign(v - 0.1 * g)
            return loss

        return [step(np.stack([X, 2 * X])).item() for _ in range(4)], w.numpy()

    (losses, w), (want, v) = train(at.checkpoint), train(lambda f: f)
    close(losses, want)
    close(w, v)
    assert want[-1] < want[0]


def test_checkpoint_takes_no_assignments():
    v = at.Variable(np.array(3.0))
    with pytest.raises(GraphError, match=r"\[checkpoint\] expected no assignment in the function, which runs again"):
        at.checkpoint(lambda x: v.assign(x) * x)(at.Tensor(1.0, requires_grad=True))


def test_checkpoint_of_functions_with_branches_and_compiled_steps():
    @at.compile
    def step(x):
        return at.sin(x) * x

    def f(x):
        return step(x) if x.sum() > 0 else at.checkpoint(lambda x: -x if x[0] > 0 else x * x)(x)

    for x in (X + 2, X - 2, -X):
        close(at.jacobian(at.checkpoint(f))(x), at.jacobian(lambda x: f(x) if x.sum() <= 0 else step.fn(x))(x))


def test_checkpoint_without_tensors_or_gradients_just_runs():
    assert at.checkpoint(lambda x, n: x * n)(2.0, n=3) == 6.0
    with at.no_grad():
        close(at.checkpoint(block)(at.Tensor(X, requires_grad=True)), block(X))
    assert at.checkpoint(block)(at.Tensor(X)).node is None


# -- implicit functions


def newton(a):
    y = 1.0 + 0 * a
    for _ in range(30):
        y = y - (y * y - a) / (2 * y)
    return y


root = at.implicit_function(newton, lambda y, a: y * y - a)
A = np.array([4.0, 2.0, 9.0])


def test_derivatives_of_a_root_to_third_order():
    close(root(A), np.sqrt(A))
    f = root
    for want in (0.5 * A**-0.5, -0.25 * A**-1.5, 0.375 * A**-2.5):
        f = at.elementwise_grad(f)
        close(f(A), want)
    close(at.jvp(root, (A,), (A,))[1], 0.5 * A**0.5)
    close(at.vmap(at.grad(root))(A), 0.5 * A**-0.5)
    close(at.jacobian(root)(A), np.diag(0.5 * A**-0.5))
    x = at.placeholder((3,), np.float64)
    close(at.function([x], at.gradients(root(x), x)[0])(A), 0.5 * A**-0.5)


def test_a_fixed_point_of_trees_found_with_arrays():
    def solve(p):
        x, y = 0.0, 0.0
        for _ in range(200):
            x, y = 0.5 * np.cos(y) + p["a"].item(), 0.3 * np.sin(x) + p["b"].item()
        return {"x": x, "y": y}

    def residual(s, p):
        return [s["x"] - 0.5 * at.cos(s["y"]) - p["a"], s["y"] - 0.3 * at.sin(s["x"]) - p["b"]]

    f = at.implicit_function(solve, residual)
    p = {"a": at.Tensor(0.2, requires_grad=True), "b": at.Tensor(-0.4, requires_grad=True)}
    s = f(p)
    slope = np.array([[1.0, 0.5 * np.sin(s["y"].item())], [-0.3 * np.cos(s["x"].item()), 1.0]])
    want = np.linalg.inv(slope)
    for row, name in enumerate("xy"):
        close(at.grad(s[name], p["a"]), want[row, 0])
        close(at.grad(s[name], p["b"]), want[row, 1])


def test_errors_of_implicit_functions():
    w = at.Tensor(2.0, requires_grad=True, name="w")
    with pytest.raises(GradError, match="'w' requires gradients and is read by the residual"):
        at.implicit_function(newton, lambda y, a: y * y - a * w)(at.Tensor(4.0, requires_grad=True))
    with pytest.raises(ShapeError, match="as many elements as the solution, 3"):
        at.grad(lambda a: at.implicit_function(newton, lambda y, a: (y * y - a)[:2])(a).sum())(A)
    with pytest.raises(np.linalg.LinAlgError):
        at.grad(at.implicit_function(lambda a: 0.0 * a, lambda y, a: y * y - a))(0.0)
    with pytest.raises(GradError, match="floating solution"):
        at.grad(at.implicit_function(lambda a: 1, lambda y, a: y - a))(1.0)


# -- loops


def rolled(x0, w, steps):
    """A loop of a nonlinear step, as one operation or written out."""
    return at.scan(lambda s, x, c: (at.tanh(s[0] * c[0] + x[0]), s[0] * x[0]), x0, steps, w)


def test_derivatives_through_loops():
    steps = np.array([0.3, -0.2, 0.5, 0.1])

    def loss(x0, w, steps, unroll):
        (s,), (path,) = at.scan(lambda s, x, c: (at.tanh(s[0] * c[0] + x[0]), s[0] * x[0]), x0, steps, w, unroll=unroll)
        return s * s + (path**2).sum()

    f, g = (lambda x0, w, steps, u=u: loss(x0, w, steps, u) for u in (False, True))
    args = (0.4, 1.2, steps)
    for a, b in zip(at.grad(f, (0, 1, 2))(*args), at.grad(g, (0, 1, 2))(*args), strict=True):
        close(a, b)
    close(at.hessian(f, 1)(*args), at.hessian(g, 1)(*args))
    close(at.hessian(f, 2)(*args), at.hessian(g, 2)(*args))
    tangents = (1.0, -0.5, np.array([1.0, 2.0, 0.0, -1.0]))
    close(at.jvp(f, args, tangents)[1], at.jvp(g, args, tangents)[1])
    for a, b in zip(at.hvp(f, args, tangents), at.hvp(g, args, tangents), strict=True):
        close(a, b)
    many = np.linspace(-1, 1, 5)
    close(at.vmap(at.grad(f, 1), (0, None, None))(many, 1.2, steps), [at.grad(g, 1)(x, 1.2, steps) for x in many])
    close(
        at.jacobian(lambda s: rolled(0.4, 1.2, s)[1][0])(steps)[2],
        at.grad(
            lambda s: at.scan(lambda s, x, c: (at.tanh(s[0] * 1.2 + x[0]), s[0] * x[0]), 0.4, s, unroll=True)[1][0][2]
        )(steps),
    )
    close(at.grad(at.checkpoint(lambda w: f(0.4, w, steps)))(1.2), at.grad(lambda w: g(0.4, w, steps))(1.2))
