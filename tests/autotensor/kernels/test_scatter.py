"""Scatter-add against a loop over rows."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.kernels.scatter import scatter_add_rows

pytestmark = pytest.mark.promise(23)


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


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_sum(threads, dtype):
    """Rows many enough for several parts: the order of each sum is that of the indices, whatever the threads."""
    rng = np.random.default_rng(1)
    index = rng.integers(-900, 900, (60, 50))
    index[:, :20] = 3
    rows = rng.standard_normal((60, 50, 40)).astype(dtype)
    table = rng.standard_normal((900, 40)).astype(dtype)
    want = np.zeros_like(table)
    for i, row in zip(index.ravel(), rows.reshape(-1, 40)):
        want[i] += row
    x, g, i = [at.placeholder(a.shape, a.dtype) for a in (table, rows, index)]
    taken = at.take(x, i, 0)
    with config.use(threads=threads):
        step = at.function([x, i, g], [taken, at.gradients(taken, [x], [g])[0]])
        for _ in range(2):  # the second run finds the buffers of the first
            read, added = step(table, index, rows)
            np.testing.assert_array_equal(read, table[index])
            np.testing.assert_array_equal(added, want)
        a = at.Tensor(table, requires_grad=True)
        out = at.take(a, index, 0)
        np.testing.assert_array_equal(out.numpy(), table[index])
        np.testing.assert_array_equal(at.gradients(out, [a], [at.Tensor(rows)])[0].numpy(), want)
        with pytest.raises(IndexError, match=r"\[take\] indices must be in -900..899; got 900"):
            step(table, np.where(index == 3, 900, index), rows)
        with pytest.raises(IndexError, match=r"\[take\] indices must be in -900..899; got -901"):
            at.take(a, np.full((99, 99), -901), 0)
