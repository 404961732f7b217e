"""einops on tensors: values of NumPy's backend, gradients, graphs with unknown sizes, whichever is imported first."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import autotensor as at
from autotensor.einops_backend import Size, register
from tests.autotensor.samples.base import array

einops = pytest.importorskip("einops")

REARRANGED = [
    ("b h w c -> b (h w c)", {}),
    ("b (h h2) (w w2) c -> (b h2 w2) h w c", {"h2": 2, "w2": 3}),
    ("b h w c -> w c b h", {}),
    ("(b1 b2) h w c -> b1 c (b2 h) w", {"b1": 2}),
    ("b ... c -> c b ...", {}),
]
REDUCED = [
    ("b h w c -> b c", "mean", {}),
    ("b (h 2) (w 3) c -> b h w c", "max", {}),
    ("b h w c -> ", "sum", {}),
    ("b h w c -> b h 1 c", "min", {}),
    ("b h w c -> c", "prod", {}),
]
X = array(2, 4, 6, 3)


def checked(f, x, unknown=True):
    """f of a tensor, of a graph and of NumPy's array agree, and the gradient is that of the sum of squares."""
    want = f(x)
    t = at.Tensor(x, requires_grad=True)
    got = f(t)
    np.testing.assert_allclose(got.numpy(), want)
    slope = at.grad((got * got).sum(), t)
    p = at.placeholder((None, *x.shape[1:]) if unknown else x.shape, np.float64)
    y = f(p)
    compiled = at.function([p], [y, at.gradients([(y * y).sum()], [p])[0]])
    value, also = compiled(x)
    np.testing.assert_allclose(value, want)
    np.testing.assert_allclose(also, slope.numpy())
    return slope.numpy()


@pytest.fixture(autouse=True)
def without_kernels():
    with at.config.use(numba=False):
        yield


@pytest.mark.parametrize(("pattern", "sizes"), REARRANGED)
def test_rearrange(pattern, sizes):
    slope = checked(lambda x: einops.rearrange(x, pattern, **sizes), X)
    np.testing.assert_allclose(slope, 2 * X)


@pytest.mark.parametrize(("pattern", "how", "sizes"), REDUCED)
def test_reduce(pattern, how, sizes):
    checked(lambda x: einops.reduce(x, pattern, how, **sizes), X)


def test_repeat_and_einsum():
    slope = checked(lambda x: einops.repeat(x, "b h w c -> b (h 2) (w r) c", r=3), X)
    np.testing.assert_allclose(slope, 12 * X)
    w = array(3, 5)
    checked(lambda x: einops.einsum(x, w if isinstance(x, np.ndarray) else at.asarray(w), "b h w c, c d -> b h w d"), X)


def test_two_unknown_sizes():
    p = at.placeholder((None, None, 6), np.float64)
    y = einops.rearrange(p, "b t (h d) -> b h t d", h=2)
    z = einops.rearrange(y, "b h t d -> (b t) h d")
    a = array(2, 5, 6)
    got = at.function([p], [y, z])(a)
    np.testing.assert_array_equal(got[0], einops.rearrange(a, "b t (h d) -> b h t d", h=2))
    np.testing.assert_array_equal(got[1], einops.rearrange(a, "b t (h d) -> (b t) h d", h=2))


def test_what_cannot_be_known_is_refused():
    p = at.placeholder((None, None), np.float64)
    with pytest.raises(at.ShapeError, match="unknown"):
        einops.rearrange(p, "(a x) (b y) -> a b x y", x=2, y=2)
    assert repr(Size()) == "?" and Size() != Size()


def test_pack_unpack_parse_and_lists():
    x, y = at.Tensor(array(2, 3), requires_grad=True), at.Tensor(array(2, 4, 5), requires_grad=True)
    packed, shapes = einops.pack([x, y], "b *")
    assert packed.shape == (2, 23)
    a, b = einops.unpack(packed * 2, shapes, "b *")
    np.testing.assert_allclose(b.numpy(), 2 * y.numpy())
    assert at.grad(a.sum() + b.sum(), y).numpy().ravel().tolist() == [2.0] * 40
    assert einops.parse_shape(x, "b c") == {"b": 2, "c": 3}
    stacked = einops.rearrange([x, x], "n b c -> b n c")
    assert stacked.shape == (2, 2, 3) and stacked.requires_grad
    assert einops.asnumpy(x).shape == (2, 3)


def test_order_of_imports(monkeypatch):
    """The backend is there whether einops is imported before autotensor or after it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "einops"]:
        monkeypatch.delitem(sys.modules, name)
    register()  # as when autotensor is imported first
    assert type(sys.meta_path[0]).__name__ == "_Arrival"
    import einops as later

    assert later is not einops
    assert later.rearrange(at.ones((2, 3)), "a b -> b a").shape == (3, 2)
    assert type(sys.meta_path[0]).__name__ != "_Arrival"
    register()  # as when einops is there already
    assert later.reduce(at.ones((2, 3)), "a b -> a", "sum").tolist() == [3.0, 3.0]


def test_backend_of_symbols():
    from einops._backends import get_backend

    backend = get_backend(at.ones(2))
    symbol = backend.create_symbol([None, 3])
    value = backend.eval_symbol(symbol * 2, [(symbol, np.ones((4, 3), np.float32))])
    assert value.shape == (4, 3) and backend.is_float_type(symbol)
    assert backend.to_numpy(backend.from_numpy(np.arange(3))).tolist() == backend.arange(0, 3).tolist()
