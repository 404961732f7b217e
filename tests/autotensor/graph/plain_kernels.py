"""Generated kernels as plain Python, for tests that try many: the same loops, without waiting for the compiler."""

import types

import numpy as np

_IMPORT = "from autotensor.kernels.jit import jit, pointer, scalar, task"


def plain_load(text):
    """As ``graph.codegen.load``."""
    assert _IMPORT in text
    scope = {"jit": lambda *args, **options: args[0] if args else lambda fn: fn, "scalar": lambda fn: fn}
    exec(text.replace(_IMPORT, "").replace("@task", ""), scope)
    return types.SimpleNamespace(**{
        name: quiet(scope[name]) for name in ("kernel", "entry", "combine", "finish") if name in scope
    })  # fmt: skip


def quiet(function):
    def call(*args):
        with np.errstate(all="ignore"):
            function(*args)

    return call
