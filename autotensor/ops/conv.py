"""Convolution in one, two and three dimensions: a family that is closed under differentiation.

A convolution is linear in its input x and in its kernel k, so three maps are enough, each the gradient of the others:

    conv(x, k)            -> y      sum of products of windows and kernel
    conv_input(y, k)      -> x      its transposed map in x: gradient of the input, transposed convolution
    conv_kernel(x, y)     -> k      its transposed map in k: gradient of the kernel

What is called convolution here, as everywhere in networks, is cross-correlation: the kernel is not turned around.
The depthwise family is made in the same way. Strides, padding and dilation: see ``autotensor.ops.window``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, Shape, float_dtype, shape_of
from autotensor.core.op import Op, defop, run_bound
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.kernels import conv as kernels
from autotensor.kernels.calls import Copies, chained, ordered
from autotensor.ops.activation import relu as rectified
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import add, astype, greater, where
from autotensor.ops.like import broadcast_like
from autotensor.ops.linalg import einsum, matmul
from autotensor.ops.reduce import sum as summed
from autotensor.ops.shape import reshape, text
from autotensor.ops.window import (
    Padding,
    accumulated,
    by_axis,
    channels_last,
    numbers,
    out_space,
    padding_of,
    restored,
    same_space,
    space_of,
    unfold_op,
    windows,
)

__all__ = ["conv", "conv_transpose", "depthwise_conv"]

Bind = Callable[..., tuple[Callable[..., Any], tuple[Any, ...]]]


def _geometry(params: dict[str, Any]) -> tuple[Any, Any, Any]:
    return params["strides"], params["padding"], params["dilation"]


def _output(name: str, x: Shape, kernel: Shape, params: dict[str, Any], depthwise: bool) -> Shape:
    """Shape of conv(x, kernel); raises where they do not fit."""
    n = len(params["strides"])
    if len(x) != n + 2 or len(kernel) != n + 2:
        raise ShapeError(
            f"[{name}] expected an input (samples, {n} axes of space, channels) and a kernel ({n} sizes, channels in, "
            f"channels out); got {text(x)} and {text(kernel)}."
        )
    (*size, c_in, c_out), c = kernel, x[-1]
    if None not in (c, c_in) and c != c_in:
        hint = "Is the input channels_first?" if x[1] == c_in else "Check the last axes of both."
        raise ShapeError(
            f"[{name}] expected as many channels as the kernel reads, {c_in}; got {c}, in {text(x)} with a kernel "
            f"{text(kernel)}. {hint}"
        )
    channels: Dim = c_out
    if depthwise:
        c = c if c_in is None else c_in
        channels = None if c is None or c_out is None else c * c_out
    return (x[0], *out_space(name, x[1:-1], size, *_geometry(params)), channels)


def _bound(kernel: Bind, out: np.ndarray, arrays: Sequence[np.ndarray], w: Any, scratch: Any, **more: Any) -> Any:
    """The call of a kernel; arrays of another dtype or order than its own are copied before, the result after it."""
    work = accumulated(out.dtype)
    before: Copies = []
    given = [ordered(a, work, scratch, before) for a in arrays]
    plain = out.dtype == work and out.flags.c_contiguous
    made = out if plain else scratch(out.shape, work)
    return chained(before, kernel(made, *given, w, scratch, **more), [] if plain else [(out, made)])


def _into(bind: Callable[..., Any]) -> Callable[..., None]:
    """The same for plans without compiled kernels."""

    def into(out: np.ndarray, *arrays: Any, **params: Any) -> None:
        run_bound(bind, [out], arrays, **params)

    return into


def _dtype(*arrays: np.ndarray) -> np.dtype:
    if all([a.dtype == arrays[0].dtype for a in arrays]) and arrays[0].dtype.kind == "f":
        return arrays[0].dtype
    return float_dtype(*[Aval((), a.dtype) for a in arrays])


def _as(g: Tensor, x: Tensor) -> Tensor:
    """A gradient in the dtype of what it belongs to."""
    return g if g.dtype == x.dtype else astype(g, x.dtype)


def _family(
    name: str, depthwise: bool, forward: Bind, by_input: Bind, by_kernel: Bind, fallback: Any
) -> tuple[Op, ...]:
    """The three maps of a family as operations: conv(x, k), its transposed map in x, and that in k."""

    def concrete(x: tuple[int, ...], k: tuple[int, ...], y: tuple[int, ...] | None, params: dict[str, Any]) -> Any:
        """Windows for known shapes, and the shape of conv(x, k)."""
        shape = _output(name, x, k, params, depthwise)
        if y is not None:
            same_space(name, "an output of shape", y, shape)
        return windows(name, x[1:-1], k[:-2], *_geometry(params)), shape

    # y = conv(x, k)

    def infer(x: Operand, kernel: Operand, **params: Any) -> Aval:
        return Aval(_output(name, shape_of(x), shape_of(kernel), params, depthwise), float_dtype(x, kernel))

    def bind(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
        x, kernel = arrays
        w, _ = concrete(x.shape, kernel.shape, None, params)
        return _bound(forward, outs[0], (x, kernel), w, scratch)

    def impl(x: np.ndarray, kernel: np.ndarray, **params: Any) -> np.ndarray:
        out = np.empty(concrete(x.shape, kernel.shape, None, params)[1], _dtype(x, kernel))
        run_bound(bind, [out], [x, kernel], **params)
        return out

    @defop(name, impl=impl, infer=infer, bind=bind, into=_into(bind), fallback=fallback)
    def conv_op(needs, g, out, x, kernel, **params):
        gx = _as(input_op(g, kernel, x, **params), x) if needs[0] else None
        gk = _as(kernel_op(x, g, kernel, **params), kernel) if needs[1] else None
        return gx, gk

    # x = conv_input(y, k), in the size of a third tensor

    def infer_input(g: Operand, kernel: Operand, like: Operand, **params: Any) -> Aval:
        shape = shape_of(like)
        wanted = _output(name, shape, shape_of(kernel), params, depthwise)
        same_space(name, "an output of shape", shape_of(g), wanted)
        return Aval(shape, float_dtype(g, kernel))

    def bind_input(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
        g, kernel, _ = arrays
        w, _ = concrete(outs[0].shape, kernel.shape, g.shape, params)
        return _bound(by_input, outs[0], (g, kernel), w, scratch)

    def impl_input(g: np.ndarray, kernel: np.ndarray, like: np.ndarray, **params: Any) -> np.ndarray:
        out = np.empty(like.shape, _dtype(g, kernel))
        run_bound(bind_input, [out], [g, kernel, like], **params)
        return out

    @defop(f"{name}_input", impl=impl_input, infer=infer_input, bind=bind_input, into=_into(bind_input))
    def input_op(needs, g, out, y, kernel, like, **params):
        gy = _as(conv_op(g, kernel, **params), y) if needs[0] else None
        gk = _as(kernel_op(g, y, kernel, **params), kernel) if needs[1] else None
        return gy, gk, None

    # k = conv_kernel(x, y), in the size of a third tensor

    def infer_kernel(x: Operand, g: Operand, like: Operand, **params: Any) -> Aval:
        shape = shape_of(like)
        same_space(name, "an output of shape", shape_of(g), _output(name, shape_of(x), shape, params, depthwise))
        return Aval(shape, float_dtype(x, g))

    def bind_kernel(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
        x, g, _ = arrays
        w, _ = concrete(x.shape, outs[0].shape, g.shape, params)
        return _bound(by_kernel, outs[0], (x, g), w, scratch)

    def impl_kernel(x: np.ndarray, g: np.ndarray, like: np.ndarray, **params: Any) -> np.ndarray:
        out = np.empty(like.shape, _dtype(x, g))
        run_bound(bind_kernel, [out], [x, g, like], **params)
        return out

    @defop(f"{name}_kernel", impl=impl_kernel, infer=infer_kernel, bind=bind_kernel, into=_into(bind_kernel))
    def kernel_op(needs, g, out, x, y, like, **params):
        gx = _as(input_op(y, g, x, **params), x) if needs[0] else None
        gy = _as(conv_op(x, g, **params), y) if needs[1] else None
        return gx, gy, None

    conv_op.doc = f"{name}(x, kernel): the sum of products of windows and kernel."
    input_op.doc = f"The transposed map of {name} in its input, in the shape of a third tensor."
    kernel_op.doc = f"The transposed map of {name} in its kernel, in the shape of a third tensor."
    return conv_op, input_op, kernel_op


def _conv_fallback(x: Tensor, kernel: Tensor, **params: Any) -> Tensor:
    shape: Any = kernel.shape
    rows = unfold_op(x, size=shape[:-2], channels_major=False, **params)
    return matmul(rows, reshape(kernel, (-1, shape[-1])))


def _depthwise_fallback(x: Tensor, kernel: Tensor, **params: Any) -> Tensor:
    shape: Any = kernel.shape
    *size, c, m = shape
    rows = unfold_op(x, size=tuple(size), channels_major=False, **params)
    each = reshape(rows, (*rows.shape[:-1], math.prod(size), c))
    made = einsum("...kc,kcm->...cm", each, reshape(kernel, (-1, c, m)))
    return reshape(made, (*rows.shape[:-1], c * m))


conv_op, conv_input_op, conv_kernel_op = _family(
    "conv", False, kernels.forward, kernels.backward_input, kernels.backward_kernel, _conv_fallback
)
depthwise_op, depthwise_input_op, depthwise_kernel_op = _family(
    "depthwise_conv",
    True,
    kernels.depthwise_forward,
    kernels.depthwise_backward_input,
    kernels.depthwise_backward_kernel,
    _depthwise_fallback,
)

# -- with bias and activation, which cost nothing while the result is in the cache


def _infer_bias(x: Operand, kernel: Operand, bias: Operand, relu: bool, **params: Any) -> Aval:
    shape = _output("conv", shape_of(x), shape_of(kernel), params, False)
    given = shape_of(bias)
    if len(given) != 1 or (None not in (given[0], shape[-1]) and given[0] != shape[-1]):
        raise ShapeError(f"[conv] expected a bias of one number a channel, ({shape[-1]},); got shape {text(given)}.")
    return Aval(shape, float_dtype(x, kernel, bias))


def _bias_bind(outs: Any, arrays: Any, scratch: Any, relu: bool, **params: Any) -> Any:
    x, kernel, _ = arrays
    w = windows("conv", x.shape[1:-1], kernel.shape[:-2], *_geometry(params))

    def forward(out: np.ndarray, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, w: Any, scratch: Any) -> Any:
        return kernels.forward(out, x, kernel, w, scratch, bias, relu)

    return _bound(forward, outs[0], arrays, w, scratch)


def _bias_impl(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, **params: Any) -> np.ndarray:
    operands: list[Any] = [Aval(a.shape, a.dtype) for a in (x, kernel, bias)]
    aval = _infer_bias(*operands, **params)
    shape: Any = aval.shape
    out = np.empty(shape, _dtype(x, kernel, bias))
    run_bound(_bias_bind, [out], [x, kernel, bias], **params)
    return out


def _bias_fallback(x: Tensor, kernel: Tensor, bias: Tensor, relu: bool, **params: Any) -> Tensor:
    out = add(conv_op(x, kernel, **params), bias)
    return rectified(out) if relu else out


@defop(
    "conv_bias",
    impl=_bias_impl,
    infer=_infer_bias,
    bind=_bias_bind,
    into=_into(_bias_bind),
    fallback=_bias_fallback,
)
def conv_bias_op(needs, g, out, x, kernel, bias, relu, **params):
    """conv(x, kernel) + bias, and its negative elements made 0 if ``relu``."""
    if relu:
        g, gb = relu_bias_grad(g, out)
    else:
        gb = summed(g, axis=tuple(range(g.ndim - 1))) if needs[2] else None
    gx = _as(conv_input_op(g, kernel, x, **params), x) if needs[0] else None
    gk = _as(conv_kernel_op(x, g, kernel, **params), kernel) if needs[1] else None
    return gx, gk, _as(gb, bias) if needs[2] else None


def _infer_relu_bias(g: Operand, out: Operand) -> tuple[Aval, Aval]:
    shape = shape_of(g)
    same_space("relu_bias_grad", "a result of shape", shape_of(out), shape)
    dtype = float_dtype(g)
    return Aval(shape, dtype), Aval(shape[-1:], dtype)


def _relu_bias_bind(outs: Any, arrays: Any, scratch: Any) -> Any:
    work = accumulated(outs[0].dtype)
    before: Copies = []
    after: Copies = []
    given = [ordered(a, work, scratch, before) for a in arrays]
    made = [ordered(out, work, scratch, after) for out in outs]
    after = [(out, copy) for copy, out in after]
    return chained(before, kernels.relu_grad(made[0], made[1], given[0], given[1], scratch), after)


def _relu_bias_impl(g: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outs = np.empty(g.shape, _dtype(g)), np.empty(g.shape[-1:], _dtype(g))
    run_bound(_relu_bias_bind, outs, (g, out))
    return outs


def _relu_bias_fallback(g: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    masked = where(greater(out, 0), g, 0.0)
    return masked, summed(masked, axis=tuple(range(g.ndim - 1)))


@defop(
    "relu_bias_grad",
    impl=_relu_bias_impl,
    infer=_infer_relu_bias,
    bind=_relu_bias_bind,
    fallback=_relu_bias_fallback,
    n_out=2,
)
def relu_bias_grad(needs, g, out, y, result):
    """y where the result of a rectifier is > 0, else 0, and the sum of that over all axes but the last."""
    masked, total = g
    if total is not None:
        masked = broadcast_like(total, y) if masked is None else add(masked, total)
    return where(greater(result, 0), masked, 0.0) if masked is not None and needs[0] else None, None


# -- transposed convolution


def _transposed_length(n: Dim, k: Dim, s: int, d: int, padding: str | tuple[int, int], extra: int | None) -> Dim:
    """Size of a transposed convolution along an axis, by the formulas of Keras 2.3's ``deconv_length``."""
    if n is None:
        return None
    if padding == "same" and extra is None:
        return n * s
    if k is None:
        return None
    reach = (k - 1) * d + 1
    if extra is not None:
        border = 2 * (reach // 2) if padding == "same" else 0 if isinstance(padding, str) else sum(padding)
        return (n - 1) * s + reach - border + extra
    if isinstance(padding, str):
        return n * s + max(reach - s, 0)
    return (n - 1) * s + reach - sum(padding)


def _transposed(
    x: Shape,
    kernel: Shape,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    output_size: tuple[int, ...] | None,
    output_padding: tuple[int, ...] | None,
) -> Shape:
    """Shape of the transposed convolution of x."""
    n = len(strides)
    if len(x) != n + 2 or len(kernel) != n + 2:
        raise ShapeError(
            f"[conv_transpose] expected an input (samples, {n} axes of space, channels) and a kernel ({n} sizes, "
            f"channels out, channels in); got {text(x)} and {text(kernel)}."
        )
    (*size, c_out, c_in), c = kernel, x[-1]
    if None not in (c, c_in) and c != c_in:
        raise ShapeError(
            f"[conv_transpose] expected as many channels as the kernel reads, {c_in}; got {c}, in {text(x)} with a "
            f"kernel {text(kernel)}. Its channels are (out, in)."
        )
    space: Sequence[Dim]
    if output_size is not None:
        space = output_size
    else:
        extra = output_padding or (None,) * n
        space = [
            _transposed_length(*each)
            for each in zip(x[1:-1], size, strides, dilation, by_axis(padding, n), extra, strict=True)
        ]
        if any([m is not None and m < 0 for m in space]):
            raise ShapeError(f"[conv_transpose] expected a result of sizes >= 0; got {text(space)} from {text(x)}.")
    back = out_space("conv_transpose", space, size, strides, padding, dilation)
    if any([None not in (a, b) and a != b for a, b in zip(back, x[1:-1])]):
        raise ShapeError(
            f"[conv_transpose] expected an output size whose convolution has the size of the input, {text(x[1:-1])}; "
            f"got {text(space)}, whose convolution has {text(back)}. Leave output_size out?"
        )
    return (x[0], *space, c_out)


def _infer_transpose(x: Operand, kernel: Operand, **params: Any) -> Aval:
    return Aval(_transposed(shape_of(x), shape_of(kernel), **params), float_dtype(x, kernel))


def _transpose_bind(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
    w = windows("conv_transpose", outs[0].shape[1:-1], arrays[1].shape[:-2], *_geometry(params))
    return _bound(kernels.backward_input, outs[0], arrays, w, scratch)


def _transpose_impl(x: np.ndarray, kernel: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _transposed(x.shape, kernel.shape, **params)
    out = np.empty(shape, _dtype(x, kernel))
    run_bound(_transpose_bind, [out], [x, kernel], **params)
    return out


@defop(
    "conv_transpose",
    impl=_transpose_impl,
    infer=_infer_transpose,
    bind=_transpose_bind,
    into=_into(_transpose_bind),
)
def conv_transpose_op(needs, g, out, x, kernel, **params):
    """The transposed map of ``conv``: (n, *space, c_in), (*size, c_out, c_in) -> (n, *larger, c_out)."""
    geometry = {name: params[name] for name in ("strides", "padding", "dilation")}
    gx = _as(conv_op(g, kernel, **geometry), x) if needs[0] else None
    gk = _as(conv_kernel_op(g, x, kernel, **geometry), kernel) if needs[1] else None
    return gx, gk


# -- at the door


def _parameters(op: str, x: Tensor, kernel: Tensor, strides: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    n = space_of(op, x, kernel.ndim - 2)
    return {
        "strides": numbers(op, "strides", strides, n),
        "padding": padding_of(op, padding, n),
        "dilation": numbers(op, "dilation", dilation, n),
    }


def conv(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    layout: str = "channels_last",
    bias: Any = None,
    activation: str = "linear",
) -> Tensor:
    """Convolution (cross-correlation) over 1, 2 or 3 axes of space: as many as the kernel has besides its channels.

    x: (n, *space, c_in), or (n, c_in, *space) with ``layout="channels_first"``; any size but that of the channels may
        be unknown. The result is (n, *out, c_out) or (n, c_out, *out).
    kernel: (*size, c_in, c_out) in both layouts.
    strides, dilation: an int, or one for each axis of space.
    padding: "valid" (none), "same" (out = ceil(space / strides); the odd position at the end, as in TensorFlow),
        "causal" (one axis of space: everything before the first position) or a pair (low, high) for each axis.
    bias: None or (c_out,), added to the result; with it in one pass goes
    activation: "linear", or "relu": max(result, 0).

    Raises ``ShapeError`` when channels differ, or when the kernel is larger than the input with its border.

    Raises ValueError for another activation.

        >>> import numpy as np
        >>> import autotensor as at
        >>> x, kernel = np.arange(5.0).reshape(1, 5, 1), np.array([1.0, -1.0]).reshape(2, 1, 1)
        >>> at.conv(x, kernel)[0, :, 0]
        Tensor([-1., -1., -1., -1.], dtype=float64)
        >>> at.grad(lambda k: at.sum(at.conv(x, k)))(kernel)[:, 0, 0]
        Tensor([ 6., 10.], dtype=float64)
    """
    if activation not in ("linear", "relu"):
        raise ValueError(f'[conv] expected activation "linear" or "relu"; got {activation!r}. Apply others after it.')
    relu = activation == "relu"
    x, kernel = operand(x), operand(kernel)
    params = _parameters("conv", x, kernel, strides, padding, dilation)
    x = channels_last("conv", x, layout)
    if bias is not None:
        out = conv_bias_op(x, kernel, operand(bias), relu=relu, **params)
    else:
        out = conv_op(x, kernel, **params)
        out = rectified(out) if relu else out
    return restored(out, layout)


def conv_transpose(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    layout: str = "channels_last",
    output_size: Any = None,
    output_padding: Any = None,
) -> Tensor:
    """Transposed convolution ("deconvolution"): the gradient of ``conv`` with respect to its input.

    x: (n, *space, c_in) or, channels_first, (n, c_in, *space); the result has c_out channels.
    kernel: (*size, c_out, c_in).
    strides, padding, dilation: those of the convolution that this transposes.
    output_size: sizes of the result along the axes of space. Several sizes have a convolution of the size of x; without
        a choice it is, with reach = (size - 1) dilation + 1, as in Keras 2.3:
        "valid": space * strides + max(reach - strides, 0); "same": space * strides;
        pairs (low, high): (space - 1) * strides + reach - low - high.
    output_padding: an int or one for each axis of space, in place of ``output_size``. The result is then
        (space - 1) * strides + reach - border + output_padding, where the border is 0 for "valid",
        2 * (reach // 2) for "same" and low + high for pairs.

    Raises ``ShapeError`` when the convolution of such a result would not have the size of x.

    Raises ValueError for both of ``output_size`` and ``output_padding``.
    """
    x, kernel = operand(x), operand(kernel)
    params = _parameters("conv_transpose", x, kernel, strides, padding, dilation)
    n = len(params["strides"])
    if output_size is not None and output_padding is not None:
        raise ValueError("[conv_transpose] expected output_size or output_padding; got both. Leave one out.")
    out = conv_transpose_op(
        channels_last("conv_transpose", x, layout),
        kernel,
        output_size=None if output_size is None else numbers("conv_transpose", "output_size", output_size, n, 0),
        output_padding=None
        if output_padding is None
        else numbers("conv_transpose", "output_padding", output_padding, n, 0),
        **params,
    )
    return restored(out, layout)


def depthwise_conv(
    x: Any, kernel: Any, strides: Any = 1, padding: Any = "valid", dilation: Any = 1, layout: str = "channels_last"
) -> Tensor:
    """Each channel convolved by itself with ``multiplier`` kernels of its own.

    x: (n, *space, c) or, channels_first, (n, c, *space); kernel: (*size, c, multiplier). The result has
    c * multiplier channels, number c * multiplier + m of them made by kernel m of channel c, as in TensorFlow.
    The other arguments are those of ``conv``.
    """
    x, kernel = operand(x), operand(kernel)
    params = _parameters("depthwise_conv", x, kernel, strides, padding, dilation)
    return restored(depthwise_op(channels_last("depthwise_conv", x, layout), kernel, **params), layout)
