"""Parameters of a predator-prey model fitted to measurements through odeint."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad, value_and_grad
from autograd.builtins import tuple
from autograd.scipy.integrate import odeint


def lotka_volterra(y, t, rates, capture):
    prey, predator = y[0], y[1]
    return np.array([rates[0] * prey - capture * prey * predator, -rates[1] * predator + 0.5 * capture * prey * predator])


times = np.linspace(0.0, 2.0, 6)
true = odeint(lotka_volterra, np.array([1.5, 1.0]), times, tuple((np.array([0.9, 0.6]), 0.7)))
measured = true + 0.02 * npr.RandomState(0).randn(*true.shape)


def loss(params):
    y0, rates, capture = params
    pred = odeint(lotka_volterra, y0, times, tuple((rates, capture)))
    return np.mean((pred - measured) ** 2)


params = (np.array([1.4, 1.1]), np.array([1.0, 0.5]), 0.6)
loss_and_grad = value_and_grad(loss)
values = []
for i in range(4):
    value, (g_y0, g_rates, g_capture) = loss_and_grad(params)
    values.append(value)
    params = (params[0] - 0.2 * g_y0, params[1] - 0.2 * g_rates, params[2] - 0.2 * g_capture)

by_time = grad(lambda t: np.sum(odeint(lotka_volterra, params[0], t, tuple((params[1], params[2]))) ** 2))(times)

results = {"solution": true, "values": values, "y0": params[0], "rates": params[1], "capture": params[2], "by_time": by_time}
