"""Maxima and minima in generated kernels: NaN of either sign, infinities, every dtype and axis, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize(
    "dtype",
    [
        "float32",
        "int64",
        *[pytest.param(name, marks=pytest.mark.slow) for name in ("float64", "int32", "uint8", "bool")],
    ],
)
def test_every_axis_and_dtype(op, dtype):
    rng = np.random.default_rng(0)
    x = rng.random((20, 13, 70)) > 0.99 if dtype == "bool" else (rng.standard_normal((20, 13, 70)) * 50).astype(dtype)
    given = [x]
    if x.dtype.kind == "f":
        holes = rng.random(x.shape) > 0.999
        given += [np.where(holes, v, x).astype(dtype) for v in (np.nan, -np.nan, np.inf, -np.inf)]
        given += [np.full_like(x, -np.inf), np.full_like(x, np.inf)]
    for axis in (0, 1, 2, (0, 2), None):
        p = at.placeholder(x.shape, x.dtype)
        step = at.function([p], getattr(at, op)(p, axis=axis))
        for values in given:
            np.testing.assert_array_equal(step(values), getattr(np, op)(values, axis=axis))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_rows(dtype):
    x = np.random.default_rng(1).standard_normal((3, 9000)).astype(dtype)
    x[1, 8999] = np.nan
    p = at.placeholder(x.shape, x.dtype)
    for op in ("max", "min"):
        step = at.function([p], getattr(at, op)(p * 2.0, axis=1))
        np.testing.assert_array_equal(step(x), getattr(np, op)(x * np.dtype(dtype).type(2), axis=1))
