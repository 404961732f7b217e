"""A layer defined by an equation, z = tanh(W z + U x), solved by iteration and differentiated implicitly."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad, jacobian
from autograd.misc.fixed_points import fixed_point

rs = npr.RandomState(7)
x = rs.randn(4)
W = 0.2 * rs.randn(5, 5)
U = rs.randn(5, 4)


def step(params):
    W, U = params
    return lambda z: np.tanh(np.dot(W, z) + np.dot(U, x))


def distance(a, b):
    return np.max(np.abs(a - b))


def layer(W, U):
    return fixed_point(step, (W, U), np.zeros(5), distance, 1e-13)


def loss(W, U):
    return np.sum((layer(W, U) - 0.3) ** 2)


def newton_sqrt_iter(a):
    return lambda x: 0.5 * (x + a / x)


def sqrt(a):
    return fixed_point(newton_sqrt_iter, a, 1.0, lambda a, b: np.abs(a - b), 1e-13)


gW, gU = grad(loss, 0)(W, U), grad(loss, 1)(W, U)
values = []
for i in range(5):
    values.append(loss(W, U))
    U = U - 0.3 * grad(loss, 1)(W, U)

results = {
    "layer": layer(W, U), "gW": gW, "gU": gU, "values": values, "sqrt": sqrt(2.0), "slope": grad(sqrt)(2.0),
    "curvature": grad(grad(sqrt))(2.0), "jacobian": jacobian(lambda u: layer(W, u))(U),
}
