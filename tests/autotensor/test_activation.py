"""Activations that are compositions, and the options of relu."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.ops import activation
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array

PHI = lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2)))
FUNCTIONS = {
    "hard_sigmoid": (activation.hard_sigmoid, lambda v: min(1.0, max(0.0, 0.2 * v + 0.5))),
    "softsign": (activation.softsign, lambda v: v / (1 + abs(v))),
    "silu": (activation.silu, lambda v: v / (1 + math.exp(-v))),
    "gelu": (activation.gelu, lambda v: v * PHI(v)),
    "leaky_relu": (lambda x: activation.leaky_relu(x, 0.2), lambda v: v if v > 0 else 0.2 * v),
    "relu_slope": (lambda x: activation.relu(x, negative_slope=0.1), lambda v: v if v > 0 else 0.1 * v),
    "relu_max": (lambda x: activation.relu(x, max_value=2.0), lambda v: min(max(v, 0), 2)),
    "relu_threshold": (lambda x: activation.relu(x, threshold=1.0), lambda v: v if v > 1 else 0.0),
    "relu_all": (lambda x: activation.relu(x, 0.1, 2.0, 1.0), lambda v: min(v, 2.0) if v > 1 else 0.1 * (v - 1)),
    "elu": (lambda x: activation.elu(x, 0.5), lambda v: v if v > 0 else 0.5 * (math.exp(v) - 1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_gradient_and_dtype(name):
    f, oracle = FUNCTIONS[name]
    x = array(5, 7, low=-4, high=4)
    np.testing.assert_allclose(f(x).numpy(), np.vectorize(oracle, otypes=[float])(x), rtol=1e-12, atol=1e-15)
    check_grad(f, x, order=2)
    assert f(x.astype(np.float32)).dtype == np.float32


def test_tanh_approximation_of_gelu_is_close():
    x = np.linspace(-5, 5, 101)
    exact, near = activation.gelu(x).numpy(), activation.gelu(x, approximate=True).numpy()
    assert 0 < np.abs(exact - near).max() < 1e-3
    assert near[50] == 0


def test_relu_has_gradient_0_at_0_and_keeps_nan():
    x = Tensor(np.array([-1.0, 0.0, -0.0, 2.0]), requires_grad=True)
    activation.relu(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]
    assert np.isnan(activation.relu(np.array([np.nan])).numpy()).all()


def test_nothing_overflows():
    x = Tensor(np.array([-1e4, -800.0, 800.0, 1e4]), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        for f, want, slope in (
            (activation.sigmoid, [0, 0, 1, 1], [0, 0, 0, 0]),
            (activation.softplus, [0, 0, 800, 1e4], [0, 0, 1, 1]),
            (activation.elu, [-1, -1, 800, 1e4], [0, 0, 1, 1]),
        ):
            x.grad = None
            y = f(x)
            y.sum().backward()
            np.testing.assert_allclose(y.numpy(), want, atol=1e-300)
            np.testing.assert_allclose(x.grad.numpy(), slope, atol=1e-300)


def test_sigmoid_keeps_relative_precision_of_small_values():
    assert activation.sigmoid(np.array(-700.0)).item() == pytest.approx(math.exp(-700), rel=1e-12)


def test_softmax_names_a_bad_axis():
    for f in (activation.softmax, activation.log_softmax):
        with pytest.raises(ShapeError, match="axis 2 does not exist in a tensor of rank 2"):
            f(np.zeros((2, 3)), axis=2)
        with pytest.raises(ShapeError, match="rank 0"):
            f(1.0)


def test_integers_become_floats():
    assert activation.softmax(np.array([1, 2])).dtype == np.float64
    assert activation.sigmoid(np.array([0, 0])).tolist() == [0.5, 0.5]
    assert activation.relu(np.array([-2, 3])).tolist() == [0, 3]
