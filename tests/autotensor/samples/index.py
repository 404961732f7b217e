"""Samples of ``autotensor.ops.index``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, bools, integers

_FIXED = {
    "empty": "the indices fit one size",
    "scalar": "a scalar can not be indexed so",
}
_ROWS = np.array([2, 0, 2, -1])
_MASK = np.array([True, False, True])


def _indexing(call, oracle, values=None, with_arrays=None):
    """Samples of an indexing operation for each kind of index."""
    keys = {
        "int": 1,
        "negative": -1,
        "slice": slice(1, None),
        "step": (slice(None, None, -2), slice(0, 3, 2)),
        "ellipsis": (..., 2),
        "newaxis": (None, 1, slice(None), None),
        "array": np.array([2, 0, 2, -1]),
        "arrays": (np.array([[0], [2]]), slice(None), np.array([1, 3, 3])),
        "adjacent": (slice(None), np.array([0, 1, 1]), np.array([1, 3, 3])),
        "int_and_array": (1, slice(None), np.array([0, 0, 3])),
        "mask": np.array([True, False, True]),
        "mask_2d": bools(3, 2),
        "mask_and_slice": (slice(None), np.array([True, False]), slice(1, 3)),
        "empty_slice": slice(0, 0),
    }
    samples = []
    for name, key in keys.items():
        if with_arrays not in (None, any([isinstance(k, np.ndarray) for k in _key(key)])):
            continue
        samples.append(
            Sample(
                array(3, 2, 4),
                *([] if values is None else [values(key)]),
                call=lambda *xs, key=key: call(*xs, key),
                oracle=lambda *xs, key=key: oracle(*xs, key),
                name=name,
                skip=_FIXED,
            )
        )
    return samples


def _value(key):
    return array(*np.zeros((3, 2, 4))[key].shape, seed=5)


def _key(key):
    return key if isinstance(key, tuple) else (key,)


def _update(x, v, key):
    """Element by element in order: of repeated indices the last counts."""
    out = x.copy()
    places = np.arange(x.size).reshape(x.shape)[key]
    for place, value in zip(places.ravel(), np.broadcast_to(v, places.shape).ravel()):
        out.flat[place] = value
    return out


def _add(x, v, key):
    out = x.copy()
    places = np.arange(x.size).reshape(x.shape)[key]
    for place, value in zip(places.ravel(), np.broadcast_to(v, places.shape).ravel()):
        out.flat[place] += value
    return out


def _place(g, x, key):
    return _add(np.zeros_like(x), g, key)


def _take_back(g, index, like=None, *, axis, shape):
    out = np.zeros(like.shape if shape is None else shape, g.dtype)
    moved = np.moveaxis(g, list(range(axis, axis + index.ndim)), list(range(index.ndim)))
    for where in np.ndindex(*index.shape):
        np.moveaxis(out, axis, 0)[index[where]] += moved[where]
    return out


def _along_back(g, x, index, axis):
    out = np.zeros_like(x)
    for where in np.ndindex(*g.shape):
        target = list(where)
        target[axis] = index[tuple(0 if index.shape[k] == 1 else i for k, i in enumerate(where))]
        out[tuple(target)] += g[where]
    return out


def _put(x, index, v, axis):
    out = x.copy()
    v = np.broadcast_to(v, index.shape)
    for where in np.ndindex(*index.shape):
        target = list(where)
        target[axis] = index[where]
        out[tuple(target)] = v[where]
    return out


def _last(x, index, axis):
    """True where no later element is written to the same place."""
    out = np.ones(index.shape, bool)
    for where in np.ndindex(*index.shape):
        for later in range(where[axis] + 1, index.shape[axis]):
            other = (*where[:axis], later, *where[axis + 1 :])
            if index[other] % x.shape[axis] == index[where] % x.shape[axis]:
                out[where] = False
    return out


def _one_hot(index, num_classes, dtype, axis):
    out = np.zeros((*index.shape, num_classes), dtype)
    for where in np.ndindex(*index.shape):
        if 0 <= index[where] < num_classes:
            out[(*where, index[where])] = 1
    return np.moveaxis(out, -1, axis)


def _descending(x, axis):
    return np.argsort(-x, axis, kind="stable")


_ORDER = np.argsort(array(3, 2, 4), axis=1)
_REPEATED = np.array([[[0, 1, 1, 0], [1, 1, 1, 0], [0, 1, -1, 0]]] * 3)

SAMPLES = {
    "getitem": [
        *_indexing(at.getitem, lambda x, key: x[key], with_arrays=False),
        Sample(
            integers(4, 3),
            call=lambda x: x[1:, ::2],
            oracle=lambda x: x[1:, ::2],
            order=0,
            name="integers",
            skip=_FIXED,
        ),
    ],
    "select": [
        *_indexing(at.getitem, lambda x, key: x[key], with_arrays=True),
        Sample(array(3, 2), _ROWS, call=lambda x, i: x[i], oracle=lambda x, i: x[i], name="input_index", skip=_FIXED),
    ],
    "place": [
        Sample(
            array(4, 2, seed=1),
            array(3, 2),
            _ROWS,
            oracle=lambda g, x, i, pattern: _place(g, x, i),
            wrt=[0],
            pattern=("array",),
            name="rows",
            skip=_FIXED,
        ),
        Sample(
            array(2, seed=1),
            array(3, 2),
            oracle=lambda g, x, pattern: _place(g, x, 1),
            wrt=[0],
            pattern=(1,),
            name="int",
            skip=_FIXED,
        ),
        Sample(
            array(3, seed=1),
            array(3, 2),
            np.array([1, 1, 0]),
            np.array([0, 0, 1]),
            oracle=lambda g, x, i, j, pattern: _place(g, x, (i, j)),
            wrt=[0],
            pattern=("array", "array"),
            name="elements",
            skip=_FIXED,
        ),
    ],
    "place_in": [
        Sample(
            array(3, 2, seed=1),
            oracle=lambda g, **params: _place(g, np.zeros((3, 5)), (slice(None), slice(1, 5, 2))),
            pattern=((None, None, None), (1, 5, 2)),
            shape=(3, 5),
            dtype=np.dtype(np.float64),
            name="slices",
            skip={**_FIXED, "float32": "the dtype is given", "dtypes": "the dtype is given"},
        ),
        Sample(
            array(4, 2, seed=1),
            _ROWS,
            oracle=lambda g, i, **params: _place(g, np.zeros((3, 2)), i),
            pattern=("array",),
            shape=(3, 2),
            dtype=np.dtype(np.float64),
            name="rows",
            skip={**_FIXED, "float32": "the dtype is given", "dtypes": "the dtype is given"},
        ),
    ],
    "index_update": [
        *_indexing(lambda x, v, key: at.index_update(x, v, *_key(key)), _update, _value),
        Sample(
            array(3, 4),
            1.5,
            call=lambda x, v: at.index_update(x, v, slice(1, 3)),
            oracle=lambda x, v: _update(x, v, slice(1, 3)),
            name="number",
            skip=_FIXED,
        ),
        Sample(
            array(3, 4),
            array(2, 1, seed=2),
            call=lambda x, v: at.index_update(x, v, slice(1, 3)),
            oracle=lambda x, v: _update(x, v, slice(1, 3)),
            name="broadcast",
            skip=_FIXED,
        ),
    ],
    "index_add": [
        *_indexing(lambda x, v, key: at.index_add(x, v, *_key(key)), _add, _value),
        Sample(
            array(3, 4),
            array(4, seed=2),
            call=lambda x, v: at.index_add(x, v, _ROWS),
            oracle=lambda x, v: _add(x, v, _ROWS),
            name="broadcast",
            skip=_FIXED,
        ),
        Sample(
            array(5),
            array(4, seed=2),
            call=lambda x, v: at.index_add(x, v, _ROWS),
            oracle=lambda x, v: _add(x, v, _ROWS),
            name="vector",
            skip=_FIXED,
        ),
    ],
    "last_written": [
        Sample(
            array(3),
            np.array([1, 0, 1, 2]),
            oracle=lambda x, i, pattern: np.array([False, True, True, True]),
            order=0,
            pattern=("array",),
            skip=_FIXED,
        ),
    ],
    "take": [
        Sample(array(3, 4), _ROWS, oracle=np.take, axis=0, name="rows", skip=_FIXED),
        Sample(array(2, 3, 4), np.array([[0, 2], [-1, 1]]), oracle=np.take, axis=1, name="matrix", skip=_FIXED),
        Sample(array(2, 3), _ROWS, call=at.take, oracle=np.take, name="flat", skip=_FIXED),
        Sample(array(2, 3), np.array(1), oracle=np.take, axis=1, name="scalar_index", skip=_FIXED),
    ],
    "take_adjoint": [
        Sample(array(4, 2, seed=1), _ROWS, oracle=_take_back, axis=0, shape=(3, 2), name="rows", skip=_FIXED),
        Sample(
            array(4, 2, seed=1),
            _ROWS,
            array(3, 2),
            oracle=_take_back,
            wrt=[0],
            axis=0,
            shape=None,
            name="like",
            skip=_FIXED,
        ),
        Sample(
            array(2, 2, 2, 4, seed=1),
            np.array([[0, 2], [-1, 0]]),
            oracle=_take_back,
            axis=1,
            shape=(2, 3, 4),
            name="matrix",
            skip=_FIXED,
        ),
    ],
    "take_along_axis": [
        Sample(array(3, 2, 4), _ORDER, oracle=np.take_along_axis, axis=1, name="order", skip=_FIXED),
        Sample(
            array(3, 2, 4), np.array([[[3, 3, 0]]]), oracle=np.take_along_axis, axis=2, name="broadcast", skip=_FIXED
        ),
    ],
    "take_along_adjoint": [
        Sample(
            array(3, 2, 4, seed=1),
            array(3, 2, 4),
            _ORDER,
            oracle=_along_back,
            wrt=[0],
            axis=1,
            name="order",
            skip=_FIXED,
        ),
        Sample(
            array(3, 2, 3, seed=1),
            array(3, 2, 4),
            np.array([[[3, 3, 0]]]),
            oracle=_along_back,
            wrt=[0],
            axis=2,
            name="broadcast",
            skip=_FIXED,
        ),
    ],
    "put_along_axis": [
        Sample(array(3, 2, 4), _REPEATED, array(3, 3, 4, seed=1), oracle=_put, axis=1, name="repeated", skip=_FIXED),
        Sample(array(3, 2, 4), _ORDER, array(2, 1, seed=1), oracle=_put, axis=1, name="broadcast", skip=_FIXED),
    ],
    "last_put": [Sample(array(3, 2, 4), _REPEATED, oracle=_last, order=0, axis=1, skip=_FIXED)],
    "one_hot": [
        Sample(
            integers(2, 3, low=-1, high=5), oracle=_one_hot, order=0, num_classes=4, dtype=np.dtype(np.float32), axis=2
        ),
        Sample(
            integers(2, 3, low=0, high=4),
            oracle=_one_hot,
            order=0,
            num_classes=4,
            dtype=np.dtype(np.int64),
            axis=0,
            name="front",
        ),
    ],
    "sort": [
        Sample(array(3, 4), oracle=np.sort, axis=1, name="last"),
        Sample(array(3, 4), oracle=np.sort, axis=0, name="first"),
        Sample(integers(8), oracle=np.sort, order=0, axis=0, name="integers"),
    ],
    "argsort": [
        Sample(
            array(3, 4),
            oracle=lambda x, axis, descending: _descending(x, axis) if descending else np.argsort(x, axis),
            order=0,
            axis=axis,
            descending=descending,
            name=f"{axis}_{descending}",
            skip={"dtypes": "-x in the oracle"},
        )
        for axis, descending in [(0, False), (1, True)]
    ]
    + [
        Sample(
            np.array([2, 1, 2, 1]),
            oracle=lambda x, axis, descending: np.array([0, 2, 1, 3]),
            order=0,
            axis=0,
            descending=True,
            name="stable",
            skip=_FIXED,
        )
    ],
    "topk": [
        Sample(
            array(3, 5),
            call=at.topk,
            oracle=lambda x, k, axis: (np.sort(x, axis)[:, :-3:-1], _descending(x, axis)[:, :2]),
            k=2,
            axis=1,
            skip=_FIXED,
        ),
    ],
    "searchsorted": [
        Sample(
            np.array([1.0, 2.0, 2.0, 5.0]),
            array(2, 3, high=6),
            oracle=np.searchsorted,
            order=0,
            side=side,
            name=side,
            skip=_FIXED,
        )
        for side in ("left", "right")
    ],
}
