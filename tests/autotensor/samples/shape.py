"""Samples of ``autotensor.ops.shape``."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array, integers


def _back(spread):
    """Oracle of a transposed map: each element is added to where the map ``spread`` took it from, one by one."""

    def oracle(g, x, **params):
        source = spread(np.arange(x.size).reshape(x.shape), **params)
        assert source.shape == g.shape
        out = np.zeros(x.size, g.dtype)
        for i, v in zip(source.ravel(), g.ravel()):
            out[i] += v
        return out.reshape(x.shape)

    return oracle


def _pad(x, pad_width, mode, value=0.0):
    return np.pad(x, pad_width, mode, constant_values=value) if mode == "constant" else np.pad(x, pad_width, mode)


def _part(whole, *xs, axis, index):
    cuts = np.cumsum([x.shape[axis] for x in xs])[:-1]
    return np.split(whole, cuts, axis)[index]


def _diagonal_back(g, x, offset, axis1, axis2):
    return _back(np.diagonal)(g, x, offset=offset, axis1=axis1, axis2=axis2)


_COPIES = {"expr": "the code generator does the broadcasting"}
_PROMOTES = {"float32": "integers promote to float64"}
_BORDER = ((1, 2), (0, 0), (2, 1))
_NO_RESIZE = {
    "empty": "the two inputs depend on each other's sizes",
    "scalar": "the two inputs depend on each other's sizes",
}

SAMPLES = {
    "reshape": [
        Sample(array(2, 6), oracle=np.reshape, shape=(3, 4), name="plain", skip={"unknown": "shape is a promise"}),
        Sample(array(2, 3, 4), oracle=np.reshape, shape=(-1, 4), name="rest"),
        Sample(integers(4), oracle=np.reshape, order=0, shape=(2, -1), name="integers"),
    ],
    "permute_dims": [
        Sample(array(2, 3, 4), oracle=np.transpose, axes=(2, 0, 1), name="cycle"),
        Sample(array(2, 3, 4), call=lambda x: x.T, oracle=lambda x: x.T, name="reversed"),
        Sample(array(2, 3, 4), call=lambda x: x.mT, oracle=lambda x: np.swapaxes(x, -1, -2), name="matrix"),
        Sample(
            array(2, 3, 4, 5),
            call=at.moveaxis,
            oracle=np.moveaxis,
            source=(0, 3),
            destination=(2, 0),
            name="moveaxis",
        ),
    ],
    "expand_dims": [
        Sample(array(2, 3), oracle=np.expand_dims, axis=(0,), name="front"),
        Sample(array(2, 3), oracle=np.expand_dims, axis=(1, 3), name="two", skip={"scalar": "axes are of the result"}),
    ],
    "squeeze": [
        Sample(array(2, 1, 3), oracle=np.squeeze, axis=(1,), name="one"),
        Sample(array(1, 2, 1), call=at.squeeze, oracle=np.squeeze, name="all", skip={"graph": "sizes must be known"}),
    ],
    "broadcast_to": [
        Sample(array(3, 1), oracle=np.broadcast_to, shape=(2, 3, 4), name="both", skip=_COPIES),
        Sample(array(), oracle=np.broadcast_to, shape=(2, 3), name="scalar", skip=_COPIES),
    ],
    "shape_tensor": [Sample(array(2, 3), oracle=lambda x: np.array(x.shape, np.int64), order=0)],
    "stack": [
        Sample(array(2, 3), array(2, 3, seed=1), oracle=lambda *xs, axis: np.stack(xs, axis), axis=1, name="middle"),
        Sample(
            array(2), integers(2), oracle=lambda *xs, axis: np.stack(xs, axis), axis=0, name="dtypes", skip=_PROMOTES
        ),
    ],
    "concat": [
        Sample(
            array(2, 3),
            array(2, 5, seed=1),
            array(2, 1),
            oracle=lambda *xs, axis: np.concatenate(xs, axis),
            axis=1,
            name="last",
        ),
        Sample(
            array(2, 3),
            integers(4, 3),
            oracle=lambda *xs, axis: np.concatenate(xs, axis),
            axis=0,
            name="dtypes",
            skip=_PROMOTES,
        ),
    ],
    "concat_part": [
        Sample(
            array(2, 9),
            array(2, 3, seed=1),
            array(2, 5),
            array(2, 1),
            oracle=_part,
            wrt=[0],
            axis=1,
            index=index,
            name=f"part_{index}",
            skip=_NO_RESIZE,
        )
        for index in range(3)
    ],
    "pad": [
        *[
            Sample(array(4, 2, 3), oracle=_pad, pad_width=_BORDER, mode=mode, value=0.0, name=mode)
            for mode in ("constant", "edge", "reflect", "symmetric", "wrap")
        ],
        Sample(array(4, 3), oracle=_pad, pad_width=((1, 0), (2, 3)), mode="constant", value=1.5, name="value"),
        Sample(array(2, 3), oracle=_pad, pad_width=((3, 2), (5, 7)), mode="reflect", value=0.0, name="wide"),
    ],
    "pad_adjoint": [
        Sample(
            array(7, 2, 6),
            array(4, 2, 3),
            oracle=_back(_pad),
            wrt=[0],
            pad_width=_BORDER,
            mode=mode,
            name=mode,
            skip=_NO_RESIZE,
        )
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ],
    "tile": [
        Sample(array(2, 3), oracle=np.tile, reps=(2, 3), name="same_rank"),
        Sample(array(3), oracle=np.tile, reps=(2, 1, 2), name="more_axes"),
        Sample(array(2, 3), oracle=np.tile, reps=(2,), name="fewer"),
    ],
    "tile_adjoint": [
        Sample(
            array(4, 9), array(2, 3), oracle=_back(np.tile), wrt=[0], reps=(2, 3), name="same_rank", skip=_NO_RESIZE
        ),
        Sample(
            array(2, 1, 6), array(3), oracle=_back(np.tile), wrt=[0], reps=(2, 1, 2), name="more_axes", skip=_NO_RESIZE
        ),
    ],
    "repeat": [
        Sample(array(2, 3), oracle=np.repeat, repeats=2, axis=1, name="all"),
        Sample(
            array(2, 3), oracle=np.repeat, repeats=(2, 0, 3), axis=1, name="each", skip={"empty": "counts are for 3"}
        ),
    ],
    "repeat_adjoint": [
        Sample(
            array(2, 6), array(2, 3), oracle=_back(np.repeat), wrt=[0], repeats=2, axis=1, name="all", skip=_NO_RESIZE
        ),
        Sample(
            array(2, 5),
            array(2, 3),
            oracle=_back(np.repeat),
            wrt=[0],
            repeats=(2, 0, 3),
            axis=1,
            name="each",
            skip=_NO_RESIZE,
        ),
    ],
    "flip": [
        Sample(array(2, 3), oracle=np.flip, axis=(0, 1), name="both"),
        Sample(array(2, 3), oracle=np.flip, axis=(1,), name="one"),
    ],
    "roll": [
        Sample(array(2, 3), oracle=np.roll, shift=(1,), axis=(1,), name="one"),
        Sample(array(3, 4), oracle=np.roll, shift=(1, -2), axis=(0, 1), name="two"),
        Sample(array(3, 4), call=at.roll, oracle=np.roll, shift=5, name="flat"),
    ],
    "tril": [Sample(array(2, 3, 4), oracle=np.tril, k=k, name=str(k)) for k in (0, 1, -1)],
    "triu": [Sample(array(2, 3, 4), oracle=np.triu, k=k, name=str(k)) for k in (0, 1, -1)],
    "diagonal": [
        Sample(array(3, 4), oracle=np.diagonal, offset=0, axis1=0, axis2=1, name="main"),
        Sample(array(2, 3, 4), oracle=np.diagonal, offset=-1, axis1=2, axis2=1, name="offset"),
    ],
    "diagonal_adjoint": [
        Sample(
            array(3),
            array(3, 4),
            oracle=_diagonal_back,
            wrt=[0],
            offset=0,
            axis1=0,
            axis2=1,
            name="main",
            skip=_NO_RESIZE,
        ),
        Sample(
            array(2, 3),
            array(2, 3, 4),
            oracle=_diagonal_back,
            wrt=[0],
            offset=-1,
            axis1=2,
            axis2=1,
            name="offset",
            skip=_NO_RESIZE,
        ),
    ],
}
