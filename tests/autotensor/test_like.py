"""`print_value`, which has an effect, and `reshape_to` with dimensions known only at run time."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at


@pytest.mark.parametrize("switches", [{}, {"compile": False}, {"fuse": False}, {"numba": False}])
def test_printing_at_each_call(capsys, switches):
    with at.config.use(**switches):
        x = at.placeholder((2,), "float64")
        y = at.print_value(x * 2, "y =")
        f = at.function([x], [y + 1])
        assert capsys.readouterr().out == ""
        for value in (1.0, 2.0):
            np.testing.assert_array_equal(f(np.full(2, value))[0], 2 * value + 1)
            assert capsys.readouterr().out == f"y = {np.full(2, 2 * value)}\n"


def test_printing_eagerly_and_its_gradient(capsys):
    x = at.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = at.print_value(x, "x")
    assert capsys.readouterr().out == "x [1. 2.]\n"
    (gradient,) = at.gradients(at.sum(y * y), [x])
    np.testing.assert_array_equal(gradient.numpy(), [2.0, 4.0])


def test_what_nobody_asks_for_is_not_printed(capsys):
    x = at.placeholder((2,), "float64")
    at.print_value(x, "x")
    at.function([x], [x + 1])(np.ones(2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("switches", [{}, {"compile": False}])
def test_reshaping_by_dimensions_of_another_tensor(switches):
    with at.config.use(**switches):
        x, y = at.placeholder((None, None), "float64"), at.placeholder((None, 3), "float64")
        z = at.reshape_to(x, y, y, dims=((0, 0), 2, -1))
        assert z.shape == (None, 2, None)
        f = at.function([x, y], [z, at.gradients(at.sum(z * z), [x])[0]])
        for n in (1, 4):
            values = np.arange(6.0 * n).reshape(2 * n, 3)
            out, gradient = f(values, np.zeros((n, 3)))
            np.testing.assert_array_equal(out, values.reshape(n, 2, 3))
            np.testing.assert_array_equal(gradient, 2 * values)
