"""Reading and writing parts of tensors: indexing, take, scatter, one_hot.

An index is split into a static, hashable pattern (ints, slices as tuples, ``...``, ``None``, and marks where arrays
stand) and the index arrays, which are positional inputs. Operations never write their inputs; ``x[i] = v`` is built on
``index_update`` in ``methods``.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Dim, Operand, broadcast_shapes, normalize_axis, result_dtype, shape_of
from autotensor.core.op import apply, defop, defop_no_grad, either, run_bound
from autotensor.core.tensor import Tensor, to_array, wrap
from autotensor.errors import DTypeError, RangeError, ShapeError
from autotensor.kernels import scatter
from autotensor.ops.conversion import dtype_of
from autotensor.ops.creation import operand
from autotensor.ops.like import unbroadcast
from autotensor.ops.shape import flatten, like_second, text

__all__ = [
    "getitem", "index_update", "index_add", "take", "gather", "take_along_axis", "put_along_axis", "one_hot",
]  # fmt: skip

# Marks in a pattern where an index array stands: one of any kind, and the positions of a constant mask, which are
# known to be distinct.
ARRAY = "array"
MASK = "mask"
Pattern = tuple[Any, ...]


# -- patterns


def parse(op: str, key: Any, shape: tuple[Dim, ...]) -> tuple[Pattern, tuple[Any, ...]]:
    """The static pattern of an index into a tensor of this shape, and the index arrays of it."""
    if type(key) is int:
        return (key,), ()
    if type(key) is np.ndarray and key.dtype.kind in "iu" and key.ndim and key.dtype.isnative:
        return (ARRAY,), (wrap(key.copy()),)  # the common case, quickly; a copy, for the caller may reuse the array
    if type(key) is not tuple:
        key = (key,)
    pattern: list[Any] = []
    arrays: list[Tensor] = []
    masks = False
    for part in key:
        kind = type(part)
        if kind is int or part is None or part is Ellipsis:
            pattern.append(part)
        elif kind is slice:
            pattern.append((_bound(part.start), _bound(part.stop), _bound(part.step)))
        elif isinstance(part, np.integer):
            pattern.append(int(part))
        else:
            index = part if isinstance(part, Tensor) else _index_array(op, part)
            if index.dtype.kind not in "biu":
                raise DTypeError(
                    f"[{op}] an index is made of ints, slices, None, ... and integer or bool arrays; got "
                    f"{index.dtype} values. Convert them with astype(at.int64)?"
                )
            constant = index.data is not None and type(index) is Tensor
            if constant and index.ndim == 0 and index.dtype.kind != "b":
                pattern.append(int(index.data))  # type: ignore[arg-type]
            else:
                masks = masks or (constant and index.ndim > 0 and index.dtype.kind == "b")
                pattern.append(ARRAY)
                # An index carries no gradient: its recipe is left behind.
                arrays.append(wrap(index.data) if constant and index.tracked else index)  # type: ignore[arg-type]
    return _positions(op, pattern, arrays, shape) if masks else (tuple(pattern), tuple(arrays))


def _positions(
    op: str, pattern: list[Any], arrays: list[Tensor], shape: tuple[Dim, ...]
) -> tuple[Pattern, tuple[Any, ...]]:
    """Constant masks replaced by the positions where they hold, so that the shape of the result is known."""
    given = iter(arrays)
    index = [next(given) if type(p) is str else p for p in pattern]
    taken = [_consumed(p.aval if isinstance(p, Tensor) else p) for p in index]
    new_pattern: list[Any] = []
    new_arrays: list[Tensor] = []
    axis = 0
    for p, n in zip(index, taken, strict=True):
        if p is Ellipsis:
            axis += len(shape) - sum(taken)
        if isinstance(p, Tensor) and p.dtype.kind == "b" and p.ndim and type(p) is Tensor and p.data is not None:
            selected = shape[axis : axis + n]
            # A size of 0 selects nothing, beside any dimension, as in NumPy and the array API standard.
            fits = [m in (0, d) or d is None for d, m in zip(selected, p.data.shape)]
            if len(selected) != n or not all(fits):
                raise RangeError(
                    f"[{op}] a mask must have the shape of what it selects from; got {p.data.shape} for axes "
                    f"{axis} to {axis + n - 1} of shape {text(shape)}."
                )
            new_pattern.extend([MASK] * n)
            new_arrays.extend([wrap(positions) for positions in p.data.nonzero()])
        else:
            new_pattern.append(p if not isinstance(p, Tensor) else ARRAY)
            if isinstance(p, Tensor):
                new_arrays.append(p)
        axis += n
    return tuple(new_pattern), tuple(new_arrays)


def _bound(value: Any) -> int | None:
    return value if value is None or type(value) is int else value.__index__()


def _index_array(op: str, part: Any) -> Tensor:
    own = getattr(part, "__autotensor__", None)
    if own is not None:
        return own()
    array = to_array(part)
    return wrap(array.astype(np.int64) if array.size == 0 and array.dtype.kind == "f" else array)


@functools.lru_cache(maxsize=4096)
def _decoded(pattern: Pattern) -> tuple[Any, ...]:
    return tuple([slice(*p) if type(p) is tuple else p for p in pattern])


def key_of(pattern: Pattern, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index NumPy takes."""
    key = _decoded(pattern)
    if not arrays:
        return key
    given = iter(arrays)
    return tuple([next(given) if type(k) is str else k for k in key])


def indexed_shape(op: str, shape: tuple[Dim, ...], pattern: Pattern, arrays: tuple[Aval, ...]) -> tuple[Dim, ...]:
    """Shape of ``x[index]`` by NumPy's rules, for x of ``shape`` with unknown dimensions."""
    marks = iter(arrays)
    index = [next(marks) if type(p) is str else p for p in pattern]
    used = sum([_consumed(p) for p in index])
    if used > len(shape):
        raise RangeError(f"[{op}] {used} axes are indexed; the tensor has shape {text(shape)}. Use fewer indices?")
    if Ellipsis not in [p for p in index if not isinstance(p, Aval)]:
        index.append(Ellipsis)
    advanced = any([isinstance(p, Aval) for p in index])
    out: list[Dim] = []
    axis = 0
    fancy: list[tuple[Dim, ...]] = []  # shapes that broadcast against each other
    place: int | None = None  # where their common shape goes
    apart = False
    last_fancy = -2
    for position, p in enumerate(index):
        if p is None:
            out.append(1)
        elif p is Ellipsis:
            rest = len(shape) - used
            out.extend(shape[axis : axis + rest])
            axis += rest
        elif isinstance(p, tuple):
            d = shape[axis]
            out.append((None if p != (None, None, None) else d) if d is None else len(range(*slice(*p).indices(d))))
            axis += 1
        elif isinstance(p, int) and not advanced:
            d = shape[axis]
            if d is not None and not -d <= p < d:
                raise RangeError(f"[{op}] index {p} is out of range for axis {axis} of size {d}.")
            axis += 1
        else:
            if place is None:
                place = len(out)
            elif last_fancy != position - 1:
                apart = True
            last_fancy = position
            if isinstance(p, Aval) and p.dtype.kind == "b":
                for have, given in zip(shape[axis : axis + p.ndim], p.shape, strict=True):
                    if have is not None and given and have != given:
                        raise RangeError(
                            f"[{op}] a mask must have the shape of what it selects from; got {text(p.shape)} for "
                            f"{text(shape)}."
                        )
                fancy.append((None,))
            else:
                fancy.append(p.shape if isinstance(p, Aval) else ())
            axis += _consumed(p)
    if place is not None:
        common = broadcast_shapes(op, *fancy)
        where = 0 if apart else place
        out[where:where] = common
    return tuple(out)


def _consumed(p: Any) -> int:
    """How many axes a part of an index takes."""
    if p is None or p is Ellipsis:
        return 0
    if isinstance(p, Aval) and p.dtype.kind == "b":
        return p.ndim
    return 1


def _repeats(pattern: Pattern, arrays: tuple[Any, ...]) -> bool:
    """True if an element could be selected more than once."""
    marks = [p for p in pattern if type(p) is str]
    return any([mark == ARRAY and a.dtype.kind != "b" for mark, a in zip(marks, arrays, strict=True)])


# -- reading


def _infer_getitem(x: Operand, *arrays: Aval, pattern: Pattern) -> Aval:
    assert isinstance(x, Aval)
    return Aval(indexed_shape("getitem", x.shape, pattern, arrays), x.dtype)


def _select_into(buffer: np.ndarray, g: np.ndarray, x: np.ndarray, *arrays: Any, pattern: Pattern) -> None:
    _add_at(buffer, key_of(pattern, arrays), pattern, arrays, g)


@defop(
    "getitem",
    impl=lambda x, pattern: x[_decoded(pattern)],
    infer=_infer_getitem,
    view=True,
    vjp_takes_arrays=True,
    vjp_into=_select_into,
)
def getitem_op(needs, g, out, x, pattern):
    return (either(place_op, g, x, pattern=pattern),)


def _select_impl(x: np.ndarray, *arrays: Any, pattern: Pattern) -> Any:
    if len(pattern) == 1:
        return x[arrays[0]]
    return x[key_of(pattern, arrays)]


@defop("select", impl=_select_impl, infer=_infer_getitem, vjp_takes_arrays=True, vjp_into=_select_into)
def select_op(needs, g, out, x, *arrays, pattern):
    """``getitem`` with index arrays, which copies: it is no view."""
    return either(place_op, g, x, *arrays, pattern=pattern), *[None] * len(arrays)


def read(x: Any, arrays: tuple[Any, ...], pattern: Pattern) -> Tensor:
    """The part of x at a parsed index."""
    return apply(select_op, x, *arrays, pattern=pattern) if arrays else apply(getitem_op, x, pattern=pattern)


def getitem(x: Any, key: Any) -> Tensor:
    """``x[key]``: ints, slices, ``None``, ``...``, integer arrays and bool masks, as in NumPy.

    Index arrays may be tensors without a value yet; a mask without a value gives an unknown dimension.
    """
    x = operand(x)
    pattern, arrays = parse("getitem", key, x.shape)
    return read(x, arrays, pattern)


def _flat_places(shape: tuple[int, ...], key: tuple[Any, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Flat positions that an index selects, in the order of the result, and the shape of that."""
    places = np.arange(math.prod(shape)).reshape(shape)[key]
    return places.ravel(), places.shape


def write_at(out: np.ndarray, key: tuple[Any, ...], pattern: Pattern, arrays: tuple[Any, ...], v: Any) -> None:
    """out[key] = v; of repeated indices the last in row order counts."""
    if _repeats(pattern, arrays) and out.flags.c_contiguous:
        # NumPy walks index arrays in memory order, so that what comes last would depend on their strides.
        places, shape = _flat_places(out.shape, key)
        out.reshape(-1)[places] = np.broadcast_to(v, shape).ravel()
    else:
        out[key] = v


def _last_writes(shape: tuple[int, ...], key: tuple[Any, ...]) -> np.ndarray:
    """True for each written element that no later one overwrites."""
    places, part = _flat_places(shape, key)
    writer = np.full(math.prod(shape), -1, np.int64)
    numbers = np.arange(places.size)
    writer[places] = numbers
    return (writer[places] == numbers).reshape(part)


def _add_at(out: np.ndarray, key: tuple[Any, ...], pattern: Pattern, arrays: tuple[Any, ...], v: Any) -> None:
    """out[key] += v, where repeated indices add up."""
    if not _repeats(pattern, arrays):
        out[key] += v
    elif len(arrays) == 1 and len(pattern) == 1:
        _add_rows(out, arrays[0], np.asarray(v, out.dtype))
    else:
        np.add.at(out, key, v)


def _add_rows(out: np.ndarray, index: np.ndarray, v: np.ndarray) -> None:
    """out[index] += v along the first axis, as for the rows of an embedding; half precision adds up in float32."""
    if out.ndim == 1 and out.dtype.itemsize >= 4:
        np.add.at(out, index, v)
        return
    rows = np.broadcast_to(v, index.shape + out.shape[1:]).reshape(index.size, *out.shape[1:])
    if out.dtype != np.float16:
        scatter.scatter_add_rows(out, index.reshape(-1), rows)
        return
    wide = out.astype(np.float32)
    scatter.scatter_add_rows(wide, index.reshape(-1), rows.astype(np.float32))
    out[...] = wide


def _place_impl(g: np.ndarray, x: np.ndarray, *arrays: Any, pattern: Pattern) -> np.ndarray:
    g = np.asarray(g)
    out = np.zeros(x.shape, g.dtype)
    if not arrays:
        out[_decoded(pattern)] = g
    elif pattern == (ARRAY,) and arrays[0].dtype.kind != "b":
        _add_rows(out, arrays[0], np.asarray(g, out.dtype))
    elif _repeats(pattern, arrays):
        _add_at(out, key_of(pattern, arrays), pattern, arrays, g)
    else:
        out[key_of(pattern, arrays)] = g
    return out


def _place_into(
    out: np.ndarray, g: Any, *arrays: Any, pattern: Pattern, shape: tuple[int, ...], dtype: np.dtype
) -> None:
    out[...] = 0
    if _repeats(pattern, arrays):
        _add_at(out, key_of(pattern, arrays), pattern, arrays, g)
    else:
        out[key_of(pattern, arrays)] = g


def _placed_impl(g: Any, *arrays: Any, pattern: Pattern, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    out = np.empty(shape, dtype)
    _place_into(out, g, *arrays, pattern=pattern, shape=shape, dtype=dtype)
    return out


def _infer_placed(g: Operand, *arrays: Aval, pattern: Pattern, shape: tuple[int, ...], dtype: np.dtype) -> Aval:
    return Aval(shape, dtype)


@defop("place_in", impl=_placed_impl, infer=_infer_placed, into=_place_into)
def place_in_op(needs, g, out, v, *arrays, pattern, shape, dtype):
    """Zeros of a shape with v added in at an index: ``place`` where the shape is known."""
    return read(g, arrays, pattern), *[None] * len(arrays)


def _lower_place(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    # Without the second tensor, which would be kept for its shape alone.
    if not out.known:
        return None
    v, _, *arrays = inputs
    return apply(place_in_op, v, *arrays, shape=out.shape, dtype=out.dtype, **params)


@defop("place", impl=_place_impl, infer=like_second, lower=_lower_place)
def place_op(needs, g, out, v, like, *arrays, pattern):
    """Zeros like a second tensor with v added in at an index: the transposed map of ``getitem``."""
    return read(g, arrays, pattern), None, *[None] * len(arrays)


# -- writing


def _infer_write(name: str) -> Any:
    def infer(x: Operand, v: Operand, *arrays: Aval, pattern: Pattern) -> Aval:
        assert isinstance(x, Aval)
        part = indexed_shape(name, x.shape, pattern, arrays)
        joined = broadcast_shapes(name, part, shape_of(v))
        if len(joined) > len(part) or any([a == 1 and b not in (1, None) for a, b in zip(part, joined)]):
            raise ShapeError(
                f"[{name}] expected a value that broadcasts to {text(part)}, the shape of the indexed part; "
                f"got {text(shape_of(v))}."
            )
        return x

    return infer


def _update_impl(x: np.ndarray, v: Any, *arrays: Any, pattern: Pattern) -> np.ndarray:
    out = np.array(x, order="C")
    write_at(out, key_of(pattern, arrays), pattern, arrays, v)
    return out


@defop("index_update", impl=_update_impl, infer=_infer_write("index_update"))
def index_update_op(needs, g, out, x, v, *arrays, pattern):
    gx = gv = None
    if needs[0]:
        gx = apply(index_update_op, g, 0, *arrays, pattern=pattern)
    if needs[1]:
        part = read(g, arrays, pattern)
        if _repeats(pattern, arrays):
            # Of several values written to one place only the last is in the result.
            part = part * apply(last_written, x, *arrays, pattern=pattern)
        gv = unbroadcast(part, v)
    return gx, gv, *[None] * len(arrays)


def _last_written_impl(x: np.ndarray, *arrays: Any, pattern: Pattern) -> np.ndarray:
    return _last_writes(x.shape, key_of(pattern, arrays))


last_written = defop_no_grad(
    "last_written",
    impl=_last_written_impl,
    infer=lambda x, *arrays, pattern: Aval(indexed_shape("last_written", x.shape, pattern, arrays), bool),
)


def index_update(x: Any, value: Any, *key: Any) -> Tensor:
    """A copy of x with ``x[key] = value`` done to it; ``key`` is what stands in the brackets.

    Gradients reach x where it was kept and ``value`` where it was written; of repeated indices the last counts.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.index_update(np.zeros(3), 5.0, 1)
        Tensor([0., 5., 0.], dtype=float64)
        >>> at.grad(lambda v: at.sum(at.index_update(np.zeros(3), v, 1) ** 2))(5.0)
        Tensor(10., dtype=float64)
    """
    x = operand(x)
    pattern, arrays = parse("index_update", key, x.shape)
    return apply(index_update_op, x, value, *arrays, pattern=pattern)


def _index_add_impl(x: np.ndarray, v: Any, *arrays: Any, pattern: Pattern) -> np.ndarray:
    out = np.array(x, np.result_type(x, v), order="C")
    _add_at(out, key_of(pattern, arrays), pattern, arrays, v)
    return out


def _infer_index_add(x: Operand, v: Operand, *arrays: Aval, pattern: Pattern) -> Aval:
    _infer_write("index_add")(x, v, *arrays, pattern=pattern)
    return Aval(shape_of(x), result_dtype(x, v))


@defop("index_add", impl=_index_add_impl, infer=_infer_index_add)
def index_add_op(needs, g, out, x, v, *arrays, pattern):
    gx = unbroadcast(g, x) if needs[0] else None
    gv = unbroadcast(read(g, arrays, pattern), v) if needs[1] else None
    return gx, gv, *[None] * len(arrays)


def index_add(x: Any, value: Any, *key: Any) -> Tensor:
    """A copy of x with ``value`` added to ``x[key]``; repeated indices add up (scatter-add).

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.index_add(np.zeros(3), np.array([1.0, 1.0]), np.array([0, 0]))
    Tensor([2., 0., 0.], dtype=float64)
    """
    x = operand(x)
    pattern, arrays = parse("index_add", key, x.shape)
    return apply(index_add_op, x, value, *arrays, pattern=pattern)


# -- take

# Below so many elements NumPy's own take is as good as a kernel.
_FEW = 4096


def _infer_take(x: Operand, index: Operand, axis: int) -> Aval:
    assert isinstance(x, Aval)
    if isinstance(index, Aval) and index.dtype.kind not in "iu":
        raise DTypeError(f"[take] expected integer indices; got {index.dtype}. Use astype(at.int64)?")
    return Aval(x.shape[:axis] + shape_of(index) + x.shape[axis + 1 :], x.dtype)


def _take_bind(outs: Any, arrays: Any, scratch: Any, axis: int) -> Any:
    x, index = arrays
    if axis or not (isinstance(index, np.ndarray) and scatter.has_rows(x) and scatter.has_rows(outs[0])):
        return None
    return scatter.take(outs[0], x, index, scratch) if index.size else None


def _take_impl(x: np.ndarray, index: Any, axis: int) -> np.ndarray:
    if axis == 0 and isinstance(index, np.ndarray) and index.size * x[:1].size > _FEW and scatter.has_rows(x):
        out = np.empty(index.shape + x.shape[1:], x.dtype)
        run_bound(_take_bind, (out,), (x, index), axis=axis)
        return out
    return x.take(index, axis)


@defop(
    "take",
    impl=_take_impl,
    infer=_infer_take,
    into=lambda out, x, index, axis: np.take(x, index, axis, out=out),
    bind=_take_bind,
)
def take_op(needs, g, out, x, index, axis):
    if None in x.shape:
        return take_adjoint(g, index, x, axis=axis, shape=None), None
    return take_adjoint(g, index, axis=axis, shape=x.shape), None


def _take_adjoint_impl(g: np.ndarray, index: Any, *like: np.ndarray, axis: int, shape: Any) -> np.ndarray:
    index = np.asarray(index)
    out = np.zeros(shape or like[0].shape, g.dtype)
    moved = np.moveaxis(g, tuple(range(axis, axis + index.ndim)), tuple(range(index.ndim)))
    _add_rows(np.moveaxis(out, axis, 0), index, moved)
    return out


def _take_adjoint_bind(outs: Any, arrays: Any, scratch: Any, axis: int, shape: Any) -> Any:
    g, index = arrays[:2]
    if axis or not (isinstance(index, np.ndarray) and index.size and scatter.has_rows(outs[0])):
        return None
    return scatter.scatter_add(outs[0], index, g, scratch, True)


def _infer_take_adjoint(g: Operand, index: Operand, *like: Operand, axis: int, shape: Any) -> Aval:
    return Aval(shape or shape_of(like[0]), g.dtype)  # type: ignore[union-attr]


def _lower_take_adjoint(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    # Without the third tensor, which would be kept for its shape alone.
    if len(inputs) < 3 or not out.known:
        return None
    return take_adjoint(*inputs[:2], axis=params["axis"], shape=out.shape)


@defop(
    "take_adjoint",
    impl=_take_adjoint_impl,
    infer=_infer_take_adjoint,
    bind=_take_adjoint_bind,
    lower=_lower_take_adjoint,
)
def take_adjoint(needs, g, out, v, index, *like, axis, shape):
    """Zeros with the slices of v added in along an axis: the transposed map of ``take``.

    The result has the shape ``shape``, or that of a third tensor.
    """
    return take_op(g, index, axis=axis), None, *[None] * len(like)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Slices of x along an axis (by default elements in flat order) at integer indices of any shape.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.grad(lambda x: at.sum(at.take(x, np.array([0, 0, 2]))))(np.array([1.0, 2.0, 3.0]))
    Tensor([2., 0., 1.], dtype=float64)
    """
    x = operand(x)
    if axis is None:
        x, axis = flatten(x), 0
    return take_op(x, _integers("take", indices), axis=normalize_axis("take", axis, x.ndim))


def gather(x: Any, indices: Any) -> Tensor:
    """Rows of x at integer indices of any shape: ``take`` along the first axis."""
    return take(x, indices, 0)


def _integers(op: str, indices: Any) -> Tensor:
    indices = indices if isinstance(indices, Tensor) else _index_array(op, indices)
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"[{op}] expected integer indices; got {indices.dtype}. Use astype(at.int64)?")
    return indices


def _infer_along(name: str) -> Any:
    def infer(x: Operand, index: Operand, axis: int) -> Aval:
        assert isinstance(x, Aval)
        have, given = list(x.shape), list(shape_of(index))
        if len(have) != len(given):
            raise ShapeError(
                f"[{name}] expected indices of the rank of the tensor; got {text(given)} for {text(have)}. "
                "Use take, or expand_dims the indices?"
            )
        size = given[axis]
        have[axis] = given[axis] = 1
        out = list(broadcast_shapes(name, have, given))
        out[axis] = size
        return Aval(out, x.dtype)

    return infer


@defop(
    "take_along_axis",
    impl=lambda x, index, axis: np.take_along_axis(x, index, axis),
    infer=_infer_along("take_along_axis"),
)
def take_along_op(needs, g, out, x, index, axis):
    return take_along_adjoint(g, x, index, axis=axis), None


def _along(index: np.ndarray, shape: tuple[int, ...], axis: int) -> tuple[np.ndarray, ...]:
    """The index arrays that select along one axis and keep the others."""
    key = []
    for k, n in enumerate(shape):
        if k == axis:
            key.append(index)
        else:
            key.append(np.arange(n).reshape([-1 if j == k else 1 for j in range(len(shape))]))
    return tuple(key)


def _take_along_adjoint_impl(g: np.ndarray, x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    out = np.zeros(x.shape, g.dtype)
    np.add.at(out, _along(index, x.shape, axis), g)
    return out


@defop("take_along_adjoint", impl=_take_along_adjoint_impl, infer=like_second)
def take_along_adjoint(needs, g, out, v, like, index, axis):
    """The transposed map of ``take_along_axis``: v added into zeros like a second tensor."""
    return take_along_op(g, index, axis=axis), None, None


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """Elements of x at indices along one axis, for each position of the others; fits what ``argsort`` gives."""
    x = operand(x)
    axis = normalize_axis("take_along_axis", axis, x.ndim)
    return take_along_op(x, _integers("take_along_axis", indices), axis=axis)


def _put_along_impl(x: np.ndarray, index: np.ndarray, v: Any, axis: int) -> np.ndarray:
    out = np.array(x, order="C")
    places, shape = _flat_places(x.shape, _along(index, x.shape, axis))
    out.reshape(-1)[places] = np.broadcast_to(v, shape).ravel()
    return out


def _infer_put_along(x: Operand, index: Operand, v: Operand, axis: int) -> Aval:
    assert isinstance(x, Aval)
    part = _infer_along("put_along_axis")(x, index, axis)
    broadcast_shapes("put_along_axis", part.shape, shape_of(v))
    return x


@defop("put_along_axis", impl=_put_along_impl, infer=_infer_put_along)
def put_along_op(needs, g, out, x, index, v, axis):
    gx = gv = None
    if needs[0]:
        gx = put_along_op(g, index, 0, axis=axis)
    if needs[2]:
        gv = unbroadcast(take_along_op(g, index, axis=axis) * last_put(x, index, axis=axis), v)
    return gx, None, gv


def _last_put_impl(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    return _last_writes(x.shape, _along(index, x.shape, axis))


last_put = defop_no_grad(
    "last_put",
    impl=_last_put_impl,
    infer=lambda x, index, axis: Aval(_infer_along("last_put")(x, index, axis).shape, bool),
)


def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1) -> Tensor:
    """A copy of x with values written at indices along one axis; of repeated indices the last counts."""
    x = operand(x)
    axis = normalize_axis("put_along_axis", axis, x.ndim)
    return put_along_op(x, _integers("put_along_axis", indices), values, axis=axis)


# -- one_hot


def _one_hot_impl(index: Any, num_classes: int, dtype: np.dtype, axis: int) -> np.ndarray:
    index = np.asarray(index)
    out = np.zeros((*index.shape, num_classes), dtype)
    np.equal(index[..., None], np.arange(num_classes), out=out, casting="unsafe")
    return np.moveaxis(out, -1, axis) if axis != index.ndim else out


def _infer_one_hot(index: Operand, num_classes: int, dtype: np.dtype, axis: int) -> Aval:
    shape = list(shape_of(index))
    return Aval([*shape[:axis], num_classes, *shape[axis:]], dtype)


one_hot_op = defop_no_grad("one_hot", impl=_one_hot_impl, infer=_infer_one_hot)


def one_hot(indices: Any, num_classes: int, dtype: Any = np.float32, axis: int = -1) -> Tensor:
    """Ones at integer indices along a new axis of size ``num_classes``, zeros elsewhere.

    An index outside 0 ... num_classes - 1 gives a row of zeros.
    """
    indices = _integers("one_hot", indices)
    place = normalize_axis("one_hot", axis, indices.ndim + 1)
    return one_hot_op(indices, num_classes=int(num_classes), dtype=dtype_of("one_hot", dtype), axis=place)
