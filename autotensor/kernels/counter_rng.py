"""Random numbers from counters: number i of a stream is a pure function of (i, key).

There is no state to carry, so a kernel draws inside its loop, in any order and on any thread, and a NumPy
twin draws the identical bits. A stream is a key, made by `make_key` from a seed and the number of the draw; a
saved (seed, draw) pair resumes exactly.

The generator is "Squares", B. Widynski, "Squares: A Fast Counter-Based RNG", arXiv:2004.06278: four rounds
of squaring for 32 bits, five for 64. Not for cryptography.

Two kinds of function live here: scalar helpers for kernels (`squares32`, `squares64`, `uniform_f32`,
`uniform_f64`), and array functions on NumPy (`bits32`, `bits64`, `uniform`, `normal` and the twins
`*_array`). Counters and keys are `np.uint64` throughout.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autotensor.kernels import jit as _jit
from autotensor.kernels.jit import scalar

_MASK64 = (1 << 64) - 1
# Elements per block of the array functions: their temporaries then stay in the second-level cache.
_BLOCK = 1 << 14


def source_of(names: Iterable[str]) -> str:
    """Source text of the named helpers and all helpers they call, to paste below `scalar.PRELUDE`."""
    return _jit.source_of(names, globals())


@scalar
def squares32(counter, key):
    """32 random bits, uint32, for a uint64 counter and a uint64 key from `make_key`."""
    x = counter * key
    y = x
    z = y + key
    x = x * x + y
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    x = x * x + z
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    x = x * x + y
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    return np.uint32((x * x + z) >> np.uint64(32))


@scalar
def squares64(counter, key):
    """64 random bits, uint64, for a uint64 counter and a uint64 key from `make_key`."""
    x = counter * key
    y = x
    z = y + key
    x = x * x + y
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    x = x * x + z
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    x = x * x + y
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    x = x * x + z
    t = x
    x = (x >> np.uint64(32)) | (x << np.uint64(32))
    return t ^ ((x * x + y) >> np.uint64(32))


@scalar
def uniform_f32(counter, key):
    """A float32 in [0, 1): a multiple of 2**-24."""
    # by way of int32: vector units convert signed integers only
    return np.float32(np.int32(squares32(counter, key) >> np.uint32(8))) * np.float32(5.960464477539063e-08)


@scalar
def uniform_f64(counter, key):
    """A float64 in [0, 1): a multiple of 2**-53."""
    return np.float64(np.int64(squares64(counter, key) >> np.uint64(11))) * 1.1102230246251565e-16


def make_key(seed: int, draw: int) -> np.uint64:
    """Key of the stream number `draw` under `seed`, both whole numbers taken modulo 2**64.

    Squares asks for odd keys with irregular bits, so both numbers go through SplitMix64's mixer (Steele, Lea
    and Flood, OOPSLA 2014), one after the other: neighbouring seeds and draws give unrelated keys. Forcing
    the key odd makes pairs of (seed, draw) collide with probability 2**-63.
    """
    return np.uint64(key_number(stream(seed), draw))


def stream(seed: int) -> int:
    """What `key_number` needs of a seed; the same for all its draws."""
    return _mix(int(seed))


def key_number(stream: int, draw: int) -> int:
    """Key of the stream number `draw` as a Python number: half the time of `make_key`, once per random array."""
    return _mix(stream + draw) | 1


def key_numbers(stream: int, draw: int, count: int) -> list[int]:
    """``key_number`` of ``count`` draws that follow each other."""
    first = (stream + draw + 0x9E3779B97F4A7C15) & _MASK64
    z = np.arange(count, dtype=np.uint64) + np.uint64(first)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) | np.uint64(1)).tolist()


def squares32_array(counters: int | NDArray[np.uint64], key: int | np.uint64) -> NDArray[np.uint32]:
    """`squares32` of each counter, same shape; a whole number n stands for counters 0 to n - 1."""
    x, y, z = _first_round(counters, key)
    for addend in (z, y):
        _swap_halves(x)
        x *= x
        x += addend
    _swap_halves(x)
    x *= x
    x += z
    x >>= np.uint64(32)
    return x.astype(np.uint32)


def squares64_array(counters: int | NDArray[np.uint64], key: int | np.uint64) -> NDArray[np.uint64]:
    """`squares64` of each counter, same shape; a whole number n stands for counters 0 to n - 1."""
    x, y, z = _first_round(counters, key)
    for addend in (z, y, z):
        _swap_halves(x)
        x *= x
        x += addend
    t = x.copy()
    _swap_halves(x)
    x *= x
    x += y
    x >>= np.uint64(32)
    x ^= t
    return x


def bits32(key: int | np.uint64, size: int | Sequence[int]) -> NDArray[np.uint32]:
    """Random uint32 of shape `size`; element i (in C order) is `squares32(i, key)`."""
    return _fill(size, np.uint32, lambda counters: squares32_array(counters, key))


def bits64(key: int | np.uint64, size: int | Sequence[int]) -> NDArray[np.uint64]:
    """Random uint64 of shape `size`; element i (in C order) is `squares64(i, key)`."""
    return _fill(size, np.uint64, lambda counters: squares64_array(counters, key))


def uniform(key: int | np.uint64, size: int | Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Uniform float32 or float64 in [0, 1) of shape `size`; element i is `uniform_f32(i, key)` or `_f64`."""
    if _float_type("uniform", dtype) == np.float32:
        return _fill(size, np.float32, lambda counters: _unit_f32(squares32_array(counters, key)))
    return _fill(size, np.float64, lambda counters: _unit_f64(squares64_array(counters, key)))


def normal(key: int | np.uint64, size: int | Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Standard normal numbers of shape `size`, float32 or float64.

    Box and Muller's transform (1958): element i is sqrt(-2 log(1 - u)) cos(2 pi v), with u and v the uniform
    numbers at counters 2i and 2i + 1. float32 numbers stay below 5.77 in size, float64 ones below 8.58.
    """
    if _float_type("normal", dtype) == np.float32:
        return _fill(size, np.float32, lambda i: _box_muller(i, key, squares32_array, _unit_f32))
    return _fill(size, np.float64, lambda i: _box_muller(i, key, squares64_array, _unit_f64))


def _mix(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)


def _first_round(counters: Any, key: int | np.uint64) -> tuple[NDArray[np.uint64], ...]:
    """x after the first squaring, and the Weyl sequence's two terms, y and z."""
    if np.ndim(counters) == 0:
        counters = np.arange(int(counters), dtype=np.uint64)
    y = np.asarray(counters, np.uint64) * np.uint64(key)
    x = y * y
    x += y
    return x, y, y + np.uint64(key)


def _swap_halves(x: NDArray[np.uint64]) -> None:
    low = x << np.uint64(32)
    x >>= np.uint64(32)
    x |= low


def _unit_f32(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def _unit_f64(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _box_muller(counters: NDArray[np.uint64], key: int | np.uint64, squares: Any, unit: Any) -> NDArray[Any]:
    even = counters << np.uint64(1)
    radius = 1 - unit(squares(even, key))  # in (0, 1], so the logarithm is finite
    np.log(radius, out=radius)
    radius *= -2
    np.sqrt(radius, out=radius)
    angle = unit(squares(even | np.uint64(1), key))
    angle *= 2 * math.pi
    np.cos(angle, out=angle)
    angle *= radius
    return angle


def _fill(size: int | Sequence[int], dtype: Any, draw: Any) -> NDArray[Any]:
    out = np.empty(size, dtype)
    flat = out.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        stop = min(start + _BLOCK, flat.size)
        flat[start:stop] = draw(np.arange(start, stop, dtype=np.uint64))
    return out


def _float_type(op: str, dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise TypeError(f"[{op}] dtype must be float32 or float64; got {kind}. Draw float32 and cast.")
    return kind
