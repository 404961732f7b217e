"""Random numbers from a state that can be saved and restored.

A ``Generator`` holds a seed and the number of draws so far. Drawing gives a key (the only impure operation,
``next_key``); all numbers are pure functions of a key and their position, so every implementation draws the same
bits (see ``kernels.counter_rng``). Where graphs are built (under ``deferred()``, on traces, beside symbolic tensors)
the key is symbolic, and a compiled function draws anew at each call. Keys have no gradients; locations and scales
do.

    >>> import autotensor as at
    >>> at.random.seed(1)
    >>> before = at.random.get_state()
    >>> x = at.random.normal((2, 3))
    >>> at.random.set_state(before)
    >>> bool((at.random.normal((2, 3)).numpy() == x.numpy()).all())
    True
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autotensor import locks
from autotensor.core.aval import Aval, Dim, Operand, broadcast_shapes, normalize_axis, shape_of, whole
from autotensor.core.op import apply, defop_no_grad
from autotensor.core.state import deferred
from autotensor.core.tensor import Tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.kernels import counter_rng
from autotensor.kernels import random as kernels
from autotensor.ops.conversion import astype, dtype_of
from autotensor.ops.creation import operand
from autotensor.ops.elementwise import add, greater_equal, less, log, multiply, negative, subtract
from autotensor.ops.index import take
from autotensor.ops.reduce import argmax

# Keys made at once: a quarter of the time of one by one.
_AHEAD = 64


class Generator:
    """Source of random keys: the whole state is a seed and the number of keys drawn.

    ``seed`` is any whole number; None takes one from the operating system. Safe to share between threads.
    """

    def __init__(self, seed: int | None = None):
        self._lock = locks.lock()
        self.seed(seed)

    def seed(self, seed: int | None = None) -> None:
        """Start again from ``seed``, or from a seed of the operating system.

        Raises DTypeError for what is no whole number.
        """
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        elif isinstance(seed, (bool, float)) or not hasattr(seed, "__index__"):
            raise DTypeError(f"[seed] expected a whole number or None; got {seed!r}. Use int(seed)?")
        with self._lock:
            self._seed = int(seed) % (1 << 64)
            self._stream = counter_rng.stream(self._seed)
            self._draws = 0
            self._ahead: list[int] = []  # the next keys, the nearest last

    def get_state(self) -> dict[str, int]:
        """The state as a dictionary of two numbers, which JSON can hold."""
        with self._lock:
            return {"seed": self._seed, "draws": self._draws}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Go back to a state that ``get_state`` returned. Raises DTypeError for anything else."""
        if not isinstance(state, Mapping) or set(state) != {"seed", "draws"}:
            raise DTypeError(f"[set_state] expected what get_state() returns; got {state!r}. To start anew use seed().")
        with self._lock:
            self._seed = int(state["seed"]) % (1 << 64)
            self._stream = counter_rng.stream(self._seed)
            self._draws = int(state["draws"])
            self._ahead = []

    def next_key(self) -> int:
        """A fresh key, a whole number of 64 bits; one draw."""
        with self._lock:
            if not self._ahead:
                self._ahead = counter_rng.key_numbers(self._stream, self._draws, _AHEAD)[::-1]
            self._draws += 1
            return self._ahead.pop()

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, draws={self._draws})"

    def __getstate__(self) -> dict[str, int]:
        return self.get_state()

    def __setstate__(self, state: dict[str, int]) -> None:
        self._lock = locks.lock()
        self.set_state(state)


default_generator = Generator()


def seed(seed: int | None = None) -> None:
    """Seed the default generator; None takes a seed from the operating system."""
    default_generator.seed(seed)


def get_state() -> dict[str, int]:
    """State of the default generator."""
    return default_generator.get_state()


def set_state(state: Mapping[str, int]) -> None:
    """Put the default generator back to a state that ``get_state`` returned."""
    default_generator.set_state(state)


# -- keys


class _Frames(threading.local):
    """Blocks of this thread that note the keys drawn in them, or give out such keys again; innermost last."""

    def __init__(self) -> None:
        self.stack: list[tuple[list[int], Iterator[int] | None]] = []


_frames = _Frames()


@contextmanager
def keys_noted(again: Sequence[int] | None = None) -> Iterator[list[int]]:
    """Note the keys that eager operations draw in this block; or draw those of ``again``, in their order."""
    noted: list[int] = []
    _frames.stack.append((noted, None if again is None else iter(again)))
    try:
        yield noted
    finally:
        _frames.stack.pop()


def _draw(generator: Generator) -> int:
    key = None
    asked = []
    for noted, again in reversed(_frames.stack):
        if again is not None:
            key = next(again, None)
            break
        asked.append(noted)
    if key is None:
        key = generator.next_key()
    for noted in asked:
        noted.append(key)
    return key


def _next_key_into(out: np.ndarray, generator: Generator) -> None:
    out[()] = _draw(generator)


next_key_op = defop_no_grad(
    "next_key",
    impl=lambda generator: np.array(_draw(generator), np.uint64),
    infer=lambda generator: Aval((), np.uint64),
    into=_next_key_into,
    pure=False,
    doc="A fresh key of a generator.",
)


def next_key(generator: Generator | None = None, like: Tensor | None = None) -> Tensor:
    """A fresh key of ``generator`` (default: the module's), a uint64 of rank 0.

    Symbolic inside ``deferred()``, and where ``like`` is symbolic or a deferred Variable.
    """
    generator = default_generator if generator is None else generator
    if like is not None and like.waits:
        with deferred():
            return apply(next_key_op, generator=generator)
    return apply(next_key_op, generator=generator)


# -- pure functions of a key


def _key_aval(op: str, key: Operand) -> None:
    if not isinstance(key, Aval) or key.shape != () or key.dtype != np.uint64:
        raise DTypeError(f"[{op}] expected a key, a uint64 of rank 0; got {key!r}. Make one with next_key().")


def _infer_drawn(op: str) -> Any:
    def infer(key: Operand, shape: tuple[int, ...], dtype: np.dtype, **params: Any) -> Aval:
        _key_aval(op, key)
        return Aval(shape, dtype)

    return infer


def _infer_drawn_like(op: str) -> Any:
    def infer(key: Operand, x: Operand, dtype: np.dtype | None = None, ones: tuple[int, ...] = ()) -> Aval:
        _key_aval(op, key)
        assert isinstance(x, Aval)
        return Aval(_with_ones(x.shape, ones), x.dtype if dtype is None else dtype)

    return infer


def _with_ones(shape: Sequence[Any], ones: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple([1 if k in ones else dim for k, dim in enumerate(shape)])


def _drawn(name: str, draw: Any, doc: str, expr: str | None = None) -> tuple[Any, Any]:
    """Register ``name(key, shape=, dtype=)`` and its twin ``name_like(key, x, dtype=None, ones=())``.

    The twin takes its shape from x, with 1 for the axes in ``ones``, and its dtype too unless one is given.
    """

    def into(out: np.ndarray, key: Any, shape: Any, dtype: Any) -> None:
        out[...] = draw(key, shape, dtype)

    def like(key: Any, x: np.ndarray, dtype: Any = None, ones: tuple[int, ...] = ()) -> np.ndarray:
        return draw(key, _with_ones(x.shape, ones), x.dtype if dtype is None else dtype)

    def lower(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return apply(op, inputs[0], shape=out.shape, dtype=out.dtype) if out.known else None

    op = defop_no_grad(name, impl=draw, infer=_infer_drawn(name), into=into, expr=expr, doc=doc)
    twin = f"{name}_like"
    like_op = defop_no_grad(
        twin,
        impl=like,
        infer=_infer_drawn_like(twin),
        lower=lower,
        doc=f"As {name}, in the shape of a second tensor.",
    )
    return op, like_op


# Element i is uniform_f32(i, key) or uniform_f64(i, key) of kernels.counter_rng; generated kernels inline them.
random_uniform, random_uniform_like = _drawn(
    "random_uniform", kernels.uniform, "Uniform floats in [0, 1) from a key.", expr="uniform({index}, {0})"
)
random_normal, random_normal_like = _drawn("random_normal", kernels.normal, "Standard normal floats from a key.")
random_truncated_normal, random_truncated_normal_like = _drawn(
    "random_truncated_normal", kernels.truncated_normal, "Normal floats of size up to 2 from a key."
)
random_bits, random_bits_like = _drawn("random_bits", kernels.bits, "Random uint32 or uint64 from a key.")

random_integers = defop_no_grad(
    "random_integers",
    impl=kernels.integers,
    infer=_infer_drawn("random_integers"),
    doc="Whole numbers from low to high - 1 from a key.",
)


def _infer_permutation(key: Operand, n: int) -> Aval:
    _key_aval("random_permutation", key)
    return Aval((n,), np.int64)


random_permutation = defop_no_grad(
    "random_permutation",
    impl=kernels.permutation,
    infer=_infer_permutation,
    doc="A random order of 0 to n - 1 from a key.",
)


def _infer_permutation_like(key: Operand, x: Operand, axis: int) -> Aval:
    _key_aval("random_permutation_like", key)
    return Aval((shape_of(x)[axis],), np.int64)


def _lower_permutation(out: Aval, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    return apply(random_permutation, inputs[0], n=out.shape[0]) if out.known else None


random_permutation_like = defop_no_grad(
    "random_permutation_like",
    impl=lambda key, x, axis: kernels.permutation(key, x.shape[axis]),
    infer=_infer_permutation_like,
    lower=_lower_permutation,
    doc="A random order of the positions along one axis of a second tensor.",
)


# -- distributions


def _shape(op: str, shape: Any) -> tuple[int, ...]:
    dims = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not all(isinstance(d, (int, np.integer)) and d >= 0 for d in dims):
        raise ShapeError(f"[{op}] the shape must be whole numbers; got {shape!r}. For unknown ones use {op}_like().")
    return tuple([int(d) for d in dims])


def _float(op: str, dtype: Any) -> np.dtype:
    out = dtype_of(op, dtype)
    if out.kind != "f" or out.itemsize > 8:
        raise DTypeError(f"[{op}] dtype must be float16, float32 or float64; got {out}. Use randint() for integers?")
    return out


def _scaled(x: Tensor, low: Any, scale: Any) -> Tensor:
    """x * scale + low, without the operations that do nothing."""
    if not _is_number(scale, 1):
        x = multiply(x, scale)
    return x if _is_number(low, 0) else add(x, low)


def _is_number(x: Any, value: int) -> bool:
    return isinstance(x, (int, float)) and x == value


def uniform(
    shape: int | Sequence[int] = (),
    low: Any = 0.0,
    high: Any = 1.0,
    dtype: Any = np.float32,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform numbers from ``low`` (included) to ``high`` (excluded, up to rounding)."""
    u = random_uniform(next_key(generator), shape=_shape("uniform", shape), dtype=_float("uniform", dtype))
    return _scaled(u, low, high - low)


def uniform_like(
    x: Any, low: Any = 0.0, high: Any = 1.0, dtype: Any = None, generator: Generator | None = None
) -> Tensor:
    """``uniform`` in the shape (known or not) and, unless given, the dtype of x."""
    return _scaled(_drawn_like("uniform", random_uniform_like, x, dtype, generator), low, high - low)


def normal(
    shape: int | Sequence[int] = (),
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = np.float32,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers. Box and Muller's transform; float32 ones stay within 5.77 standard deviations.

    >>> import autotensor as at
    >>> def loss(mean):  # the gradient by a parameter goes through the draw
    ...     at.random.seed(0)
    ...     return at.mean(at.random.normal((1000,), mean, 2.0, dtype="float64"))
    >>> at.grad(loss)(0.5)
    Tensor(1., dtype=float64)
    """
    z = random_normal(next_key(generator), shape=_shape("normal", shape), dtype=_float("normal", dtype))
    return _scaled(z, mean, stddev)


def normal_like(
    x: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, generator: Generator | None = None
) -> Tensor:
    """``normal`` in the shape (known or not) and, unless given, the dtype of x."""
    return _scaled(_drawn_like("normal", random_normal_like, x, dtype, generator), mean, stddev)


def truncated_normal(
    shape: int | Sequence[int] = (),
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = np.float32,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers within two standard deviations of the mean; those beyond are drawn again.

    ``stddev`` is that of the normal before the cut; the result's is 0.87962566 times that.
    """
    op = "truncated_normal"
    z = random_truncated_normal(next_key(generator), shape=_shape(op, shape), dtype=_float(op, dtype))
    return _scaled(z, mean, stddev)


def truncated_normal_like(
    x: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, generator: Generator | None = None
) -> Tensor:
    """``truncated_normal`` in the shape (known or not) and, unless given, the dtype of x."""
    z = _drawn_like("truncated_normal", random_truncated_normal_like, x, dtype, generator)
    return _scaled(z, mean, stddev)


def _drawn_like(
    op: str, like_op: Any, x: Any, dtype: Any, generator: Generator | None, ones: tuple[int, ...] = ()
) -> Tensor:
    x = operand(x)
    dtype = _float(op, x.dtype if dtype is None else dtype)
    return like_op(next_key(generator, like=x), x, dtype=dtype, ones=ones)


def bernoulli(
    shape: int | Sequence[int] = (), p: Any = 0.5, dtype: Any = np.bool_, generator: Generator | None = None
) -> Tensor:
    """True (or 1, by ``dtype``) with probability ``p``, a number or a tensor that broadcasts to ``shape``."""
    wanted = dtype_of("bernoulli", dtype)
    u = random_uniform(next_key(generator), shape=_shape("bernoulli", shape), dtype=np.dtype(np.float32))
    return _cast(less(u, p), wanted)


def bernoulli_like(x: Any, p: Any = 0.5, dtype: Any = None, generator: Generator | None = None) -> Tensor:
    """``bernoulli`` in the shape (known or not) and, unless given, the dtype of x."""
    x = operand(x)
    wanted = x.dtype if dtype is None else dtype_of("bernoulli_like", dtype)
    u = random_uniform_like(next_key(generator, like=x), x, dtype=np.dtype(np.float32), ones=())
    return _cast(less(u, p), wanted)


def _cast(x: Tensor, dtype: Any) -> Tensor:
    return x if x.dtype == np.dtype(dtype) else astype(x, dtype)


def randint(
    low: int,
    high: int | None = None,
    shape: int | Sequence[int] = (),
    dtype: Any = np.int64,
    generator: Generator | None = None,
) -> Tensor:
    """Whole numbers from ``low`` to ``high - 1``; with one bound, from 0 to it.

    ``randint(1, 7, (2,))`` throws two dice.

    Raises DTypeError for a dtype of other kind, and for bounds that it does not hold or that leave nothing.
    """
    first = whole("randint", "low", low)
    low, high = (0, first) if high is None else (first, whole("randint", "high", high))
    kind = dtype_of("randint", dtype)
    if kind.kind not in "iu":
        raise DTypeError(f"[randint] dtype must be an integer type; got {kind}. Use uniform() for floats.")
    info = np.iinfo(kind)
    if not info.min <= low < high <= info.max + 1:
        raise DTypeError(f"[randint] expected low < high within {kind}; got {low} and {high}. Use a wider dtype?")
    return random_integers(next_key(generator), shape=_shape("randint", shape), low=low, high=high, dtype=kind)


def permutation(x: Any, axis: int = 0, generator: Generator | None = None) -> Tensor:
    """A random order of 0 to x - 1 (int64) for a whole number x; for a tensor, ``shuffle(x, axis)``.

    Raises ShapeError for a negative one.
    """
    if isinstance(x, (int, np.integer)):
        if x < 0:
            raise ShapeError(f"[permutation] expected 0 or more; got {x}. Give the number of elements or a tensor.")
        return random_permutation(next_key(generator), n=int(x))
    return shuffle(x, axis, generator)


def shuffle(x: Any, axis: int = 0, generator: Generator | None = None) -> Tensor:
    """The slices of x along ``axis`` in random order, as a new tensor (x keeps its own order).

    Raises ShapeError for rank 0.
    """
    x = operand(x)
    if not x.ndim:
        raise ShapeError("[shuffle] expected at least one axis; got a tensor of rank 0. Use permutation(n)?")
    axis = normalize_axis("shuffle", axis, x.ndim)
    return take(x, random_permutation_like(next_key(generator, like=x), x, axis=axis), axis=axis)


def categorical(logits: Any, axis: int = -1, generator: Generator | None = None) -> Tensor:
    """One category per row, with probabilities softmax(logits): where logits + Gumbel noise is largest."""
    logits = operand(logits)
    u = _drawn_like("categorical", random_uniform_like, logits, None, generator)
    return argmax(subtract(logits, log(negative(log(subtract(1.0, u))))), axis=axis)


def dropout(
    x: Any, rate: float, noise_shape: Sequence[Dim] | None = None, generator: Generator | None = None
) -> Tensor:
    """Set elements to 0 with probability ``rate`` and multiply the others by 1 / (1 - rate): the mean stays.

    noise_shape: one entry per axis of x; 1 makes that axis share one decision, None (or the dimension itself)
        decides for each. ``(None, 1, None)`` drops whole channels of (samples, steps, channels).

    Raises ShapeError for a rate outside of 0 to 1, or a ``noise_shape`` of another rank.

        >>> import numpy as np
        >>> import autotensor as at
        >>> at.random.seed(0)
        >>> at.random.dropout(np.ones(6), 0.5)
        Tensor([2., 0., 0., 2., 2., 0.], dtype=float64)
    """
    x = operand(x)
    _float("dropout", x.dtype)
    if not isinstance(rate, (int, float, np.number)) or not 0.0 <= rate <= 1.0:
        raise ShapeError(f"[dropout] rate is a probability from 0 to 1; got {rate}. It is the fraction to drop.")
    if rate == 0.0:
        return x
    if rate == 1.0:
        return multiply(x, 0.0)
    ones: tuple[int, ...] = ()
    if noise_shape is not None:
        shape = tuple(noise_shape)
        broadcast_shapes("dropout", x.shape, shape)
        if len(shape) != x.ndim:
            raise ShapeError(
                f"[dropout] noise_shape needs an entry per axis of {x.shape}; got {shape}. None means 'as x'."
            )
        ones = tuple([k for k, dim in enumerate(shape) if dim == 1])
    dtype = x.dtype if x.dtype != np.float16 else np.dtype(np.float32)
    u = random_uniform_like(next_key(generator, like=x), x, dtype=dtype, ones=ones)
    keep = _cast(greater_equal(u, rate), x.dtype)
    return multiply(x, multiply(keep, 1.0 / (1.0 - rate)))


__all__ = [
    "Generator", "bernoulli", "bernoulli_like", "categorical", "default_generator", "dropout", "get_state",
    "next_key", "normal", "normal_like", "permutation", "randint", "random_bits", "random_bits_like",
    "random_integers", "random_normal", "random_normal_like", "random_permutation", "random_permutation_like",
    "random_truncated_normal", "random_truncated_normal_like", "random_uniform", "random_uniform_like", "seed",
    "set_state", "shuffle", "truncated_normal", "truncated_normal_like", "uniform", "uniform_like",
]  # fmt: skip
