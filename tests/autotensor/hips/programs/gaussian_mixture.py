"""A Gaussian mixture fitted by Newton's method on Hessian-vector products (trust-ncg)."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad, hessian, hessian_vector_product
from autograd.misc.flatten import flatten_func
from autograd.scipy.special import logsumexp
import autograd.scipy.stats.multivariate_normal as mvn
from scipy.optimize import minimize


def init_gmm_params(num_components, D, scale, rs):
    return {'log proportions': rs.randn(num_components) * scale,
            'means': rs.randn(num_components, D) * scale,
            'lower triangles': np.zeros((num_components, D, D)) + np.eye(D)}


def log_normalize(x):
    return x - logsumexp(x)


def unpack_gmm_params(params):
    normalized_log_proportions = log_normalize(params['log proportions'])
    return normalized_log_proportions, params['means'], params['lower triangles']


def gmm_log_likelihood(params, data):
    cluster_lls = []
    for log_proportion, mean, cov_sqrt in zip(*unpack_gmm_params(params)):
        cov = np.dot(cov_sqrt.T, cov_sqrt)
        cluster_lls.append(log_proportion + mvn.logpdf(data, mean, cov))
    return np.sum(logsumexp(np.vstack(cluster_lls), axis=0))


rs = npr.RandomState(4)
data = np.concatenate([rs.randn(15, 2) * [0.5, 1.0] + [2, 0], rs.randn(15, 2) * 0.7 - [1, 1]])
init_params = init_gmm_params(num_components=2, D=2, scale=0.3, rs=rs)


def objective(params):
    return -gmm_log_likelihood(params, data)


flattened_obj, unflatten, flattened_init_params = flatten_func(objective, init_params)
curvature = hessian_vector_product(flattened_obj)(flattened_init_params, np.ones(len(flattened_init_params)))
steps = minimize(flattened_obj, flattened_init_params, jac=grad(flattened_obj),
                 hessp=hessian_vector_product(flattened_obj), method='trust-ncg', options={'maxiter': 4})

small = hessian(lambda m: np.sum(mvn.logpdf(data, m, np.eye(2))))(np.array([0.1, 0.2]))

results = {"start": objective(init_params), "curvature": curvature, "params": steps.x, "value": steps.fun, "hessian": small}
