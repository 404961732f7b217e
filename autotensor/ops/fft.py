"""Discrete Fourier transforms, the namespace ``at.fft``: the array API's extension and what NumPy has besides.

float32 and complex64 are transformed in single precision, all else in double. ``norm`` says where the factor 1/n
stands: "backward" (in the inverse), "forward" (in the transform), "ortho" (its root in both).

Gradients. The matrix of a transform is symmetric, so the gradient of ``fft`` is again ``fft``, with the same norm (no
conjugate: the house keeps df/dx - i df/dy). A real transform gives half of the spectrum; its transposed map fills the
other half with zeros and takes the real part. A transform back to real numbers uses each inner frequency twice, so
its transposed map is twice the real transform there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, normalize_axes, normalize_axis, shape_of, whole
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import DTypeError, ShapeError
from autotensor.ops.conversion import astype, dtype_of
from autotensor.ops.creation import operand
from autotensor.ops.like import unbroadcast
from autotensor.ops.reduce import conjugate
from autotensor.ops.shape import like_first, text

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_SINGLE = "eFf"


def _complex(x: Operand) -> np.dtype:
    assert isinstance(x, Aval)
    return np.dtype(np.complex64 if x.dtype.char in _SINGLE else np.complex128)


def _real(x: Operand) -> np.dtype:
    assert isinstance(x, Aval)
    return np.dtype(np.float32 if x.dtype.char in _SINGLE else np.float64)


def _norm(op: str, norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _SWAPPED:
        raise ValueError(
            f"[{op}] norm must be 'backward', 'ortho' or 'forward'; got {norm!r}. 'backward' is the default."
        )
    return norm


# -- sizes: an axis is cut off, or filled with zeros at its end


def _fit(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    out = np.zeros(shape, x.dtype)
    common = tuple([slice(0, min(a, b)) for a, b in zip(x.shape, shape)])
    out[common] = x[common]
    return out


def _with_sizes(shape: Sequence[Any], axes: tuple[int, ...], sizes: tuple[int, ...]) -> list[Any]:
    out = list(shape)
    for axis, n in zip(axes, sizes):
        out[axis] = n
    return out


@defop(
    "fit_axes",
    impl=lambda x, axes, sizes: _fit(x, _with_sizes(x.shape, axes, sizes)),
    infer=lambda x, axes, sizes: Aval(_with_sizes(x.shape, axes, sizes), x.dtype),
)
def fit_axes(needs, g, out, x, axes, sizes):
    """x with ``sizes`` along ``axes``: cut off, or filled with zeros at the end."""
    return (fit_like(g, x),)


def _infer_fit_like(x: Operand, like: Operand) -> Aval:
    assert isinstance(x, Aval)
    return Aval(shape_of(like), x.dtype)


@defop("fit_like", impl=lambda x, like: _fit(x, np.shape(like)), infer=_infer_fit_like)
def fit_like(needs, g, out, x, like):
    """x cut off or filled with zeros to the shape of a second tensor: the transposed map of ``fit_axes``."""
    return fit_like(g, x), None


def _sized(op: str, x: Tensor, axes: tuple[int, ...], sizes: Sequence[int] | None) -> Tensor:
    if sizes is None:
        for a in axes:
            if x.shape[a] == 0:
                raise ShapeError(f"[{op}] expected at least one element along axis {a}; got shape {text(x.shape)}.")
        return x
    wanted = tuple([int(n) for n in sizes])
    if min(wanted, default=1) < 1:
        raise ShapeError(f"[{op}] sizes must be 1 or more; got {wanted}. Leave n out to keep the size.")
    return x if tuple([x.shape[a] for a in axes]) == wanted else fit_axes(x, axes=axes, sizes=wanted)


# -- the three transforms that all others are made of


def _fft_impl(x: np.ndarray, axes: tuple[int, ...], norm: str, inverse: bool) -> np.ndarray:
    transform = np.fft.ifftn if inverse else np.fft.fftn
    return transform(x.astype(np.float32) if x.dtype == np.float16 else x, axes=axes, norm=norm)  # type: ignore[arg-type]


@defop("fft", impl=_fft_impl, infer=lambda x, axes, norm, inverse: Aval(shape_of(x), _complex(x)))
def fft_op(needs, g, out, x, axes, norm, inverse):
    return (unbroadcast(fft_op(g, axes=axes, norm=norm, inverse=inverse), x),)


def _rfft_impl(x: np.ndarray, axis: int, norm: str) -> np.ndarray:
    return np.fft.rfft(x.astype(np.float32) if x.dtype == np.float16 else x, axis=axis, norm=norm)  # type: ignore[arg-type]


def _infer_rfft(x: Operand, axis: int, norm: str) -> Aval:
    shape: list[Dim] = list(shape_of(x))
    n = shape[axis]
    shape[axis] = None if n is None else n // 2 + 1
    return Aval(shape, _complex(x))


@defop("rfft", impl=_rfft_impl, infer=_infer_rfft)
def rfft_op(needs, g, out, x, axis, norm):
    return (unbroadcast(fft_op(fit_like(g, x), axes=(axis,), norm=norm, inverse=False), x),)


def _irfft_impl(x: np.ndarray, axis: int, n: int | None, norm: str) -> np.ndarray:
    return np.fft.irfft(x.astype(np.float32) if x.dtype == np.float16 else x, n, axis, norm)  # type: ignore[arg-type]


def _infer_irfft(x: Operand, axis: int, n: int | None, norm: str) -> Aval:
    shape: list[Dim] = list(shape_of(x))
    m = shape[axis]
    shape[axis] = n if n is not None else None if m is None else 2 * (m - 1)
    return Aval(shape, _real(x))


@defop("irfft", impl=_irfft_impl, infer=_infer_irfft)
def irfft_op(needs, g, out, x, axis, n, norm):
    # Each frequency but the first (and the last of an even number) stands for two, itself and its conjugate.
    spectrum = conjugate(rfft_op(g, axis=axis, norm=_SWAPPED[norm]))
    return (unbroadcast(twice_inside(spectrum, axis=axis, even=n is None or n % 2 == 0), x),)


def _twice_impl(x: np.ndarray, axis: int, even: bool) -> np.ndarray:
    out = x * x.dtype.type(2)
    for k in [0, -1] if even else [0]:
        if x.shape[axis]:
            place: Any = (*(slice(None),) * axis, k)
            out[place] = x[place]
    return out


@defop("twice_inside", impl=_twice_impl, infer=like_first)
def twice_inside(needs, g, out, x, axis, even):
    """Twice the elements along an axis, but for the first, and with ``even`` but for the last."""
    return (twice_inside(g, axis=axis, even=even),)


# -- transforms along one axis


def _along(op: str, x: Any, axis: int) -> tuple[Tensor, int]:
    x = operand(x)
    return x, normalize_axis(op, axis, x.ndim)


def _check_real(op: str, x: Tensor) -> None:
    if x.dtype.kind == "c":
        raise DTypeError(f"[{op}] expected a real tensor; got {x.dtype}. Use fft() for complex ones.")


def fft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Fourier transform along an axis: y[k] = sum of x[j] exp(-2 pi i j k / n). Complex, for real x too.

    ``n``: x is cut off, or filled with zeros, to so many elements first.

        >>> import autotensor as at
        >>> at.fft.fft([1.0, 2.0, 0.0, 0.0])
        Tensor([ 3.+0.j,  1.-2.j, -1.+0.j,  1.+2.j], dtype=complex128)
    """
    x, axis = _along("fft", x, axis)
    x = _sized("fft", x, (axis,), None if n is None else (n,))
    return fft_op(x, axes=(axis,), norm=_norm("fft", norm), inverse=False)


def ifft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Inverse Fourier transform along an axis: the x with fft(x) = y."""
    x, axis = _along("ifft", x, axis)
    x = _sized("ifft", x, (axis,), None if n is None else (n,))
    return fft_op(x, axes=(axis,), norm=_norm("ifft", norm), inverse=True)


def rfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The first n // 2 + 1 frequencies of the Fourier transform of a real x; the others are their conjugates."""
    x, axis = _along("rfft", x, axis)
    _check_real("rfft", x)
    x = _sized("rfft", x, (axis,), None if n is None else (n,))
    return rfft_op(x, axis=axis, norm=_norm("rfft", norm))


def irfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The real tensor whose ``rfft`` is x, of n elements along the axis, by default 2 (m - 1) for m frequencies.

    The imaginary parts of the first frequency, and of the last if n is even, do not count.
    """
    x, axis = _along("irfft", x, axis)
    return _irfft("irfft", x, n, axis, _norm("irfft", norm))


def _irfft(op: str, x: Tensor, n: int | None, axis: int, norm: str) -> Tensor:
    if n is None:
        m = x.shape[axis]
        if m is not None and m < 2:
            raise ShapeError(f"[{op}] {m} frequencies along axis {axis} give no elements. Give n.")
        return irfft_op(x, axis=axis, n=None, norm=norm)
    if n < 1:
        raise ShapeError(f"[{op}] n must be 1 or more; got {n}. Leave it out to have 2 (m - 1).")
    return irfft_op(_sized(op, x, (axis,), (int(n) // 2 + 1,)), axis=axis, n=int(n), norm=norm)


def hfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Fourier transform, real, of a signal with Hermitian symmetry, of which x is the first half."""
    x, axis = _along("hfft", x, axis)
    return _irfft("hfft", conjugate(x), n, axis, _SWAPPED[_norm("hfft", norm)])


def ihfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of ``hfft``: half of the signal with Hermitian symmetry whose transform is the real x."""
    x, axis = _along("ihfft", x, axis)
    _check_real("ihfft", x)
    x = _sized("ihfft", x, (axis,), None if n is None else (n,))
    return conjugate(rfft_op(x, axis=axis, norm=_SWAPPED[_norm("ihfft", norm)]))


# -- transforms along several axes


def _over(op: str, x: Tensor, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[int, ...]:
    """The axes, in the order given: by default the last as many as there are sizes, or all."""
    if axes is None:
        n = x.ndim if s is None else len(s)
        if n > x.ndim:
            raise ShapeError(f"[{op}] {n} sizes are too many for a tensor of shape {text(x.shape)}.")
        return tuple(range(x.ndim - n, x.ndim))
    found = tuple([normalize_axis(op, a, x.ndim) for a in axes])
    if len(set(found)) != len(found) or (s is not None and len(s) != len(found)):
        raise ShapeError(f"[{op}] expected each axis once, and a size for each; got axes {tuple(axes)} and sizes {s}.")
    return found


def _fftn(op: str, x: Any, s: Any, axes: Any, norm: str | None, inverse: bool) -> Tensor:
    x = operand(x)
    axes = _over(op, x, s, axes)
    return fft_op(_sized(op, x, axes, s), axes=axes, norm=_norm(op, norm), inverse=inverse)


def fftn(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = "backward"
) -> Tensor:
    """Fourier transform along several axes, by default all; ``s`` gives their sizes."""
    return _fftn("fftn", x, s, axes, norm, False)


def ifftn(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = "backward"
) -> Tensor:
    """Inverse Fourier transform along several axes, by default all; ``s`` gives their sizes."""
    return _fftn("ifftn", x, s, axes, norm, True)


def rfftn(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = "backward"
) -> Tensor:
    """Half of the Fourier transform of a real x along several axes: ``rfft`` along the last, ``fft`` the others.

    Raises ShapeError for rank 0.
    """
    x = operand(x)
    _check_real("rfftn", x)
    axes, norm = _over("rfftn", x, s, axes), _norm("rfftn", norm)
    if not axes:
        raise ShapeError(f"[rfftn] expected at least one axis; got shape {text(x.shape)}. Use expand_dims?")
    y = rfft_op(_sized("rfftn", x, axes, s), axis=axes[-1], norm=norm)
    return fft_op(y, axes=axes[:-1], norm=norm, inverse=False) if len(axes) > 1 else y


def irfftn(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = "backward"
) -> Tensor:
    """The real tensor whose ``rfftn`` is x; ``s`` gives its sizes, the last by default 2 (m - 1).

    Raises ShapeError for rank 0.
    """
    x = operand(x)
    axes, norm = _over("irfftn", x, s, axes), _norm("irfftn", norm)
    if not axes:
        raise ShapeError(f"[irfftn] expected at least one axis; got shape {text(x.shape)}. Use expand_dims?")
    if len(axes) > 1:
        x = _sized("irfftn", x, axes[:-1], None if s is None else s[:-1])
        x = fft_op(x, axes=axes[:-1], norm=norm, inverse=True)
    return _irfft("irfftn", x, None if s is None else int(s[-1]), axes[-1], norm)


def fft2(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = "backward"
) -> Tensor:
    """``fftn`` along the last two axes."""
    return fftn(x, s, axes, norm)


def ifft2(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = "backward"
) -> Tensor:
    """``ifftn`` along the last two axes."""
    return ifftn(x, s, axes, norm)


def rfft2(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = "backward"
) -> Tensor:
    """``rfftn`` along the last two axes."""
    return rfftn(x, s, axes, norm)


def irfft2(
    x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = "backward"
) -> Tensor:
    """``irfftn`` along the last two axes."""
    return irfftn(x, s, axes, norm)


# -- frequencies


def _frequencies(op: str, n: int, d: float, dtype: Any, device: Any, f: Any) -> Tensor:
    if device not in (None, "cpu"):
        raise ValueError(f"[{op}] the only device is 'cpu'; got {device!r}. Leave device out.")
    if whole(op, "n", n) < 1:
        raise ShapeError(f"[{op}] expected n of 1 or more; got {n}. It is the number of elements transformed.")
    y = wrap(f(int(n), float(d)))
    return y if dtype is None else astype(y, dtype_of(op, dtype))


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Frequencies that belong to the n elements of ``fft``, for samples ``d`` apart: 0, 1, ..., -2, -1 over n d."""
    return _frequencies("fftfreq", n, d, dtype, device, np.fft.fftfreq)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Frequencies that belong to the n // 2 + 1 elements of ``rfft`` of n samples ``d`` apart: 0, 1, ... over n d."""
    return _frequencies("rfftfreq", n, d, dtype, device, np.fft.rfftfreq)


def _shift_impl(x: np.ndarray, axes: tuple[int, ...], inverse: bool) -> np.ndarray:
    return (np.fft.ifftshift if inverse else np.fft.fftshift)(x, axes) if axes else x.copy()


@defop("fftshift", impl=_shift_impl, infer=like_first)
def fftshift_op(needs, g, out, x, axes, inverse):
    return (fftshift_op(g, axes=axes, inverse=not inverse),)


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Tensor:
    """x with frequency 0 moved to the middle of these axes, by default of all."""
    x = operand(x)
    return fftshift_op(x, axes=normalize_axes("fftshift", axes, x.ndim), inverse=False)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of ``fftshift``: frequency 0 moved from the middle to the front."""
    x = operand(x)
    return fftshift_op(x, axes=normalize_axes("ifftshift", axes, x.ndim), inverse=True)
