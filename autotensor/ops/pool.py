"""Pooling over windows in one, two and three dimensions.

``max_pool`` keeps where in its window each maximum is, the first of equal ones, and its gradient goes there; the map
that takes it is linear, with the map that picks the elements at the same places as its gradient. ``average_pool`` is
linear itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, Shape, float_dtype, shape_of
from autotensor.core.op import defop, run_bound
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.kernels import pool as kernels
from autotensor.kernels.calls import chained, ordered
from autotensor.kernels.window import Windows
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype
from autotensor.ops.shape import text
from autotensor.ops.window import (
    accumulated,
    axes_of,
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


# -- maximum


def _infer_max(x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> tuple[Aval, Aval]:
    shape = _output("max_pool", shape_of(x), size, strides, padding)
    return Aval(shape, x.dtype), Aval(shape, kernels.place_dtype(size))  # type: ignore[union-attr]


def _max_bind(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
    out, places = outs
    before: Any = []
    x = ordered(arrays[0], out.dtype, scratch, before)
    return chained(before, kernels.maximum(out, places, x, _windows("max_pool", x.shape, **params)), [])


def _max_impl(x: np.ndarray, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    shape: Any = _output("max_pool", x.shape, **params)
    outs = np.empty(shape, x.dtype), np.empty(shape, kernels.place_dtype(params["size"]))
    run_bound(_max_bind, outs, (x,), **params)
    return outs


@defop("max_pool", impl=_max_impl, infer=_infer_max, bind=_max_bind, n_out=2, saves=1)
def max_pool_op(needs, g, out, x, **params):
    """The maximum of each window and channel of (n, *space, c), and where in its window it is."""
    if g[0] is None:
        return (None,)
    space = x.shape[1:-1]
    if None in space:
        return (max_pool_input(g[0], out[1], x, space=None, **params),)
    return (max_pool_input(g[0], out[1], space=space, **params),)


def _infer_max_input(g: Operand, places: Operand, *like: Operand, space: Any, **params: Any) -> Aval:
    a, b = shape_of(g), shape_of(places)
    if len(a) < 2:
        raise ShapeError(f"[max_pool] expected a gradient (samples, space, channels); got shape {text(a)}.")
    shape = (a[0], *(space or shape_of(like[0])[1:-1]), a[-1])
    wanted = _output("max_pool", shape, **params)
    same_space("max_pool", "a gradient of shape", a, wanted)
    same_space("max_pool", "places of shape", b, wanted)
    return Aval(shape, g.dtype)  # type: ignore[union-attr]


def _max_input_bind(outs: Any, arrays: Any, scratch: Any, space: Any, **params: Any) -> Any:
    g, places = arrays[:2]
    w = _windows("max_pool", outs[0].shape, **params)
    return _accumulating(lambda out, g, places: kernels.scatter(out, g, places, w), outs[0], g, scratch, places)


def _max_input_impl(g: np.ndarray, places: np.ndarray, *like: np.ndarray, **params: Any) -> np.ndarray:
    aval = _infer_max_input(*[Aval(a.shape, a.dtype) for a in (g, places, *like)], **params)
    shape: Any = aval.shape
    out = np.empty(shape, g.dtype)
    run_bound(_max_input_bind, (out,), (g, places), **params)
    return out


def _lower_max_input(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    # Without the third tensor, which would be kept for its shape alone.
    if len(inputs) < 3 or not out.known:
        return None
    return max_pool_input(*inputs[:2], **{**params, "space": out.shape[1:-1]})


@defop("max_pool_input", impl=_max_input_impl, infer=_infer_max_input, bind=_max_input_bind, lower=_lower_max_input)
def max_pool_input(needs, g, out, y, places, *like, space, **params):
    """y at places in windows, added up, and zeros elsewhere: the gradient of ``max_pool``.

    The axes of space have the sizes ``space``, or those of a third tensor.
    """
    return max_pool_pick(g, places, **params) if needs[0] else None, None, *[None] * len(like)


def _infer_pick(u: Operand, places: Operand, **params: Any) -> Aval:
    same_space("max_pool", "places of shape", shape_of(places), _output("max_pool", shape_of(u), **params))
    return Aval(shape_of(places), u.dtype)  # type: ignore[union-attr]


def _pick_impl(u: np.ndarray, places: np.ndarray, **params: Any) -> np.ndarray:
    w = _windows("max_pool", u.shape, **params)
    same_space("max_pool", "places of shape", places.shape, (u.shape[0], *w.out, u.shape[-1]))
    out = np.empty(places.shape, u.dtype)
    kernels.take(out, u, places, w)
    return out


@defop("max_pool_pick", impl=_pick_impl, infer=_infer_pick)
def max_pool_pick(needs, g, out, u, places, **params):
    """The elements of u at places in windows: the transposed map of ``max_pool_input``."""
    if not needs[0]:
        return None, None
    space = u.shape[1:-1]
    if None in space:
        return max_pool_input(g, places, u, space=None, **params), None
    return max_pool_input(g, places, space=space, **params), None


def _accumulating(kernel: Any, out: np.ndarray, x: np.ndarray, scratch: Any, *more: np.ndarray) -> Any:
    """The call of a kernel that adds up: contiguous arrays of one dtype, float32 for float16."""
    before: Any = []
    after: Any = []
    work = accumulated(out.dtype)
    x = ordered(x, work, scratch, before)
    more = tuple([ordered(a, a.dtype, scratch, before) for a in more])
    made = out
    if out.dtype != work or not out.flags.c_contiguous:
        made = scratch(out.shape, work)
        after.append((out, made))
    return chained(before, kernel(made, x, *more), after)


# -- average


def _infer_average(x: Operand, size: tuple[int, ...], strides: Any, padding: Any) -> Aval:
    return Aval(_output("average_pool", shape_of(x), size, strides, padding), float_dtype(x))


def _average_bind(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
    w = _windows("average_pool", arrays[0].shape, **params)
    return _accumulating(lambda out, x: kernels.average(out, x, w), outs[0], arrays[0], scratch)


def _average_impl(x: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _output("average_pool", x.shape, **params)
    out = np.empty(shape, float_dtype(Aval((), x.dtype)))
    run_bound(_average_bind, (out,), (x,), **params)
    return out


@defop("average_pool", impl=_average_impl, infer=_infer_average, bind=_average_bind)
def average_pool_op(needs, g, out, x, **params):
    """The average of each window and channel of (n, *space, c)."""
    gx = average_pool_input(g, x, **params)
    return (gx if gx.dtype == x.dtype else astype(gx, x.dtype),)


def _infer_average_input(g: Operand, x: Operand, **params: Any) -> Aval:
    same_space("average_pool", "a gradient of shape", shape_of(g), _output("average_pool", shape_of(x), **params))
    return Aval(shape_of(x), float_dtype(g))


def _average_input_bind(outs: Any, arrays: Any, scratch: Any, **params: Any) -> Any:
    w = _windows("average_pool", outs[0].shape, **params)
    return _accumulating(lambda out, g: kernels.spread(out, g, w), outs[0], arrays[0], scratch)


def _average_input_impl(g: np.ndarray, x: np.ndarray, **params: Any) -> np.ndarray:
    w = _windows("average_pool", x.shape, **params)
    same_space("average_pool", "a gradient of shape", g.shape, (x.shape[0], *w.out, x.shape[-1]))
    out = np.empty(x.shape, float_dtype(Aval((), g.dtype)))
    run_bound(_average_input_bind, (out,), (g,), **params)
    return out


@defop("average_pool_input", impl=_average_input_impl, infer=_infer_average_input, bind=_average_input_bind)
def average_pool_input(needs, g, out, y, like, **params):
    """The transposed map of ``average_pool``, in the shape of a second tensor."""
    return average_pool_op(g, **params), None


# -- at the door


def _parameters(op: str, x: Tensor, size: Any, strides: Any, padding: Any) -> dict[str, Any]:
    n = space_of(op, x, axes_of(size))
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

        >>> import numpy as np
        >>> import autotensor as at
        >>> x = np.array([1.0, 3.0, 2.0, 2.0]).reshape(1, 4, 1)
        >>> at.max_pool(x, 2)[0, :, 0]
        Tensor([3., 2.], dtype=float64)
        >>> at.grad(lambda x: at.sum(at.max_pool(x, 2)))(x)[0, :, 0]
        Tensor([0., 1., 1., 0.], dtype=float64)
    """
    x = operand(x)
    params = _parameters("max_pool", x, pool_size, strides, padding)
    return restored(max_pool_op(channels_last("max_pool", x, layout), **params)[0], layout)


def average_pool(
    x: Any, pool_size: Any, strides: Any = None, padding: Any = "valid", layout: str = "channels_last"
) -> Tensor:
    """The average of each window and channel, over its real elements: those of the border do not count.

    The arguments are those of ``max_pool``.
    """
    x = operand(x)
    params = _parameters("average_pool", x, pool_size, strides, padding)
    return restored(average_pool_op(channels_last("average_pool", x, layout), **params), layout)
