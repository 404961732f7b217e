"""Keras 1's convolutions with holes: `dilation_rate` of Keras 2's, as classes of their own."""

from __future__ import annotations

import sys

from keras_compat.engine.registry import register
from keras_compat.layers.convolutional import Conv1D, Conv2D


@register
class AtrousConvolution1D(Conv1D):
    """``Conv1D`` with ``atrous_rate``, Keras 1's word for ``dilation_rate``."""


@register
class AtrousConvolution2D(Conv2D):
    """``Conv2D`` with ``atrous_rate``, Keras 1's word for ``dilation_rate``."""


def place(package: str) -> None:
    """Put the classes where programs import them from."""
    for module in ("layers", "layers.convolutional"):
        for cls in (AtrousConvolution1D, AtrousConvolution2D):
            setattr(sys.modules[f"{package}.{module}"], cls.__name__, cls)
