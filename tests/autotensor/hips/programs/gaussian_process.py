"""Gaussian process regression: the marginal likelihood is maximised over kernel parameters with SciPy."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import value_and_grad
from scipy.optimize import minimize
import autograd.scipy.stats.multivariate_normal as mvn


def rbf_covariance(kernel_params, x, xp):
    output_scale = np.exp(kernel_params[0])
    lengthscales = np.exp(kernel_params[1:])
    diffs = np.expand_dims(x / lengthscales, 1) - np.expand_dims(xp / lengthscales, 0)
    return output_scale * np.exp(-0.5 * np.sum(diffs ** 2, axis=2))


def unpack_kernel_params(params):
    mean = params[0]
    cov_params = params[2:]
    noise_scale = np.exp(params[1]) + 0.0001
    return mean, cov_params, noise_scale


def predict(params, x, y, xstar):
    mean, cov_params, noise_scale = unpack_kernel_params(params)
    cov_f_f = rbf_covariance(cov_params, xstar, xstar)
    cov_y_f = rbf_covariance(cov_params, x, xstar)
    cov_y_y = rbf_covariance(cov_params, x, x) + noise_scale * np.eye(len(y))
    pred_mean = mean + np.dot(np.linalg.solve(cov_y_y, cov_y_f).T, y - mean)
    pred_cov = cov_f_f - np.dot(np.linalg.solve(cov_y_y, cov_y_f).T, cov_y_f)
    return pred_mean, pred_cov


def log_marginal_likelihood(params, x, y):
    mean, cov_params, noise_scale = unpack_kernel_params(params)
    cov_y_y = rbf_covariance(cov_params, x, x) + noise_scale * np.eye(len(y))
    prior_mean = mean * np.ones(len(y))
    return mvn.logpdf(y, prior_mean, cov_y_y)


rs = npr.RandomState(0)
X = (rs.rand(20, 1) - 0.5) * 6
y = np.sin(X[:, 0]) + 0.1 * rs.randn(20)

objective = lambda params: -log_marginal_likelihood(params, X, y)
init_params = 0.1 * rs.randn(4)
start_value, start_grad = value_and_grad(objective)(init_params)

cov_params = minimize(value_and_grad(objective), init_params, jac=True, method='CG', options={'maxiter': 6})
quasi = minimize(value_and_grad(objective), init_params, jac=True, method='L-BFGS-B', options={'maxiter': 8})

plot_xs = np.reshape(np.linspace(-7, 7, 9), (9, 1))
pred_mean, pred_cov = predict(cov_params.x, X, y, plot_xs)

results = {
    "start": start_value, "start_grad": start_grad, "cg": cov_params.x, "lbfgs": quasi.x, "value": quasi.fun,
    "mean": pred_mean, "std": np.sqrt(np.diag(pred_cov)),
}
