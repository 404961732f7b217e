"""Eager micro-benchmarks, to be compared with other libraries that differentiate NumPy programs: what is computed.

A case is a function ``run(np, *xs)`` of a library's namespace and its arrays. ``np`` has NumPy's functions, and
``logsumexp``, ``cross_entropy``, ``convolve``, ``max_pool``, ``inv``, ``solve`` and ``det`` where the library does
(``eager_libraries``). Parts: ``forward`` records the program, ``both`` also gives the gradients by all arrays; those of
the group "higher" ask for products, rows and derivatives of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A program on arrays of given shapes; numbers in them lie between 0.5 and 1.5."""

    group: str
    name: str
    run: Callable[..., Any]
    shapes: tuple[Shape, ...]
    parts: tuple[str, ...] = ("forward", "both")
    dtype: str = "float64"

    def arrays(self) -> list[numpy.ndarray]:
        rng = numpy.random.default_rng(0)
        return [(0.5 + rng.random(shape)).astype(self.dtype) for shape in self.shapes]


# -- elementwise


def _elementwise() -> Iterator[Case]:
    one: dict[str, Callable[..., Any]] = {
        "exp": lambda np, x: np.exp(x),
        "tanh": lambda np, x: np.tanh(x),
        "x ** 3": lambda np, x: x**3,
    }
    two: dict[str, Callable[..., Any]] = {
        "x + y": lambda np, x, y: x + y,
        "x * y": lambda np, x, y: x * y,
        "x / y": lambda np, x, y: x / y,
        "x ** y": lambda np, x, y: x**y,
    }
    for n in (4, 1000, 100_000, 1_000_000):
        for name, run in one.items():
            yield Case("elementwise", f"{name}, {n:,}", run, ((n,),))
        for name, run in two.items():
            yield Case("elementwise", f"{name}, {n:,}", run, ((n,), (n,)))
    for rows in (4, 1000):
        yield Case("elementwise", f"x * row, {rows}×100", lambda np, x, y: x * y, ((rows, 100), (100,)))
        yield Case("elementwise", f"x * column, {rows}×100", lambda np, x, y: x * y, ((rows, 100), (rows, 1)))


# -- reductions, products, parts


def _reductions() -> Iterator[Case]:
    for kind in ("sum", "mean", "max"):
        for shape in ((4,), (100, 100), (1000, 1000)):
            axes = (None,) if len(shape) == 1 else (None, 0, 1)
            for axis in axes:
                yield Case(
                    "reductions",
                    f"{kind}, {'×'.join(map(str, shape))}, axis {axis}",
                    lambda np, x, kind=kind, axis=axis: getattr(np, kind)(x, axis=axis),
                    (shape,),
                )
    for shape in ((4,), (100, 100)):
        yield Case(
            "reductions", f"logsumexp, {'×'.join(map(str, shape))}", lambda np, x: np.logsumexp(x, axis=-1), (shape,)
        )


def _products() -> Iterator[Case]:
    for n in (4, 64, 512):
        yield Case("products", f"x @ y, {n}×{n}", lambda np, x, y: np.matmul(x, y), ((n, n), (n, n)))
    yield Case("products", "x @ y, vectors of 100", lambda np, x, y: np.matmul(x, y), ((100,), (100,)))
    yield Case("products", "x @ y, 20 of 8×8", lambda np, x, y: np.matmul(x, y), ((20, 8, 8), (20, 8, 8)))
    yield Case("products", "einsum ij,jk->ik, 20×20", lambda np, x, y: np.einsum("ij,jk->ik", x, y), ((20, 20),) * 2)
    yield Case(
        "products", "einsum bij,bj->bi, 32×8×8", lambda np, x, y: np.einsum("bij,bj->bi", x, y), ((32, 8, 8), (32, 8))
    )


_REPEATED = numpy.random.default_rng(1).integers(1000, size=5000)
_SOME = numpy.random.default_rng(2).permutation(1000)[:300]
_MASK = numpy.random.default_rng(3).random(1000) < 0.5
_ROWS = numpy.random.default_rng(4).integers(1000, size=(32, 20))


def _indexing() -> Iterator[Case]:
    yield Case("indexing", "x[3], 1000", lambda np, x: x[3], ((1000,),))
    yield Case("indexing", "x[2, 3], 30×30", lambda np, x: x[2, 3], ((30, 30),))
    yield Case("indexing", "x[10:500], 1000", lambda np, x: x[10:500], ((1000,),))
    yield Case("indexing", "x[:, ::2], 100×100", lambda np, x: x[:, ::2], ((100, 100),))
    yield Case("indexing", "x[index], 300 of 1000", lambda np, x: x[_SOME], ((1000,),))
    yield Case("indexing", "x[index], 5000 repeated of 1000", lambda np, x: x[_REPEATED], ((1000,),))
    yield Case("indexing", "rows[index], 32×20 of 1000×64", lambda np, x: x[_ROWS], ((1000, 64),))
    yield Case("indexing", "x[mask], 1000", lambda np, x: x[_MASK], ((1000,),))

    def each(np: Any, x: Any) -> Any:
        total = x[0] * 0.5
        for i in range(1, 200):
            total = total + x[i] * x[i - 1]
        return total

    yield Case("indexing", "200 elements one by one", each, ((200,),))


_CONDITION = numpy.random.default_rng(5).random((100, 100)) < 0.5


def _shapes() -> Iterator[Case]:
    yield Case("shapes", "reshape, 100×100", lambda np, x: np.reshape(x, (-1,)), ((100, 100),))
    yield Case("shapes", "transpose, 100×100", lambda np, x: np.transpose(x), ((100, 100),))
    yield Case("shapes", "transpose, 10×20×30", lambda np, x: np.transpose(x, (2, 0, 1)), ((10, 20, 30),))
    yield Case("shapes", "concatenate, 3 of 4", lambda np, *xs: np.concatenate(xs), ((4,),) * 3)
    yield Case("shapes", "concatenate, 3 of 100×100", lambda np, *xs: np.concatenate(xs, axis=1), ((100, 100),) * 3)
    yield Case("shapes", "stack, 3 of 4", lambda np, *xs: np.stack(xs), ((4,),) * 3)
    yield Case("shapes", "where, 100×100", lambda np, x, y: np.where(_CONDITION, x, y), ((100, 100),) * 2)
    yield Case("shapes", "expand_dims and sum, 100", lambda np, x: np.sum(np.expand_dims(x, 0) * x, axis=1), ((100,),))


# -- programs


def _chain(np: Any, x: Any, y: Any) -> Any:
    h = x
    for _ in range(20):
        h = np.tanh(h * y + x)
    return np.sum(h)


def _scalar_chain(np: Any, x: Any) -> Any:
    for _ in range(100):
        x = x * 1.01 + 0.1
    return x


def _polynomial(np: Any, x: Any) -> Any:
    return np.sum(3 * x**3 - 2 * x**2 + x - 1)


def _rosenbrock(np: Any, x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _pendulum(np: Any, x: Any) -> Any:
    angle, speed = x[0], x[1]
    for _ in range(100):
        speed = speed - 0.01 * np.sin(angle)
        angle = angle + 0.01 * speed
    return angle


def _mlp(np: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    h = np.tanh(np.matmul(x, w1) + b1)
    out = np.matmul(h, w2) + b2
    return np.mean((out - 1.0) ** 2)


def _rnn(np: Any, x: Any, h: Any, w: Any, u: Any) -> Any:
    for t in range(100):
        h = np.tanh(np.matmul(x[t], w) + np.matmul(h, u))
    return np.sum(h)


def _logistic(np: Any, w: Any, x: Any) -> Any:
    z = np.matmul(x, w)
    return np.mean(np.log(1 + np.exp(-z)))


def _gaussian(np: Any, m: Any, s: Any) -> Any:
    return np.sum(-0.5 * ((m - 1.0) / np.exp(s)) ** 2 - s)


_LABELS = numpy.random.default_rng(6).integers(10, size=128)


def _programs() -> Iterator[Case]:
    yield Case("programs", "20 times tanh(h * y + x), 4", _chain, ((4,), (4,)))
    yield Case("programs", "100 times x * 1.01 + 0.1, a number", _scalar_chain, ((),))
    yield Case("programs", "100 times x * 1.01 + 0.1, 4×4 float32", _scalar_chain, ((4, 4),), dtype="float32")
    yield Case("programs", "polynomial, 4", _polynomial, ((4,),))
    yield Case("programs", "Rosenbrock, 50", _rosenbrock, ((50,),))
    yield Case("programs", "pendulum, 100 steps", _pendulum, ((2,),))
    yield Case("programs", "Gaussian density, 10", _gaussian, ((10,), (10,)))
    yield Case("programs", "logistic loss, 200×10", _logistic, ((10,), (200, 10)))
    yield Case("programs", "MLP 32×20-64-10", _mlp, ((32, 20), (20, 64), (64,), (64, 10), (10,)))
    yield Case("programs", "MLP 128×256-512-10", _mlp, ((128, 256), (256, 512), (512,), (512, 10), (10,)))
    yield Case("programs", "RNN, 100 steps of 8×16", _rnn, ((100, 8, 16), (8, 16), (16, 16), (16, 16)))
    yield Case("programs", "softmax cross-entropy, 128×10", lambda np, x: np.cross_entropy(x, _LABELS), ((128, 10),))
    yield Case("programs", "convolution, 8×3×16×16, 8×3×3×3", lambda np, x, k: np.convolve(x, k),
               ((8, 3, 16, 16), (8, 3, 3, 3)))  # fmt: skip
    yield Case("programs", "max pool 2, 8×3×16×16", lambda np, x: np.max_pool(x), ((8, 3, 16, 16),))


def _linear_algebra() -> Iterator[Case]:
    def definite(np: Any, x: Any) -> Any:
        return np.matmul(x, np.transpose(x)) + 5.0 * numpy.eye(x.shape[0])

    for n in (4, 50):
        yield Case("linear algebra", f"inv, {n}×{n}", lambda np, x: np.inv(definite(np, x)), ((n, n),))
        yield Case("linear algebra", f"solve, {n}×{n}", lambda np, x, b: np.solve(definite(np, x), b), ((n, n), (n, 3)))
        yield Case("linear algebra", f"det, {n}×{n}", lambda np, x: np.det(definite(np, x)), ((n, n),))


# -- derivatives of derivatives


def _power(np: Any, x: Any) -> Any:
    for _ in range(100):
        x = x * x * 0.5 + 0.3
    return x


def _higher() -> Iterator[Case]:
    yield Case("higher", "Rosenbrock, 50", _rosenbrock, ((50,),), ("hvp",))
    yield Case("higher", "logistic loss, 10, 200×10", _logistic, ((10,), (200, 10)), ("hvp",))
    yield Case("higher", "tanh(x @ x.T) of 10×10", lambda np, x: np.tanh(np.matmul(x, np.transpose(x))), ((10, 10),),
               ("jacobian",))  # fmt: skip
    yield Case("higher", "100 times x * x * 0.5 + 0.3", _power, ((),), ("grad of grad",))
    yield Case("higher", "polynomial, 4", _polynomial, ((4,),), ("grad of grad",))


# -- the micro-benchmarks of test_ops


def _operations() -> Iterator[Case]:
    calls: dict[str, Callable[..., Any]] = {
        "add": lambda np, x: x + x,
        "multiply": lambda np, x: x * 2.0,
        "sum": lambda np, x: np.sum(x, axis=0),
        "matmul": lambda np, x: np.matmul(x, x),
        "reshape": lambda np, x: np.reshape(x, (-1,)),
        "getitem": lambda np, x: x[1:3],
        "exp": lambda np, x: np.exp(x),
        "tanh": lambda np, x: np.tanh(x),
    }
    for n in (4, 256):
        for name, run in calls.items():
            yield Case("test_ops", f"{name}, {n}×{n} float32", run, ((n, n),), dtype="float32")


_FAMILIES = (
    _elementwise, _reductions, _products, _indexing, _shapes, _programs, _linear_algebra, _higher, _operations,
)  # fmt: skip

CASES: list[tuple[Case, str]] = [(case, part) for family in _FAMILIES for case in family() for part in case.parts]
