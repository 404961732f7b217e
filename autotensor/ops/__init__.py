"""The operations, by family. Each is one block: implementation, shape rule, gradient, scalar expression.

Importing this package fills the registry and gives Tensor its operators and methods.
"""

from autotensor.ops import (
    activation,
    autodiff,
    control,
    creation,
    elementwise,
    index,
    like,
    linalg,
    losses,
    methods,
    random,
    reduce,
    shape,
)

__all__ = [
    "activation", "autodiff", "control", "creation", "elementwise", "index", "like", "linalg", "losses", "methods",
    "random", "reduce", "shape",
]  # fmt: skip
