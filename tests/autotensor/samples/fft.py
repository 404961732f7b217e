"""Samples of ``autotensor.ops.fft``: values are compared with the sums that define the transforms."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array, complexes, integers


def _scale(n, norm, inverse):
    return {"backward": 1 / n if inverse else 1.0, "forward": 1.0 if inverse else 1 / n, "ortho": n**-0.5}[norm]


def _single(x):
    return np.asarray(x).dtype.char in "eFf"


def dft(x, axes, norm, inverse):
    """y[k] = sum over j of x[j] exp(-2 pi i j k / n), along one axis after the other."""
    if x.ndim == 0 or any(x.shape[a] == 0 for a in axes):
        raise ValueError("nothing to transform")
    y = np.asarray(x, np.complex128)
    for a in axes:
        n = y.shape[a]
        j = np.arange(n)
        matrix = np.exp((2j if inverse else -2j) * np.pi * j[:, None] * j / n) * _scale(n, norm, inverse)
        y = np.moveaxis(np.tensordot(matrix, y, (1, a)), 0, a)
    return y.astype(np.complex64) if _single(x) else y


def half(x, axis, norm):
    y = dft(x, (axis,), norm, False)
    return np.take(y, range(x.shape[axis] // 2 + 1), axis)


def from_half(x, axis, n, norm):
    """The real part of the inverse transform of all frequencies, the second half being the conjugates of the first."""
    if x.ndim == 0:
        raise ValueError("no axis")
    m = x.shape[axis]
    n = 2 * (m - 1) if n is None else n
    if m == 0 or n < 1:
        raise ValueError("nothing to transform")
    x = np.moveaxis(np.asarray(x, np.complex128), axis, -1).copy()
    full = np.zeros((*x.shape[:-1], n), np.complex128)
    for k in range(min(m, n // 2 + 1)):
        if k == 0 or 2 * k == n:
            full[..., k] = x[..., k].real
        else:
            full[..., k], full[..., n - k] = x[..., k], x[..., k].conj()
    return np.moveaxis(dft(full, (x.ndim - 1,), norm, True).real, -1, axis)


def fitted(x, shape):
    out = np.zeros(shape, x.dtype)
    for index in np.ndindex(*[min(a, b) for a, b in zip(x.shape, shape, strict=True)]):
        out[index] = x[index]
    return out


def fit_axes(x, axes, sizes):
    shape = list(x.shape)
    for a, n in zip(axes, sizes, strict=True):
        shape[a] = n
    return fitted(x, shape)


def twice_inside(x, axis, even):
    if x.ndim == 0:
        raise ValueError("no axis")
    out = np.moveaxis(x.copy(), axis, 0)
    for k in range(1, len(out) - (1 if even else 0)):
        out[k] *= 2
    return np.moveaxis(out, 0, axis)


def shifted(x, axes, inverse):
    for a in axes:
        n = x.shape[a]
        x = np.take(x, [(k + (n // 2 if inverse else (n + 1) // 2)) % n for k in range(n)], a) if n else x
    return x


NO_AXIS = {"scalar": "axes are counted before the operation"}
SPECTRUM = {"empty": "refused by the functions around it", **NO_AXIS}

SAMPLES = {
    "fft": [
        Sample(complexes(2, 5), oracle=dft, axes=(1,), norm="backward", inverse=False, name="forth", skip=NO_AXIS),
        Sample(complexes(2, 5), oracle=dft, axes=(1,), norm="backward", inverse=True, name="back", skip=NO_AXIS),
        Sample(array(4, 3), oracle=dft, axes=(0,), norm="ortho", inverse=False, name="real", skip=NO_AXIS),
        Sample(complexes(2, 3, 4), oracle=dft, axes=(2, 0), norm="forward", inverse=False, name="axes", skip=NO_AXIS),
        Sample(complexes(3, 2), oracle=dft, axes=(0, 1), norm="ortho", inverse=True, name="all_back", skip=NO_AXIS),
        Sample(integers(4), oracle=dft, axes=(0,), norm="backward", inverse=False, order=0, name="integers",
               skip=NO_AXIS),
    ],
    "rfft": [
        Sample(array(2, 5), oracle=half, axis=1, norm="backward", name="odd", skip=NO_AXIS),
        Sample(array(4, 3), oracle=half, axis=0, norm="ortho", name="even", skip=NO_AXIS),
        Sample(array(6), oracle=half, axis=0, norm="forward", name="vector", skip=NO_AXIS),
    ],
    "irfft": [
        Sample(complexes(2, 4), oracle=from_half, axis=1, n=None, norm="backward", name="even", skip=SPECTRUM),
        Sample(complexes(3, 2), oracle=from_half, axis=0, n=5, norm="ortho", name="odd", skip=SPECTRUM),
        Sample(array(4), oracle=from_half, axis=0, n=6, norm="forward", name="real", skip=SPECTRUM),
        Sample(complexes(1, 2), oracle=from_half, axis=0, n=1, norm="backward", name="one", skip=SPECTRUM),
    ],
    "fit_axes": [
        Sample(complexes(2, 5), oracle=fit_axes, axes=(1,), sizes=(3,), name="cut_off", skip=NO_AXIS),
        Sample(array(2, 3, 4), oracle=fit_axes, axes=(2, 0), sizes=(6, 1), name="both", skip=NO_AXIS),
    ],
    "fit_like": [
        Sample(complexes(2, 3), array(2, 5), oracle=lambda x, like: fitted(x, like.shape), wrt=(0,), name="longer"),
        Sample(array(4), array(2), oracle=lambda x, like: fitted(x, like.shape), wrt=(0,), name="shorter"),
    ],
    "twice_inside": [
        Sample(complexes(2, 4), oracle=twice_inside, axis=1, even=True, name="even", skip=NO_AXIS),
        Sample(complexes(3, 2), oracle=twice_inside, axis=0, even=False, name="odd", skip=NO_AXIS),
    ],
    "fftshift": [
        Sample(array(2, 5), oracle=shifted, axes=(0, 1), inverse=False, name="forth", skip=NO_AXIS),
        Sample(complexes(3, 4), oracle=shifted, axes=(0,), inverse=True, name="back", skip=NO_AXIS),
    ],
}  # fmt: skip
