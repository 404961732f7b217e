"""What docs/numerics.md promises where a function has no derivative, and of dtypes, NaN and sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autotensor as at

LOSS = np.array([1.0, 10.0, 100.0])
INF = np.inf

# Function, point, gradient of the sum of its values.
KINKS: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "abs": (at.abs, [0.0], [0.0]),
    "sign": (at.sign, [0.0, 2.0], [0.0, 0.0]),
    "relu": (at.relu, [0.0], [0.0]),
    "leaky_relu": (at.leaky_relu, [-1.0, 0.0], [0.01, 0.01]),
    "elu": (at.elu, [0.0], [1.0]),
    "softsign": (at.softsign, [0.0], [1.0]),
    "hard_sigmoid": (at.hard_sigmoid, [-2.5, 2.5, 3.0], [0.2, 0.2, 0.0]),
    "max": (at.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    "min": (at.min, [3.0, 3.0, 3.0, 3.0], [0.25, 0.25, 0.25, 0.25]),
    "clip": (lambda x: at.clip(x, 0.0, 1.0), [-1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 0.0]),
    "max_pool": (lambda x: at.max_pool(x.reshape(1, 4, 1), 2), [2.0, 2.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]),
    "sort": (lambda x: at.sort(x) * LOSS, [1.0, 1.0, 0.0], [10.0, 100.0, 1.0]),
    "floor, ceil, round, trunc": (
        lambda x: at.floor(x) + at.ceil(x) + at.round(x) + at.trunc(x),
        [0.0, 1.5],
        [0.0, 0.0],
    ),
    "remainder": (lambda x: at.remainder(x, 2.0), [4.0], [1.0]),
    "remainder by the divisor": (lambda y: at.remainder(5.0, y), [2.0, 5.0], [-2.0, -1.0]),
    "norm": (lambda x: at.linalg.norm(x), [0.0, 0.0], [0.0, 0.0]),
    "std": (at.std, [1.0, 1.0], [0.0, 0.0]),
    "hypot": (lambda x: at.hypot(x, x), [0.0], [0.0]),
    "sqrt": (at.sqrt, [0.0], [INF]),
    "power of a half": (lambda x: x**0.5, [0.0], [INF]),
    "prod with a zero": (at.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "prod with two": (at.prod, [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    "exponent of 0": (lambda y: at.pow(0.0, y), [2.0], [0.0]),
    "logsumexp of nothing": (at.logsumexp, [-INF, -INF], [0.0, 0.0]),
    "relu twice": (at.elementwise_grad(at.relu), [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_the_derivative_at_a_kink(name: str) -> None:
    f, point, expected = KINKS[name]
    with np.errstate(all="ignore"):
        found = at.grad(lambda x: at.sum(f(x)))(np.array(point)).numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("f", [at.maximum, at.minimum])
def test_of_two_equal_operands_the_first_has_the_gradient(f: Callable[..., Any]) -> None:
    by_x, by_y = at.grad(lambda x, y: at.sum(f(x, y)), argnums=(0, 1))(np.zeros(2), np.zeros(2))
    assert by_x.tolist() == [1.0, 1.0] and by_y.tolist() == [0.0, 0.0]


def test_nan_comes_through() -> None:
    x = np.array([1.0, np.nan, 3.0])
    for f in (at.max, at.min, lambda x: at.sum(at.relu(x)), lambda x: at.max(at.maximum(x, 0.0))):
        assert np.isnan(f(x).item())
    assert at.argmax(x).item() == 1
    np.testing.assert_array_equal(at.sort(x), [1.0, 3.0, np.nan])


def test_scalars_of_numpy_are_weak_and_arrays_are_not() -> None:
    x = at.Tensor(np.ones(2, "float32"))
    assert (x * np.float64(2)).dtype == (x * 2.0).dtype == np.float32
    assert (x * np.array(2.0)).dtype == (x * at.asarray(2.0)).dtype == np.float64
    assert (x + 1j).dtype == np.complex64
    flags = at.asarray([True, False])
    for f in (lambda: -flags, lambda: flags - flags):
        with pytest.raises(at.DTypeError):
            f()


KINDS = ["int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64"]


def test_arrays_promote_as_those_of_numpy() -> None:
    for a, b in itertools.product(KINDS, repeat=2):
        x, y = np.ones(2, a), np.ones(2, b)
        assert (at.asarray(x) + at.asarray(y)).dtype == (x + y).dtype, (a, b)


def test_sums_keep_their_digits() -> None:
    tenths = np.full(200_000, 0.1, "float32")
    exact = float(np.float32(0.1)) * len(tenths)
    compiled = at.function([x := at.placeholder((None,))], at.sum(x))
    for total in (at.sum(tenths), compiled(tenths)):
        assert abs(float(total) / exact - 1) < 1e-6
    far = 1e4 + np.arange(10, dtype="float32")  # E[x²] - E[x]² would have no digit left
    assert at.var(far).item() == pytest.approx(8.25, rel=1e-5)
    # The running sum in float16 would stop at 256, where 0.1 is less than half of a step.
    assert at.sum(np.full(10_000, 0.1, "float16")).item() == pytest.approx(1000, rel=1e-2)


def test_the_gradient_of_a_real_function_of_complex_numbers() -> None:
    z = np.array([1.0 + 2.0j, -0.5j])
    by_z = at.grad(lambda z: at.sum(at.abs(z) ** 2))(z).numpy()
    np.testing.assert_allclose(by_z, 2 * z.real - 2j * z.imag)
    holomorphic = at.grad(lambda z: at.sum(at.real(z * z * z)))(z).numpy()
    np.testing.assert_allclose(holomorphic, 3 * z**2)
    x = np.array([1.0, 2.0])
    by_x = at.grad(lambda x: at.sum(at.real(at.exp(1j * x))))(x)
    assert by_x.dtype == np.float64
    np.testing.assert_allclose(by_x, -np.sin(x))
