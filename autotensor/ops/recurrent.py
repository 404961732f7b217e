"""Recurrent layers over whole sequences: one operation for all steps, and one for their gradient.

Sequences are time-major, (steps, n, ...), as those of ``scan``. What is left out of a call stands as a number, which
means what it would mean in arithmetic: weights 1 (x is projected already), bias 0, states 0, mask 1.

The last outputs of each operation are what its gradient reads of the steps. The gradient is an operation of the same
inputs, so its own derivative, which comes from its fallback, never goes through them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from autotensor import config
from autotensor.core.aval import Aval, Dim, Operand, Shape, float_dtype, shape_of
from autotensor.core.grad import through_fallback
from autotensor.core.op import Op, defop, defop_no_grad
from autotensor.core.tensor import Node, Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.kernels import blas
from autotensor.kernels import recurrent as kernels
from autotensor.kernels.calls import Call, Copies, chained, ordered
from autotensor.kernels.sums import add_reduce
from autotensor.kernels.threads import parts
from autotensor.ops.activation import hard_sigmoid, relu, sigmoid
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import astype, not_equal, tanh, where
from autotensor.ops.like import reshape_to, zeros_like
from autotensor.ops.linalg import matmul
from autotensor.ops.reduce import sum as sum_
from autotensor.ops.scan import scan
from autotensor.ops.shape import concat, reshape, text

__all__ = ["gru", "lstm", "recurrent_activations", "simple_rnn"]

recurrent_activations: tuple[str, ...] = kernels.ACTIVATIONS
"""Names of the activations that recurrent operations know."""

_ARRAY_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x >= 0, 1, np.exp(-np.abs(x))) / (1 + np.exp(-np.abs(x))),
    "hard_sigmoid": lambda x: np.clip(x * 0.2 + 0.5, 0, 1),
    "relu": lambda x: np.maximum(x, 0),
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
}

_NO_ROWS = np.empty((0, 0), np.float32)
_NO_STEPS = np.empty((0, 0, 0), np.float32)
_NO_MASK = np.empty((0, 0), np.bool_)
# Nanoseconds of a multiplication and addition in a tile on one thread.
_COST = 0.02


# -- what the cells have in common


def _code(name: str) -> int:
    return kernels.ACTIVATIONS.index(name)


def _slope(y: np.ndarray, name: str) -> np.ndarray:
    """Derivative of an activation from its result."""
    s = kernels.SLOPES[_code(name)].astype(y.dtype)
    slope = s[0] + y * (s[1] + y * s[2])
    return np.where((y <= s[3]) | (y >= s[4]), 0, slope).astype(y.dtype)


def _same(op: str, what: str, *dims: Dim) -> Dim:
    """The dimension that all of these are, as far as they are known."""
    known = {d for d in dims if d is not None}
    if len(known) > 1:
        raise ShapeError(f"[{op}] expected one number of {what}; got {sorted(known)}. Check weights, states and mask.")
    return known.pop() if known else None


class _Sizes:
    """Sizes of a call, from its operands: ``gates`` parts of ``units`` columns in the weights."""

    def __init__(
        self, op: str, gates: int, x: Operand, w: Operand, u: Operand, states: Sequence[Operand], mask: Operand
    ):
        shapes = {"x": shape_of(x), "recurrent weights": shape_of(u)}
        if len(shapes["x"]) != 3 or len(shapes["recurrent weights"]) != 2:
            raise ShapeError(
                f"[{op}] expected x (steps, n, features) and recurrent weights (units, {gates} * units); got "
                f"{text(shapes['x'])} and {text(shapes['recurrent weights'])}. Add a batch axis with expand_dims?"
            )
        self.steps, self.n, self.features = shapes["x"]
        self.units, width = shapes["recurrent weights"]
        if self.units is None and width is not None:
            self.units = width // gates
        k = None if self.units is None else gates * self.units
        ends = [width, k]
        if isinstance(w, Aval):
            if w.ndim != 2:
                raise ShapeError(
                    f"[{op}] expected weights (features, {gates} * units); got {text(w.shape)}. Transpose?"
                )
            self.features = _same(op, "features", self.features, w.shape[0])
            ends.append(w.shape[1])
        else:
            ends.append(self.features)
        self.width = _same(op, f"columns ({gates} * units)", *ends)
        for state in states:
            if isinstance(state, Aval):
                if state.ndim != 2:
                    raise ShapeError(f"[{op}] expected states (n, units); got {text(state.shape)}. Broadcast them?")
                self.n = _same(op, "rows", self.n, state.shape[0])
                self.units = _same(op, "units", self.units, state.shape[1])
        if isinstance(mask, Aval):
            if mask.ndim != 2 or mask.dtype.kind != "b":
                raise DTypeError(f"[{op}] expected a mask (steps, n) of bools; got {mask}. Use not_equal(mask, 0)?")
            self.steps = _same(op, "steps", self.steps, mask.shape[0])
            self.n = _same(op, "rows", self.n, mask.shape[1])

    def whole(self, *columns: int) -> list[Shape]:
        """Shapes (steps, n, k * units) for each k of ``columns``."""
        return [(self.steps, self.n, None if self.units is None else k * self.units) for k in columns]


def _sums(x: Any, w: Any, b: Any) -> Any:
    """x @ w + b at all steps."""
    if isinstance(w, Tensor):
        flat = matmul(reshape_to(x, x, dims=(-1, (0, 2))), w)
        x = reshape_to(flat, x, w, dims=((0, 0), (0, 1), (1, 1)))
    return x + b if isinstance(b, Tensor) else x


def _typed(dtype: np.dtype, *values: Any) -> list[Any]:
    return [astype(v, dtype) if isinstance(v, Tensor) and v.dtype != dtype else v for v in values]


def _gradients_like(grads: Sequence[Any], inputs: Sequence[Any], needs: Sequence[bool]) -> list[Any]:
    """Gradients in the dtypes of the inputs; None where there is none."""
    found: list[Any] = []
    for g, x, need in zip(grads, inputs, needs, strict=False):
        found.append((g if g.dtype == x.dtype else astype(g, x.dtype)) if need else None)
    return found + [None] * (len(inputs) - len(found))


def _wanted(avals: Sequence[Any], wants: tuple[bool, ...], dtype: np.dtype) -> tuple[Aval, ...]:
    """Shapes of gradients; empty where they are not wanted."""
    return tuple([Aval(shape_of(x) if want else (0,), dtype) for x, want in zip(avals, wants, strict=True)])


def _grads_by_fallback(op: Op, gs: Sequence[Any], inputs: Sequence[Any], wants: tuple[bool, ...], **params: Any) -> Any:
    """The gradients that the fallback of ``op`` has: what the gradient operation means."""
    needs = (*wants, *[False] * (len(inputs) - len(wants)))
    dtype = float_dtype(*[x.aval if isinstance(x, Tensor) else x for x in inputs[: len(wants)]])
    seeds = [g if isinstance(g, Tensor) else None for g in gs]
    found = through_fallback(Node(op, tuple(inputs), params), needs, (*seeds, *[None] * op.saves))
    outs = []
    for g, x, want in zip(found, inputs, wants, strict=False):
        if not want:
            outs.append(Tensor(np.zeros(0, dtype)))
        else:
            outs.append(zeros_like(x) if g is None else g)
    return tuple(_typed(dtype, *outs))


def _outputs(avals: Sequence[Aval], bind: Any, numpy: Any, arrays: Sequence[Any], **params: Any) -> tuple[Any, ...]:
    """Results of an eager call: by the kernel if it can, else by NumPy."""
    outs = [np.empty([d or 0 for d in a.shape], a.dtype) for a in avals]
    if config.numba:
        call, arguments = bind(outs, arrays, np.empty, **params)
        call(*arguments)
    else:
        numpy(outs, *arrays, **params)
    return tuple(outs)


def _by_numpy(numpy: Any, infer: Any, outs: Sequence[Any], arrays: Sequence[Any], **params: Any) -> Call:
    """The call of a NumPy form, with memory for outputs that nothing reads."""
    avals = infer(*_avals(arrays), **params)
    made = [np.empty(a.shape, a.dtype) if out is None else out for out, a in zip(outs, avals, strict=True)]
    return partial(numpy, **params), (made, *arrays)


def _avals(arrays: Sequence[Any]) -> list[Any]:
    return [Aval(x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in arrays]


class _Given:
    """Arrays in the form that kernels take, and the copies that make them so before each call."""

    def __init__(self, scratch: Callable[..., np.ndarray]):
        self.scratch = scratch
        self.before: Copies = []
        self.after: Copies = []

    def __call__(self, x: Any, empty: np.ndarray = _NO_ROWS) -> np.ndarray:
        """A contiguous array of the dtype of ``empty``, which stands for a number."""
        if not isinstance(x, np.ndarray):
            return empty
        if not x.flags.writeable:  # another type to Numba, which would compile the kernel once more for it
            made = self.scratch(x.shape, empty.dtype)
            self.before.append((made, x))
            return made
        return ordered(x, empty.dtype, self.scratch, self.before)

    def steps(self, x: np.ndarray) -> tuple[np.ndarray, bool]:
        """Sequences (steps, n, k), or (n, steps, k) and True if that is what lies in order in memory."""
        turned = x.transpose(1, 0, 2)
        if turned.flags.c_contiguous and not x.flags.c_contiguous:
            return self(turned, _NO_STEPS), True
        return self(x, _NO_STEPS), False

    def state(self, x: Any, shape: tuple[int, ...]) -> np.ndarray:
        """A state, empty for zeros."""
        if isinstance(x, np.ndarray):
            return self(x)
        return _NO_ROWS if x == 0 else np.full(shape, x, np.float32)

    def padded(self, b: Any, size: int, zeros: int) -> np.ndarray:
        """A bias and zeros behind it."""
        made = np.zeros(size + zeros, np.float32)
        if isinstance(b, np.ndarray):
            self.before.append((made[:size], b))
        else:
            made[:size] = b
        return made


class _Backward(_Given):
    """What the kernels of all gradients take: sequences, weights, and memory for their gradients."""

    def __init__(
        self,
        scratch: Callable[..., np.ndarray],
        outs: Sequence[np.ndarray],
        wants: tuple[bool, ...],
        x: np.ndarray,
        w: Any,
        u: np.ndarray,
    ):
        super().__init__(scratch)
        steps, n, d = x.shape
        units, k = u.shape
        self.x, self.batch_first = self.steps(x)
        self.w, self.u = self(w), self(u)
        wants_x, wants_w, wants_u = wants[:3]
        turned = wants_x and isinstance(w, np.ndarray)
        f4 = np.float32
        self.xt = scratch((steps, n, d), f4) if self.batch_first and wants_w else _NO_STEPS
        self.wt = scratch((k, d), f4) if turned else _NO_ROWS
        self.ut = scratch((k, units), f4)
        # The gradients of the sums are those of x where x is projected.
        self.dz = outs[0] if wants_x and not turned else scratch((steps, n, k), f4)
        self.dx = outs[0] if turned else _NO_STEPS
        self.dw = outs[1] if wants_w else _NO_ROWS
        self.du = outs[2] if wants_u else _NO_ROWS

    def running(self, out: np.ndarray, wanted: bool, shape: tuple[int, ...], g: Any) -> np.ndarray:
        """The gradient of a state: that after the steps before the call, that before the steps after it."""
        made = out if wanted else self.scratch(shape, np.float32)
        self.before.append((made, g))
        return made


def _fits(outs: Sequence[Any], x: np.ndarray, u: np.ndarray) -> bool:
    """Can kernels do it?"""
    dtype = next(out.dtype for out in outs if out is not None)
    return blas.AVAILABLE and dtype == np.float32 and bool(x.size and u.size)


# -- LSTM


def _infer_lstm(
    x: Operand, w: Operand, u: Operand, b: Operand, h: Operand, c: Operand, mask: Operand, **params: Any
) -> tuple[Aval, ...]:
    sizes = _Sizes("lstm", 4, x, w, u, (h, c), mask)
    dtype = float_dtype(x, w, u, b, h, c)
    y, gates = sizes.whole(1, 5)
    state = y[1:]
    return Aval(y, dtype), Aval(state, dtype), Aval(state, dtype), Aval(gates, dtype), Aval(y, dtype)


def _lstm_bind(
    outs: Sequence[Any], arrays: Sequence[Any], scratch: Any, activation: str, recurrent_activation: str, reverse: bool
) -> Any:
    x, w, u, b, h0, c0, mask = arrays
    if not _fits(outs, x, u):
        params = {"activation": activation, "recurrent_activation": recurrent_activation, "reverse": reverse}
        return _by_numpy(_lstm_numpy, _infer_lstm, outs, arrays, **params)
    y, h, c, gates, cells = outs
    (steps, n, d), units = x.shape, len(u)
    given = _Given(scratch)
    sequence, batch_first = given.steps(x)
    if gates is None:
        gates, cells = scratch((1, n, 5 * units), np.float32), _NO_STEPS
    elif cells is None:
        cells = scratch(y.shape, np.float32)
    h, c = h, c if c is not None else scratch((n, units), np.float32)
    before = given.state(h0, (n, units))
    masks = given(mask, _NO_MASK)
    kept = scratch((n, units), np.float32) if masks.size else _NO_ROWS
    given.before.append((c, c0))
    given.after.append((h, y[0 if reverse else -1]))
    count = parts(n, _COST * steps * (d + units) * 4 * units)
    arguments = (
        sequence, batch_first, given(w), given(u), given.padded(b, 4 * units, units), before, masks, y, c, gates, cells,
        kept, _code(recurrent_activation), _code(activation), reverse, count,
    )  # fmt: skip
    return chained(given.before, kernels.lstm(*arguments), given.after)


def _lstm_numpy(
    outs: Sequence[np.ndarray], x: Any, w: Any, u: Any, b: Any, h0: Any, c0: Any, mask: Any, **params: Any
) -> None:
    y, h, c, gates, cells = outs
    inner, outer = [_ARRAY_FUNCTIONS[params[k]] for k in ("recurrent_activation", "activation")]
    units = len(u)
    sums = (x if not isinstance(w, np.ndarray) else np.matmul(x, w)) + b
    h[...] = h0
    c[...] = c0
    for t in _times(len(x), params["reverse"]):
        s = sums[t] + np.matmul(h, u)
        i, f, new, o = [s[:, k * units : (k + 1) * units] for k in range(4)]
        i, f, new, o = inner(i), inner(f), outer(new), inner(o)
        memory = f * c + i * new
        content = outer(memory)
        gates[t] = np.concatenate([i, f, new, o, content], axis=1)
        _put(h, o * content, mask, t)
        _put(c, memory, mask, t)
        y[t] = h
        cells[t] = c


def _times(steps: int, reverse: bool) -> Any:
    return reversed(range(steps)) if reverse else range(steps)


def _put(state: np.ndarray, new: np.ndarray, mask: Any, t: int) -> None:
    """A state after a step: the new one where the mask allows."""
    if isinstance(mask, np.ndarray):
        np.copyto(state, new, "unsafe", where=mask[t][:, None])
    else:
        state[...] = new


def _lstm_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return _outputs(_infer_lstm(*_avals(arrays)), _lstm_bind, _lstm_numpy, arrays, **params)


def _lstm_fallback(
    x: Any, w: Any, u: Any, b: Any, h: Any, c: Any, mask: Any, activation: str, recurrent_activation: str, reverse: bool
) -> tuple[Tensor, ...]:
    inner, outer = _FUNCTIONS[recurrent_activation], _FUNCTIONS[activation]
    dtype = float_dtype(*[v.aval if isinstance(v, Tensor) else v for v in (x, w, u, b, h, c)])
    x, w, u, b, h, c = _typed(dtype, x, w, u, b, h, c)
    sums = _sums(x, w, b)
    h, c = _states(sums, u, h, c)
    units = u.shape[0]

    def step(states: Any, parts: Any, _: Any) -> Any:
        h, c = states
        s = parts[0] + matmul(h, u)
        i, f, new, o = [s[:, k * units : (k + 1) * units] for k in range(4)]
        i, f, new, o = inner(i), inner(f), outer(new), inner(o)
        memory = f * c + i * new
        content = outer(memory)
        gates = concat([i, f, new, o, content], axis=1)
        h, c = _kept(parts, (o * content, memory), states)
        return (h, c), (h, gates, c)

    (h, c), (y, gates, cells) = scan(
        step, (h, c), (sums, *([mask] if isinstance(mask, Tensor) else [])), reverse=reverse
    )
    return y, h, c, gates, cells


def _kept(parts: Sequence[Any], new: Sequence[Any], old: Sequence[Any]) -> list[Any]:
    """The new states where the mask of the step, if there is one, is true."""
    if len(parts) == 1:
        return list(new)
    return [where(reshape(parts[1], (-1, 1)), a, b) for a, b in zip(new, old, strict=True)]


def _states(sums: Tensor, u: Tensor, *states: Any) -> list[Any]:
    """States as tensors (n, units); numbers become constants of that shape."""
    like = zeros_like(sum_(sums[:, :, : u.shape[0]], axis=0))
    return [s if isinstance(s, Tensor) else like + s for s in states]


@defop(
    "lstm",
    impl=_lstm_impl,
    infer=_infer_lstm,
    bind=_lstm_bind,
    fallback=_lstm_fallback,
    n_out=5,
    saves=2,
)
def lstm_op(needs, g, out, *inputs, **params):
    """Outputs, last output and last memory of an LSTM over x (steps, n, features), then what its gradient reads."""
    if g[3] is not None or g[4] is not None:
        return through_fallback(Node(lstm_op, inputs, params), needs, g)
    seeds = [0.0 if s is None else s for s in g[:3]]
    grads = lstm_grad(*seeds, *inputs, out[0], out[3], out[4], wants=tuple(needs[:6]), **params)
    return _gradients_like(grads, inputs, needs[:6])


def _infer_lstm_grad(*avals: Operand, wants: tuple[bool, ...], **params: Any) -> tuple[Aval, ...]:
    return _wanted(avals[3:9], wants, float_dtype(*avals[3:9]))


def _lstm_grad_bind(
    outs: Sequence[np.ndarray],
    arrays: Sequence[Any],
    scratch: Any,
    activation: str,
    recurrent_activation: str,
    reverse: bool,
    wants: tuple[bool, ...],
) -> Any:
    gy, gh, gc, x, w, u, b, h0, c0, mask, y, gates, cells = arrays
    if not _fits(outs, x, u):
        params = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "reverse": reverse,
            "wants": wants,
        }
        return _by_numpy(_lstm_grad_numpy, _infer_lstm_grad, outs, arrays, **params)
    (steps, n, d), units = x.shape, len(u)
    k, state = 4 * units, (n, units)
    given = _Backward(scratch, outs, wants, x, w, u)
    dh, dc = [given.running(outs[i], wants[i], state, g) for i, g in ((4, gh), (5, gc))]
    db = outs[3] if wants[3] else scratch(k, np.float32)
    count = parts(n, 2 * _COST * steps * (d + units) * k)
    arguments = (
        given(gy, _NO_STEPS), given(gates, _NO_STEPS), given(cells, _NO_STEPS), given.state(h0, state),
        given.state(c0, state), given(mask, _NO_MASK), given.x, given.batch_first, given.w, given.u,
        given(y, _NO_STEPS), kernels.SLOPES_F32, given.xt, given.wt, given.ut, given.dz,
        scratch((count, k), np.float32), given.dx, given.dw, given.du, db, dh, dc, wants[4],
        _code(recurrent_activation), _code(activation), reverse, count,
    )  # fmt: skip
    return chained(given.before, kernels.lstm_grad(*arguments), given.after)


def _lstm_grad_numpy(outs: Sequence[np.ndarray], *arrays: Any, wants: tuple[bool, ...], **params: Any) -> None:
    gy, gh, gc, x, w, u, b, h0, c0, mask, y, gates, cells = arrays
    inner, outer, reverse = params["recurrent_activation"], params["activation"], params["reverse"]
    steps, n, units = y.shape
    dh, dc = [np.broadcast_to(np.asarray(g, y.dtype), (n, units)) for g in (gh, gc)]
    dz = np.empty((steps, n, 4 * units), y.dtype)
    for t in _times(steps, not reverse):
        g = dh + gy[t] if isinstance(gy, np.ndarray) else dh
        i, f, new, o, content = [gates[t][:, k * units : (k + 1) * units] for k in range(5)]
        e = dc + g * o * _slope(content, outer)
        parts_ = [
            e * new * _slope(i, inner),
            e * _before(cells, c0, t, reverse) * _slope(f, inner),
            e * i * _slope(new, outer),
            g * content * _slope(o, inner),
        ]
        made = np.concatenate(parts_, axis=1)
        valid = mask[t][:, None] if isinstance(mask, np.ndarray) else True
        dz[t] = np.where(valid, made, 0)
        dh = np.where(valid, 0, g) + np.matmul(dz[t], u.T)
        dc = np.where(valid, e * f, dc)
    _weight_gradients(outs, wants, dz, x, w, y, h0, reverse)
    if wants[4]:
        outs[4][...] = dh
    if wants[5]:
        outs[5][...] = dc


def _before(all_: np.ndarray, first: Any, t: int, reverse: bool) -> Any:
    """The state before step t."""
    before = t + 1 if reverse else t - 1
    return all_[before] if 0 <= before < len(all_) else first


def _weight_gradients(
    outs: Sequence[np.ndarray],
    wants: tuple[bool, ...],
    dz: np.ndarray,
    x: np.ndarray,
    w: Any,
    y: np.ndarray,
    h0: Any,
    reverse: bool,
) -> None:
    """Gradients of inputs, weights and bias from those of the sums."""
    dx, dw, du, db = outs[:4]
    if wants[0]:
        dx[...] = np.matmul(dz, w.T) if isinstance(w, np.ndarray) else dz
    if wants[1]:
        dw[...] = _over_steps(x, dz)
    if wants[2]:
        du[...] = _over_steps(_outputs_before(y, h0, reverse), dz)
    if wants[3]:
        db[...] = add_reduce(dz, (0, 1))


def _over_steps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of a_t' b_t over all steps."""
    return np.tensordot(a, b, axes=((0, 1), (0, 1)))


def _outputs_before(y: np.ndarray, h0: Any, reverse: bool) -> np.ndarray:
    """What the state was before each step."""
    h = np.empty_like(y)
    for t in range(len(y)):
        h[t] = _before(y, h0, t, reverse)
    return h


def _lstm_grad_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    avals = _infer_lstm_grad(*_avals(arrays), **params)
    return _outputs(avals, _lstm_grad_bind, _lstm_grad_numpy, arrays, **params)


def _lstm_grad_fallback(gy: Any, gh: Any, gc: Any, *inputs: Any, wants: tuple[bool, ...], **params: Any) -> Any:
    return _grads_by_fallback(lstm_op, (gy, gh, gc), inputs[:7], wants, **params)


lstm_grad = defop_no_grad(
    "lstm_grad",
    impl=_lstm_grad_impl,
    infer=_infer_lstm_grad,
    bind=_lstm_grad_bind,
    fallback=_lstm_grad_fallback,
    n_out=6,
    doc="Gradients of x, weights, recurrent weights, bias and states of an LSTM; empty ones where not wanted.",
)


# -- GRU


def _infer_gru(
    x: Operand, w: Operand, u: Operand, b: Operand, h: Operand, mask: Operand, **params: Any
) -> tuple[Aval, ...]:
    sizes = _Sizes("gru", 3, x, w, u, (h,), mask)
    dtype = float_dtype(x, w, u, b, h)
    y, gates = sizes.whole(1, 4)
    return Aval(y, dtype), Aval(y[1:], dtype), Aval(gates, dtype)


def _gru_bind(
    outs: Sequence[Any],
    arrays: Sequence[Any],
    scratch: Any,
    activation: str,
    recurrent_activation: str,
    reset_after: bool,
    reverse: bool,
) -> Any:
    x, w, u, b, h0, mask = arrays
    if not _fits(outs, x, u):
        params = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "reset_after": reset_after,
            "reverse": reverse,
        }
        return _by_numpy(_gru_numpy, _infer_gru, outs, arrays, **params)
    y, h, gates = outs
    (steps, n, d), units = x.shape, len(u)
    given = _Given(scratch)
    sequence, batch_first = given.steps(x)
    if gates is None:
        gates = scratch((1, n, 4 * units), np.float32)
    if h is not None:
        given.after.append((h, y[0 if reverse else -1]))
    count = parts(n, _COST * steps * (d + units) * 3 * units)
    arguments = (
        sequence, batch_first, given(w), given(u), *_gru_biases(given, b, units, reset_after),
        given.state(h0, (n, units)), given(mask, _NO_MASK), y, gates,
        _code(recurrent_activation), _code(activation), reverse, reset_after, count,
    )  # fmt: skip
    return chained(given.before, kernels.gru(*arguments), given.after)


def _gru_biases(given: _Given, b: Any, units: int, reset_after: bool) -> tuple[np.ndarray, np.ndarray]:
    """The bias that goes with the inputs, in memory that the kernel may write, and that which goes with the states."""
    two = reset_after and isinstance(b, np.ndarray)
    first = given.scratch(4 * units, np.float32)
    given.before += [(first[: 3 * units], b[0] if two else b), (first[3 * units :], np.zeros(1, np.float32))]
    return first, given.padded(b[1] if two else 0, 3 * units, 0)


def _gru_numpy(
    outs: Sequence[np.ndarray], x: Any, w: Any, u: Any, b: Any, h0: Any, mask: Any, reset_after: bool, **params: Any
) -> None:
    y, h, gates = outs
    inner, outer = [_ARRAY_FUNCTIONS[params[k]] for k in ("recurrent_activation", "activation")]
    units = len(u)
    b, b2 = b if reset_after and isinstance(b, np.ndarray) else (b, np.zeros(3 * units, y.dtype))
    sums = (x if not isinstance(w, np.ndarray) else np.matmul(x, w)) + b
    h[...] = h0
    for t in _times(len(x), params["reverse"]):
        z, r = np.split(inner(sums[t][:, : 2 * units] + np.matmul(h, u[:, : 2 * units]) + b2[: 2 * units]), 2, axis=1)
        if reset_after:
            kept = np.matmul(h, u[:, 2 * units :]) + b2[2 * units :]
            new = outer(sums[t][:, 2 * units :] + r * kept)
        else:
            kept = r * h
            new = outer(sums[t][:, 2 * units :] + np.matmul(kept, u[:, 2 * units :]))
        gates[t] = np.concatenate([z, r, new, kept], axis=1)
        _put(h, z * h + (1 - z) * new, mask, t)
        y[t] = h


def _gru_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return _outputs(_infer_gru(*_avals(arrays)), _gru_bind, _gru_numpy, arrays, **params)


def _gru_fallback(
    x: Any, w: Any, u: Any, b: Any, h: Any, mask: Any, reset_after: bool, reverse: bool, **params: Any
) -> tuple[Tensor, ...]:
    inner, outer = [_FUNCTIONS[params[k]] for k in ("recurrent_activation", "activation")]
    x, w, u, b, h = _typed(
        float_dtype(*[v.aval if isinstance(v, Tensor) else v for v in (x, w, u, b, h)]), x, w, u, b, h
    )
    two = reset_after and isinstance(b, Tensor)
    sums = _sums(x, w, b[0] if two else b)
    (h,) = _states(sums, u, h)
    units = u.shape[0]
    b2 = b[1] if two else None

    def step(states: Any, parts: Any, _: Any) -> Any:
        (h,) = states
        s = matmul(h, u if reset_after else u[:, : 2 * units])
        if b2 is not None:
            s = s + b2
        zr = inner(parts[0][:, : 2 * units] + s[:, : 2 * units])
        z, r = zr[:, :units], zr[:, units:]
        if reset_after:
            kept = s[:, 2 * units :]
            new = outer(parts[0][:, 2 * units :] + r * kept)
        else:
            kept = r * h
            new = outer(parts[0][:, 2 * units :] + matmul(kept, u[:, 2 * units :]))
        (h,) = _kept(parts, (z * h + (1.0 - z) * new,), states)
        return (h,), (h, concat([z, r, new, kept], axis=1))

    (h,), (y, gates) = scan(step, (h,), (sums, *([mask] if isinstance(mask, Tensor) else [])), reverse=reverse)
    return y, h, gates


@defop("gru", impl=_gru_impl, infer=_infer_gru, bind=_gru_bind, fallback=_gru_fallback, n_out=3, saves=1)
def gru_op(needs, g, out, *inputs, **params):
    """Outputs and last output of a GRU over x (steps, n, features), then what its gradient reads."""
    if g[2] is not None:
        return through_fallback(Node(gru_op, inputs, params), needs, g)
    seeds = [0.0 if s is None else s for s in g[:2]]
    grads = gru_grad(*seeds, *inputs, out[0], out[2], wants=tuple(needs[:5]), **params)
    return _gradients_like(grads, inputs, needs[:5])


def _infer_gru_grad(*avals: Operand, wants: tuple[bool, ...], **params: Any) -> tuple[Aval, ...]:
    return _wanted(avals[2:7], wants, float_dtype(*avals[2:7]))


def _gru_grad_bind(
    outs: Sequence[np.ndarray],
    arrays: Sequence[Any],
    scratch: Any,
    activation: str,
    recurrent_activation: str,
    reset_after: bool,
    reverse: bool,
    wants: tuple[bool, ...],
) -> Any:
    gy, gh, x, w, u, b, h0, mask, y, gates = arrays
    if not _fits(outs, x, u):
        params = {
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "reset_after": reset_after,
            "reverse": reverse,
            "wants": wants,
        }
        return _by_numpy(_gru_grad_numpy, _infer_gru_grad, outs, arrays, **params)
    (steps, n, d), units = x.shape, len(u)
    k, state, f4 = 3 * units, (n, units), np.float32
    given = _Backward(scratch, outs, wants, x, w, u)
    dh = given.running(outs[4], wants[4], state, gh)
    # Of z, r, new, and of what r multiplies: the second bias has the first two and the last.
    db = scratch(4 * units, f4)
    if wants[3] and reset_after:
        given.after += [
            (outs[3][0], db[:k]),
            (outs[3][1, : 2 * units], db[: 2 * units]),
            (outs[3][1, 2 * units :], db[k:]),
        ]
    elif wants[3]:
        given.after.append((outs[3], db[:k]))
    count = parts(n, 2 * _COST * steps * (d + units) * k)
    arguments = (
        given(gy, _NO_STEPS), given(gates, _NO_STEPS), given.state(h0, state), given(mask, _NO_MASK), given.x,
        given.batch_first, given.w, given.u, given(y, _NO_STEPS), kernels.SLOPES_F32, given.xt, given.wt, given.ut,
        given.dz, scratch((steps, n, units), f4), scratch((count, 4 * units), f4), given.dx, given.dw,
        given.du, db, dh, wants[4], _code(recurrent_activation), _code(activation), reverse, reset_after, count,
    )  # fmt: skip
    return chained(given.before, kernels.gru_grad(*arguments), given.after)


def _gru_grad_numpy(
    outs: Sequence[np.ndarray], *arrays: Any, wants: tuple[bool, ...], reset_after: bool, **params: Any
) -> None:
    gy, gh, x, w, u, b, h0, mask, y, gates = arrays
    inner, outer, reverse = params["recurrent_activation"], params["activation"], params["reverse"]
    steps, n, units = y.shape
    zr = u[:, : 2 * units]
    dh = np.broadcast_to(np.asarray(gh, y.dtype), (n, units))
    dz = np.empty((steps, n, 3 * units), y.dtype)
    di = np.empty(y.shape, y.dtype)
    for t in _times(steps, not reverse):
        g = dh + gy[t] if isinstance(gy, np.ndarray) else dh
        h = _before(y, h0, t, reverse)
        z, r, new, kept = [gates[t][:, k * units : (k + 1) * units] for k in range(4)]
        valid = mask[t][:, None] if isinstance(mask, np.ndarray) else True
        live = np.where(valid, g, 0)
        of_new = live * (1 - z) * _slope(new, outer)
        of_z = live * (h - new) * _slope(z, inner)
        if reset_after:
            di[t] = of_new * r
            of_r = of_new * kept * _slope(r, inner)
            through = np.matmul(di[t], u[:, 2 * units :].T)
        else:
            di[t] = np.matmul(of_new, u[:, 2 * units :].T)
            of_r = di[t] * h * _slope(r, inner)
            through = di[t] * r
        dz[t] = np.concatenate([of_z, of_r, of_new], axis=1)
        dh = np.where(valid, g * z, g) + through + np.matmul(dz[t][:, : 2 * units], zr.T)
    _weight_gradients(outs, wants, dz, x, w, y, h0, reverse)
    if wants[2]:
        if reset_after:
            outs[2][:, 2 * units :] = _over_steps(_outputs_before(y, h0, reverse), di)
        else:
            outs[2][:, 2 * units :] = _over_steps(gates[:, :, 3 * units :], dz[:, :, 2 * units :])
    if wants[3] and reset_after:
        outs[3][1, 2 * units :] = add_reduce(di, (0, 1))
    if wants[4]:
        outs[4][...] = dh


def _gru_grad_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return _outputs(_infer_gru_grad(*_avals(arrays), **params), _gru_grad_bind, _gru_grad_numpy, arrays, **params)


def _gru_grad_fallback(gy: Any, gh: Any, *inputs: Any, wants: tuple[bool, ...], **params: Any) -> Any:
    return _grads_by_fallback(gru_op, (gy, gh), inputs[:6], wants, **params)


gru_grad = defop_no_grad(
    "gru_grad",
    impl=_gru_grad_impl,
    infer=_infer_gru_grad,
    bind=_gru_grad_bind,
    fallback=_gru_grad_fallback,
    n_out=5,
    doc="Gradients of x, weights, recurrent weights, bias and state of a GRU; empty ones where not wanted.",
)


# -- the simple cell


def _infer_rnn(
    x: Operand, w: Operand, u: Operand, b: Operand, h: Operand, mask: Operand, **params: Any
) -> tuple[Aval, ...]:
    sizes = _Sizes("simple_rnn", 1, x, w, u, (h,), mask)
    dtype = float_dtype(x, w, u, b, h)
    (y,) = sizes.whole(1)
    return Aval(y, dtype), Aval(y[1:], dtype)


def _rnn_bind(outs: Sequence[Any], arrays: Sequence[Any], scratch: Any, activation: str, reverse: bool) -> Any:
    x, w, u, b, h0, mask = arrays
    if not _fits(outs, x, u):
        params = {"activation": activation, "reverse": reverse}
        return _by_numpy(_rnn_numpy, _infer_rnn, outs, arrays, **params)
    y, h = outs
    (steps, n, d), units = x.shape, len(u)
    given = _Given(scratch)
    sequence, batch_first = given.steps(x)
    given.after.append((h, y[0 if reverse else -1]))
    count = parts(n, _COST * steps * (d + units) * units)
    arguments = (
        sequence, batch_first, given(w), given(u), given.padded(b, units, 0), given.state(h0, (n, units)),
        given(mask, _NO_MASK), y, _code(activation), reverse, count,
    )  # fmt: skip
    return chained(given.before, kernels.simple_rnn(*arguments), given.after)


def _rnn_numpy(
    outs: Sequence[np.ndarray], x: Any, w: Any, u: Any, b: Any, h0: Any, mask: Any, activation: str, reverse: bool
) -> None:
    y, h = outs
    function = _ARRAY_FUNCTIONS[activation]
    sums = (x if not isinstance(w, np.ndarray) else np.matmul(x, w)) + b
    h[...] = h0
    for t in _times(len(x), reverse):
        _put(h, function(sums[t] + np.matmul(h, u)), mask, t)
        y[t] = h


def _rnn_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return _outputs(_infer_rnn(*_avals(arrays)), _rnn_bind, _rnn_numpy, arrays, **params)


def _rnn_fallback(
    x: Any, w: Any, u: Any, b: Any, h: Any, mask: Any, activation: str, reverse: bool
) -> tuple[Tensor, ...]:
    function = _FUNCTIONS[activation]
    x, w, u, b, h = _typed(
        float_dtype(*[v.aval if isinstance(v, Tensor) else v for v in (x, w, u, b, h)]), x, w, u, b, h
    )
    sums = _sums(x, w, b)

    def step(states: Any, parts: Any, _: Any) -> Any:
        new = function(parts[0] + matmul(states[0], u))
        (h,) = _kept(parts, (new,), states)
        return (h,), (h,)

    sequences = (sums, *([mask] if isinstance(mask, Tensor) else []))
    (h,), (y,) = scan(step, _states(sums, u, h), sequences, reverse=reverse)
    return y, h


@defop("simple_rnn", impl=_rnn_impl, infer=_infer_rnn, bind=_rnn_bind, fallback=_rnn_fallback, n_out=2)
def simple_rnn_op(needs, g, out, *inputs, **params):
    """Outputs and last output of a simple recurrence over x (steps, n, features)."""
    seeds = [0.0 if s is None else s for s in g]
    grads = simple_rnn_grad(*seeds, *inputs, out[0], wants=tuple(needs[:5]), **params)
    return _gradients_like(grads, inputs, needs[:5])


def _rnn_grad_bind(
    outs: Sequence[np.ndarray],
    arrays: Sequence[Any],
    scratch: Any,
    activation: str,
    reverse: bool,
    wants: tuple[bool, ...],
) -> Any:
    gy, gh, x, w, u, b, h0, mask, y = arrays
    if not _fits(outs, x, u):
        params = {"activation": activation, "reverse": reverse, "wants": wants}
        return _by_numpy(_rnn_grad_numpy, _infer_gru_grad, outs, arrays, **params)
    (steps, n, d), units = x.shape, len(u)
    state = n, units
    given = _Backward(scratch, outs, wants, x, w, u)
    dh = given.running(outs[4], wants[4], state, gh)
    db = outs[3] if wants[3] else scratch(units, np.float32)
    count = parts(n, 2 * _COST * steps * (d + units) * units)
    arguments = (
        given(gy, _NO_STEPS), given.state(h0, state), given(mask, _NO_MASK), given.x, given.batch_first, given.w,
        given.u, given(y, _NO_STEPS), kernels.SLOPES_F32, given.xt, given.wt, given.ut, given.dz,
        scratch((count, units), np.float32),
        given.dx, given.dw, given.du, db, dh, wants[4], _code(activation), reverse, count,
    )  # fmt: skip
    return chained(given.before, kernels.simple_rnn_grad(*arguments), given.after)


def _rnn_grad_numpy(
    outs: Sequence[np.ndarray], *arrays: Any, wants: tuple[bool, ...], activation: str, reverse: bool
) -> None:
    gy, gh, x, w, u, b, h0, mask, y = arrays
    dh = np.broadcast_to(np.asarray(gh, y.dtype), y.shape[1:])
    dz = np.empty(y.shape, y.dtype)
    for t in _times(len(y), not reverse):
        g = dh + gy[t] if isinstance(gy, np.ndarray) else dh
        valid = mask[t][:, None] if isinstance(mask, np.ndarray) else True
        dz[t] = np.where(valid, g * _slope(y[t], activation), 0)
        dh = np.where(valid, 0, g) + np.matmul(dz[t], u.T)
    _weight_gradients(outs, wants, dz, x, w, y, h0, reverse)
    if wants[4]:
        outs[4][...] = dh


def _rnn_grad_impl(*arrays: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return _outputs(_infer_gru_grad(*_avals(arrays), **params), _rnn_grad_bind, _rnn_grad_numpy, arrays, **params)


def _rnn_grad_fallback(gy: Any, gh: Any, *inputs: Any, wants: tuple[bool, ...], **params: Any) -> Any:
    return _grads_by_fallback(simple_rnn_op, (gy, gh), inputs[:6], wants, **params)


simple_rnn_grad = defop_no_grad(
    "simple_rnn_grad",
    impl=_rnn_grad_impl,
    infer=_infer_gru_grad,
    bind=_rnn_grad_bind,
    fallback=_rnn_grad_fallback,
    n_out=5,
    doc="Gradients of x, weights, recurrent weights, bias and state of a simple recurrence; empty where not wanted.",
)


# -- at the door


def _activation(op: str, name: str) -> str:
    if name not in kernels.ACTIVATIONS:
        raise ValueError(
            f"[{op}] expected an activation among {', '.join(kernels.ACTIVATIONS)}; got {name!r}. Use scan()."
        )
    return name


def _given(x: Any, number: int) -> Any:
    return number if x is None else operand(x)


def _masked(mask: Any) -> Any:
    if mask is None:
        return 1
    mask = operand(mask)
    return mask if mask.dtype.kind == "b" else not_equal(mask, 0)


def lstm(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h: Any = None,
    c: Any = None,
    mask: Any = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997; forget gates of Gers et al., 2000).

        i, f, o = recurrent_activation(x_t @ kernel + h @ recurrent_kernel + bias), parts i, f and o of the columns
        c = f * c + i * activation(the same, part c)
        h = o * activation(c)

    Args:
        x: (steps, n, features).
        kernel: (features, 4 * units), its parts i, f, c, o side by side; None if ``x`` is x @ kernel already.
        recurrent_kernel: (units, 4 * units). bias: (4 * units,) or None.
        h, c: output and memory before the first step, (n, units); None for zeros.
        mask: (steps, n); where it is 0, the row keeps output and memory.
        activation, recurrent_activation: names among ``recurrent_activations``.
        reverse: from the last step to the first. Outputs stand where their x stood.

    Returns:
        Outputs (steps, n, units), output and memory after the last step, (n, units) each.

    Computed in float32, sigmoid and tanh are at most 2.4 and 2.3 ulp from the exact value.
    """
    states = [_given(s, 0) for s in (h, c)]
    inputs = [operand(x), _given(kernel, 1), operand(recurrent_kernel), _given(bias, 0), *states, _masked(mask)]
    found = lstm_op(
        *inputs,
        activation=_activation("lstm", activation),
        recurrent_activation=_activation("lstm", recurrent_activation),
        reverse=bool(reverse),
    )
    return found[:3]


def gru(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h: Any = None,
    mask: Any = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = False,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Gated recurrent unit over a sequence (Cho et al., 2014).

        z, r = recurrent_activation(x_t @ kernel + h @ recurrent_kernel + bias), parts z and r of the columns
        new = activation(x_t @ kernel + (r * h) @ recurrent_kernel + bias), part h
        h = z * h + (1 - z) * new

    With ``reset_after`` the new content has ``r * (h @ recurrent_kernel + bias2)`` instead, as cuDNN has it.

    Args:
        x: (steps, n, features).
        kernel: (features, 3 * units), its parts z, r, h side by side; None if ``x`` is x @ kernel already.
        recurrent_kernel: (units, 3 * units). bias: (3 * units,) or None; (2, 3 * units) with ``reset_after``, for the
            inputs and for the states.
        h: output before the first step, (n, units); None for zeros.

    The other arguments are those of ``lstm``. Returns outputs (steps, n, units) and the last of them, (n, units).
    """
    inputs = [operand(x), _given(kernel, 1), operand(recurrent_kernel), _given(bias, 0), _given(h, 0), _masked(mask)]
    found = gru_op(
        *inputs,
        activation=_activation("gru", activation),
        recurrent_activation=_activation("gru", recurrent_activation),
        reset_after=bool(reset_after),
        reverse=bool(reverse),
    )
    return found[:2]


def simple_rnn(
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    h: Any = None,
    mask: Any = None,
    activation: str = "tanh",
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """The simple recurrence ``h = activation(x_t @ kernel + h @ recurrent_kernel + bias)`` over a sequence.

    x: (steps, n, features); kernel: (features, units) or None if ``x`` is x @ kernel already; recurrent_kernel: (units,
    units). The other arguments are those of ``lstm``. Returns outputs (steps, n, units) and the last of them.
    """
    inputs = [operand(x), _given(kernel, 1), operand(recurrent_kernel), _given(bias, 0), _given(h, 0), _masked(mask)]
    return simple_rnn_op(*inputs, activation=_activation("simple_rnn", activation), reverse=bool(reverse))
