"""A multi-layer perceptron: parameters in a list of tuples, Adam on batches, flatten for weight decay."""
from __future__ import division
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd.scipy.special import logsumexp
from autograd import grad
from autograd.misc.flatten import flatten
from autograd.misc.optimizers import adam


def init_random_params(scale, layer_sizes, rs=npr.RandomState(0)):
    return [(scale * rs.randn(m, n), scale * rs.randn(n)) for m, n in zip(layer_sizes[:-1], layer_sizes[1:])]


def neural_net_predict(params, inputs):
    for W, b in params:
        outputs = np.dot(inputs, W) + b
        inputs = np.tanh(outputs)
    return outputs - logsumexp(outputs, axis=1, keepdims=True)


def l2_norm(params):
    flattened, _ = flatten(params)
    return np.dot(flattened, flattened)


def log_posterior(params, inputs, targets, L2_reg):
    log_prior = -L2_reg * l2_norm(params)
    log_lik = np.sum(neural_net_predict(params, inputs) * targets)
    return log_prior + log_lik


def accuracy(params, inputs, targets):
    target_class = np.argmax(targets, axis=1)
    predicted_class = np.argmax(neural_net_predict(params, inputs), axis=1)
    return np.mean(predicted_class == target_class)


rs = npr.RandomState(1)
centres = 2 * rs.randn(3, 4)
labels = rs.randint(0, 3, 90)
X = centres[labels] + 0.7 * rs.randn(90, 4)
Y = np.array(labels[:, None] == np.arange(3)[None, :], dtype=int)

batch_size = 30
num_batches = int(np.ceil(len(X) / batch_size))


def batch_indices(it):
    idx = it % num_batches
    return slice(idx * batch_size, (idx + 1) * batch_size)


def objective(params, it):
    idx = batch_indices(it)
    return -log_posterior(params, X[idx], Y[idx], 0.1)


objective_grad = grad(objective)
history = []


def print_perf(params, it, gradient):
    if it % num_batches == 0:
        history.append([accuracy(params, X, Y), -log_posterior(params, X, Y, 0.1)])


optimized = adam(objective_grad, init_random_params(0.1, [4, 8, 3]), step_size=0.02, num_iters=45, callback=print_perf)

results = {"history": history, "params": flatten(optimized)[0]}
