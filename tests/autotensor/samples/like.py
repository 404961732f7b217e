"""Samples of ``autotensor.ops.like``."""

from __future__ import annotations

import numpy as np

from tests.autotensor.samples.base import Sample, array, integers


def _unbroadcast(g, x):
    """The transpose of broadcasting, element by element."""
    out = np.zeros(np.shape(x))
    extra = g.ndim - out.ndim
    for index in np.ndindex(*g.shape):
        target = tuple(0 if n == 1 else i for i, n in zip(index[extra:], out.shape))
        out[target] += g[index]
    return out


SAMPLES = {
    "unbroadcast": [
        Sample(array(2, 3, 4), array(3, 1), oracle=_unbroadcast, name="leading_and_ones"),
        Sample(array(2, 3), array(2, 3), oracle=_unbroadcast, name="same"),
        Sample(array(2, 3), array(), oracle=_unbroadcast, name="to_scalar"),
    ],
    "broadcast_like": [
        Sample(array(3, 1), array(2, 3, 4), oracle=lambda x, y: x + 0 * y, name="leading_and_ones"),
        Sample(array(), array(2, 3), oracle=lambda x, y: x + 0 * y, name="scalar"),
    ],
    "reshape_like": [
        Sample(array(2, 6), array(3, 4), oracle=lambda x, y: np.reshape(x, y.shape)),
    ],
    "reshape_to": [
        Sample(
            array(2, 15),
            array(3, 7),
            oracle=lambda x, y, dims: x.reshape(3, 2, 5),
            dims=((0, 0), 2, 5),
            name="one_dimension_of_another",
            skip={"empty": "no such dimension is asked for"},
        ),
        Sample(
            array(6, 5),
            array(2, 7),
            array(3, 4),
            oracle=lambda x, y, z, dims: x.reshape(2, 3, 5),
            dims=((0, 0), (1, 0), -1),
            name="two_and_the_rest",
            skip={"empty": "none of the dimensions asked for is empty"},
        ),
    ],
    "print_value": [
        Sample(
            array(2, 3),
            oracle=lambda x, message: x,
            message="x =",
            skip={"graph": "impure: stays symbolic where graphs are built; printing is tested in test_like"},
        ),
    ],
    "fill_like": [
        Sample(array(2, 3), oracle=lambda x, value: x * 0 + value, order=0, value=1.5, name="float"),
        Sample(integers(2, 3), oracle=lambda x, value: x * 0 + value, order=0, value=2, name="integer"),
    ],
}
