"""Samples of ``autotensor.ops.conv``: against loops over every window, tap and position."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array
from tests.autotensor.samples.window import first, geometry, last, meetings, need

EVERY = slice(None)


def shape_of(x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, depthwise: bool) -> tuple[int, ...]:
    n = len(strides)
    need(x.ndim == kernel.ndim == n + 2 and x.shape[-1] == kernel.shape[-2])
    found = [m for _, _, m in geometry(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)]
    return (x.shape[0], *found, kernel.shape[-1] * (kernel.shape[-2] if depthwise else 1))


def conv(x, kernel, **how):
    out = np.zeros(shape_of(x, kernel, **how, depthwise=False), np.result_type(x, kernel))
    for o, k, p in meetings(x.shape[1:-1], kernel.shape[:-2], **how):
        out[(EVERY, *o)] += x[(EVERY, *p)] @ kernel[k]
    return out


def biased(x, kernel, bias, relu, **how):
    need(bias.shape == kernel.shape[-1:])
    out = conv(x, kernel, **how) + bias
    return out * (out > 0) if relu else out


def masked(g, out):
    need(g.ndim and g.shape == out.shape)
    left = np.where(out > 0, g, 0)
    return left, left.sum(tuple(range(g.ndim - 1)))


def conv_input(y, kernel, like, **how):
    need(like.ndim and y.shape == shape_of(like, kernel, **how, depthwise=False))
    out = np.zeros(like.shape, np.result_type(y, kernel))
    for o, k, p in meetings(like.shape[1:-1], kernel.shape[:-2], **how):
        out[(EVERY, *p)] += y[(EVERY, *o)] @ kernel[k].T
    return out


def conv_kernel(x, y, like, **how):
    need(like.ndim and y.shape == shape_of(x, like, **how, depthwise=False))
    out = np.zeros(like.shape, np.result_type(x, y))
    for o, k, p in meetings(x.shape[1:-1], like.shape[:-2], **how):
        out[k] += x[(EVERY, *p)].T @ y[(EVERY, *o)]
    return out


def transposed(x, kernel, output_size, output_padding=None, **how):
    """Transposed convolution into a known size, whose shape the sample states."""
    need(x.ndim == kernel.ndim == len(output_size) + 2 and x.shape[-1] == kernel.shape[-1])
    return conv_input(x, kernel, np.zeros((x.shape[0], *output_size, kernel.shape[-2])), **how)


def depthwise(x, kernel, **how):
    out = np.zeros(shape_of(x, kernel, **how, depthwise=True), np.result_type(x, kernel))
    m = kernel.shape[-1]
    for o, k, p in meetings(x.shape[1:-1], kernel.shape[:-2], **how):
        for c in range(x.shape[-1]):
            for j in range(m):
                out[(EVERY, *o, c * m + j)] += x[(EVERY, *p, c)] * kernel[(*k, c, j)]
    return out


def depthwise_input(y, kernel, like, **how):
    need(like.ndim and y.shape == shape_of(like, kernel, **how, depthwise=True))
    out = np.zeros(like.shape, np.result_type(y, kernel))
    m = kernel.shape[-1]
    for o, k, p in meetings(like.shape[1:-1], kernel.shape[:-2], **how):
        for c in range(like.shape[-1]):
            for j in range(m):
                out[(EVERY, *p, c)] += y[(EVERY, *o, c * m + j)] * kernel[(*k, c, j)]
    return out


def depthwise_kernel(x, y, like, **how):
    need(like.ndim and y.shape == shape_of(x, like, **how, depthwise=True))
    out = np.zeros(like.shape, np.result_type(x, y))
    m = like.shape[-1]
    for o, k, p in meetings(x.shape[1:-1], like.shape[:-2], **how):
        for c in range(x.shape[-1]):
            for j in range(m):
                out[(*k, c, j)] += (x[(EVERY, *p, c)] * y[(EVERY, *o, c * m + j)]).sum()
    return out


def how(strides: Any, padding: Any = "valid", dilation: Any = None) -> dict[str, Any]:
    return {"strides": strides, "padding": padding, "dilation": dilation or (1,) * len(strides)}


def size_given(size: Any) -> dict[str, Any]:
    return {"output_size": size, "output_padding": None}


SAMPLES: dict[str, list[Sample]] = {
    "conv": [
        Sample(array(2, 5, 6, 3), array(3, 2, 3, 4, seed=1), oracle=conv, name="plane", **how((1, 1))),
        Sample(array(2, 7, 3), array(3, 3, 2, seed=1), oracle=conv, name="causal", **how((1,), "causal", (2,))),
        Sample(array(2, 5, 6, 3), array(2, 4, 3, 1, seed=1), oracle=conv, name="same", **how((2, 1), "same")),
        Sample(
            array(1, 7, 6, 2),
            array(2, 3, 2, 3, seed=1),
            oracle=conv,
            name="borders",
            **how((2, 1), ((1, 2), (0, 3)), (2, 2)),
        ),
        Sample(array(1, 3, 4, 2, 2), array(2, 2, 2, 2, 3, seed=1), oracle=conv, name="room", **how((1, 2, 1))),
        Sample(array(2, 3, 4, 5), array(1, 1, 5, 2, seed=1), oracle=conv, name="points", **how((1, 1))),
        Sample(
            array(2, 3, 5, 4),
            array(2, 2, 3, 2, seed=1),
            call=lambda x, k, **_: at.conv(x, k, padding="same", strides=2, layout="channels_first"),
            oracle=lambda x, k: first(conv(last(x), k, **how((2, 2), "same"))),
            name="channels_first",
            skip={"fallback": "of the operation itself above"},
        ),
    ],
    "conv_bias": [
        Sample(
            array(2, 5, 6, 3), array(3, 2, 3, 4, seed=1), array(4, seed=2),
            oracle=biased, name="relu", relu=True, **how((1, 1)),
        ),
        Sample(
            array(2, 7, 3), array(2, 3, 2, seed=1), array(2, seed=2),
            oracle=biased, name="linear", relu=False, **how((2,), "same"),
        ),
    ],
    "relu_bias_grad": [
        Sample(array(2, 5, 3), array(2, 5, 3, seed=1), oracle=masked, wrt=(0,), name="line"),
        Sample(array(2, 3, 4, 5), array(2, 3, 4, 5, seed=1), oracle=masked, wrt=(0,), name="plane"),
    ],
    "conv_input": [
        Sample(
            array(2, 3, 6, 4), array(3, 2, 3, 4, seed=1), array(2, 5, 6, 3, seed=2),
            oracle=conv_input, name="strides 1", wrt=(0, 1), **how((1, 1), ((0, 0), (0, 1))),
        ),
        Sample(
            array(2, 3, 6, 1), array(2, 4, 3, 1, seed=1), array(2, 5, 6, 3, seed=2),
            oracle=conv_input, name="same", wrt=(0, 1), **how((2, 1), "same"),
        ),
        Sample(
            array(1, 4, 5), array(2, 3, 5, seed=1), array(1, 8, 3, seed=2),
            oracle=conv_input, name="strides larger", wrt=(0, 1), **how((2,), ((0, 1),)),
        ),
        Sample(
            array(2, 3, 4, 2), array(1, 1, 5, 2, seed=1), array(2, 3, 4, 5, seed=2),
            oracle=conv_input, name="points", wrt=(0, 1), **how((1, 1)),
        ),
        Sample(
            array(1, 9, 2), array(2, 3, 2, seed=1), array(1, 4, 3, seed=2),
            oracle=conv_input, name="wide borders", wrt=(0, 1), **how((1,), ((3, 3),)),
        ),
    ],
    "conv_kernel": [
        Sample(
            array(2, 5, 6, 3), array(2, 3, 6, 1, seed=1), array(2, 4, 3, 1, seed=2),
            oracle=conv_kernel, name="same", wrt=(0, 1), **how((2, 1), "same"),
        ),
        Sample(
            array(2, 7, 3), array(2, 4, 2, seed=1), array(2, 3, 2, seed=2),
            oracle=conv_kernel, name="dilated", wrt=(0, 1), **how((1,), "valid", (3,)),
        ),
        Sample(
            array(2, 3, 4, 5), array(2, 3, 4, 2, seed=1), array(1, 1, 5, 2, seed=2),
            oracle=conv_kernel, name="points", wrt=(0, 1), **how((1, 1)),
        ),
    ],
    "conv_transpose": [
        Sample(
            array(2, 3, 4, 5), array(3, 2, 2, 5, seed=1),
            oracle=lambda x, k, **p: transposed(x, k, **{**p, "output_size": (7, 7)}),
            name="valid", output_size=None, output_padding=None, **how((2, 2), ((0, 0), (0, 1))),
            skip={"empty": "the size of the result is the oracle's only for this input"},
        ),
        Sample(
            array(2, 3, 4, 5), array(2, 3, 1, 5, seed=1),
            oracle=transposed, name="same", **size_given((5, 4)), **how((2, 1), "same"),
        ),
        Sample(array(1, 4, 2), array(3, 3, 2, seed=1), oracle=transposed, name="line",
               **size_given((10,)), **how((2,), "valid", (1,))),
        Sample(array(1, 2, 3, 2, 2), array(2, 2, 2, 3, 2, seed=1), oracle=transposed, name="room",
               **size_given((3, 6, 3)), **how((1, 2, 1), ((0, 0), (0, 0), (0, 0)))),
    ],
    "depthwise_conv": [
        Sample(array(2, 5, 6, 3), array(3, 2, 3, 2, seed=1), oracle=depthwise, name="plane", **how((1, 1))),
        Sample(array(2, 5, 6, 3), array(2, 4, 3, 1, seed=1), oracle=depthwise, name="same", **how((2, 1), "same")),
        Sample(array(2, 7, 3), array(2, 3, 2, seed=1), oracle=depthwise, name="dilated", **how((2,), ((2, 1),), (3,))),
        Sample(array(1, 3, 2, 4, 2), array(2, 1, 3, 2, 1, seed=1), oracle=depthwise, name="room", **how((1, 1, 1))),
    ],
    "depthwise_conv_input": [
        Sample(
            array(2, 3, 6, 3), array(2, 4, 3, 1, seed=1), array(2, 5, 6, 3, seed=2),
            oracle=depthwise_input, name="same", wrt=(0, 1), **how((2, 1), "same"),
        ),
        Sample(
            array(2, 5, 6), array(3, 3, 2, seed=1), array(2, 7, 3, seed=2),
            oracle=depthwise_input, name="line", wrt=(0, 1), **how((1,)),
        ),
    ],
    "depthwise_conv_kernel": [
        Sample(
            array(2, 5, 6, 3), array(2, 3, 6, 3, seed=1), array(2, 4, 3, 1, seed=2),
            oracle=depthwise_kernel, name="same", wrt=(0, 1), **how((2, 1), "same"),
        ),
        Sample(
            array(2, 7, 3), array(2, 5, 6, seed=1), array(3, 3, 2, seed=2),
            oracle=depthwise_kernel, name="line", wrt=(0, 1), **how((1,)),
        ),
    ],
}  # fmt: skip
