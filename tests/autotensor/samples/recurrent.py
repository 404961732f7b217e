"""Samples of ``autotensor.ops.recurrent``: oracles step row by row, in the words of the textbook.

Gradients of the oracles come from steps along the imaginary axis, which are exact to rounding.
"""

from __future__ import annotations

import numpy as np

from autotensor.ops import recurrent as ops
from tests.autotensor.samples.base import Sample, array


def act(name):
    """An activation that continues to complex numbers, of one number or of many."""
    positive = np.vectorize(lambda x, a, b: a if x.real > 0 else b, otypes=[complex])
    return {
        "linear": lambda x: x,
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "hard_sigmoid": lambda x: np.where(x.real < -2.5, 0, np.where(x.real > 2.5, 1, 0.2 * x + 0.5)),
        "relu": lambda x: positive(x, x, 0 * x),
    }[name]


def times(steps, reverse):
    return range(steps - 1, -1, -1) if reverse else range(steps)


def state(s, n, units):
    return np.broadcast_to(np.asarray(s, complex), (n, units)).copy()


def projected(x, w):
    return x @ w if isinstance(w, np.ndarray) else x


def lstm(x, w, u, b, h, c, mask, activation, recurrent_activation, reverse):
    if x.ndim != 3 or u.shape[1] != 4 * u.shape[0]:
        raise ValueError("no LSTM")
    inner, outer = act(recurrent_activation), act(activation)
    (steps, n, _), units = x.shape, len(u)
    h, c = state(h, n, units), state(c, n, units)
    y = np.zeros((steps, n, units), complex)
    for t in times(steps, reverse):
        for r in range(n):
            if not isinstance(mask, np.ndarray) or mask[t, r]:
                z = projected(x[t, r], w) + h[r] @ u + b
                i, f, new, o = z.reshape(4, units)
                c[r] = inner(f) * c[r] + inner(i) * outer(new)
                h[r] = inner(o) * outer(c[r])
            y[t, r] = h[r]
    return y, h, c


def real(f):
    def g(*args, **params):
        return [out.real for out in f(*args, **params)]

    return g


def gradients(f, count, seeds):
    """Oracle of a gradient operation: of the first ``count`` inputs, for ``seeds`` gradients of outputs before them."""

    def g(*args, wants, **params):
        given, inputs = args[:seeds], list(args[seeds:])
        found = []
        for k in range(count):
            if not wants[k]:
                found.append(np.zeros(0))
                continue
            x = inputs[k].astype(complex)
            total = np.zeros(x.shape)
            for i in np.ndindex(*x.shape):
                stepped = x.copy()
                stepped[i] += 1e-30j
                outs = f(*inputs[:k], stepped, *inputs[k + 1 :], **params)
                total[i] = sum(np.sum(s * out.imag) for s, out in zip(given, outs)) / 1e-30
            found.append(total)
        return found

    return g


def differentiated(forward, backward, seeds):
    """The call of a gradient operation: with what the operation itself has saved."""

    def call(*args, wants, **params):
        inputs = args[seeds:]
        outs = forward(*inputs, **params)
        return backward(*args, outs[0], *outs[seeds:], wants=wants, **params)

    return call


UNKNOWN = {"unknown": "weights have known sizes", "scalar": "sequences have axes", "empty": "see test_recurrent.py"}
MASK = np.array([[True, True], [False, True], [True, False], [False, True]])
BOTH = {"activation": "tanh", "recurrent_activation": "sigmoid", "reverse": False}
ALL = (True,) * 6

SAMPLES = {
    "lstm": [
        Sample(
            array(4, 2, 3), array(3, 12, low=-1, high=1), array(3, 12, low=-1, high=1, seed=1), array(12), array(2, 3),
            array(2, 3, seed=2), 1, oracle=real(lstm), call=lambda *a, **k: ops.lstm_op(*a, **k)[:3], name="whole",
            skip=UNKNOWN, **BOTH,
        ),
        Sample(
            array(4, 2, 3), array(3, 8, low=-1, high=1), array(2, 8, low=-1, high=1, seed=1), array(8), array(2, 2), 0,
            MASK, oracle=real(lstm), call=lambda *a, **k: ops.lstm_op(*a, **k)[:3], name="masked", skip=UNKNOWN,
            **BOTH | {"reverse": True},
        ),
        Sample(
            array(3, 2, 8), 1, array(2, 8, low=-1, high=1), 0, 0, array(2, 2), 1, oracle=real(lstm),
            call=lambda *a, **k: ops.lstm_op(*a, **k)[:3], name="projected", skip=UNKNOWN, activation="linear",
            recurrent_activation="hard_sigmoid", reverse=False,
        ),
    ],
    "lstm_grad": [
        Sample(
            array(3, 2, 3, seed=4), array(2, 3, seed=5), array(2, 3, seed=6), array(3, 2, 2),
            array(2, 12, low=-1, high=1), array(3, 12, low=-1, high=1, seed=1), array(12), array(2, 3, seed=2),
            array(2, 3, seed=3), 1, oracle=gradients(lstm, 6, 3),
            call=differentiated(ops.lstm_op, ops.lstm_grad, 3), name="whole", skip=UNKNOWN, wants=ALL, **BOTH,
        ),
        Sample(
            array(4, 2, 2, seed=4), 0.0, 0.0, array(4, 2, 3), array(3, 8, low=-1, high=1),
            array(2, 8, low=-1, high=1, seed=1), array(8), array(2, 2), 0, MASK, oracle=gradients(lstm, 6, 3),
            call=differentiated(ops.lstm_op, ops.lstm_grad, 3), name="masked", skip=UNKNOWN,
            wants=(False, True, True, True, True, False), **BOTH | {"reverse": True},
        ),
        Sample(
            0.0, array(2, 2), array(2, 2, seed=5), array(3, 2, 8), 1, array(2, 8, low=-1, high=1), 0, 0,
            array(2, 2, seed=6), 1, oracle=gradients(lstm, 6, 3), call=differentiated(ops.lstm_op, ops.lstm_grad, 3),
            name="projected", skip=UNKNOWN, wants=(True, False, True, False, False, True), activation="relu",
            recurrent_activation="sigmoid", reverse=False,
        ),
    ],
}  # fmt: skip


def gru(x, w, u, b, h, mask, activation, recurrent_activation, reset_after, reverse):
    if x.ndim != 3 or u.shape[1] != 3 * u.shape[0]:
        raise ValueError("no GRU")
    inner, outer = act(recurrent_activation), act(activation)
    (steps, n, _), units = x.shape, len(u)
    h = state(h, n, units)
    b, b2 = b if np.ndim(b) == 2 else (b, 0 * u[0])
    y = np.zeros((steps, n, units), complex)
    for t in times(steps, reverse):
        for k in range(n):
            if not isinstance(mask, np.ndarray) or mask[t, k]:
                xz, xr, xh = (projected(x[t, k], w) + b).reshape(3, units)
                uz, ur, uh = [u[:, i * units : (i + 1) * units] for i in range(3)]
                bz, br, bh = b2.reshape(3, units)
                z, r = inner(xz + h[k] @ uz + bz), inner(xr + h[k] @ ur + br)
                new = outer(xh + (r * (h[k] @ uh + bh) if reset_after else (r * h[k]) @ uh))
                h[k] = z * h[k] + (1 - z) * new
            y[t, k] = h[k]
    return y, h


def simple_rnn(x, w, u, b, h, mask, activation, reverse):
    if x.ndim != 3 or u.shape[1] != u.shape[0]:
        raise ValueError("no recurrence")
    (steps, n, _), units = x.shape, len(u)
    h = state(h, n, units)
    y = np.zeros((steps, n, units), complex)
    for t in times(steps, reverse):
        for k in range(n):
            if not isinstance(mask, np.ndarray) or mask[t, k]:
                h[k] = act(activation)(projected(x[t, k], w) + h[k] @ u + b)
            y[t, k] = h[k]
    return y, h


def small(*shape, seed=0):
    return array(*shape, low=-1, high=1, seed=seed)


def gru_call(*args, **params):
    return ops.gru_op(*args, **params)[:2]


def gru_grad_call(*args, wants, **params):
    outs = ops.gru_op(*args[2:], **params)
    return ops.gru_grad(*args, outs[0], outs[2], wants=wants, **params)


def rnn_grad_call(*args, wants, **params):
    y, _ = ops.simple_rnn_op(*args[2:], **params)
    return ops.simple_rnn_grad(*args, y, wants=wants, **params)


STOCK = {**BOTH, "reset_after": False}
CUDNN = {**BOTH, "reset_after": True}

SAMPLES |= {
    "gru": [
        Sample(
            array(4, 2, 3), small(3, 9), small(3, 9, seed=1), array(9), array(2, 3), 1, oracle=real(gru), call=gru_call,
            name="whole", skip=UNKNOWN, **STOCK,
        ),
        Sample(
            array(4, 2, 3), small(3, 6), small(2, 6, seed=1), array(2, 6), 0, MASK, oracle=real(gru), call=gru_call,
            name="after", skip=UNKNOWN, **CUDNN | {"reverse": True},
        ),
        Sample(
            array(3, 2, 6), 1, small(2, 6), 0, array(2, 2), 1, oracle=real(gru), call=gru_call, name="projected",
            skip=UNKNOWN, activation="linear", recurrent_activation="hard_sigmoid", reset_after=True, reverse=False,
        ),
    ],
    "gru_grad": [
        Sample(
            array(4, 2, 3, seed=4), array(2, 3, seed=5), array(4, 2, 2), small(2, 9), small(3, 9, seed=1), array(9),
            array(2, 3, seed=2), MASK, oracle=gradients(gru, 5, 2), call=gru_grad_call, name="whole", skip=UNKNOWN,
            wants=ALL[:5], **STOCK,
        ),
        Sample(
            array(3, 2, 2, seed=4), 0.0, array(3, 2, 3), small(3, 6), small(2, 6, seed=1), array(2, 6), array(2, 2), 1,
            oracle=gradients(gru, 5, 2), call=gru_grad_call, name="after", skip=UNKNOWN, wants=ALL[:5],
            **CUDNN | {"reverse": True},
        ),
        Sample(
            0.0, array(2, 2), array(3, 2, 6), 1, small(2, 6), 0, 0, 1, oracle=gradients(gru, 5, 2), call=gru_grad_call,
            name="projected", skip=UNKNOWN, wants=(True, False, True, False, False), activation="hard_sigmoid",
            recurrent_activation="sigmoid", reset_after=False, reverse=False,
        ),
    ],
    "simple_rnn": [
        Sample(
            array(4, 2, 3), small(3, 3), small(3, 3, seed=1), array(3), array(2, 3), MASK, oracle=real(simple_rnn),
            name="whole", skip=UNKNOWN, activation="tanh", reverse=True,
        ),
        Sample(
            array(3, 2, 2), 1, small(2, 2), 0, 0, 1, oracle=real(simple_rnn), name="projected", skip=UNKNOWN,
            activation="relu", reverse=False,
        ),
    ],
    "simple_rnn_grad": [
        Sample(
            array(4, 2, 3, seed=4), array(2, 3, seed=5), array(4, 2, 2), small(2, 3), small(3, 3, seed=1), array(3),
            array(2, 3, seed=2), MASK, oracle=gradients(simple_rnn, 5, 2), call=rnn_grad_call, name="whole",
            skip=UNKNOWN, wants=ALL[:5], activation="sigmoid", reverse=True,
        ),
        Sample(
            array(3, 2, 2, seed=4), 0.0, array(3, 2, 2), 1, small(2, 2), 0, 0, 1, oracle=gradients(simple_rnn, 5, 2),
            call=rnn_grad_call, name="projected", skip=UNKNOWN, wants=(True, False, True, False, False),
            activation="tanh", reverse=False,
        ),
    ],
}  # fmt: skip
