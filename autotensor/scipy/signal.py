"""``scipy.signal`` for programs written for HIPS autograd: the convolution of several axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops import index, linalg, shape
from autotensor.ops.creation import operand
from autotensor.scipy._plain import arrays_for_arrays

__all__ = ["convolve"]


@arrays_for_arrays
def convolve(
    A: Any, B: Any, axes: Any = None, dot_axes: Sequence[Sequence[int]] = ((), ()), mode: str = "full"
) -> Tensor:
    """Convolution of A with B along pairs of axes.

    ``axes``: axes of A and of B that are convolved with each other, by default all. ``dot_axes``: axes that are
    multiplied and summed. The result has the other axes of A, those of B, then the convolved ones.
    ``mode``: "full", "valid" (where the smaller lies within the larger) or "same" (the size of A).

    Raises ValueError for another mode, ShapeError where "valid" leaves nothing.
    """
    A, B = operand(A), operand(B)
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"[convolve] expected mode 'full', 'valid' or 'same'; got {mode!r}.")
    if axes is None:
        axes = (range(A.ndim), range(A.ndim))
    along_a, along_b = ([int(k) % x.ndim for k in ks] for ks, x in zip(axes, (A, B), strict=True))
    dot_a, dot_b = ([int(k) % x.ndim for k in ks] for ks, x in zip(dot_axes, (A, B), strict=True))
    sizes = [(A.shape[i], B.shape[j]) for i, j in zip(along_a, along_b, strict=True)]
    if mode == "valid" and any([n < m for n, m in sizes]):
        if any([n > m for n, m in sizes]):
            raise ShapeError(f"[convolve] of mode 'valid': one must be the larger in every axis; got sizes {sizes}.")
        swapped = convolve(B, A, (along_b, along_a), (dot_b, dot_a), mode)
        n_b, n_a = B.ndim - len(dot_b) - len(along_b), A.ndim - len(dot_a) - len(along_a)
        order = [*range(n_b, n_b + n_a), *range(n_b), *range(n_a + n_b, swapped.ndim)]
        return shape.permute_dims(swapped, tuple(order))
    if mode != "valid":
        A = shape.pad(
            A,
            [
                (m - 1, m - 1) if k in along_a else (0, 0)
                for k in range(A.ndim)
                for m in [_size(B, along_a, along_b, k)]
            ],
        )
    # Windows of A: each convolved axis becomes two, the place of the result and the place in the kernel.
    kept = [k for k in range(A.ndim) if k not in along_a and k not in dot_a]
    windows = shape.permute_dims(A, (*kept, *along_a, *dot_a))
    first = len(kept)
    for i, (n, m) in enumerate(sizes):
        assert n is not None and m is not None
        count = n - m + 1 if mode == "valid" else n + m - 1
        starts = np.arange(count)
        if mode == "same":
            starts = starts[(m - 1) // 2 : (m - 1) // 2 + n]
        places = starts[:, None] + np.arange(m)[None, ::-1]
        windows = index.take(windows, places, axis=first + 2 * i)
    k = len(sizes)
    inner = [first + 2 * i + 1 for i in range(k)] + [first + 2 * k + i for i in range(len(dot_a))]
    out = linalg.tensordot(windows, B, axes=(inner, [*along_b, *dot_b]))
    n_b = out.ndim - first - k
    return shape.permute_dims(out, (*range(first), *range(first + k, first + k + n_b), *range(first, first + k)))


def _size(B: Tensor, along_a: list[int], along_b: list[int], axis: int) -> int:
    return (B.shape[along_b[along_a.index(axis)]] or 1) if axis in along_a else 1
