"""HIPS autograd's names for differential operators, with its signatures."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import GradError
from tests.autotensor.transforms.tools import close

X = np.array([0.3, -1.2, 0.7])
A = np.array([[1.0, 2.0, -1.0], [0.5, -0.3, 2.0]])


def f(x):
    return (x**3).sum()


def g(x):
    return at.matmul(A, at.sin(x))


def test_products_with_the_hessian():
    v = np.array([1.0, 2.0, -1.0])
    close(at.hessian_vector_product(f)(X, v), 6 * X * v)
    close(at.hessian_tensor_product(lambda a, x: a * f(x), 1)(2.0, X, v), 12 * X * v)
    product, gradient = at.make_hvp(f)(X)
    close(product(v), 6 * X * v)
    close(product(X), 6 * X * X)
    close(gradient, 3 * X**2)


def test_products_with_the_jacobian():
    j = A * np.cos(X)
    w = np.array([2.0, -1.0])
    close(at.vector_jacobian_product(g)(X, w), w @ j)
    close(at.tensor_jacobian_product(lambda x: at.stack([x, 2 * x]))(X, w), 0 * np.eye(3))
    pull, value = at.make_vjp(g)(X)
    close(pull(w), w @ j)
    close(value, A @ np.sin(X))
    value, tangent = at.make_jvp(g)(X)(X)
    close(value, A @ np.sin(X))
    close(tangent, j @ X)
    pull, _ = at.make_vjp(lambda x, y: x * y, (0, 1))(X, X + 1)
    gx, gy = pull(np.ones(3))
    close(gx, X + 1)
    close(gy, X)
    with pytest.raises(GradError, match="argument 3 does not exist"):
        at.make_vjp(g, 3)(X)


def test_gauss_newton():
    j = A * np.cos(X)
    close(at.make_ggnvp(g)(X)(X), j.T @ j @ X)
    weights = np.array([1.0, 4.0])
    close(at.make_ggnvp(g, lambda y: (weights * y * y).sum())(X)(X), j.T @ (2 * weights * (j @ X)))


def test_derivatives_by_name():
    h = lambda x, scale, shift=1.0: (scale * x * x + shift).sum()
    close(at.grad_named(h, "scale")(X, 2.0), (X * X).sum())
    out = at.multigrad_dict(h)(X, scale=2.0)
    assert list(out) == ["x", "scale", "shift"]
    close(out["x"], 4 * X)
    close(out["shift"], 3.0)
    with pytest.raises(GradError, match="no argument 'size'; it has x, scale, shift"):
        at.grad_named(h, "size")


def test_other_operators():
    close(at.deriv(lambda x: x**3)(2.0), 12.0)
    close(at.deriv(at.sin)(X), np.cos(X))
    gradient, aux = at.grad_and_aux(lambda x: (f(x), x * 2))(X)
    close(gradient, 3 * X**2)
    close(aux, 2 * X)
    with pytest.warns(UserWarning, match="not complex"):
        at.holomorphic_grad(lambda x: (x * x).sum())(X)
    z = np.array([0.5 + 1j])
    close(at.holomorphic_grad(lambda z: at.exp(z)[0])(z), np.exp(z))
