"""Check gradients against differences, and see what a wrong one looks like.

Run:  python examples/autotensor_check_grad.py
"""

import numpy as np

import autotensor as at
from autotensor.testing import GradientCheckError, check_grad

x = np.linspace(-2.0, 2.0, 6).reshape(2, 3)


def swish(x: at.Tensor) -> at.Tensor:
    return at.sum(x * at.sigmoid(x))


print("right, to the second order (g is the gradient that comes in):")
print(check_grad(swish, x, order=2))


def half_forgotten(x: at.Tensor) -> at.Tensor:
    """The gate is taken for a constant, so half of the product rule is missing."""
    return at.sum(x * at.stop_gradient(at.sigmoid(x)))


print("\nwrong:")
try:
    check_grad(half_forgotten, x)
except GradientCheckError as error:
    print(error)
    print("the wrong rule was caught")

print("\na kink is left out, not called wrong:")
print(check_grad(lambda x: at.sum(at.abs(x)), np.array([-1.0, 0.0, 2.0])))
