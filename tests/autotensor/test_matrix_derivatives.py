"""Gradients of linear algebra against closed forms, and what the functions around the operations add.

The contract test compares every rule with differences; here the outside oracles are formulas: M. B. Giles, "An
extended collection of matrix derivative results" (2008), and the identities that define a factorisation.
"""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import Tensor, placeholder
from autotensor.errors import GradError, ShapeError
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array, complexes, positive
from tests.autotensor.samples.complex_linalg import hermitian, regular_complex
from tests.autotensor.samples.linalg import regular, singular, symmetric

KINDS = {"real": regular(2, 3, 3), "complex": regular_complex(2, 3, 3)}


def gradient(f, x):
    """df/dx - i df/dy of a real number."""
    t = Tensor(x, requires_grad=True)
    return at.gradients(f(t), [t])[0].numpy()


def turned(x):
    return np.swapaxes(x, -1, -2)


def close(got, want, tol=1e-11):
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol)


@pytest.mark.parametrize("kind", list(KINDS))
def test_gradients_are_the_closed_forms(kind):
    x = KINDS[kind]
    inverse = np.linalg.inv(x)
    weight = (array if kind == "real" else complexes)(2, 3, 3, seed=3)
    # Giles 2.2.4: d log|det x| = tr(x^-1 dx)
    close(gradient(lambda t: at.linalg.slogdet(t).logabsdet.sum(), x), turned(inverse))
    # 2.2.4: d det x = det x tr(x^-1 dx)
    close(gradient(lambda t: at.real(at.linalg.det(t)).sum(), x), np.linalg.det(x)[:, None, None] * turned(inverse))
    # 2.2.3: d x^-1 = -x^-1 dx x^-1
    close(
        gradient(lambda t: at.real((at.linalg.inv(t) * weight).sum()), x), -turned(inverse) @ weight @ turned(inverse)
    )
    # 2.2.2: d tr(x^3) = 3 tr(x^2 dx)
    close(gradient(lambda t: at.real(at.linalg.trace(at.linalg.matrix_power(t, 3))).sum(), x), 3 * turned(x @ x))
    # 2.3.1: x^-1 b
    b = weight[..., :2]
    y = np.linalg.solve(x, b)
    gb = turned(inverse) @ np.ones_like(b)
    close(gradient(lambda t: at.real(at.linalg.solve(t, b).sum()), x), -gb @ turned(y))


@pytest.mark.parametrize("kind", list(KINDS))
def test_symmetric_functions_of_eigenvalues(kind):
    """Sums over all eigenvalues are traces, whose derivatives need no factorisation."""
    x = (symmetric if kind == "real" else hermitian)(2, 3, 3)
    close(gradient(lambda t: at.linalg.eigvalsh(t).sum(), x), np.broadcast_to(np.eye(3), x.shape))
    close(gradient(lambda t: (at.linalg.eigvalsh(t) ** 3).sum(), x), 3 * turned(x @ x))
    close(gradient(lambda t: at.log(at.linalg.eigvalsh(t)).sum(), x), turned(np.linalg.inv(x)))
    # of general matrices: sum of squares of the eigenvalues = tr(x^2)
    y = KINDS[kind]
    close(gradient(lambda t: at.real((at.linalg.eigvals(t) ** 2).sum()), y), 2 * turned(y))
    # half of the squared singular values is half of the squared Frobenius norm: d = conj(x)
    close(gradient(lambda t: (at.linalg.svdvals(t) ** 2).sum() / 2, y), y.conj())
    # log det by Cholesky
    close(
        gradient(lambda t: 2 * at.log(at.real(at.linalg.diagonal(at.linalg.cholesky(t)))).sum(), x),
        turned(np.linalg.inv(x)),
    )


def test_second_derivative_of_the_log_determinant():
    """The Hessian of log det at x is -x^-T kron x^-1 up to order (Boyd and Vandenberghe, A.4.1): v -> -x^-1 v x^-1."""
    x, v = symmetric(3, 3), array(3, 3, seed=2)
    v = v + v.T

    def along(t):
        return (at.gradients(at.linalg.slogdet(t).logabsdet, [t])[0] * v).sum()

    t = Tensor(x, requires_grad=True)
    inverse = np.linalg.inv(x)
    close(at.gradients(along(t), [t])[0].numpy(), -inverse @ v @ inverse)


def test_space_of_equal_eigenvalues_has_a_derivative():
    """The vectors of a double eigenvalue are arbitrary, the projection on their space is not."""
    q = np.linalg.qr(array(4, 4))[0]
    x = q @ np.diag([1.0, 1.0, 2.0, 3.5]) @ q.T

    def projection(t):
        v = at.linalg.eigh(t).eigenvectors[:, :2]
        return v @ v.mT

    weight = array(4, 4, seed=1)
    g = gradient(lambda t: (projection(t) * weight).sum(), x)
    step = array(4, 4, seed=2)
    step = (step + step.T) * 1e-5
    up, down = ((projection(Tensor(x + s * step)).numpy() * weight).sum() for s in (1, -1))
    close((g * step).sum() * 1e5, (up - down) / 2 * 1e5, 1e-8)


def test_eigenvalues_of_general_matrices():
    x = array(3, 3)
    result = at.linalg.eig(x)
    assert result.eigenvalues.dtype == result.eigenvectors.dtype == np.complex128
    w, v = result.eigenvalues.numpy(), result.eigenvectors.numpy()
    close(x @ v, v * w)
    close(np.linalg.norm(v, axis=0), np.ones(3))
    close(np.sort_complex(at.linalg.eigvals(x).numpy()), np.sort_complex(np.linalg.eigvals(x)))
    assert at.linalg.eigvals(np.eye(2, dtype=np.float32)).dtype == np.complex64


def test_results_have_the_names_of_the_standard():
    x = regular(3, 3)
    for result, fields in [
        (at.linalg.eigh(x), ("eigenvalues", "eigenvectors")),
        (at.linalg.eig(x), ("eigenvalues", "eigenvectors")),
        (at.linalg.qr(x), ("Q", "R")),
        (at.linalg.slogdet(x), ("sign", "logabsdet")),
        (at.linalg.svd(x), ("U", "S", "Vh")),
        (at.linalg.lstsq(x, x), ("x", "residuals", "rank", "s")),
    ]:
        assert result._fields == fields


def test_complete_qr():
    for x in (array(4, 2), complexes(4, 2), array(2, 3), array(2, 3, 3)):
        q, r = at.linalg.qr(x, mode="complete")
        m, n = x.shape[-2:]
        assert q.shape == x.shape[:-2] + (m, m) and r.shape == x.shape[:-2] + (m, n)
        close((q @ r).numpy(), x)
        close((at.conj(q.mT) @ q).numpy(), np.broadcast_to(np.eye(m), q.shape))
    t = Tensor(array(4, 2), requires_grad=True)
    with pytest.raises(GradError, match="last 2 columns are arbitrary"):
        at.linalg.qr(t, mode="complete").Q.sum().backward()


def test_complex_matrices_keep_their_precision():
    x = regular_complex(2, 3, 3).astype(np.complex64)
    assert at.linalg.inv(x).dtype == at.linalg.det(x).dtype == at.linalg.pinv(x).dtype == np.complex64
    sign, logabsdet = at.linalg.slogdet(x)
    assert (sign.dtype, logabsdet.dtype) == (np.complex64, np.float32)
    u, s, vh = at.linalg.svd(x)
    assert (u.dtype, s.dtype, vh.dtype) == (np.complex64, np.float32, np.complex64)
    assert at.linalg.eigvalsh(x).dtype == at.linalg.matrix_norm(x).dtype == np.float32
    assert at.linalg.matrix_norm(x, ord=1).dtype == at.linalg.vector_norm(x, ord=3).dtype == np.float32
    assert at.linalg.solve(x, np.ones(3)).dtype == np.complex128


def test_sign_of_a_complex_determinant_has_a_gradient():
    check_grad(lambda t: at.linalg.slogdet(t).sign, regular_complex(3, 3), order=2)
    t = Tensor(regular(3, 3), requires_grad=True)
    assert at.gradients(at.linalg.slogdet(t).sign, [t]) == [None]


# -- products


@at.config.use(numba=False)
def test_kron_inner_and_multi_dot_are_numpys():
    for a, b in (((2, 3), (4, 2)), ((3,), (2,)), ((2, 3), (2,)), ((), (2, 2)), ((), ()), ((2, 1, 2), (3, 2))):
        x, y = array(*a), array(*b, seed=1)
        close(at.kron(x, y).numpy(), np.kron(x, y))
        assert at.kron(x, y).shape == np.kron(x, y).shape
    check_grad(at.kron, array(2, 3), complexes(2, 2), order=2)
    x, y = placeholder((None, None), "float64"), placeholder((2, None), "float64")
    f = at.function([x, y], at.kron(x, y))
    close(f(array(3, 2), array(2, 5)), np.kron(array(3, 2), array(2, 5)))
    close(at.inner(array(2, 3), array(4, 3)).numpy(), np.inner(array(2, 3), array(4, 3)))
    shapes = ((2, 30), (30, 3), (3, 50), (50, 4))
    xs = [array(*shape, seed=k) for k, shape in enumerate(shapes)]
    close(at.multi_dot(xs).numpy(), np.linalg.multi_dot(xs))
    close(
        at.multi_dot([xs[0][0], *xs[1:3], xs[3][:, 0]]).numpy(), np.linalg.multi_dot([xs[0][0], *xs[1:3], xs[3][:, 0]])
    )
    check_grad(lambda *ms: at.multi_dot(ms), array(2), array(2, 3), array(3, 2), order=2)
    unknown = placeholder((None, 2), "float64")
    close(at.function([unknown], at.multi_dot([unknown, xs[0], xs[1]]))(xs[3][:2, :2]), xs[3][:2, :2] @ xs[0] @ xs[1])
    with pytest.raises(ShapeError, match=r"\[multi_dot\] expected matrices"):
        at.multi_dot([array(2, 2), array(2), array(2, 2)])
    with pytest.raises(ShapeError, match="at least two"):
        at.multi_dot([array(2, 2)])


def test_multi_dot_takes_the_cheapest_order():
    x, y, z = np.ones((2, 100)), np.ones((100, 2)), np.ones((2, 100))
    tensors = [Tensor(a, requires_grad=True) for a in (x, y, z)]
    last = at.multi_dot(tensors).node
    assert [t.shape for t in last.inputs] == [(2, 2), (2, 100)]
    last = at.multi_dot(tensors[1:] + tensors[1:2]).node
    assert [t.shape for t in last.inputs] == [(100, 2), (2, 2)]


def test_vecdot_conjugates_its_first_operand():
    x, y = complexes(2, 3), complexes(2, 3, seed=1)
    close(at.vecdot(x, y).numpy(), (x.conj() * y).sum(-1))
    close(at.linalg.vecdot(x, y, axis=-2).numpy(), (x.conj() * y).sum(0))
    assert at.vecdot(np.ones(3, np.int8), np.ones(3, np.int8)).dtype == np.int8
    check_grad(at.vecdot, x, y, order=2)


# -- least squares, rank, norms


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("right", [(), (2,)])
def test_lstsq_is_numpys(shape, right):
    a, b = array(*shape), array(shape[0], *right, seed=1)
    got, want = at.lstsq(a, b), np.linalg.lstsq(a, b)
    for x, y in zip(got, want):
        assert x.shape == y.shape
        close(x.numpy(), y, 1e-9)
    check_grad(lambda s, t: at.lstsq(s, t).x, a, b, order=1)


def test_lstsq_of_a_rank_deficient_matrix():
    a, b = np.concatenate([singular(3), singular(3)]), array(6, seed=1)
    got, want = at.lstsq(a, b), np.linalg.lstsq(a, b)
    close(got.x.numpy(), want[0], 1e-9)
    assert got.rank.item() == 2 and got.residuals.shape == want[1].shape == (0,)


def test_rank_and_pinv_take_a_limit_for_each_matrix():
    x = np.stack([np.diag([1.0, 0.1, 0.001])] * 3)
    limits = np.array([0.5, 0.05, 0.0005])
    assert at.linalg.matrix_rank(x, rtol=limits).tolist() == [1, 2, 3]
    assert at.linalg.matrix_rank(x, rtol=0.05).tolist() == [2, 2, 2]
    for k in range(3):
        close(at.linalg.pinv(x, rtol=limits).numpy()[k], np.linalg.pinv(x[k], limits[k]))
    assert at.linalg.pinv(np.zeros((2, 0, 3))).shape == (2, 3, 0)


@pytest.mark.parametrize("make", [array, complexes])
def test_norm_is_numpys(make):
    x = make(2, 3, 4)
    for args, kw in [
        ((x,), {}), ((x[0, 0],), {"ord": 3}), ((x[0, 0], np.inf), {}), ((x[0],), {"ord": "nuc"}), ((x[0],), {"ord": 2}),
        ((x,), {"axis": 1}), ((x,), {"axis": -1, "ord": 1, "keepdims": True}), ((x,), {"axis": (0, 2)}),
        ((x,), {"axis": (2, 0), "ord": 1}), ((x,), {"axis": (0, -1), "ord": -np.inf, "keepdims": True}),
        ((x[0],), {"ord": "fro"}), ((x[0, 0],), {"ord": 0}),
    ]:  # fmt: skip
        got, want = at.linalg.norm(*args, **kw), np.linalg.norm(*args, **kw)
        assert got.shape == want.shape and got.dtype == want.dtype
        close(got.numpy(), want)
    check_grad(lambda t: at.linalg.norm(t, axis=(0, 2)), x, order=2)
    check_grad(lambda t: at.linalg.vector_norm(t, ord=3), x, order=2)
    with pytest.raises(ValueError, match="norm of matrices"):
        at.linalg.norm(x, "fro", axis=1)
    with pytest.raises(ShapeError, match="one axis or two"):
        at.linalg.norm(x, 2)


def test_norms_with_powers_below_one():
    x = positive(2, 3)
    for p in (-2, -1, 0.5):
        close(at.linalg.vector_norm(x, ord=p, axis=1).numpy(), (x**p).sum(1) ** (1 / p))


@at.config.use(numba=False)
def test_compiled_gradients_of_complex_factorisations():
    x = placeholder((None, None, None), "complex128")

    def loss(t):
        w, v = at.linalg.eigh(t)
        return (
            (w**2).sum()
            + at.real(at.abs(v[..., 0, :]) ** 2 @ w[..., None]).sum()
            + at.linalg.slogdet(t).logabsdet.sum()
        )

    f = at.function([x], [loss(x), at.gradients(loss(x), [x])[0]])
    value, g = f(hermitian(2, 3, 3))
    close(value, loss(Tensor(hermitian(2, 3, 3))).numpy())
    close(g, gradient(loss, hermitian(2, 3, 3)))
