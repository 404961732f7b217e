"""Operations that take their shape from another tensor.

Gradient rules use these instead of reading numbers from a shape, so a graph with unknown dimensions is complete.
The compiler replaces them by plain operations once shapes are known (``lower``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, broadcast_shapes, shape_of
from autotensor.core.op import apply, defop, either
from autotensor.core.tensor import Tensor
from autotensor.kernels.sums import add_reduce


def _summed_axes(from_shape: tuple[Any, ...], to_shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Axes of ``from_shape`` that broadcasting made out of ``to_shape``."""
    extra = len(from_shape) - len(to_shape)
    return tuple(range(extra)) + tuple(
        k + extra for k, dim in enumerate(to_shape) if dim == 1 and from_shape[k + extra] != 1
    )


def _unbroadcast_impl(g: np.ndarray, x: Any) -> np.ndarray:
    shape = np.shape(x)
    axes = _summed_axes(g.shape, shape)
    # Half precision sums are accumulated in float32 and cast back by astype below.
    dtype = np.float32 if g.dtype == np.float16 else None
    out = np.reshape(add_reduce(g, axes, dtype), shape) if axes else g.reshape(shape)
    if out.dtype.kind == "c" and getattr(x, "dtype", np.dtype(float)).kind != "c":
        out = out.real  # a real number has no imaginary part to move in
    return out.astype(x.dtype, copy=False) if isinstance(x, np.ndarray) else out


def _as_x(op: str) -> Any:
    def infer(g: Operand, x: Operand, **params: Any) -> Aval:
        return Aval(shape_of(x), x.dtype if isinstance(x, Aval) else g.dtype)  # type: ignore[union-attr]

    infer.__name__ = f"infer_{op}"
    return infer


def _lower_unbroadcast(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    g, x = inputs
    if not g.aval.known or not out.known or (g.dtype.kind == "c" and out.dtype.kind != "c"):
        return None
    if g.shape != out.shape:
        axes = _summed_axes(g.shape, out.shape)
        if axes:
            g = g.sum(axis=axes)
        g = g.reshape(out.shape)
    return g if g.dtype == out.dtype else g.astype(out.dtype)


@defop("unbroadcast", impl=_unbroadcast_impl, infer=_as_x("unbroadcast"), lower=_lower_unbroadcast, view=True)
def unbroadcast_op(needs, g, out, x, like):
    return broadcast_like(g, x), None


def unbroadcast(g: Any, x: Any) -> Any:
    """Undo broadcasting: sum ``g`` to the shape of ``x`` and cast it to the dtype of ``x``.

    The gradient of broadcasting an operand is this sum.
    """
    if type(x) is np.ndarray:  # in a walk that records nothing
        if g.shape == x.shape and g.dtype == x.dtype:
            return g
        return either(unbroadcast_op, np.asarray(g), x)
    if type(x) is Tensor and x.data is not None and g.data is not None:
        if g.data.shape == x.data.shape and g.data.dtype == x.data.dtype:
            return g
    elif isinstance(x, Tensor) and g.shape == x.shape and g.dtype == x.dtype and None not in g.shape:
        return g
    return apply(unbroadcast_op, g, x)


# From this size on a broadcast gradient is a view: reading it costs less than writing it out.
_VIEWED = 8192


def _broadcast_like_impl(g: Any, x: np.ndarray) -> np.ndarray:
    g = np.asarray(g)
    if x.size < _VIEWED or g.dtype != x.dtype:
        out = np.empty(x.shape, x.dtype)
        out[...] = g.real if g.dtype.kind == "c" and x.dtype.kind != "c" else g
        return out
    return np.broadcast_to(g, x.shape)


def _infer_broadcast_like(g: Operand, x: Operand) -> Aval:
    broadcast_shapes("broadcast_like", shape_of(g), shape_of(x))
    assert isinstance(x, Aval)
    return x


def _lower_broadcast_like(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    g = inputs[0]
    if not isinstance(g, Tensor) or not out.known:
        return None
    if g.dtype != out.dtype:
        g = g.astype(out.dtype)
    return g if g.shape == out.shape else g.broadcast_to(out.shape)


@defop("broadcast_like", impl=_broadcast_like_impl, infer=_infer_broadcast_like, lower=_lower_broadcast_like, view=True)
def broadcast_like(needs, g, out, x, like):
    """Broadcast x to the shape and dtype of a second tensor, whose values do not matter."""
    return unbroadcast(g, x), None


def _lower_reshape_like(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return inputs[0].reshape(out.shape) if out.known else None


def _infer_reshape_like(g: Operand, x: Operand) -> Aval:
    assert isinstance(g, Aval)
    return Aval(shape_of(x), g.dtype)


@defop(
    "reshape_like",
    impl=lambda g, x: np.reshape(g, np.shape(x)),
    infer=_infer_reshape_like,
    lower=_lower_reshape_like,
    reshapes=True,
    vjp_takes_arrays=True,
)
def reshape_like(needs, g, out, x, like):
    """Reshape x to the shape of a second tensor, whose values do not matter."""
    return either(reshape_like, g, x), None


def _asked(shape: tuple[Any, ...], dims: tuple[Any, ...], refs: tuple[Any, ...]) -> list[Any]:
    """The dimensions that ``dims`` names: a number as it is, (i, axis) from the i-th of ``refs``; -1 by division."""
    asked = [d if isinstance(d, int) else shape_of(refs[d[0]])[d[1]] for d in dims]
    if -1 in asked:
        rest = [d for d in asked if d != -1]
        known = None not in rest and None not in shape and 0 not in rest
        asked[asked.index(-1)] = math.prod(shape) // math.prod(rest) if known else None
    return asked


def _reshape_to_impl(x: np.ndarray, *refs: Any, dims: tuple[Any, ...]) -> np.ndarray:
    return np.reshape(x, [d if isinstance(d, int) else np.shape(refs[d[0]])[d[1]] for d in dims])


def _infer_reshape_to(x: Operand, *refs: Operand, dims: tuple[Any, ...]) -> Aval:
    assert isinstance(x, Aval)
    return Aval(_asked(shape_of(x), dims, refs), x.dtype)


def _lower_reshape_to(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return inputs[0].reshape(out.shape) if out.known else None


@defop("reshape_to", impl=_reshape_to_impl, infer=_infer_reshape_to, lower=_lower_reshape_to, reshapes=True)
def reshape_to(needs, g, out, x, *refs, dims):
    """Reshape x to ``dims``: numbers, one -1 at most, pairs (i, axis) for that dimension of the i-th further tensor."""
    return reshape_like(g, x), *[None] * len(refs)


def _print_impl(x: Any, message: str) -> np.ndarray:
    print(message, np.asarray(x))
    return np.array(x)


@defop("print_value", impl=_print_impl, infer=lambda x, message: x, pure=False)
def print_op(needs, g, out, x, message):
    return (g,)


def print_value(x: Tensor, message: str = "") -> Tensor:
    """x itself; each evaluation prints ``message`` and the value."""
    return apply(print_op, x, message=message)


def _fill_like_impl(x: Any, value: float = 0.0) -> np.ndarray:
    return np.full_like(x, value)


def _infer_same(x: Operand, **params: Any) -> Aval:
    assert isinstance(x, Aval)
    return x


def _lower_fill_like(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    if not out.known:
        return None
    one = Tensor(np.asarray(params["value"], out.dtype))
    return one if out.shape == () else one.broadcast_to(out.shape)


@defop("fill_like", impl=_fill_like_impl, infer=_infer_same, lower=_lower_fill_like)
def fill_like(needs, g, out, x, value=0.0):
    """A tensor like x in shape and dtype with every element equal to ``value``."""
    return (None,)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros in the shape and dtype of ``x``."""
    return fill_like(x, value=0.0)


def ones_like(x: Tensor) -> Tensor:
    """Ones in the shape and dtype of ``x``."""
    return fill_like(x, value=1.0)
