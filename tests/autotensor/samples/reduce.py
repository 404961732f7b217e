"""Samples of ``autotensor.ops.reduce``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, bools, integers, positive

_AXES = [((0, 1, 2), False), ((1,), False), ((0, 2), True), ((2,), True)]


def _over(function, make=array, order=2, **params):
    """A reduction over several choices of axes."""
    return [
        Sample(
            make(2, 3, 4),
            oracle=function,
            order=order,
            axis=axis,
            keepdims=keepdims,
            name=f"{axis}_{keepdims}",
            **params,
        )
        for axis, keepdims in _AXES
    ]


def _of_integers(function, make=integers):
    return [Sample(make(2, 3), oracle=function, order=0, axis=(1,), keepdims=False, name="integers")]


def _with_zeros(*shape):
    """Zeros in places: none, one and two of them along the last axis."""
    x = array(*shape)
    x[1, 2] = 0
    x[2, 0] = x[2, 3] = 0
    return x


def _arg(function):
    return [
        Sample(array(2, 3, 4), oracle=function, order=0, axis=1, keepdims=False, name="middle"),
        Sample(array(2, 3, 4), oracle=function, order=0, axis=2, keepdims=True, name="keepdims"),
        Sample(array(2, 3, 4), oracle=function, order=0, axis=None, keepdims=False, name="flat"),
        Sample(np.array([1, 3, 3, 0, 0]), oracle=function, order=0, axis=0, keepdims=False, name="ties"),
    ]


def _logsumexp(x, axis, keepdims):
    out = np.log(np.sum(np.exp(np.asarray(x, np.result_type(x, np.float16))), axis=axis, keepdims=keepdims))
    return out.astype(np.result_type(x, np.float16))


def _share(x, axis):
    e = np.exp(np.asarray(x, np.result_type(x, np.float16)))
    total = e.sum(axis=axis, keepdims=True, dtype=np.float64)
    return np.divide(e, total, out=np.zeros(e.shape), where=total > 0).astype(e.dtype)


def _var(x, axis, keepdims, ddof):
    return np.var(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _std(x, axis, keepdims, ddof):
    return np.std(x, axis=axis, keepdims=keepdims, ddof=ddof)


def _norm(x, axis, keepdims):
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _p_norm(x, ord, axis):
    return np.linalg.norm(x, ord, axis)


def _running(function):
    def oracle(x, axis, reverse):
        return np.flip(function(np.flip(x, axis), axis=axis), axis) if reverse else function(x, axis=axis)

    return oracle


def _shifted(x, axis, by, value):
    out = np.full_like(x, value)
    n = x.shape[axis]
    for i in range(n):
        if 0 <= i - by < n:
            np.moveaxis(out, axis, 0)[i] = np.moveaxis(x, axis, 0)[i - by]
    return out


def _recurrence(a, b, axis, reverse):
    out = np.zeros_like(b)
    a, b, y = (np.moveaxis(v, axis, 0)[:: -1 if reverse else 1] for v in (a, b, out))
    for i in range(len(b)):
        y[i] = b[i] + (a[i] * y[i - 1] if i else 0)
    return out


def _size(x, axis):
    return np.array(float(np.prod([x.shape[a] for a in axis])))


_VECTOR = {"scalar": "NumPy makes a vector of a scalar"}
_INF = np.array([[-np.inf, -np.inf, -np.inf], [-np.inf, 1.0, 2.0], [1e4, -1e4, 1e4]])

SAMPLES = {
    "sum": [*_over(np.sum), *_of_integers(np.sum), *_of_integers(np.sum, bools)],
    "mean": [*_over(np.mean), *_of_integers(np.mean)],
    "prod": [
        *_over(np.prod),
        *_of_integers(np.prod),
        Sample(_with_zeros(3, 4), oracle=np.prod, axis=(1,), keepdims=False, name="zeros_last"),
        Sample(_with_zeros(3, 4), oracle=np.prod, axis=(0,), keepdims=True, name="zeros_first"),
        Sample(_with_zeros(3, 4), oracle=np.prod, axis=(0, 1), keepdims=False, name="zeros_all"),
    ],
    "var": [*_over(_var, ddof=0), Sample(array(3, 4), oracle=_var, axis=(1,), keepdims=False, ddof=1, name="unbiased")],
    "std": [*_over(_std, ddof=0), Sample(array(3, 4), oracle=_std, axis=(1,), keepdims=False, ddof=1, name="unbiased")],
    "max": [*_over(np.max), *_of_integers(np.max)],
    "min": [*_over(np.min), *_of_integers(np.min)],
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "any": [
        *_over(np.any, bools, 0),
        Sample(array(2, 3), oracle=np.any, order=0, axis=(0,), keepdims=True, name="floats"),
    ],
    "all": [
        *_over(np.all, bools, 0),
        Sample(array(2, 3), oracle=np.all, order=0, axis=(0,), keepdims=True, name="floats"),
    ],
    "count_nonzero": _over(np.count_nonzero, lambda *shape: integers(*shape, low=0, high=2), 0),
    "logsumexp": [
        *_over(_logsumexp),
        Sample(
            _INF,
            oracle=lambda x, axis, keepdims: np.logaddexp.reduce(x, axis=axis[0], keepdims=keepdims),
            axis=(1,),
            keepdims=False,
            order=1,
            wrt=[],
            name="infinite",
        ),
    ],
    "share": [
        *[Sample(array(2, 3, 4), oracle=_share, axis=axis, name=f"{axis}") for axis in ((0, 1, 2), (1,), (0, 2))],
        Sample(_INF[:2], oracle=_share, axis=(1,), order=1, wrt=[], name="infinite"),
    ],
    "norm": [
        *_over(_norm),
        *[
            Sample(array(3, 4), call=at.norm, oracle=_p_norm, ord=2.0 if p is None else p, axis=1, name=f"order_{p}")
            for p in (2.0,)
        ],
    ],
    "cumulative_sum": [
        *[
            Sample(
                array(2, 3, 4),
                oracle=_running(np.cumsum),
                axis=axis,
                reverse=reverse,
                name=f"{axis}_{reverse}",
                skip=_VECTOR,
            )
            for axis, reverse in [(0, False), (1, True), (2, False)]
        ],
        Sample(
            integers(2, 3, dtype=np.int8), oracle=_running(np.cumsum), order=0, axis=1, reverse=False, name="integers"
        ),
    ],
    "cumulative_prod": [
        *[
            Sample(
                array(2, 3, 4),
                oracle=_running(np.cumprod),
                axis=axis,
                reverse=reverse,
                name=f"{axis}_{reverse}",
                skip=_VECTOR,
            )
            for axis, reverse in [(0, False), (1, True), (2, False)]
        ],
        Sample(_with_zeros(3, 4), oracle=_running(np.cumprod), axis=1, reverse=False, name="zeros"),
        Sample(_with_zeros(3, 4), oracle=_running(np.cumprod), axis=1, reverse=True, name="zeros_reverse"),
        Sample(integers(2, 3), oracle=_running(np.cumprod), order=0, axis=1, reverse=False, name="integers"),
    ],
    "shifted": [
        Sample(array(3, 4), oracle=_shifted, axis=axis, by=by, value=1.0, name=f"{axis}_{by}")
        for axis, by in [(0, 1), (1, -1), (1, 2)]
    ],
    "linear_recurrence": [
        Sample(
            array(2, 3, 4),
            array(2, 3, 4, seed=1),
            oracle=_recurrence,
            axis=axis,
            reverse=reverse,
            name=f"{axis}_{reverse}",
        )
        for axis, reverse in [(0, False), (1, True), (2, False)]
    ],
    "size_along": [Sample(positive(2, 3, 4), oracle=_size, order=0, axis=(0, 2))],
}
