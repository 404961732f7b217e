"""The workloads as a Keras user writes them, for any Keras: ours, Keras 3, tf.keras."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.workloads import Layer, Workload, data


def build(workload: Workload, keras: Any) -> Any:
    """The compiled model: Sequential where the layers are a chain, else by calling layers on tensors."""

    def make(layer: Layer, **first: Any) -> Any:
        return getattr(keras.layers, layer.kind)(**layer.arguments, **first)

    if not workload.top:
        [branch] = workload.branches
        model = keras.models.Sequential()
        first = {} if branch.words else {"input_shape": branch.shape}
        model.add(make(branch.layers[0], **first))
        for layer in branch.layers[1:]:
            model.add(make(layer))
    else:
        inputs, ends = [], []
        for branch in workload.branches:
            x = keras.layers.Input(shape=branch.shape, dtype="int32" if branch.words else "float32")
            inputs.append(x)
            for layer in branch.layers:
                x = make(layer)(x)
            ends.append(x)
        x = keras.layers.Concatenate(axis=-1)(ends)
        for layer in workload.top:
            x = make(layer)(x)
        model = keras.models.Model(inputs, x)
    optimizer = getattr(keras.optimizers, workload.optimizer)(**workload.settings)
    metrics = ["accuracy"] if workload.accuracy else None
    model.compile(loss=workload.loss, optimizer=optimizer, metrics=metrics)
    return model


class KerasTrainer:
    """See :class:`benchmarks.trainer.Trainer`."""

    def __init__(self, workload: Workload, keras: Any):
        self.model = build(workload, keras)
        self.batch = workload.batch
        self.xs, self.y = data(workload, workload.rows)
        self.batch_xs, self.batch_y = _given([x[: self.batch] for x in self.xs]), self.y[: self.batch]
        self.row = _given([x[:1] for x in self.xs])
        self.step = functools.partial(self.model.train_on_batch, self.batch_xs, self.batch_y)
        self.predict_row = functools.partial(self.model.predict_on_batch, self.row)

    def fit(self, epochs: int) -> object:
        return self.model.fit(_given(self.xs), self.y, batch_size=self.batch, epochs=epochs, verbose=0)

    def predict_call(self) -> object:
        return self.model.predict(self.row, verbose=0)

    def predict_rows(self) -> object:
        return self.model.predict(_given(self.xs), verbose=0)


def _given(xs: list[np.ndarray]) -> Any:
    """As a user passes them: one array, or a list where there are several inputs."""
    return xs if len(xs) > 1 else xs[0]
