"""The workloads in JAX, written by hand: one jitted step over a tree of parameters, its state donated.

Batches of a ``step`` lie on the device already, and loss and accuracy come back as one array: JAX at its best. What was
tried and is no faster on a CPU: the generators ``rbg`` and ``unsafe_rbg`` for dropout, one flat array of parameters,
unrolled scans.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workloads import Layer, Workload, data, kernel_sizes, out_shape

Tree = Any


def _uniform(rng: np.random.Generator, *shape: int) -> jax.Array:
    limit = np.sqrt(6 / (int(np.prod(shape[:-1])) + shape[-1]))
    return jnp.asarray(rng.uniform(-limit, limit, shape), jnp.float32)


def _parameters(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> dict[str, jax.Array]:
    if layer.kind == "Dense":
        return {"w": _uniform(rng, shape[-1], layer.units), "b": jnp.zeros(layer.units)}
    if layer.kind in ("Conv1D", "Conv2D"):
        return {"w": _uniform(rng, *kernel_sizes(layer), shape[-1], layer.filters), "b": jnp.zeros(layer.filters)}
    if layer.kind == "Embedding":
        return {"w": _uniform(rng, layer.input_dim, layer.output_dim)}
    if layer.kind in ("LSTM", "GRU"):
        gates = (4 if layer.kind == "LSTM" else 3) * layer.units
        made = {"w": _uniform(rng, shape[-1], gates), "u": _uniform(rng, layer.units, gates), "b": jnp.zeros(gates)}
        return made | ({"c": jnp.zeros(gates)} if layer.kind == "GRU" else {})
    return {}


def _lstm(p: dict[str, jax.Array], x: jax.Array, units: int) -> jax.Array:
    """(batch, steps, features) -> (steps, batch, units): the input projection is one product before the loop."""
    projected = jnp.swapaxes(x @ p["w"] + p["b"], 0, 1)

    def cell(carry: Tree, z: jax.Array) -> Tree:
        h, c = carry
        i, f, g, o = jnp.split(z + h @ p["u"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[0], units))
    return jax.lax.scan(cell, (zeros, zeros), projected)[1]


def _gru(p: dict[str, jax.Array], x: jax.Array, units: int) -> jax.Array:
    projected = jnp.swapaxes(x @ p["w"] + p["b"], 0, 1)

    def cell(h: jax.Array, zs: jax.Array) -> Tree:
        a, b, c = jnp.split(zs, 3, axis=-1)
        d, e, f = jnp.split(h @ p["u"] + p["c"], 3, axis=-1)
        z, r = jax.nn.sigmoid(a + d), jax.nn.sigmoid(b + e)
        h = z * h + (1 - z) * jnp.tanh(c + r * f)
        return h, h

    return jax.lax.scan(cell, jnp.zeros((x.shape[0], units)), projected)[1]


def _apply(layer: Layer, p: dict[str, jax.Array], x: jax.Array, key: jax.Array | None) -> jax.Array:
    if layer.kind == "Dense":
        x = x @ p["w"] + p["b"]
    elif layer.kind in ("Conv1D", "Conv2D"):
        order = ("NHWC", "HWIO", "NHWC") if layer.kind == "Conv2D" else ("NHC", "HIO", "NHC")
        ones = (1,) * (x.ndim - 2)
        padding = (layer.padding or "valid").upper()
        x = jax.lax.conv_general_dilated(x, p["w"], ones, padding, dimension_numbers=order) + p["b"]
    elif layer.kind in ("MaxPooling1D", "MaxPooling2D"):
        size = (layer.pool_size,) if layer.kind == "MaxPooling1D" else layer.pool_size
        window = (1, *size, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    elif layer.kind == "GlobalAveragePooling1D":
        x = x.mean(1)
    elif layer.kind == "Flatten":
        x = x.reshape(len(x), -1)
    elif layer.kind == "Dropout" and key is not None:
        x = jnp.where(jax.random.bernoulli(key, 1 - layer.rate, x.shape), x / (1 - layer.rate), 0)
    elif layer.kind == "Embedding":
        x = p["w"][x]
    elif layer.kind in ("LSTM", "GRU"):
        out = (_lstm if layer.kind == "LSTM" else _gru)(p, x, layer.units)
        x = jnp.swapaxes(out, 0, 1) if layer.return_sequences else out[-1]
    elif layer.kind == "RepeatVector":
        x = jnp.broadcast_to(x[:, None], (len(x), layer.n, x.shape[-1]))
    return jax.nn.relu(x) if layer.activation == "relu" else x


def logits_of(workload: Workload, params: Tree, xs: list[jax.Array], key: jax.Array | None) -> jax.Array:
    """The network's result before softmax or sigmoid; with a key, as in training."""

    def chain(layers: tuple[Layer, ...], params: Tree, x: jax.Array) -> jax.Array:
        nonlocal key
        for layer, p in zip(layers, params):
            sub = None
            if key is not None and layer.kind == "Dropout":
                key, sub = jax.random.split(key)
            x = _apply(layer, p, x, sub)
        return x

    branches, top = params
    ends = [chain(b.layers, p, x) for b, p, x in zip(workload.branches, branches, xs)]
    return chain(workload.top, top, ends[0] if len(ends) == 1 else jnp.concatenate(ends, -1))


def _init(workload: Workload) -> Tree:
    rng = np.random.default_rng(1)

    def chain(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> tuple[list[Tree], tuple[int, ...]]:
        made = []
        for layer in layers:
            made.append(_parameters(layer, shape, rng))
            shape = out_shape(layer, shape)
        return made, shape

    branches, ends = zip(*[chain(b.layers, b.shape) for b in workload.branches])
    return list(branches), chain(workload.top, (*ends[0][:-1], sum(end[-1] for end in ends)))[0]


def _update(workload: Workload, params: Tree, state: Tree, grads: Tree) -> tuple[Tree, Tree]:
    rate = workload.settings["learning_rate"]
    if workload.optimizer == "SGD":
        state = jax.tree.map(lambda v, g: 0.9 * v - rate * g, state, grads)
        return jax.tree.map(lambda p, v, g: p + 0.9 * v - rate * g, params, state, grads), state
    if workload.optimizer == "RMSprop":
        state = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g * g, state, grads)
        return jax.tree.map(lambda p, v, g: p - rate * g / (jnp.sqrt(v) + 1e-7), params, state, grads), state
    squares, moves = state
    squares = jax.tree.map(lambda a, g: 0.95 * a + 0.05 * g * g, squares, grads)
    deltas = jax.tree.map(lambda a, d, g: g * jnp.sqrt(d + 1e-7) / jnp.sqrt(a + 1e-7), squares, moves, grads)
    moves = jax.tree.map(lambda d, step: 0.95 * d + 0.05 * step * step, moves, deltas)
    return jax.tree.map(lambda p, step: p - rate * step, params, deltas), (squares, moves)


class JaxTrainer:
    """See :class:`benchmarks.trainer.Trainer`."""

    def __init__(self, workload: Workload):
        self.workload, self.batch = workload, workload.batch
        xs, y = data(workload, workload.rows)
        self.xs, self.y = [jnp.asarray(x) for x in xs], jnp.asarray(y)
        self.batch_xs, self.batch_y = [x[: self.batch] for x in self.xs], self.y[: self.batch]
        self.row = [x[:1] for x in self.xs]
        params = _init(workload)
        zeros = jax.tree.map(jnp.zeros_like, params)
        state = (zeros, jax.tree.map(jnp.zeros_like, params)) if workload.optimizer == "Adadelta" else zeros
        self.box: list[Tree] = [params, state, jax.random.key(0)]
        self.jitted = jax.jit(self._step, donate_argnums=(0, 1, 2))
        self.result = jax.jit(self._result)
        self.gather = jax.jit(lambda xs, y, index: ([x[index] for x in xs], y[index]))

    def _loss(self, params: Tree, key: jax.Array, xs: list[jax.Array], y: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = logits_of(self.workload, params, xs, key)
        if self.workload.labels == "binary":
            loss = jnp.mean(jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits))))
            right = (logits > 0) == (y > 0.5)
        else:
            loss = -jnp.mean(jnp.sum(y * jax.nn.log_softmax(logits), -1))
            right = jnp.argmax(logits, -1) == jnp.argmax(y, -1)
        return loss, jnp.stack([loss, jnp.mean(right)]) if self.workload.accuracy else loss

    def _step(self, params: Tree, state: Tree, key: jax.Array, xs: list[jax.Array], y: jax.Array) -> Tree:
        key, sub = jax.random.split(key)
        grads, logs = jax.grad(self._loss, has_aux=True)(params, sub, xs, y)
        params, state = _update(self.workload, params, state, grads)
        return params, state, key, logs

    def _train(self, xs: list[jax.Array], y: jax.Array) -> jax.Array:
        *self.box[:], logs = self.jitted(*self.box, xs, y)
        return logs

    def step(self) -> object:
        return np.asarray(self._train(self.batch_xs, self.batch_y))

    def fit(self, epochs: int) -> object:
        rng, rows, history = np.random.default_rng(2), len(self.y), []
        for _ in range(epochs):
            order, total = rng.permutation(rows), 0.0
            for start in range(0, rows, self.batch):
                index = order[start : start + self.batch]
                logs = np.asarray(self._train(*self.gather(self.xs, self.y, index)))
                total += float(logs.flat[0]) * len(index)
            history.append(total / rows)
        return history

    def _result(self, params: Tree, xs: list[jax.Array]) -> jax.Array:
        logits = logits_of(self.workload, params, xs, None)
        return jax.nn.sigmoid(logits) if self.workload.labels == "binary" else jax.nn.softmax(logits)

    def predict_row(self) -> object:
        return np.asarray(self.result(self.box[0], self.row))

    predict_call = predict_row

    def predict_rows(self) -> object:
        parts = [self.result(self.box[0], [x[i : i + 32] for x in self.xs]) for i in range(0, len(self.y), 32)]
        return np.concatenate([np.asarray(part) for part in parts])
