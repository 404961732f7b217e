"""Convolution, its transposed map, and its gradient with respect to the kernel: which way each of them is computed.

Ways of one meaning, the first that applies:

    winograd    fewer multiplications: float32 and kernels of 3 x 3, if `config.winograd` allows it
    direct      products of matrices by BLAS inside parallel kernels
    NumPy       the same with `numpy.matmul`, where compiled kernels or their BLAS are missing

Arrays are C-contiguous float32 or float64 of one dtype: x (n, *space, c_in), kernel (*size, c_in, c_out),
y (n, *out, c_out); for a depthwise convolution kernel (*size, c_in, m), y (n, *out, c_in * m). ``out`` is wholly
written.

Each function returns a call that is bound to its arrays, as `Op.bind` wants it: see there for ``scratch``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels import blas, depthwise, direct, winograd
from autotensor.kernels.calls import Call
from autotensor.kernels.direct import Scratch
from autotensor.kernels.jit import jit, prange
from autotensor.kernels.sums import add_reduce
from autotensor.kernels.threads import parts, pick, share
from autotensor.kernels.window import Windows, blocks, columns, fold_into, overlaps


def forward(
    out: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    w: Windows,
    scratch: Scratch,
    bias: Any = None,
    relu: bool = False,
) -> Call:
    """out = the convolution of x: at each place the sum of the products of a window and the kernel.

    bias: (c_out,), added to it; relu: then its negative elements are made 0.
    """
    if _winograd(out, kernel, w):
        return winograd.forward(out, x, kernel, w, scratch, bias, relu)
    if _direct(out, x, kernel):
        return direct.forward(out, x, kernel, w, scratch, bias, relu)
    return forward_numpy, (out, x, kernel, w, bias, relu)


def backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = the transposed map of ``forward`` applied to g: what each place of x did for the result."""
    back = direct.turned(w)
    if back is not None and _winograd(out, kernel, back):
        return winograd.backward_input(out, g, kernel, w, scratch)
    if _direct(out, g, kernel):
        return direct.backward_input(out, g, kernel, w, scratch)
    return backward_input_numpy, (out, g, kernel, w)


def backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = sum over all places of the products of the window of x there and of g."""
    if _winograd(out, out, w):
        return winograd.backward_kernel(out, x, g, w, scratch)
    if _direct(out, x, g):
        return direct.backward_kernel(out, x, g, w, scratch)
    return backward_kernel_numpy, (out, x, g, w)


def _winograd(out: np.ndarray, kernel: np.ndarray, w: Windows) -> bool:
    return config.winograd and out.dtype == np.float32 and _direct(out) and winograd.applies(w, *kernel.shape[-2:])


def _direct(*arrays: np.ndarray) -> bool:
    return blas.AVAILABLE and _compiled(*arrays)


def _compiled(*arrays: np.ndarray) -> bool:
    return config.numba and all([a.size and a.dtype in (np.float32, np.float64) for a in arrays])


# -- the activation's gradient


@jit(cached=False)
def _relu_rows(g, out, masked, sums, total, first, last, tiny):
    """Rows ``first`` to ``last``; sums of 64 rows at a time keep their rounding small."""
    for start in range(first, last, 64):
        sums[:] = 0
        for i in range(start, min(start + 64, last)):
            for j in range(g.shape[1]):
                value = g[i, j] if out[i, j] > 0 else tiny
                masked[i, j] = value
                sums[j] += value
        for j in range(g.shape[1]):
            total[j] += sums[j]


@jit(parallel=True)
def relu_grad_kernel(g, out, masked, total, sums, totals, parts):
    for p in prange(parts):
        first, last = share(len(g), parts, p)
        totals[p] = 0
        _relu_rows(g, out, masked, sums[p], totals[p], first, last, g.dtype.type(0))
    for j in range(len(total)):
        value = totals[0, j]
        for p in range(1, parts):
            value += totals[p, j]
        total[j] = value


def relu_grad(masked: np.ndarray, total: np.ndarray, g: np.ndarray, out: np.ndarray, scratch: Scratch) -> Call:
    """masked = g where out > 0, else 0; total (channels,) = its sum over all other axes. All contiguous."""
    if not (config.numba and g.size):
        return _relu_grad_numpy, (masked, total, g, out)
    c = g.shape[-1]
    count = parts(g.size // c, 0.5 * c)
    return pick(relu_grad_kernel, count), (
        g.reshape(-1, c), out.reshape(-1, c), masked.reshape(-1, c), total,
        scratch((count, c), g.dtype), scratch((count, c), np.float64), count,
    )  # fmt: skip


def _relu_grad_numpy(masked: np.ndarray, total: np.ndarray, g: np.ndarray, out: np.ndarray) -> None:
    np.copyto(masked, np.where(out > 0, g, 0))
    add_reduce(masked, tuple(range(g.ndim - 1)), out=total)


# -- by NumPy


def forward_numpy(
    out: np.ndarray, x: np.ndarray, kernel: np.ndarray, w: Windows, bias: Any = None, relu: bool = False
) -> None:
    """`forward` by blocks of windows and `numpy.matmul`."""
    if not _nothing(out, x, kernel):
        c_in, c_out = kernel.shape[-2:]
        matrix = kernel.reshape(-1, c_out)
        if w.points:
            np.matmul(x.reshape(-1, c_in), matrix, out.reshape(-1, c_out))
        else:
            for batch, rows, windows in columns(x, w):
                part = out[batch, rows]
                np.matmul(windows, matrix, part.reshape(-1, c_out))
    if bias is not None:
        np.add(out, bias, out=out)
    if relu:
        np.maximum(out, 0, out=out)


def backward_input_numpy(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows) -> None:
    """`backward_input` by blocks of windows and `numpy.matmul`."""
    if _nothing(out, g, kernel):
        return
    c_in, c_out = kernel.shape[-2:]
    if w.points:
        np.matmul(g.reshape(-1, c_out), kernel.reshape(c_in, c_out).T, out.reshape(-1, c_in))
        return
    back = direct.turned(w)
    # With very few channels in x, adding up their windows is less work than gathering those of g.
    if back is not None and 16 * c_in > c_out:
        turned = kernel[(slice(None, None, -1),) * len(w.size)].swapaxes(-1, -2)
        forward_numpy(out, g, np.ascontiguousarray(turned), back)
        return
    out[...] = 0
    matrix = np.ascontiguousarray(kernel.reshape(-1, c_out).T)
    for batch, rows in blocks(len(g), w, c_in, g.itemsize):
        part = g[batch, rows]
        windows = np.matmul(part.reshape(-1, c_out), matrix)
        fold_into(out[batch], windows.reshape(*part.shape[:-1], *w.size, c_in), w.only(rows))


def backward_kernel_numpy(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows) -> None:
    """`backward_kernel` by blocks of windows and `numpy.matmul`."""
    if _nothing(out, x, g):
        return
    c_in, c_out = out.shape[-2:]
    total = out.reshape(-1, c_out)
    if w.points:
        np.matmul(x.reshape(-1, c_in).T, g.reshape(-1, c_out), total)
        return
    total[...] = 0
    term = np.empty_like(total)
    for batch, rows, windows in columns(x, w):
        np.matmul(windows.T, g[batch, rows].reshape(-1, c_out), term)
        total += term


def _nothing(out: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """True when no product contributes to the result, which is then done."""
    if out.size and a.size and b.size:
        return False
    out[...] = 0
    return True


# -- each channel by itself


def depthwise_forward(out: np.ndarray, x: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = each channel of x convolved with its own m kernels."""
    if _compiled(out, x, kernel):
        return depthwise.forward(out, x, kernel, w, scratch)
    return _depthwise_forward, (out, x, kernel, w)


def depthwise_backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = the transposed map of ``depthwise_forward`` applied to g."""
    if _compiled(out, g, kernel):
        return depthwise.backward_input(out, g, kernel, w, scratch)
    return _depthwise_backward_input, (out, g, kernel, w)


def depthwise_backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows, scratch: Scratch) -> Call:
    """out = sums over all places of the products of x and of g, for each channel and each of its kernels."""
    if _compiled(out, x, g):
        return depthwise.backward_kernel(out, x, g, w, scratch)
    return _depthwise_backward_kernel, (out, x, g, w)


def _depthwise_forward(out: np.ndarray, x: np.ndarray, kernel: np.ndarray, w: Windows) -> None:
    if _nothing(out, x, kernel):
        return
    wide = out.reshape(*out.shape[:-1], *kernel.shape[-2:])
    wide[...] = 0
    for at, there, here in overlaps(w):
        wide[here] += x[there][..., None] * kernel[at]


def _depthwise_backward_input(out: np.ndarray, g: np.ndarray, kernel: np.ndarray, w: Windows) -> None:
    if _nothing(out, g, kernel):
        return
    out[...] = 0
    wide = g.reshape(*g.shape[:-1], *kernel.shape[-2:])
    for at, there, here in overlaps(w):
        out[there] += np.einsum("...cm,cm->...c", wide[here], kernel[at])


def _depthwise_backward_kernel(out: np.ndarray, x: np.ndarray, g: np.ndarray, w: Windows) -> None:
    if _nothing(out, x, g):
        return
    c, m = out.shape[-2:]
    out[...] = 0
    wide = g.reshape(*g.shape[:-1], c, m)
    for at, there, here in overlaps(w):
        out[at] = np.einsum("pc,pcm->cm", x[there].reshape(-1, c), wide[here].reshape(-1, c, m))
