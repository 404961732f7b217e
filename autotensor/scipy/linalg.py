"""``scipy.linalg`` for programs written for HIPS autograd.

What is made here takes tensors and keeps gradients. All other names are SciPy's (``pip install scipy``); they take
arrays, and refuse tensors through which gradients flow.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from autotensor.ops import linalg as _linalg
from autotensor.ops import matrix_functions as _functions
from autotensor.ops.creation import operand
from autotensor.ops.numpy_values import check_plain, on_values, tensors_in
from autotensor.scipy._plain import arrays_for_arrays

_OURS = "block_diag expm solve_sylvester sqrtm"
for _name in _OURS.split():
    globals()[_name] = arrays_for_arrays(getattr(_functions, _name))
for _name in "det inv eigvalsh svdvals pinv norm".split():
    globals()[_name] = arrays_for_arrays(getattr(_linalg, _name))


@arrays_for_arrays
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """Solution of a x = b for a triangular a."""
    return _functions.solve_triangular(a, b, trans, lower, unit_diagonal)


@arrays_for_arrays
def solve_banded(
    l_and_u: Any, ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """Solution of a x = b for a banded a in SciPy's diagonal form."""
    return _functions.solve_banded(l_and_u, ab, b)


@arrays_for_arrays
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky factor, the upper one unless ``lower``."""
    return _linalg.cholesky(a, upper=not lower)


@arrays_for_arrays
def solve(a: Any, b: Any, lower: bool = False, **options: Any) -> Any:
    """Solution of a x = b."""
    return _linalg.solve(operand(a), operand(b))


def __getattr__(name: str) -> Any:
    """SciPy's own function, for arrays."""
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        thing = getattr(importlib.import_module("scipy.linalg"), name)
    except ImportError:
        raise ImportError(f"[{name}] is SciPy's, which is not installed: pip install scipy") from None
    if not callable(thing) or isinstance(thing, type):
        return thing

    @functools.wraps(thing)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not tensors_in((args, kwargs)):
            return thing(*args, **kwargs)
        check_plain(name, (args, kwargs))
        return on_values(thing, name, args, kwargs)

    return call
