"""Counter-based random numbers: bits against whole-number arithmetic, kernel = NumPy twin, statistics."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autotensor.kernels import counter_rng as rng
from autotensor.kernels import scalar as scalar_module
from autotensor.kernels.jit import DISABLED, jit

ROOT = Path(rng.__file__).parents[2]
KEY = rng.make_key(1337, 3)
MANY = 20_000 if DISABLED else 1_000_000

squares32, squares64 = rng.squares32, rng.squares64
uniform_f32, uniform_f64 = rng.uniform_f32, rng.uniform_f64


@jit
def kernel_squares32(first, key, out):
    for i in range(out.size):
        out[i] = squares32(first + np.uint64(i), key)


@jit
def kernel_squares64(first, key, out):
    for i in range(out.size):
        out[i] = squares64(first + np.uint64(i), key)


@jit
def kernel_uniform_f32(first, key, out):
    for i in range(out.size):
        out[i] = uniform_f32(first + np.uint64(i), key)


@jit
def kernel_uniform_f64(first, key, out):
    for i in range(out.size):
        out[i] = uniform_f64(first + np.uint64(i), key)


def exact_squares(counter, key, width):
    """Widynski's generator in Python's whole numbers, straight from the paper's description."""
    mask = 2**64 - 1
    y = counter * key & mask
    z = y + key & mask
    x = y
    rounds = [y, z, y, z] if width == 32 else [y, z, y, z, y]
    for addend in rounds:
        before = x
        x = x * x + addend & mask
        last = x
        x = (x >> 32 | x << 32) & mask
    if width == 32:
        return last >> 32
    return before_swap(before) ^ last >> 32


def before_swap(x):
    return (x >> 32 | x << 32) & (2**64 - 1)


COUNTERS = np.array([0, 1, 2, 1000, 2**32 - 1, 2**32, 2**63 + 5, 2**64 - 1], np.uint64)


@pytest.mark.parametrize("key", [int(KEY), 0x548C9DECBCE65297, 2**64 - 1, 1])
def test_bits_are_those_of_the_paper(key):
    expected32 = [exact_squares(int(c), key, 32) for c in COUNTERS]
    expected64 = [exact_squares(int(c), key, 64) for c in COUNTERS]
    assert rng.squares32_array(COUNTERS, key).tolist() == expected32
    assert rng.squares64_array(COUNTERS, np.uint64(key)).tolist() == expected64
    assert [int(squares32(c, np.uint64(key))) for c in COUNTERS] == expected32
    assert [int(squares64(c, np.uint64(key))) for c in COUNTERS] == expected64


@pytest.mark.parametrize(
    "kernel, twin, dtype",
    [
        (kernel_squares32, rng.bits32, np.uint32),
        (kernel_squares64, rng.bits64, np.uint64),
        (kernel_uniform_f32, rng.uniform, np.float32),
        (kernel_uniform_f64, lambda key, n: rng.uniform(key, n, np.float64), np.float64),
    ],
    ids=["squares32", "squares64", "uniform_f32", "uniform_f64"],
)
def test_kernel_and_twin_agree_bit_for_bit(kernel, twin, dtype):
    n = 2000 if DISABLED else 40_000  # the latter crosses a block of the twin
    out = np.empty(n, dtype)
    kernel(np.uint64(0), KEY, out)
    np.testing.assert_array_equal(out, twin(KEY, n))
    assert twin(KEY, n).dtype == dtype


def test_whole_number_means_that_many_counters():
    np.testing.assert_array_equal(rng.squares32_array(10, KEY), rng.squares32_array(np.arange(10), KEY))
    np.testing.assert_array_equal(rng.squares64_array(10, KEY), rng.squares64_array(np.arange(10), KEY))


def test_counters_are_not_modified_and_keep_their_shape():
    counters = np.arange(6, dtype=np.uint64).reshape(2, 3)
    assert rng.squares32_array(counters, KEY).shape == (2, 3)
    assert rng.squares64_array(counters, KEY).shape == (2, 3)
    assert counters.ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_keys_are_odd_irregular_and_distinct():
    keys = {int(rng.make_key(seed, draw)) for seed in range(-100, 100) for draw in range(100)}
    assert len(keys) == 200 * 100
    assert all(key % 2 for key in keys)
    ones = np.array([key.bit_count() for key in keys])
    assert abs(ones.mean() - 32.5) < 0.2
    assert ones.min() > 12
    assert rng.make_key(5, 6) == rng.make_key(5 + 2**64, 6)
    assert rng.make_key(5, 6) != rng.make_key(6, 5)
    assert isinstance(rng.make_key(np.int64(5), 6), np.uint64)


@pytest.mark.parametrize("size", [0, 7, (), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("draw", [rng.uniform, rng.normal])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_and_dtypes(size, draw, dtype):
    out = draw(KEY, size, dtype)
    assert out.shape == np.empty(size).shape
    assert out.dtype == dtype


@pytest.mark.parametrize("draw", [rng.uniform, rng.normal])
def test_prefix_of_a_longer_draw(draw):
    np.testing.assert_array_equal(draw(KEY, 50_000)[:100], draw(KEY, 100))


@pytest.mark.parametrize("draw", [rng.uniform, rng.normal])
def test_other_dtypes_are_refused(draw):
    with pytest.raises(TypeError, match=r"\[(uniform|normal)\] .*int32"):
        draw(KEY, 3, np.int32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_statistics(dtype):
    x = rng.uniform(KEY, MANY, dtype).astype(np.float64)
    assert 0 <= x.min() < 20 / MANY and 1 - 20 / MANY < x.max() < 1
    assert abs(x.mean() - 0.5) < 4 * (1 / 12 / MANY) ** 0.5
    assert abs(x.var() - 1 / 12) < 4 * (1 / 180 / MANY) ** 0.5
    check_distribution(x, "uniform")
    check_no_serial_correlation(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_statistics(dtype):
    x = rng.normal(KEY, MANY, dtype).astype(np.float64)
    assert np.all(np.isfinite(x))
    assert abs(x.mean()) < 4 / MANY**0.5
    assert abs(x.var() - 1) < 4 * (2 / MANY) ** 0.5
    assert abs(np.mean(x**4) - 3) < 4 * (96 / MANY) ** 0.5
    check_distribution(x, "norm")
    check_no_serial_correlation(x)


def check_distribution(x, name):
    stats = pytest.importorskip("scipy.stats")
    assert stats.kstest(x, name).pvalue > 1e-4


def check_no_serial_correlation(x):
    x = (x - x.mean()) / x.std()
    for lag in (1, 2, 3, 16, 64, 1024, 4096):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 4.5 / (x.size - lag) ** 0.5, lag


def test_each_bit_is_fair_and_independent_of_its_neighbour():
    bits = rng.bits32(KEY, MANY)
    for b in range(32):
        ones = (bits >> np.uint32(b)) & np.uint32(1)
        assert abs(ones.mean() - 0.5) < 4.5 * 0.5 / MANY**0.5, b
        assert abs(np.mean(ones[1:] == ones[:-1]) - 0.5) < 4.5 * 0.5 / MANY**0.5, b


def test_bytes_are_equally_frequent():
    stats = pytest.importorskip("scipy.stats")
    counts = np.bincount(rng.bits32(KEY, MANY).view(np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_no_repetition():
    n = min(MANY, 1_000_000)
    values = rng.bits64(KEY, n)
    assert np.unique(values).size == n, "64-bit values of a million draws repeat with probability 3e-8"
    repeats = n - np.unique(rng.bits32(KEY, n)).size
    expected = n * n / 2 / 2**32  # birthdays
    assert abs(repeats - expected) < 5 * expected**0.5 + 3


@pytest.mark.parametrize("other", [(1337, 4), (1338, 3), (3, 1337), (1336, 3)])
def test_neighbouring_keys_give_unrelated_streams(other):
    a = rng.uniform(KEY, MANY) - 0.5
    b = rng.uniform(rng.make_key(*other), MANY) - 0.5
    for shift in (0, 1, 2):
        assert abs(12 * np.mean(a[shift:] * b[: MANY - shift])) < 4.5 / MANY**0.5


def test_first_numbers_of_many_streams_are_uniform():
    stats = pytest.importorskip("scipy.stats")
    for counter in (0, 1):
        first = [rng.uniform(rng.make_key(0, draw), 2)[counter] for draw in range(5000)]
        assert stats.kstest(first, "uniform").pvalue > 1e-4


def test_source_of_stands_alone():
    scope = {"__name__": "pasted"}
    text = rng.source_of(["uniform_f32"])
    exec(scalar_module.PRELUDE + text.replace("@scalar\n", ""), scope)
    with np.errstate(over="ignore"):
        assert scope["uniform_f32"](np.uint64(7), KEY) == rng.uniform(KEY, 8)[7]


@pytest.mark.skipif(DISABLED, reason="already without the compiler")
def test_all_this_without_the_compiler():
    command = [sys.executable, "-m", "pytest", str(Path(__file__)), "-q", "-x", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
