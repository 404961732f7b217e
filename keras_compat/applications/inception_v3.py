"""InceptionV3 (C. Szegedy et al., arXiv:1512.00567); at the API level 1.2 the network and weights of Keras 1.2.2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import in_keras_1, joined, normalized, relu
from keras_compat.applications._request import Request
from keras_compat.applications._weights import by_order, published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import AveragePooling2D, Conv2D, Dense, Flatten, MaxPooling2D
from keras_compat.models import Model

_V2 = "https://github.com/fchollet/deep-learning-models/releases/download/v0.5/inception_v3_weights_"
_V1 = "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/inception_v3_weights_"
WEIGHTS_PATH = _V2 + "tf_dim_ordering_tf_kernels.h5"
WEIGHTS_PATH_NO_TOP = _V2 + "tf_dim_ordering_tf_kernels_notop.h5"
# Of Keras 1.
TF_WEIGHTS_PATH = _V1 + "tf_dim_ordering_tf_kernels.h5"
TF_WEIGHTS_PATH_NO_TOP = _V1 + "tf_dim_ordering_tf_kernels_notop.h5"
TH_WEIGHTS_PATH = _V1 + "th_dim_ordering_th_kernels.h5"
TH_WEIGHTS_PATH_NO_TOP = _V1 + "th_dim_ordering_th_kernels_notop.h5"

_PRETRAINED = published(
    WEIGHTS_PATH, "9a0d58056eeedaa3f26cb7ebd46da564", WEIGHTS_PATH_NO_TOP, "bcbd6486424b2319ff4ef7d526e38f63"
)
_PRETRAINED_1 = published(
    TF_WEIGHTS_PATH, "fe114b3ff2ea4bf891e9353d1bbfb32f", TF_WEIGHTS_PATH_NO_TOP, "2f3609166de1d967d1a481094754f691"
)
_PRETRAINED_TH = published(
    TH_WEIGHTS_PATH,
    "b3baf3070cc4bf476d43a2ea61b0ca5f",
    TH_WEIGHTS_PATH_NO_TOP,
    "79aaa90ab4372b4593ba3df64e142f05",
    theano_kernels=True,
)

# A convolution: (filters, rows, columns).
Convolution = tuple[int, int, int]


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def conv2d_bn(
    x: Any,
    filters: int,
    num_row: int,
    num_col: int,
    padding: str = "same",
    strides: Any = (1, 1),
    name: str | None = None,
) -> Any:
    """Return a convolution of ``x``, normalised, after relu; at the API level 1.2 normalised after relu.

    Args:
        x: pictures.
        filters: channels of the result.
        num_row: rows of the kernel.
        num_col: columns of the kernel.
        padding: ``'same'`` or ``'valid'``.
        strides: of the convolution.
        name: beginning of the layers' names.
    """
    conv_name, bn_name = (None, None) if name is None else (f"{name}_conv", f"{name}_bn")
    size = (num_row, num_col)
    if in_keras_1():
        x = Conv2D(filters, size, strides=strides, padding=padding, activation="relu", name=conv_name)(x)
        return normalized(x, bn_name)
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False, name=conv_name)(x)
    return relu(normalized(x, bn_name, scale=False), name)


def _chain(x: Any, *convolutions: Convolution, last: Any = (1, 1)) -> Any:
    """Return convolutions one after the other; strides other than 1 go to the last, without padding."""
    *before, (filters, rows, columns) = convolutions
    for convolution in before:
        x = conv2d_bn(x, *convolution)
    return conv2d_bn(x, filters, rows, columns, strides=last, padding="same" if last == (1, 1) else "valid")


def _mean(x: Any, filters: int) -> Any:
    return conv2d_bn(AveragePooling2D((3, 3), strides=(1, 1), padding="same")(x), filters, 1, 1)


def _mixed_35(x: Any, filters: int, name: str) -> Any:
    branches = [
        _chain(x, (64, 1, 1)),
        _chain(x, (48, 1, 1), (64, 5, 5)),
        _chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        _mean(x, filters),
    ]
    return joined(branches, name)


def _mixed_17(x: Any, one: int, two: Sequence[int], name: str) -> Any:
    """``one`` channels within the short branch, ``two`` within the long one."""
    branches = [
        _chain(x, (192, 1, 1)),
        _chain(x, (one, 1, 1), (one, 1, 7), (192, 7, 1)),
        _chain(x, (two[0], 1, 1), (two[1], 7, 1), (two[2], 1, 7), (two[3], 7, 1), (192, 1, 7)),
        _mean(x, 192),
    ]
    return joined(branches, name)


def _mixed_8(x: Any, i: int) -> Any:
    one = _chain(x, (320, 1, 1))
    fork = _chain(x, (384, 1, 1))
    two = joined([_chain(fork, (384, 1, 3)), _chain(fork, (384, 3, 1))], f"mixed9_{i}")
    fork = _chain(x, (448, 1, 1), (384, 3, 3))
    three = joined([_chain(fork, (384, 1, 3)), _chain(fork, (384, 3, 1))])
    return joined([one, two, three, _mean(x, 192)], f"mixed{9 + i}")


def InceptionV3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return InceptionV3: pictures of 299x299, at least 75x75 without the classifier (139x139 at the API level 1.2).

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("InceptionV3", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    old, half = in_keras_1(), (2, 2)
    x = request.image(size=299, smallest=139 if old else 75)
    x = conv2d_bn(x, 32, 3, 3, strides=half, padding="valid")
    x = conv2d_bn(x, 32, 3, 3, padding="valid")
    x = conv2d_bn(x, 64, 3, 3)
    x = MaxPooling2D((3, 3), strides=half)(x)
    x = conv2d_bn(x, 80, 1, 1, padding="valid")
    x = conv2d_bn(x, 192, 3, 3, padding="valid")
    x = MaxPooling2D((3, 3), strides=half)(x)

    for i, filters in enumerate((32, 32, 32) if old else (32, 64, 64)):
        x = _mixed_35(x, filters, f"mixed{i}")
    branches = [
        _chain(x, (384, 3, 3), last=half),
        _chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3), last=half),
        MaxPooling2D((3, 3), strides=half)(x),
    ]
    x = joined(branches, "mixed3")

    for i, filters in enumerate((128, 160, 160), start=4):
        x = _mixed_17(x, filters, [filters] * 4, f"mixed{i}")
    x = _mixed_17(x, 192, [160 if old else 192, 192, 192, 192], "mixed7")
    branches = [
        _chain(x, (192, 1, 1), (320, 3, 3), last=half),
        _chain(x, (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3), last=half),
        (AveragePooling2D if old else MaxPooling2D)((3, 3), strides=half)(x),
    ]
    x = joined(branches, "mixed8")

    for i in range(2):
        x = _mixed_8(x, i)
    if old and request.include_top:
        x = Flatten(name="flatten")(AveragePooling2D((8, 8), strides=(8, 8), name="avg_pool")(x))
        x = Dense(request.classes, activation="softmax", name="predictions")(x)
    else:
        x = request.head(x, "predictions")
    return request.model(x, "inception_v3", by_order(_PRETRAINED_1, _PRETRAINED_TH) if old else _PRETRAINED)
