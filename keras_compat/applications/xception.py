"""Xception: residual blocks of separable convolutions (F. Chollet, arXiv:1610.02357)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import channels_last_only, in_keras_1, normalized, relu, summed
from keras_compat.applications._request import Request
from keras_compat.applications._weights import published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import Conv2D, MaxPooling2D, SeparableConv2D
from keras_compat.models import Model

_RELEASE = "https://github.com/fchollet/deep-learning-models/releases/download/v0.4/xception_weights_"
TF_WEIGHTS_PATH = _RELEASE + "tf_dim_ordering_tf_kernels.h5"
TF_WEIGHTS_PATH_NO_TOP = _RELEASE + "tf_dim_ordering_tf_kernels_notop.h5"
_PRETRAINED = published(
    TF_WEIGHTS_PATH, "0a58e3b7378bc2990ea3b43d5981f1f6", TF_WEIGHTS_PATH_NO_TOP, "b0042744bf5b25fce3cb969f33bebb97"
)


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def _conv(x: Any, filters: int, name: str, **more: Any) -> Any:
    x = Conv2D(filters, (3, 3), use_bias=False, name=name, **more)(x)
    return relu(normalized(x, f"{name}_bn"), f"{name}_act")


def _separable(x: Any, filters: int, name: str) -> Any:
    x = SeparableConv2D(filters, (3, 3), padding="same", use_bias=False, name=name)(x)
    return normalized(x, f"{name}_bn")


def _shrinking(x: Any, one: int, two: int, block: str, active: bool = True) -> Any:
    """Return two separable convolutions and a maximum, plus a convolution beside them: half the size.

    Args:
        active: whether relu stands before the first of them, too.
    """
    beside = Conv2D(two, (1, 1), strides=(2, 2), padding="same", use_bias=False)(x)
    beside = normalized(beside)
    if active:
        x = relu(x, f"{block}_sepconv1_act")
    x = relu(_separable(x, one, f"{block}_sepconv1"), f"{block}_sepconv2_act")
    x = _separable(x, two, f"{block}_sepconv2")
    x = MaxPooling2D((3, 3), strides=(2, 2), padding="same", name=f"{block}_pool")(x)
    return summed([x, beside])


def _staying(x: Any, block: str) -> Any:
    """Return three separable convolutions plus what went into them."""
    made = x
    for i in (1, 2, 3):
        made = _separable(relu(made, f"{block}_sepconv{i}_act"), 728, f"{block}_sepconv{i}")
    return summed([made, x])


def Xception(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return Xception: pictures of 299x299, at least 71x71 without the classifier.

    At the API level 1.2 the network is for channels last only, whatever is set.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("Xception", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    with channels_last_only("Xception") if in_keras_1() else nullcontext():
        x = request.image(size=299, smallest=71)
        x = _conv(x, 32, "block1_conv1", strides=(2, 2))
        x = _conv(x, 64, "block1_conv2")
        x = _shrinking(x, 128, 128, "block2", active=False)
        x = _shrinking(x, 256, 256, "block3")
        x = _shrinking(x, 728, 728, "block4")
        for i in range(5, 13):
            x = _staying(x, f"block{i}")
        x = _shrinking(x, 728, 1024, "block13")
        for i, filters in ((1, 1536), (2, 2048)):
            name = f"block14_sepconv{i}"
            x = relu(_separable(x, filters, name), f"{name}_act")
        return request.model(request.head(x, "predictions"), "xception", _PRETRAINED)
