"""NumPy's protocols: how ``np.sin(t)``, ``array + t``, ``np.concatenate([t, a])``, ``scipy.special.erf(t)`` reach us.

``__array_ufunc__`` and ``__array_function__`` look the function up in one table. What stands in it keeps gradients and
builds graphs. Any other function is run by NumPy on the values, unless that would lose a gradient: then it is refused.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, Variable, wrap
from autotensor.errors import GradError, ShapeError, TraceError
from autotensor.ops import elementwise as ew
from autotensor.ops import (
    index,
    linalg,
    numpy_elements,  # noqa: F401 (fills the table)
    numpy_functions,  # noqa: F401 (so does this)
    numpy_linalg,  # noqa: F401 (and this)
    reduce,
    running,
    shape,
    special,
    special_scipy,
)
from autotensor.ops.creation import operand
from autotensor.ops.numpy_values import (
    CONSTANT,
    FUNCTIONS,
    check_plain,
    flows,
    given,
    on_values,
    store,
    tensors_in,
    values_of,
)

__all__: list[str] = []

# -- ufuncs that are made of others


def _fabs(x: Any) -> Tensor:
    return ew.abs(_float(x))


def _float(x: Any) -> Tensor:
    x = operand(x)
    return x if x.dtype.kind in "fc" else ew.astype(x, np.float64)


def _fmod(x: Any, y: Any) -> Tensor:
    rest = ew.remainder(ew.abs(x), ew.abs(y))
    return ew.where(ew.less(x, 0), ew.negative(rest), rest)


def _fmax(x: Any, y: Any) -> Tensor:
    return ew.where(ew.isnan(operand(x)), y, ew.where(ew.isnan(operand(y)), x, ew.maximum(x, y)))


def _fmin(x: Any, y: Any) -> Tensor:
    return ew.where(ew.isnan(operand(x)), y, ew.where(ew.isnan(operand(y)), x, ew.minimum(x, y)))


def _heaviside(x: Any, h: Any) -> Tensor:
    x, h = _float(x), _float(h)
    step = ew.where(x < 0, 0.0, ew.where(ew.equal(x, 0), h, 1.0))
    return ew.where(ew.isnan(x), x, step)


def _float_power(x: Any, y: Any) -> Tensor:
    x, y = (v if isinstance(v, (int, float)) else _float(v) for v in (x, y))
    wide = [ew.astype(v, np.float64) if isinstance(v, Tensor) and v.dtype.kind == "f" else v for v in (x, y)]
    return ew.pow(*[v if isinstance(v, Tensor) else float(v) for v in wide])


def _modf(x: Any) -> tuple[Tensor, Tensor]:
    x = _float(x)
    whole = ew.trunc(x)
    return ew.where(ew.isinf(x), 0 * ew.sign(ew.where(ew.isinf(x), 1, x)), x - ew.where(ew.isinf(x), 0, whole)), whole


def _frexp(x: Any) -> tuple[Tensor, Tensor]:
    x = _float(x)
    exponent = np.frexp(x._value("np.frexp"))[1]
    return x * np.ldexp(np.ones((), x.dtype), -exponent).astype(x.dtype), wrap(np.asarray(exponent))


def _ldexp(x: Any, n: Any) -> Tensor:
    x = _float(x)
    return x * np.ldexp(np.ones((), x.dtype), values_of("ldexp", n)).astype(x.dtype)


def _logaddexp2(x: Any, y: Any) -> Tensor:
    ln2 = float(np.log(2.0))
    return ew.logaddexp(operand(x) * ln2, operand(y) * ln2) / ln2


def _divmod(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    return ew.floor_divide(x, y), ew.remainder(x, y)


def _copysign(x: Any, y: Any) -> Tensor:
    return ew.copysign(_float(x), _float(y))


def _conj(x: Any) -> Tensor:
    x = operand(x)
    return ew.conj(x) if x.dtype.kind == "c" else ew.positive(x) if x.dtype.kind != "b" else x


def _vecdot(x: Any, y: Any, axis: int = -1) -> Tensor:
    return linalg.vecdot(x, y, axis=axis)


def _matvec(a: Any, x: Any) -> Tensor:
    return linalg.matmul(a, operand(x)[..., None])[..., 0]


def _vecmat(x: Any, a: Any) -> Tensor:
    return linalg.matmul(_conj(x)[..., None, :], a)[..., 0, :]


# -- the table of ufuncs

# NumPy's name -> ours, where they are the same.
_SAME = (
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or bitwise_xor cbrt "
    "ceil cos cosh deg2rad degrees divide equal exp exp2 expm1 floor floor_divide greater greater_equal hypot invert "
    "isfinite isinf isnan left_shift less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or "
    "logical_xor maximum minimum multiply negative not_equal positive power rad2deg radians reciprocal remainder "
    "right_shift sign sin sinh sqrt square subtract tan tanh true_divide trunc"
).split()

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {getattr(np, name): getattr(ew, name) for name in _SAME}
UFUNCS.update(
    {
        np.fabs: _fabs, np.fmod: _fmod, np.fmax: _fmax, np.fmin: _fmin, np.heaviside: _heaviside, np.rint: ew.round,
        np.float_power: _float_power, np.modf: _modf, np.frexp: _frexp, np.ldexp: _ldexp, np.divmod: _divmod,
        np.logaddexp2: _logaddexp2, np.copysign: _copysign, np.conjugate: _conj, np.matmul: linalg.matmul,
    }
)  # fmt: skip
_NEW: list[tuple[str, Any]] = [("vecdot", _vecdot), ("matvec", _matvec), ("vecmat", _vecmat)]
for _name, _ours in _NEW:
    if hasattr(np, _name):
        UFUNCS[getattr(np, _name)] = _ours

# Whole-valued or without a useful derivative: NumPy's own, on the values.
CONSTANT_UFUNCS = {
    getattr(np, name)
    for name in "gcd lcm isnat signbit spacing nextafter bitwise_count".split()
    if hasattr(np, name)
}  # fmt: skip

# SciPy's name -> ours. Looked up only when SciPy has been imported by the caller.
SPECIAL: dict[str, Callable[..., Any]] = {
    "erf": ew.erf, "erfc": ew.erfc, "erfinv": ew.erfinv, "loggamma": special.gammaln, "psi": special.digamma,
    "jv": special_scipy.jv, "yv": special_scipy.yv, "expm1": ew.expm1, "log1p": ew.log1p, "exp2": ew.exp2,
    "cbrt": ew.cbrt, "log_expit": special.log_expit,
}  # fmt: skip
for _module in (special, special_scipy):
    for _name in _module.__all__:
        SPECIAL.setdefault(_name, getattr(_module, _name))


@functools.cache
def _special_of(ufunc: np.ufunc) -> Callable[..., Any] | None:
    module = sys.modules.get("scipy.special")
    name = ufunc.__name__
    return SPECIAL.get(name) if module is not None and getattr(module, name, None) is ufunc else None


def ours_of(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """Our function in the place of a ufunc, or None."""
    return UFUNCS.get(ufunc) or _special_of(ufunc)


# Operands that leave the call to us; others may have a protocol of their own.
_USUAL = {Tensor, Variable, np.ndarray, bool, int, float, complex, *np.sctypeDict.values()}


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A ufunc with a tensor among its operands, or as ``out``."""
    out = kwargs.pop("out", None) if kwargs else None
    for x in inputs if out is None else (*inputs, *out):
        if type(x) not in _USUAL and hasattr(type(x), "__array_ufunc__") and not isinstance(x, (Tensor, np.ndarray)):
            return NotImplemented  # its turn
    if method == "__call__":
        ours = UFUNCS.get(ufunc)
        if ours is not None and not kwargs:
            result = ours(*inputs)
            return result if out is None else store(out, result, ufunc.__name__)
        result = _called(ufunc, ours or _special_of(ufunc), inputs, kwargs, out)
    elif method == "at":
        return _at(ufunc, *inputs)
    elif ours_of(ufunc) is None:
        check_plain(ufunc.__name__, inputs)
        result = on_values(getattr(ufunc, method), ufunc.__name__, inputs, kwargs)
    else:
        result = _METHODS[method](ufunc, *inputs, **kwargs)
    return store(out, result, ufunc.__name__)


def _called(ufunc: np.ufunc, ours: Callable[..., Any] | None, inputs: Any, kwargs: dict[str, Any], out: Any) -> Any:
    name = ufunc.__name__
    where = kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    for ignored in ("casting", "order", "subok"):
        kwargs.pop(ignored, None)
    if ours is None:
        if ufunc not in CONSTANT_UFUNCS:
            check_plain(name, inputs)
        result = on_values(ufunc, name, inputs, {**kwargs, **({"dtype": dtype} if given(dtype) else {})})
    else:
        if kwargs and not (set(kwargs) == {"axis"} and name == "vecdot"):
            raise TypeError(f"[np.{name}] takes no {', '.join(kwargs)}= for tensors. Move the axes before the call.")
        if given(dtype):
            inputs = [ew.astype(x, dtype) if isinstance(x, (Tensor, np.ndarray)) else x for x in inputs]
        result = ours(*inputs, **kwargs)
    if where is True:
        return result
    if out is None:
        raise ValueError(
            f"[np.{name}] where= without out= leaves elements undefined. Use at.where(mask, result, other)."
        )
    old = out if isinstance(result, tuple) else out[0]
    if isinstance(result, tuple):
        return tuple([ew.where(operand(where), r, operand(o)) for r, o in zip(result, old, strict=True)])
    return ew.where(operand(where), result, operand(old))


# -- methods of ufuncs

_REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: reduce.sum, np.multiply: reduce.prod, np.maximum: reduce.max, np.minimum: reduce.min,
    np.logical_and: reduce.all, np.logical_or: reduce.any, np.logaddexp: reduce.logsumexp,
}  # fmt: skip


def _binary(ufunc: np.ufunc, what: str) -> Callable[..., Any]:
    ours = ours_of(ufunc)
    if ours is None or ufunc.nin != 2 or ufunc.nout != 1:
        raise TypeError(f"[np.{ufunc.__name__}.{what}] is not defined for tensors. Use a loop, or x.numpy().")
    return ours


def _size(x: Tensor, axis: int, what: str) -> int:
    n = x.shape[axis]
    if n is None:
        raise ShapeError(f"[{what}] needs a known size in axis {axis}; got shape {shape.text(x.shape)}.")
    return n


def _reduce(
    ufunc: np.ufunc,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    ours = _binary(ufunc, "reduce")
    x = operand(a)
    x = ew.astype(x, dtype) if given(dtype) else x
    if where is not True:
        if not given(initial) and ufunc.identity is None:
            raise ValueError(f"[np.{ufunc.__name__}.reduce] a mask in where= needs initial=, the value of nothing.")
        x = ew.where(operand(where), x, initial if ufunc.identity is None else ufunc.identity)
    if ufunc in _REDUCTIONS:
        found = _REDUCTIONS[ufunc](x, axis=axis, keepdims=keepdims)
    else:
        axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        found = x
        for k in sorted([a % x.ndim for a in axes], reverse=True):
            parts = [found[(*(slice(None),) * k, i)] for i in range(_size(found, k, f"np.{ufunc.__name__}.reduce"))]
            if not parts:
                raise ShapeError(f"[np.{ufunc.__name__}.reduce] of no elements is not defined.")
            found = functools.reduce(ours, parts)
        found = shape.expand_dims(found, tuple([a % x.ndim for a in axes])) if keepdims else found
    return ours(found, initial) if given(initial) else found


def _accumulate(ufunc: np.ufunc, a: Any, axis: int = 0, dtype: Any = None) -> Any:
    ours = _binary(ufunc, "accumulate")
    x = operand(a)
    x = ew.astype(x, dtype) if given(dtype) else x
    axis = axis % x.ndim
    if ufunc is np.add:
        return running.cumulative_sum(x, axis=axis)
    if ufunc is np.multiply:
        return running.cumulative_prod(x, axis=axis)
    parts: list[Tensor] = []
    for i in range(_size(x, axis, f"np.{ufunc.__name__}.accumulate")):
        part = x[(*(slice(None),) * axis, i)]
        parts.append(ours(parts[-1], part) if parts else part)
    return shape.stack(parts, axis=axis) if parts else x


def _reduceat(ufunc: np.ufunc, a: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    x = operand(a)
    axis = axis % x.ndim
    starts = [int(i) for i in np.asarray(values_of("reduceat", indices))]
    parts = []
    for i, j in zip(starts, [*starts[1:], None], strict=True):
        stop = i + 1 if j is not None and j <= i else j
        parts.append(_reduce(ufunc, x[(*(slice(None),) * axis, slice(i, stop))], axis, dtype))
    return shape.stack(parts, axis=axis)


def _outer(ufunc: np.ufunc, a: Any, b: Any, **kwargs: Any) -> Any:
    a, b = operand(a), operand(b)
    return _called(ufunc, _binary(ufunc, "outer"), (a[(..., *(None,) * b.ndim)], b), kwargs, None)


_METHODS: dict[str, Any] = {"reduce": _reduce, "accumulate": _accumulate, "reduceat": _reduceat, "outer": _outer}


def _at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None) -> None:
    """a[indices] = ufunc(a[indices], b), where repeated indices count each time."""
    name = f"{ufunc.__name__}.at"
    if not isinstance(a, Tensor):
        check_plain(name, [indices, b])
        operands = [values_of(name, x) for x in (indices, b)]
        ufunc.at(a, *(operands if ufunc.nin == 2 else operands[:1]))
        return
    key = indices if type(indices) is tuple else (indices,)
    if ufunc is np.add or ufunc is np.subtract:
        v = operand(b)
        a[...] = ew.astype(index.index_add(a, v if ufunc is np.add else -v, *key), a.dtype)
        return
    if not flows(a) and not any(flows(x) for x in tensors_in([b])):
        value = np.array(a._value(f"np.{name}"))
        operands = [values_of(name, x) for x in (key, b)]
        ufunc.at(value, *(operands if ufunc.nin == 2 else operands[:1]))
        a[...] = value
        return
    raise GradError(f"[np.{name}] has no gradient here, only add.at and subtract.at have. Use at.index_update().")


# -- all other functions


def _asked_by_scipy() -> bool:
    return sys._getframe(2).f_globals.get("__name__", "").startswith("scipy.")


def array_function(self: Tensor, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """A function of NumPy with a tensor among its arguments."""
    if _asked_by_scipy() and not any(x.waits or flows(x) for x in tensors_in((args, kwargs))):
        # At this place SciPy makes an array of what a user's function returned, for routines that know arrays only.
        return func(*values_of("", args), **values_of("", kwargs))
    ours = FUNCTIONS.get(func)
    if ours is not None:
        return ours(*args, **kwargs)
    name = getattr(func, "__name__", str(func))
    if not all(issubclass(t, (Tensor, np.ndarray)) for t in types):
        return NotImplemented
    if func in CONSTANT:
        if any(x.data is None for x in tensors_in((args, kwargs))):
            raise TraceError(f"[np.{name}] needs values, and a tensor has none yet. Compile the graph with function().")
    else:
        check_plain(name, (args, kwargs))
    return on_values(func, name, args, kwargs)


def attach() -> None:
    """Give Tensor NumPy's protocols."""
    Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
    Tensor.__array_function__ = array_function  # type: ignore[attr-defined]
