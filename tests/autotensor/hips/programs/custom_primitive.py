"""An own primitive with an own gradient, and the transforms one meets in research scripts."""
import autograd.numpy as np
from autograd import grad, jacobian, hessian, value_and_grad, make_vjp, make_jvp, elementwise_grad
from autograd.extend import primitive, defvjp
from autograd.tracer import getval
from autograd.builtins import isinstance


@primitive
def stable_logsumexp(x):
    """Numerically stable log(sum(exp(x)))"""
    max_x = np.max(x)
    return max_x + np.log(np.sum(np.exp(x - max_x)))


def stable_logsumexp_vjp(ans, x):
    x_shape = x.shape
    return lambda g: np.full(x_shape, g) * np.exp(x - np.full(x_shape, ans))


defvjp(stable_logsumexp, stable_logsumexp_vjp)


def example_func(y):
    z = y ** 2
    lse = stable_logsumexp(z)
    return np.sum(lse)


def rosenbrock(x):
    assert isinstance(x, np.ndarray)
    return sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0)


seen = []


def traced(x):
    seen.append(float(np.sum(getval(x))))
    return np.prod(x) + np.linalg.det(np.outer(x, x) + np.eye(3))


x = np.array([1.5, 0.4, -0.7])
vjp, value = make_vjp(lambda x: np.sin(x) * x[::-1])(x)
value2, tangent = make_jvp(lambda x: np.cumsum(x) ** 2)(x)(np.array([1.0, -1.0, 0.5]))
minimum = x
for i in range(6):
    minimum = minimum - np.linalg.solve(hessian(rosenbrock)(minimum), grad(rosenbrock)(minimum))

results = {
    "gradient": grad(example_func)(x), "curvature": hessian(example_func)(x), "minimum": minimum,
    "traced": grad(traced)(x), "seen": seen, "vjp": vjp(np.ones(3)), "value": value, "jvp": tangent, "value2": value2,
    "jacobian": jacobian(lambda x: np.outer(x, np.sort(x)))(x), "both": value_and_grad(example_func)(x)[1],
    "where": elementwise_grad(lambda x: np.where(x > 0, np.sqrt(np.abs(x)), np.exp(x)))(x),
}
