"""Logistic regression by gradient descent; weights are updated in place."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad
from autograd.test_util import check_grads


def sigmoid(x):
    return 0.5 * (np.tanh(x / 2.) + 1)


def predictions(weights, inputs):
    return sigmoid(np.dot(inputs, weights))


def training_loss(weights):
    preds = predictions(weights, inputs)
    label_probs = preds * targets + (1 - preds) * (1 - targets)
    return -np.sum(np.log(label_probs)) + 0.01 * np.dot(weights, weights)


rs = npr.RandomState(3)
inputs = rs.randn(40, 3)
targets = (np.dot(inputs, [1.5, -2.0, 0.5]) + 0.3 * rs.randn(40)) > 0

training_gradient = grad(training_loss)
check_grads(training_loss, modes=['rev'])(rs.randn(3))

weights = np.zeros(3)
losses = [training_loss(weights)]
for i in range(60):
    weights -= training_gradient(weights) * 0.05
    losses.append(training_loss(weights))

results = {"weights": weights, "losses": losses, "accuracy": np.mean((predictions(weights, inputs) > 0.5) == targets)}
