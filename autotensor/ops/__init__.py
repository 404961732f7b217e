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
    dtypes,
    elementwise,
    fft,
    index,
    like,
    linalg,
    losses,
    methods,
    nan_numeric,
    ndarray_methods,
    normalization,
    pool,
    random,
    recurrent,
    reduce,
    resize,
    running,
    scan,
    sets,
    shape,
    sorting,
    standard,
    window,
)

__all__ = [
    "activation", "autodiff", "control", "conv", "creation", "ctc", "dtypes", "elementwise", "fft", "index", "like",
    "linalg",
    "losses", "methods", "nan_numeric", "ndarray_methods", "normalization", "pool", "random", "recurrent", "reduce",
    "resize", "running", "scan", "sets", "shape", "sorting", "standard", "window",
]  # fmt: skip
