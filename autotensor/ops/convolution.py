"""Discrete convolution of vectors, and polynomials as vectors of coefficients, by NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, result_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops import elementwise as ew
from autotensor.ops import shape
from autotensor.ops.creation import asarray, ones_like, operand, zeros_like
from autotensor.ops.numeric import floating_operand, known_size

__all__ = ["convolve", "correlate", "polyadd", "polyder", "polyint", "polymul", "polysub", "polyval", "vander"]


# -- convolution of vectors


def _infer_convolution(full: bool) -> Any:
    name = "convolve_full" if full else "convolve_valid"

    def infer(a: Operand, v: Operand) -> Aval:
        for x in (a, v):
            if len(shape_of(x)) != 1 or shape_of(x) == (0,):
                raise ShapeError(f"[{name}] expected two vectors that are not empty; got shape {shape_of(x)}.")
        n, m = shape_of(a)[0], shape_of(v)[0]
        size = None if n is None or m is None else n + m - 1 if full else n - m + 1
        if size is not None and size < 1:
            raise ShapeError(f"[{name}] expected the first vector to be the longer one; got sizes {n} and {m}.")
        return Aval((size,), result_dtype(a, v))

    return infer


def _convolved(mode: str) -> Any:
    def impl(a: np.ndarray, v: np.ndarray) -> np.ndarray:
        if a.ndim != 1 or v.ndim != 1 or (mode == "valid" and a.size < v.size):
            raise ValueError("expected two vectors, the longer one first")
        # Bools are added with "or", half precision in float16: both are done in a wider type.
        dtype = np.result_type(a, v)
        wide = np.float32 if dtype == np.float16 else np.uint8 if dtype.kind == "b" else dtype
        out = np.convolve(a.astype(wide, copy=False), v.astype(wide, copy=False), mode)  # type: ignore[call-overload]
        return out.astype(dtype, copy=False)

    return impl


@defop("convolve_full", impl=_convolved("full"), infer=_infer_convolution(True))
def convolve_full(needs, g, out, a, v):
    """out[k] = sum of a[i] v[k - i] for two vectors of sizes n and m; size n + m - 1."""
    ga = _as_like(convolve_valid(g, shape.flip(v)), a) if needs[0] else None
    return ga, _as_like(convolve_valid(g, shape.flip(a)), v) if needs[1] else None


@defop("convolve_valid", impl=_convolved("valid"), infer=_infer_convolution(False))
def convolve_valid(needs, g, out, a, v):
    """The part of ``convolve_full`` where v lies wholly within a, which is not shorter; size n - m + 1."""
    ga = _as_like(convolve_full(g, shape.flip(v)), a) if needs[0] else None
    return ga, _as_like(shape.flip(convolve_valid(a, shape.flip(g))), v) if needs[1] else None


def _as_like(g: Tensor, x: Tensor) -> Tensor:
    """A gradient in the dtype of x; of a real x the real part."""
    if g.dtype.kind == "c" and x.dtype.kind != "c":
        g = ew.real(g)
    return g if g.dtype == x.dtype else ew.astype(g, x.dtype)


def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """Discrete convolution of two vectors, ``sum of a[i] v[k - i]``.

    "full": size n + m - 1; "same": its middle part of size max(n, m); "valid": where the two overlap wholly.

    Raises ValueError for another mode.
    """
    a, v = operand(a), operand(v)
    a, v = (x.reshape((1,)) if x.ndim == 0 else x for x in (a, v))
    if mode == "full":
        return convolve_full(a, v)
    n, m = (known_size("convolve", x, 0) if x.ndim == 1 else 1 for x in (a, v))
    if n < m:
        a, v, n, m = v, a, m, n
    if mode == "valid":
        return convolve_valid(a, v)
    if mode == "same":
        start = (m - 1) // 2
        return convolve_full(a, v)[start : start + n]
    raise ValueError(f"[convolve] expected mode 'full', 'same' or 'valid'; got {mode!r}.")


def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """Cross-correlation of two vectors, ``sum of a[k + i] conj(v[i])``; modes as for ``convolve``."""
    a, v = operand(a), operand(v)
    a, v = (x.reshape((1,)) if x.ndim == 0 else x for x in (a, v))
    if v.dtype.kind == "c":
        v = ew.conj(v)
    n, m = a.shape[0], v.shape[0]
    if mode == "same" and n is not None and m is not None and n < m:
        return convolve_full(a, shape.flip(v))[n // 2 : n // 2 + m]  # NumPy's middle, from the other side
    return convolve(a, shape.flip(v), mode)


# -- polynomials: coefficients from the highest power down


def polyval(p: Any, x: Any) -> Tensor:
    """The polynomial with coefficients p, highest power first, at x, by Horner's rule."""
    p, x = operand(p), operand(x)
    n = known_size("polyval", p, 0)
    y = zeros_like(x) if n == 0 else zeros_like(x) + p[0]
    for k in range(1, n):
        y = y * x + p[k]
    return y


def _combined(op: Callable[[Any, Any], Tensor], name: str, a: Any, b: Any) -> Tensor:
    a, b = (x.reshape((1,)) if x.ndim == 0 else x for x in (operand(a), operand(b)))
    n, m = known_size(name, a, 0), known_size(name, b, 0)
    if n < m:
        a = shape.pad(a, ((m - n, 0),))
    elif m < n:
        b = shape.pad(b, ((n - m, 0),))
    return op(a, b)


def polyadd(a: Any, b: Any) -> Tensor:
    """Coefficients of the sum of two polynomials."""
    return _combined(ew.add, "polyadd", a, b)


def polysub(a: Any, b: Any) -> Tensor:
    """Coefficients of the difference of two polynomials."""
    return _combined(ew.subtract, "polysub", a, b)


def polymul(a: Any, b: Any) -> Tensor:
    """Coefficients of the product of two polynomials. Leading zeros stay."""
    return convolve(a, b)


def _vector(op: str, x: Tensor) -> Tensor:
    if x.ndim != 1:
        raise ShapeError(f"[{op}] expected a vector; got shape {shape.text(x.shape)}. Flatten it?")
    return x


def polyder(p: Any, m: int = 1) -> Tensor:
    """Coefficients of the m-th derivative."""
    p = _vector("polyder", operand(p))
    for _ in range(m):
        n = known_size("polyder", p, 0)
        p = p[:-1] * np.arange(n - 1, 0, -1).astype(p.dtype)
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Tensor:
    """Coefficients of the m-th integral; ``k`` are the constants of integration, by default 0."""
    p = _vector("polyint", floating_operand(p))
    constants = [0.0] * m if k is None else list(np.broadcast_to(k, (m,))) if not isinstance(k, Tensor) else list(k)
    for i in range(m):
        n = known_size("polyint", p, 0)
        p = shape.concat([p / np.arange(n, 0, -1).astype(p.dtype), asarray(constants[i], p.dtype).reshape((1,))])
    return p


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Vandermonde matrix: powers of a vector in columns, the highest first."""
    x = _vector("vander", operand(x))
    n = known_size("vander", x, 0) if N is None else N
    power = ones_like(x)
    columns = []
    for _ in range(n):
        columns.append(power)
        power = power * x
    if not columns:
        return x[:, None][:, :0]
    return shape.stack(columns if increasing else columns[::-1], axis=1)
