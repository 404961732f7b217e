"""Automatic differentiation on NumPy arrays, with a compiler for whole training steps.

    >>> import autotensor as at
    >>> x = at.Tensor([1.0, 2.0], requires_grad=True)
    >>> at.grad((x * x).sum(), x)
    Tensor([2., 4.], dtype=float64, requires_grad=True)

Public names only; each is defined, and documented, in the module it comes from.
"""

import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING

from numpy import bool_ as bool  # noqa: F401 (not in __all__: it would hide Python's)
from numpy import (
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)

from autotensor import config, errors, special
from autotensor.config import get_num_threads, set_num_threads
from autotensor.core.state import deferred, enable_grad, immediate, is_immediate, is_tracking, no_grad
from autotensor.core.tensor import Tensor, Variable, placeholder, register_library
from autotensor.core.watch import detect_anomaly, name_scope, span
from autotensor.einops_backend import register as _register_einops
from autotensor.errors import (
    AutotensorError,
    DTypeError,
    GradError,
    GradientCheckError,
    GraphError,
    NanError,
    RangeError,
    ShapeError,
    TraceError,
    TreeError,
)
from autotensor.graph.compile import Function, compile, evaluate, function
from autotensor.graph.sources import sources
from autotensor.ops import activation, autodiff, control, creation, elementwise, fft, index, linalg, losses, random
from autotensor.ops import conv as _conv
from autotensor.ops import convolution as _convolution
from autotensor.ops import ctc as _ctc
from autotensor.ops import dtypes as _dtypes
from autotensor.ops import joining as _joining
from autotensor.ops import matrix_functions as _matrix_functions
from autotensor.ops import nan_numeric as _nan_numeric
from autotensor.ops import normalization as _normalization
from autotensor.ops import numeric as _numeric
from autotensor.ops import pool as _pool
from autotensor.ops import recurrent as _recurrent
from autotensor.ops import reduce as _reduce
from autotensor.ops import resize as _resize
from autotensor.ops import running as _running
from autotensor.ops import scan as _scan
from autotensor.ops import sets as _sets
from autotensor.ops import shape as _shape
from autotensor.ops import sorting as _sorting
from autotensor.ops import standard as _standard
from autotensor.ops import window as _window
from autotensor.ops.activation import *  # noqa: F403
from autotensor.ops.autodiff import *  # noqa: F403
from autotensor.ops.control import *  # noqa: F403
from autotensor.ops.conv import *  # noqa: F403
from autotensor.ops.convolution import *  # noqa: F403
from autotensor.ops.creation import *  # noqa: F403
from autotensor.ops.ctc import *  # noqa: F403
from autotensor.ops.dtypes import *  # noqa: F403
from autotensor.ops.elementwise import *  # noqa: F403
from autotensor.ops.index import *  # noqa: F403
from autotensor.ops.joining import *  # noqa: F403
from autotensor.ops.like import print_value, reshape_to
from autotensor.ops.linalg import *  # noqa: F403
from autotensor.ops.losses import *  # noqa: F403
from autotensor.ops.matrix_functions import *  # noqa: F403
from autotensor.ops.nan_numeric import *  # noqa: F403
from autotensor.ops.normalization import *  # noqa: F403
from autotensor.ops.numeric import *  # noqa: F403
from autotensor.ops.pool import *  # noqa: F403
from autotensor.ops.recurrent import *  # noqa: F403
from autotensor.ops.reduce import *  # noqa: F403
from autotensor.ops.resize import *  # noqa: F403
from autotensor.ops.running import *  # noqa: F403
from autotensor.ops.scan import *  # noqa: F403
from autotensor.ops.sets import *  # noqa: F403
from autotensor.ops.shape import *  # noqa: F403
from autotensor.ops.sorting import *  # noqa: F403
from autotensor.ops.standard import *  # noqa: F403
from autotensor.ops.standard import API_VERSION as __array_api_version__  # noqa: F401
from autotensor.ops.standard import namespace_info as __array_namespace_info__  # noqa: F401
from autotensor.ops.window import *  # noqa: F403

__version__ = "0.1.0"

newaxis = None

_register_einops()

# `from autotensor import *` leaves Python's built-in functions alone; `at.sum` and its like are there all the same.
_BUILTINS = {"abs", "all", "any", "max", "min", "pow", "round", "sum"}

__all__ = [
    "Tensor", "Variable", "placeholder", "no_grad", "enable_grad", "is_tracking", "deferred",
    "immediate", "is_immediate", "detect_anomaly", "name_scope", "span", "Profile", "profile",
    "Function", "function", "compile", "evaluate", "show", "to_dot", "sources", "print_value", "reshape_to",
    "register_library",
    "config", "errors", "special", "tree", "get_num_threads", "fft", "linalg", "random", "set_num_threads",
    "AutotensorError", "DTypeError", "GradError", "GradientCheckError", "GraphError", "NanError", "RangeError",
    "ShapeError", "TraceError", "TreeError",
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "complex64", "complex128", "e", "inf", "nan", "pi", "newaxis",
]  # fmt: skip
for _module in (
    activation, autodiff, control, _conv, creation, _ctc, elementwise, index, linalg, losses, _normalization, _pool,
    _convolution, _joining, _matrix_functions, _nan_numeric, _numeric,
    _recurrent, _reduce, _running, _sets, _sorting, _dtypes, _standard,
    _resize, _scan, _shape, _window,
):  # fmt: skip
    __all__ += [_name for _name in _module.__all__ if _name not in _BUILTINS]

# What few programs need is imported when it is asked for: `at.testing`, `at.vmap`.
_LATER = ("testing",)
_LATER_NAMES = {
    "autotensor.graph.display": ["show", "to_dot"],
    "autotensor.profiler": ["Profile", "profile"],
    "autotensor.transforms.checkpoint": ["checkpoint"],
    "autotensor.transforms.custom": ["custom_vjp"],
    "autotensor.transforms.derivatives": [
        "elementwise_grad", "grad", "hvp", "jvp", "linearize", "value_and_grad", "vjp",
    ],
    "autotensor.transforms.hips": [
        "deriv", "grad_and_aux", "grad_named", "hessian_tensor_product", "hessian_vector_product",
        "holomorphic_grad", "make_ggnvp", "make_hvp", "make_jvp", "make_vjp", "multigrad_dict",
        "tensor_jacobian_product", "vector_jacobian_product",
    ],
    "autotensor.transforms.implicit": ["implicit_function"],
    "autotensor.transforms.jacobians": ["hessian", "jacobian"],
    "autotensor.transforms.tree": ["tree"],
    "autotensor.transforms.vmap": ["vmap"],
}  # fmt: skip
_HOME = {_name: _module for _module, _names in _LATER_NAMES.items() for _name in _names}
__all__ += _LATER
__all__ += [_name for _name in _HOME if _name not in __all__]
# What programs for HIPS autograd import (`import autotensor.numpy as np`); `from autotensor import *` leaves it out.
_PORTED = ("builtins", "extend", "misc", "numpy", "scipy", "test_util", "tracer")
if TYPE_CHECKING:
    from autotensor import testing  # noqa: F401
    from autotensor.graph.display import show, to_dot
    from autotensor.profiler import Profile, profile
    from autotensor.transforms import tree
    from autotensor.transforms.checkpoint import *  # noqa: F403
    from autotensor.transforms.custom import *  # noqa: F403
    from autotensor.transforms.derivatives import *  # noqa: F403
    from autotensor.transforms.hips import *  # noqa: F403
    from autotensor.transforms.implicit import *  # noqa: F403
    from autotensor.transforms.jacobians import *  # noqa: F403
    from autotensor.transforms.vmap import *  # noqa: F403
else:

    def __getattr__(name):
        if name in _LATER or name in _PORTED:
            return importlib.import_module(f"autotensor.{name}")
        if name not in _HOME:
            raise AttributeError(f"module 'autotensor' has no attribute {name!r}")
        module = importlib.import_module(_HOME[name])
        found = globals()[name] = getattr(module, name, module)  # `tree` is the module itself
        return found

    def __dir__():
        return [*{*globals(), *_LATER, *_HOME}]
