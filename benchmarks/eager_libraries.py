"""How each library records the programs of ``eager`` and differentiates them, as its users would.

A library here is a class with ``np``, its namespace; ``forward`` and ``both`` (and what else it can do) make of a
program and arrays the call that is timed. Leaves are made outside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy

from benchmarks.runner import Run

Program = Callable[..., Any]
Arrays = list[numpy.ndarray]


class Ours:
    """Tensors that require gradients, and ``at.grad`` of the result by them."""

    def __init__(self) -> None:
        import autotensor as at

        self.at = at
        self.np = SimpleNamespace(**{name: getattr(at, name) for name in at.__all__})
        self.np.sum, self.np.max = at.sum, at.max
        self.np.inv, self.np.solve, self.np.det = at.linalg.inv, at.linalg.solve, at.linalg.det
        self.np.cross_entropy = self._cross_entropy
        self.np.convolve = lambda x, k: at.conv(x, at.transpose(k, (2, 3, 1, 0)), layout="channels_first")
        self.np.max_pool = lambda x: at.max_pool(x, 2, layout="channels_first")

    def _cross_entropy(self, x: Any, labels: Any) -> Any:
        return self.at.mean(self.at.sparse_softmax_cross_entropy(x, labels))

    def forward(self, run: Program, arrays: Arrays) -> Run:
        xs = [self.at.Tensor(a, requires_grad=True) for a in arrays]
        return lambda: run(self.np, *xs)

    def both(self, run: Program, arrays: Arrays) -> Run:
        xs = [self.at.Tensor(a, requires_grad=True) for a in arrays]
        seed = self.at.ones_like(run(self.np, *xs)).detach()
        return lambda: self.at.grad(run(self.np, *xs), xs, seeds=seed, create_graph=False)

    def hvp(self, run: Program, arrays: Arrays) -> Run:
        at = self.at
        xs = [at.Tensor(a) for a in arrays]
        v = at.ones_like(xs[0])
        return lambda: at.hvp(lambda x: run(self.np, x, *xs[1:]), xs[0], v)

    def jacobian(self, run: Program, arrays: Arrays) -> Run:
        at = self.at
        x = at.Tensor(arrays[0])
        return lambda: at.jacobian(lambda x: run(self.np, x))(x)

    def grad_of_grad(self, run: Program, arrays: Arrays) -> Run:
        at = self.at
        x = at.Tensor(arrays[0])
        return lambda: at.grad(lambda x: at.sum(at.grad(lambda x: run(self.np, x))(x)))(x)


class OursByFunctions(Ours):
    """The same by transforms of functions: ``at.grad(f)(x)``, ``at.vjp``."""

    def forward(self, run: Program, arrays: Arrays) -> Run:
        xs = [self.at.Tensor(a) for a in arrays]
        return lambda: self.at.vjp(lambda *xs: run(self.np, *xs), *xs)

    def both(self, run: Program, arrays: Arrays) -> Run:
        at = self.at
        xs = [at.Tensor(a) for a in arrays]
        y = run(self.np, *xs)
        if not y.ndim:
            return lambda: at.grad(lambda *xs: run(self.np, *xs), tuple(range(len(xs))))(*xs)
        seed = at.ones_like(y)
        return lambda: at.vjp(lambda *xs: run(self.np, *xs), *xs)[1](seed)


class Hips:
    """HIPS autograd: ``make_vjp``, and ``grad`` of functions."""

    def __init__(self) -> None:
        import autograd
        import autograd.numpy as anp
        from autograd.core import make_vjp
        from autograd.scipy.signal import convolve
        from autograd.scipy.special import logsumexp

        def cross_entropy(x: Any, labels: Any) -> Any:
            chosen = x[numpy.arange(len(labels)), labels]
            return anp.mean(logsumexp(x, axis=1) - chosen)

        def max_pool(x: Any) -> Any:
            b, c, h, w = x.shape
            return anp.max(anp.reshape(x, (b, c, h // 2, 2, w // 2, 2)), axis=(3, 5))

        self.autograd = autograd
        self.make_vjp = make_vjp
        self.np = SimpleNamespace(**{name: getattr(anp, name) for name in dir(anp) if not name.startswith("__")})
        self.np.logsumexp, self.np.cross_entropy, self.np.max_pool = logsumexp, cross_entropy, max_pool
        self.np.inv, self.np.solve, self.np.det = anp.linalg.inv, anp.linalg.solve, anp.linalg.det
        self.np.convolve = lambda x, k: convolve(x, k, axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid")

    def forward(self, run: Program, arrays: Arrays) -> Run:
        if len(arrays) == 1:
            return lambda: self.make_vjp(lambda x: run(self.np, x), arrays[0])
        return lambda: self.make_vjp(lambda xs: run(self.np, *xs), tuple(arrays))

    def both(self, run: Program, arrays: Arrays) -> Run:
        if len(arrays) == 1:
            seed = numpy.ones_like(run(self.np, arrays[0]))
            return lambda: self.make_vjp(lambda x: run(self.np, x), arrays[0])[0](seed)
        seed = numpy.ones_like(run(self.np, *arrays))
        return lambda: self.make_vjp(lambda xs: run(self.np, *xs), tuple(arrays))[0](seed)

    def hvp(self, run: Program, arrays: Arrays) -> Run:
        x, *rest = arrays
        v = numpy.ones_like(x)
        return lambda: self.autograd.hessian_vector_product(lambda x: run(self.np, x, *rest))(x, v)

    def jacobian(self, run: Program, arrays: Arrays) -> Run:
        return lambda: self.autograd.jacobian(lambda x: run(self.np, x))(arrays[0])

    def grad_of_grad(self, run: Program, arrays: Arrays) -> Run:
        grad = self.autograd.elementwise_grad
        x = arrays[0] + 0.0
        return lambda: grad(grad(lambda x: run(self.np, x)))(x)


class MyGrad:
    """MyGrad: tensors and ``backward()``."""

    def __init__(self) -> None:
        import mygrad
        from mygrad import nnet

        self.mygrad = mygrad
        # mygrad.matmul(x, y) and its like are what its users write; a logsumexp it has none.
        self.np = SimpleNamespace(**{name: getattr(mygrad, name) for name in dir(mygrad) if not name.startswith("__")})
        self.np.cross_entropy = lambda x, labels: nnet.softmax_crossentropy(x, labels)
        self.np.convolve = lambda x, k: nnet.conv_nd(x, k, stride=1)
        self.np.max_pool = lambda x: nnet.max_pool(x, (2, 2), 2)

    def forward(self, run: Program, arrays: Arrays) -> Run:
        xs = [self.mygrad.tensor(a) for a in arrays]
        return lambda: run(self.np, *xs)

    def both(self, run: Program, arrays: Arrays) -> Run:
        xs = [self.mygrad.tensor(a) for a in arrays]
        seed = numpy.ones_like(run(self.np, *xs).data)

        def call() -> object:
            run(self.np, *xs).backward(seed)
            return [x.grad for x in xs]

        return call


LIBRARIES: dict[str, Callable[[], Any]] = {
    "ours": Ours,
    "ours-functions": OursByFunctions,
    "hips": Hips,
    "mygrad": MyGrad,
}


def prepare(library: Any, part: str, run: Program, arrays: Arrays) -> Run:
    """The call that is timed; AttributeError where a library has nothing of the kind."""
    return getattr(library, part.replace(" ", "_"))(run, arrays)
