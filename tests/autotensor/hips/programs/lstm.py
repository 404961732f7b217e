"""An LSTM by hand: gates as slices of one product, the gradient by the inputs, and through time."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad, elementwise_grad as egrad
from autograd.misc.flatten import flatten_func


def sigmoid(x):
    return 0.5 * (np.tanh(x / 2.0) + 1.0)


def lstm(params, xs):
    W, b = params
    n = W.shape[1] // 4
    h = np.zeros((xs.shape[1], n))
    c = np.zeros_like(h)
    hs = []
    for x in xs:
        z = np.dot(np.concatenate([x, h], axis=1), W) + b
        i, f, o, u = [z[:, k * n:(k + 1) * n] for k in range(4)]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
    return np.array(hs)


rs = npr.RandomState(5)
params = (0.4 * rs.randn(3 + 5, 20), 0.1 * rs.randn(20))
xs = rs.randn(6, 4, 3)
target = np.cumsum(xs[:, :, :1], axis=0)


def loss(params, xs):
    return np.mean((lstm(params, xs)[:, :, :1] - target) ** 2)


flat_grad, unflatten, flat_params = flatten_func(grad(loss), params)
values = []
for step in range(8):
    flat_params = flat_params - 0.5 * flat_grad(flat_params, xs)
    values.append(loss(unflatten(flat_params), xs))

results = {
    "values": values, "params": flat_params, "by_input": grad(loss, 1)(params, xs),
    "summed": egrad(lambda x: lstm(params, x)[-1])(xs),
}
