"""The functions around the operations of ``ops.linalg``, and what is special about them."""

from __future__ import annotations

import numpy as np
import pytest

from autotensor.core.grad import topological
from autotensor.core.tensor import Tensor, placeholder
from autotensor.errors import AutotensorError, DTypeError, GradError, ShapeError
from autotensor.graph.compile import function
from autotensor.ops import linalg
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array, integers
from tests.autotensor.samples.linalg import regular, singular, symmetric


def same(got, want, tol=1e-12):
    want = np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got.numpy(), want, rtol=tol, atol=tol)


def names(y):
    return [node.op.name for node, _ in topological([y])]


# -- einsum, tensordot and other products

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bij,kj->bki", (5, 2, 3), (4, 3)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->", (3,), (3,)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,k->k", (2, 3), (4,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...ij,...jk", (6, 1, 2, 3), (5, 3, 4)),
    ("i...,i...->...", (3, 2), (3, 2)),
    ("ij...,jk...->ik...", (2, 3, 5), (3, 4, 5)),
    ("...,...", (2, 3), (3,)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("iji->ji", (3, 2, 3)),
    ("iii->i", (3, 3, 3)),
    ("ij->ji", (2, 3)),
    ("ij", (2, 3)),
    ("ba", (2, 3)),
    ("ij->", (2, 3)),
    ("...i->...", (2, 3, 4)),
    ("i...->...i", (2, 3, 4)),
    ("...ii->...i", (2, 3, 3)),
    ("ii,ij->j", (3, 3), (3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("i,ij,j->", (2,), (2, 3), (3,)),
    ("a,b,c->cab", (2,), (3,), (4,)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij , jk -> ik", (2, 3), (3, 4)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0].replace(" ", "_") + "-" + str(len(case[1])))
def test_einsum_is_numpys(case):
    subscripts, *shapes = case
    arrays = [array(*shape, seed=i) for i, shape in enumerate(shapes)]
    same(linalg.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays))
    check_grad(lambda *xs: linalg.einsum(subscripts, *xs), *arrays, order=2)


@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "bij,bjk->bik", "bij,jk->bik", "i,i->", "ij,j->i"])
def test_plain_products_become_matmul(subscripts):
    left = subscripts.split("->")[0].split(",")
    tensors = [Tensor(np.ones([2] * len(term)), requires_grad=True) for term in left]
    assert names(linalg.einsum(subscripts, *tensors)) == ["matmul"]


def test_einsum_with_unknown_dimensions():
    x, y = placeholder((None, None, 3), "float64"), placeholder((None, None), "float64")
    z = linalg.einsum("bij,jk->bki", x, y)
    assert z.shape == (None, None, None)
    a, b = array(4, 2, 3), array(3, 5)
    np.testing.assert_allclose(function([x, y], z)(a, b), np.einsum("bij,jk->bki", a, b))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: linalg.einsum("ij,jk->ik", x), "names 2 operands; got 1"),
        (lambda x: linalg.einsum("ij,jk->ik", x, x), "letter"),
        (lambda x: linalg.einsum("ijk->k", x), "names 3 axes of an operand of rank 2"),
        (lambda x: linalg.einsum("i->i", x), "names 1 axes of an operand of rank 2"),
        (lambda x: linalg.einsum("ij->ik", x), "each letter of the result"),
        (lambda x: linalg.einsum("ij->ii", x), "each letter of the result"),
        (lambda x: linalg.einsum("i1->i", x), "where a letter is expected"),
        (lambda x: linalg.einsum("ii->i", x), "have the same letter and differ"),
    ],
)
def test_einsum_errors(call, words):
    with pytest.raises(ShapeError) as caught:
        call(array(2, 3))
    assert str(caught.value).startswith("[einsum]") and words in str(caught.value)


@pytest.mark.parametrize(
    "axes", [0, 1, 2, ((0,), (1,)), ((0, 1), (1, 0)), ((-1,), (0,)), (1, 0), ([1, 0], [0, 1]), ((), ())]
)
def test_tensordot_is_numpys(axes):
    x, y = array(3, 3), array(3, 3, 2, seed=1)
    same(linalg.tensordot(x, y, axes=axes), np.tensordot(x, y, axes=axes))
    check_grad(lambda a, b: linalg.tensordot(a, b, axes=axes), x, y, order=2)


def test_tensordot_errors():
    with pytest.raises(ShapeError, match="cannot pair 3 axes"):
        linalg.tensordot(np.ones((2, 2)), np.ones((2, 2)), axes=3)
    with pytest.raises(
        ShapeError, match="paired axes differ: 1 of (2, 3) and 0 of (2, 3)".replace("(", r"\(").replace(")", r"\)")
    ):
        linalg.tensordot(np.ones((2, 3)), np.ones((2, 3)), axes=1)
    with pytest.raises(ShapeError, match="each named once"):
        linalg.tensordot(np.ones((2, 2)), np.ones((2, 2)), axes=((0, 0), (0, 1)))


@pytest.mark.parametrize(
    "shapes",
    [
        ((), (3,)),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((3,), (5, 3, 4)),
        ((6, 3), (5, 3, 4)),
    ],
)
def test_dot_is_numpys(shapes):
    x, y = array(*shapes[0]), array(*shapes[1], seed=1)
    same(linalg.dot(x, y), np.dot(x, y))
    check_grad(linalg.dot, x, y, order=2)


def test_vecdot_outer_cross():
    x, y = array(4, 3), array(4, 3, seed=1)
    same(linalg.vecdot(x, y), (x * y).sum(-1))
    same(linalg.vecdot(x, y, axis=0), (x * y).sum(0))
    same(linalg.vecdot(x, y[0]), (x * y[0]).sum(-1))
    same(linalg.outer(x[0], y[:, 0]), np.outer(x[0], y[:, 0]))
    same(linalg.outer(x, y), np.outer(x, y))
    same(linalg.cross(x, y), np.cross(x, y))
    same(linalg.cross(x.T, y.T, axis=0), np.cross(x.T, y.T, axis=0))
    check_grad(linalg.cross, x, y, order=2)
    with pytest.raises(ShapeError, match=r"\[vecdot\] axis -1 has 3 and 1 elements"):
        linalg.vecdot(x, y[:, :1])
    with pytest.raises(ShapeError, match="expected 3 elements"):
        linalg.cross(np.ones(2), np.ones(2))


def test_matmul_error_is_the_house_form():
    for x, y in ((np.ones((32, 784)), np.ones((512, 10))), (placeholder((32, 784)), placeholder((512, 10)))):
        with pytest.raises(ShapeError) as caught:
            linalg.matmul(x, y)
        words = "[matmul] inner dimensions differ: (32, 784) @ (512, 10). Transpose the second?"
        assert str(caught.value) == words
    with pytest.raises(ShapeError, match="operands need at least one axis"):
        linalg.matmul(np.ones((2, 2)), 3.0)
    with pytest.raises(ShapeError, match="do not broadcast"):
        linalg.matmul(np.ones((2, 3, 3)), np.ones((4, 3, 3)))


def test_gradients_of_plain_products_are_plain_products():
    x, y = placeholder((None, 3)), placeholder((3, 4))
    z = linalg.matmul(x, y)
    gx, gy = linalg.matmul.vjp((True, True), z, z, x, y)
    for g, transposed in ((gx, 1), (gy, 0)):
        assert g.node.op.name == "matmul"
        assert g.node.inputs[transposed].node.op.name == "permute_dims"
    assert gx.shape == (None, 3) and gy.shape == (3, 4)


def test_matmul_of_empty_matrices():
    for a, b in (((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((5, 2, 0), (0, 4)), ((0, 2, 3), (3, 4))):
        x, y = np.ones(a), np.ones(b)
        same(linalg.matmul(x, y), x @ y)
        tx, ty = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
        linalg.matmul(tx, ty).sum().backward()
        assert tx.grad.shape == a and ty.grad.shape == b


# -- solving and factorising


def test_determinant_of_a_singular_matrix_has_the_gradient_of_cofactors():
    for x in (singular(3), np.zeros((3, 3)), np.diag([1.0, 0.0, 2.0]), np.zeros((1, 1))):
        n = len(x)
        want = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                want[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
        t = Tensor(x, requires_grad=True)
        linalg.det(t).backward()
        np.testing.assert_allclose(t.grad.numpy(), want, atol=1e-12)


def test_factorisations_put_back_together():
    x = array(2, 5, 3)
    u, s, vh = linalg.svd(x, full_matrices=False)
    same(u @ (s.reshape(2, 3, 1) * vh), x, 1e-11)
    u, s, vh = linalg.svd(x)
    assert (u.shape, s.shape, vh.shape) == ((2, 5, 5), (2, 3), (2, 3, 3))
    q, r = linalg.qr(x)
    same(q @ r, x, 1e-11)
    a = symmetric(2, 3, 3)
    w, v = linalg.eigh(a)
    same(v @ linalg.diag_embed(w) @ linalg.matrix_transpose(v), a, 1e-11)
    lower = linalg.cholesky(a)
    same(lower @ linalg.matrix_transpose(lower), a, 1e-11)


def test_gradients_through_a_rebuilt_matrix_are_the_identity():
    """All parts of a factorisation at once, whose gradients must cancel to that of x itself."""
    x = array(4, 3)
    weight = array(4, 3, seed=5)

    def rebuilt(f):
        t = Tensor(x[:3] + 3 * np.eye(3) if f is by_eigh else x, requires_grad=True)
        y = f(t)
        (y * weight[: y.shape[0]]).sum().backward()
        return t.grad.numpy()

    def by_svd(t):
        u, s, vh = linalg.svd(t, full_matrices=False)
        return u @ (s.reshape(3, 1) * vh)

    def by_qr(t):
        q, r = linalg.qr(t)
        return q @ r

    def by_eigh(t):
        w, v = linalg.eigh(t)
        return v @ (w.reshape(3, 1) * linalg.matrix_transpose(v))

    np.testing.assert_allclose(rebuilt(by_svd), weight, atol=1e-11)
    np.testing.assert_allclose(rebuilt(by_qr), weight, atol=1e-11)
    half = (weight[:3] + weight[:3].T) / 2
    np.testing.assert_allclose(rebuilt(by_eigh), half, atol=1e-11)


def test_equal_singular_values_have_gradients_of_their_own():
    t = Tensor(np.eye(3), requires_grad=True)
    linalg.svdvals(t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), np.eye(3), atol=1e-12)
    t = Tensor(np.eye(3), requires_grad=True)
    linalg.eigvalsh(t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), np.eye(3), atol=1e-12)


def test_full_svd_has_no_gradient_of_its_extra_columns():
    t = Tensor(array(4, 2), requires_grad=True)
    with pytest.raises(GradError, match="full_matrices=False"):
        linalg.svd(t)[0].sum().backward()


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 5, 10])
def test_matrix_power(n):
    x = regular(2, 3, 3)
    same(linalg.matrix_power(x, n), np.linalg.matrix_power(x, n), 1e-9)
    check_grad(lambda t: linalg.matrix_power(t, n), x / 4 + np.eye(3), order=1)


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdims", [False, True])
def test_matrix_norm_is_numpys(order, keepdims):
    x = array(2, 3, 4)
    same(
        linalg.matrix_norm(x, keepdims=keepdims, ord=order),
        np.linalg.matrix_norm(x, keepdims=keepdims, ord=order),
        1e-11,
    )
    check_grad(lambda t: linalg.matrix_norm(t, ord=order), x, order=1)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 2.5, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [None, 0, (0, 2), -1])
def test_vector_norm_is_numpys(order, axis):
    x = array(2, 3, 4)
    same(linalg.vector_norm(x, axis=axis, ord=order), np.linalg.vector_norm(x, axis=axis, ord=order), 1e-11)


def test_rank_pinv_trace_diagonal():
    x = np.stack([singular(4), regular(4, 4)])
    same(linalg.matrix_rank(x), np.array([3, 4]))
    same(linalg.pinv(x, rtol=1e-10), np.linalg.pinv(x, 1e-10), 1e-9)
    same(linalg.trace(x), np.trace(x, axis1=1, axis2=2))
    same(linalg.trace(integers(3, 3), dtype=np.int64), np.trace(integers(3, 3)))
    same(linalg.diagonal(x, offset=-1), np.diagonal(x, -1, 1, 2))


def test_pinv_of_a_rank_deficient_matrix_has_a_gradient_at_constant_rank():
    # x = a @ b keeps rank 2 whatever a and b are.
    a, b = array(4, 2), array(2, 3, seed=1)
    check_grad(lambda s, t: linalg.pinv(s @ t, rtol=1e-6), a, b, order=2)


def test_dtypes_of_factorisations():
    ints = integers(3, 3, low=1, high=5) + 9 * np.eye(3, dtype=np.int64)
    assert linalg.inv(ints).dtype == np.float64
    assert linalg.solve(ints, np.ones(3, np.float32)).dtype == np.float64
    half = linalg.inv((2 * np.eye(3)).astype(np.float16))
    assert half.dtype == np.float16 and half.numpy()[0, 0] == 0.5
    assert linalg.svd(np.ones((2, 3), np.float32))[1].dtype == np.float32


def test_empty_matrices():
    assert linalg.inv(np.zeros((0, 0))).shape == (0, 0)
    assert linalg.det(np.zeros((0, 0))).item() == 1.0
    assert linalg.inv(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert linalg.svd(np.zeros((0, 3)), full_matrices=False)[1].shape == (0,)
    t = Tensor(np.zeros((2, 0, 0)), requires_grad=True)
    linalg.det(t).sum().backward()
    assert t.grad.shape == (2, 0, 0)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: linalg.inv(np.ones((2, 3))), ShapeError, "[inv] expected square matrices; got shape (2, 3)"),
        (lambda: linalg.det(np.ones(3)), ShapeError, "[det] expected a matrix"),
        (lambda: linalg.solve(np.eye(3), np.ones(4)), ShapeError, "[solve] (3, 3) needs 3 rows on the right; got (4,)"),
        (lambda: linalg.solve(np.eye(3), 1.0), ShapeError, "[solve] expected a vector or matrix on the right"),
        (lambda: linalg.qr(np.eye(2), mode="r"), ShapeError, "[qr] mode must be 'reduced' or 'complete'"),
        (lambda: linalg.matrix_power(np.eye(2), 0.5), DTypeError, "[matrix_power] the exponent must be a whole number"),
        (lambda: linalg.matrix_norm(np.eye(2), ord=3), ShapeError, "[matrix_norm] ord must be"),
        (lambda: linalg.matrix_norm(np.ones(2)), ShapeError, "[matrix_norm] expected a matrix"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert issubclass(kind, AutotensorError) and words in str(caught.value)


def test_singular_matrices_raise_numpys_error():
    with pytest.raises(np.linalg.LinAlgError):
        linalg.inv(np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        linalg.cholesky(-np.eye(2))
