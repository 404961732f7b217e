"""Scatter-add against a loop over rows."""

from __future__ import annotations

import numpy as np
import pytest

from autotensor import config
from autotensor.kernels.scatter import scatter_add_rows


@pytest.mark.parametrize("numba", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 2, 3), (7, 0), (1, 4)])
def test_repeated_and_negative_indices_add_up(numba, dtype, shape):
    rng = np.random.default_rng(0)
    index = rng.integers(-shape[0], shape[0], 20)
    rows = rng.integers(0, 5, (20, *shape[1:])).astype(dtype)
    out = rng.integers(0, 5, shape).astype(dtype)
    want = out.copy()
    for i, row in zip(index, rows):
        want[i] = want[i] + row
    with config.use(numba=numba):
        scatter_add_rows(out, index, rows)
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("numba", [False, True])
def test_strided_arrays_and_no_rows(numba):
    wide = np.zeros((6, 8))
    rows = np.arange(40.0).reshape(10, 4)[::2]
    with config.use(numba=numba):
        scatter_add_rows(wide[::2, ::2], np.array([0, 2, 0, 1, 2], np.int32), rows)
        scatter_add_rows(wide, np.array([], int), np.zeros((0, 8)))
        scatter_add_rows(np.zeros((0, 3)), np.array([], int), np.zeros((0, 3)))
    want = np.zeros((3, 4))
    for i, row in zip([0, 2, 0, 1, 2], rows):
        want[i] += row
    np.testing.assert_array_equal(wide[::2, ::2], want)
    assert wide[1::2].sum() == 0 and wide[:, 1::2].sum() == 0


@pytest.mark.parametrize("bad", [-4, 3])
def test_an_index_out_of_range_writes_nothing(bad):
    out = np.zeros((3, 2))
    with pytest.raises(IndexError, match=rf"\[scatter_add\] indices must be in -3..2; got {bad}"):
        scatter_add_rows(out, np.array([0, bad]), np.ones((2, 2)))
    assert out.sum() == 0
