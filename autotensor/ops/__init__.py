"""The operations, by family. Each is one block: implementation, shape rule, gradient, scalar expression.

Importing this package fills the registry and gives Tensor its operators and methods.
"""

from autotensor.ops import (
    activation,
    autodiff,
    control,
    conv,
    creation,
    ctc,
    elementwise,
    index,
    like,
    linalg,
    losses,
    methods,
    normalization,
    pool,
    random,
    recurrent,
    reduce,
    resize,
    scan,
    shape,
    window,
)

__all__ = [
    "activation", "autodiff", "control", "conv", "creation", "ctc", "elementwise", "index", "like", "linalg", "losses",
    "methods", "normalization", "pool", "random", "recurrent", "reduce", "resize", "scan", "shape", "window",
]  # fmt: skip
