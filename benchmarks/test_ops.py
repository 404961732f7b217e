"""Micro-benchmarks of operations: ``pytest benchmarks --benchmark-enable``.

The overhead of the door is the difference between an operation on small arrays and the bare NumPy call beside it.
"""

import numpy as np
import pytest

import autotensor as at

small = np.ones((4, 4), "f4")
large = np.ones((256, 256), "f4")


@pytest.mark.parametrize("array", [small, large], ids=["16", "65536"])
@pytest.mark.parametrize("name", ["add", "multiply", "exp", "tanh", "sum", "matmul", "reshape", "getitem"])
@pytest.mark.parametrize("kind", ["numpy", "constant", "recorded"])
def test_operation(benchmark, name, kind, array):
    x = array if kind == "numpy" else at.Tensor(array, requires_grad=kind == "recorded")
    module = np if kind == "numpy" else at
    calls = {
        "add": lambda: x + x,
        "multiply": lambda: x * 2.0,
        "sum": lambda: module.sum(x, axis=0),
        "matmul": lambda: x @ x,
        "reshape": lambda: module.reshape(x, (-1,)),
        "getitem": lambda: x[1:3],
        "exp": lambda: module.exp(x),
        "tanh": lambda: module.tanh(x),
    }
    benchmark(calls[name])


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_of_a_chain(benchmark, create_graph):
    x = at.Tensor(small, requires_grad=True)
    y = x
    for _ in range(100):
        y = y * 1.01 + 0.1
    loss = at.sum(y)
    benchmark(lambda: at.grad(loss, x, create_graph=create_graph))


def test_compiled_elementwise_call(benchmark):
    x = at.placeholder((128, 64))
    f = at.function([x], at.tanh(x) * 2 + 1)
    a = np.ones((128, 64), "f4")
    f(a)
    benchmark(f, a)
