"""One batching rule for each operation, by its name: the operation said once for all examples (see ``batching``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autotensor.core.aval import Aval
from autotensor.core.op import OPS, Op, apply
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import ShapeError
from autotensor.ops.elementwise import where
from autotensor.ops.like import reshape_like, reshape_to
from autotensor.ops.linalg import matmul
from autotensor.ops.scan import scan
from autotensor.ops.shape import expand_dims, permute_dims, reshape, squeeze
from autotensor.transforms.batching import Batch, Batched, FreshKey, Rule, batching_rule, leading, shaped, trailing
from autotensor.transforms.batching import _by_fallback as by_fallback
from autotensor.transforms.batching import _one_by_one as one_by_one
from autotensor.transforms.recipe import Recording

Inputs = Sequence[Any]
Params = dict[str, Any]


def example_rank(x: Any) -> int:
    """Rank of one example of an input."""
    return x.ndim if isinstance(x, (Batched, Tensor)) else 0


def wrapped(op: Op, result: Any) -> Any:
    """All results of an operation, batched."""
    return tuple([Batched(x) for x in result]) if op.n_out > 1 else Batched(result)


# -- element by element

_ELEMENTWISE = (
    "add subtract multiply divide floor_divide remainder pow negative positive abs sign square sqrt cbrt "
    "reciprocal rsqrt hypot exp exp2 expm1 log log2 log10 log1p logaddexp sin cos tan arcsin arccos arctan "
    "arctan2 sinh cosh tanh arcsinh arccosh arctanh floor ceil trunc round erf erfc erfinv where maximum "
    "minimum clip astype copy equal not_equal less less_equal greater greater_equal logical_and logical_or "
    "logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not left_shift right_shift isnan "
    "isinf isfinite relu elu sigmoid softplus sigmoid_cross_entropy stop_gradient real imag conj signbit "
    "copysign nextafter gammaln digamma polygamma gamma betainc sinc rgamma gammasgn log_ndtr erfcinv "
    "bessel_ie bessel_i bessel_j gammainc gammaincc stdtr jv yv iv ive "
).split()


@batching_rule(*_ELEMENTWISE)
def elementwise(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    rank = max([example_rank(x) for x in inputs])
    return wrapped(op, op(*[batch.rank(x, rank) for x in inputs], **params))


# -- operations along axes


def moved_axes(*names: str) -> Rule:
    """Rule of an operation whose parameters of these names are axes, counted from the front."""

    def rule(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
        changed = dict(params)
        for name in names:
            value = params.get(name)
            if value is not None:
                changed[name] = tuple([a + 1 for a in value]) if isinstance(value, tuple) else value + 1
        return wrapped(op, op(*[batch.full(x) for x in inputs], **changed))

    return rule


batching_rule(
    *"sum mean prod var std max min any all count_nonzero logsumexp norm share cumulative_sum cumulative_prod shifted "
    "linear_recurrence expand_dims squeeze flip roll repeat repeat_adjoint concat stack concat_part take_along_axis "
    "take_along_adjoint last_put one_hot sort argsort topk softmax softmax_grad log_softmax "
    "log_softmax_grad twice_inside".split()
)(moved_axes("axis"))
batching_rule("diagonal", "diagonal_adjoint")(moved_axes("axis1", "axis2"))
batching_rule("fft", "fit_axes", "fftshift")(moved_axes("axes"))
batching_rule("rfft", "irfft")(moved_axes("axis"))


@batching_rule("put_along_axis")
def put_along(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, index, v = inputs
    return Batched(op(batch.full(x), batch.full(index), batch.rank(v, example_rank(x)), axis=params["axis"] + 1))


@batching_rule("argmax", "argmin")
def arg_extreme(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    (x,) = inputs
    if params["axis"] is not None:
        return Batched(op(x.value, **{**params, "axis": params["axis"] + 1}))
    out = op(shaped(batch, x.value, (_count(x.shape),)), axis=1, keepdims=False)
    return Batched(expand_dims(out, tuple(range(1, 1 + x.ndim))) if params["keepdims"] and x.ndim else out)


def _count(shape: Sequence[Any]) -> int:
    return -1 if None in shape else math.prod(shape)


@batching_rule("size_along")
def size_along(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    return op(inputs[0].value, axis=tuple([a + 1 for a in params["axis"]]))


@batching_rule("shape_tensor")
def shape_tensor(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    return op(inputs[0].value)[1:]


# -- shapes


@batching_rule(
    *"fill_like fit_like tril triu inv det cofactor slogdet cholesky qr svd eigh eig lower_half diag_embed".split()
)
def by_leading_axes(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    return wrapped(op, op(*[batch.full(x) for x in inputs], **params))


@batching_rule("pinv")
def pinv(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    if len(inputs) > 1:
        return one_by_one(batch, op, inputs, params)
    return by_leading_axes(batch, op, inputs, params)


@batching_rule("permute_dims")
def permuted(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    return Batched(op(inputs[0].value, axes=(0, *[a + 1 for a in params["axes"]])))


@batching_rule("reshape")
def reshaped(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    (x,) = inputs
    shape = list(params["shape"])
    if -1 in shape and None not in x.shape:
        rest = math.prod([d for d in shape if d != -1])
        shape[shape.index(-1)] = math.prod(x.shape) // rest if rest else 0
    if batch.size is None and (-1 in shape or 0 in shape):
        return Batched(reshape_to(x.value, x.value, dims=((0, 0), *shape)))
    return Batched(reshape(x.value, (batch.lead(), *shape)))


@batching_rule("reshape_like")
def reshaped_like(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    return Batched(op(*[batch.full(x) for x in inputs]))


@batching_rule("reshape_to")
def reshaped_to(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, *refs = [batch.full(x) for x in inputs]
    dims = [d if isinstance(d, int) else (d[0], d[1] + 1) for d in params["dims"]]
    return Batched(op(x, *refs, x, dims=((len(refs), 0), *dims)))


@batching_rule("broadcast_like")
def broadcast_like(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, like = inputs
    return Batched(op(batch.rank(x, example_rank(like)), batch.full(like)))


@batching_rule("broadcast_to")
def broadcasted(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    (x,) = inputs
    shape = params["shape"]
    whole = batch.rank(x, len(shape))
    if batch.size is not None:
        return Batched(op(whole, shape=(batch.size, *shape)))
    return Batched(whole + batch.full(wrap(np.zeros(shape, x.dtype))))


@batching_rule("unbroadcast")
def unbroadcasted(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    g, x = inputs
    g = batch.full(g)
    if not isinstance(x, (Tensor, Batched)):
        x = wrap(np.zeros((), g.dtype))
    like = batch.full(x)
    missing = g.ndim - like.ndim
    if missing <= 0:
        return Batched(op(g, like))
    ones = tuple(range(1, 1 + missing))
    return Batched(squeeze(op(g, expand_dims(like, ones)), ones))


@batching_rule("pad", "pad_adjoint")
def padded(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    changed = {**params, "pad_width": ((0, 0), *params["pad_width"])}
    return Batched(op(*[batch.full(x) for x in inputs], **changed))


@batching_rule("tile")
def tiled(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    (x,) = inputs
    reps = params["reps"]
    rank = max(len(reps), x.ndim)
    return Batched(op(batch.rank(x, rank), reps=(1, *(1,) * (rank - len(reps)), *reps)))


@batching_rule("tile_adjoint")
def tile_adjoint(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    g, like = inputs
    reps = params["reps"]
    rank = max(len(reps), example_rank(like))
    whole = Batched(batch.full(like))
    out = op(batch.full(g), batch.rank(whole, rank), reps=(1, *(1,) * (rank - len(reps)), *reps))
    return Batched(reshape_like(out, whole.value))


@batching_rule("switch")
def switched(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    condition, a, b = inputs
    rank = max(example_rank(a), example_rank(b))
    a, b = batch.rank(a, rank), batch.rank(b, rank)
    if not isinstance(condition, Batched):
        return Batched(op(condition, a, b))
    return Batched(where(batch.rank(condition, rank).astype(bool), a, b))


# -- products


@batching_rule("matmul")
def product(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, y = inputs
    both = isinstance(x, Batched) and isinstance(y, Batched)
    if not both and example_rank(x) <= 2 and example_rank(y) <= 2:
        # One product over all examples.
        if isinstance(x, Batched) and (x.ndim == 1 or y.ndim == 2):
            return Batched(matmul(x.value, y))
        if isinstance(y, Batched) and y.ndim == 1:
            return Batched(matmul(y.value, permute_dims(x, (1, 0)) if x.ndim == 2 else x))
    # Vectors become matrices of one row or column, and batches of their own are aligned.
    row, column = example_rank(x) == 1, example_rank(y) == 1
    x = _with_axis(x, -2) if row else x
    y = _with_axis(y, -1) if column else y
    rank = max(example_rank(x), example_rank(y))
    out = matmul(batch.rank(x, rank), batch.rank(y, rank))
    drop = ([out.ndim - 2] if row else []) + ([out.ndim - 1] if column else [])
    return Batched(squeeze(out, tuple(drop)) if drop else out)


def _with_axis(x: Any, axis: int) -> Any:
    return Batched(expand_dims(x.value, axis)) if isinstance(x, Batched) else expand_dims(x, axis)


@batching_rule("einsum")
def contracted(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    left, _, result = params["subscripts"].partition("->")
    letter = next(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in left)
    terms = [letter + t if isinstance(x, Batched) else t for x, t in zip(inputs, left.split(","), strict=True)]
    values = [x.value if isinstance(x, Batched) else x for x in inputs]
    return Batched(op(*values, subscripts=f"{','.join(terms)}->{letter}{result}"))


@batching_rule("solve")
def solved(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    a, b = inputs
    if not isinstance(a, Batched) and a.ndim == 2 and b.ndim == 1:
        return Batched(permute_dims(op(a, permute_dims(b.value, (1, 0))), (1, 0)))
    vector = example_rank(b) == 1
    b = _with_axis(b, -1) if vector else b
    rank = max(example_rank(a), example_rank(b))
    out = op(batch.rank(a, rank), batch.rank(b, rank))
    return Batched(squeeze(out, -1) if vector else out)


@batching_rule("searchsorted", "isin")
def looked_up(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    """Each element of one input is looked up in the other, which all examples share."""
    where_from, place = (inputs[0], 1) if op.name == "searchsorted" else (inputs[1], 0)
    if isinstance(where_from, Batched):
        return one_by_one(batch, op, inputs, params)
    given = list(inputs)
    given[place] = inputs[place].value
    return Batched(op(*given, **params))


# -- operations with examples of their own along axis 0


def merged(*positions: int) -> Rule:
    """Rule of an operation that treats each entry along axis 0 of these inputs alike: both axes become one."""

    def rule(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
        others = [x for i, x in enumerate(inputs) if i not in positions]
        if any([isinstance(x, Batched) for x in others]):
            return (by_fallback if op.fallback is not None else one_by_one)(batch, op, inputs, params)
        own = next(x for i, x in enumerate(inputs) if i in positions and isinstance(x, Batched)).shape[0]
        if own is None or batch.size is None or not own or not batch.size:
            return one_by_one(batch, op, inputs, params)
        given = []
        for i, x in enumerate(inputs):
            if i in positions:
                whole = batch.full(x)
                x = reshape(whole, (batch.size * own, *[-1 if d is None else d for d in whole.shape[2:]]))
            given.append(x)
        result = op(*given, **params)
        outs = result if op.n_out > 1 else (result,)
        split = [reshape(x, (batch.size, own, *[-1 if d is None else d for d in x.shape[1:]])) for x in outs]
        return wrapped(op, split if op.n_out > 1 else split[0])

    return rule


batching_rule("conv", "depthwise_conv", "conv_transpose", "conv_bias", "max_pool", "average_pool", "resize", "unfold")(
    merged(0)
)
batching_rule("conv_input", "depthwise_conv_input")(merged(0, 2))
batching_rule("average_pool_input", "resize_input", "unfold_adjoint")(merged(0, 1))
batching_rule("max_pool_input")(merged(0, 1, 2))
batching_rule("max_pool_pick")(merged(0, 1))
batching_rule("fold")(merged(0))


# -- indexing


class _Layout:
    """An index as it reads a batched tensor, and how what it reads lies: the axis of the examples and the others."""

    __slots__ = ("arrays", "axis", "pattern", "source", "target", "width")

    def __init__(self, batch: Batch, pattern: Any, arrays: Inputs, shared: bool):
        """``shared``: the tensor that is indexed is the same for all examples."""
        marks = iter(arrays)
        index = [next(marks) if type(p) is str else p for p in pattern]
        advanced = [k for k, p in enumerate(index) if isinstance(p, (Tensor, Batched)) or (arrays and type(p) is int)]
        ranks = [1 if _is_mask(p) else p.ndim for p in index if isinstance(p, (Tensor, Batched))]
        self.width = max(ranks, default=0)  # axes that index arrays give together
        apart = bool(advanced) and advanced != list(range(advanced[0], advanced[-1] + 1))
        before = index[: advanced[0]] if advanced else []
        # Axes of the result before those of the index arrays; what ... stands for is not known here.
        self.source = self.target = 0
        self.axis = 0  # of the examples, in what is read
        batched = any([isinstance(a, Batched) for a in arrays])
        if any([isinstance(a, Batched) and a.dtype.kind == "b" for a in arrays]):
            raise ShapeError(
                "[vmap] a mask that differs from example to example selects a different number of elements. "
                "Use at.where(mask, x, 0)?"
            )
        if not batched:
            self.pattern, self.arrays = ((None, None, None), *pattern), tuple(arrays)
            self.axis = self.width if apart else 0
            return
        given = [x if not isinstance(x, Batched) else batch.rank(x, self.width) for x in arrays]
        if any([p is Ellipsis for p in before]):
            place = None
        else:
            place = len([p for p in before if p is None or type(p) is tuple])
        if place is None:
            raise _Unplaced
        if shared:
            self.pattern, self.arrays = tuple(pattern), tuple(given)
            self.axis = 0 if apart else place
            return
        size = batch.size
        if size is None:
            raise _Unplaced
        numbers = wrap(np.arange(size).reshape(size, *(1,) * self.width))
        self.pattern, self.arrays = ("array", *pattern), (numbers, *given)
        if advanced[0] != 0 and not apart:
            # NumPy puts the axes of separated index arrays first: they go back behind those before them.
            self.source, self.target = 1, 1 + place

    def back(self, x: Tensor) -> Tensor:
        """What was read, as a batched value."""
        if self.axis:
            return leading(x, self.axis)
        return _shift(x, self.source, self.target, self.width)

    def forth(self, x: Tensor) -> Tensor:
        """A batched value, as the index reads and writes it."""
        if self.axis:
            return trailing(x, self.axis)
        return _shift(x, self.target, self.source, self.width)

    @property
    def plain(self) -> bool:
        return not self.axis and self.source == self.target


class _Unplaced(Exception):
    """An index whose axes are not known."""


def _is_mask(x: Any) -> bool:
    return isinstance(x, (Tensor, Batched)) and x.dtype.kind == "b"


def _shift(x: Tensor, source: int, target: int, width: int) -> Tensor:
    """``width`` axes from ``source`` on moved to ``target``."""
    if source == target or not width:
        return x
    axes = [k for k in range(x.ndim) if not source <= k < source + width]
    axes[target:target] = range(source, source + width)
    return permute_dims(x, axes)


def _index_rule(rule: Callable[..., Any]) -> Rule:
    def guarded(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
        try:
            return rule(batch, op, inputs, params)
        except _Unplaced:
            return one_by_one(batch, op, inputs, params)

    return guarded


def _read(x: Any, layout: _Layout) -> Tensor:
    name = "select" if layout.arrays else "getitem"
    return apply(_op(name), x, *layout.arrays, pattern=layout.pattern)


def _op(name: str) -> Op:
    return OPS[name]


@batching_rule("getitem", "select")
@_index_rule
def indexed(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, *arrays = inputs
    layout = _Layout(batch, params["pattern"], arrays, shared=not isinstance(x, Batched))
    return Batched(layout.back(_read(x.value if isinstance(x, Batched) else x, layout)))


def _part(batch: Batch, layout: _Layout, v: Any, rank: int) -> Any:
    """A value to be written, laid out as the index reads; it may broadcast."""
    if isinstance(v, Batched):
        return layout.forth(batch.rank(v, rank))
    if layout.plain or not isinstance(v, Tensor) or not v.ndim:
        return v
    return layout.forth(expand_dims(v, tuple(range(1 + rank - v.ndim))))


def _part_rank(op: Op, x: Any, arrays: Inputs, pattern: Any) -> int:
    avals = [Aval(a.shape, a.dtype) for a in (x, *arrays)]
    return _op("getitem").infer(*avals, pattern=pattern).ndim


@batching_rule("place", "index_update", "index_add", "last_written")
@_index_rule
def written(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    pattern = params["pattern"]
    if op.name == "last_written":
        x, *arrays = inputs
        layout = _Layout(batch, pattern, arrays, shared=False)
        return Batched(layout.back(apply(op, batch.full(x), *layout.arrays, pattern=layout.pattern)))
    first, second, *arrays = inputs
    x, v = (second, first) if op.name == "place" else (first, second)
    layout = _Layout(batch, pattern, arrays, shared=False)
    value = _part(batch, layout, v, _part_rank(op, x, arrays, pattern))
    if op.name == "place" and not layout.plain and not isinstance(v, Batched):
        value = layout.forth(batch.full(v))
    whole = batch.full(x)
    given = (value, whole) if op.name == "place" else (whole, value)
    return Batched(apply(op, *given, *layout.arrays, pattern=layout.pattern))


@batching_rule("place_in")
@_index_rule
def placed_in(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    v, *arrays = inputs
    if batch.size is None:
        return one_by_one(batch, op, inputs, params)
    layout = _Layout(batch, params["pattern"], arrays, shared=False)
    shape = (batch.size, *params["shape"])
    value = layout.forth(batch.full(v))
    return Batched(apply(op, value, *layout.arrays, pattern=layout.pattern, shape=shape, dtype=params["dtype"]))


@batching_rule("take")
def taken(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    x, index = inputs
    axis = params["axis"]
    if not isinstance(index, Batched):
        return Batched(op(x.value, index, axis=axis + 1))
    if not isinstance(x, Batched):
        return Batched(leading(op(x, index.value, axis=axis), axis))
    if batch.size is None:
        return one_by_one(batch, op, inputs, params)
    # All pairs of an example and an index are taken at once, from the axis moved behind that of the examples.
    rows = leading_pair(x.value, axis + 1)
    numbers = wrap(np.arange(batch.size).reshape(batch.size, *(1,) * index.ndim))
    out = apply(_op("select"), rows, numbers, index.value, pattern=("array", "array"))
    return Batched(_shift(out, 1, 1 + axis, index.ndim))


def leading_pair(x: Tensor, axis: int) -> Tensor:
    """x with an axis moved to place 1."""
    return _shift(x, axis, 1, 1)


@batching_rule("take_adjoint")
def take_adjoint(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    v, index, *like = inputs
    axis, shape = params["axis"], params["shape"]
    if batch.size is None or (like and None in like[0].shape):
        return one_by_one(batch, op, inputs, params)
    shape = tuple(like[0].shape if shape is None else shape)
    whole = batch.full(v)
    if not isinstance(index, Batched):
        return Batched(op(whole, index, axis=axis + 1, shape=(batch.size, *shape)))
    numbers = wrap(np.arange(batch.size).reshape(batch.size, *(1,) * index.ndim))
    rest = [d for k, d in enumerate(shape) if k != axis]
    out = apply(
        _op("place_in"),
        _shift(whole, 1 + axis, 1, index.ndim),
        numbers,
        index.value,
        pattern=("array", "array"),
        shape=(batch.size, shape[axis], *rest),
        dtype=whole.dtype,
    )
    return Batched(_shift(out, 1, 1 + axis, 1))


# -- random numbers


def drawn(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    key, *rest = inputs
    if not isinstance(key, FreshKey) or batch.size is None:
        return one_by_one(batch, op, inputs, params)
    return Batched(op(key.key, *rest, **{**params, "shape": (batch.size, *params["shape"])}))


def drawn_like(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    key, like = inputs
    if not isinstance(key, FreshKey):
        return one_by_one(batch, op, inputs, params)
    return Batched(op(key.key, batch.full(like), **{**params, "ones": tuple([a + 1 for a in params["ones"]])}))


_DRAWS = "random_uniform random_normal random_truncated_normal random_bits".split()
batching_rule(*_DRAWS, "random_integers")(drawn)
batching_rule(*[f"{name}_like" for name in _DRAWS])(drawn_like)


# -- loops


@batching_rule("scan")
def looped(batch: Batch, op: Op, inputs: Inputs, params: Params) -> Any:
    body = params["body"]
    given = [Batched(batch.keys(x)) if isinstance(x, FreshKey) else x for x in inputs]
    states, sequences, constants = body.split(given)
    made = Recording(body.nodes(), [])
    init = [batch.full(x) for x in states]
    steps = [trailing(x.value, 1) if isinstance(x, Batched) else x for x in sequences]
    fixed = [x.value if isinstance(x, Batched) else x for x in constants]

    def marked(values: Sequence[Tensor], likes: Sequence[Any]) -> list[Any]:
        return [Batched(v) if isinstance(x, Batched) else v for v, x in zip(values, likes, strict=True)]

    def step(s: Any, x: Any, c: Any) -> Any:
        known = [*[Batched(v) for v in s], *marked(x, sequences), *marked(c, constants)]
        values = {id(mark): v for mark, v in zip(body.inputs, known, strict=True)}
        outs = [batch.full(v) for v in batch.run(body.outputs, made, values)]
        return outs[: body.n_states], outs[body.n_states :]

    last, outs = scan(step, init, steps, fixed, reverse=body.reverse)
    found = [*[Batched(x) for x in last], *[Batched(leading(x, 1)) for x in outs]]
    return tuple(found) if op.n_out > 1 else found[0]
