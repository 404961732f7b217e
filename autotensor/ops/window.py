"""Sliding windows: what convolutions and pooling mean by strides, padding and dilation, and windows as a tensor.

Operations here and in the families built on this work on (n, *space, c); ``channels_first`` is a transposition at
their door. Along an axis of n positions, with windows of k positions that are d apart, moved by s:

    reach  = (k - 1) d + 1                                  positions from the first of a window to its last
    valid    no border; out = floor((n - reach) / s) + 1
    same     out = ceil(n / s), with the border this takes, the odd position at the end, as in TensorFlow
    causal   a border of reach - 1 before the first position: nothing is seen before it has happened
    (lo, hi) these borders; out = floor((n + lo + hi - reach) / s) + 1
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, Shape, shape_of, wholes
from autotensor.core.op import defop
from autotensor.core.tensor import Tensor
from autotensor.errors import ShapeError
from autotensor.kernels import window as kernels
from autotensor.kernels.window import Windows
from autotensor.ops.creation import operand
from autotensor.ops.shape import permute_dims, text

__all__ = ["fold", "unfold"]

AxisPadding = str | tuple[int, int]
Padding = str | tuple[tuple[int, int], ...]

LAYOUTS = ("channels_last", "channels_first")

# -- arguments


def numbers(op: str, name: str, value: Any, n: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of n axes of space, from one number for all of them or a sequence."""
    given = wholes(op, name, value)
    given = given * n if len(given) == 1 and not isinstance(value, (tuple, list)) else given
    if len(given) != n or any([int(v) != v or v < least for v in given]):
        raise ShapeError(
            f"[{op}] expected {name} to be a whole number >= {least}, or {n} of them, one for each axis of space; "
            f"got {value!r}."
        )
    return tuple([int(v) for v in given])


def padding_of(op: str, padding: Any, n: int) -> Padding:
    """The padding as a word or as pairs of ints."""
    if isinstance(padding, str):
        word = padding.lower()
        if word in ("valid", "same") or (word == "causal" and n == 1):
            return word
    else:
        pairs = tuple([tuple(p) if isinstance(p, Sequence) else (p, p) for p in padding])
        if len(pairs) == n and all([len(p) == 2 and min(p) >= 0 for p in pairs]):
            return tuple([(int(p[0]), int(p[1])) for p in pairs])
    raise ShapeError(
        f'[{op}] expected padding "valid", "same", "causal" (for one axis of space) or {n} pairs (low, high) >= 0; '
        f"got {padding!r}."
    )


def space_of(op: str, x: Tensor, n: int | None = None) -> int:
    """Number of axes of space of x, 1 to 3."""
    have = x.ndim - 2
    if not 1 <= have <= 3 or (n is not None and have != n):
        wanted = "1, 2 or 3 axes" if n is None or not 1 <= n <= 3 else f"{n} {'axis' if n == 1 else 'axes'}"
        raise ShapeError(
            f"[{op}] expected samples and channels with {wanted} of space between them; got shape {text(x.shape)}. "
            "Is an axis missing (expand_dims)?"
        )
    return have


def axes_of(size: Any) -> int | None:
    """How many axes of space a size speaks of; None where that, or what it is, is said elsewhere."""
    return len(size) if isinstance(size, (tuple, list)) else None


def channels_last(op: str, x: Tensor, layout: str) -> Tensor:
    """x as (n, *space, c)."""
    if layout not in LAYOUTS:
        raise ValueError(f"[{op}] expected layout to be one of {LAYOUTS}; got {layout!r}.")
    if layout == "channels_last":
        return x
    return permute_dims(x, (0, *range(2, x.ndim), 1))


def restored(x: Tensor, layout: str) -> Tensor:
    """(n, *space, c) in the layout of the caller."""
    if layout == "channels_last":
        return x
    return permute_dims(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


# -- geometry


def _axis(
    op: str, n: Dim, k: Dim, stride: int, dilation: int, padding: AxisPadding
) -> tuple[Dim, int | None, int | None]:
    """Size of the result along an axis and the borders; None for what is not known yet."""
    if k == 0:
        raise ShapeError(f"[{op}] expected windows of at least one position; got size 0.")
    if n is not None and padding == "same" and k is None:
        return -(-n // stride), None, None
    if n is None or k is None:
        return None, None, None
    reach = (k - 1) * dilation + 1
    if padding == "same":
        out = -(-n // stride)
        border = max((out - 1) * stride + reach - n, 0) if out else 0
        return out, border // 2, border - border // 2
    if isinstance(padding, str):
        low, high = reach - 1 if padding == "causal" else 0, 0
    else:
        low, high = padding
    wide = n + low + high
    if wide < reach:
        raise ShapeError(
            f"[{op}] expected windows that fit into the input; got one of {reach} positions "
            f"(size {k}, dilation {dilation}) for {wide}, borders included. Use padding='same', or a smaller kernel?"
        )
    return (wide - reach) // stride + 1, low, high


def by_axis(padding: Padding, n: int) -> Sequence[AxisPadding]:
    """The padding of each of n axes."""
    return [padding] * n if isinstance(padding, str) else padding


def out_space(
    op: str,
    space: Sequence[Dim],
    size: Sequence[Dim],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
) -> Shape:
    """Sizes of the result along the axes of space; None where they are not known yet."""
    parts = zip(space, size, strides, dilation, by_axis(padding, len(strides)), strict=True)
    return tuple([_axis(op, n, k, s, d, p)[0] for n, k, s, d, p in parts])


@functools.lru_cache(maxsize=4096)
def windows(
    op: str,
    space: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
) -> Windows:
    """The geometry of windows over known sizes."""
    parts = zip(space, size, strides, dilation, by_axis(padding, len(strides)), strict=True)
    found: list[Any] = [_axis(op, n, k, s, d, p) for n, k, s, d, p in parts]
    out, low, high = zip(*found)
    return Windows(space, out, size, strides, dilation, low, high)


def same_space(op: str, what: str, got: Sequence[Dim], wanted: Sequence[Dim]) -> None:
    """Raise unless two lists of sizes agree where both are known."""
    if len(got) != len(wanted) or any([None not in (a, b) and a != b for a, b in zip(got, wanted)]):
        raise ShapeError(f"[{op}] expected {what} {text(wanted)}; got {text(got)}. Check strides, padding and sizes.")


def accumulated(dtype: np.dtype) -> np.dtype:
    """The dtype to add up in: float32 for float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


# -- windows as a tensor


def _check_rank(op: str, shape: Sequence[Dim], n: int) -> None:
    if len(shape) != n + 2:
        raise ShapeError(f"[{op}] expected (samples, {n} axes of space, channels); got shape {text(shape)}.")


def _infer_unfold(
    x: Operand, size: tuple[int, ...], strides: Any, padding: Any, dilation: Any, channels_major: bool
) -> Aval:
    shape = shape_of(x)
    _check_rank("unfold", shape, len(size))
    n, *space, c = shape
    width = None if c is None else math.prod(size) * c
    return Aval((n, *out_space("unfold", space, size, strides, padding, dilation), width), x.dtype)  # type: ignore[union-attr]


def _split(patches: np.ndarray, w: Windows, c: int, channels_major: bool) -> np.ndarray:
    """Patches (n, *out, width) seen as (n, *out, *size, c)."""
    lead = patches.shape[:-1]
    if not channels_major:
        return patches.reshape(*lead, *w.size, c)
    return np.moveaxis(patches.reshape(*lead, c, *w.size), len(lead), -1)


def _unfold_into(
    out: np.ndarray, x: np.ndarray, size: Any, strides: Any, padding: Any, dilation: Any, channels_major: bool
) -> None:
    w = windows("unfold", x.shape[1:-1], size, strides, padding, dilation)
    if out.size:
        kernels.unfold_into(_split(out, w, x.shape[-1], channels_major), x, w)


def _unfold_impl(x: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _infer_unfold(Aval(x.shape, x.dtype), **params).shape
    out = np.empty(shape, x.dtype)
    _unfold_into(out, x, **params)
    return out


@defop("unfold", impl=_unfold_impl, infer=_infer_unfold, into=_unfold_into)
def unfold_op(needs, g, out, x, **params):
    """Windows of (n, *space, c) as (n, *out, prod(size) * c), each in the order (*size, c) or (c, *size)."""
    return (unfold_adjoint(g, x, **params),)


def _fold(g: np.ndarray, shape: tuple[int, ...], params: dict[str, Any], out: np.ndarray | None = None) -> np.ndarray:
    w = windows("fold", shape[1:-1], params["size"], params["strides"], params["padding"], params["dilation"])
    same_space("fold", "patches of shape", g.shape, (shape[0], *w.out, math.prod(w.size) * shape[-1]))
    wide = np.zeros(shape, accumulated(g.dtype))
    if g.size:
        kernels.fold_into(wide, _split(g, w, shape[-1], params["channels_major"]), w)
    return wide.astype(g.dtype, copy=False)


def _infer_fold_like(g: Operand, x: Operand, size: Any, strides: Any, padding: Any, dilation: Any, **_: Any) -> Aval:
    shape = shape_of(x)
    _check_rank("fold", shape, len(size))
    n, *space, c = shape
    out = out_space("fold", space, size, strides, padding, dilation)
    width = None if c is None else math.prod(size) * c
    same_space("fold", "patches of shape", shape_of(g), (n, *out, width))
    return Aval(shape, g.dtype)  # type: ignore[union-attr]


@defop("unfold_adjoint", impl=lambda g, x, **params: _fold(g, x.shape, params), infer=_infer_fold_like)
def unfold_adjoint(needs, g, out, patches, like, **params):
    """The transposed map of ``unfold``: windows added up at their places in zeros like a second tensor."""
    return unfold_op(g, **params), None


def _infer_fold(
    g: Operand,
    output_size: tuple[int, ...],
    size: tuple[int, ...],
    strides: Any,
    padding: Any,
    dilation: Any,
    channels_major: bool,
) -> Aval:
    shape = shape_of(g)
    _check_rank("fold", shape, len(size))
    n, *out, width = shape
    same_space("fold", "patches along", out, out_space("fold", output_size, size, strides, padding, dilation))
    each = math.prod(size)
    if width is not None and width % each:
        raise ShapeError(f"[fold] expected windows of {each} positions times channels; got {width} elements.")
    return Aval((n, *output_size, None if width is None else width // each), g.dtype)  # type: ignore[union-attr]


def _fold_impl(g: np.ndarray, **params: Any) -> np.ndarray:
    shape: Any = _infer_fold(Aval(g.shape, g.dtype), **params).shape
    return _fold(g, shape, params)


@defop("fold", impl=_fold_impl, infer=_infer_fold)
def fold_op(needs, g, out, patches, output_size, **params):
    """The transposed map of ``unfold`` for an input of known size."""
    return (unfold_op(g, **params),)


def unfold(
    x: Any, size: Any, strides: Any = 1, padding: Any = "valid", dilation: Any = 1, layout: str = "channels_last"
) -> Tensor:
    """Windows of x (n, *space, c) as rows: (n, *out, prod(size) * c), each window in the order (*size, c).

    With ``layout="channels_first"`` (n, c, *space) gives (n, c * prod(size), *out), in the order (c, *size).
    size, strides, dilation: an int or one for each axis of space; padding: "valid", "same" or pairs (low, high).

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.unfold(np.arange(4.0).reshape(1, 4, 1), 2)[0, :, :]
        Tensor([[0., 1.],
                [1., 2.],
                [2., 3.]], dtype=float64)
    """
    x = operand(x)
    n = space_of("unfold", x, axes_of(size))
    out = unfold_op(
        channels_last("unfold", x, layout),
        size=numbers("unfold", "size", size, n),
        strides=numbers("unfold", "strides", strides, n),
        padding=padding_of("unfold", padding, n),
        dilation=numbers("unfold", "dilation", dilation, n),
        channels_major=layout == "channels_first",
    )
    return restored(out, layout)


def fold(
    patches: Any,
    output_size: Any,
    size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    layout: str = "channels_last",
) -> Tensor:
    """The transposed map of ``unfold``: windows added up where they came from, in an input of ``output_size``.

    patches: as ``unfold`` gives them; output_size: sizes along the axes of space. Where windows overlap their
    elements add up; positions that no window covers are 0.
    """
    patches = operand(patches)
    n = space_of("fold", patches, axes_of(size))
    out = fold_op(
        channels_last("fold", patches, layout),
        output_size=numbers("fold", "output_size", output_size, n, least=0),
        size=numbers("fold", "size", size, n),
        strides=numbers("fold", "strides", strides, n),
        padding=padding_of("fold", padding, n),
        dilation=numbers("fold", "dilation", dilation, n),
        channels_major=layout == "channels_first",
    )
    return restored(out, layout)
