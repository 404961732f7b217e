"""grad, vjp, jvp, jacobian, hessian, hvp of functions: forms, closed forms, nesting, errors."""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import DTypeError, GradError, ShapeError, TreeError
from tests.autotensor.transforms.tools import close

X = np.array([0.3, -1.2, 0.7])
A = np.array([[1.0, 2.0, -1.0], [0.5, -0.3, 2.0]])


def mixed(x):
    """R^3 -> R^2: A sin(x)."""
    return at.matmul(at.asarray(A), at.sin(x))


# -- arguments and results


def test_grad_by_position_in_all_spellings():
    f = lambda x, y: (x * x * y).sum()
    b = X + 2
    for g in (at.grad(f, 1), at.grad(f, argnum=1), at.grad(f, argnums=1), at.grad(f, -1)):
        close(g(X, b), X * X)
    gx, gy = at.grad(f, (0, 1))(X, b)
    close(gx, 2 * X * b)
    close(gy, X * X)
    assert isinstance(at.grad(f, argnums=(1,))(X, b), tuple)
    value, (gx, gy) = at.value_and_grad(f, (0, 1))(X, b)
    close(value, (X * X * b).sum())
    with pytest.raises(GradError, match="two spellings"):
        at.grad(f, argnum=0, argnums=1)
    with pytest.raises(GradError, match=r"argnum is a position.*write grad\(f, \(0, 1\)\)|argnum is a position"):
        at.grad(f, "x")
    with pytest.raises(GradError, match="argument 2 does not exist"):
        at.grad(f, 2)(X, b)


def test_keyword_arguments_are_passed_on():
    close(at.grad(lambda x, power: (x**power).sum())(X, power=3), 3 * X**2)


def test_aux_is_handed_out_untouched():
    def f(x):
        return (x * x).sum(), {"twice": 2 * x, "name": "square"}

    g, aux = at.grad(f, has_aux=True)(X)
    close(g, 2 * X)
    close(aux["twice"], 2 * X)
    assert aux["name"] == "square" and not aux["twice"].requires_grad
    (value, aux), g = at.value_and_grad(f, has_aux=True)(X)
    close(value, (X * X).sum())
    value, tangent, aux = at.jvp(f, (X,), (X,), has_aux=True)
    close(tangent, 2 * (X * X).sum())
    assert aux["name"] == "square"
    value, pull, aux = at.vjp(f, X, has_aux=True)
    close(pull(1.0)[0], 2 * X)
    j, aux = at.jacobian(f, has_aux=True)(X)
    close(j, 2 * X)
    with pytest.raises(GradError, match=r"returns \(value, aux\)"):
        at.grad(lambda x: x.sum(), has_aux=True)(X)


Layer = namedtuple("Layer", "w b")


def test_gradients_have_the_form_of_the_arguments():
    params = {"dense": [Layer(at.asarray(A), np.ones(2)), None], "scale": 2.0}

    def loss(p, x):
        layer, nothing = p["dense"]
        assert nothing is None
        return (p["scale"] * at.tanh(layer.w @ x + layer.b)).sum()

    g = at.grad(loss)(params, X)
    y = np.tanh(A @ X + 1)
    close(g["scale"], y.sum())
    assert isinstance(g["dense"][0], Layer) and g["dense"][1] is None
    close(g["dense"][0].b, 2 * (1 - y * y))
    close(g["dense"][0].w, np.outer(2 * (1 - y * y), X))


def test_a_bad_leaf_is_named_by_its_path():
    with pytest.raises(DTypeError, match=r"floating argument 0\['steps'\]\[1\].*int64"):
        at.grad(lambda p: p["w"].sum())({"w": X, "steps": [1.0, np.arange(3)]})
    with pytest.raises(DTypeError, match=r"argument 0\['name'\]; got str"):
        at.grad(lambda p: p["w"].sum())({"w": X, "name": "a"})


def test_outputs_that_are_no_scalars():
    with pytest.raises(GradError, match="one element"):
        at.grad(lambda x: x * 2)(X)
    with pytest.raises(GradError, match="got float"):
        at.grad(lambda x: float(x.sum()))(X)
    with pytest.raises(GradError, match="one tensor as the output"):
        at.grad(lambda x: (x.sum(), x.sum()))(X)
    with pytest.raises(GradError, match="expected a function"):
        at.value_and_grad(3.0)


# -- functions that are awkward


def test_a_function_that_returns_its_input():
    close(at.grad(lambda x: x)(2.0), 1.0)
    close(at.jacobian(lambda x: x)(X), np.eye(3))
    value, tangent = at.jvp(lambda x: x, (X,), (2 * X,))
    close(tangent, 2 * X)
    close(at.vjp(lambda x: x, X)[1](X)[0], X)


def test_one_tensor_as_two_arguments():
    x = at.asarray(X)
    gx, gy = at.grad(lambda x, y: (x * y * y).sum(), (0, 1))(x, x)
    close(gx, X * X)
    close(gy, 2 * X * X)
    t = at.Tensor(X, requires_grad=True)
    close(at.grad(at.grad(lambda x, y: (x * y).sum(), 0)(t, t).sum(), t), [1.0, 1.0, 1.0])


def test_outputs_that_depend_on_nothing():
    close(at.grad(lambda x: at.asarray(3.0))(2.0), 0.0)
    close(at.grad(lambda x, y: y * y)(2.0, at.asarray(3.0)), 0.0)
    close(at.jacobian(lambda x: at.ones(2))(X), np.zeros((2, 3)))
    assert at.jvp(lambda x: at.asarray(3.0), (2.0,), (1.0,))[1].item() == 0.0
    close(at.hessian(lambda x: x.sum())(X), np.zeros((3, 3)))
    close(at.hvp(lambda x: x.sum(), X, X), np.zeros(3))


def test_integer_arguments_and_outputs():
    close(at.grad(lambda x, n: (x[n] ** 2).sum())(X, np.array([0, 0, 2])), [4 * X[0], 0, 2 * X[2]])
    assert at.grad(lambda x: x * x)(3).item() == 6.0
    value, tangent = at.jvp(lambda x: (x * 2, at.argmax(at.stop_gradient(x))), (X,), (X,))
    close(tangent[0], 2 * X)
    assert tangent[1].item() == 0


def test_closed_over_tensors_keep_their_gradients():
    w = at.Tensor([2.0, 3.0, 4.0], requires_grad=True)
    g = at.grad(lambda x: (w * x * x).sum())(X)
    close(at.grad(g.sum(), w), 2 * X)
    _, tangent = at.jvp(lambda x: w * x, (X,), (X,))
    close(at.grad(tangent.sum(), w), X)
    close(at.jacobian(lambda x: w * x)(X).sum(axis=0), w)
    product = at.hvp(lambda x: (w * x**3).sum(), X, np.ones(3))
    close(at.grad(product.sum(), w), 6 * X)


def test_a_function_that_writes_into_its_own_arrays():
    def f(x):
        out = at.zeros(3)
        out[0] = x[1] * x[2]
        out[1:] = x[:2] * out[0]
        return out

    x, y, z = X
    want = [[0, z, y], [y * z, x * z, x * y], [0, 2 * y * z, y * y]]
    close(at.jacobian(f)(X), want)
    close(at.jvp(f, (X,), (np.ones(3),))[1], np.sum(want, axis=1))
    close(at.hessian(lambda x: f(x)[2])(X), [[0, 0, 0], [0, 2 * z, 2 * y], [0, 2 * y, 0]])


def test_a_gradient_inside_a_compiled_step():
    @at.compile
    def step(x):
        return at.grad(lambda x: (x**3).sum())(x), at.hvp(lambda x: (x**3).sum(), x, x), at.jacobian(at.sin)(x)

    g, h, j = step(X)
    close(g, 3 * X**2)
    close(h, 6 * X * X)
    close(j, np.diag(np.cos(X)))


def test_in_graphs_with_unknown_dimensions():
    x = at.placeholder((None,), np.float64)
    value, tangent = at.jvp(at.sin, (x,), (x * 2,))
    outs = [at.grad(lambda x: (x**3).sum())(x), tangent, at.hvp(lambda x: (x**3).sum(), x, x)]
    g, t, h = at.function([x], outs)(X)
    close(g, 3 * X**2)
    close(t, 2 * X * np.cos(X))
    close(h, 6 * X * X)
    with pytest.raises(ShapeError, match="known shapes"):
        at.jacobian(at.sin)(x)


def test_nothing_is_recorded_where_nothing_is_asked():
    g = at.grad(lambda x: (x**3).sum())
    assert g(X).node is None
    with at.no_grad():
        close(g(at.Tensor(X, requires_grad=True)), 3 * X**2)
        close(at.jacobian(mixed)(X), A * np.cos(X))


# -- vjp and jvp


def test_vjp_of_trees():
    def f(x, p):
        return {"sum": x.sum() * p["a"], "all": [x * p["a"]]}

    value, pull = at.vjp(f, X, {"a": 2.0})
    close(value["all"][0], 2 * X)
    gx, gp = pull({"sum": 1.0, "all": [X]})
    close(gx, 2 + 2 * X)
    close(gp["a"], X.sum() + (X * X).sum())
    with pytest.raises(TreeError, match=r"\[vjp\].*the keys 'all', 'sum' at weights"):
        pull({"sum": 1.0})
    with pytest.raises(ShapeError, match=r"expected weights\['all'\]\[0\] of shape \(3,\); got \(2,\)"):
        pull({"sum": 1.0, "all": [np.ones(2)]})


def test_vjp_may_be_pulled_many_times_and_differentiated():
    _, pull = at.vjp(lambda x: x**3, X)
    close(pull(np.ones(3))[0], 3 * X**2)
    close(pull(X)[0], 3 * X**3)
    close(at.grad(lambda w: (pull(w)[0] ** 2).sum())(X), 2 * X * (3 * X**2) ** 2)
    close(at.grad(lambda x: at.vjp(lambda x: x**3, x)[1](np.ones(3))[0].sum())(X), 6 * X)


def test_jvp_is_the_jacobian_times_the_tangent():
    v = np.array([1.0, -2.0, 0.5])
    value, tangent = at.jvp(mixed, (X,), (v,))
    close(value, A @ np.sin(X))
    close(tangent, A @ (np.cos(X) * v))
    assert tangent.node is None
    (s, p), (ds, dp) = at.jvp(lambda x, y: (x + y, x * y), (2.0, 3.0), (1.0, 10.0))
    close(ds, 11.0)
    close(dp, 23.0)
    with pytest.raises(TreeError, match="as tuples"):
        at.jvp(at.sin, X, X)
    with pytest.raises(TreeError, match="a tangent for each of 2"):
        at.jvp(at.add, (X, X), (X,))
    with pytest.raises(ShapeError, match=r"expected tangent 0 of shape \(3,\)"):
        at.jvp(at.sin, (X,), (1.0,))


def test_jvp_is_linear_and_differentiable_in_its_tangent():
    f = lambda v: at.jvp(lambda x: at.exp(x), (X,), (v,))[1].sum()
    close(at.grad(f)(X), np.exp(X))
    close(at.grad(at.grad(lambda t: at.jvp(at.sin, (t,), (t,))[1]))(0.3), -2 * math.sin(0.3) - 0.3 * math.cos(0.3))


def test_linearize_runs_the_function_once():
    calls = []

    def f(x):
        calls.append(1)
        return at.sin(x)

    value, push = at.linearize(f, X)
    close(push(X), np.cos(X) * X)
    close(push(2 * X), np.cos(X) * 2 * X)
    assert len(calls) == 1


def test_argmax_blocks_forward_and_backward():
    f = lambda x: at.argmax(x).astype(at.float64)
    for derivative in (lambda: at.jvp(f, (X,), (X,)), lambda: at.jacobian(f)(X), lambda: at.vjp(f, X)[1](1.0)):
        with pytest.raises(GradError, match="argmax has no gradient"):
            derivative()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: at.relu(x).sum(),
        lambda x: at.max(x),
        lambda x: at.maximum(x, 0.5).sum(),
        lambda x: at.clip(x, -1.0, 0.5).sum(),
        lambda x: at.sort(x)[0],
        lambda x: at.where(x > 0, 2 * x, -x).sum(),
    ],
    ids="relu max maximum clip sort where".split(),
)
def test_second_derivatives_of_piecewise_linear_functions_are_zero(f):
    close(at.hessian(f)(X), np.zeros((3, 3)))
    close(at.hvp(f, X, X), np.zeros(3))
    close(at.elementwise_grad(at.elementwise_grad(f))(X), np.zeros(3))
    close(at.jacobian(at.grad(f), mode="forward")(X), np.zeros((3, 3)))
    close(at.jvp(at.grad(f), (X,), (X,))[1], np.zeros(3))
    close(at.vmap(at.hessian(f))(np.stack([X, -X])), np.zeros((2, 3, 3)))


# -- matrices of derivatives


@pytest.mark.parametrize("mode", [None, "reverse", "forward"])
@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (1, 9), (9, 1), (40, 3), (3, 40)])
def test_jacobian_by_rows_and_columns(mode, rows, columns):
    rng = np.random.default_rng(rows)
    a, x = rng.normal(size=(rows, columns)), rng.normal(size=columns)
    close(at.jacobian(lambda x: at.sin(at.matmul(a, x)), mode=mode)(x), np.cos(a @ x)[:, None] * a)


def test_jacobian_shapes_and_trees():
    x = np.arange(6.0).reshape(2, 3)
    j = at.jacobian(lambda x: x.T * 2)(x)
    assert j.shape == (3, 2, 2, 3)
    close(j, np.einsum("ik,jl->ijlk", np.eye(3), np.eye(2)) * 2)
    out = at.jacobian(lambda p: [p["a"] * p["b"], p["b"].sum()])({"a": 2.0, "b": X})
    close(out[0]["a"], X)
    close(out[0]["b"], 2 * np.eye(3))
    close(out[1]["b"], np.ones(3))
    close(out[1]["a"], 0.0)
    ja, jb = at.jacobian(lambda a, b: a * b, (0, 1))(X, X + 1)
    close(ja, np.diag(X + 1))
    close(jb, np.diag(X))
    with pytest.raises(GradError, match="'reverse', 'forward' or None"):
        at.jacobian(mixed, mode="both")
    assert at.jacobian(lambda x: x * at.ones((0,)))(np.array(1.0)).shape == (0,)


def test_rules_that_ask_for_values_go_row_by_row():
    @at.custom_vjp
    def f(x):
        return at.sin(x)

    f.defvjp(lambda x: (at.sin(x), x), lambda x, g: (g * at.cos(x) if float(g.sum()) else g * 0,))
    x = np.linspace(0.1, 2, 20)
    close(at.jacobian(f)(x), np.diag(np.cos(x)))


def test_results_of_compiled_functions_are_values():
    p = at.placeholder((3,), np.float64)
    f = at.function([p], p * 2)
    with pytest.raises(GradError, match="expected tensors as outputs"):
        at.grad(lambda x: f(x).sum())(X)


def test_hessian():
    f = lambda x: (x[0] ** 2) * x[1] + at.exp(x[2] * x[1])
    x, y, z = X
    e = math.exp(y * z)
    want = [[2 * y, 2 * x, 0], [2 * x, z * z * e, e + y * z * e], [0, e + y * z * e, y * y * e]]
    close(at.hessian(f)(X), want)
    close(at.jacobian(at.grad(f), mode="forward")(X), want)
    v = np.array([1.0, 2.0, -1.0])
    close(at.hvp(f, X, v), np.array(want) @ v)
    close(at.hvp(f, (X,), (v,))[0], np.array(want) @ v)
    tree = at.hessian(lambda p: p["a"] * p["b"] ** 2)({"a": 2.0, "b": 3.0})
    close(tree["a"]["b"], 6.0)
    close(tree["b"]["b"], 4.0)
    close(at.hessian(mixed)(X)[1, 2], [0, 0, -2 * math.sin(X[2])])


def test_hvp_of_several_arguments():
    f = lambda x, y: (x * x * y).sum()
    hx, hy = at.hvp(f, (X, X + 1), (np.ones(3), X))
    close(hx, 2 * (X + 1) + 2 * X * X)
    close(hy, 2 * X)


def test_elementwise_grad():
    close(at.elementwise_grad(at.tanh)(X), 1 - np.tanh(X) ** 2)
    close(at.elementwise_grad(at.elementwise_grad(at.tanh))(X), -2 * np.tanh(X) * (1 - np.tanh(X) ** 2))
    a, b = at.elementwise_grad(lambda x, y: x * y, (0, 1))(X, X + 1)
    close(a, X + 1)
    close(b, X)


# -- nesting


def test_derivatives_of_the_sine_to_order_six():
    reverse = forward = at.sin
    for want in (math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x), math.sin, math.cos, lambda x: -math.sin(x)):
        reverse = at.grad(reverse)
        close(reverse(0.3), want(0.3))
    for want in (math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x), math.sin):
        forward = at.deriv(forward)
        close(forward(0.3), want(0.3), 1e-11)


def test_grad_of_jvp_of_grad():
    f = lambda x: at.sin(x) * x
    third = at.grad(lambda x: at.jvp(at.grad(f), (x,), (1.0,))[1])
    x = 0.4
    close(third(x), -3 * math.sin(x) - x * math.cos(x))
    close(at.jvp(at.grad(at.grad(f)), (x,), (1.0,))[1], -3 * math.sin(x) - x * math.cos(x))


def test_perturbations_are_not_confused():
    # Siskind and Pearlmutter (2005): d/dx (x * d/dy (x + y)) = 1, and d/dx (x * d/dy (x * y)) = 2x.
    close(at.grad(lambda x: x * at.grad(lambda y: x + y)(1.0))(1.0), 1.0)
    close(at.grad(lambda x: x * at.grad(lambda y: x * y)(2.0))(3.0), 6.0)
    close(at.deriv(lambda x: x * at.deriv(lambda y: x + y)(1.0))(1.0), 1.0)
    close(at.deriv(lambda x: x * at.grad(lambda y: x * y)(2.0))(3.0), 6.0)
    close(at.grad(lambda x: x * at.deriv(lambda y: x * y)(2.0))(3.0), 6.0)
    # The inner point depends on the outer variable: d/dx (d/dy y^3 at y = x^2) = 12 x^3.
    close(at.grad(lambda x: at.grad(lambda y: y**3)(x * x))(2.0), 96.0)
    # Manzyuk et al. (2019): a function-valued derivative keeps its own variable.
    shift = lambda u: lambda f: lambda x: f(x + u)
    inner = lambda f, x: at.deriv(lambda u: shift(u)(f)(x))(0.0)
    close(inner(lambda x: inner(at.exp, x), 1.0), math.e)


def test_hessian_of_a_batched_function_and_batched_hessians():
    total = lambda x: at.vmap(lambda r: (r**3).sum())(x).sum()
    rows = np.stack([X, X + 1])
    h = at.hessian(total)(rows)
    want = np.zeros((2, 3, 2, 3))
    for i in range(2):
        want[i, :, i, :] = np.diag(6 * rows[i])
    close(h, want)
    close(at.vmap(at.hessian(lambda r: (r**3).sum()))(rows), [np.diag(6 * r) for r in rows])
    close(at.vmap(lambda r: at.jvp(at.sin, (r,), (r,))[1])(rows), np.cos(rows) * rows)
    close(at.jvp(at.vmap(at.sin), (rows,), (rows,))[1], np.cos(rows) * rows)
    close(at.vmap(at.jacobian(mixed))(rows), A * np.cos(rows)[:, None, :])


# -- complex numbers: the gradient of a real f by z = x + iy is df/dx - i df/dy

Z = np.array([0.3 + 0.4j, -1.0 + 0.2j])


def test_gradient_by_complex_numbers():
    close(at.grad(lambda z: (z.real**2 + 3 * z.imag).sum())(Z), 2 * Z.real - 3j)
    close(at.grad(lambda z: (at.abs(z) ** 2).sum())(Z), 2 * Z.conj())
    close(at.grad(lambda x: ((x * (1 + 2j)).real).sum())(X), np.ones(3))
    with pytest.raises(DTypeError, match="real output"):
        at.grad(lambda z: (z * z).sum())(Z)
    close(at.holomorphic_grad(lambda z: (z**3).sum())(Z), 3 * Z**2)


def test_jacobians_of_complex_functions():
    close(at.jacobian(lambda z: z * z)(Z), np.diag(2 * Z))
    for mode in ("reverse", "forward"):
        close(at.jacobian(lambda x: x * (1 + 2j), mode=mode)(X), (1 + 2j) * np.eye(3))
    _, tangent = at.jvp(lambda z: z * z, (Z,), (np.array([1j, 2.0]),))
    close(tangent, 2 * Z * np.array([1j, 2.0]))
    _, tangent = at.jvp(lambda z: z.real * z.imag, (Z,), (np.array([1j, 2.0]),))
    close(tangent, [Z[0].real, 2 * Z[1].imag])
