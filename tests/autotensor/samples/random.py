"""Samples of ``autotensor.ops.random``: fixed keys, and oracles in Python's own integers.

What the distributions are is checked in ``tests/autotensor/test_random.py``.
"""

from __future__ import annotations

import math

import numpy as np

from autotensor.ops import random
from tests.autotensor.samples.base import Sample, array

KEY = np.array(0x9D8F4A6B3C2E1757, np.uint64)
MASK = (1 << 64) - 1


def squares(counter: int, key: int) -> tuple[int, int]:
    """32 and 64 bits of the generator Squares (Widynski, arXiv:2004.06278)."""

    def turn(x):
        return (x >> 32 | x << 32) & MASK

    y = counter * key & MASK
    z = (y + key) & MASK
    x = turn((y * y + y) & MASK)
    x = turn((x * x + z) & MASK)
    x = turn((x * x + y) & MASK)
    t = (x * x + z) & MASK
    x = turn(t)
    return t >> 32, t ^ ((x * x + y) & MASK) >> 32


def filled(shape, dtype, f):
    out = np.zeros(shape, dtype)
    for i in range(out.size):
        out.reshape(-1)[i] = f(i)
    return out


def unit(counter, key, dtype):
    short, long = squares(counter, key)
    if dtype == np.float64:
        return (long >> 11) * 2.0**-53
    return (short >> 8) * 2.0**-24 if dtype == np.float32 else (short >> 21) * 2.0**-11


def uniform(key, shape, dtype):
    return filled(shape, dtype, lambda i: unit(i, int(key), dtype))


def normal(key, shape, dtype):
    def one(i):
        u, v = (unit(2 * i + k, int(key), dtype) for k in (0, 1))
        return math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)

    return filled(shape, dtype, one)


def bits(key, shape, dtype):
    return filled(shape, dtype, lambda i: squares(i, int(key))[dtype == np.uint64])


def integers(key, shape, low, high, dtype):
    return filled(shape, dtype, lambda i: low + squares(i, int(key))[1] % (high - low))


def permutation(key, n):
    return np.array(sorted(range(n), key=lambda i: squares(i, int(key))[1]), np.int64)


def like(f):
    """The oracle of the twin that takes its shape from a second array."""

    def g(key, x, dtype=None, ones=()):
        shape = [1 if k in ones else n for k, n in enumerate(x.shape)]
        return f(key, shape, x.dtype if dtype is None else dtype)

    return g


F32, F64, F16 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)
U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)
NEW = "a new key at each call and nothing to record: see test_random.py"
INDEXED = {"expr": "a function of the element's position: kernels.counter_rng has it, and test_random.py"}
TRUNCATED = "drawn in rounds: see test_random.py"

SAMPLES = {
    "next_key": [
        Sample(
            no_oracle=NEW, order=0, generator=random.Generator(1),
            skip=dict.fromkeys(("shape", "unknown", "unmodified", "graph"), NEW),
        ),
    ],
    "random_uniform": [
        Sample(KEY, oracle=uniform, order=0, shape=(3, 5), dtype=F32, name="float32", skip=INDEXED),
        Sample(KEY, oracle=uniform, order=0, shape=(7,), dtype=F64, name="float64", skip=INDEXED),
        Sample(KEY, oracle=uniform, order=0, shape=(2, 3), dtype=F16, name="float16", skip=INDEXED),
        Sample(KEY, oracle=uniform, order=0, shape=(), dtype=F32, name="scalar", skip=INDEXED),
        Sample(KEY, oracle=uniform, order=0, shape=(0, 3), dtype=F32, name="empty", skip=INDEXED),
    ],
    "random_uniform_like": [
        Sample(KEY, array(3, 5), oracle=like(uniform), order=0, dtype=F32, name="float32"),
        Sample(KEY, array(3, 5), oracle=like(uniform), order=0, dtype=F64, ones=(1,), name="shared"),
    ],
    "random_normal": [
        Sample(KEY, oracle=normal, order=0, shape=(3, 5), dtype=F32, name="float32", tol=1e-6),
        Sample(KEY, oracle=normal, order=0, shape=(7,), dtype=F64, name="float64"),
    ],
    "random_normal_like": [Sample(KEY, array(3, 5), oracle=like(normal), order=0, dtype=F64, ones=())],
    "random_truncated_normal": [
        Sample(KEY, no_oracle=TRUNCATED, order=0, shape=(5, 20), dtype=F32, name="float32"),
        Sample(KEY, no_oracle=TRUNCATED, order=0, shape=(5, 20), dtype=F64, name="float64"),
    ],
    "random_truncated_normal_like": [Sample(KEY, array(5, 20), no_oracle=TRUNCATED, order=0, dtype=F64, ones=())],
    "random_bits": [
        Sample(KEY, oracle=bits, order=0, shape=(3, 5), dtype=U32, name="uint32"),
        Sample(KEY, oracle=bits, order=0, shape=(3, 5), dtype=U64, name="uint64"),
    ],
    "random_bits_like": [Sample(KEY, array(3, 5), oracle=like(bits), order=0, dtype=U32, ones=())],
    "random_integers": [
        Sample(KEY, oracle=integers, order=0, shape=(3, 5), low=-3, high=9, dtype=np.dtype(np.int64), name="int64"),
        Sample(KEY, oracle=integers, order=0, shape=(9,), low=0, high=200, dtype=np.dtype(np.uint8), name="uint8"),
    ],
    "random_permutation": [Sample(KEY, oracle=permutation, order=0, n=11)],
    "random_permutation_like": [
        Sample(
            KEY, array(5, 3), oracle=lambda key, x, axis: permutation(key, x.shape[axis]), order=0, axis=1,
            skip={"scalar": "no axis"},
        ),
    ],
}  # fmt: skip
