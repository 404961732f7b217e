"""tanh and six of its derivatives, as everybody plots them; and a Taylor series that sums until it is exact."""
import autograd.numpy as np
from autograd import elementwise_grad as egrad, grad


x = np.linspace(-7, 7, 15)
curves = []
f = np.tanh
for order in range(7):
    curves.append(f(x))
    f = egrad(f)


def taylor_sine(x):
    ans = currterm = x
    i = 0
    while np.abs(currterm) > 0.001:
        currterm = -currterm * x ** 2 / ((2 * i + 3) * (2 * i + 2))
        ans = ans + currterm
        i += 1
    return ans


results = {
    "curves": curves, "taylor": grad(taylor_sine)(np.pi), "second": grad(grad(taylor_sine))(np.pi / 3),
    "nested": grad(lambda x: x * grad(lambda y: x * y ** 3)(x))(2.0),
}
