"""The workloads in PyTorch, as its users write them: modules, a loss, an optimizer, a loop.

Images and sequences of convolutions are handed over channels-first, as PyTorch has them, in the memory format that is
faster here: channels-last, by 1.4 (eager) and 1.0 (compiled) on ``cifar-cnn``. Labels are class numbers where they are
one-hot.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.workloads import Branch, Layer, Workload, data, kernel_sizes, out_shape


class Recurrent(nn.Module):
    """An LSTM or GRU over (batch, steps, features) -> all its outputs, or the last one."""

    def __init__(self, layer: Layer, width: int):
        super().__init__()
        self.cell = getattr(nn, layer.kind)(width, layer.units, batch_first=True)
        self.sequences = layer.return_sequences

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.cell(x)[0]
        return out if self.sequences else out[:, -1]


class Repeat(nn.Module):
    def __init__(self, n: int):
        super().__init__()
        self.n = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, None].expand(-1, self.n, -1)


class MeanOverSteps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(-1)


def _modules(layer: Layer, shape: tuple[int, ...]) -> list[nn.Module]:
    """The modules of one layer; ``shape`` is that of a row in Keras's order (channels last)."""
    if layer.kind == "Dense":
        made: list[nn.Module] = [nn.Linear(shape[-1], layer.units)]
    elif layer.kind in ("Conv1D", "Conv2D"):
        kind = nn.Conv1d if layer.kind == "Conv1D" else nn.Conv2d
        made = [kind(shape[-1], layer.filters, kernel_sizes(layer), padding=layer.padding or "valid")]
    elif layer.kind == "MaxPooling1D":
        made = [nn.MaxPool1d(layer.pool_size)]
    elif layer.kind == "MaxPooling2D":
        made = [nn.MaxPool2d(layer.pool_size)]
    elif layer.kind == "GlobalAveragePooling1D":
        made = [MeanOverSteps()]
    elif layer.kind == "Flatten":
        made = [nn.Flatten()]
    elif layer.kind == "Dropout":
        made = [nn.Dropout(layer.rate)]
    elif layer.kind == "Embedding":
        made = [nn.Embedding(layer.input_dim, layer.output_dim)]
    elif layer.kind in ("LSTM", "GRU"):
        made = [Recurrent(layer, shape[-1])]
    else:
        made = [Repeat(layer.n)]
    if layer.activation == "relu":
        made.append(nn.ReLU())
    return made  # softmax and sigmoid at the end belong to the loss


class Network(nn.Module):
    """Branches, concatenated, and what follows them; gives logits."""

    def __init__(self, workload: Workload):
        super().__init__()
        self.branches = nn.ModuleList()
        ends = []
        for branch in workload.branches:
            modules, shape = _chain(branch.layers, branch.shape)
            self.branches.append(modules)
            ends.append(shape)
        self.top, _ = _chain(workload.top, (*ends[0][:-1], sum(end[-1] for end in ends)))

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        ends = [branch(x) for branch, x in zip(self.branches, xs)]
        return self.top(ends[0] if len(ends) == 1 else torch.cat(ends, -1))


def _chain(layers: tuple[Layer, ...], shape: tuple[int, ...]) -> tuple[nn.Sequential, tuple[int, ...]]:
    modules: list[nn.Module] = []
    for layer in layers:
        modules += _modules(layer, shape)
        shape = out_shape(layer, shape)
    return nn.Sequential(*modules), shape


def _input(x: np.ndarray, branch: Branch) -> torch.Tensor:
    """Channels first where convolutions follow."""
    if branch.layers[0].kind == "Conv2D":
        tensor = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        return tensor.contiguous(memory_format=torch.channels_last)
    if branch.layers[0].kind == "Conv1D":
        return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 1)))
    return torch.from_numpy(x.astype("int64") if branch.words else x)


def _optimizer(workload: Workload, network: nn.Module, fused: bool) -> torch.optim.Optimizer:
    """The fastest form each has: fused where there is one, else over lists of tensors."""
    settings: dict[str, Any] = dict(workload.settings)
    rate = settings.pop("learning_rate")
    parameters = list(network.parameters())
    if workload.optimizer == "SGD":
        return torch.optim.SGD(parameters, lr=rate, fused=fused, **settings)
    if workload.optimizer == "RMSprop":
        return torch.optim.RMSprop(parameters, lr=rate, alpha=0.9, eps=1e-7, foreach=fused)
    return torch.optim.Adadelta(parameters, lr=rate, eps=1e-7, foreach=fused, **settings)


class TorchTrainer:
    """See :class:`benchmarks.trainer.Trainer`."""

    def __init__(self, workload: Workload, compiled: bool = False):
        torch.set_num_threads(os.cpu_count() or 1)
        torch.manual_seed(0)
        xs, y = data(workload, workload.rows)
        self.xs = [_input(x, branch) for x, branch in zip(xs, workload.branches)]
        self.y = torch.from_numpy(y.argmax(-1) if workload.labels == "one-hot" else y)
        self.batch, self.workload = workload.batch, workload
        self.batch_xs, self.batch_y = [x[: self.batch] for x in self.xs], self.y[: self.batch]
        self.row = [x[:1] for x in self.xs]
        self.network: Any = Network(workload).to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(workload, self.network, fused=True)
        self.forward: Any = self._forward
        self.update: Any = self.optimizer.step
        if compiled:
            self.forward = torch.compile(self._forward)
            self.network.compile()
            if workload.optimizer != "SGD":
                self.update = torch.compile(self.optimizer.step)

    def _forward(self, xs: list[torch.Tensor], y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Loss, and accuracy where it is asked for."""
        logits = self.network(*xs)
        if self.workload.labels == "binary":
            loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
            right = (logits > 0) == (y > 0.5)
        else:
            loss = nn.functional.cross_entropy(logits, y)
            right = logits.argmax(-1) == (y if self.workload.labels == "one-hot" else y.argmax(-1))
        return (loss, right.float().mean()) if self.workload.accuracy else (loss,)

    def _train(self, xs: list[torch.Tensor], y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.optimizer.zero_grad()
        logs = self.forward(xs, y)
        logs[0].backward()
        self.update()
        return logs

    def step(self) -> object:
        return [float(value) for value in self._train(self.batch_xs, self.batch_y)]

    def fit(self, epochs: int) -> object:
        history = []
        rows = len(self.y)
        for _ in range(epochs):
            order, total = torch.randperm(rows), 0.0
            for start in range(0, rows, self.batch):
                index = order[start : start + self.batch]
                logs = self._train([x[index] for x in self.xs], self.y[index])
                total += float(logs[0]) * len(index)
            history.append(total / rows)
        return history

    def _result(self, xs: list[torch.Tensor]) -> torch.Tensor:
        logits = self.network(*xs)
        return torch.sigmoid(logits) if self.workload.labels == "binary" else torch.softmax(logits, -1)

    def predict_row(self) -> object:
        self.network.eval()
        with torch.inference_mode():
            result = self._result(self.row).numpy()
        self.network.train()
        return result

    predict_call = predict_row

    def predict_rows(self) -> object:
        self.network.eval()
        with torch.inference_mode():
            parts = [self._result([x[i : i + 32] for x in self.xs]) for i in range(0, len(self.y), 32)]
            result = torch.cat(parts).numpy()
        self.network.train()
        return result
