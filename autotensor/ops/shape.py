"""Operations that rearrange or repeat elements without computing with them: reshape, permute, concat, pad, tile...

Most are linear; where the transposed map is not one of the others it is an operation of its own (``tile_adjoint``),
so that each pair is closed under differentiation and works with unknown dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import (
    Aval,
    Dim,
    Operand,
    broadcast_shapes,
    normalize_axes,
    normalize_axis,
    result_dtype,
    shape_of,
    wholes,
)
from autotensor.core.op import defop, defop_no_grad, either
from autotensor.core.tensor import NUMBER_TYPES, Tensor
from autotensor.errors import ShapeError
from autotensor.ops.conversion import astype_op
from autotensor.ops.conversion import copy as copy_op
from autotensor.ops.creation import operand, operands
from autotensor.ops.elementwise import equal, logical_or
from autotensor.ops.like import broadcast_like, reshape_like, unbroadcast, zeros_like

__all__ = [
    "reshape", "flatten", "ravel", "permute_dims", "transpose", "matrix_transpose", "swapaxes", "moveaxis",
    "expand_dims", "squeeze", "broadcast_to", "broadcast_arrays", "stack", "unstack", "concat", "concatenate",
    "split", "pad", "tile", "repeat", "flip", "roll", "tril", "triu", "diagonal", "diag", "trace", "shape_tensor",
    "atleast_1d",
]  # fmt: skip


def text(shape: Sequence[Dim]) -> str:
    """A shape as shown in messages, unknown dimensions as ?."""
    return str(tuple(shape)).replace("None", "?")


def dense_sum(x: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """Sum over axes in the dtype of x; half precision is accumulated in float32."""
    if x.dtype == np.float16:
        return np.add.reduce(x, axis=axis, dtype=np.float32).astype(np.float16)
    return np.add.reduce(x, axis=axis, dtype=x.dtype)


def like_first(x: Operand, *others: Operand, **params: Any) -> Aval:
    """Shape rule: the result is like the first operand."""
    return x if isinstance(x, Aval) else Aval((), result_dtype(x))


def like_second(g: Operand, x: Operand, *others: Operand, **params: Any) -> Aval:
    """Shape rule of adjoints: the shape of the second operand, the dtype of the first."""
    assert isinstance(g, Aval)
    return Aval(shape_of(x), g.dtype)


def same_dtype(g: Any, x: Any) -> Any:
    """g in the dtype of x; operations that promote hand their gradients back through this."""
    if type(x) in NUMBER_TYPES or g.dtype == x.dtype:
        return g
    return unbroadcast(g, x) if g.dtype.kind == "c" else either(astype_op, g, dtype=x.dtype)


def _product(shape: Sequence[Dim]) -> int:
    total = 1
    for d in shape:
        total *= 1 if d is None else d
    return total


# -- reshape and axes


def _infer_reshape(x: Operand, shape: tuple[int, ...]) -> Aval:
    assert isinstance(x, Aval)
    if shape.count(-1) > 1:
        raise ShapeError(f"[reshape] at most one size can be -1; got {shape}. Name the others.")
    wanted = _product([d for d in shape if d != -1])
    if x.known:
        have = _product(x.shape)
        if -1 not in shape:
            if have != wanted:
                raise ShapeError(
                    f"[reshape] a tensor of shape {x.shape} has {have} elements; {shape} needs {wanted}. "
                    "Use -1 for one size to have it computed?"
                )
            return Aval(shape, x.dtype)
        if wanted == 0 or have % wanted:
            raise ShapeError(
                f"[reshape] {have} elements of shape {x.shape} do not divide into {shape}. "
                "The product of the other sizes must divide the number of elements."
            )
        return Aval([have // wanted if d == -1 else d for d in shape], x.dtype)
    if -1 not in shape:
        return Aval(shape, x.dtype)
    # One unknown size in, the same number of elements beside it: it is the one computed.
    return Aval([None if d == -1 else d for d in shape], x.dtype)


@defop("reshape", impl=lambda x, shape: x.reshape(shape), infer=_infer_reshape, reshapes=True, vjp_takes_arrays=True)
def reshape_op(needs, g, out, x, shape):
    return (either(reshape_like, g, x),)


def reshape(x: Any, shape: int | Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same elements, row by row, in another shape; one size may be -1 (or None) and is computed.

    Tensors are values, so no write shows whether memory is shared; ``copy=True`` makes sure that it is not, and
    ``copy=False`` raises ValueError where elements would have to be moved.
    """
    x = operand(x)
    sizes = wholes("reshape", "shape", shape, unknown=-1)
    out = reshape_op(x, shape=sizes)
    if copy is False and x.data is not None and x.data.size and not np.may_share_memory(x.data, out.data):
        raise ValueError(
            f"[reshape] {text(x.shape)} becomes {text(out.shape)} only by a copy here; got copy=False. Leave it out?"
        )
    return copy_op(out) if copy else out


def flatten(x: Any) -> Tensor:
    """All elements in one axis."""
    return reshape_op(operand(x), shape=(-1,))


ravel = flatten


def _infer_permute(x: Operand, axes: tuple[int, ...]) -> Aval:
    assert isinstance(x, Aval)
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(
            f"[permute_dims] expected each axis of a tensor of rank {x.ndim} once; got {axes}. "
            "Use moveaxis to move single axes?"
        )
    return Aval([x.shape[a] for a in axes], x.dtype)


@defop("permute_dims", impl=lambda x, axes: x.transpose(axes), infer=_infer_permute, view=True, vjp_takes_arrays=True)
def permute_dims_op(needs, g, out, x, axes):
    inverse = [0] * len(axes)
    for i, a in enumerate(axes):
        inverse[a] = i
    return (either(permute_dims_op, g, axes=tuple(inverse)),)


def permute_dims(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Axes in a new order: axis i of the result is axis ``axes[i]`` of x. Without ``axes`` the order is reversed."""
    x = operand(x)
    if axes is None:
        return permute_dims_op(x, axes=tuple(range(x.ndim - 1, -1, -1)))
    order = [normalize_axis("permute_dims", a, x.ndim) for a in wholes("permute_dims", "axes", axes)]
    return permute_dims_op(x, axes=tuple(order))


transpose = permute_dims


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = operand(x)
    axes = list(range(x.ndim))
    a, b = normalize_axis("swapaxes", axis1, x.ndim), normalize_axis("swapaxes", axis2, x.ndim)
    axes[a], axes[b] = b, a
    return permute_dims_op(x, axes=tuple(axes))


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged. Raises ShapeError for fewer than two axes."""
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"[matrix_transpose] expected rank 2 or more; got shape {text(x.shape)}. Use expand_dims?")
    return swapaxes(x, -1, -2)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to new positions; the others keep their order.

    Raises ShapeError where their numbers differ or an axis is named twice.
    """
    x = operand(x)
    sources = list(wholes("moveaxis", "source", source))
    places = list(wholes("moveaxis", "destination", destination))
    if len(sources) != len(places):
        raise ShapeError(f"[moveaxis] expected as many sources as destinations; got {sources} to {places}.")
    sources = [normalize_axis("moveaxis", a, x.ndim) for a in sources]
    places = [normalize_axis("moveaxis", a, x.ndim) for a in places]
    if len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise ShapeError(f"[moveaxis] axes must differ; got {source} to {destination}. Name each axis once.")
    order = [a for a in range(x.ndim) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permute_dims_op(x, axes=tuple(order))


def _infer_expand(x: Operand, axis: tuple[int, ...]) -> Aval:
    shape = list(shape_of(x))
    for a in axis:
        shape.insert(a, 1)
    return Aval(shape, result_dtype(x))


def _expand_impl(x: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    shape = list(x.shape)
    for a in axis:
        shape.insert(a, 1)
    return x.reshape(shape)  # a third of the time of np.expand_dims


@defop("expand_dims", impl=_expand_impl, infer=_infer_expand, reshapes=True, vjp_takes_arrays=True)
def expand_dims_op(needs, g, out, x, axis):
    return (either(squeeze_op, g, axis=axis),)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """New axes of size 1, at these positions of the result."""
    x = operand(x)
    places = wholes("expand_dims", "axis", axis)
    return expand_dims_op(x, axis=normalize_axes("expand_dims", places, x.ndim + len(places)))


def _infer_squeeze(x: Operand, axis: tuple[int, ...]) -> Aval:
    assert isinstance(x, Aval)
    for a in axis:
        if x.shape[a] not in (1, None):
            raise ShapeError(
                f"[squeeze] only axes of size 1 can go; axis {a} of shape {text(x.shape)} has {x.shape[a]}. "
                "Index or reduce it instead?"
            )
    return Aval([d for k, d in enumerate(x.shape) if k not in axis], x.dtype)


@defop("squeeze", impl=lambda x, axis: np.squeeze(x, axis), infer=_infer_squeeze, reshapes=True, vjp_takes_arrays=True)
def squeeze_op(needs, g, out, x, axis):
    return (either(expand_dims_op, g, axis=axis),)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Without these axes of size 1; by default without all of them.

    Raises ShapeError for other sizes, and by default for unknown ones.
    """
    x = operand(x)
    if axis is not None:
        return squeeze_op(x, axis=normalize_axes("squeeze", axis, x.ndim))
    if None in x.shape:
        raise ShapeError(f"[squeeze] expected axis= where sizes are unknown; got shape {text(x.shape)}. Name the axes.")
    return squeeze_op(x, axis=tuple([k for k, d in enumerate(x.shape) if d == 1]))


def _infer_broadcast_to(x: Operand, shape: tuple[int, ...]) -> Aval:
    have = shape_of(x)
    if broadcast_shapes("broadcast_to", have, shape) != shape:
        raise ShapeError(f"[broadcast_to] shape {text(have)} does not broadcast to {shape}. Use expand_dims or tile?")
    return Aval(shape, result_dtype(x))


@defop("broadcast_to", impl=np.broadcast_to, infer=_infer_broadcast_to, view=True, expr="{0}", vjp_takes_arrays=True)
def broadcast_to_op(needs, g, out, x, shape):
    return (unbroadcast(g, x),)


def broadcast_to(x: Any, shape: int | Sequence[int]) -> Tensor:
    """x repeated along new axes and axes of size 1 to fill ``shape``."""
    return broadcast_to_op(operand(x), shape=wholes("broadcast_to", "shape", shape))


def broadcast_arrays(*xs: Any) -> list[Tensor]:
    """All tensors broadcast against each other."""
    tensors = [operand(x) for x in xs]
    shape = broadcast_shapes("broadcast_arrays", *[x.shape for x in tensors])
    if None not in shape:
        return [broadcast_to_op(x, shape=shape) for x in tensors]
    total = equal(tensors[0], tensors[0])  # bools, of which only the shape is used
    for x in tensors[1:]:
        total = logical_or(total, equal(x, x))
    return [broadcast_like(x, astype_op(total, dtype=x.dtype)) for x in tensors]


def atleast_1d(x: Any) -> Tensor:
    """A scalar as a vector of one element; anything else as it is."""
    x = operand(x)
    return x if x.ndim else reshape_op(x, shape=(1,))


shape_tensor = defop_no_grad(
    "shape_tensor",
    impl=lambda x: np.array(np.shape(x), np.int64),
    infer=lambda x: Aval((len(shape_of(x)),), np.int64),
    lower=lambda out, inputs, params: Tensor(np.array(inputs[0].shape, np.int64)) if inputs[0].aval.known else None,
    doc="The shape of x as an int64 tensor, also in graphs where it is not known yet. It has no gradient.",
)


# -- joining and splitting


def _infer_stack(*xs: Operand, axis: int) -> Aval:
    shape = list(shape_of(xs[0]))
    for x in xs[1:]:
        other = shape_of(x)
        if len(other) != len(shape) or any([a != b and None not in (a, b) for a, b in zip(shape, other, strict=True)]):
            raise ShapeError(
                f"[stack] expected tensors of one shape; got {text(shape)} and {text(other)}. "
                "Use concat to join along an existing axis?"
            )
        shape = [b if a is None else a for a, b in zip(shape, other, strict=True)]
    return Aval([*shape[:axis], len(xs), *shape[axis:]], result_dtype(*xs))


@defop(
    "stack",
    impl=lambda *xs, axis: np.stack(xs, axis),
    infer=_infer_stack,
    into=lambda out, *xs, axis: np.stack(xs, axis, out=out),
    vjp_takes_arrays=True,
)
def stack_op(needs, g, out, *xs, axis):
    before = (slice(None),) * axis
    return tuple([same_dtype(g[(*before, i)], x) if need else None for i, (x, need) in enumerate(zip(xs, needs))])


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis. Raises ShapeError for none, or for different shapes.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(lambda x: at.sum(at.stack([x, x**2])))(np.array([1.0, 2.0]))
    Tensor([3., 5.], dtype=float64)
    """
    tensors = operands("stack", xs)
    if not tensors:
        raise ShapeError("[stack] expected at least one tensor; got none. Is the list empty by mistake?")
    return stack_op(*tensors, axis=normalize_axis("stack", axis, tensors[0].ndim + 1))


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis of known size, without that axis. Raises ShapeError for an unknown size."""
    x = operand(x)
    axis = normalize_axis("unstack", axis, x.ndim)
    n = x.shape[axis]
    if n is None:
        raise ShapeError(f"[unstack] expected a known size in axis {axis}; got {text(x.shape)}. Reshape it first?")
    return tuple([x[(*(slice(None),) * axis, i)] for i in range(n)])


def _infer_concat(*xs: Operand, axis: int) -> Aval:
    shape: list[Dim] = list(shape_of(xs[0]))
    total: Dim = 0
    for x in xs:
        other = shape_of(x)
        fits = len(other) == len(shape)
        if fits:
            for k, (a, b) in enumerate(zip(shape, other, strict=True)):
                fits = fits and (k == axis or a == b or None in (a, b))
        if not fits:
            raise ShapeError(
                f"[concat] shapes may differ in axis {axis} only; got {text(shape_of(xs[0]))} and {text(other)}. "
                "Join along another axis, or pad one?"
            )
        shape = [b if a is None else a for a, b in zip(shape, other, strict=True)]
        d = other[axis]
        total = None if total is None or d is None else total + d
    shape[axis] = total
    return Aval(shape, result_dtype(*xs))


@defop(
    "concat",
    impl=lambda *xs, axis: np.concatenate(xs, axis),
    infer=_infer_concat,
    into=lambda out, *xs, axis: np.concatenate(xs, axis, out=out),
    vjp_takes_arrays=True,
)
def concat_op(needs, g, out, *xs, axis):
    sizes = [x.shape[axis] for x in xs]
    before = (slice(None),) * axis
    grads: list[Any] = []
    start: Dim = 0
    for i, (x, need, size) in enumerate(zip(xs, needs, sizes, strict=True)):
        end = None if start is None or size is None else start + size
        if not need:
            grads.append(None)
        elif end is not None:
            grads.append(same_dtype(g[(*before, slice(start, end))], x))
        else:
            grads.append(same_dtype(concat_part(g, *xs, axis=axis, index=i), x))
        start = end
    return tuple(grads)


def _concat_part_impl(g: Any, *xs: Any, axis: int, index: int) -> np.ndarray:
    start = sum([x.shape[axis] for x in xs[:index]])
    return g[(*(slice(None),) * axis, slice(start, start + xs[index].shape[axis]))]


def _lower_concat_part(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    g, *xs = inputs
    axis, index = params["axis"], params["index"]
    sizes = [x.shape[axis] for x in xs[: index + 1]]
    if None in sizes:
        return None
    end = sum(sizes)
    return g[(*(slice(None),) * axis, slice(end - sizes[-1], end))]


@defop(
    "concat_part",
    impl=_concat_part_impl,
    infer=lambda g, *xs, axis, index: Aval(shape_of(xs[index]), g.dtype),
    lower=_lower_concat_part,
    view=True,
)
def concat_part(needs, g, out, whole, *xs, axis, index):
    """The part of ``whole`` that came from ``xs[index]`` when these were joined; their values do not matter."""
    parts = [g if i == index else same_dtype(zeros_like(x), g) for i, x in enumerate(xs)]
    return concat_op(*parts, axis=axis), *[None] * len(xs)


def concat(xs: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis; ``None`` flattens them first.

    Raises ShapeError for none, or for different other sizes.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.grad(lambda x: at.sum(at.concat([x, 3 * x[:1]])))(np.array([1.0, 2.0]))
        Tensor([4., 1.], dtype=float64)
    """
    tensors = operands("concat", xs)
    if not tensors:
        raise ShapeError("[concat] expected at least one tensor; got none. Is the list empty by mistake?")
    if axis is None:
        return concat_op(*[flatten(x) for x in tensors], axis=0)
    return concat_op(*tensors, axis=normalize_axis("concat", axis, tensors[0].ndim))


concatenate = concat


def split(
    x: Any, indices_or_sections: int | Sequence[int] | None = None, axis: int = 0, *, sizes: Sequence[int] | None = None
) -> list[Tensor]:
    """Parts of x along an axis.

    As in NumPy, an int gives that many equal parts, a list the positions of the cuts. ``sizes`` gives the sizes of the
    parts instead; one of them may be -1.

    Raises ShapeError where parts do not add up to the axis or do not divide it.
    """
    x = operand(x)
    axis = normalize_axis("split", axis, x.ndim)
    n = x.shape[axis]
    if (indices_or_sections is None) == (sizes is None):
        raise ShapeError("[split] expected either sections (or cuts), or sizes=; got both or neither.")
    cuts: list[int | None]
    if sizes is not None:
        parts = list(wholes("split", "sizes", sizes))
        if -1 in parts:
            if n is None:
                raise ShapeError(f"[split] -1 needs a known size in axis {axis}; got {text(x.shape)}. Give all sizes.")
            parts[parts.index(-1)] = n - (sum(parts) + 1)
        if n is not None and (sum(parts) != n or min(parts, default=0) < 0):
            raise ShapeError(f"[split] sizes {tuple(sizes)} must add up to {n}, the size of axis {axis}.")
        cuts = list(np.cumsum([0, *parts]).tolist())
    elif isinstance(indices_or_sections, (int, np.integer)):
        k = int(indices_or_sections)
        if n is None:
            raise ShapeError(f"[split] equal parts need a known size in axis {axis}; got {text(x.shape)}. Give sizes=?")
        if k < 1 or n % k:
            raise ShapeError(f"[split] axis {axis} of size {n} does not divide into {k} equal parts. Give sizes=?")
        cuts = list(range(0, n + 1, n // k)) if n else [0] * (k + 1)
    else:
        assert indices_or_sections is not None
        cuts = [0, *[int(c) for c in indices_or_sections], None]
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


# -- padding and repeating

_PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _pad_impl(x: Any, pad_width: tuple[tuple[int, int], ...], mode: str, value: float) -> np.ndarray:
    if mode != "constant":
        return np.pad(x, pad_width, mode)  # type: ignore[call-overload]
    shape = [d + a + b for d, (a, b) in zip(x.shape, pad_width, strict=True)]
    out = np.zeros(shape, x.dtype) if value == 0 else np.full(shape, value, x.dtype)
    out[tuple([slice(a, a + d) for d, (a, b) in zip(x.shape, pad_width, strict=True)])] = x
    return out


def _pad_into(out: np.ndarray, x: Any, pad_width: tuple[tuple[int, int], ...], mode: str, value: float) -> None:
    if mode != "constant":
        out[...] = np.pad(x, pad_width, mode)  # type: ignore[call-overload]
        return
    out.fill(value)
    out[tuple([slice(a, a + d) for d, (a, b) in zip(x.shape, pad_width, strict=True)])] = x


def _infer_pad(x: Operand, pad_width: tuple[tuple[int, int], ...], mode: str, value: float) -> Aval:
    assert isinstance(x, Aval)
    shape = [None if d is None else d + a + b for d, (a, b) in zip(x.shape, pad_width, strict=True)]
    for k, d in enumerate(x.shape):
        if mode != "constant" and d == 0 and max(pad_width[k]) > 0:
            raise ShapeError(
                f"[pad] mode {mode!r} has nothing to repeat in axis {k} of shape {x.shape}. Use 'constant'."
            )
    return Aval(shape, x.dtype)


@defop("pad", impl=_pad_impl, infer=_infer_pad, into=_pad_into)
def pad_op(needs, g, out, x, pad_width, mode, value):
    if mode != "constant":
        return (pad_adjoint(g, x, pad_width=pad_width, mode=mode),)
    return (g[tuple([slice(a, -b if b else None) for a, b in pad_width])],)


def _pad_adjoint_impl(g: np.ndarray, x: Any, pad_width: tuple[tuple[int, int], ...], mode: str) -> np.ndarray:
    out = g if g.dtype != np.float16 else g.astype(np.float32)
    for axis, width in enumerate(pad_width):
        if width == (0, 0):
            continue
        n = x.shape[axis]
        source = np.pad(np.arange(n), width, mode)  # type: ignore[call-overload]
        moved = np.moveaxis(out, axis, 0)
        folded = np.zeros((n, *moved.shape[1:]), out.dtype)
        np.add.at(folded, source, moved)
        out = np.moveaxis(folded, 0, axis)
    return np.array(out, g.dtype, order="C").reshape(x.shape)


@defop("pad_adjoint", impl=_pad_adjoint_impl, infer=like_second)
def pad_adjoint(needs, g, out, x, like, pad_width, mode):
    """The transposed map of ``pad``: what was copied into the border is added back to where it came from."""
    return pad_op(g, pad_width=pad_width, mode=mode, value=0.0), None


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Tensor:
    """x with a border. ``pad_width``: an int, a pair (before, after), or a pair for each axis.

    Modes as in NumPy: "constant", "edge", "reflect" (without the edge), "symmetric" (with it), "wrap".

    Raises ValueError for another mode, ShapeError for negative widths or pairs that do not fit the axes.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.pad(np.array([1.0, 2.0, 3.0]), 2, mode="reflect")
        Tensor([3., 2., 1., 2., 3., 2., 1.], dtype=float64)
        >>> at.grad(lambda x: at.sum(at.pad(x, 2, mode="reflect")))(np.array([1.0, 2.0, 3.0]))
        Tensor([2., 3., 2.], dtype=float64)
    """
    x = operand(x)
    if mode not in _PAD_MODES:
        raise ValueError(f"[pad] expected mode to be one of {', '.join(_PAD_MODES)}; got {mode!r}. Check the spelling.")
    try:
        widths = np.broadcast_to(np.asarray(pad_width, np.int64), (x.ndim, 2)).tolist()
    except (ValueError, TypeError):
        raise ShapeError(
            f"[pad] expected an int, a pair, or a pair for each of {x.ndim} axes; got {pad_width}. "
            "Axes left alone are (0, 0)."
        ) from None
    pairs = tuple([(a, b) for a, b in widths])
    if any([min(pair) < 0 for pair in pairs]):
        raise ShapeError(f"[pad] widths must be 0 or more; got {pad_width}. Slice to make a tensor smaller.")
    return pad_op(x, pad_width=pairs, mode=mode, value=constant_values)


def _aligned(shape: Sequence[Any], reps: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """Shape and repeats filled with ones in front to one length."""
    n = max(len(shape), len(reps))
    return (1,) * (n - len(shape)) + tuple(shape), (1,) * (n - len(reps)) + reps


def _infer_tile(x: Operand, reps: tuple[int, ...]) -> Aval:
    shape, times = _aligned(shape_of(x), reps)
    return Aval([None if d is None else d * r for d, r in zip(shape, times, strict=True)], result_dtype(x))


@defop("tile", impl=np.tile, infer=_infer_tile)
def tile_op(needs, g, out, x, reps):
    return (tile_adjoint(g, x, reps=reps),)


def _tile_adjoint_impl(g: np.ndarray, x: Any, reps: tuple[int, ...]) -> np.ndarray:
    shape, times = _aligned(np.shape(x), reps)
    paired = [n for d, r in zip(shape, times, strict=True) for n in (r, d)]
    return dense_sum(g.reshape(paired), tuple(range(0, len(paired), 2))).reshape(np.shape(x))


@defop("tile_adjoint", impl=_tile_adjoint_impl, infer=like_second)
def tile_adjoint(needs, g, out, x, like, reps):
    """The transposed map of ``tile``: the sum over the copies."""
    return tile_op(g, reps=reps), None


def tile(x: Any, reps: int | Sequence[int]) -> Tensor:
    """x repeated ``reps`` times along each axis."""
    return tile_op(operand(x), reps=wholes("tile", "reps", reps))


def _infer_repeat(x: Operand, repeats: int | tuple[int, ...], axis: int) -> Aval:
    shape = list(shape_of(x))
    d = shape[axis]
    if isinstance(repeats, int):
        shape[axis] = None if d is None else d * repeats
    elif d is not None and d != len(repeats):
        raise ShapeError(f"[repeat] expected a count for each of {d} slices in axis {axis}; got {len(repeats)} counts.")
    else:
        shape[axis] = sum(repeats)
    return Aval(shape, result_dtype(x))


@defop("repeat", impl=lambda x, repeats, axis: np.repeat(x, repeats, axis), infer=_infer_repeat)
def repeat_op(needs, g, out, x, repeats, axis):
    return (repeat_adjoint(g, x, repeats=repeats, axis=axis),)


def _repeat_adjoint_impl(g: np.ndarray, x: Any, repeats: int | tuple[int, ...], axis: int) -> np.ndarray:
    if isinstance(repeats, int):
        split_shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
        return dense_sum(g.reshape(split_shape), (axis + 1,))
    wide = np.moveaxis(g if g.dtype != np.float16 else g.astype(np.float32), axis, 0)
    out = np.zeros((x.shape[axis], *wide.shape[1:]), wide.dtype)
    np.add.at(out, np.repeat(np.arange(x.shape[axis]), repeats), wide)
    return np.ascontiguousarray(np.moveaxis(out, 0, axis), g.dtype)


@defop("repeat_adjoint", impl=_repeat_adjoint_impl, infer=like_second)
def repeat_adjoint(needs, g, out, x, like, repeats, axis):
    """The transposed map of ``repeat``: the sum over the copies."""
    return repeat_op(g, repeats=repeats, axis=axis), None


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each slice along an axis repeated in place, all as often or each its own number of times.

    Without an axis x is flattened first. The numbers (ints, an array or a tensor with a value) decide the shape.
    """
    x = operand(x)
    times: Any = wholes("repeat", "repeats", repeats)
    if len(times) == 1:
        (times,) = times
    if axis is None:
        x, axis = flatten(x), 0
    return repeat_op(x, repeats=times, axis=normalize_axis("repeat", axis, x.ndim))


# -- order and triangles


@defop("flip", impl=lambda x, axis: np.flip(x, axis), infer=like_first, view=True)
def flip_op(needs, g, out, x, axis):
    return (flip_op(g, axis=axis),)


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Elements in reverse order along these axes; by default along all."""
    x = operand(x)
    return flip_op(x, axis=normalize_axes("flip", axis, x.ndim))


@defop("roll", impl=lambda x, shift, axis: np.roll(x, shift, axis), infer=like_first)
def roll_op(needs, g, out, x, shift, axis):
    return (roll_op(g, shift=tuple([-s for s in shift]), axis=axis),)


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved along axes; those that leave at one end enter at the other. Without an axis in flat order.

    Raises ShapeError for another number of shifts than of axes.
    """
    x = operand(x)
    shifts = wholes("roll", "shift", shift)
    if axis is None:
        return reshape_like(roll(flatten(x), shifts[0], 0), x)
    axes = wholes("roll", "axis", axis)
    n = max(len(axes), len(shifts))
    if len(axes) not in (1, n) or len(shifts) not in (1, n):
        raise ShapeError(f"[roll] expected a shift for each axis; got shifts {shifts} and axes {axes}.")
    return roll_op(
        x,
        shift=shifts * (n if len(shifts) == 1 else 1),
        axis=tuple([normalize_axis("roll", a, x.ndim) for a in axes]) * (n if len(axes) == 1 else 1),
    )


def _triangle(name: str) -> Any:
    def infer(x: Operand, k: int) -> Aval:
        assert isinstance(x, Aval)
        if x.ndim < 2:
            raise ShapeError(f"[{name}] expected rank 2 or more; got shape {text(x.shape)}. Use diag for a vector?")
        return x

    return infer


@defop("tril", impl=lambda x, k: np.tril(x, k), infer=_triangle("tril"))
def tril_op(needs, g, out, x, k):
    return (tril_op(g, k=k),)


def tril(x: Any, k: int = 0) -> Tensor:
    """Elements on and below the k-th diagonal of the last two axes, zeros above."""
    return tril_op(operand(x), k=k)


@defop("triu", impl=lambda x, k: np.triu(x, k), infer=_triangle("triu"))
def triu_op(needs, g, out, x, k):
    return (triu_op(g, k=k),)


def triu(x: Any, k: int = 0) -> Tensor:
    """Elements on and above the k-th diagonal of the last two axes, zeros below."""
    return triu_op(operand(x), k=k)


def _infer_diagonal(x: Operand, offset: int, axis1: int, axis2: int) -> Aval:
    assert isinstance(x, Aval)
    rows, cols = x.shape[axis1], x.shape[axis2]
    n: Dim = None
    if rows is not None and cols is not None:
        n = max(0, min(rows, cols - offset) if offset >= 0 else min(rows + offset, cols))
    return Aval([*[d for k, d in enumerate(x.shape) if k not in (axis1, axis2)], n], x.dtype)


@defop(
    "diagonal",
    impl=lambda x, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
    infer=_infer_diagonal,
    view=True,
)
def diagonal_op(needs, g, out, x, offset, axis1, axis2):
    return (diagonal_adjoint(g, x, offset=offset, axis1=axis1, axis2=axis2),)


def _diagonal_adjoint_impl(g: np.ndarray, x: Any, offset: int, axis1: int, axis2: int) -> np.ndarray:
    out = np.zeros(x.shape, g.dtype)
    k = np.arange(g.shape[-1])
    np.moveaxis(out, (axis1, axis2), (-2, -1))[..., k + max(0, -offset), k + max(0, offset)] = g
    return out


@defop("diagonal_adjoint", impl=_diagonal_adjoint_impl, infer=like_second)
def diagonal_adjoint(needs, g, out, x, like, offset, axis1, axis2):
    """Zeros like a second tensor with x on a diagonal: the transposed map of ``diagonal``."""
    return diagonal_op(g, offset=offset, axis1=axis1, axis2=axis2), None


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Diagonals of two axes, as the last axis of the result. Raises ShapeError for one axis twice."""
    x = operand(x)
    a, b = normalize_axis("diagonal", axis1, x.ndim), normalize_axis("diagonal", axis2, x.ndim)
    if a == b:
        raise ShapeError(f"[diagonal] expected two different axes; got {axis1} and {axis2}.")
    return diagonal_op(x, offset=offset, axis1=a, axis2=b)


def diag(x: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or a matrix with a vector as its k-th diagonal.

    Raises ShapeError for other ranks.
    """
    x = operand(x)
    if x.ndim == 2:
        return diagonal(x, k)
    n = x.shape[0] if x.ndim == 1 else None
    if n is None:
        raise ShapeError(f"[diag] expected a matrix, or a vector of known size; got {text(x.shape)}. Use diagonal()?")
    side = n + abs(k)
    return diagonal_adjoint(x, Tensor(np.zeros((side, side), x.dtype)), offset=k, axis1=0, axis2=1)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of a diagonal."""
    return diagonal(x, offset, axis1, axis2).sum(axis=-1)
