"""How ours says the operations of ``ops``: as a part of a compiled plan, and eagerly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
import keras_compat as keras
from benchmarks.ops import Case
from keras_compat import backend as K

_REDUCTIONS: dict[str, Callable[..., Any]] = {"sum": at.sum, "mean": at.mean, "max": at.max, "var": at.var}
_ELEMENTWISE: dict[str, Callable[..., Any]] = {"tanh": at.tanh, "sigmoid": at.sigmoid, "relu": at.relu, "gelu": at.gelu}


def _call(case: Case, xs: list[Any]) -> Any:
    """The operation of a case on tensors."""
    kind, words = case.kind, case.words
    x, *others = xs
    if kind == "conv":
        return at.conv(x, others[0], strides=words.get("strides", 1))
    if kind == "depthwise":
        return at.depthwise_conv(x, others[0])
    if kind == "max_pool":
        return at.max_pool(x, words["size"], words.get("strides"))
    if kind == "average_pool":
        return at.average_pool(x, words["size"])
    if kind in _REDUCTIONS:
        return _REDUCTIONS[kind](x, axis=words["axis"])
    if kind in _ELEMENTWISE:
        return _ELEMENTWISE[kind](x)
    if kind == "softmax":
        return at.softmax(x)
    if kind == "cross_entropy":
        return at.mean(at.sparse_softmax_cross_entropy(x, others[0]))
    if kind == "embedding":
        return at.take(x, others[0], axis=0)
    if kind == "batch_norm":
        scale, shift = others
        axes = list(range(len(case.shapes[0]) - 1))
        return K.normalize_batch_in_training(x, scale, shift, axes, 1e-5)[0]
    if kind == "layer_norm":
        scale, shift = others
        mean, spread = at.mean(x, axis=-1, keepdims=True), at.var(x, axis=-1, keepdims=True)
        return (x - mean) / at.sqrt(spread + 1e-5) * scale + shift
    if kind == "matmul":
        return at.matmul(x, others[0])
    raise KeyError(kind)


def _in_a_plan(results: Sequence[Any], givens: Mapping[Any, Any] | None = None) -> Callable[[], object]:
    """A compiled function of no arguments that computes ``results`` into arrays of its own, as a training step does:
    nothing is handed over, nothing is allocated."""
    kept = [(at.Variable(np.zeros(result.shape, result.dtype)), result) for result in results]
    return at.function([], [], kept, givens=givens)


def _update(case: Case) -> Callable[[], object]:
    optimizer = getattr(keras.optimizers, case.kind)
    settings = {"momentum": 0.9} if case.kind == "SGD" else {}
    [values] = case.arrays()
    weight, gradient = K.variable(values), at.Variable(values)
    updates = optimizer(learning_rate=0.001, **settings).get_updates(at.sum(weight * gradient), [weight])
    return at.function([], [], updates)


def _recurrent(case: Case) -> Callable[[], object]:
    words: dict[str, Any] = {"recurrent_activation": "sigmoid", "return_sequences": True}
    if case.kind == "gru":
        words["reset_after"] = True
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[case.kind](case.words["units"], **words)
    shape = case.shapes[0]
    x, seed = (at.placeholder(s) for s in (shape, (*shape[:2], case.words["units"])))
    out = layer(x)
    results = [out]
    if case.part == "both":
        results += at.grad(out, [x, *layer.trainable_weights], seeds=seed)
    values = {x: at.Variable(case.arrays()[0]), seed: at.Variable(np.ones(seed.shape, "f4"))}
    return _in_a_plan(results, values)


def compiled(case: Case) -> Callable[[], object]:
    """The work of the case inside a compiled plan."""
    if case.group == "update":
        return _update(case)
    if case.group == "recurrent":
        return _recurrent(case)
    xs = [at.Variable(array) for array in case.arrays()]
    out = _call(case, xs)
    if case.part == "forward":
        return _in_a_plan([out])
    floats = [x for x in xs if x.dtype == np.float32]
    seed = at.Variable(np.ones(out.shape, "f4"))
    if case.part == "both":
        return _in_a_plan([out, *at.grad(out, floats, seeds=seed)])
    return _in_a_plan([at.grad(out, floats[int(case.part)], seeds=seed)])


def eager(case: Case) -> Callable[[], object]:
    """The same, operation by operation, recorded where gradients are asked for."""
    if case.group in ("update", "recurrent"):
        raise KeyError("compiled only")
    arrays = case.arrays()
    if case.part == "forward":
        xs = [at.Tensor(a) for a in arrays]
        return lambda: _call(case, xs)
    xs = [at.Tensor(a, requires_grad=a.dtype == np.float32) for a in arrays]
    floats = [x for x in xs if x.dtype == np.float32]
    out = _call(case, xs)
    g = np.ones(out.shape, "f4")
    if case.part == "both":
        return lambda: at.grad(_call(case, xs), floats, seeds=g, create_graph=False)
    return lambda: at.grad(out, floats[int(case.part)], seeds=g, create_graph=False)
