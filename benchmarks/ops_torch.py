"""How PyTorch says the operations of ``ops``: its functions, modules and optimizers, the fastest form of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.ops import Case

_ELEMENTWISE = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu, "gelu": F.gelu}


def _tensors(case: Case, channels_last: bool) -> list[torch.Tensor]:
    """Images and kernels in PyTorch's order of axes, in either order of memory."""
    made = []
    for k, array in enumerate(case.arrays()):
        x = torch.from_numpy(array)
        if x.dtype == torch.int32:
            x = x.long()
        if case.group in ("conv", "pool") or (case.kind == "batch_norm" and x.ndim == 4):
            last = x.ndim - 1
            if k == 0:
                x = x.permute(0, last, *range(1, last))
            else:
                x = x.permute(last, last - 1, *range(last - 1))
                if case.kind == "depthwise":
                    x = x.permute(1, 0, 2, 3)
            keep = channels_last and x.ndim == 4
            x = x.contiguous(memory_format=torch.channels_last if keep else torch.contiguous_format)
        made.append(x)
    return made


def _call(case: Case, xs: list[torch.Tensor]) -> torch.Tensor:
    kind, words = case.kind, case.words
    if kind == "conv":
        return (F.conv2d if xs[0].ndim == 4 else F.conv1d)(*xs, stride=words.get("strides", 1))
    if kind == "depthwise":
        return F.conv2d(*xs, groups=len(xs[1]))
    if kind == "max_pool":
        return F.max_pool2d(*xs, words["size"], words.get("strides"))
    if kind == "average_pool":
        return F.avg_pool2d(*xs, words["size"])
    if kind == "max":
        return xs[0].max() if words["axis"] is None else xs[0].amax(words["axis"])
    if kind in ("sum", "mean"):
        return getattr(torch, kind)(*xs, dim=words["axis"])
    if kind == "var":
        return torch.var(*xs, dim=words["axis"], correction=0)
    if kind in _ELEMENTWISE:
        return _ELEMENTWISE[kind](*xs)
    if kind == "softmax":
        return torch.softmax(*xs, -1)
    if kind == "cross_entropy":
        return F.cross_entropy(*xs)
    if kind == "embedding":
        return F.embedding(xs[1], xs[0])
    if kind == "batch_norm":
        return F.batch_norm(xs[0], None, None, *xs[1:], training=True)
    if kind == "layer_norm":
        return F.layer_norm(xs[0], xs[0].shape[1:], *xs[1:])
    if kind == "matmul":
        return torch.matmul(*xs)
    raise KeyError(kind)


def _update(case: Case) -> Callable[[], object]:
    [values] = _tensors(case, False)
    weight = nn.Parameter(values.clone())
    weight.grad = values
    if case.kind == "SGD":
        return torch.optim.SGD([weight], lr=0.001, momentum=0.9, fused=True).step
    if case.kind == "Adam":
        return torch.optim.Adam([weight], lr=0.001, fused=True).step
    return torch.optim.RMSprop([weight], lr=0.001, foreach=True).step


def _recurrent(case: Case) -> Callable[[], object]:
    [x] = _tensors(case, False)
    cell = {"lstm": nn.LSTM, "gru": nn.GRU}[case.kind](x.shape[-1], case.words["units"], batch_first=True)
    if case.part == "forward":

        def forward() -> object:
            with torch.no_grad():
                return cell(x)[0]

        return forward
    x.requires_grad_()
    wanted = [x, *cell.parameters()]
    g = torch.ones(*x.shape[:2], case.words["units"])
    return lambda: torch.autograd.grad(cell(x)[0], wanted, g)


def prepare(case: Case, channels_last: bool) -> Callable[[], object]:
    """A call that does the work of the case."""
    torch.set_num_threads(os.cpu_count() or 1)
    if not channels_last and case.group not in ("conv", "pool"):
        raise KeyError("images only")
    if case.group == "update":
        return _update(case)
    if case.group == "recurrent":
        return _recurrent(case)
    xs: Any = _tensors(case, channels_last)
    if case.part == "forward":

        def forward() -> object:
            with torch.no_grad():
                return _call(case, xs)

        return forward
    floats = [x.requires_grad_() for x in xs if x.dtype == torch.float32]
    out = _call(case, xs)
    g = torch.ones_like(out)
    if case.part == "both":
        return lambda: torch.autograd.grad(_call(case, xs), floats, g)
    return lambda: torch.autograd.grad(out, floats[int(case.part)], g, retain_graph=True)
