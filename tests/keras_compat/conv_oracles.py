"""Convolutions, pooling and their kin said with loops over output places: the oracles of several test files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

FIRST, LAST = "channels_first", "channels_last"


def moved(x: np.ndarray, data_format: str) -> np.ndarray:
    """A channels-last array in another layout."""
    return np.moveaxis(x, -1, 1) if data_format == FIRST else x


def floats(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.RandomState(seed).normal(size=shape).astype("float32")


def borders(length: int, size: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after, for a window of ``size`` (dilation included). 'same' as TensorFlow's."""
    if padding == "same":
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "causal": (size - 1, 0), "full": (size - 1, size - 1)}[padding]


def windows(
    x: np.ndarray,
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] | None = None,
    fill: float = 0.0,
) -> tuple[tuple[int, ...], Iterator[tuple[tuple[int, ...], np.ndarray]]]:
    """Lengths of the output, and each output place with its window (n, *size, channels)."""
    n = len(size)
    dilation = dilation or (1,) * n
    spread = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    pads = [borders(length, k, s, padding) for length, k, s in zip(x.shape[1:-1], spread, strides)]
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    lengths = tuple([(length - k) // s + 1 for length, k, s in zip(x.shape[1:-1], spread, strides)])

    def each() -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        for place in np.ndindex(*lengths):
            cut = [slice(i * s, i * s + k, d) for i, s, k, d in zip(place, strides, spread, dilation)]
            yield place, x[(slice(None), *cut)]

    return lengths, each()


def correlate(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Sequence[int],
    padding: str = "valid",
    dilation: Sequence[int] | None = None,
) -> np.ndarray:
    """x (n, *spatial, in), kernel (*size, in, filters)."""
    n = kernel.ndim - 2
    lengths, each = windows(x, kernel.shape[:n], strides, padding, dilation)
    out = np.zeros((len(x), *lengths, kernel.shape[-1]))
    for place, window in each:
        out[(slice(None), *place)] = np.tensordot(window, kernel, n + 1)
    return out


def depthwise(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Sequence[int],
    padding: str = "valid",
    dilation: Sequence[int] | None = None,
) -> np.ndarray:
    """x (n, *spatial, in), kernel (*size, in, m) -> (n, *lengths, in * m), the results of a channel side by side."""
    parts = [correlate(x[..., [c]], kernel[..., [c], :], strides, padding, dilation) for c in range(x.shape[-1])]
    return np.concatenate(parts, axis=-1)


def spread_out(x: np.ndarray, kernel: np.ndarray, strides: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
    """Transposed 'valid' convolution: each item of x (n, *spatial, in) puts its kernel (*size, out, in) down."""
    n = kernel.ndim - 2
    room = [max(m, (i - 1) * s + k) for m, i, s, k in zip(lengths, x.shape[1:-1], strides, kernel.shape)]
    out = np.zeros((len(x), *room, kernel.shape[n]))
    for place in np.ndindex(*x.shape[1:-1]):
        cut = tuple([slice(i * s, i * s + k) for i, s, k in zip(place, strides, kernel.shape)])
        out[(slice(None), *cut)] += np.tensordot(x[(slice(None), *place)], kernel, (1, n + 1))
    return out[(slice(None), *[slice(0, m) for m in lengths])]


def pooled(x: np.ndarray, size: Sequence[int], strides: Sequence[int], padding: str, mode: str) -> np.ndarray:
    """The largest or mean element of each window, of what lies inside."""
    lengths, each = windows(x.astype("float64"), size, strides, padding, fill=np.nan)
    out = np.zeros((len(x), *lengths, x.shape[-1]))
    axes = tuple(range(1, x.ndim - 1))
    for place, window in each:
        out[(slice(None), *place)] = (np.nanmax if mode == "max" else np.nanmean)(window, axis=axes)
    return out


def bilinear(x: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """TensorFlow 1's resize_bilinear: output i stands at input i / factor, past the last row is the last."""
    for axis, factor in ((1, rows), (2, cols)):
        n = x.shape[axis]
        at = np.arange(n * factor) / factor
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        weight = (at - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight
    return x
