"""Operations that users add: defop with its parts, primitive with defvjp, and the errors of both."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import extend
from autotensor.errors import GradError, GraphError, TraceError
from autotensor.extend import defvjp, defvjp_argnum, defvjp_argnums, primitive

X = np.array([0.3, -1.2, 0.7])


@pytest.fixture(autouse=True)
def plain():
    with at.config.use(numba=False):
        yield


def close(got, want):
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12, atol=1e-12)


@primitive
def logsumexp(x):
    """log(sum(exp(x)))"""
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


defvjp(logsumexp, lambda ans, x: lambda g: g * at.exp(x - ans))


def test_primitive_of_hips():
    p = np.exp(X) / np.exp(X).sum()
    assert logsumexp.__name__ == "logsumexp" and "log" in logsumexp.__doc__
    assert isinstance(logsumexp(X), np.floating)  # no tensor, nothing of ours
    close(at.grad(logsumexp)(X), p)
    close(at.hessian(logsumexp)(X), np.diag(p) - np.outer(p, p))
    close(at.jvp(logsumexp, (X,), (X,))[1], p @ X)
    t = at.Tensor(X, requires_grad=True)
    logsumexp(t * 1.0).backward()
    close(t.grad, p)


def test_primitive_with_other_arguments():
    seen = []

    @primitive
    def scaled(x, factor, y, mode="plain"):
        seen.append((type(x), factor, type(y), mode))
        return x * factor * y

    defvjp(
        scaled,
        lambda ans, x, factor, y, mode: lambda g: g * factor * y,
        lambda ans, x, factor, y, mode: lambda g: g * 0 + 5,
        argnums=(0, 2),
    )
    gx, gy = at.grad(lambda x, y: scaled(x, (2.0), y, mode="m").sum(), (0, 1))(X, X + 1)
    close(gx, 2 * (X + 1))
    close(gy, [5, 5, 5])
    assert seen == [(np.ndarray, 2.0, np.ndarray, "m")]
    defvjp(scaled, None, None, None)
    close(at.grad(lambda x: scaled(x, 2.0, X).sum())(X), 0 * X)


def test_rules_for_all_arguments_at_once():
    @primitive
    def product(*xs):
        return xs[0] * xs[1] * xs[2]

    defvjp_argnum(product, lambda i, ans, args, kwargs: lambda g: g * ans / args[i])
    for grads in (at.grad(product, (0, 1, 2))(2.0, 3.0, 4.0), at.grad(product, (1,))(2.0, 3.0, 4.0)):
        assert [g.item() for g in grads] in ([12.0, 8.0, 6.0], [8.0])
    defvjp_argnums(product, lambda argnums, ans, args, kwargs: lambda g: [100 * g * i for i in argnums])
    assert [g.item() for g in at.grad(product, (0, 2))(2.0, 3.0, 4.0)] == [0.0, 200.0]


def test_primitive_in_graphs_needs_a_shape_rule():
    x = at.placeholder((3,), np.float64)
    with pytest.raises(GraphError, match=r"\[logsumexp\] a primitive works on arrays.*primitive\(f, infer="):
        logsumexp(x)
    total = primitive(infer=lambda x: extend.Aval((), x.dtype))(np.sum)
    defvjp(total, lambda ans, x: lambda g: extend.broadcast_like(g, x))
    close(at.function([x], at.gradients(total(x * x), x)[0])(X), 2 * X)
    close(at.vmap(at.grad(lambda r: total(r * r)))(np.stack([X, X + 1])), [2 * X, 2 * X + 2])


def test_errors_of_primitives():
    @primitive
    def bare(x):
        return x * 2

    with pytest.raises(GradError, match=r"\[bare\] has no gradient. Define it with defvjp\(bare"):
        at.grad(bare)(2.0)
    defvjp(bare, lambda ans, x: lambda g: np.asarray(2.0))
    assert at.grad(bare)(2.0).item() == 2.0
    with pytest.raises(GradError, match=r"\[bare\] its gradient was computed with arrays"):
        at.grad(at.grad(bare))(2.0)
    with pytest.raises(GradError, match="has no gradient by argument 1"):
        defvjp(two := primitive(lambda x, y: x * y), lambda ans, x, y: lambda g: g * y)
        at.grad(two, (0, 1))(2.0, 3.0)
    with pytest.raises(GraphError, match="one array as the result"):
        primitive(lambda x: (x, x))(at.Tensor(1.0))
    with pytest.raises(GradError, match="decorated with @primitive"):
        defvjp(np.sin, None)
    same = primitive(lambda x: x)
    x = at.Tensor(X)
    y = same(x)
    y[0] = 7.0
    close(x, X)  # what the function hands back is copied


def test_what_hips_programs_say_besides():
    @primitive
    def f(x):
        return x * 1.0

    defvjp(f, lambda ans, x: lambda g: g)
    extend.defjvp(f, lambda g, ans, x: g)
    extend.defjvp_argnum(f, lambda argnum, g, ans, args, kwargs: g)
    extend.defjvp_argnums(f, lambda argnums, gs, ans, args, kwargs: gs[0])
    extend.def_linear(f)
    assert at.grad(f)(2.0).item() == 1.0
    constant = extend.notrace_primitive(lambda x: np.round(x))
    assert at.grad(lambda x: x * constant(x))(2.2).item() == 2.0
    extend.register_notrace(None, f)
    assert at.grad(lambda x: x * f(x))(2.0).item() == 2.0


def test_defop_has_the_whole_contract():
    name = "test_extend_softsign"
    extend.lookup("add")
    try:

        @extend.defop(
            name, impl=lambda x: x / (1 + np.abs(x)), infer=extend.floating(name), expr="({0} / (c(1.0) + abs({0})))"
        )
        def softsign(needs, g, out, x):
            """x / (1 + |x|)"""
            return (g / extend.apply(extend.lookup("square"), at.abs(x) + 1),)

        assert isinstance(softsign, extend.Op)
        at.testing.check_grad(softsign, X, order=2)
        p = at.placeholder((None,), np.float32)
        with at.config.use(numba=False):
            np.testing.assert_allclose(at.function([p], softsign(p))(X.astype("f4")), X / (1 + np.abs(X)), rtol=1e-6)
            close(at.vmap(at.grad(softsign))(X), 1 / (1 + np.abs(X)) ** 2)
        with pytest.raises(TraceError):
            float(softsign(at.placeholder(())))
    finally:
        from autotensor.core.op import OPS

        OPS.pop(name, None)
    steps = extend.Op(f"{name}_steps", impl=np.sign, infer=extend.promoting("steps"))
    with pytest.raises(GradError, match="has no gradient"):
        at.grad(lambda x: steps(x))(1.0)
    assert set(extend.__all__) <= set(dir(extend))


def test_parts_for_an_operation_along_an_axis():
    def infer(x, axis):
        assert isinstance(x, extend.Aval)
        return extend.Aval([d for k, d in enumerate(x.shape) if k != axis], extend.float_dtype(x))

    def vjp(needs, g, out, x, axis):
        return (extend.broadcast_like(at.expand_dims(g, axis), x) * extend.ones_like(x) * 2 * x,)

    def bind(outs, arrays, scratch, axis):
        return (lambda out, x: np.add.reduce(x * x, axis, out=out)), (outs[0], arrays[0])

    def impl(x, axis):
        out = np.empty([d for k, d in enumerate(x.shape) if k != axis], x.dtype)
        extend.run_bound(bind, (out,), (x,), axis=axis)
        return out

    op = extend.Op("test_extend_energy", impl=impl, infer=infer, vjp=vjp, bind=bind)
    x = np.arange(6.0).reshape(2, 3)
    energy = lambda x, axis: extend.apply(op, x, axis=extend.normalize_axis("energy", axis, x.ndim))
    close(energy(at.asarray(x), -1), (x * x).sum(-1))
    close(at.jacobian(lambda x: energy(x, 0))(x).sum(0), 2 * x)
    p = at.placeholder((None, 3), np.float64)
    close(at.function([p], energy(p, 1))(x), (x * x).sum(1))
    assert extend.normalize_axes("energy", None, 2) == (0, 1)
    assert extend.broadcast_shapes("energy", (2, 1), (None, 3)) == (2, 3)
    assert extend.result_dtype(extend.Aval((), "f4"), 2) == np.float32
    close(extend.reshape_like(at.asarray(x), at.zeros((3, 2))), x.reshape(3, 2))
    close(extend.unbroadcast(at.ones((4, 3)), at.zeros(3)), [4, 4, 4])
    close(extend.fill_like(at.zeros(2), value=7.0) + extend.zeros_like(at.zeros(2)), [7, 7])
    assert isinstance(at.vmap(lambda r: energy(r, 0))(x), at.Tensor)


def test_registered_names_are_unique():
    with pytest.raises(ValueError, match="an operation named 'add' exists already"):
        extend.register(extend.Op("add", impl=np.add, infer=extend.promoting("add")))
    with pytest.raises(ValueError, match="'sin' exists already"):
        extend.defop_no_grad("sin", impl=np.sin, infer=extend.promoting("sin"))
    assert extend.custom_vjp is at.custom_vjp
    batch = extend.Batch(2, at.zeros((2, 3)))
    assert batch.full(at.ones(3)).shape == (2, 3) and extend.Batched(at.ones((2, 3))).shape == (3,)
