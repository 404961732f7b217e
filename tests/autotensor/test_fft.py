"""The functions of ``at.fft``: values are NumPy's, gradients closed forms and differences."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import Tensor, placeholder
from autotensor.errors import DTypeError, ShapeError
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array, complexes, integers

NORMS = ("backward", "ortho", "forward", None)
COMPLEX = ("fft", "ifft", "irfft", "hfft")
REAL = ("rfft", "ihfft", "fft")


def same(got, want, tol=1e-12):
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got.numpy(), want, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", sorted({*COMPLEX, *REAL}))
def test_along_one_axis_is_numpys(name):
    x = (complexes if name in COMPLEX else array)(3, 4)
    for axis in (0, -1):
        for n in (None, 2, 3, 5, 8):
            for norm in NORMS:
                same(
                    getattr(at.fft, name)(x, n=n, axis=axis, norm=norm),
                    getattr(np.fft, name)(x, n=n, axis=axis, norm=norm),
                )
    same(getattr(at.fft, name)(x, 5, 0, "ortho"), getattr(np.fft, name)(x, 5, 0, "ortho"))


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2"])
def test_along_several_axes_is_numpys(name):
    x = (array if name.startswith("r") else complexes)(2, 3, 4)
    for axes in ((0, 1), (2, 0), (-1, -2)):
        for s in (None, (5, 2), (2, 7)):
            for norm in ("ortho", "forward"):
                same(
                    getattr(at.fft, name)(x, s=s, axes=axes, norm=norm),
                    getattr(np.fft, name)(x, s=s, axes=axes, norm=norm),
                )
    same(getattr(at.fft, name)(x), getattr(np.fft, name)(x))


def test_sizes_without_axes_belong_to_the_last():
    same(at.fft.fftn(array(2, 3, 4), s=(5, 2)), np.fft.fftn(array(2, 3, 4), s=(5, 2), axes=(1, 2)))


def test_precision():
    x = array(4)
    for name in ("fft", "rfft", "ihfft", "fftn"):
        for given, made in (("float32", "complex64"), ("float16", "complex64"), ("float64", "complex128")):
            assert getattr(at.fft, name)(x.astype(given)).dtype == made
    assert at.fft.irfft(x.astype("complex64")).dtype == at.fft.hfft(x.astype("complex64")).dtype == np.float32
    assert at.fft.fft(integers(4)).dtype == np.complex128
    same(at.fft.rfft(x.astype(np.float32)), np.fft.rfft(x.astype(np.float32)), 1e-6)


def test_frequencies_and_shifts():
    for n in (1, 4, 5):
        same(at.fft.fftfreq(n, d=0.5), np.fft.fftfreq(n, d=0.5))
        same(at.fft.rfftfreq(n, d=0.5), np.fft.rfftfreq(n, d=0.5))
    assert at.fft.fftfreq(4, dtype=at.float32, device="cpu").dtype == np.float32
    for axes in (None, 0, (0, 1), -1):
        same(at.fft.fftshift(array(3, 4), axes=axes), np.fft.fftshift(array(3, 4), axes=axes))
        same(at.fft.ifftshift(array(3, 4), axes=axes), np.fft.ifftshift(array(3, 4), axes=axes))
    check_grad(lambda x: at.fft.ifftshift(x) ** 2, array(5), order=2)


# -- gradients

CASES = [
    ("fft", complexes(3), {"n": 2}),
    ("fft", array(3), {"n": 5, "norm": "ortho"}),
    ("ifft", complexes(2, 3), {"axis": 0}),
    ("ifft", complexes(3), {"n": 4, "norm": "forward"}),
    ("rfft", array(5), {}),
    ("rfft", array(4), {"n": 3}),
    ("rfft", array(3), {"n": 6, "norm": "forward"}),
    ("irfft", complexes(3), {}),
    ("irfft", complexes(3), {"n": 5}),
    ("irfft", complexes(4), {"n": 3, "norm": "ortho"}),
    ("irfft", complexes(2), {"n": 6}),
    ("hfft", complexes(3), {}),
    ("hfft", complexes(3), {"n": 5, "norm": "forward"}),
    ("ihfft", array(5), {"norm": "ortho"}),
    ("ihfft", array(3), {"n": 4}),
    ("fftn", complexes(2, 3), {"s": (3, 2)}),
    ("ifftn", complexes(2, 3), {"axes": (1,)}),
    ("rfftn", array(2, 3), {}),
    ("rfftn", array(2, 3), {"s": (3, 4), "axes": (1, 0)}),
    ("irfftn", complexes(2, 3), {}),
    ("irfft2", array(2, 3), {"s": (1, 3)}),
    ("fft2", array(2, 2), {}),
    ("ifft2", complexes(2, 2), {}),
    ("rfft2", array(2, 3), {"norm": "ortho"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_gradients_of_both_orders(case):
    name, x, params = case
    transform = getattr(at.fft, name)
    check_grad(lambda t: transform(t, **params), x, order=1)
    check_grad(lambda t: transform(t * t, **params), x, order=2)


def test_energy_is_kept():
    """Parseval: sum |fft(x)|^2 = n sum |x|^2, so the gradient is 2 n x; conj(x) for complex x."""
    for x in (array(6), complexes(6)):
        t = Tensor(x, requires_grad=True)
        (g,) = at.gradients((at.abs(at.fft.fft(t)) ** 2).sum(), [t])
        np.testing.assert_allclose(g.numpy(), 12 * x.conj(), atol=1e-12)
        assert g.dtype == x.dtype
    t = Tensor(array(5), requires_grad=True)
    (g,) = at.gradients((at.fft.irfft(at.fft.rfft(t), n=5) ** 2).sum(), [t])
    np.testing.assert_allclose(g.numpy(), 2 * array(5), atol=1e-12)


def test_convolution_theorem():
    """The product of spectra is a circular convolution, whose gradient is a circular correlation."""
    x, y, weight = array(6), array(6, seed=1), array(6, seed=2)
    t = Tensor(x, requires_grad=True)
    z = at.fft.irfft(at.fft.rfft(t) * at.fft.rfft(y), n=6)
    want = [sum(x[j] * y[(k - j) % 6] for j in range(6)) for k in range(6)]
    np.testing.assert_allclose(z.numpy(), want, atol=1e-12)
    (g,) = at.gradients((z * weight).sum(), [t])
    np.testing.assert_allclose(
        g.numpy(), [sum(weight[k] * y[(k - j) % 6] for k in range(6)) for j in range(6)], atol=1e-12
    )


def test_gradients_in_single_precision():
    t = Tensor(array(6).astype(np.float32), requires_grad=True)
    for transform in (at.fft.fft, at.fft.rfft, at.fft.ihfft, at.fft.irfft):
        (g,) = at.gradients(at.abs(transform(t)).sum(), [t])
        assert g.dtype == np.float32


@at.config.use(numba=False)
def test_compiled_with_unknown_sizes():
    x = placeholder((None, None), "float64")
    y = at.fft.irfft(at.fft.rfft(x, n=8) * at.fft.fftshift(at.fft.rfft(x, n=8), axes=1), axis=1)
    assert y.shape == (None, 8)
    f = at.function([x], [y, at.gradients((y**2).sum(), [x])[0]])
    for size in ((2, 5), (3, 9)):
        value, g = f(array(*size))
        spectrum = np.fft.rfft(array(*size), n=8)
        np.testing.assert_allclose(value, np.fft.irfft(spectrum * np.fft.fftshift(spectrum, axes=1)), atol=1e-12)
        assert g.shape == size
    whole = placeholder((None,), "float64")
    back = at.fft.irfft(at.fft.rfft(whole))
    assert back.shape == (None,)
    np.testing.assert_allclose(at.function([whole], back)(array(6)), array(6), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: at.fft.fft(np.zeros(0)), ShapeError, "[fft] expected at least one element along axis 0"),
        (lambda: at.fft.fft(np.ones(3), n=0), ShapeError, "[fft] sizes must be 1 or more"),
        (
            lambda: at.fft.fft(np.ones(3), norm="none"),
            ValueError,
            "[fft] norm must be 'backward', 'ortho' or 'forward'",
        ),
        (lambda: at.fft.fft(np.ones(3), axis=1), ShapeError, "[fft] axis 1 does not exist"),
        (lambda: at.fft.rfft(np.ones(3) * 1j), DTypeError, "[rfft] expected a real tensor"),
        (lambda: at.fft.ihfft(np.ones(3) * 1j), DTypeError, "[ihfft] expected a real tensor"),
        (lambda: at.fft.irfft(np.ones(1)), ShapeError, "[irfft] 1 frequencies along axis 0 give no elements"),
        (lambda: at.fft.irfft(np.ones(3), n=0), ShapeError, "[irfft] n must be 1 or more"),
        (lambda: at.fft.fftn(np.ones((2, 2)), axes=(0, 0)), ShapeError, "[fftn] expected each axis once"),
        (lambda: at.fft.fftn(np.ones(2), s=(2, 2)), ShapeError, "[fftn] 2 sizes are too many"),
        (lambda: at.fft.rfftn(np.ones(())), ShapeError, "[rfftn] expected at least one axis"),
        (lambda: at.fft.irfftn(np.ones(())), ShapeError, "[irfftn] expected at least one axis"),
        (lambda: at.fft.fftfreq(0), ShapeError, "[fftfreq] expected n of 1 or more"),
        (lambda: at.fft.fftfreq(3, device="gpu"), ValueError, "[fftfreq] the only device is 'cpu'"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)
