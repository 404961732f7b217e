"""Random arrays from a key: what ``counter_rng`` does not have itself. Shapes and keys in, arrays out.

Element i (in C order) depends on the key and i alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.kernels import counter_rng

# The half-widths of the truncated normal in standard deviations, as in TensorFlow and Keras.
_TRUNCATION = 2.0


def uniform(key: Any, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Uniform numbers in [0, 1): multiples of 2**-53 (float64), 2**-24 (float32), 2**-11 (float16)."""
    if dtype == np.float16:
        # float16 rounds what is near 1 up to 1, so the bits it cannot hold are cut off first
        bits = counter_rng.bits32(np.uint64(key), tuple(shape)) >> np.uint32(21)
        return bits.astype(np.float16) * np.float16(2.0**-11)
    return counter_rng.uniform(np.uint64(key), tuple(shape), dtype)


def normal(key: Any, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers (float16 ones are drawn as float32)."""
    work = np.dtype(np.float32) if dtype == np.float16 else dtype
    return counter_rng.normal(np.uint64(key), tuple(shape), work).astype(dtype, copy=False)


def truncated_normal(key: Any, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers of size up to 2: those beyond are drawn again, from another stream each round."""
    out = normal(key, shape, dtype)
    flat = out.reshape(-1)
    beyond = np.flatnonzero(np.abs(flat) > _TRUNCATION)
    round_ = 0
    while beyond.size:
        round_ += 1
        fresh = normal(counter_rng.make_key(int(key), round_), (beyond.size,), dtype)
        flat[beyond] = fresh
        beyond = beyond[np.abs(fresh) > _TRUNCATION]
    return out


def bits(key: Any, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Random uint32 or uint64."""
    draw = counter_rng.bits32 if dtype == np.uint32 else counter_rng.bits64
    return draw(np.uint64(key), tuple(shape))


def integers(key: Any, shape: Sequence[int], low: int, high: int, dtype: np.dtype) -> np.ndarray:
    """Whole numbers from ``low`` to ``high - 1``; uneven by less than (high - low) / 2**64."""
    draws = counter_rng.bits64(np.uint64(key), tuple(shape))
    span = high - low
    if span < 1 << 64:
        draws %= np.uint64(span)
    # wraps around, as two's complement does, which is right for negative `low`
    return (draws + np.uint64(low % (1 << 64))).astype(dtype)


def permutation(key: Any, n: int) -> np.ndarray:
    """A random order of 0 to n - 1, int64."""
    return np.argsort(counter_rng.bits64(np.uint64(key), (n,)), kind="stable").astype(np.int64, copy=False)
