"""Pictures moved by a matrix, against SciPy, and both ways of doing it against one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from autotensor import config
from autotensor.images import FILL_MODES, affine_transform


def matrices(rng, height, width):
    """Turned, stretched and shifted ones, most of whose pixels lie beyond the edges for some; and whole shifts."""
    for _ in range(12):
        angle, zoom = rng.uniform(-3, 3), rng.uniform(0.3, 2, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
        yield np.c_[turn, rng.uniform(-3, 3, 2) * (height, width)]
    yield np.array([[1, 0, 2], [0, 1, -1]])
    yield np.array([[-1, 0, height - 1], [0, -1, width - 1]])


@pytest.mark.parametrize("numba", [False, True])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", FILL_MODES)
def test_as_scipy(mode, order, numba):
    rng = np.random.default_rng(3)
    for height, width in ((7, 5), (1, 6), (6, 1), (1, 1), (16, 20)):
        x = (rng.random((2, height, width)) * 255).astype("float32")
        before = x.copy()
        for matrix in matrices(rng, height, width):
            with config.use(numba=numba):
                found = affine_transform(x, matrix, order, mode, 3.5)
            want = [ndimage.affine_transform(p, matrix[:, :2], matrix[:, 2], None, None, order, mode, 3.5) for p in x]
            assert found.dtype == x.dtype
            # One in the last place; the nearest pixel is the same one.
            np.testing.assert_allclose(found, want, rtol=1.2e-7 * order, atol=2e-5 * order)
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_gives_the_bits_of_numpy(dtype):
    rng = np.random.default_rng(5)
    wide = rng.normal(size=(9, 8, 3)).astype(dtype)
    for planes in (wide.transpose(2, 0, 1), np.ascontiguousarray(wide.transpose(2, 0, 1)), wide[::-1, ::2, 1:].T):
        for matrix in matrices(rng, *planes.shape[1:]):
            for mode in FILL_MODES:
                for order in (0, 1):
                    with config.use(numba=False):
                        want = affine_transform(planes, matrix, order, mode, -1)
                    np.testing.assert_array_equal(affine_transform(planes, matrix, order, mode, -1), want)


def test_whole_numbers_and_empty_pictures():
    x = np.arange(24, dtype="uint8").reshape(2, 3, 4) * 10
    half = np.array([[1, 0, 0.5], [0, 1, 0]])
    found = affine_transform(x, half)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], [[20, 30, 40, 50], [60, 70, 80, 90], [80, 90, 100, 110]])
    assert affine_transform(np.zeros((0, 3, 3)), half).shape == (0, 3, 3)
    assert affine_transform(np.zeros((1, 0, 3)), half).shape == (1, 0, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros((3, 3)), np.eye(3)), "planes"),
        ((np.zeros((1, 3, 3)), np.eye(2)), "matrix"),
        ((np.zeros((1, 3, 3)), np.full((2, 3), np.nan)), "finite"),
        ((np.zeros((1, 3, 3)), np.eye(3), 3), "order"),
        ((np.zeros((1, 3, 3)), np.eye(3), 1, "mirror"), "fill_mode"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        affine_transform(*arguments)
