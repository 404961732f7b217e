"""Pooling over windows in one, two and three dimensions.

The gradient of ``max_pool`` goes to the maximum of each window, the first of equal ones; the map that takes it there
is linear, with the map that picks the elements at the same places as its gradient. ``average_pool`` is linear itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, Shape, float_dtype, shape_of
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.kernels import pool as kernels
from autotensor.kernels.window import Windows
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype
from autotensor.ops.shape import text
from autotensor.ops.window import (
    accumulated,
    channels_last,
    numbers,
    out_space,
    padding_of,
    restored,
    same_space,
    space_of,
    windows,
)

__all__ = ["average_pool", "max_pool"]


def _output(op: str, x: Shape, size: tuple[int, ...], strides: Any, padding: Any) -> Shape:
    n = len(size)
    if len(x) != n + 2:
        raise ShapeError(f"[{op}] expected (samples, {n} axes of space, channels); got shape {text(x)}.")
    if None not in x[1:-1]:
        return (x[0], *_windows(op, x, size, strides, padding).out, x[-1])
    return (x[0], *out_space(op, x[1:-1], size, strides, padding, (1,) * n), x[-1])


def _windows(op: str, x: Shape, size: tuple[int, ...], strides: Any, padding: Any) -> Windows:
    space: Any = x[1:-1]
    w = windows(op, space, size, strides, padding, (1,) * len(size))
    for n, m, k, s, low in zip(w.space, w.out, w.size, w.strides, w.low, strict=True):
        if m and (not n or low >= k or (m - 1) * s - low >= n):
            raise ShapeError(
                f"[{op}] expected windows with an element of the input in each; got padding {padding} with size {size} "
                f"for {text(w.space)}. Use borders smaller than the windows."
            )
    return w


def _infer_adjoint(op: str) -> Any:
    def infer(g: Operand, x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> Aval:
        same_space(op, "a gradient of shape", shape_of(g), _output(op, shape_of(x), size, strides, padding))
        return Aval(shape_of(x), g.dtype)  # type: ignore[union-attr]

    return infer


# -- maximum


def _infer_max(x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> Aval:
    return Aval(_output("max_pool", shape_of(x), size, strides, padding), x.dtype)  # type: ignore[union-attr]


def _max_into(out: np.ndarray, x: np.ndarray, **params: Any) -> None:
    kernels.maximum(out, x, _windows("max_pool", x.shape, **params))


def _max_impl(x: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _output("max_pool", x.shape, **params)
    out = np.empty(shape, x.dtype)
    _max_into(out, x, **params)
    return out


@defop("max_pool", impl=_max_impl, infer=_infer_max, into=_max_into)
def max_pool_op(needs, g, out, x, **params):
    """The maximum of each window and channel of (n, *space, c)."""
    return (max_pool_input(g, x, **params),)


def _max_input_into(out: np.ndarray, g: np.ndarray, x: np.ndarray, **params: Any) -> None:
    w = _windows("max_pool", x.shape, **params)
    same_space("max_pool", "a gradient of shape", g.shape, (x.shape[0], *w.out, x.shape[-1]))
    _via(kernels.scatter, out, g, kernels.max_places(x, w))


def _max_input_impl(g: np.ndarray, x: np.ndarray, **params: Any) -> np.ndarray:
    out = np.empty(x.shape, g.dtype)
    _max_input_into(out, g, x, **params)
    return out


@defop("max_pool_input", impl=_max_input_impl, infer=_infer_adjoint("max_pool"), into=_max_input_into)
def max_pool_input(needs, g, out, y, x, **params):
    """y at the places of the maxima of the windows of x, zeros elsewhere: the gradient of ``max_pool``."""
    return max_pool_pick(g, x, **params) if needs[0] else None, None


def _infer_pick(u: Operand, x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> Aval:
    same_space("max_pool", "a tensor of shape", shape_of(u), shape_of(x))
    return Aval(_output("max_pool", shape_of(x), size, strides, padding), u.dtype)  # type: ignore[union-attr]


def _pick_impl(u: np.ndarray, x: np.ndarray, **params: Any) -> np.ndarray:
    same_space("max_pool", "a tensor of shape", u.shape, x.shape)
    places = kernels.max_places(x, _windows("max_pool", x.shape, **params))
    out = np.empty(places.shape, u.dtype)
    kernels.pick(out, u, places)
    return out


@defop("max_pool_pick", impl=_pick_impl, infer=_infer_pick)
def max_pool_pick(needs, g, out, u, x, **params):
    """The elements of u at the places of the maxima of the windows of x."""
    return max_pool_input(g, x, **params) if needs[0] else None, None


def _via(kernel: Any, out: np.ndarray, g: np.ndarray, *more: Any) -> None:
    """Run a kernel that adds up into a contiguous result, float16 in float32."""
    work = accumulated(out.dtype)
    if out.dtype == work and out.flags.c_contiguous:
        kernel(out, g if g.dtype == work else g.astype(work), *more)
        return
    made = np.empty(out.shape, work)
    kernel(made, g.astype(work), *more)
    out[...] = made


# -- average


def _infer_average(x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> Aval:
    return Aval(_output("average_pool", shape_of(x), size, strides, padding), float_dtype(x))


def _average_into(out: np.ndarray, x: np.ndarray, **params: Any) -> None:
    _via(kernels.average, out, x, _windows("average_pool", x.shape, **params))


def _average_impl(x: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _output("average_pool", x.shape, **params)
    out = np.empty(shape, float_dtype(Aval((), x.dtype)))
    _average_into(out, x, **params)
    return out


@defop("average_pool", impl=_average_impl, infer=_infer_average, into=_average_into)
def average_pool_op(needs, g, out, x, **params):
    """The average of each window and channel of (n, *space, c)."""
    gx = average_pool_input(g, x, **params)
    return (gx if gx.dtype == x.dtype else astype(gx, x.dtype),)


def _infer_average_input(g: Operand, x: Operand, **params: Any) -> Aval:
    return Aval(_infer_adjoint("average_pool")(g, x, **params).shape, float_dtype(g))


def _average_input_into(out: np.ndarray, g: np.ndarray, x: np.ndarray, **params: Any) -> None:
    w = _windows("average_pool", x.shape, **params)
    same_space("average_pool", "a gradient of shape", g.shape, (x.shape[0], *w.out, x.shape[-1]))
    _via(kernels.spread, out, g, w)


def _average_input_impl(g: np.ndarray, x: np.ndarray, **params: Any) -> np.ndarray:
    out = np.empty(x.shape, float_dtype(Aval((), g.dtype)))
    _average_input_into(out, g, x, **params)
    return out


@defop("average_pool_input", impl=_average_input_impl, infer=_infer_average_input, into=_average_input_into)
def average_pool_input(needs, g, out, y, like, **params):
    """The transposed map of ``average_pool``, in the shape of a second tensor."""
    return average_pool_op(g, **params), None


# -- at the door


def _parameters(op: str, x: Tensor, size: Any, strides: Any, padding: Any) -> dict[str, Any]:
    n = space_of(op, x, None if isinstance(size, (int, np.integer)) else len(size))
    size = numbers(op, "pool_size", size, n)
    return {
        "size": size,
        "strides": size if strides is None else numbers(op, "strides", strides, n),
        "padding": padding_of(op, padding, n),
    }


def max_pool(
    x: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", layout: str = "channels_last"
) -> Tensor:
    """The largest element of each window and channel.

    x: (n, *space, c) or, with ``layout="channels_first"``, (n, c, *space), with 1, 2 or 3 axes of space of any size.
    pool_size, strides: an int, or one for each axis of space; strides are by default the size, so windows touch.
    padding: "valid", "same" or a pair (low, high) for each axis; the border is never the maximum.

    NaN in a window gives NaN. The gradient goes to the first of equal maxima.
    """
    x = operand(x)
    params = _parameters("max_pool", x, pool_size, strides, padding)
    return restored(max_pool_op(channels_last("max_pool", x, layout), **params), layout)


def average_pool(
    x: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", layout: str = "channels_last"
) -> Tensor:
    """The average of each window and channel, over its real elements: those of the border do not count.

    The arguments are those of ``max_pool``.
    """
    x = operand(x)
    params = _parameters("average_pool", x, pool_size, strides, padding)
    return restored(average_pool_op(channels_last("average_pool", x, layout), **params), layout)
