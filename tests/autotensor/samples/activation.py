"""Samples of ``autotensor.ops.activation``."""

from __future__ import annotations

import math

import numpy as np

from autotensor.ops import activation
from tests.autotensor.samples.base import Sample, array, integers


def each(f):
    """A scalar function of ``math``, element by element, in float64."""
    return lambda x, **params: np.vectorize(lambda v: f(float(v), **params), otypes=[np.float64])(x)


def elu(v, alpha):
    return v if v > 0 else alpha * math.expm1(v)


def softmax(x, axis):
    if x.ndim == 0:
        raise ValueError("no axis")
    out = np.zeros(x.shape)
    for index in np.ndindex(*[1 if k == axis % x.ndim else n for k, n in enumerate(x.shape)]):
        row = tuple(slice(None) if k == axis % x.ndim else i for k, i in enumerate(index))
        total = math.fsum(math.exp(v) for v in x[row])
        out[row] = [math.exp(v) / total for v in x[row]]
    return out


def log_softmax(x, axis):
    return np.log(softmax(x, axis))


def softmax_grad(g, y, axis):
    """Row by row, by the Jacobian diag(y) - y y'."""
    if g.shape != y.shape or not -y.ndim <= axis < y.ndim:
        raise ValueError("shapes do not fit")
    rows, seeds = np.moveaxis(y, axis, -1), np.moveaxis(g, axis, -1)
    out = np.zeros(rows.shape)
    for i in np.ndindex(*rows.shape[:-1]):
        out[i] = (np.diag(rows[i]) - np.outer(rows[i], rows[i])) @ seeds[i]
    return np.moveaxis(out, -1, axis)


def log_softmax_grad(g, y, axis):
    """Row by row, by the Jacobian 1 - e**y 1'."""
    if g.shape != y.shape or not -y.ndim <= axis < y.ndim:
        raise ValueError("shapes do not fit")
    rows, seeds = np.moveaxis(y, axis, -1), np.moveaxis(g, axis, -1)
    out = np.zeros(rows.shape)
    for i in np.ndindex(*rows.shape[:-1]):
        k = len(rows[i])
        out[i] = (np.eye(k) - np.outer(np.exp(rows[i]), np.ones(k))) @ seeds[i]
    return np.moveaxis(out, -1, axis)


SAMPLES = {
    "relu": [
        Sample(array(3, 4), oracle=each(lambda v: v if v > 0 else 0.0)),
        Sample(integers(3, 4), oracle=lambda x: np.where(x > 0, x, 0), order=0, name="integers"),
    ],
    "elu": [
        Sample(array(3, 4), oracle=each(elu), alpha=1.0),
        Sample(array(3, 4), oracle=each(elu), alpha=0.3, name="alpha"),
        Sample(
            array(3, 4), oracle=each(lambda v: 1.0507009873554805 * elu(v, 1.6732632423543772)), call=activation.selu,
            name="selu",
        ),
    ],
    "sigmoid": [Sample(array(3, 4, low=-8, high=8), oracle=each(lambda v: 1 / (1 + math.exp(-v))))],
    "softplus": [Sample(array(3, 4, low=-8, high=8), oracle=each(lambda v: math.log(1 + math.exp(v))))],
    "softmax": [
        Sample(array(3, 5), oracle=softmax, axis=1, name="rows"),
        Sample(array(3, 5), oracle=softmax, axis=0, name="columns"),
        Sample(array(2, 3, 4), oracle=softmax, axis=1, name="middle"),
        Sample(array(7), oracle=softmax, axis=0, name="vector"),
    ],
    "softmax_grad": [
        Sample(array(3, 5), array(3, 5, seed=1), oracle=softmax_grad, axis=1, name="rows"),
        Sample(array(2, 3, 4), array(2, 3, 4, seed=1), oracle=softmax_grad, axis=1, name="middle"),
    ],
    "log_softmax_grad": [
        Sample(array(3, 5), array(3, 5, seed=1), oracle=log_softmax_grad, axis=1, name="rows"),
        Sample(array(2, 3, 4), array(2, 3, 4, seed=1), oracle=log_softmax_grad, axis=0, name="first"),
    ],
    "log_softmax": [
        Sample(array(3, 5), oracle=log_softmax, axis=1, name="rows"),
        Sample(array(3, 5), oracle=log_softmax, axis=0, name="columns"),
        Sample(array(2, 3, 4), oracle=log_softmax, axis=2, name="rows_of_batches"),
    ],
}  # fmt: skip
