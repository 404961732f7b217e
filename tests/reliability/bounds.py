"""Every family of kernels at the sizes where loops begin and end: around vectors and blocks, odd, one, none.

    NUMBA_DISABLE_JIT=1 NUMBA_BOUNDSCHECK=1 python -m tests.reliability.bounds plain
    python -m tests.reliability.bounds after
    python -m tests.reliability.bounds before

The first runs kernels as Python and looks at each index. The others run them compiled, with each array before or behind
a page that nobody may touch. Results are compared with those of NumPy. Names of families may follow, and
``--plant=module:function:text:other`` to see a fault found; else all families are run as they are.
Prints the family before it is run, so that the last line names the one that ended the process.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SIZES = (1, 2, 7, 8, 15, 16, 17, 31, 33)
Case = tuple[Any, ...]  # a function of tensors, and arrays


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def with_slopes(at: Any, make: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The results, and the gradients of their weighted sum by all arguments that are floats."""

    def outputs(*xs: Any) -> list[Any]:
        made = make(*xs)
        ys = list(made) if isinstance(made, (list, tuple)) else [made]
        total = sum(at.sum(at.sin(y)) for y in ys if y.dtype.kind == "f")
        wrt = [x for x in xs if x.dtype.kind == "f"]
        return [*ys, *at.grad(total, wrt)]

    return outputs


def fused(at: Any) -> Iterator[Case]:
    """Elementwise, rows, columns, totals: one generated kernel or more, for each rank that loops may have."""

    def make(x: Any, row: Any) -> list[Any]:
        y = at.tanh(x * 2.0 + row)
        return [y, at.sum(y, axis=0), at.max(y, axis=-1), at.mean(y), at.softmax(y), at.argmax(y, axis=-1)]

    for n, c in itertools.product((0, *SIZES), (1, 7, 16, 33)):
        yield make, numbers(n, c), numbers(c)
    yield make, numbers(3, 5, 9, 17), numbers(17)
    yield make, numbers(2, 5000), numbers(5000)
    yield (lambda x: [at.sum(x, axis=0), at.prod(x, axis=0)]), numbers(5001, 3)


def rows(at: Any) -> Iterator[Case]:
    """Softmax, its logarithm, and the cross-entropies."""
    for n, c in itertools.product((1, 17), SIZES):
        labels = np.arange(n) % c
        hot = np.eye(c, dtype="float32")[labels]
        yield with_slopes(at, lambda x: [at.softmax(x), at.log_softmax(x)]), numbers(n, c)
        yield with_slopes(at, at.softmax_cross_entropy), numbers(n, c), hot
        yield with_slopes(at, lambda x, t: at.sparse_softmax_cross_entropy(x, t)), numbers(n, c), labels


def lookups(at: Any) -> Iterator[Case]:
    """Rows by their numbers, and adding to them."""
    for n, c in itertools.product(SIZES, (1, 7, 16)):
        index = (np.arange(2 * n + 1) * 5 % (2 * n)) - n
        yield with_slopes(at, lambda i, x: at.take(x, i, axis=0)), index, numbers(n, c)
        yield (lambda i, x, v: at.index_add(x, v, i)), index, numbers(n, c), numbers(2 * n + 1, c)


def convolutions(at: Any) -> Iterator[Case]:
    for size, kernel, stride, dilation, padding in (
        ((7, 9), (3, 3), 1, 1, "same"),
        ((8, 16), (3, 3), 1, 1, "valid"),
        ((17, 5), (3, 3), 1, 1, "same"),
        ((7, 9), (3, 2), 2, 1, "valid"),
        ((9, 8), (2, 3), (3, 2), 1, "same"),
        ((11, 7), (3, 3), 1, 2, "same"),
        ((1, 1), (1, 1), 1, 1, "valid"),
        ((4, 33), (1, 5), 1, 1, "same"),
        ((5, 17), (5, 1), (2, 1), 1, "same"),
        ((3, 3), (3, 3), 1, 1, "valid"),
    ):
        for c_in, c_out in ((1, 1), (3, 7), (8, 16), (17, 5), *(((17, 16),) if kernel == (3, 3) else ())):

            def make(x: Any, w: Any, b: Any, s: Any = stride, d: Any = dilation, p: Any = padding) -> Any:
                return at.conv(x, w, s, p, d, bias=b, activation="relu")

            arrays = numbers(2, *size, c_in), numbers(*kernel, c_in, c_out, seed=1), numbers(c_out, seed=2)
            yield with_slopes(at, make), *arrays


def depthwise(at: Any) -> Iterator[Case]:
    for size, kernel, stride, padding in (
        ((7, 9), (3, 3), 1, "same"),
        ((8, 16), (3, 3), 2, "valid"),
        ((5, 17), (2, 5), 1, "same"),
        ((1, 1), (1, 1), 1, "same"),
    ):
        for c, m in ((1, 1), (3, 2), (8, 1), (17, 1)):

            def make(x: Any, w: Any, s: Any = stride, p: Any = padding) -> Any:
                return at.depthwise_conv(x, w, s, p)

            yield with_slopes(at, make), numbers(2, *size, c), numbers(*kernel, c, m, seed=1)


def pools(at: Any) -> Iterator[Case]:
    for size, window, stride, padding in (
        ((7, 9), 2, 2, "valid"),
        ((7, 9), 3, 2, "same"),
        ((8, 16), 2, 1, "same"),
        ((5, 1), 1, 1, "valid"),
        ((9, 17), 3, 3, "same"),
    ):
        for c in (1, 16, 17):

            def make(x: Any, k: Any = window, s: Any = stride, p: Any = padding) -> list[Any]:
                return [at.max_pool(x, k, s, p), at.average_pool(x, k, s, p)]

            yield with_slopes(at, make), numbers(2, *size, c)


def normalizations(at: Any) -> Iterator[Case]:
    for n, c in itertools.product((1, 2, 17, 33), (1, 7, 16, 17)):
        for axis in (-1, 1):
            shape = (n, 3, c) if axis == -1 else (n, c, 3)

            def make(x: Any, gamma: Any, beta: Any, axis: int = axis) -> Any:
                return at.batch_norm(x, gamma, beta, axis=axis)[0]

            yield with_slopes(at, make), numbers(*shape), numbers(c, seed=1), numbers(c, seed=2)


def products(at: Any) -> Iterator[Case]:
    """Beside a bias and relu, as a layer has them; both orders in memory."""
    for m, k, n in itertools.product((1, 7, 17), (1, 8, 33), (1, 16, 31)):
        arrays = numbers(m, k), numbers(k, n, seed=1), numbers(n, seed=2)
        yield with_slopes(at, lambda x, w, b: at.relu(x @ w + b)), *arrays
        yield with_slopes(at, lambda x, w: at.matmul(x, w.T)), arrays[0], np.ascontiguousarray(arrays[1].T)


def recurrences(at: Any) -> Iterator[Case]:
    """LSTM, GRU and the simple one, forwards and backwards, with masks: these work on raw addresses."""
    for steps, n, c, units in ((1, 1, 1, 1), (3, 7, 5, 7), (4, 2, 8, 16), (2, 17, 3, 9), (5, 33, 1, 3)):
        mask = (np.random.default_rng(3).random((n, steps)) > 0.3) | (np.arange(steps) == 0)
        for name, gates in (("lstm", 4), ("gru", 3), ("simple_rnn", 1)):
            for masked, back in ((False, False), (True, False), (True, True)):

                def make(m: Any, x: Any, w: Any, u: Any, b: Any, name: str = name, on: Any = (masked, back)) -> Any:
                    return getattr(at, name)(x, w, u, b, mask=m if on[0] else None, reverse=on[1])[:2]

                weights = numbers(c, gates * units, seed=1), numbers(units, gates * units, seed=2)
                yield with_slopes(at, make), mask, numbers(n, steps, c), *weights, numbers(gates * units, seed=4)


def alignments(at: Any) -> Iterator[Case]:
    """Connectionist temporal classification."""
    for n, time_, length in ((1, 1, 1), (2, 7, 3), (3, 9, 4)):
        labels = np.arange(n * length).reshape(n, length) % 3
        lengths = np.arange(n) % length + 1
        times = np.full(n, time_) - np.arange(n) % 2 * (time_ > 1)

        def make(x: Any, a: Any = labels, t: Any = times, k: Any = lengths) -> Any:
            return at.ctc_loss(x, a, t, k)

        yield with_slopes(at, make), numbers(n, time_, 4)


def masks(at: Any) -> Iterator[Case]:
    """Random numbers inside of a kernel and as arrays; what is compared is how many there are."""
    for n in SIZES:
        yield (lambda x: [at.random.dropout(x, 0.5) * 0.0, at.random.uniform_like(x) * 0.0]), numbers(n, 3)
        yield (lambda x: [at.random.normal_like(x) * 0.0]), numbers(n)


FAMILIES: dict[str, Callable[[Any], Iterator[Case]]] = {
    f.__name__: f
    for f in (
        fused,
        rows,
        lookups,
        convolutions,
        depthwise,
        pools,
        normalizations,
        products,
        recurrences,
        alignments,
        masks,
    )
}


def own_memory_for_each_value() -> None:
    """Plans that share no memory, so that each of their arrays has its own borders."""
    from autotensor.graph import plan

    def allocate(self: Any, aval: Any, free: Any) -> tuple[np.ndarray, np.ndarray]:
        array = np.empty([n or 0 for n in aval.shape], aval.dtype)
        return array, array.reshape(-1).view(np.uint8)

    plan.Plan._allocate = allocate  # type: ignore[method-assign]
    plan.share = lambda values: ({}, [])  # type: ignore[assignment]


def plant(module_name: str, function: str, old: str, new: str) -> None:
    """Put a fault into a kernel, or with ``codegen:load`` into the text of every generated one."""
    module = importlib.import_module(f"autotensor.{module_name}")
    if function == "load":
        load = module.load
        module.load = lambda text: load(text.replace(old, new))  # type: ignore[attr-defined]
        return
    kernel = getattr(module, function)
    source = inspect.getsource(inspect.unwrap(getattr(kernel, "py_func", kernel)))
    assert old in source, source
    exec(compile(source.replace(old, new), "<planted>", "exec"), vars(module))


def run(at: Any, name: str) -> int:
    """Run a family, compiled and on values; returns the number of cases."""
    count = 0
    for function, *arrays in FAMILIES[name](at):
        inputs = [at.placeholder(a.shape, a.dtype) for a in arrays]
        made = function(*inputs)
        compiled = at.function(inputs, list(made) if isinstance(made, (list, tuple)) else [made])
        with np.errstate(all="ignore"):
            found = compiled(*arrays)
            with at.config.use(numba=False, compile=False):
                want = compiled(*arrays)
        for a, b in zip(found, want, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype, (name, [x.shape for x in arrays])
            scale = 1 + np.abs(b[np.isfinite(b)]).max(initial=0.0) if b.dtype.kind == "f" else 1
            np.testing.assert_allclose(a, b, atol=2e-4 * scale, err_msg=f"{name} {[x.shape for x in arrays]}")
        count += 1
    return count


def main(where: str, *asked: str) -> None:
    wanted = [part for part in asked if not part.startswith("--plant=")]
    if where != "plain":
        from tests.reliability import guarded_memory

        guarded_memory.install(where)
    import autotensor as at
    from autotensor.kernels import blas

    at.config.set(threads=2)  # so that work is cut into parts
    if where == "plain":
        assert os.environ.get("NUMBA_DISABLE_JIT") == os.environ.get("NUMBA_BOUNDSCHECK") == "1"
        # In Python products are NumPy's; with them the kernels for convolutions run as where BLAS is.
        blas.AVAILABLE = True  # type: ignore[misc]
        wanted = wanted or [name for name in FAMILIES if name != "recurrences"]  # they work on raw addresses
    else:
        own_memory_for_each_value()
    for fault in asked[len(wanted) :]:
        plant(*fault.removeprefix("--plant=").split(":"))
    for name in FAMILIES:
        if not wanted or name in wanted:
            print(name, end=" ", flush=True)
            start = time.process_time()
            print(f"{run(at, name)} cases, {time.process_time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # at its end Python gives memory back when functions of guarded memory are gone
