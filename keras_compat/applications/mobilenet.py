"""MobileNet: depthwise convolutions, of any width (A. Howard et al., arXiv:1704.04861)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import channel_axis, normalized
from keras_compat.applications._request import Request
from keras_compat.applications._shapes import rows_and_columns
from keras_compat.applications._weights import Pretrained, published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import (
    Activation,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from keras_compat.models import Model
from keras_compat.utils.generic_utils import warn

BASE_WEIGHT_PATH = "https://github.com/fchollet/deep-learning-models/releases/download/v0.6/"
# Sizes of pictures that there are weights for, and how files call the widths.
SIZES = (128, 160, 192, 224)
WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}

# Filters and stride of each block.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def usual_size(input_shape: Sequence[int | None] | None, sizes: Sequence[int]) -> int:
    """Return the size of pictures that weights would be for: the one given if there are some for it, else 224."""
    if input_shape is not None and len(input_shape) == 3:
        rows, columns = rows_and_columns(input_shape)
        if rows is not None and rows == columns and rows in sizes:
            return rows
    return 224


def size_of_weights(request: Request, sizes: Sequence[int]) -> int | None:
    """Return the rows that a model and its file are named by: those of the pictures, or of the weights to be loaded."""
    rows, columns = rows_and_columns(request.shape)
    if request.pretrained and (rows != columns or rows not in sizes):
        warn(
            f"[{request.network}] `input_shape` is undefined or non-square, or `rows` is not in {list(sizes)}. Weights "
            "for input shape (224, 224) will be loaded as the default."
        )
        return 224
    return rows


def _active(x: Any, name: str) -> Any:
    return ReLU(6.0, name=f"{name}_relu")(normalized(x, f"{name}_bn"))


def _depthwise_block(x: Any, filters: int, stride: int, multiplier: int, number: int) -> Any:
    padding = "same"
    if stride > 1:
        padding = "valid"
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = DepthwiseConv2D(
        (3, 3),
        padding=padding,
        depth_multiplier=multiplier,
        strides=(stride, stride),
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _active(x, f"conv_dw_{number}")
    x = Conv2D(filters, (1, 1), padding="same", use_bias=False, strides=(1, 1), name=f"conv_pw_{number}")(x)
    return _active(x, f"conv_pw_{number}")


def _head(request: Request, x: Any, filters: int, dropout: float) -> Any:
    if not request.include_top:
        return request.pooled(x)
    x = GlobalAveragePooling2D()(x)
    x = Reshape((filters, 1, 1) if channel_axis() == 1 else (1, 1, filters), name="reshape_1")(x)
    x = Dropout(dropout, name="dropout")(x)
    x = Conv2D(request.classes, (1, 1), padding="same", name="conv_preds")(x)
    x = Reshape((request.classes,), name="reshape_2")(x)
    return Activation("softmax", name="act_softmax")(x)


def _pretrained(alpha: float, rows: int | None) -> Pretrained:
    stem = f"{BASE_WEIGHT_PATH}mobilenet_{WIDTHS[alpha]}_{rows}_tf"
    return published(f"{stem}.h5", None, f"{stem}_no_top.h5", None)


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return MobileNet: pictures of 224x224, at least 32x32 without the classifier.

    Args:
        alpha: width of the network: the filters of each layer are multiplied by it.
        depth_multiplier: channels that depthwise convolutions make of each one.
        dropout: rate of the dropout before the classifier.

    The others, and the errors, are those of all networks: :class:`keras_compat.applications._request.Request`.
    """
    request = Request("MobileNet", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    if request.pretrained and depth_multiplier != 1:
        raise ValueError(
            "[MobileNet] If imagenet weights are being loaded, depth multiplier must be 1; got "
            f"{depth_multiplier}. Pass weights=None for others."
        )
    if request.pretrained and alpha not in WIDTHS:
        raise ValueError(
            "[MobileNet] If imagenet weights are being loaded, alpha can be one of `0.25`, `0.50`, `0.75` or `1.0` "
            f"only; got {alpha}. Pass weights=None for others."
        )
    x = request.image(size=usual_size(input_shape, SIZES), smallest=32)
    rows = size_of_weights(request, SIZES)
    x = ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(x)
    x = Conv2D(int(32 * alpha), (3, 3), padding="valid", use_bias=False, strides=(2, 2), name="conv1")(x)
    x = _active(x, "conv1")
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        x = _depthwise_block(x, int(filters * alpha), stride, depth_multiplier, number)
    x = _head(request, x, int(1024 * alpha), dropout)
    return request.model(x, f"mobilenet_{alpha:0.2f}_{rows}", _pretrained(alpha, rows) if request.pretrained else None)
